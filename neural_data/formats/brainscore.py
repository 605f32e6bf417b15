"""Brain-Score assemblies in netCDF: dims ``(presentation, neuroid[, time_bin])``, one-dimensional coords.

Files are read with xarray alone, whether netCDF 3 or 4; they are written as netCDF 4 with the root variable ``data``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from neural_data.errors import InputError, closest
from neural_data.formats.options import ReadOptions, refuse_unused
from neural_data.recordings import checked_recording, select_window

__all__ = ["read", "write"]

_USED = ("stimulus", "window_ms", "region", "subject", "units")


def read(path: Path, options: ReadOptions) -> xr.DataArray:
    """Recording from a Brain-Score assembly.

    Parameters
    ----------
    path : Path
        A netCDF file.
    options : ReadOptions
        ``stimulus`` names another coord of ``presentation`` to tell stimuli apart by; ``window_ms`` takes the time
        bins within it; ``region`` and ``subject`` replace what the file says.

    Returns
    -------
    xarray.DataArray

    Raises
    ------
    InputError
        If the file is no netCDF, holds no or several variables, or what it holds is no recording.
    """
    refuse_unused(options, _USED, str(path), "the assembly says it")
    with path.open("rb") as file:
        is_netcdf3 = file.read(3) == b"CDF"
    # phony_dims: HDF5 that is no netCDF opens too, so that its dims can be named in the error.
    engine = {"engine": "scipy"} if is_netcdf3 else {"engine": "h5netcdf", "phony_dims": "sort"}
    try:
        # decode_times off: a bin in "ms" is a number here, never a date.
        with xr.open_dataset(path, decode_times=False, **engine) as dataset:
            data = _data_variable(dataset, path).load()
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: not readable as a netCDF assembly ({type(error).__name__}: {error}); it may be truncated"
        ) from error
    data = data.assign_attrs({name: _plain(value) for name, value in {**dataset.attrs, **data.attrs}.items()})
    data = _with_labels(data, options, path)
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


def _data_variable(dataset: xr.Dataset, path: Path) -> xr.DataArray:
    names = [str(name) for name in dataset.data_vars]
    if "data" in names:
        return dataset["data"]
    if len(names) == 1:
        return dataset[names[0]]
    raise InputError(f"{path}: no variable 'data'; an assembly has one, this file holds {', '.join(names) or 'none'}")


def _with_labels(data: xr.DataArray, options: ReadOptions, path: Path) -> xr.DataArray:
    if options.stimulus is not None:
        known = [str(name) for name, coord in data.coords.items() if coord.dims == ("presentation",)]
        if options.stimulus not in known:
            raise InputError(
                f"{path}: no coord {options.stimulus!r} on presentation: {closest(options.stimulus, known)}"
            )
        named = data[options.stimulus].values
        # Presentations of one stimulus are now counted anew.
        data = data.drop_vars("repetition", errors="ignore").assign_coords(stimulus_id=("presentation", named))
    for name, given in (("region", options.region), ("subject", options.subject)):
        if given is not None and "neuroid" in data.dims:
            data = data.assign_coords({name: ("neuroid", np.full(data.sizes["neuroid"], given))})
    return data


def _plain(value: object) -> object:
    """Attribute as Python has it: lists for arrays, numbers for scalars."""
    if isinstance(value, np.ndarray):
        return value.item() if value.ndim == 0 else value.tolist()
    return value.item() if isinstance(value, np.generic) else value
