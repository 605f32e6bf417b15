"""Official archives of labelled images: downloaded with checksums, and read without unpacking them to disk.

CIFAR-10 in its binary version (Krizhevsky 2009) and SVHN's cropped digits (Netzer et al. 2011). Gives arrays of pixels
and labels; ``datasets`` turns them into training sets.
"""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from neural_data.errors import InputError, closest
from neural_data.formats.bounds import checked_file, inside, one_line, read_bytes, visible_files
from neural_data.formats.matlab import read_variables, variable_names
from neurocompare.places import cache_folder
from neurocompare.progress_lines import Progress

__all__ = ["ARCHIVES", "CIFAR10_CLASSES", "Archive", "fetch_archives", "is_archive", "read_archive"]

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SVHN_CLASSES = tuple(str(digit) for digit in range(10))
RECORD_BYTES = 1 + 3 * 32 * 32
"""Bytes of one CIFAR-10 image: its label, then the red, green and blue plane."""
LARGEST_BATCH_BYTES = 100_000 * RECORD_BYTES
LARGEST_MEMBER_BYTES = 10_000_000
"""Largest size of any other file in the archive, bytes."""


@dataclass(frozen=True)
class Archive:
    """A file of an official data set.

    Parameters
    ----------
    url : str
        Where it is published.
    checksum : str
        ``md5:...`` or ``sha256:...``, as published by the data set's authors or torchvision.
    n_bytes : int
        Size of the download, for the message to a user who is offline.
    """

    url: str
    checksum: str
    n_bytes: int

    @property
    def file_name(self) -> str:
        """File name: the last part of the URL."""
        return self.url.rpartition("/")[2]


ARCHIVES: dict[str, tuple[Archive, ...]] = {
    "cifar10": (
        Archive(
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "md5:c32a1d4ab5d03f1284b67883e8d87530",
            170_052_171,
        ),
    ),
    "svhn": (
        Archive(
            "http://ufldl.stanford.edu/housenumbers/train_32x32.mat",
            "md5:e26dedcc434d2e4c54c9b2d4a06d8373",
            182_040_794,
        ),
        Archive(
            "http://ufldl.stanford.edu/housenumbers/test_32x32.mat",
            "md5:eb5a983be6a315427106f1b164d9cef3",
            64_275_384,
        ),
    ),
}


class _Downloads:
    """Adapter: pooch's progress bar as calls of a function with the share downloaded."""

    def __init__(self, tell: Callable[[float], None]):
        self.total, self.done, self.tell = 0, 0, tell

    def update(self, n_bytes: int) -> None:
        self.done += n_bytes
        self.tell(self.done / max(self.total, 1))

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        self.tell(1.0)


def fetch_archives(name: str, *, folder: str | Path | None = None, progress: Progress | None = None) -> list[Path]:
    """Files of an official data set; downloaded into the folder if they are not there.

    Parameters
    ----------
    name : {"cifar10", "svhn"}
        The data set.
    folder : str, Path or None
        None: ``datasets`` in the cache folder.
    progress : callable or None
        Called with the file's name and the share downloaded.

    Returns
    -------
    list of pathlib.Path
        In the order of :data:`ARCHIVES`, with verified checksums.

    Raises
    ------
    InputError
        If there is no such data set, it cannot be downloaded, or a file's checksum is wrong.
    """
    # Only downloads wait for these two.
    import pooch
    import requests

    if name not in ARCHIVES:
        raise InputError(f"no data set {name!r} can be fetched: {closest(name, ARCHIVES)}")
    place = Path(folder) if folder is not None else cache_folder() / "datasets"
    paths = []
    for archive in ARCHIVES[name]:
        bar = None
        if progress is not None:
            bar = _Downloads(partial(progress, archive.file_name))
        by_hand = (
            f"download {archive.url} ({archive.n_bytes / 1e6:.0f} MB) where there is a connection and give the path of "
            "the file instead of the name"
        )
        try:
            found = pooch.retrieve(
                archive.url,
                known_hash=archive.checksum,
                fname=archive.file_name,
                path=place,
                downloader=pooch.HTTPDownloader(progressbar=bar or False, timeout=30),
            )
        except requests.RequestException as error:
            raise InputError(f"{name} cannot be downloaded ({type(error).__name__}): {by_hand}") from error
        except ValueError as error:
            raise InputError(
                f"{archive.url}: the downloaded file has a wrong checksum and is not used; {by_hand}"
            ) from error
        except OSError as error:
            raise InputError(f"{place} cannot be written ({error}); name another folder or free disk space") from error
        paths.append(Path(found))
    return paths


def is_archive(path: Path) -> bool:
    """Whether a path has the name of an archive that :func:`read_archive` reads."""
    if path.is_dir():
        return any(path.glob("data_batch_*.bin"))
    return path.name.endswith((".tar.gz", ".tgz", ".mat", ".bin"))


