"""A small network with known layers, and populations of neurons that are built from one of them.

The network is fixed; every experiment draws new identities, neurons, subjects and noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

AZIMUTHS_DEG = np.linspace(-90, 90, 5)
N_LAYERS = 5
N_UNITS = 200
N_LATENTS = 12
"""Dimensions of the face space from which identities are drawn."""
READ_SHARE = 0.1
"""Share of a layer's units from which a neuron gets input."""
SUBJECT_GAIN_SD = 0.5
"""Standard deviation of the logarithm of the gain by which each subject multiplies each unit."""


@dataclass(frozen=True)
class Layer:
    """Fixed weights of one layer: tuning to views, mirror-symmetric views, identity, and identity in a view."""

    view: np.ndarray
    mirror: np.ndarray
    identity: np.ndarray
    both: np.ndarray
    mixture: tuple[float, float, float, float]

    def responses(self, faces: np.ndarray) -> np.ndarray:
        """Rectified responses (n_identities * n_views, n_units) to faces (n_identities, N_LATENTS)."""
        view, mirror, identity, both = self.mixture
        drive = view * self.view + mirror * self.mirror + identity * (faces @ self.identity)[:, None, :]
        drive = drive + both * np.einsum("il,vlu->ivu", faces, self.both)
        return np.maximum(drive + 0.3, 0).reshape(-1, drive.shape[2])


def make_network(rng: np.random.Generator) -> list[Layer]:
    """Layers from view tuning (as in ML) through mirror-symmetric tuning (as in AL) to identity tuning (as in AM)."""
    smooth = np.linalg.cholesky(
        np.exp(-(((AZIMUTHS_DEG[:, None] - AZIMUTHS_DEG) / 45) ** 2) / 2) + 1e-6 * np.eye(len(AZIMUTHS_DEG))
    )
    layers = []
    for depth in np.linspace(0, 1, N_LAYERS):
        tuning = smooth @ rng.standard_normal((len(AZIMUTHS_DEG), N_UNITS))
        half = smooth @ rng.standard_normal((len(AZIMUTHS_DEG), N_UNITS))
        both = np.einsum("vw,wlu->vlu", smooth, rng.standard_normal((len(AZIMUTHS_DEG), N_LATENTS, N_UNITS)))
        layers.append(
            Layer(
                view=tuning,
                mirror=(half + half[::-1]) / np.sqrt(2),
                identity=rng.standard_normal((N_LATENTS, N_UNITS)) / np.sqrt(N_LATENTS),
                both=both / np.sqrt(N_LATENTS),
                mixture=(1 - depth, 1.2 * np.exp(-(((depth - 0.5) / 0.3) ** 2)), depth, 0.6),
            )
        )
    return layers


def draw_faces(n_identities: int, rng: np.random.Generator) -> np.ndarray:
    """Identities: points of the face space, (n_identities, N_LATENTS)."""
    return rng.standard_normal((n_identities, N_LATENTS))


def draw_weights(n_units: int, n_neurons: int, n_subjects: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Weights of the units of a layer in each neuron, one array (n_units, n_neurons) per subject."""
    weights = []
    for _ in range(n_subjects):
        gain = np.exp(SUBJECT_GAIN_SD * rng.standard_normal((n_units, 1)))
        read = rng.random((n_units, n_neurons)) < READ_SHARE
        weights.append(gain * read * rng.standard_normal((n_units, n_neurons)))
    return weights


def record(units: np.ndarray, weights: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Mean responses (n_stimuli, n_neurons); noise is the standard deviation of a mean over that of the signal."""
    signal = units @ weights
    spread = signal.std(axis=0)
    return signal / np.where(spread > 0, spread, 1) + noise * rng.standard_normal(signal.shape)
