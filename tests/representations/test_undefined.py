"""An RDM that is not defined says why."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from neurocompare.models.registry import Network, Preprocessing, load_model
from neurocompare.representations.model_rdms import compute_model_rdms


class Block(nn.Module):
    """A residual branch without its shortcut, whose last gain starts at zero, as timm starts it."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.relu = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()
        nn.init.zeros_(self.norm.weight)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.relu(self.norm(self.conv(x))).mean((2, 3)))


def explained(module, faces, layer, caplog, normalize="zscore"):
    network = Network("net", module.eval(), Preprocessing(size=12))
    rdms = compute_model_rdms(network, faces, layer, normalize=normalize)
    assert np.isnan(rdms.dissimilarities).any()
    return caplog.text


@pytest.mark.parametrize("normalize", ["zscore", None])
def test_a_dead_block_names_its_gain(faces, caplog, normalize):
    text = explained(Block(), faces, "relu", caplog, normalize)
    assert "relu: all 400 units are constant (0)" in text
    assert "the first output that does not vary is 'norm' (normalisation): weight of it is 0" in text


def test_what_lies_behind_a_dead_block_names_the_block(faces, caplog):
    text = explained(Block(), faces, "head", caplog)
    assert "head: all 3 units are constant (the same whatever is shown)" in text
    assert "does not vary is 'norm'" in text


def test_the_gaussian_start_leaves_nothing_dead(faces, caplog):
    network = load_model(Block(), start="gaussian", preprocessing=Preprocessing(size=12))
    assert np.isfinite(compute_model_rdms(network, faces, "all", normalize=None).dissimilarities).all()
    assert "not defined" not in caplog.text


def test_a_single_unit_and_uniform_patterns_are_named(faces, caplog):
    torch.manual_seed(0)
    one = nn.Sequential(nn.Flatten(), nn.Linear(432, 1))
    assert "1: it has one unit, and a correlation across units needs two" in explained(one, faces, "1", caplog, None)
    caplog.clear()
    alike = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 1), nn.Upsample(scale_factor=6))
    alike.insert(3, nn.Unflatten(1, (1, 1)))
    assert "all 6 units answer alike to 16 of 16 stimuli" in explained(alike, faces, "4", caplog, None)
