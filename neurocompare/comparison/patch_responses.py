"""Responses of the patches of a recording to given stimuli, neuron by neuron, with single trials where there are some.

Takes a recording, or responses by patch; gives one :class:`PatchResponses` per patch, for measures that use neurons one
by one. RDMs of patches are made in ``representations.neural_rdms``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from neural_data.errors import InputError
from neural_data.recordings import (
    condition_means,
    missing_message,
    regions_of,
    response_counts,
    select_region,
    select_window,
)
from neural_data.rounding import is_constant
from neurocompare.comparison.reliability import spearman_brown
from neurocompare.comparison.ridge import SCORES, weighted_scores
from neurocompare.representations.neural_rdms import trials_of
from neurocompare.representations.rdms import check_normalization, zscore_units

__all__ = ["PatchResponses", "half_responses", "neuron_reliabilities", "patch_responses"]

FEWEST_NEURONS = 4


@dataclass(frozen=True)
class PatchResponses:
    """Responses of the neurons of one patch.

    Parameters
    ----------
    region, subject : str
        ``subject`` is empty if the neurons of all subjects are taken together.
    neuroid_ids : tuple of str
        Names of the neurons.
    responses : array of shape (n_stimuli, n_neurons)
        Mean responses; every neuron varies over the stimuli.
    trials : array of shape (n_repetitions, n_stimuli, n_neurons) or None
        Single responses, as many of each neuron and stimulus as the rarest has; None without repetitions.
    n_repetitions : float
        Responses behind a mean response: harmonic mean over neurons and stimuli.
    n_constant : int
        Neurons left out because they respond alike to all stimuli.
    """

    region: str
    subject: str
    neuroid_ids: tuple[str, ...]
    responses: np.ndarray
    trials: np.ndarray | None
    n_repetitions: float
    n_constant: int

    @property
    def name(self) -> str:
        """Region, and subject where there is one."""
        return f"{self.region} {self.subject}".strip()

    def normalised(self, normalize: str | None) -> np.ndarray:
        """Mean responses, z-scored over the stimuli or as they are, (n_stimuli, n_neurons)."""
        return zscore_units(self.responses)[0] if check_normalization(normalize) == "zscore" else self.responses


def patch_responses(
    recording: xr.DataArray | Mapping,
    stimulus_ids: Sequence[str],
    *,
    by_subject: bool = False,
) -> list[PatchResponses]:
    """Responses of every patch to the given stimuli.

    Parameters
    ----------
    recording : xarray.DataArray or mapping
        The recording; or for each region (or ``(region, subject)``) its mean responses, a DataFrame (index
        ``stimulus_id``, one column per neuron) or an array (n_stimuli, n_neurons) in the order of ``stimulus_ids``.
    stimulus_ids : sequence of str
        Stimuli, in the order of the rows of the result. Every neuron has a response to each; read the recording with
        ``missing="drop_neurons"`` to leave out those that have not.
    by_subject : bool
        Whether the neurons of each subject are a patch of their own.

    Returns
    -------
    list of PatchResponses
        Regions in order of first appearance.

    Raises
    ------
    InputError
        If stimuli or responses are missing, stimuli repeat, responses are not finite, or a patch has fewer than four
        neurons that vary.
    """
    ids = [str(stimulus_id) for stimulus_id in stimulus_ids]
    if isinstance(recording, xr.DataArray):
        flat = select_window(recording)
        labels = [(region, subject) for region in regions_of(flat) for subject in _subjects(flat, region, by_subject)]
        return [_of_recording(flat, ids, region, subject) for region, subject in labels]
    found = []
    for key, values in recording.items():
        region, subject = key if isinstance(key, tuple) else (key, "")
        found.append(_of_means(values, ids, str(region), str(subject)))
    return found


def _subjects(flat: xr.DataArray, region: str, by_subject: bool) -> list[str]:
    if not by_subject:
        return [""]
    return list(dict.fromkeys(select_region(flat, region)["subject"].values.tolist()))


def _of_recording(flat: xr.DataArray, ids: list[str], region: str, subject: str) -> PatchResponses:
    neurons = select_region(flat, region, subject=subject or None)
    means = condition_means(neurons, ids, missing="keep")
    if means.isna().to_numpy().any():
        raise InputError(
            f"{region} {subject}".strip()
            + f": {missing_message(means)}; nothing is filled in, so read the recording with "
            "missing='drop_neurons' or missing='drop_stimuli', whichever loses less"
        )
    counts = response_counts(neurons).loc[ids, means.columns].to_numpy()
    trials = trials_of(neurons, ids) if counts.min() >= 2 else None
    return _checked(means, trials, float(stats.hmean(counts.ravel())), region, subject)


def _of_means(values: pd.DataFrame | np.ndarray, ids: list[str], region: str, subject: str) -> PatchResponses:
    if not isinstance(values, pd.DataFrame):
        array = np.asarray(values, dtype=float)
        if array.ndim != 2 or len(array) != len(ids):
            raise InputError(
                f"responses of {region} must have the shape (n_stimuli, n_neurons) with {len(ids)} stimuli; got "
                f"{array.shape}"
            )
        values = pd.DataFrame(array, index=ids, columns=[f"neuron {place + 1}" for place in range(array.shape[1])])
    table = values.set_axis(values.index.astype(str))
    if not table.index.is_unique:
        twice = table.index[table.index.duplicated()][0]
        raise InputError(f"the responses of {region} have stimulus {twice!r} more than once; give each one row")
    lacking = sorted(set(ids) - set(table.index))
    if lacking:
        raise InputError(f"the responses of {region} lack {len(lacking)} stimuli: {lacking[:5]}")
    return _checked(table.loc[ids], None, 1.0, region, subject)


def _checked(
    means: pd.DataFrame, trials: np.ndarray | None, n_repetitions: float, region: str, subject: str
) -> PatchResponses:
    values = means.to_numpy(dtype=float)
    where = f"{region} {subject}".strip()
    if not np.isfinite(values).all():
        raise InputError(
            f"the responses of {where} have {int((~np.isfinite(values)).sum())} values that are not finite; leave out "
            "neurons that lack responses to some stimuli"
        )
    varies = ~is_constant(values, axis=0)
    if varies.sum() < FEWEST_NEURONS:
        raise InputError(
            f"{where} has {int(varies.sum())} neuron(s) that respond differently to some of these stimuli; this "
            f"analysis needs at least {FEWEST_NEURONS}"
        )
    return PatchResponses(
        region=region,
        subject=subject,
        neuroid_ids=tuple(map(str, means.columns[varies])),
        responses=values[:, varies],
        trials=None if trials is None else trials[:, :, varies],
        n_repetitions=n_repetitions,
        n_constant=int((~varies).sum()),
    )


def half_responses(patch: PatchResponses, n_splits: int, rng: np.random.Generator) -> np.ndarray:
    """Mean responses of random halves of the trials, (n_splits, 2, n_stimuli, n_neurons).

    Raises
    ------
    ValueError
        If the patch has no trials.
    """
    if patch.trials is None:
        raise ValueError(f"{patch.name} has no repeated trials to split")
    half = len(patch.trials) // 2
    halves = []
    for _ in range(n_splits):
        order = rng.permutation(len(patch.trials))
        halves.append([patch.trials[order[:half]].mean(axis=0), patch.trials[order[half : 2 * half]].mean(axis=0)])
    return np.array(halves)


def neuron_reliabilities(
    patch: PatchResponses, weights: np.ndarray, folds: np.ndarray, *, n_splits: int = 20, rng: np.random.Generator
) -> np.ndarray:
    """Reliability over trials of every neuron's mean responses, by halves of the trials, Spearman-Brown corrected.

    Parameters
    ----------
    patch : PatchResponses
        Responses of the neurons, with single trials.
    weights : array of shape (n_draws, n_stimuli)
        How often each stimulus counts.
    folds : integer array of shape (n_stimuli,)
        Folds whose means are removed, as in scores of predictions.
    n_splits : int
        Random splits of the trials, whose correlations are averaged.
    rng : numpy.random.Generator
        Source of the splits.

    Returns
    -------
    array of shape (n_draws, n_neurons)
        0 where halves do not correlate positively; NaN without repeated trials, and where no half varies.
    """
    shape = (len(weights), patch.responses.shape[1])
    if patch.trials is None:
        return np.full(shape, np.nan)
    total, defined = np.zeros(shape), np.zeros(shape)
    for first, second in half_responses(patch, n_splits, rng):
        r = weighted_scores(SCORES["corr"], first, second, weights, folds)
        total += np.nan_to_num(r, nan=0.0)
        defined += ~np.isnan(r)
    mean = np.divide(total, defined, out=np.full(shape, np.nan), where=defined > 0)
    # Below 0 the formula has a pole, beyond which reliabilities would be above 1.
    return spearman_brown(np.maximum(mean, 0.0), patch.n_repetitions / (len(patch.trials) // 2))
