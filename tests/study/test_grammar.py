"""Study files: what they mean, and what is said about a wrong one."""

from __future__ import annotations

import pytest

from neural_data import InputError
from neurocompare.stimuli.sets import Appearance
from neurocompare.study.grammar import load_study
from neurocompare.study.planning import plan_stimuli
from neurocompare.study.steps import planned_set

STUDY = """\
title = "A study"

[stimuli]
source = "faces"
azimuths_deg = [-90, 0, 90]

[[models]]
name = "cnn-small"

[[models]]
name = "pixels"
seeds = [3]

[comparison]
method = "corr"
"""


def write(folder, text):
    path = folder / "study.toml"
    path.write_text(text)
    return path


def test_a_study_has_its_values_and_defaults(tmp_path):
    study = load_study(write(tmp_path, STUDY))
    assert [model.name for model in study.models] == ["cnn-small", "pixels"]
    assert study.models[1].seeds == [3]
    assert study.comparison.n_draws == 1000
    assert study.recording.source == "simulated"


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("comparison.n_draws", "200", lambda study: study.comparison.n_draws == 200),
        ("comparison.method", "spearman", lambda study: study.comparison.method == "spearman"),
        ("comparison.resample", '["identity", "neuron"]', lambda s: s.comparison.resample == ["identity", "neuron"]),
        ("models.1.seeds", "[1, 2]", lambda study: study.models[1].seeds == [1, 2]),
        ("stimuli.source", "folder/faces.csv", lambda study: study.stimuli.source == "folder/faces.csv"),
        ("recording.n_neurons", 50, lambda study: study.recording.n_neurons == 50),
    ],
)
def test_overrides_replace_keys(tmp_path, key, value, found):
    assert found(load_study(write(tmp_path, STUDY), {key: value}))


def test_paths_in_a_file_are_relative_to_the_file(tmp_path):
    (tmp_path / "mine.csv").touch()
    study = load_study(write(tmp_path, STUDY.replace('"faces"', '"mine.csv"')))
    assert study.stimuli.source == str(tmp_path / "mine.csv")


def test_a_mapping_is_read_and_not_changed():
    content = {"models": [{"name": "pixels"}]}
    assert load_study(content, {"models.0.name": "cnn-small"}).models[0].name == "cnn-small"
    assert content == {"models": [{"name": "pixels"}]}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("azimuths_deg", "azimuth_deg", r"line 5: unknown key 'stimuli.azimuth_deg'; did you mean 'azimuths_deg'\?"),
        ("[comparison]", "[comparisson]", r"line 14: unknown key 'comparisson'; did you mean 'comparison'\?"),
        ('title = "A study"', 'tittle = "A study"', r"line 1: unknown key 'tittle'; did you mean 'title'\?"),
        ("seeds = [3]", "seed = 3", r"line 12: unknown key 'models.1.seed'; did you mean 'seeds'\?"),
        ("seeds = [3]", "seeds = [-3]", r"line 12: models.1.seeds.0 = -3: input should be greater than or equal to 0"),
        ('name = "pixels"\n', "", "key 'name' is missing: give the name of a network, or rdms"),
        ('"corr"', '"cor"', r"line 15: comparison.method = 'cor' is not allowed; did you mean 'corr'\?"),
        ('"corr"', '"corr"\nn_draws = 1.5', "line 16: comparison.n_draws = 1.5: input should be a valid integer"),
        ('"pixels"\nseeds = [3]', '"cnn-small"', "network 'cnn-small' with seed 0 is listed twice"),
        ("title = ", "strength = 1\ntitle = ", r"line 1: unknown key 'strength'; known are"),
        (
            'method = "corr"',
            'resample = "identty"',
            r"line 15: comparison.resample = 'identty' is not allowed; did you mean 'identity'\?$",
        ),
        (
            'method = "corr"',
            'resample = ["identty"]',
            r"line 15: comparison.resample.0 = 'identty' is not allowed; did you mean 'identity'\?$",
        ),
        ("[-90, 0, 90]", "[-90, 0", "not valid TOML"),
        ("[-90, 0, 90]", "[-90]", "line 5: stimuli.azimuths_deg"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_line(tmp_path, old, new, message):
    assert old in STUDY
    with pytest.raises(InputError, match=message):
        load_study(write(tmp_path, STUDY.replace(old, new)))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"comparison.n_draw": "9"}, r"--set comparison.n_draw=9: unknown key .* did you mean 'n_draws'\?"),
        ({"comparison.n_draws": "9"}, "--set comparison.n_draws=9: .*greater than or equal to 50"),
        ({"seed": "1", "models.1.seeds": "[-1]"}, r"--set models.1.seeds=\[-1\]: models.1.seeds.0 = -1"),
        ({"models.7.name": "x"}, "there is no entry '7'; entries 0 to 1 exist"),
        ({"title.x.y": "1"}, "title.x is no table"),
    ],
)
def test_a_wrong_override_is_named_as_such(tmp_path, overrides, message):
    with pytest.raises(InputError, match=message):
        load_study(write(tmp_path, STUDY), overrides)


@pytest.mark.parametrize("source", ["objects", "own"])
@pytest.mark.parametrize("shown", [{"hair": "false"}, {"neck": "false"}, {"light_deg": "60"}])
def test_only_built_in_faces_are_shown_without_hair_and_neck_or_in_another_light(small_study, source, shown):
    overrides = {f"stimuli.{name}": value for name, value in shown.items()}
    if source != "own":
        overrides["stimuli.source"] = source
    with pytest.raises(InputError, match="only for the built-in faces"):
        plan_stimuli(load_study(small_study, overrides))


def test_faces_are_planned_as_a_study_shows_them(small_study):
    overrides = {"stimuli.source": "faces", "stimuli.hair": "false", "stimuli.light_deg": "60"}
    plan = planned_set(load_study(small_study, overrides))
    assert plan.appearance == Appearance(hair=False, light_deg=60)


def test_a_missing_study_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such study file"):
        load_study(tmp_path / "none.toml")
