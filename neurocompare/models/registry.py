"""Loads networks: the package's own, from an import path, from a model zoo, or a module given as an object.

Gives a :class:`Network`: the module in evaluation mode, with the preprocessing that belongs to its weights and with
names for its layers. Weights that come with a module are changed only if ``start`` requests it. Nothing here depends on
a study's stimuli.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn
from torch.nn.parameter import UninitializedParameter

from neural_data.errors import InputError, closest
from neurocompare.models.brought import copied, from_import_path, unwrapped
from neurocompare.models.checkpoints import load_checkpoint
from neurocompare.models.image_recipes import Found, as_preprocessing, found_with
from neurocompare.models.inspection import N_EXAMPLES, Manner, inspect_network, manner_of_showing
from neurocompare.models.layer_choice import choose_layers
from neurocompare.models.layers import Layer, select_layers
from neurocompare.models.own_networks import OWN_NETWORKS, find_own_network
from neurocompare.models.paper_names import paper_names
from neurocompare.models.placing import PRECISIONS, evaluated, find_device, placed
from neurocompare.models.preprocessing import Preprocessing
from neurocompare.models.regimes import AS_GIVEN, FITTED, TRAINED, UNTRAINED
from neurocompare.models.starts import STARTS, apply_start
from neurocompare.models.zoo import ZOOS, zoo_network

__all__ = [
    "OWN_NETWORKS",
    "ZOOS",
    "Network",
    "Preprocessing",
    "as_network",
    "default_label",
    "is_import_path",
    "layer_table",
    "load_model",
]

EXAMPLE_SIDE = 224
"""Height and width, pixels, of the test image with which the output of a user's transform is checked."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inspected:
    """Results of the test passes through a network.

    Parameters
    ----------
    layers : tuple of Layer
        Every output that can be read, in execution order.
    unreadable : dict of str to str
        Outputs that cannot be read, and the reasons.
    also_called : dict of str to str
        Names in the literature, and the layers that they mean.
    manner : Manner
        How images must be presented to the network.
    notes : tuple of str
        Unusual findings, for the log.
    most_units : int
        Numbers in the largest output of any module for one image, whether it can be read or not.
    """

    layers: tuple[Layer, ...]
    unreadable: dict[str, str]
    also_called: dict[str, str]
    manner: Manner
    notes: tuple[str, ...]
    most_units: int


