"""The standard form of a recording, and what makes one unusable; see ``recordings``, which has the operations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from neural_data.errors import InputError, closest
from neural_data.stimulus_tables import in_degrees

__all__ = ["DIMS", "LEGACY_COORDS", "RESPONSE_UNITS", "as_text", "checked_recording"]

RESPONSE_UNITS = ("spikes/s", "counts", "normalized")
"""Rates and counts cannot be negative; ``normalized`` (z-scored, baseline-subtracted, ...) can."""
DIMS = ("presentation", "neuroid", "time_bin")
LEGACY_COORDS = {"image_id": "stimulus_id", "animal": "subject"}
LONGEST_LABEL = 10_000
"""Most characters of an id; in an array of text, every element takes as much memory as the longest."""
TEXT_COORDS = {"stimulus_id": "presentation", "neuroid_id": "neuroid", "region": "neuroid", "subject": "neuroid"}


def checked_recording(recording: xr.DataArray, *, where: str = "recording", units: str | None = None) -> xr.DataArray:
    """Recording in the standard form of this module, or an error that says what is wrong with it.

    Parameters
    ----------
    recording : xarray.DataArray
        Any order of dims, with or without a MultiIndex, legacy names (``image_id``, ``animal``) accepted.
    where : str
        What messages call the recording, such as its file.
    units : str or None
        Unit of the responses, if the recording does not state it; None takes ``attrs["units"]``, else ``spikes/s``.

    Returns
    -------
    xarray.DataArray
        Float64, dims in order, text coords as str, ``repetition`` as integers, attrs complete. The
        argument is not changed: the result is a copy if anything differs.

    Raises
    ------
    InputError
        If dims or coords are missing, neuroid ids repeat, a stimulus repeats a repetition, values are infinite or
        (as rates or counts) negative, or time bins overlap or differ in width.
    """
    recording = _ordered(recording, where)
    recording = _with_coords(recording, where)
    found = units or str(recording.attrs.get("units", "spikes/s"))
    found = {"count": "counts", "Hz": "spikes/s", "hz": "spikes/s", "spikes/sec": "spikes/s"}.get(found, found)
    if found not in RESPONSE_UNITS:
        raise InputError(f"{where}: units {found!r} are not known; {closest(found, RESPONSE_UNITS)}")
    recording = recording.assign_attrs(
        units=found,
        simultaneous=_flag(recording, "simultaneous", 1, where),
        simulated=_flag(recording, "simulated", 0, where),
    )
    _refuse_bad_values(recording, where)
    _refuse_bad_time_bins(recording, where)
    return recording


def as_text(values: np.ndarray) -> np.ndarray:
    """Labels of any type as text, without loss of digits.

    Parameters
    ----------
    values : array
        Texts, bytes or numbers of any type.

    Returns
    -------
    array of str, of the same shape
        Integers without exponent (``20190315123045``, not ``2.019e+13``), other numbers with all their digits; bytes
        are decoded as UTF-8, else as Latin-1; missing values become empty text.

    Raises
    ------
    InputError
        If a text is longer than 10,000 characters.
    """
    values = np.asarray(values)
    if values.dtype.kind in "mM":
        values = np.where(np.isnat(values), "", values.astype(str))
    narrow = values.dtype.kind == "f" and values.dtype.itemsize < 8
    # tolist() would give the digits of a float32 as a float64: 0.10000000149011612 for 0.1.
    listed = list(values.ravel()) if narrow else values.ravel().tolist()
    texts = [_as_it_stands(value) for value in listed]
    longest = max(map(len, texts), default=0)
    if longest > LONGEST_LABEL:
        raise InputError(f"a label has {longest:,} characters; at most {LONGEST_LABEL:,} are read")
    return np.array(texts, dtype=str).reshape(values.shape)


def _flag(recording: xr.DataArray, name: str, otherwise: int, where: str) -> int:
    value = recording.attrs.get(name, otherwise)
    if np.ndim(value) != 0 or value not in (0, 1):
        raise InputError(f"{where}: attribute {name!r} is {value!r}; it must be 0 or 1")
    return int(value)


def _ordered(recording: xr.DataArray, where: str) -> xr.DataArray:
    """Dims in order, without MultiIndex, values as float64."""
    dims = set(recording.dims)
    if not {"presentation", "neuroid"} <= dims or not dims <= set(DIMS):
        raise InputError(
            f"{where}: dims are ({', '.join(map(str, recording.dims))}); a recording has (presentation, neuroid) or "
            "(presentation, neuroid, time_bin)"
        )
    for dim in recording.dims:
        if dim in recording.indexes and isinstance(recording.indexes[dim], pd.MultiIndex):
            recording = recording.reset_index(dim)
    empty = [dim for dim, size in recording.sizes.items() if size == 0]
    if empty:
        raise InputError(f"{where}: has no {empty[0]}; a recording needs at least one")
    if not (np.issubdtype(recording.dtype, np.number) or recording.dtype == bool):
        raise InputError(f"{where}: responses are {recording.dtype}, not numbers")
    if np.issubdtype(recording.dtype, np.complexfloating):
        raise InputError(f"{where}: responses are complex numbers; spikes/s or counts are needed")
    return recording.transpose(*[dim for dim in DIMS if dim in dims]).astype(np.float64, keep_attrs=True)


def _with_coords(recording: xr.DataArray, where: str) -> xr.DataArray:
    """The recording with required coords under their current names, as text or integers."""
    legacy = {old: new for old, new in LEGACY_COORDS.items() if old in recording.coords and new not in recording.coords}
    recording = recording.rename(legacy)
    if "subject" not in recording.coords:
        recording = recording.assign_coords(subject=("neuroid", np.full(recording.sizes["neuroid"], "")))
    for name, dim in TEXT_COORDS.items():
        if name not in recording.coords:
            hint = closest(name, [str(coord) for coord in recording.coords])
            raise InputError(f"{where}: no coord {name!r} on {dim}; {hint}")
        if recording[name].dims != (dim,):
            raise InputError(f"{where}: coord {name!r} lies on {recording[name].dims}; it belongs on ({dim},)")
        values = recording[name].values
        if values.dtype.kind != "U":
            recording = recording.assign_coords({name: (dim, as_text(values))})
    for called, coord in list(recording.coords.items()):
        if coord.dtype.kind in "OT":  # text as files give it: Python strings, or NumPy's variable-width strings
            recording = recording.assign_coords({called: (coord.dims, as_text(coord.values))})
    if "azimuth_deg" in recording.coords and recording["azimuth_deg"].dtype.kind in "iuf":
        azimuths = recording["azimuth_deg"]
        normal = in_degrees(azimuths.values)
        if not np.array_equal(normal, azimuths.values, equal_nan=True):
            recording = recording.assign_coords(azimuth_deg=(azimuths.dims, normal))
    recording = _with_repetition(recording, where)
    ids, counts = np.unique(recording["neuroid_id"].values, return_counts=True)
    if (counts > 1).any():
        raise InputError(
            f"{where}: neuroid_id {str(ids[counts > 1][0])!r} occurs {counts.max()} times ({(counts > 1).sum()} ids "
            "repeat); every neuron needs an id of its own, such as subject-session-unit"
        )
    for name in ("stimulus_id", "neuroid_id", "region"):
        blank = np.flatnonzero(np.char.strip(recording[name].values) == "")
        if len(blank):
            raise InputError(f"{where}: {name} is empty at {TEXT_COORDS[name]} {blank[0]}; name it or leave it out")
    return recording


def _with_repetition(recording: xr.DataArray, where: str) -> xr.DataArray:
    stimulus_ids = pd.Series(recording["stimulus_id"].values)
    if "repetition" not in recording.coords:
        counted = stimulus_ids.groupby(stimulus_ids, sort=False).cumcount().to_numpy()
        return recording.assign_coords(repetition=("presentation", counted))
    if recording["repetition"].dims != ("presentation",):
        raise InputError(f"{where}: coord 'repetition' lies on {recording['repetition'].dims}, not on (presentation,)")
    numbers = pd.to_numeric(pd.Series(recording["repetition"].values), errors="coerce").to_numpy(dtype=float)
    wrong = np.flatnonzero(~(numbers == np.round(numbers)))
    if len(wrong):
        raise InputError(
            f"{where}: repetition of presentation {wrong[0]} is {str(recording['repetition'].values[wrong[0]])!r}; a "
            "whole number is needed"
        )
    repetition = numbers.astype(np.int64)
    repeated = pd.DataFrame({"stimulus_id": stimulus_ids, "repetition": repetition}).duplicated()
    if repeated.any():
        first = int(np.flatnonzero(repeated)[0])
        raise InputError(
            f"{where}: {repeated.sum()} presentations repeat a (stimulus_id, repetition), first "
            f"({stimulus_ids[first]!r}, {repetition[first]}); number the repetitions of each stimulus, or leave the "
            "coord out, and they are numbered in order"
        )
    return recording.assign_coords(repetition=("presentation", repetition))


def _refuse_bad_values(recording: xr.DataArray, where: str) -> None:
    values = recording.values
    for wrong, what, way_out in (
        (np.isinf(values), "infinite", "replace missing measurements by NaN"),
        (
            values < 0 if recording.attrs["units"] != "normalized" else np.zeros(0, dtype=bool),
            f"negative, which {recording.attrs['units']} cannot be",
            "if they are z-scored or baseline-subtracted, give units='normalized'",
        ),
    ):
        if wrong.any():
            place = np.argwhere(wrong)[0]
            raise InputError(
                f"{where}: {wrong.sum():,} of {values.size:,} responses are {what} (first: {values[tuple(place)]:g}, "
                f"neuron {str(recording['neuroid_id'].values[place[1]])!r}, stimulus "
                f"{str(recording['stimulus_id'].values[place[0]])!r}); {way_out}"
            )
    if not np.isfinite(values).any():
        raise InputError(f"{where}: every response is NaN; check the file or the window")


def _refuse_bad_time_bins(recording: xr.DataArray, where: str) -> None:
    if "time_bin" not in recording.dims:
        return
    for name in ("time_bin_start", "time_bin_end"):
        if name not in recording.coords or recording[name].dims != ("time_bin",):
            raise InputError(f"{where}: no coord {name!r} on time_bin; bins need a start and an end in ms after onset")
    start = recording["time_bin_start"].values.astype(float)
    end = recording["time_bin_end"].values.astype(float)
    if not (np.isfinite(start).all() and np.isfinite(end).all() and (end > start).all()):
        raise InputError(f"{where}: time bins must end after they start; they are {_bins(start, end)}")
    if np.ptp(end - start) > 1e-6 * np.abs(end - start).max():
        raise InputError(
            f"{where}: time bins differ in width ({(end - start).min():g} to {(end - start).max():g} ms); bins of one "
            "width are needed, select them first"
        )
    steps = np.diff(start)
    overlapping = (start[1:] < end[:-1] - 1e-6).any()
    if (steps <= 0).any() or (overlapping and np.ptp(steps) > 1e-6 * steps.max()):
        raise InputError(
            f"{where}: time bins overlap unevenly or are out of order ({_bins(start, end)}); bins follow one another, "
            "or slide in equal steps"
        )


def _bins(start: np.ndarray, end: np.ndarray) -> str:
    shown = ", ".join(f"{low:g}-{high:g}" for low, high in zip(start[:6], end[:6], strict=True))
    return shown + (f", ... ({len(start)} in all)" if len(start) > 6 else "") + " ms"


def _as_it_stands(value: object) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1")  # maps every byte to one character, so that different ids stay different
    if isinstance(value, (float, np.floating)):
        if np.isnan(value):
            return ""
        return str(int(value)) if np.isfinite(value) and value == np.round(value) else str(value)
    return "" if value is None or value is pd.NaT or value is pd.NA else str(value)
