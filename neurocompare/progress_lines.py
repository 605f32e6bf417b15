"""Progress as occasional lines of text, and filtering of repeated warnings."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Progress", "SaidOnce", "no_progress", "progress_lines"]

Progress = Callable[[str, float], None]
"""Callback with the name of the starting step, and the share (0..1) of the expected time that has passed."""

FIRST_SECONDS = 5.0
"""Shorter runs print no progress."""
NEWS_SECONDS = 5.0
"""Least time between the lines of two steps."""
STILL_SECONDS = 60.0
"""A step that takes longer than this reports, in one line, that it is still running."""


@contextmanager
def progress_lines(say: Callable[[str], None]) -> Iterator[Progress]:
    """Context with a progress callback that prints occasional lines.

    Parameters
    ----------
    say : callable
        Prints one line: time since the start, share, step.
    """
    start = time.monotonic()
    name, share, said, said_at = "", 0.0, "", start + FIRST_SECONDS - NEWS_SECONDS
    over, lock = threading.Event(), threading.Lock()

    def look() -> None:
        nonlocal said, said_at
        with lock:
            now, running = time.monotonic(), name
            waited = now - said_at
            if running and (waited >= STILL_SECONDS or (running != said and waited >= NEWS_SECONDS)):
                said, said_at = running, now
                say(f"{_clock(now - start)}  {share:4.0%}  {running}")

    def tell(running: str, done: float) -> None:
        nonlocal name, share
        name, share = running, done
        look()

    def watch() -> None:
        while not over.wait(min(NEWS_SECONDS, STILL_SECONDS) / 5):
            look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield tell
    finally:
        over.set()
        watcher.join()


def no_progress(_name: str, _share: float) -> None:
    """Progress callback that does nothing."""


class SaidOnce(logging.Filter):
    """Log filter that passes each message once: seeds and steps of a study repeat the same warnings."""

    def __init__(self):
        super().__init__()
        self.said: set[tuple[str, str]] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the message is new; messages below the level of warnings always pass."""
        message = record.name, record.getMessage()
        new = record.levelno < logging.WARNING or message not in self.said
        self.said.add(message)
        return new


def _clock(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
