"""The package's own networks: one record each, found by name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from neural_data.errors import InputError, closest
from neurocompare.models.checkpoints import shipped_checkpoint
from neurocompare.models.eccentricity import Eccentricity
from neurocompare.models.efficientnet import EfficientNetLite0, imagenet_weights
from neurocompare.models.equivariant import Equivariant
from neurocompare.models.gabor import GaborC1
from neurocompare.models.hebbian import Hebbian, train_on_rendered_faces
from neurocompare.models.hemispheres import Hemispheres
from neurocompare.models.inverse_graphics import InverseGraphics
from neurocompare.models.low_level import LowLevel
from neurocompare.models.pca import PrincipalComponents, fit_to_rendered_faces
from neurocompare.models.small_networks import CnnSmall, Pixels

__all__ = ["OWN_NETWORKS", "OwnNetwork", "find_own_network"]


@dataclass(frozen=True)
class OwnNetwork:
    """A network of the package.

    Parameters
    ----------
    name : str
        Name for :func:`~neurocompare.models.registry.load_model`.
    about : str
        One line, for lists and help texts.
    make : callable
        Gives the module, with ``layer_names`` and ``preprocessing``.
    fit : callable or None
        ``fit(seed)`` gives the module, for networks that are fitted to images, or built from parameters that the seed
        draws, instead of starting at random.
    pretrained : callable or None
        ``pretrained(regime)`` gives the weights of ``weights="pretrained"``, or their path; None for networks without
        trainable weights.
    """

    name: str
    about: str
    make: Callable[[], nn.Module]
    fit: Callable[[int], nn.Module] | None = None
    pretrained: Callable[[str | None], Path | dict[str, torch.Tensor]] | None = None


def find_own_network(name: str) -> OwnNetwork:
    """The network with this name.

    Raises
    ------
    InputError
        If there is none; the closest known name is suggested.
    """
    if name not in OWN_NETWORKS:
        raise InputError(f"no network of the package is called {name!r}: {closest(name, OWN_NETWORKS)}")
    return OWN_NETWORKS[name]


OWN_NETWORKS: dict[str, OwnNetwork] = {
    network.name: network
    for network in (
        OwnNetwork(
            "cnn-small",
            "four convolutions and three full layers, 32 x 32 pixels (eLife 90256); pretrained on symmetric or chiral "
            "objects",
            CnnSmall,
            pretrained=functools.partial(shipped_checkpoint, "cnn-small"),
        ),
        OwnNetwork(
            "efficientnet-lite0",
            "sixteen inverted residual blocks, 224 x 224 pixels; pretrained on ImageNet by others (extra 'imagenet')",
            EfficientNetLite0,
            pretrained=imagenet_weights,
        ),
        OwnNetwork("pixels", "the image itself, 64 x 64 pixels", Pixels),
        OwnNetwork("gabor-c1", "Gabor energy, pooled over position: complex cells", GaborC1),
        OwnNetwork(
            "pca",
            "principal components of the pixels of rendered faces, and their squares",
            functools.partial(PrincipalComponents, "pixels"),
            fit=functools.partial(fit_to_rendered_faces, "pixels"),
        ),
        OwnNetwork(
            "pca-c1",
            "principal components of the complex cells' responses to rendered faces, and their squares",
            functools.partial(PrincipalComponents, "c1"),
            fit=functools.partial(fit_to_rendered_faces, "c1"),
        ),
        OwnNetwork(
            "low-level",
            "luminance, contrast, orientations and spectral slope in windows of three sizes (Revsine et al. 2024)",
            LowLevel,
            fit=LowLevel,
        ),
        OwnNetwork(
            "eccentricity",
            "complex cells on a log-polar grid, and receptive fields that grow until they cross the vertical meridian",
            Eccentricity,
            fit=Eccentricity,
        ),
        OwnNetwork(
            "hemispheres",
            "complex cells of two hemifields, connected across the midline: weakly, fully, and pooled over space",
            Hemispheres,
            fit=Hemispheres,
        ),
        OwnNetwork(
            "hebbian",
            "templates learned by Oja's rule from rendered faces that turn, squared and summed (Leibo et al. 2017)",
            Hebbian,
            fit=train_on_rendered_faces,
        ),
        OwnNetwork(
            "equivariant",
            "convolutions with filters in mirrored pairs, pooled over space and pairs: equivariant, then invariant; "
            "pretrained on symmetric objects",
            Equivariant,
            pretrained=functools.partial(shipped_checkpoint, "equivariant"),
        ),
        OwnNetwork(
            "equivariant-without-pooling",
            "the same filters in mirrored pairs, with a fully connected layer instead of the pooling",
            functools.partial(Equivariant, pooled=False),
        ),
        OwnNetwork(
            "inverse-graphics",
            "four convolutions, a hidden layer and latents; pretrained to report what a face was rendered from",
            InverseGraphics,
            pretrained=functools.partial(shipped_checkpoint, "inverse-graphics"),
        ),
    )
}
