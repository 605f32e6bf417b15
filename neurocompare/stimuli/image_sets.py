"""Images without views: noise, and photographs of a folder or of a Parquet file.

For measures that any image will do for, such as equivariance. Every image is an identity of its own, at azimuth 0.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, UnidentifiedImageError

from neural_data.errors import InputError, closest
from neural_data.stimuli import IMAGE_FORMATS, StimulusSet

__all__ = ["image_set", "noise_images", "read_images"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".ppm")


def image_set(pixels: np.ndarray, *, categories: Sequence[str] | None = None, name: str) -> StimulusSet:
    """Images in memory as a stimulus set, each an identity of its own.

    Parameters
    ----------
    pixels : array of shape (n_images, height, width, 3) or (n_images, height, width), uint8
    categories : sequence of str or None
        Class of each image.
    name : str
        What tables call the set.

    Returns
    -------
    StimulusSet
        With ids ``image000000``, ``image000001``, ...
    """
    ids = [f"image{number:06d}" for number in range(len(pixels))]
    return StimulusSet(_table(ids, ids, categories), pixels=pixels, name=name)


def noise_images(n_images: int, size: int = 224, *, colour: bool = True, rng: np.random.Generator) -> StimulusSet:
    """White noise: every pixel drawn by itself, uniformly from black to white.

    Parameters
    ----------
    n_images : int
    size : int
        Height and width, pixels.
    colour : bool
        Whether the three channels are drawn by themselves.
    rng : numpy.random.Generator
        Source of the pixels.

    Returns
    -------
    StimulusSet
        In memory, named ``noise``.
    """
    shape = (n_images, size, size, 3) if colour else (n_images, size, size)
    pixels = rng.integers(0, 256, shape, dtype=np.uint8)
    return StimulusSet(_table([f"noise{number:05d}" for number in range(n_images)]), pixels=pixels, name="noise")


def read_images(
    path: str | Path, *, n_images: int | None = None, rng: np.random.Generator | None = None
) -> StimulusSet:
    """Photographs, or any other images, of a folder or a Parquet file.

    Parameters
    ----------
    path : str or Path
        A folder, whose subfolders (classes) are read too; or a Parquet file with a column ``image`` that holds encoded
        images (``bytes``, or a struct with ``bytes``), as public data hubs store them.
    n_images : int or None
        How many to take at random; None takes all.
    rng : numpy.random.Generator or None
        Source of the choice; needed with ``n_images``.

    Returns
    -------
    StimulusSet
        In the order of file names or rows, ``category`` the name of the subfolder or the ``label``. Files of a folder
        are read when asked for. Images of a Parquet file are decoded at once and must be of one size.

    Raises
    ------
    InputError
        If there is no such folder or file, it holds no (or too few) images, or one cannot be read.
    """
    path = Path(path)
    if n_images is not None and rng is None:
        raise ValueError("a random choice of images needs rng")
    if path.is_dir():
        files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
        chosen = _choice(len(files), n_images, rng, path)
        names = [files[position] for position in chosen]
        categories = [name.rpartition("/")[0] for name in names]
        ids = [name.replace("/", "_") for name in names]
        return StimulusSet(_table(ids, names, categories), files=path, name=path.name)
    if path.suffix != ".parquet" or not path.is_file():
        raise InputError(f"{path}: no folder of images and no Parquet file; name one that exists")
    rows = _parquet_rows(path)
    chosen = _choice(rows.num_rows, n_images, rng, path)
    rows = rows.take(pa.array(chosen))
    encoded = rows.column("image").to_pylist()
    labels = rows.column("label").to_pylist() if "label" in rows.column_names else [""] * len(chosen)
    pixels = [
        _decoded(part["bytes"] if isinstance(part, dict) else part, f"{path}: row {row}")
        for row, part in zip(chosen, encoded, strict=True)
    ]
    sizes = {image.shape for image in pixels}
    if len(sizes) > 1:
        raise InputError(f"{path} holds images of {len(sizes)} sizes; save them as files in a folder instead")
    names = [f"row{row:06d}" for row in chosen]
    return StimulusSet(
        _table(names, names, ["" if label is None else str(label) for label in labels]),
        pixels=np.stack(pixels),
        name=path.parent.name,
    )


def _choice(n_found: int, n_images: int | None, rng: np.random.Generator | None, path: Path) -> list[int]:
    if n_found < max(n_images or 1, 1):
        raise InputError(f"{path} holds {n_found} images and {n_images or 1} are wanted; ask for fewer")
    return list(range(n_found)) if n_images is None else sorted(rng.choice(n_found, n_images, replace=False).tolist())


def _parquet_rows(path: Path) -> pa.Table:
    try:
        names = pq.read_schema(path).names
        if "image" not in names:
            raise InputError(f"{path} has no column 'image': {closest('image', names)}")
        return pq.read_table(path, columns=[name for name in ("image", "label") if name in names])
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: not readable as a Parquet file ({error})") from error


def _decoded(content: object, where: str) -> np.ndarray:
    """uint8 (height, width, 3) of one encoded image."""
    try:
        with Image.open(io.BytesIO(content), formats=IMAGE_FORMATS) as image:
            return np.asarray(image.convert("RGB"))
    except (TypeError, ValueError, OSError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError(f"{where} is not a readable image ({error})") from error


def _table(
    ids: Sequence[str], files: Sequence[str] | None = None, categories: Sequence[str] | None = None
) -> pd.DataFrame:
    """Stimulus table in which every image is an identity of its own."""
    return pd.DataFrame(
        {
            "filename": list(ids if files is None else files),
            "category": "" if categories is None else list(categories),
            "identity": list(ids),
            "azimuth_deg": 0.0,
        },
        index=pd.Index(ids, name="stimulus_id"),
    )
