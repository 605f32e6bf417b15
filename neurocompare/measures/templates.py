"""Idealised view, mirror-symmetric and identity RDMs, and pixels, in the RDMs of layers and patches."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from rsatoolbox.rdm import RDMs

from neural_data.stimuli import StimulusSet
from neurocompare.measures.columns import LAYER, columns
from neurocompare.measures.declaration import Drawing, Measure, Measured, Patches, ReportTable
from neurocompare.measures.patch_names import patch_names
from neurocompare.measures.profiles import intervals_text, profiles_of
from neurocompare.models.registry import load_model
from neurocompare.reporting.drawing import (
    COLUMN_INCHES,
    LETTER_INCHES,
    LONGEST_TICK,
    is_leftmost,
    new_figure,
    note,
    panel_grid,
    panel_title,
    style,
)
from neurocompare.reporting.looks import Look, colour_legend, layer_axis_of
from neurocompare.reporting.tables import Table
from neurocompare.representations.model_rdms import compute_model_rdms
from neurocompare.representations.rdms import rdm_table
from neurocompare.representations.templates import template_contributions

__all__ = ["TEMPLATES", "draw_templates", "draw_templates_of_patches"]

CONTRIBUTION_COLUMNS = ("template", "weight", "unique", "r2")
TEMPLATE_COLOURS = {"view": "#1d1d1f", "mirror": "#AA3377", "identity": "#4477AA", "pixels": "#999999"}


def measure(*, stimuli: StimulusSet, layer_rdms: RDMs, patches: Patches, dissimilarity: str) -> Measured:
    """Weights of the templates in every RDM, with the RDM of the images themselves beside them."""
    pixels = compute_model_rdms(load_model("pixels"), stimuli, dissimilarity=dissimilarity, normalize=None)
    about = [name for name in ("region", "subject", "simulated") if name in rdm_table(patches.rdms)]
    return Measured(
        {
            "templates": template_contributions(layer_rdms, pixels)[[*LAYER, *CONTRIBUTION_COLUMNS]],
            "templates_patches": template_contributions(patches.rdms, pixels)[[*about, *CONTRIBUTION_COLUMNS]],
        }
    )


def draw_templates(templates: pd.DataFrame) -> Figure:
    """Weights of idealised templates in every layer's RDM, one panel per network.

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
        networks = [table[(table["model"] == model) & (table["regime"] == regime)] for model, regime in kinds]
        under = max(layer_axis_of(rows).inches for rows in networks)
        figure, panels = panel_grid(len(kinds), columns=3, height=1.4, under=under)
        for axes, (model, regime), rows in zip(panels, kinds, networks, strict=True):
            axis = layer_axis_of(rows)
            for place, (name, colour) in enumerate(TEMPLATE_COLOURS.items()):
                look = Look(name, colour, "os^D"[place], "-", 0.0)
                one = rows[rows["template"] == name]
                if len(one):
                    profiles_of(one, "weight", axis=axis, looks={(str(model), str(regime)): look}).draw(axes)
            axis.label(axes)
            panel_title(axes, f"{model}, {regime}")
            if is_leftmost(axes):
                axes.set_ylabel("template weight (SD per SD)")
        colour_legend(figure, TEMPLATE_COLOURS)
        intervals = intervals_text(table, "no interval, as weights are of one RDM")
        note(figure, f"non-negative least squares on idealised RDMs and the RDM of the images; {intervals}")
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

    Raises
    ------
    ValueError
        If a patch has several weights of one template.
    """
    patches = patch_names(templates_patches)
    names = list(patches.drop_duplicates())
    if templates_patches.assign(patch=patches).duplicated(["patch", "template"]).any():
        raise ValueError(
            f"several RDMs of one of the patches {', '.join(map(str, names))}; select one for each patch first"
        )
    turned = LETTER_INCHES * sum(len(str(name)) + 2 for name in names) > 0.8 * COLUMN_INCHES
    under = LETTER_INCHES * min(max(len(str(name)) for name in names), LONGEST_TICK) if turned else 0.0
    with style():
        figure = new_figure(COLUMN_INCHES, 2.6 + under)
        axes = figure.subplots()
        for place, (name, colour) in enumerate(TEMPLATE_COLOURS.items()):
            rows = templates_patches[templates_patches["template"] == name]
            x = patches[rows.index].map(names.index).astype(float) + 0.2 * (place - 1.5)
            axes.bar(x, rows["weight"], width=0.18, color=colour, label=name)
        places = range(len(names))
        if turned:
            axes.set_xticks(places, names, rotation=60, ha="right", rotation_mode="anchor")
        else:
            axes.set_xticks(places, names)
        axes.set_xlabel("patch" + (" (simulated)" if templates_patches["simulated"].any() else ""))
        axes.set_ylabel("template weight (SD per SD)")
        colour_legend(figure, TEMPLATE_COLOURS)
        note(
            figure,
            "non-negative least squares on idealised RDMs and the RDM of the images; no interval, as weights are of "
            "one RDM for each patch",
        )
    return figure


TEMPLATES = Measure(
    key="templates",
    title="Templates",
    about="idealised view, mirror-symmetric and identity RDMs, and pixels, in layers and patches",
    of_views=True,
    compute=measure,
    tables=(
        Table(
            "templates", "What one template contributes to the RDM of a layer.", columns(*LAYER, *CONTRIBUTION_COLUMNS)
        ),
        Table(
            "templates_patches",
            "What one template contributes to the RDM of a patch.",
            columns("region", "subject", *CONTRIBUTION_COLUMNS, "simulated"),
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
        ReportTable("templates", "Non-negative weights of idealised RDMs in the RDM of each layer."),
        ReportTable("templates_patches", "Non-negative weights of idealised RDMs in the RDM of each patch."),
    ),
    methods=lambda _tables, _study: [
        "Template weights are non-negative least squares of an RDM on idealised RDMs (Yildirim et al. 2020, Sci "
        "Adv 6:eaax5979)."
    ],
)
