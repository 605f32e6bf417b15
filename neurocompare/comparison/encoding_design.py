"""What a read-out holds out, leaves out, draws and permutes, and the neurons that it predicts.

Takes a table of stimuli, factors to resample and responses of patches; gives a :class:`Design`, the same for all layers
and patches, and a :class:`ResampledPatch` each. The read-outs are in ``encoding`` and ``matching``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import xarray as xr
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError, closest
from neural_data.rounding import is_constant
from neurocompare.comparison.controls import identity_codes, view_codes
from neurocompare.comparison.identity_tests import identity_grid, identity_orders
from neurocompare.comparison.inference import default_factors
from neurocompare.comparison.patch_responses import PatchResponses, neuron_reliabilities
from neurocompare.comparison.resampling import (
    FACTORS,
    check_factors,
    cluster_codes,
    factors_along,
)
from neurocompare.comparison.ridge import PENALTIES, find_score
from neurocompare.comparison.sampling import sample, unit_codes

__all__ = [
    "ACROSS",
    "Design",
    "Encoding",
    "ResampledPatch",
    "design_of",
    "factors_or_usual",
    "neurons_of",
    "usual_question",
]

FEWEST_FOLDS = 3
"""One is held out, and at least two are needed to choose the penalty."""

Codes = Callable[[pd.DataFrame], np.ndarray]


def _each(patterns: pd.DataFrame) -> np.ndarray:
    return np.arange(len(patterns))


ACROSS: dict[str, Codes] = {"identity": identity_codes, "view": view_codes, "stimulus": _each}
"""What a fold holds out together, by name: a function from the stimulus table to numbers from 0. ``identity``: does the
read-out predict responses to new faces? ``view``: does it predict responses to known faces in new views?"""


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """Settings of a read-out.

    Parameters
    ----------
    across : {"identity", "view", "stimulus"} or None
        What is held out together, in outer and inner folds, see :data:`ACROSS`; None: identities where there are fewer
        of them than stimuli, else stimuli.
    score : {"corr", "r2"}
        Score of predictions, see ``ridge.SCORES``; responses and predictions are compared within folds.
    n_folds : int
        Outer folds at most; the inner folds of each are the others.
    penalties : sequence of float
        Penalties to choose from, in units of the mean variance of a stimulus.
    per_neuron : bool
        Whether each neuron has its own penalty (and mixture of layers); otherwise the neurons of a patch share it,
        which is what is best for all of them, each at unit variance.
    n_mixtures : int
        Random mixtures to choose from where more than three layers are joined; two and three have a grid.
    """

    across: str | None = None
    score: str = "corr"
    n_folds: int = 5
    penalties: Sequence[float] = PENALTIES
    per_neuron: bool = False
    n_mixtures: int = 20

    def __post_init__(self):
        if self.across is not None and self.across not in ACROSS:
            raise InputError(f"read-outs cannot be tested across {self.across!r}: {closest(self.across, ACROSS)}")
        find_score(self.score)
        if self.n_folds < FEWEST_FOLDS:
            raise InputError(
                f"n_folds is {self.n_folds}; nested cross-validation needs at least {FEWEST_FOLDS} folds: one held "
                "out, two to choose the penalty"
            )
        if not len(self.penalties) or not all(0 < penalty < np.inf for penalty in self.penalties):
            raise InputError(f"penalties must be numbers above 0; got {list(self.penalties)}")


@dataclass(frozen=True)
class Design:
    """What is held out, left out, drawn and permuted; the same for all layers and patches.

    Parameters
    ----------
    folds : integer array of shape (n_stimuli,)
        Fold of each stimulus.
    factors : tuple of str
        What is resampled: names in ``resampling.FACTORS``.
    left_out : boolean array of shape (n_parts, n_stimuli)
        Stimuli left out with each part of the identities; no rows if they are not resampled.
    operator : array or None
        Jackknife operator over these parts.
    counts : integer array of shape (n_draws, n_stimuli)
        Draws of identities; ones if they are not resampled.
    orders : integer array of shape (n_permutations, n_stimuli), or str
        Orders of the responses under permuted identities; or why there are none.
    n_redrawn : dict of str to int
        Draws of each factor that held too few different units, and were drawn again.
    """

    folds: np.ndarray
    factors: tuple[str, ...]
    left_out: np.ndarray
    operator: np.ndarray | None
    counts: np.ndarray
    orders: np.ndarray | str
    n_redrawn: dict[str, int] = field(default_factory=dict)

    @property
    def weights(self) -> np.ndarray:
        """Weights of stimuli without each part, and of all in the last row, (n_parts + 1, n_stimuli)."""
        return np.concatenate([~self.left_out, np.ones((1, len(self.folds)), dtype=bool)]).astype(float)


@dataclass(frozen=True)
class ResampledPatch:
    """Resampling of the neurons of one patch, and their reliabilities.

    Parameters
    ----------
    patch : PatchResponses
        Responses of the neurons.
    scaled : array of shape (n_stimuli, n_neurons)
        Responses at unit variance.
    kept : array of shape (n_parts + 1, n_neurons)
        Neurons that stay without each part; all in the last row.
    operators : list of array
        One jackknife operator; none if neurons are not resampled.
    counts : array of shape (n_draws, n_neurons)
        How often each neuron was drawn.
    reliability : array of shape (n_pattern_parts + 1, n_neurons)
        Reliability of each neuron, or its root, without each part of the identities; of all in the last row.
    """

    patch: PatchResponses
    scaled: np.ndarray
    kept: np.ndarray
    operators: list[np.ndarray]
    counts: np.ndarray
    reliability: np.ndarray


def factors_or_usual(
    resample: str | Sequence[str] | None, layers: RDMs, recording: xr.DataArray | Mapping
) -> tuple[str, ...]:
    """Factors to resample, checked; None takes those of ``inference.default_factors``."""
    return check_factors(resample if resample is not None else default_factors(layers, layers, recording=recording))


def usual_question(layers: RDMs) -> str:
    """What is held out together unless the settings say: identities where there are enough of them, else stimuli."""
    return default_factors(layers, layers)[0]


def design_of(
    settings: Encoding,
    across: str,
    patterns: pd.DataFrame,
    factors: tuple[str, ...],
    sizes: tuple[int, int],
    rng: np.random.Generator,
    *,
    units: np.random.Generator | None = None,
) -> Design:
    """What is held out, left out, drawn and permuted.

    Parameters
    ----------
    settings : Encoding
        Settings of the regressions.
    across : str
        Name in :data:`ACROSS`.
    patterns : pandas.DataFrame
        One row per stimulus.
    factors : tuple of str
        What is resampled: names in ``resampling.FACTORS``.
    sizes : (int, int)
        Draws, and permutations of identities; 0 permutations leave them out.
    rng : numpy.random.Generator
        Source of folds, parts, draws and permutations.
    units : numpy.random.Generator or None
        Source of parts and draws instead.

    Raises
    ------
    InputError
        If there are too few units to hold out or to resample.
    """
    n_draws, n_permutations = sizes
    n_stimuli = len(patterns)
    held = ACROSS[across](patterns)
    n_units = int(held.max()) + 1
    n_folds = min(settings.n_folds, n_units)
    if n_folds < FEWEST_FOLDS:
        raise InputError(
            f"read-outs across {across}: the stimuli have {n_units} of them, and at least {FEWEST_FOLDS} are needed; "
            f"test across {' or '.join(name for name in ACROSS if name != across)}"
        )
    folds = rng.permutation(np.arange(n_units) % n_folds)[held]
    left_out, operator, counts, redrawn = np.zeros((0, n_stimuli), dtype=bool), None, np.ones((n_draws, n_stimuli)), {}
    for name in factors_along("stimuli", factors):
        factor = FACTORS[name]
        together = factor.together
        labels = _known(patterns, together) if together else patterns.get("stimulus_id", patterns.index)
        codes = cluster_codes(labels) if units is None else unit_codes(labels)
        sampled = sample(name, int(codes.max()) + 1, n_draws, rng=rng if units is None else units)
        left_out, operator = sampled.kept[:-1, codes] == 0, sampled.operator
        counts, redrawn[name] = sampled.drawn[:, codes], sampled.n_redrawn
    orders: np.ndarray | str = "identities were not permuted"
    try:
        if n_permutations:
            orders = identity_orders(identity_grid(patterns), n_permutations, rng=rng)
    except InputError as problem:
        orders = str(problem)
    return Design(folds, factors, left_out, operator, np.asarray(counts, dtype=float), orders, redrawn)


def _known(patterns: pd.DataFrame, name: str) -> pd.Series:
    if name not in patterns.columns:
        raise InputError(f"the model RDMs lack the pattern descriptor {name!r}; compute them from a StimulusSet")
    return patterns[name]


def neurons_of(
    patch: PatchResponses, design: Design, n_draws: int, root: bool, rng: np.random.Generator
) -> ResampledPatch:
    """Resampling of a patch's neurons; reliabilities are roots of them where the score asks for it.

    Parameters
    ----------
    patch : PatchResponses
        Responses of the neurons.
    design : Design
        What is held out, left out and drawn, from :func:`design_of`.
    n_draws : int
        Draws of the neurons.
    root : bool
        Whether the score of a true model is the root of the reliability.
    rng : numpy.random.Generator
        Source of parts, draws and halves of trials.
    """
    n_neurons = patch.responses.shape[1]
    kept, operators, counts = np.ones((1, n_neurons)), [], np.ones((n_draws, n_neurons))
    for name in factors_along("neurons", design.factors):
        sampled = sample(name, n_neurons, n_draws, rng=rng)
        kept, operators, counts = sampled.kept, [sampled.operator], sampled.drawn.astype(float)
        design.n_redrawn[name] = design.n_redrawn.get(name, 0) + sampled.n_redrawn
    best = neuron_reliabilities(patch, design.weights, design.folds, rng=rng)
    centred = patch.responses - patch.responses.mean(axis=0)
    # Neurons that respond alike to all stimuli (in one time bin) have no score, and are left out of means.
    constant = is_constant(patch.responses, axis=0)
    scaled = np.where(constant, 0.0, centred) / np.where(constant, 1.0, centred.std(axis=0))
    return ResampledPatch(patch, scaled, kept, operators, counts, np.sqrt(best) if root else best)
