"""Which steps a study has, under which keys they are kept, and how long they are likely to take.

Making a plan reads and checks everything that the study names (stimuli, networks, layers, recording) and computes
nothing that takes long. The key of a step is the hash of what the step is given; keys of earlier steps stand for what
these give.
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
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError
from neural_data.stimuli import StimulusSet
from neurocompare.comparison.inference import default_factors
from neurocompare.measures import MEASURES
from neurocompare.measures.declaration import LAYER_RDMS, THINGS, VALUES, Drawing, Measure, needs_of
from neurocompare.measures.settings import Section, none_as_none
from neurocompare.models.datasets import BUILT_IN_DATASETS
from neurocompare.models.registry import is_import_path
from neurocompare.representations.rdms import build_rdms, pattern_table, rdm_table
from neurocompare.representations.viewpoint import check_azimuths
from neurocompare.study.cache import Cache, step_key
from neurocompare.study.grammar import BUILT_IN_STIMULI, Study
from neurocompare.study.left_out import without_absent
from neurocompare.study.networks import NetworkRecord, identify_networks
from neurocompare.study.recipes import dataset_key, image_size, recipe_of
from neurocompare.study.steps import (
    SIMULATED_REGIONS,
    brought_layers,
    brought_patches,
    has_views,
    obtain_recording,
    planned_stimuli,
    read_own_stimuli,
    with_background,
)

__all__ = [
    "Plan",
    "PlannedFigure",
    "PlannedMeasure",
    "PlannedTraining",
    "Step",
    "make_plan",
    "needs_images",
    "plan_stimuli",
    "recording_checksum",
    "values_of",
]

TYPICAL_SECONDS = {
    "dataset": 2e-3,
    "training": 2e-3,
    "stimuli": 0.1,
    "presentation": 0.01,
    "patches": 0.2,
    "inference": 1e-6,
    "figure": 1.0,
    **{key: measure.seconds for key, measure in MEASURES.items()},
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
        A key of :data:`TYPICAL_SECONDS`: of a measure, or ``dataset``, ``training``, ``stimuli``, ``presentation``,
        ``patches``, ``inference`` or ``figure``.
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


class PlannedMeasure(NamedTuple):
    """A measure with its settings and its steps: by the place of the network among the study's, or under None."""

    measure: Measure
    settings: Section | None
    given: tuple[str, ...]
    steps: Mapping[int | None, Step]


