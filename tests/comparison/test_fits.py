"""Fits equal rsatoolbox's on the same subsamples, whatever the measure, the ties, and the unmeasured pairs."""

from __future__ import annotations

import numpy as np
import pytest
from rsatoolbox.rdm import RDMs, compare

from neural_data.errors import InputError
from neurocompare.comparison import fit_kernels, fits as fits_module
from neurocompare.comparison.fits import ResampledNeurons, compare_rdms, fits_on_counts, fits_on_draws
from neurocompare.comparison.methods import METHODS
from neurocompare.representations.dissimilarities import correlation_dissimilarity
from neurocompare.representations.rdms import build_rdms
from tests.comparison.conftest import patterns_of, rdms_of

WHITENED = ("corr_cov", "cosine_cov")


def random_rdms(n_rdms: int, n_stimuli: int, seed: int, decimals: int | None = None, offset: float = 0.0) -> RDMs:
    values = np.random.default_rng(seed).random((n_rdms, n_stimuli * (n_stimuli - 1) // 2)) + offset
    values = values if decimals is None else values.round(decimals)
    return rdms_of(values, patterns_of(n_stimuli, 1), layer=[f"layer{k}" for k in range(n_rdms)])


def reference(model_rdms: RDMs, neural_rdms: RDMs, draws: np.ndarray, method: str) -> np.ndarray:
    return np.array(
        [
            compare(model_rdms.subsample_pattern("index", d), neural_rdms.subsample_pattern("index", d), method)
            for d in draws
        ]
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("decimals", [None, 1], ids=["no ties", "ties"])
@pytest.mark.parametrize("n_stimuli", [7, 24])
def test_fits_on_draws_equal_rsatoolbox(method, decimals, n_stimuli, rng):
    models, neural = random_rdms(4, n_stimuli, 1, decimals), random_rdms(3, n_stimuli, 2, decimals)
    draws = rng.integers(0, n_stimuli, (40, n_stimuli))
    draws[0] = np.arange(n_stimuli)
    draws[1, 3:] = draws[1, 2]
    draws[1, :3] = [0, 1, 2]
    found = fits_on_draws(models, neural, draws, method)
    expected = reference(models, neural, draws, method)
    assert found.shape == (40, 4, 3)
    # Where a draw leaves a constant, rsatoolbox says 0 and we say undefined.
    undefined = np.isnan(found)
    assert np.all(expected[undefined] == 0)
    np.testing.assert_allclose(found[~undefined], expected[~undefined], atol=1e-10, rtol=0)
    assert undefined.mean() < 0.03


@pytest.mark.parametrize("method", METHODS)
def test_compare_rdms_equals_rsatoolbox_on_the_whole_set(method):
    models, neural = random_rdms(4, 15, 3, 1), random_rdms(2, 15, 4, 1)
    np.testing.assert_allclose(compare_rdms(models, neural, method), compare(models, neural, method), atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_large_offset_costs_no_digits(method):
    models, neural = random_rdms(2, 12, 5, offset=1e4), random_rdms(2, 12, 6, offset=1e4)
    draws = np.random.default_rng(0).integers(0, 12, (20, 12))
    expected = reference(models, neural, draws, method)
    np.testing.assert_allclose(fits_on_draws(models, neural, draws, method), expected, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_unmeasured_pairs_are_left_out_as_in_rsatoolbox(method, rng):
    models, neural = random_rdms(2, 12, 7), random_rdms(2, 12, 8)
    missing = rng.choice(66, 9, replace=False)
    models.dissimilarities[:, missing] = np.nan
    neural.dissimilarities[:, missing] = np.nan
    draws = rng.integers(0, 12, (15, 12))
    expected = reference(models, neural, draws, method)
    np.testing.assert_allclose(fits_on_draws(models, neural, draws, method), expected, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_a_pair_unmeasured_in_one_recording_leaves_the_others_alone(method):
    models, neural = random_rdms(3, 12, 7), random_rdms(2, 12, 8)
    whole = compare_rdms(models, neural, method)
    neural.dissimilarities[1, 5] = np.nan
    part = compare_rdms(models, neural, method)
    np.testing.assert_allclose(part[:, 0], whole[:, 0], atol=1e-14)
    models.dissimilarities[:, 5] = np.nan
    expected = compare(models, neural.subset("layer", "layer1"), method)[:, 0]
    np.testing.assert_allclose(part[:, 1], expected, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_draws_are_the_same_in_blocks_of_any_size(method, monkeypatch, rng):
    models, neural = random_rdms(3, 10, 1), random_rdms(2, 10, 2)
    draws = rng.integers(0, 10, (13, 10))
    whole = fits_on_draws(models, neural, draws, method)
    monkeypatch.setattr(fits_module, "BLOCK_BYTES", 1)
    np.testing.assert_allclose(fits_on_draws(models, neural, draws, method), whole, atol=1e-14)


@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize("method", ["corr", "cosine_cov"])
def test_draws_are_the_same_in_tiles_of_any_size(method, device, monkeypatch, rng):
    models, neural = (random_rdms(n, 12, n).get_vectors() for n in (5, 3))
    models[:, 7] = np.nan
    neural[1, [2, 30]] = np.nan
    counts = rng.integers(0, 3, (21, 12))
    population = ResampledNeurons(rng.random((12, 9)), rng.integers(0, 3, (21, 9)))

    def all_fits():
        options = {"method": method, "clusters": np.arange(12) // 3, "device": device}
        return [
            fits_on_counts(models, neural, counts, **options),
            fits_on_counts(models, neural, counts[:2], **options),
            fits_on_counts(np.nan_to_num(models), np.nan_to_num(neural), counts, **options),
            fits_on_counts(models, population, counts, **options),
        ]

    whole = all_fits()
    for name, small in {"TILE_PAIRS": (7, 7), "TILE_ROWS": 4, "TILE_DRAWS": 6, "DEVICE_TILE": (7, 6)}.items():
        monkeypatch.setattr(fit_kernels, name, small)
    for found, expected in zip(all_fits(), whole, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_how_long_fits_will_take_is_logged_where_it_is_long(monkeypatch, caplog, rng):
    models, neural = random_rdms(3, 40, 1), random_rdms(2, 40, 2)
    monkeypatch.setattr(fit_kernels, "TILE_PAIRS", (8, 8))
    monkeypatch.setattr(fit_kernels, "LONG_SECONDS", 0.0)
    with caplog.at_level("INFO"):
        fits_on_draws(models, neural, rng.integers(0, 40, (4, 40)))
    assert [line for line in caplog.messages if line.startswith("fits of 3 x 2 RDMs on 4 draws take about")]
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("method", METHODS)
def test_torch_gives_the_same_numbers(method, rng):
    models, neural = random_rdms(3, 14, 1, 1), random_rdms(2, 14, 2, 1)
    neural.dissimilarities[1, 3] = np.nan
    draws = rng.integers(0, 14, (10, 14))
    expected = fits_on_draws(models, neural, draws, method)
    np.testing.assert_allclose(fits_on_draws(models, neural, draws, method, device="cpu"), expected, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_labels_and_not_positions_are_compared(method, model_rdms, neural_rdms, rng):
    order = rng.permutation(model_rdms.n_cond)
    shuffled = build_rdms(
        neural_rdms.get_matrices()[:, order[:, None], order],
        patterns=patterns_of(6, 3).iloc[order],
        rdms={"region": neural_rdms.rdm_descriptors["region"]},
        dissimilarity="correlation",
    )
    expected = compare_rdms(model_rdms, neural_rdms, method)
    np.testing.assert_allclose(compare_rdms(model_rdms, shuffled, method), expected, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_constant_rdms_have_no_fit(method):
    models, neural = random_rdms(2, 8, 1), random_rdms(2, 8, 2)
    models.dissimilarities[0] = 0.0 if method.startswith("cosine") else 0.7
    found = compare_rdms(models, neural, method)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()


@pytest.mark.parametrize("method", METHODS)
def test_rdms_without_a_measured_pair_have_no_fit(method):
    models, neural = random_rdms(2, 8, 1), random_rdms(1, 8, 2)
    neural.dissimilarities[:] = np.nan
    assert np.isnan(compare_rdms(models, neural, method)).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_draw_of_one_stimulus_has_no_fit(method):
    models, neural = random_rdms(2, 8, 1), random_rdms(1, 8, 2)
    draws = np.array([[3] * 8, [3] * 7 + [4], list(range(8))])
    found = fits_on_draws(models, neural, draws, method)
    assert np.isnan(found[:2]).all()
    assert np.isfinite(found[2]).all()


@pytest.mark.parametrize("method", METHODS)
def test_neurons_are_resampled_as_if_the_rdm_were_made_anew(method, layers, model_rdms, responses, rng):
    values = responses["AL", "m1"]
    neurons, stimuli = rng.integers(0, 24, (8, 24)), rng.integers(0, 18, (8, 18))
    neuron_counts = np.stack([np.bincount(row, minlength=24) for row in neurons])
    stimulus_counts = np.stack([np.bincount(row, minlength=18) for row in stimuli])
    models = model_rdms.get_vectors()
    found = fits_on_counts(models, ResampledNeurons(values, neuron_counts), stimulus_counts, method=method)
    alone = fits_on_counts(models, ResampledNeurons(values, neuron_counts), None, method=method)
    for k in range(8):
        anew = rdms_of([correlation_dissimilarity(values[:, neurons[k]])], patterns_of(6, 3), region=["AL"])
        expected = reference(model_rdms, anew, stimuli[k : k + 1], method)[0]
        np.testing.assert_allclose(found[k], expected, atol=1e-10)
        np.testing.assert_allclose(alone[k], compare(model_rdms, anew, method), atol=1e-10)


def test_euclidean_rdms_are_resampled_as_rsatoolbox_makes_them(model_rdms, responses, rng):
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    values = responses["AM", "m1"]
    neurons = rng.integers(0, 24, 24)
    counts = np.bincount(neurons, minlength=24)[None]
    found = fits_on_counts(model_rdms.get_vectors(), ResampledNeurons(values, counts, "euclidean"), None)
    expected = compare(model_rdms, calc_rdm(Dataset(values[:, neurons]), method="euclidean"), "corr")
    np.testing.assert_allclose(found[0], expected, atol=1e-10)


def test_a_stimulus_that_the_drawn_neurons_answer_alike_is_left_out_of_the_draw(model_rdms, responses):
    values = responses["AL", "m1"].copy()
    values[4, :5] = 3.0
    counts = np.zeros((1, 24), dtype=int)
    counts[0, :5] = [5, 5, 5, 5, 4]
    found = fits_on_counts(model_rdms.get_vectors(), ResampledNeurons(values, counts), None)
    rest = np.delete(np.arange(18), 4)
    drawn = np.repeat(np.arange(5), [5, 5, 5, 5, 4])
    anew = correlation_dissimilarity(values[rest][:, drawn])
    expected = compare(model_rdms.subset_pattern("index", rest), RDMs(anew[None]), "corr")
    np.testing.assert_allclose(found[0], expected, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_pairs_within_a_cluster_count_once_a_copy(method):
    """Three identities of two views, the first drawn twice: its two copies share no pair."""
    models, neural = random_rdms(2, 6, 1), random_rdms(1, 6, 2)
    found = fits_on_counts(
        models.get_vectors(),
        neural.get_vectors(),
        np.array([[2, 2, 1, 1, 0, 0]]),
        method=method,
        clusters=np.array([0, 0, 1, 1, 2, 2]),
    )
    drawn, copy = [0, 1, 0, 1, 2, 3], np.array([0, 0, 1, 1, 2, 2])
    both = []
    for rdms in (models, neural):
        matrices = rdms.get_matrices()[:, drawn][:, :, drawn]
        across = (copy[:, None] != copy) & (np.array(drawn)[:, None] // 2 == np.array(drawn) // 2)
        matrices[:, across] = np.nan
        both.append(RDMs(matrices))
    np.testing.assert_allclose(found[0], compare(*both, method), atol=1e-10)


@pytest.mark.parametrize(
    ("draws", "message"),
    [
        (np.array([[0, 1, 8]]), "draws are positions from 0 to 8, but the RDMs have the stimuli 0 to 7"),
        (np.array([[0, 1, -1]]), "draws are positions from -1 to 1"),
        (np.array([[0.0, 1.0, 2.0]]), "must be an integer array"),
        (np.array([0, 1, 2]), "must be an integer array"),
    ],
)
def test_draws_that_name_no_stimulus_are_refused(draws, message):
    with pytest.raises(InputError, match=message):
        fits_on_draws(random_rdms(1, 8, 1), random_rdms(1, 8, 2), draws)


@pytest.mark.parametrize("n_stimuli", [1, 2])
def test_fewer_than_three_stimuli_are_refused(n_stimuli):
    if n_stimuli == 1:
        rdms = build_rdms(np.zeros((1, 1, 1)), patterns=patterns_of(1, 1), rdms={}, dissimilarity="correlation")
    else:
        rdms = random_rdms(1, 2, 1)
    with pytest.raises(InputError, match="at least three stimuli"):
        compare_rdms(rdms, rdms)


def test_rdms_that_share_no_stimulus_are_refused():
    other = rdms_of(
        np.ones((1, 28)), patterns_of(8, 1).replace({"stimulus_id": r"^s"}, {"stimulus_id": "t"}, regex=True)
    )
    with pytest.raises(InputError, match="8 only in the first"):
        compare_rdms(random_rdms(1, 8, 1), other)


def test_an_unknown_method_is_refused_with_the_nearest_name():
    rdms = random_rdms(1, 8, 1)
    with pytest.raises(InputError, match="did you mean 'spearman'"):
        compare_rdms(rdms, rdms, "spaerman")
