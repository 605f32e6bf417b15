"""Could an experiment tell rival accounts apart? Simulated experiments, learned from, judged and counted.

Takes responses of the units of each account by patch, of one or several animals; gives tables. Experiments that are
judged come from other animals than those that were learned from, where an account has several, and from generators that
no account describes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from neural_data.errors import InputError
from neurocompare.comparison.account_experiments import half_means, neuron_rates
from neurocompare.comparison.account_profiles import (
    Views,
    population_profile,
    profile_of,
    reference_rdms,
    tolerance,
)
from neurocompare.comparison.account_verdicts import (
    FEWEST_EXPERIMENTS,
    NONE,
    UNDECIDED,
    Court,
    check_level,
    make_court,
    synthetic_likelihood,
)
from neurocompare.comparison.threads import in_threads

__all__ = [
    "CONFUSION_COLUMNS",
    "PAIR_COLUMNS",
    "RECOVERY_COLUMNS",
    "SCORED_ON",
    "USES",
    "Animal",
    "Animals",
    "Generator",
    "Plan",
    "Presentation",
    "Profiles",
    "Recovered",
    "Size",
    "animals_by_use",
    "experiments",
    "mixed_accounts",
    "of_account",
    "recover_accounts",
    "stages_of_several",
    "tell_pairs_apart",
    "unrelated_responses",
]

CONFUSION_COLUMNS = ("n_identities", "n_neurons", "scored_on", "truth", "known", "found", "share", "n")
RECOVERY_COLUMNS = (
    *("n_identities", "n_neurons", "scored_on", "truth", "known", "right", "right_low", "right_high", "wrong"),
    *("wrong_low", "wrong_high", "undecided", "none", "certainty", "most_likely_right", "n"),
)
PAIR_COLUMNS = (
    "first",
    "second",
    "experiment",
    "scored_on",
    "n_identities",
    "n_neurons",
    "told_apart",
    "low",
    "high",
    "n",
)
SCORED_ON: dict[str, Callable[[str], bool]] = {
    "everything": lambda _name: True,
    "tuning": lambda name: ": fit of " not in name,
    "index": lambda name: name.endswith(": index"),
}
"""By which statistics of a profile experiments are judged: all; those without fits to RDMs; the index alone."""
BLOCK_BYTES = 100e6
"""Experiments are made in blocks whose responses take about this much memory."""
USES = ("learned", "held out", "tested")
"""What simulated experiments are for, see ``account_verdicts.make_court``; each in animals of its own."""
Generator = Callable[[int, int, np.random.Generator], Mapping[str, np.ndarray]]
"""From the number of an experiment (0 and up) and of neurons to expected rates (n_stimuli, n_neurons) by patch."""
Animal = Mapping[str, np.ndarray]
"""Responses of units (n_stimuli, n_units) by patch."""
Animals = Mapping[str, Sequence[Animal]]
"""Animals of an account by use, see :data:`USES`."""
Kept = TypeVar("Kept")


@dataclass(frozen=True, order=True)
class Size:
    """Size of an experiment: identities and neurons a patch."""

    n_identities: int
    n_neurons: int


@dataclass(frozen=True)
class Profiles:
    """Profiles of simulated experiments.

    Parameters
    ----------
    names : tuple of str
        Statistics.
    values : array of shape (n_experiments, n_statistics)
        Of every experiment.
    """

    names: tuple[str, ...]
    values: np.ndarray

    @classmethod
    def of(cls, profiles: Sequence[Mapping[str, np.ndarray]]) -> Profiles:
        """Of several blocks of experiments, see ``account_profiles.profile_of``."""
        blocks = [np.stack(list(profile.values()), axis=1) for profile in profiles]
        return cls(tuple(profiles[0]), np.concatenate(blocks))

    def scored_on(self, what: str) -> np.ndarray:
        """Values of the statistics of one entry of :data:`SCORED_ON`."""
        return self.values[:, [SCORED_ON[what](name) for name in self.names]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How experiments are simulated and judged.

    Parameters
    ----------
    n_learned, n_held_out, n_tested : int
        Experiments of each account to learn from, to calibrate with, and to judge.
    trials_in_half : float
        Presentations of each stimulus in each half of the trials, see :func:`~.account_experiments.half_means`.
    alpha, certainty : float
        See :meth:`~.account_verdicts.Court.judge`.

    Raises
    ------
    InputError
        If so few experiments are held out that no account can be excluded at ``alpha``.
    """

    n_learned: int = 100
    n_held_out: int = 60
    n_tested: int = 60
    trials_in_half: float = 5.0
    alpha: float = 0.05
    certainty: float = 0.95

    def __post_init__(self):
        check_level(self.alpha, self.n_held_out)

    @property
    def counts(self) -> dict[str, int]:
        """Experiments by use."""
        return dict(zip(USES, (self.n_learned, self.n_held_out, self.n_tested), strict=True))

    @property
    def pair_counts(self) -> dict[str, int]:
        """Experiments by use where pairs of accounts are told apart: half as many, and none held out."""
        return {"learned": max(FEWEST_EXPERIMENTS, self.n_learned // 2), "tested": max(1, self.n_tested // 2)}


AS_USUAL = Plan()


@dataclass(frozen=True)
class Presentation:
    """What one kind of experiment shows, as rows of the units' responses.

    Parameters
    ----------
    rows : integer array of shape (n_stimuli,)
        Of the stimuli that are shown.
    views : Views
        Of these stimuli, by their position among ``rows``.
    changed : integer array of shape (n_stimuli,), or None
        Rows of the same stimuli in the same order, with changed images; None where none are shown.
    raised : mapping of str to mapping of use to sequence of mapping of stage to array of shape (n_stimuli, n_units)
        Units of animals of each account that were raised otherwise, which see the same stimuli besides; accounts that
        are not named are left out. None where all are raised alike.
    """

    rows: np.ndarray
    views: Views
    changed: np.ndarray | None = None
    raised: Mapping[str, Animals] | None = None


@dataclass(frozen=True)
class Recovered:
    """What simulated experiments say about accounts.

    Parameters
    ----------
    confusion, recovery : pandas.DataFrame
        Columns :data:`CONFUSION_COLUMNS` and :data:`RECOVERY_COLUMNS`.
    learned : dict of str to Profiles
        Of the largest experiments of each account.
    """

    confusion: pd.DataFrame
    recovery: pd.DataFrame
    learned: dict[str, Profiles]


def of_account(animals: Sequence[Animal]) -> Generator:
    """Experiments that one account makes, each in the next of its animals; after the last comes the first again."""

    def rates(number: int, n_neurons: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
        return neuron_rates(animals[number % len(animals)], n_neurons, rng=rng)

    return rates


def mixed_accounts(accounts: Mapping[str, Sequence[Animal]]) -> Generator:
    """Experiments of no account: half of the neurons of every patch follow one account, half another."""
    names = list(accounts)

    def rates(number: int, n_neurons: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
        two = rng.choice(len(names), 2, replace=False)
        halves = [of_account(accounts[names[k]])(number, (n_neurons + 1) // 2, rng) for k in two]
        mixed = {patch: np.concatenate([half[patch] for half in halves], axis=1) for patch in halves[0]}
        return {patch: own[:, rng.permutation(own.shape[1])[:n_neurons]] for patch, own in mixed.items()}

    return rates


def stages_of_several(accounts: Mapping[str, Sequence[Animal]]) -> Generator:
    """Experiments of no account: every patch follows another account."""
    names = list(accounts)

    def rates(number: int, n_neurons: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
        patches = list(accounts[names[0]][0])
        chosen = rng.choice(len(names), len(patches), replace=len(patches) > len(names))
        made: dict[str, np.ndarray] = {}
        for patch, k in zip(patches, chosen, strict=True):
            animals = accounts[names[k]]
            own = animals[number % len(animals)][patch]
            made |= neuron_rates({patch: own}, n_neurons, rng=rng)
        return made

    return rates


def unrelated_responses(patches: Sequence[str], n_stimuli: int) -> Generator:
    """Experiments of no account: every neuron responds to every stimulus at random, whatever it shows."""

    def rates(_number: int, n_neurons: int, rng: np.random.Generator) -> Mapping[str, np.ndarray]:
        noise = {patch: rng.standard_normal((n_stimuli, n_neurons)) for patch in patches}
        return neuron_rates(noise, n_neurons, rng=rng)

    return rates


def experiments(
    generator: Generator,
    n_neurons: int,
    n_experiments: int,
    trials_in_half: float,
    *,
    rng: np.random.Generator,
) -> Iterator[dict[str, np.ndarray]]:
    """Simulated experiments, in blocks that fit in memory.

    Parameters
    ----------
    generator : callable
        Expected rates of one experiment, see :data:`Generator`.
    n_neurons : int
        Of each patch.
    n_experiments : int
        How many.
    trials_in_half : float
        See :func:`~.account_experiments.half_means`.
    rng : numpy.random.Generator
        Source of all random numbers.

    Yields
    ------
    dict of str to array of shape (n_in_block, 2, n_stimuli, n_neurons)
        Mean responses in two halves of the trials, by patch.
    """
    block: dict[str, list[np.ndarray]] = {}
    for number in range(n_experiments):
        for patch, rates in generator(number, n_neurons, rng).items():
            block.setdefault(patch, []).append(half_means(rates, trials_in_half, rng=rng))
        held = sum(own.nbytes for made in block.values() for own in made)
        if held > BLOCK_BYTES or number == n_experiments - 1:
            yield {patch: np.stack(made) for patch, made in block.items()}
            block = {}


def animals_by_use(animals: Sequence[Kept], plan: Plan = AS_USUAL) -> dict[str, Sequence[Kept]]:
    """Animals (or their seeds) that an account is learned from, calibrated with and tested with.

    Parameters
    ----------
    animals : sequence
        Divided in proportion to the experiments of each use, at least one to each: with as many animals as experiments
        each experiment has an animal of its own, and so experiments are independent. Fewer than four serve for every
        use.
    plan : Plan
        Numbers of experiments.

    Returns
    -------
    dict of str to sequence
        By the names of :data:`USES`.
    """
    n = len(animals)
    if n < 4:
        return dict.fromkeys(USES, animals)
    ends = np.cumsum(list(plan.counts.values())) * n / sum(plan.counts.values())
    first = int(np.clip(round(ends[0]), 1, n - 2))
    second = int(np.clip(round(ends[1]), first + 1, n - 1))
    return dict(zip(USES, (animals[:first], animals[first:second], animals[second:]), strict=True))


def recover_accounts(
    accounts: Mapping[str, Animals],
    views: Views,
    references: Mapping[str, np.ndarray],
    sizes: Sequence[Size],
    plan: Plan = AS_USUAL,
    *,
    others: Mapping[str, Generator],
    rng: np.random.Generator,
) -> Recovered:
    """What is found in experiments that each account made, and in experiments that none of them made.

    Parameters
    ----------
    accounts : mapping of str to mapping of use to sequence of mapping of stage to array of shape (n_stimuli, n_units)
        Units of the animals of each account, from :func:`animals_by_use`.
    views : Views
        Of all stimuli.
    references : mapping of str to array of shape (n_stimuli, n_stimuli)
        RDMs that patches are compared with.
    sizes : sequence of Size
        Smaller experiments are parts of the largest.
    plan : Plan
        How experiments are simulated and judged.
    others : mapping of str to callable
        Generators that are no account.
    rng : numpy.random.Generator
        Source of all random numbers.

    Returns
    -------
    Recovered
        ``confusion``: ``share`` of the ``n`` experiments of the generator ``truth`` in which ``found`` is the verdict;
        ``known`` whether ``truth`` is one of the accounts. ``recovery``: shares of experiments with the ``right``
        verdict (for a generator that is no account: ``none``), with a ``wrong`` one (another account is named; for an
        account also ``none``), ``undecided`` and ``none``, with 95 % intervals (Wilson). ``certainty`` is the mean
        probability of the most likely account, and ``most_likely_right`` the share of experiments in which it is the
        true one: equal where odds are calibrated; NaN for other generators.

    Raises
    ------
    InputError
        If a size has more identities than the stimuli, an account too few experiments, or no unit of a patch varies.
    """
    generators = {
        (use, name): of_account(own) for name, animals in accounts.items() for use, own in animals.items()
    } | {("tested", name): generator for name, generator in others.items()}
    made: dict[str, dict[str, dict[Size, Profiles]]] = {use: {} for use in USES}
    jobs = [
        (generator, views, references, sizes, plan, use, own_rng)
        for ((use, _), generator), own_rng in zip(generators.items(), rng.spawn(len(generators)), strict=True)
    ]
    for (use, name), by_size in zip(generators, in_threads(lambda job: _profiles(*job), jobs), strict=True):
        made[use][name] = by_size
    courts = {
        (size, scored_on): make_court(
            *({name: profiles[size].scored_on(scored_on) for name, profiles in made[use].items()} for use in USES[:2])
        )
        for size in sizes
        for scored_on in SCORED_ON
    }
    tested = made["tested"]
    confusion, recovery = [], []
    for (size, scored_on), court in courts.items():
        for truth, profiles in tested.items():
            values = profiles[size].scored_on(scored_on)
            found = [one.found for one in court.judge(values, alpha=plan.alpha, certainty=plan.certainty)]
            labels = (size.n_identities, size.n_neurons, scored_on, truth, truth in accounts)
            confusion += [
                (*labels, name, found.count(name) / len(found), len(found)) for name in (*court.names, UNDECIDED, NONE)
            ]
            recovery.append((*labels, *_counted(found, truth, court, values), len(found)))
    return Recovered(
        pd.DataFrame(confusion, columns=list(CONFUSION_COLUMNS)),
        pd.DataFrame(recovery, columns=list(RECOVERY_COLUMNS)),
        {name: profiles[max(sizes)] for name, profiles in made["learned"].items()},
    )


def tell_pairs_apart(
    accounts: Mapping[str, Animals],
    presentations: Mapping[str, Presentation],
    references: Mapping[str, np.ndarray],
    size: Size,
    plan: Plan = AS_USUAL,
    *,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """How well each kind of experiment tells each pair of accounts apart.

    Parameters
    ----------
    accounts : mapping of str to mapping of use to sequence of mapping of stage to array of shape (n_rows, n_units)
        Units of the animals of each account, learned from and tested.
    presentations : mapping of str to Presentation
        Kinds of experiments, of ``size.n_identities`` identities each.
    references : mapping of str to array of shape (n_rows, n_units)
        Units whose RDMs patches are compared with.
    size : Size
        Identities and neurons of an experiment.
    plan : Plan
        Its ``pair_counts`` are learned from and tested.
    rng : numpy.random.Generator
        Source of all random numbers.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`PAIR_COLUMNS`: ``told_apart`` is the share of ``n`` tested experiments of both accounts in which
        the more likely of the two is the true one (chance: a half), with its 95 % interval (Wilson).

    Raises
    ------
    InputError
        If no unit of a patch varies, or fewer than two units of a reference do.
    """
    rows = []
    counts = plan.pair_counts
    for kind, shown in presentations.items():
        rdms = reference_rdms({name: units[shown.rows] for name, units in references.items()})
        made: dict[str, dict[str, Profiles]] = {use: {} for use in counts}
        names = [name for name in accounts if shown.raised is None or name in shown.raised]
        wanted = [(use, name) for use in counts for name in names]
        jobs = [
            (
                *(accounts[name][use], None if shown.raised is None else shown.raised[name][use]),
                *(shown, rdms, size.n_neurons, counts[use], plan, own_rng),
            )
            for (use, name), own_rng in zip(wanted, rng.spawn(len(wanted)), strict=True)
        ]
        for (use, name), own in zip(wanted, in_threads(lambda job: _profiles_with_change(*job), jobs), strict=True):
            made[use][name] = own
        for scored_on in SCORED_ON:
            values = {
                use: {name: profiles.scored_on(scored_on) for name, profiles in of_use.items()}
                for use, of_use in made.items()
            }
            for pair in itertools.combinations(names, 2):
                likelihood = synthetic_likelihood({name: values["learned"][name] for name in pair})
                right = np.concatenate(
                    [
                        likelihood.logarithms(values["tested"][name]).argmax(axis=1) == place
                        for place, name in enumerate(pair)
                    ]
                )
                low, high = proportion_confint(int(right.sum()), len(right), method="wilson")
                labels = (*pair, kind, scored_on, size.n_identities, size.n_neurons)
                rows.append((*labels, float(right.mean()), low, high, len(right)))
    return pd.DataFrame(rows, columns=list(PAIR_COLUMNS))


def _profiles(
    generator: Generator,
    views: Views,
    references: Mapping[str, np.ndarray],
    sizes: Sequence[Size],
    plan: Plan,
    use: str,
    rng: np.random.Generator,
) -> dict[Size, Profiles]:
    """Profiles of experiments of several sizes; smaller ones are parts of the largest."""
    if max(size.n_identities for size in sizes) > len(views.positions):
        raise InputError(
            f"experiments of {max(sizes).n_identities} identities need as many; there are {len(views.positions)}"
        )
    most_neurons = max(size.n_neurons for size in sizes)
    rows = {size.n_identities: views.rows(size.n_identities) for size in sizes}
    own_views = {n: views.first(n) for n in rows}
    own_references = {
        n: {name: matrix[np.ix_(kept, kept)] for name, matrix in references.items()} for n, kept in rows.items()
    }
    found: dict[Size, list[dict[str, np.ndarray]]] = {size: [] for size in sizes}
    for halves in experiments(generator, most_neurons, plan.counts[use], plan.trials_in_half, rng=rng):
        for size in sizes:
            n = size.n_identities
            part = {patch: own[:, :, rows[n], : size.n_neurons] for patch, own in halves.items()}
            found[size].append(profile_of(part, own_views[n], own_references[n]))
    return {size: Profiles.of(rows_of_size) for size, rows_of_size in found.items()}


def _profiles_with_change(
    animals: Sequence[Animal],
    raised: Sequence[Animal] | None,
    shown: Presentation,
    references: Mapping[str, np.ndarray],
    n_neurons: int,
    n_experiments: int,
    plan: Plan,
    rng: np.random.Generator,
) -> Profiles:
    """Profiles of experiments in which the same neurons may also be shown changed images, or other animals the same."""
    n = len(shown.rows)
    rows = shown.rows if shown.changed is None else np.concatenate([shown.rows, shown.changed])
    seen = [{stage: units[rows] for stage, units in animal.items()} for animal in animals]
    made, made_by_others = (
        experiments(of_account(own), n_neurons, n_experiments, plan.trials_in_half, rng=rng)
        for own in (seen, seen if raised is None else raised)
    )
    found = []
    for halves in made:
        profile = profile_of({patch: own[:, :, :n] for patch, own in halves.items()}, shown.views, references)
        if shown.changed is not None:
            for patch, own in halves.items():
                statistics = population_profile(own[:, :, n:], shown.views)
                profile |= {f"{patch} changed: {name}": value for name, value in statistics.items()}
                profile[f"{patch} changed: tolerance"] = tolerance(own[:, :, :n], own[:, :, n:])
        if raised is not None:
            # Blocks have the same lengths, since both see the same stimuli.
            for patch, own in next(made_by_others).items():
                statistics = population_profile(own, shown.views)
                profile |= {f"{patch} raised otherwise: {name}": value for name, value in statistics.items()}
        found.append(profile)
    return Profiles.of(found)


def _counted(found: Sequence[str], truth: str, court: Court, values: np.ndarray) -> tuple[float, ...]:
    """Values of :data:`RECOVERY_COLUMNS` from ``right`` to ``most_likely_right``."""
    n, known = len(found), truth in court.names
    right = found.count(truth if known else NONE)
    undecided = found.count(UNDECIDED)
    cells: list[float] = []
    for count in (right, n - right - undecided):
        cells += [count / n, *proportion_confint(count, n, method="wilson")]
    odds = court.posterior(values)
    calibrated = (np.nan, np.nan)
    if known:
        most_likely = odds.argmax(axis=1) == court.names.index(truth)
        calibrated = float(odds.max(axis=1).mean()), float(most_likely.mean())
    return (*cells, undecided / n, found.count(NONE) / n, *calibrated)
