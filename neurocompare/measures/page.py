"""The report of a run, assembled from the tables and figures that the measures declare."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from neurocompare.measures import MEASURES
from neurocompare.measures.columns import columns
from neurocompare.measures.declaration import Measure, ReportTable
from neurocompare.reporting.report import Page, PageFigure, PageSection, PageTable, write_page

__all__ = ["summary_sentences", "write_report"]

QUICK = "A quick look (--quick): fewer seeds, identities, neurons and draws. Report no number of it."


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into a run folder.

    Parameters
    ----------
    folder : pathlib.Path
        Holds ``tables/``, ``figures/`` and ``provenance.json`` of one run.

    Returns
    -------
    pathlib.Path
        The page, one file that opens offline.
    """
    tables = {path.stem: pd.read_parquet(path) for path in sorted((folder / "tables").glob("*.parquet"))}
    drawn = {path.stem for path in (folder / "figures").glob("*.svg")}
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    study = provenance["study"]
    there = _those_there(tables)
    warnings = [sentence for measure in there for sentence in measure.warnings(tables, study)]
    if provenance.get("quick", False):
        warnings.insert(0, QUICK)
    page = Page(
        provenance=provenance,
        sentences=summary_sentences(tables, study),
        warnings=[*warnings, *provenance["notes"]],
        lead=[_page_table(shown, measure, tables) for measure, shown in _shown(there, tables, lead=True)],
        sections=_sections(tables, drawn),
        methods=[sentence for measure in there for sentence in measure.methods(tables, study)],
    )
    return write_page(page, folder)


def summary_sentences(tables: Mapping[str, pd.DataFrame], study: Mapping[str, Any]) -> list[str]:
    """What a run found, in plain words.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        The run's tables.
    study : mapping
        The resolved study.

    Returns
    -------
    list of str
        Verdicts on hypotheses first, then the summary of each measure.
    """
    there = sorted(_those_there(tables), key=lambda measure: measure.key != "hypotheses")
    return [sentence for measure in there for sentence in measure.summary(tables, study)]


def _those_there(tables: Mapping[str, pd.DataFrame]) -> list[Measure]:
    """Measures for which a run has all required tables."""
    return [one for one in MEASURES.values() if one.tables and any(table.name in tables for table in one.tables)]


def _shown(
    there: list[Measure], tables: Mapping[str, pd.DataFrame], *, lead: bool
) -> Iterator[tuple[Measure, ReportTable]]:
    for measure in there:
        for shown in measure.shown:
            if shown.lead is lead and (shown.rows is not None or shown.name in tables):
                yield measure, shown


def _page_table(shown: ReportTable, measure: Measure, tables: Mapping[str, pd.DataFrame]) -> PageTable:
    rows = tables[shown.name] if shown.rows is None else shown.rows(tables)
    declared = {table.name: table for table in measure.all_tables}
    if shown.columns is None:
        wanted = tuple(column for column in declared[shown.name].columns if column.name != "layer_index")
    else:
        wanted = columns(*shown.columns)
    caption = shown.caption if isinstance(shown.caption, str) else shown.caption(rows)
    return PageTable(shown.name, caption, rows, wanted, plain=shown.lead)


def _sections(tables: Mapping[str, pd.DataFrame], drawn: set[str]) -> list[PageSection]:
    """Sections of the report, one per title of measures; hypotheses come first."""
    sections: dict[str, PageSection] = {}
    there = _those_there(tables)
    for measure in sorted(MEASURES.values(), key=lambda one: one.key != "hypotheses"):
        figures = [PageFigure(figure.name, figure.caption) for figure in measure.figures if figure.name in drawn]
        shown = []
        if measure in there:
            shown = [_page_table(one, measure, tables) for _, one in _shown([measure], tables, lead=False)]
        if figures or shown:
            before = sections.get(measure.title, PageSection(measure.title))
            sections[measure.title] = PageSection(
                measure.title, before.intro or measure.intro, [*before.figures, *figures], [*before.tables, *shown]
            )
    return list(sections.values())
