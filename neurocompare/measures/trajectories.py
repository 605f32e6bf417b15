"""Mirror-symmetry index and fits of networks in the course of their training."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
from matplotlib.figure import Figure

from neural_data.stimuli import StimulusSet
from neurocompare.comparison.fits import compare_rdms
from neurocompare.measures.columns import columns
from neurocompare.measures.declaration import LAYER_RDMS, Drawing, Measure, Measured, Patches
from neurocompare.measures.patch_names import patch_names
from neurocompare.measures.profiles import seeds_of
from neurocompare.models.registry import Network
from neurocompare.reporting.drawing import counted, note, panel_grid, panel_title, quantity_name, share_scale, style
from neurocompare.reporting.looks import course_looks, look_legend
from neurocompare.reporting.tables import Table
from neurocompare.representations.model_rdms import compute_rdm_requests
from neurocompare.representations.rdms import LAYER, NETWORK, rdm_table
from neurocompare.representations.viewpoint import mirror_symmetry_index, summarise_values

__all__ = ["TRAJECTORIES", "draw_trajectories"]

LAST_LAYERS = 3
"""Number of layers, the last ones, whose trajectories are drawn."""


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
    """Mean index, and fit to every patch, of every layer after every saved epoch."""
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


def draw_trajectories(trajectories: pd.DataFrame) -> Figure:
    """Index and fits over epochs; one row per quantity, one column for each of the last layers.

    Parameters
    ----------
    trajectories : pandas.DataFrame
        ``tables/trajectories.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    names = zip(trajectories["measure"], patch_names(trajectories), strict=True)
    rows = trajectories.assign(panel=[quantity_name(*one) for one in names])
    quantities = list(rows["panel"].drop_duplicates())
    layers = list(rows.sort_values("layer_index", kind="stable")["layer"].drop_duplicates())[-LAST_LAYERS:]
    looks = course_looks(trajectories)
    with style():
        n_panels = len(quantities) * len(layers)
        figure, panels = panel_grid(n_panels, columns=len(layers), height=1.3, sharey=False)
        for number, axes in enumerate(panels):
            panel, layer = quantities[number // len(layers)], layers[number % len(layers)]
            shown = rows[(rows["panel"] == panel) & (rows["layer"] == layer)]
            for (model, regime), networks in shown.groupby(["model", "regime"], sort=False, dropna=False):
                look, several = looks[str(model), str(regime)], networks["seed"].nunique() > 1
                for _, network in networks.groupby("seed", dropna=False):
                    course = network.sort_values("epoch")
                    width, alpha = (0.6, 0.35) if several else (1.2, 1.0)
                    axes.plot(
                        course["epoch"], course["value"],
                        color=look.colour, marker=look.marker, markersize=3, linewidth=width, alpha=alpha,
                    )  # fmt: skip
                if several:
                    means = summarise_values(networks, ("epoch",), ["value"]).sort_values("epoch")
                    axes.plot(means["epoch"], means["mean"], color=look.colour, linewidth=1.4)
                    axes.vlines(means["epoch"], means["ci_low"], means["ci_high"], color=look.colour, linewidth=1.0)
            axes.axhline(0, color="black", linewidth=0.6)
            axes.locator_params(axis="x", integer=True)
            if number < len(layers):
                panel_title(axes, layer)
            if number % len(layers) == 0:
                axes.set_ylabel(panel)
            if number >= n_panels - len(layers):
                axes.set_xlabel("epoch")
        for start in range(0, n_panels, len(layers)):
            share_scale(panels[start : start + len(layers)])
        look_legend(figure, looks)
        n = seeds_of(trajectories)
        strong = (
            "mean over seeds and its 95 % t interval, faint: single networks" if n.max() > 1 else "a line a network"
        )
        note(figure, f"{strong}; {counted(n, 'network')} a regime")
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
            "epochs that were kept, coloured by training regime, a line a network; epoch 0 is the random start.",
        ),
    ),
)
