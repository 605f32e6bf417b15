"""Units of accounts in several animals."""

from __future__ import annotations

import numpy as np

from neurocompare.models.accounts import ACCOUNTS
from neurocompare.representations.account_units import some_units, units_of_animal


def test_animals_differ_and_the_same_units_see_all_sets(faces, rng):
    few = faces.take(slice(0, 3))
    animals = [units_of_animal(ACCOUNTS["equivariant"], seed, [few, few], n_units=7, rng=rng) for seed in range(3)]
    assert {own.shape for animal in animals for own in animal.values()} == {(6, 7)}
    assert np.array_equal(animals[0]["AL"][:3], animals[0]["AL"][3:])
    assert not np.array_equal(animals[0]["AL"], animals[1]["AL"])
    some = some_units(animals[0], 3, rng=rng)["AL"]
    assert some.shape == (6, 3)
    assert {tuple(unit) for unit in some.T} <= {tuple(unit) for unit in animals[0]["AL"].T}
    assert some_units(animals[0], 100, rng=rng)["AL"].shape == (6, 7)
