"""Names of patches in figures, tables of the report and sentences."""

from __future__ import annotations

import pandas as pd

__all__ = ["by_patch", "patch_names"]


def patch_names(table: pd.DataFrame) -> pd.Series:
    """The patch of every row: its region, with the subject where a region has several (``AL``, or ``AL, M1``).

    Parameters
    ----------
    table : pandas.DataFrame
        Column ``region``; perhaps ``subject``.

    Returns
    -------
    pandas.Series
        Rows with the same name belong to one population; empty for rows without a patch.
    """
    region = table["region"].astype(object)
    if "subject" not in table:
        return region
    subjects = table["subject"].astype(object).where(table["subject"].notna(), "").astype(str)
    several = subjects.groupby(region).transform("nunique") > 1
    with_subject = region.astype(str) + ", " + subjects.where(subjects != "", "unnamed")
    return region.where(~several, with_subject)


def by_patch(rows: pd.DataFrame, table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Rows with the name of their patch as ``region``, as tables of the report show them.

    Parameters
    ----------
    rows : pandas.DataFrame
        Columns ``region`` and perhaps ``subject``.
    table : pandas.DataFrame or None
        The whole table, if ``rows`` is a part of it; None: ``rows`` is the whole table.

    Returns
    -------
    pandas.DataFrame
    """
    names = patch_names(rows if table is None else table)
    return rows.assign(region=names[rows.index])
