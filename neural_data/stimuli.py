"""What was shown: a table of stimuli and their images.

On disk a stimulus set is what Brain-Score keeps: a CSV with one row a stimulus and a folder (or zip) of images.
In memory it is a :class:`StimulusSet`; its images are read only when they are asked for, so that a set of any
size can be streamed in batches.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import math
import re
import types
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

from neural_data.errors import InputError, closest
from neural_data.resizing import Resizing, as_resizing, resized

__all__ = ["StimulusSet", "read_stimuli", "write_stimuli"]

REQUIRED_COLUMNS = ("stimulus_id", "filename", "identity", "azimuth_deg")
OPTIONAL_COLUMNS = {"category": "", "elevation_deg": 0.0}
LEGACY_COLUMNS = {"image_id": "stimulus_id", "image_file_name": "filename"}
IMAGE_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP", "PPM")
MAX_PIXELS = 50_000_000
"""Larger images are refused: a few bytes of a hostile file can unpack to gigabytes."""
ALPHA_BACKGROUND = 0.5
"""Transparent pixels are shown on this gray (0 black, 1 white)."""
HELD_MB = 256.0
"""Images that take more memory than this are read again each time they are shown."""
Size = int | tuple[int, int] | Resizing
PREPARED_TOGETHER = 64
"""Images that are made at a time, so that hardly more memory is taken than what is kept."""


@dataclass(frozen=True)
class StimulusSet:
    """Stimuli and their images, in one order.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a stimulus, indexed by unique ``stimulus_id`` (str). Columns ``filename, category, identity`` (str),
        ``azimuth_deg, elevation_deg`` (float; azimuth 0 is frontal, below 0 the nose points to the viewer's left)
        and any others.
    files : pathlib.Path or None
        Folder or zip in which ``filename`` is found; None where ``pixels`` are given.
    pixels : array of shape (n_stimuli, height, width) or (n_stimuli, height, width, 3), uint8, or None
        Images in memory, in the order of ``table``.
    transforms : tuple of callables
        Applied in turn to the images of one batch, float32 ``(n, 3, height, width)`` in 0..1, before they are
        resized. Each must treat images one by one.
    name : str
        What tables and reports call the set.
    prepared : mapping of size to float32 array of shape (n_stimuli, 3, height, width)
        What ``images(size)`` gives, for sizes at which it is kept; see :meth:`prepare`.

    Examples
    --------
    >>> stimuli = read_stimuli("faces/stimulus_set.csv").yaw_views()  # doctest: +SKIP
    >>> stimuli.images(size=64).shape  # doctest: +SKIP
    (125, 3, 64, 64)
    """

    table: pd.DataFrame
    files: Path | None = None
    pixels: np.ndarray | None = None
    transforms: tuple[Callable[[np.ndarray], np.ndarray], ...] = ()
    name: str = "stimuli"
    prepared: Mapping[Size, np.ndarray] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self):
        if (self.files is None) == (self.pixels is None):
            raise ValueError("a StimulusSet takes either files or pixels: exactly one of them")
        if self.pixels is not None and len(self.pixels) != len(self.table):
            raise ValueError(f"pixels holds {len(self.pixels)} images and the table {len(self.table)} stimuli")
        table = _checked_table(self.table.reset_index(names="stimulus_id"), where=f"stimulus set {self.name!r}")
        object.__setattr__(self, "table", table.set_index("stimulus_id"))

    def __len__(self) -> int:
        return len(self.table)

    @property
    def ids(self) -> list[str]:
        """Stimulus ids in order."""
        return self.table.index.tolist()

    @property
    def identities(self) -> list[str]:
        """Distinct identities in order of first appearance."""
        return self.table["identity"].drop_duplicates().tolist()

    def take(self, positions: Sequence[int] | slice | np.ndarray) -> StimulusSet:
        """Stimuli at the given positions, in that order.

        Parameters
        ----------
        positions : sequence of int, slice or boolean array of shape (n_stimuli,)
            Positions in this set.

        Returns
        -------
        StimulusSet
        """
        pixels = None if self.pixels is None else self.pixels[positions]
        prepared = {size: images[positions] for size, images in self.prepared.items()}
        return dataclasses.replace(self, table=self.table.iloc[positions], pixels=pixels, prepared=prepared)

    def select(self, **values: object) -> StimulusSet:
        """Stimuli whose columns hold the given values.

        Parameters
        ----------
        **values
            Column name and the value, or list of values, that it must hold: ``select(category="face")``.

        Returns
        -------
        StimulusSet

        Raises
        ------
        InputError
            If there is no such column, or nothing is left.
        """
        keep = np.ones(len(self), dtype=bool)
        for column, wanted in values.items():
            if column not in self.table.columns:
                raise InputError(f"{self.name} has no column {column!r}: {closest(column, self.table.columns)}")
            wanted = wanted if isinstance(wanted, (list, tuple, set, np.ndarray)) else [wanted]
            keep &= self.table[column].isin(list(wanted)).to_numpy()
        if not keep.any():
            raise InputError(f"no stimulus of {self.name} has {values}; {len(self)} were looked at")
        return self.take(np.flatnonzero(keep))

    def yaw_views(self, azimuths_deg: Sequence[float] | None = None) -> StimulusSet:
        """Views at elevation 0, every identity in every view, sorted by identity and azimuth.

        Parameters
        ----------
        azimuths_deg : sequence of float or None
            Views to keep, degrees; None keeps every azimuth that occurs at elevation 0.

        Returns
        -------
        StimulusSet
            ``n_identities * n_views`` stimuli; identities in their order of first appearance.

        Raises
        ------
        InputError
            If an identity lacks a view, or shows one twice.
        """
        level = np.flatnonzero(self.table["elevation_deg"].to_numpy() == 0)
        if azimuths_deg is not None:
            kept = np.isin(self.table["azimuth_deg"].to_numpy()[level], np.asarray(azimuths_deg, dtype=float))
            level = level[kept]
        if not len(level):
            raise InputError(
                f"{self.name} has no view at elevation 0"
                + ("" if azimuths_deg is None else f" and azimuths {list(azimuths_deg)}")
                + "; check the columns azimuth_deg and elevation_deg"
            )
        views = sorted(set(self.table["azimuth_deg"].to_numpy()[level]) | set(map(float, azimuths_deg or ())))
        order = {identity: position for position, identity in enumerate(self.identities)}
        rows = self.table.iloc[level]
        counts = pd.crosstab(rows["identity"], rows["azimuth_deg"]).reindex(
            self.identities, columns=views, fill_value=0
        )
        for (identity, azimuth), count in counts.stack().items():
            if count != 1:
                found = "is missing" if count == 0 else f"occurs {count} times"
                raise InputError(
                    f"{self.name}: identity {identity!r} must have one view at each of {_numbers(views)} degrees, and "
                    f"azimuth_deg {azimuth:g} {found}; complete the set, leave that identity out, or choose the views "
                    "(stimuli.azimuths_deg in a study)"
                )
        sort = np.lexsort((rows["azimuth_deg"].to_numpy(), [order[i] for i in rows["identity"]]))
        return self.take(level[sort])

    def with_transform(self, transform: Callable[[np.ndarray], np.ndarray]) -> StimulusSet:
        """Copy of the set whose images go through one more transform, see ``transforms``."""
        return dataclasses.replace(self, transforms=(*self.transforms, transform), prepared={})

    def with_pixels(self, pixels: np.ndarray) -> StimulusSet:
        """The same stimuli shown by other images, as they are: array like ``pixels``, in the order of the set."""
        return dataclasses.replace(self, files=None, pixels=pixels, transforms=(), prepared={})

    def decode(self, *, max_mb: float = HELD_MB) -> StimulusSet:
        """The set with its images decoded once and held as they are stored, where they fit into memory.

        Parameters
        ----------
        max_mb : float
            Budget for all images, megabytes.

        Returns
        -------
        StimulusSet
            With ``pixels`` in place of ``files``; it shows the same images and has the same checksum. This set itself
            where its images exceed the budget, or are not all of one size and number of channels: those are decoded
            each time they are shown.

        Raises
        ------
        InputError
            If an image is missing or broken.
        """
        if self.pixels is not None or not len(self):
            return self
        held: np.ndarray | None = None
        for position, image in enumerate(self._raw_images()):
            if held is None:
                if len(self) * image.nbytes > max_mb * 1e6:
                    return self
                held = np.empty((len(self), *image.shape), dtype=np.uint8)
            if image.shape != held.shape[1:]:
                return self
            held[position] = image
        return dataclasses.replace(self, files=None, pixels=held)

    def prepare(self, *sizes: Size, max_mb: float = HELD_MB) -> StimulusSet:
        """The set with its images transformed and resized once, where they fit into memory.

        Parameters
        ----------
        *sizes : int, (height, width) or Resizing
            That will be asked for, pixels.
        max_mb : float
            Budget for the images of all sizes, megabytes.

        Returns
        -------
        StimulusSet
            ``images(size)`` of it gives the same, to the last bit, without making it again; the sizes that do not fit
            are made each time.

        Raises
        ------
        InputError
            If an image is missing or broken.
        """
        prepared = dict(self.prepared)
        room = max_mb * 1e6 - sum(images.nbytes for images in prepared.values())
        for size in sorted(set(sizes) - set(prepared), key=lambda size: as_resizing(size).n_pixels):
            shape = (len(self), 3, *as_resizing(size).size)
            n_bytes = math.prod(shape) * np.dtype(np.float32).itemsize
            if n_bytes <= room:
                prepared[size] = np.empty(shape, dtype=np.float32)
                for start in range(0, len(self), PREPARED_TOGETHER):
                    rows = slice(start, start + PREPARED_TOGETHER)
                    prepared[size][rows] = self.take(rows).images(size)
                room -= n_bytes
        return dataclasses.replace(self, prepared=prepared)

    def images(self, size: Size | None = None) -> np.ndarray:
        """Images of all stimuli.

        Parameters
        ----------
        size : int, (height, width), Resizing or None
            Pixels to resize to. An image that is not of that shape keeps its proportions: its shorter side fits and
            the ends of the longer one are cut off, bilinear and anti-aliased; a
            :class:`~neural_data.resizing.Resizing` says it otherwise. None keeps the images' own size, which must then
            be one.

        Returns
        -------
        array of shape (n_stimuli, 3, height, width), float32
            Values in 0..1; gray images have three equal channels.

        Raises
        ------
        InputError
            If an image is missing, broken, or of another size than the first.
        """
        if size in self.prepared:
            return np.array(self.prepared[size])
        if not len(self):
            raise InputError(f"{self.name} is empty; at least one stimulus is needed")
        for position, image in enumerate(self._transformed_images()):
            image = image if size is None else resized(image, as_resizing(size))
            if position == 0:
                images = np.empty((len(self), *image.shape), dtype=np.float32)
            elif image.shape != images.shape[1:]:
                raise InputError(
                    f"{self.name}: {self.ids[position]} is {image.shape[2]} x {image.shape[1]} pixels and "
                    f"{self.ids[0]} {images.shape[3]} x {images.shape[2]}; give a size to resize to (stimuli.size in a "
                    "study)"
                )
            images[position] = image
        return images

    def batches(self, batch_size: int, size: Size | None = None) -> Iterator[np.ndarray]:
        """Images in consecutive batches, see :meth:`images`; the last one may be smaller."""
        for start in range(0, len(self), batch_size):
            yield self.take(slice(start, start + batch_size)).images(size)

    def checksum(self) -> str:
        """SHA-256 (hex) of the table, of every image's decoded pixels and of the transforms.

        Decodes every image, so it also finds the broken ones.

        Raises
        ------
        TypeError
            If a transform has no description that is the same in every run: a lambda or local function, or an object
            whose ``repr`` holds an address or an array.
        """
        digest = hashlib.sha256(self.table.to_csv(float_format="%.12g").encode())
        for image in self._raw_images():
            digest.update(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes())
        digest.update(repr([_described(transform) for transform in self.transforms]).encode())
        return digest.hexdigest()

    def _raw_images(self) -> Iterator[np.ndarray]:
        """Images one by one, uint8 (height, width) or (height, width, 3), as they are stored."""
        if self.pixels is not None:
            yield from self.pixels
            return
        with _ImageFiles(self.files) as read:
            for stimulus_id, filename in self.table["filename"].items():
                yield _decode(read(filename, stimulus_id), f"{self.files}: image {filename} of {stimulus_id}")

    def _transformed_images(self) -> Iterator[np.ndarray]:
        """Images one by one, float32 (3, height, width) in 0..1, after the transforms."""
        for stimulus_id, raw in zip(self.ids, self._raw_images(), strict=True):
            image = raw.astype(np.float32) / np.float32(255)
            image = np.repeat(image[None], 3, axis=0) if image.ndim == 2 else image.transpose(2, 0, 1)
            try:
                for transform in self.transforms:
                    image = transform(image[None])[0]
            except InputError as error:
                raise InputError(f"{self.name}: {stimulus_id}: {error}") from error
            yield np.ascontiguousarray(image, dtype=np.float32)


def read_stimuli(path: str | Path, *, images: str | Path | None = None) -> StimulusSet:
    """Read a stimulus set: a CSV with one row a stimulus, and its images.

    Parameters
    ----------
    path : str or Path
        The CSV, or a folder that holds ``stimulus_set.csv``. Columns ``stimulus_id, filename, identity, azimuth_deg``
        are required (``image_id`` and ``image_file_name`` are read as the first two), ``category`` (else empty) and
        ``elevation_deg`` (else 0) optional; all others are kept.
    images : str, Path or None
        Folder or zip of the images. None looks beside the CSV for ``images/``, ``images.zip``, a zip of the CSV's
        name, and then in the CSV's own folder.

    Returns
    -------
    StimulusSet
        In the order of the CSV. Images are read when asked for; ``checksum()`` reads them all.

    Raises
    ------
    InputError
        If the CSV is missing, lacks a column, repeats a stimulus_id, holds an angle that is no number, or names an
        image that is not there.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "stimulus_set.csv"
    table = _checked_table(_read_table(path), where=str(path))
    files = Path(images) if images is not None else _find_images(path, str(table["filename"].iloc[0]))
    stimuli = StimulusSet(table.set_index("stimulus_id"), files=files, name=path.parent.name or path.stem)
    with _ImageFiles(files) as read:
        for stimulus_id, filename in stimuli.table["filename"].items():
            read(filename, stimulus_id, peek=True)
    return stimuli


def write_stimuli(stimuli: StimulusSet, folder: str | Path) -> Path:
    """Write a stimulus set as ``stimulus_set.csv`` and ``images/*.png``.

    Parameters
    ----------
    stimuli : StimulusSet
        Its images are written at their own size, after its transforms, as 8-bit PNG (gray where the three channels
        are equal).
    folder : str or Path
        Made if it does not exist.

    Returns
    -------
    pathlib.Path
        The CSV.
    """
    folder = Path(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    names = [f"{stimulus_id}.png" for stimulus_id in stimuli.ids]
    for name, values in zip(names, stimuli._transformed_images(), strict=True):
        image = np.rint(values * 255).astype(np.uint8)
        gray = np.array_equal(image[0], image[1]) and np.array_equal(image[0], image[2])
        Image.fromarray(image[0] if gray else image.transpose(1, 2, 0)).save(folder / "images" / name)
    path = folder / "stimulus_set.csv"
    stimuli.table.assign(filename=names).to_csv(path, index_label="stimulus_id", lineterminator="\n")
    return path


def _described(value: object) -> str:
    """What a transform, or a value it is made with, is: the same text in every run; TypeError where there is none."""
    if isinstance(value, functools.partial):
        inside = (value.func, *value.args, *(part for pair in sorted(value.keywords.items()) for part in pair))
        return f"partial({', '.join(map(_described, inside))})"
    if isinstance(value, (types.FunctionType, type)) and "<" not in value.__qualname__:
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(_described, value))})"
    text = repr(value)
    if isinstance(value, (types.FunctionType, type, np.ndarray)) or re.search(r"\b(at 0x|array\()", text):
        raise TypeError(
            f"no checksum of the transform {text[:80]}: it is not described the same in every run; take a function "
            "of a module's top level, a functools.partial of one with numbers or text, or a frozen dataclass of them"
        )
    return text


