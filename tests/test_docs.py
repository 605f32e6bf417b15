"""The documentation: nothing declared is missing from its lists, links lead somewhere, examples are small."""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

import neurocompare
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


def test_every_test_that_the_page_on_links_names_exists():
    named = set(re.findall(r"`(test_\w+)`", (DOCS / "links.md").read_text(encoding="utf-8")))
    there = set()
    for path in (REPOSITORY / "tests").rglob("test_*.py"):
        there |= set(re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert len(named) > 20
    assert named <= there
