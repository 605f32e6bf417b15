"""Layers beside other animals: is a layer no further from a patch than the same patch of another animal is."""

from __future__ import annotations

import xarray as xr
from pydantic import Field
from rsatoolbox.rdm import RDMs

from neurocompare.comparison.equivalence import ANIMAL_COLUMNS, compare_with_animals
from neurocompare.measures.columns import columns
from neurocompare.measures.comparison import Comparison
from neurocompare.measures.declaration import Measure, Measured, ReportTable
from neurocompare.measures.randomness import step_rng
from neurocompare.measures.resampling import without_subjects
from neurocompare.measures.settings import Section
from neurocompare.reporting.tables import Column, Table
from neurocompare.representations.rdms import NETWORK

__all__ = ["ANIMALS", "Animals"]

USUAL_MARGIN = 0.05


class Animals(Section):
    """``[outputs.animals]``: layers beside the same patch of other animals."""

    margin: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="smallest difference of fit that matters; comparison.equal_within by default, else 0.05",
    )


def measure(
    *,
    settings: Animals,
    layer_rdms: RDMs,
    recording: xr.DataArray,
    comparison: Comparison,
    dissimilarity: str,
    normalize: str | None,
    method: str,
    simulated: bool,
    seed: int,
) -> Measured:
    """Fits of layers and of other animals to the patches of each animal."""
    resample, notes = without_subjects(comparison)
    table = compare_with_animals(
        layer_rdms,
        recording,
        margin=settings.margin or comparison.equal_within or USUAL_MARGIN,
        dissimilarity=dissimilarity,
        normalize=normalize,
        method=method,
        resample=resample,
        rng=step_rng(seed, "animals"),
    )
    return Measured({"animals": table.assign(simulated=simulated)}, notes)


ANIMALS = Measure(
    key="animals",
    title="Other animals",
    about="whether a layer is no further from a patch than the same patch of another animal is",
    settings=Animals,
    compute=measure,
    seconds=0.02,
    tables=(
        Table(
            "animals",
            "A layer beside the other animals, for one patch of one animal.",
            columns(
                *(
                    Column("difference", "fit of the layer minus mean fit of the other animals")
                    if name == "difference"
                    else name
                    for name in ANIMAL_COLUMNS
                ),
                "simulated",
            ),
        ),
    ),
    shown=(
        ReportTable(
            "animals",
            "Fit of each layer to the patch of one animal, beside the mean fit of the same patch of the other animals.",
            columns=(
                *(*NETWORK, "layer", "region", "subject", "fit", "fit_of_animals", "conclusion", "ci_low", "ci_high"),
                "p_not_further_adjusted",
            ),
        ),
    ),
    methods=lambda _tables, _study: [
        "Layers are compared with other animals by a one-sided test against the smallest difference that matters "
        "(Schuirmann 1987, J Pharmacokinet Biopharm 15:657), Holm-corrected over the layers; the neurons of both "
        "animals and the identities are left out in turn."
    ],
)
