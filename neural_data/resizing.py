"""Resizes images to the size at which they are shown, by default without distorting their proportions.

Takes one image and a :class:`Resizing`; gives the image at that size. Where a
:class:`~neural_data.stimuli.StimulusSet` takes a number of pixels instead, the size is a square.
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
"""Ways to fit an image of other proportions into the size shown, each with its description."""
INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Pillow's resampling kernels; all but ``nearest`` are anti-aliased when an image is made smaller."""


@dataclass(frozen=True)
class Resizing:
    """Size at which an image is shown, and how the image is resized to it.

    Parameters
    ----------
    size : (int, int)
        Height and width, pixels.
    aspect : {"crop", "pad", "squash"}
        See :data:`ASPECTS`.
    interpolation : str
        One of :data:`INTERPOLATIONS`.
    cut_from : (int, int) or None
        Height and width to which the image is resized first; its central ``size`` is shown. None: ``size``.
    fill : tuple of three floats
        Colour of the border that ``pad`` adds, 0..1.
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
        """Number of pixels of the image shown."""
        return self.size[0] * self.size[1]


def as_resizing(size: int | tuple[int, int] | Resizing) -> Resizing:
    """A :class:`Resizing` from a number of pixels (a square), a height and width, or a Resizing."""
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
        Size, aspect and interpolation.

    Returns
    -------
    array of shape (3, height, width), float32
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
    """The central part of an image; an image that is smaller is centred on the fill colour."""
    if image.shape[1:] == how.size:
        return image
    shown = np.empty((3, *how.size), np.float32)
    shown[:] = np.asarray(how.fill, np.float32)[:, None, None]
    taken, put = [], []
    for length, wanted in zip(image.shape[1:], how.size, strict=True):
        # Rounded as in torchvision's CenterCrop.
        before = round(abs(length - wanted) / 2)
        kept = min(length, wanted)
        start = before if length > wanted else 0
        taken.append(slice(start, start + kept))
        start = before if length < wanted else 0
        put.append(slice(start, start + kept))
    shown[:, put[0], put[1]] = image[:, taken[0], taken[1]]
    return shown
