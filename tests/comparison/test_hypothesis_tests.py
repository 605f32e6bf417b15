"""Tests over units against SciPy and statsmodels, and their error rates on data of known truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from neurocompare.comparison.hypothesis_tests import (
    mean_outcome,
    ordering_outcome,
    peak_outcome,
    pearson_outcome,
    rank_sum_outcome,
    t_outcome,
    trend_outcome,
)


def test_the_mean_is_statsmodels_t_test_with_its_interval(rng):
    values = rng.normal(0.3, 1, 14)
    oracle = DescrStatsW(values)
    outcome = mean_outcome(values, null=0.1)
    assert (outcome.statistic, outcome.p, outcome.df) == pytest.approx(oracle.ttest_mean(0.1))
    assert (outcome.ci_low, outcome.ci_high) == pytest.approx(oracle.tconfint_mean())
    assert outcome.n == 14


def test_units_that_do_not_vary_give_no_p():
    outcome = mean_outcome(np.full(5, 0.2))
    assert outcome.estimate == pytest.approx(0.2)
    assert np.isnan([outcome.p, outcome.ci_low, outcome.statistic]).all()
    assert np.isnan(mean_outcome(np.array([1.0])).p)


def test_infinite_degrees_of_freedom_are_the_normal_distribution():
    outcome = t_outcome(0.5, 0.2, np.inf)
    assert outcome.p == pytest.approx(2 * stats.norm.sf(2.5))
    assert outcome.ci_high == pytest.approx(0.5 + 0.2 * stats.norm.ppf(0.975))


def test_rank_sum_is_scipys_and_its_interval_matches_a_published_one():
    # Hollander & Wolfe (1973), p. 69: permeability constants of the human chorioamnion. R's wilcox.test gives W = 35,
    # p = 0.2544 (two-sided) and the Hodges-Lehmann shift 0.305.
    first = np.array([0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46])
    second = np.array([1.15, 0.88, 0.90, 0.74, 1.21])
    outcome = rank_sum_outcome(first, second)
    assert outcome.statistic == 35
    assert outcome.p == pytest.approx(0.2544, abs=5e-5)
    assert outcome.estimate == pytest.approx(0.305)
    assert outcome.ci_low < 0 < outcome.ci_high


def test_rank_sum_interval_covers_the_shift(rng):
    hits = 0
    for _ in range(1000):
        outcome = rank_sum_outcome(rng.normal(0.7, 1, 12), rng.normal(0, 1, 10))
        hits += outcome.ci_low <= 0.7 <= outcome.ci_high
    assert 0.93 < hits / 1000 < 0.975


def test_rank_sum_of_three_and_three_has_no_95_percent_interval():
    outcome = rank_sum_outcome(np.array([4.0, 5.0, 6.0]), np.array([1.0, 2.0, 3.0]))
    assert outcome.p == pytest.approx(0.1)
    assert np.isnan(outcome.ci_low)


def test_pearson_is_scipys(rng):
    first = rng.normal(size=12)
    second = first + rng.normal(size=12)
    oracle = stats.pearsonr(first, second)
    outcome = pearson_outcome(first, second)
    assert (outcome.estimate, outcome.p) == pytest.approx((oracle.statistic, oracle.pvalue))
    assert (outcome.ci_low, outcome.ci_high) == pytest.approx(tuple(oracle.confidence_interval()))
    assert outcome.p == pytest.approx(2 * stats.t.sf(abs(outcome.statistic), outcome.df))


def test_pearson_of_a_constant_or_of_three_units_is_undefined():
    assert np.isnan(pearson_outcome(np.ones(6), np.arange(6.0)).estimate)
    assert np.isnan(pearson_outcome(np.arange(3.0), np.arange(3.0)).p)
    assert pearson_outcome(np.arange(6.0), np.arange(6.0)).p == 0


def test_an_ordering_rests_on_its_weakest_step(rng):
    values = np.array([3.0, 1.0, 0.5]) + rng.normal(0, 0.5, (10, 3))
    outcome = ordering_outcome(values)
    oracle = stats.ttest_rel(values[:, 1], values[:, 2])
    assert (outcome.statistic, outcome.p) == pytest.approx((oracle.statistic, oracle.pvalue))
    assert outcome.estimate == pytest.approx((values[:, 1] - values[:, 2]).mean())


def test_a_broken_step_counts_against_an_ordering_corrected_for_the_number_of_steps(rng):
    values = np.array([3.0, 1.0, 1.5]) + rng.normal(0, 0.5, (10, 3))
    outcome = ordering_outcome(values)
    oracle = stats.ttest_rel(values[:, 1], values[:, 2])
    interval = stats.ttest_rel(values[:, 1], values[:, 2]).confidence_interval(1 - 0.05 / 2)
    assert outcome.estimate < 0
    assert outcome.p == pytest.approx(min(1, 2 * oracle.pvalue))
    assert (outcome.ci_low, outcome.ci_high) == pytest.approx((interval.low, interval.high))


def test_a_peak_is_no_peak_where_one_other_is_higher(rng):
    others = np.array([0.2, 0.9, 0.1]) + rng.normal(0, 0.05, (8, 3))
    peak = 0.5 + rng.normal(0, 0.05, 8)
    assert peak_outcome(peak, others).estimate == pytest.approx((peak - others[:, 1]).mean())
    assert peak_outcome(peak, others[:, [0, 2]]).estimate > 0
    assert peak_outcome(peak, others[:, [0, 2]]).p < 0.001


def test_an_ordering_is_declared_no_more_often_than_alpha_where_two_conditions_are_equal(rng):
    data = np.array([1.0, 0.0, 0.0]) + rng.normal(0, 0.4, (1000, 8, 3))
    outcomes = [ordering_outcome(values) for values in data]
    declared = np.mean([outcome.estimate > 0 and outcome.p < 0.05 for outcome in outcomes])
    assert declared < 0.05


def test_the_trend_is_pages_test_in_the_stated_order():
    # Page (1963) as worked in SciPy's documentation: three conditions rated by ten people.
    table = np.array(
        [[3, 4, 3], [2, 2, 4], [3, 3, 5], [1, 3, 2], [2, 3, 2], [2, 4, 5], [1, 2, 4], [3, 4, 4], [2, 4, 5], [1, 3, 4]]
    )
    outcome = trend_outcome(table[:, ::-1].astype(float))
    oracle = stats.page_trend_test(table)
    assert outcome.statistic == pytest.approx(oracle.statistic)
    assert outcome.p == pytest.approx(2 * oracle.pvalue)
    correlations = [stats.spearmanr(row, [1, 2, 3]).statistic for row in table]
    assert outcome.estimate == pytest.approx(np.mean(correlations))
    assert trend_outcome(table.astype(float)).estimate == pytest.approx(-outcome.estimate)


@pytest.mark.parametrize(
    ("test", "shape"),
    [
        (mean_outcome, (1, 9)),
        (rank_sum_outcome, (2, 10)),
        (pearson_outcome, (2, 10)),
    ],
)
def test_without_an_effect_one_test_in_twenty_rejects_and_as_many_intervals_miss(test, shape):
    rng = np.random.default_rng(17)
    outcomes = [test(*samples) for samples in rng.standard_normal((1500, *shape))]
    assert np.mean([outcome.p < 0.05 for outcome in outcomes]) == pytest.approx(0.05, abs=0.015)
    assert np.mean([outcome.ci_low <= 0 <= outcome.ci_high for outcome in outcomes]) == pytest.approx(0.95, abs=0.015)


def test_a_trend_without_an_effect_is_seen_in_one_of_twenty(rng):
    outcomes = [trend_outcome(values) for values in rng.standard_normal((400, 10, 4))]
    assert np.mean([outcome.p < 0.05 for outcome in outcomes]) < 0.075
