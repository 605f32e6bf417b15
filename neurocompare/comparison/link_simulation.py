"""Simulated links: neurons made from a known layer in a known way, to see which measures find that layer.

Takes units of layers; gives a table. The measures are those of ``links``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from neural_data.errors import InputError, closest
from neural_data.recordings import make_recording
from neural_data.rounding import first_largest, is_constant
from neurocompare.comparison.links import LINKS, LinkInputs, link_similarities
from neurocompare.representations.kernels import feature_rdms

__all__ = ["RECOVERY_COLUMNS", "SIMULATED_LINKS", "SimulatedLink", "Simulation", "recover_layers"]

RECOVERY_COLUMNS = ("simulated_link", "link", "layer", "layer_index", "found", "depth_error", "n_layers", "n")


@dataclass(frozen=True)
class SimulatedLink:
    """A way in which neurons follow from the units of a layer.

    Parameters
    ----------
    name : str
        Name in study files and tables.
    label : str
        Description in words.
    signal : callable
        ``(scores, n_neurons, rng)`` to responses (n_stimuli, n_neurons), from z-scored units (n_stimuli, n_units).
    """

    name: str
    label: str
    signal: Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def _linear(scores: np.ndarray, n_neurons: int, rng: np.random.Generator) -> np.ndarray:
    return scores @ rng.standard_normal((scores.shape[1], n_neurons)) / np.sqrt(scores.shape[1])


def _monotone(scores: np.ndarray, n_neurons: int, rng: np.random.Generator) -> np.ndarray:
    drive = _linear(scores, n_neurons, rng)
    return np.exp(drive / np.maximum(drive.std(axis=0), 1e-12))


def _permuted(scores: np.ndarray, n_neurons: int, rng: np.random.Generator) -> np.ndarray:
    n_units = scores.shape[1]
    return scores[:, rng.choice(n_units, n_neurons, replace=n_neurons > n_units)]


SIMULATED_LINKS: dict[str, SimulatedLink] = {
    link.name: link
    for link in (
        SimulatedLink("linear", "a random weighted sum of all units", _linear),
        SimulatedLink("monotone", "the exponential of such a sum, at a standard deviation of 1", _monotone),
        SimulatedLink("permuted", "single units, in another order", _permuted),
    )
}
"""Every simulated link by its name. To add one, add its record here."""


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """Simulated experiments.

    Parameters
    ----------
    n_neurons, n_repetitions : int
        Neurons, and presentations of each stimulus.
    noise : float
        Standard deviation of one trial over that of the neuron's mean responses to the stimuli.
    n_experiments : int
        Experiments of each kind and generating layer; neurons and noise are new in each.
    """

    n_neurons: int = 60
    n_repetitions: int = 4
    noise: float = 2.0
    n_experiments: int = 5

    def __post_init__(self):
        if self.n_neurons < 4 or self.n_repetitions < 2 or self.n_experiments < 1 or not self.noise >= 0:
            raise InputError(
                "simulated links need at least 4 neurons, 2 repetitions, 1 experiment and noise of at least 0; got "
                f"{self.n_neurons}, {self.n_repetitions}, {self.n_experiments} and {self.noise}"
            )


AS_USUAL = Simulation()


def recover_layers(
    features: Mapping[str, np.ndarray],
    patterns: pd.DataFrame,
    simulation: Simulation = AS_USUAL,
    *,
    kinds: Sequence[str] = tuple(SIMULATED_LINKS),
    links: Sequence[str] = tuple(LINKS),
    normalize: str | None = "zscore",
    rng: np.random.Generator,
) -> pd.DataFrame:
    """How often each measure finds the layer that neurons were made from.

    Parameters
    ----------
    features : mapping of str to array of shape (n_stimuli, n_units)
        Units of at least two layers, first layer first, in the order of ``patterns``.
    patterns : pandas.DataFrame
        One row per stimulus, indexed by ``stimulus_id``; columns ``identity`` and ``azimuth_deg`` where known.
    simulation : Simulation
        Neurons, repetitions, noise and number of experiments.
    kinds : sequence of str
        Names in :data:`SIMULATED_LINKS`.
    links : sequence of str
        Names in ``links.LINKS``.
    normalize : {"zscore", None}
        Of the units that are compared, as in ``compute_model_rdms``; neurons are made from z-scored units.
    rng : numpy.random.Generator
        Source of neurons and noise.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`RECOVERY_COLUMNS`; one row per simulated link, measure and generating layer: ``found``, the share
        of experiments in which this layer is the most similar, and ``depth_error``, the mean distance in relative depth
        between it and the most similar layer; ``n`` experiments.

    Raises
    ------
    InputError
        If a kind is unknown, there are fewer than two layers, or no unit of a layer varies.
    """
    for kind in kinds:
        if kind not in SIMULATED_LINKS:
            raise InputError(f"there is no simulated link {kind!r}: {closest(kind, SIMULATED_LINKS)}")
    if len(features) < 2:
        raise InputError(f"finding a layer needs at least two; there are {len(features)}")
    distances = feature_rdms(features, patterns, normalize=normalize)
    inputs = LinkInputs(distances=distances, rdms=distances, features=features)
    names = list(features)
    rows = []
    for kind in kinds:
        for place, layer in enumerate(names):
            scores = _scores(features[layer], layer)
            chosen: dict[str, list[int]] = {}
            for _ in range(simulation.n_experiments):
                signal = SIMULATED_LINKS[kind].signal(scores, simulation.n_neurons, rng)
                recording = _recording(signal, patterns, simulation, rng)
                table = link_similarities(inputs, recording, links, rng=rng)
                for link, found in table.groupby("link", sort=False):
                    similar = found["similarity"].to_numpy()
                    chosen.setdefault(str(link), []).append(int(first_largest(similar)))
            rows += [
                {
                    "simulated_link": kind,
                    "link": link,
                    "layer": layer,
                    "layer_index": place,
                    "found": float(np.mean(np.array(best) == place)),
                    "depth_error": float(np.mean(np.abs(np.array(best) - place))) / (len(names) - 1),
                    "n_layers": len(names),
                    "n": len(best),
                }
                for link, best in chosen.items()
            ]
    return pd.DataFrame(rows, columns=list(RECOVERY_COLUMNS))


def _scores(units: np.ndarray, layer: str) -> np.ndarray:
    values = np.asarray(units, dtype=float).reshape(len(units), -1)
    values = values[:, ~is_constant(values, axis=0)]
    if not values.shape[1]:
        raise InputError(f"no unit of layer {layer!r} varies over the stimuli; neurons cannot be made from it")
    return (values - values.mean(axis=0)) / values.std(axis=0)


def _recording(
    signal: np.ndarray, patterns: pd.DataFrame, simulation: Simulation, rng: np.random.Generator
) -> xr.DataArray:
    spread = signal.std(axis=0)
    rates = (signal - signal.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    trials = np.tile(rates, (simulation.n_repetitions, 1))
    trials = trials + simulation.noise * rng.standard_normal(trials.shape)
    return make_recording(
        trials,
        presentations=pd.DataFrame(
            {
                "stimulus_id": np.tile(patterns.index.to_numpy(), simulation.n_repetitions),
                "repetition": np.repeat(np.arange(simulation.n_repetitions), len(patterns)),
            }
        ),
        neuroids=pd.DataFrame(
            {"neuroid_id": [f"n{k}" for k in range(trials.shape[1])], "region": "layer", "subject": "simulated"}
        ),
        units="normalized",
        attrs={"simulated": 1},
    )
