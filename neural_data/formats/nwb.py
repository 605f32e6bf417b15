"""Neurodata Without Borders files: spikes of sorted units and a table of trials; needs the extra ``nwb``.

Read are the ``units`` table (spike times; where a unit has ``obs_intervals``, trials outside them are not measured) and
the ``trials`` table or another table of intervals with a column that names the stimulus. Rates are counted in a window
after each row's ``start_time``.

A recording has no spike times, so it is written as what it is: the table ``responses`` in the processing module
``recording`` (one row a presentation), and the neurons in the ``units`` table.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pandas as pd
import xarray as xr

from neural_data.errors import InputError, closest
from neural_data.formats.options import ReadOptions, refuse_unused
from neural_data.formats.spikes import as_responses, bin_edges
from neural_data.recordings import as_text, checked_recording, make_recording, select_window

__all__ = ["read", "write"]

MODULE, TABLE = "recording", "responses"
REGION_COLUMNS = ("region", "brain_area", "brain_region", "area", "location")
ID_COLUMNS = ("neuroid_id", "unit_name", "cluster_id")
STIMULUS_COLUMNS = ("stimulus_id", "image_id")
_UNREADABLE = (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, OverflowError)


def read(path: Path, options: ReadOptions) -> xr.DataArray:
    """Recording from an NWB file.

    Parameters
    ----------
    path : Path
        An NWB file of version 2 (HDF5).
    options : ReadOptions
        ``stimulus`` names the column of the trials (or other intervals) table that tells stimuli apart, where it is
        not called ``stimulus_id``; ``window_ms`` and ``bin_ms`` say in which bins after onset spikes are counted.

    Returns
    -------
    xarray.DataArray
        ``attrs["window_ms"]`` says which window it is.

    Raises
    ------
    InputError
        If the file is damaged, has no units or spikes, or no table names the stimuli.
    """
    refuse_unused(
        options, ("stimulus", "window_ms", "bin_ms", "region", "subject", "units"), str(path), "the file says it"
    )
    pynwb = _pynwb()
    from hdmf.build import ConstructError

    try:
        with h5py.File(path) as file, pynwb.NWBHDF5IO(file=file, mode="r") as io:
            content = io.read()
            if MODULE in content.processing and TABLE in content.processing[MODULE].data_interfaces:
                return _read_responses(content, options, str(path))
            return _read_spikes(content, options, str(path))
    except InputError:
        raise
    except (*_UNREADABLE, ConstructError) as error:
        raise InputError(f"{path}: not readable as an NWB file ({type(error).__name__}: {_brief(error)})") from error


def write(recording: xr.DataArray, path: Path) -> None:
    """Write a recording's responses and labels to an NWB file."""
    pynwb = _pynwb()
    from hdmf.common import DynamicTable, VectorData

    content = pynwb.NWBFile(
        session_description="responses of neurons to stimuli; times of day and of spikes are not known",
        identifier=str(recording.attrs.get("stimulus_set_identifier", "recording")),
        # The format demands a date, a recording has none: the beginning of time says so.
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
        content.add_unit(**{name: values[i].item() for name, values in neuroids.items()})
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


def _brief(error: BaseException) -> str:
    """First line of an error, without the whole of the file that some quote."""
    line = (str(error).splitlines() or [""])[0]
    return line if len(line) <= 200 else f"{line[:200]} ..."


def _bins(recording: xr.DataArray) -> list | None:
    if "time_bin" not in recording.dims:
        return None
    return np.stack([recording["time_bin_start"].values, recording["time_bin_end"].values], axis=1).tolist()


def _read_responses(content: object, options: ReadOptions, where: str) -> xr.DataArray:
    """A recording that :func:`write` wrote."""
    rows = content.processing[MODULE][TABLE]
    about = json.loads(content.notes or "{}")
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


def _read_spikes(content: object, options: ReadOptions, where: str) -> xr.DataArray:
    if content.units is None or "spike_times" not in content.units.colnames:
        raise InputError(f"{where}: no units with spike times; sort the spikes first, or export responses as a table")
    table, label = _presentations(content, options.stimulus, where)
    edges = bin_edges(options)
    onsets = table["start_time"].to_numpy(dtype=float)
    counts = np.stack([_counts(content.units, unit, onsets, edges) for unit in range(len(content.units))], axis=1)
    described = {"stimulus_id": as_text(np.asarray(table[label]))}
    for name in table.columns:
        if name not in (label, "start_time", "stop_time", "stimulus_id", "repetition", "timeseries", "tags"):
            values = table[name].to_numpy()
            if values.dtype.kind in "iufbU" or all(isinstance(value, str) for value in values):
                described[name] = values
    values, settings = as_responses(counts, edges, options)
    return make_recording(
        values,
        presentations=pd.DataFrame(described),
        neuroids=_neuroids(content, options),
        attrs={"window_ms": [float(edges[0]), float(edges[-1])], "stimulus_label": label, "onset": "start_time"},
        where=where,
        **settings,
    )


def _counts(units: object, unit: int, onsets: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Spikes of one unit in each bin after each onset (n_onsets, n_bins); NaN where it was not observed."""
    spikes = np.sort(np.asarray(units["spike_times"][unit], dtype=float))
    times = onsets[:, None] + edges[None, :] / 1000
    counts = np.diff(np.searchsorted(spikes, times), axis=1).astype(float)
    if "obs_intervals" in units.colnames:
        intervals = np.asarray(units["obs_intervals"][unit], dtype=float).reshape(-1, 2)
        inside = (times[:, :1] >= intervals[:, 0]) & (times[:, -1:] <= intervals[:, 1])
        counts[~inside.any(axis=1)] = np.nan
    return counts


def _presentations(content: object, wanted: str | None, where: str) -> tuple[pd.DataFrame, str]:
    """Table of intervals with one row a presentation, and its column that names the stimulus."""
    tables = {"trials": content.trials} if content.trials is not None else {}
    tables |= {name: table for name, table in (content.intervals or {}).items() if name != "trials"}
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
        f"{where}: which column tells the stimuli apart? Give it as stimulus (--stimulus on the command line); columns "
        f"of {', '.join(tables)} are {', '.join(columns) or 'only times'}"
    )


def _neuroids(content: object, options: ReadOptions) -> pd.DataFrame:
    units = content.units
    ids = next((as_text(np.asarray(units[name].data[:])) for name in ID_COLUMNS if name in units.colnames), None)
    if ids is None:
        ids = as_text(np.asarray(units.id[:]))
    regions = options.region
    if regions is None:
        regions = next((list(units[name].data[:]) for name in REGION_COLUMNS if name in units.colnames), None)
    if regions is None and "electrodes" in units.colnames:
        regions = [str(units["electrodes"][unit]["location"].iloc[0]) for unit in range(len(units))]
    subject = options.subject or (content.subject.subject_id if content.subject is not None else "") or ""
    return pd.DataFrame(
        {"neuroid_id": ids, "region": "unspecified" if regions is None else regions, "subject": subject}
    )
