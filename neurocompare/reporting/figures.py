"""Figures of a run, drawn from its tables and RDMs. Nothing is computed here but positions on the page.

Colours are those of Okabe and Ito, told apart by colour-blind readers; every axis names its unit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rsatoolbox.rdm import RDMs
from scipy.stats import rankdata

from neurocompare.representations.rdms import pattern_table, rdm_table

__all__ = ["CAPTIONS", "draw_fits", "draw_indices", "draw_rdms", "save_figure"]

REGION_COLOURS = {"ML": "#0072B2", "MF": "#0072B2", "MLMF": "#0072B2", "AL": "#D55E00", "AM": "#009E73"}
NETWORK_COLOURS = ("#222222", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
CEILING_GRAY = "#d9d9d9"
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
        "RDMs of the patches (first row) and of the layers, stimuli sorted by azimuth and then by identity. Blocks on "
        "the diagonal: view tuning. Blocks on both diagonals: mirror-symmetric tuning. Lines parallel to the diagonal: "
        "identity tuning across views."
    ),
}
"""What the report says under each figure of a run, by file name."""
METHOD_LABELS = {
    "corr": "Pearson r",
    "cosine": "cosine",
    "spearman": "Spearman ρ",
    "rho-a": "ρₐ",
    "tau-a": "Kendall τₐ",
    "corr_cov": "whitened r",
    "cosine_cov": "whitened cosine",
}
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
}


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
    with _style():
        figure, panels = _panels(len(regions), width=2.6, height=2.7)
        for axes, region in zip(panels, regions, strict=True):
            rows = fits[fits["region"] == region]
            _ceiling_band(axes, rows)
            for colour, (name, network) in _coloured(rows):
                _profile(axes, network, "fit", colour, name)
                clear = network[network["p_zero_adjusted"] < 0.05]
                axes.plot(clear["layer_index"], clear["fit"], "o", color=colour, markersize=4, zorder=4)
            _layer_axis(axes, rows)
            axes.set_title(region, color=REGION_COLOURS.get(region, "black"), fontweight="bold")
            axes.axhline(0, color="black", linewidth=0.6)
        panels[0].set_ylabel(f"fit to patch RDM ({METHOD_LABELS[fits['method'].iloc[0]]})")
        _legend(figure, panels[0])
        first = fits.iloc[0]
        _note(
            figure,
            f"bars: 95 % interval ({first['resample']} resampling, {first['n_draws']} draws); filled: above 0, "
            f"adjusted p < 0.05; gray: noise ceiling; n = {first['n_stimuli']} stimuli",
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
    with _style():
        figure = _figure(6.2, 2.9)
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3.2, 1])
        for colour, (name, network) in _coloured(layers):
            for category, rows in network.groupby("category", sort=False):
                label = f"{name}, {category}" if layers["category"].nunique() > 1 else name
                _profile(left, rows, "index", colour, label)
        _layer_axis(left, layers)
        left.set_ylabel("mirror-symmetry index")
        for place, (_, row) in enumerate(patches.iterrows()):
            colour = REGION_COLOURS.get(row["region"], "black")
            _errorbar(right, [place], [row["index"]], [row["ci_low"]], [row["ci_high"]], colour=colour)
        right.set_xticks(range(len(patches)), patches["region"], rotation=0)
        right.set_xlim(-0.6, len(patches) - 0.4)
        right.set_title("recording" + (" (simulated)" if patches["simulated"].any() else ""))
        left.set_title("network")
        for axes in (left, right):
            axes.axhline(0, color="black", linewidth=0.6)
        _legend(figure, left)
        _note(figure, f"mean over exemplars and its 95 % t interval; n = {layers['n'].max()} exemplars a point")
    return figure


def draw_rdms(model_rdms: RDMs, neural_rdms: RDMs, *, max_panels: int = 24) -> Figure:
    """RDM matrices of layers and patches, stimuli sorted by azimuth and then by identity.

    Parameters
    ----------
    model_rdms, neural_rdms : rsatoolbox.rdm.RDMs
        With the pattern descriptors ``identity`` and ``azimuth_deg``; shown as percentile ranks within each RDM.
    max_panels : int
        Layers that are shown; where there are more, evenly spaced ones.

    Returns
    -------
    matplotlib.figure.Figure
    """
    layers = rdm_table(model_rdms)
    titles = layers["layer"].astype(str)
    if layers[["model", "regime", "seed"]].drop_duplicates().shape[0] > 1:
        titles = layers["model"] + " " + layers["regime"] + " " + layers["seed"].astype(str) + "\n" + titles
    shown = np.unique(np.linspace(0, len(titles) - 1, min(len(titles), max_panels)).round().astype(int))
    matrices = {titles[i]: _sorted_ranks(model_rdms, i) for i in shown}
    patches = {region: _sorted_ranks(neural_rdms, i) for i, region in enumerate(rdm_table(neural_rdms)["region"])}
    columns = max(len(patches), min(len(matrices), 5))
    n_rows = 1 + -(-len(matrices) // columns)
    with _style():
        figure = _figure(1.35 * columns + 0.5, 1.5 * n_rows + 0.3)
        grid = figure.subplots(n_rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        places = [*zip(grid[0], patches.items(), strict=False), *zip(grid[1:].flat, matrices.items(), strict=False)]
        for axes, (title, (ranks, azimuths)) in places:
            _matrix(axes, ranks, azimuths, title, REGION_COLOURS.get(title, "black"))
        image = places[0][0].images[0]
        bar = figure.colorbar(image, ax=grid, shrink=0.5, pad=0.02, aspect=25, ticks=[0, 50, 100])
        bar.set_label("dissimilarity (percentile)")
        bar.outline.set_visible(False)
    return figure


def save_figure(figure: Figure, name: str, folder: Path) -> None:
    """Write ``NAME.svg`` and ``NAME.png`` (300 dots an inch); equal figures give equal bytes."""
    with _style():
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
        figure.savefig(folder / f"{name}.png", dpi=300, metadata={"Software": None})


@contextmanager
def _style() -> Iterator[None]:
    with mpl.rc_context(_STYLE):
        yield


def _figure(width: float, height: float) -> Figure:
    """Figure of a size in inches, tied to no window system."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _panels(n: int, *, width: float, height: float) -> tuple[Figure, list[Axes]]:
    figure = _figure(width * n, height)
    return figure, list(figure.subplots(1, n, sharey=True, squeeze=False)[0])


