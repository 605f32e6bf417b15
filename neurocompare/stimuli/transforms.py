"""Image transforms: arrays of shape (n, channels, height, width) in, new arrays of that form out.

Equivariance and invariance are measured under the reflections, rotations and shifts, which move pixels without
interpolation. The classes are callables for ``StimulusSet.with_transform``: they process images independently, and
their ``repr`` holds all of their parameters, so that checksums include them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from neural_data.errors import InputError

__all__ = [
    "GrayBackground",
    "HalfCovered",
    "LitFromSide",
    "SameContrast",
    "Shifted",
    "background_mask",
    "flip_vertical",
    "mirror",
    "rotate90",
    "shift",
]


def mirror(images: np.ndarray) -> np.ndarray:
    """Left-right reflection.

    Parameters
    ----------
    images : array of shape (..., height, width)
        Images, or maps of features.

    Returns
    -------
    array of the same shape and dtype
    """
    return np.ascontiguousarray(images[..., ::-1])


def flip_vertical(images: np.ndarray) -> np.ndarray:
    """Up-down reflection of images of shape (..., height, width)."""
    return np.ascontiguousarray(images[..., ::-1, :])


def rotate90(images: np.ndarray, turns: int = 1) -> np.ndarray:
    """Rotation by quarter turns, counter-clockwise as seen on the screen.

    Parameters
    ----------
    images : array of shape (..., height, width)
        Images, or maps of features.
    turns : int
        Quarter turns; below 0 clockwise.

    Returns
    -------
    array of shape (..., height, width), or (..., width, height) after an odd number of turns
    """
    return np.ascontiguousarray(np.rot90(images, turns, axes=(-2, -1)))


def shift(images: np.ndarray, dx: int, dy: int = 0) -> np.ndarray:
    """Translation by whole pixels; edge pixels are repeated into the space that becomes free.

    Parameters
    ----------
    images : array of shape (..., height, width)
        Images, or maps of features.
    dx : int
        Pixels to the right; below 0 to the left.
    dy : int
        Pixels downwards; below 0 upwards.

    Returns
    -------
    array of the same shape and dtype
    """
    height, width = images.shape[-2:]
    rows = np.clip(np.arange(height) - dy, 0, height - 1)
    columns = np.clip(np.arange(width) - dx, 0, width - 1)
    return images[..., rows[:, None], columns]


@dataclass(frozen=True)
class Shifted:
    """Shifts every image of a set by a share of its width and height, for tests of position tolerance.

    Edge pixels are repeated into the space that becomes free; on a uniform background that is background.

    Parameters
    ----------
    right, down : float
        Shares of the width and of the height, -1 to 1, rounded to whole pixels.

    Examples
    --------
    >>> Shifted(right=0.25)(np.arange(4.0).reshape(1, 1, 1, 4))
    array([[[[0., 0., 1., 2.]]]])
    """

    right: float = 0.0
    down: float = 0.0

    def __post_init__(self):
        if not (-1 <= self.right <= 1 and -1 <= self.down <= 1):
            raise ValueError(f"shifts are shares of the image, -1 to 1; got {self.right} and {self.down}")

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Images of shape (n, channels, height, width), shifted."""
        height, width = images.shape[-2:]
        return shift(images, round(self.right * width), round(self.down * height))


@dataclass(frozen=True)
class HalfCovered:
    """Covers one half of every image with the median colour of its border.

    Parameters
    ----------
    right : bool
        Whether the right half is covered, else the left one. The central column of an odd width stays.
    """

    right: bool = True

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Images of shape (n, channels, height, width), half covered."""
        covered = images.copy()
        half = images.shape[3] // 2
        for image in covered:
            part = image[:, :, images.shape[3] - half :] if self.right else image[:, :, :half]
            part[...] = np.median(_border(image), axis=1)[:, None, None]
        return covered


@dataclass(frozen=True)
class SameContrast:
    """Gives every image the same mean luminance and the same standard deviation of its pixels.

    Parameters
    ----------
    mean, sd : float
        Over the pixels of all channels; values that leave 0..1 are cut. An image of one colour gets ``mean``.
    """

    mean: float = 0.5
    sd: float = 0.15

    def __post_init__(self):
        if not 0 < self.mean < 1 or not 0 < self.sd < 0.5:
            raise ValueError(f"mean must lie between 0 and 1 and sd between 0 and 0.5; got {self.mean} and {self.sd}")

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Images of shape (n, channels, height, width), rescaled."""
        centred = images - images.mean(axis=(1, 2, 3), keepdims=True)
        sd = centred.std(axis=(1, 2, 3), keepdims=True)
        scaled = np.divide(centred, sd, out=np.zeros_like(centred), where=sd > 1e-6)
        return np.clip(self.mean + self.sd * scaled, 0, 1).astype(images.dtype)


