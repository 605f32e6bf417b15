"""What is done to an image before a network sees it: it belongs to the weights."""

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

__all__ = ["CHANNELS", "Preprocessing"]

_GRAY = (0.299, 0.587, 0.114)
CHANNELS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "rgb": lambda images: images,
    "bgr": lambda images: images.flip(1),
    "gray": lambda images: (images * images.new_tensor(_GRAY).view(1, 3, 1, 1)).sum(1, keepdim=True),
}
"""Order of the channels that a network takes, from red, green and blue; ``gray`` is their luma, one channel."""


@dataclass(frozen=True)
class Preprocessing:
    """What is done to an image before a network sees it.

    Parameters
    ----------
    size : int or (int, int) or None
        Height and width of what the network sees, pixels; one number for both. None, with a ``transform``: images come
        to it at their own size, which must then be one.
    mean, sd : tuple of three floats
        Subtracted from, and divided into, the channels, in the order in which the network takes them and in the units
        of ``value_range``; one value of each for gray. The default puts the uniform gray background (0.5) at zero,
        where it equals the padding of convolutions.
    crop_from : int or None
        Images are brought to this height and width first (their shorter side, where ``size`` is not square), and the
        central ``size`` is shown; None shows all of an image.
    aspect : {"crop", "pad", "squash"}
        What becomes of images that are not of the shape of ``size``: their shorter side fits and the ends are cut off;
        their longer side fits and the rest is gray; or they are squashed. See :data:`neural_data.resizing.ASPECTS`.
    interpolation : str
        ``bilinear``, ``bicubic``, ``nearest``, ``lanczos``, ``box`` or ``hamming``; see
        :data:`neural_data.resizing.INTERPOLATIONS`.
    value_range : (float, float)
        Black and white, before ``mean`` is subtracted: (0, 255) for networks that take pixel values.
    channels : {"rgb", "bgr", "gray"}
        Order of the channels that the network takes.
    fill : float or tuple of three floats
        Red, green and blue, 0..1, of what ``aspect="pad"`` adds.
    transform : callable or None
        Does all of the above by itself, but for ``size`` and what goes with it: ``transform(image)`` takes a
        ``PIL.Image`` (RGB, 8 bits a channel) and gives an array or tensor (channels, height, width), as a transform of
        torchvision, timm or open_clip does, or a mapping with ``pixel_values``, as a processor of transformers does.
        Give ``size=None`` with it, so that it sees images at their own size.

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
            raise InputError(f"channels {self.channels!r} of a network's images: {closest(self.channels, CHANNELS)}")
        if len(self.value_range) != 2 or not self.value_range[0] < self.value_range[1]:
            raise InputError(f"value_range is black and white, such as (0, 255); got {self.value_range}")
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
            raise InputError(f"a transform of images is a callable; got a {type(self.transform).__name__}")
        if self.size is None and (self.transform is None or self.crop_from is not None):
            raise InputError("preprocessing needs a size, unless a transform of whole images gives it; name one")
        self.shown_at  # noqa: B018 - refuses sizes, aspects and interpolations that do not exist

    @property
    def height_and_width(self) -> tuple[int, int] | None:
        """Of what the network sees, pixels; None where a transform takes images at their own size."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @property
    def side(self) -> int:
        """Height and width of what the network sees, where they are one number.

        Raises
        ------
        InputError
            If they are not, or a transform decides.
        """
        size = self.height_and_width
        if size is None or size[0] != size[1]:
            raise InputError(f"square images of a known size are needed here; the network is shown {self.in_words()}")
        return size[0]

    @property
    def shown_at(self) -> Resizing | None:
        """How stimuli come to the size that the network sees: ask ``StimulusSet.images`` for this."""
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
        """Tensor that a network takes.

        Parameters
        ----------
        images : array of shape (n, 3, height, width)
            Values in 0..1, as ``StimulusSet.images(preprocessing.shown_at)`` gives them: no pixel is moved here, unless
            by ``transform``.
        device, dtype
            Of the network's weights. Channels are normalised in float32 at least.

        Returns
        -------
        torch.Tensor of shape (n, channels, height, width)

        Raises
        ------
        InputError
            If images are not of the size that the network sees, or ``transform`` fails or gives something else than an
            image.
        """
        if self.transform is not None:
            return torch.stack([_transformed(self.transform, image) for image in images]).to(device, dtype)
        if images.shape[1:] != (3, *(self.height_and_width or ())):
            raise InputError(
                f"a network is shown {self.in_words()}; got images of shape {images.shape[1:]}: ask for "
                "stimuli.images(preprocessing.shown_at)"
            )
        working = dtype if dtype == torch.float64 else torch.float32
        # A copy: the images that were given stay as they are.
        shown = torch.from_numpy(images).to(device, working, copy=True)
        return self.normalised(shown).to(dtype)

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """Images (n, 3, height, width) in 0..1 in the network's channels and units; the memory is used again."""
        shown = CHANNELS[self.channels](images)
        black, white = self.value_range
        if (black, white) != (0.0, 1.0):
            shown = shown.mul_(white - black).add_(black)
        mean, sd = (shown.new_tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.sd))
        return shown.sub_(mean).div_(sd)

    def changed(self, **changes: Any) -> Preprocessing:
        """The same with some of its parameters changed.

        Raises
        ------
        InputError
            If there is no such parameter; the nearest right spelling is suggested.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise InputError(f"preprocessing has no {name!r}: {closest(name, known)}")
        return dataclasses.replace(self, **changes)

    def in_words(self) -> str:
        """One line that says all of it."""
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
