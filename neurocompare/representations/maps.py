"""Layer outputs as they are, with their channels and places: what equivariance and pooling need and RDMs do not.

Takes a network and one batch of images; gives one tensor a layer.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from neurocompare.models.layers import Layer
from neurocompare.models.registry import Network
from neurocompare.representations.activations import watched_layers

__all__ = ["has_map", "layer_maps", "most_images"]


def layer_maps(network: Network, images: np.ndarray, layers: Iterable[str]) -> dict[str, torch.Tensor]:
    """Outputs of layers to one batch of images, from one forward pass without gradients.

    Parameters
    ----------
    network : Network
        Run in evaluation mode, on the device of its weights.
    images : array of shape (n_images, 3, height, width), float32
        Values in 0..1, at the size that the network's preprocessing names.
    layers : iterable of str
        Names from ``activations.resolve_layers``.

    Returns
    -------
    dict of str to torch.Tensor of shape (n_images, ...)
        ``(n_images, channels, height, width)`` for convolutional layers, ``(n_images, n_units)`` for fully connected
        ones.

    Raises
    ------
    InputError
        If there is no such layer, or it is not computed for these images.
    """
    outputs: dict[str, torch.Tensor] = {}

    def keep(layer: Layer, output: object) -> None:
        # A clone, since an in-place operation that follows must not change what is kept.
        outputs[layer.name] = layer.tensor(output).clone()

    with watched_layers(network, network.select(list(layers)), keep) as show:
        show(images)
    return outputs


def has_map(output: torch.Tensor) -> bool:
    """Whether an output (n_images, channels, height, width) extends over more than one place."""
    return output.dim() == 4 and output.shape[2] * output.shape[3] > 1


def most_images(outputs: dict[str, torch.Tensor], memory_mb: float) -> int:
    """Images a batch whose outputs take at most so many megabytes, at least one.

    Parameters
    ----------
    outputs : dict of str to torch.Tensor of shape (1, ...)
        From :func:`layer_maps` on one image.
    memory_mb : float
        Budget, megabytes.
    """
    bytes_per_image = sum(output.element_size() * output[0].numel() for output in outputs.values())
    return max(1, int(memory_mb * 1e6 / max(bytes_per_image, 1)))
