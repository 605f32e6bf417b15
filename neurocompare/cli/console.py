"""Output of the command line: plain text, progress, sizes and durations."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console

from neurocompare.progress_lines import progress_lines

__all__ = ["duration", "errors", "progress", "say", "size"]


class _Console(Console):
    """A console whose output may be closed at any time, as by ``| head``: the command continues silently."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


output = _Console()
errors = _Console(stderr=True)


def say(text: str, where: Console = output) -> None:
    """Print text without markup or wrapping."""
    where.print(text, markup=False, highlight=False, soft_wrap=True)


def size(n_bytes: int) -> str:
    """Number of bytes as readable text."""
    return f"{n_bytes / 1e6:.1f} MB"


def duration(seconds: float) -> str:
    """Duration in seconds as readable text."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def progress(quiet: bool) -> Iterator:
    """A function that shows the running step: a bar on a terminal, occasional lines elsewhere."""
    if quiet:
        yield None
        return
    if not errors.is_terminal:
        with progress_lines(lambda line: say(line, errors)) as tell:
            yield tell
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:40}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda name, share: bar.update(task, description=name, completed=share)
