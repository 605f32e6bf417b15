"""The mirror-symmetry index against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from neural_data import InputError
from neurocompare.representations.rdms import build_rdms
from neurocompare.representations.viewpoint import (
    index_table,
    mirror_symmetry_index,
    mirror_symmetry_table,
    summarise_indices,
)

ANGLES = np.array([-90, -45, 0, 45, 90])


def test_index_is_one_for_a_mirror_symmetric_rdm():
    distance = np.abs(ANGLES)
    assert mirror_symmetry_index(np.abs(distance[:, None] - distance[None, :])) == pytest.approx(1.0)


def test_index_of_three_views_by_hand():
    # D with its middle column dropped is [0 2 / 1 1 / 2 0], H is its reversal [2 0 / 1 1 / 0 2]: r = -1.
    assert mirror_symmetry_index(np.array([[0, 1, 2], [1, 0, 1], [2, 1, 0]])) == pytest.approx(-1.0)
    # Left and right alike at distance 1, frontal at distance 2 from both: D is [0 1 / 2 2 / 1 0], mean 1, and H is
    # [1 0 / 2 2 / 0 1]: covariance (0 + 0 + 1 + 1 + 0 + 0), variance (1 + 0 + 1 + 1 + 0 + 1), so r = 2 / 4.
    assert mirror_symmetry_index(np.array([[0, 2, 1], [2, 0, 2], [1, 2, 0]])) == pytest.approx(0.5)


def test_index_of_four_views_keeps_all_columns():
    matrix = np.abs(np.subtract.outer([-3, -1, 1, 3], [-3, -1, 1, 3])) ** 0.7
    oracle = stats.pearsonr(matrix.ravel(), matrix[:, ::-1].ravel()).statistic
    assert mirror_symmetry_index(matrix) == pytest.approx(oracle)


def test_index_equals_pearson_on_the_entries_left(rng):
    responses = rng.normal(size=(5, 30))
    matrix = 1 - np.corrcoef(responses)
    kept = [0, 1, 3, 4]
    oracle = stats.pearsonr(matrix[:, kept].ravel(), matrix[:, ::-1][:, kept].ravel()).statistic
    assert mirror_symmetry_index(matrix) == pytest.approx(oracle)


def test_index_is_a_minus_quarter_where_all_five_views_differ_equally():
    assert mirror_symmetry_index(1 - np.eye(5)) == pytest.approx(-0.25)


def test_index_is_undefined_for_a_constant_rdm_and_for_unmeasured_pairs():
    broken = 1 - np.eye(5)
    broken[0, 1] = broken[1, 0] = np.nan
    index = mirror_symmetry_index(np.stack([np.zeros((5, 5)), broken, 1 - np.eye(5)]))
    assert np.isnan(index).tolist() == [True, True, False]


def views(azimuths, n=2):
    matrix = np.repeat((1 - np.eye(len(azimuths)))[None], n, axis=0)
    table = pd.DataFrame({"azimuth_deg": azimuths})
    return build_rdms(matrix, patterns=table, rdms={"identity": list("ab")[:n]}, dissimilarity="correlation")


def test_index_table_has_one_row_an_rdm():
    table = index_table(views([-90.0, -45.0, 0.0, 45.0, 90.0]))
    assert table["identity"].tolist() == ["a", "b"]
    np.testing.assert_allclose(table["index"], -0.25)


@pytest.mark.parametrize("azimuths", [[0.0, 45.0, 90.0], [-90.0, 0.0, 45.0], [90.0, 0.0, -90.0]])
def test_views_must_rise_and_be_symmetric_about_zero(azimuths):
    with pytest.raises(InputError, match="symmetric about 0"):
        mirror_symmetry_index(views(azimuths))


def test_two_views_are_too_few():
    with pytest.raises(InputError, match="at least three views"):
        mirror_symmetry_index(1 - np.eye(2))


def test_the_summary_is_the_t_interval_over_exemplars_and_counts_undefined_ones():
    values = [0.2, 0.5, np.nan, -0.1]
    table = pd.DataFrame({"layer": "fc1", "identity": list("abcd"), "index": values})
    row = summarise_indices(table, ["layer"]).iloc[0]
    defined = np.array([0.2, 0.5, -0.1])
    oracle = stats.t.interval(0.95, 2, loc=defined.mean(), scale=stats.sem(defined))
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(oracle)
    assert (row["index"], row["n"], row["n_undefined"]) == (pytest.approx(0.2), 3, 1)


def test_the_table_has_a_row_per_layer_and_category_with_the_interval_over_exemplars(rng):
    views = pd.DataFrame({"azimuth_deg": ANGLES}, index=[f"view{i}" for i in range(5)])
    names = {
        "model": ["net"] * 6,
        "layer": ["conv"] * 4 + ["fc"] * 2,
        "identity": ["a", "b", "c", "d", "a", "b"],
        "category": ["face", "face", "car", "car", "face", "face"],
    }
    rdms = build_rdms(rng.random((6, 10)), patterns=views, rdms=names, dissimilarity="correlation")
    table, every = mirror_symmetry_table(rdms), mirror_symmetry_index(rdms)
    assert table[["layer", "category", "n"]].to_numpy().tolist() == [
        ["conv", "face", 2],
        ["conv", "car", 2],
        ["fc", "face", 2],
    ]
    np.testing.assert_allclose(table["index"], every.reshape(3, 2).mean(axis=1))
    low, high = stats.ttest_1samp(every[2:4], 0).confidence_interval()
    np.testing.assert_allclose(table.loc[1, ["ci_low", "ci_high"]].astype(float), [low, high])
    del rdms.rdm_descriptors["identity"]
    with pytest.raises(InputError, match="no descriptor 'identity'"):
        mirror_symmetry_table(rdms)
