"""Tests of values measured on independent units (exemplars, seeds, images): an estimate, its interval and its p.

Takes arrays of values, one per unit; gives an :class:`Outcome`. ``hypotheses`` selects the rows of tables. Every
p is two-sided, so that a result can support or contradict a stated direction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from neural_data.rounding import RESOLUTION, difference, is_constant, merge_ties
from neurocompare.comparison.equivalence_tests import check_margin

__all__ = [
    "Outcome",
    "mean_outcome",
    "ordering_outcome",
    "peak_outcome",
    "pearson_outcome",
    "rank_sum_equality",
    "rank_sum_outcome",
    "t_outcome",
    "trend_outcome",
]


@dataclass(frozen=True)
class Outcome:
    """Result of a test.

    Parameters
    ----------
    estimate : float
        Estimate of the effect.
    ci_low, ci_high : float
        Interval of coverage 1 - alpha (two-sided) around it.
    statistic, df, p : float
        Statistic, degrees of freedom and p of the two-sided test against the null value; NaN without a test.
    n : int or float
        Number of independent units.
    se : float
        Standard error of the estimate; NaN if the test has none.
    reason : str
        Why the test is undefined, if known; else empty.
    """

    estimate: float
    ci_low: float = np.nan
    ci_high: float = np.nan
    statistic: float = np.nan
    df: float = np.nan
    p: float = np.nan
    n: float = np.nan
    se: float = np.nan
    reason: str = ""


def t_outcome(
    estimate: float, se: float, df: float, *, n: float = np.nan, null: float = 0.0, alpha: float = 0.05
) -> Outcome:
    """T test of an estimate with a known standard error; normal if ``df`` is infinite.

    Parameters
    ----------
    estimate, se, df : float
        With a standard error of 0 (no variation), interval and p are NaN.
    n : float
        Number of units, to be stored in the result.
    null, alpha : float
        Null value, and 1 - coverage of the interval.

    Returns
    -------
    Outcome
    """
    if not (np.isfinite(estimate) and se > 0 and df > 0):
        return Outcome(estimate, n=n)
    statistic = (estimate - null) / se
    half = stats.t.ppf(1 - alpha / 2, df) * se
    p = 2 * stats.t.sf(abs(statistic), df)
    return Outcome(estimate, estimate - half, estimate + half, statistic, df, float(p), n, se)


def mean_outcome(values: np.ndarray, *, null: float = 0.0, alpha: float = 0.05) -> Outcome:
    """One-sample t test of a mean; on differences between pairs it is the paired t test.

    Parameters
    ----------
    values : array of shape (n_units,)
        One value per independent unit, such as an exemplar.
    null, alpha : float
        Null value, and 1 - coverage of the interval.

    Returns
    -------
    Outcome
        Without interval and p for fewer than two units, or where all of them are equal.
    """
    n = len(values)
    if n < 2:
        return Outcome(float(values.mean()) if n else np.nan, n=n)
    sd = values.std(ddof=1)
    if sd <= RESOLUTION * np.abs(values).max():
        sd = 0.0
    return t_outcome(float(values.mean()), sd / np.sqrt(n), n - 1, n=n, null=null, alpha=alpha)


def rank_sum_outcome(first: np.ndarray, second: np.ndarray, *, null: float = 0.0, alpha: float = 0.05) -> Outcome:
    """Rank-sum test (Mann-Whitney) with the Hodges-Lehmann shift and its interval.

    Parameters
    ----------
    first, second : arrays of shape (n_first,) and (n_second,)
        Values of two sets of units.
    null, alpha : float
        Shift of the null hypothesis, and 1 - coverage of the interval.

    Returns
    -------
    Outcome
        The statistic is U of ``first``. The interval is made of ordered differences (Hollander & Wolfe 1973, normal
        approximation); NaN if there are too few units for the coverage.
    """
    n = len(first) + len(second)
    if min(len(first), len(second)) < 2:
        return Outcome(np.nan, n=n)
    differences = np.sort(np.subtract.outer(first, second).ravel())
    estimate = float(np.median(differences))
    first, second = np.split(merge_ties(np.concatenate([first - null, second])), [len(first)])
    if np.ptp(np.concatenate([first, second])) == 0:
        return Outcome(estimate, n=n)
    test = stats.mannwhitneyu(first, second)
    spread = np.sqrt(len(differences) * (n + 1) / 12)
    place = int(np.floor(len(differences) / 2 - stats.norm.ppf(1 - alpha / 2) * spread))
    low, high = (differences[place - 1], differences[-place]) if place >= 1 else (np.nan, np.nan)
    return Outcome(estimate, float(low), float(high), float(test.statistic), p=float(test.pvalue), n=n)


def rank_sum_equality(first: np.ndarray, second: np.ndarray, margin: float, *, null: float = 0.0) -> float:
    """P of two one-sided rank-sum tests: small where the shift lies within a margin of the null value.

    Parameters
    ----------
    first, second : arrays of shape (n_first,) and (n_second,)
        Values of two sets of units.
    margin : float
        Smallest deviation from the null value that matters, above 0.
    null : float
        Shift around which the margin lies.

    Returns
    -------
    float
        The larger of the two p values (Mann-Whitney; Schuirmann 1987); NaN with fewer than two units in a set.
    """
    if min(len(first), len(second)) < 2:
        return np.nan
    p = []
    for bound, alternative in ((null - check_margin(margin), "greater"), (null + margin, "less")):
        merged = merge_ties(np.concatenate([first - bound, second]))
        p.append(stats.mannwhitneyu(*np.split(merged, [len(first)]), alternative=alternative).pvalue)
    return float(max(p))


def pearson_outcome(first: np.ndarray, second: np.ndarray, *, alpha: float = 0.05) -> Outcome:
    """Pearson's r over units with Fisher's interval; the statistic is t with n - 2 degrees of freedom.

    Parameters
    ----------
    first, second : arrays of shape (n_units,)
        Two values of each unit.
    alpha : float
        1 - coverage of the interval.

    Returns
    -------
    Outcome
        NaN if either does not vary or there are fewer than four units.
    """
    n = len(first)
    if n < 4 or is_constant(first, resolution=RESOLUTION) or is_constant(second, resolution=RESOLUTION):
        return Outcome(np.nan, n=n)
    result = stats.pearsonr(first, second)
    r = float(result.statistic)
    interval = result.confidence_interval(1 - alpha)
    with np.errstate(divide="ignore"):
        statistic = float(r * np.sqrt((n - 2) / np.float64(1 - r**2)))
    return Outcome(r, float(interval.low), float(interval.high), statistic, n - 2, float(result.pvalue), n)


def ordering_outcome(values: np.ndarray, *, alpha: float = 0.05) -> Outcome:
    """Whether every condition lies above the next: the intersection-union test of adjacent paired differences.

    Parameters
    ----------
    values : array of shape (n_units, n_conditions)
        Conditions in the hypothesised order, largest first.
    alpha : float
        1 - coverage of the interval.

    Returns
    -------
    Outcome
        Result of the decisive difference, see :func:`peak_outcome`.
    """
    return _weakest(difference(values[:, :-1], values[:, 1:]), alpha)


def peak_outcome(peak: np.ndarray, others: np.ndarray, *, alpha: float = 0.05) -> Outcome:
    """Whether one condition lies above each of several others: the intersection-union test of paired differences.

    Parameters
    ----------
    peak : array of shape (n_units,)
        Values of the condition that should lie above.
    others : array of shape (n_units, n_conditions)
        Values of the other conditions, of the same units.
    alpha : float
        1 - coverage of the interval.

    Returns
    -------
    Outcome
        Result of the decisive difference. If all differences are above 0: the one with the largest p, which needs no
        correction (Berger 1982). Else the one most significantly below 0, its p and interval Bonferroni-corrected.
    """
    return _weakest(difference(peak[:, None], others), alpha)


def trend_outcome(values: np.ndarray, *, alpha: float = 0.05) -> Outcome:
    """Whether conditions fall as listed, ties and reversals of single units allowed: Page's trend test.

    Parameters
    ----------
    values : array of shape (n_units, n_conditions)
        At least three conditions, in the hypothesised order, largest first.
    alpha : float
        1 - coverage of the interval.

    Returns
    -------
    Outcome
        The estimate is the mean over units of Spearman's correlation with the stated order (0 for a unit whose
        conditions are all equal), its interval a t interval; the statistic is Page's L.
    """
    n, n_conditions = values.shape
    order = np.arange(n_conditions, 0, -1)
    values = merge_ties(values)
    ranks = stats.rankdata(values, axis=1)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    stated = order - order.mean()
    scale = np.sqrt((centred**2).sum(axis=1) * (stated**2).sum())
    correlations = np.divide(centred @ stated, scale, out=np.zeros(n), where=scale > 0)
    interval = mean_outcome(correlations, alpha=alpha)
    if n < 2 or not scale.any():
        return Outcome(interval.estimate, n=n)
    falling = stats.page_trend_test(values, predicted_ranks=order)
    rising = stats.page_trend_test(values, predicted_ranks=order[::-1])
    p = min(1.0, 2 * min(falling.pvalue, rising.pvalue))
    return Outcome(interval.estimate, interval.ci_low, interval.ci_high, float(falling.statistic), p=float(p), n=n)


def _weakest(differences: np.ndarray, alpha: float) -> Outcome:
    outcomes = [mean_outcome(column, alpha=alpha) for column in differences.T]
    below = [outcome for outcome in outcomes if outcome.estimate <= 0]
    if not below:
        return max(outcomes, key=lambda outcome: np.inf if np.isnan(outcome.p) else outcome.p)
    outcome = _most_sure(below)
    p = min(1.0, outcome.p * len(outcomes)) if not np.isnan(outcome.p) else np.nan
    wide = t_outcome(outcome.estimate, outcome.se, outcome.df, n=outcome.n, alpha=alpha / len(outcomes))
    return Outcome(wide.estimate, wide.ci_low, wide.ci_high, wide.statistic, wide.df, p, len(differences), wide.se)


def _most_sure(outcomes: Sequence[Outcome]) -> Outcome:
    return min(outcomes, key=lambda outcome: np.inf if np.isnan(outcome.p) else outcome.p)
