"""Which outputs of a network are its layers: found by running it once, named stably, in execution order.

Takes any ``torch.nn.Module``; gives :class:`Layer` objects. Every tensor that a module returns can be asked for by
name; ``listed`` marks those that ``layers="all"`` means.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from neural_data.errors import InputError, closest

__all__ = ["POOLINGS", "Layer", "find_layers", "select_layers", "tensors_in"]

POOLINGS = ("avgpool", "maxpool")
"""Global pooling of a layer's map over space, as a layer of its own: ``avgpool(conv4)``."""
CLASS_TOKEN = "class_token"
OUTPUT = "output"
"""Name of what the network itself returns, where no module inside it returned that."""
_TRACED_IMAGES = 3
"""Enough to see which dimension of an output counts images: few outputs have three of anything else there."""
_DERIVED = re.compile(rf"({'|'.join((*POOLINGS, CLASS_TOKEN))})\((.+)\)")

_ACTIVATIONS = tuple(
    kind
    for name in nn.modules.activation.__all__
    if isinstance(kind := getattr(nn, name), type) and name != "MultiheadAttention"
)
_KINDS: dict[str, tuple[type, ...]] = {
    "activation": _ACTIVATIONS,
    "pooling": tuple(getattr(nn, name) for name in nn.modules.pooling.__all__ if "Unpool" not in name),
    "normalisation": (
        nn.modules.batchnorm._NormBase,
        nn.LayerNorm,
        nn.GroupNorm,
        nn.LocalResponseNorm,
        *((nn.RMSNorm,) if hasattr(nn, "RMSNorm") else ()),
    ),
    "linear": (nn.Linear, nn.Bilinear),
    "recurrent": (nn.RNNBase, nn.RNNCellBase),
    "convolution": (nn.modules.conv._ConvNd,),
    "attention": (nn.MultiheadAttention,),
}
Path = tuple[int | str, ...]
"""Keys that lead to a tensor in what a module returned."""
_SHELLS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Layer:
    """One output of a network.

    Parameters
    ----------
    name : str
        ``module``, with ``:2`` for its second call, ``[1]`` or ``[logits]`` for a part of what it returns, and
        ``avgpool(...)``, ``maxpool(...)`` or ``class_token(...)`` around it for what is made from it.
    module : str
        As in ``named_modules()``; empty for the network itself.
    call : int
        Which call of the module in one forward pass, from 1.
    path : tuple of int or str
        Where the tensor stands in what the module returns; empty for the tensor itself.
    kind : str
        ``activation, pooling, normalisation, linear, recurrent, convolution, attention, block, transformer block,
        class token, output`` or the name of the module's class.
    shape : tuple of int
        Of the response to one image.
    batch_dim : int
        Dimension of the tensor that counts images.
    made : str or None
        ``avgpool``, ``maxpool`` or ``class_token``.
    listed : bool
        Whether ``layers="all"`` means it.
    """

    name: str
    module: str
    call: int
    path: Path
    kind: str
    shape: tuple[int, ...]
    batch_dim: int = 0
    made: str | None = None
    listed: bool = True

    @property
    def n_units(self) -> int:
        """Units of the response to one image."""
        return math.prod(self.shape)

    @property
    def made_from(self) -> str:
        """Name of the layer that this one is made from; its own where it is not made from another."""
        return self.name[len(self.made) + 1 : -1] if self.made else self.name

    def tensor(self, output: object) -> torch.Tensor:
        """Responses (n_images, *shape) in what the module returned.

        Parameters
        ----------
        output : object
            What a forward hook on ``module`` is given at call ``call``.

        Returns
        -------
        torch.Tensor of shape (n_images, *shape)
            May share memory with the output.
        """
        for step in self.path:
            output = output[step]
        maps = output.movedim(self.batch_dim, 0) if self.batch_dim else output
        if self.made == CLASS_TOKEN:
            return maps[:, 0]
        if self.made is not None:
            space = tuple(range(2, maps.dim())) if maps.dim() > 3 else 1
            return maps.mean(space) if self.made == "avgpool" else maps.amax(space)
        return maps if maps.dim() > 1 else maps[:, None]

    def responses(self, output: object) -> torch.Tensor:
        """Responses (n_images, n_units) in what the module returned, see :meth:`tensor`."""
        return self.tensor(output).flatten(1)


