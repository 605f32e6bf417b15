"""NWB files as pynwb writes them: spikes counted after onset, units that were not observed, tables to choose from."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from neural_data import InputError, read_recording

pynwb = pytest.importorskip("pynwb")

ONSETS = (1.0, 2.0, 3.0)


def write(path, *, column="stimulus_id", units=True, trials=True, observed=None, region="AL"):
    content = pynwb.NWBFile("faces", "session-1", dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    content.subject = pynwb.file.Subject(subject_id="M1", species="Macaca mulatta", sex="M", age="P5Y")
    if trials:
        content.add_trial_column(column, "what was shown")
        for onset, stimulus in zip(ONSETS, ("s1", "s2", "s1"), strict=True):
            content.add_trial(start_time=onset, stop_time=onset + 0.5, **{column: stimulus})
    if units:
        content.add_unit_column("region", "face patch")
        extra = {} if observed is None else {"obs_intervals": np.array([observed])}
        content.add_unit(spike_times=[1.049, 1.051, 1.2, 1.349, 1.351, 3.1], region=region, **extra)
        content.add_unit(spike_times=[0.2, 2.06, 2.07], region=region, **extra)
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(content)
    return path


def test_spikes_are_counted_from_50_to_350_ms_after_onset(tmp_path):
    recording = read_recording(write(tmp_path / "s.nwb"))
    np.testing.assert_allclose(recording.values * 0.3, [[3, 0], [0, 2], [1, 0]])
    assert recording["stimulus_id"].values.tolist() == ["s1", "s2", "s1"]
    assert recording["repetition"].values.tolist() == [0, 0, 1]
    assert recording["region"].values.tolist() == ["AL", "AL"]
    assert recording["subject"].values.tolist() == ["M1", "M1"]
    assert recording.attrs["window_ms"] == [50.0, 350.0]


def test_window_bins_and_column_can_be_chosen(tmp_path):
    path = write(tmp_path / "s.nwb", column="picture")
    counts = read_recording(path, stimulus="picture", window_ms=(0, 400), bin_ms=200, units="counts")
    assert counts.values[:, 0].tolist() == [[2, 3], [0, 0], [1, 0]]


def test_trials_in_which_a_unit_was_not_observed_are_missing(tmp_path):
    path = write(tmp_path / "s.nwb", observed=(0.0, 2.9))
    with pytest.raises(InputError, match="2 of 6 responses are NaN"):
        read_recording(path)
    values = read_recording(path, missing="keep").values
    assert np.isnan(values).tolist() == [[False, False], [False, False], [True, True]]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ({"column": "picture"}, {}, "which column tells the stimuli apart.*picture"),
        ({"column": "picture"}, {"stimulus": "pictures"}, "no column 'pictures' in trials: did you mean 'picture'"),
        ({"units": False}, {}, "no units with spike times"),
        ({"trials": False}, {}, "no trials"),
        ({"region": ""}, {}, "region is empty"),
    ],
)
def test_what_lacks_something_is_refused(tmp_path, content, options, message):
    with pytest.raises(InputError, match=message):
        read_recording(write(tmp_path / "s.nwb", **content), **options)
