"""The command line: the only place that prints, sets exit codes and reads ``argv``.

Exit codes: 0 done, 2 the input is wrong (one message), 1 a defect of ours. Heavy packages are imported inside the
commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from neural_data.errors import CodeError, InputError
from neurocompare import __version__
from neurocompare.interrupts import Stopped, stoppable
from neurocompare.models.regimes import regime_help
from neurocompare.progress_lines import SaidOnce, progress_lines

if TYPE_CHECKING:
    from neurocompare.study.cache import Cache
    from neurocompare.study.planning import Plan

__all__ = ["app", "main"]

DEFECT_ADDRESS = "please report this with the lines above and provenance.json, if there is one"
app = typer.Typer(
    name="neurocompare",
    help="Whether, where and why network models represent objects and faces as the macaque face patches do.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class _Console(Console):
    """A console whose output may be closed at any time, as ``| head`` does: the command goes on in silence."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


console = _Console()
errors = _Console(stderr=True)

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the run: new, empty, or an earlier run.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the study, such as comparison.n_draws=200."),
]
Jobs = Annotated[
    int | None, typer.Option("--jobs", "-j", min=1, help="Worker processes; results do not depend on their number.")
]
Dask = Annotated[str | None, typer.Option("--dask", metavar="ADDRESS", help="Dask scheduler: tcp://HOST:PORT.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:1 or mps.")]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="ROLE=NAME",
        help="What a column is, such as response=rate, stimulus_id=image, 'response=unit*' or onset=stim_on_time.",
    ),
]
Variables = Annotated[
    list[str] | None,
    typer.Option(
        "--variable",
        metavar="ROLE=NAME",
        help="What a variable of a MATLAB or HDF5 file is: responses=rates, stimulus_id=stim, region=area.",
    ),
]
Quick = Annotated[bool, typer.Option("--quick", help="A first look: fewer seeds, identities, neurons and draws.")]
Weights = Annotated[str | None, typer.Option(help="A checkpoint, or 'pretrained' for those that a network comes with.")]
Check = Annotated[bool, typer.Option("--check", help="Check all input, compute and write nothing.")]
NoImport = Annotated[
    bool, typer.Option("--no-import", help="With --check: run no code that the study names, and leave that unchecked.")
]
ShowPlan = Annotated[bool, typer.Option("--plan", help="Print the steps, what is kept already and the likely time.")]


@app.command()
def demo(
    out: Out = Path("neurocompare_demo"),
    settings: Overrides = None,
    jobs: Jobs = None,
    quick: Quick = False,
    plan: ShowPlan = False,
    quiet: Quiet = False,
) -> None:
    """Run the built-in study: rendered faces, networks trained and untrained, pixels, simulated patches."""
    from neurocompare.study.demo import demo_study

    study, left_out = demo_study()
    for reason in left_out if not quiet else ():
        _say(f"left out of the demo: {reason}", errors)
    if plan:
        _plan(study, _overrides(settings), "auto", quick)
    else:
        _run(study, out, _overrides(settings), quiet, n_jobs=jobs, quick=quick)


@app.command()
def run(
    study: Annotated[Path, typer.Argument(help="Study file (TOML).")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the run: new, empty, or an earlier run.")
    ] = None,
    settings: Overrides = None,
    jobs: Jobs = None,
    dask: Dask = None,
    device: Device = "auto",
    quick: Quick = False,
    check: Check = False,
    no_import: NoImport = False,
    plan: ShowPlan = False,
    quiet: Quiet = False,
) -> None:
    """Run a study file and write tables, figures, RDMs, a report and its provenance."""
    overrides = _overrides(settings)
    if no_import and not check:
        raise InputError("--no-import is for --check: a run and a plan need the networks")
    if plan:
        _plan(study, overrides, device, quick)
    elif check:
        from neurocompare.study.runner import plan_study

        checked = plan_study(study, overrides=overrides, device=device, quick=quick, imports=not no_import)
        _say(f"{study}: no problem found")
        if checked.not_imported:
            _say(f"not imported, and so not checked: {', '.join(checked.not_imported)}")
    elif out is None:
        raise InputError("--out is missing; name a folder for the run: --out DIR")
    else:
        _run(study, out, overrides, quiet, n_jobs=jobs, dask=dask, device=device, quick=quick)


