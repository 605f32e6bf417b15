"""Reads any MATLAB or HDF5 file that holds a matrix of responses, given the names of its variables.

``read_recording(path, variables={"responses": "rates", "stimulus_id": "stim"})`` takes ``rates`` as the responses
and ``stim`` as the stimulus of each row. Fields of structs and groups are named ``data.rates`` or ``data/rates``. The
dimensions of the matrix are inferred from the lengths of the labels, or given: ``rates[neuroid, presentation]``; a
three-dimensional array is given as ``rates[stimulus, neuroid, repetition]`` or
``rates[presentation, neuroid, time_bin]``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import xarray as xr

from neural_data.errors import InputError, closest
from neural_data.formats.family import Candidate, Format
from neural_data.formats.hdf5 import array_of, closed_hdf5, dataset_shapes
from neural_data.formats.matlab import read_variables, variable_shapes
from neural_data.formats.read_options import BIN_COLUMNS, ReadOptions, refuse_unused
from neural_data.recording_form import as_text
from neural_data.recordings import make_recording, select_window

__all__ = ["FORMAT", "found_in", "named_values", "read"]

_USED = ("variables", "window_ms", "region", "subject", "units")
_SIDES = ("presentation", "stimulus", "neuroid", "repetition", "time_bin")
_OF_NEURONS = ("neuroid_id", "region", "subject")
_LIKE_STIMULI = re.compile(r"stim|image|img|pic|cond|label|object|name", re.IGNORECASE)


def read(path: Path, options: ReadOptions) -> xr.DataArray:
    """Recording from named variables of a MATLAB or HDF5 file.

    Parameters
    ----------
    path : Path
        The file.
    options : ReadOptions
        ``variables``: ``responses`` and ``stimulus_id`` are needed (``stimulus_id`` not where ``stimuli`` are given in
        the order of the rows); ``neuroid_id``, ``region``, ``subject``, ``repetition``, ``time_bin_start``,
        ``time_bin_end`` and any other label may follow.

    Returns
    -------
    xarray.DataArray

    Raises
    ------
    InputError
        If no variables are named (the message lists those of the file), one is missing, or their lengths do not fit.
    """
    refuse_unused(options, _USED, str(path), "variables of this file have to be named")
    wanted = dict(options.variables)
    if "responses" not in wanted and "response" in wanted:
        wanted["responses"] = wanted.pop("response")
    if "responses" not in wanted:
        raise InputError(_what_is_there(path))
    name, sides = _with_sides(wanted.pop("responses"), path)
    values = named_values(path, {"responses": name, **wanted})
    responses = np.asarray(values.pop("responses"))
    if responses.dtype.kind not in "buif" or responses.ndim not in (1, 2, 3):
        raise InputError(
            f"{path}: {name} is not a matrix of numbers but {_shown(responses)}; name the matrix of responses"
        )
    labels = {role: _label(value, f"{path}: {wanted[role]}") for role, value in values.items()}
    if "stimulus_id" not in labels:
        if options.stimuli is None:
            raise InputError(
                f"{path}: which variable identifies the stimuli? Name it: variables={{'stimulus_id': ...}} (--variable "
                "stimulus_id=NAME), or give the stimulus set in the order of the rows (stimuli=...)"
            )
        labels["stimulus_id"] = np.array(options.stimuli.ids)
    sides = _sides(responses, sides, labels, name, path)
    return _recording(responses, sides, labels, name, options, path)


def named_values(path: Path, wanted: Mapping[str, str]) -> dict[str, object]:
    """Values of named variables, by role.

    Parameters
    ----------
    path : Path
        A MATLAB or HDF5 file.
    wanted : mapping of str to str
        Role and name; dots or slashes separate fields of structs and groups.

    Returns
    -------
    dict of str to array, list, str or number
    """
    with path.open("rb") as file:
        matlab = file.read(7) == b"MATLAB "
    if matlab:
        tops = {role: re.split(r"[./]", name)[0] for role, name in wanted.items()}
        known = variable_shapes(path)
        for role, top in tops.items():
            if top not in known:
                raise InputError(f"{path}: no variable {top!r} for {role}: {closest(top, known)}")
        loaded = read_variables(path, sorted(set(tops.values())))
        return {role: _field(loaded, name, path) for role, name in wanted.items()}
    with closed_hdf5(path) as file:
        datasets = dataset_shapes(file)
        found = {}
        for role, name in wanted.items():
            place = name.replace(".", "/").strip("/") if name not in datasets else name
            if place not in datasets:
                raise InputError(f"{path}: no dataset {name!r} for {role}: {closest(name, datasets)}")
            item = file[place]
            text = h5py.check_string_dtype(item.dtype)
            found[role] = item.asstr()[()] if text is not None and item.size < 10_000_000 else array_of(item, path)
        return found


def found_in(path: Path) -> dict[str, str]:
    """Variables of a MATLAB or HDF5 file and what each of them is, such as ``12 x 25 double``."""
    with path.open("rb") as file:
        matlab = file.read(7) == b"MATLAB "
    if not matlab:
        with closed_hdf5(path) as file:
            return {n: f"{_times(shape)} {dtype.name}" for n, (shape, dtype) in dataset_shapes(file).items()}
    shapes = variable_shapes(path)
    structs = [name for name, (_, kind) in shapes.items() if kind == "struct"]
    found = {name: f"{_times(shape)} {kind}" for name, (shape, kind) in shapes.items() if name not in structs}
    if structs and path.stat().st_size < 200_000_000:
        for name, value in read_variables(path, structs).items():
            first = value[0] if isinstance(value, list) and value else value
            for field, inner in first.items() if isinstance(first, Mapping) else ():
                found[f"{name}.{field}"] = _shown(inner) + (
                    f" in each of {len(value)}" if isinstance(value, list) else ""
                )
    return found


def _field(loaded: Mapping[str, object], name: str, path: Path) -> object:
    value: object = dict(loaded)
    for part in re.split(r"[./]", name):
        listed = value if isinstance(value, list) else [value]
        structs = [struct for struct in listed if isinstance(struct, Mapping)]
        if not structs or len(structs) < len(listed):
            raise InputError(f"{path}: {name!r} names a field of a variable that is not a struct")
        if part not in structs[0]:
            raise InputError(f"{path}: no field {part!r} in {name!r}: {closest(part, structs[0])}")
        inner = [struct[part] for struct in structs]
        value = inner if isinstance(value, list) else inner[0]
    return value


def _with_sides(name: str, path: Path) -> tuple[str, tuple[str, ...] | None]:
    match = re.fullmatch(r"\s*(.+?)\s*\[([^\]]*)\]\s*", name)
    if match is None:
        return name, None
    sides = tuple(side.strip() for side in match[2].split(","))
    for side in sides:
        if side not in _SIDES:
            raise InputError(f"{path}: {name!r} has a side {side!r}; {closest(side, _SIDES)}")
    if "neuroid" not in sides or len({"presentation", "stimulus"} & set(sides)) != 1 or len(set(sides)) < len(sides):
        raise InputError(f"{path}: {name!r}: sides are presentation (or stimulus), neuroid, and time_bin or repetition")
    return match[1], sides


def _sides(
    responses: np.ndarray, said: tuple[str, ...] | None, labels: Mapping[str, np.ndarray], name: str, path: Path
) -> tuple[str, ...]:
    """Meaning of each dimension of the array: as given, or inferred from the lengths of the labels."""
    shape = responses.shape
    if said is not None:
        if len(said) != responses.ndim:
            raise InputError(f"{path}: {name} has {responses.ndim} sides ({_times(shape)}), but {len(said)} are named")
        return said
    n_stimuli = len(labels["stimulus_id"])
    fitting = [side for side, length in enumerate(shape) if length == n_stimuli]
    if responses.ndim == 2 and len(fitting) == 2:
        raise InputError(
            f"{path}: {name} is {_times(shape)}, and stimulus_id fits both sides; say which is which: "
            f"'{name}[presentation, neuroid]' or '{name}[neuroid, presentation]'"
        )
    if responses.ndim == 2 and len(fitting) == 1:
        return ("presentation", "neuroid") if fitting[0] == 0 else ("neuroid", "presentation")
    if responses.ndim == 3 and len(fitting) >= 1:
        # Of the other two sides, repetitions or time bins are usually fewer than neurons; only a message says so.
        fewer, more = sorted((side for side in range(3) if side != fitting[0]), key=lambda side: shape[side])
        for_trials, for_bins = ["", "", ""], ["", "", ""]
        for_trials[fitting[0]], for_trials[more], for_trials[fewer] = "stimulus", "neuroid", "repetition"
        for_bins[fitting[0]], for_bins[more], for_bins[fewer] = "presentation", "neuroid", "time_bin"
        raise InputError(
            f"{path}: {name} is {_times(shape)}; say what its sides are, such as '{name}[{', '.join(for_trials)}]' or "
            f"'{name}[{', '.join(for_bins)}]'"
        )
    raise InputError(f"{path}: {name} is {_times(shape)}, and stimulus_id has {n_stimuli} values; no side fits")


def _recording(
    responses: np.ndarray,
    sides: tuple[str, ...],
    labels: dict[str, np.ndarray],
    name: str,
    options: ReadOptions,
    path: Path,
) -> xr.DataArray:
    shown = "stimulus" if "stimulus" in sides else "presentation"
    last = [side for side in ("repetition", "time_bin") if side in sides]
    values = responses.transpose([sides.index(side) for side in (shown, *last[:1], "neuroid", *last[1:])]).astype(float)
    n_repetitions = 1
    if "repetition" in sides:
        n_repetitions = values.shape[1]
        values = values.reshape(-1, *values.shape[2:])
    elif "time_bin" in sides:
        values = np.moveaxis(values, 1, 2)
    n_shown = len(values) // n_repetitions
    presentations: dict[str, np.ndarray] = {}
    neuroids: dict[str, np.ndarray] = {}
    bins: dict[str, np.ndarray] = {}
    n_neurons = values.shape[1]
    for role, given in labels.items():
        size = n_neurons if role in _OF_NEURONS else values.shape[-1] if role in BIN_COLUMNS else n_shown
        if len(given) == 1 and role != "stimulus_id":
            given = np.repeat(given, size)
        if len(given) == n_neurons and len(given) != n_shown and role not in (*BIN_COLUMNS, "stimulus_id"):
            size = n_neurons
        if len(given) != size:
            raise InputError(f"{path}: {role} has {len(given)} values, but that side of {name} has {size}")
        if role in BIN_COLUMNS:
            bins[role] = given.astype(float)
        elif role in _OF_NEURONS or size == n_neurons != n_shown:
            neuroids[role] = given
        else:
            presentations[role] = np.repeat(given, n_repetitions)
    for role, named in (("region", options.region), ("subject", options.subject)):
        if named is not None:
            neuroids[role] = np.repeat(named, n_neurons)
    notes = [f"responses are {name} ({_times(responses.shape)}: {', '.join(sides)})"]
    if "neuroid_id" not in neuroids:
        neuroids["neuroid_id"] = np.array([f"n{i + 1:04d}" for i in range(n_neurons)])
        notes.append("neurons are numbered in the order of the file")
    neuroids.setdefault("region", np.repeat("unspecified", n_neurons))
    neuroids.setdefault("subject", np.repeat("", n_neurons))
    if options.units is None:
        notes.append("the unit is not named, so responses are taken for spikes/s")
    if "time_bin" in sides and len(bins) != 2:
        raise InputError(f"{path}: time bins need the variables time_bin_start and time_bin_end, in ms after onset")
    recording = make_recording(
        values,
        presentations=pd.DataFrame(presentations),
        neuroids=pd.DataFrame(neuroids),
        units=options.units or "spikes/s",
        time_bins_ms=np.stack([bins[role] for role in BIN_COLUMNS], axis=1) if bins else None,
        attrs={"assumed": "; ".join(notes)},
        where=str(path),
    )
    return recording if options.window_ms is None else select_window(recording, options.window_ms)


def _label(value: object, where: str) -> np.ndarray:
    """One label per row or column, text or numbers, without padding blanks."""
    if isinstance(value, (str, bytes, int, float)):
        value = [value]
    if isinstance(value, list):
        cells = [cell[0] if isinstance(cell, list) and len(cell) == 1 else cell for cell in value]
        if not all(np.ndim(cell) == 0 and not isinstance(cell, dict) for cell in cells):
            raise InputError(f"{where} holds lists or structs; one text or number for each row is needed")
        value = np.array(cells, dtype=object)
    array = np.asarray(value)
    if array.ndim > 1 and 1 in array.shape:
        array = array.ravel()
    if array.ndim != 1:
        raise InputError(f"{where} is {_times(array.shape)}; one value for each row or column is needed")
    if array.dtype.kind in "OSUT":
        return np.char.strip(as_text(array), " \0\t")
    return array


def _what_is_there(path: Path) -> str:
    """Message that lists the variables of a file and the command that would read it."""
    found = found_in(path)
    listed = ", ".join(f"{name} ({what})" for name, what in list(found.items())[:12])
    more = f", ... ({len(found)} in all)" if len(found) > 12 else ""
    matrices = [n for n, what in found.items() if re.match(r"\d+ x \d+( x \d+)? (?!cell|char|struct)", what)]
    sized = {n: [int(s) for s in re.findall(r"\d+", found[n].split(" in ")[0].rsplit(" ", 1)[0])] for n in found}
    wide = [name for name in matrices if min(sized[name]) > 1]
    if not wide:
        return (
            f"{path}: no recording that is known by its content (raster_data, neural_vecs, a netCDF variable 'data'), "
            f"and no matrix in it; it holds {listed or 'nothing'}{more}"
        )
    matrix = max(wide, key=lambda name: np.prod(sized[name], dtype=float))
    fitting = [n for n in found if n != matrix and np.prod(sized[n] or [0]) in sized[matrix]]
    stimuli = next((n for n in fitting if _LIKE_STIMULI.search(n)), fitting[0] if fitting else "NAME")
    return (
        f"{path}: no recording that is known by its content; it holds {listed}{more}. Name its variables: --variable "
        f"responses={matrix} --variable stimulus_id={stimuli} (variables={{'responses': {matrix!r}, 'stimulus_id': "
        f"{stimuli!r}}} in Python)"
    )


def _shown(value: object) -> str:
    if isinstance(value, str):
        return "1 x 1 char"
    if isinstance(value, (list, dict)):
        return f"{len(value)} x 1 {'cell' if isinstance(value, list) else 'struct'}"
    array = np.asarray(value)
    return f"{_times(array.shape if array.ndim > 1 else (array.size, 1))} {array.dtype.name}"


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "1 x 1"


def _detect(candidate: Candidate) -> bool:
    return candidate.kind in ("matlab", "hdf5")


FORMAT = Format(
    name="variables", title="any MATLAB or HDF5 file, its variables named", detect=_detect, read=read, aliases=("mat",)
)
