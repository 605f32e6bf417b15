"""Responses of a network's layers to stimuli, streamed so that memory stays bounded.

Takes a :class:`~neurocompare.models.registry.Network` and a stimulus set. :func:`stream_responses` passes every layer's
responses to a batch to a callback during the forward pass; :func:`unit_blocks` yields blocks of units over *all*
stimuli, in as many passes as the memory budget requires. A pass stops at the last layer it needs.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import torch

from neural_data.errors import InputError
from neural_data.formats.bounds import whole_file
from neural_data.resizing import Resizing
from neural_data.stimuli import StimulusSet
from neurocompare.models.inspection import Manner
from neurocompare.models.layers import Layer
from neurocompare.models.registry import Network
from neurocompare.progress_lines import Progress, no_progress
from neurocompare.stimuli.transforms import mirror

__all__ = [
    "Block",
    "Presentation",
    "held_blocks",
    "images_at_once",
    "plan_passes",
    "refuse_not_finite",
    "resolve_layers",
    "save_activations",
    "stream_responses",
    "unit_blocks",
    "watched_layers",
    "with_smaller_batches",
]

BATCH_SIZE = 64
MEMORY_MB = 540.0
"""Memory for responses, besides network, forward pass and RDMs: AlexNet on 2,025 images takes under 2 GB in all."""
_MAP_BYTES = 20_000_000
"""Of the largest map of a batch on a processor. Larger ones leave its caches, and for maps above 32 MB the system
clears fresh memory each time, which takes up to three times as long as the network itself."""
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
_SAFETENSORS_TYPES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}

Ran = TypeVar("Ran")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Presentation:
    """How stimuli are presented to a network: images per forward pass, and memory for the responses.

    Parameters
    ----------
    batch_size : int
        Most images per forward pass, see :func:`images_at_once`; halved if memory runs out.
    memory_mb : float
        Budget for responses in memory, megabytes. A smaller budget takes more passes over the stimuli.
    progress : callable
        Called with what is presented, and the share done.
    """

    batch_size: int = BATCH_SIZE
    memory_mb: float = MEMORY_MB
    progress: Progress = no_progress

    def __post_init__(self):
        if self.batch_size < 1:
            raise InputError(f"batch_size must be at least 1; got {self.batch_size}")


AS_USUAL = Presentation()
"""The default: 64 images at most, and 540 MB of responses."""


def resolve_layers(network: Network, layers: str | Sequence[str]) -> list[str]:
    """Names of the selected layers, in execution order.

    Parameters
    ----------
    network : Network
        Network whose layers are selected.
    layers : "main", "all", str or sequence of str
        Names, patterns such as ``"conv*"`` (``*`` stops at a dot, ``**`` does not), and ``"avgpool(conv4)"`` or
        ``"maxpool(conv*)"`` for the average or maximum over space as a separate layer. ``"main"`` selects 8 to 25 of
        the network's layers, see :func:`~neurocompare.models.layer_choice.choose_layers`.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        If a name or pattern matches no layer; the closest name is suggested.
    """
    return [layer.name for layer in network.select(layers)]


class _Enough(Exception):
    """Raised internally to stop a forward pass after the last required layer; not an error."""


class Presentable(Protocol):
    """Images that can be presented: a :class:`~neural_data.stimuli.StimulusSet`, or one batch of images."""

    @property
    def ids(self) -> list[str]:
        """Names of the images, for messages."""

    def batches(self, batch_size: int, size: Resizing | None, /) -> Iterator[np.ndarray]:
        """Images (n, 3, height, width) at a network's input size, float32 in 0..1, batch by batch."""


