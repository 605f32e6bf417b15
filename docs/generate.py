"""Pages of the documentation that follow from the declarations of the program: commands, study keys, table columns.

``python docs/generate.py`` writes them to ``docs/reference``; a test compares them with what is declared.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from typer.models import ArgumentInfo, OptionInfo

from neurocompare.cli import app
from neurocompare.comparison.hypothesis import Hypothesis
from neurocompare.measures import MEASURES
from neurocompare.measures.description import DESCRIPTION_TABLES
from neurocompare.measures.power import POWER
from neurocompare.reporting.tables import Table
from neurocompare.study.grammar import study_schema

__all__ = ["PAGES", "column_page", "command_page", "key_page", "study_keys", "table_groups"]

FOLDER = Path(__file__).resolve().parent / "reference"
MADE = "<!-- Written by docs/generate.py (`make reference`) from the declarations of the program. -->\n"


def cell(text: object) -> str:
    """Text as a cell of a Markdown table, on one line."""
    return " ".join(str(text).replace("``", "`").split()).replace("|", "\\|")


def table(header: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """Markdown table."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(cell(part) for part in line) + " |" for line in lines) + "\n"


# Commands


def command_page() -> str:
    """Every command with its arguments and options, from the functions that define them."""
    parts = [MADE, "# Commands\n", "Also as `python -m neurocompare`; `neurocompare COMMAND --help` says the same.\n"]
    for name, command in commands().items():
        parts += [f"## {name}\n", f"{inspect.getdoc(command) or ''}\n"]
        if rows := parameters(command):
            parts.append(table(("argument or option", "default", "meaning"), rows))
    parts += ["Exit codes: 0 done; 2 the input is wrong (one message); 1 a defect of the program.\n"]
    return "\n".join(parts)


def commands() -> dict[str, Callable[..., None]]:
    """Functions of the commands by name, sorted."""
    found = {one.name or one.callback.__name__: one.callback for one in app.registered_commands if one.callback}
    return dict(sorted(found.items()))


def parameters(command: Callable[..., None]) -> list[tuple[str, str, str]]:
    """How each argument and option of a command is written, its default, and its meaning."""
    hints = typing.get_type_hints(command, include_extras=True)
    rows = []
    for name, parameter in inspect.signature(command).parameters.items():
        kind, about = typing.get_args(hints[name])[:2]
        needed = parameter.default is inspect.Parameter.empty
        if isinstance(about, ArgumentInfo):
            said = name.upper() if needed else f"[{name.upper()}]"
        else:
            names = _declared(about) or ["--" + name.replace("_", "-")]
            said = " ".join(filter(None, [", ".join(names), about.metavar or _value_of(kind)]))
        default = "" if parameter.default in (None, False) or needed else f"`{parameter.default}`"
        rows.append((f"`{said}`", "needed" if needed else default, about.help or ""))
    return rows


def _declared(option: OptionInfo) -> list[str]:
    """Names of an option as declared; in an annotation the first stands where a default would."""
    return [name for name in (option.default, *(option.param_decls or ())) if isinstance(name, str)]


def _value_of(kind: Any) -> str:
    """The placeholder of an option's value; empty for a switch."""
    if kind is bool:
        return ""
    parts = [part for part in typing.get_args(kind) if part is not type(None)]
    if not parts:
        return {str: "TEXT", int: "N", float: "NUMBER", Path: "PATH"}[kind]
    return " ".join(map(_value_of, parts))


# Study keys


def study_keys() -> dict[str, dict[str, dict[str, Any]]]:
    """Schema of every key by section, as they are written in a study: ``{"[stimuli]": {"source": {...}}}``."""
    schema = study_schema()
    found: dict[str, dict[str, dict[str, Any]]] = {}
    _walk("", schema, schema["$defs"], found, repeated=False)
    return found


def _walk(
    path: str, section: Mapping[str, Any], known: Mapping[str, Any], found: dict[str, Any], *, repeated: bool
) -> None:
    title = "at the top" if not path else f"[[{path}]]" if repeated else f"[{path}]"
    if title in found:
        return
    found[title] = {"": {"description": section.get("description", "")}}
    for key, about in section.get("properties", {}).items():
        inner = [*_sections(about, known)]
        plain = [one for one in _alternatives(about) if "$ref" not in one and not _holds_section(one, known)]
        if plain and not all(one.get("type") == "null" for one in plain):
            found[title][key] = about
        for reference, is_list in inner:
            _walk(f"{path}.{key}".lstrip("."), known[reference], known, found, repeated=is_list)


