"""The packaged sample opens in one line and is what it says it is."""

from __future__ import annotations

import numpy as np

import neural_data
from neural_data.checking import check_recording
from neural_data.recordings import match_stimulus_set
from neural_data.simulation import simulation_parameters
from neurocompare.representations.neural_rdms import compute_neural_rdms
from neurocompare.representations.viewpoint import index_table


def test_the_sample_is_small_orderly_and_says_that_it_is_simulated():
    stimuli, recording = neural_data.samples.load()
    assert stimuli.images().shape == (60, 3, 96, 96)
    assert recording.sizes == {"presentation": 360, "neuroid": 120}
    assert match_stimulus_set(recording, stimuli) == stimuli.ids
    assert check_recording(recording, stimuli=stimuli).problems == ()
    assert recording.attrs["simulated"] == 1
    assert set(simulation_parameters(recording)["patches"]) == {"ML", "AL", "AM"}
    files = [path for path in neural_data.samples.FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 400_000


def test_its_patches_differ_in_their_index():
    stimuli, recording = neural_data.samples.load()
    views = compute_neural_rdms(recording, within="identity", normalize="zscore", stimuli=stimuli)
    index = index_table(views).groupby("region")["index"].mean()
    assert index["ML"] < -0.4
    assert index["AL"] > 0.8
    assert -0.4 < index["AM"] < 0.4


def test_opposite_views_of_its_faces_are_mirror_images():
    images = neural_data.samples.load()[0].images().reshape(12, 5, 3, 96, 96)
    np.testing.assert_array_equal(images[:, 0], images[:, 4, :, :, ::-1])
