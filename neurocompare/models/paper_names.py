"""What papers call the layers of well-known networks: AlexNet's conv1 to fc8, VGG's conv1_1 to fc8.

The names hold for torchvision's classes, by name or live; they can be asked for like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from neurocompare.models.layers import Layer

__all__ = ["PAPER_NAMES", "paper_names"]


def paper_names(module: nn.Module, layers: Sequence[Layer]) -> dict[str, str]:
    """Names that papers use, and the names of the layers here; empty for a network that has no such names.

    Parameters
    ----------
    module : torch.nn.Module
    layers : sequence of Layer
        Its main layers, in execution order.
    """
    name = PAPER_NAMES.get(f"{type(module).__module__}.{type(module).__qualname__}")
    return {} if name is None else name(layers)


def _numbered(layers: Sequence[Layer]) -> dict[str, str]:
    """Convolutions numbered through, pooling named after the convolution before it, full layers numbered on."""
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
    """Convolutions numbered within the blocks that pooling ends; full layers numbered on from the blocks."""
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
