"""What figures of a run share: their style, colours, panels, layer axes and intervals.

Colours are those of Okabe and Ito, told apart by colour-blind readers.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import Formatter
from numpy.typing import ArrayLike

from neurocompare.representations.rdms import NETWORK

__all__ = [
    "COLUMN_INCHES",
    "NETWORK_COLOURS",
    "QUANTITIES",
    "REGION_COLOURS",
    "Look",
    "colour_legend",
    "each_network",
    "errorbar",
    "kind_colours",
    "kind_legend",
    "layer_axis",
    "layer_ticks",
    "legend",
    "legend_name",
    "line_styles",
    "networks",
    "new_figure",
    "note",
    "profile",
    "quantity_name",
    "row_of_panels",
    "save_figure",
    "span",
    "style",
]

REGION_COLOURS = {"ML": "#0072B2", "MF": "#0072B2", "MLMF": "#0072B2", "AL": "#D55E00", "AM": "#009E73"}
NETWORK_COLOURS = ("#222222", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
LINES = ("-", "--", ":", "-.")
"""Of networks, where colours tell something else; seeds of one network share theirs."""
COLUMN_INCHES = 3.4
"""Width of one column of a journal's page."""
QUANTITIES = {"index": "mirror-symmetry index", "fit": "fit to patch RDM"}
"""Labels of axes, where they are not the name of the quantity."""
LONGEST_WORD, LONGEST_TICK = 36, 28
"""Characters of a name that are drawn, in titles and legends and along an axis."""
_STYLE = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "svg.fonttype": "path",
    "svg.hashsalt": "neurocompare",
    "figure.dpi": 100,
    # Names come from studies: a dollar sign in one is a dollar sign.
    "text.parse_math": False,
}


def save_figure(figure: Figure, name: str, folder: Path) -> None:
    """Write ``NAME.svg`` and ``NAME.png`` (300 dots an inch); equal figures give equal bytes.

    Names that are too long for a figure lose their middle, and characters that its font lacks are drawn as boxes;
    tables hold both in full.
    """
    with style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        _shorten(figure)
        # One layout serves both files: it takes as long as drawing them.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        figure.savefig(folder / f"{name}.png", dpi=300, metadata={"Software": None})


def legend_name(name: str) -> str:
    """The name of a line as a legend takes it: matplotlib leaves out those that begin with an underscore."""
    return f" {name}" if name.startswith("_") else name


def _shorten(figure: Figure) -> None:
    """Take the middle out of names that would leave no room for the panels."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            formatter = axis.get_major_formatter()
            if not isinstance(formatter, _ShortTicks):
                axis.set_major_formatter(_ShortTicks(formatter))
    for text in figure.findobj(Text):
        lines = text.get_text().split("\n")
        words = [[_short(word, LONGEST_WORD) for word in _printable(line).split(" ")] for line in lines]
        text.set_text("\n".join(map(" ".join, words)))


class _ShortTicks(Formatter):
    """Tick labels of another formatter, each of so many characters at most."""

    def __init__(self, formatter: Formatter):
        self.formatter = formatter

    def __call__(self, x: float, pos: int | None = None) -> str:
        return _short(_printable(self.formatter(x, pos)), LONGEST_TICK)

    def format_ticks(self, values: ArrayLike) -> list[str]:
        """Labels of all ticks at once."""
        return [_short(_printable(text), LONGEST_TICK) for text in self.formatter.format_ticks(values)]

    def get_offset(self) -> str:
        """What is added to all labels, or their factor."""
        return self.formatter.get_offset()

    def set_locs(self, locs: ArrayLike) -> None:
        """Where the ticks are."""
        self.formatter.set_locs(locs)


def _printable(text: str) -> str:
    """A text with blanks in the place of control characters."""
    return "".join(character if character.isprintable() else " " for character in text)


def _short(text: str, most: int) -> str:
    """A text of so many characters at most."""
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


@contextmanager
def style() -> Iterator[None]:
    """Fonts and lines of every figure, while the block runs."""
    with mpl.rc_context(_STYLE):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Figure of a size in inches, tied to no window system."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def row_of_panels(n: int, *, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Panels beside each other that share their y axis; width and height of one, inches."""
    figure = new_figure(width * n, height)
    return figure, list(figure.subplots(1, n, sharey=True, squeeze=False)[0])


