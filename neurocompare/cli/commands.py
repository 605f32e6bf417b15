"""The commands of the command line: their options, and the functions they call.

Heavy packages are imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neural_data.errors import InputError
from neurocompare import __version__
from neurocompare.cli.console import duration, errors, progress, say, size
from neurocompare.cli.options import (
    Check,
    Jobs,
    Machine,
    Overrides,
    Quiet,
    RecipeOptions,
    RecordingFile,
    Starts,
    StudyOptions,
    TrainingData,
    Weights,
    overrides_of,
    with_options,
)

if TYPE_CHECKING:
    from neurocompare.study.cache import Cache
    from neurocompare.study.planning import Plan

__all__ = ["app"]

app = typer.Typer(
    name="neurocompare",
    help="Whether, where and why network models represent objects and faces as the macaque face patches do.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help in boxes takes twice as long to say the same
)
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the run: new, empty, or an earlier run.")]


@app.command()
@with_options
def demo(*, out: Out = Path("neurocompare_demo"), options: StudyOptions, machine: Machine) -> None:
    """Run the built-in study of rendered faces.

    It compares trained and untrained networks and pixels with simulated patches.
    """
    from neurocompare.study.cache import open_cache
    from neurocompare.study.repeats import demo_key, keep_run, write_again

    unchanged = not (options.settings or options.plan)
    cache, key = open_cache(), demo_key(quick=options.quick, device=machine.device)
    if unchanged and (said := write_again(cache, key, out)) is not None:
        _tell(said, out, machine)
        return
    from neurocompare.study.demo import demo_study

    study, left_out = demo_study()
    for reason in left_out if not machine.quiet else ():
        say(f"left out of the demo: {reason}", errors)
    if options.plan:
        _plan(study, options, machine)
        return
    start = time.perf_counter()
    said = _run(study, out, options, machine)
    if unchanged and not left_out:
        keep_run(cache, key, out, said, seconds=time.perf_counter() - start)


@app.command()
@with_options
def run(
    study: Annotated[Path, typer.Argument(help="Study file (TOML).")],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the run: new, empty, or an earlier run.")
    ] = None,
    dask: Annotated[
        str | None, typer.Option("--dask", metavar="ADDRESS", help="Dask scheduler: tcp://HOST:PORT.")
    ] = None,
    options: StudyOptions,
    checking: Check,
    machine: Machine,
) -> None:
    """Run a study file.

    It writes tables, figures, RDMs, a report and its provenance.
    """
    if checking.no_import and not checking.check:
        raise InputError("--no-import is for --check: a run and a plan need the networks")
    if options.plan:
        _plan(study, options, machine)
    elif checking.check:
        from neurocompare.study.runner import plan_study

        checked = plan_study(
            study,
            overrides=options.overrides,
            device=machine.device,
            quick=options.quick,
            imports=not checking.no_import,
        )
        say(f"{study}: no problem found")
        if checked.not_imported:
            say(f"not imported, and so not checked: {', '.join(checked.not_imported)}")
    elif out is None:
        raise InputError("--out is missing; name a folder for the run: --out DIR")
    else:
        _run_or_repeat(study, out, options, machine, dask=dask)


@app.command()
@with_options
def power(
    study: Annotated[Path, typer.Argument(help="Study file (TOML) with a section 'power'.")],
    *,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the table and its figure; nothing is kept without.")
    ] = None,
    settings: Overrides = None,
    machine: Machine,
) -> None:
    """Estimate how large an experiment must be.

    It says how many identities, neurons and repetitions distinguish two layers, from simulated recordings.
    """
    from neurocompare.study.experiment_sizes import power_sentence, run_power

    with progress(machine.quiet) as tell:
        found = run_power(
            study,
            out=out,
            overrides=overrides_of(settings),
            n_jobs=machine.jobs,
            device=machine.device,
            progress=tell,
        )
    if machine.quiet:
        return
    shown = found.table.drop(columns=["first", "second", "simulated"])
    first, second = found.table.loc[0, ["first", "second"]]
    say(f"Simulated neurons read {first}; to be told from {second}. Trial noise {found.noise:.2f}.")
    say(shown.to_string(index=False, float_format="{:.3f}".format))
    say(power_sentence(found.table, target=found.target))
    if out is not None:
        say(f"table and figure: {out}")


@app.command()
def report(run_dir: Annotated[Path, typer.Argument(help="Folder of a finished run.")]) -> None:
    """Write the report of a run again.

    It is made from the run's tables, figures and provenance.
    """
    from neurocompare.measures.page import write_report
    from neurocompare.study.run_folders import MARK, update_mark

    needed = MARK if not (run_dir / MARK).is_file() else "rdms"
    if not (run_dir / needed).exists():
        raise InputError(f"{run_dir}: is not a finished run (it has no {needed}); name the folder given as --out")
    written = write_report(run_dir)
    update_mark(run_dir, [written.name])
    say(f"report: {written}")


@app.command("check-recording")
@with_options
def check_recording(recording: RecordingFile) -> None:
    """Report what a recording holds.

    It also says what was assumed, and what would distort its RDMs.
    """
    from neural_data.checking import check_recording as check

    found = check(recording.path, **recording.arguments(), stimuli=recording.shown())
    say(found.to_text())
    if not found.usable:
        raise typer.Exit(2)


@app.command()
@with_options
def describe(
    recording: RecordingFile,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for tables, figures and a report; without it: text alone."),
    ] = None,
    missing: Annotated[str, typer.Option(help="refuse, drop_neurons or drop_stimuli.")] = "refuse",
    by_subject: Annotated[bool, typer.Option("--by-subject", help="Each animal separately.")] = False,
    target: Annotated[float, typer.Option(help="Target reliability.")] = 0.8,
    n_splits: Annotated[int, typer.Option(min=2, help="Random halves of neurons and trials.")] = 100,
    quiet: Quiet = False,
) -> None:
    """Describe a recording without a model.

    It gives view tuning, reliability, and how much more data is needed.
    """
    from neural_data.formats.files import read_recording
    from neurocompare.comparison.description import describe_recording

    shown = recording.shown()
    read = read_recording(recording.path, **recording.arguments(), stimuli=shown, missing=missing)
    found = describe_recording(read, shown, by_subject=by_subject, missing=missing, target=target, n_splits=n_splits)
    if not quiet:
        say(found.to_text())
    if out is not None:
        from neurocompare.study.describing import describe_to_folder

        report = describe_to_folder(found, read, out, title=f"Description of {recording.path.name}", stimuli=shown)
        if not quiet:
            say(f"report: {report}")


@app.command("stimuli")
def name_stimuli(
    folder: Annotated[Path, typer.Argument(help="Folder of images without a table.")],
    pattern: Annotated[
        str, typer.Option(help="What names of images say: '{identity}_az{azimuth_deg}.png'; * for any characters.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="CSV to write; without it the table is shown.")
    ] = None,
    category: Annotated[str, typer.Option(help="Category of all images, if the pattern has none.")] = "",
) -> None:
    """Make a stimulus table from the names of images."""
    from neural_data.formats.bounds import whole_file
    from neurocompare.stimuli.folders import read_folder

    stimuli = read_folder(folder, pattern, category=category)
    if out is None:
        say(stimuli.table.reset_index().to_string(index=False, max_rows=20))
    else:
        if out.exists():
            raise InputError(f"{out}: exists already; remove it, or name another file")
        with whole_file(out) as temporary:
            stimuli.table.to_csv(temporary, index_label="stimulus_id", lineterminator="\n")
        beside = out.absolute().parent == folder.absolute()
        say(f"{out}" if beside else f'{out}; in a study: source = "{out}" and images = "{folder}"')
    table = stimuli.table
    say(f"{len(table)} images, {table['identity'].nunique()} identities, {table['azimuth_deg'].nunique()} azimuths")


@app.command()
def models(
    name: Annotated[str | None, typer.Argument(help="A network; its layers are listed.")] = None,
    weights: Weights = None,
    every: Annotated[bool, typer.Option("--all", help="List every layer, not the main ones alone.")] = False,
) -> None:
    """List networks, or the layers of one.

    Without a name it lists the package's own networks; the layers of any network can be listed.
    """
    from neurocompare.models.registry import OWN_NETWORKS, ZOOS, layer_table, load_model

    if name is None:
        width = max(map(len, OWN_NETWORKS))
        say("\n".join(f"{own.name:<{width}}  {own.about}" for own in OWN_NETWORKS.values()))
        say(f"Others by {', '.join(f'{zoo}:NAME' for zoo in ZOOS)} or package.module:callable.")
        return
    network = load_model(name, weights=weights, device="cpu")
    table = layer_table(network)
    shown = table if every else table[table["main"]].drop(columns="main")
    shown = shown if (shown["paper"] != "").any() else shown.drop(columns="paper")
    say(f"{network.name}, {network.regime}")
    say(f"images: {network.preprocessing.in_words()} ({network.preprocessing_source})")
    for note in network.inspected.notes:
        say(f"note: {note}")
    say(shown.to_string(index=False, float_format="{:.2f}".format))
    say(f'layers = "main" means {int(table["main"].sum())} of {len(table)} layers' + ("" if every else "; --all"))


@app.command()
@with_options
def index(
    starts: Starts,
    *,
    stimuli: Annotated[str, typer.Option(help="faces, objects, or the CSV of a stimulus set.")] = "faces",
    settings: Overrides = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="CSV for the table, with every seed.")] = None,
    machine: Machine,
) -> None:
    """Print the mirror-symmetry index of a network by layer.

    1 is mirror-symmetric, below 0 is view-tuned.
    """
    from neural_data.formats.bounds import whole_file
    from neurocompare.study.index import index_by_layer, mean_over_seeds

    sections = {"stimuli": {"source": stimuli}, "models": [starts.entry()]}
    with progress(machine.quiet) as tell:
        table = index_by_layer(
            sections, overrides=overrides_of(settings), device=machine.device, n_jobs=machine.jobs, progress=tell
        )
    shown = mean_over_seeds(table)
    over = f"{starts.seeds} starts" if starts.seeds > 1 else "exemplars"
    if not machine.quiet:
        say(f"{shown['model'].iloc[0]}, {shown['regime'].iloc[0]}: mean and standard deviation over {over}")
        say(shown.drop(columns=["model", "regime"]).to_string(index=False, float_format="{:.3f}".format))
    if out is not None:
        with whole_file(out) as partial:
            table.to_csv(partial, index=False, lineterminator="\n")
        say(f"table: {out}")


@app.command()
def render(
    kind: Annotated[str, typer.Argument(help="objects, faces or training.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="Folder for stimulus_set.csv and images/: new, empty, or an earlier one."),
    ],
    seed: Annotated[int, typer.Option(min=0)] = 0,
    size: Annotated[int | None, typer.Option(min=8, help="Height and width, pixels.")] = None,
    n: Annotated[int | None, typer.Option(min=1, help="Exemplars per category; images of a training set.")] = None,
    jobs: Jobs = None,
) -> None:
    """Render a built-in stimulus set.

    It holds objects or faces in many views, or images to train on.
    """
    from neural_data.stimuli import write_stimuli
    from neurocompare.stimuli.sets import TrainingImages, find_set, plan_set, render_in_memory
    from neurocompare.study.run_folders import whole_folder
    from neurocompare.study.workers import n_cores

    # A set without views of its own is counted in images.
    in_images = find_set(kind).views_deg is None
    n_exemplars = None if in_images else n
    training = TrainingImages(n=n) if in_images and n is not None else TrainingImages()
    plan = plan_set(kind, seed=seed, size=size, n_exemplars=n_exemplars, training=training)
    with whole_folder(out, command="render") as folder:
        stimuli = render_in_memory(plan, n_jobs=jobs or n_cores())
        write_stimuli(stimuli, folder)
    say(f"{len(stimuli)} images: {out / 'stimulus_set.csv'}")


@app.command()
@with_options
def train(
    data: TrainingData,
    *,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the checkpoint; a stopped training goes on in it.")
    ],
    how: RecipeOptions,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    architecture: Annotated[str, typer.Option(help="A network, as 'neurocompare models' names it.")] = "cnn-small",
    keep: Annotated[list[int] | None, typer.Option(min=0, help="An epoch whose weights are stored too.")] = None,
    machine: Machine,
) -> None:
    """Train a network on images of a regime.

    It writes the checkpoint and the learning curve.
    """
    from neurocompare.study.training_runs import TrainingTask, train_to_folder

    task = TrainingTask(
        data.dataset,
        how.made(),
        test=data.test,
        n_images=data.n_images,
        regime=how.regime,
        keep_epochs=tuple(keep or ()),
    )
    with progress(machine.quiet) as tell:
        made = train_to_folder(
            out,
            task,
            architecture=architecture,
            seed=seed,
            device=machine.device,
            n_jobs=machine.jobs,
            progress=tell,
        )
    if not machine.quiet:
        last = made.curve.iloc[-1]
        say(f"{made.n_classes} classes, test accuracy {last['test_accuracy']:.1%} after epoch {last['epoch']:.0f}")
        say(f"checkpoint: {out / 'checkpoint.safetensors'}")


@app.command()
def examples(
    folder: Annotated[Path, typer.Argument(help="Folder for the study files: new, or without such files.")],
) -> None:
    """Write the example studies of the guide to a folder."""
    from neurocompare.study.examples import write_examples

    for path in write_examples(folder):
        say(str(path))


@app.command()
def cache(
    prune: Annotated[
        float | None,
        typer.Option(metavar="DAYS", min=0, help="Remove steps that were not used for so many days; 0 for all."),
    ] = None,
) -> None:
    """Show the finished steps in the cache, or remove some."""
    from neurocompare.study.cache import open_cache

    kept = open_cache()
    if prune is not None:
        removed = kept.prune(unused_days=prune)
        say(f"removed {len(removed)} steps, {size(sum(entry.n_bytes for entry in removed))}")
    say(_cache_overview(kept))


@app.command()
def schema() -> None:
    """Print the JSON schema of study files, for editors."""
    from neurocompare.study.grammar import study_schema

    say(json.dumps(study_schema(), indent=2))


@app.callback(invoke_without_command=True)
def _program(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        say(__version__)
        raise typer.Exit


def _run(
    study: Path | Mapping[str, Any], out: Path, options: StudyOptions, machine: Machine, *, dask: str | None = None
) -> list[str]:
    """Run a study; the sentences that it prints at the end."""
    from neurocompare.measures.page import summary_sentences
    from neurocompare.study.runner import run_study

    with progress(machine.quiet) as tell:
        finished = run_study(
            study,
            out=out,
            overrides=options.overrides,
            n_jobs=machine.jobs,
            dask=dask,
            device=machine.device,
            quick=options.quick,
            progress=tell,
        )
    said = [f"- {one}" for one in summary_sentences(finished.tables, finished.study.model_dump(mode="json"))]
    if any(table["simulated"].any() for table in finished.tables.values() if "simulated" in table):
        said.append("The recording is simulated.")
    _tell(said, finished.out, machine)
    return said


def _run_or_repeat(study: Path, out: Path, options: StudyOptions, machine: Machine, *, dask: str | None) -> None:
    """Run a study, or write the files of an equal run again whose input has not changed."""
    from neurocompare.study.cache import open_cache
    from neurocompare.study.repeats import keep_run, study_key, write_again

    cache = open_cache()
    key_now = functools.partial(study_key, study, options.overrides, quick=options.quick, device=machine.device)
    key = None if dask is not None else key_now()  # an address that does not answer is told
    if key is not None and (said := write_again(cache, key, out)) is not None:
        _tell(said, out, machine)
        return
    from neurocompare.study.inputs import ListedInputs

    start = time.perf_counter()
    listed = ListedInputs.of(study, options.overrides)
    said = _run(study, out, options, machine, dask=dask)
    if key is not None and (inputs := listed.unchanged()) is not None and key_now() == key:
        keep_run(cache, key, out, said, seconds=time.perf_counter() - start, label=study.name, inputs=inputs)


def _tell(said: list[str], out: Path, machine: Machine) -> None:
    """Print what a finished run says, and where its report is."""
    for line in [] if machine.quiet else [*said, f"report: {out / 'report.html'}"]:
        say(line)


def _plan(study: Path | Mapping[str, Any], options: StudyOptions, machine: Machine) -> None:
    from neurocompare.study.cache import open_cache
    from neurocompare.study.runner import plan_study

    kept = open_cache()
    plan = plan_study(study, overrides=options.overrides, device=machine.device, quick=options.quick, cache=kept)
    say(_plan_overview(plan, kept))


def _plan_overview(plan: Plan, kept: Cache) -> str:
    """Steps of a plan, one per line, and the expected time of the remaining steps."""
    expected = plan.expected_seconds(kept)
    width = max(len(step.label) for step in plan.steps)
    lines = [
        f"{step.label:<{width}}  " + ("kept" if kept.has(step.key) else f"about {duration(expected[step.key])}")
        for step in plan.steps
    ]
    n_left = sum(not kept.has(step.key) for step in plan.steps)
    total = duration(sum(expected.values()))
    return "\n".join([*lines, f"{n_left} of {len(lines)} steps to compute, about {total} on one worker"])


def _cache_overview(kept: Cache) -> str:
    """Content of a cache, by type of step."""
    entries = kept.entries()
    lines = [f"{kept.folder}: {len(entries)} steps, {size(sum(entry.n_bytes for entry in entries))}"]
    width = max((len(entry.kind) for entry in entries), default=0)
    for kind in dict.fromkeys(entry.kind for entry in entries):
        same = [entry for entry in entries if entry.kind == kind]
        took = duration(sum(entry.seconds for entry in same))
        lines.append(f"  {kind:<{width}}  {len(same):>5}  {size(sum(e.n_bytes for e in same)):>9}  took {took}")
    return "\n".join(lines)
