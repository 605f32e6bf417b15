"""Arithmetic of fits on one block of resampling draws: weighted moments, weighted ranks, whitened products.

A draw is a vector c of multiplicities of stimuli. Resampling only re-weights pairs: (i, j) has weight c_i c_j. The
moments of all draws, models and recordings are therefore one matrix product, weighted ranks are cumulative sums over
one sort, and whitening is weighted double centring. The same code runs on NumPy arrays and torch tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from neural_data.rounding import tie_starts
from neurocompare.representations.dissimilarities import PAIRS

__all__ = [
    "Kernel",
    "Pairs",
    "ProductKernel",
    "fits_of_block",
    "rank_kernel",
    "settle_values",
    "tau_kernel",
    "weighted_rows",
]

BLOCK_BYTES = 64 * 2**20
"""Size of one block of pair weights; a few arrays of this size are in memory, whatever the number of draws."""
CONSTANT = 1e-12
"""Spread, relative to size, below which values count as constant."""

Array = Any  # NumPy array or torch tensor, float64


def settle_values(vectors: np.ndarray, *, centred: bool) -> np.ndarray:
    """Vectors shifted and scaled so that weighted moments do not lose digits.

    Parameters
    ----------
    vectors : array of shape (n_rdms, n_pairs)
        Dissimilarities without NaN.
    centred : bool
        Whether the measure of fit is unchanged by a constant added to all dissimilarities.

    Returns
    -------
    array of shape (n_rdms, n_pairs)
        Constant rows (if not ``centred``: zero rows) become zeros.
    """
    if not vectors.shape[1]:
        return vectors
    size = np.abs(vectors).max(axis=1, keepdims=True)
    if centred:
        constant = np.ptp(vectors, axis=1, keepdims=True) <= CONSTANT * size
        vectors = vectors - vectors.mean(axis=1, keepdims=True)
    else:
        constant = size == 0
    scale = np.sqrt(np.mean(vectors**2, axis=1, keepdims=True))
    return np.where(constant, 0.0, vectors / np.where(constant, 1.0, scale))


@dataclass(frozen=True)
class Pairs:
    """The measured pairs of stimuli, and their weights in draws of stimuli.

    Parameters
    ----------
    n_stimuli : int
    measured : integer array of shape (n_pairs,)
        Positions of the measured pairs in the whole upper triangle.
    clusters : integer array of shape (n_stimuli,) or None
        Pairs within a cluster have weight c, not c squared; see ``fits.fits_on_counts``.
    """

    n_stimuli: int
    measured: np.ndarray
    clusters: np.ndarray | None = None

    @cached_property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """First and second stimulus of each measured pair."""
        first, second = np.triu_indices(self.n_stimuli, 1)
        return first[self.measured], second[self.measured]

    @cached_property
    def same(self) -> np.ndarray | None:
        """Positions of the measured pairs within clusters; None if there are none."""
        if self.clusters is None:
            return None
        first, second = self.ends
        same = np.flatnonzero(self.clusters[first] == self.clusters[second])
        return same if len(same) else None

    @property
    def complete(self) -> bool:
        """Whether every pair was measured."""
        return len(self.measured) == self.n_stimuli * (self.n_stimuli - 1) // 2

    def weights(self, counts: np.ndarray) -> np.ndarray:
        """How often each measured pair was drawn, (n_draws, n_pairs) float64, from counts (n_draws, n_stimuli)."""
        counts = counts.astype(float)
        weights = PAIRS.products(counts, counts)
        if not self.complete:
            weights = weights[:, self.measured]
        if self.same is not None:
            first, second = self.ends
            weights[:, self.same] = np.minimum(counts[:, first[self.same]], counts[:, second[self.same]])
        return weights


class Kernel(Protocol):
    """Fits of fixed model RDMs to fixed or drawn neural RDMs, one block of draws at a time.

    Made from model vectors (n_models, n_pairs); neural vectors (n_recordings, n_pairs), or None if every draw has its
    own; :class:`Pairs`; and a torch device, or None for NumPy.
    """

    @property
    def numbers_per_draw(self) -> int:
        """Numbers in memory per draw, which determine the size of a block."""

    def fits(self, counts: np.ndarray, weights: np.ndarray, drawn: np.ndarray | None) -> np.ndarray:
        """Fits (n_draws, n_models, n_recordings) from counts of stimuli, weights of pairs, and each draw's RDM."""


