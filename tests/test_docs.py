"""The documentation: nothing declared is missing from its lists, links lead somewhere, examples are small."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import tomllib
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

import neurocompare
from neural_data.parametric import PARAMETER_SOURCES, PatchTuning
from neural_data.simulation import SpikeNoise
from neural_data.stages import STAGE_SOURCES, StageTuning
from neurocompare.cli import app
from neurocompare.measures import MEASURES
from neurocompare.measures.description import DESCRIPTION_TABLES
from neurocompare.measures.power import POWER
from neurocompare.study.grammar import (
    Hypothesis,
    LayerOfModel,
    Model,
    Power,
    Recording,
    Shown,
    Stimuli,
    Study,
    Training,
)

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
WRITTEN = [*DOCS.glob("*.md"), *(DOCS / "reference").glob("*.md")]
LINK = re.compile(r"\]\(((?!https?://)[^)#\s]+)(?:#([^)\s]+))?\)")


def module_at(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    return module_at(DOCS / "generate.py")


def sections(name: str) -> dict[str, str]:
    """Text below each heading of a page of the reference."""
    parts = re.split(r"^#+ (.+)\n", (DOCS / "reference" / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", ["commands.md", "study_keys.md", "tables.md"])
def test_the_reference_is_what_the_program_declares_now(generate, name):
    written = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert written == generate.PAGES[name](), "run 'make reference'"


def test_no_command_and_no_option_of_the_help_is_missing():
    listed = sections("commands.md")
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}).output
    names = re.findall(r"^\W*([a-z-]+) {2,}\S", shown.partition("Commands")[2], flags=re.MULTILINE)
    assert set(names) == {heading for heading in listed if heading != "Commands"}
    assert {"run", "demo", "examples", "check-recording"} <= set(names)
    for name in names:
        about = (
            CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}).output
        )
        options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", about.partition("Options")[2])) - {"--help", "--no"}
        assert [one for one in options if not re.search(rf"{one}(?![\w-])", listed[name])] == [], name


def test_every_key_of_a_study_is_listed_with_its_meaning():
    listed = sections("study_keys.md")
    of_section = {
        "at the top": ["title", "seed"],
        "[stimuli]": Stimuli,
        "[[models]]": Model,
        "[models.preprocessing]": Shown,
        "[models.training]": Training,
        "[recording]": Recording,
        "[[hypotheses]]": Hypothesis,
        "[power]": Power,
        "[power.first]": LayerOfModel,
        "[power.second]": LayerOfModel,
        "[comparison]": Study.model_fields["comparison"].annotation,
    }
    for measure in MEASURES.values():
        if measure.optional and measure.settings is not None:
            of_section[f"[outputs.{measure.key}]"] = measure.settings
    assert {*of_section, "[outputs]", "Study keys"} == set(listed)
    nested = {"preprocessing", "training", "first", "second"}
    for title, section in of_section.items():
        rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", listed[title], flags=re.MULTILINE))
        assert set(rows) == set(section if isinstance(section, list) else section.model_fields) - nested, title
        assert all(len(meaning) > 3 for meaning in rows.values()), title
    assert {key for key, one in MEASURES.items() if one.optional} == set(
        re.findall(r"^\| `(\w+)`", listed["[outputs]"], flags=re.M)
    )


def test_every_column_of_every_table_is_listed_with_its_meaning():
    listed = sections("tables.md")
    tables = [one for measure in MEASURES.values() for one in measure.all_tables]
    for table in [*tables, POWER, *DESCRIPTION_TABLES.values()]:
        rows = re.findall(r"^\| `(\w+)` \|[^|]*\| (.+) \|$", listed[table.name], flags=re.MULTILINE)
        assert [name for name, _ in rows] == list(table.names), table.name


def heading_marks(path: Path) -> set[str]:
    """Marks of headings that links can name, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: page.stem)
def test_links_of_a_page_lead_to_files_and_headings_of_the_repository(page):
    for target, mark in LINK.findall(page.read_text(encoding="utf-8")):
        if target.startswith("api/"):  # made when the site is built
            continue
        path = (page.parent / target).resolve()
        assert path.is_file(), f"{page.name}: {target}"
        assert not mark or mark in heading_marks(path), f"{page.name}: {target}#{mark}"


def test_every_page_of_the_guide_is_in_its_contents_and_in_the_readme():
    contents = (DOCS / "guide.md").read_text().split("```")[1].split("\n")
    pages = {page.stem for page in DOCS.glob("*.md")} - {"index", "guide"}
    assert pages <= set(contents)
    readme = (REPOSITORY / "README.md").read_text()
    assert [page for page in pages if f"(docs/{page}.md)" not in readme] == []
    assert {"docs/reference/study_keys.md", "docs/reference/tables.md", "docs/recording.md"} <= {
        target for target, _ in LINK.findall(readme)
    }
    assert "[models.preprocessing]" in (DOCS / "reference" / "study_keys.md").read_text()