@dataclass(frozen=True)
class LitFromSide:
    """Multiplies every image by a ramp of luminance from left to right, as a light from one side would.

    Parameters
    ----------
    change : float
        The right edge is ``1 + change`` times as bright as before, the left edge ``1 - change`` times; -1 to 1. Values
        above 1 are cut.
    """

    change: float = 0.5

    def __post_init__(self):
        if not -1 <= self.change <= 1:
            raise ValueError(f"change must lie between -1 and 1; got {self.change}")

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Images of shape (n, channels, height, width), brighter towards one side."""
        ramp = 1 + self.change * np.linspace(-1, 1, images.shape[3])
        return np.clip(images * ramp, 0, 1).astype(images.dtype)


@dataclass(frozen=True)
class GrayBackground:
    """Replaces the uniform background of an image, where it is connected with the border, by gray.

    The background's colour is the median of the border pixels, per channel. Pixels of that colour inside
    the foreground (the white of an eye, an enclosed gap) are not changed.

    Parameters
    ----------
    level : float
        Gray level of the new background, 0 (black) to 1 (white).
    tolerance : float
        Largest difference from the background's colour, in any channel, that still counts as background; images
        that went through JPEG need about 0.05.

    Raises
    ------
    ValueError
        When made with a level outside 0..1 or a tolerance that is not positive.
    InputError
        When called on an image with less than half of its border in one colour, which has no uniform background.

    Examples
    --------
    >>> GrayBackground()(np.ones((1, 3, 4, 4), dtype=np.float32)).max()
    np.float32(0.5)
    """

    level: float = 0.5
    tolerance: float = 0.02

    def __post_init__(self):
        if not 0 <= self.level <= 1:
            raise ValueError(f"level must lie between 0 (black) and 1 (white), not {self.level}")
        if not self.tolerance > 0:
            raise ValueError(f"tolerance must be above 0, not {self.tolerance}")

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Images of shape (n, channels, height, width), values in 0..1, on the new background."""
        replaced = images.copy()
        for position, image in enumerate(images):
            background, share = background_mask(image, tolerance=self.tolerance)
            if share < 0.5:
                raise InputError(
                    f"the image has no uniform background: only {share:.0%} of its border has one "
                    f"colour within {self.tolerance:g}; leave GrayBackground out, or raise its tolerance"
                )
            replaced[position, :, background] = self.level
        return replaced


def background_mask(image: np.ndarray, *, tolerance: float = 0.02) -> tuple[np.ndarray, float]:
    """Mask of an image's uniform background: pixels of the border's colour that are connected with the border.

    Parameters
    ----------
    image : array of shape (channels, height, width)
        Values in 0..1.
    tolerance : float
        Largest difference from the median colour of the border, in any channel.

    Returns
    -------
    mask : boolean array of shape (height, width)
        True where a pixel belongs to the background.
    share : float
        Share of the border that has this colour; below one half there is no uniform background.
    """
    border = _border(image)
    colour = np.median(border, axis=1)
    alike = np.abs(image - colour[:, None, None]).max(axis=0) <= tolerance
    regions, _ = ndimage.label(alike)
    rim = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    share = (np.abs(border - colour[:, None]).max(axis=0) <= tolerance).mean()
    return np.isin(regions, rim[rim > 0]), float(share)


def _border(image: np.ndarray) -> np.ndarray:
    """Pixels on the border of an image (channels, height, width), (channels, n_pixels)."""
    return np.concatenate([image[:, 0], image[:, -1], image[:, 1:-1, 0], image[:, 1:-1, -1]], axis=1)
