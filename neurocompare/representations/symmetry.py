"""Symmetry of a network's weights: how well each kernel correlates with its own mirror image.

Takes a network; looks at no stimuli. The symmetry of images is measured in ``stimuli.luminance``.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import torch
from torch import nn

from neural_data.errors import InputError, closest
from neurocompare.models.registry import Network
from neurocompare.representations.correlation import correlate_rows
from neurocompare.representations.rdms import LAYER

__all__ = ["KERNEL_COLUMNS", "kernel_symmetry", "weight_symmetry"]

KERNEL_COLUMNS = (*LAYER, "transform", "channel", "symmetry")
FLIPPED_AXES = {"left-right": -1, "up-down": -2}


def weight_symmetry(weights: np.ndarray, transform: str = "left-right") -> np.ndarray:
    """Correlation of each output channel's weights with their mirror image.

    Parameters
    ----------
    weights : array of shape (n_out, n_in, height, width)
        Kernels, one row of n_in maps per output channel.
    transform : {"left-right", "up-down"}
        The flip.

    Returns
    -------
    array of shape (n_out,)
        Pearson's r, over input channels and places, between the left (upper) half of the weights and the same half of
        the flipped weights; the middle column (row) of odd sizes belongs to neither. NaN if a half is constant, as
        in kernels of one column.
    """
    if transform not in FLIPPED_AXES:
        raise InputError(f"kernels have no flip {transform!r}: {closest(transform, FLIPPED_AXES)}")
    axis = FLIPPED_AXES[transform]
    half = weights.shape[axis] // 2
    places = np.arange(half)
    first = np.take(weights, places, axis=axis).reshape(len(weights), -1).astype(float)
    second = np.take(np.flip(weights, axis), places, axis=axis).reshape(len(weights), -1).astype(float)
    return correlate_rows(first, second)


def kernel_symmetry(network: Network) -> pd.DataFrame:
    """Symmetry of every kernel of the convolutions and of the first fully connected layer.

    Parameters
    ----------
    network : Network
        Presented with one image of noise, to see the order of its layers and the map that feeds the first fully
        connected one.

    Returns
    -------
    pandas.DataFrame
        Columns ``KERNEL_COLUMNS``: one row per layer with weights, flip (``left-right``, ``up-down``) and output
        channel; ``layer_index`` counts the layers with weights in the order in which they run. The weights of the first
        fully connected layer are reshaped to the map that feeds it; without one (pooled to a single place) it has no
        rows. Layers have the network's own names, if it lists them; otherwise, and if a named layer
        contains several modules, the names of modules.
    """
    rows = []
    kernels = _kernels(network)
    named = Counter(_layer_name(network, name) for name, _ in kernels)
    for index, (name, weights) in enumerate(kernels):
        layer = _layer_name(network, name)
        for transform in FLIPPED_AXES:
            symmetry = weight_symmetry(weights, transform)
            rows.append(
                pd.DataFrame(
                    {
                        "model": network.name,
                        "regime": network.regime,
                        "seed": network.seed,
                        "layer": layer if named[layer] == 1 else name,
                        "layer_index": index,
                        "transform": transform,
                        "channel": np.arange(len(symmetry)),
                        "symmetry": symmetry,
                    }
                )
            )
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=list(KERNEL_COLUMNS))


def _kernels(network: Network) -> list[tuple[str, np.ndarray]]:
    """Name and weights (n_out, n_in, height, width) of convolutions and the first fully connected layer, in order."""
    kernels: dict[str, np.ndarray] = {}
    maps: list[torch.Tensor] = []
    dense: list[str] = []

    def look(name: str, part: nn.Module, inputs: tuple, output: object) -> None:
        if isinstance(part, nn.Conv2d):
            kernels.setdefault(name, part.weight.detach().cpu().float().numpy())
        elif isinstance(part, nn.Linear) and not dense:
            dense.append(name)
            feeding = next((m for m in reversed(maps) if torch.equal(m.flatten(1), inputs[0])), None)
            if feeding is not None:
                shape = (part.out_features, *feeding.shape[1:])
                kernels[name] = part.weight.detach().cpu().float().reshape(shape).numpy()
        if isinstance(output, torch.Tensor) and output.dim() == 4 and output.shape[2:].numel() > 1:
            maps.append(output.clone())

    handles = [
        part.register_forward_hook(lambda part, inputs, output, name=name: look(name, part, inputs, output))
        for name, part in network.module.named_modules()
        if not list(part.children()) or isinstance(part, (nn.Conv2d, nn.Linear))
    ]
    try:
        with torch.inference_mode():
            network.module(network.example(1 if network.manner.one_at_a_time else 2))
    finally:
        for handle in handles:
            handle.remove()
    return list(kernels.items())


def _layer_name(network: Network, module_name: str) -> str:
    """Name of the layer that contains a module, if the network lists its layers; else the module's name."""
    named = getattr(network.module, "layer_names", ())
    holders = [name for name in named if module_name == name or module_name.startswith(name + ".")]
    return max(holders, key=len) if holders else module_name
