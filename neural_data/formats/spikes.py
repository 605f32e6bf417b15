"""Converts spike counts to responses: edges of the time bins of a window, and rates from counts."""

from __future__ import annotations

import numpy as np

from neural_data.errors import InputError
from neural_data.formats.read_options import DEFAULT_WINDOW_MS, ReadOptions
from neural_data.recordings import checked_window

__all__ = ["as_responses", "bin_edges"]


def bin_edges(options: ReadOptions) -> np.ndarray:
    """Edges of the time bins, ms after stimulus onset.

    Parameters
    ----------
    options : ReadOptions
        ``window_ms`` (default 50 to 350) and ``bin_ms`` (default: one bin as long as the window).

    Returns
    -------
    array of shape (n_bins + 1,)

    Raises
    ------
    InputError
        If the window does not start before it ends, or is not a whole number of bins long.
    """
    start, end = checked_window(options.window_ms or DEFAULT_WINDOW_MS)
    width = end - start if options.bin_ms is None else float(options.bin_ms)
    n_bins = (end - start) / width if width > 0 else 0
    if n_bins < 1 or abs(n_bins - round(n_bins)) > 1e-9:
        raise InputError(f"bin_ms {width:g} does not divide the window of {start:g} to {end:g} ms into whole bins")
    return start + width * np.arange(round(n_bins) + 1)


def as_responses(counts: np.ndarray, edges: np.ndarray, options: ReadOptions) -> tuple[np.ndarray, dict]:
    """Spike counts as rates, with the arguments that :func:`~neural_data.recordings.make_recording` needs for them.

    Parameters
    ----------
    counts : array of shape (n_presentations, n_neurons, n_bins)
        Spikes in each bin; NaN where a neuron was not recorded.
    edges : array of shape (n_bins + 1,)
        From :func:`bin_edges`.
    options : ReadOptions
        ``units`` (``spikes/s`` by default, or ``counts``) and ``bin_ms``.

    Returns
    -------
    responses : array of shape (n_presentations, n_neurons) or (n_presentations, n_neurons, n_bins)
        Without the axis of bins if ``bin_ms`` is None.
    settings : dict
        Keyword arguments ``units`` and ``time_bins_ms``.
    """
    units = options.units or "spikes/s"
    if units == "normalized":
        raise InputError("spikes are counted, not normalized; units can be 'spikes/s' or 'counts'")
    values = counts if units == "counts" else counts / (np.diff(edges) / 1000)
    if options.bin_ms is None:
        return values[:, :, 0], {"units": units}
    return values, {"units": units, "time_bins_ms": np.stack([edges[:-1], edges[1:]], axis=1)}
