"""A catalogue of bad input: each case gets exit code 2, one message that names it, no traceback and no output.

Cases are a piece of the study to be replaced, an override, a damage to a file, or a command line, and a part of the
message. Only what cannot be seen without computing is run; everything else is checked.
"""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from neurocompare.cli import main

TEXT = {  # what is replaced in the study file, by what, and what is said
    "no TOML": ("seed = 3", "seed = = 3", "not valid TOML"),
    "unclosed list": ('["conv4", "fc1"]', '["conv4", "fc1"', "not valid TOML"),
    "unclosed text": ('name = "cnn-small"', 'name = "cnn-small', "not valid TOML"),
    "key twice": ("seed = 3", "seed = 3\nseed = 4", "not valid TOML"),
    "section twice": ("[recording]", "[stimuli]\n[recording]", "not valid TOML"),
    "unknown section": ("[recording]", "[recordings]", "unknown key 'recordings'; did you mean 'recording'?"),
    "misspelt stimuli key": ("source = ", "sourc = ", "unknown key 'stimuli.sourc'; did you mean 'source'?"),
    "misspelt model key": ("layers = ", "layer = ", "unknown key 'models.0.layer'; did you mean 'layers'?"),
    "misspelt recording key": ("n_neurons", "neurons", "unknown key 'recording.neurons'"),
    "misspelt comparison key": ("n_splits", "nsplits", "did you mean 'n_splits'?"),
    "misspelt outputs key": ("[comparison]", "[outputs]\nequivarience = true\n[comparison]", "'equivariance'?"),
    "no models": ('[[models]]\nname = "cnn-small"\nlayers = ["conv4", "fc1"]', "", "a study needs [[models]], or"),
    "rdms and a network's layers": ("layers = ", 'rdms = "r.npy"\nlayers = ', "layers is a setting of networks"),
    "names of no rdms": ("layers = ", 'names = "a"\nlayers = ', "names is a setting of rdms, but there are none"),
    "recording and its rdms": ("n_neurons = 20", 'source = "r.nc"\nrdms = "r.npy"', "either rdms or a source"),
    "onset bin of rdms": ("n_neurons = 20", 'onset_bin = 3\nrdms = "r.npy"', "either rdms or a source"),
    "models as table": ("[[models]]", "[models]", "models"),
    "model without name": ('name = "cnn-small"', "", "key 'name' is missing: give the name of a network, or rdms"),
    "empty layers": ('["conv4", "fc1"]', "[]", "models.0.layers"),
    "layers a number": ('["conv4", "fc1"]', "3", "models.0.layers"),
    "unknown layer": ('"conv4"', '"conv44"', "no layer 'conv44'"),
    "pattern without match": ('"conv4"', '"block*"', "no layer 'block*'"),
    "unknown network": ("cnn-small", "cnn-smal", "did you mean 'cnn-small'?"),
    "unknown zoo": ("cnn-small", "torchvison:alexnet", "torchvison"),
    "no such module": ("cnn-small", "no_such_module:net", "no_such_module"),
    "no such attribute": ("cnn-small", "torch.nn:Linaer", "no 'Linaer'"),
    "needs arguments": ("cnn-small", "torch.nn:Linear", "cannot be called without arguments"),
    "no module returned": ("cnn-small", "fractions:Fraction", "must return a torch.nn.Module"),
    "built-in class": ("cnn-small", "collections:OrderedDict", "must return a torch.nn.Module"),
    "pretrained of no regime": (
        "layers = ",
        'weights = "pretrained"\nlayers = ',
        "of the regimes chiral, symmetric; name one",
    ),
    "pretrained control": (
        '"cnn-small"\nlayers = ["conv4", "fc1"]',
        '"pixels"\nweights = "pretrained"',
        "no pretrained weights",
    ),
    "missing checkpoint": ("layers = ", 'weights = "none.safetensors"\nlayers = ', "none.safetensors"),
    "network twice": ("layers = ", "seeds = [1, 1]\nlayers = ", "is listed twice"),
    "no seeds": ("layers = ", "seeds = []\nlayers = ", "models.0.seeds"),
    "bad start": ("layers = ", 'start = "gausian"\nlayers = ', "did you mean 'gaussian'?"),
    "duplicate hypothesis": ("[comparison]", "HYPOTHESIS\nHYPOTHESIS\n[comparison]", "declared twice"),
    "unknown hypothesis key": (
        "[comparison]",
        "HYPOTHESIS\ntests = 1\n[comparison]",
        "'hypotheses.0.tests'; did you mean 'test'?",
    ),
    "hypothesis of wrong type": ("[comparison]", 'HYPOTHESIS\nalpha = "x"\n[comparison]', "hypotheses.0.alpha = 'x'"),
}
HYPOTHESIS = """[[hypotheses]]
name = "h"
statement = "s"
table = "viewpoint"
value = "index"
test = "mean"
unit = ["identity"]
selections = [{layer = "fc1"}]"""

