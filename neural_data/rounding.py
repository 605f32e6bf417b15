"""What counts as equal: no verdict may hang on the last digits of a computed number.

Which of two equal numbers comes out larger depends on the processor, its number of threads and the order of a sum.
So every comparison that decides something (a sign, the largest of several, a tie, a constant) asks here.
"""

from __future__ import annotations

import numpy as np

__all__ = ["RESOLUTION", "ROUNDING", "difference", "first_largest", "is_constant", "merge_ties", "tie_starts"]

ROUNDING = 1e-12
"""Relative size of what sums of float64 numbers leave behind, with room to spare."""

RESOLUTION = 1e-6
"""Relative size below which results differ by nothing that was measured: activations are float32, seven digits."""


def difference(first: np.ndarray, second: np.ndarray, *, resolution: float = RESOLUTION) -> np.ndarray:
    """First minus second, and exactly 0 where the two are equal but for rounding.

    Parameters
    ----------
    first, second : arrays of shapes that broadcast
        Numbers of one unit; NaN stay NaN.
    resolution : float
        Differences up to this share of the largest number of both are 0.

    Returns
    -------
    array
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    apart = first - second
    return np.where(np.abs(apart) <= resolution * max(_size(first), _size(second)), 0.0, apart)


def first_largest(values: np.ndarray, axis: int = -1, *, resolution: float = RESOLUTION) -> np.ndarray:
    """Place of the largest number along an axis; of several that are equal but for rounding, the first.

    Parameters
    ----------
    values : array
        NaN count as the smallest.
    axis : int
    resolution : float
        Numbers within this share of the largest absolute value along the axis are equal.

    Returns
    -------
    integer array
        As ``numpy.argmax`` gives it.
    """
    values = np.asarray(values, dtype=float)
    finite = np.isfinite(values)
    size = np.where(finite, np.abs(values), 0.0).max(axis=axis, keepdims=True, initial=0.0)
    known = np.where(np.isnan(values), -np.inf, values)
    return np.argmax(known >= known.max(axis=axis, keepdims=True) - resolution * size, axis=axis)


def is_constant(values: np.ndarray, axis: int = -1, *, resolution: float = ROUNDING) -> np.ndarray:
    """Whether numbers are equal along an axis but for rounding; NaN make it False.

    Parameters
    ----------
    values : array
    axis : int
    resolution : float
        Spread, relative to the largest absolute value along the axis.

    Returns
    -------
    boolean array
    """
    values = np.asarray(values, dtype=float)
    return np.ptp(values, axis=axis) <= resolution * np.abs(values).max(axis=axis)


def merge_ties(values: np.ndarray, *, resolution: float = RESOLUTION) -> np.ndarray:
    """The same numbers, those that are equal but for rounding made equal.

    Parameters
    ----------
    values : array of any shape
        All of one unit; NaN stay NaN.
    resolution : float
        Neighbours in order tie if they lie within this share of the largest absolute value.

    Returns
    -------
    array of the same shape
        Each number of a tie is the smallest of it.
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
    """Where a number of sorted rows begins a new tie.

    Parameters
    ----------
    ordered : array of shape (n_rows, n_values)
        Rising along each row.
    resolution : float
        Neighbours tie if they lie within this share of the row's largest absolute value.

    Returns
    -------
    boolean array of the same shape
        True at the first number of each tie, and at each number that ties with none.
    """
    starts = np.ones(ordered.shape, dtype=bool)
    if ordered.shape[1]:
        size = np.maximum(np.abs(ordered[:, :1]), np.abs(ordered[:, -1:]))
        starts[:, 1:] = np.diff(ordered, axis=1) > resolution * size
    return starts


def _size(values: np.ndarray) -> float:
    finite = np.isfinite(values)
    return float(np.abs(values[finite]).max(initial=0.0))
