"""Units of the stages of an account."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np

from neural_data.stimuli import StimulusSet
from neurocompare.models.accounts import Account
from neurocompare.representations.sampled_units import choose_units, sampled_units

__all__ = ["some_units", "units_of_animal"]

_loading = threading.Lock()
"""Networks are made and inspected one at a time: both may seed torch's one generator of random numbers."""


def units_of_animal(
    account: Account,
    seed: int,
    shown: Sequence[StimulusSet],
    *,
    n_units: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Responses of random units of each stage to several sets of stimuli, in one animal; safe in threads.

    Parameters
    ----------
    account : Account
        Whose stages are read.
    seed : int
        Of the animal.
    shown : sequence of StimulusSet
        The same units are read with all.
    n_units : int
        Units of each stage, at most.
    rng : numpy.random.Generator
        Chooses units.

    Returns
    -------
    dict of str to array of shape (n_stimuli of all sets, n_units), float32
        By stage (``models.accounts.STAGES``).

    Raises
    ------
    InputError
        If a network cannot be loaded, or a response is not finite.
    """
    with _loading:
        network = account.load(seed)
        chosen = choose_units(network, list(account.stages.values()), n_units, rng=rng)
    parts = [sampled_units(network, stimuli, chosen) for stimuli in shown]
    return {
        stage: np.concatenate([part[layer] for part in parts]).astype(np.float32)
        for stage, layer in account.stages.items()
    }


def some_units(animal: Mapping[str, np.ndarray], n_units: int, *, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random units of each stage of an animal.

    Parameters
    ----------
    animal : mapping of str to array of shape (n_stimuli, n_units)
        From :func:`units_of_animal`.
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
