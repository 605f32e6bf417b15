"""Figures of training and of what training regimes do to layers; drawn where a run has the tables.

Takes the tables of a run; gives figures. Nothing is computed here but positions on the page: every network is a line of
its own, and means over seeds and their differences are those of ``tables/regime_contrasts.csv``.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from neurocompare.reporting.drawing import NETWORK_COLOURS, layer_axis, networks, new_figure, note, style

__all__ = [
    "REGIME_CAPTIONS",
    "draw_contrasts",
    "draw_regime_figures",
    "draw_regimes",
    "draw_training",
    "draw_trajectories",
    "has_regimes",
]

REGIME_CAPTIONS = {
    "training": (
        "Learning curves. Loss and accuracy over epochs of training, a line a network; dashed on the images trained "
        "on, solid on those held out for validation. Diamonds: accuracy on test images after the last epoch."
    ),
    "trajectories": (
        "In the course of training: mirror-symmetry index and fit to each patch of the last layers after the epochs "
        "that were kept, a line a network, coloured by training regime; epoch 0 is the random start."
    ),
    "regimes": (
        "Mirror-symmetry index and fit to each patch by layer, a line a network (seed), coloured by training regime. "
        "How far lines of one colour lie apart is the variation over seeds."
    ),
    "regime_contrasts": (
        "Differences between training regimes by layer, with 95 % intervals over seeds. Filled points: adjusted "
        "p < 0.05."
    ),
}
"""What the report says under each figure of training regimes, by file name."""
PATCH_COLUMNS = 4
LAST_LAYERS = 3
"""Layers that trajectories are drawn of."""
Colours = Mapping[tuple[str, str], str]
MEASURE_LABELS = {"index": "mirror-symmetry index", "fit": "fit to patch RDM"}


def draw_regime_figures(tables: Mapping[str, pd.DataFrame]) -> dict[str, Figure]:
    """Figures of the tables that a run has, by file name; none of a run without training or regimes."""
    figures = {}
    colours = _colours(
        pd.concat([tables[name][["model", "regime"]] for name in ("fits", "training") if name in tables])
    )
    if "training" in tables:
        figures["training"] = draw_training(tables["training"], colours=colours)
    if "trajectories" in tables:
        figures["trajectories"] = draw_trajectories(tables["trajectories"], colours=colours)
    if has_regimes(tables["fits"]):
        figures["regimes"] = draw_regimes(tables["viewpoint_summary"], tables["fits"])
    if "regime_contrasts" in tables:
        figures["regime_contrasts"] = draw_contrasts(tables["regime_contrasts"])
    return figures


def has_regimes(table: pd.DataFrame) -> bool:
    """Whether one model occurs in several regimes."""
    return bool((table.groupby("model", dropna=False)["regime"].nunique() > 1).any())


def draw_training(training: pd.DataFrame, *, colours: Colours | None = None) -> Figure:
    """Loss and accuracy over epochs, a line a network.

    Parameters
    ----------
    training : pandas.DataFrame
        ``tables/training.csv``.
    colours : mapping or None
        Of each model and regime; None: in their order in the table.

    Returns
    -------
    matplotlib.figure.Figure
    """
    colours = _those_of(training, colours)
    with style():
        figure = new_figure(5.6, 2.9)
        left, right = figure.subplots(1, 2)
        for (model, regime, _seed), rows in training.groupby(["model", "regime", "seed"], sort=False, dropna=False):
            colour, rows = colours[model, regime], rows.sort_values("epoch")
            for axes, value in ((left, "loss"), (right, "accuracy")):
                for part, dashes in (("train", "--"), ("validation", "-")):
                    axes.plot(
                        rows["epoch"], rows[f"{part}_{value}"], dashes, color=colour, linewidth=1, alpha=0.8,
                        marker="." if len(rows) == 1 else None,
                    )  # fmt: skip
            tested = rows.dropna(subset="test_accuracy")
            right.plot(tested["epoch"], tested["test_accuracy"], "D", color=colour, markersize=4, zorder=3)
        left.set_ylabel("loss (cross-entropy)")
        left.set_ylim(bottom=0)
        right.set_ylabel("accuracy (share correct)")
        right.set_ylim(0, 1.02)
        for axes in (left, right):
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
        _legend(figure, colours)
        n = training.groupby(["model", "regime"], dropna=False)["seed"].nunique()
        note(
            figure,
            f"dashed: training, solid: validation, diamonds: test images; n = {_span(n)} networks a regime",
        )
    return figure


def draw_trajectories(trajectories: pd.DataFrame, *, colours: Colours | None = None) -> Figure:
    """Index and fits over epochs; a row a quantity, a column one of the last layers, a line a network.

    Parameters
    ----------
    trajectories : pandas.DataFrame
        ``tables/trajectories.csv``.
    colours : mapping or None
        Of each model and regime; None: in their order in the table.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = trajectories.assign(
        panel=[_panel_name(*names) for names in zip(trajectories["measure"], trajectories["region"], strict=True)]
    )
    panels = list(rows["panel"].drop_duplicates())
    layers = list(rows.sort_values("layer_index", kind="stable")["layer"].drop_duplicates())[-LAST_LAYERS:]
    colours = _those_of(trajectories, colours)
    with style():
        figure = new_figure(1.0 + 1.7 * len(layers), 0.8 + 1.5 * len(panels))
        grid = figure.subplots(len(panels), len(layers), squeeze=False, sharex=True, sharey="row")
        for axes_of_row, panel in zip(grid, panels, strict=True):
            for axes, layer in zip(axes_of_row, layers, strict=True):
                shown = rows[(rows["panel"] == panel) & (rows["layer"] == layer)]
                for (model, regime, _), network in shown.groupby(["model", "regime", "seed"], sort=False, dropna=False):
                    course = network.sort_values("epoch")
                    axes.plot(
                        course["epoch"], course["value"], color=colours[model, regime], marker=".", markersize=3,
                        linewidth=1, alpha=0.8,
                    )  # fmt: skip
                axes.axhline(0, color="black", linewidth=0.6)
            axes_of_row[0].set_ylabel(panel, fontsize=7)
        for axes, layer in zip(grid[0], layers, strict=True):
            axes.set_title(layer, fontsize=8)
        for axes in grid[-1]:
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
        _legend(figure, colours)
        n = trajectories.groupby(["model", "regime"], dropna=False)["seed"].nunique()
        note(figure, f"a line a network; n = {_span(n)} networks a regime")
    return figure


