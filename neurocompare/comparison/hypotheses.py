"""Tests of declared hypotheses: rows of ``tables/hypotheses.csv``.

A hypothesis (``hypothesis.Hypothesis``) names a table, selections of its rows and a test. It contains no code, so that
a study file can declare it and a reader can see exactly what is tested. :func:`decide` gives an estimate, an interval,
a corrected p and a verdict.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from neural_data.errors import InputError, closest
from neural_data.rounding import difference
from neurocompare.comparison.equivalence_tests import p_equal
from neurocompare.comparison.hypothesis import ALLOWED_CORRECTIONS, Hypothesis
from neurocompare.comparison.hypothesis_tests import (
    Outcome,
    mean_outcome,
    ordering_outcome,
    peak_outcome,
    pearson_outcome,
    rank_sum_equality,
    rank_sum_outcome,
    t_outcome,
    trend_outcome,
)
from neurocompare.comparison.multiplicity import adjust

__all__ = ["HYPOTHESIS_COLUMNS", "decide", "verdict"]

log = logging.getLogger(__name__)

HYPOTHESIS_COLUMNS = (
    *("hypothesis", "statement", "estimate", "ci_low", "ci_high", "statistic", "df"),
    *("p", "p_adjusted", "correction", "n", "verdict", "reason"),
)


def decide(
    hypotheses: Sequence[Hypothesis], tables: Mapping[str, pd.DataFrame], *, correction: str = "holm"
) -> pd.DataFrame:
    """Test hypotheses on tables of results.

    Parameters
    ----------
    hypotheses : sequence of Hypothesis
        In the order of the rows of the result.
    tables : mapping of str to pandas.DataFrame
        By table name, as in the hypotheses.
    correction : {"holm", "bh", "none"}
        Correction for multiplicity within a family whose hypotheses name none.

    Returns
    -------
    pandas.DataFrame
        Columns ``HYPOTHESIS_COLUMNS``; one row per hypothesis, or one per combination of the values of its ``each``
        (``name[face, fc1]``, also in the statement). ``n`` is the number of units. NaN if the test is undefined (too
        few units, no variation).

    Raises
    ------
    InputError
        If a table, column or value that a hypothesis names does not exist, or a selection holds nothing.

    Notes
    -----
    P values are two-sided, whatever the direction, so that a claim can be contradicted as well as supported;
    see :func:`verdict` for the rule.
    """
    if correction not in ALLOWED_CORRECTIONS:
        raise InputError(f"there is no correction {correction!r}: {closest(correction, ALLOWED_CORRECTIONS)}")
    tested = [
        (hypothesis, cell, _outcome(hypothesis, rows))
        for hypothesis in hypotheses
        for cell, rows in _each(hypothesis, _checked_table(hypothesis, tables))
    ]
    families = [
        (
            hypothesis.family or (f"each of {hypothesis.name}" if hypothesis.each else ""),
            hypothesis.correction or ("bh" if hypothesis.each else correction),
        )
        for hypothesis, _, _ in tested
    ]
    p = np.array([outcome.p for _, _, outcome in tested], dtype=float)
    adjusted = np.full(len(p), np.nan)
    for family in set(families):
        members = np.array([other == family for other in families])
        adjusted[members] = adjust(p[members], family[1])
    rows = [
        {
            "hypothesis": f"{hypothesis.name}[{cell}]" if cell else hypothesis.name,
            "statement": f"{hypothesis.statement} ({cell})" if cell else hypothesis.statement,
            **{name: getattr(outcome, name) for name in HYPOTHESIS_COLUMNS if hasattr(outcome, name)},
            "df": np.nan if np.isinf(outcome.df) else outcome.df,
            "p_adjusted": adjusted[number],
            "correction": families[number][1],
            "verdict": verdict(hypothesis, outcome, adjusted[number]),
        }
        for number, (hypothesis, cell, outcome) in enumerate(tested)
    ]
    return pd.DataFrame(rows, columns=list(HYPOTHESIS_COLUMNS))


def verdict(hypothesis: Hypothesis, outcome: Outcome, p_adjusted: float) -> str:
    """Verdict from the corrected p and the interval.

    Parameters
    ----------
    hypothesis : Hypothesis
        Gives direction, null, margin and alpha.
    outcome : Outcome
        Estimate and interval.
    p_adjusted : float
        Two-sided p corrected for multiplicity (of ``equivalent``: that of the two one-sided tests).

    Returns
    -------
    {"supported", "not supported", "opposite", "undecided"}
        For a claim ``greater`` (for ``less`` with signs reversed):

        - *opposite*: p < alpha and the estimate lies below the null value;
        - *not supported*: a ``margin`` is given and the whole interval lies below null + margin, so that an effect
          that would matter is excluded (even if p < alpha: the effect exists but is too small);
        - *supported*: p < alpha, the estimate lies above the null value, and *not supported* does not apply;
        - *undecided*: all other cases. The data are compatible with no effect and with one that matters, or the test is
          undefined. Without a margin, a non-significant result is never evidence against a claim.

        ``different`` is *supported* if p < alpha, *not supported* if the interval lies within the margin on both sides,
        never *opposite*. ``equivalent`` is *supported* if p < alpha, *opposite* if the whole interval lies beyond the
        margin, else *undecided*.
    """
    low, high = outcome.ci_low - hypothesis.null, outcome.ci_high - hypothesis.null
    effect = outcome.estimate - hypothesis.null
    if np.isnan(p_adjusted):
        return "undecided"
    significant = p_adjusted < hypothesis.alpha
    if hypothesis.direction == "equivalent":
        if significant:
            return "supported"
        return "opposite" if low > hypothesis.equivalence or high < -hypothesis.equivalence else "undecided"
    if hypothesis.direction == "different":
        if hypothesis.margin is not None and max(-low, high) < hypothesis.margin:
            return "not supported"
        return "supported" if significant else "undecided"
    if hypothesis.direction == "less":
        effect, low, high = -effect, -high, -low
    if significant and effect < 0:
        return "opposite"
    if hypothesis.margin is not None and high < hypothesis.margin:
        return "not supported"
    return "supported" if significant else "undecided"


def _checked_table(hypothesis: Hypothesis, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The table of a hypothesis, checked to hold its columns and values."""
    if hypothesis.table not in tables:
        raise InputError(
            f"hypothesis {hypothesis.name!r}: there is no table {hypothesis.table!r}: "
            f"{closest(hypothesis.table, tables)}"
        )
    table = tables[hypothesis.table]
    selections = [hypothesis.where, hypothesis.baseline or {}, *hypothesis.selections]
    columns = [
        hypothesis.value,
        *hypothesis.unit,
        *hypothesis.each,
        *(column for part in selections for column in part),
    ]
    columns += [hypothesis.over] if hypothesis.over else []
    columns += [hypothesis.se] if hypothesis.test == "tabulated" else []
    columns += [hypothesis.low, hypothesis.high, hypothesis.p] if hypothesis.test == "interval" else []
    for column in columns:
        if column not in table.columns:
            raise InputError(
                f"hypothesis {hypothesis.name!r}: table {hypothesis.table!r} has no column {column!r}: "
                f"{closest(column, table.columns)}"
            )
    for part in selections:
        for column, wanted in part.items():
            for value in _as_list(wanted):
                if not _matches(table[column], [value]).any():
                    raise InputError(
                        f"hypothesis {hypothesis.name!r}: column {column!r} of table {hypothesis.table!r} never holds "
                        f"{value!r}: {closest(str(value), table[column].drop_duplicates().astype(str))}"
                    )
    return table


