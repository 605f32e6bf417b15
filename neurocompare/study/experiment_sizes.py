"""Power analysis of a study: the size of experiment needed to distinguish two layers, from its ``[power]`` section.

Stimuli are presented to the networks of the section; experiments of every size are then simulated by
``comparison.power``. Files are written only if an output folder is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from neural_data.errors import InputError
from neural_data.stimuli import StimulusSet
from neurocompare.comparison.power import PowerPlan, power_analysis, trial_noise
from neurocompare.measures.comparison import Comparison
from neurocompare.measures.power import POWER, draw_power
from neurocompare.measures.randomness import step_rng
from neurocompare.progress_lines import Progress, no_progress
from neurocompare.reporting.drawing import save_figure
from neurocompare.reporting.tables import ordered, write_table
from neurocompare.representations.activations import stream_responses
from neurocompare.study.grammar import Power, Study, load_study
from neurocompare.study.networks import NetworkRecord, identify_networks, loaded
from neurocompare.study.planning import obtain_stimuli
from neurocompare.study.provenance import write_provenance
from neurocompare.study.run_folders import whole_folder
from neurocompare.study.steps import read_study_recording
from neurocompare.study.workers import n_cores

__all__ = ["PowerFound", "power_sentence", "run_power"]

WORTH_WORKERS = 400
"""With fewer simulated experiments, no worker processes are started unless ``n_jobs`` is given."""


@dataclass(frozen=True)
class PowerFound:
    """Result of a power analysis.

    Parameters
    ----------
    table : pandas.DataFrame
        One row per size of experiment, as in ``tables/power.csv``.
    noise : float
        Trial noise of the simulated neurons, see :func:`~neurocompare.comparison.power.trial_noise`.
    target : float
        Desired power.
    """

    table: pd.DataFrame
    noise: float
    target: float


def run_power(
    study: str | Path | Mapping[str, Any],
    *,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    n_jobs: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> PowerFound:
    """Simulate the experiments of a study's ``[power]`` section.

    Parameters
    ----------
    study : str, Path or mapping
        A study file (TOML) or its content.
    out : str, Path or None
        Folder for ``tables/power.csv``, ``tables/power.parquet``, ``figures/power.svg`` and ``.png``, and
        ``provenance.json``; absent, empty, or an earlier run, which is replaced. None writes nothing.
    overrides : mapping of str to value, or None
        Dotted keys and values that replace those of the study.
    n_jobs : int or None
        Worker processes; results do not depend on it. None: one per core if there is enough work.
    device : str
        Device of the networks.
    progress : callable or None
        Called with the name of each step and the share done.

    Returns
    -------
    PowerFound

    Raises
    ------
    InputError
        If any input is wrong; nothing is written then.

    Notes
    -----
    Experiments are analysed with the study's ``comparison.method`` and ``comparison.resample`` and jackknife standard
    errors.
    """
    settings = load_study(study, overrides)
    if out is None:
        return _simulated(settings, None, n_jobs, device, progress or no_progress)
    with whole_folder(out, command="power") as folder:
        return _simulated(settings, folder, n_jobs, device, progress or no_progress)


def power_sentence(table: pd.DataFrame, *, target: float = 0.8) -> str:
    """The smallest experiment that reaches a power: fewest identities, then fewest neurons, then repetitions.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`run_power`.
    target : float
        Desired power, 0..1.

    Returns
    -------
    str
        One sentence. If no size reaches the target, it names the size with the largest power; it also says if the
        second layer fits better at every size.
    """
    sizes = ["n_identities", "n_neurons", "n_repetitions"]
    enough = table[table["power"] >= target].sort_values(sizes)
    if len(enough):
        row = enough.iloc[0]
        return f"{_size_of(row)} reach {target:.0%} power: {_estimate(row)}."
    row = table.sort_values("power", ascending=False, kind="stable").iloc[0]
    opposite = "; the second layer fits neurons that read the first better than the first does"
    return (
        f"No size tried reaches {target:.0%} power; the most is {_estimate(row)} with {_size_of(row)}"
        f"{opposite if (table['difference'] < 0).all() else ''}."
    )


def _size_of(row: pd.Series) -> str:
    repeated = "1 repetition" if row["n_repetitions"] == 1 else f"{row['n_repetitions']:.0f} repetitions"
    return f"{row['n_identities']:.0f} identities and {row['n_neurons']:.0f} neurons ({repeated} of each stimulus)"


def _estimate(row: pd.Series) -> str:
    return f"{row['power']:.0%} (95 % interval {row['power_low']:.0%} to {row['power_high']:.0%})"


def _simulated(settings: Study, folder: Path | None, n_jobs: int | None, device: str, progress: Progress) -> PowerFound:
    """Check, present, simulate and, if a folder is given, write."""
    progress("checking", 0.0)
    power = _checked(settings)
    networks = identify_networks(settings.model_copy(update={"models": settings.power_networks()}), device)
    for side, network in zip(("first", "second"), networks, strict=True):
        if len(network.layers) != 1:
            raise InputError(
                f"power.{side}.layer must be one layer; it stands for {', '.join(network.layers)}: name one"
            )
    progress("stimuli", 0.02)
    stimuli = obtain_stimuli(settings, n_jobs=n_cores())
    recording = read_study_recording(settings, stimuli) if settings.recording.kind == "file" else None
    plan = _sizes(power, settings.comparison, recording, len(stimuli.identities))
    progress("presenting the stimuli", 0.1)
    first, second = (_responses(network, stimuli) for network in networks)
    n_sizes = len(plan.n_identities) * len(plan.n_neurons) * len(plan.n_repetitions)
    if n_jobs is None:
        n_jobs = 1 if n_sizes * plan.n_experiments < WORTH_WORKERS else min(n_cores(), n_sizes)
    progress(f"simulating {n_sizes} sizes of experiment", 0.2)
    table = power_analysis(
        first,
        second,
        stimuli.table["identity"].tolist(),
        plan=plan,
        n_jobs=n_jobs,
        rng=step_rng(settings.seed, "power"),
    )
    names = [f"{network.layers[0]} of {network.label}" for network in networks]
    table = ordered(table.assign(first=names[0], second=names[1]), POWER)
    if folder is not None:
        for name in ("tables", "figures"):
            (folder / name).mkdir()
        write_table(table, "power", folder / "tables")
        save_figure(draw_power(table, target=power.target), "power", folder / "figures")
        notes = [power_sentence(table, target=power.target), f"trial noise {plan.noise:.4g}"]
        write_provenance(
            folder, settings, stimuli=stimuli, recording=recording, networks=networks, notes=notes, quick=False
        )
    progress("done", 1.0)
    return PowerFound(table, plan.noise, power.target)


def _checked(settings: Study) -> Power:
    """The study's ``[power]`` section, checked before anything is loaded."""
    if settings.power is None:
        raise InputError(
            "the study has no [power] section; add one with the two layers to distinguish, such as "
            '[power] first = {model = "cnn-small", layer = "conv4"}, second = {model = "cnn-small", layer = "fc1"}'
        )
    comparison = settings.comparison
    for key, wanted in (("dissimilarity", "correlation"), ("normalize", "none")):
        if (found := getattr(comparison, key)) != wanted:
            raise InputError(
                f"comparison.{key} = {found!r}: power is simulated only for {wanted!r}; add "
                f"--set comparison.{key}={wanted}"
            )
    _sizes(settings.power, comparison, None, 3)
    return settings.power


