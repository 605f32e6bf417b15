"""Fit of model geometry to neural geometry: one number per (model RDM, neural RDM), and per resampling draw.

Takes rsatoolbox RDMs whose ``stimulus_id`` descriptor is unique; gives plain arrays. No files, plots or random
numbers here: draws are made in ``resampling`` and turned into uncertainty in ``inference``. The arithmetic of one
block of draws is in ``fit_kernels``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rsatoolbox.rdm import RDMs

from neural_data.axes import Float, Integer
from neural_data.errors import InputError
from neurocompare.comparison.controls import PairCells
from neurocompare.comparison.drawn_pairs import Pairs
from neurocompare.comparison.fit_kernels import BLOCK_BYTES, fits_of_block, weighted_rows
from neurocompare.comparison.methods import Method, find_method
from neurocompare.comparison.neuron_rdms import NeuronRdms, defined_stimuli
from neurocompare.representations.rdms import labelled_by, match_stimuli

__all__ = ["ResampledNeurons", "compare_rdms", "fits_of_rows", "fits_on_counts", "fits_on_draws"]


def compare_rdms(
    model_rdms: RDMs, neural_rdms: RDMs, method: str = "corr", *, match_by: str = "stimulus_id"
) -> np.ndarray:
    """Fit of every model RDM to every neural RDM.

    Parameters
    ----------
    model_rdms, neural_rdms : rsatoolbox.rdm.RDMs
        The same stimuli in any order; they are matched by the pattern descriptor ``stimulus_id``. A NaN dissimilarity
        (unmeasured pair) is left out of all comparisons of its RDM, but not of others.
    method : str
        Measure of fit, one of :data:`~neurocompare.comparison.methods.METHODS`: ``corr, cosine, spearman, rho-a, tau-a,
        corr_cov, cosine_cov``, as in ``rsatoolbox.rdm.compare``.
    match_by : str
        Pattern descriptor that identifies the stimuli in both.

    Returns
    -------
    array of shape (n_models, n_recordings)
        Unitless, at most 1. NaN if either RDM is constant over the pairs they share (for the cosines: zero), or if
        they share fewer than two pairs.

    Raises
    ------
    InputError
        If the stimuli differ, are fewer than three, or the method is unknown.
    """
    models, recordings = matched_vectors(labelled_by(model_rdms, match_by), labelled_by(neural_rdms, match_by))
    return fits_on_counts(models, recordings, np.ones((1, model_rdms.n_cond), dtype=int), method=method)[0]


def fits_on_draws(
    model_rdms: RDMs,
    neural_rdms: RDMs,
    draws: np.ndarray,
    method: str = "corr",
    *,
    device: str | None = None,
) -> np.ndarray:
    """Fit of every model RDM to every neural RDM on resampled stimuli.

    Parameters
    ----------
    model_rdms, neural_rdms : rsatoolbox.rdm.RDMs
        The same stimuli in any order, matched by ``stimulus_id``.
    draws : integer array of shape (n_draws, n_drawn)
        Positions of the drawn stimuli in ``model_rdms``; repeats are copies of a stimulus.
    method : str
        As in :func:`compare_rdms`.
    device : str or None
        Torch device to compute on (``"cuda"``), in float64; None computes with NumPy. ``tau-a`` always runs on the CPU.

    Returns
    -------
    array of shape (n_draws, n_models, n_recordings)
        Equal to ``rsatoolbox.rdm.compare`` on ``subsample_pattern(draw)`` of both: pairs made of two copies of one
        stimulus are left out, every other pair counts as often as it was drawn. NaN as in :func:`compare_rdms`.

    Raises
    ------
    InputError
        If the stimuli differ or are fewer than three, the method is unknown, or a draw names no stimulus.

    Notes
    -----
    Resampling only re-weights pairs: with c_i copies of stimulus i, pair (i, j) weighs c_i c_j. All moments of a block
    of draws come from one matrix product, ranks from one sort of an RDM.
    """
    models, recordings = matched_vectors(model_rdms, neural_rdms)
    counts = counts_of_draws(draws, model_rdms.n_cond)
    return fits_on_counts(models, recordings, counts, method=method, device=device)


@dataclass(frozen=True)
class ResampledNeurons:
    """A population whose RDM is recomputed from resampled neurons, one RDM per draw.

    Parameters
    ----------
    responses : array of shape (n_stimuli, n_neurons)
        Mean response of each neuron to each stimulus.
    counts : integer array of shape (n_draws, n_neurons)
        How often each neuron was drawn.
    dissimilarity : str
        Dissimilarity of the RDM; see :class:`~neurocompare.comparison.neuron_rdms.NeuronRdms`.
    cells : PairCells or None
        Controls partialled out of each RDM, see ``controls``.
    """

    responses: np.ndarray
    counts: np.ndarray
    dissimilarity: str = "correlation"
    cells: PairCells | None = None


def fits_on_counts(
    models: Float[np.ndarray, "models pairs"],
    recordings: Float[np.ndarray, "recordings pairs"] | ResampledNeurons,
    counts: Integer[np.ndarray, "draws stimuli"] | None,
    *,
    method: str = "corr",
    clusters: Integer[np.ndarray, " stimuli"] | None = None,
    device: str | None = None,
) -> Float[np.ndarray, "draws models recordings"]:
    """Fits under given multiplicities of stimuli, and of neurons for a :class:`ResampledNeurons`.

    Parameters
    ----------
    models : array of shape (n_models, n_pairs)
        Upper triangles of model RDMs, row by row.
    recordings : array of shape (n_recordings, n_pairs) or ResampledNeurons
        Upper triangles of neural RDMs, or one population whose neurons are resampled along with the stimuli.
    counts : integer array of shape (n_draws, n_stimuli) or None
        How often each stimulus was drawn; None takes every stimulus once, in every draw of the neurons.
    method : str
        As in :func:`compare_rdms`.
    clusters : integer array of shape (n_stimuli,) or None
        Clusters (identities) whose stimuli were drawn together. A pair within a cluster then has weight c instead of c
        squared: pairs across two copies of the same cluster are left out.
    device : str or None
        As in :func:`fits_on_draws`.

    Returns
    -------
    array of shape (n_draws, n_models, n_recordings)
        ``n_recordings`` is 1 for a resampled population.
    """
    measure = find_method(method)
    n_stimuli = _n_stimuli(models.shape[1])
    if n_stimuli < 3:
        raise InputError(f"fits need at least three stimuli (three pairs); these RDMs have {n_stimuli}")
    if isinstance(recordings, ResampledNeurons):
        return _fits_of_neurons(models, recordings, counts, measure, clusters, device)
    if counts is None:
        counts = np.ones((1, n_stimuli), dtype=int)
    n_draws = len(counts)
    fits = np.full((n_draws, len(models), len(recordings)), np.nan)
    for model_rows, recording_rows, measured in _shared_pairs(models, recordings):
        pairs = Pairs(n_stimuli, measured, clusters)
        left, right = _selected(models, model_rows, measured), _selected(recordings, recording_rows, measured)
        kernel = measure.kernel(left, right, pairs, device)
        for block in _blocks(n_draws, kernel.numbers_per_draw):
            fits[block, model_rows[:, None], recording_rows[None, :]] = fits_of_block(kernel, pairs, counts[block])
    return fits


def fits_of_rows(
    first: Float[np.ndarray, "rdms pairs"],
    second: Float[np.ndarray, "rdms pairs"],
    method: str = "corr",
    *,
    counts: Integer[np.ndarray, "draws stimuli"] | None = None,
) -> Float[np.ndarray, "draws rdms"]:
    """Fit of every RDM vector to the one in the same row of another array.

    Parameters
    ----------
    first, second : arrays of shape (n_rdms, n_pairs)
        A pair that is NaN in either is left out of that row's fit.
    method : str
        As in :func:`compare_rdms`.
    counts : integer array of shape (n_draws, n_stimuli) or None
        How often each stimulus counts; None takes all once.

    Returns
    -------
    array of shape (n_draws, n_rdms)
        NaN as in :func:`compare_rdms`; one row if ``counts`` is None.
    """
    measure = find_method(method)
    n_stimuli = _n_stimuli(first.shape[1])
    n_draws = 1 if counts is None else len(counts)
    fits = np.full((n_draws, len(first)), np.nan)
    for rows, mask in _rows_by_mask(np.where(np.isnan(first), first, second)):
        measured = np.flatnonzero(mask)
        if len(measured) < 2:
            continue
        whole = mask.all() and len(rows) == len(first)
        left, right = (first, second) if whole else (first[rows][:, measured], second[rows][:, measured])
        if measure.rowwise is not None and counts is None:
            fits[:, rows] = measure.rowwise(left, right)
        elif counts is not None and measure.rowwise is not None and measure.linear:
            weights = Pairs(n_stimuli, measured).weights(counts)
            fits[:, rows] = weighted_rows(
                measure.settled(left), measure.settled(right), weights, centred=measure.centred
            )
        else:
            drawn = np.ones((1, n_stimuli), dtype=int) if counts is None else counts
            for row in rows:
                one = fits_on_counts(first[row : row + 1], second[row : row + 1], drawn, method=method)
                fits[:, row] = one[:, 0, 0]
    return fits


def matched_vectors(model_rdms: RDMs, neural_rdms: RDMs) -> tuple[np.ndarray, np.ndarray]:
    """Upper triangles of both, float64, the neural ones in the stimulus order of the models."""
    model_rdms, neural_rdms = match_stimuli(model_rdms, neural_rdms)
    if model_rdms.n_cond < 3:
        raise InputError(f"fits need at least three stimuli (three pairs); these RDMs have {model_rdms.n_cond}")
    return np.asarray(model_rdms.get_vectors(), dtype=float), np.asarray(neural_rdms.get_vectors(), dtype=float)


def counts_of_draws(draws: np.ndarray, n_stimuli: int) -> np.ndarray:
    """Multiplicities (n_draws, n_stimuli) of draws given as positions (n_draws, n_drawn)."""
    draws = np.asarray(draws)
    if draws.ndim != 2 or not np.issubdtype(draws.dtype, np.integer):
        raise InputError(
            f"draws must be an integer array of shape (n_draws, n_drawn); got {draws.dtype} of shape {draws.shape}"
        )
    if draws.size and (draws.min() < 0 or draws.max() >= n_stimuli):
        raise InputError(
            f"draws are positions from {draws.min()} to {draws.max()}, but the RDMs have the stimuli 0 to "
            f"{n_stimuli - 1}; draw positions of these stimuli"
        )
    rows = np.arange(len(draws))[:, None] * n_stimuli
    return np.bincount((draws + rows).ravel(), minlength=len(draws) * n_stimuli).reshape(len(draws), n_stimuli)


def _fits_of_neurons(
    models: np.ndarray,
    population: ResampledNeurons,
    counts: np.ndarray | None,
    method: Method,
    clusters: np.ndarray | None,
    device: str | None,
) -> np.ndarray:
    """Fits of one population under draws of its neurons, alone or together with draws of stimuli."""
    n_draws, n_stimuli = len(population.counts), len(population.responses)
    fits = np.full((n_draws, len(models), 1), np.nan)
    neurons = NeuronRdms(population.responses, population.dissimilarity)
    stays = np.ones((1, n_stimuli), dtype=int)
    for rows, _, measured in _shared_pairs(models, np.zeros((1, models.shape[1]))):
        pairs = Pairs(n_stimuli, measured, clusters)
        kernel = method.kernel(_selected(models, rows, measured), None, pairs, device)
        for block in _blocks(n_draws, 3 * kernel.numbers_per_draw):
            drawn = neurons.rdms(population.counts[block])
            stimuli = np.broadcast_to(stays if counts is None else counts[block], (len(drawn), n_stimuli))
            if np.isnan(drawn).any():
                # If all drawn neurons respond equally to a stimulus, it has no correlations and is left out of the
                # draw.
                stimuli = stimuli * defined_stimuli(drawn, n_stimuli)
                drawn = np.nan_to_num(drawn, nan=0.0)
            if population.cells is not None:
                drawn = population.cells.partialled(drawn)
            drawn = drawn if pairs.complete else drawn[:, measured]
            fits[block, rows, 0] = fits_of_block(kernel, pairs, stimuli, drawn)[:, :, 0]
    return fits


def _shared_pairs(models: np.ndarray, recordings: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Model rows, recording rows and the pairs measured in both, for every combination of patterns of NaN."""
    for model_rows, model_mask in _rows_by_mask(models):
        for recording_rows, recording_mask in _rows_by_mask(recordings):
            measured = np.flatnonzero(model_mask & recording_mask)
            if len(measured) > 1:
                yield model_rows, recording_rows, measured


def _selected(vectors: np.ndarray, rows: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Some rows and pairs of RDMs; the RDMs themselves, and no copy, if these are all."""
    if (len(rows), len(measured)) == vectors.shape:
        return vectors
    return vectors[rows][:, measured]


def _rows_by_mask(vectors: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    if not any(np.isnan(row).any() for row in vectors):
        return [(np.arange(len(vectors)), np.ones(vectors.shape[1], dtype=bool))]
    measured = ~np.isnan(vectors)
    rows_of: dict[bytes, list[int]] = {}
    for row, packed in enumerate(np.packbits(measured, axis=1)):
        rows_of.setdefault(packed.tobytes(), []).append(row)
    return [(np.array(rows), measured[rows[0]]) for rows in rows_of.values()]


def _blocks(n_draws: int, numbers_per_draw: int) -> Iterator[slice]:
    size = max(1, BLOCK_BYTES // (8 * max(numbers_per_draw, 1)))
    return (slice(start, start + size) for start in range(0, n_draws, size))


def _n_stimuli(n_pairs: int) -> int:
    return round((1 + np.sqrt(1 + 8 * n_pairs)) / 2)
