"""Noise ceilings of the patches.

From the recording: the reliability of each patch's RDM over halves of its neurons (split half, Spearman-Brown), and
beside it the best fit that a representation of the images can reach (``image_fit``). From given RDMs without neurons:
leave-one-subject-out bounds of the mean fit (Nili et al. 2014). The root of the reliability bounds the fit of a true
model (``comparison.ceilings``).
"""

from __future__ import annotations

import pandas as pd
import xarray as xr

from neural_data.stimuli import StimulusSet
from neurocompare.comparison.ceilings import ceilings_of_rdms, neuron_ceilings
from neurocompare.comparison.image_ceilings import best_image_fits
from neurocompare.measures.columns import columns
from neurocompare.measures.declaration import Measure, Measured, Patches
from neurocompare.measures.patch_summary import patch_sentences
from neurocompare.measures.randomness import step_rng
from neurocompare.reporting.tables import Column, Table
from neurocompare.representations.neural_rdms import PopulationRequest

__all__ = ["CEILINGS"]


def measure(
    *,
    patches: Patches,
    stimuli: StimulusSet,
    method: str,
    dissimilarity: str,
    normalize: str | None,
    control: tuple[str, ...],
    n_splits: int,
    seed: int,
    recording: xr.DataArray | None = None,
) -> Measured:
    """Reliability of every patch's RDM over its neurons; for given RDMs without neurons, agreement between subjects."""
    if recording is None:
        return Measured({"ceilings": ceilings_of_rdms(patches.rdms, method=method)})
    table = neuron_ceilings(
        recording,
        PopulationRequest(stimuli),
        method=method,
        dissimilarity=dissimilarity,
        normalize=normalize,
        control=control,
        n_splits=n_splits,
        rng=step_rng(seed, "ceilings"),
    )
    best = best_image_fits(
        recording,
        stimuli,
        method=method,
        dissimilarity=dissimilarity,
        normalize=normalize,
        control=control,
        rng=step_rng(seed, "image ceilings"),
    )
    table["image_fit"] = table["region"].map(best)
    return Measured({"ceilings": table})


def _methods(ceilings: pd.DataFrame) -> list[str]:
    if ceilings["n_splits"].isna().all():
        return [
            "The noise ceiling of RDMs without responses is how well the RDM of each subject fits the mean of those of "
            "the others (lower) and of all (upper), after Nili et al. (2014)."
        ]
    return [
        "The reliability of a patch RDM over neurons comes from "
        f"{ceilings['n_splits'].iloc[0]:.0f} random halves of them (Spearman-Brown, less its error from quarters "
        "to halves; intervals by leaving out parts of the neurons, Student's t on Fisher's z). The noise ceiling is "
        "its square root, which bounds a true model's fit."
    ]


CEILINGS = Measure(
    key="ceilings",
    title="Noise ceilings",
    about="reliability of the RDM of every patch over its neurons",
    optional=False,
    compute=measure,
    work=lambda _settings, _n_stimuli: 1,
    seconds=0.5,
    tables=(
        Table(
            "ceilings",
            "Noise ceilings of one patch.",
            columns(
                *("region", "subject", "dissimilarity", "method", "n_stimuli", "n_neurons", "n_splits"),
                Column("n_subjects", "subjects whose RDMs are compared, where RDMs alone are known"),
                *("ceiling_lower", "ceiling_lower_se", "ceiling_lower_low", "ceiling_lower_high", "ceiling_upper"),
                *("ceiling_upper_low", "ceiling_upper_high", "image_fit", "simulated"),
            ),
        ),
    ),
    summary=lambda tables, _study: patch_sentences(tables),
    methods=lambda tables, _study: _methods(tables["ceilings"]),
)
