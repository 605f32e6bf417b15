"""What the fits of a run say, in a sentence or two a patch, for a reader who has not seen the study."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from neural_data.rounding import first_largest
from neurocompare.comparison.fit_text import NOT_FOUND, listed_text, number_text, p_text, summary_test
from neurocompare.comparison.multiplicity import CONFIDENCE, rejects
from neurocompare.measures.patch_names import patch_names
from neurocompare.models.regimes import UNTRAINED
from neurocompare.representations.rdms import NETWORK

__all__ = ["best_layers", "fit_sentences", "lead_rows"]

KIND = ["model", "regime"]
MOST_NAMED = 4
"""Most other layers, or networks, that a sentence names."""


def best_layers(fits: pd.DataFrame) -> pd.DataFrame:
    """Row of the largest fit of every network to every patch."""
    defined = fits.dropna(subset="fit")
    networks = [defined[name] for name in NETWORK]
    profiles = defined.groupby([*networks, patch_names(fits)], sort=False, dropna=False)["fit"]
    return defined.loc[[fits.index[first_largest(fits.to_numpy())] for _, fits in profiles]]


def lead_rows(fits: pd.DataFrame) -> pd.DataFrame:
    """Rows of ``best_layers`` for the top of the report.

    Parameters
    ----------
    fits : pandas.DataFrame
        ``tables/fits.csv``.

    Returns
    -------
    pandas.DataFrame
        With ``layer_set`` and ``n_in_set``, the layers that may be the best. Where no layer of the network passes the
        test of summaries, ``layer`` says so, ``layer_set`` is empty, and the adjusted p values are the smallest over
        its layers.
    """
    best, (test, _) = best_layers(fits), summary_test(fits)
    rows = []
    for place, row in best.iterrows():
        own = _of_network(fits, row)
        if rejects(own[test].to_numpy(dtype=float), CONFIDENCE).any():
            names = own.loc[own["in_best_set"], "layer"].tolist()
            row = row.copy()
            row["layer_set"], row["n_in_set"] = ", ".join(map(str, names)), len(names)
        else:
            smallest = own[["p_identity_adjusted", "p_zero_adjusted"]].min()
            row = pd.concat([row.drop(smallest.index), smallest])
            row["layer"], row["layer_set"], row["n_in_set"] = f"none {NOT_FOUND[test]}", "", np.nan
        rows.append(row.rename(place))
    return pd.DataFrame(rows)


def _of_network(fits: pd.DataFrame, row: pd.Series) -> pd.DataFrame:
    """All layers of the network and patch of a row."""
    names = [*NETWORK, "region", "subject"]
    same = [(fits[name] == row[name]) | (fits[name].isna() & pd.isna(row[name])) for name in names]
    return fits[np.logical_and.reduce(same)]


def fit_sentences(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """What fits a patch best, what the same network reaches untrained, and whether faces or views alone agree.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        With ``fits``; and ``ceilings``, where the recording is simulated.

    Returns
    -------
    list of str
        One text per patch, in the order of the table. Networks of one model and regime are one, over their seeds.
    """
    fits = tables["fits"].assign(patch=lambda table: patch_names(table))
    test, _ = summary_test(fits)
    best = best_layers(fits)
    said = []
    for patch, rows in best.groupby("patch", sort=False):
        kinds = dict(iter(rows.groupby(KIND, sort=False, dropna=False)))
        reached = {kind: float(seeds["fit"].mean()) for kind, seeds in kinds.items()}
        first = max(reached, key=reached.__getitem__)
        own = [_of_network(fits, row) for _, row in kinds[first].iterrows()]
        parts = [f"{patch}: {_best(first, kinds[first], own, test)}{_bounds(tables, kinds[first])}."]
        parts += _beside(first, kinds, reached)
        parts.append(_tested(fits[fits["patch"] == patch], test))
        said.append(" ".join(parts))
    return said


def _best(kind: tuple[str, str], seeds: pd.DataFrame, own: list[pd.DataFrame], test: str) -> str:
    """The best layers of a network over its seeds, or that none passes the test; ``own`` are the rows of each seed."""
    without = [not rejects(rows[test].to_numpy(dtype=float), CONFIDENCE).any() for rows in own]
    lowest, highest = number_text(seeds["fit"].min()), number_text(seeds["fit"].max())
    if all(without):
        said = f"no layer of {_named(kind)} {NOT_FOUND[test]}"
        if len(seeds) == 1:
            return f"{said}; its largest fit is {highest} ({seeds['layer'].iloc[0]}, {_interval(seeds.iloc[0])})"
        return f"{said} in any of {len(seeds)} seeds; their largest fits are {lowest} to {highest}"
    network = f"the best layer of {_named(kind)}"
    if len(seeds) == 1:
        row = seeds.iloc[0]
        others = own[0].loc[own[0]["in_best_set"], "layer"].drop(row.name, errors="ignore")
        return f"{network} is {row['layer']}, fit {highest} ({_interval(row)}){_others_text(others.tolist())}"
    chosen = ", ".join(seeds["layer"].drop_duplicates())
    said = f"{network} over {len(seeds)} seeds is {chosen}, fits {lowest} to {highest}"
    return f"{said}; in {sum(without)} of the seeds no layer {NOT_FOUND[test]}" if any(without) else said


def _interval(row: pd.Series) -> str:
    return f"95 % interval {number_text(row['ci_low'])} to {number_text(row['ci_high'])}"


def _others_text(others: list[str]) -> str:
    """Text on the other layers that may be the best."""
    if not others:
        return ""
    if len(others) > MOST_NAMED:
        return f"; {len(others)} other layers may be as good"
    return f"; {', '.join(map(str, others))} may be as good"


def _bounds(tables: Mapping[str, pd.DataFrame], seeds: pd.DataFrame) -> str:
    ceiling = seeds["ceiling_upper"].iloc[0]
    possible = _best_possible(tables, seeds["region"].iloc[0])
    reliability = seeds["ceiling_lower"].iloc[0]
    said = "" if pd.isna(reliability) else f"; reliability {number_text(reliability)}"
    said += "" if pd.isna(ceiling) else f", noise ceiling {number_text(ceiling)}"
    return said if pd.isna(possible) else f"{said}, best fit that a model of images can reach {number_text(possible)}"


def _beside(
    first: tuple[str, str], kinds: Mapping[tuple[str, str], pd.DataFrame], reached: Mapping[tuple[str, str], float]
) -> list[str]:
    """What the same model reaches untrained (or trained, if it fits best untrained), and the others."""
    same = [kind for kind in kinds if kind[0] == first[0] and kind != first]
    told = [kind for kind in same if kind[1] == UNTRAINED] if first[1] != UNTRAINED else same
    parts = []
    if told and first[1] != UNTRAINED:
        (untrained,) = told
        layers = ", ".join(kinds[untrained]["layer"].drop_duplicates())
        parts.append(f"The same network untrained reaches {number_text(reached[untrained])} ({layers}).")
    elif told:
        trained = max(told, key=reached.__getitem__)
        parts.append(
            f"That network is untrained; trained it reaches at most {number_text(reached[trained])} ({trained[1]})."
        )
    others = [reached[kind] for kind in kinds if kind != first and kind not in told]
    if others:
        low, high = f"{number_text(min(others))}", f"{number_text(max(others))}"
        parts.append(f"The others reach {low if low == high else f'{low} to {high}'}.")
    return parts


def _tested(fits: pd.DataFrame, test: str) -> str:
    """Which networks have a layer that passes the test of summaries."""
    smallest = fits.groupby(KIND, sort=False, dropna=False)[test].min().dropna()
    passed = [_named(kind) for kind in smallest.index[rejects(smallest.to_numpy(dtype=float), CONFIDENCE)]]
    if test == "p_identity_adjusted":
        if smallest.empty:
            return "Whether identities agree could not be tested."
        if passed:
            return f"Identities agree beyond what views explain in layers of {_listed(passed)} (adjusted p < 0.05)."
        return f"The smallest adjusted p over all layers of all networks is {p_text(smallest.min())}."
    if smallest.empty:
        return "Whether fits exceed 0 could not be tested."
    if passed:
        return f"Fits exceed 0 in layers of {_listed(passed)} (adjusted p < 0.05)."
    return f"No layer fits above 0 (smallest adjusted p {p_text(smallest.min())})."


def _named(kind: tuple[str, str]) -> str:
    return f"{kind[0]} ({kind[1]})"


def _listed(names: list[str]) -> str:
    return f"{len(names)} networks" if len(names) > MOST_NAMED else listed_text(names)


def _best_possible(tables: Mapping[str, pd.DataFrame], region: str) -> float:
    """Best possible fit to a simulated patch by a model of the images; NaN for recorded patches."""
    ceilings = tables.get("ceilings")
    if ceilings is None or "image_fit" not in ceilings:
        return float("nan")
    values = ceilings.loc[ceilings["region"] == region, "image_fit"].to_numpy(dtype=float)
    return float(values.mean()) if len(values) and not np.isnan(values).all() else float("nan")
