"""Ridge regression from kernels to neurons with nested cross-validation, in closed form.

Takes kernels of layers (see ``representations.kernels``) and folds of stimuli; gives linear operators from responses to
held-out predictions, and scores of predictions. No random numbers and no tables here: those are in ``encoding``.

With the centred kernel K of the training stimuli, the penalty l and B = (K + l)^-1 on patterns that add up to 0, a
ridge regression with a free intercept predicts ``mean(y) + k B y``, and what it predicts for a block F of the training
stimuli after training on all others is ``y_F - (B_FF)^-1 (B y)_F``. So one eigendecomposition of a training set gives
all penalties, all inner folds, and the predictions after leaving out any identity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from neural_data.errors import InputError, closest

__all__ = [
    "PENALTIES",
    "SCORES",
    "OuterFold",
    "Score",
    "find_score",
    "inner_losses",
    "operator_of",
    "outer_folds",
    "plain_scores",
    "predict",
    "predict_without",
    "weighted_scores",
]

PENALTIES = tuple(float(penalty) for penalty in np.logspace(-3, 4, 15))
"""Penalties to choose from, in units of the mean variance of a stimulus (the mean diagonal of the kernel)."""


NOTHING = 1e-12
"""Share of a sum of squares below which its rest, less the means of folds, is rounding."""


@dataclass(frozen=True)
class OuterFold:
    """Ridge regressions trained on the stimuli outside a fold, one per candidate (mixture of kernels and penalty).

    Parameters
    ----------
    test, train : integer arrays of shape (n_test,) and (n_train,)
        Positions of the held-out stimuli, and of the others.
    predictors : array of shape (n_candidates, n_test, n_train)
        From responses to the training stimuli to predictions for the held-out ones.
    inverses : array of shape (n_candidates, n_train, n_train)
        B of the module's text.
    residuals : array of shape (n_candidates, n_train, n_train)
        From responses to the training stimuli to their errors of prediction in the inner folds.
    """

    test: np.ndarray
    train: np.ndarray
    predictors: np.ndarray
    inverses: np.ndarray
    residuals: np.ndarray


@dataclass(frozen=True)
class Score:
    """How predictions are scored against responses.

    Parameters
    ----------
    name : str
        Name in study files and tables.
    label : str
        Label of axes in figures.
    ratio : callable
        From sums over held-out stimuli, each less its mean in a fold: products, squares of the responses, squares of
        the predictions, and squared errors (not less their mean), to scores.
    root : bool
        Whether the expected score of a true model is the root of the reliability, and not the reliability.
    """

    name: str
    label: str
    ratio: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    root: bool


def _correlation(products: np.ndarray, responses: np.ndarray, predictions: np.ndarray, _: np.ndarray) -> np.ndarray:
    size = responses * predictions
    return np.divide(products, np.sqrt(np.maximum(size, 0)), out=np.full(size.shape, np.nan), where=size > 0)


def _explained(_p: np.ndarray, responses: np.ndarray, _f: np.ndarray, errors: np.ndarray) -> np.ndarray:
    share = np.divide(errors, responses, out=np.full(responses.shape, np.nan), where=responses > 0)
    return 1 - share


SCORES: dict[str, Score] = {
    score.name: score
    for score in (
        Score("corr", "Pearson r", _correlation, root=True),
        Score("r2", "explained variance", _explained, root=False),
    )
}
"""How read-outs are scored, by name. To add one, add its record here."""


def find_score(name: str) -> Score:
    """The record of a score.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in SCORES:
        raise InputError(f"there is no score {name!r} of predictions: {closest(name, SCORES)}")
    return SCORES[name]


