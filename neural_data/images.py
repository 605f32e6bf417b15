"""Reads image files from a folder or zip, never from outside it, and decodes them as a viewer would show them.

Pixel values are scaled to 0..1 by the type of the file: 8 bits from 0..255, 16 bits from 0..65,535, 32 bits from 0 to
the largest value of the type; floating-point values must lie in 0..1 and are unchanged. Photographs are rotated by
their EXIF tag. Of an animation, or a file of several pages, the first image is used.
"""

from __future__ import annotations

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, UnidentifiedImageError

from neural_data.errors import InputError
from neural_data.formats.bounds import checked_file, inside, one_line, read_bytes, read_member

__all__ = [
    "IMAGE_FORMATS",
    "MAX_PIXELS",
    "Decoded",
    "ImageFiles",
    "decode_image",
    "pixels_of",
    "unit_range",
]

IMAGE_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP", "PPM")
MAX_PIXELS = 50_000_000
"""Larger images are refused: a few bytes of a hostile file can unpack to gigabytes."""
ALPHA_BACKGROUND = 0.5
"""Gray level behind transparent pixels (0 black, 1 white)."""
_ORIENTATION, _TIFF_BITS, _TIFF_SAMPLES = 274, 258, 339
_SIGNED = 2
_PNG = b"\x89PNG\r\n\x1a\n"
_NARROW_MODES = ("I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True)
class Decoded:
    """One decoded image, and the number of images in its file.

    Parameters
    ----------
    pixels : array of shape (height, width) or (height, width, 3)
        uint8 or uint16 from 0 to the largest value of the type, or float32 in 0..1.
    n_frames : int
        Images in the file, above 1 for an animation; ``pixels`` is the first.
    """

    pixels: np.ndarray
    n_frames: int = 1


class ImageFiles:
    """Reads named files from one folder or zip, and never from outside it.

    Parameters
    ----------
    place : Path
        A folder or a zip.
    """

    def __init__(self, place: Path):
        self.place = place
        self.zip: zipfile.ZipFile | None = None

    def __enter__(self) -> ImageFiles:
        if self.place.is_dir():
            return self
        checked_file(self.place, "folder or zip of images")
        try:
            self.zip = zipfile.ZipFile(self.place)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError) as error:
            raise InputError(
                f"{self.place}: neither a folder nor a readable zip of images ({one_line(error)})"
            ) from error
        return self

    def __exit__(self, *exception: object) -> None:
        if self.zip is not None:
            self.zip.close()

    def __call__(self, filename: str, stimulus_id: str, *, peek: bool = False) -> bytes:
        """Bytes of one file; with ``peek`` only check that it exists and is not empty."""
        shown = filename if len(filename) < 200 else f"{filename[:80]}...{filename[-40:]}"
        where = f"{self.place}: image {shown} of {stimulus_id}"
        relative = PurePosixPath(filename)
        if not filename.strip():
            raise InputError(
                f"{self.place}: {stimulus_id} has no image: the column 'filename' is missing or empty; fill it in, "
                "or read the table without its images (with_images=False)"
            )
        if "\0" in filename or relative.is_absolute() or ".." in relative.parts or "\\" in filename:
            raise InputError(f"{where} lies outside that folder; name files inside it")
        if self.zip is None:
            path = inside(self.place, filename, where)
            return b"" if peek else read_bytes(path, what="image")
        try:
            info = self.zip.getinfo(filename)
        except KeyError:
            raise InputError(f"{where} is missing; put it there or remove its row") from None
        if info.file_size == 0:
            raise InputError(f"{where} is empty (0 bytes); replace the file")
        if info.flag_bits & 0x1:
            raise InputError(f"{where} is encrypted; unpack the zip and give the folder")
        return b"" if peek else read_member(self.zip, filename, where)