def read_archive(path: str | Path) -> dict[str, tuple[np.ndarray, np.ndarray, tuple[str, ...]]]:
    """Images and labels of CIFAR-10's binary version (archive, its folder, or one ``.bin``) or an SVHN ``.mat``.

    Parameters
    ----------
    path : str or Path
        The file or folder, as it was downloaded.

    Returns
    -------
    dict
        ``"train"`` and, if the archive has one, ``"test"``: images (n, 32, 32, 3) uint8, labels (n,) int64 from
        0, and the classes' names.

    Raises
    ------
    InputError
        If it is damaged, truncated, or holds a label without a class.
    """
    path = Path(path)
    if path.suffix == ".mat":
        return {"train": _read_svhn(path)}
    batches = _cifar_batches(path)
    split: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"train": [], "test": []}
    for name, content in sorted(batches.items()):
        split["test" if name.startswith("test") else "train"].append(_cifar_images(content, f"{path}: {name}"))
    missing = _missing_batches(batches)
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}; download it again")
    if not split["train"]:
        raise InputError(f"{path} holds no data_batch_*.bin; is it the binary version of CIFAR-10?")
    return {
        part: (np.concatenate([i for i, _ in found]), np.concatenate([k for _, k in found]), CIFAR10_CLASSES)
        for part, found in split.items()
        if found
    }


def _cifar_batches(path: Path) -> dict[str, bytes]:
    """Content of the batches, by file name; nothing is unpacked to disk."""
    if path.is_dir():
        names = [name for name in visible_files(path, suffixes=(".bin",)) if "_batch" in name]
        return {name: read_bytes(inside(path, name, f"{path}: {name}"), largest=LARGEST_BATCH_BYTES) for name in names}
    checked_file(path, "archive")
    if path.suffix == ".bin":
        name = path.name if "batch" in path.name else "data_batch.bin"
        return {name: read_bytes(path, largest=LARGEST_BATCH_BYTES)}
    try:
        return _packed_batches(path)
    except InputError:
        raise
    except (OSError, EOFError, ValueError, tarfile.TarError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged or cut off ({one_line(error)}); download it again") from error


def _packed_batches(path: Path) -> dict[str, bytes]:
    """Batches of an archive, read to its end, where gzip's checksum and the end mark of a tar are."""
    batches: dict[str, bytes] = {}
    with gzip.open(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r:") as archive:
        for member in archive:
            name = PurePosixPath(member.name).name
            is_batch = member.isfile() and name.endswith(".bin") and "_batch" in name and not name.startswith(".")
            if member.size > (LARGEST_BATCH_BYTES if is_batch else LARGEST_MEMBER_BYTES):
                raise InputError(
                    f"{path}: {name} claims {member.size:,} bytes, which no file of CIFAR-10 has; download it again"
                )
            if name in batches:
                raise InputError(f"{path}: holds {name} twice; download it again")
            content = archive.extractfile(member) if is_batch else None
            if content is not None:
                batches[name] = content.read()
        if unpacked.tell() <= archive.offset:
            raise tarfile.TarError("it has no end mark")
        if len(unpacked.read(LARGEST_MEMBER_BYTES)) == LARGEST_MEMBER_BYTES:
            raise InputError(f"{path}: there is more data after the end of its files; download it again")
    return batches


def _missing_batches(names: Iterable[str]) -> list[str]:
    """Names of missing batches between those present; CIFAR-10 numbers its batches from 1."""
    found = [re.fullmatch(r"data_batch_(\d{1,3})\.bin", name) for name in names]
    numbers = {int(match[1]) for match in found if match}
    return [f"data_batch_{n}.bin" for n in range(1, max(numbers, default=0)) if n not in numbers]


def _cifar_images(content: bytes, where: str) -> tuple[np.ndarray, np.ndarray]:
    if not content or len(content) % RECORD_BYTES:
        raise InputError(
            f"{where}: {len(content):,} bytes are not a whole number of images of {RECORD_BYTES:,} bytes; download it "
            "again"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, RECORD_BYTES)
    labels = records[:, 0].astype(np.int64)
    if labels.max() >= len(CIFAR10_CLASSES):
        raise InputError(f"{where}: label {labels.max()} is out of range; CIFAR-10 has 0 to {len(CIFAR10_CLASSES) - 1}")
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels


def _read_svhn(path: Path) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    names = variable_names(checked_file(path))
    if not {"X", "y"} <= set(names):
        raise InputError(f"{path}: holds {', '.join(names) or 'nothing'}, not X and y; is it SVHN's *_32x32.mat?")
    held = read_variables(path, ["X", "y"])
    images, labels = np.asarray(held["X"]), np.asarray(held["y"]).ravel()
    if images.ndim != 4 or images.shape[2] != 3 or images.dtype != np.uint8 or images.shape[3] != len(labels):
        raise InputError(
            f"{path}: X is {images.dtype} {images.shape} and y holds {labels.size}; SVHN keeps uint8 "
            "(height, width, 3, n) and n labels"
        )
    if labels.size and not (np.isin(labels, np.arange(1, 11))).all():
        wrong = labels[~np.isin(labels, np.arange(1, 11))][0]
        raise InputError(f"{path}: label {wrong} is out of range; SVHN has 1 to 10, 10 for the digit 0")
    return images.transpose(3, 0, 1, 2), labels.astype(np.int64) % 10, SVHN_CLASSES
