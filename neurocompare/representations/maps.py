"""Layer outputs to a batch of images in memory, with channels and positions, for equivariance and importance.

Takes a network and one batch of images outside a stimulus set (transformed, masked); gives one tensor per layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from neural_data.resizing import Resizing
from neurocompare.models.layers import Layer
from neurocompare.models.registry import Network
from neurocompare.representations.activations import stream_responses

__all__ = ["ShownBatch", "has_map", "layer_outputs", "present"]


@dataclass(frozen=True)
class ShownBatch:
    """One batch of images that can be presented like a stimulus set.

    Parameters
    ----------
    images : array of shape (n_images, 3, height, width), float32
        Values in 0..1, at the size that the network's preprocessing names (``shown_at``).
    ids : list of str
        Names for messages.
    """

    images: np.ndarray
    ids: list[str]

    def batches(self, _batch_size: int, _size: Resizing | None, /) -> Iterator[np.ndarray]:
        """The images, unchanged and in one batch."""
        yield self.images


def present(
    network: Network, shown: ShownBatch, layers: Sequence[Layer], receive: Callable[[Layer, torch.Tensor], None]
) -> None:
    """Present images once and pass the responses of layers to a callback during the forward pass.

    Parameters
    ----------
    network : Network
        From ``load_model``.
    shown : ShownBatch
        The images, in batches.
    layers : sequence of Layer
        From ``network.select``.
    receive : callable
        ``receive(layer, responses)``, responses of shape ``(n_images, n_units)``; the network may overwrite them as
        soon as the callback returns.

    Raises
    ------
    InputError
        If a layer is not computed or a response is not finite.
    """
    stream_responses(network, shown, layers, lambda layer, _rows, responses: receive(layer, responses[0]))


def layer_outputs(network: Network, shown: ShownBatch, layers: Sequence[Layer]) -> dict[str, torch.Tensor]:
    """Outputs of layers to images.

    Parameters
    ----------
    network, shown, layers
        See :func:`present`.

    Returns
    -------
    dict of str to torch.Tensor of shape (n_images, ...)
        By layer name, each with the layer's shape.
    """
    held: dict[str, torch.Tensor] = {}

    def hold(layer: Layer, responses: torch.Tensor) -> None:
        held[layer.name] = responses.clone().unflatten(1, layer.shape)

    present(network, shown, layers, hold)
    return held


def has_map(layer: Layer) -> bool:
    """Whether a layer's output (channels, height, width) has more than one position."""
    return len(layer.shape) == 3 and layer.shape[1] * layer.shape[2] > 1
