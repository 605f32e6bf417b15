"""Flexible fits: a network's layers (or components) reweighted to fit a recording, tested on other identities.

Weights are non-negative, so that a weighted sum of RDMs is an RDM: that of the units of all layers together, with
each layer scaled. The definition is that of rsatoolbox's ``ModelWeighted`` with ``fit_regress_nn``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from rsatoolbox.rdm import RDMs
from scipy.linalg import cholesky
from scipy.optimize import nnls

from neural_data.errors import InputError, closest
from neurocompare.comparison.drawn_pairs import Pairs
from neurocompare.comparison.fit_kernels import BLOCK_BYTES
from neurocompare.comparison.fit_result import networks_of
from neurocompare.comparison.fits import matched_vectors
from neurocompare.comparison.inference import (
    Comparison,
    jackknife_result,
    make_experiment,
    result_rows,
)
from neurocompare.comparison.layer_tests import deal_folds, training_counts
from neurocompare.comparison.methods import METHODS, Method
from neurocompare.comparison.responses import RecordingOrResponses
from neurocompare.representations.rdms import rdm_table

__all__ = [
    "FLEXIBLE_METHODS",
    "fit_weights",
    "flexible_fits",
    "flexible_method",
    "held_out_fits",
    "scaled_rdms",
]

FLEXIBLE_METHODS = tuple(name for name, method in METHODS.items() if method.linear)
"""Measures of fit that least squares maximises."""

RIDGE = 1e-10
"""Added to the diagonal of correlations among RDMs, so that two equal layers share their weight."""


def fit_weights(model_rdms: RDMs, neural_rdms: RDMs, method: str = "corr") -> np.ndarray:
    """Non-negative weights under which the sum of all model RDMs fits each neural RDM best.

    Parameters
    ----------
    model_rdms, neural_rdms : rsatoolbox.rdm.RDMs
        The same stimuli in any order, matched by ``stimulus_id``; pairs that are NaN in any of them are left out.
    method : {"corr", "cosine"}
        Measure of fit to maximise.

    Returns
    -------
    array of shape (n_models, n_recordings)
        Weights of the unscaled RDMs, each column of length 1; zeros if no positive weight fits.

    Raises
    ------
    InputError
        If the stimuli differ or the method cannot be fitted.
    """
    measure = flexible_method(method)
    models, recordings = matched_vectors(model_rdms, neural_rdms)
    measured = ~(np.isnan(models).any(axis=0) | np.isnan(recordings).any(axis=0))
    scales, models = scaled_rdms(models[:, measured], measure)
    moments = _Moments(models, recordings[:, measured], np.ones((1, int(measured.sum()))), measure)
    weights = moments.best_weights()[0] / scales[:, None]
    length = np.linalg.norm(weights, axis=0)
    return weights / np.where(length > 0, length, 1)


def flexible_fits(
    model_rdms: RDMs,
    neural_rdms: RDMs,
    *,
    recording: RecordingOrResponses | None = None,
    resample: str | Sequence[str] = ("identity", "neuron"),
    n_folds: int = 5,
    n_splits: int = 2,
    method: str = "corr",
    confidence: float = 0.95,
    n_permutations: int = 200,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Fit of each network with its layers reweighted on some identities and measured on the others.

    Parameters
    ----------
    model_rdms, neural_rdms, recording, resample, confidence
        As in ``infer_fits``; ``resample`` holds ``"identity"``. The RDMs of one network (``model, regime, seed``) are
        weighted together.
    n_folds, n_splits : int
        As in ``cross_validated_best_layer``, whose held-out fits are comparable with these.
    method : {"corr", "cosine"}
        Measure of fit to maximise.
    n_permutations : int
        As in ``cross_validated_best_layer``; weights are fitted again to each.
    rng : numpy.random.Generator
        Source of the folds and permutations.

    Returns
    -------
    pandas.DataFrame
        One row per network and recording: ``fit`` on held-out identities, ``se, ci_low, ci_high``, one-sided
        ``p_zero`` (of the whole procedure, repeated with parts of each factor left out; against 0, which any two
        populations that are tuned to view exceed, whatever their identities), ``p_identity`` of the whole procedure
        with permuted identities (NaN unless all identities are shown in the same views), ``fit_in_sample``,
        ``heaviest`` (the layer with the largest weight on all identities, each RDM scaled to the same spread),
        ``n_weights`` above 0, ``n_layers, n_folds, n_splits``.

    Raises
    ------
    InputError
        If RDMs and recording do not match, there are fewer than four identities, or an RDM holds NaN.
    """
    measure = flexible_method(method)
    comparison = Comparison(resample=resample, method=method)
    experiment = make_experiment(model_rdms, neural_rdms, comparison, recording=recording)
    if "identity" not in experiment.factors:
        raise InputError("flexible fits are cross-validated over identities; resample must hold 'identity'")
    if np.isnan(experiment.models).any() or np.isnan(experiment.recordings).any():
        raise InputError("flexible fits need complete RDMs; leave out the stimuli whose dissimilarities are NaN")
    folds = deal_folds(experiment.codes, n_folds, n_splits, rng)
    train = training_counts(folds)
    networks = list(networks_of(rdm_table(model_rdms)))
    scaled = [scaled_rdms(experiment.models[members], measure)[1] for _, members in networks]

    def statistic(recordings: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Held-out fits (n_counts, n_networks, n_recordings)."""
        return np.stack([held_out_fits(models, recordings, counts, train, measure) for models in scaled], axis=1)

    table = result_rows(neural_rdms, experiment)
    result = jackknife_result(
        experiment,
        pd.DataFrame([labels for labels, _ in networks], index=range(len(networks))),
        table,
        statistic=statistic,
        confidence=confidence,
        n_permutations=n_permutations,
        rng=rng,
    )
    low, high = result.ci
    rows = []
    models = rdm_table(model_rdms)
    for k, (labels, members) in enumerate(networks):
        whole = _Moments(scaled[k], experiment.recordings, np.ones((1, experiment.models.shape[1])), measure)
        weights = whole.best_weights()
        in_sample = whole.fits(weights)[0]
        names = models["layer"].to_numpy()[members] if "layer" in models.columns else members
        for r, group in enumerate(experiment.groups):
            share = weights[0][:, group].mean(axis=1)
            rows.append(
                labels
                | {name: table[name].iloc[r] for name in ("region", "subject") if name in table.columns}
                | {
                    "fit": result.estimates[k, r],
                    "se": result.se[k, r],
                    "ci_low": low[k, r],
                    "ci_high": high[k, r],
                    "p_zero": result.p_zero[k, r],
                    "p_identity": result.p_identity[k, r],
                    "fit_in_sample": in_sample[group].mean(),
                    "heaviest": names[share.argmax()],
                    "n_weights": int((share > 1e-6 * share.max()).sum()),
                    "n_layers": len(members),
                    "n_folds": int(folds.max()) + 1,
                    "n_splits": n_splits,
                }
            )
    return pd.DataFrame(rows)


def held_out_fits(
    models: np.ndarray,
    recordings: np.ndarray,
    counts: np.ndarray,
    train: np.ndarray,
    method: Method,
    *,
    without_weights: float = np.nan,
) -> np.ndarray:
    """Fits of non-negatively weighted sums of RDMs on the stimuli of each fold, weighted on the others.

    Parameters
    ----------
    models, recordings : arrays of shape (n_models, n_pairs) and (n_recordings, n_pairs)
        A pair that is NaN in a recording (a stimulus undefined for its neurons) drops out for all.
    counts : integer array of shape (n_counts, n_stimuli)
        How often each stimulus counts.
    train : integer array of shape (n_folds, n_stimuli)
        1 outside each fold, 0 inside; from ``layer_tests.training_counts``.
    method : Method
        One that least squares maximises.
    without_weights : float
        Fit in a fold where models vary and yet all get weight 0.

    Returns
    -------
    array of shape (n_counts, n_recordings)
        Mean over folds. NaN if all models, or the recording, are constant in a fold.
    """
    measured = np.flatnonzero(~np.isnan(recordings).any(axis=0))
    models, recordings = models[:, measured], recordings[:, measured]
    fits = np.empty((len(counts), len(train), len(recordings)))
    step = max(1, BLOCK_BYTES // (16 * len(train) * len(measured)))
    for start in range(0, len(counts), step):
        block = counts[start : start + step]
        fitted, tested = (
            _Moments(
                models,
                recordings,
                Pairs(counts.shape[1], measured).weights((block[:, None] * kept).reshape(-1, counts.shape[1])),
                method,
            )
            for kept in (train, 1 - train)
        )
        weights = fitted.best_weights()
        found = tested.fits(weights)
        nothing = ~weights.any(axis=1) & (fitted.varies & tested.varies)[:, None] & (tested.squares > 0)
        found = np.where(nothing, without_weights, found)
        fits[start : start + step] = found.reshape(len(block), len(train), -1)
    return fits.mean(axis=1)


class _Moments:
    """Weighted products among model RDMs and with recordings, from which weights and their fits follow.

    ``models`` (n_models, n_pairs), ``recordings`` (n_recordings, n_pairs), ``weights`` (n_draws, n_pairs).
    """

    def __init__(self, models: np.ndarray, recordings: np.ndarray, weights: np.ndarray, method: Method):
        n_models = len(models)
        first, second = np.triu_indices(n_models)
        recordings = method.settled(recordings)
        gram = np.empty((len(weights), n_models, n_models))
        step = max(1, BLOCK_BYTES // (8 * models.shape[1]))
        for start in range(0, len(first), step):
            a, b = first[start : start + step], second[start : start + step]
            gram[:, a, b] = gram[:, b, a] = weights @ (models[a] * models[b]).T
        cross = np.stack([weights @ (models * row).T for row in recordings], axis=-1)
        squares = weights @ (recordings**2).T
        if method.centred:
            n = weights.sum(axis=1)
            x, y = weights @ models.T, weights @ recordings.T
            gram -= x[:, :, None] * x[:, None, :] / n[:, None, None]
            cross -= x[:, :, None] * y[:, None, :] / n[:, None, None]
            squares -= y**2 / n[:, None]
        self.gram, self.cross, self.squares = gram, cross, squares

    @property
    def varies(self) -> np.ndarray:
        """Whether any model varies, (n_draws,)."""
        return np.asarray(np.diagonal(self.gram, axis1=1, axis2=2).max(axis=1) > 0)

    def best_weights(self) -> np.ndarray:
        """Non-negative least squares, (n_draws, n_models, n_recordings)."""
        weights = np.zeros(self.cross.shape)
        for d, gram in enumerate(self.gram):
            size = np.sqrt(np.diag(gram))
            used = np.flatnonzero(size > 1e-12 * size.max(initial=0.0))
            if not len(used):
                continue
            size = size[used]
            correlations = gram[np.ix_(used, used)] / np.outer(size, size)
            root = cholesky(correlations + RIDGE * np.eye(len(used)))
            targets = np.linalg.solve(root.T, self.cross[d][used] / size[:, None])
            for r in range(targets.shape[1]):
                weights[d, used, r] = nnls(root, targets[:, r])[0] / size
        return weights

    def fits(self, weights: np.ndarray) -> np.ndarray:
        """Fit of each weighted sum, (n_draws, n_recordings); NaN where it, or the recording, does not vary."""
        product = (weights * self.cross).sum(axis=1)
        spread = np.einsum("dmr,dmk,dkr->dr", weights, self.gram, weights, optimize=True) * self.squares
        return product / np.sqrt(np.where(spread > 0, spread, np.nan))


def scaled_rdms(models: np.ndarray, method: Method) -> tuple[np.ndarray, np.ndarray]:
    """Spread of each RDM, and the RDMs divided by it."""
    values = models - models.mean(axis=1, keepdims=True) if method.centred else models
    scales = np.sqrt(np.mean(values**2, axis=1))
    return np.where(scales > 0, scales, 1), method.settled(models)


def flexible_method(method: str) -> Method:
    """The record of a method that least squares maximises; InputError for others."""
    if method not in FLEXIBLE_METHODS:
        raise InputError(
            f"layers are reweighted by least squares; no method {method!r}: {closest(method, FLEXIBLE_METHODS)}"
        )
    return METHODS[method]
