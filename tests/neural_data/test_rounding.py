"""Numbers that are equal but for rounding are equal, whatever decides by them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp

from neural_data.rounding import difference, first_largest, is_constant, merge_ties, tie_starts

values = hnp.arrays(float, st.integers(1, 12), elements=st.sampled_from([-3.0, -1.0, 0.0, 0.5, 1.0, 7.0]))


def jittered(numbers: np.ndarray, seed: int, size: float = 1e-14) -> np.ndarray:
    """The same numbers as another processor might give them."""
    rng = np.random.default_rng(seed)
    return numbers + size * np.abs(numbers).max() * rng.uniform(-1, 1, numbers.shape)


def test_equal_numbers_differ_by_exactly_nothing_and_others_by_what_they_do():
    found = difference([1.0, 1.0, np.nan], [1.0 + 1e-15, 0.99, 1.0])
    np.testing.assert_array_equal(found, [0.0, 1.0 - 0.99, np.nan])


def test_small_numbers_differ_by_their_own_size():
    assert difference([3e-9], [1e-9])[0] == 3e-9 - 1e-9


@given(values, st.integers(0, 99))
def test_the_first_of_equal_largest_numbers_wins_whatever_the_rounding(numbers, seed):
    assert first_largest(jittered(numbers, seed)) == np.argmax(numbers)


def test_nan_is_never_the_largest():
    np.testing.assert_array_equal(first_largest([[np.nan, 1.0, 2.0], [0.0, np.nan, -1.0]], axis=1), [2, 0])
    assert first_largest([np.nan, np.nan]) == 0


@given(values, st.integers(0, 99))
def test_ties_are_those_of_the_numbers_before_rounding(numbers, seed):
    merged = merge_ties(jittered(numbers, seed))
    np.testing.assert_array_equal(merged[:, None] == merged, numbers[:, None] == numbers)
    np.testing.assert_array_equal(
        np.sign(np.subtract.outer(merged, merged)), np.sign(np.subtract.outer(numbers, numbers))
    )


def test_numbers_that_differ_are_left_as_they_are():
    numbers = np.array([[0.3, np.nan], [0.1, 0.2]])
    np.testing.assert_array_equal(merge_ties(numbers), numbers)


@given(values, st.integers(0, 99))
def test_each_different_number_starts_a_tie(numbers, seed):
    ordered = np.sort(numbers)
    wanted = np.append(True, ordered[1:] != ordered[:-1])
    np.testing.assert_array_equal(tie_starts(np.sort(jittered(numbers, seed))[None])[0], wanted)


@pytest.mark.parametrize(
    ("row", "constant"), [([0.1 + 0.2, 0.3, 0.3], True), ([0.3, 0.3 + 1e-9], False), ([0.0, 0.0], True)]
)
def test_a_row_is_constant_where_only_rounding_varies(row, constant):
    assert is_constant(np.array(row)) == constant
