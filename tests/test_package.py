"""What other people's code relies on, and what importing costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import neural_data
import neurocompare
import neurocompare.stimuli

PUBLIC = {
    neural_data: [
        *("StimulusSet", "read_stimuli", "read_recording", "write_recording", "simulate_patches"),
        "simulate_from_layer",
    ],
    neurocompare: [
        *("load_model", "compute_model_rdms", "compute_neural_rdms", "mirror_symmetry_index", "compare_rdms"),
        *("fits_on_draws", "infer_fits", "run_study"),
    ],
}


@pytest.mark.parametrize(("package", "name"), [(p, name) for p, names in PUBLIC.items() for name in names])
def test_public_names_can_be_imported(package, name):
    assert callable(getattr(package, name))
    assert name in dir(package)


@pytest.mark.parametrize("package", [neural_data, neurocompare, neurocompare.stimuli])
def test_a_type_checker_sees_the_names_that_are_loaded_late(package):
    tree = ast.parse(Path(package.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and node.test.id == "TYPE_CHECKING")
    seen = {alias.asname: line.module for line in block.body for alias in line.names}
    assert seen == package._HOMES
    assert (Path(package.__file__).parent / "py.typed").is_file() or package is neurocompare.stimuli


def test_unknown_names_raise_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        neurocompare.fit  # noqa: B018


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import neural_data", ("torch", "trimesh", "rsatoolbox", "matplotlib", "scipy")),
        ("import neurocompare, neurocompare.cli", ("numpy", "pandas", "torch", "rsatoolbox", "joblib")),
        ("sys.argv.append('--help')\nimport neurocompare.cli", ("numpy", "pandas", "torch", "joblib", "pydantic")),
        ("from neurocompare.cli import main\ntry: main([])\nexcept SystemExit: pass", ("numpy", "rich.markdown")),
        ("from neurocompare import read_rdms, compare_rdms, infer_fits", ("torch", "trimesh")),
    ],
)
def test_importing_loads_no_heavy_package(statement, heavy):
    code = f"import sys\n{statement}\nprint([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_the_parser_of_options_is_imported_with_the_command_line():
    """A process that gives up its rights after the import can import nothing more."""
    code = "import sys, neurocompare.cli; print('pydantic' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "True\n"