@dataclass
class _Call:
    """What was seen of one call of one module."""

    layer: Layer
    identity: tuple[int, int, int]
    """Address, size and version of the tensor: equal for two modules that return the very same values."""
    rank: int = 0


def find_layers(module: nn.Module, example: torch.Tensor) -> list[Layer]:
    """All outputs of a network in the order in which they are computed.

    Parameters
    ----------
    module : torch.nn.Module
        Run once, in evaluation mode and without gradients.
    example : torch.Tensor of shape (1, 3, height, width)
        An input it accepts.

    Returns
    -------
    list of Layer
        With unique names. ``listed`` are

        - the names in ``module.layer_names``, where it has them; in any other network
        - the outputs of activation, pooling, normalisation, linear, recurrent and (multi-head) attention modules,
        - convolutions that no normalisation or activation module follows,
        - blocks: composite modules that are repeated, or that return something none of their parts returned, such as
          a sum of branches; a block that ends in an activation stands for both,
        - of transformers the blocks without their insides, and the class token of each where there is one,
        - what the network returns, if no module in it returned that.

    Raises
    ------
    InputError
        If the network cannot process such an input, or declares a layer that it does not compute.
    """
    outputs, inputs_of_stages = _run(module, example)
    declared = getattr(module, "layer_names", None)
    if isinstance(declared, (tuple, list)):
        known = {call.layer.name for call in outputs}
        missing = [name for name in declared if name not in known]
        if missing:
            raise InputError(
                f"{type(module).__name__}.layer_names names {missing[0]!r}, which is not computed in a forward pass: "
                f"{closest(missing[0], known)}"
            )
        listed = set(declared)
    else:
        listed = _meant(module, outputs, inputs_of_stages)
    layers = []
    tokens_first = any(_is_class_token(name) for name, _ in module.named_parameters())
    blocks = {call.layer.module for call in outputs if call.layer.kind == "transformer block"}
    for call in outputs:
        layer = dataclasses.replace(call.layer, listed=call.layer.name in listed)
        layers.append(layer)
        stage = layer.kind == "transformer block" or (
            layer.kind == "normalisation" and not _inside(layer.module, blocks)
        )
        if layer.listed and tokens_first and len(layer.shape) == 2 and stage:
            layers.append(derived_layer(layer, CLASS_TOKEN))
    return layers


def select_layers(layers: Sequence[Layer], wanted: str | Iterable[str], *, where: str) -> list[Layer]:
    """Layers that are meant by names and patterns, in execution order.

    Parameters
    ----------
    layers : sequence of Layer
        From :func:`find_layers`.
    wanted : "all", str or iterable of str
        Names; patterns such as ``"conv*"``, which mean listed layers where any matches and else every output;
        ``avgpool(...)`` and ``maxpool(...)`` around either.
    where : str
        Of which network, for the message.

    Returns
    -------
    list of Layer
        Each once; a pooled layer comes right after the one it is made from.

    Raises
    ------
    InputError
        If a name or pattern means no layer, or a layer without a map is to be pooled.
    """
    if isinstance(wanted, str):
        wanted = [wanted]
    positions = {layer.name: position for position, layer in enumerate(layers)}
    chosen: dict[tuple[int, int], Layer] = {}
    for pattern in wanted:
        pooled = None if pattern in positions else _DERIVED.fullmatch(pattern)
        making = pooled[1] if pooled else None
        for layer in _matching(layers, pooled[2] if pooled else pattern, where=where):
            if making and len(layer.shape) < 2 and layer.name != pooled[2]:
                continue  # a pattern means the layers that have a map
            if making:
                rank = 1 + (*POOLINGS, CLASS_TOKEN).index(making)
                chosen[positions[layer.name], rank] = derived_layer(layer, making)
            else:
                chosen[positions[layer.name], 0] = layer
    return [chosen[place] for place in sorted(chosen)]


