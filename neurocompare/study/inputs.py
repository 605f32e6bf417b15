"""Detects changes of a study's input files during a run, so that cached results belong to the checksummed files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from neural_data.errors import InputError
from neural_data.stimuli import read_stimuli
from neurocompare.measures.settings import PathMark
from neurocompare.models.registry import is_import_path
from neurocompare.study.grammar import Model, Study, load_study, marks_of
from neurocompare.study.repeats import Contents, checksums

__all__ = ["Inputs", "ListedInputs"]

MOST_FILES = 200_000
State = tuple[int, int, int]
"""Time of last change (ns), size (bytes) and inode of a file."""


@dataclass
class Inputs:
    """Files and their states when they were first recorded.

    Parameters
    ----------
    states : dict of pathlib.Path to tuple or None
        State of each file; None: it did not exist.
    """

    states: dict[Path, State | None] = field(default_factory=dict)

    def look_at(self, settings: Study) -> None:
        """Record the files that a study names, the images beside its stimuli, and the code of networks and transforms.

        Code is known only after import: a second call adds it and keeps the states recorded before.
        """
        for path in (*_named(settings), *_beside(settings), *_code(settings)):
            for file in _files(path):
                if file not in self.states and len(self.states) < MOST_FILES:
                    self.states[file] = _state(file)

    def refuse_changes(self) -> None:
        """Raise if a file has changed since it was recorded.

        Raises
        ------
        InputError
            Names the first changed file.
        """
        for path, before in self.states.items():
            if _state(path) != before:
                raise InputError(
                    f"{path} changed while the study ran, so its results would mix two versions; run again "
                    "when nothing writes to it. Steps finished before are kept"
                )


@dataclass(frozen=True)
class ListedInputs:
    """What a study reads, with checksums from before its run.

    Parameters
    ----------
    seen : Inputs
        The same files, with their states.
    contents : mapping or None
        Their checksums; None if they cannot be listed, or are too many.
    """

    seen: Inputs
    contents: Contents | None

    @classmethod
    def of(cls, study: str | Path, overrides: Mapping[str, Any]) -> ListedInputs:
        """Inputs of a study, as :func:`~neurocompare.study.runner.run_study` takes it."""
        settings, seen = load_study(study, overrides), Inputs()
        seen.look_at(settings)
        places = _listed(settings)
        return cls(seen, None if places is None else checksums(places))

    def unchanged(self) -> Contents | None:
        """The checksums, if no file has changed since; else None."""
        try:
            self.seen.refuse_changes()
        except InputError:
            return None
        return self.contents


def _listed(settings: Study) -> list[Path] | None:
    """All files and folders that a study reads, existing or not; None if they cannot be listed."""
    if any(":" in (model.name or "") or _transform_of(model) for model in settings.models):
        return None  # networks and transforms of other packages read files of their own
    named, beside = list(_named(settings)), list(_beside(settings))
    if any(path.suffix == ".json" for path in named):
        return None  # the index of a checkpoint in several files
    if beside and settings.stimuli.images is None and _place_of_images(settings) not in beside:
        return None  # images among other files
    return [*named, *beside]


def _place_of_images(settings: Study) -> Path | None:
    """Where the images of the study's own stimuli are read from; None if they cannot be."""
    try:
        return read_stimuli(settings.stimuli.source, columns=settings.stimuli.columns).files
    except InputError:
        return None


def _named(settings: BaseModel) -> Iterator[Path]:
    """Paths in a study; ``{seed}`` stands for each seed."""
    seeds = getattr(settings, "seeds", None) or [""]
    for name, about in type(settings).model_fields.items():
        value = getattr(settings, name)
        for part in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(part, BaseModel):
                yield from _named(part)
            elif isinstance(part, str) and marks_of(about, PathMark):
                yield from {Path(part.replace("{seed}", str(seed))) for seed in seeds}


def _beside(settings: Study) -> Iterator[Path]:
    """Possible places of the images of the study's own stimuli."""
    table = Path(settings.stimuli.source)
    if table.is_file():
        yield from (table.parent / "images", table.parent / "images.zip", table.with_suffix(".zip"))


def _code(settings: Study) -> Iterator[Path]:
    """Files of imported modules that make networks or transform their images."""
    for model in settings.models:
        for name in filter(is_import_path, (model.name, _transform_of(model))):
            file = getattr(sys.modules.get(name.partition(":")[0]), "__file__", None)
            if file:
                yield Path(file)


def _transform_of(model: Model) -> str:
    """Import path of what is done to a model's images; empty if the package does it."""
    return (model.preprocessing.transform if model.preprocessing else None) or ""


def _files(path: Path) -> Iterator[Path]:
    try:
        if path.is_dir():
            for place, _, names in os.walk(path):
                yield from (Path(place, name) for name in names)
        elif path.is_file():
            yield path
    except OSError:
        return


def _state(path: Path) -> State | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size, about.st_ino
