"""Faults that a run must outlive: ``make faults``, or ``python -m tests.faults [--kills N] [CASE ...]``.

Each case runs the program in a process of its own (a copy of this one, so that imports cost nothing) under a fault, and
says what came of it: killed at random moments, told to end, no room, no rights, few files, odd surroundings, input that
changes. What counts: the exit code, one message, nothing half done, and the same bytes in the end.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import pwd
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neural_data import write_stimuli
from neurocompare.cli import main as program
from tests.conftest import noise_faces
from tests.study.test_training_runs import write_images

STUDY = """\
seed = 3
[stimuli]
source = "set/stimulus_set.csv"
[[models]]
name = "cnn-small"
layers = ["conv4", "fc1"]
seeds = [0, 1]
[recording]
n_neurons = 20
n_repetitions = 2
[comparison]
n_draws = 50
n_splits = 4
"""
MOST_SECONDS = 900


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit code (negative: the signal), what it said, and how long it took, seconds."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def line(self) -> str:
        """The last line of what it said to the user."""
        lines = [line for line in self.err.splitlines() if line.strip()] or [""]
        return f"exit {self.code}, {self.traced}{len(lines)} line(s): {lines[-1][:150]}"

    @property
    def traced(self) -> str:
        """A word on a traceback, where there is one."""
        return "traceback, " if "Traceback" in self.err else ""


def call(
    folder: Path,
    *arguments: object,
    environment: Mapping[str, str | None] | None = None,
    prepare: Callable[[], None] = lambda: None,
    stop_after: float | None = None,
    with_signal: int = signal.SIGKILL,
    name: str = "said",
) -> Ended:
    """Run the program in a copy of this process; ``stop_after`` seconds it gets a signal."""
    start = time.monotonic()
    process = begin(folder, *arguments, environment=environment, prepare=prepare, name=name)
    deadline = start + (MOST_SECONDS if stop_after is None else stop_after)
    status = None
    while status is None:
        done, found = os.waitpid(process, os.WNOHANG)
        if done:
            status = found
        elif time.monotonic() > deadline:
            os.kill(process, with_signal)
            deadline = time.monotonic() + MOST_SECONDS
        else:
            time.sleep(0.005)
    texts = [(folder / f"{name}.{stream}").read_text(errors="replace") for stream in ("out", "err")]
    for stream in ("out", "err"):
        (folder / f"{name}.{stream}").unlink()
    return Ended(os.waitstatus_to_exitcode(status), *texts, time.monotonic() - start)


def begin(
    folder: Path,
    *arguments: object,
    environment: Mapping[str, str | None] | None = None,
    prepare: Callable[[], None] = lambda: None,
    name: str = "said",
) -> int:
    """Start the program in a copy of this process; gives its number."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    code = 99
    try:
        os.chdir(folder)
        for number, stream in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder / f"{name}.{stream}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        for key, value in ({"NEUROCOMPARE_CACHE": str(folder / "cache")} | dict(environment or {})).items():
            os.environ.pop(key, None) if value is None else os.environ.__setitem__(key, value)
        tempfile.tempdir = None
        prepare()
        program([str(argument) for argument in arguments])
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def place() -> Path:
    """A folder with a small study and images to train on."""
    folder = Path(tempfile.mkdtemp(prefix="faults"))
    write_stimuli(noise_faces(6), folder / "set")
    (folder / "s.toml").write_text(STUDY)
    write_images(folder / "sides.parquet", 120)
    return folder


RUN = ("run", "s.toml", "--out", "run", "--jobs", "1")
TRAIN = ("train", "--dataset", "sides.parquet", "--epochs", "6", "--keep", "2", "--out", "trained", "--device", "cpu")
RENDER = ("render", "faces", "--n", "2", "--size", "48", "--out", "faces", "--jobs", "1")


