"""Studies that train networks: once a recipe, with the same bytes on any number of workers, contrasted over seeds."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import stats

from neural_data import InputError
from neurocompare import load_model, run_study
from neurocompare.cli import main
from neurocompare.models.training import STATE_NAME, make_recipe
from neurocompare.study import runner, training_runs
from neurocompare.study.cache import open_cache
from neurocompare.study.grammar import load_study
from neurocompare.study.quick import quick_study
from neurocompare.study.recipes import training_key
from neurocompare.study.runner import plan_study


def write_images(path, n: int, seed: int = 0):
    """Parquet of noise that is brighter on the left (label 0) or on the right (label 1)."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        image = rng.integers(0, 100, (32, 32), dtype=np.uint8)
        image[:, :16] += 120 * (number % 2 == 0)
        image[:, 16:] += 120 * (number % 2 == 1)
        held = io.BytesIO()
        Image.fromarray(image).save(held, "PNG")
        rows.append({"image": {"bytes": held.getvalue(), "path": ""}, "label": number % 2})
    pd.DataFrame(rows).to_parquet(path)
    return path


@pytest.fixture
def trained_study(small_study):
    """The small study with two regimes of two seeds each, and an untrained network."""
    write_images(small_study.parent / "sides.parquet", 120)
    entry = """
[[models]]
name = "cnn-small"
regime = "REGIME"
layers = ["conv4", "fc1"]
seeds = [0, 1]
[models.training]
dataset = "sides.parquet"
regime = "VARIANT"
epochs = 1
KEEP
"""
    same = entry.replace("REGIME", "same").replace("VARIANT", "mirror-same").replace("KEEP", "keep_epochs = [0, 1]")
    distinct = entry.replace("REGIME", "distinct").replace("VARIANT", "mirror-distinct").replace("KEEP", "")
    text = small_study.read_text() + same + distinct
    small_study.write_text(
        text + '\n[outputs]\nreflection = true\nregime_contrasts = {pairs = [["same", "distinct"]]}\n'
    )
    return small_study


@pytest.fixture
def one_regime(small_study):
    """The small study with two networks of one regime and no other, where their number is not the point."""
    write_images(small_study.parent / "sides.parquet", 120)
    layers = 'layers = ["conv4", "fc1"]\n'
    head, _, rest = small_study.read_text().partition(layers)
    training = 'dataset = "sides.parquet"\nregime = "mirror-same"\nepochs = 1\nkeep_epochs = [0, 1]\n'
    small_study.write_text(f'{head}{layers}regime = "same"\nseeds = [0, 1]\n[models.training]\n{training}{rest}')
    return small_study


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROCOMPARE_CACHE", str(tmp_path / "cache"))


@pytest.mark.slow
def test_a_study_trains_its_networks_and_contrasts_them(trained_study, tmp_path):
    run = run_study(trained_study, out=tmp_path / "run")
    curves = run.tables["training"]
    assert curves[["regime", "seed", "epoch"]].to_numpy().tolist() == [
        *(["same", 0, 1], ["same", 1, 1], ["distinct", 0, 1], ["distinct", 1, 1]),
    ]
    assert curves["test_accuracy"].between(0, 1).all()
    index = run.tables["viewpoint"].pivot_table(index="seed", columns=["regime", "layer"], values="index")
    contrasts = run.tables["regime_contrasts"]
    for layer in ("conv4", "fc1"):
        same, distinct = (index[regime, layer].dropna() for regime in ("same", "distinct"))
        expected = stats.ttest_rel(same, distinct)
        found = contrasts[(contrasts["measure"] == "index") & (contrasts["layer"] == layer)].iloc[0]
        assert found["estimate"] == pytest.approx((same - distinct).mean())
        assert found["p"] == pytest.approx(expected.pvalue)
    assert set(run.tables["regime_contrasts"]["measure"]) == {
        *("index", "fit", "shapley_invariant", "shapley_sensitive"),
    }
    assert set(run.tables["fits"]["regime"]) == {"untrained", "same", "distinct"}
    assert set(run.tables["trajectories"]["regime"]) == {"same"}  # the one whose epochs are kept


