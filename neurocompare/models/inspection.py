"""Runs a network a few times to find its outputs and to check that responses depend on the image alone.

Takes a module and a few example images; gives every output with its name, and how later passes must present images. The
response to an image must not depend on the other images of the batch, on images shown earlier, or on chance. If it
does, images are presented so that it does not and the log says why, or the network is refused.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from neural_data.errors import CodeError, InputError
from neurocompare.models.layers import Layer, kind_of, output_name, tensors_in

__all__ = ["N_EXAMPLES", "Call", "Inspection", "Manner", "inspect_network", "manner_of_showing"]

N_EXAMPLES = 3
"""Number of example images: enough to present them in another grouping."""
_SAMPLED = 512
"""Most units of an output that are compared."""
_SEEDS = (1, 2)
_TOLERANCES = {torch.float64: (1e-9, 1e-6), torch.float32: (1e-4, 1e-2)}
"""Largest relative difference between two passes of a batch, and between groupings; half precision: see below."""
_HALF_TOLERANCES = (1e-2, 5e-2)
_OTHER_SIZES = (1, 2, 4, 8, 16, 32, 64)
_NOT_ONE = "it cannot be shown a single image; one that is left over is shown twice"
_FAILURES = (Exception, SystemExit)
"""Exceptions of a module that cannot process images: user code may raise any of them."""
_DROPOUTS = tuple(
    getattr(functional, name)
    for name in ("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
) + tuple(
    getattr(torch, name + ending)
    for name in ("dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout")
    for ending in ("", "_")
)


@dataclass(frozen=True)
class Manner:
    """How images must be presented so that each response depends on its own image only.

    Parameters
    ----------
    one_at_a_time : bool
        Responses depend on the other images of the batch, or the network takes only one image.
    at_least_two : bool
        The network cannot process a single image.
    without_dropout : bool
        The network calls dropout as a function that ignores evaluation mode; it is switched off.
    seeded : bool
        The network draws random numbers, so they are seeded.
    """

    one_at_a_time: bool = False
    at_least_two: bool = False
    without_dropout: bool = False
    seeded: bool = False


_SEEDED = Manner(seeded=True)


@dataclass
class Call:
    """One tensor that one call of one module returned."""

    layer: Layer
    """The module's name, and which of its outputs it is."""
    address: tuple[int, int, int]
    """Address, size and version of the tensor: equal if two modules return the same tensor."""
    sample: torch.Tensor
    """Sample of the responses, shape (n_images, at most 512), if the tensor can be read."""
    whole: tuple[int, ...]
    """Shape of the tensor, including the dimension of images."""
    rank: int = 0
    """Of modules that return the same tensor, the one of lowest rank names the layer; set by ``layer_choice``."""
    unreadable: str = ""
    """Why it cannot be a layer; empty if it can."""


@dataclass(frozen=True)
class Inspection:
    """Result of inspecting a network.

    Parameters
    ----------
    calls : list of Call
        Every output, in execution order.
    staged : set
        Address, size and version of the tensors that were inputs of normalisations and activations.
    manner : Manner
        How images must be presented to it.
    notes : tuple of str
        Unusual findings, for the log.
    """

    calls: list[Call]
    staged: set[tuple[int, int, int]]
    manner: Manner
    notes: tuple[str, ...]


class _WithoutDropout(TorchFunctionMode):
    """Context in which functional dropout does nothing, as in evaluation mode."""

    def __torch_function__(self, func: Callable, _types: tuple, args: tuple = (), kwargs: dict | None = None) -> object:
        kwargs = dict(kwargs or {})
        if func in _DROPOUTS:
            return args[0] if args else kwargs["input"]
        if func is functional.scaled_dot_product_attention:
            kwargs["dropout_p"] = 0.0
            args = args[:4]
        return func(*args, **kwargs)


@contextlib.contextmanager
def manner_of_showing(manner: Manner, device: torch.device, seed: int = _SEEDS[0]) -> Iterator[None]:
    """Context for one forward pass as a network's :class:`Manner` requires."""
    with contextlib.ExitStack() as stack:
        if manner.seeded:
            stack.enter_context(torch.random.fork_rng(devices=[device] if device.type == "cuda" else []))
            torch.manual_seed(seed)
        if manner.without_dropout:
            stack.enter_context(_WithoutDropout())
        yield


