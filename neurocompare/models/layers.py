"""Layers of a network: their names, how their responses are read, and selection by name or pattern.

Every tensor that a module returns can be selected by name; ``listed`` and ``main`` mark the layers of ``layers="all"``
and ``layers="main"``, which :mod:`~neurocompare.models.layer_choice` chooses.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from neural_data.errors import InputError, closest

__all__ = ["GROUPS", "LAYER_KINDS", "POOLINGS", "Layer", "kind_of", "output_name", "select_layers", "tensors_in"]

POOLINGS = ("avgpool", "maxpool")
"""Global pooling of a layer's map over space, as a separate layer: ``avgpool(conv4)``."""
CLASS_TOKEN = "class_token"
OUTPUT = "output"
"""Name of the network's own output, if no module inside it returned that tensor."""
GROUPS: dict[str, Callable[[Layer], bool]] = {"main": lambda layer: layer.main, "all": lambda layer: layer.listed}
"""Words that select groups of layers."""
_DERIVED = re.compile(rf"({'|'.join((*POOLINGS, CLASS_TOKEN))})\((.+)\)")

_ACTIVATIONS = tuple(
    kind
    for name in nn.modules.activation.__all__
    if isinstance(kind := getattr(nn, name), type) and name != "MultiheadAttention"
)
LAYER_KINDS: dict[str, tuple[type, ...]] = {
    "activation": _ACTIVATIONS,
    "pooling": tuple(getattr(nn, name) for name in nn.modules.pooling.__all__ if "Unpool" not in name),
    "normalisation": (
        nn.modules.batchnorm._NormBase,
        nn.LayerNorm,
        nn.GroupNorm,
        nn.LocalResponseNorm,
        *((nn.RMSNorm,) if hasattr(nn, "RMSNorm") else ()),
    ),
    "linear": (nn.Linear, nn.Bilinear),
    "recurrent": (nn.RNNBase, nn.RNNCellBase),
    "convolution": (nn.modules.conv._ConvNd,),
    "attention": (nn.MultiheadAttention,),
}
Path = tuple[int | str, ...]
"""Keys that lead to a tensor in the nested output of a module."""


@dataclass(frozen=True)
class Layer:
    """One output of a network.

    Parameters
    ----------
    name : str
        ``module``, with ``:2`` for its second call, ``[1]`` or ``[logits]`` for one of several tensors, and
        ``avgpool(...)``, ``maxpool(...)`` or ``class_token(...)`` around it for a layer derived from it.
    module : str
        Name in ``named_modules()``; empty for the network itself.
    call : int
        Which call of the module in one forward pass, from 1.
    path : tuple of int or str
        Keys of the tensor in the module's output; empty if the output is the tensor.
    kind : str
        ``activation, pooling, normalisation, linear, recurrent, convolution, attention, block, transformer block,
        class token, output`` or the name of the module's class.
    shape : tuple of int
        Shape of the response to one image.
    batch_dim : int
        Dimension of the tensor that counts images.
    made : str or None
        ``avgpool``, ``maxpool`` or ``class_token`` for a derived layer.
    listed : bool
        Whether it is in ``layers="all"``.
    main : bool
        Whether it is in ``layers="main"``.
    """

    name: str
    module: str
    call: int
    path: Path
    kind: str
    shape: tuple[int, ...]
    batch_dim: int = 0
    made: str | None = None
    listed: bool = True
    main: bool = True

    @property
    def n_units(self) -> int:
        """Number of units of the response to one image."""
        return math.prod(self.shape)

    @property
    def made_from(self) -> str:
        """Name of the layer that this one is derived from; its own name if it is not derived."""
        return self.name[len(self.made) + 1 : -1] if self.made else self.name

    def tensor(self, output: Any) -> torch.Tensor:
        """Responses (n_images, ...) from the output of the module.

        Parameters
        ----------
        output : object
            Output that a forward hook on ``module`` receives at call ``call``.

        Returns
        -------
        torch.Tensor of shape (n_images, ...)
            May share memory with the output.
        """
        for step in self.path:
            output = output[step]
        maps = output.movedim(self.batch_dim, 0) if self.batch_dim else output
        if self.made == CLASS_TOKEN:
            return maps[:, 0]
        if self.made is not None:
            space = tuple(range(2, maps.dim())) if maps.dim() > 3 else 1
            return maps.mean(space) if self.made == "avgpool" else maps.amax(space)
        return maps if maps.dim() > 1 else maps[:, None]

    def responses(self, output: Any) -> torch.Tensor:
        """Responses (n_images, n_units) from the output of the module, see :meth:`tensor`."""
        return self.tensor(output).flatten(1)


