"""Fits with their uncertainty: resamples the experiment, refits, and gives a :class:`FitResult`.

Takes RDMs and, to resample neurons, the responses from which the RDMs were computed. The arithmetic of fits is in
``fits``; variances, tests, intervals and tables are in ``fit_result``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError, closest
from neurocompare.comparison.controls import cells_of_pairs, check_controls
from neurocompare.comparison.fit_ceilings import NO_CEILINGS, Ceilings, ceilings_of_fits, in_refits, matched_ceilings
from neurocompare.comparison.fit_result import FitResult
from neurocompare.comparison.fits import matched_vectors
from neurocompare.comparison.identity_tests import identity_grid, identity_null, permuted_fits
from neurocompare.comparison.methods import find_method
from neurocompare.comparison.refitting import (
    Experiment,
    Statistic,
    bootstrap_deviations,
    estimate_fits,
    jackknife_deviations,
    resample_fits,
)
from neurocompare.comparison.resampling import FACTORS, check_factors, cluster_codes, factors_along
from neurocompare.comparison.responses import RecordingOrResponses, populations_behind
from neurocompare.notebook_progress import BRIEF_SECONDS, progress_or_bar
from neurocompare.progress_lines import Progress, no_progress
from neurocompare.representations.rdms import labelled_by, named_alike, pattern_table, rdm_table

__all__ = [
    "Comparison",
    "Uncertainty",
    "default_factors",
    "infer_experiment",
    "infer_fits",
    "jackknife_result",
    "make_experiment",
    "result_rows",
]

log = logging.getLogger(__name__)

VARIANCES = ("jackknife", "bootstrap")
CEILING_SPLITS = 20
"""Random halves of the neurons for the standard error of a ceiling (the estimate has its own number)."""
WITHIN_IDENTITY = ("copy", "all")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How RDMs are compared, and which factors are resampled; each field as in :func:`infer_fits`."""

    resample: str | Sequence[str] | None = None
    method: str = "corr"
    control: str | Sequence[str] = ()
    within_identity: str = "copy"
    device: str | None = None

    def __post_init__(self):
        if self.resample is not None:
            check_factors(self.resample)
        find_method(self.method)
        if self.within_identity not in WITHIN_IDENTITY:
            raise InputError(
                f"within_identity {self.within_identity!r}: {closest(self.within_identity, WITHIN_IDENTITY)}"
            )


@dataclass(frozen=True, kw_only=True)
class Uncertainty:
    """How errors and p values of fits are computed; each field as in :func:`infer_fits`."""

    variance: str = "jackknife"
    n_draws: int = 1000
    n_permutations: int = 1000
    confidence: float = 0.95

    def __post_init__(self):
        if self.variance not in VARIANCES:
            raise InputError(f"variance {self.variance!r}: {closest(self.variance, VARIANCES)}")
        if self.n_draws < 2:
            raise InputError(
                f"n_draws is {self.n_draws}; a variance needs at least two draws, an interval several hundred"
            )


