"""Renders stimulus sets into folders, and reads folders of images without a table.

A rendered folder holds ``stimulus_set.csv``, ``images/``, ``contact_sheet.png`` and ``provenance.json``. Images are
written one by one, each whole or not at all, and the table last: a folder with a table is complete, and a rendering
that was stopped continues where it was.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from neural_data import StimulusSet, read_stimuli
from neural_data.errors import InputError
from neural_data.formats.bounds import is_partial, whole_file
from neural_data.resizing import Resizing
from neurocompare.stimuli.sets import (
    FOREGROUND_MEAN,
    FOREGROUND_SD,
    TRAINING_IMAGES,
    ImageProgress,
    SetPlan,
    TrainingImages,
    plan_set,
    render_plan,
)

__all__ = ["contact_sheet", "read_folder", "render_set"]

NAMES_PX, AZIMUTHS_PX, TEXT_PX = 84, 18, 11
"""Of a contact sheet: width of the names at its left, height of the azimuths above, size of both."""


def render_set(
    kind: str,
    out: str | Path,
    *,
    seed: int = 0,
    size: int | None = None,
    n_exemplars: int | None = None,
    training: str = "symmetric",
    n: int | None = None,
    n_jobs: int = 1,
    progress: ImageProgress | None = None,
) -> StimulusSet:
    """Render a stimulus set into a folder.

    Parameters
    ----------
    kind : str
        One of :data:`~neurocompare.stimuli.sets.SETS`: ``objects``, ``faces`` or ``training``.
    out : str or Path
        Folder, created if it does not exist. A stopped rendering of the same set is continued; a complete one is read
        and returned.
    seed : int
        Equal seeds give equal exemplars.
    size : int or None
        Height and width, pixels; None takes the default of ``kind``.
    n_exemplars : int or None
        Exemplars per category; None takes the default of ``kind``.
    training : {"symmetric", "chiral", "objects"}
        Which training set, for ``kind="training"``.
    n : int or None
        Images of a training set, 20,000 by default.
    n_jobs : int
        Worker processes. The files are the same for any number.
    progress : callable or None
        Called with the number of images done and their total.

    Returns
    -------
    StimulusSet
        As read from the folder.

    Raises
    ------
    InputError
        If an argument is not valid, or the folder cannot be written or holds other files.
    """
    out = Path(out)
    plan = plan_set(
        kind,
        size=size,
        seed=seed,
        n_exemplars=n_exemplars,
        training=TrainingImages(training, TRAINING_IMAGES if n is None else n),
    )
    table = plan.table()
    provenance = _provenance(plan, kind, seed, table)
    csv = out / "stimulus_set.csv"
    _claim(out, provenance)
    if not csv.exists():
        _write_images(plan, table, out / "images", n_jobs, progress)
        pictures = StimulusSet(table, files=out / "images", name=plan.name)
        _write(out / "contact_sheet.png", _png(contact_sheet(pictures)))
        _write(csv, table.to_csv(index_label="stimulus_id", lineterminator="\n").encode())
    elif progress is not None:
        progress(len(table), len(table))
    return read_stimuli(csv)


def _provenance(plan: SetPlan, kind: str, seed: int, table: pd.DataFrame) -> dict:
    digest = hashlib.sha256()
    for exemplar in plan.exemplars:
        digest.update(exemplar.measures.tobytes())
    return {
        "set": plan.name,
        "kind": kind,
        "seed": seed,
        "size": plan.size,
        "n_images": len(table),
        "n_exemplars": len(plan.exemplars),
        "background": 0.5,
        "foreground_mean": FOREGROUND_MEAN,
        "foreground_sd": FOREGROUND_SD,
        "measures_sha256": digest.hexdigest(),
        "table_sha256": hashlib.sha256(table.to_csv(float_format="%.12g").encode()).hexdigest(),
        "versions": {name: version(name) for name in ("numpy", "scipy", "embreex", "pillow")},
        "source": "rendered by neurocompare.stimuli; shapes are generated, no scanned or licensed material is used",
    }


def _claim(out: Path, provenance: dict) -> None:
    """Create the folder for this set, or check that it belongs to it, before anything is rendered."""
    path = out / "provenance.json"
    content = (json.dumps(provenance, indent=2) + "\n").encode()
    try:
        if path.is_file():
            if path.read_bytes() != content:
                raise InputError(
                    f"{out} has another stimulus set (see its provenance.json); choose an empty folder or remove it"
                )
        elif out.is_dir() and any(out.iterdir()):
            raise InputError(f"{out} is not empty and was not written by neurocompare; choose an empty or a new folder")
        else:
            out.mkdir(parents=True, exist_ok=True)
            _write(path, content)
        (out / "images").mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}); choose another folder") from error


def _write_images(
    plan: SetPlan, table: pd.DataFrame, folder: Path, n_jobs: int, progress: ImageProgress | None
) -> None:
    counts = [len(e.azimuths_deg) for e in plan.exemplars]
    starts = np.cumsum([0, *counts])
    names = table["filename"].to_numpy()
    there = {path.name for path in folder.iterdir()}
    for name in filter(is_partial, there):
        (folder / name).unlink(missing_ok=True)
    complete = frozenset(k for k in range(len(counts)) if there.issuperset(names[starts[k] : starts[k + 1]]))
    done = sum(counts[k] for k in complete)
    if progress is not None:
        progress(done, len(names))
    for k, images in render_plan(plan, n_jobs=n_jobs, skip=complete):
        for name, image in zip(names[starts[k] : starts[k + 1]], images, strict=True):
            _write(folder / name, _png(Image.fromarray(image)))
        done += counts[k]
        if progress is not None:
            progress(done, len(names))


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as partial:
        partial.write_bytes(content)


def contact_sheet(
    stimuli: StimulusSet, *, thumbnail: int = 72, rows_per_category: int = 4, columns: int = 9
) -> Image.Image:
    """Overview of a set: identities as rows, views as columns, azimuths above.

    Parameters
    ----------
    stimuli : StimulusSet
        The set, with its images.
    thumbnail : int
        Height and width of each picture, pixels.
    rows_per_category : int
        Identities shown per category, from the first.
    columns : int
        Views shown per identity, evenly spaced among its views.

    Returns
    -------
    PIL.Image.Image
        A column whose views differ in azimuth between rows has no azimuth above it.
    """
    table = stimuli.table.assign(place=np.arange(len(stimuli)))
    rows = []
    for _, members in table.groupby("category", sort=False):
        for identity in members["identity"].drop_duplicates()[:rows_per_category]:
            own = members[members["identity"] == identity].sort_values(["elevation_deg", "azimuth_deg"])
            shown = np.linspace(0, len(own) - 1, min(columns, len(own))).round().astype(int)
            rows.append((identity, own["place"].to_numpy()[shown]))
    widest = max(len(places) for _, places in rows)
    size = (NAMES_PX + widest * thumbnail, AZIMUTHS_PX + len(rows) * thumbnail)
    sheet, font = Image.new("RGB", size, "white"), ImageFont.load_default(size=TEXT_PX)
    draw, whole = ImageDraw.Draw(sheet), Resizing((thumbnail, thumbnail), aspect="pad")
    azimuths = table["azimuth_deg"].to_numpy()
    for c in range(widest):
        above = np.unique([azimuths[places[c]] for _, places in rows if c < len(places)])
        if len(above) == 1:
            middle = NAMES_PX + (c + 0.5) * thumbnail
            draw.text((middle, AZIMUTHS_PX / 2), f"{above[0]:g}\N{DEGREE SIGN}", fill="black", font=font, anchor="mm")
    for r, (identity, places) in enumerate(rows):
        name = str(identity)
        while draw.textlength(name, font=font) > NAMES_PX - 8:
            name = name[:-1]
        top = AZIMUTHS_PX + r * thumbnail
        draw.text((4, top + thumbnail / 2), name, fill="black", font=font, anchor="lm")
        for c, image in enumerate(stimuli.take(places).images(whole)):
            picture = Image.fromarray(np.rint(image.transpose(1, 2, 0) * 255).astype(np.uint8))
            sheet.paste(picture, (NAMES_PX + c * thumbnail, top))
    return sheet


def read_folder(folder: str | Path, pattern: str, *, category: str = "", name: str | None = None) -> StimulusSet:
    """Stimulus set from a folder of images, with labels read from the file names.

    Parameters
    ----------
    folder : str or Path
        Holds the images, in subfolders if the pattern has some.
    pattern : str
        Path of an image inside the folder, with fields in braces: ``"{category}/{identity}_{azimuth_deg}.png"``.
        ``identity``, ``azimuth_deg``, ``category``, ``elevation_deg`` and any other name may occur; without
        identities every image is its own identity; without azimuths all are 0.
        Fields of angles hold numbers; ``{azimuth_deg:L45=-45,R45=45,front=0}`` translates words to degrees.
        ``*`` matches any characters within one name.
    category : str
        Category of all images, if the pattern has no such field.
    name : str or None
        Name of the set; None takes the folder's name.

    Returns
    -------
    StimulusSet
        Sorted by file name; ``stimulus_id`` is the path without its suffix, slashes as underscores.

    Raises
    ------
    InputError
        If the folder is missing, the pattern lacks a field or matches no image.

    Examples
    --------
    >>> read_folder("photos", "{identity}_{azimuth_deg:left=-90,front=0,right=90}.jpg")  # doctest: +SKIP
    """
    stimuli = read_stimuli(folder, pattern=pattern)
    if category and set(stimuli.table["category"]) == {""}:
        stimuli = dataclasses.replace(stimuli, table=stimuli.table.assign(category=category))
    return stimuli if name is None else dataclasses.replace(stimuli, name=name)