def select_layers(
    layers: Sequence[Layer],
    wanted: str | Iterable[str],
    *,
    where: str,
    also_called: Mapping[str, str] | None = None,
    unreadable: Mapping[str, str] | None = None,
) -> list[Layer]:
    """Layers selected by names and patterns, in execution order.

    Parameters
    ----------
    layers : sequence of Layer
        Every output that can be read.
    wanted : "main", "all", str or iterable of str
        Names, or patterns, in which ``*`` matches anything up to the next dot, ``**`` anything, ``?`` one character and
        ``[0-3]`` one of several. A pattern selects the listed layers that match; if none does, every output that
        matches. ``avgpool(...)`` and ``maxpool(...)`` can be put around names and patterns.
    where : str
        Name of the network, for messages.
    also_called : mapping of str to str, or None
        Other names of layers, such as those of a paper, and the layers they mean.
    unreadable : mapping of str to str, or None
        Outputs that cannot be read, and the reasons, for messages.

    Returns
    -------
    list of Layer
        Without repeats; a pooled layer follows the layer it is derived from.

    Raises
    ------
    InputError
        If a name or pattern matches no layer, or a layer without a map is to be pooled.
    """
    if isinstance(wanted, str):
        wanted = [wanted]
    positions = {layer.name: position for position, layer in enumerate(layers)}
    aliases, unreadable = also_called or {}, unreadable or {}
    chosen: dict[tuple[int, int], Layer] = {}
    for pattern in wanted:
        if pattern in unreadable and pattern not in positions:
            raise InputError(f"{where}: layer {pattern!r} cannot be read: {unreadable[pattern]}")
        pooled = None if pattern in positions else _DERIVED.fullmatch(pattern)
        making = pooled[1] if pooled else None
        inner = pooled[2] if pooled else pattern
        inner = inner if inner in positions else aliases.get(inner, inner)
        for layer in _matching(layers, inner, where=where):
            if making and len(layer.shape) < 2 and layer.name != inner:
                continue  # a pattern skips layers without a map
            if making:
                rank = 1 + (*POOLINGS, CLASS_TOKEN).index(making)
                chosen[positions[layer.name], rank] = derived_layer(layer, making)
            else:
                chosen[positions[layer.name], 0] = layer
    return [chosen[place] for place in sorted(chosen)]


def derived_layer(layer: Layer, made: str) -> Layer:
    """Layer derived from another by pooling or by taking the class token; see :data:`POOLINGS`."""
    shape: tuple[int, ...]
    if made == CLASS_TOKEN:
        if len(layer.shape) != 2:
            raise InputError(
                f"layer {layer.name!r} has no tokens, as its output has shape {layer.shape}; choose a layer of a "
                "transformer"
            )
        shape, kind = layer.shape[1:], "class token"
    else:
        if len(layer.shape) < 2:
            raise InputError(
                f"layer {layer.name!r} has no map to pool over: its output has shape {layer.shape}; pool a "
                "convolutional layer"
            )
        shape, kind = layer.shape[:1] if len(layer.shape) > 2 else layer.shape[1:], "pooling"
    return dataclasses.replace(layer, name=f"{made}({layer.name})", kind=kind, shape=shape, made=made)


def tensors_in(output: object, path: Path = ()) -> Iterator[tuple[Path, torch.Tensor]]:
    """Tensors in a module's output, with their keys through tuples, lists and dictionaries."""
    if isinstance(output, torch.Tensor):
        yield path, output
    elif isinstance(output, dict):
        for key, part in output.items():
            yield from tensors_in(part, (*path, key))
    elif isinstance(output, (tuple, list)):
        for position, part in enumerate(output):
            yield from tensors_in(part, (*path, position))


def output_name(module: str, call: int, path: Path) -> str:
    """Name of one tensor in the output of one call of a module."""
    name = module or OUTPUT
    if call > 1:
        name += f":{call}"
    steps = path if any(step != 0 for step in path) else ()
    return name + "".join(f"[{step}]" for step in steps)


def kind_of(part: nn.Module) -> str:
    """What kind of module it is, one of :data:`LAYER_KINDS`; else the name of its class."""
    kind = next((kind for kind, types in LAYER_KINDS.items() if isinstance(part, types)), type(part).__name__)
    # Some of timm's normalisations contain an activation.
    acts = kind == "normalisation" and isinstance(getattr(part, "act", None), nn.Module)
    if acts and not isinstance(part.act, nn.Identity):
        return "activation"
    pools = kind not in LAYER_KINDS and "pool" in kind.lower() and not any(True for _ in part.parameters())
    return "pooling" if pools else kind


def _matching(layers: Sequence[Layer], pattern: str, *, where: str) -> list[Layer]:
    if pattern in GROUPS:
        return [layer for layer in layers if GROUPS[pattern](layer)]
    exact = [layer for layer in layers if layer.name == pattern]
    if exact:
        return exact
    matches = _expression(pattern)
    found = [layer for layer in layers if matches.fullmatch(layer.name)]
    found = [layer for layer in found if layer.listed] or found
    if not found:
        names = [layer.name for layer in layers if layer.listed]
        hint = closest(pattern, names)
        if not hint.startswith("did"):
            near = closest(pattern, [layer.name for layer in layers])
            hint = near if near.startswith("did") else hint
        if "*" in pattern and any(_expression(re.sub(r"\*+", "**", pattern)).fullmatch(layer.name) for layer in layers):
            hint = f"'*' stops at a dot; did you mean {re.sub(r'[*]+', '**', pattern)!r}?"
        raise InputError(f"{where} has no layer {pattern!r}: {hint}")
    return found


def _expression(pattern: str) -> re.Pattern[str]:
    """Regular expression of a pattern."""
    parts = []
    for piece in re.split(r"(\*\*|\*|\?|\[[^\[\]]+\])", pattern):
        if piece == "**":
            parts.append(".*")
        elif piece == "*":
            parts.append("[^.]*")
        elif piece == "?":
            parts.append("[^.]")
        elif piece.startswith("[") and piece.endswith("]"):
            inside = piece[1:-1].replace("\\", "\\\\")
            parts.append(f"[^{inside[1:]}]" if inside.startswith("!") else f"[{inside}]")
        else:
            parts.append(re.escape(piece))
    try:
        return re.compile("".join(parts))
    except re.error as error:
        raise InputError(
            f"the layer pattern {pattern!r} is not valid ({error}); see 'neurocompare models NAME' for layers"
        ) from error
