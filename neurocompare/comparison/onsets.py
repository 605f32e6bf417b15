"""Onsets of time courses: the time at which a curve rises through a share of its peak.

Takes curves; gives latencies in ms. A latency at a share of the peak does not move with the number of neurons or of
trials, while the first significant bin comes earlier the more there are. A latency is no smooth function of the data,
for which a jackknife's errors are too small; how far a curve lies above or below the share of its peak is one. So the
interval holds the times at which the curve may cross (:func:`crossing_interval`), and has no end on a side where the
data set none. Differences of onsets get theirs from the two intervals (:class:`OnsetPair`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, stats

from neural_data.errors import InputError
from neurocompare.comparison.equivalence_tests import check_margin

__all__ = [
    "FRACTION",
    "SMOOTHING_BINS",
    "Crossings",
    "OnsetPair",
    "crossing_interval",
    "excess_weights",
    "joined_crossings",
    "rise_times",
]

FRACTION = 0.5
"""Share of the peak that a curve must rise through."""
SMOOTHING_BINS = 1.0
"""Standard deviation of the Gaussian that curves are smoothed with first, in bins."""
LARGEST_QUANTILE, HALVINGS = 50.0, 40
"""Student's t up to which an interval of a difference is widened until it holds something, and steps of the search."""
SAME = 1e-9
"""Share of a bin's step below which two onsets differ by rounding."""


def rise_times(
    curves: np.ndarray, times_ms: np.ndarray, *, fraction: float = FRACTION, smoothing_bins: float = SMOOTHING_BINS
) -> np.ndarray:
    """Time at which each curve rises through a share of its peak, for the last time before the peak.

    Parameters
    ----------
    curves : array of shape (..., n_bins)
        Values that are 0 where there is nothing, such as cross-validated ones.
    times_ms : array of shape (n_bins,)
        Times of the values, rising in equal steps: centres of the bins.
    fraction : float
        Share of the peak, between 0 and 1.
    smoothing_bins : float
        Standard deviation of the Gaussian that the curves are smoothed with, in bins; 0 leaves them. It does not move
        the time of a symmetric rise.

    Returns
    -------
    array of shape (...)
        Interpolated between bins. NaN where a value is undefined, the peak is not above 0, or the curve is above the
        share from the first bin on.

    References
    ----------
    Kiesel, Miller, Jolicoeur & Brisson (2008), Psychophysiology 45:250, for latencies at a share of the peak.
    """
    times = np.asarray(times_ms, dtype=float)
    if not 0 < fraction < 1:
        raise InputError(f"fraction of the peak must lie between 0 and 1; got {fraction}")
    if smoothing_bins < 0:
        raise InputError(f"smoothing_bins must be 0 or more; got {smoothing_bins}")
    if curves.shape[-1] != len(times) or len(times) < 3 or (np.diff(times) <= 0).any():
        raise InputError(
            f"onsets need at least three bins in order of time, and one value each; got {len(times)} times and curves "
            f"of {curves.shape[-1]}"
        )
    flat = np.asarray(curves, dtype=float).reshape(-1, len(times))
    known = np.isfinite(flat).all(axis=1)
    flat = np.where(known[:, None], flat, 0.0)
    if smoothing_bins > 0:
        flat = ndimage.gaussian_filter1d(flat, smoothing_bins, axis=1, mode="nearest")
    row, peak = np.arange(len(flat)), flat.argmax(axis=1)
    level = fraction * flat[row, peak]
    below = (flat < level[:, None]) & (np.arange(len(times)) < peak[:, None])
    defined = known & below.any(axis=1) & (level > 0)
    last = np.where(defined, len(times) - 1 - below[:, ::-1].argmax(axis=1), 0)
    before, after = flat[row, last], flat[row, last + 1]
    rise = np.where(defined, after - before, 1.0)
    found = times[last] + (level - before) / rise * (times[last + 1] - times[last])
    return np.where(defined, found, np.nan).reshape(curves.shape[:-1])


