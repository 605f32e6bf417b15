"""Kernels, units, local features and position tolerance, asked for in a study file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neural_data import InputError, read_stimuli
from neurocompare import load_model, run_study
from neurocompare.measures import MEASURES
from neurocompare.measures.randomness import step_rng
from neurocompare.representations.local_features import measure_local_features
from neurocompare.representations.position import measure_position_tolerance
from neurocompare.representations.symmetry import kernel_symmetry
from neurocompare.representations.units import count_mirror_symmetric_units, summarise_unit_shares
from neurocompare.study.grammar import load_study
from neurocompare.study.quick import quick_study

OUTPUTS = """
[outputs]
kernels = true


[outputs.units]
face = "face"

[outputs.local_features]
layer = "fc1"
n_exemplars = 3
n_masks = 20
n_units = 4
conditions = ["insertion", "deletion"]
percents = [20]
n_maps = 1

[outputs.position]
shifts_px = [[0, 0], [15, -15]]
"""


TABLES = {table.name: table for measure in MEASURES.values() for table in measure.all_tables}


@pytest.fixture
def study(small_study):
    small_study.write_text(small_study.read_text() + OUTPUTS)
    return small_study


def test_tables_hold_what_the_measures_give(study, tmp_path):
    run = run_study(study, out=tmp_path / "run", overrides={"models.0.seeds": "[0, 1]"})
    stimuli = read_stimuli(tmp_path / "set").yaw_views()
    networks = [load_model("cnn-small", seed=seed) for seed in (0, 1)]
    first_three = stimuli.select(identity=stimuli.identities[:3])
    how = {"n_units": 4, "n_masks": 20, "conditions": ["insertion", "deletion"], "percents": [20]}
    layers = ["conv4", "fc1"]
    expected = {
        "kernels": [kernel_symmetry(network) for network in networks],
        "units": [count_mirror_symmetric_units(network, stimuli, layers) for network in networks],
        "local_features": [
            measure_local_features(network, first_three, "fc1", rng=step_rng(3, "local features"), **how).tuning
            for network in networks
        ],
        "position": [
            measure_position_tolerance(network, stimuli, layers, shifts_px=[(0, 0), (15, -15)]) for network in networks
        ],
    }
    for name, parts in expected.items():
        found = run.tables[name]
        assert tuple(found.columns) == TABLES[name].names
        pd.testing.assert_frame_equal(found, pd.concat(parts, ignore_index=True), check_dtype=False)
        assert (run.out / "figures" / f"{name}_summary.svg").is_file()
        assert tuple(run.tables[f"{name}_summary"].columns) == TABLES[f"{name}_summary"].names
    pd.testing.assert_frame_equal(
        run.tables["units_summary"], summarise_unit_shares(run.tables["units"]), check_dtype=False
    )
    assert set(run.tables["units_summary"]["n_seeds"]) == {2}
    assert tuple(run.tables["importance"].columns) == TABLES["importance"].names
    assert len(run.tables["importance"]) == 2 * 5 * 32 * 32
    assert (run.out / "figures" / "importance.svg").is_file()
    page = (run.out / "report.html").read_text()
    for title in ("Symmetry of kernels", "Mirror-symmetric units", "Local features", "Position tolerance"):
        assert title in page


def test_summaries_are_means_over_what_varies(study, tmp_path):
    tables = run_study(study, out=tmp_path / "run").tables
    row = tables["position_summary"].query("layer == 'fc1' and shift_right_px == 15").iloc[0]
    values = tables["position"].query("layer == 'fc1' and shift_right_px == 15")["index"]
    assert row["mean"] == pytest.approx(values.mean())
    assert (row["n"], row["n_undefined"], row["shift_down_px"]) == (6, 0, -15)
    whole = tables["local_features"].query("condition == 'intact'")["profile"]
    np.testing.assert_allclose(whole, 1, rtol=1e-9)
    row = tables["local_features_summary"].query("measure == 'profile' and condition == 'insertion'").iloc[0]
    values = tables["local_features"].query("condition == 'insertion'")["profile"]
    assert (row["mean"], row["n"]) == (pytest.approx(values.mean()), 3)
    row = tables["kernels_summary"].query("layer == 'conv3' and transform == 'up-down'").iloc[0]
    values = tables["kernels"].query("layer == 'conv3' and transform == 'up-down'")["symmetry"]
    assert (row["mean"], row["n"]) == (pytest.approx(values.mean()), 64)


def test_without_a_measure_there_is_no_table_of_it(small_study, tmp_path):
    tables = run_study(small_study, out=tmp_path / "run").tables
    asked = {table.name for measure in MEASURES.values() if measure.optional for table in measure.all_tables}
    assert not asked & set(tables)


def test_a_quick_look_takes_fewer_masks_and_exemplars(study):
    full = load_study(study, {"outputs.local_features.n_masks": 5000, "outputs.local_features.n_exemplars": 25})
    features = quick_study(full).outputs.local_features
    assert (features.n_masks, features.n_exemplars) == (30, 2)


def test_hypotheses_can_name_the_tables(study, tmp_path):
    study.write_text(
        study.read_text()
        + """
[[hypotheses]]
name = "kept"
statement = "More tuning is left with the important parts kept than with them deleted"
table = "local_features"
value = "profile"
test = "paired"
selections = [{condition = "insertion"}, {condition = "deletion"}]
unit = ["identity"]
"""
    )
    row = run_study(study, out=tmp_path / "run").tables["hypotheses"].iloc[0]
    assert row["n"] == 3
    assert np.isfinite(row["estimate"])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("outputs.units.azimuths_deg", "[-90, -45, 0, 45, 60]", "five azimuths symmetric about 0"),
        ("outputs.units.azimuths_deg", "[-90, 0, 90]", "at least 5 items"),
        ("outputs.units.face", "fase", "category 'fase': did you mean 'face'"),
        ("outputs.position.shifts_px", "[[0, 300]]", "larger than the image of 227 pixels"),
        ("outputs.position.shifts_px", "[[15]]", "at least 2 items"),
        ("outputs.local_features.percents", "[0, 50]", "greater than 0"),
        ("outputs.local_features.layer", "fc9", "fc9"),
        ("outputs.local_features.n_mask", "50", "did you mean 'n_masks'"),
        ("outputs.local_features", "50", "true, false, or a table of its settings"),
    ],
)
def test_what_cannot_be_measured_is_refused(study, tmp_path, key, value, message):
    overrides = {key: value}
    if "face" in key:
        table = pd.read_csv(tmp_path / "set" / "stimulus_set.csv")
        table.loc[table["identity"] == "id0", "category"] = "car"
        table.to_csv(tmp_path / "set" / "stimulus_set.csv", index=False)
    with pytest.raises(InputError, match=message):
        run_study(study, out=tmp_path / "run", overrides=overrides)
    assert not (tmp_path / "run").exists()
