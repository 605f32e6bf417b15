"""Reads RDMs from files of common formats.

rsatoolbox's HDF5, NumPy's ``.npy`` and ``.npz``, MATLAB files (matrices, vectors, stacks, arrays of structs),
any HDF5 file, and text tables, square or long; the format is detected from the content. Each format is a record of
:data:`RDM_FORMATS`. The result are rsatoolbox RDMs with the pattern descriptor ``stimulus_id``.

A matrix must be one of dissimilarities: symmetric, with zeros (or nothing) on its diagonal. A vector is an upper
triangle row by row, as ``squareform`` of SciPy and MATLAB gives it.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import pandas as pd
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError, closest
from neural_data.formats.bounds import checked_file, one_line, refuse_claim
from neural_data.formats.cells import Cells, is_number, looks_like_text, numbers_in, read_cells
from neural_data.formats.hdf5 import SIGNATURE, array_of, closed_hdf5, dataset_shapes
from neural_data.formats.matlab import read_variables, variable_shapes
from neural_data.naming import fields_in, matched_ids
from neural_data.recording_form import as_text
from neural_data.stimuli import StimulusSet
from neurocompare.representations.rdms import build_rdms, pattern_table, rdm_table

__all__ = ["RDM_FORMATS", "RdmFormat", "read_rdms"]

SYMMETRIC = 1e-6
"""Largest difference of the two triangles, over the largest dissimilarity: float32 files differ by about this."""
FEWEST = 3
PAIR_COLUMNS = ("stimulus_1", "stimulus_2", "dissimilarity")
_NAMES_OF_LABELS = (
    "stimulus_id",
    "image_id",
    "conds",
    "condition",
    "conditions",
    "stimulus",
    "stimuli",
    "image",
    "names",
)
"""Descriptors and variables that are taken as labels of patterns by default."""


@dataclass(frozen=True)
class _Found:
    """Dissimilarities and descriptors read from a file.

    Parameters
    ----------
    vectors : array of shape (n_rdms, n_pairs)
    patterns : mapping of str to sequence of length n_patterns
        Pattern descriptors of the file.
    rdms : mapping of str to sequence of length n_rdms
        RDM descriptors of the file, such as ``name``.
    measure : str
    """

    vectors: np.ndarray
    patterns: Mapping[str, Sequence] = field(default_factory=dict)
    rdms: Mapping[str, Sequence] = field(default_factory=dict)
    measure: str = "unknown"


@dataclass(frozen=True)
class RdmFormat:
    """A file format of RDMs.

    Parameters
    ----------
    name, title : str
        Names for messages.
    detect : callable
        Whether the first bytes of a file are those of this format.
    read : callable
        ``(path, variable)`` to the content; ``variable`` is None if the caller named none.
    """

    name: str
    title: str
    detect: Callable[[bytes], bool]
    read: Callable[[Path, str | None], _Found]


def read_rdms(
    source: str | Path | np.ndarray | RDMs,
    *,
    variable: str | None = None,
    match_by: str | None = None,
    stimuli: StimulusSet | Sequence[str] | None = None,
    names: str | Sequence[str] | None = None,
    name_pattern: str | None = None,
    average: str | Sequence[str] = (),
    kind: str | None = None,
) -> RDMs:
    """RDMs from a file, or from an array, with their patterns labelled.

    Parameters
    ----------
    source : str, Path, array or rsatoolbox.rdm.RDMs
        A file: rsatoolbox HDF5, ``.npy``, ``.npz``, MATLAB, HDF5, CSV. Or an array of shape (n, n), (n_rdms, n, n) or
        (n_rdms, n_pairs), or RDMs.
    variable : str or None
        Variable (dataset, array) of the file; ``"Models.RDM"`` is a field of structs. None takes the only variable that
        can be RDMs.
    match_by : str or None
        Pattern descriptor (or variable of the file) that identifies the stimuli. None takes ``stimulus_id``, or the
        only descriptor with unique values.
    stimuli : StimulusSet, sequence of str or None
        The stimuli of the patterns. If the file labels its patterns, these are matched to the ids of the set (with or
        without extension and folder; or to the set's column ``match_by``, if it has one), and the order of the file is
        kept. Without labels, patterns are taken to be in the order of the set.
    names : str, sequence of str or None
        RDMs to take, by their ``name``; None takes all.
    name_pattern : str or None
        Pattern that reads descriptors from their names: ``"{region} | {subject} | Session: {session}"`` makes three
        descriptors.
    average : str or sequence of str
        Descriptors to average over, such as ``"session"``: RDMs that agree in all other descriptors are averaged.
    kind : {"model", "recording"} or None
        Adds the descriptor ``model`` or ``region``, from the names of the RDMs, if the file has none.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        Pattern descriptors ``stimulus_id`` and the labels of the stimuli; RDM descriptors of the file.

    Raises
    ------
    InputError
        If the file holds no RDMs or several variables with RDMs, or its patterns are unnamed or not those of the set.

    Examples
    --------
    >>> read_rdms("92_modelRDMs.mat", stimuli=stimuli, kind="model")  # doctest: +SKIP
    """
    found, where = _found(source, variable)
    if match_by is not None and match_by not in found.patterns and isinstance(source, (str, Path)):
        found = _with_labels(found, Path(source), match_by, stimuli)
    patterns = _patterns(found, match_by, stimuli, where)
    rdms = pd.DataFrame({name: list(values) for name, values in found.rdms.items()}, index=range(len(found.vectors)))
    vectors = found.vectors
    if names is not None:
        vectors, rdms = _chosen(vectors, rdms, [names] if isinstance(names, str) else list(names), where)
    if name_pattern is not None:
        rdms = _named(rdms, name_pattern, where)
    over = [average] if isinstance(average, str) else list(average)
    if over:
        vectors, rdms = _averaged(vectors, rdms, over, where)
    rdms = _described(rdms, kind)
    return build_rdms(vectors, patterns=patterns, rdms=rdms.to_dict("list"), dissimilarity=found.measure)


def _found(source: str | Path | np.ndarray | RDMs, variable: str | None) -> tuple[_Found, str]:
    if isinstance(source, RDMs):
        patterns = (
            pattern_table(source).reset_index()
            if "stimulus_id" in source.pattern_descriptors
            else pattern_table(source)
        )
        measure = str(source.dissimilarity_measure or "unknown")
        return _Found(
            source.get_vectors(), patterns.to_dict("list"), rdm_table(source).to_dict("list"), measure
        ), "RDMs"
    if isinstance(source, np.ndarray):
        return _Found(_vectors(source, "the array")), "the array"
    path = checked_file(source, "file of RDMs")
    with path.open("rb") as file:
        head = file.read(4096)
    for entry in RDM_FORMATS:
        if entry.detect(head):
            return entry.read(path, variable), str(path)
    raise InputError(
        f"{path}: is not a file of RDMs in a known format; formats are {', '.join(e.title for e in RDM_FORMATS)}"
    )


def _vectors(values: Any, where: str) -> np.ndarray:
    """Upper triangles (n_rdms, n_pairs) of matrices or vectors, checked to be dissimilarities."""
    array = np.asarray(values)
    if array.dtype.kind not in "buif":
        raise InputError(f"{where} holds no numbers; RDMs are needed")
    array = array.astype(float)
    if np.isinf(array).any():
        raise InputError(f"{where} holds infinite dissimilarities; write NaN for pairs that were not measured")
    found = _as_vectors(array)
    if found is None:
        raise InputError(
            f"{where} is {' x '.join(map(str, array.shape)) or 'one number'}; RDMs are square matrices, stacks of "
            "them, or upper triangles as vectors"
        )
    if isinstance(found, str):
        raise InputError(f"{where} {found}")
    return found


def _as_vectors(array: np.ndarray) -> np.ndarray | str | None:
    """Upper triangles; or a text, why matrices are not RDMs; or None for other shapes."""
    if array.ndim == 2 and array.shape[0] == array.shape[1] and array.shape[0] >= FEWEST:
        array = array[None]
    if array.ndim == 1 or (array.ndim == 2 and array.shape[0] != array.shape[1]):
        rows = np.atleast_2d(array)
        rows = rows if _n_patterns(rows.shape[1]) else rows.T
        return rows if _n_patterns(rows.shape[1]) else None
    if array.ndim != 3:
        return None
    stacks = [a for a in (array, np.moveaxis(array, -1, 0)) if a.shape[1] == a.shape[2] and a.shape[1] >= FEWEST]
    if not stacks:
        return None
    wrong = [_no_rdms(stack) for stack in stacks]
    if "" not in wrong:
        return wrong[0]
    stack = stacks[wrong.index("")]
    upper = np.triu_indices(stack.shape[1], 1)
    first, second = stack[:, upper[0], upper[1]], stack[:, upper[1], upper[0]]
    # One triangle may be empty; the pairs are then in the other.
    return np.where(np.isnan(first), second, first)


def _no_rdms(stack: np.ndarray) -> str:
    """Why matrices are not RDMs; empty if they are."""
    diagonal = np.diagonal(stack, axis1=1, axis2=2)
    size = np.nanmax(np.abs(stack), initial=0.0)
    largest = np.nanmax(np.abs(diagonal), initial=0.0)
    if largest > SYMMETRIC * max(size, 1e-300):
        if np.allclose(diagonal, 1.0) and size <= 1 + SYMMETRIC:
            return "has ones on its diagonal: similarities, it seems; give dissimilarities, such as 1 - r"
        return f"has {largest:g} on its diagonal; a dissimilarity of a stimulus to itself is 0"
    apart = np.nanmax(np.abs(stack - stack.swapaxes(1, 2)), initial=0.0)
    return f"is not symmetric: triangles differ by up to {apart:g}" if apart > SYMMETRIC * size else ""


def _n_patterns(n_pairs: int) -> int:
    """Number of patterns of an upper triangle with ``n_pairs`` pairs; 0 if there is none."""
    n = round((1 + np.sqrt(1 + 8 * n_pairs)) / 2)
    return n if n >= FEWEST and n * (n - 1) // 2 == n_pairs else 0


def _patterns(
    found: _Found, match_by: str | None, stimuli: StimulusSet | Sequence[str] | None, where: str
) -> pd.DataFrame:
    """Pattern descriptors with ``stimulus_id`` as the index, in the order of the file."""
    n = _n_patterns(found.vectors.shape[1])
    table = pd.DataFrame({name: list(values) for name, values in found.patterns.items()}, index=range(n))
    label = _label_of(table, match_by, where, needed=stimuli is None)
    known = stimuli.table if isinstance(stimuli, StimulusSet) else None
    wanted = None
    if stimuli is not None:
        wanted = stimuli.ids if isinstance(stimuli, StimulusSet) else [str(name) for name in stimuli]
    if label is None and wanted is not None:
        if len(wanted) != n:
            raise InputError(
                f"{where}: its {n} patterns have no names, but {len(wanted)} stimuli are given to name them in order; "
                "give as many, or a file whose patterns are named"
            )
        ids = wanted
    else:
        ids = as_text(table[label].to_numpy()).tolist()
        if wanted is not None:
            ids = _ids_of_set(ids, wanted, known, match_by, where)
    if len(set(ids)) != len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise InputError(f"{where}: the pattern {twice!r} occurs twice; name them by another descriptor (match_by=...)")
    table = table.drop(columns="stimulus_id", errors="ignore").set_index(pd.Index(ids, name="stimulus_id"))
    if known is not None:
        more = known.loc[ids]
        table = table.assign(**{name: more[name].to_numpy() for name in more.columns if name not in table.columns})
    return table


def _label_of(table: pd.DataFrame, match_by: str | None, where: str, *, needed: bool) -> str | None:
    if match_by is not None and match_by in table.columns:
        return match_by
    if match_by is not None and needed:
        raise InputError(f"{where}: no pattern descriptor {match_by!r}: {closest(match_by, map(str, table.columns))}")
    named = [name for name in _NAMES_OF_LABELS if name in table.columns]
    telling = [str(c) for c in table.columns if c != "index" and table[c].astype(str).nunique() == len(table)]
    if named and named[0] in telling:
        return named[0]
    if len(telling) == 1:
        return telling[0]
    if not needed:
        return None
    if telling:
        raise InputError(
            f"{where}: which descriptor identifies the stimuli? Give match_by, one of {', '.join(telling)}"
        )
    raise InputError(
        f"{where}: its patterns have no names; give their stimuli in order (stimuli=..., a stimulus set or ids)"
    )


def _ids_of_set(
    labels: list[str], wanted: list[str], known: pd.DataFrame | None, match_by: str | None, where: str
) -> list[str]:
    """Ids of a set for the labels of a file."""
    names = wanted
    if known is not None and match_by is not None and match_by != "stimulus_id" and match_by in known.columns:
        names = as_text(known[match_by].to_numpy()).tolist()
        if len(set(names)) != len(names):
            raise InputError(f"{where}: the column {match_by!r} of the stimulus set repeats values; match by another")
    of_name = dict(zip(names, wanted, strict=True))
    matched = matched_ids(names, labels)
    absent = [label for label in labels if label not in matched]
    if absent:
        raise InputError(
            f"{where}: {len(absent)} of {len(labels)} patterns are not in the stimulus set (first: {absent[0]!r}; "
            f"{closest(absent[0], names)}); match them by another descriptor (match_by=...)"
        )
    return [of_name[matched[label]] for label in labels]


def _with_labels(found: _Found, path: Path, name: str, stimuli: StimulusSet | Sequence[str] | None) -> _Found:
    """The RDMs with labels from another variable of the file, if it has one of this name."""
    try:
        values = _variable(path, name)
    except InputError:
        if stimuli is not None:
            return found  # it names a column of the set
        raise
    labels = values if isinstance(values, list) else np.ravel(values).tolist()
    if isinstance(values, np.ndarray) and values.dtype.kind in "SO":
        labels = as_text(values.ravel()).tolist()
    n = _n_patterns(found.vectors.shape[1])
    if len(labels) != n:
        raise InputError(f"{path}: {name} has {len(labels)} values, but the RDMs have {n} patterns")
    return _Found(found.vectors, {**found.patterns, name: labels}, found.rdms, found.measure)


def _chosen(vectors: np.ndarray, rdms: pd.DataFrame, names: list[str], where: str) -> tuple[np.ndarray, pd.DataFrame]:
    if "name" not in rdms.columns:
        raise InputError(
            f"{where}: its RDMs have no names to select by; descriptors are {', '.join(rdms.columns) or 'bare'}"
        )
    known = rdms["name"].astype(str).tolist()
    rows = []
    for name in names:
        if name not in known:
            raise InputError(f"{where}: no RDM is called {name!r}: {closest(name, known)}")
        rows += [row for row, found in enumerate(known) if found == name]
    return vectors[rows], rdms.iloc[rows].reset_index(drop=True)


def _named(rdms: pd.DataFrame, pattern: str, where: str) -> pd.DataFrame:
    if "name" not in rdms.columns:
        raise InputError(f"{where}: its RDMs have no names for name_pattern; leave it out")
    found = []
    for name in rdms["name"]:
        fields = fields_in(str(name), pattern)
        if fields is None:
            raise InputError(f"{where}: the name {name!r} does not fit {pattern!r}")
        found.append(fields)
    return rdms.assign(**{key: [fields[key] for fields in found] for key in found[0]})


def _averaged(vectors: np.ndarray, rdms: pd.DataFrame, over: list[str], where: str) -> tuple[np.ndarray, pd.DataFrame]:
    """Means of RDMs that agree in all descriptors except ``over`` (and the name)."""
    for name in over:
        if name not in rdms.columns:
            raise InputError(f"{where}: no RDM descriptor {name!r} to average over: {closest(name, rdms.columns)}")
    made = rdms.drop(columns=[*over, "name", "index"], errors="ignore")
    if made.empty or not len(made.columns):
        return vectors.mean(axis=0, keepdims=True), pd.DataFrame(index=[0])
    groups = made.astype(str).agg("\0".join, axis=1)
    codes, _ = pd.factorize(groups)
    means = np.stack([vectors[codes == code].mean(axis=0) for code in range(codes.max() + 1)])
    return means, made.loc[~groups.duplicated()].reset_index(drop=True)


def _described(rdms: pd.DataFrame, kind: str | None) -> pd.DataFrame:
    needed = {None: "", "model": "model", "recording": "region"}
    if kind not in needed:
        raise InputError(f"there are no RDMs of kind {kind!r}: {closest(str(kind), ('model', 'recording'))}")
    column = needed[kind]
    if not column or column in rdms.columns:
        return rdms
    names = rdms["name"].astype(str) if "name" in rdms.columns else [f"RDM {i + 1}" for i in range(len(rdms))]
    return rdms.assign(**{column: list(names)})


def _variable(path: Path, name: str) -> Any:
    """One variable of a MATLAB, HDF5 or npz file."""
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(b"MATLAB "):
        top, _, field_name = name.partition(".")
        known = variable_shapes(path)
        if top not in known:
            raise InputError(f"{path}: no variable {top!r}: {closest(top, known)}")
        value = read_variables(path, [top])[top]
        return _field(value, field_name, f"{path}: {top}") if field_name else value
    if head.startswith(SIGNATURE):
        with closed_hdf5(path) as file:
            if name not in (held := dataset_shapes(file)):
                raise InputError(f"{path}: no dataset {name!r}: {closest(name, held)}")
            return array_of(file[name], path)
    if head.startswith(b"PK"):
        return _npz_arrays(path, [name])[name]
    raise InputError(f"{path}: has no variables to choose from; leave {name!r} out")


def _field(value: Any, name: str, where: str) -> Any:
    structs = value if isinstance(value, list) else [value]
    if not structs or not all(isinstance(struct, Mapping) for struct in structs):
        raise InputError(f"{where} is not a struct, so it has no field {name!r}")
    if name not in structs[0]:
        raise InputError(f"{where} has no field {name!r}: {closest(name, structs[0])}")
    inner = [struct[name] for struct in structs]
    return inner if isinstance(value, list) else inner[0]


def _from_value(value: Any, where: str) -> _Found:
    """RDMs of one MATLAB value: an array, a struct, or an array of structs with one RDM each."""
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, list):
        return _Found(_vectors(value, where))
    if value and all(isinstance(item, np.ndarray) for item in value):
        return _Found(_stacked([_vectors(item, f"{where}, RDM {i + 1}") for i, item in enumerate(value)], where))
    if not value or not all(isinstance(item, Mapping) for item in value):
        raise InputError(f"{where} holds no RDMs; name the variable that does (variable=...)")
    holders = [name for name in value[0] if _can_be_rdms(value[0][name])]
    if not holders:
        raise InputError(f"{where}: none of its fields is an RDM; they are {', '.join(map(str, value[0]))}")
    largest = max(holders, key=lambda name: np.size(value[0][name]))
    vectors = _stacked([_vectors(item[largest], f"{where}.{largest}") for item in value], where)
    each = len(vectors) // len(value)
    said = {}
    for name in value[0]:
        entries = [item.get(name) for item in value]
        if name != largest and all(isinstance(entry, (str, int, float)) for entry in entries):
            said[str(name)] = [entry for entry in entries for _ in range(each)]
    return _Found(vectors, {}, said)


def _stacked(parts: list[np.ndarray], where: str) -> np.ndarray:
    sizes = {part.shape[1] for part in parts}
    if len(sizes) > 1:
        raise InputError(f"{where}: its RDMs are of different sizes ({', '.join(map(str, sorted(sizes)))} pairs)")
    return np.concatenate(parts)


def _can_be_rdms(value: Any) -> bool:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "buif" or value.size < 6:
        return False
    return bool(np.isfinite(value).any()) and isinstance(_as_vectors(value.astype(float)), np.ndarray)


def _only(candidates: Mapping[str, Any], every: Sequence[str], path: Path) -> str:
    """The only variable that can be RDMs; InputError that lists the candidates otherwise."""
    if len(candidates) == 1:
        return next(iter(candidates))
    if candidates:
        raise InputError(
            f"{path}: {len(candidates)} variables may be RDMs; name one (variable=...): {', '.join(candidates)}"
        )
    raise InputError(f"{path}: none of its variables is an RDM; they are {', '.join(every) or 'nothing'}")


def _read_matlab(path: Path, variable: str | None) -> _Found:
    if variable is not None:
        return _from_value(_variable(path, variable), f"{path}: {variable}")
    shapes = variable_shapes(path)
    values = read_variables(path, list(shapes))
    candidates = {name: value for name, value in values.items() if _holds_rdms(value)}
    chosen = _only(candidates, list(shapes), path)
    return _from_value(values[chosen], f"{path}: {chosen}")


def _holds_rdms(value: Any) -> bool:
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        return all(_can_be_rdms(item) for item in value)
    structs = [value] if isinstance(value, Mapping) else value
    if isinstance(structs, list) and structs and all(isinstance(item, Mapping) for item in structs):
        return any(_can_be_rdms(inner) for inner in structs[0].values())
    return _can_be_rdms(value)


def _read_hdf5(path: Path, variable: str | None) -> _Found:
    if variable is not None:
        return _Found(_vectors(_variable(path, variable), f"{path}: {variable}"))
    with closed_hdf5(path) as file:
        if "dissimilarities" not in file:
            arrays = {
                name: array_of(file[name], path)
                for name, (shape, dtype) in dataset_shapes(file).items()
                if dtype.kind in "buif" and len(shape) in (1, 2, 3)
            }
            candidates = {name: values for name, values in arrays.items() if _can_be_rdms(values)}
            chosen = _only(candidates, list(dataset_shapes(file)), path)
            return _Found(_vectors(arrays[chosen], f"{path}: {chosen}"))
        vectors = _vectors(array_of(file["dissimilarities"], path), f"{path}: dissimilarities")
        n = _n_patterns(vectors.shape[1])
        measure = file.attrs.get("dissimilarity_measure", "unknown")
        return _Found(
            vectors,
            _descriptors(file, "pattern_descriptors", n, path),
            _descriptors(file, "rdm_descriptors", len(vectors), path),
            measure.decode() if isinstance(measure, bytes) else str(measure),
        )


def _descriptors(file: Any, group: str, length: int, path: Path) -> dict[str, list]:
    """Descriptors as rsatoolbox writes them: arrays, or texts as attributes."""
    if group not in file:
        return {}
    found = {}
    for name, values in [*((n, array_of(item, path)) for n, item in file[group].items() if hasattr(item, "shape"))]:
        found[name] = np.ravel(values)
    found |= {name: np.ravel(values) for name, values in file[group].attrs.items()}
    listed = {}
    for name, values in found.items():
        if len(values) == length and name != "index":
            listed[name] = as_text(values).tolist() if values.dtype.kind in "SOU" else values.tolist()
    return listed


def _read_npy(path: Path, variable: str | None) -> _Found:
    if variable is not None:
        raise InputError(f"{path}: holds one array; leave variable {variable!r} out")
    try:
        array = np.load(path, allow_pickle=False, mmap_mode="r")
        refuse_claim(array.size * 8, path, f"an array ({' x '.join(map(str, array.shape))})")
        values = np.array(array)
    except (ValueError, OSError, EOFError, SyntaxError, TypeError, MemoryError, TokenError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not readable as a NumPy array ({one_line(error)})") from error
    return _Found(_vectors(values, str(path)))


def _npz_arrays(path: Path, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Arrays of an npz, after checking their sizes."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            for name in names or []:
                if name not in members:
                    raise InputError(f"{path}: no array {name!r}: {closest(name, members)}")
            chosen = {name: info for name, info in members.items() if names is None or name in names}
            for name, info in chosen.items():
                refuse_claim(info.file_size, path, f"array {name!r}", on_disk=info.compress_size)
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in chosen}
    except (ValueError, OSError, EOFError, KeyError, NotImplementedError, RuntimeError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not readable as an npz ({one_line(error)})") from error


def _read_npz(path: Path, variable: str | None) -> _Found:
    arrays = _npz_arrays(path)
    if variable is not None and variable not in arrays:
        raise InputError(f"{path}: no array {variable!r}: {closest(variable, arrays)}")
    chosen = variable or _only({n: a for n, a in arrays.items() if _can_be_rdms(a)}, list(arrays), path)
    vectors = _vectors(arrays[chosen], f"{path}: {chosen}")
    n = _n_patterns(vectors.shape[1])
    others = {name: array for name, array in arrays.items() if name != chosen and array.ndim == 1}
    patterns = {name: as_text(a).tolist() for name, a in others.items() if len(a) == n and a.dtype.kind in "SUi"}
    rdms = {name: as_text(a).tolist() for name, a in others.items() if len(a) == len(vectors) and a.dtype.kind in "SU"}
    return _Found(vectors, patterns, {} if len(vectors) == n else rdms)


def _read_text(path: Path, variable: str | None) -> _Found:
    if variable is not None:
        raise InputError(f"{path}: a table has no variables; leave {variable!r} out")
    cells = read_cells(path, "table of dissimilarities", heads=None)
    if {"stimulus_1", "stimulus_2"} <= set(cells.table.columns):
        return _from_long(cells, path)
    return _from_square(cells, path)


def _from_square(cells: Cells, path: Path) -> _Found:
    """A square table, with or without labels above and on the left."""
    table = cells.table
    heads = [str(head) for head in table.columns]
    n_rows, n_columns = table.shape
    left = None
    if n_columns == n_rows + 1:
        left, heads, table = table.iloc[:, 0].tolist(), heads[1:], table.iloc[:, 1:]
    elif n_columns == n_rows and not all(is_number(cell) or not cell for cell in table.iloc[:, 0]):
        raise InputError(f"{path}: the first column holds {table.iloc[0, 0]!r}; a square table of numbers is needed")
    if table.shape[0] != table.shape[1]:
        raise InputError(
            f"{path}: {n_rows} rows and {n_columns} columns; give a square table, or a long one with the columns "
            f"{', '.join(PAIR_COLUMNS)}"
        )
    bare = all(re.fullmatch(r"column \d+", head) for head in heads)
    numbers, _ = numbers_in(Cells(table, cells.lines, cells.delimiter), list(table.columns), path)
    values = numbers.to_numpy()
    labels = left if bare else heads
    if left is not None and not bare and left != heads:
        if sorted(left) != sorted(heads):
            raise InputError(f"{path}: rows are called {left[:3]} and columns {heads[:3]}; they must be the same")
        values = values[[left.index(head) for head in heads]]
    patterns = {} if labels is None else {"stimulus_id": labels}
    return _Found(_vectors(values, str(path)), patterns)


def _from_long(cells: Cells, path: Path) -> _Found:
    """RDMs from one row per pair: ``stimulus_1, stimulus_2, dissimilarity``, and ``name`` for several RDMs."""
    table = cells.table
    if "dissimilarity" not in table.columns:
        raise InputError(f"{path}: no column 'dissimilarity': {closest('dissimilarity', table.columns)}")
    numbers, _ = numbers_in(cells, ["dissimilarity"], path)
    names = table["name"] if "name" in table.columns else pd.Series([""] * len(table))
    ids = list(dict.fromkeys([*table["stimulus_1"], *table["stimulus_2"]]))
    place = {stimulus_id: number for number, stimulus_id in enumerate(ids)}
    rows, columns = (table[name].map(place).to_numpy() for name in PAIR_COLUMNS[:2])
    codes, called = pd.factorize(names)
    stack = np.full((len(called), len(ids), len(ids)), np.nan)
    stack[:, range(len(ids)), range(len(ids))] = 0.0
    values = numbers["dissimilarity"].to_numpy()
    for row, (code, i, j) in enumerate(zip(codes, rows, columns, strict=True)):
        same = stack[code, i, j]
        if i != j and not np.isnan(same) and abs(same - values[row]) > SYMMETRIC * max(abs(same), 1e-300):
            raise InputError(
                f"{path}: line {cells.lines[row]} gives another dissimilarity of {ids[i]!r} and {ids[j]!r} than an "
                "earlier line; keep one of them"
            )
        stack[code, i, j] = stack[code, j, i] = values[row]
    rdms = {"name": [str(name) for name in called]} if "name" in table.columns else {}
    return _Found(_vectors(stack, str(path)), {"stimulus_id": ids}, rdms)


RDM_FORMATS = (
    RdmFormat("matlab", "MATLAB", lambda head: head.startswith(b"MATLAB "), _read_matlab),
    RdmFormat("hdf5", "rsatoolbox and other HDF5", lambda head: head.startswith(SIGNATURE), _read_hdf5),
    RdmFormat("npy", "NumPy .npy", lambda head: head.startswith(b"\x93NUMPY"), _read_npy),
    RdmFormat("npz", "NumPy .npz", lambda head: head.startswith(b"PK\x03\x04"), _read_npz),
    RdmFormat("text", "CSV, square or long", looks_like_text, _read_text),
)
"""File formats of RDMs. To add one, add its record here."""
