"""Shares of mirror-symmetrically tuned units, by the criterion of Baek et al. and by the revised one."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import Field, field_validator

from neural_data.stimuli import StimulusSet
from neurocompare.measures.columns import columns
from neurocompare.measures.declaration import Drawing, Measure, Measured, Name, Section, Shown, Summary
from neurocompare.models.registry import Network
from neurocompare.reporting.drawing import (
    COLUMN_INCHES,
    NETWORK_COLOURS,
    colour_legend,
    each_network,
    errorbar,
    layer_ticks,
    new_figure,
    note,
    style,
)
from neurocompare.reporting.tables import Table
from neurocompare.representations.units import (
    FIVE_VIEWS_DEG,
    UNIT_COLUMNS,
    count_mirror_symmetric_units,
    summarise_unit_shares,
)

__all__ = ["UNITS", "Units", "draw_units"]

CRITERIA = {"baek2021": "Baek et al.'s", "revised": "revised"}
POPULATIONS = {"all": "all units", "face-selective": "face-selective units"}


class Units(Section):
    """``[outputs.units]``: shares of mirror-symmetrically tuned units, of all and of face-selective ones."""

    face: Name = Field("face", description="category whose views are looked at, and that selective units prefer")
    azimuths_deg: list[float] = Field(
        list(FIVE_VIEWS_DEG),
        min_length=5,
        max_length=5,
        description="both profiles, both half-profiles, frontal",
    )
    alpha: float = Field(0.05, gt=0, lt=1, description="level of the analysis of variance over views")
    threshold: float = Field(
        0.001, gt=0, lt=1, description="a selective unit's largest p against another category lies below it"
    )

    @field_validator("azimuths_deg")
    @classmethod
    def _azimuths_come_in_pairs(cls, azimuths: list[float]) -> list[float]:
        if sorted(azimuths) != sorted(-azimuth for azimuth in azimuths) or len(set(azimuths)) < 5:
            raise ValueError("give five azimuths symmetric about 0, such as [-90, -45, 0, 45, 90]")
        return azimuths


def measure(*, settings: Units, network: Network, layers: tuple[str, ...], stimuli: StimulusSet) -> Measured:
    """Number of units of each layer that meet each criterion, among all and among face-selective ones."""
    table = count_mirror_symmetric_units(
        network,
        stimuli,
        layers,
        face=settings.face,
        azimuths_deg=settings.azimuths_deg,
        alpha=settings.alpha,
        threshold=settings.threshold,
    )
    return Measured({"units": table})


def draw_units(units_summary: pd.DataFrame) -> Figure:
    """Share of mirror-symmetric units by layer; a panel a population and criterion, a colour a network.

    Parameters
    ----------
    units_summary : pandas.DataFrame
        ``tables/units_summary.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    layers = units_summary.drop_duplicates("layer").sort_values("layer_index", kind="stable")["layer"].tolist()
    shown = list(each_network(units_summary[units_summary["kind"] == "any"]))
    colours = {name: NETWORK_COLOURS[number % len(NETWORK_COLOURS)] for number, (name, _) in enumerate(shown)}
    kinds = [
        (population, criterion)
        for population in units_summary["population"].drop_duplicates()
        for criterion in CRITERIA
    ]
    with style():
        figure = new_figure(COLUMN_INCHES, 1.4 + 1.3 * len(kinds))
        panels = figure.subplots(len(kinds), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, (population, criterion) in zip(panels, kinds, strict=True):
            selected = population != "all"
            for number, (name, rows) in enumerate(shown):
                one = rows[(rows["population"] == population) & (rows["criterion"] == criterion)]
                one = one.set_index("layer").reindex(layers)
                places = np.arange(len(layers)) + 0.18 * (number - (len(shown) - 1) / 2)
                percent = 100 * one[["share", "ci_low", "ci_high"]]
                errorbar(axes, places, percent["share"], percent["ci_low"], percent["ci_high"], colours[name])
                if selected:
                    _counts(axes, one["n_units"], colours[name], number)
            title = f"{POPULATIONS.get(population, population)}, {CRITERIA[criterion]} criterion"
            axes.set_title(title, fontsize=7, pad=3 + 6 * len(shown) * selected)
            axes.set_ylim(-4, 104)
            axes.set_ylabel("share (%)")
        sizes = units_summary[units_summary["population"] == "all"].drop_duplicates("layer").set_index("layer")
        sizes = (sizes["n_units"] / sizes["n_seeds"]).reindex(layers)
        layer_ticks(
            panels[-1], [f"{layer} ({size:.0f})" for layer, size in sizes.items()], "layer (n units of one network)"
        )
        colour_legend(figure, colours)
        note(
            figure,
            "95 % interval: binomial of one network, t over several seeds\n"
            "small numbers: n face-selective units, of all seeds",
        )
    return figure


def _counts(axes: Axes, counts: pd.Series, colour: str, line: int) -> None:
    """Numbers over a panel, one a layer, in the colour of their network."""
    for place, count in enumerate(counts):
        if np.isfinite(count):
            axes.annotate(
                f"{count:.0f}", (place, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 1 + 6 * line),
                textcoords="offset points", ha="center", va="bottom", fontsize=4.5, color=colour,
            )  # fmt: skip


UNITS = Measure(
    key="units",
    title="Mirror-symmetric units",
    about="shares of mirror-symmetrically tuned units, by the criteria of Baek et al. and revised",
    settings=Units,
    of_views=True,
    compute=measure,
    work=lambda _settings, n_stimuli: 4 * n_stimuli,
    tables=(
        Table(
            "units",
            "Units of a layer that meet one criterion, with the exact (Clopper-Pearson) 95 % interval of their share.",
            columns(*UNIT_COLUMNS),
        ),
    ),
    summaries=(
        Summary(
            Table(
                "units_summary",
                "The same over the networks of a regime: binomial interval of one network, t interval over several.",
                columns(
                    *("model", "regime", "layer", "layer_index", "criterion", "kind", "population"),
                    *("share", "ci_low", "ci_high", "n_found", "n_units", "n_seeds"),
                ),
            ),
            "units",
            summarise_unit_shares,
        ),
    ),
    figures=(
        Drawing(
            "units_summary",
            draw_units,
            "Share of units with mirror-symmetric view tuning by the criterion of Baek et al. (2021) and by the "
            "revised one of eLife 90256 (also: second peak opposite the preferred view, frontal view lowest).",
        ),
    ),
    shown=(
        Shown(
            "units_summary",
            "Share of units by the criterion of Baek et al. (2021) and by the revised one of eLife 90256, with its 95 "
            "% interval: binomial of one network, t over several seeds.",
        ),
    ),
)
