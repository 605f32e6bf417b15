"""Tables as files: CSV for people and spreadsheets, Parquet for programs, with the documented columns in order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

__all__ = ["Column", "Table", "guarded_cell", "latex_table", "markdown_table", "ordered", "write_table"]

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
        Name in the file.
    meaning : str
        What it holds, for a reader who knows the field but not this package.
    unit : str
        Unit of its numbers; empty for text, counts and numbers without a unit.
    header : str
        Header in tables for readers, instead of the name.
    """

    name: str
    meaning: str
    unit: str = ""
    header: str = ""

    @property
    def shown(self) -> str:
        """Header in tables for readers."""
        return self.header or self.name.replace("_", " ")


@dataclass(frozen=True)
class Table:
    """Declaration of a table that a run writes.

    Parameters
    ----------
    name : str
        File name without suffix.
    about : str
        What one row is, and what the numbers are.
    columns : tuple of Column
        In the order in which they are written. A cell is empty if its column does not apply.
    """

    name: str
    about: str
    columns: tuple[Column, ...]

    def __post_init__(self):
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"table {self.name!r} declares a column twice: {', '.join(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)


def ordered(table: pd.DataFrame, declared: Table) -> pd.DataFrame:
    """The table with its declared columns in order; missing columns are empty.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows to write.
    declared : Table
        The table's name and columns.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    ValueError
        If the table has a column that is not declared.
    """
    unknown = sorted(set(table.columns) - set(declared.names))
    if unknown:
        raise ValueError(f"table {declared.name!r} has columns {unknown} that its declaration lacks")
    return table.reindex(columns=list(declared.names)).reset_index(drop=True)


def write_table(table: pd.DataFrame, name: str, folder: Path) -> None:
    """Write ``NAME.csv``, safe to open in a spreadsheet (see :func:`guarded_cell`), and ``NAME.parquet``, unchanged.

    Parameters
    ----------
    table : pandas.DataFrame
        As :func:`ordered` gives it.
    name : str
        File name without suffix.
    folder : pathlib.Path
        Exists.
    """
    texts = [column for column in table.columns if not pd.api.types.is_numeric_dtype(table[column])]
    guarded = table.assign(**{column: [guarded_cell(value) for value in table[column]] for column in texts})
    guarded.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    table.to_parquet(folder / f"{name}.parquet", index=False)


def guarded_cell(value: object) -> object:
    """A cell made safe for spreadsheets: text that would be read as a formula gets a leading apostrophe.

    Parameters
    ----------
    value : object
        Only text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a carriage return changes, unless it is a number
        such as ``-45``.

    Returns
    -------
    object
    """
    if not isinstance(value, str) or not value.startswith(FORMULA_STARTS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def markdown_table(table: pd.DataFrame, *, digits: int = 2) -> str:
    """Table as Markdown, numbers with a fixed number of digits, undefined ones as ``-``.

    Parameters
    ----------
    table : pandas.DataFrame
        Few columns, each with a short name.
    digits : int
        Digits after the decimal point of floating-point columns.

    Returns
    -------
    str
        Ends in a newline.
    """

    def cell(value: object) -> str:
        if value is None or value != value:
            return "-"
        if isinstance(value, float):
            return f"{value:.{digits}f}"
        return re.sub(r"([\\`*|])", r"\\\1", " ".join(str(value).split())).replace("<", "&lt;")

    rows = [list(map(str, table.columns)), ["---"] * table.shape[1]]
    rows += [[cell(value) for value in row] for row in table.itertuples(index=False)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def latex_table(table: pd.DataFrame, *, digits: int = 2) -> str:
    """Table as LaTeX (package ``booktabs``), numbers as in :func:`markdown_table`.

    Parameters
    ----------
    table : pandas.DataFrame
        Few columns, each with a short name.
    digits : int
        Digits after the decimal point of floating-point columns.

    Returns
    -------
    str
        A ``tabular`` environment that ends in a newline.
    """
    named = {"\\": "backslash", "<": "less", ">": "greater", "|": "bar"}
    special = str.maketrans(
        {c: f"\\{c}" for c in "&%$#_{}"}
        | {"~": r"\~{}", "^": r"\^{}"}
        | {c: rf"\text{name}{{}}" for c, name in named.items()}
    )

    def cell(value: object) -> str:
        if value is None or value != value:
            return "--"
        if isinstance(value, float):
            return f"${value:.{digits}f}$" if value < 0 else f"{value:.{digits}f}"
        return " ".join(str(value).split()).translate(special)

    numeric = [pd.api.types.is_numeric_dtype(table[name]) for name in table.columns]
    lines = [r"\begin{tabular}{" + "".join("r" if right else "l" for right in numeric) + "}", r"\toprule"]
    lines += [" & ".join(cell(str(name)) for name in table.columns) + r" \\", r"\midrule"]
    lines += [" & ".join(cell(value) for value in row) + r" \\" for row in table.itertuples(index=False)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])
