"""One-to-one matching: for every neuron of a patch one unit of a layer, chosen on some identities, tested on others.

Unlike a linear read-out it asks whether single units of a layer are tuned as single neurons are, which a rotation of
the layer's space would destroy. Matching and test are those of a read-out whose prediction is the response of one unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr
from rsatoolbox.rdm import RDMs
from scipy.optimize import linear_sum_assignment

from neural_data.errors import InputError
from neural_data.rounding import is_constant
from neurocompare.comparison.encoding import Cell, EncodingResult, pooled_result, undefined_cell
from neurocompare.comparison.encoding_design import (
    Design,
    Encoding,
    design_of,
    factors_or_usual,
    neurons_of,
    usual_question,
)
from neurocompare.comparison.patch_responses import PatchResponses, patch_responses
from neurocompare.comparison.ridge import SCORES, weighted_scores
from neurocompare.comparison.sampling import STIMULI, source_of
from neurocompare.representations.rdms import pattern_table, rdm_table

__all__ = ["infer_matching", "match_patches", "match_units"]

MOST_UNITS = 1000


def infer_matching(
    features: Mapping[str, np.ndarray],
    recording: xr.DataArray | Mapping,
    layers: RDMs,
    *,
    resample: str | Sequence[str] | None = None,
    n_folds: int = 5,
    most_units: int = MOST_UNITS,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> EncodingResult:
    """Held-out correlation of neurons with the units matched to them, one unit for one neuron.

    Parameters
    ----------
    features : mapping of str to array of shape (n_stimuli, n_units)
        Units of each layer by its name, in the order of the stimuli of ``layers``.
    recording, resample, confidence, rng
        As in ``infer_encoding``.
    layers : rsatoolbox.rdm.RDMs
        RDMs that name the layers and the stimuli: RDM descriptor ``layer``, pattern descriptors ``stimulus_id`` and,
        where known, ``identity``.
    n_folds : int
        Folds of identities; units are matched outside a fold and tested inside.
    most_units : int
        Of a layer with more units, so many are taken at random.

    Returns
    -------
    EncodingResult
        ``penalty`` is empty; there are no draws. Matches are those of all identities outside a fold, also where
        identities are left out.

    Raises
    ------
    InputError
        If a layer lacks its features, or has not one row per stimulus, or two RDMs have a layer of the same name.

    References
    ----------
    Li, Yosinski, Clune, Lipson & Hopcroft (2015), arXiv:1511.07543. Khosla & Williams (2024), arXiv:2311.09466, of
    which this is the hard assignment, cross-validated.
    """
    ids = [str(one) for one in layers.pattern_descriptors["stimulus_id"]]
    factors = factors_or_usual(resample, layers, recording)
    patches = patch_responses(recording, ids)
    return match_patches(
        features, patches, layers, factors, n_folds=n_folds, most_units=most_units, confidence=confidence, rng=rng
    )


def match_patches(
    features: Mapping[str, np.ndarray],
    patches: Sequence[PatchResponses],
    layers: RDMs,
    factors: tuple[str, ...],
    *,
    n_folds: int = 5,
    most_units: int = MOST_UNITS,
    seed: int | None = None,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> EncodingResult:
    """Matching of patches whose responses are given; the work behind :func:`infer_matching`.

    Parameters
    ----------
    features, layers, n_folds, most_units, confidence, rng
        As in :func:`infer_matching`.
    patches : sequence of PatchResponses
        Stimuli in the order of ``layers``.
    factors : tuple of str
        What is resampled: names in ``resampling.FACTORS``; empty for scores alone.
    seed : int or None
        Of what is left out, see ``sampling``; None takes it from ``rng``.
    """
    patterns, models = pattern_table(layers), rdm_table(layers)
    _check_names(models)
    across = usual_question(layers)
    settings = Encoding(across=across, n_folds=n_folds, penalties=(1.0,))
    stimuli = rng if seed is None else source_of(seed, STIMULI)
    design = design_of(settings, across, patterns.reset_index(), factors, (2, 0), rng, units=stimuli)
    sources = [rng if seed is None else source_of(seed, place) for place in range(1, len(patches) + 1)]
    populations = [neurons_of(patch, design, 2, True, source) for patch, source in zip(patches, sources, strict=True)]
    cells = []
    for layer in models["layer"]:
        units = _units(features, str(layer), len(patterns), most_units, rng)
        row = []
        for neurons in populations:
            if not units.shape[1]:
                row.append(undefined_cell(design, neurons))
                continue
            matched = _matched_responses(units, neurons.scaled, design)
            scores = weighted_scores(SCORES["corr"], neurons.scaled, matched, design.weights, design.folds)
            no_draws = np.full(len(design.counts), np.nan)
            row.append(Cell(scores, no_draws, None, np.full(scores.shape[1], np.nan)))
        cells.append(row)
    found = pooled_result(cells, models, settings, across, patterns, design, populations, confidence)
    pooled = replace(found.pooled, draws=found.pooled.draws[:0], method=f"one-to-one matching, {settings.score}")
    return replace(found, pooled=pooled)


def _check_names(models: pd.DataFrame) -> None:
    if "layer" not in models:
        raise InputError("one-to-one matching finds units by the name of their layer, and these RDMs have no 'layer'")
    twice = models["layer"][models["layer"].duplicated()]
    if len(twice):
        raise InputError(
            f"two RDMs are of a layer {str(twice.iloc[0])!r}, and units are found by the name of their layer; match "
            "one network at a time"
        )


def match_units(units: np.ndarray, neurons: np.ndarray) -> np.ndarray:
    """Position of the unit matched to each neuron: distinct units with the largest sum of correlations.

    Parameters
    ----------
    units, neurons : arrays of shape (n_stimuli, n_units) and (n_stimuli, n_neurons)
        Responses to the same stimuli, in the same order.

    Returns
    -------
    integer array of shape (n_neurons,)
        -1 for neurons that are left without a unit, where there are more neurons than units.
    """
    similar = _scores(neurons).T @ _scores(units) / len(units)
    rows, columns = linear_sum_assignment(similar, maximize=True)
    found = np.full(neurons.shape[1], -1)
    found[rows] = columns
    return found


def _scores(values: np.ndarray) -> np.ndarray:
    """Columns at mean 0 and variance 1; 0 where constant."""
    centred = values - values.mean(axis=0)
    spread = np.where(is_constant(values, axis=0), 0.0, centred.std(axis=0))
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)


def _matched_responses(units: np.ndarray, neurons: np.ndarray, design: Design) -> np.ndarray:
    """Responses of the units matched outside each fold, to the stimuli inside; constant without a unit."""
    found = np.zeros(neurons.shape)
    for fold in range(int(design.folds.max()) + 1):
        inside = design.folds == fold
        matched = match_units(units[~inside], neurons[~inside])
        there = matched >= 0
        values = units[inside][:, matched[there]]
        spread = units[~inside][:, matched[there]].std(axis=0)
        found[np.ix_(inside, there)] = values / np.where(spread > 0, spread, 1.0)
    return found


def _units(
    features: Mapping[str, np.ndarray], layer: str, n_stimuli: int, most: int, rng: np.random.Generator
) -> np.ndarray:
    if layer not in features:
        raise InputError(f"there are no features of layer {layer!r}; there are those of {', '.join(features)}")
    units = np.asarray(features[layer], dtype=float).reshape(len(features[layer]), -1)
    if len(units) != n_stimuli or not np.isfinite(units).all():
        raise InputError(f"features of layer {layer!r} must be finite, one row for each of {n_stimuli} stimuli")
    varying = np.flatnonzero(~is_constant(units, axis=0))
    if len(varying) > most:
        varying = np.sort(rng.choice(varying, most, replace=False))
    return units[:, varying]
