"""Idealised view, mirror-symmetric and identity RDMs, and pixels, in the RDMs of layers and patches."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from rsatoolbox.rdm import RDMs

from neural_data.stimuli import StimulusSet
from neurocompare.measures.columns import LAYER, columns
from neurocompare.measures.declaration import Drawing, Measure, Measured, Patches, Shown
from neurocompare.measures.profiles import profiles_of
from neurocompare.models.registry import load_model
from neurocompare.reporting.drawing import COLUMN_INCHES, is_leftmost, new_figure, note, panel_grid, panel_title, style
from neurocompare.reporting.looks import Look, colour_legend, layer_axis_of
from neurocompare.reporting.tables import Table
from neurocompare.representations.model_rdms import compute_model_rdms
from neurocompare.representations.rdms import rdm_table
from neurocompare.representations.templates import template_contributions

__all__ = ["TEMPLATES", "draw_templates", "draw_templates_of_patches"]

FOUND = ("template", "weight", "unique", "r2")
TEMPLATE_COLOURS = {"view": "#1d1d1f", "mirror": "#AA3377", "identity": "#4477AA", "pixels": "#999999"}


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
    table = templates.assign(ci_low=np.nan, ci_high=np.nan)
    kinds = list(table[["model", "regime"]].drop_duplicates().itertuples(index=False, name=None))
    with style():
        figure, panels = panel_grid(len(kinds), columns=3, height=1.4, under=layer_axis_of(table).inches)
        for axes, (model, regime) in zip(panels, kinds, strict=True):
            rows = table[(table["model"] == model) & (table["regime"] == regime)]
            axis = layer_axis_of(rows)
            for place, (name, colour) in enumerate(TEMPLATE_COLOURS.items()):
                look = Look(name, colour, "os^D"[place], "-", 0.0)
                one = rows[rows["template"] == name]
                if len(one):
                    drawn = profiles_of(one, "weight", axis=axis, looks={(str(model), str(regime)): look})
                    drawn.draw(axes)
            axis.label(axes)
            panel_title(axes, f"{model}, {regime}")
            if is_leftmost(axes):
                axes.set_ylabel("template weight (SD per SD)")
        colour_legend(figure, TEMPLATE_COLOURS)
        text = "non-negative least squares on idealised RDMs and the RDM of the images"
        note(figure, text + (f"; mean over {drawn.n_seeds} seeds" if drawn.n_seeds > 1 else ""))
    return figure


def draw_templates_of_patches(templates_patches: pd.DataFrame) -> Figure:
    """Weights of idealised templates in the RDMs of patches.

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
        figure = new_figure(COLUMN_INCHES, 2.6)
        axes = figure.subplots()
        for place, (name, colour) in enumerate(TEMPLATE_COLOURS.items()):
            rows = templates_patches[templates_patches["template"] == name].drop_duplicates("region")
            axes.bar(
                np.arange(len(regions)) + 0.2 * (place - 1.5), rows["weight"], width=0.18, color=colour, label=name
            )
        axes.set_xticks(range(len(regions)), regions)
        axes.set_xlabel("patch" + (" (simulated)" if templates_patches["simulated"].any() else ""))
        axes.set_ylabel("template weight (SD per SD)")
        colour_legend(figure, TEMPLATE_COLOURS)
        note(figure, "non-negative least squares on idealised RDMs and the RDM of the images")
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
