"""Preprocessing of images for a network: size, value range, channel order, mean and standard deviation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from neural_data.errors import InputError, closest
from neural_data.resizing import Resizing

__all__ = ["CHANNELS", "GRAY", "Preprocessing"]

GRAY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in gray (ITU-R BT.601)."""
CHANNELS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "rgb": lambda images: images,
    "bgr": lambda images: images.flip(1),
    "gray": lambda images: (images * images.new_tensor(GRAY).view(1, 3, 1, 1)).sum(1, keepdim=True),
}
"""Channel order of a network's input, as indices into red, green, blue; ``gray`` is their luma, one channel."""


@dataclass(frozen=True)
class Preprocessing:
    """Preprocessing of images for a network; it depends on the weights.

    Parameters
    ----------
    size : int or (int, int) or None
        Height and width of the network's input, pixels; one number for both. None, with a ``transform``: the transform
        gets images at their own size, which must be the same for all.
    mean, sd : tuple of three floats
        Mean subtracted from each channel, and standard deviation that it is divided by, in the network's channel order
        and in units of ``value_range``; one value each for gray. By default the uniform gray background (0.5) becomes
        zero, like the zero padding of convolutions.
    crop_from : int or None
        Images are first resized to this height and width (their shorter side, if ``size`` is not square); the central
        ``size`` is then cut out. None: no crop.
    aspect : {"crop", "pad", "squash"}
        For images of other proportions than ``size``: fit the shorter side and crop the longer one; fit the longer side
        and fill the rest with ``fill``; or distort. See :data:`neural_data.resizing.ASPECTS`.
    interpolation : str
        ``bilinear``, ``bicubic``, ``nearest``, ``lanczos``, ``box`` or ``hamming``; see
        :data:`neural_data.resizing.INTERPOLATIONS`.
    value_range : (float, float)
        Values of black and white, before ``mean`` is subtracted: (0, 255) for networks that take pixel values.
    channels : {"rgb", "bgr", "gray"}
        Channel order of the network's input.
    fill : float or tuple of three floats
        Red, green and blue, 0..1, of the border that ``aspect="pad"`` adds.
    transform : callable or None
        Replaces all of the above except ``size`` and its options: ``transform(image)`` takes a ``PIL.Image`` (RGB, 8
        bits per channel) and gives an array or tensor (channels, height, width), like transforms of torchvision, timm
        or open_clip, or a mapping with ``pixel_values``, like image processors of transformers. Use ``size=None`` with
        it, so that it gets images at their own size.

    Examples
    --------
    >>> Preprocessing(size=224, crop_from=256).shown_at
    Resizing(size=(224, 224), aspect='crop', interpolation='bilinear', cut_from=(256, 256), fill=(0.5, 0.5, 0.5))
    >>> caffe = Preprocessing(size=227, value_range=(0, 255), channels="bgr", mean=(104, 117, 123), sd=(1, 1, 1))
    """

    size: int | tuple[int, int] | None = 224
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    sd: tuple[float, ...] = (0.25, 0.25, 0.25)
    crop_from: int | None = None
    aspect: str = "crop"
    interpolation: str = "bilinear"
    value_range: tuple[float, float] = (0.0, 1.0)
    channels: str = "rgb"
    fill: float | tuple[float, float, float] = 0.5
    transform: Callable[[Image.Image], object] | None = None

    def __post_init__(self):
        for name in ("size", "mean", "sd", "value_range", "fill"):
            value = getattr(self, name)
            if isinstance(value, (list, np.ndarray, torch.Tensor)):
                object.__setattr__(self, name, tuple(np.asarray(value).tolist()))
        if self.channels not in CHANNELS:
            raise InputError(f"preprocessing has no channels {self.channels!r}: {closest(self.channels, CHANNELS)}")
        if len(self.value_range) != 2 or not self.value_range[0] < self.value_range[1]:
            raise InputError(
                "value_range must be two numbers, the values of black and white, such as (0, 255); got "
                f"{self.value_range}"
            )
        if self.channels == "gray" and len(self.mean) == len(self.sd) == 3:
            if len(set(self.mean)) > 1 or len(set(self.sd)) > 1:
                raise InputError(f"gray images have one mean and one sd; got mean {self.mean}, sd {self.sd}")
            object.__setattr__(self, "mean", self.mean[:1])
            object.__setattr__(self, "sd", self.sd[:1])
        wanted = 1 if self.channels == "gray" else 3
        if len(self.mean) != wanted or len(self.sd) != wanted or not all(value > 0 for value in self.sd):
            raise InputError(
                f"preprocessing needs {wanted} channel means and positive sds for {self.channels} images; got mean "
                f"{self.mean}, sd {self.sd}"
            )
        if self.transform is not None and not callable(self.transform):
            raise InputError(f"the transform of images must be a callable; got a {type(self.transform).__name__}")
        if self.size is None and (self.transform is None or self.crop_from is not None):
            raise InputError("preprocessing needs a size, unless a transform of whole images gives it; name one")
        self.shown_at  # noqa: B018 - refuses sizes, aspects and interpolations that do not exist

    @property
    def height_and_width(self) -> tuple[int, int] | None:
        """Height and width of the network's input, pixels; None if a transform takes images at their own size."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @property
    def side(self) -> int:
        """Side of the network's square input, pixels.

        Raises
        ------
        InputError
            If the input is not square, or a transform determines its size.
        """
        size = self.height_and_width
        if size is None or size[0] != size[1]:
            raise InputError(f"square images of a known size are needed here; this network is shown {self.in_words()}")
        return size[0]

    @property
    def shown_at(self) -> Resizing | None:
        """Resizing of stimuli to the network's input, the argument of ``StimulusSet.images``."""
        size = self.height_and_width
        if size is None:
            return None
        cut_from = None
        if self.crop_from is not None:
            height, width = (round(side * self.crop_from / min(size)) for side in size)
            cut_from = height, width
        fill = self.fill if isinstance(self.fill, tuple) else (self.fill, self.fill, self.fill)
        return Resizing(size, self.aspect, self.interpolation, cut_from, fill)

    def __call__(
        self, images: np.ndarray, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> torch.Tensor:
        """Input tensor of the network.

        Parameters
        ----------
        images : array of shape (n, 3, height, width)
            Values in 0..1, as ``StimulusSet.images(preprocessing.shown_at)`` gives them; they are not
            resized here, unless by ``transform``.
        device, dtype
            Those of the network's weights. Channels are normalised in float32 or float64.

        Returns
        -------
        torch.Tensor of shape (n, channels, height, width)

        Raises
        ------
        InputError
            If images do not have the size of the network's input, or ``transform`` fails or does not return an image.
        """
        if self.transform is not None:
            return torch.stack([_transformed(self.transform, image) for image in images]).to(device, dtype)
        if images.shape[1:] != (3, *(self.height_and_width or ())):
            raise InputError(
                f"a network is shown {self.in_words()}; got images of shape {images.shape[1:]}: ask for "
                "stimuli.images(preprocessing.shown_at)"
            )
        working = dtype if dtype == torch.float64 else torch.float32
        # A copy, so that the given images are not changed.
        shown = torch.from_numpy(images).to(device, working, copy=True)
        return self.normalised(shown).to(dtype)

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """Images (n, 3, height, width) in 0..1 in the network's channels and units; changes ``images`` in place."""
        shown = CHANNELS[self.channels](images)
        black, white = self.value_range
        if (black, white) != (0.0, 1.0):
            shown = shown.mul_(white - black).add_(black)
        mean, sd = (shown.new_tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.sd))
        return shown.sub_(mean).div_(sd)

    def changed(self, **changes: Any) -> Preprocessing:
        """Copy with some parameters changed.

        Raises
        ------
        InputError
            If there is no such parameter; the closest known name is suggested.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise InputError(f"preprocessing has no {name!r}: {closest(name, known)}")
        return dataclasses.replace(self, **changes)

    def in_words(self) -> str:
        """All parameters in one line of text."""
        if self.transform is not None:
            return f"by {getattr(self.transform, '__qualname__', type(self.transform).__name__)}"
        height_and_width = self.height_and_width
        size = "own size" if height_and_width is None else "{} x {} pixels".format(*height_and_width)
        cut = f" cut from {self.crop_from}" if self.crop_from else ""
        return (
            f"{size}{cut} ({self.aspect}, {self.interpolation}), {self.channels} in {_range(self.value_range)}, mean "
            f"{_values(self.mean)}, sd {_values(self.sd)}"
        )


def _transformed(transform: Callable[[Image.Image], object], image: np.ndarray) -> torch.Tensor:
    picture = Image.fromarray(np.rint(image.transpose(1, 2, 0) * 255).astype(np.uint8))
    try:
        shown = transform(picture)
        if isinstance(shown, Mapping):
            shown = shown["pixel_values"]
        shown = torch.as_tensor(np.asarray(shown) if isinstance(shown, (list, tuple)) else shown)
    except Exception as error:
        raise InputError(
            f"the transform of images failed ({type(error).__name__}: {error}); it must take a PIL image and give an "
            "array (channels, height, width), or a mapping with pixel_values"
        ) from error
    shown = shown[0] if shown.dim() == 4 and len(shown) == 1 else shown
    if shown.dim() != 3 or not shown.is_floating_point():
        raise InputError(
            f"the transform of images gives {tuple(shown.shape)} values of {shown.dtype}; it must give (channels, "
            "height, width) floating numbers"
        )
    return shown


def _values(values: tuple[float, ...]) -> str:
    shown = [f"{value:.4g}" for value in values]
    return shown[0] if len(set(shown)) == 1 else f"({', '.join(shown)})"


def _range(values: tuple[float, float]) -> str:
    return "{:g}..{:g}".format(*values)
