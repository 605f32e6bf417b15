"""Reads, checks and completes tables of stimuli, and defines when two angles are the same view.

Only ``stimulus_id`` is required. Without identities every stimulus is its own identity; without azimuths all are 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from neural_data.column_names import STIMULUS_OPTION, likely_roles, roles_in_words
from neural_data.errors import InputError, closest
from neural_data.formats.bounds import exists
from neural_data.formats.cells import Cells, labels_of, numbers_in, read_cells

__all__ = [
    "ANGLES",
    "GUESSED",
    "SAME_ANGLE_DEG",
    "angles_in",
    "checked_stimulus_table",
    "distinct_angles",
    "in_degrees",
    "listed",
    "read_stimulus_table",
    "unread_views",
]

TEXT_COLUMNS = ("stimulus_id", "filename", "identity", "category")
ANGLES = ("azimuth_deg", "elevation_deg")
GUESSED = ("filename", "identity", "azimuth_deg")
"""Roles for which messages look among columns with other names."""
LEGACY_COLUMNS = {"image_id": "stimulus_id", "image_file_name": "filename"}
SAME_ANGLE_DEG = 1e-6
"""Angles that differ by less than this are the same view: programs round computed angles differently."""


def in_degrees(angles: np.ndarray) -> np.ndarray:
    """Angles from above -180 to 180 degrees; those within a millionth of each other become equal.

    Parameters
    ----------
    angles : array of float
        Degrees, in -360..360: 315 and -45 are the same view.

    Returns
    -------
    array of float, of the same shape
        NaN where an angle is missing.
    """
    angles = np.asarray(angles, dtype=float)
    known = np.isfinite(angles)
    if not known.all():
        found = angles.copy()
        found[known] = in_degrees(angles[known])
        return found
    over, under = angles > 180 + SAME_ANGLE_DEG, angles <= -180 + SAME_ANGLE_DEG
    turned = np.where(over, angles - 360, np.where(under, angles + 360, angles))
    order = np.argsort(turned.ravel(), kind="stable")
    values = turned.ravel()[order]
    starts = np.flatnonzero(np.diff(values, prepend=-np.inf) > SAME_ANGLE_DEG)
    ends = np.append(starts, len(values))
    for start, stop in itertools.pairwise(ends.tolist()):
        if values[start] != values[stop - 1]:
            values[start:stop] = _roundest(values[start:stop])
    rounded = np.empty_like(values)
    rounded[order] = np.where(np.abs(values - np.round(values)) <= SAME_ANGLE_DEG, np.round(values), values) + 0.0
    return rounded.reshape(angles.shape)


def _roundest(angles: np.ndarray) -> float:
    """Of angles that are the same view, the one with the fewest decimals, taken for the intended value."""
    return min((float(angle) for angle in angles), key=lambda angle: (len(repr(angle)), abs(angle)))


def angles_in(found: pd.Series, wanted: Sequence[object]) -> np.ndarray:
    """Boolean array as long as the column: where it holds one of the wanted angles."""
    try:
        asked = in_degrees(np.asarray(wanted, dtype=float))
    except (TypeError, ValueError):
        return np.zeros(len(found), dtype=bool)
    return (np.abs(found.to_numpy()[:, None] - asked[None, :]) <= SAME_ANGLE_DEG).any(axis=1)


def distinct_angles(angles: Sequence[float]) -> list[float]:
    """Distinct angles, sorted."""
    return sorted(set(in_degrees(np.asarray(angles, dtype=float)).tolist()))


def read_stimulus_table(path: Path, columns: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Table of a CSV with angles as numbers; ``attrs["lines"]`` are the line numbers of its rows in the file.

    ``columns`` names columns by role: a role is the name of a column of stimulus sets.
    """
    if not exists(path):
        raise InputError(
            f"{path}: no such file; give the path of the stimulus set's CSV, or of a folder of images with "
            "pattern='{identity}_{azimuth_deg}.png' (on the command line: neurocompare stimuli FOLDER --pattern ...)"
        )
    cells = read_cells(path, "CSV of stimuli")
    if columns:
        cells = _with_roles(cells, columns, path)
    angles = [column for column in ANGLES if column in cells.table.columns]
    numbers, _ = numbers_in(cells, angles, path, what="{column}")
    table = pd.DataFrame(
        {
            name: numbers[name] if name in angles else cells.table[name] if _is_text(name) else labels_of(values)
            for name, values in cells.table.items()
        }
    )
    table.attrs["lines"] = cells.lines
    return table.rename(columns={old: new for old, new in LEGACY_COLUMNS.items() if new not in table.columns})