def test_trajectories_end_at_the_trained_network(one_regime, tmp_path):
    run = run_study(one_regime, out=tmp_path / "run")
    course = run.tables["trajectories"]
    assert sorted(set(course["epoch"])) == [0, 1]
    fits = run.tables["fits"].set_index(["regime", "seed", "layer", "region"])["fit"]
    last = course[(course["epoch"] == 1) & (course["measure"] == "fit")]
    assert len(last) == 2 * 2 * 3
    for row in last.itertuples():
        assert row.value == pytest.approx(fits[row.regime, row.seed, row.layer, row.region], abs=1e-9)
    means = run.tables["viewpoint_summary"].set_index(["regime", "seed", "layer"])["index"]
    for row in course[(course["epoch"] == 1) & (course["measure"] == "index")].itertuples():
        assert row.value == pytest.approx(means[row.regime, row.seed, row.layer], abs=1e-9)


@pytest.mark.slow
def test_workers_and_what_is_kept_do_not_change_a_byte(one_regime, tmp_path, monkeypatch):
    contents = []
    for n_jobs in (1, 2):
        monkeypatch.setenv("NEUROCOMPARE_CACHE", str(tmp_path / f"cache {n_jobs}"))
        for again in ("", " again"):
            out = run_study(one_regime, out=tmp_path / f"run {n_jobs}{again}", n_jobs=n_jobs).out
            contents.append([path.read_bytes() for path in sorted(out.glob("tables/*.csv"))])
    assert {"training.csv", "trajectories.csv"} <= {path.name for path in out.glob("tables/*.csv")}
    assert all(content == contents[0] for content in contents[1:])


@pytest.mark.slow
def test_networks_outlive_changes_of_the_analysis(one_regime, tmp_path, own_cache, monkeypatch):
    run_study(one_regime, out=tmp_path / "run")
    monkeypatch.setattr("neurocompare.study.cache._code", lambda: "another version of the package")
    monkeypatch.setattr(runner, "train_weights", lambda *_: pytest.fail("trained again"))
    run_study(one_regime, out=tmp_path / "run")


def test_what_training_depends_on_changes_the_key(trained_study):
    def key(**changes):
        study = load_study(trained_study, {f"models.1.training.{name}": value for name, value in changes.items()})
        return training_key(study.models[1], study.models[1].training, 0, "cpu")

    other = write_images(trained_study.parent / "other.parquet", 40, seed=1)
    changes = [{"epochs": 2}, {"regime": "natural"}, {"dataset": str(other)}, {"data_seed": 1}, {"n_images": 50}]
    changes += [{"precision": "bfloat16"}, {"recipe": "paper"}, {"keep_epochs": [0]}, {"test": str(other)}]
    keys = [key(), *(key(**change) for change in changes)]
    assert len(set(keys)) == len(keys)
    assert key() == keys[0]
    write_images(trained_study.parent / "sides.parquet", 118)
    assert key() != keys[0]


KILLED = {"seeds": [0], "training.epochs": 3, "training.keep_epochs": []}


@pytest.mark.slow
def test_a_killed_training_goes_on_where_it_was(one_regime, tmp_path, own_cache, monkeypatch):
    overrides = {f"models.0.{name}": value for name, value in KILLED.items()}
    whole = run_study(one_regime, out=tmp_path / "whole", overrides=overrides, n_jobs=1).tables["training"]
    shutil.rmtree(tmp_path / "cache")
    original = training_runs.train_network

    def killed(*arguments, **options):
        def stop(_name, share):
            if share > 0.5:
                raise KeyboardInterrupt

        return original(*arguments, **(options | {"progress": stop}))

    monkeypatch.setattr(training_runs, "train_network", killed)
    with pytest.raises(KeyboardInterrupt):
        run_study(one_regime, out=tmp_path / "run", overrides=overrides, n_jobs=1)
    assert [path.name for path in open_cache().folder.glob("training/*/*")] == [STATE_NAME]
    shares = []

    def watched(*arguments, **options):
        return original(*arguments, **(options | {"progress": lambda _name, share: shares.append(share)}))

    monkeypatch.setattr(training_runs, "train_network", watched)
    again = run_study(one_regime, out=tmp_path / "run", overrides=overrides, n_jobs=1).tables["training"]
    assert shares[0] >= 1 / 3
    pd.testing.assert_frame_equal(again, whole)
    assert not list(open_cache().folder.glob("training/*"))


def test_a_plan_names_the_trainings(trained_study, own_cache):
    plan = plan_study(trained_study)
    labels = [step.label for step in plan.steps]
    assert labels[:3] == [
        "training images sides.parquet",
        "train cnn-small, same, seed 0",
        "train cnn-small, same, seed 1",
    ]
    assert all(plan.expected_seconds(open_cache())[step.key] > 0 for step in plan.steps)


