"""Official archives: read as they are published, refused where they are damaged, fetched only with their checksum."""

from __future__ import annotations

import dataclasses
import functools
import gzip
import hashlib
import http.server
import io
import tarfile
import threading

import numpy as np
import pytest
import scipy.io

from neural_data import InputError
from neurocompare.models import archives
from neurocompare.models.archives import CIFAR10_CLASSES, RECORD_BYTES, fetch_archives, read_archive
from neurocompare.models.datasets import read_dataset


def batch(labels, rng) -> tuple[bytes, np.ndarray]:
    """Bytes of a CIFAR-10 batch and its images (n, 32, 32, 3)."""
    images = rng.integers(0, 256, (len(labels), 32, 32, 3), dtype=np.uint8)
    planes = images.transpose(0, 3, 1, 2).reshape(len(labels), -1)
    return np.concatenate([np.array(labels, np.uint8)[:, None], planes], axis=1).tobytes(), images


def packed(path, files) -> None:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.fixture
def cifar(tmp_path, rng):
    """A small archive of the binary version, and its training images."""
    first, images = batch([0, 3, 9], rng)
    second, more = batch([1, 1], rng)
    test, tested = batch([4], rng)
    files = {"data_batch_1.bin": first, "data_batch_2.bin": second, "test_batch.bin": test, "readme.html": b"x"}
    path = tmp_path / "cifar-10-binary.tar.gz"
    packed(path, files)
    return path, files, np.concatenate([images, more]), tested


def test_cifar_is_read_from_its_archive_and_from_its_folder(cifar, tmp_path):
    path, files, images, tested = cifar
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    for source in (path, folder):
        parts = read_archive(source)
        np.testing.assert_array_equal(parts["train"][0], images)
        assert parts["train"][1].tolist() == [0, 3, 9, 1, 1]
        assert parts["train"][2] == CIFAR10_CLASSES
        np.testing.assert_array_equal(parts["test"][0], tested)
    assert sorted(tmp_path.iterdir()) == sorted([path, folder])


def test_a_data_set_of_an_archive_brings_its_test_images(cifar):
    path, _, images, tested = cifar
    train, test = read_dataset(path)
    np.testing.assert_array_equal(train.images, images.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(test.images, tested.transpose(0, 3, 1, 2))
    assert train.classes == test.classes == CIFAR10_CLASSES
    assert read_dataset(path, size=16)[0].images.shape == (5, 3, 16, 16)


def test_svhn_is_read_and_its_ten_is_zero(tmp_path, rng):
    images = rng.integers(0, 256, (32, 32, 3, 4), dtype=np.uint8)
    scipy.io.savemat(tmp_path / "train_32x32.mat", {"X": images, "y": np.array([[1], [10], [3], [9]], np.uint8)})
    train, test = read_dataset(tmp_path / "train_32x32.mat")
    assert train.labels.tolist() == [1, 0, 3, 9]
    np.testing.assert_array_equal(train.images[1], images[..., 1].transpose(2, 0, 1))
    assert test is None


def cut_off(path, files):
    path.write_bytes(path.read_bytes()[:-200])


def short_batch(path, files):
    packed(path, files | {"data_batch_1.bin": files["data_batch_1.bin"][:-1]})


def wrong_label(path, files):
    packed(path, files | {"data_batch_2.bin": b"\x0a" + files["data_batch_2.bin"][1:]})


def no_batches(path, files):
    packed(path, {"readme.html": b"x"})


def no_archive(path, files):
    path.write_bytes(b"not an archive")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut_off, "damaged or cut off"),
        (short_batch, "not a whole number of images"),
        (wrong_label, "label 10 is out of range"),
        (no_batches, "holds no data_batch"),
        (no_archive, "damaged or cut off"),
    ],
)
def test_damaged_archives_are_refused(cifar, damage, said):
    path, files, *_ = cifar
    damage(path, files)
    with pytest.raises(InputError, match=said):
        read_dataset(path)


def test_a_member_that_claims_too_much_is_not_read(cifar, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST_BATCH_BYTES", RECORD_BYTES)
    with pytest.raises(InputError, match=r"data_batch_1.bin claims 9,219 bytes"):
        read_archive(cifar[0])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"X": np.zeros((4, 4, 3, 2), np.uint8)}, "not X and y"),
        ({"X": np.zeros((4, 4, 3, 2)), "y": np.ones(2)}, "SVHN keeps uint8"),
        ({"X": np.zeros((4, 4, 3, 2), np.uint8), "y": np.array([1, 11])}, "label 11 is out of range"),
    ],
)
def test_other_mat_files_are_refused(tmp_path, content, said):
    scipy.io.savemat(tmp_path / "x.mat", content)
    with pytest.raises(InputError, match=said):
        read_dataset(tmp_path / "x.mat")