def _coloured(table: pd.DataFrame) -> Iterator[tuple[str, tuple[str, pd.DataFrame]]]:
    """Each network's rows, sorted by layer, with its colour and its name."""
    keys = ["model", "regime", "seed"]
    for place, (key, rows) in enumerate(table.groupby(keys, sort=False, dropna=False)):
        name = f"{key[0]}, {key[1]}" + (f", seed {key[2]}" if table["seed"].nunique() > 1 else "")
        yield NETWORK_COLOURS[place % len(NETWORK_COLOURS)], (name, rows.sort_values("layer_index"))


def _profile(axes: Axes, rows: pd.DataFrame, value: str, colour: str, label: str) -> None:
    """Values over layers with their intervals."""
    axes.plot(rows["layer_index"], rows[value], color=colour, linewidth=1, alpha=0.6, zorder=2)
    _errorbar(axes, rows["layer_index"], rows[value], rows["ci_low"], rows["ci_high"], colour=colour, label=label)


def _errorbar(axes: Axes, x, y, low, high, *, colour: str, label: str | None = None) -> None:
    """Points with asymmetric intervals; where there is no interval, the point alone."""
    y, low, high = (np.asarray(values, dtype=float) for values in (y, low, high))
    lengths = np.nan_to_num(np.clip([y - low, high - y], 0, None))
    axes.errorbar(
        x,
        y,
        yerr=lengths,
        fmt="o",
        color=colour,
        markerfacecolor="white",
        markersize=4,
        linewidth=1,
        label=label,
        zorder=3,
    )


def _ceiling_band(axes: Axes, rows: pd.DataFrame) -> None:
    """Gray from the lower to the upper noise ceiling; from the lower one on where there is no upper."""
    lower, upper = rows["ceiling_lower"].iloc[0], rows["ceiling_upper"].iloc[0]
    if np.isfinite(lower):
        axes.axhspan(lower, upper if np.isfinite(upper) else 1.0, color=CEILING_GRAY, linewidth=0, zorder=0)
        axes.axhline(lower, color="gray", linewidth=0.6, zorder=1)


def _layer_axis(axes: Axes, rows: pd.DataFrame) -> None:
    """Layer names on the x axis; every nth where they would touch."""
    layers = rows.drop_duplicates("layer_index").sort_values("layer_index")
    step = -(-len(layers) // 30)
    names = layers["layer"] if rows["model"].nunique() == 1 else layers["layer_index"]
    axes.set_xticks(layers["layer_index"][::step], names[::step], rotation=60, ha="right", rotation_mode="anchor")
    axes.set_xlabel("layer" if rows["model"].nunique() == 1 else "layer (index)")


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(3, len(labels)))


def _note(figure: Figure, text: str) -> None:
    figure.supxlabel(text, fontsize=6.5, color="#555555")


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


def _matrix(axes: Axes, ranks: np.ndarray, azimuths: np.ndarray, title: str, colour: str) -> None:
    axes.axis("on")
    axes.imshow(ranks, cmap="viridis", vmin=0, vmax=100, interpolation="nearest")
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
    axes.set_title(title, fontsize=7, color=colour, pad=3)