def fits_of_block(kernel: Kernel, pairs: Pairs, counts: np.ndarray, drawn: np.ndarray | None = None) -> np.ndarray:
    """Fits of one block of draws.

    Parameters
    ----------
    kernel : Kernel
    pairs : Pairs
        The pairs that the kernel was made with.
    counts : integer array of shape (n_draws, n_stimuli)
        Multiplicities of stimuli.
    drawn : array of shape (n_draws, n_pairs) or None
        The neural RDM of each draw, on the measured pairs, if the kernel has no neural vectors.

    Returns
    -------
    array of shape (n_draws, n_models, n_recordings)
        NaN if fewer than two pairs were drawn.
    """
    weights = pairs.weights(counts)
    # One pair cannot vary: a fit needs at least two.
    undefined = (weights > 0).sum(axis=1) < 2
    weights[undefined] = 1.0
    fits = kernel.fits(counts, weights, drawn)
    fits[undefined] = np.nan
    return fits


class ProductKernel:
    """Cosine of the angle between weighted vectors: centred, whitened, both or neither."""

    def __init__(
        self,
        models: np.ndarray,
        recordings: np.ndarray | None,
        pairs: Pairs,
        device: str | None,
        *,
        centred: bool,
        whitened: bool,
    ):
        self.centred = centred
        self.to_device, self.to_numpy = _carriers(device)
        self.models = self.to_device(models)
        self.recordings: Array = None if recordings is None else self.to_device(recordings)
        self.n_pairs = max(len(pairs.measured), 1)
        self.whitening = _Whitening(pairs, self.models, self.recordings, self.to_device) if whitened else None

    @property
    def numbers_per_draw(self) -> int:
        """See :class:`Kernel`."""
        return self.n_pairs + (0 if self.whitening is None else self.whitening.numbers_per_draw)

    def fits(self, counts: np.ndarray, weights: np.ndarray, drawn: np.ndarray | None) -> np.ndarray:
        """See :class:`Kernel`."""
        weights = self.to_device(weights)
        if drawn is not None:
            drawn = self.to_device(drawn)
        n, x, y, xx, yy, xy = self._sums(weights, drawn)
        sizes = xx, yy
        n = n[:, None]
        if self.centred:
            xx, yy, xy = xx - x * x / n, yy - y * y / n, xy - x[:, :, None] * (y / n)[:, None, :]
        if self.whitening is not None:
            means = (x / n, y / n) if self.centred else (0 * x, 0 * y)
            less = self.whitening.removed(self.to_device(counts.astype(float)), drawn, *means)
            xx, yy, xy = xx - less[0], yy - less[1], xy - less[2]
        xx, yy = _defined(xx, sizes[0]), _defined(yy, sizes[1])
        return self.to_numpy(xy / (xx[:, :, None] * yy[:, None, :]) ** 0.5)

    def _sums(self, weights: Array, drawn: Array | None) -> tuple[Array, ...]:
        """Weighted sums over pairs: 1, x, y, x squared, y squared and x y, of each draw."""
        x, xx = weights @ self.models.T, _weighted_products(weights, self.models, self.models)
        if drawn is not None:
            weighted = weights * drawn
            y, yy = weighted.sum(1)[:, None], (weighted * drawn).sum(1)[:, None]
            return weights.sum(1), x, y, xx, yy, (weighted @ self.models.T)[:, :, None]
        y, yy = weights @ self.recordings.T, _weighted_products(weights, self.recordings, self.recordings)
        if len(weights) < len(self.recordings):
            xy = _stack([(self.models * row) @ self.recordings.T for row in weights], 0)
        else:
            xy = _stack([_weighted_products(weights, self.models, row[None]) for row in self.recordings], -1)
        return weights.sum(1), x, y, xx, yy, xy


def weighted_rows(first: np.ndarray, second: np.ndarray, weights: np.ndarray, *, centred: bool) -> np.ndarray:
    """Weighted cosine (correlation, if ``centred``) of every vector with the one in the same row.

    Parameters
    ----------
    first, second : arrays of shape (n_rdms, n_pairs)
        Settled vectors.
    weights : array of shape (n_draws, n_pairs)
    centred : bool

    Returns
    -------
    array of shape (n_draws, n_rdms)
        NaN if a vector is constant over the drawn pairs.
    """
    xx, yy, xy = (weights @ (a * b).T for a, b in ((first, first), (second, second), (first, second)))
    sizes = xx.copy(), yy.copy()
    if centred:
        n, x, y = weights.sum(axis=1)[:, None], weights @ first.T, weights @ second.T
        xx, yy, xy = xx - x * x / n, yy - y * y / n, xy - x * y / n
    return xy / np.sqrt(_defined(xx, sizes[0]) * _defined(yy, sizes[1]))


