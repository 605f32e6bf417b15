"""Units of the stages of an account, in one or several animals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from neural_data.stimuli import StimulusSet
from neurocompare.models.accounts import Account
from neurocompare.representations.sampled_units import choose_units, sampled_units

__all__ = ["some_units", "units_of_animals"]


def units_of_animals(
    account: Account,
    seeds: Iterable[int],
    shown: Sequence[StimulusSet],
    *,
    n_units: int,
    rng: np.random.Generator,
) -> list[Mapping[str, np.ndarray]]:
    """Responses of random units of each stage to several sets of stimuli, in several animals.

    Parameters
    ----------
    account : Account
        Whose stages are read.
    seeds : iterable of int
        Of the animals.
    shown : sequence of StimulusSet
        Presented to every animal; the same units are read in all.
    n_units : int
        Units of each stage, at most.
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
    for seed in seeds:
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


def some_units(animal: Mapping[str, np.ndarray], n_units: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random units of each stage of an animal.

    Parameters
    ----------
    animal : mapping of str to array of shape (n_stimuli, n_units)
        From :func:`units_of_animals`.
    n_units : int
        Of each stage, at most.
    rng : numpy.random.Generator
        Chooses units.

    Returns
    -------
    dict of str to array of shape (n_stimuli, at most n_units)
    """
    return {
        stage: units[:, rng.choice(units.shape[1], min(n_units, units.shape[1]), replace=False)]
        for stage, units in animal.items()
    }
