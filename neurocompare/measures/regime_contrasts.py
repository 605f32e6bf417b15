"""Differences between training regimes in all measured quantities, with the training seed as random factor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import Field

from neural_data.errors import closest
from neurocompare.comparison.multiplicity import CONFIDENCE, CORRECTIONS, rejects
from neurocompare.comparison.regime_contrasts import (
    CONTRAST_METHODS,
    REGIME_CONTRAST_COLUMNS,
    REGIME_INTERACTION_COLUMNS,
    ContrastPlan,
    contrast_regimes,
)
from neurocompare.measures.columns import LAYER, columns
from neurocompare.measures.comparison import Comparison, equality_methods
from neurocompare.measures.declaration import Drawing, Facts, Measure, Measured, ReportTable
from neurocompare.measures.fits import COMPONENTS
from neurocompare.measures.patch_names import patch_names
from neurocompare.measures.randomness import step_rng
from neurocompare.measures.settings import MemberOf, Name, Section
from neurocompare.reporting.drawing import (
    counted,
    is_leftmost,
    note,
    panel_grid,
    panel_title,
    quantity_name,
    share_scale,
    style,
)
from neurocompare.reporting.looks import colour_legend, layer_axis_of
from neurocompare.reporting.tables import Column, Table

__all__ = ["REGIME_CONTRASTS", "RegimeContrasts", "draw_contrasts"]

PAIR_COLOURS = ("#1d1d1f", "#AA3377", "#4477AA", "#CCBB44", "#228833", "#66CCEE", "#EE6677")
"""Colours of contrasts; none is the colour of a regime."""
KEYS = (*LAYER, "region", "subject", "category", "identity")
DIFFERENCE = Column("estimate", "mean over seeds of first minus second", header="difference")
TEST = Column("method", "test of the difference", header="test")
CONTRAST_MEANINGS = {column.name: column for column in (DIFFERENCE, TEST)}
OTHER = Column("second", "regime that is subtracted", header="minus regime")


class RegimeContrasts(Section):
    """``[outputs.regime_contrasts]``: differences between training regimes in all measured quantities, over layers."""

    pairs: list[Annotated[list[Name], Field(min_length=2, max_length=2)]] | None = Field(
        None, min_length=1, description="regimes to contrast, first minus second; all pairs by default"
    )
    method: Annotated[str, MemberOf(CONTRAST_METHODS)] = Field(
        "t", description="'mixed' takes exemplars as random too, beside seeds"
    )
    correction: Annotated[str, MemberOf(CORRECTIONS)] = Field("holm", description="over the rows of one quantity")


def measure(
    *,
    settings: RegimeContrasts,
    viewpoint: pd.DataFrame,
    comparison: Comparison,
    seed: int,
    fits: pd.DataFrame | None = None,
    equivariance: pd.DataFrame | None = None,
) -> Measured:
    """Contrasts of the study's regimes in every measured quantity, and notes on them."""
    pairs = None if settings.pairs is None else [(first, second) for first, second in settings.pairs]
    plan = ContrastPlan(method=settings.method, correction=settings.correction, margin=comparison.equal_within)
    found, notes = [], []
    for quantity, value, table in _quantities(viewpoint, fits, equivariance):
        if pairs is not None:
            table = table[table["regime"].isin(sorted({name for pair in pairs for name in pair}))]
        kept = [name for name in KEYS if name in table and table[name].notna().any()]
        result = contrast_regimes(
            table[[*kept, value]],
            value=value,
            measure=quantity,
            pairs=pairs,
            plan=plan,
            rng=step_rng(seed, f"contrasts of {quantity}"),
        )
        found.append(result)
        notes += [f"{quantity}: {note}" for note in result.notes]
    tables = {
        "regime_contrasts": pd.concat([result.contrasts for result in found], ignore_index=True),
        "regime_interactions": pd.concat([result.interactions for result in found], ignore_index=True),
    }
    return Measured(tables, tuple(notes))


def _quantities(
    viewpoint: pd.DataFrame, fits: pd.DataFrame | None, equivariance: pd.DataFrame | None
) -> list[tuple[str, str, pd.DataFrame]]:
    """Name of each quantity, the column that holds it, and its table."""
    quantities = [("index", "index", viewpoint)]
    if fits is not None:
        quantities.append(("fit", "fit", fits))
        quantities += [(name, name, fits) for name in COMPONENTS if name in fits and fits[name].notna().any()]
    if equivariance is not None:
        for (quantity, transform, images), part in equivariance.groupby(
            ["measure", "transform", "image_set"], sort=False
        ):
            quantities.append((f"{quantity} {transform}, {images}", "mean", part))
    return quantities


def check(settings: RegimeContrasts, facts: Facts) -> None:
    """Refuse contrasts of regimes that the study does not have."""
    if len(facts.regimes) < 2:
        raise ValueError(f"outputs.regime_contrasts needs two regimes; all networks are {', '.join(facts.regimes)}")
    for name in sorted({name for pair in settings.pairs or [] for name in pair} - set(facts.regimes)):
        raise ValueError(
            f"outputs.regime_contrasts.pairs: no network has regime {name!r}: {closest(name, facts.regimes)}"
        )


