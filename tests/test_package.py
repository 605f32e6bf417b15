"""What other people's code relies on, what importing costs, and that every parameter is explained."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import BaseModel

import neural_data
import neurocompare
import neurocompare.stimuli
from neural_data.parametric import PARAMETER_SOURCES, PatchTuning
from neural_data.simulation import SpikeNoise
from neural_data.stages import STAGE_SOURCES, StageTuning

REPOSITORY = Path(__file__).resolve().parents[1]

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


def texts_in_section(documentation: str, heading: str = "Parameters") -> dict[str, str]:
    """Text of every entry in a section of a docstring, by name; empty without the section."""
    _, _, section = documentation.partition(f"{heading}\n{'-' * len(heading)}\n")
    lines = re.split(r"\n\n\w[^\n]*\n---", section)[0].splitlines()
    texts, names = {}, []
    for line in lines:
        if line[:1].strip():
            names = [one.strip(" *") for one in line.partition(" : ")[0].split(",")]
            texts |= dict.fromkeys(names, "")
        else:
            texts |= {name: texts[name] + line.strip() for name in names}
    return texts


def field_texts(kind: type) -> dict[str, str]:
    """Texts of a class's fields that stand outside its section of parameters."""
    if issubclass(kind, BaseModel):
        return {name: one.description or str(one.annotation) for name, one in kind.model_fields.items()}
    declared = {PatchTuning: PARAMETER_SOURCES, SpikeNoise: PARAMETER_SOURCES, StageTuning: STAGE_SOURCES}
    body = ast.parse(inspect.getsource(kind)).body[0].body
    below = {
        field.target.id: text.value.value
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }
    return below | declared.get(kind, {})


def parameters_without_text(thing: object) -> list[str]:
    """Parameters and named results of a function or class that its documentation names without a text, or not at all.

    Up to three parameters may be explained by the sentences of a docstring that has no section of parameters, and
    ``as in :func:`` another function or ``See :class:`` leads to where they are explained.
    """
    documentation = inspect.getdoc(thing) or ""
    texts = texts_in_section(documentation)
    bare = [name for name, text in texts.items() if not text]
    for heading in ("Returns", "Yields"):
        returned = texts_in_section(documentation, heading)
        bare += [name for name, text in returned.items() if not text and f"\n{name} : " in documentation]
    if re.search(r"each (field|parameter) as in :func:", documentation, flags=re.IGNORECASE):
        return bare
    if inspect.isclass(thing):
        if getattr(thing, "_is_protocol", False) or issubclass(thing, (dict, Exception)):
            return bare
        texts = field_texts(thing) | texts
    known = [name for name in inspect.signature(thing).parameters if name not in ("self", "cls")]
    few = not texts and len(known) <= 3
    return bare + ([] if few else [name for name in known if name not in texts])


def public_things() -> dict[str, object]:
    """Public functions, classes and their methods, by module and name."""
    found = {}
    for path in [*(REPOSITORY / "neurocompare").rglob("*.py"), *(REPOSITORY / "neural_data").rglob("*.py")]:
        name = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
        if path.name == "__main__.py" or name.startswith("neurocompare.cli"):
            continue
        module = importlib.import_module(name)
        for one in getattr(module, "__all__", ()):
            thing = getattr(module, one)
            if not (inspect.isfunction(thing) or inspect.isclass(thing)) or thing.__module__ != name:
                continue
            found[f"{name}.{one}"] = thing
            methods = vars(thing).items() if inspect.isclass(thing) else ()
            for method, function in methods:
                function = getattr(function, "__func__", function)
                if inspect.isfunction(function) and method[0] != "_" and function.__doc__:
                    found[f"{name}.{one}.{method}"] = function
    return found


def test_every_parameter_of_a_public_name_has_a_text():
    found = {name: parameters_without_text(thing) for name, thing in public_things().items()}
    assert len(found) > 800
    assert {name: bare for name, bare in found.items() if bare} == {}