def _each(hypothesis: Hypothesis, table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Name (``face, fc1``) and rows of every combination of the columns ``each``; all rows without ``each``."""
    if not hypothesis.each:
        return [("", table)]
    shared = _select(table, hypothesis.where)
    return [(", ".join(map(str, values)), rows) for values, rows in shared.groupby(list(hypothesis.each), sort=False)]


def _outcome(hypothesis: Hypothesis, table: pd.DataFrame) -> Outcome:
    """Test of one hypothesis on (one combination's rows of) its table."""
    null, alpha = hypothesis.null, hypothesis.alpha
    # An equivalence test at level alpha belongs to the interval of coverage 1 - 2 alpha.
    level = 2 * alpha if hypothesis.direction == "equivalent" else alpha
    sign = -1.0 if hypothesis.direction == "less" else 1.0
    match hypothesis.test:
        case "tabulated":
            outcome = _tabulated(hypothesis, table, level)
        case "interval":
            outcome = _interval(hypothesis, table)
        case "peak":
            values = _peak_values(hypothesis, table)
            found = peak_outcome(sign * values.iloc[:, 0].to_numpy(), sign * values.iloc[:, 1:].to_numpy(), alpha=alpha)
            outcome = _signed(found, sign)
        case "rank-sum" | "mean":
            samples = [_values(hypothesis, table, part).dropna().to_numpy() for part in hypothesis.selections]
            test = rank_sum_outcome if hypothesis.test == "rank-sum" else mean_outcome
            outcome = test(*samples, null=null, alpha=level)
            if hypothesis.test == "rank-sum" and hypothesis.direction == "equivalent":
                p = rank_sum_equality(samples[0], samples[1], hypothesis.equivalence, null=null)
                return dataclasses.replace(outcome, p=p)
        case _:
            values = _joined(hypothesis, table).to_numpy()
            match hypothesis.test:
                case "paired":
                    outcome = mean_outcome(difference(values[:, 0], values[:, 1]), null=null, alpha=level)
                case "contrast":
                    weights = np.array(hypothesis.weights, dtype=float)
                    above, below = values @ weights.clip(min=0), values @ (-weights).clip(min=0)
                    outcome = mean_outcome(difference(above, below), null=null, alpha=level)
                case "correlation":
                    outcome = pearson_outcome(values[:, 0], values[:, 1], alpha=alpha)
                case "ordering":
                    outcome = _signed(ordering_outcome(sign * values, alpha=alpha), sign)
                case _:
                    outcome = _signed(trend_outcome(sign * values, alpha=alpha), sign)
    return _equivalence(outcome, hypothesis) if hypothesis.direction == "equivalent" else outcome


def _equivalence(outcome: Outcome, hypothesis: Hypothesis) -> Outcome:
    """The larger p of the two one-sided tests against the margins (Schuirmann 1987)."""
    if np.isnan(outcome.se):
        return outcome
    effect = outcome.estimate - hypothesis.null
    p = float(p_equal(np.asarray(effect), np.asarray(outcome.se), outcome.df, hypothesis.equivalence))
    return dataclasses.replace(outcome, statistic=(hypothesis.equivalence - abs(effect)) / outcome.se, p=p)


def _signed(outcome: Outcome, sign: float) -> Outcome:
    """Outcome with the sign of the data, if the test used their negatives."""
    if sign > 0:
        return outcome
    return dataclasses.replace(outcome, estimate=-outcome.estimate, ci_low=-outcome.ci_high, ci_high=-outcome.ci_low)


def _one_row(hypothesis: Hypothesis, table: pd.DataFrame) -> pd.Series:
    rows = _select(table, {**hypothesis.where, **hypothesis.selections[0]})
    if len(rows) != 1:
        raise InputError(
            f"hypothesis {hypothesis.name!r}: test {hypothesis.test!r} takes one row of table {hypothesis.table!r}, "
            f"but {len(rows)} are selected; name more (or fewer) columns"
        )
    return rows.iloc[0]


def _interval(hypothesis: Hypothesis, table: pd.DataFrame) -> Outcome:
    """Estimate, interval and p as given in the table; the null value is 0."""
    row = _one_row(hypothesis, table)
    numbers = [float(row[name]) for name in (hypothesis.value, hypothesis.low, hypothesis.high, hypothesis.p)]
    estimate, low, high, p = numbers
    reason = str(row.get(hypothesis.reason, "") or "")
    return Outcome(estimate, low, high, p=p, n=np.nan, reason=reason)


def _tabulated(hypothesis: Hypothesis, table: pd.DataFrame, alpha: float) -> Outcome:
    row = _one_row(hypothesis, table)
    df = float(row[hypothesis.df]) if hypothesis.df in table.columns and pd.notna(row[hypothesis.df]) else np.inf
    n = float(row["n"]) if "n" in table.columns else np.nan
    return t_outcome(
        float(row[hypothesis.value]), float(row[hypothesis.se]), df, n=n, null=hypothesis.null, alpha=alpha
    )


def _joined(hypothesis: Hypothesis, table: pd.DataFrame) -> pd.DataFrame:
    """Values of the units that all selections share, one column per selection."""
    parts = [_values(hypothesis, table, part).rename(number) for number, part in enumerate(hypothesis.selections)]
    return _complete(hypothesis, pd.concat(parts, axis=1, join="outer"))


def _peak_values(hypothesis: Hypothesis, table: pd.DataFrame) -> pd.DataFrame:
    """Values of the units: the selection in the first column, every other value of ``over`` in a further column."""
    selection = hypothesis.selections[0]
    if hypothesis.over not in selection:
        raise InputError(
            f"hypothesis {hypothesis.name!r}: a peak over {hypothesis.over!r} needs a selection that names its "
            f"position, such as {{{hypothesis.over} = ...}}"
        )
    rest = {column: value for column, value in selection.items() if column != hypothesis.over}
    at = _as_list(selection[hypothesis.over])
    rows = _select(table, {**hypothesis.where, **rest})
    others = [value for value in rows[hypothesis.over].drop_duplicates() if not _matches(pd.Series([value]), at).any()]
    if not others:
        raise InputError(
            f"hypothesis {hypothesis.name!r}: {hypothesis.over} has only one value; a peak needs others to compare with"
        )
    parts = [_values(hypothesis, table, {**rest, hypothesis.over: value}) for value in (at, *others)]
    return _complete(hypothesis, pd.concat(parts, axis=1, join="outer", keys=range(len(parts))))


def _complete(hypothesis: Hypothesis, values: pd.DataFrame) -> pd.DataFrame:
    """Units with a value in every column; InputError if selections share no unit."""
    shared = values.dropna()
    if shared.empty:
        raise InputError(
            f"hypothesis {hypothesis.name!r}: its selections share no unit ({', '.join(hypothesis.unit)}) with a value "
            "in each; choose units that occur in all of them, or test rank-sum"
        )
    if len(shared) < len(values):
        log.warning(
            "hypothesis %s: %d of %d units lack a value and are left out",
            hypothesis.name,
            len(values) - len(shared),
            len(values),
        )
    return shared


def _values(hypothesis: Hypothesis, table: pd.DataFrame, selection: Mapping[str, Any]) -> pd.Series:
    """Mean value of each unit of a selection, minus its baseline if there is one; indexed by unit."""
    chosen = {**hypothesis.where, **selection}
    values = _unit_means(hypothesis, table, chosen)
    if hypothesis.baseline is None:
        return values
    base = _unit_means(hypothesis, table, {**chosen, **hypothesis.baseline})
    base = base.reindex(values.index)
    return pd.Series(difference(values.to_numpy(), base.to_numpy()), index=values.index)


def _unit_means(hypothesis: Hypothesis, table: pd.DataFrame, selection: Mapping[str, Any]) -> pd.Series:
    rows = _select(table, selection)
    if rows.empty:
        raise InputError(
            f"hypothesis {hypothesis.name!r}: no row of table {hypothesis.table!r} has {dict(selection)}; each value "
            "occurs, but not together"
        )
    return rows.groupby(list(hypothesis.unit), sort=False)[hypothesis.value].mean()


def _select(table: pd.DataFrame, selection: Mapping[str, Any]) -> pd.DataFrame:
    keep = np.ones(len(table), dtype=bool)
    for column, wanted in selection.items():
        keep &= _matches(table[column], _as_list(wanted)).to_numpy()
    return table[keep]


def _matches(column: pd.Series, wanted: Sequence[object]) -> pd.Series:
    """Whether entries equal one of the values, directly or as text."""
    return column.isin(list(wanted)) | column.astype(str).isin([str(value) for value in wanted])


def _as_list(value: object) -> list:
    return list(value) if isinstance(value, (list, tuple, set)) else [value]
