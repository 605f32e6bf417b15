"""Onsets of time courses: the time at which a curve rises through a share of its peak, and its interval.

Takes curves with parts of the experiment left out; gives latencies in ms. A latency at a share of the peak does not
move with the number of neurons or trials, while the first significant bin comes earlier the more there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from neural_data.errors import InputError

__all__ = ["FRACTION", "Latency", "jackknife_latency", "rise_times"]

FRACTION = 0.5
"""Share of the peak that a curve must rise through."""


@dataclass(frozen=True)
class Latency:
    """A latency, or a difference of two, with its interval.

    Parameters
    ----------
    ms, se, low, high : float
        Estimate, standard error and ends of the interval, ms; NaN where it is not defined.
    df : int
        Degrees of freedom of the interval.
    """

    ms: float
    se: float
    low: float
    high: float
    df: int


def rise_times(curves: np.ndarray, times_ms: np.ndarray, *, fraction: float = FRACTION) -> np.ndarray:
    """Time at which each curve rises through a share of its peak, for the last time before the peak.

    Parameters
    ----------
    curves : array of shape (..., n_bins)
        Values that are 0 where there is nothing, such as cross-validated ones.
    times_ms : array of shape (n_bins,)
        Times of the values, rising: centres of the bins.
    fraction : float
        Share of the peak, between 0 and 1.

    Returns
    -------
    array of shape (...)
        Interpolated between bins. NaN where the peak is not above 0, or the curve is above the share from the first bin
        on.

    References
    ----------
    Kiesel, Miller, Jolicoeur & Brisson (2008), Psychophysiology 45:250, for latencies at a share of the peak.
    """
    times = np.asarray(times_ms, dtype=float)
    if not 0 < fraction < 1:
        raise InputError(f"fraction of the peak must lie between 0 and 1; got {fraction}")
    if curves.shape[-1] != len(times) or len(times) < 3 or (np.diff(times) <= 0).any():
        raise InputError(
            f"onsets need at least three bins in order of time, and one value each; got {len(times)} times and curves "
            f"of {curves.shape[-1]}"
        )
    flat = np.where(np.isnan(curves), -np.inf, curves).reshape(-1, len(times))
    peak = flat.argmax(axis=1)
    level = fraction * flat[np.arange(len(flat)), peak]
    below = (flat < level[:, None]) & (np.arange(len(times)) < peak[:, None])
    last = len(times) - 1 - below[:, ::-1].argmax(axis=1)
    defined = below.any(axis=1) & (level > 0)
    last = np.where(defined, last, 0)
    before, after = flat[np.arange(len(flat)), last], flat[np.arange(len(flat)), last + 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(np.isfinite(before), (level - before) / (after - before), 1.0)
        found = times[last] + share * (times[last + 1] - times[last])
    return np.where(defined, found, np.nan).reshape(curves.shape[:-1])


def jackknife_latency(estimate: float, variance: float, df: int, *, confidence: float = 0.95) -> Latency:
    """A latency with the t interval of its jackknife variance.

    Parameters
    ----------
    estimate, variance : float
        Latency of the whole data, ms, and its variance over identities and neurons, ms squared.
    df : int
        Parts of the smallest factor, minus one.
    confidence : float
        Nominal coverage.

    References
    ----------
    Miller, Patterson & Ulrich (1998), Psychophysiology 35:99, for the jackknife of latencies.
    """
    se = float(np.sqrt(variance))
    half = float(stats.t.ppf((1 + confidence) / 2, df)) * se if df > 0 else np.nan
    return Latency(float(estimate), se, estimate - half, estimate + half, int(df))
