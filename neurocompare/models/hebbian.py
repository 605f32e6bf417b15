"""Account of the face patches by a Hebbian rule: templates learned from faces that turn.

A cell sees one face turn from profile to profile. Under Oja's rule its weights become the first principal component of
what it sees, and further cells get the further ones. A set of views that holds every mirror image has components that
are even or odd under reflection, so that the square of a response is the same for an image and its mirror image.

References
----------
Oja (1982), Journal of Mathematical Biology 15:267; Sanger (1989), Neural Networks 2:459, for several components;
Leibo, Liao, Anselmi, Freiwald & Poggio (2017), Current Biology 27:62, for the account of AL and AM.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from neural_data.rounding import first_largest
from neurocompare.models.receptive_fields import GRAY_64, SIDE, jittered
from neurocompare.stimuli.sets import face_views

__all__ = ["Hebbian", "learn_by_ojas_rule", "learned_components", "train_on_rendered_faces"]

TRAINING_IDENTITIES = 16
TRAINING_VIEWS_DEG = (0.0, 22.5, 45.0, 67.5, 90.0)
"""Rendered views; those of the other side are their mirror images, exactly."""
SHRUNK = 2
"""Images are averaged over 2 x 2 pixels before cells see them."""
N_PIXELS = (SIDE // SHRUNK) ** 2
N_VIEWS = 2 * len(TRAINING_VIEWS_DEG) - 1
N_COMPONENTS = 7
"""Components of each template, of nine views."""
FIELD_SDS = (SIDE / 3, SIDE / 5, SIDE / 8)
"""Standard deviations of the receptive fields through which each face is seen, pixels; they lie on the midline."""
TRAINING_FACES = 160
"""Faces of which every animal has seen some; two animals share 1.6 of 16 on average."""
TRAINING_SEED = 80_000
"""Seed of the first of them, so that templates are learned from other faces than those of a study."""
_JITTER, _HEIGHT_JITTER = 0.15, 4.0
_SMALLEST_LENGTH = 1e-6


class Hebbian(nn.Module):
    """Templates of faces that turn: stored views, squared components, and their sums.

    Parameters
    ----------
    n_templates : int
        Training faces times receptive fields.
    n_views : int
        Views of each template; components are seven ninths of them, rounded.

    Notes
    -----
    Layers: ``views``, products of the image with each stored view, both of length 1 in the receptive field, below 0 set
    to 0 (simple cells, 9 a template); ``squares``, squared projections on each component (complex cells, 7 a template);
    ``energies``, their sum over the components of a template. The weights are buffers that
    :func:`train_on_rendered_faces` or a checkpoint fills; they include the receptive field.
    """

    layer_names = ("views", "squares", "energies")
    preprocessing = GRAY_64
    fields: torch.Tensor
    stored: torch.Tensor
    components: torch.Tensor

    def __init__(self, n_templates: int = TRAINING_IDENTITIES * len(FIELD_SDS), n_views: int = N_VIEWS):
        super().__init__()
        self.register_buffer("fields", torch.ones(n_templates, N_PIXELS))
        self.register_buffer("stored", torch.zeros(n_templates, n_views, N_PIXELS))
        n_components = round(N_COMPONENTS * n_views / N_VIEWS)
        self.register_buffer("components", torch.zeros(n_templates, n_components, N_PIXELS))
        self.views = nn.Identity()
        self.squares = nn.Identity()
        self.energies = nn.Identity()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Energies (n, n_templates) of images (n, 1, 64, 64)."""
        pixels = functional.avg_pool2d(images, SHRUNK).flatten(1)
        length = (pixels**2 @ (self.fields**2).T).sqrt().clamp(min=_SMALLEST_LENGTH)[:, :, None]
        seen, scores = (
            (pixels @ weights.flatten(0, 1).T).reshape(len(pixels), len(weights), -1) / length
            for weights in (self.stored, self.components)
        )
        self.views(seen.clamp(min=0).flatten(1))
        squares = scores**2
        self.squares(squares.flatten(1))
        return self.energies(squares.sum(dim=2))


def learned_components(frames: np.ndarray, n_components: int) -> np.ndarray:
    """What Oja's rule converges to: the first eigenvectors of the second moments of what a cell sees.

    Parameters
    ----------
    frames : array of shape (n_frames, n_inputs)
        Each seen equally often.
    n_components : int
        At most the number of frames.

    Returns
    -------
    array of shape (n_components, n_inputs)
        Of length 1; the largest weight of each is positive.
    """
    _, _, components = np.linalg.svd(frames, full_matrices=False)
    return _with_sign(components[:n_components])


