"""Recordings as long or wide tables, in text (CSV and similar, see ``cells``) or Parquet.

A *long* table has one row per response: columns ``stimulus_id, neuroid_id, region, response``, and optionally
``repetition``, ``subject``, ``time_bin_start`` and ``time_bin_end``. A *wide* table has one row per presentation and
one column per neuron. Which columns of a wide table are neurons follows from these rules:

1. the columns that the caller names (``columns={"response": "u*"}``);
2. else columns headed ``REGION:ID``;
3. else, if the region is given, columns headed by one word and a number, with the same word in all (``u0``, ``u1``;
   ``neuron 12``), unless that word usually names something else (``trial``, ``rep``, ``time``).

Every other column of text is a label. If a column of numbers could be a neuron or a label, the table is refused;
the message says how to name the neurons.

A written table holds the recording's attributes as JSON in the first row of the column ``attrs``, so one file holds the
whole recording and still opens in R, pandas or a spreadsheet.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import xarray as xr

from neural_data.column_names import likely_roles, roles_in_words
from neural_data.errors import InputError
from neural_data.formats.bounds import one_line, refuse_claim
from neural_data.formats.cells import Cells, labels_of, numbers_in, read_cells
from neural_data.formats.family import Candidate, Format
from neural_data.formats.read_options import BIN_COLUMNS, ROLES, ReadOptions, checked_roles, refuse_unused
from neural_data.recording_form import LEGACY_COORDS, as_text
from neural_data.recordings import make_recording, select_window

__all__ = ["LONG", "WIDE", "read", "write_long", "write_wide"]

LONG_COLUMNS = ("stimulus_id", "neuroid_id", "region", "response")
LABEL_COLUMNS = ("stimulus_id", "neuroid_id", "region", "subject", "identity", "category", "filename")
NUMBER_COLUMNS = ("repetition", "azimuth_deg", "elevation_deg", *BIN_COLUMNS, "presentation")
_WORDS = """
trial trials rep reps repeat repeats repetition repetitions run runs block session day date time times
bin bins ms sec onset offset start stop end rt latency age index idx row rows var col column value x
image images img stim stimulus stimuli pic picture photo view views az azimuth el elevation id ids
identity category cat cond condition order presentation pos position size contrast eye key resp response
responses count counts spike spikes rate rates fr hz mean sd se sem pc dim dimension feature factor
reward score weight unnamed level
"""
BOOKKEEPING = frozenset(_WORDS.split())
"""Words in column names that are not names of single neurons."""
NEURON_WORDS = ("neuroid", "neuron", "unit", "cell", "channel", "cluster", "site", "electrode")
_ROLES = tuple(role for role in ROLES if role != "onset")
_USED = ("stimulus", "window_ms", "region", "subject", "units", "columns", "decimal")
_ROW_NUMBERS = re.compile(r"column \d+|Unnamed: ?\d+|\.\.\.\d+")
"""Names that this package, pandas and R's readr give to columns without a name."""
BYTES_OF_TEXT = 56
"""Approximate bytes of memory of a text cell beyond those of a number."""
_ROUNDED_BY_A_SPREADSHEET = re.compile(r"[0-9]([.,][0-9]+)?E[+-][0-9]{2,3}")


