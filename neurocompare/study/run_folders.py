"""Output folders: written whole or not at all, and replacing only a folder that the same command wrote.

The provenance of every finished folder states the command that wrote it, and lists its files with sizes and checksums.
A folder that holds any other file, or a changed one, may be somebody's work and is refused before the command computes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from neural_data.errors import InputError, closest
from neural_data.formats.bounds import is_partial
from neurocompare import __version__

__all__ = ["LOG", "MARK", "update_mark", "whole_folder"]

MARK = "provenance.json"
"""The file that marks a finished folder; its entry ``written`` lists the files of the folder."""
LOG = "run.log"
"""The log holds times and differs between runs, so it is listed without size and checksum."""
COMMANDS = {
    "run": "is no earlier run",
    "power": "is no earlier power analysis",
    "render": "is no earlier stimulus set",
    "train": "no earlier training",
    "describe": "is no earlier description",
}
"""Commands that write a folder, and the end of their message on a foreign folder: it "holds files and ..."."""
BY_THE_SYSTEM = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""Files that file browsers leave in folders; they are ignored."""
SHOWN = 3
MOST_MARK_BYTES = 2**24


@contextmanager
def whole_folder(out: str | Path, *, command: str = "run", unfinished: Collection[str] = ()) -> Iterator[Path]:
    """Temporary folder that becomes ``out`` when the ``with`` block succeeds, and is removed when it fails.

    Parameters
    ----------
    out : str or pathlib.Path
        Absent, empty, or written by the same command before, which is replaced at the end. A link to a folder stands
        for that folder.
    command : str
        The command that writes, one of :data:`COMMANDS`.
    unfinished : collection of str
        Names of files that an interrupted command leaves in ``out``.

    Yields
    ------
    pathlib.Path
        A folder beside ``out``, on the same disk.

    Raises
    ------
    InputError
        Before the block: if ``out`` cannot be written or replaced, or holds anything that this command did not
        write. After it: if somebody put files into ``out`` meanwhile, or the disk is full.
    """
    if command not in COMMANDS:
        raise ValueError(f"no command {command!r} writes a folder: {closest(command, COMMANDS)}")
    named, out = out, _place(out)
    _check(out, command, unfinished)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _clear_up(out)
        staging = Path(tempfile.mkdtemp(prefix=_prefix(out, "new"), dir=out.parent))
        if out.exists():
            tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise InputError(
            f"{named} cannot be written ({error.strerror}); name a folder that you may write to"
        ) from error
    try:
        staging.chmod(0o755)
        yield staging
        _write_mark(staging, command)
        _check(out, command, unfinished, computed=True)
        try:
            _replace(staging, out)
        except OSError as error:
            raise InputError(f"{named} cannot be written ({error.strerror}); finished steps are kept") from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise InputError(
            f"{named} cannot be written: the disk is full; free space and run again, finished steps are kept"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def update_mark(folder: Path, names: Collection[str]) -> None:
    """Update the list of files of a finished folder after some were rewritten, such as the report.

    Parameters
    ----------
    folder : pathlib.Path
        A finished folder; one without provenance is not changed.
    names : collection of str
        Paths relative to the folder.
    """
    record = _record(folder)
    written = _written(record)
    if written is None:
        return
    written["files"] |= {name: _about(folder / name) for name in names}
    _write(folder, record)


def _place(out: str | Path) -> Path:
    """Absolute path of a folder, with links followed."""
    try:
        path = Path(os.path.abspath(out))
        if path.is_symlink():
            if not path.exists():
                raise InputError(f"{out} is a link to {os.readlink(path)}, which does not exist; name a folder")
            path = path.resolve()
        path.lstat()
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        # An embedded NUL is a ValueError, a name that is too long an OSError.
        reason = getattr(error, "strerror", None) or str(error)
        shown = str(out) if len(str(out)) <= 160 else f"{str(out)[:80]}..."
        raise InputError(f"{shown!r} cannot be written ({reason}); name another folder") from error
    return path


def _check(out: Path, command: str, unfinished: Collection[str], *, computed: bool = False) -> None:
    """Refuse a folder that holds anything that the command did not write.

    ``computed`` says that the check is the second one, after the work.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise InputError(f"{out} is a file; name a folder")
    here = _here()
    if here is not None and (here == out or out in here.parents):
        raise InputError(
            f"{out} is the current folder, or contains it, and would be replaced; name another one, such as "
            "--out results"
        )
    if os.path.ismount(out):
        raise InputError(f"{out} is the mount point of a disk and cannot be replaced; name a folder inside it")
    try:
        foreign = _not_ours(out, command, unfinished)
    except OSError as error:
        raise InputError(f"{out} cannot be read ({error.strerror}); name another folder") from error
    if foreign:
        kept = "; nothing in it was touched, and finished steps are kept" if computed else ""
        raise InputError(f"{out} {foreign}{kept}; name a new or empty folder, or move or remove this one")


def _here() -> Path | None:
    try:
        return Path.cwd()
    except OSError:
        return None


def _not_ours(out: Path, command: str, unfinished: Collection[str]) -> str:
    """Why a folder must not be replaced, in words; empty if it may be replaced."""
    found = _entries(out)
    # A killed process leaves partial files.
    for name in [name for name in found if name in {*unfinished, *BY_THE_SYSTEM} or is_partial(name)]:
        del found[name]
    if not found:
        return ""
    record = _record(out)
    written = _written(record)
    if written is None:
        if MARK in found:
            return (
                f"holds files, and its {MARK} does not list those that neurocompare wrote: it is a run of an earlier "
                "version, or not ours"
            )
        return f"holds files and {COMMANDS[command]}: neurocompare did not write {_some(found)}"
    if written["command"] != command:
        return f"was written by 'neurocompare {written['command']}', and 'neurocompare {command}' would replace it"
    listed = written["files"]
    folders = {parent.as_posix() for name in listed for parent in Path(name).parents}
    more = [
        name
        for name, path in found.items()
        if name != MARK and name not in listed and not (name in folders and path.is_dir() and not path.is_symlink())
    ]
    more = [name for name in more if Path(name).name not in BY_THE_SYSTEM]
    if more:
        return f"holds files that neurocompare did not write: {_some(more)}"
    changed = [name for name, about in listed.items() if name in found and not _is_as_written(found[name], about)]
    if MARK in found and written.get("sha256") != _sum_of_record(record):
        changed.append(MARK)
    return f"holds files that were changed since neurocompare wrote them: {_some(changed)}" if changed else ""


def _some(names: Collection[str]) -> str:
    names = sorted(name for name in names if not any(str(parent) in names for parent in Path(name).parents))
    shown = ", ".join(repr(name) if not name.isprintable() else name for name in names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _entries(folder: Path) -> dict[str, Path]:
    """All files and folders inside a folder, by relative path; links are not followed."""
    found = {}

    def refuse(error: OSError) -> None:
        raise error

    for place, folders, files in os.walk(folder, onerror=refuse):
        for name in (*folders, *(name for name in files if not is_partial(name))):
            path = Path(place, name)
            found[path.relative_to(folder).as_posix()] = path
    return found


def _about(path: Path) -> dict[str, int | str] | None:
    """Size and checksum of a file; None for the log."""
    if path.name == LOG:
        return None
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _is_as_written(path: Path, about: dict | None) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    return about is None or (path.stat().st_size == about.get("bytes") and _about(path) == about)


def _write_mark(folder: Path, command: str) -> None:
    files = {name: _about(path) for name, path in sorted(_entries(folder).items()) if path.is_file() and name != MARK}
    record = {"neurocompare": __version__}
    if (folder / MARK).exists():
        record = json.loads((folder / MARK).read_text(encoding="utf-8"))
    _write(folder, record | {"written": {"command": command, "files": files}})


def _write(folder: Path, record: dict) -> None:
    record["written"]["sha256"] = _sum_of_record(record)
    handle, part = tempfile.mkstemp(prefix=f".{MARK}.", dir=folder)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(record, file, indent=2)
        file.write("\n")
    os.chmod(part, 0o644)
    os.replace(part, folder / MARK)


def _sum_of_record(record: dict) -> str:
    """Checksum of a provenance without its list of files."""
    rest = {name: value for name, value in record.items() if name != "written"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _record(folder: Path) -> dict:
    """The provenance of a folder; empty if it has none that can be read."""
    path = folder / MARK
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MOST_MARK_BYTES:
            return {}
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _written(record: dict) -> dict | None:
    """The list of files in a provenance."""
    written = record.get("written")
    if not isinstance(written, dict) or not isinstance(written.get("command"), str):
        return None
    files = written.get("files")
    if not isinstance(files, dict) or not all(about is None or isinstance(about, dict) for about in files.values()):
        return None
    return written


def _replace(new: Path, out: Path) -> None:
    """Replace the old folder by the new one; the old one is kept until the new one is in place."""
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
    return f"{_start(out, kind)}{os.getpid()}."


def _start(out: Path, kind: str) -> str:
    """The same for any process of this machine. Short, whatever the names of the folder and of the machine."""
    whose = hashlib.sha256(f"{socket.gethostname()}/{out.name}".encode(errors="surrogateescape")).hexdigest()[:16]
    return f".neurocompare.{kind}.{whose}."


def _clear_up(out: Path) -> None:
    """Remove leftovers of killed runs beside ``out``, and restore an earlier run that one of them had moved."""
    for kind in ("old", "new"):
        start = _start(out, kind)
        for left in sorted(out.parent.glob(f"{start}*")):
            owner = left.name.removeprefix(start).partition(".")[0]
            if not owner.isdigit() or _is_running(int(owner)):
                continue
            if kind == "old" and (left / "run").is_dir() and not out.exists():
                with suppress(OSError):
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
