"""The one error for wrong input; any other exception is a defect of this software."""

from __future__ import annotations

import difflib
import math
import traceback
from collections.abc import Iterable
from pathlib import Path

__all__ = ["CodeError", "InputError", "closest", "whole_number"]


class InputError(ValueError):
    """Input that cannot be used: the message says what is wrong, where, and what to do about it.

    The command line prints the message as one line and ends with exit code 2.
    """


class CodeError(InputError):
    """Raised where a user's own code (a network, say) raises: ``__cause__`` is that exception, with its traceback."""

    def traceback_text(self) -> str:
        """Traceback of the user's code, from its first line outside this package; ``""`` if there is no such line."""
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
    """Hint for a misspelt name: the closest known name, or a list of the known names if none is similar.

    Parameters
    ----------
    wanted : str
        The name as the user wrote it.
    known : iterable of str
        All valid names.

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


def whole_number(number: float, name: str, *, fewest: int = 1) -> int:
    """The number as an int, checked to be whole and at least ``fewest``.

    Raises
    ------
    InputError
        If it is not; the message names it by ``name``.
    """
    if not math.isfinite(number) or number != int(number) or number < fewest:
        raise InputError(f"{name} must be a whole number of at least {fewest}; got {number!r}")
    return int(number)
