"""Fits on bootstrap draws and on jackknife samples of an experiment, for every resampled factor.

Takes an :class:`Experiment` (RDM vectors, and responses if neurons are resampled); gives draws, and deviations:
arrays whose squares add up to a variance, by factor and by pair of crossed factors. ``fit_result`` combines these
variances into the variance of a fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from neurocompare.comparison.controls import PairCells
from neurocompare.comparison.fits import ResampledNeurons, fits_on_counts
from neurocompare.comparison.neuron_rdms import NeuronRdms
from neurocompare.comparison.reliability import PartRdms, draw_halves, reliability_z
from neurocompare.comparison.resampling import (
    FACTORS,
    draw_counts,
    draw_stimuli,
    factors_along,
    jackknife_operator,
)
from neurocompare.comparison.sampling import STIMULI, parts_of, source_of
from neurocompare.representations.dissimilarities import Population

__all__ = [
    "Experiment",
    "Statistic",
    "bootstrap_deviations",
    "crossed_deviations",
    "estimate_fits",
    "jackknife_deviations",
    "resample_fits",
]

FitsOf = dict[tuple[str, ...], np.ndarray]
"""Arrays of shape (n_refits, n_models, n_regions) by factor, or by two crossed factors."""

Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Experiment:
    """Data of an experiment, and its resampled factors.

    Parameters
    ----------
    factors : tuple of str
        Resampled factors, that of stimuli first; see ``resampling.FACTORS``.
    models : array of shape (n_models, n_pairs)
        RDM vectors of the models.
    recordings : array of shape (n_rdms, n_pairs)
        RDM vectors of the recordings.
    groups : list of integer arrays
        Rows of ``recordings`` for each recording of the result: one RDM, or those of all subjects of a region.
    populations : list of arrays of shape (n_stimuli, n_neurons)
        Responses for each row of ``recordings``; empty if neurons are not resampled.
    codes : integer array of shape (n_stimuli,) or (0,)
        Unit of the stimuli's factor that each stimulus belongs to (its identity), numbered from 0; empty if stimuli
        are not resampled.
    n_stimuli : int
        Stimuli of the RDMs.
    dissimilarity, method, within_identity, device : str
        As in ``inference.infer_fits``.
    patterns : pandas.DataFrame
        Pattern descriptors of the stimuli, one row each; empty where they are not known.
    control : tuple of str
        Names of the controls; see ``controls``.
    cells : PairCells or None
        Controls partialled out of models and recordings, also of recomputed RDMs; see ``controls``.
    """

    factors: tuple[str, ...]
    models: np.ndarray
    recordings: np.ndarray
    groups: list[np.ndarray]
    populations: list[np.ndarray]
    codes: np.ndarray
    n_stimuli: int
    dissimilarity: str
    method: str
    within_identity: str
    device: str | None
    patterns: pd.DataFrame = field(default_factory=pd.DataFrame)
    control: tuple[str, ...] = ()
    cells: PairCells | None = None

    @property
    def pattern(self) -> tuple[str, ...]:
        """The factor along stimuli, if any."""
        return factors_along("stimuli", self.factors)

    def sizes(self) -> dict[str, np.ndarray]:
        """Number of units of each factor for each recording; for neurons that of the smallest population."""
        sizes = {
            "stimuli": lambda _: self.n_units_of_stimuli,
            "neurons": lambda group: min(self.populations[row].shape[1] for row in group),
            "subjects": len,
        }
        return {
            factor: np.array([sizes[FACTORS[factor].axis](group) for group in self.groups]) for factor in self.factors
        }

    @property
    def n_units_of_stimuli(self) -> int:
        """Number of units along stimuli: identities, or stimuli."""
        return int(self.codes.max()) + 1

    def fits(self, recordings: np.ndarray | ResampledNeurons, counts: np.ndarray | None) -> np.ndarray:
        """Fits to other recordings, or under other counts of stimuli; see ``fits.fits_on_counts``."""
        clusters = self.codes if self.within_identity == "copy" and len(self.codes) else None
        return fits_on_counts(
            self.models, recordings, counts, method=self.method, clusters=clusters, device=self.device
        )

    def stays(self) -> np.ndarray:
        """Counts that keep every stimulus, (1, n_stimuli)."""
        return np.ones((1, self.n_stimuli), dtype=int)


def estimate_fits(experiment: Experiment, *, statistic: Statistic | None = None) -> np.ndarray:
    """Fits on the data, (n_models, n_regions); or another statistic, see :func:`jackknife_deviations`."""
    statistic = statistic or experiment.fits
    return _mean_of_groups(statistic(experiment.recordings, experiment.stays()), experiment.groups)[0]


def resample_fits(
    experiment: Experiment, n_draws: int, *, only_joint: bool, rng: np.random.Generator
) -> tuple[FitsOf, dict[str, int]]:
    """Fits on draws with replacement, of each factor alone and of crossed factors together.

    Parameters
    ----------
    experiment : Experiment
        The data, and what is resampled.
    n_draws : int
        Draws of each factor, and of all together.
    only_joint : bool
        With crossed factors, draw them only jointly, not each alone.
    rng : numpy.random.Generator
        Source of the draws; all models and regions share draws of stimuli, each population has its own of neurons.

    Returns
    -------
    draws : dict of tuple of str to array of shape (n_draws, n_models, n_regions)
        Fits by the factors that were drawn.
    n_redrawn : dict of str to int
        Draws of each factor that had too few distinct units.
    """
    pattern, groups, counts = experiment.pattern, experiment.groups, None
    n_redrawn: dict[str, int] = {}
    by_row: FitsOf = {}
    sampled, subject = (factors_along(axis, experiment.factors) for axis in ("neurons", "subjects"))
    for factor in pattern:
        counts, n_redrawn[factor] = draw_stimuli(FACTORS[factor], experiment.codes, n_draws, rng=rng)
    crossed = bool(pattern) and len(experiment.factors) > 1
    if pattern and (subject or not (only_joint and crossed)):
        by_row[pattern] = experiment.fits(experiment.recordings, counts)
    for factor in sampled:
        n_redrawn[factor] = 0
        drawn = []
        for responses in experiment.populations:
            neurons, redrawn = draw_counts(responses.shape[1], n_draws, rng=rng, fewest=FACTORS[factor].fewest_distinct)
            n_redrawn[factor] += redrawn
            drawn.append(ResampledNeurons(responses, neurons, experiment.dissimilarity, experiment.cells))
        if pattern:
            by_row[*pattern, factor] = np.concatenate([experiment.fits(p, counts) for p in drawn], axis=2)
        if not (only_joint and crossed):
            by_row[factor,] = np.concatenate([experiment.fits(p, None) for p in drawn], axis=2)
    draws = {key: _mean_of_groups(fits, groups) for key, fits in by_row.items()}
    for factor in subject:
        subjects = [draw_counts(len(group), n_draws, rng=rng)[0] / len(group) for group in groups]
        estimates = experiment.fits(experiment.recordings, experiment.stays())
        estimates = np.broadcast_to(estimates, (n_draws, *estimates.shape[1:]))
        draws[factor,] = _weighted_means(estimates, groups, subjects)
        if pattern:
            draws[*pattern, factor] = _weighted_means(by_row[pattern], groups, subjects)
    return draws, n_redrawn


def bootstrap_deviations(draws: FitsOf) -> FitsOf:
    """Deviations of draws from their mean, scaled so that their squares add up to the variance over draws.

    Undefined draws have deviation 0 and are not counted; with fewer than two defined draws, all deviations are NaN.
    """
    deviations = {}
    for key, fits in draws.items():
        known = ~np.isnan(fits)
        n_known = known.sum(axis=0)
        mean = np.where(known, fits, 0.0).sum(axis=0) / np.maximum(n_known, 1)
        scale = np.where(n_known > 1, 1 / np.sqrt(np.maximum(n_known - 1, 1)), np.nan)
        deviations[key] = np.where(known, fits - mean, 0.0) * scale
    return deviations


def jackknife_deviations(
    experiment: Experiment,
    *,
    statistic: Statistic | None = None,
    n_splits: int = 0,
    seed: int | None = None,
    rng: np.random.Generator,
) -> FitsOf:
    """Jackknife deviations of fits for each factor, and for the interactions of crossed factors.

    Parameters
    ----------
    experiment : Experiment
        The data, and what is left out.
    statistic : callable or None
        Statistic to jackknife, from recordings (n_rdms, n_pairs) and counts (n_counts, n_stimuli) to an array
        (n_counts, n_statistics, n_rdms). None takes the fits of all models.
    n_splits : int
        Random halves of the neurons for the reliability of each recording on Fisher's z scale, which is added as the
        last statistic; 0 leaves it out. Requires the factor ``neuron``.
    seed : int or None
        Of the assignment of units to parts, see ``sampling``: analyses of equal seeds leave out the same units. None
        takes it from ``rng``.
    rng : numpy.random.Generator
        Source of the assignment of units to parts without a seed, and of halves.

    Returns
    -------
    dict of tuple of str to array of shape (n_refits, n_models, n_regions)
        Padded with rows of zeros if regions differ in the number of parts.

    Notes
    -----
    Fits without part i of the identities and part j of the neurons, and without either alone, form a table. The
    jackknife operator along one axis gives the deviations of one factor, along both axes those of the interaction.
    RDMs are recomputed only once per part of the neurons, not once per refit.
    """
    pattern, groups = experiment.pattern, experiment.groups
    statistic = statistic or experiment.fits
    counts, operator = experiment.stays(), None
    for factor in pattern:
        n_units = experiment.n_units_of_stimuli
        kept, operator = parts_of(factor, n_units, rng=rng if seed is None else source_of(seed, STIMULI))
        counts = kept[:, experiment.codes]
    sampled = factors_along("neurons", experiment.factors)
    neuron_operators: list[np.ndarray] = []
    if not sampled:
        whole = statistic(experiment.recordings, counts)
        tables = [whole[:, :, row, None] for row in range(whole.shape[2])]
    else:
        tables = []
        for place, (responses, rdm) in enumerate(zip(experiment.populations, experiment.recordings, strict=True), 1):
            units = rng if seed is None else source_of(seed, place)
            kept, of_neurons = parts_of(sampled[0], responses.shape[1], rng=units)
            kept = kept[:-1]
            rdms = NeuronRdms(responses, experiment.dissimilarity).rdms(kept)
            if experiment.cells is not None:
                rdms = experiment.cells.partialled(rdms)
            table = statistic(np.concatenate([rdms, rdm[None]]), counts)
            if n_splits:
                part = np.argmin(kept, axis=0)
                parts = PartRdms(Population("", "", responses), part, experiment.dissimilarity)
                halves = draw_halves(part, n_splits, rng)
                z = reliability_z(parts, halves, method=experiment.method, counts=counts, cells=experiment.cells)
                table = np.concatenate([table, z[:, None]], axis=1)
            tables.append(table)
            neuron_operators.append(of_neurons)
    return crossed_deviations(tables, neuron_operators, operator, groups, experiment.factors)


def crossed_deviations(
    tables: list[np.ndarray],
    neuron_operators: list[np.ndarray],
    operator: np.ndarray | None,
    groups: list[np.ndarray],
    factors: tuple[str, ...],
) -> FitsOf:
    """Deviations out of tables of statistics with parts of the factors left out.

    Parameters
    ----------
    tables : list of arrays of shape (n_pattern_parts + 1, n_statistics, n_neuron_parts + 1)
        One per population; the last place of an axis is without leaving out. Without a factor its axis has length 1.
    neuron_operators : list of arrays
        Of each population, from ``resampling.jackknife_operator``; empty if neurons are not left out.
    operator : array or None
        The same over parts of the stimuli; None if they are not left out.
    groups : list of integer arrays
        Populations of each row of the result.
    factors : tuple of str
        Names of the factors that were left out, that of stimuli first.

    Returns
    -------
    dict of tuple of str to array of shape (n_refits, n_statistics, n_rows)
    """
    return _stacked([_of_region(tables, neuron_operators, operator, group, factors) for group in groups])


def _of_region(
    tables: list[np.ndarray],
    neuron_operators: list[np.ndarray],
    operator: np.ndarray | None,
    group: np.ndarray,
    factors: tuple[str, ...],
) -> FitsOf:
    """Deviations (n_refits, n_models) of one region out of its tables (pattern parts + 1, models, neuron parts + 1)."""
    found: FitsOf = {}
    pattern = factors_along("stimuli", factors)
    subjects = np.stack([tables[row][:, :, -1] for row in group], axis=2)
    if operator is not None:
        found[pattern] = np.tensordot(operator, subjects.mean(axis=2), 1)
    for factor in factors_along("neurons", factors):
        single = [neuron_operators[row] @ tables[row][-1].T for row in group]
        found[factor,] = np.concatenate(single) / len(group)
        if operator is not None:
            both = [_interaction(operator, neuron_operators[row], tables[row]) for row in group]
            found[*pattern, factor] = np.concatenate(both) / len(group)
    for factor in factors_along("subjects", factors):
        n = len(group)
        others = (subjects.sum(axis=2, keepdims=True) - subjects) / (n - 1)
        table = np.concatenate([others, subjects.mean(axis=2, keepdims=True)], axis=2)
        by_subject = jackknife_operator(np.full(n, 1 / n))
        found[factor,] = by_subject @ table[-1].T
        if operator is not None:
            found[*pattern, factor] = _interaction(operator, by_subject, table)
    return found


def _interaction(rows: np.ndarray, columns: np.ndarray, table: np.ndarray) -> np.ndarray:
    both = np.einsum("ij,jmk,lk->ilm", rows, table, columns, optimize=True)
    return both.reshape(-1, both.shape[2])


def _stacked(regions: list[FitsOf]) -> FitsOf:
    stacked = {}
    for key in regions[0]:
        n_rows = max(len(found[key]) for found in regions)
        padded = [np.pad(found[key], ((0, n_rows - len(found[key])), (0, 0))) for found in regions]
        stacked[key] = np.stack(padded, axis=2)
    return stacked


def _mean_of_groups(fits: np.ndarray, groups: list[np.ndarray]) -> np.ndarray:
    if all(len(group) == 1 for group in groups):
        return fits[:, :, [group[0] for group in groups]]
    return np.stack([fits[:, :, group].mean(axis=2) for group in groups], axis=2)


def _weighted_means(fits: np.ndarray, groups: list[np.ndarray], weights: list[np.ndarray]) -> np.ndarray:
    means = [np.einsum("dms,ds->dm", fits[:, :, g], w) for g, w in zip(groups, weights, strict=True)]
    return np.stack(means, axis=2)
