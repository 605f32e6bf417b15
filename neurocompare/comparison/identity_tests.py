"""Whether models and recordings agree about identities: permutation of identities with views kept.

Any two populations that are tuned to view have similar RDMs, whatever faces were shown, so a fit above 0 can reflect
view tuning alone. Permuting the identities of the recording keeps its agreement with models about views and removes its
agreement about identities.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import permutations

import numpy as np
import pandas as pd
from rsatoolbox.rdm import RDMs

from neural_data.axes import Float, Integer
from neural_data.errors import InputError
from neural_data.stimulus_tables import ANGLES
from neurocompare.comparison.controls import cells_of_pairs, identity_codes, view_codes
from neurocompare.comparison.fits import fits_on_counts, matched_vectors
from neurocompare.comparison.methods import find_method
from neurocompare.comparison.multiplicity import adjust, share_at_least
from neurocompare.representations.rdms import match_stimuli, pattern_table, rdm_table

__all__ = ["identity_grid", "identity_null", "identity_orders", "permute_identities", "permuted_fits"]

BLOCK_NUMBERS = 2**23


def permute_identities(
    model_rdms: RDMs,
    neural_rdms: RDMs,
    *,
    n_permutations: int = 1000,
    method: str = "corr",
    control: str | Sequence[str] = (),
    correction: str = "bh",
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Test whether models and recordings agree about identities, beyond their agreement about views.

    Parameters
    ----------
    model_rdms, neural_rdms : rsatoolbox.rdm.RDMs
        The same stimuli; pattern descriptors ``identity``, ``azimuth_deg`` (and ``elevation_deg``) in either. Every
        identity in the same views.
    n_permutations : int
        Number of random permutations of the identities; all permutations if there are no more than this. Every view of
        an identity takes the place of the same view of another.
    method : str
        As in ``compare_rdms``.
    control : str or sequence of str
        Controls partialled out first, see :mod:`~neurocompare.comparison.controls`.
    correction : {"bh", "holm", "max", "none"}
        How ``p_adjusted`` is adjusted over the models and layers within a recording.
    rng : numpy.random.Generator
        Source of the permutations.

    Returns
    -------
    pandas.DataFrame
        One row per model (layer) and recording: their descriptors, ``fit``, ``null_mean``, ``null_sd``, one-sided ``p``
        (share of permutations, including the identity permutation, with a fit at least as large), ``p_adjusted`` and
        ``n_permutations``.

    Raises
    ------
    InputError
        If identities or views are unknown, or an identity lacks a view.

    Notes
    -----
    Exact if identities are exchangeable, that is, if model and recording represent identities independently given the
    views. Views are kept, so agreement about views is part of the null distribution.
    """
    find_method(method)
    model_rdms, neural_rdms = match_stimuli(model_rdms, neural_rdms)
    models, recordings = matched_vectors(model_rdms, neural_rdms)
    patterns = _known_patterns(model_rdms, neural_rdms)
    places = identity_grid(patterns)
    cells = cells_of_pairs(control, patterns)
    if cells is not None:
        models, recordings = cells.partialled(models), cells.partialled(recordings)
    stays = np.ones((1, len(patterns)), dtype=int)
    fits = fits_on_counts(models, recordings, stays, method=method)[0]
    null = permuted_fits(models, recordings, places, n_permutations, method=method, rng=rng)
    p = share_at_least(null, fits)
    rows = rdm_table(neural_rdms)
    tables = []
    for r in range(len(rows)):
        table = rdm_table(model_rdms).assign(
            **{name: rows[name].iloc[r] for name in ("region", "subject") if name in rows.columns}
        )
        sd = null[:, :, r].std(axis=0, ddof=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            scores = (fits[:, r] - null[:, :, r].mean(axis=0)) / sd
        tables.append(
            table.assign(
                fit=fits[:, r],
                null_mean=null[:, :, r].mean(axis=0),
                null_sd=sd,
                p=p[:, r],
                p_adjusted=adjust(p[:, r], correction, statistics=scores, draws=null[:, :, r]),
                n_permutations=len(null),
            )
        )
    return pd.concat(tables, ignore_index=True)


def identity_null(
    statistic: Callable[[np.ndarray], np.ndarray],
    recordings: Float[np.ndarray, "recordings pairs"],
    places: Integer[np.ndarray, "identities views"],
    n_permutations: int,
    *,
    rng: np.random.Generator,
) -> Float[np.ndarray, "permutations statistics recordings"]:
    """Fits, or other statistics, of recordings with permuted identities, views kept; the same permutations for all.

    Parameters
    ----------
    statistic : callable
        From RDM vectors (n_rdms, n_pairs) to an array (n_statistics, n_rdms): of each RDM by itself.
    recordings : array of shape (n_recordings, n_pairs)
        RDM vectors of the recordings.
    places : integer array of shape (n_identities, n_views)
        From :func:`identity_grid`.
    n_permutations : int
        Number of permutations; if fewer exist, all of them except the identity permutation.
    rng : numpy.random.Generator
        Source of the permutations.

    Returns
    -------
    array of shape (n_permutations, n_statistics, n_recordings)
    """
    n_stimuli = places.size
    orders = identity_orders(places, n_permutations, rng=rng)
    first, second = np.triu_indices(n_stimuli, 1)
    step = max(1, BLOCK_NUMBERS // len(first))
    null = []
    for vector in recordings:
        square = np.zeros((n_stimuli, n_stimuli))
        square[first, second] = square[second, first] = vector
        blocks = (orders[start : start + step] for start in range(0, len(orders), step))
        null.append(np.concatenate([statistic(square[o[:, first], o[:, second]]).T for o in blocks]))
    return np.stack(null, axis=2)


def permuted_fits(
    models: Float[np.ndarray, "models pairs"],
    recordings: Float[np.ndarray, "recordings pairs"],
    places: Integer[np.ndarray, "identities views"],
    n_permutations: int,
    *,
    method: str,
    rng: np.random.Generator,
) -> Float[np.ndarray, "permutations models recordings"]:
    """Fits of models to recordings with permuted identities, views kept; the same permutations for all.

    Parameters
    ----------
    models, recordings : arrays of shape (n_models, n_pairs) and (n_recordings, n_pairs)
        RDM vectors, of all pairs of stimuli.
    places, n_permutations, rng
        As in :func:`identity_null`, which gives the same.
    method : str
        As in ``compare_rdms``.

    Returns
    -------
    array of shape (n_permutations, n_models, n_recordings)

    Notes
    -----
    A permutation keeps the mean, length and ranks of an RDM. So the fits of all permutations are one matrix product,
    for methods that are products of such vectors. The side with fewer RDMs is permuted.
    """
    found = find_method(method)
    if found.directions is None or np.isnan(models).any() or np.isnan(recordings).any():
        stays = np.ones((1, places.size), dtype=int)
        return identity_null(
            lambda permuted: fits_on_counts(models, permuted, stays, method=method)[0],
            recordings,
            places,
            n_permutations,
            rng=rng,
        )
    orders = identity_orders(places, n_permutations, rng=rng)
    turned = len(models) < len(recordings)
    fixed, moved = (found.directions(one) for one in ((recordings, models) if turned else (models, recordings)))
    if turned:
        # To permute the models in the opposite way is to permute the recordings.
        orders = np.argsort(orders, axis=1)
    n_stimuli = places.size
    first, second = np.triu_indices(n_stimuli, 1)
    squares = np.zeros((len(moved), n_stimuli, n_stimuli))
    squares[:, first, second] = squares[:, second, first] = moved
    null = np.empty((len(orders), len(fixed), len(moved)))
    step = max(1, BLOCK_NUMBERS // len(first))
    for start in range(0, len(orders), step):
        block = orders[start : start + step]
        pairs = block[:, first] * n_stimuli + block[:, second]
        for row, square in enumerate(squares):
            null[start : start + step, :, row] = square.ravel()[pairs] @ fixed.T
    return null.swapaxes(1, 2) if turned else null


def identity_orders(places: np.ndarray, n_permutations: int, *, rng: np.random.Generator) -> np.ndarray:
    """Orders of the stimuli under permuted identities, views kept, (n_permutations, n_stimuli).

    Parameters
    ----------
    places : integer array of shape (n_identities, n_views)
        From :func:`identity_grid`.
    n_permutations : int
        Number of permutations; if fewer exist, all of them except the identity permutation.
    rng : numpy.random.Generator
        Source of the permutations.
    """
    n_identities = len(places)
    if math.factorial(n_identities) - 1 <= n_permutations:
        moves = np.array(list(permutations(range(n_identities)))[1:])
    else:
        moves = np.array([rng.permutation(n_identities) for _ in range(n_permutations)])
    orders = np.empty((len(moves), places.size), dtype=int)
    orders[:, places] = places[moves]
    return orders


def identity_grid(patterns: pd.DataFrame) -> np.ndarray:
    """Positions (n_identities, n_views) of stimuli, views in the same order for every identity.

    Raises
    ------
    InputError
        If identities or views are unknown, there are fewer than two identities, or one lacks a view.
    """
    views = [name for name in ANGLES if name in patterns.columns]
    if "identity" not in patterns.columns or "azimuth_deg" not in views:
        raise InputError(
            "permuting identities within views needs the pattern descriptors 'identity' and 'azimuth_deg'; compute "
            "RDMs from a StimulusSet"
        )
    identity, view = identity_codes(patterns), view_codes(patterns)
    counts = np.zeros((identity.max() + 1, view.max() + 1), dtype=int)
    np.add.at(counts, (identity, view), 1)
    if (counts != 1).any():
        which, where = np.argwhere(counts != 1)[0]
        name = patterns["identity"].iloc[np.flatnonzero(identity == which)[0]]
        angles = ", ".join(f"{patterns[v].iloc[np.flatnonzero(view == where)[0]]:g}" for v in views)
        raise InputError(
            f"permuting identities needs each in every view once; identity {name!r} has {counts[which, where]} stimuli "
            f"at {' and '.join(views)} {angles}: complete the set or leave that identity or view out"
        )
    if len(counts) < 2:
        raise InputError("permuting identities needs at least two identities; these stimuli show one")
    places = np.empty(counts.shape, dtype=int)
    places[identity, view] = np.arange(len(patterns))
    return places


def _known_patterns(first: RDMs, second: RDMs) -> pd.DataFrame:
    """Pattern descriptors of both, with stimuli matched; those of the first if both have one."""
    tables = [pattern_table(rdms).reset_index(drop=True) for rdms in (first, second)]
    extra = [name for name in tables[1].columns if name not in tables[0].columns]
    return pd.concat([tables[0], tables[1][extra]], axis=1)
