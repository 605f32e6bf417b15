"""Figures of the measures that a study may ask for, one a table; drawn where a run has the table.

Takes the tables of a run; gives figures. Nothing is computed here but positions on the page.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from neurocompare.reporting.drawing import layer_axis, networks, new_figure, note, style
from neurocompare.reporting.mechanism_figures import draw_kernels, draw_local_features, draw_position, draw_units

__all__ = ["FIGURES", "draw_equivariance"]

TRANSFORM_COLOURS = {"left-right": "#D55E00", "up-down": "#0072B2", "rotation": "#009E73"}
LINES = ("-", "--", ":", "-.")
"""Of networks, where colours tell something else; seeds of one network share theirs."""


def draw_equivariance(equivariance: pd.DataFrame) -> Figure:
    """Equivariance and invariance by layer, a row a measure, a column an image set.

    Parameters
    ----------
    equivariance : pandas.DataFrame
        ``tables/equivariance.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    measures = list(equivariance["measure"].drop_duplicates())
    sets = list(equivariance["image_set"].drop_duplicates())
    lines = _lines(equivariance)
    with style():
        figure = new_figure(max(3.4, 2.3 * len(sets)), 0.8 + 1.9 * len(measures))
        grid = figure.subplots(len(measures), len(sets), sharex=True, sharey=True, squeeze=False)
        for axes_row, measure in zip(grid, measures, strict=True):
            for axes, images in zip(axes_row, sets, strict=True):
                rows = equivariance[(equivariance["measure"] == measure) & (equivariance["image_set"] == images)]
                for transform, colour in TRANSFORM_COLOURS.items():
                    for _, network in networks(rows[rows["transform"] == transform]):
                        dashes = lines[network["model"].iloc[0], network["regime"].iloc[0]]
                        axes.plot(
                            network["place"], network["mean"], dashes, color=colour, marker="o", markersize=2.5,
                            linewidth=1,
                        )  # fmt: skip
                axes.axhline(0, color="black", linewidth=0.6)
                axes.set_title(f"{images}, n = {rows['n'].max()} images" if measure == measures[0] else "", fontsize=7)
            axes_row[0].set_ylabel(f"{measure} (mean r)")
        for axes in grid[-1]:
            layer_axis(axes, equivariance)
        handles = [Line2D([], [], color=c, linewidth=1.5, label=name) for name, c in TRANSFORM_COLOURS.items()]
        handles += [
            Line2D([], [], color="black", linestyle=dashes, label=", ".join(network))
            for network, dashes in lines.items()
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=3)
        note(figure, "correlation over units, mean over images; a line a network and seed")
    return figure


def _lines(table: pd.DataFrame) -> dict[tuple[str, str], str]:
    """A kind of line for each model and regime."""
    kinds = table[["model", "regime"]].drop_duplicates().itertuples(index=False, name=None)
    return {kind: LINES[place % len(LINES)] for place, kind in enumerate(kinds)}


FIGURES: dict[str, tuple[Callable[[pd.DataFrame], Figure], str]] = {
    "equivariance": (
        draw_equivariance,
        "Equivariance (correlation of the response to a transformed image with the transformed response) and "
        "invariance (correlation of the responses to an image and to its transform) of each layer, mean over images.",
    ),
    "kernels_summary": (
        draw_kernels,
        "Symmetry of kernels: correlation of one half of each output channel's weights with the mirror image of the "
        "other half, mean over channels. The first fully connected layer is reshaped to the map that feeds it.",
    ),
    "units_summary": (
        draw_units,
        "Share of units with mirror-symmetric view tuning by the criterion of Baek et al. (2021) and by the revised "
        "one of eLife 90256 (also: second peak opposite the preferred view, frontal view lowest).",
    ),
    "local_features_summary": (
        draw_local_features,
        "View tuning with the most important part of each image kept (insertion), grayed (deletion) or its pieces "
        "moved to random places (shuffle): correlation of single units' tuning with that to the whole images, and "
        "mirror-symmetry index of the layer.",
    ),
    "position_summary": (
        draw_position,
        "Mirror-symmetry index with the stimuli in place and shifted to the right, down, or both.",
    ),
}
"""Drawing function and caption of each table that has a figure; the figure bears the table's name."""
