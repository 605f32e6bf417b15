"""Recordings with time bins: the bins, mean responses bin by bin, and single bins as recordings of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from neural_data.errors import InputError, closest
from neural_data.recordings import select_window, sums_by_stimulus, without_missing

__all__ = ["BinnedMeans", "binned_means", "one_bin", "time_bins_of"]


@dataclass(frozen=True)
class BinnedMeans:
    """Mean responses in time bins.

    Parameters
    ----------
    values : array of shape (n_bins, n_stimuli, n_neurons)
        In the recording's units; NaN where nothing was measured.
    bins_ms : array of shape (n_bins, 2)
        Start and end of every bin, ms after stimulus onset.
    stimulus_ids, neuroid_ids : tuple of str
        Names along the second and third axis of ``values``.
    """

    values: np.ndarray
    bins_ms: np.ndarray
    stimulus_ids: tuple[str, ...]
    neuroid_ids: tuple[str, ...]


def time_bins_of(recording: xr.DataArray) -> np.ndarray:
    """Start and end of every time bin of a recording, ms after stimulus onset, (n_bins, 2).

    Raises
    ------
    InputError
        If the recording has no time bins.
    """
    if "time_bin" not in recording.dims:
        raise InputError(
            "the recording has no time bins, and an analysis over time needs them; read spikes with "
            "read_recording(..., bin_ms=20, step_ms=10) (bin_ms and step_ms in [recording] of a study)"
        )
    return np.stack([recording[name].values.astype(float) for name in ("time_bin_start", "time_bin_end")], axis=1)


def one_bin(recording: xr.DataArray, place: int) -> xr.DataArray:
    """One time bin as a recording without time bins; ``attrs["window_ms"]`` is the bin."""
    start, end = time_bins_of(recording)[place]
    return select_window(recording.isel(time_bin=[place]), (float(start), float(end)))


def binned_means(
    recording: xr.DataArray, stimulus_ids: Sequence[str] | None = None, *, missing: str = "refuse"
) -> BinnedMeans:
    """Mean response of each neuron to each stimulus in every time bin, over repetitions.

    Parameters
    ----------
    recording : xarray.DataArray
        With time bins.
    stimulus_ids : sequence of str or None
        Stimuli wanted, in that order; None takes all in order of first appearance.
    missing : {"refuse", "drop_neurons", "drop_stimuli", "keep"}
        As in ``condition_means``. A neuron or stimulus that is dropped in one bin is dropped in all.

    Returns
    -------
    BinnedMeans

    Raises
    ------
    InputError
        If there are no time bins, or as in ``condition_means``.
    """
    bins_ms = time_bins_of(recording)
    n_neurons, n_bins = recording.shape[1:]
    values = recording.values.reshape(len(recording), -1)
    shown, sums, counts = sums_by_stimulus(recording["stimulus_id"].values, values)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(counts > 0, sums / counts, np.nan).reshape(-1, n_neurons, n_bins)
    # A cell counts as missing where it is in any bin.
    cells = pd.DataFrame(means.mean(axis=2), index=shown, columns=recording["neuroid_id"].values)
    if stimulus_ids is not None:
        wanted = [str(stimulus_id) for stimulus_id in stimulus_ids]
        absent = [stimulus_id for stimulus_id in wanted if stimulus_id not in cells.index]
        if absent:
            raise InputError(
                f"{len(absent)} of {len(wanted)} stimuli are not in the recording (first: {absent[0]!r}; "
                f"{closest(absent[0], cells.index)})"
            )
        cells = cells.loc[wanted]
    kept = without_missing(cells, missing)
    rows, columns = pd.Index(shown).get_indexer(kept.index), cells.columns.get_indexer(kept.columns)
    return BinnedMeans(
        values=np.ascontiguousarray(means[rows][:, columns].transpose(2, 0, 1)),
        bins_ms=bins_ms,
        stimulus_ids=tuple(map(str, kept.index)),
        neuroid_ids=tuple(map(str, kept.columns)),
    )
