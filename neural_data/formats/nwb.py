"""Neurodata Without Borders files: spikes of sorted units and a table of trials; needs the extra ``nwb``.

The reader takes spike times from the ``units`` table and stimuli from the ``trials`` table, or from another table of
intervals with a column that names the stimulus. If a unit has ``obs_intervals``, its responses to trials outside of
them are missing (NaN). Spikes are counted in a window after stimulus onset. The onset is the column that the caller
names as ``onset``; else the only column with such a name (``stim_on_time``, ``stimulus_onset``); else ``start_time``.
If several columns could be the onset, the file is refused. Responses to a row without an onset (NaN) are missing; a row
without a stimulus is left out. Neuron ids are the column ``neuroid_id``, ``unit_name`` or ``cluster_id``, whichever has
unique values, else the ids of the units table.

A recording in memory has no spike times. It is written as the table ``responses`` in the processing module
``recording`` (one row per presentation), with its neurons in the ``units`` table.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd
import xarray as xr

from neural_data.column_names import likely_roles
from neural_data.errors import InputError, closest
from neural_data.formats.bounds import one_line, refuse_claim
from neural_data.formats.family import Candidate, Format
from neural_data.formats.hdf5 import UNREADABLE, closed_hdf5, dataset_shapes
from neural_data.formats.read_options import ReadOptions, checked_roles, one_name, refuse_unused
from neural_data.formats.spikes import as_responses, time_bins
from neural_data.recording_form import as_text, checked_recording
from neural_data.recordings import make_recording, select_window

if TYPE_CHECKING:
    from pynwb import NWBFile
    from pynwb.misc import Units

__all__ = ["FORMAT", "read", "write"]

MODULE, TABLE = "recording", "responses"
REGION_COLUMNS = ("region", "brain_area", "brain_region", "area", "location")
ID_COLUMNS = ("neuroid_id", "unit_name", "cluster_id")
STIMULUS_COLUMNS = ("stimulus_id", "image_id")
ONSETS = re.compile(
    r"(stim(ulus)?|image|img|pic(ture)?|visual|face|object|sample)[_ ]?(onset|on|start)s?([_ ]?times?)?"
    r"|onset([_ ]?times?)?",
    re.IGNORECASE,
)
"""Column names that mean stimulus onset, such as ``stim_on_time``."""
LIKE_ONSETS = re.compile(r"onset|stim|image|img|pic|visual|target|sample|object|face|display|flash|cue", re.IGNORECASE)
"""Column names that may mean stimulus onset, if all of their times lie within their rows."""
ONSET_ROLES = ("stimulus_id", "onset", "neuroid_id", "region")
_USED = ("stimulus", "window_ms", "bin_ms", "step_ms", "region", "subject", "units", "columns")


def read(path: Path, options: ReadOptions) -> xr.DataArray:
    """Recording from an NWB file.

    Parameters
    ----------
    path : Path
        An NWB file of version 2 (HDF5).
    options : ReadOptions
        ``stimulus`` names the column of the trials (or other intervals) table that identifies the stimuli, if it is
        not ``stimulus_id``; ``columns`` can name it too, and the columns of ``onset`` (in that table), ``neuroid_id``
        and ``region`` (in the units table); spikes are counted in bins of ``bin_ms``, every
        ``step_ms``, within ``window_ms`` after onset.

    Returns
    -------
    xarray.DataArray
        ``attrs["window_ms"]`` holds the counting window.

    Raises
    ------
    InputError
        If the file is damaged, has no units or spikes, or no table names the stimuli.
    """
    refuse_unused(options, _USED, str(path), "the file says it")
    pynwb = _pynwb()
    from hdmf.build import ConstructError

    with closed_hdf5(path, what="an NWB file") as file:
        _refuse_claims(file, path)
        try:
            with pynwb.NWBHDF5IO(file=file, mode="r") as io:
                content = io.read()
                if MODULE in content.processing and TABLE in content.processing[MODULE].data_interfaces:
                    return _read_responses(content, options, str(path))
                return _read_spikes(content, options, str(path))
        except InputError:
            raise
        except (*UNREADABLE, ConstructError) as error:
            raise InputError(
                f"{path}: not readable as an NWB file ({type(error).__name__}: {one_line(error)})"
            ) from error


def write(recording: xr.DataArray, path: Path) -> None:
    """Write a recording's responses and labels to an NWB file."""
    pynwb = _pynwb()
    from hdmf.common import DynamicTable, VectorData

    content = pynwb.NWBFile(
        session_description="responses of neurons to stimuli; times of day and of spikes are not known",
        identifier=str(recording.attrs.get("stimulus_set_identifier", "recording")),
        # NWB requires a date and a recording has none, so it is the start of the Unix epoch.
        session_start_time=dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
        notes=json.dumps(
            {
                "attrs": recording.attrs,
                "time_bins_ms": _bins(recording),
            }
        ),
    )
    neuroids = {n: c.values for n, c in recording.coords.items() if c.dims == ("neuroid",) and n != "neuroid"}
    for name in neuroids:
        content.add_unit_column(name, f"{name} of the neuron")
    for i in range(recording.sizes["neuroid"]):
        content.add_unit(**{str(name): values[i].item() for name, values in neuroids.items()})
    columns = [
        VectorData(name=n, description=f"{n} of the presentation", data=c.values.tolist())
        for n, c in recording.coords.items()
        if c.dims == ("presentation",) and n != "presentation"
    ]
    columns.append(
        VectorData(
            name="response", description=f"responses of all units, {recording.attrs['units']}", data=recording.values
        )
    )
    module = content.create_processing_module(MODULE, "a recording: one row a presentation")
    module.add(DynamicTable(name=TABLE, description="responses of every unit to every presentation", columns=columns))
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(content)


