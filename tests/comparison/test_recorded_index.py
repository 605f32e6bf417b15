"""The corrected index against definition and against the index of the whole population that neurons were drawn from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from neural_data import InputError, simulate_patches
from neural_data.simulation import simulate_rates
from neural_data.stages import STAGES
from neurocompare.comparison.recorded_index import corrected_indices
from neurocompare.representations.neural_rdms import PopulationRequest, compute_neural_rdms
from neurocompare.representations.viewpoint import index_table


@pytest.fixture
def recording(faces):
    return simulate_patches(faces, ("ML", "AL"), 40, 5, rng=np.random.default_rng(2), subjects=("A", "B"))


def test_the_uncorrected_index_is_that_of_the_view_rdms(recording, faces):
    table = corrected_indices(recording, PopulationRequest(faces), rng=np.random.default_rng(0), n_splits=20)
    views = compute_neural_rdms(recording, within="identity", normalize="zscore", stimuli=faces)
    expected = index_table(views).groupby("region", sort=False)["index"].mean()
    np.testing.assert_allclose(table["index"], expected)
    np.testing.assert_allclose(table["index_over_reliability"], table["index"] / table["reliability"])
    assert table["n_exemplars"].tolist() == [6, 6]
    assert table["n_undefined"].tolist() == [0, 0]
    assert table["simulated"].all()


def test_reliability_is_that_of_halves_over_the_entries_of_the_index(recording, faces):
    """Done once more, slowly, from the definition."""
    one = recording.isel(neuroid=slice(0, 40))
    found = corrected_indices(one, rng=np.random.default_rng(4), n_splits=5)["reliability"][0]
    rng = np.random.default_rng(4)
    correlations = []
    for order in [rng.permutation(40) for _ in range(5)]:
        halves = []
        for chosen in (order[:20], order[20:]):
            part = one.isel(neuroid=chosen)
            halves.append(compute_neural_rdms(part, within="identity", normalize="zscore").get_matrices())
        for first, second in zip(*halves, strict=True):
            kept = [0, 1, 3, 4]
            correlations.append(np.corrcoef(first[:, kept].ravel(), second[:, kept].ravel())[0, 1])
    r = np.mean(correlations)
    assert found == pytest.approx(2 * r / (1 + r))


@pytest.mark.parametrize("region", ["ML", "AL"])
@pytest.mark.slow
def test_correction_finds_the_index_of_the_whole_population(many_faces, region):
    rng = np.random.default_rng(6)
    rates = simulate_rates(many_faces, [region], 3000, rng=rng, kind="parametric")
    truth = index_table(compute_neural_rdms(rates, within="identity", normalize="zscore"))["index"].mean()
    rows = [
        corrected_indices(rates.isel(neuroid=rng.choice(3000, 25, replace=False)), rng=rng, n_splits=20).iloc[0]
        for _ in range(40)
    ]
    plain, corrected = (np.mean([row[name] for row in rows]) for name in ("index", "corrected_index"))
    assert abs(corrected - truth) < 0.02
    assert abs(corrected - truth) <= abs(plain - truth) + 0.01
    covered = np.mean([row["ci_low"] <= truth <= row["ci_high"] for row in rows])
    assert covered >= 0.85


def test_dividing_by_the_reliability_overcorrects_mirror_symmetric_neurons(many_faces):
    """Any sample of mirror-symmetric neurons is mirror-symmetric: there is nothing to correct."""
    rng = np.random.default_rng(9)
    exact = {
        "AL": dataclasses.replace(STAGES["AL"], reflection_pooling=1.0, reflection_pooling_sd=0.0, elevation_sd_deg=0.0)
    }
    rates = simulate_rates(many_faces, ["AL"], 20, rng=rng, tuning=exact)
    row = corrected_indices(rates, rng=rng, n_splits=20).iloc[0]
    assert row["index"] == pytest.approx(1.0)
    assert row["corrected_index"] == pytest.approx(1.0)
    assert row["index_over_reliability"] > 1.02


def test_one_row_a_subject_where_asked(recording):
    table = corrected_indices(recording, PopulationRequest(by_subject=True), rng=np.random.default_rng(0), n_splits=5)
    assert table[["region", "subject"]].to_numpy().tolist() == [["ML", "A"], ["ML", "B"], ["AL", "A"], ["AL", "B"]]


def test_exemplars_without_an_index_are_counted(recording, faces):
    values = recording.values.copy()
    first = np.isin(recording["stimulus_id"].values, faces.ids[:5])
    values[first] = values[first][0]  # the first identity looks alike from everywhere
    table = corrected_indices(recording.copy(data=values), rng=np.random.default_rng(0), n_splits=5)
    assert table["n_undefined"].tolist() == [1, 1]


def test_wrong_input_is_refused(recording):
    with pytest.raises(InputError, match="ML has 3 neurons that vary"):
        corrected_indices(recording.isel(neuroid=[0, 1, 2]), rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="confidence must lie between 0 and 1"):
        corrected_indices(recording, rng=np.random.default_rng(0), confidence=95)
    with pytest.raises(InputError, match="n_splits must be at least 1"):
        corrected_indices(recording, rng=np.random.default_rng(0), n_splits=0)
