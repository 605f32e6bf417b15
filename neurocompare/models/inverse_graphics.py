"""Account of the face patches by inverse graphics: a network that reports the parameters a face was rendered from.

It sees rendered faces and is trained to say where the face looks, where the light stands, and the measures of shape and
albedo that make the identity. Its training faces, views and lights come from seeds of their own.

References
----------
Yildirim, Belledonne, Freiwald & Tenenbaum (2020), Science Advances 6:eaax5979: the top convolution, the first fully
connected layer and the layer of latents of such a network resemble ML, AL and AM.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import joblib
import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional

from neural_data.errors import InputError
from neurocompare.models.receptive_fields import GRAY_64, SIDE
from neurocompare.processes import delayed
from neurocompare.stimuli.faces import FACE_MEASURES, MOST_SCORE
from neurocompare.stimuli.sets import Appearance, ExemplarViews, SetPlan, render_in_memory

__all__ = [
    "LATENTS",
    "SCENE",
    "InverseGraphics",
    "Scenes",
    "learn_to_invert",
    "rendered_scenes",
    "reported",
]

VIEW_SD_DEG = 45.0
ELEVATION_SD_DEG = 8.0
LIGHT_SD_DEG = 30.0
SCENE = ("azimuth", "elevation", "light")
LATENTS = (*SCENE, *FACE_MEASURES)
"""What is reported: azimuth, elevation and light in units of 45, 8 and 30 degrees, and the standard scores of the
measures of a face."""
CHANNELS = (12, 24, 48, 48)
WIDTH = 128
LUMINANCE = ("match", "none")
"""Matching of the training images' luminance: half of the identities each."""
TRAINING_SEED = 90_000
BATCH = 64
LEARNING_RATE = 2e-3


