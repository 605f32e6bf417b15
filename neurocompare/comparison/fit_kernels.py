"""Arithmetic of fits on one block of resampling draws: weighted moments, weighted ranks, whitened products.

A draw is a vector c of multiplicities of stimuli. Resampling only re-weights pairs: (i, j) has weight c_i c_j. The
moments of all draws, models and recordings are therefore one matrix product, weighted ranks are cumulative sums over
one sort, and whitening is weighted double centring. The same code runs on NumPy arrays and torch tensors.

The matrix product is taken a tile of pairs at a time: the weights of a tile stay in the processor's cache, and neither
the weights of all pairs nor the products of all RDMs are ever in memory.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from neural_data.rounding import tie_starts
from neurocompare.comparison.drawn_pairs import Array, Pairs

__all__ = [
    "Kernel",
    "Pairs",
    "ProductKernel",
    "defined",
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

TILE_NUMBERS = 2**18
"""Numbers of one tile of RDMs, 2 MB: with the weights of some draws it fits the processor's cache."""
TILE_PAIRS = 256, 4096
"""Fewest and most pairs of a tile."""
TILE_ROWS = 1024
"""Rows of RDMs and their products in one matrix product, about."""
TILE_DRAWS = 512
DEVICE_TILE = 32_768, 4096
"""Pairs and draws of a tile on a torch device, which takes larger ones."""
LONG_SECONDS = 10.0
"""The expected time of sums that take longer is logged."""

log = logging.getLogger(__name__)


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
    settled: np.ndarray = _SettledRows(vectors, np.asarray, centred=centred).part(slice(None))
    return settled


class Kernel(Protocol):
    """Fits of fixed model RDMs to fixed or drawn neural RDMs, one block of draws at a time.

    Made from model vectors (n_models, n_pairs); neural vectors (n_recordings, n_pairs), or None if every draw has its
    own; :class:`Pairs`; and a torch device, or None for NumPy.
    """

    @property
    def numbers_per_draw(self) -> int:
        """Numbers in memory per draw, which determine the size of a block."""

    def fits(self, counts: np.ndarray, drawn: np.ndarray | None) -> np.ndarray:
        """Fits (n_draws, n_models, n_recordings) from counts of stimuli, and each draw's RDM."""


