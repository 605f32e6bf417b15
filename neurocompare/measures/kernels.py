"""Symmetry of the kernels of convolutions and of the first fully connected layer."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from neurocompare.measures.columns import LAYER, SUMMARY, columns
from neurocompare.measures.declaration import Drawing, Measure, Measured, ReportTable, Summary
from neurocompare.models.registry import Network
from neurocompare.reporting.drawing import errorbar, is_leftmost, note, panel_grid, panel_title, style
from neurocompare.reporting.looks import colour_legend, layer_axis_of
from neurocompare.reporting.tables import Table
from neurocompare.representations.symmetry import KERNEL_COLUMNS, kernel_symmetry
from neurocompare.representations.viewpoint import summarise_values

__all__ = ["KERNELS", "draw_kernels"]

FLIP_COLOURS = {"left-right": "#1d1d1f", "up-down": "#AA3377"}


def measure(*, network: Network) -> Measured:
    """Symmetry of every kernel of the network, whatever layers the study selects."""
    return Measured({"kernels": kernel_symmetry(network)})


def _summarise(kernels: pd.DataFrame) -> pd.DataFrame:
    return summarise_values(kernels, (*LAYER, "transform"), ["symmetry"]).drop(columns="measure")


def draw_kernels(kernels_summary: pd.DataFrame) -> Figure:
    """Mean symmetry of kernels by layer, under both flips; one panel per network.

    Parameters
    ----------
    kernels_summary : pandas.DataFrame
        ``tables/kernels_summary.csv``. Of a network with several seeds, the first is shown.

    Returns
    -------
    matplotlib.figure.Figure
    """
    first = kernels_summary.groupby(["model", "regime"], sort=False, dropna=False)["seed"].transform("first")
    # Kernels of one pixel have no halves: a layer of nothing else is left out.
    shown = kernels_summary[(kernels_summary["seed"] == first) & (kernels_summary["n"] > 0)]
    # One number a layer: flips may differ in it, as a kernel can be constant across one and not the other.
    fewest = shown.groupby(["model", "regime", "layer"], dropna=False)["n"].transform("min")
    shown = shown.assign(layer=[f"{layer} ({n})" for layer, n in zip(shown["layer"], fewest, strict=True)])
    networks = list(shown.groupby(["model", "regime"], sort=False, dropna=False))
    with style():
        figure, panels = panel_grid(
            len(networks), columns=2, height=1.3, under=max(layer_axis_of(rows).inches for _, rows in networks)
        )
        for axes, ((model, regime), rows) in zip(panels, networks, strict=True):
            axis = layer_axis_of(rows)
            for (flip, colour), shift in zip(FLIP_COLOURS.items(), (-0.12, 0.12), strict=True):
                one = axis.place(rows[rows["transform"] == flip])
                places = one["place"] + shift * axis.step
                axes.vlines(
                    places, one["mean"] - one["sd"], one["mean"] + one["sd"], color=colour, alpha=0.3, linewidth=3
                )
                errorbar(axes, places, one["mean"], one["ci_low"], one["ci_high"], colour)
            axis.label(axes)
            axes.axhline(0, color="black", linewidth=0.6)
            panel_title(axes, f"{model}, {regime}")
            if is_leftmost(axes):
                axes.set_ylabel("symmetry (r)")
        colour_legend(figure, FLIP_COLOURS)
        note(figure, "mean over channels (their number), 95 % t interval; pale: standard deviation; first seed")
    return figure


KERNELS = Measure(
    key="kernels",
    title="Symmetry of kernels",
    about="symmetry of the kernels of convolutions and of the first full layer",
    compute=measure,
    work=lambda _settings, _n_stimuli: 1,
    tables=(Table("kernels", "Symmetry of one output channel's kernel under one flip.", columns(*KERNEL_COLUMNS)),),
    summaries=(
        Summary(
            Table(
                "kernels_summary",
                "Symmetry of a layer's kernels under one flip, mean over channels.",
                columns(*LAYER, "transform", *SUMMARY),
            ),
            "kernels",
            _summarise,
        ),
    ),
    figures=(
        Drawing(
            "kernels_summary",
            draw_kernels,
            "Symmetry of kernels: correlation of one half of each output channel's weights with the mirror image of "
            "the other half, mean over channels. The first fully connected layer is reshaped to the map that feeds it.",
        ),
    ),
    shown=(
        ReportTable(
            "kernels_summary",
            "Correlation of one half of each output channel's weights with the mirror image of the other half, mean "
            "over channels and its 95 % t interval.",
        ),
    ),
)
