"""Shares of mirror-symmetrically tuned units, by the criterion of Baek et al. and by the revised one."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from pydantic import Field, field_validator

from neural_data.checking import span
from neural_data.stimuli import StimulusSet
from neurocompare.measures.columns import columns
from neurocompare.measures.declaration import Drawing, Measure, Measured, ReportTable, Summary
from neurocompare.measures.profiles import profiles_of
from neurocompare.measures.settings import Name, Section
from neurocompare.models.registry import Network
from neurocompare.reporting.drawing import note, panel_grid, panel_title, style
from neurocompare.reporting.looks import layer_axis_of, look_legend, looks_of
from neurocompare.reporting.tables import Table
from neurocompare.representations.units import (
    FIVE_VIEWS_DEG,
    UNIT_COLUMNS,
    count_mirror_symmetric_units,
    summarise_unit_shares,
)

__all__ = ["UNITS", "Units", "draw_units"]

CRITERION_LABELS = {"baek2021": "Baek et al.'s", "revised": "revised"}
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
    """Share of mirror-symmetric units by layer; a row per population, a column per criterion, a colour per regime.

    Parameters
    ----------
    units_summary : pandas.DataFrame
        ``tables/units_summary.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = units_summary[units_summary["kind"] == "any"].assign(seed=0)
    shown = shown.assign(**{name: 100 * shown[name] for name in ("share", "ci_low", "ci_high")})
    axis = layer_axis_of(shown)
    looks = looks_of(shown, axis=axis)
    kinds = [
        (population, criterion)
        for population in shown["population"].drop_duplicates()
        for criterion in CRITERION_LABELS
    ]
    with style():
        figure, panels = panel_grid(len(kinds), columns=len(CRITERION_LABELS), height=1.4, under=axis.inches)
        for number, (axes, (population, criterion)) in enumerate(zip(panels, kinds, strict=True)):
            rows = shown[(shown["population"] == population) & (shown["criterion"] == criterion)]
            profiles_of(rows, "share", axis=axis, looks=looks).draw(axes)
            axis.label(axes, text=number >= len(panels) - len(CRITERION_LABELS))
            counts = rows["n_units"]
            panel_title(
                axes,
                f"{POPULATIONS.get(population, population)}, {CRITERION_LABELS[criterion]} criterion\n"
                f"n = {span(counts)} units a layer",
            )
            axes.set_ylim(-4, 104)
            if number % len(CRITERION_LABELS) == 0:
                axes.set_ylabel("share (%)")
        look_legend(figure, looks)
        note(figure, "95 % interval: binomial of one network, t over several seeds")
    return figure


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
        ReportTable(
            "units_summary",
            "Share of units by the criterion of Baek et al. (2021) and by the revised one of eLife 90256, with its 95 "
            "% interval: binomial of one network, t over several seeds.",
        ),
    ),
)
