"""Time courses with their uncertainty: fits of layers, read-outs or codes in every time bin of every patch.

Takes statistics with parts of identities and neurons left out, the same parts in every bin and for every layer; gives a
:class:`TimeCourses`, whose errors and tests are those of :class:`~neurocompare.comparison.fit_result.FitResult`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from scipy import stats

from neural_data.errors import InputError
from neurocompare.comparison.equivalence_tests import check_margin, conclusions
from neurocompare.comparison.fit_result import FitResult, networks_of
from neurocompare.comparison.onsets import FRACTION, Crossings, OnsetPair, excess_weights, joined_crossings, rise_times
from neurocompare.comparison.refitting import bootstrap_deviations, crossed_deviations
from neurocompare.comparison.time_tests import cluster_tests, maximum_tests
from neurocompare.representations.rdms import LAYER

__all__ = [
    "ONSET_COLUMNS",
    "ONSET_PAIR_COLUMNS",
    "TIME_COLUMNS",
    "LeftOut",
    "TimeCourses",
    "compare_onsets",
    "time_courses",
]

TIME_COLUMNS = (
    *("region", "subject", "time_start_ms", "time_end_ms", "value", "se", "ci_low", "ci_high"),
    *("p_permutation", "p_max", "p_cluster", "reliability", "corrected_value", "corrected_low", "corrected_high"),
    *("n_stimuli", "n_identities", "n_neurons", "resample"),
)
"""Columns of ``TimeCourses.to_frame``, after those that name the rows."""
ONSET_COLUMNS = (
    *(
        "region",
        "subject",
        "onset_ms",
        "onset_se",
        "ci_low",
        "ci_high",
        "peak_ms",
        "peak",
        "p_max",
        "fraction",
        "reason",
    ),
)
ONSET_PAIR_COLUMNS = (
    *("difference_ms", "se", "ci_low", "ci_high", "p", "margin_ms", "p_equal", "conclusion", "fraction"),
)
ALPHA = 0.05
"""A curve has an onset if the maximum statistic rejects at this level in a bin around its peak."""
NOT_PERMUTED = "no permutations were asked for"


@dataclass(frozen=True)
class LeftOut:
    """Statistics of one patch with parts left out.

    Parameters
    ----------
    values : array of shape (n_pattern_parts + 1, n_rows, n_bins, n_neuron_parts + 1)
        The last place of the first and of the last axis is without leaving out; an axis of a factor that is not
        resampled has length 1.
    operators : list of array
        Jackknife operator over the parts of the neurons; none if neurons are not resampled.
    drawn : dict of tuple of str to array of shape (n_draws, n_rows, n_bins)
        The statistics on draws with replacement, of each factor alone and of both together, for onsets; empty without
        draws. Draws of identities are the same in all patches.
    """

    values: np.ndarray
    operators: list[np.ndarray]
    drawn: dict[tuple[str, ...], np.ndarray] = field(default_factory=dict)

    def flat(self) -> np.ndarray:
        """Rows and bins as one axis."""
        n_counts, _, _, n_parts = self.values.shape
        return self.values.reshape(n_counts, -1, n_parts)


@dataclass(frozen=True)
class TimeCourses:
    """Statistics in every time bin, with errors and tests.

    Parameters
    ----------
    result : FitResult
        One row per layer (or code), one recording per patch and bin, patches first.
    patches : pandas.DataFrame
        Columns ``region, subject``.
    bins_ms : array of shape (n_bins, 2)
        Start and end of every bin, ms after stimulus onset.
    left_out : list of LeftOut
        One per patch; empty if only the errors of ``result`` are known, and then there are no onsets.
    operator : array or None
        Jackknife operator over the parts of identities (or stimuli).
    naming : tuple of str
        Columns of ``result.models`` that name the rows.
    notes : tuple of str
        What a reader of the courses must know, in sentences.
    seed : int or None
        Of what is left out and drawn, from ``sampling.seed_of``; None if it is not known.
    level : float
        Value of a curve where there is nothing; onsets are at a share of the way from here to the peak. Curves without
        permutations are tested against it if it is not 0.
    """

    result: FitResult
    patches: pd.DataFrame
    bins_ms: np.ndarray
    left_out: list[LeftOut]
    operator: np.ndarray | None
    naming: tuple[str, ...]
    notes: tuple[str, ...] = ()
    seed: int | None = None
    level: float = 0.0

    @property
    def times_ms(self) -> np.ndarray:
        """Centres of the bins, ms after stimulus onset."""
        return self.bins_ms.mean(axis=1)

    @property
    def values(self) -> np.ndarray:
        """Estimates, (n_rows, n_patches, n_bins)."""
        return self.result.estimates.reshape(len(self.result.models), len(self.patches), -1)

    def _null(self) -> np.ndarray | None:
        """Permutations (n_permutations, n_rows, n_patches, n_bins); None if there are none."""
        null = self.result.identity_null
        return None if isinstance(null, str) else null.reshape(len(null), *self.values.shape)

    @property
    def _is_tested(self) -> bool:
        """Whether tests were asked for, whether they can be made or not."""
        return bool(self.level) or self._null() is not None or self.result.identity_null != NOT_PERMUTED

    def tests(self) -> dict[str, np.ndarray]:
        """P values, each (n_rows, n_patches, n_bins): ``p_permutation, p_max, p_cluster``; NaN without permutations.

        ``p_permutation`` is of one bin by itself. ``p_max`` and ``p_cluster`` hold over all bins and layers of one
        patch; codes are tested one by one. See ``time_tests`` for what clusters do not say. Curves with a ``level``
        other than 0 and no permutations have a t test against it, Bonferroni-corrected over bins, as ``p_max``.
        """
        null, values = self._null(), self.values
        found = {name: np.full(values.shape, np.nan) for name in ("p_permutation", "p_max", "p_cluster")}
        if null is None:
            if self.level:
                above = (self.result.estimates - self.level) / self.result.se
                p = stats.t.sf(above, self.result.df).reshape(values.shape)
                found["p_max"] = np.minimum(p * values.shape[2], 1.0)
            return found
        found["p_permutation"] = self.result.p_identity.reshape(values.shape)
        for rows, joined in self._families():
            for patch in range(len(self.patches)):
                observed, permuted = values[rows, patch], null[:, rows, patch]
                found["p_max"][rows, patch] = maximum_tests(observed, permuted)
                found["p_cluster"][rows, patch] = cluster_tests(observed, permuted, joined=joined).p_of_bins
        return found

    def _families(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Rows that are tested together, and whether each is the next layer of the one before it."""
        models = self.result.models
        if "layer" not in models:
            return [(np.array([row]), np.zeros(1, dtype=bool)) for row in range(len(models))]
        joined = np.zeros(len(models), dtype=bool)
        for _, members in networks_of(models):
            follows = members[1:] == members[:-1] + 1
            joined[members[1:][follows]] = True
        return [(np.arange(len(models)), joined)]

    def to_frame(self) -> pd.DataFrame:
        """One row per layer (or code), patch and bin: the columns that name it, then :data:`TIME_COLUMNS`."""
        n_rows, n_patches, n_bins = self.values.shape
        row, patch, time = (place.ravel() for place in np.indices((n_rows, n_patches, n_bins)))
        low, high = self.result.ci
        corrected, nothing = self.result.corrected, np.full(self.result.estimates.shape[1], np.nan)
        reliability = nothing if self.result.ceilings is None else self.result.ceilings["ceiling_lower"].to_numpy()
        frame = pd.DataFrame({name: self.result.models[name].to_numpy()[row] for name in self.naming})
        frame = frame.assign(
            region=self.patches["region"].to_numpy()[patch],
            subject=self.patches["subject"].to_numpy()[patch],
            time_start_ms=self.bins_ms[time, 0],
            time_end_ms=self.bins_ms[time, 1],
            value=self.values.ravel(),
            se=self.result.se.ravel(),
            ci_low=low.ravel(),
            ci_high=high.ravel(),
            **{name: p.ravel() for name, p in self.tests().items()},
            reliability=np.broadcast_to(reliability, self.result.estimates.shape).ravel(),
            corrected_value=corrected.estimates.ravel(),
            corrected_low=corrected.ci[0].ravel(),
            corrected_high=corrected.ci[1].ravel(),
            n_stimuli=self.result.n_stimuli,
            n_identities=np.nan if self.result.n_identities is None else self.result.n_identities,
            n_neurons=np.repeat(self.result.n_neurons.reshape(n_patches, n_bins)[None], n_rows, axis=0).ravel(),
            resample="+".join(self.result.factors),
        )
        return frame[[*self.naming, *TIME_COLUMNS]]

    def ceilings(self) -> pd.DataFrame:
        """Noise ceiling of every patch in every bin: ``region, subject, time_start_ms, time_end_ms``, then ceilings.

        Empty without ceilings. Columns of fits are those of ``ceilings.neuron_ceilings``, with intervals over neurons.
        """
        about = self.result.recordings
        if self.result.ceilings is None:
            return about.iloc[:0]
        return pd.concat([about, self.result.ceilings.reset_index(drop=True)], axis=1)

    def onsets(self, fraction: float = FRACTION) -> pd.DataFrame:
        """When each curve rises through a share of its peak, with an interval.

        Parameters
        ----------
        fraction : float
            Share of the peak.

        Returns
        -------
        pandas.DataFrame
            One row per layer (or code) and patch: the columns that name it, then :data:`ONSET_COLUMNS`. ``peak_ms`` and
            ``peak`` are of the smoothed curve, which onsets are read from. Empty, with a ``reason``, where the maximum
            statistic finds nothing at 5 % in the bins around this peak in which the curve is above the share, or a test
            that was asked for cannot be made, or the curve is undefined in a bin or does not rise within the bins.
            One end of an interval is empty, with a ``reason``, where the bins set none. ``onset_se`` needs draws.

        Notes
        -----
        The interval holds the times at which the smoothed curve is neither surely below nor surely above the share of
        its peak, from parts of identities and neurons left out; see ``onsets.crossing_interval``.
        """
        crossings = self._crossings(fraction)
        latencies = _latencies([self], fraction)
        se = np.full(crossings.onsets.shape, np.nan) if latencies is None else latencies.se
        quantile = crossings.quantile(self.result.confidence)
        p_max = self.tests()["p_max"]
        rows = []
        for row, patch in itertools.product(range(len(self.result.models)), range(len(self.patches))):
            smallest = np.nanmin(p_max[row, patch]) if np.isfinite(p_max[row, patch]).any() else np.nan
            reason, shown = self._no_onset(crossings, row, patch, p_max[row, patch]), (np.nan,) * 4
            if not reason:
                ends = crossings.interval(row, patch, quantile[row, patch])
                shown = (crossings.onsets[row, patch], se[row, patch], *ends)
                sides = [side for side, end in zip(("earlier", "later"), ends, strict=True) if np.isnan(end)]
                reason = f"the bins set no {' and no '.join(sides)} limit" if sides else ""
            peak = crossings.peaks[row, patch]
            defined = np.isfinite(self.values[row, patch]).all()
            height = crossings.excess[row, patch, peak] / (1 - fraction) + self.level if defined else np.nan
            rows.append(
                {name: self.result.models[name].iloc[row] for name in self.naming}
                | {name: self.patches[name].iloc[patch] for name in ("region", "subject")}
                | dict(zip(("onset_ms", "onset_se", "ci_low", "ci_high"), shown, strict=True))
                | {"peak_ms": self.times_ms[peak] if defined else np.nan, "peak": height, "p_max": smallest}
                | {"fraction": fraction, "reason": reason}
            )
        return pd.DataFrame(rows)[[*self.naming, *ONSET_COLUMNS]]

    def _no_onset(self, crossings: Crossings, row: int, patch: int, p_max: np.ndarray) -> str:
        """Why a curve has no onset; empty if it has one."""
        found, tested = p_max < ALPHA, np.isfinite(p_max).any()
        if self._is_tested and not tested:
            why = self.result.identity_null if not self.level and self._null() is None else "no bin has an error"
            return f"no test can be made: {why}"
        if tested and not found.any():
            return f"nothing is found in any bin (smallest p_max {np.nanmin(p_max):.2g})"
        undefined = self.times_ms[~np.isfinite(self.values[row, patch])]
        if len(undefined):
            some = ", ".join(f"{time:g}" for time in undefined[:3]) + (", ..." if len(undefined) > 3 else "")
            return f"the curve is undefined in {len(undefined)} bin(s), at {some} ms"
        if not np.isfinite(crossings.onsets[row, patch]):
            return (
                "the curve is above the share of its peak from the first bin on, or its peak is not above "
                f"{self.level:.3g}"
            )
        hump = crossings.hump(row, patch)
        if tested and not (found & hump).any():
            first, last = self.times_ms[hump][[0, -1]]
            return f"nothing is found around the peak, where the curve is above the share ({first:g} to {last:g} ms)"
        return ""

    def onset_differences(self, fraction: float = FRACTION, *, margin_ms: float | None = None) -> pd.DataFrame:
        """Differences of onsets between rows within a patch, and between patches within a row.

        Parameters
        ----------
        fraction : float
            Share of a course's peak at which it counts as begun, between 0 and 1.
        margin_ms : float or None
            As in :func:`compare_onsets`.

        Returns
        -------
        pandas.DataFrame
            As from :func:`compare_onsets`, without ``readout_1`` and ``readout_2``.
        """
        return compare_onsets({"": self}, fraction, margin_ms=margin_ms).drop(columns=["readout_1", "readout_2"])

    def _crossings(self, fraction: float) -> Crossings:
        """Curves less a share of their peaks, with errors."""
        weights, peaks = excess_weights(self.values, fraction=fraction)

        def summed(curves: np.ndarray) -> np.ndarray:
            """Weighted sums over bins: NaN if a bin with non-zero weight is, whatever the others are."""
            of_bins = curves.reshape(-1, *self.values.shape)
            found, unknown = (
                np.einsum("rpsb,...rpb->...rps", by, one)
                for by, one in ((weights, np.nan_to_num(of_bins)), (weights != 0, np.isnan(of_bins).astype(float)))
            )
            return np.where(unknown > 0, np.nan, found).reshape(curves.shape)

        excess = self.result.of_statistic(
            summed(self.result.estimates - self.level),
            self.result.draws[:0],
            {key: summed(found) for key, found in self.result.deviations.items()},
        )
        shape = self.values.shape
        return Crossings(
            onsets=rise_times(self.values - self.level, self.times_ms, fraction=fraction),
            times_ms=self.times_ms,
            excess=excess.estimates.reshape(shape),
            se=excess.se.reshape(shape),
            df=excess.df.reshape(shape[1:])[:, 0],
            peaks=peaks,
            deviations=excess.deviations,
        )

    def _drawn_onsets(self, fraction: float) -> dict[tuple[str, ...], np.ndarray]:
        """Onsets on draws (n_draws, n_rows, n_patches), by what is drawn; empty without draws."""
        if not self.left_out or not all(one.drawn for one in self.left_out):
            return {}
        return {
            key: np.stack(
                [rise_times(one.drawn[key] - self.level, self.times_ms, fraction=fraction) for one in self.left_out],
                axis=2,
            )
            for key in self.left_out[0].drawn
        }

    def _of_patches(self, result: FitResult) -> FitResult:
        """A result with one recording per patch, of a statistic of whole curves."""
        n_bins = len(self.bins_ms)
        return replace(
            result,
            recordings=self.patches,
            sizes={name: sizes[::n_bins] for name, sizes in self.result.sizes.items()},
            n_neurons=self.result.n_neurons[::n_bins],
        )


