"""Runs tasks on several processes of one machine, or on a Dask cluster, with the same results everywhere.

The number of threads per task is set by the caller and does not depend on the number of workers, since sums split over
threads may differ in their last bits.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import logging
import math
import os
import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import joblib
import torch
from joblib.externals.loky import process_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_limits

from neural_data.errors import InputError
from neurocompare.processes import delayed
from neurocompare.study.cache import Result

__all__ = ["Shares", "Task", "n_cores", "run_tasks", "shares_per_task", "threads_per_task"]

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10
DASK_AHEAD = 4
"""Tasks sent to a cluster at a time, per worker."""
SHARED_BYTES = 1_000_000
"""From this size on, an argument of several tasks is sent to a cluster once."""
LOST_MEANWHILE = (OSError, TimeoutError, LookupError, ValueError, AssertionError, concurrent.futures.CancelledError)
"""What a cluster answers, by the moment at which it loses a worker, while it copies an argument to all of them.

The scheduler's ``scatter`` of distributed 2026.8 looks up lost workers (KeyError), finds none left (ValueError), copies
that are gone (AssertionError), or closed connections (OSError).
"""
Task = tuple[Callable[..., Result], tuple[object, ...]]
"""A function and its arguments."""
Shares = tuple[list[tuple[Callable[..., Any], tuple[object, ...]]], Callable[[list[Any]], Any]]
"""Tasks that give a step's result together, and the function that joins their results."""


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
        What the task returned.

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


def shares_per_task(n_tasks: int, dask: str) -> int:
    """Shares into which each of ``n_tasks`` tasks is best divided on a cluster: 1 unless there are more workers.

    Shares repeat parts of a task, so that they are worth it only for workers that would have nothing to do.
    """
    if not n_tasks:
        return 1
    with _client(dask) as client:
        return max(1, _n_workers(client) // n_tasks)


@contextlib.contextmanager
def _client(address: str) -> Iterator[Any]:
    """Connection to a Dask scheduler."""
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
        yield client


def _n_workers(client: Any) -> int:
    return max(1, len(client.scheduler_info(n_workers=-1)["workers"]))


def _on_dask(tasks: Sequence[Task[Result]], address: str, n_threads: int) -> Iterator[tuple[int, Result]]:
    with _client(address) as client:
        import distributed

        n_workers = _n_workers(client)
        log.info("Dask scheduler %s with %d workers", address, n_workers)
        shared = _Shared(client, tasks)
        # Only as many tasks are sent as keep the workers busy, to limit the scheduler's memory.
        coming = iter(range(len(tasks)))
        futures = {}
        done = distributed.as_completed(loop=client.loop)

        def hand_out(position: int, arguments: tuple[object, ...]) -> None:
            future = client.submit(_limited, tasks[position][0], arguments, n_threads, pure=False)
            futures[future] = position
            done.add(future)

        def hand_out_next(n: int) -> None:
            for position in itertools.islice(coming, n):
                hand_out(position, shared.sent(tasks[position][1]))

        hand_out_next(DASK_AHEAD * n_workers)
        while futures:
            future = next(done)
            position = futures.pop(future)
            try:
                result = future.result()
            except distributed.KilledWorker as error:
                raise InputError(
                    f"--dask {address}: the workers that computed a step died, most likely because memory ran out; "
                    "finished steps are kept: run again with larger workers"
                ) from error
            except concurrent.futures.CancelledError:
                # Every worker that held a shared argument is gone; from here on each task brings its own.
                shared.forget()
                hand_out(position, tasks[position][1])
                continue
            future.release()
            hand_out_next(1)
            yield position, result


class _Shared:
    """Large arguments of several tasks, such as the stimuli, which a cluster gets once for all of them."""

    def __init__(self, client: Any, tasks: Sequence[Task[Any]]):
        self.client = client
        counts = Counter(id(value) for _, arguments in tasks for value in _values_in(arguments))
        self.repeated = {name for name, n in counts.items() if n > 1}
        self.futures: dict[int, Any] = {}

    def sent(self, arguments: tuple[object, ...]) -> tuple[object, ...]:
        """The arguments of a task with what the cluster has in place of large values."""
        return tuple(
            {name: self._replaced(one) for name, one in value.items()} if type(value) is dict else self._replaced(value)
            for value in arguments
        )

    def forget(self) -> None:
        """Send every argument with its task from now on."""
        self.repeated.clear()
        self.futures.clear()

    def _replaced(self, value: object) -> object:
        name = id(value)
        if name not in self.repeated:
            return value
        if name not in self.futures:
            if len(pickle.dumps(value)) < SHARED_BYTES:
                self.repeated.discard(name)
                return value
            try:
                (self.futures[name],) = self.client.scatter([value], broadcast=True, hash=False)
            except LOST_MEANWHILE:
                return value
        return self.futures[name]


def _values_in(arguments: tuple[object, ...]) -> Iterator[object]:
    for value in arguments:
        yield from value.values() if type(value) is dict else (value,)


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