OVERRIDES = {  # key of the study, value, and what is said
    "negative seed": ("seed", "-1", "seed = -1"),
    "seed no number": ("seed", "abc", "seed = 'abc'"),
    "seed a fraction": ("seed", "1.5", "seed = 1.5"),
    "empty title": ("title", '""', "title = ''"),
    "title a number": ("title", "3", "title = 3"),
    "empty source": ("stimuli.source", '""', "stimuli.source"),
    "misspelt built-in set": ("stimuli.source", "facs", "did you mean 'faces'?"),
    "no such CSV": ("stimuli.source", "none.csv", "none.csv: no such file"),
    "no such images": ("stimuli.images", "nowhere", "nowhere"),
    "two views": ("stimuli.azimuths_deg", "[0, 90]", "stimuli.azimuths_deg"),
    "views no numbers": ("stimuli.azimuths_deg", '["left", "mid", "right"]', "stimuli.azimuths_deg.0"),
    "views not symmetric": (
        "stimuli.azimuths_deg",
        "[-90, -45, 0, 90]",
        "symmetric about 0 degrees; these are -90, -45, 0, 90",
    ),
    "views of one side": ("stimuli.azimuths_deg", "[0, 45, 90]", "symmetric about 0 degrees"),
    "view not shown": ("stimuli.azimuths_deg", "[-90, 0, 30]", "azimuth_deg 30 is missing"),
    "background above 1": ("stimuli.background", "128", "stimuli.background = 128"),
    "background below 0": ("stimuli.background", "-0.5", "stimuli.background = -0.5"),
    "unknown category": ("stimuli.categories", '["fase"]', "did you mean 'face'?"),
    "no category": ("stimuli.categories", "[]", "stimuli.categories"),
    "one identity": ("stimuli.n_identities", "1", "stimuli.n_identities = 1"),
    "tiny images": ("stimuli.size", "4", "stimuli.size = 4"),
    "negative model seed": ("models.0.seeds", "[-1]", "models.0.seeds.0 = -1"),
    "model seeds no list": ("models.0.seeds", "3", "models.0.seeds = 3"),
    "no such model": ("models.4.name", "pixels", "there is no entry '4'"),
    "model by name": ("models.first.name", "pixels", "there is no entry 'first'"),
    "models no list": ("models", "3", "models = 3"),
    "empty models": ("models", "[]", "a study needs [[models]], or"),
    "few neurons": ("recording.n_neurons", "3", "recording.n_neurons = 3"),
    "no repetition": ("recording.n_repetitions", "0", "recording.n_repetitions = 0"),
    "no region": ("recording.regions", "[]", "recording.regions"),
    "region a number": ("recording.regions", "[1]", "recording.regions"),
    "no such recording": ("recording.source", "none.nc", "none.nc"),
    "misspelt simulated": ("recording.source", "simulatd", "did you mean 'simulated'?"),
    "half a window": ("recording.window_ms", "[50]", "recording.window_ms"),
    "window of three": ("recording.window_ms", "[50, 100, 200]", "recording.window_ms"),
    "window no numbers": ("recording.window_ms", '["a", "b"]', "recording.window_ms"),
    "unknown method": ("comparison.method", "pearson", "comparison.method = 'pearson' is not allowed"),
    "misspelt method": ("comparison.method", "spearmann", "did you mean 'spearman'?"),
    "unknown dissimilarity": ("comparison.dissimilarity", "corelation", "did you mean 'correlation'?"),
    "unknown normalisation": ("comparison.normalize", "z-score", "did you mean 'zscore'?"),
    "unknown factor": ("comparison.resample", "neurons", "comparison.resample"),
    "no factor": ("comparison.resample", "[]", "comparison.resample"),
    "four factors": ("comparison.resample", '["stimulus","identity","neuron","subject"]', "comparison.resample"),
    "unknown variance": ("comparison.variance", "jacknife", "did you mean 'jackknife'?"),
    "few draws": ("comparison.n_draws", "10", "comparison.n_draws = 10"),
    "many draws": ("comparison.n_draws", "10000000", "comparison.n_draws"),
    "draws a fraction": ("comparison.n_draws", "99.5", "comparison.n_draws = 99.5"),
    "draws no number": ("comparison.n_draws", "many", "comparison.n_draws = 'many'"),
    "one split": ("comparison.n_splits", "1", "comparison.n_splits = 1"),
    "unknown correction": ("comparison.correction", "bonferroni", "comparison.correction = 'bonferroni'"),
    "outputs no truth value": ("outputs.equivariance", "maybe", "outputs.equivariance = 'maybe'"),
    "unknown output": ("outputs.pictures", "true", "unknown key 'outputs.pictures'"),
    "key below a value": ("title.a.b", "1", "title = "),
    "unknown top key": ("stimulus.source", "faces", "did you mean 'stimuli'?"),
    "region twice": ("recording.regions", '["ML", "AL", "ML"]', "'ML' is listed 2 times; list it once"),
    "window backwards": ("recording.window_ms", "[300, 100]", "the window must close after it opens"),
    "window of no length": ("recording.window_ms", "[100, 100]", "the window must close after it opens"),
    "factor twice": ("comparison.resample", '["neuron", "neuron"]', "'neuron' is listed 2 times"),
    "view twice": ("stimuli.azimuths_deg", "[0, 0, 90]", "at least three views"),
    "unknown measure setting": ("outputs.equivariance.transforms", '["spin"]', "unknown key 'outputs.equivariance"),
    "layer tests a number": ("outputs.layer_tests", "3", "outputs.layer_tests = 3"),
    "half a power section": ("power.first.model", "cnn-small", "key 'power.first.layer' is missing"),
    "hypotheses no list": ("hypotheses", "3", "hypotheses = 3"),
}


