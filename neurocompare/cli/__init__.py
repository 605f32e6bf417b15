"""The command line: the only place that prints, sets exit codes and reads ``argv``.

Exit codes: 0 done, 2 the input is wrong (one message), 1 a defect of ours.
"""

from __future__ import annotations

import io
import logging
import sys
import traceback

from neural_data.errors import CodeError, InputError
from neurocompare import __version__
from neurocompare.cli.commands import app
from neurocompare.cli.console import errors, say
from neurocompare.interrupts import Stopped, stoppable
from neurocompare.processes import keep_memory
from neurocompare.progress_lines import SaidOnce

if "--help" not in sys.argv:
    # The parser of options imports it as a command starts: too late in a process that gave up its rights by then.
    import pydantic  # noqa: F401

__all__ = ["app", "main"]

DEFECT_ADDRESS = "please report this with the lines above and provenance.json, if there is one"


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit.

    Parameters
    ----------
    arguments : list of str or None
        Without the program's name; None reads ``sys.argv``.
    """
    if arguments is None:
        keep_memory()
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
        say(f"ended by {stop.signal.name}; finished steps are kept, and the same command goes on from them", errors)
        sys.exit(stop.exit_code)
    except InputError as error:
        if isinstance(error, CodeError) and (said := error.traceback_text()):
            say(said, errors)
        errors.print("error: ", style="bold red", end="")
        say(str(error), errors)
        sys.exit(2)
    except Exception:
        say(traceback.format_exc(), errors)
        say(f"this is a defect of neurocompare {__version__}: {DEFECT_ADDRESS}", errors)
        sys.exit(1)
