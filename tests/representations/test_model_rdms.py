"""Layer RDMs against a forward pass with a hand-written hook and NumPy written out."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits
from torch import nn

from neural_data import InputError, read_stimuli
from neurocompare.models.registry import Network, Preprocessing, load_model
from neurocompare.representations import model_rdms as module_under_test, products
from neurocompare.representations.activations import Presentation, resolve_layers
from neurocompare.representations.model_rdms import RdmRequest, compute_model_rdms, compute_rdm_requests, divide_layers
from neurocompare.representations.products import PatternSums
from neurocompare.representations.rdms import pattern_table, rdm_table
from neurocompare.stimuli.transforms import mirror
from tests.models import architectures


@pytest.fixture
def network():
    return load_model("cnn-small", seed=1)


def responses_by_hand(network, images, layer) -> np.ndarray:
    """Responses of one layer, all images at once, float64 (n_stimuli, n_units), by a hook of its own."""
    token = re.fullmatch(r"class_token\((.*)\)", layer)
    name, call, path = re.fullmatch(r"([^\[:]+)(?::(\d+))?((?:\[\w+\])*)", token[1] if token else layer).groups()
    name = "" if name == "output" else name
    kept, calls = {}, Counter()

    def keep(_module, _inputs, output):
        calls["it"] += 1
        if calls["it"] == int(call or 1):
            for key in re.findall(r"\[(\w+)\]", path):
                output = output[int(key) if key.isdigit() else key]
            kept["it"] = (output[0] if isinstance(output, tuple) else output).clone()

    handle = dict(network.module.named_modules())[name].register_forward_hook(keep)
    with torch.no_grad():
        network.module(network.preprocessing(images, dtype=network.dtype))
    handle.remove()
    found = kept["it"]
    if found.shape[0] != len(images):
        found = found.transpose(0, 1)
    return (found[:, 0] if token else found).flatten(1).double().numpy()


def zscored(responses, precision=torch.float64):
    """Units whose variation is no rounding of their mean, z-scored."""
    rounding = 4 * torch.finfo(precision).eps * np.abs(responses.mean(axis=0))
    varying = (np.ptp(responses, axis=0) > 0) & (responses.std(axis=0) > rounding)
    responses = responses[:, varying]
    return (responses - responses.mean(axis=0)) / responses.std(axis=0)


def rdms_by_hand(responses):
    return 1 - np.corrcoef(responses)


def assert_equal(found, expected, tolerance):
    # The oracle takes r from 1, which leaves some 1e-16 of rounding: that much is no error.
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=2e-15)


@pytest.mark.parametrize("name", architectures.ARCHITECTURES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-10)])
def test_rdms_of_every_layer_of_every_build_equal_a_hand_written_hook(name, dtype, tolerance, faces):
    network = architectures.network(name, dtype=dtype)
    layers = architectures.ARCHITECTURES[name].layers
    requests = {"raw": RdmRequest(normalize=None), "zscore": RdmRequest()}
    found = compute_rdm_requests(network, faces, "all", requests)
    images = faces.images(architectures.SIZE)
    assert tuple(rdm_table(found["raw"])["layer"]) == layers
    for position, layer in enumerate(layers):
        responses = responses_by_hand(network, images, layer)
        assert_equal(found["raw"].get_matrices()[position], rdms_by_hand(responses), tolerance)
        assert_equal(found["zscore"].get_matrices()[position], rdms_by_hand(zscored(responses, dtype)), tolerance)


@pytest.mark.real_data
@pytest.mark.parametrize("name", architectures.ARCHITECTURES)
def test_real_images_go_through_every_build(name, real_data):
    stimuli = read_stimuli(real_data / "fiv_s").yaw_views()
    rdms = compute_model_rdms(architectures.network(name), stimuli, "all", within="identity")
    n_layers = len(architectures.ARCHITECTURES[name].layers)
    assert rdms.dissimilarities.shape == (n_layers * 25, 10)
    assert np.isfinite(rdms.dissimilarities).all()
    assert (rdms.dissimilarities > 0).all()


@pytest.mark.parametrize("layer", ["conv1", "fc3"])
def test_view_rdms_equal_corrcoef_of_zscored_units_within_an_exemplar(network, faces, layer):
    shuffled = faces.take(np.random.default_rng(5).permutation(len(faces)))
    rdms = compute_model_rdms(network, shuffled, [layer], within="identity")
    scores = zscored(responses_by_hand(network, shuffled.images(32), layer))
    table = shuffled.table.reset_index()
    for matrix, identity in zip(rdms.get_matrices(), rdm_table(rdms)["identity"], strict=True):
        rows = table[table["identity"] == identity].sort_values("azimuth_deg").index
        np.testing.assert_allclose(matrix, rdms_by_hand(scores[rows]), atol=1e-6)
    assert pattern_table(rdms)["azimuth_deg"].tolist() == [-90, -45, 0, 45, 90]


def test_views_of_a_single_exemplar_are_sorted_like_those_of_many(network, faces):
    alone = faces.take([3, 0, 4, 1, 2])
    rdms = compute_model_rdms(network, alone, ["fc1"], within="identity", normalize=None)
    assert pattern_table(rdms)["azimuth_deg"].tolist() == [-90, -45, 0, 45, 90]
    expected = rdms_by_hand(responses_by_hand(network, faces.take(range(5)).images(32), "fc1"))
    np.testing.assert_allclose(rdms.get_matrices()[0], expected, rtol=1e-5, atol=1e-12)


def test_shares_of_layers_equal_one_run_to_the_last_bit(network, faces):
    requests = {"whole": RdmRequest(), "sensitive": RdmRequest(part="sensitive")}
    presentation = Presentation(memory_mb=4)
    shares = divide_layers(network, faces, "main", requests, 3, presentation=presentation)
    assert [name for share in shares for name in share] == resolve_layers(network, "main")
    assert len(shares) > 1
    whole = compute_rdm_requests(network, faces, "main", requests, presentation=presentation)
    for name, rdms in whole.items():
        parts = [
            compute_rdm_requests(network, faces, "main", requests, presentation=presentation, only=share)[name]
            for share in shares
        ]
        np.testing.assert_array_equal(np.concatenate([part.dissimilarities for part in parts]), rdms.dissimilarities)
        assert [layer for part in parts for layer in rdm_table(part)["layer"]] == list(rdm_table(rdms)["layer"])


def test_what_fits_into_memory_or_is_streamed_is_not_divided(network, faces):
    assert len(divide_layers(network, faces, "main", {"all": RdmRequest()}, 8)) == 1
    views = {"views": RdmRequest(within="identity")}
    assert len(divide_layers(network, faces, "main", views, 8, presentation=Presentation(memory_mb=2))) == 1


@pytest.mark.parametrize("normalize", ["zscore", None])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-10)])
def test_streamed_views_equal_views_from_held_blocks(faces, normalize, dtype, tolerance):
    network = architectures.network("residual", dtype=dtype)
    shuffled = faces.take(np.random.default_rng(6).permutation(len(faces)))
    options = {"normalize": normalize, "within": "identity"}
    held = compute_model_rdms(network, shuffled, **options)
    streamed = compute_model_rdms(network, shuffled, **options, memory_mb=0.4, batch_size=11)
    np.testing.assert_allclose(streamed.dissimilarities, held.dissimilarities, atol=tolerance)
    for column in ("layer", "identity", "n_units", "n_constant"):
        assert rdm_table(streamed)[column].tolist() == rdm_table(held)[column].tolist()


def test_streaming_and_holding_are_chosen_by_the_budget(network, faces, monkeypatch):
    ways = []
    for way in ("_stream_views", "_hold_blocks"):
        original = getattr(module_under_test, way)
        monkeypatch.setattr(
            module_under_test,
            way,
            lambda *args, _way=way, _original=original, **kwargs: ways.append(_way) or _original(*args, **kwargs),
        )
    compute_model_rdms(network, faces, within="identity")
    compute_model_rdms(network, faces, within="identity", memory_mb=4)
    compute_model_rdms(network, faces, "fc*", memory_mb=0.1)
    assert ways == ["_hold_blocks", "_stream_views", "_hold_blocks"]


def test_normalisation_of_streamed_views_runs_over_all_stimuli_also_those_off_the_horizon(faces):
    raised = faces.table.iloc[:4].copy()
    raised.index = [f"raised{i}" for i in range(4)]
    raised["elevation_deg"] = 30.0
    table = pd.concat([raised, faces.table])
    pixels = np.concatenate([faces.pixels[7:11], faces.pixels])
    stimuli = dataclasses.replace(faces, table=table, pixels=pixels)
    network = architectures.network("sequential", dtype=torch.float64)
    scores = zscored(responses_by_hand(network, stimuli.images(architectures.SIZE), "relu1"))
    for memory_mb in (1024, 0.1):
        rdms = compute_model_rdms(network, stimuli, "relu1", within="identity", memory_mb=memory_mb)
        np.testing.assert_allclose(rdms.get_matrices()[0], rdms_by_hand(scores[4:9]), rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_a_small_memory_budget_changes_nothing(network, faces):
    whole = compute_model_rdms(network, faces, "all")
    pieces = compute_model_rdms(network, faces, "all", memory_mb=4)
    np.testing.assert_allclose(pieces.dissimilarities, whole.dissimilarities, atol=2e-6)


def test_small_dissimilarities_keep_their_precision(faces):
    # Untrained deep layers answer all images nearly alike: here r is about 1 - 1e-6 between any two.
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Softplus())
    with torch.no_grad():
        module[0].weight.mul_(1e-3)
        module[0].bias.copy_(torch.linspace(-1, 1, 8))
    network = Network("nearly constant", module.eval(), Preprocessing(size=12))
    expected = rdms_by_hand(responses_by_hand(network, faces.images(12), "1"))
    found = compute_model_rdms(network, faces, "1", normalize=None).get_matrices()[0]
    assert expected.max() < 1e-5
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=2e-15)


@pytest.mark.parametrize("memory_mb", [1024, 4])
@pytest.mark.parametrize("within", [None, "identity"])
@pytest.mark.parametrize("normalize", ["zscore", None])
def test_large_layers_which_are_worked_on_in_float32_are_right_to_1e_6(
    faces, monkeypatch, within, normalize, memory_mb
):
    monkeypatch.setattr(module_under_test, "_CHEAP_PRODUCTS", 0)
    monkeypatch.setattr(module_under_test, "_SMALL_LAYER", 0)
    monkeypatch.setattr(products, "_NEAR", 0)
    network = load_model("cnn-small", seed=3)
    layers = ["conv1", "conv4", "pool2"]
    found = compute_model_rdms(network, faces, layers, normalize=normalize, within=within, memory_mb=memory_mb)
    for layer, rows in rdm_table(found).groupby("layer").groups.items():
        responses = responses_by_hand(network, faces.images(32), layer)
        expected = rdms_by_hand(responses if normalize is None else zscored(responses, torch.float32))
        size = 5 if within else 30
        expected = np.stack([expected[k : k + size, k : k + size] for k in range(0, 30, size)])
        error = np.linalg.norm(found.get_matrices()[rows] - expected) / np.linalg.norm(expected)
        assert error < 1e-6


@pytest.mark.parametrize(("within", "memory_mb", "torch_threads"), [(None, 1024, 1), ("identity", 1, 2)])
def test_threads_of_torch_and_of_blas_do_not_wait_for_each_other(
    faces, network, monkeypatch, within, memory_mb, torch_threads
):
    # Where all stimuli are held, BLAS alone works on all threads; where views are streamed, the network alone does.
    seen = {"network": set(), "products": set()}

    def note(where):
        blas = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
        seen[where].add((torch.get_num_threads(), *blas))

    network.outputs  # noqa: B018 - found by a whole pass, once
    add, forward = PatternSums.add, Network.forward
    monkeypatch.setattr(PatternSums, "add", lambda *given, **named: (note("products"), add(*given, **named))[1])
    monkeypatch.setattr(Network, "forward", lambda *given: (note("network"), forward(*given))[1])
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threadpool_limits(2, user_api="blas"):
            compute_model_rdms(network, faces, ["conv1", "conv4"], within=within, memory_mb=memory_mb)
    finally:
        torch.set_num_threads(before)
    blas_threads = 1 if within else 2
    assert seen == {"network": {(2, blas_threads)}, "products": {(torch_threads, blas_threads)}}


@pytest.mark.parametrize(("precision", "tolerance"), [("bfloat16", 0.05), ("float16", 0.01), ("float64", 1e-5)])
def test_other_precisions_give_the_same_within_their_digits(faces, precision, tolerance):
    full = compute_model_rdms(load_model("cnn-small", seed=2), faces, ["pool1", "fc2"], normalize=None)
    other = compute_model_rdms(
        load_model("cnn-small", seed=2, precision=precision), faces, ["pool1", "fc2"], normalize=None
    )
    np.testing.assert_allclose(other.dissimilarities, full.dissimilarities, atol=tolerance)


@pytest.mark.slow
def test_reflection_parts_are_half_the_sum_and_half_the_difference(network, faces):
    images = faces.images(32)
    direct, mirrored = (responses_by_hand(network, x, "conv4") for x in (images, mirror(images)))
    requests = {
        (part, normalize): RdmRequest(part=part, normalize=normalize)
        for part in ("whole", "invariant", "sensitive")
        for normalize in (None, "zscore")
    }
    found = compute_rdm_requests(network, faces, "conv4", requests, presentation=Presentation(memory_mb=4))
    for part, responses in [
        ("whole", direct),
        ("invariant", (direct + mirrored) / 2),
        ("sensitive", (direct - mirrored) / 2),
    ]:
        np.testing.assert_allclose(found[part, None].get_matrices()[0], rdms_by_hand(responses), atol=2e-6)
        np.testing.assert_allclose(found[part, "zscore"].get_matrices()[0], rdms_by_hand(zscored(responses)), atol=2e-5)
    assert rdm_table(found["sensitive", None])["part"].tolist() == ["sensitive"]


def test_the_sensitive_part_of_an_invariant_layer_is_undefined_and_no_rounding(faces):
    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 20), nn.Tanh())
    colours = np.random.default_rng(3).integers(0, 256, (len(faces), 12, 12, 3), dtype=np.uint8)
    stimuli = dataclasses.replace(faces, pixels=colours)
    network = Network("invariant", module.eval(), Preprocessing(size=12))
    requests = {part: RdmRequest(part=part, normalize=None) for part in ("whole", "invariant", "sensitive")}
    found = compute_rdm_requests(network, stimuli, "3", requests)
    assert np.isnan(found["sensitive"].dissimilarities).all()
    np.testing.assert_allclose(found["invariant"].dissimilarities, found["whole"].dissimilarities, rtol=1e-4)


@pytest.mark.parametrize("size", [32, 45])
def test_images_that_are_their_own_mirror_images_have_no_sensitive_part(network, faces, size, caplog):
    """Whatever rounding leaves of it, also that of shrinking 45 pixels to 32; all else is as by hand."""
    places = np.arange(size) * faces.pixels.shape[1] // size
    pixels = faces.pixels[:, places][:, :, places]
    frontal = (faces.table["azimuth_deg"] == 0).to_numpy()
    pixels[frontal] = np.maximum(pixels[frontal], pixels[frontal][:, :, ::-1])
    stimuli = dataclasses.replace(faces, pixels=pixels)
    requests = {
        "correlation": RdmRequest(part="sensitive"),
        "euclidean": RdmRequest(part="sensitive", dissimilarity="euclidean"),
        "views": RdmRequest(part="sensitive", within="identity"),
        "whole": RdmRequest(),
    }
    found = compute_rdm_requests(network, stimuli, "conv4", requests)
    matrix = found["correlation"].get_matrices()[0]
    np.testing.assert_array_equal(np.isnan(matrix), (frontal[:, None] | frontal) & ~np.eye(len(matrix), dtype=bool))
    images = stimuli.images(network.preprocessing.size)
    direct, mirrored = (responses_by_hand(network, shown, "conv4") for shown in (images, mirror(images)))
    expected = rdms_by_hand(zscored((direct - mirrored) / 2)[~frontal])
    np.testing.assert_allclose(matrix[np.ix_(~frontal, ~frontal)], expected, atol=2e-5)
    assert np.isnan(found["views"].get_matrices()[:, 2, [0, 1, 3, 4]]).all()
    for name in ("euclidean", "whole"):
        assert np.isfinite(found[name].dissimilarities).all()
    assert "not defined" not in caplog.text


def test_parts_and_views_go_together(network, faces):
    rdms = compute_model_rdms(network, faces, "pool2", part="invariant", within="identity")
    everyone = compute_model_rdms(network, faces, "pool2", part="invariant")
    np.testing.assert_allclose(rdms.get_matrices()[1], everyone.get_matrices()[0][5:10, 5:10], atol=2e-6)


@pytest.fixture
def one_thread():
    """On several threads torch rounds a row of a batch by its place in it, so that equal images answer unequally."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_equal_views_are_exactly_alike(faces):
    same = dataclasses.replace(faces, pixels=np.repeat(faces.pixels[::5], 5, axis=0))
    for memory_mb in (1024, 4):
        rdms = compute_model_rdms(load_model("cnn-small"), same, within="identity", memory_mb=memory_mb, batch_size=7)
        assert (rdms.dissimilarities == 0).all()


