"""Figures of kernels, units, local features and position tolerance, each drawn from the summary of the same name.

Takes tables; nothing is computed here but positions on the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from neurocompare.reporting.drawing import NETWORK, NETWORK_COLOURS, errorbar, new_figure, note, style

__all__ = ["MECHANISM_FIGURES", "draw_importance", "draw_kernels", "draw_local_features", "draw_position", "draw_units"]

FLIP_COLOURS = {"left-right": "#D55E00", "up-down": "#0072B2"}
CONDITION_COLOURS = {"insertion": "#D55E00", "deletion": "#0072B2", "shuffle": "#009E73"}
CRITERIA = {"baek2021": "Baek et al.'s", "revised": "revised"}
POPULATIONS = {"all": "all units", "face-selective": "face-selective units"}
DIRECTION_COLOURS = ("#D55E00", "#0072B2", "#222222", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
WHOLE_GRAY = "#777777"
COLUMN_INCHES = 3.4
"""Width of one column of a journal's page."""


def draw_kernels(summary: pd.DataFrame) -> Figure:
    """Mean symmetry of kernels by layer, under both flips; one panel a network.

    Parameters
    ----------
    summary : pandas.DataFrame
        ``tables/kernels_summary.csv``. Of a network with several seeds, the first is shown.

    Returns
    -------
    matplotlib.figure.Figure
    """
    first = summary.groupby(["model", "regime"], sort=False, dropna=False)["seed"].transform("first")
    shown = list(_each_network(summary[summary["seed"] == first]))
    layers = summary.drop_duplicates("layer").sort_values("layer_index", kind="stable")["layer"].tolist()
    with style():
        figure = new_figure(COLUMN_INCHES, 1.1 + 1.2 * len(shown))
        panels = figure.subplots(len(shown), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, (name, rows) in zip(panels, shown, strict=True):
            for (flip, colour), shift in zip(FLIP_COLOURS.items(), (-0.12, 0.12), strict=True):
                one = rows[rows["transform"] == flip].set_index("layer").reindex(layers)
                places = np.arange(len(layers)) + shift
                axes.vlines(
                    places, one["mean"] - one["sd"], one["mean"] + one["sd"], color=colour, alpha=0.3, linewidth=3
                )
                errorbar(axes, places, one["mean"], one["ci_low"], one["ci_high"], colour)
            axes.axhline(0, color="black", linewidth=0.6)
            axes.set_title(name, fontsize=7)
            axes.set_ylabel("symmetry (r)")
        channels = summary.drop_duplicates("layer").set_index("layer")["n"]
        _layers(panels[-1], [f"{layer} ({channels[layer]})" for layer in layers], "layer (n channels)")
        _colours(figure, FLIP_COLOURS)
        note(figure, "mean over channels, 95 % t interval; pale: standard deviation")
    return figure


def draw_units(summary: pd.DataFrame) -> Figure:
    """Share of mirror-symmetric units by layer; a panel a population and criterion, a colour a network.

    Parameters
    ----------
    summary : pandas.DataFrame
        ``tables/units_summary.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    layers = summary.drop_duplicates("layer").sort_values("layer_index", kind="stable")["layer"].tolist()
    shown = list(_each_network(summary[summary["kind"] == "any"]))
    colours = {name: NETWORK_COLOURS[number % len(NETWORK_COLOURS)] for number, (name, _) in enumerate(shown)}
    kinds = [
        (population, criterion) for population in summary["population"].drop_duplicates() for criterion in CRITERIA
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
        sizes = summary[summary["population"] == "all"].drop_duplicates("layer").set_index("layer")
        sizes = (sizes["n_units"] / sizes["n_seeds"]).reindex(layers)
        _layers(
            panels[-1], [f"{layer} ({size:.0f})" for layer, size in sizes.items()], "layer (n units of one network)"
        )
        _colours(figure, colours)
        note(
            figure,
            "95 % interval: binomial of one network, t over several seeds\n"
            "small numbers: n face-selective units, of all seeds",
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
    measures = {"profile": "r with tuning to whole images", "index": "mirror-symmetry index"}
    shown = list(_each_network(summary))
    conditions = [name for name in CONDITION_COLOURS if (summary["condition"] == name).any()]
    with style():
        figure = new_figure(COLUMN_INCHES, 0.9 + 1.7 * len(shown))
        grid = figure.subplots(len(shown), len(measures), sharex=True, sharey=True, squeeze=False)
        for axes_row, (name, rows) in zip(grid, shown, strict=True):
            for axes, (measure, label) in zip(axes_row, measures.items(), strict=True):
                ours = rows[rows["measure"] == measure]
                for number, condition in enumerate(conditions):
                    one = _by_visible(ours[ours["condition"] == condition])
                    places = one["visible"] + 1.6 * (number - (len(conditions) - 1) / 2)
                    axes.plot(places, one["mean"], color=CONDITION_COLOURS[condition], linewidth=1, alpha=0.6)
                    errorbar(axes, places, one["mean"], one["ci_low"], one["ci_high"], CONDITION_COLOURS[condition])
                whole = ours[ours["condition"] == "intact"]
                if measure == "index" and len(whole):
                    axes.axhline(whole["mean"].iloc[0], color=WHOLE_GRAY, linewidth=1, linestyle="--")
                axes.axhline(0, color="black", linewidth=0.6)
                axes.set_title(f"{name}\n{label}", fontsize=6.5)
            axes_row[0].set_ylabel(f"r, or index ({ours['layer'].iloc[0]})")
        for axes in grid[-1]:
            axes.set_xticks(range(0, 101, 20))
            axes.set_xlabel("foreground shown (%)")
        handles = [Line2D([], [], color=CONDITION_COLOURS[name], linewidth=1.5, label=name) for name in conditions]
        handles.append(Line2D([], [], color=WHOLE_GRAY, linestyle="--", linewidth=1, label="whole"))
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), columnspacing=1.0)
        note(
            figure,
            "insertion, shuffle: the most important pixels; deletion: the least important\n"
            f"95 % t interval over n = {summary['n'].max()} exemplars",
        )
    return figure


def draw_importance(maps: pd.DataFrame) -> Figure:
    """Importance of the parts of images: each example in its views, and below it the map of every network.

    Parameters
    ----------
    maps : pandas.DataFrame
        ``tables/importance.csv``; importance is drawn as its percentile within the foreground, five views at most.

    Returns
    -------
    matplotlib.figure.Figure
    """
    examples = list(maps.groupby("identity", sort=False))
    views = sorted(maps["azimuth_deg"].unique())
    views = [views[k] for k in np.unique(np.linspace(0, len(views) - 1, min(5, len(views))).round().astype(int))]
    rows = [
        (identity, name, network)
        for identity, example in examples
        for name, network in [("image", next(_each_network(example))[1]), *_each_network(example)]
    ]
    with style():
        figure = new_figure(COLUMN_INCHES, 0.7 + 0.56 * len(rows))
        grid = figure.subplots(len(rows), len(views), squeeze=False)
        for axes_row, (identity, name, network) in zip(grid, rows, strict=True):
            for axes, azimuth in zip(axes_row, views, strict=True):
                one = network[network["azimuth_deg"] == azimuth]
                axes.imshow(_grid(one, "gray"), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
                if name != "image":
                    ranks = one.assign(rank=100 * one["importance"].rank(pct=True))
                    image = axes.imshow(_grid(ranks, "rank"), cmap="cividis", vmin=0, vmax=100, interpolation="nearest")
                axes.set_xticks([])
                axes.set_yticks([])
                for spine in axes.spines.values():
                    spine.set_visible(False)
                if axes in grid[0]:
                    axes.set_title(f"{azimuth:g}°", fontsize=7, pad=2)
            label = identity if name == "image" else name.replace(", ", "\n")
            axes_row[0].set_ylabel(label, fontsize=5.5, rotation=0, ha="right", va="center")
        bar = figure.colorbar(
            image, ax=grid.ravel().tolist(), location="bottom", shrink=0.6, aspect=30, pad=0.02, ticks=[0, 50, 100]
        )
        bar.set_label("importance (percentile of the foreground)", fontsize=6.5)
        bar.ax.tick_params(labelsize=6)
        bar.outline.set_visible(False)
    return figure


def _grid(rows: pd.DataFrame, value: str) -> np.ndarray:
    """Values of one view as the picture that they are of."""
    return rows.pivot(index="row", columns="column", values=value).to_numpy()


def draw_position(summary: pd.DataFrame) -> Figure:
    """Index over the size of the shift, a line a direction and category; one panel a layer of a network.

    Parameters
    ----------
    summary : pandas.DataFrame
        ``tables/position_summary.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = list(_each_network(summary, (*NETWORK, "layer")))
    n_columns = min(2, len(shown))
    n_rows = -(-len(shown) // n_columns)
    # Without any shift there is one line, of one point.
    names = _directions(summary) or [""]
    present = {name: DIRECTION_COLOURS[k % len(DIRECTION_COLOURS)] for k, name in enumerate(names)}
    with style():
        figure = new_figure(COLUMN_INCHES, 0.9 + 1.45 * n_rows)
        grid = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat[len(shown) :]:
            axes.axis("off")
        for axes, (name, rows) in zip(grid.flat, shown, strict=False):
            for _, ours in rows.groupby("category", sort=False, dropna=False):
                for direction, colour in present.items():
                    one = _along(ours, direction)
                    axes.plot(one["pixels"], one["mean"], color=colour, linewidth=1, alpha=0.6)
                    errorbar(axes, one["pixels"], one["mean"], one["ci_low"], one["ci_high"], colour)
            axes.axhline(0, color="black", linewidth=0.6)
            axes.set_title(f"{name}\n{rows['layer'].iloc[0]}", fontsize=6.5)
            axes.set_ylim(-1.05, 1.1)
        for number, axes in enumerate(grid.flat[: len(shown)]):
            if number + n_columns >= len(shown):
                axes.tick_params(labelbottom=True)
                axes.set_xlabel(f"shift (px of {summary['image_size_px'].iloc[0]:g})")
        for axes in grid[:, 0]:
            axes.set_ylabel("mirror index")
        _colours(figure, present)
        note(figure, f"mean over n = {summary['n'].max()} exemplars, 95 % t interval")
    return figure


def _by_visible(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one condition with the share of the foreground that is ``visible`` (%), rising."""
    deleted = rows["condition"] == "deletion"
    return rows.assign(visible=rows["percent"].where(~deleted, 100 - rows["percent"])).sort_values("visible")


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


def _layers(axes: Axes, ticks: Sequence[str], label: str) -> None:
    """Layers under the lowest panel."""
    axes.set_xticks(range(len(ticks)), ticks, rotation=60, ha="right", rotation_mode="anchor", fontsize=7)
    axes.set_xlabel(label)


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
    figure.legend(
        handles=handles, loc="outside upper center", ncols=min(2 if max(map(len, colours)) > 15 else 3, len(handles))
    )


MECHANISM_FIGURES: dict[str, tuple[Callable[[pd.DataFrame], Figure], str]] = {
    "kernels_summary": (
        draw_kernels,
        "Symmetry of kernels: correlation of one half of each output channel's weights with the mirror image of the "
        "other half, mean over channels. The first fully connected layer is reshaped to the map that feeds it.",
    ),
    "units_summary": (
        draw_units,
        "Share of units with mirror-symmetric view tuning by the criterion of Baek et al. (2021) and by the revised "
        "one of eLife 90256 (also: second peak opposite the preferred view, frontal view lowest).",
    ),
    "local_features_summary": (
        draw_local_features,
        "View tuning with the most important part of each image kept (insertion), grayed (deletion) or its pieces "
        "moved to random places (shuffle): correlation of single units' tuning with that to the whole images, and "
        "mirror-symmetry index of the layer.",
    ),
    "importance": (
        draw_importance,
        "Importance of the parts of example images (RISE): mean response of the units with the most mirror-symmetric "
        "tuning when a place is seen, over their standard deviation, mean over units.",
    ),
    "position_summary": (
        draw_position,
        "Mirror-symmetry index with the stimuli in place and shifted to the right, down, or both.",
    ),
}
"""Drawing function and caption of each table, as in ``measure_figures.FIGURES``."""
