"""RDMs as HDF5 files that rsatoolbox reads.

rsatoolbox writes text as ASCII bytes and raises for an identity called José. Descriptors with other characters are
written as attributes, which rsatoolbox reads as text; everything else is written by rsatoolbox.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError

__all__ = ["NamedRDMs", "write_rdms"]

DESCRIPTORS = ("descriptors", "rdm_descriptors", "pattern_descriptors")


class NamedRDMs(RDMs):
    """rsatoolbox RDMs whose ``save`` accepts names in any script.

    Parameters
    ----------
    dissimilarities, dissimilarity_measure, descriptors, rdm_descriptors, pattern_descriptors
        As ``rsatoolbox.rdm.RDMs`` takes them.
    """

    def save(self, filename: str | Path, file_type: str = "hdf5", overwrite: bool = False) -> None:
        """Save to a file, as ``rsatoolbox.rdm.RDMs.save`` does, with descriptors in any script."""
        if file_type != "hdf5" or not isinstance(filename, (str, Path)):
            super().save(filename, file_type=file_type, overwrite=overwrite)
            return
        if Path(filename).exists():
            if not overwrite:
                raise ValueError("File already exists!")
            Path(filename).unlink()
        write_rdms(self, filename)


def write_rdms(rdms: RDMs, path: str | Path) -> None:
    """Write RDMs as HDF5; ``rsatoolbox.rdm.load_rdm`` opens the file and gives equal RDMs.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        Names of any script; equal RDMs give equal bytes.
    path : str or pathlib.Path
        New file, with the suffix ``.hdf5``.

    Raises
    ------
    InputError
        If a descriptor holds a text that no file can: one with a NUL, or half of a character.
    """
    content = rdms.to_dict()
    if not any(_is_beyond_ascii(name, values) for part in DESCRIPTORS for name, values in content[part].items()):
        RDMs.save(rdms, str(path))
        return
    # Before this version of the format an attribute takes 64 kB at most: some 4,000 names.
    with h5py.File(path, "x", libver=("v108", "latest")) as file:
        file.attrs["rsatoolbox_version"] = metadata.version("rsatoolbox")
        file.attrs["dissimilarity_measure"] = str(rdms.dissimilarity_measure)
        file["dissimilarities"] = rdms.dissimilarities
        for part in DESCRIPTORS:
            group = file.create_group(part)
            for name, values in content[part].items():
                _add(group, name, values)


def _add(group: h5py.Group, name: str, values: Any) -> None:
    """Write one descriptor as ``rsatoolbox.io.hdf5`` does, and texts beyond ASCII as an attribute."""
    if isinstance(values, str):
        group.attrs[name] = str(values)
    elif _is_beyond_ascii(name, values):
        group.attrs.create(name, np.array([str(value) for value in values], dtype=object), dtype=h5py.string_dtype())
    else:
        values = np.asarray(values)
        group[name] = values.astype("S") if values.dtype.kind == "U" else values


def _is_beyond_ascii(name: str, values: Any) -> bool:
    """Whether a descriptor holds text that is not ASCII."""
    if isinstance(values, str):
        values = [values]
    if not isinstance(values, (list, tuple, np.ndarray)) or not any(isinstance(value, str) for value in values):
        return False
    for value in values:
        text = str(value)
        if "\0" in text or _is_torn(text):
            raise InputError(f"descriptor {name!r} holds {text!r}, which a file cannot store as text; rename it")
    return not all(str(value).isascii() for value in values)


def _is_torn(text: str) -> bool:
    """Whether a text holds half of a character, as names of files that are no UTF-8 do."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