def compare_onsets(
    courses: Mapping[str, TimeCourses], fraction: float = FRACTION, *, margin_ms: float | None = None
) -> pd.DataFrame:
    """Differences of onsets between the curves of several analyses of one recording.

    Parameters
    ----------
    courses : mapping of str to TimeCourses
        By the name of what the curves are (codes, fits, ...): the same patches and bins, made with generators in equal
        states, so that the same identities and neurons are left out.
    fraction : float
        Share of a course's peak at which it counts as begun, between 0 and 1.
    margin_ms : float or None
        Smallest difference of onsets that matters, ms: tests whether onsets are equal within it, too.

    Returns
    -------
    pandas.DataFrame
        One row per pair of curves of one patch, and per pair of patches of one curve, that both have an onset:
        ``readout`` (the name in ``courses``), the columns that name the curves, ``region`` and ``subject``, with ``_1``
        and ``_2``; then :data:`ONSET_PAIR_COLUMNS` (first minus second, ms; ``p`` two-sided, of this pair alone).
        Identities are shared by all curves, neurons by those of one patch, and the errors with them. One end of an
        interval is empty where an onset lacks the limit that it needs. ``se`` needs draws, as many in both.
        ``margin_ms``, ``p_equal`` (two one-sided tests by the same intervals) and ``conclusion`` (see
        ``equivalence_tests.conclusions``) are empty without a margin.

    Raises
    ------
    InputError
        If there are no curves, or patches, bins, or what is left out differ.

    Notes
    -----
    The interval combines those of the two onsets, which need not be symmetric, with the correlation of the two (Zou &
    Donner 2008, Stat Med 27:1693): that of the curves' distances from the shares of their peaks, at the onsets, when
    identities and neurons are left out. ``p`` is one minus the confidence of the interval that ends at 0.
    """
    _check_comparable(courses)
    several = list(courses.values())
    first = several[0]
    naming = list(dict.fromkeys(name for one in several for name in one.naming))
    labels = [
        {"readout": readout} | {name: one.result.models[name].iloc[row] for name in one.naming}
        for readout, one in courses.items()
        for row in range(len(one.result.models))
    ]
    crossings = joined_crossings([one._crossings(fraction) for one in several])
    known = np.concatenate(
        [one.onsets(fraction)["onset_ms"].notna().to_numpy().reshape(one.values.shape[:2]) for one in several]
    )
    latencies, of_excess = _latencies(several, fraction), _excess_at_onsets(first, crossings)
    rows = []
    for one, other in itertools.combinations(zip(*np.nonzero(known), strict=True), 2):
        if one[0] != other[0] and one[1] != other[1]:
            continue
        weights = np.zeros((1, *known.shape))
        weights[0][one], weights[0][other] = 1.0, -1.0
        pair = OnsetPair(crossings, one, other, _correlation(of_excess, weights), first.result.confidence)
        low, high = pair.interval()
        se = np.nan if latencies is None else float(latencies.contrasts(weights)[1][0])
        rows.append(
            {
                f"{name}_{side}": value
                for side, (row, patch) in enumerate((one, other), 1)
                for name, value in (labels[row] | dict(first.patches.iloc[patch])).items()
            }
            | {"difference_ms": pair.difference, "se": se, "ci_low": low, "ci_high": high}
            | {
                "p": pair.p(),
                "p_equal": np.nan if margin_ms is None else pair.p_within(margin_ms),
                "fraction": fraction,
            }
        )
    sides = [f"{name}_{side}" for side in (1, 2) for name in ("readout", *naming, "region", "subject")]
    table = pd.DataFrame(rows, columns=[*sides, *ONSET_PAIR_COLUMNS])
    if margin_ms is None:
        return table.assign(margin_ms=np.nan, conclusion="")
    p, within = (table[name].to_numpy(dtype=float) for name in ("p", "p_equal"))
    concluded = conclusions(p, within, check_margin(margin_ms), first.result.confidence, unit="ms")
    return table.assign(margin_ms=margin_ms, conclusion=concluded)