@pytest.fixture
def served(cifar, monkeypatch):
    """The small archive on a server of this machine, in the place of the official one; gives its bytes."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=cifar[0].parent)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    content = cifar[0].read_bytes()
    url = f"http://127.0.0.1:{server.server_port}/{cifar[0].name}"
    archive = archives.Archive(url, f"md5:{hashlib.md5(content).hexdigest()}", len(content))
    monkeypatch.setitem(archives.ARCHIVES, "cifar10", (archive,))
    yield archive
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_archive_is_fetched_once_and_its_progress_told(served, tmp_path):
    told = []
    place = tmp_path / "kept"
    found = fetch_archives("cifar10", folder=place, progress=lambda name, share: told.append((name, share)))
    assert found == [place / served.file_name]
    assert told[-1] == (served.file_name, 1.0)
    told.clear()
    assert fetch_archives("cifar10", folder=place, progress=lambda *about: told.append(about)) == found
    assert not told


def test_a_wrong_checksum_is_refused_and_nothing_kept(served, tmp_path, monkeypatch):
    wrong = dataclasses.replace(served, checksum=f"md5:{'0' * 32}")
    monkeypatch.setitem(archives.ARCHIVES, "cifar10", (wrong,))
    with pytest.raises(InputError, match=r"wrong checksum and is not used; download .* and give the path"):
        fetch_archives("cifar10", folder=tmp_path / "kept")
    assert not (tmp_path / "kept" / served.file_name).exists()


def test_without_a_connection_the_way_out_is_said(tmp_path, monkeypatch):
    nowhere = archives.Archive("http://127.0.0.1:9/cifar-10-binary.tar.gz", f"md5:{'0' * 32}", 170_000_000)
    monkeypatch.setitem(archives.ARCHIVES, "cifar10", (nowhere,))
    with pytest.raises(InputError, match=r"cannot be downloaded .*170 MB.* give the path of the file"):
        fetch_archives("cifar10", folder=tmp_path)
    with pytest.raises(InputError, match="did you mean 'cifar10'"):
        fetch_archives("cifar")


def test_any_flipped_bit_of_an_archive_is_noticed(cifar, tmp_path):
    """Gzip's checksum stands at the end, behind everything that a tar reader looks at."""
    path, _, _, _ = cifar
    content = path.read_bytes()
    damaged = tmp_path / "damaged.tar.gz"
    for place in np.random.default_rng(0).integers(10, len(content), 60):
        damaged.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(InputError, match="damaged or cut off"):
            read_archive(damaged)


def test_an_archive_that_was_cut_off_between_files_is_noticed(cifar, tmp_path):
    path, files, _, _ = cifar
    whole = gzip.decompress(path.read_bytes())
    end = 512 + -(-len(files["data_batch_1.bin"]) // 512) * 512
    (tmp_path / "cut.tar.gz").write_bytes(gzip.compress(whole[:end]))
    with pytest.raises(InputError, match="no end mark"):
        read_archive(tmp_path / "cut.tar.gz")


def test_an_archive_that_lacks_a_batch_or_holds_one_twice_is_refused(cifar, tmp_path):
    _, files, _, _ = cifar
    first = files["data_batch_1.bin"]
    packed(tmp_path / "gap.tar.gz", {"data_batch_1.bin": first, "data_batch_4.bin": first})
    with pytest.raises(InputError, match=r"lacks data_batch_2\.bin, data_batch_3\.bin"):
        read_archive(tmp_path / "gap.tar.gz")
    packed(tmp_path / "twice.tar.gz", {"data_batch_1.bin": first, "copy/data_batch_1.bin": first})
    with pytest.raises(InputError, match=r"holds data_batch_1\.bin twice"):
        read_archive(tmp_path / "twice.tar.gz")


def test_an_archive_that_unpacks_to_too_much_is_refused_at_once(tmp_path):
    packed(tmp_path / "bomb.tar.gz", {"readme.html": bytes(20_000_000)})
    with pytest.raises(InputError, match="claims 20,000,000 bytes"):
        read_archive(tmp_path / "bomb.tar.gz")
