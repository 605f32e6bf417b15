"""Checkpoints: what fits goes in whole, what does not is refused with the reason, and no file's code is run."""

from __future__ import annotations

import pickle

import pytest
import torch
from safetensors.torch import save_file

from neural_data import InputError
from neurocompare.models.checkpoints import load_checkpoint, read_checkpoint, write_checkpoint
from neurocompare.models.registry import load_model


@pytest.fixture
def state():
    return load_model("cnn-small", seed=5).module.state_dict()


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module.model."])
def test_wrapped_and_prefixed_state_dictionaries_come_back(tmp_path, state, wrap, prefix):
    path = tmp_path / "weights.pt"
    torch.save(wrap({prefix + key: value for key, value in state.items()}), path)
    loaded = load_model("cnn-small", weights=path).module.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


def test_what_is_written_is_read(tmp_path, state):
    network = load_model("cnn-small", seed=5)
    path = write_checkpoint(network.module, tmp_path / "new" / "weights.safetensors")
    assert set(read_checkpoint(path)) == set(state)
    assert [p.name for p in path.parent.iterdir()] == ["weights.safetensors"]


def test_weights_that_two_modules_share_are_written(tmp_path):
    module = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    module[1].weight = module[0].weight
    path = write_checkpoint(module, tmp_path / "shared.safetensors")
    load_checkpoint(module, path, name="shared")


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_what_is_no_checkpoint_of_this_network_is_refused(tmp_path, state):
    pickled, whole = tmp_path / "pickled.pkl", tmp_path / "whole.pt"
    pickled.write_bytes(pickle.dumps(Hostile(tmp_path / "written")))
    torch.save(load_model("cnn-small").module, whole)
    other, truncated, empty, listed = (tmp_path / name for name in ("o.safetensors", "t.safetensors", "e.pt", "l.pt"))
    save_file({"fc1.0.weight": torch.zeros(2, 2), "stem": torch.zeros(1)}, other)
    truncated.write_bytes(other.read_bytes()[:20])
    empty.write_bytes(b"")
    torch.save([torch.zeros(2)], listed)
    broken = tmp_path / "broken.safetensors"
    save_file({**state, "fc3.bias": torch.full((10,), torch.nan)}, broken)
    for path, message in [
        (pickled, "safe to read.*safetensors.torch.save_file"),
        (whole, "safe to read"),
        (truncated, "safe to read"),
        (empty, "safe to read"),
        (listed, "no state dictionary"),
        (other, "does not fit cnn-small: 23 weights missing.*1 unexpected.*stem.*1 of another shape.*instead of"),
        (broken, "fc3.bias holds a value that is not a finite number"),
        (tmp_path / "none.pt", "no such checkpoint"),
    ]:
        with pytest.raises(InputError, match=message):
            load_model("cnn-small", weights=path)
    assert not (tmp_path / "written").exists()


def test_a_checkpoint_that_does_not_fit_changes_nothing(tmp_path, state):
    network = load_model("cnn-small", seed=1)
    before = {key: value.clone() for key, value in network.module.state_dict().items()}
    path = tmp_path / "part.safetensors"
    save_file({key: value for key, value in state.items() if "fc3" not in key}, path)
    with pytest.raises(InputError, match="2 weights missing"):
        load_checkpoint(network.module, path, name="cnn-small")
    assert all(torch.equal(before[key], value) for key, value in network.module.state_dict().items())
