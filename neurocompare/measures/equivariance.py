"""Invariance and equivariance of layers under flips and rotation of the stimuli, and of other images."""

from __future__ import annotations

from typing import Annotated, Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pydantic import Field

from neural_data.stimuli import StimulusSet
from neurocompare.measures.columns import columns
from neurocompare.measures.declaration import Drawing, FilePath, Measure, Measured, MemberOf, Quick, Section, Shown
from neurocompare.measures.randomness import step_rng
from neurocompare.models.registry import Network
from neurocompare.reporting.drawing import layer_axis, legend_name, line_styles, networks, new_figure, note, style
from neurocompare.reporting.tables import Column, Table
from neurocompare.representations.equivariance import (
    EQUIVARIANCE_COLUMNS,
    MEASURES,
    TRANSFORMS,
    correlate_transformed,
    summarise_equivariance,
)
from neurocompare.stimuli.image_sets import noise_images, read_images

__all__ = ["EQUIVARIANCE", "Equivariance", "draw_equivariance"]

TRANSFORM_COLOURS = {"left-right": "#D55E00", "up-down": "#0072B2", "rotation": "#009E73"}
MEAN = Column("mean", "correlation, mean over images", header="mean r")


class Equivariance(Section):
    """``[outputs.equivariance]``: of layers, to flips and rotation of the stimuli and of other images."""

    measures: list[Annotated[str, MemberOf(MEASURES)]] = Field(
        list(MEASURES),
        min_length=1,
        description="invariance also of layers without a map; equivariance alone refuses such layers",
    )
    images: FilePath | None = Field(
        None, description="folder or Parquet file of other images, such as photographs, to show as well"
    )
    noise: bool = Field(False, description="whether to show white noise as well")
    n_images: Annotated[int, Quick(20)] = Field(
        200, ge=3, description="of the other images, taken at random, and of noise"
    )


def measure(
    *, settings: Equivariance, network: Network, layers: tuple[str, ...], stimuli: StimulusSet, seed: int
) -> Measured:
    """Correlations under every transform, mean over images, and over the images of each exemplar."""
    shown = [stimuli, *_other_images(settings, network.preprocessing.side, seed)]
    rows, exemplars = [], []
    for images in shown:
        correlations = correlate_transformed(network, images, layers, measures=settings.measures)
        rows.append(summarise_equivariance(correlations))
        about = images.table[["category", "identity"]]
        joined = correlations.join(about, on="stimulus_id")
        exemplars.append(summarise_equivariance(joined, by=["category", "identity"]))
    return Measured(
        {
            "equivariance": pd.concat(rows, ignore_index=True),
            "equivariance_exemplars": pd.concat(exemplars, ignore_index=True),
        }
    )


def _photographs(settings: Equivariance, seed: int) -> StimulusSet:
    return read_images(settings.images, n_images=settings.n_images, rng=step_rng(seed, "photographs"))


def _other_images(settings: Equivariance, size: int, seed: int) -> list[StimulusSet]:
    """Photographs and noise, the same for every network of a study."""
    sets = [] if settings.images is None else [_photographs(settings, seed)]
    if settings.noise:
        sets.append(noise_images(settings.n_images, size, rng=step_rng(seed, "noise images")))
    return sets


def _work(settings: Equivariance, n_stimuli: int) -> float:
    n_sets = (settings.images is not None) + settings.noise
    return (1 + len(TRANSFORMS)) * (n_stimuli + settings.n_images * n_sets)


def _depends(settings: Equivariance, seed: int) -> Any:
    """Checksum of the photographs that are shown."""
    return None if settings.images is None else _photographs(settings, seed).checksum()


def draw_equivariance(equivariance: pd.DataFrame) -> Figure:
    """Equivariance and invariance by layer, a row a measure, a column an image set.

    Parameters
    ----------
    equivariance : pandas.DataFrame
        ``tables/equivariance.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    measures = list(equivariance["measure"].drop_duplicates())
    sets = list(equivariance["image_set"].drop_duplicates())
    lines = line_styles(equivariance)
    with style():
        figure = new_figure(max(3.4, 2.3 * len(sets)), 0.8 + 1.9 * len(measures))
        grid = figure.subplots(len(measures), len(sets), sharex=True, sharey=True, squeeze=False)
        for axes_row, measure in zip(grid, measures, strict=True):
            for axes, images in zip(axes_row, sets, strict=True):
                rows = equivariance[(equivariance["measure"] == measure) & (equivariance["image_set"] == images)]
                for transform, colour in TRANSFORM_COLOURS.items():
                    for _, network in networks(rows[rows["transform"] == transform]):
                        dashes = lines[network["model"].iloc[0], network["regime"].iloc[0]]
                        axes.plot(
                            network["place"], network["mean"], dashes, color=colour, marker="o", markersize=2.5,
                            linewidth=1,
                        )  # fmt: skip
                axes.axhline(0, color="black", linewidth=0.6)
                axes.set_title(f"{images}, n = {rows['n'].max()} images" if measure == measures[0] else "", fontsize=7)
            axes_row[0].set_ylabel(f"{measure} (mean r)")
        for axes in grid[-1]:
            layer_axis(axes, equivariance)
        handles = [Line2D([], [], color=c, linewidth=1.5, label=name) for name, c in TRANSFORM_COLOURS.items()]
        handles += [
            Line2D([], [], color="black", linestyle=dashes, label=legend_name(", ".join(network)))
            for network, dashes in lines.items()
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=3)
        note(figure, "correlation over units, mean over images; a line a network and seed")
    return figure


EQUIVARIANCE = Measure(
    key="equivariance",
    title="Invariance and equivariance",
    about="invariance and equivariance of layers under flips and rotation",
    settings=Equivariance,
    compute=measure,
    work=_work,
    depends=_depends,
    tables=(
        Table(
            "equivariance",
            "Invariance and equivariance of a layer under one transform, mean over images (eLife 90256, eq. 2 and 3).",
            columns(*EQUIVARIANCE_COLUMNS[:-3], MEAN, "sd", "n"),
        ),
        Table(
            "equivariance_exemplars",
            "The same, mean over the images of each exemplar.",
            columns(*EQUIVARIANCE_COLUMNS[:-3], "category", "identity", MEAN, "sd", "n"),
        ),
    ),
    figures=(
        Drawing(
            "equivariance",
            draw_equivariance,
            "Equivariance (correlation of the response to a transformed image with the transformed response) and "
            "invariance (correlation of the responses to an image and to its transform) of each layer, mean over "
            "images.",
        ),
    ),
    shown=(
        Shown(
            "equivariance",
            "Mean correlation over images between a layer's response to an image and to its transform (invariance), or "
            "between the latter and the transformed response (equivariance); equations 2 and 3 of eLife 90256.",
        ),
    ),
    methods=lambda _tables, _study: ["Invariance and equivariance are equations 2 and 3 of Farzmahdi et al. (2024)."],
)