def draw_contrasts(regime_contrasts: pd.DataFrame) -> Figure:
    """Differences between regimes by layer with their intervals; one panel per quantity and model, one colour per pair.

    Parameters
    ----------
    regime_contrasts : pandas.DataFrame
        ``tables/regime_contrasts.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    rows = regime_contrasts.assign(
        pair=regime_contrasts["first"] + " − " + regime_contrasts["second"], panel=_panels(regime_contrasts)
    )
    defined = rows.groupby("panel")["estimate"].transform("count") > 0
    lost = "" if not defined.any() or defined.all() else "; no panel where no layer has a difference"
    rows = rows[defined] if defined.any() else rows
    pairs, names = list(rows["pair"].drop_duplicates()), list(rows["panel"].drop_duplicates())
    colours = {pair: PAIR_COLOURS[place % len(PAIR_COLOURS)] for place, pair in enumerate(pairs)}
    axis = layer_axis_of(rows)
    with style():
        figure, panels = panel_grid(len(names), columns=3, height=1.35, under=axis.inches, sharey=False)
        scales: dict[str, list[Axes]] = {}
        for axes, panel in zip(panels, names, strict=True):
            shown = rows[rows["panel"] == panel]
            places = axis.place(shown)["place"]
            for number, pair in enumerate(pairs):
                of_pair = shown[shown["pair"] == pair]
                x = places[of_pair.index] + 0.14 * axis.step * (number - (len(pairs) - 1) / 2)
                axes.vlines(x, of_pair["ci_low"], of_pair["ci_high"], color=colours[pair], linewidth=1)
                axes.plot(x, of_pair["estimate"], "o", color=colours[pair], markerfacecolor="white", markersize=4)
                clear = rejects(of_pair["p_adjusted"].to_numpy(dtype=float), CONFIDENCE)
                axes.plot(x[clear], of_pair["estimate"][clear], "o", color=colours[pair], markersize=4)
            axes.axhline(0, color="black", linewidth=0.6)
            axis.label(axes)
            panel_title(axes, panel)
            if is_leftmost(axes):
                axes.set_ylabel("difference")
            scales.setdefault(str(shown["measure"].iloc[0]), []).append(axes)
        for compared in scales.values():
            share_scale(compared)
        colour_legend(figure, colours)
        n = pd.concat([rows["n_first"], rows["n_second"]])
        note(figure, f"bars: 95 % interval; filled: adjusted p < 0.05; {counted(n, 'seed')} a regime{lost}")
    return figure


def _panels(contrasts: pd.DataFrame) -> list[str]:
    """The panel of each row: its quantity and patch, with the category and the model if there are several."""
    named = [quantity_name(*names) for names in zip(contrasts["measure"], patch_names(contrasts), strict=True)]
    several = [name for name in ("category", "model") if contrasts[name].nunique() > 1]
    about = contrasts[several].itertuples(index=False, name=None)
    return [
        ", ".join([name, *(str(value) for value in values if not pd.isna(value))])
        for name, values in zip(named, about, strict=True)
    ]


def _methods(tables: Mapping[str, pd.DataFrame], study: Mapping[str, Any]) -> list[str]:
    """Methods sentence on how regimes were contrasted."""
    contrasts = tables["regime_contrasts"]
    methods = [str(method) for method in contrasts["method"].dropna().unique()]
    text = "Training regimes were contrasted layer by layer with the training seed as the random factor"
    text += f" ({'; '.join(methods)})"
    if any("crossed" in method for method in methods):
        text += ", with the degrees of freedom of Satterthwaite (1946, Biometrics Bulletin 2:110)"
    if contrasts["effect_size"].notna().any():
        text += "; effect sizes are Hedges' g (Hedges 1981)"
    if contrasts["p_permutation"].notna().any():
        text += "; permutation p values exchange the regimes of seeds (Ernst 2004, Stat Sci 19:676)"
    return [text + ".", *equality_methods(study)]


REGIME_CONTRASTS = Measure(
    key="regime_contrasts",
    title="Training regimes",
    about="differences between training regimes, the seed as the random factor",
    settings=RegimeContrasts,
    compute=measure,
    check=check,
    work=lambda _settings, _n_stimuli: 1,
    seconds=1.0,
    tables=(
        Table(
            "regime_contrasts",
            "Difference between two regimes in one quantity of one layer.",
            columns(*(CONTRAST_MEANINGS.get(name, name) for name in REGIME_CONTRAST_COLUMNS)),
        ),
        Table(
            "regime_interactions",
            "Whether the difference between two regimes in one quantity depends on the layer.",
            columns(*(CONTRAST_MEANINGS.get(name, name) for name in REGIME_INTERACTION_COLUMNS)),
        ),
    ),
    figures=(
        Drawing(
            "regime_contrasts",
            draw_contrasts,
            "Differences between training regimes by layer, with 95 % intervals over seeds. Filled points: adjusted "
            "p < 0.05.",
        ),
    ),
    shown=(
        ReportTable(
            "regime_contrasts",
            "Differences between training regimes by layer, over seeds. Few seeds give permutation tests a smallest p "
            "that may lie above 0.05.",
            columns=(
                *("measure", "model", "region", "category", "layer", "first", OTHER, DIFFERENCE, "ci_low", "ci_high"),
                *("effect_size", "p", "p_adjusted", "p_permutation", "conclusion", "n_first", "n_second", TEST),
            ),
        ),
        ReportTable(
            "regime_interactions",
            "Does the difference between two regimes change over layers?",
            columns=(
                *("measure", "model", "region", "first"),
                Column("second", "the other regime", header="other regime"),
                Column("statistic", "F of the interaction", header="F"),
                *("df", "df_error", "p", "p_adjusted", "p_permutation", "n_layers", TEST),
            ),
        ),
    ),
    methods=_methods,
)
