"""Describes a recording without any model: view tuning, reliability, and how much more data it needs.

Takes a recording; gives tables, a verdict for every patch, and sentences. It draws and writes nothing.
"""

from __future__ import annotations

import dataclasses
import html
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from neural_data.errors import InputError
from neural_data.recordings import condition_means, stimuli_of
from neural_data.stimuli import StimulusSet
from neurocompare.comparison.ceilings import FEWEST_NEURONS, neuron_ceilings, spearman_brown, trial_reliability
from neurocompare.comparison.recorded_index import corrected_indices, mean_of_defined
from neurocompare.comparison.tuning import neuron_tuning, tuning_shares
from neurocompare.representations.correlation import correlate_rows
from neurocompare.representations.dissimilarities import Population, correlation_dissimilarity
from neurocompare.representations.neural_rdms import PopulationRequest, populations
from neurocompare.representations.rdms import view_order
from neurocompare.representations.viewpoint import check_azimuths

__all__ = ["VERDICTS", "RecordingDescription", "describe_recording", "index_verdict", "needed"]

VERDICTS = {
    "mirror-symmetric": "mirror-symmetric view tuning: opposite views are represented alike",
    "view-tuned": "view tuning without mirror symmetry: opposite views are told apart",
    "undecided": "undecided: the interval holds 0, as where views are ignored, or with too little data",
    "not defined": "not defined: the recording does not say which views of which identities were shown",
}
"""Verdicts on the mirror-symmetry index of a patch, with their meaning."""
GROWTH_SIZES = 6
GROWTH_DRAWS = 20


@dataclass(frozen=True, repr=False)
class RecordingDescription:
    """Description of a recording.

    Parameters
    ----------
    patches : pandas.DataFrame
        One row per region (and subject): ``region, subject, n_neurons, n_stimuli, n_repetitions, mean_rate, index,
        corrected_index, index_ci_low, index_ci_high, verdict``; ``view_share, identity_share, interaction_share`` with
        ``_ci_low`` and ``_ci_high``; ``n_view_tuned, n_identity_tuned``; ``reliability, reliability_ci_low,
        reliability_ci_high`` over neurons, ``more_neurons`` for the target; ``trial_reliability,
        more_repetitions``; ``target, simulated``.
    neurons : pandas.DataFrame
        One row per neuron, see :func:`~neurocompare.comparison.tuning.neuron_tuning`.
    growth : pandas.DataFrame
        Reliability of the RDM with fewer or more data: ``region, subject, over`` (``neurons`` or ``repetitions``),
        ``n, measured`` (mean correlation of RDMs of disjoint samples of that size; NaN past half of the data) and
        ``predicted`` (Spearman-Brown from all of the data).
    notes : tuple of str
        What could not be computed, and why.
    """

    patches: pd.DataFrame
    neurons: pd.DataFrame
    growth: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def verdicts(self) -> dict[str, str]:
        """Verdict on the mirror symmetry of every patch, by its name."""
        return dict(zip(_names(self.patches), self.patches["verdict"], strict=True))

    def sentences(self) -> list[str]:
        """Summary of the results, one or two sentences per patch."""
        return [
            _sentence(name, row)
            for name, row in zip(_names(self.patches), self.patches.to_dict("records"), strict=True)
        ]

    def __repr__(self) -> str:
        verdicts = ", ".join(f"{name} {verdict}" for name, verdict in self.verdicts.items())
        return f"<RecordingDescription: {verdicts}; {len(self.neurons)} neurons>"

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        shown = self.patches.dropna(axis=1, how="all").drop(columns=["target"])
        said = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in (*self.sentences(), *self.notes))
        return f"{said}{shown.set_index('region').T.to_html(float_format='{:.3f}'.format)}"

    def to_text(self) -> str:
        """Sentences, notes and the table of patches as lines of plain text."""
        shown = self.patches.dropna(axis=1, how="all").drop(columns=["target"])
        lines = [*self.sentences(), "", *shown.T.to_string(header=False, float_format="{:.3f}".format).splitlines()]
        return "\n".join([*lines, *(["", *self.notes] if self.notes else [])])


