"""What is done to an image before a network sees it: it belongs to the weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from neural_data.errors import InputError

__all__ = ["Preprocessing"]


@dataclass(frozen=True)
class Preprocessing:
    """What is done to an image in 0..1 before a network sees it.

    Parameters
    ----------
    size : int
        Height and width of what the network sees, pixels.
    mean, sd : tuple of three floats
        Subtracted from, and divided into, the red, green and blue channel. The default puts the uniform gray
        background (0.5) at zero, where it equals the padding of the convolutions.
    crop_from : int or None
        Images are resized to this height and width, and the central ``size`` x ``size`` pixels are shown; None shows
        all of an image.

    Examples
    --------
    >>> Preprocessing(size=224, crop_from=256).image_size
    256
    """

    size: int = 224
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    sd: tuple[float, float, float] = (0.25, 0.25, 0.25)
    crop_from: int | None = None

    def __post_init__(self):
        if self.size < 1 or (self.crop_from is not None and self.crop_from < self.size):
            raise InputError(
                f"a network cannot be shown {self.size} pixels cut from {self.crop_from}; size must be positive and "
                "crop_from at least as large"
            )
        if len(self.mean) != 3 or len(self.sd) != 3 or not all(value > 0 for value in self.sd):
            raise InputError(
                f"preprocessing needs three channel means and three positive sds; got mean {self.mean}, sd {self.sd}"
            )

    @property
    def image_size(self) -> int:
        """Pixels to which stimuli are resized: ask ``StimulusSet.images`` for this size."""
        return self.crop_from or self.size

    def __call__(
        self, images: np.ndarray, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> torch.Tensor:
        """Tensor that a network takes.

        Parameters
        ----------
        images : array of shape (n, 3, height, width)
            Values in 0..1, ``image_size`` pixels high and wide, or ``size`` where they are already cropped.
        device, dtype
            Of the network's weights. Channels are normalised in float32 at least.

        Returns
        -------
        torch.Tensor of shape (n, 3, size, size)
        """
        top, left = ((length - self.size) // 2 if self.crop_from else 0 for length in images.shape[2:])
        height, width = (self.size, self.size) if self.crop_from else images.shape[2:]
        shown = torch.from_numpy(images[:, :, top : top + height, left : left + width])
        working = dtype if dtype == torch.float64 else torch.float32
        mean = torch.tensor(self.mean, device=device, dtype=working).view(1, 3, 1, 1)
        sd = torch.tensor(self.sd, device=device, dtype=working).view(1, 3, 1, 1)
        return torch.sub(shown.to(device, working), mean).div_(sd).to(dtype)
