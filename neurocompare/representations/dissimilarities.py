"""The dissimilarity measures: one record each, with name, computation and requirements.

A record holds all properties of a measure; code that computes RDMs looks it up in :data:`DISSIMILARITIES`. A measure
that can be computed from sums over units of products of responses (``from_sums``) is available for networks of any
size, recordings, and resampled neurons. A measure that needs more (trials, counts) is available for recordings only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import RDMs, calc_rdm

from neural_data.errors import InputError, closest
from neural_data.rounding import ROUNDING

__all__ = [
    "DISSIMILARITIES",
    "MODEL_DISSIMILARITIES",
    "PAIRS",
    "Dissimilarity",
    "PairsOfDraws",
    "Population",
    "RowsOfStimuli",
    "TileOfPairs",
    "correlation_dissimilarity",
    "find_dissimilarity",
]


@dataclass(frozen=True)
class Population:
    """Responses of a population of neurons, to compute its RDM.

    Parameters
    ----------
    region, subject : str
        ``subject`` is empty if neurons of several subjects are pooled.
    responses : array of shape (n_stimuli, n_neurons)
        Mean responses in the order of the stimuli.
    trials : array of shape (n_repetitions, n_stimuli, n_neurons) or None
        Single responses, the same number for every neuron and stimulus; None if not requested.
    simulated : bool
        Whether the responses are simulated.
    """

    region: str
    subject: str
    responses: np.ndarray
    trials: np.ndarray | None = None
    simulated: bool = False

    @property
    def single_responses(self) -> np.ndarray:
        """``trials``, checked to be there.

        Raises
        ------
        ValueError
            If they were not requested.
        """
        if self.trials is None:
            raise ValueError(
                f"single responses of {self.region} are needed; build the population with with_trials=True"
            )
        return self.trials

    def of_neurons(self, chosen: np.ndarray) -> Population:
        """The population with some of its neurons, by position."""
        trials = None if self.trials is None else self.trials[:, :, chosen]
        return replace(self, responses=self.responses[:, chosen], trials=trials)


@dataclass(frozen=True)
class RowsOfStimuli:
    """Pairs laid out as the first ``n_rows`` stimuli by all of them, with any leading axes.

    Parameters
    ----------
    n_rows : int
        Stimuli on the rows.
    """

    n_rows: int

    def products(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """``left_i right_j`` of arrays (..., n_stimuli), as (..., n_rows, n_stimuli)."""
        return left[..., : self.n_rows, None] * right[..., None, :]

    def sums(self, values: np.ndarray) -> np.ndarray:
        """``values_i + values_j``."""
        return values[..., : self.n_rows, None] + values[..., None, :]

    def divide(self, pairs: np.ndarray, by: np.ndarray) -> None:
        """Divide each pair by ``by_i by_j``, in place."""
        pairs /= by[..., : self.n_rows, None]
        pairs /= by[..., None, :]


class PairsOfDraws:
    """Pairs laid out as an upper triangle row by row, one triangle per draw: (n_draws, n_pairs)."""

    def products(self, left: np.ndarray, right: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """``left_i right_j`` for every i < j of arrays (n_draws, n_stimuli); multiplied into ``out`` if given."""
        n = left.shape[1]
        products = np.empty((len(left), n * (n - 1) // 2)) if out is None else out
        start = 0
        # One slice per stimulus: gathering single pairs takes several times longer.
        for i in range(n - 1):
            row = products[:, start : start + n - 1 - i]
            start += n - 1 - i
            if out is None:
                np.multiply(left[:, i, None], right[:, i + 1 :], out=row)
            else:
                row *= left[:, i, None] * right[:, i + 1 :]
        return products

    def sums(self, values: np.ndarray) -> np.ndarray:
        """``values_i + values_j``."""
        ones = np.ones_like(values)
        return self.products(values, ones) + self.products(ones, values)

    def divide(self, pairs: np.ndarray, by: np.ndarray) -> None:
        """Divide each pair by ``by_i by_j``, in place."""
        self.products(1 / by, 1 / by, out=pairs)


PAIRS = PairsOfDraws()


@dataclass(frozen=True)
class TileOfPairs:
    """Pairs of the stimuli ``first`` to ``last - 1`` with all later ones, row by row: (n_pairs, n_draws).

    Draws lie side by side, so that one stimulus of all draws is one run of numbers.

    Parameters
    ----------
    first, last : int
        First stimulus whose pairs are laid out, and the one after the last.
    """

    first: int
    last: int

    def products(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """``left_i right_j`` of arrays (n_stimuli, n_draws)."""
        return self._combined(np.multiply, left, right)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """``values_i + values_j``."""
        return self._combined(np.add, values, values)

    def divide(self, pairs: np.ndarray, by: np.ndarray) -> None:
        """Divide each pair by ``by_i by_j``, in place."""
        pairs *= self.products(1 / by, 1 / by)

    def _combined(self, operation: np.ufunc, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        n = len(left)
        lengths = n - 1 - np.arange(self.first, self.last)
        found = np.empty((int(lengths.sum()), left.shape[1]))
        start = 0
        for i in range(self.first, self.last):
            operation(left[i], right[i + 1 :], out=found[start : start + n - 1 - i])
            start += n - 1 - i
        return found


Layout = RowsOfStimuli | PairsOfDraws | TileOfPairs

FromSums = Callable[[np.ndarray, np.ndarray, np.ndarray, "float | np.ndarray", "Layout"], np.ndarray]


@dataclass(frozen=True)
class Dissimilarity:
    """A measure of dissimilarity between a population's responses to two stimuli.

    Parameters
    ----------
    name : str
        Name in study files, tables and ``dissimilarity_measure`` of RDMs.
    label : str
        Description in words.
    fewest_units : int
        Smallest number of varying units.
    from_sums : callable or None
        ``(products, totals, power, n_units, layout)`` to dissimilarities, in the layout of the products: sums over
        units of products of two stimuli's responses, of each stimulus's responses, and of their squares (both of shape
        (..., n_stimuli)). NaN for undefined pairs. None if sums do not suffice.
    from_population : callable or None
        :class:`Population` to a matrix (n_stimuli, n_stimuli) that is a mean over neurons, and the number of neurons
        left out because they are constant. None if the measure is computed from sums.
    settle : callable or None
        Shifts and scales responses (n_stimuli, n_units) so that rounding of sums is small, without changing any
        dissimilarity.
    fewest_repetitions : int
        Responses per stimulus required for a reliability over trials.
    needs_trials : bool
        Whether it is computed from single responses.
    refuses_zscores : str
        Why it is not defined for z-scored neurons; empty if it is.
    refuses_normalized : str
        Why it is not defined for responses without a unit; empty if it is.
    """

    name: str
    label: str
    fewest_units: int = 1
    from_sums: FromSums | None = None
    from_population: Callable[[Population], tuple[np.ndarray, int]] | None = None
    settle: Callable[[np.ndarray], np.ndarray] | None = None
    fewest_repetitions: int = 2
    needs_trials: bool = False
    refuses_zscores: str = ""
    refuses_normalized: str = ""

    def __post_init__(self):
        if (self.from_sums is None) == (self.from_population is None):
            raise ValueError(f"dissimilarity {self.name!r} must come from sums or from populations, one of the two")

    @property
    def of_networks(self) -> bool:
        """Whether it is also available for networks and resampled neurons."""
        return self.from_sums is not None

    def of_responses(self, responses: np.ndarray) -> np.ndarray:
        """Matrix (..., n_stimuli, n_stimuli) of responses (..., n_stimuli, n_units); symmetric, diagonal 0.

        Raises
        ------
        ValueError
            If the measure cannot be computed from sums.
        """
        patterns = np.asarray(responses, dtype=float)
        if self.settle is not None:
            patterns = self.settle(patterns)
        products = patterns @ patterns.swapaxes(-1, -2)
        return self.of_products(products, patterns.sum(axis=-1), patterns.shape[-1])

    def of_products(self, products: np.ndarray, totals: np.ndarray, n_units: int) -> np.ndarray:
        """Matrix (..., n_stimuli, n_stimuli) from sums over units; symmetric, diagonal 0."""
        power = np.diagonal(products, axis1=-2, axis2=-1)
        matrix = self.of_rows(products, totals, power, n_units)
        matrix = matrix + matrix.swapaxes(-1, -2)
        matrix /= 2
        places = np.arange(matrix.shape[-1])
        matrix[..., places, places] = 0.0
        return matrix

    def of_rows(self, products: np.ndarray, totals: np.ndarray, power: np.ndarray, n_units: int) -> np.ndarray:
        """Dissimilarities (..., n_rows, n_stimuli) of the first of some stimuli to all of them, from sums over units.

        Parameters
        ----------
        products : array of shape (..., n_rows, n_stimuli)
            Of the first ``n_rows`` stimuli with all.
        totals, power : arrays of shape (..., n_stimuli)
            Sums over units of the responses to each stimulus, and of their squares.
        n_units : int
            Without units, all dissimilarities are NaN.
        """
        if self.from_sums is None:
            raise ValueError(f"{self.name} dissimilarities do not follow from sums over units")
        if n_units == 0:
            return np.full(products.shape, np.nan)
        return self.from_sums(products, totals, power, n_units, RowsOfStimuli(products.shape[-2]))


def correlation_dissimilarity(responses: np.ndarray) -> np.ndarray:
    """1 - Pearson's r between the response patterns of every two stimuli, across units.

    Parameters
    ----------
    responses : array of shape (..., n_stimuli, n_units)
        Responses in any unit.

    Returns
    -------
    array of shape (..., n_stimuli, n_stimuli), float64
        Symmetric, diagonal 0, values in 0..2; NaN in the row and column of a stimulus whose pattern is constant.
    """
    return DISSIMILARITIES["correlation"].of_responses(responses)


def find_dissimilarity(name: str, among: Mapping[str, Dissimilarity] | None = None) -> Dissimilarity:
    """The record of a dissimilarity, from ``among`` (such as :data:`MODEL_DISSIMILARITIES`) or from all.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    known = DISSIMILARITIES if among is None else among
    if name not in known:
        raise InputError(f"no dissimilarity is called {name!r}: {closest(name, known)}")
    return known[name]


