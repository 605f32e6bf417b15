"""The files of the finished demo, kept in the cache, so that an equal one is written again without computing anything.

The demo reads nothing but this package: its key holds the code and data of the package and the versions of what it is
installed with. Studies of users can depend on files and code of theirs, and go through all their steps each time.
This module imports no numerical package.
"""

from __future__ import annotations

import hashlib
import platform
import re
import sys
from importlib import metadata
from importlib.resources import files
from pathlib import Path, PurePosixPath

from neural_data.errors import InputError
from neurocompare.study.cache import Cache, installed_version, step_key
from neurocompare.study.run_folders import LOG, MARK, whole_folder

__all__ = ["demo_key", "keep_run", "write_again"]

SAID = "said.txt"
"""What a run printed at its end, beside the files of its folder."""
_FOLDER = "run/"
_DATA = ("demo.toml", "models/pretrained/*.safetensors")


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
    return step_key(
        "demo",
        {
            "data": data,
            "installed": {name: installed_version(name) for name in sorted(names)},
            "machine": [platform.python_version(), sys.platform, platform.machine(), platform.node()],
            "quick": quick,
            "device": device,
        },
    )


def write_again(cache: Cache, key: str, out: str | Path) -> list[str] | None:
    """Write the folder of a finished run again.

    Parameters
    ----------
    cache : Cache
    key : str
        From :func:`demo_key`.
    out : str or Path
        As for :func:`~neurocompare.study.runner.run_study`.

    Returns
    -------
    list of str or None
        What the run printed at its end; None if the cache does not hold it, and nothing was written.

    Raises
    ------
    InputError
        If the folder cannot be written or replaced.
    """
    try:
        kept = cache.load_files(key)
        said = kept.pop(SAID).decode().splitlines()
    except (KeyError, ValueError):
        return None
    if not all(name.startswith(_FOLDER) and ".." not in PurePosixPath(name).parts for name in kept):
        return None
    with whole_folder(out) as folder:
        for name, content in kept.items():
            path = folder / name.removeprefix(_FOLDER)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (folder / LOG).write_text("These are the files of an equal run, taken from the cache.\n", encoding="utf-8")
    return said


def keep_run(cache: Cache, key: str, out: str | Path, said: list[str], *, seconds: float) -> None:
    """Keep the files of a finished run, but for its log.

    Parameters
    ----------
    cache : Cache
    key : str
        From :func:`demo_key`.
    out : str or Path
        The run folder.
    said : list of str
        What the run printed at its end.
    seconds : float
        Its duration.
    """
    folder = Path(out)
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != LOG)
    content = {_FOLDER + path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
    if _FOLDER + MARK not in content:
        raise InputError(f"{folder} is no finished run; its {MARK} is not there")
    cache.store_files(key, content | {SAID: "\n".join(said).encode()}, kind="run", label="demo", seconds=seconds)