def _with_roles(cells: Cells, columns: Mapping[str, str], path: Path) -> Cells:
    """The table with columns renamed by role; one column may have two, such as an id that is a file name.

    A column that is called like a role keeps it, unless another column is given for it.
    """
    table, known = cells.table, (*TEXT_COLUMNS, *ANGLES)
    for role, name in columns.items():
        if role not in known:
            raise InputError(f"{path}: no column of a stimulus set has the role {role!r}; {closest(role, known)}")
        if name not in table.columns:
            raise InputError(f"{path}: no column {name!r}: {closest(name, table.columns)} (wanted as {role})")
    named = {role: table[name] for role, name in columns.items()}
    moved = {*columns.values()} - {*known, *LEGACY_COLUMNS} | {*columns}
    others = table.drop(columns=[name for name in table.columns if name in moved])
    return Cells(others.assign(**named), cells.lines, cells.delimiter, cells.notes)


def unread_views(table: pd.DataFrame) -> str:
    """What may be identities or views in columns with other names, in words; empty if there is nothing like it.

    Parameters
    ----------
    table : pandas.DataFrame
        A stimulus table as read, before optional columns are added.
    """
    others = [column for column in table.columns if column not in (*TEXT_COLUMNS, *ANGLES)]
    likely = likely_roles(others, [role for role in ("identity", "azimuth_deg") if role not in table.columns])
    if "identity" in likely and not table[likely["identity"]].duplicated().any():
        del likely["identity"]
    if "azimuth_deg" in likely and pd.to_numeric(table[likely["azimuth_deg"]], errors="coerce").isna().any():
        del likely["azimuth_deg"]
    if not likely:
        return ""
    defaults = {"identity": "every stimulus counts as its own identity", "azimuth_deg": "all stimuli count as one view"}
    absent = " and ".join(f"no column {role!r}, so {defaults[role]}" for role in likely)
    says = roles_in_words(likely, likely.values(), option=STIMULUS_OPTION)
    return f"{absent}; if {' and '.join(map(repr, likely.values()))} say it, give {says}"


def _is_text(column: str) -> bool:
    return LEGACY_COLUMNS.get(column, column) in TEXT_COLUMNS


def checked_stimulus_table(table: pd.DataFrame, *, where: str) -> pd.DataFrame:
    """Copy of the table with optional columns added and angles as floats; InputError if it is not a stimulus set."""
    lines = table.attrs.get("lines", np.arange(len(table)) + 2)
    if "stimulus_id" not in table.columns:
        absent = [role for role in GUESSED if role not in table.columns]
        raise InputError(
            f"{where}: no column 'stimulus_id', which a stimulus set needs; columns are "
            f"{', '.join(map(str, table.columns))}. Say which is which, such as "
            + roles_in_words(["stimulus_id"], table.columns, optional=absent, option=STIMULUS_OPTION)
        )
    if table.empty:
        raise InputError(f"{where}: has no stimuli; at least one row is needed")
    table = _with_optional_columns(table, where)
    repeated = table["stimulus_id"][table["stimulus_id"].duplicated()]
    if len(repeated):
        twice = [int(lines[row]) for row in np.flatnonzero(table["stimulus_id"] == repeated.iloc[0])]
        raise InputError(
            f"{where}: stimulus_id {repeated.iloc[0]!r} occurs {len(twice)} times (lines {listed(twice)}); every "
            "stimulus needs its own id"
        )
    for column in ("stimulus_id", "identity"):
        empty = np.flatnonzero(table[column].astype(str).str.strip() == "")
        if len(empty):
            raise InputError(f"{where}: line {lines[empty[0]]} has an empty {column}; fill it in or remove the row")
    for column in ANGLES:
        angles = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=float)
        wrong = np.flatnonzero(~(np.abs(angles) <= 360))
        if len(wrong):
            raise InputError(
                f"{where}: line {lines[wrong[0]]} has {column} {table[column].iloc[wrong[0]]!r}; a number of degrees "
                "from -360 to 360 is needed"
            )
        table[column] = in_degrees(angles)
    table.attrs = {}
    return table


def _with_optional_columns(table: pd.DataFrame, where: str) -> pd.DataFrame:
    """The table with default values for missing optional columns; a misspelt column name is refused."""
    absent = {
        "category": "",
        "elevation_deg": 0.0,
        "azimuth_deg": 0.0,
        "filename": "",
        "identity": table["stimulus_id"],
    }
    for column in absent:
        if column not in table.columns:
            like = [str(c) for c in table.columns if str(c).lower().replace(" ", "_") in _spellings(column)]
            if like:
                raise InputError(
                    f"{where}: no column {column!r}, but {like[0]!r} looks like it; rename that column, or give "
                    f"columns={{{column!r}: {like[0]!r}}} ({STIMULUS_OPTION} {column}={like[0]})"
                )
    return table.assign(**{column: v for column, v in absent.items() if column not in table.columns})


def _spellings(column: str) -> set[str]:
    """Likely misspellings of a column name: other case, without its unit, one letter short."""
    plain = column.removesuffix("_deg")
    return {
        column,
        plain,
        plain[:-1],
        f"{plain}s",
        f"{plain[:-1]}ies",
        f"{plain}_degrees",
        f"{plain}_degree",
        column.replace("_", ""),
    }


def listed(values: Sequence[float]) -> str:
    """Numbers as messages show them."""
    return ", ".join(f"{value:g}" for value in values)
