"""Figures of patches over time: codes, layers, the index and noise ceilings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurocompare.measures.patch_names import patch_names
from neurocompare.reporting.drawing import SMALL, is_leftmost, note, panel_grid, panel_title, style
from neurocompare.representations.rdms import NETWORK

__all__ = ["draw_time_ceilings", "draw_time_codes", "draw_time_encoding", "draw_time_fits", "draw_time_index"]

COLOURS = ("#b3402a", "#2a6db3", "#3c8c4a", "#8a5aa8")
Marking = Callable[[Axes, str, np.ndarray, str], None]
"""Adds to a patch's curve: axes, patch, centres of the bins, colour."""
TIME_LABEL = "ms after stimulus onset"


def draw_time_codes(time_codes: pd.DataFrame, time_onsets: pd.DataFrame) -> Figure:
    """Strength of every code over time, one panel per patch, with onsets and the bins in which it is found.

    Parameters
    ----------
    time_codes, time_onsets : pandas.DataFrame
        The tables of these names.

    Returns
    -------
    matplotlib.figure.Figure
    """
    patches = patch_names(time_codes)
    names = list(dict.fromkeys(time_codes["code"]))
    onsets = time_onsets[time_onsets["readout"] == "code"].assign(patch=patch_names(time_onsets))
    with style():
        panels = list(dict.fromkeys(patches))
        figure, all_axes = panel_grid(max(len(panels), 1), columns=3, height=1.6)
        for axes, patch in zip(all_axes, panels, strict=False):
            rows = time_codes[patches == patch]
            for place, name in enumerate(names):
                colour = COLOURS[place % len(COLOURS)]
                curve = rows[rows["code"] == name]
                peak = np.nanmax(np.abs(curve["value"]))
                scale = peak if peak > 0 else 1.0
                times = _draw_course(axes, curve, "value", colour, name, scale=scale)
                found = curve["p_max"].to_numpy() < 0.05
                axes.plot(times[found], np.full(int(found.sum()), -0.3 - 0.1 * place), "s", ms=2, color=colour)
                for _, onset in onsets[(onsets["patch"] == patch) & (onsets["code"] == name)].iterrows():
                    _draw_onset(axes, onset, onset["fraction"] + 0.07 * place, times, colour)
            axes.axhline(0, color="black", linewidth=0.6)
            axes.set_ylim(-0.4 - 0.1 * len(names), 1.6)
            axes.set_xlabel(TIME_LABEL)
            panel_title(axes, str(patch))
            if is_leftmost(axes):
                axes.set_ylabel("strength, of its peak")
        if panels:
            all_axes[0].legend(frameon=False)
        note(figure, "shaded: 95 % interval over identities and neurons; bars: onsets; squares: p < 0.05 over all bins")
    return figure


def draw_time_fits(time_fits: pd.DataFrame) -> Figure:
    """Fits of layers over time, one panel per network and patch; dots where the maximum statistic finds them.

    Parameters
    ----------
    time_fits : pandas.DataFrame
        The table of this name.

    Returns
    -------
    matplotlib.figure.Figure
    """
    return _draw_layers(time_fits, "fit", "fits of layers")


def draw_time_encoding(time_encoding: pd.DataFrame) -> Figure:
    """Predictions of single neurons by layers over time, one panel per network and patch; dots where they are found.

    Parameters
    ----------
    time_encoding : pandas.DataFrame
        The table of this name.

    Returns
    -------
    matplotlib.figure.Figure
    """
    return _draw_layers(time_encoding, "prediction", "predictions by layers")


def draw_time_index(time_index: pd.DataFrame, time_onsets: pd.DataFrame) -> Figure:
    """Corrected mirror-symmetry index of every patch over time, with onsets.

    Parameters
    ----------
    time_index, time_onsets : pandas.DataFrame
        The tables of these names.

    Returns
    -------
    matplotlib.figure.Figure
    """
    onsets = time_onsets[time_onsets["readout"] == "index"].assign(patch=patch_names(time_onsets))
    level = time_index["level"].iloc[0]

    def mark(axes: Axes, patch: str, times: np.ndarray, colour: str) -> None:
        for _, onset in onsets[onsets["patch"] == patch].iterrows():
            _draw_onset(axes, onset, level + onset["fraction"] * (onset["peak"] - level), times, colour)

    with style():
        figure, (axes,) = panel_grid(1, height=2.0)
        _draw_patches(axes, time_index, "corrected_index", ("ci_low", "ci_high"), mark)
        axes.axhline(level, color="#8a8a90", linestyle=":", linewidth=0.8)
        axes.set_ylim(-1.25, 1.25)
        axes.set_ylabel("corrected index")
        note(
            figure,
            "shaded: 95 % interval over identities and neurons; dotted: views that are equally far apart; bars: onsets",
        )
    return figure


