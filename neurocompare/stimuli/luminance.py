"""Luminance and contrast of images: matching over a set, and description of single images.

Matching follows the SHINE toolbox (Willenbockel et al. 2010, Behavior Research Methods 42:671): mean and standard
deviation, or the whole histogram, of the foreground are made equal in all images. All statistics are sums of integers,
so that they do not depend on the order of pixels: mirror images stay exact mirror images.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from neurocompare.stimuli.scene import LUMINANCE, Rendering
from neurocompare.stimuli.transforms import background_mask

__all__ = ["describe_images", "foreground_statistics", "image_symmetry", "match_histogram", "match_luminance"]

LEVELS = 65_535
"""Number of gray levels in which statistics are computed."""
ROUNDS = 12


def match_luminance(
    rendering: Rendering, *, mean: float | None = None, sd: float | None = None, background: float = 0.5
) -> np.ndarray:
    """Images whose foregrounds have the same mean and standard deviation.

    The foreground of each image is scaled by a gain and an offset. Values beyond 0..1 are clipped, and gain and offset
    adjusted, so that mean and standard deviation hold for the clipped image.

    Parameters
    ----------
    rendering : Rendering
        n views, gray or colour; in colour, gain and offset are the same in all channels and the statistics are those
        of the luminance (ITU-R BT.709).
    mean, sd : float or None
        Mean and standard deviation of the foreground, gray level 0..1; None takes the average over the images.
    background : float
        Gray level around the object.

    Returns
    -------
    array of shape (n_views, height, width) or (n_views, height, width, 3), uint8
        Within half a gray level of the target mean and standard deviation, unless the foreground has a single gray
        level or most of it would have to be clipped.
    """
    before = foreground_statistics(rendering.on_background(background), rendering.foreground)
    wanted_mean = before[:, 0].mean() if mean is None else mean
    wanted_sd = before[:, 1].mean() if sd is None else sd
    images = np.empty(rendering.brightness.shape, dtype=np.uint8)
    for i in range(len(images)):
        one = Rendering(rendering.brightness[i : i + 1], rendering.coverage[i : i + 1])
        images[i] = _matched(one, wanted_mean, wanted_sd, background)[0]
    return images


def _matched(one: Rendering, mean: float, sd: float, background: float) -> np.ndarray:
    gain, offset = 1.0, 0.0
    best, least = one.on_background(background), np.inf
    if not one.foreground.any():
        return best
    for _ in range(ROUNDS):
        changed = np.clip(gain * one.brightness + offset, 0, 1).astype(np.float32)
        shown = Rendering(changed, one.coverage)
        # Statistics before rounding to 8 bits guide the search; those after rounding decide.
        found_mean, found_sd = foreground_statistics(shown.shown(background), one.foreground)[0]
        image = shown.on_background(background)
        error = np.abs(foreground_statistics(image, one.foreground)[0] - [mean, sd]).max()
        if error < least:
            best, least = image, error
        if found_sd == 0 or error < 2e-4:
            break
        step = sd / found_sd
        gain, offset = gain * step, mean + step * (offset - found_mean)
    return best


def match_histogram(rendering: Rendering, *, background: float = 0.5) -> np.ndarray:
    """Images whose foregrounds have the same histogram: the average histogram of the set.

    Parameters
    ----------
    rendering : Rendering
        n gray views.
    background : float
        Gray level around the object.

    Returns
    -------
    array of shape (n_views, height, width), uint8
        Pixels of equal brightness stay equal, so the match is exact up to ties.

    Raises
    ------
    ValueError
        If the views are in colour.
    """
    if rendering.brightness.ndim != 3:
        raise ValueError("histograms are matched of gray views; render with colour=False")
    shares = (np.arange(4096) + 0.5) / 4096
    quantiles, ranks = np.zeros(4096), []
    for brightness, foreground in zip(rendering.brightness, rendering.foreground, strict=True):
        levels = np.rint(brightness[foreground] * LEVELS).astype(np.int64)
        values, place, count = np.unique(levels, return_inverse=True, return_counts=True)
        rank = (np.cumsum(count) - 0.5 * count) / max(len(levels), 1)
        ranks.append((values, rank, rank[place]))
        if len(levels):
            quantiles += np.interp(shares, rank, values / LEVELS) / len(rendering.foreground)
    images = np.empty(rendering.brightness.shape, dtype=np.uint8)
    for i, (values, rank, _) in enumerate(ranks):
        if len(values):
            own = np.interp(rendering.brightness[i], values / LEVELS, rank)
            changed = np.interp(own, shares, quantiles).astype(np.float32)
        else:
            changed = rendering.brightness[i]
        images[i] = Rendering(changed[None], rendering.coverage[i : i + 1]).on_background(background)[0]
    return images


def foreground_statistics(images: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """Mean and standard deviation of each image's foreground.

    Parameters
    ----------
    images : array of shape (n, height, width) or (n, height, width, 3)
        uint8 (0..255), or float in 0..1.
    foreground : boolean array of shape (n, height, width)
        Which pixels belong to the object.

    Returns
    -------
    array of shape (n, 2)
        Gray levels, 0..1; 0 for an image without foreground. Sums are exact, so the order of pixels has no effect.
    """
    gray = _gray(images)
    statistics = np.zeros((len(images), 2))
    for i, (image, mask) in enumerate(zip(gray, foreground, strict=True)):
        levels = np.rint(image[mask].astype(float) * LEVELS).astype(np.int64)
        if levels.size:
            mean = int(levels.sum()) / levels.size
            square = int((levels * levels).sum()) / levels.size
            statistics[i] = mean / LEVELS, max(square - mean**2, 0) ** 0.5 / LEVELS
    return statistics


def describe_images(images: Iterable[np.ndarray], ids: Iterable[str]) -> pd.DataFrame:
    """Low-level statistics of every image, to detect confounds (Revsine et al. 2024).

    Parameters
    ----------
    images : iterable of arrays of shape (3, height, width), (height, width) or (height, width, 3)
        uint8, or float in 0..1. ``itertools.chain.from_iterable(stimuli.batches(64))`` streams a stimulus set.
    ids : iterable of str
        Stimulus id of each image.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``stimulus_id``; ``mean``, ``contrast`` (standard deviation over the mean), both over all pixels;
        ``foreground_mean``, ``foreground_sd``, ``foreground_share`` (NaN where an image has no uniform background;
        background enclosed by the object counts as foreground);
        ``spectral_slope`` (of log amplitude over log spatial frequency, about -1 for natural scenes),
        ``image_symmetry`` and ``symmetry_position`` of its plane (0 left edge, 1 right edge).
    """
    rows = []
    for stimulus_id, image in zip(ids, images, strict=True):
        if image.ndim == 3 and image.shape[0] == 3:
            image = image.transpose(1, 2, 0)
        gray = _gray(image[None])[0]
        background, uniform = background_mask(gray[None], tolerance=0.002)
        share = 1 - background.mean() if uniform >= 0.5 else np.nan
        mean, sd = foreground_statistics(gray[None], ~background[None])[0] if share > 0 else (np.nan, np.nan)
        symmetry, position = image_symmetry(gray)
        rows.append(
            {
                "stimulus_id": stimulus_id,
                "mean": gray.mean(),
                "contrast": gray.std() / gray.mean() if gray.any() else np.nan,
                "foreground_mean": mean,
                "foreground_sd": sd,
                "foreground_share": share,
                "spectral_slope": _spectral_slope(gray),
                "image_symmetry": symmetry,
                "symmetry_position": position,
            }
        )
    return pd.DataFrame(rows).set_index("stimulus_id")


def image_symmetry(image: np.ndarray) -> tuple[float, float]:
    """Largest correlation of an image's left side with its mirrored right side, over all positions of the plane.

    Parameters
    ----------
    image : array of shape (height, width)
        Gray levels. The left and right edge columns are repeated outwards, so that both sides of any plane are as wide
        as the image.

    Returns
    -------
    symmetry : float
        Pearson r at the best plane, which lies on a column or between two; NaN for a constant image.
    position : float
        Position of that plane: 0 at the left edge, 1 at the right edge.
    """
    image = np.asarray(image, dtype=float)
    height, width = image.shape
    padded = np.pad(image, ((0, 0), (width, width)), mode="edge")
    padded -= padded.mean()
    n = 3 * width
    # Column a mirrors column b where a + b = 2 * plane - 1; the sum over such pairs is a convolution.
    spectrum = np.fft.rfft(padded, 2 * n, axis=1)
    pairs = np.fft.irfft((spectrum**2).sum(axis=0), 2 * n)
    sums = np.arange(2 * width - 1, 4 * width)  # a + b for planes from the left edge to the right edge
    between = sums % 2 == 1
    left = (sums + 1) // 2  # columns before this one lie left of the plane
    right = sums // 2 + 1  # columns from this one on lie right of it
    middle = np.where(between, 0.0, (padded[:, sums // 2] ** 2).sum(axis=0))
    product = (pairs[sums] - middle) / 2
    # The convolution also pairs columns farther than one width from the plane, where both are repeated edges.
    product -= (np.minimum(left, n - right) - width) * (padded[:, 0] @ padded[:, -1])
    total = np.concatenate([[0], np.cumsum(padded.sum(axis=0))])
    square = np.concatenate([[0], np.cumsum((padded**2).sum(axis=0))])
    count = height * width
    mean_left = (total[left] - total[left - width]) / count
    mean_right = (total[right + width] - total[right]) / count
    variance_left = (square[left] - square[left - width]) / count - mean_left**2
    variance_right = (square[right + width] - square[right]) / count - mean_right**2
    scale = np.sqrt(np.maximum(variance_left, 0) * np.maximum(variance_right, 0))
    floor = 1e-9 * (padded**2).mean()
    if not (scale > floor).any():
        return float("nan"), float("nan")
    r = np.where(scale > floor, (product / count - mean_left * mean_right) / np.where(scale > floor, scale, 1), -np.inf)
    best = int(np.argmax(r))
    return float(min(r[best], 1.0)), float((left[best] + right[best] - 2 * width) / (2 * width))


def _spectral_slope(gray: np.ndarray) -> float:
    """Slope of log amplitude, averaged over orientations, on log frequency from 2 cycles per image to Nyquist."""
    size = min(gray.shape)
    amplitude = np.abs(np.fft.fft2(gray - gray.mean()))
    rows, columns = (np.fft.fftfreq(n) * size for n in gray.shape)
    frequency = np.rint(np.hypot(rows[:, None], columns)).astype(int)
    counts = np.bincount(frequency.ravel())
    profile = np.bincount(frequency.ravel(), weights=amplitude.ravel()) / np.maximum(counts, 1)
    used = np.arange(2, size // 2 + 1)
    used = used[profile[used] > 0]
    return float(np.polyfit(np.log(used), np.log(profile[used]), 1)[0]) if len(used) > 1 else float("nan")


def _gray(images: np.ndarray) -> np.ndarray:
    """Luminance, float of shape (n, height, width) in 0..1; independent of a pixel's position to the last bit."""
    values = images / 255 if images.dtype == np.uint8 else images
    if values.ndim == 4:
        values = LUMINANCE[0] * values[..., 0] + LUMINANCE[1] * values[..., 1] + LUMINANCE[2] * values[..., 2]
    return values
