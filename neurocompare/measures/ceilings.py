"""Noise ceilings of the patches."""

from __future__ import annotations

import xarray as xr

from neural_data.stimuli import StimulusSet
from neurocompare.comparison.ceilings import neuron_ceilings
from neurocompare.measures.columns import columns
from neurocompare.measures.declaration import Measure, Measured
from neurocompare.measures.randomness import step_rng
from neurocompare.reporting.tables import Table

__all__ = ["CEILINGS"]


def measure(
    *,
    recording: xr.DataArray,
    stimuli: StimulusSet,
    method: str,
    dissimilarity: str,
    normalize: str | None,
    control: tuple[str, ...],
    n_splits: int,
    seed: int,
) -> Measured:
    """Reliability of every patch's RDM over its neurons."""
    table = neuron_ceilings(
        recording,
        stimuli=stimuli,
        method=method,
        dissimilarity=dissimilarity,
        normalize=normalize,
        control=control,
        n_splits=n_splits,
        rng=step_rng(seed, "ceilings"),
    )
    return Measured({"ceilings": table})


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
                *("ceiling_lower", "ceiling_lower_se", "ceiling_lower_low", "ceiling_lower_high", "ceiling_upper"),
                *("ceiling_upper_low", "ceiling_upper_high", "simulated"),
            ),
        ),
    ),
    methods=lambda tables, _study: [
        "The reliability of a patch RDM over neurons comes from "
        f"{tables['ceilings']['n_splits'].iloc[0]} random halves of them (Spearman-Brown, less its error from quarters "
        "to halves; intervals by leaving out parts of the neurons, Student's t on Fisher's z). The noise ceiling is "
        "its square root, which bounds a true model's fit."
    ],
)
