"""Account of the face patches by equivariance that is built in, and needs no learning.

Filters come in mirrored pairs, so that the maps of a mirror image are the mirrored maps with the members of each pair
exchanged: a group convolution over left-right reflection. Pooling over space and over the pair then gives exactly the
same responses to an image and its mirror image.

References
----------
Cohen & Welling (2016), ICML, arXiv:1602.07576, for group convolutions; Farzmahdi et al. (2024), eLife 13:e90256, for
pooling of reflection-equivariant maps as the source of AL's tuning.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from neurocompare.models.receptive_fields import GRAY_64

__all__ = ["Equivariant", "PairedConvolution"]

CHANNELS = (16, 32, 64)
"""Pairs of filters of each convolution."""
FILTER_SIZES = (5, 3, 3)
WIDTH = 128
"""Units of each fully connected layer."""


class PairedConvolution(nn.Module):
    """Convolution whose filters come in mirrored pairs, then batch normalisation, ReLU and 2 x 2 max pooling.

    Parameters
    ----------
    n_in : int
        Pairs of maps that come in; 0 for a gray image.
    n_out : int
        Pairs of maps that go out.
    size : int
        Height and width of the filters, odd.

    Notes
    -----
    For maps (f, g) of a pair and weights (a, b) the first map of the output is a * f + b * g and the second
    flip(a) * g + flip(b) * f. Both members of a pair are normalised by the same numbers; untrained, by none.
    """

    def __init__(self, n_in: int, n_out: int, size: int):
        super().__init__()
        self.lifts = n_in == 0
        self.weight = nn.Parameter(torch.empty(n_out, 1 if self.lifts else 2 * n_in, size, size))
        self.norm = nn.BatchNorm2d(n_out)
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps (n, 2 * n_out, height / 2, width / 2): the first of every pair, and then the second."""
        mirrored = self.weight.flip(-1)
        if not self.lifts:
            mirrored = torch.cat(mirrored.chunk(2, dim=1)[::-1], dim=1)
        filters, padding = torch.cat([self.weight, mirrored]), self.weight.shape[-1] // 2
        if self.training:
            # Stacked in height, a pair is one map to the normalisation.
            stacked = torch.cat(functional.conv2d(maps, filters, padding=padding).chunk(2, dim=1), dim=2)
            pairs = torch.cat(self.norm(stacked).chunk(2, dim=2), dim=1)
        else:
            mean, variance = (self.norm.get_buffer(f"running_{name}") for name in ("mean", "var"))
            scale = self.norm.weight / (variance + self.norm.eps).sqrt()
            shift = self.norm.bias - scale * mean
            filters = filters * scale.repeat(2)[:, None, None, None]
            pairs = functional.conv2d(maps, filters, shift.repeat(2), padding=padding)
        return functional.max_pool2d(pairs, 2).relu()


class Equivariant(nn.Module):
    """Three paired convolutions, pooling, a fully connected layer and class scores.

    Parameters
    ----------
    pooled : bool
        Whether the last map is averaged over space and over the members of each pair before the fully connected layer.
        Without, a fully connected layer takes the whole map.
    n_classes : int
        Width of ``scores``.

    Notes
    -----
    Layers: ``conv1`` to ``conv3``, ``pooled`` (or ``full1`` without pooling), ``full2`` and ``scores``.
    """

    preprocessing = GRAY_64

    def __init__(self, *, pooled: bool = True, n_classes: int = 10):
        super().__init__()
        self.layer_names = ("conv1", "conv2", "conv3", "pooled" if pooled else "full1", "full2", "scores")
        for k, (n_in, n_out, size) in enumerate(zip((0, *CHANNELS), CHANNELS, FILTER_SIZES, strict=False), 1):
            self.add_module(f"conv{k}", PairedConvolution(n_in, n_out, size))
        side = GRAY_64.side // 2 ** len(CHANNELS)
        n_features = CHANNELS[-1] if pooled else 2 * CHANNELS[-1] * side**2
        if pooled:
            self.pooled = nn.Identity()
        else:
            self.full1 = nn.Sequential(nn.Linear(n_features, WIDTH), nn.ReLU())
        self.full2 = nn.Sequential(nn.Linear(n_features if pooled else WIDTH, WIDTH), nn.ReLU())
        self.scores = nn.Linear(WIDTH, n_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Class scores (n, n_classes) of images (n, 1, 64, 64)."""
        maps = images
        for k in range(1, len(CHANNELS) + 1):
            maps = getattr(self, f"conv{k}")(maps)
        if "pooled" in self.layer_names:
            first, second = maps.mean(dim=(2, 3)).chunk(2, dim=1)
            hidden = self.pooled((first + second) / 2)
        else:
            hidden = self.full1(maps.flatten(1))
        return self.scores(self.full2(hidden))
