"""Profile of a population of neurons: the numbers by which rival accounts of face patches are told apart.

Takes mean responses of two halves of the trials, of many experiments at once; gives vectors. The statistics are
covariances between the halves where that frees them of trial noise; others depend on the numbers of neurons, identities
and trials, so that a recording has to be compared with simulated experiments of its own size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neural_data.axes import Float
from neural_data.errors import InputError
from neural_data.rounding import RESOLUTION, difference, is_constant
from neurocompare.comparison.fit_kernels import settle_values
from neurocompare.comparison.methods import of_unit_length
from neurocompare.representations.correlation import correlate_rows
from neurocompare.representations.dissimilarities import correlation_dissimilarity
from neurocompare.representations.rdms import zscore_units
from neurocompare.representations.viewpoint import check_azimuths, mirror_symmetry_index

__all__ = ["STATISTICS", "Views", "population_profile", "profile_of", "reference_rdms", "tolerance"]

LARGEST_R = 0.999
"""Correlations are cut to this size before Fisher's z is taken of them."""
LARGEST_GENERALISATION = 1.5
"""Correlations that are corrected for noise are cut to this size."""
STATISTICS: dict[str, str] = {
    "reliability": "correlation of the responses of two halves of the trials",
    "view even share": "share of the signal's variance that views explain in all identities alike, alike in a view and "
    "its mirror image",
    "view odd share": "the same, opposite in a view and its mirror image",
    "identity share": "share that identities explain in all views alike",
    "interaction even share": "share of identities in views, alike in a view and its mirror image",
    "interaction odd share": "the same, opposite in a view and its mirror image",
    "even neurons": "share of each neuron's tuning to views that is even, mean over neurons",
    "even neurons sd": "its standard deviation over neurons",
    "side preference": "r of tuning to views with the distance from the frontal view, mean over neurons",
    "side preference sd": "its standard deviation over neurons",
    "left-right sd": "standard deviation over neurons of the r of tuning to views with azimuth",
    "index": "mirror-symmetry index, mean over identities",
    "view distance": "r of the RDM of mean views with the distance in azimuth",
    "mirrored distance": "r of it with the distance in azimuth to the view or to its mirror image",
    "generalisation over views": "correlation of differences between identities in two views, corrected for noise",
    "generalisation to the mirror view": "the same in a view and its mirror image",
    "dimensions": "logarithm of the participation ratio of the responses over stimuli",
    "skewness": "skewness of a neuron's responses over stimuli, mean over neurons",
}
"""What each number of :func:`population_profile` is."""


@dataclass(frozen=True)
class Views:
    """Where each view of each identity stands among the stimuli.

    Parameters
    ----------
    positions : integer array of shape (n_identities, n_views)
        Positions among the stimuli.
    azimuths_deg : array of shape (n_views,)
        Rising, symmetric about 0.

    Raises
    ------
    InputError
        With fewer than three identities or three views, or views without their mirror image.
    """

    positions: np.ndarray
    azimuths_deg: np.ndarray

    def __post_init__(self):
        n_identities, n_views = self.positions.shape
        if n_identities < 3 or n_views < 3:
            raise InputError(
                f"accounts are told apart by at least three identities in three views; there are {n_identities} in "
                f"{n_views}"
            )
        check_azimuths(self.azimuths_deg.tolist())

    def first(self, n_identities: int) -> Views:
        """The first identities, and where their views stand among their own stimuli, in order."""
        kept = np.sort(self.positions[:n_identities].ravel())
        return Views(np.searchsorted(kept, self.positions[:n_identities]), self.azimuths_deg)

    def rows(self, n_identities: int) -> np.ndarray:
        """Positions of the stimuli of the first identities, rising."""
        return np.sort(self.positions[:n_identities].ravel())


