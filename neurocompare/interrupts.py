"""Signals that end the program, as an exception: whatever is half done is cleared up on the way out."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Stopped", "stoppable"]

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(BaseException):
    """The program was told to end; ``signal`` is what told it."""

    def __init__(self, number: int):
        self.signal = signal.Signals(number)
        super().__init__(self.signal.name)

    @property
    def exit_code(self) -> int:
        """As shells give it: 128 and the number of the signal."""
        return 128 + self.signal.value


@contextmanager
def stoppable() -> Iterator[None]:
    """Signals raise :class:`Stopped` while the block runs; a second one ends the program at once.

    A signal that is ignored, as ``nohup`` has it, stays so. In other threads than the main one nothing changes, since
    signals are the main one's.
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
            # What was not set from Python cannot be set again from there.
            if before[number] is not None:
                signal.signal(number, before[number])
