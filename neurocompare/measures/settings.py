"""What sections of a study file are made of: texts, paths, members of families, numbers that a quick look cuts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import core_schema

__all__ = ["FilePath", "MemberOf", "Name", "PathMark", "Quick", "Section", "none_as_none", "switch"]

Name = Annotated[str, Field(min_length=1)]


class Section(BaseModel):
    """A table of a study file: unknown keys are refused, values are not changed after the check."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PathMark:
    """Marks a setting that names a file or folder; relative to the study file that it stands in."""


@dataclass(frozen=True)
class Quick:
    """Marks a number of which a quick look takes no more than this."""

    most: int


FilePath = Annotated[str, Field(min_length=1), PathMark()]


@dataclass(frozen=True, eq=False)
class MemberOf:
    """Marks a text that names a member of a family: ``Annotated[str, MemberOf(METHODS)]``.

    Parameters
    ----------
    family : iterable of str
        The names that are allowed; others are refused as those of a ``Literal`` are.
    """

    family: Iterable[str]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """What pydantic checks: one of the names, as of a ``Literal``."""
        return core_schema.literal_schema(list(self.family))


def none_as_none(name: str) -> str | None:
    """The name of a normalisation, as study files write it, as functions take it."""
    return None if name == "none" else name


def switch(section: type[Section]) -> BeforeValidator:
    """Lets ``true`` stand for a section with its defaults, and ``false`` for none."""

    def switched(value: Any) -> Any:
        if isinstance(value, bool):
            return {} if value else None
        if value is None or isinstance(value, (Mapping, section)):
            return value
        raise ValueError("write true, false, or a table of its settings")

    return BeforeValidator(switched, json_schema_input_type=bool | section)
