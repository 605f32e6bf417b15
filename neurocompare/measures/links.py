"""Layers and patches compared in many ways: does a conclusion hang on the measure."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import Field, field_validator
from rsatoolbox.rdm import RDMs

from neurocompare.comparison.links import (
    LINK_BEST_COLUMNS,
    LINK_COLUMNS,
    LINKS,
    LinkInputs,
    link_results,
    link_rows,
    links_best,
)
from neurocompare.measures.columns import columns
from neurocompare.measures.comparison import Comparison, without_repeats
from neurocompare.measures.declaration import Measure, Measured, ReportTable
from neurocompare.measures.layer_pairs import LAYER_PAIR_COLUMNS, NETWORK_PAIR_COLUMNS, layer_pairs, network_pairs
from neurocompare.measures.patch_names import by_patch
from neurocompare.measures.randomness import step_rng
from neurocompare.measures.resampling import without_subjects
from neurocompare.measures.settings import MemberOf, Section
from neurocompare.reporting.tables import Column, Table
from neurocompare.representations.rdms import NETWORK, rdm_table

__all__ = ["LINKS_MEASURE", "Links"]

OF_RDMS = tuple(name for name, link in LINKS.items() if name != "matching")
"""Links that need no more than the RDMs of layers, which all networks have in bounded memory."""
SIMILARITY_DIFFERENCE = {
    "difference": Column("difference", "similarity of the first layer minus that of the second"),
    "layer_1": Column("layer_1", "layer whose similarity is the minuend"),
    "layer_2": Column("layer_2", "layer whose similarity is subtracted"),
}
OF_NETWORKS = {"difference": Column("difference", "similarity of the first network minus that of the second")}


class Links(Section):
    """``[outputs.links]``: layers and patches compared in many ways."""

    links: list[Annotated[str, MemberOf(OF_RDMS)]] = Field(
        list(OF_RDMS), min_length=1, description="ways to compare layers and patches"
    )

    @field_validator("links")
    @classmethod
    def _names_are_distinct(cls, names: list[str]) -> list[str]:
        return without_repeats(names)


def measure(
    *,
    settings: Links,
    distance_rdms: RDMs,
    layer_rdms: RDMs,
    recording: xr.DataArray,
    comparison: Comparison,
    normalize: str | None,
    simulated: bool,
    seed: int,
) -> Measured:
    """Similarity of every layer to every patch by every link, and the best layers."""
    resample, notes = without_subjects(comparison)
    # RDMs that the user brought have no distances.
    n_own = len(rdm_table(distance_rdms))
    inputs = LinkInputs(distances=distance_rdms, rdms=layer_rdms.subset("index", np.arange(n_own)))
    results, missing = link_results(
        inputs, recording, settings.links, resample=resample, normalize=normalize, rng=step_rng(seed, "links")
    )
    table = link_rows(results)
    pairs = [layer_pairs(result, comparison.equal_within).assign(link=name) for name, result in results]
    tables = {"links": table, "links_best": links_best(table), "link_pairs": pd.concat(pairs, ignore_index=True)}
    networks = [network_pairs(result, comparison.equal_within).assign(link=name) for name, result in results]
    if any(map(len, networks)):
        tables["link_network_pairs"] = pd.concat(networks, ignore_index=True)
    return Measured({name: found.assign(simulated=simulated) for name, found in tables.items()}, (*notes, *missing))


def _agreement(best: pd.DataFrame) -> list[str]:
    """One sentence per network and patch: the layers that links call best."""
    found = []
    keys = [name for name in (*NETWORK, "region", "subject") if best[name].astype(str).str.len().gt(0).any()]
    for labels, rows in best.groupby(keys, sort=False, dropna=False):
        votes = rows["layer"].value_counts(sort=True)
        names = ", ".join(str(label) for label in labels if str(label) not in ("", "nan"))
        said = ", ".join(f"{layer} by {n}" for layer, n in votes.items())
        found.append(f"Best layer for {names}: {said} of {len(rows)} ways to compare.")
    return found


LINKS_MEASURE = Measure(
    key="links",
    title="Links",
    about="layers and patches compared by RDMs, CKA, Procrustes and encoding: does the best layer hang on the measure",
    settings=Links,
    compute=measure,
    work=lambda settings, n_stimuli: n_stimuli * len(settings.links),
    seconds=0.02,
    tables=(
        Table("links", "Similarity of one layer and one patch by one link.", columns(*LINK_COLUMNS, "simulated")),
        Table(
            "links_best",
            "The layer of one network that one link finds most similar to one patch.",
            columns(*LINK_BEST_COLUMNS, "simulated"),
        ),
        Table(
            "link_pairs",
            "Difference of the similarities of two layers of one network and one patch by one link.",
            columns("link", *(SIMILARITY_DIFFERENCE.get(name, name) for name in LAYER_PAIR_COLUMNS), "simulated"),
        ),
        Table(
            "link_network_pairs",
            "Difference of the similarities of one layer of two networks and one patch by one link.",
            columns("link", *(OF_NETWORKS.get(name, name) for name in NETWORK_PAIR_COLUMNS), "simulated"),
        ),
    ),
    shown=(
        ReportTable(
            "links_best",
            "Best layer of each network for each patch by every way to compare: "
            + "; ".join(f"{name}: {LINKS[name].label}" for name in OF_RDMS)
            + ". Sizes of different ways cannot be compared; layers and networks can.",
            columns=(
                *("link", *NETWORK, "region", "layer", "similarity", "layer_set", "n_in_set", "agreement"),
                "network_place",
            ),
            rows=lambda tables: by_patch(tables["links_best"]),
        ),
    ),
    methods=lambda _tables, _study: [
        "Links: "
        + "; ".join(f"{LINKS[name].label} ({LINKS[name].source})" for name in OF_RDMS)
        + ". All leave out the "
        "same parts of identities and neurons for their intervals and sets of best layers."
    ],
    summary=lambda tables, _study: _agreement(tables["links_best"]) if len(tables["links_best"]) < 200 else [],
)
