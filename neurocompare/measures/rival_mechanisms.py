"""Rival accounts of the face patches: whether an experiment tells them apart, and which one a recording supports."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import Field, field_validator

from neural_data.errors import InputError
from neural_data.simulation import KINDS, simulate_rates
from neural_data.stimuli import StimulusSet
from neurocompare.comparison.account_judgement import JUDGEMENT_COLUMNS, judge_halves, recorded_halves
from neurocompare.comparison.account_profiles import Views, reference_rdms
from neurocompare.comparison.account_recovery import (
    SCORED_ON,
    Animal,
    Animals,
    Generator,
    Plan,
    Presentation,
    Profiles,
    Size,
    animals_by_use,
    mixed_accounts,
    recover_accounts,
    stages_of_several,
    tell_pairs_apart,
    unrelated_responses,
)
from neurocompare.comparison.account_verdicts import NONE, UNDECIDED
from neurocompare.comparison.threads import in_threads
from neurocompare.measures.columns import columns
from neurocompare.measures.comparison import without_repeats
from neurocompare.measures.declaration import Drawing, Measure, Measured, ReportTable
from neurocompare.measures.randomness import step_rng
from neurocompare.measures.settings import MemberOf, Quick, Section
from neurocompare.models.accounts import ACCOUNTS, BUILT_IN_ACCOUNTS, STAGES, Account
from neurocompare.reporting.drawing import note, panel_grid, panel_title, style
from neurocompare.reporting.tables import Column, Table
from neurocompare.representations.account_units import some_units, units_of_animal
from neurocompare.representations.products import threads_left_to_blas
from neurocompare.representations.rdms import view_order
from neurocompare.stimuli.transforms import HalfCovered, LitFromSide, SameContrast, Shifted

__all__ = ["EXPERIMENTS", "RIVAL_MECHANISMS", "Experiment", "RivalMechanisms", "draw_confusion", "draw_pairs"]

SeedsByUse = Mapping[str, Sequence[int]]
REFERENCE_SEED = 1_000
"""Seed of the animal whose RDMs are references; none of the simulated animals has it."""
UNITS_OF_FEW = 5
"""Times as many units are read in the networks of an account that has few, so that its experiments differ."""
LABEL_WIDTH = 27
"""Characters in a line of the names of rows."""
HARDEST = 10
"""Pairs of accounts in the figure."""
PROFILE_COLUMNS = ("account", "statistic", "mean", "sd", "n")


@dataclass(frozen=True)
class Experiment:
    """A kind of experiment that may tell accounts apart.

    Parameters
    ----------
    name : str
        Name in study files and tables.
    label : str
        What is shown, in words.
    n_views : int or None
        Number of views, evenly chosen among those of the stimuli; None: those of the settings.
    change : callable or None
        Images that are shown besides, made from the same images.
    one_sided : bool
        Whether the same images are shown besides to animals whose training never showed an image and its mirror image
        (:meth:`~neurocompare.models.accounts.Account.trained_on_one_side`).
    """

    name: str
    label: str
    n_views: int | None = None
    change: Callable[[np.ndarray], np.ndarray] | None = None
    one_sided: bool = False


EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        Experiment("as shown", "the images as they are"),
        Experiment("three views", "both profiles and the frontal view alone", n_views=3),
        Experiment("nine views", "nine views in place of five", n_views=9),
        Experiment("shifted", "also shifted by 15 % of the width", change=Shifted(right=0.15)),
        Experiment("half covered", "also with the right half covered", change=HalfCovered()),
        Experiment("same contrast", "also with equal mean luminance and contrast in all views", change=SameContrast()),
        Experiment("lit from the side", "also under a ramp of luminance", change=LitFromSide()),
        Experiment("one-sided training", "also to animals whose training showed no mirror images", one_sided=True),
    )
}
"""Every kind of experiment by its name. To add one, add its record here."""


class RivalMechanisms(Section):
    """``[outputs.rival_mechanisms]``: rival accounts of the patches, told apart by simulated experiments."""

    accounts: list[Annotated[str, MemberOf(ACCOUNTS)]] = Field(
        list(BUILT_IN_ACCOUNTS), min_length=2, description="accounts that are told apart"
    )
    experiments: Annotated[
        list[Annotated[str, MemberOf(EXPERIMENTS)]], Quick(("as shown", "shifted", "one-sided training"))
    ] = Field(
        list(EXPERIMENTS), min_length=1, description="kinds of experiments by which pairs of accounts are told apart"
    )
    azimuths_deg: list[float] = Field([-90, -45, 0, 45, 90], min_length=3, description="views that are shown")
    n_identities: list[Annotated[int, Field(ge=3)]] = Field(
        [10, 25, 50], min_length=1, description="sizes of experiments; those beyond the stimuli are left out"
    )
    n_neurons: list[Annotated[int, Field(ge=4)]] = Field(
        [50, 100, 200], min_length=1, description="neurons of a patch in these experiments"
    )
    n_repetitions: int = Field(10, ge=2, description="presentations of each stimulus")
    n_animals: Annotated[int, Quick(12)] = Field(
        150,
        ge=4,
        le=REFERENCE_SEED,
        description="animals of an account whose networks differ; each makes one experiment, or several in turn",
    )
    n_units: int = Field(200, ge=10, description="random units of each stage that neurons read")
    n_experiments: Annotated[int, Quick(20)] = Field(
        60, ge=20, description="simulated experiments of each account to learn from"
    )
    n_held_out: Annotated[int, Quick(20)] = Field(40, ge=19, description="further ones to calibrate odds")
    n_tested: Annotated[int, Quick(20)] = Field(50, ge=10, description="further ones that are judged")
    pairs_identities: Annotated[int, Field(ge=3)] = Field(10, description="identities where pairs are told apart")
    pairs_neurons: Annotated[int, Field(ge=4)] = Field(50, description="neurons a patch where pairs are told apart")
    alpha: float = Field(
        0.05,
        gt=0,
        lt=1,
        description="an account is excluded where at most this share of its experiments are as far from it",
    )
    certainty: float = Field(0.95, gt=0.5, lt=1, description="probability at which an account is named")

    @field_validator("accounts", "experiments")
    @classmethod
    def _names_are_distinct(cls, names: list[str]) -> list[str]:
        return without_repeats(names)


def measure(
    *,
    settings: RivalMechanisms,
    stimuli: StimulusSet,
    seed: int,
    recording: xr.DataArray | None = None,
    simulated: bool = False,
) -> Measured:
    """Recovery of accounts from simulated experiments, what tells pairs apart, and the verdict on a recording."""
    rng = step_rng(seed, "rival mechanisms")
    plan = Plan(
        n_learned=settings.n_experiments,
        n_held_out=settings.n_held_out,
        n_tested=settings.n_tested,
        trials_in_half=settings.n_repetitions / 2,
        alpha=settings.alpha,
        certainty=settings.certainty,
    )
    base = stimuli.yaw_views(settings.azimuths_deg).decode()
    views = _views(base)
    sizes, notes = _sizes(settings, len(views.positions))
    few = Size(min(settings.pairs_identities, len(views.positions)), settings.pairs_neurons)
    shown, presentations, left_out = _presentations(settings, stimuli, base, views, few)
    accounts: dict[str, Animals] = {}
    of_pairs: dict[str, Animals] = {}
    references: dict[str, np.ndarray] = {}
    for name in settings.accounts:
        accounts[name], of_pairs[name], other = _presented(ACCOUNTS[name], shown, settings, plan, rng)
        references |= {f"{name} {stage}": units for stage, units in other.items()}
    for name in presentations:
        if EXPERIMENTS[name].one_sided:
            presentations[name] = _trained_on_one_side(of_pairs, presentations[name], base, settings, plan, rng)
    rdms = reference_rdms({name: units[: len(base)] for name, units in references.items()})
    recovered = recover_accounts(accounts, views, rdms, sizes, plan, others=_others(accounts, base), rng=rng)
    judged = pd.DataFrame(columns=list(JUDGEMENT_COLUMNS))
    if recording is not None:
        judged = judge_halves(recorded_halves(recording, base), accounts, views, rdms, plan, rng=rng)
    return Measured(
        {
            "rival_recovery": recovered.recovery,
            "rival_confusion": recovered.confusion,
            "rival_pairs": tell_pairs_apart(of_pairs, presentations, references, few, plan, rng=rng),
            "rival_profiles": _profile_table(recovered.learned),
            "rival_verdicts": judged.assign(simulated=simulated),
        },
        (*notes, *left_out),
    )


def _presented(
    account: Account, shown: Sequence[StimulusSet], settings: RivalMechanisms, plan: Plan, rng: np.random.Generator
) -> tuple[Animals, Animals, Animal]:
    """Units of all animals to the first set of stimuli; of those for pairs, and of one for references, to all sets."""
    seeds, of_pairs = _seeds(account, settings, plan)
    see_all = _each(of_pairs)
    see_first = [seed for seed in _each(seeds) if seed not in see_all]
    made = _read(account, see_all, shown, settings, rng) | _read(account, see_first, shown[:1], settings, rng)
    if account.n_animals is None:
        reference = _read(account, [REFERENCE_SEED], shown, settings, rng)[REFERENCE_SEED]
    else:
        reference = some_units(made[0], settings.n_units, rng=rng)
    first = {seed: _rows(animal, slice(len(shown[0]))) for seed, animal in made.items()}
    return _by_use(seeds, first), _by_use(of_pairs, made), reference


def _trained_on_one_side(
    of_pairs: Mapping[str, Animals],
    presentation: Presentation,
    base: StimulusSet,
    settings: RivalMechanisms,
    plan: Plan,
    rng: np.random.Generator,
) -> Presentation:
    """The same stimuli, shown besides to animals whose training never showed an image and its mirror image."""
    raised: dict[str, Animals] = {}
    for name, animals in of_pairs.items():
        account = ACCOUNTS[name]
        if not account.learns:
            raised[name] = {use: [_rows(one, presentation.rows) for one in own] for use, own in animals.items()}
        elif account.has_one_sided:
            account = account.trained_on_one_side()
            _, seeds = _seeds(account, settings, plan)
            raised[name] = _by_use(seeds, _read(account, _each(seeds), [base.take(presentation.rows)], settings, rng))
    return replace(presentation, raised=raised)


def _seeds(account: Account, settings: RivalMechanisms, plan: Plan) -> tuple[SeedsByUse, SeedsByUse]:
    """Seeds of the animals of an account, by use; and those that are used where pairs are told apart."""
    seeds = animals_by_use(range(account.n_animals or settings.n_animals), plan)
    return seeds, {use: seeds[use][:n] for use, n in plan.pair_counts.items()}


def _read(
    account: Account,
    seeds: Sequence[int],
    shown: Sequence[StimulusSet],
    settings: RivalMechanisms,
    rng: np.random.Generator,
) -> dict[int, Animal]:
    """Units of animals, by seed."""
    n_units = settings.n_units if account.n_animals is None else settings.n_units * UNITS_OF_FEW

    def units(job: tuple[int, np.random.Generator]) -> Animal:
        seed, own_rng = job
        return units_of_animal(account, seed, shown, n_units=n_units, rng=own_rng)

    with threads_left_to_blas():
        return dict(zip(seeds, in_threads(units, zip(seeds, rng.spawn(len(seeds)), strict=True)), strict=True))


def _each(seeds: SeedsByUse) -> list[int]:
    return list(dict.fromkeys(itertools.chain(*seeds.values())))


def _rows(animal: Animal, rows: slice | np.ndarray) -> Animal:
    return {stage: units[rows] for stage, units in animal.items()}


def _by_use(seeds: SeedsByUse, made: Mapping[int, Animal]) -> Animals:
    return {use: [made[seed] for seed in own] for use, own in seeds.items()}


def _sizes(settings: RivalMechanisms, n_identities: int) -> tuple[list[Size], list[str]]:
    """Sizes of experiments that the stimuli allow, and what is left out."""
    sizes = [Size(n, m) for n in settings.n_identities for m in settings.n_neurons if n <= n_identities]
    if not sizes:
        raise InputError(
            f"every experiment has more identities than the stimuli ({n_identities}): give fewer in "
            "outputs.rival_mechanisms.n_identities, or more stimuli"
        )
    beyond = [str(n) for n in settings.n_identities if n > n_identities]
    if not beyond:
        return sizes, []
    return sizes, [
        f"experiments of {' and '.join(beyond)} identities are left out: the stimuli have {n_identities} identities"
    ]


def _presentations(
    settings: RivalMechanisms, stimuli: StimulusSet, base: StimulusSet, views: Views, size: Size
) -> tuple[list[StimulusSet], dict[str, Presentation], list[str]]:
    """All images that are shown, what each kind of experiment shows of them, and what cannot be shown."""
    rows = views.rows(size.n_identities)
    few = base.take(rows)
    shown, found, left_out = [base], {}, []
    for name in settings.experiments:
        experiment, start = EXPERIMENTS[name], sum(map(len, shown))
        if experiment.change is not None:
            shown.append(few.with_transform(experiment.change))
            found[name] = Presentation(rows, views.first(size.n_identities), start + np.arange(len(few)))
        elif experiment.n_views is not None:
            azimuths = _evenly(stimuli, experiment.n_views)
            if azimuths is None:
                left_out.append(f"pairs are not told apart by {experiment.label}: the stimuli do not have these views")
                continue
            shown.append(stimuli.select(identity=few.identities).yaw_views(azimuths).decode())
            found[name] = Presentation(start + np.arange(len(shown[-1])), _views(shown[-1]))
        else:
            found[name] = Presentation(rows, views.first(size.n_identities))
    return shown, found, left_out


def _evenly(stimuli: StimulusSet, n_views: int) -> list[float] | None:
    """So many views, evenly spaced from one profile to the other; None if the stimuli do not have them."""
    there = np.unique(stimuli.yaw_views().table["azimuth_deg"])
    wanted = np.linspace(there[0], there[-1], n_views)
    nearest = np.array([there[np.abs(there - azimuth).argmin()] for azimuth in wanted])
    return nearest.tolist() if np.abs(nearest - wanted).max() < 0.5 else None


def _others(accounts: Mapping[str, Animals], base: StimulusSet) -> dict[str, Generator]:
    """Generators that are no account, made of animals that were not learned from."""
    tested = {name: own["tested"] for name, own in accounts.items()}
    return {
        "half of one account, half of another": mixed_accounts(tested),
        "every patch of another account": stages_of_several(tested),
        "unrelated to the images": unrelated_responses(STAGES, len(base)),
    } | {f"simulated patches ({kind})": _simulated_patches(base, kind) for kind in KINDS}


def _simulated_patches(base: StimulusSet, kind: str) -> Generator:
    def rates(_number: int, n_neurons: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        found = simulate_rates(base, STAGES, n_neurons, rng=rng, kind=kind)
        return {stage: found.values[:, found["region"].values == stage] for stage in STAGES}

    return rates


def _views(stimuli: StimulusSet) -> Views:
    _, positions = view_order(stimuli)
    return Views(positions, stimuli.table["azimuth_deg"].to_numpy()[positions[0]])


def _profile_table(learned: Mapping[str, Profiles]) -> pd.DataFrame:
    rows = []
    for account, profiles in learned.items():
        means, sds = profiles.values.mean(axis=0), profiles.values.std(axis=0, ddof=1)
        cells = zip(profiles.names, means, sds, strict=True)
        rows += [(account, name, mean, sd, len(profiles.values)) for name, mean, sd in cells]
    return pd.DataFrame(rows, columns=list(PROFILE_COLUMNS))


TABLES = (
    Table(
        "rival_recovery",
        "What is found in simulated experiments of one size that one generator made.",
        columns(
            *("n_identities", "n_neurons"),
            Column("scored_on", "all statistics of a profile, those of tuning without fits, or the index alone"),
            Column("truth", "account, or other generator, that made the experiments"),
            Column("known", "whether it is one of the accounts that are told apart"),
            Column("right", "share with the right verdict: the account, or 'none of these' for another generator"),
            Column("right_low", "lower end of its 95 % interval (Wilson)"),
            Column("right_high", "upper end of its 95 % interval"),
            Column("wrong", "share with a wrong verdict: another account, or 'none of these' for an account"),
            Column("wrong_low", "lower end of its 95 % interval (Wilson)"),
            Column("wrong_high", "upper end of its 95 % interval"),
            Column("undecided", "share without a verdict"),
            Column("none", "share with the verdict 'none of these'"),
            Column("certainty", "mean probability of the most likely account"),
            Column("most_likely_right", "share in which the most likely account is the true one"),
            Column("n", "experiments"),
        ),
    ),
    Table(
        "rival_confusion",
        "Share of the experiments of one generator with one verdict.",
        columns(
            *("n_identities", "n_neurons"),
            Column("scored_on", "all statistics of a profile, those of tuning without fits, or the index alone"),
            Column("truth", "account, or other generator, that made the experiments"),
            Column("known", "whether it is one of the accounts that are told apart"),
            Column("found", "the verdict"),
            Column("share", "of the experiments"),
            Column("n", "experiments"),
        ),
    ),
    Table(
        "rival_pairs",
        "How well one kind of experiment tells two accounts apart.",
        columns(
            Column("first", "one account"),
            Column("second", "the other account"),
            Column("experiment", "kind of experiment"),
            Column("scored_on", "all statistics of a profile, those of tuning without fits, or the index alone"),
            *("n_identities", "n_neurons"),
            Column("told_apart", "share of experiments in which the more likely of the two is the true one"),
            Column("low", "lower end of its 95 % interval (Wilson)"),
            Column("high", "upper end of its 95 % interval"),
            Column("n", "experiments"),
        ),
    ),
    Table(
        "rival_profiles",
        "One statistic of the largest simulated experiments of one account.",
        columns(
            Column("account", "account that made the experiments"),
            Column("statistic", "patch and statistic; correlations on Fisher's z"),
            Column("mean", "over experiments"),
            Column("sd", "over experiments"),
            Column("n", "experiments"),
        ),
    ),
    Table(
        "rival_verdicts",
        "What the recording supports.",
        columns(
            Column("scored_on", "all statistics of a profile, those of tuning without fits, or the index alone"),
            Column("verdict", f"an account, '{UNDECIDED}' or '{NONE}'"),
            Column("account", "account"),
            Column("posterior", "probability, if one of the accounts made the recording, equally likely before"),
            Column("p_typical", "share of its simulated experiments that are as far from it as the recording"),
            Column("trials_in_half", "trials of the simulated experiments that are as reliable as half a recording"),
            Column("n", "simulated experiments of each account"),
            "simulated",
        ),
    ),
)


def draw_confusion(rival_confusion: pd.DataFrame) -> Figure:
    """Verdicts on experiments of every generator, for one size in the middle of those simulated.

    Parameters
    ----------
    rival_confusion : pandas.DataFrame
        ``tables/rival_confusion.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    sizes = sorted(set(zip(rival_confusion["n_identities"], rival_confusion["n_neurons"], strict=True)))
    n_identities, n_neurons = sizes[len(sizes) // 2]
    here = rival_confusion[
        (rival_confusion["n_identities"] == n_identities) & (rival_confusion["n_neurons"] == n_neurons)
    ]
    truths, found = list(dict.fromkeys(here["truth"])), list(dict.fromkeys(here["found"]))
    with style():
        figure, panels = panel_grid(len(SCORED_ON), columns=3, height=0.28 * len(truths) + 1.2, sharey=True)
        for axes, scored_on in zip(panels, SCORED_ON, strict=True):
            grid = here[here["scored_on"] == scored_on].pivot(index="truth", columns="found", values="share")
            grid = grid.loc[truths, found]
            _share_cells(axes, grid)
            axes.axhline(int(here.groupby("truth", sort=False)["known"].first().sum()) - 0.5, color="black", lw=0.8)
            axes.axvline(len(found) - 2.5, color="black", lw=0.8)
            axes.set_xlabel("verdict")
            panel_title(axes, f"scored on {scored_on}")
        panels[0].set_ylabel("made by")
        note(
            figure,
            f"experiments of {n_identities} identities and {n_neurons} neurons a patch; below the line: generators "
            f"that are no account; per cent of {here['n'].min()} experiments a row or more (black: 100)",
        )
    return figure


def draw_pairs(rival_pairs: pd.DataFrame) -> Figure:
    """The pairs that the index tells apart least in the first kind of experiment, by kind of experiment.

    Parameters
    ----------
    rival_pairs : pandas.DataFrame
        ``tables/rival_pairs.csv``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    named = rival_pairs.assign(pair=rival_pairs["first"] + " / " + rival_pairs["second"])
    kinds = list(dict.fromkeys(named["experiment"]))
    plain = named[(named["scored_on"] == "index") & (named["experiment"] == kinds[0])]
    hardest = plain.set_index("pair")["told_apart"].nsmallest(HARDEST).index.tolist()
    with style():
        figure, panels = panel_grid(len(SCORED_ON), columns=3, height=0.3 * len(hardest) + 1.2, sharey=True)
        for axes, scored_on in zip(panels, SCORED_ON, strict=True):
            own = named[named["scored_on"] == scored_on]
            _share_cells(axes, own.pivot(index="pair", columns="experiment", values="told_apart").loc[hardest, kinds])
            panel_title(axes, f"scored on {scored_on}")
        panels[0].set_ylabel("told apart")
        first = rival_pairs.iloc[0]
        said = (
            "share of experiments in which the more likely of two accounts is the true one (chance: 50, black: 100 %); "
            f"{first['n_identities']} identities, {first['n_neurons']} neurons a patch, {first['n']} experiments each"
        )
        complete = len(named) == named["pair"].nunique() * len(kinds) * len(SCORED_ON)
        note(figure, said if complete else f"{said}; white: no network of the account was trained so")
    return figure


def _share_cells(axes: Axes, grid: pd.DataFrame) -> None:
    """Shares as shades with their per cent, but for 0 and 100; rows and columns named."""
    shares = grid.to_numpy(dtype=float)
    axes.imshow(shares, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        if 0.005 <= share < 0.995:
            colour = "white" if share > 0.5 else "black"
            axes.text(column, row, f"{share:.0%}"[:-1], ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(grid.shape[1]), grid.columns, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(
        range(grid.shape[0]), [textwrap.fill(name, LABEL_WIDTH, break_on_hyphens=False) for name in grid.index]
    )
    axes.grid(visible=False)


def _summary(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    recovery = tables["rival_recovery"]
    sentences = []
    for scored_on in SCORED_ON:
        own = recovery[recovery["scored_on"] == scored_on]
        size = own.loc[(own["n_identities"] - 25).abs().add((own["n_neurons"] - 100).abs()).idxmin()]
        here = own[(own["n_identities"] == size["n_identities"]) & (own["n_neurons"] == size["n_neurons"])]
        known, unknown = here[here["known"]], here[~here["known"]]
        worst = known.loc[known["right"].idxmin()]
        sentence = (
            f"Scored on {scored_on}, experiments of {size['n_identities']} identities and {size['n_neurons']} neurons "
            f"a patch find the account that made them in {known['right'].mean():.0%} ({worst['truth']} least: "
            f"{worst['right']:.0%})"
        )
        if len(unknown):
            worst = unknown.loc[unknown["wrong"].idxmax()]
            sentence += (
                f"; of those that no account made, {unknown['wrong'].mean():.0%} are given to one (most of "
                f"'{worst['truth']}': {worst['wrong']:.0%})"
            )
        sentences.append(sentence + ".")
    verdicts = tables["rival_verdicts"]
    for scored_on, rows in verdicts.groupby("scored_on", sort=False):
        first = rows.iloc[0]
        if first["verdict"] == NONE:
            found = (
                f"none of these accounts makes such an experiment (the least unlike is {first['account']}; "
                f"{first['p_typical']:.0%} of its own are as far from it)"
            )
        else:
            found = f"{first['verdict']} (most likely: {first['account']}, probability {first['posterior']:.2f})"
        sentences.append(f"The recording, scored on {scored_on}: {found}.")
    return sentences


RIVAL_MECHANISMS = Measure(
    key="rival_mechanisms",
    title="Rival mechanisms",
    about="rival accounts of the patches: whether experiments tell them apart, and which one a recording supports",
    settings=RivalMechanisms,
    compute=measure,
    of_views=True,
    work=lambda settings, _n_stimuli: (
        len(settings.accounts)
        * (settings.n_experiments + settings.n_held_out + settings.n_tested)
        * (len(settings.n_identities) * len(settings.n_neurons) + len(settings.experiments))
    ),
    seconds=0.02,
    tables=TABLES,
    figures=(
        Drawing("rival_confusion", draw_confusion, "Verdicts on simulated experiments whose maker is known."),
        Drawing("rival_pairs", draw_pairs, "Which experiment tells the hardest pairs of accounts apart."),
    ),
    shown=(
        ReportTable(
            "rival_verdicts",
            "What the recording supports.",
            columns=tuple(TABLES[-1].columns[:5]),
        ),
        ReportTable(
            "rival_recovery",
            "Share of simulated experiments with the right and with a wrong verdict; accounts: "
            + "; ".join(f"{account.name}: {account.label}" for account in ACCOUNTS.values())
            + ".",
        ),
    ),
    summary=lambda tables, _study: _summary(tables),
    methods=lambda _tables, _study: [
        "Rival accounts are networks with a stage for each patch. Neurons of simulated experiments read random units "
        "of one. Profiles (variance shares, even and odd, index, generalisation, fits to RDMs of another animal of "
        "each account) are judged by a synthetic likelihood (Wood 2010, Nature 466:1102) with calibrated odds, and by "
        "a conformal p that excludes an account. Experiments that are judged come from animals not learned from, "
        "but for accounts with fewer than four networks."
    ],
)
