"""Layer outputs as they are, with their channels and places: what equivariance and pooling need and RDMs do not.

Takes a network and one batch of images; gives one tensor a layer.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from neural_data.errors import InputError
from neurocompare.models.registry import Network

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
        ones. A layer that runs more than once gives its first output.

    Raises
    ------
    InputError
        If a layer gives no tensor with one row an image.
    """
    outputs: dict[str, torch.Tensor] = {}

    def keep(name: str, output: object) -> None:
        if not isinstance(output, torch.Tensor) or output.shape[:1] != (len(images),):
            raise InputError(
                f"{network.name}: layer {name!r} gives no tensor with one row a stimulus; leave it out of the layers"
            )
        # A clone, since an in-place operation that follows must not change what is kept.
        outputs.setdefault(name, output.detach().clone())

    modules = dict(network.module.named_modules())
    handles = [
        modules[name].register_forward_hook(lambda _module, _inputs, output, name=name: keep(name, output))
        for name in layers
    ]
    try:
        with torch.inference_mode():
            network.module.eval()(network.preprocessing(images, network.device))
    finally:
        for handle in handles:
            handle.remove()
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
