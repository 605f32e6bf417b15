"""What responses have in common, their scale and their type leave no mark on an RDM or a fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rsatoolbox.rdm import load_rdm
from scipy.spatial.distance import pdist, squareform

from neural_data.recordings import make_recording
from neurocompare import compare_rdms, compute_neural_rdms
from neurocompare.comparison.neuron_rdms import NeuronRdms
from neurocompare.representations.dissimilarities import MODEL_DISSIMILARITIES
from neurocompare.representations.rdms import build_rdms, zscore_units

PLAIN = np.random.default_rng(0).normal(0, 1, (12, 40))


def recording(values, ids=None):
    return make_recording(
        values,
        presentations=pd.DataFrame({"stimulus_id": [f"s{i}" for i in range(len(values))] if ids is None else ids}),
        neuroids=pd.DataFrame({"neuroid_id": [f"u{i}" for i in range(values.shape[1])], "region": "AL"}),
        units="normalized",
    )


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, -1e6])
@pytest.mark.parametrize("measure", ["correlation", "euclidean"])
def test_a_common_offset_of_a_million_standard_deviations_loses_nothing(measure, offset):
    values = PLAIN + offset
    found = compute_neural_rdms(recording(values), dissimilarity=measure).get_matrices()[0]
    kept = values - offset  # what of the digits a float64 has kept
    expected = 1 - np.corrcoef(kept) if measure == "correlation" else squareform(pdist(kept, "sqeuclidean")) / 40
    np.testing.assert_allclose(found, expected, atol=2e-10)


@pytest.mark.parametrize("scale", [1e-200, 1e-12, 1.0, 1e150, 1e200])
def test_a_correlation_has_no_scale(scale):
    found = compute_neural_rdms(recording(PLAIN * scale)).get_matrices()[0]
    np.testing.assert_allclose(found, 1 - np.corrcoef(PLAIN), atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint8, np.int64])
@pytest.mark.parametrize("normalize", [None, "zscore"])
def test_other_types_equal_float64(dtype, normalize):
    counts = np.random.default_rng(1).poisson(60, (12, 40)).astype(dtype)
    found, expected = (
        compute_neural_rdms(recording(values), normalize=normalize).dissimilarities
        for values in (counts, counts.astype(float))
    )
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(zscore_units(counts)[0], zscore_units(counts.astype(float))[0], atol=1e-12)
    for measure in MODEL_DISSIMILARITIES.values():
        np.testing.assert_allclose(measure.of_responses(counts), measure.of_responses(counts.astype(float)), atol=1e-12)


@pytest.mark.parametrize("measure", list(MODEL_DISSIMILARITIES))
def test_resampled_neurons_keep_their_digits_too(measure):
    counts = np.random.default_rng(2).multinomial(40, np.full(40, 1 / 40), size=5)
    moved = NeuronRdms(PLAIN + 1e6, measure).rdms(counts)
    np.testing.assert_allclose(moved, NeuronRdms(PLAIN, measure).rdms(counts), atol=1e-8)


@pytest.mark.parametrize("method", ["corr", "spearman", "tau-a"])
def test_fits_do_not_see_an_offset_of_the_dissimilarities(method):
    rng = np.random.default_rng(3)
    first, second = (rng.random((1, 66)) for _ in range(2))
    patterns = pd.DataFrame(index=pd.Index([f"s{i}" for i in range(12)], name="stimulus_id"))

    def rdms(vectors):
        return build_rdms(vectors, patterns=patterns, rdms={"region": ["AL"]}, dissimilarity="correlation")

    # A power of two times a whole number moves every dissimilarity without rounding any.
    moved = np.round(first * 2**20) / 2**20
    plain = compare_rdms(rdms(moved), rdms(second), method=method)
    np.testing.assert_allclose(compare_rdms(rdms(moved + 2.0**20), rdms(second), method=method), plain, atol=1e-9)


def test_rdms_are_saved_and_read_by_rsatoolbox_whatever_the_script(tmp_path):
    ids = ["é1", "s10", "s2", "007", "7", "b c"]
    values = PLAIN[:6].copy()
    values[2] = 0
    rdms = compute_neural_rdms(recording(values, ids))
    rdms.save(str(tmp_path / "r.hdf5"), "hdf5")
    again = load_rdm(str(tmp_path / "r.hdf5"))
    np.testing.assert_array_equal(again.dissimilarities, rdms.dissimilarities)
    assert list(again.pattern_descriptors["stimulus_id"]) == ids
    assert compare_rdms(rdms, again)[0, 0] == pytest.approx(1)
    with pytest.raises(ValueError, match="already exists"):
        rdms.save(str(tmp_path / "r.hdf5"))
    rdms.save(str(tmp_path / "r.hdf5"), overwrite=True)
