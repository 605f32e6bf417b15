"""From the name of a network to the network: our own, an import path, or a model zoo.

Gives a :class:`Network`: the module in evaluation mode, with the preprocessing that belongs to its weights and with
names for its layers. Nothing here looks at a study's stimuli.
"""

from __future__ import annotations

import copy
import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from neural_data.errors import InputError, closest
from neurocompare.models.checkpoints import load_checkpoint, shipped_checkpoint
from neurocompare.models.gabor import GaborC1
from neurocompare.models.layers import Layer, find_layers, select_layers
from neurocompare.models.networks import CnnSmall, Pixels
from neurocompare.models.pca import PrincipalComponents, fit_to_rendered_faces
from neurocompare.models.preprocessing import Preprocessing
from neurocompare.models.zoo import ZOOS, zoo_network

__all__ = ["OWN_NETWORKS", "Network", "Preprocessing", "layer_table", "load_model"]

OWN_NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "cnn-small": CnnSmall,
    "pixels": Pixels,
    "gabor-c1": GaborC1,
    "pca": functools.partial(PrincipalComponents, "pixels"),
    "pca-c1": functools.partial(PrincipalComponents, "c1"),
}
STARTS = ("gaussian", "own")
PRECISIONS: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "float64": torch.float64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


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
        Belongs to the weights.
    regime : str
        How the weights came about: ``untrained``, a training regime, or the weights' own name.
    seed : int
        Of the random start.
    """

    name: str
    module: nn.Module = field(repr=False)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    regime: str = "untrained"
    seed: int = 0

    @functools.cached_property
    def outputs(self) -> tuple[Layer, ...]:
        """Every output that can be asked for, in execution order; found by one forward pass at first use."""
        size = self.preprocessing.size
        example = torch.zeros(1, 3, size, size, device=self.device, dtype=self.dtype)
        return tuple(find_layers(self.module, example))

    def layer_names(self) -> list[str]:
        """Names of the layers that ``layers="all"`` means, in execution order.

        Our own networks name theirs. For any other see :func:`~neurocompare.models.layers.find_layers`.
        """
        return [layer.name for layer in self.outputs if layer.listed]

    def select(self, layers: str | Iterable[str]) -> list[Layer]:
        """Layers by name or pattern, see :func:`~neurocompare.models.layers.select_layers`."""
        return select_layers(self.outputs, layers, where=self.name)

    def layer_index(self, layer: Layer) -> int:
        """Position in :meth:`layer_names` of a layer, or of the last one that is computed before it (at least 0)."""
        names = [output.name for output in self.outputs]
        place = names.index(layer.name if layer.name in names else layer.made_from)
        return max(sum(output.listed for output in self.outputs[: place + 1]) - 1, 0)

    @property
    def device(self) -> torch.device:
        """Where the weights are; the CPU for a network without weights."""
        return next((weight.device for weight in self._weights()), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of the weights; float32 for a network without weights."""
        return next((weight.dtype for weight in self._weights()), torch.float32)

    def forward(self, images: np.ndarray) -> object:
        """What the module returns for images (n, 3, height, width) in 0..1, after preprocessing, without gradients."""
        with torch.inference_mode():
            return self.module(self.preprocessing(images, self.device, self.dtype))

    def _weights(self) -> Iterable[torch.Tensor]:
        for part in (self.module.parameters(), self.module.buffers()):
            yield from (weight for weight in part if weight.is_floating_point())


def layer_table(network: Network) -> pd.DataFrame:
    """The layers of a network, as ``neurocompare models NAME`` prints them.

    Parameters
    ----------
    network : Network
        From :func:`load_model`.

    Returns
    -------
    pandas.DataFrame
        One row a layer in execution order: ``layer`` (name), ``kind``, ``shape`` (of the response to one image, as
        ``64 x 55 x 55``), ``n_units``.
    """
    layers = [layer for layer in network.outputs if layer.listed]
    return pd.DataFrame(
        {
            "layer": [layer.name for layer in layers],
            "kind": [layer.kind for layer in layers],
            "shape": [" x ".join(map(str, layer.shape)) for layer in layers],
            "n_units": [layer.n_units for layer in layers],
        }
    )


