"""Cache keys of a study's trained networks.

A network is trained once and then taken from the cache. Its key holds the images, the recipe, the seed and the version
of the training code, but no other code of the package, so that changes of the analysis do not require new training.
"""

from __future__ import annotations

import functools
import hashlib
import json
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import torch

from neural_data.errors import InputError
from neurocompare.models.archives import ARCHIVES
from neurocompare.models.brought import named_transform
from neurocompare.models.datasets import BUILT_IN_DATASETS, read_dataset
from neurocompare.models.registry import OWN_NETWORKS, load_model
from neurocompare.models.training import TRAINING_VERSION, Recipe, make_recipe
from neurocompare.study.cache import Json, step_key
from neurocompare.study.grammar import Model, Training

__all__ = ["dataset_key", "image_size", "preprocessing_of", "recipe_of", "training_key"]

RENDERING = ("chiral", "faces", "geometry", "luminance", "nature", "scene", "sets", "shapes", "things", "vehicles")
"""Modules of ``neurocompare.stimuli`` whose code determines the rendered images."""
RECIPE_FIELDS = ("epochs", "learning_rate", "weight_decay", "dropout", "shift", "precision")
"""Fields of a recipe that a study can set."""


def recipe_of(training: Training) -> Recipe:
    """The training recipe of an entry of a study."""
    changes = {name: getattr(training, name) for name in RECIPE_FIELDS}
    return make_recipe(training.recipe, training.regime, **changes)


def preprocessing_of(model: Model) -> dict[str, object] | None:
    """Preprocessing of an entry of a study, for :func:`~neurocompare.models.registry.load_model`."""
    if model.preprocessing is None:
        return None
    given = model.preprocessing.model_dump(exclude_none=True)
    if "transform" in given:
        given = {"size": None, **given, "transform": named_transform(given["transform"])}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def image_size(model: Model) -> int:
    """Height and width of a network's input, pixels."""
    return _side(model.name, "" if model.preprocessing is None else model.preprocessing.model_dump_json())


@functools.cache
def _side(name: str, given: str) -> int:
    model = Model.model_validate({"name": name, "preprocessing": json.loads(given) if given else None})
    shown = preprocessing_of(model)
    return load_model(name, start="own", device="cpu", preprocessing=shown).preprocessing.side


def dataset_key(training: Training, size: int) -> str:
    """Cache key of the decoded images of a data set.

    Raises
    ------
    InputError
        If a file or folder does not exist.
    """
    depends = {
        "source": _checksum(training.dataset),
        "test": None if training.test is None else _checksum(training.test),
        "n_images": training.n_images,
        "size": size,
        "seed": training.data_seed,
    }
    rendering = [f"neurocompare.stimuli.{name}" for name in RENDERING] if training.dataset in BUILT_IN_DATASETS else []
    return step_key("dataset", depends, code=_code(rendering))


def training_key(model: Model, training: Training, seed: int, device: str) -> str:
    """Cache key of the weights of a trained network.

    Parameters
    ----------
    model, training : Model, Training
        Entry of the study file, and its training settings.
    seed : int
        Seed of the training.
    device : str
        Where it is trained.

    Raises
    ------
    InputError
        If a file or folder does not exist, or the recipe is not valid.
    """
    depends: dict[str, Json] = {
        "network": model.name,
        "dataset": dataset_key(training, image_size(model)),
        "regime": training.regime,
        "recipe": repr(recipe_of(training)),
        "keep_epochs": training.keep_epochs,
        "seed": seed,
        "device": torch.device(device).type if device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu"),
    }
    if model.preprocessing is not None:
        depends["preprocessing"] = model.preprocessing.model_dump(mode="json", exclude_none=True)
    home = [] if model.name in OWN_NETWORKS else [model.name.partition(":")[0]]
    return step_key("training", depends, code=_code(home))


def _checksum(source: str) -> str:
    """SHA-256 of the files of a data set; the name of a data set that is rendered or downloaded with a checksum."""
    path = Path(source)
    if source in BUILT_IN_DATASETS or (source in ARCHIVES and not path.exists()):
        return source
    if not path.exists():
        read_dataset(source)
        raise InputError(f"training.dataset {source}: no such file or folder")
    return _sum_of_files(path.resolve(), _state_of(path))


@functools.lru_cache(maxsize=16)
def _sum_of_files(path: Path, _state: tuple) -> str:
    digest = hashlib.sha256()
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    for file in files:
        digest.update(str(file.relative_to(path) if file != path else file.name).encode())
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


def _state_of(path: Path) -> tuple:
    """Sizes and modification times, to detect files that change within a process."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)


def _code(modules: Sequence[str]) -> str:
    """Versions of training and of numerical packages, and SHA-256 of the code of some modules."""
    versions = [str(TRAINING_VERSION), torch.__version__, metadata.version("pillow")]
    digest = hashlib.sha256(" ".join(versions).encode())
    for name in modules:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is not None:
            digest.update(name.encode() + Path(file).read_bytes())
    return digest.hexdigest()
