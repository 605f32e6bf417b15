"""How networks look in every figure: colour says the training regime, marker and line the network, place the layer.

The same regime has the same colour in all figures, whatever else is drawn and in whatever order. Colours are told apart
by colour-blind readers (Okabe and Ito 2008; further ones of Tol 2021).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from neurocompare.reporting.drawing import LETTER_INCHES, LONGEST_TICK, SMALL, errorbar, legend_name, width_inches
from neurocompare.representations.rdms import NETWORK

if TYPE_CHECKING:
    from matplotlib.typing import LineStyleType

__all__ = [
    "MARKERS",
    "PATCH_GRAY",
    "LayerAxis",
    "Look",
    "colour_legend",
    "draw_patches",
    "draw_profile",
    "layer_axis_of",
    "look_handles",
    "look_legend",
    "looks_of",
    "regime_colours",
]

Kind = tuple[str, str]
"""Model and regime."""
REGIME_COLOURS = {
    "untrained": "#5b5b60",
    "natural": "#0072B2",
    "digits": "#56B4E9",
    "symmetric": "#D55E00",
    "chiral": "#009E73",
    "mirror-same": "#E69F00",
    "mirror-distinct": "#CC79A7",
    "trained": "#332288",
    "fitted": "#999933",
    "as given": "#882255",
}
OTHER_COLOURS = ("#117733", "#AA4499", "#661100", "#6699CC", "#44AA99", "#AA7744", "#4B0092", "#1A85FF")
"""Of regimes with names of the user's own: chosen by the name, so that it is the same in all figures."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES: tuple[LineStyleType, ...] = ("-", "--", "-.", ":")
PATCH_GRAY = "#1d1d1f"
"""Recorded patches: no colour, since colours are regimes."""
TICK_POINTS = 9.5
"""Least distance of the names of two layers along an axis."""
ACROSS: LineStyleType = "--"
"""Line of a network of one layer, drawn across for comparison."""


@dataclass(frozen=True)
class Look:
    """How the networks of one model and regime are drawn.

    Parameters
    ----------
    name : str
        In the legend.
    colour, marker, line : str
        As matplotlib takes them.
    shift : float
        How far points stand beside the layer's place, in layers.
    """

    name: str
    colour: str
    marker: str
    line: LineStyleType
    shift: float


