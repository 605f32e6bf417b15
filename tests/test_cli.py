"""The command line: what it prints, how it exits, and that wrong input leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer

from neurocompare import __version__
from neurocompare.cli import main
from neurocompare.cli.options import with_options


def call(*arguments):
    """Exit code of the command line."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def csv_of(folder):
    return folder / "set" / "stimulus_set.csv"


def image_of(folder):
    return folder / "set" / "images" / "s2_45.png"


def remove_row(folder, stimulus_id):
    lines = csv_of(folder).read_text().splitlines()
    csv_of(folder).write_text("\n".join(line for line in lines if not line.startswith(stimulus_id + ",")) + "\n")


def repeat_row(folder):
    lines = csv_of(folder).read_text().splitlines()
    csv_of(folder).write_text("\n".join([*lines, lines[1]]) + "\n")


def test_version_and_help(capsys):
    assert call("--version") == 0
    assert capsys.readouterr().out.strip() == __version__
    assert call("--help") == 0
    assert "run" in capsys.readouterr().out


def test_only_the_program_itself_keeps_freed_memory(monkeypatch):
    kept = []
    monkeypatch.setattr("neurocompare.cli.keep_memory", lambda: kept.append(True))
    assert call("--version") == 0
    assert kept == []
    monkeypatch.setattr(sys, "argv", ["neurocompare", "--version"])
    with pytest.raises(SystemExit):
        main()
    assert kept == [True]


def test_python_m_neurocompare_is_the_same_program():
    found = subprocess.run(
        [sys.executable, "-m", "neurocompare", "--version"], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == __version__


@pytest.mark.slow
def test_a_run_says_what_it_found_and_where(small_study, tmp_path, capsys):
    assert call("run", small_study, "--out", tmp_path / "run", "--set", "comparison.n_draws=60") == 0
    printed = capsys.readouterr().out
    assert "AL: no layer of cnn-small (untrained) fits beyond permuted identities; its largest fit is" in printed
    assert "The recording is simulated." in printed
    assert (tmp_path / "run" / "report.html").is_file()


def test_a_report_can_be_written_again_from_the_run_folder(small_study, tmp_path, capsys):
    call("run", small_study, "--out", tmp_path / "run", "--quiet")
    page = tmp_path / "run" / "report.html"
    content = page.read_bytes()
    page.unlink()
    assert call("report", tmp_path / "run") == 0
    assert page.read_bytes() == content
    assert call("report", tmp_path) == 2
    assert "not a finished run" in capsys.readouterr().err


def test_quiet_prints_nothing(small_study, tmp_path, capsys):
    assert call("run", small_study, "--out", tmp_path / "run", "--quiet") == 0
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_check_runs_nothing(small_study, tmp_path, capsys):
    assert call("run", small_study, "--out", tmp_path / "run", "--check") == 0
    assert "no problem found" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


WRONG_INPUT = {
    "missing CSV": (lambda f: csv_of(f).unlink(), "stimulus_set.csv: no such file"),
    "no azimuth_deg": (lambda f: edit(csv_of(f), "azimuth_deg", "azimut"), "no column 'azimuth_deg'"),
    "repeated stimulus": (repeat_row, "stimulus_id 's0_-90' occurs 2 times (lines 2, 32)"),
    "missing image": (lambda f: image_of(f).unlink(), "image s2_45.png of s2_45 is missing"),
    "empty image": (lambda f: image_of(f).write_bytes(b""), "image s2_45.png of s2_45: is empty (0 bytes)"),
    "truncated image": (
        lambda f: image_of(f).write_bytes(image_of(f).read_bytes()[:90]),
        "image s2_45.png of s2_45 is not a readable image",
    ),
    "missing view": (lambda f: remove_row(f, "s3_-45"), "identity 'id3'"),
    "no uniform background": (
        lambda f: edit(f / "study.toml", "[stimuli]", "[stimuli]\nbackground = 0.5"),
        "s0_-90: the image has no uniform background",
    ),
    "unknown layer": (lambda f: edit(f / "study.toml", '"fc1"', '"fc_1"'), "no layer 'fc_1': did you mean 'fc1'?"),
    "unknown network": (lambda f: edit(f / "study.toml", "cnn-small", "cnn-smal"), "did you mean 'cnn-small'?"),
    "misspelt key": (lambda f: edit(f / "study.toml", "n_draws", "n_draw"), "line 15: unknown key 'comparison.n_draw'"),
    "unknown region": (
        lambda f: edit(f / "study.toml", "n_neurons = 20", 'regions = ["AX"]'),
        "'AX'",
    ),
    "missing recording": (
        lambda f: edit(f / "study.toml", "[recording]", '[recording]\nsource = "none.nc"'),
        "none.nc",
    ),
}


@pytest.mark.parametrize("name", WRONG_INPUT)
def test_wrong_input_gets_one_message_and_leaves_nothing(small_study, tmp_path, capsys, name):
    damage, message = WRONG_INPUT[name]
    damage(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert call("run", small_study, "--out", tmp_path / "run", "--quiet") == 2  # no progress on a slow machine
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert captured.out == ""
    assert sorted(tmp_path.iterdir()) == before


def test_an_output_folder_that_cannot_be_written_is_refused(small_study, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert call("run", small_study, "--out", tmp_path / "file" / "run") == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "Missing argument"),
        (["runn"], "No such command"),
        (["run", "none.toml", "--out", "x"], "no such study file"),
        (["run", "none.toml", "--out", "x", "--set", "oops"], "write KEY=VALUE"),
    ],
)
def test_a_wrong_command_line_exits_with_two(arguments, message, capsys):
    assert call(*arguments) == 2
    assert message in capsys.readouterr().err


