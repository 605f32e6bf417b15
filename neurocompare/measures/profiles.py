"""Profiles of a quantity over layers for figures: one profile per model and regime, with variation over seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from neural_data.checking import span
from neurocompare.reporting.looks import LayerAxis, Look, draw_profile, layer_axis_of, looks_of
from neurocompare.representations.rdms import NETWORK
from neurocompare.representations.viewpoint import summarise_values

__all__ = ["Profile", "Profiles", "explored_rows", "intervals_text", "profiles_of", "seeds_of"]


@dataclass(frozen=True)
class Profile:
    """Values of the networks of one model and regime.

    Parameters
    ----------
    look : Look
        Colour, marker and line of the networks.
    rows : pandas.DataFrame
        ``place, value, low, high`` of every layer: of the one network, or the mean over seeds with its 95 % t interval.
    seeds : list of pandas.DataFrame
        ``place, value`` of every seed, if there are several.
    """

    look: Look
    rows: pd.DataFrame
    seeds: list[pd.DataFrame]


@dataclass(frozen=True)
class Profiles:
    """Profiles of all networks of a table, on one axis.

    Parameters
    ----------
    axis : LayerAxis
        Places of the layers, and their labels.
    profiles : dict of (model, regime) to Profile
        One entry a kind of network.
    """

    axis: LayerAxis
    profiles: dict[tuple[str, str], Profile]

    @property
    def looks(self) -> dict[tuple[str, str], Look]:
        """Colour, marker and line of each model and regime."""
        return {kind: profile.look for kind, profile in self.profiles.items()}

    def draw(self, axes: Axes) -> None:
        """All profiles in one panel."""
        for profile in self.profiles.values():
            draw_profile(axes, profile.rows, profile.look, seeds=profile.seeds)


def profiles_of(
    table: pd.DataFrame, value: str, *, axis: LayerAxis | None = None, looks: dict[tuple[str, str], Look] | None = None
) -> Profiles:
    """Profiles of a quantity.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per network and layer: ``model, regime, seed, layer, layer_index``, the value, ``ci_low, ci_high``.
    value : str
        Column of the quantity.
    axis, looks
        Shared by all panels of a figure.

    Returns
    -------
    Profiles
        With several seeds, the mean over seeds and its 95 % t interval; with one, the network's own interval.

    Raises
    ------
    ValueError
        If a network has two values for one layer, because patches or categories are mixed: select one first.
    """
    axis = axis or layer_axis_of(table)
    looks = looks or looks_of(table, axis=axis)
    placed = axis.place(table).rename(columns={value: "value"})
    if placed.duplicated([*NETWORK, "layer"]).any():
        twice = placed[placed.duplicated([*NETWORK, "layer"])].iloc[0]
        raise ValueError(
            f"layer {twice['layer']} of {twice['model']}, {twice['regime']}, seed {twice['seed']} occurs twice in one "
            "panel; select one patch, category or image set first"
        )
    profiles = {}
    for (model, regime), rows in placed.groupby([table["model"].astype(str), table["regime"].astype(str)], sort=False):
        seeds = [one.sort_values("place")[["place", "value"]] for _, one in rows.groupby("seed", dropna=False)]
        if len(seeds) == 1:
            shown = rows.rename(columns={"ci_low": "low", "ci_high": "high"})[["place", "value", "low", "high"]]
            profiles[model, regime] = Profile(looks[model, regime], shown, [])
            continue
        means = summarise_values(rows, ("place",), ["value"])
        means = means.rename(columns={"mean": "value", "ci_low": "low", "ci_high": "high"})
        profiles[model, regime] = Profile(looks[model, regime], means[["place", "value", "low", "high"]], seeds)
    return Profiles(axis, profiles)


def seeds_of(table: pd.DataFrame) -> pd.Series:
    """Number of seeds of every model and regime of a table."""
    return table.groupby(["model", "regime"], sort=False, dropna=False)["seed"].nunique(dropna=False)


def intervals_text(table: pd.DataFrame, of_one: str) -> str:
    """Sentence for a figure's small print on what its intervals are.

    Parameters
    ----------
    table : pandas.DataFrame
        All rows of the figure: columns ``model, regime, seed``.
    of_one : str
        Meaning of the interval of a single network; empty if it has none.

    Returns
    -------
    str
        For single networks, for means over seeds, or for both if the figure shows both.
    """
    n_seeds = seeds_of(table)
    several = n_seeds[n_seeds > 1]
    if several.empty:
        return of_one
    of_several = f"mean over {span(several)} seeds and its 95 % t interval, faint: single seeds"
    if len(several) == len(n_seeds):
        return of_several
    of_single = f"of one network: {of_one}; " if of_one else ""
    return f"{of_single}of several seeds: {of_several}"


def explored_rows(table: pd.DataFrame, value: str, *, panel: pd.Series) -> pd.DataFrame:
    """Rows of an interactive figure: one per network, layer and panel.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``model, regime, seed, layer, layer_index, ci_low, ci_high`` and the value.
    value : str
        Column of the values.
    panel : pandas.Series
        What each row belongs to, such as its patch; a reader chooses one.

    Returns
    -------
    pandas.DataFrame
        Columns of ``reporting.report.PLOT_COLUMNS``. Colours and lines are those of the other figures; layers stand by
        relative depth.
    """
    looks = looks_of(table)
    kinds = list(zip(table["model"].astype(str), table["regime"].astype(str), strict=True))
    several = table.groupby(["model", "regime"], dropna=False)["seed"].transform("nunique") > 1
    seeds = np.where(several, ", seed " + table["seed"].astype(str), "")
    return pd.DataFrame(
        {
            "panel": panel.astype(str).to_numpy(),
            "series": [looks[kind].name + seed for kind, seed in zip(kinds, seeds, strict=True)],
            "colour": [looks[kind].colour for kind in kinds],
            "x": LayerAxis(()).place(table)["place"].to_numpy(),
            "label": table["layer"].astype(str).to_numpy(),
            "y": table[value].to_numpy(),
            "low": table["ci_low"].to_numpy(),
            "high": table["ci_high"].to_numpy(),
        }
    )
