"""Equality within a margin: the tests of statsmodels, conclusions, and layers beside another animal."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW, ttost_ind, ttost_paired

from neural_data.errors import InputError
from neural_data.recordings import make_recording
from neurocompare.comparison.equivalence import (
    ANIMAL_COLUMNS,
    CEILING_EQUALITY_COLUMNS,
    compare_with_animals,
    compare_with_ceilings,
)
from neurocompare.comparison.equivalence_tests import check_margin, conclusions, p_equal, with_equality
from neurocompare.comparison.inference import infer_fits
from neurocompare.comparison.layer_tests import compare_layer_profiles
from neurocompare.comparison.onsets import OnsetPair
from neurocompare.comparison.regime_contrasts import ContrastPlan, contrast_regimes
from neurocompare.comparison.time_codes import Code, infer_codes
from neurocompare.representations.dissimilarities import correlation_dissimilarity
from tests.comparison import test_time
from tests.comparison.test_layer_tests import network, recorded, views_of
from tests.comparison.test_time import straight

switching = test_time.switching


def test_p_of_equality_is_that_of_two_one_sided_tests(rng):
    values = rng.normal(0.02, 0.1, 30)
    expected = DescrStatsW(values).ttost_mean(-0.05, 0.05)[0]
    found = p_equal(values.mean(), values.std(ddof=1) / np.sqrt(30), 29, 0.05)
    assert found == pytest.approx(expected)


def test_conclusions_name_the_margin():
    p, within = np.array([0.01, 0.01, 0.5, 0.5, np.nan]), np.array([0.5, 0.01, 0.01, 0.5, np.nan])
    assert conclusions(p, within, 0.05).tolist() == [
        "different",
        "different by less than 0.05",
        "equal within 0.05",
        "undecided",
        "undecided",
    ]
    with pytest.raises(InputError, match="above 0"):
        p_equal(np.zeros(2), np.ones(2), 5, 0.0)


@pytest.mark.parametrize("margin", [0.1, 10.0])
def test_what_is_equal_in_every_part_is_equal_and_what_has_no_error_is_not_tested(margin):
    rounding = margin * 1e-8
    difference = np.array([0.0, rounding, -rounding, 0.0, margin / 2, 2 * margin, 0.0, np.nan])
    se = np.array([0.0, 0.0, rounding, rounding, 0.0, 0.0, np.nan, 0.0])
    np.testing.assert_array_equal(p_equal(difference, se, 5, margin), [0.0] * 4 + [np.nan] * 4)
    # As the standard error vanishes, t does not jump.
    assert p_equal(np.array(0.0), np.array(margin * 1e-5), 5, margin) < 1e-20
    np.testing.assert_array_equal(p_equal(np.zeros(2), np.zeros(2), np.array([np.nan, 5]), margin), [0.0, 0.0])


def test_two_identical_layers_are_equal(rng):
    patterns = views_of(10)
    base = rng.standard_normal((30, 60))
    # The scale of a layer changes the rounding of its RDM, and nothing else.
    layers = [base, base, base * np.pi, rng.standard_normal((30, 60))]
    responses, neural = recorded(layers, patterns, {"AL": 0}, rng)
    result = infer_fits(network(layers, patterns), neural, recording=responses, ceilings=None, n_draws=50, rng=rng)
    table = result.pairwise("holm", margin=0.05).set_index(["layer_1", "layer_2"])
    for pair in (("layer0", "layer1"), ("layer0", "layer2")):
        assert table.loc[pair, ["p_equal", "p_equal_adjusted", "conclusion"]].tolist() == [0, 0, "equal within 0.05"]


@pytest.mark.parametrize("margin", ["0.05", None, True, np.True_, [0.05], np.nan, np.inf, -1, 0])
def test_a_margin_that_is_no_number_above_0_is_refused(margin):
    with pytest.raises(InputError, match=f"must be a number above 0; got {re.escape(repr(margin))}"):
        check_margin(margin)


def test_margins_are_whole_numbers_or_fractions_of_any_precision():
    assert [check_margin(margin) for margin in (2, 0.5, np.float32(0.5), np.int64(2))] == [2, 0.5, 0.5, 2]


def differences(**changed):
    return pd.DataFrame({"difference": [0.01, 0.2, 0.0], "se": 0.01, "df": 30, "p": [0.3, 1e-9, 0.99]} | changed)


def test_a_table_says_what_is_equal_and_without_a_margin_nothing():
    table = with_equality(differences(), 0.05, correction="holm")
    assert table["conclusion"].tolist() == ["equal within 0.05", "different", "equal within 0.05"]
    # Holm by hand: the smallest of three p times 3, the next times 2.
    p = table["p_equal"].to_numpy()
    assert table["p_equal_adjusted"].tolist() == pytest.approx([2 * p[0], p[1], 3 * p[2]])
    np.testing.assert_array_equal(
        with_equality(differences(), 0.05, correction="max")["p_equal_adjusted"], table["p_equal_adjusted"]
    )
    empty = with_equality(differences(), None)
    assert empty[["margin", "p_equal", "p_equal_adjusted"]].isna().all(axis=None)
    assert (empty["conclusion"] == "").all()


def test_equality_at_the_margin_is_found_in_five_percent(rng):
    """A difference that is exactly the margin is the null of the test: p is uniform there."""
    values = rng.normal(0.5, 1.0, (20_000, 25))
    p = p_equal(values.mean(axis=1), values.std(axis=1, ddof=1) / 5, 24, 0.5)
    # Three standard errors of a share of 5 % of 20,000 are 0.5 %.
    assert abs((p < 0.05).mean() - 0.05) < 0.005
    beyond = p_equal(values.mean(axis=1) + 0.5, values.std(axis=1, ddof=1) / 5, 24, 0.5)
    assert (beyond < 0.05).mean() < 0.001


def test_half_a_p_at_the_margin_and_none_far_inside():
    assert p_equal(np.array(0.05), np.array(0.01), 10, 0.05) == pytest.approx(0.5)
    assert p_equal(np.array(0.0), np.array(1e-6), 10, 0.05) < 1e-12


def test_pairs_of_layers_can_be_equal(rng):
    patterns = views_of(10)
    base = rng.standard_normal((30, 60)) + 2 * np.repeat(rng.standard_normal((10, 60)), 3, axis=0)
    layers = [base, base + 0.05 * rng.standard_normal((30, 60)), rng.standard_normal((30, 60))]
    responses, neural = recorded(layers, patterns, {"AL": 0}, rng)
    result = infer_fits(network(layers, patterns), neural, recording=responses, ceilings=None, n_draws=50, rng=rng)
    assert "conclusion" not in result.pairwise()
    table = result.pairwise("holm", margin=0.05).set_index(["layer_1", "layer_2"])
    assert table.loc[("layer0", "layer1"), "conclusion"].endswith("0.05")
    assert table.loc[("layer0", "layer2"), "conclusion"] == "different"
    np.testing.assert_allclose(table["p_equal"], p_equal(table["difference"], table["se"], result.df[0], 0.05))


@pytest.mark.parametrize("paired", [True, False])
def test_regimes_that_are_equal_within_a_margin_are_those_of_statsmodels(rng, paired):
    natural, mirrored = rng.normal(0.30, 0.01, 6), rng.normal(0.30, 0.02, 6)
    rows = [
        {"regime": regime, "seed": seed, "layer": "fc1", "index": value}
        for regime, values in (("natural", natural), ("mirror-same", mirrored))
        for seed, value in enumerate(values)
    ]
    plan = ContrastPlan(paired=paired, correction="none", margin=0.05)
    row = contrast_regimes(pd.DataFrame(rows), value="index", plan=plan, rng=rng).contrasts.iloc[0]
    if paired:
        expected = ttost_paired(natural, mirrored, -0.05, 0.05)[0]
    else:
        expected = ttost_ind(natural, mirrored, -0.05, 0.05, usevar="unequal")[0]
    assert row["p_equal"] == pytest.approx(expected)
    assert row["margin"] == 0.05
    half = stats.t.ppf(0.975, row["df"]) * row["se"]
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((row["estimate"] - half, row["estimate"] + half))
    assert row["conclusion"].endswith("0.05")
    with pytest.raises(InputError, match="above 0"):
        ContrastPlan(margin=0.0)


def test_slopes_parts_and_ceilings_have_the_same_tests(rng):
    patterns = views_of(10)
    base = [np.repeat(rng.standard_normal((10, 60)), 3, axis=0) + rng.standard_normal((30, 60)) for _ in range(3)]
    responses, neural = recorded(base, patterns, {"AL": 0, "AM": 2}, rng)
    result = infer_fits(network(base, patterns), neural, recording=responses, n_draws=50, rng=rng)
    slopes = compare_layer_profiles(result, margin=0.3).iloc[0]
    expected = p_equal(slopes["slope_difference"], slopes["se"], slopes["df"], 0.3)
    assert slopes["p_equal"] == pytest.approx(expected)
    assert slopes["ci_high"] - slopes["slope_difference"] == pytest.approx(
        stats.t.ppf(0.975, slopes["df"]) * slopes["se"]
    )
    ceilings = compare_with_ceilings(result, 0.2)
    assert tuple(ceilings.columns) == CEILING_EQUALITY_COLUMNS
    frame = result.to_frame()
    below = frame["fit"] - frame["ceiling_upper"]
    order = np.tile(result.df, 3)
    expected = p_equal(below.to_numpy(), result.below_ceiling.se.ravel(), order, 0.2)
    np.testing.assert_allclose(ceilings["p_equal_ceiling"], expected)
    # The layer that each patch reads reaches its ceiling; a layer of other units does not.
    said = frame.assign(said=ceilings["ceiling_conclusion"]).set_index(["layer", "region"])["said"]
    assert said["layer2", "AL"] == "different"
    assert said["layer0", "AL"] != "different"
    bare = infer_fits(network(base, patterns), neural, ceilings=None, n_draws=50, n_permutations=10, rng=rng)
    assert (compare_with_ceilings(bare, 0.2)["ceiling_conclusion"] == "undecided").all()
    assert (compare_with_ceilings(bare, None)["ceiling_conclusion"] == "").all()


@pytest.mark.parametrize("correlation", [0.0, 0.6])
@pytest.mark.parametrize("margin", [4.0, 9.0, 16.0, 20.0])
def test_onsets_of_straight_rises_are_equal_as_means_are(correlation, margin):
    errors = np.array([1.0 / 0.5, 6.0 / 2.0])
    se = np.sqrt((errors**2).sum() - 2 * correlation * errors.prod())
    for order in ((0, 1), (1, 0)):
        first, second = ((row, 0) for row in order)
        pair = OnsetPair(straight([52.0, 43.0], [0.5, 2.0], [1.0, 6.0]), first, second, correlation)
        assert pair.p_within(margin) == pytest.approx(stats.t.sf((margin - 9) / se, 12), abs=1e-9)
    with pytest.raises(InputError, match="above 0"):
        pair.p_within(0.0)


def test_onsets_without_limits_are_not_equal_and_equal_ones_are():
    unlimited = OnsetPair(straight([70.0, 40.0], [1.0, 1.0], [1.0, 40.0]), (0, 0), (1, 0), 0.0)
    assert unlimited.p_within(50.0) > 0.25
    same = OnsetPair(straight([50.0, 50.0 + 1e-13], [1.0, 1.0], [0.1, 0.1]), (0, 0), (1, 0), 1.0)
    assert same.p_within(1.0) < 1e-9


def test_differences_of_onsets_name_the_margin_in_ms(switching):
    codes = infer_codes(
        switching[0],
        ["identity", Code("again", "identity", "view")],
        n_draws=20,
        n_permutations=99,
        rng=np.random.default_rng(1),
    )
    row = codes.onset_differences(margin_ms=10).iloc[0]
    assert row[["difference_ms", "margin_ms"]].tolist() == pytest.approx([0, 10], abs=1e-6)
    assert row["conclusion"] == "equal within 10 ms"
    without = codes.onset_differences().iloc[0]
    assert without["conclusion"] == ""
    assert np.isnan(without["p_equal"])
    with pytest.raises(InputError, match="above 0"):
        codes.onset_differences(margin_ms=-1)


@pytest.fixture(scope="module")
def animals():
    """Two animals whose neurons read one layer, and layers of which one is that one, one is unrelated."""
    rng = np.random.default_rng(2)
    patterns = views_of(12)
    tuned = rng.standard_normal((36, 60)) + 2 * np.repeat(rng.standard_normal((12, 60)), 3, axis=0)
    layers = [tuned, rng.standard_normal((36, 60))]
    weights = rng.standard_normal((60, 80))
    responses = layers[0] @ weights / 8 + rng.standard_normal((36, 80))
    neuroids = pd.DataFrame(
        {"neuroid_id": [f"n{k}" for k in range(80)], "region": "AL", "subject": ["m1"] * 40 + ["m2"] * 40}
    )
    recording = make_recording(
        responses,
        presentations=pd.DataFrame({"stimulus_id": patterns["stimulus_id"]}),
        neuroids=neuroids,
        units="normalized",
    )
    return network(layers, patterns), recording


def test_a_true_layer_is_no_further_than_another_animal_and_an_unrelated_one_is(animals):
    models, recording = animals
    table = compare_with_animals(models, recording, margin=0.05, rng=np.random.default_rng(1))
    assert tuple(table.columns) == ANIMAL_COLUMNS
    assert table["subject"].tolist() == ["m1", "m1", "m2", "m2"]
    assert table["other_subjects"].tolist() == ["m2", "m2", "m1", "m1"]
    own, unrelated = table[table["layer"] == "layer0"], table[table["layer"] == "layer1"]
    assert (own["conclusion"] == "no further than another animal (within 0.05)").all()
    assert (unrelated["conclusion"] == "further than another animal").all()
    # Fits are symmetric: with two animals, each is as far from the other.
    assert table["fit_of_animals"].nunique() == 1 or np.ptp(table["fit_of_animals"]) < 1e-9
    np.testing.assert_allclose(table["difference"], table["fit"] - table["fit_of_animals"])


def test_the_neurons_of_both_animals_add_their_errors(animals):
    models, recording = animals
    few = recording.isel(neuroid=[*range(15), *range(40, 52)])
    table = compare_with_animals(models, few, margin=0.05, resample="neuron", rng=np.random.default_rng(1))
    first, second = few.values[:, :15], few.values[:, 15:]

    def fit(left, right):
        return np.corrcoef(left, right)[0, 1]

    def rdm(responses):
        return correlation_dissimilarity(responses)[np.triu_indices(36, 1)]

    layer = models.dissimilarities[0]
    own = [
        fit(layer, rdm(np.delete(first, k, axis=1))) - fit(rdm(second), rdm(np.delete(first, k, axis=1)))
        for k in range(15)
    ]
    others = [fit(rdm(np.delete(second, k, axis=1)), rdm(first)) for k in range(12)]
    variance = 14 * np.var(own) + 11 * np.var(others)
    assert table["se"][0] == pytest.approx(np.sqrt(variance))


def test_one_animal_has_no_other(animals):
    models, recording = animals
    with pytest.raises(InputError, match="at least two subjects"):
        compare_with_animals(models, recording.isel(neuroid=slice(0, 40)), margin=0.05, rng=np.random.default_rng(1))


def test_layers_and_animals_are_compared_by_one_dissimilarity(animals):
    models, recording = animals
    with pytest.raises(InputError, match="give dissimilarity='correlation'"):
        compare_with_animals(models, recording, margin=0.05, dissimilarity="euclidean", rng=np.random.default_rng(1))
    with pytest.raises(InputError, match="normalize must be one of"):
        compare_with_animals(models, recording, margin=0.05, normalize="z", rng=np.random.default_rng(1))


@pytest.mark.parametrize("rounding", [0.0, 3e-17, 2e-12])
def test_a_standard_error_of_rounding_is_none(rounding):
    """A difference that is the same in every part has no test, and none at all is equal, on every processor."""
    p = p_equal(np.array([0.02, rounding, 0.02]), np.array([rounding, rounding, 0.01]), 20.0, 0.05)
    assert np.isnan(p[0])
    assert p[1] == 0
    assert p[2] == pytest.approx(stats.t.sf(3.0, 20))