def infer_fits(
    model_rdms: RDMs,
    neural_rdms: RDMs,
    *,
    recording: RecordingOrResponses | None = None,
    resample: str | Sequence[str] | None = None,
    variance: str = "jackknife",
    n_draws: int = 1000,
    method: str = "corr",
    match_by: str = "stimulus_id",
    control: str | Sequence[str] = (),
    n_permutations: int = 1000,
    within_identity: str = "copy",
    ceilings: pd.DataFrame | bool | None = True,
    confidence: float = 0.95,
    device: str | None = None,
    progress: Progress | None = None,
    rng: np.random.Generator,
) -> FitResult:
    """Fit of every model RDM to every neural RDM, with its uncertainty from resampling.

    Parameters
    ----------
    model_rdms : rsatoolbox.rdm.RDMs
        RDM descriptors ``model, regime, seed, layer, layer_index``, all optional; without model and layer, ``name`` is
        the model.
    neural_rdms : rsatoolbox.rdm.RDMs
        RDM descriptors ``region`` and, where there is one RDM per subject, ``subject``; the same stimuli in any order.
        Resampling identities needs the pattern descriptor ``identity`` in either of the two.
    recording : xarray.DataArray, mapping or None
        Responses from which the neural RDMs were computed; required to resample neurons. Either the recording, dims
        ``(presentation, neuroid)``, or for each region (or ``(region, subject)``) its mean responses: a DataFrame
        (index ``stimulus_id``, one column per neuron) or an array (n_stimuli, n_neurons) in the order of the neural
        RDMs. The RDMs must be those of these responses (z-scored, if their descriptor ``normalize`` says so).
    resample : str, sequence of str or None
        The populations that the claim should generalise to: ``"stimulus"``, ``"identity"`` (all of its
        views together), ``"neuron"`` (the RDM is recomputed), ``"subject"`` (needs RDMs by subject; the fit is then
        the mean over a region's subjects), or several. None chooses by the data: identities if stimuli are several
        views of identities, else stimuli; and neurons if a recording is given, else subjects if every region has RDMs
        of several. See :func:`default_factors`.
    variance : {"jackknife", "bootstrap"}
        Source of standard errors: fits with parts of each factor left out, or draws with replacement.
    n_draws : int
        Draws with replacement; with ``"jackknife"`` used only for the best layer and the maximum statistic.
    method : str
        As in ``compare_rdms``.
    match_by : str
        Pattern descriptor that identifies the stimuli in both.
    control : str or sequence of str
        Controls partialled out of models and recordings, or restrictions to some pairs of stimuli: ``("view",
        "identity")``, ``"within-view"``, ``"within-identity"``; see ``controls``.
    n_permutations : int
        Permutations of identities, views kept, for ``p_identity``; see ``identity_tests``.
    within_identity : {"copy", "all"}
        Weight of pairs of stimuli of one identity that was drawn c times: c (pairs within each copy), or c squared
        (also across copies, as in rsatoolbox). The jackknife makes no copies.
    ceilings : pandas.DataFrame, bool or None
        Noise ceilings. True computes them: from halves of the neurons (as ``neuron_ceilings``) where a recording is
        given; from subjects left out (as ``subject_ceilings``) where subjects are resampled; the result's ``notes``
        say why where neither can be had. A table of one of the two functions, with the columns ``region`` (and
        ``subject``), ``ceiling_lower`` (the reliability), ``ceiling_upper`` and, where known, ``ceiling_lower_se``, is
        taken as it is. False or None: none, which saves about a second a patch (60 stimuli, 40 neurons). If neurons
        are left out (jackknife), reliabilities are recomputed without each part, which gives the covariance of
        errors of fits and ceilings.
    confidence : float
        Nominal coverage of the intervals.
    device : str or None
        Torch device to compute on; None computes with NumPy.
    progress : callable or None
        Called with the name of the starting step, and its place (0..1) among all. None draws a bar in notebooks if it
        takes long, and nothing elsewhere.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    FitResult

    Raises
    ------
    InputError
        If RDMs, factors and recording do not match: the message says what is missing.

    Notes
    -----
    A fit is a mean over pairs of identities and (nearly) over neurons. Let V_ab be the variance component of order a in
    identities and b in neurons, a and b from 0 to 2. The jackknife over identities estimates sum a V_ab, that over
    neurons sum b V_ab, and their interaction sum ab V_ab. First plus second minus third counts each component
    a + b - ab times: once, except for pairs of identities or of neurons alone (twice; small) and pairs by pairs (not at
    all). As a and b are at most 2, half the larger of the first two is a lower bound of the variance, and is enforced.
    ``analyses/calibration`` compares this variance with the bootstraps.

    In the bootstrap, one factor's variance is n / (n - 1) times that over draws; two factors are combined after Schuett
    et al. (2023, eLife 82566), since joint draws count the interaction three times. Neurons are nested in subjects:
    with both factors, subjects add the variance between subjects beyond the sampling of neurons.
    """
    uncertainty = Uncertainty(variance=variance, n_draws=n_draws, n_permutations=n_permutations, confidence=confidence)
    comparison = Comparison(
        resample=resample, method=method, control=control, within_identity=within_identity, device=device
    )
    model_rdms, neural_rdms = labelled_by(model_rdms, match_by), labelled_by(neural_rdms, match_by)
    neural_rdms = named_alike(model_rdms, neural_rdms)
    experiment = make_experiment(model_rdms, neural_rdms, comparison, recording=recording)
    recordings = _named_recordings(result_rows(neural_rdms, experiment))
    with progress_or_bar(progress, brief=BRIEF_SECONDS) as tell:
        if isinstance(ceilings, pd.DataFrame):
            found = matched_ceilings(ceilings, recordings)
        elif ceilings:
            tell("noise ceilings", 0.0)
            found = ceilings_of_fits(
                experiment, model_rdms, neural_rdms, recordings, recording=recording, variance=variance, rng=rng
            )
        else:
            found = NO_CEILINGS
        models = _named_models(rdm_table(model_rdms))
        return infer_experiment(experiment, models, recordings, uncertainty, ceilings=found, progress=tell, rng=rng)


