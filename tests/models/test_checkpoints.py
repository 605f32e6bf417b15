"""Checkpoints: what fits goes in whole, what does not is refused with the reason, and no file's code is run."""

from __future__ import annotations

import json
import logging
import pickle
import warnings

import pytest
import torch
from safetensors.torch import save_file, save_model

from neural_data import InputError
from neurocompare.models.checkpoints import (
    in_fewer_bits,
    load_checkpoint,
    read_checkpoint,
    write_checkpoint,
    write_state,
)
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


@pytest.mark.parametrize(("matrices", "bits"), [(torch.float16, 11), (torch.float8_e4m3fn, 4)])
def test_weights_in_fewer_bits_are_read_as_the_nearest_that_there_are(tmp_path, matrices, bits):
    """A rounded number is within half of its last bit; numbers under 2^-6 have fewer bits in 8-bit floats."""
    state = load_model("equivariant", seed=0).module.state_dict()
    small = in_fewer_bits(state, matrices=matrices)
    assert {value.dtype for value in small.values()} == {torch.float16, matrices, torch.int64}
    network = load_model("equivariant", weights=write_state(tmp_path / "small.safetensors", small))
    for name, value in network.module.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=2.0**-bits, atol=2.0**-10)


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
        (pickled, "safe to read.*safetensors.torch.save_model"),
        (whole, "safe to read"),
        (truncated, "safe to read"),
        (empty, "is empty"),
        (listed, "no state dictionary"),
        (other, "does not fit cnn-small: 21 weights missing.*1 unexpected.*stem.*1 of another shape.*instead of"),
        (broken, "fc3.bias has a value that is not finite"),
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


def small():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU())


@pytest.fixture
def weights():
    torch.manual_seed(3)
    return {name: value.clone() for name, value in small().state_dict().items()}


def loaded(source, module=None):
    module = small() if module is None else module
    load_checkpoint(module, source, name="small")
    return module.state_dict()


def assert_same(found, expected):
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize(
    "prefix",
    ["_orig_mod.module.", "model._orig_mod.", "module.module.", "net.", "backbone.", "model.module._orig_mod.encoder."],
)
def test_prefixes_come_off_in_any_order(weights, prefix):
    assert_same(loaded({prefix + name: value for name, value in weights.items()}), weights)


def test_wrappers_come_off_in_the_middle_and_prefixes_of_the_network_may_be_missing(weights):
    held = torch.nn.Module()
    held.features = small()
    inside = {f"features.module.{name}": value for name, value in weights.items()}
    expected = {f"features.{name}": value for name, value in weights.items()}
    assert_same(loaded(inside, held), expected)
    assert_same(loaded(weights, held), expected)


def test_counters_that_no_response_depends_on_may_be_missing_or_too_many(weights):
    old = {name: value for name, value in weights.items() if "num_batches" not in name}
    assert_same(loaded(old), old)
    assert_same(loaded({**weights, "total_ops": torch.zeros(1)}), weights)
    del old["1.running_mean"]
    with pytest.raises(InputError, match=r"1 weights missing \['1.running_mean'\]"):
        loaded(old)


class Tied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
        self.second.weight = self.first.weight


def test_tied_weights_are_kept_once_and_read_into_both(tmp_path):
    torch.manual_seed(0)
    trained = Tied()
    save_model(trained, str(tmp_path / "once.safetensors"))  # the guide's recipe
    assert len(read_checkpoint(tmp_path / "once.safetensors")) == 3
    assert_same(loaded(tmp_path / "once.safetensors", Tied()), trained.state_dict())
    differ = {**trained.state_dict(), "second.weight": torch.zeros(3, 3)}
    with pytest.raises(InputError, match=r"first.weight and second.weight are the same weight"):
        loaded(differ, Tied())
    with pytest.raises(InputError, match="weights missing"):
        loaded({name: value for name, value in trained.state_dict().items() if "weight" not in name}, Tied())


def sharded(folder, weights, **changed):
    names = sorted(weights)
    files = {"part-1.safetensors": names[:3], "part-2.safetensors": names[3:]}
    for file, held in files.items():
        save_file({name: weights[name] for name in held}, folder / file)
    index = {name: file for file, held in files.items() for name in held} | changed
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return folder


