"""The demo, repeated: equal files without computing, and only where nothing changed."""

from __future__ import annotations

import hashlib
import os
import tomllib
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from neural_data import InputError
from neurocompare.cli import main
from neurocompare.study import cache as caching, repeats, runner
from neurocompare.study.cache import open_cache
from neurocompare.study.grammar import load_study
from neurocompare.study.repeats import checksums, demo_key, keep_run, study_key, write_again
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
            archive.writestr(repeats.INPUTS, "{}")
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


@pytest.fixture
def ran(monkeypatch):
    """The arguments of every run that was not written again; a run only writes what its images hold."""
    found = []

    def run(study, *, out, overrides, **options):
        found.append(options)
        settings = load_study(study, overrides)
        shown = sorted((Path(settings.stimuli.source).parent / "images").iterdir())
        with whole_folder(out) as folder:
            (folder / "seen.txt").write_bytes(b"".join(path.read_bytes() for path in shown))
        return SimpleNamespace(tables={}, study=settings, out=out)

    monkeypatch.setattr(runner, "run_study", run)
    return found


def call(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(["run", *map(str, arguments)])
    return stop.value.code


def test_an_equal_study_is_written_again_until_anything_that_it_reads_changes(ran, small_study, tmp_path):
    images = sorted((small_study.parent / "set" / "images").iterdir())

    def runs(*options):
        before = len(ran)
        assert call(small_study, "--out", tmp_path / "out", *options) == 0
        return len(ran) - before

    assert (runs(), runs()) == (1, 0)
    first = (tmp_path / "out" / "seen.txt").read_bytes()
    # Images have the same size and time, and another content.
    state = images[0].stat()
    images[0].write_bytes(images[0].read_bytes()[::-1])
    os.utime(images[0], ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (runs(), runs()) == (1, 0)
    assert (tmp_path / "out" / "seen.txt").read_bytes() != first
    (images[0].parent / "another.png").write_bytes(b"x")
    assert (runs(), runs()) == (1, 0)
    assert (runs("--set", "seed=4"), runs("--set", "seed=4"), runs("--quick"), runs("--device", "cpu")) == (1, 0, 1, 1)
    small_study.write_text(small_study.read_text() + "# a comment\n")
    assert (runs(), runs()) == (1, 0)


def test_a_study_whose_input_cannot_be_listed_or_changed_meanwhile_is_run_each_time(
    ran, small_study, tmp_path, monkeypatch
):
    content = small_study.read_text()
    for n_runs, added in (
        (2, '[[models]]\nname = "some_package:network"\n'),
        (4, '[[models]]\nname = "mlp"\n[models.preprocessing]\ntransform = "some_package:transform"\n'),
    ):
        small_study.write_text(content.replace("[[models]]", f"{added}\n[[models]]", 1))
        assert call(small_study, "--out", tmp_path / "out") == call(small_study, "--out", tmp_path / "out") == 0
        assert len(ran) == n_runs
    small_study.write_text(content)
    run = runner.run_study

    def changed_meanwhile(study, **options):
        finished = run(study, **options)
        image = next((small_study.parent / "set" / "images").iterdir())
        image.write_bytes(image.read_bytes() + b"x")
        return finished

    monkeypatch.setattr(runner, "run_study", changed_meanwhile)
    assert call(small_study, "--out", tmp_path / "out") == call(small_study, "--out", tmp_path / "out") == 0
    assert len(ran) == 6


def test_a_study_whose_images_lie_beside_another_folder_called_images_is_run_each_time(ran, small_study, tmp_path):
    place = small_study.parent / "set"
    for image in sorted((place / "images").iterdir()):
        image.rename(place / image.name)
    (place / "images" / "of something else.txt").write_text("x")
    assert call(small_study, "--out", tmp_path / "out") == call(small_study, "--out", tmp_path / "out") == 0
    assert len(ran) == 2


def test_too_much_input_and_unreadable_input_have_no_checksums(tmp_path, monkeypatch):
    (tmp_path / "a.bin").write_bytes(b"abc")
    found = checksums([tmp_path / "a.bin", tmp_path / "absent"])
    assert found == {str(tmp_path / "a.bin"): {".": hashlib.sha256(b"abc").hexdigest()}, str(tmp_path / "absent"): None}
    monkeypatch.setattr(repeats, "MOST_BYTES", 2)
    assert checksums([tmp_path]) is None
    assert study_key(tmp_path / "absent", {}, quick=False, device="auto") is None
