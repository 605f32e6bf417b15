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

__all__ = ["GRAY_64", "SIDE", "GaborCells", "GaborGrid", "Windows", "gaussian", "grid", "jittered", "tiles"]

SIDE = 64
"""Height and width of the images, pixels."""
GRAY_64 = Preprocessing(size=SIDE, mean=(0.5,), sd=(1.0,), channels="gray")
"""Preprocessing of these networks: gray, with the uniform gray background at 0."""
WAVELENGTHS_PER_SD = 0.56
"""Standard deviation of a Gabor cell's Gaussian over its wavelength: a bandwidth of one octave."""
FARTHEST = 8.0
"""Standard deviations at which a Gaussian ends, at 1e-14, below the rounding of sums. Denormal numbers farther out
would make products twenty times slower."""
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
        self.register_buffer("centres", torch.tensor(centres, dtype=torch.float32))
        self.register_buffer("frequencies", _frequencies(wavelengths, orientations_deg))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Responses (n_images, n_cells) of images (n_images, 1, 64, 64)."""
        gray = images[:, 0]
        sd = WAVELENGTHS_PER_SD / self.frequencies.norm(dim=1)
        # (pixel, cell) each
        (cos_x, sin_x), (cos_y, sin_y) = (
            _waves(gray, self.centres[:, axis], self.frequencies[:, axis], sd) for axis in (0, 1)
        )
        rows_cos, rows_sin = gray @ cos_x, gray @ sin_x  # (image, row, cell)
        even = (rows_cos * cos_y - rows_sin * sin_y).sum(dim=1)
        odd = (rows_cos * sin_y + rows_sin * cos_y).sum(dim=1)
        return (even**2 + odd**2).sqrt() * _scale(sd)


class GaborGrid(nn.Module):
    """Complex cells of several kinds, each kind at all places of a grid; responses are those of :class:`GaborCells`.

    All cells of a kind in one column or row share their function of x or y, so that each is taken once.

    Parameters
    ----------
    x, y : arrays of shape (n_across,) and (n_down,)
        Places along either axis, pixels from the image's centre.
    wavelengths : array of shape (n_kinds,)
        Pixels.
    orientations_deg : array of shape (n_kinds,)
        Direction in which luminance changes: 0 for vertical stripes, counted from x towards y.
    """

    x: torch.Tensor
    y: torch.Tensor
    frequencies: torch.Tensor

    def __init__(self, x: np.ndarray, y: np.ndarray, wavelengths: np.ndarray, orientations_deg: np.ndarray):
        super().__init__()
        self.register_buffer("x", torch.tensor(x, dtype=torch.float32))
        self.register_buffer("y", torch.tensor(y, dtype=torch.float32))
        self.register_buffer("frequencies", _frequencies(wavelengths, orientations_deg))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Responses (n_images, n_kinds, n_down, n_across) of images (n_images, 1, 64, 64)."""
        gray = images[:, 0]
        sd = WAVELENGTHS_PER_SD / self.frequencies.norm(dim=1)
        # (kind, pixel, 2 * places): cosines, then sines.
        along_x, along_y = (
            torch.cat(
                _waves(gray, places.repeat(len(sd), 1), self.frequencies[:, axis, None], sd[:, None]),
                dim=2,
            ).transpose(0, 1)
            for axis, places in enumerate((self.x, self.y))
        )
        # Rows of all images are one matrix, and then their columns are another, so that products are large.
        rows = gray.transpose(0, 1).flatten(0, 1) @ along_x
        products = along_y.mT @ rows.reshape(len(sd), gray.shape[1], -1)
        by_cos, by_sin = products.unflatten(2, (len(gray), -1)).chunk(2, dim=1)  # (kind, n_down, image, 2 * n_across)
        (cos_cos, cos_sin), (sin_cos, sin_sin) = by_cos.chunk(2, dim=3), by_sin.chunk(2, dim=3)
        amplitude = ((cos_cos - sin_sin) ** 2 + (sin_cos + cos_sin) ** 2).sqrt()
        return amplitude.permute(2, 0, 1, 3) * _scale(sd)[:, None, None]


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
        weights = gaussian(offsets)
        across, down = weights / weights.sum(dim=1, keepdim=True)
        return ((maps @ across) * down).sum(dim=2)


def tiles(n: int, *, left: float = -1.0) -> np.ndarray:
    """Centres (n,) of equal parts of the image's width, or of its part right of ``left`` (-1..1)."""
    return SIDE / 2 * (left + (1 - left) * (np.arange(n) + 0.5) / n)


def grid(n_across: int, n_down: int, *, left: float = -1.0) -> np.ndarray:
    """Centres (n_across * n_down, 2) of equal tiles of the image, or of its part right of ``left`` (-1..1)."""
    return np.stack(np.meshgrid(tiles(n_across, left=left), tiles(n_down)), axis=-1).reshape(-1, 2)


def gaussian(distances: torch.Tensor) -> torch.Tensor:
    """exp(-d^2 / 2) of distances in standard deviations, 0 beyond :data:`FARTHEST`."""
    return torch.exp(-0.5 * distances**2) * (distances.abs() <= FARTHEST)


def jittered(values: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Values, each multiplied by a log-normal factor whose logarithm has the standard deviation ``share``."""
    return values * np.exp(share * rng.standard_normal(np.shape(values)))


def _pixels(maps: torch.Tensor) -> torch.Tensor:
    """Positions (side,) of the pixels of square maps, in pixels of the whole image from its centre."""
    side = maps.shape[-1]
    steps = torch.arange(side, dtype=maps.dtype, device=maps.device)
    return (steps - (side - 1) / 2) * (SIDE / side)


def _frequencies(wavelengths: np.ndarray, orientations_deg: np.ndarray) -> torch.Tensor:
    """Cycles per pixel along x and y, (n, 2)."""
    angles = np.deg2rad(orientations_deg)
    frequencies = np.stack([np.cos(angles), np.sin(angles)], axis=1) / np.asarray(wavelengths)[:, None]
    return torch.tensor(frequencies, dtype=torch.float32)


def _waves(
    maps: torch.Tensor, centres: torch.Tensor, frequencies: torch.Tensor, sd: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and sine under the Gaussian envelope along one axis of the maps, (pixel, *shape of ``centres``)."""
    steps = _pixels(maps)
    offsets = steps.reshape(-1, *[1] * centres.ndim) - centres
    envelope = gaussian(offsets / sd)
    phase = 2 * math.pi * offsets * frequencies
    return envelope * torch.cos(phase), envelope * torch.sin(phase)


def _scale(sd: torch.Tensor) -> torch.Tensor:
    """What gives a cell's best grating of contrast c the response c."""
    return 2 / (2 * math.pi * sd**2)
