"""One self-contained HTML page for a run, from given sections of figures and tables."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from neurocompare.reporting.tables import Column

__all__ = ["PLOT_COLUMNS", "Page", "PageFigure", "PagePlot", "PageSection", "PageTable", "write_page"]

Cell = str | float | int | None

PLOT_COLUMNS = ("panel", "series", "colour", "x", "label", "y", "low", "high")
"""Columns of the rows of a plot: what a reader chooses, a line and its colour, and a point, its name and interval."""
COUNTED = ("seed", "epoch")
"""Whole numbers that a column with gaps holds as floating-point ones."""


@dataclass(frozen=True)
class PageTable:
    """A table of the page.

    Parameters
    ----------
    name : str
        Name of its HTML element, and of the file that a reader downloads.
    caption : str
        The text above it.
    rows : pandas.DataFrame
        The table.
    columns : tuple of Column
        Columns shown, without empty ones.
    plain : bool
        Whether it has no sorting, filter and download.
    """

    name: str
    caption: str
    rows: pd.DataFrame
    columns: tuple[Column, ...]
    plain: bool = False


@dataclass(frozen=True)
class PageFigure:
    """A figure of the page, in ``figures/NAME.svg`` of the run.

    Parameters
    ----------
    name : str
        Name of the file, without extension.
    caption : str
        The text below it.
    """

    name: str
    caption: str


@dataclass(frozen=True)
class PagePlot:
    """A figure that the browser draws, whose points a reader can ask: one panel at a time, all lines or one.

    Parameters
    ----------
    name, caption : str
        Name of its HTML element, and the text below it.
    panel : str
        What its panels are, as a label of their menu: ``Patch``.
    y_label : str
        Label of the upright axis.
    rows : pandas.DataFrame
        Columns :data:`PLOT_COLUMNS`; ``x`` from 0 to 1. Points without a number are left out.
    """

    name: str
    caption: str
    panel: str
    y_label: str
    rows: pd.DataFrame

    @property
    def content(self) -> Markup:
        """Its points as JSON, safe inside an element ``script``."""
        defined = self.rows[list(PLOT_COLUMNS)].dropna(subset=["x", "y"]).astype(object)
        points = defined.where(defined.notna(), None).to_dict("split")["data"]
        text = json.dumps({"columns": PLOT_COLUMNS, "points": points}, separators=(",", ":"), allow_nan=False)
        return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


@dataclass(frozen=True)
class PageSection:
    """A section of the page: a title, a paragraph, figures, plots, tables.

    Parameters
    ----------
    title, intro : str
        Heading, and the paragraph below it.
    figures : sequence of PageFigure
        Figures of the run.
    tables : sequence of PageTable
        Tables that a reader can sort, filter and download.
    plots : sequence of PagePlot
        Figures whose points a reader can ask.
    """

    title: str
    intro: str = ""
    figures: Sequence[PageFigure] = ()
    tables: Sequence[PageTable] = ()
    plots: Sequence[PagePlot] = ()

    @property
    def name(self) -> str:
        """Of its element."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()) + "-section"


@dataclass(frozen=True)
class Page:
    """A report.

    Parameters
    ----------
    provenance : mapping
        ``provenance.json`` of the run.
    sentences, warnings, methods : sequence of str
        Results, warnings for the reader, and methods, in sentences.
    opening : str
        What the study asked and did, for a reader who has not seen it.
    lead_figures : sequence of PageFigure
        Main figure, at the top of the page.
    lead : sequence of PageTable
        Tables at the top, below the sentences.
    sections : sequence of PageSection
        What follows, in order.
    """

    provenance: Mapping[str, Any]
    sentences: Sequence[str]
    warnings: Sequence[str]
    methods: Sequence[str]
    opening: str = ""
    lead_figures: Sequence[PageFigure] = ()
    lead: Sequence[PageTable] = ()
    sections: Sequence[PageSection] = field(default=())


def write_page(page: Page, folder: Path) -> Path:
    """Write ``report.html`` into a run folder.

    Parameters
    ----------
    page : Page
        What the report holds.
    folder : pathlib.Path
        Holds ``figures/``.

    Returns
    -------
    pathlib.Path
        The page, one file that opens offline.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("neurocompare.reporting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"rows": _rows, "address": lambda figure: _image(folder, figure.name)}
    text = environment.get_template("report.html.jinja").render(
        page=page, provenance=page.provenance, study=json.dumps(page.provenance["study"], indent=2)
    )
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8")
    return path


def _rows(table: PageTable) -> dict[str, list]:
    """Headers and cells of the non-empty columns; each cell as text and as full-precision number."""
    there = table.rows
    kept = [column for column in table.columns if column.name in there and _says_something(there[column.name])]
    names = [column.name for column in kept]
    cells = [
        [(_cell(name, value), _number(value)) for name, value in zip(names, row, strict=True)]
        for row in there[names].astype(object).to_numpy()
    ]
    headers = [(column.shown, column.name, pd.api.types.is_numeric_dtype(there[column.name])) for column in kept]
    return {"headers": headers, "rows": cells}


def _says_something(values: pd.Series) -> bool:
    return bool((values.notna() & (values.astype(object) != "")).any())


def _number(value: Cell) -> str:
    """The number of a cell in full, for sorting and downloading; empty for text and where it is undefined."""
    if isinstance(value, str) or value is None or pd.isna(value):
        return ""
    return repr(float(value)) if isinstance(value, float) else str(int(value))


def _cell(name: str, value: Cell) -> str:
    if pd.isna(value):
        return "–"
    if not isinstance(value, float):
        return str(value)
    if name in COUNTED:
        return f"{value:.0f}"
    if name == "p" or name.startswith("p_"):
        return f"{value:.2g}" if value >= 1e-4 else "< 0.0001"
    return f"{value:.0f}" if name.startswith("n") else f"{value:.3f}"


def _image(folder: Path, name: str) -> str:
    """Figure as a data URL, so that the page needs no other file."""
    content = (folder / "figures" / f"{name}.svg").read_bytes()
    return "data:image/svg+xml;base64," + base64.b64encode(content).decode("ascii")