def test_a_defect_of_ours_exits_with_one_and_asks_for_a_report(small_study, tmp_path, capsys, monkeypatch):
    def broken(*_arguments, **_options):
        raise ZeroDivisionError

    monkeypatch.setattr("neurocompare.study.runner.run_study", broken)
    assert call("run", small_study, "--out", tmp_path / "run") == 1
    assert "defect of neurocompare" in capsys.readouterr().err


@pytest.mark.real_data
@pytest.mark.slow
def test_the_study_of_the_readme_runs_on_real_faces(real_data, tmp_path):
    source = real_data / "fiv_s" / "stimulus_set.csv"
    settings = ["--set", f"stimuli.source={source}", "--set", "comparison.n_draws=100", "--set", "models.0.seeds=[0]"]
    assert call("run", "analyses/faces_by_view.toml", "--out", tmp_path / "run", *settings) == 0
    assert (tmp_path / "run" / "tables" / "fits.csv").read_text().count("\n") == 1 + 9 * 3


def test_a_program_around_keeps_its_handlers(caplog, capsys):
    level, filters = caplog.handler.level, list(caplog.handler.filters)
    with pytest.raises(SystemExit):
        main(["--version"])
    assert (caplog.handler.level, caplog.handler.filters) == (level, filters)


@dataclass(frozen=True)
class Pair:
    left: Annotated[str, typer.Argument()]
    right: Annotated[list[int] | None, typer.Option("--right", "-r")] = None


def test_a_record_of_options_is_given_as_one_option_a_field():
    app, taken = typer.Typer(), []

    @app.command()
    @with_options
    def command(pair: Pair, *, quiet: Annotated[bool, typer.Option("--quiet")] = False) -> None:
        taken.append((pair, quiet))

    app(["a", "-r", "1", "--right", "2"], standalone_mode=False)
    app(["b", "--quiet"], standalone_mode=False)
    assert taken == [(Pair("a", [1, 2]), False), (Pair("b"), True)]


def test_two_options_of_one_name_are_a_defect():
    def command(pair: Pair, *, left: Annotated[str, typer.Option()] = "") -> None:
        raise AssertionError((pair, left))

    with pytest.raises(ValueError, match="two options of command have the same name"):
        with_options(command)
