"""How an image comes to the size at which it is shown: its proportions are kept unless that is not wanted.

Takes one image and a :class:`Resizing`; gives the image at that size. A :class:`~neural_data.stimuli.StimulusSet` takes
a number of pixels in its place, which means a square.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from neural_data.errors import InputError, closest

__all__ = ["ASPECTS", "INTERPOLATIONS", "Resizing", "as_resizing", "resized"]

ASPECTS = {
    "crop": "the shorter side fits and the ends of the longer one are cut off, as torchvision does",
    "pad": "the longer side fits and what is left over is filled",
    "squash": "each side fits by itself: a circle becomes an ellipse where the image is not of that shape",
}
"""What may become of an image's proportions, and in words."""
INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Kernels of Pillow; all but ``nearest`` are widened where an image becomes smaller (anti-aliased)."""


@dataclass(frozen=True)
class Resizing:
    """Size of an image, and how it comes to it.

    Parameters
    ----------
    size : (int, int)
        Height and width, pixels.
    aspect : {"crop", "pad", "squash"}
        See :data:`ASPECTS`.
    interpolation : str
        One of :data:`INTERPOLATIONS`.
    cut_from : (int, int) or None
        Height and width to which the image is brought first, of which the central ``size`` is shown; None: ``size``.
    fill : tuple of three floats
        Colour that ``pad`` fills with, 0..1.
    """

    size: tuple[int, int]
    aspect: str = "crop"
    interpolation: str = "bilinear"
    cut_from: tuple[int, int] | None = None
    fill: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def __post_init__(self):
        for name, value, known in (
            ("aspect", self.aspect, ASPECTS),
            ("interpolation", self.interpolation, INTERPOLATIONS),
        ):
            if value not in known:
                raise InputError(f"{name} {value!r} of images: {closest(str(value), known)}")
        sides = (*self.size, *(self.cut_from or self.size))
        if len(sides) != 4 or min(sides) < 1 or any(a < b for a, b in zip(sides[2:], self.size, strict=True)):
            raise InputError(
                f"images cannot be shown at {self.size} pixels cut from {self.cut_from}; sizes must be positive, and "
                "what is cut from at least as large"
            )

    @property
    def n_pixels(self) -> int:
        """Of the image that is shown."""
        return self.size[0] * self.size[1]


def as_resizing(size: int | tuple[int, int] | Resizing) -> Resizing:
    """The resizing that a number of pixels (a square), a height and width, or a resizing means."""
    if isinstance(size, Resizing):
        return size
    if isinstance(size, (int, np.integer)):
        return Resizing((int(size), int(size)))
    height, width = size
    return Resizing((height, width))


def resized(image: np.ndarray, how: Resizing) -> np.ndarray:
    """An image at the size at which it is shown.

    Parameters
    ----------
    image : array of shape (3, height, width), float32
        Values in 0..1.
    how : Resizing

    Returns
    -------
    array of shape (3, *how.size), float32
        Values in 0..1; the image itself where it has that size already.
    """
    height, width = image.shape[1:]
    tall, wide = how.cut_from or how.size
    if how.aspect != "squash":
        # One side fits exactly; the other is rounded down, as torchvision does.
        by_height = (tall * width >= wide * height) == (how.aspect == "crop")
        tall, wide = (tall, max(tall * width // height, 1)) if by_height else (max(wide * height // width, 1), wide)
    return _centred(_scaled(image, tall, wide, how.interpolation), how)


def _scaled(image: np.ndarray, height: int, width: int, interpolation: str) -> np.ndarray:
    if image.shape[1:] == (height, width):
        return image
    kernel = INTERPOLATIONS[interpolation]
    channels = [Image.fromarray(channel).resize((width, height), kernel) for channel in image]
    return np.clip(np.stack([np.asarray(channel) for channel in channels]), 0, 1)


def _centred(image: np.ndarray, how: Resizing) -> np.ndarray:
    """The central part of an image; where it is smaller, the image in the middle of the fill."""
    if image.shape[1:] == how.size:
        return image
    shown = np.empty((3, *how.size), np.float32)
    shown[:] = np.asarray(how.fill, np.float32)[:, None, None]
    taken, put = [], []
    for length, wanted in zip(image.shape[1:], how.size, strict=True):
        # As torchvision's CenterCrop rounds it.
        before = round(abs(length - wanted) / 2)
        kept = min(length, wanted)
        start = before if length > wanted else 0
        taken.append(slice(start, start + kept))
        start = before if length < wanted else 0
        put.append(slice(start, start + kept))
    shown[:, put[0], put[1]] = image[:, taken[0], taken[1]]
    return shown
