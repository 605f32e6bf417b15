"""Units of the stages of an account, in one or several animals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from neural_data.stimuli import StimulusSet
from neurocompare.models.accounts import Account
from neurocompare.representations.sampled_units import choose_units, sampled_units

__all__ = ["units_of_animals"]


def units_of_animals(
    account: Account,
    shown: Sequence[StimulusSet],
    *,
    n_animals: int,
    n_units: int,
    first_seed: int = 0,
    rng: np.random.Generator,
) -> list[Mapping[str, np.ndarray]]:
    """Responses of random units of each stage to several sets of stimuli, in several animals.

    Parameters
    ----------
    account : Account
        Whose stages are read.
    shown : sequence of StimulusSet
        Presented to every animal; the same units are read in all.
    n_animals : int
        At most as many as the account has.
    n_units : int
        Units of each stage, at most.
    first_seed : int
        Seed of the first animal; the others follow.
    rng : numpy.random.Generator
        Chooses units.

    Returns
    -------
    list of dict of str to array of shape (n_stimuli of all sets, n_units), float32
        By stage (``models.accounts.STAGES``), one dictionary per animal.

    Raises
    ------
    InputError
        If a network cannot be loaded, or a response is not finite.
    """
    animals: list[Mapping[str, np.ndarray]] = []
    n_there = n_animals if account.n_animals is None else min(n_animals, account.n_animals)
    for seed in range(first_seed, first_seed + n_there):
        network = account.load(seed)
        chosen = choose_units(network, list(account.stages.values()), n_units, rng=rng)
        parts = [sampled_units(network, stimuli, chosen) for stimuli in shown]
        animals.append(
            {
                stage: np.concatenate([part[layer] for part in parts]).astype(np.float32)
                for stage, layer in account.stages.items()
            }
        )
    return animals
