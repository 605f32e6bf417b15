"""What a caller may tell a reader beyond the path; every reader refuses what its format has no use for."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass

from neural_data.errors import InputError
from neural_data.stimuli import StimulusSet

__all__ = ["DEFAULT_WINDOW_MS", "ReadOptions", "refuse_unused"]

DEFAULT_WINDOW_MS = (50.0, 350.0)
"""Window in which spikes are counted where a file holds spikes, ms after stimulus onset."""


@dataclass(frozen=True)
class ReadOptions:
    """Options of :func:`~neural_data.formats.files.read_recording`; None leaves the choice to the file."""

    stimulus: str | None = None
    window_ms: tuple[float, float] | None = None
    bin_ms: float | None = None
    onset_bin: int | None = None
    region: str | None = None
    subject: str | None = None
    units: str | None = None
    stimuli: StimulusSet | None = None


def refuse_unused(options: ReadOptions, used: Collection[str], where: str, why: str) -> None:
    """Raise where an option was given that this format has no use for.

    Parameters
    ----------
    options : ReadOptions
        As the caller gave them.
    used : collection of str
        Names of the options that the format uses.
    where : str
        The file.
    why : str
        Why the others mean nothing here.

    Raises
    ------
    InputError
        If any other option is set.
    """
    for field in dataclasses.fields(options):
        if field.name not in used and field.name != "stimuli" and getattr(options, field.name) is not None:
            raise InputError(f"{where}: {field.name} has no meaning here, {why}; leave it out")