@dataclass(frozen=True)
class Network:
    """A network that stimuli can be presented to.

    Parameters
    ----------
    name : str
        As given to :func:`load_model`.
    module : torch.nn.Module
        In evaluation mode.
    preprocessing : Preprocessing
        Preprocessing that belongs to the weights.
    regime : str
        Origin of the weights: ``untrained``, a training regime, or a label of the weights.
    seed : int
        Seed of the random start.
    preprocessing_source : str
        Where the preprocessing comes from: ``given``, ``of ...``, or ``assumed ...`` if nothing states it.
    seen : Inspected or None
        Results of earlier test passes through this network; None: they are made at first use.
    """

    name: str
    module: nn.Module = field(repr=False)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    regime: str = "untrained"
    seed: int = 0
    preprocessing_source: str = "given"
    seen: Inspected | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        made = [weight for weight in self.module.parameters() if not isinstance(weight, UninitializedParameter)]
        n_weights = sum(weight.numel() for weight in made)
        return (
            f"<Network {self.name!r}, {self.regime}, seed {self.seed}: {n_weights:,} weights on {self.device}; images: "
            f"{self.preprocessing.in_words()} ({self.preprocessing_source})>"
        )

    @functools.cached_property
    def inspected(self) -> Inspected:
        """Results of test passes with noise images; made once, at first use."""
        if self.seen is not None:
            return self.seen
        seen = inspect_network(self.module, self.example(N_EXAMPLES), where=self.name)
        layers, left_out = choose_layers(self.module, seen)
        notes = list(seen.notes)
        if left_out:
            named = "; ".join(left_out[:3]) + ("; ..." if len(left_out) > 3 else "")
            notes.append(f"{len(left_out)} outputs cannot be read and are left out of its layers: {named}")
        for note in notes:
            log.warning("%s: %s", self.name, note)
        main = [layer for layer in layers if layer.main]
        n_images = 1 if seen.manner.one_at_a_time else N_EXAMPLES
        return Inspected(
            layers=tuple(layers),
            unreadable={call.layer.name: call.unreadable for call in seen.calls if call.unreadable},
            also_called=paper_names(self.module, main),
            manner=seen.manner,
            notes=tuple(notes),
            most_units=max([1, *(math.prod(call.whole) // n_images for call in seen.calls)]),
        )

    @property
    def outputs(self) -> tuple[Layer, ...]:
        """Every output that can be selected, in execution order."""
        return self.inspected.layers

    @property
    def manner(self) -> Manner:
        """How images must be presented, see :class:`~neurocompare.models.inspection.Manner`."""
        return self.inspected.manner

    def example(self, n_images: int) -> torch.Tensor:
        """Noise images in the module's input format, the same in every call."""
        sides = self.preprocessing.height_and_width or (EXAMPLE_SIDE, EXAMPLE_SIDE)
        noise = np.random.default_rng(0).random((n_images, 3, *sides), dtype=np.float32)
        return self.preprocessing(noise, self.device, self.dtype)

    def layer_names(self, group: str = "all") -> list[str]:
        """Names of the layers of ``layers="all"`` or ``layers="main"``, in execution order.

        The package's own networks list theirs; for others see :func:`~neurocompare.models.layer_choice.choose_layers`.
        """
        return [layer.name for layer in self.select(group)]

    def select(self, layers: str | Iterable[str]) -> list[Layer]:
        """Layers by name or pattern, see :func:`~neurocompare.models.layers.select_layers`."""
        found = self.inspected
        return select_layers(
            found.layers, layers, where=self.name, also_called=found.also_called, unreadable=found.unreadable
        )

    def layer_index(self, layer: Layer) -> int:
        """Position of a layer in :meth:`layer_names`, or of the last listed layer before it (at least 0)."""
        names = [output.name for output in self.outputs]
        place = names.index(layer.name if layer.name in names else layer.made_from)
        return max(sum(output.listed for output in self.outputs[: place + 1]) - 1, 0)

    @property
    def device(self) -> torch.device:
        """Device of the weights; the CPU for a network without weights."""
        return next((weight.device for weight in self._weights()), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the weights (of real and imaginary parts, if complex); float32 without weights."""
        return next((weight.dtype.to_real() for weight in self._weights()), torch.float32)

    def forward(self, images: np.ndarray) -> object:
        """Output of the module for images (n, 3, height, width) in 0..1, after preprocessing, without gradients."""
        manner = self.manner
        with torch.inference_mode(), manner_of_showing(manner, self.device):
            return self.module(self.preprocessing(images, self.device, self.dtype))

    def _weights(self) -> Iterable[torch.Tensor]:
        for part in (self.module.parameters(), self.module.buffers()):
            yield from (weight for weight in part if weight.is_floating_point() or weight.is_complex())


def layer_table(network: Network, group: str = "all") -> pd.DataFrame:
    """The layers of a network, as ``neurocompare models NAME`` prints them.

    Parameters
    ----------
    network : Network
        From :func:`load_model`.
    group : {"all", "main"}
        Which layers.

    Returns
    -------
    pandas.DataFrame
        One row per layer in execution order: ``layer`` (name), ``main`` (whether it is in ``layers="main"``), ``kind``,
        ``shape`` (of the response to one image, as ``64 x 55 x 55``), ``n_units``, ``depth`` (share of the network's
        convolutions, linear and recurrent modules that have been computed by then, 0..1), ``paper`` (name in the
        literature, if there is one).
    """
    layers = network.select(group)
    weighted = [layer.kind in ("convolution", "linear", "recurrent") for layer in network.outputs]
    names = [layer.name for layer in network.outputs]
    depth = np.cumsum(weighted) / max(sum(weighted), 1)
    called = {name: paper for paper, name in network.inspected.also_called.items()}
    return pd.DataFrame(
        {
            "layer": [layer.name for layer in layers],
            "main": [layer.main for layer in layers],
            "kind": [layer.kind for layer in layers],
            "shape": [" x ".join(map(str, layer.shape)) for layer in layers],
            "n_units": [layer.n_units for layer in layers],
            "depth": [float(depth[names.index(layer.name)]) for layer in layers],
            "paper": [called.get(layer.name, "") for layer in layers],
        }
    )


def load_model(
    model: str | nn.Module,
    *,
    weights: str | Path | Mapping[str, torch.Tensor] | None = None,
    regime: str | None = None,
    seed: int = 0,
    start: str | None = None,
    name: str | None = None,
    preprocessing: Preprocessing | Mapping[str, object] | Callable[[Image.Image], object] | None = None,
    device: str = "auto",
    precision: str | None = None,
) -> Network:
    """Load a network by name, or wrap a given module.

    Parameters
    ----------
    model : str or torch.nn.Module
        ``"cnn-small"`` or another of :data:`OWN_NETWORKS`; ``"torchvision:alexnet"`` or ``"timm:resnet50.a1_in1k"``
        (extra ``zoo``); ``"package.module:callable"``, called without arguments, that returns a ``torch.nn.Module``
        (packages are also searched in the current folder); or a module, which is copied: the given module, its mode and
        its device are not changed.
    weights : str, Path, mapping or None
        A checkpoint (``.safetensors``, or a state dictionary that ``torch.load(weights_only=True)`` reads), or the
        state dictionary itself; ``"pretrained"`` for a zoo's weights, or for those that ship with this package, see
        :func:`~neurocompare.models.checkpoints.shipped_checkpoint`. None: a network loaded by name is untrained
        (those fitted to rendered faces, such as ``pca`` and ``hebbian``, and those of fixed filters, such as
        ``hemispheres``, are made from the seed), and a user's own module keeps its weights.
    regime : str or None
        Label for tables. None: ``trained`` with weights, ``untrained`` after a random start, ``fitted``, or ``as
        given`` for a user's own module that keeps its weights.
    seed : int
        Seed of the random start, also set when an imported callable makes the network.
    start : {"gaussian", "own"} or None
        Random start, if no weights are given. ``"gaussian"``: see
        :func:`~neurocompare.models.starts.gaussian_start`; this replaces the weights of a user's own module. ``"own"``:
        the weights with which the network is constructed. None: gaussian for a network loaded by name, own for a
        user's own module.
    name : str or None
        Name of the network in tables; None takes the name it was loaded by, or the class of the module.
    preprocessing : Preprocessing, mapping, recipe, callable or None
        None takes what belongs to the weights: the recipe of a zoo's weights, or the one stored in the module; without
        either, the default of :class:`~neurocompare.models.preprocessing.Preprocessing` is assumed and the log says
        so. A mapping of its parameters (``{"size": 128}``) changes the network's own. A recipe is one of torchvision
        (``weights.transforms()``), timm, open_clip or transformers (an image processor). A callable takes a
        ``PIL.Image`` and gives (channels, height, width).
    device : str
        ``"auto"`` takes a CUDA device if there is one, else the CPU; ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
    precision : {"float32", "float64", "float16", "bfloat16"} or None
        Precision of weights and responses. Half precision is faster on a GPU and keeps about three digits (bfloat16:
        two to three). None: float32 for a network loaded by name, unchanged for a user's own module. Complex weights
        stay complex, integers stay integers.

    Returns
    -------
    Network
        In evaluation mode.

    Raises
    ------
    InputError
        If there is no such network or device, the callable needs arguments or does not return a module, the checkpoint
        does not fit or is a pickle, or both weights and a gaussian start are given.
    """
    if start is not None and start not in STARTS:
        raise InputError(f"start must be one of {', '.join(STARTS)}; got {start!r}")
    if precision is not None and precision not in PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}")
    if weights is not None and start == "gaussian":
        raise InputError(
            f"{_name_of(model, name)}: weights and start='gaussian' exclude each other; leave one of them out"
        )
    made = _construct(model, weights=weights, regime=regime, seed=seed)
    module, where = made.module, _name_of(model, name)
    if made.checkpoint is not None:
        load_checkpoint(module, made.checkpoint, name=where)
    if made.label == AS_GIVEN and start is None and regime == UNTRAINED:
        raise InputError(
            f"{where} is called untrained, but keeps the weights that it came with; name its start: "
            "start = 'gaussian' gives it new weights, start = 'own' means that its own are untrained"
        )
    if made.label in (UNTRAINED, AS_GIVEN):
        apply_start(module, start or made.start, seed)
    wanted = precision or made.precision
    found = as_preprocessing(preprocessing, made.preprocessing)
    if found.assumed:
        log.warning(
            "%s: nothing says how images are shown to it; %s: %s. Give preprocessing= ([models.preprocessing] in a "
            "study)",
            where,
            found.source,
            found.preprocessing.in_words(),
        )
    return Network(
        name=where,
        module=evaluated(placed(module, find_device(device), wanted, where=where), where=where),
        preprocessing=found.preprocessing,
        regime=regime or default_label(model, weights, start),
        seed=seed,
        preprocessing_source=found.source,
    )


def default_label(
    model: str | nn.Module, weights: str | Path | Mapping[str, torch.Tensor] | None, start: str | None
) -> str:
    """Default label of a network's regime, from what :func:`load_model` does with its weights."""
    if weights is not None:
        return TRAINED
    if isinstance(model, str) and (":" not in model or model.partition(":")[0] in ZOOS):
        return FITTED if model in OWN_NETWORKS and OWN_NETWORKS[model].fit else UNTRAINED
    return UNTRAINED if start == "gaussian" else AS_GIVEN


def is_import_path(model: str) -> bool:
    """Whether a name is an import path, so that loading it runs code from outside this package."""
    return ":" in model and model.partition(":")[0] not in ZOOS


def as_network(network: Network | nn.Module) -> Network:
    """The network; a module is first wrapped by :func:`load_model`."""
    return load_model(network) if isinstance(network, nn.Module) else network


@dataclass(frozen=True)
class _Made:
    """A module before its weights are loaded, with their source and its default regime label."""

    module: nn.Module
    preprocessing: Found
    label: str
    start: str
    precision: str | None
    checkpoint: str | Path | Mapping[str, torch.Tensor] | None = None


def _name_of(model: str | nn.Module, name: str | None) -> str:
    return name or (model if isinstance(model, str) else type(unwrapped(model)).__name__)


def _construct(
    model: str | nn.Module, *, weights: str | Path | Mapping[str, torch.Tensor] | None, regime: str | None, seed: int
) -> _Made:
    if not isinstance(model, (str, nn.Module)):
        raise InputError(f"a network must be a name or a torch.nn.Module; got a {type(model).__name__}")
    pretrained = isinstance(weights, str) and weights == "pretrained"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if isinstance(model, str) and ":" not in model:
            return _own(model, weights, pretrained=pretrained, regime=regime, seed=seed)
        if isinstance(model, str) and model.partition(":")[0] in ZOOS:
            source, _, rest = model.partition(":")
            module, own = zoo_network(source, rest, pretrained=pretrained)
            label = UNTRAINED if weights is None else TRAINED
            return _Made(module, own, label, "gaussian", "float32", None if pretrained else weights)
        if pretrained:
            raise InputError(
                f"{_name_of(model, None)}: only networks of the package and of zoos have pretrained weights of their "
                "own; name a checkpoint, or leave weights out to keep those that the module comes with"
            )
        module = from_import_path(model) if isinstance(model, str) else copied(model)
    module = unwrapped(module)
    return _Made(module, found_with(module), AS_GIVEN if weights is None else TRAINED, "own", None, weights)


def _own(
    name: str,
    weights: str | Path | Mapping[str, torch.Tensor] | None,
    *,
    pretrained: bool,
    regime: str | None,
    seed: int,
) -> _Made:
    if name not in OWN_NETWORKS:
        raise InputError(
            f"no network is called {name!r}: {closest(name, OWN_NETWORKS)} Other networks are named "
            "'torchvision:NAME', 'timm:NAME' or 'package.module:callable'"
        )
    own = find_own_network(name)
    if pretrained:
        if own.pretrained is None:
            raise InputError(f"{name} has no pretrained weights; train it, or name a checkpoint")
        weights = own.pretrained(regime)
    if weights is None and own.fit is not None:
        label, module = FITTED, own.fit(seed)
    else:
        label, module = UNTRAINED if weights is None else TRAINED, own.make()
    return _Made(module, found_with(module), label, "gaussian", "float32", weights)
