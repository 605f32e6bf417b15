"""Raster folders of the Neural Decoding Toolbox: counts known by hand, and the public recordings."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from neural_data import InputError, read_recording
from neural_data.recordings import condition_means
from neurocompare.comparison.ceilings import split_half_reliability
from neurocompare.representations.neural_rdms import compute_neural_rdms


@pytest.fixture
def spikes() -> np.ndarray:
    """Four trials of 500 bins; the stimulus comes on at bin 101 (column 100)."""
    data = np.zeros((4, 500))
    data[0, [149, 150, 449, 450]] = 1  # 49, 50, 349 and 350 ms: the window holds 50 and 349
    data[1, 200:210] = 1
    data[3, 300] = 2
    return data


LABELS = {"object": list("abab"), "place": ["up", "up", "up", "up"], "trial": list("1234")}


def test_spikes_are_counted_in_the_window_after_onset(tmp_path, raster_file, spikes):
    raster_file(tmp_path / "n1_raster_data.mat", spikes, LABELS, region="AM", unit=3)
    recording = read_recording(tmp_path, stimulus="object")
    assert recording["stimulus_id"].values.tolist() == ["a", "a", "b", "b"]
    np.testing.assert_allclose(recording.values[:, 0] * 0.3, [2, 0, 10, 2])
    assert recording["neuroid_id"].values.tolist() == ["n1"]
    assert recording["region"].values.tolist() == ["AM"]
    assert recording["unit"].values.tolist() == [3]
    assert recording.attrs["window_ms"] == [50.0, 350.0]
    assert recording.attrs["simultaneous"] == 0
    assert "trial" not in recording.coords, "differs between trials of a stimulus"
    assert recording["place"].values.tolist() == ["up"] * 4


def test_windows_bins_and_units_can_be_chosen(tmp_path, raster_file, spikes):
    path = raster_file(tmp_path / "n1.mat", spikes, LABELS)
    counts = read_recording(path, stimulus="object", window_ms=(0, 400), bin_ms=100, units="counts")
    assert counts.values[:, 0].tolist() == [[2, 0, 0, 2], [0, 0, 0, 0], [0, 10, 0, 0], [0, 0, 2, 0]]
    assert counts["time_bin_end"].values.tolist() == [100, 200, 300, 400]
    later = read_recording(path, stimulus="object", onset_bin=201, window_ms=(0, 100), units="counts")
    assert later.values[:, 0].tolist() == [0, 0, 10, 0]
    with pytest.raises(InputError, match="bin_ms 70 does not divide the window"):
        read_recording(path, stimulus="object", bin_ms=70)


def test_bins_slide_by_step_ms(tmp_path, raster_file, spikes):
    path = raster_file(tmp_path / "n1.mat", spikes, LABELS)
    sliding = read_recording(path, stimulus="object", window_ms=(90, 120), bin_ms=20, step_ms=5, units="counts")
    assert sliding["time_bin_start"].values.tolist() == [90, 95, 100]
    assert sliding["time_bin_end"].values.tolist() == [110, 115, 120]
    assert sliding.values[2, 0].tolist() == [10, 10, 10]  # ten spikes, at 100 to 109 ms
    late = read_recording(path, stimulus="object", window_ms=(90, 114), bin_ms=14, step_ms=2, units="counts")
    assert late.values[2, 0].tolist() == [4, 6, 8, 10, 10, 10]
    for options, message in (
        ({"step_ms": 5}, "give bin_ms too"),
        ({"bin_ms": 20, "step_ms": 9}, "20 ms every 9 ms do not fill the window of 50 to 350 ms"),
        ({"bin_ms": 20, "step_ms": 0}, "must be above 0"),
        ({"bin_ms": 300, "step_ms": 0.001, "window_ms": (50, 400)}, "at most 10,000"),
    ):
        with pytest.raises(InputError, match=message):
            read_recording(path, stimulus="object", **options)


def test_neurons_with_fewer_trials_have_nan_in_their_place(tmp_path, raster_file, spikes):
    raster_file(tmp_path / "n1.mat", spikes, LABELS)
    raster_file(tmp_path / "n2.mat", spikes[:3], {name: values[:3] for name, values in LABELS.items()})
    recording = read_recording(tmp_path, stimulus="object")
    assert np.isnan(recording.values).sum() == 1
    np.testing.assert_allclose(condition_means(recording).loc["b"] * 0.3, [6, 10])


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (LABELS, {}, "which label identifies the stimuli.*object, place, trial"),
        (LABELS, {"stimulus": "objekt"}, "no label 'objekt' for every trial: did you mean 'object'"),
        ({"object": list("abc")}, {}, r"raster_data has 4 trials, but the labels have \{'object': 3\}"),
        (LABELS, {"stimulus": "object", "window_ms": (50, 600)}, "holds -100 to 400 ms"),
        (LABELS, {"stimulus": "object", "units": "normalized"}, "spikes are counted, not normalized"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, raster_file, spikes, labels, options, message):
    path = raster_file(tmp_path / "n1.mat", spikes, labels)
    with pytest.raises(InputError, match=message):
        read_recording(path, **options)


def test_matlab_7_3_files_are_read(tmp_path, spikes):
    """MATLAB 7.3 is HDF5: arrays transposed, texts as character codes, cells as references."""
    path = tmp_path / "n1.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["raster_data"] = spikes.T
        labels = file.create_group("raster_labels")
        references = []
        for i, letter in enumerate("abab"):
            item = file.create_dataset(f"#refs#/{i}", data=np.array([[ord(letter)]], dtype=np.uint16))
            item.attrs["MATLAB_class"] = np.bytes_("char")
            references.append([item.ref])
        labels.create_dataset("object", data=np.array(references, dtype=h5py.ref_dtype), dtype=h5py.ref_dtype)
        file["raster_site_info/alignment_event_time"] = np.array([[101.0]])
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, written by a test".ljust(512))
    recording = read_recording(path)
    assert recording["stimulus_id"].values.tolist() == ["a", "a", "b", "b"]
    np.testing.assert_allclose(recording.values[:, 0] * 0.3, [2, 0, 10, 2])


@pytest.mark.real_data
@pytest.mark.slow
def test_the_public_it_recordings_make_a_reliable_rdm(real_data):
    folder = real_data / "zhang_desimone_it" / "raster"
    recording = read_recording(folder, stimulus="combined_ID_position", region="IT")
    assert recording.sizes == {"presentation": 420, "neuroid": 132}
    rdms = compute_neural_rdms(recording)
    assert rdms.get_matrices().shape == (1, 21, 21)
    means = condition_means(recording).to_numpy()
    assert 0.7 < split_half_reliability(means, rng=np.random.default_rng(0)) < 1
    # Objects differ more than positions do: the same object elsewhere is nearer than another object at the same place.
    objects, places = recording["stimulus_ID"].values[::20], recording["stimulus_position"].values[::20]
    matrix = rdms.get_matrices()[0]
    same_object = (objects[:, None] == objects) & (places[:, None] != places)
    same_place = (objects[:, None] != objects) & (places[:, None] == places)
    assert matrix[same_object].mean() < matrix[same_place].mean()
