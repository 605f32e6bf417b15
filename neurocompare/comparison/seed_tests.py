"""Tests of two sets of trained networks: t over seeds, exact permutations, effect sizes.

Takes arrays, one row per seed or network; gives numbers. Which rows of which table make them is the business of
``regime_contrasts``.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from neural_data.axes import Float
from neural_data.rounding import RESOLUTION, ROUNDING
from neurocompare.comparison.hypothesis_tests import Outcome, t_outcome

__all__ = [
    "Permutations",
    "ProfileOutcome",
    "hedges_g",
    "largest_p",
    "permutation_p",
    "permutations_of",
    "profile_outcome",
    "welch_outcome",
]


@dataclass(frozen=True)
class Permutations:
    """Ways to deal regimes to networks, as weights of a difference of means.

    Parameters
    ----------
    weights : array of shape (n_permutations, n_units)
        ``weights @ values`` is the difference between the two regimes' means under every way to deal them; the first
        row deals them as they were. Units are differences within a seed (paired), or networks.
    exhaustive : bool
        Whether every way is there, once. Otherwise all rows but the first are drawn.
    paired : bool
        Whether units are differences, whose signs are flipped.
    """

    weights: np.ndarray
    exhaustive: bool
    paired: bool

    @property
    def smallest_p(self) -> float:
        """The smallest two-sided p that these permutations can give."""
        opposite = np.isclose(self.weights, -self.weights[0]).all(axis=1).any() if self.exhaustive else False
        return (1 + bool(opposite)) / len(self.weights)


@dataclass(frozen=True)
class ProfileOutcome:
    """Whether a difference between regimes depends on the layer.

    Parameters
    ----------
    statistic, df, df_error : float
        F of the interaction, and its degrees of freedom before they are multiplied by ``epsilon``.
    epsilon : float
        Greenhouse and Geisser's estimate of how far layers are from equal and equally correlated noise.
    p, p_permutation : float
        From F with the corrected degrees of freedom, and from permutations of whole profiles.
    """

    statistic: float = np.nan
    df: float = np.nan
    df_error: float = np.nan
    epsilon: float = np.nan
    p: float = np.nan
    p_permutation: float = np.nan


def welch_outcome(first: np.ndarray, second: np.ndarray, *, alpha: float = 0.05) -> Outcome:
    """Welch's t test of two sets of networks whose variances may differ.

    Parameters
    ----------
    first, second : arrays of shape (n_first,) and (n_second,)
        One value per network.
    alpha : float
        1 - coverage of the interval.

    Returns
    -------
    Outcome
        Without interval and p for fewer than two networks in either set, or where neither set varies.

    References
    ----------
    Welch (1947), Biometrika 34, 28-35.
    """
    sizes = len(first), len(second)
    if min(sizes) < 1:
        return Outcome(np.nan, n=sum(sizes))
    estimate = float(first.mean() - second.mean())
    if min(sizes) < 2:
        return Outcome(estimate, n=sum(sizes))
    parts = np.array([values.var(ddof=1) / len(values) for values in (first, second)])
    largest = max(np.abs(first).max(), np.abs(second).max())
    if np.sqrt(parts.sum()) <= RESOLUTION * largest:
        return Outcome(estimate, n=sum(sizes))
    df = parts.sum() ** 2 / (parts**2 / (np.array(sizes) - 1)).sum()
    return t_outcome(estimate, float(np.sqrt(parts.sum())), float(df), n=sum(sizes), alpha=alpha)


def hedges_g(first: np.ndarray, second: np.ndarray | None = None) -> float:
    """Standardised difference, corrected for few networks.

    Parameters
    ----------
    first : array of shape (n_first,)
        One value per network; or the differences within seeds, if ``second`` is None.
    second : array of shape (n_second,) or None
        The other networks.

    Returns
    -------
    float
        Mean difference over the standard deviation of the differences (paired; Cohen's d_z, corrected), or over the
        pooled standard deviation (unpaired). NaN with fewer than two degrees of freedom, or without variation.

    References
    ----------
    Hedges (1981), Journal of Educational Statistics 6, 107-128, with the exact factor; Lakens (2013), Frontiers in
    Psychology 4:863.
    """
    samples = [first] if second is None else [first, second]
    df = sum(len(values) - 1 for values in samples)
    if df < 2 or min(len(values) for values in samples) < 1:
        return np.nan
    sd = np.sqrt(sum(((values - values.mean()) ** 2).sum() for values in samples) / df)
    if sd <= RESOLUTION * max(np.abs(values).max() for values in samples):
        return np.nan
    estimate = first.mean() - (0.0 if second is None else second.mean())
    correction = np.exp(special.gammaln(df / 2) - special.gammaln((df - 1) / 2)) / np.sqrt(df / 2)
    return float(correction * estimate / sd)


def permutations_of(
    n_first: int, n_second: int, *, paired: bool, most: int = 50_000, rng: np.random.Generator
) -> Permutations:
    """All ways to deal two regimes to networks, or as many random ones as are allowed.

    Parameters
    ----------
    n_first, n_second : int
        Networks of each regime; equal where paired.
    paired : bool
        True flips the signs of differences within seeds (2 ** n ways). False deals networks to regimes anew, with as
        many in each as there were (binomial(n_first + n_second, n_first) ways).
    most : int
        With more ways than this, this many are used: the one that was, and random ones.
    rng : numpy.random.Generator
        Source of random ways.

    Returns
    -------
    Permutations
    """
    n = n_first if paired else n_first + n_second
    n_ways = 2**n if paired else math.comb(n, n_first)
    exhaustive = n_ways <= most
    if paired:
        if exhaustive:
            flipped = (np.arange(n_ways)[:, None] >> np.arange(n)) & 1
        else:
            flipped = rng.integers(0, 2, (most, n))
            flipped[0] = 0
        return Permutations((1 - 2 * flipped) / max(n, 1), exhaustive, paired)
    if exhaustive:
        chosen = np.array(list(itertools.combinations(range(n), n_first)), dtype=int).reshape(n_ways, n_first)
    else:
        # The places of the n_first smallest of random numbers are a random choice without replacement.
        chosen = np.argsort(rng.random((most, n)), axis=1)[:, :n_first]
        chosen[0] = np.arange(n_first)
    weights = np.full((len(chosen), n), -1 / max(n_second, 1))
    np.put_along_axis(weights, chosen, 1 / max(n_first, 1), axis=1)
    return Permutations(weights, exhaustive, paired)


def permutation_p(values: Float[np.ndarray, "units tests"], permutations: Permutations) -> Float[np.ndarray, " tests"]:
    """Two-sided p of the difference of means: the share of permutations in which it is at least as large.

    Parameters
    ----------
    values : array of shape (n_units, n_tests)
        Differences within seeds, or networks of the first regime and then those of the second.
    permutations : Permutations
        From :func:`permutations_of`.

    Returns
    -------
    array of shape (n_tests,)
        Exact where all permutations are there; else the way that was counts as one of them (Phipson & Smyth 2010).
    """
    differences = np.abs(permutations.weights @ values)
    return (differences >= differences[0] - _tolerance(values)).mean(axis=0)


def largest_p(values: Float[np.ndarray, "units tests"], permutations: Permutations) -> Float[np.ndarray, " tests"]:
    """P of each of several tests, adjusted by the largest statistic of every joint permutation.

    Parameters
    ----------
    values : array of shape (n_units, n_tests)
        As in :func:`permutation_p`; a row is a whole profile and stays together.
    permutations : Permutations
        From :func:`permutations_of`.

    Returns
    -------
    array of shape (n_tests,)
        Familywise p (single step). Statistics are differences over the spread of a test's values that no permutation
        changes (root of the sum of squares, around the common mean where unpaired): with equal n that orders
        permutations and tests as the absolute t (pooled, where unpaired) does. NaN for a test without spread.

    References
    ----------
    Westfall & Young (1993), Resampling-based multiple testing.
    """
    scale = _unchanged_spread(values, permutations)
    scores = np.full((len(permutations.weights), values.shape[1]), np.nan)
    varies = scale > _tolerance(values)
    if not varies.any():
        return np.full(values.shape[1], np.nan)
    scores[:, varies] = np.abs(permutations.weights @ values[:, varies]) / scale[varies]
    largest = np.nanmax(scores, axis=1)
    p = (largest[:, None] >= scores[0] - 1e-9).mean(axis=0)
    return np.where(varies, p, np.nan)


def profile_outcome(values: np.ndarray, n_first: int, permutations: Permutations) -> ProfileOutcome:
    """Whether the difference between regimes depends on the layer: the regime x layer interaction.

    Parameters
    ----------
    values : array of shape (n_units, n_layers)
        Profiles over layers: differences within seeds (paired), or networks of the first regime and then of the
        second.
    n_first : int
        Networks of the first regime.
    permutations : Permutations
        Of whole profiles.

    Returns
    -------
    ProfileOutcome
        NaN for fewer than two layers or two networks in a regime, or profiles that do not vary.

    Notes
    -----
    Every profile is first freed of its mean over layers, so that an effect which is the same at all layers counts for
    nothing. F is that of a repeated-measures analysis of variance (paired) or of a split-plot one (unpaired). Under
    permutations the total sum of squares stays, so F orders them as the size of the mean profile does.

    References
    ----------
    Greenhouse & Geisser (1959), Psychometrika 24, 95-112.
    """
    n_units, n_layers = values.shape
    counts = [n_units] if permutations.paired else [n_first, n_units - n_first]
    if n_layers < 2 or min(counts) < 2:
        return ProfileOutcome()
    centred = values - values.mean(axis=1, keepdims=True)
    groups = np.split(centred, np.cumsum(counts)[:-1])
    residuals = np.concatenate([group - group.mean(axis=0) for group in groups])
    error = (residuals**2).sum()
    if error <= (n_units * n_layers) * _tolerance(values).max() ** 2:
        return ProfileOutcome()
    df, df_error = n_layers - 1, sum(n - 1 for n in counts) * (n_layers - 1)
    profiles = permutations.weights @ centred
    weight = 1 / sum(1 / n for n in counts)
    sizes = weight * (profiles**2).sum(axis=1)
    statistic = (sizes[0] / df) / (error / df_error)
    covariance = residuals.T @ residuals
    epsilon = float(np.trace(covariance) ** 2 / (df * (covariance**2).sum()))
    return ProfileOutcome(
        statistic=float(statistic),
        df=df,
        df_error=df_error,
        epsilon=epsilon,
        p=float(stats.f.sf(statistic, epsilon * df, epsilon * df_error)),
        p_permutation=float((sizes >= sizes[0] * (1 - 1e-9)).mean()),
    )


def _unchanged_spread(values: np.ndarray, permutations: Permutations) -> np.ndarray:
    centred = values if permutations.paired else values - values.mean(axis=0)
    return np.sqrt((centred**2).sum(axis=0))


def _tolerance(values: np.ndarray) -> np.ndarray:
    """Differences below this are rounding."""
    return ROUNDING * 100 * np.abs(values).max(axis=0, initial=0)
