"""Notes from the calibration study on the accuracy of a result's intervals and tests.

The numbers of :func:`regime_notes` are those of ``analyses/calibration/calibration.csv``: 95 % intervals, simulated
recordings. The other notes are those of contrasts of training regimes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from neurocompare.comparison.resampling import factors_along

__all__ = ["CROSSED_NOTE", "EXEMPLARS_NOTE", "INTERACTION_NOTE", "SKEWED_NOTE", "UNEVEN_NOTE", "regime_notes"]

FEW_IDENTITIES = 10
FEW_SUBJECTS = 4
MANY_NEURONS = 100
SKEWED_NOTE = (
    "tests of fewer than 20 seeds rest on networks that scatter about their mean like a normal distribution: where one "
    "regime's are skewed, or fall into two groups, an absent difference was found in 8 to 10 % and in 12 to 25 % of "
    "simulated contrasts of three to ten seeds instead of 5 %; where the difference varies over exemplars as much as "
    "over seeds, the crossed analysis found it in 4 to 7 % and in 5 to 7 % (analyses/calibration/seeds.csv); look at "
    "every seed"
)
EXEMPLARS_NOTE = (
    "t tests over seeds are about these exemplars: where the difference varies over exemplars as much as over seeds, "
    "they found one that other exemplars do not have in 8, 15 and 24 % of simulated contrasts of 5, 10 and 20 seeds "
    "(skewed seeds: 13, 24 and 35 %; analyses/calibration/seeds.csv); method='mixed' is about new exemplars too (4 to "
    "6 %)"
)
CROSSED_NOTE = (
    "networks of two regimes are taken as independent: where those of one seed are alike (correlation 0.5), the "
    "crossed analysis of five seeds found an absent difference in 0.3 to 2.5 % instead of 5 % "
    "(analyses/regime_contrasts/calibration.csv); paired=True finds more"
)
INTERACTION_NOTE = (
    "the interaction with the layer is too cautious with few seeds: F with Greenhouse and Geisser's correction found "
    "an absent one of 8 layers in 2 % of simulated experiments of five pairs of networks and in 3 % of five against "
    "five, and permuted profiles of five pairs found none, instead of 5 % (ten seeds: 4 to 5 %; "
    "analyses/regime_contrasts/calibration.csv)"
)
UNEVEN_NOTE = (
    "the networks of one regime scatter more than twice as much as the other's somewhere: a permutation of networks "
    "then rejects too often (8 % instead of 5 % at five seeds and spreads of 1 to 4), the t tests do not (5 to 6 %)"
)


def regime_notes(factors: Sequence[str], variance: str, sizes: Mapping[str, np.ndarray]) -> list[str]:
    """Notes on intervals and tests that are known to be too wide, too narrow, too strict or too lenient.

    Parameters
    ----------
    factors : sequence of str
        What was resampled.
    variance : {"jackknife", "bootstrap"}
        Where standard errors come from.
    sizes : mapping of str to integer array
        Units of each factor, by recording.

    Returns
    -------
    list of str
        Empty if the calibration found correct coverage for experiments like this one.
    """
    notes = []
    smallest = {factor: int(np.min(size)) for factor, size in sizes.items()}
    patterns = factors_along("stimuli", factors)
    if not patterns:
        covered = "83 to 97" if variance == "jackknife" else "74 to 94"
        notes.append(
            f"intervals are for the same stimuli: with new ones too they covered {covered} % in the calibration; "
            "resample identities too"
        )
    if len(factors) == 1 and patterns:
        notes.append(
            "intervals are for the same neurons: with new ones as well they covered 68 to 99 % in the calibration, "
            "the less the more identities; resample neurons too"
        )
    if "subject" in factors and smallest["subject"] < FEW_SUBJECTS:
        notes.append(
            f"{smallest['subject']} subjects leave {smallest['subject'] - 1} degree(s) of freedom: intervals covered "
            "over 99 % in the calibration and hardly any difference was found; resampling neurons instead makes the "
            "claim one about these subjects"
        )
    if "identity" in factors and smallest["identity"] < FEW_IDENTITIES:
        notes.append(
            f"{smallest['identity']} identities: intervals were too wide in the calibration (with 5 identities they "
            "covered 96 to 99 %, and tests at 5 % rejected 1 to 4 %)"
        )
    if variance == "bootstrap" and patterns:
        notes.append(
            "tests against 0 were too cautious in the calibration: an unrelated model was rejected in under 1 % "
            "instead of 5 %; variance='jackknife' gave 1 to 6 %"
        )
    if variance == "jackknife" and {"identity", "neuron"} <= set(factors) and smallest["neuron"] >= MANY_NEURONS:
        notes.append("100 neurons or more: from 10 identities on, intervals covered 91 to 96 % in the calibration")
    return notes
