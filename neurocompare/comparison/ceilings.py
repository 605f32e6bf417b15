"""Noise ceilings: reliability of a population's RDM, and the best fit that a model can be expected to reach.

Takes recordings or arrays of responses; gives numbers and tables. Reliability over neurons is the expected
correlation with another sample of as many neurons, reliability over trials that with other trials of the same neurons;
leaving out subjects estimates the fit to another subject.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from rsatoolbox.rdm import RDMs
from rsatoolbox.util.inference_util import pool_rdm

from neural_data.errors import InputError
from neural_data.stimuli import StimulusSet
from neurocompare.comparison.controls import cells_of_pairs
from neurocompare.comparison.fits import fits_of_rows
from neurocompare.comparison.methods import METHODS, find_method
from neurocompare.comparison.reliability import Reliability, neuron_reliability, spearman_brown
from neurocompare.representations.dissimilarities import Population, find_dissimilarity
from neurocompare.representations.neural_rdms import (
    EVERY_REGION,
    PopulationRequest,
    compute_neural_rdms,
    dissimilarities,
    populations,
)
from neurocompare.representations.rdms import rdm_table

__all__ = [
    "ceilings_of_rdms",
    "neuron_ceilings",
    "root",
    "split_half_reliability",
    "subject_bounds",
    "subject_ceilings",
    "trial_reliability",
]

FEWEST_NEURONS = 4
"""Smallest number of neurons that can be split: each half has at least two."""
JACKKNIFE_GROUPS = 20
"""Groups of neurons that are left out in turn for the standard error of an index; see ``orders_without_groups``."""


def split_half_reliability(responses: np.ndarray, *, n_splits: int = 100, rng: np.random.Generator) -> float:
    """Split-half reliability of a population RDM over neurons.

    Parameters
    ----------
    responses : array of shape (n_stimuli, n_neurons)
        Mean firing rate of each neuron to each stimulus, spikes/s.
    n_splits : int
        Random splits of the neurons into halves; their mean correlation is extrapolated to the whole.
    rng : numpy.random.Generator
        Source of the splits.

    Returns
    -------
    float
        Expected correlation of this RDM (1 - Pearson's r across neurons) with one from as many new neurons; unitless,
        at most 1. NaN if the halves' RDMs are constant.

    Raises
    ------
    ValueError
        If there are fewer than four neurons or fewer than three stimuli, or a response is not finite.

    References
    ----------
    Spearman (1910); Brown (1910). Used as lower noise ceiling in eLife 90256, Figure 6. ``reliability`` documents the
    correction that is added to their formula.
    """
    responses = np.asarray(responses, dtype=float)
    if responses.ndim != 2 or responses.shape[1] < FEWEST_NEURONS or responses.shape[0] < 3:
        raise ValueError(
            "a split-half reliability needs responses of at least three stimuli and four neurons; got shape "
            f"{responses.shape}"
        )
    if not np.isfinite(responses).all():
        raise ValueError("responses have NaN or infinite values; leave out those neurons or stimuli first")
    population = Population(region="population", subject="", responses=responses)
    return neuron_reliability(population, n_splits=_checked_splits(n_splits), with_se=False, rng=rng).value


def neuron_ceilings(
    recording: xr.DataArray,
    request: PopulationRequest = EVERY_REGION,
    *,
    rng: np.random.Generator,
    dissimilarity: str = "correlation",
    normalize: str | None = None,
    method: str = "corr",
    control: str | Sequence[str] = (),
    n_splits: int = 100,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Noise ceiling of every region from split halves of its neurons.

    Parameters
    ----------
    recording : xarray.DataArray
        A recording.
    request : PopulationRequest
        Which populations of it, and which stimuli.
    rng : numpy.random.Generator
        Source of the splits.
    dissimilarity, normalize
        See :func:`~neurocompare.representations.neural_rdms.compute_neural_rdms`; a ceiling is valid for RDMs computed
        in the same way.
    method : str
        Measure of fit of the ceiling, as in :func:`~neurocompare.comparison.fits.compare_rdms`.
    control : str or sequence of str
        Controls partialled out of RDMs, as in ``infer_fits``.
    n_splits : int
        Random splits of the neurons into halves.
    confidence : float
        Nominal coverage of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per region (and subject): ``region, subject, n_neurons, n_stimuli, ceiling_lower, ceiling_lower_se,
        ceiling_lower_low, ceiling_lower_high, ceiling_upper, ceiling_upper_low, ceiling_upper_high, method,
        dissimilarity, n_splits, simulated``. ``ceiling_lower`` is the reliability, the expected fit of the RDM of as
        many new neurons. ``ceiling_upper`` is its square root, the expected fit of the RDM of infinitely many neurons,
        and so of a true model. Intervals generalise over neurons, for these stimuli (jackknife over
        groups of neurons, Student's t on Fisher's z scale); they are computed for corr, cosine, spearman and rho-a.
        NaN for a region with fewer than four neurons, and for the root of a negative reliability.

    Raises
    ------
    InputError
        If the method is unknown, or the RDMs cannot be computed.

    Notes
    -----
    ``analyses/calibration/coverage.py`` measures how often intervals cover, at any number of identities and neurons.
    """
    find_method(method)
    patterns, groups = populations(
        recording,
        request,
        with_trials=find_dissimilarity(dissimilarity).needs_trials,
    )
    if len(groups[0].responses) < 3:
        raise InputError(f"a noise ceiling needs at least three stimuli; there are {len(groups[0].responses)}")
    cells = cells_of_pairs(control, patterns)
    rows = []
    for group in groups:
        found = Reliability(np.nan, np.nan, 0)
        if group.responses.shape[1] >= FEWEST_NEURONS:
            found = neuron_reliability(
                group,
                dissimilarity=dissimilarity,
                normalize=normalize,
                method=method,
                cells=cells,
                n_splits=_checked_splits(n_splits),
                with_se=METHODS[method].rowwise is not None,
                rng=rng,
            )
        rows.append(
            _about(group)
            | ceiling_of(found, confidence)
            | {
                "method": method,
                "dissimilarity": dissimilarity,
                "n_splits": n_splits,
                "simulated": group.simulated,
            }
        )
    return pd.DataFrame(rows)


def ceiling_of(found: Reliability, confidence: float = 0.95) -> dict[str, float]:
    """Columns of :func:`neuron_ceilings` that come from a reliability: ``ceiling_lower, ceiling_lower_se`` and on.

    Parameters
    ----------
    found : Reliability
        Of one population.
    confidence : float
        Nominal coverage of the intervals.
    """
    low, high = found.interval(confidence)
    return {
        "ceiling_lower": found.value,
        "ceiling_lower_se": found.value_se,
        "ceiling_lower_low": low,
        "ceiling_lower_high": high,
        "ceiling_upper": root(found.value),
        "ceiling_upper_low": root(max(low, 0.0)),
        "ceiling_upper_high": root(high),
    }


def root(reliability: float) -> float:
    """Expected fit of a true model to an RDM with this reliability: its square root; NaN if negative."""
    return float(np.sqrt(reliability)) if reliability >= 0 else float("nan")


def trial_reliability(
    recording: xr.DataArray,
    request: PopulationRequest = EVERY_REGION,
    *,
    rng: np.random.Generator,
    dissimilarity: str = "correlation",
    normalize: str | None = None,
    method: str = "corr",
    n_splits: int = 100,
) -> pd.DataFrame:
    """Reliability of every region's RDM over trials of the same neurons, from halves of the repetitions.

    Parameters
    ----------
    recording : xarray.DataArray
        A recording with at least two responses a cell (crossnobis: four).
    request : PopulationRequest
        Which populations of it, and which stimuli.
    rng : numpy.random.Generator
        Source of the splits; the trials of each stimulus are split independently.
    dissimilarity, normalize, method, n_splits
        See :func:`neuron_ceilings`.

    Returns
    -------
    pandas.DataFrame
        One row per region (and subject): ``region, subject, n_neurons, n_stimuli, n_repetitions, reliability, method,
        dissimilarity, n_splits, simulated``.

    Raises
    ------
    InputError
        If there are too few repetitions, the method is unknown, or the RDMs cannot be computed.

    Notes
    -----
    The Spearman-Brown formula holds for sums of independent parts. Noise also enters dissimilarities squared, so the
    corrected value is approximate (``analyses/ceilings_check`` measures its bias).
    """
    find_method(method)
    _, groups = populations(recording, request, with_trials=True)
    n_repetitions = len(groups[0].single_responses)
    fewest = find_dissimilarity(dissimilarity).fewest_repetitions
    if n_repetitions < fewest:
        raise InputError(
            f"trial split halves of {dissimilarity} RDMs need at least {fewest} responses of every "
            f"neuron to every stimulus; there are {n_repetitions}"
        )
    half = n_repetitions // 2
    rows = []
    for group in groups:
        fits = []
        trials = group.single_responses
        for _ in range(_checked_splits(n_splits)):
            order = np.argsort(rng.random(trials.shape[:2]), axis=0)[:, :, None]
            shuffled = np.take_along_axis(trials, order, axis=0)
            sides = [shuffled[:half], shuffled[half : 2 * half]]
            parts = [dataclasses.replace(group, responses=side.mean(axis=0), trials=side) for side in sides]
            one, other = (_rdm_vector(part, dissimilarity=dissimilarity, normalize=normalize) for part in parts)
            fits.append(_agreement(one, other, method))
        rows.append(
            _about(group)
            | {
                "n_repetitions": n_repetitions,
                "reliability": spearman_brown(_mean(fits), n_repetitions / half),
                "method": method,
                "dissimilarity": dissimilarity,
                "n_splits": n_splits,
                "simulated": group.simulated,
            }
        )
    return pd.DataFrame(rows)


def subject_ceilings(
    recording: xr.DataArray,
    *,
    stimuli: StimulusSet | None = None,
    dissimilarity: str = "correlation",
    normalize: str | None = None,
    method: str = "corr",
    missing: str = "refuse",
) -> pd.DataFrame:
    """Noise ceiling of every region from its subjects, each left out in turn.

    Parameters
    ----------
    recording : xarray.DataArray
        A recording of several subjects.
    stimuli, dissimilarity, normalize, missing
        See :func:`~neurocompare.representations.neural_rdms.compute_neural_rdms`.
    method
        See :func:`neuron_ceilings`.

    Returns
    -------
    pandas.DataFrame
        One row per region: ``region, n_subjects, n_neurons, n_stimuli, ceiling_lower, ceiling_upper, method,
        dissimilarity, simulated``. ``ceiling_lower`` is the mean fit of each subject's RDM to the pooled RDM of the
        others, ``ceiling_upper`` to the pooled RDM of all subjects, itself included; RDMs are pooled as in rsatoolbox
        for the method. NaN for a region recorded in one subject.

    Raises
    ------
    InputError
        If no region was recorded in two subjects, or the RDMs cannot be computed.

    References
    ----------
    Nili et al. (2014), PLOS Computational Biology 10:e1003553.
    """
    find_method(method)
    rdms = compute_neural_rdms(
        recording, dissimilarity=dissimilarity, normalize=normalize, stimuli=stimuli, by_subject=True, missing=missing
    )
    table = rdm_table(rdms)
    if table.groupby("region")["subject"].nunique().max() < 2:
        raise InputError(
            "a ceiling over subjects needs a region recorded in at least two subjects; name the subjects when reading, "
            "or use the ceiling over neurons"
        )
    return ceilings_of_rdms(rdms, method=method)


def ceilings_of_rdms(rdms: RDMs, *, method: str = "corr") -> pd.DataFrame:
    """Noise ceiling of every region from RDMs of its subjects, each left out in turn.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        RDM descriptors ``region`` and ``subject``; ``n_neurons`` and ``simulated`` where known.
    method : str
        As in :func:`neuron_ceilings`.

    Returns
    -------
    pandas.DataFrame
        Columns of :func:`subject_ceilings`; NaN if a region has RDMs of one subject only, or two of one subject.
    """
    table = rdm_table(rdms)
    table = table.assign(**{n: v for n, v in (("n_neurons", np.nan), ("simulated", False)) if n not in table.columns})
    table = table if "subject" in table.columns else table.assign(subject="")
    rows = []
    for region, members in table.groupby("region", sort=False):
        lower = upper = np.nan
        if len(members) > 1 and members["subject"].is_unique:
            lower, upper = subject_bounds(rdms.get_vectors()[members.index.to_numpy()], method)
        rows.append(
            {
                "region": region,
                "n_subjects": len(members),
                "n_neurons": members["n_neurons"].sum(min_count=1),
                "n_stimuli": rdms.n_cond,
                "ceiling_lower": lower,
                "ceiling_upper": upper,
                "method": method,
                "dissimilarity": rdms.dissimilarity_measure,
                "simulated": bool(members["simulated"].iloc[0]),
            }
        )
    return pd.DataFrame(rows)


def subject_bounds(vectors: np.ndarray, method: str = "corr") -> tuple[float, float]:
    """Mean fit of RDM vectors (n_subjects, n_pairs) to the pooled vector of the others, and to that of all."""
    others = np.arange(len(vectors))[:, None] != np.arange(len(vectors))
    lower = _mean([_agreement(_pooled(vectors[o], method), v, method) for v, o in zip(vectors, others, strict=True)])
    return lower, _mean([_agreement(_pooled(vectors, method), v, method) for v in vectors])


def _about(group: Population) -> dict[str, object]:
    return {
        "region": group.region,
        "subject": group.subject,
        "n_neurons": group.responses.shape[1],
        "n_stimuli": len(group.responses),
    }


def _checked_splits(n_splits: int) -> int:
    if n_splits < 1:
        raise InputError(f"n_splits must be at least 1; got {n_splits}")
    return n_splits


def neuron_orders(n_neurons: int, n_splits: int, rng: np.random.Generator) -> np.ndarray:
    """Random orders of the neurons, (n_splits, n_neurons); the first and second part of an order are the halves."""
    return np.stack([rng.permutation(n_neurons) for _ in range(_checked_splits(n_splits))])


def orders_without_groups(orders: np.ndarray) -> list[np.ndarray]:
    """Orders of the neurons with each of up to twenty random groups of neurons left out in turn.

    Parameters
    ----------
    orders : integer array of shape (n_splits, n_neurons)
        From :func:`neuron_orders`.

    Returns
    -------
    list of integer arrays of shape (n_fewer_splits, n_kept)
        One per group; an empty list if fewer than four neurons would be kept.
    """
    n_neurons = orders.shape[1]
    n_groups = min(JACKKNIFE_GROUPS, n_neurons // 2)
    membership = np.argsort(orders[0]) % n_groups
    fewer = orders[: max(len(orders) // 5, min(10, len(orders)))]
    kept = [np.array([order[membership[order] != group] for order in fewer]) for group in range(n_groups)]
    return [part for part in kept if part.shape[1] >= FEWEST_NEURONS]


def grouped_jackknife_variance(by_group: np.ndarray) -> float:
    """Jackknife variance of an estimate over neurons, corrected for the finite number of random splits.

    Parameters
    ----------
    by_group : array of shape (n_groups, n_splits)
        Estimates without each group, by split; their mean over splits is the estimate without that group.

    Returns
    -------
    float
        Jackknife variance of the means over splits, minus the contribution of the splits (their interaction with
        groups, as all groups have the same splits); at least 0. NaN with fewer than two groups or splits, or if an
        estimate is undefined.
    """
    if by_group.ndim != 2 or min(by_group.shape) < 2:
        return float("nan")
    n_groups, n_splits = by_group.shape
    means = by_group.mean(axis=1, keepdims=True)
    rest = by_group - means - by_group.mean(axis=0) + by_group.mean()
    noise = (rest**2).sum() / ((n_groups - 1) * (n_splits - 1)) / n_splits
    variance = (n_groups - 1) * means.var() - (n_groups - 1) ** 2 / n_groups * noise
    return float(np.maximum(variance, 0.0))


def _rdm_vector(population: Population, *, dissimilarity: str, normalize: str | None) -> np.ndarray:
    matrix, _ = dissimilarities(population, dissimilarity=dissimilarity, normalize=normalize)
    return matrix[np.triu_indices(len(matrix), 1)]


def _agreement(first: np.ndarray, second: np.ndarray, method: str) -> float:
    """Fit of one RDM vector to another; NaN where it is undefined."""
    return float(fits_of_rows(first[None], second[None], method)[0, 0])


def _pooled(vectors: np.ndarray, method: str) -> np.ndarray:
    """Pooled RDM vector, which fits the given vectors best, as in rsatoolbox for the method."""
    with warnings.catch_warnings():
        # Ranks are averaged for every rank measure; rsatoolbox warns of this for tau.
        warnings.filterwarnings("ignore", message="Noise ceiling for tau")
        return pool_rdm(RDMs(vectors), method=method).get_vectors()[0]


def _mean(fits: Sequence[float] | np.ndarray) -> float:
    """Mean over splits in which the fit is defined; NaN if there is none."""
    defined = np.isfinite(fits)
    return float(np.asarray(fits)[defined].mean()) if defined.any() else float("nan")
