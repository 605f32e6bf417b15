"""How the program ends: signals, closed output, other people's code, and progress where there is no terminal."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from neurocompare import progress_lines as lines
from neurocompare.cli import main
from neurocompare.interrupts import Stopped, stoppable
from neurocompare.progress_lines import progress_lines

UNIX = pytest.mark.skipif(os.name != "posix", reason="signals of Unix")


@pytest.fixture
def heard():
    """Signals as a terminal leaves them: a test that runs in the background was started with some of them ignored."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@UNIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.usefixtures("heard")
def test_a_signal_is_an_exception_and_what_was_set_before_is_set_again(number):
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stopped, stoppable():  # noqa: PT012
        os.kill(os.getpid(), number)
        time.sleep(1)
    assert stopped.value.exit_code == 128 + number
    assert signal.getsignal(number) == before


@UNIX
def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@UNIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("heard")
def test_a_run_that_is_told_to_end_says_one_line_and_leaves_nothing(small_study, tmp_path, capsys, monkeypatch, number):
    def stopped_while_planning(*_arguments, **_options):
        assert len(list(tmp_path.glob(".neurocompare.new.*"))) == 1
        os.kill(os.getpid(), number)
        time.sleep(1)

    monkeypatch.setattr("neurocompare.study.runner.plan_study", stopped_while_planning)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(small_study), "--out", str(tmp_path / "run")])
    assert stopped.value.code == 128 + number
    said = capsys.readouterr().err.strip().splitlines()
    assert said == [f"ended by {number.name}; finished steps are kept, and the same command goes on from them"]
    assert sorted(tmp_path.rglob("*")) == before


STARTER = """
import os, sys, time
from joblib import Parallel
from neurocompare.processes import delayed
from tests.test_interrupts import told_and_asleep
Parallel(n_jobs=2)(delayed(told_and_asleep)(sys.argv[1], number) for number in range(2))
"""


def told_and_asleep(folder, number):
    with open(os.path.join(folder, str(number)), "w") as file:
        file.write(str(os.getpid()))
    time.sleep(120)


def is_running(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="processes are looked up in /proc")
def test_workers_end_with_the_process_that_started_them_even_where_it_is_killed(tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path)], env=environment, cwd=os.getcwd())
    try:
        deadline = time.monotonic() + 60
        while not all((tmp_path / name).exists() and (tmp_path / name).read_text() for name in "01"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        workers = [int((tmp_path / name).read_text()) for name in "01"]
        assert all(map(is_running, workers))
    finally:
        starter.kill()
        starter.wait()
    deadline = time.monotonic() + 20
    while any(map(is_running, workers)):
        assert time.monotonic() < deadline
        time.sleep(0.1)


CODE = {  # what stands in the module, and what is said of it
    "at import": ("raise KeyError('no such thing')", "cannot be imported", "line 1"),
    "exit at import": ("import sys; sys.exit('bye')", "cannot be imported", "line 1"),
    "when called": ("def net():\n    return 1 / 0\n", "could not be made here", "line 2"),
    "shown images": (
        "import torch\nclass net(torch.nn.Module):\n    def forward(self, x):\n        return self.nothing\n",
        "cannot process images",
        "line 4",
    ),
    "exit when shown images": (
        "import torch\nclass net(torch.nn.Module):\n    def forward(self, x):\n        raise SystemExit(0)\n",
        "cannot process images",
        "line 4",
    ),
}


@pytest.mark.parametrize("case", CODE)
def test_what_somebodys_network_raises_is_shown_with_its_place(tmp_path, monkeypatch, capsys, case):
    code, said, place = CODE[case]
    name = f"brought_{abs(hash(case))}"
    (tmp_path / f"{name}.py").write_text(code)
    (tmp_path / "s.toml").write_text(f'[[models]]\nname = "{name}:net"\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["run", "s.toml", "--check"])
    assert stopped.value.code == 2
    shown = capsys.readouterr().err
    assert said in shown.replace("\n", " ")
    assert "Traceback of the code that was brought" in shown
    assert f'{name}.py", {place}' in shown
    assert "neurocompare/" not in shown.partition("error:")[0]
    assert "defect" not in shown


def test_a_check_without_imports_runs_none_of_the_code(tmp_path, monkeypatch, capsys):
    (tmp_path / "never.py").write_text("raise SystemExit('it ran')")
    (tmp_path / "s.toml").write_text('[[models]]\nname = "never:net"\n[[models]]\nname = "pixels"\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["run", "s.toml", "--check", "--no-import"])
    assert not stopped.value.code
    assert "not imported, and so not checked: never:net" in capsys.readouterr().out
    (tmp_path / "s.toml").write_text('[[models]]\nname = "never:net"\n[[models]]\nname = "pixls"\n')
    with pytest.raises(SystemExit) as stopped:
        main(["run", "s.toml", "--check", "--no-import"])
    assert stopped.value.code == 2
    with pytest.raises(SystemExit) as stopped:
        main(["run", "s.toml", "--out", "x", "--no-import"])
    assert stopped.value.code == 2


def test_progress_without_a_terminal_is_a_line_now_and_then(monkeypatch):
    for name, seconds in {"FIRST_SECONDS": 0.05, "NEWS_SECONDS": 0.1, "STILL_SECONDS": 0.4}.items():
        monkeypatch.setattr(lines, name, seconds)
    said = []
    with progress_lines(said.append) as tell:
        tell("reading", 0.0)
        tell("presenting", 0.25)
        time.sleep(0.6)
        tell("fits", 0.5)
        time.sleep(0.15)
    steps = [line.split("  ")[-1] for line in said]
    assert steps[:3] == ["presenting", "presenting", "fits"]
    assert said[0].startswith("0:00:00   25%")
    with progress_lines(said.append) as tell:
        tell("a short run", 1.0)
    assert "a short run" not in said[-1]


@UNIX
def test_output_that_is_closed_is_no_traceback():
    program = textwrap.dedent(
        """
        import os, sys
        read, write = os.pipe()
        os.close(read)
        os.dup2(write, 1)
        from neurocompare.cli import main
        main(["schema"])
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=os.getcwd())
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.parametrize("content", ["a = " + "[" * 5000, "x" * 3_000_000, "\0", "a = 1" + "0" * 5000])
def test_a_study_file_that_is_none_is_one_message(tmp_path, capsys, content):
    (tmp_path / "s.toml").write_text(content)
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(tmp_path / "s.toml"), "--check"])
    assert stopped.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


@UNIX
def test_a_fifo_in_the_place_of_a_study_is_not_waited_for(tmp_path, capsys):
    os.mkfifo(tmp_path / "s.toml")
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(tmp_path / "s.toml"), "--check"])
    assert stopped.value.code == 2
    assert "a FIFO" in capsys.readouterr().err.replace("\n", " ")


def test_a_study_of_another_systems_editor_is_the_same_study(small_study, capsys):
    text = small_study.read_text()
    small_study.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(small_study), "--check"])
    assert not stopped.value.code


def test_a_warning_is_said_once_and_progress_each_time():
    once = lines.SaidOnce()

    def passes(level, message):
        return once.filter(logging.LogRecord("net", level, "", 0, message, (), None))

    assert [passes(logging.WARNING, text) for text in ("seed 0", "seed 0", "seed 1")] == [True, False, True]
    assert [passes(logging.INFO, "step") for _ in range(2)] == [True, True]