def read(path: Path, options: ReadOptions) -> xr.DataArray:
    """Recording from a long or a wide table, as text or as Parquet.

    Parameters
    ----------
    path : Path
        The table; Parquet is known by its content.
    options : ReadOptions
        ``columns`` gives the names of columns by role; ``stimulus`` is short for the role ``stimulus_id``; ``region``
        and ``subject`` are used if the table has no such column; ``decimal`` is the decimal mark of the numbers.

    Returns
    -------
    xarray.DataArray
        Responses that a long table does not list are NaN. ``attrs["assumed"]`` lists what was assumed.

    Raises
    ------
    InputError
        If a column is missing or ambiguous, a cell is not a number, or a response is listed twice.
    """
    refuse_unused(options, _USED, str(path), "a table holds responses, not spikes")
    cells = _read_table(path)
    if cells.table.empty:
        raise InputError(f"{path}: the table has no rows")
    extras, cells = _extras(cells, path)
    cells, notes = _without_row_numbers(cells, path)
    cells, neurons = _with_roles(cells, options, path)
    for name, given in (("region", options.region), ("subject", options.subject)):
        if given is not None:
            cells.table[name] = str(given)
    if "stimulus_id" not in cells.table.columns:
        raise InputError(
            f"{path}: no column 'stimulus_id'; columns are {_listed(cells.table.columns)}. Say which is which, such as "
            + _which_is_which(cells.table.columns, options)
        )
    _check_ids(cells, path)
    notes = [*cells.notes, *notes]
    read_as = _from_long if neurons is None and {"neuroid_id", "response"} <= set(cells.table.columns) else _from_wide
    recording = read_as(cells, extras, neurons, options, path, notes)
    if not extras:
        if options.units is None:
            notes.append("the unit is not named, so responses are taken for spikes/s")
        recording = recording.assign_attrs(assumed="; ".join(notes)) if notes else recording
    return recording if options.window_ms is None else select_window(recording, options.window_ms)


def write_long(recording: xr.DataArray, path: Path) -> None:
    """Write one row per measured response, sorted by neuron; Parquet if the path ends in ``.parquet``, else CSV."""
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
    if path.suffix.lower() == ".parquet":
        table.to_parquet(path, index=False)
    else:
        table.to_csv(path, index=False, lineterminator="\n")


def write_wide(recording: xr.DataArray, path: Path) -> None:
    """Write one row per presentation and one column per neuron; Parquet if the path ends so, else CSV."""
    if "time_bin" in recording.dims:
        raise InputError("a wide table has no room for time bins; select a window first, or write format='long'")
    neuroids = _coords(recording, "neuroid")
    heads = neuroids["region"] + ":" + neuroids["neuroid_id"]
    table = pd.concat(
        [_coords(recording, "presentation"), pd.DataFrame(recording.values, columns=heads.to_list())], axis=1
    )
    about = {"attrs": recording.attrs, "neuroids": neuroids.to_dict("list")}
    table["attrs"] = _first_row(json.dumps(about), len(table))
    if path.suffix.lower() == ".parquet":
        table.to_parquet(path, index=False)
    else:
        table.to_csv(path, index=False, lineterminator="\n")


def _coords(recording: xr.DataArray, dim: str) -> pd.DataFrame:
    return pd.DataFrame({n: c.values for n, c in recording.coords.items() if c.dims == (dim,) and n != dim})


def _which_is_which(columns: Iterable[object], options: ReadOptions) -> str:
    """What to write for the roles that no column has, in Python and on the command line.

    Of a wide table these are the stimuli alone: it has no single column of responses with a column of neurons beside.
    """
    there = [str(column) for column in columns]
    others = [name for name in there if name not in (*LABEL_COLUMNS, *NUMBER_COLUMNS, "response")]
    likely = likely_roles(others, ["stimulus_id", "neuroid_id", "region", "response"])
    is_long = any("neuroid_id" in names for names in (likely, there)) and any(
        "response" in names for names in (likely, there)
    )
    needed = [name for name in (LONG_COLUMNS if is_long else LONG_COLUMNS[:1]) if name not in there]
    if options.region is not None:
        needed = [name for name in needed if name != "region"]
    optional = [name for name in ("subject", "repetition") if name not in there]
    said = roles_in_words(needed, others, optional=optional if is_long else ())
    # Names in a language that is not guessed leave open what the table is.
    open_roles = [] if is_long or len(there) > 12 else [name for name in LONG_COLUMNS[1:] if name not in there]
    return f"{said}, and {', '.join(open_roles)} likewise if every row holds one response" if open_roles else said


def _first_row(text: str, n_rows: int) -> list[str]:
    return [text, *[""] * (n_rows - 1)]


def _listed(names: Iterable[object]) -> str:
    shown = [str(name) for name in names]
    return ", ".join(shown[:12]) + (f", ... ({len(shown)} in all)" if len(shown) > 12 else "")


def _read_table(path: Path) -> Cells:
    with path.open("rb") as file:
        parquet = file.read(4) == b"PAR1"
    return _read_parquet(path) if parquet else read_cells(path, "table of responses")