def rank_kernel(
    models: np.ndarray, recordings: np.ndarray | None, pairs: Pairs, device: str | None, *, tie_free: bool
) -> Kernel:
    """Spearman's rho, or rho-a where ``tie_free``: compiled for the processor, in torch for a device."""
    if device is not None:
        return _SortedRankKernel(models, recordings, pairs, device, tie_free)

    def rho(*ranked: object) -> np.ndarray:
        # Imported here because compiling takes seconds and only rank correlations need it.
        from neurocompare.comparison.rank_kernels import rho_of_draws

        measure: Callable[..., np.ndarray] = rho_of_draws
        return measure(*ranked, tie_free)

    return _CompiledKernel(models, recordings, pairs, rho)


def tau_kernel(models: np.ndarray, recordings: np.ndarray | None, pairs: Pairs, _device: str | None) -> Kernel:
    """Kendall's tau-a, always on the processor."""

    def tau(*ranked: object) -> np.ndarray:
        from neurocompare.comparison.rank_kernels import tau_a_of_draws

        return tau_a_of_draws(*ranked)

    return _CompiledKernel(models, recordings, pairs, tau)


class _CompiledKernel:
    """Measures of ranks, compiled with numba: see ``rank_kernels``."""

    def __init__(
        self,
        models: np.ndarray,
        recordings: np.ndarray | None,
        pairs: Pairs,
        measure: Callable[..., np.ndarray],
    ):
        self.measure = measure
        self.models = _DenseRanks(models)
        self.recordings = None if recordings is None else _DenseRanks(recordings)
        self.numbers_per_draw = max(len(pairs.measured), 1)

    def fits(self, _counts: np.ndarray, weights: np.ndarray, drawn: np.ndarray | None) -> np.ndarray:
        """See :class:`Kernel`."""
        left, right = self.models, self.recordings if drawn is None else _DenseRanks(drawn)
        if right is None:
            raise ValueError("fits need recordings, or an RDM of every draw")
        return self.measure(weights, left.ranks, left.order, right.ranks, right.order, drawn is not None)


class _SortedRankKernel:
    """Weighted products of ranks; a rank is stored as twice its distance from the mean rank, an integer."""

    def __init__(self, models: np.ndarray, recordings: np.ndarray | None, pairs: Pairs, device: str, tie_free: bool):
        self.tie_free = tie_free
        self.to_device, self.to_numpy = _carriers(device)
        self.models = [_SortedRow(row, self.to_device) for row in models]
        self.recordings = [_SortedRow(row, self.to_device) for row in (() if recordings is None else recordings)]
        self.numbers_per_draw = max(len(pairs.measured), 1) * ((1 if recordings is None else len(recordings)) + 5)

    def fits(self, _counts: np.ndarray, weights: np.ndarray, drawn: np.ndarray | None) -> np.ndarray:
        """See :class:`Kernel`."""
        turned = self.to_device(np.ascontiguousarray(weights.T))
        n = turned.sum(0)
        if drawn is None:
            right = [row.ranks(turned, n) for row in self.recordings]
        else:
            right = [self.to_device(np.ascontiguousarray(_ranks_of_rows(weights, drawn).T))]
        yy = [(turned * y * y).sum(0) for y in right]
        fits = np.empty((len(weights), len(self.models), len(right)))
        for m, model in enumerate(self.models):
            x = model.ranks(turned, n)
            weighted = turned * x
            xx = (weighted * x).sum(0)
            for r, y in enumerate(right):
                xy = (weighted * y).sum(0)
                if self.tie_free:
                    fit = 3 * xy / (n**3 - n)
                    fit[(xx == 0) | (yy[r] == 0)] = np.nan
                else:
                    fit = xy / (_defined(xx, xx) * _defined(yy[r], yy[r])) ** 0.5
                fits[:, m, r] = self.to_numpy(fit)
        return fits


