"""Reliability of RDMs over neurons, from halves of them, on Fisher's z scale, with parts of the neurons left out.

Takes responses and a method of comparison; gives numbers on Fisher's z scale, ``z = atanh(reliability)``, on which they
scatter alike whether reliability is low or high. Tables of ceilings are made of them in ``ceilings``, tests of fits
against ceilings in ``fit_result``.

Two halves of a sample are two independent samples of half the size, so the mean correlation of their RDMs is what it
says. What the Spearman-Brown formula makes of it for the whole is exact only where the variance of the noise is
inversely proportional to the number of neurons, and too high where a few neurons dominate. The same formula, applied to
quarters, predicts halves; by how much it errs there, on the z scale, is taken off here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import overload

import numpy as np
from scipy import stats

from neurocompare.comparison.controls import PairCells
from neurocompare.comparison.fits import fits_of_rows
from neurocompare.comparison.sampling import parts_of
from neurocompare.representations.dissimilarities import PAIRS, Population, find_dissimilarity
from neurocompare.representations.rdms import zscore_units

__all__ = ["Halves", "PartRdms", "Reliability", "draw_halves", "neuron_reliability", "reliability_z", "spearman_brown"]

FEWEST_FOR_QUARTERS = 16
"""Neurons below which quarters are too small to correct anything by."""
LARGEST = 1 - 1e-12


@dataclass(frozen=True)
class Halves:
    """Random halves of a population's neurons, each made of two quarters; parts of the neurons stay together.

    Parameters
    ----------
    part : integer array of shape (n_neurons,)
        Part that each neuron belongs to, numbered from 0.
    quarter : integer array of shape (n_splits, n_parts)
        Quarter of each part in each split; 0 and 1 make one half, 2 and 3 the other.
    """

    part: np.ndarray
    quarter: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Neurons in each part."""
        return np.bincount(self.part, minlength=self.quarter.shape[1])


def draw_halves(part: np.ndarray, n_splits: int, rng: np.random.Generator) -> Halves:
    """Halves whose parts are dealt out at random, as many to each quarter as can be.

    Parameters
    ----------
    part : integer array of shape (n_neurons,)
        Part that each neuron belongs to, numbered from 0.
    n_splits : int
        Random splits of the neurons.
    rng : numpy.random.Generator
        Source of the splits.
    """
    n_parts = int(part.max()) + 1
    of_place = np.arange(n_parts) * 4 // n_parts
    order = np.argsort(rng.random((n_splits, n_parts)), axis=1)
    return Halves(part, of_place[order])


class PartRdms:
    """RDMs of any of the parts of a population taken together, from sums over the neurons of each part.

    Parameters
    ----------
    population : Population
        With trials where the dissimilarity needs them.
    part : integer array of shape (n_neurons,)
        Part that each neuron belongs to.
    dissimilarity : str
        One that follows from sums over neurons, or is a mean over neurons.
    normalize : {None, "zscore"}
        As in ``compute_neural_rdms``.
    """

    def __init__(self, population: Population, part: np.ndarray, dissimilarity: str, normalize: str | None = None):
        self.measure = find_dissimilarity(dissimilarity)
        membership = part == np.arange(int(part.max()) + 1)[:, None]
        self.n_stimuli = len(population.responses)
        if self.measure.from_population is not None:
            found = [self.measure.from_population(population.of_neurons(np.flatnonzero(row))) for row in membership]
            upper = np.triu_indices(self.n_stimuli, 1)
            self.rdms_of_parts = np.stack([matrix[upper] for matrix, _ in found])
            self.sizes = membership.sum(axis=1) - np.array([n_constant for _, n_constant in found])
            return
        responses = np.asarray(population.responses, dtype=float)
        if normalize == "zscore":
            varying = np.ptp(responses, axis=0) > 0
            scores, _ = zscore_units(responses)
            responses = np.zeros(responses.shape)
            responses[:, varying] = scores
            membership = membership & varying
        if self.measure.settle is not None:
            responses = self.measure.settle(responses)
        self.sizes = membership.sum(axis=1)
        weights = membership.astype(float)
        self.totals, self.power = weights @ responses.T, weights @ (responses**2).T
        self.products = np.stack(
            [(responses[:, row] @ responses[:, row].T)[np.triu_indices(self.n_stimuli, 1)] for row in membership]
        )

    def rdms(self, chosen: np.ndarray) -> np.ndarray:
        """RDMs (n_sets, n_pairs) of sets of parts, given as booleans (n_sets, n_parts); NaN where undefined."""
        chosen = chosen.astype(float)
        n_neurons = (chosen @ self.sizes)[:, None]
        if self.measure.from_sums is None:
            return chosen @ (self.rdms_of_parts * self.sizes[:, None]) / n_neurons
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.measure.from_sums(
                chosen @ self.products, chosen @ self.totals, chosen @ self.power, n_neurons, PAIRS
            )


