"""Networks by name: what they are, how they start, where they run, what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from neural_data import InputError
from neurocompare.models import pca
from neurocompare.models.registry import OWN_NETWORKS, Preprocessing, load_model


def test_cnn_small_is_the_network_of_the_paper():
    module = load_model("cnn-small").module
    shapes = [tuple(w.shape) for w in module.parameters() if w.dim() > 1]
    assert shapes == [
        (32, 3, 3, 3), (32, 32, 3, 3), (64, 32, 3, 3), (128, 64, 3, 3), (256, 8192), (256, 256), (10, 256),
    ]  # fmt: skip
    assert sum(isinstance(part, nn.BatchNorm2d) for part in module.modules()) == 2
    assert not module.training


def test_the_gaussian_start_has_variance_one_over_fan_in_and_follows_the_seed():
    first, same, other = (load_model("cnn-small", seed=seed).module for seed in (3, 3, 4))
    assert torch.equal(first.fc1[0].weight, same.fc1[0].weight)
    assert not torch.equal(first.fc1[0].weight, other.fc1[0].weight)
    assert first.fc1[0].weight.var().item() == pytest.approx(1 / 8192, rel=0.01)
    assert first.fc1[0].bias.abs().max() == 0


def test_the_own_start_is_he_uniform():
    weight = load_model("cnn-small", start="own").module.fc1[0].weight
    assert weight.abs().max().item() == pytest.approx((6 / 8192) ** 0.5, rel=1e-3)


def test_loading_leaves_the_global_random_state_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    load_model("cnn-small", seed=9)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_a_checkpoint_comes_back(tmp_path, suffix):
    state = load_model("cnn-small", seed=5).module.state_dict()
    path = tmp_path / f"weights.{suffix}"
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    network = load_model("cnn-small", weights=path)
    assert network.regime == "trained"
    assert all(torch.equal(value, state[name]) for name, value in network.module.state_dict().items())


USERS_PACKAGE = """
import torch
from torch import nn
from neurocompare.models.preprocessing import Preprocessing

class Net(nn.Module):
    preprocessing = Preprocessing(size=16)

    def __init__(self):
        super().__init__()
        self.last, self.act, self.first = nn.Linear(4, 2), nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3)
        self.pool, self.unused = nn.AdaptiveAvgPool2d(1), nn.ReLU()
        self.up = nn.ConvTranspose2d(6, 2, 5)
        self.attn = nn.MultiheadAttention(8, 2)

    def forward(self, x):
        return self.last(self.pool(self.act(self.first(x))).flatten(1))

instance = Net()
number = 3

def gives_number(): return 3
def needs(width): return Net()
def wants_gpu(): return Net().to(torch.device("cuda", 99))
"""


@pytest.fixture
def users_package(tmp_path, monkeypatch):
    (tmp_path / "users_package.py").write_text(USERS_PACKAGE)
    (tmp_path / "users_broken_package.py").write_text("def Net(:\n")
    monkeypatch.chdir(tmp_path)


def test_networks_of_a_users_package_are_found(users_package):
    network = load_model("users_package:Net", seed=2)
    assert network.layer_names() == ["act", "pool", "last"]
    assert network.preprocessing.size == 16
    assert network.module.up.weight.var().item() == pytest.approx(1 / (6 * 25), rel=0.2)
    assert network.module.attn.in_proj_weight.var().item() == pytest.approx(1 / 8, rel=0.3)
    instance = load_model("users_package:instance", start="own").module
    assert type(instance).__name__ == "Net"
    assert instance is not load_model("users_package:instance", start="own").module


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("users_package:gives_number", "gives a int; it must return"),
        ("users_package:number", "is a int; name a callable"),
        ("collections:OrderedDict", "must return a torch.nn.Module"),
        ("builtins:dict", "must return a torch.nn.Module"),
        ("users_package:needs", "without arguments.*width"),
        ("users_package:gives_numbr", "did you mean 'gives_number'"),
        ("users_package:wants_gpu", "could not be made here"),
        ("users_broken_package:Net", "cannot be imported.*invalid syntax"),
        ("no_such_package:Net", "cannot be imported"),
        ("cnn-smal", "did you mean 'cnn-small'"),
    ],
)
def test_what_is_no_network_is_refused(users_package, name, message):
    with pytest.raises(InputError, match=message):
        load_model(name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "pretrained"}, "of the regimes chiral, symmetric"),
        ({"start": "zeros"}, "start must be one of"),
        ({"device": "cuda:99"}, "device 'cuda:99' cannot be used.*this machine has cpu"),
        ({"device": "gpu"}, "device 'gpu' cannot be used"),
        ({"precision": "float8"}, "precision must be one of"),
    ],
)
def test_options_that_cannot_be_met_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        load_model("cnn-small", **options)


def test_the_device_is_chosen_automatically():
    chosen = load_model("cnn-small").device.type
    assert chosen == ("cuda" if torch.cuda.is_available() else "cpu")
    assert load_model("cnn-small", device="cpu").device.type == "cpu"


def test_half_precision_comes_only_on_request():
    assert load_model("cnn-small").dtype == torch.float32
    network = load_model("cnn-small", precision="bfloat16")
    assert network.dtype == torch.bfloat16
    assert network.forward(np.zeros((2, 3, 32, 32), dtype=np.float32)).dtype == torch.bfloat16


@pytest.mark.parametrize("name", sorted(OWN_NETWORKS))
def test_our_own_networks_process_images_of_the_size_they_name(name, monkeypatch):
    monkeypatch.setattr(pca, "TRAINING_IDENTITIES", 6)
    network = load_model(name)
    images = np.random.default_rng(0).random((2, 3, *[network.preprocessing.size] * 2), dtype=np.float32)
    assert torch.isfinite(network.forward(images)).all()
    assert network.layer_names()


def test_preprocessing_subtracts_and_divides_by_channel():
    images = np.full((1, 3, 2, 2), 0.5, dtype=np.float32)
    found = Preprocessing(size=2, mean=(0.5, 0.25, 0.0), sd=(1.0, 0.5, 0.25))(images)
    assert found[0, :, 0, 0].tolist() == [0.0, 0.5, 2.0]


def test_preprocessing_crops_the_centre_and_keeps_mirror_images_mirrored(faces):
    own = Preprocessing(size=8, crop_from=12)
    images = faces.images(own.image_size)
    shown = own(images)
    assert shown.shape == (len(faces), 3, 8, 8)
    np.testing.assert_allclose(own(images[..., ::-1].copy()), shown.flip(-1))
    np.testing.assert_allclose(shown, dataclasses.replace(own, crop_from=None, size=12)(images)[..., 2:10, 2:10])


@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"size": 32, "crop_from": 16}, {"mean": (0.5,)}, {"sd": (1.0, 0.0, 1.0)}]
)
def test_preprocessing_that_cannot_be_is_refused(wrong):
    with pytest.raises(InputError):
        Preprocessing(**wrong)
