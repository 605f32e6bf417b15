"""Principal components of rotating faces: mirror symmetry from the stimuli, without a network.

A set of views that holds each image's mirror image has principal components that are even or odd under reflection, so
that the square of a component's score is the same for an image and its mirror image. This needs faces that stay in
place: components of centred faces are neither even nor odd about the midline of a shifted face.

References
----------
Leibo, Liao, Anselmi, Freiwald & Poggio (2017), Current Biology 27:62; tested so in eLife 13:e90256.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import nn

from neural_data.errors import InputError
from neural_data.rounding import first_largest
from neural_data.stimuli import StimulusSet
from neurocompare.models.gabor import GaborC1
from neurocompare.models.preprocessing import Preprocessing
from neurocompare.stimuli.sets import face_views

__all__ = ["PrincipalComponents", "fit_components", "fit_to_rendered_faces"]

FEATURES = ("pixels", "c1")
N_COMPONENTS = 50
TRAINING_VIEWS_DEG = tuple(np.arange(-90.0, 91.0, 22.5))
TRAINING_IDENTITIES = 12
TRAINING_SEED = 70_000
"""Added to the seed, so that components are fitted to other faces than those of a study."""
_BATCH = 32


class PrincipalComponents(nn.Module):
    """Scores of images on principal components, and their squares.

    Parameters
    ----------
    features : {"pixels", "c1"}
        Input of the analysis: gray images of 64 x 64 pixels, or responses of complex cells (:class:`GaborC1`).
    n_components : int
        Units of each layer.

    Notes
    -----
    Layers: ``scores``, and ``energy``, the squared scores, as in the complex cells of Leibo et al. (2017).
    The weights are buffers that :func:`fit_components` or a checkpoint fills.
    """

    layer_names = ("scores", "energy")
    centre: torch.Tensor
    components: torch.Tensor

    def __init__(self, features: str = "pixels", n_components: int = N_COMPONENTS):
        super().__init__()
        if features not in FEATURES:
            raise InputError(f"features must be {' or '.join(FEATURES)}; got {features!r}")
        as_they_are = Preprocessing(size=64, mean=(0.0, 0.0, 0.0), sd=(1.0, 1.0, 1.0))
        self.preprocessing = GaborC1.preprocessing if features == "c1" else as_they_are
        self.front = GaborC1() if features == "c1" else _GrayPixels()
        with torch.no_grad():
            n_features = self.front(torch.zeros(1, 3, self.preprocessing.side, self.preprocessing.side)).shape[1]
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("components", torch.zeros(n_components, n_features))
        self.scores = nn.Identity()
        self.energy = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Squared scores (n, n_components) of images (n, 3, size, size) in 0..1."""
        scores = self.scores((self.front(images) - self.centre) @ self.components.T)
        return self.energy(scores**2)


def fit_components(
    stimuli: StimulusSet, *, features: str = "pixels", n_components: int = N_COMPONENTS
) -> PrincipalComponents:
    """Principal components of images.

    Parameters
    ----------
    stimuli : StimulusSet
        At least ``n_components + 1`` images, such as faces in many views.
    features : {"pixels", "c1"}
        See :class:`PrincipalComponents`.
    n_components : int
        Number of components, those of the largest variance.

    Returns
    -------
    PrincipalComponents
        Each component has norm 1, and its largest weight is positive.

    Raises
    ------
    InputError
        If there are too few different images for this number of components.
    """
    module = PrincipalComponents(features, n_components).eval()
    size = module.preprocessing.side
    with torch.inference_mode():
        found = [module.front(module.preprocessing(images)) for images in stimuli.batches(_BATCH, size)]
    responses = torch.cat(found).double().numpy()
    centre = responses.mean(axis=0)
    _, spread, components = np.linalg.svd(responses - centre, full_matrices=False)
    rank = int((spread > spread[:1] * 1e-6).sum())
    if rank < n_components:
        raise InputError(
            f"{stimuli.name} holds {len(stimuli)} images, which have {rank} principal components, but n_components is "
            f"{n_components}: give more images or a smaller n_components"
        )
    components = components[:n_components]
    largest = first_largest(np.abs(components), axis=1)
    components *= np.sign(components[np.arange(n_components), largest])[:, None]
    module.centre.copy_(torch.from_numpy(centre))
    module.components.copy_(torch.from_numpy(components))
    return module


def fit_to_rendered_faces(features: str, seed: int) -> PrincipalComponents:
    """Components of 12 rendered faces in nine views from left to right profile; never the faces of a study."""
    return fit_components(_training_faces(seed), features=features)


@functools.lru_cache(maxsize=1)
def _training_faces(seed: int) -> StimulusSet:
    """Faces that components are fitted to, rendered once for pixels and complex cells."""
    return face_views(TRAINING_IDENTITIES, TRAINING_VIEWS_DEG, size=128, seed=TRAINING_SEED + seed)


class _GrayPixels(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Mean over colours, flattened."""
        return images.mean(dim=1).flatten(1)
