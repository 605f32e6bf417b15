"""Options shared by commands, as dataclasses: each field is one option, and a command takes the whole dataclass.

:func:`with_options` converts such a command for the parser.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neural_data.column_names import STIMULUS_OPTION
from neural_data.errors import InputError
from neurocompare.models.regimes import regime_help

if TYPE_CHECKING:
    from neural_data.stimuli import StimulusSet
    from neurocompare.models.training import Recipe

__all__ = [
    "Check",
    "Jobs",
    "Machine",
    "Overrides",
    "Quiet",
    "RecipeOptions",
    "RecordingFile",
    "Starts",
    "StudyOptions",
    "TrainingData",
    "Weights",
    "overrides_of",
    "with_options",
]

Command = Callable[..., None]


def with_options(command: Command) -> Command:
    """Convert a command with dataclass parameters to one with an option per field.

    Parameters
    ----------
    command : callable
        Its parameters have typer annotations, or are frozen dataclasses of such fields.

    Returns
    -------
    callable
        Takes every field by name; the help lists options in the order of parameters and fields.
    """
    hints = typing.get_type_hints(command, include_extras=True)
    records = {name: hint for name, hint in hints.items() if isinstance(hint, type) and dataclasses.is_dataclass(hint)}
    options: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name in records:
            options += _fields_of(records[name])
        else:
            options.append(parameter.replace(kind=parameter.KEYWORD_ONLY, annotation=hints[name]))

    @functools.wraps(command)
    def filled(**given: Any) -> None:
        whole = {
            name: record(**{field.name: given.pop(field.name) for field in dataclasses.fields(record)})
            for name, record in records.items()
        }
        command(**given, **whole)

    names = [option.name for option in options]
    if len(set(names)) < len(names):
        raise ValueError(f"two options of {command.__name__} have the same name: {names}")
    # The parser reads this signature.
    filled.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    filled.__annotations__ = {option.name: option.annotation for option in options}
    return filled


def _fields_of(record: Any) -> list[inspect.Parameter]:
    hints = typing.get_type_hints(record, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in dataclasses.fields(record)
    ]


Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Worker processes; results do not depend on their number.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the study, such as comparison.n_draws=200."),
]
Weights = Annotated[str | None, typer.Option(help="A checkpoint, or 'pretrained' for those that a network comes with.")]


@dataclass(frozen=True)
class Machine:
    """Device, number of workers, and amount of output."""

    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.")] = "auto"
    jobs: Jobs = None
    quiet: Quiet = False


@dataclass(frozen=True)
class StudyOptions:
    """Changes of a study before it is run."""

    settings: Overrides = None
    quick: Annotated[
        bool, typer.Option("--quick", help="A first look: fewer seeds, identities, neurons and draws.")
    ] = False
    plan: Annotated[bool, typer.Option("--plan", help="Print the steps, what is kept already and the likely time.")] = (
        False
    )

    @property
    def overrides(self) -> dict[str, str]:
        """Dotted keys and values."""
        return overrides_of(self.settings)


@dataclass(frozen=True)
class Check:
    """Whether a study is only checked."""

    check: Annotated[bool, typer.Option("--check", help="Check all input, compute and write nothing.")] = False
    no_import: Annotated[
        bool,
        typer.Option("--no-import", help="With --check: run no code that the study names, and leave that unchecked."),
    ] = False


@dataclass(frozen=True)
class RecordingFile:
    """A recording, with information that its file lacks."""

    path: Annotated[Path, typer.Argument(help="File or folder of a recording.")]
    stimulus: Annotated[str | None, typer.Option(help="Label of the file that identifies the stimuli.")] = None
    window_ms: Annotated[
        tuple[float, float] | None, typer.Option("--window-ms", help="Window after stimulus onset: from, to.")
    ] = None
    format: Annotated[str | None, typer.Option(help="File format, if its content does not show it.")] = None
    region: Annotated[str | None, typer.Option(help="Region of the neurons, if the file names none.")] = None
    units: Annotated[str | None, typer.Option(help="spikes/s, counts or normalized, where the file does not say.")] = (
        None
    )
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="ROLE=NAME",
            help="What a column is, such as response=rate, stimulus_id=image, 'response=unit*' or onset=stim_on_time.",
        ),
    ] = None
    variables: Annotated[
        list[str] | None,
        typer.Option(
            "--variable",
            metavar="ROLE=NAME",
            help="What a variable of a MATLAB or HDF5 file is: responses=rates, stimulus_id=stim, region=area.",
        ),
    ] = None
    decimal: Annotated[str | None, typer.Option(help="Decimal mark of a table: . or a comma.")] = None
    onset_bin: Annotated[
        int | None, typer.Option("--onset-bin", min=1, help="Bin of stimulus onset in raster files that do not say it.")
    ] = None
    stimuli: Annotated[Path | None, typer.Option(help="CSV of the stimulus set that was shown.")] = None
    stimulus_columns: Annotated[
        list[str] | None,
        typer.Option(
            STIMULUS_OPTION,
            metavar="ROLE=NAME",
            help="What a column of this CSV is, such as identity=person or azimuth_deg=yaw.",
        ),
    ] = None

    def shown(self) -> StimulusSet | None:
        """The stimulus set, without its images."""
        from neural_data.stimuli import read_stimuli

        columns = _roles(self.stimulus_columns, STIMULUS_OPTION)
        if self.stimuli is None and columns:
            raise InputError(f"{STIMULUS_OPTION} is about the CSV of the stimulus set; name it with --stimuli")
        return None if self.stimuli is None else read_stimuli(self.stimuli, columns=columns, with_images=False)

    def arguments(self) -> dict[str, Any]:
        """Arguments for readers of recordings, except path and stimuli."""
        given = {
            name: getattr(self, name)
            for name in ("format", "stimulus", "window_ms", "region", "units", "decimal", "onset_bin")
        }
        roles = {"columns": _roles(self.columns, "--column"), "variables": _roles(self.variables, "--variable")}
        return given | roles


@dataclass(frozen=True)
class Starts:
    """A network, its weights and its random start."""

    model: Annotated[str, typer.Argument(help="A network, as 'neurocompare models' names it.")]
    weights: Weights = None
    regime: Annotated[str | None, typer.Option(help="Label of how it was trained.")] = None
    layers: Annotated[list[str] | None, typer.Option(help="main (the default), all, a name or a pattern.")] = None
    seeds: Annotated[int, typer.Option(min=1, help="Random starts, of a network without weights.")] = 1
    start: Annotated[str | None, typer.Option(help="gaussian or own, of a network without weights.")] = None

    def entry(self) -> dict[str, Any]:
        """The network as an entry of ``[[models]]``."""
        given = {"weights": self.weights, "regime": self.regime, "start": self.start}
        named = {key: value for key, value in given.items() if value is not None}
        return {"name": self.model, "seeds": list(range(self.seeds)), "layers": self.layers or "main"} | named


@dataclass(frozen=True)
class TrainingData:
    """Images for training a network."""

    dataset: Annotated[
        str,
        typer.Option(
            help="symmetric, chiral, objects or pose (rendered); cifar10 or svhn (fetched); or the path of a Parquet, "
            "a folder of class folders, or an official archive."
        ),
    ]
    test: Annotated[str | None, typer.Option(help="Path of the test images; by default a tenth is held out.")] = None
    n_images: Annotated[int | None, typer.Option(min=20, help="Images to render, or to take at random.")] = None


@dataclass(frozen=True)
class RecipeOptions:
    """Regime and recipe of training."""

    regime: Annotated[str, typer.Option(help=f"What the task asks of reflections; {regime_help()}.")] = "natural"
    recipe: Annotated[str, typer.Option(help="fast, or that of the paper.")] = "fast"
    epochs: Annotated[int | None, typer.Option(min=1, help="In place of the recipe's own.")] = None
    learning_rate: Annotated[float | None, typer.Option(help="At its start or peak; by default the recipe's.")] = None
    weight_decay: Annotated[float | None, typer.Option(help="By default the recipe's own.")] = None
    dropout: Annotated[float | None, typer.Option(help="Share of units left out; by default the recipe's.")] = None
    shift: Annotated[int | None, typer.Option(help="Most that images are shifted, pixels.")] = None
    precision: Annotated[str, typer.Option(help="float32, or bfloat16 on CPUs that multiply it.")] = "float32"

    def made(self) -> Recipe:
        """The recipe with the given changes."""
        from neurocompare.models.training import make_recipe

        changes = {name: value for name, value in vars(self).items() if name not in ("regime", "recipe")}
        return make_recipe(self.recipe, self.regime, **changes)


def overrides_of(settings: Sequence[str] | None) -> dict[str, str]:
    """Keys and values from texts KEY=VALUE."""
    pairs = {}
    for setting in settings or []:
        key, separator, value = setting.partition("=")
        if not separator or not key:
            raise InputError(f"--set {setting}: write KEY=VALUE, such as --set comparison.n_draws=200")
        pairs[key.strip()] = value.strip()
    return pairs


def _roles(given: list[str] | None, option: str) -> dict[str, str]:
    """Roles and names from texts ROLE=NAME."""
    pairs: dict[str, str] = {}
    for text in given or []:
        role, separator, name = (part.strip() for part in text.partition("="))
        if not (separator and role and name):
            raise InputError(f"{option} {text}: write ROLE=NAME, such as {option} stimulus_id=image")
        if role in pairs:
            raise InputError(f"{option} {text}: {role} is given already ({pairs[role]}); give it once")
        pairs[role] = name
    return pairs
