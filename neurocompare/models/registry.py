"""From the name of a network to the network: our own, an import path, or a model zoo.

Gives a :class:`Network`: the module in evaluation mode, with the preprocessing that belongs to its weights and with
names for its layers. Nothing here looks at stimuli.
"""

from __future__ import annotations

import importlib
import pickle
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from neural_data.errors import InputError, closest
from neurocompare.models.layers import execution_order
from neurocompare.models.networks import CnnSmall, Pixels

__all__ = ["OWN_NETWORKS", "Network", "Preprocessing", "load_model"]

OWN_NETWORKS: dict[str, Callable[[], nn.Module]] = {"cnn-small": CnnSmall, "pixels": Pixels}
STARTS = ("gaussian", "own")


@dataclass(frozen=True)
class Preprocessing:
    """What is done to an image in 0..1 before a network sees it.

    Parameters
    ----------
    size : int
        Height and width, pixels.
    mean, sd : tuple of three floats
        Subtracted from, and divided into, the red, green and blue channel. The default puts the uniform gray
        background (0.5) at zero, where it equals the padding of the convolutions.
    """

    size: int = 224
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    sd: tuple[float, float, float] = (0.25, 0.25, 0.25)

    def __call__(self, images: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
        """Tensor (n, 3, size, size) of images (n, 3, size, size) in 0..1."""
        mean = torch.tensor(self.mean, device=device).view(1, 3, 1, 1)
        sd = torch.tensor(self.sd, device=device).view(1, 3, 1, 1)
        return (torch.from_numpy(images).to(device) - mean) / sd


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
    preprocessing: Preprocessing = Preprocessing()
    regime: str = "untrained"
    seed: int = 0

    def layer_names(self) -> list[str]:
        """Names of the layers in execution order.

        Our own networks name theirs. In any other, the layers are the outputs of its activation, pooling,
        normalisation and linear modules.
        """
        named = getattr(self.module, "layer_names", None)
        if isinstance(named, (tuple, list)):
            return list(named)
        size = self.preprocessing.size
        return execution_order(self.module, torch.zeros(1, 3, size, size, device=self.device))

    @property
    def device(self) -> torch.device:
        """Where the weights are; the CPU for a network without weights."""
        return next((weight.device for weight in self.module.parameters()), torch.device("cpu"))


def load_model(
    name: str,
    *,
    weights: str | Path | None = None,
    regime: str | None = None,
    seed: int = 0,
    start: str = "gaussian",
    preprocessing: Preprocessing | None = None,
) -> Network:
    """Load a network by name.

    Parameters
    ----------
    name : str
        ``"cnn-small"`` or another of :data:`OWN_NETWORKS`; ``"torchvision:alexnet"`` or ``"timm:resnet50.a1_in1k"``
        (extra ``zoo``); or ``"package.module:callable"``, called without arguments, that returns a
        ``torch.nn.Module``. The current folder counts among the places where packages are looked for.
    weights : str, Path or None
        A checkpoint (``.safetensors``, or a state dictionary that ``torch.load(weights_only=True)`` reads);
        ``"pretrained"`` for a zoo's own weights; None for an untrained network.
    regime : str or None
        Kept as a label; None says ``untrained`` without weights, else ``trained``.
    seed : int
        Seed of the random start.
    start : {"gaussian", "own"}
        Without weights: weights from a normal distribution with variance 1 / fan-in and zero biases (eLife 90256), or
        the start that the network gives itself.
    preprocessing : Preprocessing or None
        None takes the network's own.

    Returns
    -------
    Network
        In evaluation mode, on the CPU.

    Raises
    ------
    InputError
        If there is no such network, it cannot be made without arguments, it is no module, or the checkpoint does not
        fit it or is a pickle.
    """
    if start not in STARTS:
        raise InputError(f"start must be one of {', '.join(STARTS)}; got {start!r}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module, own = _construct(name, pretrained=weights == "pretrained")
    if weights is None and start == "gaussian":
        _gaussian_start(module, seed)
    elif weights not in (None, "pretrained"):
        _load_checkpoint(module, Path(weights), name)
    return Network(
        name=name,
        module=module.eval(),
        preprocessing=preprocessing or own,
        regime=regime or ("untrained" if weights is None else "trained"),
        seed=seed,
    )


def _construct(name: str, *, pretrained: bool) -> tuple[nn.Module, Preprocessing]:
    if name in OWN_NETWORKS:
        if pretrained:
            raise InputError(f"{name} has no pretrained weights; train it, or name a checkpoint")
        module = OWN_NETWORKS[name]()
        return module, Preprocessing(size=module.input_size)
    source, separator, rest = name.partition(":")
    if not separator:
        raise InputError(
            f"no network is called {name!r}: {closest(name, OWN_NETWORKS)} Other networks are named "
            "'torchvision:NAME', 'timm:NAME' or 'package.module:callable'"
        )
    if source == "torchvision":
        return _from_torchvision(rest, pretrained=pretrained)
    if source == "timm":
        return _from_timm(rest, pretrained=pretrained)
    if pretrained:
        raise InputError(f"{name}: only zoo networks have pretrained weights of their own; name a checkpoint")
    return _from_import_path(source, rest), Preprocessing()


def _from_import_path(module_name: str, attribute: str) -> nn.Module:
    where = f"model '{module_name}:{attribute}'"
    sys.path.insert(0, "")
    try:
        container = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(f"{where} cannot be imported ({error}); run from the folder that holds the package") from error
    finally:
        sys.path.remove("")
    if not hasattr(container, attribute):
        raise InputError(f"{where}: {module_name} has no {attribute!r}: {closest(attribute, dir(container))}")
    try:
        made = getattr(container, attribute)()
    except TypeError as error:
        raise InputError(f"{where} cannot be called without arguments ({error}); wrap it in a function") from error
    if not isinstance(made, nn.Module):
        raise InputError(f"{where} gives a {type(made).__name__}; it must return a torch.nn.Module")
    return made


def _from_torchvision(name: str, *, pretrained: bool) -> tuple[nn.Module, Preprocessing]:
    models = _zoo("torchvision.models")
    try:
        weights = models.get_model_weights(name).DEFAULT
    except ValueError:
        raise InputError(f"torchvision has no model {name!r}: {closest(name, models.list_models())}") from None
    recipe = weights.transforms()
    own = Preprocessing(size=recipe.crop_size[0], mean=tuple(recipe.mean), sd=tuple(recipe.std))
    return _download(lambda: models.get_model(name, weights=weights if pretrained else None), name), own


def _from_timm(name: str, *, pretrained: bool) -> tuple[nn.Module, Preprocessing]:
    timm = _zoo("timm")
    if not timm.is_model(name):
        raise InputError(f"timm has no model {name!r}: {closest(name, timm.list_models(pretrained=False))}")
    module = _download(lambda: timm.create_model(name, pretrained=pretrained), name)
    recipe = timm.data.resolve_model_data_config(module)
    return module, Preprocessing(size=recipe["input_size"][1], mean=tuple(recipe["mean"]), sd=tuple(recipe["std"]))


def _zoo(package: str):
    try:
        return importlib.import_module(package)
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"{package.partition('.')[0]} cannot be imported ({error}); install the extra: pip install "
            "'neurocompare[zoo]'"
        ) from error


def _download(make: Callable[[], nn.Module], name: str) -> nn.Module:
    try:
        return make()
    except OSError as error:
        raise InputError(
            f"the weights of {name} could not be fetched ({error}); connect once, or name a checkpoint that you have"
        ) from error


def _gaussian_start(module: nn.Module, seed: int) -> None:
    """Weights of convolutions and linear layers from N(0, 1 / fan-in), biases zero; in the module's own order."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in module.modules():
            weight = getattr(part, "weight", None)
            if isinstance(weight, torch.Tensor) and weight.dim() >= 2:
                fan_in = weight[0].numel()
                weight.copy_(torch.randn(weight.shape, generator=generator) / fan_in**0.5)
                if isinstance(getattr(part, "bias", None), torch.Tensor):
                    part.bias.zero_()


def _load_checkpoint(module: nn.Module, path: Path, name: str) -> None:
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint; give the path of a .safetensors or .pt file")
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            with warnings.catch_warnings():
                # Said of files that torch did not write; they are refused below anyway.
                warnings.filterwarnings("ignore", message="Detected pickle protocol")
                state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise InputError(
            f"{path}: not a checkpoint that is safe to read ({str(error).splitlines()[0]}); save the state dictionary "
            "with safetensors.torch.save_file(model.state_dict(), ...)"
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{path}: holds no state dictionary of tensors; save model.state_dict()")
    state = {key.removeprefix("module."): value for key, value in state.items()}
    wanted = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    missing, unexpected = sorted(set(wanted) - set(state)), sorted(set(state) - set(wanted))
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {shape}"
        for key, shape in wanted.items()
        if key in state and tuple(state[key].shape) != shape
    ]
    if missing or unexpected or shapes:
        raise InputError(
            f"{path} does not fit {name}: {len(missing)} weights missing {missing[:3]}, {len(unexpected)} unexpected "
            f"{unexpected[:3]}, {len(shapes)} of another shape {shapes[:3]}; is it a checkpoint of this architecture?"
        )
    module.load_state_dict(state)
