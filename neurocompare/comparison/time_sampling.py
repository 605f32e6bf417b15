"""What analyses over time leave out and draw: the same identities and neurons in all bins, and in all curves of a seed.

Codes, fits, read-outs and the index of one recording can so be compared with each other: with equal seeds they leave
out, and draw, the same identities and the same neurons of each patch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neural_data.errors import InputError
from neurocompare.comparison.resampling import FACTORS, draw_counts, jackknife_operator, leave_out

__all__ = ["STIMULI", "Sampled", "sample", "seed_of", "source_of"]

STIMULI = 0
"""Place of the stimuli (identities) among what is sampled; patches follow in their order, from 1 on."""


@dataclass(frozen=True)
class Sampled:
    """Parts and draws of the units of one factor.

    Parameters
    ----------
    kept : integer array of shape (n_parts + 1, n_units)
        0 for the units that each part leaves out, 1 for the others; the last row leaves out none.
    operator : array of shape (n_parts, n_parts + 1)
        Jackknife operator over the parts, see ``resampling.jackknife_operator``.
    drawn : integer array of shape (n_draws, n_units)
        How often each unit was drawn.
    n_redrawn : int
        Draws with too few different units, which were drawn again.
    """

    kept: np.ndarray
    operator: np.ndarray
    drawn: np.ndarray
    n_redrawn: int


def seed_of(rng: np.random.Generator) -> int:
    """Seed of all parts and draws of an analysis: the first number of its generator."""
    return int(rng.integers(2**63))


def source_of(seed: int, place: int) -> np.random.Generator:
    """Generator of the parts and draws of one axis.

    Parameters
    ----------
    seed : int
        From :func:`seed_of`.
    place : int
        :data:`STIMULI`, or 1 for the neurons of the first patch, 2 for those of the second.
    """
    return np.random.default_rng([seed, place])


def sample(name: str, n_units: int, n_draws: int, *, rng: np.random.Generator) -> Sampled:
    """Parts that are left out, and draws with replacement, of the units of a factor.

    Parameters
    ----------
    name : str
        Name in ``resampling.FACTORS``.
    n_units : int
        Units that there are.
    n_draws : int
        Draws wanted.
    rng : numpy.random.Generator
        From :func:`source_of`.

    Raises
    ------
    InputError
        If there are too few units.
    """
    factor = FACTORS[name]
    if n_units < factor.fewest:
        raise InputError(f"resampling {factor.plural} needs at least {factor.fewest} of them; there are {n_units}")
    left, shares = leave_out(n_units, factor.parts(n_units), rng=rng)
    drawn, n_redrawn = draw_counts(n_units, n_draws, rng=rng, fewest=factor.fewest_distinct)
    return Sampled(
        np.concatenate([left, np.ones((1, n_units), dtype=int)]), jackknife_operator(shares), drawn, n_redrawn
    )