def stream_responses(
    network: Network,
    stimuli: Presentable,
    layers: Sequence[Layer],
    receive: Callable[[Layer, slice, torch.Tensor], None],
    *,
    batch_size: int = BATCH_SIZE,
    mirrored: bool = False,
    check_all: bool = True,
    shown_so_far: Callable[[int], None] | None = None,
) -> None:
    """Present the stimuli once and pass the responses of layers to a callback, batch by batch.

    Parameters
    ----------
    network : Network
        Run in evaluation mode, without gradients, on the device of its weights.
    stimuli : StimulusSet or another Presentable
        Presented at the network's input size.
    layers : sequence of Layer
        From ``network.select``.
    receive : callable
        ``receive(layer, rows, responses)`` is called while the forward pass runs, layer by layer in execution order;
        ``responses`` of shape ``(1, n_rows, n_units)``, or ``(2, n_rows, n_units)`` with the mirrored images second.
        The network may overwrite it as soon as the callback returns.
    batch_size : int
        Images per batch; mirrored ones are presented in addition.
    mirrored : bool
        Whether to present the mirror image of every stimulus too.
    check_all : bool
        Whether to check all responses for finite values. False checks the first batch only, for callers who detect
        other cases from their own sums and then call :func:`refuse_not_finite`.
    shown_so_far : callable or None
        Called with the number of stimuli shown, after every batch.

    Raises
    ------
    InputError
        If a layer is not computed, or its response is not finite or not of the expected size.
    """
    copies = 2 if mirrored else 1
    rows, n_shown, n_kept = slice(0, 0), 0, 0
    parts: dict[str, list[torch.Tensor]] = defaultdict(list)

    def hand_over(layer: Layer, responses: torch.Tensor) -> None:
        responses = responses.unflatten(0, (copies, -1))
        if check_all or rows.start == 0:
            refuse_not_finite(network, layer, responses, stimuli.ids[rows])
        receive(layer, rows, responses)

    def look(layer: Layer, output: object) -> None:
        responses = _responses(network, layer, output, n_shown)
        if in_parts:
            parts[layer.name].append(responses[:n_kept].clone())
        else:
            hand_over(layer, responses)

    with watched_layers(network, layers, look) as show:
        for images in _read_ahead(stimuli, batch_size, network.preprocessing.shown_at):
            rows = slice(rows.stop, rows.stop + len(images))
            batch = np.concatenate([images, mirror(images)]) if mirrored else images
            pieces = _pieces(batch, network.manner)
            in_parts = len(pieces) > 1 or pieces[0][1] < len(pieces[0][0])
            for shown, kept in pieces:
                n_shown, n_kept = len(shown), kept
                show(shown)
            if in_parts:
                for layer in layers:
                    hand_over(layer, torch.cat(parts.pop(layer.name)))
            if shown_so_far is not None:
                shown_so_far(rows.stop)


def _pieces(batch: np.ndarray, manner: Manner) -> list[tuple[np.ndarray, int]]:
    """Parts of a batch that are presented at once, and the number of images in each whose responses are kept."""
    if manner.one_at_a_time:
        return [(batch[place : place + 1], 1) for place in range(len(batch))]
    if manner.at_least_two and len(batch) == 1:
        return [(np.concatenate([batch, batch]), 1)]
    return [(batch, len(batch))]


@contextlib.contextmanager
def watched_layers(
    network: Network, layers: Sequence[Layer], receive: Callable[[Layer, object], None]
) -> Iterator[Callable[[np.ndarray], None]]:
    """Context in which the outputs of the layers' modules are passed to a callback during forward passes.

    Parameters
    ----------
    network : Network
        Run in evaluation mode, without gradients, on the device of its weights.
    layers : sequence of Layer
        From ``network.select``.
    receive : callable
        ``receive(layer, output)`` is called while the forward pass runs, in execution order; ``layer.tensor(output)``
        are the responses, which the network may overwrite as soon as the callback returns.

    Yields
    ------
    show : callable
        ``show(images)`` runs the network on images (n, 3, height, width) in 0..1 up to the last of the layers.

    Raises
    ------
    InputError
        If a layer is not computed for some images.
    """
    wanted: dict[tuple[str, int], list[Layer]] = defaultdict(list)
    for layer in layers:
        wanted[layer.module, layer.call].append(layer)
    calls: Counter[str] = Counter()
    pending: set[str] = set()

    def look(name: str, output: object) -> None:
        calls[name] += 1
        for layer in wanted.get((name, calls[name]), ()):
            receive(layer, output)
            pending.discard(layer.name)
        if not pending:
            raise _Enough

    def show(images: np.ndarray) -> None:
        calls.clear()
        pending.update(layer.name for layer in layers)
        with contextlib.suppress(_Enough):
            network.forward(images)
        if pending:
            raise InputError(
                f"{network.name}: layer {sorted(pending)[0]!r} is not computed for every image; leave it out of the "
                "layers"
            )

    names = {layer.module for layer in layers}
    handles = [
        part.register_forward_hook(lambda _part, _inputs, output, name=name: look(name, output))
        for name, part in network.module.named_modules()
        if name in names
    ]
    network.module.eval()
    try:
        with _full_precision(network.device):
            yield show
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True)
class Block:
    """Units ``start`` to ``stop`` of a layer, whose responses to all stimuli are in memory together.

    Parameters
    ----------
    layer : Layer
        The layer.
    start, stop : int
        First unit of the flattened layer, and the one after the last.
    """

    layer: Layer
    start: int
    stop: int


