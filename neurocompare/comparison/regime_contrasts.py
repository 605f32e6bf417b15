"""Contrasts of training regimes, layer by layer, with the training seed as the random factor.

Takes a tidy table of one measured quantity, one row per network, layer and perhaps patch and exemplar (``viewpoint``,
``equivariance``, ``fits``); gives ``regime_contrasts`` and ``regime_interactions``. The tests themselves live in
``seed_tests``.
"""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from neural_data.errors import InputError, closest
from neural_data.rounding import RESOLUTION, difference
from neurocompare.comparison.calibration_notes import (
    CROSSED_NOTE,
    EXEMPLARS_NOTE,
    INTERACTION_NOTE,
    SKEWED_NOTE,
    UNEVEN_NOTE,
)
from neurocompare.comparison.crossed_anova import crossed_outcome
from neurocompare.comparison.equivalence_tests import EQUALITY_COLUMNS, check_margin, with_equality
from neurocompare.comparison.hypothesis_tests import Outcome, mean_outcome
from neurocompare.comparison.multiplicity import CORRECTIONS, adjust
from neurocompare.comparison.seed_tests import (
    Permutations,
    hedges_g,
    largest_p,
    permutation_p,
    permutations_of,
    profile_outcome,
    welch_outcome,
)

__all__ = [
    "REGIME_CONTRAST_COLUMNS",
    "REGIME_INTERACTION_COLUMNS",
    "ContrastPlan",
    "ContrastsFound",
    "contrast_regimes",
]

log = logging.getLogger(__name__)

KEY_COLUMNS = ("model", "region", "subject", "category", "epoch")
REGIME_CONTRAST_COLUMNS = (
    *("measure", *KEY_COLUMNS, "layer", "layer_index", "first", "second", "estimate", "se", "ci_low", "ci_high"),
    *("effect_size", "statistic", "df", "p", "p_adjusted", "p_permutation", "n_first", "n_second", "n_exemplars"),
    *("method", *EQUALITY_COLUMNS),
)
"""Columns of ``tables/regime_contrasts.csv``: one row per pair of regimes and layer."""
REGIME_INTERACTION_COLUMNS = (
    *("measure", *KEY_COLUMNS, "first", "second", "statistic", "df", "df_error", "epsilon"),
    *("p", "p_adjusted", "p_permutation", "n_first", "n_second", "n_layers", "method"),
)
"""Columns of ``tables/regime_interactions.csv``: one row per pair of regimes."""
DEFAULT_KEYS = ("model", "region", "subject", "epoch")
EXEMPLAR_COLUMNS = ("category", "identity")
CONTRAST_METHODS = ("t", "mixed")
CROSSED = "crossed analysis of variance, seeds and exemplars random"
FEW_SEEDS = 20
UNEVEN_SPREAD = 2.0
Deal = Callable[[int, int], Permutations]
FEW_PROFILES = 10
"""Networks of a regime from which on the interaction keeps its level."""
INTERACTION = {True: "F of regime x layer within seeds", False: "F of regime x layer between networks"}


