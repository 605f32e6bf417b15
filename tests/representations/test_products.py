"""Sums over units against NumPy in float64, where float32 sums alone would lose the answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist

from neurocompare.representations import products
from neurocompare.representations.products import PatternSums, UnitStatistics, threads_left_to_blas


def summed(responses, *, block=1000):
    """Sums of responses (n_groups, size, n_units) taken in blocks of units."""
    n_groups, size, n_units = responses.shape
    sums = PatternSums(n_groups, size, responses.dtype)
    sums.count(n_units, n_units)
    for start in range(0, n_units, block):
        units = responses[:, :, start : start + block]
        patterns = torch.full((n_groups, size + 2, units.shape[2]), torch.nan, dtype=responses.dtype)
        patterns[:, :size] = units
        sums.add(patterns, slice(0, n_groups))
    return sums


@pytest.mark.parametrize("n_groups", [1, 4])
@pytest.mark.parametrize("level", [0.0, 50.0])
@pytest.mark.parametrize("spread_of_stimuli", [1.0, 0.02])
def test_correlations_survive_a_high_level_and_stimuli_that_are_answered_alike(n_groups, level, spread_of_stimuli, rng):
    units = rng.normal(size=(1, 1, 5000))
    values = level + 0.3 * (units + spread_of_stimuli * rng.normal(size=(n_groups, 6, 5000)))
    responses = torch.tensor(values, dtype=torch.float32)
    found = summed(responses).dissimilarities("correlation")
    for values, group in zip(found, responses.double().numpy(), strict=True):
        np.testing.assert_allclose(values, pdist(group, "correlation"), rtol=2e-6)


@pytest.mark.parametrize(("size", "n_units"), [(25, 5000), (700, 40), (2300, 40)])
@pytest.mark.parametrize("way", ["CPU", "any device"])
def test_more_stimuli_or_units_than_fit_in_one_product_count_all(size, n_units, way, rng, monkeypatch):
    if way == "any device":
        monkeypatch.setattr(PatternSums, "_strips", lambda _sums, patterns: products._strips_on_device(patterns))
    responses = torch.tensor(rng.normal(size=(1, size, n_units)))
    np.testing.assert_allclose(
        next(summed(responses, block=n_units).dissimilarities("correlation")),
        pdist(responses[0], "correlation"),
        atol=1e-12,
    )


@pytest.mark.parametrize(("device", "within"), [("cpu", 1), ("meta", 3)])
def test_torch_has_its_threads_back_after_the_products_and_after_an_error(device, within):
    before = torch.get_num_threads()

    def run_out_of_memory():
        with threads_left_to_blas(torch.device(device)):
            assert torch.get_num_threads() == within
            raise MemoryError

    torch.set_num_threads(3)
    try:
        with pytest.raises(MemoryError):
            run_out_of_memory()
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("level", [0.0, 1000.0])
def test_statistics_of_units_from_batches_equal_those_of_all_stimuli(level, rng):
    responses = torch.tensor(level + rng.normal(size=(90, 50)) * np.logspace(-1, 2, 50), dtype=torch.float32)
    responses[:, 3] = 0.1
    statistics = UnitStatistics(50, torch.device("cpu"))
    for start, stop in [(0, 7), (7, 60), (60, 90)]:
        for units in (slice(0, 20), slice(20, 50)):
            batch = responses[start:stop, units]
            statistics.add(batch, units, scratch=torch.empty_like(batch))
        statistics.n += stop - start
    means, scales = statistics.finish(90, torch.float32)
    expected = responses.double().numpy()
    error = np.abs(means.numpy() - expected.mean(axis=0))
    assert (error <= 1e-6 * (np.abs(expected.mean(axis=0)) + expected.std(axis=0))).all()
    varying = np.arange(50) != 3
    np.testing.assert_allclose(1 / scales[varying], expected.std(axis=0)[varying], rtol=1e-5)
    assert scales[3] == 0


def test_variation_that_is_rounding_makes_no_unit_vary():
    responses = torch.full((40, 2), 3.7)
    responses[::2, 0] = torch.nextafter(responses[0, 0], torch.tensor(10.0))
    responses[::2, 1] += 1e-4
    statistics = UnitStatistics(2, torch.device("cpu"))
    statistics.add(responses, slice(0, 2), scratch=torch.empty_like(responses))
    assert (statistics.finish(40, torch.float32)[1] > 0).tolist() == [False, True]
