"""Folders that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import socket
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
        _clear_up(out)
        staging = Path(tempfile.mkdtemp(prefix=_prefix(out, "new"), dir=out.parent))
        if out.exists():
            tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}); name a folder that you may write to") from error
    try:
        staging.chmod(0o755)
        yield staging
        _replace(staging, out)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(
            f"{out} cannot be written: the disk is full; make room and run again, finished steps are kept"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _replace(new: Path, out: Path) -> None:
    """Put the new folder in the place of the old one, which is there until the new one is."""
    if not out.exists():
        os.replace(new, out)
        return
    old = Path(tempfile.mkdtemp(prefix=_prefix(out, "old"), dir=out.parent))
    os.replace(out, old / "run")
    try:
        os.replace(new, out)
    except OSError:
        os.replace(old / "run", out)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _prefix(out: Path, kind: str) -> str:
    """Start of the name of a folder beside ``out`` that belongs to this process."""
    return f".{out.name}.{kind}.{socket.gethostname()}.{os.getpid()}."


def _clear_up(out: Path) -> None:
    """Remove what killed runs on this machine left beside ``out``; put an earlier run back that one of them moved."""
    for kind in ("old", "new"):
        start = f".{out.name}.{kind}.{socket.gethostname()}."
        for left in sorted(out.parent.glob(f"{start}*")):
            owner = left.name.removeprefix(start).partition(".")[0]
            if not owner.isdigit() or _is_running(int(owner)):
                continue
            if kind == "old" and (left / "run").is_dir() and not out.exists():
                os.replace(left / "run", out)
            shutil.rmtree(left, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
