"""Names of any script and with any sign in them go through a whole study: tables, figures, RDMs, report, exports."""

from __future__ import annotations

import csv
import html

import numpy as np
import pandas as pd
import pytest
from rsatoolbox.rdm import load_rdm

from neural_data import StimulusSet, write_recording, write_stimuli
from neurocompare import run_study
from tests.conftest import noise_faces

IDENTITIES = ["José", "顔", "😀", "$x^{2$", "=1+1", "a | b & c_d"]
REGIONS = [r"$\bad{AL}$", "-AM % é", "ML" * 100]
REGIME = "_Ж 50 % <b> #1 \\ ~ ^"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A study whose every name is odd, in a folder whose name is odd too."""
    folder = tmp_path_factory.mktemp("été 😀")
    faces = noise_faces(len(IDENTITIES))
    table = faces.table.assign(identity=np.repeat(IDENTITIES, 5), category="Gesicht ä")
    table.index = [
        f"{identity} @ {azimuth:g}" for identity, azimuth in zip(table["identity"], table["azimuth_deg"], strict=True)
    ]
    table.index.name = "stimulus_id"
    stimuli = StimulusSet(table.assign(filename=[f"{i}.png" for i in range(len(table))]), pixels=faces.pixels)
    source = write_stimuli(stimuli, folder / "Bilder ü")
    rng = np.random.default_rng(0)
    rows = [
        (stimulus, f"Zelle µ{n}", REGIONS[n % 3], repetition, rng.gamma(2, 4))
        for stimulus in stimuli.ids
        for n in range(30)
        for repetition in range(2)
    ]
    columns = ["stimulus_id", "neuroid_id", "region", "repetition", "response"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "Antworten ß.csv", index=False)
    study = {
        "title": "Étude <script>alert(1)</script> & 😀",
        "stimuli": {"source": str(source)},
        "recording": {"source": str(folder / "Antworten ß.csv")},
        "models": [{"name": "cnn-small", "regime": REGIME, "layers": ["conv4", "fc1"]}, {"name": "pixels"}],
        "comparison": {"n_draws": 50, "n_splits": 3},
        "outputs": {"image_symmetry": True, "templates": True},
    }
    return run_study(study, out=folder / "Lauf “1”", n_jobs=1)


def test_tables_hold_the_names_as_they_are(run):
    fits = pd.read_parquet(run.out / "tables" / "fits.parquet")
    assert set(fits["region"]) == set(REGIONS)
    assert REGIME in set(fits["regime"])
    assert set(pd.read_parquet(run.out / "tables" / "viewpoint.parquet")["identity"]) == set(IDENTITIES)


def test_csv_tables_are_safe_in_spreadsheets_and_their_numbers_unchanged(run):
    path = run.out / "tables" / "viewpoint.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    identities = {row[rows[0].index("identity")] for row in rows[1:]}
    assert identities == {"'=1+1"} | set(IDENTITIES) - {"=1+1"}
    regions = set(pd.read_csv(run.out / "tables" / "fits.csv")["region"])
    assert regions == {"'-AM % é"} | set(REGIONS) - {"-AM % é"}
    exact = pd.read_parquet(run.out / "tables" / "viewpoint.parquet")["index"]
    np.testing.assert_array_equal(pd.read_csv(path)["index"], exact)
    assert (exact < 0).any()


def test_rsatoolbox_opens_the_rdms_with_their_names(run):
    layers, patches = (load_rdm(str(run.out / "rdms" / f"{name}.hdf5")) for name in ("layers", "patches"))
    assert {str(name) for name in layers.pattern_descriptors["identity"]} == set(IDENTITIES)
    assert str(layers.pattern_descriptors["stimulus_id"][0]) == "José @ -90"
    assert [str(name) for name in patches.rdm_descriptors["region"]] == REGIONS


def test_figures_and_report_are_there_and_the_report_runs_nothing(run):
    assert {path.stem for path in (run.out / "figures").glob("*.svg")} >= {"fits_by_layer", "rdms", "image_symmetry"}
    page = (run.out / "report.html").read_text(encoding="utf-8")
    assert html.escape("<script>alert(1)</script>") in page
    assert "<script>alert" not in page
    assert html.escape(REGIME) in page


def test_markdown_and_latex_keep_one_row_a_fit(run):
    n_fits = len(run.tables["fits"])
    lines = (run.out / "tables" / "fits.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) == n_fits + 2
    assert {line.replace("\\|", "").count("|") for line in lines} == {11}
    assert "&lt;b>" in lines[2]
    lines = (run.out / "tables" / "fits.tex").read_text(encoding="utf-8").splitlines()
    assert r"\_Ж 50 \% \textless{}b\textgreater{} \#1 \textbackslash{} \~{} \^{}" in lines[4]
    assert r"\$\textbackslash{}bad\{AL\}\$" in lines[4]


def test_a_recording_with_odd_names_is_read_back(run, tmp_path):
    from neural_data import read_recording

    source = run.study.recording.source
    recording = read_recording(source)
    write_recording(recording, tmp_path / "again.nc")
    again = read_recording(tmp_path / "again.nc")
    assert set(again["region"].values) == set(REGIONS)
    assert set(again["stimulus_id"].values) == set(recording["stimulus_id"].values)