def _pynwb() -> ModuleType:
    try:
        import pynwb
    except ImportError:
        raise InputError("NWB files need pynwb; install it with: pip install 'neurocompare[nwb]'") from None
    return pynwb


def _refuse_claims(file: h5py.File, path: Path) -> None:
    """Refuse tables that claim more than memory holds; other parts of the file are not loaded."""
    for name, (shape, dtype) in dataset_shapes(file).items():
        if name.startswith(("units/", "intervals/", f"processing/{MODULE}/")):
            refuse_claim(math.prod(shape) * max(dtype.itemsize, 8), path, f"{name} {shape}")


def _bins(recording: xr.DataArray) -> list | None:
    if "time_bin" not in recording.dims:
        return None
    return np.stack([recording["time_bin_start"].values, recording["time_bin_end"].values], axis=1).tolist()


def _read_responses(content: NWBFile, options: ReadOptions, where: str) -> xr.DataArray:
    """A recording that :func:`write` wrote."""
    if options.bin_ms is not None or options.step_ms is not None:
        raise InputError(
            f"{where}: holds responses, not spikes, so that bin_ms and step_ms have no meaning; leave them out"
        )
    rows = content.processing[MODULE][TABLE]
    about = _about(content.notes or "{}", where)
    units = content.units.to_dataframe()
    presentations = {name: rows[name].data[:] for name in rows.colnames if name != "response"}
    recording = make_recording(
        rows["response"].data[:],
        presentations=pd.DataFrame({name: list(values) for name, values in presentations.items()}),
        neuroids=units.reset_index(drop=True),
        time_bins_ms=about.get("time_bins_ms"),
        units=options.units or about.get("attrs", {}).get("units", "spikes/s"),
        attrs={name: value for name, value in about.get("attrs", {}).items() if name != "units"},
        where=where,
    )
    return checked_recording(recording if options.window_ms is None else select_window(recording, options.window_ms))


def _about(notes: str, where: str) -> dict:
    """Attributes that :func:`write` stored in the notes."""
    try:
        about = json.loads(notes)
        if not isinstance(about, dict) or not isinstance(about.get("attrs", {}), dict):
            raise TypeError("no attributes in it")
        np.asarray(about.get("time_bins_ms") or [], dtype=float).reshape(-1, 2)
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(
            f"{where}: its notes must hold the recording's attributes as JSON ({one_line(error)})"
        ) from error
    return about


