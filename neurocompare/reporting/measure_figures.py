"""Figures of the measures that a study may ask for, one a table; drawn where a run has the table.

Takes the tables of a run; gives figures. Nothing is computed here but positions on the page.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from neurocompare.reporting.drawing import (
    errorbar,
    layer_axis,
    legend,
    networks,
    new_figure,
    note,
    row_of_panels,
    style,
)
from neurocompare.reporting.mechanism_figures import MECHANISM_FIGURES

__all__ = [
    "FIGURES",
    "draw_components",
    "draw_equivariance",
    "draw_image_symmetry",
    "draw_templates",
    "draw_templates_of_patches",
    "draw_variants",
]

TRANSFORM_COLOURS = {"left-right": "#D55E00", "up-down": "#0072B2", "rotation": "#009E73"}
COMPONENT_COLOURS = {"invariant": "#D55E00", "sensitive": "#0072B2"}
TEMPLATE_COLOURS = {"view": "#0072B2", "mirror": "#D55E00", "identity": "#009E73", "pixels": "#777777"}
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


def draw_components(components: pd.DataFrame) -> Figure:
    """Reflection components of every layer's fit; a row a network, a column a patch.

    Parameters
    ----------
    components : pandas.DataFrame
        ``tables/components.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    kinds = list(_lines(components))
    regions = list(components["region"].drop_duplicates())
    with style():
        figure = new_figure(max(3.4, 2.3 * len(regions)), 0.9 + 1.7 * len(kinds))
        grid = figure.subplots(len(kinds), len(regions), sharex=True, sharey=True, squeeze=False)
        for axes_row, (model, regime) in zip(grid, kinds, strict=True):
            for axes, region in zip(axes_row, regions, strict=True):
                rows = components[
                    (components["model"] == model) & (components["regime"] == regime) & (components["region"] == region)
                ]
                for place, (name, colour) in enumerate(COMPONENT_COLOURS.items()):
                    for look, network in networks(rows[rows["component"] == name]):
                        x = network["place"] + look.shift + 0.12 * (place - 0.5)
                        axes.plot(x, network["shapley"], color=colour, linewidth=1, alpha=0.6)
                        errorbar(axes, x, network["shapley"], network["ci_low"], network["ci_high"], colour)
                axes.axhline(0, color="black", linewidth=0.6)
                axes.set_title(f"{region}: {model}, {regime}", fontsize=7)
            axes_row[0].set_ylabel("share of the fit")
        for axes in grid[-1]:
            layer_axis(axes, components)
        handles = [Line2D([], [], color=c, label=f"reflection-{name}") for name, c in COMPONENT_COLOURS.items()]
        figure.legend(handles=handles, loc="outside upper center", ncols=2)
        note(figure, f"Shapley values; bars: 95 % interval over {components['resample'].iloc[0]}")
    return figure


def draw_templates(templates: pd.DataFrame) -> Figure:
    """Weights of idealised templates in every layer's RDM, a panel a network.

    Parameters
    ----------
    templates : pandas.DataFrame
        ``tables/templates.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    kinds = list(_lines(templates))
    with style():
        figure, panels = row_of_panels(len(kinds), width=max(2.3, 3.4 / len(kinds)), height=2.9)
        for axes, (model, regime) in zip(panels, kinds, strict=True):
            rows = templates[(templates["model"] == model) & (templates["regime"] == regime)]
            for name, colour in TEMPLATE_COLOURS.items():
                for _, network in networks(rows[rows["template"] == name]):
                    axes.plot(network["place"], network["weight"], color=colour, marker="o", markersize=3, linewidth=1)
            layer_axis(axes, rows)
            axes.set_title(f"{model}, {regime}", fontsize=7)
        panels[0].set_ylabel("template weight (SD per SD)")
        handles = [Line2D([], [], color=c, label=name) for name, c in TEMPLATE_COLOURS.items()]
        figure.legend(handles=handles, loc="outside upper center", ncols=4)
        note(figure, "non-negative least squares on idealised RDMs\nand the RDM of the images; a line a seed")
    return figure


def draw_templates_of_patches(templates: pd.DataFrame) -> Figure:
    """Weights of idealised templates in the RDMs of patches.

    Parameters
    ----------
    templates : pandas.DataFrame
        ``tables/templates_patches.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    regions = list(templates["region"].drop_duplicates())
    with style():
        figure = new_figure(3.4, 2.6)
        axes = figure.subplots()
        for place, (name, colour) in enumerate(TEMPLATE_COLOURS.items()):
            weights = templates[templates["template"] == name].drop_duplicates("region")["weight"]
            axes.bar(np.arange(len(regions)) + 0.2 * (place - 1.5), weights, width=0.18, color=colour, label=name)
        axes.set_xticks(range(len(regions)), regions)
        axes.set_xlabel("patch" + (" (simulated)" if templates["simulated"].any() else ""))
        axes.set_ylabel("template weight (SD per SD)")
        figure.legend(loc="outside upper center", ncols=4)
        note(figure, "non-negative least squares on idealised RDMs\nand the RDM of the images")
    return figure


