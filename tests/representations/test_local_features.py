"""View tuning that one patch of the image carries, with that patch kept, deleted and moved."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from neural_data import InputError, StimulusSet
from neurocompare.models.registry import Network, Preprocessing
from neurocompare.representations.importance import foreground_mask
from neurocompare.representations.local_features import (
    IMPORTANCE_COLUMNS,
    LOCAL_FEATURE_COLUMNS,
    measure_local_features,
)

VIEWS = (-90.0, -45.0, 0.0, 45.0, 90.0)
SIZE = 24


@pytest.fixture
def stimuli() -> StimulusSet:
    """Four exemplars: a patch as bright as the absolute azimuth is large, and noise of each view's own."""
    rng = np.random.default_rng(5)
    rows, pixels = [], []
    for exemplar in range(4):
        for azimuth in VIEWS:
            image = np.full((SIZE, SIZE), 128)
            image[4:20, 4:20] = rng.integers(140, 160, (16, 16))
            image[6:10, 6:10] = 165 + abs(azimuth) * 0.9 + rng.integers(0, 5)
            rows.append((f"e{exemplar}_{azimuth:g}", "none", f"e{exemplar}", azimuth, "thing"))
            pixels.append(image)
    table = pd.DataFrame(rows, columns=["stimulus_id", "filename", "identity", "azimuth_deg", "category"])
    return StimulusSet(table.set_index("stimulus_id"), pixels=np.array(pixels, dtype=np.uint8), name="patches")


@pytest.fixture
def network() -> Network:
    """Twelve units that look at the patch, half of them liking it dark, and four that look at the rest."""
    layer = nn.Linear(3 * SIZE * SIZE, 16)
    rng = np.random.default_rng(6)
    weights = np.zeros((16, 3, SIZE, SIZE))
    weights[:12, :, 6:10, 6:10] = rng.uniform(0.5, 1.5, (12, 3, 4, 4))
    weights[6:12] *= -1
    weights[12:, :, 11:19, 11:19] = rng.normal(0, 1, (4, 3, 8, 8))
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights.reshape(16, -1)))
        layer.bias.zero_()
    return Network("patch", nn.Sequential(nn.Flatten(), layer).eval(), Preprocessing(size=SIZE))


def test_tuning_survives_insertion_and_falls_with_deletion_and_shuffling(network, stimuli, rng):
    table = measure_local_features(network, stimuli, "1", n_units=4, percents=[15, 60], n_masks=800, rng=rng).tuning
    assert table.columns.tolist() == list(LOCAL_FEATURE_COLUMNS)
    assert len(table) == 4 * (1 + 3 * 2)
    means = table.groupby(["condition", "percent"])["index"].mean()
    assert means["intact", 100] > 0.5
    assert means["insertion", 15] > 0.9
    assert means["deletion", 15] < means["intact", 100] - 0.4
    assert means["shuffle", 15] < means["insertion", 15] - 0.4
    profiles = table.groupby(["condition", "percent"])["profile"].mean()
    assert profiles["intact", 100] == pytest.approx(1)
    assert profiles["insertion", 15] > 0.95
    assert profiles["shuffle", 15] < 0.5
    assert np.isnan(profiles["deletion", 60]), "nothing is left of the patch that the chosen units look at"


def test_units_that_see_only_what_is_kept_have_the_profile_that_they_had(stimuli, rng):
    """Two units of one pixel each: with the foreground kept, all of their tuning is left, with it deleted, none."""
    layer = nn.Linear(3 * SIZE * SIZE, 2)
    weights = torch.zeros(2, 3, SIZE, SIZE)
    weights[0, :, 7, 7] = weights[1, :, 8, 8] = 1.0
    with torch.no_grad():
        layer.weight.copy_(weights.flatten(1))
    network = Network("two pixels", nn.Sequential(nn.Flatten(), layer).eval(), Preprocessing(size=SIZE))
    table = measure_local_features(network, stimuli, "1", n_units=2, percents=[100], n_masks=50, rng=rng).tuning
    profiles = table.set_index("condition")["profile"]
    np.testing.assert_allclose(profiles[["intact", "insertion"]], 1)
    assert profiles["deletion"].isna().all()


