"""A study from its file to its run folder."""

from __future__ import annotations

import dataclasses
import errno
import json
import multiprocessing
import shutil
import time

import numpy as np
import pandas as pd
import pytest
import rsatoolbox

from neural_data import InputError, read_stimuli
from neurocompare import compare_rdms, compute_model_rdms, load_model, run_study
from neurocompare.measures import MEASURES
from neurocompare.study import planning
from neurocompare.study.cache import open_cache
from neurocompare.study.runner import plan_study


def test_a_run_folder_is_complete_and_agrees_with_its_parts(small_study, tmp_path):
    run = run_study(small_study, out=tmp_path / "run")
    assert sorted(path.name for path in run.out.iterdir()) == [
        *("figures", "provenance.json", "rdms", "report.html", "run.log", "tables"),
    ]
    core = ("fits", "ceilings", "viewpoint", "viewpoint_patches")
    always = {table.name: table.names for key in core for table in MEASURES[key].all_tables}
    assert sorted(always) == sorted(run.tables)
    for name in always:
        columns = always[name]
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
    np.testing.assert_allclose(found[list(patches.rdm_descriptors["region"])].to_numpy(), expected, atol=1e-6)
    assert len(run.tables["viewpoint"]) == 2 * 6


def test_equal_studies_give_equal_bytes(small_study, tmp_path, monkeypatch):
    contents = []
    for name in ("first", "second"):
        monkeypatch.setenv("NEUROCOMPARE_CACHE", str(tmp_path / f"{name} cache"))
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


def test_progress_rises_to_one(small_study, tmp_path):
    shares = []
    run_study(small_study, out=tmp_path / "run", progress=lambda _name, share: shares.append(share))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_the_run_is_frozen(small_study, tmp_path):
    run = run_study(small_study, out=tmp_path / "run")
    with pytest.raises(dataclasses.FrozenInstanceError):
        run.out = tmp_path


@pytest.mark.slow
def test_results_do_not_depend_on_the_number_of_workers(small_study, tmp_path, monkeypatch):
    seeds = {"models.0.seeds": [0, 1, 2], "outputs.equivariance": True}
    contents = []
    for n_jobs in (1, 2):
        monkeypatch.setenv("NEUROCOMPARE_CACHE", str(tmp_path / f"cache {n_jobs}"))
        out = run_study(small_study, out=tmp_path / f"run {n_jobs}", overrides=seeds, n_jobs=n_jobs).out
        contents.append({path.name: path.read_bytes() for path in out.glob("tables/*.csv")})
    assert contents[0] == contents[1]
    assert "equivariance.csv" in contents[0]