def _correlation(
    products: np.ndarray,
    totals: np.ndarray,
    power: np.ndarray,
    n_units: float | np.ndarray,
    layout: Layout,
) -> np.ndarray:
    """1 - Pearson's r."""
    # In place: with thousands of stimuli every further matrix costs much memory.
    covariance = layout.products(totals, totals)
    covariance /= -n_units
    covariance += products
    variance = power - totals**2 / n_units
    layout.divide(covariance, np.sqrt(np.where(variance > ROUNDING * power, variance, np.nan)))
    pairs = np.subtract(1.0, np.clip(covariance, -1.0, 1.0, out=covariance), out=covariance)
    # Rounding errors of 1 - 1 become 0: otherwise a view-invariant representation would show structure.
    pairs[np.abs(pairs) < ROUNDING] = 0.0
    return pairs


def _euclidean(
    products: np.ndarray,
    _totals: np.ndarray,
    power: np.ndarray,
    n_units: float | np.ndarray,
    layout: Layout,
) -> np.ndarray:
    """Squared distance divided by the number of units, as in rsatoolbox."""
    pairs = layout.sums(power)
    pairs -= 2 * products
    np.maximum(pairs, 0.0, out=pairs)
    pairs /= n_units
    return pairs


def _standardised_patterns(responses: np.ndarray) -> np.ndarray:
    """Each stimulus's responses minus their mean, over their standard deviation; 0 for a constant pattern.

    The mean is removed before products are computed: its squares would leave few digits for the differences.
    """
    if responses.shape[-1] == 0:
        return responses
    largest = np.abs(responses).max(axis=-1, keepdims=True)
    # Divided by the largest value first, so that no square overflows or underflows.
    scaled = responses / np.where(largest > 0, largest, 1.0)
    centred = scaled - scaled.mean(axis=-1, keepdims=True)
    spread = np.sqrt(np.mean(centred**2, axis=-1, keepdims=True))
    constant = spread <= ROUNDING
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, spread))


