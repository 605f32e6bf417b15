"""Processor time of bare forward passes by images at a time, with memory as the system gives it and kept for reuse.

``python -m tests.benchmarks.batches [NETWORK]`` prints a table (a minute); each row runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys

import numpy as np
import pandas as pd
import torch

from neurocompare.models.registry import load_model
from neurocompare.processes import keep_memory
from neurocompare.representations.activations import images_at_once

N_IMAGES = 64
SIZES = (1, 4, 16, 64)


def measured(name: str, batch_size: int, *, keeps: bool) -> dict[str, float]:
    """Milliseconds of processor time an image, those of the system among them, and peak memory of this process."""
    if keeps:
        keep_memory()
    network = load_model(name)
    side = network.preprocessing.size
    images = np.random.default_rng(0).random((batch_size, 3, side, side), dtype=np.float32)
    network.forward(images)
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(N_IMAGES // batch_size):
        network.forward(images)
    after = resource.getrusage(resource.RUSAGE_SELF)
    system = (after.ru_stime - before.ru_stime) / N_IMAGES
    return {
        "ms": 1e3 * (system + (after.ru_utime - before.ru_utime) / N_IMAGES),
        "system_ms": 1e3 * system,
        "peak_mb": after.ru_maxrss / 1e3,
        "chosen": images_at_once(network, N_IMAGES),
    }


def main() -> None:
    """Print the table, or one row of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", nargs="?", default="efficientnet-lite0")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--keeps", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        torch.set_num_threads(1)
        print(json.dumps(measured(options.network, options.one, keeps=options.keeps)))
        return
    rows = []
    for keeps in (False, True):
        for size in SIZES:
            command = [sys.executable, "-m", "tests.benchmarks.batches", options.network, "--one", str(size)]
            command += ["--keeps"] if keeps else []
            environment = os.environ | {"OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            rows.append({"memory_kept": keeps, "at_once": size, **json.loads(done.stdout.splitlines()[-1])})
    print(pd.DataFrame(rows).round(1).to_string(index=False))


if __name__ == "__main__":
    main()
