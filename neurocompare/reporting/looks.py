"""Appearance of networks in all figures: colour shows the training regime, marker and line style the network.

A regime has the same colour in all figures, independent of what else is drawn. Colour-blind readers can distinguish the
colours of the package's regimes (Okabe and Ito 2008; further colours from Tol 2021). A regime named by the user gets
one of sixteen further colours; if two regimes share a colour, markers and line styles distinguish them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    "MOST_POINTS",
    "PATCH_GRAY",
    "LayerAxis",
    "Look",
    "colour_legend",
    "course_looks",
    "draw_patches",
    "draw_profile",
    "layer_axis_of",
    "look_handles",
    "look_legend",
    "looks_of",
    "regime_colour",
]

Kind = tuple[str, str]
"""Model and regime."""
MOST_POINTS = 60
"""Layers that are drawn as points with intervals; more are drawn as a line with a band."""
REGIME_COLOURS = {
    "untrained": "#5b5b60",
    "natural": "#0072B2",
    "digits": "#56B4E9",
    "symmetric": "#D55E00",
    "chiral": "#009E73",
    "pose": "#88bb00",
    "mirror-same": "#E69F00",
    "mirror-distinct": "#CC79A7",
    "trained": "#332288",
    "fitted": "#999933",
    "as given": "#882255",
}
OTHER_COLOURS = (
    *("#f200f2", "#00cc00", "#0000f2", "#f2005b", "#593800", "#a085f2", "#108000", "#cc9370"),
    *("#cc0099", "#800000", "#8849f2", "#3a591b", "#f20000", "#1b2a59", "#5ba6a6", "#0000a6"),
)
"""Colours of regimes named by the user; the name determines the colour, so that it is equal in all figures."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES: tuple[LineStyleType, ...] = ("-", "--", "-.", ":")
PATCH_GRAY = "#1d1d1f"
"""Recorded patches: no colour, since colours are regimes."""
TICK_POINTS = 9.5
"""Least distance of the names of two layers along an axis."""
ACROSS: tuple[LineStyleType, ...] = ("--", ":", "-.")
"""Lines of networks of one layer, drawn across for comparison; those of one colour differ."""


@dataclass(frozen=True)
class Look:
    """Appearance of the networks of one model and regime.

    Parameters
    ----------
    name : str
        In the legend.
    colour, marker, line : str
        As matplotlib takes them.
    shift : float
        Horizontal offset of points from the layer's position, in layers.
    across : bool
        Whether it is a network of one layer among networks of several, drawn as a line across the panels.
    """

    name: str
    colour: str
    marker: str
    line: LineStyleType
    shift: float
    across: bool = False


@dataclass(frozen=True)
class LayerAxis:
    """Positions of layers on the x axis.

    Parameters
    ----------
    names : tuple of str
        Layers in order, if all networks share them: positions are 0, 1, ... Empty: positions are relative depths, from
        0 (first layer) to 1 (last layer).
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
        # A layer and its pooled map have one layer_index, and a place each.
        by = [name for name in NETWORK if name in rows]
        numbered = pd.DataFrame({"network": rows.groupby(by, dropna=False).ngroup(), "layer": rows["layer"]})
        layers = numbered.assign(layer_index=rows["layer_index"]).drop_duplicates(["network", "layer"])
        layers = layers.sort_values("layer_index", kind="stable")
        ranks = layers.assign(rank=layers.groupby("network").cumcount()).set_index(["network", "layer"])["rank"]
        rank = ranks.loc[pd.MultiIndex.from_frame(numbered)].to_numpy(dtype=float)
        last = numbered["network"].map(ranks.groupby("network").max()).to_numpy(dtype=float)
        return rows.assign(place=rank / np.maximum(last, 1.0))

    def stride(self, axes: Axes) -> int:
        """Every how many layers a name is written under a panel."""
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
    """The x axis for all networks of a table; networks of one layer are ignored, as they are drawn across."""
    by = [name for name in NETWORK if name in table]
    rows = table.drop_duplicates([*by, "layer"])
    several = rows[rows.groupby(by, dropna=False)["layer"].transform("nunique") > 1]
    rows = (rows if several.empty else several).sort_values("layer_index", kind="stable")
    orders = list(dict.fromkeys(tuple(network["layer"]) for _, network in rows.groupby(by, dropna=False)))
    longest = max(orders, key=len)
    shared = all(_is_part_in_order(order, longest) for order in orders)
    return LayerAxis(longest if shared else ())


def _is_part_in_order(some: Sequence[str], every: Sequence[str]) -> bool:
    """Whether ``some`` is a subsequence of ``every``."""
    left = iter(every)
    return all(name in left for name in some)


def regime_colour(regime: str) -> str:
    """Colour of a regime: fixed for the package's regimes, else determined by its name."""
    if regime in REGIME_COLOURS:
        return REGIME_COLOURS[regime]
    number = int.from_bytes(hashlib.sha256(regime.encode()).digest()[:4], "big")
    return OTHER_COLOURS[number % len(OTHER_COLOURS)]