@dataclass(frozen=True)
class Reliability:
    """Reliability of a population's RDM over neurons, with its uncertainty over neurons.

    Parameters
    ----------
    z : float
        Fisher's z of the estimate.
    se : float
        Its standard error over neurons; NaN where it was not asked for or cannot be had.
    df : int
        Degrees of freedom of the interval.
    """

    z: float
    se: float
    df: int

    @property
    def value(self) -> float:
        """The reliability: expected fit of this RDM to that of as many new neurons; at most 1."""
        return float(np.tanh(self.z))

    @property
    def value_se(self) -> float:
        """Standard error of the value, from that of its z."""
        return self.se * (1 - self.value**2)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Lower and upper end of the interval for the reliability, symmetric on the z scale."""
        half = stats.t.ppf((1 + confidence) / 2, self.df) * self.se if self.df > 0 else np.nan
        return float(np.tanh(self.z - half)), float(np.tanh(self.z + half))


def neuron_reliability(
    population: Population,
    *,
    dissimilarity: str = "correlation",
    normalize: str | None = None,
    method: str = "corr",
    cells: PairCells | None = None,
    n_splits: int = 100,
    with_se: bool = True,
    rng: np.random.Generator,
) -> Reliability:
    """Reliability of a population's RDM over neurons, by halves, and its standard error, by leaving parts out.

    Parameters
    ----------
    population : Population
        At least four neurons.
    dissimilarity, normalize, method : str
        How RDMs are made and compared.
    cells : PairCells or None
        What is partialled out of RDMs, see ``controls``.
    n_splits : int
        Random splits of the neurons into halves.
    with_se : bool
        Whether the standard error is wanted.
    rng : numpy.random.Generator
        Source of the parts and the splits.
    """
    n_neurons = population.responses.shape[1]
    kept, operator = parts_of("neuron", n_neurons, rng=rng)
    halves = draw_halves(np.argmin(kept, axis=0), n_splits, rng)
    parts = PartRdms(population, halves.part, dissimilarity, normalize)
    z = reliability_z(parts, halves, method=method, cells=cells, without_parts=with_se)[0]
    if not with_se:
        return Reliability(float(z[-1]), float("nan"), 0)
    return Reliability(float(z[-1]), float(np.sqrt(((operator @ z) ** 2).sum())), len(operator) - 1)


def reliability_z(
    parts: PartRdms,
    halves: Halves,
    *,
    method: str = "corr",
    counts: np.ndarray | None = None,
    cells: PairCells | None = None,
    without_parts: bool = True,
) -> np.ndarray:
    """Reliability of a population's RDM on Fisher's z scale, of all neurons and without each part of them.

    Parameters
    ----------
    parts : PartRdms
        RDMs of the neurons with and without each part.
    halves : Halves
        Of the same parts.
    method : str
        Measure of fit whose ceiling is wanted.
    counts : integer array of shape (n_counts, n_stimuli) or None
        How often each stimulus counts; None takes all once.
    cells : PairCells or None
        What is partialled out of RDMs, see ``controls``.
    without_parts : bool
        Whether parts are left out, too.

    Returns
    -------
    array of shape (n_counts, n_parts + 1) or (n_counts, 1)
        ``atanh`` of the expected fit of this RDM to that of as many new neurons; without part j in column j, and of
        all neurons in the last. Without a part, too, it is the reliability of as many neurons as there are. NaN where
        it is undefined.
    """
    n_parts, n_counts = halves.quarter.shape[1], 1 if counts is None else len(counts)
    n_columns = n_parts + 1 if without_parts else 1
    total, defined = np.zeros((2, n_counts, n_columns, 3))
    for quarter in halves.quarter:
        sets, pairs = _sets_and_pairs(quarter, without_parts)
        rdms = parts.rdms(sets)
        if cells is not None:
            rdms = cells.partialled(rdms)
        fits = fits_of_rows(rdms[pairs[..., 0].ravel()], rdms[pairs[..., 1].ravel()], method, counts=counts)
        fits = fits.reshape(total.shape)
        total += np.nan_to_num(fits, nan=0.0)
        defined += ~np.isnan(fits)
    # Splits in which a half answers all alike say nothing.
    mean = np.divide(total, defined, out=np.full(total.shape, np.nan), where=defined > 0)
    n_neurons = int(parts.sizes.sum())
    kept = n_neurons - np.append(parts.sizes, 0) if without_parts else np.array([n_neurons])
    return _extrapolated(mean[:, :, 0], mean[:, :, 1:].mean(axis=2), kept, n_neurons)


@overload
def spearman_brown(correlation: float, factor: float = 2.0) -> float: ...
@overload
def spearman_brown(correlation: np.ndarray, factor: float | np.ndarray = 2.0) -> np.ndarray: ...
def spearman_brown(correlation: float | np.ndarray, factor: float | np.ndarray = 2.0) -> float | np.ndarray:
    """Reliability of a measurement ``factor`` times as long as the halves that were correlated.

    Parameters
    ----------
    correlation : float or array
        Mean correlation of the parts.
    factor : float or array
        Length of the whole in parts.

    Returns
    -------
    float or array
        ``factor r / (1 + (factor - 1) r)``, at most 1.
    """
    return factor * correlation / (1 + (factor - 1) * correlation)


def _extrapolated(halves: np.ndarray, quarters: np.ndarray, kept: np.ndarray, n_neurons: int) -> np.ndarray:
    """Fisher's z of the reliability of all neurons, from correlations of halves and quarters of those kept."""
    whole = _fishers_z(spearman_brown(halves, 2 * n_neurons / kept))
    if n_neurons < FEWEST_FOR_QUARTERS:
        return whole
    return whole - (_fishers_z(spearman_brown(quarters, 2.0)) - _fishers_z(halves))


def _fishers_z(correlation: np.ndarray) -> np.ndarray:
    return np.arctanh(np.clip(correlation, -LARGEST, LARGEST))


def _sets_and_pairs(quarter: np.ndarray, without_parts: bool) -> tuple[np.ndarray, np.ndarray]:
    """Sets of parts whose RDMs are needed, and which of them are compared.

    Returns booleans (n_sets, n_parts) and indices (n_columns, 3, 2): halves, then the first quarters of both, then the
    second; one column without each part, and the last with all.
    """
    n_parts = len(quarter)
    whole = [quarter < 2, quarter >= 2, *(quarter == q for q in range(4))]
    compared = np.array([[0, 1], [2, 4], [3, 5]])
    if not without_parts:
        return np.stack(whole), compared[None]
    sets, pairs = list(whole), np.tile(compared, (n_parts + 1, 1, 1))
    for part in range(n_parts):
        for own in (int(quarter[part] >= 2), 2 + quarter[part]):
            left = whole[own].copy()
            left[part] = False
            pairs[part][pairs[part] == own] = len(sets)
            sets.append(left)
    return np.stack(sets), pairs
