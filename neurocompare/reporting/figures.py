"""Figures of a run, drawn from its tables and RDMs. Nothing is computed here but positions on the page.

Colours are those of Okabe and Ito, told apart by colour-blind readers; every axis names its unit.
"""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from rsatoolbox.rdm import RDMs
from scipy.stats import rankdata

from neurocompare.comparison.methods import find_method
from neurocompare.reporting.drawing import (
    REGION_COLOURS,
    errorbar,
    layer_axis,
    legend,
    networks,
    new_figure,
    note,
    profile,
    row_of_panels,
    style,
)
from neurocompare.representations.rdms import pattern_table, rdm_table

__all__ = ["CAPTIONS", "draw_fits", "draw_indices", "draw_power", "draw_rdms"]

CEILING_GRAY = "#d9d9d9"
RDM_COLUMNS = 5
CAPTIONS = {
    "fits_by_layer": (
        "Fit of each layer to each patch. Points are fits between the layer's RDM and the patch's RDM, bars their "
        "95 % intervals; filled points lie above 0 (adjusted p < 0.05). Gray is the range of the noise ceiling."
    ),
    "index_by_layer": (
        "Mirror-symmetric viewpoint tuning index of each layer, and of each patch: 1 for perfect mirror symmetry, "
        "about 0 where views are not told apart, negative for view tuning."
    ),
    "rdms": (
        "RDMs of the patches (first row) and of layers, stimuli sorted by azimuth and then by identity. Blocks on "
        "the diagonal: view tuning. Blocks on both diagonals: mirror-symmetric tuning. Lines parallel to the diagonal: "
        "identity tuning across views."
    ),
}
"""What the report says under each figure of a run, by file name."""


def draw_fits(fits: pd.DataFrame) -> Figure:
    """Fit of every layer to every patch, with intervals and noise ceilings; one panel a patch.

    Parameters
    ----------
    fits : pandas.DataFrame
        ``tables/fits.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    regions = list(fits["region"].drop_duplicates())
    with style():
        figure, panels = row_of_panels(len(regions), width=2.6, height=2.7)
        for axes, region in zip(panels, regions, strict=True):
            rows = fits[fits["region"] == region]
            _ceiling_band(axes, rows)
            for look, network in networks(rows):
                profile(axes, network, "fit", look)
                clear = network[(network["p_zero_adjusted"] < 0.05) & (len(network) > 1)]
                axes.plot(clear["place"] + look.shift, clear["fit"], "o", color=look.colour, markersize=4, zorder=4)
            layer_axis(axes, rows)
            axes.set_title(region, color=REGION_COLOURS.get(region, "black"), fontweight="bold")
            axes.axhline(0, color="black", linewidth=0.6)
        panels[0].set_ylabel(f"fit to patch RDM ({find_method(fits['method'].iloc[0]).label})")
        legend(figure, fits)
        first = fits.iloc[0]
        note(
            figure,
            f"bars: 95 % interval over {first['resample']}; filled: above 0, adjusted p < 0.05; gray: noise ceiling; "
            f"n = {first['n_stimuli']} stimuli",
        )
    return figure


def draw_indices(layers: pd.DataFrame, patches: pd.DataFrame) -> Figure:
    """Mirror-symmetry index by layer, and of every patch beside it.

    Parameters
    ----------
    layers, patches : pandas.DataFrame
        ``tables/viewpoint_summary.csv`` and ``tables/viewpoint_patches_summary.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if layers["category"].nunique() > 1:
        return _indices_of_categories(layers, patches)
    with style():
        figure = new_figure(6.2, 2.9)
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3.2, 1])
        for look, network in networks(layers):
            for _, rows in network.groupby("category", sort=False, dropna=False):
                profile(left, rows, "index", look)
        layer_axis(left, layers)
        left.set_ylabel("mirror-symmetry index")
        for place, (_, row) in enumerate(patches.iterrows()):
            colour = REGION_COLOURS.get(row["region"], "black")
            errorbar(right, [place], [row["index"]], [row["ci_low"]], [row["ci_high"]], colour)
        right.set_xticks(range(len(patches)), patches["region"], rotation=0)
        right.set_xlim(-0.6, len(patches) - 0.4)
        right.set_title("recording" + (" (simulated)" if patches["simulated"].any() else ""))
        left.set_title("network")
        for axes in (left, right):
            axes.axhline(0, color="black", linewidth=0.6)
        legend(figure, layers)
        note(figure, f"mean over exemplars and its 95 % t interval; n = {layers['n'].max()} exemplars a point")
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


