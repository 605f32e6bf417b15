"""The grammar of a study file: every key, its default and what it means, checked before any work starts.

Takes TOML (a file or a dict) and overrides; gives a :class:`Study`. Errors name the line and the
closest valid spelling. Nothing here reads stimuli, networks or recordings.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, get_args

from pydantic import BaseModel, Field, ValidationError, ValidationInfo, create_model, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from neural_data.errors import InputError, closest
from neural_data.formats.bounds import one_line, read_bytes
from neural_data.resizing import ASPECTS, INTERPOLATIONS
from neural_data.simulation import KINDS
from neurocompare.comparison.hypothesis import Hypothesis
from neurocompare.measures import MEASURES
from neurocompare.measures.comparison import Comparison, without_repeats
from neurocompare.measures.declaration import Facts, Measure
from neurocompare.measures.settings import FilePath, MemberOf, Name, PathMark, Quick, Section
from neurocompare.models.regimes import REGIMES, regime_help
from neurocompare.models.registry import default_label
from neurocompare.stimuli.sets import SETS

__all__ = ["BUILT_IN_STIMULI", "BroughtReading", "Model", "Study", "Training", "load_study", "marks_of", "study_schema"]

Channels = Annotated[list[float], Field(min_length=1, max_length=3)]
Pair = Field(min_length=2, max_length=2)
BUILT_IN_STIMULI = tuple(one.name for one in SETS.values() if one.views_deg is not None)
SIDES = ("first", "second")
"""The two layers of a power analysis."""
BROUGHT = "brought"
"""Regime label of RDMs from a file, if neither the file nor the study names one."""
LARGEST_STUDY = 2_000_000
"""Largest size of a study file, bytes."""
_HEADER = re.compile(r"\s*(?P<array>\[)?\[\s*(?P<name>[\w\-.]+)\s*\]")
_KEY = re.compile(r"""\s*["']?(?P<name>[\w\-]+)["']?\s*=""")
_LABEL = re.compile(r"(constrained-)?(str|int|float|bool|none)|.*\[.*", re.DOTALL)
"""Parts of pydantic's error locations that mark alternatives of a setting, not keys."""


class Stimuli(Section):
    """``[stimuli]``: what is shown."""

    source: FilePath = Field(
        "faces", description="'faces' or 'objects' (rendered by the package), or the path of a stimulus set's CSV"
    )
    images: FilePath | None = Field(
        None, description="folder or zip of the images; looked for beside the CSV by default"
    )
    columns: dict[str, str] = Field(
        {}, description="columns of the CSV by role: {identity = 'person', azimuth_deg = 'yaw'}"
    )
    n_identities: Annotated[int, Quick(10)] = Field(
        25, ge=2, le=1000, description="identities to render, of each category; built-in stimuli"
    )
    categories: list[Name] | None = Field(None, min_length=1, description="categories to show; all by default")
    size: int = Field(224, ge=32, le=1024, description="height and width to render, pixels; built-in stimuli only")
    azimuths_deg: list[float] | None = Field(None, min_length=3, description="views to keep; all by default")
    hair: bool = Field(True, description="whether rendered faces have hair; built-in faces only")
    neck: bool = Field(True, description="whether rendered faces have a neck; built-in faces only")
    light_deg: float = Field(
        0.0,
        ge=-90,
        le=90,
        description="angle of the light beside the camera, degrees (AM: Chang et al. 2021); built-in faces only",
    )
    background: float | None = Field(
        None, ge=0, le=1, description="gray level that replaces the uniform background around the object"
    )


class Training(Section):
    """``[models.training]``: images and recipe for training a network, once per seed."""

    dataset: FilePath = Field(
        "symmetric",
        description="'symmetric', 'chiral', 'objects' or 'pose' (rendered); 'cifar10' or 'svhn' (fetched); or the path "
        "of a Parquet, a folder of class folders, or an official archive",
    )
    test: FilePath | None = Field(None, description="path of the test images; by default a tenth is held out")
    regime: Annotated[str, MemberOf(REGIMES)] = Field(
        "natural", description=f"what the task asks of reflections; {regime_help()}"
    )
    recipe: Literal["fast", "paper"] = Field("fast", description="'paper' is that of eLife 90256, 250 epochs")
    epochs: int | None = Field(None, ge=1, le=10_000, description="in place of the recipe's own")
    learning_rate: float | None = Field(None, gt=0, description="in place of the recipe's own, at start or peak")
    weight_decay: float | None = Field(None, ge=0, description="in place of the recipe's own")
    dropout: float | None = Field(None, ge=0, lt=1, description="share of units left out, in place of the recipe's own")
    shift: int | None = Field(None, ge=0, description="pixels, most that images are shifted by, in place of its own")
    precision: Literal["float32", "bfloat16"] = Field("float32", description="of products; bfloat16 is for new CPUs")
    n_images: int | None = Field(None, ge=20, description="images to render, or to take at random")
    data_seed: int = Field(0, ge=0, description="of rendering, splits and flips; equal for all networks by default")
    keep_epochs: list[Annotated[int, Field(ge=0)]] = Field(
        [], description="epochs at which index and fits are looked at too, for trajectories; 0 is the random start"
    )


class Shown(Section):
    """``[models.preprocessing]``: preprocessing of images; omitted keys keep the preprocessing of the weights."""

    size: Annotated[int, Field(ge=1)] | Annotated[list[Annotated[int, Field(ge=1)]], Pair] | None = Field(
        None, description="height and width that the network sees, pixels; or [height, width]"
    )
    crop_from: int | None = Field(None, ge=1, description="pixels of the shorter side, of which the centre is shown")
    aspect: Annotated[str, MemberOf(ASPECTS)] | None = Field(
        None, description="of images of another shape; " + "; ".join(f"{name!r}: {ASPECTS[name]}" for name in ASPECTS)
    )
    interpolation: Annotated[str, MemberOf(INTERPOLATIONS)] | None = Field(None, description="how pixels are resampled")
    mean: Channels | None = Field(None, description="subtracted from the network's channels")
    sd: Channels | None = Field(None, description="that the channels are divided by")
    value_range: Annotated[list[float], Pair] | None = Field(
        None, description="black and white before the mean is subtracted, such as [0, 255]"
    )
    channels: Literal["rgb", "bgr", "gray"] | None = Field(None, description="order of the channels that it takes")
    fill: Annotated[float, Field(ge=0, le=1)] | None = Field(None, description="gray level that aspect = 'pad' adds")
    transform: Name | None = Field(
        None,
        description="'package.module:callable' that takes a PIL image and gives (channels, height, width), in place of "
        "all others",
    )


class BroughtReading(TypedDict):
    """Arguments of ``read_rdms``."""

    variable: str | None
    match_by: str | None
    names: str | list[str] | None
    name_pattern: str | None
    average: str | list[str] | tuple[str, ...]


class BroughtRdms(Section):
    """Settings of a section that can take RDMs from a file instead of computing them."""

    rdms: FilePath | None = Field(
        None, description="file of RDMs: rsatoolbox HDF5, .npy, .npz, MATLAB or CSV; in place of what makes them"
    )
    variable: Name | None = Field(None, description="variable of that file, if several can be RDMs")
    match_by: Name | None = Field(None, description="descriptor or variable that names the stimuli in that file")
    names: Name | Annotated[list[Name], Field(min_length=1)] | None = Field(
        None, description="RDMs to take from that file, by their names; all by default"
    )
    name_pattern: Name | None = Field(None, description="descriptors in their names: '{region} | {subject}'")
    average: Name | Annotated[list[Name], Field(min_length=1)] | None = Field(
        None, description="descriptors to average them over, such as 'session'"
    )

    @model_validator(mode="after")
    def _settings_of_files_have_one(self) -> BroughtRdms:
        given = [name for name in BroughtRdms.model_fields if name != "rdms" and getattr(self, name) is not None]
        if given and self.rdms is None:
            raise ValueError(f"{given[0]} is a setting of rdms, but there are none; name their file, or remove it")
        return self

    @property
    def file(self) -> str:
        """Path of the file of RDMs."""
        if self.rdms is None:
            raise ValueError("there are no RDMs; rdms must be given")
        return self.rdms

    def reading(self) -> BroughtReading:
        """Arguments of ``read_rdms`` beyond the file and the stimuli."""
        return {
            "variable": self.variable,
            "match_by": self.match_by,
            "names": self.names,
            "name_pattern": self.name_pattern,
            "average": self.average or (),
        }


class Model(BroughtRdms):
    """``[[models]]``: a network and the selection of its layers; or RDMs from a file instead."""

    name: Name = Field(
        "", description="'cnn-small', 'torchvision:alexnet', 'timm:NAME' or 'package.module:callable'; a label of rdms"
    )
    layers: Name | Annotated[list[Name], Field(min_length=1)] = Field(
        "main",
        description="'main' (8 to 25 of a network's layers), 'all', names, or patterns: '*' stops at a dot, '**' does "
        "not",
    )
    regime: Name | None = Field(None, description="label of the training regime")
    seeds: list[Annotated[int, Field(ge=0)]] = Field([0], min_length=1, description="one network per seed")
    weights: FilePath | None = Field(
        None, description="checkpoint, or 'pretrained' for a zoo's own; '{seed}' in a path stands for the seed"
    )
    start: Literal["gaussian", "own"] | None = Field(
        None,
        description="start of the weights where none are given; by default gaussian for a network by name, and own for "
        "one of an import path, which keeps the weights it comes with",
    )
    preprocessing: Shown | None = Field(None, description="preprocessing of images; by default that of the weights")
    training: Training | None = Field(None, description="how to train the network, if there are no weights")
    called: Name | None = Field(None, description="name of the network in tables; by default its name here")
    only_with: FilePath | None = Field(
        None, description="file or folder without which the model is left out, with a note, and claims about it too"
    )

    @model_validator(mode="after")
    def _network_or_rdms(self) -> Model:
        if self.rdms is None and not self.name:
            raise ValueError("key 'name' is missing: give the name of a network, or rdms")
        if self.rdms is not None:
            unused = [
                name
                for name in ("layers", "seeds", "weights", "start", "preprocessing", "training", "called")
                if name in self.model_fields_set
            ]
            if unused:
                raise ValueError(f"{unused[0]} is a setting of networks, but this model has rdms; remove one")
        return self

    @model_validator(mode="after")
    def _trained_or_given(self) -> Model:
        if self.training is not None:
            if self.weights is not None:
                raise ValueError(f"{self.name} has both weights and training; give one of them")
            if self.regime == "untrained":
                raise ValueError(f"{self.name} is called untrained, but has training; remove one of them")
        return self

    @property
    def label(self) -> str | None:
        """Regime label of the networks, if the study names one."""
        return self.regime or (self.training.regime if self.training else None)

    @property
    def shown_as(self) -> str:
        """Name of the model in tables: its name, or that of its file of RDMs."""
        return self.called or self.name or Path(self.file).stem

    @property
    def shown_regime(self) -> str:
        """Regime in tables, for a network or for RDMs from a file without a regime."""
        if self.rdms is not None:
            return self.regime or BROUGHT
        return self.label or default_label(self.name, self.weights, self.start)


class Recording(BroughtRdms):
    """``[recording]``: a recording, a simulated recording, or RDMs of a recording."""

    source: FilePath = Field("simulated", description="'simulated', 'none' or the path of a recording")
    regions: list[Name] | None = Field(None, min_length=1, description="regions to keep or to simulate; all by default")
    n_neurons: Annotated[int, Quick(40)] = Field(100, ge=4, description="neurons per region; simulation only")
    n_repetitions: int = Field(10, ge=1, description="presentations of each stimulus; simulation only")
    simulation: Annotated[str, MemberOf(KINDS)] = Field(
        "image",
        description="how patches are simulated: 'image' puts identities where their measures or images do, so that "
        "networks can encode them; 'parametric' at random",
    )
    format: Name | None = Field(None, description="file format, if its content does not show it")
    stimulus: Name | None = Field(None, description="label of the file that names the stimulus")
    columns: dict[str, str | list[str]] = Field({}, description="columns of the file by role: {response = 'rate'}")
    variables: dict[str, str] = Field({}, description="variables of a MATLAB or HDF5 file: {responses = 'rates'}")
    region: Name | None = Field(None, description="region of the neurons, if the file names none")
    units: Name | None = Field(None, description="spikes/s, counts or normalized, if the file does not say")
    decimal: Literal[".", ","] | None = Field(None, description="decimal mark of a table, if it is ambiguous")
    missing: Literal["refuse", "drop_neurons", "drop_stimuli"] = Field(
        "refuse", description="treatment of neurons without a response to some stimulus"
    )
    window_ms: list[float] | None = Field(
        None, min_length=2, max_length=2, description="spikes are counted from, to; ms after stimulus onset"
    )
    bin_ms: float | None = Field(
        None,
        gt=0,
        description="width of time bins, ms, for analyses over time; other measures take the mean over the window",
    )
    step_ms: float | None = Field(
        None, gt=0, description="from the start of one time bin to that of the next, ms; by default bin_ms"
    )
    onset_bin: int | None = Field(None, ge=1, description="bin of stimulus onset in raster files that do not say it")

    @property
    def kind(self) -> str:
        """Type of recording: ``rdms``, ``none``, ``simulated`` or ``file``."""
        if self.rdms is not None:
            return "rdms"
        return self.source if self.source in ("none", "simulated") else "file"

    @model_validator(mode="after")
    def _recording_or_rdms(self) -> Recording:
        if self.rdms is not None and self.model_fields_set & {
            "source",
            "columns",
            "variables",
            "stimulus",
            "window_ms",
            "bin_ms",
            "step_ms",
            "onset_bin",
        }:
            raise ValueError("a recording has either rdms or a source with its settings; remove one")
        return self

    @model_validator(mode="after")
    def _steps_are_of_bins(self) -> Recording:
        if self.step_ms is not None and self.bin_ms is None:
            raise ValueError("step_ms is the step of time bins, but there are none; give bin_ms too")
        return self

    @field_validator("regions")
    @classmethod
    def _regions_are_distinct(cls, regions: list[str] | None) -> list[str] | None:
        return without_repeats(regions)

    @field_validator("window_ms")
    @classmethod
    def _window_opens_before_it_closes(cls, window_ms: list[float] | None) -> list[float] | None:
        if window_ms is not None and not window_ms[0] < window_ms[1]:
            raise ValueError("the window must close after it opens; write [from, to]")
        return window_ms


_options: Any = {measure.key: measure.option for measure in MEASURES.values() if measure.optional}
_Options: Any = create_model("_Options", __base__=Section, **_options)


class Outputs(_Options):
    """``[outputs]``: measures beyond fits and view tuning; each is ``true`` or a table of settings."""


class LayerOfModel(Section):
    """One layer of one network among ``[[models]]``."""

    model: Name = Field(description="name of an entry of [[models]]")
    layer: Name = Field(description="one layer, as 'neurocompare models NAME' lists it")
    regime: Name | None = Field(None, description="the entry's regime, where several entries have the name")
    seed: Annotated[int, Field(ge=0)] | None = Field(None, description="one of the entry's seeds; the first by default")


class Power(Section):
    """``[power]``: the sizes of experiment that ``neurocompare power`` simulates to distinguish two layers."""

    first: LayerOfModel = Field(description="the layer that simulated neurons read")
    second: LayerOfModel = Field(description="the layer to be distinguished from it")
    n_identities: list[Annotated[int, Field(ge=3)]] | None = Field(
        None, min_length=1, description="identities shown; 5, 10, 25 and 50 by default, as far as the stimuli go"
    )
    n_neurons: list[Annotated[int, Field(ge=4)]] = Field([30, 100, 190], min_length=1, description="neurons of a patch")
    n_repetitions: list[Annotated[int, Field(ge=1)]] = Field([10], min_length=1, description="of each stimulus")
    n_experiments: int = Field(100, ge=2, le=100_000, description="simulated experiments of each size")
    noise: float | None = Field(
        None,
        ge=0,
        description="standard deviation of one trial over that of a neuron's mean responses; that of the recording by "
        "default, 3 where there is none",
    )
    read_share: float = Field(0.1, gt=0, le=1, description="share of the layer's units that a neuron reads")
    alpha: float = Field(0.05, gt=0, lt=1, description="level of the two-sided test of the difference")
    target: float = Field(0.8, gt=0, lt=1, description="desired power")


class Study(Section):
    """A whole study file."""

    title: Name = Field("Model-brain comparison", description="title of the report")
    seed: int = Field(0, ge=0, description="of everything random; each step has its own stream")
    stimuli: Stimuli = Stimuli()
    models: list[Model] = Field([], description="networks and RDMs that are compared with the recording; may be none")
    recording: Recording = Recording()
    comparison: Comparison = Comparison()
    hypotheses: list[Hypothesis] = Field([], description="claims that are tested on the tables of the run")
    outputs: Outputs = Outputs()
    power: Power | None = Field(None, description="settings of 'neurocompare power'; not used by runs")

    @field_validator("power")
    @classmethod
    def _power_names_two_layers(cls, power: Power | None, checked: ValidationInfo) -> Power | None:
        if power is not None and "models" in checked.data:
            networks = [_network_of(getattr(power, side), side, checked.data["models"]) for side in SIDES]
            if networks[0] == networks[1] and power.first.layer == power.second.layer:
                raise ValueError("power.first and power.second are the same layer of the same network; name two")
        return power

    def power_networks(self) -> list[Model]:
        """The entries of ``power.first`` and ``power.second``, each with its one seed and its one layer."""
        sides = [getattr(self.power, side) for side in SIDES]
        return [_network_of(chosen, side, self.models) for chosen, side in zip(sides, SIDES, strict=True)]

    @property
    def networks(self) -> list[Model]:
        """Entries of the models that are networks."""
        return [model for model in self.models if model.rdms is None]

    @property
    def brought(self) -> list[Model]:
        """Entries of the models with RDMs from files."""
        return [model for model in self.models if model.rdms is not None]

    @model_validator(mode="after")
    def _there_is_something_to_do(self) -> Study:
        of_stimuli = [measure.key for measure in MEASURES.values() if measure.optional and measure.of_stimuli]
        if self.models or self.recording.kind not in ("none", "simulated"):
            return self
        if not any(getattr(self.outputs, key) for key in of_stimuli):
            raise ValueError(
                "a study needs [[models]], or your own [recording] to describe, or a measure of stimuli alone "
                f"({', '.join(f'outputs.{key}' for key in of_stimuli)}); this one has none of them"
            )
        return self

    @model_validator(mode="after")
    def _networks_are_distinct(self) -> Study:
        names = [(model.shown_as, model.label, model.weights, seed) for model in self.networks for seed in model.seeds]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"network {name[0]!r} with seed {name[3]} is listed twice; remove one")
        return self

    @model_validator(mode="after")
    def _measures_are_possible(self) -> Study:
        for measure, settings in self.asked():
            if measure.check is not None:
                measure.check(settings, self.facts())
        return self

    @model_validator(mode="after")
    def _hypotheses_have_names_of_their_own(self) -> Study:
        for name, count in Counter(hypothesis.name for hypothesis in self.hypotheses).items():
            if count > 1:
                raise ValueError(f"hypothesis {name!r} is declared twice; give each its own name")
        return self

    def facts(self) -> Facts:
        """Facts that are known before anything is computed."""
        kinds = [(model.shown_as, model.shown_regime) for model in self.networks]
        recording = self.recording
        can_have_bins = recording.kind == "file" or (recording.kind == "simulated" and recording.bin_ms is not None)
        return Facts(tuple(dict.fromkeys(kinds)), can_have_bins)

    def asked(self) -> list[tuple[Measure, Section | None]]:
        """Measures of the study with their settings: requested ones, and those of every study."""
        wanted = []
        for measure in MEASURES.values():
            settings = getattr(self.outputs, measure.key) if measure.optional else None
            if settings or not measure.optional:
                wanted.append((measure, None if measure.settings is None else settings))
        return wanted


