"""Invariance and equivariance of layers under flips and rotation of the stimuli, and of other images."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pydantic import Field
from scipy import stats

from neural_data.stimuli import StimulusSet
from neurocompare.measures.columns import columns
from neurocompare.measures.declaration import Drawing, Measure, Measured, ReportTable
from neurocompare.measures.profiles import intervals_text, profiles_of
from neurocompare.measures.randomness import step_rng
from neurocompare.measures.settings import FilePath, MemberOf, Quick, Section
from neurocompare.models.registry import Network
from neurocompare.reporting.drawing import counted, note, panel_grid, panel_title, style
from neurocompare.reporting.looks import layer_axis_of, look_legend, looks_of
from neurocompare.reporting.tables import Column, Table
from neurocompare.representations.equivariance import (
    EQUIVARIANCE_COLUMNS,
    TRANSFORM_MEASURES,
    TRANSFORMS,
    correlate_transformed,
    summarise_equivariance,
)
from neurocompare.stimuli.image_sets import noise_images, read_images

__all__ = ["EQUIVARIANCE", "Equivariance", "draw_equivariance"]

MEAN = Column("mean", "correlation, mean over images", header="mean r")


class Equivariance(Section):
    """``[outputs.equivariance]``: of layers, to flips and rotation of the stimuli and of other images."""

    measures: list[Annotated[str, MemberOf(TRANSFORM_MEASURES)]] = Field(
        list(TRANSFORM_MEASURES),
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


def _photographs(settings: Equivariance, seed: int) -> list[StimulusSet]:
    """The set of photographs, if the settings name one."""
    if settings.images is None:
        return []
    return [read_images(settings.images, n_images=settings.n_images, rng=step_rng(seed, "photographs"))]


def _other_images(settings: Equivariance, size: int, seed: int) -> list[StimulusSet]:
    """Photographs and noise, the same for every network of a study."""
    sets = _photographs(settings, seed)
    if settings.noise:
        sets.append(noise_images(settings.n_images, size, rng=step_rng(seed, "noise images")))
    return sets


def _work(settings: Equivariance, n_stimuli: int) -> float:
    n_sets = (settings.images is not None) + settings.noise
    return (1 + len(TRANSFORMS)) * (n_stimuli + settings.n_images * n_sets)


def _depends(settings: Equivariance, seed: int) -> list[str]:
    """Checksum of the photographs that are shown."""
    return [photographs.checksum() for photographs in _photographs(settings, seed)]


def draw_equivariance(equivariance: pd.DataFrame) -> Figure:
    """Equivariance and invariance by layer: one row per measure and image set, one column per transform.

    Parameters
    ----------
    equivariance : pandas.DataFrame
        ``tables/equivariance.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    half = stats.t.ppf(0.975, np.maximum(equivariance["n"] - 1, 1)) * equivariance["sd"] / np.sqrt(equivariance["n"])
    table = equivariance.assign(ci_low=equivariance["mean"] - half, ci_high=equivariance["mean"] + half)
    kinds = list(table[["measure", "image_set"]].drop_duplicates().itertuples(index=False, name=None))
    transforms = list(table["transform"].drop_duplicates())
    axis = layer_axis_of(table)
    looks = looks_of(table, axis=axis)
    with style():
        n_panels = len(kinds) * len(transforms)
        figure, panels = panel_grid(n_panels, columns=len(transforms), height=1.2, under=0.1, under_last=axis.inches)
        for number, axes in enumerate(panels):
            (measure, images), transform = kinds[number // len(transforms)], transforms[number % len(transforms)]
            here = (table["measure"] == measure) & (table["image_set"] == images) & (table["transform"] == transform)
            profiles_of(table[here], "mean", axis=axis, looks=looks).draw(axes)
            last = number >= n_panels - len(transforms)
            axis.label(axes, text=last)
            axes.tick_params(labelbottom=last)
            axes.axhline(0, color="black", linewidth=0.6)
            titled = number < len(transforms) or table["image_set"].nunique() > 1
            panel_title(axes, f"{transform}, {images}" if titled else "")
            if number % len(transforms) == 0:
                axes.set_ylabel(f"{measure} (r)")
        look_legend(figure, looks)
        n = counted(table["n"], "image")
        intervals = intervals_text(table, "95 % t interval over images")
        note(figure, f"correlation over units, mean over {n}; {intervals}")
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
        ReportTable(
            "equivariance",
            "Mean correlation over images between a layer's response to an image and to its transform (invariance), or "
            "between the latter and the transformed response (equivariance); equations 2 and 3 of eLife 90256.",
        ),
    ),
    methods=lambda _tables, _study: ["Invariance and equivariance are equations 2 and 3 of Farzmahdi et al. (2024)."],
)
