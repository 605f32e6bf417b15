"""Reliability by halves: against what new neurons give, by hand, and without each part of the neurons."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rsatoolbox.rdm import RDMs, compare

from neurocompare.comparison.ceilings import split_half_reliability
from neurocompare.comparison.inference import infer_fits
from neurocompare.comparison.methods import METHODS
from neurocompare.comparison.reliability import (
    PartRdms,
    draw_halves,
    neuron_reliability,
    reliability_z,
    spearman_brown,
)
from neurocompare.representations.dissimilarities import DISSIMILARITIES, Population, correlation_dissimilarity
from neurocompare.representations.neural_rdms import dissimilarities
from tests.comparison.conftest import patterns_of, rdms_of


def rdm_vectors(responses):
    matrices = correlation_dissimilarity(responses)
    return matrices[(..., *np.triu_indices(matrices.shape[-1], 1))]


@pytest.fixture
def population(rng):
    trials = rng.poisson(rng.gamma(3, 2, (1, 9, 40)), (6, 9, 40)).astype(float)
    return Population("AL", "", trials.mean(axis=0), trials)


def test_spearman_brown_by_hand():
    assert spearman_brown(0.5) == pytest.approx(2 / 3)
    assert spearman_brown(0.5, 3) == pytest.approx(0.75)
    assert spearman_brown(1.0, 7) == pytest.approx(1.0)


@pytest.mark.parametrize("name", DISSIMILARITIES)
@pytest.mark.parametrize("normalize", [None, "zscore"])
def test_parts_taken_together_have_the_rdm_of_their_neurons(name, normalize, population):
    if normalize and DISSIMILARITIES[name].refuses_zscores:
        pytest.skip("does not go with z-scores")
    part = np.arange(40) % 7
    chosen = np.array([[1, 1, 1, 0, 0, 0, 1], [0, 0, 0, 1, 0, 1, 0]], dtype=bool)
    found = PartRdms(population, part, name, normalize).rdms(chosen)
    for row, vector in zip(chosen, found, strict=True):
        neurons = population.of_neurons(np.flatnonzero(row[part]))
        matrix, _ = dissimilarities(neurons, dissimilarity=name, normalize=normalize)
        np.testing.assert_allclose(vector, matrix[np.triu_indices(9, 1)], atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_halves_and_quarters_by_hand(method, population, rng):
    """Also without each part, and without a stimulus: as from the neurons and stimuli that stay."""
    part = np.arange(40) % 8
    halves = draw_halves(part, 2, rng)
    counts = np.ones((2, 9), dtype=int)
    counts[0, 3] = 0
    found = reliability_z(PartRdms(population, part, "correlation"), halves, method=method, counts=counts)
    assert found.shape == (2, 9)
    assert (np.bincount(halves.quarter[0]) == 2).all()
    for row, stimuli in enumerate(counts):
        for column in (0, 5, 8):
            agreements = []
            for quarter in halves.quarter:
                of_neuron = np.where(part == column, -1, quarter[part])
                responses = population.responses[stimuli > 0]
                vectors = {
                    name: rdm_vectors(responses[:, np.isin(of_neuron, which)])
                    for name, which in {"a": [0, 1], "b": [2, 3], 0: [0], 1: [1], 2: [2], 3: [3]}.items()
                }
                fits = [_fit(vectors[i], vectors[j], method) for i, j in (("a", "b"), (0, 2), (1, 3))]
                agreements.append([fits[0], np.mean(fits[1:])])
            half, quarter = np.mean(agreements, axis=0)
            kept = 40 - (5 if column < 8 else 0)
            whole = np.arctanh(spearman_brown(half, 2 * 40 / kept))
            expected = whole - (np.arctanh(spearman_brown(quarter)) - np.arctanh(half))
            assert found[row, column] == pytest.approx(expected, abs=1e-8)


def _fit(first, second, method):
    return compare(RDMs(first[None]), RDMs(second[None]), method=method)[0, 0]


def test_the_error_of_spearman_brown_is_taken_off(rng):
    """Some neurons have large gains: the formula alone says too much, what is found is what new neurons give."""
    estimates, truths, plain = [], [], []
    faces = rng.standard_normal((12, 6))
    for _ in range(60):
        gain = np.exp(1.2 * rng.standard_normal((2, 1, 60)))
        first, second = gain * (faces @ rng.standard_normal((2, 6, 60)) + 0.3 * rng.standard_normal((2, 12, 60)))
        vectors = rdm_vectors(np.stack([first[:, :30], first[:, 30:]]))
        plain.append(spearman_brown(np.corrcoef(vectors)[0, 1]))
        truths.append(np.corrcoef(rdm_vectors(first), rdm_vectors(second))[0, 1])
        estimates.append(split_half_reliability(first, n_splits=20, rng=rng))
    assert np.mean(plain) > np.mean(truths) + 0.02
    assert abs(np.mean(estimates) - np.mean(truths)) < 0.02


def test_intervals_hold_what_new_neurons_give(rng):
    """Twenty populations that read the same units: nearly all intervals hold the mean agreement of these."""
    units = rng.standard_normal((15, 8))
    responses = units @ rng.standard_normal((20, 8, 60)) + 2 * rng.standard_normal((20, 15, 60))
    vectors = rdm_vectors(responses)
    truth = np.corrcoef(vectors)[np.triu_indices(20, 1)].mean()
    held = []
    for population in responses:
        found = neuron_reliability(Population("AL", "", population), n_splits=15, rng=rng)
        low, high = found.interval()
        assert low < found.value < high < 1
        assert np.arctanh(high) - found.z == pytest.approx(found.z - np.arctanh(low))
        held.append(low <= truth <= high)
    assert np.mean(held) >= 0.8


def test_errors_of_fit_and_ceiling_are_left_out_together(rng):
    """A noisier fit goes with a lower reliability, so a true model is told from the ceiling less surely than either."""
    patterns = patterns_of(8, 3)
    units = rng.standard_normal((24, 10))
    responses = units @ rng.standard_normal((10, 50)) + 3 * rng.standard_normal((24, 50))
    models = rdms_of([correlation_dissimilarity(units)], patterns, layer=["truth"])
    neural = rdms_of([correlation_dissimilarity(responses)], patterns, region=["AL"])
    reliability = neuron_reliability(Population("AL", "", responses), n_splits=20, rng=rng)
    ceilings = {"region": "AL", "ceiling_lower": reliability.value, "ceiling_upper": reliability.value**0.5}
    result = infer_fits(
        models,
        neural,
        recording={"AL": responses},
        ceilings=pd.DataFrame([ceilings]),
        n_draws=10,
        rng=np.random.default_rng(0),
    )
    assert not any("taken as independent" in note for note in result.notes)
    assert set(result.ceiling_deviations) == {("identity",), ("neuron",), ("identity", "neuron")}
    both = result.deviations["neuron",][:, 0, 0], result.ceiling_deviations["neuron",][:, 0]
    assert np.corrcoef(both)[0, 1] > 0.2
    low, high = (end[0, 0] for end in result.corrected.ci)
    assert low < 1 < high
    assert result.p_ceiling[0, 0] > 0.05
