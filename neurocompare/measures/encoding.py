"""Read-outs from layers to the neurons of patches, by ridge regression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from pydantic import Field, field_validator
from rsatoolbox.rdm import RDMs

from neurocompare.comparison.encoding import ACROSS, ENCODING_COLUMNS, Encoding as EncodingOptions, infer_encoding
from neurocompare.comparison.encoding_design import usual_question
from neurocompare.comparison.equivalence import CEILING_EQUALITY_COLUMNS, compare_with_ceilings
from neurocompare.comparison.fit_result import networks_of
from neurocompare.comparison.ridge import SCORES
from neurocompare.measures.columns import LAYER, columns
from neurocompare.measures.comparison import Comparison, without_repeats
from neurocompare.measures.declaration import Drawing, Measure, Measured, ReportTable
from neurocompare.measures.fits import sampled_text
from neurocompare.measures.layer_pairs import LAYER_PAIR_COLUMNS, NETWORK_PAIR_COLUMNS, layer_pairs, network_pairs
from neurocompare.measures.patch_names import by_patch, patch_names
from neurocompare.measures.profiles import intervals_text, profiles_of
from neurocompare.measures.randomness import step_rng
from neurocompare.measures.resampling import without_subjects
from neurocompare.measures.settings import MemberOf, Quick, Section
from neurocompare.reporting.drawing import is_leftmost, note, panel_grid, panel_title, style
from neurocompare.reporting.looks import colour_legend, layer_axis_of, looks_of
from neurocompare.reporting.tables import Column, Table
from neurocompare.representations.rdms import NETWORK, pattern_table, rdm_table

__all__ = ["ENCODING", "Encoding", "draw_encoding"]

FEWEST_HELD_OUT = 3
ALL_LAYERS = "all layers"
PREDICTION = Column(
    "prediction", "score of the held-out predictions, mean over the patch's neurons", header="prediction"
)
NEURON_COLUMNS = (
    *(*LAYER, "region", "subject", "across"),
    Column("neuroid_id", "name of the neuron", header="neuron"),
    Column("prediction", "score of the held-out predictions of this neuron"),
    Column("se", "its standard error over identities or stimuli", header="SE"),
    Column("reliability", "of the neuron's mean responses over trials, Spearman-Brown corrected", header="reliability"),
    Column("corrected_prediction", "noise-corrected score: over its expectation of a true model"),
    "penalty",
)
SCORES_DIFFERENCE = {
    "difference": Column("difference", "score of the first layer minus that of the second"),
    "layer_1": Column("layer_1", "layer whose score is the minuend"),
    "layer_2": Column("layer_2", "layer whose score is subtracted"),
}
OF_NETWORKS = {"difference": Column("difference", "score of the first network minus that of the second")}


class Encoding(Section):
    """``[outputs.encoding]``: read-outs from layers to the neurons of patches, by ridge regression."""

    across: list[Annotated[str, MemberOf(ACROSS)]] = Field(
        [],
        description="what is held out together: new identities, known ones in new views, or single stimuli; by default "
        "identities and, where there are three, views",
    )
    score: Annotated[str, MemberOf(SCORES)] = Field("corr", description="of held-out predictions")
    n_folds: int = Field(5, ge=3, description="parts of the identities (views, stimuli), each held out in turn")
    per_neuron: bool = Field(False, description="a penalty for each neuron, not one for all neurons of a patch")
    joined: bool = Field(
        False, description="also all layers of each network together (banded ridge regression), as 'all layers'"
    )
    n_permutations: Annotated[int, Quick(20)] = Field(
        200, ge=10, description="permutations of identities, views kept, for p_identity"
    )

    @field_validator("across")
    @classmethod
    def _names_are_distinct(cls, names: list[str]) -> list[str]:
        return without_repeats(names)


def measure(
    *,
    settings: Encoding,
    distance_rdms: RDMs,
    recording: xr.DataArray,
    comparison: Comparison,
    simulated: bool,
    seed: int,
) -> Measured:
    """Predictions of every layer for every patch and neuron, for each question."""
    resample, notes = without_subjects(comparison)
    tables, neurons, pairs, networks = [], [], [], []
    for across in settings.across or _questions(distance_rdms):
        found = infer_encoding(
            distance_rdms,
            recording,
            EncodingOptions(
                across=across, score=settings.score, n_folds=settings.n_folds, per_neuron=settings.per_neuron
            ),
            resample=resample,
            joint=_joined(rdm_table(distance_rdms)) if settings.joined else None,
            n_draws=comparison.n_draws,
            n_permutations=settings.n_permutations,
            rng=step_rng(seed, f"encoding across {across}"),
        )
        tables.append(found.to_frame().join(compare_with_ceilings(found.pooled, comparison.equal_within)))
        neurons.append(found.neurons.assign(across=across))
        pairs.append(layer_pairs(found.pooled, comparison.equal_within).assign(across=across))
        networks.append(network_pairs(found.pooled, comparison.equal_within).assign(across=across))
        notes = (*notes, *(f"Encoding across {across}: {one}" for one in found.notes))
    made = {"encoding": tables, "encoding_neurons": neurons, "encoding_pairs": pairs}
    if any(map(len, networks)):
        made["encoding_network_pairs"] = networks
    joined = {name: pd.concat(parts, ignore_index=True).assign(simulated=simulated) for name, parts in made.items()}
    return Measured(joined, notes)


def _questions(rdms: RDMs) -> list[str]:
    """New identities (new stimuli, if there are too few identities), and known ones in new views."""
    patterns = pattern_table(rdms)
    found = [usual_question(rdms)]
    views = [name for name in ("azimuth_deg", "elevation_deg") if name in patterns]
    if found == ["identity"] and views and len(patterns[views].drop_duplicates()) >= FEWEST_HELD_OUT:
        found.append("view")
    return found


def _joined(models: pd.DataFrame) -> Mapping[str, np.ndarray] | None:
    """All layers of each network with several, by the name that they get as a layer."""
    several = [(labels, members) for labels, members in networks_of(models) if len(members) > 1]
    if len(several) == 1:
        return {ALL_LAYERS: several[0][1]}
    return {
        f"{ALL_LAYERS} of {', '.join(str(labels[name]) for name in NETWORK if name in labels)}": members
        for labels, members in several
    } or None


def draw_encoding(encoding: pd.DataFrame) -> Figure:
    """Predictions by layer, one panel per patch and question.

    Parameters
    ----------
    encoding : pandas.DataFrame
        ``tables/encoding.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    table = encoding[~encoding["layer"].astype(str).str.startswith(ALL_LAYERS)]
    patches = patch_names(table)
    panels = list(dict.fromkeys(zip(patches, table["across"], strict=True)))
    axis = layer_axis_of(table)
    looks = looks_of(table, axis=axis)
    with style():
        figure, all_axes = panel_grid(len(panels), columns=3, height=1.4, under=axis.inches)
        for axes, (patch, across) in zip(all_axes, panels, strict=True):
            rows = table[(patches == patch) & (table["across"] == across)]
            profiles_of(rows, "prediction", axis=axis, looks=looks).draw(axes)
            best = rows["ceiling"].max()
            if np.isfinite(best):
                axes.axhline(best, color="#8a8a90", linestyle=":", linewidth=0.8)
            axes.axhline(0, color="black", linewidth=0.6)
            axis.label(axes)
            panel_title(axes, f"{patch}: across {across}")
            if is_leftmost(axes):
                axes.set_ylabel(f"prediction ({SCORES[str(encoding['score'].iloc[0])].label})")
        colour_legend(figure, {look.name: look.colour for look in looks.values()})
        note(
            figure,
            f"ridge regression; {intervals_text(table, f'95 % interval over {sampled_text(table)}')}; dotted: expected "
            "of a true model",
        )
    return figure


