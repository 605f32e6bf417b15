"""Importance maps of units that are known to look at one place, and images taken apart by them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from neural_data import InputError
from neurocompare.models.registry import Network, Preprocessing
from neurocompare.representations.importance import (
    Masks,
    draw_masks,
    foreground_mask,
    importance_maps,
    keep_pixels,
    most_important,
    shuffle_pieces,
)

SIZE = 16
PATCHES = ((slice(2, 6), slice(2, 6)), (slice(9, 14), slice(8, 12)))


@pytest.fixture
def network() -> Network:
    """Two units, each the summed brightness of one patch of the image."""
    layer = nn.Linear(3 * SIZE * SIZE, 2)
    weight = torch.zeros(2, 3, SIZE, SIZE)
    for unit, patch in enumerate(PATCHES):
        weight[unit, :, *patch] = 1.0
    with torch.no_grad():
        layer.weight.copy_(weight.flatten(1))
        layer.bias.zero_()
    return Network("patches", nn.Sequential(nn.Flatten(), layer).eval(), Preprocessing(size=SIZE))


@pytest.fixture
def images(rng) -> np.ndarray:
    """Two bright images, background nowhere."""
    return rng.uniform(0.7, 1.0, (2, 3, SIZE, SIZE)).astype(np.float32)


def test_masks_are_smooth_shifted_and_seen_as_often_as_asked(rng):
    masks = draw_masks(2000, 28, seen=0.3, rng=rng).pixels(0, 2000)
    assert masks.shape == (2000, 28, 28)
    assert masks.min() >= 0
    assert masks.max() <= 1
    assert masks.mean() == pytest.approx(0.3, abs=0.01)
    assert np.abs(masks.mean(axis=0) - 0.3).max() < 0.05
    # Of a cell of 4 pixels, neighbouring pixels differ by a quarter of a step at most.
    assert np.abs(np.diff(masks, axis=2)).max() <= 0.25 + 1e-6


def test_a_mask_of_ones_shows_everything():
    masks = Masks(np.ones((1, 7, 7), dtype=np.float32), np.zeros((1, 2), dtype=int), 20)
    np.testing.assert_allclose(masks.pixels(0, 1), 1, rtol=1e-6)


def test_masks_come_in_the_same_batches_or_others(rng):
    masks = draw_masks(10, 20, rng=rng)
    np.testing.assert_array_equal(np.concatenate([masks.pixels(0, 4), masks.pixels(4, 10)]), masks.pixels(0, 10))


def test_a_map_is_the_response_weighted_mean_mask_written_out(network, images, rng):
    masks = draw_masks(30, SIZE, rng=rng)
    maps = importance_maps(network, images, "1", [1, 0], masks, batch_size=7)
    pixels = masks.pixels(0, 30).astype(float)
    for position, image in enumerate(images):
        dimmed = 0.5 + (image - 0.5) * pixels[:, None]
        for column, unit in enumerate([1, 0]):
            responses = ((dimmed[:, :, *PATCHES[unit]] - 0.5) / 0.25).sum(axis=(1, 2, 3))
            oracle = np.tensordot(responses, pixels, 1) / pixels.sum(axis=0)
            np.testing.assert_allclose(maps[position, column], oracle, rtol=1e-4)


def test_the_most_important_pixels_are_where_the_unit_looks(network, images, rng):
    maps = importance_maps(network, images, "1", [0, 1], draw_masks(3000, SIZE, rng=rng))
    everywhere = np.ones((2, SIZE, SIZE), dtype=bool)
    for unit, patch in enumerate(PATCHES):
        inside = np.zeros((SIZE, SIZE), dtype=bool)
        inside[patch] = True
        grown = ndimage.binary_dilation(inside, iterations=2)
        top = most_important(maps[:, unit], everywhere, 5)
        assert (top & ~grown).sum() == 0


def test_the_share_of_kept_pixels_is_that_of_the_foreground(rng):
    importance = rng.normal(size=(3, 10, 10))
    foreground = rng.random((3, 10, 10)) < 0.5
    for percent in (0, 10, 50, 100):
        top = most_important(importance, foreground, percent)
        assert not (top & ~foreground).any()
        np.testing.assert_array_equal(top.sum(axis=(1, 2)), np.rint(foreground.sum(axis=(1, 2)) * percent / 100))
    top = most_important(importance, foreground, 30)
    assert np.abs(importance[1][top[1]]).min() >= np.abs(importance[1][foreground[1] & ~top[1]]).max()
    with pytest.raises(ValueError, match="between 0 and 100"):
        most_important(importance, foreground, 110)


def test_insertion_and_deletion_share_the_foreground_between_them(rng):
    images = np.full((1, 3, 8, 8), 0.5, dtype=np.float32)
    images[0, :, 2:6, 2:6] = rng.uniform(0.6, 1, (3, 4, 4))
    foreground = foreground_mask(images)
    assert foreground.sum() == 16
    top = most_important(rng.normal(size=(1, 8, 8)), foreground, 25)
    inserted, deleted = keep_pixels(images, top), keep_pixels(images, foreground & ~top)
    np.testing.assert_allclose((inserted - 0.5) + (deleted - 0.5), images - 0.5, atol=1e-7)
    assert inserted.dtype == np.float32
    assert (inserted[0, 0] != 0.5).sum() == 4


def test_shuffling_moves_pieces_whole_and_without_overlap(rng):
    image = rng.uniform(0.6, 1, (3, 20, 20))
    kept = np.zeros((20, 20), dtype=bool)
    kept[1:5, 1:4] = kept[10:12, 3:15] = kept[17, 17] = True
    shuffled = shuffle_pieces(image, kept, rng=rng)
    np.testing.assert_allclose(np.sort(shuffled[shuffled != 0.5]), np.sort(image[:, kept].ravel()))
    assert ndimage.label((shuffled != 0.5).any(axis=0))[1] <= 3
    again = [shuffle_pieces(image, kept, rng=rng)[0] for _ in range(30)]
    assert len({tuple(np.argwhere(other == image[0, 17, 17])[0]) for other in again}) > 15


def test_a_piece_may_go_to_every_free_place_alike(rng):
    image, kept = np.ones((1, 3, 3)), np.zeros((3, 3), dtype=bool)
    kept[0, 0] = True
    counts = sum(shuffle_pieces(image, kept, background=0.0, rng=rng)[0] for _ in range(1800))
    assert counts.min() > 150
    assert counts.max() < 250


def test_the_last_free_place_is_found(rng):
    # A bent piece of 18 pixels, for which the image has two places, and one pixel.
    image, kept = np.ones((1, 5, 5)), np.zeros((5, 5), dtype=bool)
    kept[:, :4] = True
    kept[2, 3] = kept[0, 3] = False
    kept[0, 4] = True
    assert shuffle_pieces(image, kept, background=0.0, rng=rng).sum() == kept.sum()


def test_pieces_that_fill_the_image_are_given_up_with_a_reason(rng):
    # Twelve bars in a row with one pixel between: next to no random order of places leaves room for all.
    kept = np.ones((1, 119), dtype=bool)
    kept[0, 9::10] = False
    with pytest.raises(InputError, match="12 pieces that cover 91% of the image"):
        shuffle_pieces(np.ones((1, 1, 119)), kept, background=0.0, rng=rng)


def test_the_foreground_grows_by_five_pixels_of_224_and_by_one_at_least():
    for size, n_pixels in ((224, 81), (112, 13), (32, 5)):
        image = np.full((1, 3, size, size), 0.5, dtype=np.float32)
        assert not foreground_mask(image, dilation_px=5).any()
        image[0, :, size // 2, size // 2] = 1.0
        assert foreground_mask(image, dilation_px=5).sum() == n_pixels
        assert foreground_mask(image).sum() == 1
