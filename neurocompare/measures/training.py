"""Learning curves of the networks that a study trains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from neurocompare.measures.columns import columns
from neurocompare.measures.declaration import Drawing, Measure, Measured, Shown
from neurocompare.models.training import TRAINING_COLUMNS
from neurocompare.reporting.drawing import kind_colours, kind_legend, new_figure, note, span, style
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


def draw_training(training: pd.DataFrame, fits: pd.DataFrame | None = None) -> Figure:
    """Loss and accuracy over epochs, a line a network.

    Parameters
    ----------
    training : pandas.DataFrame
        ``tables/training.csv``.
    fits : pandas.DataFrame or None
        ``tables/fits.csv``, whose networks have the first colours.

    Returns
    -------
    matplotlib.figure.Figure
    """
    colours = kind_colours(training, fits)
    with style():
        figure = new_figure(5.6, 2.9)
        left, right = figure.subplots(1, 2)
        for (model, regime, _seed), rows in training.groupby(list(NETWORK), sort=False, dropna=False):
            colour, rows = colours[model, regime], rows.sort_values("epoch")
            for axes, value in ((left, "loss"), (right, "accuracy")):
                for part, dashes in (("train", "--"), ("validation", "-")):
                    axes.plot(
                        rows["epoch"], rows[f"{part}_{value}"], dashes, color=colour, linewidth=1, alpha=0.8,
                        marker="." if len(rows) == 1 else None,
                    )  # fmt: skip
            tested = rows.dropna(subset="test_accuracy")
            right.plot(tested["epoch"], tested["test_accuracy"], "D", color=colour, markersize=4, zorder=3)
        left.set_ylabel("loss (cross-entropy)")
        left.set_ylim(bottom=0)
        right.set_ylabel("accuracy (share correct)")
        right.set_ylim(0, 1.02)
        for axes in (left, right):
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
        kind_legend(figure, colours)
        n = training.groupby(["model", "regime"], dropna=False)["seed"].nunique()
        note(
            figure,
            f"dashed: training, solid: validation, diamonds: test images; n = {span(n)} networks a regime",
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
        Shown(
            "training",
            "Trained networks after their last epoch: shares of images named rightly.",
            columns=(*NETWORK, "epoch", "train_accuracy", "validation_accuracy", "test_accuracy"),
            rows=lambda tables: last_epochs(tables["training"]),
        ),
    ),
    methods=_methods,
)
