"""Variables of MATLAB files, of version 5 and of version 7.3, as plain Python values.

Nothing in a file is executed: structs become dictionaries, cell arrays lists, numbers arrays.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from scipy.io import loadmat, whosmat
from scipy.io.matlab import MatReadError

from neural_data.errors import InputError

__all__ = ["read_variables", "variable_names"]

LARGEST_ELEMENTS = 500_000_000
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
    zlib.error,
)


def variable_names(path: Path) -> list[str]:
    """Names of the variables in a MATLAB file.

    Raises
    ------
    InputError
        If the file is damaged or not from MATLAB.
    """
    try:
        if is_version_73(path):
            with h5py.File(path) as file:
                return [name for name in file if not name.startswith("#")]
        listed = whosmat(path)
    except _UNREADABLE as error:
        raise InputError(_damaged(path, error)) from error
    for name, shape, _ in listed:
        if np.prod(shape, dtype=float) > LARGEST_ELEMENTS:
            raise InputError(f"{path}: variable {name} claims {shape} elements; at most {LARGEST_ELEMENTS:,} are read")
    return [name for name, _, _ in listed]


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
        Structs as dictionaries, cell arrays as lists, scalars as numbers; vectors have one dimension.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    try:
        if is_version_73(path):
            with h5py.File(path) as file:
                return {name: _from_hdf5(file[name], file) for name in names}
        loaded = loadmat(path, variable_names=names, simplify_cells=True)
        return {name: _plain(loaded[name]) for name in names}
    except _UNREADABLE as error:
        raise InputError(_damaged(path, error)) from error


def is_version_73(path: Path) -> bool:
    """Whether a MATLAB file is an HDF5 file inside."""
    with path.open("rb") as file:
        return file.read(10) == b"MATLAB 7.3"


def _damaged(path: Path, error: BaseException) -> str:
    return (
        f"{path}: not readable as a MATLAB file ({type(error).__name__}: {error}); it may be truncated, copy it again "
        "from its source"
    )


def _plain(value: object) -> object:
    """Cell arrays (object arrays) as lists, structs likewise all the way down."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return [_plain(item) for item in value.ravel(order="F")]
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _from_hdf5(item: h5py.Group | h5py.Dataset, file: h5py.File) -> object:
    """MATLAB value of a version 7.3 file; arrays are stored transposed, texts as character codes."""
    if isinstance(item, h5py.Group):
        return {name: _from_hdf5(item[name], file) for name in item}
    if item.size > LARGEST_ELEMENTS:
        raise ValueError(f"{item.name} claims {item.shape} elements")
    kind = item.attrs.get("MATLAB_class", b"")
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if item.attrs.get("MATLAB_empty", 0):
        return "" if kind == "char" else [] if kind == "cell" else np.zeros(0)
    values = item[()]
    if h5py.check_ref_dtype(item.dtype) is not None:
        return [_from_hdf5(file[reference], file) for reference in np.ravel(values)]
    if kind == "char":
        return "".join(chr(code) for code in np.ravel(values))
    values = np.asarray(values).T
    squeezed = np.squeeze(values)
    return squeezed.item() if squeezed.ndim == 0 else squeezed