@dataclass(frozen=True)
class ContrastPlan:
    """How regimes are contrasted.

    Parameters
    ----------
    paired : bool or None
        True: networks of one seed belong together, and what is tested are differences within seeds. False: networks
        are independent of each other. None: paired for two regimes of the same seeds.
    method : {"t", "mixed"}
        ``t``: exemplars are averaged within a network, t test over seeds; claims are about new trainings, seen through
        these exemplars. ``mixed``: seeds and exemplars as crossed random factors; claims are about new trainings and
        new exemplars. Where too many values are missing to cross them, there is an estimate without p, and ``method``
        says why; a single exemplar gives the t test.
    correction : {"holm", "bh", "max", "none"}
        How ``p_adjusted`` is adjusted over all rows of the table. ``max`` instead takes the largest statistic over
        the layers of a pair of regimes under joint permutations of whole profiles: familywise over layers, not over
        pairs or patches, and never below the smallest p that the permutations can give.
    confidence : float
        Coverage of intervals.
    n_permutations : int
        All permutations are used up to this number; above, this many random ones.
    margin : float or None
        Smallest difference that matters, in the unit of the measured quantity: tests whether regimes are equal within
        it, too.

    Notes
    -----
    Pairing costs degrees of freedom and is never wrong: a seed that fixes the initial weights and the order of images
    makes networks of two regimes alike, and a test that takes them as independent then has intervals that are too wide
    (too narrow, should they be less alike than chance). Networks that share nothing but the number may be paired too,
    at random as it were: five pairs then cover as they should and find less than five against five.

    With five seeds a regime, tests at 5 % of no difference rejected, and 95 % intervals missed, in the following
    shares of simulated experiments (``python analyses/regime_contrasts/calibrate.py --out FOLDER``,
    ``calibration.csv`` there): paired t 5 %; Welch 5 % of independent networks, and 1 % where networks of a seed
    correlate by 0.5 (power 0.80, paired 0.91); a random intercept for seeds with the z test that ``statsmodels``
    prints 13 to 14 %; exemplars of a network taken as independent 32 to 52 %. Hence ``t`` by default: it is exact
    for what it claims, and with one value per network a random intercept for seeds gives the same estimate and
    standard error. Where the effect differs strongly between exemplars, the paired t missed the effect on new
    exemplars in 17 % (10 exemplars) and 12 % (25); ``mixed`` (the crossed analysis of variance of ``crossed_anova``),
    paired, missed it in 3 to 6 %, and with three seeds in 6 to 7 % (``analyses/calibration/seeds.csv``). The
    interaction over 8 layers: F without correction 8 to 10 %, Greenhouse and Geisser's 2 to 3 %, permuted profiles 4 %
    between networks and never within five seeds.

    All of this for networks that scatter normally. ``analyses/calibration/seeds.csv`` has other scatter. Where
    exemplars add nothing to five seeds and scatter is skewed, every test that can reject does so in 9 to 10 %, and
    where it is bimodal in 21 to 25 %; spreads of 1 to 4 leave t tests and crossed analyses at 5 to 6 %, and
    permutations of networks reject in 8 %. Results say so in their notes.
    """

    paired: bool | None = None
    method: str = "t"
    correction: str = "holm"
    confidence: float = 0.95
    n_permutations: int = 50_000
    margin: float | None = None

    def __post_init__(self):
        if self.margin is not None:
            check_margin(self.margin)
        if self.method not in CONTRAST_METHODS:
            raise InputError(
                f"there is no method {self.method!r} of regime contrasts: {closest(self.method, CONTRAST_METHODS)}"
            )
        if self.correction not in CORRECTIONS:
            raise InputError(f"there is no correction {self.correction!r}: {closest(self.correction, CORRECTIONS)}")
        if not 0 < self.confidence < 1 or self.n_permutations < 2:
            raise InputError(
                "regime contrasts need a confidence between 0 and 1 and at least 2 permutations; got "
                f"{self.confidence} and {self.n_permutations}"
            )


@dataclass(frozen=True)
class ContrastsFound:
    """What :func:`contrast_regimes` finds.

    Parameters
    ----------
    contrasts : pandas.DataFrame
        Columns :data:`REGIME_CONTRAST_COLUMNS`.
    interactions : pandas.DataFrame
        Columns :data:`REGIME_INTERACTION_COLUMNS`; rows for pairs of regimes with at least two shared layers.
    notes : tuple of str
        What a reader of the numbers should know: what was left out, and how small a p can be.
    """

    contrasts: pd.DataFrame
    interactions: pd.DataFrame
    notes: tuple[str, ...]


@dataclass
class _Remarks:
    """What is counted on the way and said at the end."""

    counts: Counter = field(default_factory=Counter)
    smallest_p: dict[str, float] = field(default_factory=dict)
    drawn: bool = False


