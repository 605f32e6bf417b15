"""Rival accounts of the patches, asked for in a study file."""

from __future__ import annotations

import dataclasses

import pytest

from neural_data import InputError
from neurocompare import run_study
from neurocompare.comparison.account_verdicts import NONE, UNDECIDED
from neurocompare.measures.rival_mechanisms import RivalMechanisms, measure
from neurocompare.models.accounts import ACCOUNTS
from neurocompare.stimuli.sets import face_views
from neurocompare.study.grammar import load_study
from neurocompare.study.quick import quick_study

RIVALS = ["equivariant", "equivariant-without-pooling"]
STUDY = {
    "seed": 1,
    "stimuli": {"source": "faces", "n_identities": 3, "azimuths_deg": [-90, -45, 0, 45, 90], "size": 32},
    "recording": {"regions": ["ML", "AL"], "n_neurons": 12, "n_repetitions": 4},
    "outputs": {
        "rival_mechanisms": {
            "accounts": RIVALS,
            "experiments": ["as shown", "three views", "nine views", "shifted", "one-sided training"],
            "n_identities": [3, 5],
            "n_neurons": [10],
            "n_animals": 4,
            "n_units": 20,
            "n_experiments": 20,
            "n_held_out": 19,
            "n_tested": 10,
        }
    },
}


def test_a_study_of_rival_accounts_needs_no_models(tmp_path):
    run = run_study(STUDY, out=tmp_path / "run")
    recovery = run.tables["rival_recovery"]
    assert set(recovery["n_identities"]) == {3}  # five are more than there are
    assert recovery[recovery["known"]]["truth"].drop_duplicates().tolist() == RIVALS
    assert {"unrelated to the images", "simulated patches (image)"} <= set(recovery[~recovery["known"]]["truth"])
    assert set(run.tables["rival_pairs"]["experiment"]) == {"as shown", "three views", "shifted", "one-sided training"}
    verdicts = run.tables["rival_verdicts"]
    assert verdicts["simulated"].all()
    assert set(verdicts["verdict"]) <= {*RIVALS, NONE, UNDECIDED}
    page = (run.out / "report.html").read_text()
    assert "Experiments of 5 identities are left out" in page
    assert "the stimuli do not have these views" in page
    assert {"rival_confusion.png", "rival_pairs.png"} <= {path.name for path in (run.out / "figures").iterdir()}


@pytest.mark.parametrize("there", [True, False])
def test_accounts_that_learn_are_shown_as_trained_on_one_side_or_left_out(monkeypatch, there):
    if not there:
        without = dataclasses.replace(ACCOUNTS["discrimination"], one_sided=None)
        monkeypatch.setitem(ACCOUNTS, "discrimination", without)
    asked = {"accounts": ["equivariant", "discrimination"], "experiments": ["as shown", "one-sided training"]}
    settings = RivalMechanisms(**{**STUDY["outputs"]["rival_mechanisms"], **asked})
    stimuli = face_views(3, STUDY["stimuli"]["azimuths_deg"], size=32)
    pairs = measure(settings=settings, stimuli=stimuli, seed=0).tables["rival_pairs"]
    assert set(pairs["experiment"]) == ({"as shown", "one-sided training"} if there else {"as shown"})


def test_what_no_experiment_allows_is_refused(tmp_path):
    few = {"outputs.rival_mechanisms.n_identities": [10, 25]}
    with pytest.raises(InputError, match="more identities than the stimuli"):
        run_study(STUDY, out=tmp_path / "run", overrides=few)
    assert not (tmp_path / "run").exists()
    for key, refused in (("experiments", []), ("n_animals", 2000), ("accounts", ["equivariant"])):
        with pytest.raises(InputError, match=rf"outputs\.rival_mechanisms\.{key} = "):
            run_study(STUDY, out=tmp_path / "run", overrides={f"outputs.rival_mechanisms.{key}": refused})
    with pytest.raises(InputError, match=r"a measure of stimuli alone \(.*outputs\.rival_mechanisms"):
        load_study({"stimuli": STUDY["stimuli"], "recording": {"source": "none"}})


def test_a_quick_study_keeps_kinds_of_experiments_that_were_asked_for():
    def kinds(asked: list[str]) -> list[str]:
        rivals = {**STUDY["outputs"]["rival_mechanisms"], "experiments": asked}
        study = load_study({**STUDY, "outputs": {"rival_mechanisms": rivals}})
        return quick_study(study).outputs.rival_mechanisms.experiments

    assert kinds(["nine views", "shifted", "as shown"]) == ["shifted", "as shown"]
    assert kinds(["three views", "nine views"]) == ["three views"]
