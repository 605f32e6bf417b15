"""RDMs of recordings against rsatoolbox and numbers known by hand; what each simulated patch shows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import calc_rdm

from neural_data import InputError, simulate_patches
from neural_data.recordings import condition_means, make_recording, select_region
from neurocompare.representations.neural_rdms import compute_neural_rdms
from neurocompare.representations.rdms import pattern_table, rdm_table
from neurocompare.representations.viewpoint import index_table


@pytest.fixture
def recording(faces):
    rng = np.random.default_rng(11)
    return simulate_patches(faces, ("ML", "AL"), {"ML": 12, "AL": 9}, 4, rng=rng, subjects=("A", "B"))


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "poisson"])
def test_measures_of_means_equal_rsatoolbox(recording, faces, measure):
    rdms = compute_neural_rdms(recording, dissimilarity=measure, stimuli=faces)
    assert rdms.dissimilarity_measure == measure
    for region, vector in zip(("ML", "AL"), rdms.get_vectors(), strict=True):
        means = condition_means(select_region(recording, region), faces.ids).to_numpy()
        expected = calc_rdm(Dataset(means), method=measure).get_vectors()[0]
        np.testing.assert_allclose(vector, expected, rtol=1e-9, atol=1e-12)


def test_crossnobis_equals_its_definition(recording, faces):
    rdms = compute_neural_rdms(recording, dissimilarity="crossnobis", stimuli=faces)
    trials = select_region(recording, "ML").values.reshape(4, len(faces), 12)
    trials = trials / np.sqrt(trials.var(axis=0, ddof=1).mean(axis=0))
    expected = np.zeros((len(faces), len(faces)))
    for fold in range(4):
        test, train = trials[fold], np.delete(trials, fold, axis=0).mean(axis=0)
        for i in range(len(faces)):
            for j in range(len(faces)):
                expected[i, j] += (train[i] - train[j]) @ (test[i] - test[j]) / 12 / 4
    np.testing.assert_allclose(rdms.get_matrices()[0], expected, atol=1e-10)


def test_crossnobis_is_unbiased_where_euclidean_is_not(many_faces):
    rng = np.random.default_rng(5)
    noise = rng.poisson(20.0, size=(4 * 125, 60)).astype(float)
    flat = make_recording(
        noise,
        presentations=pd.DataFrame({"stimulus_id": many_faces.ids * 4}),
        neuroids=pd.DataFrame({"neuroid_id": np.arange(60), "region": "none"}),
    )
    assert abs(compute_neural_rdms(flat, dissimilarity="crossnobis").get_vectors().mean()) < 0.01
    assert compute_neural_rdms(flat, dissimilarity="euclidean").get_vectors().mean() > 5


def test_conditions_keep_their_order(recording, faces):
    """rsatoolbox sorts s1, s10, s2; the RDM has to follow the stimuli as they were given."""
    renamed = {old: f"s{i + 1}" for i, old in enumerate(faces.ids)}
    numbered = recording.assign_coords(
        stimulus_id=("presentation", [renamed[i] for i in recording["stimulus_id"].values])
    )
    for measure in ("correlation", "crossnobis"):
        first = compute_neural_rdms(recording, dissimilarity=measure)
        second = compute_neural_rdms(numbered, dissimilarity=measure)
        assert pattern_table(second).index.tolist() == [f"s{i + 1}" for i in range(len(faces))]
        np.testing.assert_array_equal(first.get_vectors(), second.get_vectors())


def test_stimuli_choose_rows_and_their_order(recording, faces):
    some = faces.take([7, 2, 20])
    rdms = compute_neural_rdms(recording, stimuli=some)
    whole = compute_neural_rdms(recording).get_matrices()
    np.testing.assert_allclose(rdms.get_matrices(), whole[:, [[7], [2], [20]], [7, 2, 20]])
    assert pattern_table(rdms).index.tolist() == some.ids
    assert pattern_table(rdms)["identity"].tolist() == ["id1", "id0", "id4"]


def test_descriptors_say_whose_rdm_it_is(recording):
    pooled = rdm_table(compute_neural_rdms(recording))
    assert pooled["region"].tolist() == ["ML", "AL"]
    assert pooled["subject"].tolist() == ["", ""]
    assert pooled["n_neurons"].tolist() == [12, 9]
    assert pooled["simulated"].tolist() == [True, True]
    split = rdm_table(compute_neural_rdms(recording, by_subject=True))
    assert split[["region", "subject", "n_neurons"]].to_numpy().tolist() == [
        ["ML", "A", 6], ["ML", "B", 6], ["AL", "A", 5], ["AL", "B", 4],
    ]  # fmt: skip


def test_zscored_neurons_weigh_alike_and_constant_ones_are_counted(recording, faces):
    scale = np.linspace(0.1, 30, recording.sizes["neuroid"])
    scaled = recording * scale
    scaled = scaled.assign_attrs(recording.attrs)
    scaled[:, 3] = 4.0
    rdms = compute_neural_rdms(scaled, normalize="zscore")
    assert rdm_table(rdms)[["n_neurons", "n_constant"]].to_numpy().tolist() == [[11, 1], [9, 0]]
    without = recording.isel(neuroid=[i for i in range(21) if i != 3])
    np.testing.assert_allclose(
        rdms.get_vectors(), compute_neural_rdms(without, normalize="zscore").get_vectors(), atol=1e-9
    )


def test_view_rdms_are_cut_from_the_rdm_of_all_stimuli(recording, faces):
    shuffled = faces.take(np.random.default_rng(0).permutation(len(faces)))
    views = compute_neural_rdms(recording, within="identity", stimuli=shuffled, normalize="zscore")
    assert pattern_table(views)["azimuth_deg"].tolist() == [-90, -45, 0, 45, 90]
    table = rdm_table(views)
    assert table["region"].tolist() == ["ML"] * 6 + ["AL"] * 6
    whole = compute_neural_rdms(recording, stimuli=faces, normalize="zscore").get_matrices()
    place = {identity: 5 * i for i, identity in enumerate(faces.identities)}
    for row, matrix in zip(table.itertuples(), views.get_matrices(), strict=True):
        start = place[row.identity]
        expected = whole[["ML", "AL"].index(row.region), start : start + 5, start : start + 5]
        np.testing.assert_allclose(matrix, expected, atol=1e-12)
    by_itself = compute_neural_rdms(recording, within="identity", normalize="zscore")
    assert len(rdm_table(by_itself)) == 12, "a recording that names identities and azimuths needs no stimulus set"


@pytest.mark.parametrize("seed", range(3))
def test_patches_differ_as_in_the_literature(many_faces, seed):
    """ML tuned to single views, AL to mirror-symmetric ones, AM to neither."""
    recording = simulate_patches(many_faces, rng=np.random.default_rng(seed))
    views = compute_neural_rdms(recording, normalize="zscore", within="identity", stimuli=many_faces)
    index = index_table(views).groupby("region")["index"].mean()
    assert index["ML"] < -0.5
    assert index["AL"] > 0.8
    assert abs(index["AM"]) < 0.35


def test_missing_cells_go_the_way_that_is_chosen(recording, faces):
    values = recording.values.copy()
    values[recording["stimulus_id"].values == faces.ids[4], 2] = np.nan
    partial = recording.copy(data=values)
    with pytest.raises(InputError, match="1 of 630 cells"):
        compute_neural_rdms(partial)
    assert rdm_table(compute_neural_rdms(partial, missing="drop_neurons"))["n_neurons"].tolist() == [11, 9]
    fewer = compute_neural_rdms(partial, missing="drop_stimuli", stimuli=faces)
    assert pattern_table(fewer).index.tolist() == [i for i in faces.ids if i != faces.ids[4]]
    with pytest.raises(InputError, match="cannot have missing cells"):
        compute_neural_rdms(partial, missing="keep")
    with pytest.raises(InputError, match=r"'id0' must have one view .* 90 is missing"):
        compute_neural_rdms(partial, missing="drop_stimuli", stimuli=faces, within="identity")


def test_an_array_that_xarray_alone_opened_is_good_enough(recording, faces):
    """Legacy names, other order of dims, no attributes, values below zero."""
    bare = recording.rename(stimulus_id="image_id", subject="animal").transpose("neuroid", "presentation") - 20.0
    bare = bare.drop_vars("repetition").drop_attrs()
    for measure in ("correlation", "crossnobis"):
        np.testing.assert_allclose(
            compute_neural_rdms(bare, dissimilarity=measure, stimuli=faces).get_vectors(),
            compute_neural_rdms(recording, dissimilarity=measure, stimuli=faces).get_vectors(),
            atol=1e-9,
        )


def test_crossnobis_uses_as_many_repetitions_as_every_cell_has(recording, faces):
    values = recording.values.copy()
    values[0, :12] = np.nan  # one trial of the first stimulus
    partial = recording.copy(data=values)
    rdms = compute_neural_rdms(partial, dissimilarity="crossnobis")
    trials = recording.values.reshape(4, len(faces), 21)
    kept = trials[:3].copy()
    kept[:, 0] = trials[1:, 0]
    again = make_recording(
        kept.reshape(-1, 21),
        presentations=pd.DataFrame({"stimulus_id": faces.ids * 3}),
        neuroids=pd.DataFrame({name: recording[name].values for name in ("neuroid_id", "region")}),
    )
    np.testing.assert_allclose(
        rdms.get_vectors()[0], compute_neural_rdms(again, dissimilarity="crossnobis").get_vectors()[0]
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dissimilarity": "correlations"}, "did you mean 'correlation'"),
        ({"normalize": "z"}, "normalize of a neural RDM must be one of 'zscore', None"),
        ({"within": "category"}, "within of a neural RDM"),
        ({"dissimilarity": "crossnobis", "normalize": "zscore"}, "does its own scaling"),
        ({"dissimilarity": "poisson", "normalize": "zscore"}, "takes rates or counts"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused(recording, arguments, message):
    with pytest.raises(InputError, match=message):
        compute_neural_rdms(recording, **arguments)


def test_too_few_neurons_or_trials_are_refused(recording, faces):
    with pytest.raises(InputError, match="AL has 2 varying neurons; correlation needs at least 3"):
        compute_neural_rdms(recording.isel(neuroid=[0, 1, 2, 12, 13]))
    with pytest.raises(InputError, match="at least two responses"):
        compute_neural_rdms(recording.isel(presentation=slice(0, len(faces))), dissimilarity="crossnobis")
    scores = recording.assign_attrs(units="normalized")
    with pytest.raises(InputError, match="this recording are normalized or unknown"):
        compute_neural_rdms(scores, dissimilarity="poisson")


def test_a_stimulus_without_identity_needs_the_set_for_view_rdms(recording, faces):
    bare = recording.drop_vars(["identity", "azimuth_deg"])
    with pytest.raises(InputError, match="give the stimulus set"):
        compute_neural_rdms(bare, within="identity")
    other = dataclasses.replace(faces, table=faces.table.rename(index=lambda i: f"x{i}"))
    with pytest.raises(InputError, match="no stimulus_id of the recording is in stimulus set"):
        compute_neural_rdms(bare, stimuli=other)


def test_names_that_differ_in_their_extension_alone_lead_to_the_reader_that_takes_those_of_the_set(faces, rng):
    recording = simulate_patches(faces, ("AL",), 8, 2, rng=rng)
    files = [f"shown/{name}.png" for name in recording["stimulus_id"].values]
    renamed = recording.assign_coords(stimulus_id=("presentation", files))
    with pytest.raises(InputError, match=r"differ in folder or extension alone: read_recording\(PATH, stimuli=...\)"):
        compute_neural_rdms(renamed, stimuli=faces)
