import dataclasses

import numpy as np
import pytest

from neural_data import read_stimuli
from neural_data.errors import InputError
from neurocompare.stimuli.transforms import (
    GrayBackground,
    HalfCovered,
    LitFromSide,
    SameContrast,
    Shifted,
    flip_vertical,
    mirror,
    rotate90,
    shift,
)


@pytest.fixture
def images(rng):
    return rng.random((3, 3, 5, 7), dtype=np.float32)


def test_mirror_swaps_left_and_right():
    image = np.arange(6).reshape(1, 1, 2, 3)
    assert mirror(image)[0, 0].tolist() == [[2, 1, 0], [5, 4, 3]]
    assert flip_vertical(image)[0, 0].tolist() == [[3, 4, 5], [0, 1, 2]]


def test_a_quarter_turn_is_counter_clockwise():
    image = np.zeros((1, 1, 3, 3))
    image[0, 0, 0, 2] = 1  # upper right goes to upper left
    assert rotate90(image)[0, 0, 0, 0] == 1
    assert rotate90(image, -1)[0, 0, 2, 2] == 1


@pytest.mark.parametrize(
    ("transform", "order"), [(mirror, 2), (flip_vertical, 2), (rotate90, 4)], ids=["mirror", "flip", "rotate"]
)
def test_repeating_a_transform_gives_the_images_back(images, transform, order):
    result = images
    for _ in range(order):
        result = transform(result)
    assert np.array_equal(result, images)
    assert result.flags.c_contiguous
    assert result.dtype == images.dtype


def test_mirror_then_flip_is_half_a_turn(images):
    assert np.array_equal(flip_vertical(mirror(images)), rotate90(images, 2))


def test_shift_moves_right_and_repeats_the_edge():
    image = np.array([[[[1, 2, 3], [4, 5, 6]]]])
    assert shift(image, 1)[0, 0].tolist() == [[1, 1, 2], [4, 4, 5]]
    assert shift(image, -1, 1)[0, 0].tolist() == [[2, 3, 3], [2, 3, 3]]


@pytest.mark.parametrize("transform", [mirror, flip_vertical, rotate90, lambda x: shift(x, 2), GrayBackground(0.3, 1)])
def test_arguments_are_not_changed(images, transform):
    before = images.copy()
    transform(images)
    assert np.array_equal(images, before)


def test_gray_background_keeps_white_inside_the_foreground():
    image = np.ones((1, 3, 7, 7), dtype=np.float32)
    image[..., 2:5, 2:5] = 0.2
    image[..., 3, 3] = 1.0
    gray = GrayBackground()(image)
    assert gray[0, 0, 3, 3] == 1.0
    assert (gray[0, 0] == 0.5).sum() == 49 - 9
    assert (gray[0, 0, 2:5, 2:5] == image[0, 0, 2:5, 2:5]).all()


def test_gray_background_finds_the_colour_of_each_image():
    images = np.ones((2, 3, 6, 6), dtype=np.float32)
    images[1] = np.array([0.0, 1.0, 0.0])[:, None, None]
    images[:, :, 2:4, 2:4] = 0.7
    gray = GrayBackground(level=0.25)(images)
    assert (gray[:, :, 0] == 0.25).all()
    assert np.allclose(gray[:, :, 2:4, 2:4], 0.7)


def test_gray_background_tolerates_small_differences_only():
    image = np.full((1, 3, 5, 5), 0.99, dtype=np.float32)
    image[0, :, 2, 2] = 0.95
    assert GrayBackground(tolerance=0.02)(image)[0, 0, 2, 2] == np.float32(0.95)
    assert GrayBackground(tolerance=0.05)(image)[0, 0, 2, 2] == 0.5


def test_an_image_without_uniform_background_is_refused(images):
    with pytest.raises(InputError, match=r"the image has no uniform background: only \d+% of its border"):
        GrayBackground()(images)


@pytest.mark.parametrize("wrong", [{"level": 1.5}, {"tolerance": 0.0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GrayBackground(**wrong)


def test_the_checksum_of_a_set_knows_the_background(faces):
    white = dataclasses.replace(faces, pixels=np.full_like(faces.pixels, 255))
    plain, gray = white.checksum(), white.with_transform(GrayBackground()).checksum()
    assert plain != gray
    assert gray == white.with_transform(GrayBackground()).checksum()
    assert gray != white.with_transform(GrayBackground(level=0.4)).checksum()


@pytest.mark.real_data
def test_white_background_of_real_renderings_becomes_gray(real_data):
    stimuli = read_stimuli(real_data / "fiv_s").take(slice(0, 14))
    white, gray = stimuli.images(), stimuli.with_transform(GrayBackground()).images()
    background = (white == 1).all(axis=1)
    assert 0.3 < background.mean() < 0.8
    assert (gray[:, 0][background] == 0.5).mean() > 0.99


def test_a_shifted_set_moves_by_a_share_of_its_size_and_repeats_the_edge():
    images = np.arange(2 * 8.0).reshape(1, 1, 2, 8)
    np.testing.assert_array_equal(Shifted(right=0.25)(images), shift(images, 2))
    np.testing.assert_array_equal(Shifted(right=-0.5, down=0.5)(images), shift(images, -4, 1))
    assert repr(Shifted(right=0.25)) == "Shifted(right=0.25, down=0.0)"
    with pytest.raises(ValueError, match="shares of the image"):
        Shifted(right=20)


def test_a_half_is_covered_with_the_colour_of_the_border():
    image = np.full((1, 3, 6, 5), 0.25, dtype=np.float32)
    image[..., 2:4, 1:4] = 1.0
    covered = HalfCovered()(image)
    assert np.array_equal(covered[..., :3], image[..., :3])
    assert (covered[..., 3:] == 0.25).all()
    assert (HalfCovered(right=False)(image)[..., :2] == 0.25).all()
    assert image[0, 0, 2, 3] == 1


def test_contrast_is_the_same_in_all_images(images):
    dim = np.concatenate([images * 0.1, np.full_like(images[:1], 0.3)])
    same = SameContrast(mean=0.5, sd=0.1)(dim)
    assert same.dtype == dim.dtype
    np.testing.assert_allclose(same.mean(axis=(1, 2, 3)), 0.5, atol=1e-4)
    np.testing.assert_allclose(same[:3].std(axis=(1, 2, 3)), 0.1, atol=1e-4)
    assert same[3].std() == 0


def test_light_from_one_side_is_a_ramp():
    lit = LitFromSide(change=0.5)(np.full((1, 3, 2, 3), 0.4, dtype=np.float32))
    np.testing.assert_allclose(lit[0, 0, 0], [0.2, 0.4, 0.6], rtol=1e-6)


@pytest.mark.parametrize("make", [lambda: SameContrast(sd=0.0), lambda: LitFromSide(change=2)])
def test_changes_of_images_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="must lie between"):
        make()