def _named_models(models: pd.DataFrame) -> pd.DataFrame:
    """Labels of models; RDMs that name neither model nor layer are called by ``name``, rsatoolbox's own descriptor."""
    if "model" in models or "layer" in models:
        return models
    names = models["name"].astype(str) if "name" in models else [f"model {place + 1}" for place in range(len(models))]
    return models.assign(model=names)


def _named_recordings(recordings: pd.DataFrame) -> pd.DataFrame:
    """Labels of recordings: several RDMs that name neither region nor subject are called by ``name`` or number."""
    if len(recordings) == 1 or "region" in recordings or "subject" in recordings:
        return recordings
    log.warning(
        "%d neural RDMs name neither region nor subject, and are taken as one recording each; if they are of subjects, "
        "name both (rdm_descriptors['region'], ['subject']), so that the claim is about new subjects",
        len(recordings),
    )
    names = [f"RDM {place + 1}" for place in range(len(recordings))]
    return recordings.assign(region=recordings["name"].astype(str) if "name" in recordings else names)


def infer_experiment(
    experiment: Experiment,
    models: pd.DataFrame,
    recordings: pd.DataFrame,
    uncertainty: Uncertainty,
    *,
    ceilings: Ceilings = NO_CEILINGS,
    progress: Progress = no_progress,
    rng: np.random.Generator,
) -> FitResult:
    """Fits of an experiment with their uncertainty; the work behind :func:`infer_fits`.

    Parameters
    ----------
    experiment : Experiment
        From :func:`make_experiment`.
    models, recordings : pandas.DataFrame
        Labels of the rows and of the columns of the fits.
    uncertainty : Uncertainty
        Variance, number of draws and permutations, and confidence.
    ceilings : Ceilings
        From ``fit_ceilings``.
    progress, rng
        As in :func:`infer_fits`.
    """
    progress(f"fits on {uncertainty.n_draws} draws", 0.1)
    draws, n_redrawn = resample_fits(
        experiment, uncertainty.n_draws, only_joint=uncertainty.variance == "jackknife", rng=rng
    )
    progress("standard errors", 0.4)
    reliabilities = ceilings.table is not None and ceilings.over == "neurons"
    if uncertainty.variance == "bootstrap":
        deviations, of_ceilings = bootstrap_deviations(draws), None
    elif reliabilities and in_refits(experiment, uncertainty.variance):
        both = jackknife_deviations(experiment, n_splits=CEILING_SPLITS, rng=rng)
        deviations = {key: found[:, :-1] for key, found in both.items()}
        of_ceilings = {key: found[:, -1] for key, found in both.items()}
    else:
        deviations, of_ceilings = jackknife_deviations(experiment, rng=rng), None
    patterns = experiment.patterns
    progress(f"fits to {uncertainty.n_permutations} permutations of identities", 0.7)
    return FitResult(
        models=models,
        recordings=recordings,
        estimates=estimate_fits(experiment),
        draws=draws[max(draws, key=len)],
        deviations=deviations,
        variance=uncertainty.variance,
        sizes=experiment.sizes(),
        factors=experiment.factors,
        method=experiment.method,
        dissimilarity=experiment.dissimilarity,
        n_stimuli=experiment.n_stimuli,
        n_identities=None if "identity" not in patterns else patterns["identity"].nunique(),
        n_neurons=_n_neurons(experiment, recordings),
        n_redrawn=n_redrawn,
        ceilings=ceilings.table,
        ceilings_over=ceilings.over,
        ceilings_missing=ceilings.missing,
        ceiling_deviations=of_ceilings,
        identity_null=_identity_null(experiment, uncertainty.n_permutations, rng=rng),
        control=experiment.control,
        confidence=uncertainty.confidence,
    )


