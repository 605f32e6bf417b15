"""Notes from the calibration study on the accuracy of a result's intervals and tests.

The numbers are those of ``analyses/calibration/calibration.csv``: 95 % intervals, simulated recordings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from neurocompare.comparison.resampling import factors_along

__all__ = ["regime_notes"]

FEW_IDENTITIES = 10
FEW_SUBJECTS = 4
MANY_NEURONS = 100


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
