"""Codes, tests and onsets over time: answers by hand, SciPy's clusters, and populations whose time course is known."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rsatoolbox.rdm import RDMs
from scipy import ndimage, stats

from neural_data import InputError
from neural_data.binned import one_bin
from neural_data.recordings import make_recording
from neurocompare.comparison.ceilings import neuron_ceilings
from neurocompare.comparison.encoding import Encoding, infer_encoding
from neurocompare.comparison.identity_tests import permute_identities
from neurocompare.comparison.inference import infer_fits
from neurocompare.comparison.onsets import Crossings, OnsetPair, crossing_interval, excess_weights, rise_times
from neurocompare.comparison.recorded_index import corrected_indices
from neurocompare.comparison.time_codes import Code, _Labelled, generalise_over_time, infer_codes
from neurocompare.comparison.time_courses import compare_onsets
from neurocompare.comparison.time_encoding import infer_encoding_by_time
from neurocompare.comparison.time_fits import ceilings_by_time, index_by_time, infer_fits_by_time
from neurocompare.comparison.time_index import infer_index_by_time
from neurocompare.comparison.time_tests import cluster_tests, maximum_tests, studentised
from neurocompare.representations.kernels import feature_rdms
from neurocompare.representations.neural_rdms import compute_neural_rdms

N_IDENTITIES, N_VIEWS, N_NEURONS = 6, 3, 12
BINS = np.stack([np.arange(0, 60, 10), np.arange(10, 70, 10)], axis=1)


def recorded(responses: np.ndarray, bins=BINS, **neuroids):
    """Recording of means (n_bins, n_identities, n_views, n_neurons), one presentation each."""
    n_bins, n_identities, n_views, n_neurons = responses.shape
    cells = list(itertools.product(range(n_identities), range(n_views)))
    table = pd.DataFrame(
        {
            "stimulus_id": [f"f{i}v{v}" for i, v in cells],
            "identity": [f"f{i}" for i, _ in cells],
            "azimuth_deg": [float(45 * (v - 1)) for _, v in cells],
            "category": ["face" if i < n_identities // 2 else "thing" for i, _ in cells],
        }
    )
    units = pd.DataFrame({"neuroid_id": [f"n{k}" for k in range(n_neurons)], "region": "AM", **neuroids})
    values = responses.reshape(n_bins, -1, n_neurons).transpose(1, 2, 0)
    return make_recording(values, presentations=table, neuroids=units, time_bins_ms=bins, units="normalized")


def labels_of(recording) -> pd.DataFrame:
    """Labels of the stimuli, one row each."""
    names = ("stimulus_id", "identity", "azimuth_deg")
    return pd.DataFrame({name: recording[name].values for name in names}).set_index("stimulus_id")


@pytest.fixture(scope="module")
def switching():
    """Identities from the fourth bin on, views in all bins from the second; noise everywhere."""
    rng = np.random.default_rng(3)
    of_identity = rng.standard_normal((N_IDENTITIES, 1, N_NEURONS))
    of_view = rng.standard_normal((1, N_VIEWS, N_NEURONS))
    responses = 0.3 * rng.standard_normal((6, N_IDENTITIES, N_VIEWS, N_NEURONS))
    responses[1:] += of_view
    responses[3:] += of_identity
    return recorded(responses), responses


def test_the_strength_of_a_code_is_the_covariance_over_levels_between_two_views(switching):
    recording, responses = switching
    found = infer_codes(recording, normalize=None, n_permutations=20, rng=np.random.default_rng(0))
    for row, x in enumerate((responses, responses.transpose(0, 2, 1, 3))):
        centred = x - x.mean(axis=1, keepdims=True)
        pairs = list(itertools.combinations(range(x.shape[2]), 2))
        expected = np.mean(
            [(centred[:, :, a] * centred[:, :, b]).sum(axis=1).mean(axis=1) for a, b in pairs], axis=0
        ) / (x.shape[1] - 1)
        np.testing.assert_allclose(found.values[row, 0], expected, atol=1e-12)


def test_codes_are_found_when_they_are_there_and_only_then(switching):
    found = infer_codes(switching[0], rng=np.random.default_rng(1))
    p = found.tests()["p_max"][:, 0]
    assert (p[0] < 0.05).tolist() == [False, False, False, True, True, True]
    assert (p[1] < 0.05).tolist() == [False, True, True, True, True, True]
    onsets = found.onsets().set_index("code")
    # A code that is there from one bin on rises to half its strength between the centres of that bin and the last one.
    assert 25 < onsets.loc["identity", "onset_ms"] < 35
    assert 5 < onsets.loc["view", "onset_ms"] < 15
    difference = found.onset_differences().iloc[0]
    assert difference["difference_ms"] == pytest.approx(
        onsets.loc["identity", "onset_ms"] - onsets.loc["view", "onset_ms"]
    )
    assert difference["ci_low"] < 20 < difference["ci_high"]
    frame = found.to_frame()
    assert len(frame) == 12
    assert frame["resample"].unique().tolist() == ["identity+neuron"]
    inside = (frame["ci_low"] < frame["value"]) & (frame["value"] < frame["ci_high"])
    assert inside.all()


def test_the_error_of_a_code_over_neurons_is_that_of_a_mean(switching):
    recording, responses = switching
    found = infer_codes(
        recording, ["identity"], resample="neuron", normalize=None, n_permutations=5, rng=np.random.default_rng(0)
    )
    single = [
        infer_codes(
            recording.isel(neuroid=list(range(4 * k, 4 * k + 4))),
            ["identity"],
            resample="neuron",
            normalize=None,
            n_permutations=5,
            rng=np.random.default_rng(0),
        ).values[0, 0]
        for k in range(3)
    ]
    np.testing.assert_allclose(np.mean(single, axis=0), found.values[0, 0], atol=1e-12)
    x = responses - responses.mean(axis=1, keepdims=True)
    pairs = list(itertools.combinations(range(N_VIEWS), 2))
    of_neurons = np.mean([(x[:, :, a] * x[:, :, b]).sum(axis=1) for a, b in pairs], axis=0) / (N_IDENTITIES - 1)
    expected = of_neurons.std(axis=1, ddof=1) / np.sqrt(N_NEURONS)
    np.testing.assert_allclose(found.result.se[0], expected, rtol=1e-9)


def test_a_code_generalises_to_bins_with_the_same_patterns_alone():
    rng = np.random.default_rng(5)
    early, late = rng.standard_normal((2, N_IDENTITIES, 1, 40))
    responses = 0.2 * rng.standard_normal((6, N_IDENTITIES, N_VIEWS, 40))
    responses[1:3] += early
    responses[3:5] += late
    table = generalise_over_time(recorded(responses), n_permutations=100, rng=np.random.default_rng(0))
    similarity = table.pivot(index="time_1_ms", columns="time_2_ms", values="similarity").to_numpy()
    assert similarity[1, 2] == pytest.approx(1, abs=0.1)
    assert similarity[3, 4] == pytest.approx(1, abs=0.1)
    assert abs(similarity[1, 3]) < 0.4
    assert np.isnan(similarity[0]).all()
    np.testing.assert_allclose(similarity, similarity.T)
    own = infer_codes(recorded(responses), ["identity"], n_permutations=10, rng=np.random.default_rng(0))
    np.testing.assert_allclose(np.diag(table["value"].to_numpy().reshape(6, 6)), own.values[0, 0], atol=1e-12)
    np.testing.assert_allclose(np.diag(table["se"].to_numpy().reshape(6, 6)), own.result.se[0], rtol=1e-9)


def test_categories_are_permuted_between_identities_of_which_each_has_one(switching):
    apart = switching[1].copy()
    apart[4:, : N_IDENTITIES // 2] += 3 * np.random.default_rng(0).standard_normal(N_NEURONS)
    found = infer_codes(recorded(apart), ["category"], n_permutations=200, rng=np.random.default_rng(0))
    # Ten ways to deal six identities out to two categories: p is 2 in 20 at least.
    assert found.tests()["p_permutation"][0, 0, 4] == pytest.approx(0.1, abs=0.07)
    assert found.values[0, 0, 4] > 4 * abs(found.values[0, 0, :4]).max()


@pytest.mark.parametrize(
    ("codes", "options", "message"),
    [
        (["identiti"], {}, "no code 'identiti': did you mean 'identity'"),
        ([Code("place", "place", "identity")], {}, "needs the label 'place' of the stimuli"),
        ([Code("same", "identity", "identity")], {}, "'same' cannot be measured"),
        (["identity"], {"resample": "subject"}, "resampled over identities and neurons"),
        (["identity"], {"normalize": "z"}, "normalize"),
        ([], {}, "codes must be named"),
    ],
)
def test_codes_that_cannot_be_measured_are_refused(switching, codes, options, message):
    with pytest.raises(InputError, match=message):
        infer_codes(switching[0], codes, n_permutations=5, rng=np.random.default_rng(0), **options)


def test_a_recording_without_time_bins_is_refused(switching):
    with pytest.raises(InputError, match="no time bins"):
        infer_codes(switching[0].isel(time_bin=0, drop=True), rng=np.random.default_rng(0))


def test_a_curve_rises_through_half_of_its_peak_at_the_time_known_by_hand():
    times = np.array([0.0, 10, 20, 30, 40])
    curves = np.array(
        [
            [0, 0, 1, 4, 2],  # half of 4 lies a third of the way from 1 to 4
            [0, 3, 0, 4, 0],  # the last rise before the peak counts
            [3, 4, 3, 3, 3],  # above from the first bin on
            [-1, -2, -1, -3, -1],  # no peak above 0
            [0, 0, np.nan, 4, 0],  # undefined
        ]
    )
    np.testing.assert_allclose(rise_times(curves, times, smoothing_bins=0), [20 + 10 / 3, 25, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(rise_times(curves[0], times, fraction=0.25, smoothing_bins=0), 20)
    symmetric = 1 / (1 + np.exp(-(np.arange(0, 400, 10) - 203) / 8))
    for bins in (0, 1, 2):
        assert rise_times(symmetric, np.arange(0, 400, 10), smoothing_bins=bins) == pytest.approx(203, abs=0.4)
    for wrong, options in ((times[:2], {}), (times[::-1], {}), (times, {"fraction": 1.0})):
        with pytest.raises(InputError):
            rise_times(curves[:, : len(wrong)], wrong, **options)


def test_an_onset_lies_where_its_curve_may_cross_the_share_of_the_peak():
    times = np.arange(0.0, 70, 10)
    excess = np.array([-2.0, -2, -1, 1, 2, 2, 1])
    # Surely below until a quarter of the way from 10 to 20 ms; surely above from three quarters from 30 to 40 ms on.
    half = np.array([0.5, 1.75, 1.25, 1.75, 1.75, 1, 1])
    assert crossing_interval(25, times, excess - half, excess + half, 5) == pytest.approx((15, 37.5))
    assert crossing_interval(25, times, excess - 0.0, excess + 0.0, 5) == (25, 25)
    late = np.where(np.arange(7) == 4, 3, half)  # above at 40 ms, but perhaps not
    assert crossing_interval(25, times, excess - late, excess + late, 5)[1] == pytest.approx(45)
    wide = np.full(7, 5.0)
    assert np.isnan(crossing_interval(25, times, excess - wide, excess + wide, 5)).all()
    curve = np.array([[0.0, 1, 4, 2]])
    weights, peaks = excess_weights(curve, fraction=0.25, smoothing_bins=0)
    assert peaks.tolist() == [2]
    np.testing.assert_allclose(weights[0] @ curve[0], curve[0] - 1)
    # The excess of the curve that onsets are read from changes its sign there.
    smooth = 1 / (1 + np.exp(-(np.arange(0, 100, 10) - 43) / 8))
    weights, _ = excess_weights(smooth)
    crossed = np.interp(0, weights @ smooth, np.arange(0, 100, 10))
    assert crossed == pytest.approx(float(rise_times(smooth, np.arange(0, 100, 10))))


def test_a_bin_whose_limits_are_not_known_is_neither_below_nor_above_the_share():
    times = np.arange(0.0, 70, 10)
    excess = np.array([-2.0, -2, -1, 1, 2, 2, 1])
    half = np.full(7, 0.5)
    assert crossing_interval(25, times, excess - half, excess + half, 5) == pytest.approx((22.5, 27.5))
    for unknown, expected in ((2, (10, 30)), (3, (20, 40)), (4, (22.5, 50)), (5, (22.5, np.nan))):
        limits = half.copy()
        limits[unknown] = np.nan
        found = crossing_interval(25, times, excess - limits, excess + limits, 5)
        assert found == pytest.approx(expected, nan_ok=True)
    pair = OnsetPair(straight([70.0, 40.0], [1.0, 1.0], [np.nan, np.nan]), (0, 0), (1, 0), 0.0)
    assert np.isnan(pair.interval()).all()
    assert pair.p() == 1.0
    assert pair.p_within(50.0) == 0.5


def test_a_bin_without_errors_leaves_the_intervals_that_do_not_need_it():
    # Before the response, one neuron alone is active: without it the bin has no RDM, and its fit no error.
    rng = np.random.default_rng(3)
    of_identity = rng.standard_normal((N_IDENTITIES, 1, N_NEURONS))
    course = 1 / (1 + np.exp(-(np.arange(16) - 11) / 0.5))
    noise = 0.3 * rng.standard_normal((16, N_IDENTITIES, N_VIEWS, N_NEURONS))
    responses = course[:, None, None, None] * of_identity + noise
    responses[0, :, :, 1:] = 0
    recording = recorded(responses, bins=np.stack([np.arange(0, 160, 10), np.arange(10, 170, 10)], axis=1))
    features = np.broadcast_to(of_identity, (N_IDENTITIES, N_VIEWS, N_NEURONS)).reshape(-1, N_NEURONS)
    options = {"dissimilarity": "euclidean", "n_draws": 0, "n_splits": 0, "n_permutations": 0}
    layer = feature_rdms({"layer": features}, labels_of(recording))
    found = infer_fits_by_time(layer, recording, **options, rng=np.random.default_rng(0))
    unknown = np.isnan(found.result.se[0])
    assert unknown.tolist() == [True] + [False] * 15
    later = infer_fits_by_time(
        layer, recording.isel(time_bin=slice(1, None)), **options, rng=np.random.default_rng(0)
    ).onsets()
    onset = found.onsets().iloc[0]
    assert onset["ci_low"] < onset["onset_ms"] < onset["ci_high"]
    assert [onset["ci_low"], onset["ci_high"]] == pytest.approx(later.loc[0, ["ci_low", "ci_high"]].tolist(), abs=0.1)


def straight(onsets, slopes, errors):
    """Curves that rise in a line through their share at the onset, with one error in all bins."""
    times = np.arange(0.0, 110, 10)
    excess = np.array(slopes)[:, None, None] * (times - np.array(onsets)[:, None, None])
    return Crossings(
        onsets=np.array(onsets)[:, None],
        times_ms=times,
        excess=excess,
        se=np.broadcast_to(np.array(errors)[:, None, None], excess.shape),
        df=np.array([12.0]),
        peaks=np.full((len(onsets), 1), 10),
        deviations={},
    )


@pytest.mark.parametrize("correlation", [0.0, 0.6, -0.5])
def test_the_difference_of_two_straight_rises_has_the_interval_of_a_difference_of_means(correlation):
    pair = OnsetPair(straight([52.0, 43.0], [0.5, 2.0], [1.0, 6.0]), (0, 0), (1, 0), correlation)
    errors = np.array([1.0 / 0.5, 6.0 / 2.0])
    se = np.sqrt((errors**2).sum() - 2 * correlation * errors.prod())
    half = stats.t.ppf(0.975, 12) * se
    assert pair.interval() == pytest.approx((9 - half, 9 + half))
    assert pair.p() == pytest.approx(2 * stats.t.sf(9 / se, 12))
    turned = OnsetPair(pair.crossings, (1, 0), (0, 0), correlation)
    assert turned.interval() == pytest.approx((-9 - half, -9 + half))
    assert turned.p() == pytest.approx(pair.p())


def test_a_difference_ends_where_the_limits_of_both_onsets_let_it():
    # The second onset has no later limit, so the difference has no lower one; it may be 0 at any level.
    pair = OnsetPair(straight([70.0, 40.0], [1.0, 1.0], [1.0, 40.0]), (0, 0), (1, 0), 0.0)
    low, high = pair.crossings.interval(1, 0, 2.2)
    assert np.isnan(low)
    assert np.isnan(high)
    assert np.isnan(pair.interval()).all()
    same = OnsetPair(straight([50.0, 50.0 + 1e-13], [1.0, 1.0], [1.0, 1.0]), (0, 0), (1, 0), 1.0)
    assert same.p() == 1.0


def test_onsets_that_are_one_and_the_same_differ_by_nothing(switching):
    found = infer_codes(
        switching[0],
        ["identity", Code("again", "identity", "view")],
        n_draws=20,
        n_permutations=99,
        rng=np.random.default_rng(0),
    )
    row = found.onset_differences().iloc[0]
    np.testing.assert_allclose(row[["difference_ms", "se"]].astype(float), 0, atol=1e-6)
    assert row["p"] == 1.0
    # Fully correlated: what is left is the difference between the earlier and the later side of the onset's interval.
    own = found.onsets().iloc[0]
    sides = own["onset_ms"] - own["ci_low"], own["ci_high"] - own["onset_ms"]
    assert row["ci_high"] == pytest.approx(abs(sides[0] - sides[1]), abs=1e-5)
    assert row["ci_high"] < min(sides) / 2


def test_onsets_of_codes_fits_and_read_outs_of_one_seed_are_compared():
    rng = np.random.default_rng(11)
    n = 40
    responses = 0.4 * rng.standard_normal((6, N_IDENTITIES, N_VIEWS, n))
    responses[3:] += rng.standard_normal((N_IDENTITIES, 1, n)) + 0.3 * rng.standard_normal((1, N_VIEWS, n))
    recording = recorded(responses)
    late = feature_rdms({"late": responses[5].reshape(-1, n)}, labels_of(recording))
    options = {"n_permutations": 99, "n_draws": 15}
    codes = infer_codes(recording, "identity", **options, rng=np.random.default_rng(5))
    fits = infer_fits_by_time(
        late, recording, dissimilarity="euclidean", n_splits=0, **options, rng=np.random.default_rng(5)
    )
    encoding = infer_encoding_by_time(
        late, recording, Encoding(across="view", n_folds=3), n_permutations=99, rng=np.random.default_rng(5)
    )
    index = infer_index_by_time(recording, n_splits=4, rng=np.random.default_rng(5))
    for one in (fits, encoding, index):
        assert one.seed == codes.seed
        assert one.result.deviations.keys() == codes.result.deviations.keys()
    table = compare_onsets({"code": codes, "fit": fits, "encoding": encoding})
    assert set(table["readout_1"]) | set(table["readout_2"]) == {"code", "fit", "encoding"}
    assert len(table) == 3
    row = table[(table["readout_1"] == "code") & (table["readout_2"] == "fit")].iloc[0]
    onsets = [codes.onsets().iloc[0]["onset_ms"], fits.onsets().iloc[0]["onset_ms"]]
    assert row["difference_ms"] == pytest.approx(onsets[0] - onsets[1])
    assert row["ci_low"] < row["difference_ms"] < row["ci_high"]
    assert np.isfinite(row["se"])
    assert table.loc[table["readout_2"] == "encoding", "se"].isna().all()
    other = infer_codes(recording, "identity", **options, rng=np.random.default_rng(6))
    with pytest.raises(InputError, match=r"onsets of code and fit cannot be compared: .* generators in equal states"):
        compare_onsets({"code": other, "fit": fits})


def test_a_neuron_is_in_the_same_part_for_codes_fits_and_read_outs():
    rng = np.random.default_rng(12)
    n = 70  # in 30 parts
    responses = 0.1 * rng.standard_normal((6, N_IDENTITIES, N_VIEWS, n))
    of_one = rng.standard_normal((N_IDENTITIES, 1))
    responses[:, :, :, 33] = 20 * of_one
    recording = recorded(responses)
    distances = feature_rdms({"one": np.repeat(of_one, N_VIEWS)[:, None]}, labels_of(recording))
    found = [
        infer_codes(recording, "identity", normalize=None, n_draws=0, n_permutations=0, rng=np.random.default_rng(1)),
        infer_fits_by_time(
            distances,
            recording,
            dissimilarity="euclidean",
            n_draws=0,
            n_splits=0,
            n_permutations=0,
            rng=np.random.default_rng(1),
        ),
        infer_encoding_by_time(
            distances, recording, Encoding(across="view", n_folds=3), n_permutations=0, rng=np.random.default_rng(1)
        ),
    ]
    # The part with the one neuron that codes identities moves every curve most.
    parts = [int(np.abs(one.result.deviations["neuron",][:, 0].mean(axis=1)).argmax()) for one in found]
    assert len(set(parts)) == 1


@pytest.fixture(scope="module")
def shuffled():
    """Views first and identities later, of faces that a recording shows in another order than layers hold them."""
    rng = np.random.default_rng(21)
    n_identities, n = 34, 10  # in 30 parts
    profile, front = rng.standard_normal((2, 1, 1, n))
    of_identity = rng.standard_normal((n_identities, 1, n))
    of_identity[7] *= 8
    responses = 0.3 * rng.standard_normal((6, n_identities, N_VIEWS, n))
    responses[2:] += np.concatenate([profile, front, profile], axis=1)
    responses[3:] += of_identity
    recording = recorded(responses)
    units = np.broadcast_to(of_identity, (n_identities, N_VIEWS, n)).reshape(-1, n)
    order = np.random.default_rng(5).permutation(len(units))
    labels = labels_of(recording)
    return recording, recording.isel(presentation=order), units, labels, order


def test_the_order_of_stimuli_in_a_recording_and_in_layers_does_not_matter(shuffled):
    recording, turned, units, labels, order = shuffled
    layers = [feature_rdms({"layer": units[at]}, labels.iloc[at]) for at in (np.arange(len(units)), order)]
    options = {"n_draws": 10, "n_permutations": 0}
    alike = []
    for shown, layer in ((recording, layers[0]), (recording, layers[1]), (turned, layers[0])):
        found = {
            "code": infer_codes(shown, ["view", "identity"], **options, rng=np.random.default_rng(1)),
            "fit": infer_fits_by_time(
                layer, shown, dissimilarity="euclidean", n_splits=0, **options, rng=np.random.default_rng(1)
            ),
            "index": infer_index_by_time(shown, n_splits=4, rng=np.random.default_rng(1)),
        }
        alike.append(compare_onsets(found).select_dtypes("number").to_numpy())
    assert len(alike[0]) >= 3
    for other in alike[1:]:
        np.testing.assert_allclose(other, alike[0], rtol=1e-6, atol=1e-6)


def test_an_identity_is_in_the_same_part_for_codes_fits_and_read_outs(shuffled):
    recording, _, units, labels, order = shuffled
    layer = feature_rdms({"layer": units[order]}, labels.iloc[order])
    options = {"resample": ("identity", "neuron"), "n_permutations": 0}
    none = {"n_draws": 0, "n_splits": 0, "dissimilarity": "euclidean"}
    found = [
        infer_codes(recording, "identity", n_draws=0, **options, rng=np.random.default_rng(1)),
        infer_fits_by_time(layer, recording, **none, **options, rng=np.random.default_rng(1)),
        infer_encoding_by_time(
            layer, recording, Encoding(across="identity", n_folds=3), **options, rng=np.random.default_rng(1)
        ),
    ]
    # The part with the one identity that stands out moves every curve most.
    parts = [int(np.abs(one.result.deviations["identity",][:, 0, 3:].mean(axis=1)).argmax()) for one in found]
    assert len(set(parts)) == 1


def test_a_curve_is_read_between_bins_at_its_onset():
    crossings = straight([52.0, np.nan, 100.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0])
    curves = np.broadcast_to(crossings.times_ms**2, (2, 3, 1, 11))
    np.testing.assert_allclose(crossings.at_onsets(curves)[1, :, 0], [0.8 * 2500 + 0.2 * 3600, 0, 10_000])


def test_an_onset_without_an_earlier_limit_says_so():
    rng = np.random.default_rng(2)
    strength = np.array([0.45, 0.45, 0.6, 0.9, 1, 1])[:, None, None, None]
    noise = 0.4 * rng.standard_normal((6, N_IDENTITIES, N_VIEWS, N_NEURONS))
    found = infer_codes(
        recorded(np.sqrt(strength) * rng.standard_normal((1, N_IDENTITIES, 1, N_NEURONS)) + noise),
        "identity",
        n_draws=0,
        n_permutations=99,
        rng=np.random.default_rng(0),
    )
    onset = found.onsets().iloc[0]
    assert np.isfinite(onset["onset_ms"])
    assert np.isnan(onset["ci_low"])
    assert onset["reason"] == "the bins set no earlier limit"


def test_clusters_are_joined_along_time_and_between_layers_of_one_network():
    rng = np.random.default_rng(0)
    null = rng.standard_normal((999, 3, 5))
    observed = np.zeros((3, 5))
    observed[0, 1:3] = observed[1, 2:4] = 5
    observed[2, 4] = 4
    one = cluster_tests(observed, null)
    assert one.labels[[0, 1], [1, 3]].tolist() == [1, 1]
    assert len(one.p) == 2
    assert one.p[0] == pytest.approx(0.001)
    apart = cluster_tests(observed, null, joined=np.array([True, False, True]))
    assert len(apart.p) == 3
    assert (one.p_of_bins[:, 0] == 1).all()
    # The same by SciPy's labels, one map at a time.

    threshold = stats.norm.isf(0.05)
    largest = []
    for scores in studentised(observed, null)[1]:
        labels, n = ndimage.label(scores > threshold)
        largest.append(max([0.0, *ndimage.sum(scores - threshold, labels, range(1, n + 1))]))
    expected = [(1 + (np.array(largest) >= mass - 1e-9).sum()) / 1000 for mass in one.masses]
    np.testing.assert_allclose(one.p, expected)


def test_the_largest_of_all_bins_corrects_for_all_bins():
    rng = np.random.default_rng(1)
    null = rng.standard_normal((1999, 4, 10)) * np.arange(1, 5)[:, None]
    observed = np.zeros((4, 10))
    observed[1, 3] = 2 * 3.5
    observed[3, 0] = np.nan
    p = maximum_tests(observed, null)
    # 39 independent normal scores beside the undefined one; the studentised sizes of layers do not matter.
    assert p[1, 3] == pytest.approx(1 - stats.norm.cdf(3.5) ** 39, abs=0.006)
    assert np.isnan(p[3, 0])
    with pytest.raises(InputError, match="estimates"):
        maximum_tests(observed[0], null)


@pytest.fixture(scope="module")
def layers(switching):
    """RDMs of three layers: of the identities, of the views, and of nothing that the patch codes."""
    recording, responses = switching
    rng = np.random.default_rng(8)
    x = responses[5].reshape(-1, N_NEURONS)
    features = {
        "early": np.tile(x.reshape(N_IDENTITIES, N_VIEWS, -1).mean(axis=0), (N_IDENTITIES, 1)),
        "late": x,
        "other": rng.standard_normal(x.shape),
    }
    features["early"] = features["early"] + 0.2 * rng.standard_normal(x.shape)
    patterns = {name: recording[name].values.tolist() for name in ("stimulus_id", "identity", "azimuth_deg")}
    upper = np.triu_indices(len(x), 1)
    vectors = np.stack([1 - np.corrcoef(one)[upper] for one in features.values()])
    return RDMs(
        vectors,
        dissimilarity_measure="correlation",
        rdm_descriptors={"model": ["net"] * 3, "layer": list(features), "layer_index": [0, 1, 2]},
        pattern_descriptors=patterns,
    )


@pytest.fixture(scope="module")
def fitted(switching, layers):
    return infer_fits_by_time(layers, switching[0], n_draws=30, n_permutations=99, rng=np.random.default_rng(2))


@pytest.mark.parametrize("normalize", [None, "zscore"])
def test_fits_of_a_bin_and_their_errors_are_those_of_the_bin_alone(switching, layers, normalize):
    options = {"method": "corr", "resample": ("identity", "neuron")}
    found = infer_fits_by_time(
        layers, switching[0], normalize=normalize, n_draws=0, n_splits=0, n_permutations=0, rng=np.random.default_rng(2)
    )
    for place in (0, 4):
        one = one_bin(switching[0], place)
        patch = compute_neural_rdms(one, normalize=normalize)
        alone = infer_fits(
            layers, patch, recording=one, n_draws=2, n_permutations=1, rng=np.random.default_rng(0), **options
        )
        np.testing.assert_allclose(found.values[:, 0, place], alone.estimates[:, 0], atol=1e-12)
        np.testing.assert_allclose(found.result.se[:, place], alone.se[:, 0], rtol=1e-9)


def test_layers_are_found_in_the_bins_in_which_the_patch_codes_what_they_code(fitted):
    p = fitted.tests()["p_max"][:, 0]
    assert (p[1] < 0.05).tolist() == [False, False, False, True, True, True]
    assert (p[2] > 0.05).all()
    frame = fitted.to_frame()
    assert len(frame) == 18
    assert frame["p_cluster"].between(0, 1).all()
    late = frame[(frame["layer"] == "late") & (frame["time_start_ms"] == 50)].iloc[0]
    assert late["corrected_value"] == pytest.approx(late["value"] / np.sqrt(late["reliability"]))
    assert fitted.onsets().set_index("layer").loc["other", "reason"].startswith("nothing is found")


def test_the_null_is_that_of_permuted_identities_in_every_bin(switching, layers, fitted):
    # With six identities, 719 other orders: all of them, in the same order, in both.
    null = infer_fits_by_time(
        layers, switching[0], n_draws=0, n_splits=0, n_permutations=719, rng=np.random.default_rng(0)
    ).result.identity_null
    patch = compute_neural_rdms(one_bin(switching[0], 4))
    expected = permute_identities(layers, patch, n_permutations=719, rng=np.random.default_rng(0))
    np.testing.assert_allclose(null[:, :, 4].mean(axis=0), expected["null_mean"], atol=1e-12)
    np.testing.assert_allclose(null[:, :, 4].std(axis=0, ddof=1), expected["null_sd"], atol=1e-12)


def test_neurons_and_identities_are_drawn_and_left_out_alike_in_all_bins(switching, layers):
    same = recorded(np.repeat(switching[1][4:5], 3, axis=0), bins=BINS[:3])
    found = infer_fits_by_time(layers, same, n_draws=10, n_permutations=20, rng=np.random.default_rng(0))
    for drawn in found.left_out[0].drawn.values():
        np.testing.assert_array_equal(drawn[:, :, 0], drawn[:, :, 2])
    assert np.ptp(found.result.ceilings["ceiling_lower"]) == 0
    for deviations in found.result.deviations.values():
        np.testing.assert_allclose(deviations[:, :, 0], deviations[:, :, 2], atol=1e-12)


def test_index_and_ceilings_of_a_bin_are_those_of_the_bin_alone(switching):
    recording = switching[0].isel(time_bin=[1, 4])
    table = ceilings_by_time(recording, n_splits=10, rng=np.random.default_rng(4))
    seed = int(np.random.default_rng(4).integers(2**63))
    alone = neuron_ceilings(one_bin(switching[0], 4), n_splits=10, rng=np.random.default_rng(seed))
    assert table["time_start_ms"].tolist() == [10, 40]
    assert table.loc[1, "ceiling_lower"] == alone.loc[0, "ceiling_lower"]
    index = index_by_time(recording, n_splits=10, rng=np.random.default_rng(4))
    alone = corrected_indices(one_bin(switching[0], 4), n_splits=10, rng=np.random.default_rng(seed))
    assert index.loc[1, "corrected_index"] == alone.loc[0, "corrected_index"]
    scaled = ceilings_by_time(
        recording, normalize="zscore", dissimilarity="euclidean", n_splits=10, rng=np.random.default_rng(4)
    )
    alone = neuron_ceilings(
        one_bin(switching[0], 4),
        normalize="zscore",
        dissimilarity="euclidean",
        n_splits=10,
        rng=np.random.default_rng(seed),
    )
    assert scaled.loc[1, "ceiling_lower_high"] == alone.loc[0, "ceiling_lower_high"]
    assert scaled.loc[1, "ceiling_lower"] != table.loc[1, "ceiling_lower"]
    silent = switching[0].copy()
    silent[:, :, 0] = 0.0
    assert index_by_time(silent, n_splits=10, rng=np.random.default_rng(4))["index"].isna().tolist()[:2] == [
        True,
        False,
    ]


def test_the_ceilings_of_fits_are_those_of_their_bins(fitted):
    table = fitted.ceilings()
    assert table["time_start_ms"].tolist() == [0, 10, 20, 30, 40, 50]
    frame = fitted.to_frame()
    np.testing.assert_array_equal(table["ceiling_lower"], frame.loc[frame["layer"] == "late", "reliability"])
    late = table.iloc[5]
    assert late["ceiling_lower_low"] < late["ceiling_lower"] < late["ceiling_lower_high"]
    assert late["ceiling_upper"] == pytest.approx(np.sqrt(late["ceiling_lower"]))


@pytest.fixture(scope="module")
def mirrored():
    """Views that are all alike or all different first, mirror-symmetric from the fourth bin on."""
    rng = np.random.default_rng(7)
    n = 36
    profile, front = rng.standard_normal((2, 1, 1, n))
    responses = 0.3 * rng.standard_normal((6, N_IDENTITIES, N_VIEWS, n))
    responses[3:] += np.concatenate([profile, front, profile], axis=1)
    return recorded(responses)


def test_the_index_of_a_bin_is_that_of_the_bin_alone(mirrored):
    found = infer_index_by_time(mirrored, n_splits=6, rng=np.random.default_rng(9))
    for place in (1, 4):
        alone = corrected_indices(one_bin(mirrored, place), n_splits=6, rng=np.random.default_rng([found.seed, 1, 1]))
        assert found.values[0, 0, place] == pytest.approx(alone.loc[0, "corrected_index"], abs=1e-9)
    frame = found.to_frame()
    assert frame["resample"].unique().tolist() == ["identity+neuron"]
    assert found.level == -0.5  # three views that are equally far apart
    np.testing.assert_allclose(frame["value"][:3], -0.5, atol=0.3)
    assert (frame["value"][3:] > 0.5).all()
    assert (frame["p_max"] < 0.05).tolist() == [False, False, False, True, True, True]
    assert frame["p_permutation"].isna().all()


def test_the_index_without_a_part_is_that_of_the_others_alone(mirrored):
    found = infer_index_by_time(mirrored, n_splits=6, rng=np.random.default_rng(9))
    without = [f"f{i}" for i in range(N_IDENTITIES) if i != 2]
    five = one_bin(mirrored, 4)
    five = five[np.isin(five["identity"].values, without)]
    whole = found.left_out[0].values
    # Neurons are z-scored over the stimuli that are there, so the index of five identities alone is close, not equal.
    alone = corrected_indices(five, n_splits=6, rng=np.random.default_rng([found.seed, 1, 1]))
    assert whole[2, 0, 4, -1] == pytest.approx(alone.loc[0, "corrected_index"], abs=0.02)
    assert whole[2, 0, 4, -1] != whole[-1, 0, 4, -1]
    by_neuron = infer_index_by_time(mirrored, resample="neuron", n_splits=6, rng=np.random.default_rng(9))
    np.testing.assert_allclose(by_neuron.left_out[0].values[0], whole[-1], atol=1e-12)
    # With as many parts as neurons, the error is that of the jackknife.
    twenty = infer_index_by_time(
        mirrored.isel(neuroid=slice(20)), resample="neuron", n_splits=6, rng=np.random.default_rng(9)
    )
    without_one = twenty.left_out[0].values[0, 0, 4, :-1]
    assert len(without_one) == 20
    assert twenty.result.se[0, 4] == pytest.approx(np.sqrt(19) * without_one.std(), rel=1e-9)


def test_the_index_rises_from_the_level_of_equal_distances(mirrored):
    onset = infer_index_by_time(mirrored, n_splits=6, rng=np.random.default_rng(9)).onsets().iloc[0]
    # From -0.5 to about 1: a quarter, halfway between, lies between the centres of the third and fourth bin.
    assert 25 < onset["onset_ms"] < 35
    assert onset["ci_low"] < onset["onset_ms"] < onset["ci_high"]
    assert onset["p_max"] < 0.05
    with pytest.raises(InputError, match="resampled over identities and neurons; got stimulus"):
        infer_index_by_time(mirrored, resample="stimulus", rng=np.random.default_rng(0))


def test_a_test_that_cannot_be_made_gives_no_onset(switching):
    untested = infer_codes(switching[0], "identity", n_draws=0, n_permutations=0, rng=np.random.default_rng(0))
    assert np.isfinite(untested.onsets().loc[0, "onset_ms"])
    undefined = replace(untested, result=replace(untested.result, identity_null="identities lack views"))
    onset = undefined.onsets().iloc[0]
    assert np.isnan(onset["onset_ms"])
    assert onset["reason"] == "no test can be made: identities lack views"
    no_errors = replace(untested, level=-0.5)
    no_errors.result.deviations["identity",][:] = np.nan
    onset = no_errors.onsets().iloc[0]
    assert np.isnan(onset["onset_ms"])
    assert onset["reason"] == "no test can be made: no bin has an error"


def with_course(courses, values):
    """Time courses whose one curve is another."""
    return replace(courses, result=replace(courses.result, estimates=np.array([values])))


def test_peaks_are_those_of_the_smoothed_curve_that_onsets_are_read_from():
    noise = np.random.default_rng(0).standard_normal((10, N_IDENTITIES, N_VIEWS, N_NEURONS))
    recording = recorded(noise, bins=np.stack([np.arange(0, 100, 10), np.arange(10, 110, 10)], axis=1))
    found = infer_codes(recording, "identity", n_draws=0, n_permutations=0, rng=np.random.default_rng(0))
    # One bin is highest by itself; smoothed, it has 1.2 times the middle weight of a Gaussian, 0.4, of its height.
    values = np.array([0, 0, 1.2, 0, 0, 0, 1, 1, 1, 1])
    onset = with_course(found, values).onsets().iloc[0]
    assert onset["peak_ms"] == 95
    assert onset["peak"] == pytest.approx(1, abs=0.01)
    assert onset["onset_ms"] == pytest.approx(60, abs=1)
    onset = with_course(found, [0, 0, 1, 2, 5, 2, 1, 0, 0, 0]).onsets(0.25).iloc[0]
    gaussian = np.exp(-(np.arange(-4, 5) ** 2) / 2)
    weights = gaussian / gaussian.sum()
    assert onset["peak"] == pytest.approx(5 * weights[4] + 4 * weights[5] + 2 * weights[6])
    onset = with_course(found, np.where(np.arange(10) == 1, np.nan, values)).onsets().iloc[0]
    assert onset[["onset_ms", "peak_ms", "peak"]].isna().all()
    assert onset["reason"] == "the curve is undefined in 1 bin(s), at 15 ms"


def test_an_onset_needs_a_finding_in_the_bins_around_its_peak():
    noise = np.random.default_rng(0).standard_normal((10, N_IDENTITIES, N_VIEWS, N_NEURONS))
    recording = recorded(noise, bins=np.stack([np.arange(0, 100, 10), np.arange(10, 110, 10)], axis=1))
    found = infer_codes(recording, "identity", n_draws=0, n_permutations=99, rng=np.random.default_rng(0))
    found = with_course(found, [0, 0.3, 0, 0, 0, 0, 1, 1, 0, 0])

    def with_noise(sizes):
        null = np.random.default_rng(1).standard_normal((99, 1, 10)) * sizes
        return replace(found, result=replace(found.result, identity_null=null)).onsets().iloc[0]

    # The second bin has next to no noise, and the hump as much as it is high: only the former is found.
    early = with_noise(np.where(np.arange(10) == 1, 0.01, 1.0))
    assert early["p_max"] < 0.05
    assert early[["onset_ms", "ci_low", "ci_high"]].isna().all()
    assert early["reason"] == "nothing is found around the peak, where the curve is above the share (65 to 75 ms)"
    late = with_noise(np.where(np.arange(10) == 7, 0.01, 1.0))
    assert 55 < late["onset_ms"] < 65


def test_a_neuron_that_never_varies_does_not_count_in_codes_and_parts_agree_with_those_of_fits(switching):
    _, responses = switching
    silent = recorded(np.insert(responses, 3, 0.1, axis=3))
    options = {"n_draws": 15, "n_permutations": 50}
    found = infer_codes(silent, ["view", "identity"], **options, rng=np.random.default_rng(0))
    without = infer_codes(switching[0], ["view", "identity"], **options, rng=np.random.default_rng(0))
    np.testing.assert_allclose(found.values, without.values, atol=1e-12)
    np.testing.assert_allclose(found.tests()["p_max"], without.tests()["p_max"])
    drawn, of_fewer = (one.left_out[0].drawn["identity",] for one in (found, without))
    np.testing.assert_allclose(drawn, of_fewer, atol=1e-12)
    # Without the silent neuron, or with it: the same.
    left_out = found.left_out[0].values
    np.testing.assert_allclose(left_out[..., 3], left_out[..., -1], atol=1e-12)
    np.testing.assert_allclose(left_out[..., 4], without.left_out[0].values[..., 3], atol=1e-12)
    assert found.notes == ("AM: 1 neuron(s) never vary and do not count",)
    layer = feature_rdms({"late": responses[5].reshape(-1, N_NEURONS)}, labels_of(silent))
    fits = infer_fits_by_time(layer, silent, n_splits=0, **options, rng=np.random.default_rng(0))
    index = infer_index_by_time(silent, n_splits=4, rng=np.random.default_rng(0))
    assert len(compare_onsets({"code": found, "fit": fits, "index": index}))


def test_no_curves_cannot_be_compared():
    with pytest.raises(InputError, match="there are no onsets to compare"):
        compare_onsets({})


def test_read_outs_that_are_not_permuted_are_not_tested(switching):
    recording, responses = switching
    layer = feature_rdms({"late": responses[4].reshape(-1, N_NEURONS)}, labels_of(recording))
    settings = Encoding(across="view", n_folds=3)
    found = infer_encoding_by_time(layer, recording, settings, n_permutations=0, rng=np.random.default_rng(0))
    assert np.isfinite(found.onsets().loc[0, "onset_ms"])


def test_the_index_is_refused_where_halves_hold_one_neuron(mirrored):
    four = mirrored.isel(neuroid=slice(4))
    with pytest.raises(InputError, match=r"AM has 4 neurons, .* needs five neurons, or four that are not resampled"):
        infer_index_by_time(four, n_splits=6, rng=np.random.default_rng(9))
    found = infer_index_by_time(four, resample="identity", n_splits=6, rng=np.random.default_rng(9))
    five = infer_index_by_time(mirrored.isel(neuroid=slice(5)), n_splits=6, rng=np.random.default_rng(9))
    for one in (found, five):
        assert np.isfinite(one.result.se).all()


def test_read_outs_of_a_bin_are_those_of_the_bin_alone(switching):
    recording, responses = switching
    features = {"late": responses[4].reshape(-1, N_NEURONS), "early": responses[2].reshape(-1, N_NEURONS)}
    distances = feature_rdms(features, labels_of(recording))
    two = recording.isel(time_bin=[0, 5]).copy()
    two[:, 3, 0] = 1.0  # a neuron that is silent before the response
    settings = Encoding(across="view", n_folds=3)
    found = infer_encoding_by_time(distances, two, settings, n_permutations=30, rng=np.random.default_rng(0))
    alone = infer_encoding(
        distances, one_bin(two, 1), settings, n_draws=2, n_permutations=30, rng=np.random.default_rng(0)
    )
    np.testing.assert_allclose(found.values[:, 0, 1], alone.pooled.estimates[:, 0], atol=1e-12)
    np.testing.assert_allclose(found.result.se[:, 1], alone.pooled.se[:, 0], rtol=1e-9)
    assert found.values[0, 0, 1] > 0.8
    without = infer_encoding(
        distances,
        one_bin(two, 0).isel(neuroid=[k for k in range(N_NEURONS) if k != 3]),
        settings,
        n_draws=2,
        n_permutations=0,
        rng=np.random.default_rng(0),
    )
    np.testing.assert_allclose(found.values[:, 0, 0], without.pooled.estimates[:, 0], atol=1e-12)
    onset = (
        infer_encoding_by_time(distances, recording, settings, n_permutations=99, rng=np.random.default_rng(0))
        .onsets()
        .set_index("layer")
        .loc["late"]
    )
    assert onset["ci_low"] < onset["onset_ms"] < onset["ci_high"]
    assert 15 < onset["onset_ms"] < 35


def test_levels_of_whole_units_are_exchanged_together_though_pairs_are_within_something():
    across = np.repeat(np.arange(4), 3)
    levels = np.repeat([0, 0, 1, 1], 3)
    code = Code("w", "category", "identity", within="azimuth_deg")
    rows = _Labelled(code, levels, across, np.tile(np.arange(3), 4)).permuted(50, np.random.default_rng(0))
    assert all((row.reshape(4, 3) == row.reshape(4, 3)[:, :1]).all() for row in rows)
    assert len(np.unique(rows, axis=0)) == 6  # ways to give two of four identities the first category
    some = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 3])
    with pytest.raises(InputError, match="cannot be tested"):
        _Labelled(code, levels, across, some).permuted(1, np.random.default_rng(0))


def test_without_permutations_there_are_no_p_values_and_counts_below_nothing_are_refused(switching):
    recording = switching[0]
    rng = np.random.default_rng(0)
    found = infer_codes(recording, "view", n_permutations=0, n_draws=0, rng=rng)
    table = found.to_frame()
    assert table["p_max"].isna().all()
    assert table["value"].notna().any()
    for counts in ({"n_permutations": -1}, {"n_draws": -1}):
        with pytest.raises(InputError, match="must be a whole number of at least 0"):
            infer_codes(recording, "view", rng=rng, **counts)
    with pytest.raises(InputError, match="n_permutations must be a whole number of at least 1"):
        generalise_over_time(recording, "view", n_permutations=0, rng=rng)