def test_pooled_layers_stand_beside_the_layer_they_are_made_from(network, faces):
    rdms = compute_model_rdms(network, faces, ["conv4", "avgpool(conv4)", "maxpool(conv4)"], normalize=None)
    table = rdm_table(rdms)
    assert table["layer"].tolist() == ["conv4", "avgpool(conv4)", "maxpool(conv4)"]
    assert table["n_units"].tolist() == [128 * 256, 128, 128]
    assert table["layer_index"].tolist() == [4, 4, 4]
    maps = responses_by_hand(network, faces.images(32), "conv4").reshape(len(faces), 128, -1)
    np.testing.assert_allclose(rdms.get_matrices()[1], rdms_by_hand(maps.mean(axis=2)), atol=1e-6)
    np.testing.assert_allclose(rdms.get_matrices()[2], rdms_by_hand(maps.max(axis=2)), atol=1e-6)


def test_requests_share_one_presentation(network, faces):
    requests = {"fits": RdmRequest(normalize=None), "views": RdmRequest(within="identity")}
    both = compute_rdm_requests(network, faces, ["conv4", "fc2"], requests)
    for name, request in requests.items():
        alone = compute_model_rdms(network, faces, ["conv4", "fc2"], **dataclasses.asdict(request))
        np.testing.assert_array_equal(both[name].dissimilarities, alone.dissimilarities)


