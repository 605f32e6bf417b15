"""Patches over time: what they code in every time bin, which layers they are like then, and when it begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field, field_validator
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError
from neural_data.stimuli import StimulusSet
from neurocompare.comparison.resampling import factors_along
from neurocompare.comparison.time_codes import CODE_NAMING, CODES, infer_codes
from neurocompare.comparison.time_courses import (
    ONSET_COLUMNS,
    ONSET_PAIR_COLUMNS,
    TIME_COLUMNS,
    TimeCourses,
    compare_onsets,
)
from neurocompare.comparison.time_encoding import infer_encoding_by_time
from neurocompare.comparison.time_fits import ceilings_by_time, infer_fits_by_time
from neurocompare.comparison.time_index import infer_index_by_time
from neurocompare.measures.columns import LAYER, columns
from neurocompare.measures.comparison import Comparison, without_repeats
from neurocompare.measures.declaration import Drawing, Facts, Measure, Measured, ReportTable
from neurocompare.measures.over_time_figures import (
    draw_time_ceilings,
    draw_time_codes,
    draw_time_encoding,
    draw_time_fits,
    draw_time_index,
)
from neurocompare.measures.over_time_summary import READOUTS, leading, leading_pairs, onset_sentences
from neurocompare.measures.patch_names import by_patch
from neurocompare.measures.randomness import step_rng
from neurocompare.measures.resampling import without_subjects
from neurocompare.measures.settings import MemberOf, Quick, Section
from neurocompare.reporting.tables import Column, Table

__all__ = ["TIME", "Time"]

VALUE = Column("value", "strength of the code: variance between levels without noise, per neuron at unit variance")
PREDICTION = Column("prediction", "score of held-out predictions of a bin, mean over the patch's neurons")
INDEX = Column("corrected_index", "mirror-symmetry index of the bin, corrected for the sampling of neurons")
MEANINGS = (
    Column("readout", f"what the curve is: {', '.join(READOUTS)}", header="of"),
    Column("level", "index of views that are equally far apart, from which its onset is measured"),
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
    Column("onset_se", "its standard error over draws of identities and neurons; empty without", "ms", header="SE"),
    Column("peak_ms", "centre of the bin in which the smoothed curve is largest", "ms", header="peak at"),
    Column("peak", "largest value of the smoothed curve"),
    Column("reason", "why there is no onset, or no limit of its interval"),
    Column("fraction", "share of the peak"),
    Column("difference_ms", "first onset minus second", "ms", header="difference"),
    *(
        Column(f"{name}_{side}", f"{what} of the {order} curve", header=f"{name} {side}")
        for side, order in ((1, "first"), (2, "second"))
        for name, what in (
            ("readout", "what it is"),
            ("code", "code"),
            *((name, "label") for name in ("levels", "across", "within")),
            *((name, name.replace("_", " ")) for name in (*LAYER, "region", "subject")),
        )
    ),
)
OWN = {column.name: column for column in MEANINGS}


def _columns(*names: str, **own: Column) -> tuple[Column, ...]:
    return columns(*(own.get(name, OWN.get(name, name)) for name in names))


class Time(Section):
    """``[outputs.time]``: codes, fits, read-outs, index and ceilings in every time bin of the recording."""

    codes: list[Annotated[str, MemberOf(CODES)]] = Field(
        ["identity", "view"], description="what patches may tell apart over time; none for fits alone"
    )
    fits: bool = Field(True, description="also fits of all layers in every bin")
    encoding: bool = Field(
        False, description="also predictions of single neurons by all layers in every bin (ridge regression)"
    )
    index: bool = Field(True, description="also the mirror-symmetry index of every bin")
    ceilings: bool = Field(True, description="also the noise ceiling of every bin")
    fraction: float = Field(0.5, gt=0, lt=1, description="share of its peak at which a curve has its onset")
    equal_within_ms: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="smallest difference of onsets that matters, ms: two curves can then begin together within it, not "
        "only not at different times",
    )
    n_permutations: Annotated[int, Quick(50)] = Field(1000, ge=20, description="permutations of labels and identities")
    n_draws: Annotated[int, Quick(20)] = Field(200, ge=10, description="draws of identities and neurons, for onsets")
    n_encoding_permutations: Annotated[int, Quick(20)] = Field(
        200, ge=20, description="permutations of identities for the predictions of single neurons"
    )
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
    distance_rdms: RDMs | None = None,
) -> Measured:
    """Codes, fits, read-outs, index and ceilings in every bin, onsets and their differences."""
    resample, notes = without_subjects(comparison)
    # Codes and the index compare identities, so that single stimuli are not drawn; neurons are unless left out.
    sampled = ("neuron",) if resample is None else factors_along("neurons", resample)
    alike = ("identity", *sampled)
    permutations, draws, splits = settings.n_permutations, settings.n_draws, settings.n_splits
    made: dict[str, Callable[[np.random.Generator], TimeCourses]] = {}
    if settings.codes:
        made["code"] = lambda rng: infer_codes(
            recording,
            settings.codes,
            stimuli=stimuli,
            resample=alike,
            n_permutations=permutations,
            n_draws=draws,
            rng=rng,
        )
    if settings.fits and layer_rdms is not None:
        made["fit"] = lambda rng: infer_fits_by_time(
            layer_rdms,
            recording,
            dissimilarity=dissimilarity,
            normalize=normalize,
            method=method,
            resample=resample,
            n_draws=draws,
            n_permutations=permutations,
            n_splits=splits,
            rng=rng,
        )
    if settings.encoding and distance_rdms is not None:
        made["encoding"] = lambda rng: infer_encoding_by_time(
            distance_rdms, recording, resample=resample, n_permutations=settings.n_encoding_permutations, rng=rng
        )
    if settings.index:
        made["index"] = lambda rng: infer_index_by_time(
            recording, stimuli=stimuli, resample=alike, n_splits=splits, rng=rng
        )
    # One stream for all: they leave out and draw the same identities and neurons, so that their onsets can be compared.
    courses = {}
    for name, make in made.items():
        try:
            courses[name] = make(step_rng(seed, "codes over time"))
        except InputError as problem:
            if name != "index" or len(made) == 1:
                raise
            notes = (*notes, f"The mirror-symmetry index over time is left out: {problem}")
    tables = {f"time_{SHOWN[name][0]}": _frame(name, one) for name, one in courses.items()}
    if settings.ceilings:
        tables["time_ceilings"] = (
            courses["fit"].ceilings()
            if "fit" in courses
            else ceilings_by_time(
                recording,
                dissimilarity=dissimilarity,
                normalize=normalize,
                method=method,
                n_splits=splits,
                rng=step_rng(seed, "ceilings over time"),
            )
        )
    if courses:
        tables["time_onsets"] = pd.concat(
            [one.onsets(settings.fraction).assign(readout=name) for name, one in courses.items()], ignore_index=True
        )
        tables["time_onset_differences"], apart = _differences(courses, settings.fraction, settings.equal_within_ms)
        notes = (*notes, *(note for one in courses.values() for note in one.notes), *apart)
    names = {table.name: list(table.names) for table in TABLES}
    given = {name: table.reindex(columns=names[name]).assign(simulated=simulated) for name, table in tables.items()}
    return Measured({name: _with_whole_numbers(table) for name, table in given.items()}, notes)


def _with_whole_numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Seeds and places of layers as whole numbers, empty for curves that are of no layer."""
    whole = {}
    for column in table:
        name = column.removesuffix("_1").removesuffix("_2")
        if name in ("seed", "layer_index"):
            numbers = pd.to_numeric(table[column], errors="coerce")
            wrong = table.loc[table[column].notna() & ~(numbers % 1 == 0), column]
            if len(wrong):
                raise InputError(
                    f"outputs.time needs a whole number as {name} of every layer; got '{wrong.iloc[0]}': mend the "
                    "labels of the RDMs of layers"
                )
            whole[column] = numbers.astype("Int64")
    return table.assign(**whole)