class _Whitening:
    """Whitening: correction of products x'y to x' V^-1 y, where V is the covariance of the noise of an RDM.

    V is that of independent noise with equal variance in all responses. Then x' V^-1 y is the product of the two
    double-centred matrices (linear CKA). If pairs are repeated or left out by a draw, double centring means to find b
    with ``sum_j w_ij (x_ij - (b_i + b_j) / 2) = b_i`` for every drawn copy i, where w_ij counts its drawn partners.
    Centring is a projection, so it subtracts ``sum_i c_i b_i (row sum i of y)`` from twice the product over pairs.
    """

    def __init__(self, pairs: Pairs, models: Array, recordings: Array | None, to_device: Callable[[np.ndarray], Array]):
        n = self.n_stimuli = pairs.n_stimuli
        first, second = pairs.ends
        self.places = first * n + second, second * n + first
        far = np.ones(len(first))
        if pairs.same is not None:
            far[pairs.same] = 0.0
        self.far = self._squares(to_device(far[None]))[0]
        self.near = None if pairs.same is None else self._squares(to_device(1.0 - far[None]))[0]
        self.closed_form = pairs.complete and self.near is None
        self.models = self._squares(models)
        self.recordings = None if recordings is None else self._squares(recordings)

    @property
    def numbers_per_draw(self) -> int:
        """Numbers in memory per draw."""
        n = self.n_stimuli
        rows = 4 * n * (len(self.models) + (1 if self.recordings is None else len(self.recordings)))
        return rows + (n * n if self.recordings is None else 0) + (0 if self.closed_form else 3 * n * n)

    def removed(self, counts: Array, drawn: Array | None, mean_x: Array, mean_y: Array) -> tuple[Array, ...]:
        """Corrections to subtract from the sums of x squared, y squared and x y over pairs.

        ``mean_x`` (n_draws, n_models) and ``mean_y`` (n_draws, n_recordings) are subtracted from the RDMs first.
        """
        partners = self._row_sums(counts, self.far[None] + (0 if self.near is None else self.near[None]))[0]
        rows_x = self._row_sums(counts, self.models) - mean_x.T[:, :, None] * partners
        rows_y = self.recordings if drawn is None else self._squares(drawn)
        rows_y = self._row_sums(counts, rows_y, drawn is not None) - mean_y.T[:, :, None] * partners
        rows = _concatenate([rows_x, rows_y]).swapaxes(0, 1)  # (n_draws, n_models + n_recordings, n_stimuli)
        solved = counts[:, None, :] * self._solved(counts, partners, rows) / 2
        n_models = len(rows_x)
        own = (rows * solved).sum(-1)
        return own[:, :n_models], own[:, n_models:], rows[:, :n_models] @ solved[:, n_models:].swapaxes(1, 2)

    def _row_sums(self, counts: Array, squares: Array, per_draw: bool = False) -> Array:
        """Sum over the drawn partners of each stimulus, (n_rdms, n_draws, n_stimuli)."""
        if per_draw:
            sums = ((squares * self.far) @ counts[:, :, None])[None, :, :, 0]
        else:
            sums = counts[None] @ (squares * self.far)
        if self.near is None:
            return sums
        present = 1.0 * (counts > 0)
        if per_draw:
            return sums + ((squares * self.near) @ present[:, :, None])[None, :, :, 0]
        return sums + present[None] @ (squares * self.near)

    def _solved(self, counts: Array, partners: Array, rows: Array) -> Array:
        """Solution b for every row, (n_draws, n_rdms, n_stimuli); see the class."""
        if self.closed_form:
            # All off-diagonal coefficients of column j are c_j / 2: a diagonal matrix plus one of rank one.
            diagonal = (counts.sum(1)[:, None] / 2 + 1 - counts)[:, None, :]
            if (diagonal > 0.25).all():
                c = counts[:, None, :]
                half = (c * rows / diagonal).sum(-1, keepdims=True) / (2 + (c / diagonal).sum(-1, keepdims=True))
                return (rows - half) / diagonal
        coefficients = counts[:, None, :] * self.far[None] / 2
        if self.near is not None:
            coefficients = coefficients + (counts > 0)[:, None, :] * self.near[None] / 2
        positions = np.arange(self.n_stimuli)
        coefficients[:, positions, positions] = partners / 2 + 1
        return _solve(coefficients, rows.swapaxes(1, 2)).swapaxes(1, 2)

    def _squares(self, vectors: Array) -> Array:
        """Symmetric matrices (n_rdms, n_stimuli, n_stimuli) of vectors on the measured pairs, 0 elsewhere."""
        n = self.n_stimuli
        squares = _zeros((len(vectors), n * n), vectors)
        for places in self.places:
            squares[:, places] = vectors
        return squares.reshape(len(vectors), n, n)


