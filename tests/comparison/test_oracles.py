"""Independent oracles for links and parts of variance that are checked against no other program elsewhere.

Each is computed again from its definition, with scikit-learn's or SciPy's regressions, or by trying everything.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import lsq_linear
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from neurocompare.comparison.encoding import Encoding
from neurocompare.comparison.kernel_links import procrustes_similarity
from neurocompare.comparison.layer_tests import deal_folds
from neurocompare.comparison.matching import infer_matching, match_units
from neurocompare.comparison.partition import partition_rdms, partition_responses
from neurocompare.comparison.resampling import cluster_codes
from neurocompare.representations.kernels import feature_rdms
from neurocompare.representations.rdms import build_rdms
from neurocompare.representations.templates import template_contributions, template_rdms
from tests.comparison.test_layer_tests import made, network, views_of

PENALTIES = (0.5, 5.0)


@pytest.mark.parametrize("n_units", [4, 6, 3])
def test_matched_units_are_the_best_of_all_assignments(n_units, rng):
    neurons, units = rng.standard_normal((12, 4)), rng.standard_normal((12, n_units))
    r = np.corrcoef(neurons.T, units.T)[:4, 4:]
    if n_units >= 4:
        best = max(itertools.permutations(range(n_units), 4), key=lambda chosen: sum(r[range(4), chosen]))
    else:
        rows, columns = max(
            itertools.product(itertools.combinations(range(4), 3), itertools.permutations(range(3))),
            key=lambda both: sum(r[both[0], both[1]]),
        )
        best = [dict(zip(rows, columns, strict=True)).get(neuron, -1) for neuron in range(4)]
    assert match_units(units, neurons).tolist() == list(best)


def test_the_score_of_a_match_is_that_of_its_unit_on_faces_that_did_not_choose_it(rng):
    patterns = views_of(8).set_index("stimulus_id")
    units = rng.standard_normal((24, 6))
    neurons = units[:, [2, 0, 5, 1]] + 0.5 * rng.standard_normal((24, 4))
    layers = feature_rdms({"a": units}, patterns, normalize=None)
    found = infer_matching({"a": units}, {"AL": neurons}, layers, n_folds=4, rng=np.random.default_rng(3)).pooled
    folds = np.random.default_rng(3).permutation(np.arange(8) % 4)[np.repeat(np.arange(8), 3)]
    left, right = np.empty((24, 4)), np.empty((24, 4))
    for fold in range(4):
        inside = folds == fold
        r = np.corrcoef(neurons[~inside].T, units[~inside].T)[:4, 4:]
        best = max(itertools.permutations(range(6), 4), key=lambda chosen: sum(r[range(4), chosen]))
        own, matched = neurons[inside], units[inside][:, best] / units[~inside][:, best].std(axis=0)
        left[inside], right[inside] = own - own.mean(axis=0), matched - matched.mean(axis=0)
    expected = np.mean([stats.pearsonr(left[:, k], right[:, k])[0] for k in range(4)])
    assert found.estimates[0, 0] == pytest.approx(expected)


def test_procrustes_is_the_shape_distance_of_its_definition(rng):
    """Williams et al. (2021): the smallest distance over rotations of representations at size 1; here of two units."""
    x, y = (values - values.mean(axis=0) for values in rng.standard_normal((2, 9, 2)))
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    angles = np.linspace(0, 2 * np.pi, 20_001)
    cos, sin = np.cos(angles), np.sin(angles)
    turns = np.concatenate([np.array([[cos, -sin], [sin, cos]]), np.array([[cos, sin], [sin, -cos]])], axis=2)
    smallest = min(np.linalg.norm(x[:, :, None] - np.einsum("ij,jkt->ikt", y, turns), axis=(0, 1)))
    cosine = procrustes_similarity((x @ x.T)[None], (y @ y.T)[None])[0, 0]
    assert 2 - 2 * cosine == pytest.approx(smallest**2, abs=1e-6)


def test_parts_of_responses_are_differences_of_banded_ridge_regressions_of_scikit_learn():
    rng = np.random.default_rng(8)
    patterns = views_of(12).set_index("stimulus_id")
    identity = [np.repeat(rng.standard_normal((12, 5)), 3, axis=0) for _ in range(2)]
    layers = {name: values + 0.3 * rng.standard_normal((36, 5)) for name, values in zip("ab", identity, strict=True)}
    responses = sum(values @ rng.standard_normal((5, 6)) for values in identity) + rng.standard_normal((36, 6))
    table = partition_responses(
        feature_rdms(layers, patterns, normalize=None),
        {"AL": responses},
        {"A": [0], "B": [1]},
        Encoding(score="r2", penalties=PENALTIES, n_folds=4),
        rng=np.random.default_rng(7),
    ).set_index(["kind", "part"])["explained"]
    folds = np.random.default_rng(7).permutation(np.arange(12) % 4)[np.repeat(np.arange(12), 3)]
    y = (responses - responses.mean(axis=0)) / responses.std(axis=0)
    bands = [values - values.mean(axis=0) for values in layers.values()]
    bands = [values / np.sqrt((values**2).sum() / len(values)) for values in bands]
    grid = [(1, 0), (0.75, 0.25), (0.5, 0.5), (0.25, 0.75), (0, 1)]
    alone = {name: _explained(bands, [weights], y, folds) for name, weights in {"A": (1, 0), "B": (0, 1)}.items()}
    both = _explained(bands, grid, y, folds)
    expected = {
        ("total", "A + B"): both,
        ("alone", "A"): alone["A"],
        ("unique", "A"): both - alone["B"],
        ("unique", "B"): both - alone["A"],
        ("shared", "A & B"): alone["A"] + alone["B"] - both,
    }
    for part, value in expected.items():
        assert table[part] == pytest.approx(value, abs=1e-8)


def _explained(bands, mixtures, y, folds):
    """Held-out R2, mean over neurons, of the mixture and penalty with the smallest error in inner folds."""
    designs = [np.hstack([np.sqrt(w) * band for w, band in zip(weights, bands, strict=True)]) for weights in mixtures]
    errors, total = np.zeros(y.shape[1]), np.zeros(y.shape[1])
    for fold in range(4):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)

        def inner_error(candidate, train=train):
            design, alpha = candidate
            error = 0.0
            for inner in np.unique(folds[train]):
                own, others = train[folds[train] == inner], train[folds[train] != inner]
                error += ((y[own] - Ridge(alpha).fit(design[others], y[others]).predict(design[own])) ** 2).sum()
            return error

        design, alpha = min(itertools.product(designs, PENALTIES), key=inner_error)
        predicted = Ridge(alpha).fit(design[train], y[train]).predict(design[test])
        errors += ((y[test] - predicted) ** 2).sum(axis=0)
        total += ((y[test] - y[test].mean(axis=0)) ** 2).sum(axis=0)
    return float(np.mean(1 - errors / total))


def test_explained_parts_of_rdms_are_those_of_bounded_least_squares_on_other_faces(rng):
    patterns = views_of(12)
    layers = [rng.standard_normal((36, 20)) + np.repeat(rng.standard_normal((12, 20)), 3, axis=0) for _ in range(3)]
    models, neural = network(layers[:2], patterns), made([layers[0] + layers[1] + layers[2]], patterns, region=["AL"])
    sets = {"A": [0], "B": [1]}
    table = partition_rdms(
        models, neural, sets, resample="identity", n_folds=3, n_splits=2, rng=np.random.default_rng(5)
    ).set_index(["kind", "part"])
    codes = cluster_codes(patterns["identity"])
    splits = deal_folds(codes, 3, 2, np.random.default_rng(5))
    first, second = np.triu_indices(36, 1)
    explained = {}
    for name, chosen in {"A": [0], "B": [1], "AB": [0, 1]}.items():
        fits = []
        for fold_of, fold in itertools.product(splits, range(3)):
            test = (fold_of[first] == fold) & (fold_of[second] == fold)
            train = (fold_of[first] != fold) & (fold_of[second] != fold)
            design, target = models.dissimilarities[chosen][:, train].T, neural.dissimilarities[0, train]
            weights = lsq_linear(design - design.mean(axis=0), target - target.mean(), bounds=(0, np.inf)).x
            predicted = weights @ models.dissimilarities[chosen][:, test]
            fits.append(stats.pearsonr(predicted, neural.dissimilarities[0, test])[0])
        explained[name] = np.mean(fits) * abs(np.mean(fits))
    assert table.loc[("total", "A + B"), "explained"] == pytest.approx(explained["AB"], abs=1e-6)
    assert table.loc[("alone", "A"), "explained"] == pytest.approx(explained["A"], abs=1e-9)
    assert table.loc[("unique", "B"), "explained"] == pytest.approx(explained["AB"] - explained["A"], abs=1e-6)
    # Non-negative parts: three numbers, at least 0, whose sums over sets are closest to what these explain.
    touches = np.array([[1.0, 0, 1], [0, 1, 1], [1, 1, 1]])
    targets = table.loc[[("alone", "A"), ("alone", "B"), ("total", "A + B")], "explained"].to_numpy()
    expected = lsq_linear(touches, np.maximum(targets, 0), bounds=(0, np.inf)).x
    parts = table.loc[[("unique", "A"), ("unique", "B"), ("shared", "A & B")], "non_negative"]
    np.testing.assert_allclose(parts, expected, atol=1e-6)


def test_template_weights_are_those_of_bounded_least_squares(rng):
    patterns = views_of(6)
    rdm = build_rdms(rng.random((1, 153)), patterns=patterns, rdms={"layer": ["a"]}, dissimilarity="correlation")
    found = template_contributions(rdm).set_index("template")
    upper = np.triu_indices(18, 1)
    templates = template_rdms(patterns["azimuth_deg"], patterns["identity"])
    design = np.column_stack([stats.zscore(matrix[upper]) for matrix in templates.values()])
    target = stats.zscore(rdm.dissimilarities[0])
    solved = lsq_linear(design, target, bounds=(0, np.inf), tol=1e-12)
    np.testing.assert_allclose(found["weight"], pd.Series(solved.x, index=list(templates)), atol=1e-6)
    assert found["r2"].iloc[0] == pytest.approx(r2_score(target, design @ solved.x), abs=1e-6)
