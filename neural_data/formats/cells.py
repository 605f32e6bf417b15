"""Reads text tables (CSV and similar): bytes to columns of text, and columns of text to numbers.

The rules, also given for users in ``docs/recording.md``:

- text is UTF-8, UTF-16 (as spreadsheets save "Unicode text") or, failing both, Windows-1252;
- the delimiter is whichever of tab, semicolon and comma splits the first line into the most columns;
- every row has as many cells as the header; further cells must be empty; empty rows are skipped; no column name occurs
  twice; blanks around a cell are ignored;
- numbers have a decimal point or a decimal comma, and may have thousands separators; the file must show which.
  ``1.234`` in a file delimited by semicolons or tabs is refused if no other number settles what the point means.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from neural_data.errors import InputError
from neural_data.formats.bounds import one_line, read_bytes

__all__ = ["Cells", "is_number", "labels_of", "looks_like_text", "numbers_in", "read_cells"]

LARGEST_TABLE = 1_000_000_000
"""Largest size of a text table, bytes; larger tables belong in Parquet or netCDF."""
LONGEST_CELL = 64_000_000
DELIMITERS = {"\t": "tabs", ";": "semicolons", ",": "commas"}
MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "none"})
"""Cells that mark a missing value, in lower case."""
_BOMS = (
    *((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe\0\0", "utf-32"), (b"\0\0\xfe\xff", "utf-32")),
    *((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")),
)
_EXPONENT = r"([eE][+-]?[0-9]+)?"
_SIGN = r"[+-]?"
_WHOLE = re.compile(rf"{_SIGN}[0-9]+{_EXPONENT}")
_POINT = re.compile(rf"{_SIGN}([0-9]+\.[0-9]*|\.[0-9]+){_EXPONENT}")
_COMMA = re.compile(rf"{_SIGN}([0-9]+,[0-9]*|,[0-9]+){_EXPONENT}")
_EITHER = re.compile(rf"{_SIGN}[1-9][0-9]{{0,2}}[.,][0-9]{{3}}")
"""One mark before three digits: 1.234 and 1,234 can be a fraction or a number of thousands."""
_POINT_WITH_THOUSANDS = re.compile(rf"{_SIGN}[0-9]{{1,3}}(,[0-9]{{3}})+(\.[0-9]*)?")
_COMMA_WITH_THOUSANDS = re.compile(rf"{_SIGN}[0-9]{{1,3}}(\.[0-9]{{3}})+(,[0-9]*)?")
_SPACED = re.compile(rf"{_SIGN}[0-9]{{1,3}}([ '\u2019\u00a0\u2009\u202f][0-9]{{3}})+([.,][0-9]*)?")
_INFINITE = re.compile(rf"{_SIGN}inf(inity)?", re.IGNORECASE)
_CANONICAL_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})")


@dataclass(frozen=True)
class Cells:
    """A text table as read from its file.

    Parameters
    ----------
    table : pandas.DataFrame
        Every cell as text, without surrounding blanks.
    lines : array of shape (n_rows,), int
        Line of the file on which each row ends.
    delimiter : str
        Character between the cells of a line.
    notes : tuple of str
        Assumptions made in reading, for the user.
    """

    table: pd.DataFrame
    lines: np.ndarray
    delimiter: str
    notes: tuple[str, ...] = ()


def read_cells(path: Path, what: str = "table", *, heads: bool | None = True) -> Cells:
    """Read a text table by the rules in the module's docstring.

    Parameters
    ----------
    path : Path
        The text file.
    what : str
        What messages call it.
    heads : bool or None
        Whether the first line is a header; None takes it for one unless all its cells are numbers.

    Returns
    -------
    Cells
        Columns without a name are called by their position: ``column 3``.

    Raises
    ------
    InputError
        If the file is not text, has no row, a row with too few or too many cells, or two columns of one name.
    """
    text, notes = _decoded(read_bytes(path, largest=LARGEST_TABLE, what="table of text"), path, what)
    delimiter, text, first_line = _delimiter(text)
    first, rows, lines = None, [], []
    limit = csv.field_size_limit(LONGEST_CELL)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if first is None:
                named = heads if heads is not None else not all(is_number(cell) for cell in cells if cell)
                first = cells if named else [""] * len(cells)
                if named:
                    continue
            if len(cells) != len(first):
                cells = _fitted(cells, len(first), reader.line_num + first_line, path)
            rows.append(cells)
            lines.append(reader.line_num + first_line)
    except csv.Error as error:
        raise InputError(
            f"{path}: not readable as a {what} (line {reader.line_num + first_line}: {one_line(error)})"
        ) from error
    finally:
        csv.field_size_limit(limit)
    if first is None:
        raise InputError(f"{path}: not readable as a {what} (it has no header line)")
    columns = zip(*rows, strict=True) if rows else ([] for _ in first)
    by_head = dict(zip(_checked_heads(first, path), columns, strict=True))
    table = pd.DataFrame({head: np.array(cells, dtype=object) for head, cells in by_head.items()})
    return Cells(table, np.array(lines, dtype=int), delimiter, tuple(notes))


def looks_like_text(head: bytes) -> bool:
    """Whether the first bytes of a file look like text that :func:`read_cells` can read."""
    if any(head.startswith(bom) for bom, _ in _BOMS) or _utf16_without_bom(head):
        return True
    return not re.search(rb"[\0-\x08\x0e-\x1f]", head)


def is_number(cell: str) -> bool:
    """Whether a cell is a number with either decimal mark, or marks a missing value."""
    return _number(cell, ".") is not None or _number(cell, ",") is not None


def numbers_in(
    cells: Cells, columns: Sequence[str], path: Path, *, decimal: str | None = None, what: str = "{column}"
) -> tuple[pd.DataFrame, str | None]:
    """Columns of text as numbers, all read by one rule.

    Parameters
    ----------
    cells : Cells
        The table, from :func:`read_cells`.
    columns : sequence of str
        Columns that hold numbers.
    path : Path
        For messages.
    decimal : {".", ","} or None
        The decimal mark; None infers it from the cells.
    what : str
        What messages call a column; ``{column}`` stands for its name.

    Returns
    -------
    numbers : pandas.DataFrame
        Float64; NaN where a cell is blank or one of NA, N/A, NaN, null, none (in any case).
    note : str or None
        A note for the user if the numbers have decimal commas; else None.

    Raises
    ------
    InputError
        If a cell is not a number, or the decimal mark cannot be inferred.
    """
    if decimal not in (None, ".", ","):
        raise InputError(f"{path}: decimal={decimal!r} is not a decimal mark; give '.' or ','")
    if not len(columns):
        return pd.DataFrame(index=cells.table.index), None
    flat = np.concatenate([cells.table[column].to_numpy(dtype=object) for column in columns])
    codes, distinct = pd.factorize(flat)
    texts = [str(text).strip().replace("\u2212", "-") for text in distinct]
    found, doubtful = _decimal_mark(texts, cells.delimiter)
    if decimal is None and doubtful is not None:
        raise InputError(
            f"{path}: {doubtful[0]!r} can be {doubtful[1]} or {doubtful[2]}, and no other number in the file decides "
            "it; give decimal='.' or decimal=',' (--decimal)"
        )
    values = [_number(text, decimal or found) for text in texts]
    wrong = np.array([value is None for value in values], dtype=bool)
    if wrong.any():
        place = int(np.flatnonzero(wrong[codes])[0])
        column, row = columns[place // len(cells.table)], place % len(cells.table)
        mark = (
            ""
            if found == "." and decimal is None
            else f" with a decimal {'comma' if (decimal or found) == ',' else 'point'}"
        )
        called = what.format(column=column)
        raise InputError(f"{path}: line {cells.lines[row]}, {called} is {flat[place]!r}; a number{mark} is needed")
    numbers = np.array(values, dtype=float)[codes].reshape(len(columns), -1).T
    note = None if (decimal or found) == "." else "numbers have decimal commas"
    return pd.DataFrame(numbers, columns=list(columns), index=cells.table.index), note


def labels_of(column: pd.Series) -> np.ndarray:
    """Labels as int, float or bool if every cell of the column prints back unchanged, else as text.

    One cell such as ``001`` or ``1.50``, which would not print back, makes the whole column text.
    """
    if column.dtype.kind in "iufbc":
        return column.to_numpy()
    values = column.to_numpy(dtype=object)
    if not len(values) or not all(isinstance(value, str) for value in values):
        return values
    filled = [value for value in values if value]
    if filled and len(filled) == len(values) and all(_CANONICAL_WHOLE.fullmatch(value) for value in filled):
        return np.array([int(value) for value in values], dtype=np.int64)
    if filled and all(_is_canonical_number(value) for value in filled):
        return np.array([float(value) if value else np.nan for value in values])
    if filled and set(values) <= {"True", "False"}:
        return values == "True"
    return values


def _is_canonical_number(text: str) -> bool:
    if _CANONICAL_WHOLE.fullmatch(text):
        return True
    try:
        number = float(text)
    except ValueError:
        return False
    return repr(number) == text or (text.lower() == "nan")


def _decoded(content: bytes, path: Path, what: str) -> tuple[str, list[str]]:
    """Text of a file, and notes on an assumed encoding."""
    encoding = next((name for bom, name in _BOMS if content.startswith(bom)), None) or _utf16_without_bom(content)
    notes = []
    try:
        if encoding is None:
            try:
                text = content.decode("utf-8")
            except UnicodeDecodeError:
                text = content.decode("cp1252")
                notes.append("the text is no UTF-8, so it was read as Windows-1252")
        else:
            text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not readable as a {what} ({one_line(error)}); save it as UTF-8") from error
    wrong = re.search(r"[\0-\x08\x0e-\x1f]", text)
    if wrong:
        raise InputError(f"{path}: not readable as a {what}, it holds the character {wrong[0]!r}; save it as text")
    return text.removeprefix("\ufeff"), notes


def _utf16_without_bom(content: bytes) -> str | None:
    """Byte order of UTF-16 without a byte-order mark, recognised by a zero in every other byte of ASCII letters."""
    start = np.frombuffer(content[: min(len(content), 200) // 2 * 2], dtype=np.uint8).reshape(-1, 2)
    if len(start) < 4:
        return None
    low, high = (start == 0).mean(axis=0)
    if high > 0.8 and low == 0:
        return "utf-16-le"
    return "utf-16-be" if low > 0.8 and high == 0 else None


def _delimiter(text: str) -> tuple[str, str, int]:
    """Delimiter; the text without a leading ``sep=`` line; and the number of lines removed."""
    said = re.match(r"\s*\"?sep=(.)\"?[ \t]*\r?\n", text)
    if said:
        return said[1], text[said.end() :], text[: said.end()].count("\n")
    first = next((line for line in io.StringIO(text) if line.strip(" \t\r\n,;")), "")
    unquoted = re.sub(r'"[^"]*"', "", first)
    return max(DELIMITERS, key=unquoted.count) if any(d in unquoted for d in DELIMITERS) else ",", text, 0


def _fitted(cells: list[str], width: int, line: int, path: Path) -> list[str]:
    """A row cut to the width of the header: surplus cells must be empty, and none may be missing."""
    if len(cells) > width and not any(cells[width:]):
        return cells[:width]
    raise InputError(
        f"{path}: line {line} has {len(cells)} cells and the header {width}; put cells that contain the delimiter "
        "or a decimal comma in quotation marks, or add the missing column name"
    )


def _checked_heads(heads: list[str], path: Path) -> list[str]:
    named = [head or f"column {place + 1}" for place, head in enumerate(heads)]
    for head in named:
        if named.count(head) > 1:
            raise InputError(f"{path}: {named.count(head)} columns are called {head!r}; give each its own name")
    return named


def _decimal_mark(texts: list[str], delimiter: str) -> tuple[str, tuple[str, str, str] | None]:
    """Decimal mark of the numbers in a list of texts; and, if it is ambiguous, one such text with its two readings."""
    point = comma = False
    either = None
    for text in texts:
        if _EITHER.fullmatch(text):
            either = text if either is None or "," in text else either
        elif _POINT.fullmatch(text) or (_POINT_WITH_THOUSANDS.fullmatch(text) and ("." in text or text.count(",") > 1)):
            point = True
        elif _COMMA.fullmatch(text) or _COMMA_WITH_THOUSANDS.fullmatch(text):
            comma = True
        elif _SPACED.fullmatch(text):
            point, comma = point or "." in text, comma or "," in text
    if point or comma:
        return ("." if point else ","), None
    if either is None or ("." in either and delimiter == ","):
        return ".", None
    mark = "." if "." in either else ","
    return ".", (either, either.replace(mark, "."), either.replace(mark, ""))


def _number(text: str, decimal: str) -> float | None:
    """Value of a cell; NaN for a missing value, None if it is not a number with this decimal mark."""
    if text.lower() in MISSING:
        return np.nan
    if _WHOLE.fullmatch(text) or _INFINITE.fullmatch(text):
        return float(text)
    fraction, thousands = (_POINT, _POINT_WITH_THOUSANDS) if decimal == "." else (_COMMA, _COMMA_WITH_THOUSANDS)
    if fraction.fullmatch(text):
        return float(text.replace(",", "."))
    spaced = _SPACED.fullmatch(text) and ("," if decimal == "." else ".") not in text
    if thousands.fullmatch(text) or spaced:
        kept = "".join(c for c in text if c.isdigit() or c in "+-" or c == decimal)
        return float(kept.replace(",", "."))
    return None