def inspect_network(module: nn.Module, examples: torch.Tensor, *, where: str) -> Inspection:
    """Run a network on a few images: once, again, and in other batches.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode; run without gradients.
    examples : torch.Tensor of shape (3, channels, height, width)
        Three different images that the network accepts.
    where : str
        Name of the network, for messages.

    Returns
    -------
    Inspection

    Raises
    ------
    InputError
        If the network cannot process such images, works with one fixed batch size only, keeps state between calls, or
        is a TorchScript module, whose layers cannot be hooked.
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise InputError(
            f"{where} is a scripted module (TorchScript), whose layers cannot be observed; give the Python module "
            "from which it was made, and its weights as a checkpoint (weights=module.state_dict())"
        )
    look = _Looking(module, where)
    calls, staged, manner, notes = look.first(examples)
    calls, manner, notes = look.again(calls, examples, manner, notes)
    manner, notes = look.in_groups(calls, examples, manner, notes)
    scripted = [name for name, part in module.named_modules() if isinstance(part, torch.jit.ScriptModule)]
    if scripted:
        notes.append(
            f"{len(scripted)} parts are scripted ({', '.join(scripted[:3])}), and what they return cannot be read"
        )
    return Inspection(calls, staged, manner, tuple(notes))


class _Looking:
    """A network under inspection."""

    def __init__(self, module: nn.Module, where: str):
        self.module, self.where = module, where

    def first(self, examples: torch.Tensor) -> tuple[list[Call], set[tuple[int, int, int]], Manner, list[str]]:
        """The first pass, with as many images as the network takes."""
        try:
            calls, staged = self.run(examples, _SEEDED)
        except _FAILURES as error:
            self._refuse_fixed(examples, error)
            calls, staged = self.run(examples[:1], _SEEDED)
            note = "it takes one image at a time and no more; it is shown them one by one"
            return calls, staged, Manner(one_at_a_time=True), [note]
        return calls, staged, Manner(), []

    def _refuse_fixed(self, examples: torch.Tensor, error: BaseException) -> None:
        """Raise if the network does not take images; return if it takes one image at a time."""
        taken = [n for n in _OTHER_SIZES if self._takes(examples[torch.arange(n) % len(examples)])]
        if 1 in taken:
            return
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if taken:
            self._refuse_size(taken[0], len(examples), error)
        raise CodeError(
            f"{self.where} cannot process images of shape {tuple(examples.shape[1:])} ({reason}); give the "
            "preprocessing (size, channels) that belongs to it, or wrap it so that its forward takes images alone"
        ) from error

    def _refuse_size(self, taken: int, refused: int, error: BaseException) -> None:
        raise InputError(
            f"{self.where} takes {taken} images at a time, but not {refused} ({str(error).splitlines()[0]}); its "
            "forward has a fixed batch size: use x.shape[0] instead"
        ) from error

    def _takes(self, images: torch.Tensor) -> bool:
        try:
            self.run(images, _SEEDED)
        except _FAILURES:
            return False
        return True

    def again(
        self, calls: list[Call], examples: torch.Tensor, manner: Manner, notes: list[str]
    ) -> tuple[list[Call], Manner, list[str]]:
        """The same images again: a network whose responses differ keeps state or is random."""
        images = examples[:1] if manner.one_at_a_time else examples
        seeded = dataclasses.replace(manner, seeded=True)
        other, _ = self.run(images, seeded, _SEEDS[1])
        differs = _first_difference(calls, other, repeated=True)
        if differs is None and _same_calls(calls, other):
            return calls, manner, notes
        same, _ = self.run(images, seeded, _SEEDS[0])
        forgotten = _first_difference(calls, same, repeated=True)
        if forgotten is not None or not _same_calls(calls, same):
            self._refuse_state(forgotten or calls[-1])
        differs = differs or calls[-1]
        quiet = dataclasses.replace(seeded, without_dropout=True)
        first, _ = self.run(images, quiet, _SEEDS[0])
        other, _ = self.run(images, quiet, _SEEDS[1])
        if _first_difference(first, other, repeated=True) is None:
            note = (
                f"it drops units at random in evaluation mode, first in layer {differs.layer.name!r}: dropout is "
                "called as a function without training=self.training; it is switched off"
            )
            return first, dataclasses.replace(manner, without_dropout=True), [*notes, note]
        note = (
            f"it draws random numbers, first seen in layer {differs.layer.name!r}: its responses are one draw of many, "
            "the same each time; other batches give another draw"
        )
        return first, quiet, [*notes, note]

    def _refuse_state(self, differs: Call) -> None:
        raise InputError(
            f"{self.where} responds differently when it is shown the same images again, first in layer "
            f"{differs.layer.name!r}: it has state from earlier calls, or uses random numbers from outside torch; "
            "reset its state in each forward"
        )

    def in_groups(
        self, calls: list[Call], examples: torch.Tensor, manner: Manner, notes: list[str]
    ) -> tuple[Manner, list[str]]:
        """The same images in smaller batches: the responses must be the same, row by row."""
        if manner.one_at_a_time:
            return manner, notes
        for n in (2, 1):
            try:
                fewer, _ = self.run(examples[:n], dataclasses.replace(manner, seeded=True))
            except _FAILURES as error:
                if n == 1:
                    return dataclasses.replace(manner, at_least_two=True), [*notes, _NOT_ONE]
                if not self._takes(examples[:1]):
                    self._refuse_size(len(examples), n, error)
                note = "it takes one or three images at a time and not two; it is shown them one by one"
                return dataclasses.replace(manner, one_at_a_time=True), [*notes, note]
            found = {_key(call): call for call in fewer}
            misread = {_key(call): _misread(call, found.get(_key(call)), n) for call in calls if not call.unreadable}
            if n == 1 and any(misread.values()):
                return dataclasses.replace(manner, at_least_two=True), [*notes, _NOT_ONE]
            for call in calls:
                call.unreadable = call.unreadable or misread[_key(call)]
            differs = None if manner.seeded else _first_difference(calls, fewer, repeated=False)
            if differs is not None:
                return self._depends_on_others(differs, examples, manner, notes)
        return manner, notes

    def _depends_on_others(
        self, differs: Call, examples: torch.Tensor, manner: Manner, notes: list[str]
    ) -> tuple[Manner, list[str]]:
        batch = [
            name
            for name, part in self.module.named_modules()
            if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_mean is None
        ]
        cause = (
            f"{batch[0]!r} normalises over the images of a batch, as it has no running statistics"
            if batch
            else "something in it is computed over the images of a batch"
        )
        if not self._takes(examples[:1]):
            raise InputError(
                f"{self.where}: the response to an image depends on the images beside it, first in layer "
                f"{differs.layer.name!r}: {cause}, and it cannot be shown one image alone; give it running statistics"
            )
        note = (
            f"the response to an image depends on the images beside it, first in layer {differs.layer.name!r}: {cause}"
            "; it is shown images one by one"
        )
        return dataclasses.replace(manner, one_at_a_time=True), [*notes, note]

    def run(
        self, images: torch.Tensor, manner: Manner, seed: int = _SEEDS[0]
    ) -> tuple[list[Call], set[tuple[int, int, int]]]:
        """One pass: every tensor that a module returned, and the tensors that normalisations and activations took."""
        counts: Counter[str] = Counter()
        calls: list[Call] = []
        staged: set[tuple[int, int, int]] = set()
        alive: list[torch.Tensor] = []  # keeps tensors alive, as a reused address would make two outputs look like one

        def look(name: str, part: nn.Module, output: object) -> None:
            counts[name] += 1
            for path, tensor in tensors_in(output):
                calls.append(_seen(name, counts[name], path, part, tensor, len(images)))
                alive.append(tensor)

        def enter(inputs: tuple) -> None:
            # Recorded before the module runs: an in-place module changes the version of its input.
            entering = [tensor for _, tensor in tensors_in(inputs)]
            alive.extend(entering)
            staged.update(map(_address, entering))

        handles = []
        for name, part in self.module.named_modules():
            if isinstance(part, torch.jit.ScriptModule):
                continue
            if kind_of(part) in ("normalisation", "activation"):
                handles.append(part.register_forward_pre_hook(lambda _part, inputs: enter(inputs)))
            handles.append(
                part.register_forward_hook(lambda part, _inputs, output, name=name: look(name, part, output))
            )
        try:
            # Not inference_mode, even if the caller is in it: its tensors have no version, which tells an output from a
            # later in-place change of it.
            with torch.inference_mode(False), torch.no_grad(), manner_of_showing(manner, images.device, seed):
                self.module(images.clone())
        finally:
            for handle in handles:
                handle.remove()
        return calls, staged


def _seen(name: str, count: int, path: tuple, part: nn.Module, tensor: torch.Tensor, n_images: int) -> Call:
    """One output: its dimension of images, and a sample of its values."""
    batch_dim = next((d for d in range(tensor.dim()) if tensor.shape[d] == n_images), None)
    unreadable = ""
    if tensor.layout != torch.strided:
        unreadable = "it is sparse"
    elif tensor.is_complex():
        unreadable = "its values are complex; give their modulus, or both parts, by a module of their own"
    elif not tensor.is_floating_point():
        unreadable = f"its values are no real numbers ({str(tensor.dtype).removeprefix('torch.')})"
    elif not tensor.numel():
        unreadable = "it is empty"
    elif batch_dim is None:
        unreadable = f"its shape {tuple(tensor.shape)} does not count the {n_images} images"
    layer = Layer(
        name=output_name(name, count, path),
        module=name,
        call=count,
        path=path,
        kind=kind_of(part) if name else "output",
        shape=_without(tensor.shape, batch_dim),
        batch_dim=batch_dim or 0,
    )
    sample = _sample(tensor, batch_dim, unreadable)
    return Call(layer, _address(tensor), sample, tuple(tensor.shape), unreadable=unreadable)


def _without(shape: Sequence[int], batch_dim: int | None) -> tuple[int, ...]:
    return tuple(size for d, size in enumerate(shape) if d != batch_dim) or (1,)


def _sample(tensor: torch.Tensor, batch_dim: int | None, unreadable: str) -> torch.Tensor:
    """Evenly spaced units of every image (n_images, at most 512); empty if an output cannot be read."""
    if unreadable or batch_dim is None:
        return torch.empty(0, 0)
    rows = tensor.movedim(batch_dim, 0).reshape(tensor.shape[batch_dim], -1)
    step = max(1, rows.shape[1] // _SAMPLED)
    return rows[:, ::step][:, :_SAMPLED].clone()


def _misread(call: Call, fewer: Call | None, n_images: int) -> str:
    """Why an output cannot be read although the first pass suggested it can; empty if it can be read.

    If several dimensions have the length of the batch, a second batch size shows which one counts the images.
    """
    if fewer is None:
        return f"it is not computed for {n_images} images"
    first, second = call.whole, fewer.whole
    changed = [d for d, (a, b) in enumerate(zip(first, second, strict=False)) if a != b]
    counts = len(first) == len(second) and len(changed) == 1
    if not counts or (first[changed[0]], second[changed[0]]) != (N_EXAMPLES, n_images):
        return f"its shape does not follow the number of images: {first} for {N_EXAMPLES} and {second} for {n_images}"
    if changed[0] != call.layer.batch_dim:
        call.layer = dataclasses.replace(call.layer, batch_dim=changed[0], shape=_without(first, changed[0]))
        call.sample = torch.empty(0, 0)
    return ""


def _key(call: Call) -> tuple:
    return call.layer.module, call.layer.call, call.layer.path


def _same_calls(first: list[Call], second: list[Call]) -> bool:
    return [_key(call) for call in first] == [_key(call) for call in second]


def _first_difference(calls: list[Call], others: list[Call], *, repeated: bool) -> Call | None:
    """The first output whose responses to the same images differ, among those read in both passes."""
    found = {_key(call): call for call in others}
    for call in calls:
        other = found.get(_key(call))
        if call.unreadable or other is None or other.unreadable:
            continue
        if call.layer.batch_dim != other.layer.batch_dim:
            continue
        n = min(len(call.sample), len(other.sample))
        first, second = call.sample[:n].double(), other.sample[:n].double()
        if first.shape != second.shape:
            continue
        tolerance = _TOLERANCES.get(call.sample.dtype, _HALF_TOLERANCES)[0 if repeated else 1]
        finite = torch.isfinite(first) & torch.isfinite(second)
        difference = torch.where(finite, first - second, 0.0).norm()
        if difference > tolerance * torch.where(finite, first, 0.0).norm() and difference > 0:
            return call
    return None


def _address(tensor: torch.Tensor) -> tuple[int, int, int]:
    if tensor.layout != torch.strided:
        return id(tensor), tensor.numel(), 0
    if tensor.is_inference():
        return tensor.data_ptr(), tensor.numel(), 0  # kept from a pass in inference mode; it carries no version
    return tensor.data_ptr(), tensor.numel(), tensor._version
