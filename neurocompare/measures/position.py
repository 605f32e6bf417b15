"""Mirror-symmetry index of layers with the stimuli in place and shifted."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pydantic import Field, model_validator

from neural_data.stimuli import StimulusSet
from neurocompare.measures.columns import LAYER, SUMMARY, columns
from neurocompare.measures.declaration import Drawing, Measure, Measured, Section, Shown, Summary, none_as_none
from neurocompare.models.registry import Network
from neurocompare.reporting.drawing import SMALL, errorbar, note, panel_grid, style
from neurocompare.reporting.looks import colour_legend
from neurocompare.reporting.tables import Table
from neurocompare.representations.position import POSITION_COLUMNS, measure_position_tolerance
from neurocompare.representations.rdms import NETWORK
from neurocompare.representations.viewpoint import summarise_values

__all__ = ["POSITION", "Position", "draw_position"]

DIRECTION_COLOURS = ("#AA3377", "#4477AA", "#1d1d1f", "#CCBB44", "#228833", "#66CCEE", "#EE6677")


class Position(Section):
    """``[outputs.position]``: mirror-symmetry index of layers with the stimuli in place and shifted."""

    shifts_px: list[Annotated[list[float], Field(min_length=2, max_length=2)]] = Field(
        [[0, 0], [15, 15]], min_length=1, description="pairs of pixels to the right and down"
    )
    image_size_px: float = Field(227, gt=0, description="height and width of the image that these are pixels of")
    normalize: Literal["none", "zscore"] = Field("zscore", description="of units, over the stimuli of each shift")

    @model_validator(mode="after")
    def _shifts_stay_within_the_image(self) -> Position:
        for pair in self.shifts_px:
            if max(map(abs, pair)) > self.image_size_px:
                raise ValueError(
                    f"outputs.position.shifts_px: {pair} is larger than the image of {self.image_size_px:g} pixels"
                )
        return self


def measure(*, settings: Position, network: Network, layers: tuple[str, ...], stimuli: StimulusSet) -> Measured:
    """Index of every layer and exemplar at every shift."""
    table = measure_position_tolerance(
        network,
        stimuli,
        layers,
        shifts_px=settings.shifts_px,
        image_size_px=settings.image_size_px,
        normalize=none_as_none(settings.normalize),
    )
    return Measured({"position": table})


def _summarise(position: pd.DataFrame) -> pd.DataFrame:
    by = (*LAYER, "category", "shift_right_px", "shift_down_px", "image_size_px")
    return summarise_values(position, by, ["index"]).drop(columns="measure")


def draw_position(position_summary: pd.DataFrame) -> Figure:
    """Index over the size of the shift, points of a colour a direction; one panel a layer of a network.

    Parameters
    ----------
    position_summary : pandas.DataFrame
        ``tables/position_summary.csv``. Of a network with several seeds, the first is shown.

    Returns
    -------
    matplotlib.figure.Figure
    """
    first = position_summary.groupby(["model", "regime"], sort=False, dropna=False)["seed"].transform("first")
    shown = position_summary[position_summary["seed"] == first]
    layers = list(shown.groupby([*NETWORK, "layer"], sort=False, dropna=False))
    # Without any shift there is one point.
    names = _directions(shown) or [""]
    present = {name: DIRECTION_COLOURS[k % len(DIRECTION_COLOURS)] for k, name in enumerate(names)}
    n_sizes = shown[["shift_right_px", "shift_down_px"]].abs().max(axis=1).nunique()
    with style():
        figure, panels = panel_grid(len(layers), columns=4, height=1.4)
        for number, (axes, ((model, regime, _seed, layer), rows)) in enumerate(zip(panels, layers, strict=True)):
            for _, ours in rows.groupby("category", sort=False, dropna=False):
                for place, (direction, colour) in enumerate(present.items()):
                    one = _along(ours, direction)
                    x = one["pixels"] + 0.02 * shown["image_size_px"].iloc[0] * (place - (len(present) - 1) / 2)
                    if n_sizes > 3:
                        axes.plot(x, one["mean"], color=colour, linewidth=1, alpha=0.6)
                    errorbar(axes, x, one["mean"], one["ci_low"], one["ci_high"], colour)
            axes.axhline(0, color="black", linewidth=0.6)
            axes.set_title(f"{model}, {regime}\n{layer}", fontsize=SMALL)
            axes.set_ylim(-1.05, 1.1)
            if number >= len(panels) - 4:
                axes.set_xlabel(f"shift (px of {shown['image_size_px'].iloc[0]:g})")
            if axes.get_subplotspec().is_first_col():
                axes.set_ylabel("mirror index")
        colour_legend(figure, present)
        note(figure, f"mean over n = {shown['n'].max()} exemplars, 95 % t interval")
    return figure


def _directions(rows: pd.DataFrame) -> list[str]:
    """Names of the directions of shifts, in order of appearance; no shift has none."""
    return [name for name in _direction_of(rows).drop_duplicates() if name]


def _direction_of(rows: pd.DataFrame) -> pd.Series:
    """Direction of each row's shift, such as ``right and down``; where it is no diagonal, its ratio is added."""
    names = []
    for right, down in zip(rows["shift_right_px"], rows["shift_down_px"], strict=True):
        sideways = {1: "right", -1: "left"}.get(np.sign(right))
        upright = {1: "down", -1: "up"}.get(np.sign(down))
        slope = f" {abs(right / down):.2g}:1" if right and down and abs(right) != abs(down) else ""
        names.append(" and ".join(filter(None, (sideways, upright))) + slope)
    return pd.Series(names, index=rows.index)


def _along(rows: pd.DataFrame, direction: str) -> pd.DataFrame:
    """Rows whose shift goes one way, no shift among them, and the larger of its parts (``pixels``), rising."""
    one = rows[_direction_of(rows).isin([direction, ""])]
    pixels = one[["shift_right_px", "shift_down_px"]].abs().max(axis=1)
    return one.assign(pixels=pixels).sort_values("pixels", kind="stable")


POSITION = Measure(
    key="position",
    title="Position tolerance",
    about="mirror-symmetry index of layers with the stimuli in place and shifted",
    settings=Position,
    of_views=True,
    compute=measure,
    work=lambda settings, n_stimuli: n_stimuli * len(settings.shifts_px),
    tables=(
        Table("position", "Mirror-symmetry index of a layer for one exemplar and shift.", columns(*POSITION_COLUMNS)),
    ),
    summaries=(
        Summary(
            Table(
                "position_summary",
                "Mirror-symmetry index of a layer at one shift, mean over exemplars.",
                columns(
                    *(*LAYER, "category", "shift_right_px", "shift_down_px", "image_size_px"),
                    *SUMMARY,
                ),
            ),
            "position",
            _summarise,
        ),
    ),
    figures=(
        Drawing(
            "position_summary",
            draw_position,
            "Mirror-symmetry index with the stimuli in place and shifted to the right, down, or both.",
        ),
    ),
    shown=(
        Shown(
            "position_summary",
            "Mirror-symmetry index with the stimuli in place and shifted: mean over exemplars and its 95 % t interval.",
        ),
    ),
)