def _frame(name: str, courses: TimeCourses) -> pd.DataFrame:
    table = courses.to_frame().rename(columns={"value": SHOWN[name][1]})
    return table.assign(level=courses.level) if courses.level else table


def _differences(
    courses: Mapping[str, TimeCourses], fraction: float, margin_ms: float | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Differences of onsets of all curves, or within each kind where kinds cannot be compared, and then a note."""
    try:
        return compare_onsets(courses, fraction, margin_ms=margin_ms), ()
    except InputError as problem:
        own = [compare_onsets({name: one}, fraction, margin_ms=margin_ms) for name, one in courses.items()]
        there = [table for table in own if len(table)]
        return pd.concat(there or own[:1], ignore_index=True), (
            f"Onsets are compared within each kind of curve: {problem}",
        )


SHOWN = {
    "code": ("codes", "value"),
    "fit": ("fits", "fit"),
    "encoding": ("encoding", "prediction"),
    "index": ("index", "corrected_index"),
}
"""Name of the table of each kind of curve, after ``time_``, and of its column of values."""
CORRECTED = ("reliability", "corrected_value", "corrected_low", "corrected_high")
UNCORRECTED = tuple(name for name in TIME_COLUMNS if name not in CORRECTED)
CEILINGS = (
    *("ceiling_lower", "ceiling_lower_se", "ceiling_lower_low", "ceiling_lower_high"),
    *("ceiling_upper", "ceiling_upper_low", "ceiling_upper_high"),
)
NAMING = ("readout", *CODE_NAMING, *LAYER)
PAIR_SIDES = tuple(f"{name}_{side}" for side in (1, 2) for name in (*NAMING, "region", "subject"))


def _with_value(names: tuple[str, ...], value: str) -> tuple[str, ...]:
    return tuple(value if name == "value" else name for name in names)


TABLES = (
    Table(
        "time_codes",
        "Strength of one code in one time bin of one patch.",
        _columns(*CODE_NAMING, *UNCORRECTED, "simulated", value=VALUE),
    ),
    Table(
        "time_fits",
        "Fit of one layer to one patch in one time bin.",
        _columns(
            *(*LAYER, *_with_value(TIME_COLUMNS, "fit"), "simulated"),
            reliability=Column("reliability", "of the patch's RDM in this bin, over neurons", "correlation"),
        ),
    ),
    Table(
        "time_encoding",
        "How well one layer predicts the neurons of one patch in one time bin, on new identities.",
        _columns(
            *(*LAYER, *_with_value(TIME_COLUMNS, "prediction"), "simulated"),
            prediction=PREDICTION,
            reliability=Column("reliability", "of the neurons in this bin, over trials: squared mean of their roots"),
            corrected_value=Column("corrected_value", "prediction over what is expected of a true model"),
        ),
    ),
    Table(
        "time_index",
        "Mirror-symmetry index of one patch in one time bin, and its level without tuning.",
        _columns(
            *(
                name
                for name in _with_value(UNCORRECTED, "corrected_index")
                if name not in ("p_permutation", "p_cluster")
            ),
            *("level", "simulated"),
            corrected_index=INDEX,
            p_max=Column("p_max", "one-sided p of an index above the level in this bin, Bonferroni over bins"),
        ),
    ),
    Table(
        "time_ceilings",
        "Reliability and noise ceiling of one patch in one time bin.",
        _columns("region", "subject", "time_start_ms", "time_end_ms", *CEILINGS, "simulated"),
    ),
    Table(
        "time_onsets",
        "Onset of one curve in one patch.",
        _columns(
            *(*NAMING, *ONSET_COLUMNS, "simulated"),
            p_max=Column(
                "p_max",
                "smallest of all bins, corrected over them (and layers) by the maximum statistic; of the index, by t "
                "tests with Bonferroni's correction",
                header="adjusted p",
            ),
        ),
    ),
    Table(
        "time_onset_differences",
        "Difference of the onsets of two curves in one patch, or of one curve in two patches.",
        _columns(*PAIR_SIDES, *ONSET_PAIR_COLUMNS, "simulated"),
    ),
)


def _check(settings: Time, facts: Facts) -> None:
    if not facts.can_have_bins:
        raise ValueError("outputs.time needs time bins: give bin_ms (and step_ms) in [recording]")
    if settings.encoding and not facts.kinds:
        raise ValueError(
            "outputs.time.encoding needs a network in [[models]]; RDMs hold no units to predict neurons from"
        )


def _spared(settings: Time) -> tuple[str, ...]:
    return () if settings.encoding else ("distance_rdms",)


TIME = Measure(
    key="time",
    title="Over time",
    about="what patches code in every time bin, which layers they are like and can be predicted from, and from when on",
    settings=Time,
    compute=measure,
    check=_check,
    spared=_spared,
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
        Drawing(
            "time_encoding",
            draw_time_encoding,
            "How well every layer predicts the neurons of every patch in every time bin, on new identities.",
        ),
        Drawing("time_index", draw_time_index, "Corrected mirror-symmetry index of every patch over time."),
        Drawing("time_ceilings", draw_time_ceilings, "Reliability of the RDM of every patch over time."),
    ),
    shown=(
        ReportTable(
            "time_onsets",
            "Onsets: the time at which a curve rises through a share of its peak. Of layers, those with the largest "
            "peak are shown.",
            columns=_columns(
                *("readout", "code", "model", "regime", "layer", "region"),
                *("onset_ms", "ci_low", "ci_high", "peak_ms", "p_max", "reason"),
            ),
            rows=lambda tables: by_patch(leading(tables["time_onsets"]), tables["time_onsets"]),
        ),
        ReportTable(
            "time_onset_differences",
            "Differences of these onsets, first minus second; p values are of one difference each.",
            columns=_columns(
                *("readout_1", "code_1", "layer_1", "region_1", "readout_2", "code_2", "layer_2", "region_2"),
                *("difference_ms", "ci_low", "ci_high", "p", "conclusion"),
            ),
            rows=lambda tables: leading_pairs(tables["time_onset_differences"], tables["time_onsets"]),
        ),
    ),
    summary=lambda tables, _study: onset_sentences(tables),
    methods=lambda _tables, _study: [
        "Over time: the strength of a code is the mean product of the responses to two stimuli of one level minus that "
        "of different levels, which noise leaves at 0. Labels (identities, for fits) are permuted alike in all bins; p "
        "values are corrected by the maximum statistic (Nichols & Holmes 2002, Hum Brain Mapp 15:1) and by clusters "
        "(Maris & Oostenveld 2007, J Neurosci Methods 164:177). Clusters say nothing of when an effect begins "
        "(Sassenhagen & Draschkow 2019, Psychophysiology 56:e13335): onsets are times at a share of the peak (of the "
        "index, of its rise from the level of views that are equally far apart); their intervals hold the times at "
        "which the curve may cross it (Fieller 1954, J R Stat Soc B 16:175), those of differences combine the "
        "intervals of both onsets with their correlation (Zou & Donner 2008, Stat Med 27:1693)."
    ],
)
