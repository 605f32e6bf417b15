"""Tasks give the same results wherever they run, and the death of a worker is survived or said."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from neural_data import InputError
from neurocompare import run_study
from neurocompare.study.workers import _Shared, run_tasks, shares_per_task, threads_per_task

TASKS = [(math.sqrt, (value,)) for value in range(5)]
ROOTS = {position: math.sqrt(position) for position in range(5)}


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_tasks_give_their_results_with_their_positions(n_jobs):
    assert dict(run_tasks(TASKS, n_threads=1, n_jobs=n_jobs)) == ROOTS


def test_nothing_to_do_is_done():
    assert list(run_tasks([], n_threads=1)) == []


def test_threads_do_not_multiply():
    assert threads_per_task(10_000) == 1
    assert threads_per_task(1) >= 1


_kept = []


def hold_memory(n_bytes):
    """Keeps so many bytes, long enough for joblib to look at them; the process that does it."""
    _kept[:] = [b"x" * n_bytes]
    time.sleep(1.1)
    return os.getpid()


@pytest.mark.slow
def test_workers_that_hold_memory_are_not_taken_for_leaking_ones():
    tasks = [(hold_memory, (size,)) for size in (1, 1, *[400_000_000] * 4)]
    assert len({pid for _, pid in run_tasks(tasks, n_threads=1, n_jobs=2)}) == 2


def test_a_dead_worker_is_said():
    tasks = [(os._exit, (1,)), (os._exit, (1,))]
    with pytest.raises(InputError, match=r"a worker process died.*finished steps are kept"):
        list(run_tasks(tasks, n_threads=1, n_jobs=2))


@pytest.fixture
def dask_cluster(tmp_path):
    """A scheduler and two workers in processes of their own; gives the address and the workers."""
    pytest.importorskip("distributed")
    python = [sys.executable, "-W", "ignore", "-m", "distributed.cli"]
    file = tmp_path / "scheduler.json"
    local = ["--host", "127.0.0.1", "--no-dashboard"]
    place = {"cwd": tmp_path, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    place["env"] = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    start = [*python[:-1], "distributed.cli.dask_scheduler", "--port", "0", *local, "--scheduler-file", str(file)]
    processes = [subprocess.Popen(start, **place)]
    worker = [*python[:-1], "distributed.cli.dask_worker", "--scheduler-file", str(file), "--nthreads", "1"]
    worker += ["--no-nanny", *local]
    processes += [subprocess.Popen(worker, **place) for _ in range(2)]
    try:
        import distributed

        deadline = time.monotonic() + 60
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        with distributed.Client(scheduler_file=str(file), set_as_default=False, timeout=60) as client:
            client.wait_for_workers(2, timeout=60)
            address = client.scheduler.address
        yield address, processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_dask_cluster_gives_the_same_and_survives_the_loss_of_a_worker(dask_cluster):
    address, workers = dask_cluster
    assert dict(run_tasks(TASKS, n_threads=1, dask=address)) == ROOTS
    tasks = [(time.sleep, (0.3,))] * 8
    done = []
    for position, result in run_tasks(tasks, n_threads=1, dask=address):
        done.append(position)
        assert result is None
        if len(done) == 1:
            os.kill(workers[0].pid, signal.SIGKILL)
    assert sorted(done) == list(range(8))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_study_on_a_dask_cluster_gives_equal_bytes_though_a_worker_is_killed(
    dask_cluster, small_study, tmp_path, monkeypatch
):
    address, workers = dask_cluster
    # Layers in shares and arguments sent once, as with many workers and large stimuli.
    divided = []

    def halves(record, *_):
        divided.append(record.label)
        return [list(record.layers[:1]), list(record.layers[1:])]

    monkeypatch.setattr("neurocompare.study.runner.shares_per_task", lambda *_: 2)
    monkeypatch.setattr("neurocompare.study.runner.shares_of_layers", halves)
    monkeypatch.setattr("neurocompare.study.workers.SHARED_BYTES", 1)
    overrides = {"models.0.seeds": [0, 1, 2, 3]}
    tables = {}
    for name, where in {"cluster": {"dask": address}, "alone": {"n_jobs": 1}}.items():
        monkeypatch.setenv("NEUROCOMPARE_CACHE", str(tmp_path / f"cache {name}"))
        presented = set()

        def kill_a_worker_once(label, _share, where=where, presented=presented):
            presented.add(label)
            # One network is done, others are at work.
            if "dask" in where and "cnn-small, untrained" in label and len(presented) == 3:
                os.kill(workers[0].pid, signal.SIGKILL)

        out = run_study(small_study, out=tmp_path / name, overrides=overrides, progress=kill_a_worker_once, **where).out
        tables[name] = {path.name: path.read_bytes() for path in out.glob("tables/*.csv")}
    assert workers[0].wait(timeout=5) == -signal.SIGKILL
    assert workers[1].poll() is None
    assert tables["cluster"] == tables["alone"]
    assert len(divided) >= 4


@pytest.mark.parametrize(("n_tasks", "n_workers", "shares"), [(0, 8, 1), (8, 8, 1), (5, 8, 1), (4, 8, 2), (1, 8, 8)])
def test_tasks_are_divided_only_for_workers_that_would_have_nothing_to_do(n_tasks, n_workers, shares, monkeypatch):
    client = SimpleNamespace(scheduler_info=lambda **_: {"workers": dict.fromkeys(range(n_workers))})
    monkeypatch.setattr("neurocompare.study.workers._client", lambda _address: contextlib.nullcontext(client))
    assert shares_per_task(n_tasks, "tcp://there") == shares


def size_of(values, _number):
    return len(values)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_arguments_that_the_cluster_has_lost_come_with_their_tasks(dask_cluster, monkeypatch):
    address, _ = dask_cluster
    monkeypatch.setattr("neurocompare.study.workers.SHARED_BYTES", 1)
    values = list(range(1000))
    tasks = [(size_of, (values, number)) for number in range(20)]
    scatter, lost = _Shared._replaced, []

    def lose_it(self, value):
        found = scatter(self, value)
        if found is not value:
            lost.append(value)
            found.cancel()
        return found

    monkeypatch.setattr(_Shared, "_replaced", lose_it)
    assert dict(run_tasks(tasks, n_threads=1, dask=address)) == dict.fromkeys(range(20), 1000)
    assert lost


@pytest.mark.parametrize("answer", [KeyError("tcp://127.0.0.1:1"), ValueError("no workers"), OSError("closed")])
def test_an_argument_comes_with_its_task_while_the_cluster_loses_a_worker(answer, monkeypatch):
    monkeypatch.setattr("neurocompare.study.workers.SHARED_BYTES", 1)
    answers = [answer, ["the future"]]

    def scatter(values, **_):
        if isinstance(answers[0], Exception):
            raise answers.pop(0)
        return answers[0]

    values = list(range(10))
    shared = _Shared(SimpleNamespace(scatter=scatter), [(size_of, (values, number)) for number in range(3)])
    assert [shared.sent((values, number))[0] for number in range(3)] == [values, "the future", "the future"]


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("neurocompare.study.workers.CONNECT_SECONDS", 1)
    with pytest.raises(InputError, match=r"--dask tcp://127.0.0.1:9: no Dask scheduler answers there"):
        list(run_tasks(TASKS, n_threads=1, dask="tcp://127.0.0.1:9"))
