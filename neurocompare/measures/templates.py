"""Idealised view, mirror-symmetric and identity RDMs, and pixels, in the RDMs of layers and patches."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from rsatoolbox.rdm import RDMs

from neural_data.stimuli import StimulusSet
from neurocompare.measures.columns import LAYER, columns
from neurocompare.measures.declaration import Drawing, Measure, Measured, Patches, Shown
from neurocompare.models.registry import load_model
from neurocompare.reporting.drawing import layer_axis, line_styles, networks, new_figure, note, row_of_panels, style
from neurocompare.reporting.tables import Table
from neurocompare.representations.model_rdms import compute_model_rdms
from neurocompare.representations.rdms import rdm_table
from neurocompare.representations.templates import template_contributions

__all__ = ["TEMPLATES", "draw_templates", "draw_templates_of_patches"]

FOUND = ("template", "weight", "unique", "r2")
TEMPLATE_COLOURS = {"view": "#0072B2", "mirror": "#D55E00", "identity": "#009E73", "pixels": "#777777"}


def measure(*, stimuli: StimulusSet, layer_rdms: RDMs, patches: Patches, dissimilarity: str) -> Measured:
    """Weights of the templates in every RDM, with the RDM of the images themselves beside them."""
    pixels = compute_model_rdms(load_model("pixels"), stimuli, dissimilarity=dissimilarity, normalize=None)
    about = [name for name in ("region", "subject", "simulated") if name in rdm_table(patches.rdms)]
    return Measured(
        {
            "templates": template_contributions(layer_rdms, pixels)[[*LAYER, *FOUND]],
            "templates_patches": template_contributions(patches.rdms, pixels)[[*about, *FOUND]],
        }
    )


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
    kinds = list(line_styles(templates))
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


def draw_templates_of_patches(templates_patches: pd.DataFrame) -> Figure:
    """Weights of idealised templates_patches in the RDMs of patches.

    Parameters
    ----------
    templates_patches : pandas.DataFrame
        ``tables/templates_patches.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    regions = list(templates_patches["region"].drop_duplicates())
    with style():
        figure = new_figure(3.4, 2.6)
        axes = figure.subplots()
        for place, (name, colour) in enumerate(TEMPLATE_COLOURS.items()):
            weights = templates_patches[templates_patches["template"] == name].drop_duplicates("region")["weight"]
            axes.bar(np.arange(len(regions)) + 0.2 * (place - 1.5), weights, width=0.18, color=colour, label=name)
        axes.set_xticks(range(len(regions)), regions)
        axes.set_xlabel("patch" + (" (simulated)" if templates_patches["simulated"].any() else ""))
        axes.set_ylabel("template weight (SD per SD)")
        figure.legend(loc="outside upper center", ncols=4)
        note(figure, "non-negative least squares on idealised RDMs\nand the RDM of the images")
    return figure


TEMPLATES = Measure(
    key="templates",
    title="Templates",
    about="idealised view, mirror-symmetric and identity RDMs, and pixels, in layers and patches",
    of_views=True,
    compute=measure,
    tables=(
        Table("templates", "What one template contributes to the RDM of a layer.", columns(*LAYER, *FOUND)),
        Table(
            "templates_patches",
            "What one template contributes to the RDM of a patch.",
            columns("region", "subject", *FOUND, "simulated"),
        ),
    ),
    figures=(
        Drawing(
            "templates",
            draw_templates,
            "Weights of idealised view, mirror-symmetric and identity RDMs, and of the RDM of the images, in each "
            "layer.",
        ),
        Drawing(
            "templates_patches",
            draw_templates_of_patches,
            "Weights of idealised view, mirror-symmetric and identity RDMs, and of the RDM of the images, in each "
            "patch.",
        ),
    ),
    shown=(
        Shown("templates", "Non-negative weights of idealised RDMs in the RDM of each layer."),
        Shown("templates_patches", "Non-negative weights of idealised RDMs in the RDM of each patch."),
    ),
    methods=lambda _tables, _study: [
        "Template weights are non-negative least squares of an RDM on idealised RDMs (Yildirim et al. 2020, Sci "
        "Adv 6:eaax5979)."
    ],
)
