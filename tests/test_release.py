"""A release: what the wheel holds and says of itself, that it runs alone, and what the workflows do."""

from __future__ import annotations

import email
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml

import neurocompare

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = {path.stem: path for path in (REPOSITORY / ".github" / "workflows").glob("*.yml")}
LINK = re.compile(r"\]\(([^)]+)\)")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this copy of the repository, built with the installed backend and so without network."""
    pytest.importorskip("hatchling", reason="the build backend is not installed; 'make' installs it")
    pytest.importorskip("hatch_fancy_pypi_readme", reason="the build backend's plugin is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=REPOSITORY, capture_output=True, check=True, timeout=120)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def about(wheel) -> email.message.Message:
    """The wheel's metadata: headers, and the README as its payload."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name))


def test_the_wheel_holds_what_runs_and_the_examples_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"neurocompare", "neural_data"}
    tracked = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    for name in tracked.stdout.split() if tracked.returncode == 0 else ():
        if name.startswith(("neurocompare/", "neural_data/")):
            assert name in names
        elif name.startswith("analyses/examples/") or name == "analyses/faces_by_view.toml":
            assert f"neurocompare/{name}" in names
        else:
            assert f"neurocompare/{name}" not in names
    assert {"neurocompare/py.typed", "neural_data/py.typed", "neurocompare/demo.toml"} <= names


def test_links_of_the_wheels_readme_work_outside_the_repository(about):
    home = PROJECT["urls"]["Homepage"].removeprefix("https://github.com/")
    places = (f"https://github.com/{home}/blob/main/", f"https://raw.githubusercontent.com/{home}/main/")
    links = LINK.findall(about.get_payload())
    assert len(links) > 8
    assert [link for link in links if not link.startswith("https://")] == []
    inside = [link.removeprefix(place) for link in links for place in places if link.startswith(place)]
    written = [link for link in LINK.findall((REPOSITORY / "README.md").read_text()) if not link.startswith("http")]
    assert inside == written
    (image,) = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", about.get_payload())
    assert image.startswith("https://raw.githubusercontent.com/")


def test_the_version_is_the_same_everywhere(about):
    version = neurocompare.__version__
    assert about["Version"] == version
    assert f"\nversion: {version}\n" in (REPOSITORY / "CITATION.cff").read_text()
    assert f"\n## {version} (" in (REPOSITORY / "CHANGELOG.md").read_text()
    assert {line.partition(",")[0] for line in about.get_all("Project-URL")} >= {"Homepage", "Documentation", "Issues"}


def test_what_renders_is_an_extra_and_no_requirement(about):
    requirements = about.get_all("Requires-Dist")
    renderers = {line for line in requirements if re.match("trimesh|embreex", line)}
    assert len(renderers) == 2
    assert all("extra == 'render'" in line for line in renderers)
    assert {line.split(">")[0] for line in requirements if "extra" not in line} >= {"torch", "rsatoolbox", "xarray"}


WITHOUT_A_RENDERER = """
import importlib, pkgutil, sys
sys.modules.update(dict.fromkeys(["trimesh", "embreex"]))  # as if they were not installed
import numpy as np
import neural_data, neural_data.samples
for module in pkgutil.walk_packages(neural_data.__path__, "neural_data."):
    importlib.import_module(module.name)
stimuli, recording = neural_data.samples.load()
assert "torch" not in sys.modules
import neurocompare, neurocompare.cli
for name in neurocompare.__all__:
    getattr(neurocompare, name)
rdms = neurocompare.compute_neural_rdms(recording, stimuli=stimuli)
rdms.save("rdms.hdf5", overwrite=True)
read = neurocompare.read_rdms("rdms.hdf5")
assert neurocompare.compare_rdms(read, rdms).shape == (3, 3)
neurocompare.infer_fits(read, rdms, recording=recording, n_draws=20, rng=np.random.default_rng(1))
neurocompare.describe_recording(recording, stimuli, n_splits=10)
for arguments in (["render", "faces"], ["demo"], ["train", "--dataset", "symmetric", "--n-images", "20"]):
    try:
        neurocompare.cli.main([*arguments, "--out", "out"])
    except SystemExit as stop:
        print(arguments[0], stop.code)
"""


