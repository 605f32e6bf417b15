"""Comparisons of computed numbers that do not depend on rounding errors.

Two results that are equal in exact arithmetic can differ in their last digits, depending on the processor, the number
of threads and the order of a sum. Every comparison that decides something (a sign, a maximum, a tie, a constant) uses
these functions.
"""

from __future__ import annotations

import numpy as np

__all__ = ["RESOLUTION", "ROUNDING", "difference", "first_largest", "is_constant", "merge_ties", "tie_starts"]

ROUNDING = 1e-12
"""Upper bound of the relative rounding error of sums of float64 numbers, with a margin."""

RESOLUTION = 1e-6
"""Relative difference below which two results count as equal: activations are float32, with seven digits."""


def difference(first: np.ndarray, second: np.ndarray, *, resolution: float = RESOLUTION) -> np.ndarray:
    """First minus second, and exactly 0 where the two are equal but for rounding.

    Parameters
    ----------
    first, second : arrays of shapes that broadcast
        In the same unit; NaN stay NaN.
    resolution : float
        Differences up to this share of the largest absolute value of both are 0.

    Returns
    -------
    array
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    apart = first - second
    return np.where(np.abs(apart) <= resolution * max(_size(first), _size(second)), 0.0, apart)


def first_largest(values: np.ndarray, axis: int = -1, *, resolution: float = RESOLUTION) -> np.ndarray:
    """Index of the largest number along an axis; of several that are equal but for rounding, the first.

    Parameters
    ----------
    values : array
        NaN count as the smallest.
    axis : int
        Axis along which numbers are compared.
    resolution : float
        Numbers within this share of the largest absolute value along the axis are equal.

    Returns
    -------
    integer array
        Indices, as from ``numpy.argmax``.
    """
    values = np.asarray(values, dtype=float)
    finite = np.isfinite(values)
    size = np.where(finite, np.abs(values), 0.0).max(axis=axis, keepdims=True, initial=0.0)
    known = np.where(np.isnan(values), -np.inf, values)
    return np.argmax(known >= known.max(axis=axis, keepdims=True) - resolution * size, axis=axis)


def is_constant(values: np.ndarray, axis: int = -1, *, resolution: float = ROUNDING) -> np.ndarray:
    """Whether all numbers along an axis are equal but for rounding; False if any is NaN.

    Parameters
    ----------
    values : array
        Numbers of any shape.
    axis : int
        Axis along which numbers are compared.
    resolution : float
        Largest spread that counts as constant, relative to the largest absolute value along the axis.

    Returns
    -------
    boolean array
    """
    values = np.asarray(values, dtype=float)
    return np.ptp(values, axis=axis) <= resolution * np.abs(values).max(axis=axis)


def merge_ties(values: np.ndarray, *, resolution: float = RESOLUTION) -> np.ndarray:
    """The numbers, with those that are equal but for rounding made exactly equal.

    Parameters
    ----------
    values : array of any shape
        All in the same unit; NaN stay NaN.
    resolution : float
        Neighbours in sorted order are tied if they differ by at most this share of the largest absolute value.

    Returns
    -------
    array of the same shape
        Every number of a tie is replaced by the smallest of the tie.
    """
    values = np.array(values, dtype=float)
    known = np.flatnonzero(~np.isnan(values.ravel()))
    flat = values.ravel()
    order = known[np.argsort(flat[known], kind="stable")]
    ordered = flat[order]
    starts = np.flatnonzero(tie_starts(ordered[None], resolution=resolution)[0])
    flat[order] = np.repeat(ordered[starts], np.diff(np.append(starts, len(ordered))))
    return flat.reshape(values.shape)


def tie_starts(ordered: np.ndarray, *, resolution: float = ROUNDING) -> np.ndarray:
    """Where in sorted rows a group of tied numbers begins.

    Parameters
    ----------
    ordered : array of shape (n_rows, n_values)
        Rising along each row.
    resolution : float
        Neighbours are tied if they differ by at most this share of the row's largest absolute value.

    Returns
    -------
    boolean array of the same shape
        True at the first number of each group of ties, and at each number without ties.
    """
    starts = np.ones(ordered.shape, dtype=bool)
    if ordered.shape[1]:
        size = np.maximum(np.abs(ordered[:, :1]), np.abs(ordered[:, -1:]))
        starts[:, 1:] = np.diff(ordered, axis=1) > resolution * size
    return starts


def _size(values: np.ndarray) -> float:
    finite = np.isfinite(values)
    return float(np.abs(values[finite]).max(initial=0.0))
