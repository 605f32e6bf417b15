"""Difference between two regimes for new seeds and new exemplars: crossed analysis of variance, Satterthwaite's df.

Takes values of networks (rows) and exemplars (columns); gives an :class:`~.hypothesis_tests.Outcome`. Requires at
least two seeds and two exemplars, and values that vary. If seeds or exemplars vary less than expected by chance, only
the larger of the two variance components is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neural_data.axes import Float
from neural_data.rounding import RESOLUTION, difference
from neurocompare.comparison.hypothesis_tests import Outcome, t_outcome

__all__ = ["crossed_outcome"]


@dataclass(frozen=True)
class _Part:
    """A variance component of the difference, estimated with ``df`` degrees of freedom."""

    variance: float
    df: float


def crossed_outcome(
    first: Float[np.ndarray, "first_networks exemplars"],
    second: Float[np.ndarray, "second_networks exemplars"],
    *,
    paired: bool,
    alpha: float = 0.05,
) -> tuple[Outcome, str]:
    """Difference between regimes, with seeds and exemplars as crossed random factors.

    Parameters
    ----------
    first, second : arrays of shape (n_first, n_exemplars) and (n_second, n_exemplars)
        Values of every network and exemplar (identity); NaN if missing. If ``paired``, row i of both arrays is
        the same seed.
    paired : bool
        True analyses differences within seed and exemplar: ``difference = mean + seed + exemplar + rest``. False takes
        networks as independent, with a separate variance in each regime, and includes an exemplar x regime effect.
    alpha : float
        1 - coverage of the interval.

    Returns
    -------
    outcome : Outcome
        Mean difference, with a t test on Satterthwaite's degrees of freedom.
    problem : str
        Why the test is undefined (too few networks, exemplars or common values; no variation), or empty.

    Notes
    -----
    For n seeds and m exemplars the variance of the mean difference is V = (MS_seed + MS_exemplar - MS_rest) / nm: the
    residual is subtracted once because both mean squares contain it. At most the smaller of MS_seed and MS_exemplar is
    subtracted, so that V is never below the larger term. Degrees of freedom are those of Satterthwaite (1946),
    Biometrics Bulletin 2:110, for a sum of mean squares. Missing values are estimated from the effects of their seed
    and exemplar (Yates 1933), and the residual degrees of freedom are reduced by their number.
    """
    if first.shape[1] < 2:
        return Outcome(np.nan), "one value a network"
    if min(len(first), len(second)) < 2:
        return Outcome(np.nan), "fewer than two networks"
    tables = [difference(first, second)] if paired else [first, second]
    largest = max(np.nanmax(np.abs(table), initial=0.0) for table in (first, second))
    if not all(_connected(table) for table in tables):
        return Outcome(np.nan), "seeds and exemplars have too few values in common"
    tables, missing = zip(*(_filled(table) for table in tables), strict=True)
    effects = tables[0] if paired else tables[0].mean(axis=0) - tables[1].mean(axis=0)
    estimate = float(np.mean(effects))
    n_networks, n_exemplars = sum(map(len, tables)), first.shape[1]
    seeds, rests = [], []
    for table, n_missing in zip(tables, missing, strict=True):
        n, m = table.shape
        rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
        df = (n - 1) * (m - 1) - n_missing
        if df < 1:
            return Outcome(estimate, n=n_networks), "too many values are missing"
        seeds.append(_Part(table.mean(axis=1).var(ddof=1) / n, n - 1))
        rests.append(_Part((rest**2).sum() / df / (n * m), df))
    of_exemplar = tables[0].mean(axis=0) if paired else effects
    exemplars = _Part(of_exemplar.var(ddof=1) / n_exemplars, n_exemplars - 1)
    variance, df = _variance(seeds, exemplars, rests)
    if not np.sqrt(variance) > RESOLUTION * largest:
        return Outcome(estimate, n=n_networks), "values do not vary"
    return t_outcome(estimate, float(np.sqrt(variance)), df, n=n_networks, alpha=alpha), ""


def _variance(seeds: list[_Part], exemplars: _Part, rests: list[_Part]) -> tuple[float, float]:
    """Variance of the mean difference and Satterthwaite's degrees of freedom."""
    of_seeds, of_rests = (sum(part.variance for part in parts) for parts in (seeds, rests))
    smaller, larger = sorted([of_seeds, exemplars.variance])
    parts = [*seeds, exemplars, *rests]
    if of_rests >= smaller:
        # The residual cancels the smaller mean square: only the larger is used.
        variance, parts = larger, seeds if of_seeds == larger else [exemplars]
    else:
        variance = of_seeds + exemplars.variance - of_rests
    spread = sum(part.variance**2 / part.df for part in parts)
    return float(variance), float(variance**2 / spread) if spread > 0 else np.nan


def _connected(table: np.ndarray) -> bool:
    """Whether the known values determine all effects of seeds and exemplars, up to one constant."""
    if not np.isnan(table).any():
        return True
    return bool(np.linalg.matrix_rank(_indicators(table)[~np.isnan(table).ravel()]) == sum(table.shape) - 1)


def _indicators(table: np.ndarray) -> np.ndarray:
    """Design matrix of seeds and exemplars, (n_values, n_seeds + n_exemplars)."""
    seed, exemplar = np.indices(table.shape)
    return np.concatenate([np.eye(table.shape[0])[seed.ravel()], np.eye(table.shape[1])[exemplar.ravel()]], axis=1)


def _filled(table: np.ndarray) -> tuple[np.ndarray, int]:
    """The table with missing values replaced by the sum of seed and exemplar effects; and their number."""
    gaps = np.isnan(table)
    if not gaps.any():
        return table, 0
    known = ~gaps.ravel()
    design = _indicators(table)
    effects = np.linalg.lstsq(design[known], table.ravel()[known])[0]
    return np.where(gaps, (design @ effects).reshape(table.shape), table), int(gaps.sum())
