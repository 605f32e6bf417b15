"""Fit of every layer to every patch: the main table of a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from rsatoolbox.rdm import RDMs
from scipy.stats import rankdata

from neurocompare.comparison.equivalence import CEILING_EQUALITY_COLUMNS, compare_with_ceilings
from neurocompare.comparison.fit_result import FIT_COLUMNS, FitResult, networks_of
from neurocompare.comparison.fit_text import summary_test
from neurocompare.comparison.methods import find_method
from neurocompare.comparison.multiplicity import CONFIDENCE, rejects
from neurocompare.comparison.resampling import FACTORS
from neurocompare.measures.columns import columns
from neurocompare.measures.comparison import Comparison, equality_methods
from neurocompare.measures.declaration import Drawing, Explored, Measure, Measured, Patches, ReportTable
from neurocompare.measures.fit_summary import best_layers, fit_sentences, lead_rows
from neurocompare.measures.patch_names import by_patch, patch_names
from neurocompare.measures.profiles import Profiles, explored_rows, intervals_text, profiles_of
from neurocompare.reporting.drawing import (
    PAGE_INCHES,
    SMALL,
    errorbar,
    is_leftmost,
    new_figure,
    note,
    panel_grid,
    panel_title,
    style,
)
from neurocompare.reporting.looks import MOST_POINTS, LayerAxis, Look, layer_axis_of, look_legend, looks_of
from neurocompare.reporting.tables import Column, Table
from neurocompare.representations.dissimilarities import DISSIMILARITIES, find_dissimilarity
from neurocompare.representations.rdms import NETWORK, pattern_table, rdm_table

__all__ = [
    "FITS",
    "draw_fits",
    "draw_matrix",
    "draw_models",
    "draw_patch",
    "draw_rdms",
    "fit_label",
    "lead_rows",
    "sampled_text",
    "shown_fits",
    "sorted_ranks",
]

CEILING_GRAY = "#d9d9d9"
RDM_COLUMNS = 5
COMPONENTS = ("shapley_invariant", "shapley_sensitive")


def measure(
    *, fit_result: FitResult, comparison: Comparison, simulated: bool, components: pd.DataFrame | None = None
) -> Measured:
    """Fits with their uncertainty, and the contributions of the reflection components, if these were computed."""
    table = fit_result.to_frame().join(compare_with_ceilings(fit_result, comparison.equal_within))
    table = table.assign(in_best_set=_in_best_sets(fit_result).ravel(), simulated=simulated)
    if components is not None:
        keys = [*NETWORK, "layer", "region", "subject"]
        values = components.pivot(index=keys, columns="component", values="shapley").add_prefix("shapley_")
        table = table.merge(values.reset_index()[[*keys, *COMPONENTS]], on=keys, how="left", validate="one_to_one")
    return Measured({"fits": table}, fit_result.notes)


def _in_best_sets(result: FitResult) -> np.ndarray:
    """Whether each layer may be the best of its network, boolean (n_models, n_recordings)."""
    kept = np.zeros(result.estimates.shape, dtype=bool)
    for _, members in networks_of(result.models):
        for r in range(len(result.recordings)):
            kept[members, r] = result.not_told_from_best(members, r)
    return kept


def shown_fits(fits: pd.DataFrame) -> pd.DataFrame:
    """The main columns of the fit table, under short names, for a manuscript."""
    names = {
        "model": "network",
        "regime": "regime",
        "seed": "seed",
        "layer": "layer",
        "region": "patch",
        "fit": "fit",
        "ci_low": "95 % from",
        "ci_high": "to",
        "p_identity_adjusted": "adjusted p",
        "ceiling_upper": "ceiling",
    }
    return fits.assign(region=patch_names(fits))[list(names)].rename(columns=names)


def draw_fits(fits: pd.DataFrame) -> Figure:
    """Fit of every layer to every patch, with intervals and noise ceilings; one panel per patch.

    Parameters
    ----------
    fits : pandas.DataFrame
        ``tables/fits.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    patches = patch_names(fits)
    names = list(patches.drop_duplicates())
    test, found = summary_test(fits)
    axis = layer_axis_of(fits)
    looks = looks_of(fits, axis=axis)
    with style():
        figure, panels = panel_grid(
            len(names), columns=3 if len(axis.names) <= 25 else 1, height=1.8, under=axis.inches
        )
        for axes, name in zip(panels, names, strict=True):
            draw_patch(axes, fits[patches == name], axis, looks, test)
            panel_title(axes, name, bold=True)
            if is_leftmost(axes):
                axes.set_ylabel(fit_label(fits))
        look_legend(figure, looks)
        intervals = intervals_text(fits, f"95 % interval over {sampled_text(fits)}")
        simulated = "; the recording is simulated" if fits["simulated"].any() else ""
        n = fits["n_stimuli"].iloc[0]
        gray = "; gray: noise ceiling" if fits["ceiling_lower"].notna().any() else ""
        note(figure, f"{intervals}; {_filled_text(fits, found)}{gray}; n = {n} stimuli{simulated}")
    return figure


