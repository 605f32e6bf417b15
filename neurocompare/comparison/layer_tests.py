"""Tests over the layers of a network: best layer on other identities, layer by patch, and permuted identities.

Takes RDMs, recordings and :class:`~neurocompare.comparison.fit_result.FitResult`; gives tables, one row a test.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from rsatoolbox.rdm import RDMs
from scipy import stats

from neural_data.errors import InputError
from neural_data.rounding import ROUNDING, first_largest
from neurocompare.comparison.fit_result import FitResult, networks_of
from neurocompare.comparison.fits import fits_on_counts
from neurocompare.comparison.inference import Recording, jackknife_result, make_experiment, result_rows
from neurocompare.comparison.multiplicity import adjust
from neurocompare.comparison.refitting import Experiment
from neurocompare.representations.rdms import rdm_table

__all__ = [
    "compare_layer_profiles",
    "cross_validated_best_layer",
    "deal_folds",
    "training_counts",
]

FEWEST_IDENTITIES_A_FOLD = 2


def compare_layer_profiles(result: FitResult, *, per_ceiling: bool = False) -> pd.DataFrame:
    """Whether the profile of fits over a network's layers differs between recordings.

    Parameters
    ----------
    result : FitResult
        Fits of at least two layers of a network to at least two recordings.
    per_ceiling : bool
        Divide fits by each recording's lower noise ceiling first (taken as known): two patches with the same profile
        but other reliabilities then have parallel profiles.

    Returns
    -------
    pandas.DataFrame
        One row a network and pair of recordings: ``slope_difference``, the change of fit from the first to the last
        layer in the first recording minus that in the second (least squares over relative depth), with ``ci_low,
        ci_high, p``; ``interaction``, the mean square of what is left when the mean profile and the mean difference are
        taken out, with ``p_interaction`` from draws; ``depth_difference``, the first recording's best layer's relative
        depth minus the second's, with its standard deviation ``depth_se`` and the interval ``depth_low, depth_high``
        over draws; ``p_adjusted`` (Holm, over
        the rows) for the slopes.

    Raises
    ------
    InputError
        If there is one recording only, no network with two layers, or no ceilings where they are to be divided by.
    """
    n_recordings = len(result.recordings)
    if n_recordings < 2:
        raise InputError("comparing profiles needs at least two recordings, such as AL and AM; this result has one")
    scale = np.ones(n_recordings)
    if per_ceiling:
        if result.ceilings is None or not (result.ceilings["ceiling_lower"] > 0).all():
            raise InputError(
                "profiles per ceiling need a lower noise ceiling above 0 for every recording; give ceilings="
            )
        scale = 1 / result.ceilings["ceiling_lower"].to_numpy()
    rows = []
    for labels, members in networks_of(result.models):
        if len(members) < 2:
            continue
        depth = np.linspace(0, 1, len(members))
        slope = (depth - depth.mean()) / ((depth - depth.mean()) ** 2).sum()
        fits, draws = result.estimates[members] * scale, result.draws[:, members] * scale
        for a, b in zip(*np.triu_indices(n_recordings, 1), strict=True):
            weights = np.zeros((1, *result.estimates.shape))
            weights[0, members, a], weights[0, members, b] = slope * scale[a], -slope * scale[b]
            estimate, se, p = (float(value[0]) for value in result.contrasts(weights))
            half = stats.t.ppf((1 + result.confidence) / 2, result.df.min()) * se
            gap, gaps = fits[:, a] - fits[:, b], draws[:, :, a] - draws[:, :, b]
            observed = np.var(gap)
            centred = gaps - np.nanmean(gaps, axis=0) if np.isfinite(gap).all() else np.full_like(gaps, np.nan)
            winners = [depth[first_largest(draws[:, :, r], axis=1)] for r in (a, b)]
            gaps_of_depth = winners[0] - winners[1]
            known = not np.isnan(fits[:, [a, b]]).all(axis=0).any()
            tail = (1 - result.confidence) / 2
            low, high = np.quantile(gaps_of_depth, [tail, 1 - tail]) if known else (np.nan, np.nan)
            rows.append(
                labels
                | _labels(result.recordings.iloc[a], result.recordings.columns, "_1")
                | _labels(result.recordings.iloc[b], result.recordings.columns, "_2")
                | {
                    "slope_difference": estimate,
                    "ci_low": estimate - half,
                    "ci_high": estimate + half,
                    "p": p,
                    "interaction": observed,
                    "p_interaction": _share_at_least(np.nanvar(centred, axis=1), observed)
                    if np.isfinite(observed)
                    else np.nan,
                    "depth_difference": depth[first_largest(fits[:, a])] - depth[first_largest(fits[:, b])]
                    if known
                    else np.nan,
                    "depth_se": gaps_of_depth.std(ddof=1) if known else np.nan,
                    "depth_low": low,
                    "depth_high": high,
                    "n_layers": len(members),
                }
            )
    if not rows:
        raise InputError("comparing profiles needs a network with at least two layers; these models have one each")
    table = pd.DataFrame(rows)
    return table.assign(p_adjusted=adjust(table["p"].to_numpy(), "holm"))


def cross_validated_best_layer(
    model_rdms: RDMs,
    neural_rdms: RDMs,
    *,
    recording: Recording | None = None,
    resample: str | Sequence[str] = ("identity", "neuron"),
    n_folds: int = 5,
    n_splits: int = 10,
    method: str = "corr",
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Fit of each network's best layer, chosen on some identities and measured on the others.

    Parameters
    ----------
    model_rdms, neural_rdms, recording, resample, method, confidence
        As in ``infer_fits``; ``resample`` holds ``"identity"``.
    n_folds : int
        Parts the identities are dealt into; each is held out in turn. A part holds at least two identities, so there
        may be fewer parts than asked for.
    n_splits : int
        Random deals; results are means over deals and parts.
    rng : numpy.random.Generator
        Source of the deals.

    Returns
    -------
    pandas.DataFrame
        One row a network and recording: ``layer`` (chosen most often), ``share`` of the choices that it got,
        ``relative_depth`` (mean over choices), ``fit`` on held-out identities, ``se, ci_low, ci_high``, one-sided
        ``p_zero``, ``fit_in_sample`` (of the layer that fits best on all identities: too high, being the largest of
        several) and ``n_folds, n_splits, n_layers``. Standard errors are those of the whole procedure, repeated with
        parts of each factor left out.

    Raises
    ------
    InputError
        If there are fewer than four identities, or RDMs and recording do not go together.

    Notes
    -----
    A held-out fit is a fit on the pairs among few identities, and so of another (often lower) expectation than the fit
    on all: compare held-out fits with held-out fits only.
    """
    experiment = make_experiment(model_rdms, neural_rdms, recording=recording, resample=resample, method=method)
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
                    "fit_in_sample": np.nan if np.isnan(in_sample).all() else np.nanmax(in_sample),
                    "n_folds": int(fold_of.max()) + 1,
                    "n_splits": n_splits,
                    "n_layers": len(members),
                }
            )
    return pd.DataFrame(rows)


def deal_folds(identity: np.ndarray, n_folds: int, n_splits: int, rng: np.random.Generator) -> np.ndarray:
    """Fold of each stimulus in each split, (n_splits, n_stimuli); identities stay together, at least two a fold.

    ``identity`` numbers the identities of the stimuli from 0. Fewer identities than ``2 * n_folds`` make fewer folds;
    fewer than four are refused.
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
    """Mean held-out fit of the layers that win on training stimuli, and which these are."""
    winners = first_largest(chosen, axis=2)
    picked = np.take_along_axis(tested, winners[:, :, None], axis=2)[:, :, 0]
    return picked.mean(axis=1), winners


def _share_at_least(draws: np.ndarray, observed: float) -> float:
    size = max(abs(observed), np.abs(draws).max(initial=0.0), ROUNDING)
    return float((1 + (draws >= observed - ROUNDING * size).sum()) / (1 + len(draws)))


def _labels(row: pd.Series, columns: Sequence[str], suffix: str = "") -> dict:
    return {f"{name}{suffix}": row[name] for name in ("region", "subject") if name in columns}
