"""Variance partitioning among sets of layers or models, and partial correlation with nuisance RDMs.

What a patch's RDM, or its neurons' responses, owe to each set of layers alone (unique), to several alike (shared) and
to all together (total). Every number is cross-validated: weights and penalties come from some identities, explained
variance from the others.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr
from rsatoolbox.rdm import RDMs
from scipy.optimize import nnls

from neural_data.errors import InputError
from neurocompare.comparison.encoding import Encoding, infer_encoding
from neurocompare.comparison.equivalence_tests import with_equality
from neurocompare.comparison.fit_kernels import Pairs
from neurocompare.comparison.fit_result import FitResult
from neurocompare.comparison.flexible import flexible_method, held_out_fits, scaled_rdms
from neurocompare.comparison.inference import (
    Comparison,
    jackknife_result,
    make_experiment,
    result_rows,
)
from neurocompare.comparison.layer_tests import deal_folds, training_counts
from neurocompare.comparison.responses import RecordingOrResponses
from neurocompare.representations.rdms import LAYER, build_rdms, match_stimuli, pattern_table, rdm_table

__all__ = ["MOST_SETS", "PARTIAL_COLUMNS", "PARTITION_COLUMNS", "partial_fits", "partition_rdms", "partition_responses"]

MOST_SETS = 4
"""Sets of layers among which variance is partitioned, at most."""
PARTITION_COLUMNS = (
    *("partitioned", "region", "subject", "part", "kind", "explained", "se", "ci_low", "ci_high", "p", "non_negative"),
    *("margin", "p_equal", "conclusion", "resample", "n_stimuli", "n_neurons"),
)
PARTIAL_COLUMNS = (
    *(*LAYER, "region", "subject", "nuisance", "partial_fit", "fit", "se", "ci_low", "ci_high", "p_zero"),
    "p_zero_adjusted",
)
RESPONSES = Encoding(score="r2")
RANK_TOLERANCE = 1e-10
"""Share of the largest singular value of the nuisance RDMs below which one is rounding."""


def partition_responses(
    model_rdms: RDMs,
    recording: xr.DataArray | Mapping,
    sets: Mapping[str, Sequence[int] | np.ndarray],
    settings: Encoding = RESPONSES,
    *,
    resample: str | Sequence[str] | None = None,
    margin: float | None = None,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Explained variance of the neurons of each patch, partitioned among sets of layers by banded ridge regression.

    Parameters
    ----------
    model_rdms, recording, resample, confidence, rng
        As in ``infer_encoding``.
    sets : mapping of str to sequence of int
        Two to four sets of layers by name: positions in ``model_rdms``, none in two sets.
    settings : Encoding
        With ``score="r2"``.
    margin : float or None
        As in :func:`partition_rdms`.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`PARTITION_COLUMNS`; rows of each patch as in :func:`partition_rdms`. The mean over neurons of the
        held-out explained variance, which noise limits to their mean reliability.

    Raises
    ------
    InputError
        If sets are empty, overlap or are too few or too many, or the settings do not score explained variance.

    References
    ----------
    Lescroart, Stansbury & Gallant (2015), Front Comput Neurosci 9:135. Dupré la Tour et al. (2022), NeuroImage
    264:119728.
    """
    names = _checked_sets(sets, model_rdms.n_rdm)
    if settings.score != "r2":
        raise InputError(f"variance is partitioned with score='r2'; got {settings.score!r}")
    bands = {name: list(sets[name]) for name in names}
    subsets = _subsets(len(names))
    members = [sorted(itertools.chain.from_iterable(bands[names[k]] for k in subset)) for subset in subsets]
    used = sorted({place for chosen in members for place in chosen})
    place_of = {place: number for number, place in enumerate(used)}
    joint = {
        f"subset {number}": [place_of[place] for place in chosen]
        for number, chosen in enumerate(members)
        if len(chosen) > 1
    }
    chosen = build_rdms(
        model_rdms.dissimilarities[used],
        patterns=pattern_table(model_rdms),
        rdms=rdm_table(model_rdms).iloc[used].to_dict("list"),
        dissimilarity=model_rdms.dissimilarity_measure,
    )
    found = infer_encoding(
        chosen,
        recording,
        settings,
        resample=resample,
        joint=joint,
        n_draws=2,
        n_permutations=0,
        confidence=confidence,
        rng=rng,
    ).pooled
    joined = {name: len(used) + number for number, name in enumerate(joint)}
    rows = [
        joined[f"subset {number}"] if len(places) > 1 else place_of[places[0]] for number, places in enumerate(members)
    ]
    return _partition(found, np.array(rows), subsets, names, "responses", margin)


