"""Shapes that signatures state are checked during the tests, and only then."""

from __future__ import annotations

import importlib
import inspect
import re

import numpy as np
import pytest

from neural_data import axes as notation
from neurocompare.comparison.crossed_anova import crossed_outcome
from neurocompare.comparison.fits import fits_on_counts
from neurocompare.representations.units import mirror_tuning_scores
from tests.conftest import REPOSITORY

for _needed in ("jaxtyping", "beartype"):
    pytest.importorskip(_needed, reason=f"{_needed} is not installed; 'make' installs it")
from tests import checked_axes  # noqa: E402


@pytest.mark.parametrize("name", checked_axes.MODULES)
def test_every_checked_module_has_functions_that_are_checked(name):
    module = importlib.import_module(name)
    own = [value for value in vars(module).values() if inspect.isfunction(value) and value.__module__ == name]
    stating = [value for value in own if checked_axes.states_shapes(value)]
    assert stating
    assert all(hasattr(value, "__wrapped__") for value in stating)


@pytest.mark.parametrize(
    ("call", "wrong"),
    [
        (lambda: fits_on_counts(np.zeros((2, 6)), np.zeros((1, 10)), None), "recordings"),
        (lambda: fits_on_counts(np.zeros((2, 6)), np.zeros((1, 6)), np.ones((3, 4))), "counts"),
        (lambda: crossed_outcome(np.zeros((3, 4)), np.zeros((3, 5)), paired=True), "second"),
        (lambda: mirror_tuning_scores(np.zeros(5), [-90, -45, 0, 45, 90]), "tuning"),
    ],
    ids=["other pairs", "counts that are not whole", "other exemplars", "one axis too few"],
)
def test_arrays_whose_axes_do_not_fit_are_named(call, wrong):
    with pytest.raises(TypeError, match=f"[Pp]arameter.*{wrong}"):
        call()


def test_the_packages_need_no_jaxtyping():
    naming = [
        path
        for path in (*REPOSITORY.glob("neurocompare/**/*.py"), *REPOSITORY.glob("neural_data/**/*.py"))
        if re.search(r"^\s*(import|from) jaxtyping", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert naming == []
    assert set(checked_axes.NAMES) == set(notation.__all__)
