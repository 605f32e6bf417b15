"""Networks of torchvision, timm, open_clip and transformers, with the preprocessing that belongs to their weights.

The packages install with the extras ``zoo`` (torchvision and timm), ``clip`` and ``transformers``, and are imported
only to load one of their networks.
"""

from __future__ import annotations

import contextlib
import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from types import ModuleType

from torch import nn

from neural_data.errors import InputError, closest
from neurocompare.models.image_recipes import Found, as_preprocessing
from neurocompare.models.preprocessing import Preprocessing

__all__ = ["IMAGENET", "ZOOS", "Zoo", "zoo_network"]

IMAGENET = Preprocessing(size=224, mean=(0.485, 0.456, 0.406), sd=(0.229, 0.224, 0.225), crop_from=256)
"""Usual preprocessing of ImageNet networks; used, and marked as assumed, if a zoo states none."""


@dataclass(frozen=True)
class Zoo:
    """A package of networks.

    Parameters
    ----------
    name : str
        Name of the zoo, before the colon of a network's name.
    make : callable
        ``make(name, pretrained)`` gives a module and the preprocessing of its weights.
    extra : str
        Extra of this package that installs the zoo.
    """

    name: str
    make: Callable[[str, bool], tuple[nn.Module, Found]]
    extra: str


def zoo_network(zoo: str, name: str, *, pretrained: bool) -> tuple[nn.Module, Found]:
    """A network of a model zoo.

    Parameters
    ----------
    zoo : str
        One of :data:`ZOOS`.
    name : str
        Name in the zoo: ``alexnet`` or ``resnet50.IMAGENET1K_V1`` (torchvision), ``resnet50.a1_in1k`` (timm),
        ``ViT-B-32.openai`` (open_clip, whose image tower is taken), ``facebook/dinov2-base`` (transformers).
    pretrained : bool
        Whether to download the zoo's weights (kept in the package's cache folder); else the zoo's own random start.

    Returns
    -------
    module : torch.nn.Module
        The network.
    found : Found
        Preprocessing of the weights' recipe, with its interpolation; without pretrained weights, the usual ImageNet
        preprocessing, marked as assumed.

    Raises
    ------
    InputError
        If the package is not installed or has no such network, or the weights cannot be downloaded.
    """
    if zoo not in ZOOS:
        raise InputError(f"no zoo is called {zoo!r}: {closest(zoo, ZOOS)}")
    return ZOOS[zoo].make(name, pretrained)


def _from_torchvision(name: str, pretrained: bool) -> tuple[nn.Module, Found]:
    models = _package("torchvision.models", "zoo")
    architecture, _, tag = name.partition(".")
    try:
        known = models.get_model_weights(architecture).__members__
    except ValueError:
        listed = models.list_models()
        raise InputError(f"torchvision has no model {architecture!r}: {closest(architecture, listed)}") from None
    if tag and tag not in known:
        raise InputError(f"torchvision has no weights {name!r}: {closest(tag, known)}")
    weights = known.get(tag or "DEFAULT")
    if pretrained and weights is None:
        raise InputError(f"torchvision has no weights of {architecture}; name a checkpoint")
    with _fetching(f"torchvision:{name}"):
        module = models.get_model(architecture, weights=weights if pretrained else None)
    recipe = None if weights is None else weights.transforms()
    return module, _found(recipe, f"of torchvision's weights {getattr(weights, 'name', '')}".rstrip())


def _from_timm(name: str, pretrained: bool) -> tuple[nn.Module, Found]:
    timm = _package("timm", "zoo")
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise InputError(f"timm has no model {name!r}: {closest(architecture, timm.list_models())}")
    known = timm.list_pretrained(architecture)
    if tag and name not in known:
        raise InputError(f"timm has no weights {name!r}: {closest(name, known)}")
    with _fetching(f"timm:{name}"):
        module = timm.create_model(name, pretrained=pretrained)
    return module, _found(timm.data.resolve_model_data_config(module), f"of timm's weights {name}")


def _from_open_clip(name: str, pretrained: bool) -> tuple[nn.Module, Found]:
    open_clip = _package("open_clip", "clip")
    architecture, _, tag = name.partition(".")
    if architecture not in (known := open_clip.list_models()):
        raise InputError(f"open_clip has no model {architecture!r}: {closest(architecture, known)}")
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if (tag or pretrained) and tag not in tags:
        raise InputError(f"open_clip has no weights {name!r}; name them as {architecture}.TAG: {closest(tag, tags)}")
    with _fetching(f"open_clip:{name}"):
        model = open_clip.create_model(architecture, pretrained=tag if pretrained else None)
    return model.visual, _found(open_clip.get_model_preprocess_cfg(model), f"of open_clip's weights {name}")


def _from_transformers(name: str, pretrained: bool) -> tuple[nn.Module, Found]:
    transformers = _package("transformers", "transformers")
    with _fetching(f"transformers:{name}"):
        config = transformers.AutoConfig.from_pretrained(name)
        model = (
            transformers.AutoModel.from_pretrained(name) if pretrained else transformers.AutoModel.from_config(config)
        )
        recipe = transformers.AutoImageProcessor.from_pretrained(name)
    # Of a network of images and text, only the image part is used.
    return getattr(model, "vision_model", model), _found(recipe, f"of the image processor of {name}")


ZOOS: dict[str, Zoo] = {
    zoo.name: zoo
    for zoo in (
        Zoo("torchvision", _from_torchvision, "zoo"),
        Zoo("timm", _from_timm, "zoo"),
        Zoo("open_clip", _from_open_clip, "clip"),
        Zoo("transformers", _from_transformers, "transformers"),
    )
}


def _found(recipe: object, source: str) -> Found:
    """Preprocessing of a zoo's recipe; if the recipe is missing or incomplete, the usual one, marked as assumed."""
    usual = Found(IMAGENET, "assumed, as usual for ImageNet")
    if recipe is None:
        return usual
    try:
        return Found(as_preprocessing(recipe, usual).preprocessing, source)
    except InputError:
        return usual


def _package(path: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(path)
    except (ImportError, RuntimeError) as error:
        name = path.partition(".")[0]
        raise InputError(
            f"{name} cannot be imported ({error}); install the extra (pip install 'neurocompare[{extra}]'), with the "
            f"{name} built for the installed torch"
        ) from error


@contextlib.contextmanager
def _fetching(name: str) -> Iterator[None]:
    """Context that turns failed downloads into an InputError."""
    try:
        yield
    except (OSError, HTTPException, RuntimeError, ValueError) as error:
        # torch.hub raises RuntimeError for a download with a wrong checksum; other errors are the zoo's own.
        known = re.search("invalid hash|download|connect|huggingface|hub", str(error), re.IGNORECASE)
        if isinstance(error, (RuntimeError, ValueError)) and not known:
            raise
        raise InputError(
            f"the weights of {name} could not be fetched ({str(error).splitlines()[0]}); connect to the internet once "
            "so that they are stored, name your own checkpoint (weights), or leave the weights out for an "
            "untrained network"
        ) from error