def content_of(folder: Path) -> dict[str, str]:
    """Checksums of everything in a folder but the log of a run."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "run.log"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def left_in(folder: Path) -> list[str]:
    """Names in a folder that should not be there."""
    known = {"set", "s.toml", "sides.parquet", "run", "trained", "faces", "cache", "said.out", "said.err"}
    return sorted(path.name for path in folder.iterdir() if path.name not in known)


def killed(command: Sequence[str], n_kills: int, number: int = signal.SIGKILL) -> str:
    """Kill a command at random moments; then let it end, and compare with an undisturbed one."""
    folder, out = place(), command[command.index("--out") + 1]
    whole = call(folder, *command)
    assert whole.code == 0, whole
    wanted = content_of(folder / out)
    shutil.rmtree(folder / out)
    shutil.rmtree(folder / "cache", ignore_errors=True)
    rng, kills, whole_ends, unequal, half = np.random.default_rng(1), 0, 0, 0, 0
    while kills < n_kills:
        ended = call(folder, *command, stop_after=rng.uniform(0.02, 0.9) * whole.seconds, with_signal=number)
        if ended.code == 0:
            whole_ends += 1
            unequal += content_of(folder / out) != wanted
            shutil.rmtree(folder / out)
            shutil.rmtree(folder / "cache", ignore_errors=True)
        else:
            kills += 1
            finished = (folder / out / "provenance.json").is_file()
            half += finished and content_of(folder / out) != wanted
    last = call(folder, *command)
    equal = last.code == 0 and content_of(folder / out) == wanted
    left = left_in(folder)
    shutil.rmtree(folder)
    return (
        f"{kills} kills, {whole_ends} ended between them ({unequal} with other bytes), {half} half-written; then exit "
        f"{last.code}, {'equal' if equal else 'OTHER'} bytes, left over: {left or 'nothing'}"
    )


def told_to_end(number: signal.Signals) -> str:
    """A signal in the middle: one line, nothing left; then the same bytes as without."""
    texts = []
    for command in (RUN, TRAIN, RENDER):
        folder, out = place(), command[command.index("--out") + 1]
        seconds = call(folder, *command).seconds
        wanted = content_of(folder / out)
        shutil.rmtree(folder / out)
        shutil.rmtree(folder / "cache", ignore_errors=True)
        ended = call(folder, *command, stop_after=0.5 * seconds, with_signal=number)
        partial, left = (folder / out / "provenance.json").exists(), left_in(folder)
        again = call(folder, *command)
        equal = again.code == 0 and content_of(folder / out) == wanted
        texts.append(
            f"{command[0]}: {ended.line.partition(':')[0]}, finished folder {partial}, left {left or 'nothing'}, then "
            f"{'equal' if equal else 'OTHER'} bytes"
        )
        shutil.rmtree(folder)
    return "; ".join(texts)


def without_room(what: str) -> str:
    """The output, cache or temporary folder is on a disk of 600 kB, or files may have no more bytes than that."""
    folder = place()
    small = folder / "small"
    small.mkdir()
    mounted = (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", small], capture_output=True).returncode == 0
    )

    def limit() -> None:
        if not mounted:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command, environment = list(RUN), {}
    if what == "output":
        command[3] = "small/run"
    elif what == "cache":
        environment["NEUROCOMPARE_CACHE"] = str(small / "cache")
    else:
        environment["TMPDIR"] = str(small)
        (small / "filled").write_bytes(bytes(500_000))
    try:
        ended = call(folder, *command, environment=environment, prepare=limit)
        partial = (small / "run").exists() or (ended.code != 0 and (folder / "run").exists())
        kind = "a disk of 600 kB" if mounted else "files of 100 kB at most"
        return f"{kind}: {ended.line}; half-written output: {partial}"
    finally:
        if mounted:
            subprocess.run(["umount", small], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def read_only_cache() -> str:
    """The cache may be read and not written, by a user who is not root."""
    folder = place()
    call(folder, *RUN)
    shutil.rmtree(folder / "run")
    for path in [folder / "cache", *(folder / "cache").rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    folder.chmod(0o777)

    def as_nobody() -> None:
        if os.geteuid() == 0:
            os.setgid(pwd.getpwnam("nobody").pw_gid)
            os.setuid(pwd.getpwnam("nobody").pw_uid)

    ended = call(folder, *RUN, prepare=as_nobody, environment={"HOME": str(folder)})
    for path in [folder / "cache", *(folder / "cache").rglob("*")]:
        path.chmod(0o755)
    text = f"{ended.line}; output there: {(folder / 'run').exists()}"
    shutil.rmtree(folder)
    return text


def surroundings(environment: Mapping[str, str | None], prepare: Callable[[], None] = lambda: None) -> str:
    """Other surroundings, the same bytes."""
    folder = place()
    call(folder, *RUN)
    wanted = content_of(folder / "run")
    shutil.rmtree(folder / "run")
    shutil.rmtree(folder / "cache")
    places = {
        key: None if value is None else value.replace("FOLDER", str(folder)) for key, value in environment.items()
    }
    ended = call(folder, *RUN, environment=places, prepare=prepare)
    equal = (folder / "run").exists() and content_of(folder / "run") == wanted
    shutil.rmtree(folder)
    return (
        f"exit {ended.code}, {'traceback, ' if 'Traceback' in ended.err else ''}{'equal' if equal else 'OTHER'} bytes"
    )


def odd_names(environment: Mapping[str, str]) -> str:
    """Names beyond ASCII in surroundings that know none."""
    folder = place()
    (folder / "s.toml").write_text(STUDY.replace('name = "cnn-small"', 'name = "cnn-small"\nregime = "é😀"'), "utf-8")
    ended = call(folder, *RUN, environment=environment)
    shutil.rmtree(folder)
    return f"{ended.line.partition(' line')[0]} lines; said: {ended.out.strip().splitlines()[0][:70]!r}"


def closed_output() -> str:
    """The reader of the output ends before the run."""
    folder = place()

    def close() -> None:
        read, write = os.pipe()
        os.close(read)
        os.dup2(write, 1)
        sys.stdout = os.fdopen(1, "w", closefd=False)  # of a pipe, which cannot seek

    ended = call(folder, *RUN, prepare=close)
    text = f"{ended.line.partition(' line')[0]} lines; output there: {(folder / 'run').exists()}"
    shutil.rmtree(folder)
    return text


def other_editor() -> str:
    """A byte-order mark in front and ends of lines of two signs."""
    folder = place()
    call(folder, *RUN)
    wanted = content_of(folder / "run")
    (folder / "s.toml").write_bytes(b"\xef\xbb\xbf" + STUDY.replace("\n", "\r\n").encode())
    ended = call(folder, *RUN)
    equal = content_of(folder / "run") == wanted
    shutil.rmtree(folder)
    return f"exit {ended.code}, {'equal' if equal else 'OTHER'} bytes"


def two_at_once() -> str:
    """Two runs into one cache and one folder at the same time."""
    folder = place()
    call(folder, *RUN)
    wanted = content_of(folder / "run")
    shutil.rmtree(folder / "run")
    shutil.rmtree(folder / "cache")
    both = [begin(folder, *RUN, name=f"run{number}") for number in range(2)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in both]
    said = [(folder / f"run{number}.err").read_text() for number in range(2)]
    equal = (folder / "run").exists() and content_of(folder / "run") == wanted
    traces = sum("Traceback" in text for text in said)
    shutil.rmtree(folder)
    return f"exit codes {codes}, {traces} tracebacks, {'equal' if equal else 'OTHER'} bytes"


def changed_input() -> str:
    """An image of the set is replaced while the run is on its way."""
    folder = place()
    seconds = call(folder, *RUN).seconds
    shutil.rmtree(folder / "run")
    shutil.rmtree(folder / "cache")
    process = begin(folder, *RUN)
    time.sleep(0.5 * seconds)
    images = sorted((folder / "set" / "images").iterdir())
    shutil.copyfile(images[3], images[0])
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    text = (
        f"exit {code}: {(folder / 'said.err').read_text().strip()[-170:]!r}; output there: {(folder / 'run').exists()}"
    )
    shutil.rmtree(folder)
    return text


def workers() -> str:
    """The same bytes for 1, 2 and 4 workers, each from an empty cache."""
    folder, contents = place(), []
    for jobs in (1, 2, 4):
        command = [*RUN[:-1], str(jobs)]
        environment = os.environ | {"NEUROCOMPARE_CACHE": str(folder / f"cache{jobs}")}
        subprocess.run([sys.executable, "-m", "neurocompare", *command, "-q"], cwd=folder, env=environment, check=True)
        contents.append(content_of(folder / "run"))
    shutil.rmtree(folder)
    return f"{len(contents[0])} files, {'equal' if contents[0] == contents[1] == contents[2] else 'OTHER'} bytes"


def few_files() -> None:
    """At most 64 open files."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def cases(n_kills: int) -> dict[str, Callable[[], str]]:
    """All faults by name."""
    accents = {"NEUROCOMPARE_CACHE": "FOLDER/cache of José 😀"}
    homeless = {"HOME": None, "XDG_CACHE_HOME": None, "USER": None}
    return {
        f"run, {n_kills} SIGKILLs": lambda: killed(RUN, n_kills),
        f"train, {n_kills} SIGKILLs": lambda: killed(TRAIN, n_kills),
        f"render, {n_kills} SIGKILLs": lambda: killed(RENDER, n_kills),
        "SIGINT": lambda: told_to_end(signal.SIGINT),
        "SIGTERM": lambda: told_to_end(signal.SIGTERM),
        "full disk: output": lambda: without_room("output"),
        "full disk: cache": lambda: without_room("cache"),
        "full disk: temporary folder": lambda: without_room("temporary"),
        "read-only cache": read_only_cache,
        "64 open files": lambda: surroundings({}, few_files),
        "no HOME": lambda: surroundings(homeless),
        "LANG=C": lambda: odd_names({"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0"}),
        "20 columns": lambda: surroundings({"COLUMNS": "20"}),
        "closed output": closed_output,
        "CRLF and a byte-order mark": other_editor,
        "cache path with blanks and accents": lambda: surroundings(accents),
        "two runs, one cache, one folder": two_at_once,
        "input changed during a run": changed_input,
        "1, 2 and 4 workers": workers,
    }


def main() -> None:
    """Print one line a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("cases", nargs="*", help="parts of names; all, where none is given")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    # Everything heavy is imported here once, and copied into every process.
    import neurocompare.measures
    import neurocompare.study.runner
    import neurocompare.study.training_runs  # noqa: F401

    for name, case in cases(options.kills).items():
        if options.cases and not any(part in name for part in options.cases):
            continue
        start = time.monotonic()
        print(f"{name:<36} {case()} ({time.monotonic() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