def derived_layer(layer: Layer, made: str) -> Layer:
    """The layer that pooling, or taking the class token, makes from another one; see :data:`POOLINGS`."""
    if made == CLASS_TOKEN:
        if len(layer.shape) != 2:
            raise InputError(f"layer {layer.name!r} has no tokens: its output has shape {layer.shape}")
        shape, kind = layer.shape[1:], "class token"
    else:
        if len(layer.shape) < 2:
            raise InputError(
                f"layer {layer.name!r} has no map to pool over: its output has shape {layer.shape}; pool a "
                "convolutional layer"
            )
        shape, kind = layer.shape[:1] if len(layer.shape) > 2 else layer.shape[1:], "pooling"
    return dataclasses.replace(layer, name=f"{made}({layer.name})", kind=kind, shape=shape, made=made)


def tensors_in(output: object, path: Path = ()) -> Iterator[tuple[Path, torch.Tensor]]:
    """Tensors in what a module returned, with the keys that lead to them through tuples, lists and dictionaries."""
    if isinstance(output, torch.Tensor):
        yield path, output
    elif isinstance(output, dict):
        for key, part in output.items():
            yield from tensors_in(part, (*path, key))
    elif isinstance(output, (tuple, list)):
        for position, part in enumerate(output):
            yield from tensors_in(part, (*path, position))


def _run(module: nn.Module, example: torch.Tensor) -> tuple[list[_Call], set[tuple[int, int, int]]]:
    """Every output with one entry an image, and the tensors that normalisations and activations took in."""
    calls: Counter[str] = Counter()
    outputs: list[_Call] = []
    staged: set[tuple[int, int, int]] = set()
    alive: list[torch.Tensor] = []  # or an address would be used again, and two outputs look like one

    def look(name: str, part: nn.Module, output: object) -> None:
        calls[name] += 1
        for path, tensor in tensors_in(output):
            batch_dim = next((d for d in (0, 1) if tensor.dim() > d and tensor.shape[d] == _TRACED_IMAGES), None)
            if batch_dim is None or not (tensor.is_floating_point() and tensor.numel()):
                continue
            shape = tuple(size for d, size in enumerate(tensor.shape) if d != batch_dim) or (1,)
            label = _name(name, calls[name], path)
            kind = _kind(part) if name else OUTPUT
            outputs.append(_Call(Layer(label, name, calls[name], path, kind, shape, batch_dim), _identity(tensor)))
            alive.append(tensor)

    def enter(inputs: tuple) -> None:
        # Taken before the module runs: one that works in place makes a new version of its input.
        entering = [tensor for _, tensor in tensors_in(inputs)]
        alive.extend(entering)
        staged.update(map(_identity, entering))

    handles = []
    for name, part in module.named_modules():
        if isinstance(part, _KINDS["normalisation"] + _KINDS["activation"]):
            handles.append(part.register_forward_pre_hook(lambda _part, inputs: enter(inputs)))
        handles.append(part.register_forward_hook(lambda part, _inputs, output, name=name: look(name, part, output)))
    try:
        # Not inference_mode: its tensors carry no version, which tells an output from what was done to it in place.
        with torch.no_grad():
            module.eval()(example.expand(_TRACED_IMAGES, *example.shape[1:]).clone())
    except (RuntimeError, TypeError, ValueError, IndexError, AssertionError) as error:
        raise InputError(
            f"{type(module).__name__} cannot process images of shape {tuple(example.shape[1:])} ({error}); give the "
            "preprocessing (size) that belongs to it, or wrap it so that its forward takes images alone"
        ) from error
    finally:
        for handle in handles:
            handle.remove()
    return outputs, staged


