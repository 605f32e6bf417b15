"""A run folder is whole or absent, and replaces only what the same command wrote."""

from __future__ import annotations

import json
import os

import pytest

from neural_data import InputError
from neurocompare.study import run_folders
from neurocompare.study.run_folders import MARK, update_mark, whole_folder


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


def write(out, content="1", **options):
    """A finished folder of two files, one of them in a folder of its own."""
    with whole_folder(out, **options) as folder:
        (folder / "tables").mkdir()
        (folder / "tables" / "fits.csv").write_text(content)
        (folder / MARK).write_text(json.dumps({"seed": content}))
    return out


def seed_of(out):
    return json.loads((out / MARK).read_text())["seed"]


def refusal(out, **options):
    """What is said before anything is computed."""
    with pytest.raises(InputError) as refused, whole_folder(out, **options):
        pytest.fail("the block ran")
    return str(refused.value)


def test_the_folder_appears_when_the_block_ends_well(tmp_path):
    with whole_folder(tmp_path / "a" / "run") as folder:
        (folder / "x").write_text("1")
        assert not (tmp_path / "a" / "run").exists()
    assert entries(tmp_path / "a") == ["run"]
    assert (tmp_path / "a" / "run" / "x").read_text() == "1"


def test_nothing_is_left_when_the_block_fails(tmp_path):
    with pytest.raises(RuntimeError), whole_folder(tmp_path / "run") as folder:  # noqa: PT012
        (folder / "x").write_text("1")
        raise RuntimeError
    assert entries(tmp_path) == []


def test_an_earlier_run_is_replaced_and_survives_a_failure(tmp_path):
    for content in ("old", "new"):
        write(tmp_path / "run", content)
    assert seed_of(tmp_path / "run") == "new"
    with pytest.raises(RuntimeError), whole_folder(tmp_path / "run"):
        raise RuntimeError
    assert seed_of(tmp_path / "run") == "new"
    assert entries(tmp_path) == ["run"]


def test_equal_folders_have_equal_marks_whatever_the_log_says(tmp_path):
    for name in ("a", "b"):
        with whole_folder(tmp_path / name) as folder:
            (folder / "x").write_text("1")
            (folder / "run.log").write_text(f"at {name} o'clock")
    assert (tmp_path / "a" / MARK).read_bytes() == (tmp_path / "b" / MARK).read_bytes()
    with whole_folder(tmp_path / "a"):
        pass


