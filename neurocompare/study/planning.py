"""The plan of a study: its steps, their cache keys, and their expected duration.

Making a plan reads and checks everything that the study names (stimuli, networks, layers, recording) without long
computations. The key of a step is the hash of its inputs; keys of earlier steps stand for their results.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError
from neural_data.stimuli import StimulusSet
from neurocompare.comparison.inference import default_factors
from neurocompare.measures import MEASURES
from neurocompare.measures.comparison import INFERENCE
from neurocompare.measures.declaration import LAYER_RDMS, NETWORK_THINGS, Drawing, Measure, Things, Values, needs_of
from neurocompare.measures.settings import Section, none_as_none
from neurocompare.models.datasets import BUILT_IN_DATASETS
from neurocompare.models.registry import is_import_path
from neurocompare.progress_lines import Progress
from neurocompare.representations.rdms import LAYER, NETWORK, build_rdms, pattern_table, rdm_table
from neurocompare.representations.viewpoint import check_azimuths
from neurocompare.study.cache import Cache, Json, open_cache, step_key
from neurocompare.study.grammar import BUILT_IN_STIMULI, Study, Training
from neurocompare.study.left_out import without_absent
from neurocompare.study.networks import NetworkRecord, identify_networks
from neurocompare.study.recipes import dataset_key, image_size, recipe_of
from neurocompare.study.steps import (
    brought_layers,
    brought_patches,
    has_views,
    planned_set,
    read_own_stimuli,
    read_study_recording,
    render_stimuli,
    simulated_regions,
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
    "obtain_stimuli",
    "plan_stimuli",
    "rdms_checksum",
    "recording_checksum",
    "values_of",
]

WRITTEN_STIMULI = 1000
"""RDMs of layers over all stimuli are computed for up to so many of them if nothing compares them with other RDMs."""
_NOT_WRITTEN = (
    "The RDMs of layers over all {:,} stimuli are not computed, since nothing compares them and each has {:.1f} "
    "million dissimilarities; compute_model_rdms computes them."
)
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
"""Seconds per unit of a step's work, on one core of 2024; used until the cache has measured steps of this type."""
TYPICAL_IMAGES = 50_000
"""Assumed number of images of a data set whose size is known only when it is read."""


@dataclass(frozen=True)
class Step:
    """One step of a study.

    Parameters
    ----------
    kind : str
        A key of :data:`TYPICAL_SECONDS`: the key of a measure, or ``dataset``, ``training``, ``stimuli``,
        ``presentation``, ``patches``, ``inference`` or ``figure``.
    label : str
        Name for users.
    key : str
        Cache key of its result.
    work : float
        Amount of work, in a unit that depends on ``kind``.
    """

    kind: str
    label: str
    key: str
    work: float


class PlannedTraining(NamedTuple):
    """Training of a network, and the steps that produce its weights.

    Parameters
    ----------
    settings : Training
        Training settings in the study file.
    dataset : Step
        The step that reads or renders the images.
    training : Step
        The step that trains.
    """

    settings: Training
    dataset: Step
    training: Step


@dataclass(frozen=True)
class PlannedMeasure:
    """A measure with its settings and its steps.

    Parameters
    ----------
    measure : Measure
        What is computed.
    settings : Section or None
        Settings in the study file; None if the measure has none.
    given : tuple of str
        Names of its inputs, except those of one network.
    by_network : mapping of int to Step
        Its steps by position of the network, if it is computed once per network.
    whole : Step or None
        Its only step, if it is computed once.
    """

    measure: Measure
    settings: Section | None
    given: tuple[str, ...]
    by_network: Mapping[int, Step] = field(default_factory=dict)
    whole: Step | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """Its steps in the order of the networks."""
        return (*self.by_network.values(), *([] if self.whole is None else [self.whole]))


class PlannedFigure(NamedTuple):
    """A figure, its inputs, and the step that draws it.

    Parameters
    ----------
    drawing : Drawing
        How it is drawn, and its caption.
    given : tuple of str
        Names of its inputs.
    step : Step
        The step that draws it.
    """

    drawing: Drawing
    given: tuple[str, ...]
    step: Step