def _read_table(path: Path) -> pd.DataFrame:
    text_columns = dict.fromkeys(
        ("stimulus_id", "image_id", "filename", "image_file_name", "identity", "category"), str
    )
    try:
        table = pd.read_csv(path, dtype=text_columns, keep_default_na=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such stimulus set; give the path of its CSV") from None
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{path}: not readable as a CSV of stimuli ({error})") from error
    return table.rename(columns={old: new for old, new in LEGACY_COLUMNS.items() if new not in table.columns})


def _checked_table(table: pd.DataFrame, *, where: str) -> pd.DataFrame:
    """Copy of the table with optional columns filled in and angles as floats; refuses what is no stimulus set."""
    table = table.assign(**{column: v for column, v in OPTIONAL_COLUMNS.items() if column not in table.columns})
    for column in REQUIRED_COLUMNS:
        if column not in table.columns:
            raise InputError(
                f"{where}: no column {column!r}; a stimulus set needs {', '.join(REQUIRED_COLUMNS)} and has "
                f"{', '.join(map(str, table.columns))}"
            )
    if table.empty:
        raise InputError(f"{where}: holds no stimulus; at least one row is needed")
    repeated = table["stimulus_id"][table["stimulus_id"].duplicated()]
    if len(repeated):
        lines = [int(row) + 2 for row in np.flatnonzero(table["stimulus_id"] == repeated.iloc[0])]
        raise InputError(
            f"{where}: stimulus_id {repeated.iloc[0]!r} occurs {len(lines)} times (lines {_numbers(lines)}); every "
            "stimulus needs an id of its own"
        )
    for column in ("stimulus_id", "filename", "identity"):
        empty = np.flatnonzero(table[column].astype(str).str.strip() == "")
        if len(empty):
            raise InputError(f"{where}: line {empty[0] + 2} has an empty {column}; fill it in or remove the row")
    for column in ("azimuth_deg", "elevation_deg"):
        angles = pd.to_numeric(table[column], errors="coerce").astype(float)
        wrong = np.flatnonzero(~np.isfinite(angles))
        if len(wrong):
            raise InputError(
                f"{where}: line {wrong[0] + 2} has {column} {table[column].iloc[wrong[0]]!r}; a number of degrees is "
                "needed"
            )
        table[column] = angles
    return table


def _find_images(csv: Path, first: str) -> Path:
    """Folder or zip beside the CSV that holds the images."""
    places = (csv.parent / "images", csv.parent / "images.zip", csv.with_suffix(".zip"), csv.parent)
    for place in places:
        if place.suffix == ".zip" and place.is_file():
            return place
        if place.is_dir() and (place / first).is_file():
            return place
    return next((place for place in places if place.exists()), csv.parent)


class _ImageFiles:
    """Reads named files from one folder or zip, and never from outside it."""

    def __init__(self, place: Path):
        self.place = place
        self.zip: zipfile.ZipFile | None = None

    def __enter__(self) -> _ImageFiles:
        if self.place.is_dir():
            return self
        try:
            self.zip = zipfile.ZipFile(self.place)
        except FileNotFoundError:
            raise InputError(f"{self.place}: no such folder or zip of images") from None
        except (OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{self.place}: neither a folder nor a readable zip of images ({error})") from error
        return self

    def __exit__(self, *exception: object) -> None:
        if self.zip is not None:
            self.zip.close()

    def __call__(self, filename: str, stimulus_id: str, *, peek: bool = False) -> bytes:
        """Bytes of one file; with ``peek`` only make sure that it is there and not empty."""
        relative = PurePosixPath(filename)
        where = f"{self.place}: image {filename} of {stimulus_id}"
        if relative.is_absolute() or ".." in relative.parts or "\\" in filename:
            raise InputError(f"{where} lies outside that folder; name files inside it")
        try:
            size, read = self._member(filename)
        except (OSError, KeyError):
            raise InputError(f"{where} is missing; put it there or remove its row") from None
        if size == 0:
            raise InputError(f"{where} is empty (0 bytes); replace the file")
        return b"" if peek else read()

    def _member(self, filename: str) -> tuple[int, Callable[[], bytes]]:
        if self.zip is not None:
            info = self.zip.getinfo(filename)
            return info.file_size, lambda: self.zip.read(info)
        path = (self.place / filename).resolve(strict=True)
        if not path.is_relative_to(self.place.resolve()):
            raise InputError(f"{self.place}: image {filename} is a link to a place outside that folder; copy it there")
        return path.stat().st_size, path.read_bytes


def _decode(content: bytes, where: str) -> np.ndarray:
    """uint8 (height, width) or (height, width, 3) of one image file."""
    try:
        with Image.open(io.BytesIO(content), formats=IMAGE_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(f"{where} has {image.width} x {image.height} pixels; at most {MAX_PIXELS:,} are read")
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                gray = Image.new("RGBA", image.size, (round(255 * ALPHA_BACKGROUND),) * 3 + (255,))
                image = Image.alpha_composite(gray, image.convert("RGBA"))
            return np.asarray(image if image.mode == "L" else image.convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where} is not a readable image ({error}); replace the file") from error


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
