"""Plots for notebooks and scripts: the figures of a study from results in memory, drawn on given axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError, closest
from neurocompare.comparison.fit_result import FitResult, networks_of
from neurocompare.comparison.fit_text import summary_test
from neurocompare.measures.fits import draw_matrix, draw_models, draw_patch, fit_label, sorted_ranks
from neurocompare.measures.patch_names import patch_names
from neurocompare.measures.profiles import Profiles, profiles_of, seeds_of
from neurocompare.reporting.drawing import PAGE_INCHES, style
from neurocompare.reporting.looks import Look, draw_patches, layer_axis_of, look_handles, looks_of
from neurocompare.representations.rdms import LAYER, rdm_table
from neurocompare.representations.viewpoint import index_table, summarise_indices

__all__ = ["plot_fits", "plot_index", "plot_rdms", "plot_regimes"]

PANEL_INCHES = (3.6, 2.8)
MOST_MATRICES = 24
DEFAULTS = {"model": "model", "regime": "as given", "seed": 0, "layer": "", "layer_index": 0}
"""Default columns of tables that do not name their networks."""


def plot_fits(
    fits: FitResult | pd.DataFrame, *, region: str | None = None, subject: str | None = None, ax: Axes | None = None
) -> Axes | np.ndarray:
    """Fit of every layer to each patch, with intervals, noise ceiling and the layers that may be the best.

    Models without layers, such as RDMs of hypotheses, stand side by side.

    Parameters
    ----------
    fits : FitResult or pandas.DataFrame
        From ``infer_fits``, or its table (``to_frame()``, ``tables/fits.csv``).
    region, subject : str or None
        The patch, and the animal; None takes all.
    ax : matplotlib.axes.Axes or None
        Axes to draw one patch on; None makes a figure, with one panel per patch on one scale.

    Returns
    -------
    matplotlib.axes.Axes, or array of them of shape (n_patches,) if there are several
        Points filled where the fit passes the test that summaries use (adjusted p < 0.05). For a ``FitResult``, squares
        along the bottom mark the confidence set of the best layer.

    Raises
    ------
    InputError
        If there is no patch with this name, several patches for one ``ax``, or more than 24.
    """
    every = _named(fits.to_frame() if isinstance(fits, FitResult) else fits).reset_index(drop=True)
    names = patch_names(every).fillna("").astype(str)
    chosen = every
    for column, wanted, what in (("region", region, "patch"), ("subject", subject, "subject")):
        if wanted is not None or ax is not None:
            chosen = _one(chosen, column, wanted, what)
    patches = [rows for _, rows in chosen.groupby(names[chosen.index], sort=False)]
    if len(patches) > MOST_MATRICES:
        raise InputError(
            f"{len(patches)} patches are too many for one figure (at most {MOST_MATRICES}); name one with region= or "
            "subject="
        )
    for rows in patches:
        _refuse_twice(rows)
    without_layers = bool((chosen["layer"].fillna("").astype(str) == "").all())
    axis = layer_axis_of(chosen)
    looks = looks_of(chosen, axis=axis)
    test, _ = summary_test(chosen)
    with style():
        panels = [ax] if ax is not None else _new_panels(len(patches))
        for axes, rows in zip(panels, patches, strict=True):
            if without_layers:
                draw_models(axes, rows, looks, test)
            else:
                drawn = draw_patch(axes, rows, axis, looks, test)
        ends = np.array([axes.get_ylim() for axes in panels])
        for axes, rows in zip(panels, patches, strict=True):
            axes.set_ylim(ends[:, 0].min(), ends[:, 1].max())
            axes.set_title(names[rows.index[0]])
            if isinstance(fits, FitResult) and (seeds_of(rows) == 1).all():
                _mark_best(axes, fits, axis.place(rows), looks)
        panels[0].set_ylabel(fit_label(chosen))
        if not without_layers:
            _legend(panels[0], drawn)
    return panels[0] if len(panels) == 1 else np.array(panels)


def plot_index(indices: RDMs | pd.DataFrame, *, category: str | None = None, ax: Axes | None = None) -> Axes:
    """Mirror-symmetry index of every layer, or patch, mean over exemplars with its 95 % t interval.

    Parameters
    ----------
    indices : rsatoolbox.rdm.RDMs or pandas.DataFrame
        View RDMs (``compute_model_rdms`` or ``compute_neural_rdms`` with ``within="identity"``), one index per layer
        and exemplar (``tables/viewpoint.csv``), or means with ``ci_low, ci_high`` (``tables/viewpoint_summary.csv``).
        Rows with a region and without a layer are of patches (``tables/viewpoint_patches.csv``): diamonds, side by
        side.
    category : str or None
        Category to plot; required if there are several.
    ax : matplotlib.axes.Axes or None
        Axes to draw on; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If the table has no column ``index``, there are several categories and none is named, or an exemplar occurs
        twice in one layer or patch.
    """
    table = index_table(indices) if isinstance(indices, RDMs) else indices
    if "index" not in table:
        raise InputError(f"the table has no column 'index'; its columns are {', '.join(map(str, table.columns[:8]))}")
    of_patches = "region" in table and "layer" not in table
    if of_patches:
        names = patch_names(table).astype(str)
        table = table.assign(layer=names, layer_index=pd.factorize(names)[0])
    table = _named(table)
    if "category" in table:
        table = _one(table, "category", category, "category")
    if "ci_low" in table:
        _refuse_twice(table)
    else:
        if "identity" in table:
            _refuse_twice(table, ["identity"])
        table = summarise_indices(table, LAYER)
    label = "mirror-symmetry index"
    return _patches(table, "index", label, ax) if of_patches else _profile(table, "index", label, ax)


def plot_regimes(table: pd.DataFrame, value: str = "index", *, ax: Axes | None = None) -> Axes:
    """A quantity by layer for every training regime: mean over seeds with its 95 % t interval, single seeds faint.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per network and layer: ``model, regime, seed, layer, layer_index`` and the quantity; with one seed,
        ``ci_low, ci_high`` are drawn if present.
    value : str
        Column of the quantity.
    ax : matplotlib.axes.Axes or None
        Axes to draw on; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        If a column is missing, or a network and layer occur twice.
    """
    missing = [name for name in (*LAYER, value) if name not in table]
    if missing:
        raise InputError(f"the table has no column {missing[0]!r}: {closest(missing[0], table.columns)}")
    _refuse_twice(table)
    return _profile(table, value, value.replace("_", " "), ax)


def plot_rdms(rdms: RDMs, *, names: Sequence[str] | None = None, ax: Axes | None = None) -> Axes | np.ndarray:
    """RDM matrices as percentile ranks, stimuli sorted by azimuth and then by identity.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        At most 24; choose with ``rdms.subset("layer", ["fc1", "fc2"])``.
    names : sequence of str or None
        Titles; None takes layers, regions or names.
    ax : matplotlib.axes.Axes or None
        Axes for a single RDM; None makes a figure.

    Returns
    -------
    matplotlib.axes.Axes, or array of them of shape (n_rdms,)

    Raises
    ------
    InputError
        If there are more than 24 RDMs, several RDMs for one ``ax``, or another number of names than RDMs.
    """
    if ax is not None and rdms.n_rdm != 1:
        raise InputError(f"one axes takes one RDM, but there are {rdms.n_rdm}; choose one (rdms[0]) or leave ax out")
    if rdms.n_rdm > MOST_MATRICES:
        raise InputError(
            f"{rdms.n_rdm} RDMs are too many for one figure (at most {MOST_MATRICES}); choose some of them"
        )
    titles = _titles(rdms) if names is None else [str(name) for name in names]
    if len(titles) != rdms.n_rdm:
        raise InputError(f"got {len(titles)} names for {rdms.n_rdm} RDMs; give one for each")
    with style():
        n_columns = min(6, rdms.n_rdm)
        n_rows = -(-rdms.n_rdm // n_columns)
        if ax is None:
            figure = _new_figure(PAGE_INCHES * max(2, n_columns) / 6, 0.3 + 1.35 * max(1.6, n_rows))
            grid = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
        else:
            grid = np.array([ax])
        for axes in grid[rdms.n_rdm :]:
            axes.axis("off")
        for place, (axes, title) in enumerate(zip(grid, titles, strict=False)):
            draw_matrix(axes, *sorted_ranks(rdms, place), title)
    return grid[0] if rdms.n_rdm == 1 else grid[: rdms.n_rdm]


def _new_figure(width: float, height: float) -> Figure:
    """A pyplot figure, which notebooks and windows show, unlike the figures of reports."""
    return plt.figure(figsize=(width, height), layout="constrained")


def _new_axes() -> Axes:
    return _new_figure(*PANEL_INCHES).subplots()


def _new_panels(n: int) -> list[Axes]:
    """One panel, or up to three in a row on one scale."""
    if n == 1:
        return [_new_axes()]
    n_columns = min(3, n)
    n_rows = -(-n // n_columns)
    figure = _new_figure(PAGE_INCHES * {2: 0.85}.get(n_columns, 1.0), PANEL_INCHES[1] * n_rows)
    grid = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes in grid[n:]:
        axes.axis("off")
    return list(grid[:n])


def _named(table: pd.DataFrame) -> pd.DataFrame:
    """A table with the columns that name networks and layers."""
    missing = {name: value for name, value in DEFAULTS.items() if name not in table or table[name].isna().all()}
    return table.assign(**missing)


def _one(table: pd.DataFrame, column: str, wanted: str | None, what: str) -> pd.DataFrame:
    """Rows of one patch or category; if none is named, there must be only one."""
    found = table[column].drop_duplicates() if column in table else pd.Series(dtype=object)
    if wanted is None:
        if len(found) > 1:
            names = ", ".join(map(str, found[:6]))
            raise InputError(f"there are {len(found)} to choose from, {names}: name one with {column}=")
        return table
    if wanted not in set(found):
        raise InputError(f"no {what} {wanted!r}: {closest(wanted, found.astype(str))}")
    return table[table[column] == wanted]


def _refuse_twice(table: pd.DataFrame, also: Sequence[str] = ()) -> None:
    """Refuse several rows of one network and layer (and of one value of other columns), which would be mixed."""
    by = [*LAYER, *also]
    if table.duplicated(by).any():
        twice = table[table.duplicated(by)].iloc[0]
        of = "".join(f" for {name} {twice[name]}" for name in also)
        raise InputError(
            f"layer {twice['layer']} of {twice['model']}, {twice['regime']}, seed {twice['seed']} occurs twice{of}; "
            "choose one patch, category or exemplar"
        )


def _patches(table: pd.DataFrame, value: str, label: str, ax: Axes | None) -> Axes:
    """Values of patches side by side."""
    with style():
        axes = ax or _new_axes()
        draw_patches(axes, range(len(table)), table, value)
        axes.set_xticks(range(len(table)), table["layer"])
        axes.set_xlim(-0.6, len(table) - 0.4)
        axes.axhline(0, color="black", linewidth=0.6)
        axes.set_xlabel("patch")
        axes.set_ylabel(label)
    return axes


def _profile(table: pd.DataFrame, value: str, label: str, ax: Axes | None) -> Axes:
    missing = {name: np.nan for name in ("ci_low", "ci_high") if name not in table}
    axis = layer_axis_of(table)
    with style():
        axes = ax or _new_axes()
        drawn = profiles_of(table.assign(**missing), value, axis=axis)
        drawn.draw(axes)
        axis.label(axes)
        axes.axhline(0, color="black", linewidth=0.6)
        axes.set_ylabel(label)
        _legend(axes, drawn)
    return axes


def _legend(axes: Axes, drawn: Profiles) -> None:
    if len(drawn.looks) > 1:
        axes.legend(handles=look_handles(drawn.looks))


def _mark_best(axes: Axes, result: FitResult, placed: pd.DataFrame, looks: dict[tuple[str, str], Look]) -> None:
    """Squares along the bottom at the confidence set of the best layer, one row per network."""
    recordings, shown = result.recordings, placed.iloc[0]
    is_shown = [all(row[name] == shown[name] for name in recordings.columns.intersection(["region", "subject"]))
                for _, row in recordings.iterrows()]  # fmt: skip
    models = _named(result.models.reset_index(drop=True))
    low, high = axes.get_ylim()
    step = 0.03 * (high - low)
    for row, (_, members) in enumerate(networks_of(models)):
        if len(members) < 2:
            continue
        inside = members[result.not_told_from_best(members, int(np.argmax(is_shown)))]
        network = models.iloc[members[0]]
        own = placed[(placed["model"] == network["model"]) & (placed["regime"] == network["regime"])]
        places = own["place"][own["layer"].isin(models["layer"].iloc[inside])]
        colour = looks[str(network["model"]), str(network["regime"])].colour
        axes.plot(places, np.full(len(places), low - (row + 1) * step), "s", color=colour, markersize=3)
    axes.set_ylim(low - (len(looks) + 1) * step, high)


def _titles(rdms: RDMs) -> list[str]:
    table = rdm_table(rdms)
    for name in ("layer", "region", "name", "model"):
        if name in table and table[name].astype(str).nunique() == len(table):
            return table[name].astype(str).tolist()
    labels = ("model", "regime", "seed", "layer", "region", "subject", "category", "identity")
    named = [name for name in labels if name in table]
    shown = [name for name in named if table[name].nunique() > 1] or named[:1]
    return [", ".join(str(row[name]) for name in shown) for _, row in table.iterrows()]
