"""Draws of what an experiment sampled (stimuli, identities, neurons, subjects), and leaving parts of it out.

Gives multiplicities: how often each unit was drawn, the only thing that a fit needs to know of a draw. Draws in which
too few distinct units are left are drawn again and counted. Leaving out is deterministic but for the grouping of many
units into few parts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neural_data.errors import InputError, closest

__all__ = [
    "FACTORS",
    "check_factors",
    "cluster_codes",
    "draw_counts",
    "draw_identities",
    "draw_stimuli",
    "jackknife_operator",
    "leave_out",
]

FACTORS = ("stimulus", "identity", "neuron", "subject")
"""What can be resampled. ``stimulus`` and ``identity`` exclude each other."""

FEWEST_STIMULI = 3
FEWEST_GROUPS = 2


def check_factors(resample: str | Sequence[str]) -> tuple[str, ...]:
    """Factors of a resampling scheme, patterns first.

    Parameters
    ----------
    resample : str or sequence of str
        One of ``stimulus, identity, neuron, subject`` or several of them; ``"identity+neuron"`` and
        ``("identity", "neuron")`` say the same.

    Returns
    -------
    tuple of str

    Raises
    ------
    InputError
        If a factor is unknown, repeated, or stimuli are to be drawn one by one and by identity at once.
    """
    factors = tuple(part.strip() for part in resample.split("+")) if isinstance(resample, str) else tuple(resample)
    for factor in factors:
        if factor not in FACTORS:
            raise InputError(f"there is nothing called {factor!r} to resample: {closest(factor, FACTORS)}")
    if not factors or len(set(factors)) != len(factors):
        raise InputError(f"resample must name each factor once; got {resample!r}")
    if {"stimulus", "identity"} <= set(factors):
        raise InputError("resample either 'stimulus' or 'identity': an identity brings all of its stimuli along")
    return tuple(sorted(factors, key=FACTORS.index))


def draw_counts(n_units: int, n_draws: int, *, rng: np.random.Generator, fewest: int = 1) -> tuple[np.ndarray, int]:
    """How often each unit comes up in draws of as many units with replacement.

    Parameters
    ----------
    n_units, n_draws : int
    rng : numpy.random.Generator
        Source of the draws.
    fewest : int
        Draws with fewer distinct units are drawn again.

    Returns
    -------
    counts : integer array of shape (n_draws, n_units)
        Rows sum to ``n_units``.
    n_redrawn : int
        Draws that were thrown away.

    Raises
    ------
    ValueError
        If there are fewer units than must be distinct.
    """
    if n_units < fewest:
        raise ValueError(f"{fewest} distinct units of {n_units} cannot be drawn")
    counts = _one_round(n_units, n_draws, rng)
    n_redrawn = 0
    poor = np.flatnonzero((counts > 0).sum(axis=1) < fewest)
    while len(poor):
        n_redrawn += len(poor)
        counts[poor] = _one_round(n_units, len(poor), rng)
        poor = poor[(counts[poor] > 0).sum(axis=1) < fewest]
    return counts, n_redrawn


def draw_stimuli(n_stimuli: int, n_draws: int, *, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """Multiplicities (n_draws, n_stimuli) of stimuli drawn one by one, at least three distinct; and the redrawn."""
    return draw_counts(n_stimuli, n_draws, rng=rng, fewest=FEWEST_STIMULI)


def draw_identities(codes: np.ndarray, n_draws: int, *, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """Multiplicities of stimuli when identities are drawn with all of their views.

    Parameters
    ----------
    codes : integer array of shape (n_stimuli,)
        Identity of each stimulus, numbered from 0.
    n_draws : int
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    counts : integer array of shape (n_draws, n_stimuli)
        At least two distinct identities in each draw.
    n_redrawn : int
        Draws that were thrown away.
    """
    counts, n_redrawn = draw_counts(int(codes.max()) + 1, n_draws, rng=rng, fewest=FEWEST_GROUPS)
    return counts[:, codes], n_redrawn


def leave_out(n_units: int, most: int, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Units that stay when each part of them is left out in turn.

    Parameters
    ----------
    n_units : int
    most : int
        Parts to make at most; fewer units are left out one by one.
    rng : numpy.random.Generator
        Deals units out to parts, where there are more units than parts.

    Returns
    -------
    counts : integer array of shape (n_parts, n_units)
        0 for the units left out, 1 for the others.
    shares : array of shape (n_parts,)
        The share of units in each part.
    """
    n_parts = min(n_units, most)
    part = np.arange(n_units) % n_parts
    if n_parts < n_units:
        part = rng.permutation(part)
    counts = (part[None, :] != np.arange(n_parts)[:, None]).astype(int)
    return counts, 1 - counts.mean(axis=1)


def jackknife_operator(shares: np.ndarray) -> np.ndarray:
    """Matrix that turns statistics with parts left out into deviations whose squares add up to a variance.

    Parameters
    ----------
    shares : array of shape (n_parts,)
        The share of units that was left out each time.

    Returns
    -------
    array of shape (n_parts, n_parts + 1)
        To be multiplied with the statistic without each part, followed by the statistic on all units. Two of them,
        one an axis, turn a table with parts of two crossed factors left out into deviations of their interaction.

    References
    ----------
    Busing, Meijer & van der Leeden (1999), Statistics and Computing 9:3, for parts of unequal size; with parts of one
    unit it is Tukey's jackknife.
    """
    n_parts = len(shares)
    times = 1 / shares
    pseudovalues = np.zeros((n_parts, n_parts + 1))
    pseudovalues[:, :-1] = np.diag(1 - times) + (1 - shares)[None, :]
    pseudovalues[:, -1] = times - n_parts
    return pseudovalues / np.sqrt(n_parts * (times - 1))[:, None]


def cluster_codes(labels: Sequence) -> np.ndarray:
    """Number of each label in order of first appearance, integer array of shape (n_labels,)."""
    places: dict = {}
    return np.array([places.setdefault(label, len(places)) for label in labels], dtype=int)


def _one_round(n_units: int, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.integers(0, n_units, (n_draws, n_units)) + np.arange(n_draws)[:, None] * n_units
    return np.bincount(drawn.ravel(), minlength=n_draws * n_units).reshape(n_draws, n_units)
