"""Mirror-symmetric viewpoint tuning index of every layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from rsatoolbox.rdm import RDMs

from neurocompare.measures.columns import LAYER, SUMMARY, columns
from neurocompare.measures.declaration import Drawing, Measure, Measured, Shown
from neurocompare.reporting.drawing import (
    REGION_COLOURS,
    errorbar,
    layer_axis,
    legend,
    networks,
    new_figure,
    note,
    profile,
    style,
)
from neurocompare.reporting.tables import Column, Table
from neurocompare.representations.rdms import NETWORK
from neurocompare.representations.viewpoint import index_table, summarise_indices

__all__ = ["MEAN_INDEX", "VIEWPOINT", "draw_indices"]

MEAN_INDEX = Column("index", "mean mirror-symmetry index over exemplars", "correlation", header="mean index")


def measure(*, view_rdms: RDMs) -> Measured:
    """Index of every exemplar in every layer, and its mean over exemplars."""
    layers = index_table(view_rdms)
    return Measured(
        {
            "viewpoint": layers[[*LAYER, "category", "identity", "index"]],
            "viewpoint_summary": summarise_indices(layers, [*LAYER, "category"]),
        }
    )


def draw_indices(viewpoint_summary: pd.DataFrame, viewpoint_patches_summary: pd.DataFrame) -> Figure:
    """Mirror-symmetry index by layer, and of every patch beside it.

    Parameters
    ----------
    viewpoint_summary, viewpoint_patches_summary : pandas.DataFrame
        ``tables/viewpoint_summary.csv`` and ``tables/viewpoint_patches_summary.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if viewpoint_summary["category"].nunique() > 1:
        return _indices_of_categories(viewpoint_summary, viewpoint_patches_summary)
    with style():
        figure = new_figure(6.2, 2.9)
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3.2, 1])
        for look, network in networks(viewpoint_summary):
            for _, rows in network.groupby("category", sort=False, dropna=False):
                profile(left, rows, "index", look)
        layer_axis(left, viewpoint_summary)
        left.set_ylabel("mirror-symmetry index")
        for place, (_, row) in enumerate(viewpoint_patches_summary.iterrows()):
            colour = REGION_COLOURS.get(row["region"], "black")
            errorbar(right, [place], [row["index"]], [row["ci_low"]], [row["ci_high"]], colour)
        right.set_xticks(range(len(viewpoint_patches_summary)), viewpoint_patches_summary["region"], rotation=0)
        right.set_xlim(-0.6, len(viewpoint_patches_summary) - 0.4)
        right.set_title("recording" + (" (simulated)" if viewpoint_patches_summary["simulated"].any() else ""))
        left.set_title("network")
        for axes in (left, right):
            axes.axhline(0, color="black", linewidth=0.6)
        legend(figure, viewpoint_summary)
        note(
            figure, f"mean over exemplars and its 95 % t interval; n = {viewpoint_summary['n'].max()} exemplars a point"
        )
    return figure


