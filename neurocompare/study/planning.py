"""Which steps a study has, under which keys they are kept, and how long they are likely to take.

Making a plan reads and checks everything that the study names (stimuli, networks, layers, recording) and computes
nothing that takes long: keys of later steps are made of the keys of earlier ones.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from neural_data.stimuli import StimulusSet
from neurocompare.models.datasets import BUILT_IN_DATASETS
from neurocompare.representations.viewpoint import check_azimuths
from neurocompare.study.cache import Cache, step_key
from neurocompare.study.grammar import BUILT_IN_STIMULI, Study
from neurocompare.study.measures import STUDY_MEASURES, images_to_show, measure_dependencies
from neurocompare.study.networks import NetworkRecord, identify_networks
from neurocompare.study.recipes import dataset_key, image_size, recipe_of
from neurocompare.study.steps import (
    SIMULATED_REGIONS,
    obtain_recording,
    planned_stimuli,
    read_own_stimuli,
    with_background,
)

__all__ = ["Plan", "PlannedTraining", "Step", "make_plan", "plan_stimuli", "recording_checksum"]

TYPICAL_SECONDS = {
    "dataset": 2e-3,
    "training": 2e-3,
    "stimuli": 0.1,
    "presentation": 0.01,
    "patches": 2e-3,
    "fits": 1e-6,
    "trajectory": 0.01,
    "measures": 0.01,
    "figures": 0.05,
}
"""Per unit of a step's work, on one core of 2024; used until the cache holds a step of that kind."""
TYPICAL_IMAGES = 50_000
"""Of a data set whose size is known only when it is read."""


@dataclass(frozen=True)
class Step:
    """One step of a study.

    Parameters
    ----------
    kind : str
        ``dataset``, ``training``, ``stimuli``, ``presentation``, ``patches``, ``fits``, ``trajectory``, ``measures``
        or ``figures``.
    label : str
        What a person calls it.
    key : str
        Under which its result is kept.
    work : float
        How much there is to do, in a unit of the kind's own.
    """

    kind: str
    label: str
    key: str
    work: float


class PlannedTraining(NamedTuple):
    """The steps that give a network its weights."""

    dataset: Step
    training: Step