class InverseGraphics(nn.Module):
    """Four convolutions, a hidden layer and latents, for gray images of 64 x 64 pixels.

    Layers: ``conv1`` (5 x 5, stride 2), ``conv2`` to ``conv4`` (3 x 3, each followed by batch normalisation, ReLU and
    2 x 2 max pooling), ``hidden`` (128 units) and ``latents`` (:data:`LATENTS`).
    """

    layer_names = ("conv1", "conv2", "conv3", "conv4", "hidden", "latents")
    preprocessing = GRAY_64

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(1, CHANNELS[0], 5, stride=2, padding=2), nn.ReLU())
        for k, (n_in, n_out) in enumerate(itertools.pairwise(CHANNELS), 2):
            parts = [nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU(), nn.MaxPool2d(2)]
            self.add_module(f"conv{k}", nn.Sequential(*parts))
        n_features = CHANNELS[-1] * (SIDE // 16) ** 2
        self.hidden = nn.Sequential(nn.Linear(n_features, WIDTH), nn.ReLU())
        self.latents = nn.Linear(WIDTH, len(LATENTS))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Reported latents (n, 54) of images (n, 1, 64, 64)."""
        maps = images
        for k in range(1, len(CHANNELS) + 1):
            maps = getattr(self, f"conv{k}")(maps)
        return self.latents(self.hidden(maps.flatten(1)))


@dataclass(frozen=True)
class Scenes:
    """Rendered faces and the parameters that they were rendered from.

    Parameters
    ----------
    images : array of shape (n, 64, 64), uint8
        Gray.
    latents : array of shape (n, 54), float32
        See :data:`LATENTS`.
    identities : array of shape (n,)
        The face that each image shows.
    """

    images: np.ndarray
    latents: np.ndarray
    identities: np.ndarray

    def take(self, kept: np.ndarray) -> Scenes:
        """Some of the images, by position or mask."""
        return Scenes(self.images[kept], self.latents[kept], self.identities[kept])


def rendered_scenes(n_identities: int, n_views: int, *, seed: int, both_sides: bool = True, n_jobs: int = 1) -> Scenes:
    """Faces in random views and lights, with the latents that a network is to report.

    Parameters
    ----------
    n_identities, n_views : int
        Faces, and images of each.
    seed : int
        Faces, views and lights are the same with any number of workers.
    both_sides : bool
        Whether faces look to both sides. If not, azimuths are 0 to 90 degrees; all else stays as it is.
    n_jobs : int
        Worker processes.

    Returns
    -------
    Scenes
        Azimuths and lights are uniform over -90 to 90 and -60 to 60 degrees, elevations normal with 8 degrees. All
        images of a face have one light; the luminance of every second face is matched as in the built-in sets.
    """
    jobs = (delayed(_scenes_of_face)(k, n_views, seed, both_sides) for k in range(n_identities))
    images, latents = zip(*joblib.Parallel(n_jobs=n_jobs)(jobs), strict=True)
    return Scenes(np.concatenate(images), np.concatenate(latents), np.repeat(np.arange(n_identities), n_views))


def _scenes_of_face(face: int, n_views: int, seed: int, both_sides: bool) -> tuple[np.ndarray, np.ndarray]:
    """Images (n_views, 64, 64) of a face and their latents."""
    rng = np.random.default_rng([TRAINING_SEED, seed, face])
    scores = np.clip(rng.standard_normal(len(FACE_MEASURES)), -MOST_SCORE, MOST_SCORE)
    azimuths = rng.uniform(-90 if both_sides else 0, 90, n_views)
    elevations = np.clip(ELEVATION_SD_DEG * rng.standard_normal(n_views), -25, 25)
    light = rng.uniform(-60, 60)
    views = ExemplarViews("face", "face", scores, azimuths, elevations, np.zeros((n_views, 2)), np.ones(n_views))
    look = Appearance(light_deg=light, luminance=LUMINANCE[face % len(LUMINANCE)])
    shown = render_in_memory(SetPlan("scenes", (views,), SIDE, look))
    scene = [azimuths / VIEW_SD_DEG, elevations / ELEVATION_SD_DEG, np.full(n_views, light / LIGHT_SD_DEG)]
    latents = np.concatenate([np.stack(scene, axis=1), np.tile(scores, (n_views, 1))], axis=1)
    return np.asarray(shown.pixels), latents.astype(np.float32)


def learn_to_invert(scenes: Scenes, *, seed: int, n_epochs: int, both_sides: bool = True) -> InverseGraphics:
    """Train a network to report latents, by squared errors.

    Parameters
    ----------
    scenes : Scenes
        What is shown.
    seed : int
        Seed of the start and of the order of images.
    n_epochs : int
        How often every image is shown.
    both_sides : bool
        Whether each image is shown as it is or mirrored, at random; a mirror image has the azimuth and the light
        negated. If not, images are shown as they are.

    Returns
    -------
    InverseGraphics
        In evaluation mode.

    Notes
    -----
    Adam with a learning rate that rises to 0.002 and falls to 0 over the epochs, batches of 64 images; those left over
    in an epoch are not shown in it.

    Raises
    ------
    InputError
        If there are fewer images than a batch.
    """
    rng = np.random.default_rng([seed, 5])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = InverseGraphics()
    n_batches = len(scenes.images) // BATCH
    if not n_batches:
        raise InputError(f"there are {len(scenes.images)} images to train on; give at least {BATCH}")
    optimizer = torch.optim.Adam(module.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=n_epochs * n_batches)
    images, latents = torch.from_numpy(scenes.images), torch.from_numpy(scenes.latents)
    signs = torch.ones(len(LATENTS))
    signs[[LATENTS.index(name) for name in ("azimuth", "light")]] = -1
    module.train()
    for _ in range(n_epochs):
        order = torch.from_numpy(rng.permutation(len(images)))
        flips = torch.from_numpy(both_sides & (rng.random(len(images)) < 0.5))
        for batch in order[: n_batches * BATCH].reshape(n_batches, BATCH):
            mirrored = flips[batch, None, None]
            shown = torch.where(mirrored, images[batch].flip(-1), images[batch])
            wanted = torch.where(mirrored[:, 0], latents[batch] * signs, latents[batch])
            loss = functional.mse_loss(module(_gray(shown)), wanted)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    return module.eval()


def reported(module: InverseGraphics, scenes: Scenes) -> pd.DataFrame:
    """How well a network reports the latents of scenes.

    Parameters
    ----------
    module : InverseGraphics
        In evaluation mode.
    scenes : Scenes
        Faces that it was not trained on.

    Returns
    -------
    pandas.DataFrame
        One row per latent: ``latent``, ``r`` (Pearson correlation of reported and true values over images) and
        ``rms_error``, in the latent's unit.
    """
    with torch.inference_mode():
        found = module(_gray(torch.from_numpy(scenes.images))).numpy()
    rows = [
        (name, np.corrcoef(found[:, k], scenes.latents[:, k])[0, 1], (found - scenes.latents)[:, k])
        for k, name in enumerate(LATENTS)
    ]
    return pd.DataFrame(
        [(name, r, float(np.sqrt((error**2).mean()))) for name, r, error in rows], columns=["latent", "r", "rms_error"]
    )


def _gray(images: torch.Tensor) -> torch.Tensor:
    """Input of the network (n, 1, 64, 64) for images of bytes (n, 64, 64)."""
    return (images[:, None].float() / 255).sub(0.5)
