"""Stimulus sets: a table of stimuli and their images.

On disk a stimulus set has Brain-Score's layout: a CSV with one row per stimulus and a folder (or zip) of images. In
memory it is a :class:`StimulusSet`; its images are read only when needed, so that a set of any size can be streamed in
batches.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import html
import logging
import math
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from neural_data.errors import InputError, closest
from neural_data.formats.bounds import checked_folder, exists, visible_files
from neural_data.images import ImageFiles, decode_image, unit_range
from neural_data.naming import IMAGE_SUFFIXES, fields_of, file_names
from neural_data.resizing import Resizing, as_resizing, resized
from neural_data.stimulus_tables import (
    ANGLES,
    SAME_ANGLE_DEG,
    angles_in,
    checked_stimulus_table,
    distinct_angles,
    in_degrees,
    listed,
    read_stimulus_table,
    unread_views,
)

__all__ = ["StimulusSet", "read_stimuli", "write_stimuli"]

log = logging.getLogger(__name__)

HELD_MB = 256.0
"""Images that take more memory than this, megabytes, are read again each time they are shown."""
Size = int | tuple[int, int] | Resizing
PREPARED_TOGETHER = 64
"""Images that are prepared at a time, to bound the memory used beyond the result."""


@dataclass(frozen=True)
class StimulusSet:
    """Stimuli and their images, in one order.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per stimulus, indexed by unique ``stimulus_id`` (str). Columns ``filename, category, identity`` (str),
        ``azimuth_deg, elevation_deg`` (float; azimuth 0 is frontal, below 0 the nose points to the viewer's left)
        and any others. Without identities, every stimulus is its own identity (its id); without azimuths, all are
        0. Azimuths are converted to -180..180: 315 becomes -45.
    files : pathlib.Path or None
        Folder or zip in which ``filename`` is found; None where ``pixels`` are given.
    pixels : array of shape (n_stimuli, height, width) or (n_stimuli, height, width, 3), or None
        Images in memory, in the order of ``table``; uint8 or uint16 from 0 to the largest value of the type, or
        floating point in 0..1.
    transforms : tuple of callables
        Applied in turn to the images of one batch, float32 ``(n, 3, height, width)`` in 0..1, before they are
        resized. Each must process images independently.
    name : str
        Name of the set in tables and reports.
    prepared : mapping of size to float32 array of shape (n_stimuli, 3, height, width)
        Results of ``images(size)`` kept in memory, by size; see :meth:`prepare`.

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
            raise ValueError("a StimulusSet takes either files or pixels; give one of them")
        if self.pixels is not None:
            object.__setattr__(self, "pixels", _checked_pixels(self.pixels, len(self.table)))
        table = checked_stimulus_table(self.table.reset_index(names="stimulus_id"), where=f"stimulus set {self.name!r}")
        object.__setattr__(self, "table", table.set_index("stimulus_id"))

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        azimuths = self.table["azimuth_deg"]
        n_azimuths = azimuths.nunique()
        span = f" ({azimuths.min():g} to {azimuths.max():g} degrees)" if n_azimuths > 1 else ""
        counts = [
            _counted(len(self), "stimulus", "stimuli"),
            _counted(len(self.identities), "identity", "identities"),
            _counted(n_azimuths, "azimuth", "azimuths") + span,
            _counted(self.table["category"].nunique(), "category", "categories"),
        ]
        place = "in memory" if self.files is None else f"in {self.files}"
        return f"<StimulusSet {self.name!r}: {', '.join(counts)}; images {place}>"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{self.table.head().to_html()}"

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
            Column name, and the value or list of values to select: ``select(category="face")``.

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
            listed = list(wanted) if isinstance(wanted, (list, tuple, set, np.ndarray)) else [wanted]
            found = self.table[column]
            keep &= angles_in(found, listed) if column in ANGLES else found.isin(listed).to_numpy()
        if not keep.any():
            raise InputError(f"none of the {len(self)} stimuli of {self.name} has {values}")
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
            If an identity lacks a view or has it twice.
        """
        level = np.flatnonzero(np.abs(self.table["elevation_deg"].to_numpy()) <= SAME_ANGLE_DEG)
        if azimuths_deg is not None:
            azimuths_deg = in_degrees(np.asarray(azimuths_deg, dtype=float)).tolist()
            level = level[angles_in(self.table["azimuth_deg"].iloc[level], azimuths_deg)]
        if not len(level):
            raise InputError(
                f"{self.name} has no view at elevation 0"
                + ("" if azimuths_deg is None else f" and azimuths {list(azimuths_deg)}")
                + "; check the columns azimuth_deg and elevation_deg"
            )
        views = distinct_angles([*self.table["azimuth_deg"].to_numpy()[level], *(azimuths_deg or ())])
        if len(views) > 1 and not self.table["identity"].iloc[level].duplicated().any():
            raise InputError(
                f"{self.name}: every stimulus has its own identity, in {len(views)} views; give the same value in the "
                "column 'identity' to stimuli that show the same face or object"
            )
        order = {identity: position for position, identity in enumerate(self.identities)}
        rows = self.table.iloc[level]
        rows = rows.assign(azimuth_deg=[views[np.abs(np.subtract(views, a)).argmin()] for a in rows["azimuth_deg"]])
        counts = pd.crosstab(rows["identity"], rows["azimuth_deg"]).reindex(
            self.identities, columns=views, fill_value=0
        )
        for (identity, azimuth), count in counts.stack().items():
            if count != 1:
                found = "is missing" if count == 0 else f"occurs {count} times"
                raise InputError(
                    f"{self.name}: identity {identity!r} must have one view at each of {listed(views)} degrees, and "
                    f"azimuth_deg {azimuth:g} {found}; complete the set, leave that identity out, or choose the views "
                    "(stimuli.azimuths_deg in a study)"
                )
        sort = np.lexsort((rows["azimuth_deg"].to_numpy(), [order[i] for i in rows["identity"]]))
        return self.take(level[sort])

    def with_transform(self, transform: Callable[[np.ndarray], np.ndarray]) -> StimulusSet:
        """Copy of the set with one more image transform, see ``transforms``."""
        return dataclasses.replace(self, transforms=(*self.transforms, transform), prepared={})

    def with_pixels(self, pixels: np.ndarray) -> StimulusSet:
        """The same stimuli with other images, without transforms: an array like ``pixels``, in the order of the set."""
        return dataclasses.replace(self, files=None, pixels=pixels, transforms=(), prepared={})

    def decode(self, *, max_mb: float = HELD_MB) -> StimulusSet:
        """The set with its images decoded once and kept in memory, if they fit.

        Parameters
        ----------
        max_mb : float
            Budget for all images, megabytes.

        Returns
        -------
        StimulusSet
            With ``pixels`` in place of ``files``, and the same images and checksum. If the images exceed the budget, or
            differ in size or number of channels, the set is returned unchanged and decodes them each time.

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
                held = np.empty((len(self), *image.shape), dtype=image.dtype)
            if image.shape != held.shape[1:] or image.dtype != held.dtype:
                return self
            held[position] = image
        return dataclasses.replace(self, files=None, pixels=held)

    def prepare(self, *sizes: Size | None, max_mb: float = HELD_MB) -> StimulusSet:
        """The set with its images transformed and resized once and kept in memory, if they fit.

        Parameters
        ----------
        *sizes : int, (height, width) or Resizing
            Sizes that :meth:`images` will be called with, pixels; None is not kept.
        max_mb : float
            Budget for the images of all sizes, megabytes.

        Returns
        -------
        StimulusSet
            Its ``images(size)`` returns exactly the same values without recomputing them; sizes that do not fit into
            the budget are recomputed each time.

        Raises
        ------
        InputError
            If an image is missing or broken.
        """
        prepared = dict(self.prepared)
        room = max_mb * 1e6 - sum(images.nbytes for images in prepared.values())
        missing = {size for size in sizes if size is not None and size not in prepared}
        for size in sorted(missing, key=lambda size: as_resizing(size).n_pixels):
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
            Size to resize to, pixels. Proportions are kept: the shorter side is fitted, the longer side is cropped
            centrally (bilinear, anti-aliased); a :class:`~neural_data.resizing.Resizing` selects another way. None
            keeps the size of the images, which must all be of one size.

        Returns
        -------
        array of shape (n_stimuli, 3, height, width), float32
            Values in 0..1; gray images have three equal channels.

        Raises
        ------
        InputError
            If an image is missing, broken, or of another size than the first.
        """
        if size is not None and size in self.prepared:
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

        Decodes every image, so it also detects damaged files.

        Raises
        ------
        TypeError
            If the description of a transform could differ between runs: a lambda or local function, or an object whose
            ``repr`` holds a memory address or an array.
        """
        digest = hashlib.sha256(self._table_text())
        for image in self._raw_images():
            digest.update(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes())
        digest.update(repr([_described(transform) for transform in self.transforms]).encode())
        return digest.hexdigest()

    def table_checksum(self) -> str:
        """SHA-256 (hex) of the table alone, for results that do not depend on the images."""
        return hashlib.sha256(self._table_text()).hexdigest()

    def _table_text(self) -> bytes:
        return self.table.to_csv(float_format="%.12g").encode()

    def _raw_images(self) -> Iterator[np.ndarray]:
        """Images one by one, (height, width) or (height, width, 3), in the type in which they are stored."""
        if self.pixels is not None:
            yield from self.pixels
            return
        if self.files is None:
            raise InputError(
                f"{self.name} has neither images in memory nor a folder of images; name their folder (images=...)"
            )
        animated = 0
        with ImageFiles(self.files) as read:
            for stimulus_id, filename in self.table["filename"].items():
                image = decode_image(read(filename, stimulus_id), f"{self.files}: image {filename} of {stimulus_id}")
                animated += image.n_frames > 1
                yield image.pixels
        if animated:
            log.warning("%s: %d files hold several pictures; the first of each is shown", self.name, animated)

    def _transformed_images(self) -> Iterator[np.ndarray]:
        """Images one by one, float32 (3, height, width) in 0..1, after the transforms."""
        for stimulus_id, raw in zip(self.ids, self._raw_images(), strict=True):
            image = unit_range(raw)
            image = np.repeat(image[None], 3, axis=0) if image.ndim == 2 else image.transpose(2, 0, 1)
            try:
                for transform in self.transforms:
                    image = transform(image[None])[0]
            except InputError as error:
                raise InputError(f"{self.name}: {stimulus_id}: {error}") from error
            yield np.ascontiguousarray(image, dtype=np.float32)


def read_stimuli(
    path: str | Path,
    *,
    images: str | Path | None = None,
    pattern: str | None = None,
    columns: Mapping[str, str] | None = None,
    with_images: bool = True,
) -> StimulusSet:
    """Read a stimulus set: a table with one row per stimulus and its images, or a folder of images named by a pattern.

    Parameters
    ----------
    path : str or Path
        The table (CSV; also with semicolons or tabs, UTF-16, decimal commas), or a folder that holds
        ``stimulus_set.csv``. Column ``stimulus_id`` is required; ``filename`` where images are shown (``image_id`` and
        ``image_file_name`` are accepted for these two); ``identity`` (else every stimulus is its own identity),
        ``azimuth_deg`` (else 0), ``category`` (else empty) and ``elevation_deg`` (else 0) are optional; all others are
        kept. With ``pattern``, a folder of images.
    images : str, Path or None
        Folder or zip of the images. None looks beside the table for ``images/``, ``images.zip``, a zip of the table's
        name, and then in the table's own folder.
    pattern : str or None
        Path of an image inside the folder, with fields in braces: ``"{identity}_az{azimuth_deg}.png"``; see
        :func:`~neural_data.naming.fields_of`.
    columns : mapping of str to str, or None
        Columns with other names by role: ``{"stimulus_id": "image", "identity": "person", "azimuth_deg": "yaw"}``.
    with_images : bool
        False does not look for images, for uses that need no pixels, such as checking a recording.

    Returns
    -------
    StimulusSet
        In the order of the table, or of file names. Images are read when needed; ``checksum()`` reads them all.

    Raises
    ------
    InputError
        If the table is missing, lacks a column, repeats a stimulus_id, holds an angle that is not a number, or names
        a missing image; or if no image matches the pattern.
    """
    path = Path(path)
    if pattern is not None:
        if columns:
            raise InputError(f"{path}: give a pattern or columns; the fields of a pattern are named in it")
        return _from_names(path, pattern)
    if exists(path) and path.is_dir():
        path = path / "stimulus_set.csv"
    read = read_stimulus_table(path, columns)
    table = checked_stimulus_table(read, where=str(path))
    if unread := unread_views(read):
        log.warning("%s: %s", path, unread)
    if images is not None:
        files = Path(images)
    elif with_images:
        files = _find_images(path, str(table["filename"].iloc[0]))
    else:
        files = path.parent
    stimuli = StimulusSet(table.set_index("stimulus_id"), files=files, name=path.absolute().parent.name or path.stem)
    if with_images:
        with ImageFiles(files) as bytes_of:
            for stimulus_id, filename in stimuli.table["filename"].items():
                bytes_of(filename, stimulus_id, peek=True)
    return stimuli


def write_stimuli(stimuli: StimulusSet, folder: str | Path) -> Path:
    """Write a stimulus set as ``stimulus_set.csv`` and ``images/*.png``.

    Parameters
    ----------
    stimuli : StimulusSet
        Its images are written at their own size, after its transforms, as 8-bit PNG (gray where the three channels
        are equal). Files are named by id; characters that file names cannot hold, such as slashes, become ``_``.
    folder : str or Path
        Created if it does not exist.

    Returns
    -------
    pathlib.Path
        The CSV.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    folder = Path(folder)
    names = file_names(stimuli.ids, ".png")
    try:
        (folder / "images").mkdir(parents=True, exist_ok=True)
        for name, values in zip(names, stimuli._transformed_images(), strict=True):
            image = np.rint(values * 255).astype(np.uint8)
            gray = np.array_equal(image[0], image[1]) and np.array_equal(image[0], image[2])
            Image.fromarray(image[0] if gray else image.transpose(1, 2, 0)).save(folder / "images" / name)
        path = folder / "stimulus_set.csv"
        stimuli.table.assign(filename=names).to_csv(path, index_label="stimulus_id", lineterminator="\n")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error}); choose another folder") from error
    return path


def _checked_pixels(pixels: np.ndarray, n_stimuli: int) -> np.ndarray:
    """The pixels, checked to be of a type whose black and white levels are defined."""
    pixels = np.asarray(pixels)
    if len(pixels) != n_stimuli:
        raise ValueError(f"pixels has {len(pixels)} images, but the table {n_stimuli} stimuli")
    if pixels.ndim not in (3, 4) or (pixels.ndim == 4 and pixels.shape[3] != 3):
        raise InputError(
            f"pixels have shape {pixels.shape}; (n_stimuli, height, width) or (n_stimuli, height, width, 3) is needed"
        )
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels
    if pixels.dtype.kind != "f":
        raise InputError(f"pixels are {pixels.dtype}; give uint8, uint16, or floating-point numbers from 0 to 1")
    if pixels.size and not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
        raise InputError(
            f"floating-point pixels run from {np.nanmin(pixels):g} to {np.nanmax(pixels):g}; they must lie between 0 "
            "(black) and 1 (white), so divide them by the value of white"
        )
    return pixels.astype(np.float32, copy=False)


def _refuse_words_for_angles(folder: Path, files: list[str], pattern: str) -> None:
    """Raise if a pattern fits but for words where it has angles."""
    for name in re.findall(r"\{(\w+_deg)\}", pattern):
        words = dict.fromkeys(row["word"] for row in fields_of(files, pattern.replace(f"{{{name}}}", "{word}")))
        if words:
            spelled = ",".join(f"{word}=..." for word in list(words)[:3])
            shown = ", ".join(list(words)[:5]) + (", ..." if len(words) > 5 else "")
            raise InputError(
                f"{folder}: where the pattern {pattern!r} has {name}, the names of images have {shown}; say how many "
                f"degrees each word is: {{{name}:{spelled}}}"
            )


def _from_names(folder: Path, pattern: str) -> StimulusSet:
    """Stimulus set of a folder of images whose names follow a pattern."""
    checked_folder(folder, "folder of images")
    files = visible_files(folder, suffixes=IMAGE_SUFFIXES, deep=True)
    rows = fields_of(files, pattern)
    if not rows:
        found = ", ".join(files[:3]) + (f", ... ({len(files)} images)" if len(files) > 3 else "")
        _refuse_words_for_angles(folder, files, pattern)
        raise InputError(
            f"{folder}: the pattern {pattern!r} matches none of its images ({found or 'there are none'}); write it as "
            "a path inside the folder, such as '{identity}_{azimuth_deg}.png'"
        )
    if len(rows) < len(files):
        fitting = {row["filename"] for row in rows}
        left = [file for file in files if file not in fitting]
        log.warning(
            "%s: %d of %d images do not fit the pattern and are left out, such as %s",
            folder,
            len(left),
            len(files),
            left[0],
        )
    table = pd.DataFrame(rows)
    if "stimulus_id" not in table.columns:
        stems = [file.rpartition(".")[0].replace("/", "_") for file in table["filename"]]
        table["stimulus_id"] = stems if len(set(stems)) == len(stems) else table["filename"].tolist()
    return StimulusSet(table.set_index("stimulus_id"), files=folder, name=folder.absolute().name)


def _described(value: object) -> str:
    """Description of a transform or of its arguments, equal in every run; TypeError if there is none."""
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
            f"no checksum of the transform {text[:80]}: its description differs from run to run; use a function "
            "of a module's top level, a functools.partial of one with numbers or text, or a frozen dataclass of them"
        )
    return text


def _find_images(csv: Path, first: str) -> Path:
    """Folder or zip beside the CSV that holds the images."""
    places = (csv.parent / "images", csv.parent / "images.zip", csv.with_suffix(".zip"), csv.parent)
    for place in places:
        if place.suffix == ".zip" and place.is_file():
            break
        if place.is_dir() and exists(place / first):
            break
    else:
        place = next((place for place in places if place.exists()), csv.parent)
    if not place.resolve().is_relative_to(csv.parent.resolve()):
        raise InputError(
            f"{place}: is a link to a place outside the folder of {csv.name}; copy the images there, or name their "
            "folder (images=..., stimuli.images in a study)"
        )
    return place


def _counted(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"