def _network_of(chosen: LayerOfModel, side: str, models: list[Model]) -> Model:
    """The selected entry of the models, with one seed and one layer."""
    named = [model for model in models if model.name == chosen.model]
    if not named:
        raise ValueError(
            f"power.{side}.model = {chosen.model!r} is none of the models: "
            f"{closest(chosen.model, [model.name for model in models])}"
        )
    meant = [model for model in named if chosen.regime in (None, model.regime)]
    if len(meant) != 1:
        regimes = [model.regime for model in named]
        raise ValueError(
            f"power.{side} fits {len(meant)} of the models called {chosen.model!r}, whose regimes are {regimes}; give "
            f"each of them a regime, and power.{side} the regime that is meant"
        )
    seed = meant[0].seeds[0] if chosen.seed is None else chosen.seed
    if seed not in meant[0].seeds:
        raise ValueError(f"power.{side}.seed = {seed} is none of the seeds of {chosen.model!r}: {meant[0].seeds}")
    return meant[0].model_copy(update={"seeds": [seed], "layers": [chosen.layer]})


def load_study(study: str | Path | Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> Study:
    """Read and check a study.

    Parameters
    ----------
    study : str, Path or mapping
        A TOML file, or its content as nested dictionaries. Paths in a file are relative to the file's folder, in a
        mapping to the current one.
    overrides : mapping of str to value, or None
        Dotted keys (``"comparison.n_draws"``, ``"models.0.name"``) and the values that replace those of the study.
        Strings are read as TOML if they are valid TOML (``"200"``, ``"[0, 1]"``), else as text. Paths are relative to
        the current folder.

    Returns
    -------
    Study

    Raises
    ------
    InputError
        If the file is missing or not TOML, a key is unknown or missing, or a value is not allowed; the message names
        the line and the closest valid spelling.
    """
    content: dict[str, Any]
    if isinstance(study, Mapping):
        text, where, content = "", "study", _copied(study)
    else:
        text, where = _read_text(Path(study)), str(study)
        content = _parse(text, where)
        _anchor_paths(content, Study, Path(study).resolve().parent)
    overridden = {}
    for key, value in (overrides or {}).items():
        _override(content, key, value)
        overridden[tuple(key.split("."))] = f"--set {key}={value}"
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        raise InputError(_explain(error, text, where, overridden)) from None


def study_schema() -> dict[str, Any]:
    """JSON schema of study files, for editors that check TOML as it is written."""
    schema = Study.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "neurocompare study"}