def _centred_units(responses: np.ndarray) -> np.ndarray:
    return responses - responses.mean(axis=-2, keepdims=True)


def _poisson(population: Population) -> tuple[np.ndarray, int]:
    return _calc_rdm(Dataset(population.responses.copy()), "poisson"), 0


def _crossnobis(population: Population) -> tuple[np.ndarray, int]:
    """Cross-validated Mahalanobis distances with a diagonal noise covariance; repetitions are the folds."""
    trials = population.single_responses
    noise = trials.var(axis=0, ddof=1).mean(axis=0)
    noisy = noise > 0
    if not noisy.any():
        raise InputError(
            f"no neuron of {population.region} varies from trial to trial; crossnobis needs such noise: use another "
            "dissimilarity"
        )
    trials = trials[:, :, noisy] / np.sqrt(noise[noisy])
    n_repetitions, n_stimuli, n_neurons = trials.shape
    # rsatoolbox re-sorts conditions by label (s1, s10, s2): zero-padded numbers keep their order.
    dataset = Dataset(
        trials.reshape(-1, n_neurons),
        obs_descriptors={
            "condition": np.tile([f"{i:06d}" for i in range(n_stimuli)], n_repetitions),
            "fold": np.repeat([f"{i:06d}" for i in range(n_repetitions)], n_stimuli),
        },
    )
    return _calc_rdm(dataset, "crossnobis", descriptor="condition", cv_descriptor="fold"), int((~noisy).sum())


