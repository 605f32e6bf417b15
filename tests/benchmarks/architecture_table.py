"""Every kind of network that is tested: its layers, how far its RDMs are from a hand-written hook, and real images.

``python -m tests.benchmarks.architecture_table [FOLDER]`` prints the table; FOLDER holds ``fiv_s`` and defaults to
``NEUROCOMPARE_TEST_DATA`` or ``../shared/data``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from neural_data import StimulusSet, read_stimuli
from neurocompare.representations.model_rdms import RdmRequest, compute_model_rdms, compute_rdm_requests
from tests.models import architectures
from tests.representations.test_model_rdms import rdms_by_hand, responses_by_hand, zscored

REPOSITORY = Path(__file__).parents[2]


def architecture_table(stimuli: StimulusSet) -> pd.DataFrame:
    """One row a network: layers found, largest relative deviation of a dissimilarity, and what the views gave.

    Deviations are over all layers, raw and z-scored, and all pairs of images whose dissimilarity is above 1e-6: below
    it the rounding of NumPy's ``1 - r`` shows.
    """
    rows = []
    for name, architecture in architectures.ARCHITECTURES.items():
        network = architectures.network(name)
        views = compute_model_rdms(network, stimuli, within="identity").dissimilarities
        rows.append(
            {
                "architecture": name,
                "layers": len(network.layer_names()),
                "as named": tuple(network.layer_names()) == architecture.layers,
                "float32": _deviation(name, stimuli, torch.float32),
                "float64": _deviation(name, stimuli, torch.float64),
                "view RDMs": len(views),
                "finite": bool(np.isfinite(views).all()),
            }
        )
    return pd.DataFrame(rows)


def _deviation(name: str, stimuli: StimulusSet, dtype: torch.dtype) -> float:
    network = architectures.network(name, dtype=dtype)
    requests = {"raw": RdmRequest(normalize=None), "zscore": RdmRequest()}
    # One batch: what is compared is the arithmetic on the same responses.
    found = compute_rdm_requests(network, stimuli, "all", requests, batch_size=len(stimuli))
    images, largest = stimuli.images(architectures.SIZE), 0.0
    for position, layer in enumerate(network.layer_names()):
        responses = responses_by_hand(network, images, layer)
        for kind, patterns in [("raw", responses), ("zscore", zscored(responses, dtype))]:
            expected = rdms_by_hand(patterns)
            counted = expected > 1e-6
            error = np.abs(found[kind].get_matrices()[position] - expected)[counted] / expected[counted]
            largest = max(largest, float(error.max(initial=0.0)))
    return largest


def main() -> None:
    """Print the table for the face images."""
    default = os.environ.get("NEUROCOMPARE_TEST_DATA", REPOSITORY.parent / "shared" / "data")
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else default)
    table = architecture_table(read_stimuli(folder / "fiv_s").yaw_views())
    print(table.to_string(index=False, float_format=lambda value: f"{value:.1e}"))


if __name__ == "__main__":
    main()
