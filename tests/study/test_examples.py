"""``neurocompare examples``: the studies of the guide in a folder of the user's, and no file of theirs lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from neural_data.errors import InputError
from neurocompare.cli import main
from neurocompare.study.examples import example_files, write_examples

ANALYSES = Path(__file__).resolve().parents[2] / "analyses"


def test_every_example_of_the_repository_is_written_as_it_is(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["examples", str(tmp_path / "new" / "studies")])
    assert stop.value.code == 0
    sources = {path.name: path for path in [*(ANALYSES / "examples").glob("*.toml"), ANALYSES / "faces_by_view.toml"]}
    written = sorted((tmp_path / "new" / "studies").iterdir())
    assert [path.name for path in written] == sorted(sources)
    assert all(path.read_text() == sources[path.name].read_text() for path in written)
    assert capsys.readouterr().out.split() == [str(path) for path in written]


def test_an_edited_study_is_not_overwritten_and_nothing_is_written_beside_it(tmp_path):
    mine = tmp_path / sorted(example_files())[-1]
    mine.write_text("mine")
    with pytest.raises(InputError, match=f"holds {mine.name} already; name another folder"):
        write_examples(tmp_path)
    assert mine.read_text() == "mine"
    assert [*tmp_path.iterdir()] == [mine]


def test_other_files_are_left_alone_and_a_file_is_no_folder(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert len(write_examples(tmp_path)) == len([*tmp_path.iterdir()]) - 1
    with pytest.raises(InputError, match=r"notes.txt: cannot be written"):
        write_examples(tmp_path / "notes.txt")
