"""Chooses a network's layers from its outputs, by structure: all layers and the main layers.

Takes the result of :mod:`~neurocompare.models.inspection`; gives :class:`~neurocompare.models.layers.Layer` objects
with ``listed`` and ``main`` set.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from torch import nn

from neural_data.errors import InputError, closest
from neurocompare.models.inspection import Call, Inspection
from neurocompare.models.layers import CLASS_TOKEN, LAYER_KINDS, Layer, derived_layer

__all__ = ["FEWEST_MAIN", "MOST_MAIN", "choose_layers"]

FEWEST_MAIN, MOST_MAIN = 8, 25
"""Smallest and largest number of main layers, in a network with enough layers."""
_BLOCK = -1
"""Rank of blocks among modules that return the same tensor; the lowest rank gives its name."""
_SHELLS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def choose_layers(module: nn.Module, seen: Inspection) -> tuple[list[Layer], list[str]]:
    """All outputs of a network in the order in which they are computed.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    seen : Inspection
        Of that module.

    Returns
    -------
    layers : list of Layer
        With unique names. ``listed`` are

        - the names in ``module.layer_names``, if it has them; in any other network
        - the outputs of activation, pooling, normalisation, linear, recurrent and (multi-head) attention modules,
        - convolutions that are not followed by a normalisation or activation module,
        - blocks: composite modules that are repeated, or that return a tensor that none of their parts returned, such
          as a sum of branches; if a block ends in an activation, the two are one layer,
        - in transformers the blocks but not their parts, and the class token of each block if there is one,
        - the output of the network, if no module in it returned that tensor.

        ``main`` are at most :data:`MOST_MAIN` of these (all of ``module.layer_names``, if it has them), in this order:

        - the ends of stages (timm's ``feature_info``, else the last block of each container), global pooling, fully
          connected layers outside of blocks, and the last class token;
        - outermost blocks, and their class tokens;
        - layers outside of blocks that are not followed by a normalisation or activation;
        - blocks within blocks; and other layers only if there are fewer than :data:`FEWEST_MAIN`.

        If a group has too many layers, every second (or third, ...) of it is taken, counted from its end.
    left_out : list of str
        Outputs that would be layers but cannot be read, each with the reason.

    Raises
    ------
    InputError
        If the network declares a layer that it does not compute.
    """
    readable = [call for call in seen.calls if not call.unreadable]
    declared = getattr(module, "layer_names", None)
    if isinstance(declared, (tuple, list)):
        known = {call.layer.name for call in readable}
        missing = [name for name in declared if name not in known]
        if missing:
            reasons = {call.layer.name: call.unreadable for call in seen.calls}
            raise InputError(
                f"{type(module).__name__}.layer_names names {missing[0]!r}, "
                + (
                    f"which cannot be read: {reasons[missing[0]]}"
                    if missing[0] in reasons
                    else f"which is not computed in a forward pass: {closest(missing[0], known)}"
                )
            )
        return [_marked(call.layer, call.layer.name in declared, call.layer.name in declared) for call in readable], []
    meant = _meant(module, seen.calls, seen.staged)
    left_out = [f"{call.layer.name} ({call.unreadable})" for call in meant if call.unreadable]
    meant = [call for call in meant if not call.unreadable]
    names = {call.layer.name for call in meant}
    layers = []
    tokens_first = any(_is_class_token(name) for name, _ in module.named_parameters())
    blocks = {call.layer.module for call in readable if call.layer.kind == "transformer block"}
    for call in readable:
        layer = dataclasses.replace(call.layer, listed=call.layer.name in names)
        layers.append(layer)
        stage = layer.kind == "transformer block" or (
            layer.kind == "normalisation" and not _inside(layer.module, blocks)
        )
        if layer.listed and tokens_first and len(layer.shape) == 2 and stage:
            layers.append(derived_layer(layer, CLASS_TOKEN))
    main = _main(module, [layer for layer in layers if layer.listed], meant, seen)
    return [_marked(layer, layer.listed, layer.name in main) for layer in layers], left_out


def _marked(layer: Layer, listed: bool, main: bool) -> Layer:
    return dataclasses.replace(layer, listed=listed, main=main)


def _meant(module: nn.Module, outputs: list[Call], staged: set[tuple[int, int, int]]) -> list[Call]:
    """The outputs of ``layers="all"`` in a network without ``layer_names``, in execution order."""
    modules = dict(module.named_modules())
    classes = Counter(type(part) for part in modules.values())
    candidates: list[Call] = []
    for position, call in enumerate(outputs):
        layer, part = call.layer, modules[call.layer.module]
        if layer.module and layer.path and isinstance(layer.path[0], int) and any(step != 0 for step in layer.path):
            continue  # the first tensor of a tuple is the response; states and attention weights follow
        if not layer.module:
            call.rank = 2
        elif layer.kind == "convolution":
            if call.address in staged:
                continue
        elif layer.kind not in LAYER_KINDS:
            repeated = classes[type(part)] > 1 or type(modules[layer.module.rpartition(".")[0]]) in _SHELLS
            inner = [other for other in outputs[:position] if _inside(other.layer.module, {layer.module})]
            kind = _block_kind(part, call, inner, repeated=repeated)
            if kind is None:
                continue
            call.rank = _BLOCK
            call.layer = dataclasses.replace(layer, kind=kind)
        candidates.append(call)
    transformers = {call.layer.module for call in candidates if call.layer.kind == "transformer block"}
    best: dict[tuple[int, int, int], Call] = {}
    for call in candidates:
        if _inside(call.layer.module, transformers):
            continue
        first = best.get(call.address)
        # A convolution with its normalisation at the end of a block is not a block; a stage that ends in a block has
        # that block's output.
        wraps = first is not None and call.rank == first.rank == _BLOCK and _n_weighted(outputs, first) <= 1
        if first is None or call.rank < first.rank or wraps:
            best[call.address] = call
    chosen = set(map(id, best.values()))
    return [call for call in candidates if id(call) in chosen]


def _n_weighted(outputs: Sequence[Call], call: Call) -> int:
    """Number of convolutions and linear modules in a composite module."""
    kinds = ("convolution", "linear", "recurrent")
    return sum(other.layer.kind in kinds and _inside(other.layer.module, {call.layer.module}) for other in outputs)


def _block_kind(part: nn.Module, call: Call, inner: list[Call], *, repeated: bool) -> str | None:
    """``block`` or ``transformer block``; None for other modules."""
    if type(part) in _SHELLS or _attends(part) or not any(True for _ in part.children()):
        return None
    attends = any(_attends(inside) for inside in part.modules())
    weighted = any(other.layer.kind in ("convolution", "linear", "recurrent") for other in inner)
    novel = all(other.address != call.address for other in inner)
    if not (attends or weighted) or not (repeated or novel):
        return None
    return "transformer block" if attends and repeated and len(call.layer.shape) == 2 else "block"


def _main(module: nn.Module, listed: Sequence[Layer], meant: Sequence[Call], seen: Inspection) -> set[str]:
    """Names of the main layers among those that are listed."""
    blocks = {layer.module for layer in listed if "block" in layer.kind}
    outermost = [layer for layer in listed if layer.module in blocks and not _inside(layer.module, blocks)]
    outermost = [layer for layer in outermost if "block" in layer.kind]
    tokens = [layer for layer in listed if layer.made == CLASS_TOKEN]
    staged = {call.layer.name for call in meant if call.address in seen.staged}
    outside = [layer for layer in listed if layer.made is None and not _inside_or_is(layer.module, blocks)]
    last = [layer for layer in outside if layer.name not in staged]
    inner = [layer for layer in listed if "block" in layer.kind and _inside(layer.module, blocks)]
    groups = [
        [*_stage_ends(module, outermost, meant, seen), *_ends(outside, last), *tokens[-1:]],
        outermost,
        tokens,
        [layer for layer in last if layer.kind != "normalisation"],
        inner,
        last,
    ]
    chosen: dict[str, Layer] = {}
    for position, group in enumerate(groups):
        left = [layer for name, layer in {layer.name: layer for layer in group}.items() if name not in chosen]
        room = MOST_MAIN - len(chosen)
        if position >= 4 and len(left) > room and len(chosen) >= FEWEST_MAIN:
            continue  # parts of blocks are not main layers if the blocks are layers
        chosen |= {layer.name: layer for layer in _thinned(left, room)}
    if len(chosen) < FEWEST_MAIN:
        left = [layer for layer in listed if layer.name not in chosen]
        step = max(1, len(left) // (FEWEST_MAIN - len(chosen)))
        chosen |= {layer.name: layer for layer in left[::-1][::step]}
    return set(chosen)


def _stage_ends(module: nn.Module, outermost: Sequence[Layer], meant: Sequence[Call], seen: Inspection) -> list[Layer]:
    """The last block of each stage: from timm's ``feature_info``, else the last of several in a container."""
    info = getattr(module, "feature_info", None)
    if (
        isinstance(info, (list, tuple))
        and info
        and all(isinstance(entry, dict) and "module" in entry for entry in info)
    ):
        named = [entry["module"] for entry in info]
        tensors = {call.layer.module: call.address for call in seen.calls if not call.unreadable}
        ends = {tensors[name] for name in named if name in tensors}
        found = [call.layer for call in meant if call.address in ends]
        if len(found) <= MOST_MAIN // 2:
            return found
    containers: dict[str, list[Layer]] = defaultdict(list)
    for layer in outermost:
        containers[layer.module.rpartition(".")[0]].append(layer)
    return [members[-1] for members in containers.values() if len(containers) > 1 or len(members) > 1]


def _ends(outside: Sequence[Layer], last: Sequence[Layer]) -> list[Layer]:
    """Global pooling and fully connected layers, outside of blocks."""
    pooled = [layer for layer in outside if layer.kind == "pooling" and all(side == 1 for side in layer.shape[1:])]
    flat = [layer for layer in last if len(layer.shape) == 1 and layer.kind in ("linear", "activation", "output")]
    return [*pooled, *flat]


def _thinned(layers: Sequence[Layer], room: int) -> list[Layer]:
    """All layers if they are at most ``room``, else every second (or third, ...), counted from the end."""
    if room <= 0:
        return []
    step = -(-len(layers) // room)
    return list(layers[::-1][:: max(step, 1)])


def _inside(name: str, outer: Iterable[str]) -> bool:
    """Whether a module is inside one of the others; every module is inside the network itself (empty name)."""
    return any(name != other and (not other or name.startswith(other + ".")) for other in outer)


def _inside_or_is(name: str, outer: set[str]) -> bool:
    return name in outer or _inside(name, outer)


def _attends(part: nn.Module) -> bool:
    return "attention" in type(part).__name__.lower()


def _is_class_token(parameter: str) -> bool:
    name = parameter.rpartition(".")[2].lower()
    return name in ("cls", "cls_token", "class_token", "class_embedding", "cls_embedding")
