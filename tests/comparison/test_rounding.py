"""No verdict hangs on rounding: equal results stay equal when every number moves by its last digits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from neurocompare.comparison.fits import compare_rdms
from neurocompare.comparison.hypotheses import Hypothesis, decide
from neurocompare.comparison.identity_tests import permute_identities
from neurocompare.comparison.inference import infer_fits
from neurocompare.comparison.layer_tests import compare_layer_profiles
from neurocompare.comparison.regime_contrasts import contrast_regimes
from neurocompare.representations.dissimilarities import correlation_dissimilarity
from tests.comparison.conftest import rdms_of

SEEDS = range(6)


def moved(matrices: np.ndarray, seed: int, size: float = 1e-13) -> np.ndarray:
    """Symmetric matrices as another order of sums might give them."""
    noise = size * np.random.default_rng(seed).uniform(-1, 1, np.shape(matrices))
    return matrices + (noise + np.swapaxes(noise, -1, -2)) * (matrices != 0)


@pytest.fixture
def twins(layers, patterns):
    """A function of a seed: RDMs of two layers, the second one twice, equal but for rounding."""

    def make(seed: int):
        rdms = np.stack([correlation_dissimilarity(layers[k]) for k in (0, 1, 1)])
        return rdms_of(
            np.concatenate([rdms[:1], moved(rdms[1:], seed)]),
            patterns,
            model=["net"] * 3,
            regime=["natural"] * 3,
            layer=["conv1", "conv2", "relu2"],
            layer_index=[0, 1, 2],
        )

    return make


@pytest.mark.parametrize("correction", ["bh", "max"])
def test_two_layers_with_one_rdm_get_no_test_of_their_difference(twins, neural_rdms, correction):
    for seed in SEEDS:
        result = infer_fits(twins(seed), neural_rdms, resample="identity", n_draws=20, rng=np.random.default_rng(0))
        pairs = result.pairwise(correction).set_index(["layer_1", "layer_2"]).sort_index()
        assert (pairs.loc[("conv2", "relu2"), ["difference", "se"]] == 0).all(axis=None)
        assert pairs.loc[("conv2", "relu2"), ["p", "p_adjusted"]].isna().all(axis=None)
        assert pairs.loc[("conv1", "conv2"), "p"].notna().all()
        assert np.isnan(result.contrasts([[0, 1, -1]])[2]).all()


def test_of_two_layers_with_one_rdm_the_first_is_the_best(twins, neural_rdms):
    for seed in SEEDS:
        result = infer_fits(twins(seed), neural_rdms, resample="identity", n_draws=40, rng=np.random.default_rng(0))
        best = result.best_layer()
        assert "conv2" in set(best["layer"])
        assert "relu2" not in set(best["layer"])
        assert best["layer_set"].str.contains("conv2, relu2").any()


def test_recordings_with_one_rdm_have_one_profile(model_rdms, neural_rdms, patterns):
    one = neural_rdms.get_matrices()[0]
    for seed in SEEDS:
        both = rdms_of(moved(np.stack([one, one]), seed), patterns, region=["AL", "AM"])
        result = infer_fits(model_rdms, both, resample="identity", n_draws=20, rng=np.random.default_rng(0))
        profiles = compare_layer_profiles(result)
        assert np.isnan(profiles["p"][0])
        assert profiles["p_interaction"][0] == 1
        assert "identities were not permuted" in profiles["depth_reason"][0]


def test_a_permutation_that_changes_nothing_counts_as_reaching_the_fit(rng):
    """Identities of one RDM block each: every one of their orders gives the same RDM, and so p is 1."""
    table = pd.DataFrame(
        [(f"s{i}_{a}", f"id{i}", float(a)) for i in range(4) for a in (-90, 0, 90)],
        columns=["stimulus_id", "identity", "azimuth_deg"],
    )
    view = np.tile(rng.standard_normal((3, 3)), (4, 4))
    same = np.kron(np.eye(4), np.ones((3, 3))) > 0
    square = np.where(same, 0.2, 1.0) + (view + view.T) / 10
    np.fill_diagonal(square, 0)
    for seed in SEEDS:
        neural = rdms_of(moved(square[None], seed), table, region=["AL"])
        model = rdms_of(square[None], table, layer=["a"])
        assert permute_identities(model, neural, n_permutations=50, rng=np.random.default_rng(1))["p"][0] == 1


@pytest.mark.parametrize("method", ["spearman", "rho-a", "tau-a"])
def test_ranks_tie_where_dissimilarities_are_equal_but_for_rounding(rng, method):
    """The oracle is SciPy on the dissimilarities before they moved."""
    table = pd.DataFrame({"stimulus_id": [f"s{i}" for i in range(9)]})
    upper = np.triu_indices(9, 1)
    square = np.zeros((2, 9, 9))
    for k, levels in enumerate((3, 4)):
        square[k][upper] = 1 + rng.integers(0, levels, len(upper[0]))
        square[k] += square[k].T
    first, second = (matrix[upper] for matrix in square)
    n = len(first)
    ranks = stats.rankdata(first), stats.rankdata(second)
    covariance = np.mean(ranks[0] * ranks[1]) - np.mean(ranks[0]) * np.mean(ranks[1])
    concordance = np.sign(np.subtract.outer(first, first)) * np.sign(np.subtract.outer(second, second))
    wanted = {
        "spearman": stats.spearmanr(first, second).statistic,
        "rho-a": 12 * covariance / (n**2 - 1),
        "tau-a": concordance.sum() / (n * (n - 1)),
    }[method]
    for seed in SEEDS:
        model, neural = (rdms_of(moved(square[k][None], seed + k), table) for k in (0, 1))
        assert compare_rdms(model, neural, method=method)[0, 0] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    "test",
    [
        {"test": "paired"},
        {"test": "contrast", "weights": [1, -1]},
        {"test": "rank-sum"},
        {"test": "peak", "over": "layer", "selections": [{"layer": "a"}]},
        {"test": "correlation", "selections": [{"layer": "a"}, {"layer": "flat"}]},
        {"test": "ordering"},
    ],
    ids=lambda test: test["test"],
)
def test_hypotheses_about_equal_values_are_undecided(rng, test):
    value = rng.uniform(0.2, 0.9, 8)
    claim = {
        "name": "h",
        "statement": "a lies above b",
        "table": "t",
        "value": "v",
        "unit": ["identity"],
        "direction": "greater",
        "selections": [{"layer": "a"}, {"layer": "b"}],
    } | test
    layers = ("a", "b") if claim["test"] != "correlation" else ("a", "b", "flat")
    for seed in SEEDS:
        noise = 1e-14 * np.random.default_rng(seed).uniform(-1, 1, (3, 8))
        table = pd.DataFrame(
            [
                (layer, f"i{k}", (0.5 if layer == "flat" else value[k]) + noise[j, k])
                for j, layer in enumerate(layers)
                for k in range(8)
            ],
            columns=["layer", "identity", "v"],
        )
        found = decide([Hypothesis(**claim)], {"t": table}).iloc[0]
        assert found["verdict"] == "undecided"
        assert np.isnan(found["p"]) or found["p"] == 1


def test_regimes_whose_networks_are_equal_get_no_test(rng):
    means = rng.uniform(0.2, 0.9, 5)
    for seed in SEEDS:
        noise = 1e-14 * np.random.default_rng(seed).uniform(-1, 1, (2, 5))
        table = pd.DataFrame(
            [("net", regime, s, "fc1", 3, means[s] + noise[j, s]) for j, regime in enumerate("ab") for s in range(5)],
            columns=["model", "regime", "seed", "layer", "layer_index", "index"],
        )
        row = contrast_regimes(table, value="index", rng=np.random.default_rng(0)).contrasts.iloc[0]
        assert row["estimate"] == 0
        assert np.isnan(row["p"])
        assert row["p_permutation"] == 1
        assert np.isnan(row["effect_size"])
