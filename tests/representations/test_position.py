"""Mirror symmetry that is bound to the middle of the image, and mirror symmetry that is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from neural_data import InputError, StimulusSet
from neurocompare.models.registry import Network, Preprocessing
from neurocompare.representations.position import POSITION_COLUMNS, measure_position_tolerance

VIEWS = (-90.0, -45.0, 0.0, 45.0, 90.0)
SIZE = 24


@pytest.fixture
def stimuli() -> StimulusSet:
    """Four exemplars on gray with room around them; opposite views are mirror images."""
    rng = np.random.default_rng(3)
    rows, pixels = [], []
    for exemplar in range(4):
        profile, half, frontal = rng.integers(60, 240, (3, 10, 10))
        frontal[:, 5:] = frontal[:, 4::-1]
        patches = [profile, half, frontal, half[:, ::-1], profile[:, ::-1]]
        for azimuth, patch in zip(VIEWS, patches, strict=True):
            image = np.full((SIZE, SIZE), 128)
            image[7:17, 7:17] = patch
            rows.append((f"e{exemplar}_{azimuth:g}", "none", f"e{exemplar}", azimuth, "thing"))
            pixels.append(image)
    table = pd.DataFrame(rows, columns=["stimulus_id", "filename", "identity", "azimuth_deg", "category"])
    return StimulusSet(table.set_index("stimulus_id"), pixels=np.array(pixels, dtype=np.uint8), name="patches")


class _Templates(nn.Module):
    """Templates that are even about the middle column; and the mean over places of what small templates give."""

    layer_names = ("even", "pooled")

    def __init__(self):
        super().__init__()
        half = torch.randn(40, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
        self.weights = nn.Parameter((half + half.flip(-1)).flatten(1))
        small = torch.randn(20, 3, 3, 3, generator=torch.Generator().manual_seed(2))
        self.small = nn.Parameter(torch.cat([small, small.flip(-1)]))
        self.even, self.pooled = nn.Identity(), nn.Identity()

    def forward(self, images):
        self.even(images.flatten(1) @ self.weights.T)
        maps = nn.functional.conv2d(images, self.small).square().mean((2, 3))
        return self.pooled(maps[:, :20] + maps[:, 20:])


@pytest.fixture
def network() -> Network:
    return Network("templates", _Templates().eval(), Preprocessing(size=SIZE, mean=(0.5,) * 3, sd=(1.0,) * 3))


def test_even_templates_lose_their_symmetry_to_the_side_and_pooled_ones_keep_it(network, stimuli):
    table = measure_position_tolerance(
        network, stimuli, shifts_px=[(0, 0), (30, 0), (0, 30), (-30, 30)], image_size_px=10 * SIZE
    )
    assert table.columns.tolist() == list(POSITION_COLUMNS)
    assert len(table) == 4 * 2 * 4
    assert set(table["image_size_px"]) == {10.0 * SIZE}
    index = table.groupby(["layer", "shift_right_px", "shift_down_px"])["index"].agg(["min", "max"])
    for place in [(0, 0), (0, 30)]:
        assert index.loc[("even", *place), "min"] == pytest.approx(1.0, abs=1e-4)
    for place in [(30, 0), (-30, 30)]:
        assert index.loc[("even", *place), "max"] < 0.7
    assert (index.loc["pooled", "min"] > 1 - 1e-4).all()


def test_responses_can_be_taken_as_they_are(network, stimuli):
    raw, scored = (
        measure_position_tolerance(network, stimuli, ["even"], shifts_px=[(30, 0)], image_size_px=240, normalize=how)
        for how in (None, "zscore")
    )
    assert not np.allclose(raw["index"], scored["index"])


@pytest.mark.parametrize("shifts", [[(1,)], [(0, 0), (30, 0)], [(0, -25)]])
def test_a_shift_that_is_no_pair_or_leaves_the_image_is_refused(network, stimuli, shifts):
    with pytest.raises(InputError, match="a shift is"):
        measure_position_tolerance(network, stimuli, shifts_px=shifts, image_size_px=24)


def test_no_shift_is_refused(network, stimuli):
    with pytest.raises(InputError, match="at least one shift"):
        measure_position_tolerance(network, stimuli, shifts_px=[])
