"""What is left out and drawn of an experiment: parts of its identities and neurons, by the seed of an analysis.

Fits, read-outs, links, codes and indices of one recording can so be compared with each other, over time as well: with
equal seeds they leave out, and draw, the same identities and the same neurons of each patch.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np

from neural_data.errors import InputError
from neurocompare.comparison.resampling import FACTORS, draw_counts, jackknife_operator, leave_out

__all__ = ["STIMULI", "Sampled", "parts_of", "sample", "seed_of", "source_of", "unit_codes"]

STIMULI = 0
"""Place of the stimuli (identities) among what is sampled; patches follow in their order, from 1 on."""


@dataclass(frozen=True)
class Sampled:
    """Parts and draws of the units of one factor.

    Parameters
    ----------
    kept, operator : arrays of shape (n_parts + 1, n_units) and (n_parts, n_parts + 1)
        From :func:`parts_of`.
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


def unit_codes(labels: Iterable[Hashable]) -> np.ndarray:
    """Number of the unit of each stimulus, by its label and not by its place.

    Recordings and RDMs that hold the same stimuli in different orders so leave out, and draw, the same ones.

    Parameters
    ----------
    labels : iterable of hashable
        Identities, or ids of stimuli.

    Returns
    -------
    integer array of shape (n_labels,)
        Places among the different labels, sorted as text.
    """
    return np.unique([str(label) for label in labels], return_inverse=True)[1]


def parts_of(name: str, n_units: int, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Parts that are left out in turn of the units of a factor.

    Parameters
    ----------
    name : str
        Name in ``resampling.FACTORS``.
    n_units : int
        Units that there are.
    rng : numpy.random.Generator
        Deals units out to parts, where there are more units than parts.

    Returns
    -------
    kept : integer array of shape (n_parts + 1, n_units)
        0 for the units that each part leaves out, 1 for the others; the last row leaves out none.
    operator : array of shape (n_parts, n_parts + 1)
        Jackknife operator over the parts, see ``resampling.jackknife_operator``.
    """
    left, shares = leave_out(n_units, FACTORS[name].parts(n_units), rng=rng)
    return np.concatenate([left, np.ones((1, n_units), dtype=int)]), jackknife_operator(shares)


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
    kept, operator = parts_of(name, n_units, rng=rng)
    drawn, n_redrawn = draw_counts(n_units, n_draws, rng=rng, fewest=factor.fewest_distinct)
    return Sampled(kept, operator, drawn, n_redrawn)
