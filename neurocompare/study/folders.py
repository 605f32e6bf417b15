"""Folders that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neural_data.errors import InputError

__all__ = ["MARK", "whole_folder"]

MARK = "provenance.json"
"""The file by which a finished run folder is known."""


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A folder to write into, which becomes ``out`` when the block ends well and vanishes when it does not.

    Parameters
    ----------
    out : pathlib.Path
        Absent, empty, or an earlier run, which is replaced at the end.

    Yields
    ------
    pathlib.Path
        A folder beside ``out``, on the same disk.

    Raises
    ------
    InputError
        Before the block runs: if ``out`` cannot be written, or holds files that are no earlier run.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file():
        raise InputError(f"{out} holds files and is no earlier run (it has no {MARK}); name a new or empty folder")
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; name a folder for the run")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        if out.exists():
            tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}); name a folder that you may write to") from error
    try:
        staging.chmod(0o755)
        yield staging
        _replace(staging, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _replace(new: Path, out: Path) -> None:
    """Put the new folder in the place of the old one, which is there until the new one is."""
    if not out.exists():
        os.replace(new, out)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}.old.", dir=out.parent))
    os.replace(out, old / "run")
    try:
        os.replace(new, out)
    except OSError:
        os.replace(old / "run", out)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
