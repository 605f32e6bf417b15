"""Options of the readers; a reader refuses options that its format does not use."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from neural_data.errors import InputError, closest
from neural_data.stimuli import StimulusSet

__all__ = ["BIN_COLUMNS", "DEFAULT_WINDOW_MS", "ROLES", "ReadOptions", "checked_roles", "one_name", "refuse_unused"]

DEFAULT_WINDOW_MS = (50.0, 350.0)
"""Default window in which spikes are counted, ms after stimulus onset, for files of spikes."""
ROLES = {
    "stimulus_id": "identifies the stimuli",
    "repetition": "numbers the presentations of a stimulus",
    "neuroid_id": "identifies the neurons",
    "region": "names the region of a neuron",
    "subject": "names the animal",
    "response": "holds the responses",
    "identity": "names the face or object that is shown",
    "azimuth_deg": "says the view",
    "elevation_deg": "says the elevation of the view",
    "category": "names the category of a stimulus",
    "filename": "names the image of a stimulus",
    "time_bin_start": "is the start of a time bin, ms after onset",
    "time_bin_end": "is the end of a time bin, ms after onset",
    "onset": "is the time at which a stimulus came on, s",
}
"""Roles that a column, coord or variable of a file can have, each with what such a column does."""
BIN_COLUMNS = ("time_bin_start", "time_bin_end")
"""Roles that say which bin of time a response is of."""


@dataclass(frozen=True)
class ReadOptions:
    """Options of reading, each field as in :func:`~neural_data.formats.files.read_recording`."""

    stimulus: str | None = None
    window_ms: tuple[float, float] | None = None
    bin_ms: float | None = None
    step_ms: float | None = None
    onset_bin: int | None = None
    region: str | None = None
    subject: str | None = None
    units: str | None = None
    decimal: str | None = None
    columns: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    stimuli: StimulusSet | None = None


def refuse_unused(options: ReadOptions, used: Collection[str], where: str, why: str) -> None:
    """Raise if an option is set that this format does not use.

    Parameters
    ----------
    options : ReadOptions
        All options that the caller set.
    used : collection of str
        Names of the options that the format uses.
    where : str
        The file.
    why : str
        Why the other options do not apply to this format.

    Raises
    ------
    InputError
        If any other option is set.
    """
    for option in dataclasses.fields(options):
        given = getattr(options, option.name)
        if option.name not in (*used, "stimuli") and given is not None and given != {}:
            raise InputError(f"{where}: {option.name} has no meaning here, {why}; leave it out")


def one_name(given: Mapping[str, str | Sequence[str]], role: str, where: str) -> str | None:
    """Name of the one column (coord, variable) with this role; None if it is not given.

    Raises
    ------
    InputError
        If several are given.
    """
    name = given.get(role)
    if name is None or isinstance(name, str):
        return name
    raise InputError(f"{where}: give one column for {role}; {list(name)!r} are several")


def checked_roles(
    given: Mapping[str, str | Sequence[str]], allowed: Collection[str], known: Collection[str], where: str, what: str
) -> None:
    """Raise if a role is not known in this format, or its column (coord, variable) is not in the file.

    Parameters
    ----------
    given : mapping of str to str
        Role, and the name of the column (coord, variable) that has it.
    allowed : collection of str
        Roles that this format uses.
    known : collection of str
        Names of all columns (coords, variables) of the file.
    where, what : str
        For messages: the file, and the type of the names, such as ``column``.

    Raises
    ------
    InputError
        If a role or a name is not known.
    """
    for role, names in given.items():
        if role not in allowed:
            raise InputError(f"{where}: no {what} has the role {role!r} here; {closest(role, allowed)}")
        for name in [names] if isinstance(names, str) else names:
            if not any(sign in str(name) for sign in "*?") and name not in known:
                raise InputError(f"{where}: no {what} {name!r}: {closest(str(name), known)} (wanted as {role})")
