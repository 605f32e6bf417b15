"""Imports go one way through the rooms; neural_data knows neither neurocompare nor torch."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import neurocompare

REPOSITORY = Path(__file__).resolve().parents[1]
ROOMS = [
    "neural_data",
    "neurocompare.stimuli",
    "neurocompare.models",
    "neurocompare.representations",
    "neurocompare.comparison",
    "neurocompare.reporting",
    "neurocompare.measures",
    "neurocompare.study",
    "neurocompare.cli",
]
MODULES = sorted([*(REPOSITORY / "neural_data").rglob("*.py"), *(REPOSITORY / "neurocompare").rglob("*.py")])


def module_name(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(source: str, name: str, is_package: bool) -> set[str]:
    """Every module that the source imports, absolute, wherever in the file the import stands."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = name.split(".")
                base = ".".join([*parts[: len(parts) - node.level + is_package], *filter(None, [node.module])])
            names.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
    return names


FRONT_DOOR = {("neurocompare.comparison.fit_result", "neurocompare.plot_fits")}
"""What rooms may take from the package's own names, which lie above them all: a fit that is asked to draw itself."""


def room(name: str) -> int | None:
    places = [i for i, prefix in enumerate(ROOMS) if name == prefix or name.startswith(prefix + ".")]
    return places[0] if places else None


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_only_go_downwards(path):
    name = module_name(path)
    here = room(name)
    imported = imported_names(path.read_text(), name, path.name == "__init__.py")
    if here == 0:
        assert not {i for i in imported if i.split(".")[0] in ("neurocompare", "torch")}
    # The package's own __init__ and __main__ are the front door: they may name every room.
    if here is not None:
        public = {f"neurocompare.{exported}" for exported in neurocompare.__all__ if exported != "__version__"}
        assert {(name, i) for i in imported & public} <= FRONT_DOOR
        above = {i for i in imported if room(i) is not None and room(i) > here}
        assert not above, f"{name} imports from rooms above its own: {sorted(above)}"


def test_the_rooms_are_the_ones_of_the_design():
    assert {room(module_name(path)) for path in MODULES} - {None} == set(range(len(ROOMS)))


def test_an_upward_import_would_be_seen():
    source = "def late():\n    from neurocompare.cli import main\n    from ..study import run_study"
    found = imported_names(source, "neurocompare.comparison.fits", is_package=False)
    assert {"neurocompare.cli", "neurocompare.study"} <= found
    assert all(room(name) > room("neurocompare.comparison.fits") for name in ("neurocompare.cli", "neurocompare.study"))
