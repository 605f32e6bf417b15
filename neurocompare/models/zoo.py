"""Networks of torchvision and timm, with the preprocessing that belongs to their weights.

Both packages come with the extra ``zoo`` and are imported only when one of their networks is asked for.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from http.client import HTTPException
from types import ModuleType

from torch import nn

from neural_data.errors import InputError, closest
from neurocompare.models.preprocessing import Preprocessing

__all__ = ["ZOOS", "zoo_network"]


def zoo_network(zoo: str, name: str, *, pretrained: bool) -> tuple[nn.Module, Preprocessing]:
    """A network of a model zoo.

    Parameters
    ----------
    zoo : {"torchvision", "timm"}
        Where to look.
    name : str
        As the zoo calls it: ``alexnet``, ``resnet50.a1_in1k``.
    pretrained : bool
        Whether to fetch the zoo's own weights, which are kept in torch's cache folder; else its own random start.

    Returns
    -------
    module : torch.nn.Module
    preprocessing : Preprocessing
        Size, crop, mean and sd that the weights were trained with; for a network without weights of its own, the
        usual ones for ImageNet.

    Raises
    ------
    InputError
        If the package is missing, knows no such network, or the weights cannot be fetched.
    """
    return ZOOS[zoo](name, pretrained)


def _from_torchvision(name: str, pretrained: bool) -> tuple[nn.Module, Preprocessing]:
    models = _package("torchvision.models")
    try:
        weights = models.get_model_weights(name).DEFAULT
    except ValueError:
        raise InputError(f"torchvision has no model {name!r}: {closest(name, models.list_models())}") from None
    module = _fetched(lambda: models.get_model(name, weights=weights if pretrained else None), f"torchvision:{name}")
    recipe = weights.transforms()
    crop, resize = recipe.crop_size[0], recipe.resize_size[0]
    return module, Preprocessing(
        size=crop, mean=tuple(recipe.mean), sd=tuple(recipe.std), crop_from=resize if resize > crop else None
    )


def _from_timm(name: str, pretrained: bool) -> tuple[nn.Module, Preprocessing]:
    timm = _package("timm")
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise InputError(f"timm has no model {name!r}: {closest(architecture, timm.list_models())}")
    known = timm.list_pretrained(architecture)
    if tag and name not in known:
        raise InputError(f"timm has no weights {name!r}: {closest(name, known)}")
    module = _fetched(lambda: timm.create_model(name, pretrained=pretrained), f"timm:{name}")
    recipe = timm.data.resolve_model_data_config(module)
    size = recipe["input_size"][1]
    resize = round(size / recipe.get("crop_pct", 1.0))
    return module, Preprocessing(
        size=size, mean=tuple(recipe["mean"]), sd=tuple(recipe["std"]), crop_from=resize if resize > size else None
    )


ZOOS: dict[str, Callable[[str, bool], tuple[nn.Module, Preprocessing]]] = {
    "torchvision": _from_torchvision,
    "timm": _from_timm,
}


def _package(path: str) -> ModuleType:
    try:
        return importlib.import_module(path)
    except (ImportError, RuntimeError) as error:
        name = path.partition(".")[0]
        raise InputError(
            f"{name} cannot be imported ({error}); install the extra (pip install 'neurocompare[zoo]'), with the "
            f"{name} that was built for the torch that is installed"
        ) from error


def _fetched(make: Callable[[], nn.Module], name: str) -> nn.Module:
    try:
        return make()
    except (OSError, HTTPException, RuntimeError) as error:
        # torch.hub says RuntimeError of a download whose checksum is wrong; any other is the zoo's own trouble.
        if isinstance(error, RuntimeError) and not re.search("invalid hash|download", str(error), re.IGNORECASE):
            raise
        raise InputError(
            f"the weights of {name} could not be fetched ({error}); connect to the internet once so that they are "
            "kept, name a checkpoint that you have (weights), or leave the weights out for an untrained network"
        ) from error
