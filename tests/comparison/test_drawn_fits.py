"""Fits of many draws and permutations at once: what ``fits_on_counts`` gives for each of them, one by one."""

from __future__ import annotations

import numpy as np
import pytest

from neurocompare.comparison import drawn_fits
from neurocompare.comparison.drawn_fits import DrawnFits
from neurocompare.comparison.fits import ResampledNeurons, fits_on_counts
from neurocompare.comparison.identity_tests import identity_null, permuted_fits
from neurocompare.comparison.methods import METHODS
from neurocompare.comparison.neuron_rdms import NeuronRdms
from neurocompare.comparison.threads import in_threads

N_IDENTITIES, N_VIEWS, N_NEURONS, N_DRAWS = 6, 3, 12, 25
CODES = np.repeat(np.arange(N_IDENTITIES), N_VIEWS)


@pytest.fixture
def models(rng):
    return rng.random((4, 18 * 17 // 2))


@pytest.fixture
def counts(rng):
    """Draws of identities, the last of one identity and the one before it of one stimulus."""
    counts = rng.integers(0, 3, (N_DRAWS, N_IDENTITIES))[:, CODES]
    counts[-2:] = 0
    counts[-1, :3] = 6
    counts[-2, 0] = 18
    return counts


def drawn_population(rng, dissimilarity="correlation") -> ResampledNeurons:
    neurons = rng.multinomial(N_NEURONS, np.full(N_NEURONS, 1 / N_NEURONS), N_DRAWS)
    return ResampledNeurons(rng.gamma(2.0, 5.0, (18, N_NEURONS)), neurons, dissimilarity)


@pytest.mark.parametrize("tile", [(1024, 128), (20, 7)])
@pytest.mark.parametrize("clusters", [CODES, None])
@pytest.mark.parametrize(
    ("method", "dissimilarity"), [*((name, "correlation") for name in METHODS), ("cosine", "euclidean")]
)
def test_draws_are_those_of_one_fit_after_another(
    method, dissimilarity, clusters, tile, models, counts, rng, monkeypatch
):
    monkeypatch.setattr(drawn_fits, "TILE", tile)
    population = drawn_population(rng, dissimilarity)
    alone, together = DrawnFits(models, counts, method=method, clusters=clusters).of(population)
    for found, stimuli in ((alone, None), (together, counts)):
        expected = fits_on_counts(models, population, stimuli, method=method, clusters=clusters)[:, :, 0]
        np.testing.assert_allclose(found, expected, atol=1e-12)
    assert np.isfinite(alone).all()
    assert np.isnan(together[-2]).all()
    assert DrawnFits(models, None, method=method).of(population)[1] is None


def test_a_stimulus_that_the_drawn_neurons_answer_alike_leaves_the_other_draws_alone(models, counts, rng):
    population = drawn_population(rng)
    population.responses[4, :3] = 2.0
    population.counts[3] = np.where(np.arange(N_NEURONS) < 3, 4, 0)
    models[1, 7] = np.nan
    for rows in (models[[0, 2, 3]], models):
        alone, together = DrawnFits(rows, counts, method="corr", clusters=CODES).of(population)
        for found, stimuli in ((alone, None), (together, counts)):
            expected = fits_on_counts(rows, population, stimuli, clusters=CODES)[:, :, 0]
            np.testing.assert_allclose(found, expected, atol=1e-12)
        assert np.isfinite(alone).all()


@pytest.mark.parametrize("dissimilarity", ["correlation", "euclidean"])
def test_tiles_of_an_rdm_are_the_rdm(dissimilarity, rng, monkeypatch):
    population = drawn_population(rng, dissimilarity)
    neurons = NeuronRdms(population.responses, dissimilarity)
    whole = neurons.rdms(population.counts)
    for n_pairs in (1, 30, 1000):
        tiles = list(neurons.tiles(population.counts, n_pairs))
        np.testing.assert_allclose(np.concatenate([values for _, values in tiles]).T, whole, atol=1e-13)
        assert [tile.start for tile, _ in tiles[1:]] == [tile.stop for tile, _ in tiles[:-1]]
    monkeypatch.setattr("neurocompare.comparison.neuron_rdms.BLOCK_BYTES", 1)
    few = NeuronRdms(population.responses, dissimilarity)
    np.testing.assert_allclose(few.rdms(population.counts), whole, atol=1e-13)
    np.testing.assert_allclose(
        np.concatenate([values for _, values in few.tiles(population.counts, 30)]).T, whole, atol=1e-13
    )


@pytest.mark.parametrize(
    ("method", "n_recordings", "unmeasured"),
    [*((method, n, False) for method in METHODS for n in (2, 7)), ("corr", 2, True), ("spearman", 7, True)],
)
def test_permutations_are_those_of_one_rdm_after_another(method, n_recordings, unmeasured, models, rng):
    recordings = rng.random((n_recordings, models.shape[1])).round(1)
    models[3] = 0.0 if method.startswith("cosine") else 0.5  # without a direction
    if unmeasured:
        recordings[1, 5] = np.nan
    places = np.arange(18).reshape(N_IDENTITIES, N_VIEWS)[:, ::-1]
    stays = np.ones((1, 18), dtype=int)
    expected = identity_null(
        lambda permuted: fits_on_counts(models, permuted, stays, method=method)[0],
        recordings,
        places,
        6,
        rng=np.random.default_rng(3),
    )
    found = permuted_fits(models, recordings, places, 6, method=method, rng=np.random.default_rng(3))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert np.isnan(found[:, 3]).all()
    assert np.isfinite(found[:, :3]).all()


def test_work_on_several_threads_comes_back_in_order_and_raises_its_errors():
    assert in_threads(lambda item: item**2, range(20)) == [item**2 for item in range(20)]
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda item: 1 / item, [1, 0])
