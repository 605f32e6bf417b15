"""Fits of models to populations whose neurons are drawn, with the stimuli as they are and as they are drawn.

Takes model RDMs, draws of stimuli, and one population after another; gives what ``fits.fits_on_counts`` gives for each.
All populations (the time bins of a patch) share the draws of stimuli, whose sums over the models are computed once. The
RDM of a draw of neurons is computed once for both, a tile of pairs and draws at a time, so that it stays in the
processor's cache.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neurocompare.comparison.drawn_pairs import Pairs
from neurocompare.comparison.fit_kernels import defined
from neurocompare.comparison.fits import ResampledNeurons, fits_on_counts
from neurocompare.comparison.methods import find_method
from neurocompare.comparison.neuron_rdms import NeuronRdms

__all__ = ["DrawnFits"]

TILE = 1024, 128
"""Pairs and draws that are computed together: a megabyte."""


class DrawnFits:
    """Fits of models on draws of neurons, alone and together with draws of stimuli.

    Parameters
    ----------
    models : array of shape (n_models, n_pairs)
        Upper triangles of model RDMs.
    counts : integer array of shape (n_draws, n_stimuli) or None
        How often each stimulus was drawn; None draws neurons alone.
    method : str
        As in ``fits.compare_rdms``.
    clusters : integer array of shape (n_stimuli,) or None
        As in ``fits.fits_on_counts``.
    """

    def __init__(
        self, models: np.ndarray, counts: np.ndarray | None, *, method: str, clusters: np.ndarray | None = None
    ):
        self.models, self.counts, self.method, self.clusters = models, counts, find_method(method), clusters
        self.by_sums = self.method.linear and not np.isnan(models).any()
        if self.by_sums:
            settled = self.method.settled(models)
            self.rows = np.concatenate([settled, np.ones((1, settled.shape[1]))])
            self.sums = np.concatenate([self.rows, settled * settled]).sum(axis=1)[:, None]
            self.drawn = None if counts is None else _DrawnStimuli(self.rows, counts, clusters)

    def of(self, population: ResampledNeurons) -> tuple[np.ndarray, np.ndarray | None]:
        """Fits to one population.

        Parameters
        ----------
        population : ResampledNeurons
            As many draws as there are of the stimuli, and no controls to be partialled out.

        Returns
        -------
        arrays of shape (n_draws, n_models)
            With all stimuli once, and with the stimuli drawn together with the neurons (None without such draws).
        """
        n_draws = len(population.counts)
        fits = np.full((n_draws, len(self.models)), np.nan)
        together = None if self.counts is None else fits.copy()
        left = np.ones(n_draws, dtype=bool)
        if self.by_sums:
            neurons = NeuronRdms(population.responses, population.dissimilarity)
            for start in range(0, n_draws, TILE[1]):
                block = slice(start, min(start + TILE[1], n_draws))
                sums, squares = self._sums(neurons, population.counts[block], block)
                fits[block] = self._fits(sums[0], squares[0], self.sums)
                if together is not None and self.drawn is not None:
                    together[block] = self._fits(sums[1], squares[1], self.drawn.sums[:, block])
                left[block] = np.isnan(squares[0])
        if left.any():
            # If all drawn neurons respond equally to a stimulus, it is left out of the draw.
            some = replace(population, counts=population.counts[left])
            fits[left] = self._one_by_one(some, None)
            if together is not None and self.counts is not None:
                together[left] = self._one_by_one(some, self.counts[left])
        return fits, together

    def _sums(self, neurons: NeuronRdms, counts: np.ndarray, block: slice) -> tuple[np.ndarray, np.ndarray]:
        """Sums over pairs of x y and y (2, n_models + 1, n_draws), and of y squared (2, n_draws).

        Models are x, RDMs of the draws y; first with all pairs once, then with the weights of the drawn stimuli.
        """
        sums, squares = np.zeros((2, len(self.rows), len(counts))), np.zeros((2, len(counts)))
        for tile, drawn in neurons.tiles(counts, TILE[0]):
            rows = self.rows[:, tile]
            sums[0] += rows @ drawn
            squares[0] += np.einsum("pd,pd->d", drawn, drawn)
            if self.drawn is not None:
                weighted = self.drawn.weights(tile, block)
                weighted *= drawn
                sums[1] += rows @ weighted
                squares[1] += np.einsum("pd,pd->d", weighted, drawn)
        return sums, squares

    def _fits(self, sums: np.ndarray, squares: np.ndarray, of_models: np.ndarray) -> np.ndarray:
        """Fits (n_draws, n_models) from sums over pairs, and those of the models: x, 1, x squared."""
        n_models = len(self.models)
        xy, y, yy = sums[:-1], sums[-1:], squares[None]
        x, n, xx = of_models[:n_models], of_models[n_models : n_models + 1], of_models[n_models + 1 :]
        sizes = xx, yy
        if self.method.centred:
            n = np.where(n > 0, n, np.nan)
            xx, yy, xy = xx - x * x / n, yy - y * y / n, xy - x * y / n
        found: np.ndarray = xy / np.sqrt(defined(xx.copy(), sizes[0]) * defined(yy.copy(), sizes[1]))
        return found.T

    def _one_by_one(self, population: ResampledNeurons, counts: np.ndarray | None) -> np.ndarray:
        return fits_on_counts(self.models, population, counts, method=self.method.name, clusters=self.clusters)[:, :, 0]


class _DrawnStimuli:
    """Weights of pairs on draws of stimuli, and the models' weighted sums."""

    def __init__(self, rows: np.ndarray, counts: np.ndarray, clusters: np.ndarray | None):
        self.pairs = Pairs(counts.shape[1], np.arange(rows.shape[1]), clusters)
        # One pair cannot vary: draws of fewer than two different pairs have no weights, and no fits.
        kept = counts * (self.pairs.n_drawn(counts) > 1)[:, None]
        self.turned = np.ascontiguousarray(kept.T.astype(float))
        settled = rows[:-1]
        summed = np.concatenate([rows, settled * settled])
        self.sums = np.zeros((len(summed), len(counts)))
        for start in range(0, len(counts), TILE[1]):
            block = slice(start, min(start + TILE[1], len(counts)))
            for tile in self.pairs.tiles(TILE[0]):
                self.sums[:, block] += summed[:, tile] @ self.weights(tile, block)

    def weights(self, tile: slice, block: slice) -> np.ndarray:
        """Weights (n_tile, n_block) of some pairs on some draws."""
        found: np.ndarray = self.pairs.tile_weights(tile, self.turned[:, block])
        return found
