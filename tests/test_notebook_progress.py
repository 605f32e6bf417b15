"""Progress in notebooks: a bar that is updated in place, and nothing outside of a notebook."""

from __future__ import annotations

import re
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from neurocompare import compute_model_rdms, infer_fits, load_model, notebook_progress
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


def test_a_step_within_a_run_draws_no_bar_of_its_own(cell):
    with progress_or_bar(None), progress_or_bar(None) as within:
        assert within is no_progress
    with progress_or_bar(None) as tell:
        assert tell is not no_progress


def test_what_is_done_at_once_leaves_nothing_below_the_cell(cell):
    with progress_or_bar(None, brief=60.0) as tell:
        tell("fits", 0.5)
    assert cell[-1] == ""


def test_fits_and_rdms_tell_what_they_are_at(faces):
    """Shares grow from 0 to 1 and steps have names; nothing is printed outside of a notebook."""
    told: list[tuple[str, float]] = []
    layers = compute_model_rdms(load_model("cnn-small"), faces, ["conv1", "fc1"], batch_size=8,
                                progress=lambda *step: told.append(step))  # fmt: skip
    assert told[-1] == ("cnn-small: 30 of 30 stimuli, pass 1 of 1", 1.0)
    assert [share for _, share in told] == sorted(share for _, share in told)
    assert len(told) == 4  # batches of eight
    told.clear()
    patch = layers[0].copy()
    patch.rdm_descriptors = {"region": ["IT"]}
    infer_fits(layers, patch, n_draws=10, n_permutations=10, progress=lambda *step: told.append(step),
               rng=np.random.default_rng(0))  # fmt: skip
    assert [name for name, _ in told] == [
        "noise ceilings",
        "fits on 10 draws",
        "standard errors",
        "fits to 10 permutations of identities",
    ]


@pytest.mark.parametrize("shell", [None, SimpleNamespace(get_ipython=lambda: None)])
def test_nothing_is_shown_outside_of_a_notebook(monkeypatch, shell):
    monkeypatch.setitem(sys.modules, "IPython", shell)
    with progress_or_bar(None) as tell:
        assert tell is no_progress
