"""Every dissimilarity by its record: what it gives equals rsatoolbox's, wherever it is computed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import calc_rdm

from neural_data import InputError
from neurocompare.comparison.neuron_rdms import NeuronRdms
from neurocompare.representations import dissimilarities as family
from neurocompare.representations.dissimilarities import (
    DISSIMILARITIES,
    MODEL_DISSIMILARITIES,
    Dissimilarity,
    Population,
    find_dissimilarity,
)
from neurocompare.representations.model_rdms import RdmRequest
from neurocompare.representations.neural_rdms import dissimilarities
from neurocompare.representations.products import PatternSums


def manhattan(population: Population) -> tuple[np.ndarray, int]:
    responses = population.responses
    return np.abs(responses[:, None] - responses[None]).sum(axis=2), 0


@pytest.fixture
def population(rng):
    trials = rng.poisson(rng.uniform(2, 9, (1, 7, 11)), (6, 7, 11)).astype(float)
    return Population(region="AL", subject="", responses=trials.mean(axis=0), trials=trials)


def oracle(population, name):
    if DISSIMILARITIES[name].needs_trials:
        trials = population.trials / np.sqrt(population.trials.var(axis=0, ddof=1).mean(axis=0))
        labels = {"stimulus": np.tile(list("abcdefg"), 6), "fold": np.repeat(list("abcdef"), 7)}
        dataset = Dataset(trials.reshape(-1, 11), obs_descriptors=labels)
        return calc_rdm(dataset, method=name, descriptor="stimulus", cv_descriptor="fold").get_matrices()[0]
    return calc_rdm(Dataset(population.responses.copy()), method=name).get_matrices()[0]


@pytest.mark.parametrize("name", DISSIMILARITIES)
def test_of_recordings_equals_rsatoolbox(name, population):
    assert DISSIMILARITIES[name].name == name
    assert DISSIMILARITIES[name].label
    np.testing.assert_allclose(dissimilarities(population, dissimilarity=name)[0], oracle(population, name), atol=1e-10)


@pytest.mark.parametrize("name", MODEL_DISSIMILARITIES)
def test_of_layers_and_of_resampled_neurons_is_that_of_recordings(name, population):
    matrix = dissimilarities(population, dissimilarity=name)[0]
    upper = matrix[np.triu_indices(7, 1)]
    sums = PatternSums(1, 7, torch.float64)
    patterns = torch.zeros(1, 9, 11, dtype=torch.float64)
    patterns[0, :7] = torch.from_numpy(population.responses)
    sums.add(patterns, slice(0, 1))
    sums.count(11, 11)
    np.testing.assert_allclose(next(sums.dissimilarities(name)), upper, atol=1e-10)
    counts = np.array([np.ones(11, dtype=int), [2, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1]])
    drawn = NeuronRdms(population.responses, name).rdms(counts)
    again = np.repeat(population.responses, counts[1], axis=1)
    np.testing.assert_allclose(drawn[0], upper, atol=1e-10)
    np.testing.assert_allclose(drawn[1], DISSIMILARITIES[name].of_responses(again)[np.triu_indices(7, 1)], atol=1e-10)
    stack = np.stack([population.responses, population.responses[::-1]])
    np.testing.assert_allclose(DISSIMILARITIES[name].of_responses(stack)[1], matrix[::-1, ::-1], atol=1e-12)


@pytest.mark.parametrize("name", [name for name in DISSIMILARITIES if name not in MODEL_DISSIMILARITIES])
def test_what_needs_a_recording_is_refused_for_networks_and_resampled_neurons(name, population):
    with pytest.raises(InputError, match=f"dissimilarity of a model RDM must be one of .*; got '{name}'"):
        RdmRequest(dissimilarity=name)
    with pytest.raises(InputError, match=f"not for '{name}'"):
        NeuronRdms(population.responses, name)


def test_an_unknown_dissimilarity_is_refused_and_never_a_correlation(population):
    with pytest.raises(InputError, match="no dissimilarity is called 'manhattan'"):
        dissimilarities(population, dissimilarity="manhattan")
    with pytest.raises(InputError, match="no dissimilarity is called 'euclidian': did you mean 'euclidean'"):
        find_dissimilarity("euclidian", MODEL_DISSIMILARITIES)
    with pytest.raises(ValueError, match="one of the two"):
        Dissimilarity("manhattan", "sum of absolute differences")


def test_a_record_is_all_that_a_new_dissimilarity_takes(population, monkeypatch):
    record = Dissimilarity("manhattan", "sum of absolute differences", from_population=manhattan)
    monkeypatch.setitem(family.DISSIMILARITIES, "manhattan", record)
    found, _ = dissimilarities(population, dissimilarity="manhattan")
    assert found[0, 1] == pytest.approx(np.abs(population.responses[0] - population.responses[1]).sum())
    with pytest.raises(ValueError, match="do not follow from sums"):
        record.of_responses(population.responses)


def test_a_stimulus_that_resampled_neurons_answer_alike_has_no_correlations(rng):
    responses = rng.random((5, 6))
    responses[3, :3] = 0.7
    drawn = NeuronRdms(responses, "correlation").rdms(np.array([[2, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1]]))
    first, second = np.triu_indices(5, 1)
    np.testing.assert_array_equal(np.isnan(drawn[0]), (first == 3) | (second == 3))
    assert np.isfinite(drawn[1]).all()


def test_records_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DISSIMILARITIES["correlation"].fewest_units = 1
