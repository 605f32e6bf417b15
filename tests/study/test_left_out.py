"""Models whose files are not there, and names that tables call networks by."""

from __future__ import annotations

import pytest

from neural_data import InputError
from neurocompare.study.grammar import load_study
from neurocompare.study.left_out import without_absent
from neurocompare.study.networks import identify_networks, loaded

CLAIM = {"statement": "-", "table": "viewpoint", "value": "index", "test": "mean", "unit": ["identity"]}


def study(tmp_path, **second):
    about_second = {**CLAIM, "name": "of the second", "where": {"model": "second"}, "selections": [{"layer": "fc1"}]}
    about_first = {**CLAIM, "name": "of the first", "selections": [{"model": ["cnn-small"], "layer": "fc1"}]}
    about_all = {**CLAIM, "name": "of all", "selections": [{"layer": "fc1"}]}
    models = [
        {"name": "cnn-small"},
        {"name": "cnn-small", "called": "second", "only_with": str(tmp_path / "weights.bin"), **second},
    ]
    return load_study({"models": models, "hypotheses": [about_second, about_first, about_all]})


def test_a_model_without_its_file_is_left_out_with_the_claims_about_it(tmp_path, caplog):
    left, notes = without_absent(study(tmp_path, regime="trained"))
    assert [model.name for model in left.models] == ["cnn-small"]
    assert [claim.name for claim in left.hypotheses] == ["of the first", "of all"]
    assert notes == (
        "second (trained) is left out, as weights.bin is not there.",
        "Hypothesis 'of the second' is left out, as it is about a model that is not there.",
    )
    assert all(note in caplog.text for note in notes)


def test_nothing_is_left_out_where_the_file_is_there(tmp_path):
    (tmp_path / "weights.bin").touch()
    whole = study(tmp_path)
    assert without_absent(whole) == (whole, ())


def test_a_study_of_which_no_model_is_left_is_refused(tmp_path):
    alone = study(tmp_path)
    with pytest.raises(InputError, match=r"none of the models is shown: .*weights\.bin is not there"):
        without_absent(alone.model_copy(update={"models": alone.models[1:]}))


def test_tables_call_a_network_as_the_study_does(tmp_path):
    (tmp_path / "weights.bin").touch()
    first, second = identify_networks(study(tmp_path), "cpu")
    assert (first.label, second.label) == ("cnn-small, untrained, seed 0", "second, untrained, seed 0")
    assert loaded(second).name == "second"
    with pytest.raises(InputError, match="network 'cnn-small' with seed 0 is listed twice"):
        study(tmp_path, called="cnn-small")
