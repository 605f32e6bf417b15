"""Account of the face patches without objects: luminance, contrast, orientations and spectra in windows that grow.

References
----------
Revsine, Gonzalez-Castillo, Merriam, Bandettini & Ramirez (2024), Journal of Neuroscience 44(17): a luminance confound
can look like mirror-symmetric tuning to views, since the luminance of a region changes evenly with the view.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from neurocompare.models.receptive_fields import GRAY_64, SIDE, GaborGrid, Windows, grid, jittered, tiles

__all__ = ["LowLevel"]

N_ORIENTATIONS = 6
WAVELENGTHS = (4.0, 6.5, 10.5, 17.0)
"""Pixels of 64, half an octave and more apart."""
_CELLS_ACROSS = 12
_WINDOWS = (("eighths", 8, SIDE / 16), ("halves", 3, SIDE / 4), ("whole", 1, np.inf))
"""Name, windows along either side, and standard deviation: twice that is an eighth of the image, or half of it."""
_LEAST_ENERGY = 1e-3
"""Added to amplitudes before logarithms, so that an empty window has the slope 0."""
_POSITION_JITTER, _WAVELENGTH_JITTER = 1.5, 0.1


class LowLevel(nn.Module):
    """Mean luminance, local contrast, orientation energy and spectral slope in windows of three sizes.

    Each window has the mean gray level, its standard deviation, the mean amplitude of complex cells of six orientations
    and four wavelengths, and the slope of log amplitude over log frequency.

    Parameters
    ----------
    seed : int
        Draws the orientations, the wavelengths (10 %) and the windows' places (1.5 pixels).

    Notes
    -----
    Layers: ``eighths`` (8 x 8 windows), ``halves`` (3 x 3) and ``whole`` (one, uniform over the image). The sizes are
    chosen; no layer knows objects, faces or parts of them.
    """

    layer_names = ("eighths", "halves", "whole")
    preprocessing = GRAY_64

    def __init__(self, seed: int = 0):
        super().__init__()
        rng = np.random.default_rng([seed, 1])
        orientations = 180 / N_ORIENTATIONS * (np.arange(N_ORIENTATIONS) + rng.random())
        wavelengths = jittered(np.array(WAVELENGTHS), _WAVELENGTH_JITTER, rng)
        kinds = np.array([(w, o) for w in wavelengths for o in orientations])
        places = tiles(_CELLS_ACROSS)
        self.cells = GaborGrid(places, places, *kinds.T)
        for name, n_across, sd in _WINDOWS:
            centres = grid(n_across, n_across)
            if np.isfinite(sd):
                centres = centres + _POSITION_JITTER * rng.standard_normal(centres.shape)
            self.add_module(f"{name}_windows", Windows(centres, np.full(len(centres), sd)))
            self.add_module(name, nn.Identity())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Statistics (n, 27) of whole images (n, 1, 64, 64)."""
        maps = self.cells(images)
        found = images
        for name, _, _ in _WINDOWS:
            windows = getattr(self, f"{name}_windows")
            energy = windows(maps)
            mean = windows(images)
            contrast = (windows(images**2) - mean**2).clamp(min=0).sqrt()
            by_wavelength = energy.reshape(len(images), len(WAVELENGTHS), N_ORIENTATIONS, -1).mean(dim=2)
            statistics = torch.cat([mean, contrast, energy, self._slope(by_wavelength)], dim=1)
            found = getattr(self, name)(statistics.flatten(1))
        return found

    def _slope(self, amplitude: torch.Tensor) -> torch.Tensor:
        """Slope (n, 1, n_windows) of log amplitude over log frequency, of amplitudes (n, wavelengths, n_windows)."""
        per_wavelength = self.cells.frequencies.norm(dim=1).reshape(len(WAVELENGTHS), -1)[:, 0]
        x = per_wavelength.log()
        x = (x - x.mean()) / (x - x.mean()).square().sum()
        return ((amplitude + _LEAST_ENERGY).log() * x[:, None]).sum(dim=1, keepdim=True)
