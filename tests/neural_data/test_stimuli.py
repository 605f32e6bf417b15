"""Stimulus sets: what they give, and what they refuse."""

from __future__ import annotations

import functools
import types
import zipfile

import numpy as np
import pytest
from PIL import Image

from neural_data import InputError, read_stimuli, write_stimuli
from neural_data.errors import closest


@pytest.fixture
def folder(faces, tmp_path):
    write_stimuli(faces, tmp_path / "set")
    return tmp_path / "set"


def edit_csv(folder, change):
    """Apply a change (lines -> lines) to the CSV of a set and give its path."""
    path = folder / "stimulus_set.csv"
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    return path


def test_a_written_set_reads_back_the_same(faces, folder):
    again = read_stimuli(folder / "stimulus_set.csv")
    assert again.ids == faces.ids
    np.testing.assert_array_equal(again.images(), faces.images())
    for column in ("identity", "category", "azimuth_deg", "elevation_deg"):
        assert again.table[column].tolist() == faces.table[column].tolist()


def test_a_zip_of_images_gives_the_same_as_the_folder(faces, folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in sorted((folder / "images").iterdir()):
            archive.write(path, path.name)
    zipped = read_stimuli(folder / "stimulus_set.csv", images=tmp_path / "images.zip")
    np.testing.assert_array_equal(zipped.images(), faces.images())


def test_images_are_float_in_unit_range_with_equal_channels_for_gray(faces):
    images = faces.images()
    assert images.shape == (30, 3, 12, 12)
    assert images.dtype == np.float32
    np.testing.assert_array_equal(images[:, 0], faces.pixels / np.float32(255))
    np.testing.assert_array_equal(images[:, 0], images[:, 2])


def test_resizing_keeps_a_uniform_image_uniform_and_mirrors_with_its_image(faces):
    small, mirrored = faces.images(5), faces.with_transform(lambda x: x[..., ::-1]).images(5)
    np.testing.assert_allclose(mirrored, small[..., ::-1], atol=1e-6)
    uniform = faces.with_transform(lambda x: np.full_like(x, 0.25)).images(7)
    np.testing.assert_allclose(uniform, 0.25, atol=1e-6)


def test_batches_join_to_the_whole(faces):
    np.testing.assert_array_equal(np.concatenate(list(faces.batches(7, 8))), faces.images(8))


def halved(images):
    return images / 2


def test_images_in_memory_are_those_on_disk(folder, monkeypatch):
    streamed = read_stimuli(folder).with_transform(halved)
    decoded = read_stimuli(folder).decode().with_transform(halved)
    prepared = decoded.prepare(5, 7)
    assert decoded.checksum() == prepared.checksum() == streamed.checksum()
    for size in (None, 5, 7, 9):
        np.testing.assert_array_equal(prepared.images(size), streamed.images(size))
    some = [3, 1, 12]
    np.testing.assert_array_equal(prepared.take(some).images(5), streamed.take(some).images(5))
    np.testing.assert_array_equal(prepared.with_transform(halved).images(5), streamed.with_transform(halved).images(5))
    for path in (folder / "images").iterdir():
        path.unlink()
    expected = prepared.images(5).copy()
    monkeypatch.setattr("neural_data.stimuli.resized", None)
    shown = prepared.images(5)
    shown[:] = 0
    np.testing.assert_array_equal(np.concatenate(list(prepared.batches(4, 5))), expected)


def test_images_beyond_the_budget_are_left_on_disk(folder):
    stimuli = read_stimuli(folder)
    n_bytes = 30 * 12 * 12
    assert stimuli.decode(max_mb=(n_bytes - 1) / 1e6).pixels is None
    assert stimuli.decode(max_mb=n_bytes / 1e6).pixels.nbytes == n_bytes
    small, large = 30 * 3 * 25 * 4, 30 * 3 * 49 * 4
    assert set(stimuli.prepare(5, 7, max_mb=(small + large - 1) / 1e6).prepared) == {5}
    assert set(stimuli.prepare(5, max_mb=small / 1e6).prepare(7, max_mb=large / 1e6).prepared) == {5}
    assert set(stimuli.prepare(5, 7, max_mb=(small + large) / 1e6).prepared) == {5, 7}


def test_images_of_several_sizes_are_left_on_disk(folder):
    Image.new("L", (20, 20)).save(folder / "images" / "s5_90.png")
    stimuli = read_stimuli(folder)
    assert stimuli.decode().pixels is None
    np.testing.assert_array_equal(stimuli.decode().images(8), stimuli.images(8))


def test_yaw_views_sort_by_identity_and_azimuth_and_leave_out_other_elevations(faces):
    table = faces.table.copy()
    table.loc["s0_90", "elevation_deg"] = 30.0
    shuffled = faces.take(np.random.default_rng(1).permutation(len(faces)))
    views = shuffled.yaw_views()
    per_identity = views.table.groupby("identity", sort=False)["azimuth_deg"].agg(list)
    assert all(azimuths == [-90, -45, 0, 45, 90] for azimuths in per_identity)
    assert views.identities == shuffled.identities
    by_id = dict(zip(faces.ids, faces.pixels, strict=True))
    for stimulus_id, pixels in zip(views.ids, views.pixels, strict=True):
        np.testing.assert_array_equal(pixels, by_id[stimulus_id])


def test_yaw_views_can_be_chosen(faces):
    assert set(faces.yaw_views([-45, 0, 45]).table["azimuth_deg"]) == {-45, 0, 45}


def test_a_missing_view_names_the_identity_and_the_azimuth(faces):
    with pytest.raises(InputError, match=r"identity 'id0'.*azimuth_deg 45 is missing"):
        faces.take(np.array([name != "s0_45" for name in faces.ids])).yaw_views()


def test_the_checksum_follows_pixels_table_and_transforms(faces):
    changed = faces.pixels.copy()
    changed[3, 0, 0] ^= 1
    sums = {
        faces.checksum(),
        type(faces)(faces.table, pixels=changed).checksum(),
        type(faces)(faces.table.assign(identity="x"), pixels=faces.pixels).checksum(),
        faces.with_transform(np.sqrt).checksum(),
    }
    assert len(sums) == 4
    assert faces.checksum() == type(faces)(faces.table, pixels=faces.pixels, name="other").checksum()


def scaled(images, factor=1.0):
    return images * factor


def test_the_checksum_of_a_function_is_the_same_in_every_run(faces):
    again = types.FunctionType(scaled.__code__, scaled.__globals__, "scaled")
    again.__qualname__ = scaled.__qualname__
    assert repr(again) != repr(scaled)  # another address, as in another run
    assert faces.with_transform(again).checksum() == faces.with_transform(scaled).checksum()
    halved = [faces.with_transform(functools.partial(f, factor=0.5)).checksum() for f in (scaled, again)]
    assert halved[0] == halved[1]
    sums = {faces.checksum(), faces.with_transform(scaled).checksum(), halved[0]}
    sums.add(faces.with_transform(functools.partial(scaled, factor=0.25)).checksum())
    assert len(sums) == 4


@pytest.mark.parametrize(
    "transform",
    [lambda images: images, functools.partial(scaled, factor=np.ones(3)), functools.partial(scaled, factor=object())],
    ids=["lambda", "array", "address"],
)
def test_a_transform_without_a_stable_description_has_no_checksum(faces, transform):
    with pytest.raises(TypeError, match="differs from run to run"):
        faces.with_transform(transform).checksum()


def test_legacy_column_names_are_read(folder):
    path = edit_csv(folder, lambda lines: [lines[0].replace("stimulus_id", "image_id"), *lines[1:]])
    assert read_stimuli(path).ids[0] == "s0_-90"


def test_select_suggests_the_nearest_column(faces):
    assert len(faces.select(identity=["id1", "id2"])) == 10
    with pytest.raises(InputError, match="did you mean 'identity'"):
        faces.select(identiti="id1")
    with pytest.raises(InputError, match="none of the 30 stimuli"):
        faces.select(identity="id99")


def remove_column(name):
    def change(lines):
        place = lines[0].split(",").index(name)
        return [",".join(part for i, part in enumerate(line.split(",")) if i != place) for line in lines]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove_column("stimulus_id"), "no column 'stimulus_id'"),
        (lambda lines: [lines[0].replace("azimuth_deg", "Azimuth"), *lines[1:]], "'Azimuth' looks like it; rename"),
        (lambda lines: [*lines, lines[1]], r"'s0_-90' occurs 2 times \(lines 2, 32\)"),
        (
            lambda lines: [*lines[:3], lines[3].replace(",0.0,", ",front,", 1), *lines[4:]],
            "line 4, azimuth_deg is 'front'",
        ),
        (lambda lines: lines[:1], "has no stimuli"),
        (lambda lines: lines[:0], "not readable as a CSV"),
        (lambda lines: [*lines[:2], lines[2].replace(".png", ".bmp"), *lines[3:]], r"s0_-45.bmp .* is missing"),
        (lambda lines: [*lines[:2], lines[2].replace("s0_-45.png", "../x.png"), *lines[3:]], "outside that folder"),
        (lambda lines: [*lines[:2], lines[2].replace("s0_-45.png", "/etc/x"), *lines[3:]], "outside that folder"),
        (lambda lines: [*lines[:2], lines[2].replace(",id0,", ", ,"), *lines[3:]], "line 3 has an empty identity"),
    ],
    ids=["no id", "azimuth", "twice", "angle", "no rows", "empty", "missing", "dots", "absolute", "blank"],
)
def test_a_broken_table_is_refused(folder, change, message):
    with pytest.raises(InputError, match=message):
        read_stimuli(edit_csv(folder, change))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(path.read_bytes()[:100]), "not a readable image"),
        (lambda path: path.write_bytes(b"no image at all"), "not a readable image"),
        (lambda path: path.unlink(), "is missing"),
        (lambda path: Image.new("L", (9, 12)).save(path), "9 x 12 pixels"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/hostname")), "link to a place outside|is missing"),
    ],
    ids=["empty", "truncated", "text", "missing", "other size", "link"],
)
def test_a_broken_image_is_refused(folder, damage, message):
    damage(folder / "images" / "s1_0.png")
    with pytest.raises(InputError, match=message):
        read_stimuli(folder).images()


