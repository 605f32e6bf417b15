"""The in-memory form of a recording, and the basic operations on it: selecting, averaging, matching stimuli.

A recording is an ``xarray.DataArray`` in the layout of a Brain-Score assembly:

- dims ``(presentation, neuroid)`` or ``(presentation, neuroid, time_bin)``;
- coords ``stimulus_id``, ``repetition`` on ``presentation``; ``neuroid_id``, ``region``, ``subject`` on ``neuroid``;
  ``time_bin_start``, ``time_bin_end`` (ms after stimulus onset) on ``time_bin``, of one width, following one another or
  sliding in equal steps (then they overlap); and any others;
- attrs ``units`` (``spikes/s``, ``counts`` or ``normalized``), ``simultaneous`` (0 if neurons were recorded one by one,
  so that they do not share trials), ``simulated`` (1 for simulated data); all attrs have types that netCDF can store.

A response that was not measured is NaN. Files are read and written in ``formats``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from neural_data.errors import InputError, closest
from neural_data.naming import matched_ids
from neural_data.recording_form import DIMS, RESPONSE_UNITS, as_text, checked_recording
from neural_data.stimuli import StimulusSet

if TYPE_CHECKING:
    from rsatoolbox.data import Dataset

__all__ = [
    "MISSING_POLICIES",
    "RESPONSE_UNITS",
    "as_dataset",
    "as_text",
    "checked_recording",
    "condition_means",
    "make_recording",
    "match_stimulus_set",
    "mean_over_bins",
    "regions_of",
    "repeated_trials",
    "response_counts",
    "select_region",
    "select_window",
    "stimuli_of",
    "stimulus_table",
    "sums_by_stimulus",
    "with_ids_of",
    "without_missing",
]

MISSING_POLICIES = ("refuse", "drop_neurons", "drop_stimuli", "keep")


def make_recording(
    responses: np.ndarray,
    *,
    presentations: pd.DataFrame,
    neuroids: pd.DataFrame,
    units: str = "spikes/s",
    time_bins_ms: np.ndarray | None = None,
    attrs: Mapping[str, object] | None = None,
    where: str = "recording",
) -> xr.DataArray:
    """Recording from an array of responses and tables that describe its rows and columns.

    Parameters
    ----------
    responses : array of shape (n_presentations, n_neurons) or (n_presentations, n_neurons, n_time_bins)
        Spikes/s or counts; NaN where a neuron was not recorded.
    presentations : pandas.DataFrame with n_presentations rows
        Column ``stimulus_id``; ``repetition`` (counted from 0 within each stimulus if absent); any others become
        coords of ``presentation``.
    neuroids : pandas.DataFrame with n_neurons rows
        Columns ``neuroid_id`` (unique), ``region``; ``subject`` (empty if absent); any others become coords.
    units : {"spikes/s", "counts", "normalized"}
        Unit of the responses.
    time_bins_ms : array of shape (n_time_bins, 2) or None
        Start and end of each bin after stimulus onset; required for three-dimensional responses.
    attrs : mapping or None
        Further attributes, such as ``simulated`` or ``window_ms``.
    where : str
        What messages call the recording, such as its file.

    Returns
    -------
    xarray.DataArray
        See the module's docstring.

    Raises
    ------
    InputError
        If the tables do not fit the array, or the recording cannot be used; see :func:`checked_recording`.
    """
    values = np.asarray(responses)
    for dim, table, size in zip(DIMS, (presentations, neuroids), values.shape, strict=False):
        if len(table) != size:
            raise InputError(f"{where}: {size} rows of {dim} in the responses, but {len(table)} in their table")
    coords = {name: ("presentation", presentations[name].to_numpy()) for name in presentations.columns}
    coords |= {name: ("neuroid", neuroids[name].to_numpy()) for name in neuroids.columns}
    if time_bins_ms is not None:
        bins = np.asarray(time_bins_ms, dtype=float).reshape(-1, 2)
        coords |= {"time_bin_start": ("time_bin", bins[:, 0]), "time_bin_end": ("time_bin", bins[:, 1])}
    try:
        recording = xr.DataArray(
            values, dims=DIMS[: values.ndim], coords=coords, attrs={"units": units, **(attrs or {})}, name="data"
        )
    except (ValueError, TypeError) as error:
        raise InputError(f"{where}: responses of shape {values.shape} do not make a recording ({error})") from error
    return checked_recording(recording, where=where)


def regions_of(recording: xr.DataArray) -> list[str]:
    """Regions of a recording in order of first appearance."""
    return list(dict.fromkeys(recording["region"].values.tolist()))


def select_region(recording: xr.DataArray, region: str, *, subject: str | None = None) -> xr.DataArray:
    """Neurons of one region, and of one subject if ``subject`` is given.

    Parameters
    ----------
    recording : xarray.DataArray
        A recording.
    region, subject : str
        Labels of the recording's neurons.

    Returns
    -------
    xarray.DataArray

    Raises
    ------
    InputError
        If no neuron carries these labels.
    """
    if region not in regions_of(recording):
        raise InputError(f"the recording has no region {region!r}: {closest(region, regions_of(recording))}")
    keep = recording["region"].values == region
    if subject is not None:
        keep = keep & (recording["subject"].values == subject)
        if not keep.any():
            known = sorted(set(recording["subject"].values[recording["region"].values == region].tolist()))
            raise InputError(f"{region} has no neuron of subject {subject!r}: {closest(subject, known)}")
    return recording.isel(neuroid=np.flatnonzero(keep))


def select_window(recording: xr.DataArray, window_ms: tuple[float, float] | None = None) -> xr.DataArray:
    """One response per presentation and neuron: the mean rate (or summed count) over time bins.

    Parameters
    ----------
    recording : xarray.DataArray
        A recording with or without ``time_bin``.
    window_ms : (start, end) or None
        Bins that lie within this window after stimulus onset; None takes all of them. Of bins that overlap, those are
        taken that follow one another, so that every moment of the window counts once.

    Returns
    -------
    xarray.DataArray
        Dims ``(presentation, neuroid)``; ``attrs["window_ms"]`` holds the window. A recording without time
        bins is returned unchanged if ``window_ms`` is None.

    Raises
    ------
    InputError
        If a window is given and the recording has no time bins, no bin lies within it, or overlapping bins cannot fill
        it one after another.
    """
    if "time_bin" not in recording.dims:
        if window_ms is not None:
            raise InputError(
                f"the recording has no time bins, so window_ms {tuple(window_ms)} cannot be selected; leave window_ms "
                "out"
            )
        return recording
    start, end = recording["time_bin_start"].values, recording["time_bin_end"].values
    low, high = (start.min(), end.max()) if window_ms is None else checked_window(window_ms)
    inside = np.flatnonzero((start >= low) & (end <= high))
    if not len(inside):
        raise InputError(
            f"no time bin lies within {low:g} to {high:g} ms; bins run from {start.min():g} to {end.max():g} ms in "
            f"steps of {end[0] - start[0]:g} ms"
        )
    inside = _one_after_another(inside, start, end)
    within = recording.isel(time_bin=inside)
    # One missing bin makes the whole response missing: the mean over a shorter window is another quantity.
    summed = recording.attrs.get("units") == "counts"
    reduced = within.sum("time_bin", skipna=False) if summed else within.mean("time_bin", skipna=False)
    return reduced.assign_attrs(
        {**recording.attrs, "window_ms": [float(start[inside].min()), float(end[inside].max())]}
    )


def _one_after_another(inside: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Of the bins at some places, those that neither overlap nor leave a gap; all of them if none overlap."""
    if (start[inside[1:]] >= end[inside[:-1]] - 1e-6).all():
        return inside
    kept = [inside[0]]
    for place in inside[1:]:
        if abs(start[place] - end[kept[-1]]) <= 1e-6:
            kept.append(place)
    if kept[-1] != inside[-1]:
        width, step = end[inside[0]] - start[inside[0]], start[inside[1]] - start[inside[0]]
        raise InputError(
            f"time bins of {width:g} ms every {step:g} ms cannot fill {start[inside[0]]:g} to {end[inside[-1]]:g} ms "
            "one after another, so that the mean over the window is not defined; choose a window of whole bins and a "
            "step that divides the bins (window_ms, bin_ms, step_ms)"
        )
    return np.array(kept)


