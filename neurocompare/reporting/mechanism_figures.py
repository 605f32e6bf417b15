"""Figures of kernels, units, local features and position tolerance, each drawn from the summary of the same name.

Takes tables; nothing is computed here but positions on the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from neurocompare.reporting.drawing import NETWORK, NETWORK_COLOURS, errorbar, new_figure, note, style

__all__ = ["draw_kernels", "draw_local_features", "draw_position", "draw_units"]

FLIP_COLOURS = {"left-right": "#D55E00", "up-down": "#0072B2"}
CONDITION_COLOURS = {"insertion": "#D55E00", "deletion": "#0072B2", "shuffle": "#009E73"}
CRITERIA = {"baek2021": "Baek et al. 2021", "revised": "revised"}
POPULATIONS = {"all": "all units", "face-selective": "face-selective units"}
DIRECTIONS = {"right": "#D55E00", "down": "#0072B2", "both": "#222222"}
COLUMN_INCHES = 3.4
"""Width of one column of a journal's page."""


def draw_kernels(summary: pd.DataFrame) -> Figure:
    """Mean symmetry of kernels by layer, under both flips; one panel a network.

    Parameters
    ----------
    summary : pandas.DataFrame
        ``tables/kernels_summary.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = list(_each_network(summary))
    with style():
        figure = new_figure(max(COLUMN_INCHES, 1.9 * len(shown)), 2.7)
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, (name, rows) in zip(panels, shown, strict=True):
            layers = rows.drop_duplicates("layer").sort_values("layer_index")
            for (flip, colour), shift in zip(FLIP_COLOURS.items(), (-0.12, 0.12), strict=True):
                one = layers[["layer"]].merge(rows[rows["transform"] == flip], on="layer", how="left")
                places = np.arange(len(one)) + shift
                axes.vlines(
                    places, one["mean"] - one["sd"], one["mean"] + one["sd"], color=colour, alpha=0.3, linewidth=3
                )
                errorbar(axes, places, one["mean"], one["ci_low"], one["ci_high"], colour)
            counts = rows.drop_duplicates("layer").set_index("layer")["n"]
            ticks = [f"{layer} ({counts[layer]})" for layer in layers["layer"]]
            axes.set_xticks(range(len(ticks)), ticks, rotation=60, ha="right", rotation_mode="anchor")
            axes.axhline(0, color="black", linewidth=0.6)
            axes.set_title(name, fontsize=7)
            axes.set_xlabel("layer (n channels)")
        panels[0].set_ylabel("kernel symmetry (r)")
        _colours(figure, FLIP_COLOURS)
        note(figure, "mean over channels, 95 % t interval; pale: standard deviation")
    return figure


def draw_units(summary: pd.DataFrame) -> Figure:
    """Share of mirror-symmetric units by layer; a row a population, a column a criterion.

    Parameters
    ----------
    summary : pandas.DataFrame
        ``tables/units_summary.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    populations = list(summary["population"].drop_duplicates())
    layers = summary.drop_duplicates("layer").sort_values("layer_index")["layer"].tolist()
    shown = list(_each_network(summary[summary["kind"] == "any"]))
    with style():
        figure = new_figure(2 * COLUMN_INCHES, 1.2 + 1.9 * len(populations))
        grid = figure.subplots(len(populations), len(CRITERIA), sharex=True, sharey=True, squeeze=False)
        for axes_row, population in zip(grid, populations, strict=True):
            for axes, (criterion, title) in zip(axes_row, CRITERIA.items(), strict=True):
                for number, (_, rows) in enumerate(shown):
                    one = rows[(rows["population"] == population) & (rows["criterion"] == criterion)]
                    one = one.set_index("layer").reindex(layers)
                    colour = NETWORK_COLOURS[number % len(NETWORK_COLOURS)]
                    places = np.arange(len(layers)) + 0.16 * (number - (len(shown) - 1) / 2)
                    percent = 100 * one[["share", "ci_low", "ci_high"]]
                    errorbar(axes, places, percent["share"], percent["ci_low"], percent["ci_high"], colour)
                    if population != "all":
                        _counts(axes, one["n_units"], colour, number)
                axes.set_title(
                    f"{POPULATIONS.get(population, population)}, {title}",
                    fontsize=7,
                    pad=4 + 6 * len(shown) * (population != "all"),
                )
                axes.set_ylim(-4, 104)
            axes_row[0].set_ylabel("mirror-symmetric (%)")
        sizes = summary[summary["population"] == "all"].drop_duplicates("layer").set_index("layer")
        sizes = (sizes["n_units"] / sizes["n_seeds"]).reindex(layers)
        ticks = [f"{layer} ({size:.0f})" for layer, size in sizes.items()]
        for axes in grid[-1]:
            axes.set_xticks(range(len(layers)), ticks, rotation=60, ha="right", rotation_mode="anchor")
            axes.set_xlabel("layer (n units)")
        _colours(figure, {name: NETWORK_COLOURS[k % len(NETWORK_COLOURS)] for k, (name, _) in enumerate(shown)})
        note(
            figure,
            "95 % interval: binomial of one network, t over several random starts; "
            "small numbers: n face-selective units (no point where there is none)",
        )
    return figure


