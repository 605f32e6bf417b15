"""Mirror-symmetric viewpoint tuning index of every patch, and the index corrected for noise.

The index is that of layers (eLife 90256, eq. 1; ``representations.viewpoint``), of each exemplar's view RDM. Noise
pulls it to 0, so the corrected one compares the RDM of one half of the neurons with the mirrored RDM of the other half
(``comparison.recorded_index``).
"""

from __future__ import annotations

import xarray as xr

from neural_data.stimuli import StimulusSet
from neurocompare.comparison.recorded_index import corrected_indices
from neurocompare.measures.columns import SUMMARY, columns
from neurocompare.measures.declaration import Measure, Measured, Patches
from neurocompare.measures.randomness import step_rng
from neurocompare.measures.viewpoint import MEAN_INDEX
from neurocompare.reporting.tables import Table
from neurocompare.representations.neural_rdms import PopulationRequest
from neurocompare.representations.rdms import rdm_table
from neurocompare.representations.viewpoint import index_table, summarise_indices

__all__ = ["VIEWPOINT_PATCHES"]


def measure(*, patches: Patches, recording: xr.DataArray, stimuli: StimulusSet, n_splits: int, seed: int) -> Measured:
    """Index of every exemplar in every patch, its mean over exemplars, and the corrected index beside it."""
    if patches.views is None:
        raise ValueError("these patches have no view RDMs, which this measure needs; declare that it needs views")
    about = [name for name in ("region", "subject", "category", "simulated") if name in rdm_table(patches.views)]
    recorded = index_table(patches.views)
    corrected = corrected_indices(
        recording,
        PopulationRequest(stimuli),
        by_category=True,
        n_splits=n_splits,
        rng=step_rng(seed, "corrected indices"),
    ).rename(columns={"ci_low": "corrected_ci_low", "ci_high": "corrected_ci_high", "se": "corrected_se"})
    added = ["n_neurons", "reliability", *(name for name in corrected if name.startswith("corrected"))]
    return Measured(
        {
            "viewpoint_patches": recorded[[*about, "identity", "index"]],
            "viewpoint_patches_summary": summarise_indices(recorded, about).merge(
                corrected[["region", "category", *added]], on=["region", "category"], how="left", validate="one_to_one"
            ),
        }
    )


VIEWPOINT_PATCHES = Measure(
    key="viewpoint_patches",
    title="View tuning",
    about="mirror-symmetric viewpoint tuning index of every patch",
    optional=False,
    of_views=True,
    compute=measure,
    work=lambda _settings, _n_stimuli: 1,
    seconds=0.5,
    tables=(
        Table(
            "viewpoint_patches",
            "Mirror-symmetry index of one patch for one exemplar.",
            columns("region", "subject", "category", "identity", "index", "simulated"),
        ),
        Table(
            "viewpoint_patches_summary",
            "Mirror-symmetry index of one patch, mean over the exemplars of a category.",
            columns(
                *("region", "subject", "category", MEAN_INDEX, *SUMMARY[1:]),
                *("n_neurons", "reliability", "corrected_index", "corrected_se", "corrected_ci_low"),
                *("corrected_ci_high", "simulated"),
            ),
        ),
    ),
)
