"""View tuning of one layer with the important parts of images kept, deleted or shuffled, and importance maps."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pydantic import Field

from neural_data.stimuli import StimulusSet
from neurocompare.measures.columns import LAYER, SUMMARY, columns
from neurocompare.measures.declaration import Drawing, Measure, Measured, ReportTable, Summary
from neurocompare.measures.randomness import step_rng
from neurocompare.measures.settings import MemberOf, Name, Quick, Section
from neurocompare.models.registry import Network
from neurocompare.reporting.drawing import (
    COLUMN_INCHES,
    SMALL,
    counted,
    errorbar,
    new_figure,
    note,
    panel_grid,
    panel_title,
    style,
)
from neurocompare.reporting.looks import colour_legend
from neurocompare.reporting.tables import Table
from neurocompare.representations.importance import BACKGROUND
from neurocompare.representations.local_features import (
    CONDITIONS,
    IMPORTANCE_COLUMNS,
    LOCAL_FEATURE_COLUMNS,
    PERCENTS,
    measure_local_features,
)
from neurocompare.representations.rdms import NETWORK
from neurocompare.representations.viewpoint import summarise_values

__all__ = ["LOCAL_FEATURES", "LocalFeatures", "draw_importance", "draw_local_features"]

CONDITION_COLOURS = {"insertion": "#AA3377", "deletion": "#4477AA", "shuffle": "#CCBB44"}
WHOLE_GRAY = "#777777"


class LocalFeatures(Section):
    """``[outputs.local_features]``: view tuning with the important parts of images kept, deleted or shuffled."""

    layer: Name = Field("fc1", description="the layer that is looked at, of every network")
    n_exemplars: Annotated[int, Quick(2)] = Field(
        3, ge=1, description="exemplars of each category that are shown, the first ones"
    )
    n_masks: Annotated[int, Quick(30)] = Field(
        1000, ge=10, description="masked copies of each image; 5,000 in eLife 90256"
    )
    n_units: int = Field(
        1, ge=1, description="units an object, those of the most mirror-symmetric tuning to it; one in eLife 90256"
    )
    n_maps: int = Field(3, ge=0, description="categories of whose first exemplar the importance is written and drawn")
    conditions: list[Annotated[str, MemberOf(CONDITIONS)]] = Field(
        list(CONDITIONS), min_length=1, description="what is done to the important pixels"
    )
    percents: list[Annotated[float, Field(gt=0, lt=100)]] = Field(
        list(PERCENTS), min_length=1, description="of the foreground, kept or deleted"
    )


def measure(
    *, settings: LocalFeatures, network: Network, stimuli: StimulusSet, background: float | None, seed: int
) -> Measured:
    """Index of the layer and profiles of its units under every condition, and maps of importance."""
    found = measure_local_features(
        network,
        _first_exemplars(stimuli, settings.n_exemplars),
        settings.layer,
        n_units=settings.n_units,
        percents=settings.percents,
        conditions=settings.conditions,
        n_masks=settings.n_masks,
        n_maps=settings.n_maps,
        background=BACKGROUND if background is None else background,
        rng=step_rng(seed, "local features"),
    )
    return Measured({"local_features": found.tuning} | ({"importance": found.maps} if settings.n_maps else {}))


def _first_exemplars(stimuli: StimulusSet, n_exemplars: int) -> StimulusSet:
    """The first exemplars of each category, in the order of the set."""
    exemplars = stimuli.table[["category", "identity"]].drop_duplicates()
    return stimuli.select(identity=exemplars.groupby("category", sort=False).head(n_exemplars)["identity"].tolist())


def _work(settings: LocalFeatures, n_stimuli: int) -> float:
    """Masked images, of a set of 25 exemplars per category."""
    share = min(1.0, settings.n_exemplars / 25)
    return n_stimuli * share * (settings.n_masks + 2 * len(settings.percents) * len(settings.conditions))


def _summarise(features: pd.DataFrame) -> pd.DataFrame:
    return summarise_values(features, (*LAYER, "condition", "percent"), ["index", "profile"])


def draw_local_features(local_features_summary: pd.DataFrame) -> Figure:
    """Remaining view tuning over the share of foreground shown; one row per network, one column per measure.

    Parameters
    ----------
    local_features_summary : pandas.DataFrame
        ``tables/local_features_summary.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    measures = {"profile": "r with whole images", "index": "mirror-symmetry index"}
    networks = list(local_features_summary.groupby(list(NETWORK), sort=False, dropna=False))
    conditions = [name for name in CONDITION_COLOURS if (local_features_summary["condition"] == name).any()]
    several = local_features_summary["seed"].nunique() > 1
    with style():
        figure, panels = panel_grid(len(networks) * len(measures), columns=2, height=1.4)
        for number, axes in enumerate(panels):
            (model, regime, seed), rows = networks[number // len(measures)]
            measure, label = list(measures.items())[number % len(measures)]
            ours = rows[rows["measure"] == measure]
            for place, condition in enumerate(conditions):
                one = _by_visible(ours[ours["condition"] == condition])
                x = one["visible"] + 1.6 * (place - (len(conditions) - 1) / 2)
                axes.plot(x, one["mean"], color=CONDITION_COLOURS[condition], linewidth=1, alpha=0.6)
                errorbar(axes, x, one["mean"], one["ci_low"], one["ci_high"], CONDITION_COLOURS[condition])
            whole = ours[ours["condition"] == "intact"]
            if measure == "index" and len(whole):
                axes.axhline(whole["mean"].iloc[0], color=WHOLE_GRAY, linewidth=1, linestyle="--")
            axes.axhline(0, color="black", linewidth=0.6)
            name = f"{model}, {regime}" + (f", seed {seed}" if several else "")
            panel_title(axes, f"{name}: {rows['layer'].iloc[0]}")
            axes.set_ylabel(label)
            axes.set_xticks(range(0, 101, 20))
            if number >= len(panels) - len(measures):
                axes.set_xlabel("foreground shown (%)")
        colour_legend(figure, {name: CONDITION_COLOURS[name] for name in conditions} | {"whole (dashed)": WHOLE_GRAY})
        n = counted(local_features_summary["n"], "exemplar")
        note(
            figure,
            f"insertion, shuffle: the most important pixels; deletion: the least important; 95 % t interval over {n}",
        )
    return figure


def draw_importance(importance: pd.DataFrame) -> Figure:
    """Importance of the parts of images: each example in its views, and below it the map of every network.

    Parameters
    ----------
    importance : pandas.DataFrame
        ``tables/importance.csv``; drawn as its percentile within the foreground, five views at most. Of a network with
        several seeds, the first is shown.

    Returns
    -------
    matplotlib.figure.Figure
    """
    first = importance.groupby(["model", "regime"], sort=False, dropna=False)["seed"].transform("first")
    shown = importance[importance["seed"] == first]
    views = sorted(shown["azimuth_deg"].unique())
    views = [views[k] for k in np.unique(np.linspace(0, len(views) - 1, min(5, len(views))).round().astype(int))]
    rows = []
    for identity, example in shown.groupby("identity", sort=False):
        networks = list(example.groupby(["model", "regime"], sort=False, dropna=False))
        rows.append((str(identity), networks[0][1], True))
        rows += [(f"{model}\n{regime}", network, False) for (model, regime), network in networks]
    with style():
        figure = new_figure(COLUMN_INCHES + 1.2, 0.8 + 0.72 * len(rows))
        grid = figure.subplots(len(rows), len(views), squeeze=False)
        for axes_row, (name, network, is_image) in zip(grid, rows, strict=True):
            for axes, azimuth in zip(axes_row, views, strict=True):
                one = network[network["azimuth_deg"] == azimuth]
                axes.imshow(_grid(one, "gray"), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
                if not is_image:
                    ranks = one.assign(rank=100 * one["importance"].rank(pct=True))
                    image = axes.imshow(_grid(ranks, "rank"), cmap="magma", vmin=0, vmax=100, interpolation="nearest")
                axes.set_xticks([])
                axes.set_yticks([])
                for spine in axes.spines.values():
                    spine.set_visible(False)
                if axes in grid[0]:
                    axes.set_title(f"{azimuth:g}°", fontsize=SMALL, pad=2)
            axes_row[0].set_ylabel(name, fontsize=SMALL, rotation=0, ha="right", va="center")
        bar = figure.colorbar(
            image, ax=grid.ravel().tolist(), location="bottom", shrink=0.6, aspect=30, pad=0.02, ticks=[0, 50, 100]
        )
        bar.set_label("importance (percentile of the foreground)", fontsize=SMALL)
        bar.outline.set_visible(False)
    return figure


def _grid(rows: pd.DataFrame, value: str) -> np.ndarray:
    """Values of one view as a two-dimensional map."""
    return rows.pivot(index="row", columns="column", values=value).to_numpy()


def _by_visible(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one condition with the share of the foreground that is ``visible`` (%), rising."""
    deleted = rows["condition"] == "deletion"
    return rows.assign(visible=rows["percent"].where(~deleted, 100 - rows["percent"])).sort_values("visible")


LOCAL_FEATURES = Measure(
    key="local_features",
    title="Local features",
    about="view tuning with important parts of the images kept, deleted or shuffled",
    settings=LocalFeatures,
    of_views=True,
    compute=measure,
    work=_work,
    tables=(
        Table(
            "local_features",
            "View tuning of a layer to one exemplar under one condition.",
            columns(*LOCAL_FEATURE_COLUMNS),
        ),
        Table("importance", "Importance of one place of one image.", columns(*IMPORTANCE_COLUMNS)),
    ),
    summaries=(
        Summary(
            Table(
                "local_features_summary",
                "View tuning under one condition, mean over exemplars.",
                columns(*LAYER, "condition", "percent", "measure", *SUMMARY),
            ),
            "local_features",
            _summarise,
        ),
    ),
    figures=(
        Drawing(
            "local_features_summary",
            draw_local_features,
            "View tuning with the most important part of each image kept (insertion), grayed (deletion) or its pieces "
            "moved to random places (shuffle): correlation of single units' tuning with that to the whole images, and "
            "mirror-symmetry index of the layer.",
        ),
        Drawing(
            "importance",
            draw_importance,
            "Importance of the parts of example images (RISE), of the units with the most mirror-symmetric tuning: how "
            "far a unit's mean response with a place seen lies from its mean over places, in either direction and over "
            "its standard deviation; mean over units.",
        ),
    ),
    shown=(
        ReportTable(
            "local_features_summary",
            "Mirror-symmetry index of the layer, and correlation of single units' tuning with their tuning to the "
            "whole images (profile), with part of each image kept, deleted or shuffled: mean over exemplars, 95 % t "
            "interval.",
        ),
    ),
)
