"""How well the best model could fit: reliability of a population's RDM, and noise ceilings.

Takes recordings or arrays of responses; gives numbers and one table. Reliability over neurons asks what another
sample of as many neurons would give, reliability over trials what another set of trials of the same neurons would.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import xarray as xr

from neural_data.errors import InputError
from neural_data.stimuli import StimulusSet
from neurocompare.comparison.fits import check_method, fits_on_counts
from neurocompare.representations.neural_rdms import Population, dissimilarities, populations

__all__ = ["neuron_ceilings", "spearman_brown", "split_half_reliability"]

FEWEST_NEURONS = 4
"""Fewer cannot be halved: a half holds at least two."""


def split_half_reliability(responses: np.ndarray, *, n_splits: int = 100, rng: np.random.Generator) -> float:
    """Reliability of a population RDM over neurons, Spearman-Brown corrected.

    Parameters
    ----------
    responses : array of shape (n_stimuli, n_neurons)
        Mean firing rate of each neuron to each stimulus, spikes/s.
    n_splits : int
        Random splits of the neurons into halves; their mean correlation is corrected.
    rng : numpy.random.Generator
        Source of the splits.

    Returns
    -------
    float
        Expected correlation of this RDM (1 - Pearson's r across neurons) with one from as many new neurons; unitless,
        at most 1. NaN where the halves' RDMs are constant.

    Raises
    ------
    ValueError
        If there are fewer than four neurons or fewer than three stimuli, or a response is not finite.

    References
    ----------
    Spearman (1910); Brown (1910). Used as lower noise ceiling in eLife 90256, Figure 6.
    """
    responses = np.asarray(responses, dtype=float)
    if responses.ndim != 2 or responses.shape[1] < FEWEST_NEURONS or responses.shape[0] < 3:
        raise ValueError(
            "a split-half reliability needs responses of at least three stimuli and four neurons; got shape "
            f"{responses.shape}"
        )
    if not np.isfinite(responses).all():
        raise ValueError("responses hold NaN or infinite values; leave out those neurons or stimuli first")
    population = Population(region="population", subject="", responses=responses)
    return _neuron_reliability(population, n_splits=n_splits, rng=rng)


def spearman_brown(correlation: float, factor: float = 2.0) -> float:
    """Reliability of a measurement ``factor`` times as long as the halves that were correlated.

    Parameters
    ----------
    correlation : float
        Mean correlation of the parts.
    factor : float
        Length of the whole in parts.

    Returns
    -------
    float
        ``factor r / (1 + (factor - 1) r)``, at most 1.
    """
    return factor * correlation / (1 + (factor - 1) * correlation)


def neuron_ceilings(
    recording: xr.DataArray,
    *,
    rng: np.random.Generator,
    stimuli: StimulusSet | None = None,
    dissimilarity: str = "correlation",
    normalize: str | None = None,
    method: str = "corr",
    by_subject: bool = False,
    missing: str = "refuse",
    n_splits: int = 100,
) -> pd.DataFrame:
    """Noise ceiling of every region from split halves of its neurons.

    Parameters
    ----------
    recording : xarray.DataArray
        A recording.
    rng : numpy.random.Generator
        Source of the splits.
    stimuli, dissimilarity, normalize, by_subject, missing
        See :func:`~neurocompare.representations.neural_rdms.compute_neural_rdms`; a ceiling holds for RDMs that were
        made in the same way.
    method : str
        Measure of fit whose ceiling is wanted, as in :func:`~neurocompare.comparison.fits.compare_rdms`.
    n_splits : int
        Random splits of the neurons into halves.

    Returns
    -------
    pandas.DataFrame
        One row a region (and subject): ``region, subject, n_neurons, n_stimuli, ceiling_lower, ceiling_upper, method,
        dissimilarity, n_splits, simulated``. ``ceiling_lower`` is the reliability, the expected fit of an equal sample
        of new neurons; ``ceiling_upper`` its square root, the expected fit of the RDM of infinitely many. NaN where
        a region has fewer than four neurons, or a negative reliability has no root.

    Raises
    ------
    InputError
        If the method is unknown, or the RDMs cannot be computed.
    """
    check_method(method)
    _, groups = populations(
        recording,
        stimuli=stimuli,
        by_subject=by_subject,
        missing=missing,
        with_trials=dissimilarity == "crossnobis",
    )
    if len(groups[0].responses) < 3:
        raise InputError(f"a noise ceiling needs at least three stimuli; there are {len(groups[0].responses)}")
    rows = []
    for group in groups:
        lower = np.nan
        if group.responses.shape[1] >= FEWEST_NEURONS:
            lower = _neuron_reliability(
                group, n_splits=n_splits, rng=rng, method=method, dissimilarity=dissimilarity, normalize=normalize
            )
        rows.append(
            {
                "region": group.region,
                "subject": group.subject,
                "n_neurons": group.responses.shape[1],
                "n_stimuli": len(group.responses),
                "ceiling_lower": lower,
                "ceiling_upper": np.sqrt(lower) if lower >= 0 else np.nan,
                "method": method,
                "dissimilarity": dissimilarity,
                "n_splits": n_splits,
                "simulated": group.simulated,
            }
        )
    return pd.DataFrame(rows)


def _neuron_reliability(
    population: Population,
    *,
    n_splits: int,
    rng: np.random.Generator,
    method: str = "corr",
    dissimilarity: str = "correlation",
    normalize: str | None = None,
) -> float:
    """Corrected mean agreement of the RDMs of random halves of the neurons; an odd neuron sits out in turn."""
    if n_splits < 1:
        raise InputError(f"n_splits must be at least 1; got {n_splits}")
    n_neurons = population.responses.shape[1]
    half = n_neurons // 2
    halves = np.empty((2, n_splits, population.responses.shape[0] * (population.responses.shape[0] - 1) // 2))
    upper = np.triu_indices(population.responses.shape[0], 1)
    for split in range(n_splits):
        order = rng.permutation(n_neurons)
        for side, chosen in enumerate((order[:half], order[half : 2 * half])):
            part = _neurons(population, chosen)
            halves[side, split] = dissimilarities(part, dissimilarity=dissimilarity, normalize=normalize)[0][upper]
    return spearman_brown(_mean_agreement(halves[0], halves[1], method), n_neurons / half)


def _neurons(population: Population, chosen: np.ndarray) -> Population:
    trials = None if population.trials is None else population.trials[:, :, chosen]
    return dataclasses.replace(population, responses=population.responses[:, chosen], trials=trials)


def _mean_agreement(first: np.ndarray, second: np.ndarray, method: str) -> float:
    """Mean fit of row i of the first to row i of the second, over rows where it is defined."""
    n_pairs = first.shape[1]
    n_stimuli = round((1 + np.sqrt(1 + 8 * n_pairs)) / 2)
    everything = np.ones((1, n_stimuli), dtype=int)
    fits = np.array(
        [
            fits_on_counts(a[None], b[None], everything, method=method)[0, 0, 0]
            for a, b in zip(first, second, strict=True)
        ]
    )
    defined = np.isfinite(fits)
    return float(fits[defined].mean()) if defined.any() else float("nan")