def looks_of(table: pd.DataFrame, *, axis: LayerAxis | None = None) -> dict[Kind, Look]:
    """Appearance of each model and regime of a table, in the order of the table.

    Parameters
    ----------
    table : pandas.DataFrame
        All rows of a figure: columns ``model, regime``.
    axis : LayerAxis or None
        Axis of the panels, if they show layers; the table then has a column ``layer``.

    Returns
    -------
    dict of (model, regime) to Look
        Regimes that share a colour differ in marker and line style.
    """
    kinds = list(table[["model", "regime"]].astype(str).drop_duplicates().itertuples(index=False, name=None))
    models = sorted({model for model, _ in kinds})
    regimes = sorted({regime for _, regime in kinds})
    across = _drawn_across(table, axis) if axis else set()
    spread = 0.13 * (axis.step if axis else 1.0) if 1 < len(kinds) <= 6 else 0.0
    looks: dict[Kind, Look] = {}
    for place, (model, regime) in enumerate(kinds):
        colour = regime_colour(regime)
        alike = [other for other in regimes if regime_colour(other) == colour]
        number = models.index(model) + len(models) * alike.index(regime)
        beside = sum(look.across and look.colour == colour for look in looks.values())
        is_across = (model, regime) in across
        looks[model, regime] = Look(
            ", ".join(part for part in (model, regime) if part),
            colour,
            MARKERS[number % len(MARKERS)],
            ACROSS[beside % len(ACROSS)] if is_across else LINES[number % len(LINES)],
            spread * (place - (len(kinds) - 1) / 2),
            is_across,
        )
    return looks


def _drawn_across(table: pd.DataFrame, axis: LayerAxis) -> set[Kind]:
    """Models and regimes of one layer, where the axis has several places."""
    if len(axis.names) == 1:
        return set()
    n_layers = table.groupby([table["model"].astype(str), table["regime"].astype(str)])["layer"].nunique()
    if n_layers.max() <= 1:
        return set()
    return {(str(model), str(regime)) for model, regime in n_layers.index[n_layers <= 1]}


def course_looks(table: pd.DataFrame) -> dict[Kind, Look]:
    """Appearance of each model and regime in figures over epochs of training.

    Parameters
    ----------
    table : pandas.DataFrame
        All rows of a figure: columns ``model, regime``.

    Returns
    -------
    dict of (model, regime) to Look
        Lines are solid, and markers dots unless two networks have the same colour; none is a diamond, which test
        images have.
    """
    looks = looks_of(table)
    colours = [look.colour for look in looks.values()]
    return {
        kind: replace(look, line="-", marker=look.marker.replace("D", "h") if colours.count(look.colour) > 1 else ".")
        for kind, look in looks.items()
    }


def draw_profile(axes: Axes, rows: pd.DataFrame, look: Look, *, seeds: Sequence[pd.DataFrame] = ()) -> None:
    """Values over layers with their intervals, faint lines of single seeds behind.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        What is drawn on.
    rows : pandas.DataFrame
        Columns ``place, value, low, high``.
    look : Look
        Colour, marker and line of the network.
    seeds : sequence of pandas.DataFrame
        Columns ``place, value``, one per seed.
    """
    if look.across and not rows.empty:
        row = rows.iloc[0]
        axes.axhline(row["value"], color=look.colour, linewidth=1, linestyle=look.line, zorder=2)
        axes.axhspan(row["low"], row["high"], color=look.colour, alpha=0.1, linewidth=0, zorder=1)
        return
    for seed in seeds:
        axes.plot(seed["place"], seed["value"], color=look.colour, linewidth=0.6, alpha=0.3, zorder=1)
    rows = rows.sort_values("place", kind="stable")
    places = rows["place"] + look.shift
    axes.plot(places, rows["value"], look.line, color=look.colour, linewidth=1.2, alpha=0.8, zorder=2)
    if len(rows) > MOST_POINTS:
        axes.fill_between(places, rows["low"], rows["high"], color=look.colour, alpha=0.15, linewidth=0, zorder=1)
    else:
        errorbar(axes, places, rows["value"], rows["low"], rows["high"], look.colour, marker=look.marker)


def draw_patches(axes: Axes, places: Sequence[float], rows: pd.DataFrame, value: str) -> None:
    """Values of patches with their intervals, side by side.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        What is drawn on.
    places : sequence of float
        Where each patch stands on the horizontal axis.
    rows : pandas.DataFrame
        One row a patch: the value, ``ci_low`` and ``ci_high``.
    value : str
        Column of the value.
    """
    errorbar(axes, places, rows[value], rows["ci_low"], rows["ci_high"], PATCH_GRAY, marker="D")


def look_handles(looks: Mapping[Kind, Look]) -> list[Line2D]:
    """Entries of a legend, one per model and regime."""
    return [
        Line2D(
            [], [], color=look.colour, linewidth=1.3, label=legend_name(look.name), markersize=4, mfc="white",
            linestyle=look.line, marker=None if look.across else look.marker,
        )
        for look in looks.values()
    ]  # fmt: skip


def look_legend(figure: Figure, looks: Mapping[Kind, Look]) -> None:
    """Names of models and regimes above the panels."""
    _place_legend(figure, look_handles(looks))


def colour_legend(figure: Figure, colours: Mapping[str, str]) -> None:
    """Legend of colours, above the panels."""
    _place_legend(
        figure,
        [Line2D([], [], color=colour, linewidth=1.5, label=legend_name(name)) for name, colour in colours.items()],
    )


def _place_legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    """Entries in as many columns as fit the width of the figure."""
    longest = max(len(str(handle.get_label())) for handle in handles)
    room = int(figure.get_figwidth() / (0.45 + LETTER_INCHES * min(longest, 60)))
    figure.legend(handles=list(handles), loc="outside upper center", ncols=max(1, min(4, room, len(handles))))