def _indices_of_categories(layers: pd.DataFrame, patches: pd.DataFrame) -> Figure:
    """One panel a category, patches beside the layers."""
    categories = list(layers["category"].drop_duplicates())
    n_columns = min(3, len(categories))
    n_rows = -(-len(categories) // n_columns)
    regions = list(patches["region"].drop_duplicates())
    with style():
        figure = new_figure(2.3 * n_columns, 0.9 + 1.55 * n_rows)
        grid = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat[len(categories) :]:
            axes.axis("off")
        for axes, category in zip(grid.flat, categories, strict=False):
            shown = layers[layers["category"] == category]
            for look, network in networks(shown):
                profile(axes, network, "index", look)
            ticks, names = layer_axis(axes, shown)
            start = max(ticks) + 1.5
            for place, (_, row) in enumerate(patches[patches["category"] == category].iterrows()):
                colour = REGION_COLOURS.get(row["region"], "black")
                errorbar(axes, [start + place], [row["index"]], [row["ci_low"]], [row["ci_high"]], colour)
            ticks += [start + place for place in range(len(regions))]
            axes.set_xticks(ticks, names + regions, rotation=60, ha="right", rotation_mode="anchor", fontsize=6)
            axes.axvline(start - 0.75, color="gray", linewidth=0.6)
            axes.axhline(0, color="black", linewidth=0.6)
            axes.set_title(f"{category}, n = {shown['n'].max()}", fontsize=8)
            axes.set_xlabel("")
        for axes in grid[:, 0]:
            axes.set_ylabel("index")
        legend(figure, layers)
        recorded = "simulated recording" if patches["simulated"].any() else "recording"
        note(
            figure, f"layers, then patches ({recorded}); mean over n exemplars of the category and its 95 % t interval"
        )
    return figure


def _summary(tables: Mapping[str, pd.DataFrame], _study: Mapping[str, Any]) -> list[str]:
    layers = tables["viewpoint_summary"]
    low, high = layers["index"].min(), layers["index"].max()
    text = f"Mirror-symmetric viewpoint tuning index: {low:.2f} to {high:.2f} over layers"
    if "viewpoint_patches_summary" not in tables:
        return [f"{text}."]
    patches = tables["viewpoint_patches_summary"]
    several = patches["category"].nunique() > 1
    shown = ", ".join(
        f"{row['region']} {row['index']:.2f}" + (f" ({row['category']})" if several else "")
        for _, row in patches.iterrows()
    )
    return [f"{text}; in the patches {shown}."]


def _warnings(tables: Mapping[str, pd.DataFrame], _study: Mapping[str, Any]) -> list[str]:
    undefined = int(tables["viewpoint_summary"]["n_undefined"].sum())
    if not undefined:
        return []
    return [f"The mirror-symmetry index is undefined for {undefined} view RDMs (constant or not a number)."]


def _rows(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Layers, and patches below them."""
    parts = [tables["viewpoint_summary"]]
    if "viewpoint_patches_summary" in tables:
        parts.append(tables["viewpoint_patches_summary"].rename(columns={"region": "layer"}))
    return pd.concat(parts, ignore_index=True)


VIEWPOINT = Measure(
    key="viewpoint",
    title="View tuning",
    about="mirror-symmetric viewpoint tuning index of every layer",
    optional=False,
    of_views=True,
    compute=measure,
    work=lambda _settings, _n_stimuli: 1,
    tables=(
        Table(
            "viewpoint",
            "Mirror-symmetry index of one layer for one exemplar.",
            columns(*LAYER, "category", "identity", "index"),
        ),
        Table(
            "viewpoint_summary",
            "Mirror-symmetry index of one layer, mean over the exemplars of a category with its 95 % t interval.",
            columns(*LAYER, "category", MEAN_INDEX, *SUMMARY[1:]),
        ),
    ),
    figures=(
        Drawing(
            "index_by_layer",
            draw_indices,
            "Mirror-symmetric viewpoint tuning index of each layer, and of each patch: 1 for perfect mirror symmetry, "
            "about 0 where views are not told apart, negative for view tuning.",
        ),
    ),
    shown=(
        Shown(
            "viewpoint_summary",
            "Mirror-symmetric viewpoint tuning index, mean over exemplars with its 95 % t interval.",
            columns=(
                *NETWORK,
                Column("layer", "name of the layer, or of the patch", header="layer or patch"),
                *("category", MEAN_INDEX, "ci_low", "ci_high"),
                Column("n", "number of exemplars", header="exemplars"),
                "n_undefined",
            ),
            rows=_rows,
        ),
    ),
    summary=_summary,
    methods=lambda _tables, _study: [
        "The mirror-symmetric viewpoint tuning index is equation 1 of Farzmahdi et al. (2024, eLife 13:e90256); view "
        "RDMs use z-scored units."
    ],
    warnings=_warnings,
)
