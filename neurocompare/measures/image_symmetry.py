"""Best plane of mirror symmetry of every image."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from neural_data.stimuli import StimulusSet
from neurocompare.measures.columns import columns
from neurocompare.measures.declaration import Drawing, Measure, Measured
from neurocompare.reporting.drawing import new_figure, note, style
from neurocompare.reporting.tables import Table
from neurocompare.stimuli.luminance import describe_images

__all__ = ["IMAGE_SYMMETRY", "draw_image_symmetry"]

IMAGES_AT_ONCE = 64


def measure(*, stimuli: StimulusSet, image_size_px: int) -> Measured:
    """Symmetry of every image about its best vertical plane, and the position of that plane."""
    images = itertools.chain.from_iterable(stimuli.batches(IMAGES_AT_ONCE, image_size_px))
    found = describe_images(images, stimuli.ids)[["image_symmetry", "symmetry_position"]]
    about = stimuli.table[["category", "identity", "azimuth_deg"]]
    return Measured({"image_symmetry": about.join(found).rename_axis("stimulus_id").reset_index()})


def draw_image_symmetry(image_symmetry: pd.DataFrame) -> Figure:
    """Mean image_symmetry of images by category and azimuth.

    Parameters
    ----------
    image_symmetry : pandas.DataFrame
        ``tables/image_symmetry.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    means = image_symmetry.pivot_table(index="category", columns="azimuth_deg", values="image_symmetry", sort=False)
    means = means[sorted(means.columns)]
    n = image_symmetry.groupby("category", sort=False)["identity"].nunique()
    with style():
        figure = new_figure(max(3.0, 0.55 * means.shape[1] + 1.6), max(2.0, 1.0 + 0.28 * len(means)))
        axes = figure.subplots()
        image = axes.imshow(means, cmap="viridis", vmin=0, vmax=1, aspect="auto")
        for (row, column), value in np.ndenumerate(means.to_numpy()):
            axes.text(
                column, row, f"{value:.2f}", ha="center", va="center", fontsize=6,
                color="black" if value > 0.6 else "white",
            )  # fmt: skip
        axes.set_xticks(range(means.shape[1]), [f"{azimuth:g}" for azimuth in means.columns])
        axes.set_yticks(range(len(means)), [f"{name} ({n[name]})" for name in means.index])
        axes.set_xlabel("azimuth (degrees)")
        figure.colorbar(image, ax=axes, label="r at the best plane")
        note(figure, "mean over exemplars (their number in brackets)")
    return figure


IMAGE_SYMMETRY = Measure(
    key="image_symmetry",
    title="Symmetry of the images",
    about="best plane of mirror symmetry of every image",
    compute=measure,
    tables=(
        Table(
            "image_symmetry",
            "Symmetry of one image about its best plane.",
            columns("stimulus_id", "category", "identity", "azimuth_deg", "image_symmetry", "symmetry_position"),
        ),
    ),
    figures=(
        Drawing(
            "image_symmetry",
            draw_image_symmetry,
            "Correlation of the left with the mirrored right side of the images at the best plane, by category and "
            "view.",
        ),
    ),
)