@dataclass(frozen=True)
class _Pair:
    """Values of two regimes at one layer, (n_networks, n_exemplars) each, and the seeds of the rows."""

    first: np.ndarray
    second: np.ndarray
    seeds: tuple[np.ndarray, np.ndarray]

    @property
    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """One value per network."""
        return _row_means(self.first), _row_means(self.second)


def contrast_regimes(
    table: pd.DataFrame,
    *,
    value: str,
    measure: str = "",
    by: Sequence[str] = (),
    pairs: Sequence[tuple[str, str]] | None = None,
    plan: ContrastPlan | None = None,
    rng: np.random.Generator,
) -> ContrastsFound:
    """Difference of a measured quantity between training regimes, with the training seed as the random factor.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns ``regime, seed, layer`` and ``value``; perhaps ``layer_index``; perhaps ``model, region, subject,
        epoch``, each combination of which is contrasted by itself; perhaps ``category, identity``, which name an
        exemplar. One row per network, layer, key and exemplar.
    value : str
        Column of the measured values: ``index``, ``fit``, ``shapley_invariant``, ``mean``. NaN where undefined.
    measure : str
        Its name in the results; ``value`` where empty.
    by : sequence of str
        ``("category",)`` contrasts every category by itself instead of averaging over all exemplars.
    pairs : sequence of (str, str) or None
        Regimes to contrast, first minus second; None takes all pairs, in order of appearance.
    plan : ContrastPlan or None
        Pairing, method, correction; None takes the defaults.
    rng : numpy.random.Generator
        Source of permutations where there are too many to list.

    Returns
    -------
    ContrastsFound
        ``contrasts``: ``estimate``, the mean over seeds of first minus second in the unit of ``value``, exemplars
        averaged within a network; interval, ``statistic``, ``df`` and two-sided ``p`` of what ``method`` says;
        ``p_permutation``, exact over seeds; ``effect_size``, Hedges' g (paired: mean difference over the standard
        deviation of differences; else over the pooled one); networks ``n_first, n_second`` and ``n_exemplars`` that
        they rest on; with a margin, ``margin, p_equal, p_equal_adjusted, conclusion``, see
        ``equivalence_tests.with_equality``, from the same test over seeds (empty without). ``interactions``: whether
        the difference depends on the layer, F and p with Greenhouse and Geisser's correction, and by permutation of
        seeds' whole profiles; ``p_adjusted`` over its rows (Holm, where the correction is ``max``).

    Raises
    ------
    InputError
        If a column is missing, a row occurs twice, values are not numbers, no two regimes can be contrasted, or a
        regime of ``pairs`` is unknown.

    Notes
    -----
    With fewer than two seeds in a regime there is an estimate and nothing else. What is NaN is left out pairwise and
    counted in the notes: paired, an exemplar counts for a seed where both networks have a value; unpaired, where all
    networks of the two regimes have one. Networks without any value at a layer are left out there. Layers that only
    one of two regimes has are left out.

    The permutation test holds that networks of both regimes are distributed alike (paired: that differences are
    symmetric around 0); with few seeds it cannot give a small p, whatever the difference: the notes say how small.
    """
    plan = plan or ContrastPlan()
    keys = _keys(table, by)
    exemplars = [name for name in EXEMPLAR_COLUMNS if name in table.columns and name not in keys]
    table = _checked(table, value, keys, exemplars)
    remarks = _Remarks()
    contrasts, interactions = [], []
    for labels, part in _groups(table, keys):
        for first, second in _pairs_of(table, part, pairs):
            values = [_network_values(part, regime) for regime in (first, second)]
            shared = {"measure": measure or value, **labels, "first": first, "second": second}
            rows, interaction = _contrast(values, _layers_of(part, first, second, remarks), plan, remarks, rng)
            contrasts += [shared | row for row in rows]
            interactions += [shared | interaction] if interaction else []
    if not contrasts:
        raise InputError(_nothing_to_contrast(table, keys))
    found = pd.DataFrame(contrasts)
    if plan.correction != "max":
        found["p_adjusted"] = adjust(found["p"].to_numpy(dtype=float), plan.correction)
    correction, level = plan.correction, plan.confidence
    found = with_equality(
        found, plan.margin, estimate="estimate", p="p_adjusted", correction=correction, confidence=level
    )
    crossed = pd.DataFrame(interactions, columns=list(REGIME_INTERACTION_COLUMNS))
    within_pair = "holm" if plan.correction == "max" else plan.correction
    crossed["p_adjusted"] = adjust(crossed["p"].to_numpy(dtype=float), within_pair)
    return ContrastsFound(found.reindex(columns=list(REGIME_CONTRAST_COLUMNS)), crossed, tuple(_notes(remarks)))


