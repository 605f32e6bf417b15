"""Fits of layers to patches in every time bin, with one set of draws and permutations for all bins and layers.

Takes model RDMs and a recording with time bins; gives :class:`~neurocompare.comparison.time_courses.TimeCourses`. The
arithmetic is that of ``fits``, the resampling that of ``resampling``; neurons are left out and drawn alike in all bins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from rsatoolbox.rdm import RDMs

from neural_data.binned import BinnedMeans, binned_means, one_bin, time_bins_of
from neural_data.errors import InputError, whole_number
from neural_data.recordings import regions_of, select_region
from neural_data.rounding import is_constant
from neurocompare.comparison.ceilings import ceiling_of, neuron_ceilings
from neurocompare.comparison.drawn_fits import DrawnFits
from neurocompare.comparison.fit_result import FitResult
from neurocompare.comparison.fits import ResampledNeurons, fits_on_counts
from neurocompare.comparison.identity_tests import identity_grid, permuted_fits
from neurocompare.comparison.inference import default_factors
from neurocompare.comparison.methods import find_method
from neurocompare.comparison.neuron_rdms import NeuronRdms
from neurocompare.comparison.recorded_index import corrected_indices
from neurocompare.comparison.reliability import neuron_reliability
from neurocompare.comparison.resampling import (
    FACTORS,
    check_factors,
    factors_along,
)
from neurocompare.comparison.sampling import STIMULI, sample, seed_of, source_of, unit_codes
from neurocompare.comparison.threads import in_threads
from neurocompare.comparison.time_courses import NOT_PERMUTED, LeftOut, TimeCourses, time_courses
from neurocompare.representations.dissimilarities import Population
from neurocompare.representations.rdms import check_normalization, pattern_table, rdm_table

__all__ = ["by_bin", "ceilings_by_time", "index_by_time", "infer_fits_by_time", "patches_of"]


@dataclass(frozen=True)
class _Setting:
    """What all patches and bins share: models, stimuli that are left out and drawn, and how RDMs are compared."""

    models: np.ndarray
    patterns: pd.DataFrame
    factors: tuple[str, ...]
    codes: np.ndarray | None
    counts: np.ndarray
    operator: np.ndarray | None
    drawn: np.ndarray | None
    n_draws: int
    seed: int
    n_redrawn: dict[str, int]
    dissimilarity: str
    normalize: str | None
    method: str

    def fits(self, recordings: np.ndarray | ResampledNeurons, counts: np.ndarray | None) -> np.ndarray:
        """Fits (n_counts, n_models, n_recordings)."""
        return fits_on_counts(self.models, recordings, counts, method=self.method, clusters=self.codes)


def infer_fits_by_time(
    model_rdms: RDMs,
    recording: xr.DataArray,
    *,
    dissimilarity: str = "correlation",
    normalize: str | None = None,
    method: str = "corr",
    resample: str | Sequence[str] | None = None,
    by_subject: bool = False,
    n_draws: int = 200,
    n_permutations: int = 1000,
    n_splits: int = 20,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> TimeCourses:
    """Fit of every model RDM to every patch in every time bin, with uncertainty over identities and neurons.

    Parameters
    ----------
    model_rdms : rsatoolbox.rdm.RDMs
        As in ``infer_fits``; pattern descriptor ``stimulus_id``.
    recording : xarray.DataArray
        With time bins; every neuron has a response to every stimulus in every bin.
    dissimilarity, normalize : str
        Of the patches' RDMs, as in ``compute_neural_rdms``. With ``"zscore"``, neurons are z-scored in each bin, and
        those that respond alike to all stimuli are left out of its RDM.
    method, resample, confidence
        As in ``infer_fits``, without subjects.
    by_subject : bool
        Whether each subject's neurons are a patch of their own.
    n_draws : int
        Draws of identities and neurons, for the intervals of onsets; 0 for none.
    n_permutations : int
        Permutations of identities, views kept (of stimuli where each identity has one), the same in all bins.
    n_splits : int
        Random halves of the neurons for the reliability of each bin; 0 for none.
    rng : numpy.random.Generator
        Source of parts, draws, permutations and halves.

    Returns
    -------
    TimeCourses
        Values are fits. ``tests`` correct over all layers and bins of a patch.

    Raises
    ------
    InputError
        If there are no time bins, stimuli or factors do not match, or a patch has too few neurons.
    """
    find_method(method)
    check_normalization(normalize)
    for number, name in ((n_draws, "n_draws"), (n_permutations, "n_permutations"), (n_splits, "n_splits")):
        whole_number(number, name, fewest=0)
    bins_ms = time_bins_of(recording)
    setting = _setting(model_rdms, recording, (dissimilarity, normalize, method), resample, n_draws, seed_of(rng))
    ids = [str(one) for one in model_rdms.pattern_descriptors["stimulus_id"]]
    patches = patches_of(recording, ids, by_subject=by_subject)
    left_out, vectors, ceilings = [], [], []
    for place, means in enumerate(patches.values(), 1):
        one, rdms = _left_out(means, setting, source_of(setting.seed, place))
        left_out.append(one)
        vectors.append(rdms)
        seed = int(rng.integers(2**63))
        if n_splits:
            ceilings += [_ceiling(one_bin_of, setting, n_splits, confidence, seed) for one_bin_of in means.values]
    n_neurons = np.array([means.values.shape[2] for means in patches.values()])
    n_units = 0 if setting.codes is None else int(setting.codes.max()) + 1
    shape = (len(setting.models), len(patches))
    patterns = setting.patterns
    result = FitResult(
        models=rdm_table(model_rdms),
        recordings=pd.DataFrame(index=range(len(patches))),
        estimates=np.zeros(shape),
        draws=np.empty((0, *shape)),
        deviations={},
        variance="jackknife",
        sizes={
            name: n_neurons if FACTORS[name].axis == "neurons" else np.full(len(patches), n_units)
            for name in setting.factors
        },
        factors=setting.factors,
        method=method,
        dissimilarity=dissimilarity,
        n_stimuli=len(patterns),
        n_identities=int(patterns["identity"].nunique()) if "identity" in patterns else None,
        n_neurons=n_neurons.astype(float),
        n_redrawn=setting.n_redrawn,
        ceilings=pd.DataFrame(ceilings) if ceilings else None,
        identity_null=_null(np.concatenate(vectors), setting, n_permutations, rng),
        confidence=confidence,
    )
    rows = pd.DataFrame(list(patches), columns=["region", "subject"])
    return time_courses(result, rows, bins_ms, left_out, setting.operator, seed=setting.seed)


def patches_of(
    recording: xr.DataArray, stimulus_ids: Sequence[str], *, by_subject: bool = False
) -> dict[tuple[str, str], BinnedMeans]:
    """Mean responses of every patch in every bin, by ``(region, subject)``; ``subject`` is empty if pooled.

    Raises
    ------
    InputError
        If responses are missing, or a patch has fewer than four neurons.
    """
    found = {}
    for region in regions_of(recording):
        of_region = select_region(recording, region)
        for subject in dict.fromkeys(of_region["subject"].values.tolist()) if by_subject else [""]:
            neurons = select_region(recording, region, subject=subject or None) if by_subject else of_region
            means = binned_means(neurons, stimulus_ids)
            if means.values.shape[2] < FACTORS["neuron"].fewest:
                raise InputError(
                    f"{region} {subject}".strip() + f" has {means.values.shape[2]} neuron(s); fits over time need at "
                    f"least {FACTORS['neuron'].fewest}"
                )
            found[region, subject] = means
    return found


def by_bin(
    measure: Callable[[xr.DataArray, np.random.Generator], pd.DataFrame],
    recording: xr.DataArray,
    *,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """A table of every time bin, made with the same random numbers in each.

    Parameters
    ----------
    measure : callable
        From a recording without time bins and a random generator to a table.
    recording : xarray.DataArray
        With time bins.
    rng : numpy.random.Generator
        Source of the seed that all bins share, so that they split neurons alike.

    Returns
    -------
    pandas.DataFrame
        ``time_start_ms, time_end_ms``, the columns of the tables, and ``reason``: why a bin has no numbers; its row is
        empty otherwise.

    Raises
    ------
    InputError
        If no bin can be measured: the reason of the first.
    """
    seed = int(rng.integers(2**63))
    frames, problems = [], []
    for place, (start, end) in enumerate(time_bins_of(recording)):
        try:
            table = measure(one_bin(recording, place), np.random.default_rng(seed)).assign(reason="")
        except InputError as problem:
            problems.append(problem)
            table = pd.DataFrame({"reason": [str(problem)]})
        table.insert(0, "time_end_ms", end)
        table.insert(0, "time_start_ms", start)
        frames.append(table)
    if len(problems) == len(frames):
        raise problems[0]
    found = pd.concat(frames, ignore_index=True)
    return found[[*(name for name in found.columns if name != "reason"), "reason"]]


def index_by_time(recording: xr.DataArray, *, n_splits: int = 50, rng: np.random.Generator) -> pd.DataFrame:
    """Mirror-symmetry index of every patch in every bin, corrected for the sampling of neurons, with intervals.

    Columns are those of :func:`by_bin` and of ``recorded_index.corrected_indices``. Errors and onsets of whole
    courses come from ``time_index.infer_index_by_time``.
    """
    return by_bin(lambda one, own: corrected_indices(one, n_splits=n_splits, rng=own), recording, rng=rng)


def ceilings_by_time(
    recording: xr.DataArray,
    *,
    dissimilarity: str = "correlation",
    normalize: str | None = None,
    method: str = "corr",
    n_splits: int = 50,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Reliability over neurons and noise ceiling of every patch in every bin, with intervals.

    Parameters
    ----------
    recording : xarray.DataArray
        With time bins.
    dissimilarity, normalize, method : str
        As in ``ceilings.neuron_ceilings``; ceilings are valid for fits of RDMs that are made and compared alike.
    n_splits : int
        Random halves of the neurons.
    rng : numpy.random.Generator
        Source of the halves, the same in all bins.

    Returns
    -------
    pandas.DataFrame
        Columns of :func:`by_bin` and of ``ceilings.neuron_ceilings``. Those of fits in the same bins are
        ``TimeCourses.ceilings``.
    """

    def measure(one: xr.DataArray, own: np.random.Generator) -> pd.DataFrame:
        return neuron_ceilings(
            one, dissimilarity=dissimilarity, normalize=normalize, method=method, n_splits=n_splits, rng=own
        )

    return by_bin(measure, recording, rng=rng)


