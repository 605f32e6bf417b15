"""Learning curves of the networks that a study trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from neural_data.checking import span
from neurocompare.measures.columns import columns
from neurocompare.measures.declaration import Drawing, Measure, Measured, ReportTable
from neurocompare.measures.profiles import seeds_of
from neurocompare.models.training import TRAINING_COLUMNS
from neurocompare.reporting.drawing import counted, label_panels, note, panel_grid, style
from neurocompare.reporting.looks import course_looks, look_legend
from neurocompare.reporting.tables import Table
from neurocompare.representations.rdms import NETWORK

__all__ = ["TRAINING", "draw_training", "last_epochs"]


def measure(*, training_curves: pd.DataFrame) -> Measured:
    """Loss and accuracy of every network after every epoch."""
    return Measured({"training": training_curves})


def last_epochs(training: pd.DataFrame) -> pd.DataFrame:
    """The last row of every network."""
    ordered = training.sort_values("epoch", kind="stable")
    return ordered.drop_duplicates(list(NETWORK), keep="last").sort_index()


def draw_training(training: pd.DataFrame) -> Figure:
    """Loss and accuracy over epochs: faint lines of networks, their mean over seeds.

    Parameters
    ----------
    training : pandas.DataFrame
        ``tables/training.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    looks = course_looks(training)
    has_points = training["epoch"].nunique() == 1 or any(look.marker != "." for look in looks.values())
    with style():
        figure, panels = panel_grid(2, columns=2, height=2.0, sharey=False)
        for (model, regime), rows in training.groupby(["model", "regime"], sort=False, dropna=False):
            look, several = looks[str(model), str(regime)], rows["seed"].nunique() > 1
            colour, marker = look.colour, look.marker if has_points else None
            for axes, value in zip(panels, ("loss", "accuracy"), strict=True):
                for part, dashes in (("train", "--"), ("validation", "-")):
                    name = f"{part}_{value}"
                    for _, network in rows.groupby("seed", dropna=False):
                        course = network.sort_values("epoch")
                        width, alpha = (0.6, 0.3) if several else (1.2, 1.0)
                        axes.plot(
                            course["epoch"], course[name], dashes,
                            color=colour, marker=marker, markersize=4, linewidth=width, alpha=alpha,
                        )  # fmt: skip
                    if several:
                        means = rows.groupby("epoch")[name].mean()
                        axes.plot(means.index, means, dashes, color=colour, linewidth=1.2, marker=marker, markersize=4)
            tested = rows.dropna(subset="test_accuracy")
            panels[1].plot(tested["epoch"], tested["test_accuracy"], "D", color=colour, markersize=4, zorder=3)
        for axes, label, top in zip(
            panels, ("loss (cross-entropy)", "accuracy (share correct)"), (None, 1.02), strict=True
        ):
            axes.set_ylabel(label)
            axes.set_ylim(0, top)
            axes.set_xlabel("epoch")
            axes.locator_params(axis="x", integer=True)
            if training["epoch"].nunique() == 1:
                axes.set_xticks(training["epoch"].unique())
        label_panels(panels)
        look_legend(figure, looks)
        n = seeds_of(training)
        faint = "; faint: single networks, strong: their mean" if n.max() > 1 else ""
        note(
            figure,
            f"dashed: training, solid: validation, diamonds: test images{faint}; {counted(n, 'network')} a regime",
        )
    return figure


def _methods(tables: Mapping[str, pd.DataFrame], _study: Mapping[str, Any]) -> list[str]:
    last = last_epochs(tables["training"])
    tested = last["test_accuracy"].dropna()
    reached = "" if tested.empty else f"; they reached {tested.min():.0%} to {tested.max():.0%} on test images"
    seeds = last.groupby(["model", "regime"], dropna=False)["seed"].nunique()
    return [
        f"{len(last)} networks were trained for {span(last['epoch'])} epochs, on {span(seeds)} random "
        f"starts a regime{reached}. Mirrored regimes are those of Farzmahdi et al. (2024); the recipe of every "
        "network stands in the provenance."
    ]


TRAINING = Measure(
    key="training",
    title="Training regimes",
    about="learning curves of the networks that the study trains",
    optional=False,
    compute=measure,
    work=lambda _settings, _n_stimuli: 1,
    tables=(
        Table(
            "training",
            "One network after one epoch; its last row has the accuracy on test images.",
            columns(*NETWORK, *TRAINING_COLUMNS),
        ),
    ),
    figures=(
        Drawing(
            "training",
            draw_training,
            "Learning curves. Loss and accuracy over epochs of training, a line a network; dashed on the images "
            "trained on, solid on those held out for validation. Diamonds: accuracy on test images after the last "
            "epoch.",
        ),
    ),
    shown=(
        ReportTable(
            "training",
            "Trained networks after their last epoch: shares of images named rightly.",
            columns=(*NETWORK, "epoch", "train_accuracy", "validation_accuracy", "test_accuracy"),
            rows=lambda tables: last_epochs(tables["training"]),
        ),
    ),
    methods=_methods,
)
