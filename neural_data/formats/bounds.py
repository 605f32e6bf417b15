"""Safe reading and writing of files: only regular files, only inside the given folder, only what fits into memory.

Every reader of this package opens files through these functions. A file that is missing, unreadable, not a regular
file, or that unpacks to more than memory holds is refused with one message before anything is loaded.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

from neural_data.errors import InputError

__all__ = [
    "DEEPEST",
    "LARGEST_CLAIM",
    "checked_file",
    "checked_folder",
    "is_partial",
    "one_line",
    "read_bytes",
    "read_member",
    "refuse_claim",
    "visible_files",
    "whole_file",
]

DEEPEST = 64
"""Groups or arrays inside one another that a file may have."""
LARGEST_CLAIM = 4_000_000_000
"""Bytes of memory that the content of one file may take."""
SMALL_CLAIM = 128_000_000
"""A file of any size may unpack to this many bytes; beyond it, :data:`LARGEST_RATIO` applies."""
LARGEST_RATIO = 1_100
"""Largest ratio of bytes in memory to bytes on disk; deflate, the usual compression, reaches at most 1,032 to 1."""
LARGEST_FILE = 256_000_000
"""Largest size, bytes, of a file or zip member that is read in one piece, such as an image."""
_NAMES = {stat.S_IFIFO: "a FIFO", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}
_SYSTEM_FOLDERS = ("__MACOSX",)


def checked_file(path: str | Path, what: str = "file") -> Path:
    """The path, checked to be a regular, readable, non-empty file.

    Parameters
    ----------
    path : str or Path
        The file, as the user gave it.
    what : str
        What messages call the file: ``no such {what}``.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If nothing is there, or it is a folder, a FIFO, a device, a link that leads back to itself, empty, or not
        readable by this user.
    """
    path = Path(path)
    mode = _mode(path, what)
    if stat.S_ISDIR(mode):
        raise InputError(f"{path}: is a folder; name a {what}")
    if not stat.S_ISREG(mode):
        raise InputError(
            f"{path}: is not an ordinary file but {_NAMES.get(stat.S_IFMT(mode), 'something else')}; name a file"
        )
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(_refusal(path, what, error)) from None
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is empty (0 bytes); replace the file")
    return path


def checked_folder(path: str | Path, what: str = "folder") -> Path:
    """The path, checked to be a folder that can be listed; see :func:`checked_file`."""
    path = Path(path)
    if not stat.S_ISDIR(_mode(path, what)):
        raise InputError(f"{path}: is not a folder; name a {what}")
    try:
        with os.scandir(path):
            pass
    except OSError as error:
        raise InputError(_refusal(path, what, error)) from None
    return path


def exists(path: str | Path) -> bool:
    """Whether there is a file or folder at a path; raises if the path cannot be examined."""
    try:
        _mode(Path(path), "file or folder")
    except InputError as error:
        if "no such" in str(error):
            return False
        raise
    return True


def visible_files(folder: str | Path, *, suffixes: Collection[str] | None = None, deep: bool = False) -> list[str]:
    """Files of a folder as paths relative to it, sorted, without hidden files and folders.

    Parameters
    ----------
    folder : str or Path
        An existing folder.
    suffixes : collection of str or None
        File name extensions in lower case, such as ``.mat``; None lists all files.
    deep : bool
        Whether subfolders are searched too; links to folders are not followed.

    Returns
    -------
    list of str
        With forward slashes. Names that begin with a dot, such as ``._face.png`` beside ``face.png`` on disks that a
        Mac has written to, are not listed.

    Raises
    ------
    InputError
        If the folder cannot be listed.
    """
    folder = checked_folder(folder)

    def failed(error: OSError) -> None:
        raise InputError(_refusal(Path(error.filename or folder), "folder", error)) from None

    found = []
    for place, folders, names in os.walk(folder, onerror=failed, followlinks=False):
        folders[:] = [] if not deep else [f for f in folders if not f.startswith(".") and f not in _SYSTEM_FOLDERS]
        for name in names:
            if not name.startswith(".") and (suffixes is None or Path(name).suffix.lower() in suffixes):
                found.append(Path(place, name).relative_to(folder).as_posix())
    return sorted(found)


def inside(folder: Path, name: str, where: str) -> Path:
    """Path of a file in a folder, checked to lie inside that folder after links are followed.

    Parameters
    ----------
    folder : Path
    name : str
        Path inside the folder.
    where : str
        Start of every message, such as ``faces.csv: image 'a.png'``.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If the name or a link leads out of the folder, or there is no readable file.
    """
    relative = Path(name)
    if relative.is_absolute() or ".." in relative.parts or "\\" in name:
        raise InputError(f"{where} lies outside that folder; name files inside it")
    path = folder / relative
    try:
        checked_file(path)
        leads_out = not path.resolve().is_relative_to(folder.resolve())
    except InputError as error:
        raise InputError(
            f"{where}{str(error).removeprefix(str(path))}".replace(": no such file", " is missing")
        ) from None
    if leads_out:
        raise InputError(f"{where} is a link to a place outside that folder; copy it there")
    return path


def refuse_claim(n_bytes: float, path: str | Path, what: str, *, on_disk: int | None = None) -> None:
    """Refuse content that would take implausibly much memory.

    Parameters
    ----------
    n_bytes : float
        Bytes of memory that the content would take.
    path : str or Path
        The file.
    what : str
        The content, as messages call it, such as ``variable 'data' (60000 x 60000)``.
    on_disk : int or None
        Bytes that the content takes on disk; None takes the file's size.

    Raises
    ------
    InputError
        If it would take more than :data:`LARGEST_CLAIM` bytes; or more than :data:`SMALL_CLAIM` bytes and more than
        :data:`LARGEST_RATIO` times its size on disk.
    """
    if n_bytes > LARGEST_CLAIM:
        raise InputError(
            f"{path}: {what} would take {n_bytes / 1e9:,.1f} GB of memory; at most {LARGEST_CLAIM / 1e9:g} GB are "
            "read, so split the file or select a part of it"
        )
    size = Path(path).stat().st_size if on_disk is None else on_disk
    if n_bytes > SMALL_CLAIM and n_bytes > LARGEST_RATIO * max(size, 1):
        raise InputError(
            f"{path}: {what} would take {n_bytes / 1e9:,.2f} GB, but the file has {size / 1e6:,.2f} MB; it is damaged "
            "or malicious, so get it again from its source"
        )


def read_bytes(path: Path, *, largest: int = LARGEST_FILE, what: str = "file") -> bytes:
    """Content of a file of at most ``largest`` bytes.

    Raises
    ------
    InputError
        See :func:`checked_file`; or if it holds more than ``largest`` bytes.
    """
    path = checked_file(path, what)
    size = path.stat().st_size
    if size > largest:
        raise InputError(f"{path}: is {size / 1e6:,.0f} MB; at most {largest / 1e6:,.0f} MB of a {what} are read")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(_refusal(path, what, error)) from None


def read_member(archive: zipfile.ZipFile, name: str, where: str, *, largest: int = LARGEST_FILE) -> bytes:
    """Content of one member of a zip, its checksum verified.

    Parameters
    ----------
    archive : zipfile.ZipFile
        The zip, open for reading.
    name : str
        Path of the member inside the zip.
    where : str
        What messages call the member.
    largest : int
        Largest unpacked size, bytes.

    Raises
    ------
    InputError
        If there is no such member, it is encrypted, damaged, packed in an unknown way, or too large.
    """
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise InputError(f"{where} is missing; put it there or remove its row") from None
    if info.flag_bits & 0x1:
        raise InputError(f"{where} is encrypted; unpack the zip and give the folder")
    if info.file_size > largest:
        raise InputError(f"{where} claims {info.file_size / 1e6:,.0f} MB; at most {largest / 1e6:,.0f} MB are read")
    try:
        with archive.open(info) as member:
            content = member.read(largest + 1)
            if len(content) <= largest and member.read(1):
                raise zipfile.BadZipFile("longer than it says")
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        raise InputError(f"{where} is damaged ({one_line(error)}); create the zip again") from error
    except Exception as error:
        raise InputError(f"{where} is damaged ({one_line(error)}); create the zip again") from error
    if len(content) > largest:
        raise InputError(f"{where} is larger than the zip states; at most {largest / 1e6:,.0f} MB are read")
    return content


def one_line(error: BaseException | str, *, longest: int = 200) -> str:
    """First line of an error's message, without the whole of the file that some quote."""
    line = " ".join((str(error).splitlines() or [type(error).__name__])[0].split())
    return line if len(line) <= longest else f"{line[:longest]} ..."


