"""Kernel symmetry of weights that are symmetric, antisymmetric or neither by construction."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from neural_data import InputError
from neurocompare.models.registry import Network, Preprocessing, load_model
from neurocompare.representations.symmetry import KERNEL_COLUMNS, kernel_symmetry, weight_symmetry


@pytest.mark.parametrize("size", [4, 5])
def test_symmetric_weights_give_one_and_antisymmetric_ones_minus_one(rng, size):
    weights = rng.normal(size=(3, 2, size, size))
    mirrored = weights[..., ::-1]
    kernels = np.concatenate([weights[:1] + mirrored[:1], weights[1:2] - mirrored[1:2]])
    np.testing.assert_allclose(weight_symmetry(kernels), [1, np.corrcoef(_half(kernels[1]), -_half(kernels[1]))[0, 1]])
    np.testing.assert_allclose(weight_symmetry(kernels)[1], -1)
    np.testing.assert_allclose(weight_symmetry(kernels.swapaxes(2, 3), "up-down"), [1, -1])
    assert np.abs(weight_symmetry(kernels, "up-down")).max() < 0.99


def _half(kernel):
    return kernel[..., : kernel.shape[-1] // 2].ravel()


def test_symmetry_is_the_correlation_of_the_halves_by_hand():
    kernel = np.array([[[[1.0, 9.0, 2.0], [2.0, 9.0, 1.0], [3.0, 9.0, 5.0]]]])
    assert weight_symmetry(kernel)[0] == pytest.approx(np.corrcoef([1, 2, 3], [2, 1, 5])[0, 1])
    assert weight_symmetry(kernel, "up-down")[0] == pytest.approx(np.corrcoef([1, 9, 2], [3, 9, 5])[0, 1])


def test_kernels_of_one_column_have_no_symmetry(rng):
    assert np.isnan(weight_symmetry(rng.normal(size=(2, 8, 1, 1)))).all()


def test_random_weights_are_symmetric_on_average_by_nothing():
    table = kernel_symmetry(load_model("cnn-small", seed=2))
    assert table.columns.tolist() == list(KERNEL_COLUMNS)
    assert table["layer"].unique().tolist() == ["conv1", "conv2", "conv3", "conv4", "fc1"]
    means = table.groupby(["layer", "transform"])["symmetry"].mean()
    assert means.abs().max() < 0.15
    assert (table.groupby("layer", sort=False)["channel"].max() + 1).tolist() == [32, 32, 64, 128, 256]


def test_the_first_dense_layer_is_seen_through_the_map_that_feeds_it(rng):
    dense = nn.Linear(2 * 4 * 4, 3)
    weights = rng.normal(size=(3, 2, 4, 4)).astype(np.float32)
    weights = weights + weights[..., ::-1]
    with torch.no_grad():
        dense.weight.copy_(torch.from_numpy(weights.reshape(3, 32)))
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(), dense)
    table = kernel_symmetry(Network("built", module.eval(), Preprocessing(size=10)))
    rows = table[(table["layer"] == "5") & (table["transform"] == "left-right")]
    np.testing.assert_allclose(rows["symmetry"], 1, atol=1e-6)


def test_a_dense_layer_behind_global_pooling_has_no_rows():
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    assert kernel_symmetry(Network("built", module.eval(), Preprocessing(size=10)))["layer"].unique().tolist() == ["0"]


def test_an_unknown_flip_is_refused():
    with pytest.raises(InputError, match="did you mean 'left-right'"):
        weight_symmetry(np.zeros((1, 1, 3, 3)), "left-rigth")


def test_several_kernels_of_one_named_layer_keep_their_own_names():
    class Net(nn.Module):
        layer_names = ("stem", "block")

        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())
            self.block = nn.Sequential(nn.Conv2d(2, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3))

        def forward(self, x):
            return self.block(self.stem(x))

    table = kernel_symmetry(Network("built", Net().eval(), Preprocessing(size=10)))
    assert table["layer"].unique().tolist() == ["stem", "block.0", "block.2"]
