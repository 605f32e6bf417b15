"""Contributions of the reflection-invariant and reflection-sensitive parts of a layer to its fit."""

from __future__ import annotations

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from rsatoolbox.rdm import RDMs

from neurocompare.comparison.inference import infer_fits
from neurocompare.comparison.shapley import REFLECTION_COLUMNS, shapley_of_fits
from neurocompare.measures.columns import columns
from neurocompare.measures.comparison import Comparison
from neurocompare.measures.declaration import Drawing, Measure, Measured, Patches, ReportTable
from neurocompare.measures.fits import sampled_text
from neurocompare.measures.patch_names import by_patch, patch_names
from neurocompare.measures.profiles import intervals_text, profiles_of
from neurocompare.measures.randomness import step_rng
from neurocompare.reporting.drawing import note, panel_grid, panel_title, style
from neurocompare.reporting.looks import Look, colour_legend, layer_axis_of, looks_of
from neurocompare.reporting.tables import Column, Table
from neurocompare.representations.rdms import NETWORK

__all__ = ["REFLECTION", "draw_components"]

COMPONENT_COLOURS = {"invariant": "#1d1d1f", "sensitive": "#8a8a90"}
INTERVAL_NOTE = (
    "intervals of the difference of two Shapley values covered 90 to 92 % in simulated experiments instead of 95 % "
    "(analyses/calibration/further.csv)"
)
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
        ceilings=None,
        rng=step_rng(seed, "reflection parts"),
        **comparison.inference(),
    )
    components = shapley_of_fits(result, margin=comparison.equal_within)
    return Measured({"components": components.assign(simulated=simulated)}, (INTERVAL_NOTE,))


def draw_components(components: pd.DataFrame) -> Figure:
    """Reflection components of every layer's fit; one row per network, one column per patch.

    Parameters
    ----------
    components : pandas.DataFrame
        ``tables/components.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    kinds = list(components[["model", "regime"]].drop_duplicates().itertuples(index=False, name=None))
    patches = patch_names(components)
    names = list(patches.drop_duplicates())
    axis = layer_axis_of(components)
    looks = looks_of(components, axis=axis)
    with style():
        figure, panels = panel_grid(
            len(kinds) * len(names), columns=len(names), height=1.3, under=0.1, under_last=axis.inches
        )
        for number, axes in enumerate(panels):
            (model, regime), patch = kinds[number // len(names)], names[number % len(names)]
            here = (components["model"] == model) & (components["regime"] == regime) & (patches == patch)
            kind = (str(model), str(regime))
            for place, (name, colour) in enumerate(COMPONENT_COLOURS.items()):
                rows = components[here & (components["component"] == name)]
                shift, across = 0.14 * axis.step * (place - 0.5), looks[kind].across
                look = Look(name, colour, "os"[place], "--" if across else "-", shift, across)
                profiles_of(rows, "shapley", axis=axis, looks={kind: look}).draw(axes)
            last = number >= len(panels) - len(names)
            axis.label(axes, text=last)
            axes.tick_params(labelbottom=last)
            axes.axhline(0, color="black", linewidth=0.6)
            panel_title(axes, f"{patch}\n{model}, {regime}" if len(names) > 3 else f"{patch}: {model}, {regime}")
            if number % len(names) == 0:
                axes.set_ylabel("share of the fit")
        colour_legend(figure, {f"reflection-{name}": colour for name, colour in COMPONENT_COLOURS.items()})
        note(figure, f"Shapley values; {intervals_text(components, f'95 % interval over {sampled_text(components)}')}")
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
            columns(*(P if name == "p" else name for name in REFLECTION_COLUMNS), "simulated"),
        ),
    ),
    figures=(
        Drawing(
            "components",
            draw_components,
            "What the reflection-invariant and the reflection-sensitive part of each layer add to its fit to each "
            "patch (Shapley values, which add up to the fit).",
        ),
    ),
    shown=(
        ReportTable(
            "components",
            "Share of every fit that each part adds, and their difference (invariant minus sensitive); p is two-sided "
            "against 0 and not corrected.",
            columns=(*NETWORK, "layer", "region", "component", "shapley", "ci_low", "ci_high", P, "conclusion"),
            rows=lambda tables: by_patch(tables["components"]),
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
