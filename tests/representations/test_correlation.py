"""Pearson's r of rows against NumPy's, on arrays and tensors, and what counts as constant."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neurocompare.representations.correlation import correlate_rows


def test_rows_are_correlated_as_numpy_does(rng):
    first, second = rng.normal(50, 3, (2, 4, 5, 9))
    found = correlate_rows(first, second)
    pairs = zip(first.reshape(-1, 9), second.reshape(-1, 9), strict=True)
    expected = np.reshape([np.corrcoef(a, b)[0, 1] for a, b in pairs], (4, 5))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(correlate_rows(torch.tensor(first), torch.tensor(second)).numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(correlate_rows(first[0], second[0, 1])[3], np.corrcoef(first[0, 3], second[0, 1])[0, 1])


def test_entries_left_out_do_not_count(rng):
    first, second = rng.normal(size=(2, 3, 8))
    kept = np.array([1, 1, 0, 1, 0, 1, 1, 1], dtype=bool)
    expected = correlate_rows(first[:, kept], second[:, kept])
    np.testing.assert_allclose(correlate_rows(first, second, kept), expected, atol=1e-12)
    tensors = (torch.tensor(values) for values in (first, second, kept))
    np.testing.assert_allclose(correlate_rows(*tensors).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("make", [np.asarray, torch.tensor, lambda rows: torch.tensor(rows, dtype=torch.float32)])
def test_a_constant_row_has_no_correlation_whatever_rounding_leaves(make, rng):
    varying = rng.normal(size=(3, 7))
    rows = np.stack([np.full(7, 0.1), np.full(7, 1 / 3) * (1 + 1e-16 * np.arange(7)), varying[2]])
    found = np.asarray(correlate_rows(make(rows), make(varying)))
    assert np.isnan(found[:2]).all()
    assert float(found[2]) == pytest.approx(1)
    assert np.isnan(np.asarray(correlate_rows(make(rows[:, :1]), make(varying[:, :1])))).all()
    rows[2, 0] = np.nan
    assert np.isnan(np.asarray(correlate_rows(make(rows), make(varying)))).all()


def test_integers_are_numbers_too():
    assert correlate_rows(np.array([[1, 2, 3]]), np.array([[3, 2, 1]]))[0] == -1
    assert correlate_rows(torch.tensor([[1, 2, 3]]), torch.tensor([[1, 2, 3]]))[0] == 1