def _check_comparable(courses: Mapping[str, TimeCourses]) -> None:
    if not courses:
        raise InputError("there are no onsets to compare: give time courses by the name of what they are of")
    (name, first), *others = courses.items()
    for other, one in others:
        same = (
            one.seed == first.seed
            and one.seed is not None
            and np.array_equal(one.bins_ms, first.bins_ms)
            and one.patches.equals(first.patches)
            and one.result.factors == first.result.factors
            and all(np.array_equal(one.result.sizes[key], sizes) for key, sizes in first.result.sizes.items())
        )
        if not same:
            raise InputError(
                f"onsets of {name} and {other} cannot be compared: they need the same patches, bins, identities and "
                f"neurons, resampled alike (here {'+'.join(first.result.factors)} and {'+'.join(one.result.factors)}), "
                "and generators in equal states, so that the same ones are left out"
            )


def _excess_at_onsets(courses: TimeCourses, crossings: Crossings) -> FitResult:
    """What curves are above the shares of their peaks at their onsets (0), with its deviations."""
    shape = crossings.excess.shape
    deviations = {
        key: crossings.at_onsets(found.reshape(len(found), *shape)) for key, found in crossings.deviations.items()
    }
    zero = np.zeros(shape[:2])
    return courses._of_patches(courses.result.of_statistic(zero, np.empty((0, *zero.shape)), deviations))


