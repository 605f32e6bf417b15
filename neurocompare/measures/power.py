"""Table and figure of ``neurocompare power``: how large an experiment must be."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from neurocompare.comparison.power import POWER_COLUMNS
from neurocompare.measures.columns import columns
from neurocompare.reporting.drawing import errorbar, note, panel_grid, panel_title, style
from neurocompare.reporting.tables import Column, Table

__all__ = ["POWER", "draw_power"]

POWER_MEANINGS = {
    column.name: column
    for column in (
        Column("n_repetitions", "presentations of each stimulus", header="repetitions"),
        Column("fit_first", "fit of the layer that neurons read, mean over experiments"),
        Column("fit_second", "fit of the other layer, mean over experiments"),
        Column("difference", "difference of the two, mean over experiments"),
        Column("se", "standard deviation of the difference over experiments", header="SE"),
        Column("power", "share of experiments in which the first layer fits significantly better"),
        Column("power_low", "lower end of its 95 % interval (Wilson)"),
        Column("power_high", "upper end of its 95 % interval (Wilson)"),
        Column("n_experiments", "simulated experiments"),
    )
}
POWER = Table(
    "power",
    "Simulated experiments of one size.",
    columns(
        Column("first", "network and layer that simulated neurons read"),
        Column("second", "network and layer that it is to be told from"),
        *(POWER_MEANINGS.get(name, name) for name in POWER_COLUMNS),
    ),
)


def draw_power(power: pd.DataFrame, *, target: float = 0.8) -> Figure:
    """Power over the number of identities, one line per number of neurons; one panel per number of repetitions.

    Parameters
    ----------
    power : pandas.DataFrame
        ``tables/power.csv``.
    target : float
        Desired power, drawn as a dashed line.

    Returns
    -------
    matplotlib.figure.Figure
    """
    repetitions, neurons = sorted(power["n_repetitions"].unique()), sorted(power["n_neurons"].unique())
    shades = mpl.colormaps["viridis"](np.linspace(0.85, 0.1, len(neurons)))
    identities = sorted(power["n_identities"].unique())
    # Intervals of several lines at one number of identities are drawn side by side.
    spacing = 0.012 * (max(identities) - min(identities))
    with style():
        figure, panels = panel_grid(len(repetitions), columns=3, height=2.2)
        for axes, n_repetitions in zip(panels, repetitions, strict=True):
            for place, (n_neurons, shade) in enumerate(zip(neurons, shades, strict=True)):
                rows = power[(power["n_repetitions"] == n_repetitions) & (power["n_neurons"] == n_neurons)]
                rows = rows.sort_values("n_identities")
                x = rows["n_identities"] + spacing * (place - (len(neurons) - 1) / 2)
                axes.plot(x, rows["power"], color=shade, linewidth=1.2, label=f"{n_neurons} neurons")
                errorbar(axes, x, rows["power"], rows["power_low"], rows["power_high"], shade)
            axes.axhline(target, color="black", linewidth=0.8, linestyle="--", zorder=1)
            axes.set_xticks(identities)
            axes.set_ylim(-0.03, 1.03)
            axes.set_xlabel("identities")
            panel_title(axes, f"{n_repetitions} repetition" + ("s" if n_repetitions > 1 else ""))
        panels[0].set_ylabel("power")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(labels)))
        first = power.iloc[0]
        note(
            figure,
            f"simulated neurons read {first['first']},\nto be told from {first['second']}\n"
            f"bars: 95 % interval over {first['n_experiments']} experiments; dashed: {target:.0%} power",
        )
    return figure
