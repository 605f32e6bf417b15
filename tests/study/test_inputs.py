"""What a study reads must stay what it was while the study runs."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import torch

from neural_data import InputError
from neurocompare import load_model, run_study
from neurocompare.models.checkpoints import write_checkpoint
from neurocompare.study.cache import open_cache
from neurocompare.study.grammar import load_study
from neurocompare.study.inputs import Inputs
from neurocompare.study.runner import plan_study


@pytest.fixture
def with_weights(small_study):
    """The small study with a checkpoint of its own."""
    torch.manual_seed(5)
    write_checkpoint(load_model("cnn-small", seed=5).module, small_study.parent / "w.safetensors")
    text = small_study.read_text().replace('name = "cnn-small"', 'name = "cnn-small"\nweights = "w.safetensors"')
    small_study.write_text(text)
    return small_study


def changed_when(step: str, change):
    """Progress that changes a file once, as soon as a step is named."""
    done = []

    def tell(name: str, _share: float) -> None:
        if step in name and not done:
            done.append(name)
            change()

    return tell, done


def other_weights(folder):
    write_checkpoint(load_model("cnn-small", seed=6).module, folder / "w.safetensors")


def other_image(folder):
    images = sorted((folder / "set" / "images").iterdir())
    shutil.copyfile(images[3], images[0])


CHANGES = {
    "weights": (other_weights, r"w\.safetensors changed while the study ran"),
    "an image": (other_image, r"s0_-45\.png changed while the study ran"),
    "the table of stimuli": (
        lambda folder: os.utime(folder / "set" / "stimulus_set.csv"),
        r"stimulus_set\.csv changed",
    ),
    "a file that goes": (lambda folder: (folder / "w.safetensors").unlink(), r"w\.safetensors: no such checkpoint"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_file_that_changes_during_a_run_is_noticed_and_nothing_of_it_kept(with_weights, tmp_path, monkeypatch, case):
    monkeypatch.setenv("NEUROCOMPARE_CACHE", str(tmp_path / "cache"))
    change, name = CHANGES[case]
    key = plan_study(with_weights).presentations[0].key
    tell, done = changed_when("cnn-small", lambda: change(tmp_path))
    with pytest.raises(InputError, match=name):
        run_study(with_weights, out=tmp_path / "run", n_jobs=1, progress=tell)
    assert done
    assert not (tmp_path / "run").exists()
    assert not open_cache().has(key)


def test_every_file_that_a_study_names_is_watched(with_weights, tmp_path):
    inputs = Inputs()
    inputs.look_at(load_study(with_weights))
    names = {path.name for path in inputs.states}
    assert {"w.safetensors", "stimulus_set.csv", "s0_0.png", "s5_90.png"} <= names
    inputs.refuse_changes()
    before = (tmp_path / "w.safetensors").stat()
    np.savez(tmp_path / "unrelated.npz", a=1)
    inputs.refuse_changes()
    os.utime(tmp_path / "w.safetensors", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    with pytest.raises(InputError, match="run again when nothing writes to it"):
        inputs.refuse_changes()