def test_a_quick_look_trains_little(trained_study):
    study = quick_study(
        load_study(trained_study, {"models.1.training.epochs": 9, "models.1.training.keep_epochs": [0, 5]})
    )
    quick = study.models[1].training
    assert (quick.epochs, quick.n_images, quick.keep_epochs) == (1, 1000, [0])


STUDIES = {  # what is replaced in the study file, by what, and what is said
    "unknown regime": ('regime = "mirror-same"', 'regime = "mirror-sme"', "did you mean 'mirror-same'?"),
    "unknown recipe": ("epochs = 1", 'recipe = "papr"', "did you mean 'paper'?"),
    "misspelt key": ("epochs = 1", "epoch = 1", "unknown key 'models.1.training.epoch'; did you mean 'epochs'?"),
    "no epochs": ("epochs = 1", "epochs = 0", "models.1.training.epochs"),
    "all units dropped": (
        "epochs = 1",
        "dropout = 1.0",
        "models.1.training.dropout = 1.0: input should be less than 1",
    ),
    "no learning": ("epochs = 1", "learning_rate = 0", "models.1.training.learning_rate"),
    "shifted to the left": ("epochs = 1", "shift = -1", "models.1.training.shift"),
    "no such data set": ('"sides.parquet"', '"none.parquet"', "'none.parquet': no such file, folder or built-in set"),
    "misspelt built-in set": ('"sides.parquet"', '"symetric"', "did you mean 'symmetric'?"),
    "weights and training": ("seeds = [0, 1]", 'weights = "x.safetensors"', "has both weights and training; give one"),
    "training of untrained": ('regime = "same"', 'regime = "untrained"', "is called untrained, but has training"),
    "contrast of no regime": ('[["same", "distinct"]]', '[["same", "distnct"]]', "did you mean 'distinct'?"),
    "contrast of one regime": ('[["same", "distinct"]]', '[["same"]]', "outputs.regime_contrasts.pairs.0"),
    "two networks of one name": ('regime = "distinct"', 'regime = "same"', "is listed twice"),
}


@pytest.mark.parametrize("case", STUDIES)
def test_wrong_trainings_are_refused_before_work_starts(trained_study, tmp_path, capsys, case):
    old, new, said = STUDIES[case]
    text = trained_study.read_text()
    assert old in text
    trained_study.write_text(text.replace(old, new, 1))
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(trained_study), "--out", str(tmp_path / "run")])
    shown = capsys.readouterr()
    assert stopped.value.code == 2
    assert said in shown.err.replace("\n", " ")
    assert "Traceback" not in shown.err
    assert not (tmp_path / "run").exists()


@pytest.fixture
def sides(tmp_path):
    return write_images(tmp_path / "sides.parquet", 120)


def train_command(*arguments) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["train", *map(str, arguments)])
    return stopped.value.code or 0


def test_the_command_writes_a_checkpoint_that_loads(sides, tmp_path, capsys):
    test = write_images(tmp_path / "test.parquet", 30, seed=1)
    arguments = ["--dataset", sides, "--test", test, "--regime", "mirror-distinct", "--epochs", 2, "--keep", 0]
    assert train_command(*arguments, "--seed", 3, "--out", tmp_path / "run") == 0
    assert "4 classes, test accuracy" in capsys.readouterr().out
    names = ["checkpoint.safetensors", "epoch_0.safetensors", "provenance.json", "training.csv"]
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == names
    curve = pd.read_csv(tmp_path / "run" / "training.csv")
    assert curve["epoch"].tolist() == [1, 2]
    assert curve["test_accuracy"].notna().tolist() == [False, True]
    network = load_model("cnn-small", weights=tmp_path / "run" / "checkpoint.safetensors")
    assert network.module.fc3.out_features == 4
    assert train_command(*arguments, "--seed", 3, "--out", tmp_path / "again") == 0
    first, second = ((tmp_path / run / "checkpoint.safetensors").read_bytes() for run in ("run", "again"))
    assert first == second


