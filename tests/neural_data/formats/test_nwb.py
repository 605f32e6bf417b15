"""NWB files as pynwb writes them: spikes counted after onset, units that were not observed, tables to choose from."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
import xarray as xr

from neural_data import InputError, read_recording, write_recording

pynwb = pytest.importorskip("pynwb")

ONSETS = (1.0, 2.0, 3.0)


def write(path, *, column="stimulus_id", units=True, trials=True, observed=None, region="AL", onsets=ONSETS, **columns):
    content = pynwb.NWBFile("faces", "session-1", dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
    content.subject = pynwb.file.Subject(subject_id="M1", species="Macaca mulatta", sex="M", age="P5Y")
    if trials:
        content.add_trial_column(column, "what was shown")
        for name in columns:
            if name not in ("shown", "cluster_id"):
                content.add_trial_column(name, name)
        shown = columns.pop("shown", ("s1", "s2", "s1"))
        for i, (onset, stimulus) in enumerate(zip(onsets, shown, strict=True)):
            more = {name: values[i] for name, values in columns.items() if name != "cluster_id"}
            content.add_trial(start_time=onset, stop_time=ONSETS[i] + 0.5, **{column: stimulus}, **more)
    if units:
        content.add_unit_column("region", "face patch")
        if "cluster_id" in columns:
            content.add_unit_column("cluster_id", "of the sorter")
        extra = {} if observed is None else {"obs_intervals": np.array([observed])}
        cluster = [{"cluster_id": value} for value in columns.get("cluster_id", ())] or [{}, {}]
        content.add_unit(spike_times=[1.049, 1.051, 1.2, 1.349, 1.351, 3.1], region=region, **extra, **cluster[0])
        content.add_unit(spike_times=[0.2, 2.06, 2.07], region=region, **extra, **cluster[1])
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


def test_bins_slide_by_step_ms(tmp_path):
    path = write(tmp_path / "s.nwb")
    counts = read_recording(path, window_ms=(0, 400), bin_ms=200, step_ms=100, units="counts")
    assert counts.values[0, 0].tolist() == [2, 1, 3]  # spikes at 49, 51, 200, 349 and 351 ms
    assert counts["time_bin_start"].values.tolist() == [0, 100, 200]
    write_recording(counts, tmp_path / "responses.nwb")
    xr.testing.assert_identical(read_recording(tmp_path / "responses.nwb")["time_bin_end"], counts["time_bin_end"])
    with pytest.raises(InputError, match="holds responses, not spikes, so that bin_ms and step_ms have no meaning"):
        read_recording(tmp_path / "responses.nwb", bin_ms=100)


def test_trials_in_which_a_unit_was_not_observed_are_missing(tmp_path):
    path = write(tmp_path / "s.nwb", observed=(0.0, 2.9))
    with pytest.raises(InputError, match="2 of 6 responses are NaN"):
        read_recording(path)
    values = read_recording(path, missing="keep").values
    assert np.isnan(values).tolist() == [[False, False], [False, False], [True, True]]


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ({"column": "picture"}, {}, "which column identifies the stimuli.*picture"),
        ({"column": "picture"}, {"stimulus": "pictures"}, "no column 'pictures' in trials: did you mean 'picture'"),
        ({"units": False}, {}, "no units with spike times"),
        ({"trials": False}, {}, "no trials"),
        ({"region": ""}, {}, "region is empty"),
    ],
)
def test_what_lacks_something_is_refused(tmp_path, content, options, message):
    with pytest.raises(InputError, match=message):
        read_recording(write(tmp_path / "s.nwb", **content), **options)


def test_the_onset_of_the_stimulus_is_found_or_named(tmp_path):
    early = tuple(onset - 0.5 for onset in ONSETS)
    path = write(tmp_path / "s.nwb", onsets=early, stim_on_time=ONSETS)
    recording = read_recording(path)
    np.testing.assert_allclose(recording.values * 0.3, [[3, 0], [0, 2], [1, 0]])
    assert recording.attrs["onset"] == "stim_on_time"
    by_start = read_recording(path, columns={"onset": "start_time"})
    assert by_start.attrs["onset"] == "start_time"
    assert by_start.values.sum() == 0


@pytest.mark.parametrize("names", [("target_time",), ("stim_on_time", "image_onset"), ("cue_on",)])
def test_an_onset_in_doubt_is_refused(tmp_path, names):
    early = tuple(onset - 0.2 for onset in ONSETS)
    path = write(tmp_path / "s.nwb", onsets=early, **dict.fromkeys(names, ONSETS))
    with pytest.raises(InputError, match=f"which column is the stimulus onset.*--column onset={names[0]}"):
        read_recording(path)
    assert read_recording(path, columns={"onset": names[0]}).values.sum() > 0


def test_an_onset_that_is_no_time_of_the_session_is_refused(tmp_path):
    path = write(tmp_path / "s.nwb", delay=(0.01, 0.02, 0.03))
    assert read_recording(path).attrs["onset"] == "start_time"
    with pytest.raises(InputError, match="no time of the column 'delay' lies between start_time and stop_time"):
        read_recording(path, columns={"onset": "delay"})


def test_a_trial_without_an_onset_was_not_measured(tmp_path):
    path = write(tmp_path / "s.nwb", onsets=(1.0, 2.0, np.nan))
    with pytest.raises(InputError, match="2 of 6 responses are NaN"):
        read_recording(path)
    assert np.isnan(read_recording(path, missing="keep").values[2]).all()


def test_rows_without_a_stimulus_are_left_out(tmp_path):
    recording = read_recording(write(tmp_path / "s.nwb", shown=("s1", "", "s2")))
    assert recording["stimulus_id"].values.tolist() == ["s1", "s2"]
    assert "1 rows without a stimulus are left out" in recording.attrs["assumed"]


@pytest.mark.parametrize(("clusters", "ids"), [((7, 9), ["7", "9"]), ((7, 7), ["0", "1"])])
def test_neurons_are_told_apart_by_ids_that_do_not_repeat(tmp_path, clusters, ids):
    path = write(tmp_path / "s.nwb", cluster_id=clusters)
    assert read_recording(path)["neuroid_id"].values.tolist() == ids
    if clusters == (7, 7):
        with pytest.raises(InputError, match="neuroid_id '7' occurs 2 times"):
            read_recording(path, columns={"neuroid_id": "cluster_id"})
