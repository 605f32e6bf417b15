"""Variance of patches partitioned among sets of layers."""

from __future__ import annotations

import fnmatch
import itertools
from typing import Annotated

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field, field_validator
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError, closest
from neurocompare.comparison.fit_result import networks_of
from neurocompare.comparison.partition import MOST_SETS, PARTITION_COLUMNS, partition_rdms, partition_responses
from neurocompare.measures.columns import columns
from neurocompare.measures.comparison import Comparison
from neurocompare.measures.declaration import Measure, Measured, Patches, ReportTable
from neurocompare.measures.patch_names import by_patch
from neurocompare.measures.randomness import step_rng
from neurocompare.measures.resampling import without_subjects
from neurocompare.measures.settings import Name, Section
from neurocompare.reporting.tables import Column, Table
from neurocompare.representations.rdms import NETWORK, rdm_table

__all__ = ["PARTITION", "Partition"]

FIRST, LAST = "first layer", "last layer"
NO_RDMS = "RDMs are not partitioned: that needs resampling over identities (comparison.resample)."


class Partition(Section):
    """``[outputs.partition]``: variance of patches partitioned among sets of layers of each network."""

    sets: dict[Name, Annotated[list[Name], Field(min_length=1)]] = Field(
        {},
        description="two to four sets of layers by name, each a list of layers or patterns; by default the first and "
        "the last layer of each network",
    )

    @field_validator("sets")
    @classmethod
    def _sets_are_apart(cls, sets: dict[str, list[str]]) -> dict[str, list[str]]:
        if sets and not 2 <= len(sets) <= MOST_SETS:
            raise ValueError(f"variance is partitioned among two to {MOST_SETS} sets of layers; got {len(sets)}")
        for (first, some), (second, others) in itertools.combinations(sets.items(), 2):
            for one, other in itertools.product(some, others):
                if fnmatch.fnmatchcase(one, other) or fnmatch.fnmatchcase(other, one):
                    raise ValueError(
                        f"the sets {first!r} and {second!r} overlap: {one!r} and {other!r} name the same layers; put "
                        "each layer in one set"
                    )
        return sets


def measure(
    *,
    settings: Partition,
    distance_rdms: RDMs,
    layer_rdms: RDMs,
    patches: Patches,
    recording: xr.DataArray,
    comparison: Comparison,
    simulated: bool,
    seed: int,
) -> Measured:
    """Unique, shared and total explained variance of responses and RDMs, network by network."""
    resample, notes = without_subjects(comparison)
    tables = []
    for labels, members in networks_of(rdm_table(distance_rdms)):
        layers = rdm_table(distance_rdms)["layer"].iloc[members].astype(str).tolist()
        if not settings.sets and len(layers) < 2:
            continue
        sets = {name: members[places] for name, places in _places(settings, layers).items()}
        name_of = ", ".join(map(str, labels.values()))
        of_responses = partition_responses(
            distance_rdms,
            recording,
            sets,
            resample=resample,
            margin=comparison.equal_within,
            rng=step_rng(seed, f"partition of responses {name_of}"),
        )
        parts = [of_responses]
        factors = resample or ("identity", "neuron")
        if "identity" not in factors:
            notes = (*notes, NO_RDMS) if NO_RDMS not in notes else notes
        else:
            parts.append(
                partition_rdms(
                    layer_rdms,
                    patches.rdms,
                    sets,
                    recording=recording if "neuron" in factors else None,
                    resample=factors,
                    margin=comparison.equal_within,
                    rng=step_rng(seed, f"partition of RDMs {name_of}"),
                )
            )
        tables.append(pd.concat(parts, ignore_index=True).assign(**{name: labels.get(name, "") for name in NETWORK}))
    if not tables:
        raise InputError("outputs.partition needs a network with at least two layers, or sets of layers")
    table = pd.concat(tables, ignore_index=True)
    notes = (*notes, *_undefined(table))
    return Measured({"partition": table[[*NETWORK, *PARTITION_COLUMNS]].assign(simulated=simulated)}, notes)


def _places(settings: Partition, layers: list[str]) -> dict[str, np.ndarray]:
    """Positions of each set among the layers of a network."""
    if not settings.sets:
        return {FIRST: np.array([0]), LAST: np.array([len(layers) - 1])}
    found = {}
    for name, patterns in settings.sets.items():
        chosen = [place for place, layer in enumerate(layers) if any(fnmatch.fnmatchcase(layer, p) for p in patterns)]
        if not chosen:
            raise InputError(
                f"outputs.partition.sets.{name}: no layer is called {' or '.join(patterns)}: "
                f"{closest(patterns[0], layers)}"
            )
        found[name] = np.array(chosen)
    for (first, some), (second, others) in itertools.combinations(found.items(), 2):
        both = [layers[place] for place in np.intersect1d(some, others)]
        if both:
            raise InputError(
                f"outputs.partition.sets: {', '.join(both)} in {first!r} and in {second!r}; put each layer in one set"
            )
    return found


def _undefined(table: pd.DataFrame) -> list[str]:
    """Which sets of layers have no explained variance, and why."""
    rows = table[table["kind"].isin(["total", "alone"]) & table["explained"].isna()]
    return [
        f"{' '.join(str(row[name]) for name in (*NETWORK, 'region', 'subject') if str(row[name]))}: variance of the "
        f"{row['partitioned']} explained by {row['part']} is not known: its layers are constant over some identities"
        for _, row in rows.iterrows()
    ]


PARTITION = Measure(
    key="partition",
    title="Variance partitioning",
    about="what sets of layers explain of responses and RDMs alone, alike and together",
    settings=Partition,
    compute=measure,
    seconds=0.05,
    tables=(
        Table(
            "partition",
            "What one part explains of the responses or of the RDM of one patch.",
            columns(
                *NETWORK,
                *(
                    Column("p", "two-sided p of the part against 0, not corrected") if name == "p" else name
                    for name in PARTITION_COLUMNS
                ),
                "simulated",
            ),
        ),
    ),
    shown=(
        ReportTable(
            "partition",
            "Explained variance of responses and of RDMs on held-out identities: of all sets of layers together "
            "(total), of each alone, of each beyond the others (unique), and what several explain alike (shared).",
            columns=(
                *(*NETWORK, "region", "partitioned", "kind", "part", "explained", "ci_low", "ci_high"),
                *("non_negative", "conclusion"),
            ),
            rows=lambda tables: by_patch(tables["partition"]),
        ),
    ),
    methods=lambda _tables, _study: [
        "Variance partitioning: held-out explained variance of responses (banded ridge regression, Dupré la Tour et "
        "al. 2022, NeuroImage 264:119728) and of RDMs (non-negative least squares) by all subsets of the sets of "
        "layers; differences between subsets are unique and shared parts."
    ],
)
