"""Progress in notebooks: a bar that is updated in place, and nothing outside of a notebook."""

from __future__ import annotations

import re
import sys
from types import ModuleType, SimpleNamespace

import pytest

from neurocompare import notebook_progress
from neurocompare.notebook_progress import progress_or_bar
from neurocompare.progress_lines import no_progress


@pytest.fixture
def cell(monkeypatch):
    """What a notebook's cell shows, one text per drawing; IPython is played by a module of two names."""
    drawn: list[str] = []
    shell, display = ModuleType("IPython"), ModuleType("IPython.display")
    shell.get_ipython = lambda: SimpleNamespace(kernel=object())
    display.HTML = str
    display.display = lambda text, **_: drawn.append(text) or SimpleNamespace(update=drawn.append)
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(notebook_progress, "LEAST_SECONDS", 0.0)
    return drawn


def test_a_notebook_shows_a_bar_that_moves_and_ends(cell):
    with progress_or_bar(None) as tell:
        tell("fits <b>", 0.25)
        tell("report", 0.75)
    assert [re.findall(r'value="([\d.]+)"', text) for text in cell] == [["0.000"], ["0.250"], ["0.750"], []]
    assert "25% fits &lt;b&gt;" in cell[1]
    assert "done after" in cell[-1]


def test_a_bar_says_that_a_run_was_stopped(cell):
    with pytest.raises(KeyboardInterrupt), progress_or_bar(None):
        raise KeyboardInterrupt
    assert "stopped after" in cell[-1]


def test_the_callers_own_callback_comes_first(cell):
    mine = lambda _name, _share: None  # noqa: E731
    with progress_or_bar(mine) as tell:
        assert tell is mine
    assert not cell


@pytest.mark.parametrize("shell", [None, SimpleNamespace(get_ipython=lambda: None)])
def test_nothing_is_shown_outside_of_a_notebook(monkeypatch, shell):
    monkeypatch.setitem(sys.modules, "IPython", shell)
    with progress_or_bar(None) as tell:
        assert tell is no_progress
