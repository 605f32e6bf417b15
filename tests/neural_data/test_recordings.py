"""The one form of a recording: what it accepts, what it refuses, and means that are known by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neural_data import InputError
from neural_data.binned import binned_means
from neural_data.recordings import (
    as_dataset,
    checked_recording,
    condition_means,
    make_recording,
    match_stimulus_set,
    regions_of,
    response_counts,
    select_region,
    select_window,
    stimuli_of,
    stimulus_table,
)

NEUROIDS = pd.DataFrame({"neuroid_id": ["n1", "n2", "n3"], "region": ["ML", "ML", "AL"], "subject": ["A", "B", "A"]})
PRESENTATIONS = pd.DataFrame({"stimulus_id": ["s2", "s1", "s2", "s1"], "azimuth_deg": [90.0, 0.0, 90.0, 0.0]})
RESPONSES = np.array([[1.0, 0.0, 5.0], [2.0, 4.0, 6.0], [3.0, 2.0, 5.0], [6.0, 4.0, 8.0]])


@pytest.fixture
def recording() -> xr.DataArray:
    return make_recording(RESPONSES, presentations=PRESENTATIONS, neuroids=NEUROIDS)


@pytest.fixture
def binned() -> xr.DataArray:
    values = np.arange(24, dtype=float).reshape(2, 3, 4)
    bins = np.array([[0, 10], [10, 20], [20, 30], [30, 40]])
    table = pd.DataFrame({"stimulus_id": ["s1", "s2"]})
    return make_recording(values, presentations=table, neuroids=NEUROIDS, time_bins_ms=bins)


def test_means_are_over_repetitions_and_in_the_order_asked_for(recording):
    means = condition_means(recording)
    assert means.index.tolist() == ["s2", "s1"]
    assert means.columns.tolist() == ["n1", "n2", "n3"]
    np.testing.assert_allclose(means, [[2, 1, 5], [4, 4, 7]])
    np.testing.assert_allclose(condition_means(recording, ["s1"]), [[4, 4, 7]])


def test_repetitions_are_counted_within_each_stimulus(recording):
    assert recording["repetition"].values.tolist() == [0, 0, 1, 1]
    assert (response_counts(recording).to_numpy() == 2).all()


def test_a_mean_leaves_out_what_was_not_measured(recording):
    values = RESPONSES.copy()
    values[2, 1] = np.nan  # one of two repetitions
    partial = recording.copy(data=values)
    assert condition_means(partial).loc["s2", "n2"] == 0.0
    assert response_counts(partial).loc["s2", "n2"] == 1


def test_missing_cells_are_never_filled_in(recording):
    values = RESPONSES.copy()
    values[[0, 2], 1] = np.nan  # neuron n2 never saw s2
    partial = recording.copy(data=values)
    with pytest.raises(InputError, match=r"1 of 6 cells .*neuron 'n2', stimulus 's2'.*drop_neurons"):
        condition_means(partial)
    assert condition_means(partial, missing="drop_neurons").columns.tolist() == ["n1", "n3"]
    assert condition_means(partial, missing="drop_stimuli").index.tolist() == ["s1"]
    assert np.isnan(condition_means(partial, missing="keep").loc["s2", "n2"])
    assert condition_means(partial, ["s1"]).shape == (1, 3), "a cell that is not asked for is no obstacle"
    with pytest.raises(InputError, match="did you mean 'drop_neurons'"):
        condition_means(partial, missing="drop_neuron")
    with pytest.raises(InputError, match="would leave nothing, try missing='drop_neurons'"):
        condition_means(partial, ["s2"], missing="drop_stimuli")


def test_an_unknown_stimulus_is_named_with_its_nearest_spelling(recording):
    with pytest.raises(InputError, match=r"1 of 2 stimuli are not in the recording \(first: 's11'; did you mean 's1'"):
        condition_means(recording, ["s2", "s11"])


def test_a_window_takes_the_bins_that_lie_within_it(binned):
    whole = select_window(binned)
    np.testing.assert_allclose(whole.values, binned.values.mean(axis=2))
    part = select_window(binned, (10, 35))
    np.testing.assert_allclose(part.values, binned.values[:, :, 1:3].mean(axis=2))
    assert part.attrs["window_ms"] == [10.0, 30.0]
    counts = select_window(binned.assign_attrs(units="counts"), (10, 35))
    np.testing.assert_allclose(counts.values, binned.values[:, :, 1:3].sum(axis=2))
    with pytest.raises(InputError, match="no time bin lies within 50 to 60 ms; bins run from 0 to 40"):
        select_window(binned, (50, 60))
    with pytest.raises(InputError, match="must start before it ends"):
        select_window(binned, (30, 10))


def test_a_window_of_a_recording_without_bins_is_refused(recording):
    assert select_window(recording) is recording
    with pytest.raises(InputError, match="has no time bins"):
        select_window(recording, (0, 100))


def test_regions_and_subjects_are_selected_by_label(recording):
    assert regions_of(recording) == ["ML", "AL"]
    assert select_region(recording, "ML", subject="B")["neuroid_id"].values.tolist() == ["n2"]
    with pytest.raises(InputError, match="no region 'Al'"):
        select_region(recording, "Al")
    with pytest.raises(InputError, match="AL has no neuron of subject 'B'"):
        select_region(recording, "AL", subject="B")


def test_a_brain_score_assembly_in_memory_becomes_a_recording(recording):
    assembly = recording.rename(stimulus_id="image_id", subject="animal").transpose("neuroid", "presentation")
    assembly = assembly.set_index(presentation=["image_id", "repetition"], neuroid=["neuroid_id", "region"])
    again = checked_recording(assembly)
    xr.testing.assert_equal(again.drop_vars("azimuth_deg"), recording.drop_vars("azimuth_deg"))


def test_checking_leaves_the_argument_as_it_was(recording):
    before = recording.drop_vars(["subject", "repetition"]).astype(np.float32)
    copy = before.copy(deep=True)
    checked_recording(before)
    xr.testing.assert_identical(before, copy)


def test_numbers_as_ids_are_read_as_text():
    table = pd.DataFrame({"stimulus_id": [1.0, 2.0]})
    neuroids = pd.DataFrame({"neuroid_id": [7, 8], "region": [b"AL", b"AM"]})
    recording = make_recording(np.ones((2, 2)), presentations=table, neuroids=neuroids)
    assert recording["stimulus_id"].values.tolist() == ["1", "2"]
    assert recording["neuroid_id"].values.tolist() == ["7", "8"]
    assert recording["region"].values.tolist() == ["AL", "AM"]
    assert recording["subject"].values.tolist() == ["", ""]


def _without(name):
    return lambda r: r.drop_vars(name)


def _values(place, value):
    def change(recording):
        values = recording.values.copy()
        values[place] = value
        return recording.copy(data=values)

    return change


BROKEN = {
    "wrong dims": (lambda r: r.rename(neuroid="unit"), r"dims are \(presentation, unit\); a recording has"),
    "no stimulus_id": (_without("stimulus_id"), "no coord 'stimulus_id' on presentation"),
    "no region": (_without("region"), "no coord 'region' on neuroid"),
    "coord on the wrong dim": (
        lambda r: r.assign_coords(region=("presentation", ["a"] * 4)),
        r"coord 'region' lies on \('presentation',\)",
    ),
    "repeated neuroids": (
        lambda r: r.assign_coords(neuroid_id=("neuroid", ["n1", "n1", "n2"])),
        "neuroid_id 'n1' occurs 2 times",
    ),
    "repeated repetition": (
        lambda r: r.assign_coords(repetition=("presentation", [0, 0, 0, 1])),
        r"1 presentations repeat a \(stimulus_id, repetition\), first \('s2', 0\)",
    ),
    "repetition is no number": (
        lambda r: r.assign_coords(repetition=("presentation", ["a", "b", "c", "d"])),
        "repetition of presentation 0 is 'a'",
    ),
    "negative rates": (_values((1, 2), -3.0), "1 of 12 responses are negative.*'n3', stimulus 's1'.*'normalized'"),
    "infinite rates": (_values((0, 0), np.inf), "infinite"),
    "all NaN": (_values(slice(None), np.nan), "every response is NaN"),
    "text": (lambda r: r.astype(str), "not numbers"),
    "complex": (lambda r: r.astype(complex), "complex"),
    "no neuron": (lambda r: r.isel(neuroid=[]), "has no neuroid"),
    "empty id": (
        lambda r: r.assign_coords(stimulus_id=("presentation", ["s1", "", "s1", "s2"])),
        "stimulus_id is empty",
    ),
    "unknown units": (lambda r: r.assign_attrs(units="spikes"), "did you mean 'spikes/s'"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_recording_is_refused(recording, name):
    change, message = BROKEN[name]
    with pytest.raises(InputError, match=rf"my file: .*{message}"):
        checked_recording(change(recording), where="my file")


BINS = {
    "mixed widths": ([[0, 10], [10, 30], [30, 40], [40, 50]], "differ in width"),
    "overlap": ([[0, 10], [5, 15], [15, 25], [25, 35]], "overlap"),
    "out of order": ([[10, 20], [0, 10], [20, 30], [30, 40]], "out of order"),
    "backwards": ([[10, 0], [20, 10], [30, 20], [40, 30]], "end after they start"),
}


@pytest.mark.parametrize("name", BINS)
def test_time_bins_must_follow_one_another(binned, name):
    bins, message = BINS[name]
    with pytest.raises(InputError, match=message):
        make_recording(
            binned.values, presentations=pd.DataFrame({"stimulus_id": ["a", "b"]}), neuroids=NEUROIDS, time_bins_ms=bins
        )


def test_sliding_bins_count_every_moment_of_a_window_once(binned):
    bins = [[0, 20], [10, 30], [20, 40], [30, 50]]
    table = pd.DataFrame({"stimulus_id": ["s1", "s2"]})
    sliding = make_recording(binned.values, presentations=table, neuroids=NEUROIDS, time_bins_ms=bins)
    np.testing.assert_allclose(select_window(sliding, (0, 40)).values, binned.values[:, :, [0, 2]].mean(axis=2))
    np.testing.assert_allclose(select_window(sliding, (30, 50)).values, binned.values[:, :, 3])
    with pytest.raises(InputError, match="bins of 20 ms every 10 ms cannot fill 0 to 50 ms one after another"):
        select_window(sliding)


def test_means_by_bin_are_those_of_single_bins(binned):
    means = binned_means(binned, ["s2", "s1"])
    assert means.values[1].tolist() == [[13, 17, 21], [1, 5, 9]]
    assert means.bins_ms.tolist() == [[0, 10], [10, 20], [20, 30], [30, 40]]
    assert means.stimulus_ids == ("s2", "s1")
    hole = binned.copy()
    hole[0, 1, 3] = np.nan
    assert binned_means(hole, missing="drop_neurons").values.shape == (4, 2, 2)
    with pytest.raises(InputError, match="1 of 6 cells"):
        binned_means(hole)
    with pytest.raises(InputError, match="no time bins, and an analysis over time needs them"):
        binned_means(select_window(binned))


def test_normalized_responses_may_be_negative(recording):
    scores = recording - 3
    assert checked_recording(scores, units="normalized").attrs["units"] == "normalized"


def test_tables_must_fit_the_array():
    with pytest.raises(InputError, match="3 rows of presentation in the responses, but 4 in their table"):
        make_recording(RESPONSES[:3], presentations=PRESENTATIONS, neuroids=NEUROIDS)
    with pytest.raises(InputError, match="do not make a recording"):
        make_recording(RESPONSES[:, :, None], presentations=PRESENTATIONS, neuroids=NEUROIDS, time_bins_ms=np.eye(2))


def test_what_a_recording_says_of_its_stimuli(recording):
    table = stimulus_table(recording.assign_coords(trial=("presentation", np.arange(4))))
    assert table.index.tolist() == ["s2", "s1"]
    assert table["azimuth_deg"].tolist() == [90.0, 0.0]
    assert "trial" not in table.columns, "differs between presentations of one stimulus"
    with pytest.raises(InputError, match="has no identity for its stimuli"):
        stimuli_of(recording)
    described = stimuli_of(recording.assign_coords(identity=("presentation", ["i", "j", "i", "j"])))
    assert described.identities == ["i", "j"]
    with pytest.raises(InputError):
        described.images()


def test_a_stimulus_set_must_have_been_recorded(recording, faces):
    with pytest.raises(InputError, match=r"no stimulus_id of the recording is in stimulus set 'noise faces'"):
        match_stimulus_set(recording, faces)
    half = recording.assign_coords(stimulus_id=("presentation", [*faces.ids[:2], *faces.ids[:2]]))
    assert match_stimulus_set(half, faces.take([1, 0])) == [faces.ids[1], faces.ids[0]]
    with pytest.raises(InputError, match="28 of 30 stimuli of 'noise faces' were not recorded"):
        match_stimulus_set(half, faces)


def test_an_rsatoolbox_dataset_keeps_trials_and_labels(recording):
    dataset = as_dataset(recording)
    np.testing.assert_array_equal(dataset.measurements, RESPONSES)
    assert dataset.obs_descriptors["stimulus_id"] == ["s2", "s1", "s2", "s1"]
    assert dataset.channel_descriptors["region"] == ["ML", "ML", "AL"]
    dataset.measurements[0, 0] = 99
    assert recording.values[0, 0] == 1.0
