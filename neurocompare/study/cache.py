"""Cache of finished steps, by the hash of their inputs.

A key is the SHA-256 of a step's name, its inputs and its code, so an entry is never out of date: any change gives
another key. Entries are written whole or not at all and can be shared by simultaneous runs; one run computes a step
while the others wait.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import logging
import os
import struct
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import filelock

from neural_data.errors import InputError
from neural_data.formats.bounds import one_line, whole_file
from neurocompare import __version__
from neurocompare.places import CACHE_VARIABLE, cache_folder

__all__ = ["Cache", "Entry", "Json", "Result", "installed_version", "open_cache", "step_key"]

log = logging.getLogger(__name__)

Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
"""JSON values, of which keys are made."""
Result = TypeVar("Result")
NUMERICAL = ("torch", "numpy", "scipy", "rsatoolbox", "pandas", "matplotlib", "numba", "trimesh", "embreex", "pillow")
"""Packages whose version can change the bytes of a result."""
ABOUT = "about.json"
"""What an entry says of itself: its kind, label, seconds and work."""
DAMAGED = (
    *(OSError, ValueError, TypeError, AttributeError, LookupError, EOFError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""Exceptions of reading a damaged entry."""


@dataclass(frozen=True)
class Entry:
    """One step in the cache.

    Parameters
    ----------
    key : str
        Name of the entry.
    kind : str
        Type of the step, see ``planning.Step``: ``stimuli``, ``presentation``, the key of a measure, ``figure``, ...
    label : str
        Name for users.
    seconds, work : float
        Duration, and amount of work in a unit that depends on ``kind``.
    n_bytes : int
        Size on disk.
    used : float
        Time of last use, seconds since 1970.
    """

    key: str
    kind: str
    label: str
    seconds: float
    work: float
    n_bytes: int
    used: float


def step_key(step: str, depends: Mapping[str, Json], *, code: str | None = None) -> str:
    """Cache key of a step.

    Parameters
    ----------
    step : str
        Name of the step's kind.
    depends : mapping
        Everything that the result depends on, as JSON values; keys of earlier steps stand for their results.
    code : str or None
        Identifies the code of the step; None: the code of the whole package.

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    content = {"step": step, "code": code or _code(), "depends": dict(depends)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def installed_version(name: str) -> str | None:
    """Version of an installed package; None for one of an extra that is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@functools.cache
def _code() -> str:
    """SHA-256 of the source files and of the versions of numerical packages; computed once per process (10 ms)."""
    digest = hashlib.sha256(__version__.encode())
    package = Path(__file__).resolve().parents[1]
    for root in (package, package.parent / "neural_data"):
        for path in sorted(root.rglob("*.py")):
            digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    for name in NUMERICAL:
        digest.update(f"{name} {installed_version(name)}".encode())
    return digest.hexdigest()


def open_cache(folder: str | Path | None = None) -> Cache:
    """Open the cache in a folder.

    Parameters
    ----------
    folder : str, Path or None
        None: the folder that ``NEUROCOMPARE_CACHE`` names, else the user's cache folder.

    Returns
    -------
    Cache

    Raises
    ------
    InputError
        If the folder cannot be created or written.
    """
    place = cache_folder() if folder is None else Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=place).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or one_line(error)
        raise InputError(
            f"the cache folder {place} cannot be written ({reason}); name another one in {CACHE_VARIABLE}"
        ) from error
    return Cache(place)