def draw_time_ceilings(time_ceilings: pd.DataFrame) -> Figure:
    """Reliability of every patch's RDM over neurons, over time.

    Parameters
    ----------
    time_ceilings : pandas.DataFrame
        The table of this name.

    Returns
    -------
    matplotlib.figure.Figure
    """
    with style():
        figure, (axes,) = panel_grid(1, height=2.0)
        _draw_patches(axes, time_ceilings, "ceiling_lower", ("ceiling_lower_low", "ceiling_lower_high"))
        axes.axhline(0, color="black", linewidth=0.6)
        axes.set_ylim(-0.4, 1.0)
        axes.set_ylabel("reliability")
        note(figure, "shaded: 95 % interval over neurons; the noise ceiling of fits is the root of the reliability")
    return figure


def _draw_course(
    axes: Axes,
    curve: pd.DataFrame,
    value: str,
    colour: str,
    name: str,
    *,
    interval: tuple[str, str] = ("ci_low", "ci_high"),
    scale: float = 1.0,
) -> np.ndarray:
    """Draw a curve with its interval; return the centres of the bins."""
    times = curve[["time_start_ms", "time_end_ms"]].mean(axis=1).to_numpy()
    axes.plot(times, curve[value] / scale, color=colour, label=name)
    low, high = (curve[end] / scale for end in interval)
    axes.fill_between(times, low, high, color=colour, alpha=0.2, linewidth=0)
    return times


def _draw_onset(axes: Axes, onset: pd.Series, height: float, times: np.ndarray, colour: str) -> None:
    """Draw an onset with its interval; a side on which the bins set no limit ends with them."""
    if not np.isfinite(onset["onset_ms"]):
        return
    ends = [
        end if np.isfinite(end) else edge
        for end, edge in ((onset["ci_low"], times.min()), (onset["ci_high"], times.max()))
    ]
    axes.plot(ends, [height, height], color=colour, linewidth=2)
    axes.plot(onset["onset_ms"], height, "o", color=colour, ms=4)


def _draw_patches(
    axes: Axes, table: pd.DataFrame, value: str, interval: tuple[str, str], mark: Marking | None = None
) -> None:
    """One curve a patch in one panel."""
    patches = patch_names(table)
    for place, patch in enumerate(dict.fromkeys(patches)):
        colour = COLOURS[place % len(COLOURS)]
        times = _draw_course(axes, table[patches == patch], value, colour, str(patch), interval=interval)
        if mark is not None:
            mark(axes, patch, times, colour)
    axes.set_xlabel(TIME_LABEL)
    axes.legend(frameon=False, loc="upper left", ncols=3)


def _draw_layers(table: pd.DataFrame, value: str, what: str) -> Figure:
    """Values of layers (rows) in bins (columns), one panel per network and patch."""
    table = table.assign(patch=patch_names(table))
    keys = [*(name for name in NETWORK if table[name].nunique(dropna=False) > 1), "patch"]
    groups = list(table.groupby(keys, sort=False, dropna=False))
    largest = np.nanmax(np.abs(table[value].to_numpy(dtype=float)))
    with style():
        figure, all_axes = panel_grid(max(len(groups), 1), columns=3, height=1.8, sharey=False)
        for axes, (labels, rows) in zip(all_axes, groups, strict=False):
            rows = rows.assign(time=rows[["time_start_ms", "time_end_ms"]].mean(axis=1))
            layers = list(dict.fromkeys(rows["layer"]))
            grid = rows.pivot(index="layer", columns="time", values=value).reindex(layers)
            found = (
                rows.pivot(index="layer", columns="time", values="p_max").reindex(layers).to_numpy(dtype=float) < 0.05
            )
            half = np.diff(grid.columns).mean() / 2 if grid.shape[1] > 1 else 0.5
            image = axes.imshow(
                grid.to_numpy(dtype=float),
                aspect="auto",
                origin="lower",
                cmap="RdBu_r",
                vmin=-largest,
                vmax=largest,
                extent=(grid.columns.min() - half, grid.columns.max() + half, -0.5, len(layers) - 0.5),
            )
            where = np.argwhere(found)
            axes.plot(grid.columns.to_numpy()[where[:, 1]], where[:, 0], ".", color="black", ms=2)
            ends = sorted({0, len(layers) - 1})
            axes.set_yticks(ends, [str(layers[end]) for end in ends], fontsize=SMALL)
            axes.set_xlabel(TIME_LABEL)
            panel_title(axes, ", ".join(map(str, labels)))
            figure.colorbar(image, ax=axes, shrink=0.8)
        note(figure, f"{what}, first to last; dots: p < 0.05 over all layers and bins of the patch")
    return figure
