"""The mirror-symmetry index beside its variants: without z-scoring of units, and an idealised measure."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from rsatoolbox.rdm import RDMs

from neurocompare.measures.columns import LAYER, columns
from neurocompare.measures.declaration import Drawing, Measure, Measured
from neurocompare.reporting.drawing import SMALL, label_panels, note, panel_grid, panel_title, style
from neurocompare.reporting.tables import Table
from neurocompare.representations.rdms import NETWORK, rdm_table
from neurocompare.representations.templates import idealised_mirror_index
from neurocompare.representations.viewpoint import mirror_symmetry_index

__all__ = ["VIEWPOINT_VARIANTS", "draw_variants"]


def measure(*, view_rdms: RDMs, raw_view_rdms: RDMs) -> Measured:
    """The index with and without z-scoring of units, and the measure of Yildirim et al. on the z-scored RDMs."""
    values = {
        "zscore": mirror_symmetry_index(view_rdms),
        "raw": mirror_symmetry_index(raw_view_rdms),
        "idealised": idealised_mirror_index(view_rdms),
    }
    exemplars = rdm_table(view_rdms)[[*LAYER, "category", "identity"]]
    rows = [exemplars.assign(variant=variant, index=index) for variant, index in values.items()]
    table = pd.concat(rows, ignore_index=True)
    networks = table.groupby(list(NETWORK), sort=False, dropna=False).ngroup()
    return Measured({"viewpoint_variants": table.loc[networks.sort_values(kind="stable").index]})


def draw_variants(viewpoint_variants: pd.DataFrame) -> Figure:
    """The index against its variants: without z-scoring of units, and the idealised measure.

    Parameters
    ----------
    viewpoint_variants : pandas.DataFrame
        ``tables/viewpoint_variants.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    labels = {"raw": "index without z-scoring", "idealised": "idealised measure (r)"}
    exemplars = [*LAYER, "category", "identity"]
    wide = viewpoint_variants.pivot_table(index=exemplars, columns="variant", values="index", dropna=False, sort=False)
    wide = wide.dropna(how="any")
    with style():
        figure, panels = panel_grid(len(labels), columns=2, height=2.2, width=5.6)
        for axes, (name, label) in zip(panels, labels.items(), strict=True):
            counts = axes.hexbin(
                wide["zscore"], wide[name], gridsize=32, extent=(-1, 1, -1, 1), mincnt=1, cmap="Greys", bins="log",
                linewidths=0.1,
            )  # fmt: skip
            axes.axline((0, 0), slope=1, color="#AA3377", linewidth=0.8)
            axes.set_xlim(-1.05, 1.05)
            axes.set_ylim(-1.05, 1.05)
            axes.set_xlabel("index, units z-scored")
            axes.set_ylabel(label)
            panel_title(axes, f"r = {np.corrcoef(wide['zscore'], wide[name])[0, 1]:.2f}" if len(wide) > 2 else "")
        bar = figure.colorbar(counts, ax=panels, shrink=0.8, aspect=20, format="{x:.0f}")
        bar.ax.minorticks_off()
        bar.set_label("exemplars in layers", fontsize=SMALL)
        label_panels(panels)
        note(figure, f"an exemplar in a layer counts once; n = {len(wide)}; line: equal")
    return figure


VIEWPOINT_VARIANTS = Measure(
    key="viewpoint_variants",
    title="Variants of the index",
    about="the mirror-symmetry index without z-scoring of units, and an idealised measure beside it",
    of_views=True,
    compute=measure,
    tables=(
        Table(
            "viewpoint_variants",
            "One variant of the mirror-symmetry index of a layer for one exemplar.",
            columns(*LAYER, "category", "identity", "variant", "index"),
        ),
    ),
    figures=(
        Drawing(
            "viewpoint_variants",
            draw_variants,
            "The mirror-symmetry index of every exemplar in every layer against the index without z-scoring of units, "
            "and against the correlation with an idealised mirror-symmetric RDM (Yildirim et al. 2020).",
        ),
    ),
)
