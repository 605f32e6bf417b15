"""Labelled images for training: rendered or read from files, split, and transformed by a training regime.

Takes names and paths; gives arrays in memory. The mirrored regimes set what the task requires of reflections:
``mirror-same`` puts an image and its mirror image into one class, ``mirror-distinct`` into two.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from neural_data.errors import InputError, closest
from neural_data.stimuli import StimulusSet
from neurocompare.models.archives import ARCHIVES, fetch_archives, is_archive, read_archive
from neurocompare.models.regimes import find_regime
from neurocompare.progress_lines import Progress
from neurocompare.stimuli.image_sets import image_set, read_images
from neurocompare.stimuli.sets import TRAINING_IMAGES, TRAINING_SETS, face_views, training_set

__all__ = ["BUILT_IN_DATASETS", "LabelledImages", "Splits", "apply_regime", "read_dataset", "split_dataset"]

POSE_STEP_DEG = 22.5
POSES_DEG = tuple(POSE_STEP_DEG * step for step in range(-4, 5))
"""Classes of the set ``pose``: the view of the face, to the nearest of these."""
VIEWS_PER_POSE = 5
POSE_SEED = 100_000
"""Added to the seed, so that networks are trained on other faces than those of a study."""
HELD_OUT = 0.1
"""Share of the images (or exemplars) used for validation; and as many for the test, if there is no test set."""
BATCH = 1000


@dataclass(frozen=True)
class LabelledImages:
    """Images and their classes.

    Parameters
    ----------
    images : array of shape (n, 3, size, size), uint8
        Red, green and blue, 0..255.
    labels : array of shape (n,), int64
        Positions in ``classes``.
    classes : tuple of str
        Names of the classes.
    name : str
        Name of the set in tables.
    exemplars : array of shape (n,), or None
        The object that each image shows; images of one object go to the same split.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    name: str
    exemplars: np.ndarray | None = None

    def __post_init__(self):
        if len(self.images) != len(self.labels) or self.images.dtype != np.uint8:
            raise ValueError(f"{len(self.images)} {self.images.dtype} images, but {len(self.labels)} labels")
        if len(self.classes) < 2:
            raise InputError(f"{self.name} holds one class ({', '.join(self.classes)}); training needs at least two")
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise InputError(
                f"{self.name}: labels from {self.labels.min()} to {self.labels.max()} are out of range; number classes "
                "from 0"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, positions: np.ndarray) -> LabelledImages:
        """The images at these positions."""
        exemplars = None if self.exemplars is None else self.exemplars[positions]
        return dataclasses.replace(
            self, images=self.images[positions], labels=self.labels[positions], exemplars=exemplars
        )


@dataclass(frozen=True)
class Splits:
    """Images for training, for validation during training, and for the test of the trained network.

    Parameters
    ----------
    train, validation, test : LabelledImages
        With the same classes; images of one exemplar stand in one of them.
    """

    train: LabelledImages
    validation: LabelledImages
    test: LabelledImages