def _read_text(path: Path) -> str:
    content = read_bytes(path, largest=LARGEST_STUDY, what="study file")
    try:
        # Other systems add a byte-order mark and end lines with two characters.
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not readable as a study file ({error}); save it as UTF-8") from error


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except ValueError as error:
        # For invalid dates and numbers tomllib raises a plain ValueError.
        raise InputError(f"{where}: not valid TOML: {one_line(error)}") from None
    except RecursionError:
        raise InputError(f"{where}: not valid as a study: lists or tables nested hundreds deep") from None


def _copied(content: Any) -> Any:
    """Deep copy of nested mappings and lists as plain dicts and lists."""
    if isinstance(content, Mapping):
        return {str(key): _copied(value) for key, value in content.items()}
    return [_copied(value) for value in content] if isinstance(content, (list, tuple)) else content


def _anchor_paths(content: Any, section: type[BaseModel], folder: Path) -> None:
    """Make the relative paths of a study file independent of the current folder."""
    for table in content if isinstance(content, list) else [content]:
        if not isinstance(table, dict):
            continue
        for name, about in section.model_fields.items():
            value, inner = table.get(name), _section_in(about.annotation)
            if inner is not None:
                _anchor_paths(value, inner, folder)
            elif isinstance(value, str) and marks_of(about, PathMark) and _is_inside(value, folder):
                table[name] = str(folder / value)


