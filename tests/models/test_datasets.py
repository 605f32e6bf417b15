"""Labelled images: where they come from, how they are split, and what a regime does to them."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from neural_data import InputError
from neurocompare.models.datasets import LabelledImages, apply_regime, read_dataset, split_dataset
from neurocompare.models.regimes import REGIMES, Regime


@pytest.fixture
def digits(rng) -> LabelledImages:
    """Thirty images of each of three classes, every one different."""
    images = rng.integers(0, 256, (90, 3, 8, 8), dtype=np.uint8)
    return LabelledImages(images, np.tile([0, 1, 2], 30), ("a", "b", "c"), "digits")


def encoded(image: np.ndarray) -> bytes:
    held = io.BytesIO()
    Image.fromarray(image).save(held, "PNG")
    return held.getvalue()


def parquet(path, labels, rng):
    rows = [{"image": {"bytes": encoded(rng.integers(0, 256, (8, 8), dtype=np.uint8)), "path": ""}} for _ in labels]
    pd.DataFrame(rows).assign(label=labels).to_parquet(path)
    return path


def test_regimes_flip_the_same_half_of_every_class(digits):
    same, distinct = apply_regime(digits, "mirror-same"), apply_regime(digits, "mirror-distinct")
    flipped = distinct.labels >= 3
    assert np.bincount(distinct.labels).tolist() == [15] * 6
    np.testing.assert_array_equal(same.images, distinct.images)
    np.testing.assert_array_equal(same.images[flipped], digits.images[flipped][..., ::-1])
    np.testing.assert_array_equal(same.images[~flipped], digits.images[~flipped])
    np.testing.assert_array_equal(same.labels, digits.labels)
    np.testing.assert_array_equal(distinct.labels % 3, digits.labels)
    assert distinct.classes == ("a", "b", "c", "mirrored a", "mirrored b", "mirrored c")


@pytest.mark.parametrize("regime", ["natural", "digits", "symmetric", "chiral", "pose"])
def test_other_regimes_show_images_as_they_are(digits, regime):
    assert apply_regime(digits, regime) is digits


def test_unknown_regimes_are_refused(digits):
    with pytest.raises(InputError, match="did you mean 'mirror-same'"):
        apply_regime(digits, "mirror-sam")
    with pytest.raises(InputError, match="'untrained' is not trained"):
        apply_regime(digits, "untrained")


def test_a_record_is_all_that_a_new_regime_takes_and_it_says_what_it_shows(digits, monkeypatch):
    """A regime of half of the images upside down; without its ``show`` there is no record."""

    def upside_down(images, labels, classes, flipped):
        shown = images.copy()
        shown[flipped] = shown[flipped][..., ::-1, :]
        return shown, labels, classes

    record = Regime("upside-down", "half of the images upside down", upside_down, mirrors=True)
    monkeypatch.setitem(REGIMES, "upside-down", record)
    turned = apply_regime(digits, "upside-down").images
    as_they_are = (turned == digits.images).all(axis=(1, 2, 3))
    assert as_they_are.sum() == len(digits) // 2
    np.testing.assert_array_equal(turned[~as_they_are], digits.images[~as_they_are][..., ::-1, :])
    with pytest.raises(TypeError, match="show"):
        Regime("upside-down", "half of the images upside down")


def test_splits_are_disjoint_and_hold_a_tenth_of_every_class(digits):
    splits = split_dataset(digits, seed=1)
    for part, n_each in ((splits.train, 24), (splits.validation, 3), (splits.test, 3)):
        assert np.bincount(part.labels).tolist() == [n_each] * 3
    seen = [image.tobytes() for part in vars(splits).values() for image in part.images]
    assert sorted(seen) == sorted(image.tobytes() for image in digits.images)
    again = split_dataset(digits, seed=1)
    np.testing.assert_array_equal(again.test.images, splits.test.images)
    assert not np.array_equal(split_dataset(digits, seed=2).test.images, splits.test.images)


def test_given_test_images_are_the_test_images(digits):
    test = digits.take(np.arange(9))
    splits = split_dataset(digits, test)
    assert splits.test is test
    assert len(splits.train) == 81


@pytest.mark.slow
def test_exemplars_stay_together(rendered):
    splits = split_dataset(rendered("chiral"))
    shown = [set(part.exemplars) for part in vars(splits).values()]
    assert not shown[0] & shown[1] | shown[0] & shown[2] | shown[1] & shown[2]
    assert [set(part.labels) for part in vars(splits).values()] == [set(range(10))] * 3


@pytest.mark.slow
def test_twins_show_the_same_exemplars_in_the_same_order(rendered):
    symmetric, chiral = map(rendered, ("symmetric", "chiral"))
    np.testing.assert_array_equal(symmetric.labels, chiral.labels)
    assert not np.array_equal(symmetric.images, chiral.images)


def test_poses_are_faces_labelled_by_the_nearest_of_nine_views():
    poses, test = read_dataset("pose", size=24, n_images=45, seed=7)
    assert (len(poses), test, poses.classes[0], poses.classes[4]) == (45, None, "-90 degrees", "0 degrees")
    assert np.bincount(poses.labels).tolist() == [5] * 9
    assert len(set(poses.exemplars)) == 1
    # Mirror images: the third of five views of a class lies at its centre, and that of the mirrored class opposite.
    centres = poses.images[2::5]
    np.testing.assert_array_equal(centres[0], centres[8][..., ::-1])
    assert not np.array_equal(centres[0], centres[8])


def test_parquets_are_read_with_their_classes_in_order(tmp_path, rng):
    path = parquet(tmp_path / "train.parquet", [10, 9, 2, 2], rng)
    data, _ = read_dataset(path, size=8)
    assert data.classes == ("2", "9", "10")
    assert data.labels.tolist() == [2, 1, 0, 0]
    assert (data.images[:, 0] == data.images[:, 1]).all()


def test_folders_of_class_folders_are_read(tmp_path, rng):
    for name in ("cat/1.png", "cat/2.png", "dog/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(encoded(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)))
    data, _ = read_dataset(tmp_path, size=4)
    assert data.classes == ("cat", "dog")
    assert data.labels.tolist() == [0, 0, 1]
    assert data.images.shape == (3, 3, 4, 4)
    (tmp_path / "loose.png").write_bytes(encoded(np.zeros((8, 8), np.uint8)))
    with pytest.raises(InputError, match=r"loose.png is not in the folder of a class"):
        read_dataset(tmp_path)


def test_fewer_images_are_taken_of_all_classes_alike(tmp_path, rng):
    path = parquet(tmp_path / "train.parquet", [0] * 30 + [1] * 4 + [2] * 30, rng)
    data, _ = read_dataset(path, size=8, n_images=20)
    assert np.bincount(data.labels).tolist() == [8, 4, 8]
    assert len({image.tobytes() for image in data.images}) == 20


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([1, 1, 1], r"holds one class \(1\)"),
        ([1, -2, 1], "row 1 has label '-2', out of range or missing"),
        (["1", None, "2"], "row 1 has label '', out of range or missing"),
        ([1.5, 2.0], "row 0 has label '1.5'"),
    ],
)
def test_wrong_labels_are_refused(tmp_path, rng, labels, said):
    with pytest.raises(InputError, match=said):
        read_dataset(parquet(tmp_path / "train.parquet", labels, rng))


def test_wrong_sources_are_refused(tmp_path, rng, digits):
    with pytest.raises(InputError, match="did you mean 'chiral'"):
        read_dataset("chirl")
    path = parquet(tmp_path / "train.parquet", [0, 1], rng)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="not readable as a Parquet"):
        read_dataset(path)
    with pytest.raises(InputError, match="class 'a' has 2 images, too few"):
        split_dataset(digits.take(np.arange(6)))
    other = LabelledImages(digits.images, digits.labels, ("a", "b", "d"), "other")
    with pytest.raises(InputError, match="they must be the same"):
        split_dataset(digits, other)
    with pytest.raises(InputError, match="out of range"):
        LabelledImages(digits.images, digits.labels + 1, digits.classes, "shifted")


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["cifar10", "mnist"])
@pytest.mark.slow
def test_real_data_sets_are_read(real_data, name):
    test, _ = read_dataset(real_data / name / "test.parquet", n_images=200)
    assert np.bincount(test.labels).tolist() == [20] * 10
    assert test.images.shape == (200, 3, 32, 32)
