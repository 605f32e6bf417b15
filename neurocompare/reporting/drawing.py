"""Elements shared by all figures: style, size, panels, intervals and small print; colours are in ``looks``."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import Formatter
from numpy.typing import ArrayLike

from neural_data.checking import span

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

__all__ = [
    "COLUMN_INCHES",
    "PAGE_INCHES",
    "QUANTITIES",
    "SMALL",
    "counted",
    "errorbar",
    "is_leftmost",
    "label_panels",
    "lay_out",
    "legend_name",
    "new_figure",
    "note",
    "panel_grid",
    "panel_title",
    "quantity_name",
    "save_figure",
    "share_scale",
    "style",
    "width_inches",
]

COLUMN_INCHES, PAGE_INCHES = 3.4, 7.0
"""Width of one column and of the text of a journal's page: figures are drawn at print size."""
SMALL = 7.0
"""Smallest font size of a figure, points."""
QUANTITIES = {"index": "mirror-symmetry index", "fit": "fit to patch RDM"}
"""Axis labels of quantities whose name is not the label."""
ABOUT_INCHES = 0.85
"""Space for the legend above the panels and for the small print below, inches."""
LETTER_INCHES = 0.056
"""Mean width of a character of the small print."""
LONGEST_WORD, LONGEST_TICK = 36, 28
"""Most characters of a name in titles and legends, and along an axis."""
_STYLE: dict[RcKeyType, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "svg.fonttype": "path",
    "svg.hashsalt": "neurocompare",
    "figure.dpi": 100,
    # Names come from studies: a dollar sign in a name is not mathematics.
    "text.parse_math": False,
}


def save_figure(figure: Figure, name: str, folder: Path) -> None:
    """Write ``NAME.svg`` and ``NAME.png`` (300 dots per inch); equal figures give equal bytes.

    Names that are too long for a figure are shortened in the middle, and characters that its font lacks are drawn as
    boxes; tables have the full names.
    """
    with style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        lay_out(figure)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        figure.savefig(folder / f"{name}.png", dpi=300, metadata={"Software": None})


def legend_name(name: str) -> str:
    """Name of a line for the legend: matplotlib omits names that begin with an underscore."""
    return f" {name}" if name.startswith("_") else name


