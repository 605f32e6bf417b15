"""Patches over time: what they code in every time bin, which layers they are like then, and when it begins."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from pydantic import Field, field_validator
from rsatoolbox.rdm import RDMs

from neural_data.stimuli import StimulusSet
from neurocompare.comparison.resampling import factors_along
from neurocompare.comparison.time_codes import CODE_NAMING, CODES, infer_codes
from neurocompare.comparison.time_courses import ONSET_COLUMNS, ONSET_PAIR_COLUMNS, TIME_COLUMNS
from neurocompare.comparison.time_fits import infer_fits_by_time
from neurocompare.measures.columns import LAYER, columns
from neurocompare.measures.comparison import Comparison, without_repeats
from neurocompare.measures.declaration import Drawing, Facts, Measure, Measured, ReportTable
from neurocompare.measures.patch_names import by_patch, patch_names
from neurocompare.measures.randomness import step_rng
from neurocompare.measures.resampling import without_subjects
from neurocompare.measures.settings import MemberOf, Quick, Section
from neurocompare.reporting.drawing import SMALL, is_leftmost, note, panel_grid, panel_title, style
from neurocompare.reporting.tables import Column, Table
from neurocompare.representations.rdms import NETWORK

__all__ = ["TIME", "Time", "draw_time_codes", "draw_time_fits"]

COLOURS = ("#b3402a", "#2a6db3", "#3c8c4a", "#8a5aa8")
VALUE = Column("value", "strength of the code: variance between levels without noise, per neuron at unit variance")
MEANINGS = (
    Column("code", "what is told apart"),
    Column("levels", "label whose values are told apart"),
    Column("across", "label over whose values the code must hold"),
    Column("within", "label whose values the compared stimuli share; empty: none"),
    Column("time_start_ms", "start of the time bin, after stimulus onset", "ms", header="from"),
    Column("time_end_ms", "end of the time bin", "ms", header="to"),
    Column("p_permutation", "one-sided p of this bin by itself, labels (identities) permuted", header="p (bin)"),
    Column("p_max", "corrected over all bins (and layers) of the patch by the maximum statistic", header="adjusted p"),
    Column("p_cluster", "p of the bin's cluster, over all bins (and layers); says nothing of when it begins"),
    Column("corrected_value", "fit over the root of the bin's reliability; 1 is expected of a true model"),
    Column("onset_ms", "time at which the curve rises through the share of its peak", "ms", header="onset"),
    Column("onset_se", "its standard error over identities and neurons", "ms", header="SE"),
    Column("peak_ms", "centre of the bin with the largest value", "ms", header="peak at"),
    Column("peak", "largest value"),
    Column("reason", "why there is no onset, or no limit of its interval"),
    Column("fraction", "share of the peak"),
    Column("difference_ms", "first onset minus second", "ms", header="difference"),
    *(
        Column(f"{name}_{side}", f"{what} of the {order} curve")
        for side, order in ((1, "first"), (2, "second"))
        for name, what in (("code", "code"), ("levels", "label"), ("across", "label"), ("within", "label"))
    ),
    *(
        Column(f"{name}_{side}", f"{name} of the {order} curve")
        for side, order in ((1, "first"), (2, "second"))
        for name in ("region", "subject")
    ),
)
OWN = {column.name: column for column in MEANINGS}


def _columns(*names: str, **own: Column) -> tuple[Column, ...]:
    return columns(*(own.get(name, OWN.get(name, name)) for name in names))


class Time(Section):
    """``[outputs.time]``: codes and fits in every time bin of the recording."""

    codes: list[Annotated[str, MemberOf(CODES)]] = Field(
        ["identity", "view"], description="what patches may tell apart over time; none for fits alone"
    )
    fits: bool = Field(True, description="also fits of all layers in every bin")
    fraction: float = Field(0.5, gt=0, lt=1, description="share of its peak at which a curve has its onset")
    n_permutations: Annotated[int, Quick(50)] = Field(1000, ge=20, description="permutations of labels and identities")
    n_draws: Annotated[int, Quick(20)] = Field(200, ge=10, description="draws of identities and neurons, for onsets")
    n_splits: Annotated[int, Quick(5)] = Field(20, ge=1, description="random halves of the neurons, for reliabilities")

    @field_validator("codes")
    @classmethod
    def _names_are_distinct(cls, names: list[str]) -> list[str]:
        return without_repeats(names)


def measure(
    *,
    settings: Time,
    stimuli: StimulusSet,
    recording: xr.DataArray,
    comparison: Comparison,
    dissimilarity: str,
    normalize: str | None,
    method: str,
    simulated: bool,
    seed: int,
    layer_rdms: RDMs | None = None,
) -> Measured:
    """Codes and fits in every bin, onsets and their differences."""
    resample, notes = without_subjects(comparison)
    tables: dict[str, pd.DataFrame] = {}
    if settings.codes:
        # Codes compare identities, so that single stimuli are not drawn; neurons are unless the study leaves them out.
        sampled = ("neuron",) if resample is None else factors_along("neurons", resample)
        codes = infer_codes(
            recording,
            settings.codes,
            stimuli=stimuli,
            resample=("identity", *sampled),
            n_permutations=settings.n_permutations,
            n_draws=settings.n_draws,
            rng=step_rng(seed, "codes over time"),
        )
        notes = (*notes, *codes.notes)
        tables |= {
            "time_codes": codes.to_frame()[[*CODE_NAMING, *CODE_COLUMNS]],
            "time_onsets": codes.onsets(settings.fraction),
            "time_onset_differences": codes.onset_differences(settings.fraction),
        }
    if settings.fits and layer_rdms is not None:
        fits = infer_fits_by_time(
            layer_rdms,
            recording,
            dissimilarity=dissimilarity,
            normalize=normalize,
            method=method,
            resample=resample,
            n_draws=0,
            n_permutations=settings.n_permutations,
            n_splits=settings.n_splits,
            rng=step_rng(seed, "fits over time"),
        )
        notes = (*notes, *fits.notes)
        found = fits.to_frame().rename(columns={"value": "fit"})
        tables["time_fits"] = found.reindex(columns=[*LAYER, *FITS_COLUMNS])
    empty = {table.name: pd.DataFrame(columns=list(table.names)) for table in TABLES}
    return Measured({name: tables.get(name, empty[name]).assign(simulated=simulated) for name in empty}, notes)


CORRECTED = ("reliability", "corrected_value", "corrected_low", "corrected_high")
CODE_COLUMNS = tuple(name for name in TIME_COLUMNS if name not in CORRECTED)
FITS_COLUMNS = tuple("fit" if name == "value" else name for name in TIME_COLUMNS)
PAIR_SIDES = tuple(f"{name}_{side}" for side in (1, 2) for name in (*CODE_NAMING, "region", "subject"))
TABLES = (
    Table(
        "time_codes",
        "Strength of one code in one time bin of one patch.",
        _columns(*CODE_NAMING, *CODE_COLUMNS, "simulated", value=VALUE),
    ),
    Table("time_onsets", "Onset of one code in one patch.", _columns(*CODE_NAMING, *ONSET_COLUMNS, "simulated")),
    Table(
        "time_onset_differences",
        "Difference of the onsets of two codes in one patch, or of one code in two patches.",
        _columns(*PAIR_SIDES, *ONSET_PAIR_COLUMNS, "simulated"),
    ),
    Table(
        "time_fits",
        "Fit of one layer to one patch in one time bin.",
        _columns(
            *(*LAYER, *FITS_COLUMNS, "simulated"),
            reliability=Column("reliability", "of the patch's RDM in this bin, over neurons", "correlation"),
        ),
    ),
)


def _check(_settings: Time, facts: Facts) -> None:
    if not facts.can_have_bins:
        raise ValueError("outputs.time needs time bins: give bin_ms (and step_ms) in [recording]")


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
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}
    of_onsets = patch_names(time_onsets)
    with style():
        panels = list(dict.fromkeys(patches))
        figure, all_axes = panel_grid(max(len(panels), 1), columns=3, height=1.6)
        for axes, patch in zip(all_axes, panels, strict=False):
            rows = time_codes[patches == patch]
            for place, name in enumerate(names):
                curve = rows[rows["code"] == name]
                times = curve[["time_start_ms", "time_end_ms"]].mean(axis=1)
                peak = np.nanmax(np.abs(curve["value"]))
                scale = peak if peak > 0 else 1.0
                axes.plot(times, curve["value"] / scale, color=colours[name], label=name)
                axes.fill_between(
                    times,
                    curve["ci_low"] / scale,
                    curve["ci_high"] / scale,
                    color=colours[name],
                    alpha=0.2,
                    linewidth=0,
                )
                found = curve["p_max"] < 0.05
                axes.plot(times[found], np.full(int(found.sum()), -0.3 - 0.1 * place), "s", ms=2, color=colours[name])
                for _, onset in time_onsets[(of_onsets == patch) & (time_onsets["code"] == name)].iterrows():
                    if not np.isfinite(onset["onset_ms"]):
                        continue
                    height = onset["fraction"] + 0.07 * place
                    # A side on which the bins set no limit ends with them.
                    ends = [
                        end if np.isfinite(end) else edge
                        for end, edge in ((onset["ci_low"], times.min()), (onset["ci_high"], times.max()))
                    ]
                    axes.plot(ends, [height, height], color=colours[name], linewidth=2)
                    axes.plot(onset["onset_ms"], height, "o", color=colours[name], ms=4)
            axes.axhline(0, color="black", linewidth=0.6)
            axes.set_ylim(-0.4 - 0.1 * len(names), 1.6)
            axes.set_xlabel("ms after stimulus onset")
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
    table = time_fits.assign(patch=patch_names(time_fits))
    keys = [*(name for name in NETWORK if table[name].nunique(dropna=False) > 1), "patch"]
    groups = list(table.groupby(keys, sort=False, dropna=False)) if len(table) else []
    largest = np.nanmax(np.abs(table["fit"].to_numpy(dtype=float))) if len(table) else 1.0
    with style():
        figure, all_axes = panel_grid(max(len(groups), 1), columns=3, height=1.8, sharey=False)
        for axes, (labels, rows) in zip(all_axes, groups, strict=False):
            rows = rows.assign(time=rows[["time_start_ms", "time_end_ms"]].mean(axis=1))
            layers = list(dict.fromkeys(rows["layer"]))
            grid = rows.pivot(index="layer", columns="time", values="fit").reindex(layers)
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
            axes.set_xlabel("ms after stimulus onset")
            panel_title(axes, ", ".join(map(str, labels)))
            figure.colorbar(image, ax=axes, shrink=0.8)
        note(figure, "fits of layers, first to last; dots: p < 0.05 over all layers and bins of the patch")
    return figure


TIME = Measure(
    key="time",
    title="Over time",
    about="what patches code in every time bin, which layers they are like then, and when it begins",
    settings=Time,
    compute=measure,
    check=_check,
    of_views=True,
    work=lambda settings, n_stimuli: n_stimuli * settings.n_permutations,
    seconds=1e-3,
    tables=TABLES,
    figures=(
        Drawing(
            "time_codes",
            draw_time_codes,
            "Strength of what each patch codes over time: variance between levels without noise, of its peak.",
        ),
        Drawing("time_fits", draw_time_fits, "Fit of every layer to every patch in every time bin."),
    ),
    shown=(
        ReportTable(
            "time_onsets",
            "Onset of every code in every patch: the time at which it rises through a share of its peak.",
            columns=_columns("code", "region", "onset_ms", "ci_low", "ci_high", "peak_ms", "p_max", "reason"),
            rows=lambda tables: by_patch(tables["time_onsets"]),
        ),
        ReportTable(
            "time_onset_differences",
            "Differences of onsets, first minus second.",
            columns=_columns(
                *("code_1", "region_1", "code_2", "region_2", "difference_ms", "ci_low", "ci_high", "p"),
            ),
        ),
    ),
    methods=lambda _tables, _study: [
        "Over time: the strength of a code is the mean product of the responses to two stimuli of one level minus that "
        "of different levels, which noise leaves at 0. Labels (identities, for fits) are permuted alike in all bins; p "
        "values are corrected by the maximum statistic (Nichols & Holmes 2002, Hum Brain Mapp 15:1) and by clusters "
        "(Maris & Oostenveld 2007, J Neurosci Methods 164:177). Clusters say nothing of when an effect begins "
        "(Sassenhagen & Draschkow 2019, Psychophysiology 56:e13335): onsets are times at a share of the peak; their "
        "intervals hold the times at which the curve may cross it (Fieller 1954, J R Stat Soc B 16:175), those of "
        "differences combine the intervals of both onsets with their correlation (Zou & Donner 2008, Stat Med 27:1693)."
    ],
)
