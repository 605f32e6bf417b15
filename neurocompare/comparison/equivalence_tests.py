"""Tests of equality: whether differences are smaller than the smallest difference that matters.

A test that does not reject says nothing of equality. Two one-sided tests do: a difference is within a margin where it
is significantly above minus the margin and below the margin. Takes and gives arrays, and tables of
differences.
"""

from __future__ import annotations

from numbers import Real

import numpy as np
import pandas as pd
from scipy import stats

from neural_data.errors import InputError
from neural_data.rounding import RESOLUTION, is_constant
from neurocompare.comparison.multiplicity import adjust, rejects

__all__ = ["EQUALITY_COLUMNS", "check_margin", "conclusions", "one_sided", "p_equal", "with_equality"]

EQUALITY_COLUMNS = ("margin", "p_equal", "p_equal_adjusted", "conclusion")
"""What :func:`with_equality` adds to a table of differences."""


def with_equality(
    table: pd.DataFrame,
    margin: float | None,
    *,
    estimate: str = "difference",
    p: str = "p",
    correction: str = "none",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """A table of differences with what says whether they are smaller than the smallest one that matters.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per difference: its estimate, ``se``, ``df``, and its p against 0.
    margin : float or None
        Smallest difference that matters, above 0. None: the columns that are added are empty.
    estimate, p : str
        Columns of the estimated differences, and of their corrected p values.
    correction : {"bh", "holm", "max", "none"}
        How ``p`` was corrected over the rows. The tests of equality are corrected alike; by Holm in place of ``max``.
    confidence : float
        Coverage of intervals; tests are at 1 - ``confidence``.

    Returns
    -------
    pandas.DataFrame
        The table and :data:`EQUALITY_COLUMNS`: ``margin``; ``p_equal``, of two one-sided t tests;
        ``p_equal_adjusted``; and the ``conclusion``, see :func:`conclusions`.

    Raises
    ------
    InputError
        If the margin is not above 0.

    Examples
    --------
    >>> table = pd.DataFrame({"difference": [0.01, 0.2], "se": 0.01, "df": 30, "p": [0.3, 1e-9]})
    >>> with_equality(table, 0.05)["conclusion"].tolist()
    ['equal within 0.05', 'different']
    """
    if margin is None:
        return table.assign(margin=np.nan, p_equal=np.nan, p_equal_adjusted=np.nan, conclusion="")
    difference, se, df, apart = (table[name].to_numpy(dtype=float) for name in (estimate, "se", "df", p))
    within = p_equal(difference, se, df, margin)
    adjusted = adjust(within, "holm" if correction == "max" else correction)
    return table.assign(
        margin=margin,
        p_equal=within,
        p_equal_adjusted=adjusted,
        conclusion=conclusions(apart, adjusted, margin, confidence),
    )


def check_margin(margin: float) -> float:
    """The margin, a number above 0.

    Raises
    ------
    InputError
        If it is not.
    """
    if isinstance(margin, bool) or not isinstance(margin, Real) or not (np.isfinite(margin) and margin > 0):
        raise InputError(f"the smallest difference that matters must be a number above 0; got {margin!r}")
    return float(margin)


def p_equal(difference: np.ndarray, se: np.ndarray, df: np.ndarray | float, margin: float) -> np.ndarray:
    """P of two one-sided t tests: small where a difference lies within the margin on both sides.

    Parameters
    ----------
    difference, se : arrays of one shape
        Estimated differences, and their standard errors.
    df : array or float
        Degrees of freedom.
    margin : float
        Smallest difference that matters, above 0.

    Returns
    -------
    array
        The larger of the two p values. NaN where the standard error is NaN, or is 0 beside a difference that is not:
        no spread over units, so no test. 0 where both are 0: two identical layers are equal in every part of the
        sample, and t grows without bound as both vanish. What is below ``RESOLUTION`` of the margin is rounding.

    References
    ----------
    Schuirmann (1987), J Pharmacokinet Biopharm 15:657.
    """
    size, se = np.abs(difference), np.asarray(se, dtype=float)
    p = one_sided(check_margin(margin) - size, se, df)
    no_size, no_spread = (
        is_constant(margin + np.stack([np.zeros_like(one), one]), axis=0, resolution=RESOLUTION) for one in (size, se)
    )
    return np.where(no_spread, np.where(no_size, 0.0, np.nan), p)


def one_sided(estimate: np.ndarray, se: np.ndarray, df: np.ndarray | float) -> np.ndarray:
    """P of a one-sided t test of estimates against 0; NaN where the standard error is 0 or NaN."""
    t = np.divide(estimate, se, out=np.full(np.shape(estimate), np.nan), where=np.asarray(se) > 0)
    return stats.t.sf(t, df)


def conclusions(
    p: np.ndarray, p_within: np.ndarray, margin: float, confidence: float = 0.95, *, unit: str = ""
) -> np.ndarray:
    """What two tests of a difference say together.

    Parameters
    ----------
    p, p_within : arrays of one shape
        Corrected p values of the difference against 0, and of :func:`p_equal`.
    margin : float
        Smallest difference that matters, above 0.
    confidence : float
        Coverage of intervals; tests are at 1 - ``confidence``.
    unit : str
        Of the margin, such as ``ms``; empty without.

    Returns
    -------
    array of str
        ``different``; ``equal within 0.05``; ``different by less than 0.05``, where both tests reject; ``undecided``,
        where neither does or they are undefined.
    """
    apart, within = rejects(p, confidence), rejects(p_within, confidence)
    limit = f"{margin:g} {unit}".strip()
    names = ["undecided", "different", f"equal within {limit}", f"different by less than {limit}"]
    return np.array(names, dtype=object)[apart.astype(int) + 2 * within.astype(int)]