@dataclass(frozen=True)
class Plan:
    """A study with its inputs found and checked, and its steps.

    Parameters
    ----------
    settings : Study
        The resolved study.
    networks : tuple of NetworkRecord
        In the order of the study file.
    stimuli : StimulusSet or Step
        The set on disk, or the step that renders it.
    recording : xarray.DataArray or None
        None if it is simulated, or if there is none.
    presentations : tuple of Step
        One per network.
    kinds : tuple of str
        RDMs of layers computed in presentations, see ``measures.declaration.LAYER_RDMS``.
    patches, fits : Step or None
        RDMs of the patches, and the fits of all layers to them; None without a recording or layers.
    measures : tuple of PlannedMeasure
        In the order of computation.
    figures : tuple of PlannedFigure
        In the order of drawing.
    trainings : dict of int to PlannedTraining
        Networks that the study trains, by position in ``networks``.
    not_imported : tuple of str
        Import paths of networks that were left out, so that their code was not run.
    layers : tuple of rsatoolbox.rdm.RDMs
        RDMs of models from files, with the descriptors of layers.
    patch_rdms : rsatoolbox.rdm.RDMs or None
        RDMs of the recording from a file.
    left_out : tuple of str
        Notes on what was left out of the study because files are missing.
    """

    settings: Study
    networks: tuple[NetworkRecord, ...]
    stimuli: StimulusSet | Step
    recording: xr.DataArray | None
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
        trainings = [planned.training for planned in self.trainings.values()]
        rendering = [self.stimuli] if isinstance(self.stimuli, Step) else []
        compared = [step for step in (self.patches, self.fits) if step is not None]
        measures = [step for planned in self.measures for step in planned.steps]
        figures = [planned.step for planned in self.figures]
        return (*datasets.values(), *trainings, *rendering, *self.presentations, *compared, *measures, *figures)

    def expected_seconds(self, cache: Cache) -> dict[str, float]:
        """Expected duration of every step by its key, from durations in the cache; 0 for cached steps."""
        rates = defaultdict(list)
        for entry in cache.entries():
            rates[entry.kind].append(entry.seconds / max(entry.work, 1e-9))
        rate = {
            kind: float(np.median(rates[kind])) if kind in rates else TYPICAL_SECONDS[kind] for kind in TYPICAL_SECONDS
        }
        return {step.key: 0.0 if cache.has(step.key) else rate[step.kind] * step.work for step in self.steps}


