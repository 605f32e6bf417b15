"""Training of a network: recipes, the training loop, and saved states from which a stopped training continues.

Takes labelled images in memory and the name of a network; gives the trained module and its learning curve. On a CPU
the same seed gives the same weights, whether or not training was interrupted. The order of images depends only on seed
and epoch, so that regimes of one data set see the same images in the same order.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from neural_data.errors import InputError, closest
from neurocompare.models.checkpoints import read_state, with_classes, write_state
from neurocompare.models.datasets import LabelledImages, Splits
from neurocompare.models.preprocessing import Preprocessing
from neurocompare.models.regimes import find_regime
from neurocompare.models.registry import load_model
from neurocompare.notebook_progress import BRIEF_SECONDS, progress_or_bar
from neurocompare.progress_lines import Progress

__all__ = [
    "RECIPES",
    "TRAINING_COLUMNS",
    "TRAINING_VERSION",
    "Recipe",
    "TrainedNetwork",
    "make_recipe",
    "train_network",
]

TRAINING_VERSION = 1
"""Part of the cache key of trained networks; increased when a change of this package alters the trained weights."""
RECIPES = ("fast", "paper")
TRAINING_COLUMNS = (
    *("epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "test_accuracy"),
)
TRAINING_PRECISIONS = ("float32", "bfloat16")
log = logging.getLogger(__name__)

STATE_NAME = "unfinished.safetensors"
EVALUATION_BATCH = 1000
WITHOUT_BFLOAT16 = ("NO AVX", "AVX2")
"""Instruction sets, as torch names them, on which products in bfloat16 are emulated."""
RISE, START_DIVISOR = 0.25, 25.0
"""Share of one-cycle training in which the learning rate rises, and the ratio of its peak to its first value."""
TELL_STEPS = 10


@dataclass(frozen=True)
class Recipe:
    """Recipe for training a network.

    Parameters
    ----------
    epochs : int
        Passes over the training images.
    batch_size : int
        Images per step.
    optimizer : {"sgd", "adam"}
        ``sgd``: stochastic gradient descent with momentum. ``adam``: Kingma & Ba (2015).
    learning_rate : float
        Learning rate at the start (``halving``) or at the peak (``one-cycle``).
    schedule : {"halving", "one-cycle"}
        ``halving``: halved every ``halve_every`` epochs. ``one-cycle``: from 1/25 of the peak up to it in a quarter of
        the steps, then down to 0 (cosine; Smith & Topin 2018).
    halve_every : int
        Epochs between halvings, for ``halving``.
    momentum, weight_decay : float
        Used by ``sgd``; with Nesterov momentum in a one-cycle schedule.
    shift : int
        Largest random shift of each image, pixels; gray comes in at the edges. Images are never flipped as
        augmentation: reflections belong to the regime.
    dropout : float or None
        Dropout rate of every dropout layer during training; None keeps the network's own.
    precision : {"float32", "bfloat16"}
        Precision of the products in forward and backward passes; weights are float32.
    """

    epochs: int
    batch_size: int = 256
    optimizer: str = "sgd"
    learning_rate: float = 1e-3
    schedule: str = "halving"
    halve_every: int = 20
    momentum: float = 0.9
    weight_decay: float = 0.0
    shift: int = 0
    dropout: float | None = None
    precision: str = "float32"

    def __post_init__(self):
        wrong = [name for name in ("epochs", "batch_size", "halve_every") if getattr(self, name) < 1]
        if wrong or not self.learning_rate > 0:
            name = (wrong or ["learning_rate"])[0]
            raise InputError(f"training: {name} is {getattr(self, name)}; it must be positive")
        if not self.weight_decay >= 0:
            raise InputError(f"training: weight_decay is {self.weight_decay}; it must be 0 or more")
        if self.shift < 0:
            raise InputError(f"training: shift is {self.shift}; it must be 0 pixels or more")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise InputError(f"training: dropout is {self.dropout}; it must be at least 0 and under 1")
        if self.precision not in TRAINING_PRECISIONS:
            raise InputError(f"training: precision {self.precision!r}; {closest(self.precision, TRAINING_PRECISIONS)}")

    def rate(self, epoch: int, share: float) -> float:
        """Learning rate at a fraction (``share``, 0..1) of an epoch; epochs count from 0."""
        if self.schedule == "halving":
            return self.learning_rate / 2 ** (epoch // self.halve_every)
        over = (epoch + share) / self.epochs
        low = self.learning_rate / START_DIVISOR
        if over < RISE:
            return low + (self.learning_rate - low) * (1 - math.cos(math.pi * over / RISE)) / 2
        return self.learning_rate * (1 + math.cos(math.pi * (over - RISE) / (1 - RISE))) / 2


PAPER = {
    "photographs": Recipe(250),
    "digits": Recipe(250, optimizer="adam", learning_rate=1e-5, halve_every=50),
}
"""The recipes of eLife 90256, by the ``recipe`` of a regime."""


@dataclass(frozen=True)
class TrainedNetwork:
    """Result of training a network.

    Parameters
    ----------
    state : dict of str to torch.Tensor
        Weights, on the CPU.
    curve : pandas.DataFrame
        Columns :data:`TRAINING_COLUMNS`, one row per epoch. Accuracies are shares (0..1); training accuracy is
        measured during the epoch, with dropout. ``test_accuracy`` is in the last row.
    n_classes : int
        Outputs of the last layer.
    kept : dict of int to dict
        Weights after the epochs in ``keep_epochs``; epoch 0 is the random start.
    """

    state: dict[str, torch.Tensor]
    curve: pd.DataFrame
    n_classes: int
    kept: dict[int, dict[str, torch.Tensor]]


def make_recipe(name: str = "fast", regime: str = "natural", **changes: Any) -> Recipe:
    """A recipe by name.

    Parameters
    ----------
    name : {"fast", "paper"}
        ``paper`` is that of eLife 90256: 250 epochs of 256 images; stochastic gradient descent (1e-3, momentum 0.9,
        halved every 20 epochs) for images as they are, Adam (1e-5, halved every 50 epochs) for digits and mirrored
        variants. ``fast``: twelve epochs of 256 images with one cycle of the learning rate, small shifts and half of
        the paper's dropout, a twentieth of the steps.
    regime : str
        Selects one of the paper's two recipes.
    **changes
        Fields of :class:`Recipe` to change; None keeps the recipe's value.

    Returns
    -------
    Recipe

    Raises
    ------
    InputError
        If there is no such recipe, or a value is not valid.
    """
    if name == "fast":
        recipe = Recipe(12, schedule="one-cycle", learning_rate=0.1, weight_decay=1e-3, shift=2, dropout=0.25)
    elif name == "paper":
        recipe = PAPER[find_regime(regime).recipe]
    else:
        raise InputError(f"no training recipe {name!r}: {closest(name, RECIPES)}")
    return dataclasses.replace(recipe, **{name: value for name, value in changes.items() if value is not None})


def train_network(
    name: str,
    splits: Splits,
    recipe: Recipe,
    *,
    seed: int = 0,
    device: str = "auto",
    folder: str | Path | None = None,
    keep_epochs: Sequence[int] = (),
    preprocessing: Preprocessing | Mapping[str, object] | None = None,
    progress: Progress | None = None,
) -> TrainedNetwork:
    """Train a network from its own random start.

    Parameters
    ----------
    name : str
        Name for :func:`~neurocompare.models.registry.load_model`. If its number of outputs is not the number of
        classes, its last linear layer is replaced.
    splits : Splits
        Images of the network's input size.
    recipe : Recipe
        Epochs, optimizer, learning rates and augmentation.
    seed : int
        Seed of the random start, the order of images, shifts and dropout.
    device : str
        ``auto``, ``cpu``, ``cuda``, ... Equal seeds give equal weights on the CPU, for one number of threads.
    folder : str, Path or None
        Folder for the state after the latest epoch; an interrupted training with the same recipe, images and seed
        continues from it. The state is removed at the end. None saves no state.
    keep_epochs : sequence of int
        Epochs whose weights are returned too; 0 is the random start.
    preprocessing : Preprocessing, mapping or None
        See :func:`~neurocompare.models.registry.load_model`.
    progress : callable or None
        Called with a description of the current step and the share done. None draws a bar in notebooks, and nothing
        elsewhere.

    Returns
    -------
    TrainedNetwork

    Raises
    ------
    InputError
        If the images do not fit the network, the loss is no longer a number, the state in ``folder`` belongs to
        another training or is damaged, or the disk is full (the last good state stays).
    """
    network = load_model(name, seed=seed, start="own", preprocessing=preprocessing, device=device)
    wanted, found = network.preprocessing.side, splits.train.images.shape[2]
    if found != wanted:
        raise InputError(f"{name} takes images of {wanted} pixels, but got {found}; read the data set at that size")
    if recipe.shift >= wanted:
        raise InputError(
            f"training: shift is {recipe.shift} pixels of {wanted}, which can move objects out of the image; give a "
            "smaller shift"
        )
    n_classes = len(splits.train.classes)
    with_classes(network.module, n_classes, seed=seed, where=name)
    loop = _Loop(network.module, network.preprocessing, splits, recipe, seed=seed, device=network.device)
    training = _training_id(name, splits, recipe, seed, keep_epochs)
    state_path = None if folder is None else Path(folder) / STATE_NAME
    first = 0 if state_path is None else loop.resume(state_path, training)
    if 0 in keep_epochs and not first:
        loop.keep(0)
    with progress_or_bar(progress, brief=BRIEF_SECONDS) as tell:
        for epoch in range(first, recipe.epochs):
            loop.run(epoch, tell)
            if epoch + 1 in keep_epochs:
                loop.keep(epoch + 1)
            if state_path is not None and epoch + 1 < recipe.epochs:
                loop.save(state_path, training)
    curve = loop.tested_curve()
    if state_path is not None:
        state_path.unlink(missing_ok=True)
    return TrainedNetwork(_on_cpu(network.module.state_dict()), curve, n_classes, loop.kept)


class _Loop:
    """A network in training: one epoch, and the state between epochs."""

    def __init__(
        self,
        module: nn.Module,
        preprocessing: Preprocessing,
        splits: Splits,
        recipe: Recipe,
        *,
        seed: int,
        device: torch.device,
    ):
        # Convolutions on CPUs are fastest with channels last.
        # torch's own types do not name `memory_format`.
        self.module = module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.splits, self.recipe, self.seed, self.device = splits, recipe, seed, device
        warn_of_emulation(recipe, device)
        self.preprocessing = preprocessing
        for part in module.modules():
            if isinstance(part, nn.Dropout) and recipe.dropout is not None:
                part.p = recipe.dropout
        self.weights = [weight for weight in module.parameters() if weight.requires_grad]
        self.optimizer = _optimizer(self.weights, recipe)
        self.rows: list[dict[str, float]] = []
        self.kept: dict[int, dict[str, torch.Tensor]] = {}

    def run(self, epoch: int, progress: Progress) -> None:
        """One pass over the training images, then evaluation on the validation images."""
        data, recipe = self.splits.train, self.recipe
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(len(data))
        starts = range(0, len(data), recipe.batch_size)
        total = torch.zeros(2, dtype=torch.float64)
        self.module.train()
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(int(rng.integers(2**62)))
            for step, start in enumerate(starts):
                chosen = order[start : start + recipe.batch_size]
                self._set_rate(recipe.rate(epoch, step / len(starts)))
                images = self._shown(_shifted(data.images[chosen], recipe.shift, rng))
                labels = torch.from_numpy(data.labels[chosen]).to(self.device)
                with self._precision():
                    scores = self.module(images)
                loss = cross_entropy(scores.float(), labels)
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                self.optimizer.step()
                n_right = (scores.argmax(1) == labels).sum()
                total += torch.stack([loss.detach() * len(chosen), n_right]).to("cpu", torch.float64)
                if not math.isfinite(total[0]):
                    raise InputError(
                        f"training: the loss is not finite in epoch {epoch + 1}; lower the learning rate "
                        f"(now {recipe.learning_rate})"
                    )
                if step % TELL_STEPS == 0:
                    progress(
                        f"epoch {epoch + 1} of {recipe.epochs}, loss {float(total[0]) / (start + len(chosen)):.3f}",
                        (epoch + step / len(starts)) / recipe.epochs,
                    )
        mean_loss, accuracy = (float(value) / len(data) for value in total)
        validation_loss, validation_accuracy = self.evaluate(self.splits.validation)
        values = (epoch + 1, mean_loss, accuracy, validation_loss, validation_accuracy)
        self.rows.append(dict(zip(TRAINING_COLUMNS, values, strict=False)))

    def evaluate(self, data: LabelledImages) -> tuple[float, float]:
        """Mean loss and accuracy (0..1) over images."""
        self.module.eval()
        loss, n_right = 0.0, 0
        with torch.inference_mode(), self._precision():
            for start in range(0, len(data), EVALUATION_BATCH):
                labels = torch.from_numpy(data.labels[start : start + EVALUATION_BATCH]).to(self.device)
                scores = self.module(self._shown(data.images[start : start + EVALUATION_BATCH])).float()
                loss += float(cross_entropy(scores, labels, reduction="sum"))
                n_right += int((scores.argmax(1) == labels).sum())
        return loss / len(data), n_right / len(data)

    def tested_curve(self) -> pd.DataFrame:
        """The learning curve, with the accuracy on the test images in its last row."""
        curve = pd.DataFrame(self.rows, columns=list(TRAINING_COLUMNS)).astype({"epoch": int})
        curve["test_accuracy"] = np.nan
        curve.loc[len(curve) - 1, "test_accuracy"] = self.evaluate(self.splits.test)[1]
        return curve

    def keep(self, epoch: int) -> None:
        """Store the weights after an epoch."""
        self.kept[epoch] = _on_cpu(self.module.state_dict())

    def save(self, path: Path, training: str) -> None:
        """Write everything that the next epoch needs, whole or not at all."""
        tensors = {f"module.{name}": value for name, value in self.module.state_dict().items()}
        for number, weight in enumerate(self.weights):
            held = self.optimizer.state.get(weight, {})
            tensors |= {f"optimizer.{number}.{name}": torch.as_tensor(value) for name, value in held.items()}
        for epoch, state in self.kept.items():
            tensors |= {f"kept.{epoch}.{name}": value for name, value in state.items()}
        write_state(path, _on_cpu(tensors), {"training": training, "rows": json.dumps(self.rows)})

    def resume(self, path: Path, training: str) -> int:
        """Load the state of an interrupted training, if there is one; returns the number of finished epochs."""
        if not path.exists():
            return 0
        tensors, about = read_state(path)
        if about.get("training") != training:
            raise InputError(
                f"{path} is the state of another training (other images, recipe, network, seed or version); name "
                "another folder, or remove the file to start again"
            )
        parts: dict[str, dict[str, torch.Tensor]] = {"module": {}, "optimizer": {}, "kept": {}}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        self.module.load_state_dict(parts["module"])
        for name, value in parts["optimizer"].items():
            number, _, rest = name.partition(".")
            weight = self.weights[int(number)]
            # Optimizers keep step counts on the CPU and everything else on the device of the weights.
            moved = value if rest == "step" else value.to(weight.device).contiguous(memory_format=_format_of(value))
            self.optimizer.state[weight][rest] = moved
        for name, value in parts["kept"].items():
            epoch, _, rest = name.partition(".")
            self.kept.setdefault(int(epoch), {})[rest] = value
        self.rows = json.loads(about["rows"])
        return len(self.rows)

    def _shown(self, images: np.ndarray) -> torch.Tensor:
        """Images as input tensor of the network."""
        # In workers, images are read-only memory, which torch warns of.
        own = images if images.flags.writeable else images.copy()
        shown = torch.from_numpy(own).to(self.device).contiguous(memory_format=torch.channels_last)
        return self.preprocessing.normalised(shown.to(torch.float32).div_(255))

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bfloat16")

    def _set_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate


def warn_of_emulation(recipe: Recipe, device: torch.device) -> None:
    """Log a warning where products in bfloat16 are emulated."""
    emulated = device.type == "cpu" and torch.backends.cpu.get_cpu_capability() in WITHOUT_BFLOAT16
    if recipe.precision == "bfloat16" and emulated:
        log.warning(
            "training in bfloat16, which this processor does not multiply: it is emulated and can be ten times slower "
            "than precision = 'float32' (another setting: weights come out similar, not equal)"
        )


def _optimizer(weights: list[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "adam":
        return torch.optim.Adam(weights, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    return torch.optim.SGD(
        weights,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.schedule == "one-cycle",
    )


def _shifted(images: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Images (n, 3, size, size), each shifted at random by up to ``most`` pixels, gray at the edges."""
    if not most:
        return images
    n, _, height, width = images.shape
    edge = ((0, 0), (0, 0), (most, most), (most, most))
    padded = np.pad(images, edge, constant_values=128)
    down, right = rng.integers(0, 2 * most + 1, (2, n))
    rows = (down[:, None] + np.arange(height))[:, None, :, None]
    columns = (right[:, None] + np.arange(width))[:, None, None, :]
    return padded[np.arange(n)[:, None, None, None], np.arange(3)[:, None, None], rows, columns]


def _on_cpu(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copies on the CPU, without shared memory."""
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()}


def _format_of(value: torch.Tensor) -> torch.memory_format:
    return torch.channels_last if value.dim() == 4 else torch.contiguous_format


def _training_id(name: str, splits: Splits, recipe: Recipe, seed: int, keep_epochs: Sequence[int]) -> str:
    """SHA-256 of everything that the weights depend on, except the code and the number of threads."""
    digest = hashlib.sha256()
    about = [name, dataclasses.asdict(recipe), seed, sorted(keep_epochs), TRAINING_VERSION, torch.__version__]
    digest.update(json.dumps(about).encode())
    for data in (splits.train, splits.validation):
        digest.update(np.ascontiguousarray(data.images).data)
        digest.update(np.ascontiguousarray(data.labels).data)
    return digest.hexdigest()
