"""Tests over the layers of a network: best layer on other identities, layer by patch, and permuted identities.

Takes RDMs, recordings and :class:`~neurocompare.comparison.fit_result.FitResult`; gives tables, one row per test.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
from rsatoolbox.rdm import RDMs
from scipy import stats

from neural_data.errors import InputError
from neural_data.rounding import ROUNDING, first_largest
from neurocompare.comparison.equivalence_tests import with_equality
from neurocompare.comparison.fit_result import FitResult, networks_of
from neurocompare.comparison.fits import fits_on_counts
from neurocompare.comparison.inference import (
    Comparison,
    jackknife_result,
    make_experiment,
    result_rows,
)
from neurocompare.comparison.multiplicity import adjust
from neurocompare.comparison.refitting import Experiment
from neurocompare.comparison.responses import RecordingOrResponses
from neurocompare.representations.rdms import rdm_table

__all__ = [
    "compare_layer_profiles",
    "cross_validated_best_layer",
    "deal_folds",
    "profile_notes",
    "training_counts",
]

log = logging.getLogger(__name__)

FEWEST_IDENTITIES_A_FOLD = 2
INTERACTION_NOTE = (
    "p_interaction of patch and layer, without noise ceilings, is too cautious: an absent interaction was found in 0.6 "
    "to 2 % of simulated experiments instead of 5 % (analyses/calibration/layer_tests.csv)"
)


def compare_layer_profiles(
    result: FitResult, *, per_ceiling: bool | None = None, margin: float | None = None
) -> pd.DataFrame:
    """Whether the profile of fits over a network's layers differs between recordings, and where it peaks.

    Parameters
    ----------
    result : FitResult
        Fits of at least two layers of a network to at least two recordings.
    per_ceiling : bool or None
        Whether to compare noise-corrected fits (divided by the root of each recording's reliability, with its error).
        Two patches with the same geometry then have parallel profiles whatever their reliabilities, while uncorrected
        profiles differ with reliability. None does so if the result has ceilings; if not, it compares uncorrected
        profiles and logs a warning.
    margin : float or None
        Smallest difference of slopes that matters: tests whether slopes are equal within it, too.

    Returns
    -------
    pandas.DataFrame
        One row per network and pair of recordings: ``slope_difference``, the change of fit from the first to the last
        layer in the first recording minus that in the second (least squares over relative depth), with ``se, df,
        ci_low, ci_high, p``, and ``per_ceiling``; ``interaction``, the mean square of the two profiles after removing
        the mean profile and the mean difference, with ``p_interaction`` from draws (with ``per_ceiling``, it takes the
        roots of the reliabilities as fixed; without, it is too cautious, see :func:`profile_notes`).
        ``depth_difference``, the first recording's best layer's relative depth minus the second's, with its standard
        deviation ``depth_se``, the interval ``depth_low, depth_high`` and the two-sided ``p_depth`` over draws; these
        are empty, and ``depth_reason`` says why, if no layer fits one of the two better than with permuted identities.
        ``p_adjusted`` (Holm, over the rows) for the slopes, and ``margin, p_equal, p_equal_adjusted, conclusion``, see
        ``equivalence_tests.with_equality`` (empty without a margin).

    Raises
    ------
    InputError
        If there is only one recording, no network with two layers, or ``per_ceiling`` without ceilings.
    """
    n_recordings = len(result.recordings)
    if n_recordings < 2:
        raise InputError("comparing profiles needs at least two recordings, such as AL and AM; this result has one")
    if per_ceiling is None:
        per_ceiling = result.has_reliabilities
        for note in _notes_on_ceilings(result):
            log.warning("%s", note)
    if per_ceiling and not result.has_reliabilities:
        raise InputError(
            "profiles per ceiling need the reliability of every recording; give infer_fits the recording, and not "
            "ceilings=False"
        )
    compared = result.corrected if per_ceiling else result
    rows = []
    for labels, members in networks_of(result.models):
        if len(members) < 2:
            continue
        depth = np.linspace(0, 1, len(members))
        slope = (depth - depth.mean()) / ((depth - depth.mean()) ** 2).sum()
        problems = [result.no_identity_found(members, r) for r in range(n_recordings)]
        for a, b in itertools.combinations(range(n_recordings), 2):
            weights = np.zeros((1, *result.estimates.shape))
            weights[0, members, a], weights[0, members, b] = slope, -slope
            estimate, se, p = (float(value[0]) for value in compared.contrasts(weights))
            half = stats.t.ppf((1 + result.confidence) / 2, result.df.min()) * se
            rows.append(
                labels
                | _labels(result.recordings.iloc[a], result.recordings.columns, "_1")
                | _labels(result.recordings.iloc[b], result.recordings.columns, "_2")
                | {
                    "slope_difference": estimate,
                    "se": se,
                    "df": float(result.df.min()),
                    "ci_low": estimate - half,
                    "ci_high": estimate + half,
                    "p": p,
                    "per_ceiling": per_ceiling,
                }
                | _interaction(compared.estimates[members][:, [a, b]], compared.draws[:, members][:, :, [a, b]])
                | _depths(result, members, a, b, "; ".join(filter(None, (problems[a], problems[b]))))
                | {"n_layers": len(members)}
            )
    if not rows:
        raise InputError("comparing profiles needs a network with at least two layers; these models have one each")
    table = pd.DataFrame(rows)
    table = table.assign(p_adjusted=adjust(table["p"].to_numpy(), "holm"))
    return with_equality(
        table, margin, estimate="slope_difference", p="p_adjusted", correction="holm", confidence=result.confidence
    )


def profile_notes(result: FitResult) -> tuple[str, ...]:
    """Caveats for readers of :func:`compare_layer_profiles`: missing ceilings, error rates of the calibration.

    Parameters
    ----------
    result : FitResult
        From ``infer_fits``.

    Returns
    -------
    tuple of str
        Empty with fewer than two recordings.
    """
    if len(result.recordings) < 2:
        return ()
    too_cautious = not result.has_reliabilities and result.n_draws
    return (*_notes_on_ceilings(result), *([INTERACTION_NOTE] if too_cautious else []))


def _notes_on_ceilings(result: FitResult) -> list[str]:
    if len(result.recordings) < 2 or result.has_reliabilities:
        return []
    return [
        "layer profiles of patches are compared without noise ceilings: two patches that read one layer differ, too, "
        "where their reliabilities do; give the recording in place of RDMs alone"
    ]


def _interaction(fits: np.ndarray, draws: np.ndarray) -> dict[str, float]:
    """Interaction of layer and recording, of fits (n_layers, 2), and its p from draws (n_draws, n_layers, 2)."""
    gap, gaps = fits[:, 0] - fits[:, 1], draws[:, :, 0] - draws[:, :, 1]
    if not np.isfinite(gap).all() or not len(gaps):
        return {"interaction": float(np.var(gap)), "p_interaction": np.nan}
    centred = gaps - np.nanmean(gaps, axis=0)
    observed = float(np.var(gap))
    return {"interaction": observed, "p_interaction": _share_at_least(np.nanvar(centred, axis=1), observed)}


def _depths(result: FitResult, members: np.ndarray, a: int, b: int, problem: str) -> dict[str, object]:
    """Difference of the best layers' relative depths in two recordings; empty where there is a problem."""
    names = ("depth_difference", "depth_se", "depth_low", "depth_high", "p_depth")
    fits, draws = result.estimates[members][:, [a, b]], result.draws[:, members][:, :, [a, b]]
    if not problem and not len(draws):
        problem = "there are no draws"
    if problem:
        return {**dict.fromkeys(names, np.nan), "depth_reason": problem}
    depth = np.linspace(0, 1, len(members))
    first, second = (depth[first_largest(draws[:, :, r], axis=1)] for r in (0, 1))
    gaps = first - second
    tail = (1 - result.confidence) / 2
    low, high = np.quantile(gaps, [tail, 1 - tail])
    found = depth[first_largest(fits[:, 0])] - depth[first_largest(fits[:, 1])]
    p = min(1.0, 2 * min(_share_at_least(gaps, 0.0), _share_at_least(-gaps, 0.0)))
    return {**dict(zip(names, (found, gaps.std(ddof=1), low, high, p), strict=True)), "depth_reason": ""}


def cross_validated_best_layer(
    model_rdms: RDMs,
    neural_rdms: RDMs,
    *,
    recording: RecordingOrResponses | None = None,
    resample: str | Sequence[str] = ("identity", "neuron"),
    n_folds: int = 5,
    n_splits: int = 10,
    method: str = "corr",
    confidence: float = 0.95,
    n_permutations: int = 1000,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Cross-validated fit of each network's best layer: selected on some identities, tested on the others.

    Parameters
    ----------
    model_rdms, neural_rdms, recording, resample, method, confidence
        As in ``infer_fits``; ``resample`` holds ``"identity"``.
    n_folds : int
        Folds of identities; each is held out in turn. A fold has at least two identities, so there may be fewer folds
        than this.
    n_splits : int
        Random partitions into folds; results are means over partitions and folds.
    n_permutations : int
        Permutations of identities, views kept, for ``p_identity``; 0 for none.
    rng : numpy.random.Generator
        Source of the partitions and permutations.

    Returns
    -------
    pandas.DataFrame
        One row per network and recording: ``layer`` (selected most often), ``share`` of selections,
        ``relative_depth`` (mean over selections), ``fit`` on held-out identities, ``se, ci_low, ci_high``, one-sided
        ``p_zero`` against 0 (which any two populations that are tuned to view exceed, whatever their identities),
        ``p_identity`` of the whole procedure, selection included, with permuted identities (NaN unless all identities
        are shown in the same views), ``fit_in_sample`` (of the layer that fits best on all identities; biased upwards
        by the selection) and ``n_folds, n_splits, n_layers``. Standard errors are by jackknife of the whole procedure.

    Raises
    ------
    InputError
        If there are fewer than four identities, or RDMs and recording do not match.

    Notes
    -----
    A held-out fit uses the pairs among few identities and so has another (often lower) expectation than the fit on all
    identities: compare held-out fits only with held-out fits. The test against 0 is cautious: the best of five
    unrelated layers was above 0 in 1 to 2 % of simulated experiments instead of 5 % (``layer_tests.csv`` in
    ``analyses/calibration``); ``p_identity`` kept its level (4 to 6 %). Intervals covered 97 % with 5 identities and
    88 % with 10 (``further.csv``).
    """
    comparison = Comparison(resample=resample, method=method)
    experiment = make_experiment(model_rdms, neural_rdms, comparison, recording=recording)
    if "identity" not in experiment.factors:
        raise InputError("cross-validation is over identities; resample must hold 'identity'")
    fold_of = deal_folds(experiment.codes, n_folds, n_splits, rng)
    networks = list(networks_of(rdm_table(model_rdms)))
    train = training_counts(fold_of)

    def statistic(recordings: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Held-out fits (n_counts, n_networks, n_recordings)."""
        chosen, tested = _chosen_and_tested(experiment, recordings, counts, train)
        held_out = [_picked(chosen[:, :, members], tested[:, :, members])[0] for _, members in networks]
        return np.stack(held_out, axis=1)

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
    chosen, tested = _chosen_and_tested(experiment, experiment.recordings, experiment.stays(), train)
    whole = fits_on_counts(experiment.models, experiment.recordings, experiment.stays(), method=method)[0]
    models = rdm_table(model_rdms)
    rows = []
    for k, (labels, members) in enumerate(networks):
        picks = _picked(chosen[:, :, members], tested[:, :, members])[1]
        names = models["layer"].to_numpy()[members] if "layer" in models.columns else members
        for r, group in enumerate(experiment.groups):
            votes = np.bincount(picks[0][:, group].ravel(), minlength=len(members))
            in_sample = whole[members][:, group].mean(axis=1)
            rows.append(
                labels
                | _labels(table.iloc[r], table.columns)
                | {
                    "layer": names[votes.argmax()],
                    "share": votes.max() / votes.sum(),
                    "relative_depth": votes @ np.linspace(0, 1, len(members)) / votes.sum()
                    if len(members) > 1
                    else 0.0,
                    "fit": result.estimates[k, r],
                    "se": result.se[k, r],
                    "ci_low": low[k, r],
                    "ci_high": high[k, r],
                    "p_zero": result.p_zero[k, r],
                    "p_identity": result.p_identity[k, r],
                    "fit_in_sample": np.nan if np.isnan(in_sample).all() else np.nanmax(in_sample),
                    "n_folds": int(fold_of.max()) + 1,
                    "n_splits": n_splits,
                    "n_layers": len(members),
                }
            )
    return pd.DataFrame(rows)


def deal_folds(identity: np.ndarray, n_folds: int, n_splits: int, rng: np.random.Generator) -> np.ndarray:
    """Fold of each stimulus in each split, (n_splits, n_stimuli); identities stay together, at least two per fold.

    Parameters
    ----------
    identity : integer array of shape (n_stimuli,)
        Identity of each stimulus, numbered from 0; fewer than four identities are refused.
    n_folds : int
        Folds of a split; fewer identities than twice as many make fewer folds.
    n_splits : int
        Random splits.
    rng : numpy.random.Generator
        Source of the splits.
    """
    n_identities = int(identity.max()) + 1
    n_folds = min(n_folds, n_identities // FEWEST_IDENTITIES_A_FOLD)
    if n_folds < 2 or n_splits < 1:
        raise InputError(
            f"cross-validation over identities needs at least {2 * FEWEST_IDENTITIES_A_FOLD} of them, two folds and "
            f"one split; there are {n_identities} identities, {n_folds} fold(s) and {n_splits} split(s)"
        )
    return np.stack([rng.permutation(np.arange(n_identities) % n_folds)[identity] for _ in range(n_splits)])


def training_counts(fold_of: np.ndarray) -> np.ndarray:
    """1 for stimuli outside each fold in turn, 0 inside: (n_splits * n_folds, n_stimuli) from ``deal_folds``."""
    outside = fold_of[:, None, :] != np.arange(fold_of.max() + 1)[None, :, None]
    return outside.reshape(-1, fold_of.shape[1]).astype(int)


def _chosen_and_tested(
    experiment: Experiment, recordings: np.ndarray, counts: np.ndarray, train: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fits on the training and on the held-out stimuli of each fold, (n_counts, n_folds, n_models, n_recordings)."""
    both = []
    for kept in (train, 1 - train):
        rows = (counts[:, None, :] * kept[None]).reshape(-1, counts.shape[1])
        fits = fits_on_counts(experiment.models, recordings, rows, method=experiment.method)
        both.append(fits.reshape(len(counts), len(kept), *fits.shape[1:]))
    return both[0], both[1]


def _picked(chosen: np.ndarray, tested: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean held-out fit of the layers selected on training stimuli, and the selected layers."""
    winners = first_largest(chosen, axis=2)
    picked = np.take_along_axis(tested, winners[:, :, None], axis=2)[:, :, 0]
    return picked.mean(axis=1), winners


def _share_at_least(draws: np.ndarray, observed: float) -> float:
    size = max(abs(observed), np.abs(draws).max(initial=0.0), ROUNDING)
    return float((1 + (draws >= observed - ROUNDING * size).sum()) / (1 + len(draws)))


def _labels(row: pd.Series, columns: Sequence[str], suffix: str = "") -> dict:
    return {f"{name}{suffix}": row[name] for name in ("region", "subject") if name in columns}