def _meant(module: nn.Module, outputs: list[_Call], staged: set[tuple[int, int, int]]) -> set[str]:
    """Names of the outputs that ``layers="all"`` means in a network that does not say so itself."""
    modules = dict(module.named_modules())
    classes = Counter(type(part) for part in modules.values())
    candidates: list[_Call] = []
    for position, call in enumerate(outputs):
        layer, part = call.layer, modules[call.layer.module]
        if layer.module and layer.path and isinstance(layer.path[0], int) and any(step != 0 for step in layer.path):
            continue  # of a tuple the first tensor is the response; states and attention weights come after it
        if not layer.module:
            call.rank = 2
        elif layer.kind == "convolution":
            if call.identity in staged:
                continue
        elif layer.kind not in _KINDS:
            repeated = classes[type(part)] > 1 or type(modules[layer.module.rpartition(".")[0]]) in _SHELLS
            inner = [other for other in outputs[:position] if _inside(other.layer.module, {layer.module})]
            kind = _block_kind(part, call, inner, repeated=repeated)
            if kind is None:
                continue
            call.rank = -1
            call.layer = dataclasses.replace(layer, kind=kind)
        candidates.append(call)
    transformers = {call.layer.module for call in candidates if call.layer.kind == "transformer block"}
    best: dict[tuple[int, int, int], _Call] = {}
    for call in candidates:
        if _inside(call.layer.module, transformers):
            continue
        first = best.get(call.identity)
        if first is None or call.rank < first.rank:
            best[call.identity] = call
    return {call.layer.name for call in best.values()}


def _block_kind(part: nn.Module, call: _Call, inner: list[_Call], *, repeated: bool) -> str | None:
    """``block`` or ``transformer block`` for a composite module that is one; None for any other module."""
    if type(part) in _SHELLS or _attends(part) or not any(True for _ in part.children()):
        return None
    attends = any(_attends(inside) for inside in part.modules())
    weighted = any(other.layer.kind in ("convolution", "linear", "recurrent") for other in inner)
    novel = all(other.identity != call.identity for other in inner)
    if not (attends or weighted) or not (repeated or novel):
        return None
    return "transformer block" if attends and repeated and len(call.layer.shape) == 2 else "block"


def _matching(layers: Sequence[Layer], pattern: str, *, where: str) -> list[Layer]:
    if pattern == "all":
        return [layer for layer in layers if layer.listed]
    exact = [layer for layer in layers if layer.name == pattern]
    listed = [layer for layer in layers if layer.listed and fnmatch.fnmatchcase(layer.name, pattern)]
    found = exact or listed or [layer for layer in layers if fnmatch.fnmatchcase(layer.name, pattern)]
    if not found:
        names = [layer.name for layer in layers if layer.listed]
        hint = closest(pattern, names)
        if not hint.startswith("did"):
            near = closest(pattern, [layer.name for layer in layers])
            hint = near if near.startswith("did") else hint
        raise InputError(f"{where} has no layer {pattern!r}: {hint}")
    return found


def _name(module: str, call: int, path: Path) -> str:
    name = module or OUTPUT
    if call > 1:
        name += f":{call}"
    steps = path if any(step != 0 for step in path) else ()
    return name + "".join(f"[{step}]" for step in steps)


def _kind(part: nn.Module) -> str:
    return next((kind for kind, types in _KINDS.items() if isinstance(part, types)), type(part).__name__)


def _identity(tensor: torch.Tensor) -> tuple[int, int, int]:
    return tensor.data_ptr(), tensor.numel(), tensor._version


def _inside(name: str, outer: Iterable[str]) -> bool:
    """Whether a module is a true part of one of the others; the network itself (empty name) holds every other."""
    return any(name != other and (not other or name.startswith(other + ".")) for other in outer)


def _attends(part: nn.Module) -> bool:
    return "attention" in type(part).__name__.lower()


def _is_class_token(parameter: str) -> bool:
    name = parameter.rpartition(".")[2].lower()
    return name in ("cls", "cls_token", "class_token", "class_embedding", "cls_embedding")
