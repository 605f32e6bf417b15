"""Draws of what an experiment sampled (stimuli, identities, neurons, subjects), and leaving parts of it out.

Gives multiplicities: how often each unit was drawn, the only thing that a fit needs to know of a draw. Draws in which
too few distinct units are left are drawn again and counted. Leaving out is deterministic but for the grouping of many
units into few parts.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from neural_data.errors import InputError, closest

__all__ = [
    "FACTORS",
    "Factor",
    "check_factors",
    "cluster_codes",
    "draw_counts",
    "draw_stimuli",
    "factors_along",
    "jackknife_operator",
    "leave_out",
]

AXES = ("stimuli", "neurons", "subjects")
"""What the units of a factor are made of; ``refitting`` knows how to draw and leave out along each."""


@dataclass(frozen=True)
class Factor:
    """Something that an experiment sampled and a claim generalises over.

    Parameters
    ----------
    name, plural : str
        One unit and several: ``identity`` as in study files and tables, ``identities`` as in sentences.
    axis : {"stimuli", "neurons", "subjects"}
        What is drawn and left out. Factors of one axis exclude each other.
    together : str
        Pattern descriptor whose equal values are drawn and left out together; empty where stimuli go one by one.
    phrase : str
        The plural with what a reader of a methods section must know.
    fewest : int
        Units that an experiment must have.
    fewest_distinct : int
        Distinct units of a draw; draws with fewer are drawn again.
    most_parts : int or None
        Parts that the units are left out in, at most; None leaves them out one by one. Crossed factors need the
        product of two of these many fits.
    degree : int
        A fit is a polynomial of at most this degree in how often each unit counts.
    """

    name: str
    plural: str
    axis: str
    together: str = ""
    phrase: str = ""
    fewest: int = 2
    fewest_distinct: int = 1
    most_parts: int | None = None
    degree: int = 2

    def __post_init__(self):
        if self.axis not in AXES:
            raise ValueError(f"factor {self.name!r} has the axis {self.axis!r}; there are {', '.join(AXES)}")

    def parts(self, n_units: int) -> int:
        """Parts that so many units are left out in."""
        return n_units if self.most_parts is None else min(n_units, self.most_parts)


FACTORS: dict[str, Factor] = {
    factor.name: factor
    for factor in (
        Factor("stimulus", "stimuli", "stimuli", fewest=3, fewest_distinct=3, most_parts=50),
        Factor(
            "identity",
            "identities",
            "stimuli",
            together="identity",
            phrase="identities (all views together)",
            fewest=3,
            fewest_distinct=2,
            most_parts=50,
        ),
        Factor("neuron", "neurons", "neurons", fewest=4, fewest_distinct=3, most_parts=30),
        Factor("subject", "subjects", "subjects", fewest=2, degree=1),
    )
}
"""What can be resampled, by name, in the order in which crossed factors are named. To add one, add its record here."""


def check_factors(resample: str | Sequence[str]) -> tuple[str, ...]:
    """Factors of a resampling scheme, patterns first.

    Parameters
    ----------
    resample : str or sequence of str
        One of :data:`FACTORS` (``stimulus, identity, neuron, subject``) or several of them; ``"identity+neuron"`` and
        ``("identity", "neuron")`` say the same.

    Returns
    -------
    tuple of str

    Raises
    ------
    InputError
        If a factor is unknown or repeated, or two draw the same, as ``stimulus`` and ``identity`` do.
    """
    factors = tuple(part.strip() for part in resample.split("+")) if isinstance(resample, str) else tuple(resample)
    for factor in factors:
        if factor not in FACTORS:
            raise InputError(f"{factor!r} cannot be resampled: {closest(factor, FACTORS)}")
    if not factors or len(set(factors)) != len(factors):
        raise InputError(f"resample must name each factor once; got {resample!r}")
    factors = tuple(sorted(factors, key=list(FACTORS).index))
    for axis in AXES:
        same = factors_along(axis, factors)
        if len(same) > 1:
            raise InputError(
                f"resample either {' or '.join(map(repr, same))}: both draw {axis}, because an identity is drawn with "
                "all of its stimuli"
            )
    return factors


def factors_along(axis: str, factors: Sequence[str]) -> tuple[str, ...]:
    """Those of the factors whose units are made of ``axis``: stimuli, neurons or subjects."""
    return tuple(factor for factor in factors if FACTORS[factor].axis == axis)


def draw_counts(n_units: int, n_draws: int, *, rng: np.random.Generator, fewest: int = 1) -> tuple[np.ndarray, int]:
    """How often each unit comes up in draws of as many units with replacement.

    Parameters
    ----------
    n_units, n_draws : int
        Units that there are, which is also the size of a draw, and number of draws.
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


def draw_stimuli(
    factor: Factor, codes: np.ndarray, n_draws: int, *, rng: np.random.Generator
) -> tuple[np.ndarray, int]:
    """Multiplicities of stimuli when units of a factor are drawn with all of their stimuli.

    Parameters
    ----------
    factor : Factor
        One along stimuli.
    codes : integer array of shape (n_stimuli,)
        Unit that each stimulus belongs to, numbered from 0.
    n_draws : int
        Number of draws.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    counts : integer array of shape (n_draws, n_stimuli)
        At least ``factor.fewest_distinct`` distinct units in each draw.
    n_redrawn : int
        Draws that were thrown away.
    """
    counts, n_redrawn = draw_counts(int(codes.max()) + 1, n_draws, rng=rng, fewest=factor.fewest_distinct)
    return counts[:, codes], n_redrawn


def leave_out(n_units: int, n_parts: int, *, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Units that stay when each part of them is left out in turn.

    Parameters
    ----------
    n_units : int
        Units that there are.
    n_parts : int
        Parts to make, at most as many as units; see :meth:`Factor.parts`.
    rng : numpy.random.Generator
        Deals units out to parts, where there are more units than parts.

    Returns
    -------
    counts : integer array of shape (n_parts, n_units)
        0 for the units left out, 1 for the others.
    shares : array of shape (n_parts,)
        The share of units in each part.
    """
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
        one per axis, turn a table with parts of two crossed factors left out into deviations of their interaction.

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


def cluster_codes(labels: Iterable[Hashable]) -> np.ndarray:
    """Number of each label in order of first appearance, integer array of shape (n_labels,)."""
    places: dict = {}
    return np.array([places.setdefault(label, len(places)) for label in labels], dtype=int)


def _one_round(n_units: int, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.integers(0, n_units, (n_draws, n_units)) + np.arange(n_draws)[:, None] * n_units
    return np.bincount(drawn.ravel(), minlength=n_draws * n_units).reshape(n_draws, n_units)