def test_one_epoch_is_enough(sides, tmp_path):
    assert train_command("--dataset", sides, "--epochs", 1, "--out", tmp_path / "new" / "run") == 0
    assert (tmp_path / "new" / "run" / "checkpoint.safetensors").is_file()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--dropout", 1.5, "dropout is 1.5; it must be at least 0 and under 1"),
        ("--weight-decay", -1, "weight_decay is -1.0; it must be 0 or more"),
        ("--learning-rate", 0, "learning_rate is 0.0; it must be positive"),
        ("--shift", 40, "shift is 40 pixels of 32"),
    ],
)
def test_a_recipe_that_is_not_possible_is_refused_and_nothing_written(sides, tmp_path, capsys, option, value, said):
    assert train_command("--dataset", sides, option, value, "--out", tmp_path / "run") == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_settings_of_a_recipe_reach_the_training(sides, tmp_path):
    settings = ["--learning-rate", 0.02, "--weight-decay", 0.0, "--dropout", 0.5, "--shift", 1]
    assert train_command("--dataset", sides, "--epochs", 1, *settings, "--out", tmp_path / "run") == 0
    recipe = json.loads((tmp_path / "run" / "provenance.json").read_text())["recipe"]
    assert [recipe[name] for name in ("learning_rate", "weight_decay", "dropout", "shift")] == [0.02, 0.0, 0.5, 1]


def test_a_folder_that_cannot_be_made_is_said(sides, tmp_path, capsys):
    assert train_command("--dataset", sides, "--epochs", 1, "--out", sides / "run") == 2
    assert "cannot be written" in capsys.readouterr().err


def one_class(path):
    pd.read_parquet(path).assign(label=0).to_parquet(path)


def negative_label(path):
    table = pd.read_parquet(path)
    table.assign(label=table["label"] - 1).to_parquet(path)


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-100])


def no_image(path):
    table = pd.read_parquet(path)
    table.at[3, "image"] = {"bytes": b"no image", "path": ""}
    table.to_parquet(path)


def no_column(path):
    pd.read_parquet(path).rename(columns={"image": "images"}).to_parquet(path)


COMMANDS = {  # damage to the Parquet, further arguments, and what is said
    "one class": (one_class, [], "holds one class (0); training needs at least two"),
    "label out of range": (negative_label, [], "row 0 has label '-1', out of range or missing"),
    "cut off": (cut_off, [], "not readable as a Parquet file"),
    "no image": (no_image, [], "row 3 is not a readable image"),
    "no column": (no_column, [], "has no column 'image': did you mean 'images'?"),
    "unknown regime": (None, ["--regime", "mirrored"], "no training regime 'mirrored'"),
    "untrained": (None, ["--regime", "untrained"], "regime 'untrained' is not trained"),
    "unknown recipe": (None, ["--recipe", "slow"], "no training recipe 'slow'"),
    "unknown architecture": (None, ["--architecture", "cnn-smal"], "did you mean 'cnn-small'?"),
    "controls": (None, ["--architecture", "pixels"], "no linear layer to give class scores"),
    "unknown precision": (None, ["--precision", "float8"], "precision 'float8'"),
    "no such test": (None, ["--test", "none.parquet"], "none.parquet"),
    "unknown device": (None, ["--device", "cuda:9"], "device 'cuda:9' cannot be used"),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_wrong_commands_are_refused(sides, tmp_path, capsys, case):
    damage, arguments, said = COMMANDS[case]
    if damage is not None:
        damage(sides)
    assert train_command("--dataset", sides, "--epochs", 1, "--out", tmp_path / "run", *arguments) == 2
    shown = capsys.readouterr()
    assert said in shown.err.replace("\n", " ")
    assert "Traceback" not in shown.err
    assert not (tmp_path / "run").exists()


def test_a_folder_with_other_files_is_left_alone(sides, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("x")
    assert train_command("--dataset", sides, "--epochs", 1, "--out", tmp_path / "run") == 2
    assert "holds files and no earlier training" in capsys.readouterr().err.replace("\n", " ")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.tex"]


def test_a_training_that_was_stopped_goes_on_in_its_folder(sides, tmp_path, monkeypatch):
    arguments = ["--dataset", sides, "--epochs", 3, "--out"]
    assert train_command(*arguments, tmp_path / "whole") == 0
    original = training_runs.train_network

    def killed(*a, **options):
        def stop(_name, share):
            if share > 0.5:
                raise KeyboardInterrupt

        return original(*a, **(options | {"progress": stop}))

    monkeypatch.setattr(training_runs, "train_network", killed)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        main(["train", *map(str, arguments), str(tmp_path / "run")])
    assert [path.name for path in (tmp_path / "run").iterdir()] == [STATE_NAME]
    monkeypatch.setattr(training_runs, "train_network", original)
    assert train_command(*arguments, tmp_path / "run") == 0
    for name in ("checkpoint.safetensors", "training.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_errors_below_the_command_line_are_input_errors(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        training_runs.train_to_folder(tmp_path / "run", training_runs.TrainingTask("none/x.parquet", make_recipe()))
