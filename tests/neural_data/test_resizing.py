"""Images come to a size with their proportions, or otherwise only where that is asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from neural_data import InputError, StimulusSet
from neural_data.resizing import INTERPOLATIONS, Resizing, as_resizing, resized


def circle(height, width):
    """A white disc on black, half as high as the image's shorter side."""
    image = Image.new("L", (width, height))
    middle, radius = (width / 2, height / 2), min(height, width) / 4
    box = [side + sign * radius for sign in (-1, 1) for side in middle]
    ImageDraw.Draw(image).ellipse(box, fill=255)
    return np.repeat(np.asarray(image, np.float32)[None] / 255, 3, axis=0)


def height_and_width(image):
    inside = image[0] > 0.5
    return np.ptp(np.flatnonzero(inside.any(1))) + 1, np.ptp(np.flatnonzero(inside.any(0))) + 1


@pytest.mark.parametrize("shape", [(100, 200), (200, 100), (90, 91)])
@pytest.mark.parametrize("aspect", ["crop", "pad"])
def test_a_circle_stays_a_circle(shape, aspect):
    shown = resized(circle(*shape), Resizing((64, 64), aspect=aspect))
    assert shown.shape == (3, 64, 64)
    height, width = height_and_width(shown)
    assert abs(height - width) <= 1
    assert height == pytest.approx(32 if aspect == "crop" else 32 * min(shape) / max(shape), abs=1.5)


def test_squashing_makes_it_an_ellipse():
    height, width = height_and_width(resized(circle(100, 200), Resizing((64, 64), aspect="squash")))
    assert height == pytest.approx(2 * width, abs=2)


def test_what_is_left_over_is_filled():
    shown = resized(np.ones((3, 10, 20), np.float32), Resizing((20, 20), aspect="pad", fill=(0.0, 0.25, 0.5)))
    assert shown[:, 0, 0].tolist() == [0.0, 0.25, 0.5]
    assert (shown[:, 5:15] == 1).all()


@pytest.mark.parametrize("shape", [(300, 400), (401, 300), (256, 256), (231, 234)])
@pytest.mark.parametrize("interpolation", sorted(INTERPOLATIONS))
def test_the_cropped_image_is_what_pillow_gives(shape, interpolation):
    """torchvision's Resize(shorter side) and CenterCrop, in Pillow's own words."""
    image = np.random.default_rng(0).random((3, *shape), dtype=np.float32)
    found = resized(image, Resizing((224, 224), interpolation=interpolation, cut_from=(256, 256)))
    height, width = shape
    new = (256, int(256 * width / height)) if height <= width else (int(256 * height / width), 256)
    top, left = (round((length - 224) / 2) for length in new)
    for channel, expected in zip(found, image, strict=True):
        whole = Image.fromarray(expected).resize(new[::-1], INTERPOLATIONS[interpolation])
        np.testing.assert_allclose(
            channel, np.clip(np.asarray(whole)[top : top + 224, left : left + 224], 0, 1), atol=1e-6
        )


def test_numbers_mean_squares_and_stimuli_take_any_of_them():
    assert as_resizing(8) == as_resizing((8, 8)) == Resizing((8, 8))
    table = pd.DataFrame({"filename": ["a"], "identity": ["a"], "azimuth_deg": [0.0]}, index=["a"])
    pixels = np.rint(circle(40, 80)[0] * 255).astype(np.uint8)[None]
    stimuli = StimulusSet(table.rename_axis("stimulus_id"), pixels=pixels)
    how = Resizing((20, 30), aspect="squash")
    assert stimuli.images(how).shape == (1, 3, 20, 30)
    kept = stimuli.prepare(20, how)
    assert set(kept.prepared) == {20, how}
    np.testing.assert_array_equal(kept.images(how), stimuli.images(how))
    np.testing.assert_array_equal(kept.images(20), stimuli.images(Resizing((20, 20))))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (8, 8), "aspect": "stretch"}, "aspect 'stretch' of images: known are 'crop', 'pad', 'squash'"),
        ({"size": (8, 8), "interpolation": "bicubc"}, "did you mean 'bicubic'"),
        ({"size": (0, 8)}, "sizes must be positive"),
        ({"size": (8, 8), "cut_from": (7, 9)}, "at least as large"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        Resizing(**options)
