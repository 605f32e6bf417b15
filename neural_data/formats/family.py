"""The record that declares a file format: its name, and how it is detected, read and written.

To add a format, write one module with one record and name it in ``files.FORMATS``; detection, reading, writing,
messages and the documentation loop over that tuple.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from neural_data.errors import InputError, closest
from neural_data.formats.read_options import ReadOptions

__all__ = ["Candidate", "Format", "format_called"]


@dataclass(frozen=True)
class Candidate:
    """What detection knows of a file or folder without reading its data.

    Parameters
    ----------
    path : Path
        The file or folder.
    kind : {"folder", "matlab", "hdf5", "netcdf3", "parquet", "text"}
        Type of container, from the first bytes.
    names : tuple of str
        Visible files of a folder, variables of a MATLAB file, top-level names of an HDF5 file; empty otherwise.
    attrs : tuple of str
        Names of the attributes at the top of an HDF5 file.
    """

    path: Path
    kind: str
    names: tuple[str, ...] = ()
    attrs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Format:
    """A format of recordings.

    Parameters
    ----------
    name : str
        Value of ``format=`` and ``--format``.
    title : str
        Full name, for messages and documents.
    detect : callable
        Whether a :class:`Candidate` is in this format; formats are asked in the order of the family.
    read : callable
        Takes a path and :class:`ReadOptions`; returns a recording.
    write : callable or None
        Writes a recording to a path; None if the format is only read.
    endings : tuple of str
        File name extensions for which this format is written.
    aliases : tuple of str
        Further names.
    """

    name: str
    title: str
    detect: Callable[[Candidate], bool]
    read: Callable[[Path, ReadOptions], xr.DataArray]
    write: Callable[[xr.DataArray, Path], None] | None = None
    endings: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


def format_called(name: str, family: Iterable[Format]) -> Format:
    """The format with this name or alias; raises InputError with the closest known name."""
    known = {called: entry for entry in family for called in (entry.name, *entry.aliases)}
    if name not in known:
        raise InputError(f"no format is called {name!r}: {closest(name, known)}")
    return known[name]
