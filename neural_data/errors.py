"""The one error for input that is wrong; everything else that raises is a defect of ours."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable
from pathlib import Path

__all__ = ["CodeError", "InputError", "closest", "whole_number"]


class InputError(ValueError):
    """What a user gave cannot be used: the message says what, where, and what to do.

    The command line turns it into one line and exit code 2.
    """


class CodeError(InputError):
    """Code that a user brought raised something: ``__cause__`` is what, and its traceback says where."""

    def traceback_text(self) -> str:
        """The traceback of the user's code: from the first line of it that is not of this package; "" where none is."""
        error = self.__cause__
        if error is None:
            return ""
        ours = Path(__file__).resolve().parents[1]
        frames = list(traceback.extract_tb(error.__traceback__))
        while frames and (
            frames[0].filename.startswith("<frozen importlib")
            or any(Path(frames[0].filename).is_relative_to(ours / room) for room in ("neural_data", "neurocompare"))
            or Path(frames[0].filename).parent.name == "importlib"
        ):
            frames.pop(0)
        if not frames:  # none of their lines ran: the message says it all
            return ""
        lines = ["Traceback of the code that was brought (most recent call last):\n", *traceback.format_list(frames)]
        return "".join([*lines, *traceback.format_exception_only(error)]).rstrip()


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


def whole_number(number: float, name: str) -> int:
    """A number that must be whole and at least 1.

    Raises
    ------
    InputError
        If it is not; ``name`` says which it is.
    """
    if number != int(number) or number < 1:
        raise InputError(f"{name} must be a whole number of at least 1; got {number!r}")
    return int(number)
