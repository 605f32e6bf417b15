"""Tests over seeds against SciPy, statsmodels, and answers counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.stats.anova import AnovaRM

from neurocompare.comparison.crossed_anova import crossed_outcome
from neurocompare.comparison.hypothesis_tests import mean_outcome
from neurocompare.comparison.seed_tests import (
    hedges_g,
    largest_p,
    permutation_p,
    permutations_of,
    profile_outcome,
    welch_outcome,
)


def test_welch_equals_scipy(rng):
    first, second = rng.standard_normal(5) + 1, 3 * rng.standard_normal(7)
    found, expected = welch_outcome(first, second), stats.ttest_ind(first, second, equal_var=False)
    assert (found.statistic, found.df, found.p) == pytest.approx((expected.statistic, expected.df, expected.pvalue))
    interval = expected.confidence_interval(0.95)
    assert (found.ci_low, found.ci_high) == pytest.approx((interval.low, interval.high))


def test_welch_of_one_network_or_of_equal_ones_is_an_estimate_alone():
    for first, second in (([1.0], [2.0, 4.0]), ([0.1, 0.1], [0.3, 0.3])):
        found = welch_outcome(np.array(first), np.array(second))
        assert found.estimate == pytest.approx(np.mean(first) - np.mean(second))
        assert np.isnan([found.ci_low, found.ci_high, found.p, found.statistic]).all()


def test_hedges_g_by_hand():
    # Differences 1, 2, 3: mean 2, sd 1, two degrees of freedom: J = Gamma(1) / (sqrt(1) Gamma(1/2)) = 1 / sqrt(pi).
    assert hedges_g(np.array([1.0, 2.0, 3.0])) == pytest.approx(2 / np.sqrt(np.pi))
    # Two against two: pooled variance 0.5, difference 2, the same two degrees of freedom.
    assert hedges_g(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == pytest.approx(2 / np.sqrt(0.5) / np.sqrt(np.pi))
    assert np.isnan(hedges_g(np.array([1.0, 2.0])))


def test_hedges_g_is_unbiased(rng):
    found = [hedges_g(rng.standard_normal(5) + 1, rng.standard_normal(5)) for _ in range(4000)]
    assert np.mean(found) == pytest.approx(1, abs=3 * np.std(found) / np.sqrt(len(found)))


@pytest.mark.parametrize(("n_first", "n_second", "paired"), [(5, 5, True), (7, 7, True), (5, 5, False), (3, 6, False)])
def test_exact_permutations_equal_scipy(n_first, n_second, paired, rng):
    first, second = rng.standard_normal(n_first) + 0.8, rng.standard_normal(n_second)
    permutations = permutations_of(n_first, n_second, paired=paired, rng=rng)
    values = first - second if paired else np.concatenate([first, second])
    found = permutation_p(values[:, None], permutations)[0]
    expected = stats.permutation_test(
        (first, second),
        lambda a, b, axis: np.abs(a.mean(axis=axis) - b.mean(axis=axis)),
        permutation_type="samples" if paired else "independent",
        n_resamples=np.inf,
        alternative="greater",
        vectorized=True,
    )
    assert found == pytest.approx(expected.pvalue)
    assert permutations.exhaustive


def test_five_pairs_cannot_give_less_than_a_sixteenth(rng):
    permutations = permutations_of(5, 5, paired=True, rng=rng)
    assert len(permutations.weights) == 32
    assert permutations.smallest_p == 1 / 16
    assert permutation_p(np.arange(1.0, 6)[:, None], permutations)[0] == 1 / 16


@pytest.mark.parametrize(("sizes", "smallest"), [((5, 5), 2 / 252), ((3, 6), 1 / 84), ((1, 1), 1.0)])
def test_smallest_p_of_relabelled_networks(sizes, smallest, rng):
    permutations = permutations_of(*sizes, paired=False, rng=rng)
    assert permutations.smallest_p == pytest.approx(smallest)
    separated = np.concatenate([np.arange(sizes[0]) + 100, np.arange(sizes[1])]).astype(float)
    assert permutation_p(separated[:, None], permutations)[0] == pytest.approx(smallest)


@pytest.mark.parametrize("paired", [True, False])
def test_drawn_permutations_come_near_all_of_them(paired, rng):
    values = rng.standard_normal((12, 1)) + 0.4
    sizes = (12, 12) if paired else (6, 6)
    every = permutations_of(*sizes, paired=paired, rng=rng)
    drawn = permutations_of(*sizes, paired=paired, most=800, rng=rng)
    assert not drawn.exhaustive
    assert len(drawn.weights) == 800
    assert drawn.weights[0] == pytest.approx(every.weights[0])
    p = permutation_p(values, every)[0]
    assert permutation_p(values, drawn)[0] == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 800))
    assert drawn.smallest_p == 1 / 800


def test_equal_networks_are_told_apart_by_nothing(rng):
    permutations = permutations_of(5, 5, paired=True, rng=rng)
    assert permutation_p(np.zeros((5, 1)), permutations)[0] == 1
    assert np.isnan(largest_p(np.zeros((5, 2)), permutations)).all()


@pytest.mark.parametrize("paired", [True, False])
def test_the_largest_statistic_of_every_permutation_by_brute_force(paired, rng):
    values = rng.standard_normal((6, 4)) * [1, 5, 0.1, 2] + [1, 0, 0.05, 0]
    permutations = permutations_of(*((6, 6) if paired else (3, 3)), paired=paired, rng=rng)

    def scores(weights):
        if paired:
            return np.abs(stats.ttest_1samp(np.sign(weights)[:, None] * values, 0).statistic)
        return np.abs(stats.ttest_ind(values[weights > 0], values[weights < 0]).statistic)

    every = np.array([scores(weights) for weights in permutations.weights])
    expected = (every.max(axis=1)[:, None] >= every[0] * (1 - 1e-9)).mean(axis=0)
    assert largest_p(values, permutations) == pytest.approx(expected)
    assert (largest_p(values, permutations) >= permutation_p(values, permutations)).all()


def test_interaction_within_seeds_equals_the_analysis_of_variance(rng):
    values = rng.standard_normal((2, 6, 4)) + rng.standard_normal((6, 1))
    values[0] += [0, 0.3, 0.6, 2]
    found = profile_outcome(values[0] - values[1], 6, permutations_of(6, 6, paired=True, rng=rng))
    rows = [(r, s, k, values[r, s, k]) for r, s, k in np.ndindex(values.shape)]
    table = pd.DataFrame(rows, columns=["regime", "seed", "layer", "value"])
    expected = AnovaRM(table, "value", "seed", within=["regime", "layer"]).fit().anova_table.loc["regime:layer"]
    assert found.statistic == pytest.approx(expected["F Value"])
    assert (found.df, found.df_error) == (expected["Num DF"], expected["Den DF"])


def test_interaction_between_networks_equals_sums_of_squares(rng):
    first, second = rng.standard_normal((4, 3)) + np.arange(3), rng.standard_normal((5, 3))
    values = np.concatenate([first, second])
    found = profile_outcome(values, 4, permutations_of(4, 5, paired=False, rng=rng))
    # Least squares with and without the interaction; networks keep their own level.
    network, layer = np.indices(values.shape).reshape(2, -1)
    regime = (network < 4).astype(float)
    additive = np.column_stack([np.eye(9)[network], np.eye(3)[layer][:, 1:]])
    full = np.column_stack([additive, np.eye(3)[layer][:, 1:] * regime[:, None]])
    rest = [np.linalg.lstsq(design, values.ravel(), rcond=None)[1].item() for design in (additive, full)]
    df_error = 27 - full.shape[1]
    assert (found.df, found.df_error) == (2, df_error)
    assert found.statistic == pytest.approx(((rest[0] - rest[1]) / 2) / (rest[1] / df_error))


def test_epsilon_is_one_for_two_layers_and_small_for_one_noisy_layer(rng):
    permutations = permutations_of(8, 8, paired=True, rng=rng)
    two = profile_outcome(rng.standard_normal((8, 2)), 8, permutations)
    assert two.epsilon == pytest.approx(1)
    # With two layers, F is the square of t on the difference between them.
    values = rng.standard_normal((8, 2))
    found = profile_outcome(values, 8, permutations)
    expected = mean_outcome(values[:, 0] - values[:, 1])
    assert (found.statistic, found.p) == pytest.approx((expected.statistic**2, expected.p))
    loud = profile_outcome(rng.standard_normal((8, 5)) * [1e-3, 1e-3, 1e-3, 1e-3, 1], 8, permutations)
    assert loud.epsilon == pytest.approx(1 / 4, abs=1e-3)


def test_an_effect_alike_at_all_layers_is_no_interaction(rng):
    values = rng.standard_normal((8, 5))
    permutations = permutations_of(8, 8, paired=True, rng=rng)
    lifted = profile_outcome(values + 50, 8, permutations)
    plain = profile_outcome(values, 8, permutations)
    assert (lifted.statistic, lifted.p_permutation) == pytest.approx((plain.statistic, plain.p_permutation))
    steep = profile_outcome(values + 50 * np.arange(5), 8, permutations)
    assert steep.p_permutation == permutations.smallest_p


def test_the_random_intercept_model_is_the_paired_t_test_where_it_has_one_value_a_network():
    first = np.array([0.30, 0.52, 0.41, 0.70, 0.16])
    second = np.array([0.11, 0.40, 0.15, 0.52, 0.06])
    values, regime = np.concatenate([first, second]), np.repeat([1.0, 0.0], 5)
    fit = MixedLM(values, np.column_stack([regime, np.ones(10)]), groups=np.tile(np.arange(5), 2)).fit(reml=True)
    plain = mean_outcome(first - second)
    assert (fit.fe_params[0], fit.bse_fe[0]) == pytest.approx((plain.estimate, plain.se), rel=1e-3)
    assert crossed_outcome(first[:, None], second[:, None], paired=True)[1] == "one value a network"
