"""Which account of the face patches made a recording: simulated experiments of its own size, and a verdict.

Takes mean responses in two halves of a recording's trials and units of the accounts; gives a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from neural_data.errors import InputError
from neural_data.stimuli import StimulusSet
from neurocompare.comparison.account_profiles import Views, population_profile, profile_of
from neurocompare.comparison.account_recovery import (
    AS_USUAL,
    SCORED_ON,
    USES,
    Animals,
    Plan,
    Profiles,
    experiments,
    of_account,
)
from neurocompare.comparison.account_verdicts import make_court
from neurocompare.representations.neural_rdms import PopulationRequest, populations

__all__ = ["JUDGEMENT_COLUMNS", "STAGE_OF_REGION", "judge_halves", "recorded_halves"]

JUDGEMENT_COLUMNS = ("scored_on", "verdict", "account", "posterior", "p_typical", "trials_in_half", "n")
STAGE_OF_REGION = {"ML": "ML", "MF": "ML", "MLMF": "ML", "AL": "AL", "AM": "AM"}
"""Stage of the accounts that a patch is compared with, by its label."""
TRIALS_TRIED = (0.05, 500.0)
N_FOR_RELIABILITY = 3
"""Simulated experiments of each account whose reliability is compared with the recording's."""
N_MATCHED = 8
"""Halvings of the range of trials (log scale) that end with the recording's reliability."""


def recorded_halves(recording: xr.DataArray, stimuli: StimulusSet) -> dict[str, np.ndarray]:
    """Mean responses in the odd and the even trials, (2, n_stimuli, n_neurons), by stage.

    Parameters
    ----------
    recording : xarray.DataArray
        With at least two trials of every stimulus, and patches named in :data:`STAGE_OF_REGION`; others are left out.
    stimuli : StimulusSet
        Their order.

    Returns
    -------
    dict of str to array

    Raises
    ------
    InputError
        If no patch has a stage, two patches have the same one, or there are no repetitions.
    """
    _, groups = populations(recording, PopulationRequest(stimuli), with_trials=True)
    halves: dict[str, np.ndarray] = {}
    for group in groups:
        stage = STAGE_OF_REGION.get(group.region)
        if stage is None:
            continue
        if stage in halves:
            raise InputError(
                f"two patches of the recording stand for {stage}; choose one of them (recording.regions in a study)"
            )
        trials = group.single_responses
        halves[stage] = np.stack([trials[half::2].mean(axis=0) for half in (0, 1)])
    if not halves:
        raise InputError(
            f"no patch of the recording has a stage among the accounts: it has "
            f"{', '.join(group.region for group in groups)}, and they have {', '.join(STAGE_OF_REGION)}"
        )
    return halves


def judge_halves(
    halves: Mapping[str, np.ndarray],
    accounts: Mapping[str, Animals],
    views: Views,
    references: Mapping[str, np.ndarray],
    plan: Plan = AS_USUAL,
    *,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Verdict on one recording.

    Parameters
    ----------
    halves : mapping of str to array of shape (2, n_stimuli, n_neurons)
        From :func:`recorded_halves`.
    accounts : mapping of str to mapping of use to sequence of mapping of stage to array of shape (n_stimuli, n_units)
        Units of the animals of each account, from :func:`~.account_recovery.animals_by_use`.
    views : Views
        Where the views of each identity stand among the stimuli.
    references : mapping of str to array of shape (n_stimuli, n_stimuli)
        RDMs that patches are compared with.
    plan : Plan
        Its number of trials is not used.
    rng : numpy.random.Generator
        Source of all random numbers.

    Returns
    -------
    pandas.DataFrame
        One row per account and entry of ``SCORED_ON``, columns :data:`JUDGEMENT_COLUMNS`: the ``verdict``, the same in
        all rows of an entry; ``posterior`` and ``p_typical`` of the account; ``n`` experiments learned from.

    Notes
    -----
    Simulated experiments have as many neurons in each patch, and so many trials that their responses are as reliable,
    on average over accounts, as those of the recording. Reliability itself is not judged.
    """
    observed_halves = {stage: own[None] for stage, own in halves.items()}
    counts = {stage: own.shape[2] for stage, own in halves.items()}
    generators = {
        name: {
            use: of_account([{stage: animal[stage] for stage in counts} for animal in own])
            for use, own in animals.items()
        }
        for name, animals in accounts.items()
    }

    def simulated(name: str, use: str, n: int, trials_in_half: float) -> Iterator[dict[str, np.ndarray]]:
        for block in experiments(generators[name][use], max(counts.values()), n, trials_in_half, rng=rng):
            yield {stage: own[:, :, :, : counts[stage]] for stage, own in block.items()}

    def reliability(made: Mapping[str, np.ndarray]) -> float:
        return float(np.mean([population_profile(own, views)["reliability"].mean() for own in made.values()]))

    low, high = np.log(TRIALS_TRIED)
    recorded = reliability(observed_halves)
    for _ in range(N_MATCHED):
        middle = (low + high) / 2
        found = np.mean(
            [
                reliability(block)
                for name in accounts
                for block in simulated(name, USES[0], N_FOR_RELIABILITY, float(np.exp(middle)))
            ]
        )
        low, high = (middle, high) if found < recorded else (low, middle)
    trials_in_half = float(np.exp((low + high) / 2))

    def profiles(name: str, use: str, n: int) -> Profiles:
        return _judged([profile_of(block, views, references) for block in simulated(name, use, n, trials_in_half)])

    learned = {name: profiles(name, USES[0], plan.n_learned) for name in accounts}
    held_out = {name: profiles(name, USES[1], plan.n_held_out) for name in accounts}
    observed = _judged([profile_of(observed_halves, views, references)])
    rows = []
    for scored_on in SCORED_ON:
        court = make_court(
            *({name: own.scored_on(scored_on) for name, own in part.items()} for part in (learned, held_out))
        )
        (verdict,) = court.judge(observed.scored_on(scored_on), alpha=plan.alpha, certainty=plan.certainty)
        rows += [
            (
                *(scored_on, verdict.found, name, verdict.posterior[name], verdict.p_typical[name]),
                *(trials_in_half, plan.n_learned),
            )
            for name in verdict.candidates
        ]
    return pd.DataFrame(rows, columns=list(JUDGEMENT_COLUMNS))


def _judged(profiles: Sequence[Mapping[str, np.ndarray]]) -> Profiles:
    """Profiles without the reliabilities, which are matched."""
    kept = [name for name in profiles[0] if not name.endswith(": reliability")]
    return Profiles.of([{name: profile[name] for name in kept} for profile in profiles])