def _read_parquet(path: Path) -> Cells:
    """A Parquet table; integers and text as text, so that ids are unchanged; other numbers as numbers."""
    try:
        file = pa.parquet.ParquetFile(path)
        names = file.schema_arrow.names
        _refuse_twice(names, path)
        n_texts = sum(not pa.types.is_floating(field.type) for field in file.schema_arrow)
        size = max(file.metadata.num_rows * (8 * len(names) + BYTES_OF_TEXT * n_texts), _unpacked(file.metadata))
        refuse_claim(size, path, f"a table of {file.metadata.num_rows:,} x {len(names)} cells")
        texts = [f.name for f in file.schema_arrow if pa.types.is_string(f.type) or pa.types.is_binary(f.type)]
        found = pa.parquet.read_table(path, read_dictionary=texts)
        found.validate(full=True)  # invalid UTF-8 would otherwise raise only when it is used
    except (OSError, ValueError, UnicodeDecodeError, OverflowError, pa.ArrowException) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not readable as a table of responses ({one_line(error)})") from error
    columns = {}
    for name, column in zip(found.column_names, found.columns, strict=True):
        if pa.types.is_nested(column.type):
            raise InputError(
                f"{path}: column {name!r} holds {column.type} in each cell; each cell needs a single value"
            )
        columns[name] = _parquet_column(column, path, name)
    return Cells(pd.DataFrame(columns), np.arange(found.num_rows) + 1, ",")


def _unpacked(metadata: pa.parquet.FileMetaData) -> int:
    return sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))


def _parquet_column(column: pa.ChunkedArray, path: Path, name: str) -> np.ndarray:
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_binary(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        # Converted by dictionary code: one long text can stand for millions of rows.
        series = column.to_pandas().astype("category")
        try:
            known = [c.decode("utf-8") if isinstance(c, bytes) else str(c) for c in series.cat.categories]
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: column {name!r} has bytes that are not text ({one_line(error)})") from error
        return np.array([*known, ""], dtype=object)[series.cat.codes.to_numpy()]
    if (pa.types.is_integer(kind) and name in LABEL_COLUMNS) or pa.types.is_decimal(kind):
        return np.array(["" if v is None else str(v) for v in column.to_pylist()], dtype=object)
    values = column.to_pandas().to_numpy()
    return as_text(values).astype(object) if name in LABEL_COLUMNS or values.dtype.kind in "OMm" else values


def _refuse_twice(names: list[str], path: Path) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{path}: {names.count(name)} columns are called {name!r}; give each its own name")


def _extras(cells: Cells, path: Path) -> tuple[dict, Cells]:
    """Attributes (and neuron table) from the first row of ``attrs``, and the table without that column."""
    if "attrs" not in cells.table.columns:
        return {}, cells
    try:
        extras = json.loads(cells.table["attrs"].iloc[0])
        _check_extras(extras)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path}: column 'attrs' must hold the recording's attributes as JSON ({one_line(error)}); remove the "
            "column if the table is your own"
        ) from error
    return extras, _with_table(cells, cells.table.drop(columns="attrs"))


def _check_extras(extras: object) -> None:
    """Raise if the attributes are not as :func:`write_long` and :func:`write_wide` write them."""
    if not isinstance(extras, dict) or not isinstance(extras.get("attrs"), dict):
        raise TypeError("no attributes in it")
    for name, value in extras["attrs"].items():
        listed = value if isinstance(value, list) else [value]
        if not all(isinstance(item, (str, int, float, list)) for item in listed):
            raise TypeError(f"{name} is {type(value).__name__}")
    columns = extras.get("neuroid_columns", [])
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise TypeError("neuroid_columns is no list of names")
    if "neuroids" not in extras:
        return
    neuroids = extras["neuroids"]
    if not isinstance(neuroids, dict) or not all(isinstance(values, list) for values in neuroids.values()):
        raise TypeError("neuroids is no table")
    if len({len(values) for values in neuroids.values()}) != 1:
        raise TypeError("columns of neuroids differ in length")
    for name in ("neuroid_id", "region"):
        if not all(isinstance(value, str) for value in neuroids.get(name, [None])):
            raise TypeError(f"{name} of neuroids is no list of names")


