"""One damaged input, read once: what came of it."""

from __future__ import annotations

import contextlib
import logging
import shutil
import signal
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neural_data import InputError
from tests.fuzz.mutations import mutate
from tests.fuzz.readers import REFUSED, Reader, digest

__all__ = ["BAD", "GOOD", "MOST_SECONDS", "Trial", "try_reader"]

GOOD = ("refused", "same value", "other value")
BAD = ("other value in spite of a checksum", "no message", "exception", "too slow")
MOST_SECONDS = 20


@dataclass(frozen=True)
class Trial:
    """What came of one damaged input: a word of :data:`GOOD` or :data:`BAD`, and what there is to say."""

    reader: str
    seed: int
    mutation: str
    outcome: str
    said: str = ""


class _TooSlow(BaseException):
    pass


def try_reader(reader: Reader, seeds: Iterator[int]) -> Iterator[Trial]:
    """Damage a right input once for each seed, and read it."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz"))
    try:
        with _quiet():
            whole = folder / "whole"
            whole.mkdir()
            path = reader.make(whole)
            kept = folder / "kept"
            shutil.copytree(whole, kept)
            right = digest(reader.read(path))
            for seed in seeds:
                shutil.rmtree(whole)
                shutil.copytree(kept, whole)
                rng = np.random.default_rng([seed, *reader.name.encode()])
                content = path.read_bytes()
                name, damaged = mutate(content, rng)
                path.write_bytes(damaged)
                yield _read(reader, path, seed, name, right)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _read(reader: Reader, path: Path, seed: int, mutation: str, right: str) -> Trial:
    def result(outcome: str, said: str = "") -> Trial:
        return Trial(reader.name, seed, mutation, outcome, said)

    def stop(_number: int, _frame: object) -> None:
        raise _TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(MOST_SECONDS)
    try:
        value = reader.read(path)
        if isinstance(value, str) and value == REFUSED:
            return result("refused")
        if digest(value) == right:
            return result("same value")
        return result(BAD[0] if reader.checked else "other value")
    except InputError as error:
        said = str(error)
        lines = [line for line in said.splitlines() if line.strip()]
        return result("refused" if 1 <= len(lines) <= 12 and len(said) < 2000 else "no message", said[:300])
    except _TooSlow:
        return result("too slow")
    except BaseException as error:  # noqa: BLE001
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "/neur" in frame.filename]
        place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
        return result("exception", f"{type(error).__name__} at {place}: {str(error).splitlines()[:1]}")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Warnings and logs of what reads damaged input say nothing new."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
