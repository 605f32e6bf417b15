"""Tables of stimuli: what they may lack, how they may be written, and when two views are the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from neural_data import InputError, StimulusSet, read_recording, read_stimuli, write_recording
from neural_data.naming import matched_ids
from neural_data.recordings import with_ids_of
from neural_data.stimulus_tables import in_degrees


def test_azimuths_from_0_to_360_are_those_from_minus_180_to_180():
    np.testing.assert_array_equal(
        in_degrees([315, 270, 0, 360, 45, 180, -180, -270]), [-45, -90, 0, 0, 45, 180, 180, 90]
    )


@given(st.integers(-180, 180), st.floats(-4e-7, 4e-7))
def test_angles_within_a_millionth_are_equal(angle, noise):
    assert len(set(in_degrees(np.array([angle, angle + noise, angle - noise])).tolist())) == 1


def test_angles_that_differ_stay_as_they_are():
    angles = np.array([-45.3, -45.29, 12.123456, 12.12347, 0.1 + 0.2])
    np.testing.assert_array_equal(in_degrees(angles), angles)


def test_views_are_found_whatever_their_last_digit(faces):
    table = faces.table.copy()
    table["azimuth_deg"] = np.where(table["azimuth_deg"] < 0, table["azimuth_deg"] + 360, table["azimuth_deg"])
    table.loc["s1_45", "azimuth_deg"] += 1e-9
    table["elevation_deg"] = 1e-12
    noisy = StimulusSet(table, pixels=faces.pixels)
    assert noisy.yaw_views().ids == faces.yaw_views().ids
    assert noisy.yaw_views([-45, 0, 45]).ids == faces.yaw_views([315, 0, 45]).ids
    assert len(noisy.select(azimuth_deg=45)) == 6


def test_a_set_needs_neither_identities_nor_views(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "stimulus_set.csv").write_text("stimulus_id,filename,human\na,a.png,1\nb,a.png,0\n")
    stimuli = read_stimuli(tmp_path)
    assert stimuli.identities == ["a", "b"]
    assert set(stimuli.table["azimuth_deg"]) == {0.0}
    assert stimuli.table["human"].tolist() == [1, 0]


def test_images_are_asked_for_only_where_they_are_shown(tmp_path, faces):
    (tmp_path / "set.csv").write_text("stimulus_id\na\nb\n")
    stimuli = read_stimuli(tmp_path / "set.csv", with_images=False)
    assert stimuli.ids == ["a", "b"]
    with pytest.raises(InputError, match="a has no image: the column 'filename' is missing or empty"):
        stimuli.images()
    with pytest.raises(InputError, match="has no image"):
        read_stimuli(tmp_path / "set.csv")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_tables_as_spreadsheets_write_them(tmp_path, encoding):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    text = "stimulus_id;filename;identity;azimuth_deg;contrast\r\n001;a.png;José;-22,5;0,5\r\n1;a.png;José;22,5;1\r\n"
    (tmp_path / "stimulus_set.csv").write_bytes(text.encode(encoding))
    stimuli = read_stimuli(tmp_path)
    assert stimuli.ids == ["001", "1"]
    assert stimuli.table["azimuth_deg"].tolist() == [-22.5, 22.5]
    assert stimuli.identities == ["José"]


@pytest.mark.parametrize("head", ["Azimuth", "azimuth", "azimuth_degrees", "Identity", "identities"])
def test_a_column_that_is_nearly_called_so_is_refused(tmp_path, head):
    (tmp_path / "set.csv").write_text(f"stimulus_id,{head}\na,1\n")
    with pytest.raises(InputError, match=f"'{head}' looks like it; rename"):
        read_stimuli(tmp_path / "set.csv", with_images=False)


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        (["a", "b"], ["b", "a"], {"a": "a", "b": "b"}),
        (["a", "b"], ["a.png", "b.PNG"], {"a.png": "a", "b.PNG": "b"}),
        (["a.png", "b.png"], ["a", "b"], {"a": "a.png", "b": "b.png"}),
        (["faces/a", "faces/b"], ["a.jpg", "x\\b.jpg"], {"a.jpg": "faces/a", "x\\b.jpg": "faces/b"}),
        (["f/a", "g/a"], ["a"], {}),
        (["a"], ["f/a", "g/a"], {}),
        (["Jose\u0301"], ["José"], {"José": "Jose\u0301"}),
        (["v1.5", "v1"], ["v1.5"], {"v1.5": "v1.5"}),
        (["1"], ["01"], {}),
    ],
)
def test_ids_match_with_or_without_ending_and_folder(wanted, found, expected):
    assert matched_ids(wanted, found) == expected


def test_a_recording_may_name_stimuli_by_the_files_of_the_set(simulated, faces, tmp_path):
    table = faces.table.assign(filename=[f"{k}/x.png" for k in range(len(faces))])
    filed = StimulusSet(table, files=tmp_path)
    of_id = dict(zip(filed.ids, filed.table["filename"], strict=True))
    called = simulated.assign_coords(
        stimulus_id=("presentation", [of_id[one] for one in simulated["stimulus_id"].values])
    )
    assert with_ids_of(called, filed)["stimulus_id"].values.tolist() == simulated["stimulus_id"].values.tolist()


def test_a_recording_takes_the_ids_of_the_set(simulated, faces, tmp_path):
    called = simulated.assign_coords(
        stimulus_id=("presentation", [f"images/{i}.png" for i in simulated["stimulus_id"].values])
    )
    assert set(with_ids_of(called, faces)["stimulus_id"].values) == set(faces.ids)
    path = write_recording(called, tmp_path / "r.nc")
    assert set(read_recording(path, stimuli=faces)["stimulus_id"].values) == set(faces.ids)


def test_a_pattern_names_what_a_folder_shows(tmp_path, caplog):
    for name in ("anna_az-45.png", "anna_az315.png", "ben_az0.png", "notes.png", "._ben_az0.png"):
        Image.new("L", (4, 4)).save(tmp_path / name)
    stimuli = read_stimuli(tmp_path, pattern="{identity}_az{azimuth_deg}.png")
    assert stimuli.table["azimuth_deg"].tolist() == [-45, -45, 0]
    assert "1 of 4 images do not fit the pattern and are left out, such as notes.png" in caplog.text
    plain = read_stimuli(tmp_path, pattern="{identity}.png")
    assert len(plain.identities) == 4
    pd.testing.assert_index_equal(plain.table.index, pd.Index(plain.identities, name="stimulus_id"))


@pytest.mark.parametrize(
    ("angles", "expected"), [([90, np.nan, 315], [90, np.nan, -45]), ([np.nan, np.nan], [np.nan, np.nan]), ([], [])]
)
def test_missing_angles_stay_missing_and_change_no_other(angles, expected):
    np.testing.assert_array_equal(in_degrees(np.array(angles, dtype=float)), expected)