def sampled_text(fits: pd.DataFrame) -> str:
    """What the intervals of single fits resample, in words: ``identities and neurons``."""
    return " and ".join(FACTORS[name].plural for name in str(fits["resample"].iloc[0]).split("+"))


def _filled_text(fits: pd.DataFrame, found: str) -> str:
    """Sentence on which points of the figure are filled."""
    networks = fits.groupby(["model", "regime"], dropna=False)
    can_be = [_can_be_filled(rows) for _, rows in networks]
    of = f"single networks of 2 to {MOST_POINTS} layers"
    if not any(can_be):
        return f"no point is filled, as tests are shown of {of}"
    return f"filled: {found}, adjusted p < 0.05" + ("" if all(can_be) else f" ({of})")


def _can_be_filled(rows: pd.DataFrame) -> bool:
    """Whether points of one model and regime are filled by a test."""
    return rows["seed"].nunique(dropna=False) == 1 and 2 <= rows["layer"].nunique() <= MOST_POINTS


def draw_patch(
    axes: Axes, rows: pd.DataFrame, axis: LayerAxis, looks: dict[tuple[str, str], Look], test: str
) -> Profiles:
    """Fits to one patch: noise ceiling, profiles over layers, and filled points where the test is significant.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        What is drawn on.
    rows : pandas.DataFrame
        Rows of ``tables/fits.csv`` of the patch.
    axis : LayerAxis
        Places of the layers, and their labels.
    looks : dict of (model, regime) to Look
        Colour, marker and line of the networks.
    test : str
        Column of the p value below 0.05 at which a point is filled.
    """
    _ceiling_band(axes, rows)
    drawn = profiles_of(rows, "fit", axis=axis, looks=looks)
    drawn.draw(axes)
    _fill_clear(axes, axis.place(rows), looks, test)
    axis.label(axes)
    axes.axhline(0, color="black", linewidth=0.6)
    return drawn


def draw_models(axes: Axes, rows: pd.DataFrame, looks: dict[tuple[str, str], Look], test: str) -> None:
    """Fits of models without layers to one patch, side by side: noise ceiling, and a point with its interval each.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        What is drawn on.
    rows : pandas.DataFrame
        Rows of ``tables/fits.csv`` of the patch, one a model.
    looks : dict of (model, regime) to Look
        Colour of the models.
    test : str
        Column of the p value below 0.05 at which a point is filled.
    """
    _ceiling_band(axes, rows)
    clear = rejects(rows[test].to_numpy(dtype=float), CONFIDENCE)
    for place, (_, row) in enumerate(rows.iterrows()):
        colour = looks[str(row["model"]), str(row["regime"])].colour
        errorbar(axes, [place], [row["fit"]], [row["ci_low"]], [row["ci_high"]], colour)
        if clear[place]:
            axes.plot([place], [row["fit"]], "o", color=colour, markersize=4, zorder=4)
    axes.set_xticks(range(len(rows)), rows["model"].astype(str), rotation=60, ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.6, len(rows) - 0.4)
    axes.set_xlabel("model")
    axes.axhline(0, color="black", linewidth=0.6)


def fit_label(fits: pd.DataFrame) -> str:
    """Label of the y axis of fits."""
    return f"fit ({find_method(fits['method'].iloc[0]).label})"


