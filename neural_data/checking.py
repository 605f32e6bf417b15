"""Checks a recording before RDMs are computed: what it holds, and what would distort its RDMs.

Gives a report of facts (numbers of stimuli, neurons, repetitions) and of problems, each with what to do about it. A
file that cannot be used at all raises :class:`~neural_data.errors.InputError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from neural_data.errors import InputError
from neural_data.formats import named_arrays
from neural_data.formats.files import detect_format, read_recording
from neural_data.recordings import (
    checked_recording,
    condition_means,
    match_stimulus_set,
    mean_over_bins,
    missing_message,
    regions_of,
    repeated_trials,
    response_counts,
    with_ids_of,
)
from neural_data.stimuli import StimulusSet

__all__ = ["FEW_NEURONS", "Problem", "RecordingReport", "check_recording", "span"]

FEW_NEURONS = 20
"""With fewer neurons, an RDM depends more on which neurons were sampled than on the region (see its reliability)."""
FEWEST_STIMULI = 3
IMPLAUSIBLE_RATE_HZ = 300.0
"""Mean rates above this are too high for cortical neurons; the responses are probably in another unit."""


@dataclass(frozen=True)
class Problem:
    """Something in a recording that would distort its RDMs, and what to do about it.

    Parameters
    ----------
    severity : {"warning", "error"}
        With an error, RDMs cannot be computed from the recording; with a warning they can, but may be distorted.
    message, way_out : str
        What was found, and what to do about it.
    """

    severity: str
    message: str
    way_out: str


@dataclass(frozen=True)
class RecordingReport:
    """What was found in a recording.

    Parameters
    ----------
    source : str
        Path of the file, or name of the recording.
    facts : dict of str to str
        What it holds, such as ``"stimuli": "60"``, in the order in which the report shows it.
    neurons : pandas.DataFrame
        One row per region and subject: ``region, subject, n_neurons, n_silent, n_constant, mean_rate``.
    problems : tuple of Problem
        Errors first.
    """

    source: str
    facts: dict[str, str]
    neurons: pd.DataFrame
    problems: tuple[Problem, ...]

    @property
    def usable(self) -> bool:
        """Whether RDMs can be computed from the recording: no problem is an error."""
        return not any(problem.severity == "error" for problem in self.problems)

    def to_text(self) -> str:
        """The report as lines of plain text."""
        width = max(len(name) for name in self.facts)
        lines = [self.source, ""]
        lines += [f"  {name:<{width}}  {value}" for name, value in self.facts.items()]
        lines += ["", *(f"  {line}" for line in self.neurons.to_string(index=False).splitlines()), ""]
        for problem in self.problems:
            lines += [f"{problem.severity}: {problem.message}", f"  -> {problem.way_out}"]
        return "\n".join(lines if self.problems else [*lines, "no problem found"])


def check_recording(
    recording: str | Path | xr.DataArray,
    *,
    format: str | None = None,
    stimulus: str | None = None,
    window_ms: tuple[float, float] | None = None,
    region: str | None = None,
    units: str | None = None,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    variables: Mapping[str, str] | None = None,
    decimal: str | None = None,
    onset_bin: int | None = None,
    stimuli: StimulusSet | None = None,
) -> RecordingReport:
    """Report what a recording holds and what would distort its RDMs.

    Parameters
    ----------
    recording : str, Path or xarray.DataArray
        A file or folder, or a recording in memory.
    format, stimulus, window_ms, region, units, columns, variables, decimal, onset_bin
        For files, see :func:`~neural_data.formats.files.read_recording`.
    stimuli : StimulusSet or None
        The stimulus set that was shown; the report says which of its stimuli were not recorded.

    Returns
    -------
    RecordingReport

    Raises
    ------
    InputError
        If the file cannot be read or holds no recording at all.
    """
    if isinstance(recording, xr.DataArray):
        source, found = "recording in memory", "in memory"
        recording = checked_recording(recording, units=units)
    else:
        source = str(recording)
        found = format or (named_arrays.FORMAT.name if variables else detect_format(recording))
        recording = read_recording(
            recording,
            found,
            stimulus,
            window_ms,
            region=region,
            units=units,
            columns=columns,
            variables=variables,
            decimal=decimal,
            onset_bin=onset_bin,
            missing="keep",
        )
    if stimuli is not None:
        recording = with_ids_of(recording, stimuli)
    counts, means = response_counts(recording), condition_means(mean_over_bins(recording), missing="keep")
    neurons = _neurons(recording, means)
    problems = [
        *_problems_of_cells(recording, counts, means),
        *_problems_of_neurons(recording, neurons),
        *_problems_of_stimuli(recording, counts, stimuli),
    ]
    problems.sort(key=lambda problem: problem.severity != "error")
    facts = _facts(recording, found, counts, means)
    return RecordingReport(source, facts, neurons, tuple(problems))


def _facts(recording: xr.DataArray, found: str, counts: pd.DataFrame, means: pd.DataFrame) -> dict[str, str]:
    subjects = [s for s in dict.fromkeys(recording["subject"].values.tolist()) if s]
    together = "recorded together" if recording.attrs["simultaneous"] else "recorded one by one (a pseudo-population)"
    facts = {
        "format": found,
        "origin": "simulated" if recording.attrs["simulated"] else "recorded",
        "regions": ", ".join(regions_of(recording)),
        "subjects": ", ".join(subjects) or "not named",
        "neurons": f"{recording.sizes['neuroid']}, {together}",
        "stimuli": str(len(means)),
        "repetitions": span(counts.to_numpy()),
        "missing cells": f"{int((counts == 0).to_numpy().sum())} of {counts.size} (stimulus x neuron)",
        "units": recording.attrs["units"],
    }
    if "time_bin" in recording.dims:
        start, end = recording["time_bin_start"].values, recording["time_bin_end"].values
        sliding = len(start) > 1 and start[1] < end[0] - 1e-6
        every = f" every {start[1] - start[0]:g} ms" if sliding else ""
        facts["time bins"] = (
            f"{len(start)} of {end[0] - start[0]:g} ms{every}, {start[0]:g} to {end[-1]:g} ms after onset"
        )
    elif "window_ms" in recording.attrs:
        facts["window"] = "{:g} to {:g} ms after onset".format(*recording.attrs["window_ms"])
    if recording.attrs.get("onset"):
        facts["onset"] = f"column {recording.attrs['onset']}"
    if recording.attrs.get("assumed"):
        facts["assumed"] = str(recording.attrs["assumed"])
    if recording.attrs.get("stimulus_set_identifier"):
        facts["stimulus set"] = str(recording.attrs["stimulus_set_identifier"])
    return facts


def span(counts: np.ndarray | pd.Series) -> str:
    """Counts as a text: one number, or the range."""
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"


def _neurons(recording: xr.DataArray, means: pd.DataFrame) -> pd.DataFrame:
    values = means.to_numpy()
    low, high = np.nanmin(_measured(values), axis=0), np.nanmax(_measured(values), axis=0)
    table = pd.DataFrame(
        {
            "region": recording["region"].values,
            "subject": recording["subject"].values,
            "silent": (low == 0) & (high == 0),
            "constant": low == high,
            "mean_rate": np.nanmean(_measured(values), axis=0),
        }
    )
    return (
        table.groupby(["region", "subject"], sort=False)
        .agg(
            n_neurons=("silent", "size"),
            n_silent=("silent", "sum"),
            n_constant=("constant", "sum"),
            mean_rate=("mean_rate", "mean"),
        )
        .round({"mean_rate": 2})
        .reset_index()
    )


def _measured(values: np.ndarray) -> np.ndarray:
    """Means with zeros for neurons that were never measured, so that no column is all NaN."""
    return np.where(np.isnan(values).all(axis=0), 0.0, values)


def _problems_of_cells(recording: xr.DataArray, counts: pd.DataFrame, means: pd.DataFrame) -> list[Problem]:
    problems = []
    if means.isna().to_numpy().any():
        problems.append(
            Problem(
                "error",
                missing_message(means),
                "choose missing='drop_neurons' or missing='drop_stimuli', whichever loses less; nothing is filled in",
            )
        )
    absent = int(np.isnan(recording.values).sum())
    if absent and recording.attrs["simultaneous"]:
        problems.append(
            Problem(
                "warning",
                f"{absent:,} of {recording.size:,} responses of neurons recorded together are NaN",
                "missing='keep' averages the responses that are there; check that losses do not depend on the stimulus",
            )
        )
    present = counts.to_numpy()
    if present.min() != present.max():
        problems.append(
            Problem(
                "warning",
                f"repetitions are unbalanced: {present.min()} to {present.max()} responses per stimulus and neuron",
                "unequal noise biases correlation and euclidean RDMs: where noise is large, prefer crossnobis, which "
                "uses the same number of repetitions in every cell, or drop stimuli or neurons with few repetitions",
            )
        )
    elif present.max() == 1:
        problems.append(
            Problem(
                "warning",
                "there is one response per cell",
                "crossnobis and trial split halves need at least two; reliability over neurons still works",
            )
        )
    return problems


def _problems_of_neurons(recording: xr.DataArray, neurons: pd.DataFrame) -> list[Problem]:
    problems = []
    for region, rows in neurons.groupby("region", sort=False):
        n_neurons, n_silent = int(rows["n_neurons"].sum()), int(rows["n_silent"].sum())
        n_constant = int(rows["n_constant"].sum()) - n_silent
        if n_neurons - n_silent - n_constant < FEW_NEURONS:
            problems.append(
                Problem(
                    "warning",
                    f"{region} has {n_neurons - n_silent - n_constant} neurons that vary; RDMs of fewer than "
                    f"{FEW_NEURONS} rest on chance",
                    "report their reliability (noise ceiling) beside every fit, or pool regions",
                )
            )
        for number, what in ((n_silent, "silent"), (n_constant, "constant but not silent")):
            if number:
                problems.append(
                    Problem(
                        "warning",
                        f"{number} of {n_neurons} neurons of {region} are {what}",
                        "normalize='zscore' drops them; raw correlations keep them",
                    )
                )
    if "unspecified" in set(neurons["region"]):
        problems.append(Problem("warning", "the region is not named in the data", "name it: region='AM' when reading"))
    rates = neurons["mean_rate"].max()
    if recording.attrs["units"] == "spikes/s" and rates > IMPLAUSIBLE_RATE_HZ:
        problems.append(
            Problem("warning", f"mean rates reach {rates:g} spikes/s", "check the unit: say units='counts' if they are")
        )
    return problems


def _problems_of_stimuli(recording: xr.DataArray, counts: pd.DataFrame, stimuli: StimulusSet | None) -> list[Problem]:
    problems = []
    if len(counts) < FEWEST_STIMULI:
        problems.append(
            Problem(
                "error",
                f"there are {len(counts)} stimuli; an RDM needs at least {FEWEST_STIMULI}",
                "check which label tells stimuli apart (stimulus=...)",
            )
        )
    repeated = repeated_trials(recording)
    if repeated:
        problems.append(
            Problem(
                "warning",
                f"{repeated} of {recording.sizes['presentation']} presentations repeat another of the same stimulus, "
                "response by response",
                "trials never agree in every neuron: was the file joined to itself, or means written once a trial? "
                "Repeated trials make reliability and crossnobis look better than they are",
            )
        )
    if stimuli is not None:
        try:
            match_stimulus_set(recording, stimuli)
        except InputError as error:
            problems.append(Problem("error", str(error), "RDMs of this set cannot be computed until the ids agree"))
    return problems
