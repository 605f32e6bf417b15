"""Variables of MATLAB files, of version 5 and of version 7.3, as plain Python values.

Nothing in a file is executed: structs become dictionaries, cell arrays lists, numbers arrays. The size that a variable
declares is checked before it is loaded.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from scipy.io import loadmat, whosmat
from scipy.io.matlab import MatReadError, mat_struct

from neural_data.errors import InputError
from neural_data.formats.bounds import DEEPEST, checked_file, one_line, refuse_claim
from neural_data.formats.hdf5 import array_of, closed_hdf5
from neural_data.formats.matlab_elements import check_elements

__all__ = ["is_version_73", "read_variables", "variable_names", "variable_shapes"]

MOST_CELLS = 2_000_000
_COMPRESSED = 15
_BYTES = {"int8": 1, "uint8": 1, "logical": 1, "char": 4, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "single": 4}
"""Bytes of a number or character in memory, by MATLAB class; 8 for all others."""
_UNREADABLE = (
    MatReadError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OSError,
    EOFError,
    NotImplementedError,
    MemoryError,
    OverflowError,
    RuntimeError,
    NameError,
    struct.error,
    zlib.error,
)


def variable_names(path: Path) -> list[str]:
    """Names of the variables in a MATLAB file.

    Raises
    ------
    InputError
        If the file is damaged or not from MATLAB.
    """
    return list(variable_shapes(path))


def variable_shapes(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and class (``double``, ``cell``, ``struct``, ``char``, ...) of each variable, without loading any.

    Raises
    ------
    InputError
        If the file is damaged, not from MATLAB, or a variable would take more memory than is allowed.
    """
    checked_file(path)
    if is_version_73(path):
        with closed_hdf5(path, what="a MATLAB file") as file:
            return {name: _shape_73(file[name]) for name in file if not name.startswith("#")}
    try:
        _check_claims(path)
        listed = whosmat(path)
    except InputError:
        raise
    except _UNREADABLE as error:
        raise InputError(_damaged(path, error)) from error
    for name, shape, kind in listed:
        n_bytes = np.prod(shape, dtype=float) * _BYTES.get(kind, 8)
        refuse_claim(n_bytes, path, f"variable {name} ({' x '.join(map(str, shape))})")
    return {name: (tuple(shape), kind) for name, shape, kind in listed}


def read_variables(path: Path, names: Sequence[str]) -> dict[str, object]:
    """Variables of a MATLAB file.

    Parameters
    ----------
    path : Path
        A ``.mat`` file.
    names : sequence of str
        Variables that :func:`variable_names` lists.

    Returns
    -------
    dict of str to numpy.ndarray, dict, list, str or number
        Structs as dictionaries, arrays of structs and cell arrays as lists, scalars as numbers; vectors have one
        dimension; a matrix of characters is a list of its rows, without padding blanks.

    Raises
    ------
    InputError
        If the file is damaged or would take more memory than is allowed.
    """
    variable_shapes(path)
    if is_version_73(path):
        with closed_hdf5(path, what="a MATLAB file") as file:
            return {name: _Reader(file, path).value(file[name]) for name in names}
    try:
        check_elements(path)
        loaded = loadmat(path, variable_names=list(names), simplify_cells=True)
        return {name: _plain(loaded[name]) for name in names}
    except _UNREADABLE as error:
        raise InputError(_damaged(path, error)) from error


def is_version_73(path: Path) -> bool:
    """Whether a MATLAB file is of version 7.3, which is HDF5."""
    with path.open("rb") as file:
        return file.read(10) == b"MATLAB 7.3"


def _damaged(path: Path, error: BaseException) -> str:
    return (
        f"{path}: not readable as a MATLAB file ({type(error).__name__}: {one_line(error)}); it may be truncated, copy "
        "it again from its source"
    )


