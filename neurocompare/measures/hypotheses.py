"""Tests of the hypotheses that a study declares, on its tables.

Each claim of ``[[hypotheses]]`` selects rows of one table and is decided by a test of ``comparison.hypotheses``:
estimate, interval, p corrected within its family, and a verdict: supported, not supported, opposite or undecided.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from neurocompare.comparison.hypotheses import HYPOTHESIS_COLUMNS, decide
from neurocompare.comparison.hypothesis import Hypothesis
from neurocompare.measures.columns import columns
from neurocompare.measures.declaration import Measure, Measured, ReportTable
from neurocompare.reporting.tables import Column, Table

__all__ = ["HYPOTHESES"]

N = Column("n", "number of independent units")
MOST_SENTENCES = 6
"""Tests, or claims, that the summary names one by one."""


def measure(*, hypotheses: tuple[Hypothesis, ...], tables: Mapping[str, pd.DataFrame], correction: str) -> Measured:
    """Estimate, interval, corrected p and verdict of every claim."""
    return Measured({"hypotheses": decide(hypotheses, tables, correction=correction)})


def _summary(tables: Mapping[str, pd.DataFrame], _study: Mapping[str, Any]) -> list[str]:
    """Each verdict; of many, one sentence per claim that is tested in several combinations, or their numbers alone."""
    decided = tables["hypotheses"]
    if len(decided) <= MOST_SENTENCES:
        return [f"{row['verdict'].capitalize()}: {row['statement']}" for _, row in decided.iterrows()]
    claims = [rows for _, rows in decided.groupby(decided["hypothesis"].str.partition("[")[0], sort=False)]
    counted = f"Of {len(decided)} tests of claims {_verdicts(decided)}; the table of hypotheses has each."
    if len(claims) > MOST_SENTENCES:
        return [counted]
    return [counted, *(f"{_claim(rows)}: {_verdicts(rows)}." for rows in claims)]


def _claim(rows: pd.DataFrame) -> str:
    """The claim, without the combination at its end if it is tested in several."""
    statement = str(rows["statement"].iloc[0])
    return statement if len(rows) == 1 else re.sub(r" \([^()]*\)$", "", statement)


def _verdicts(rows: pd.DataFrame) -> str:
    """``5 supported, 4 undecided``; the verdict alone if there is one row."""
    counts = rows["verdict"].value_counts(sort=False)
    return (
        str(rows["verdict"].iloc[0]) if len(rows) == 1 else ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
    )


HYPOTHESES = Measure(
    key="hypotheses",
    title="Hypotheses",
    about="the claims that the study declares, decided on its tables",
    optional=False,
    compute=measure,
    work=lambda _settings, _n_stimuli: 1,
    tables=(
        Table(
            "hypotheses",
            "One claim, or one of the combinations that it is tested in.",
            columns(*(N if name == "n" else name for name in HYPOTHESIS_COLUMNS)),
        ),
    ),
    shown=(
        ReportTable(
            "hypotheses",
            "Claims declared in the study, decided on its tables. Undecided: the data are compatible with no effect "
            "and with one that matters.",
            columns=("hypothesis", "statement", "verdict", "estimate", "ci_low", "ci_high", "p_adjusted", N),
        ),
    ),
    summary=_summary,
    methods=lambda _tables, study: [
        f"p values of hypotheses are two-sided and corrected for multiplicity ({study['comparison']['correction']})."
    ],
)