def lay_out(figure: Figure) -> None:
    """Shorten names and lay out the figure, once for all output files, as it takes as long as drawing."""
    _shorten_names(figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def _shorten_names(figure: Figure) -> None:
    """Shorten names in the middle if they would leave no room for the panels."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            formatter = axis.get_major_formatter()
            if not isinstance(formatter, _ShortTicks):
                axis.set_major_formatter(_ShortTicks(formatter))
    for text in figure.findobj(Text):
        lines = text.get_text().split("\n")
        text.set_text("\n".join(_shortened(_printable(line), LONGEST_WORD) for line in lines))


class _ShortTicks(Formatter):
    """Tick labels of another formatter, shortened to a number of characters."""

    def __init__(self, formatter: Formatter):
        self.formatter = formatter

    def __call__(self, x: float, pos: int | None = None) -> str:
        return _tick(self.formatter(x, pos))

    def format_ticks(self, values: ArrayLike) -> list[str]:
        """Labels of all ticks at once."""
        places = np.asarray(values, dtype=float).tolist()
        return [_tick(text) for text in self.formatter.format_ticks(places)]

    def get_offset(self) -> str:
        """Offset or factor of all tick labels."""
        return self.formatter.get_offset()

    def set_locs(self, locs: ArrayLike) -> None:
        """Set the positions of the ticks."""
        self.formatter.set_locs(np.asarray(locs, dtype=float).tolist())


def _tick(text: str) -> str:
    """A label of one line or two, each shortened."""
    return "\n".join(_short(_printable(line), LONGEST_TICK) for line in text.split("\n", 1))


def _printable(text: str) -> str:
    """The text with control characters replaced by blanks."""
    return "".join(character if character.isprintable() else " " for character in text)


def _short(text: str, most: int) -> str:
    """The text, shortened to at most ``most`` characters."""
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


@contextmanager
def style() -> Iterator[None]:
    """Context with the fonts and lines of all figures."""
    with mpl.rc_context(_STYLE):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Figure of a size in inches, tied to no window system."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panel_grid(
    n: int,
    *,
    columns: int = 3,
    height: float,
    under: float = 0.4,
    under_last: float = 0.0,
    width: float = PAGE_INCHES,
    sharey: bool = True,
) -> tuple[Figure, list[Axes]]:
    """Panels in rows; a full row is as wide as the page.

    Parameters
    ----------
    n : int
        Number of panels.
    columns : int
        Most panels per row.
    height : float
        Height of one panel with its title, inches.
    under, under_last : float
        Space below every panel, and further space below the last row, inches.
    width : float
        Width of a row of ``columns`` panels, inches; fewer panels are a little wider each.
    sharey : bool
        Whether all panels share one y axis.

    Returns
    -------
    figure : matplotlib.figure.Figure
        Of the page's width.
    panels : list of matplotlib.axes.Axes
        In reading order.
    """
    n_columns = min(columns, n)
    n_rows = -(-n // n_columns)
    share = {1: 0.6, 2: 0.85}.get(n_columns, 1.0) if n_columns < columns else 1.0
    figure = new_figure(width * share, ABOUT_INCHES + (height + under) * n_rows + under_last)
    grid = figure.subplots(n_rows, n_columns, sharey=sharey, squeeze=False)
    for axes in grid.flat[n:]:
        axes.axis("off")
    for axes in grid.flat[: n - n_columns] if sharey else ():
        axes.tick_params(labelbottom=True)
    return figure, list(grid.flat[:n])


def width_inches(axes: Axes) -> float:
    """Width of the figure that a panel is part of.

    Raises
    ------
    TypeError
        If the panel is part of a figure within a figure.
    """
    if not isinstance(axes.figure, Figure):
        raise TypeError("figures within figures have no width of their own")
    return axes.figure.get_figwidth()


def is_leftmost(axes: Axes) -> bool:
    """Whether a panel stands in the first column of its figure."""
    place = axes.get_subplotspec()
    return place is not None and place.is_first_col()


def panel_title(axes: Axes, text: str, *, bold: bool = False, points: float = 8.0, pad: float | None = None) -> None:
    """Title of a panel, in lines that fit its width.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        The panel.
    text : str
        The title.
    bold : bool
        Whether it is bold.
    points : float
        Size of the letters at printed size.
    pad : float or None
        Distance from the panel, points; None takes matplotlib's.
    """
    width = max(10, int(width_inches(axes) * axes.get_position().width / (1.2 * LETTER_INCHES * points / 8)))
    lines = [textwrap.fill(_shortened(line, width), width) for line in text.split("\n")]
    axes.set_title("\n".join(lines), fontweight="bold" if bold else "normal", fontsize=points, pad=pad)


def _shortened(text: str, most: int) -> str:
    """The text with words shortened to at most ``most`` characters."""
    return " ".join(_short(word, min(most, LONGEST_WORD)) for word in text.split(" "))


def label_panels(panels: Sequence[Axes]) -> None:
    """Letters A, B, ... at the upper left of the panels; none for a single panel."""
    if len(panels) > 1:
        for letter, axes in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", panels, strict=False):
            axes.set_title(letter, loc="left", fontweight="bold", fontsize=9)


def share_scale(panels: Sequence[Axes]) -> None:
    """One y scale for panels whose effects are compared, wide enough for all of them."""
    limits = [axes.get_ylim() for axes in panels]
    for axes in panels:
        axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))


def errorbar(
    axes: Axes, x: ArrayLike, y: ArrayLike, low: ArrayLike, high: ArrayLike, colour: str, *, marker: str = "o"
) -> None:
    """Points with asymmetric intervals; without an interval, only the point.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        What is drawn on.
    x, y : array-like of shape (n_points,)
        Places of the points.
    low, high : array-like of shape (n_points,)
        Ends of the intervals; NaN where there is none.
    colour, marker : str
        As matplotlib takes them.
    """
    y, low, high = (np.asarray(values, dtype=float) for values in (y, low, high))
    lengths = np.nan_to_num(np.clip([y - low, high - y], 0, None))
    axes.errorbar(
        x, y, yerr=lengths, fmt=marker, color=colour, markerfacecolor="white", markersize=4, linewidth=1, zorder=3
    )


def note(figure: Figure, text: str) -> None:
    """Small print under the panels, in lines that fit the figure."""
    width = int(figure.get_figwidth() / LETTER_INCHES)
    figure.supxlabel("\n".join(textwrap.wrap(" ".join(text.split()), width)), fontsize=SMALL, color="#555555")


def quantity_name(measure: str, patch: str | float) -> str:
    """Name of a quantity for titles: the index, the fit to a patch, or another quantity by its name."""
    name = QUANTITIES.get(measure, measure.replace("_", " "))
    if pd.isna(patch):
        return name
    return f"fit to {patch}" if measure == "fit" else f"{name}, {patch}"


def counted(counts: pd.Series, noun: str) -> str:
    """Counts of something: ``n = 1 seed``, ``n = 2 to 5 seeds``."""
    shown = span(counts)
    return f"n = {shown} {noun}" + ("" if shown == "1" else "s")
