"""Ridge regression in closed form: scikit-learn's predictions, in folds, inner folds and without single identities."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from neural_data.errors import InputError
from neurocompare.comparison.ridge import (
    SCORES,
    find_score,
    inner_losses,
    operator_of,
    outer_folds,
    plain_scores,
    predict,
    predict_without,
    weighted_scores,
)
from neurocompare.representations.kernels import scaled_kernels

PENALTIES = (0.01, 1.0, 100.0)
IDENTITY = np.repeat(np.arange(8), 3)
FOLDS = IDENTITY % 4


@pytest.fixture(scope="module")
def data():
    """Features, responses, their outer folds, and scikit-learn's penalties."""
    rng = np.random.default_rng(3)
    features = rng.standard_normal((len(IDENTITY), 30))
    centred = features - features.mean(axis=0)
    kernel = centred @ centred.T
    size = np.trace(kernel) / len(kernel)
    responses = 3 + features[:, :4] + rng.standard_normal((len(IDENTITY), 4))
    outer = outer_folds(scaled_kernels(kernel)[None], np.ones((1, 1)), PENALTIES, FOLDS)
    return features, responses, outer, np.array(PENALTIES) * size


def test_held_out_predictions_equal_those_of_scikit_learn(data):
    features, responses, outer, alphas = data
    for fold in outer:
        for candidate, alpha in enumerate(alphas):
            ridge = Ridge(alpha).fit(features[fold.train], responses[fold.train])
            found = fold.predictors[candidate] @ responses[fold.train]
            np.testing.assert_allclose(found, ridge.predict(features[fold.test]), atol=1e-9)


def test_losses_of_inner_folds_equal_those_of_scikit_learn(data):
    features, responses, outer, alphas = data
    for fold in outer:
        expected = np.zeros((len(alphas), responses.shape[1]))
        for candidate, alpha in enumerate(alphas):
            for inner in np.unique(FOLDS[fold.train]):
                test = fold.train[FOLDS[fold.train] == inner]
                train = fold.train[FOLDS[fold.train] != inner]
                ridge = Ridge(alpha).fit(features[train], responses[train])
                expected[candidate] += ((responses[test] - ridge.predict(features[test])) ** 2).sum(axis=0)
        np.testing.assert_allclose(inner_losses(fold, responses), expected, rtol=1e-8)


def test_leaving_an_identity_out_equals_training_without_it(data):
    features, responses, outer, alphas = data
    chosen = np.array([[0, 1, 2, 1]] * 4)
    left_out = np.arange(8)[:, None] == IDENTITY
    found = predict_without(outer, chosen, responses, left_out)
    for part in (0, 5):
        for fold in outer:
            train = fold.train[~left_out[part, fold.train]]
            for neuron, candidate in enumerate(chosen[0]):
                ridge = Ridge(alphas[candidate]).fit(features[train], responses[train, neuron])
                expected = ridge.predict(features[fold.test])
                np.testing.assert_allclose(found[part, fold.test, neuron], expected, atol=1e-9)
    whole = predict(outer, chosen, responses)
    np.testing.assert_allclose(predict_without(outer, chosen, responses, left_out[:1] & False)[0], whole, atol=1e-12)


def test_joined_layers_equal_ridge_on_their_scaled_units(data):
    features, responses, _, _ = data
    first, second = features[:, :10], features[:, 10:]
    kernels, scaled = [], []
    for units, weight in ((first, 0.25), (second, 0.75)):
        centred = units - units.mean(axis=0)
        size = np.trace(centred @ centred.T) / len(centred)
        kernels.append(centred @ centred.T / size)
        scaled.append(units * np.sqrt(weight / size))
    outer = outer_folds(np.stack(kernels), np.array([[0.25, 0.75]]), [2.0], FOLDS)
    both = np.concatenate(scaled, axis=1)
    for fold in outer:
        ridge = Ridge(2.0).fit(both[fold.train], responses[fold.train])
        found = fold.predictors[0] @ responses[fold.train]
        np.testing.assert_allclose(found, ridge.predict(both[fold.test]), atol=1e-9)


def test_scores_are_those_of_numpy_and_scikit_learn_within_folds(rng):
    responses, predictions = rng.standard_normal((2, 12, 3))
    one_fold = np.zeros(12, dtype=int)
    corr, r2 = (weighted_scores(SCORES[name], responses, predictions, np.ones((1, 12)), one_fold)[0] for name in SCORES)
    for k in range(3):
        assert corr[k] == pytest.approx(np.corrcoef(responses[:, k], predictions[:, k])[0, 1])
        assert r2[k] == pytest.approx(r2_score(responses[:, k], predictions[:, k]))


@pytest.mark.parametrize("name", SCORES)
def test_a_stimulus_that_counts_twice_is_a_stimulus_that_is_there_twice(name, rng):
    responses, predictions = rng.standard_normal((2, 12, 3))
    folds = np.arange(12) % 3
    counts = rng.integers(0, 3, 12)
    twice = np.repeat(np.arange(12), counts)
    found = weighted_scores(SCORES[name], responses, predictions, counts[None], folds)
    expected = weighted_scores(
        SCORES[name], responses[twice], predictions[twice], np.ones((1, len(twice))), folds[twice]
    )
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("name", SCORES)
def test_a_shift_of_a_fold_changes_no_correlation_and_both_ways_to_score_agree(name, data):
    _, responses, outer, _ = data
    y = (responses - responses.mean(axis=0)) / responses.std(axis=0)
    predicted = operator_of(outer, [1, 1, 0, 2]) @ y
    general = weighted_scores(SCORES[name], y, predicted, np.ones((1, len(y))), FOLDS)[0]
    np.testing.assert_allclose(plain_scores(SCORES[name], y, predicted, FOLDS), general)
    shifted = predicted + 5.0 * FOLDS[:, None]
    moved = weighted_scores(SCORES[name], y, shifted, np.ones((1, len(y))), FOLDS)[0]
    assert np.allclose(moved, general) == (name == "corr")


def test_scores_of_constants_are_undefined_and_unknown_scores_refused():
    flat, line = np.ones((6, 1)), np.arange(6.0)[:, None]
    folds, all_once = np.array([0, 0, 0, 1, 1, 1]), np.ones((1, 6))
    assert np.isnan(weighted_scores(SCORES["corr"], line, flat, all_once, folds)).all()
    assert np.isnan(weighted_scores(SCORES["r2"], flat, line, all_once, folds)).all()
    with pytest.raises(InputError, match="did you mean 'corr'"):
        find_score("cor")
