"""Single units: numbers of mirror-symmetrically tuned and of face-selective units.

Takes a network and object views, or responses of any units; gives one row per layer, criterion and population. Units
are processed in blocks, so that a layer of any size fits into memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from neural_data.axes import Bool, Float
from neural_data.errors import InputError, closest
from neural_data.rounding import RESOLUTION, tie_starts
from neural_data.stimuli import StimulusSet
from neurocompare.models.registry import Network
from neurocompare.representations.activations import BATCH_SIZE, MEMORY_MB, unit_blocks
from neurocompare.representations.correlation import correlate_rows
from neurocompare.representations.rdms import LAYER, view_order

__all__ = [
    "UNIT_COLUMNS",
    "UnitTuning",
    "count_mirror_symmetric_units",
    "mirror_tuning_scores",
    "selective_units",
    "summarise_unit_shares",
    "view_tuning",
]

UNIT_COLUMNS = (
    *LAYER,
    *("criterion", "kind", "population", "n_found", "n_units", "share", "ci_low", "ci_high"),
)
FIVE_VIEWS_DEG = (-90.0, -45.0, 0.0, 45.0, 90.0)
PROFILE_KINDS = ("full-profile", "half-profile")
CRITERIA = ("baek2021", "revised")
_UNITS_AT_ONCE = 8192


@dataclass(frozen=True)
class UnitTuning:
    """View tuning of units, each array of shape (n_units,).

    Parameters
    ----------
    preferred : integer array
        Position of the view with the largest mean response.
    p_view : float array
        P of the one-way analysis of variance over views; NaN if the unit's responses do not vary.
    n_peaks : integer array
        Number of local peaks of the mean tuning curve.
    baek2021, revised : boolean arrays
        Whether the unit is mirror-symmetrically tuned by each criterion, see :func:`view_tuning`.
    """

    preferred: np.ndarray
    p_view: np.ndarray
    n_peaks: np.ndarray
    baek2021: np.ndarray
    revised: np.ndarray

    def of_kind(self, criterion: str, kind: str) -> np.ndarray:
        """Units that meet a criterion and prefer a profile (``full-profile``) or a half-profile view."""
        outermost = np.isin(self.preferred, (0, 4))
        return getattr(self, criterion) & (outermost if kind == "full-profile" else ~outermost)


def view_tuning(responses: Float[np.ndarray, "identities views units"], *, alpha: float = 0.05) -> UnitTuning:
    """Mirror-symmetric tuning of units, by the criterion of Baek et al. and by the revised criterion.

    Parameters
    ----------
    responses : array of shape (n_identities, 5, n_units)
        Responses of each unit to each identity in five views from one profile to the other.
    alpha : float
        Level of the analysis of variance.

    Returns
    -------
    UnitTuning
        ``baek2021``: the views differ (one-way analysis of variance over views, identities as replicates), the mean
        tuning curve has more than one local peak (its ends padded with its minimum), and the preferred view is a
        profile or a half-profile. ``revised``: also, the second highest peak lies at the view opposite the preferred
        one, and the frontal view evokes the weakest response.

    Raises
    ------
    InputError
        If there are not five views or fewer than two identities.

    References
    ----------
    Baek et al. (2021), Nature Communications 12:7328; Farzmahdi et al. (2024), eLife 13:e90256.
    """
    n_identities, n_views, _ = responses.shape
    if n_views != 5:
        raise InputError(
            f"mirror-symmetric units are defined over five views (profile, half-profile, frontal and their mirror "
            f"images); these are {n_views}: choose five azimuths"
        )
    if n_identities < 2:
        raise InputError("the analysis of variance over views needs at least two identities; there is one")
    responses = np.asarray(responses, dtype=float)
    curve = _levelled(responses.mean(axis=0))
    peaks = _local_peaks(curve)
    preferred = curve.argmax(axis=0)
    p_view = _anova_over_views(responses)
    baek = (p_view < alpha) & (peaks.sum(axis=0) > 1) & (preferred != 2)
    heights = np.where(peaks, curve, -np.inf)
    heights[preferred, np.arange(curve.shape[1])] = -np.inf
    opposite = heights.argmax(axis=0) == 4 - preferred
    frontal_lowest = (curve[[0, 1, 3, 4]] > curve[2]).all(axis=0)
    return UnitTuning(preferred, p_view, peaks.sum(axis=0), baek, baek & opposite & frontal_lowest)


def selective_units(
    responses: Float[np.ndarray, "stimuli units"],
    categories: Sequence[str] | np.ndarray,
    *,
    preferred: str = "face",
    threshold: float = 0.001,
) -> Bool[np.ndarray, " units"]:
    """Units that prefer one category to every other category.

    Parameters
    ----------
    responses : array of shape (n_stimuli, n_units)
        Responses of all units; images of one category may differ in view.
    categories : sequence of str, of length n_stimuli
        Category of each stimulus.
    preferred : str
        The category.
    threshold : float
        The largest of the p values against the other categories must lie below it.

    Returns
    -------
    boolean array of shape (n_units,)
        Units whose mean response to the category is above that to every other one, each by the two-sided rank-sum
        test (ties corrected for).

    Raises
    ------
    InputError
        If the category does not occur, or is the only one.
    """
    of_stimulus = np.asarray(categories).astype(str)
    known = list(dict.fromkeys(of_stimulus.tolist()))
    if preferred not in known:
        raise InputError(f"no stimulus has the category {preferred!r}: {closest(preferred, known)}")
    if len(known) == 1:
        raise InputError(f"selectivity for {preferred!r} needs stimuli of other categories; there is no other")
    responses = np.asarray(responses, dtype=float)
    inside = responses[of_stimulus == preferred]
    selective = np.ones(responses.shape[1], dtype=bool)
    for other in known:
        if other == preferred:
            continue
        outside = responses[of_stimulus == other]
        # A unit with equal responses to all stimuli has no ranks: its p is NaN, and it is not selective.
        with np.errstate(divide="ignore", invalid="ignore"):
            p = stats.mannwhitneyu(inside, outside, axis=0, method="asymptotic").pvalue
        selective &= (inside.mean(axis=0) > outside.mean(axis=0)) & (p < threshold)
    return selective


def mirror_tuning_scores(
    tuning: Float[np.ndarray, "views units"], azimuths_deg: Sequence[float] | np.ndarray
) -> Float[np.ndarray, " units"]:
    """Score of mirror-symmetric tuning to profile views, for the choice of units in ``local_features``.

    Parameters
    ----------
    tuning : array of shape (n_views, n_units)
        Mean response to each view, or a unit's responses to the views of one exemplar.
    azimuths_deg : sequence of float, of length n_views
        Rising and symmetric about 0, degrees.

    Returns
    -------
    array of shape (n_units,)
        The smaller of two correlations over views: with the absolute azimuth, and with the unit's own mirrored tuning
        curve (without the frontal view, which reflection does not change). NaN for a unit that does not vary. Choose
        the units with the largest scores.

    Raises
    ------
    InputError
        If the azimuths are not rising and symmetric about 0, or fewer than three.
    """
    azimuths = np.asarray(azimuths_deg, dtype=float)
    if len(azimuths) < 3 or np.any(np.diff(azimuths) <= 0) or not np.allclose(azimuths, -azimuths[::-1], atol=1e-6):
        raise InputError(
            "mirrored tuning curves need at least three views, rising and symmetric about 0 degrees; these are "
            f"{', '.join(f'{azimuth:g}' for azimuth in azimuths)}"
        )
    tuning = np.asarray(tuning, dtype=float)
    sides = np.abs(azimuths) > 1e-6
    with_profile = correlate_rows(tuning.T, np.abs(azimuths))
    return np.minimum(with_profile, correlate_rows(tuning[sides].T, tuning[::-1][sides].T))


def count_mirror_symmetric_units(
    network: Network,
    stimuli: StimulusSet,
    layers: str | Sequence[str] = "main",
    *,
    face: str = "face",
    azimuths_deg: Sequence[float] = FIVE_VIEWS_DEG,
    alpha: float = 0.05,
    threshold: float = 0.001,
    batch_size: int = BATCH_SIZE,
    memory_mb: float = MEMORY_MB,
) -> pd.DataFrame:
    """Shares of mirror-symmetrically tuned units in each layer, among all units and among face-selective ones.

    Parameters
    ----------
    network : Network
        From ``load_model``.
    stimuli : StimulusSet
        View tuning uses the category ``face`` (all stimuli, if there is only one category); selectivity uses all
        stimuli, and is left out if there is only one category.
    layers : "main", "all", str or sequence of str
        Names or patterns of layers.
    face : str
        Category for view tuning, and preferred category of selective units.
    azimuths_deg : sequence of five floats
        Both profiles, both half-profiles and the frontal view, degrees.
    alpha, threshold : float
        See :func:`view_tuning` and :func:`selective_units`.
    batch_size, memory_mb
        See ``unit_blocks``.

    Returns
    -------
    pandas.DataFrame
        Columns ``UNIT_COLUMNS``: one row per layer, criterion (``baek2021``, ``revised``), kind (``full-profile``,
        ``half-profile``, ``any``) and population (``all``, ``face-selective``), with the number found, the units of
        the population, their share and its exact (Clopper-Pearson) 95 % interval. NaN if a population is empty.

    Raises
    ------
    InputError
        If the category or a view is missing, or the azimuths are not five, rising and symmetric about 0.
    """
    azimuths = sorted(map(float, azimuths_deg))
    if len(azimuths) != 5 or not np.allclose(azimuths, [-a for a in reversed(azimuths)], atol=1e-6):
        raise InputError(
            "mirror-symmetric units need five azimuths symmetric about 0 (profiles, half-profiles, frontal); got "
            f"{', '.join(f'{azimuth:g}' for azimuth in azimuths)}"
        )
    categories = stimuli.table["category"].astype(str).tolist()
    several = len(set(categories)) > 1
    if several and face not in categories:
        raise InputError(f"{stimuli.name} has no stimulus of the category {face!r}: {closest(face, set(categories))}")
    views = (stimuli.select(category=face) if several else stimuli).yaw_views(azimuths)
    place = {stimulus_id: position for position, stimulus_id in enumerate(stimuli.ids)}
    _, order = view_order(views)
    positions = np.array([place[stimulus_id] for stimulus_id in views.ids])[order]
    indices = {layer.name: network.layer_index(layer) for layer in network.select(layers)}
    populations = ("all", "face-selective") if several else ("all",)
    kinds = [(criterion, kind) for criterion in CRITERIA for kind in (*PROFILE_KINDS, "any")]
    found = {(layer, *kind, population): 0 for layer in indices for kind in kinds for population in populations}
    sizes = {(layer, population): 0 for layer in indices for population in populations}
    for layer, block in unit_blocks(network, stimuli, list(indices), batch_size=batch_size, memory_mb=memory_mb):
        for start in range(0, block.shape[1], _UNITS_AT_ONCE):
            responses = block[:, start : start + _UNITS_AT_ONCE]
            tuning = view_tuning(responses[positions], alpha=alpha)
            members = {"all": np.ones(responses.shape[1], dtype=bool)}
            if several:
                members["face-selective"] = selective_units(responses, categories, preferred=face, threshold=threshold)
            for population, inside in members.items():
                sizes[layer, population] += int(inside.sum())
                for criterion, kind in kinds:
                    tuned = getattr(tuning, criterion) if kind == "any" else tuning.of_kind(criterion, kind)
                    found[layer, criterion, kind, population] += int((tuned & inside).sum())
    table = pd.DataFrame(
        [
            (network.name, network.regime, network.seed, layer, indices[layer], *rest, population, count)
            for (layer, *rest, population), count in found.items()
        ],
        columns=list(UNIT_COLUMNS[: UNIT_COLUMNS.index("n_found") + 1]),
    )
    table["n_units"] = [sizes[layer, population] for layer, _, _, population in found]
    n_units = table["n_units"].where(table["n_units"] > 0)
    low, high = proportion_confint(table["n_found"], n_units.fillna(1), method="beta")
    table = table.assign(share=table["n_found"] / n_units, ci_low=low, ci_high=high)
    table.loc[n_units.isna(), ["ci_low", "ci_high"]] = np.nan
    return table[list(UNIT_COLUMNS)]


def summarise_unit_shares(shares: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """Mean share over random starts with its t interval, clipped to 0..1.

    Parameters
    ----------
    shares : pandas.DataFrame
        From :func:`count_mirror_symmetric_units`, of one or several seeds.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    pandas.DataFrame
        One row per model, regime, layer, criterion, kind and population: ``share`` (mean over seeds), ``ci_low,
        ci_high``, ``n_found`` and ``n_units`` (sums over seeds) and ``n_seeds``. With one seed, its binomial
        interval; NaN shares are left out.
    """
    keys = ["model", "regime", "layer", "layer_index", "criterion", "kind", "population"]
    grouped = shares.groupby(keys, sort=False, dropna=False)
    table = grouped.agg(
        share=("share", "mean"),
        sd=("share", "std"),
        n_found=("n_found", "sum"),
        n_units=("n_units", "sum"),
        n_seeds=("share", "count"),
        ci_low=("ci_low", "first"),
        ci_high=("ci_high", "first"),
    )
    several = table["n_seeds"] > 1
    df = np.maximum(table["n_seeds"] - 1, 1)
    half = stats.t.ppf((1 + confidence) / 2, df) * table["sd"] / np.sqrt(np.maximum(table["n_seeds"], 1))
    table["ci_low"] = table["ci_low"].where(~several, (table["share"] - half).clip(lower=0))
    table["ci_high"] = table["ci_high"].where(~several, (table["share"] + half).clip(upper=1))
    return table.reset_index()[[*keys, "share", "ci_low", "ci_high", "n_found", "n_units", "n_seeds"]]


def _local_peaks(curve: np.ndarray) -> np.ndarray:
    """Local peaks of tuning curves (n_views, n_units), ends padded with the minimum; a plateau counts at its start."""
    floor = curve.min(axis=0, keepdims=True)
    padded = np.concatenate([floor, curve, floor])
    rises = np.diff(padded, axis=0)
    falls_after = np.zeros_like(curve, dtype=bool)
    falls = np.zeros(curve.shape[1], dtype=bool)
    for position in reversed(range(len(curve))):
        step = rises[position + 1]
        falls = (step < 0) | ((step == 0) & falls)
        falls_after[position] = falls
    return (rises[:-1] > 0) & falls_after


def _levelled(curve: np.ndarray) -> np.ndarray:
    """Tuning curves (n_views, n_units) in which responses that differ only by rounding are equal."""
    order = np.argsort(curve, axis=0, kind="stable")
    ordered = np.take_along_axis(curve, order, axis=0)
    starts = tie_starts(ordered.T, resolution=RESOLUTION).T
    # Index of the first number of each number's tie.
    first = np.maximum.accumulate(np.where(starts, np.arange(len(curve))[:, None], 0), axis=0)
    level = np.empty_like(curve)
    np.put_along_axis(level, order, np.take_along_axis(ordered, first, axis=0), axis=0)
    return level


def _anova_over_views(responses: np.ndarray) -> np.ndarray:
    """One-way analysis of variance of every unit over views; NaN for units that do not vary."""
    n_identities, n_views, _ = responses.shape
    curve = responses.mean(axis=0)
    between = n_identities * ((curve - curve.mean(axis=0)) ** 2).sum(axis=0) / (n_views - 1)
    within = ((responses - curve) ** 2).sum(axis=(0, 1)) / (n_views * (n_identities - 1))
    # Residuals of a constant unit are rounding errors.
    nothing = RESOLUTION**2 * np.abs(responses).max(axis=(0, 1)) ** 2
    between = np.where((between <= nothing) & (within <= nothing), np.nan, between)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = between / within
    return stats.f.sf(ratio, n_views - 1, n_views * (n_identities - 1))