def _with_table(cells: Cells, table: pd.DataFrame) -> Cells:
    return Cells(table, cells.lines, cells.delimiter, cells.notes)


def _without_row_numbers(cells: Cells, path: Path) -> tuple[Cells, list[str]]:
    """The table without unnamed columns that are empty or hold row numbers, as pandas and R write them."""
    table, notes = cells.table, []
    for head in [str(head) for head in table.columns if _ROW_NUMBERS.fullmatch(str(head))]:
        values = [str(value) for value in table[head]]
        if not any(values):
            table = table.drop(columns=head)
            continue
        counted = any(values == [str(start + row) for row in range(len(values))] for start in (0, 1))
        if not counted:
            raise InputError(
                f"{path}: {head} has no name and is not a row number (first value {values[0]!r}); give it a name, or "
                "remove it"
            )
        table = table.drop(columns=head)
        notes.append("a column of row numbers without a head is left out")
    return _with_table(cells, table), notes


def _with_roles(cells: Cells, options: ReadOptions, path: Path) -> tuple[Cells, list[str] | None]:
    """The table with columns renamed by role; and the columns that the caller names as neurons, if any."""
    table, given = cells.table, dict(options.columns)
    if options.stimulus is not None:
        if "stimulus_id" in given:
            raise InputError(
                f"{path}: stimulus and the column for stimulus_id name the same thing; give only one of them"
            )
        given["stimulus_id"] = options.stimulus
    checked_roles(given, _ROLES, list(table.columns), str(path), "column")
    legacy = {old: new for old, new in LEGACY_COORDS.items() if old in table.columns and new not in table.columns}
    table = table.rename(columns={old: new for old, new in legacy.items() if new not in given})
    responses = given.pop("response", None)
    for role, name in given.items():
        if not isinstance(name, str) or "*" in name:
            raise InputError(f"{path}: give one column for {role}; {name!r} are several")
        values = table[name] if name in table.columns else table[LEGACY_COORDS[name]]
        values = as_text(values.to_numpy()).astype(object) if role in LABEL_COLUMNS else values
        moved = role in ("neuroid_id", "region", *BIN_COLUMNS) and name != role
        table = table.drop(columns=[name]) if moved else table
        table = table.assign(**{role: values})
        if role == "stimulus_id" and name != role and "repetition" not in given:
            table = table.drop(columns="repetition", errors="ignore")  # presentations are counted anew
    if responses is None:
        return _with_table(cells, table), None
    if isinstance(responses, str) and responses in table.columns and "neuroid_id" in table.columns:
        if responses != "response":
            table = table.drop(columns="response", errors="ignore").rename(columns={responses: "response"})
        return _with_table(cells, table), None
    if "neuroid_id" in table.columns:
        raise InputError(
            f"{path}: a table with a column neuroid_id has one column of responses; {responses!r} are several"
        )
    patterns = [responses] if isinstance(responses, str) else list(responses)
    others = [str(head) for head in table.columns if head not in LABEL_COLUMNS and head not in NUMBER_COLUMNS]
    heads = [head for head in others if any(head == p or fnmatch.fnmatchcase(head, p) for p in patterns)]
    if not heads:
        raise InputError(f"{path}: no column is called {' or '.join(patterns)}; columns are {_listed(others)}")
    return _with_table(cells, table), heads


def _check_ids(cells: Cells, path: Path) -> None:
    """Refuse ids that a spreadsheet has rounded."""
    for name in ("stimulus_id", "neuroid_id"):
        if name in cells.table.columns:
            rounded = [t for t in pd.unique(cells.table[name]) if _ROUNDED_BY_A_SPREADSHEET.fullmatch(str(t))]
            if rounded:
                raise InputError(
                    f"{path}: {name} {rounded[0]!r} is a number that a spreadsheet has rounded; format that column as "
                    "text where the table is made, and save it again"
                )


