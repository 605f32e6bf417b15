"""Kernels: inner products of stimuli over units, from RDMs of squared Euclidean distances.

A linear read-out with an intercept, linear CKA and the Procrustes distance depend on a layer only through the inner
products of its responses to the stimuli, less their means. Squared distances hold the same information, so that the
RDMs of a network's layers (computed in bounded memory, whatever the number of units) are all that is needed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError
from neurocompare.representations.dissimilarities import find_dissimilarity
from neurocompare.representations.rdms import build_rdms, check_normalization, zscore_units

__all__ = ["DISTANCES", "centred_kernels", "feature_rdms", "kernels_of_rdms", "scaled_kernels"]

DISTANCES = ("euclidean", "squared euclidean")
"""Names of the squared Euclidean distance over the number of units: ours, and rsatoolbox's."""


def kernels_of_rdms(rdms: RDMs, *, what: str = "RDMs") -> np.ndarray:
    """Centred inner products of the responses to every two stimuli.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        Squared Euclidean distances over the number of units, ``dissimilarity="euclidean"``.
    what : str
        What messages call them.

    Returns
    -------
    array of shape (n_rdms, n_stimuli, n_stimuli)
        Rows and columns add up to 0; the mean over units of the products of two stimuli's responses less the mean
        response of the unit. NaN for an RDM that is all NaN (a layer without a unit that varies).

    Raises
    ------
    InputError
        If the RDMs hold other dissimilarities, or only some of an RDM are NaN.

    References
    ----------
    Gower (1966), Biometrika 53:325.
    """
    if rdms.dissimilarity_measure not in DISTANCES:
        raise InputError(
            f"{what} hold {rdms.dissimilarity_measure!r} dissimilarities; read-outs and CKA need squared Euclidean "
            "distances: compute them with dissimilarity='euclidean'"
        )
    distances = rdms.get_matrices()
    off_diagonal = rdms.dissimilarities
    partly = np.isnan(off_diagonal).any(axis=1) & ~np.isnan(off_diagonal).all(axis=1)
    if partly.any():
        raise InputError(
            f"{what}: {int(partly.sum())} of {len(partly)} have some dissimilarities that are NaN (the first is number "
            f"{int(partly.argmax()) + 1}); leave out the stimuli without a response"
        )
    return centred_kernels(distances)


def centred_kernels(distances: np.ndarray) -> np.ndarray:
    """Kernels (..., n, n) of squared distances (..., n, n): minus half of them, rows and columns centred."""
    half = -0.5 * distances
    half = half - half.mean(axis=-1, keepdims=True)
    return half - half.mean(axis=-2, keepdims=True)


def scaled_kernels(kernels: np.ndarray) -> np.ndarray:
    """Kernels with a mean diagonal of 1, so that one penalty means the same for all; a kernel of 0 stays 0."""
    size = np.trace(kernels, axis1=-2, axis2=-1)[..., None, None] / kernels.shape[-1]
    largest = np.nan_to_num(np.abs(kernels)).max(initial=0.0)
    return np.divide(kernels, size, out=np.zeros_like(kernels), where=~(size <= 1e-14 * largest))


def feature_rdms(
    features: Mapping[str, np.ndarray],
    patterns: pd.DataFrame,
    *,
    model: str = "features",
    normalize: str | None = "zscore",
) -> RDMs:
    """RDMs of features that the user computed, for read-outs and comparisons of kernels.

    Parameters
    ----------
    features : mapping of str to array of shape (n_stimuli, n_units)
        Responses by layer, in the order of ``patterns``.
    patterns : pandas.DataFrame
        One row per stimulus, indexed by ``stimulus_id``, with the columns ``identity`` and ``azimuth_deg`` where known;
        such as the table of a StimulusSet.
    model : str
        Name of the model in tables.
    normalize : {"zscore", None}
        As in ``compute_model_rdms``.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        One RDM of squared Euclidean distances per layer; RDM descriptors ``model, layer, layer_index``.

    Raises
    ------
    InputError
        If there is no layer, one has not one row per stimulus, or holds values that are not finite.
    """
    check_normalization(normalize)
    if not features:
        raise InputError("there are no features: give the units of at least one layer")
    matrices = []
    for layer, values in features.items():
        units = np.asarray(values, dtype=float).reshape(len(values), -1)
        if len(units) != len(patterns):
            raise InputError(f"layer {layer!r} has {len(units)} rows and there are {len(patterns)} stimuli")
        if not np.isfinite(units).all():
            raise InputError(f"layer {layer!r} has responses that are not finite numbers; leave those units out")
        if normalize == "zscore":
            units, _ = zscore_units(units)
        matrices.append(find_dissimilarity("euclidean").of_responses(units))
    return build_rdms(
        np.stack(matrices),
        patterns=patterns,
        rdms={"model": [model] * len(matrices), "layer": list(features), "layer_index": list(range(len(matrices)))},
        dissimilarity="euclidean",
    )
