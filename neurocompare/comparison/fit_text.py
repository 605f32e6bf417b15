"""Results of fits as text: summary for a terminal, table for a notebook, one sentence per network and patch."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from neural_data.rounding import first_largest
from neurocompare.comparison.multiplicity import rejects
from neurocompare.comparison.resampling import FACTORS, factors_along
from neurocompare.representations.rdms import LAYER, NETWORK

if TYPE_CHECKING:
    from neurocompare.comparison.fit_result import FitResult

__all__ = [
    "NOT_FOUND",
    "html_text",
    "listed_text",
    "network_name",
    "number_text",
    "p_text",
    "sentences",
    "summary_test",
    "summary_text",
]

RECORDING_COLUMNS = ("region", "subject")
AGAINST = {"p_identity_adjusted": "permuted identities", "p_zero_adjusted": "0"}
"""What a fit is tested against, by column of the test."""
NOT_FOUND = {"p_identity_adjusted": "fits beyond permuted identities", "p_zero_adjusted": "fits above 0"}
"""What no layer does, by column of the test."""
LEAST_P = 0.001
WIDTH = 78


def listed_text(names: Sequence[str]) -> str:
    """One or more names as "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def number_text(value: float, digits: int = 2) -> str:
    """A number with ``digits`` decimals, never -0.00."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def p_text(value: float) -> str:
    """A p value with three decimals, never 0.000; empty if undefined."""
    if np.isnan(value):
        return ""
    return f"< {LEAST_P}" if value < LEAST_P else f"{value:.3f}"


def summary_test(fits: pd.DataFrame) -> tuple[str, str]:
    """Column of the test in summaries, and its finding; the test of identities, if these could be permuted."""
    if fits["p_identity_adjusted"].notna().any():
        return "p_identity_adjusted", "identities agree beyond views"
    return "p_zero_adjusted", "above 0"


def sentences(result: FitResult) -> list[str]:
    """One sentence per network and recording: its best layer, the fit, and the noise ceiling.

    Parameters
    ----------
    result : FitResult
        From ``infer_fits``.

    Returns
    -------
    list of str
        "no layer fits beyond permuted identities" if no fit passes that test, corrected over layers; "no layer fits
        above 0" if identities could not be permuted and no fit passes the test against 0. For models without layers,
        one sentence per recording, on the best model.
    """
    frame = result.to_frame()
    test, _ = summary_test(frame)
    has_layers = _says_something(frame["layer"])
    by = (*NETWORK, *RECORDING_COLUMNS) if has_layers else RECORDING_COLUMNS
    keys = [name for name in by if _says_something(frame[name])]
    groups = frame.groupby(keys, sort=False, dropna=False) if keys else [((), frame)]
    found = []
    for labels, rows in groups:
        named = dict(zip(keys, labels, strict=True))
        if factors_along("subjects", result.factors):  # the mean fit over subjects, for which the interval speaks
            named.pop("subject", None)
        where = " ".join(str(named[name]) for name in RECORDING_COLUMNS if name in named) or "The recording"
        network = network_name(named, several_seeds=frame["seed"].nunique() > 1) if has_layers else ""
        found.append(_sentence(where, network, rows, test, result, what="layer" if has_layers else "model"))
    return found


def network_name(labels: Mapping[str, object], *, several_seeds: bool) -> str:
    """Model and training regime in words, those that are given.

    Parameters
    ----------
    labels : mapping of str to object
        Labels of a network by the names of ``representations.rdms.NETWORK``.
    several_seeds : bool
        Whether the seed tells networks apart, so that it is said.
    """
    about = [str(labels[name]) for name in ("model", "regime") if name in labels and _is_given(labels[name])]
    if several_seeds and "seed" in labels:
        about.append(f"seed {labels['seed']}")
    return ", ".join(about)


def _sentence(where: str, network: str, rows: pd.DataFrame, test: str, result: FitResult, *, what: str) -> str:
    of = f" of {network}" if network else ""
    defined = rows.dropna(subset="fit")
    ceiling = _ceiling(rows.iloc[0], result.ceilings_over)
    if defined.empty:
        return f"{where}: no fit{of} is defined{ceiling}."
    if not rejects(defined[test].to_numpy(), result.confidence).any():
        least = p_text(defined[test].min()) or "not defined"
        return f"{where}: no {what}{of} {NOT_FOUND[test]} (smallest adjusted p {least}){ceiling}."
    best = defined.iloc[int(first_largest(defined["fit"].to_numpy()))]
    over = " and ".join(FACTORS[name].plural for name in result.factors)
    interval = f"{number_text(best['ci_low'])} to {number_text(best['ci_high'])}"
    p = f"p against {AGAINST[test]} {_with_sign(p_text(best[test]))}"
    several_seeds = defined["seed"].nunique() > 1
    name = f"{best['layer']}{of}" if what == "layer" else network_name(best, several_seeds=several_seeds)
    if len(rows) == 1:
        said = f"the fit of {name or 'the model'} is"
    else:
        said = f"{name} fits best," if what == "layer" else f"{name} fits best of {len(rows)} models,"
    return (
        f"{where}: {said} {number_text(best['fit'])} "
        f"({100 * result.confidence:g} % interval over {over} {interval}; {p}){ceiling}."
    )


def _is_given(value: object) -> bool:
    return not pd.isna(value) and str(value) != ""


def _with_sign(p: str) -> str:
    return p if p.startswith("<") else f"= {p}"


def _ceiling(row: pd.Series, over: str) -> str:
    lower, upper = row["ceiling_lower"], row["ceiling_upper"]
    if np.isnan(lower):
        return ""
    if over == "subjects":
        return f"; noise ceiling over subjects {number_text(lower)} to {number_text(upper)}"
    return f"; reliability {number_text(lower)}" + (
        f", noise ceiling {number_text(upper)}" if np.isfinite(upper) else ""
    )


def summary_text(result: FitResult, n_rows: int = 40) -> str:
    """Table and sentences in plain text, like a statsmodels summary."""
    sizes = ", ".join(f"{np.unique(size).tolist()} {factor}" for factor, size in result.sizes.items())
    head = [
        "Model-brain fits".center(WIDTH),
        "=" * WIDTH,
        f"Method: {result.method:<24}Dissimilarity: {result.dissimilarity:<20}Stimuli: {result.n_stimuli}",
        f"Sampled: {'+'.join(result.factors):<23}Variance: {result.variance:<25}Draws: {result.n_draws}",
        f"Units: {sizes}",
        "-" * WIDTH,
    ]
    frame = result.to_frame()
    table = _shown(frame.head(n_rows)).to_string(index=False)
    rest = [f"... {len(frame) - n_rows} more rows"] if len(frame) > n_rows else []
    percent = f"{100 * result.confidence:g} %"
    foot = [
        "-" * WIDTH,
        *sentences(result),
        f"Intervals {percent} (t); p one-sided, adjusted by Benjamini-Hochberg in a recording",
    ]
    return "\n".join([*head, table, *rest, *foot, *(f"Note: {note}" for note in result.notes)])


def html_text(result: FitResult) -> str:
    """The fits as an HTML table for notebooks."""
    table = _shown(result.to_frame()).to_html(index=False, max_rows=20)
    return f"<p>{html.escape(repr(result))}</p>{table}"


def _shown(frame: pd.DataFrame) -> pd.DataFrame:
    """The main columns, as text."""
    named = [name for name in (*LAYER[:4], *RECORDING_COLUMNS) if _says_something(frame[name])]
    values = ("fit", "se", "ci_low", "ci_high", "ceiling_lower", "ceiling_upper")
    numbers = [name for name in values if frame[name].notna().any()]
    tests = [name for name in ("p_zero", "p_zero_adjusted", "p_identity_adjusted") if frame[name].notna().any()]
    shown = frame[[*named, *numbers, *tests]].copy()
    for name in numbers:
        shown[name] = [number_text(value, 3) for value in shown[name]]
    for name in tests:
        shown[name] = [p_text(value) for value in shown[name]]
    return shown


def _says_something(column: pd.Series) -> bool:
    return bool((column.notna() & (column.astype(str) != "")).any())