def draw_rdms(model_rdms: RDMs, neural_rdms: RDMs, *, max_layers: int = 10) -> Figure:
    """RDM matrices of patches and layers, stimuli sorted by azimuth and then by identity.

    Parameters
    ----------
    model_rdms, neural_rdms : rsatoolbox.rdm.RDMs
        With the pattern descriptors ``identity`` and ``azimuth_deg``; shown as percentile ranks within each RDM.
        Of a network with several seeds, the first is shown.
    max_layers : int
        Layers that are shown of a network; where there are more, evenly spaced ones.

    Returns
    -------
    matplotlib.figure.Figure
    """
    layers, regions = rdm_table(model_rdms), rdm_table(neural_rdms)["region"].tolist()
    rows = [[(region, _sorted_ranks(neural_rdms, i)) for i, region in enumerate(regions)]]
    for (model, regime), network in layers.groupby(["model", "regime"], sort=False, dropna=False):
        network = network[network["seed"] == network["seed"].iloc[0]]
        spaced = np.unique(np.linspace(0, len(network) - 1, min(len(network), max_layers)).round().astype(int))
        panels = [(layers.loc[i, "layer"], _sorted_ranks(model_rdms, i)) for i in network.index[spaced]]
        panels[0] = (f"{model}, {regime}\n{panels[0][0]}", panels[0][1])
        rows += [panels[start : start + RDM_COLUMNS] for start in range(0, len(panels), RDM_COLUMNS)]
    with style():
        figure = new_figure(1.3 * RDM_COLUMNS, 1.55 * len(rows))
        grid = figure.subplots(len(rows), RDM_COLUMNS, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for axes_row, panels in zip(grid, rows, strict=True):
            for axes, (title, (ranks, azimuths)) in zip(axes_row, panels, strict=False):
                image = _matrix(axes, ranks, azimuths, title, REGION_COLOURS.get(title, "black"))
        bar = figure.colorbar(image, ax=grid[0].tolist(), shrink=0.8, pad=0.02, aspect=12, ticks=[0, 50, 100])
        bar.set_label("dissimilarity\n(percentile)", fontsize=6)
        bar.ax.tick_params(labelsize=6)
        bar.outline.set_visible(False)
    return figure


def draw_power(power: pd.DataFrame, *, target: float = 0.8) -> Figure:
    """Power over the number of identities, a line for every number of neurons; one panel a number of repetitions.

    Parameters
    ----------
    power : pandas.DataFrame
        ``tables/power.csv``.
    target : float
        Power that is wanted: a dashed line.

    Returns
    -------
    matplotlib.figure.Figure
    """
    repetitions, neurons = sorted(power["n_repetitions"].unique()), sorted(power["n_neurons"].unique())
    shades = mpl.colormaps["viridis"](np.linspace(0.85, 0.1, len(neurons)))
    identities = sorted(power["n_identities"].unique())
    # Intervals of several lines at one place stand beside each other.
    spacing = 0.012 * (max(identities) - min(identities))
    with style():
        figure, panels = row_of_panels(len(repetitions), width=max(2.6, 4.2 / len(repetitions)), height=3.0)
        for axes, n_repetitions in zip(panels, repetitions, strict=True):
            for place, (n_neurons, shade) in enumerate(zip(neurons, shades, strict=True)):
                rows = power[(power["n_repetitions"] == n_repetitions) & (power["n_neurons"] == n_neurons)]
                rows = rows.sort_values("n_identities")
                x = rows["n_identities"] + spacing * (place - (len(neurons) - 1) / 2)
                axes.plot(x, rows["power"], color=shade, linewidth=1.2, label=f"{n_neurons} neurons")
                errorbar(axes, x, rows["power"], rows["power_low"], rows["power_high"], shade)
            axes.axhline(target, color="black", linewidth=0.8, linestyle="--", zorder=1)
            axes.set_xticks(identities)
            axes.set_ylim(-0.03, 1.03)
            axes.set_xlabel("identities")
            axes.set_title(f"{n_repetitions} repetition" + ("s" if n_repetitions > 1 else ""))
        panels[0].set_ylabel("power")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(labels)))
        first = power.iloc[0]
        note(
            figure,
            f"simulated neurons read {first['first']},\nto be told from {first['second']}\n"
            f"bars: 95 % interval over {first['n_experiments']} experiments; dashed: {target:.0%} power",
        )
    return figure


def _ceiling_band(axes: Axes, rows: pd.DataFrame) -> None:
    """Gray from the lower to the upper noise ceiling; from the lower one on where there is no upper."""
    lower, upper = rows["ceiling_lower"].iloc[0], rows["ceiling_upper"].iloc[0]
    if np.isfinite(lower):
        axes.axhspan(lower, upper if np.isfinite(upper) else 1.0, color=CEILING_GRAY, linewidth=0, zorder=0)
        axes.axhline(lower, color="gray", linewidth=0.6, zorder=1)


def _sorted_ranks(rdms: RDMs, position: int) -> tuple[np.ndarray, np.ndarray]:
    """Percentile ranks (n, n) of one RDM and the azimuths (n,), stimuli sorted by azimuth and identity."""
    table = pattern_table(rdms).reset_index(drop=True)
    order = table.sort_values(["azimuth_deg", "identity"], kind="stable").index.to_numpy()
    matrix = rdms.get_matrices()[position][np.ix_(order, order)]
    ranks = np.full_like(matrix, np.nan)
    pairs = np.triu_indices(len(matrix), 1)
    measured = np.isfinite(matrix[pairs])
    ranks[pairs[0][measured], pairs[1][measured]] = 100 * rankdata(matrix[pairs][measured]) / max(1, measured.sum())
    ranks = np.fmax(ranks, ranks.T)
    np.fill_diagonal(ranks, 0.0)
    return ranks, table["azimuth_deg"].to_numpy()[order]


def _matrix(axes: Axes, ranks: np.ndarray, azimuths: np.ndarray, title: str, colour: str) -> AxesImage:
    axes.axis("on")
    image = axes.imshow(ranks, cmap="viridis", vmin=0, vmax=100, interpolation="nearest")
    views, starts, counts = np.unique(azimuths, return_index=True, return_counts=True)
    few = slice(None) if len(views) <= 5 else slice(None, None, len(views) // 2)
    axes.set_xticks((starts + counts / 2 - 0.5)[few], [f"{view:g}°" for view in views][few], fontsize=5)
    axes.set_yticks([])
    axes.tick_params(length=0, pad=1)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for start in starts[1:]:
        axes.axhline(start - 0.5, color="white", linewidth=0.4)
        axes.axvline(start - 0.5, color="white", linewidth=0.4)
    axes.set_title(title, fontsize=7, color=colour, pad=3, loc="left")
    return image
