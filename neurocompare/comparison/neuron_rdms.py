"""RDMs of one population under resampling of its neurons, from one matrix product per block of draws.

Takes responses and multiplicities of neurons; gives upper triangles of RDMs, one per draw.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from neural_data.errors import InputError
from neurocompare.comparison.fit_kernels import BLOCK_BYTES
from neurocompare.representations.dissimilarities import MODEL_DISSIMILARITIES, PAIRS, TileOfPairs

__all__ = ["NeuronRdms"]


class NeuronRdms:
    """RDMs of one population under resampling of its neurons.

    Parameters
    ----------
    responses : array of shape (n_stimuli, n_neurons)
        Mean response of each neuron to each stimulus.
    dissimilarity : str
        One that follows from sums over units, see ``representations.dissimilarities.MODEL_DISSIMILARITIES``.

    Raises
    ------
    InputError
        For any other dissimilarity.

    Notes
    -----
    Neuron k adds its product x_ik x_jk to pair (i, j) as often as it was drawn. So the (neurons x pairs) matrix of
    products is computed once, and the sums of all draws are the multiplicities times that matrix.
    """

    def __init__(self, responses: np.ndarray, dissimilarity: str):
        measure = MODEL_DISSIMILARITIES.get(dissimilarity)
        if measure is None or measure.from_sums is None:
            raise InputError(
                f"neurons are resampled for {' and '.join(MODEL_DISSIMILARITIES)} dissimilarity, not for "
                f"{dissimilarity!r}; compute the neural RDMs with one of these, or resample stimuli or identities alone"
            )
        self.from_sums = measure.from_sums
        self.patterns = np.asarray(responses, dtype=float)
        if measure.settle is not None:
            self.patterns = measure.settle(self.patterns)

    def rdms(self, counts: np.ndarray) -> np.ndarray:
        """RDMs of a block of draws.

        Parameters
        ----------
        counts : integer array of shape (n_draws, n_neurons)
            How often each neuron was drawn.

        Returns
        -------
        array of shape (n_draws, n_pairs)
            Upper triangles; NaN for pairs with a stimulus to which all drawn neurons respond equally, which has no
            correlation.
        """
        counts = counts.astype(float)
        totals, power = counts @ self.patterns.T, counts @ (self.patterns**2).T
        return self.from_sums(self._products(counts), totals, power, counts.sum(axis=1, keepdims=True), PAIRS)

    def tiles(self, counts: np.ndarray, n_pairs: int) -> Iterator[tuple[slice, np.ndarray]]:
        """The same RDMs, some pairs at a time.

        Parameters
        ----------
        counts : integer array of shape (n_draws, n_neurons)
            How often each neuron counts in each draw.
        n_pairs : int
            Pairs of a tile, about.

        Yields
        ------
        tile : slice
            The pairs, in order.
        array of shape (n_tile, n_draws)
            Their dissimilarities.
        """
        n_stimuli = len(self.patterns)
        turned = np.ascontiguousarray(counts.T.astype(float))
        totals, power, n_drawn = self.patterns @ turned, self.patterns**2 @ turned, turned.sum(axis=0)
        first = start = 0
        while first < n_stimuli - 1:
            last, stop = first, start
            while last < n_stimuli - 1 and (last == first or stop + n_stimuli - 1 - last - start <= n_pairs):
                stop += n_stimuli - 1 - last
                last += 1
            layout, tile = TileOfPairs(first, last), slice(start, stop)
            products = layout.products(self.patterns, self.patterns) if self._held is None else self._held[tile]
            yield tile, self.from_sums(products @ turned, totals, power, n_drawn, layout)
            first, start = last, stop

    @cached_property
    def _held(self) -> np.ndarray | None:
        """Products of all pairs (n_pairs, n_neurons), if they fit in a block."""
        n_stimuli, n_neurons = self.patterns.shape
        if 4 * n_stimuli * (n_stimuli - 1) * n_neurons > BLOCK_BYTES:
            return None
        return TileOfPairs(0, n_stimuli - 1).products(self.patterns, self.patterns)

    def _products(self, counts: np.ndarray) -> np.ndarray:
        """Sum over drawn neurons of the product of two stimuli's responses, (n_draws, n_pairs)."""
        if self._held is not None:
            return counts @ self._held.T
        first, second = np.triu_indices(len(self.patterns), 1)
        products = np.empty((len(counts), len(first)))
        step = max(1, BLOCK_BYTES // (8 * self.patterns.shape[1]))
        for start in range(0, len(first), step):
            chunk = slice(start, start + step)
            np.matmul(counts, (self.patterns[first[chunk]] * self.patterns[second[chunk]]).T, out=products[:, chunk])
        return products


def defined_stimuli(rdms: np.ndarray, n_stimuli: int) -> np.ndarray:
    """Boolean (n_draws, n_stimuli): stimuli of each draw with a defined dissimilarity to any other."""
    known = np.zeros((len(rdms), n_stimuli), dtype=bool)
    start = 0
    for i in range(n_stimuli - 1):
        row = ~np.isnan(rdms[:, start : start + n_stimuli - 1 - i])
        start += n_stimuli - 1 - i
        known[:, i] |= row.any(axis=1)
        known[:, i + 1 :] |= row
    return known
