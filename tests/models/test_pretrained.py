"""The networks that come with the package: what they were trained for, they can do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neural_data import InputError
from neurocompare import load_model
from neurocompare.models.checkpoints import SHIPPED

CHANCE = 0.1


@pytest.mark.parametrize("regime", ["symmetric", "chiral"])
def test_a_shipped_network_tells_its_classes_apart(rendered, regime):
    network = load_model("cnn-small", weights="pretrained", regime=regime)
    images = rendered(regime)
    right = network.forward(images.images / np.float32(255)).argmax(1).numpy() == images.labels
    assert right.mean() > 0.95
    assert (network.regime, network.dtype) == (regime, torch.float32)


def test_the_shipped_equivariant_network_tells_its_classes_apart_and_not_an_image_from_its_mirror_image(rendered):
    network = load_model("equivariant", weights="pretrained", regime="symmetric", device="cpu")
    images = rendered("symmetric", network.preprocessing.side)
    shown = images.images / np.float32(255)
    scores, mirrored = network.forward(shown), network.forward(shown[..., ::-1].copy())
    assert (scores.argmax(1).numpy() == images.labels).mean() > 0.9
    torch.testing.assert_close(scores, mirrored, atol=1e-4 * float(scores.abs().max()), rtol=1e-4)


def test_twins_look_different_to_the_networks(rendered):
    network = load_model("cnn-small", weights="pretrained", regime="symmetric")
    images = rendered("chiral")
    right = network.forward(images.images / np.float32(255)).argmax(1).numpy() == images.labels
    assert CHANCE < right.mean() < 0.95


def test_shipped_networks_are_small():
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 10e6


def test_other_regimes_are_refused():
    with pytest.raises(InputError, match="of the regimes chiral, symmetric; name one of them as regime, not 'natural'"):
        load_model("cnn-small", weights="pretrained", regime="natural")