def load_model(
    name: str,
    *,
    weights: str | Path | Mapping[str, torch.Tensor] | None = None,
    regime: str | None = None,
    seed: int = 0,
    start: str = "gaussian",
    preprocessing: Preprocessing | None = None,
    device: str = "auto",
    precision: str = "float32",
) -> Network:
    """Load a network by name.

    Parameters
    ----------
    name : str
        ``"cnn-small"`` or another of :data:`OWN_NETWORKS`; ``"torchvision:alexnet"`` or ``"timm:resnet50.a1_in1k"``
        (extra ``zoo``); or ``"package.module:callable"``, called without arguments, that returns a
        ``torch.nn.Module``. The current folder counts among the places where packages are looked for.
    weights : str, Path, mapping or None
        A checkpoint (``.safetensors``, or a state dictionary that ``torch.load(weights_only=True)`` reads), or the
        state dictionary itself; ``"pretrained"`` for a zoo's own weights, or for a network that is shipped with the
        package, see :func:`~neurocompare.models.checkpoints.shipped_checkpoint`; None for an untrained network.
        ``pca`` and ``pca-c1`` are without weights fitted to rendered faces, which the seed chooses.
    regime : str or None
        Kept as a label; None says ``untrained`` without weights, else ``trained``.
    seed : int
        Seed of the random start.
    start : {"gaussian", "own"}
        Without weights: weights from a normal distribution with variance 1 / fan-in and zero biases (eLife 90256), or
        the start that the network gives itself.
    preprocessing : Preprocessing or None
        None takes the network's own.
    device : str
        ``"auto"`` takes a CUDA device where there is one, else the CPU; ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
    precision : {"float32", "float64", "float16", "bfloat16"}
        Of weights and responses. Half precision is faster on a GPU and costs three digits (bfloat16: two).

    Returns
    -------
    Network
        In evaluation mode.

    Raises
    ------
    InputError
        If there is no such network or device, the network cannot be made without arguments, it is no module, or the
        checkpoint does not fit it or is a pickle.
    """
    if start not in STARTS:
        raise InputError(f"start must be one of {', '.join(STARTS)}; got {start!r}")
    if precision not in PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}")
    place = _device(device)
    if isinstance(weights, str) and weights == "pretrained" and name in OWN_NETWORKS:
        weights = shipped_checkpoint(name, regime)
    pretrained = isinstance(weights, str) and weights == "pretrained"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module, own = _construct(name, pretrained=pretrained)
    label = "untrained" if weights is None else "trained"
    if weights is not None and not pretrained:
        load_checkpoint(module, weights, name=name)
    elif isinstance(module, PrincipalComponents):
        module, label = fit_to_rendered_faces(name.removeprefix("pca-").replace("pca", "pixels"), seed), "fitted"
    elif weights is None and start == "gaussian":
        _gaussian_start(module, seed)
    return Network(
        name=name,
        module=module.to(place, PRECISIONS[precision]).eval(),
        preprocessing=preprocessing or own,
        regime=regime or label,
        seed=seed,
    )


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        found = ", ".join(["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))])
        raise InputError(
            f"device {name!r} cannot be used ({str(error).splitlines()[0]}); this machine has {found}, and 'auto' "
            "chooses"
        ) from error
    return device


def _construct(name: str, *, pretrained: bool) -> tuple[nn.Module, Preprocessing]:
    if name in OWN_NETWORKS:
        module = OWN_NETWORKS[name]()
        return module, module.preprocessing
    source, separator, rest = name.partition(":")
    if not separator:
        raise InputError(
            f"no network is called {name!r}: {closest(name, OWN_NETWORKS)} Other networks are named "
            "'torchvision:NAME', 'timm:NAME' or 'package.module:callable'"
        )
    if source in ZOOS:
        return zoo_network(source, rest, pretrained=pretrained)
    if pretrained:
        raise InputError(f"{name}: only zoo networks have pretrained weights of their own; name a checkpoint")
    module = _from_import_path(source, rest)
    own = getattr(module, "preprocessing", None)
    return module, own if isinstance(own, Preprocessing) else Preprocessing()


def _from_import_path(module_name: str, attribute: str) -> nn.Module:
    where = f"model '{module_name}:{attribute}'"
    sys.path.insert(0, "")
    try:
        container = importlib.import_module(module_name)
    except (ImportError, SyntaxError) as error:
        raise InputError(f"{where} cannot be imported ({error}); run from the folder that holds the package") from error
    finally:
        sys.path.remove("")
    if not hasattr(container, attribute):
        raise InputError(f"{where}: {module_name} has no {attribute!r}: {closest(attribute, dir(container))}")
    make = getattr(container, attribute)
    if isinstance(make, nn.Module):
        return copy.deepcopy(make)
    if not callable(make):
        raise InputError(f"{where} is a {type(make).__name__}; name a callable that returns a torch.nn.Module")
    try:
        signature = inspect.signature(make)
    except ValueError as error:
        # Some built-in callables have no signature, and none of them makes a network.
        raise InputError(f"{where} is no Python function or class; it must return a torch.nn.Module") from error
    try:
        signature.bind()
    except TypeError as error:
        raise InputError(f"{where} cannot be called without arguments ({error}); wrap it in a function") from error
    try:
        made = make()
    except (RuntimeError, AssertionError, ImportError) as error:
        raise InputError(f"{where} could not be made here ({error}); does it need a device or a package?") from error
    if not isinstance(made, nn.Module):
        raise InputError(f"{where} gives a {type(made).__name__}; it must return a torch.nn.Module")
    return made


def _gaussian_start(module: nn.Module, seed: int) -> None:
    """Every weight matrix and kernel from N(0, 1 / fan-in), the biases beside them zero; in the module's own order."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.Embedding):
                continue
            own = dict(part.named_parameters(recurse=False))
            kernels = [weight for name, weight in own.items() if "weight" in name and weight.dim() >= 2]
            for weight in kernels:
                transposed = isinstance(part, nn.modules.conv._ConvTransposeNd)
                fan_in = weight[:, 0].numel() // part.groups if transposed else weight[0].numel()
                weight.copy_(torch.randn(weight.shape, generator=generator) / fan_in**0.5)
            for name, bias in own.items():
                if kernels and "bias" in name:
                    bias.zero_()
