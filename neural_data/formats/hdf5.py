"""Opens HDF5 files only if all of their data lies in the file itself.

An HDF5 file can refer to other files for its numbers (external storage, virtual datasets) or groups (external links),
and a group can contain itself. HDF5 libraries follow such references silently, so the links of every HDF5 file
(netCDF 4, NWB, MATLAB 7.3, RDMs) are checked once before it is read.
"""

from __future__ import annotations

import contextlib
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from neural_data.errors import InputError
from neural_data.formats.bounds import DEEPEST, checked_file, one_line, refuse_claim

__all__ = ["SIGNATURE", "UNREADABLE", "array_of", "closed_hdf5", "dataset_shapes"]

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HEAP = b"GCOL"
LARGEST_SEARCHED = 2_000_000_000
"""Largest file, bytes, that is searched for damaged heaps."""
MOST_OBJECTS = 200_000
UNREADABLE = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)
"""Exceptions that h5py, h5netcdf and pynwb raise on damaged files."""


@contextlib.contextmanager
def closed_hdf5(path: Path, *, what: str = "an HDF5 file") -> Iterator[h5py.File]:
    """An HDF5 file opened for reading, checked to hold all of its data itself.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        Type of file, for the message ``not readable as {what}``.

    Yields
    ------
    h5py.File

    Raises
    ------
    InputError
        If it is damaged, refers to another file for data or groups, a group contains itself, or groups are nested
        deeper than 64. HDF5 errors raised inside the ``with`` block become an InputError too.
    """
    checked_file(path)
    try:
        _check_heaps(path)
        with h5py.File(path, "r") as file:
            _refuse_open_ends(file, path)
            yield file
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(
            f"{path}: not readable as {what} ({type(error).__name__}: {one_line(error)}); it may be truncated, copy it "
            "again"
        ) from error


def _check_heaps(path: Path) -> None:
    """Refuse files with a damaged heap (storage of variable-length text): the HDF5 library loops for ever on one.

    A heap is a chain of objects, each with its number and size; number 0 is the free space and reaches to the end.
    """
    size = path.stat().st_size
    if size > LARGEST_SEARCHED:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        place = content.find(_HEAP)
        while place >= 0:
            (n_bytes,) = struct.unpack("<Q", content[place + 8 : place + 16].ljust(8, b"\0"))
            # Text may contain this signature too; in a heap it is followed by its version and its size in pages.
            if content[place + 4 : place + 8] == b"\1\0\0\0" and 4096 <= n_bytes <= size - place:
                _check_heap(content[place : place + n_bytes])
            place = content.find(_HEAP, place + 4)


def _check_heap(heap: bytes) -> None:
    place = 16
    while place + 16 <= len(heap):
        number, _, _, size = struct.unpack_from("<HHIQ", heap, place)
        step = size if number == 0 else 16 + size + (-size % 8)
        if step < 16 or place + step > len(heap):
            raise ValueError("a heap of texts is damaged")
        place += step


def array_of(dataset: h5py.Dataset, path: Path) -> np.ndarray:
    """Numbers or texts of a dataset, after checking that they fit into memory."""
    claim = float(np.prod(dataset.shape or (0,), dtype=float)) * dataset.dtype.itemsize
    refuse_claim(claim, path, f"{dataset.name} ({_shape(dataset.shape)})")
    return np.asarray(dataset[()])


def dataset_shapes(file: h5py.File) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Shape and type of every dataset by its path, without reading any; MATLAB's ``#refs#`` are left out."""
    found = {}

    def note(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("#"):
            found[name] = (tuple(item.shape or ()), item.dtype)

    file.visititems(note)
    return found


def _shape(shape: tuple[int, ...] | None) -> str:
    return " x ".join(map(str, shape or ())) or "a scalar"


def _refuse_open_ends(file: h5py.File, path: Path) -> None:
    """Check all links; see the module's docstring for what is refused."""
    seen = 0
    done: set[tuple[int, int]] = set()
    waiting: list[tuple[h5py.h5g.GroupID, str, tuple[tuple[int, int], ...]]] = [(file.id, "/", ())]
    while waiting:
        group, name, above = waiting.pop()
        here = _address(group)
        if here in above:
            raise InputError(f"{path}: the group {name} contains itself; write the file again")
        if here in done:
            continue
        done.add(here)
        if len(above) >= DEEPEST:
            raise InputError(f"{path}: groups are nested deeper than {DEEPEST} ({name}); write the file again")
        for link in group:
            seen += 1
            if seen > MOST_OBJECTS:
                raise InputError(f"{path}: has more than {MOST_OBJECTS:,} objects; export only what you need")
            called = name + link.decode("utf-8", "replace")
            kind = group.links.get_info(link).type
            if kind == h5py.h5l.TYPE_EXTERNAL:
                raise InputError(
                    f"{path}: {called} is a link to another file, which is not followed; copy its content into the file"
                )
            if kind == h5py.h5l.TYPE_SOFT:
                # Its target is checked on its own, if it exists; here only a link to an enclosing group matters.
                if _leads_back(group, link, (*above, here)):
                    raise InputError(f"{path}: the group {name} contains itself; write the file again")
                continue
            if kind != h5py.h5l.TYPE_HARD:
                raise InputError(f"{path}: {called} is a link of an unknown kind; write the file again")
            item = h5py.h5o.open(group, link)
            if isinstance(item, h5py.h5g.GroupID):
                waiting.append((item, called + "/", (*above, here)))
            elif isinstance(item, h5py.h5d.DatasetID):
                _refuse_outside(item, called, path)


def _leads_back(group: h5py.h5g.GroupID, link: bytes, above: tuple[tuple[int, int], ...]) -> bool:
    try:
        item = h5py.h5o.open(group, link)
    except (KeyError, OSError, RuntimeError):
        return False
    return isinstance(item, h5py.h5g.GroupID) and _address(item) in above


def _address(item: h5py.h5g.GroupID) -> tuple[int, int]:
    info = h5py.h5o.get_info(item)
    return info.fileno, info.addr


def _refuse_outside(dataset: h5py.h5d.DatasetID, name: str, path: Path) -> None:
    made = dataset.get_create_plist()
    if made.get_layout() == h5py.h5d.VIRTUAL or made.get_external_count() > 0:
        raise InputError(
            f"{path}: the numbers of {name} lie in another file, which is not read; copy them into the file (h5repack)"
        )
