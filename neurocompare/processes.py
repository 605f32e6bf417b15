"""Work handed to other processes, which end with the process that started them."""

from __future__ import annotations

import functools
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import joblib

__all__ = ["delayed"]

LOOK_SECONDS = 1.0
_watched: set[int] = set()
"""Processes whose end this one waits for."""


def delayed(function: Callable[..., Any]) -> Callable[..., tuple]:
    """``joblib.delayed``, for workers that end when this process does.

    Joblib's workers notice that nobody waits for them when they next ask for work, and stay for minutes after that: a
    killed run would go on to hold its memory.

    Parameters
    ----------
    function : callable
        Of a module.

    Returns
    -------
    callable
        Takes the function's arguments; gives what ``joblib.Parallel`` takes.
    """
    return joblib.delayed(functools.partial(_called_while_watched, os.getpid(), function))


def _called_while_watched(starter: int, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    end_with(starter)
    return function(*arguments, **options)


def end_with(starter: int) -> None:
    """End this process as soon as the one that started it is gone; nothing happens in that one itself.

    Parameters
    ----------
    starter : int
        Number of the process. Systems whose processes do not learn of their parent's end are left alone.
    """
    if starter == os.getpid() or starter in _watched or os.name != "posix":
        return
    _watched.add(starter)
    threading.Thread(target=_wait_for_the_end_of, args=(starter,), daemon=True).start()


def _wait_for_the_end_of(starter: int) -> None:
    # An orphan belongs to another process at once.
    while os.getppid() == starter:
        time.sleep(LOOK_SECONDS)
    os._exit(1)