def _latencies(several: Sequence[TimeCourses], fraction: float) -> FitResult | None:
    """Onsets (n_rows, n_patches) in place of the statistics, with deviations of draws.

    NaN for courses without draws; None without any, or if the numbers of draws differ.
    """
    of_each = [one._drawn_onsets(fraction) for one in several]
    shapes = {len(found) for of_one in of_each for found in of_one.values()}
    if len(shapes) != 1:
        return None
    n_draws, keys = shapes.pop(), next(list(of_one) for of_one in of_each if of_one)
    drawn = {
        key: np.concatenate(
            [
                of_one.get(key, np.full((n_draws, *one.values.shape[:2]), np.nan))
                for one, of_one in zip(several, of_each, strict=True)
            ],
            axis=1,
        )
        for key in keys
    }
    onsets = np.concatenate([rise_times(one.values - one.level, one.times_ms, fraction=fraction) for one in several])
    first = several[0]
    found = first.result.of_statistic(onsets, drawn[max(drawn, key=len)], bootstrap_deviations(drawn))
    return replace(first._of_patches(found), variance="bootstrap")


def _correlation(result: FitResult, weights: np.ndarray) -> float:
    """Correlation of two statistics, at places with weights 1 and -1; 0 where one does not vary.

    -1, with which intervals of differences are widest, where it is not known.
    """
    sd = result.se
    if np.isnan(sd[weights[0] != 0]).any():
        return -1.0
    _, se, _ = result.contrasts(np.divide(weights, sd, out=np.zeros_like(weights), where=sd > 0))
    return float(np.clip(1 - se[0] ** 2 / 2, -1.0, 1.0)) if (sd[weights[0] != 0] > 0).all() else 0.0