def _setting(
    model_rdms: RDMs,
    recording: xr.DataArray,
    compared: tuple[str, str | None, str],
    resample: str | Sequence[str] | None,
    n_draws: int,
    seed: int,
) -> _Setting:
    patterns = pattern_table(model_rdms)
    factors = check_factors(
        resample if resample is not None else default_factors(model_rdms, model_rdms, recording=recording)
    )
    if factors_along("subjects", factors):
        raise InputError("fits over time are resampled over stimuli, identities and neurons; leave 'subject' out")
    counts = np.ones((1, len(patterns)), dtype=int)
    codes, operator, drawn, redrawn = None, None, None, {}
    for name in factors_along("stimuli", factors):
        factor = FACTORS[name]
        if factor.together and factor.together not in patterns:
            raise InputError(
                f"resampling {factor.plural} needs the pattern descriptor {factor.together!r} in the model RDMs; "
                "compute them from a StimulusSet, or resample stimuli"
            )
        codes = unit_codes(patterns[factor.together] if factor.together else patterns.index)
        sampled = sample(name, int(codes.max()) + 1, n_draws, rng=source_of(seed, STIMULI))
        counts, operator, drawn = sampled.kept[:, codes], sampled.operator, sampled.drawn[:, codes]
        redrawn[name] = sampled.n_redrawn
    models = np.asarray(model_rdms.get_vectors(), dtype=float)
    return _Setting(models, patterns, factors, codes, counts, operator, drawn, n_draws, seed, redrawn, *compared)


