"""Lazy imports: public names of a package are loaded on first use, so that importing the package is fast."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

__all__ = ["lazy_names"]


def lazy_names(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` for a package with lazy imports.

    Parameters
    ----------
    package : str
        ``__name__`` of the package.
    homes : mapping of str to str
        Each public name, and the module that defines it.

    Returns
    -------
    getattr, dir : callables
        Assign them to ``__getattr__`` and ``__dir__`` in the package. For type checkers the package also imports the
        names under ``if TYPE_CHECKING``; a test checks that the two lists are equal.
    """

    def find(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(homes[name]), name)

    def names() -> list[str]:
        module = importlib.import_module(package)
        return sorted({*vars(module), *homes})

    return find, names
