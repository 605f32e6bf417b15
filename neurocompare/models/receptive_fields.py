"""Receptive fields anywhere in the image, of any size: Gabor cells and Gaussian windows.

Parts of the networks that embody accounts of the face patches (``accounts``). Takes gray images of 64 x 64 pixels whose
background is 0. Positions are pixels from the image's centre, x to the right and y downwards, so that a mirror image is
the image with x negated, exactly.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from neurocompare.models.preprocessing import Preprocessing

__all__ = ["GRAY_64", "SIDE", "GaborCells", "Windows", "grid", "jittered"]

SIDE = 64
"""Height and width of the images, pixels."""
GRAY_64 = Preprocessing(size=SIDE, mean=(0.5,), sd=(1.0,), channels="gray")
"""Preprocessing of these networks: gray, with the uniform gray background at 0."""
WAVELENGTHS_PER_SD = 0.56
"""Standard deviation of a Gabor cell's Gaussian over its wavelength: a bandwidth of one octave."""
WIDEST = 1e6
"""Standard deviation, pixels, of a window that weighs the whole image equally: the weights of networks are finite."""


class GaborCells(nn.Module):
    """Complex cells, each with a position, orientation and wavelength of its own.

    A cell's response is the amplitude of a complex Gabor function (a quadrature pair) with a round Gaussian envelope,
    in units of the contrast of its best grating. The function is a product of one along x and one along y, so that a
    cell can lie anywhere without a convolution.

    Parameters
    ----------
    centres : array of shape (n_cells, 2)
        x and y, pixels from the image's centre.
    wavelengths : array of shape (n_cells,)
        Pixels.
    orientations_deg : array of shape (n_cells,)
        Direction in which luminance changes: 0 for vertical stripes, counted from x towards y.
    """

    centres: torch.Tensor
    frequencies: torch.Tensor

    def __init__(self, centres: np.ndarray, wavelengths: np.ndarray, orientations_deg: np.ndarray):
        super().__init__()
        angles = np.deg2rad(orientations_deg)
        frequencies = np.stack([np.cos(angles), np.sin(angles)], axis=1) / np.asarray(wavelengths)[:, None]
        self.register_buffer("centres", torch.tensor(centres, dtype=torch.float32))
        self.register_buffer("frequencies", torch.tensor(frequencies, dtype=torch.float32))

    def forward(self, images: torch.Tensor, *, mirrored: bool = False) -> torch.Tensor:
        """Responses (n_images, n_cells) of images (n_images, 1, 64, 64).

        ``mirrored`` gives those of the cells at the mirrored places with mirrored orientations, which are the responses
        of the cells themselves to the mirror images.
        """
        gray = (images.flip(-1) if mirrored else images)[:, 0]
        sd = WAVELENGTHS_PER_SD / self.frequencies.norm(dim=1)
        offsets = _pixels(gray)[:, None] - self.centres.T[:, None]  # (axis, pixel, cell)
        envelope = torch.exp(-0.5 * (offsets / sd) ** 2)
        phase = 2 * math.pi * offsets * self.frequencies.T[:, None]
        cos_x, cos_y = envelope * torch.cos(phase)
        sin_x, sin_y = envelope * torch.sin(phase)
        rows_cos, rows_sin = gray @ cos_x, gray @ sin_x  # (image, row, cell)
        even = (rows_cos * cos_y - rows_sin * sin_y).sum(dim=1)
        odd = (rows_cos * sin_y + rows_sin * cos_y).sum(dim=1)
        return (even**2 + odd**2).sqrt() * (2 / (2 * math.pi * sd**2))


class Windows(nn.Module):
    """Gaussian windows whose weights add up to 1.

    Parameters
    ----------
    centres : array of shape (n_windows, 2)
        x and y, pixels from the image's centre.
    sds : array of shape (n_windows,)
        Standard deviations, pixels; infinite for a window that weighs the whole image equally.
    """

    centres: torch.Tensor
    sds: torch.Tensor

    def __init__(self, centres: np.ndarray, sds: np.ndarray):
        super().__init__()
        self.register_buffer("centres", torch.tensor(centres, dtype=torch.float32))
        self.register_buffer("sds", torch.tensor(np.minimum(sds, WIDEST), dtype=torch.float32))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Weighted means (n_images, channels, n_windows) of maps (n_images, channels, height, width)."""
        offsets = (_pixels(maps)[:, None] - self.centres.T[:, None]) / self.sds
        weights = torch.exp(-0.5 * offsets**2)
        across, down = weights / weights.sum(dim=1, keepdim=True)
        return ((maps @ across) * down).sum(dim=2)


def grid(n_across: int, n_down: int, *, left: float = -1.0) -> np.ndarray:
    """Centres (n_across * n_down, 2) of equal tiles of the image, or of its part right of ``left`` (-1..1)."""
    half = SIDE / 2
    x = half * (left + (1 - left) * (np.arange(n_across) + 0.5) / n_across)
    y = half * (-1 + 2 * (np.arange(n_down) + 0.5) / n_down)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def jittered(values: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Values, each multiplied by a log-normal factor whose logarithm has the standard deviation ``share``."""
    return values * np.exp(share * rng.standard_normal(np.shape(values)))


def _pixels(maps: torch.Tensor) -> torch.Tensor:
    """Positions (side,) of the pixels of square maps, in pixels of the whole image from its centre."""
    side = maps.shape[-1]
    steps = torch.arange(side, dtype=maps.dtype, device=maps.device)
    return (steps - (side - 1) / 2) * (SIDE / side)