def csv(folder):
    return folder / "set" / "stimulus_set.csv"


def image(folder):
    return folder / "set" / "images" / "s2_45.png"


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def keep_rows(folder, wanted):
    csv(folder).write_text("\n".join(row for row in csv(folder).read_text().splitlines() if wanted(row)))


def use_weights(folder, name):
    edit(folder / "study.toml", "layers = ", f'weights = "{name}"\nlayers = ')
    return folder / name


def use_recording(folder, name, content):
    edit(folder / "study.toml", "[recording]", f'[recording]\nsource = "{name}"')
    (folder / name).write_bytes(content)


FILES = {  # damage to a file, and what is said
    "empty study": (lambda f: (f / "study.toml").write_text(""), "is empty (0 bytes)"),
    "binary study": (lambda f: (f / "study.toml").write_bytes(b"\xff\xfe\x00"), "not readable as a study file"),
    "study is a folder": (lambda f: ((f / "study.toml").unlink(), (f / "study.toml").mkdir()), "is a folder"),
    "empty CSV": (lambda f: csv(f).write_text(""), "is empty (0 bytes)"),
    "CSV of a header": (lambda f: csv(f).write_text(csv(f).read_text().splitlines()[0] + "\n"), "has no stimuli"),
    "binary CSV": (lambda f: csv(f).write_bytes(b"\xff\xfe\x00\x01"), "stimulus_set.csv"),
    "no identity column": (lambda f: edit(csv(f), "identity", "person"), "column 'identity' to stimuli"),
    "no filename column": (lambda f: edit(csv(f), "filename", "file"), "the column 'filename' is missing"),
    "no id column": (lambda f: edit(csv(f), "stimulus_id", "id"), "no column 'stimulus_id'"),
    "empty identity": (lambda f: edit(csv(f), "id3", " "), "has an empty identity"),
    "angle no number": (lambda f: edit(csv(f), "-45.0", "left"), "azimuth_deg is 'left'"),
    "angle infinite": (lambda f: edit(csv(f), "-45.0", "inf"), "azimuth_deg"),
    "view elsewhere": (lambda f: edit(csv(f), "-45.0", "-44.0"), "identity"),
    "one view": (
        lambda f: keep_rows(f, lambda row: row.split("_")[1].startswith(("0", "id"))),
        "a recording can be simulated only for identities in several views",
    ),
    "mirror view missing": (lambda f: keep_rows(f, lambda row: not row.startswith("s2_45")), "deg 45 is missing"),
    "image missing": (lambda f: image(f).unlink(), "s2_45.png of s2_45 is missing"),
    "image empty": (lambda f: image(f).write_bytes(b""), "is empty (0 bytes)"),
    "image of text": (lambda f: image(f).write_text("no image"), "is not a readable image"),
    "image cut": (lambda f: image(f).write_bytes(image(f).read_bytes()[:60]), "is not a readable image"),
    "image outside": (lambda f: edit(csv(f), "s2_45.png", "../s2_45.png"), "lies outside that folder"),
    "image absolute": (lambda f: edit(csv(f), "s2_45.png", "/etc/hostname"), "lies outside that folder"),
    "zip that is none": (lambda f: (f / "set.zip").write_bytes(b"PK") and edit(
        f / "study.toml", "[stimuli]", '[stimuli]\nimages = "set.zip"'), "set.zip"),
    "checkpoint of text": (lambda f: use_weights(f, "w.safetensors").write_text("x"), "w.safetensors"),
    "checkpoint empty": (lambda f: use_weights(f, "w.safetensors").write_bytes(b""), "w.safetensors"),
    "checkpoint a pickle": (lambda f: use_weights(f, "w.pt").write_bytes(pickle.dumps({"a": 1})), "w.pt"),
    "checkpoint a list": (lambda f: torch.save([1, 2], use_weights(f, "w.pt")), "w.pt"),
    "checkpoint of another": (
        lambda f: save_file({"a": torch.zeros(2)}, use_weights(f, "w.safetensors")), "w.safetensors"),
    "checkpoint a folder": (lambda f: use_weights(f, "w.pt").mkdir(), "w.pt"),
    "recording empty": (lambda f: use_recording(f, "r.nc", b""), "r.nc"),
    "recording of text": (lambda f: use_recording(f, "r.nc", b"hello"), "r.nc"),
    "recording a pickle": (lambda f: use_recording(f, "r.pkl", pickle.dumps([1])), "r.pkl"),
    "recording of zeros": (lambda f: use_recording(f, "r.mat", bytes(512)), "r.mat"),
    "recording cut": (lambda f: use_recording(f, "r.nc", b"\x89HDF\r\n\x1a\n" + bytes(64)), "r.nc"),
    "recording a table of nothing": (lambda f: use_recording(f, "r.csv", b"a,b\n"), "r.csv"),
    "recording an array file": (lambda f: use_recording(f, "r.npy", np.zeros(3).tobytes()), "r.npy"),
}  # fmt: skip

