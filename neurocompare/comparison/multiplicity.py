"""P values: corrected for multiple tests, and from permutations.

Takes p values, statistics and draws as arrays; gives arrays.
"""

from __future__ import annotations

import numpy as np

from neural_data.errors import InputError, closest
from neural_data.rounding import ROUNDING, difference

__all__ = ["CONFIDENCE", "CORRECTIONS", "adjust", "rejects", "share_at_least"]

CONFIDENCE = 0.95
"""Of figures and summaries: they call a p below 1 minus this significant."""
CORRECTIONS = ("bh", "holm", "max", "none")
"""Corrections for multiplicity: Benjamini-Hochberg, Holm, the maximum statistic over draws, none."""


def share_at_least(null: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Share of a null distribution at or above the observed value, which is counted as one of it.

    Parameters
    ----------
    null : array of shape (n_draws, ...)
        Values under the null hypothesis, one row per draw.
    observed : array of shape (...)
        Values equal but for rounding count as equal: a permutation can give the same RDM.

    Returns
    -------
    array of shape (...)
        NaN if the observed value is NaN.
    """
    p = (1 + (null >= observed - 100 * ROUNDING).sum(axis=0)) / (1 + len(null))
    return np.where(np.isnan(observed), np.nan, p)


def rejects(p: np.ndarray, confidence: float) -> np.ndarray:
    """Whether p values lie below ``1 - confidence``; one that equals it but for rounding does not, nor does NaN."""
    return difference(p, np.asarray(1 - confidence)) < 0


def adjust(
    p: np.ndarray,
    correction: str,
    *,
    statistics: np.ndarray | None = None,
    draws: np.ndarray | None = None,
    two_sided: bool = False,
) -> np.ndarray:
    """P values adjusted for multiple tests; NaN stay NaN and are not counted.

    Parameters
    ----------
    p : array of shape (n_tests,)
        P values before correction.
    correction : {"bh", "holm", "max", "none"}
        ``max`` compares each statistic with the maximum of every draw, studentised over draws (single step).
    statistics : array of shape (n_tests,) or None
        Standard normal scores of the tests; needed for ``max``.
    draws : array of shape (n_draws, n_tests) or None
        Resampled estimates of the tested quantities; needed for ``max``.
    two_sided : bool
        Whether large negative statistics reject as well.

    Returns
    -------
    array of shape (n_tests,)
    """
    if correction not in CORRECTIONS:
        raise InputError(f"there is no correction {correction!r}: {closest(correction, CORRECTIONS)}")
    adjusted = np.array(p, dtype=float)
    known = ~np.isnan(adjusted)
    if correction == "none" or not known.any():
        return adjusted
    if correction != "max":
        adjusted[known] = _stepwise(adjusted[known], correction)
        return adjusted
    if statistics is None or draws is None:
        raise ValueError("the maximum statistic needs statistics and draws")
    scores = draws[:, known] - np.nanmean(draws[:, known], axis=0)
    scores = scores / np.nanstd(scores, axis=0, ddof=1)
    observed = statistics[known]
    if two_sided:
        scores, observed = np.abs(scores), np.abs(observed)
    largest = np.nanmax(scores, axis=1)
    adjusted[known] = (1 + (largest[:, None] >= observed[None]).sum(axis=0)) / (1 + len(largest))
    return np.fmax(adjusted, p)


def _stepwise(p: np.ndarray, correction: str) -> np.ndarray:
    """Holm's or Benjamini and Hochberg's adjustment.

    Same results as ``statsmodels.stats.multitest.multipletests``, which runs the garbage collector on every call and so
    takes up to a second in a large process.
    """
    order = np.argsort(p)
    places = np.arange(1, len(p) + 1)
    adjusted = np.empty(len(p))
    if correction == "holm":
        adjusted[order] = np.maximum.accumulate(p[order] * (len(p) + 1 - places))
    else:
        adjusted[order] = np.minimum.accumulate((p[order] * len(p) / places)[::-1])[::-1]
    return np.clip(adjusted, p, 1)
