"""Runs tasks on several processes of one machine, or on a Dask cluster, with the same results everywhere.

The number of threads per task is set by the caller and does not depend on the number of workers, since sums split over
threads may differ in their last bits.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence

import joblib
import torch
from joblib.externals.loky import process_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_limits

from neural_data.errors import InputError
from neurocompare.processes import delayed
from neurocompare.study.cache import Result

__all__ = ["Task", "n_cores", "run_tasks", "threads_per_task"]

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10
DASK_AHEAD = 4
"""Tasks sent to a cluster at a time, per worker."""
Task = tuple[Callable[..., Result], tuple[object, ...]]
"""A function and its arguments."""


def n_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_per_task(n_tasks: int) -> int:
    """Threads per task if ``n_tasks`` tasks share all cores, independent of the number of workers."""
    return max(1, n_cores() // max(1, n_tasks))


def run_tasks(
    tasks: Sequence[Task[Result]], *, n_threads: int, n_jobs: int | None = None, dask: str | None = None
) -> Iterator[tuple[int, Result]]:
    """Results of tasks as they finish.

    Parameters
    ----------
    tasks : sequence of (callable, arguments)
        Functions of a module, and arguments that can be sent to another process.
    n_threads : int
        Threads that a task may use.
    n_jobs : int or None
        Worker processes; 1 runs all tasks in this process. None: one per core, at most one per task.
    dask : str or None
        Address of a Dask scheduler that takes the tasks instead.

    Yields
    ------
    position : int
        Position of the task.
    result : object

    Raises
    ------
    InputError
        If a worker process dies, or there is no scheduler at the address. Results yielded before are complete.
    """
    n_jobs = min(len(tasks), n_jobs or max(1, n_cores() // n_threads))
    if dask is not None:
        yield from _on_dask(tasks, dask, n_threads)
    elif n_jobs <= 1:
        for position, (function, arguments) in enumerate(tasks):
            yield position, _limited(function, arguments, n_threads)
    else:
        yield from _on_processes(tasks, n_jobs, n_threads)


def _on_processes(tasks: Sequence[Task[Result]], n_jobs: int, n_threads: int) -> Iterator[tuple[int, Result]]:
    calls = (
        delayed(_numbered)(position, function, arguments, n_threads)
        for position, (function, arguments) in enumerate(tasks)
    )
    # Tasks are sent one by one, so that no more arguments are in transit than workers can process.
    pool = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1, pre_dispatch=n_jobs)
    try:
        yield from pool(calls)
    except TerminatedWorkerError as error:
        raise InputError(
            "a worker process died, most likely because memory ran out; finished steps are kept: run again, with "
            f"fewer workers (--jobs {max(1, n_jobs // 2)})"
        ) from error


def _on_dask(tasks: Sequence[Task[Result]], address: str, n_threads: int) -> Iterator[tuple[int, Result]]:
    try:
        import distributed
    except ImportError as error:
        raise InputError(
            f"--dask needs the package distributed ({error}); install the extra: pip install 'neurocompare[cluster]'"
        ) from error
    with contextlib.ExitStack() as stack:
        try:
            client = stack.enter_context(distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False))
        except (OSError, ValueError, TimeoutError) as error:
            raise InputError(
                f"--dask {address}: no Dask scheduler answers there ({error}); start one with 'dask scheduler' and "
                "name the address that it prints, such as tcp://127.0.0.1:8786"
            ) from error
        n_workers = len(client.scheduler_info(n_workers=-1)["workers"])
        log.info("Dask scheduler %s with %d workers", address, n_workers)
        # Tasks contain stimuli: only as many are sent as keep the workers busy, to limit the scheduler's memory.
        coming = iter(enumerate(tasks))
        futures = {}
        done = distributed.as_completed(loop=client.loop)

        def hand_out(n: int) -> None:
            for position, (function, arguments) in itertools.islice(coming, n):
                future = client.submit(_limited, function, arguments, n_threads, pure=False)
                futures[future] = position
                done.add(future)

        hand_out(DASK_AHEAD * max(1, n_workers))
        while futures:
            future = next(done)
            try:
                result = future.result()
            except distributed.KilledWorker as error:
                raise InputError(
                    f"--dask {address}: the workers that computed a step died, most likely because memory ran out; "
                    "finished steps are kept: run again with larger workers"
                ) from error
            position = futures.pop(future)
            future.release()
            hand_out(1)
            yield position, result


def _numbered(
    position: int, function: Callable[..., Result], arguments: tuple[object, ...], n_threads: int
) -> tuple[int, Result]:
    # Joblib restarts workers whose memory has grown by 300 MB, as a suspected leak, which costs seconds of imports;
    # ours grow by the size of their tasks.
    process_executor._MAX_MEMORY_LEAK_SIZE = math.inf
    return position, _limited(function, arguments, n_threads)


def _limited(function: Callable[..., Result], arguments: tuple[object, ...], n_threads: int) -> Result:
    """Result of a function, run with ``n_threads`` threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        with threadpool_limits(n_threads):
            return function(*arguments)
    finally:
        torch.set_num_threads(before)