def outer_folds(
    kernels: np.ndarray, mixtures: np.ndarray, penalties: Sequence[float], folds: np.ndarray
) -> list[OuterFold]:
    """Ridge regressions of all outer folds; the inner folds of each are the other outer folds.

    Parameters
    ----------
    kernels : array of shape (n_bands, n_stimuli, n_stimuli)
        Centred kernels of the layers that are joined (banded ridge); one for an ordinary ridge regression.
    mixtures : array of shape (n_mixtures, n_bands)
        Weights of the kernels to choose from, at least 0.
    penalties : sequence of float
        Penalties to choose from, above 0. Candidates are all penalties of the first mixture, then of the next.
    folds : integer array of shape (n_stimuli,)
        Fold of each stimulus, numbered from 0; at least three.

    Returns
    -------
    list of OuterFold
    """
    shrinkage = np.asarray(penalties, dtype=float)
    mixed = np.tensordot(mixtures, kernels, 1)
    found = []
    for fold in range(int(folds.max()) + 1):
        test, train = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        inner = [np.flatnonzero(folds[train] == other) for other in np.unique(folds[train])]
        predictors, inverses, residuals = [], [], []
        for kernel in mixed:
            own = kernel[np.ix_(train, train)]
            means = own.mean(axis=0)
            centred = own - means - means[:, None] + means.mean()
            values, vectors = np.linalg.eigh(centred)
            values = np.maximum(values, 0.0)
            inverse = (vectors / (values + shrinkage[:, None])[:, None, :]) @ vectors.T
            # The constant pattern is the intercept, which is not penalised, and no part of B.
            inverse -= 1 / (len(train) * shrinkage)[:, None, None]
            towards = kernel[np.ix_(test, train)] - means
            predictors.append(towards @ inverse + 1 / len(train))
            residual = np.empty_like(inverse)
            for block in inner:
                residual[:, block] = np.linalg.solve(inverse[:, block[:, None], block], inverse[:, block])
            inverses.append(inverse)
            residuals.append(residual)
        found.append(
            OuterFold(test, train, np.concatenate(predictors), np.concatenate(inverses), np.concatenate(residuals))
        )
    return found


def inner_losses(fold: OuterFold, responses: np.ndarray) -> np.ndarray:
    """Squared errors in the inner folds, (n_candidates, n_targets), of responses (n_stimuli, n_targets)."""
    errors = fold.residuals @ responses[fold.train]
    return np.einsum("ctk,ctk->ck", errors, errors)


def operator_of(outer: Sequence[OuterFold], chosen: Sequence[int] | np.ndarray) -> np.ndarray:
    """From responses to held-out predictions, (n_stimuli, n_stimuli), with one candidate a fold for all targets."""
    n_stimuli = sum(len(fold.test) for fold in outer)
    found = np.zeros((n_stimuli, n_stimuli))
    for fold, candidate in zip(outer, chosen, strict=True):
        found[fold.test[:, None], fold.train] = fold.predictors[candidate]
    return found