def test_euclidean_is_the_mean_squared_difference(network, faces):
    rdms = compute_model_rdms(network, faces, "fc1", dissimilarity="euclidean", normalize=None)
    responses = responses_by_hand(network, faces.images(32), "fc1")
    expected = ((responses[:, None] - responses[None]) ** 2).mean(axis=2)
    np.testing.assert_allclose(rdms.get_matrices()[0], expected, rtol=1e-5, atol=1e-12)


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


class RootOfFirstPixel(nn.Module):
    """Gives NaN to one kind of image only, as a logarithm, a root or a division in a layer does."""

    def forward(self, x):
        return torch.cat([x.flatten(1), (x[:, 0, 0, :1] - 0.5).sqrt()], dim=1)


@pytest.mark.parametrize("memory_mb", [1024, 0.001])
@pytest.mark.parametrize("within", [None, "identity"])
def test_a_layer_that_gives_nan_to_some_images_names_layer_and_stimulus(faces, within, memory_mb):
    pixels = np.full_like(faces.pixels, 255)
    pixels[7] = 0
    stimuli = dataclasses.replace(faces, pixels=pixels)
    network = Network("root", nn.Sequential(nn.Identity(), RootOfFirstPixel()).eval(), Preprocessing(size=12))
    message = rf"layer '.*' gives a response that is not a finite number to stimulus '{stimuli.ids[7]}'"
    with pytest.raises(InputError, match=message):
        compute_model_rdms(network, stimuli, "1", within=within, memory_mb=memory_mb, batch_size=4)


@pytest.mark.parametrize(
    "option", [{"dissimilarity": "corelation"}, {"normalize": "z"}, {"within": "category"}, {"part": "mirror"}]
)
def test_unknown_options_are_refused(network, faces, option):
    with pytest.raises(InputError, match="must be one of"):
        compute_model_rdms(network, faces, **option)