def time_courses(
    result: FitResult,
    patches: pd.DataFrame,
    bins_ms: np.ndarray,
    left_out: Sequence[LeftOut],
    operator: np.ndarray | None,
    *,
    naming: tuple[str, ...] | None = None,
    notes: tuple[str, ...] = (),
    seed: int | None = None,
    level: float = 0.0,
) -> TimeCourses:
    """Time courses from statistics with parts left out.

    Parameters
    ----------
    result : FitResult
        Everything but ``estimates``, ``deviations`` and ``recordings``, which are filled in here. ``ceilings`` and
        ``identity_null`` have one recording per patch and bin, patches first; ``sizes`` and ``n_neurons`` one per
        patch.
    patches, bins_ms, left_out, operator, notes, seed, level
        As in :class:`TimeCourses`.
    naming : tuple of str or None
        Columns of the models that name the rows; None: those of layers.
    """
    n_patches, n_bins = len(patches), len(bins_ms)
    if len(left_out) != n_patches or any(one.values.shape[2] != n_bins for one in left_out):
        raise InputError("time courses need the statistics of every bin of every patch")
    of_patches = crossed_deviations(
        [one.flat() for one in left_out],
        [made for one in left_out for made in one.operators],
        operator,
        [np.array([patch]) for patch in range(n_patches)],
        result.factors,
    )
    deviations = {
        key: found.reshape(len(found), -1, n_bins, n_patches)
        .transpose(0, 1, 3, 2)
        .reshape(len(found), -1, n_patches * n_bins)
        for key, found in of_patches.items()
    }
    recordings = patches.loc[patches.index.repeat(n_bins)].reset_index(drop=True)
    recordings = recordings.assign(
        time_start_ms=np.tile(bins_ms[:, 0], n_patches), time_end_ms=np.tile(bins_ms[:, 1], n_patches)
    )
    filled = replace(
        result,
        recordings=recordings,
        estimates=np.concatenate([one.values[-1, :, :, -1] for one in left_out], axis=1),
        draws=np.empty((0, len(result.models), n_patches * n_bins)),
        deviations=deviations,
        sizes={name: np.repeat(sizes, n_bins) for name, sizes in result.sizes.items()},
        n_neurons=np.repeat(result.n_neurons, n_bins),
    )
    named = naming if naming is not None else tuple(name for name in LAYER if name in result.models)
    return TimeCourses(filled, patches, bins_ms, list(left_out), operator, named, notes, seed, level)
