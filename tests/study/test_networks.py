"""Networks of a study as records that travel to workers."""

from __future__ import annotations

import pytest
import torch

from neurocompare.models import registry
from neurocompare.study.grammar import Model, Study
from neurocompare.study.networks import identify_networks, loaded


def test_components_are_fitted_once_and_travel(monkeypatch):
    study = Study.model_construct(models=[Model(name="pca", seeds=[3])])
    fitted = registry.load_model("pca", seed=3)
    (record,) = identify_networks(study, "cpu")
    monkeypatch.setattr(registry, "fit_to_rendered_faces", lambda *_: pytest.fail("fitted again"))
    network = loaded(record)
    assert (network.regime, network.seed, network.layer_names()) == ("fitted", 3, ["scores", "energy"])
    expected = fitted.module.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in network.module.state_dict().items())