def plan_passes(layers: Sequence[Layer], *, bytes_a_unit: int, memory_mb: float) -> list[list[Block]]:
    """Groups of units that are in memory together; each group takes one pass over the stimuli.

    Parameters
    ----------
    layers : sequence of Layer
        In execution order, so that passes over early layers end early.
    bytes_a_unit : int
        Memory of one unit's responses to all stimuli.
    memory_mb : float
        Budget of a pass, megabytes.

    Returns
    -------
    list of lists of Block
        Every unit of every layer once, in order.
    """
    room_of_pass = max(1, int(memory_mb * 1e6 / bytes_a_unit))
    passes: list[list[Block]] = [[]]
    # The first pass takes the remainder, as it ends earliest; all later passes are full.
    room = sum(layer.n_units for layer in layers) % room_of_pass or room_of_pass
    for layer in layers:
        start = 0
        while start < layer.n_units:
            if room == 0:
                passes.append([])
                room = room_of_pass
            stop = min(layer.n_units, start + room)
            passes[-1].append(Block(layer, start, stop))
            room -= stop - start
            start = stop
    return passes


def held_blocks(
    network: Network,
    stimuli: StimulusSet,
    layers: Sequence[Layer],
    *,
    presentation: Presentation = AS_USUAL,
    mirrored: bool = False,
    check_all: bool = True,
    only: Sequence[Layer] | None = None,
) -> Iterator[tuple[Block, torch.Tensor]]:
    """Responses of all units to all stimuli, as tensors on the network's device.

    Parameters
    ----------
    network, stimuli, layers, mirrored, check_all
        See :func:`stream_responses`.
    presentation : Presentation
        Images per forward pass, memory for the responses, and progress.
    only : sequence of Layer or None
        Those of the layers that are wanted here. They are cut into blocks as among all layers, so that their sums over
        units are equal to the last bit.

    Yields
    ------
    block : Block
        In the order of ``layers``; all blocks of a layer come one after the other.
    responses : torch.Tensor of shape (1 or 2, n_stimuli, n_units_of_block)
        Mirrored images second. Overwritten by the next pass.
    """
    copies = 2 if mirrored else 1
    bytes_a_unit = copies * len(stimuli) * network.dtype.itemsize
    passes = plan_passes(layers, bytes_a_unit=bytes_a_unit, memory_mb=presentation.memory_mb)
    if only is not None:
        restricted = [[block for block in blocks if block.layer in only] for blocks in passes]
        passes = [blocks for blocks in restricted if blocks]
    log.info("%s: %d layers in %d passes over %d stimuli", network.name, len(only or layers), len(passes), len(stimuli))
    most_units = max(sum(block.stop - block.start for block in blocks) for blocks in passes)
    # Allocated once: allocation is slow, and memory freed by passes is not always reused.
    memory = _room_for(most_units * copies * len(stimuli), network, presentation.memory_mb)
    progress = presentation.progress
    for number, blocks in enumerate(passes):

        def tell(n_shown: int, number: int = number) -> None:
            name = f"{network.name}: {n_shown} of {len(stimuli)} stimuli, pass {number + 1} of {len(passes)}"
            progress(name, (number + n_shown / len(stimuli)) / len(passes))

        sizes = [copies * len(stimuli) * (block.stop - block.start) for block in blocks]
        parts = memory[: sum(sizes)].split(sizes)
        held = {block: part.view(copies, len(stimuli), -1) for block, part in zip(blocks, parts, strict=True)}

        def hold(batch_size: int, held: dict[Block, torch.Tensor] = held) -> None:
            of_layer = defaultdict(list)
            for block in held:
                of_layer[block.layer.name].append(block)

            def receive(layer: Layer, rows: slice, responses: torch.Tensor) -> None:
                for block in of_layer[layer.name]:
                    held[block][:, rows] = responses[:, :, block.start : block.stop]

            asked = list(dict.fromkeys(block.layer for block in held))
            stream_responses(
                network,
                stimuli,
                asked,
                receive,
                batch_size=batch_size,
                mirrored=mirrored,
                check_all=check_all,
                shown_so_far=tell,
            )

        _, presentation = with_smaller_batches(hold, presentation, network=network, copies=copies)
        yield from held.items()