def mean_over_bins(recording: xr.DataArray) -> xr.DataArray:
    """Mean over all time bins, each counted alike, also of bins that overlap; for what was measured, not for rates."""
    return recording.mean("time_bin", skipna=False, keep_attrs=True) if "time_bin" in recording.dims else recording


def checked_window(window_ms: Sequence[float]) -> tuple[float, float]:
    """Start and end of a window in ms, checked; raises InputError if it is not a window."""
    try:
        start, end = (float(edge) for edge in window_ms)
    except (TypeError, ValueError):
        raise InputError(f"window_ms must be two numbers, start and end in ms; got {window_ms!r}") from None
    if not (np.isfinite([start, end]).all() and start < end):
        raise InputError(f"window_ms must start before it ends; got {start:g} to {end:g} ms")
    return start, end


def response_counts(recording: xr.DataArray) -> pd.DataFrame:
    """Number of responses to each stimulus of each neuron.

    Returns
    -------
    pandas.DataFrame of shape (n_stimuli, n_neurons), int
        Indexed by ``stimulus_id`` in order of first appearance, columns ``neuroid_id``; 0 is a missing cell.
    """
    return _sums(mean_over_bins(recording))[1]


def condition_means(
    recording: xr.DataArray, stimulus_ids: Sequence[str] | None = None, *, missing: str = "refuse"
) -> pd.DataFrame:
    """Mean response of each neuron to each stimulus, over repetitions (and time bins).

    Parameters
    ----------
    recording : xarray.DataArray
        A recording.
    stimulus_ids : sequence of str or None
        Stimuli wanted, in that order; None takes all in order of first appearance.
    missing : {"refuse", "drop_neurons", "drop_stimuli", "keep"}
        What to do if a neuron has no response at all to a stimulus: raise; leave out every such neuron; leave out
        every such stimulus; or keep NaN. Values are never filled in. If some repetitions are missing, the mean is over
        the measured ones.

    Returns
    -------
    pandas.DataFrame of shape (n_stimuli, n_neurons), float
        Indexed by ``stimulus_id``, columns ``neuroid_id``; in the recording's units.

    Raises
    ------
    InputError
        If a stimulus is not in the recording, cells are missing under ``refuse``, or nothing would be left.
    """
    sums, counts = _sums(select_window(recording))
    if stimulus_ids is not None:
        wanted = [str(stimulus_id) for stimulus_id in stimulus_ids]
        absent = [stimulus_id for stimulus_id in wanted if stimulus_id not in sums.index]
        if absent:
            raise InputError(
                f"{len(absent)} of {len(wanted)} stimuli are not in the recording (first: {absent[0]!r}; "
                f"{closest(absent[0], sums.index)})"
            )
        sums, counts = sums.loc[wanted], counts.loc[wanted]
    means = sums / counts.where(counts > 0)
    return without_missing(means, missing)