def read_dataset(
    source: str | Path,
    *,
    size: int = 32,
    n_images: int | None = None,
    seed: int = 0,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> tuple[LabelledImages, LabelledImages | None]:
    """Labelled images, and test images if the source has them.

    Parameters
    ----------
    source : str or Path
        A built-in set (:data:`BUILT_IN_DATASETS`); ``"cifar10"`` or ``"svhn"``, fetched from their authors; a Parquet
        with columns ``image`` and ``label``; a folder of class folders; CIFAR-10's binary archive or its folder;
        an SVHN ``.mat``.
    size : int
        Height and width that images are resized to, pixels.
    n_images : int or None
        Number of images to render (20,000 by default), or to draw at random, balanced over classes as far as possible;
        None takes all. All test images are always taken.
    seed : int
        Seed of rendering and of the draw.
    n_jobs : int
        Worker processes for rendering.
    progress : callable or None
        Called during downloads with the file's name and the share downloaded.

    Returns
    -------
    train : LabelledImages
        Images to train on.
    test : LabelledImages or None
        Test images of the source; None if it has none.

    Raises
    ------
    InputError
        If there is no such source, it is damaged, has only one class, or labels are missing.
    """
    if str(source) in BUILT_IN_DATASETS:
        made = BUILT_IN_DATASETS[str(source)](n_images or TRAINING_IMAGES, size=size, seed=seed, n_jobs=n_jobs)
        return made, None
    path = Path(source)
    if str(source) in ARCHIVES and not path.exists():
        found = fetch_archives(str(source), progress=progress)
        parts = read_archive(found[0])
        if len(found) > 1:
            parts["test"] = read_archive(found[1])["train"]
    elif not path.exists():
        known = [*BUILT_IN_DATASETS, *ARCHIVES]
        hint = "" if path.suffix or len(path.parts) > 1 else f": {closest(str(source), known)}"
        raise InputError(f"training images {str(source)!r}: no such file, folder or built-in set{hint}")
    elif is_archive(path):
        parts = read_archive(path)
    else:
        return _thinned(_from_stimuli(_labelled(path), size), n_images, seed), None
    sets = {part: _from_arrays(*content, size=size, name=path.name) for part, content in parts.items()}
    return _thinned(sets["train"], n_images, seed), sets.get("test")


def split_dataset(data: LabelledImages, test: LabelledImages | None = None, *, seed: int = 0) -> Splits:
    """Training, validation and test images, with every class in each.

    Parameters
    ----------
    data : LabelledImages
        A tenth of each class is for validation; another tenth for the test, if ``test`` is None. Images of one exemplar
        stay together, so that validation and test show new objects.
    test : LabelledImages or None
        Must have the classes of ``data``.
    seed : int
        Seed of the random splits.

    Returns
    -------
    Splits

    Raises
    ------
    InputError
        If a class has too few images (or exemplars) to be split, or the test set has other classes.
    """
    if test is not None and test.classes != data.classes:
        raise InputError(
            f"test images {test.name} have classes {list(test.classes)[:12]}, training images "
            f"{list(data.classes)[:12]}; they must be the same"
        )
    rng = np.random.default_rng([seed, 1])
    shares = [HELD_OUT] if test is not None else [HELD_OUT, HELD_OUT]
    parts: list[list[np.ndarray]] = [[] for _ in range(1 + len(shares))]
    for label, name in enumerate(data.classes):
        members = np.flatnonzero(data.labels == label)
        groups = members if data.exemplars is None else data.exemplars[members]
        units = rng.permutation(np.unique(groups))
        counts = [max(1, round(share * len(units))) for share in shares]
        if len(units) <= sum(counts):
            what = "images" if data.exemplars is None else "exemplars"
            raise InputError(
                f"{data.name}: class {name!r} has {len(units)} {what}, too few to hold some out for validation; add "
                "more"
            )
        bounds = np.cumsum([0, *counts])
        held_out = [units[start:stop] for start, stop in itertools.pairwise(bounds)]
        for part, chosen in zip(parts[1:], held_out, strict=True):
            part.append(members[np.isin(groups, chosen)])
        parts[0].append(members[np.isin(groups, units[bounds[-1] :])])
    train, validation, *held_out_test = (data.take(np.sort(np.concatenate(part))) for part in parts)
    return Splits(train, validation, held_out_test[0] if test is None else test)


def apply_regime(data: LabelledImages, regime: str, *, seed: int = 0) -> LabelledImages:
    """The images and labels under a training regime.

    Parameters
    ----------
    data : LabelledImages
        Images and their labels, as they are without a regime.
    regime : str
        One of :data:`~neurocompare.models.regimes.REGIMES`. ``mirror-same``: a random half of each class is flipped
        left to right and keeps its labels. ``mirror-distinct``: the same half is flipped and gets new classes. Other
        regimes: images unchanged.
    seed : int
        Seed of the random halves, which are the same in both mirrored regimes, so that they show the same images.

    Returns
    -------
    LabelledImages
        In the same order.

    Raises
    ------
    InputError
        If there is no such regime.
    """
    chosen = find_regime(regime)
    if not chosen.mirrors:
        return data
    flipped = np.zeros(len(data), dtype=bool)
    rng = np.random.default_rng([seed, 2])
    for label in range(len(data.classes)):
        members = rng.permutation(np.flatnonzero(data.labels == label))
        flipped[members[: len(members) // 2]] = True
    images, labels, classes = chosen.show(data.images, data.labels, data.classes, flipped)
    return dataclasses.replace(data, images=images, labels=labels, classes=classes, name=f"{data.name}, {regime}")


def _rendered(kind: str, n_images: int, *, size: int, seed: int, n_jobs: int) -> LabelledImages:
    """Objects labelled by their classes, see :func:`neurocompare.stimuli.sets.training_set`."""
    stimuli = training_set(kind, n_images, size=size, seed=seed, n_jobs=n_jobs)
    return _from_stimuli(stimuli, size, exemplars=stimuli.table["identity"].to_numpy(str))


def _poses(n_images: int, *, size: int, seed: int, n_jobs: int) -> LabelledImages:
    """Faces in views from -97.5 to 97.5 degrees, labelled by the nearest of nine views, as many of each.

    Five views to a class, 3.75 degrees apart; faces are centred in the image.
    """
    half = POSE_STEP_DEG / 2
    offsets = np.linspace(-half, half, VIEWS_PER_POSE + 2)[1:-1]
    azimuths = (np.array(POSES_DEG)[:, None] + offsets).ravel()
    n_faces = -(-n_images // len(azimuths))
    stimuli = face_views(n_faces, azimuths.tolist(), size=size, seed=POSE_SEED + seed, n_jobs=n_jobs)
    nearest = np.rint(stimuli.table["azimuth_deg"].to_numpy(float) / POSE_STEP_DEG).astype(int)
    classes = tuple(f"{pose:g} degrees" for pose in POSES_DEG)
    exemplars = stimuli.table["identity"].to_numpy(str)
    data = LabelledImages(_resized(stimuli, size), nearest + len(POSES_DEG) // 2, classes, "poses", exemplars)
    return _thinned(data, n_images, seed)


BUILT_IN_DATASETS: dict[str, Callable[..., LabelledImages]] = {
    **{kind: partial(_rendered, kind) for kind in TRAINING_SETS},
    "pose": _poses,
}
"""Rendered sets by name: ``(n_images, size=, seed=, n_jobs=)`` gives the images."""


def _labelled(path: Path) -> StimulusSet:
    """Labelled images of a folder of class folders or of a Parquet file."""
    stimuli = read_images(path)
    categories = stimuli.table["category"]
    if path.is_dir():
        if (categories == "").any():
            loose = stimuli.table.index[categories == ""][0]
            raise InputError(
                f"{path}: {loose} is not in the folder of a class; put the images of each class in a folder"
            )
        return stimuli
    wrong = ~categories.astype(str).str.fullmatch(r"\d+|[^\d\s\-].*")
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"{path}: row {row} has label {categories.iloc[row]!r}, out of range or missing; labels are whole numbers "
            "from 0, or names"
        )
    return stimuli


def _from_stimuli(stimuli: StimulusSet, size: int, *, exemplars: np.ndarray | None = None) -> LabelledImages:
    names = stimuli.table["category"].astype(str).to_numpy()
    classes = sorted(set(names), key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0, name))
    place = {name: position for position, name in enumerate(classes)}
    labels = np.array([place[name] for name in names], np.int64)
    return LabelledImages(_resized(stimuli, size), labels, tuple(classes), stimuli.name, exemplars)


def _resized(stimuli: StimulusSet, size: int) -> np.ndarray:
    """All images (n, 3, size, size), uint8."""
    images = np.empty((len(stimuli), 3, size, size), np.uint8)
    start = 0
    for batch in stimuli.batches(BATCH, size):
        images[start : start + len(batch)] = np.rint(255 * batch)
        start += len(batch)
    return images


def _from_arrays(
    pixels: np.ndarray, labels: np.ndarray, classes: Sequence[str], *, size: int, name: str
) -> LabelledImages:
    if pixels.shape[1:3] == (size, size):
        return LabelledImages(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)), labels, tuple(classes), name)
    stimuli = image_set(np.ascontiguousarray(pixels), name=name)
    return LabelledImages(_resized(stimuli, size), labels, tuple(classes), name)


def _thinned(data: LabelledImages, n_images: int | None, seed: int) -> LabelledImages:
    """A random subset of ``n_images``, balanced over classes as far as possible."""
    if n_images is None or n_images >= len(data):
        return data
    rng = np.random.default_rng([seed, 3])
    order = rng.permutation(len(data))
    rank = np.empty(len(data), int)
    for label in range(len(data.classes)):
        members = order[data.labels[order] == label]
        rank[members] = np.arange(len(members))
    chosen = np.argsort(rank * len(data) + np.argsort(order), kind="stable")[:n_images]
    return data.take(np.sort(chosen))
