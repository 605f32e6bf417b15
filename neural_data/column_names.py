"""What columns with other names are likely to be, for messages alone: no file is read by such a guess."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

__all__ = ["LIKELY_WORDS", "STIMULUS_OPTION", "likely_roles", "roles_in_words"]

STIMULUS_OPTION = "--stimulus-column"
"""Option of the command line that says which column of a stimulus set has which role."""
LIKELY_WORDS: Mapping[str, tuple[str, ...]] = {
    "stimulus_id": ("stimulus", "stimuli", "stim", "image", "img", "picture", "pic", "photo", "condition", "cond"),
    "neuroid_id": ("neuroid", "neuron", "unit", "cell", "channel", "cluster", "electrode", "site"),
    "region": ("region", "area", "patch", "roi"),
    "response": ("response", "resp", "rate", "fr", "activity", "spikes", "spike", "count", "counts", "spk"),
    "subject": ("subject", "monkey", "animal", "participant"),
    "repetition": ("repetition", "rep", "repeat", "trial"),
    "identity": ("identity", "ident", "person", "individual", "exemplar", "face", "object"),
    "azimuth_deg": ("azimuth", "az", "yaw", "angle", "view", "viewpoint", "orientation", "rotation", "pose"),
    "filename": ("filename", "file", "path"),
}
"""Words in names of columns by role; earlier words are more likely to mean it."""


def likely_roles(columns: Iterable[object], roles: Iterable[str]) -> dict[str, str]:
    """The column that each role most likely is, by its name.

    Parameters
    ----------
    columns : iterable of str
        Names of a file's columns.
    roles : iterable of str
        Roles to look for, names in :data:`LIKELY_WORDS`.

    Returns
    -------
    dict of str to str
        Column by role, in the order of ``roles``, each column once; roles that no name suggests are left out.
    """
    free, found = [str(column) for column in columns], {}
    for role in roles:
        ranked = [(word, column) for word in LIKELY_WORDS[role] for column in free if word in _words(column)]
        # A column whose whole name is one of the words comes before one that merely has it.
        ranked.sort(key=lambda one: _words(one[1]) != [one[0]])
        if ranked:
            found[role] = ranked[0][1]
            free.remove(ranked[0][1])
    return found


def roles_in_words(
    needed: Iterable[str], columns: Iterable[object], *, optional: Iterable[str] = (), option: str = "--column"
) -> str:
    """How to say which column has which role, in Python and on the command line, with likely names filled in.

    Parameters
    ----------
    needed : iterable of str
        Roles that a column must have, and none has.
    columns : iterable of str
        Names of the file's columns that have no role.
    optional : iterable of str
        Further roles, said where a name suggests itself.
    option : str
        Option of the command line.

    Returns
    -------
    str
        ``columns={'response': 'rate'} (--column response=rate)``; ``...`` stands where no name suggests itself.
    """
    likely = likely_roles(columns, [*needed, *optional])
    wanted = [*needed, *(role for role in optional if role in likely)]
    python = ", ".join(f"{role!r}: {likely[role]!r}" if role in likely else f"{role!r}: ..." for role in wanted)
    shell = " ".join(f"{option} {_quoted(f'{role}={likely[role]}' if role in likely else f'{role}=...')}"
                     for role in wanted)  # fmt: skip
    return f"columns={{{python}}} ({shell})"


def _quoted(text: str) -> str:
    """As a shell takes it as one word."""
    return text if re.fullmatch(r"[\w.=:/-]+", text) else f"'{text}'"


def _words(column: str) -> list[str]:
    """Words of a name in lower case, without numbers and without ``id``, ``name`` and ``deg``, which say no role."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", column)
    words = [part.lower() for part in parts if part.lower() not in ("id", "ids", "name", "names", "deg", "degrees")]
    return words or [column.lower()]
