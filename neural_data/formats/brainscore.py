"""Brain-Score assemblies in netCDF: dims ``(presentation, neuroid[, time_bin])``, one-dimensional coords.

Files (netCDF 3 or 4) are read with xarray alone; they are written as netCDF 4 with the root variable ``data``. Text
that was stored as arrays of characters is stripped of its padding. Numbers that were never written hold the netCDF
library's default fill value and are read as NaN, like an explicit fill value.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr

from neural_data.errors import InputError, closest
from neural_data.formats.bounds import LARGEST_CLAIM, checked_file, one_line, read_bytes, refuse_claim
from neural_data.formats.family import Candidate, Format
from neural_data.formats.hdf5 import UNREADABLE, closed_hdf5
from neural_data.formats.read_options import ROLES, ReadOptions, checked_roles, refuse_unused
from neural_data.recording_form import as_text, checked_recording
from neural_data.recordings import select_window

__all__ = ["FORMAT", "read", "write"]

_USED = ("stimulus", "window_ms", "region", "subject", "units", "columns")
_ROLES = tuple(role for role in ROLES if role not in ("response", "onset"))
DEFAULT_FILLS = {
    "f4": np.float32(9.9692099683868690e36),
    "f8": np.float64(9.9692099683868690e36),
    "i1": np.int8(-127),
    "i2": np.int16(-32767),
    "i4": np.int32(-2147483647),
    "i8": np.int64(-9223372036854775806),
    "u2": np.uint16(65535),
    "u4": np.uint32(4294967295),
    "u8": np.uint64(18446744073709551614),
}
"""Default fill values of the netCDF library (``NC_FILL_*``) by type; one-byte types have none in practice."""
_DIMS_OF_ROLES = {
    "neuroid_id": "neuroid",
    "region": "neuroid",
    "subject": "neuroid",
    "time_bin_start": "time_bin",
    "time_bin_end": "time_bin",
}


def read(path: Path, options: ReadOptions) -> xr.DataArray:
    """Recording from a Brain-Score assembly.

    Parameters
    ----------
    path : Path
        A netCDF file.
    options : ReadOptions
        ``stimulus`` names the coord of ``presentation`` that identifies the stimuli, if it is not ``stimulus_id``;
        ``columns`` names the coords of other roles; ``window_ms`` selects the time bins that lie within it; ``region``
        and ``subject`` replace the labels of the file.

    Returns
    -------
    xarray.DataArray

    Raises
    ------
    InputError
        If the file is not netCDF, has no variable ``data`` and not exactly one other, would take more memory than is
        allowed, or does not hold a recording.
    """
    refuse_unused(options, _USED, str(path), "the assembly says it")
    with _opened(path) as dataset:
        data = _data_variable(dataset, path)
        for variable in (data, *data.coords.values()):
            refuse_claim(
                variable.size * max(variable.dtype.itemsize, 8),
                path,
                f"variable {variable.name} ({' x '.join(map(str, variable.shape))})",
            )
        data = data.load()
        attrs = {**dataset.attrs, **data.attrs}
    data = _without_padding(_without_fills(data))
    data = data.assign_attrs({name: _plain(value) for name, value in attrs.items()})
    data = _with_labels(data, options, path)
    if options.units is None and "units" not in data.attrs:
        data = data.assign_attrs(assumed="the unit is not named, so responses are taken for spikes/s")
    recording = checked_recording(data.rename("data"), where=str(path), units=options.units)
    return recording if options.window_ms is None else select_window(recording, options.window_ms)


def write(recording: xr.DataArray, path: Path) -> None:
    """Write a recording as a Brain-Score assembly (netCDF 4)."""
    for name, value in recording.attrs.items():
        if not isinstance(value, (str, int, float, list, tuple, np.ndarray, np.number)):
            raise InputError(
                f"attribute {name!r} is {type(value).__name__}, which netCDF cannot hold; write it as text"
            )
    recording.rename("data").to_netcdf(path, engine="h5netcdf", encoding={"data": {"zlib": True, "complevel": 4}})


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[xr.Dataset]:
    """The dataset of a netCDF file, opened but not loaded; errors of reading become one InputError."""
    checked_file(path)
    with path.open("rb") as file:
        is_netcdf3 = file.read(3) == b"CDF"
    try:
        with contextlib.ExitStack() as stack:
            if is_netcdf3:
                # From memory: a damaged file that is mapped cannot be closed again, and what it claims past its end is
                # never allocated.
                content = io.BytesIO(read_bytes(path, largest=LARGEST_CLAIM))
                opened = xr.open_dataset(content, decode_times=False, engine="scipy")
            else:
                stack.enter_context(closed_hdf5(path, what="a netCDF assembly"))
                # phony_dims: HDF5 that is no netCDF opens too, so that its dims can be named in the error.
                opened = xr.open_dataset(path, decode_times=False, engine="h5netcdf", phony_dims="sort")
            # decode_times off: a bin in "ms" is a number here, never a date.
            yield stack.enter_context(opened)
    except InputError:
        raise
    except (*UNREADABLE, struct.error) as error:
        raise InputError(
            f"{path}: not readable as a netCDF assembly ({type(error).__name__}: {one_line(error)}); it may be "
            "incomplete, so copy it again"
        ) from error


def _data_variable(dataset: xr.Dataset, path: Path) -> xr.DataArray:
    names = [str(name) for name in dataset.data_vars]
    if "data" in names:
        return dataset["data"]
    if len(names) == 1:
        return dataset[names[0]]
    raise InputError(
        f"{path}: no variable 'data', which an assembly must have; the file has {', '.join(names) or 'no variables'}"
    )


def _without_fills(data: xr.DataArray) -> xr.DataArray:
    """The array with the netCDF library's default fill value replaced by NaN, unless the file sets a fill value."""
    stored = np.dtype(data.encoding.get("dtype", data.dtype) if data.dtype.kind == "f" else data.dtype)
    fill = DEFAULT_FILLS.get(f"{stored.kind}{stored.itemsize}")
    named = {"_FillValue", "missing_value"} & {*data.attrs, *data.encoding}
    if fill is None or (named and any(data.encoding.get(n, data.attrs.get(n)) is not None for n in named)):
        return data
    filled = data.values == fill
    return data.copy(data=np.where(filled, np.nan, data.values)) if filled.any() else data


