"""The demo, repeated: equal files without computing, and only where nothing changed."""

from __future__ import annotations

import tomllib
import zipfile

import pytest

from neural_data import InputError
from neurocompare.cli import main
from neurocompare.study import cache as caching, repeats, runner
from neurocompare.study.cache import open_cache
from neurocompare.study.repeats import demo_key, keep_run, write_again
from neurocompare.study.run_folders import LOG, whole_folder


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != LOG
    }


@pytest.fixture
def cache(tmp_path):
    return open_cache(tmp_path / "cache")


@pytest.fixture
def finished(tmp_path):
    with whole_folder(tmp_path / "run") as folder:
        (folder / "tables").mkdir()
        (folder / "tables" / "fits.csv").write_text("fit\n0.5\n")
        (folder / LOG).write_text("12:00 fits\n")
    return tmp_path / "run"


def test_a_kept_run_is_written_again_as_it_was(cache, finished, tmp_path):
    assert write_again(cache, "a" * 64, tmp_path / "again") is None
    keep_run(cache, "a" * 64, finished, ["- AL fits.", "é"], seconds=1.0)
    assert write_again(cache, "a" * 64, tmp_path / "again") == ["- AL fits.", "é"]
    assert files_of(tmp_path / "again") == files_of(finished)
    # A folder written again is a run like any other: it can be replaced.
    assert write_again(cache, "a" * 64, tmp_path / "again") is not None
    assert [(entry.kind, entry.label) for entry in cache.entries()] == [("run", "demo")]


def test_a_folder_with_other_files_is_refused_and_not_touched(cache, finished, tmp_path):
    keep_run(cache, "a" * 64, finished, [], seconds=1.0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"neurocompare did not write notes\.txt"):
        write_again(cache, "a" * 64, tmp_path / "mine")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"


def test_a_damaged_entry_or_one_that_points_outside_is_not_used(cache, finished, tmp_path):
    for key, name in (("b" * 64, "run/../../outside.txt"), ("c" * 64, "/outside.txt")):
        path = cache.folder / key[:2] / f"{key}.zip"
        path.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(caching.ABOUT, "{}")
            archive.writestr(repeats.SAID, "")
            archive.writestr(name, "x")
        assert write_again(cache, key, tmp_path / "again") is None
    keep_run(cache, "d" * 64, finished, [], seconds=1.0)
    path = cache.folder / "dd" / f"{'d' * 64}.zip"
    path.write_bytes(path.read_bytes()[:-40])
    assert write_again(cache, "d" * 64, tmp_path / "again") is None
    assert not (tmp_path / "again").exists()
    assert not (tmp_path / "outside.txt").exists()


def test_a_folder_that_is_no_run_is_not_kept(cache, tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="is no finished run"):
        keep_run(cache, "a" * 64, tmp_path / "other", [], seconds=1.0)


def test_the_key_changes_with_code_data_versions_and_options(monkeypatch):
    first = demo_key(quick=False, device="auto")
    assert first == demo_key(quick=False, device="auto")
    found = {first, demo_key(quick=True, device="auto"), demo_key(quick=False, device="cpu")}
    with monkeypatch.context() as patch:
        patch.setattr(repeats, "installed_version", lambda name: "0.0" if name == "xarray" else None)
        found.add(demo_key(quick=False, device="auto"))
    with monkeypatch.context() as patch:
        patch.setattr(caching, "_code", lambda: "other code")
        found.add(demo_key(quick=False, device="auto"))
    with monkeypatch.context() as patch:
        patch.setattr(repeats, "_DATA", ("demo.toml",))
        found.add(demo_key(quick=False, device="auto"))
    assert len(found) == 6


def test_the_demo_is_computed_once_and_with_other_settings_again(small_study, tmp_path, monkeypatch, capsys):
    study = tomllib.loads(small_study.read_text())
    study["stimuli"]["source"] = str(small_study.parent / study["stimuli"]["source"])
    monkeypatch.setattr("neurocompare.study.demo.demo_study", lambda: (study, []))
    ran = []

    run_study = runner.run_study

    def run(*arguments, **options):
        ran.append(options["out"].name)
        return run_study(*arguments, **options)

    monkeypatch.setattr(runner, "run_study", run)

    def demo(name, *options):
        with pytest.raises(SystemExit) as stop:
            main(["demo", "--out", str(tmp_path / name), *options])
        assert stop.value.code == 0
        return capsys.readouterr().out.replace(name, "OUT")

    assert demo("first") == demo("second")
    assert ran == ["first"]
    assert files_of(tmp_path / "first") == files_of(tmp_path / "second")
    demo("third", "--set", "seed=4")
    assert ran == ["first", "third"]
