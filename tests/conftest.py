"""Seeded data that several tests share, and the place of the research data that some of them need."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

if importlib.util.find_spec("jaxtyping") and importlib.util.find_spec("beartype"):
    from tests.checked_axes import check_axes

    check_axes()  # Before anything imports the packages.

from neural_data import StimulusSet, write_stimuli
from neurocompare.study.cache import open_cache, step_key

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240607)


@pytest.fixture(autouse=True, scope="session")
def _cache_of_the_tests(tmp_path_factory):
    """Finished steps are kept in a folder of the tests, not in the user's; all workers of the tests share it."""
    place = tmp_path_factory.getbasetemp()
    folder = (place.parent if "PYTEST_XDIST_WORKER" in os.environ else place) / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEUROCOMPARE_CACHE", str(folder))
        yield


@pytest.fixture(scope="session")
def kept(_cache_of_the_tests) -> Callable[[str, Callable[[], Any]], Any]:
    """A function of a name and of what makes a value: it is made once, for the tests of all workers."""
    cache = open_cache()
    return lambda name, make: cache.obtain(step_key("tests", {"name": name}), make, kind="tests", label=name)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the research data, or a skip that names it."""
    folder = Path(os.environ.get("NEUROCOMPARE_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"research data not found at {folder}; set NEUROCOMPARE_TEST_DATA to try it on real files")
    return folder


@pytest.fixture
def faces() -> StimulusSet:
    """Six identities in five views; every image is noise of its own (12 x 12 pixels)."""
    return noise_faces(6)


@pytest.fixture(scope="session")
def many_faces() -> StimulusSet:
    """Twenty-five identities in five views, as many as Freiwald & Tsao (2010) showed."""
    return noise_faces(25)


def noise_faces(n_identities: int) -> StimulusSet:
    azimuths = (-90.0, -45.0, 0.0, 45.0, 90.0)
    rows = [(f"s{i}_{a:g}", f"id{i}", a) for i in range(n_identities) for a in azimuths]
    table = pd.DataFrame(rows, columns=["stimulus_id", "identity", "azimuth_deg"]).set_index("stimulus_id")
    table = table.assign(filename=table.index + ".png", category="face", elevation_deg=0.0)
    pixels = np.random.default_rng(7).integers(0, 256, (len(table), 12, 12), dtype=np.uint8)
    return StimulusSet(table, pixels=pixels, name="noise faces")


@pytest.fixture
def small_study(faces, tmp_path):
    """Study file: noise faces, two layers of an untrained network, a simulated recording."""
    return write_small_study(faces, tmp_path)


def write_small_study(faces: StimulusSet, folder: Path) -> Path:
    write_stimuli(faces, folder / "set")
    path = folder / "study.toml"
    path.write_text(
        """\
seed = 3

[stimuli]
source = "set/stimulus_set.csv"

[[models]]
name = "cnn-small"
layers = ["conv4", "fc1"]

[recording]
n_neurons = 20
n_repetitions = 2

[comparison]
n_draws = 50
n_splits = 4
"""
    )
    return path
