"""Which outputs of a module count as its layers, and in which order they are computed."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["execution_order"]

_ACTIVATIONS = tuple(
    kind
    for name in nn.modules.activation.__all__
    if isinstance(kind := getattr(nn, name), type) and name != "MultiheadAttention"
)
_POOLING = tuple(getattr(nn, name) for name in nn.modules.pooling.__all__ if "Unpool" not in name)
_NORMALISATION = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm)
LAYER_KINDS = (*_ACTIVATIONS, *_POOLING, *_NORMALISATION, nn.Linear)


def execution_order(module: nn.Module, example: torch.Tensor) -> list[str]:
    """Names of activation, pooling, normalisation and linear modules in the order in which they run.

    Parameters
    ----------
    module : torch.nn.Module
        Run once, in evaluation mode and without gradients.
    example : torch.Tensor of shape (1, 3, height, width)
        An input it accepts.

    Returns
    -------
    list of str
        As in ``module.named_modules()``; modules that never run are left out, those that run twice are named once.
    """
    order: dict[str, None] = {}
    handles = [
        part.register_forward_hook(lambda *_, name=name: order.setdefault(name))
        for name, part in module.named_modules()
        if isinstance(part, LAYER_KINDS)
    ]
    try:
        with torch.inference_mode():
            module(example)
    finally:
        for handle in handles:
            handle.remove()
    return list(order)