def excess_weights(
    curves: np.ndarray, *, fraction: float = FRACTION, smoothing_bins: float = SMOOTHING_BINS
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the bins of each curve whose sums are the smoothed curve less a share of its peak.

    Parameters
    ----------
    curves : array of shape (..., n_bins)
        Values that are 0 where there is nothing.
    fraction, smoothing_bins : float
        As in :func:`rise_times`.

    Returns
    -------
    weights : array of shape (..., n_bins, n_bins)
        Weights of all bins (last axis) for the excess in each bin.
    peaks : integer array of shape (...)
        Bin of the peak.
    """
    n_bins = curves.shape[-1]
    smooth = np.eye(n_bins)
    if smoothing_bins > 0:
        smooth = ndimage.gaussian_filter1d(smooth, smoothing_bins, axis=0, mode="nearest")
    peaks = np.asarray((np.nan_to_num(curves) @ smooth.T).argmax(axis=-1))
    return smooth - fraction * smooth[peaks][..., None, :], peaks


def crossing_interval(
    onset: float, times_ms: np.ndarray, low: np.ndarray, high: np.ndarray, peak: int
) -> tuple[float, float]:
    """Times at which a curve may rise through the share of its peak for the last time.

    Parameters
    ----------
    onset : float
        The estimate.
    times_ms : array of shape (n_bins,)
        Centres of the bins.
    low, high : arrays of shape (n_bins,)
        Confidence limits of the curve less the share of its peak, in each bin. NaN where they are not known, which is
        neither surely below nor surely above.
    peak : int
        Bin of the peak.

    Returns
    -------
    (float, float)
        From the last time before the onset at which the curve is surely below the share, to the first after which it is
        surely above it in every bin up to the peak; NaN for a side without such a time.

    References
    ----------
    Fieller (1954), J R Stat Soc B 16:175, for intervals of ratios by inverting a test.
    """
    before = np.flatnonzero((times_ms < onset) & (high < 0))
    earliest = min(_zero(times_ms, high, before[-1]), onset) if len(before) else np.nan
    places = np.arange(len(times_ms))
    unsure = np.flatnonzero((times_ms <= onset) | ((places <= peak) & ~(low > 0)))
    latest = max(_zero(times_ms, low, unsure[-1]), onset) if unsure[-1] < peak else np.nan
    return earliest, latest


def _zero(times: np.ndarray, values: np.ndarray, place: int) -> float:
    """Where a line from one bin to the next is 0; the first bin if it is not, the next if the first is not known."""
    first, second = values[place], values[place + 1]
    share = -first / (second - first) if first < 0 < second else float(np.isnan(first))
    return float(times[place] + share * (times[place + 1] - times[place]))


@dataclass(frozen=True)
class Crossings:
    """Curves less a share of their peaks, with errors: what intervals of onsets are made of.

    Parameters
    ----------
    onsets : array of shape (n_rows, n_patches)
        Times at which the curves cross the shares of their peaks; NaN without one.
    times_ms : array of shape (n_bins,)
        Centres of the bins.
    excess, se : arrays of shape (n_rows, n_patches, n_bins)
        Curves less the shares of their peaks, and standard errors.
    df : array of shape (n_patches,)
        Degrees of freedom.
    peaks : integer array of shape (n_rows, n_patches)
        Bins of the peaks.
    deviations : dict of tuple of str to array of shape (n_refits, n_rows, n_patches x n_bins)
        Of ``excess``, as in ``FitResult``.
    """

    onsets: np.ndarray
    times_ms: np.ndarray
    excess: np.ndarray
    se: np.ndarray
    df: np.ndarray
    peaks: np.ndarray
    deviations: dict[tuple[str, ...], np.ndarray]

    def quantile(self, confidence: float) -> np.ndarray:
        """Student's t of intervals with this confidence, (n_rows, n_patches)."""
        return np.broadcast_to(stats.t.ppf((1 + confidence) / 2, self.df), self.onsets.shape)

    def interval(self, row: int, patch: int, quantile: float) -> tuple[float, float]:
        """Interval of one onset, see :func:`crossing_interval`; limits of the curve at this quantile."""
        excess, half = self.excess[row, patch], quantile * self.se[row, patch]
        onset = float(self.onsets[row, patch])
        return crossing_interval(onset, self.times_ms, excess - half, excess + half, int(self.peaks[row, patch]))

    def hump(self, row: int, patch: int) -> np.ndarray:
        """Bins around the peak, without a gap, in which a curve is above the share, boolean (n_bins,)."""
        labels, _ = ndimage.label(self.excess[row, patch] > 0)
        return np.asarray(labels == labels[self.peaks[row, patch]])

    def at_onsets(self, curves: np.ndarray) -> np.ndarray:
        """Values of curves (..., n_rows, n_patches, n_bins) at the onsets, between bins by lines; 0 without one."""
        known = np.isfinite(self.onsets)
        times = np.where(known, self.onsets, self.times_ms[0])
        before = np.clip(np.searchsorted(self.times_ms, times, side="right") - 1, 0, len(self.times_ms) - 2)
        share = (times - self.times_ms[before]) / np.diff(self.times_ms)[before]
        values = np.zeros(curves.shape[:-1])
        for place, weight in ((before, 1 - share), (before + 1, share)):
            at = np.broadcast_to(place, values.shape)[..., None]
            found = np.take_along_axis(curves, at, axis=-1)[..., 0]
            values += np.where(known & (weight > 0), found, 0.0) * weight
        return values


def joined_crossings(several: Sequence[Crossings]) -> Crossings:
    """The curves of several analyses of the same patches and bins, one after another.

    Parameters
    ----------
    several : sequence of Crossings
        With the same parts left out.
    """
    first = several[0]
    return Crossings(
        onsets=np.concatenate([one.onsets for one in several]),
        times_ms=first.times_ms,
        excess=np.concatenate([one.excess for one in several]),
        se=np.concatenate([one.se for one in several]),
        df=first.df,
        peaks=np.concatenate([one.peaks for one in several]),
        deviations={key: np.concatenate([one.deviations[key] for one in several], axis=1) for key in first.deviations},
    )


@dataclass(frozen=True)
class OnsetPair:
    """Two onsets, and how far apart they are.

    Parameters
    ----------
    crossings : Crossings
        The curves.
    first, second : (int, int)
        Row and patch of each.
    correlation : float
        Of the two onsets over experiments.
    confidence : float
        Nominal coverage of the interval.
    """

    crossings: Crossings
    first: tuple[int, int]
    second: tuple[int, int]
    correlation: float
    confidence: float = 0.95

    @property
    def difference(self) -> float:
        """First minus second, ms."""
        return float(self.crossings.onsets[self.first] - self.crossings.onsets[self.second])

    @property
    def df(self) -> float:
        """Degrees of freedom, the smaller ones of the two patches."""
        return float(min(self.crossings.df[self.first[1]], self.crossings.df[self.second[1]]))

    def interval(self) -> tuple[float, float]:
        """Interval of the difference; NaN for a side on which an onset has no limit.

        References
        ----------
        Zou & Donner (2008), Stat Med 27:1693, for intervals of differences out of those of the parts.
        """
        return self._at(float(stats.t.ppf((1 + self.confidence) / 2, self.df)))

    def p(self) -> float:
        """Two-sided p of no difference: 1 less the confidence of the interval that ends at 0."""
        if abs(self.difference) <= SAME * (self.crossings.times_ms[1] - self.crossings.times_ms[0]):
            return 1.0
        if self.difference > 0:
            return 2 * self._share(lambda low, _high: low > 0)
        return 2 * self._share(lambda _low, high: high < 0)

    def p_within(self, margin_ms: float) -> float:
        """P of two one-sided tests: small where the difference lies within a margin on both sides.

        Parameters
        ----------
        margin_ms : float
            Smallest difference that matters, ms, above 0.

        Returns
        -------
        float
            The smallest level at which the interval of coverage 1 less twice this level lies within the margin; 0.5 if
            no interval does, and above 0.5 beyond the margin.

        References
        ----------
        Schuirmann (1987), J Pharmacokinet Biopharm 15:657.
        """
        margin = check_margin(margin_ms)
        if abs(self.difference) < margin:
            return self._share(lambda low, high: low > -margin and high < margin)
        beyond = self._share(lambda low, high: low > margin if self.difference > 0 else high < -margin)
        return 1 - beyond

    def _share(self, holds: Callable[[float, float], bool]) -> float:
        """One-sided share of Student's t beyond the widest interval, (low, high), of which something holds."""
        beyond, reaches = 0.0, LARGEST_QUANTILE
        for _ in range(HALVINGS):
            middle = (beyond + reaches) / 2
            beyond, reaches = (middle, reaches) if holds(*self._at(middle)) else (beyond, middle)
        return float(stats.t.sf(beyond, self.df))

    def _at(self, quantile: float) -> tuple[float, float]:
        ends = []
        for (row, patch), side in ((self.first, 0), (self.second, 1)):
            low, high = self.crossings.interval(row, patch, quantile)
            onset = float(self.crossings.onsets[row, patch])
            ends.append((onset - low, high - onset) if side == 0 else (high - onset, onset - low))
        down, up = (
            np.sqrt(max(one**2 + other**2 - 2 * self.correlation * one * other, 0.0))
            if np.isfinite(one) and np.isfinite(other)
            else np.nan
            for one, other in zip(*ends, strict=True)
        )
        return self.difference - down, self.difference + up
