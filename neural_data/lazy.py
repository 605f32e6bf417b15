"""Packages whose public names are loaded when they are first used, so that importing the package costs nothing."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping

__all__ = ["lazy_names"]


def lazy_names(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    homes : mapping of str to str
        Public names, and the module that each is defined in.

    Returns
    -------
    getattr, dir : callables
        To be bound to ``__getattr__`` and ``__dir__`` in the package. A type checker sees the names by imports under
        ``if TYPE_CHECKING``; a test holds the two lists together.
    """

    def find(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(homes[name]), name)

    def names() -> list[str]:
        module = importlib.import_module(package)
        return sorted({*vars(module), *homes})

    return find, names