def stimulus_table(recording: xr.DataArray) -> pd.DataFrame:
    """Labels of each stimulus in the recording.

    Returns
    -------
    pandas.DataFrame
        One row per stimulus, indexed by ``stimulus_id`` in order of first appearance. Columns are the coords of
        ``presentation`` whose value is the same in all presentations of a stimulus, such as ``identity``.
    """
    names = [name for name, coord in recording.coords.items() if coord.dims == ("presentation",)]
    table = pd.DataFrame({name: recording[name].values for name in names})
    grouped = table.groupby("stimulus_id", sort=False)
    fixed = [n for n in names if n not in ("stimulus_id", "repetition", "presentation")]
    fixed = [n for n in fixed if (grouped[n].nunique(dropna=False) == 1).all()]
    return grouped[fixed].first() if fixed else pd.DataFrame(index=pd.Index(list(grouped.groups), name="stimulus_id"))


def stimuli_of(recording: xr.DataArray) -> StimulusSet:
    """Stimulus set made from the labels of a recording: identities and views, but no images.

    Parameters
    ----------
    recording : xarray.DataArray
        With coords ``identity`` and ``azimuth_deg`` on ``presentation``.

    Returns
    -------
    StimulusSet
        Sufficient for view RDMs; its ``images`` raises.

    Raises
    ------
    InputError
        If the recording names no identities or azimuths.
    """
    table = stimulus_table(recording)
    for column in ("identity", "azimuth_deg"):
        if column not in table.columns:
            raise InputError(
                f"the recording has no {column} for its stimuli; give the stimulus set that was shown (stimuli=...)"
            )
    name = str(recording.attrs.get("stimulus_set_identifier") or "stimuli of the recording")
    azimuths = pd.to_numeric(table["azimuth_deg"], errors="coerce")
    if azimuths.isna().any():
        wrong = table["azimuth_deg"][azimuths.isna()]
        raise InputError(
            f"azimuth_deg of stimulus {wrong.index[0]!r} is {wrong.iloc[0]!r}; a number of degrees is needed"
        )
    table = table.assign(identity=table["identity"].astype(str), azimuth_deg=azimuths, filename=table.index)
    return StimulusSet(table, files=Path(name), name=name)