def make_plan(settings: Study, *, device: str = "auto", imports: bool = True, cache: Cache | None = None) -> Plan:
    """Find and check the inputs of a study, and list its steps.

    Parameters
    ----------
    settings : Study
        From :func:`~neurocompare.study.grammar.load_study`.
    device : str
        Device of the networks.
    imports : bool
        False leaves out networks named by an import path.
    cache : Cache or None
        Cache for the test passes through networks; None: the passes are always made.

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
    imported = [model for model in settings.models if model.name not in not_imported]
    networks = tuple(identify_networks(settings.model_copy(update={"models": imported}), device, cache=cache))
    stimuli = plan_stimuli(settings)
    views = settings.stimuli.azimuths_deg if isinstance(stimuli, Step) else stimuli.table["azimuth_deg"].unique()
    of_views = isinstance(stimuli, Step) or has_views(stimuli)
    if views is not None and of_views:
        check_azimuths(sorted(views))
    if isinstance(stimuli, Step):
        n_stimuli, shown = int(stimuli.work), _key("shown", stimuli.key, settings.stimuli.background)
    else:
        n_stimuli = len(stimuli)
        shown = stimuli.checksum() if needs_images(settings) else stimuli.table_checksum()
    recorded = _find_recording(settings, stimuli, shown, of_views=of_views)
    layers = tuple(brought_layers(settings, None if isinstance(stimuli, Step) else stimuli))
    _refuse_equal_names(networks, layers)
    settings = _with_factors(settings, stimuli, recorded.patch_rdms)
    values = values_of(settings)
    wanted, drawings = _wanted(settings, of_views=of_views)
    needed = {name for measure, chosen in wanted for name in measure.needed(chosen)}
    needed |= {name for drawing in drawings for name in needs_of(drawing.draw)} - {"layer_rdms"}
    if recorded.key is not None or n_stimuli <= WRITTEN_STIMULI or not needed & set(LAYER_RDMS):
        needed.add("layer_rdms")
    elif networks and "layer_rdms" not in needed:
        left_out = (*left_out, _NOT_WRITTEN.format(n_stimuli, n_stimuli * (n_stimuli - 1) / 2e6))
    kinds = tuple(kind for kind in LAYER_RDMS if kind in needed) if networks else ()
    presentations = _plan_presentations(networks, kinds, values, shown, n_stimuli)
    known: dict[str, Json] = {
        "stimuli": shown,
        "simulated": recorded.key,
        "hypotheses": [hypothesis.model_dump(mode="json") for hypothesis in settings.hypotheses],
        "training_curves": [_named_training(network) for network in networks],
        **{kind: [step.key for step in presentations] for kind in kinds},
        **{name: _plain(value) for name, value in vars(values).items()},
    }
    if layers:
        presented = [step.key for step in presentations] if "layer_rdms" in kinds else []
        known["layer_rdms"] = [*presented, *map(rdms_checksum, layers)]
    patches = None
    if recorded.key is not None:
        rdms = [values.dissimilarity, values.normalize]
        key = _key("patches", shown, recorded.key, rdms)
        patches = Step("patches", "RDMs of the patches", key, recorded.n_regions)
        known["patches"] = patches.key
        if recorded.patch_rdms is None:
            known["recording"] = recorded.key
    n_layers = sum(len(network.layers) for network in networks) + sum(one.n_rdm for one in layers)
    n_fits = n_layers * recorded.n_regions * (settings.comparison.n_draws + 200) * n_stimuli
    fits: Step | None = None
    measures: list[PlannedMeasure] = []
    made: list[str] = []
    for measure, chosen in wanted:
        if "fit_result" in measure.needs and fits is None:
            # Noise ceilings are computed first: fits are tested against them.
            of_fits = ("ceilings", "recording", "patches", "layer_rdms", "seed")
            inference = {name: known[name] for name in of_fits if name in known}
            key = _key("inference", inference, settings.comparison.model_dump(mode="json", include={*INFERENCE}))
            fits = Step("inference", f"fits of {n_layers} layers to the patches", key, n_fits)
            known["fit_result"] = fits.key
        planned = _plan_measure(measure, chosen, networks, known, n_stimuli, settings.seed)
        measures.append(planned)
        keys = [step.key for step in planned.steps]
        made += keys
        known |= {**{table.name: keys for table in measure.all_tables}, "tables": [*made]}
    return Plan(
        settings=settings,
        networks=networks,
        stimuli=stimuli,
        recording=recorded.recording,
        presentations=presentations,
        kinds=kinds,
        patches=patches,
        fits=fits,
        measures=tuple(measures),
        figures=tuple(_plan_figures(drawings, known)),
        trainings=_plan_trainings(networks),
        not_imported=not_imported,
        layers=layers,
        patch_rdms=recorded.patch_rdms,
        left_out=left_out,
    )


class _Recorded(NamedTuple):
    """Neural data of a study: a recording, RDMs from a file, or neither."""

    recording: xr.DataArray | None = None
    patch_rdms: RDMs | None = None
    key: str | None = None
    n_regions: int = 0


def _find_recording(settings: Study, stimuli: StimulusSet | Step, shown: str, *, of_views: bool) -> _Recorded:
    """The recording or RDMs of a study, read and checked; a simulated recording is identified by its key."""
    there = None if isinstance(stimuli, Step) else stimuli
    match settings.recording.kind:
        case "simulated":
            _refuse_simulation_without_views(of_views)
            key = _key("simulated", shown, settings.recording.model_dump(mode="json"), settings.seed)
            return _Recorded(key=key, n_regions=len(simulated_regions(settings)))
        case "file":
            recording = read_study_recording(settings, there)
            n_regions = len(np.unique(recording["region"]))
            return _Recorded(recording, key=recording_checksum(recording), n_regions=n_regions)
        case "rdms":
            rdms = brought_patches(settings, there)
            return _Recorded(patch_rdms=rdms, key=rdms_checksum(rdms), n_regions=rdms.n_rdm)
        case "none":
            return _Recorded()
        case kind:
            raise ValueError(f"no kind of recording {kind!r}")


def _refuse_simulation_without_views(of_views: bool) -> None:
    if not of_views:
        raise InputError(
            "a recording can be simulated only for identities in several views, which these stimuli do not have; give "
            "recording.source, recording.rdms, or recording.source = 'none'"
        )


def needs_images(settings: Study) -> bool:
    """Whether a study needs images: for networks, simulated patches, or requested measures of stimuli."""
    asked = [measure for measure, _ in settings.asked() if measure.optional and not measure.per_network]
    simulated = settings.recording.kind == "simulated" and settings.recording.simulation == "image"
    return bool(settings.networks) or simulated or any("stimuli" in measure.needs for measure in asked)


def _with_factors(settings: Study, stimuli: StimulusSet | Step, patch_rdms: RDMs | None) -> Study:
    """The study with its resampling factors: as requested, else the default for its data."""
    comparison = settings.comparison
    if comparison.resample is not None:
        asked = [comparison.resample] if isinstance(comparison.resample, str) else comparison.resample
        if "neuron" in asked and patch_rdms is not None:
            raise InputError(
                "comparison.resample: neurons cannot be resampled, because the recording consists of RDMs; leave "
                "'neuron' out"
            )
        return settings
    if isinstance(stimuli, Step):
        factors: tuple[str, ...] = ("identity", "neuron")
    else:
        shown = build_rdms(
            np.zeros((1, len(stimuli) * (len(stimuli) - 1) // 2)), patterns=stimuli.table, rdms={}, dissimilarity=""
        )
        given: dict[str, pd.DataFrame | np.ndarray] | None = None if patch_rdms is not None else {"": np.zeros(0)}
        factors = default_factors(shown, shown if patch_rdms is None else patch_rdms, recording=given)
    return settings.model_copy(update={"comparison": comparison.model_copy(update={"resample": list(factors)})})


def rdms_checksum(rdms: RDMs) -> str:
    """SHA-256 (hex) of RDMs, their descriptors and their dissimilarity measure."""
    digest = hashlib.sha256(np.ascontiguousarray(rdms.dissimilarities).tobytes())
    digest.update(str(rdms.dissimilarity_measure).encode())
    digest.update(rdm_table(rdms).to_csv().encode() + pattern_table(rdms).to_csv().encode())
    return digest.hexdigest()


def values_of(settings: Study) -> Values:
    """Values of a study that measures can use."""
    comparison = settings.comparison
    return Values(
        seed=settings.seed,
        background=settings.stimuli.background,
        image_size_px=settings.stimuli.size,
        comparison=comparison,
        dissimilarity=comparison.dissimilarity,
        normalize=none_as_none(comparison.normalize),
        method=comparison.method,
        control=tuple(comparison.control),
        n_splits=comparison.n_splits,
        correction=comparison.correction,
    )


def _wanted(settings: Study, *, of_views: bool = True) -> tuple[list[tuple[Measure, Section | None]], list[Drawing]]:
    """Measures whose inputs a study has, with their settings, and the figures that can be drawn.

    Raises
    ------
    InputError
        If the study requests a measure and lacks one of its inputs.
    """
    there = {*Things.names(), *Values.names(), *LAYER_RDMS, *NETWORK_THINGS}
    for name, is_there in (
        ("training_curves", any(model.training is not None for model in settings.models)),
        ("snapshots", any(model.training is not None and model.training.keep_epochs for model in settings.models)),
        ("hypotheses", bool(settings.hypotheses)),
        ("recording", settings.recording.kind in ("simulated", "file")),
        ("patches", settings.recording.kind != "none"),
        ("layer_rdms", bool(settings.models)),
        ("fit_result", bool(settings.models) and settings.recording.kind != "none"),
        *((name, bool(settings.networks)) for name in ("network", "layers", "distance_rdms", "part_rdms")),
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


def _plan_presentations(
    networks: Sequence[NetworkRecord], kinds: Sequence[str], values: Values, shown: str, n_stimuli: int
) -> tuple[Step, ...]:
    """The step of each network that presents the stimuli and computes RDMs of its layers."""
    requests: dict[str, Json] = {
        kind: [repr(request) for request in LAYER_RDMS[kind](values.dissimilarity, values.normalize)] for kind in kinds
    }
    n_passes = sum(len(LAYER_RDMS[kind](values.dissimilarity, values.normalize)) for kind in kinds)
    return tuple(
        Step(
            "presentation",
            network.label,
            _key("presentation", shown, network.fingerprint, requests),
            n_passes * n_stimuli * len(network.layers),
        )
        for network in networks
    )


def _plan_figures(drawings: Sequence[Drawing], known: Mapping[str, Json]) -> Iterator[PlannedFigure]:
    """The steps of the figures whose required inputs are available."""
    for drawing in drawings:
        needs = needs_of(drawing.draw)
        if all(name in known for name, must in needs.items() if must):
            given = {name: known[name] for name in needs if name in known}
            step = Step("figure", f"figure {drawing.name}", _key("figure", drawing.name, given), 1)
            yield PlannedFigure(drawing, tuple(given), step)


def _plan_measure(
    measure: Measure,
    chosen: Section | None,
    networks: Sequence[NetworkRecord],
    known: Mapping[str, Json],
    n_stimuli: int,
    seed: int,
) -> PlannedMeasure:
    """The steps of a measure; their keys hash exactly the inputs of ``compute``."""
    depends = {name: known[name] for name in measure.needed(chosen) if name in known}
    given = tuple(depends)
    if chosen is not None:
        depends["settings"] = chosen.model_dump(mode="json")
    if measure.depends is not None:
        depends["files"] = measure.depends(chosen, seed)
    work = measure.work(chosen, n_stimuli)
    title = measure.key.replace("_", " ")
    if not measure.per_network:
        return PlannedMeasure(measure, chosen, given, whole=Step(measure.key, title, _key(measure.key, depends), work))
    steps = {
        place: Step(
            measure.key,
            f"{title}: {network.label}",
            _key(measure.key, depends, network.fingerprint),
            work * max(1, len(network.layers)) * max(1, len(_epochs(network)) * ("snapshots" in measure.needs)),
        )
        for place, network in enumerate(networks)
        if "snapshots" not in measure.needs or _epochs(network)
    }
    return PlannedMeasure(measure, chosen, given, by_network=steps)


def _plain(value: Section | Json) -> Json:
    """A value of a study as JSON holds it."""
    return value.model_dump(mode="json") if isinstance(value, Section) else value


def _named_training(network: NetworkRecord) -> Json:
    """Inputs of a network's learning curve: its training and its names in tables; None if it is not trained."""
    if network.training is None:
        return None
    return [network.training.key, network.model.shown_as, network.regime, network.seed]


