"""A study from its file to its run folder."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import rsatoolbox

from neural_data import read_stimuli
from neurocompare import compare_rdms, compute_model_rdms, load_model, run_study
from neurocompare.reporting.tables import COLUMNS
from neurocompare.study.steps import step_rng


def test_a_run_folder_is_complete_and_agrees_with_its_parts(small_study, tmp_path):
    run = run_study(small_study, out=tmp_path / "run")
    assert sorted(path.name for path in run.out.iterdir()) == [
        *("figures", "provenance.json", "rdms", "report.html", "tables"),
    ]
    for name, columns in COLUMNS.items():
        from_csv = pd.read_csv(run.out / "tables" / f"{name}.csv")
        from_parquet = pd.read_parquet(run.out / "tables" / f"{name}.parquet")
        assert tuple(from_csv.columns) == tuple(from_parquet.columns) == columns
        assert len(from_csv) == len(from_parquet) == len(run.tables[name]) > 0
    fits = run.tables["fits"]
    assert len(fits) == 2 * 3
    assert fits["simulated"].all()
    assert set(fits["region"]) == {"ML", "AL", "AM"}
    network, stimuli = load_model("cnn-small"), read_stimuli(tmp_path / "set").yaw_views()
    layers = compute_model_rdms(network, stimuli, ["conv4", "fc1"], normalize=None)
    patches = rsatoolbox.rdm.load_rdm(str(run.out / "rdms" / "patches.hdf5"))
    expected = compare_rdms(layers, patches)
    found = fits.pivot(index="layer", columns="region", values="fit")
    np.testing.assert_allclose(found[list(patches.rdm_descriptors["region"])].to_numpy(), expected, atol=1e-12)
    assert len(run.tables["viewpoint"]) == 2 * 6


def test_equal_studies_give_equal_bytes(small_study, tmp_path):
    contents = []
    for name in ("first", "second"):
        out = run_study(small_study, out=tmp_path / name).out
        paths = [*sorted(out.glob("tables/*.csv")), *sorted(out.glob("figures/*")), out / "provenance.json"]
        contents.append([(path.name, path.read_bytes()) for path in paths])
    assert contents[0] == contents[1]


def test_the_seed_changes_the_recording_and_nothing_of_the_network(small_study, tmp_path):
    first = run_study(small_study, out=tmp_path / "a").tables
    second = run_study(small_study, out=tmp_path / "b", overrides={"seed": 4}).tables
    assert (first["fits"]["fit"] != second["fits"]["fit"]).all()
    pd.testing.assert_frame_equal(first["viewpoint"], second["viewpoint"])


def test_provenance_tells_two_stimulus_sets_apart(small_study, tmp_path):
    sums = set()
    for views in ("[-90, -45, 0, 45, 90]", "[-90, 0, 90]"):
        out = run_study(small_study, out=tmp_path / "run", overrides={"stimuli.azimuths_deg": views}).out
        record = json.loads((out / "provenance.json").read_text())
        sums.add(record["stimuli"]["sha256"])
        assert record["study"]["seed"] == 3
        assert record["recording"]["simulated"] is True
    assert len(sums) == 2


def test_the_report_stands_alone(small_study, tmp_path):
    page = (run_study(small_study, out=tmp_path / "run").out / "report.html").read_text()
    assert page.count("data:image/svg+xml;base64,") == 3
    assert 'src="http' not in page
    assert "The recording is simulated" in page
    assert "Only 6 identities" in page


def test_steps_draw_from_streams_of_their_own():
    assert step_rng(1, "fits").random() == step_rng(1, "fits").random()
    draws = {step_rng(seed, step).random() for seed in (1, 2) for step in ("fits", "ceilings")}
    assert len(draws) == 4


def test_progress_rises_to_one(small_study, tmp_path):
    shares = []
    run_study(small_study, out=tmp_path / "run", progress=lambda _name, share: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_the_run_is_frozen(small_study, tmp_path):
    run = run_study(small_study, out=tmp_path / "run")
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.out = tmp_path