class _SortedRow:
    """The sorted values of one RDM; its ranks under any weights follow from a cumulative sum of the weights."""

    def __init__(self, values: np.ndarray, to_device: Callable[[np.ndarray], Array]):
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        # Positions where a pair's group of ties starts and ends in the sorted order.
        firsts = np.flatnonzero(tie_starts(ordered[None])[0])
        sizes = np.diff(np.append(firsts, len(ordered)))
        starts, ends = np.empty_like(order), np.empty_like(order)
        starts[order], ends[order] = np.repeat(firsts, sizes), np.repeat(firsts + sizes, sizes)
        self.order, self.starts, self.ends = (to_device(index) for index in (order, starts, ends))

    def ranks(self, turned: Array, n: Array) -> Array:
        """Twice (rank - mean rank) of each pair, (n_pairs, n_draws), under weights of that shape."""
        before = _zeros((turned.shape[0] + 1, turned.shape[1]), turned)
        before[1:] = turned[self.order].cumsum(0)
        return before[self.starts] + before[self.ends] - n


class _DenseRanks:
    """Dense ranks (from 0; values equal but for rounding are tied) and the sort order of each row."""

    def __init__(self, rows: np.ndarray):
        self.order = np.argsort(rows, axis=1)
        ordered = np.take_along_axis(rows, self.order, axis=1)
        steps = np.zeros(rows.shape, dtype=np.int64)
        np.cumsum(tie_starts(ordered)[:, 1:], axis=1, out=steps[:, 1:])
        self.ranks = np.empty_like(steps)
        np.put_along_axis(self.ranks, self.order, steps, axis=1)


def _ranks_of_rows(weights: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Twice (rank - mean rank) of each row's values under that row's weights, both (n_draws, n_pairs)."""
    order = np.argsort(rows, axis=1)
    ordered = np.take_along_axis(rows, order, axis=1)
    weight = np.take_along_axis(weights, order, axis=1)
    upto = np.cumsum(weight, axis=1)
    new = tie_starts(ordered)
    last = np.ones(rows.shape, dtype=bool)
    last[:, :-1] = new[:, 1:]
    before = np.maximum.accumulate(np.where(new, upto - weight, 0.0), axis=1)
    after = np.minimum.accumulate(np.where(last, upto, np.inf)[:, ::-1], axis=1)[:, ::-1]
    ranks = np.empty_like(rows)
    np.put_along_axis(ranks, order, before + after - upto[:, -1:], axis=1)
    return ranks


def _weighted_products(weights: Array, rows: Array, others: Array) -> Array:
    """Sum over pairs of weight x row x other, (n_draws, n_rows), a chunk of rows at a time."""
    step = max(1, BLOCK_BYTES // (8 * max(rows.shape[1], 1)))
    chunks = [slice(start, start + step) for start in range(0, len(rows), step)]
    return _concatenate([weights @ (rows[c] * (others[c] if len(others) > 1 else others)).T for c in chunks], -1)


def _carriers(device: str | None) -> tuple[Callable, Callable]:
    """Functions that move NumPy arrays to the device and back."""
    if device is None:
        return np.asarray, np.asarray
    import torch

    return (lambda array: torch.as_tensor(np.ascontiguousarray(array), device=device)), (lambda t: t.cpu().numpy())


def _concatenate(arrays: list[Array], axis: int = 0) -> Array:
    if isinstance(arrays[0], np.ndarray):
        return np.concatenate(arrays, axis)
    import torch

    return torch.cat(arrays, axis)


def _stack(arrays: list[Array], axis: int) -> Array:
    if isinstance(arrays[0], np.ndarray):
        return np.stack(arrays, axis)
    import torch

    return torch.stack(arrays, axis)


def _zeros(shape: tuple[int, ...], like: Array) -> Array:
    return np.zeros(shape) if isinstance(like, np.ndarray) else like.new_zeros(shape)


def _solve(coefficients: Array, right: Array) -> Array:
    if isinstance(coefficients, np.ndarray):
        return np.linalg.solve(coefficients, right)
    import torch

    return torch.linalg.solve(coefficients, right)


def _defined(spread: Array, size: Array) -> Array:
    """Weighted sums of squares; NaN if they are within rounding error of 0."""
    spread[spread <= CONSTANT * size] = np.nan
    return spread