def _keys(table: pd.DataFrame, by: Sequence[str]) -> list[str]:
    for name in by:
        if name not in KEY_COLUMNS or name not in table.columns:
            known = [key for key in KEY_COLUMNS if key in table.columns]
            raise InputError(f"regimes cannot be contrasted by {name!r}: {closest(name, known)}")
    return [name for name in KEY_COLUMNS if name in table.columns and (name in DEFAULT_KEYS or name in by)]


def _checked(table: pd.DataFrame, value: str, keys: list[str], exemplars: list[str]) -> pd.DataFrame:
    """Rows under the names that this module uses; refuses what cannot be contrasted."""
    for name in ("regime", "seed", "layer", value):
        if name not in table.columns:
            raise InputError(
                f"a table for regime contrasts needs the columns regime, seed, layer and {value}; {name!r} is missing: "
                f"{closest(name, table.columns)}"
            )
    if table.empty:
        raise InputError("a table for regime contrasts has no rows; measure networks of at least two regimes first")
    kept = table[[*dict.fromkeys([*keys, "regime", "seed", "layer", *exemplars])]].copy()
    kept["layer_index"] = table["layer_index"] if "layer_index" in table.columns else pd.factorize(table["layer"])[0]
    try:
        kept["value"] = table[value].astype(float)
    except (TypeError, ValueError):
        raise InputError(f"column {value!r} of a table for regime contrasts must hold numbers") from None
    if np.isinf(kept["value"]).any():
        raise InputError(f"column {value!r} of a table for regime contrasts has infinite values; replace them by NaN")
    if kept["regime"].isna().any() or kept["layer"].isna().any():
        raise InputError(
            "a table for regime contrasts has rows without a regime or a layer; name these or remove the rows"
        )
    # A network without a seed (a published one) is one network. Texts sort whatever seeds there are.
    kept["seed"] = kept["seed"].astype(object).where(kept["seed"].notna(), "none").map(str)
    kept["exemplar"] = kept.groupby(exemplars, sort=False, dropna=False).ngroup() if exemplars else 0
    places = [*keys, "regime", "seed", "layer", *exemplars]
    twice = kept.duplicated(places).to_numpy()
    if twice.any():
        row = kept[twice].iloc[0]
        found = ", ".join(f"{name} {row[name]}" for name in places)
        raise InputError(
            f"a table for regime contrasts has more than one row for {found}; select one measure, transform or image "
            "set, or name identities in the column 'identity'"
        )
    return kept


def _groups(table: pd.DataFrame, keys: list[str]) -> Iterator[tuple[dict, pd.DataFrame]]:
    if not keys:
        yield {}, table
        return
    for values, part in table.groupby(keys, sort=False, dropna=False):
        yield dict(zip(keys, values, strict=True)), part


def _pairs_of(
    table: pd.DataFrame, part: pd.DataFrame, pairs: Sequence[tuple[str, str]] | None
) -> list[tuple[str, str]]:
    """Pairs of regimes that the part holds, in the order of the whole table."""
    known = list(dict.fromkeys(table["regime"]))
    for first, second in pairs or ():
        if first == second:
            raise InputError(f"regime {first!r} cannot be contrasted with itself; name two regimes")
    for regime in itertools.chain.from_iterable(pairs or ()):
        if regime not in known:
            raise InputError(f"there is no regime {regime!r} to contrast: {closest(regime, known)}")
    here = set(part["regime"])
    wanted = itertools.combinations(known, 2) if pairs is None else pairs
    return [(first, second) for first, second in wanted if {first, second} <= here]