def _from_long(
    cells: Cells, extras: dict, _: list[str] | None, options: ReadOptions, path: Path, notes: list[str]
) -> xr.DataArray:
    if "region" not in cells.table.columns:
        raise InputError(
            f"{path}: no column 'region'; a long table needs {', '.join(LONG_COLUMNS)}. Columns are "
            f"{_listed(cells.table.columns)}; say which one it is, such as "
            f"{_which_is_which(cells.table.columns, options)}, or give region=... for all neurons"
        )
    bins = list(BIN_COLUMNS) if set(BIN_COLUMNS) <= set(cells.table.columns) else []
    table = _typed(cells, ["response"], options, path, notes)
    for name in bins:
        if table[name].isna().any():
            raise InputError(f"{path}: line {cells.lines[table[name].isna().argmax()]} has an empty {name}; fill it in")
    has_repetition = "repetition" in table.columns
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
    found = pd.DataFrame({"p": presentation_codes, "n": neuroid_codes, "b": bin_codes})
    if found.duplicated().any():
        row = int(np.flatnonzero(found.duplicated())[0])
        twice = table.iloc[row]
        raise InputError(
            f"{path}: line {cells.lines[row]} repeats the response of neuron {twice['neuroid_id']!r} to stimulus "
            f"{twice['stimulus_id']!r}, repetition {twice['repetition']}; number repetitions, or remove the row"
        )
    shape = (len(presentations), len(neuroids), 1 if bin_table is None else len(bin_table))
    if np.prod(shape, dtype=float) > max(100 * len(table), 10_000_000):
        raise InputError(
            f"{path}: {len(table):,} responses make a recording of {shape[0]:,} presentations x {shape[1]:,} neurons, "
            "nearly all of them missing; check which columns are stimulus_id, neuroid_id and repetition"
        )
    values = np.full(shape, np.nan)
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
    if not extras:
        notes.append(f"a long table: {len(neuroids)} neurons by neuroid_id, responses in the column response")
    return make_recording(
        values if bin_table is not None else values[:, :, 0],
        presentations=presentations,
        neuroids=neuroids,
        units=options.units or extras.get("attrs", {}).get("units", "spikes/s"),
        time_bins_ms=None if bin_table is None else bin_table.to_numpy(),
        attrs={"simultaneous": int(common)} | {k: v for k, v in extras.get("attrs", {}).items() if k != "units"},
        where=str(path),
    )


def _from_wide(
    cells: Cells, extras: dict, named: list[str] | None, options: ReadOptions, path: Path, notes: list[str]
) -> xr.DataArray:
    if "neuroids" in extras:
        neuroids = pd.DataFrame(extras["neuroids"])
        heads = (neuroids["region"] + ":" + neuroids["neuroid_id"]).tolist()
        absent = [head for head in heads if head not in cells.table.columns]
        if absent:
            raise InputError(f"{path}: no column for neuron {absent[0]!r}, which the table's attrs name")
    else:
        if named is not None and len(named) == 1:
            _refuse_one_neuron_of_many(named[0], cells, options, path)
        heads = named or _neurons_of(cells, options, path)
        neuroids = _neuroids_of(heads, cells, options, path)
        notes.append(f"a wide table: {len(heads)} neurons, columns {heads[0]!r} to {heads[-1]!r}")
        described = {*heads, "region", *LABEL_COLUMNS, *NUMBER_COLUMNS}
        labels = [str(name) for name in cells.table.columns if name not in described]
        if labels:
            notes.append(f"labels, no responses: {_listed(labels)}")
    if "subject" in cells.table.columns and cells.table["subject"].nunique() > 1:
        raise InputError(
            f"{path}: the column subject of a wide table names {cells.table['subject'].nunique()} subjects, but the "
            "neurons of a wide table belong to one; write a long table, or one file per subject"
        )
    table = _typed(cells, heads, options, path, notes)
    return make_recording(
        table[heads].to_numpy(dtype=float),
        presentations=table.drop(columns=[*heads, "region", "subject", "presentation"], errors="ignore"),
        neuroids=neuroids,
        units=options.units or extras.get("attrs", {}).get("units", "spikes/s"),
        attrs={k: v for k, v in extras.get("attrs", {}).items() if k != "units"},
        where=str(path),
    )


