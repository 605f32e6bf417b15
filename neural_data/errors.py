"""The one error for input that is wrong; everything else that raises is a defect of ours."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["InputError", "closest"]


class InputError(ValueError):
    """What a user gave cannot be used: the message says what, where, and what to do.

    The command line turns it into one line and exit code 2.
    """


def closest(wanted: str, known: Iterable[str]) -> str:
    """Hint that names the nearest right spelling, or the known names where none is near.

    Parameters
    ----------
    wanted : str
        The name as the user wrote it.
    known : iterable of str
        The names that exist.

    Returns
    -------
    str
        ``did you mean 'fc1'?`` or ``known are 'a', 'b', ... (12 in all)``.
    """
    names = [str(name) for name in known]
    near = difflib.get_close_matches(str(wanted), names, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    if not names:
        return "there is none to choose from"
    shown = ", ".join(repr(name) for name in names[:12])
    return f"known are {shown}" + (f", ... ({len(names)} in all)" if len(names) > 12 else "")
