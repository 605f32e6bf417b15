"""Small RDMs with known structure, shared by the tests of fits and inference."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neurocompare.representations.dissimilarities import correlation_dissimilarity
from neurocompare.representations.rdms import build_rdms

N_IDENTITIES, N_VIEWS, N_NEURONS = 6, 3, 24


def patterns_of(n_identities: int, n_views: int) -> pd.DataFrame:
    rows = [(f"s{i}_{v}", f"id{i}") for i in range(n_identities) for v in range(n_views)]
    return pd.DataFrame(rows, columns=["stimulus_id", "identity"])


def rdms_of(matrices: np.ndarray, patterns: pd.DataFrame, **descriptors):
    return build_rdms(np.asarray(matrices), patterns=patterns, rdms=descriptors, dissimilarity="correlation")


@pytest.fixture
def patterns() -> pd.DataFrame:
    return patterns_of(N_IDENTITIES, N_VIEWS)


@pytest.fixture
def layers(patterns) -> np.ndarray:
    """Responses of three layers, (n_layers, n_stimuli, n_units)."""
    return np.random.default_rng(1).standard_normal((3, len(patterns), 80))


@pytest.fixture
def model_rdms(layers, patterns):
    return rdms_of(
        [correlation_dissimilarity(layer) for layer in layers],
        patterns,
        model=["net"] * 3,
        regime=["natural"] * 3,
        layer=["conv1", "conv2", "fc1"],
        layer_index=[0, 1, 2],
    )


@pytest.fixture
def responses(layers) -> dict[tuple[str, str], np.ndarray]:
    """Two subjects' neurons in each of two regions, made from the second and the third layer."""
    rng = np.random.default_rng(2)
    return {
        (region, subject): layers[layer] @ rng.standard_normal((80, N_NEURONS))
        + 2 * rng.standard_normal((len(layers[0]), N_NEURONS))
        for region, layer in (("AL", 1), ("AM", 2))
        for subject in ("m1", "m2")
    }


@pytest.fixture
def neural_rdms(responses, patterns):
    return rdms_of(
        [correlation_dissimilarity(values) for values in responses.values()],
        patterns,
        region=[region for region, _ in responses],
        subject=[subject for _, subject in responses],
    )