def _check_claims(path: Path) -> None:
    """Refuse compressed variables of a version 5 file that unpack to more than the allowed memory."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(128)
        order = "<" if head[126:128] == b"IM" else ">"
        if head[126:128] not in (b"IM", b"MI"):
            return  # version 4 has neither header nor compression
        while len(tag := file.read(8)) == 8:
            kind, n_bytes = struct.unpack(f"{order}II", tag)
            if n_bytes > size:
                raise ValueError(f"an element claims {n_bytes:,} bytes, and the file has {size:,}")
            if kind == _COMPRESSED:
                start = zlib.decompressobj().decompress(file.read(min(n_bytes, 4096)), 8)
                if len(start) == 8:
                    unpacked = struct.unpack(f"{order}II", start)[1]
                    refuse_claim(unpacked, path, "a compressed variable", on_disk=n_bytes)
                file.seek(max(n_bytes - 4096, 0), 1)
            else:
                file.seek(n_bytes, 1)


def _plain(value: object) -> object:
    """Cell arrays (object arrays) as lists and structs as dictionaries, at every depth."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, mat_struct):  # SciPy does not convert structs in arrays of more than two dimensions
        return {key: _plain(getattr(value, key)) for key in value._fieldnames}
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return [_plain(item) for item in value.ravel(order="F")]
    if isinstance(value, np.ndarray) and value.dtype.kind == "U":
        return [str(text).rstrip() for text in value.ravel(order="F")]
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _kind_73(item: h5py.Group | h5py.Dataset) -> str:
    kind = item.attrs.get("MATLAB_class", b"")
    kind = kind.decode("ascii", "replace") if isinstance(kind, bytes) else str(kind)
    return kind or ("struct" if isinstance(item, h5py.Group) else "")


def _shape_73(item: h5py.Group | h5py.Dataset) -> tuple[tuple[int, ...], str]:
    """Shape in MATLAB's order, the reverse of HDF5's, and class."""
    shape = (1, 1) if isinstance(item, h5py.Group) else tuple(reversed(item.shape or ()))
    return shape, _kind_73(item)


class _Reader:
    """MATLAB values of a version 7.3 file; arrays are stored transposed, texts as character codes.

    Parameters
    ----------
    file : h5py.File
    path : Path
    """

    def __init__(self, file: h5py.File, path: Path):
        self.file = file
        self.path = path
        self.n_read = 0

    def value(self, item: h5py.Group | h5py.Dataset, depth: int = 0) -> object:
        """Value of a group or dataset, with everything it refers to."""
        self.n_read += 1
        if depth > DEEPEST or self.n_read > MOST_CELLS:
            raise InputError(f"{self.path}: {item.name} is nested too deeply, or in itself; save it again")
        if isinstance(item, h5py.Group):
            return self._struct(item, depth)
        kind = _kind_73(item)
        if item.attrs.get("MATLAB_empty", 0):
            return "" if kind == "char" else [] if kind == "cell" else np.zeros(0)
        values = array_of(item, self.path)
        if h5py.check_ref_dtype(item.dtype) is not None:
            # MATLAB counts column by column; HDF5 stores its dimensions in reverse order.
            return [self.value(self.file[reference], depth + 1) for reference in np.ravel(values)]
        if kind == "char":
            rows = np.atleast_2d(np.asarray(values).T)
            texts = ["".join(map(chr, row)) for row in rows.reshape(len(rows), -1).tolist()]
            return texts[0] if len(texts) == 1 else [text.rstrip() for text in texts]
        squeezed = np.squeeze(np.asarray(values).T)
        return squeezed.item() if squeezed.ndim == 0 else squeezed

    def _struct(self, group: h5py.Group, depth: int) -> dict | list:
        """One struct, or a list of structs, which MATLAB stores as one array of references per field."""
        fields = {name: group[name] for name in group}
        listed = {
            name: item
            for name, item in fields.items()
            if isinstance(item, h5py.Dataset)
            and h5py.check_ref_dtype(item.dtype) is not None
            and "MATLAB_class" not in item.attrs
        }
        if listed and len(listed) == len(fields) and "MATLAB_class" in group.attrs:
            values = {name: self.value(item, depth + 1) for name, item in listed.items()}
            columns = {
                name: value if isinstance(value, list) else list(np.ravel(np.asarray(value)))
                for name, value in values.items()
            }
            lengths = {len(column) for column in columns.values()}
            if len(lengths) != 1:
                raise InputError(f"{self.path}: the fields of {group.name} differ in length; save it again")
            return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return {name: self.value(item, depth + 1) for name, item in fields.items()}
