"""Mirror-symmetric viewpoint tuning index of every layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rsatoolbox.rdm import RDMs

from neurocompare.measures.columns import LAYER, SUMMARY, columns
from neurocompare.measures.declaration import Drawing, Explored, Measure, Measured, ReportTable
from neurocompare.measures.patch_names import by_patch
from neurocompare.measures.profiles import explored_rows, intervals_text, profiles_of
from neurocompare.reporting.drawing import SMALL, counted, is_leftmost, note, panel_grid, panel_title, style
from neurocompare.reporting.looks import LayerAxis, draw_patches, layer_axis_of, look_legend, looks_of
from neurocompare.reporting.tables import Column, Table
from neurocompare.representations.rdms import NETWORK
from neurocompare.representations.viewpoint import index_table, summarise_indices

__all__ = ["MEAN_INDEX", "VIEWPOINT", "draw_indices"]

LONGEST_UPRIGHT = 3
"""Most characters of patch names that are written horizontally."""
MEAN_INDEX = Column("index", "mean mirror-symmetry index over exemplars", "correlation", header="mean index")
INTERVAL_NOTE = (
    "intervals of a layer's mirror-symmetry index over exemplars covered 93 to 95 % in simulations where the index was "
    "low, and 83 to 87 % where it was high, as units are z-scored over the same stimuli "
    "(analyses/calibration/index_and_neurons.csv)"
)


def measure(*, view_rdms: RDMs) -> Measured:
    """Index of every exemplar in every layer, and its mean over exemplars."""
    layers = index_table(view_rdms)
    return Measured(
        {
            "viewpoint": layers[[*LAYER, "category", "identity", "index"]],
            "viewpoint_summary": summarise_indices(layers, [*LAYER, "category"]),
        },
        (INTERVAL_NOTE,),
    )


def draw_indices(viewpoint_summary: pd.DataFrame, viewpoint_patches_summary: pd.DataFrame | None = None) -> Figure:
    """Mirror-symmetry index by layer, and of every patch to the right of them; one panel per category.

    Parameters
    ----------
    viewpoint_summary : pandas.DataFrame
        ``tables/viewpoint_summary.csv``.
    viewpoint_patches_summary : pandas.DataFrame or None
        ``tables/viewpoint_patches_summary.csv``, if there is a recording.

    Returns
    -------
    matplotlib.figure.Figure
    """
    categories = list(viewpoint_summary["category"].drop_duplicates())
    axis = layer_axis_of(viewpoint_summary)
    looks = looks_of(viewpoint_summary, axis=axis)
    with style():
        figure, panels = panel_grid(
            len(categories), columns=3 if len(categories) > 1 else 1, height=1.5, under=axis.inches
        )
        for axes, category in zip(panels, categories, strict=True):
            shown = viewpoint_summary[_is(viewpoint_summary["category"], category)]
            profiles_of(shown, "index", axis=axis, looks=looks).draw(axes)
            axis.label(axes)
            axes.axhline(0, color="black", linewidth=0.6)
            panel_title(axes, f"{category}, {counted(shown['n'], 'exemplar')}" if len(categories) > 1 else "")
            if viewpoint_patches_summary is not None:
                patches = by_patch(viewpoint_patches_summary)
                _add_patches(axes, axis, patches[_is(patches["category"], category)])
        for axes in panels:
            if is_leftmost(axes):
                axes.set_ylabel("mirror-symmetry index")
        look_legend(figure, looks)
        text = intervals_text(viewpoint_summary, "mean over exemplars and its 95 % t interval")
        recorded = ""
        if viewpoint_patches_summary is not None:
            simulated = " (simulated)" if viewpoint_patches_summary["simulated"].any() else ""
            recorded = f"; diamonds: patches{simulated}, mean over exemplars and its 95 % t interval"
        note(figure, f"{text}; {counted(viewpoint_summary['n'], 'exemplar')}{recorded}")
    return figure


def _is(column: pd.Series, value: object) -> pd.Series:
    """Which entries equal a value; missing equals missing."""
    return column.isna() if pd.isna(value) else column == value


def _add_patches(axes: Axes, axis: LayerAxis, patches: pd.DataFrame) -> None:
    """Patches to the right of the layers, beyond a line."""
    step = float(axis.stride(axes)) if axis.names else 0.12
    last = len(axis.names) - 1 if axis.names else 1.0
    places = [last + step * (1.6 + number) for number in range(len(patches))]
    draw_patches(axes, places, patches, "index")
    axes.axvline(last + 0.8 * step, color="gray", linewidth=0.6)
    ticks = [*axes.get_xticks()] if axis.names else [0.0, 0.5, 1.0]
    names = [label.get_text() for label in axes.get_xticklabels()] if axis.names else ["0", "0.5", "1"]
    of_patches = patches["region"].astype(str).tolist()
    labels = [*names, *of_patches]
    turned: dict[str, Any] = {}
    if axis.names or max(map(len, of_patches), default=0) > LONGEST_UPRIGHT:
        turned = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks([*ticks, *places], labels, fontsize=SMALL, **turned)
    axes.set_xlim(-0.6 * step, places[-1] + 0.6 * step if places else None)


def _summary(tables: Mapping[str, pd.DataFrame], _study: Mapping[str, Any]) -> list[str]:
    layers = tables["viewpoint_summary"]
    low, high = layers["index"].min(), layers["index"].max()
    text = f"Mirror-symmetric viewpoint tuning index: {low:.2f} to {high:.2f} over layers"
    if "viewpoint_patches_summary" not in tables:
        return [f"{text}."]
    patches = by_patch(tables["viewpoint_patches_summary"])
    several = patches["category"].nunique() > 1
    shown = ", ".join(
        f"{row['region']} {row['index']:.2f}" + (f" ({row['category']})" if several else "")
        for _, row in patches.iterrows()
    )
    return [f"{text}; in the patches {shown}."]


def _warnings(tables: Mapping[str, pd.DataFrame], _study: Mapping[str, Any]) -> list[str]:
    undefined = int(tables["viewpoint_summary"]["n_undefined"].sum())
    if not undefined:
        return []
    return [f"The mirror-symmetry index is undefined for {undefined} view RDMs (constant or not a number)."]


def _rows(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Layers, and patches below them."""
    parts = [tables["viewpoint_summary"]]
    if "viewpoint_patches_summary" in tables:
        parts.append(by_patch(tables["viewpoint_patches_summary"]).rename(columns={"region": "layer"}))
    return pd.concat(parts, ignore_index=True)


