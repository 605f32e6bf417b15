"""Simulated patches over time: expected rates known by hand, and spikes that have them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neural_data import InputError
from neural_data.recordings import condition_means, make_recording, select_window, stimulus_table
from neural_data.time_simulation import TimeCourse, expected_courses, simulate_over_time

QUICK = TimeCourse(detection_ms=50, identity_ms=100, rise_ms=0.1, decay_ms=1e9, baseline=0.0, gain_sd=0.0)


@pytest.fixture
def rates():
    """Two identities in two views; one neuron tells identities apart, the other views."""
    table = pd.DataFrame(
        {"stimulus_id": list("abcd"), "identity": ["1", "1", "2", "2"], "azimuth_deg": [-45.0, 45.0, -45.0, 45.0]}
    )
    neurons = pd.DataFrame({"neuroid_id": ["of identity", "of view"], "region": "AM", "subject": "s"})
    values = np.array([[10.0, 30], [10, 10], [50, 30], [50, 10]])
    return make_recording(values, presentations=table, neuroids=neurons, attrs={"simulated": 1})


def test_views_are_told_apart_from_detection_on_and_identities_later(rates):
    bins = np.array([[0, 40], [60, 90], [120, 150], [40, 60]])
    expected = expected_courses(rates, QUICK, bins)
    np.testing.assert_allclose(expected[:, 0, :3], [[0, 30, 10], [0, 30, 10], [0, 30, 50], [0, 30, 50]], atol=1e-6)
    np.testing.assert_allclose(expected[:, 1, :3], [[0, 30, 30], [0, 10, 10]] * 2, atol=1e-6)
    # A bin across the rise has half of it.
    np.testing.assert_allclose(expected[:, 1, 3], [15, 5, 15, 5])


def test_spikes_have_the_expected_rates_and_sliding_bins_share_them(rates):
    recording = simulate_over_time(
        rates, 400, course=QUICK, window_ms=(0, 160), bin_ms=40, step_ms=20, rng=np.random.default_rng(0)
    )
    assert recording["time_bin_start"].values.tolist() == [0, 20, 40, 60, 80, 100, 120]
    assert recording.attrs["simulated"] == 1
    assert "identity" in stimulus_table(recording).columns
    late = condition_means(select_window(recording, (120, 160))).to_numpy()
    np.testing.assert_allclose(late, rates.values, atol=4 * np.sqrt(50 / 0.04 / 400))
    assert (recording.values[:, :, 0] == 0).all()
    # 40 to 80 ms is 40 to 60 ms and 60 to 80 ms: halves of the bins before and after, which hold nothing before 40 ms.
    plain = simulate_over_time(rates, 400, course=QUICK, window_ms=(0, 160), bin_ms=20, rng=np.random.default_rng(0))
    np.testing.assert_allclose(recording.values, (plain.values[:, :, :-1] + plain.values[:, :, 1:]) / 2)


def test_gains_are_those_of_whole_trials(rates):
    course = TimeCourse(detection_ms=-1000, identity_ms=-1000, decay_ms=1e9, gain_sd=1.0)
    recording = simulate_over_time(rates * 100, 200, course=course, bin_ms=100, rng=np.random.default_rng(0))
    responses = recording.values[recording["stimulus_id"].values == "a", 1]
    assert np.corrcoef(responses.T)[0, 1] > 0.95
    assert responses[:, 0].std() / responses[:, 0].mean() == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda rates: simulate_over_time(rates, bin_ms=30, step_ms=20, rng=np.random.default_rng(0)), "whole"),
        (lambda rates: simulate_over_time(rates, 0, rng=np.random.default_rng(0)), "n_repetitions"),
        (lambda rates: expected_courses(rates.drop_vars("identity"), QUICK, np.eye(2)), "identity of every stimulus"),
        (lambda _: TimeCourse(rise_ms=0), "rise_ms must be above 0"),
        (lambda _: TimeCourse(baseline=2), "baseline must lie in 0 to 1"),
    ],
)
def test_what_cannot_be_simulated_is_refused(rates, make, message):
    with pytest.raises(InputError, match=message):
        make(rates)


def test_objects_without_a_view_share_what_is_detected_first():
    names = [f"s{number}" for number in range(4)]
    table = pd.DataFrame({"stimulus_id": names, "identity": names, "azimuth_deg": np.nan})
    values = np.random.default_rng(0).uniform(5, 20, (4, 3))
    units = pd.DataFrame({"neuroid_id": ["a", "b", "c"], "region": "AL"})
    rates = make_recording(values, presentations=table, neuroids=units)
    early = expected_courses(rates, TimeCourse(detection_ms=60, identity_ms=200, rise_ms=5), np.array([[80.0, 100.0]]))
    assert np.ptp(early, axis=0).max() < 1e-3 * early.max()
