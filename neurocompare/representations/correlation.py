"""Pearson's r between two stacks of vectors, with one definition of a constant vector.

Takes NumPy arrays or torch tensors; gives one number for each pair of vectors at the same position.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from neural_data.rounding import RESOLUTION

__all__ = ["correlate_rows", "varying"]

if TYPE_CHECKING:
    import torch

ArrayOrTensor = TypeVar("ArrayOrTensor", np.ndarray, "torch.Tensor")


def correlate_rows(first: ArrayOrTensor, second: ArrayOrTensor, kept: ArrayOrTensor | None = None) -> ArrayOrTensor:
    """Pearson's r of every vector with the vector at the same position of another stack.

    Parameters
    ----------
    first, second : arrays or tensors of shape (..., n)
        Two stacks of vectors, both NumPy or both torch; their leading axes are broadcast.
    kept : array or tensor of shape (n,) or None
        Mask of the entries to use (True or 1); None uses all. Other entries get weight 0, which is several times faster
        than removing them.

    Returns
    -------
    array or tensor of shape (...), float64
        NaN if a vector is constant (see :func:`varying`) or holds NaN, or if fewer than two entries are used.
    """
    first, second = _floating(first), _floating(second)
    n = first.shape[-1] if kept is None else int(kept.sum())
    powers, rows = [], []
    for vectors in (first, second):
        counted = vectors if kept is None else vectors * kept
        powers.append(_vecdot(counted, vectors))
        deviations = vectors - counted.sum(-1)[..., None] / max(n, 1)
        rows.append(deviations if kept is None else deviations * kept)
    spreads = [_vecdot(deviations, deviations) for deviations in rows]
    defined = varying(spreads[0], powers[0]) & varying(spreads[1], powers[1])
    if n < 2:
        defined = defined & False
    scale = (_double(spreads[0]) * _double(spreads[1])) ** 0.5
    # The scale may be 0 for constant vectors.
    scale = _where(defined, scale, 1.0)
    return _where(defined, (_double(_vecdot(*rows)) / scale).clip(-1, 1), np.nan)


def varying(spread: ArrayOrTensor, power: ArrayOrTensor) -> ArrayOrTensor:
    """Whether vectors vary by more than the rounding of their numbers.

    Parameters
    ----------
    spread : array or tensor
        Sum of squared deviations from each vector's mean.
    power : array or tensor of the same shape
        Sum of the vector's squares.

    Returns
    -------
    boolean array or tensor of the same shape
        True if deviations exceed ``RESOLUTION`` of the numbers, as in ``neural_data.rounding``; for float32, 3.5e-4, as
        smaller deviations have lost half of their digits. False for NaN.
    """
    return spread > max(RESOLUTION**2, float(_library(spread).finfo(spread.dtype).eps)) * power


def _library(values: object) -> Any:
    """NumPy, or torch for a tensor; torch is not imported for arrays, since it takes seconds."""
    torch = sys.modules.get("torch")
    return np if torch is None or not isinstance(values, torch.Tensor) else torch


def _floating(vectors: Any) -> Any:
    if _library(vectors) is np:
        return np.asarray(vectors, dtype=float)
    return vectors if vectors.is_floating_point() else vectors.double()


def _vecdot(first: ArrayOrTensor, second: ArrayOrTensor) -> ArrayOrTensor:
    return _library(first).linalg.vecdot(first, second)


def _double(values: Any) -> Any:
    return values if _library(values) is np else values.double()


def _where(condition: ArrayOrTensor, values: ArrayOrTensor, otherwise: float) -> ArrayOrTensor:
    return _library(condition).where(condition, values, otherwise)