@dataclass(frozen=True)
class LayerAxis:
    """Where layers stand on the x axis.

    Parameters
    ----------
    names : tuple of str
        Layers in order, where all networks share them: places are 0, 1, ... Empty: places are relative depths, from 0
        (first layer) to 1 (last layer).
    """

    names: tuple[str, ...]

    @property
    def step(self) -> float:
        """Distance of two layers, roughly."""
        return 1.0 if self.names else 0.05

    @property
    def inches(self) -> float:
        """Height of the layers' names under a panel."""
        longest = max((min(len(name), LONGEST_TICK) for name in self.names), default=0)
        return 0.35 + 0.9 * LETTER_INCHES * longest

    def place(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows of networks, with the column ``place`` of each layer."""
        if self.names:
            order = {name: place for place, name in enumerate(self.names)}
            return rows.assign(place=rows["layer"].map(order).astype(float))
        by = [name for name in NETWORK if name in rows]
        ranks = rows.groupby(by, dropna=False)["layer_index"].rank(method="dense") - 1
        last = ranks.groupby([rows[name] for name in by], dropna=False).transform("max")
        return rows.assign(place=(ranks / last.where(last > 0)).fillna(0.0))

    def stride(self, axes: Axes) -> int:
        """Of how many layers one is named under a panel."""
        width = 72 * width_inches(axes) * axes.get_position().width
        return max(1, int(np.ceil(TICK_POINTS * len(self.names) / width)))

    def label(self, axes: Axes, *, text: bool = True) -> None:
        """Names of layers under a panel, as many as there is room for; or the scale of relative depths."""
        if not self.names:
            axes.set_xlabel("relative depth" if text else "")
            axes.set_xlim(-0.06, 1.06)
            return
        step = self.stride(axes)
        places = range(0, len(self.names), step)
        names = [self.names[place] for place in places]
        axes.set_xticks(list(places), names, rotation=60, ha="right", rotation_mode="anchor", fontsize=SMALL)
        axes.set_xlim(-0.6, len(self.names) - 0.4)
        shown = "layer" if step == 1 else f"layer (1 in {step})"
        axes.set_xlabel(shown if text else "")


def layer_axis_of(table: pd.DataFrame) -> LayerAxis:
    """The axis on which all networks of a table stand; those of one layer are no obstacle, being drawn across."""
    by = [name for name in NETWORK if name in table]
    rows = table.drop_duplicates([*by, "layer"])
    several = rows[rows.groupby(by, dropna=False)["layer"].transform("nunique") > 1]
    rows = (rows if several.empty else several).sort_values("layer_index", kind="stable")
    orders = {tuple(network["layer"]) for _, network in rows.groupby(by, dropna=False)}
    longest = max(orders, key=len)
    shared = all(set(order) <= set(longest) for order in orders)
    return LayerAxis(longest if shared else ())


def regime_colours(regimes: Iterable[str]) -> dict[str, str]:
    """Colour of each regime: its own where it is one of the package's, else one that its name chooses."""
    colours: dict[str, str] = {}
    for regime in sorted(set(regimes)):
        if regime in REGIME_COLOURS:
            colours[regime] = REGIME_COLOURS[regime]
            continue
        start = int.from_bytes(hashlib.sha256(regime.encode()).digest()[:4], "big")
        turned = [OTHER_COLOURS[(start + k) % len(OTHER_COLOURS)] for k in range(len(OTHER_COLOURS))]
        colours[regime] = next((colour for colour in turned if colour not in colours.values()), turned[0])
    return colours


def looks_of(table: pd.DataFrame, *, axis: LayerAxis | None = None) -> dict[Kind, Look]:
    """How each model and regime of a table is drawn, in the order of the table."""
    kinds = list(table[["model", "regime"]].astype(str).drop_duplicates().itertuples(index=False, name=None))
    models = sorted({model for model, _ in kinds})
    colours = regime_colours(regime for _, regime in kinds)
    spread = 0.13 * (axis.step if axis else 1.0) if 1 < len(kinds) <= 6 else 0.0
    looks = {}
    for place, (model, regime) in enumerate(kinds):
        number = models.index(model)
        looks[model, regime] = Look(
            ", ".join([model, regime]),
            colours[regime],
            MARKERS[number % len(MARKERS)],
            LINES[number % len(LINES)],
            spread * (place - (len(kinds) - 1) / 2),
        )
    return looks


def draw_profile(
    axes: Axes, rows: pd.DataFrame, look: Look, *, seeds: Sequence[pd.DataFrame] = (), across: bool = False
) -> None:
    """Values over layers with their intervals, faint lines of single seeds behind.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    rows : pandas.DataFrame
        Columns ``place, value, low, high``.
    look : Look
    seeds : sequence of pandas.DataFrame
        Columns ``place, value``, one a seed.
    across : bool
        Draw the one layer of a network as a line across the panel.
    """
    if across and not rows.empty:
        row = rows.iloc[0]
        axes.axhline(row["value"], color=look.colour, linewidth=1, linestyle=ACROSS, zorder=2)
        axes.axhspan(row["low"], row["high"], color=look.colour, alpha=0.1, linewidth=0, zorder=1)
        return
    for seed in seeds:
        axes.plot(seed["place"], seed["value"], color=look.colour, linewidth=0.6, alpha=0.3, zorder=1)
    rows = rows.sort_values("place", kind="stable")
    places = rows["place"] + look.shift
    axes.plot(places, rows["value"], look.line, color=look.colour, linewidth=1.2, alpha=0.8, zorder=2)
    if len(rows) > 60:
        axes.fill_between(places, rows["low"], rows["high"], color=look.colour, alpha=0.15, linewidth=0, zorder=1)
    else:
        errorbar(axes, places, rows["value"], rows["low"], rows["high"], look.colour, marker=look.marker)


def draw_patches(axes: Axes, places: Sequence[float], rows: pd.DataFrame, value: str) -> None:
    """Values of patches with their intervals, side by side."""
    errorbar(axes, places, rows[value], rows["ci_low"], rows["ci_high"], PATCH_GRAY, marker="D")


def look_handles(looks: Mapping[Kind, Look], *, across: Iterable[Kind] = ()) -> list[Line2D]:
    """Entries of a legend, one a model and regime; ``across`` are drawn as lines across."""
    lines = set(across)
    return [
        Line2D(
            [], [], color=look.colour, linewidth=1.3, label=legend_name(look.name), markersize=4, mfc="white",
            linestyle=ACROSS if kind in lines else look.line, marker=None if kind in lines else look.marker,
        )
        for kind, look in looks.items()
    ]  # fmt: skip


def look_legend(figure: Figure, looks: Mapping[Kind, Look], *, across: Iterable[Kind] = ()) -> None:
    """Names of models and regimes above the panels; ``across`` are drawn as lines across."""
    _place_legend(figure, look_handles(looks, across=across))


def colour_legend(figure: Figure, colours: Mapping[str, str]) -> None:
    """What colours say, above the panels."""
    _place_legend(
        figure,
        [Line2D([], [], color=colour, linewidth=1.5, label=legend_name(name)) for name, colour in colours.items()],
    )


def _place_legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    """Entries in as many columns as fit the width of the figure."""
    longest = max(len(str(handle.get_label())) for handle in handles)
    room = int(figure.get_figwidth() / (0.45 + LETTER_INCHES * min(longest, 60)))
    figure.legend(handles=list(handles), loc="outside upper center", ncols=max(1, min(4, room, len(handles))))
