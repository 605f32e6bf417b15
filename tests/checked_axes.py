"""Checks of the shapes that signatures state, while the tests run.

Signatures such as ``models: Float[np.ndarray, "models pairs"]`` are text for the packages, see ``neural_data.axes``.
During the tests, the functions of these modules that state shapes are wrapped when their module is imported, and raise
where axes of one name differ in length or an array has another type of numbers.
"""

from __future__ import annotations

import importlib.machinery
import inspect
import sys
from types import ModuleType

import jaxtyping
import numpy as np
from beartype import BeartypeConf, beartype

MODULES = (
    "neurocompare.comparison.crossed_anova",
    "neurocompare.comparison.fits",
    "neurocompare.comparison.identity_tests",
    "neurocompare.comparison.seed_tests",
    "neurocompare.representations.units",
)
CHECKER = beartype(conf=BeartypeConf(is_pep484_tower=True))
"""A whole number is a float where one is asked for, as for type checkers."""
NAMES = {name: getattr(jaxtyping, name) for name in ("Bool", "Float", "Integer")}


class _Loader(importlib.machinery.SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        vars(module).update(NAMES)
        for name, function in list(vars(module).items()):
            if inspect.isfunction(function) and function.__module__ == module.__name__ and states_shapes(function):
                setattr(module, name, jaxtyping.jaxtyped(function, typechecker=CHECKER))


class _Finder:
    @staticmethod
    def find_spec(name: str, path: list[str] | None, _target: ModuleType | None = None):
        if name not in MODULES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        spec.loader = _Loader(name, spec.origin)
        return spec


def states_shapes(function) -> bool:
    """Whether a function has the shape of an array in its signature."""
    return any(f"[np.{np.ndarray.__name__}, " in str(text) for text in function.__annotations__.values())


def check_axes() -> None:
    """Check shapes in all modules of ``MODULES``, none of which may be imported yet."""
    early = [name for name in MODULES if name in sys.modules]
    if early:
        raise RuntimeError(f"imported before their shapes could be checked: {early}")
    sys.meta_path.insert(0, _Finder)
