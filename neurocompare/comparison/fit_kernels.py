"""Arithmetic of fits on one block of resampling draws: weighted moments, weighted ranks, whitened products.

A draw is a vector c of multiplicities of stimuli. It re-weights pairs, (i, j) by c_i c_j, and nothing else changes:
moments of every draw, model and recording are one matrix product, a rank under weights is a cumulative sum over one
sort, and whitening is double centring with weights. The same code runs on NumPy arrays and torch tensors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from neural_data.errors import InputError
from neural_data.rounding import tie_starts

__all__ = ["Kernel", "NeuronRdms", "pair_products", "pair_weights", "prepare"]

RANK_METHODS = ("spearman", "rho-a")
WHITENED_METHODS = ("corr_cov", "cosine_cov")
CENTRED_METHODS = ("corr", "corr_cov")
CHUNK_BYTES = 64 * 2**20
RESAMPLED_DISSIMILARITIES = ("correlation", "euclidean")
CONSTANT = 1e-12
"""Spread, relative to size, under which values are held to be constant but for rounding."""

Array = Any  # NumPy array or torch tensor, float64


def prepare(vectors: np.ndarray, method: str) -> np.ndarray:
    """Vectors moved and scaled as the method allows, so that weighted moments keep their digits.

    Parameters
    ----------
    vectors : array of shape (n_rdms, n_pairs)
        Dissimilarities without NaN.
    method : str
        Measure of fit.

    Returns
    -------
    array of shape (n_rdms, n_pairs)
        Constant rows (zero rows, for the cosines) come out as zeros.
    """
    if not vectors.shape[1] or not (method in WHITENED_METHODS or method in ("corr", "cosine")):
        return vectors
    size = np.abs(vectors).max(axis=1, keepdims=True)
    if method in CENTRED_METHODS:
        constant = np.ptp(vectors, axis=1, keepdims=True) <= CONSTANT * size
        vectors = vectors - vectors.mean(axis=1, keepdims=True)
    else:
        constant = size == 0
    scale = np.sqrt(np.mean(vectors**2, axis=1, keepdims=True))
    return np.where(constant, 0.0, vectors / np.where(constant, 1.0, scale))


def pair_products(left: np.ndarray, right: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Product left_i right_j for every pair i < j, in the order of an upper triangle.

    Parameters
    ----------
    left, right : arrays of shape (n_draws, n_stimuli)
    out : array of shape (n_draws, n_pairs) or None
        Where given, it is multiplied by the products in place.

    Returns
    -------
    array of shape (n_draws, n_pairs)
    """
    n = left.shape[1]
    products = np.empty((len(left), n * (n - 1) // 2)) if out is None else out
    start = 0
    # A slice a stimulus: gathering single pairs from memory takes several times longer.
    for i in range(n - 1):
        row = products[:, start : start + n - 1 - i]
        start += n - 1 - i
        if out is None:
            np.multiply(left[:, i, None], right[:, i + 1 :], out=row)
        else:
            row *= left[:, i, None] * right[:, i + 1 :]
    return products


def pair_weights(counts: np.ndarray, measured: np.ndarray, clusters: np.ndarray | None) -> np.ndarray:
    """How often each pair was drawn.

    Parameters
    ----------
    counts : integer array of shape (n_draws, n_stimuli)
        Multiplicities of stimuli.
    measured : integer array of shape (n_pairs,)
        Positions of the pairs in the whole upper triangle.
    clusters : integer array of shape (n_stimuli,) or None
        Pairs within a cluster count once a copy.

    Returns
    -------
    array of shape (n_draws, n_pairs), float64
    """
    n = counts.shape[1]
    counts = counts.astype(float)
    weights = pair_products(counts, counts)
    if clusters is not None:
        first, second = np.triu_indices(n, 1)
        same = np.flatnonzero(clusters[first] == clusters[second])
        weights[:, same] = np.minimum(counts[:, first[same]], counts[:, second[same]])
    return weights if len(measured) == weights.shape[1] else weights[:, measured]


class Kernel:
    """Fits of fixed model RDMs to fixed or drawn neural RDMs, one block of draws at a time.

    Parameters
    ----------
    method : str
        Measure of fit.
    models : array of shape (n_models, n_pairs)
        Prepared model vectors on the measured pairs.
    recordings : array of shape (n_recordings, n_pairs) or None
        Prepared neural vectors; None where every draw brings its own.
    n_stimuli : int
    measured : integer array of shape (n_pairs,)
        Positions of the measured pairs in the whole upper triangle.
    clusters : integer array of shape (n_stimuli,) or None
        See ``fits.fits_on_counts``.
    device : str or None
        Torch device, or None for NumPy.
    """

    def __init__(
        self,
        method: str,
        models: np.ndarray,
        recordings: np.ndarray | None,
        n_stimuli: int,
        measured: np.ndarray,
        clusters: np.ndarray | None,
        device: str | None,
    ):
        self.method, self.n_stimuli, self.n_models = method, n_stimuli, len(models)
        self.n_recordings = 1 if recordings is None else len(recordings)
        first, second = np.triu_indices(n_stimuli, 1)
        self.first, self.second = first[measured], second[measured]
        same = None if clusters is None else np.flatnonzero(clusters[self.first] == clusters[self.second])
        self.same = same if same is not None and len(same) else None
        self.measured, self.clusters = measured, clusters
        self.to_device, self.to_numpy = _carriers(None if method == "tau-a" else device)
        if method == "tau-a" or (method in RANK_METHODS and device is None):
            form = _DenseRanks
        elif method in RANK_METHODS:
            form = self._sorted_rows
        else:
            form = self.to_device
        self.models = form(models)
        self.recordings = None if recordings is None else form(recordings)
        if method in WHITENED_METHODS:
            self.whitening = _Whitening(self)

    @property
    def numbers_per_draw(self) -> int:
        """Numbers held for one draw at a time, from which the size of a block follows."""
        n_pairs = max(len(self.first), 1)
        if self.method in RANK_METHODS:
            return n_pairs * (1 if isinstance(self.models, _DenseRanks) else self.n_recordings + 5)
        if self.method in WHITENED_METHODS:
            return n_pairs + self.whitening.numbers_per_draw
        return n_pairs

    def fits(self, counts: np.ndarray, drawn: np.ndarray | None = None) -> np.ndarray:
        """Fits of one block.

        Parameters
        ----------
        counts : integer array of shape (n_draws, n_stimuli)
            Multiplicities of stimuli.
        drawn : array of shape (n_draws, n_pairs) or None
            The neural RDM of each draw, on the measured pairs, where the kernel holds none.

        Returns
        -------
        array of shape (n_draws, n_models, n_recordings)
        """
        weights = pair_weights(counts, self.measured, self.clusters)
        # One pair cannot vary: two are the least that a fit is defined on.
        undefined = (weights > 0).sum(axis=1) < 2
        weights[undefined] = 1.0
        if isinstance(self.models, _DenseRanks):
            fits = self._compiled(weights, drawn)
        elif self.method in RANK_METHODS:
            fits = self._ranks(weights, drawn)
        else:
            fits = self._products(counts, weights, drawn)
        fits[undefined] = np.nan
        return fits

    def _products(self, counts: np.ndarray, weights: np.ndarray, drawn: np.ndarray | None) -> np.ndarray:
        """Cosine of the angle between weighted vectors: centred, whitened, both or neither."""
        weights = self.to_device(weights)
        if drawn is not None:
            drawn = self.to_device(drawn)
        n, x, y, xx, yy, xy = self._sums(weights, drawn)
        sizes = xx, yy
        n = n[:, None]
        if self.method in CENTRED_METHODS:
            xx, yy, xy = xx - x * x / n, yy - y * y / n, xy - x[:, :, None] * (y / n)[:, None, :]
        if self.method in WHITENED_METHODS:
            means = (x / n, y / n) if self.method in CENTRED_METHODS else (0 * x, 0 * y)
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

    def _ranks(self, weights: np.ndarray, drawn: np.ndarray | None) -> np.ndarray:
        """Weighted products of ranks, each as twice its distance from the mean rank: a whole number."""
        turned = self.to_device(np.ascontiguousarray(weights.T))
        n = turned.sum(0)
        if drawn is None:
            right = [row.ranks(turned, n) for row in self.recordings]
        else:
            right = [self.to_device(np.ascontiguousarray(_ranks_of_rows(weights, drawn).T))]
        yy = [(turned * y * y).sum(0) for y in right]
        fits = np.empty((len(weights), self.n_models, len(right)))
        for m, model in enumerate(self.models):
            x = model.ranks(turned, n)
            weighted = turned * x
            xx = (weighted * x).sum(0)
            for r, y in enumerate(right):
                xy = (weighted * y).sum(0)
                if self.method == "rho-a":
                    fit = 3 * xy / (n**3 - n)
                    fit[(xx == 0) | (yy[r] == 0)] = np.nan
                else:
                    fit = xy / (_defined(xx, xx) * _defined(yy[r], yy[r])) ** 0.5
                fits[:, m, r] = self.to_numpy(fit)
        return fits

    def _sorted_rows(self, rows: np.ndarray) -> list[_SortedRow]:
        return [_SortedRow(row, self.to_device) for row in rows]

    def _compiled(self, weights: np.ndarray, drawn: np.ndarray | None) -> np.ndarray:
        # Compiling takes seconds: only who asks for rank correlations waits for it.
        from neurocompare.comparison.rank_kernels import rho_of_draws, tau_a_of_draws

        left, paired = self.models, drawn is not None
        right = _DenseRanks(drawn) if paired else self.recordings
        ranked = weights, left.ranks, left.order, right.ranks, right.order, paired
        return tau_a_of_draws(*ranked) if self.method == "tau-a" else rho_of_draws(*ranked, self.method == "rho-a")


class _Whitening:
    """What the covariance of an RDM's noise takes off its products, for noise alike and independent in all responses.

    With that covariance V, the product x V^-1 y is that of the two double-centred matrices (linear CKA). Where pairs
    are copied or left out, centring means: find b with ``sum_j w_ij (x_ij - (b_i + b_j) / 2) = b_i`` for every drawn
    copy i, w_ij counting its drawn partners. Centring is a projection, so it takes ``sum_i c_i b_i (row sum i of y)``
    off twice the product over pairs.
    """

    def __init__(self, kernel: Kernel):
        n, self.kernel = kernel.n_stimuli, kernel
        self.pairs = kernel.first * n + kernel.second, kernel.second * n + kernel.first
        far = np.ones(len(kernel.first))
        if kernel.same is not None:
            far[kernel.same] = 0.0
        self.far = self._squares(kernel.to_device(far[None]))[0]
        self.near = None if kernel.same is None else self._squares(kernel.to_device(1.0 - far[None]))[0]
        complete = len(kernel.first) == n * (n - 1) // 2
        self.closed_form = complete and self.near is None
        self.models = self._squares(kernel.models)
        self.recordings = None if kernel.recordings is None else self._squares(kernel.recordings)

    @property
    def numbers_per_draw(self) -> int:
        """Numbers held for one draw at a time."""
        n = self.kernel.n_stimuli
        rows = 4 * n * (self.kernel.n_models + self.kernel.n_recordings)
        return rows + (n * n if self.recordings is None else 0) + (0 if self.closed_form else 3 * n * n)

    def removed(self, counts: Array, drawn: Array | None, mean_x: Array, mean_y: Array) -> tuple[Array, ...]:
        """What to take off the sums of x squared, y squared and x y over pairs.

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
        """The b of every row, (n_draws, n_rdms, n_stimuli)."""
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
        positions = np.arange(self.kernel.n_stimuli)
        coefficients[:, positions, positions] = partners / 2 + 1
        return _solve(coefficients, rows.swapaxes(1, 2)).swapaxes(1, 2)

    def _squares(self, vectors: Array) -> Array:
        """Symmetric matrices (n_rdms, n_stimuli, n_stimuli) of vectors on the measured pairs, 0 elsewhere."""
        n = self.kernel.n_stimuli
        squares = _zeros((len(vectors), n * n), vectors)
        for places in self.pairs:
            squares[:, places] = vectors
        return squares.reshape(len(vectors), n, n)


class NeuronRdms:
    """RDMs of one population under resampling of its neurons, from one matrix product a block of draws.

    Parameters
    ----------
    responses : array of shape (n_stimuli, n_neurons)
        Mean response of each neuron to each stimulus.
    dissimilarity : {"correlation", "euclidean"}
        ``correlation`` is 1 - Pearson's r across neurons; ``euclidean`` the squared distance over the number of
        neurons, as in rsatoolbox.

    Notes
    -----
    A neuron adds its product x_ik x_jk to pair (i, j) as often as it was drawn, so the (neurons x pairs) table of
    products is made once, and the Gram matrices of all draws are the multiplicities times that table.
    """

    def __init__(self, responses: np.ndarray, dissimilarity: str):
        if dissimilarity not in RESAMPLED_DISSIMILARITIES:
            raise InputError(
                f"neurons are resampled for {' and '.join(RESAMPLED_DISSIMILARITIES)} dissimilarity, not for "
                f"{dissimilarity!r}; compute the neural RDMs with one of these, or resample stimuli or identities alone"
            )
        self.dissimilarity = dissimilarity
        patterns = np.asarray(responses, dtype=float)
        if dissimilarity == "correlation":
            centred = patterns - patterns.mean(axis=1, keepdims=True)
            spread = np.sqrt(np.mean(centred**2, axis=1, keepdims=True))
            constant = spread <= CONSTANT * np.abs(patterns).max(axis=1, keepdims=True)
            patterns = np.where(constant, 0.0, centred / np.where(constant, 1.0, spread))
        else:
            patterns = patterns - patterns.mean(axis=0, keepdims=True)
        self.patterns = patterns

    def rdms(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """RDMs of a block of draws.

        Parameters
        ----------
        counts : integer array of shape (n_draws, n_neurons)
            How often each neuron was drawn.

        Returns
        -------
        rdms : array of shape (n_draws, n_pairs)
            Upper triangles; 0 in the pairs of an undefined stimulus.
        defined : boolean array of shape (n_draws, n_stimuli)
            False where the drawn neurons answer a stimulus all alike, so that nothing correlates with it.
        """
        counts = counts.astype(float)
        n_stimuli = len(self.patterns)
        n_neurons = counts.sum(axis=1, keepdims=True)
        squares = counts @ (self.patterns**2).T
        rdms = self._gram(counts)
        ones = np.ones_like(squares)
        if self.dissimilarity == "euclidean":
            rdms *= -2
            rdms += pair_products(squares, ones)
            rdms += pair_products(ones, squares)
            rdms /= n_neurons
            return rdms, np.ones((len(counts), n_stimuli), dtype=bool)
        sums = counts @ self.patterns.T / np.sqrt(n_neurons)
        variance = squares - sums**2
        defined = variance > CONSTANT * squares
        scale = np.where(defined, 1 / np.sqrt(np.where(defined, variance, 1.0)), 0.0)
        pair_products(scale, scale, out=rdms)
        rdms -= pair_products(sums * scale, sums * scale)
        np.subtract(1.0, np.clip(rdms, -1, 1, out=rdms), out=rdms)
        if not defined.all():
            pair_products(1.0 * defined, 1.0 * defined, out=rdms)
        return rdms, defined

    def _gram(self, counts: np.ndarray) -> np.ndarray:
        """Sum over drawn neurons of the product of two stimuli's responses, (n_draws, n_pairs)."""
        first, second = np.triu_indices(len(self.patterns), 1)
        gram = np.empty((len(counts), len(first)))
        step = max(1, CHUNK_BYTES // (8 * self.patterns.shape[1]))
        for start in range(0, len(first), step):
            chunk = slice(start, start + step)
            np.matmul(counts, (self.patterns[first[chunk]] * self.patterns[second[chunk]]).T, out=gram[:, chunk])
        return gram


class _SortedRow:
    """One RDM's sort, from which its ranks under any weights are two look-ups in a cumulative sum."""

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
    """Dense ranks (from 0, ties equal, also those but for rounding) and the sort of each row."""

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
    step = max(1, CHUNK_BYTES // (8 * max(rows.shape[1], 1)))
    chunks = [slice(start, start + step) for start in range(0, len(rows), step)]
    return _concatenate([weights @ (rows[c] * (others[c] if len(others) > 1 else others)).T for c in chunks], -1)


def _carriers(device: str | None) -> tuple[Callable, Callable]:
    """Functions that bring NumPy arrays to the place of computation and back."""
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
    """Weighted sums of squares; NaN where nothing but rounding is left of them."""
    spread[spread <= CONSTANT * size] = np.nan
    return spread
