"""The command ``neurocompare power``: what it finds, what it writes, and what it refuses."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from safetensors.numpy import load_file

from neurocompare.cli import main
from neurocompare.comparison.power import PowerPlan, power_analysis
from neurocompare.measures.randomness import step_rng
from neurocompare.models.registry import load_model
from neurocompare.representations.activations import save_activations
from neurocompare.study.experiment_sizes import power_sentence, run_power
from neurocompare.study.grammar import load_study, study_schema
from neurocompare.study.runner import plan_study
from neurocompare.study.steps import read_own_stimuli

POWER = """
[power]
first = {model = "cnn-small", layer = "conv4"}
second = {model = "cnn-small", layer = "fc1"}
n_identities = [3]
n_neurons = [10, 12]
n_repetitions = [2]
n_experiments = 3
noise = 0.5
"""


@pytest.fixture
def study(small_study):
    small_study.write_text(small_study.read_text() + POWER)
    return small_study


def call(*arguments):
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_table_is_that_of_power_analysis_on_the_two_layers(study, tmp_path):
    found = run_power(study)
    settings = load_study(study)
    stimuli, network = read_own_stimuli(settings), load_model("cnn-small", device="cpu")
    saved = load_file(save_activations(network, stimuli, tmp_path / "saved.safetensors", ["conv4", "fc1"]))
    layers = [saved[name] for name in ("conv4", "fc1")]
    plan = PowerPlan(n_identities=[3], n_neurons=[10, 12], n_repetitions=[2], n_experiments=3, noise=0.5)
    expected = power_analysis(*layers, stimuli.table["identity"], plan=plan, rng=step_rng(3, "power"))
    pd.testing.assert_frame_equal(found.table[expected.columns], expected)
    assert found.table["first"].tolist() == ["conv4 of cnn-small, untrained, seed 0"] * 2


def test_the_command_prints_a_table_and_a_sentence_and_writes_where_it_is_told(study, tmp_path, capsys):
    before = set(tmp_path.iterdir())
    assert call("power", study) == 0
    printed = capsys.readouterr().out
    assert "80% power" in printed.splitlines()[-1]
    assert set(tmp_path.iterdir()) == before
    for _ in range(2):  # the second replaces the first
        assert call("power", study, "--out", tmp_path / "found", "--jobs", 1) == 0
    names = {str(path) for path in contents(tmp_path / "found")}
    tables, figures = {"tables/power.csv", "tables/power.parquet"}, {"figures/power.svg", "figures/power.png"}
    assert names == {"provenance.json", *tables, *figures}
    assert len(pd.read_csv(tmp_path / "found" / "tables" / "power.csv")) == 2
    assert json.loads((tmp_path / "found" / "provenance.json").read_text())["recording"] is None
    assert call("report", tmp_path / "found") == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (POWER, "", "the study has no [power] section"),
        ('"conv4"}', '"conv44"}', "no layer 'conv44'"),
        ('"conv4"}', '"conv*"}', "power.first.layer must be one layer"),
        ('"conv4"}', '"fc1"}', "are the same layer"),
        ("n_neurons = [10", "n_neuron = [10", "line 22: unknown key 'power.n_neuron'; did you mean 'n_neurons'?"),
        ('layer = "fc1"}', 'laier = "fc1"}', "key 'power.second.layer' is missing"),
        ("n_identities = [3]", "n_identities = [2]", "line 21: power.n_identities.0 = 2"),
        ("n_identities = [3]", "n_identities = [99]", "power for 99 identities needs as many in the stimuli"),
        ('first = {model = "cnn-small"', 'first = {model = "cnn-smal"', "did you mean 'cnn-small'?"),
        ('first = {model = "cnn-small"', 'first = {seed = 4, model = "cnn-small"', "power.first.seed = 4"),
        ("n_draws = 50", 'dissimilarity = "euclidean"', "power is simulated only for 'correlation'"),
        ("n_draws = 50", 'resample = "subject"', "neurons of one subject"),
    ],
)
def test_wrong_input_is_one_message_and_nothing_written(study, tmp_path, capsys, monkeypatch, old, new, message):
    monkeypatch.setenv("COLUMNS", "300")
    text = study.read_text()
    assert old in text
    study.write_text(text.replace(old, new))
    assert call("power", study, "--out", tmp_path / "found") == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "found").exists()


def test_one_name_for_two_regimes_asks_which_is_meant(study):
    other = '[[models]]\nname = "cnn-small"\nregime = "other"\n\n[recording]'
    study.write_text(study.read_text().replace("[recording]", other))
    with pytest.raises(ValueError, match=r"power\.first fits 2 of the models called 'cnn-small'"):
        load_study(study)
    chosen = {"power.second.regime": "other", "power.first.regime": "mine", "models.0.regime": "mine"}
    networks = load_study(study, {**chosen, "power.first.layer": "fc1"}).power_networks()
    assert [(network.regime, network.layers) for network in networks] == [("mine", ["fc1"]), ("other", ["fc1"])]


def test_a_run_does_not_depend_on_the_power_section(small_study):
    without = plan_study(small_study)
    small_study.write_text(small_study.read_text() + POWER)
    assert plan_study(small_study).steps == without.steps


def test_a_study_without_a_recording_has_the_usual_noise(study):
    given = {"power.n_neurons": [10], "recording.source": "none"}
    assert run_power(study, overrides=given).noise == 0.5
    study.write_text(study.read_text().replace("noise = 0.5", ""))
    assert run_power(study, overrides=given).noise == PowerPlan.noise


def test_the_smallest_experiment_is_named():
    sizes = {"n_identities": [5, 5, 10], "n_neurons": [30, 90, 30], "n_repetitions": [4, 4, 1]}
    table = pd.DataFrame({**sizes, "difference": 0.1, "power": [0.4, 0.8, 0.95], "power_low": 0.3, "power_high": 0.97})
    assert power_sentence(table).startswith("5 identities and 90 neurons (4 repetitions of each stimulus) reach 80%")
    assert power_sentence(table, target=0.9).startswith("10 identities and 30 neurons (1 repetition of each")
    assert power_sentence(table, target=0.99).startswith("No size tried reaches 99% power; the most is 95%")
    assert "the second layer fits" not in power_sentence(table, target=0.99)
    assert "the second layer fits" in power_sentence(table.assign(difference=-0.1), target=0.99)


def test_the_schema_knows_the_section():
    assert {"first", "second", "n_identities", "noise"} <= set(study_schema()["$defs"]["Power"]["properties"])