def _scaled(responses: np.ndarray, normalize: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Responses of one bin (n_stimuli, n_neurons), z-scored if asked for, and which neurons count."""
    if normalize is None:
        return responses, np.ones(responses.shape[1], dtype=bool)
    varies = ~is_constant(responses, axis=0)
    centred = np.where(varies, responses - responses.mean(axis=0), 0.0)
    return centred / np.where(varies, responses.std(axis=0), 1.0), varies


def _left_out(means: BinnedMeans, setting: _Setting, rng: np.random.Generator) -> tuple[LeftOut, np.ndarray]:
    """Fits of one patch with parts left out, and on draws; and its RDMs (n_bins, n_pairs)."""
    n_bins, _, n_neurons = means.values.shape
    kept, operators = np.ones((1, n_neurons), dtype=int), []
    along, sampled = (factors_along(axis, setting.factors) for axis in ("stimuli", "neurons"))
    of_neurons = None
    for name in sampled:
        units = sample(name, n_neurons, setting.n_draws, rng=rng)
        kept, operators, of_neurons = units.kept, [units.operator], units.drawn
        setting.n_redrawn[name] = setting.n_redrawn.get(name, 0) + units.n_redrawn
    n_models = len(setting.models)
    values = np.empty((len(setting.counts), n_models, n_bins, len(kept)))
    keys = [key for key in (along, sampled, (*along, *sampled)) if key] if setting.n_draws else []
    drawn = {key: np.empty((setting.n_draws, n_models, n_bins)) for key in keys}
    vectors = np.empty((n_bins, setting.models.shape[1]))
    of_stimuli = setting.drawn if along else None
    on_draws = DrawnFits(setting.models, of_stimuli, method=setting.method, clusters=setting.codes)

    def fit_bin(place: int) -> None:
        responses, counted = _scaled(means.values[place], setting.normalize)
        rdms = NeuronRdms(responses, setting.dissimilarity).rdms(kept * counted)
        values[:, :, place], vectors[place] = setting.fits(rdms, setting.counts), rdms[-1]
        if of_neurons is not None and drawn:
            population = ResampledNeurons(responses, of_neurons * counted, setting.dissimilarity)
            drawn[sampled][:, :, place], together = on_draws.of(population)
            if together is not None:
                drawn[*along, *sampled][:, :, place] = together

    in_threads(fit_bin, range(n_bins))
    if along in drawn:
        drawn[along] = setting.fits(vectors, setting.drawn)
    return LeftOut(values, operators, drawn), vectors


def _null(vectors: np.ndarray, setting: _Setting, n_permutations: int, rng: np.random.Generator) -> np.ndarray | str:
    """Fits (n_permutations, n_models, n_recordings) with permuted identities.

    Identities of the models are permuted in place of those of the recordings, which is the same and much less work.
    """
    if not n_permutations:
        return NOT_PERMUTED
    patterns = setting.patterns
    alone = "identity" not in patterns or patterns["identity"].is_unique
    try:
        places = np.arange(len(patterns))[:, None] if alone else identity_grid(patterns.reset_index(drop=True))
    except InputError as problem:
        return str(problem)
    null = permuted_fits(vectors, setting.models, places, n_permutations, method=setting.method, rng=rng)
    return null.swapaxes(1, 2)


def _ceiling(responses: np.ndarray, setting: _Setting, n_splits: int, confidence: float, seed: int) -> dict[str, float]:
    """Reliability of one bin over neurons, and noise ceiling; NaN where it cannot be had."""
    found = neuron_reliability(
        Population("", "", responses),
        dissimilarity=setting.dissimilarity,
        normalize=setting.normalize,
        method=setting.method,
        n_splits=n_splits,
        rng=np.random.default_rng(seed),
    )
    return ceiling_of(found, confidence)
