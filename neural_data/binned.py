"""Recordings with time bins: the bins, mean responses bin by bin, and single bins as recordings of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from neural_data.errors import InputError
from neural_data.recordings import condition_means, select_window

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
    tables = [
        condition_means(one_bin(recording, place), stimulus_ids, missing=missing) for place in range(len(bins_ms))
    ]
    neurons = [name for name in tables[0].columns if all(name in table.columns for table in tables)]
    stimuli = [name for name in tables[0].index if all(name in table.index for table in tables)]
    if not neurons or not stimuli:
        raise InputError(f"no neuron has a response to every stimulus in every time bin (missing={missing!r})")
    return BinnedMeans(
        values=np.stack([table.loc[stimuli, neurons].to_numpy(dtype=float) for table in tables]),
        bins_ms=bins_ms,
        stimulus_ids=tuple(map(str, stimuli)),
        neuroid_ids=tuple(map(str, neurons)),
    )
