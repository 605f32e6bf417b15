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
                *("ceiling_lower", "ceiling_lower_se", "ceiling_upper", "simulated"),
            ),
        ),
    ),
    methods=lambda tables, _study: [
        f"The noise ceiling is the reliability of the patch RDM over neurons ({tables['ceilings']['n_splits'].iloc[0]} "
        "random halves, Spearman-Brown corrected)."
    ],
)