def fits_of_block(kernel: Kernel, pairs: Pairs, counts: np.ndarray, drawn: np.ndarray | None = None) -> np.ndarray:
    """Fits of one block of draws.

    Parameters
    ----------
    kernel : Kernel
        Made from all model and neural vectors.
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
    # One pair cannot vary: a fit needs at least two.
    undefined = pairs.n_drawn(counts) < 2
    fits = kernel.fits(np.where(undefined[:, None], 1, counts) if undefined.any() else counts, drawn)
    fits[undefined] = np.nan
    return fits


class ProductKernel:
    """Cosine of the angle between weighted vectors: centred, whitened, both or neither.

    Parameters
    ----------
    models, recordings, pairs, device
        See :class:`Kernel`.
    centred : bool
        Whether vectors lose their weighted means first: correlation.
    whitened : bool
        Whether pairs are whitened by their covariance under no effect (``corr_cov``, ``cosine_cov``).
    """

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
        self.centred, self.pairs, self.device = centred, pairs, device
        self.to_device, self.to_numpy = _carriers(device)
        self.models = _SettledRows(models, self.to_device, centred=centred)
        self.recordings = None if recordings is None else _SettledRows(recordings, self.to_device, centred=centred)
        whole = slice(0, models.shape[1])
        self.whitening = None
        if whitened:
            right = None if self.recordings is None else self.recordings.part(whole)
            self.whitening = _Whitening(pairs, self.models.part(whole), right, self.to_device)

    @property
    def numbers_per_draw(self) -> int:
        """See :class:`Kernel`."""
        n_sums = self.models.n * (2 if self.recordings is None else 2 + self.recordings.n)
        n_others = max(len(self.pairs.measured), 1) if self.recordings is None else 1 + 2 * self.recordings.n
        return n_sums + n_others + (0 if self.whitening is None else self.whitening.numbers_per_draw)

    def fits(self, counts: np.ndarray, drawn: np.ndarray | None) -> np.ndarray:
        """See :class:`Kernel`."""
        if drawn is not None:
            drawn = self.to_device(drawn)
        n, x, y, xx, yy, xy = self._sums(counts, drawn)
        sizes = xx, yy
        n = n[:, None]
        if self.centred:
            xx, yy, xy = xx - x * x / n, yy - y * y / n, xy - x[:, :, None] * (y / n)[:, None, :]
        if self.whitening is not None:
            means = (x / n, y / n) if self.centred else (0 * x, 0 * y)
            less = self.whitening.removed(self.to_device(counts.astype(float)), drawn, *means)
            xx, yy, xy = xx - less[0], yy - less[1], xy - less[2]
        xx, yy = defined(xx, sizes[0]), defined(yy, sizes[1])
        return self.to_numpy(xy / (xx[:, :, None] * yy[:, None, :]) ** 0.5)

    def _sums(self, counts: np.ndarray, drawn: Array | None) -> tuple[Array, ...]:
        """Weighted sums over pairs: 1, x, y, x squared, y squared and x y, of each draw."""
        n_draws, n_models = len(counts), self.models.n
        n_right = 1 if self.recordings is None else self.recordings.n
        turned = self.to_device(np.ascontiguousarray(counts.T.astype(float)))
        # Products of every model with every recording are worth their making for several draws only.
        multiplied = drawn is None and n_draws >= n_right
        own, both = 1 + 2 * n_models + 2 * n_right, n_models * n_right if multiplied else 0
        sums = _zeros((own + both, n_draws), turned)
        xy = _zeros((0 if multiplied else n_draws, n_models, n_right), turned)
        n_pairs, at_once = self._tile_size(own + both)
        tiles = self.pairs.tiles(n_pairs)
        for tile in tiles if self.device else _timed(tiles, len(self.pairs.measured), (n_models, n_right, n_draws)):
            models = self.models.part(tile)
            recordings: Array = None if self.recordings is None else self.recordings.part(tile)
            row = 0
            for rows in _stacked(_moment_rows(models, recordings, multiplied)):
                for draws in _parts(n_draws, at_once):
                    sums[row : row + len(rows), draws] += rows @ self.pairs.tile_weights(tile, turned[:, draws])
                row += len(rows)
            for draws in _parts(len(xy), at_once):
                weights = self.pairs.tile_weights(tile, turned[:, draws])
                if drawn is None:
                    xy[draws] += _stack([(models * one) @ recordings.T for one in weights.T], 0)
                else:
                    values = drawn[draws, tile].T
                    weighted = weights * values
                    sums[row, draws] += weighted.sum(0)
                    sums[row + 1, draws] += (weighted * values).sum(0)
                    xy[draws] += (models @ weighted).T[:, :, None]
        x, xx, y, yy = (sums[first:last].T for first, last in _bounds(1, n_models, n_models, n_right, n_right))
        if multiplied:
            xy = sums[own:].reshape(n_right, n_models, n_draws).swapaxes(0, 2)
        return sums[0], x, y, xx, yy, xy

    def _tile_size(self, n_rows: int) -> tuple[int, int]:
        """Pairs and draws of a tile."""
        if self.device is not None:
            return DEVICE_TILE
        return int(np.clip(TILE_NUMBERS // min(n_rows, TILE_ROWS), *TILE_PAIRS)), TILE_DRAWS


class _SettledRows:
    """RDMs, settled (see :func:`settle_values`) a tile of pairs at a time, so that no copy of them is made."""

    def __init__(self, vectors: np.ndarray, to_device: Callable[[np.ndarray], Array], *, centred: bool):
        self.n = len(vectors)
        shifts, scales = np.zeros((2, self.n, 1))
        for row, shift, scale in zip(vectors, shifts, scales, strict=True):
            size = np.abs(row).max(initial=0.0)
            constant = np.ptp(row) <= CONSTANT * size if centred else size == 0
            if centred:
                shift[:] = row.mean()
            # A constant row becomes zeros.
            scale[:] = np.inf if constant else np.sqrt(np.mean((row - shift) ** 2))
        self.vectors, self.shifts, self.scales = to_device(vectors), to_device(shifts), to_device(scales)

    def part(self, tile: slice) -> Array:
        """Settled dissimilarities (n_rdms, n_tile)."""
        return (self.vectors[:, tile] - self.shifts) / self.scales


def _moment_rows(models: Array, recordings: Array | None, multiplied: bool) -> Iterator[Array]:
    """What is summed over pairs under every draw's weights, as rows (n, n_tile): 1, x, x squared, and so on."""
    yield _zeros((1, models.shape[1]), models) + 1.0
    yield models
    yield models * models
    if recordings is not None:
        yield recordings
        yield recordings * recordings
        if multiplied:
            yield from (models * row for row in recordings)


def _stacked(parts: Iterator[Array]) -> Iterator[Array]:
    """Rows of all parts in order, about ``TILE_ROWS`` at a time."""
    held: list[Array] = []
    for part in parts:
        held.append(part)
        if sum(map(len, held)) >= TILE_ROWS:
            yield _concatenate(held)
            held = []
    if held:
        yield _concatenate(held)