def unit_blocks(
    network: Network,
    stimuli: StimulusSet,
    layers: str | Sequence[str],
    *,
    batch_size: int = BATCH_SIZE,
    memory_mb: float = MEMORY_MB,
) -> Iterator[tuple[str, np.ndarray]]:
    """Responses of all units to all stimuli, in blocks that fit the memory budget.

    Parameters
    ----------
    network : Network
        Run in evaluation mode, without gradients, on the device of its weights.
    stimuli : StimulusSet
        Presented at the network's input size.
    layers : "main", "all", str or sequence of str
        See :func:`resolve_layers`.
    batch_size : int
        Most images per forward pass, see :func:`~neurocompare.representations.activations.images_at_once`; halved if
        memory runs out.
    memory_mb : float
        Budget for responses in memory, megabytes. A smaller budget takes more passes over the stimuli.

    Yields
    ------
    layer : str
        In execution order; all blocks of a layer come one after the other.
    responses : array of shape (n_stimuli, n_units_of_block), float32, or float64 of a network in that precision
        Of the units of the block.

    Raises
    ------
    InputError
        If there is no such layer, or a response is not finite.
    """
    # Half of the budget is for the responses, half for a copy that the caller may keep.
    presentation = Presentation(batch_size, memory_mb / 2)
    blocks = held_blocks(network, stimuli, network.select(layers), presentation=presentation)
    for block, responses in blocks:
        yield block.layer.name, responses[0].to("cpu", working_dtype(responses.dtype), copy=True).numpy()


def save_activations(
    network: Network,
    stimuli: StimulusSet,
    path: str | Path,
    layers: str | Sequence[str] = "main",
    *,
    batch_size: int = BATCH_SIZE,
) -> Path:
    """Write the responses of layers to a safetensors file, in one pass and whole or not at all.

    Parameters
    ----------
    network, stimuli, layers, batch_size
        See :func:`unit_blocks`.
    path : str or Path
        The file; its folder is created if needed.

    Returns
    -------
    pathlib.Path
        One tensor ``(n_stimuli, *shape_of_layer)`` per layer under the layer's name, in the network's precision; the
        file's metadata hold ``model, regime, seed`` and ``stimulus_id`` (a JSON list, in the order of the rows).
        ``safetensors.safe_open(path, "np").get_slice(layer)`` reads parts of it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = network.select(layers)
    metadata = {
        "model": network.name,
        "regime": network.regime,
        "seed": str(network.seed),
        "stimulus_id": json.dumps(stimuli.ids),
    }
    header: dict[str, object] = {"__metadata__": metadata}
    offsets, end = {}, 0
    for layer in chosen:
        size = len(stimuli) * layer.n_units * network.dtype.itemsize
        header[layer.name] = {
            "dtype": _SAFETENSORS_TYPES[network.dtype],
            "shape": [len(stimuli), *layer.shape],
            "data_offsets": [end, end + size],
        }
        offsets[layer.name] = end
        end += size
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)

    def write(batch_size: int) -> None:
        with partial.open("wb") as file:
            file.write(len(encoded).to_bytes(8, "little") + encoded)
            start = file.tell()
            file.truncate(start + end)

            def receive(layer: Layer, rows: slice, responses: torch.Tensor) -> None:
                file.seek(start + offsets[layer.name] + rows.start * layer.n_units * network.dtype.itemsize)
                values = responses[0].to("cpu", network.dtype).contiguous()
                file.write(values.view(torch.uint8).numpy().data)

            stream_responses(network, stimuli, chosen, receive, batch_size=batch_size)

    with whole_file(path) as partial:
        with_smaller_batches(write, Presentation(batch_size, memory_mb=0.0), network=network)
    return path


def images_at_once(network: Network, batch_size: int, *, copies: int = 1) -> int:
    """Number of images that are best presented together.

    Parameters
    ----------
    network : Network
        The network that they are presented to.
    batch_size : int
        At most so many.
    copies : int
        Presented for each image, itself included.

    Returns
    -------
    int
        On a processor, as many as keep the network's largest map, of all images together, within its caches; on
        another device, ``batch_size``.
    """
    if network.device.type != "cpu":
        return batch_size
    bytes_an_image = network.inspected.most_units * copies * network.dtype.itemsize
    return min(batch_size, max(1, _MAP_BYTES // bytes_an_image))


def with_smaller_batches(
    run: Callable[[int], Ran], presentation: Presentation, *, network: Network, copies: int = 1
) -> tuple[Ran, Presentation]:
    """Result of ``run(batch_size)``, repeated with half the batch size whenever memory runs out.

    Parameters
    ----------
    run : callable
        Takes a batch size.
    presentation : Presentation
        Of the first attempt; its memory budget is named in messages.
    network : Network
        Named in messages.
    copies : int
        Images presented for each stimulus, see :func:`images_at_once`.

    Returns
    -------
    result : object
        What the call returned.
    presentation : Presentation
        With the batch size of the successful attempt.

    Raises
    ------
    InputError
        If memory runs out with one image at a time.
    """
    batch_size, memory_mb = images_at_once(network, presentation.batch_size, copies=copies), presentation.memory_mb
    while True:
        try:
            return run(batch_size), replace(presentation, batch_size=batch_size)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            if batch_size == 1:
                raise InputError(
                    f"{network.name}: out of memory on {network.device} even with one image at a time; lower the "
                    f"budget for responses (memory_mb, now {memory_mb:g}), choose fewer layers, or another device"
                ) from error
        # Outside the handler, so that memory held by the exception is freed before the next attempt.
        batch_size //= 2
        if network.device.type == "cuda":
            torch.cuda.empty_cache()
        log.warning(
            "%s: out of memory on %s; continuing with %d images per batch (memory_mb, now %g, is the budget for "
            "responses)",
            network.name,
            network.device,
            batch_size,
            memory_mb,
        )


def refuse_not_finite(network: Network, layer: Layer, responses: torch.Tensor, ids: Sequence[str]) -> None:
    """Raise if a response is not a finite number.

    Parameters
    ----------
    network : Network
        Named in messages.
    layer : Layer
        The layer, named in messages.
    responses : torch.Tensor of shape (n_copies, n_stimuli, n_units)
        Responses of some units of the layer, of each copy of the stimuli.
    ids : sequence of str
        Ids of the stimuli.

    Raises
    ------
    InputError
        Names the first stimulus with such a response.
    """
    # A cheap test: the sum is not finite if any response is not, though it can also overflow.
    if torch.isfinite(responses.sum(dtype=working_dtype(responses.dtype))):
        return
    wrong = ~torch.stack([torch.isfinite(rows).all(dim=1) for rows in responses])
    if wrong.any():
        row = int(wrong.any(dim=0).nonzero()[0])
        raise InputError(
            f"{network.name}: layer {layer.name!r} gives a response that is not a finite number to stimulus "
            f"{ids[row]!r}; check the weights, the preprocessing and the precision ({network.dtype})"
        )


def working_device(network: Network) -> torch.device:
    """Device on which responses are summed: the network's, unless it lacks float64."""
    return torch.device("cpu") if network.device.type == "mps" else network.device


