"""Raster folders of the Neural Decoding Toolbox: one ``.mat`` file a neuron.

Each file holds ``raster_data`` (trials x 1 ms bins, spikes), ``raster_labels`` (a struct with one label per trial in
each field) and ``raster_site_info`` (``alignment_event_time`` is the bin of stimulus onset, counted from 1). Neurons
were recorded one by one in different trials, so a presentation is not a trial that neurons share (``simultaneous`` is
0), and a neuron with fewer trials of a stimulus than other neurons has NaN for the trials that it lacks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy.sparse import sparray, spmatrix

from neural_data.errors import InputError, closest
from neural_data.formats.bounds import LARGEST_CLAIM, checked_file, inside, visible_files
from neural_data.formats.family import Candidate, Format
from neural_data.formats.matlab import read_variables, variable_names
from neural_data.formats.read_options import ReadOptions, refuse_unused
from neural_data.formats.spikes import as_responses, time_bins
from neural_data.recording_form import as_text
from neural_data.recordings import make_recording

__all__ = ["FORMAT", "read"]

VARIABLES = ("raster_data", "raster_labels", "raster_site_info")
REGION_FIELDS = ("region", "brain_area", "brain_region", "area")
SUBJECT_FIELDS = ("subject", "animal", "monkey")
_USED = ("stimulus", "window_ms", "bin_ms", "step_ms", "onset_bin", "region", "subject", "units")


@dataclass(frozen=True)
class _Neuron:
    """One file: spike counts, labels of the trials, and information on the recording site."""

    name: str
    counts: np.ndarray
    labels: pd.DataFrame
    site: Mapping[str, object]


def read(path: Path, options: ReadOptions) -> xr.DataArray:
    """Recording from a raster folder, or from one raster file.

    Parameters
    ----------
    path : Path
        Folder of ``.mat`` files, or one of them.
    options : ReadOptions
        ``stimulus`` names the label that identifies the stimuli (not needed if there is only one label, or one called
        ``stimulus_id``); ``onset_bin`` is the bin of stimulus onset, counted from 1, if the files do not state it.

    Returns
    -------
    xarray.DataArray
        Labels that are the same in all trials of a stimulus become coords of ``presentation``; site information
        becomes coords of ``neuroid``.

    Raises
    ------
    InputError
        If there is no raster file, one is damaged, labels and trials differ in number, or the window does not lie
        within the data.
    """
    refuse_unused(options, _USED, str(path), "raster files do not hold it")
    if path.is_dir():
        names = visible_files(path, suffixes=(".mat",))
        files = [inside(path, name, f"{path}: {name}") for name in names]
    else:
        files = [checked_file(path, "recording")]
    bins = time_bins(options)
    neurons = [_read_neuron(file, bins, options) for file in files]
    return _pseudo_population(neurons, bins, options, str(path))


def _read_neuron(file: Path, bins: np.ndarray, options: ReadOptions) -> _Neuron:
    names = variable_names(file)
    absent = [name for name in VARIABLES[:2] if name not in names]
    if absent:
        raise InputError(
            f"{file}: no variable {absent[0]!r}; a raster file holds {', '.join(VARIABLES)} (is it truncated?)"
        )
    found = read_variables(file, [name for name in VARIABLES if name in names])
    data = np.atleast_2d(_numbers(found["raster_data"], f"{file}: raster_data"))
    site = found.get("raster_site_info", {})
    site = {k: v for k, v in site.items() if np.ndim(v) == 0} if isinstance(site, dict) else {}
    labels = _labels(found["raster_labels"], len(data), file)
    onset = options.onset_bin if options.onset_bin is not None else site.get("alignment_event_time")
    if onset is None:
        raise InputError(
            f"{file}: raster_site_info has no alignment_event_time; give the bin of stimulus onset, counted from 1 "
            "(onset_bin, --onset-bin)"
        )
    first = int(onset) - 1
    columns = first + bins
    if columns.min() < 0 or columns.max() > data.shape[1] or (columns != np.round(columns)).any():
        raise InputError(
            f"{file}: holds {-first} to {data.shape[1] - first} ms around stimulus onset in bins of 1 ms; a window of "
            f"{bins[0, 0]:g} to {bins[-1, 1]:g} ms with bins of {bins[0, 1] - bins[0, 0]:g} ms cannot be cut from it "
            "(window_ms, bin_ms, step_ms)"
        )
    starts, ends = columns.astype(int).T
    before = np.concatenate([np.zeros((len(data), 1)), np.cumsum(data, axis=1)], axis=1)
    counts = before[:, ends] - before[:, starts]
    return _Neuron(file.stem.removesuffix("_raster_data"), counts, labels, site)


def _numbers(data: object, where: str) -> np.ndarray:
    if isinstance(data, (sparray, spmatrix)):
        if math.prod(data.shape) * 8 > LARGEST_CLAIM:
            raise InputError(f"{where} is a sparse matrix of {data.shape}; at most {LARGEST_CLAIM / 1e9:g} GB are read")
        data = data.todense()
    values = np.asarray(data)
    if values.dtype.kind not in "buif":
        raise InputError(f"{where} holds {type(data).__name__}, not numbers")
    values = values.astype(float)
    if not np.isfinite(values).all() or (values < 0).any():
        raise InputError(f"{where} must be spike counts in bins; it has NaN, infinite or negative values")
    return values


def _labels(struct: object, n_trials: int, file: Path) -> pd.DataFrame:
    """Labels of the trials, one row per trial, all as text."""
    if not isinstance(struct, dict) or not struct:
        raise InputError(f"{file}: raster_labels is not a struct of labels; a raster file has one label for each trial")
    columns = {}
    for name, values in struct.items():
        listed = [values] if isinstance(values, str) or np.ndim(values) == 0 else list(values)
        if len(listed) == n_trials:
            cells = [cell[0] if isinstance(cell, list) and len(cell) == 1 else cell for cell in listed]
            columns[name] = as_text(np.array([c if np.ndim(c) == 0 else str(c) for c in cells], dtype=object))
    if not columns:
        lengths = {name: np.size(values) for name, values in struct.items()}
        raise InputError(
            f"{file}: raster_data has {n_trials} trials, but the labels have {lengths}; the numbers must be equal"
        )
    return pd.DataFrame(columns)


def _stimulus_label(neurons: list[_Neuron], wanted: str | None, where: str) -> str:
    shared = [name for name in neurons[0].labels.columns if all(name in n.labels.columns for n in neurons)]
    if wanted is not None:
        for neuron in neurons:
            if wanted not in neuron.labels.columns:
                raise InputError(
                    f"{where}: neuron {neuron.name} has no label {wanted!r} for every trial: "
                    f"{closest(wanted, neuron.labels.columns)}"
                )
        return wanted
    if len(shared) == 1:
        return shared[0]
    raise InputError(
        f"{where}: which label identifies the stimuli? Give it as stimulus (--stimulus on the command line); labels "
        f"are {', '.join(shared)}"
    )


def _pseudo_population(neurons: list[_Neuron], bins: np.ndarray, options: ReadOptions, where: str) -> xr.DataArray:
    label = _stimulus_label(neurons, options.stimulus, where)
    counted = [Counter(n.labels[label]) for n in neurons]
    stimuli = sorted(set().union(*counted))
    depth = {stimulus: max(counts[stimulus] for counts in counted) for stimulus in stimuli}
    starts = dict(zip(stimuli, np.cumsum([0, *depth.values()])[:-1], strict=True))
    responses = np.full((sum(depth.values()), len(neurons), len(bins)), np.nan)
    for place, neuron in enumerate(neurons):
        repetition = neuron.labels.groupby(label).cumcount().to_numpy()
        rows = np.array([starts[stimulus] for stimulus in neuron.labels[label]]) + repetition
        responses[rows, place] = neuron.counts
    presentations = pd.DataFrame(
        {
            "stimulus_id": np.repeat(stimuli, list(depth.values())),
            "repetition": np.concatenate([np.arange(depth[stimulus]) for stimulus in stimuli]),
        }
    )
    for name, fixed in _fixed_labels(neurons, label).items():
        presentations[name] = presentations["stimulus_id"].map(fixed)
    values, settings = as_responses(responses, bins, options)
    return make_recording(
        values,
        presentations=presentations,
        neuroids=_neuroids(neurons, options),
        attrs={"simultaneous": 0, "window_ms": [float(bins[0, 0]), float(bins[-1, 1])], "stimulus_label": label},
        where=where,
        **settings,
    )


def _fixed_labels(neurons: list[_Neuron], label: str) -> dict[str, dict[str, str]]:
    """Labels whose value is the same in all trials of a stimulus, in all neurons, by stimulus."""
    every = pd.concat([n.labels for n in neurons], ignore_index=True)
    taken = {label, "stimulus_id", "repetition", "neuroid_id", "region", "subject"}
    others = [name for name in every.columns if name not in taken and every[name].notna().all()]
    grouped = every.groupby(label)
    return {name: grouped[name].first().to_dict() for name in others if (grouped[name].nunique() == 1).all()}


def _neuroids(neurons: list[_Neuron], options: ReadOptions) -> pd.DataFrame:
    def said(neuron: _Neuron, given: str | None, fields: tuple[str, ...], otherwise: str) -> str:
        found = [str(neuron.site[field]) for field in fields if str(neuron.site.get(field, "")).strip()]
        return given if given is not None else (found[0] if found else otherwise)

    table = pd.DataFrame(
        {
            "neuroid_id": [n.name for n in neurons],
            "region": [said(n, options.region, REGION_FIELDS, "unspecified") for n in neurons],
            "subject": [said(n, options.subject, SUBJECT_FIELDS, "") for n in neurons],
        }
    )
    shared = [k for k in neurons[0].site if all(k in n.site for n in neurons)]
    for name in shared:
        if name not in {*table.columns, "stimulus_id", "repetition", *REGION_FIELDS, *SUBJECT_FIELDS}:
            table[name] = [n.site[name] for n in neurons]
    return table


def _detect(candidate: Candidate) -> bool:
    if candidate.kind == "folder":
        return any(name.lower().endswith(".mat") for name in candidate.names)
    return candidate.kind == "matlab" and VARIABLES[0] in candidate.names


FORMAT = Format(name="raster", title="raster file or folder (Neural Decoding Toolbox)", detect=_detect, read=read)
