"""Kept steps: what goes in comes out, whole or not at all, and one process at a time makes a step."""

from __future__ import annotations

import errno
import logging
import os
import stat
import threading
import time
import zipfile

import numpy as np
import pandas as pd
import pytest

from neural_data import InputError
from neurocompare.measures.declaration import Measured
from neurocompare.representations.rdms import build_rdms, pattern_table, rdm_table
from neurocompare.study.cache import Cache, open_cache, step_key
from neurocompare.study.packing import pack, unpack

ABOUT = {"kind": "fits", "label": "fits", "seconds": 2.0, "work": 4.0}


@pytest.fixture
def cache(tmp_path) -> Cache:
    return open_cache(tmp_path / "cache")


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 0.1, float("inf"), "ü", b"\0\1", [1, "a"], (1, (2,)), {"a": [None, {"b": 2.5}]}],
    ids=repr,
)
def test_plain_values_come_back(value):
    assert unpack(pack(value)) == value
    assert type(unpack(pack(value))) is type(value)


def test_arrays_tables_rdms_and_stimuli_come_back(faces, rng):
    table = pd.DataFrame({"name": ["a", "b"], "value": [0.5, np.nan], "n": [1, 2]}, index=["x", "y"])
    matrices = rng.random((2, 30, 30))
    rdms = build_rdms(
        matrices + matrices.transpose(0, 2, 1), patterns=faces.table, rdms={"layer": ["a", "b"]}, dissimilarity="d"
    )
    found = unpack(pack({"array": matrices, "table": table, "rdms": rdms, "stimuli": faces}))
    np.testing.assert_array_equal(found["array"], matrices)
    pd.testing.assert_frame_equal(found["table"], table)
    np.testing.assert_array_equal(found["rdms"].dissimilarities, rdms.dissimilarities)
    pd.testing.assert_frame_equal(pattern_table(found["rdms"]), pattern_table(rdms))
    pd.testing.assert_frame_equal(rdm_table(found["rdms"]), rdm_table(rdms))
    assert found["stimuli"].checksum() == faces.checksum()


def test_records_come_back_as_they_were():
    record = Measured({"a": pd.DataFrame({"x": [1.5]})}, ("a note",))
    found = unpack(pack({("identity", "neuron"): record}))[("identity", "neuron")]
    assert type(found) is Measured
    assert found.notes == record.notes
    pd.testing.assert_frame_equal(found.tables["a"], record.tables["a"])


def test_equal_values_give_equal_bytes(rng):
    values = rng.random(5)
    assert pack({"a": values}) == pack({"a": values.copy()})


UNPACKABLE = {"object": object(), "array of objects": np.array([object()]), "code": {"a": len}}


@pytest.mark.parametrize("value", UNPACKABLE.values(), ids=UNPACKABLE)
def test_what_would_need_a_pickle_is_refused(value):
    with pytest.raises((TypeError, ValueError)):
        pack(value)


def test_a_step_is_made_once(cache):
    calls = []
    for _ in range(3):
        assert cache.obtain("ab12", lambda: calls.append(1) or {"x": 1}, kind="fits", label="fits") == {"x": 1}
    assert len(calls) == 1


def test_a_damaged_entry_is_made_again(cache, caplog):
    cache.store("ab12", 1, **ABOUT)
    (path,) = cache.folder.glob("ab/*.zip")
    for damage in (path.read_bytes()[:40], b"", path.read_bytes().replace(b"tree", b"flea")):
        path.write_bytes(damage)
        with caplog.at_level(logging.WARNING):
            assert cache.obtain("ab12", lambda: 2, kind="fits", label="fits") == 2
        assert "damaged" in caplog.text


def test_nothing_is_kept_of_a_step_that_fails(cache):
    with pytest.raises(ZeroDivisionError):
        cache.obtain("ab12", lambda: 1 / 0, kind="fits", label="fits")
    assert cache.entries() == []
    assert cache.obtain("ab12", lambda: 5, kind="fits", label="fits") == 5