ENCODING = Measure(
    key="encoding",
    title="Encoding",
    about="how well layers predict single neurons on new identities and in new views, by ridge regression",
    settings=Encoding,
    compute=measure,
    work=lambda settings, n_stimuli: n_stimuli * settings.n_permutations,
    seconds=2e-3,
    tables=(
        Table(
            "encoding",
            "How well one layer predicts the neurons of one patch.",
            columns(
                *(PREDICTION if name == "prediction" else name for name in ENCODING_COLUMNS),
                *(*CEILING_EQUALITY_COLUMNS, "simulated"),
            ),
        ),
        Table("encoding_neurons", "How well one layer predicts one neuron.", columns(*NEURON_COLUMNS, "simulated")),
        Table(
            "encoding_pairs",
            "Difference of the predictions of two layers of one network for one patch.",
            columns("across", *(SCORES_DIFFERENCE.get(name, name) for name in LAYER_PAIR_COLUMNS), "simulated"),
        ),
        Table(
            "encoding_network_pairs",
            "Difference of the predictions of one layer of two networks for one patch.",
            columns("across", *(OF_NETWORKS.get(name, name) for name in NETWORK_PAIR_COLUMNS), "simulated"),
        ),
    ),
    figures=(
        Drawing(
            "encoding",
            draw_encoding,
            "How well each layer predicts the neurons of each patch: held-out predictions of ridge regressions, on new "
            "identities and on known identities in new views.",
        ),
    ),
    shown=(
        ReportTable(
            "encoding",
            "Held-out predictions of the neurons of each patch, mean over neurons; noise-corrected ones are over what "
            "is expected of a true model.",
            columns=(
                *(*NETWORK, "layer", "region", "across"),
                *(PREDICTION, "ci_low", "ci_high", "p_identity_adjusted", "ceiling", "corrected_prediction"),
                *("corrected_low", "corrected_high", "ceiling_conclusion", "penalty"),
            ),
            rows=lambda tables: by_patch(tables["encoding"]),
        ),
    ),
    methods=lambda _tables, _study: [
        "Encoding: ridge regression from a layer's units to each neuron, with the penalty chosen in inner folds and "
        "the score measured in outer ones (Hoerl & Kennard 1970, Technometrics 12:55). Intervals leave out identities, "
        "from training and test, and neurons; noise correction divides by what a true model is expected to reach given "
        "the reliability of the neurons over trials."
    ],
)
