"""Invariance and equivariance of networks for which both are known by construction, or follow from NumPy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from neural_data import InputError, StimulusSet
from neurocompare.models.registry import Network, Preprocessing, load_model
from neurocompare.representations.equivariance import EQUIVARIANCE_COLUMNS, measure_equivariance
from neurocompare.representations.model_rdms import compute_model_rdms
from neurocompare.representations.viewpoint import index_table

SIZE = 12


@pytest.fixture
def noise() -> StimulusSet:
    """Ten images of colour noise."""
    pixels = np.random.default_rng(3).integers(0, 256, (10, SIZE, SIZE, 3), dtype=np.uint8)
    table = pd.DataFrame(
        {"filename": "none", "identity": "noise", "azimuth_deg": 0.0}, index=[f"n{i}" for i in range(10)]
    )
    return StimulusSet(table, pixels=pixels, name="noise")


def network_of(*parts: nn.Module) -> Network:
    return Network("built", nn.Sequential(*parts).eval(), Preprocessing(size=SIZE))


def convolution(symmetrise) -> nn.Conv2d:
    """Convolution with random kernels made symmetric by averaging them over ``symmetrise``."""
    # A 3 x 3 kernel that quarter turns leave as it is would be mirror symmetric too; a 5 x 5 one need not be.
    layer = nn.Conv2d(3, 6, 5, padding=2)
    torch.manual_seed(4)
    weight = torch.randn(layer.weight.shape)
    with torch.no_grad():
        layer.weight.copy_(sum(symmetrise(weight)) / len(symmetrise(weight)))
    return layer


def left_right(weight):
    return [weight, weight.flip(-1)]


def all_turns(weight):
    return [weight.rot90(k, (-2, -1)) for k in range(4)]


def means(table: pd.DataFrame, measure: str, layer: str | None = None) -> dict[str, float]:
    rows = table[(table["measure"] == measure) & ((table["layer"] == layer) | (layer is None))]
    return rows.set_index("transform")["mean"].to_dict()


def test_symmetric_kernels_make_a_layer_equivariant_to_their_symmetry_alone(noise):
    mirrored = means(measure_equivariance(network_of(convolution(left_right), nn.ReLU()), noise), "equivariance")
    assert mirrored["left-right"] == pytest.approx(1, abs=1e-5)
    assert mirrored["up-down"] < 0.9
    assert mirrored["rotation"] < 0.9
    turned = means(measure_equivariance(network_of(convolution(all_turns), nn.ReLU()), noise), "equivariance")
    assert turned["rotation"] == pytest.approx(1, abs=1e-5)
    assert turned["left-right"] < 0.9


def test_pooling_an_equivariant_layer_makes_it_invariant_and_leaves_no_map(noise):
    network = network_of(convolution(left_right), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5))
    table = measure_equivariance(network, noise)
    pooled = table[table["layer"] == "2"]
    assert set(pooled["measure"]) == {"invariance"}
    assert means(pooled, "invariance")["left-right"] == pytest.approx(1, abs=1e-4)
    assert means(pooled, "invariance")["up-down"] < 0.99
    assert means(table, "invariance", "1")["left-right"] < 0.5


def test_pooling_an_equivariant_layer_gives_mirror_symmetric_view_tuning(noise):
    # Views of an object whose right views are mirror images of its left ones; the frontal one is its own mirror image.
    left, frontal = noise.pixels[:8].reshape(2, 4, SIZE, SIZE, 3)[:, :2], noise.pixels[8:]
    frontal = np.maximum(frontal, frontal[:, :, ::-1])[:, None]
    pixels = np.concatenate([left, frontal, left[:, ::-1, :, ::-1]], axis=1).reshape(-1, SIZE, SIZE, 3)
    rows = [(f"{i}_{azimuth}", "none", i, azimuth) for i in "ab" for azimuth in (-90, -45, 0, 45, 90)]
    table = pd.DataFrame(rows, columns=["stimulus_id", "filename", "identity", "azimuth_deg"]).set_index("stimulus_id")
    views = StimulusSet(table, pixels=pixels, name="views")
    network = network_of(convolution(left_right), nn.ReLU())
    rdms = compute_model_rdms(network, views, ["1", "avgpool(1)"], within="identity")
    index = index_table(rdms).groupby("layer")["index"].mean()
    assert index["avgpool(1)"] == pytest.approx(1, abs=1e-4)
    assert index["1"] < 0.5


@pytest.mark.parametrize("normalize", ["zscore", None])
@pytest.mark.parametrize("size", [SIZE, SIZE - 1])
def test_both_measures_equal_numpy_written_out(noise, size, normalize):
    torch.manual_seed(1)
    network = Network("built", nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()).eval(), Preprocessing(size=size))
    images = noise.images(size)
    with torch.no_grad():
        plain = network.module(network.preprocessing(images)).double().numpy()
        flipped = network.module(network.preprocessing(images[..., ::-1].copy())).double().numpy()
    if normalize:
        plain = (plain - plain.mean(0)) / plain.std(0)
        flipped = (flipped - flipped.mean(0)) / flipped.std(0)
    kept = [column for column in range(size) if not (size % 2 and column == size // 2)]
    oracle = {
        "invariance": [
            np.corrcoef(a[..., kept].ravel(), b[..., kept].ravel())[0, 1] for a, b in zip(plain, flipped, strict=True)
        ],
        "equivariance": [
            np.corrcoef(a[..., ::-1][..., kept].ravel(), b[..., kept].ravel())[0, 1]
            for a, b in zip(plain, flipped, strict=True)
        ],
    }
    table = measure_equivariance(network, noise, ["1"], transforms=["left-right"], normalize=normalize)
    table = table.set_index("measure")
    for measure, values in oracle.items():
        assert table.loc[measure, "mean"] == pytest.approx(np.mean(values), abs=1e-5)
        assert table.loc[measure, "sd"] == pytest.approx(np.std(values, ddof=1), abs=1e-5)
        assert table.loc[measure, "n"] == 10


def test_the_image_itself_is_equivariant_to_everything_and_noise_invariant_to_nothing(noise):
    table = measure_equivariance(load_model("pixels"), noise)
    assert all(mean == pytest.approx(1, abs=1e-5) for mean in means(table, "equivariance").values())
    assert all(abs(mean) < 0.1 for mean in means(table, "invariance").values())


def test_the_central_column_does_not_make_a_layer_look_invariant(noise):
    # Maps of three columns, of which the flip leaves one where it is: with it, pixels would correlate at about 1/3.
    network = Network("built", nn.Sequential(nn.Identity(), nn.ReLU()).eval(), Preprocessing(size=3, mean=(0, 0, 0)))
    table = measure_equivariance(network, noise, ["1"], transforms=["left-right"], measures=["invariance"])
    responses = noise.images(3)
    scores = (responses - responses.mean(0)) / responses.std(0)
    oracle = [np.corrcoef(x[..., [0, 2]].ravel(), x[..., [2, 0]].ravel())[0, 1] for x in scores]
    assert table["mean"].item() == pytest.approx(np.mean(oracle), abs=1e-5)


def test_batches_change_nothing(noise):
    network = network_of(nn.Conv2d(3, 4, 3), nn.ReLU())
    whole = measure_equivariance(network, noise)
    pieces = measure_equivariance(network, noise, batch_size=3)
    starved = measure_equivariance(network, noise, memory_mb=1e-6)
    np.testing.assert_allclose(pieces["mean"], whole["mean"], atol=1e-5)
    np.testing.assert_allclose(starved["mean"], whole["mean"], atol=1e-5)
    assert whole.columns.tolist() == list(EQUIVARIANCE_COLUMNS)


def test_constant_units_are_dropped_and_a_layer_of_them_is_undefined(noise):
    layer = nn.Conv2d(3, 2, 3)
    with torch.no_grad():
        layer.weight[1] = 0
    alone = nn.Conv2d(3, 1, 3)
    alone.load_state_dict({"weight": layer.weight[:1], "bias": layer.bias[:1]})
    np.testing.assert_allclose(
        measure_equivariance(network_of(layer, nn.Sigmoid()), noise)["mean"],
        measure_equivariance(network_of(alone, nn.Sigmoid()), noise)["mean"],
        atol=1e-6,
    )
    with torch.no_grad():
        layer.weight.zero_()
    table = measure_equivariance(network_of(layer, nn.Sigmoid()), noise)
    assert table["mean"].isna().all()
    assert (table["n"] == 0).all()


def test_equivariance_of_a_layer_without_a_map_is_refused(noise):
    with pytest.raises(InputError, match=r"\['fc1', 'fc2', 'fc3'\] have none"):
        measure_equivariance(load_model("cnn-small"), noise, measures=["equivariance"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transforms": ["left-rigth"]}, "did you mean 'left-right'"),
        ({"measures": ["variance"]}, "did you mean 'invariance'"),
        ({"layers": ["conv9"]}, "no layer 'conv9'"),
        ({"normalize": "z"}, "normalize must be one of 'zscore', None"),
    ],
)
def test_unknown_names_are_refused(noise, options, message):
    with pytest.raises(InputError, match=message):
        measure_equivariance(load_model("cnn-small"), noise, **options)


def test_two_images_are_too_few(noise):
    with pytest.raises(InputError, match="at least three"):
        measure_equivariance(load_model("cnn-small"), noise.take([0, 1]))


def test_a_response_that_is_not_finite_names_the_layer(noise):
    layer = nn.Conv2d(3, 2, 3)
    nn.init.constant_(layer.weight, torch.inf)
    with pytest.raises(InputError, match="layer '1' gives a response that is not a finite number"):
        measure_equivariance(network_of(layer, nn.ReLU()), noise)
