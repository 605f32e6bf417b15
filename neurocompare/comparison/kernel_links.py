"""Comparisons of two representations by their centred kernels or distances: CKA, Procrustes, whitened cosine.

Takes matrices of stimuli by stimuli; gives similarities of every model to every recording, 1 for equal geometry up to
scale and rotation. Uncertainty and tables are in ``links``.
"""

from __future__ import annotations

import numpy as np

__all__ = ["debiased_cka", "linear_cka", "procrustes_similarity", "whitened_cosine"]

SMALLEST = 1e-12
"""Share of a kernel's size below which an eigenvalue is rounding."""


def linear_cka(models: np.ndarray, recordings: np.ndarray) -> np.ndarray:
    """Linear centred kernel alignment.

    Parameters
    ----------
    models, recordings : arrays of shape (n_models, n, n) and (n_recordings, n, n)
        Centred kernels, see ``representations.kernels``.

    Returns
    -------
    array of shape (n_models, n_recordings)
        0 to 1; NaN where a kernel is 0 or NaN. Above 0 for unrelated representations of few stimuli by many units.

    References
    ----------
    Kornblith, Norouzi, Lee & Hinton (2019), ICML.
    """
    return _cosines(models.reshape(len(models), -1), recordings.reshape(len(recordings), -1))


def debiased_cka(models: np.ndarray, recordings: np.ndarray) -> np.ndarray:
    """Linear CKA from the unbiased estimator of the Hilbert-Schmidt independence criterion.

    Parameters
    ----------
    models, recordings
        As in :func:`linear_cka`; at least four stimuli.

    Returns
    -------
    array of shape (n_models, n_recordings)
        About 0 for unrelated representations, whatever the number of units; at most 1.

    References
    ----------
    Song et al. (2012), JMLR 13:1393, the estimator. Székely & Rizzo (2014), Annals of Statistics 42:2382, its form as a
    product of U-centred matrices. Murphy, Zylberberg & Fyshe (2024), arXiv:2405.01012, the bias of CKA.
    """
    return linear_cka(_u_centred(models), _u_centred(recordings))


def _u_centred(kernels: np.ndarray) -> np.ndarray:
    n = kernels.shape[-1]
    if n < 4:
        return np.full_like(kernels, np.nan)
    places = np.arange(n)
    found = kernels.copy()
    found[..., places, places] = 0.0
    rows = found.sum(axis=-1)
    found = found - (rows[..., :, None] + rows[..., None, :]) / (n - 2)
    found += (rows.sum(axis=-1) / ((n - 1) * (n - 2)))[..., None, None]
    found[..., places, places] = 0.0
    return found


def procrustes_similarity(models: np.ndarray, recordings: np.ndarray) -> np.ndarray:
    """Cosine of the Procrustes angle: how well one representation, rotated, reflected and scaled, equals the other.

    Parameters
    ----------
    models, recordings
        As in :func:`linear_cka`.

    Returns
    -------
    array of shape (n_models, n_recordings)
        0 to 1; its arc cosine is the shape distance, a metric. NaN where a kernel is 0 or NaN.

    References
    ----------
    Schönemann (1966), Psychometrika 31:1. Williams, Kunz, Kornblith & Linderman (2021), NeurIPS 34, the shape distance.

    Notes
    -----
    The sum of singular values of X'Y is the sum of the roots of the eigenvalues of Y'XX'Y, which takes the kernel of X
    and a root of the kernel of Y.
    """
    found = np.full((len(models), len(recordings)), np.nan)
    traces = np.trace(models, axis1=1, axis2=2)
    defined = np.flatnonzero(np.isfinite(traces) & (traces > 0))
    for r, kernel in enumerate(recordings):
        size = np.trace(kernel)
        if not (np.isfinite(size) and size > 0):
            continue
        values, vectors = np.linalg.eigh(kernel)
        kept = values > SMALLEST * values[-1]
        root = vectors[:, kept] * np.sqrt(values[kept])
        squares = np.linalg.eigvalsh(root.T @ models[defined] @ root)
        found[defined, r] = np.sqrt(np.maximum(squares, 0.0)).sum(axis=1) / np.sqrt(traces[defined] * size)
    return found


def whitened_cosine(models: np.ndarray, recordings: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Cosine of two RDMs of squared distances, whitened by the covariance that noise of the responses gives them.

    Parameters
    ----------
    models, recordings : arrays of shape (n_models, n, n) and (n_recordings, n, n)
        Squared distances.
    noise : array of shape (n,)
        Variance of the noise of the mean response to each stimulus; noise of different stimuli is independent.

    Returns
    -------
    array of shape (n_models, n_recordings)
        As ``rsatoolbox.rdm.compare(..., "cosine_cov", sigma_k=np.diag(noise))``.

    References
    ----------
    Diedrichsen, Berlot, Mur, Schütt, Shahbazi & Kriegeskorte (2021), Neurons, Behavior, Data Analysis and Theory 5:3.

    Notes
    -----
    The covariance of the distances is ``D + B diag(noise^2) B'``: D is diagonal with ``2 noise_i noise_j`` of each
    pair, and B says which pairs hold a stimulus. Its inverse needs that of a matrix of stimuli by stimuli alone.
    """
    outer = 2 * np.outer(noise, noise)
    shares = 1 / outer
    np.fill_diagonal(shares, 0.0)
    middle = shares + np.diag(1 / noise**2 + shares.sum(axis=1))
    left, right = (matrices * shares for matrices in (models, recordings))
    rows_left, rows_right = left.sum(axis=2), right.sum(axis=2)
    solved_left, solved_right = (np.linalg.solve(middle, rows.T).T for rows in (rows_left, rows_right))
    products = np.einsum("mij,rij->mr", left, recordings, optimize=True) / 2 - rows_left @ solved_right.T
    of_left = np.einsum("mij,mij->m", left, models) / 2 - np.vecdot(rows_left, solved_left)
    of_right = np.einsum("rij,rij->r", right, recordings) / 2 - np.vecdot(rows_right, solved_right)
    return _over_roots(products, of_left, of_right)


def _cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return _over_roots(left @ right.T, np.vecdot(left, left), np.vecdot(right, right))


def _over_roots(products: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    size = left[:, None] * right
    return np.divide(products, np.sqrt(np.maximum(size, 0.0)), out=np.full(size.shape, np.nan), where=size > 0)
