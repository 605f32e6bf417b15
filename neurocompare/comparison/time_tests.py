"""Tests over layers and time bins: the maximum statistic, and clusters, from the same permutations everywhere.

Takes estimates and what permutations make of them; gives p values that hold over all layers and bins together.

A small p of a cluster says that layers and patch (or a code) agree somewhere in the experiment. It says nothing of when
the agreement begins or ends: clusters of noise join true ones at their edges (Sassenhagen & Draschkow 2019). Onsets are
estimated in ``onsets``. The maximum statistic holds for each bin by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, stats

from neural_data.errors import InputError
from neurocompare.comparison.multiplicity import share_at_least

__all__ = ["Clusters", "cluster_tests", "maximum_tests", "studentised"]

CLUSTER_P = 0.05
"""One-sided p of single bins, normal, above which they form clusters."""


@dataclass(frozen=True)
class Clusters:
    """Clusters of neighbouring layers and bins.

    Parameters
    ----------
    labels : integer array of shape (n_layers, n_bins)
        Cluster of each layer and bin, numbered from 1; 0 outside of clusters.
    masses : array of shape (n_clusters,)
        Sum of the scores in each cluster, less the threshold.
    p : array of shape (n_clusters,)
        Share of permutations (with the data) whose largest cluster has at least this mass.
    """

    labels: np.ndarray
    masses: np.ndarray
    p: np.ndarray

    @property
    def p_of_bins(self) -> np.ndarray:
        """P of the cluster of each layer and bin, (n_layers, n_bins); 1 outside of clusters."""
        return np.concatenate([[1.0], self.p])[self.labels]


def studentised(observed: np.ndarray, null: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the data and of permutations, less their mean and over their standard deviation in each place.

    Parameters
    ----------
    observed : array of shape (...)
        Statistics of the data.
    null : array of shape (n_permutations, ...)
        The same statistics under permutations.

    Returns
    -------
    observed, null : arrays of the same shapes
        The data count as one of the permutations, so that tests on scores are exact. 0 where all are equal or one is
        undefined.
    """
    every = np.concatenate([null, observed[None]])
    mean, sd = every.mean(axis=0), every.std(axis=0, ddof=1)
    defined = np.isfinite(sd) & (sd > 1e-12 * np.maximum(np.abs(mean), 1e-300))
    scores = np.where(defined, every - mean, 0.0) / np.where(defined, sd, 1.0)
    return scores[-1], scores[:-1]


def maximum_tests(observed: np.ndarray, null: np.ndarray) -> np.ndarray:
    """One-sided p of every layer and bin, corrected over all of them by the maximum statistic.

    Parameters
    ----------
    observed : array of shape (n_layers, n_bins)
        Scores of the data.
    null : array of shape (n_permutations, n_layers, n_bins)
        The same permutation in all layers and bins.

    Returns
    -------
    array of shape (n_layers, n_bins)
        Share of permutations (with the data) whose largest studentised value over all layers and bins is at least this
        one. NaN where the data are undefined.

    References
    ----------
    Nichols & Holmes (2002), Human Brain Mapping 15:1.
    """
    _check(observed, null)
    scores, of_null = studentised(observed, null)
    largest = of_null.reshape(len(of_null), -1).max(axis=1)
    p = share_at_least(largest.reshape(-1, *[1] * observed.ndim), scores)
    return np.where(np.isnan(observed), np.nan, p)


def cluster_tests(
    observed: np.ndarray, null: np.ndarray, *, joined: np.ndarray | None = None, cluster_p: float = CLUSTER_P
) -> Clusters:
    """Clusters of neighbouring layers and bins whose scores are large, and their p by the largest mass.

    Parameters
    ----------
    observed : array of shape (n_layers, n_bins)
        Layers in order of computation, bins in order of time.
    null : array of shape (n_permutations, n_layers, n_bins)
        The same scores under permutations; each permutation is the same in all layers and bins.
    joined : boolean array of shape (n_layers,) or None
        Whether each layer neighbours the one before it (is the next of the same network); None: all do.
    cluster_p : float
        One-sided p of single bins above whose normal score they form clusters.

    Returns
    -------
    Clusters
        Neighbours are the bins before and after of one layer, and the layers before and after in one bin.

    References
    ----------
    Maris & Oostenveld (2007), J Neurosci Methods 164:177. What clusters do not say: Sassenhagen & Draschkow (2019),
    Psychophysiology 56:e13335.
    """
    _check(observed, null)
    if not 0 < cluster_p < 0.5:
        raise InputError(f"cluster_p must lie between 0 and 0.5; got {cluster_p}")
    threshold = float(stats.norm.isf(cluster_p))
    scores, of_null = studentised(observed, null)
    joined = np.ones(len(observed), dtype=bool) if joined is None else np.asarray(joined, dtype=bool)
    labels, masses, _ = _labelled(scores[None], joined, threshold)
    _, null_masses, owner = _labelled(of_null, joined, threshold)
    largest = np.zeros(len(of_null))
    np.maximum.at(largest, owner, null_masses)
    p = (1 + (largest[:, None] >= masses[None] - 1e-9).sum(axis=0)) / (1 + len(largest))
    return Clusters(labels[0], masses, p)


def _check(observed: np.ndarray, null: np.ndarray) -> None:
    if observed.ndim != 2 or null.ndim != 3 or null.shape[1:] != observed.shape or not len(null):
        raise InputError(
            f"tests over layers and time need estimates (n_layers, n_bins) and permutations of them; got "
            f"{observed.shape} and {null.shape}"
        )


def _labelled(scores: np.ndarray, joined: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels (n_maps, n_layers, n_bins), mass and map of each cluster of maps (n_maps, n_layers, n_bins)."""
    n_maps, n_layers, n_bins = scores.shape
    # A row of nothing before a layer that does not neighbour the one before it keeps their clusters apart.
    row = np.cumsum(~joined) + np.arange(n_layers) + 1
    spaced = np.zeros((n_maps, row[-1] + 2, n_bins + 1))
    spaced[:, row, :n_bins] = np.maximum(scores - threshold, 0.0)
    found, n_found = ndimage.label(spaced.reshape(n_maps * spaced.shape[1], n_bins + 1) > 0)
    found = found.reshape(spaced.shape)
    masses = np.bincount(found.ravel(), weights=spaced.ravel(), minlength=n_found + 1)[1:]
    owner = np.zeros(n_found, dtype=int)
    places = np.nonzero(found)
    owner[found[places] - 1] = places[0]
    return found[:, row, :n_bins], masses, owner