def draw_regimes(layers: pd.DataFrame, fits: pd.DataFrame) -> Figure:
    """Mirror-symmetry index, and fit to every patch, by layer; a line a network, a colour a regime.

    Parameters
    ----------
    layers, fits : pandas.DataFrame
        ``tables/viewpoint_summary.csv`` and ``tables/fits.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    regions = list(fits["region"].drop_duplicates())
    panels = [("index", "index", layers), *((f"fit to {r}", "fit", fits[fits["region"] == r]) for r in regions)]
    colours = _colours(fits)
    n_columns = min(PATCH_COLUMNS, len(panels))
    n_rows = -(-len(panels) // n_columns)
    with style():
        figure = new_figure(2.0 * n_columns, 1.0 + 2.1 * n_rows)
        grid = figure.subplots(n_rows, n_columns, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.axis("off")
        for axes, (title, value, table) in zip(grid.flat, panels, strict=False):
            for _, network in networks(table):
                key = network["model"].iloc[0], network["regime"].iloc[0]
                for _, rows in network.groupby("category" if "category" in network else "region", dropna=False):
                    _line(axes, rows, value, colours[key])
            layer_axis(axes, table)
            axes.axhline(0, color="black", linewidth=0.6)
            axes.set_title(title, fontsize=8)
            axes.set_ylabel(MEASURE_LABELS[value])
            if value == "fit" and axes is not grid.flat[1]:
                axes.sharey(grid.flat[1])
        _legend(figure, colours)
        n = fits.groupby(["model", "regime"], dropna=False)["seed"].nunique()
        note(figure, f"a line a network; n = {_span(n)} seeds a regime; dashed across: network of one layer")
    return figure


def draw_contrasts(contrasts: pd.DataFrame) -> Figure:
    """Differences between regimes by layer with their intervals; a panel a measure and patch, a colour a pair.

    Parameters
    ----------
    contrasts : pandas.DataFrame
        ``tables/regime_contrasts.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = contrasts.assign(
        pair=contrasts["first"] + " − " + contrasts["second"],
        panel=[_panel_name(*names) for names in zip(contrasts["measure"], contrasts["region"], strict=True)],
    )
    pairs, panels = list(rows["pair"].drop_duplicates()), list(rows["panel"].drop_duplicates())
    colours = {pair: NETWORK_COLOURS[place % len(NETWORK_COLOURS)] for place, pair in enumerate(pairs)}
    n_columns = min(3, len(panels))
    n_rows = -(-len(panels) // n_columns)
    with style():
        figure = new_figure(max(3.4, 2.4 * n_columns), 1.0 + 2.1 * n_rows)
        grid = figure.subplots(n_rows, n_columns, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.axis("off")
        for axes, panel in zip(grid.flat, panels, strict=False):
            shown = rows[rows["panel"] == panel]
            order = list(shown.sort_values("layer_index", kind="stable")["layer"].drop_duplicates())
            places = {layer: place for place, layer in enumerate(order)}
            for number, pair in enumerate(pairs):
                of_pair = shown[shown["pair"] == pair]
                x = of_pair["layer"].map(places) + 0.14 * (number - (len(pairs) - 1) / 2)
                axes.vlines(x, of_pair["ci_low"], of_pair["ci_high"], color=colours[pair], linewidth=1)
                axes.plot(x, of_pair["estimate"], "o", color=colours[pair], markerfacecolor="white", markersize=4)
                clear = of_pair["p_adjusted"] < 0.05
                axes.plot(x[clear], of_pair["estimate"][clear], "o", color=colours[pair], markersize=4)
            axes.axhline(0, color="black", linewidth=0.6)
            axes.set_xticks(range(len(order)), order, rotation=60, ha="right", rotation_mode="anchor")
            axes.set_xlabel("layer")
            axes.set_title(panel, fontsize=8)
        for axes in grid[:, 0]:
            axes.set_ylabel("difference")
        handles = [Line2D([], [], color=colour, marker="o", label=pair) for pair, colour in colours.items()]
        figure.legend(handles=handles, loc="outside upper center", ncols=2)
        n = pd.concat([contrasts["n_first"], contrasts["n_second"]])
        note(figure, f"bars: 95 % interval; filled: adjusted p < 0.05; n = {_span(n)} seeds a regime")
    return figure


def _line(axes: Axes, rows: pd.DataFrame, value: str, colour: str) -> None:
    if len(rows) == 1:
        axes.axhline(rows[value].iloc[0], color=colour, linewidth=1, linestyle="--")
    else:
        axes.plot(rows["place"], rows[value], color=colour, linewidth=1, marker=".", markersize=3, alpha=0.8)


def _those_of(table: pd.DataFrame, colours: Colours | None) -> Colours:
    """Colours of the models and regimes of a table."""
    own = _colours(table)
    return own if colours is None else {kind: colours[kind] for kind in own}


def _colours(table: pd.DataFrame) -> dict[tuple[str, str], str]:
    """A colour for each model and regime."""
    kinds = table[["model", "regime"]].drop_duplicates().itertuples(index=False, name=None)
    return {kind: NETWORK_COLOURS[place % len(NETWORK_COLOURS)] for place, kind in enumerate(kinds)}


def _legend(figure: Figure, colours: Colours) -> None:
    handles = [Line2D([], [], color=colour, label=", ".join(map(str, kind))) for kind, colour in colours.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(3, len(handles)))


def _panel_name(measure: str, region: object) -> str:
    name = MEASURE_LABELS.get(measure, measure.replace("_", " "))
    return name if pd.isna(region) else f"{name.removesuffix(' to patch RDM')} to {region}"


def _span(counts: pd.Series) -> str:
    """Counts as a text: one number, or the range."""
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"
