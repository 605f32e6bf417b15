"""Mirror-symmetric and face-selective units that were built to be so."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from statsmodels.stats.proportion import proportion_confint
from torch import nn

from neural_data import InputError, StimulusSet
from neurocompare.models.registry import Network, Preprocessing, load_model
from neurocompare.representations.units import (
    UNIT_COLUMNS,
    count_mirror_symmetric_units,
    mirror_tuning_scores,
    selective_units,
    summarise_unit_shares,
    view_tuning,
)

VIEWS = np.array([-90.0, -45.0, 0.0, 45.0, 90.0])
CURVES = {
    "both profiles": [9, 2, 1, 2, 8],
    "both half-profiles": [3, 8, 1, 9, 2],
    "one profile": [9, 5, 3, 2, 1],
    "frontal": [1, 2, 9, 2, 1],
    "profile, and frontal second": [9, 2, 5, 2, 1],
    "profile and half-profile": [9, 2, 1, 5, 3],
    "both profiles, half-profiles lowest": [9, 1, 2, 1, 8],
    "three peaks, opposite not second": [9, 1, 5, 1, 3],
}


def responses_of(curves, n_identities=8, noise=0.3, seed=0):
    """Responses (n_identities, 5, n_units) scattered about tuning curves."""
    curves = np.array(list(curves), dtype=float).T
    return curves + np.random.default_rng(seed).normal(0, noise, (n_identities, *curves.shape))


def test_criteria_pick_the_curves_that_they_describe():
    tuning = view_tuning(responses_of(CURVES.values()))
    names = np.array(list(CURVES))
    assert names[tuning.revised].tolist() == ["both profiles", "both half-profiles"]
    assert names[tuning.baek2021].tolist() == [
        "both profiles",
        "both half-profiles",
        "profile, and frontal second",
        "profile and half-profile",
        "both profiles, half-profiles lowest",
        "three peaks, opposite not second",
    ]
    assert names[tuning.of_kind("revised", "full-profile")].tolist() == ["both profiles"]
    assert names[tuning.of_kind("revised", "half-profile")].tolist() == ["both half-profiles"]


def test_view_differences_are_scipys_analysis_of_variance(rng):
    responses = rng.normal(size=(6, 5, 4))
    oracle = [stats.f_oneway(*responses[:, :, unit].T).pvalue for unit in range(4)]
    np.testing.assert_allclose(view_tuning(responses).p_view, oracle)


def test_a_symmetric_curve_lost_in_noise_is_not_counted():
    tuning = view_tuning(responses_of([CURVES["both profiles"]], noise=50.0))
    assert tuning.p_view[0] > 0.05
    assert not tuning.baek2021[0]


def test_peaks_are_counted_as_on_paper():
    curves = [[0, 0, 0, 0, 0], [3, 1, 1, 1, 3], [1, 3, 3, 1, 2], [1, 2, 3, 4, 5], [5, 1, 5, 1, 5], [2, 2, 1, 2, 2]]
    assert view_tuning(responses_of(curves, noise=0.0)).n_peaks.tolist() == [0, 2, 2, 1, 3, 2]


def test_a_silent_unit_is_not_tuned_and_not_selective():
    assert not view_tuning(np.zeros((4, 5, 3))).baek2021.any()
    assert not selective_units(np.zeros((20, 3)), ["face"] * 10 + ["car"] * 10).any()


def test_at_chance_the_analysis_of_variance_lets_five_percent_pass(rng):
    tuning = view_tuning(rng.normal(size=(10, 5, 20_000)))
    assert np.mean(tuning.p_view < 0.05) == pytest.approx(0.05, abs=0.006)


def test_selective_units_answer_faces_more_than_every_other_category(rng):
    categories = np.repeat(["face", "car", "chair"], 20)
    means = {"face": [3, 3, 0, 0], "car": [0, 3, 3, 0], "chair": [0, 0, 0, 0]}
    responses = np.array([means[category] for category in categories]) + rng.normal(0, 0.5, (60, 4))
    assert selective_units(responses, categories).tolist() == [True, False, False, False]
    assert selective_units(responses, categories, preferred="car").tolist() == [False, False, True, False]
    with pytest.raises(InputError, match="did you mean 'face'"):
        selective_units(responses, categories, preferred="fac")
    with pytest.raises(InputError, match="there is no other"):
        selective_units(responses[:20], categories[:20])


def test_scores_are_the_smaller_of_two_correlations_by_hand():
    curves = np.array([[90, 45, 0, 45, 90], [90, 45, 0, 0, 0], [0, 45, 90, 45, 0], [1, 1, 1, 1, 1]], dtype=float).T
    scores = mirror_tuning_scores(curves, VIEWS)
    with_profile = stats.pearsonr(curves[:, 1], np.abs(VIEWS)).statistic
    mirrored = stats.pearsonr([90, 45, 0, 0], [0, 0, 45, 90]).statistic
    assert scores[0] == pytest.approx(1)
    assert scores[1] == pytest.approx(min(with_profile, mirrored))
    assert scores[2] == pytest.approx(-1)
    assert np.isnan(scores[3])
    with pytest.raises(InputError, match="symmetric about 0"):
        mirror_tuning_scores(curves[:4], VIEWS[:4])


def gray_levels(levels: dict[str, list[float]], n_identities: int = 6) -> StimulusSet:
    """Uniform gray images whose level stands for what a unit sees: one level a view and category, jittered a little."""
    rng = np.random.default_rng(2)
    rows, pixels = [], []
    for category, by_view in levels.items():
        for identity in range(n_identities):
            for azimuth, level in zip(VIEWS, by_view, strict=True):
                rows.append((f"{category}{identity}_{azimuth:g}", "none", category, f"{category}{identity}", azimuth))
                pixels.append(np.full((8, 8), level + rng.integers(0, 5)))
    table = pd.DataFrame(rows, columns=["stimulus_id", "filename", "category", "identity", "azimuth_deg"])
    return StimulusSet(table.set_index("stimulus_id"), pixels=np.array(pixels, dtype=np.uint8), name="levels")


@pytest.fixture
def brightness() -> Network:
    """Two units: the brightness of the image, and its negative."""
    layer = nn.Linear(3 * 64, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0], [-1.0]]).expand(2, 192))
        layer.bias.zero_()
    return Network("brightness", nn.Sequential(nn.Flatten(), layer).eval(), Preprocessing(size=8))


def test_units_of_a_network_are_counted_in_both_populations(brightness):
    faces, cars = [220, 180, 150, 180, 210], [60, 70, 80, 70, 60]
    table = count_mirror_symmetric_units(brightness, gray_levels({"face": faces, "car": cars}))
    assert table.columns.tolist() == list(UNIT_COLUMNS)
    rows = table.set_index(["criterion", "kind", "population"])
    # Bright faces with the brightest profiles: unit 0 is mirror symmetric and face-selective, unit 1 neither.
    assert rows.loc[("revised", "full-profile", "all"), ["n_found", "n_units"]].tolist() == [1, 2]
    assert rows.loc[("revised", "any", "face-selective"), ["n_found", "n_units"]].tolist() == [1, 1]
    assert rows.loc[("revised", "half-profile", "all"), "n_found"] == 0
    interval = rows.loc[("revised", "any", "all"), ["ci_low", "ci_high"]].tolist()
    assert interval == pytest.approx(proportion_confint(1, 2, method="beta"))


def test_an_empty_population_has_no_share(brightness):
    table = count_mirror_symmetric_units(brightness, gray_levels({"face": [100] * 5, "car": [100] * 5}))
    empty = table[table["population"] == "face-selective"]
    assert (empty["n_units"] == 0).all()
    assert empty[["share", "ci_low", "ci_high"]].isna().all(axis=None)


def test_stimuli_of_one_category_have_no_selectivity(brightness):
    table = count_mirror_symmetric_units(brightness, gray_levels({"face": [220, 180, 150, 180, 210]}))
    assert set(table["population"]) == {"all"}


def test_blocks_change_no_count():
    stimuli = gray_levels({"face": [220, 180, 150, 180, 210], "car": [60, 70, 80, 70, 60]})
    network = load_model("cnn-small", seed=3)
    whole = count_mirror_symmetric_units(network, stimuli, ["conv1", "fc2"])
    pieces = count_mirror_symmetric_units(network, stimuli, ["conv1", "fc2"], memory_mb=1.0)
    pd.testing.assert_frame_equal(whole, pieces)
    assert whole.groupby("layer")["n_units"].max().to_dict() == {"conv1": 32768, "fc2": 256}


@pytest.mark.parametrize("azimuths", [[-90, 0, 90], [-90, -45, 0, 45, 80]])
def test_views_must_be_five_and_symmetric(brightness, azimuths):
    with pytest.raises(InputError, match="five azimuths symmetric about 0"):
        count_mirror_symmetric_units(brightness, gray_levels({"face": [1] * 5}), azimuths_deg=azimuths)


def test_an_identity_without_its_mirror_view_is_refused(brightness):
    stimuli = gray_levels({"face": [220, 180, 150, 180, 210]})
    with pytest.raises(InputError, match="'face0' must have one view at each of"):
        count_mirror_symmetric_units(brightness, stimuli.take(range(1, len(stimuli))))


def test_shares_of_several_starts_have_a_t_interval_and_one_start_its_binomial_one(brightness):
    stimuli = gray_levels({"face": [220, 180, 150, 180, 210]})
    one = count_mirror_symmetric_units(brightness, stimuli)
    several = pd.concat(
        [count_mirror_symmetric_units(dataclasses.replace(brightness, seed=s), stimuli) for s in range(3)]
    )
    several["share"] += several["seed"] * 0.1
    summary = summarise_unit_shares(several).query("criterion == 'revised' and kind == 'any'").iloc[0]
    shares = np.array([0.5, 0.6, 0.7])
    oracle = stats.t.interval(0.95, 2, loc=shares.mean(), scale=stats.sem(shares))
    assert (summary["ci_low"], summary["ci_high"]) == pytest.approx(oracle)
    assert summary["n_seeds"] == 3
    apart = pd.concat([one.assign(seed=0, share=0.0), one.assign(seed=1, share=1.0)])
    assert (summarise_unit_shares(apart)[["ci_low", "ci_high"]] == [0, 1]).all(axis=None)
    alone = summarise_unit_shares(one).query("criterion == 'revised' and kind == 'any'").iloc[0]
    assert (alone["ci_low"], alone["ci_high"]) == pytest.approx(proportion_confint(1, 2, method="beta"))


def test_peaks_and_preferred_views_do_not_hang_on_rounding():
    """A unit that answers alike to mirrored views: its peaks, and the side it prefers, are those of the exact curve."""
    curves = [[2, 1, 0, 1, 2], [1, 2, 0, 2, 1], [1, 1, 0, 1, 1], [0, 2, 2, 2, 0]]
    responses = responses_of(curves, noise=0.0) + np.random.default_rng(0).normal(size=(8, 1, 4))
    exact = view_tuning(responses)
    for seed in range(10):
        noise = 1e-8 * np.random.default_rng(seed).uniform(-1, 1, responses.shape)
        found = view_tuning(responses + noise)
        assert found.n_peaks.tolist() == exact.n_peaks.tolist() == [2, 2, 2, 1]
        assert found.preferred.tolist() == exact.preferred.tolist() == [0, 1, 0, 1]


def test_a_unit_that_varies_by_rounding_alone_is_not_tuned():
    responses = 0.3 + 1e-9 * np.random.default_rng(0).uniform(-1, 1, (10, 5, 20))
    assert np.isnan(view_tuning(responses).p_view).all()
    assert np.isnan(mirror_tuning_scores(responses[0], [-90, -45, 0, 45, 90])).all()
