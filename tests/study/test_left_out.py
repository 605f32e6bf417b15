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


def claims_left(tmp_path, models, *selections, where=None, baseline=None):
    """Names of the claims that are left: one a selection, called by its place."""
    claims = [
        {**CLAIM, "name": str(place), "selections": [selection], "where": where or {}, "baseline": baseline}
        for place, selection in enumerate(selections)
    ]
    left, _ = without_absent(load_study({"models": models, "hypotheses": claims}))
    return [int(claim.name) for claim in left.hypotheses]


def test_a_claim_about_a_regime_that_is_not_there_is_left_out_and_those_about_the_model_are_not(tmp_path):
    absent = {"only_with": str(tmp_path / "weights.bin")}
    models = [
        {"name": "cnn-small", "seeds": [0, 1]},
        {"name": "cnn-small", "regime": "trained", "seeds": [0, 2], **absent},
    ]
    selections = [
        *({"model": "cnn-small"}, {"regime": "untrained"}, {"model": "cnn-small", "regime": "trained"}),
        *({"regime": "trained"}, {"regime": ["untrained", "trained"]}, {"seed": 0}, {"seed": "2"}, {"layer": "fc1"}),
    ]
    assert claims_left(tmp_path, models, *selections) == [0, 1, 5, 7]
    assert claims_left(tmp_path, models, {"layer": "fc1"}, where={"regime": "trained"}) == []
    assert claims_left(tmp_path, models, {"regime": "untrained"}, baseline={"regime": "trained"}) == []
    assert claims_left(tmp_path, models, {"regime": "untrained"}, where={"regime": "trained"}) == [0]


def test_claims_about_rdms_that_are_there_stay_and_those_about_rdms_that_are_not_are_left_out(tmp_path):
    models = [
        {"rdms": str(tmp_path / "mine.npz")},
        {"name": "yours", "rdms": str(tmp_path / "other.npz"), "only_with": str(tmp_path / "other.npz")},
    ]
    selections = [{"model": "mine"}, {"model": "yours"}, {"model": "a name within one of the files"}]
    assert claims_left(tmp_path, models, *selections) == [0, 2]
    models[0] = {"name": "cnn-small"}
    assert claims_left(tmp_path, models, {"model": "cnn-small"}, *selections[1:]) == [0]


def test_nothing_is_left_out_where_the_file_is_there(tmp_path):
    (tmp_path / "weights.bin").touch()
    whole = study(tmp_path)
    assert without_absent(whole) == (whole, ())


def test_a_study_of_which_no_model_is_left_is_refused(tmp_path):
    alone = study(tmp_path)
    with pytest.raises(InputError, match=r"no model is left: .*weights\.bin does not exist"):
        without_absent(alone.model_copy(update={"models": alone.models[1:]}))


def test_tables_call_a_network_as_the_study_does(tmp_path):
    (tmp_path / "weights.bin").touch()
    first, second = identify_networks(study(tmp_path), "cpu")
    assert (first.label, second.label) == ("cnn-small, untrained, seed 0", "second, untrained, seed 0")
    assert loaded(second).name == "second"
    with pytest.raises(InputError, match="network 'cnn-small' with seed 0 is listed twice"):
        study(tmp_path, called="cnn-small")