def test_a_missing_csv_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_stimuli(tmp_path / "nothing.csv")


def test_transparent_pixels_lie_on_gray(folder):
    image = Image.new("RGBA", (12, 12), (255, 0, 0, 0))
    image.save(folder / "images" / "s0_0.png")
    np.testing.assert_allclose(read_stimuli(folder).take([2]).images(), 128 / 255, atol=1e-6)


def test_closest_names_a_near_spelling_or_what_there_is():
    assert closest("fc_1", ["conv1", "fc1"]) == "did you mean 'fc1'?"
    assert closest("zzz", ["a", "b"]) == "known are 'a', 'b'"


@pytest.mark.real_data
def test_the_real_faces_have_125_yaw_views(real_data):
    views = read_stimuli(real_data / "fiv_s" / "stimulus_set.csv").yaw_views()
    assert len(views) == 125
    assert views.images(32).shape == (125, 3, 32, 32)


def test_other_pixels_take_the_place_of_prepared_images(faces):
    prepared = faces.with_transform(lambda images: 1 - images).prepare(8)
    black = prepared.with_pixels(np.zeros((len(faces), 8, 8), np.uint8))
    assert prepared.images(8).any()
    assert not black.images(8).any()
    assert black.ids == faces.ids


def test_a_set_says_what_it_holds(faces):
    counts = "30 stimuli, 6 identities, 5 azimuths (-90 to 90 degrees), 1 category"
    assert repr(faces) == f"<StimulusSet {faces.name!r}: {counts}; images in memory>"
    one = faces.take([0])
    assert "1 stimulus, 1 identity, 1 azimuth, 1 category" in repr(one)
    page = one._repr_html_()
    assert page.startswith("<p>&lt;StimulusSet")
    assert one.ids[0] in page
