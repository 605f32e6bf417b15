"""The command line: the only place that prints, sets exit codes and reads ``argv``.

Exit codes: 0 done, 2 the input is wrong (one message), 1 a defect of ours. Heavy packages are imported inside the
commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from neural_data.errors import InputError
from neurocompare import __version__

__all__ = ["app", "main"]

DEFECT_ADDRESS = "please report this with the lines above and provenance.json, if there is one"
app = typer.Typer(
    name="neurocompare",
    help="Whether, where and why network models represent objects and faces as the macaque face patches do.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console()
errors = Console(stderr=True)

Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the run: new, empty, or an earlier run.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no summary.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the study, such as comparison.n_draws=200."),
]


@app.command()
def demo(out: Out = Path("neurocompare_demo"), settings: Overrides = None, quiet: Quiet = False) -> None:
    """Run the built-in study: rendered faces in five views, an untrained network, simulated patches."""
    from importlib.resources import as_file, files

    with as_file(files("neurocompare") / "demo.toml") as study:
        _run(study, out, settings, quiet)


@app.command()
def run(
    study: Annotated[Path, typer.Argument(help="Study file (TOML).")],
    out: Out,
    settings: Overrides = None,
    check: Annotated[bool, typer.Option("--check", help="Only check the study file.")] = False,
    quiet: Quiet = False,
) -> None:
    """Run a study file and write tables, figures, RDMs, a report and its provenance."""
    if check:
        from neurocompare.study.grammar import load_study

        load_study(study, _overrides(settings))
        _say(f"{study}: no problem found")
        return
    _run(study, out, settings, quiet)


@app.command()
def report(run_dir: Annotated[Path, typer.Argument(help="Folder of a finished run.")]) -> None:
    """Write the report of a run again, from its tables, figures and provenance."""
    from neurocompare.reporting.report import write_report
    from neurocompare.study.folders import MARK

    if not (run_dir / MARK).is_file():
        raise InputError(f"{run_dir}: no finished run (it has no {MARK}); name the folder that --out named")
    _say(f"report: {write_report(run_dir)}")


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
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        app(arguments)
    except InputError as error:
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


def _overrides(settings: list[str] | None) -> dict[str, str]:
    pairs = {}
    for setting in settings or []:
        key, separator, value = setting.partition("=")
        if not separator or not key:
            raise InputError(f"--set {setting}: write KEY=VALUE, such as --set comparison.n_draws=200")
        pairs[key.strip()] = value.strip()
    return pairs


def _run(study: Path, out: Path, settings: list[str] | None, quiet: bool) -> None:
    from neurocompare.study.steps import run_study

    with _progress(quiet) as tell:
        finished = run_study(study, out=out, overrides=_overrides(settings), progress=tell)
    if quiet:
        return
    from neurocompare.reporting.report import summary_sentences

    tables = finished.tables
    for sentence in summary_sentences(tables["fits"], tables["viewpoint_summary"], tables["viewpoint_patches_summary"]):
        _say(f"- {sentence}")
    if tables["fits"]["simulated"].any():
        _say("The recording is simulated.")
    _say(f"report: {finished.out / 'report.html'}")


@contextmanager
def _progress(quiet: bool) -> Iterator:
    """A function that shows the running step: a bar on a terminal, nothing elsewhere."""
    if quiet or not errors.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:32}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task("starting", total=1.0)
        yield lambda name, share: progress.update(task, description=name, completed=share)


if __name__ == "__main__":
    main()