def _identity_null(
    experiment: Experiment, n_permutations: int, *, statistic: Statistic | None = None, rng: np.random.Generator
) -> np.ndarray | str:
    """Fits (or ``statistic``) with permuted identities, (n_permutations, n_models, n_rows); or a text, why none."""
    try:
        places = identity_grid(experiment.patterns.reset_index(drop=True))
    except InputError as problem:
        return str(problem)
    if statistic is None:
        null = permuted_fits(
            experiment.models, experiment.recordings, places, n_permutations, method=experiment.method, rng=rng
        )
    else:
        computed = statistic
        null = identity_null(
            lambda permuted: computed(permuted, experiment.stays())[0],
            experiment.recordings,
            places,
            n_permutations,
            rng=rng,
        )
    return np.stack([null[:, :, group].mean(axis=2) for group in experiment.groups], axis=2)


def default_factors(
    model_rdms: RDMs, neural_rdms: RDMs, *, recording: RecordingOrResponses | None = None
) -> tuple[str, ...]:
    """Default factors to resample, from the descriptors of the RDMs and the recording.

    Parameters
    ----------
    model_rdms, neural_rdms, recording
        As in :func:`infer_fits`.

    Returns
    -------
    tuple of str
        ``identity`` if there are fewer identities than stimuli, and enough identities, else ``stimulus``; then
        ``neuron`` if a recording is given, else ``subject`` if every region has one RDM for each of at least two
        subjects.
    """
    patterns, rows = _patterns(model_rdms, named_alike(model_rdms, neural_rdms)), rdm_table(neural_rdms)
    n_identities = patterns["identity"].nunique() if "identity" in patterns else 0
    along = "identity" if FACTORS["identity"].fewest <= n_identities < len(patterns) else "stimulus"
    if recording is not None:
        return along, "neuron"
    if {"region", "subject"} <= set(rows.columns):
        subjects = rows.groupby("region")["subject"]
        alone = not rows.duplicated(["region", "subject"]).any() and (rows["subject"].astype(str) != "").all()
        if alone and (subjects.nunique() >= FACTORS["subject"].fewest).all():
            return along, "subject"
    return (along,)


def make_experiment(
    model_rdms: RDMs,
    neural_rdms: RDMs,
    comparison: Comparison,
    *,
    recording: RecordingOrResponses | None = None,
) -> Experiment:
    """RDMs and responses as matching arrays, stimuli in the models' order.

    Parameters
    ----------
    model_rdms, neural_rdms, recording
        As in :func:`infer_fits`.
    comparison : Comparison
        Without ``resample``, factors are those of :func:`default_factors`.

    Raises
    ------
    InputError
        If they do not match: the message says what is missing.
    """
    resample = comparison.resample
    if resample is None:
        resample = default_factors(model_rdms, neural_rdms, recording=recording)
    factors = check_factors(resample)
    models, recordings = matched_vectors(model_rdms, neural_rdms)
    rows = rdm_table(neural_rdms)
    patterns = _patterns(model_rdms, neural_rdms)
    cells = cells_of_pairs(comparison.control, patterns)
    sampled, subjects = (factors_along(axis, factors) for axis in ("neurons", "subjects"))
    return Experiment(
        factors=factors,
        models=models if cells is None else cells.partialled(models),
        recordings=recordings if cells is None else cells.partialled(recordings),
        groups=_groups(rows, bool(subjects)),
        populations=populations_behind(recording, rows, neural_rdms, model_rdms, recordings, resampled=True)
        if sampled
        else [],
        codes=_codes(factors_along("stimuli", factors), patterns),
        n_stimuli=model_rdms.n_cond,
        dissimilarity=str(neural_rdms.dissimilarity_measure),
        method=comparison.method,
        within_identity=comparison.within_identity,
        device=comparison.device,
        patterns=patterns,
        control=check_controls(comparison.control),
        cells=cells,
    )


