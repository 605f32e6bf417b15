"""Results of steps as bytes and back: arrays, tables, RDMs and what JSON holds; never a pickle.

A value is one uncompressed zip: ``tree.json`` holds the structure, arrays are ``.npy``, tables Parquet.
"""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from typing import Any

import numpy as np
import pandas as pd
from rsatoolbox.rdm import RDMs

from neural_data.stimuli import StimulusSet
from neurocompare.comparison.fit_result import FitResult
from neurocompare.measures.declaration import LayerRdms, Measured, Patches
from neurocompare.models.inspection import Manner
from neurocompare.models.layers import Layer
from neurocompare.models.registry import Inspected

__all__ = ["RECORDS", "pack", "unpack"]

RECORDS = {record.__name__: record for record in (FitResult, Inspected, Layer, LayerRdms, Manner, Measured, Patches)}
"""Dataclasses that steps exchange, by name; packed field by field."""

_EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(value: Any) -> bytes:
    """Bytes of a value; equal values give equal bytes.

    Parameters
    ----------
    value : object
        Made of None, numbers, text, bytes, lists, tuples, dictionaries, NumPy arrays (no objects),
        DataFrames, RDMs, stimulus sets in memory and :data:`RECORDS`.

    Returns
    -------
    bytes

    Raises
    ------
    TypeError
        If it contains any other type.
    """
    parts: dict[str, bytes] = {}
    tree = _taken_apart(value, parts)
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in {"tree.json": json.dumps(tree).encode(), **parts}.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content)
    return held.getvalue()


def unpack(content: bytes) -> Any:
    """The value that :func:`pack` was given.

    Raises
    ------
    ValueError
        If the bytes are damaged or not from :func:`pack`.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        return _put_together(json.loads(parts["tree.json"]), parts)
    except (zipfile.BadZipFile, KeyError, EOFError, OSError) as error:
        raise ValueError(f"not a packed value, or a damaged one ({error})") from error


def _taken_apart(value: Any, parts: dict[str, bytes]) -> Any:
    """JSON tree of a value; what JSON cannot hold goes into the parts."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bytes):
        return {"bytes": _added(parts, "bin", value)}
    if isinstance(value, np.ndarray):
        held = io.BytesIO()
        np.save(held, value, allow_pickle=False)
        return {"array": _added(parts, "npy", held.getvalue())}
    if isinstance(value, pd.DataFrame):
        held = io.BytesIO()
        value.to_parquet(held)
        return {"table": _added(parts, "parquet", held.getvalue())}
    if isinstance(value, RDMs):
        content = {
            "dissimilarities": value.dissimilarities,
            "measure": value.dissimilarity_measure,
            "descriptors": value.descriptors,
            "rdm": {name: _plain(values) for name, values in value.rdm_descriptors.items()},
            "pattern": {name: _plain(values) for name, values in value.pattern_descriptors.items()},
        }
        return {"rdms": _taken_apart(content, parts)}
    if isinstance(value, StimulusSet):
        if value.pixels is None or value.transforms:
            raise TypeError("only stimulus sets in memory, without transforms, can be packed")
        content = {"table": value.table, "pixels": value.pixels, "name": value.name}
        return {"stimuli": _taken_apart(content, parts)}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_taken_apart(item, parts) for item in value]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _taken_apart(item, parts) for key, item in value.items()}}
    if isinstance(value, dict):
        return {"pairs": [[_taken_apart(part, parts) for part in item] for item in value.items()]}
    if type(value) is RECORDS.get(type(value).__name__):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {"record": [type(value).__name__, _taken_apart(fields, parts)]}
    raise TypeError(f"cannot pack a {type(value).__name__}")


def _put_together(tree: Any, parts: dict[str, bytes]) -> Any:
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    match kind:
        case "bytes":
            return parts[content]
        case "array":
            return np.load(io.BytesIO(parts[content]), allow_pickle=False)
        case "table":
            return pd.read_parquet(io.BytesIO(parts[content]))
        case "list":
            return [_put_together(item, parts) for item in content]
        case "tuple":
            return tuple(_put_together(item, parts) for item in content)
        case "dict":
            return {key: _put_together(item, parts) for key, item in content.items()}
        case "pairs":
            return {_put_together(key, parts): _put_together(item, parts) for key, item in content}
        case "record" if content[0] in RECORDS:
            return RECORDS[content[0]](**_put_together(content[1], parts))
        case "stimuli":
            return StimulusSet(**_put_together(content, parts))
        case "rdms":
            held = _put_together(content, parts)
            return RDMs(
                held["dissimilarities"],
                dissimilarity_measure=held["measure"],
                descriptors=held["descriptors"],
                rdm_descriptors=held["rdm"],
                pattern_descriptors=held["pattern"],
            )
    raise ValueError(f"a packed value holds a part of unknown kind {kind!r}")


def _added(parts: dict[str, bytes], ending: str, content: bytes) -> str:
    name = f"{len(parts)}.{ending}"
    parts[name] = content
    return name


def _plain(values: Any) -> list:
    return np.asarray(values).tolist()
