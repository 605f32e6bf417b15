"""From a recording to RDMs, one per region (or per region and subject).

The counterpart of ``model_rdms``, with the same descriptors of stimuli, normalisation and view RDMs, and in addition
dissimilarities that need trials, which rsatoolbox computes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError
from neural_data.recordings import (
    checked_recording,
    condition_means,
    match_stimulus_set,
    regions_of,
    select_window,
    stimuli_of,
    stimulus_table,
)
from neural_data.stimuli import StimulusSet
from neurocompare.representations.dissimilarities import Population, find_dissimilarity
from neurocompare.representations.rdms import (
    NORMALIZATIONS,
    build_rdms,
    view_order,
    view_rdms,
    zscore_units,
)

__all__ = [
    "EVERY_REGION",
    "PopulationRequest",
    "compute_neural_rdms",
    "dissimilarities",
    "populations",
    "trials_of",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PopulationRequest:
    """Selection of populations and stimuli of a recording.

    Parameters
    ----------
    stimuli : StimulusSet or None
        Stimuli to use, in this order, with their labels; None takes all recorded stimuli, with the recording's labels.
    by_subject : bool
        One population a region and subject instead of one a region.
    missing : {"refuse", "drop_neurons", "drop_stimuli"}
        What to do if a neuron has no response to a stimulus, see
        :func:`~neural_data.recordings.condition_means`.
    """

    stimuli: StimulusSet | None = None
    by_subject: bool = False
    missing: str = "refuse"


EVERY_REGION = PopulationRequest()


def compute_neural_rdms(
    recording: xr.DataArray,
    *,
    dissimilarity: str = "correlation",
    normalize: str | None = None,
    within: str | None = None,
    stimuli: StimulusSet | None = None,
    by_subject: bool = False,
    missing: str = "refuse",
) -> RDMs:
    """RDMs of recorded (or simulated) populations.

    Parameters
    ----------
    recording : xarray.DataArray
        A recording, see ``neural_data.recordings``. Repetitions and time bins are averaged.
    dissimilarity : str
        One of ``dissimilarities.DISSIMILARITIES``: 1 - Pearson's r across neurons (``correlation``); the squared
        Euclidean distance over the number of neurons; its unbiased estimate from trials, each neuron divided by its
        trial-to-trial standard deviation and repetitions left out in turn (``crossnobis``); or the symmetrised Poisson
        Kullback-Leibler divergence over the number of neurons. All as in rsatoolbox.
    normalize : {None, "zscore"}
        None uses raw responses. ``"zscore"``: each neuron minus its mean over the stimuli, over its standard
        deviation there; constant neurons are dropped and counted in the descriptor ``n_constant``.
    within : {None, "identity"}
        None: one RDM of all stimuli per population. ``"identity"``: one RDM of the views of each exemplar, views sorted
        by azimuth; normalisation is over all stimuli.
    stimuli : StimulusSet or None
        Stimuli to use, in this order, with their labels; None takes all recorded stimuli, with the recording's labels.
    by_subject : bool
        One RDM per region and subject instead of one per region.
    missing : {"refuse", "drop_neurons", "drop_stimuli"}
        What to do if a neuron has no response to a stimulus, see
        :func:`~neural_data.recordings.condition_means`.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        RDM descriptors ``region, subject, n_neurons, n_constant, normalize, simulated``, with ``within="identity"``
        also ``identity, category``; ``subject`` is empty if several are pooled. Pattern descriptors ``stimulus_id``
        and the labels of the stimuli, or ``azimuth_deg``.

    Raises
    ------
    InputError
        If stimuli were not recorded, cells are missing, there are too few neurons or trials, an exemplar lacks a
        view, or the dissimilarity is not defined for the normalisation.
    """
    recording = _in_form(recording)
    _check_request(recording, dissimilarity, normalize, within)
    patterns, groups = populations(
        recording,
        PopulationRequest(stimuli, by_subject, missing),
        with_trials=find_dissimilarity(dissimilarity).needs_trials,
    )
    matrices, descriptors = [], []
    for group in groups:
        matrix, n_constant = dissimilarities(group, dissimilarity=dissimilarity, normalize=normalize)
        _refuse_few_neurons(group, group.responses.shape[1] - n_constant, dissimilarity)
        undefined = int(np.isnan(matrix).all(axis=0).sum()) if len(matrix) > 1 else 0
        if undefined:
            log.warning("%s: the RDM is undefined at %d of %d stimuli", group.region, undefined, len(matrix))
        matrices.append(matrix)
        descriptors.append(
            {
                "region": group.region,
                "subject": group.subject,
                "n_neurons": group.responses.shape[1] - n_constant,
                "n_constant": n_constant,
                "normalize": normalize or "none",
                "simulated": group.simulated,
            }
        )
    table = pd.DataFrame(descriptors).to_dict("list")
    if within is None:
        return build_rdms(np.stack(matrices), patterns=patterns, rdms=table, dissimilarity=dissimilarity)
    shown = _stimulus_set(recording, stimuli, patterns)
    return view_rdms(np.stack(matrices), shown, *view_order(shown), table, dissimilarity)


def populations(
    recording: xr.DataArray, request: PopulationRequest = EVERY_REGION, *, with_trials: bool = False
) -> tuple[pd.DataFrame, list[Population]]:
    """Responses of every region (and subject) to the same stimuli.

    Parameters
    ----------
    recording : xarray.DataArray
        See :func:`compute_neural_rdms`.
    request : PopulationRequest
        Stimuli and subjects that are wanted, and what is done about missing responses.
    with_trials : bool
        Whether to include single responses besides the means.

    Returns
    -------
    patterns : pandas.DataFrame
        Labels of the stimuli, indexed by ``stimulus_id``, in the order of the responses.
    populations : list of Population
        Regions in order of first appearance, subjects likewise within them.

    Raises
    ------
    InputError
        If stimuli were not recorded, cells are missing, or a region has no neuron left.
    """
    if request.missing == "keep":
        raise InputError("an RDM cannot have missing cells: choose missing='drop_neurons' or missing='drop_stimuli'")
    flat = select_window(_in_form(recording))
    patterns = stimulus_table(flat) if request.stimuli is None else request.stimuli.table
    ids = patterns.index.tolist() if request.stimuli is None else match_stimulus_set(flat, request.stimuli)
    means = condition_means(flat, ids, missing=request.missing)
    patterns = patterns.loc[means.index]
    neurons = pd.DataFrame({name: flat[name].values for name in ("neuroid_id", "region", "subject")})
    kept = neurons["neuroid_id"].isin(means.columns).to_numpy()
    trials = trials_of(flat.isel(neuroid=np.flatnonzero(kept)), means.index.tolist()) if with_trials else None
    neurons = neurons[kept].reset_index(drop=True)
    lost = [region for region in regions_of(flat) if region not in set(neurons["region"])]
    if lost:
        raise InputError(
            f"missing={request.missing!r} leaves no neurons of {', '.join(lost)}; try missing='drop_stimuli'"
        )
    groups = []
    keys = ["region", "subject"] if request.by_subject else ["region"]
    for labels, rows in neurons.groupby(keys, sort=False):
        columns = rows.index.to_numpy()
        subjects = rows["subject"].unique()
        groups.append(
            Population(
                region=labels[0],
                subject=subjects[0] if len(subjects) == 1 else "",
                responses=means.to_numpy()[:, columns],
                trials=None if trials is None else trials[:, :, columns],
                simulated=bool(flat.attrs.get("simulated", 0)),
            )
        )
    order = {region: place for place, region in enumerate(regions_of(flat))}
    return patterns, sorted(groups, key=lambda group: order[group.region])


def dissimilarities(
    population: Population, *, dissimilarity: str = "correlation", normalize: str | None = None
) -> tuple[np.ndarray, int]:
    """Dissimilarities between stimuli in one population.

    Parameters
    ----------
    population : Population
        With trials for ``crossnobis``.
    dissimilarity, normalize : str
        See :func:`compute_neural_rdms`.

    Returns
    -------
    matrix : array of shape (n_stimuli, n_stimuli)
        Symmetric, diagonal 0; NaN for undefined pairs.
    n_constant : int
        Number of constant neurons, which are dropped.
    """
    measure = find_dissimilarity(dissimilarity)
    if measure.from_population is not None:
        return measure.from_population(population)
    responses, n_constant = population.responses, 0
    if normalize == "zscore":
        responses, n_constant = zscore_units(responses)
    return measure.of_responses(responses), n_constant


def _in_form(recording: xr.DataArray) -> xr.DataArray:
    """The recording in the standard form of ``neural_data``, also if it was opened with xarray alone.

    A recording without units is treated as normalized: it may be z-scored.
    """
    return checked_recording(recording, units=recording.attrs.get("units", "normalized"))


def _check_request(recording: xr.DataArray, dissimilarity: str, normalize: str | None, within: str | None) -> None:
    measure = find_dissimilarity(dissimilarity)
    for name, value, known in (("normalize", normalize, NORMALIZATIONS), ("within", within, (None, "identity"))):
        if value not in known:
            raise InputError(f"{name} of a neural RDM must be one of {', '.join(map(repr, known))}; got {value!r}")
    if measure.refuses_zscores and normalize is not None:
        raise InputError(f"{dissimilarity} {measure.refuses_zscores}; use normalize=None with it")
    if measure.refuses_normalized and recording.attrs["units"] == "normalized":
        raise InputError(
            f"{dissimilarity} {measure.refuses_normalized}, but the units of this recording are normalized or "
            "unknown: set attrs['units']"
        )


def _refuse_few_neurons(group: Population, n_varying: int, dissimilarity: str) -> None:
    fewest = find_dissimilarity(dissimilarity).fewest_units
    if n_varying >= fewest:
        return
    whose = f"{group.region} of {group.subject}" if group.subject else group.region
    raise InputError(
        f"{whose} has {n_varying} varying neurons; {dissimilarity} needs at least {fewest}, and a useful RDM several "
        "tens"
    )


def _stimulus_set(recording: xr.DataArray, stimuli: StimulusSet | None, patterns: pd.DataFrame) -> StimulusSet:
    """Stimuli in the order of the patterns, without those that were dropped."""
    known = stimuli_of(recording) if stimuli is None else stimuli
    return known.take(known.table.index.get_indexer(patterns.index))


def trials_of(flat: xr.DataArray, stimulus_ids: list[str]) -> np.ndarray:
    """Responses (n_repetitions, n_stimuli, n_neurons), with the smallest number of repetitions of any cell.

    Repetitions are taken in order, so trials of simultaneously recorded neurons stay aligned if none is missing.
    """
    order = np.argsort(flat["repetition"].values, kind="stable")
    place = {stimulus_id: position for position, stimulus_id in enumerate(stimulus_ids)}
    codes = np.array([place.get(stimulus_id, -1) for stimulus_id in flat["stimulus_id"].values[order].tolist()])
    values = flat.values[order]
    by_stimulus = [values[codes == code] for code in range(len(stimulus_ids))]
    n_repetitions = min(int(np.isfinite(block).sum(axis=0).min()) for block in by_stimulus)
    if n_repetitions < 2:
        raise InputError(
            "crossnobis and trial split halves need at least two responses of every neuron to every stimulus, and some "
            f"cell has {n_repetitions}; use 'correlation' or 'euclidean', or drop those neurons"
        )
    stacked = []
    for block in by_stimulus:
        first = np.argsort(~np.isfinite(block), axis=0, kind="stable")[:n_repetitions]
        stacked.append(np.take_along_axis(block, first, axis=0))
    return np.stack(stacked, axis=1)