def draw_local_features(summary: pd.DataFrame) -> Figure:
    """What is left of view tuning over the part of the foreground that is shown; a row a network, a column a measure.

    Parameters
    ----------
    summary : pandas.DataFrame
        ``tables/local_features_summary.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    measures = {"profile": "r with tuning to\nwhole images", "index": "mirror-symmetry index"}
    shown = list(_each_network(summary))
    conditions = [name for name in CONDITION_COLOURS if (summary["condition"] == name).any()]
    with style():
        figure = new_figure(5.2, 0.9 + 1.9 * len(shown))
        grid = figure.subplots(len(shown), len(measures), sharex=True, sharey=True, squeeze=False)
        for axes_row, (name, rows) in zip(grid, shown, strict=True):
            for axes, (measure, label) in zip(axes_row, measures.items(), strict=True):
                ours = rows[rows["measure"] == measure]
                for number, condition in enumerate(conditions):
                    one = ours[ours["condition"] == condition]
                    visible = 100 - one["percent"] if condition == "deletion" else one["percent"]
                    order = np.argsort(visible.to_numpy())
                    one, visible = one.iloc[order], visible.iloc[order] + 1.2 * (number - (len(conditions) - 1) / 2)
                    axes.plot(visible, one["mean"], color=CONDITION_COLOURS[condition], linewidth=1, alpha=0.6)
                    errorbar(axes, visible, one["mean"], one["ci_low"], one["ci_high"], CONDITION_COLOURS[condition])
                whole = ours[ours["condition"] == "intact"]
                if len(whole) and measure == "index":
                    axes.axhline(whole["mean"].iloc[0], color="#777777", linewidth=1, linestyle="--")
                axes.axhline(0, color="black", linewidth=0.6)
                axes.set_title(f"{name}, {ours['layer'].iloc[0]}, n = {ours['n'].max()} exemplars", fontsize=7)
                axes.set_ylabel(label)
                axes.tick_params(labelleft=True)
        for axes in grid[-1]:
            axes.set_xticks(range(0, 101, 20))
            axes.set_xlabel("foreground shown (%)")
        handles = [Line2D([], [], color=CONDITION_COLOURS[name], linewidth=1.5, label=name) for name in conditions]
        handles.append(Line2D([], [], color="#777777", linestyle="--", linewidth=1, label="whole images"))
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
        note(
            figure,
            "insertion, shuffle: the most important pixels shown; deletion: the least important; 95 % t interval",
        )
    return figure


def draw_position(summary: pd.DataFrame) -> Figure:
    """Index over the size of the shift, a line a direction; one panel a layer of a network, categories averaged apart.

    Parameters
    ----------
    summary : pandas.DataFrame
        ``tables/position_summary.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = list(_each_network(summary, (*NETWORK, "layer")))
    n_columns = min(4, len(shown))
    n_rows = -(-len(shown) // n_columns)
    categories = list(summary["category"].drop_duplicates())
    with style():
        figure = new_figure(max(COLUMN_INCHES, 1.75 * n_columns), 0.9 + 1.8 * n_rows)
        grid = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat[len(shown) :]:
            axes.axis("off")
        for axes, (name, rows) in zip(grid.flat, shown, strict=False):
            for category in categories:
                ours = rows[rows["category"] == category]
                for direction, colour in DIRECTIONS.items():
                    one, pixels = _along(ours, direction)
                    if len(one) > 1:
                        axes.plot(pixels, one["mean"], color=colour, linewidth=1, alpha=0.6)
                        errorbar(axes, pixels, one["mean"], one["ci_low"], one["ci_high"], colour)
            axes.axhline(0, color="black", linewidth=0.6)
            axes.set_title(f"{name}\n{rows['layer'].iloc[0]}", fontsize=7)
            axes.set_ylim(-1.05, 1.05)
        for axes in grid[-1]:
            axes.set_xlabel("shift (px)")
        for axes in grid[:, 0]:
            axes.set_ylabel("mirror-symmetry index")
        present = {name: colour for name, colour in DIRECTIONS.items() if len(_along(summary, name)[0]) > len(shown)}
        _colours(figure, {"right and down" if name == "both" else name: colour for name, colour in present.items()})
        note(figure, f"mean over exemplars, 95 % t interval; n = {summary['n'].max()} exemplars a point")
    return figure


def _along(rows: pd.DataFrame, direction: str) -> tuple[pd.DataFrame, pd.Series]:
    """Rows whose shift goes one way, no shift among them, and its size in that way, rising."""
    right, down = rows["shift_right_px"], rows["shift_down_px"]
    fits = {"right": down == 0, "down": right == 0, "both": right == down}[direction]
    one = rows[fits].assign(pixels=(down if direction == "down" else right)[fits]).sort_values("pixels", kind="stable")
    return one, one["pixels"]


def _counts(axes: Axes, counts: pd.Series, colour: str, line: int) -> None:
    """Numbers over a panel, one a layer, in the colour of their network."""
    for place, count in enumerate(counts):
        if np.isfinite(count):
            axes.annotate(
                f"{count:.0f}", (place, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 1 + 6 * line),
                textcoords="offset points", ha="center", va="bottom", fontsize=4.5, color=colour,
            )  # fmt: skip


def _each_network(table: pd.DataFrame, by: Sequence[str] = NETWORK) -> Iterator[tuple[str, pd.DataFrame]]:
    """Rows of each network in order of appearance, with its name; the seed is named where there are several."""
    several = "seed" in table and table["seed"].nunique() > 1
    for _, rows in table.groupby([name for name in by if name in table], sort=False, dropna=False):
        first = rows.iloc[0]
        yield f"{first['model']}, {first['regime']}" + (f", seed {first['seed']}" if several else ""), rows


def _colours(figure: Figure, colours: dict[str, str]) -> None:
    """Legend above the panels."""
    handles = [Line2D([], [], color=colour, linewidth=1.5, label=name) for name, colour in colours.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(3, len(handles)))