@dataclass(frozen=True)
class Plan:
    """A study whose input was found and checked.

    Parameters
    ----------
    settings : Study
        As resolved.
    networks : tuple of NetworkRecord
        In the order of the study file.
    stimuli : StimulusSet or None
        None: to be rendered.
    recording : xarray.DataArray or None
        None: to be simulated.
    rendering : Step or None
        None where stimuli are on disk.
    presentations : tuple of Step
        One a network.
    patches, fits, figures : Step
        The others.
    measures : Step or None
        Measures of stimuli, layers and patches together; None where none is asked for.
    trainings : dict of int to Training
        Networks that the study trains, by their place among ``networks``.
    trajectories : dict of int to Step
        Networks that are looked at in the course of their training.
    """

    settings: Study
    networks: tuple[NetworkRecord, ...]
    stimuli: StimulusSet | None
    recording: xr.DataArray | None
    rendering: Step | None
    presentations: tuple[Step, ...]
    patches: Step
    fits: Step
    figures: Step
    measures: Step | None = None
    trainings: Mapping[int, PlannedTraining] = field(default_factory=dict)
    trajectories: Mapping[int, Step] = field(default_factory=dict)

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps in the order in which they run."""
        first = () if self.rendering is None else (self.rendering,)
        measures = () if self.measures is None else (self.measures,)
        datasets = {planned.dataset.key: planned.dataset for planned in self.trainings.values()}
        first = (*datasets.values(), *(planned.training for planned in self.trainings.values()), *first)
        later = (*self.trajectories.values(), *measures, self.figures)
        return (*first, *self.presentations, self.patches, self.fits, *later)

    def expected_seconds(self, cache: Cache) -> dict[str, float]:
        """Likely duration of every step by its key, 0 where it is kept already; learnt from what the cache holds."""
        rates = defaultdict(list)
        for entry in cache.entries():
            rates[entry.kind].append(entry.seconds / max(entry.work, 1e-9))
        rate = {
            kind: float(np.median(rates[kind])) if kind in rates else TYPICAL_SECONDS[kind] for kind in TYPICAL_SECONDS
        }
        return {step.key: 0.0 if cache.has(step.key) else rate[step.kind] * step.work for step in self.steps}


def make_plan(settings: Study, *, device: str = "auto") -> Plan:
    """Find and check what a study names, and lay out its steps.

    Parameters
    ----------
    settings : Study
        From :func:`~neurocompare.study.grammar.load_study`.
    device : str
        Where networks run.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        If anything that the study names does not exist or cannot be used.
    """
    networks = tuple(identify_networks(settings, device))
    stimuli, rendering = plan_stimuli(settings)
    views = settings.stimuli.azimuths_deg if stimuli is None else stimuli.table["azimuth_deg"].unique()
    if views is not None:
        check_azimuths(sorted(views))
    n_stimuli = int(rendering.work) if stimuli is None else len(stimuli)
    shown = _key("shown", rendering.key, settings.stimuli.background) if stimuli is None else stimuli.checksum()
    if settings.recording.source == "simulated":
        recording, n_regions = None, len(settings.recording.regions or SIMULATED_REGIONS)
        recorded = _key("simulated", shown, settings.recording.model_dump(mode="json"), settings.seed)
    else:
        recording = obtain_recording(settings, stimuli)
        recorded, n_regions = recording_checksum(recording), len(np.unique(recording["region"]))
    comparison = settings.comparison.model_dump(mode="json")
    measure = {name: comparison[name] for name in ("dissimilarity", "normalize")}
    reflection, measured = settings.outputs.reflection, measure_dependencies(settings)
    n_images = n_stimuli * (1 + 3 * reflection) + images_to_show(settings, n_stimuli)
    presentations = tuple(
        Step(
            "presentation",
            network.label,
            _key("presentation", shown, network.identity, measure, reflection, measured),
            n_images * len(network.layers),
        )
        for network in networks
    )
    ceiling = {name: comparison[name] for name in ("method", "n_splits")}
    patches = Step(
        "patches",
        "RDMs and noise ceilings of the patches",
        _key("patches", shown, recorded, measure, ceiling, settings.seed),
        n_regions * comparison["n_splits"],
    )
    inference = {name: value for name, value in comparison.items() if name != "correction"}
    earlier = [step.key for step in presentations]
    n_layers = sum(len(network.layers) for network in networks)
    of_fits = [reflection, settings.outputs.layer_tests]
    fits = Step(
        "fits",
        f"fits of {n_layers} layers to the patches",
        _key("fits", earlier, patches.key, recorded, inference, of_fits, settings.seed),
        n_layers * n_regions * (comparison["n_draws"] + 200) * n_stimuli,
    )
    outputs = settings.outputs.model_dump(mode="json")
    asked = {name: outputs[name] for name in STUDY_MEASURES if outputs[name]}
    measures = None
    if asked:
        key = _key("measures", shown, earlier, patches.key, comparison["dissimilarity"], settings.stimuli.size, asked)
        measures = Step("measures", ", ".join(asked).replace("_", " "), key, len(asked) * n_stimuli)
    figures = Step("figures", "figures", _key("figures", fits.key, earlier, patches.key, outputs), 20 + n_layers)
    trajectories = {
        place: Step(
            "trajectory",
            f"course of {network.label}",
            _key("trajectory", shown, network.identity, patches.key, comparison),
            n_stimuli * len(network.layers) * len(network.model.training.keep_epochs),
        )
        for place, network in enumerate(networks)
        if network.training is not None and network.model.training.keep_epochs
    }
    return Plan(
        settings,
        networks,
        stimuli,
        recording,
        rendering,
        presentations,
        patches,
        fits,
        figures,
        measures,
        _plan_trainings(networks),
        trajectories,
    )


def _plan_trainings(networks: Sequence[NetworkRecord]) -> dict[int, PlannedTraining]:
    """The steps of all networks that are trained; networks of one data set share the step that reads it."""
    planned = {}
    for place, network in enumerate(networks):
        if network.training is None:
            continue
        training = network.model.training
        n_images = training.n_images or TYPICAL_IMAGES
        name = Path(training.dataset).name if training.dataset not in BUILT_IN_DATASETS else training.dataset
        dataset = Step(
            "dataset",
            f"training images {name}",
            dataset_key(training, image_size(network.model.name)),
            n_images,
        )
        work = n_images * recipe_of(training).epochs
        planned[place] = PlannedTraining(dataset, Step("training", f"train {network.label}", network.training, work))
    return planned


def plan_stimuli(settings: Study) -> tuple[StimulusSet | None, Step | None]:
    """The stimuli that a study has on disk, or the step that renders them; the other is None.

    Raises
    ------
    InputError
        If there are no such stimuli.
    """
    chosen = settings.stimuli
    if chosen.source not in BUILT_IN_STIMULI:
        return with_background(read_own_stimuli(settings).decode(), settings), None
    n_stimuli = planned_stimuli(settings)
    about = chosen.model_dump(mode="json", exclude={"images", "background"})
    return None, Step("stimuli", f"render {n_stimuli} stimuli", _key("stimuli", about, settings.seed), n_stimuli)


def recording_checksum(recording: xr.DataArray) -> str:
    """SHA-256 (hex) of a recording's values and of its coordinates."""
    digest = hashlib.sha256(np.ascontiguousarray(recording.to_numpy()).tobytes())
    for name in sorted(map(str, recording.coords)):
        digest.update(name.encode() + json.dumps(recording[name].to_numpy().tolist(), default=str).encode())
    return digest.hexdigest()


def _key(kind: str, *depends: Any) -> str:
    plain: Mapping[str, Any] = {str(number): value for number, value in enumerate(depends)}
    return step_key(kind, plain)
