"""Reweighted layers: rsatoolbox's weights, held-out fits, and no gain from weighting noise."""

from __future__ import annotations

import numpy as np
import pytest
from rsatoolbox.model import ModelWeighted
from rsatoolbox.model.fitter import fit_regress_nn
from rsatoolbox.rdm import compare

from neural_data.errors import InputError
from neurocompare.comparison.flexible import fit_weights, flexible_fits
from tests.comparison.conftest import patterns_of, rdms_of
from tests.comparison.test_layer_tests import made, network, views_of


def positive_rdms(n_rdms: int, n_stimuli: int, rng: np.random.Generator, **descriptors):
    return rdms_of(rng.random((n_rdms, n_stimuli * (n_stimuli - 1) // 2)), patterns_of(n_stimuli, 1), **descriptors)


@pytest.mark.parametrize("method", ["corr", "cosine"])
@pytest.mark.parametrize("n_models", [2, 6])
def test_weights_equal_rsatoolbox(method, n_models, rng):
    models = positive_rdms(n_models, 14, rng, layer=[f"layer{k}" for k in range(n_models)])
    mixture = rng.standard_normal((2, n_models)) @ models.dissimilarities + rng.random((2, 91))
    neural = rdms_of(mixture - mixture.min(), patterns_of(14, 1), region=["AL", "AM"])
    found = fit_weights(models, neural, method)
    for r, region in enumerate(["AL", "AM"]):
        expected = fit_regress_nn(ModelWeighted("w", models), neural.subset("region", region), method=method)
        np.testing.assert_allclose(found[:, r], expected, atol=1e-7)


def test_unmeasured_pairs_are_left_out_of_the_weights(rng):
    models = positive_rdms(3, 10, rng, layer=list("abc"))
    neural = positive_rdms(1, 10, rng, region=["AL"])
    models.dissimilarities[1, 4] = np.nan
    neural.dissimilarities[0, 7] = np.nan
    expected = fit_weights(models, neural)
    for rdms in (models, neural):
        rdms.dissimilarities[:, [4, 7]] = np.nan
    both = fit_regress_nn(ModelWeighted("w", models), neural, method="corr")
    np.testing.assert_allclose(expected[:, 0], both, atol=1e-7)


def test_a_mixture_of_two_layers_is_found_and_fits_other_identities(rng):
    patterns = views_of(12)
    layers = [rng.standard_normal((36, 40)) + 2 * np.repeat(rng.standard_normal((12, 40)), 3, axis=0) for _ in range(3)]
    models = network(layers, patterns)
    mixed = rdms_of((0.7 * models.get_matrices()[0] + 0.3 * models.get_matrices()[2])[None], patterns, region=["AL"])
    row = flexible_fits(models, mixed, resample="identity", n_splits=1, rng=rng).iloc[0]
    assert row["fit"] == pytest.approx(1, abs=1e-6)
    assert row["fit_in_sample"] == pytest.approx(1, abs=1e-6)
    assert (row["heaviest"], row["n_weights"]) == ("layer0", 2)
    assert row["p_identity"] == pytest.approx(1 / 201)
    assert compare(models, mixed, "corr").max() < 0.98


def test_weighting_noise_gains_nothing_on_held_out_identities(rng):
    patterns = views_of(8)
    held_out, in_sample = [], []
    for _ in range(20):
        models = network([rng.standard_normal((24, 20)) for _ in range(8)], patterns)
        neural = made([rng.standard_normal((24, 20))], patterns, region=["AL"])
        row = flexible_fits(models, neural, resample="identity", n_folds=4, n_splits=1, n_permutations=0, rng=rng).iloc[
            0
        ]
        held_out.append(row["fit"])
        in_sample.append(row["fit_in_sample"])
    assert np.mean(in_sample) > 0.08
    assert abs(np.nanmean(held_out)) < 3 * np.nanstd(held_out) / np.sqrt(20)


def test_neurons_are_left_out_too(rng):
    patterns = views_of(6)
    layers = [rng.standard_normal((18, 40)) for _ in range(2)]
    responses = {"AL": layers[0] @ rng.standard_normal((40, 12))}
    neural = made(list(responses.values()), patterns, region=["AL"])
    table = flexible_fits(network(layers, patterns), neural, recording=responses, n_splits=1, rng=rng)
    assert table["se"][0] > 0
    assert table["ci_low"][0] < table["fit"][0] < table["ci_high"][0]


def test_rank_methods_and_single_stimuli_are_refused(rng):
    models = positive_rdms(2, 10, rng, layer=list("ab"))
    with pytest.raises(InputError, match="no method 'spearman'"):
        fit_weights(models, models, "spearman")
    with pytest.raises(InputError, match="must hold 'identity'"):
        flexible_fits(models, models, resample="stimulus", rng=rng)
