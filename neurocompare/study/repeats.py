"""The files of a finished run, kept in the cache, so that an equal run is written again without computing anything.

The key of a run holds the study and its options, the code and data of the package, and the versions of what it is
installed with. What a study reads is kept beside the files as checksums and compared before they are written again.
Runs whose input cannot be listed so are not kept; see ``study.inputs.ListedInputs``. This module imports no numerical
package.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from importlib.resources import files
from pathlib import Path, PurePosixPath

from neural_data.errors import InputError
from neurocompare.study.cache import Cache, Json, installed_version, step_key
from neurocompare.study.run_folders import LOG, MARK, whole_folder

__all__ = ["Contents", "checksums", "demo_key", "keep_run", "study_key", "write_again"]

SAID = "said.txt"
"""What a run printed at its end, beside the files of its folder."""
INPUTS = "inputs.json"
"""Checksums of what the run read."""
_FOLDER = "run/"
_DATA = ("demo.toml", "models/pretrained/*.safetensors")
MOST_BYTES = 2**30
"""Runs that read or wrote more are not kept."""
MOST_FILES = 20_000
Contents = Mapping[str, Mapping[str, str] | None]
"""For each file or folder, the SHA-256 of its files by name; None: it does not exist."""


def demo_key(*, quick: bool, device: str) -> str:
    """Key of a demo.

    Parameters
    ----------
    quick : bool
        Whether it is run with ``--quick``.
    device : str
        As asked for, such as ``auto``.

    Returns
    -------
    str
        For :func:`write_again` and :func:`keep_run`.
    """
    return step_key("demo", _surroundings() | {"quick": quick, "device": device})


def study_key(study: str | Path, overrides: Mapping[str, str], *, quick: bool, device: str) -> str | None:
    """Key of a run of a study file.

    Parameters
    ----------
    study : str or Path
        The study file.
    overrides : mapping of str to str
        Dotted keys and values, as given.
    quick, device
        As for :func:`demo_key`.

    Returns
    -------
    str or None
        For :func:`write_again` and :func:`keep_run`; None if the file cannot be read.
    """
    content = checksums([study])
    if not content or not content[str(Path(study))]:
        return None
    # Paths are relative to the folders of the study and of the program.
    places = [str(Path(study).resolve()), os.getcwd()]
    options: dict[str, Json] = {"quick": quick, "device": device, "overrides": dict(overrides), "places": places}
    return step_key("study", _surroundings() | options | {"content": content})


def _surroundings() -> dict[str, Json]:
    """Data of the package, versions of what it is installed with, and the machine."""
    package = Path(str(files("neurocompare")))
    data = {
        path.relative_to(package).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for pattern in _DATA
        for path in sorted(package.glob(pattern))
    }
    try:
        required = metadata.requires("neurocompare") or ()
    except metadata.PackageNotFoundError:
        required = ()  # run from its source: the key of any step has the numerical packages
    names = {re.split(r"[^\w.-]", name)[0] for name in required}
    return {
        "data": data,
        "installed": {name: installed_version(name) for name in sorted(names)},
        "machine": [platform.python_version(), sys.platform, platform.machine(), platform.node()],
    }


def checksums(places: Iterable[str | Path]) -> dict[str, dict[str, str] | None] | None:
    """Checksums of files and of all files in folders.

    Parameters
    ----------
    places : iterable of str or Path
        Files and folders.

    Returns
    -------
    dict of str to dict of str to str, or None
        See :data:`Contents`. None if there are too many files or bytes, or one cannot be read.
    """
    found: dict[str, dict[str, str] | None] = {}
    n_files, n_bytes = 0, 0
    try:
        for place in sorted(map(Path, places)):
            if not place.exists():
                found[str(place)] = None
                continue
            inside = [Path(folder, name) for folder, _, names in os.walk(place) for name in names]
            sums = {}
            for path in [place] if place.is_file() else sorted(inside):
                n_files, n_bytes = n_files + 1, n_bytes + path.stat().st_size
                if n_files > MOST_FILES or n_bytes > MOST_BYTES:
                    return None
                with path.open("rb") as file:
                    sums[path.relative_to(place).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
            found[str(place)] = sums
    except OSError:
        return None
    return found


def write_again(cache: Cache, key: str, out: str | Path) -> list[str] | None:
    """Write the folder of a finished run again, if what it read is as it was.

    Parameters
    ----------
    cache : Cache
        Where the files are kept.
    key : str
        From :func:`demo_key` or :func:`study_key`.
    out : str or Path
        As for :func:`~neurocompare.study.runner.run_study`.

    Returns
    -------
    list of str or None
        What the run printed at its end; None if the cache does not hold it or its input changed, and nothing was
        written.

    Raises
    ------
    InputError
        If the folder cannot be written or replaced.
    """
    try:
        kept = cache.load_files(key)
        said = kept.pop(SAID).decode().splitlines()
        inputs = json.loads(kept.pop(INPUTS))
    except (KeyError, ValueError):
        return None
    if not all(name.startswith(_FOLDER) and ".." not in PurePosixPath(name).parts for name in kept):
        return None
    if checksums(inputs) != inputs:
        return None
    with whole_folder(out) as folder:
        for name, content in kept.items():
            path = folder / name.removeprefix(_FOLDER)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (folder / LOG).write_text("These are the files of an equal run, taken from the cache.\n", encoding="utf-8")
    return said


def keep_run(
    cache: Cache,
    key: str,
    out: str | Path,
    said: list[str],
    *,
    seconds: float,
    label: str = "demo",
    inputs: Contents | None = None,
) -> None:
    """Keep the files of a finished run, but for its log.

    Parameters
    ----------
    cache : Cache
        Where the files are kept.
    key : str
        From :func:`demo_key` or :func:`study_key`.
    out : str or Path
        The run folder.
    said : list of str
        What the run printed at its end.
    seconds : float
        Its duration.
    label : str
        Name for users.
    inputs : mapping or None
        From :func:`checksums`, of all that the run read; None if it read nothing but the package.
    """
    folder = Path(out)
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != LOG)
    if folder / MARK not in found:
        raise InputError(f"{folder} is no finished run; its {MARK} is not there")
    if sum(path.stat().st_size for path in found) > MOST_BYTES:
        return
    content = {_FOLDER + path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
    beside = {SAID: "\n".join(said).encode(), INPUTS: json.dumps(dict(inputs or {})).encode()}
    cache.store_files(key, content | beside, kind="run", label=label, seconds=seconds)
