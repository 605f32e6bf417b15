"""Processor time of the first minute: a small study the first time and again, its check, and the help.

``python -m tests.benchmarks.first_minute`` (a minute) runs every command in a process of its own, with a cache that is
empty at first, and prints seconds of processor time (user and system, with the processes that it starts).
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from neurocompare.places import CACHE_VARIABLE

STUDY = """\
[stimuli]
source = "faces"
n_identities = 4
size = 64

[[models]]
name = "cnn-small"
layers = ["conv4", "fc1"]

[recording]
n_neurons = 20
n_repetitions = 2

[comparison]
n_draws = 50
n_splits = 4
"""


def seconds(folder: Path, *arguments: str) -> float:
    """Processor time of one command, which has to succeed."""
    call = "import sys; from neurocompare.cli import main; main(sys.argv[1:])"
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = os.environ | threads | {CACHE_VARIABLE: str(folder / "cache")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", call, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    """Print the table of ``README.md``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = folder / "study.toml"
        study.write_text(STUDY, encoding="utf-8")
        run = ["run", str(study), "--out", str(folder / "run"), "--jobs", "1", "--quiet"]
        print(f"neurocompare run, first: {seconds(folder, *run):.1f} s", flush=True)
        # A comment makes it another study, whose steps are all in the cache.
        study.write_text(f"{STUDY}# again\n", encoding="utf-8")
        print(f"the same with every step in the cache: {seconds(folder, *run):.1f} s", flush=True)
        print(f"the same again: {seconds(folder, *run):.2f} s", flush=True)
        print(f"neurocompare run --check: {seconds(folder, 'run', str(study), '--check'):.1f} s", flush=True)
        print(f"neurocompare --help: {seconds(folder, '--help'):.2f} s", flush=True)


if __name__ == "__main__":
    main()