def _refuse_equal_names(networks: Sequence[NetworkRecord], layers: Sequence[RDMs]) -> None:
    """Refuse equal names: tables, tests and figures identify layers by the names of networks and layers."""
    entries = [
        pd.DataFrame(
            [
                (network.model.shown_as, network.regime, network.seed, layer, place)
                for place, layer in enumerate(network.layers)
            ],
            columns=list(LAYER),
        )
        for network in networks
    ]
    entries += [rdm_table(rdms)[list(LAYER)] for rdms in layers]
    if not entries:
        return
    table = pd.concat([rows.assign(entry=number) for number, rows in enumerate(entries)], ignore_index=True)
    # Within one network, a layer and its pooled map have one layer_index.
    by_entry = table.drop_duplicates([*NETWORK, "layer_index", "entry"])
    for name, rows in (("layer", table), ("layer_index", by_entry)):
        twice = rows[rows.duplicated([*NETWORK, name])]
        if len(twice):
            first = twice.iloc[0]
            raise InputError(
                f"{first['model']}, {first['regime']}, seed {first['seed']} has two layers of the same {name} "
                f"({first[name]}), perhaps because two models have the same name; give each its own name or "
                "regime (name, called, regime)"
            )


def _epochs(network: NetworkRecord) -> list[int]:
    """Epochs of a network's training after which it is measured."""
    return [] if network.training is None else network.training.settings.keep_epochs


