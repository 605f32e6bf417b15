"""Tables as files: CSV for people and spreadsheets, Parquet for programs; the documented columns in their order."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from neurocompare.comparison.fit_result import FIT_COLUMNS
from neurocompare.comparison.hypotheses import HYPOTHESIS_COLUMNS
from neurocompare.representations.equivariance import EQUIVARIANCE_COLUMNS

__all__ = ["COLUMNS", "markdown_table", "ordered", "write_table"]

COLUMNS: dict[str, tuple[str, ...]] = {
    "fits": (*FIT_COLUMNS, "shapley_invariant", "shapley_sensitive", "simulated"),
    "viewpoint": ("model", "regime", "seed", "layer", "layer_index", "category", "identity", "index"),
    "viewpoint_summary": (
        *("model", "regime", "seed", "layer", "layer_index", "category"),
        *("index", "sd", "ci_low", "ci_high", "n", "n_undefined"),
    ),
    "viewpoint_patches": ("region", "subject", "category", "identity", "index", "simulated"),
    "viewpoint_patches_summary": (
        *("region", "subject", "category", "index", "sd", "ci_low", "ci_high", "n", "n_undefined", "simulated"),
    ),
    "ceilings": (
        *("region", "subject", "dissimilarity", "method", "n_stimuli", "n_neurons", "n_splits"),
        *("ceiling_lower", "ceiling_lower_se", "ceiling_upper", "simulated"),
    ),
    "equivariance": EQUIVARIANCE_COLUMNS,
    "hypotheses": HYPOTHESIS_COLUMNS,
}
"""Columns of each table, in the order in which they are written. Empty where a column does not apply."""


def ordered(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The table with its documented columns in their order; those that it lacks are empty.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows to write.
    name : str
        A key of :data:`COLUMNS`.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    ValueError
        If the table has a column that is not documented.
    """
    unknown = sorted(set(table.columns) - set(COLUMNS[name]))
    if unknown:
        raise ValueError(f"table {name!r} has columns {unknown} that are not documented in reporting.tables.COLUMNS")
    return table.reindex(columns=list(COLUMNS[name])).reset_index(drop=True)


def write_table(table: pd.DataFrame, name: str, folder: Path) -> None:
    """Write ``NAME.csv`` and ``NAME.parquet``.

    Parameters
    ----------
    table : pandas.DataFrame
        As :func:`ordered` gives it.
    name : str
        File name without suffix.
    folder : pathlib.Path
        Exists.
    """
    table.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    table.to_parquet(folder / f"{name}.parquet", index=False)


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
        return f"{value:.{digits}f}" if isinstance(value, float) else str(value)

    rows = [list(map(str, table.columns)), ["---"] * table.shape[1]]
    rows += [[cell(value) for value in row] for row in table.itertuples(index=False)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
