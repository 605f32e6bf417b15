"""Encoding: how well a network's layers predict single neurons, by ridge regression, with the inference of fits.

Takes RDMs of layers (squared Euclidean distances, which hold all that a ridge regression needs, whatever the number of
units) and responses; gives scores per neuron and, pooled over the neurons of a patch, a
:class:`~neurocompare.comparison.fit_result.FitResult`. What is held out and resampled is in ``encoding_design``, the
regressions are in ``ridge``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError
from neurocompare.comparison.encoding_design import (
    ACROSS,
    Design,
    Encoding,
    ResampledPatch,
    design_of,
    factors_or_usual,
    neurons_of,
    usual_question,
)
from neurocompare.comparison.fit_result import FitResult
from neurocompare.comparison.patch_responses import PatchResponses, patch_responses
from neurocompare.comparison.refitting import crossed_deviations
from neurocompare.comparison.resampling import FACTORS, factors_along
from neurocompare.comparison.ridge import (
    OuterFold,
    find_score,
    inner_losses,
    operator_of,
    outer_folds,
    plain_scores,
    predict,
    predict_without,
    weighted_scores,
)
from neurocompare.comparison.sampling import STIMULI, seed_of, source_of
from neurocompare.representations.kernels import kernels_of_rdms, scaled_kernels
from neurocompare.representations.rdms import LAYER, pattern_table, rdm_table

__all__ = [
    "ACROSS",
    "ENCODING_COLUMNS",
    "Cell",
    "Design",
    "Encoding",
    "EncodingResult",
    "ResampledPatch",
    "design_of",
    "encode_patches",
    "infer_encoding",
    "neurons_of",
    "pooled_result",
    "undefined_cell",
]

BLOCK_BYTES = 100_000_000
LARGEST = 1 - 1e-12
ENCODING_COLUMNS = (
    *(*LAYER, "region", "subject", "across", "score", "n_folds", "resample", "n_draws", "n_stimuli", "n_identities"),
    *("n_neurons", "prediction", "se", "ci_low", "ci_high", "p_zero", "p_zero_adjusted", "p_identity"),
    *("p_identity_adjusted", "ceiling", "p_ceiling", "corrected_prediction", "corrected_low", "corrected_high"),
    "penalty",
)
"""Columns of ``EncodingResult.to_frame``."""
AS_USUAL = Encoding()


@dataclass(frozen=True)
class EncodingResult:
    """Scores of read-outs from layers to patches.

    Parameters
    ----------
    pooled : FitResult
        Mean score over the neurons of each patch in place of fits. The roots of its reliabilities are the expected
        scores of a true model.
    neurons : pandas.DataFrame
        One row per layer and neuron: the layer's descriptors, ``region, subject, neuroid_id, prediction`` (its score),
        ``se`` (over identities or stimuli; NaN if these are not resampled), ``reliability`` (over trials),
        ``corrected_prediction`` and ``penalty`` (median over folds).
    penalties : array of shape (n_models, n_patches)
        Median penalty over folds and neurons.
    settings : Encoding
        Settings of the regressions.
    across : str
        What is held out together, a name in :data:`ACROSS`.
    n_folds : int
        Folds there are.
    notes : tuple of str
        What a reader of the scores must know, in sentences.
    """

    pooled: FitResult
    neurons: pd.DataFrame
    penalties: np.ndarray
    settings: Encoding
    across: str
    n_folds: int
    notes: tuple[str, ...] = ()

    def to_frame(self, correction: str = "bh") -> pd.DataFrame:
        """One row per layer and patch, columns :data:`ENCODING_COLUMNS`; see ``FitResult.to_frame``."""
        frame = self.pooled.to_frame(correction).rename(
            columns={"fit": "prediction", "corrected_fit": "corrected_prediction"}
        )
        n_models, n_patches = self.pooled.estimates.shape
        patch = np.tile(np.arange(n_patches), n_models)
        frame = frame.assign(
            across=self.across,
            score=self.settings.score,
            n_folds=self.n_folds,
            ceiling=self.pooled.roots[patch],
            penalty=self.penalties.ravel(),
        )
        return frame[list(ENCODING_COLUMNS)]


def infer_encoding(
    model_rdms: RDMs,
    recording: xr.DataArray | Mapping,
    settings: Encoding = AS_USUAL,
    *,
    resample: str | Sequence[str] | None = None,
    joint: Mapping[str, Sequence[int] | np.ndarray] | None = None,
    by_subject: bool = False,
    n_draws: int = 1000,
    n_permutations: int = 200,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> EncodingResult:
    """How well each layer predicts the neurons of each patch, with uncertainty over identities and neurons.

    Parameters
    ----------
    model_rdms : rsatoolbox.rdm.RDMs
        Squared Euclidean distances of the layers, ``compute_model_rdms(..., dissimilarity="euclidean")`` or
        ``kernels.feature_rdms``; pattern descriptors ``stimulus_id`` and, where known, ``identity, azimuth_deg``.
    recording : xarray.DataArray or mapping
        See ``patch_responses``; every neuron has a response to every stimulus.
    settings : Encoding
        Settings of the regressions; None takes the defaults.
    resample : str, sequence of str or None
        As in ``infer_fits``, without subjects.
    joint : mapping of str to sequence of int, or None
        Banded ridge: by the name that it gets as a layer, positions of RDMs that predict together. Their weights are
        chosen with the penalty.
    by_subject : bool
        Whether each subject's neurons are a patch of their own.
    n_draws : int
        Draws of identities and neurons, for best layers and the maximum statistic. The regressions of draws are those
        of all identities; standard errors, from leaving out, have their own.
    n_permutations : int
        Permutations of identities, views kept, for ``p_identity``; penalties are chosen anew in each.
    confidence : float
        Nominal coverage of the intervals.
    rng : numpy.random.Generator
        Source of folds, draws, permutations and halves of trials.

    Returns
    -------
    EncodingResult

    Raises
    ------
    InputError
        If RDMs hold other dissimilarities, stimuli or views are missing, or there are too few folds.

    Notes
    -----
    Scores of a patch are means over its neurons. The noise-corrected score is this mean over the mean, over the same
    neurons, of what a true model is expected to reach: the root of each neuron's reliability over trials for
    correlations, the reliability for explained variance (reliabilities below 0 count as 0). Standard errors come from
    leaving identities out of training and test, and neurons out of the mean; penalties stay those chosen on all
    identities, since a score near its optimum does not change with them to first order.

    References
    ----------
    Hoerl & Kennard (1970), Technometrics 12:55, ridge regression. Cawley & Talbot (2003), Pattern Recognition 36:2585,
    leaving out in closed form. Dupré la Tour et al. (2022), NeuroImage 264:119728, banded ridge regression.
    """
    ids = [str(one) for one in model_rdms.pattern_descriptors["stimulus_id"]]
    factors = factors_or_usual(resample, model_rdms, recording)
    patches = patch_responses(recording, ids, by_subject=by_subject)
    sizes = (n_draws, n_permutations)
    return encode_patches(model_rdms, patches, settings, factors, sizes, joint=joint, confidence=confidence, rng=rng)


def encode_patches(
    model_rdms: RDMs,
    patches: Sequence[PatchResponses],
    settings: Encoding,
    factors: tuple[str, ...],
    sizes: tuple[int, int],
    *,
    joint: Mapping[str, Sequence[int] | np.ndarray] | None = None,
    samples: Sequence[int] | None = None,
    seed: int | None = None,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> EncodingResult:
    """Read-outs of patches whose responses are given; the work behind :func:`infer_encoding`.

    Parameters
    ----------
    model_rdms, settings, joint, confidence, rng
        As in :func:`infer_encoding`.
    patches : sequence of PatchResponses
        Stimuli in the order of the model RDMs.
    factors : tuple of str
        What is resampled: names in ``resampling.FACTORS``.
    sizes : (int, int)
        Draws and permutations.
    samples : sequence of int or None
        Sample of neurons that each patch is of, numbered from 0: patches of one sample (time bins) leave out and draw
        the same neurons. None: each is a sample of its own.
    seed : int or None
        Of what is left out and drawn, see ``sampling``, for patches with ``samples``; None takes it from ``rng``.
    """
    patterns = pattern_table(model_rdms)
    n_draws, n_permutations = sizes
    if factors_along("subjects", factors):
        raise InputError("read-outs are resampled over stimuli, identities and neurons; leave 'subject' out")
    across = settings.across or usual_question(model_rdms)
    kernels = scaled_kernels(kernels_of_rdms(model_rdms, what="model RDMs"))
    models, bands = _models_and_bands(rdm_table(model_rdms), joint or {})
    units = None if seed is None else source_of(seed, STIMULI)
    sizes = (n_draws, n_permutations)
    design = design_of(settings, across, patterns.reset_index(), factors, sizes, rng, units=units)
    root = find_score(settings.score).root
    if samples is None:
        populations = [neurons_of(patch, design, n_draws, root, rng) for patch in patches]
    else:
        shared = seed_of(rng) if seed is None else seed
        populations = [
            neurons_of(patch, design, n_draws, root, source_of(shared, sample + 1))
            for patch, sample in zip(patches, samples, strict=True)
        ]
    mixtures = [_mixtures(len(of_model), settings.n_mixtures, rng) for of_model in bands]
    cells = [
        _layer_cells(kernels[of_model], mixed, settings, design, populations)
        for of_model, mixed in zip(bands, mixtures, strict=True)
    ]
    return pooled_result(cells, models, settings, across, patterns, design, populations, confidence)


def _models_and_bands(
    models: pd.DataFrame, joint: Mapping[str, Sequence[int] | np.ndarray]
) -> tuple[pd.DataFrame, list[np.ndarray]]:
    """Labels of the layers and of the joined ones, and the RDMs of each."""
    if "model" not in models and "layer" not in models:
        models = models.assign(model=[f"model {place + 1}" for place in range(len(models))])
    bands = [np.array([place]) for place in range(len(models))]
    rows = []
    for name, places in joint.items():
        chosen = np.asarray(places, dtype=int)
        if (
            len(chosen) < 2
            or len(set(chosen.tolist())) < len(chosen)
            or chosen.min() < 0
            or chosen.max() >= len(models)
        ):
            raise InputError(
                f"joint {name!r} must name at least two different RDMs by position, 0 to {len(models) - 1}; got "
                f"{list(places)}"
            )
        first = models.iloc[chosen[0]]
        same = {key: first[key] for key in models.columns if (models[key].iloc[chosen] == first[key]).all()}
        rows.append(same | {"layer": name})
        bands.append(chosen)
    return pd.concat([models, pd.DataFrame(rows)], ignore_index=True) if rows else models, bands


def _mixtures(n_bands: int, n_random: int, rng: np.random.Generator) -> np.ndarray:
    """Weights of joined kernels to choose from, (n_mixtures, n_bands); every kernel alone is among them."""
    if n_bands <= 3:
        steps = np.stack(np.meshgrid(*[np.arange(5)] * n_bands, indexing="ij"), axis=-1).reshape(-1, n_bands)
        return steps[steps.sum(axis=1) == 4] / 4
    return np.concatenate(
        [np.eye(n_bands), np.full((1, n_bands), 1 / n_bands), rng.dirichlet(np.ones(n_bands), n_random)]
    )


@dataclass(frozen=True)
class Cell:
    """Scores of one layer and patch: per neuron without each part (last row: all), draws, permutations, penalties.

    Parameters
    ----------
    scores : array of shape (n_parts + 1, n_neurons)
        Without each part of the stimuli; the last row is of all stimuli.
    draws : array of shape (n_draws,)
        Mean over the neurons, on draws of stimuli and neurons.
    null : array of shape (n_permutations,) or None
        Mean over the neurons, with permuted identities; None without permutations.
    penalties : array of shape (n_neurons,)
        Median penalty over folds.
    """

    scores: np.ndarray
    draws: np.ndarray
    null: np.ndarray | None
    penalties: np.ndarray


def _layer_cells(
    kernels: np.ndarray, mixtures: np.ndarray, settings: Encoding, design: Design, populations: list[ResampledPatch]
) -> list[Cell]:
    """Scores of one layer (or of joined ones) for every patch."""
    if np.isnan(kernels).any() or not kernels.any():
        return [undefined_cell(design, one) for one in populations]
    outer = outer_folds(kernels, mixtures, settings.penalties, design.folds)
    score = find_score(settings.score)
    cells = []
    for neurons in populations:
        y = neurons.scaled
        chosen = _chosen(outer, y, settings.per_neuron)
        whole = predict(outer, chosen, y)
        scores = weighted_scores(score, y, whole, design.weights[-1:], design.folds)
        if len(design.left_out):
            without = predict_without(outer, chosen, y, design.left_out)
            parts = [
                weighted_scores(score, y, predicted, weights[None], design.folds)
                for predicted, weights in zip(without, design.weights[:-1], strict=True)
            ]
            scores = np.concatenate([*parts, scores])
        drawn = weighted_scores(score, y, whole, design.counts, design.folds)
        null = None
        if not isinstance(design.orders, str):
            null = _permuted(outer, y, design.orders, settings, design.folds)
        used = np.median(np.asarray(settings.penalties)[chosen % len(settings.penalties)], axis=0)
        cells.append(Cell(scores, _means(drawn, neurons.counts), null, used))
    return cells


def undefined_cell(design: Design, neurons: ResampledPatch) -> Cell:
    """Scores of a layer that has no units."""
    n_neurons = neurons.scaled.shape[1]
    return Cell(
        np.full((len(design.weights), n_neurons), np.nan),
        np.full(len(design.counts), np.nan),
        None if isinstance(design.orders, str) else np.full(len(design.orders), np.nan),
        np.full(n_neurons, np.nan),
    )


def _chosen(outer: list[OuterFold], responses: np.ndarray, per_neuron: bool) -> np.ndarray:
    """Candidate of each fold and neuron with the smallest error in the inner folds, (n_folds, n_neurons)."""
    if per_neuron:
        return np.stack([inner_losses(fold, responses).argmin(axis=0) for fold in outer])
    grams = (responses @ responses.T)[None]
    return np.repeat(_shared_choice(outer, grams)[:, :1], responses.shape[1], axis=1)


def _shared_choice(outer: list[OuterFold], grams: np.ndarray) -> np.ndarray:
    """The same for all neurons together, (n_folds, n_grams), from products of responses (n_grams, n, n).

    The squared errors of all neurons depend on the responses only through their products over neurons.
    """
    found = []
    for fold in outer:
        squares = fold.residuals.swapaxes(1, 2) @ fold.residuals
        own = grams[:, fold.train[:, None], fold.train].reshape(len(grams), -1)
        found.append((own @ squares.reshape(len(squares), -1).T).argmin(axis=1))
    return np.stack(found)


def _permuted(
    outer: list[OuterFold], responses: np.ndarray, orders: np.ndarray, settings: Encoding, folds: np.ndarray
) -> np.ndarray:
    """Mean scores over neurons under permuted identities, (n_permutations,)."""
    score = find_score(settings.score)
    found = np.empty(len(orders))
    gram = responses @ responses.T
    step = max(1, BLOCK_BYTES // (8 * gram.size))
    for start in range(0, len(orders), step):
        block = orders[start : start + step]
        shared = None if settings.per_neuron else _shared_choice(outer, gram[block[:, :, None], block[:, None, :]])
        for place, order in enumerate(block):
            y = responses[order]
            if shared is None:
                predicted = predict(outer, _chosen(outer, y, per_neuron=True), y)
            else:
                predicted = operator_of(outer, shared[:, place]) @ y
            scores = plain_scores(score, y, predicted, folds)
            found[start + place] = _means(scores[None], np.ones((1, y.shape[1])))[0]
    return found


def _means(scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Means over neurons, each as often as it counts, of scores (n, n_neurons); undefined scores are left out."""
    known = ~np.isnan(scores)
    n = (counts * known).sum(axis=1)
    total = (counts * np.where(known, scores, 0.0)).sum(axis=1)
    return np.divide(total, n, out=np.full(len(total), np.nan), where=n > 0)