def _layers_of(part: pd.DataFrame, first: str, second: str, remarks: _Remarks) -> pd.Series:
    """Layers that both regimes have, from first to last: their index, by name."""
    names = [set(part.loc[part["regime"] == regime, "layer"]) for regime in (first, second)]
    remarks.counts["layers"] += len(names[0] ^ names[1])
    index = part[part["layer"].isin(names[0] & names[1])].drop_duplicates("layer").set_index("layer")["layer_index"]
    return index.sort_values(kind="stable")


def _network_values(part: pd.DataFrame, regime: str) -> pd.DataFrame:
    """Values of a regime's networks: rows (layer, seed), columns exemplars."""
    return part[part["regime"] == regime].pivot(index=["layer", "seed"], columns="exemplar", values="value")


def _contrast(
    values: list[pd.DataFrame], layers: pd.Series, plan: ContrastPlan, remarks: _Remarks, rng: np.random.Generator
) -> tuple[list[dict], dict]:
    """Rows of the layers of one pair of regimes, and the row of their interaction (empty where there is none)."""
    columns = values[0].columns.union(values[1].columns, sort=False)
    seeds = [list(dict.fromkeys(table.index.get_level_values("seed"))) for table in values]
    paired = set(seeds[0]) == set(seeds[1]) if plan.paired is None else plan.paired
    if paired:
        shared = [seed for seed in seeds[0] if seed in seeds[1]]
        if not shared:
            raise InputError(
                f"paired contrasts need seeds that both regimes have; the regimes have {seeds[0][:5]} and "
                f"{seeds[1][:5]}: train the same seeds, or set paired=False"
            )
        remarks.counts["seeds"] += len(seeds[0]) + len(seeds[1]) - 2 * len(shared)
        seeds = [shared, shared]
    compared = []
    for layer in layers.index:
        blocks = [
            table.loc[layer].reindex(index=order, columns=columns).to_numpy(dtype=float)
            for table, order in zip(values, seeds, strict=True)
        ]
        compared.append(_complete(*blocks, paired=paired, remarks=remarks))
    dealt: dict[tuple[int, int], Permutations] = {}

    def deal(n_first: int, n_second: int) -> Permutations:
        """Permutations of so many networks, listed or drawn once for all layers."""
        if (n_first, n_second) not in dealt:
            found = permutations_of(n_first, n_second, paired=paired, most=plan.n_permutations, rng=rng)
            dealt[n_first, n_second] = found
            sizes = f"{n_first} pairs of networks" if paired else f"{n_first} against {n_second} networks"
            remarks.smallest_p[sizes] = found.smallest_p
            remarks.drawn |= not found.exhaustive
        return dealt[n_first, n_second]

    rows = [_row(pair, paired, plan, remarks, deal) for pair in compared]
    for (layer, index), row in zip(layers.items(), rows, strict=True):
        row |= {"layer": layer, "layer_index": index}
    return rows, _joint(compared, rows, paired, plan, remarks, deal)