def _refuse_one_neuron_of_many(response: str, cells: Cells, options: ReadOptions, path: Path) -> None:
    """Refuse one column of responses beside a column that names several neurons: the table is long, not wide."""
    others = [str(name) for name in cells.table.columns if name != response]
    neuron = likely_roles(others, ["neuroid_id"]).get("neuroid_id")
    if neuron is not None and cells.table[neuron].nunique() > 1:
        raise InputError(
            f"{path}: {response!r} is one column of responses, and {neuron!r} names {cells.table[neuron].nunique()} "
            f"neurons or the like; say which is which, such as {_which_is_which([*others, 'response'], options)}; if "
            "all responses are of one neuron, rename that column"
        )


def _neurons_of(cells: Cells, options: ReadOptions, path: Path) -> list[str]:
    """Column names of the neurons of a wide table, by the rules in the module's docstring."""
    others = [str(n) for n in cells.table.columns if n not in {*LABEL_COLUMNS, *NUMBER_COLUMNS, "response"}]
    numeric = [name for name in others if _mostly_numbers(cells.table[name])]
    if "response" in cells.table.columns or "neuroid_id" in cells.table.columns:
        role = "neuroid_id" if "response" in cells.table.columns else "response"
        raise InputError(
            f"{path}: a long table ({', '.join(LONG_COLUMNS)}) without {role}; say which column {ROLES[role]}: "
            f"columns={{{role!r}: ...}} (--column {role}=NAME), one of {_listed(others) or 'none'}"
        )
    headed = [name for name in others if _is_region_and_id(name)]
    if headed:
        stems = {_stem(name.split(":", 1)[1]) for name in headed} | {_stem(name) for name in headed}
        doubtful = [n for n in numeric if n not in headed and (_stem(n) in stems or _tail(n) in stems)]
        if doubtful:
            raise InputError(f"{path}: {_no_region(doubtful[0])} or give region=...")
        return headed
    if not numeric:
        raise InputError(
            f"{path}: neither a long table (columns {', '.join(LONG_COLUMNS)}) nor a wide one (stimulus_id and one "
            f"numeric column a neuron); columns are {_listed(cells.table.columns)}"
        )
    if options.region is None and "region" not in cells.table.columns:
        raise InputError(f"{path}: {_no_region(numeric[0])} or give region=...")
    counted = [name for name in others if _counts_neurons(name)]
    doubtful = [name for name in numeric if name not in counted]
    if doubtful or not counted or len({_stem(name) for name in counted}) > 1:
        shown = doubtful or counted or numeric
        word = next((w for n in shown for w in NEURON_WORDS if w in n.lower()), None)
        long = ", or for a long table columns={'neuroid_id': ..., 'response': ...}" if word else ""
        example = f"{_stem(counted[0]).replace('#', '*')}" if counted else "NAME*"
        raise InputError(
            f"{path}: {_listed(map(repr, shown))} could be neurons or something else; name the neurons with a pattern, "
            f"columns={{'response': {example!r}}} (--column 'response={example}'), or head them REGION:ID{long}"
        )
    return counted


def _no_region(name: str) -> str:
    return f"column {name!r} names no region; head it 'REGION:{name}'"


def _is_region_and_id(head: str) -> bool:
    region, separator, neuron = (part.strip() for part in head.partition(":"))
    return bool(separator and region and neuron) and not (len(region) > 1 and region.lower() in BOOKKEEPING)


def _stem(head: str) -> str:
    """A column name with its numbers replaced by ``#``: ``u12`` and ``u3`` have the same stem."""
    return re.sub(r"[0-9]+[a-d]?(?![a-zA-Z])|[0-9]+", "#", head.strip())


def _tail(head: str) -> str:
    """Stem of the last word of a column name: ``u#`` for ``AL_u3``."""
    return _stem(re.split(r"[^0-9A-Za-z]+", head.strip())[-1])


def _counts_neurons(head: str) -> bool:
    stem = _stem(head)
    words = re.findall(r"[a-z]+", stem.lower())
    return "#" in stem and bool(words) and not BOOKKEEPING.intersection(words)