def partition_rdms(
    model_rdms: RDMs,
    neural_rdms: RDMs,
    sets: Mapping[str, Sequence[int] | np.ndarray],
    *,
    recording: RecordingOrResponses | None = None,
    resample: str | Sequence[str] = ("identity", "neuron"),
    n_folds: int = 5,
    n_splits: int = 2,
    method: str = "corr",
    margin: float | None = None,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Explained variance of each patch's RDM, partitioned among sets of model RDMs.

    Parameters
    ----------
    model_rdms, neural_rdms, recording, resample, n_folds, n_splits, method, confidence, rng
        As in ``flexible_fits``.
    sets : mapping of str to sequence of int
        Two to four sets by name: positions in ``model_rdms``, none in two sets.
    margin : float or None
        Smallest part of the variance that matters: tests whether parts equal 0 within it, too.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`PARTITION_COLUMNS`; for each patch one row of ``kind`` ``total`` (all sets), ``alone`` for each
        set (whatever it shares), ``unique`` for each set, and ``shared`` for each two or more. ``explained`` is the
        signed square of the fit, on other identities, of the sum of RDMs whose non-negative weights fit best: 0
        in folds in which all weights are 0, NaN if all RDMs of a set are constant in a fold. Unique
        and shared parts add up to the total; noise and suppression can make them negative. ``non_negative`` are the
        parts, all at least 0, that are closest to the explained variance of all subsets of the sets. ``p`` is
        two-sided, not corrected; ``margin, p_equal, conclusion`` are those of ``equivalence_tests.with_equality``,
        empty without a margin.

    Raises
    ------
    InputError
        If sets are empty, overlap or are too few or too many, or as in ``flexible_fits``.

    References
    ----------
    Mood (1971), Am Educ Res J 8:191, commonality analysis. Groen et al. (2018), eLife 7:e32962, of RDMs.
    """
    names = _checked_sets(sets, model_rdms.n_rdm)
    measure = flexible_method(method)
    experiment = make_experiment(
        model_rdms, neural_rdms, Comparison(resample=resample, method=method), recording=recording
    )
    if "identity" not in experiment.factors:
        raise InputError("partitions are cross-validated over identities; resample must hold 'identity'")
    if np.isnan(experiment.models).any() or np.isnan(experiment.recordings).any():
        raise InputError("partitions need complete RDMs; leave out the stimuli whose dissimilarities are NaN")
    subsets = _subsets(len(names))
    members = [sorted(itertools.chain.from_iterable(sets[names[k]] for k in subset)) for subset in subsets]
    scaled = [scaled_rdms(experiment.models[chosen], measure)[1] for chosen in members]
    train = training_counts(deal_folds(experiment.codes, n_folds, n_splits, rng))

    def statistic(recordings: np.ndarray, counts: np.ndarray) -> np.ndarray:
        fits = np.stack(
            [held_out_fits(models, recordings, counts, train, measure, without_weights=0.0) for models in scaled],
            axis=1,
        )
        return fits * np.abs(fits)

    found = jackknife_result(
        experiment,
        pd.DataFrame({"model": ["+".join(names[k] for k in subset) for subset in subsets]}),
        result_rows(neural_rdms, experiment),
        statistic=statistic,
        confidence=confidence,
        rng=rng,
    )
    return _partition(found, np.arange(len(subsets)), subsets, names, "RDM", margin)


def _checked_sets(sets: Mapping[str, Sequence[int] | np.ndarray], n_rdms: int) -> list[str]:
    if not 2 <= len(sets) <= MOST_SETS:
        raise InputError(f"variance is partitioned among two to {MOST_SETS} sets of layers; got {len(sets)}")
    places = [place for chosen in sets.values() for place in chosen]
    empty = [name for name, chosen in sets.items() if not len(chosen)]
    if empty or len(set(places)) < len(places) or not all(0 <= place < n_rdms for place in places):
        raise InputError(
            f"sets must name different RDMs by position, 0 to {n_rdms - 1}, at least one each; got "
            f"{ {name: list(chosen) for name, chosen in sets.items()} }"
        )
    return list(sets)


def _subsets(n: int) -> list[tuple[int, ...]]:
    """All subsets of so many sets, the empty one aside, small ones first."""
    return [subset for size in range(1, n + 1) for subset in itertools.combinations(range(n), size)]


def _part_weights(subsets: list[tuple[int, ...]]) -> np.ndarray:
    """From the explained variance of each subset to its part: unique of one set, shared by several."""
    everyone = set(subsets[-1])
    column = {frozenset(subset): place for place, subset in enumerate(subsets)}
    weights = np.zeros((len(subsets), len(subsets)))
    for row, part in enumerate(subsets):
        rest = everyone - set(part)
        for size in range(len(part) + 1):
            for inside in itertools.combinations(part, size):
                place = column.get(frozenset(rest | set(inside)))
                if place is not None:
                    weights[row, place] += (-1.0) ** (size + 1)
    return weights


def _partition(
    result: FitResult,
    rows: np.ndarray,
    subsets: list[tuple[int, ...]],
    names: list[str],
    partitioned: str,
    margin: float | None,
) -> pd.DataFrame:
    """Table of parts, from the explained variance of all subsets in the given rows of a result."""
    n = len(subsets)
    alone = [place for place, subset in enumerate(subsets) if len(subset) == 1]
    weights = np.concatenate([np.eye(n)[[n - 1, *alone]], _part_weights(subsets)])
    labels = [
        *[("total", " + ".join(names))],
        *[("alone", names[subsets[place][0]]) for place in alone],
        *[("unique" if len(part) == 1 else "shared", " & ".join(names[k] for k in part)) for part in subsets],
    ]
    explained = result.estimates[rows]
    parts = result.of_statistic(
        _sums(weights, explained),
        _sums(weights, result.draws[:, rows]),
        {key: _sums(weights, of[:, rows]) for key, of in result.deviations.items()},
        models=pd.DataFrame(labels, columns=["kind", "part"]),
    )
    low, high = parts.ci
    touches = np.array([[float(bool(set(subset) & set(part))) for part in subsets] for subset in subsets])
    frames = []
    for r in range(explained.shape[1]):
        non_negative = np.full(len(labels), np.nan)
        if np.isfinite(explained[:, r]).all():
            found = nnls(touches, np.maximum(explained[:, r], 0.0))[0]
            non_negative = np.concatenate([(touches @ found)[[n - 1, *alone]], found])
        frames.append(
            pd.DataFrame(labels, columns=["kind", "part"]).assign(
                partitioned=partitioned,
                region=_label(result.recordings, "region", r),
                subject=_label(result.recordings, "subject", r),
                explained=parts.estimates[:, r],
                se=parts.se[:, r],
                df=parts.df[r],
                ci_low=low[:, r],
                ci_high=high[:, r],
                p=parts.p_two_sided[:, r],
                non_negative=non_negative,
                resample="+".join(result.factors),
                n_stimuli=result.n_stimuli,
                n_neurons=result.n_neurons[r],
            )
        )
    table = with_equality(
        pd.concat(frames, ignore_index=True), margin, estimate="explained", confidence=result.confidence
    )
    return table[list(PARTITION_COLUMNS)]


def _sums(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Weighted sums (..., n_parts, n_patches) of values (..., n_subsets, n_patches); those of weight 0 may be NaN."""
    unknown = np.isnan(values)
    lacking = (weights != 0).astype(float) @ unknown.astype(float) > 0
    return np.where(lacking, np.nan, weights @ np.where(unknown, 0.0, values))


def _label(recordings: pd.DataFrame, name: str, r: int) -> str:
    return str(recordings[name].iloc[r]) if name in recordings else ""


def partial_fits(
    model_rdms: RDMs,
    neural_rdms: RDMs,
    nuisances: Mapping[str, RDMs],
    *,
    recording: RecordingOrResponses | None = None,
    resample: str | Sequence[str] | None = None,
    control: str | Sequence[str] = (),
    correction: str = "bh",
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Partial correlation of every model RDM with every neural RDM, given named nuisance RDMs.

    Parameters
    ----------
    model_rdms, neural_rdms, recording, resample, control, confidence, rng
        As in ``infer_fits``. Controls are taken out of nuisances, too.
    nuisances : mapping of str to rsatoolbox.rdm.RDMs
        One RDM each by its name, such as ``{"pixels": ...}``, over the same stimuli. All are partialled out of model
        and recording together, with weights of any sign.
    correction : {"bh", "holm", "none"}
        How ``p_zero_adjusted`` is adjusted over the models and layers within a recording.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`PARTIAL_COLUMNS`: ``partial_fit`` with ``se, ci_low, ci_high`` and its one-sided ``p_zero,
        p_zero_adjusted``, and the plain ``fit`` (under the same controls) beside it. NaN where nothing of a model or a
        recording is left.

    Raises
    ------
    InputError
        If stimuli differ, there is no nuisance, or one is not a single, complete RDM.

    Notes
    -----
    A nuisance is known without error here. If it is noisy, what it stands for is partialled out only in part; so is
    what the RDMs owe to it in another way than linearly.
    """
    if not nuisances:
        raise InputError("partial correlations need at least one nuisance RDM; without any, use infer_fits")
    vectors = []
    for name, rdm in nuisances.items():
        try:
            matched = match_stimuli(model_rdms, rdm)[1]
        except InputError as problem:
            raise InputError(f"nuisance {name!r}: {problem}") from problem
        if matched.n_rdm != 1 or np.isnan(matched.dissimilarities).any():
            missing = int(np.isnan(matched.dissimilarities).sum())
            raise InputError(
                f"nuisance {name!r} must be one complete RDM; got {matched.n_rdm}, with {missing} pairs missing"
            )
        vectors.append(matched.dissimilarities[0])
    comparison = Comparison(resample=resample, control=control)
    experiment = make_experiment(model_rdms, neural_rdms, comparison, recording=recording)
    measure = flexible_method("corr")
    models = measure.settled(experiment.models)
    removed = np.array(vectors)
    if experiment.cells is not None:
        whole, removed = np.linalg.norm(removed, axis=1), experiment.cells.partialled(removed)
        # Of a nuisance that is a function of views, the control leaves nothing but rounding.
        nothing = np.sqrt(np.nansum(removed**2, axis=1)) <= RANK_TOLERANCE * whole
        removed[nothing] *= 0.0

    def statistic(recordings: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return np.concatenate([_partial(models, removed, measure.settled(recordings), row) for row in counts])

    table = result_rows(neural_rdms, experiment)
    found = jackknife_result(
        experiment, rdm_table(model_rdms), table, statistic=statistic, confidence=confidence, rng=rng
    )
    frame = found.to_frame(correction).rename(columns={"fit": "partial_fit"})
    plain = experiment.fits(experiment.recordings, experiment.stays())[0]
    grouped = np.stack([plain[:, group].mean(axis=1) for group in experiment.groups], axis=1)
    return frame.assign(nuisance="+".join(nuisances), fit=grouped.ravel())[list(PARTIAL_COLUMNS)]


def _partial(models: np.ndarray, removed: np.ndarray, recordings: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Partial correlations (1, n_models, n_recordings) under counts of stimuli; pairs that are NaN drop out."""
    defined = ~np.isnan(models).all(axis=1)
    known = ~(np.isnan(models[defined]).any(axis=0) | np.isnan(recordings).any(axis=0))
    measured = np.flatnonzero(known)
    weights = np.sqrt(Pairs(len(counts), measured).weights(counts[None])[0])
    known_parts = np.vstack([np.ones(len(measured)), removed[:, measured]]) * weights
    known_parts /= np.maximum(np.linalg.norm(known_parts, axis=1, keepdims=True), np.finfo(float).tiny)
    left, spread, _ = np.linalg.svd(known_parts.T, full_matrices=False)
    # A nuisance that is constant, or that others hold already, has no direction of its own.
    basis = left[:, spread > RANK_TOLERANCE * spread[0]]
    rests, sizes = [], []
    for rows in (models[:, measured] * weights, recordings[:, measured] * weights):
        rest = rows - (rows @ basis) @ basis.T
        power = np.vecdot(rows, rows)
        size = np.vecdot(rest, rest)
        sizes.append(np.where(size > 1e-12 * power, size, np.nan))
        rests.append(rest)
    return (rests[0] @ rests[1].T / np.sqrt(sizes[0][:, None] * sizes[1]))[None]