def _complete(first: np.ndarray, second: np.ndarray, *, paired: bool, remarks: _Remarks) -> _Pair:
    """The networks and exemplars of one layer that can be compared; NaN is left out pairwise."""
    if paired:
        known = ~np.isnan(first) & ~np.isnan(second)
        first, second = np.where(known, first, np.nan), np.where(known, second, np.nan)
        rows = known.any(axis=1)
        kept = rows, rows
        columns = known.any(axis=0)
    else:
        kept = (~np.isnan(first)).any(axis=1), (~np.isnan(second)).any(axis=1)
        # One set of exemplars for all networks: a mean over others would differ by the exemplars.
        columns = ~np.isnan(np.concatenate([first[kept[0]], second[kept[1]]])).any(axis=0)
    members = np.flatnonzero(kept[0]), np.flatnonzero(kept[1])
    pair = _Pair(first[kept[0]][:, columns], second[kept[1]][:, columns], members)
    if not columns.any():
        nothing = np.array([], dtype=int)
        pair = _Pair(np.empty((0, 0)), np.empty((0, 0)), (nothing, nothing))
    used = int(np.count_nonzero(~np.isnan(pair.first)) + np.count_nonzero(~np.isnan(pair.second)))
    remarks.counts["values"] += first.size + second.size - used
    remarks.counts["all values"] += first.size + second.size
    return pair


def _row(pair: _Pair, paired: bool, plan: ContrastPlan, remarks: _Remarks, deal: Deal) -> dict:
    """One layer's row, without its names."""
    first, second = pair.means
    alpha = 1 - plan.confidence
    if paired:
        units = difference(first, second)[:, None]
        outcome, method = mean_outcome(units[:, 0], alpha=alpha), "paired t over seeds"
    else:
        outcome, method = welch_outcome(first, second, alpha=alpha), "Welch t over networks"
        units = np.concatenate([first, second])[:, None]
    if plan.method == "mixed":
        outcome, method = _mixed(pair, paired, alpha, outcome, method, remarks)
    enough = min(len(first), len(second)) >= 2
    remarks.counts["averaged"] += enough and plan.method == "t" and pair.first.shape[1] > 1
    remarks.counts["crossed apart"] += method == CROSSED and not paired
    remarks.counts["few seeds"] += enough and min(len(first), len(second)) < FEW_SEEDS
    remarks.counts["uneven"] += enough and not paired and _uneven(first, second)
    remarks.counts["few"] += not enough
    p_permutation = np.nan
    if enough:
        p_permutation = permutation_p(units, deal(len(first), len(second)))[0]
    return {
        "estimate": outcome.estimate,
        "se": outcome.se,
        "ci_low": outcome.ci_low,
        "ci_high": outcome.ci_high,
        "effect_size": hedges_g(units[:, 0]) if paired else hedges_g(first, second),
        "statistic": outcome.statistic,
        "df": outcome.df,
        "p": outcome.p,
        "p_permutation": p_permutation,
        "n_first": len(first),
        "n_second": len(second),
        "n_exemplars": pair.first.shape[1],
        "method": method,
    }