@dataclass(frozen=True)
class Look:
    """How one network is drawn: its colour, and how far its points stand beside the layer's place."""

    name: str
    colour: str
    shift: float


def networks(table: pd.DataFrame) -> Iterator[tuple[Look, pd.DataFrame]]:
    """Each network's rows, sorted by layer, with its look; column ``place`` is where the layer stands on the axis.

    Seeds of one network share a colour, unless there is no other network.
    """
    table, _ = _placed(table)
    groups = list(table.groupby(list(NETWORK), sort=False, dropna=False))
    kinds = list(dict.fromkeys((model, regime) for (model, regime, _), _ in groups))
    n_profiles = sum(rows["layer"].nunique() > 1 for _, rows in groups)
    for place, ((model, regime, seed), rows) in enumerate(groups):
        colour = place if len(kinds) == 1 else kinds.index((model, regime))
        name = f"{model}, {regime}" + (f", seed {seed}" if len(kinds) == 1 and len(groups) > 1 else "")
        shift = 0.12 * (place - (len(groups) - 1) / 2) if 1 < n_profiles <= 6 else 0.0
        look = Look(name, NETWORK_COLOURS[colour % len(NETWORK_COLOURS)], shift)
        yield look, rows.sort_values("place", kind="stable")


def profile(axes: Axes, rows: pd.DataFrame, value: str, look: Look) -> None:
    """Values over layers with their intervals; a network of one layer is a line across, for comparison."""
    if len(rows) == 1:
        row = rows.iloc[0]
        axes.axhline(row[value], color=look.colour, linewidth=1, linestyle="--", zorder=2)
        axes.axhspan(row["ci_low"], row["ci_high"], color=look.colour, alpha=0.12, linewidth=0, zorder=1)
        return
    places = rows["place"] + look.shift
    axes.plot(places, rows[value], color=look.colour, linewidth=1, alpha=0.6, zorder=2)
    errorbar(axes, places, rows[value], rows["ci_low"], rows["ci_high"], look.colour)


def errorbar(axes: Axes, x: ArrayLike, y: ArrayLike, low: ArrayLike, high: ArrayLike, colour: str) -> None:
    """Points with asymmetric intervals; where there is no interval, the point alone."""
    y, low, high = (np.asarray(values, dtype=float) for values in (y, low, high))
    lengths = np.nan_to_num(np.clip([y - low, high - y], 0, None))
    axes.errorbar(
        x, y, yerr=lengths, fmt="o", color=colour, markerfacecolor="white", markersize=4, linewidth=1, zorder=3
    )


