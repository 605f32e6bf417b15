"""Steps of a study that trains networks: reading images and training."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from neural_data.errors import InputError
from neurocompare import __version__
from neurocompare.models.checkpoints import write_state
from neurocompare.models.datasets import LabelledImages, Splits, apply_regime, read_dataset, split_dataset
from neurocompare.models.registry import load_model
from neurocompare.models.training import STATE_NAME, Recipe, TrainedNetwork, train_network
from neurocompare.study.folders import MARK, whole_folder
from neurocompare.study.grammar import Model, Training
from neurocompare.study.recipes import preprocessing_of, recipe_of
from neurocompare.study.workers import n_cores

__all__ = ["read_images_to_train_on", "train", "train_to_folder"]


def read_images_to_train_on(training: Training, size: int, *, n_jobs: int = 1) -> dict[str, Any]:
    """Images of a data set as arrays that the cache can hold: ``train``, and ``test`` or None."""
    options = {"size": size, "seed": training.data_seed}
    train, test = read_dataset(training.dataset, n_images=training.n_images, n_jobs=n_jobs, **options)
    if training.test is not None:
        test = read_dataset(training.test, **options)[0]
    return {"train": _plain(train), "test": None if test is None else _plain(test)}


def train(model: Model, seed: int, images: Mapping[str, Any], folder: Path | None, device: str) -> dict[str, Any]:
    """Train one network of a study.

    Parameters
    ----------
    model : Model
        With ``training``.
    seed : int
    images : mapping
        From :func:`read_images_to_train_on`.
    folder : pathlib.Path or None
        Where the state of a training that is stopped is found again.
    device : str

    Returns
    -------
    dict
        ``weights``: safetensors, as bytes. ``curve``: the learning curve. ``kept``: bytes by epoch.
    """
    training = model.training
    train, test = (None if images[part] is None else LabelledImages(**images[part]) for part in ("train", "test"))
    splits = split_dataset(train, test, seed=training.data_seed)
    parts = [apply_regime(part, training.regime, seed=training.data_seed) for part in vars(splits).values()]
    made = train_network(
        model.name,
        Splits(*parts),
        recipe_of(training),
        seed=seed,
        device=device,
        folder=folder,
        keep_epochs=training.keep_epochs,
        preprocessing=preprocessing_of(model),
    )
    kept = {str(epoch): safetensors.torch.save(state) for epoch, state in made.kept.items()}
    return {"weights": safetensors.torch.save(made.state), "curve": made.curve, "kept": kept}


def train_to_folder(
    out: Path,
    *,
    dataset: str,
    test: str | None = None,
    regime: str = "natural",
    recipe: Recipe,
    seed: int = 0,
    architecture: str = "cnn-small",
    n_images: int | None = None,
    keep_epochs: Sequence[int] = (),
    device: str = "auto",
    n_jobs: int | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> TrainedNetwork:
    """Train one network and write what came out, as ``neurocompare train`` does.

    Parameters
    ----------
    out : pathlib.Path
        Gets ``checkpoint.safetensors``, ``epoch_N.safetensors`` of the kept epochs, ``training.csv`` and
        ``provenance.json``, and holds the state while training runs: called again after a stop, training goes on.
    dataset, test, n_images : str, int
        See :func:`~neurocompare.models.datasets.read_dataset`.
    regime : str
        See :func:`~neurocompare.models.datasets.apply_regime`.
    recipe : Recipe
    seed, keep_epochs, device : int, sequence of int, str
        See :func:`~neurocompare.models.training.train_network`.
    architecture : str
        As :func:`~neurocompare.models.registry.load_model` takes it.
    n_jobs : int or None
        Worker processes for rendering; None: one a core.
    progress : callable or None

    Returns
    -------
    TrainedNetwork

    Raises
    ------
    InputError
        If anything given is wrong, or ``out`` holds something else.
    """
    # The state of a stopped training lies in ``out`` itself, where the next call finds it.
    with whole_folder(out, command="train", unfinished=(STATE_NAME,)) as folder:
        size = load_model(architecture, start="own", device="cpu").preprocessing.side
        options = {"size": size, "n_jobs": n_jobs or n_cores(), "progress": progress}
        images, tested = read_dataset(dataset, n_images=n_images, **options)
        if test is not None:
            tested = read_dataset(test, **options)[0]
        splits = split_dataset(images, tested)
        splits = Splits(*(apply_regime(part, regime) for part in (splits.train, splits.validation, splits.test)))
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{out} cannot be written ({error.strerror}); name another folder") from error
        try:
            made = train_network(
                architecture,
                splits,
                recipe,
                seed=seed,
                device=device,
                folder=out,
                keep_epochs=keep_epochs,
                progress=progress,
            )
        except BaseException:
            with contextlib.suppress(OSError):
                out.rmdir()
            raise
        about = {
            "neurocompare": __version__,
            "torch": torch.__version__,
            "architecture": architecture,
            "dataset": images.name,
            "regime": regime,
            "recipe": dataclasses.asdict(recipe),
            "seed": seed,
            "n_threads": torch.get_num_threads(),
            "classes": list(splits.train.classes),
            "n_images": {name: len(part) for name, part in vars(splits).items()},
        }
        write_state(folder / "checkpoint.safetensors", made.state, {"training": json.dumps(about)})
        for epoch, state in made.kept.items():
            write_state(folder / f"epoch_{epoch}.safetensors", state)
        made.curve.to_csv(folder / "training.csv", index=False, lineterminator="\n")
        (folder / MARK).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return made


def _plain(data: LabelledImages) -> dict[str, Any]:
    return {
        "images": data.images,
        "labels": data.labels,
        "classes": data.classes,
        "name": data.name,
        "exemplars": data.exemplars,
    }
