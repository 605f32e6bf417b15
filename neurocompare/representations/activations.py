"""Responses of a network's layers to stimuli, streamed so that memory stays bounded.

Takes a :class:`~neurocompare.models.registry.Network` and a stimulus set; gives blocks of units over *all* stimuli,
layer by layer. What does not fit the memory budget at once is computed in a further pass over the stimuli.
"""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from neural_data.errors import InputError, closest
from neural_data.stimuli import StimulusSet
from neurocompare.models.registry import Network

__all__ = ["resolve_layers", "unit_blocks"]

log = logging.getLogger(__name__)


def resolve_layers(network: Network, layers: str | Sequence[str]) -> list[str]:
    """Names of the layers that are meant, in execution order.

    Parameters
    ----------
    network : Network
        Gives the names.
    layers : "all", str or sequence of str
        Names, or patterns such as ``"conv*"``.

    Returns
    -------
    list of str

    Raises
    ------
    InputError
        If a name or pattern matches no layer; the nearest right name is suggested.
    """
    known = network.layer_names()
    if isinstance(layers, str):
        layers = ["*"] if layers == "all" else [layers]
    wanted: set[str] = set()
    for pattern in layers:
        found = fnmatch.filter(known, pattern)
        if not found:
            raise InputError(f"{network.name} has no layer {pattern!r}: {closest(pattern, known)}")
        wanted.update(found)
    return [name for name in known if name in wanted]


@dataclass(frozen=True)
class _Slice:
    """Units ``start`` to ``stop`` of a layer."""

    layer: str
    start: int
    stop: int


def unit_blocks(
    network: Network,
    stimuli: StimulusSet,
    layers: Sequence[str],
    *,
    batch_size: int = 64,
    memory_mb: float = 1024.0,
) -> Iterator[tuple[str, np.ndarray]]:
    """Responses of all units to all stimuli, in blocks that fit the memory budget.

    Parameters
    ----------
    network : Network
        Run in evaluation mode, without gradients, on the device of its weights.
    stimuli : StimulusSet
        Presented at the size that the network's preprocessing names.
    layers : sequence of str
        Names from :func:`resolve_layers`.
    batch_size : int
        Images a forward pass.
    memory_mb : float
        Budget for responses held at once, megabytes. A smaller one costs more passes over the stimuli.

    Yields
    ------
    layer : str
        In the order of ``layers``; all blocks of a layer come one after the other.
    responses : array of shape (n_stimuli, n_units_of_block), float32 (or the network's own floating type)

    Raises
    ------
    InputError
        If a layer gives no tensor with one row a stimulus, or a response that is not finite.
    """
    slices = _unit_slices(network, stimuli, layers, memory_mb)
    groups = _fitting_groups(slices, len(stimuli), memory_mb)
    log.info("%s: %d layers in %d passes over %d stimuli", network.name, len(layers), len(groups), len(stimuli))
    for group in groups:
        held = {part: [] for part in group}
        for batch in stimuli.batches(batch_size, network.preprocessing.size):
            outputs = _layer_outputs(network, batch, {part.layer for part in group})
            for part in group:
                held[part].append(outputs[part.layer][:, part.start : part.stop].cpu().numpy())
            del outputs
        for part in group:
            block = np.concatenate(held.pop(part))
            if not np.isfinite(block).all():
                row = int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
                raise InputError(
                    f"{network.name}: layer {part.layer!r} gives a response that is not a finite number to stimulus "
                    f"{stimuli.ids[row]!r}; check the weights and the preprocessing"
                )
            yield part.layer, block


def _unit_slices(network: Network, stimuli: StimulusSet, layers: Sequence[str], memory_mb: float) -> list[_Slice]:
    """Every unit of every layer once, in pieces that fit the budget each by itself."""
    outputs = _layer_outputs(network, stimuli.take([0]).images(network.preprocessing.size), set(layers))
    slices = []
    for layer in layers:
        n_units = outputs[layer].shape[1]
        at_once = max(1, int(memory_mb * 1e6 / (outputs[layer].element_size() * len(stimuli))))
        slices += [_Slice(layer, start, min(start + at_once, n_units)) for start in range(0, n_units, at_once)]
    return slices


def _fitting_groups(slices: list[_Slice], n_stimuli: int, memory_mb: float) -> list[list[_Slice]]:
    """Consecutive slices that are held together, one forward pass over the stimuli a group."""
    groups: list[list[_Slice]] = []
    room = 0.0
    for part in slices:
        size = (part.stop - part.start) * n_stimuli * 4 / 1e6
        if not groups or size > room:
            groups.append([])
            room = memory_mb
        groups[-1].append(part)
        room -= size
    return groups


def _layer_outputs(network: Network, images: np.ndarray, layers: set[str]) -> dict[str, torch.Tensor]:
    """Outputs of one forward pass, flattened to (n_images, n_units).

    Outputs are cloned in the hook: a later in-place operation must not change what is stored.
    """
    outputs: dict[str, torch.Tensor] = {}

    def keep(name: str, output: object) -> None:
        tensor = _tensor_of(output)
        if tensor is None or tensor.shape[:1] != (len(images),):
            raise InputError(
                f"{network.name}: layer {name!r} gives no tensor with one row a stimulus; leave it out of the layers"
            )
        outputs.setdefault(name, tensor.detach().clone().flatten(1))

    modules = dict(network.module.named_modules())
    handles = [
        modules[name].register_forward_hook(lambda _module, _inputs, output, name=name: keep(name, output))
        for name in layers
    ]
    try:
        with torch.inference_mode():
            network.module.eval()(network.preprocessing(images, network.device))
    finally:
        for handle in handles:
            handle.remove()
    return outputs


def _tensor_of(output: object) -> torch.Tensor | None:
    """The tensor in what a module returned: itself, or the first one in a tuple or dict."""
    if isinstance(output, torch.Tensor):
        return output
    parts = output.values() if isinstance(output, dict) else output if isinstance(output, (tuple, list)) else ()
    return next((part for part in parts if isinstance(part, torch.Tensor)), None)