def _mostly_numbers(column: pd.Series) -> bool:
    """Whether at least half of the non-empty cells of a column are numbers with either decimal mark."""
    if column.dtype.kind in "iuf":
        return True
    if column.dtype.kind == "b":
        return False
    filled = [str(cell) for cell in pd.unique(column) if str(cell).strip()]
    numbers = [cell for cell in filled if re.fullmatch(r"[-+\u2212]?[0-9][0-9.,' \u00a0\u202feE+-]*", cell)]
    return bool(filled) and 2 * len(numbers) >= len(filled)


def _neuroids_of(heads: list[str], cells: Cells, options: ReadOptions, path: Path) -> pd.DataFrame:
    parts = [[part.strip() for part in head.split(":", 1)] for head in heads]
    region = options.region
    if region is None and "region" in cells.table.columns and cells.table["region"].nunique() == 1:
        region = str(cells.table["region"].iloc[0])
    if region is None and not all(len(part) == 2 for part in parts):
        plain = next(part[0] for part in parts if len(part) == 1)
        raise InputError(f"{path}: {_no_region(plain)} or give region=...")
    subject = cells.table["subject"].iloc[0] if "subject" in cells.table.columns else ""
    return pd.DataFrame(
        {
            "neuroid_id": [part[-1] for part in parts],
            "region": [region or part[0] for part in parts],
            "subject": options.subject or str(subject),
        }
    )


def _typed(cells: Cells, responses: list[str], options: ReadOptions, path: Path, notes: list[str]) -> pd.DataFrame:
    """The table with responses and known numeric columns as numbers, ids as text, and other labels unchanged."""
    table = cells.table
    wanted = [name for name in (*responses, *NUMBER_COLUMNS) if name in table.columns]
    as_they_are = [name for name in wanted if table[name].dtype.kind in "iufb"]
    texts = [name for name in wanted if name not in as_they_are]
    numbers, note = numbers_in(cells, texts, path, decimal=options.decimal)
    if note is not None:
        notes.append(note)
    made: dict[str, np.ndarray] = {}
    for name in table.columns:
        if name in texts:
            made[name] = numbers[name].to_numpy()
        elif name in as_they_are:
            made[name] = table[name].to_numpy(dtype=float)
        elif name in LABEL_COLUMNS:
            made[name] = as_text(table[name].to_numpy()).astype(object)
        else:
            made[name] = labels_of(table[name])
    if "repetition" in made:
        made["repetition"] = _whole(made["repetition"], "repetition", cells, path)
    return pd.DataFrame(made)


def _whole(values: np.ndarray, name: str, cells: Cells, path: Path) -> np.ndarray:
    wrong = np.flatnonzero(~(np.isfinite(values) & (values == np.round(values))))
    if len(wrong):
        raise InputError(
            f"{path}: line {cells.lines[wrong[0]]} has {name} {cells.table[name].iloc[wrong[0]]!r}; a whole number is "
            "needed"
        )
    return values.astype(np.int64)


def _numbered(table: pd.DataFrame, columns: list[str]) -> tuple[np.ndarray, pd.DataFrame]:
    """Integer code of each row's combination of columns, by first appearance; and the table of combinations."""
    codes = table.groupby(columns, sort=False, dropna=False).ngroup().to_numpy()
    return codes, table.loc[~pd.Series(codes, index=table.index).duplicated(), columns].reset_index(drop=True)


def _described(table: pd.DataFrame, rows: pd.DataFrame, codes: np.ndarray, names: list[str]) -> pd.DataFrame:
    """The rows with those columns added whose value is constant within each row's code."""
    grouped = table.groupby(codes)
    fixed = [name for name in names if (grouped[name].nunique(dropna=False) == 1).all()]
    return rows.assign(**{name: grouped[name].first().to_numpy() for name in fixed})


def _detect(candidate: Candidate) -> bool:
    return candidate.kind in ("parquet", "text")


LONG = Format(
    name="table",
    aliases=("long",),
    title="table: long or wide, as text (CSV, tabs, semicolons) or Parquet",
    detect=_detect,
    read=read,
    write=write_long,
    endings=(".csv", ".parquet"),
)
WIDE = Format(name="wide", title="wide table", detect=lambda _: False, read=read, write=write_wide)
