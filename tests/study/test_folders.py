"""A run folder is whole or absent."""

from __future__ import annotations

import pytest

from neural_data import InputError
from neurocompare.study.folders import MARK, whole_folder


def entries(folder):
    return sorted(path.name for path in folder.iterdir())


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
        with whole_folder(tmp_path / "run") as folder:
            (folder / MARK).write_text(content)
    assert (tmp_path / "run" / MARK).read_text() == "new"
    with pytest.raises(RuntimeError), whole_folder(tmp_path / "run"):
        raise RuntimeError
    assert (tmp_path / "run" / MARK).read_text() == "new"
    assert entries(tmp_path) == ["run"]


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.docx").touch()
    with pytest.raises(InputError, match="no earlier run"), whole_folder(tmp_path):
        pass
    assert entries(tmp_path) == ["thesis.docx"]


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(InputError, match="is a file"), whole_folder(tmp_path / "run"):
        pass
    with pytest.raises(InputError, match="cannot be written"), whole_folder(tmp_path / "run" / "inside"):
        pass
