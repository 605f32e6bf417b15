"""A few damaged inputs for every reader; ``make fuzz`` tries many."""

from __future__ import annotations

import pytest

from tests.fuzz.readers import READERS, digest
from tests.fuzz.trial import GOOD, try_reader

N = 8


def test_every_reader_has_a_name_of_its_own():
    assert len({reader.name for reader in READERS}) == len(READERS) >= 54


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_damaged_input_is_refused_or_read_rightly(reader):
    bad = [trial for trial in try_reader(reader, iter(range(N))) if trial.outcome not in GOOD]
    assert not bad


def test_values_that_differ_have_another_digest():
    values = [1, 1.0, "1", [1], {"a": 1}, {"a": 2}, None, b"1", True]
    assert len({digest(value) for value in values}) == len(values)
