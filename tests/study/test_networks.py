"""Networks of a study as records that travel to workers."""

from __future__ import annotations

import dataclasses
import importlib
import sys

import numpy as np
import pytest
import safetensors.torch
import torch

from neural_data import InputError
from neurocompare import load_model
from neurocompare.models import registry
from neurocompare.models.inspection import inspect_network
from neurocompare.study.cache import open_cache
from neurocompare.study.grammar import Model, Study
from neurocompare.study.networks import identify_networks, loaded
from neurocompare.study.runner import plan_study


@pytest.mark.slow
def test_components_are_fitted_once_and_travel(monkeypatch):
    study = Study.model_construct(models=[Model(name="pca", seeds=[3])])
    fitted = registry.load_model("pca", seed=3)
    (record,) = identify_networks(study, "cpu")
    own = dataclasses.replace(registry.OWN_NETWORKS["pca"], fit=lambda _seed: pytest.fail("fitted again"))
    monkeypatch.setitem(registry.OWN_NETWORKS, "pca", own)
    network = loaded(record)
    assert (network.regime, network.seed, network.layer_names()) == ("fitted", 3, ["scores", "energy"])
    expected = fitted.module.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in network.module.state_dict().items())


@pytest.mark.parametrize("name", ["low-level", "eccentricity", "hemispheres"])
def test_networks_built_from_a_seed_travel_as_they_are(name):
    study = Study.model_construct(models=[Model(name=name, seeds=[2])])
    (record,) = identify_networks(study, "cpu")
    images = np.random.default_rng(0).random((2, 3, 64, 64), dtype=np.float32)
    assert torch.equal(loaded(record).forward(images), registry.load_model(name, seed=2).forward(images))
    assert not torch.equal(loaded(record).forward(images), registry.load_model(name).forward(images))


def test_seeds_that_give_the_same_weights_are_refused(tmp_path, monkeypatch):
    code = "from torch import nn\ndef make():\n    net = nn.Sequential(nn.Conv2d(3, 2, 3, bias=False))\n"
    (tmp_path / "same_weights.py").write_text(code + "    nn.init.ones_(net[0].weight)\n    return net\n")
    monkeypatch.chdir(tmp_path)
    study = Study.model_construct(models=[Model(name="same_weights:make", layers="0", seeds=[0, 1])])
    with pytest.raises(InputError, match="seeds 0 and 1 of same_weights:make give the same weights"):
        identify_networks(study, "cpu")
    started = Study.model_construct(
        models=[Model(name="same_weights:make", layers="0", seeds=[0, 1], start="gaussian")]
    )
    assert [record.regime for record in identify_networks(started, "cpu")] == ["untrained", "untrained"]


def test_two_networks_that_tables_would_call_alike_are_refused(small_study, tmp_path):
    for seed in (1, 2):
        state = load_model("cnn-small", seed=seed, device="cpu").module.state_dict()
        safetensors.torch.save_file(state, tmp_path / f"{seed}.safetensors")
    given = {"name": "cnn-small", "layers": ["fc1"]}
    models = [{**given, "weights": str(tmp_path / f"{seed}.safetensors")} for seed in (1, 2)]
    with pytest.raises(InputError, match="cnn-small, trained, seed 0 has two layers of the same layer"):
        plan_study(small_study, overrides={"models": models})
    plan_study(small_study, overrides={"models": [models[0], {**models[1], "called": "the second"}]})


def test_weights_of_every_kind_are_part_of_what_a_network_is(tmp_path, monkeypatch):
    code = """
import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self, imaginary=1.0, sparse=1.0):
        super().__init__(nn.Conv2d(3, 2, 3), nn.ReLU())
        nn.init.ones_(self[0].weight), nn.init.ones_(self[0].bias)
        self.register_buffer("filters", torch.tensor([1 + imaginary * 1j]))
        self.register_buffer("links", torch.diag(torch.tensor([0.0, sparse])).to_sparse())
        self.register_buffer("mask", torch.tensor([True]))

def one(): return Net()
def two(): return Net(imaginary=2.0)
def three(): return Net(sparse=2.0)
"""
    (tmp_path / "kinds_of_weights.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    names = [f"kinds_of_weights:{name}" for name in ("one", "one", "two", "three")]
    records = identify_networks(Study.model_construct(models=[Model(name=name) for name in names]), "cpu")
    assert records[0].sha256 == records[1].sha256
    assert len({record.sha256 for record in records}) == 3
    assert records[0].notes == (
        "kinds_of_weights:one: how images are shown to it is assumed: 224 x 224 pixels (crop, bilinear), rgb in 0..1, "
        "mean 0.5, sd 0.25.",
    )


@pytest.fixture
def looks(monkeypatch, tmp_path):
    """A function of models: their records, and how many networks were looked at for them, with one cache."""
    seen, cache = [], open_cache(tmp_path / "cache")
    monkeypatch.setattr(
        registry, "inspect_network", lambda *args, **kwargs: seen.append(1) or inspect_network(*args, **kwargs)
    )

    def look(*models):
        seen.clear()
        return identify_networks(Study.model_construct(models=list(models)), "cpu", cache=cache), len(seen)

    return look


def test_what_forward_passes_show_is_kept_for_the_same_weights(looks):
    (first,), n_looks = looks(Model(name="cnn-small"))
    assert n_looks == 1
    (again,), n_looks = looks(Model(name="cnn-small"))
    assert (again, again.inspected, n_looks) == (first, first.inspected, 0)
    assert loaded(again).inspected is again.inspected
    assert looks(Model(name="cnn-small", seeds=[1]))[1] == 1


def test_code_of_the_users_own_is_looked_at_every_time(looks, tmp_path, monkeypatch):
    """A factory may hang on files that nobody names; and its own file is part of what a network is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "net_by_flag.py").write_text(
        "from torch import nn\n\nclass Net(nn.Module):\n"
        "    def __init__(self, deep):\n        super().__init__()\n"
        "        self.a, self.b, self.deep = nn.Conv2d(3, 2, 3), nn.AvgPool2d(2), deep\n"
        "        nn.init.ones_(self.a.weight), nn.init.ones_(self.a.bias)\n\n"
        "    def forward(self, images):\n"
        "        found = self.a(images)\n        return self.b(found) if self.deep else found\n"
    )
    records = []
    for deep in (False, False, True):
        (tmp_path / "factory_by_flag.py").write_text(
            f"from net_by_flag import Net\n\ndef make():\n    return Net({deep})\n"
        )
        sys.modules.pop("factory_by_flag", None)
        importlib.invalidate_caches()
        (record,), n_looks = looks(Model(name="factory_by_flag:make", layers="all"))
        assert n_looks == 1
        records.append(record)
    assert [record.layers for record in records] == [("a",), ("a",), ("a", "b")]
    assert records[0].fingerprint == records[1].fingerprint != records[2].fingerprint
    assert records[0].sha256 == records[2].sha256