@pytest.mark.slow
def test_a_second_run_computes_nothing(small_study, tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROCOMPARE_CACHE", str(tmp_path / "cache"))
    first = run_study(small_study, out=tmp_path / "a")
    for name in ("network_rdms", "measure_network", "measure_patches", "fit_layers", "draw_to_files"):
        monkeypatch.setattr(f"neurocompare.study.runner.{name}", lambda *_, **__: pytest.fail("computed again"))
    second = run_study(small_study, out=tmp_path / "b")
    for name, table in first.tables.items():
        pd.testing.assert_frame_equal(table, second.tables[name])


FITS = {"inference", "fits", "figure"}
EVERYTHING = {"presentation", "patches", "ceilings", "viewpoint", "viewpoint_patches", *FITS}


@pytest.mark.parametrize(
    ("change", "made_again"),
    [
        ({"comparison.n_draws": 60}, {"inference", "fits", "figure"}),
        ({"comparison.n_splits": 5}, {"ceilings", "viewpoint_patches", *FITS}),
        ({"recording.n_neurons": 21}, {"patches", "ceilings", "viewpoint_patches", *FITS}),
        ({"stimuli.azimuths_deg": "[-90, 0, 90]"}, EVERYTHING),
        ({"models.0.layers": ["fc1"]}, {"presentation", "viewpoint", *FITS}),
        ({"models.0.start": "own"}, {"presentation", "viewpoint", *FITS}),
        ({"title": "Another"}, set()),
    ],
    ids=lambda value: next(iter(value), "nothing") if isinstance(value, dict) else "",
)
def test_a_step_is_made_again_when_what_it_depends_on_changes(small_study, change, made_again):
    before, after = plan_study(small_study), plan_study(small_study, overrides=change)
    keys = {step.key for step in before.steps}
    assert {step.kind for step in after.steps if step.key not in keys} == made_again


def test_a_changed_image_changes_every_key(small_study, tmp_path):
    before = plan_study(small_study)
    image = next((tmp_path / "set" / "images").iterdir())
    other = sorted((tmp_path / "set" / "images").iterdir())[-1]
    image.write_bytes(other.read_bytes())
    assert not {step.key for step in before.steps} & {step.key for step in plan_study(small_study).steps}


def test_a_quick_look_says_so(small_study, tmp_path):
    run = run_study(small_study, out=tmp_path / "run", overrides={"comparison.n_draws": 500}, quick=True)
    assert run.study.comparison.n_draws == 100
    assert "A quick look" in (run.out / "report.html").read_text()


@pytest.mark.slow
def test_hypotheses_of_a_study_are_decided_and_reported(small_study, tmp_path):
    small_study.write_text(
        small_study.read_text().replace("n_neurons = 20", "n_neurons = 60")
        + """
[[hypotheses]]
name = "patches"
statement = "AL is mirror-symmetric"
table = "viewpoint_patches"
value = "index"
test = "mean"
selections = [{region = "AL"}]
unit = ["identity"]

[outputs]
reflection = true
"""
    )
    run = run_study(small_study, out=tmp_path / "run")
    assert run.tables["hypotheses"]["verdict"].tolist() == ["supported"]
    assert "Supported: AL is mirror-symmetric" in (run.out / "report.html").read_text()
    fits = run.tables["fits"]
    np.testing.assert_allclose(fits["shapley_invariant"] + fits["shapley_sensitive"], fits["fit"], atol=1e-9)


@pytest.mark.slow
def test_a_full_disk_is_said_and_finished_steps_are_kept(small_study, tmp_path, monkeypatch):
    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv("NEUROCOMPARE_CACHE", str(tmp_path / "cache"))
    with monkeypatch.context() as patch:
        patch.setattr("neurocompare.study.runner.write_table", full)
        with pytest.raises(InputError, match="the disk is full"):
            run_study(small_study, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert all(open_cache().has(step.key) for step in plan_study(small_study).steps)


@pytest.mark.slow
def test_a_run_killed_at_random_moments_ends_with_equal_bytes(small_study, tmp_path, monkeypatch):
    """Each killed run goes on where the one before it stopped; a finished one starts again with an empty cache."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["neurocompare.study.runner", "neurocompare.models.registry"])
    rng = np.random.default_rng(5)
    monkeypatch.setenv("NEUROCOMPARE_CACHE", str(tmp_path / "cache"))
    overrides = {"models.0.seeds": [0, 1], "stimuli.azimuths_deg": "[-90, 0, 90]"}
    contents, n_killed, longest, n_kept = [], 0, 0.0, 0
    imports = context.Process(target=time.monotonic)
    imports.start()
    imports.join()
    while n_killed < 25 or not contents:
        options = {"out": tmp_path / "run", "overrides": overrides, "n_jobs": 1}
        process = context.Process(target=run_study, args=(small_study,), kwargs=options)
        start = time.monotonic()
        process.start()
        # The first run is let through: how long it takes says when to kill the others.
        process.join(rng.uniform(0, 0.4 * longest) if contents else None)
        if process.is_alive():
            process.kill()
            process.join()
            n_killed += 1
            n_kept = max(n_kept, len(open_cache().entries()))
            continue
        assert process.exitcode == 0
        longest = longest or time.monotonic() - start
        tables = sorted((tmp_path / "run" / "tables").glob("*.csv"))
        contents.append({path.name: path.read_bytes() for path in tables})
        shutil.rmtree(tmp_path / "cache")
    assert n_kept > 0, "no run was killed after a step was kept: the test shows nothing"
    contents.append({})
    last = run_study(small_study, **options)
    contents[-1] = {path.name: path.read_bytes() for path in sorted(last.out.glob("tables/*.csv"))}
    assert all(content == contents[0] for content in contents)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".run")] == []


def test_rdms_that_nothing_compares_are_not_computed_for_many_stimuli(small_study, tmp_path, monkeypatch):
    def found(name, overrides=None):
        run = run_study(small_study, out=tmp_path / name, overrides=overrides)
        notes = json.loads((run.out / "provenance.json").read_text())["notes"]
        said = [note for note in notes if "nothing compares them" in note]
        return (run.out / "rdms" / "layers.hdf5").exists(), said, run.tables["viewpoint"]

    without = {"recording.source": "none"}
    few, said, expected = found("few", overrides=without)
    assert few
    assert said == []
    monkeypatch.setattr(planning, "WRITTEN_STIMULI", 3)
    many, said, index = found("many", overrides=without)
    assert not many
    assert len(said) == 1
    pd.testing.assert_frame_equal(index, expected)
    recorded, said, _ = found("recorded")
    assert recorded
    assert said == []
