"""Steps of a study that trains networks: reading images and training."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import pandas as pd
import safetensors.torch
import torch

from neural_data.errors import InputError
from neurocompare import __version__
from neurocompare.models.checkpoints import write_state
from neurocompare.models.datasets import LabelledImages, Splits, apply_regime, read_dataset, split_dataset
from neurocompare.models.training import STATE_NAME, Recipe, TrainedNetwork, train_network
from neurocompare.progress_lines import Progress
from neurocompare.study.grammar import Model, Training
from neurocompare.study.recipes import image_size, preprocessing_of, recipe_of
from neurocompare.study.run_folders import MARK, whole_folder
from neurocompare.study.workers import n_cores

__all__ = ["TrainingTask", "read_images_to_train_on", "train_to_folder", "train_weights"]


@dataclass(frozen=True)
class TrainingTask:
    """Training images and recipe of a network.

    Parameters
    ----------
    dataset, test, n_images : str, str or None, int or None
        Images, see :func:`~neurocompare.models.datasets.read_dataset`; ``test`` replaces the test images of
        ``dataset``.
    regime : str
        See :func:`~neurocompare.models.datasets.apply_regime`.
    recipe : Recipe
        Epochs, optimizer, learning rates and augmentation.
    keep_epochs : tuple of int
        Epochs whose weights are stored too; 0 is the random start.
    data_seed : int
        Seed of rendering, splits and flips.
    """

    dataset: str
    recipe: Recipe
    test: str | None = None
    n_images: int | None = None
    regime: str = "natural"
    keep_epochs: tuple[int, ...] = ()
    data_seed: int = 0

    @classmethod
    def of(cls, settings: Training) -> TrainingTask:
        """The task of ``[models.training]`` in a study."""
        return cls(
            dataset=settings.dataset,
            recipe=recipe_of(settings),
            test=settings.test,
            n_images=settings.n_images,
            regime=settings.regime,
            keep_epochs=tuple(settings.keep_epochs),
            data_seed=settings.data_seed,
        )

    def read(
        self, size: int, *, n_jobs: int, progress: Progress | None = None
    ) -> tuple[LabelledImages, LabelledImages | None]:
        """Training images; and test images, if there is a separate test set."""
        images, tested = read_dataset(
            self.dataset, size=size, n_images=self.n_images, seed=self.data_seed, n_jobs=n_jobs, progress=progress
        )
        if self.test is not None:
            tested, _ = read_dataset(self.test, size=size, seed=self.data_seed, n_jobs=n_jobs, progress=progress)
        return images, tested

    def split(self, images: LabelledImages, tested: LabelledImages | None) -> Splits:
        """The images under the regime, split into training, validation and test."""
        splits = split_dataset(images, tested, seed=self.data_seed)
        parts = (splits.train, splits.validation, splits.test)
        return Splits(*(apply_regime(part, self.regime, seed=self.data_seed) for part in parts))


class ImageArrays(TypedDict):
    """Fields of :class:`~neurocompare.models.datasets.LabelledImages`, as stored in the cache."""

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    name: str
    exemplars: np.ndarray | None


class ImagesToTrainOn(TypedDict):
    """Decoded images of a data set; ``test`` is None without a separate test set."""

    train: ImageArrays
    test: ImageArrays | None


class TrainedWeights(TypedDict):
    """Result of training a network, as stored in the cache."""

    weights: bytes
    """Safetensors."""
    curve: pd.DataFrame
    """The learning curve."""
    kept: dict[str, bytes]
    """Safetensors by epoch."""


def read_images_to_train_on(settings: Training, size: int, *, n_jobs: int = 1) -> ImagesToTrainOn:
    """Images of a study's data set as arrays that the cache can hold."""
    train, test = TrainingTask.of(settings).read(size, n_jobs=n_jobs)
    return {"train": _arrays(train), "test": None if test is None else _arrays(test)}


def train_weights(
    model: Model, settings: Training, images: ImagesToTrainOn, seed: int, folder: Path | None, device: str
) -> TrainedWeights:
    """Train one network of a study.

    Parameters
    ----------
    model : Model
        Its entry in the study file.
    settings : Training
        Training settings of the entry.
    images : ImagesToTrainOn
        From :func:`read_images_to_train_on`.
    seed : int
        Seed of the random start, the order of images, shifts and dropout.
    folder : pathlib.Path or None
        Folder for the state from which an interrupted training continues.
    device : str
        ``auto``, ``cpu``, ``cuda``, ...

    Returns
    -------
    TrainedWeights
    """
    task, test = TrainingTask.of(settings), images["test"]
    splits = task.split(LabelledImages(**images["train"]), None if test is None else LabelledImages(**test))
    made = train_network(
        model.name,
        splits,
        task.recipe,
        seed=seed,
        device=device,
        folder=folder,
        keep_epochs=task.keep_epochs,
        preprocessing=preprocessing_of(model),
    )
    kept = {str(epoch): safetensors.torch.save(state) for epoch, state in made.kept.items()}
    return {"weights": safetensors.torch.save(made.state), "curve": made.curve, "kept": kept}


def train_to_folder(
    out: Path,
    task: TrainingTask,
    *,
    architecture: str = "cnn-small",
    seed: int = 0,
    device: str = "auto",
    n_jobs: int | None = None,
    progress: Progress | None = None,
) -> TrainedNetwork:
    """Train one network and write the results, as ``neurocompare train`` does.

    Parameters
    ----------
    out : pathlib.Path
        Gets ``checkpoint.safetensors``, ``epoch_N.safetensors`` of the kept epochs, ``training.csv`` and
        ``provenance.json``, and holds the state while training runs: after an interruption, the same call continues.
    task : TrainingTask
        Images, regime and recipe.
    architecture : str
        As :func:`~neurocompare.models.registry.load_model` takes it.
    seed, device : int, str
        See :func:`~neurocompare.models.training.train_network`.
    n_jobs : int or None
        Worker processes for rendering; None: one per core.
    progress : callable or None
        Called with a description of the current step and the share done.

    Returns
    -------
    TrainedNetwork

    Raises
    ------
    InputError
        If any input is wrong, or ``out`` holds other files.
    """
    # The state of a stopped training lies in ``out`` itself, where the next call finds it.
    with whole_folder(out, command="train", unfinished=(STATE_NAME,)) as folder:
        size = image_size(Model(name=architecture))
        images, tested = task.read(size, n_jobs=n_jobs or n_cores(), progress=progress)
        splits = task.split(images, tested)
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{out} cannot be written ({error.strerror}); name another folder") from error
        try:
            made = train_network(
                architecture,
                splits,
                task.recipe,
                seed=seed,
                device=device,
                folder=out,
                keep_epochs=task.keep_epochs,
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
            "regime": task.regime,
            "recipe": dataclasses.asdict(task.recipe),
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


def _arrays(data: LabelledImages) -> ImageArrays:
    return {
        "images": data.images,
        "labels": data.labels,
        "classes": data.classes,
        "name": data.name,
        "exemplars": data.exemplars,
    }