def _read_spikes(content: NWBFile, options: ReadOptions, where: str) -> xr.DataArray:
    if content.units is None or "spike_times" not in content.units.colnames:
        raise InputError(f"{where}: no units with spike times; sort the spikes first, or export responses as a table")
    checked_roles(options.columns, ONSET_ROLES, _every_column(content), where, "column")
    stimulus = one_name(options.columns, "stimulus_id", where) or options.stimulus
    if options.stimulus is not None and "stimulus_id" in options.columns:
        raise InputError(f"{where}: stimulus and the column for stimulus_id name the same thing; give only one of them")
    table, label = _presentations(content, stimulus, where)
    onset = _onset_column(table, one_name(options.columns, "onset", where), label, where)
    stimulus_ids = as_text(np.asarray(table[label]))
    shown = np.char.strip(stimulus_ids) != ""
    if not shown.any():
        raise InputError(f"{where}: every row of the column {label!r} is empty; name the one that holds the stimuli")
    notes = [f"spikes are counted from the column {onset!r} on", f"stimuli are told apart by {label!r}"]
    if not shown.all():
        notes.append(f"{(~shown).sum()} rows without a stimulus are left out")
    table, stimulus_ids = table[shown], stimulus_ids[shown]
    bins = time_bins(options)
    onsets = table[onset].to_numpy(dtype=float)
    counts = np.stack([_counts(content.units, unit, onsets, bins) for unit in range(len(content.units))], axis=1)
    described = {"stimulus_id": stimulus_ids}
    for name in table.columns:
        if name not in (label, "start_time", "stop_time", "stimulus_id", "repetition", "timeseries", "tags"):
            values = table[name].to_numpy()
            if values.dtype.kind in "iufbU" or all(isinstance(value, str) for value in values):
                described[name] = values
    values, settings = as_responses(counts, bins, options)
    neuroids, told_apart = _neuroids(content, options, where)
    notes.append(f"neurons are told apart by {told_apart}")
    return make_recording(
        values,
        presentations=pd.DataFrame(described),
        neuroids=neuroids,
        attrs={
            "window_ms": [float(bins[0, 0]), float(bins[-1, 1])],
            "stimulus_label": label,
            "onset": onset,
            "assumed": "; ".join(notes),
        },
        where=where,
        **settings,
    )


def _every_column(content: NWBFile) -> list[str]:
    return [*content.units.colnames, *(name for table in _interval_tables(content).values() for name in table.colnames)]


def _onset_column(table: pd.DataFrame, named: str | None, label: str, where: str) -> str:
    """Name of the column of stimulus onsets, by the rules in the module's docstring."""
    start, stop = (table[name].to_numpy(dtype=float) for name in ("start_time", "stop_time"))

    def within(times: np.ndarray) -> np.ndarray:
        measured = np.isfinite(times) & np.isfinite(start) & np.isfinite(stop)
        return ((times >= start - 1e-9) & (times <= stop + 1e-9))[measured]

    if named is not None:
        if named not in table.columns or table[named].dtype.kind not in "iuf":
            raise InputError(f"{where}: the column {named!r} has no times; choose one of {', '.join(table.columns)}")
        if named != "start_time" and not within(table[named].to_numpy(dtype=float)).any():
            raise InputError(
                f"{where}: no time of the column {named!r} lies between start_time and stop_time of its row; onsets "
                "are seconds of the session"
            )
        return named
    columns = [name for name in table.columns if table[name].dtype.kind == "f" and name not in ("start_time", label)]
    onsets = [name for name in columns if ONSETS.fullmatch(name)]
    others = [
        name
        for name in columns
        if name not in ("stop_time", *onsets)
        and LIKE_ONSETS.search(name)
        and len(found := within(table[name].to_numpy()))
        and found.all()
    ]
    if len(onsets) == 1 and within(table[onsets[0]].to_numpy()).any():
        return onsets[0]
    if onsets or others:
        shown = [*onsets, *others]
        raise InputError(
            f"{where}: which column is the stimulus onset? start_time is the start of the row, and "
            f"{', '.join(map(repr, shown))} may be the onset; name it: columns={{'onset': {shown[0]!r}}} (--column "
            f"onset={shown[0]})"
        )
    return "start_time"


