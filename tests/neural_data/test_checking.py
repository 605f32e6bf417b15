"""Each thing that misleads an RDM is found, and an orderly recording has nothing to report."""

from __future__ import annotations

import numpy as np
import pytest

from neural_data import InputError, simulate_patches, write_recording
from neural_data.checking import check_recording


@pytest.fixture
def orderly(faces):
    return simulate_patches(faces, ("ML", "AL"), 25, 3, rng=np.random.default_rng(0), subjects=("A", "B"))


def test_an_orderly_recording_has_no_problem(orderly, faces, tmp_path):
    path = write_recording(orderly, tmp_path / "a.nc")
    report = check_recording(path, stimuli=faces)
    assert report.problems == ()
    assert report.usable
    assert report.facts["regions"] == "ML, AL"
    assert report.facts["subjects"] == "A, B"
    assert report.facts["stimuli"] == "30"
    assert report.facts["repetitions"] == "3"
    assert report.facts["missing cells"] == "0 of 1500 (stimulus x neuron)"
    assert report.facts["origin"] == "simulated"
    assert report.neurons["n_neurons"].tolist() == [13, 12, 13, 12]
    assert report.to_text().endswith("no problem found")
    assert str(path) in report.to_text()


def changed(recording, rows, columns, value):
    values = recording.values.copy()
    values[rows, columns] = value
    return recording.copy(data=values)


CASES = {
    "few neurons": (lambda r: r.isel(neuroid=slice(0, 35)), "warning", "AL has 10 neurons that vary"),
    "silent": (lambda r: changed(r, slice(None), [0, 3], 0.0), "warning", "2 of 25 neurons of ML are silent"),
    "constant": (lambda r: changed(r, slice(None), 30, 7.0), "warning", "1 of 25 neurons of AL are constant"),
    "missing cell": (lambda r: changed(r, [0, 30, 60], 4, np.nan), "error", "1 of 1,500 cells"),
    "NaN": (lambda r: changed(r, 0, 4, np.nan), "warning", "1 of 4,500 responses of neurons recorded together are NaN"),
    "unbalanced": (lambda r: r.isel(presentation=slice(0, 80)), "warning", "unbalanced: 2 to 3 responses per stimulus"),
    "one repetition": (lambda r: r.isel(presentation=slice(0, 30)), "warning", "one response per cell"),
    "two stimuli": (lambda r: r.isel(presentation=[0, 1, 30, 31]), "error", "there are 2 stimuli"),
    "unnamed region": (
        lambda r: r.assign_coords(region=("neuroid", ["unspecified"] * 50)),
        "warning",
        "the region is not named",
    ),
    "odd unit": (lambda r: r.copy(data=r.values * 1000), "warning", "mean rates reach"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_misleads_is_found(orderly, name):
    change, severity, message = CASES[name]
    report = check_recording(change(orderly))
    found = [p for p in report.problems if message in p.message]
    assert [p.severity for p in found] == [severity]
    assert found[0].way_out in report.to_text()
    assert report.usable == (severity == "warning")


def test_stimuli_that_were_not_recorded_are_an_error(orderly, faces):
    report = check_recording(orderly.isel(presentation=np.arange(90) % 30 > 0), stimuli=faces)
    assert not report.usable
    assert report.problems[0].message.startswith("1 of 30 stimuli of 'noise faces' were not recorded")


def test_a_neuron_that_was_never_measured_is_reported(orderly):
    report = check_recording(changed(orderly, slice(None), 0, np.nan))
    assert "30 of 1,500 cells" in report.problems[0].message


def test_what_is_no_recording_raises(tmp_path):
    with pytest.raises(InputError, match=r"holds no \.mat file"):
        check_recording(tmp_path)