def match_stimulus_set(recording: xr.DataArray, stimuli: StimulusSet, *, where: str = "the recording") -> list[str]:
    """Ids of the stimuli of a set, checked that all of them were recorded.

    Parameters
    ----------
    recording : xarray.DataArray
        May hold more stimuli than the set.
    stimuli : StimulusSet
        What was shown, or a part of it.
    where : str
        What messages call the recording.

    Returns
    -------
    list of str
        Ids in the order of ``stimuli``.

    Raises
    ------
    InputError
        If ids of the set were not recorded.
    """
    recorded = dict.fromkeys(recording["stimulus_id"].values.tolist())
    absent = [stimulus_id for stimulus_id in stimuli.ids if stimulus_id not in recorded]
    if len(absent) == len(stimuli):
        found = matched_ids(stimuli.ids, list(recorded))
        if found:
            raise InputError(
                f"stimuli of {where} are called {list(recorded)[:2]} and those of stimulus set {stimuli.name!r} "
                f"{stimuli.ids[:2]}; they differ in folder or extension alone: read_recording(PATH, stimuli=...) takes "
                "the names of the set"
            )
        raise InputError(
            f"no stimulus_id of {where} is in stimulus set {stimuli.name!r}: recorded are {list(recorded)[:3]}, the "
            f"set holds {stimuli.ids[:3]}; give the set that was shown, or rename its ids"
        )
    if absent:
        raise InputError(
            f"{len(absent)} of {len(stimuli)} stimuli of {stimuli.name!r} were not recorded in {where} (first: "
            f"{absent[:3]}); leave them out of the set first"
        )
    return stimuli.ids


def with_ids_of(recording: xr.DataArray, stimuli: StimulusSet) -> xr.DataArray:
    """The recording with the stimulus ids of a stimulus set.

    Parameters
    ----------
    recording : xarray.DataArray
        May hold more stimuli than the set.
    stimuli : StimulusSet
        What was shown.

    Returns
    -------
    xarray.DataArray
        An id that differs from an id of the set only in folder, image extension or encoding of accents is replaced by
        the set's; if none does, so is the file name of an image of the set. Nothing is replaced if ids agree already,
        or if two stimuli would get the same id.
    """
    recorded = list(dict.fromkeys(recording["stimulus_id"].values.tolist()))
    renamed = matched_ids(stimuli.ids, recorded)
    if not renamed and "filename" in stimuli.table and stimuli.table["filename"].is_unique:
        of_file = dict(zip(stimuli.table["filename"].astype(str), stimuli.ids, strict=True))
        renamed = {old: of_file[name] for old, name in matched_ids(list(of_file), recorded).items()}
    if all(old == new for old, new in renamed.items()):
        return recording
    ids = [renamed.get(stimulus_id, stimulus_id) for stimulus_id in recording["stimulus_id"].values.tolist()]
    return recording.assign_coords(stimulus_id=("presentation", np.array(ids, dtype=str)))


def repeated_trials(recording: xr.DataArray) -> int:
    """Number of presentations whose responses all equal those of an earlier presentation of the same stimulus.

    Trials that are equal in every neuron suggest a file that was joined to itself, or means that were repeated for
    every trial. Silent presentations, and recordings of fewer than five neurons, are not counted: they can agree by
    chance.
    """
    values = recording.values.reshape(recording.shape[0], -1)
    # Many neurons must respond: a handful of small counts repeats by chance.
    telling = (np.nan_to_num(values) != 0).sum(axis=1) >= 5
    rows = pd.DataFrame(np.nan_to_num(values[telling], nan=-1.5)).assign(
        stimulus_id=recording["stimulus_id"].values[telling]
    )
    return int(rows.duplicated().sum()) if recording.shape[1] >= 5 else 0