@pytest.mark.slow
def test_rdms_and_recordings_need_neither_renderer_nor_torch_and_rendering_names_its_extra(tmp_path):
    call = [sys.executable, "-c", WITHOUT_A_RENDERER]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["render 2", "demo 2", "train 2", ""]
    assert done.stderr.count("pip install 'neurocompare[render]'") == 3
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_wheel_runs_the_demo_in_an_environment_of_its_own(wheel, tmp_path):
    """The environment sees the dependencies that are installed here, and of this repository the wheel alone."""
    venv.create(tmp_path / "empty", with_pip=False, symlinks=sys.platform != "win32")
    scripts = tmp_path / "empty" / ("Scripts" if sys.platform == "win32" else "bin")
    python = scripts / "python"
    where = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    dependencies = {str(Path(module.__file__).parents[1]) for module in (np, pytest)}
    (site / "dependencies.pth").write_text("\n".join(sorted(dependencies)))
    program = [python, "-c", "from neurocompare.cli import main; main()"]
    home = subprocess.run([python, "-c", "import neurocompare; print(neurocompare.__file__)"], **_as_a_user(tmp_path))
    assert Path(home.stdout.strip()).is_relative_to(site)
    examples = subprocess.run([*program, "examples", "studies"], **_as_a_user(tmp_path))
    assert len(examples.stdout.split()) == len([*(tmp_path / "studies").glob("*.toml")]) >= 9
    small = ("stimuli.n_identities=4", "stimuli.size=64", "recording.n_neurons=10")
    settings = [part for setting in small for part in ("--set", setting)]
    subprocess.run([*program, "demo", "--out", "run", "--quick", "--jobs", "1", *settings], **_as_a_user(tmp_path))
    assert (tmp_path / "run" / "report.html").is_file()


def _as_a_user(folder: Path) -> dict:
    """Arguments of a call outside the repository, with a cache of its own."""
    environment = {"NEUROCOMPARE_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", "PATH": "", "HOME": str(folder)}
    return {"cwd": folder, "env": environment, "capture_output": True, "text": True, "check": True, "timeout": 600}


def workflow(name: str) -> dict:
    # YAML 1.1 reads the key `on` as true.
    return yaml.safe_load(WORKFLOWS[name].read_text(encoding="utf-8"))


def steps_of(name: str) -> list[dict]:
    return [step for job in workflow(name)["jobs"].values() for step in job.get("steps", [])]


def test_tests_run_on_three_pythons_and_three_systems():
    matrix = workflow("tests")["jobs"]["tests"]["strategy"]["matrix"]
    said = {line.split(":: ")[-1] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)}
    assert set(matrix["python"]) == said
    assert len(said) == 3
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]


def test_a_tag_publishes_after_the_tests_and_without_a_token():
    assert workflow("publish")[True]["push"] == {"tags": ["v*"]}
    jobs = workflow("publish")["jobs"]
    assert (jobs["build"]["needs"], jobs["publish"]["needs"]) == ("tests", "build")
    assert jobs["tests"]["uses"] == "./.github/workflows/tests.yml"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert "secrets." not in WORKFLOWS["publish"].read_text()
    assert "workflow_call" in workflow("tests")[True]


@pytest.mark.parametrize("name", sorted(WORKFLOWS))
def test_a_workflow_is_bounded_and_calls_what_is_there(name):
    content = workflow(name)
    assert content["permissions"] == {"contents": "read"}
    for job in content["jobs"].values():
        assert "uses" in job or job["timeout-minutes"] <= 60
    for step in steps_of(name):
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v1)", step["uses"])
        for target in re.findall(r"\bmake ([\w-]+)", step.get("run", "")):
            assert re.search(rf"^{target}\b.*:", (REPOSITORY / "Makefile").read_text(), flags=re.MULTILINE)
        for extras in re.findall(r"\[([\w,]+)\]", step.get("run", "")):
            assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])


def test_actionlint_finds_nothing():
    program = shutil.which("actionlint")
    if program is None:
        pytest.skip("actionlint is not installed")
    assert subprocess.run([program, *WORKFLOWS.values()], capture_output=True, text=True).stdout == ""


def test_make_installs_for_the_tests_what_the_workflow_installs():
    made = re.findall(r"--editable '\.\[([\w,]+)\]'", (REPOSITORY / "Makefile").read_text())
    extras = [set(group.split(",")) for group in made]
    assert len(extras) == 3
    assert set().union(*extras) <= set(PROJECT["optional-dependencies"])
    # The demo needs no tools, and neither it nor the tests need the site's.
    assert "docs" in extras[2]
    assert extras[0].isdisjoint({"dev", "docs"})
    (installed,) = re.findall(r"pip install .*\.\[([\w,]+)\]", WORKFLOWS["tests"].read_text())
    assert set(installed.split(",")) == extras[0] | extras[1]
