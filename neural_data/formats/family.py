"""What a format is: one record that says what it is called, how it is known, read and written.

Adding a format means writing one module with one record and naming it in ``files.FORMATS``; detection, reading,
writing, messages and the documentation loop over that family.
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
    """What can be seen of a file or folder without reading it.

    Parameters
    ----------
    path : Path
    kind : {"folder", "matlab", "hdf5", "netcdf3", "parquet", "text"}
        Container, told by the first bytes.
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
        As ``format=`` and ``--format`` take it.
    title : str
        What people call it.
    detect : callable
        Whether a :class:`Candidate` is in this format; formats are asked in the order of the family.
    read : callable
        Gives the recording of a path and :class:`ReadOptions`.
    write : callable or None
        Writes a recording to a path.
    endings : tuple of str
        Endings of file names for which this format is written.
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
    """The format of a name, or an error with the nearest one."""
    known = {called: entry for entry in family for called in (entry.name, *entry.aliases)}
    if name not in known:
        raise InputError(f"no format is called {name!r}: {closest(name, known)}")
    return known[name]