def profile_of(
    patches: Mapping[str, Float[np.ndarray, "experiments 2 stimuli _"]],
    views: Views,
    references: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """Profiles over patches: statistics of each, fits of references to each, and fits of patches to each other.

    Parameters
    ----------
    patches : mapping of str to array of shape (n_experiments, 2, n_stimuli, n_neurons)
        Mean responses in two halves of the trials, by the name of the patch.
    views : Views
        Where the views of each identity stand among the stimuli.
    references : mapping of str to array of shape (n_stimuli, n_stimuli)
        RDMs that every patch is compared with, by name, from :func:`reference_rdms`.

    Returns
    -------
    dict of str to array of shape (n_experiments,)
        ``"AL: index"`` and the like: :data:`STATISTICS`; ``"AL: fit of NAME"``, Pearson's r of RDMs over all pairs, and
        ``"AL: fit of NAME within views"`` over pairs in one view; ``"AL with AM"``, r of the RDMs of two patches.
        Correlations on Fisher's z. 0 where a statistic is not defined (nothing varies).
    """
    n_stimuli = next(iter(patches.values())).shape[2]
    upper = np.triu_indices(n_stimuli, 1)
    view_of = np.full(n_stimuli, -1)
    view_of[views.positions] = np.arange(len(views.azimuths_deg))
    pairs = {"": slice(None), " within views": view_of[upper[0]] == view_of[upper[1]]}
    units = {
        where: _directions(np.stack([matrix[upper][kept] for matrix in references.values()]))
        for where, kept in pairs.items()
        if references
    }
    profile: dict[str, np.ndarray] = {}
    vectors = {}
    for patch, halves in patches.items():
        profile |= {f"{patch}: {name}": value for name, value in population_profile(halves, views).items()}
        scores, varying = _scored(halves)
        vectors[patch] = _rdms(scores.mean(axis=1), varying, upper)
        for where, named in units.items():
            fits = _z(_directions(vectors[patch][:, pairs[where]]) @ named.T)
            profile |= {f"{patch}: fit of {name}{where}": fits[:, k] for k, name in enumerate(references)}
    names = list(patches)
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            profile[f"{first} with {second}"] = _z(correlate_rows(vectors[first], vectors[second]))
    return profile


def population_profile(
    halves: Float[np.ndarray, "experiments 2 stimuli neurons"], views: Views
) -> dict[str, np.ndarray]:
    """Statistics of populations by the names of :data:`STATISTICS`.

    Parameters
    ----------
    halves : array of shape (n_experiments, 2, n_stimuli, n_neurons)
        Mean responses in two halves of the trials.
    views : Views
        Where the views of each identity stand among the stimuli.

    Returns
    -------
    dict of str to array of shape (n_experiments,)
        0 where a statistic is not defined (nothing varies).
    """
    scores, varying = _scored(halves)
    both = scores.mean(axis=1)
    cells = scores[:, :, views.positions]
    covariances, mean_tuning = _covariances(cells)
    total = np.sum([found.sum(axis=1) for found in covariances.values()], axis=0)
    of_view = covariances["view even share"] + covariances["view odd share"]
    # Scores have variance 1: less than this is rounding.
    tuned = of_view > RESOLUTION * both.shape[1]
    even = _ratio(covariances["view even share"] * tuned, of_view).clip(0, 1)
    azimuths = views.azimuths_deg - views.azimuths_deg.mean()
    tuning = mean_tuning.transpose(0, 2, 1)
    side, side_on = (_defined(correlate_rows(tuning, shape)) * tuned for shape in (np.abs(azimuths), azimuths))
    mean_views = both[:, views.positions].mean(axis=1)
    spread = mean_views.std(axis=1, keepdims=True)
    differing = varying & (spread[:, 0] > RESOLUTION)
    mean_views = (mean_views - mean_views.mean(axis=1, keepdims=True)) / np.where(spread > RESOLUTION, spread, 1.0)
    pairs = np.triu_indices(len(azimuths), 1)
    view_rdms = _rdms(mean_views, differing, pairs)
    apart = np.abs(azimuths[:, None] - azimuths)
    mirrored = np.minimum(apart, np.abs(azimuths[:, None] + azimuths))
    n_experiments, n_identities = len(halves), len(views.positions)
    own = _rdms(
        both[:, views.positions].reshape(n_experiments * n_identities, len(azimuths), -1),
        np.repeat(varying, n_identities, axis=0),
    )
    index = _z(np.asarray(mirror_symmetry_index(own))).reshape(n_experiments, n_identities)
    over_views, to_mirror = _generalisation(cells)
    products = both @ both.transpose(0, 2, 1)
    total_products = np.trace(products, axis1=1, axis2=2) ** 2
    standard = both / np.where(varying, both.std(axis=1), 1.0)[:, None]
    reliability = _z(correlate_rows(scores[:, 0].transpose(0, 2, 1), scores[:, 1].transpose(0, 2, 1)))
    values = {
        "reliability": _mean(reliability, varying),
        **{name: _ratio(found.sum(axis=1), total) for name, found in covariances.items()},
        "even neurons": _mean(even, varying),
        "even neurons sd": _sd(even, varying),
        "side preference": _mean(side, varying),
        "side preference sd": _sd(side, varying),
        "left-right sd": _sd(side_on, varying),
        "index": index.mean(axis=1),
        "view distance": _z(correlate_rows(view_rdms, apart[pairs])),
        "mirrored distance": _z(correlate_rows(view_rdms, mirrored[pairs])),
        "generalisation over views": over_views,
        "generalisation to the mirror view": to_mirror,
        "dimensions": np.log(np.maximum(_ratio(total_products, (products**2).sum(axis=(1, 2))), 1.0)),
        "skewness": _mean((standard * standard * standard).mean(axis=1), varying),
    }
    return {name: values[name] for name in STATISTICS}


def tolerance(
    shown: Float[np.ndarray, "experiments 2 stimuli neurons"],
    changed: Float[np.ndarray, "experiments 2 stimuli neurons"],
) -> np.ndarray:
    """Correlation of responses to stimuli with those of the same neurons to changed stimuli, corrected for noise.

    Parameters
    ----------
    shown, changed : arrays of shape (n_experiments, 2, n_stimuli, n_neurons)
        Mean responses in two halves of the trials to the same stimuli before and after a change.

    Returns
    -------
    array of shape (n_experiments,)
        At most :data:`LARGEST_GENERALISATION`, at least its negative; 0 if nothing varies.
    """
    first, second = (responses - responses.mean(axis=2, keepdims=True) for responses in (shown, changed))
    over = (1, 2)
    between = ((first[:, 0] * second[:, 1]).sum(axis=over) + (first[:, 1] * second[:, 0]).sum(axis=over)) / 2
    own = [(responses[:, 0] * responses[:, 1]).sum(axis=over) for responses in (first, second)]
    return _corrected(between, *own)


def reference_rdms(units: Mapping[str, Float[np.ndarray, "stimuli units"]]) -> dict[str, np.ndarray]:
    """RDMs of z-scored units (n_stimuli, n_units), by name: 1 - Pearson's r.

    Parameters
    ----------
    units : mapping of str to array of shape (n_stimuli, n_units)
        Responses, by the name of the RDM.

    Returns
    -------
    dict of str to array of shape (n_stimuli, n_stimuli)

    Raises
    ------
    InputError
        If fewer than two units vary.
    """
    found = {}
    for name, responses in units.items():
        scores, _ = zscore_units(responses)
        if scores.shape[1] < 2:
            raise InputError(f"{name}: fewer than two units vary over the stimuli, so they have no RDM")
        found[name] = correlation_dissimilarity(scores)
    return found


def _scored(halves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Responses z-scored over the mean of both halves, 0 for constant neurons; and which neurons vary."""
    mean = halves.mean(axis=1)
    varying = ~is_constant(mean, axis=1)
    scale = np.where(varying, mean.std(axis=1), 1.0)
    centred = (halves - mean.mean(axis=1)[:, None, None]) / scale[:, None, None]
    return centred * varying[:, None, None], varying


def _rdms(patterns: np.ndarray, varying: np.ndarray, pairs: tuple[np.ndarray, np.ndarray] | None = None) -> np.ndarray:
    """1 - Pearson's r across the neurons that vary, (n, n_patterns, n_patterns), or (n, n_pairs) of some pairs.

    NaN for constant patterns.
    """
    n_neurons = np.maximum(varying.sum(axis=1), 1)[:, None, None]
    kept = varying[:, None]
    centred = (patterns - (patterns * kept).sum(axis=2, keepdims=True) / n_neurons) * kept
    sizes = np.sqrt((centred**2).sum(axis=2, keepdims=True))
    unit = np.divide(centred, sizes, out=np.full_like(centred, np.nan), where=sizes > RESOLUTION)
    products = unit @ unit.transpose(0, 2, 1)
    return difference(np.array(1.0), products if pairs is None else products[:, *pairs])


def _directions(vectors: np.ndarray) -> np.ndarray:
    """Vectors (n, n_pairs) whose products are Pearson's r; NaN for constant ones."""
    return of_unit_length(settle_values(vectors, centred=True))


def _covariances(cells: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Analysis of variance of (n, 2, n_identities, n_views, n_neurons), even and odd over views, between the halves.

    Sums of products (n, n_neurons) by name, and mean tuning to views (n, n_views, n_neurons). For parts e and o of x,
    even and odd, the sum of e e' is half that of x x' + x reversed(x'), and that of o o' half that of their difference.
    """
    n_identities, n_views = cells.shape[2:4]
    centred = cells - cells.mean(axis=(2, 3), keepdims=True)
    view, identity = centred.mean(axis=2), centred.mean(axis=3)
    in_view, in_mirrored_view = (
        np.einsum("nivk,nivk->nk", centred[:, 0], other) for other in (centred[:, 1], centred[:, 1, :, ::-1])
    )
    of_view, of_mirrored_view = (
        n_identities * (view[:, 0] * other).sum(axis=1) for other in (view[:, 1], view[:, 1, ::-1])
    )
    of_identity = n_views * (identity[:, 0] * identity[:, 1]).sum(axis=1)
    rest, mirrored_rest = in_view - of_view - of_identity, in_mirrored_view - of_mirrored_view - of_identity
    covariances = {
        "view even share": (of_view + of_mirrored_view) / 2,
        "view odd share": (of_view - of_mirrored_view) / 2,
        "identity share": of_identity,
        "interaction even share": (rest + mirrored_rest) / 2,
        "interaction odd share": (rest - mirrored_rest) / 2,
    }
    return covariances, view.mean(axis=1)


def _generalisation(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of identity differences over pairs of other views, and over pairs of mirror images."""
    centred = cells - cells.mean(axis=2, keepdims=True)
    n, _, _, n_views, _ = cells.shape
    by_view = centred.transpose(0, 1, 3, 2, 4).reshape(n, 2, n_views, -1)
    shared = by_view[:, 0] @ by_view[:, 1].transpose(0, 2, 1)
    shared = (shared + shared.transpose(0, 2, 1)) / 2
    own = np.diagonal(shared, axis1=1, axis2=2)
    own = np.where(own > RESOLUTION * cells[0, 0, :, 0].size, own, 0.0)  # neurons have variance 1
    first, second = np.triu_indices(n_views, 1)
    mirrored = first + second == n_views - 1

    def over(pairs: np.ndarray) -> np.ndarray:
        sizes = np.sqrt(own[:, first[pairs]] * own[:, second[pairs]]).sum(axis=1)
        return _corrected(shared[:, first[pairs], second[pairs]].sum(axis=1), sizes, sizes)

    return over(~mirrored), over(mirrored)


def _corrected(between: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    sizes = np.sqrt(np.maximum(first, 0) * np.maximum(second, 0))
    return _ratio(between, sizes).clip(-LARGEST_GENERALISATION, LARGEST_GENERALISATION)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _mean(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Mean over the neurons that vary."""
    return (values * kept).sum(axis=1) / np.maximum(kept.sum(axis=1), 1)


def _sd(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    apart = (values - _mean(values, kept)[:, None]) ** 2
    return np.sqrt(_mean(apart, kept))


def _defined(values: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), 0.0, values)


def _z(correlations: np.ndarray) -> np.ndarray:
    """Fisher's z; 0 where a correlation is not defined."""
    return np.arctanh(np.clip(_defined(correlations), -LARGEST_R, LARGEST_R))
