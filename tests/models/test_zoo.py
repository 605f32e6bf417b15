"""Zoo networks against stand-ins for torchvision and timm, which are not needed to test how they are asked."""

from __future__ import annotations

import enum
import sys
from types import ModuleType, SimpleNamespace
from urllib.error import URLError

import pytest
from torch import nn

from neural_data import InputError
from neurocompare.models.preprocessing import Preprocessing
from neurocompare.models.registry import load_model


def small():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())


def weights_of(recipe):
    """Weights as torchvision has them: an enumeration, whose members know how images are shown."""

    class Weights(enum.Enum):
        IMAGENET1K_V2 = "v2"
        DEFAULT = IMAGENET1K_V2

        def transforms(self):
            return recipe

    return Weights


@pytest.fixture
def torchvision(monkeypatch):
    package, models = ModuleType("torchvision"), ModuleType("torchvision.models")
    recipe = SimpleNamespace(
        crop_size=[24],
        resize_size=[32],
        mean=[0.4, 0.5, 0.6],
        std=[0.1, 0.2, 0.3],
        interpolation=SimpleNamespace(value="bicubic"),
    )

    def get_model_weights(name):
        if name != "alexnet":
            raise ValueError(f"Unknown model {name}")
        return weights_of(recipe)

    def get_model(name, weights):
        if weights is not None:
            raise URLError("no route to host")
        return small()

    models.get_model_weights, models.get_model, models.list_models = get_model_weights, get_model, lambda: ["alexnet"]
    package.models = models
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.models", models)


@pytest.fixture
def timm(monkeypatch):
    package = ModuleType("timm")
    recipe = {"input_size": (3, 20, 20), "mean": (0.1, 0.2, 0.3), "std": (1.0, 1.0, 1.0), "crop_pct": 0.8}
    recipe |= {"interpolation": "bicubic", "crop_mode": "center"}
    package.is_model = lambda name: name == "resnet50"
    package.list_models = lambda: ["resnet50"]
    package.list_pretrained = lambda _name: ["resnet50.a1_in1k"]
    package.create_model = lambda _name, **_options: small()
    package.data = SimpleNamespace(resolve_model_data_config=lambda _module: recipe)
    monkeypatch.setitem(sys.modules, "timm", package)


def test_torchvision_networks_bring_their_preprocessing(torchvision):
    network = load_model("torchvision:alexnet")
    own = network.preprocessing
    assert (own.size, own.crop_from, own.interpolation) == (24, 32, "bicubic")
    assert network.preprocessing_source == "of torchvision's weights IMAGENET1K_V2"
    assert load_model("torchvision:alexnet.IMAGENET1K_V2").preprocessing == own
    assert own.mean == (0.4, 0.5, 0.6)
    assert network.layer_names() == ["1"]
    assert network.regime == "untrained"


def test_timm_networks_bring_their_preprocessing(timm):
    network = load_model("timm:resnet50.a1_in1k", weights="pretrained")
    assert network.preprocessing == Preprocessing(
        size=20, mean=(0.1, 0.2, 0.3), sd=(1, 1, 1), crop_from=25, interpolation="bicubic", fill=(0.1, 0.2, 0.3)
    )
    assert "assumed" not in network.preprocessing_source
    assert network.regime == "trained"


def test_names_that_a_zoo_does_not_know_are_refused(torchvision, timm):
    with pytest.raises(InputError, match=r"torchvision has no model 'alexnett': did you mean 'alexnet'"):
        load_model("torchvision:alexnett")
    with pytest.raises(InputError, match=r"timm has no model 'resnet5.a1': did you mean 'resnet50'"):
        load_model("timm:resnet5.a1")
    with pytest.raises(InputError, match=r"timm has no weights 'resnet50.a2_in1k': did you mean 'resnet50.a1_in1k'"):
        load_model("timm:resnet50.a2_in1k")


def test_weights_that_cannot_be_fetched_are_said_to_be_so(torchvision):
    with pytest.raises(InputError, match=r"weights of torchvision:alexnet could not be fetched .*no route to host"):
        load_model("torchvision:alexnet", weights="pretrained")


def test_a_recipe_that_says_nothing_is_said_to_be_assumed(torchvision, monkeypatch, caplog):
    says_nothing = weights_of(SimpleNamespace())
    monkeypatch.setattr(sys.modules["torchvision.models"], "get_model_weights", lambda _name: says_nothing)
    network = load_model("torchvision:alexnet")
    assert network.preprocessing_source == "assumed, as usual for ImageNet"
    assert network.preprocessing.mean == (0.485, 0.456, 0.406)
    assert "nothing says how images are shown to it" in caplog.text


def test_weights_of_torchvision_are_known_by_name(torchvision):
    with pytest.raises(InputError, match=r"torchvision has no weights 'alexnet.IMAGENET1K_V3': did you mean"):
        load_model("torchvision:alexnet.IMAGENET1K_V3")
    with pytest.raises(InputError, match=r"has no weights 'alexnet.transforms': known are 'IMAGENET1K_V2', 'DEFAULT'$"):
        load_model("torchvision:alexnet.transforms")


@pytest.mark.parametrize("name", ["torchvision:alexnet", "timm:resnet50"])
def test_a_zoo_that_is_not_installed_is_named_with_the_extra(name, monkeypatch):
    for package in ("torchvision", "torchvision.models", "timm"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=r"cannot be imported.*pip install 'neurocompare\[zoo\]'"):
        load_model(name)
