"""Names of layers in the literature: AlexNet's conv1 to fc8, VGG's conv1_1 to fc8.

The names apply to torchvision's classes, loaded by name or given as modules, and select layers like any other name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from neurocompare.models.layers import Layer

__all__ = ["PAPER_NAMES", "paper_names"]


def paper_names(module: nn.Module, layers: Sequence[Layer]) -> dict[str, str]:
    """Names in the literature, and the layers they mean; empty for a network without such names.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    layers : sequence of Layer
        Its main layers, in execution order.
    """
    name = PAPER_NAMES.get(f"{type(module).__module__}.{type(module).__qualname__}")
    return {} if name is None else name(layers)


def _numbered(layers: Sequence[Layer]) -> dict[str, str]:
    """Convolutions numbered in order, pooling by the convolution before it, fully connected layers continuing."""
    names, count = {}, 0
    for layer in layers:
        if layer.module == "avgpool":
            continue
        if layer.kind == "pooling":
            names[f"pool{count}"] = layer.name
            continue
        count += 1
        names[f"{'fc' if len(layer.shape) == 1 else 'conv'}{count}"] = layer.name
    return names


def _by_block(layers: Sequence[Layer]) -> dict[str, str]:
    """Convolutions numbered within blocks that end in pooling; fully connected layers continuing after the blocks."""
    names, block, within = {}, 1, 0
    for layer in layers:
        if layer.module == "avgpool":
            continue
        if layer.kind == "pooling":
            names[f"pool{block}"] = layer.name
            block, within = block + 1, 0
        elif len(layer.shape) == 1:
            names[f"fc{block}"] = layer.name
            block += 1
        else:
            within += 1
            names[f"conv{block}_{within}"] = layer.name
    return names


PAPER_NAMES: dict[str, Callable[[Sequence[Layer]], dict[str, str]]] = {
    "torchvision.models.alexnet.AlexNet": _numbered,
    "torchvision.models.vgg.VGG": _by_block,
}