def _is_inside(value: str, folder: Path) -> bool:
    return "{seed}" in value or (folder / value).exists()


def marks_of(about: FieldInfo, kind: type) -> list[Any]:
    """Marks of type ``kind`` on a setting or inside its type."""

    def inside(annotation: Any) -> list[Any]:
        held = [mark for mark in getattr(annotation, "__metadata__", ()) if isinstance(mark, kind)]
        return held + [mark for part in get_args(annotation) for mark in inside(part)]

    return [mark for mark in about.metadata if isinstance(mark, kind)] + inside(about.annotation)


def _override(content: dict[str, Any], key: str, value: Any) -> None:
    if isinstance(value, str):
        with contextlib.suppress(ValueError, RecursionError):
            value = tomllib.loads(f"value = {value}")["value"]
    place: Any = content
    *parents, last = key.split(".")
    for part in parents:
        if isinstance(place, list):
            if not part.isdigit() or int(part) >= len(place):
                raise InputError(f"--set {key}: there is no entry {part!r}; entries 0 to {len(place) - 1} exist")
            place = place[int(part)]
        elif isinstance(place, dict):
            place = place.setdefault(part, {})
    if not isinstance(place, dict):
        raise InputError(f"--set {key}: {'.'.join(parents)} is no table; name a key inside one, such as models.0.name")
    place[last] = value