def test_every_public_name_has_a_page_and_a_docstring():
    conf = (DOCS / "conf.py").read_text()
    rooms = ast.literal_eval(re.search(r"^ROOMS = (\{.*?^\})", conf, flags=re.MULTILINE | re.DOTALL)[1])
    assert {
        "neural_data",
        *(f"neurocompare.{one.parent.name}" for one in (REPOSITORY / "neurocompare").glob("*/__init__.py")),
    } - {"neurocompare.cli"} == set(rooms)
    for name in neurocompare.__all__:
        assert name == "__version__" or getattr(neurocompare, name).__doc__


def texts_in_section(documentation: str, heading: str = "Parameters") -> dict[str, str]:
    """Text of every entry in a section of a docstring, by name; empty without the section."""
    _, _, section = documentation.partition(f"{heading}\n{'-' * len(heading)}\n")
    lines = re.split(r"\n\n\w[^\n]*\n---", section)[0].splitlines()
    texts, names = {}, []
    for line in lines:
        if line[:1].strip():
            names = [one.strip(" *") for one in line.partition(" : ")[0].split(",")]
            texts |= dict.fromkeys(names, "")
        else:
            texts |= {name: texts[name] + line.strip() for name in names}
    return texts


def field_texts(kind: type) -> dict[str, str]:
    """Texts of a class's fields that stand outside its section of parameters."""
    if issubclass(kind, BaseModel):
        return {name: one.description or str(one.annotation) for name, one in kind.model_fields.items()}
    declared = {PatchTuning: PARAMETER_SOURCES, SpikeNoise: PARAMETER_SOURCES, StageTuning: STAGE_SOURCES}
    body = ast.parse(inspect.getsource(kind)).body[0].body
    below = {
        field.target.id: text.value.value
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }
    return below | declared.get(kind, {})


def parameters_without_text(thing: object) -> list[str]:
    """Parameters and named results of a function or class that its documentation names without a text, or not at all.

    Up to three parameters may be explained by the sentences of a docstring that has no section of parameters, and
    ``as in :func:`` another function or ``See :class:`` leads to where they are explained.
    """
    documentation = inspect.getdoc(thing) or ""
    texts = texts_in_section(documentation)
    bare = [name for name, text in texts.items() if not text]
    for heading in ("Returns", "Yields"):
        returned = texts_in_section(documentation, heading)
        bare += [name for name, text in returned.items() if not text and f"\n{name} : " in documentation]
    if re.search(r"each (field|parameter) as in :func:", documentation, flags=re.IGNORECASE):
        return bare
    if inspect.isclass(thing):
        if getattr(thing, "_is_protocol", False) or issubclass(thing, (dict, Exception)):
            return bare
        texts = field_texts(thing) | texts
    known = [name for name in inspect.signature(thing).parameters if name not in ("self", "cls")]
    few = not texts and len(known) <= 3
    return bare + ([] if few else [name for name in known if name not in texts])


def public_things() -> dict[str, object]:
    """Public functions, classes and their methods, by module and name."""
    found = {}
    for path in [*(REPOSITORY / "neurocompare").rglob("*.py"), *(REPOSITORY / "neural_data").rglob("*.py")]:
        name = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
        if path.name == "__main__.py" or name.startswith("neurocompare.cli"):
            continue
        module = importlib.import_module(name)
        for one in getattr(module, "__all__", ()):
            thing = getattr(module, one)
            if not (inspect.isfunction(thing) or inspect.isclass(thing)) or thing.__module__ != name:
                continue
            found[f"{name}.{one}"] = thing
            methods = vars(thing).items() if inspect.isclass(thing) else ()
            for method, function in methods:
                function = getattr(function, "__func__", function)
                if inspect.isfunction(function) and method[0] != "_" and function.__doc__:
                    found[f"{name}.{one}.{method}"] = function
    return found


def test_every_parameter_of_a_public_name_has_a_text():
    found = {name: parameters_without_text(thing) for name, thing in public_things().items()}
    assert len(found) > 800
    assert {name: bare for name, bare in found.items() if bare} == {}


def test_examples_are_scripts_of_the_packaged_data_alone():
    scripts = sorted((DOCS / "gallery").glob("plot_*.py"))
    assert len(scripts) >= 4
    for script in scripts:
        text = script.read_text()
        assert text.startswith('"""\n')
        assert "# %%" in text
        assert not re.search(r"https?://|open\(|read_csv|/work|/home", text)


def test_make_docs_lets_no_warning_pass_and_ci_runs_it():
    assert "make docs" in (REPOSITORY / ".ci" / "run").read_text()
    assert "--fail-on-warning" in (REPOSITORY / "Makefile").read_text()
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    pinned = (REPOSITORY / "constraints.txt").read_text().lower()
    assert [one for one in extras["docs"] if f"\n{one.split('>')[0]}==" not in pinned] == []
