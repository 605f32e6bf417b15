"""Simulated populations that are harder to analyse than those of ``neural_data.simulation``, and share no code with it.

Tuning and weights have heavy tails, gains and noise levels are log-normal (a few neurons dominate), the similarity of
responses to neighbouring and to mirrored views is a parameter, and populations differ in reliability. Needs NumPy only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["AZIMUTHS_DEG", "N_LATENTS", "Tuning", "draw_faces", "draw_neurons", "noise_for_reliability", "rdm_vectors"]

AZIMUTHS_DEG = np.array([-90.0, -45.0, 0.0, 45.0, 90.0])
N_LATENTS = 12


@dataclass(frozen=True)
class Tuning:
    """Tuning of the neurons of a population.

    Parameters
    ----------
    view, identity, both : float
        Standard deviation of the parts that depend on view alone, on the face alone, and on both together.
    mirrored : float
        Correlation between the responses to a view and to its mirror image, beyond that of neighbours; 1 as in AL.
    width_deg : float
        Difference between two views at which the correlation of their responses is exp(-1/2).
    noise : float
        Standard deviation of the noise of a mean response over that of the tuning.
    tails : float
        Degrees of freedom of the t distribution from which tuning and weights are drawn.
    gain_sd : float
        Standard deviation of the logarithm of neurons' gains, and of their noise.
    """

    view: float = 1.0
    identity: float = 0.5
    both: float = 0.5
    mirrored: float = 0.0
    width_deg: float = 40.0
    noise: float = 1.0
    tails: float = 5.0
    gain_sd: float = 0.5

    def root(self) -> np.ndarray:
        """Square root of the covariance over views, (n_views, n_views)."""
        near = np.exp(-(((AZIMUTHS_DEG[:, None] - AZIMUTHS_DEG) / self.width_deg) ** 2) / 2)
        covariance = near + self.mirrored * near[:, ::-1]
        scale = np.sqrt(np.diag(covariance))
        values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
        return vectors * np.sqrt(np.maximum(values, 0))


def draw_faces(n_identities: int, rng: np.random.Generator) -> np.ndarray:
    """Latent variables of faces, (n_identities, N_LATENTS), each of variance 1; one in four is skewed."""
    faces = rng.standard_normal((n_identities, N_LATENTS))
    faces[:, ::4] = rng.exponential(1.0, faces[:, ::4].shape) - 1.0
    return faces


def draw_neurons(
    faces: np.ndarray, tuning: Tuning, n_neurons: int, rng: np.random.Generator, n_populations: int = 1
) -> np.ndarray:
    """Mean responses, (n_populations, n_identities * n_views, n_neurons), views varying fastest, with noise."""
    shape = (n_populations, n_neurons)
    root, n_views = tuning.root(), len(AZIMUTHS_DEG)
    scale = np.sqrt((tuning.tails - 2) / tuning.tails)
    of_view = root @ (scale * rng.standard_t(tuning.tails, (n_populations, n_views, n_neurons)))
    weights = scale * rng.standard_t(tuning.tails, (n_populations, N_LATENTS, n_neurons)) / np.sqrt(N_LATENTS)
    of_face = faces @ weights
    conjoint = (
        scale * rng.standard_t(tuning.tails, (n_populations, n_views, N_LATENTS * n_neurons)) / np.sqrt(N_LATENTS)
    )
    conjoint = (root @ conjoint).reshape(n_populations, n_views, N_LATENTS, n_neurons)
    signal = (
        tuning.view * of_view[:, None]
        + tuning.identity * of_face[:, :, None]
        + tuning.both * np.einsum("il,pvln->pivn", faces, conjoint, optimize=True)
    )
    signal = signal.reshape(n_populations, len(faces) * n_views, n_neurons)
    spread = np.sqrt(tuning.view**2 + tuning.identity**2 + tuning.both**2)
    gain, noise = np.exp(tuning.gain_sd * rng.standard_normal((2, *shape)))[:, :, None]
    return gain * signal + tuning.noise * spread * noise * rng.standard_normal(signal.shape)


def rdm_vectors(responses: np.ndarray) -> np.ndarray:
    """1 - Pearson's r, upper triangles (..., n_pairs) of responses (..., n_stimuli, n_neurons)."""
    centred = responses - responses.mean(axis=-1, keepdims=True)
    centred /= np.linalg.norm(centred, axis=-1, keepdims=True)
    first, second = np.triu_indices(responses.shape[-2], 1)
    return 1 - (centred @ centred.swapaxes(-1, -2))[..., first, second]


def agreement(vectors: np.ndarray) -> float:
    """Mean correlation between any two of several RDMs (n_rdms, n_pairs)."""
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    n = len(vectors)
    return float((np.sum(centred.sum(axis=0) ** 2) - n) / (n * (n - 1)))


def noise_for_reliability(
    tuning: Tuning, reliability: float, *, n_identities: int, n_neurons: int, rng: np.random.Generator
) -> Tuning:
    """The same tuning with the noise at which RDMs of ``n_neurons`` have the wanted reliability, by bisection."""
    low, high = np.log(0.02), np.log(50.0)
    for _ in range(12):
        middle = (low + high) / 2
        tuning = replace(tuning, noise=float(np.exp(middle)))
        found = np.mean(
            [
                agreement(rdm_vectors(draw_neurons(draw_faces(n_identities, rng), tuning, n_neurons, rng, 12)))
                for _ in range(4)
            ]
        )
        low, high = (middle, high) if found > reliability else (low, middle)
    return tuning