def describe_recording(
    recording: xr.DataArray,
    stimuli: StimulusSet | None = None,
    *,
    by_subject: bool = False,
    missing: str = "refuse",
    target: float = 0.8,
    n_splits: int = 100,
    confidence: float = 0.95,
    rng: np.random.Generator | None = None,
) -> RecordingDescription:
    """Describe every patch of a recording without a model.

    Parameters
    ----------
    recording : xarray.DataArray
        A recording. Without identities and views of its stimuli, reliability alone is described.
    stimuli : StimulusSet or None
        What was shown, if the recording does not state it.
    by_subject : bool
        One description per region and subject instead of one per region.
    missing : {"refuse", "drop_neurons", "drop_stimuli"}
        See :func:`~neural_data.recordings.condition_means`.
    target : float
        Reliability for which ``more_neurons`` and ``more_repetitions`` are computed.
    n_splits : int
        Random splits of neurons and trials into halves.
    confidence : float
        Nominal coverage of the intervals.
    rng : numpy.random.Generator or None
        Source of the splits; None takes one with seed 0.

    Returns
    -------
    RecordingDescription

    Raises
    ------
    InputError
        If there are fewer than three stimuli, cells are missing, or stimuli were not recorded.

    Notes
    -----
    The verdict on mirror symmetry uses the noise-corrected index
    (:func:`~neurocompare.comparison.recorded_index.corrected_indices`). Its interval is clipped to -1..1, the range of
    the index, which does not change its coverage. Shares of view and identity come from a two-way analysis of variance
    of every neuron, pooled (:func:`~neurocompare.comparison.tuning.tuning_shares`). RDMs are 1 - Pearson's r across
    neurons; reliability over neurons and its interval are those of
    :func:`~neurocompare.comparison.ceilings.neuron_ceilings`. ``analyses/describe_check`` has bias and coverage on
    simulated patches.
    """
    if not 0 < target < 1:
        raise InputError(f"target is {target}; give a reliability between 0 and 1")
    rng = np.random.default_rng(0) if rng is None else rng
    request = PopulationRequest(stimuli, by_subject, missing)
    notes: list[str] = []
    patterns, groups, trials_known = _groups(recording, request, notes)
    if len(patterns) < 3:
        raise InputError(f"a description needs at least three stimuli; there are {len(patterns)}")
    shown = _views(recording, stimuli, patterns, notes)
    ceilings = neuron_ceilings(recording, request, rng=rng, n_splits=n_splits, confidence=confidence)
    over_trials = trial_reliability(recording, request, rng=rng, n_splits=n_splits) if trials_known else None
    indices = None
    if shown is not None and all(group.responses.shape[1] >= FEWEST_NEURONS for group in groups):
        indices = _indices(recording, shown, request, n_splits, confidence, rng, notes)
    rows, neurons, growth = [], [], []
    names = _neuron_names(recording, groups, patterns, request)
    for place, group in enumerate(groups):
        tuning = neuron_tuning(group, *_positions(shown, patterns)).assign(neuroid_id=names[place])
        neurons.append(tuning)
        reliability = float(ceilings["ceiling_lower"].iloc[place])
        row = {
            "region": group.region,
            "subject": group.subject,
            "n_neurons": group.responses.shape[1],
            "n_stimuli": len(patterns),
            "n_repetitions": np.nan if group.trials is None else len(group.trials),
            "mean_rate": float(group.responses.mean()),
            **_index_row(None if indices is None else indices.iloc[place]),
            **tuning_shares(group, *_positions(shown, patterns), confidence=confidence),
            "n_view_tuned": _tuned(tuning, "p_view"),
            "n_identity_tuned": _tuned(tuning, "p_identity"),
            "n_stimulus_tuned": _tuned(tuning, "p_stimulus"),
            "reliability": reliability,
            "reliability_ci_low": float(ceilings["ceiling_lower_low"].iloc[place]),
            "reliability_ci_high": float(ceilings["ceiling_lower_high"].iloc[place]),
            "more_neurons": needed(reliability, group.responses.shape[1], target),
            "trial_reliability": np.nan if over_trials is None else float(over_trials["reliability"].iloc[place]),
            "more_repetitions": np.nan
            if over_trials is None
            else needed(float(over_trials["reliability"].iloc[place]), len(group.single_responses), target),
            "target": target,
            "simulated": group.simulated,
        }
        rows.append(row)
        growth.append(_growth(group, row, rng))
    return RecordingDescription(
        pd.DataFrame(rows), pd.concat(neurons, ignore_index=True), pd.concat(growth, ignore_index=True), tuple(notes)
    )