def _counts(units: Units, unit: int, onsets: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Spikes of one unit in each bin after each onset (n_onsets, n_bins); NaN where it was not observed."""
    spikes = np.sort(np.asarray(units["spike_times"][unit], dtype=float))
    starts, ends = (onsets[:, None] + edges[None, :] / 1000 for edges in bins.T)
    counts = (np.searchsorted(spikes, ends) - np.searchsorted(spikes, starts)).astype(float)
    counts[~np.isfinite(onsets)] = np.nan
    if "obs_intervals" in units.colnames:
        intervals = np.asarray(units["obs_intervals"][unit], dtype=float).reshape(-1, 2)
        inside = (starts[:, :1] >= intervals[:, 0]) & (ends[:, -1:] <= intervals[:, 1])
        counts[~inside.any(axis=1)] = np.nan
    return counts


def _interval_tables(content: NWBFile) -> dict:
    tables = {"trials": content.trials} if content.trials is not None else {}
    return tables | {name: table for name, table in (content.intervals or {}).items() if name != "trials"}


def _such_as(columns: list[str]) -> str:
    likely = likely_roles(columns, ["stimulus_id"]).get("stimulus_id")
    return "" if likely is None else f"; such as --stimulus {likely}"


def _presentations(content: NWBFile, wanted: str | None, where: str) -> tuple[pd.DataFrame, str]:
    """Table of intervals with one row per presentation, and the name of its stimulus column."""
    tables = _interval_tables(content)
    if not tables:
        raise InputError(f"{where}: no trials and no other table of intervals; stimulus onsets are needed")
    labels = (wanted,) if wanted is not None else STIMULUS_COLUMNS
    for table in tables.values():
        for label in labels:
            if label in table.colnames:
                return table.to_dataframe(), label
    columns = sorted({name for table in tables.values() for name in table.colnames} - {"start_time", "stop_time"})
    if wanted is not None:
        raise InputError(f"{where}: no column {wanted!r} in {', '.join(tables)}: {closest(wanted, columns)}")
    raise InputError(
        f"{where}: which column identifies the stimuli? Give it as stimulus (--stimulus on the command line); columns "
        f"of {', '.join(tables)} are {', '.join(columns) or 'only times'}{_such_as(columns)}"
    )


def _neuroids(content: NWBFile, options: ReadOptions, where: str) -> tuple[pd.DataFrame, str]:
    """Ids, regions and subject of the units; and which column the ids come from."""
    units = content.units
    named = one_name(options.columns, "neuroid_id", where)
    ids, told_apart = as_text(np.asarray(units.id[:])), "the ids of the units table"
    for name in ID_COLUMNS if named is None else (named,):
        if name in units.colnames:
            found = as_text(np.asarray(units[name].data[:]))
            if named is not None or (len(set(found.tolist())) == len(found) and (np.char.strip(found) != "").all()):
                ids, told_apart = found, repr(name)
                break
            told_apart = f"the ids of the units table, as {name!r} repeats"
    regions: str | list[str] = "unspecified"
    region = one_name(options.columns, "region", where)
    columns = [name for name in ((region,) if region else REGION_COLUMNS) if name in units.colnames]
    if options.region is not None:
        regions = options.region
    elif columns:
        regions = list(units[columns[0]].data[:])
    elif "electrodes" in units.colnames:
        regions = [str(units["electrodes"][unit]["location"].iloc[0]) for unit in range(len(units))]
    subject = options.subject or (content.subject.subject_id if content.subject is not None else "") or ""
    return pd.DataFrame({"neuroid_id": ids, "region": regions, "subject": subject}), told_apart


def _detect(candidate: Candidate) -> bool:
    return candidate.kind == "hdf5" and (
        "nwb_version" in candidate.attrs or {"acquisition", "processing", "session_description"} <= set(candidate.names)
    )


FORMAT = Format(
    name="nwb",
    title="Neurodata Without Borders (NWB)",
    detect=_detect,
    read=read,
    write=write,
    endings=(".nwb",),
)
