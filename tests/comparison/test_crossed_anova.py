"""Crossed analysis of variance: by hand, against a mixed model's estimates, and where components vanish."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

from neurocompare.comparison.crossed_anova import crossed_outcome
from neurocompare.comparison.hypothesis_tests import mean_outcome


def crossed(n_seeds, n_exemplars, rng, seeds=1.0, exemplars=1.0):
    """Effects of seeds, of exemplars and of both."""
    a, b = seeds * rng.standard_normal((n_seeds, 1)), exemplars * rng.standard_normal((1, n_exemplars))
    return a + b + rng.standard_normal((n_seeds, n_exemplars))


def squares(table):
    n, m = table.shape
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    return m * table.mean(axis=1).var(ddof=1), n * table.mean(axis=0).var(ddof=1), (rest**2).sum() / ((n - 1) * (m - 1))


def test_paired_by_hand_and_as_a_mixed_model_has_it(rng):
    first, second = crossed(6, 9, rng, 3, 3) + 1, crossed(6, 9, rng, 3, 3)
    found, problem = crossed_outcome(first, second, paired=True)
    of_seed, of_exemplar, rest = squares(first - second)
    mean_square = of_seed + of_exemplar - rest
    assert problem == ""
    assert found.se == pytest.approx(np.sqrt(mean_square / 54))
    assert found.df == pytest.approx(mean_square**2 / (of_seed**2 / 5 + of_exemplar**2 / 8 + rest**2 / 40))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(found.estimate) / found.se, found.df))
    seed, exemplar = np.indices((6, 9)).reshape(2, -1)
    parts = VCSpec(
        ["seed", "exemplar"],
        [[[str(level) for level in range(6)]], [[str(level) for level in range(9)]]],
        [[np.eye(6)[seed]], [np.eye(9)[exemplar]]],
    )
    model = MixedLM((first - second).ravel(), np.ones((54, 1)), groups=np.zeros(54), exog_vc=parts).fit(reml=True)
    assert (found.estimate, found.se) == pytest.approx((model.fe_params[0], model.bse_fe[0]), rel=1e-3)


def test_independent_networks_by_hand(rng):
    first, second = crossed(6, 9, rng, 2, 2) + 1, crossed(4, 9, rng, 2, 2)
    found, problem = crossed_outcome(first, second, paired=False)
    seeds = [first.mean(axis=1).var(ddof=1) / 6, second.mean(axis=1).var(ddof=1) / 4]
    exemplars = (first.mean(axis=0) - second.mean(axis=0)).var(ddof=1) / 9
    rests = [squares(first)[2] / 54, squares(second)[2] / 36]
    variance = sum(seeds) + exemplars - sum(rests)
    spread = seeds[0] ** 2 / 5 + seeds[1] ** 2 / 3 + exemplars**2 / 8 + rests[0] ** 2 / 40 + rests[1] ** 2 / 24
    assert problem == ""
    assert found.estimate == pytest.approx(first.mean() - second.mean())
    assert (found.se, found.df) == pytest.approx((np.sqrt(variance), variance**2 / spread))
    assert found.n == 10


def test_without_variance_of_exemplars_it_is_the_t_test_over_seeds(rng):
    """Exemplars that differ by less than chance: what is left is the variance of seeds, on their degrees of freedom."""
    noise = rng.standard_normal((5, 8))
    values = noise - noise.mean(axis=0) + rng.standard_normal((5, 1))
    found, problem = crossed_outcome(values, np.zeros((5, 8)), paired=True)
    plain = mean_outcome(values.mean(axis=1))
    assert problem == ""
    assert (found.estimate, found.se, found.df, found.p) == pytest.approx((plain.estimate, plain.se, 4, plain.p))


def test_without_variance_of_seeds_exemplars_stand_alone(rng):
    noise = rng.standard_normal((5, 8))
    values = noise - noise.mean(axis=1, keepdims=True) + rng.standard_normal(8)
    found, problem = crossed_outcome(values, np.zeros((5, 8)), paired=True)
    plain = mean_outcome(values.mean(axis=0))
    assert problem == ""
    assert (found.se, found.df) == pytest.approx((plain.se, 7))


def test_gaps_are_filled_by_what_is_known_of_their_seed_and_exemplar(rng):
    whole = rng.standard_normal((6, 1)) + rng.standard_normal((1, 9)) + 0.02 * rng.standard_normal((6, 9))
    gaps = whole.copy()
    gaps[0, 0] = gaps[3, 2] = gaps[3, 3] = np.nan
    found, problem = crossed_outcome(gaps, np.zeros((6, 9)), paired=True)
    assert problem == ""
    assert abs(np.nanmean(gaps) - whole.mean()) > 0.02
    assert found.estimate == pytest.approx(whole.mean(), abs=0.005)


def test_what_cannot_be_crossed_says_why(rng):
    values = rng.standard_normal((5, 4))
    assert crossed_outcome(values[:, :1], values[:, :1], paired=True)[1] == "one value a network"
    assert crossed_outcome(values[:1], values, paired=False)[1] == "fewer than two networks"
    assert crossed_outcome(np.ones((5, 4)), np.zeros((5, 4)), paired=True)[1] == "values do not vary"
    lacking = np.full((2, 2), np.nan)
    lacking[0] = 1.0
    lacking[1, 0] = 2.0
    assert crossed_outcome(lacking, np.zeros((2, 2)), paired=True)[1] == "too many values are missing"


def test_gaps_that_no_value_determines_are_not_filled(rng):
    """Seeds 0 to 2 have exemplars 0 to 3, seeds 3 to 5 the others: the two blocks may stand at any distance."""
    blocks = rng.standard_normal((6, 8))
    blocks[:3, 4:] = blocks[3:, :4] = np.nan
    zeros = np.zeros((6, 8))
    found, problem = crossed_outcome(blocks, zeros, paired=True)
    assert problem == "seeds and exemplars have too few values in common"
    assert np.isnan([found.estimate, found.p]).all()
    blocks[0, 4] = 0.3  # one value joins them
    assert crossed_outcome(blocks, zeros, paired=True)[1] == ""


def test_an_equal_pair_of_regimes_is_told_apart_in_one_in_twenty_runs():
    """Five seeds, exemplars with an effect of the regime of their own."""
    rng = np.random.default_rng(3)
    rejects = []
    for _ in range(400):
        own = [rng.standard_normal(8), rng.standard_normal(8)]
        first, second = (crossed(5, 8, rng, exemplars=0) + effect for effect in own)
        rejects.append([crossed_outcome(first, second, paired=paired)[0].p < 0.05 for paired in (True, False)])
    share = np.mean(rejects, axis=0)
    assert (share > 0.02).all()
    assert (share < 0.09).all()
