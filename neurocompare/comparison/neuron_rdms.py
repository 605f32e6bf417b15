"""RDMs of one population under resampling of its neurons, from one matrix product per block of draws.

Takes responses and multiplicities of neurons; gives upper triangles of RDMs, one per draw.
"""

from __future__ import annotations

import numpy as np

from neural_data.errors import InputError
from neurocompare.comparison.fit_kernels import BLOCK_BYTES
from neurocompare.representations.dissimilarities import MODEL_DISSIMILARITIES, PAIRS

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

    def _products(self, counts: np.ndarray) -> np.ndarray:
        """Sum over drawn neurons of the product of two stimuli's responses, (n_draws, n_pairs)."""
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