def needed(reliability: float, n_units: int, target: float) -> float:
    """Additional neurons (or repetitions) needed for a target reliability, by the Spearman-Brown formula.

    Parameters
    ----------
    reliability : float
        Reliability of the RDM of ``n_units`` neurons or repetitions.
    n_units : int
        Neurons (or repetitions) that there are.
    target : float
        Reliability that is wanted, between 0 and 1.

    Returns
    -------
    float
        A whole number; 0 if the target is reached, NaN if the reliability is not above 0.
    """
    if not reliability > 0:
        return float("nan")
    if reliability >= target:
        return 0.0
    return float(np.ceil(n_units * target * (1 - reliability) / (reliability * (1 - target)) - 1e-9) - n_units)


def _groups(
    recording: xr.DataArray, request: PopulationRequest, notes: list[str]
) -> tuple[pd.DataFrame, list[Population], bool]:
    """Populations; with their trials if every neuron has at least two responses to every stimulus."""
    try:
        return *populations(recording, request, with_trials=True), True
    except InputError as error:
        if "at least two responses" not in str(error):
            raise
        notes.append("Reliability over trials is not known: some neuron answered some stimulus once only.")
        return *populations(recording, request), False


def _views(
    recording: xr.DataArray, stimuli: StimulusSet | None, patterns: pd.DataFrame, notes: list[str]
) -> StimulusSet | None:
    """Stimuli with every identity in every view; or None, with a note on what is missing."""
    try:
        known = stimuli_of(recording) if stimuli is None else stimuli
        shown = known.take(known.table.index.get_indexer(patterns.index)).yaw_views()
        check_azimuths(sorted(set(shown.table["azimuth_deg"])))
    except InputError as error:
        notes.append(f"View tuning is not described: {error}.")
        return None
    if len(shown.identities) < 2:
        notes.append("View tuning is not described: a single identity was shown, so views are not told from it.")
        return None
    return shown


