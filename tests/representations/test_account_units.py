"""Units of accounts in several animals."""

from __future__ import annotations

import numpy as np

from neurocompare.models.accounts import ACCOUNTS
from neurocompare.representations.account_units import units_of_animals


def test_animals_differ_and_an_account_has_no_more_than_its_weights(faces, rng):
    few = faces.take(slice(0, 3))
    animals = units_of_animals(ACCOUNTS["equivariant"], [few, few], n_animals=3, n_units=7, rng=rng)
    assert len(animals) == 3
    assert {own.shape for animal in animals for own in animal.values()} == {(6, 7)}
    assert np.array_equal(animals[0]["AL"][:3], animals[0]["AL"][3:])
    assert not np.array_equal(animals[0]["AL"], animals[1]["AL"])
    shipped = units_of_animals(ACCOUNTS["discrimination"], [few], n_animals=3, n_units=7, first_seed=1000, rng=rng)
    assert len(shipped) == 1
