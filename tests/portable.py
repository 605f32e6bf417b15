"""The numeric tests on other kernels: ``make portable`` (``python -m tests.portable [--numpy VERSION] [PYTEST ...]``).

BLAS, NumPy and torch choose their code by the processor, so that the last digits of a sum differ between machines.
OpenBLAS runs the code of another processor where ``OPENBLAS_CORETYPE`` names it; NumPy and torch have such switches
too. Every pass below gives all three of them one processor's code and a number of threads; a further one takes another
version of NumPy from the package index. What passes here hangs on no rounding of this machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
NUMERIC = ("comparison", "measures", "models", "neural_data", "representations", "stimuli")
"""Folders of tests whose subject is numbers."""
OTHERS = {
    "benchmarks": "times, run on demand",
    "fuzz": "damaged input, whose refusals are texts",
    "reporting": "pages and files",
    "study": "whole runs of what the numeric rooms compute, compared byte by byte on one machine",
}
"""Folders whose subject is something else."""
THREADS = (1, 2)
OTHER_NUMPY = "2.2.6"


@dataclass(frozen=True)
class Kernel:
    """Code of one kind of processor.

    Parameters
    ----------
    name : str
        As ``OPENBLAS_CORETYPE`` takes it.
    needs : frozenset of str
        What the processor must have, as ``/proc/cpuinfo`` calls it.
    numpy_without : str
        Extensions that NumPy leaves alone.
    torch : str
        Extensions that torch uses.
    """

    name: str
    needs: frozenset[str]
    numpy_without: str
    torch: str


KERNELS = (
    Kernel("Prescott", frozenset({"pni"}), "X86_V3 X86_V4", "default"),
    Kernel("Sandybridge", frozenset({"avx"}), "X86_V3 X86_V4", "default"),
    Kernel("Haswell", frozenset({"avx2", "fma"}), "X86_V4", "avx2"),
    Kernel("Zen", frozenset({"avx2", "fma"}), "X86_V4", "avx2"),
    Kernel("SkylakeX", frozenset({"avx512f", "avx512bw"}), "", "avx512"),
)
PROBE = """
import json, numpy, scipy.linalg, threadpoolctl
blas = [pool for pool in threadpoolctl.threadpool_info() if pool["internal_api"] == "openblas"]
print(json.dumps({"numpy": numpy.__version__, "runs": sorted({(p["architecture"], p["num_threads"]) for p in blas})}))
"""


def main() -> int:
    """Run the passes one after the other and print what each ran on, its time and its result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numpy", default=OTHER_NUMPY, help="further version to try; 'none' leaves it out")
    parser.add_argument("--kernel", action="append", choices=[kernel.name for kernel in KERNELS], help="only this one")
    options, pytest_options = parser.parse_known_args()
    tests = [str(HERE / room) for room in NUMERIC]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-n", "2", *(pytest_options or tests)]
    flags = processor_flags()
    seen, failed = set(), []
    for kernel in KERNELS:
        if options.kernel and kernel.name not in options.kernel:
            continue
        if not kernel.needs <= flags:
            print(f"{kernel.name:<12} not on this processor: it lacks {', '.join(sorted(kernel.needs - flags))}")
            continue
        for n_threads in THREADS:
            environment = environment_of(kernel, n_threads)
            runs = probe(environment)["runs"]
            if str(runs) in seen:
                print(f"{kernel.name:<12} {n_threads} thread(s): as a kernel above ({said(runs)})", flush=True)
                continue
            seen.add(str(runs))
            failed += one_pass(f"{kernel.name}, {n_threads} thread(s)", command, environment)
    if options.numpy != "none":
        with tempfile.TemporaryDirectory() as folder:
            install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder]
            subprocess.run([*install, f"numpy=={options.numpy}"], check=True)
            environment = os.environ | {"PYTHONPATH": folder, "OPENBLAS_NUM_THREADS": "2"}
            failed += one_pass(f"NumPy {options.numpy}", command, environment)
    print("all passes end well" if not failed else f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def environment_of(kernel: Kernel, n_threads: int) -> dict[str, str]:
    """Variables under which OpenBLAS, NumPy and torch run one processor's code."""
    chosen = {
        "OPENBLAS_CORETYPE": kernel.name,
        "ATEN_CPU_CAPABILITY": kernel.torch,
        "NPY_DISABLE_CPU_FEATURES": " ".join(set(kernel.numpy_without.split()) & numpy_extensions()),
    }
    if not kernel.needs & {"avx2", "avx512f"}:
        chosen |= {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    threads = {name: str(n_threads) for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    return os.environ | threads | chosen


def numpy_extensions() -> set[str]:
    """Extensions that this NumPy would use here; it refuses the names of others."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    return {name for name in __cpu_dispatch__ if __cpu_features__.get(name)}


def processor_flags() -> set[str]:
    """What this processor has, as Linux says it; nothing elsewhere."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return {flag for line in lines if line.startswith("flags") for flag in line.partition(":")[2].split()}


def probe(environment: dict[str, str]) -> dict:
    """Version of NumPy, and kernels and threads of the BLAS libraries that run there."""
    return json.loads(subprocess.check_output([sys.executable, "-c", PROBE], env=environment, text=True))


def said(runs: list) -> str:
    """Kernels as a text."""
    return ", ".join(f"{name} on {threads}" for name, threads in runs)


def one_pass(name: str, command: list[str], environment: dict[str, str]) -> list[str]:
    """Run the tests once; gives the name where they fail."""
    found, start = probe(environment), time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=HERE.parent, text=True, stdout=subprocess.PIPE)
    last = (done.stdout.strip().splitlines() or ["no output"])[-1]
    about = f"NumPy {found['numpy']}, BLAS {said(found['runs'])}"
    print(f"{name:<24} {about}: {last} ({time.perf_counter() - start:.0f} s)", flush=True)
    if done.returncode:
        print("\n".join(line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))), flush=True)
        return [name]
    return []


if __name__ == "__main__":
    sys.exit(main())
