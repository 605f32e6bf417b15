"""Mirror-symmetry index of patches over time, corrected for the sampling of neurons, with errors of its course.

Takes a recording with time bins and identities in several views; gives
:class:`~neurocompare.comparison.time_courses.TimeCourses`. The index of a bin is that of ``recorded_index``; neurons
and identities are left out alike in all bins, so that onsets have intervals.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from neural_data.binned import BinnedMeans, time_bins_of
from neural_data.errors import InputError, whole_number
from neural_data.recordings import stimuli_of
from neural_data.rounding import is_constant
from neural_data.stimuli import StimulusSet
from neurocompare.comparison.ceilings import neuron_orders
from neurocompare.comparison.fit_result import FitResult
from neurocompare.comparison.recorded_index import corrected_without
from neurocompare.comparison.resampling import FACTORS, check_factors, factors_along
from neurocompare.comparison.sampling import STIMULI, Sampled, sample, seed_of, source_of, unit_codes
from neurocompare.comparison.threads import in_threads
from neurocompare.comparison.time_courses import LeftOut, TimeCourses, time_courses
from neurocompare.comparison.time_fits import patches_of
from neurocompare.representations.rdms import view_order

__all__ = ["infer_index_by_time"]

RESAMPLED = ("identity", "neuron")
HALVES = 1
"""Third number of the seed of the halves of a patch's neurons, after the seed and the place of the patch."""


def infer_index_by_time(
    recording: xr.DataArray,
    *,
    stimuli: StimulusSet | None = None,
    resample: str | Sequence[str] = RESAMPLED,
    by_subject: bool = False,
    n_splits: int = 20,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> TimeCourses:
    """Corrected mirror-symmetry index of every patch in every time bin, with intervals and an onset.

    Parameters
    ----------
    recording : xarray.DataArray
        With time bins; every neuron has a response to every stimulus in every bin.
    stimuli : StimulusSet or None
        What was shown, if the recording does not label its stimuli: every identity in every view.
    resample : str or sequence of str
        ``"identity"``, ``"neuron"`` or both.
    by_subject : bool
        Whether each subject's neurons are a patch of their own.
    n_splits : int
        Random halves of the neurons, the same in all bins.
    confidence : float
        Nominal coverage of the intervals.
    rng : numpy.random.Generator
        Source of parts and halves.

    Returns
    -------
    TimeCourses
        One row. Neurons are z-scored in each bin; those that respond alike to all stimuli are left out of it. ``level``
        is -1/(n_views - 1), the index of views that are all equally far apart, which is what noise alone gives; the
        onset is the rise through a share of the way from there to the peak. ``p_max`` is a one-sided t test against
        this level, Bonferroni-corrected over the bins of a patch.

    Raises
    ------
    InputError
        If there are no time bins, an identity lacks a view, or there are too few identities or neurons.
    """
    whole_number(n_splits, "n_splits")
    factors = check_factors(resample)
    if set(factors) - set(RESAMPLED):
        raise InputError(f"the index over time is resampled over identities and neurons; got {'+'.join(factors)}")
    bins_ms, seed = time_bins_of(recording), seed_of(rng)
    shown = stimuli_of(recording) if stimuli is None else stimuli
    _, positions = view_order(shown)
    codes = unit_codes(shown.table["identity"])
    units = None
    if factors_along("stimuli", factors):
        units = sample("identity", int(codes.max()) + 1, 0, rng=source_of(seed, STIMULI))
    patches = patches_of(recording, list(shown.ids), by_subject=by_subject)
    left_out = []
    for place, ((region, subject), means) in enumerate(patches.items(), 1):
        n_neurons = means.values.shape[2]
        neurons = None
        if factors_along("neurons", factors):
            neurons = sample("neuron", n_neurons, 0, rng=source_of(seed, place))
            fewest = int(neurons.kept.sum(axis=1).min())
            if fewest // 2 < 2:
                raise InputError(
                    f"{region} {subject}".strip() + f" has {n_neurons} neurons, and halves of {fewest} hold fewer than "
                    "two; the index over time needs five neurons, or four that are not resampled"
                )
        orders = neuron_orders(n_neurons, n_splits, np.random.default_rng([seed, place, HALVES]))
        of_exemplars = None if units is None else units.kept[:, codes[positions[:, 0]]]
        values = _of_bins(means, positions, orders, of_exemplars, neurons)
        left_out.append(LeftOut(values, [] if neurons is None else [neurons.operator]))
    n_all = np.array([means.values.shape[2] for means in patches.values()])
    n_units = int(codes.max()) + 1
    nothing = np.empty((0, 1, len(patches)))
    result = FitResult(
        models=pd.DataFrame(index=range(1)),
        recordings=pd.DataFrame(index=range(len(patches))),
        estimates=np.zeros((1, len(patches))),
        draws=nothing,
        deviations={},
        variance="jackknife",
        sizes={name: n_all if FACTORS[name].axis == "neurons" else np.full(len(patches), n_units) for name in factors},
        factors=factors,
        method="mirror-symmetry index",
        dissimilarity="correlation",
        n_stimuli=positions.size,
        n_identities=n_units,
        n_neurons=n_all.astype(float),
        n_redrawn={},
        identity_null="the index is tested against the level of views that are equally far apart",
        confidence=confidence,
    )
    rows = pd.DataFrame(list(patches), columns=["region", "subject"])
    return time_courses(
        result,
        rows,
        bins_ms,
        left_out,
        None if units is None else units.operator,
        naming=(),
        seed=seed,
        level=-1 / (positions.shape[1] - 1),
    )


def _of_bins(
    means: BinnedMeans,
    positions: np.ndarray,
    orders: np.ndarray,
    of_exemplars: np.ndarray | None,
    neurons: Sampled | None,
) -> np.ndarray:
    """Corrected index (n_pattern_parts + 1, 1, n_bins, n_neuron_parts + 1) without parts of identities and neurons."""
    n_bins, _, n_neurons = means.values.shape
    kept = np.ones((1, n_neurons), dtype=int) if neurons is None else neurons.kept
    shown = np.ones((1, len(positions)), dtype=int) if of_exemplars is None else of_exemplars
    found = np.empty((len(shown), 1, n_bins, len(kept)))
    of_all = _halves(orders, kept)

    def fill(place: int) -> None:
        responses = means.values[place]
        counted = ~is_constant(responses, axis=0)
        scale = np.where(counted, responses.std(axis=0), 1.0)
        views = ((responses - responses.mean(axis=0)) / scale)[positions]
        halves = of_all if counted.all() else _halves(orders, kept * counted)
        found[:, 0, place] = corrected_without(views, halves, shown)

    in_threads(fill, range(n_bins))
    return found


def _halves(orders: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Neurons of the first and second half of each order, (n_sets, n_splits, 2, n_neurons), of those that are kept."""
    stays = np.take(kept > 0, orders, axis=1)
    rank = np.cumsum(stays, axis=2)
    half = (kept > 0).sum(axis=1)[:, None, None] // 2
    sides = np.stack([stays & (rank <= half), stays & (rank > half) & (rank <= 2 * half)], axis=2)
    found = np.zeros(sides.shape)
    np.put_along_axis(found, np.broadcast_to(orders[None, :, None], sides.shape), sides, axis=3)
    return found