def _uneven(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether the networks of one regime scatter much more than the other's, and by more than rounding."""
    smaller, larger = sorted([first.std(ddof=1), second.std(ddof=1)])
    scatters = larger > RESOLUTION * np.abs(np.concatenate([first, second])).max()
    return bool(scatters and difference(larger, UNEVEN_SPREAD * smaller) > 0)


def _mixed(
    pair: _Pair, paired: bool, alpha: float, plain: Outcome, name: str, remarks: _Remarks
) -> tuple[Outcome, str]:
    """The crossed analysis of variance and its name; the t test of a single exemplar; without p if undefined.

    With several exemplars, the t test over seeds is no substitute: it makes no claim about new exemplars.
    """
    outcome, problem = crossed_outcome(pair.first, pair.second, paired=paired, alpha=alpha)
    if not problem:
        return outcome, CROSSED
    if pair.first.shape[1] == 1:
        remarks.counts["not mixed"] += 1
        return plain, f"{name} (exemplars not random: {problem})"
    log.info("seeds and exemplars cannot be crossed (%s)", problem)
    remarks.counts["not crossed"] += len(pair.first) > 1 and len(pair.second) > 1
    return Outcome(plain.estimate, n=plain.n), f"none (seeds and exemplars cannot be crossed: {problem})"


def _joint(
    compared: list[_Pair],
    rows: list[dict],
    paired: bool,
    plan: ContrastPlan,
    remarks: _Remarks,
    deal: Deal,
) -> dict:
    """Interaction row of a pair of regimes; also gives the rows ``p_adjusted`` where that is the maximum statistic.

    Whole profiles are permuted, so networks count that have a value at every layer which can be tested.
    """
    testable = [k for k, pair in enumerate(compared) if min(len(pair.first), len(pair.second)) >= 2]
    if plan.correction == "max":
        for row in rows:
            row["p_adjusted"] = np.nan
    if not testable:
        return {}
    profiles = []
    for side in (0, 1):
        columns = [pd.Series(compared[k].means[side], index=compared[k].seeds[side]) for k in testable]
        profiles.append(pd.concat(columns, axis=1, join="inner").to_numpy())
    first, second = profiles
    if min(len(first), len(second)) < 2:
        remarks.counts["no profiles"] += 1
        return {}
    values = difference(first, second) if paired else np.concatenate([first, second])
    permutations = deal(len(first), len(second))
    if plan.correction == "max":
        for k, p in zip(testable, largest_p(values, permutations), strict=True):
            rows[k]["p_adjusted"] = max(p, rows[k]["p_permutation"])
    if len(testable) < 2:
        return {}
    found = profile_outcome(values, len(first), permutations)
    remarks.counts["few profiles"] += min(len(first), len(second)) < FEW_PROFILES
    return {
        "statistic": found.statistic,
        "df": found.df,
        "df_error": found.df_error,
        "epsilon": found.epsilon,
        "p": found.p,
        "p_permutation": found.p_permutation,
        "n_first": len(first),
        "n_second": len(second),
        "n_layers": len(testable),
        "method": f"{INTERACTION[paired]}, Greenhouse-Geisser",
    }


def _row_means(values: np.ndarray) -> np.ndarray:
    known = ~np.isnan(values)
    return np.where(known, values, 0).sum(axis=1) / known.sum(axis=1)


def _notes(remarks: _Remarks) -> Iterator[str]:
    counts = remarks.counts
    if counts["few"]:
        yield f"{counts['few']} contrasts have fewer than two seeds in a regime: an estimate without interval and p"
    for sizes, p in remarks.smallest_p.items():
        yield f"{sizes}: the smallest permutation p that is possible is {p:.2g}"
    if remarks.drawn:
        yield "permutations of the largest contrasts are a random part of all"
    if counts["values"]:
        yield f"{counts['values']} of {counts['all values']} values are NaN or have no counterpart and are left out"
    if counts["seeds"]:
        yield f"{counts['seeds']} networks have no partner of the same seed and are left out of paired contrasts"
    if counts["layers"]:
        yield f"{counts['layers']} layers are in only one of two regimes and are left out"
    if counts["no profiles"]:
        yield f"{counts['no profiles']} pairs of regimes have fewer than two networks each with a value at every layer"
    if counts["not mixed"]:
        yield f"{counts['not mixed']} contrasts are t tests over seeds, of a single exemplar: see their method"
    if counts["not crossed"]:
        yield (
            f"{counts['not crossed']} contrasts have an estimate without interval and p: seeds and exemplars cannot be "
            "crossed there, see their method; method='t' tests these exemplars"
        )
    if counts["averaged"]:
        yield EXEMPLARS_NOTE
    if counts["crossed apart"]:
        yield CROSSED_NOTE
    if counts["few profiles"]:
        yield INTERACTION_NOTE
    if counts["few seeds"]:
        yield SKEWED_NOTE
    if counts["uneven"]:
        yield UNEVEN_NOTE


def _nothing_to_contrast(table: pd.DataFrame, keys: list[str]) -> str:
    regimes = list(dict.fromkeys(table["regime"]))
    if len(regimes) < 2:
        return f"a contrast needs two regimes; the table holds {regimes[0]!r} only: train networks of another as well"
    within = f" of one {', '.join(keys)}" if keys else ""
    return (
        f"no two of the regimes {', '.join(map(repr, regimes))} share a layer{within}; contrast networks of one "
        "architecture, measured at the same layers"
    )