def draw_variants(variants: pd.DataFrame) -> Figure:
    """The index against its variants: without z-scoring of units, and the idealised measure.

    Parameters
    ----------
    variants : pandas.DataFrame
        ``tables/viewpoint_variants.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    labels = {"raw": "index without z-scoring", "idealised": "idealised measure (r)"}
    exemplars = ["model", "regime", "seed", "layer", "layer_index", "category", "identity"]
    wide = variants.pivot_table(index=exemplars, columns="variant", values="index", dropna=False, sort=False)
    wide = wide.dropna(how="all").reset_index()
    with style():
        figure, panels = row_of_panels(len(labels), width=2.6, height=2.9)
        for axes, (name, label) in zip(panels, labels.items(), strict=True):
            for look, rows in networks(wide):
                axes.plot(rows["zscore"], rows[name], ".", color=look.colour, markersize=2, alpha=0.3, rasterized=True)
            axes.axline((0, 0), slope=1, color="black", linewidth=0.6)
            axes.set_xlabel("index, units z-scored")
            axes.set_title(label, fontsize=8)
        panels[0].set_ylabel("variant")
        legend(figure, wide)
        note(figure, f"a point an exemplar in a layer; n = {len(wide)}")
    return figure


def draw_image_symmetry(symmetry: pd.DataFrame) -> Figure:
    """Mean symmetry of images by category and azimuth.

    Parameters
    ----------
    symmetry : pandas.DataFrame
        ``tables/image_symmetry.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    means = symmetry.pivot_table(index="category", columns="azimuth_deg", values="image_symmetry", sort=False)
    means = means[sorted(means.columns)]
    n = symmetry.groupby("category", sort=False)["identity"].nunique()
    with style():
        figure = new_figure(max(3.0, 0.55 * means.shape[1] + 1.6), 1.0 + 0.28 * len(means))
        axes = figure.subplots()
        image = axes.imshow(means, cmap="viridis", vmin=0, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(means.to_numpy()):
            axes.text(
                column, row, f"{value:.2f}", ha="center", va="center", fontsize=6,
                color="black" if value > 0.6 else "white",
            )  # fmt: skip
        axes.set_xticks(range(means.shape[1]), [f"{azimuth:g}" for azimuth in means.columns])
        axes.set_yticks(range(len(means)), [f"{name} ({n[name]})" for name in means.index])
        axes.set_xlabel("azimuth (degrees)")
        figure.colorbar(image, ax=axes, label="r at the best plane")
        note(figure, "mean over exemplars (their number in brackets)")
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
    "components": (
        draw_components,
        "What the reflection-invariant and the reflection-sensitive part of each layer add to its fit to each patch "
        "(Shapley values, which add up to the fit), with 95 % intervals.",
    ),
    "templates": (
        draw_templates,
        "Weights of idealised view, mirror-symmetric and identity RDMs, and of the RDM of the images, in each layer.",
    ),
    "templates_patches": (
        draw_templates_of_patches,
        "Weights of idealised view, mirror-symmetric and identity RDMs, and of the RDM of the images, in each patch.",
    ),
    "viewpoint_variants": (
        draw_variants,
        "The mirror-symmetry index of every exemplar in every layer against the index without z-scoring of units, and "
        "against the correlation with an idealised mirror-symmetric RDM (Yildirim et al. 2020).",
    ),
    "image_symmetry": (
        draw_image_symmetry,
        "Correlation of the left with the mirrored right side of the images at the best plane, by category and view.",
    ),
    **MECHANISM_FIGURES,
}
"""Drawing function and caption of each table that has a figure; the figure bears the table's name."""
