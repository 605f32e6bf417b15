import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from neurocompare.stimuli.luminance import (
    describe_images,
    foreground_statistics,
    image_symmetry,
    match_histogram,
    match_luminance,
)
from neurocompare.stimuli.scene import Rendering


@pytest.fixture
def rendering(rng):
    """Six discs of different brightness and contrast with soft rims."""
    y, x = np.mgrid[-1:1:40j, -1:1:40j]
    coverage = np.clip((0.8 - np.hypot(x, y)) * 10, 0, 1)
    level = rng.uniform(0.2, 0.7, (6, 1, 1))
    texture = rng.uniform(0.02, 0.2, (6, 1, 1)) * rng.standard_normal((6, 40, 40))
    brightness = np.clip(level + texture, 0, 1)
    return Rendering(brightness.astype(np.float32), np.repeat(coverage[None], 6, 0).astype(np.float32))


def naive_symmetry(image):
    width = image.shape[1]
    padded = np.pad(image.astype(float), ((0, 0), (width, width)), mode="edge")
    found = []
    for plane in range(2 * width + 1):
        left, right = width + plane // 2, width + (plane + 1) // 2
        a, b = padded[:, left - width : left].ravel(), padded[:, right : right + width][:, ::-1].ravel()
        if a.std() > 0 and b.std() > 0:
            found.append((np.corrcoef(a, b)[0, 1], plane / 2 / width))
    return max(found)


def test_foregrounds_have_the_wanted_mean_and_standard_deviation(rendering):
    images = match_luminance(rendering, mean=0.45, sd=0.1)
    found = foreground_statistics(images, rendering.foreground)
    assert np.abs(found - [0.45, 0.1]).max() < 0.5 / 255
    assert (images[:, 0] == 128).all()


def test_without_targets_the_average_is_kept(rendering):
    before = foreground_statistics(rendering.on_background(), rendering.foreground)
    after = foreground_statistics(match_luminance(rendering), rendering.foreground)
    assert before.std(axis=0).min() > 0.02
    assert np.abs(after - before.mean(axis=0)).max() < 0.5 / 255


def test_mirror_images_stay_mirror_images(rendering):
    mirrored = Rendering(rendering.brightness[..., ::-1].copy(), rendering.coverage[..., ::-1].copy())
    for match in (match_luminance, match_histogram):
        assert np.array_equal(match(rendering), match(mirrored)[..., ::-1])


def test_colour_keeps_its_hue(rendering):
    tint = np.array([0.9, 0.6, 0.3], dtype=np.float32)
    coloured = Rendering(rendering.brightness[..., None] * tint, rendering.coverage)
    images = match_luminance(coloured, mean=0.4, sd=0.05)
    assert images.shape == (6, 40, 40, 3)
    found = foreground_statistics(images, rendering.foreground)
    assert np.abs(found - [0.4, 0.05]).max() < 0.5 / 255
    assert (images[:, 20, 20, 0] > images[:, 20, 20, 2]).all()


def test_histograms_become_the_same(rendering):
    inner = rendering.coverage == 1

    def shares(images):
        pairs = zip(images, inner, strict=True)
        return [np.histogram(image[mask], bins=16, range=(0, 256))[0] / mask.sum() for image, mask in pairs]

    assert np.std(shares(match_histogram(rendering)), axis=0).max() < 0.03
    assert np.std(shares(rendering.on_background()), axis=0).max() > 0.15


def test_histograms_of_colour_are_refused(rendering):
    with pytest.raises(ValueError, match="gray views"):
        match_histogram(Rendering(np.repeat(rendering.brightness[..., None], 3, -1), rendering.coverage))


def test_an_image_without_foreground_stays_as_it_is():
    empty = Rendering(np.zeros((1, 8, 8), np.float32), np.zeros((1, 8, 8), np.float32))
    assert (match_luminance(empty, mean=0.3, sd=0.1) == 128).all()
    assert (match_histogram(empty) == 128).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 12), st.integers(4, 17), st.integers(0, 10_000))
def test_symmetry_equals_the_correlation_at_every_plane(height, width, seed):
    image = np.random.default_rng(seed).random((height, width))
    r, position = image_symmetry(image)
    expected, plane = naive_symmetry(image)
    assert r == pytest.approx(expected, abs=1e-9)
    assert position == pytest.approx(plane)


@pytest.mark.parametrize("width", [20, 21])
@pytest.mark.parametrize("dx", [-4, 0, 3])
def test_a_mirror_symmetric_image_has_symmetry_one_wherever_its_plane_is(rng, width, dx):
    half = rng.random((15, 5))
    image = np.full((15, width), 0.5)
    start = width // 2 - 5 + dx
    image[:, start : start + 10] = np.concatenate([half, half[:, ::-1]], axis=1)
    r, position = image_symmetry(image)
    assert r == pytest.approx(1.0)
    assert position == pytest.approx((start + 5) / width)


def test_a_constant_image_has_no_symmetry():
    assert np.isnan(image_symmetry(np.full((4, 6), 0.3))).all()


def test_low_level_description(rng):
    white = rng.random((128, 128))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128)))
    frequency[0, 0] = 1
    pink = np.fft.ifft2(np.fft.fft2(white) / frequency).real
    pink = (pink - pink.min()) / np.ptp(pink)
    disc = np.full((128, 128, 3), 128, dtype=np.uint8)
    disc[32:96, 32:96] = np.array([51, 51, 51])
    table = describe_images([white, pink, disc], ["white", "pink", "disc"])
    assert table.index.tolist() == ["white", "pink", "disc"]
    assert table.loc["white", "spectral_slope"] == pytest.approx(0, abs=0.1)
    assert table.loc["pink", "spectral_slope"] == pytest.approx(-1, abs=0.1)
    assert table.loc["white", "mean"] == pytest.approx(0.5, abs=0.01)
    assert table.loc["white", "contrast"] == pytest.approx(3**-0.5, abs=0.01)
    assert table.loc["disc", "foreground_mean"] == pytest.approx(0.2)
    assert table.loc["disc", "foreground_sd"] == pytest.approx(0, abs=1e-6)
    assert table.loc["disc", "foreground_share"] == pytest.approx(0.25)
    assert table.loc["disc", "image_symmetry"] == pytest.approx(1)
    assert table["foreground_share"].isna().tolist() == [True, True, False]
