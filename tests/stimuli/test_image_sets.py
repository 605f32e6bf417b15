"""Noise is white, and images of a folder or a Parquet file are those that were put there."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from neural_data import InputError
from neurocompare.stimuli.image_sets import noise_images, read_images


def encoded(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def photographs(rng) -> np.ndarray:
    return rng.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path, photographs):
    for number, pixels in enumerate(photographs):
        (tmp_path / f"class{number % 2}").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / f"class{number % 2}" / f"p{number}.png")
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


@pytest.fixture
def parquet(tmp_path, photographs):
    image = [{"bytes": encoded(pixels), "path": "x.png"} for pixels in photographs]
    pq.write_table(pa.table({"image": image, "label": [3, 1, 3, 2, 0]}), tmp_path / "train.parquet")
    return tmp_path / "train.parquet"


def test_noise_is_white_and_reproducible():
    noise = noise_images(20, 16, rng=np.random.default_rng(3))
    images = noise.images()
    assert images.shape == (20, 3, 16, 16)
    assert images.mean() == pytest.approx(0.5, abs=0.01)
    assert np.abs(np.corrcoef(images.reshape(20, -1)) - np.eye(20)).max() < 0.15
    assert noise.checksum() == noise_images(20, 16, rng=np.random.default_rng(3)).checksum()
    gray = noise_images(2, 16, colour=False, rng=np.random.default_rng(3)).images()
    np.testing.assert_array_equal(gray[:, 0], gray[:, 2])


def test_a_folder_gives_its_images_with_their_classes(folder, photographs):
    images = read_images(folder)
    assert images.ids == ["class0_p0.png", "class0_p2.png", "class0_p4.png", "class1_p1.png", "class1_p3.png"]
    assert images.table["category"].tolist() == ["class0"] * 3 + ["class1"] * 2
    np.testing.assert_allclose(images.images()[3] * 255, photographs[1].transpose(2, 0, 1), atol=1e-3)


def test_a_parquet_file_gives_its_images_with_their_labels(parquet, photographs):
    images = read_images(parquet)
    assert images.table["category"].tolist() == ["3", "1", "3", "2", "0"]
    np.testing.assert_array_equal(images.pixels, photographs)


@pytest.mark.parametrize("source", ["folder", "parquet"])
def test_a_random_part_is_taken_in_order_and_without_repeats(source, request, photographs):
    images = read_images(request.getfixturevalue(source), n_images=3, rng=np.random.default_rng(0))
    assert len(images) == 3
    assert images.ids == sorted(set(images.ids))


def test_what_holds_no_images_is_refused(tmp_path, folder, parquet, rng):
    with pytest.raises(InputError, match="neither a folder of images nor a Parquet file"):
        read_images(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has 0 images, but 1 are wanted"):
        read_images(tmp_path / "empty")
    with pytest.raises(InputError, match="has 5 images, but 9 are wanted"):
        read_images(parquet, n_images=9, rng=rng)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 nothing")
    with pytest.raises(InputError, match="not readable as a Parquet file"):
        read_images(broken)
    pq.write_table(pa.table({"img": [b"x"]}), broken)
    with pytest.raises(InputError, match="no column 'image'"):
        read_images(broken)
    pq.write_table(pa.table({"image": [b"no picture"]}), broken)
    with pytest.raises(InputError, match="row 0 is not a readable image"):
        read_images(broken)


def test_cifar_as_data_hubs_store_it(real_data, rng):
    images = read_images(real_data / "cifar10" / "test.parquet", n_images=20, rng=rng)
    assert images.images().shape == (20, 3, 32, 32)
    assert images.name == "cifar10"
    assert set(images.table["category"]) <= set(map(str, range(10)))
