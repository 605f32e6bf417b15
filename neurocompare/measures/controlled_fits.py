"""Fits with views and same-identity pairs partialled out, within views, and within identities.

RDMs of all populations that are tuned to view share the mean of each pair of views, and the small distances within
identities. A fit under these controls (``comparison.controls``) says what a layer and a patch share beyond that.
Errors, tests and permutations of identities are those of the study's ``[comparison]``.
"""

from __future__ import annotations

import pandas as pd
import xarray as xr
from rsatoolbox.rdm import RDMs

from neurocompare.comparison.controls import CONTROLS
from neurocompare.comparison.inference import infer_fits
from neurocompare.measures.columns import columns
from neurocompare.measures.comparison import Comparison
from neurocompare.measures.declaration import Measure, Measured, Patches, ReportTable
from neurocompare.measures.patch_names import by_patch
from neurocompare.measures.randomness import step_rng
from neurocompare.reporting.tables import Table
from neurocompare.representations.rdms import LAYER

__all__ = ["CONTROLLED_FITS"]

SHOWN_CONTROLS = (("view", "identity"), ("within-view",), ("within-identity",))
"""The controls; each gives a part of the table."""
CONTROLLED_FIT_COLUMNS = (
    *(*LAYER, "region", "subject", "control", "fit", "se", "ci_low", "ci_high", "p_zero", "p_zero_adjusted"),
    *("p_identity", "p_identity_adjusted"),
)


def measure(
    *, layer_rdms: RDMs, patches: Patches, recording: xr.DataArray, comparison: Comparison, simulated: bool, seed: int
) -> Measured:
    """Fits of every layer to every patch under each control."""
    tables = []
    for control in SHOWN_CONTROLS:
        settings = comparison.inference()
        settings["control"] = control
        result = infer_fits(
            layer_rdms,
            patches.rdms,
            recording=recording,
            ceilings=None,
            rng=step_rng(seed, f"fits under {'+'.join(control)}"),
            **settings,
        )
        tables.append(result.to_frame()[list(CONTROLLED_FIT_COLUMNS)])
    return Measured({"controlled_fits": pd.concat(tables, ignore_index=True).assign(simulated=simulated)})


CONTROLLED_FITS = Measure(
    key="controlled_fits",
    title="Controlled fits",
    about="fits without what views and single identities share, within views, and within identities",
    compute=measure,
    work=lambda _settings, _n_stimuli: 1,
    tables=(
        Table(
            "controlled_fits",
            "Fit of one layer to one patch under one control.",
            columns(*CONTROLLED_FIT_COLUMNS, "simulated"),
        ),
    ),
    shown=(
        ReportTable(
            "controlled-fits",
            "Fits under controls: " + "; ".join(f"{name}: {record.label}" for name, record in CONTROLS.items()) + ".",
            columns=(
                *(*LAYER, "region", "control", "fit", "ci_low", "ci_high"),
                *("p_identity_adjusted", "p_zero_adjusted"),
            ),
            rows=lambda tables: by_patch(tables["controlled_fits"]),
        ),
    ),
    methods=lambda _tables, _study: [
        "RDMs of any populations that are tuned to view share the table of view pairs and the dissimilarities within "
        "one identity. Controlled fits compare RDMs less the mean of each pair of views (of one identity and of two), "
        "or pairs of stimuli of one view, or of one identity."
    ],
)