@app.command()
def power(
    study: Annotated[Path, typer.Argument(help="Study file (TOML) with a section 'power'.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the table and its figure; nothing is kept without.")
    ] = None,
    settings: Overrides = None,
    jobs: Jobs = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Say how many identities, neurons and repetitions tell two layers apart, from simulated recordings."""
    from neurocompare.study.power import power_sentence, run_power

    with _progress(quiet) as tell:
        found = run_power(study, out=out, overrides=_overrides(settings), n_jobs=jobs, device=device, progress=tell)
    if quiet:
        return
    shown = found.table.drop(columns=["first", "second", "simulated"])
    first, second = found.table.loc[0, ["first", "second"]]
    _say(f"Simulated neurons read {first}; to be told from {second}. Trial noise {found.noise:.2f}.")
    _say(shown.to_string(index=False, float_format="{:.3f}".format))
    _say(power_sentence(found.table, target=found.target))
    if out is not None:
        _say(f"table and figure: {out}")


@app.command()
def report(run_dir: Annotated[Path, typer.Argument(help="Folder of a finished run.")]) -> None:
    """Write the report of a run again, from its tables, figures and provenance."""
    from neurocompare.measures.page import write_report
    from neurocompare.study.folders import MARK, update_mark

    needed = MARK if not (run_dir / MARK).is_file() else "rdms"
    if not (run_dir / needed).exists():
        raise InputError(f"{run_dir}: no finished run (it has no {needed}); name the folder that --out named")
    written = write_report(run_dir)
    update_mark(run_dir, [written.name])
    _say(f"report: {written}")


@app.command("check-recording")
def check_recording(
    path: Annotated[Path, typer.Argument(help="File or folder of a recording.")],
    stimulus: Annotated[str | None, typer.Option(help="Label of the file that tells stimuli apart.")] = None,
    window_ms: Annotated[
        tuple[float, float] | None, typer.Option("--window-ms", help="Window after stimulus onset: from, to.")
    ] = None,
    format: Annotated[str | None, typer.Option(help="File format, where its content does not tell.")] = None,
    region: Annotated[str | None, typer.Option(help="Region of the neurons, where the file names none.")] = None,
    units: Annotated[
        str | None, typer.Option(help="spikes/s, counts or normalized, where the file does not say.")
    ] = None,
    columns: Columns = None,
    variables: Variables = None,
    decimal: Annotated[str | None, typer.Option(help="Decimal mark of a table: . or a comma.")] = None,
    stimuli: Annotated[Path | None, typer.Option(help="CSV of the stimulus set that was shown.")] = None,
) -> None:
    """Say what a recording holds, what had to be assumed, and what in it would mislead an RDM."""
    from neural_data.checking import check_recording as check
    from neural_data.stimuli import read_stimuli

    shown = None if stimuli is None else read_stimuli(stimuli, with_images=False)
    found = check(
        path,
        format=format,
        stimulus=stimulus,
        window_ms=window_ms,
        region=region,
        units=units,
        columns=_roles(columns, "--column"),
        variables=_roles(variables, "--variable"),
        decimal=decimal,
        stimuli=shown,
    )
    _say(found.to_text())
    if not found.usable:
        raise typer.Exit(2)


@app.command()
def describe(
    path: Annotated[Path, typer.Argument(help="File or folder of a recording.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for tables, figures and a report; without it: text alone."),
    ] = None,
    stimuli: Annotated[Path | None, typer.Option(help="CSV of the stimulus set that was shown.")] = None,
    stimulus: Annotated[str | None, typer.Option(help="Label of the file that tells stimuli apart.")] = None,
    window_ms: Annotated[
        tuple[float, float] | None, typer.Option("--window-ms", help="Window after stimulus onset: from, to.")
    ] = None,
    format: Annotated[str | None, typer.Option(help="File format, where its content does not tell.")] = None,
    region: Annotated[str | None, typer.Option(help="Region of the neurons, where the file names none.")] = None,
    units: Annotated[
        str | None, typer.Option(help="spikes/s, counts or normalized, where the file does not say.")
    ] = None,
    columns: Columns = None,
    variables: Variables = None,
    decimal: Annotated[str | None, typer.Option(help="Decimal mark of a table: . or a comma.")] = None,
    missing: Annotated[str, typer.Option(help="refuse, drop_neurons or drop_stimuli.")] = "refuse",
    by_subject: Annotated[bool, typer.Option("--by-subject", help="Each animal by itself.")] = False,
    target: Annotated[float, typer.Option(help="Reliability that is asked for.")] = 0.8,
    n_splits: Annotated[int, typer.Option(min=2, help="Random halves of neurons and trials.")] = 100,
    quiet: Quiet = False,
) -> None:
    """Describe a recording by itself: view tuning, reliability, and how much more data it needs."""
    from neural_data.formats.files import read_recording
    from neural_data.stimuli import read_stimuli
    from neurocompare.comparison.description import describe_recording

    shown = None if stimuli is None else read_stimuli(stimuli, with_images=False)
    recording = read_recording(
        path,
        format,
        stimulus,
        window_ms,
        region=region,
        units=units,
        columns=_roles(columns, "--column"),
        variables=_roles(variables, "--variable"),
        decimal=decimal,
        stimuli=shown,
        missing=missing,
    )
    found = describe_recording(
        recording, shown, by_subject=by_subject, missing=missing, target=target, n_splits=n_splits
    )
    if not quiet:
        _say(found.to_text())
    if out is not None:
        from neurocompare.study.describing import describe_to_folder

        report = describe_to_folder(found, recording, out, title=f"Description of {path.name}", stimuli=shown)
        if not quiet:
            _say(f"report: {report}")


@app.command("stimuli")
def name_stimuli(
    folder: Annotated[Path, typer.Argument(help="Folder of images without a table.")],
    pattern: Annotated[
        str, typer.Option(help="What names of images say: '{identity}_az{azimuth_deg}.png'; * for any characters.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="CSV to write; without it the table is shown.")
    ] = None,
    category: Annotated[str, typer.Option(help="Of all images, where the pattern does not say it.")] = "",
) -> None:
    """Make the table of a stimulus set from the names of its images."""
    from neural_data.formats.bounds import whole_file
    from neurocompare.stimuli.folders import read_folder

    stimuli = read_folder(folder, pattern, category=category)
    if out is None:
        _say(stimuli.table.reset_index().to_string(index=False, max_rows=20))
    else:
        if out.exists():
            raise InputError(f"{out}: is there already; remove it, or name another file")
        with whole_file(out) as temporary:
            stimuli.table.to_csv(temporary, index_label="stimulus_id", lineterminator="\n")
        beside = out.absolute().parent == folder.absolute()
        _say(f"{out}" if beside else f'{out}; in a study: source = "{out}" and images = "{folder}"')
    table = stimuli.table
    _say(f"{len(table)} images, {table['identity'].nunique()} identities, {table['azimuth_deg'].nunique()} azimuths")


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="A network; its layers are listed.")] = None,
    weights: Weights = None,
    every: Annotated[bool, typer.Option("--all", help="List every layer, not the main ones alone.")] = False,
) -> None:
    """List the package's own networks, or the layers of one network of any source."""
    from neurocompare.models.registry import OWN_NETWORKS, ZOOS, layer_table, load_model

    if name is None:
        width = max(map(len, OWN_NETWORKS))
        _say("\n".join(f"{own.name:<{width}}  {own.about}" for own in OWN_NETWORKS.values()))
        _say(f"Others by {', '.join(f'{zoo}:NAME' for zoo in ZOOS)} or package.module:callable.")
        return
    network = load_model(name, weights=weights, device="cpu")
    table = layer_table(network)
    shown = table if every else table[table["main"]].drop(columns="main")
    shown = shown if (shown["paper"] != "").any() else shown.drop(columns="paper")
    _say(f"{network.name}, {network.regime}")
    _say(f"images: {network.preprocessing.in_words()} ({network.preprocessing_source})")
    for note in network.inspected.notes:
        _say(f"note: {note}")
    _say(shown.to_string(index=False, float_format="{:.2f}".format))
    _say(f'layers = "main" means {int(table["main"].sum())} of {len(table)} layers' + ("" if every else "; --all"))


@app.command()
def index(
    model: Annotated[str, typer.Argument(help="A network, as 'neurocompare models' names it.")],
    stimuli: Annotated[str, typer.Option(help="faces, objects, or the CSV of a stimulus set.")] = "faces",
    weights: Weights = None,
    regime: Annotated[str | None, typer.Option(help="Label of how it was trained.")] = None,
    layers: Annotated[list[str] | None, typer.Option(help="main (the default), all, a name or a pattern.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Random starts, of a network without weights.")] = 1,
    start: Annotated[str | None, typer.Option(help="gaussian or own, of a network without weights.")] = None,
    settings: Overrides = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="CSV for the table, with every seed.")] = None,
    device: Device = "auto",
    jobs: Jobs = None,
    quiet: Quiet = False,
) -> None:
    """Print the mirror-symmetry index of a network by layer: 1 mirror-symmetric, below 0 view-tuned."""
    from neural_data.formats.bounds import whole_file
    from neurocompare.study.index import index_by_layer, mean_over_seeds

    entry: dict[str, Any] = {"name": model, "seeds": list(range(seeds)), "layers": layers or "main"}
    given = {"weights": weights, "regime": regime, "start": start}
    entry |= {key: value for key, value in given.items() if value is not None}
    sections = {"stimuli": {"source": stimuli}, "models": [entry]}
    with _progress(quiet) as tell:
        table = index_by_layer(sections, overrides=_overrides(settings), device=device, n_jobs=jobs, progress=tell)
    shown = mean_over_seeds(table)
    over = f"{seeds} starts" if seeds > 1 else "exemplars"
    if not quiet:
        _say(f"{shown['model'].iloc[0]}, {shown['regime'].iloc[0]}: mean and standard deviation over {over}")
        _say(shown.drop(columns=["model", "regime"]).to_string(index=False, float_format="{:.3f}".format))
    if out is not None:
        with whole_file(out) as partial:
            table.to_csv(partial, index=False, lineterminator="\n")
        _say(f"table: {out}")


