"""Converts spike counts to responses: the time bins of a window, and rates from counts."""

from __future__ import annotations

import numpy as np

from neural_data.errors import InputError
from neural_data.formats.read_options import DEFAULT_WINDOW_MS, ReadOptions
from neural_data.recordings import checked_window

__all__ = ["MOST_BINS", "as_responses", "time_bins"]

MOST_BINS = 10_000


def time_bins(options: ReadOptions) -> np.ndarray:
    """Start and end of the time bins, ms after stimulus onset.

    Parameters
    ----------
    options : ReadOptions
        ``window_ms`` (default 50 to 350), ``bin_ms`` (default: one bin as long as the window) and ``step_ms`` (default:
        ``bin_ms``, so that bins follow one another; smaller ones overlap).

    Returns
    -------
    array of shape (n_bins, 2)

    Raises
    ------
    InputError
        If the window does not start before it ends, bins do not fill it in whole steps, they are more than 10,000, or
        ``step_ms`` stands without ``bin_ms``.
    """
    start, end = checked_window(options.window_ms or DEFAULT_WINDOW_MS)
    if options.bin_ms is None and options.step_ms is not None:
        raise InputError(f"step_ms {options.step_ms:g} is the step of time bins, but there are none; give bin_ms too")
    width = end - start if options.bin_ms is None else float(options.bin_ms)
    step = width if options.step_ms is None else float(options.step_ms)
    if not (0 < width < np.inf and 0 < step < np.inf):
        raise InputError(f"bin_ms and step_ms must be above 0 ms; got {width:g} and {step:g}")
    n_steps = (end - start - width) / step
    if n_steps < -1e-9 or abs(n_steps - round(n_steps)) > 1e-9:
        raise InputError(
            f"bin_ms {width:g} does not divide the window of {start:g} to {end:g} ms into whole bins"
            if options.step_ms is None
            else f"bins of {width:g} ms every {step:g} ms do not fill the window of {start:g} to {end:g} ms; its "
            "length, less one bin, must be a whole number of steps (window_ms, bin_ms, step_ms)"
        )
    if n_steps >= MOST_BINS:
        raise InputError(f"step_ms {step:g} gives {round(n_steps) + 1:,} time bins; at most {MOST_BINS:,} are read")
    starts = start + step * np.arange(round(n_steps) + 1)
    return np.stack([starts, starts + width], axis=1)


def as_responses(counts: np.ndarray, bins: np.ndarray, options: ReadOptions) -> tuple[np.ndarray, dict]:
    """Spike counts as rates, with the arguments that :func:`~neural_data.recordings.make_recording` needs for them.

    Parameters
    ----------
    counts : array of shape (n_presentations, n_neurons, n_bins)
        Spikes in each bin; NaN where a neuron was not recorded.
    bins : array of shape (n_bins, 2)
        From :func:`time_bins`.
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
    values = counts if units == "counts" else counts / (np.diff(bins, axis=1)[:, 0] / 1000)
    if options.bin_ms is None:
        return values[:, :, 0], {"units": units}
    return values, {"units": units, "time_bins_ms": bins}
