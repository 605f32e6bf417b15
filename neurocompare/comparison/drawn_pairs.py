"""Pairs of stimuli and how often draws of stimuli take them, for all pairs or a tile of them at a time.

A draw is a vector c of multiplicities of stimuli; it takes pair (i, j) c_i c_j times. The same code runs on NumPy
arrays and torch tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from neurocompare.representations.dissimilarities import PAIRS

__all__ = ["Array", "Pairs"]

Array = Any  # NumPy array or torch tensor, float64


@dataclass(frozen=True)
class Pairs:
    """The measured pairs of stimuli, and their weights in draws of stimuli.

    Parameters
    ----------
    n_stimuli : int
        Stimuli of the RDMs.
    measured : integer array of shape (n_pairs,)
        Positions of the measured pairs in the whole upper triangle, ascending.
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
        return (first, second) if self.complete else (first[self.measured], second[self.measured])

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

    @cached_property
    def starts(self) -> np.ndarray:
        """Position of the first pair of each stimulus in the whole upper triangle; the last is the number of pairs."""
        return np.concatenate([[0], np.cumsum(np.arange(self.n_stimuli - 1, 0, -1))])

    def n_drawn(self, counts: np.ndarray) -> np.ndarray:
        """How many different measured pairs each draw takes, (n_draws,), from counts (n_draws, n_stimuli)."""
        present = (counts > 0).astype(float)
        n = present.sum(axis=1)
        if self.complete:
            return n * (n - 1) / 2
        measured = np.zeros((self.n_stimuli, self.n_stimuli))
        measured[self.ends] = 1.0
        return np.vecdot(present @ measured, present)

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

    def tiles(self, n_pairs: int) -> Iterator[slice]:
        """The measured pairs, so many at a time."""
        return (
            slice(start, min(start + n_pairs, len(self.measured))) for start in range(0, len(self.measured), n_pairs)
        )

    def tile_weights(self, tile: slice, turned: Array) -> Array:
        """How often each pair of a tile was drawn, (n_tile, n_draws), from counts (n_stimuli, n_draws) float64."""
        if self.complete and isinstance(turned, np.ndarray):
            weights = self._row_by_row(tile, turned)
        else:
            first, second = (end[tile] for end in self.ends)
            weights = turned[first] * turned[second]
        if self.same is not None:
            here = self.same[slice(*np.searchsorted(self.same, (tile.start, tile.stop)))]
            first, second = (end[here] for end in self.ends)
            fewer = np.minimum if isinstance(turned, np.ndarray) else type(turned).minimum
            weights[here - tile.start] = fewer(turned[first], turned[second])
        return weights

    def _row_by_row(self, tile: slice, turned: np.ndarray) -> np.ndarray:
        # One slice per stimulus: gathering single pairs takes several times longer.
        weights = np.empty((tile.stop - tile.start, turned.shape[1]))
        start, first = tile.start, int(np.searchsorted(self.starts, tile.start, side="right")) - 1
        while start < tile.stop:
            stop = min(tile.stop, int(self.starts[first + 1]))
            second = first + 1 + start - int(self.starts[first])
            out = weights[start - tile.start : stop - tile.start]
            np.multiply(turned[first], turned[second : second + stop - start], out=out)
            start, first = stop, first + 1
        return weights
