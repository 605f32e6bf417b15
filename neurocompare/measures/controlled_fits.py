"""Fits with views, same-identity pairs and named nuisance RDMs partialled out, within views, and within identities.

RDMs of all populations that are tuned to view share the mean of each pair of views, and the small distances within
identities. A fit under these controls (``comparison.controls``) says what a layer and a patch share beyond that. A
partial correlation (``comparison.partition.partial_fits``) says what they share beyond other RDMs: those of pixels, of
image statistics, or of a file. Fits under controls have the errors and tests of the study's ``[comparison]``; partial
correlations are Pearson's and have jackknife errors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import xarray as xr
from pydantic import Field, field_validator
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError
from neural_data.formats.bounds import read_bytes
from neural_data.rounding import first_largest
from neural_data.stimuli import StimulusSet
from neurocompare.comparison.controls import CONTROLS
from neurocompare.comparison.fit_text import network_name, number_text
from neurocompare.comparison.inference import infer_fits
from neurocompare.comparison.partition import partial_fits
from neurocompare.measures.columns import columns
from neurocompare.measures.comparison import Comparison, without_repeats
from neurocompare.measures.declaration import Measure, Measured, Patches, ReportTable
from neurocompare.measures.patch_names import by_patch, patch_names
from neurocompare.measures.randomness import step_rng
from neurocompare.measures.settings import FilePath, MemberOf, Section
from neurocompare.reporting.tables import Column, Table
from neurocompare.representations.nuisance_rdms import NUISANCES, nuisance_rdms
from neurocompare.representations.rdm_reading import read_rdms
from neurocompare.representations.rdms import LAYER, NETWORK, rdm_table

__all__ = ["CONTROLLED_FITS", "ControlledFits"]

SHOWN_CONTROLS = (("view", "identity"), ("within-view",), ("within-identity",))
"""The controls; each gives a part of the table."""
CONTROLLED_FIT_COLUMNS = (
    *(*LAYER, "region", "subject", "control", "fit", "se", "ci_low", "ci_high", "p_zero", "p_zero_adjusted"),
    *("p_identity", "p_identity_adjusted"),
)
NUISANCE_COLUMN = Column(
    "nuisance", "RDMs that were partialled out, joined by +; empty without", header="less the RDMs"
)


class ControlledFits(Section):
    """``[outputs.controlled_fits]``: fits with views, identities and nuisance RDMs partialled out."""

    nuisances: list[Annotated[str, MemberOf(NUISANCES)]] = Field(
        [],
        description="RDMs that are partialled out as well, each alone and all together: "
        + "; ".join(f"{one.name}: {one.label}" for one in NUISANCES.values()),
    )
    nuisance_rdms: FilePath | None = Field(
        None,
        description="file of more of them: RDMs over the stimuli, called by their own names, else by the file's",
    )

    @field_validator("nuisances")
    @classmethod
    def _names_are_distinct(cls, names: list[str]) -> list[str]:
        return without_repeats(names)


def measure(
    *,
    settings: ControlledFits,
    stimuli: StimulusSet,
    layer_rdms: RDMs,
    patches: Patches,
    recording: xr.DataArray,
    comparison: Comparison,
    simulated: bool,
    seed: int,
) -> Measured:
    """Fits of every layer to every patch under each control, and less each nuisance RDM."""
    tables = []
    for control in SHOWN_CONTROLS:
        options = comparison.inference()
        options["control"] = control
        result = infer_fits(
            layer_rdms,
            patches.rdms,
            recording=recording,
            ceilings=None,
            rng=step_rng(seed, f"fits under {'+'.join(control)}"),
            **options,
        )
        tables.append(result.to_frame()[list(CONTROLLED_FIT_COLUMNS)].assign(nuisance=""))
    nuisances = nuisance_rdms(settings.nuisances, stimuli) | _from_file(settings, stimuli)
    chosen = [[name] for name in nuisances] + ([list(nuisances)] if len(nuisances) > 1 else [])
    for names in chosen:
        partial = partial_fits(
            layer_rdms,
            patches.rdms,
            {name: nuisances[name] for name in names},
            recording=recording,
            resample=comparison.resample,
            control=comparison.control,
            rng=step_rng(seed, f"fits less {'+'.join(names)}"),
        )
        partial = partial.drop(columns="fit").rename(columns={"partial_fit": "fit"})
        tables.append(partial.assign(control="+".join(comparison.control) or "none"))
    table = pd.concat(tables, ignore_index=True).reindex(columns=[*CONTROLLED_FIT_COLUMNS, "nuisance"])
    notes = {PEARSON: comparison.method != "corr", JACKKNIFE: comparison.variance != "jackknife"}
    shown = tuple(note for note, due in notes.items() if due and chosen)
    return Measured({"controlled_fits": table.assign(simulated=simulated)}, shown)


def _from_file(settings: ControlledFits, stimuli: StimulusSet) -> dict[str, RDMs]:
    if settings.nuisance_rdms is None:
        return {}
    found = read_rdms(settings.nuisance_rdms, stimuli=stimuli)
    labels = rdm_table(found)
    stem = Path(settings.nuisance_rdms).stem
    names = labels["name"].astype(str).tolist() if "name" in labels else []
    if len(set(names)) < found.n_rdm:
        names = [stem] if found.n_rdm == 1 else [f"{stem} {place + 1}" for place in range(found.n_rdm)]
    for name in names:
        # Rows join the names of their RDMs by +, and rows without nuisance have an empty name.
        if not name.strip() or "+" in name:
            raise InputError(
                f"outputs.controlled_fits.nuisance_rdms: {settings.nuisance_rdms} has an RDM {name!r}; names of "
                "nuisance RDMs must not be empty nor have a +: rename it"
            )
    twice = sorted(set(names) & set(NUISANCES))
    if twice:
        raise InputError(
            f"outputs.controlled_fits.nuisance_rdms: the RDM {twice[0]!r} has the name of a built-in nuisance; "
            "rename it"
        )
    return {name: found.subset("index", place) for place, name in enumerate(names)}


def _depends(settings: ControlledFits, _seed: int) -> list[str]:
    """Checksum of the file of nuisance RDMs."""
    if settings.nuisance_rdms is None:
        return []
    content = read_bytes(Path(settings.nuisance_rdms), what="file of nuisance RDMs")
    return [hashlib.sha256(content).hexdigest()]


def _sentences(tables: Mapping[str, pd.DataFrame], _study: Mapping[str, Any]) -> list[str]:
    """For every network and patch, the layer that shares most with it beyond all nuisance RDMs."""
    rows = tables["controlled_fits"]
    rows = rows[rows["nuisance"].fillna("").astype(str) != ""]
    if rows.empty:
        return []
    everything = max(rows["nuisance"].unique(), key=lambda names: (names.count("+"), len(names)))
    rows = rows[(rows["nuisance"] == everything) & rows["fit"].notna()]
    keys = [name for name in NETWORK if rows[name].astype(str).str.len().gt(0).any()]
    several_seeds = rows["seed"].nunique() > 1
    found = []
    for _, of_patch in rows.assign(patch=patch_names(rows)).groupby([*keys, "patch"], sort=False, dropna=False):
        best = of_patch.iloc[int(first_largest(of_patch["fit"].to_numpy()))]
        named = network_name(best, several_seeds=several_seeds)
        found.append(
            f"Beyond {everything.replace('+', ', ')}, the layer that shares most with {best['patch']} is "
            f"{best['layer']} ({named}): {number_text(best['fit'])} (95 % {number_text(best['ci_low'])} to "
            f"{number_text(best['ci_high'])}; "
            f"adjusted p {number_text(best['p_zero_adjusted'])} against 0)."
        )
    return found


def _partial_methods(table: pd.DataFrame) -> list[str]:
    names = {name for joined in table["nuisance"].dropna() for name in str(joined).split("+") if name}
    if not names:
        return []
    labels = [f"{name} ({NUISANCES[name].label})" if name in NUISANCES else name for name in sorted(names)]
    return [
        "Partial correlations are Pearson's r of the residuals of both RDMs after a linear regression on the nuisance "
        f"RDMs: {'; '.join(labels)}."
    ]


PEARSON = "Partial correlations with nuisance RDMs are Pearson's, whatever comparison.method says."
JACKKNIFE = "Errors of partial correlations with nuisance RDMs are jackknife errors, whatever comparison.variance says."
CONTROLLED_FITS = Measure(
    key="controlled_fits",
    title="Controlled fits",
    about="fits without what views, identities and nuisance RDMs share, within views, and within identities",
    settings=ControlledFits,
    compute=measure,
    depends=_depends,
    work=lambda _settings, _n_stimuli: 1,
    tables=(
        Table(
            "controlled_fits",
            "Fit of one layer to one patch under one control.",
            columns(*CONTROLLED_FIT_COLUMNS, NUISANCE_COLUMN, "simulated"),
        ),
    ),
    shown=(
        ReportTable(
            "controlled-fits",
            "Fits under controls: " + "; ".join(f"{name}: {record.label}" for name, record in CONTROLS.items()) + ".",
            columns=(
                *(*LAYER, "region", "control", NUISANCE_COLUMN, "fit", "ci_low", "ci_high"),
                *("p_identity_adjusted", "p_zero_adjusted"),
            ),
            rows=lambda tables: by_patch(tables["controlled_fits"]),
        ),
    ),
    summary=_sentences,
    methods=lambda tables, _study: [
        "RDMs of any populations that are tuned to view share the table of view pairs and the dissimilarities within "
        "one identity. Controlled fits compare RDMs less the mean of each pair of views (of one identity and of two), "
        "or pairs of stimuli of one view, or of one identity.",
        *_partial_methods(tables["controlled_fits"]),
    ],
)