@app.command()
def render(
    kind: Annotated[str, typer.Argument(help="objects, faces or training.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Folder for stimulus_set.csv and images/: new, empty, or an earlier one."),
    ],
    seed: Annotated[int, typer.Option(min=0)] = 0,
    size: Annotated[int | None, typer.Option(min=8, help="Height and width, pixels.")] = None,
    n: Annotated[int | None, typer.Option(min=1, help="Exemplars a category; images of a training set.")] = None,
    jobs: Jobs = None,
) -> None:
    """Render a built-in stimulus set: objects or faces in many views, or images to train on."""
    from neural_data.stimuli import write_stimuli
    from neurocompare.stimuli.sets import find_set, plan_set, render_in_memory
    from neurocompare.study.folders import whole_folder
    from neurocompare.study.workers import n_cores

    # A set without views of its own is counted in images.
    n_exemplars, n_images = (n, None) if find_set(kind).views_deg is not None else (None, n)
    plan = plan_set(kind, seed=seed, size=size, n_exemplars=n_exemplars, n=n_images)
    with whole_folder(out, command="render") as folder:
        stimuli = render_in_memory(plan, n_jobs=jobs or n_cores())
        write_stimuli(stimuli, folder)
    _say(f"{len(stimuli)} images: {out / 'stimulus_set.csv'}")


