"""Model of V1 simple and complex cells: a control without learning.

Filters, scales and pooling are those of HMAX's S1 and C1 layers. Instead of HMAX's absolute response of an even filter,
the response is the energy of a quadrature pair (even and odd), as in models of complex cells.

References
----------
Serre, Wolf, Bileschi, Riesenhuber & Poggio (2007), IEEE Trans. PAMI 29:411, Table 1.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from neurocompare.models.preprocessing import GRAY, Preprocessing

__all__ = ["GaborC1", "gabor_filters"]

FILTER_SIZES = tuple(range(7, 39, 2))
"""Height and width of the filters of each scale, pixels; two neighbouring scales form a band."""
SIGMAS = (2.8, 3.6, 4.5, 5.4, 6.3, 7.3, 8.2, 9.2, 10.2, 11.3, 12.3, 13.4, 14.6, 15.8, 17.0, 18.2)
WAVELENGTHS = (3.5, 4.6, 5.6, 6.8, 7.9, 9.1, 10.3, 11.5, 12.7, 14.1, 15.4, 16.8, 18.2, 19.7, 21.2, 22.8)
ASPECT = 0.3
ORIENTATIONS_DEG = (0.0, 45.0, 90.0, 135.0)
POOLING_SIZES = tuple(range(8, 24, 2))
"""Height and width of a complex cell's receptive field in each band, pixels; neighbours overlap by half."""
_SMALLEST_NORM = 1e-6


class GaborC1(nn.Module):
    """Gabor energy at 16 scales and 4 orientations, pooled over position and neighbouring scales.

    A simple cell's response is divided by the root sum of squares of the pixels in its receptive field. A complex cell
    takes the maximum over its field and over the two scales of its band. Fields are placed symmetrically about the
    image's centre, so that a mirror image gives mirrored maps with the 45 and 135 degree orientations exchanged (for
    images of even height and width, such as the 128 pixels shown here).
    """

    layer_names = ("c1",)
    input_size = 128
    preprocessing = Preprocessing(size=128, mean=(0.0, 0.0, 0.0), sd=(1.0, 1.0, 1.0))

    def __init__(self):
        super().__init__()
        for scale, size in enumerate(FILTER_SIZES):
            filters = gabor_filters(size, SIGMAS[scale], WAVELENGTHS[scale])
            self.register_buffer(f"filters{size}", filters, persistent=False)
        self.c1 = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Complex-cell responses (n, n_units) of images (n, 3, height, width) in 0..1; bands concatenated."""
        return self.c1(torch.cat([maps.flatten(1) for maps in self.bands(images)], dim=1))

    def bands(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Maps (n, 4, rows, columns) of each of the eight bands, orientations in the order of ``ORIENTATIONS_DEG``."""
        weights = torch.tensor(GRAY, dtype=images.dtype, device=images.device).view(1, 3, 1, 1)
        gray = (images * weights).sum(dim=1, keepdim=True)
        maps = []
        for band, field in enumerate(POOLING_SIZES):
            first, second = (self._energy(gray, FILTER_SIZES[2 * band + k]) for k in (0, 1))
            maps.append(_pool_centred(torch.maximum(first, second), field))
        return maps

    def _energy(self, gray: torch.Tensor, size: int) -> torch.Tensor:
        """Normalised energy (n, 4, height, width) of one scale; 0 where the filter crosses the border."""
        filters = getattr(self, f"filters{size}").to(gray.dtype)
        if min(gray.shape[2:]) < size:
            return gray.new_zeros(len(gray), len(ORIENTATIONS_DEG), *gray.shape[2:])
        # A box sum is separable: down, then across.
        down = functional.avg_pool2d(gray**2, (size, 1), stride=1)
        power = functional.avg_pool2d(down, (1, size), stride=1) * size**2
        response = functional.conv2d(gray, filters) / power.clamp(min=_SMALLEST_NORM**2).sqrt()
        even, odd = response.chunk(2, dim=1)
        return functional.pad((even**2 + odd**2).sqrt(), (size // 2,) * 4)


def gabor_filters(size: int, sigma: float, wavelength: float) -> torch.Tensor:
    """Even and odd Gabor filters in four orientations.

    Parameters
    ----------
    size : int
        Height and width, pixels, odd. Weights outside the inscribed circle are zero.
    sigma, wavelength : float
        Width of the Gaussian and period of the grating, pixels.

    Returns
    -------
    torch.Tensor of shape (8, 1, size, size)
        Four even filters and then four odd ones, each of mean 0 and norm 1.
    """
    steps = torch.arange(size, dtype=torch.float64) - size // 2
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    filters = []
    for phase in (0.0, -math.pi / 2):
        for degrees in ORIENTATIONS_DEG:
            angle = math.radians(degrees)
            along = columns * math.cos(angle) + rows * math.sin(angle)
            across = -columns * math.sin(angle) + rows * math.cos(angle)
            envelope = torch.exp(-(along**2 + (ASPECT * across) ** 2) / (2 * sigma**2))
            gabor = envelope * torch.cos(2 * math.pi * along / wavelength + phase)
            gabor[rows**2 + columns**2 > (size / 2) ** 2] = 0.0
            gabor -= gabor.mean()
            filters.append(gabor / gabor.norm())
    return torch.stack(filters)[:, None].float()


def _pool_centred(maps: torch.Tensor, field: int) -> torch.Tensor:
    """Maximum over fields that overlap by half; zero padding is equal on opposite sides."""
    stride = field // 2
    added = []
    for length in (maps.shape[3], maps.shape[2]):
        missing = (field - length) % stride if length >= field else field - length
        missing += stride if missing % 2 and stride % 2 else 0
        added += [missing // 2, missing - missing // 2]
    return functional.max_pool2d(functional.pad(maps, added), field, stride=stride)