def _parts(n: int, at_once: int) -> Iterator[slice]:
    return (slice(start, min(start + at_once, n)) for start in range(0, n, at_once))


def _bounds(start: int, *sizes: int) -> Iterator[tuple[int, int]]:
    """First and last position of consecutive parts."""
    for size in sizes:
        yield start, start + size
        start += size


def _timed(tiles: Iterator[slice], n_pairs: int, sizes: tuple[int, int, int]) -> Iterator[slice]:
    """The tiles; how long they will take is logged once the first ones are done."""
    start, told = time.perf_counter(), False
    for tile in tiles:
        yield tile
        taken = time.perf_counter() - start
        if not told and taken > LONG_SECONDS / 10:
            told, expected = True, taken * n_pairs / tile.stop
            if expected > LONG_SECONDS:
                log.info("fits of %d x %d RDMs on %d draws take about %.0f s", *sizes, expected)


def weighted_rows(first: np.ndarray, second: np.ndarray, weights: np.ndarray, *, centred: bool) -> np.ndarray:
    """Weighted cosine (correlation, if ``centred``) of every vector with the one in the same row.

    Parameters
    ----------
    first, second : arrays of shape (n_rdms, n_pairs)
        Settled vectors.
    weights : array of shape (n_draws, n_pairs)
        Weight of every pair in each draw.
    centred : bool
        Whether vectors lose their weighted means first: correlation in place of cosine.

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
    return xy / np.sqrt(defined(xx, sizes[0]) * defined(yy, sizes[1]))


def rank_kernel(
    models: np.ndarray, recordings: np.ndarray | None, pairs: Pairs, device: str | None, *, tie_free: bool
) -> Kernel:
    """Spearman's rho, or rho-a where ``tie_free``: compiled for the processor, in torch for a device.

    Parameters
    ----------
    models, recordings, pairs, device
        See :class:`Kernel`.
    tie_free : bool
        Whether ties are not corrected for (rho-a).
    """
    if device is not None:
        return _SortedRankKernel(models, recordings, pairs, device, tie_free)

    def rho(*ranked: object) -> np.ndarray:
        # Imported here because compiling takes seconds and only rank correlations need it.
        from neurocompare.comparison.rank_kernels import rho_of_draws

        measure: Callable[..., np.ndarray] = rho_of_draws
        return measure(*ranked, tie_free)

    return _CompiledKernel(models, recordings, pairs, rho)


def tau_kernel(models: np.ndarray, recordings: np.ndarray | None, pairs: Pairs, _device: str | None) -> Kernel:
    """Kendall's tau-a, always on the processor.

    Parameters
    ----------
    models, recordings, pairs, _device
        See :class:`Kernel`.
    """

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
        self.measure, self.pairs = measure, pairs
        self.models = _DenseRanks(models)
        self.recordings = None if recordings is None else _DenseRanks(recordings)
        self.numbers_per_draw = max(len(pairs.measured), 1)

    def fits(self, counts: np.ndarray, drawn: np.ndarray | None) -> np.ndarray:
        """See :class:`Kernel`."""
        weights = self.pairs.weights(counts)
        left, right = self.models, self.recordings if drawn is None else _DenseRanks(drawn)
        if right is None:
            raise ValueError("fits need recordings, or an RDM of every draw")
        return self.measure(weights, left.ranks, left.order, right.ranks, right.order, drawn is not None)


class _SortedRankKernel:
    """Weighted products of ranks; a rank is stored as twice its distance from the mean rank, an integer."""

    def __init__(self, models: np.ndarray, recordings: np.ndarray | None, pairs: Pairs, device: str, tie_free: bool):
        self.tie_free, self.pairs = tie_free, pairs
        self.to_device, self.to_numpy = _carriers(device)
        self.models = [_SortedRow(row, self.to_device) for row in models]
        self.recordings = [_SortedRow(row, self.to_device) for row in (() if recordings is None else recordings)]
        self.numbers_per_draw = max(len(pairs.measured), 1) * ((1 if recordings is None else len(recordings)) + 5)

    def fits(self, counts: np.ndarray, drawn: np.ndarray | None) -> np.ndarray:
        """See :class:`Kernel`."""
        weights = self.pairs.weights(counts)
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
                    fit = xy / (defined(xx, xx) * defined(yy[r], yy[r])) ** 0.5
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
        present = 0 * counts + (counts > 0)  # of the type of counts: torch would make it float32
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


def defined(spread: Array, size: Array) -> Array:
    """Weighted sums of squares; NaN if they are within rounding error of 0."""
    spread[spread <= CONSTANT * size] = np.nan
    return spread
