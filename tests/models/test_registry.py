"""Networks by name: what they are, how they start, what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from neural_data import InputError
from neurocompare.models.registry import Preprocessing, load_model


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


def test_layers_of_any_module_are_found_in_execution_order(tmp_path, monkeypatch):
    source = (
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.last, self.act, self.first = nn.Linear(4, 2), nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3)\n"
        "        self.pool, self.unused = nn.AdaptiveAvgPool2d(1), nn.ReLU()\n"
        "    def forward(self, x):\n"
        "        return self.last(self.pool(self.act(self.first(x))).flatten(1))\n"
        "def number(): return 3\n"
        "def needs(width): return Net()\n"
    )
    (tmp_path / "users_package.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    assert load_model("users_package:Net").layer_names() == ["act", "pool", "last"]
    with pytest.raises(InputError, match="gives a int"):
        load_model("users_package:number")
    with pytest.raises(InputError, match="without arguments"):
        load_model("users_package:needs")
    with pytest.raises(InputError, match="did you mean 'number'"):
        load_model("users_package:numbr")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cnn-smal", "did you mean 'cnn-small'"),
        ("no_such_package:Net", "cannot be imported"),
    ],
)
def test_unknown_networks_are_refused(name, message):
    with pytest.raises(InputError, match=message):
        load_model(name)


def test_broken_checkpoints_are_refused(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "written"), "w"))

    hostile = tmp_path / "hostile.pt"
    hostile.write_bytes(pickle.dumps(Hostile()))
    other = tmp_path / "other.safetensors"
    save_file({"fc1.0.weight": torch.zeros(2, 2), "stem": torch.zeros(1)}, other)
    truncated = tmp_path / "truncated.safetensors"
    truncated.write_bytes(other.read_bytes()[:20])
    for path, message in [
        (hostile, "safe to read"),
        (truncated, "safe to read"),
        (other, "does not fit cnn-small: 23 weights missing.*1 unexpected.*1 of another shape"),
        (tmp_path / "none.pt", "no such checkpoint"),
    ]:
        with pytest.raises(InputError, match=message):
            load_model("cnn-small", weights=path)
    assert not (tmp_path / "written").exists()


def test_preprocessing_subtracts_and_divides_by_channel():
    images = np.full((1, 3, 2, 2), 0.5, dtype=np.float32)
    found = Preprocessing(mean=(0.5, 0.25, 0.0), sd=(1.0, 0.5, 0.25))(images)
    assert found[0, :, 0, 0].tolist() == [0.0, 0.5, 2.0]