COMMANDS = {  # command line, and what is said; FOLDER is the test's
    "no such command": (["rum"], "No such command 'rum'"),
    "run without study": (["run"], "Missing argument"),
    "run without out": (["run", "FOLDER/study.toml"], "--out is missing"),
    "run of nothing": (["run", "FOLDER/none.toml", "--out", "FOLDER/run"], "no such study file"),
    "unknown option": (["run", "FOLDER/study.toml", "--output", "x"], "No such option"),
    "set without value": (["run", "FOLDER/study.toml", "--check", "--set", "seed"], "write KEY=VALUE"),
    "set without key": (["run", "FOLDER/study.toml", "--check", "--set", "=3"], "write KEY=VALUE"),
    "no workers": (["run", "FOLDER/study.toml", "--out", "FOLDER/run", "--jobs", "0"], "--jobs"),
    "workers no number": (["run", "FOLDER/study.toml", "--out", "FOLDER/run", "--jobs", "x"], "--jobs"),
    "unknown device": (["run", "FOLDER/study.toml", "--check", "--device", "gpu9"], "device 'gpu9' cannot be used"),
    "out is a file": (["run", "FOLDER/study.toml", "--out", "FOLDER/study.toml"], "is a file; name a folder"),
    "out in a file": (["run", "FOLDER/study.toml", "--out", "FOLDER/study.toml/run"], "cannot be written"),
    "out holds files": (["run", "FOLDER/study.toml", "--out", "FOLDER/set"], "holds files and is no earlier run"),
    "report of nothing": (["report", "FOLDER/none"], "not a finished run"),
    "report without folder": (["report"], "Missing argument"),
    "check of nothing": (["check-recording", "FOLDER/none.nc"], "none.nc"),
    "check of a study": (["check-recording", "FOLDER/study.toml"], "study.toml"),
    "half a window": (["check-recording", "FOLDER/r.nc", "--window-ms", "50"], "--window-ms"),
    "layers of nothing": (["models", "cnn-smal"], "did you mean 'cnn-small'?"),
    "render of nothing": (["render", "object", "--out", "FOLDER/set2"], "did you mean 'objects'?"),
    "render without out": (["render", "faces"], "Missing option"),
    "render no pixels": (["render", "faces", "--out", "FOLDER/set2", "--size", "2"], "--size"),
    "render among files": (["render", "faces", "--out", "FOLDER/set", "--n", "1"], "holds files"),
    "report without tables": (["report", "FOLDER/half"], "not a finished run (it has no rdms)"),
    "scheduler without port": (
        ["run", "FOLDER/study.toml", "--out", "FOLDER/run", "--dask", "nonsense"], "no Dask scheduler answers there"),
    "demo among files": (["demo", "--out", "FOLDER/set"], "holds files and is no earlier run"),
    "demo set without value": (["demo", "--out", "FOLDER/run", "--set", "models"], "write KEY=VALUE"),
    "power without section": (["power", "FOLDER/study.toml"], "has no [power] section"),
    "power of nothing": (["power", "FOLDER/none.toml"], "no such study file"),
    "format of no kind": (["check-recording", "FOLDER/study.toml", "--format", "nwbx"], "did you mean 'nwb'?"),
    "check with stimuli of nothing": (
        ["check-recording", "FOLDER/set/stimulus_set.csv", "--stimuli", "FOLDER/none.csv"], "no such file"),
    "check of a stimulus set": (["check-recording", "FOLDER/set/stimulus_set.csv"], "neither a long table"),
    "check of a folder of images": (["check-recording", "FOLDER/set"], "the folder holds no .mat file"),
    "layers of a class with arguments": (["models", "torch.nn:Linear"], "cannot be called without arguments"),
    "render with a negative seed": (["render", "faces", "--out", "FOLDER/set2", "--seed", "-1"], "--seed"),
    "render of no face": (["render", "faces", "--out", "FOLDER/set2", "--n", "0"], "--n"),
    "prune no number": (["cache", "--prune", "soon"], "--prune"),
    "schema of something": (["schema", "x"], "unexpected extra argument"),
    "cache of the future": (["cache", "--prune", "-1"], "--prune"),
}  # fmt: skip


