"""Responses of random units of each layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neural_data.stimuli import StimulusSet
from neurocompare.models.registry import Network
from neurocompare.representations.activations import unit_blocks

__all__ = ["choose_units", "sampled_units"]


def choose_units(
    network: Network, layers: Sequence[str], n_units: int, *, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Positions of random units of each layer, rising, at most ``n_units``.

    Parameters
    ----------
    network : Network
        Whose layers are read.
    layers : sequence of str
        Names of layers.
    n_units : int
        Of each layer, at most.
    rng : numpy.random.Generator
        Source of all random numbers.

    Returns
    -------
    dict of str to integer array
        By layer, in execution order.
    """
    sizes = {layer.name: layer.n_units for layer in network.select(layers)}
    return {name: np.sort(rng.choice(size, min(size, n_units), replace=False)) for name, size in sizes.items()}


def sampled_units(network: Network, stimuli: StimulusSet, chosen: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Responses of chosen units.

    Parameters
    ----------
    network : Network
        Whose layers are read.
    stimuli : StimulusSet
        Presented at the network's input size.
    chosen : dict of str to integer array
        From :func:`choose_units`.

    Returns
    -------
    dict of str to array of shape (n_stimuli, n_chosen), float64
        By layer.
    """
    parts: dict[str, list[np.ndarray]] = {name: [] for name in chosen}
    start = dict.fromkeys(chosen, 0)
    for name, responses in unit_blocks(network, stimuli, list(chosen)):
        stop = start[name] + responses.shape[1]
        here = chosen[name][(chosen[name] >= start[name]) & (chosen[name] < stop)]
        parts[name].append(responses[:, here - start[name]].astype(float))
        start[name] = stop
    return {name: np.concatenate(of_layer, axis=1) for name, of_layer in parts.items()}