@dataclass(frozen=True)
class Cache:
    """A folder of finished steps; see :func:`open_cache`.

    Parameters
    ----------
    folder : pathlib.Path
        Holds one file a step; need not exist.
    """

    folder: Path

    def has(self, key: str) -> bool:
        """Whether a step is in the cache."""
        return self._path(key).is_file()

    def load(self, key: str) -> Any:
        """Result of a step in the cache.

        Raises
        ------
        KeyError
            If it is not in the cache, or its file cannot be read or is damaged; a damaged file is removed if possible.
        """
        from neurocompare.study.packing import unpack  # here, as it imports what all steps need

        return self._read(key, lambda archive: unpack(archive.read("value")))

    def load_files(self, key: str) -> dict[str, bytes]:
        """Files that :meth:`store_files` stored, by name.

        Raises
        ------
        KeyError
            As :meth:`load`.
        """
        return self._read(
            key, lambda archive: {name: archive.read(name) for name in archive.namelist() if name != ABOUT}
        )

    def _read(self, key: str, read: Callable[[zipfile.ZipFile], Result]) -> Result:
        path = self._path(key)
        try:
            with zipfile.ZipFile(path) as archive:
                value = read(archive)
        except FileNotFoundError:
            raise KeyError(key) from None
        except PermissionError as error:
            log.warning("cache entry %s cannot be read (%s); the step is computed again", path, error.strerror)
            raise KeyError(key) from error
        except DAMAGED as error:
            log.warning("cache entry %s is damaged (%s) and computed again", path, one_line(error))
            _remove(path)
            raise KeyError(key) from error
        # Another user's entry can be readable but not writable.
        with suppress(OSError):
            os.utime(path)
        return value

    def store(self, key: str, value: Result, *, kind: str, label: str, seconds: float, work: float) -> Result:
        """Store the result of a step, whole or not at all.

        Parameters
        ----------
        key : str
            Key of the step.
        value : object
            Its result.
        kind, label : str
            Kind of step, and its name for users.
        seconds : float
            Time that the step took.
        work : float
            Units of work, by which times of steps of one kind are compared.

        Returns
        -------
        object
            The value as :meth:`load` returns it, so that a run does not depend on which steps were cached.
        """
        from neurocompare.study.packing import pack, unpack

        content = pack(value)
        self._keep(key, {"value": content}, kind=kind, label=label, seconds=seconds, work=work)
        return unpack(content)

    def store_files(self, key: str, files: Mapping[str, bytes], *, kind: str, label: str, seconds: float) -> None:
        """Store files by name, whole or not at all.

        Parameters
        ----------
        key : str
            Key of the step.
        files : mapping of str to bytes
            Content of each file.
        kind, label : str
            Kind of step, and its name for users.
        seconds : float
            Time that the step took.
        """
        self._keep(key, files, kind=kind, label=label, seconds=seconds, work=1.0)

    def _keep(
        self, key: str, parts: Mapping[str, bytes], *, kind: str, label: str, seconds: float, work: float
    ) -> None:
        about = {"kind": kind, "label": label, "seconds": seconds, "work": work}
        try:
            self._write(self._path(key), {ABOUT: json.dumps(about).encode(), **parts})
        except (OSError, InputError) as error:
            log.warning("step %s is not cached: %s", label, error)

    def obtain(self, key: str, make: Callable[[], Result], *, kind: str, label: str, work: float = 1.0) -> Result:
        """Result of a step from the cache, else from ``make``, which is then stored.

        If another run is computing the same step, this one waits for it.

        Parameters
        ----------
        key : str
            Key of the step.
        make : callable
            Computes the result.
        kind, label : str
            Kind of step, and its name for users.
        work : float
            Units of work, by which times of steps of one kind are compared.
        """
        with self.lock(key):
            try:
                return self.load(key)
            except KeyError:
                start = time.perf_counter()
                value = make()
                seconds = time.perf_counter() - start
                return self.store(key, value, kind=kind, label=label, seconds=seconds, work=work)

    @contextmanager
    def lock(self, key: str, *, wait: bool = True) -> Iterator[bool]:
        """Lock for computing a step; yields False if another run holds it and ``wait`` is False.

        The lock ends with the process that holds it. On file systems without locks there is none: work may be done
        twice there, but entries are complete.
        """
        folder = self.folder / "locks"
        try:
            folder.mkdir(exist_ok=True)
            lock = filelock.FileLock(folder / f"{key}.lock")
            lock.acquire(timeout=-1 if wait else 0)
        except filelock.Timeout:
            yield False
            return
        except (NotImplementedError, OSError) as error:
            log.warning("no file locks in %s (%s)", self.folder, error)
            yield True
            return
        try:
            yield True
        finally:
            lock.release()

    def entries(self) -> list[Entry]:
        """All entries, the most recently used last."""
        found = []
        for path in self.folder.glob("??/[!.]*.zip"):
            try:
                with zipfile.ZipFile(path) as archive:
                    about = json.loads(archive.read(ABOUT))
                status = path.stat()
                entry = Entry(
                    path.stem,
                    kind=str(about["kind"]),
                    label=str(about["label"]),
                    seconds=float(about["seconds"]),
                    work=float(about["work"]),
                    n_bytes=status.st_size,
                    used=status.st_mtime,
                )
            except DAMAGED:
                continue
            found.append(entry)
        return sorted(found, key=lambda entry: (entry.used, entry.key))

    def prune(self, *, unused_days: float = 0.0, now: float | None = None) -> list[Entry]:
        """Remove entries that were not used for some days, and incomplete files of killed runs.

        Returns
        -------
        list of Entry
            The removed entries.
        """
        limit = (time.time() if now is None else now) - unused_days * 86_400
        old = [entry for entry in self.entries() if entry.used <= limit]
        removed = [entry for entry in old if _remove(self._path(entry.key))]
        for path in [*self.folder.glob("??/.*.partial.zip"), *self.folder.glob("locks/*.lock")]:
            with suppress(OSError):
                if path.stat().st_mtime <= min(limit, time.time() - 86_400 * (unused_days > 0)):
                    path.unlink()
        return removed

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.zip"

    @staticmethod
    def _write(path: Path, parts: Mapping[str, bytes]) -> None:
        """Write a zip; it gets its name only when it is complete and on disk."""
        path.parent.mkdir(exist_ok=True)
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
        with whole_file(path, durable=True) as partial:
            partial.write_bytes(held.getbuffer())


def _remove(path: Path) -> bool:
    """Remove a file; if that fails, the log says why."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s cannot be removed (%s) and is left in the cache", path, error.strerror)
        return False
    return True
