"""What the reflection-invariant and the reflection-sensitive part of a layer add to its fit."""

from __future__ import annotations

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from rsatoolbox.rdm import RDMs

from neurocompare.comparison.inference import infer_fits
from neurocompare.comparison.shapley import REFLECTION_COLUMNS, shapley_of_fits
from neurocompare.measures.columns import columns
from neurocompare.measures.comparison import Comparison
from neurocompare.measures.declaration import Drawing, Measure, Measured, Patches, Shown
from neurocompare.measures.randomness import step_rng
from neurocompare.reporting.drawing import errorbar, layer_axis, line_styles, networks, new_figure, note, style
from neurocompare.reporting.tables import Column, Table
from neurocompare.representations.rdms import NETWORK

__all__ = ["REFLECTION", "draw_components"]

COMPONENT_COLOURS = {"invariant": "#D55E00", "sensitive": "#0072B2"}
P = Column("p", "two-sided p of the share against 0, not corrected", header="p (not 0)")


def measure(
    *,
    part_rdms: RDMs,
    patches: Patches,
    recording: xr.DataArray,
    comparison: Comparison,
    simulated: bool,
    seed: int,
) -> Measured:
    """Shapley values of both components of every layer's fit to every patch."""
    result = infer_fits(
        part_rdms,
        patches.rdms,
        recording=recording,
        rng=step_rng(seed, "reflection parts"),
        **comparison.inference(),
    )
    return Measured({"components": shapley_of_fits(result).assign(simulated=simulated)})


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
    kinds = list(line_styles(components))
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


REFLECTION = Measure(
    key="reflection",
    title="Decomposition",
    about="what reflection-invariant and -sensitive parts add to a fit",
    compute=measure,
    tables=(
        Table(
            "components",
            "What one reflection component of a layer adds to its fit to one patch.",
            columns(*REFLECTION_COLUMNS[:-1], P, "simulated"),
        ),
    ),
    figures=(
        Drawing(
            "components",
            draw_components,
            "What the reflection-invariant and the reflection-sensitive part of each layer add to its fit to each "
            "patch (Shapley values, which add up to the fit), with 95 % intervals.",
        ),
    ),
    shown=(
        Shown(
            "components",
            "Share of every fit that each part adds, and their difference (invariant minus sensitive); p is two-sided "
            "against 0 and not corrected.",
            columns=(*NETWORK, "layer", "region", "component", "shapley", "ci_low", "ci_high", P),
        ),
    ),
    intro=(
        "The fit of a layer is split into what its reflection-invariant part adds and what its reflection-sensitive "
        "part adds; the two sum to the fit. A patch that treats mirror-symmetric views alike should owe its fit to the "
        "invariant part."
    ),
    methods=lambda _tables, _study: [
        "The activations of a layer were split into a reflection-invariant part (half the sum of the responses to "
        "an image and to its mirror image) and a reflection-sensitive part (half the difference); what each adds "
        "to the fit is its Shapley value (Shapley 1953; Lundberg and Lee 2017, NeurIPS)."
    ],
)