def _without_padding(data: xr.DataArray) -> xr.DataArray:
    """The array with text coords stripped of the blanks that pad arrays of characters."""
    padded = {}
    for name, coord in data.coords.items():
        if coord.dtype.kind == "S" or "char_dim_name" in coord.encoding:
            padded[name] = (coord.dims, np.char.rstrip(as_text(coord.values), " \0"))
    return data.assign_coords(padded)


def _with_labels(data: xr.DataArray, options: ReadOptions, path: Path) -> xr.DataArray:
    given = dict(options.columns)
    if options.stimulus is not None:
        if "stimulus_id" in given:
            raise InputError(
                f"{path}: stimulus and the coord for stimulus_id name the same thing; give only one of them"
            )
        given["stimulus_id"] = options.stimulus
    for role, name in given.items():
        dim = _DIMS_OF_ROLES.get(role, "presentation")
        known = [str(coord) for coord, values in data.coords.items() if values.dims == (dim,)]
        if role in _ROLES and name not in known:
            raise InputError(f"{path}: no coord {name!r} on {dim}: {closest(str(name), known)}")
        checked_roles({role: name}, _ROLES, known, str(path), "coord")
        if role == "stimulus_id" and name != role and "repetition" not in given:
            data = data.drop_vars("repetition", errors="ignore")  # presentations of one stimulus are counted anew
        data = data.assign_coords({role: (dim, data[name].values)})
    for name, value in (("region", options.region), ("subject", options.subject)):
        if value is not None and "neuroid" in data.dims:
            data = data.assign_coords({name: ("neuroid", np.full(data.sizes["neuroid"], value))})
    return data


def _plain(value: object) -> object:
    """Attribute as a plain Python value: arrays as lists, scalars as numbers, bytes as text."""
    if isinstance(value, np.ndarray):
        listed = as_text(value) if value.dtype.kind == "S" else value
        return listed.item() if listed.ndim == 0 else listed.tolist()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value


def _detect(candidate: Candidate) -> bool:
    """NetCDF 3; or HDF5 with a root variable on dimension scales, as netCDF 4 writes it."""
    return candidate.kind == "netcdf3" or (
        candidate.kind == "hdf5" and bool({"data", "presentation", "neuroid"} & set(candidate.names))
    )


FORMAT = Format(
    name="brainscore",
    title="Brain-Score assembly (netCDF)",
    detect=_detect,
    read=read,
    write=write,
    endings=(".nc",),
)
