"""Mirror-symmetry index of layers with the stimuli in place and shifted."""

from __future__ import annotations

from typing import Annotated, Literal

import pandas as pd
from matplotlib.figure import Figure
from pydantic import Field, model_validator

from neural_data.checking import span
from neural_data.stimuli import StimulusSet
from neurocompare.measures.columns import LAYER, SUMMARY, columns
from neurocompare.measures.declaration import Drawing, Measure, Measured, ReportTable, Summary
from neurocompare.measures.profiles import intervals_text, profiles_of
from neurocompare.measures.settings import Section, none_as_none
from neurocompare.models.registry import Network
from neurocompare.reporting.drawing import counted, is_leftmost, note, panel_grid, panel_title, style
from neurocompare.reporting.looks import MARKERS, Look, colour_legend, layer_axis_of
from neurocompare.reporting.tables import Table
from neurocompare.representations.position import POSITION_COLUMNS, measure_position_tolerance
from neurocompare.representations.viewpoint import summarise_values

__all__ = ["POSITION", "Position", "draw_position"]

SHIFT_COLOURS = ("#1d1d1f", "#AA3377", "#4477AA", "#CCBB44", "#228833", "#66CCEE", "#EE6677")


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
    """Index by layer with the stimuli in place and shifted, one colour per shift; one panel per network and category.

    Parameters
    ----------
    position_summary : pandas.DataFrame
        ``tables/position_summary.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    table = position_summary.assign(shift=_shift_names(position_summary))
    colours = {name: SHIFT_COLOURS[k % len(SHIFT_COLOURS)] for k, name in enumerate(table["shift"].drop_duplicates())}
    networks = list(table.groupby(["model", "regime", "category"], sort=False, dropna=False))
    several = table["category"].nunique() > 1
    with style():
        under = max(layer_axis_of(rows).inches for _, rows in networks)
        figure, panels = panel_grid(len(networks), columns=3, height=1.4, under=under)
        for axes, ((model, regime, category), rows) in zip(panels, networks, strict=True):
            axis = layer_axis_of(rows)
            for place, (name, colour) in enumerate(colours.items()):
                one = rows[rows["shift"] == name]
                shift = 0.1 * axis.step * (place - (len(colours) - 1) / 2)
                look = Look(name, colour, MARKERS[place % len(MARKERS)], "-", shift)
                if len(one):
                    profiles_of(one, "mean", axis=axis, looks={(str(model), str(regime)): look}).draw(axes)
            axes.axhline(0, color="black", linewidth=0.6)
            axis.label(axes)
            panel_title(axes, f"{model}, {regime}" + (f": {category}" if several else ""))
            axes.set_ylim(-1.05, 1.1)
            if is_leftmost(axes):
                axes.set_ylabel("mirror-symmetry index")
        colour_legend(figure, colours)
        intervals = intervals_text(table, "mean over exemplars and its 95 % t interval")
        size, n = span(table["image_size_px"]), counted(table["n"], "exemplar")
        note(figure, f"shifts in pixels of an image of {size}; {intervals}; {n}")
    return figure


def _shift_names(rows: pd.DataFrame) -> list[str]:
    """Each row's shift in words: ``in place``, ``15 right``, ``15 right, 15 down``."""
    names = []
    for right, down in zip(rows["shift_right_px"], rows["shift_down_px"], strict=True):
        sideways = f"{abs(right):g} {'right' if right > 0 else 'left'}" if right else ""
        upright = f"{abs(down):g} {'down' if down > 0 else 'up'}" if down else ""
        names.append(", ".join(filter(None, (sideways, upright))) or "in place")
    return names


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
        ReportTable(
            "position_summary",
            "Mirror-symmetry index with the stimuli in place and shifted: mean over exemplars and its 95 % t interval.",
        ),
    ),
)
