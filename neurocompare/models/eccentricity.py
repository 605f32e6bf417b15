"""Account of the face patches by cortical magnification and receptive fields that grow.

The visual field is sampled about the fixation point as in primary visual cortex, densely at the fovea; later stages
pool over receptive fields that grow with eccentricity and from stage to stage. Only those of the last stage cross the
vertical meridian. No stage has been trained, and none is built to pool mirror images.

References
----------
Schwartz (1977), Biological Cybernetics 25:181, for the logarithmic map; Horton & Hoyt (1991), Archives of Ophthalmology
109:816, for magnification as 1 / (e + e2) with e2 of 0.75 degrees; Freeman & Simoncelli (2011), Nature Neuroscience
14:1195, for diameters that grow in proportion to eccentricity and from area to area.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from neurocompare.models.receptive_fields import GRAY_64, SIDE, GaborCells, gaussian, jittered

__all__ = ["Eccentricity", "log_polar_places"]

FIELD_DEG = 7.0
"""Width of the image, degrees of visual angle: as faces were shown by Freiwald & Tsao (2010), fixated at the centre."""
E2_DEG = 0.75
N_RINGS, N_SPOKES = 10, 12
"""Sampled places of each hemifield: eccentricities and polar angles."""
N_ORIENTATIONS = 4
WAVELENGTH_PER_ECCENTRICITY = 0.6
"""Wavelength of a cell over e + e2; at least four pixels."""
DIAMETERS = {"small": 0.5, "middle": 1.0, "crossing": 2.0}
"""Diameter of a receptive field (four standard deviations) over e + e2, by stage: like V4, and twice and four times as
large, as fields in inferior temporal cortex include the fovea and both hemifields. Values chosen."""
_POOLED_RINGS, _POOLED_SPOKES = 6, 8
_JITTER = 0.15
_LEAST_WAVELENGTH = 4.0
_PIXELS_PER_DEG = SIDE / FIELD_DEG


class Eccentricity(nn.Module):
    """Complex cells on a log-polar grid, pooled over growing receptive fields.

    Parameters
    ----------
    seed : int
        Draws ``e2``, and the orientations, wavelengths and diameters, each with a standard deviation of 15 %.

    Notes
    -----
    Layers: ``cortical_map`` (complex cells of four orientations at 10 eccentricities and 12 polar angles of each
    hemifield), ``small`` and ``middle`` (pooled within a hemifield), ``crossing`` (pooled over both). Pooling is over
    cells of one orientation as seen in the image.
    """

    layer_names = ("cortical_map", "small", "middle", "crossing")
    preprocessing = GRAY_64
    e2_deg: torch.Tensor

    def __init__(self, seed: int = 0):
        super().__init__()
        rng = np.random.default_rng([seed, 2])
        e2 = float(jittered(np.array(E2_DEG), _JITTER, rng))
        places = log_polar_places(N_RINGS, N_SPOKES, e2_deg=e2)
        wavelength = WAVELENGTH_PER_ECCENTRICITY * (np.hypot(*places.T) + e2) * _PIXELS_PER_DEG
        orientations = 180 / N_ORIENTATIONS * (np.arange(N_ORIENTATIONS) + rng.random())
        n = len(places)
        self.cells = GaborCells(
            np.tile(places * _PIXELS_PER_DEG, (N_ORIENTATIONS, 1)),
            np.maximum(np.tile(jittered(wavelength, _JITTER, rng), N_ORIENTATIONS), _LEAST_WAVELENGTH),
            np.repeat(orientations, n),
        )
        self.cortical_map = nn.Identity()
        centres = log_polar_places(_POOLED_RINGS, _POOLED_SPOKES, e2_deg=e2)
        eccentricity = np.hypot(*centres.T) + e2
        for name, diameter in DIAMETERS.items():
            sd = jittered(diameter * eccentricity, _JITTER, rng) / 4
            distances = np.linalg.norm(centres[:, None] - places, axis=2) / sd[:, None]
            weights = gaussian(torch.from_numpy(distances)).numpy()
            # Every place on the cortex counts alike, so the fovea weighs more in a field that includes it.
            if name != "crossing":
                weights *= np.sign(centres[:, None, 0]) == np.sign(places[:, 0])
            weights /= weights.sum(axis=1, keepdims=True)
            self.register_buffer(f"{name}_weights", torch.tensor(weights.T, dtype=torch.float32))
            self.add_module(name, nn.Identity())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Responses (n, 384) of the last stage to images (n, 1, 64, 64)."""
        amplitude = self.cortical_map(self.cells(images))
        found = amplitude
        for name in DIAMETERS:
            pooled = amplitude.reshape(len(images), N_ORIENTATIONS, -1) @ getattr(self, f"{name}_weights")
            found = getattr(self, name)(pooled.flatten(1))
        return found


def log_polar_places(n_rings: int, n_spokes: int, *, e2_deg: float, most_deg: float = FIELD_DEG / 2) -> np.ndarray:
    """Places of the visual field that are equally far apart on the cortex.

    Parameters
    ----------
    n_rings, n_spokes : int
        Eccentricities, and polar angles of each hemifield.
    e2_deg : float
        Eccentricity at which magnification is half that of the fovea, degrees.
    most_deg : float
        Largest eccentricity, degrees.

    Returns
    -------
    array of shape (2 * n_rings * n_spokes, 2)
        x and y, degrees from fixation; the left hemifield is the mirror image of the right one. Magnification
        M = 1 / (e + e2) places an eccentricity at log(1 + e / e2) on the cortex, so ring k of n lies at
        e = e2 ((1 + most / e2) ^ ((k + 1/2) / n) - 1).
    """
    cortex = np.log1p(most_deg / e2_deg) * (np.arange(n_rings) + 0.5) / n_rings
    eccentricity = e2_deg * np.expm1(cortex)
    angle = np.pi * ((np.arange(n_spokes) + 0.5) / n_spokes - 0.5)
    right = np.stack(
        [np.outer(eccentricity, np.cos(angle)).ravel(), np.outer(eccentricity, np.sin(angle)).ravel()], axis=1
    )
    return np.concatenate([right, right * [-1, 1]])