def test_sharded_safetensors_are_read_by_their_index(tmp_path, weights):
    assert_same(loaded(sharded(tmp_path, weights)), weights)
    assert_same(loaded(tmp_path / "model.safetensors.index.json"), weights)
    for changed, message in [
        ({"0.weight": "../part-1.safetensors"}, "lies outside its folder"),
        ({"0.weight": "part-3.safetensors"}, "part-3.safetensors"),
        ({"0.weight": "part-2.safetensors"}, "which belongs in part-2.safetensors according to .*index.json"),
        ({"9.weight": "part-2.safetensors"}, r"1 weights are in none of its files \(\['9.weight'\]"),
    ]:
        with pytest.raises(InputError, match=message):
            loaded(sharded(tmp_path, weights, **changed))
    (tmp_path / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(InputError, match="not the index of a sharded checkpoint"):
        loaded(tmp_path)
    with pytest.raises(InputError, match="name the checkpoint itself"):
        loaded(tmp_path.parent)


def test_plain_weights_are_taken_beside_averaged_ones_and_it_is_said(tmp_path, weights, caplog):
    averaged = {name: value + 1 for name, value in weights.items()}
    files = {
        "entries.pt": {"state_dict": weights, "state_dict_ema": averaged, "epoch": 3},
        "prefixes.pt": {
            **{f"model.{name}": value for name, value in weights.items()},
            **{f"model_ema.{name}": value for name, value in averaged.items()},
        },
        "optimizer.pt": {"model": weights, "ema": averaged, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}},
    }
    for name, held in files.items():
        torch.save(held, tmp_path / name)
        caplog.clear()
        assert_same(loaded(tmp_path / name), weights)
        assert "averaged ones" in caplog.text
        assert "the plain ones are taken" in caplog.text
    assert_same(loaded({f"ema.{name}": value for name, value in averaged.items()}), averaged)
    assert "averaged weights (ema) are taken, as there are no plain ones" in caplog.text


def test_what_lies_beside_the_network_is_left_out_with_a_word_and_two_that_fit_are_refused(weights, caplog):
    with_loss = {**{f"model.{name}": value for name, value in weights.items()}, "criterion.weight": torch.ones(3)}
    with caplog.at_level(logging.WARNING):
        assert_same(loaded(with_loss), weights)
    assert "1 entries beside model are left out (criterion.weight)" in caplog.text
    two = {f"{part}.{name}": value + i for i, part in enumerate(["left", "right"]) for name, value in weights.items()}
    with pytest.raises(InputError, match="in several places: left, right; save the right ones"):
        loaded(two)
    with pytest.raises(InputError, match=r"1 unexpected \['9.weight'\]"):
        loaded({**weights, "9.weight": torch.zeros(1)})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.ones(4, 3, 3, 3, dtype=torch.complex64), r"0.weight is complex \(complex64\) but the network's is real"),
        (torch.ones(4, 3, 3, 3, dtype=torch.int8), r"0.weight is whole \(int8\) but the network's is real"),
        (torch.ones(4, 3, 3, 3).to_sparse(), r"0.weight is sparse \(float32\) but the network's is real"),
    ],
)
def test_weights_of_another_kind_are_never_cast(weights, value, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(InputError, match=message):
            loaded({**weights, "0.weight": value})


def test_complex_weights_come_back_whole_and_real_ones_are_not_enough(tmp_path):
    def make():
        module = torch.nn.Module()
        module.register_buffer("filters", torch.tensor([1 + 2j, -3j]))
        module.register_buffer("index", torch.tensor([3, 4]))
        return module

    state = make().state_dict()
    torch.save({**state, "filters": state["filters"] * 1j}, tmp_path / "complex.pt")
    assert loaded(tmp_path / "complex.pt", make())["filters"].tolist() == [-2 + 1j, 3 + 0j]
    with pytest.raises(InputError, match=r"filters is real .* but the network's is complex"):
        loaded({**state, "filters": torch.ones(2)}, make())
    assert loaded({**state, "index": torch.tensor([5.0, 6.0])}, make())["index"].tolist() == [5, 6]
    with pytest.raises(InputError, match=r"index is real .* but the network's is whole"):
        loaded({**state, "index": torch.tensor([5.5, 6.0])}, make())