def as_dataset(recording: xr.DataArray) -> Dataset:
    """Trials of a recording as an rsatoolbox dataset.

    Parameters
    ----------
    recording : xarray.DataArray
        A recording; time bins are averaged (counts: summed) first.

    Returns
    -------
    rsatoolbox.data.Dataset
        One observation per presentation and one channel per neuron; every coord is a descriptor.
    """
    from rsatoolbox.data import Dataset

    flat = select_window(recording)
    descriptors = {
        dim: {name: coord.values.tolist() for name, coord in flat.coords.items() if coord.dims == (dim,)}
        for dim in ("presentation", "neuroid")
    }
    return Dataset(
        flat.values.copy(),
        descriptors={"units": flat.attrs["units"], "simulated": flat.attrs["simulated"]},
        obs_descriptors=descriptors["presentation"],
        channel_descriptors=descriptors["neuroid"],
    )


def missing_message(means: pd.DataFrame) -> str:
    """One sentence on the missing cells of a table of means."""
    empty = means.isna().to_numpy()
    row, column = np.argwhere(empty)[0]
    return (
        f"{empty.sum():,} of {empty.size:,} cells (stimulus x neuron) have no response: {empty.any(0).sum()} of "
        f"{means.shape[1]} neurons and {empty.any(1).sum()} of {means.shape[0]} stimuli are touched (first: neuron "
        f"{means.columns[column]!r}, stimulus {means.index[row]!r})"
    )


def without_missing(means: pd.DataFrame, missing: str) -> pd.DataFrame:
    """Means without missing cells, treated as ``missing`` says; see :func:`condition_means`."""
    if missing not in MISSING_POLICIES:
        raise InputError(
            f"missing={missing!r} is not a way to treat missing cells: {closest(missing, MISSING_POLICIES)}"
        )
    empty = means.isna().to_numpy()
    if missing == "keep" or not empty.any():
        return means
    if missing == "refuse":
        raise InputError(
            f"{missing_message(means)}; nothing is filled in, so choose missing='drop_neurons' or "
            "missing='drop_stimuli', whichever loses less"
        )
    kept = means.loc[:, ~empty.any(axis=0)] if missing == "drop_neurons" else means.loc[~empty.any(axis=1)]
    if kept.empty:
        other = "drop_stimuli" if missing == "drop_neurons" else "drop_neurons"
        raise InputError(f"{missing_message(means)}; missing={missing!r} would leave nothing, try missing={other!r}")
    return kept


def sums_by_stimulus(stimulus_ids: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sum and number of the measured responses to each stimulus.

    Parameters
    ----------
    stimulus_ids : array of shape (n_presentations,)
        The stimulus of each presentation.
    values : array of shape (n_presentations, n_columns)
        NaN where nothing was measured.

    Returns
    -------
    ids : array of shape (n_stimuli,)
        In order of first appearance.
    sums, counts : arrays of shape (n_stimuli, n_columns)
        Over the presentations of each stimulus; NaN are not counted.
    """
    codes, ids = pd.factorize(stimulus_ids)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(ids)))
    values = values[order]
    measured = np.isfinite(values)
    if measured.all():
        counts = np.repeat(np.bincount(codes, minlength=len(ids))[:, None], values.shape[1], axis=1)
    else:
        counts = np.add.reduceat(measured.astype(np.int64), starts, axis=0)
        values = np.where(measured, values, 0.0)
    return ids, np.add.reduceat(values, starts, axis=0), counts


def _sums(flat: xr.DataArray) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sum and number of the responses of each neuron to each stimulus, both (n_stimuli, n_neurons)."""
    ids, sums, counts = sums_by_stimulus(flat["stimulus_id"].values, flat.values)
    index, columns = pd.Index(ids, name="stimulus_id"), pd.Index(flat["neuroid_id"].values, name="neuroid_id")
    return pd.DataFrame(sums, index, columns), pd.DataFrame(counts, index, columns)