def jackknife_result(
    experiment: Experiment,
    models: pd.DataFrame,
    recordings: pd.DataFrame,
    *,
    statistic: Statistic | None = None,
    confidence: float = 0.95,
    n_permutations: int = 0,
    seed: int | None = None,
    rng: np.random.Generator,
) -> FitResult:
    """Jackknife result, without draws, for fits or for another statistic.

    Parameters
    ----------
    experiment : Experiment
        The data, and what is resampled.
    models, recordings : pandas.DataFrame
        Labels of the rows and of the columns of the statistic.
    statistic : callable or None
        See ``refitting.jackknife_deviations``.
    confidence : float
        Nominal coverage of the intervals.
    n_permutations : int
        Permutations of identities, views kept, of the statistic; 0 for none.
    seed : int or None
        See ``refitting.jackknife_deviations``.
    rng : numpy.random.Generator
        Source of the random assignment of units to parts, and then of the permutations.

    Returns
    -------
    FitResult
        Estimates, standard errors and tests; without best layer and maximum statistic, which need draws.
    """
    estimates = estimate_fits(experiment, statistic=statistic)
    result = FitResult(
        models=models,
        recordings=recordings,
        estimates=estimates,
        draws=np.empty((0, *estimates.shape)),
        deviations=jackknife_deviations(experiment, statistic=statistic, seed=seed, rng=rng),
        variance="jackknife",
        sizes=experiment.sizes(),
        factors=experiment.factors,
        method=experiment.method,
        dissimilarity=experiment.dissimilarity,
        n_stimuli=experiment.n_stimuli,
        n_identities=experiment.n_units_of_stimuli if "identity" in experiment.factors else None,
        n_neurons=_n_neurons(experiment, recordings),
        n_redrawn={},
        confidence=confidence,
    )
    if not n_permutations:
        return result
    return replace(result, identity_null=_identity_null(experiment, n_permutations, statistic=statistic, rng=rng))


def result_rows(neural_rdms: RDMs, experiment: Experiment) -> pd.DataFrame:
    """Descriptors of each recording of a result: a neural RDM, or a region with ``subject`` "all"."""
    rows = rdm_table(neural_rdms)
    table = rows.iloc[[group[0] for group in experiment.groups]].reset_index(drop=True)
    return table.assign(subject="all") if factors_along("subjects", experiment.factors) else table


def _patterns(model_rdms: RDMs, neural_rdms: RDMs) -> pd.DataFrame:
    """Pattern descriptors in the models' order, with further ones from the neural RDMs."""
    patterns, neural = (pattern_table(rdms) for rdms in (model_rdms, neural_rdms))
    patterns.index, neural.index = patterns.index.astype(str), neural.index.astype(str)
    return patterns.join(neural[[name for name in neural.columns if name not in patterns.columns]])


def _codes(along_stimuli: tuple[str, ...], patterns: pd.DataFrame) -> np.ndarray:
    """Unit that each stimulus belongs to, numbered from 0; empty if stimuli are not resampled."""
    if not along_stimuli:
        return np.empty(0, dtype=int)
    factor = FACTORS[along_stimuli[0]]
    if not factor.together:
        return np.arange(len(patterns))
    if factor.together not in patterns.columns:
        raise InputError(
            f"resampling {factor.plural} needs the pattern descriptor {factor.together!r} in the model or the neural "
            "RDMs; compute RDMs from a StimulusSet, or resample stimuli"
        )
    codes = cluster_codes(patterns[factor.together])
    if codes.max() + 1 < factor.fewest:
        raise InputError(
            f"resampling {factor.plural} needs at least {factor.fewest} of them; these stimuli have {codes.max() + 1}: "
            "resample stimuli or neurons"
        )
    return codes


def _groups(rows: pd.DataFrame, by_region: bool) -> list[np.ndarray]:
    """Positions of the neural RDMs behind each row of the result: one each, or all subjects of a region."""
    if not by_region:
        return [np.array([row]) for row in range(len(rows))]
    missing = [name for name in ("region", "subject") if name not in rows.columns]
    if missing:
        raise InputError(
            f"resampling subjects needs the RDM descriptors 'region' and 'subject'; the neural RDMs lack {missing} and "
            f"have {sorted(map(str, rows.columns))}: compute one neural RDM per subject, and name them, such as "
            f"rdms.rdm_descriptors[{missing[0]!r}] = [...]"
        )
    groups = []
    for region, members in rows.groupby("region", sort=False):
        if members["subject"].nunique() < 2 or members["subject"].duplicated().any():
            raise InputError(
                f"resampling subjects needs one RDM for each of at least two subjects in every region; {region!r} has "
                f"{len(members)} of {members['subject'].nunique()} subject(s): resample neurons instead"
            )
        groups.append(members.index.to_numpy())
    return groups


def _n_neurons(experiment: Experiment, table: pd.DataFrame) -> np.ndarray:
    populations, groups = experiment.populations, experiment.groups
    if populations:
        return np.array([sum(populations[row].shape[1] for row in group) for group in groups], dtype=float)
    for name in ("n_neurons", "n_units"):
        if name in table.columns and all(len(group) == 1 for group in groups):
            return table[name].to_numpy(dtype=float)
    return np.full(len(groups), np.nan)