def test_the_same_random_numbers_give_the_same_table(network, stimuli):
    tables = [
        measure_local_features(network, stimuli, "1", percents=[20], n_masks=50, rng=np.random.default_rng(1)).tuning
        for _ in range(2)
    ]
    pd.testing.assert_frame_equal(*tables)


def test_maps_point_at_the_patch_that_drives_the_units(network, stimuli, rng):
    maps = measure_local_features(network, stimuli, "1", n_units=4, percents=[50], n_masks=800, n_maps=2, rng=rng).maps
    assert maps.columns.tolist() == list(IMPORTANCE_COLUMNS)
    assert set(maps["identity"]) == {"e0"}, "one exemplar of each category, and there is one category"
    assert len(maps) == len(VIEWS) * SIZE * SIZE
    profile = maps[maps["azimuth_deg"] == 90].set_index(["row", "column"])
    foreground = foreground_mask(stimuli.images(), dilation_px=5)[4]
    np.testing.assert_array_equal(profile["importance"].notna(), foreground.ravel())
    np.testing.assert_allclose(profile["gray"], stimuli.images()[4, 0].ravel(), atol=1e-6)
    row, column = profile["importance"].idxmax()
    assert 6 <= row < 10
    assert 6 <= column < 10


def test_a_constant_that_a_unit_adds_to_all_responses_changes_no_importance(network, stimuli):
    """Maps are taken less their mean over pixels: with a large constant they would count how often pixels were seen."""
    found = []
    for constant in (0.0, 1000.0):
        with torch.no_grad():
            network.module[1].bias.fill_(constant)
        rng = np.random.default_rng(3)
        found.append(measure_local_features(network, stimuli, "1", percents=[50], n_masks=200, n_maps=1, rng=rng).maps)
    first, second = (maps["importance"].to_numpy() for maps in found)
    np.testing.assert_allclose(first, second, atol=1e-3 * np.nanmax(first))


def test_every_object_has_its_own_unit(rng):
    """Two objects of one category whose views differ in different places, and a unit for each place."""
    places = ((6, 6), (15, 15))
    pixels = np.full((2, len(VIEWS), SIZE, SIZE), 128, dtype=np.uint8)
    for own, (row, column) in zip(pixels, places, strict=True):
        own[:, 4:20, 4:20] = 150
        own[:, row, column] = 165 + np.abs(VIEWS).astype(np.uint8) // 2
    rows = [(f"e{k}_{a:g}", "none", f"e{k}", a, "thing") for k in range(2) for a in VIEWS]
    table = pd.DataFrame(rows, columns=["stimulus_id", "filename", "identity", "azimuth_deg", "category"])
    shown = StimulusSet(table.set_index("stimulus_id"), pixels=pixels.reshape(-1, SIZE, SIZE), name="places")
    layer = nn.Linear(3 * SIZE * SIZE, 2)
    weights = torch.zeros(2, 3, SIZE, SIZE)
    for unit, (row, column) in enumerate(places):
        weights[unit, :, row, column] = 1.0
    with torch.no_grad():
        layer.weight.copy_(weights.flatten(1))
    network = Network("two places", nn.Sequential(nn.Flatten(), layer).eval(), Preprocessing(size=SIZE))
    tuning = measure_local_features(network, shown, "1", percents=[50], n_masks=50, rng=rng).tuning
    np.testing.assert_allclose(tuning.loc[tuning["condition"] == "intact", "profile"], 1)


def test_without_maps_their_table_is_empty(network, stimuli, rng):
    maps = measure_local_features(network, stimuli, "1", percents=[50], n_masks=50, rng=rng).maps
    assert maps.empty
    assert maps.columns.tolist() == list(IMPORTANCE_COLUMNS)


def test_images_of_background_alone_are_refused(network, stimuli, rng):
    gray = StimulusSet(stimuli.table, pixels=np.full_like(stimuli.pixels, 128), name="gray")
    with pytest.raises(InputError, match="only the background"):
        measure_local_features(network, gray, "1", rng=rng)


def test_views_without_their_mirror_image_are_refused(network, stimuli, rng):
    half = stimuli.yaw_views([-90, -45, 0])
    with pytest.raises(InputError, match="symmetric about 0"):
        measure_local_features(network, half, "1", rng=rng)