def _sizes(power: Power, comparison: Comparison, recording: xr.DataArray | None, n_available: int) -> PowerPlan:
    """The sizes to try.

    Sizes default to 5, 10, 25 and 50 identities, up to the number in the stimulus set; trial noise to the recording's.
    """
    identities = power.n_identities
    if identities is None:
        identities = [*(n for n in PowerPlan.n_identities if n < n_available), n_available]
    noise = power.noise
    if noise is None:
        noise = PowerPlan.noise if recording is None else _noise_of(recording)
    return PowerPlan(
        n_identities=identities,
        n_neurons=power.n_neurons,
        n_repetitions=power.n_repetitions,
        noise=noise,
        n_experiments=power.n_experiments,
        alpha=power.alpha,
        read_share=power.read_share,
        resample=comparison.resample or ["identity", "neuron"],
        method=comparison.method,
    )


def _noise_of(recording: xr.DataArray) -> float:
    try:
        return trial_noise(recording)
    except InputError as error:
        raise InputError(f"{error}; give power.noise") from error


def _responses(record: NetworkRecord, stimuli: StimulusSet) -> np.ndarray:
    """Responses (n_stimuli, n_units) of the one layer of a network."""
    network = loaded(record)
    batches: list[np.ndarray] = []

    def keep(_layer: object, _rows: slice, responses: torch.Tensor) -> None:
        batches.append(responses[0].to("cpu", torch.float32, copy=True).numpy())

    stream_responses(network, stimuli, network.select(list(record.layers)), keep)
    return np.concatenate(batches)