class PlannedFigure(NamedTuple):
    """A figure, what is drawn, and the step that draws it."""

    drawing: Drawing
    given: tuple[str, ...]
    step: Step


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
    kinds : tuple of str
        RDMs of layers that presentations give, see ``measures.declaration.LAYER_RDMS``.
    patches, fits : Step or None
        RDMs of the patches, and the fits of all layers to them; None where there is no recording, or no layer.
    measures : tuple of PlannedMeasure
        In the order in which they are made.
    figures : tuple of PlannedFigure
    trainings : dict of int to PlannedTraining
        Networks that the study trains, by their place among ``networks``.
    not_imported : tuple of str
        Import paths of networks that were left out, so that no code of theirs ran.
    layers : tuple of rsatoolbox.rdm.RDMs
        RDMs that models bring, described like those of layers.
    patch_rdms : rsatoolbox.rdm.RDMs or None
        RDMs that the recording brings.
    left_out : tuple of str
        What was left out of the study as files of it are not there, in words.
    """

    settings: Study
    networks: tuple[NetworkRecord, ...]
    stimuli: StimulusSet | None
    recording: xr.DataArray | None
    rendering: Step | None
    presentations: tuple[Step, ...]
    kinds: tuple[str, ...]
    patches: Step | None
    fits: Step | None
    measures: tuple[PlannedMeasure, ...]
    figures: tuple[PlannedFigure, ...]
    trainings: Mapping[int, PlannedTraining] = field(default_factory=dict)
    not_imported: tuple[str, ...] = ()
    layers: tuple[RDMs, ...] = ()
    patch_rdms: RDMs | None = None
    left_out: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        """All steps in the order in which they run."""
        datasets = {planned.dataset.key: planned.dataset for planned in self.trainings.values()}
        first = () if self.rendering is None else (self.rendering,)
        first = (*datasets.values(), *(planned.training for planned in self.trainings.values()), *first)
        measures = [step for planned in self.measures for step in planned.steps.values()]
        figures = (planned.step for planned in self.figures)
        compared = (step for step in (self.patches, self.fits) if step is not None)
        return (*first, *self.presentations, *compared, *measures, *figures)

    def expected_seconds(self, cache: Cache) -> dict[str, float]:
        """Likely duration of every step by its key, 0 where it is kept already; learnt from what the cache holds."""
        rates = defaultdict(list)
        for entry in cache.entries():
            rates[entry.kind].append(entry.seconds / max(entry.work, 1e-9))
        rate = {
            kind: float(np.median(rates[kind])) if kind in rates else TYPICAL_SECONDS[kind] for kind in TYPICAL_SECONDS
        }
        return {step.key: 0.0 if cache.has(step.key) else rate[step.kind] * step.work for step in self.steps}


def make_plan(settings: Study, *, device: str = "auto", imports: bool = True) -> Plan:
    """Find and check what a study names, and lay out its steps.

    Parameters
    ----------
    settings : Study
        From :func:`~neurocompare.study.grammar.load_study`.
    device : str
        Where networks run.
    imports : bool
        False leaves out networks that an import path names.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        If anything that the study names does not exist or cannot be used.
    """
    settings, left_out = without_absent(settings)
    not_imported = () if imports else tuple(m.name for m in settings.networks if is_import_path(m.name))
    known = [model for model in settings.models if model.name not in not_imported]
    networks = tuple(identify_networks(settings.model_copy(update={"models": known}), device))
    stimuli, rendering = plan_stimuli(settings)
    views = settings.stimuli.azimuths_deg if stimuli is None else stimuli.table["azimuth_deg"].unique()
    of_views = stimuli is None or has_views(stimuli)
    if views is not None and of_views:
        check_azimuths(sorted(views))
    n_stimuli = int(rendering.work) if stimuli is None else len(stimuli)
    if stimuli is None:
        shown = _key("shown", rendering.key, settings.stimuli.background)
    else:
        shown = stimuli.checksum() if needs_images(settings) else stimuli.table_checksum()
    recording = patch_rdms = recorded = None
    n_regions = 0
    match settings.recording.kind:
        case "simulated":
            if not of_views:
                raise InputError(
                    "a recording is simulated for identities in several views, which these stimuli are not; give "
                    "recording.source, recording.rdms, or recording.source = 'none'"
                )
            n_regions = len(settings.recording.regions or SIMULATED_REGIONS)
            recorded = _key("simulated", shown, settings.recording.model_dump(mode="json"), settings.seed)
        case "file":
            recording = obtain_recording(settings, stimuli)
            recorded, n_regions = recording_checksum(recording), len(np.unique(recording["region"]))
        case "rdms":
            patch_rdms = brought_patches(settings, stimuli)
            recorded, n_regions = _rdms_checksum(patch_rdms), patch_rdms.n_rdm
    layers = tuple(brought_layers(settings, stimuli)) if settings.brought else ()
    settings = _with_factors(settings, stimuli, patch_rdms)
    values, comparison = values_of(settings), settings.comparison
    wanted, drawings = _wanted(settings, of_views=of_views)
    needed = {name for measure, _ in wanted for name in measure.needs}
    needed |= {name for drawing in drawings for name in needs_of(drawing.draw)} | {"layer_rdms"}
    kinds = tuple(kind for kind in LAYER_RDMS if kind in needed) if networks else ()
    requests = {
        kind: [repr(request) for request in LAYER_RDMS[kind](values["dissimilarity"], values["normalize"])]
        for kind in kinds
    }
    n_passes = sum(map(len, requests.values()))
    presentations = tuple(
        Step(
            "presentation",
            network.label,
            _key("presentation", shown, network.identity, requests),
            n_passes * n_stimuli * len(network.layers),
        )
        for network in networks
    )
    rdms = [values["dissimilarity"], values["normalize"]]
    n_layers = sum(len(network.layers) for network in networks) + sum(one.n_rdm for one in layers)
    known = {
        "stimuli": shown,
        "simulated": recorded,
        "hypotheses": [hypothesis.model_dump(mode="json") for hypothesis in settings.hypotheses],
        "training_curves": [network.training for network in networks],
        **{kind: [step.key for step in presentations] for kind in kinds},
        **{name: _plain(value) for name, value in values.items()},
    }
    if layers:
        known["layer_rdms"] = [*known.get("layer_rdms", []), *map(_rdms_checksum, layers)]
    patches = None
    if recorded is not None:
        patches = Step("patches", "RDMs of the patches", _key("patches", shown, recorded, rdms), n_regions)
        known["patches"] = patches.key
        if patch_rdms is None:
            known["recording"] = recorded
    planned: list[PlannedMeasure] = []
    fits = None
    for measure, chosen in wanted:
        if "fit_result" in measure.needs and fits is None:
            # Noise ceilings are measured before: fits are tested against them.
            of_fits = ("ceilings", "recording", "patches", "layer_rdms", "seed")
            inference = {name: known[name] for name in of_fits if name in known}
            work = n_layers * n_regions * (comparison.n_draws + 200) * n_stimuli
            key = _key("inference", inference, comparison.inference())
            fits = Step("inference", f"fits of {n_layers} layers to the patches", key, work)
            known["fit_result"] = fits.key
        step = _plan_measure(measure, chosen, networks, known, n_stimuli)
        planned.append(step)
        made = [one.key for one in step.steps.values()]
        known |= {table.name: made for table in measure.all_tables}
        known["tables"] = [*known.get("tables", []), *made]
    figures = [
        PlannedFigure(drawing, given, Step("figure", f"figure {drawing.name}", _key("figure", drawing.name, drawn), 1))
        for drawing in drawings
        for given in [tuple(name for name in needs_of(drawing.draw) if name in known)]
        for drawn in [{name: known[name] for name in given}]
        if all(name in known for name, must in needs_of(drawing.draw).items() if must)
    ]
    return Plan(
        settings,
        networks,
        stimuli,
        recording,
        rendering,
        presentations,
        kinds,
        patches,
        fits,
        tuple(planned),
        tuple(figures),
        _plan_trainings(networks),
        not_imported,
        layers,
        patch_rdms,
        left_out,
    )


def needs_images(settings: Study) -> bool:
    """Whether anything of a study looks at images: networks do, and measures of stimuli that are asked for."""
    asked = [measure for measure, _ in settings.asked() if measure.optional and not measure.per_network]
    return bool(settings.networks) or any("stimuli" in measure.needs for measure in asked)


def _with_factors(settings: Study, stimuli: StimulusSet | None, patch_rdms: RDMs | None) -> Study:
    """The study with what is resampled named: as asked, else what is there."""
    comparison = settings.comparison
    if comparison.resample is not None:
        asked = [comparison.resample] if isinstance(comparison.resample, str) else comparison.resample
        if "neuron" in asked and patch_rdms is not None:
            raise InputError(
                "comparison.resample: neurons cannot be resampled, as the recording brings its RDMs alone; leave "
                "'neuron' out"
            )
        return settings
    if stimuli is None:
        factors: tuple[str, ...] = ("identity", "neuron")
    else:
        shown = build_rdms(
            np.zeros((1, len(stimuli) * (len(stimuli) - 1) // 2)), patterns=stimuli.table, rdms={}, dissimilarity=""
        )
        given = None if patch_rdms is not None else {"": np.zeros(0)}
        factors = default_factors(shown, shown if patch_rdms is None else patch_rdms, recording=given)
    return settings.model_copy(update={"comparison": comparison.model_copy(update={"resample": list(factors)})})


def _rdms_checksum(rdms: RDMs) -> str:
    """SHA-256 (hex) of RDMs and of what they are called."""
    digest = hashlib.sha256(np.ascontiguousarray(rdms.dissimilarities).tobytes())
    digest.update(rdm_table(rdms).to_csv().encode() + pattern_table(rdms).to_csv().encode())
    return digest.hexdigest()


def values_of(settings: Study) -> dict[str, Any]:
    """Values that measures may need, by the names in ``measures.declaration.VALUES``."""
    comparison = settings.comparison
    return {
        "seed": settings.seed,
        "background": settings.stimuli.background,
        "image_size_px": settings.stimuli.size,
        "comparison": comparison,
        "dissimilarity": comparison.dissimilarity,
        "normalize": none_as_none(comparison.normalize),
        "method": comparison.method,
        "control": tuple(comparison.control),
        "n_splits": comparison.n_splits,
        "correction": comparison.correction,
    }


def _wanted(settings: Study, *, of_views: bool = True) -> tuple[list[tuple[Measure, Section | None]], list[Drawing]]:
    """Measures whose needs a study meets, with their settings, and the figures that may be drawn.

    Raises
    ------
    InputError
        If the study asks for a measure and lacks what that needs.
    """
    there = {*THINGS, *LAYER_RDMS, *VALUES}
    for name, is_there in (
        ("training_curves", any(model.training is not None for model in settings.models)),
        ("snapshots", any(model.training is not None and model.training.keep_epochs for model in settings.models)),
        ("hypotheses", bool(settings.hypotheses)),
        ("recording", settings.recording.kind in ("simulated", "file")),
        ("patches", settings.recording.kind != "none"),
        ("layer_rdms", bool(settings.models)),
        ("fit_result", bool(settings.models) and settings.recording.kind != "none"),
        *((name, bool(settings.networks)) for name in ("network", "layers", "part_rdms")),
        *((name, bool(settings.networks) and of_views) for name in ("view_rdms", "raw_view_rdms")),
    ):
        if not is_there:
            there.remove(name)
    wanted, drawings = [], []
    for measure, chosen in settings.asked():
        lacking = [name for name, must in measure.needs.items() if must and name not in there]
        if measure.of_views and not of_views:
            lacking.append("identities in several views")
        if lacking and measure.optional:
            raise InputError(f"outputs.{measure.key} needs {lacking[0]}, which this study does not have")
        if lacking:
            continue
        if measure.compute is not None:
            wanted.append((measure, chosen))
        there |= {table.name for table in measure.all_tables}
        drawings += [drawing for drawing in measure.figures if drawing.when(settings.facts())]
    return wanted, drawings


def _plan_measure(
    measure: Measure,
    chosen: Section | None,
    networks: Sequence[NetworkRecord],
    known: Mapping[str, Any],
    n_stimuli: int,
) -> PlannedMeasure:
    """The steps of a measure; their keys hold what ``compute`` is given and nothing else."""
    given = tuple(name for name in measure.needs if name in known)
    depends: dict[str, Any] = {name: known[name] for name in given}
    if chosen is not None:
        depends["settings"] = chosen.model_dump(mode="json")
    if measure.depends is not None:
        depends["files"] = measure.depends(chosen, known["seed"])
    work = measure.work(chosen, n_stimuli)
    title = measure.key.replace("_", " ")
    if not measure.per_network:
        return PlannedMeasure(
            measure, chosen, given, {None: Step(measure.key, title, _key(measure.key, depends), work)}
        )
    steps = {
        place: Step(
            measure.key,
            f"{title}: {network.label}",
            _key(measure.key, depends, network.identity),
            work * max(1, len(network.layers)) * max(1, len(_epochs(network)) * ("snapshots" in measure.needs)),
        )
        for place, network in enumerate(networks)
        if "snapshots" not in measure.needs or _epochs(network)
    }
    return PlannedMeasure(measure, chosen, given, steps)


def _plain(value: Any) -> Any:
    """A value of a study as JSON holds it."""
    return value.model_dump(mode="json") if isinstance(value, Section) else value


def _epochs(network: NetworkRecord) -> list[int]:
    """Epochs at which a network is looked at in the course of its training."""
    return [] if network.model.training is None else network.model.training.keep_epochs


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
            dataset_key(training, image_size(network.model)),
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
        if not needs_images(settings):
            return read_own_stimuli(settings, with_images=False), None
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
