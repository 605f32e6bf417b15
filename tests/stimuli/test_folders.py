import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from neural_data import read_stimuli
from neural_data.errors import InputError
from neurocompare.stimuli import folders
from neurocompare.stimuli.folders import AZIMUTHS_PX, NAMES_PX, contact_sheet, read_folder, render_set
from neurocompare.stimuli.sets import face_views


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    out = tmp_path_factory.mktemp("sets") / "faces"
    render_set("faces", out, seed=3, size=32, n_exemplars=2)
    return out


def test_a_rendered_folder_is_a_stimulus_set_with_the_pixels_of_the_one_liner(rendered):
    stimuli = read_stimuli(rendered / "stimulus_set.csv")
    in_memory = face_views(2, size=32, seed=3)
    assert stimuli.ids == in_memory.ids
    assert np.array_equal(stimuli.images(), in_memory.images())
    assert stimuli.table.drop(columns="filename").equals(in_memory.table.drop(columns="filename"))
    assert sorted(p.name for p in rendered.iterdir()) == [
        "contact_sheet.png",
        "images",
        "provenance.json",
        "stimulus_set.csv",
    ]
    provenance = json.loads((rendered / "provenance.json").read_text())
    assert (provenance["kind"], provenance["seed"], provenance["n_images"]) == ("faces", 3, 10)
    with Image.open(rendered / "contact_sheet.png") as sheet:
        assert sheet.size == (NAMES_PX + 5 * 72, AZIMUTHS_PX + 2 * 72)


def test_workers_do_not_change_a_byte(rendered, tmp_path):
    render_set("faces", tmp_path / "again", seed=3, size=32, n_exemplars=2, n_jobs=2)
    assert contents(tmp_path / "again") == contents(rendered)


def test_a_stopped_rendering_goes_on_where_it_was(rendered, tmp_path, monkeypatch):
    class Stop(Exception):
        pass

    def stop(done, total):
        if done == 5:
            raise Stop

    out = tmp_path / "stopped"
    with pytest.raises(Stop):
        render_set("faces", out, seed=3, size=32, n_exemplars=2, progress=stop)
    assert not (out / "stimulus_set.csv").exists()
    assert len(list((out / "images").glob("*.png"))) == 5
    (out / "images" / ".face02_az0.4242-0123abcd.partial.png").write_bytes(b"half")
    original, rendered_again = folders.render_plan, []

    def watched(plan, **options):
        for k, images in original(plan, **options):
            rendered_again.append(k)
            yield k, images

    monkeypatch.setattr(folders, "render_plan", watched)
    render_set("faces", out, seed=3, size=32, n_exemplars=2)
    assert rendered_again == [1]
    assert contents(out) == contents(rendered)


def test_a_complete_folder_is_read_and_not_rendered(rendered, monkeypatch):
    monkeypatch.setattr(folders, "render_plan", None)
    seen = []
    stimuli = render_set(
        "faces", rendered, seed=3, size=32, n_exemplars=2, progress=lambda done, total: seen.append((done, total))
    )
    assert len(stimuli) == 10
    assert seen == [(10, 10)]


def test_another_set_is_not_written_over(rendered, tmp_path):
    before = contents(rendered)
    with pytest.raises(InputError, match="has another stimulus set"):
        render_set("faces", rendered, seed=4, size=32, n_exemplars=2)
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="is not empty and was not written by neurocompare"):
        render_set("faces", tmp_path, size=32, n_exemplars=1)
    assert contents(rendered) == before
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match="cannot be written"):
        render_set("faces", tmp_path / "file" / "set", size=32, n_exemplars=1)


def test_nothing_is_made_when_an_argument_is_wrong(tmp_path):
    with pytest.raises(InputError, match="did you mean 'objects'"):
        render_set("object", tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_a_training_set_is_rendered_with_its_jitter(tmp_path):
    stimuli = render_set("training", tmp_path / "train", training="chiral", n=20, n_exemplars=1)
    assert stimuli.images().shape == (20, 3, 32, 32)
    assert {"shift_x", "shift_y", "scale"} <= set(stimuli.table.columns)


def test_a_contact_sheet_shows_identities_as_rows(faces):
    sheet = contact_sheet(faces, thumbnail=20, rows_per_category=3, columns=2)
    assert sheet.size == (NAMES_PX + 2 * 20, AZIMUTHS_PX + 3 * 20)
    above = np.asarray(sheet.convert("L"))[:AZIMUTHS_PX]
    assert all((above[:, left : left + 20] < 128).any() for left in (NAMES_PX, NAMES_PX + 20))
    assert (above[:, :NAMES_PX] == 255).all()
    turned = faces.table.assign(azimuth_deg=np.arange(len(faces), dtype=float))
    sheet = contact_sheet(dataclasses.replace(faces, table=turned), thumbnail=20, rows_per_category=3, columns=2)
    assert (np.asarray(sheet)[:AZIMUTHS_PX] == 255).all()


@pytest.fixture
def photos(tmp_path):
    for name in ("anna_L90", "anna_front", "ben_L90", "ben_front"):
        Image.fromarray(np.full((6, 6), len(name), np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_names_of_images_say_what_they_show(photos):
    stimuli = read_folder(photos, "{identity}_{azimuth_deg:L90=-90,front=0}.png", category="face")
    assert stimuli.ids == ["anna_L90", "anna_front", "ben_L90", "ben_front"]
    assert stimuli.table["azimuth_deg"].tolist() == [-90, 0, -90, 0]
    assert stimuli.table["identity"].tolist() == ["anna", "anna", "ben", "ben"]
    assert set(stimuli.table["category"]) == {"face"}
    assert stimuli.images().shape == (4, 3, 6, 6)


def test_folders_and_numbers_in_names(tmp_path):
    for file in ("car/beetle_az-22.5_001.jpg", "boat/tug_az90_044.jpg"):
        (tmp_path / file).parent.mkdir()
        Image.new("L", (4, 4)).save(tmp_path / file)
    table = read_folder(tmp_path, "{category}/{identity}_az{azimuth_deg}_*.jpg").table
    assert table.index.tolist() == ["boat_tug_az90_044", "car_beetle_az-22.5_001"]
    assert table["azimuth_deg"].tolist() == [90, -22.5]
    assert table["category"].tolist() == ["boat", "car"]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{identity}-{azimuth_deg}.png", r"matches none of its images \(anna_L90.png, .* \(4 images\)\)"),
        ("{identity}_{azimuth_deg}.png", r"names of images have .*L90.*how many degrees.*\{azimuth_deg:\w+=\.\.\.,"),
        ("*.png", "has no field"),
        ("{identity}_{azimuth_deg.png", "an unpaired brace"),
        ("{identity}_{identity}_{azimuth_deg}.png", "occurs twice"),
        ("{identity}_{azimuth_deg:L90=left}.png", "must be words and degrees"),
    ],
)
def test_a_pattern_that_does_not_fit_is_refused(photos, pattern, message):
    with pytest.raises(InputError, match=message):
        read_folder(photos, pattern)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        read_folder(tmp_path / "nowhere", "{identity}_{azimuth_deg}.png")