def layer_axis(axes: Axes, rows: pd.DataFrame) -> tuple[list[float], list[str]]:
    """Layer names on the x axis, every nth where they would touch; numbers where networks name layers differently.

    Returns the ticks and their labels.
    """
    rows, order = _placed(rows)
    ticks = list(range(len(order))) if order else sorted(rows["place"].unique())
    step = -(-len(ticks) // 30)
    names = order or [f"{tick:g}" for tick in ticks]
    axes.set_xticks(ticks[::step], names[::step], rotation=60, ha="right", rotation_mode="anchor")
    axes.set_xlabel("layer" if order else "layer (index)")
    return ticks[::step], names[::step]


def _placed(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table with the ``place`` of each layer, and the layers in order where all networks share them, else none.

    Networks with fewer layers than others are no obstacle: controls of one layer are drawn across.
    """
    n_layers = table.groupby(list(NETWORK), dropna=False)["layer"].transform("nunique")
    deepest = table[n_layers == n_layers.max()].drop_duplicates([*NETWORK, "layer"])
    deepest = deepest.sort_values("layer_index", kind="stable")
    orders = {tuple(rows["layer"]) for _, rows in deepest.groupby(list(NETWORK), dropna=False)}
    if len(orders) > 1:
        return table.assign(place=table["layer_index"]), []
    order = list(orders.pop())
    places = table["layer"].map({name: place for place, name in enumerate(order)})
    return table.assign(place=places.fillna(table["layer_index"])), order


def legend(figure: Figure, table: pd.DataFrame) -> None:
    """Names of the networks above the panels; none where there is one network."""
    handles: dict[str, Line2D] = {}
    for look, rows in networks(table.drop_duplicates([*NETWORK, "layer"])):
        line = "--" if len(rows) == 1 else "-"
        name = legend_name(look.name)
        handles.setdefault(name, Line2D([], [], color=look.colour, linestyle=line, linewidth=1.5, label=name))
    figure.legend(handles=list(handles.values()), loc="outside upper center", ncols=min(3, len(handles)))


def note(figure: Figure, text: str) -> None:
    """Small print under the panels."""
    figure.supxlabel(text, fontsize=6.5, color="#555555")


def each_network(table: pd.DataFrame, by: Sequence[str] = NETWORK) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rows of each network in order of appearance, with its name; the seed is named where there are several."""
    several = "seed" in table and table["seed"].nunique() > 1
    for _, rows in table.groupby([name for name in by if name in table], sort=False, dropna=False):
        first = rows.iloc[0]
        yield f"{first['model']}, {first['regime']}" + (f", seed {first['seed']}" if several else ""), rows


def line_styles(table: pd.DataFrame) -> dict[tuple[str, str], str]:
    """A kind of line for each model and regime."""
    kinds = table[["model", "regime"]].drop_duplicates().itertuples(index=False, name=None)
    return {kind: LINES[place % len(LINES)] for place, kind in enumerate(kinds)}


def layer_ticks(axes: Axes, ticks: Sequence[str], label: str) -> None:
    """Layers under the lowest panel."""
    axes.set_xticks(range(len(ticks)), ticks, rotation=60, ha="right", rotation_mode="anchor", fontsize=7)
    axes.set_xlabel(label)


def colour_legend(figure: Figure, colours: Mapping[str, str]) -> None:
    """Legend above the panels."""
    handles = [Line2D([], [], color=colour, linewidth=1.5, label=legend_name(name)) for name, colour in colours.items()]
    figure.legend(
        handles=handles, loc="outside upper center", ncols=min(2 if max(map(len, colours)) > 15 else 3, len(handles))
    )


def kind_colours(table: pd.DataFrame, *before: pd.DataFrame | None) -> dict[tuple[str, str], str]:
    """A colour for each model and regime of a table, in the order of the tables before it and then of its own."""
    tables = [one[["model", "regime"]] for one in (*before, table) if one is not None]
    places = {kind: place for place, kind in enumerate(_kinds(pd.concat(tables)))}
    return {kind: NETWORK_COLOURS[places[kind] % len(NETWORK_COLOURS)] for kind in _kinds(table)}


def _kinds(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(table[["model", "regime"]].drop_duplicates().itertuples(index=False, name=None))


def kind_legend(figure: Figure, colours: Mapping[tuple[str, str], str]) -> None:
    """Models and regimes above the panels."""
    names = {legend_name(", ".join(map(str, kind))): colour for kind, colour in colours.items()}
    handles = [Line2D([], [], color=colour, label=name) for name, colour in names.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(3, len(handles)))


def quantity_name(measure: str, region: object) -> str:
    """Name of a quantity as a title says it: the index, or the fit to a patch."""
    name = QUANTITIES.get(measure, measure.replace("_", " "))
    return name if pd.isna(region) else f"{name.removesuffix(' to patch RDM')} to {region}"


def span(counts: pd.Series) -> str:
    """Counts as a text: one number, or the range."""
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"