def decode_image(content: bytes, where: str) -> Decoded:
    """Pixels of one image file, upright, in the bit depth of the file.

    Parameters
    ----------
    content : bytes
        The file, byte by byte.
    where : str
        What messages call the image.

    Returns
    -------
    Decoded

    Raises
    ------
    InputError
        If it is not an image, is damaged, has more than :data:`MAX_PIXELS` pixels, or holds values outside its range:
        negative ones, or floating-point values outside 0..1.
    """
    if not isinstance(content, bytes):
        raise InputError(f"{where} is not a readable image (it is empty); replace the file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged tags; what cannot be read raises
            if content.startswith(_PNG):
                _check_png_sums(content)
            with Image.open(io.BytesIO(content), formats=IMAGE_FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise InputError(
                        f"{where} has {image.width} x {image.height} pixels; at most {MAX_PIXELS:,} are read"
                    )
                n_frames = getattr(image, "n_frames", 1)
                if n_frames > 1:
                    image.seek(0)
                pixels = pixels_of(image, where)
                turned = _turned(pixels, image)
    except (
        UnidentifiedImageError,
        OSError,
        SyntaxError,
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        AttributeError,
        MemoryError,
        RuntimeError,
        NotImplementedError,
        EOFError,
        Image.DecompressionBombError,
    ) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where} is not a readable image ({one_line(error)}); replace the file") from error
    return Decoded(np.ascontiguousarray(turned), n_frames)


def _check_png_sums(content: bytes) -> None:
    """Verify the checksums of a PNG's pixels, palette and transparency; Pillow does not verify that of the pixels."""
    place = len(_PNG)
    while place + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        if place + 12 + length > len(content):
            break
        inside = content[place + 4 : place + 8 + length]
        (wanted,) = struct.unpack_from(">I", content, place + 8 + length)
        if (kind[:1].isupper() or kind == b"tRNS") and zlib.crc32(inside) != wanted:
            raise ValueError(f"the checksum of its part {kind.decode('ascii', 'replace')} is wrong")
        if kind == b"IEND":
            return
        place += 12 + length
    raise ValueError("it is cut off")


def unit_range(pixels: np.ndarray) -> np.ndarray:
    """Pixels as float32 in 0..1, scaled by their type; see :class:`Decoded`."""
    if pixels.dtype.kind == "u":
        return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return pixels.astype(np.float32)


def pixels_of(image: Image.Image, where: str) -> np.ndarray:
    """Pixels of an opened image in the bit depth of its type, see :class:`Decoded`; not rotated by EXIF."""
    mode = image.mode
    if mode in _NARROW_MODES:
        return np.asarray(image).astype(np.uint16)
    if mode == "I":
        return _from_integers(image, where)
    if mode == "F":
        return _from_floats(np.asarray(image), where)
    if mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        gray = Image.new("RGBA", image.size, (round(255 * ALPHA_BACKGROUND),) * 3 + (255,))
        return np.asarray(Image.alpha_composite(gray, image.convert("RGBA")).convert("RGB"))
    return np.asarray(image if mode == "L" else image.convert("RGB"))


def _from_integers(image: Image.Image, where: str) -> np.ndarray:
    """Pixels that Pillow holds in 32 bits: 16-bit gray of PNG and PGM, or 16 to 32 bits of TIFF."""
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        largest = 65_535  # Pillow scales PNG and PGM of more than 8 bits to 16
    else:
        bits = int(np.ravel(tags.get(_TIFF_BITS, 32))[0])
        signed = int(np.ravel(tags.get(_TIFF_SAMPLES, 1))[0]) == _SIGNED
        if not signed and bits == 32:
            values = values.view(np.uint32)
        largest = 2 ** (bits - signed) - 1
    values = values.astype(np.int64)
    _refuse_outside(values, 0, largest, where)
    if largest == 65_535:
        return values.astype(np.uint16)
    return (values / largest).astype(np.float32)


def _from_floats(values: np.ndarray, where: str) -> np.ndarray:
    if not np.isfinite(values).all():
        raise InputError(f"{where} has values that are not finite; save it again with values from 0 to 1")
    _refuse_outside(values, 0.0, 1.0, where)
    return values.astype(np.float32)


def _refuse_outside(values: np.ndarray, low: float, high: float, where: str) -> None:
    if values.min() < low or values.max() > high:
        raise InputError(
            f"{where} holds values from {values.min():g} to {values.max():g}; values of this type must lie between "
            f"{low:g} (black) and {high:g} (white), so scale the image and save it again"
        )


def _turned(pixels: np.ndarray, image: Image.Image) -> np.ndarray:
    """Pixels rotated and mirrored by the EXIF orientation tag."""
    # Pillow does this for TIFF while loading, and removes the tag.
    orientation = image.getexif().get(_ORIENTATION, 1)
    turns: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, -1),
        7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
        8: lambda p: np.rot90(p),
    }
    return turns[orientation](pixels) if orientation in turns else pixels
