"""Codes of a recorded population over time: when does it tell identities apart, when views, when categories.

Takes a recording with time bins; gives, for every bin, how far the population tells the levels of a label (identities)
apart in a way that holds over the levels of another one (views). Pairs of stimuli of which only different trials are
compared are unbiased: noise alone gives 0 on average, in every bin, whatever the rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from neural_data.binned import binned_means, time_bins_of
from neural_data.errors import InputError, closest, whole_number
from neural_data.recordings import regions_of, select_region, stimulus_table
from neural_data.rounding import is_constant
from neural_data.stimuli import StimulusSet
from neural_data.stimulus_tables import ANGLES
from neurocompare.comparison.controls import view_codes
from neurocompare.comparison.drawn_pairs import Pairs
from neurocompare.comparison.fit_kernels import BLOCK_BYTES
from neurocompare.comparison.fit_result import FitResult
from neurocompare.comparison.resampling import FACTORS, check_factors, cluster_codes, factors_along
from neurocompare.comparison.sampling import STIMULI, sample, seed_of, source_of, unit_codes
from neurocompare.comparison.time_courses import ALPHA, NOT_PERMUTED, LeftOut, TimeCourses, time_courses
from neurocompare.comparison.time_tests import maximum_tests
from neurocompare.representations.rdms import check_normalization

__all__ = ["CODES", "CODE_NAMING", "Code", "generalise_over_time", "infer_codes"]

CODE_NAMING = ("code", "levels", "across", "within")
VIEW = "view"
"""Stands for azimuth and elevation together."""
RESAMPLED = ("identity", "neuron")


@dataclass(frozen=True)
class Code:
    """What a population may tell apart.

    Parameters
    ----------
    name : str
        Name, as in tables and study files.
    levels : str
        Column of the stimuli whose values are told apart; ``view`` is azimuth and elevation together.
    across : str
        Column over whose values it must hold: stimuli are compared with stimuli of other values only.
    within : str
        Column whose values the compared stimuli share; empty: none. Identities of several categories differ in
        category, too, unless they are compared within categories.
    """

    name: str
    levels: str
    across: str
    within: str = ""


CODES: dict[str, Code] = {
    code.name: code
    for code in (
        Code("identity", "identity", VIEW),
        Code("identity-in-category", "identity", VIEW, within="category"),
        Code("view", VIEW, "identity"),
        Code("category", "category", "identity"),
    )
}
"""Codes by name. To add one, add its record here; others are given as :class:`Code`."""


@dataclass(frozen=True)
class _Labelled:
    """A code on these stimuli: ``levels, across, within`` are integer arrays of shape (n_stimuli,)."""

    code: Code
    levels: np.ndarray
    across: np.ndarray
    within: np.ndarray

    def contrast(self, weights: np.ndarray, levels: np.ndarray, ends: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Weights of pairs (n, n_pairs) whose sum of products is the code's strength, of levels (n or 1, n_stimuli).

        Mean over pairs of one level minus mean over pairs of different levels, all of different ``across`` and of one
        ``within``.
        """
        first, second = ends
        other = (self.across[first] != self.across[second]) & (self.within[first] == self.within[second])
        same = levels[:, first] == levels[:, second]
        found = np.zeros((max(len(weights), len(levels)), len(first)))
        for chosen, sign in ((same & other, 1.0), (~same & other, -1.0)):
            counted = weights * chosen
            total = counted.sum(axis=1, keepdims=True)
            found += np.divide(sign * counted, total, out=np.full(counted.shape, np.nan), where=total > 0)
        return found

    def permuted(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Levels exchanged within each value of ``across``, or together where it has only one, (n, n_stimuli)."""
        units = [np.flatnonzero(self.across == value) for value in np.unique(self.across)]
        found = np.empty((n, len(self.levels)), dtype=int)
        if all(len(np.unique(self.levels[place])) == 1 for place in units):
            strata = self._strata(units)
            for row in found:
                for stratum in np.unique(strata):
                    members = np.flatnonzero(strata == stratum)
                    of_unit = rng.permutation([self.levels[units[member][0]] for member in members])
                    for member, level in zip(members, of_unit, strict=True):
                        row[units[member]] = level
            return found
        cells = cluster_codes(zip(self.across.tolist(), self.within.tolist(), strict=True))
        places = [np.flatnonzero(cells == cell) for cell in range(int(cells.max()) + 1)]
        for row in found:
            for place in places:
                row[place] = rng.permutation(self.levels[place])
        return found

    def _strata(self, units: list[np.ndarray]) -> np.ndarray:
        """Which units of ``across`` can exchange levels, as whole units, (n_units,)."""
        held = [tuple(np.sort(self.within[place])) for place in units]
        alike = [tuple(np.unique(values)) if len(set(values)) == 1 else values for values in held]
        strata = cluster_codes(alike)
        if len(np.unique(strata)) > 1 and any(len(set(values)) > 1 for values in held):
            raise InputError(
                f"the code {self.code.name!r} cannot be tested: every {self.code.across!r} has one "
                f"{self.code.levels!r}, but not the same values of {self.code.within!r}, so that levels cannot be "
                f"exchanged between them; leave out within={self.code.within!r}"
            )
        return strata


@dataclass(frozen=True)
class _Patch:
    """Scaled responses (n_bins, n_stimuli, n_neurons) of one patch, and what is left out and drawn of its neurons.

    Neurons that never vary (``varies`` is False) have responses and weights of 0: they are dealt out to parts as in
    fits, and do not count in means.
    """

    region: str
    subject: str
    responses: np.ndarray
    kept: np.ndarray
    operators: list[np.ndarray]
    drawn: np.ndarray
    varies: np.ndarray


@dataclass(frozen=True)
class _Experiment:
    """What all codes and patches share: pairs, what is left out and drawn (stimuli), and the labels."""

    pairs: Pairs
    weights: np.ndarray
    operator: np.ndarray | None
    drawn: np.ndarray | None
    codes: list[_Labelled]
    factors: tuple[str, ...]
    n_units: int
    n_draws: int
    seed: int


def infer_codes(
    recording: xr.DataArray,
    codes: Sequence[str | Code] = ("identity", "view"),
    *,
    stimuli: StimulusSet | None = None,
    identity: str = "identity",
    resample: str | Sequence[str] = RESAMPLED,
    normalize: str | None = "zscore",
    by_subject: bool = False,
    n_permutations: int = 1000,
    n_draws: int = 200,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> TimeCourses:
    """How far patches tell identities, views or categories apart, in every time bin.

    Parameters
    ----------
    recording : xarray.DataArray
        With time bins.
    codes : sequence of str or Code
        Names in :data:`CODES`, or records of your own: ``Code("position", levels="position", across="identity")``.
    stimuli : StimulusSet or None
        What was shown, if the recording does not label its stimuli.
    identity : str
        Column of the stimuli whose values are resampled as identities.
    resample : str or sequence of str
        ``"identity"``, ``"neuron"`` or both.
    normalize : {"zscore", None}
        Whether each neuron's responses are divided by their standard deviation over all stimuli and bins, so that
        neurons count alike; its time course stays as it is.
    by_subject : bool
        Whether each subject's neurons are a patch of their own.
    n_permutations : int
        Permutations of the levels of a code, within the values of ``across``; the same in all bins. 0 for no p values.
    n_draws : int
        Draws of identities and neurons with replacement, for the intervals of onsets; 0 for none.
    confidence : float
        Nominal coverage of the intervals.
    rng : numpy.random.Generator
        Source of the parts that are left out, and of the permutations.

    Returns
    -------
    TimeCourses
        Rows are codes. Values are variances between levels, per neuron: of the mean responses to the levels, without
        the variance that noise adds. 0 where the levels are not told apart.

    Raises
    ------
    InputError
        If there are no time bins, a label is missing, or has too few levels.

    Notes
    -----
    The strength of a code is the mean product of the responses to two stimuli of the same level, minus that of two
    stimuli of different levels, over pairs of stimuli that differ in ``across``; averaged over neurons. On a complete
    design it is the covariance over levels between two values of ``across``, averaged over pairs of them: half the mean
    squared cross-validated distance between levels (Walther et al. 2016, NeuroImage 137:188, cross-validated over
    ``across`` in place of runs).
    """
    check_normalization(normalize)
    for number, name in ((n_draws, "n_draws"), (n_permutations, "n_permutations")):
        whole_number(number, name, fewest=0)
    table = _labels_of(recording, stimuli)
    experiment = _experiment(table, _named(codes), identity, resample, n_draws, seed_of(rng))
    patches = _patches(recording, list(table.index), experiment, normalize, by_subject)
    left_out = [_left_out(patch, experiment) for patch in patches]
    null: np.ndarray | str = NOT_PERMUTED
    if n_permutations:
        null = np.stack([_null(patches, one, experiment, n_permutations, rng) for one in experiment.codes], axis=1)
    models = pd.DataFrame(
        [
            {"code": one.code.name, "levels": one.code.levels, "across": one.code.across, "within": one.code.within}
            for one in experiment.codes
        ]
    )
    result = _result(models, patches, experiment, table, identity, null, confidence)
    rows = pd.DataFrame([{"region": patch.region, "subject": patch.subject} for patch in patches])
    return time_courses(
        result,
        rows,
        time_bins_of(recording),
        left_out,
        experiment.operator,
        naming=CODE_NAMING,
        seed=experiment.seed,
        notes=_notes(patches),
    )


def generalise_over_time(
    recording: xr.DataArray,
    code: str | Code = "identity",
    *,
    stimuli: StimulusSet | None = None,
    identity: str = "identity",
    resample: str | Sequence[str] = RESAMPLED,
    normalize: str | None = "zscore",
    by_subject: bool = False,
    n_permutations: int = 200,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Whether the code of one time bin holds at another: the population patterns of both, multiplied.

    Parameters
    ----------
    recording, stimuli, identity, resample, normalize, by_subject, n_permutations, rng
        As in :func:`infer_codes`; at least one permutation.
    code : str or Code
        The code: a name in :data:`CODES`, or one's own.

    Returns
    -------
    pandas.DataFrame
        One row per patch and pair of bins: ``region, subject, code, time_1_ms, time_2_ms`` (centres), ``value`` (the
        strength of the code, of one stimulus in the first bin and the other in the second), ``similarity`` (``value``
        over the root of the product of the two bins' own values: about 1 for the same patterns at both times; NaN
        unless both are found by the maximum statistic), ``se`` (of ``value``, over identities and neurons) and
        ``p_max`` (corrected over all pairs of bins).

    Raises
    ------
    InputError
        As in :func:`infer_codes`.

    References
    ----------
    King & Dehaene (2014), Trends Cogn Sci 18:203, for generalisation across time.
    """
    check_normalization(normalize)
    whole_number(n_permutations, "n_permutations")
    table = _labels_of(recording, stimuli)
    experiment = _experiment(table, _named([code]), identity, resample, 0, seed_of(rng))
    one = experiment.codes[0]
    times = time_bins_of(recording).mean(axis=1)
    first, second = np.indices((len(times), len(times)))
    frames = []
    ends = experiment.pairs.ends
    patches = _patches(recording, list(table.index), experiment, normalize, by_subject)
    orders = one.permuted(n_permutations, rng)
    for patch in patches:
        weights = one.contrast(experiment.weights, one.levels[None], ends)
        values = np.stack([_over_time(patch, row, ends, patch.kept) for row in weights])
        permuted = one.contrast(experiment.weights[-1:], orders, ends)
        null = np.stack([_over_time(patch, row, ends, patch.kept[-1:])[..., 0] for row in permuted])
        found = values[-1, :, :, -1]
        p_max = maximum_tests(found, null)
        own = np.where(np.diag(p_max) < ALPHA, np.diag(found), np.nan)
        with np.errstate(invalid="ignore"):
            similarity = found / np.sqrt(own[:, None] * own[None, :])
        frames.append(
            pd.DataFrame(
                {
                    "region": patch.region,
                    "subject": patch.subject,
                    "code": one.code.name,
                    "time_1_ms": times[first.ravel()],
                    "time_2_ms": times[second.ravel()],
                    "value": found.ravel(),
                    "similarity": similarity.ravel(),
                    "se": _se_of(patch, values, experiment, table, identity).ravel(),
                    "p_max": p_max.ravel(),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _over_time(patch: _Patch, weights: np.ndarray, ends: tuple[np.ndarray, np.ndarray], kept: np.ndarray) -> np.ndarray:
    """Strengths between all bins, (n_bins, n_bins, n_sets), with weights of pairs and sets of neurons (n_sets, ...)."""
    n_bins, n_stimuli, n_neurons = patch.responses.shape
    square = np.zeros((n_stimuli, n_stimuli))
    square[ends] = weights / 2
    turned = np.ascontiguousarray(patch.responses.transpose(2, 1, 0))
    of_neurons = turned.transpose(0, 2, 1) @ ((square + square.T) @ turned)
    sums = _mean(of_neurons.reshape(n_neurons, -1).T @ kept.T, kept)
    return sums.reshape(n_bins, n_bins, len(kept))


def _se_of(
    patch: _Patch, values: np.ndarray, experiment: _Experiment, table: pd.DataFrame, identity: str
) -> np.ndarray:
    """Standard errors (n_bins, n_bins) of strengths (n_counts, n_bins, n_bins, n_neuron_parts + 1)."""
    n_bins = values.shape[1]
    models = pd.DataFrame({"pair": range(n_bins)})
    result = _result(models, [patch], experiment, table, identity, "identities are permuted in all bins", 0.95)
    courses = time_courses(
        result,
        pd.DataFrame([{"region": patch.region, "subject": patch.subject}]),
        np.zeros((n_bins, 2)),
        [LeftOut(values, patch.operators)],
        experiment.operator,
        naming=("pair",),
    )
    return courses.result.se.reshape(n_bins, n_bins)


def _named(codes: Sequence[str | Code]) -> list[Code]:
    found = []
    for code in [codes] if isinstance(codes, (str, Code)) else codes:
        if isinstance(code, str) and code not in CODES:
            raise InputError(f"there is no code {code!r}: {closest(code, CODES)}; or give a Code of your own")
        found.append(CODES[code] if isinstance(code, str) else code)
    names = [code.name for code in found]
    if not names or len(set(names)) < len(names):
        raise InputError(f"codes must be named, each once; got {names}")
    return found


def _labels_of(recording: xr.DataArray, stimuli: StimulusSet | None) -> pd.DataFrame:
    time_bins_of(recording)
    return stimulus_table(recording) if stimuli is None else stimuli.table


def _column(table: pd.DataFrame, name: str, what: str) -> np.ndarray:
    """Values of a label, numbered from 0."""
    if name == VIEW and VIEW not in table:
        shown = table[[one for one in ANGLES if one in table]]
        if shown.isna().to_numpy().any():
            raise InputError(
                f"{what} needs the view of every stimulus, and {int(shown.isna().any(axis=1).sum())} have none"
            )
        return view_codes(table)
    if name not in table:
        raise InputError(f"{what} needs the label {name!r} of the stimuli; {closest(name, map(str, table.columns))}")
    values = table[name]
    if values.isna().any() or (values.astype(str).str.strip() == "").any():
        raise InputError(f"{what} needs the label {name!r} of every stimulus, and some have none")
    return cluster_codes(values.astype(str))


def _experiment(
    table: pd.DataFrame,
    codes: list[Code],
    identity: str,
    resample: str | Sequence[str],
    n_draws: int,
    seed: int,
) -> _Experiment:
    factors = check_factors(resample)
    if set(factors) - set(RESAMPLED):
        raise InputError(f"codes are resampled over identities and neurons; got {'+'.join(factors)}")
    labelled = []
    for code in codes:
        of_code = _Labelled(
            code,
            _column(table, code.levels, f"the code {code.name!r}"),
            _column(table, code.across, f"the code {code.name!r}"),
            _column(table, code.within, f"the code {code.name!r}") if code.within else np.zeros(len(table), dtype=int),
        )
        for what, values in ((code.levels, of_code.levels), (code.across, of_code.across)):
            if values.max() < 1:
                raise InputError(f"the code {code.name!r} needs at least two different values of {what!r}; all are one")
        labelled.append(of_code)
    n_stimuli = len(table)
    units, operator, drawn, n_units = None, None, None, 0
    counts = np.ones((1, n_stimuli), dtype=int)
    if factors_along("stimuli", factors):
        units = _column(table, identity, "resampling identities")
        units = unit_codes(table[identity]) if identity in table else units
        n_units = int(units.max()) + 1
        sampled = sample("identity", n_units, n_draws, rng=source_of(seed, STIMULI))
        counts, operator, drawn = sampled.kept[:, units], sampled.operator, sampled.drawn[:, units]
    pairs = Pairs(n_stimuli, np.arange(n_stimuli * (n_stimuli - 1) // 2), units)
    experiment = _Experiment(pairs, pairs.weights(counts), operator, drawn, labelled, factors, n_units, n_draws, seed)
    for one in labelled:
        weights = one.contrast(experiment.weights, one.levels[None], pairs.ends)
        if np.isnan(weights).any():
            left = "" if np.isnan(weights[-1]).any() else ", without some identities,"
            raise InputError(
                f"the code {one.code.name!r} cannot be measured: the stimuli{left} lack pairs of one {one.code.levels} "
                f"and pairs of different {one.code.levels} that differ in {one.code.across}; show each "
                f"{one.code.levels} in several {one.code.across}"
            )
    return experiment


def _patches(
    recording: xr.DataArray,
    ids: list[str],
    experiment: _Experiment,
    normalize: str | None,
    by_subject: bool,
) -> list[_Patch]:
    found: list[_Patch] = []
    for region in regions_of(recording):
        of_region = select_region(recording, region)
        subjects = dict.fromkeys(of_region["subject"].values.tolist()) if by_subject else [""]
        for subject in subjects:
            neurons = of_region if not by_subject else select_region(recording, region, subject=subject or None)
            found.append(_patch(neurons, ids, (region, subject), normalize, experiment, len(found) + 1))
    return found


def _patch(
    neurons: xr.DataArray,
    ids: list[str],
    name: tuple[str, str],
    normalize: str | None,
    experiment: _Experiment,
    place: int,
) -> _Patch:
    means = binned_means(neurons, ids).values
    together = means.reshape(-1, means.shape[2])
    varies = ~is_constant(together, axis=0)
    fewest = FACTORS["neuron"].fewest
    if varies.sum() < fewest:
        raise InputError(
            " ".join(name).strip() + f" has {int(varies.sum())} neuron(s) whose responses vary; codes over time "
            f"need at least {fewest}"
        )
    means = np.where(varies, means - means.mean(axis=1, keepdims=True), 0.0)
    if normalize == "zscore":
        means = means / np.where(varies, together.std(axis=0), 1.0)
    n_neurons = means.shape[2]
    kept, operators, drawn = np.ones((1, n_neurons)), [], np.ones((experiment.n_draws, n_neurons))
    for factor in factors_along("neurons", experiment.factors):
        sampled = sample(factor, n_neurons, experiment.n_draws, rng=source_of(experiment.seed, place))
        kept, operators, drawn = sampled.kept, [sampled.operator], sampled.drawn
    return _Patch(*name, means, kept * varies, operators, drawn * varies, varies)


def _left_out(patch: _Patch, experiment: _Experiment) -> LeftOut:
    """Strengths of all codes with parts left out, and on draws."""
    of_neurons = _of_neurons(patch, experiment, experiment.weights)
    values = _mean(of_neurons @ patch.kept.T, patch.kept)
    drawn: dict[tuple[str, ...], np.ndarray] = {}
    if not experiment.n_draws:
        return LeftOut(values, patch.operators)
    along, sampled = (factors_along(axis, experiment.factors) for axis in ("stimuli", "neurons"))
    if sampled:
        drawn[sampled] = np.moveaxis(_mean(of_neurons[-1] @ patch.drawn.T, patch.drawn), -1, 0)
    if experiment.drawn is not None:
        on_draws = _of_neurons(patch, experiment, experiment.pairs.weights(experiment.drawn))
        drawn[along] = on_draws[..., patch.varies].mean(axis=3)
        if sampled:
            of_draws = np.einsum("drtk,dk->rtd", on_draws, patch.drawn)
            drawn[*along, *sampled] = np.moveaxis(_mean(of_draws, patch.drawn), -1, 0)
    return LeftOut(values, patch.operators, drawn)


def _mean(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sums (..., n_sets) over the weight of each set of neurons (n_sets, n_neurons); NaN for sets that never vary."""
    total = np.broadcast_to(weights.sum(axis=1), sums.shape)
    return np.divide(sums, total, out=np.full(sums.shape, np.nan), where=total > 0)


def _of_neurons(patch: _Patch, experiment: _Experiment, weights: np.ndarray) -> np.ndarray:
    """Strengths in each neuron, (n_weights, n_codes, n_bins, n_neurons); NaN where a draw has no pairs for a code."""
    ends = experiment.pairs.ends
    n_bins, n_stimuli, n_neurons = patch.responses.shape
    together = np.ascontiguousarray(patch.responses.transpose(1, 0, 2)).reshape(n_stimuli, -1)
    square = np.zeros((n_stimuli, n_stimuli))
    found = np.empty((len(weights), len(experiment.codes), n_bins, n_neurons))
    for place, one in enumerate(experiment.codes):
        for row, of_pairs in enumerate(one.contrast(weights, one.levels[None], ends)):
            square[ends] = of_pairs
            found[row, place] = np.einsum("ik,ik->k", together, square @ together).reshape(n_bins, n_neurons)
    return found


def _null(
    patches: list[_Patch], one: _Labelled, experiment: _Experiment, n_permutations: int, rng: np.random.Generator
) -> np.ndarray:
    """Strengths of one code with permuted levels, (n_permutations, n_patches x n_bins)."""
    first, second = experiment.pairs.ends
    products = np.concatenate(
        [
            np.stack([((x @ x.T) / patch.varies.sum())[first, second] for x in patch.responses], axis=1)
            for patch in patches
        ],
        axis=1,
    )
    orders = one.permuted(n_permutations, rng)
    step = max(1, BLOCK_BYTES // (8 * len(first)))
    blocks = (orders[start : start + step] for start in range(0, len(orders), step))
    return np.concatenate(
        [one.contrast(experiment.weights[-1:], block, (first, second)) @ products for block in blocks]
    )


def _result(
    models: pd.DataFrame,
    patches: list[_Patch],
    experiment: _Experiment,
    table: pd.DataFrame,
    identity: str,
    null: np.ndarray | str,
    confidence: float,
) -> FitResult:
    n_neurons = np.array([patch.responses.shape[2] for patch in patches])
    sizes = {
        name: n_neurons if FACTORS[name].axis == "neurons" else np.full(len(patches), experiment.n_units)
        for name in experiment.factors
    }
    nothing = np.empty((0, len(models), len(patches)))
    return FitResult(
        models=models,
        recordings=pd.DataFrame(index=range(len(patches))),
        estimates=np.zeros((len(models), len(patches))),
        draws=nothing,
        deviations={},
        variance="jackknife",
        sizes=sizes,
        factors=experiment.factors,
        method="code",
        dissimilarity="none",
        n_stimuli=len(table),
        n_identities=int(table[identity].nunique()) if identity in table else None,
        n_neurons=n_neurons.astype(float),
        n_redrawn={},
        identity_null=null,
        confidence=confidence,
    )


def _notes(patches: list[_Patch]) -> tuple[str, ...]:
    return tuple(
        f"{patch.region} {patch.subject}".strip() + f": {(~patch.varies).sum()} neuron(s) never vary and do not count"
        for patch in patches
        if not patch.varies.all()
    )