def _alternatives(about: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return about.get("anyOf") or about.get("oneOf") or about.get("allOf") or [about]


def _holds_section(about: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    return any(_sections(about, known))


def _sections(about: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Names of the sections that a key can hold, and whether it holds a list of them."""
    for one in _alternatives(about):
        for part, is_list in ((one, False), (one.get("items", {}), True)):
            name = part.get("$ref", "").rpartition("/")[2]
            if name and "properties" in known[name]:
                yield name, is_list


def in_words(about: Mapping[str, Any]) -> str:
    """The values that a key takes."""
    words = []
    for one in _alternatives(about):
        kind = one.get("type", "")
        if "enum" in one or "const" in one:
            words.append(" or ".join(f'`"{choice}"`' for choice in one.get("enum", [one.get("const")])))
        elif kind == "array":
            inner = one.get("items") or {}
            words.append(f"list of {in_words(inner)}" if inner else "list")
        elif kind in ("integer", "number"):
            limits = [
                f"{sign} {one[name]:g}"
                for name, sign in {
                    "minimum": "≥",
                    "exclusiveMinimum": ">",
                    "maximum": "≤",
                    "exclusiveMaximum": "<",
                }.items()
                if name in one
            ]
            words.append(" ".join(["whole number" if kind == "integer" else "number", ", ".join(limits)]).strip())
        elif kind in ("string", "boolean", "object"):
            words.append({"string": "text", "boolean": "`true` or `false`", "object": "table"}[kind])
    return ", or ".join(dict.fromkeys(words))


def _default(about: Mapping[str, Any]) -> str:
    value = about.get("default")
    if value is None:
        return "" if "default" in about else "needed"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value in ([], {}, ""):
        return ""
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def key_page() -> str:
    """Every key of a study file."""
    parts = [
        MADE,
        "# Study keys\n",
        "Keys of a study file (TOML), by section. `--set SECTION.KEY=VALUE` overrides any of them on the command line, "
        "`--set models.0.layers=all` one of the first network. `neurocompare schema` prints the same for editors, and "
        "`neurocompare run STUDY.toml --check` names a wrong key with its line and the nearest right one.\n",
    ]
    documented = documented_parameters(Hypothesis)
    for title, keys in study_keys().items():
        parts.append(f"## {title}\n")
        first = cell(keys[""]["description"].partition("\n\n")[0])
        about = first.partition(": ")[2] or first
        parts += [about[:1].upper() + about[1:], ""] if title != "at the top" else []
        rows = [
            (f"`{key}`", in_words(one), _default(one), one.get("description") or documented[key])
            for key, one in keys.items()
            if key
        ]
        if rows:
            parts.append(table(("key", "value", "default", "meaning"), rows))
    return "\n".join(parts)


def documented_parameters(documented: type) -> dict[str, str]:
    """Text of every parameter in a docstring, by name."""
    section = (inspect.getdoc(documented) or "").partition("Parameters\n----------\n")[2].partition("\n\n")[0]
    found = {}
    for names, text in re.findall(r"^(\S[^:\n]*) :[^\n]*\n((?:    .*\n?)+)", section, flags=re.MULTILINE):
        found.update(dict.fromkeys(names.split(", "), " ".join(text.split())))
    return found


# Columns of tables


def column_page() -> str:
    """Every table that a study, a power analysis or a description writes, with its columns."""
    parts = [
        MADE,
        "# Tables and their columns\n",
        "Tables of a run are in `tables/`, as CSV and as Parquet with the same columns. A cell is empty where a column "
        "does not apply. Columns may be added in later versions; none goes.\n",
    ]
    for title, tables in table_groups().items():
        parts.append(f"## {title}\n")
        for one in tables:
            parts += [f"### {one.name}\n", f"{one.about}\n"]
            rows = [(f"`{column.name}`", column.unit, column.meaning) for column in one.columns]
            parts.append(table(("column", "unit", "meaning"), rows))
    return "\n".join(parts)


def table_groups() -> dict[str, list[Table]]:
    """Every table by the section of the report that it belongs to."""
    groups: dict[str, list[Table]] = {}
    for measure in MEASURES.values():
        if measure.all_tables:
            groups.setdefault(measure.title, []).extend(measure.all_tables)
    return groups | {"neurocompare power": [POWER], "neurocompare describe": [*DESCRIPTION_TABLES.values()]}


PAGES = {"commands.md": command_page, "study_keys.md": key_page, "tables.md": column_page}
"""What makes each page."""


def main() -> None:
    """Write the pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, made in PAGES.items():
        (FOLDER / name).write_text(made(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
