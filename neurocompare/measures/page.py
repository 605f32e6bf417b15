"""The report of a run, assembled from the tables and figures that the measures declare."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from neurocompare.comparison.fit_text import listed_text
from neurocompare.measures import MEASURES
from neurocompare.measures.columns import columns
from neurocompare.measures.declaration import Measure, ReportTable
from neurocompare.reporting.report import Page, PageFigure, PagePlot, PageSection, PageTable, write_page

__all__ = ["notes_in_words", "summary_sentences", "write_report"]

CALIBRATION = (
    "In the calibration, experiments with a known truth were simulated and analysed like this one: a 95 % interval "
    "should hold the truth in 95 % of them."
)
MOST_NAMES = 6
MOST_POINTS = 20_000
"""Points of an interactive figure; a page with more would be slow."""
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
    main = _main_figure(drawn)
    page = Page(
        provenance=provenance,
        opening=_opening(tables),
        lead_figures=[main] if main else [],
        sentences=summary_sentences(tables, study),
        warnings=[*warnings, *notes_in_words(provenance["notes"])],
        lead=[_page_table(shown, measure, tables) for measure, shown in _shown(there, tables, lead=True)],
        sections=_sections(tables, drawn - {main.name if main else None}),
        methods=[sentence for measure in there for sentence in measure.methods(tables, study)],
    )
    return write_page(page, folder)


def notes_in_words(notes: Sequence[str]) -> list[str]:
    """Notes on the numbers as sentences; what the calibration is follows the first that names it."""
    found: list[str] = []
    for note in notes:
        name = note.split(maxsplit=1)[0] if note else ""
        said = note if "_" in name else note[:1].upper() + note[1:]
        said += "" if said.endswith((".", "?", "!")) else "."
        if "calibration" in said and not any(CALIBRATION in other for other in found):
            said = f"{said} {CALIBRATION}"
        found.append(said)
    return found


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
            has_rows = shown.rows is not None or len(tables.get(shown.name, ())) > 0
            if shown.lead is lead and has_rows:
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


def _opening(tables: Mapping[str, pd.DataFrame]) -> str:
    """What the study asked, in a sentence or two; empty if it compares nothing."""
    if "fits" in tables:
        fits = tables["fits"]
        first, patches = fits.iloc[0], list(dict.fromkeys(fits["region"].astype(str)))
        shown = f"{first['n_stimuli']} stimuli"
        if first["n_identities"] < first["n_stimuli"]:
            shown += f" of {first['n_identities']} identities"
        kind = "simulated" if fits["simulated"].any() else "recorded"
        named = f"the {kind} {'patch' if len(patches) == 1 else 'patches'} {listed_text(patches)}"
        return (
            f"How similarly do layers of {_networks(fits)} and {named} represent {shown}? Each represents them by a "
            "matrix of their pairwise dissimilarities. A fit says how alike two such matrices are; the noise ceiling "
            "is the fit that the true model of a patch would reach with these data."
        )
    if "viewpoint" in tables:
        return (
            f"In which layers of {_networks(tables['viewpoint'])} do left and right views of an object evoke the same "
            "responses? The mirror-symmetry index is 1 if they do, and below 0 if responses follow the view."
        )
    return ""


def _networks(table: pd.DataFrame) -> str:
    """Models with their regimes; their number, if there are many."""
    kinds = table[["model", "regime"]].astype(str).drop_duplicates()
    models = [f"{model} ({', '.join(rows['regime'])})" for model, rows in kinds.groupby("model", sort=False)]
    return listed_text(models) if len(models) <= MOST_NAMES else f"{len(models)} models"


def _main_figure(drawn: set[str]) -> PageFigure | None:
    """The first figure of the measures that leads, among those that are drawn."""
    leads = [figure for measure in MEASURES.values() for figure in measure.figures if figure.lead]
    return next((PageFigure(one.name, one.caption) for one in leads if one.name in drawn), None)


def _sections(tables: Mapping[str, pd.DataFrame], drawn: set[str]) -> list[PageSection]:
    """Sections of the report, one per title of measures; hypotheses come first."""
    sections: dict[str, PageSection] = {}
    there = _those_there(tables)
    for measure in sorted(MEASURES.values(), key=lambda one: one.key != "hypotheses"):
        figures = [PageFigure(figure.name, figure.caption) for figure in measure.figures if figure.name in drawn]
        shown = []
        if measure in there:
            shown = [_page_table(one, measure, tables) for _, one in _shown([measure], tables, lead=False)]
        plots = _plots(measure, tables) if measure in there else []
        if figures or shown or plots:
            before = sections.get(measure.title, PageSection(measure.title))
            sections[measure.title] = PageSection(
                measure.title,
                before.intro or measure.intro,
                [*before.figures, *figures],
                [*before.tables, *shown],
                [*before.plots, *plots],
            )
    return list(sections.values())


def _plots(measure: Measure, tables: Mapping[str, pd.DataFrame]) -> list[PagePlot]:
    """The interactive figure of a measure, if some network has several layers."""
    one = measure.explored
    if one is None or one.table not in tables:
        return []
    rows = one.rows(tables)
    if len(rows) > MOST_POINTS or not rows.groupby(["panel", "series"])["label"].nunique().gt(1).any():
        return []
    return [PagePlot(one.name, one.caption, one.panel, one.y_label(tables[one.table]), rows)]