def _plan_trainings(networks: Sequence[NetworkRecord]) -> dict[int, PlannedTraining]:
    """The steps of all networks that are trained; networks of one data set share the step that reads it."""
    planned = {}
    for place, network in enumerate(networks):
        if network.training is None:
            continue
        training = network.training.settings
        n_images = training.n_images or TYPICAL_IMAGES
        name = Path(training.dataset).name if training.dataset not in BUILT_IN_DATASETS else training.dataset
        dataset = Step(
            "dataset",
            f"training images {name}",
            dataset_key(training, image_size(network.model)),
            n_images,
        )
        work = n_images * recipe_of(training).epochs
        step = Step("training", f"train {network.label}", network.training.key, work)
        planned[place] = PlannedTraining(training, dataset, step)
    return planned


def plan_stimuli(settings: Study) -> StimulusSet | Step:
    """The stimuli that a study has on disk, or the step that renders them.

    Raises
    ------
    InputError
        If there are no such stimuli.
    """
    chosen = settings.stimuli
    if chosen.source not in BUILT_IN_STIMULI:
        if not needs_images(settings):
            return read_own_stimuli(settings, with_images=False)
        if settings.recording.kind == "simulated":
            # Checked before images are needed, which a set without views may lack.
            _refuse_simulation_without_views(has_views(read_own_stimuli(settings, with_images=False)))
        return with_background(read_own_stimuli(settings).decode(), settings)
    n_stimuli = planned_set(settings).n_images
    about = chosen.model_dump(mode="json", exclude={"images", "background"})
    return Step("stimuli", f"render {n_stimuli} stimuli", _key("stimuli", about, settings.seed), n_stimuli)