def learn_by_ojas_rule(
    frames: np.ndarray, n_components: int, *, n_rounds: int, rate: float, rng: np.random.Generator
) -> np.ndarray:
    """Components learned frame by frame, by Oja's rule and Sanger's extension to several cells.

    Cell i with response y_i = w_i x changes by rate * y_i (x - sum over j <= i of y_j w_j).

    Parameters
    ----------
    frames : array of shape (n_frames, n_inputs)
        Seen in a new random order in every round.
    n_components : int
        Components to learn.
    n_rounds : int
        Passes over the frames.
    rate : float
        In the first round, in units of the inverse of the largest squared length of a frame; falls to an eleventh.
    rng : numpy.random.Generator
        Source of the first weights and of the orders.

    Returns
    -------
    array of shape (n_components, n_inputs)
        The largest weight of each is positive.

    References
    ----------
    Oja (1982); Sanger (1989), Neural Networks 2:459.
    """
    scale = rate / (frames**2).sum(axis=1).max()
    weights = rng.standard_normal((n_components, frames.shape[1])) / np.sqrt(frames.shape[1])
    for k in range(n_rounds):
        for frame in rng.permutation(frames):
            response = weights @ frame
            decay = np.tril(np.outer(response, response)) @ weights
            weights = weights + scale / (1 + 10 * k / n_rounds) * (np.outer(response, frame) - decay)
    return _with_sign(weights)


def train_on_rendered_faces(seed: int, *, both_sides: bool = True) -> Hebbian:
    """Templates of 16 rendered faces in nine views, seen through three receptive fields; never the faces of a study.

    Weights are the closed form of Oja's rule (:func:`learned_components`).

    Parameters
    ----------
    seed : int
        Draws the faces from 160, and the sizes (15 %) and heights (4 pixels) of the receptive fields.
    both_sides : bool
        Whether faces turn from profile to profile. If not, they turn from frontal to the right profile: five of the
        nine views, without the mirror images of the others, and four components.

    Returns
    -------
    Hebbian
    """
    rng = np.random.default_rng([seed, 4])
    frames = np.stack([_turning_face(int(k)) for k in rng.choice(TRAINING_FACES, TRAINING_IDENTITIES, replace=False)])
    if not both_sides:
        frames = frames[:, N_VIEWS // 2 :]
    module = Hebbian(len(frames) * len(FIELD_SDS), frames.shape[1])
    steps = (np.arange(SIDE // SHRUNK) - (SIDE / SHRUNK - 1) / 2) * SHRUNK
    for k in range(len(module.fields)):
        seen_by, field_sd = frames[k // len(FIELD_SDS)], jittered(np.array(FIELD_SDS[k % len(FIELD_SDS)]), _JITTER, rng)
        down = np.exp(-0.5 * ((steps - _HEIGHT_JITTER * rng.standard_normal()) / field_sd) ** 2)
        field = np.outer(down, np.exp(-0.5 * (steps / field_sd) ** 2)).ravel()
        shown = seen_by * field
        stored = shown / np.linalg.norm(shown, axis=1, keepdims=True)
        module.fields[k] = torch.from_numpy(field)
        module.stored[k] = torch.from_numpy(stored * field)
        module.components[k] = torch.from_numpy(learned_components(shown, module.components.shape[1]) * field)
    return module


@functools.lru_cache(maxsize=TRAINING_FACES)
def _turning_face(number: int) -> np.ndarray:
    """Frames (N_VIEWS, N_PIXELS) of a face from left to right profile."""
    right = face_views(1, TRAINING_VIEWS_DEG, size=SIDE, seed=TRAINING_SEED + number)
    frames = functional.avg_pool2d(GRAY_64(right.images(SIDE)).double(), SHRUNK)[:, 0].numpy()
    return np.concatenate([frames[:0:-1, :, ::-1], frames]).reshape(N_VIEWS, -1)


def _with_sign(components: np.ndarray) -> np.ndarray:
    largest = first_largest(np.abs(components), axis=1)
    return components * np.sign(components[np.arange(len(components)), largest])[:, None]
