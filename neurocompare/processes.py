"""The package's own processes: workers end with the process that started them; memory is kept for reuse."""

from __future__ import annotations

import ctypes
import functools
import os
import threading
import time
from collections.abc import Callable
from typing import Any

__all__ = ["delayed", "keep_memory"]

LOOK_SECONDS = 1.0
_KEPT = {-1: 2**31 - 1, -2: 2**26, -3: 2**31 - 1}
"""Bytes for glibc's ``mallopt``: freed memory above which some goes back to the system (M_TRIM_THRESHOLD), memory asked
for at a time (M_TOP_PAD), and the size from which a block is asked for and given back alone (M_MMAP_THRESHOLD)."""
_watched: set[int] = set()
"""Processes whose end this one waits for."""


def delayed(function: Callable[..., Any]) -> Callable[..., tuple]:
    """``joblib.delayed``, for workers that end when this process does.

    Joblib's own workers stay alive for minutes after their parent is killed, and keep its memory.

    Parameters
    ----------
    function : callable
        A function at the top level of a module.

    Returns
    -------
    callable
        Takes the function's arguments; returns a task for ``joblib.Parallel``.
    """
    import joblib  # here, because the command line imports this module and works alone most of the time

    return joblib.delayed(functools.partial(_called_while_watched, os.getpid(), function))


@functools.cache
def keep_memory() -> None:
    """Let this process keep the memory that it frees, for its next use; only for processes of this package.

    Maps of a network are large, and the system clears the memory of each before it hands it out. Does nothing where the
    C library is not glibc.
    """
    if os.name != "posix" or not hasattr(library := ctypes.CDLL(None), "mallopt"):
        return
    for setting, size in _KEPT.items():
        library.mallopt(setting, size)


def _called_while_watched(starter: int, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    end_with(starter)
    if os.getpid() != starter:
        keep_memory()
    return function(*arguments, **options)


def end_with(starter: int) -> None:
    """End this process as soon as its parent process ends; does nothing in the parent itself.

    Parameters
    ----------
    starter : int
        Id of the parent process. Does nothing on systems where the parent's end cannot be detected.
    """
    if starter == os.getpid() or starter in _watched or os.name != "posix":
        return
    _watched.add(starter)
    threading.Thread(target=_wait_for_the_end_of, args=(starter,), daemon=True).start()


def _wait_for_the_end_of(starter: int) -> None:
    # An orphaned process gets another parent at once.
    while os.getppid() == starter:
        time.sleep(LOOK_SECONDS)
    os._exit(1)