@app.command()
def train(
    dataset: Annotated[
        str,
        typer.Option(
            help="symmetric, chiral or objects (rendered); cifar10 or svhn (fetched); or the path of a Parquet, a "
            "folder of class folders, or an official archive."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the checkpoint; a stopped training goes on in it.")
    ],
    regime: Annotated[str, typer.Option(help=f"What the task asks of reflections; {regime_help()}.")] = "natural",
    test: Annotated[str | None, typer.Option(help="Path of the test images; by default a tenth is held out.")] = None,
    recipe: Annotated[str, typer.Option(help="fast, or that of the paper.")] = "fast",
    epochs: Annotated[int | None, typer.Option(min=1, help="In place of the recipe's own.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="At its start or peak; by default the recipe's.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="By default the recipe's own.")] = None,
    dropout: Annotated[float | None, typer.Option(help="Share of units left out; by default the recipe's.")] = None,
    shift: Annotated[int | None, typer.Option(help="Most that images are shifted, pixels.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    architecture: Annotated[str, typer.Option(help="A network, as 'neurocompare models' names it.")] = "cnn-small",
    n_images: Annotated[int | None, typer.Option(min=20, help="Images to render, or to take at random.")] = None,
    precision: Annotated[str, typer.Option(help="float32, or bfloat16 on CPUs that multiply it.")] = "float32",
    keep: Annotated[list[int] | None, typer.Option(min=0, help="An epoch whose weights are kept too.")] = None,
    device: Device = "auto",
    jobs: Jobs = None,
    quiet: Quiet = False,
) -> None:
    """Train a network on images of a regime and write its checkpoint and learning curve."""
    from neurocompare.models.training import make_recipe
    from neurocompare.study.training import TrainingTask, train_to_folder

    chosen = make_recipe(
        recipe,
        regime,
        epochs=epochs,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        dropout=dropout,
        shift=shift,
        precision=precision,
    )
    task = TrainingTask(dataset, chosen, test=test, n_images=n_images, regime=regime, keep_epochs=tuple(keep or ()))
    with _progress(quiet) as tell:
        made = train_to_folder(
            out, task, architecture=architecture, seed=seed, device=device, n_jobs=jobs, progress=tell
        )
    if not quiet:
        last = made.curve.iloc[-1]
        _say(f"{made.n_classes} classes, test accuracy {last['test_accuracy']:.1%} after epoch {last['epoch']:.0f}")
        _say(f"checkpoint: {out / 'checkpoint.safetensors'}")


@app.command()
def cache(
    prune: Annotated[
        float | None, typer.Option(metavar="DAYS", min=0, help="Remove steps that were not used for so many days.")
    ] = None,
) -> None:
    """Show the finished steps that are kept for later runs, or remove some (0 days: all)."""
    from neurocompare.study.cache import open_cache

    kept = open_cache()
    if prune is not None:
        removed = kept.prune(unused_days=prune)
        _say(f"removed {len(removed)} steps, {_size(sum(entry.n_bytes for entry in removed))}")
    _say(_cache_overview(kept))


@app.command()
def schema() -> None:
    """Print the JSON schema of study files, for editors."""
    from neurocompare.study.grammar import study_schema

    _say(json.dumps(study_schema(), indent=2))


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        _say(__version__)
        raise typer.Exit


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit.

    Parameters
    ----------
    arguments : list of str or None
        Without the program's name; None reads ``sys.argv``.
    """
    if not logging.getLogger().handlers:
        # A program around this one keeps its handlers as they are.
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        handler.setLevel(logging.WARNING)
        handler.addFilter(SaidOnce())
        logging.getLogger().addHandler(handler)
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal has no signs for is printed with escapes.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with stoppable():
            app(arguments)
    except Stopped as stop:
        _say(f"ended by {stop.signal.name}; finished steps are kept, and the same command goes on from them", errors)
        sys.exit(stop.exit_code)
    except InputError as error:
        if isinstance(error, CodeError) and (said := error.traceback_text()):
            _say(said, errors)
        errors.print("error: ", style="bold red", end="")
        _say(str(error), errors)
        sys.exit(2)
    except Exception:
        _say(traceback.format_exc(), errors)
        _say(f"this is a defect of neurocompare {__version__}: {DEFECT_ADDRESS}", errors)
        sys.exit(1)


def _say(text: str, where: Console = console) -> None:
    """Print a text as it is: no markup, no wrapping."""
    where.print(text, markup=False, highlight=False, soft_wrap=True)


def _roles(given: list[str] | None, option: str) -> dict[str, str]:
    """Roles and names that are given as ROLE=NAME."""
    pairs: dict[str, str] = {}
    for text in given or []:
        role, separator, name = (part.strip() for part in text.partition("="))
        if not (separator and role and name):
            raise InputError(f"{option} {text}: write ROLE=NAME, such as {option} stimulus_id=image")
        if role in pairs:
            raise InputError(f"{option} {text}: {role} is named already ({pairs[role]})")
        pairs[role] = name
    return pairs


def _overrides(settings: list[str] | None) -> dict[str, str]:
    pairs = {}
    for setting in settings or []:
        key, separator, value = setting.partition("=")
        if not separator or not key:
            raise InputError(f"--set {setting}: write KEY=VALUE, such as --set comparison.n_draws=200")
        pairs[key.strip()] = value.strip()
    return pairs


def _run(study: Path | Mapping[str, Any], out: Path, overrides: dict[str, str], quiet: bool, **options: Any) -> None:
    from neurocompare.study.runner import run_study

    with _progress(quiet) as tell:
        finished = run_study(study, out=out, overrides=overrides, progress=tell, **options)
    if quiet:
        return
    from neurocompare.measures.page import summary_sentences

    for sentence in summary_sentences(finished.tables, finished.study.model_dump(mode="json")):
        _say(f"- {sentence}")
    if any(table["simulated"].any() for table in finished.tables.values() if "simulated" in table):
        _say("The recording is simulated.")
    _say(f"report: {finished.out / 'report.html'}")


def _plan(study: Path | Mapping[str, Any], overrides: dict[str, str], device: str, quick: bool) -> None:
    from neurocompare.study.cache import open_cache
    from neurocompare.study.runner import plan_study

    kept = open_cache()
    plan = plan_study(study, overrides=overrides, device=device, quick=quick, cache=kept)
    _say(_plan_overview(plan, kept))


def _plan_overview(plan: Plan, kept: Cache) -> str:
    """Steps of a plan, one a line, and the likely time of all that is left."""
    expected = plan.expected_seconds(kept)
    width = max(len(step.label) for step in plan.steps)
    lines = [
        f"{step.label:<{width}}  " + ("kept" if kept.has(step.key) else f"about {_duration(expected[step.key])}")
        for step in plan.steps
    ]
    n_left = sum(not kept.has(step.key) for step in plan.steps)
    total = _duration(sum(expected.values()))
    return "\n".join([*lines, f"{n_left} of {len(lines)} steps to compute, about {total} on one worker"])


def _cache_overview(kept: Cache) -> str:
    """What a cache holds, by kind of step."""
    entries = kept.entries()
    lines = [f"{kept.folder}: {len(entries)} steps, {_size(sum(entry.n_bytes for entry in entries))}"]
    for kind in dict.fromkeys(entry.kind for entry in entries):
        same = [entry for entry in entries if entry.kind == kind]
        took = _duration(sum(entry.seconds for entry in same))
        lines.append(f"  {kind:<12}  {len(same):>5}  {_size(sum(e.n_bytes for e in same)):>9}  took {took}")
    return "\n".join(lines)


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def _progress(quiet: bool) -> Iterator:
    """A function that shows the running step: a bar on a terminal, a line now and then elsewhere."""
    if quiet:
        yield None
        return
    if not errors.is_terminal:
        with progress_lines(lambda line: _say(line, errors)) as tell:
            yield tell
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:40}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task("starting", total=1.0)
        yield lambda name, share: progress.update(task, description=name, completed=share)


if __name__ == "__main__":
    main()