def _fill_clear(axes: Axes, rows: pd.DataFrame, looks: Mapping[tuple[str, str], Look], test: str) -> None:
    """Fill the points of significant fits, if points of single networks are drawn."""
    for (model, regime), network in rows.groupby([rows["model"].astype(str), rows["regime"].astype(str)], sort=False):
        look, clear = looks[model, regime], network[rejects(network[test].to_numpy(dtype=float), CONFIDENCE)]
        if _can_be_filled(network):
            axes.plot(clear["place"] + look.shift, clear["fit"], look.marker, color=look.colour, markersize=4, zorder=4)


def draw_rdms(layer_rdms: RDMs, patches: Patches, fits: pd.DataFrame | None = None) -> Figure:
    """RDM matrices of patches and of some layers, stimuli sorted by azimuth and then by identity.

    Parameters
    ----------
    layer_rdms : rsatoolbox.rdm.RDMs
        With the pattern descriptors ``identity`` and ``azimuth_deg``; shown as percentile ranks within each RDM.
        Of a network with several seeds, the first is shown.
    patches : Patches
        RDMs of the patches.
    fits : pandas.DataFrame or None
        ``tables/fits.csv``: the layer that fits each patch best is among those shown, with the first and the last.
        None: evenly spaced layers.

    Returns
    -------
    matplotlib.figure.Figure
    """
    layers, names = rdm_table(layer_rdms), patch_names(rdm_table(patches.rdms)).tolist()
    recorded = [(name, sorted_ranks(patches.rdms, i)) for i, name in enumerate(names)]
    rows = [("recorded", recorded[start : start + RDM_COLUMNS]) for start in range(0, len(recorded), RDM_COLUMNS)]
    for (model, regime), network in layers.groupby(["model", "regime"], sort=False, dropna=False):
        network = network[network["seed"] == network["seed"].iloc[0]]
        chosen = _layers_to_show(network, fits)
        panels = [(layers.loc[i, "layer"], sorted_ranks(layer_rdms, i)) for i in chosen]
        rows.append((f"{model}\n{regime}", panels))
    with style():
        n_columns = max(len(panels) for _, panels in rows)
        figure = new_figure(PAGE_INCHES * (1.4 + n_columns) / (1.4 + RDM_COLUMNS), 0.4 + 1.35 * len(rows))
        grid = figure.subplots(len(rows), n_columns, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for axes_row, (name, panels) in zip(grid, rows, strict=True):
            for axes, (title, (ranks, azimuths)) in zip(axes_row, panels, strict=False):
                image = draw_matrix(axes, ranks, azimuths, title)
            axes_row[0].set_ylabel(name, fontsize=SMALL, rotation=0, ha="right", va="center", labelpad=6)
        bar = figure.colorbar(image, ax=grid[:, -1].tolist(), shrink=0.8, pad=0.04, aspect=14, ticks=[0, 50, 100])
        bar.set_label("dissimilarity (percentile)", fontsize=SMALL)
        bar.ax.tick_params(labelsize=SMALL)
        bar.outline.set_visible(False)
    return figure


def _layers_to_show(network: pd.DataFrame, fits: pd.DataFrame | None) -> list[int]:
    """Rows of the first and the last layer, and of the best for each patch; else evenly spaced ones."""
    if len(network) <= RDM_COLUMNS:
        return network.index.tolist()
    if fits is None:
        spaced = np.linspace(0, len(network) - 1, RDM_COLUMNS).round().astype(int)
        return network.index[np.unique(spaced)].tolist()
    first = network.iloc[0]
    own = fits[
        (fits["model"] == first["model"]) & (fits["regime"] == first["regime"]) & (fits["seed"] == first["seed"])
    ]
    best = best_layers(own)["layer"].tolist()
    wanted = [network["layer"].iloc[0], network["layer"].iloc[-1], *best]
    kept = list(dict.fromkeys(wanted))[:RDM_COLUMNS]
    return network.index[network["layer"].isin(kept)].tolist()


def _ceiling_band(axes: Axes, rows: pd.DataFrame) -> None:
    """Gray band from the reliability to its root, the expected fit of a true model; to 1 if the root is undefined."""
    lower, upper = rows["ceiling_lower"].iloc[0], rows["ceiling_upper"].iloc[0]
    if np.isfinite(lower):
        axes.axhspan(lower, upper if np.isfinite(upper) else 1.0, color=CEILING_GRAY, linewidth=0, zorder=0)
        axes.axhline(lower, color="gray", linewidth=0.6, zorder=1)


def sorted_ranks(rdms: RDMs, position: int) -> tuple[np.ndarray, np.ndarray]:
    """Percentile ranks (n, n) of one RDM and azimuths (n,), stimuli sorted by azimuth and identity if known."""
    table = pattern_table(rdms).reset_index(drop=True)
    table = table if "azimuth_deg" in table else table.assign(azimuth_deg=np.nan)
    by = [name for name in ("azimuth_deg", "identity") if name in table]
    order = table.sort_values(by, kind="stable").index.to_numpy()
    matrix = rdms.get_matrices()[position][np.ix_(order, order)]
    ranks = np.full_like(matrix, np.nan)
    pairs = np.triu_indices(len(matrix), 1)
    measured = np.isfinite(matrix[pairs])
    ranks[pairs[0][measured], pairs[1][measured]] = 100 * rankdata(matrix[pairs][measured]) / max(1, measured.sum())
    ranks = np.fmax(ranks, ranks.T)
    np.fill_diagonal(ranks, 0.0)
    return ranks, table["azimuth_deg"].to_numpy()[order]


def draw_matrix(axes: Axes, ranks: np.ndarray, azimuths: np.ndarray, title: str) -> AxesImage:
    """One RDM of percentile ranks, lines between views.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        What is drawn on.
    ranks : array of shape (n_stimuli, n_stimuli)
        Percentile ranks of the dissimilarities.
    azimuths : array of shape (n_stimuli,)
        View of each stimulus, degrees, rising.
    title : str
        Title of the panel.
    """
    axes.axis("on")
    image = axes.imshow(ranks, cmap="viridis", vmin=0, vmax=100, interpolation="nearest")
    views, starts, counts = np.unique(azimuths, return_index=True, return_counts=True)
    few = slice(None, None, max(1, (len(views) - 1) // 2))
    axes.set_xticks((starts + counts / 2 - 0.5)[few], [f"{view:g}" for view in views][few], fontsize=SMALL)
    axes.set_yticks([])
    axes.tick_params(length=0, pad=1)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if np.isnan(views).all():
        axes.set_xticks([])
    for start in starts[1:]:
        axes.axhline(start - 0.5, color="white", linewidth=0.4)
        axes.axvline(start - 0.5, color="white", linewidth=0.4)
    panel_title(axes, title, points=SMALL, pad=3)
    return image


def _warnings(tables: Mapping[str, pd.DataFrame], _study: Mapping[str, Any]) -> list[str]:
    fits, found = tables["fits"], []
    if fits["simulated"].any():
        found.append(
            "The recording is simulated: its patches show what they were built to show, nothing about monkeys."
        )
    n_identities = fits["n_identities"].iloc[0]
    if n_identities < 10:
        found.append(f"Only {n_identities} identities were shown; intervals over stimuli say little about new faces.")
    missing = int(fits["fit"].isna().sum())
    if missing:
        found.append(f"{missing} fits are undefined because an RDM is constant or has no measured pair.")
    return found


def _methods(tables: Mapping[str, pd.DataFrame], study: Mapping[str, Any]) -> list[str]:
    first = tables["fits"].iloc[0]
    named = first["dissimilarity"]
    measured = find_dissimilarity(named).label if named in DISSIMILARITIES else f"that of the RDMs brought ({named})"
    raw = study["comparison"]["normalize"] == "none"
    return [
        f"Dissimilarity is {measured}, "
        f"{'without normalisation of units' if raw else 'after z-scoring each unit over stimuli'} for the fits.",
        f"The fit is {find_method(first['method']).label} between the RDM of a layer and the RDM of a patch over "
        f"{first['n_stimuli']} stimuli, matched by stimulus id.",
        _uncertainty(study["comparison"], first["resample"].split("+")),
        "p (identities) is one-sided, from permutations of the identities of the patch with views kept; p (fit > 0) is "
        "one-sided against 0, which any two populations that are tuned to view exceed. Both are adjusted over layers "
        "within a patch (Benjamini and Hochberg 1995).",
        *equality_methods(study),
    ]


def _uncertainty(comparison: dict, sampled: list[str]) -> str:
    """Methods sentence on standard errors and intervals, as they were computed."""
    factors = " and ".join(FACTORS[factor].phrase or FACTORS[factor].plural for factor in sampled)
    if comparison["variance"] == "jackknife":
        how = f"come from leaving out parts of the {factors} (jackknife)"
    else:
        how = f"come from {comparison['n_draws']} bootstrap draws over {factors}"
        how += ", combined after Schütt et al. (2023, eLife 82566)" if len(sampled) > 1 else ""
    return f"Standard errors {how}; intervals and p values are those of Student's t with them."


FITS = Measure(
    key="fits",
    title="Fits",
    about="fit of every layer to every patch, with intervals, tests and noise ceilings",
    optional=False,
    compute=measure,
    work=lambda _settings, _n_stimuli: 1,
    tables=(
        Table(
            "fits",
            "Fit of one layer to one patch.",
            columns(*FIT_COLUMNS, *CEILING_EQUALITY_COLUMNS, "in_best_set", *COMPONENTS, "simulated"),
        ),
    ),
    figures=(
        Drawing(
            "fits_by_layer",
            draw_fits,
            "Fit of each layer's RDM to each patch's RDM; what intervals and filled points are is said below the "
            "panels. The test asks whether identities agree beyond what views explain (permuted identities), or, where "
            "identities are not all shown in the same views, whether the fit is above 0. Gray goes from the "
            "reliability of the patch's RDM (expected fit of as many new neurons) to its root (the noise ceiling: that "
            "of a true model).",
            lead=True,
        ),
        Drawing(
            "rdms",
            draw_rdms,
            "RDMs of the patches (first row) and of layers, stimuli sorted by azimuth and then by identity. Blocks on "
            "the diagonal: view tuning. Blocks on both diagonals: mirror-symmetric tuning. Lines parallel to the "
            "diagonal: identity tuning across views.",
        ),
    ),
    shown=(
        ReportTable(
            "best-layers",
            "Best layer of each network for each patch. It was chosen and measured on the same stimuli, so its fit is "
            "biased upwards. Where no layer passes the test, the row says so, with the largest fit and the smallest "
            "adjusted p. Layers that may be the best: those that no other layer fits significantly better than.",
            columns=(
                *(*NETWORK, "region"),
                Column("layer", "the layer with the largest fit", header="best layer"),
                *("layer_set", "fit", "ci_low", "ci_high", "ceiling_upper"),
                *("p_identity_adjusted", "p_zero_adjusted"),
            ),
            rows=lambda tables: by_patch(lead_rows(tables["fits"]), tables["fits"]),
            lead=True,
        ),
        ReportTable(
            "fits",
            lambda fits: f"Fit ({find_method(fits['method'].iloc[0]).label}) of every layer to every patch.",
            columns=(
                *(*NETWORK, "layer", "region", "fit", "se", "ci_low", "ci_high", "p_identity", "p_identity_adjusted"),
                *("p_zero", "p_zero_adjusted"),
                *("ceiling_lower", "ceiling_upper", "corrected_fit", "corrected_low", "corrected_high"),
                *("ceiling_conclusion", *COMPONENTS, "n_neurons"),
            ),
            rows=lambda tables: by_patch(tables["fits"]),
        ),
    ),
    explored=Explored(
        "explore-fits",
        "Point at a layer, or go through the layers with the arrow keys: its fit and 95 % interval.",
        table="fits",
        panel="Patch",
        y_label=fit_label,
        rows=lambda tables: explored_rows(tables["fits"], "fit", panel=patch_names(tables["fits"])),
    ),
    summary=lambda tables, _study: fit_sentences(tables),
    methods=_methods,
    warnings=_warnings,
)