def _positions(shown: StimulusSet | None, patterns: pd.DataFrame) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Positions of views in the responses (n_identities, n_views), and azimuths; None without views."""
    if shown is None:
        return None, None
    _, positions = view_order(shown)
    places = patterns.index.get_indexer(shown.ids)[positions]
    return places, shown.table["azimuth_deg"].to_numpy()[positions[0]]


def _indices(
    recording: xr.DataArray,
    shown: StimulusSet,
    request: PopulationRequest,
    n_splits: int,
    confidence: float,
    rng: np.random.Generator,
    notes: list[str],
) -> pd.DataFrame | None:
    try:
        of_views = dataclasses.replace(request, stimuli=shown)
        return corrected_indices(recording, of_views, rng=rng, n_splits=n_splits, confidence=confidence)
    except InputError as error:
        notes.append(f"The mirror-symmetry index of {len(shown)} stimuli is not described: {error}.")
        return None


def _index_row(found: pd.Series | None) -> dict[str, object]:
    if found is None:
        empty = dict.fromkeys(("index", "corrected_index", "index_ci_low", "index_ci_high"), np.nan)
        return {**empty, "verdict": "not defined"}
    low, high = (float(np.clip(found[end], -1, 1)) for end in ("ci_low", "ci_high"))
    return {
        "index": float(found["index"]),
        "corrected_index": float(np.clip(found["corrected_index"], -1, 1)),
        "index_ci_low": low,
        "index_ci_high": high,
        "verdict": index_verdict(low, high),
    }


def index_verdict(low: float, high: float) -> str:
    """Key of :data:`VERDICTS` for a patch, from the interval of its noise-corrected mirror-symmetry index."""
    if not np.isfinite([low, high]).all():
        return "not defined"
    return "mirror-symmetric" if low > 0 else "view-tuned" if high < 0 else "undecided"


def _tuned(tuning: pd.DataFrame, column: str) -> float:
    """Number of neurons with p < 0.05; NaN if not tested."""
    tested = tuning[column].notna()
    return float((tuning[column] < 0.05).sum()) if tested.any() else np.nan


def _neuron_names(
    recording: xr.DataArray, groups: list[Population], patterns: pd.DataFrame, request: PopulationRequest
) -> list[list[str]]:
    """Ids of the neurons of each population, in the order of its responses."""
    named = []
    for group in groups:
        keep = recording["region"].values == group.region
        if request.by_subject:
            keep &= recording["subject"].values == group.subject
        ids = recording["neuroid_id"].values[keep].tolist()
        if len(ids) != group.responses.shape[1]:  # some were dropped for missing cells
            ids = _kept_ids(recording, ids, patterns)
        named.append([str(neuroid_id) for neuroid_id in ids])
    return named


def _kept_ids(recording: xr.DataArray, ids: list[str], patterns: pd.DataFrame) -> list[str]:
    means = condition_means(recording, patterns.index.tolist(), missing="keep")[ids]
    return means.columns[means.notna().all(axis=0)].tolist()


def _growth(group: Population, row: dict, rng: np.random.Generator) -> pd.DataFrame:
    """Reliability with fewer and more neurons and repetitions; see :class:`RecordingDescription`."""
    parts = [_grown(group.responses.shape[1], row["reliability"], "neurons", _by_neurons(group, rng))]
    if group.trials is not None and np.isfinite(row["trial_reliability"]):
        parts.append(_grown(len(group.trials), row["trial_reliability"], "repetitions", _by_trials(group, rng)))
    return pd.concat(parts, ignore_index=True).assign(region=group.region, subject=group.subject)


def _grown(n_all: int, reliability: float, over: str, measured: dict[int, float]) -> pd.DataFrame:
    sizes = sorted({*measured, n_all, 2 * n_all, 4 * n_all})
    predicted = [spearman_brown(reliability, n / n_all) if reliability > 0 else np.nan for n in sizes]
    return pd.DataFrame(
        {"over": over, "n": sizes, "measured": [measured.get(n, np.nan) for n in sizes], "predicted": predicted}
    )


def _sizes(fewest: int, most: int) -> list[int]:
    if most < fewest:
        return []
    return sorted({round(n) for n in np.geomspace(fewest, most, GROWTH_SIZES)})


def _by_neurons(group: Population, rng: np.random.Generator) -> dict[int, float]:
    """Mean correlation of RDMs of two disjoint samples of neurons, by their size."""
    n_neurons = group.responses.shape[1]
    found = {}
    for size in _sizes(3, n_neurons // 2):
        fits = []
        for _ in range(GROWTH_DRAWS):
            order = rng.permutation(n_neurons)
            fits.append(_agree(group.responses[:, order[:size]], group.responses[:, order[size : 2 * size]]))
        found[size] = mean_of_defined(fits)
    return found


def _by_trials(group: Population, rng: np.random.Generator) -> dict[int, float]:
    """Mean correlation of RDMs of two disjoint samples of repetitions, by their size."""
    trials = group.single_responses
    n_repetitions = len(trials)
    found = {}
    for size in _sizes(1, n_repetitions // 2):
        fits = []
        for _ in range(GROWTH_DRAWS):
            order = np.argsort(rng.random(trials.shape[:2]), axis=0)[:, :, None]
            shuffled = np.take_along_axis(trials, order, axis=0)
            fits.append(_agree(shuffled[:size].mean(axis=0), shuffled[size : 2 * size].mean(axis=0)))
        found[size] = mean_of_defined(fits)
    return found


def _agree(first: np.ndarray, second: np.ndarray) -> float:
    upper = np.triu_indices(len(first), 1)
    vectors = np.stack([correlation_dissimilarity(side)[upper] for side in (first, second)])
    defined = np.isfinite(vectors).all(axis=0)
    return float(correlate_rows(vectors[0, defined], vectors[1, defined])) if defined.sum() > 1 else np.nan


def _names(patches: pd.DataFrame) -> list[str]:
    several = patches["region"].duplicated().any()
    return [
        f"{region} of {subject}" if several and subject else str(region)
        for region, subject in zip(patches["region"], patches["subject"], strict=True)
    ]


def _sentence(name: str, row: dict) -> str:
    said = f"{name} ({row['n_neurons']} neurons): "
    if row["verdict"] in ("mirror-symmetric", "view-tuned", "undecided"):
        interval = f"{row['index_ci_low']:.2f} to {row['index_ci_high']:.2f}"
        said += f"{VERDICTS[row['verdict']]} (index {row['corrected_index']:.2f}, {interval}). "
    if np.isfinite(row["view_share"]):
        said += f"View takes {row['view_share']:.0%} of the signal's variance, identity {row['identity_share']:.0%}. "
    said += _reliability_said("neurons", row["reliability"], row["more_neurons"], row["target"])
    if np.isfinite(row["trial_reliability"]):
        trials = _reliability_said("repetitions", row["trial_reliability"], row["more_repetitions"], row["target"])
        said += " " + trials
    return said


def _reliability_said(what: str, reliability: float, more: float, target: float) -> str:
    if not np.isfinite(reliability):
        return f"Its reliability over {what} is not defined."
    said = f"Reliability over {what} {reliability:.2f}"
    if not np.isfinite(more):
        return f"{said}: too low to say how many more reach {target:g}."
    return f"{said}, at least {target:g}." if more == 0 else f"{said}; {more:.0f} more {what} for {target:g}."
