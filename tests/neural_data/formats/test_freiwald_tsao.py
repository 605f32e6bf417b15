"""Matrices of 175 images x neurons, rows in blocks of one view each."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import scipy.io

from neural_data import InputError, StimulusSet, read_recording
from neural_data.recordings import condition_means, regions_of
from neurocompare.representations.neural_rdms import compute_neural_rdms


@pytest.fixture
def matrices(tmp_path):
    """Row i of every neuron holds i, plus a tenth of the neuron's number."""
    for region, n_rows, n_neurons in (("MLMF", 200, 4), ("AL", 175, 6), ("AM", 175, 5)):
        values = np.arange(n_rows)[:, None] + np.arange(n_neurons) / 10
        scipy.io.savemat(tmp_path / f"neural_vecs_{region}.mat", {"neural_vecs": values})
    return tmp_path


def test_rows_are_views_in_blocks_of_identities(matrices):
    recording = read_recording(matrices)
    assert sorted(regions_of(recording)) == ["AL", "AM", "MLMF"]
    assert recording.sizes == {"presentation": 175, "neuroid": 15}
    assert recording.attrs["n_rows_left_out"] == 25
    means = condition_means(recording)["AL-001"]
    assert means["id01_frontal"] == 0
    assert means["id25_frontal"] == 24
    assert means["id03_left_profile"] == 52
    assert means["id02_right_half_profile"] == 76
    azimuths = recording["azimuth_deg"].values[::25].tolist()
    assert azimuths == [0, -45, -90, 45, 90, 0, 0]
    assert recording["elevation_deg"].values[::25].tolist() == [0, 0, 0, 0, 0, -30, 30]


def test_view_rdms_need_no_stimulus_files(matrices, rng):
    scipy.io.savemat(matrices / "neural_vecs_AL.mat", {"neural_vecs": rng.random((175, 30))})
    recording = read_recording(matrices / "neural_vecs_AL.mat")
    views = compute_neural_rdms(recording, within="identity", normalize="zscore")
    assert views.get_matrices().shape == (25, 5, 5)
    assert list(views.pattern_descriptors["azimuth_deg"]) == [-90, -45, 0, 45, 90]


def test_rows_take_the_ids_of_a_stimulus_set(matrices):
    rows = [
        (f"face{i:02d}{a:+g}{e:+g}", f"P{i}", float(a), float(e))
        for i in range(25)
        for a, e in ((90, 0), (0, 0), (0, 30), (-90, 0), (45, 0), (-45, 0), (0, -30))
    ]
    table = pd.DataFrame(rows, columns=["stimulus_id", "identity", "azimuth_deg", "elevation_deg"])
    table = table.set_index("stimulus_id").assign(filename="x.png", category="face")
    stimuli = StimulusSet(table, pixels=np.zeros((175, 2, 2), dtype=np.uint8))
    recording = read_recording(matrices, stimuli=stimuli)
    means = condition_means(recording, stimuli.ids)
    assert means.loc["face00+0+0", "AL-001"] == 0
    assert means.loc["face24-90+0", "AL-001"] == 74
    few = dataclasses.replace(stimuli.take(slice(0, 7)))
    with pytest.raises(InputError, match="has 1; give a set of the same identities"):
        read_recording(matrices, stimuli=few)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"neural_vecs": np.ones((5, 175))}, "5 rows; at least 175 are needed .*looks transposed"),
        ({"neural_vecs": np.ones((100, 5))}, "100 rows; at least 175"),
        ({"vecs": np.ones((175, 5))}, "no variable 'neural_vecs'; it holds vecs"),
        ({"neural_vecs": np.full((175, 5), -1.0)}, "negative.*units='normalized'"),
        ({"neural_vecs": "text"}, "must be a matrix of numbers"),
    ],
)
def test_what_is_no_such_matrix_is_refused(tmp_path, content, message):
    scipy.io.savemat(tmp_path / "neural_vecs_AL.mat", content)
    with pytest.raises(InputError, match=message):
        read_recording(tmp_path)


def test_options_that_mean_nothing_are_refused(matrices):
    with pytest.raises(InputError, match="window_ms has no meaning here, each row is one stimulus"):
        read_recording(matrices, window_ms=(0, 100))
    with pytest.raises(InputError, match="region names one region, but there are 3 files"):
        read_recording(matrices, region="AL")