def refused(arguments, capsys):
    """What is said on the way out; the exit code is 2, and there is no traceback."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    assert stop.value.code == 2, said.err
    assert "Traceback" not in said.err
    assert said.out == ""
    return " ".join(said.err.split())


def tree(folder):
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


@pytest.mark.parametrize("name", TEXT)
def test_a_wrong_study_file(small_study, tmp_path, capsys, name):
    old, new, message = TEXT[name]
    edit(small_study, old, new.replace("HYPOTHESIS", HYPOTHESIS))
    assert message in refused(["run", small_study, "--check"], capsys)


@pytest.mark.parametrize("name", OVERRIDES)
def test_a_wrong_override(small_study, capsys, name):
    key, value, message = OVERRIDES[name]
    if key in ("stimuli.n_identities", "stimuli.size"):
        edit(small_study, "set/stimulus_set.csv", "faces")
    said = refused(["run", small_study, "--check", "--set", f"{key}={value}"], capsys)
    assert message in said
    assert said.count("error: ") == 1


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_file(small_study, tmp_path, capsys, name):
    damage, message = FILES[name]
    damage(tmp_path)
    before = tree(tmp_path)
    assert message in refused(["run", small_study, "--out", tmp_path / "run"], capsys)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_command_line(small_study, tmp_path, capsys, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "300")
    arguments, message = COMMANDS[name]
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "provenance.json").write_text("{}")
    before = tree(tmp_path)
    said = refused([argument.replace("FOLDER", str(tmp_path)) for argument in arguments], capsys)
    assert message in said
    assert tree(tmp_path) == before


def test_the_catalogue_has_more_than_a_hundred_cases():
    assert len(TEXT) + len(OVERRIDES) + len(FILES) + len(COMMANDS) > 100