def _calc_rdm(
    dataset: Dataset, method: str, *, descriptor: str | None = None, cv_descriptor: str | None = None
) -> np.ndarray:
    """One matrix from rsatoolbox, conditions in the order they were given."""
    rdms = calc_rdm(dataset, method=method, descriptor=descriptor, cv_descriptor=cv_descriptor)
    if not isinstance(rdms, RDMs):
        raise TypeError(f"rsatoolbox gives a {type(rdms).__name__} for one data set")
    return rdms.get_matrices()[0]


DISSIMILARITIES: dict[str, Dissimilarity] = {
    measure.name: measure
    for measure in (
        Dissimilarity(
            "correlation",
            "1 - Pearson's r across units",
            fewest_units=3,
            from_sums=_correlation,
            settle=_standardised_patterns,
        ),
        Dissimilarity(
            "euclidean",
            "squared Euclidean distance over the number of units",
            from_sums=_euclidean,
            settle=_centred_units,
        ),
        Dissimilarity(
            "crossnobis",
            "cross-validated squared distance, each neuron over its noise, over the number of neurons",
            from_population=_crossnobis,
            fewest_repetitions=4,
            needs_trials=True,
            refuses_zscores="does its own scaling of neurons",
        ),
        Dissimilarity(
            "poisson",
            "symmetrised Poisson Kullback-Leibler divergence over the number of neurons",
            from_population=_poisson,
            refuses_zscores="takes rates or counts, which z-scores are not",
            refuses_normalized="takes rates or counts",
        ),
    )
}
"""Every dissimilarity, by name. To add one, add its record here."""

MODEL_DISSIMILARITIES: dict[str, Dissimilarity] = {
    name: measure for name, measure in DISSIMILARITIES.items() if measure.of_networks
}
"""The dissimilarities that are available for networks."""