def test_two_runs_make_a_step_once(cache):
    calls = []

    def slow():
        calls.append(1)
        time.sleep(0.2)
        return 1

    threads = [
        threading.Thread(target=cache.obtain, args=("ab12", slow), kwargs={"kind": "fits", "label": "fits"})
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_a_full_disk_costs_the_entry_and_not_the_result(cache, monkeypatch, caplog):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Cache, "_write", staticmethod(full))
    with caplog.at_level(logging.WARNING):
        assert cache.obtain("ab12", lambda: 7, kind="fits", label="fits") == 7
    assert "No space left" in caplog.text


def test_keys_hold_everything_that_a_step_depends_on():
    keys = [step_key("fits", {"a": 1}), step_key("fits", {"a": 2}), step_key("patches", {"a": 1})]
    assert len(set(keys)) == 3
    assert step_key("fits", {"a": 1, "b": 2}) == step_key("fits", {"b": 2, "a": 1})


def test_pruning_removes_what_was_not_used_for_some_days(cache):
    for key in ("ab1", "ab2"):
        cache.store(key, 1, **ABOUT)
    assert [entry.key for entry in cache.entries()] == ["ab1", "ab2"]
    assert cache.prune(unused_days=3) == []
    later = time.time() + 4 * 86_400
    assert [entry.key for entry in cache.prune(unused_days=3, now=later)] == ["ab1", "ab2"]
    assert cache.entries() == []


def test_a_cache_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/cache cannot be written.*NEUROCOMPARE_CACHE"):
        open_cache(tmp_path / "file" / "cache")


def test_what_stands_in_the_way_of_an_entry_is_passed_over(cache, caplog):
    key = "ab" * 32
    (cache.folder / "ab" / f"{key}.zip" / "inside").mkdir(parents=True)
    assert cache.obtain(key, lambda: 5, kind="fits", label="fits") == 5
    assert "cannot be removed" in caplog.text
    assert "is not cached" in caplog.text
    assert cache.entries() == cache.prune() == []


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs the users of Unix")
def test_somebody_elses_entry_that_cannot_be_read_is_made_again(cache, caplog, monkeypatch):
    cache.store("ab" * 32, 1, **ABOUT)

    def refused(path, *_arguments, **_options):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("neurocompare.study.cache.zipfile.ZipFile", refused)
        with pytest.raises(KeyError):
            cache.load("ab" * 32)
    assert "cannot be read (Permission denied)" in caplog.text
    assert cache.load("ab" * 32) == 1


def test_somebody_elses_entry_is_used_though_it_cannot_be_touched(cache, monkeypatch):
    cache.store("ab" * 32, 1, **ABOUT)
    monkeypatch.setattr(os, "utime", lambda *_: (_ for _ in ()).throw(PermissionError(errno.EPERM, "not yours")))
    assert cache.load("ab" * 32) == 1


def test_entries_can_be_read_by_whoever_shares_the_cache(cache):
    before = os.umask(0o022)
    try:
        cache.store("ab" * 32, 1, **ABOUT)
    finally:
        os.umask(before)
    assert stat.S_IMODE(cache._path("ab" * 32).stat().st_mode) == 0o644


@pytest.mark.parametrize("damage", [b'{"kind": 3}', b"[]", b"\xff", b'{"kind":"a","label":"b","seconds":"x","work":1}'])
def test_an_entry_that_says_nothing_of_itself_is_not_listed(cache, damage):
    cache.store("ab" * 32, 1, **ABOUT)
    with zipfile.ZipFile(cache._path("ab" * 32), "w") as archive:
        archive.writestr("about.json", damage)
    assert cache.entries() == []


def test_fetched_data_sets_lie_in_the_cache_folder_that_is_named(tmp_path, monkeypatch):
    from neurocompare.models import archives

    asked = []
    monkeypatch.setenv("NEUROCOMPARE_CACHE", str(tmp_path / "mine é"))
    monkeypatch.setattr("pooch.retrieve", lambda *_, path, fname, **__: asked.append(path) or path / fname)
    archives.fetch_archives("cifar10")
    assert asked == [tmp_path / "mine é" / "datasets"]
    assert open_cache().folder == tmp_path / "mine é"
