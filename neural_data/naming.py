"""Stimulus ids and file names: matching ids, making file names from ids, and reading labels from file names.

Ids match with or without a folder or image extension. File names made from ids are valid on every file system and stay
inside their folder. Patterns such as ``{identity}_az{azimuth_deg}.png`` read labels from file names.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from neural_data.errors import InputError

__all__ = ["IMAGE_SUFFIXES", "fields_in", "fields_of", "file_names", "matched_ids"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".ppm", ".pgm")
NUMBER = r"[-+]?\d+(?:\.\d+)?"
LONGEST_NAME = 120
"""Most characters of a file name made from an id; file systems allow 255 bytes."""


def matched_ids(wanted: Sequence[str], found: Sequence[str]) -> dict[str, str]:
    """Match found ids to wanted ids.

    Parameters
    ----------
    wanted, found : sequences of str
        Each without repeats.

    Returns
    -------
    dict of str to str
        Found id to wanted id, for those that match: exactly, else after ignoring the folder, the image extension and
        how accents are encoded (composed or decomposed). An inexact match that is ambiguous is not made.
    """
    exact = set(wanted)
    matched = {stimulus_id: stimulus_id for stimulus_id in found if stimulus_id in exact}
    left = [stimulus_id for stimulus_id in found if stimulus_id not in exact]
    open_ids = [stimulus_id for stimulus_id in wanted if stimulus_id not in matched]
    if not left or not open_ids:
        return matched
    for plain in (_without_ending, _without_folder):
        of_wanted, of_found = Counter(map(plain, wanted)), Counter(map(plain, found))
        by_key = {plain(stimulus_id): stimulus_id for stimulus_id in open_ids}
        fitting = {stimulus_id: by_key[key] for stimulus_id in left if (key := plain(stimulus_id)) in by_key}
        if fitting and all(of_wanted[plain(old)] == of_found[plain(old)] == 1 for old in fitting):
            return matched | fitting
    return matched


def _without_ending(stimulus_id: str) -> str:
    text = unicodedata.normalize("NFC", stimulus_id.strip()).replace("\\", "/").removeprefix("./")
    stem, dot, ending = text.rpartition(".")
    return stem if dot and f".{ending.lower()}" in IMAGE_SUFFIXES else text


def _without_folder(stimulus_id: str) -> str:
    return _without_ending(stimulus_id).rpartition("/")[2]


def file_names(ids: Sequence[str], ending: str) -> list[str]:
    """A file name for each id, all different on every file system and inside one folder.

    Parameters
    ----------
    ids : sequence of str
        Any text, such as ``faces/1`` or ``../1``.
    ending : str
        Such as ``.png``.

    Returns
    -------
    list of str
        An id of letters, digits, blanks and ``_ - + . , = @`` is kept. Other characters, and leading dots, become
        ``_``; names that differ only in upper and lower case get a number.
    """
    taken: set[str] = set()
    names = []
    for stimulus_id in ids:
        name = re.sub(r"[^\w \-+.,=@]", "_", unicodedata.normalize("NFC", stimulus_id)).strip(" ")
        name = re.sub(r"^\.+", lambda dots: "_" * len(dots[0]), name).rstrip(". ") or "_"
        if len(name.encode()) > LONGEST_NAME:
            digest = hashlib.sha256(stimulus_id.encode("utf-8", "surrogatepass")).hexdigest()[:8]
            name = f"{name.encode()[: LONGEST_NAME - 9].decode('utf-8', 'ignore')}-{digest}"
        if re.fullmatch(r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", name):
            name = f"_{name}"
        distinct, number = name, 1
        while unicodedata.normalize("NFC", distinct).casefold() in taken:
            number += 1
            distinct = f"{name}-{number}"
        taken.add(unicodedata.normalize("NFC", distinct).casefold())
        names.append(distinct + ending)
    return names


def fields_of(files: Sequence[str], pattern: str) -> list[dict[str, str]]:
    """Values of the fields of a naming pattern, read from file names.

    Parameters
    ----------
    files : sequence of str
        Paths inside a folder, with forward slashes.
    pattern : str
        Path with fields in braces: ``"{category}/{identity}_{azimuth_deg}.png"``. Fields of angles hold numbers;
        ``{azimuth_deg:L45=-45,R45=45,front=0}`` translates words to degrees. ``*`` matches any characters within one
        name.

    Returns
    -------
    list of dict
        One per matching file: ``filename`` and the fields.

    Raises
    ------
    InputError
        If the pattern has no field, a field twice, or a word without degrees.
    """
    expression, words = _compiled(pattern)
    rows = []
    for file in files:
        match = expression.fullmatch(file)
        if match:
            fields = {key: words[key][text] if key in words else text for key, text in match.groupdict().items()}
            rows.append({"filename": file, **fields})
    return rows


def fields_in(text: str, pattern: str) -> dict[str, str] | None:
    """Values of the fields of a pattern in one text, see :func:`fields_of`; None if it does not match."""
    rows = fields_of([text], pattern)
    return {name: value for name, value in rows[0].items() if name != "filename"} if rows else None


def _compiled(pattern: str) -> tuple[re.Pattern, dict[str, dict[str, str]]]:
    """Regular expression of a naming pattern; and, by field, its words for angles and their degrees."""
    parts, words, fields = [], {}, set()
    for text, field, spelled in re.findall(r"([^{}]*)(?:\{(\w+)(?::([^}]*))?\})?", pattern):
        parts.append(".*".join(re.escape(piece) for piece in text.split("*")).replace(".*", "[^/]*"))
        if not field:
            continue
        if field in fields:
            raise InputError(f"pattern {pattern!r}: the field {field!r} occurs twice")
        if field[0].isdigit() or field == "filename":
            raise InputError(f"pattern {pattern!r}: {field!r} cannot be the name of a field; choose another")
        fields.add(field)
        if spelled:
            words[field] = _spelled(spelled, pattern)
            options = "|".join(re.escape(word) for word in sorted(words[field], key=len, reverse=True))
        else:
            options = NUMBER if field.endswith("_deg") else "[^/]+?"
        parts.append(f"(?P<{field}>{options})")
    if not fields:
        raise InputError(
            f"pattern {pattern!r} has no field; write the parts of the names in braces: "
            f"'{{identity}}_{{azimuth_deg}}.png'"
        )
    if re.search(r"[{}]", re.sub(r"\{\w+(?::[^}]*)?\}", "", pattern)):
        raise InputError(f"pattern {pattern!r} has an unpaired brace; add the other one")
    return re.compile("".join(parts)), words


def _spelled(text: str, pattern: str) -> dict[str, str]:
    pairs = dict(pair.split("=", 1) for pair in text.split(",") if "=" in pair)
    if len(pairs) != len(text.split(",")) or not all(re.fullmatch(NUMBER, value) for value in pairs.values()):
        raise InputError(f"pattern {pattern!r}: {text!r} must be words and degrees, such as 'left=-90,front=0'")
    return pairs