def _explain(error: ValidationError, text: str, where: str, overridden: Mapping[tuple[str, ...], str]) -> str:
    """First problem that pydantic found, in one sentence with its line and a way out."""
    problems = error.errors()
    path = _path_of(problems[0])
    alternatives = [other for other in problems if _path_of(other)[: len(path)] == path]
    # Of the alternatives of a setting (a name or a list of names), the error of the one that matched furthest.
    problem = max(alternatives, key=lambda other: len(other["loc"]))
    path = _path_of(problem)
    names = tuple(map(str, path))
    key = ".".join(names)
    meant = [shown for given, shown in overridden.items() if names and names[: len(given)] == given[: len(names)]]
    source = meant[0] if meant else None
    line = None if source else _line_of(text, path)
    place = source or (f"{where}, line {line}" if line else where)
    n_more = len(problems) - len(alternatives)
    more = f" ({n_more} more problem{'s follow' if n_more > 1 else ' follows'})" if n_more else ""
    match problem["type"]:
        case "extra_forbidden":
            return f"{place}: unknown key {key!r}; {closest(str(path[-1]), _keys_beside(path))}{more}"
        case "missing":
            return f"{place}: key {key!r} is missing; add it{more}"
        case "literal_error":
            allowed = re.findall(r"'([^']*)'", problem["msg"])
            return (
                f"{place}: {key} = {problem['input']!r} is not allowed; {closest(str(problem['input']), allowed)}{more}"
            )
        case _:
            message = problem["msg"].removeprefix("Value error, ")
            # Our validators of whole tables name the keys in their messages.
            whole_table = problem["type"] == "value_error" and isinstance(problem["input"], Mapping)
            given = "" if not path or whole_table else f"{key} = {problem['input']!r}: "
            return f"{place}: {given}{message[0].lower()}{message[1:]}{more}"


