"""Training regimes side by side: what every network's layers do, a colour a regime."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurocompare.measures.declaration import Drawing, Facts, Measure
from neurocompare.reporting.drawing import (
    QUANTITIES,
    kind_colours,
    kind_legend,
    layer_axis,
    networks,
    new_figure,
    note,
    span,
    style,
)

__all__ = ["REGIMES", "draw_regimes", "has_regimes"]

PATCH_COLUMNS = 4


def has_regimes(facts: Facts) -> bool:
    """Whether one model occurs in several regimes."""
    return len({model for model, _ in facts.kinds}) < len(facts.kinds)


def draw_regimes(viewpoint_summary: pd.DataFrame, fits: pd.DataFrame) -> Figure:
    """Mirror-symmetry index, and fit to every patch, by layer; a line a network, a colour a regime.

    Parameters
    ----------
    viewpoint_summary, fits : pandas.DataFrame
        ``tables/viewpoint_summary.csv`` and ``tables/fits.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    regions = list(fits["region"].drop_duplicates())
    panels = [
        ("index", "index", viewpoint_summary),
        *((f"fit to {r}", "fit", fits[fits["region"] == r]) for r in regions),
    ]
    colours = kind_colours(fits)
    n_columns = min(PATCH_COLUMNS, len(panels))
    n_rows = -(-len(panels) // n_columns)
    with style():
        figure = new_figure(2.0 * n_columns, 1.0 + 2.1 * n_rows)
        grid = figure.subplots(n_rows, n_columns, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.axis("off")
        for axes, (title, value, table) in zip(grid.flat, panels, strict=False):
            for _, network in networks(table):
                key = network["model"].iloc[0], network["regime"].iloc[0]
                for _, rows in network.groupby("category" if "category" in network else "region", dropna=False):
                    _line(axes, rows, value, colours[key])
            layer_axis(axes, table)
            axes.axhline(0, color="black", linewidth=0.6)
            axes.set_title(title, fontsize=8)
            axes.set_ylabel(QUANTITIES[value])
            if value == "fit" and axes is not grid.flat[1]:
                axes.sharey(grid.flat[1])
        kind_legend(figure, colours)
        n = fits.groupby(["model", "regime"], dropna=False)["seed"].nunique()
        note(figure, f"a line a network; n = {span(n)} seeds a regime; dashed across: network of one layer")
    return figure


def _line(axes: Axes, rows: pd.DataFrame, value: str, colour: str) -> None:
    if len(rows) == 1:
        axes.axhline(rows[value].iloc[0], color=colour, linewidth=1, linestyle="--")
    else:
        axes.plot(rows["place"], rows[value], color=colour, linewidth=1, marker=".", markersize=3, alpha=0.8)


REGIMES = Measure(
    key="regimes",
    title="Training regimes",
    about="index and fits of all networks of several training regimes, in one figure",
    optional=False,
    compute=None,
    tables=(),
    figures=(
        Drawing(
            "regimes",
            draw_regimes,
            "Mirror-symmetry index and fit to each patch by layer, a line a network (seed), coloured by training "
            "regime. How far lines of one colour lie apart is the variation over seeds.",
            when=has_regimes,
        ),
    ),
)
