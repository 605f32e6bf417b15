"""What onsets of a run say, in a sentence or two a patch, and which of them a reader sees first."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from neural_data.rounding import first_largest
from neurocompare.comparison.fit_text import listed_text, network_name, number_text, p_text
from neurocompare.measures.patch_names import patch_names
from neurocompare.representations.rdms import NETWORK

__all__ = ["READOUTS", "leading", "leading_pairs", "onset_sentences"]

READOUTS = {
    "code": "code",
    "fit": "fit of a layer",
    "encoding": "prediction by a layer",
    "index": "mirror-symmetry index",
}
"""Kinds of curves over time, by their name in tables."""
NAMED = ("readout", "code", *NETWORK, "layer", "region", "subject")


def leading(onsets: pd.DataFrame) -> pd.DataFrame:
    """Onsets of codes and of the index, and of the layer with the largest peak of each network, kind and patch.

    Parameters
    ----------
    onsets : pandas.DataFrame
        ``tables/time_onsets.csv``.

    Returns
    -------
    pandas.DataFrame
        Rows of the table. Layers that have an onset come before those that have none.
    """
    of_layers = onsets["layer"].notna() & onsets["readout"].isin(["fit", "encoding"])
    keys = [onsets.loc[of_layers, name] for name in ("readout", *NETWORK, "region", "subject")]
    chosen = onsets.index[~of_layers].tolist()
    for _, rows in onsets[of_layers].groupby(keys, sort=False, dropna=False):
        there = rows[rows["onset_ms"].notna()] if rows["onset_ms"].notna().any() else rows
        peaks = there["peak"].dropna()
        if len(peaks):
            chosen.append(peaks.index[first_largest(peaks.to_numpy(dtype=float))])
    return onsets.loc[sorted(chosen)]


def leading_pairs(differences: pd.DataFrame, onsets: pd.DataFrame) -> pd.DataFrame:
    """Differences of the onsets that :func:`leading` names.

    Parameters
    ----------
    differences, onsets : pandas.DataFrame
        ``tables/time_onset_differences.csv`` and ``tables/time_onsets.csv``.
    """
    known = set(_names(leading(onsets)))
    first, second = (_names(differences, f"_{side}") for side in (1, 2))
    kept = [one in known and other in known for one, other in zip(first, second, strict=True)]
    return differences[np.array(kept, dtype=bool)]


def _names(table: pd.DataFrame, suffix: str = "") -> list[tuple[str, ...]]:
    columns = [table[f"{name}{suffix}"].astype(object) for name in NAMED]
    filled = [column.where(column.notna(), "").astype(str) for column in columns]
    return list(zip(*filled, strict=True))


def onset_sentences(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """For each patch, when its codes, best layers and index arise, and by how much the codes differ.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        With ``time_onsets`` and ``time_onset_differences``; no sentences without them.
    """
    if "time_onsets" not in tables or "time_onset_differences" not in tables:
        return []
    onsets = leading(tables["time_onsets"])
    several_seeds = onsets["seed"].nunique() > 1
    patches = patch_names(tables["time_onsets"])[onsets.index]
    differences = tables["time_onset_differences"]
    said = []
    for patch in dict.fromkeys(patches):
        rows = onsets[patches == patch]
        there, lacking = rows[rows["onset_ms"].notna()], rows[rows["onset_ms"].isna()]
        parts = [
            f"{_curve(row, several_seeds)} at {row['onset_ms']:.0f} ms ({_interval(row, 0)})"
            for _, row in there.iterrows()
        ]
        text = f"Onsets in {patch}: {', '.join(parts)}" if parts else f"No onset is found in {patch}"
        if len(lacking):
            text += f"; none of the {listed_text([_curve(row, several_seeds) for _, row in lacking.iterrows()])}"
        own = differences[_within(differences, rows)]
        own = own[(own["readout_1"] == "code") & (own["readout_2"] == "code")]
        text += "".join(_order(row) for _, row in own.iterrows())
        said.append(f"{text}.")
    return said


def _within(differences: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
    """Differences within the patch of some onsets."""
    found = pd.Series(True, index=differences.index)
    for name in ("region", "subject"):
        value = rows[name].iloc[0]
        for side in (1, 2):
            found &= differences[f"{name}_{side}"] == value
    return found


def _curve(row: pd.Series, several_seeds: bool) -> str:
    if row["readout"] == "code":
        return f"{row['code']} code"
    if row["readout"] == "index":
        return READOUTS["index"]
    network = network_name(row, several_seeds=several_seeds)
    return f"{READOUTS[row['readout']].replace('a layer', str(row['layer']))} ({network})"


def _interval(row: pd.Series, digits: int) -> str:
    low, high = row["ci_low"], row["ci_high"]
    if np.isnan(low) and np.isnan(high):
        return "the bins set no limits"
    if np.isnan(low):
        return f"95 % interval up to {number_text(high, digits)}"
    if np.isnan(high):
        return f"95 % interval from {number_text(low, digits)} on"
    return f"95 % interval {number_text(low, digits)} to {number_text(high, digits)}"


def _order(row: pd.Series) -> str:
    """The code that is later, by how much; with the later one as the first of the difference."""
    later, earlier, sign = ("1", "2", 1) if row["difference_ms"] > 0 else ("2", "1", -1)
    low, high = (row["ci_low"], row["ci_high"]) if sign > 0 else (-row["ci_high"], -row["ci_low"])
    turned = pd.Series({"ci_low": low, "ci_high": high})
    p = p_text(row["p"])
    return (
        f"; {row[f'code_{later}']} after {row[f'code_{earlier}']} by {number_text(sign * row['difference_ms'], 1)} ms "
        f"({_interval(turned, 1)}; p {p if p.startswith('<') else f'= {p}'}{_within_margin(row)})"
    )


def _within_margin(row: pd.Series) -> str:
    """What the tests of equality conclude, where they find the difference to be within the margin."""
    concluded = str(row["conclusion"])
    return f"; {concluded}" if "within" in concluded or "less than" in concluded else ""