def obtain_stimuli(settings: Study, *, n_jobs: int, progress: Progress | None = None) -> StimulusSet:
    """Stimuli of a study: read, or rendered once and then taken from the cache.

    Parameters
    ----------
    settings : Study
        The study, for its section ``[stimuli]``.
    n_jobs : int
        Worker processes.
    progress : callable or None
        Called when rendering starts.

    Returns
    -------
    StimulusSet
    """
    stimuli = plan_stimuli(settings)
    if not isinstance(stimuli, Step):
        return stimuli
    if progress is not None:
        progress(stimuli.label, 0.0)
    rendered = open_cache().obtain(
        stimuli.key,
        lambda: render_stimuli(settings, n_jobs=n_jobs),
        kind=stimuli.kind,
        label=stimuli.label,
        work=stimuli.work,
    )
    return with_background(rendered, settings)


def recording_checksum(recording: xr.DataArray) -> str:
    """SHA-256 (hex) of a recording's values, of its coordinates, and of its attributes, such as the units."""
    digest = hashlib.sha256(np.ascontiguousarray(recording.to_numpy()).tobytes())
    for name in sorted(map(str, recording.coords)):
        digest.update(name.encode() + json.dumps(recording[name].to_numpy().tolist(), default=str).encode())
    about = {str(name): np.asarray(value).tolist() for name, value in recording.attrs.items()}
    digest.update(json.dumps(about, sort_keys=True, default=str).encode())
    return digest.hexdigest()


def _key(kind: str, *depends: Json) -> str:
    return step_key(kind, {str(number): value for number, value in enumerate(depends)})
