"""Reliability and noise ceilings against values that theory or a second sample gives."""

from __future__ import annotations

import numpy as np
import pytest

from neural_data import InputError, simulate_patches
from neural_data.simulation import simulate_rates
from neurocompare.comparison.ceilings import neuron_ceilings, spearman_brown, split_half_reliability
from neurocompare.representations.rdms import correlation_dissimilarity


def rdm_vector(responses):
    return correlation_dissimilarity(responses)[np.triu_indices(len(responses), 1)]


def test_spearman_brown_by_hand():
    assert spearman_brown(0.5) == pytest.approx(2 / 3)
    assert spearman_brown(0.5, 3) == pytest.approx(0.75)
    assert spearman_brown(1.0, 7) == pytest.approx(1.0)


def test_a_population_of_copies_is_reliable(rng):
    responses = np.repeat(rng.random((8, 5)), 40, axis=1)
    assert split_half_reliability(responses, rng=rng) > 0.9


def test_independent_noise_is_not_reliable(rng):
    estimates = [split_half_reliability(rng.standard_normal((30, 40)), n_splits=20, rng=rng) for _ in range(10)]
    assert abs(np.mean(estimates)) < 0.05


@pytest.mark.parametrize("n_neurons", [40, 41])
def test_reliability_is_the_correlation_with_as_many_new_neurons(many_faces, n_neurons):
    """Populations are drawn again and again from one large simulated patch."""
    rng = np.random.default_rng(1)
    rates = simulate_rates(many_faces, ["ML"], 4000, rng=rng).values
    noisy = rates + np.sqrt(rates) * rng.standard_normal(rates.shape)
    estimates, truths = [], []
    for _ in range(20):
        order = rng.permutation(4000)
        first, second = noisy[:, order[:n_neurons]], noisy[:, order[n_neurons : 2 * n_neurons]]
        estimates.append(split_half_reliability(first, n_splits=20, rng=rng))
        truths.append(np.corrcoef(rdm_vector(first), rdm_vector(second))[0, 1])
    assert np.mean(estimates) == pytest.approx(np.mean(truths), abs=0.03)


def test_ceilings_of_each_region(faces, rng):
    recording = simulate_patches(faces, ("ML", "AL"), {"ML": 30, "AL": 20}, rng=rng, subjects=("A", "B"))
    table = neuron_ceilings(recording, rng=np.random.default_rng(4), n_splits=30)
    assert table["region"].tolist() == ["ML", "AL"]
    assert table["n_neurons"].tolist() == [30, 20]
    assert (table["ceiling_upper"] > table["ceiling_lower"]).all()
    np.testing.assert_allclose(table["ceiling_upper"] ** 2, table["ceiling_lower"])
    assert table["simulated"].all()
    assert len(neuron_ceilings(recording, rng=rng, by_subject=True, n_splits=5)) == 4


def test_a_ceiling_belongs_to_its_measure(faces, rng):
    """One number for all measures would be wrong: each is computed on the RDMs that the fit uses."""
    recording = simulate_patches(faces, ("AM",), 30, rng=rng)
    found = {
        (measure, method): neuron_ceilings(
            recording, rng=np.random.default_rng(0), dissimilarity=measure, method=method, n_splits=10
        )["ceiling_lower"][0]
        for measure in ("correlation", "euclidean", "crossnobis")
        for method in ("corr", "spearman")
    }
    assert len({round(value, 6) for value in found.values()}) == 6


def test_three_neurons_have_no_ceiling(faces, rng):
    recording = simulate_patches(faces, ("AM",), 3, rng=rng)
    assert np.isnan(neuron_ceilings(recording, rng=rng)["ceiling_lower"][0])


@pytest.mark.parametrize("shape", [(2, 10), (10, 3), (10,)])
def test_too_few_neurons_or_stimuli_are_refused(rng, shape):
    with pytest.raises(ValueError, match="at least three stimuli and four neurons"):
        split_half_reliability(np.ones(shape), rng=rng)


def test_wrong_input_is_refused(faces, rng):
    responses = np.ones((5, 5))
    responses[2, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        split_half_reliability(responses, rng=rng)
    with pytest.raises(InputError, match="n_splits must be at least 1"):
        split_half_reliability(np.ones((5, 5)), n_splits=0, rng=rng)
    with pytest.raises(InputError, match="no method 'pearson'"):
        neuron_ceilings(simulate_patches(faces, n_neurons=5, rng=rng), rng=rng, method="pearson")