def working_dtype(precision: torch.dtype) -> torch.dtype:
    """Type for computing with responses of a given type: float64 for float64, else float32."""
    return torch.float64 if precision == torch.float64 else torch.float32


def _room_for(n_responses: int, network: Network, memory_mb: float) -> torch.Tensor:
    place = working_device(network)
    try:
        return torch.empty(n_responses, dtype=network.dtype, device=place)
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        size = n_responses * network.dtype.itemsize / 1e6
        raise InputError(
            f"{network.name}: out of memory on {place}: cannot allocate {size:.0f} MB for responses; lower the budget "
            f"(memory_mb, now {memory_mb:g}), choose fewer layers, or another device"
        ) from error


def _read_ahead(stimuli: Presentable, batch_size: int, size: Resizing | None) -> Iterator[np.ndarray]:
    """Batches of images; the next batch is read while the network processes the current one."""
    batches = stimuli.batches(batch_size, size)
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, batches, None)
        while (images := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield images


def _responses(network: Network, layer: Layer, output: object, n_rows: int) -> torch.Tensor:
    """Responses (n_rows, n_units) from the output of a module."""
    try:
        responses = layer.responses(output)
    except (KeyError, IndexError, TypeError, AttributeError):
        responses = None
    if responses is None or responses.shape != (n_rows, layer.n_units):
        found = "nothing" if responses is None else f"an output of shape {tuple(responses.shape)}"
        raise InputError(
            f"{network.name}: layer {layer.name!r} should give {layer.n_units} responses to each of {n_rows} images "
            f"and gives {found}; leave it out of the layers"
        )
    return responses


def _full_precision(device: torch.device) -> contextlib.AbstractContextManager:
    """Context that disables TF32 convolutions on NVIDIA devices, which have only three digits."""
    if device.type != "cuda":
        return contextlib.nullcontext()
    cudnn = torch.backends.cudnn
    return cudnn.flags(
        enabled=cudnn.enabled, benchmark=cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False
    )


def _is_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return any(message in str(error).lower() for message in _OUT_OF_MEMORY)
