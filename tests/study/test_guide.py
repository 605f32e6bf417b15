"""The user guide and the example studies: every command works, every study is understood."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from neurocompare.cli import main
from neurocompare.study.grammar import load_study

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((REPOSITORY / "analyses" / "examples").glob("*.toml"))
PAGES = ("first_steps", "model", "recording", "rdms", "plan", "inference")
LINES = [line for page in PAGES for line in (REPOSITORY / "docs" / f"{page}.md").read_text().splitlines()]
COMMANDS = [line for line in LINES if line.startswith("neurocompare ")]


def test_there_are_five_examples():
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_understood(path):
    assert load_study(path).title


def test_the_guide_has_its_chapters():
    chapters = {line.lstrip("# ") for line in LINES if line.startswith("#")}
    assert chapters >= {
        *("First run", "Bring your model", "Train networks", "Bring your recording", "Bring your stimuli"),
        *("Describe a recording by itself", "I have RDMs", "Choose the right inference"),
        *("Plan an experiment", "Read the report", "On many machines", "Reproduce the paper"),
    }
    assert len(COMMANDS) >= 12


def test_every_line_of_a_shell_block_is_a_command_that_is_run():
    inside, lines = False, []
    for line in LINES:
        if line.startswith("```"):
            inside = line == "```sh"
        elif inside:
            lines.append(line)
    assert lines == COMMANDS


@pytest.mark.slow
def test_every_command_of_the_guide_works(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS:
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(command)[1:])
        assert stop.value.code == 0, (command, capsys.readouterr().err)
