"""Turns signals that end the program into an exception, so that unfinished work is cleaned up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Stopped", "stoppable"]

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(BaseException):
    """Raised when ``signal`` ends the program."""

    def __init__(self, number: int):
        self.signal = signal.Signals(number)
        super().__init__(self.signal.name)

    @property
    def exit_code(self) -> int:
        """Exit code as in shells: 128 plus the number of the signal."""
        return 128 + self.signal.value


@contextmanager
def stoppable() -> Iterator[None]:
    """Context in which signals raise :class:`Stopped`; a second signal ends the program at once.

    Ignored signals (``nohup``) stay ignored. In other threads than the main one it does nothing, since only the main
    thread receives signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def stop(number: int, _frame: object) -> None:
        for other in handled:
            signal.signal(other, signal.SIG_DFL)
        raise Stopped(number)

    handled = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    try:
        for number in handled:
            signal.signal(number, stop)
        yield
    finally:
        for number in handled:
            # A handler that was not set from Python cannot be restored from Python.
            if before[number] is not None:
                signal.signal(number, before[number])
