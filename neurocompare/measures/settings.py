"""Types of settings in study files: texts, paths, names from families, what ``--quick`` reduces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import core_schema

__all__ = ["FilePath", "MemberOf", "Name", "PathMark", "Quick", "Section", "none_as_none", "switch"]

Name = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A section of a study file: unknown keys are refused, and values are immutable after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PathMark:
    """Marks a setting that names a file or folder, relative to its study file."""


@dataclass(frozen=True)
class Quick:
    """Marks a number that ``--quick`` reduces to at most this value, or a list of which it keeps these entries.

    Parameters
    ----------
    most : int or tuple
        The largest value of a quick run, or the entries that it may have.
    """

    most: int | tuple[str, ...]

    def reduced(self, value: Any) -> Any:
        """The value of a quick run; of a list without any of these entries, the first."""
        if isinstance(self.most, tuple):
            return [entry for entry in value if entry in self.most] or value[:1]
        return min(value, self.most)


FilePath = Annotated[str, Field(min_length=1), PathMark()]


@dataclass(frozen=True, eq=False)
class MemberOf:
    """Marks a text that must be a name from a family: ``Annotated[str, MemberOf(METHODS)]``.

    Parameters
    ----------
    family : iterable of str
        The allowed names; others are refused like those of a ``Literal``.
    """

    family: Iterable[str]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Pydantic schema: one of the names, like a ``Literal``."""
        return core_schema.literal_schema(list(self.family))


def none_as_none(name: str) -> str | None:
    """Normalisation for functions: ``None`` for the ``"none"`` of study files."""
    return None if name == "none" else name


def switch(section: type[Section]) -> BeforeValidator:
    """Validator: ``true`` means a section with its defaults, ``false`` no section."""

    def switched(value: Any) -> Any:
        if isinstance(value, bool):
            return {} if value else None
        if value is None or isinstance(value, (Mapping, section)):
            return value
        raise ValueError("write true, false, or a table of its settings")

    return BeforeValidator(switched, json_schema_input_type=bool | section)
