"""Mirror-symmetry index and fits of networks in the course of their training."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from matplotlib.figure import Figure

from neural_data.stimuli import StimulusSet
from neurocompare.comparison.fits import compare_rdms
from neurocompare.measures.columns import columns
from neurocompare.measures.declaration import LAYER_RDMS, Drawing, Measure, Measured, Patches
from neurocompare.models.registry import Network
from neurocompare.reporting.drawing import (
    kind_colours,
    kind_legend,
    new_figure,
    note,
    quantity_name,
    span,
    style,
)
from neurocompare.reporting.tables import Table
from neurocompare.representations.model_rdms import compute_rdm_requests
from neurocompare.representations.rdms import LAYER, NETWORK, rdm_table
from neurocompare.representations.viewpoint import mirror_symmetry_index

__all__ = ["TRAJECTORIES", "draw_trajectories"]

LAST_LAYERS = 3
"""Layers that trajectories are drawn of."""


def measure(
    *,
    snapshots: Iterable[tuple[int, Network]],
    layers: tuple[str, ...],
    stimuli: StimulusSet,
    patches: Patches,
    dissimilarity: str,
    normalize: str | None,
    method: str,
) -> Measured:
    """Mean index and fit to every patch of every layer after every epoch that was kept."""
    requests = {name: LAYER_RDMS[name](dissimilarity, normalize)[0] for name in ("layer_rdms", "view_rdms")}
    about_patches = rdm_table(patches.rdms)
    tables = []
    for epoch, network in snapshots:
        rdms = compute_rdm_requests(network, stimuli, list(layers), requests)
        index = rdm_table(rdms["view_rdms"])[list(LAYER)].assign(value=mirror_symmetry_index(rdms["view_rdms"]))
        index = index.groupby(list(LAYER), sort=False, as_index=False).mean()
        tables.append(index.assign(measure="index", epoch=epoch))
        fits = compare_rdms(rdms["layer_rdms"], patches.rdms, method=method)
        about = rdm_table(rdms["layer_rdms"])[list(LAYER)]
        for number in range(fits.shape[1]):
            patch = {name: about_patches[name].iloc[number] for name in ("region", "subject") if name in about_patches}
            tables.append(about.assign(value=fits[:, number], measure="fit", epoch=epoch, **patch))
    return Measured({"trajectories": pd.concat(tables, ignore_index=True)})


def draw_trajectories(
    trajectories: pd.DataFrame, fits: pd.DataFrame | None = None, training: pd.DataFrame | None = None
) -> Figure:
    """Index and fits over epochs; a row a quantity, a column one of the last layers, a line a network.

    Parameters
    ----------
    trajectories : pandas.DataFrame
        ``tables/trajectories.csv``.
    fits, training : pandas.DataFrame or None
        ``tables/fits.csv`` and ``tables/training.csv``, whose networks have the first colours.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = trajectories.assign(
        panel=[quantity_name(*names) for names in trajectories[["measure", "region"]].itertuples(index=False)]
    )
    panels = list(rows["panel"].drop_duplicates())
    layers = list(rows.sort_values("layer_index", kind="stable")["layer"].drop_duplicates())[-LAST_LAYERS:]
    colours = kind_colours(trajectories, fits, training)
    with style():
        figure = new_figure(1.0 + 1.7 * len(layers), 0.8 + 1.5 * len(panels))
        grid = figure.subplots(len(panels), len(layers), squeeze=False, sharex=True, sharey="row")
        for axes_of_row, panel in zip(grid, panels, strict=True):
            for axes, layer in zip(axes_of_row, layers, strict=True):
                shown = rows[(rows["panel"] == panel) & (rows["layer"] == layer)]
                for (model, regime, _), network in shown.groupby(list(NETWORK), sort=False, dropna=False):
                    course = network.sort_values("epoch")
                    axes.plot(
                        course["epoch"], course["value"], color=colours[model, regime], marker=".", markersize=3,
                        linewidth=1, alpha=0.8,
                    )  # fmt: skip
                axes.axhline(0, color="black", linewidth=0.6)
            axes_of_row[0].set_ylabel(panel, fontsize=7)
        for axes, layer in zip(grid[0], layers, strict=True):
            axes.set_title(layer, fontsize=8)
        for axes in grid[-1]:
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
        kind_legend(figure, colours)
        n = trajectories.groupby(["model", "regime"], dropna=False)["seed"].nunique()
        note(figure, f"a line a network; n = {span(n)} networks a regime")
    return figure


TRAJECTORIES = Measure(
    key="trajectories",
    title="Training regimes",
    about="index and fits of networks in the course of their training",
    optional=False,
    of_views=True,
    compute=measure,
    tables=(
        Table(
            "trajectories",
            "One quantity of one layer of a network after one of the epochs that were kept.",
            columns(
                *(*NETWORK, "epoch", "layer", "layer_index", "region", "subject"),
                *("measure", "value"),
            ),
        ),
    ),
    figures=(
        Drawing(
            "trajectories",
            draw_trajectories,
            "In the course of training: mirror-symmetry index and fit to each patch of the last layers after the "
            "epochs that were kept, a line a network, coloured by training regime; epoch 0 is the random start.",
        ),
    ),
)