VIEWPOINT = Measure(
    key="viewpoint",
    title="View tuning",
    about="mirror-symmetric viewpoint tuning index of every layer",
    optional=False,
    of_views=True,
    compute=measure,
    work=lambda _settings, _n_stimuli: 1,
    tables=(
        Table(
            "viewpoint",
            "Mirror-symmetry index of one layer for one exemplar.",
            columns(*LAYER, "category", "identity", "index"),
        ),
        Table(
            "viewpoint_summary",
            "Mirror-symmetry index of one layer, mean over the exemplars of a category with its 95 % t interval.",
            columns(*LAYER, "category", MEAN_INDEX, *SUMMARY[1:]),
        ),
    ),
    figures=(
        Drawing(
            "index_by_layer",
            draw_indices,
            "Mirror-symmetric viewpoint tuning index of each layer, and of each patch: 1 for perfect mirror symmetry, "
            "about 0 where views are not told apart, negative for view tuning.",
        ),
    ),
    explored=Explored(
        "explore-index",
        "Point at a layer, or go through the layers with the arrow keys: its mean index over exemplars and 95 % t "
        "interval.",
        table="viewpoint_summary",
        panel="Category",
        y_label=lambda _summary: "mirror-symmetry index",
        rows=lambda tables: explored_rows(
            tables["viewpoint_summary"], "index", panel=tables["viewpoint_summary"]["category"].fillna("")
        ),
    ),
    shown=(
        ReportTable(
            "viewpoint_summary",
            "Mirror-symmetric viewpoint tuning index, mean over exemplars with its 95 % t interval.",
            columns=(
                *NETWORK,
                Column("layer", "name of the layer, or of the patch", header="layer or patch"),
                *("category", MEAN_INDEX, "ci_low", "ci_high"),
                Column("n", "number of exemplars", header="exemplars"),
                "n_undefined",
            ),
            rows=_rows,
        ),
    ),
    summary=_summary,
    methods=lambda _tables, _study: [
        "The mirror-symmetric viewpoint tuning index is equation 1 of Farzmahdi et al. (2024, eLife 13:e90256); view "
        "RDMs use z-scored units."
    ],
    warnings=_warnings,
)
