"""Values over the layers of networks as figures show them: one profile a model and regime, and how seeds vary."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes

from neurocompare.reporting.looks import LayerAxis, Look, draw_profile, layer_axis_of, looks_of
from neurocompare.representations.viewpoint import summarise_values

__all__ = ["Profile", "Profiles", "profiles_of"]


@dataclass(frozen=True)
class Profile:
    """Values of the networks of one model and regime.

    Parameters
    ----------
    look : Look
    rows : pandas.DataFrame
        ``place, value, low, high`` of every layer: of the one network, or the mean over seeds with its 95 % t interval.
    seeds : list of pandas.DataFrame
        ``place, value`` of every seed, where there are several.
    """

    look: Look
    rows: pd.DataFrame
    seeds: list[pd.DataFrame]


@dataclass(frozen=True)
class Profiles:
    """Profiles of all networks of a table, on one axis."""

    axis: LayerAxis
    profiles: dict[tuple[str, str], Profile]

    @property
    def looks(self) -> dict[tuple[str, str], Look]:
        """How each model and regime is drawn."""
        return {kind: profile.look for kind, profile in self.profiles.items()}

    @property
    def across(self) -> list[tuple[str, str]]:
        """Models and regimes of one layer beside others of several, which are drawn as lines across."""
        if len(self.axis.names) == 1:
            return []
        return [kind for kind, profile in self.profiles.items() if profile.rows["place"].nunique() <= 1]

    @property
    def n_seeds(self) -> int:
        """The most seeds of a model and regime."""
        return max(max(1, len(profile.seeds)) for profile in self.profiles.values())

    def draw(self, axes: Axes) -> None:
        """All profiles in one panel."""
        across = self.across
        for kind, profile in self.profiles.items():
            draw_profile(axes, profile.rows, profile.look, seeds=profile.seeds, across=kind in across)


def profiles_of(
    table: pd.DataFrame, value: str, *, axis: LayerAxis | None = None, looks: dict[tuple[str, str], Look] | None = None
) -> Profiles:
    """Profiles of a quantity.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a network and layer: ``model, regime, seed, layer, layer_index``, the value, ``ci_low, ci_high``.
    value : str
        Column of the quantity.
    axis, looks
        Those of the whole figure, where it has several panels.

    Returns
    -------
    Profiles
        With several seeds, the mean over seeds and its 95 % t interval; with one, the network's own interval.
    """
    axis = axis or layer_axis_of(table)
    looks = looks or looks_of(table, axis=axis)
    placed = axis.place(table).rename(columns={value: "value"})
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