FOREIGN = {  # what somebody does to a finished folder, and what is said
    "a file beside": (lambda run: (run / "thesis.docx").write_text("x"), "did not write: thesis.docx"),
    "a file below": (lambda run: (run / "tables" / "mine.csv").write_text("x"), "did not write: tables/mine.csv"),
    "a folder": (lambda run: (run / "notes").mkdir(), "did not write: notes"),
    "a link": (lambda run: (run / "photos").symlink_to(run.parent), "did not write: photos"),
    "a link for a file": (
        lambda run: (run / "tables" / "fits.csv").symlink_to(
            (run / "tables" / "fits.csv").rename(run.parent / "moved")
        ),
        "changed since neurocompare wrote them: tables/fits.csv",
    ),
    "an edited table": (lambda run: (run / "tables" / "fits.csv").write_text("2"), "wrote them: tables/fits.csv"),
    "an edited provenance": (
        lambda run: (run / MARK).write_text((run / MARK).read_text().replace('"seed": "1"', '"seed": "2"')),
        f"wrote them: {MARK}",
    ),
    "an earlier version": (lambda run: (run / MARK).write_text("{}"), "earlier version, or not ours"),
    "another program": (lambda run: (run / MARK).write_text("[1, 2"), "earlier version, or not ours"),
    "no provenance": (lambda run: (run / MARK).unlink(), "is no earlier run: neurocompare did not write tables"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_anything_that_the_command_did_not_write_makes_it_refuse(tmp_path, case):
    change, said = FOREIGN[case]
    out = write(tmp_path / "run")
    change(out)
    before = sorted(tmp_path.rglob("*"))
    message = refusal(out)
    assert said in message
    assert "move or remove" in message
    assert sorted(tmp_path.rglob("*")) == before


def test_a_command_that_writes_no_folder_is_a_defect(tmp_path):
    with pytest.raises(ValueError, match="did you mean 'train'"), whole_folder(tmp_path / "run", command="trian"):
        pass


def test_another_command_replaces_nothing(tmp_path):
    out = write(tmp_path / "trained", command="train")
    assert "written by 'neurocompare train'" in refusal(out)
    write(out, "2", command="train")
    assert seed_of(out) == "2"


def test_what_is_missing_or_left_by_file_browsers_is_nobodys_loss(tmp_path):
    out = write(tmp_path / "run")
    (out / "tables" / "fits.csv").unlink()
    (out / ".DS_Store").touch()
    (out / "tables" / "Thumbs.db").touch()
    assert seed_of(write(out, "2")) == "2"


def test_files_put_there_during_the_run_stay(tmp_path):
    out = write(tmp_path / "run")
    with pytest.raises(InputError, match=r"did not write: notes\.txt; nothing in it was touched"), whole_folder(out):
        (out / "notes.txt").write_text("by hand")
    assert entries(out) == ["notes.txt", MARK, "tables"]
    assert entries(tmp_path) == ["run"]


def test_a_report_that_is_written_again_is_listed_again(tmp_path):
    out = write(tmp_path / "run")
    (out / "report.html").write_text("again")
    update_mark(out, ["report.html"])
    write(out, "2")


def test_a_stopped_command_finds_what_it_left(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "state").touch()
    assert "did not write state" in refusal(tmp_path / "run", command="train")
    with whole_folder(tmp_path / "run", command="train", unfinished=["state"]):
        assert entries(tmp_path / "run") == ["state"]
    assert entries(tmp_path / "run") == [MARK]


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "run").touch()
    assert "is a file" in refusal(tmp_path / "run")
    assert "cannot be" in refusal(tmp_path / "run" / "inside")


def test_the_current_folder_is_not_replaced(tmp_path, monkeypatch):
    out = write(tmp_path / "run")
    for here, named in ((out, "."), (out / "tables", ".."), (out / "tables", out)):
        monkeypatch.chdir(here)
        assert "the current folder" in refusal(named)


def test_a_link_to_a_folder_stands_for_it_and_one_to_nothing_is_refused(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "disk")
    for content in "12":
        write(tmp_path / "results", content)
    assert (tmp_path / "results").is_symlink()
    assert seed_of(tmp_path / "disk") == "2"
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    assert "is a link to" in refusal(tmp_path / "lost")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    assert "round" in refusal(tmp_path / "round")


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "run 😀", "a\nb", "%d {x}"])
def test_a_long_or_odd_name_is_a_name(tmp_path, name):
    for content in "12":
        write(tmp_path / name, content)
    assert entries(tmp_path) == [name]


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "/".join(["x" * 200] * 30)])
def test_a_name_that_is_none_is_refused(tmp_path, name):
    assert "cannot be" in refusal(tmp_path / name)
    assert entries(tmp_path) == []


def test_what_a_killed_run_left_is_cleared_up(tmp_path, monkeypatch):
    out = write(tmp_path / "run")
    monkeypatch.setattr(os, "getpid", lambda: 2**22 + 1)
    left = tmp_path / (run_folders._prefix(out, "old") + "x")
    (left).mkdir()
    out.rename(left / "run")
    (tmp_path / (run_folders._prefix(out, "new") + "y")).mkdir()
    monkeypatch.undo()
    with pytest.raises(RuntimeError), whole_folder(out):
        raise RuntimeError
    assert entries(tmp_path) == ["run"]
    assert seed_of(out) == "1"
