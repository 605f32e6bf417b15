"""What a Dask scheduler costs on local workers, and what shares of layers buy with 64 workers, by a model.

``python -m tests.benchmarks.cluster`` (two minutes on two cores) starts a scheduler and two workers on this machine and
gives them the layer RDMs of random starts of ``cnn-small`` for 900 images, one task a network, then the same in
shares of layers. The rest is a model: the same tasks, given out in order to 64 workers as they become free.
"""

from __future__ import annotations

import argparse
import heapq
import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from neural_data import StimulusSet
from neurocompare.models.registry import load_model
from neurocompare.representations.activations import Presentation
from neurocompare.representations.model_rdms import RdmRequest, compute_rdm_requests, divide_layers
from neurocompare.study.workers import run_tasks

N_IMAGES, SIZE = 900, 32
MEMORY = Presentation(memory_mb=90)
"""Less than usual, so that this small network takes several passes, as larger ones do."""
REQUESTS = {"all": RdmRequest()}


def share(stimuli: StimulusSet, seed: int, layers: Sequence[str] | None) -> tuple[float, float]:
    """Compute the RDMs of some layers of one random start; seconds on the clock and of processor time."""
    started = np.array([time.perf_counter(), time.process_time()])
    network = load_model("cnn-small", seed=seed)
    compute_rdm_requests(network, stimuli, "all", REQUESTS, presentation=MEMORY, only=layers)
    clock, processor = np.array([time.perf_counter(), time.process_time()]) - started
    return clock, processor


def ends_after(seconds: Sequence[float], n_workers: int, *, overhead: float = 0.0) -> float:
    """Time until all tasks are done when they are given out in order to whoever is free."""
    free = [0.0] * n_workers
    for one in seconds:
        heapq.heapreplace(free, free[0] + one + overhead)
    return max(free)


def main() -> None:
    """Print the table of ``README.md``."""
    import distributed

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=24)
    chosen = parser.parse_args()
    stimuli = _stimuli()
    shares = divide_layers(load_model("cnn-small"), stimuli, "all", REQUESTS, 4, presentation=MEMORY)
    kinds: dict[str, list[list[str] | None]] = {"a network a task": [None], f"{len(shares)} shares": [*shares]}
    work = {}
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address
        list(run_tasks([(share, (stimuli, 0, None))] * 4, n_threads=1, dask=address))  # imports are made once
        for name, layers in kinds.items():
            tasks = [(share, (stimuli, seed, part)) for seed in range(chosen.networks) for part in layers]
            started = time.perf_counter()
            clock, processor = zip(*(found for _, found in run_tasks(tasks, n_threads=1, dask=address)), strict=True)
            wall, work[name] = time.perf_counter() - started, sum(processor)
            beside = 1 - ends_after(clock, 2) / wall
            print(
                f"{name}: {len(tasks)} tasks of {np.mean(processor):.2f} s, {wall:.1f} s in all; the scheduler takes "
                f"{beside:.1%} of two workers, {beside * 2 * wall / len(tasks) * 1e3:.0f} ms a task",
                flush=True,
            )
    whole, divided = work.values()
    print(f"shares take {divided / whole - 1:.0%} more processor time than whole networks (passes that start anew)")
    rows = []
    for n_networks in (100, 20):
        for n in sorted({1, max(1, 64 // n_networks)}):
            extra = 0.0 if n == 1 else divided / whole - 1
            ends = ends_after([120 * (1 + extra) / n] * (n_networks * n), 64, overhead=0.1)
            rows.append({"networks": n_networks, "shares": n, "ends after, s": ends})
    print("model of 64 workers, networks of 120 s, 0.1 s a task:")
    print(pd.DataFrame(rows).to_string(index=False, float_format="{:.0f}".format))


def _stimuli() -> StimulusSet:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (N_IMAGES, SIZE, SIZE, 3), dtype=np.uint8)
    names = pd.Index([f"s{i}" for i in range(N_IMAGES)], name="stimulus_id")
    return StimulusSet(pd.DataFrame({"filename": [f"{name}.png" for name in names]}, index=names), pixels=pixels)


if __name__ == "__main__":
    main()
