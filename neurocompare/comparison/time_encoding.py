"""Read-outs from layers to single neurons in every time bin, by ridge regression.

Takes RDMs of layers and a recording with time bins; gives :class:`~neurocompare.comparison.time_courses.TimeCourses`.
The regressions are those of ``encoding``: a layer is factorised once for all bins and patches, and penalties are chosen
in each bin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr
from rsatoolbox.rdm import RDMs
from scipy import stats

from neural_data.binned import one_bin, time_bins_of
from neural_data.recordings import condition_means, regions_of, response_counts, select_region
from neurocompare.comparison.encoding import encode_patches
from neurocompare.comparison.encoding_design import Encoding, factors_or_usual
from neurocompare.comparison.patch_responses import PatchResponses
from neurocompare.comparison.sampling import seed_of
from neurocompare.comparison.time_courses import NOT_PERMUTED, TimeCourses
from neurocompare.comparison.time_fits import patches_of
from neurocompare.representations.neural_rdms import trials_of
from neurocompare.representations.rdms import LAYER

__all__ = ["infer_encoding_by_time"]


def infer_encoding_by_time(
    model_rdms: RDMs,
    recording: xr.DataArray,
    settings: Encoding | None = None,
    *,
    resample: str | Sequence[str] | None = None,
    n_permutations: int = 200,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> TimeCourses:
    """How well each layer predicts the neurons of each patch in every time bin.

    Parameters
    ----------
    model_rdms : rsatoolbox.rdm.RDMs
        Squared Euclidean distances of the layers, as in ``infer_encoding``.
    recording : xarray.DataArray
        With time bins; every neuron has a response to every stimulus in every bin.
    settings : Encoding or None
        As in ``infer_encoding``.
    resample : str, sequence of str or None
        As in ``infer_encoding``; identities and neurons are left out alike in all bins.
    n_permutations : int
        Permutations of identities, views kept, the same in all bins; penalties are chosen anew in each.
    confidence : float
        Nominal coverage of the intervals.
    rng : numpy.random.Generator
        Source of folds, parts and permutations.

    Returns
    -------
    TimeCourses
        Values are mean scores over the neurons of a patch; neurons that respond alike to all stimuli in a bin are left
        out of its mean. Corrected values are over what a true model is expected to reach given the trials. There are no
        draws, and so no standard errors of onsets; these have intervals.

    Raises
    ------
    InputError
        If there are no time bins, or as in ``infer_encoding``.
    """
    bins_ms, seed = time_bins_of(recording), seed_of(rng)
    ids = [str(one) for one in model_rdms.pattern_descriptors["stimulus_id"]]
    factors = factors_or_usual(resample, model_rdms, recording)
    regions = list(patches_of(recording, ids))  # refuses missing responses and small patches
    patches = [
        _patch_of_bin(select_region(recording, region), place, ids, region)
        for region in regions_of(recording)
        for place in range(len(bins_ms))
    ]
    samples = np.repeat(np.arange(len(regions)), len(bins_ms)).tolist()
    found = encode_patches(
        model_rdms,
        patches,
        settings or Encoding(),
        factors,
        (2, n_permutations),
        samples=samples,
        seed=seed,
        confidence=confidence,
        rng=rng,
    )
    rows = pd.DataFrame(regions, columns=["region", "subject"])
    recordings = rows.loc[rows.index.repeat(len(bins_ms))].reset_index(drop=True)
    recordings = recordings.assign(
        time_start_ms=np.tile(bins_ms[:, 0], len(rows)), time_end_ms=np.tile(bins_ms[:, 1], len(rows))
    )
    result = replace(found.pooled, recordings=recordings)
    if not n_permutations:
        result = replace(result, identity_null=NOT_PERMUTED)
    naming = tuple(name for name in LAYER if name in result.models)
    return TimeCourses(result, rows, bins_ms, [], None, naming, found.notes, seed)


def _patch_of_bin(neurons: xr.DataArray, place: int, ids: list[str], region: str) -> PatchResponses:
    """Responses of one patch in one bin, with all of its neurons, also those that do not vary in it."""
    flat = one_bin(neurons, place)
    means = condition_means(flat, ids)
    counts = response_counts(flat).loc[ids].to_numpy()
    return PatchResponses(
        region=region,
        subject="",
        neuroid_ids=tuple(map(str, means.columns)),
        responses=means.to_numpy(dtype=float),
        trials=trials_of(flat, ids) if counts.min() >= 2 else None,
        n_repetitions=float(stats.hmean(counts.ravel())),
        n_constant=0,
    )