def plain_scores(score: Score, responses: np.ndarray, predictions: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """:func:`weighted_scores` with all stimuli weighted alike, (n_targets,); responses must be centred and scaled.

    Parameters
    ----------
    score, responses, predictions, folds
        As there.
    """
    member = (folds == np.arange(int(folds.max()) + 1)[:, None]).astype(float)
    sizes = member.sum(axis=1)
    of_y, of_f = member @ responses, member @ predictions
    products = np.einsum("ik,ik->k", responses, predictions)
    y2, f2 = np.einsum("ik,ik->k", responses, responses), np.einsum("ik,ik->k", predictions, predictions)
    errors = y2 - 2 * products + f2
    products = products - (1 / sizes) @ (of_y * of_f)
    within_y, within_f = y2 - (1 / sizes) @ of_y**2, f2 - (1 / sizes) @ of_f**2
    within_y[within_y <= NOTHING * y2] = 0.0
    within_f[within_f <= NOTHING * f2] = 0.0
    return score.ratio(products, within_y, within_f, errors)


def predict(outer: Sequence[OuterFold], chosen: np.ndarray, responses: np.ndarray) -> np.ndarray:
    """Held-out predictions for all stimuli.

    Parameters
    ----------
    outer : sequence of OuterFold
        The folds, each with its regressions.
    chosen : integer array of shape (n_folds, n_targets)
        Candidate of each fold and target.
    responses : array of shape (n_stimuli, n_targets)
        Measured responses; those of a fold are not used for its predictions.

    Returns
    -------
    array of shape (n_stimuli, n_targets)
    """
    if (chosen == chosen[:, :1]).all():
        return operator_of(outer, chosen[:, 0]) @ responses
    found = np.empty(responses.shape)
    for fold, of_targets in zip(outer, chosen, strict=True):
        for candidate in np.unique(of_targets):
            targets = np.flatnonzero(of_targets == candidate)
            found[fold.test[:, None], targets] = fold.predictors[candidate] @ responses[fold.train[:, None], targets]
    return found


def predict_without(
    outer: Sequence[OuterFold], chosen: np.ndarray, responses: np.ndarray, left_out: np.ndarray
) -> np.ndarray:
    """Held-out predictions of regressions trained without some further stimuli, with the penalties of :func:`predict`.

    Parameters
    ----------
    outer, chosen, responses
        As in :func:`predict`.
    left_out : boolean array of shape (n_parts, n_stimuli)
        Stimuli that each part leaves out.

    Returns
    -------
    array of shape (n_parts, n_stimuli, n_targets)
        Predictions also for the stimuli that were left out.
    """
    found = np.empty((len(left_out), *responses.shape))
    for fold, of_targets in zip(outer, chosen, strict=True):
        for candidate in np.unique(of_targets):
            targets = np.flatnonzero(of_targets == candidate)
            own = responses[fold.train[:, None], targets]
            inverse, predictor = fold.inverses[candidate], fold.predictors[candidate]
            weights, whole = inverse @ own, predictor @ own
            for part, away in enumerate(left_out[:, fold.train]):
                places = np.flatnonzero(away)
                # Leaving stimuli out is the same as giving them the responses that are then predicted for them.
                errors = (
                    np.linalg.solve(inverse[np.ix_(places, places)], weights[places]) if len(places) else weights[:0]
                )
                found[part, fold.test[:, None], targets] = whole - predictor[:, places] @ errors
    return found


def weighted_scores(
    score: Score, responses: np.ndarray, predictions: np.ndarray, weights: np.ndarray, folds: np.ndarray
) -> np.ndarray:
    """Scores of held-out predictions, stimuli weighted; responses and predictions are compared within folds.

    Parameters
    ----------
    score : Score
        One of :data:`SCORES`.
    responses, predictions : arrays of shape (n_stimuli, n_targets)
        Measured responses, and held-out predictions of them.
    weights : array of shape (n_draws, n_stimuli)
        How often each stimulus counts.
    folds : integer array of shape (n_stimuli,)
        Folds whose means are removed: predictions of different folds come from different regressions.

    Returns
    -------
    array of shape (n_draws, n_targets)
        NaN where the responses (for correlations, or the predictions) do not vary within folds.
    """
    shape = (len(weights), responses.shape[1])
    sums = np.zeros((4, *shape))
    power = np.zeros((2, responses.shape[1]))
    for fold in range(int(folds.max()) + 1):
        rows = np.flatnonzero(folds == fold)
        of_fold = weights[:, rows].astype(float)
        n = of_fold.sum(axis=1, keepdims=True)
        there = np.divide(1.0, n, out=np.zeros_like(n), where=n > 0)
        # Shifted by the fold's own means, so that little is lost to rounding.
        y, f = responses[rows], predictions[rows]
        error = y - f
        y, f = y - y.mean(axis=0), f - f.mean(axis=0)
        of_y, of_f = of_fold @ y, of_fold @ f
        sums[0] += of_fold @ (y * f) - of_y * of_f * there
        for place, (values, total) in enumerate(((y, of_y), (f, of_f))):
            squares = of_fold @ values**2
            sums[1 + place] += squares - total**2 * there
            power[place] = np.maximum(power[place], squares.max(axis=0, initial=0.0))
        sums[3] += of_fold @ error**2
    for place in (0, 1):
        sums[1 + place][sums[1 + place] <= NOTHING * power[place]] = 0.0
    return score.ratio(sums[0], sums[1], sums[2], sums[3])
