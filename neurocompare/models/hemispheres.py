"""Account of the face patches by connections between the hemispheres.

Each hemisphere sees one hemifield. Connections through the corpus callosum join mirror-symmetric places and mirrored
orientations: weakly in the first stage, fully in the second, so that it answers an image and its mirror image alike;
the third pools over space besides.

References
----------
Corballis & Beale (1976), The Psychology of Left and Right, for homotopic connections as a source of mirror
equivalence; Gross, Bender & Mishkin (1977), Brain Research 131:227, for the corpus callosum and the ipsilateral
receptive fields of inferior temporal neurons.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from neurocompare.models.receptive_fields import GRAY_64, SIDE, GaborGrid, grid, jittered, tiles

__all__ = ["Hemispheres"]

ACROSS, DOWN = 6, 12
"""Places of each hemifield."""
N_ORIENTATIONS = 6
WAVELENGTHS = (5.0, 8.0, 13.0)
"""Pixels of 64."""
WEAK = 0.2
"""Weight of the other hemisphere in the first stage; in the second it is 1. Values chosen."""
POOLING_SD = SIDE / 8
"""Standard deviation of the pooling windows of the last stage, pixels."""
_POOLED_ACROSS, _POOLED_DOWN = 2, 4
_JITTER = 0.1
_PLACE_JITTER = 1.0


class Hemispheres(nn.Module):
    """Complex cells of two hemifields, connected across the midline.

    Parameters
    ----------
    seed : int
        Draws orientations and wavelengths (10 %), the weight of the weak connections of each cell, and the places of
        the pooling windows (1 pixel). Both hemispheres are mirror images.

    Notes
    -----
    Layers: ``hemifields``, cells of both hemispheres, (r + w r') / (1 + w) with r' the mirrored cell of the other
    hemisphere and w 0.2 on average; ``commissural``, (r + r') / 2; ``pooled``, the same pooled over windows of a
    standard deviation of an eighth of the image.
    """

    layer_names = ("hemifields", "commissural", "pooled")
    preprocessing = GRAY_64
    weak: torch.Tensor
    pooling: torch.Tensor

    def __init__(self, seed: int = 0):
        super().__init__()
        rng = np.random.default_rng([seed, 3])
        orientations = 180 / N_ORIENTATIONS * (np.arange(N_ORIENTATIONS) + rng.random())
        kinds = np.array([(w, o) for w in jittered(np.array(WAVELENGTHS), _JITTER, rng) for o in orientations])
        places = grid(ACROSS, DOWN, left=0.0)
        self.cells = GaborGrid(tiles(ACROSS, left=0.0), tiles(DOWN), *kinds.T)
        weak = np.clip(WEAK * (1 + 0.5 * rng.standard_normal(len(kinds) * len(places))), 0, 1)
        self.register_buffer("weak", torch.tensor(weak, dtype=torch.float32))
        centres = grid(_POOLED_ACROSS, _POOLED_DOWN, left=0.0)
        centres = centres + _PLACE_JITTER * rng.standard_normal(centres.shape)
        distance = np.linalg.norm(centres[:, None] - places, axis=2)
        pooling = np.exp(-0.5 * (distance / POOLING_SD) ** 2)
        self.register_buffer("pooling", torch.tensor((pooling / pooling.sum(1, keepdims=True)).T, dtype=torch.float32))
        self.hemifields = nn.Identity()
        self.commissural = nn.Identity()
        self.pooled = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Responses of the last stage to images (n, 1, 64, 64)."""
        own, other = (self.cells(shown).flatten(1) for shown in (images, images.flip(-1)))
        both = [(one + self.weak * two) / (1 + self.weak) for one, two in ((own, other), (other, own))]
        self.hemifields(torch.cat(both, dim=1))
        joined = self.commissural((own + other) / 2)
        return self.pooled((joined.reshape(len(images), -1, ACROSS * DOWN) @ self.pooling).flatten(1))
