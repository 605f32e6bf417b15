"""Layer RDMs against a forward pass and numpy.corrcoef written out."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from neural_data import InputError
from neurocompare.models.registry import Network, Preprocessing, load_model
from neurocompare.representations.activations import resolve_layers, unit_blocks
from neurocompare.representations.model_rdms import RdmRequest, compute_model_rdms, compute_rdm_requests
from neurocompare.representations.rdms import pattern_table, rdm_table


@pytest.fixture
def network():
    return load_model("cnn-small", seed=1)


def in_place_network() -> Network:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.AvgPool2d(2))
    return Network("in-place", module.eval(), Preprocessing(size=12))


def responses_by_hand(network, stimuli, layer):
    """Responses of one layer, all images at once, float64 (n_stimuli, n_units)."""
    kept = {}
    module = dict(network.module.named_modules())[layer]
    handle = module.register_forward_hook(lambda _module, _inputs, output: kept.update(it=output.clone()))
    with torch.no_grad():
        network.module(network.preprocessing(stimuli.images(network.preprocessing.size)))
    handle.remove()
    return kept["it"].flatten(1).double().numpy()


@pytest.mark.parametrize("layer", ["conv1", "pool2", "fc3"])
def test_raw_rdms_equal_one_minus_corrcoef(network, faces, layer):
    rdms = compute_model_rdms(network, faces, [layer], normalize=None)
    oracle = 1 - np.corrcoef(responses_by_hand(network, faces, layer))
    np.testing.assert_allclose(rdms.get_matrices()[0], oracle, atol=1e-6)


@pytest.mark.parametrize("layer", ["conv2", "fc1"])
def test_view_rdms_equal_corrcoef_of_zscored_units_within_an_exemplar(network, faces, layer):
    shuffled = faces.take(np.random.default_rng(5).permutation(len(faces)))
    rdms = compute_model_rdms(network, shuffled, [layer], within="identity")
    responses = responses_by_hand(network, shuffled, layer)
    responses = responses[:, responses.std(axis=0) > 0]
    scores = (responses - responses.mean(axis=0)) / responses.std(axis=0)
    for position, identity in enumerate(rdm_table(rdms)["identity"]):
        table = shuffled.table.reset_index()
        rows = table[table["identity"] == identity].sort_values("azimuth_deg").index
        np.testing.assert_allclose(rdms.get_matrices()[position], 1 - np.corrcoef(scores[rows]), atol=1e-5)
    assert pattern_table(rdms)["azimuth_deg"].tolist() == [-90, -45, 0, 45, 90]


def test_a_small_memory_budget_changes_nothing(network, faces):
    whole = compute_model_rdms(network, faces, "all")
    pieces = compute_model_rdms(network, faces, "all", memory_mb=0.5)
    np.testing.assert_allclose(pieces.dissimilarities, whole.dissimilarities, atol=1e-10)


def test_the_batch_size_changes_no_more_than_float32_rounding(network, faces):
    whole = compute_model_rdms(network, faces, "all")
    batches = compute_model_rdms(network, faces, "all", batch_size=7)
    np.testing.assert_allclose(batches.dissimilarities, whole.dissimilarities, atol=2e-5)


def test_blocks_stay_within_the_budget_and_cover_every_unit_once(network, faces):
    units = dict.fromkeys(["conv1", "fc1"], 0)
    for layer, block in unit_blocks(network, faces, ["conv1", "fc1"], memory_mb=0.5):
        assert block.nbytes <= 0.5e6
        units[layer] += block.shape[1]
    assert units == {"conv1": 32 * 32 * 32, "fc1": 256}


def test_an_in_place_activation_does_not_change_the_layer_before_it(faces):
    network = in_place_network()
    norm = np.concatenate([b for name, b in unit_blocks(network, faces, ["1"]) if name == "1"], axis=1)
    relu = np.concatenate([b for name, b in unit_blocks(network, faces, ["2"]) if name == "2"], axis=1)
    assert (norm < 0).any()
    np.testing.assert_allclose(np.maximum(norm, 0), relu)


def test_layers_are_resolved_by_name_and_pattern_in_execution_order(network):
    assert resolve_layers(network, ["fc1", "conv*"]) == ["conv1", "conv2", "conv3", "conv4", "fc1"]
    assert resolve_layers(network, "all")[-1] == "fc3"
    with pytest.raises(InputError, match="did you mean 'fc3'"):
        resolve_layers(network, ["fc33"])


def test_requests_share_one_presentation(network, faces):
    requests = {"fits": RdmRequest(normalize=None), "views": RdmRequest(within="identity")}
    both = compute_rdm_requests(network, faces, ["conv4", "fc2"], requests)
    for name, request in requests.items():
        alone = compute_model_rdms(network, faces, ["conv4", "fc2"], **dataclasses.asdict(request))
        np.testing.assert_array_equal(both[name].dissimilarities, alone.dissimilarities)


def test_a_layer_with_constant_output_is_counted_and_undefined(faces):
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())
    nn.init.zeros_(module[0].weight)
    nn.init.constant_(module[0].bias, 0.1)
    rdms = compute_model_rdms(Network("constant", module.eval(), Preprocessing(size=12)), faces)
    assert np.isnan(rdms.dissimilarities).all()
    assert rdm_table(rdms)["n_constant"].tolist() == [200]
    assert rdm_table(rdms)["n_units"].tolist() == [0]


def test_a_response_that_is_not_finite_names_layer_and_stimulus(faces):
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())
    nn.init.constant_(module[0].weight, torch.inf)
    network = Network("broken", module.eval(), Preprocessing(size=12))
    with pytest.raises(InputError, match="layer '1' gives a response that is not a finite number to stimulus 's0_-90'"):
        compute_model_rdms(network, faces)


@pytest.mark.parametrize("option", [{"dissimilarity": "corelation"}, {"normalize": "z"}, {"within": "category"}])
def test_unknown_options_are_refused(network, faces, option):
    with pytest.raises(InputError, match="must be one of"):
        compute_model_rdms(network, faces, **option)