def _path_of(problem: ErrorDetails) -> tuple[str | int, ...]:
    """The keys to a problem, without pydantic's marks of alternatives."""
    is_key = [not _LABEL.fullmatch(str(part)) for part in problem["loc"]]
    if problem["type"] == "extra_forbidden":
        is_key[-1] = True
    return tuple(part for part, taken in zip(problem["loc"], is_key, strict=True) if taken)


def _keys_beside(path: tuple[str | int, ...]) -> list[str]:
    """Known keys of the table that holds the last part of the path."""
    section: type[BaseModel] = Study
    for part in path[:-1]:
        if isinstance(part, str) and part in section.model_fields:
            section = _section_in(section.model_fields[part].annotation) or section
    return list(section.model_fields)


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The section in a field's type: directly, optional or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_in(part))), None)


def _line_of(text: str, path: tuple[str | int, ...]) -> int | None:
    """Line of the study file that assigns a key, else line of its table, else None."""
    table: tuple[str | int, ...] = ()
    entries: Counter[str] = Counter()
    found, depth = None, 0
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            name = header["name"]
            table = (*name.split("."), entries[name]) if header["array"] else tuple(name.split("."))
            entries[name] += 1
            place = table
        elif key := _KEY.match(line):
            place = (*table, key["name"])
        else:
            continue
        if len(place) > depth and path[: len(place)] == place:
            found, depth = number, len(place)
    return found
