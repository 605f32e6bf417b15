"""Sets of images without views: noise, and photographs from a folder or a Parquet file.

For measures that need no particular stimuli, such as equivariance. Every image is its own identity, at azimuth 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from neural_data.errors import InputError, closest
from neural_data.formats.bounds import LARGEST_CLAIM, checked_file, exists, one_line, visible_files
from neural_data.images import decode_image, unit_range
from neural_data.naming import IMAGE_SUFFIXES
from neural_data.stimuli import StimulusSet

__all__ = ["image_set", "noise_images", "read_images"]

ROWS_AT_ONCE = 64
"""Rows of a Parquet file that are read at a time."""


def image_set(pixels: np.ndarray, *, categories: Sequence[str] | None = None, name: str) -> StimulusSet:
    """Images in memory as a stimulus set; each is its own identity.

    Parameters
    ----------
    pixels : array of shape (n_images, height, width, 3) or (n_images, height, width), uint8
        The images, in colour or gray.
    categories : sequence of str or None
        Class of each image.
    name : str
        Name of the set in tables.

    Returns
    -------
    StimulusSet
        With ids ``image000000``, ``image000001``, ...
    """
    ids = [f"image{number:06d}" for number in range(len(pixels))]
    return StimulusSet(_table(ids, ids, categories), pixels=pixels, name=name)


def noise_images(n_images: int, size: int = 224, *, colour: bool = True, rng: np.random.Generator) -> StimulusSet:
    """White noise: pixels independent and uniform from black to white.

    Parameters
    ----------
    n_images : int
        Number of images.
    size : int
        Height and width, pixels.
    colour : bool
        Whether the three channels are drawn independently.
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
    """Photographs, or any other images, from a folder or a Parquet file.

    Parameters
    ----------
    path : str or Path
        A folder, read with its subfolders (classes); or a Parquet file with a column ``image`` that holds encoded
        images (``bytes``, or a struct with ``bytes``), as public data hubs store them.
    n_images : int or None
        Number of images, drawn at random; None takes all.
    rng : numpy.random.Generator or None
        Source of the draw; required with ``n_images``.

    Returns
    -------
    StimulusSet
        In the order of file names or rows, ``category`` is the name of the subfolder or the ``label``. Files of a
        folder are read when needed. Images of a Parquet file are decoded at once and must be of one size.

    Raises
    ------
    InputError
        If there is no such folder or file, it holds too few images, or one cannot be read.
    """
    path = Path(path)
    if not exists(path):
        raise InputError(f"{path}: is neither a folder of images nor a Parquet file; name one that exists")
    if path.is_dir():
        files = visible_files(path, suffixes=IMAGE_SUFFIXES, deep=True)
        chosen = _choice(len(files), n_images, rng, path)
        names = [files[position] for position in chosen]
        categories = [name.rpartition("/")[0] for name in names]
        ids = [name.replace("/", "_") for name in names]
        ids = ids if len(set(ids)) == len(ids) else names
        return StimulusSet(_table(ids, names, categories), files=path, name=path.name)
    checked_file(path)
    if path.suffix != ".parquet":
        raise InputError(f"{path}: is neither a folder of images nor a Parquet file; name one that exists")
    chosen, pixels, labels = _from_parquet(path, n_images, rng)
    names = [f"row{row:06d}" for row in chosen]
    return StimulusSet(_table(names, names, labels), pixels=pixels, name=path.absolute().parent.name)


def _from_parquet(
    path: Path, n_images: int | None, rng: np.random.Generator | None
) -> tuple[list[int], np.ndarray, list[str]]:
    """Selected rows, their images and labels; the file is read in blocks of rows."""
    pixels: np.ndarray | None = None
    labels, place = [], 0
    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        if "image" not in names:
            raise InputError(f"{path} has no column 'image': {closest('image', names)}")
        chosen = _choice(file.metadata.num_rows, n_images, rng, path)
        wanted = set(chosen)
        columns = [name for name in ("image", "label") if name in names]
        row = 0
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=columns):
            here = [k for k in range(batch.num_rows) if row + k in wanted]
            row += batch.num_rows
            for k in here:
                number = row - batch.num_rows + k
                image = _decoded(batch.column("image")[k].as_py(), f"{path}: row {number}")
                if pixels is None:
                    if image.nbytes * len(chosen) > LARGEST_CLAIM:
                        raise InputError(
                            f"{path}: {len(chosen):,} images of {image.shape[1]} x {image.shape[0]} pixels take more "
                            f"than {LARGEST_CLAIM / 1e9:g} GB; choose fewer, or save them as files in a folder"
                        )
                    pixels = np.empty((len(chosen), *image.shape), dtype=image.dtype)
                if image.shape != pixels.shape[1:] or image.dtype != pixels.dtype:
                    raise InputError(
                        f"{path} holds images of several sizes or depths (row {number} differs from row {chosen[0]}); "
                        "save them as files in a folder instead"
                    )
                pixels[place] = image
                place += 1
                label = batch.column("label")[k].as_py() if "label" in columns else None
                labels.append("" if label is None else str(label))
    except (OSError, pa.ArrowException, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not readable as a Parquet file ({one_line(error)})") from error
    if pixels is None:
        raise InputError(f"{path} holds no image")
    return chosen, pixels, labels


def _choice(n_found: int, n_images: int | None, rng: np.random.Generator | None, path: Path) -> list[int]:
    if n_found < max(n_images or 1, 1):
        raise InputError(f"{path} has {n_found} images, but {n_images or 1} are wanted; ask for fewer")
    if n_images is None:
        return list(range(n_found))
    if rng is None:
        raise InputError("a random choice of images needs rng")
    return sorted(rng.choice(n_found, n_images, replace=False).tolist())


def _decoded(content: object, where: str) -> np.ndarray:
    """Pixels (height, width, 3) of one encoded image; uint8, or float32 of images with more than 8 bits."""
    encoded = content.get("bytes") if isinstance(content, dict) else content
    if not isinstance(encoded, bytes):
        raise InputError(f"{where} is not a readable image")
    pixels = decode_image(encoded, where).pixels
    pixels = pixels if pixels.dtype == np.uint8 else unit_range(pixels)
    return pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)


def _table(
    ids: Sequence[str], files: Sequence[str] | None = None, categories: Sequence[str] | None = None
) -> pd.DataFrame:
    """Stimulus table in which every image is its own identity."""
    return pd.DataFrame(
        {
            "filename": list(ids if files is None else files),
            "category": "" if categories is None else list(categories),
            "identity": list(ids),
            "azimuth_deg": 0.0,
        },
        index=pd.Index(ids, name="stimulus_id"),
    )