def is_partial(path: str | Path) -> bool:
    """Whether a file is what a killed process left of one that :func:`whole_file` was to write."""
    return _PARTIAL.fullmatch(Path(path).name) is not None


@contextlib.contextmanager
def whole_file(path: str | Path, *, durable: bool = False) -> Iterator[Path]:
    """A temporary file beside the path that takes its place once all is written.

    Parameters
    ----------
    path : str or Path
        The file. An existing file is replaced at the end of the ``with`` block, and kept if the block fails.
    durable : bool
        Whether the content is flushed to disk before the file is renamed, so that a power failure leaves no empty file.

    Yields
    ------
    pathlib.Path
        Temporary path to write to, with the same extension.

    Raises
    ------
    InputError
        If the folder does not exist, the file cannot be written, or the disk is full.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: no such folder to write {path.name} into")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file to write")
    temporary = path.with_name(f".{path.stem[:80]}.{os.getpid()}-{secrets.token_hex(4)}.partial{path.suffix}")
    try:
        yield temporary
        if durable:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, InputError):
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            problem = "the disk is full; free space and try again. Earlier files are still there"
            raise InputError(f"{path} cannot be written: {problem}") from error
        raise InputError(f"{path}: cannot be written ({error.strerror or one_line(error)}); choose another") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


_PARTIAL = re.compile(r"\..*\.\d+-[0-9a-f]{8}\.partial(\.\w+)?")


def _mode(path: Path, what: str) -> int:
    if "\0" in str(path):
        raise InputError(f"{str(path)!r}: a name cannot contain a NUL character; choose another")
    try:
        return path.stat().st_mode
    except OSError as error:
        raise InputError(_refusal(path, what, error)) from None
    except (ValueError, RuntimeError) as error:  # RuntimeError: a link loop, before Python 3.13
        raise InputError(f"{path}: is not a valid path ({one_line(error)}); name another") from None


def _refusal(path: Path, what: str, error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        if path.is_symlink():
            return f"{path}: is a link to something that does not exist; name the {what} itself"
        return f"{path}: no such {what}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{path}: no permission to read it; change its permissions, or ask its owner"
    if error.errno == errno.ELOOP:
        return f"{path}: is a link that leads back to itself; name the {what} itself"
    if error.errno == errno.ENAMETOOLONG:
        shown = str(path) if len(str(path)) < 120 else f"{str(path)[:60]}...{str(path)[-40:]}"
        return f"{shown}: is too long for the name of a {what} ({len(path.name)} characters); name a shorter one"
    return f"{path}: cannot be read ({error.strerror or one_line(error)})"
