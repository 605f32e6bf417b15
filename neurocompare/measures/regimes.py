"""Training regimes side by side: index and fits by layer, one colour per regime."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from neurocompare.measures.declaration import Drawing, Facts, Measure
from neurocompare.measures.fits import sampled_text
from neurocompare.measures.patch_names import patch_names
from neurocompare.measures.profiles import intervals_text, profiles_of, seeds_of
from neurocompare.reporting.drawing import (
    QUANTITIES,
    counted,
    label_panels,
    note,
    panel_grid,
    panel_title,
    share_scale,
    style,
)
from neurocompare.reporting.looks import layer_axis_of, look_legend, looks_of

__all__ = ["REGIMES_COMPARED", "draw_regimes", "has_regimes"]


def has_regimes(facts: Facts) -> bool:
    """Whether one model occurs in several regimes."""
    return len({model for model, _ in facts.kinds}) < len(facts.kinds)


def draw_regimes(viewpoint_summary: pd.DataFrame, fits: pd.DataFrame | None = None) -> Figure:
    """Mirror-symmetry index, and fit to every patch, by layer; one colour per regime, one faint line per network.

    Parameters
    ----------
    viewpoint_summary : pandas.DataFrame
        ``tables/viewpoint_summary.csv``; of several categories, the first is shown.
    fits : pandas.DataFrame or None
        ``tables/fits.csv``, if there is a recording.

    Returns
    -------
    matplotlib.figure.Figure
    """
    category = viewpoint_summary["category"].iloc[0]
    shown = viewpoint_summary[(viewpoint_summary["category"] == category) | viewpoint_summary["category"].isna()]
    title = "mirror-symmetry index" + (f", {category}" if viewpoint_summary["category"].nunique() > 1 else "")
    drawn = [(title, "index", shown)]
    for patch, rows in () if fits is None else fits.groupby(patch_names(fits), sort=False):
        drawn.append((f"fit to {patch}", "fit", rows))
    every = pd.concat([rows for _, _, rows in drawn], ignore_index=True)
    axis = layer_axis_of(every)
    looks = looks_of(every, axis=axis)
    with style():
        figure, panels = panel_grid(len(drawn), columns=2, height=1.6, under=axis.inches, sharey=False)
        for axes, (name, value, table) in zip(panels, drawn, strict=True):
            profiles_of(table, value, axis=axis, looks=looks).draw(axes)
            axis.label(axes)
            axes.axhline(0, color="black", linewidth=0.6)
            panel_title(axes, name)
            axes.set_ylabel(QUANTITIES[value])
        if fits is not None:
            share_scale(panels[1:])
        label_panels(panels)
        look_legend(figure, looks)
        of_one = "95 % t interval over exemplars"
        of_one += "" if fits is None else f" (fits: 95 % interval over {sampled_text(fits)})"
        note(figure, f"{intervals_text(every, of_one)}; {counted(seeds_of(every), 'seed')} a regime")
    return figure


REGIMES_COMPARED = Measure(
    key="regimes",
    title="Training regimes",
    about="index and fits of all networks of several training regimes, in one figure",
    optional=False,
    compute=None,
    tables=(),
    figures=(
        Drawing(
            "regimes",
            draw_regimes,
            "Mirror-symmetry index and fit to each patch by layer, coloured by training regime; what the intervals are "
            "is said below the panels.",
            when=has_regimes,
        ),
    ),
)
