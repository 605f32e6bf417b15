"""Recordings as tables: long (one row a response; CSV or Parquet) and wide (one row a presentation, CSV).

Long tables need ``stimulus_id, neuroid_id, region, response``; ``repetition``, ``subject``, ``time_bin_start`` and
``time_bin_end`` are read where they are there, other columns are kept where they describe stimuli or neurons. In wide
tables every numeric column that does not describe the stimulus is a neuron, headed ``REGION:ID``, or ``ID`` with the
region given by the caller.

What is written carries the recording's attributes as JSON in the first row of the column ``attrs``, so one file holds
everything and still opens in R, pandas or a spreadsheet.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import xarray as xr

from neural_data.errors import InputError, closest
from neural_data.formats.options import ReadOptions, refuse_unused
from neural_data.recordings import make_recording, select_window

__all__ = ["read", "write_long", "write_wide"]

LONG_COLUMNS = ("stimulus_id", "neuroid_id", "region", "response")
BIN_COLUMNS = ("time_bin_start", "time_bin_end")
TEXT_COLUMNS = ("stimulus_id", "neuroid_id", "region", "subject", "identity", "category", "filename")
STIMULUS_COLUMNS = ("stimulus_id", "repetition", "identity", "category", "filename", "azimuth_deg", "elevation_deg")
_EXACT_FLOATS = {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}
"""From pandas 3.1 on, numbers are read exactly by default and the option is deprecated."""
_USED = ("stimulus", "window_ms", "region", "subject", "units")


def read(path: Path, options: ReadOptions) -> xr.DataArray:
    """Recording from a long table (CSV, Parquet) or a wide one (CSV).

    Parameters
    ----------
    path : Path
        The table; Parquet is known by its content.
    options : ReadOptions
        ``stimulus`` names the column that tells stimuli apart; ``region`` and ``subject`` serve where the table has no
        such column.

    Returns
    -------
    xarray.DataArray
        Responses that a long table does not list are NaN.

    Raises
    ------
    InputError
        If a column is missing, a response is no number, or a response is listed twice.
    """
    refuse_unused(options, _USED, str(path), "a table holds responses, not spikes")
    table = _read_table(path)
    if table.empty:
        raise InputError(f"{path}: the table has no rows")
    if options.stimulus is not None:
        if options.stimulus not in table.columns:
            raise InputError(f"{path}: no column {options.stimulus!r}: {closest(options.stimulus, table.columns)}")
        table["stimulus_id"] = table[options.stimulus].astype(str)
        table = table.drop(columns="repetition", errors="ignore")
    extras, table = _extras(table, path)
    for name, given in (("region", options.region), ("subject", options.subject)):
        if given is not None:
            table[name] = given
    if "stimulus_id" not in table.columns:
        raise InputError(
            f"{path}: no column 'stimulus_id'; name the column that tells stimuli apart (stimulus=...): columns are "
            f"{', '.join(map(str, table.columns[:12]))}"
        )
    long = {"neuroid_id", "response"} <= set(table.columns)
    recording = _from_long(table, extras, options, path) if long else _from_wide(table, extras, options, path)
    return recording if options.window_ms is None else select_window(recording, options.window_ms)


def write_long(recording: xr.DataArray, path: Path, *, parquet: bool) -> None:
    """Write one row a measured response, neurons outer; as CSV or Parquet."""
    presentations, neuroids = _coords(recording, "presentation"), _coords(recording, "neuroid")
    values = recording.values.reshape(*recording.shape[:2], -1)
    neuron, presentation, time_bin = np.nonzero(np.isfinite(values.transpose(1, 0, 2)))
    table = presentations.iloc[presentation].reset_index(drop=True)
    table.insert(0, "presentation", presentation)
    for name in neuroids.columns:
        table[name] = neuroids[name].to_numpy()[neuron]
    if "time_bin" in recording.dims:
        for name in BIN_COLUMNS:
            table[name] = recording[name].values[time_bin]
    table["response"] = values[presentation, neuron, time_bin]
    table["attrs"] = _first_row(
        json.dumps({"attrs": recording.attrs, "neuroid_columns": list(neuroids.columns)}), len(table)
    )
    if parquet:
        table.to_parquet(path, index=False)
    else:
        table.to_csv(path, index=False, lineterminator="\n")


def write_wide(recording: xr.DataArray, path: Path) -> None:
    """Write one row a presentation and one column a neuron, as CSV."""
    if "time_bin" in recording.dims:
        raise InputError("a wide table has no room for time bins; select a window first, or write format='long'")
    neuroids = _coords(recording, "neuroid")
    heads = neuroids["region"] + ":" + neuroids["neuroid_id"]
    table = pd.concat(
        [_coords(recording, "presentation"), pd.DataFrame(recording.values, columns=heads.to_list())], axis=1
    )
    about = {"attrs": recording.attrs, "neuroids": neuroids.to_dict("list")}
    table["attrs"] = _first_row(json.dumps(about), len(table))
    table.to_csv(path, index=False, lineterminator="\n")


def _coords(recording: xr.DataArray, dim: str) -> pd.DataFrame:
    return pd.DataFrame({n: c.values for n, c in recording.coords.items() if c.dims == (dim,) and n != dim})


def _first_row(text: str, n_rows: int) -> list[str]:
    return [text, *[""] * (n_rows - 1)]


def _read_table(path: Path) -> pd.DataFrame:
    with path.open("rb") as file:
        parquet = file.read(4) == b"PAR1"
    try:
        if parquet:
            found = pa.parquet.read_table(path)
            found.validate(full=True)  # text that is no UTF-8 would raise only when it is used
            return found.to_pandas()
        return pd.read_csv(
            path,
            dtype=dict.fromkeys((*TEXT_COLUMNS, "attrs"), str),
            keep_default_na=False,
            na_values={"response": ["", "NaN", "nan", "NA"]},
            **_EXACT_FLOATS,
        )
    except (OSError, ValueError, UnicodeDecodeError, pd.errors.ParserError, pa.ArrowException) as error:
        raise InputError(f"{path}: not readable as a table of responses ({error})") from error


def _extras(table: pd.DataFrame, path: Path) -> tuple[dict, pd.DataFrame]:
    """Attributes (and neuron table) from the first row of ``attrs``, and the table without that column."""
    if "attrs" not in table.columns:
        return {}, table
    try:
        extras = json.loads(table["attrs"].iloc[0])
        if not isinstance(extras.get("attrs"), dict):
            raise TypeError("no attributes in it")
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: column 'attrs' must hold the recording's attributes as JSON ({error})") from error
    return extras, table.drop(columns="attrs")


def _from_long(table: pd.DataFrame, extras: dict, options: ReadOptions, path: Path) -> xr.DataArray:
    if "region" not in table.columns:
        raise InputError(
            f"{path}: no column 'region'; a long table needs {', '.join(LONG_COLUMNS)} (or give region=...)"
        )
    table = table.assign(response=_responses(table["response"], "response", path))
    has_repetition = "repetition" in table.columns
    bins = list(BIN_COLUMNS) if set(BIN_COLUMNS) <= set(table.columns) else []
    if not has_repetition:
        table = table.assign(repetition=table.groupby(["stimulus_id", "neuroid_id", *bins]).cumcount())
    subject = ["subject"] if "subject" in table.columns else []
    neuroid_codes, neuroids = _numbered(table, ["neuroid_id", "region", *subject])
    if neuroids["neuroid_id"].duplicated().any():
        repeated = neuroids["neuroid_id"][neuroids["neuroid_id"].duplicated()].iloc[0]
        raise InputError(
            f"{path}: neuroid_id {repeated!r} occurs in more than one region or subject; every neuron needs an id of "
            "its own"
        )
    presentation_codes, presentations = _numbered(table, ["stimulus_id", "repetition"])
    bin_codes, bin_table = _numbered(table, bins) if bins else (np.zeros(len(table), dtype=int), None)
    cells = pd.DataFrame({"p": presentation_codes, "n": neuroid_codes, "b": bin_codes})
    if cells.duplicated().any():
        row = int(np.flatnonzero(cells.duplicated())[0])
        found = table.iloc[row]
        raise InputError(
            f"{path}: line {row + 2} repeats the response of neuron {found['neuroid_id']!r} to stimulus "
            f"{found['stimulus_id']!r}, repetition {found['repetition']}; number repetitions, or remove the row"
        )
    values = np.full((len(presentations), len(neuroids), 1 if bin_table is None else len(bin_table)), np.nan)
    values[presentation_codes, neuroid_codes, bin_codes] = table["response"]
    taken = {*LONG_COLUMNS, *BIN_COLUMNS, "repetition", "subject", "presentation"}
    others = [name for name in table.columns if name not in taken]
    about_neurons = extras.get("neuroid_columns", [])
    presentations = _described(
        table, presentations, presentation_codes, [name for name in others if name not in about_neurons]
    )
    neuroids = _described(table, neuroids, neuroid_codes, [n for n in others if n not in presentations.columns])
    if "presentation" in table.columns:  # the order in which the recording was written
        order = np.argsort(pd.Series(table["presentation"].to_numpy()).groupby(presentation_codes).first().to_numpy())
        presentations, values = presentations.iloc[order].reset_index(drop=True), values[order]
    common = has_repetition and len(table) == values.size
    if bin_table is not None:
        order = np.argsort(bin_table["time_bin_start"].to_numpy())
        bin_table, values = bin_table.iloc[order], values[:, :, order]
    return make_recording(
        values if bin_table is not None else values[:, :, 0],
        presentations=presentations,
        neuroids=neuroids,
        units=options.units or extras.get("attrs", {}).get("units", "spikes/s"),
        time_bins_ms=None if bin_table is None else bin_table.to_numpy(),
        attrs={"simultaneous": int(common)} | {k: v for k, v in extras.get("attrs", {}).items() if k != "units"},
        where=str(path),
    )


def _from_wide(table: pd.DataFrame, extras: dict, options: ReadOptions, path: Path) -> xr.DataArray:
    if "neuroids" in extras:
        neuroids = pd.DataFrame(extras["neuroids"])
        heads = (neuroids["region"] + ":" + neuroids["neuroid_id"]).tolist()
        absent = [head for head in heads if head not in table.columns]
        if absent:
            raise InputError(f"{path}: no column for neuron {absent[0]!r}, which the table's attrs name")
    else:
        described = {*STIMULUS_COLUMNS, "region", "subject"}
        heads = [n for n in table.columns if n not in described and _is_neuron(table[n])]
        if not heads:
            raise InputError(
                f"{path}: neither a long table (columns {', '.join(LONG_COLUMNS)}) nor a wide one (stimulus_id and one "
                f"numeric column a neuron); columns are {', '.join(map(str, table.columns[:12]))}"
            )
        neuroids = _neuroids_of(heads, options, path)
    values = np.stack([_responses(table[head], head, path).to_numpy(dtype=float) for head in heads], axis=1)
    return make_recording(
        values,
        presentations=table.drop(columns=[*heads, "region", "subject"], errors="ignore"),
        neuroids=neuroids,
        units=options.units or extras.get("attrs", {}).get("units", "spikes/s"),
        attrs={k: v for k, v in extras.get("attrs", {}).items() if k != "units"},
        where=str(path),
    )


def _is_neuron(column: pd.Series) -> bool:
    """Whether a column holds numbers (and empty cells)."""
    cells = column.replace("", np.nan)
    return cells.notna().any() and pd.to_numeric(cells, errors="coerce").notna().sum() == cells.notna().sum()


def _neuroids_of(heads: list[str], options: ReadOptions, path: Path) -> pd.DataFrame:
    parts = [str(head).split(":", 1) for head in heads]
    if options.region is None and not all(len(part) == 2 for part in parts):
        plain = next(part[0] for part in parts if len(part) == 1)
        raise InputError(f"{path}: column {plain!r} names no region; head it 'REGION:{plain}' or give region=...")
    return pd.DataFrame(
        {
            "neuroid_id": [part[-1] for part in parts],
            "region": [options.region or part[0] for part in parts],
            "subject": options.subject or "",
        }
    )


def _responses(column: pd.Series, name: str, path: Path) -> pd.Series:
    blank = column.isna() | column.astype(str).str.strip().isin(["", "NaN", "nan", "NA"])
    numbers = pd.to_numeric(column.where(~blank), errors="coerce").astype(float)
    wrong = np.flatnonzero(numbers.isna() & ~blank)
    if len(wrong):
        raise InputError(f"{path}: line {wrong[0] + 2}, {name} is {column.iloc[wrong[0]]!r}; a number is needed")
    return numbers


def _numbered(table: pd.DataFrame, columns: list[str]) -> tuple[np.ndarray, pd.DataFrame]:
    """Code of each row's combination of columns, in order of first appearance, and the combinations."""
    codes = table.groupby(columns, sort=False, dropna=False).ngroup().to_numpy()
    return codes, table.loc[~pd.Series(codes, index=table.index).duplicated(), columns].reset_index(drop=True)


def _described(table: pd.DataFrame, rows: pd.DataFrame, codes: np.ndarray, names: list[str]) -> pd.DataFrame:
    """Rows with those other columns that have one value in each of them."""
    grouped = table.groupby(codes)
    fixed = [name for name in names if (grouped[name].nunique(dropna=False) == 1).all()]
    return rows.assign(**{name: grouped[name].first().to_numpy() for name in fixed})
