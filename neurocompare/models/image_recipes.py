"""Reads the preprocessing that comes with weights: recipes of torchvision, timm, open_clip and transformers.

Each type of recipe is a record: how to recognise it and how to read it. None of these packages is imported; recipes are
recognised by their attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neural_data.errors import InputError, closest
from neural_data.resizing import INTERPOLATIONS
from neurocompare.models.preprocessing import Preprocessing

__all__ = ["IMAGE_RECIPES", "Found", "as_preprocessing", "found_with"]

_PIL_NAMES = {int(kernel): name for name, kernel in INTERPOLATIONS.items()}


@dataclass(frozen=True)
class Found:
    """Preprocessing, and where it comes from.

    Parameters
    ----------
    preprocessing : Preprocessing
        How images are prepared for the network.
    source : str
        ``given``, ``of ...``, or text that begins with ``assumed``.
    """

    preprocessing: Preprocessing
    source: str

    @property
    def assumed(self) -> bool:
        """Whether all or part of the preprocessing is assumed, because nothing states it."""
        return "assumed" in self.source


@dataclass(frozen=True)
class ImageRecipe:
    """A type of recipe.

    Parameters
    ----------
    name : str
        Package it comes from.
    is_one : callable
        Whether an object is such a recipe.
    read : callable
        Converts such a recipe to a :class:`Preprocessing`.
    """

    name: str
    is_one: Callable[[object], bool]
    read: Callable[[Any], Preprocessing]


_SAID = ("size", "aspect", "interpolation", "mean", "sd", "value_range", "channels")
"""Parameters of preprocessing; if all of them are given, nothing is assumed."""


def as_preprocessing(given: object, own: Found) -> Found:
    """Preprocessing from any of the forms in which a user can give it.

    Parameters
    ----------
    given : Preprocessing, mapping, recipe, callable or None
        A mapping of parameters of :class:`Preprocessing` changes the network's own. None keeps the network's own.
    own : Found
        The network's own preprocessing.

    Returns
    -------
    Found

    Raises
    ------
    InputError
        If it is none of these.
    """
    if given is None:
        return own
    if isinstance(given, Preprocessing):
        return Found(given, "given")
    for recipe in IMAGE_RECIPES:
        if recipe.is_one(given):
            return Found(recipe.read(given), f"given, of {recipe.name}")
    if isinstance(given, Mapping):
        changed = own.preprocessing.changed(**given)
        if not given:
            return own
        if "transform" in given or all(name in given for name in _SAID):
            return Found(changed, "given")
        names = ", ".join(given)
        return Found(changed, f"{own.source} but for {names}" if own.assumed else f"{names} given, else {own.source}")
    if callable(given):
        return Found(Preprocessing(size=None, transform=given), "given, a callable")
    raise InputError(
        f"preprocessing is a Preprocessing, a mapping of its parameters, a recipe of torchvision, timm, open_clip or "
        f"transformers, or a callable on images; got a {type(given).__name__}"
    )


def found_with(module: object) -> Found:
    """The preprocessing stored in a module; else the default, marked as assumed."""
    own = getattr(module, "preprocessing", None)
    if isinstance(own, Preprocessing):
        return Found(own, "of the network")
    for attribute in ("pretrained_cfg", "preprocess_cfg"):
        carried = getattr(module, attribute, None)
        for recipe in IMAGE_RECIPES:
            if carried is not None and recipe.is_one(carried):
                return Found(recipe.read(carried), f"of the network ({recipe.name})")
    size = getattr(getattr(module, "config", None), "image_size", None)
    if isinstance(size, int):
        return Found(Preprocessing(size=size), "assumed but for size")
    return Found(Preprocessing(), "assumed")


def _of_torchvision(recipe: Any) -> Preprocessing:
    crop = _height_and_width(recipe.crop_size)
    resize = _height_and_width(recipe.resize_size)
    if resize[0] != resize[1]:
        raise InputError(
            f"torchvision's resize_size {list(resize)} is not known: it is one number, of the shorter side"
        )
    return Preprocessing(
        size=_one_or_two(crop),
        mean=tuple(recipe.mean),
        sd=tuple(recipe.std),
        crop_from=resize[0] if resize[0] > min(crop) else None,
        interpolation=_known(recipe.interpolation.value),
    )


def _of_timm(recipe: Mapping) -> Preprocessing:
    size = _height_and_width(recipe["input_size"][1:])
    modes = {"center": "crop", "border": "pad", "squash": "squash"}
    mode = recipe.get("crop_mode") or "center"
    if mode not in modes:
        raise InputError(f"timm's crop_mode {mode!r} is not known: {closest(mode, modes)}")
    # timm rounds down, and uses 0.875 if a recipe does not state it.
    resize = int(min(size) / (recipe.get("crop_pct") or 0.875))
    return Preprocessing(
        size=_one_or_two(size),
        mean=tuple(recipe["mean"]),
        sd=tuple(recipe["std"]),
        crop_from=resize if resize > min(size) else None,
        aspect=modes[mode],
        interpolation=_known(recipe.get("interpolation") or "bilinear"),
        fill=tuple(recipe["mean"]),
    )


def _of_open_clip(recipe: Mapping) -> Preprocessing:
    size = _height_and_width(recipe["size"])
    modes = {"shortest": "crop", "longest": "pad", "squash": "squash"}
    mode = recipe["resize_mode"]
    if mode not in modes:
        raise InputError(f"open_clip's resize_mode {mode!r} is not known: {closest(mode, modes)}")
    return Preprocessing(
        size=_one_or_two(size),
        mean=tuple(recipe["mean"]),
        sd=tuple(recipe["std"]),
        aspect=modes[mode],
        interpolation=_known(recipe["interpolation"]),
        fill=recipe.get("fill_color", 0) / 255,
    )


def _of_transformers(recipe: Any) -> Preprocessing:
    size = _sides(getattr(recipe, "size", None))
    crop = _sides(getattr(recipe, "crop_size", None)) if getattr(recipe, "do_center_crop", False) else {}
    if not getattr(recipe, "do_resize", True):
        size = crop
    shorter = size.get("shortest_edge")
    whole = (size["height"], size["width"]) if "height" in size and "width" in size else None
    shown = (crop["height"], crop["width"]) if "height" in crop else whole or (shorter and (shorter, shorter))
    if not shown:
        raise InputError(f"the size {size} of the image processor is not known; give a Preprocessing")
    resized = shorter or (min(whole) if whole else min(shown))
    factor = getattr(recipe, "rescale_factor", 1 / 255) if getattr(recipe, "do_rescale", True) else 1.0
    offset = 1.0 if getattr(recipe, "offset", False) else 0.0
    normal = getattr(recipe, "do_normalize", True)
    return Preprocessing(
        size=_one_or_two(shown),
        mean=tuple(recipe.image_mean) if normal else (0.0,) * 3,
        sd=tuple(recipe.image_std) if normal else (1.0,) * 3,
        crop_from=resized if resized > min(shown) else None,
        aspect="squash" if whole and not shorter else "crop",
        interpolation=_known(_PIL_NAMES.get(int(recipe.resample), str(recipe.resample))),
        value_range=(-offset, 255 * factor - offset),
    )


def _sides(size: object) -> dict[str, int]:
    """Height, width and shortest edge of an image processor of transformers, as far as it has them."""
    if size is None:
        return {}
    if isinstance(size, int):
        return {"shortest_edge": size}
    held = dict(size) if isinstance(size, Mapping) else vars(size)
    return {name: value for name, value in held.items() if value is not None}


def _height_and_width(size: int | Sequence[int]) -> tuple[int, int]:
    values = [size] if isinstance(size, int) else list(size)
    if len(values) not in (1, 2):
        raise InputError(f"the recipe's size {values} is not known: it is one number, or height and width")
    return values[0], values[-1]


def _one_or_two(size: tuple[int, int]) -> int | tuple[int, int]:
    return size[0] if size[0] == size[1] else size


def _known(interpolation: str) -> str:
    if interpolation not in INTERPOLATIONS:
        raise InputError(
            f"the recipe's interpolation {interpolation!r} is not known: {closest(interpolation, INTERPOLATIONS)} Give "
            "a Preprocessing"
        )
    return interpolation


def _holds(given: object, *names: str) -> bool:
    if isinstance(given, Mapping):
        return all(name in given for name in names)
    return all(hasattr(given, name) for name in names)


def _is_image(size: object) -> bool:
    return isinstance(size, (tuple, list)) and len(size) == 3


IMAGE_RECIPES = (
    ImageRecipe(
        "torchvision", lambda given: _holds(given, "crop_size", "resize_size", "interpolation"), _of_torchvision
    ),
    ImageRecipe(
        "timm",
        lambda given: (
            isinstance(given, Mapping) and _holds(given, "mean", "std") and _is_image(given.get("input_size"))
        ),
        _of_timm,
    ),
    ImageRecipe(
        "open_clip",
        lambda given: isinstance(given, Mapping) and _holds(given, "size", "mean", "std", "resize_mode"),
        _of_open_clip,
    ),
    ImageRecipe("transformers", lambda given: _holds(given, "image_mean", "image_std", "resample"), _of_transformers),
)
