"""Reliability and noise ceilings against values that theory or a second sample gives."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from rsatoolbox.inference import boot_noise_ceiling
from rsatoolbox.rdm import RDMs, compare

from neural_data import InputError, simulate_patches
from neural_data.recordings import condition_means
from neural_data.simulation import draw_trials, simulate_rates
from neurocompare.comparison.ceilings import (
    _agreement,
    grouped_jackknife_variance,
    neuron_ceilings,
    split_half_reliability,
    subject_ceilings,
    trial_reliability,
)
from neurocompare.representations.dissimilarities import correlation_dissimilarity
from neurocompare.representations.neural_rdms import PopulationRequest, compute_neural_rdms


def rdm_vector(responses):
    return correlation_dissimilarity(responses)[np.triu_indices(len(responses), 1)]


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
    assert len(neuron_ceilings(recording, PopulationRequest(by_subject=True), rng=rng, n_splits=5)) == 4


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


@pytest.mark.parametrize("method", ["corr", "cosine", "spearman", "rho-a", "tau-a", "corr_cov"])
def test_agreement_is_what_rsatoolbox_compares(rng, method):
    first, second = rng.random((2, 45))
    expected = compare(RDMs(first[None]), RDMs(second[None]), method)[0, 0]
    assert _agreement(first, second, method) == pytest.approx(expected, abs=1e-10)


def test_the_jackknife_is_free_of_the_noise_of_splits(rng):
    groups = rng.standard_normal((20, 1))
    exact = 19 * groups.var()
    assert grouped_jackknife_variance(groups + rng.standard_normal(30)) == pytest.approx(exact), "splits in common"
    noisy = [grouped_jackknife_variance(groups + rng.standard_normal((20, 30))) for _ in range(400)]
    assert np.mean(noisy) == pytest.approx(exact, rel=0.05)
    assert grouped_jackknife_variance(1e-3 * rng.standard_normal((20, 3)) ** 2) >= 0
    assert np.isnan(grouped_jackknife_variance(np.ones((20, 1))))


@pytest.mark.slow
def test_jackknife_error_matches_the_scatter_of_estimates(many_faces):
    rng = np.random.default_rng(8)
    rates = simulate_rates(many_faces, ["AM"], 3000, rng=rng)
    estimates, errors = [], []
    for _ in range(30):
        sample = rates.isel(neuroid=rng.choice(3000, 50, replace=False))
        row = neuron_ceilings(sample, rng=rng, n_splits=50).iloc[0]
        estimates.append(row["ceiling_lower"])
        errors.append(row["ceiling_lower_se"])
    assert 0.6 < np.mean(errors) / np.std(estimates) < 1.6


def test_noise_free_trials_are_perfectly_reliable(faces, rng):
    rates = simulate_rates(faces, ["ML"], 20, rng=rng)
    copies = xr.concat([rates.assign_coords(repetition=("presentation", [i] * 30)) for i in range(4)], "presentation")
    table = trial_reliability(copies, rng=rng, n_splits=5)
    assert table["reliability"][0] == pytest.approx(1.0)
    assert table["n_repetitions"][0] == 4


def test_trial_reliability_is_the_correlation_with_as_many_new_trials(faces):
    rng = np.random.default_rng(3)
    rates = simulate_rates(faces, ["AL"], 40, rng=rng)
    estimates, truths = [], []
    for _ in range(15):
        first, second = (draw_trials(rates, 8, rng=rng) for _ in range(2))
        estimates.append(trial_reliability(first, rng=rng, n_splits=20)["reliability"][0])
        vectors = [rdm_vector(condition_means(r, faces.ids).to_numpy()) for r in (first, second)]
        truths.append(np.corrcoef(vectors)[0, 1])
    assert np.mean(estimates) == pytest.approx(np.mean(truths), abs=0.03)


def test_trial_halves_need_enough_trials(faces, rng):
    recording = simulate_patches(faces, ("ML",), 10, 3, rng=rng)
    assert trial_reliability(recording, rng=rng, n_splits=2)["n_repetitions"][0] == 3
    with pytest.raises(InputError, match="crossnobis RDMs need at least 4 responses"):
        trial_reliability(recording, rng=rng, dissimilarity="crossnobis")


@pytest.mark.parametrize("method", ["corr", "cosine", "spearman", "tau-a"])
@pytest.mark.filterwarnings("ignore:Noise ceiling for tau")
def test_ceilings_over_subjects_equal_rsatoolbox(faces, rng, method):
    recording = simulate_patches(faces, ("ML", "AL"), 30, rng=rng, subjects=("A", "B", "C"))
    table = subject_ceilings(recording, method=method)
    rdms = compute_neural_rdms(recording, by_subject=True)
    for row in table.itertuples():
        expected = boot_noise_ceiling(rdms.subset("region", row.region), method=method, rdm_descriptor="subject")
        np.testing.assert_allclose([row.ceiling_lower, row.ceiling_upper], expected, atol=1e-10)
        assert row.n_subjects == 3


def test_whitened_ceilings_work_from_a_hundred_stimuli_on(many_faces, rng):
    """rsatoolbox's own whitened measures have raised there."""
    recording = simulate_patches(many_faces, ("ML",), 30, rng=rng, subjects=("A", "B"))
    table = subject_ceilings(recording, method="corr_cov")
    assert 0 < table["ceiling_lower"][0] < table["ceiling_upper"][0] < 1


def test_one_subject_has_no_ceiling_over_subjects(faces, rng):
    with pytest.raises(InputError, match="recorded in at least two"):
        subject_ceilings(simulate_patches(faces, n_neurons=5, rng=rng))
    mixed = simulate_patches(faces, ("ML", "AL"), 20, rng=rng, subjects=("A", "B"))
    keep = (mixed["region"].values == "ML") | (mixed["subject"].values == "A")
    table = subject_ceilings(mixed.isel(neuroid=np.flatnonzero(keep)))
    assert table["ceiling_lower"].notna().tolist() == [True, False]
