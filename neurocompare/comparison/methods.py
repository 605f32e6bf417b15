"""The measures of fit between RDMs: one record each, with name, label and computation.

A record holds all properties of a measure; code that compares RDMs looks it up in :data:`METHODS`.
Names are those of ``rsatoolbox.rdm.compare``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from neural_data.errors import InputError, closest
from neural_data.rounding import tie_starts
from neurocompare.comparison.drawn_pairs import Pairs
from neurocompare.comparison.fit_kernels import Kernel, ProductKernel, rank_kernel, settle_values, tau_kernel
from neurocompare.representations.correlation import correlate_rows

__all__ = ["METHODS", "Method", "find_method", "of_unit_length"]

Rowwise = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Method:
    """A measure of fit between two RDMs.

    Parameters
    ----------
    name : str
        Name in study files, tables and ``rsatoolbox.rdm.compare``.
    label : str
        Label of axes in figures.
    kernel : callable
        ``(models, recordings, pairs, device)`` to a :class:`~neurocompare.comparison.fit_kernels.Kernel`.
    settle : callable or None
        Shifts and scales vectors (n_rdms, n_pairs) without changing any fit, so that sums over pairs keep their digits.
    centred : bool
        Whether a constant added to all dissimilarities of an RDM does not change its fits.
    ranked : bool
        Whether fits depend only on the rank order of dissimilarities.
    whitened : bool
        Whether the covariance of an RDM's noise is taken into account.
    linear : bool
        Whether least squares of one RDM on others maximises it.
    rowwise : callable or None
        Fits (n,) of vectors (n, n_pairs) to the vectors in the same rows of another array, with equal
        weights; None if the kernel computes them one by one.
    directions : callable or None
        Vectors (n_rdms, n_pairs) whose products are the fits with equal weights, permuted as the pairs are; NaN where a
        fit is undefined. None where there are none.
    """

    name: str
    label: str
    kernel: Callable[[np.ndarray, np.ndarray | None, Pairs, str | None], Kernel]
    settle: Callable[[np.ndarray], np.ndarray] | None = None
    centred: bool = False
    ranked: bool = False
    whitened: bool = False
    linear: bool = False
    rowwise: Rowwise | None = None
    directions: Callable[[np.ndarray], np.ndarray] | None = None

    def settled(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors (n_rdms, n_pairs) prepared for sums over pairs, as kernels prepare them themselves."""
        return vectors if self.settle is None else self.settle(vectors)


def find_method(name: str) -> Method:
    """The record of a measure of fit.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in METHODS:
        raise InputError(f"there is no method {name!r} to compare RDMs: {closest(name, METHODS)}")
    return METHODS[name]


def _products(name: str, label: str, *, centred: bool, whitened: bool, rowwise: Rowwise | None = None) -> Method:
    settle = partial(settle_values, centred=centred)
    return Method(
        name,
        label,
        partial(ProductKernel, centred=centred, whitened=whitened),
        settle=settle,
        centred=centred,
        whitened=whitened,
        linear=not whitened,
        rowwise=rowwise,
        directions=None if whitened else lambda vectors: of_unit_length(settle(vectors)),
    )


def _ranks(
    name: str,
    label: str,
    kernel: Callable[..., Kernel],
    *,
    rowwise: Rowwise | None = None,
    directions: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Method:
    return Method(name, label, kernel, centred=True, ranked=True, rowwise=rowwise, directions=directions)


def of_unit_length(vectors: np.ndarray) -> np.ndarray:
    """Vectors (n_rdms, n_pairs) over their length; NaN for zeros."""
    length = np.sqrt(np.vecdot(vectors, vectors))[:, None]
    return np.divide(vectors, length, out=np.full(vectors.shape, np.nan), where=length > 0)


def _rho_a_directions(vectors: np.ndarray) -> np.ndarray:
    n = vectors.shape[1]
    ranks = _centred_ranks(vectors)
    ranks[~ranks.any(axis=1)] = np.nan
    return ranks / np.sqrt((n**3 - n) / 12)


def _cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    scale = np.sqrt(np.vecdot(first, first) * np.vecdot(second, second))
    return np.divide(np.vecdot(first, second), scale, out=np.full(scale.shape, np.nan), where=scale > 0)


def _spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return correlate_rows(_centred_ranks(first), _centred_ranks(second))


def _rho_a(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    n = first.shape[-1]
    left, right = _centred_ranks(first), _centred_ranks(second)
    rho = np.vecdot(left, right) / ((n**3 - n) / 12)
    return np.where(left.any(axis=-1) & right.any(axis=-1), rho, np.nan)


def _centred_ranks(rows: np.ndarray) -> np.ndarray:
    """Rank minus mean rank of each number of a row; numbers that are equal but for rounding tie."""
    order = np.argsort(rows, axis=-1)
    ordered = np.take_along_axis(rows, order, axis=-1)
    places = np.arange(rows.shape[-1])
    starts = tie_starts(ordered)
    first = np.maximum.accumulate(np.where(starts, places, 0), axis=-1)
    last = np.ones(rows.shape, dtype=bool)
    last[:, :-1] = starts[:, 1:]
    end = np.minimum.accumulate(np.where(last, places, places[-1])[:, ::-1], axis=-1)[:, ::-1]
    ranks = np.empty(rows.shape)
    np.put_along_axis(ranks, order, (first + end - places[-1]) / 2, axis=-1)
    return ranks


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        _products("corr", "Pearson r", centred=True, whitened=False, rowwise=correlate_rows),
        _products("cosine", "cosine", centred=False, whitened=False, rowwise=_cosines),
        _ranks(
            "spearman",
            "Spearman ρ",
            partial(rank_kernel, tie_free=False),
            rowwise=_spearman,
            directions=lambda vectors: of_unit_length(_centred_ranks(vectors)),
        ),
        _ranks(
            "rho-a",
            "ρₐ",
            partial(rank_kernel, tie_free=True),
            rowwise=_rho_a,
            directions=_rho_a_directions,
        ),
        _ranks("tau-a", "Kendall τₐ", tau_kernel),
        _products("corr_cov", "whitened r", centred=True, whitened=True),
        _products("cosine_cov", "whitened cosine", centred=False, whitened=True),
    )
}
"""Every measure of fit, by name. To add one, add its record here."""