def _means_of_parts(scores: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Means (n_pattern_parts + 1, n_neuron_parts + 1) of scores (n_pattern_parts + 1, n_neurons)."""
    known = ~np.isnan(scores)
    n = known.astype(float) @ kept.T
    return np.divide(np.where(known, scores, 0.0) @ kept.T, n, out=np.full(n.shape, np.nan), where=n > 0)


def pooled_result(
    cells: list[list[Cell]],
    models: pd.DataFrame,
    settings: Encoding,
    across: str,
    patterns: pd.DataFrame,
    design: Design,
    populations: list[ResampledPatch],
    confidence: float,
) -> EncodingResult:
    """Result from the scores of every model (row) and patch (column), see :func:`infer_encoding`.

    Parameters
    ----------
    cells : list of lists of Cell
        Scores of every model, by patch.
    models : pandas.DataFrame
        Labels of the models.
    settings : Encoding
        Settings of the regressions.
    across : str
        What is held out together.
    patterns : pandas.DataFrame
        One row per stimulus.
    design : Design
        From :func:`design_of`.
    populations : list of ResampledPatch
        From :func:`neurons_of`, one a patch.
    confidence : float
        Nominal coverage of the intervals.
    """
    tables = []
    for r, neurons in enumerate(populations):
        of_layers = [_means_of_parts(row[r].scores, neurons.kept) for row in cells]
        ceiling = np.minimum(_means_of_parts(neurons.reliability, neurons.kept), LARGEST)
        tables.append(np.stack([*of_layers, np.arctanh(np.minimum(ceiling**2, LARGEST))], axis=1))
    operators = [operator for neurons in populations for operator in neurons.operators]
    groups = [np.array([r]) for r in range(len(populations))]
    both = crossed_deviations(tables, operators, design.operator, groups, design.factors)
    ceilings = np.stack([np.tanh(table[-1, -1, -1]) for table in tables])
    rows = pd.DataFrame([{"region": n.patch.region, "subject": n.patch.subject} for n in populations])
    n_neurons = np.array([n.scaled.shape[1] for n in populations])
    known = bool(np.isfinite(ceilings).any())
    n_identities = patterns["identity"].nunique() if "identity" in patterns else None
    along_stimuli = {name: n_identities if FACTORS[name].together else len(patterns) for name in design.factors}
    null: np.ndarray | str = design.orders
    if not isinstance(null, str):
        null = np.array([[cell.null for cell in row] for row in cells], dtype=float).transpose(2, 0, 1)
    pooled = FitResult(
        models=models,
        recordings=rows,
        estimates=np.stack([table[-1, :-1, -1] for table in tables], axis=1),
        draws=np.stack([[cell.draws for cell in row] for row in cells]).transpose(2, 0, 1),
        deviations={key: found[:, :-1] for key, found in both.items()},
        variance="jackknife",
        sizes={
            name: n_neurons if FACTORS[name].axis == "neurons" else np.full(len(populations), along_stimuli[name])
            for name in design.factors
        },
        factors=design.factors,
        method=f"ridge regression, {settings.score}",
        dissimilarity="euclidean",
        n_stimuli=len(patterns),
        n_identities=n_identities,
        n_neurons=n_neurons.astype(float),
        n_redrawn=design.n_redrawn,
        ceilings=pd.DataFrame({"ceiling_lower": ceilings, "ceiling_upper": np.nan, "ceiling_lower_se": np.nan})
        if known
        else None,
        ceiling_deviations={key: found[:, -1] for key, found in both.items()} if known else None,
        identity_null=null,
        confidence=confidence,
    )
    penalties = np.array([[np.median(cell.penalties) for cell in row] for row in cells])
    return EncodingResult(
        pooled=pooled,
        neurons=_neuron_table(cells, models, design, populations, find_score(settings.score).root),
        penalties=penalties,
        settings=settings,
        across=across,
        n_folds=int(design.folds.max()) + 1,
        notes=(*_notes(settings, populations, penalties, design), *_undefined(pooled)),
    )


def _neuron_table(
    cells: list[list[Cell]], models: pd.DataFrame, design: Design, populations: list[ResampledPatch], root: bool
) -> pd.DataFrame:
    frames = []
    for m, row in enumerate(cells):
        for neurons, cell in zip(populations, row, strict=True):
            labels = {name: models[name].iloc[m] for name in LAYER if name in models.columns}
            score, best = cell.scores[-1], neurons.reliability[-1]
            se = np.full(len(score), np.nan)
            if design.operator is not None:
                se = np.sqrt(((design.operator @ cell.scores) ** 2).sum(axis=0))
            frame = pd.DataFrame(labels, index=range(len(score)))
            frames.append(
                frame.assign(
                    region=neurons.patch.region,
                    subject=neurons.patch.subject,
                    neuroid_id=list(neurons.patch.neuroid_ids),
                    prediction=score,
                    se=se,
                    reliability=best**2 if root else best,
                    corrected_prediction=np.divide(score, best, out=np.full(len(score), np.nan), where=best > 0),
                    penalty=cell.penalties,
                )
            )
    return pd.concat(frames, ignore_index=True)


def _undefined(pooled: FitResult) -> list[str]:
    """Which models predict no patch, and why."""
    lacking = np.isnan(pooled.estimates).all(axis=1)
    naming = [name for name in LAYER if name in pooled.models and name != "layer_index"]
    names = [
        ", ".join(str(one) for one in row if str(one) not in ("", "nan")) for row in pooled.models[naming].to_numpy()
    ]
    return [
        f"{name}: no read-outs, as it (or a layer that it joins) responds alike to all stimuli or is undefined"
        for name, none in zip(names, lacking, strict=True)
        if none
    ]


def _notes(
    settings: Encoding, populations: list[ResampledPatch], penalties: np.ndarray, design: Design
) -> tuple[str, ...]:
    notes = []
    for neurons in populations:
        if neurons.patch.n_constant:
            notes.append(
                f"{neurons.patch.name}: {neurons.patch.n_constant} neuron(s) respond alike to all stimuli and are left "
                "out of the read-outs"
            )
        if neurons.patch.trials is None:
            notes.append(
                f"{neurons.patch.name}: predictions are not noise-corrected, for lack of repeated trials of all neurons"
            )
    ends = np.isclose(penalties, min(settings.penalties)) if len(settings.penalties) > 1 else np.zeros(1, dtype=bool)
    if ends.any():
        notes.append(f"{int(ends.sum())} read-outs chose the smallest penalty; smaller ones may predict better")
    if isinstance(design.orders, str):
        notes.append(f"p_identity is empty: {design.orders}")
    return tuple(notes)
