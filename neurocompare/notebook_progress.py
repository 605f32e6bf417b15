"""Progress as a bar below a notebook's cell; nothing is shown elsewhere, where callers pass a callback of their own."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from neurocompare.progress_lines import Progress, no_progress

__all__ = ["in_notebook", "progress_or_bar"]

LEAST_SECONDS = 0.2
"""Least time between two drawings of the bar."""
BRIEF_SECONDS = 2.0
"""What takes less leaves no line below a cell that calls it among other things."""
_drawing: list[None] = []
"""One entry while a bar is drawn: what a step calls draws none of its own."""


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this code; IPython is asked only if it has been imported already."""
    shell = sys.modules.get("IPython")
    running = None if shell is None else shell.get_ipython()
    return getattr(running, "kernel", None) is not None


@contextmanager
def progress_or_bar(progress: Progress | None, *, brief: float = 0.0) -> Iterator[Progress]:
    """Context with the caller's progress callback, or, in a notebook, one that draws a bar below the cell.

    Parameters
    ----------
    progress : callable or None
        The caller's own; None draws a bar in a notebook and does nothing elsewhere, nor below another bar.
    brief : float
        Seconds within which the bar disappears at the end.
    """
    if progress is not None or _drawing or not in_notebook():
        yield progress or no_progress
        return
    from IPython.display import HTML, display

    start, drawn_at = time.monotonic(), -LEAST_SECONDS
    shown = display(HTML(_bar("starting", 0.0, 0.0)), display_id=True)

    def tell(name: str, share: float) -> None:
        nonlocal drawn_at
        passed = time.monotonic() - start
        if passed - drawn_at >= LEAST_SECONDS:
            drawn_at = passed
            shown.update(HTML(_bar(name, share, passed)))

    said = "stopped"
    _drawing.append(None)
    try:
        yield tell
        said = "done"
    finally:
        _drawing.clear()
        passed = time.monotonic() - start
        shown.update(HTML(f"<p>{said} after {passed:.0f} s</p>" if passed >= brief or said == "stopped" else ""))


def _bar(name: str, share: float, seconds: float) -> str:
    return (
        f'<p><progress max="1" value="{share:.3f}" aria-label="progress"></progress> '
        f"{share:.0%} {html.escape(name)}, {seconds:.0f} s</p>"
    )
