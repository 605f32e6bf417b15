"""RDM arithmetic against NumPy and rsatoolbox; stimuli matched by id."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import rsatoolbox

from neural_data import InputError
from neurocompare.representations.dissimilarities import DISSIMILARITIES, correlation_dissimilarity
from neurocompare.representations.rdms import (
    build_rdms,
    concat_rdms,
    match_stimuli,
    pattern_table,
    rdm_table,
    view_order,
    zscore_units,
)


def make(matrix, ids):
    table = pd.DataFrame({"stimulus_id": ids}).set_index("stimulus_id")
    return build_rdms(matrix[None], patterns=table, rdms={"region": ["AL"]}, dissimilarity="correlation")


def test_correlation_dissimilarity_equals_numpy(rng):
    responses = rng.normal(5, 2, (12, 40))
    np.testing.assert_allclose(correlation_dissimilarity(responses), 1 - np.corrcoef(responses), atol=1e-12)


def test_euclidean_equals_rsatoolbox(rng):
    responses = rng.normal(size=(6, 9))
    oracle = rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(responses), method="euclidean").get_matrices()[0]
    found = DISSIMILARITIES["euclidean"].of_responses(responses)
    np.testing.assert_allclose(found, oracle, atol=1e-12)


def test_a_constant_pattern_has_no_correlation(rng):
    responses = rng.normal(size=(4, 10))
    responses[2] = 3.3
    matrix = correlation_dissimilarity(responses)
    assert np.isnan(matrix[2, [0, 1, 3]]).all()
    assert np.isfinite(matrix[np.ix_([0, 1, 3], [0, 1, 3])]).all()


def test_equal_patterns_are_exactly_alike(rng):
    pattern = rng.normal(size=(1, 1000)) + 7
    assert (correlation_dissimilarity(np.repeat(pattern, 5, axis=0)) == 0).all()


def test_zscore_drops_and_counts_constant_units(rng):
    responses = np.column_stack([rng.normal(size=8), np.full(8, 0.1), rng.normal(size=8)])
    scores, n_constant = zscore_units(responses)
    assert n_constant == 1
    np.testing.assert_allclose(scores.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scores.std(axis=0), 1, atol=1e-12)


def test_matching_reorders_the_second_by_stimulus_id(rng):
    responses = rng.normal(size=(5, 20))
    order = np.array([3, 0, 4, 1, 2])
    ids = np.array(["a", "b", "c", "d", "e"])
    first = make(correlation_dissimilarity(responses), ids)
    second = make(correlation_dissimilarity(responses[order]), ids[order])
    _, matched = match_stimuli(first, second)
    np.testing.assert_allclose(matched.get_matrices(), first.get_matrices(), atol=1e-12)
    assert pattern_table(matched).index.tolist() == ids.tolist()
    assert rdm_table(matched)["region"].tolist() == ["AL"]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a", "b", "x"], r"1 only in the first \['c'\].*\['x'\]"),
        (["a", "b", "b"], "'b' more than once"),
    ],
)
def test_stimuli_that_differ_are_refused(ids, message):
    matrix = 1 - np.eye(3)
    with pytest.raises(InputError, match=message):
        match_stimuli(make(matrix, ["a", "b", "c"]), make(matrix, ids))


def test_rsatoolbox_does_not_write_into_what_it_is_given():
    table, rdms = pd.DataFrame({"stimulus_id": ["a", "b", "c"]}), {"layer": ["fc1"]}
    build_rdms((1 - np.eye(3))[None], patterns=table, rdms=rdms, dissimilarity="correlation")
    assert rdms == {"layer": ["fc1"]}
    assert list(table.columns) == ["stimulus_id"]


def test_joining_keeps_descriptors_that_one_part_lacks():
    table, matrix = pd.DataFrame({"stimulus_id": ["a", "b", "c"]}), (1 - np.eye(3))[None]
    first = build_rdms(matrix, patterns=table, rdms={"layer": ["fc1"], "seed": [1]}, dissimilarity="correlation")
    second = build_rdms(matrix * 2, patterns=table, rdms={"layer": ["fc2"]}, dissimilarity="correlation")
    joined = concat_rdms([first, second])
    assert rdm_table(joined)["layer"].tolist() == ["fc1", "fc2"]
    np.testing.assert_array_equal(rdm_table(joined)["seed"], [1, np.nan])
    np.testing.assert_array_equal(joined.dissimilarities, [[1, 1, 1], [2, 2, 2]])
    other = build_rdms(matrix, patterns=table.iloc[::-1], rdms={"layer": ["x"]}, dissimilarity="correlation")
    with pytest.raises(ValueError, match="same patterns"):
        concat_rdms([first, other])


def test_view_order_finds_views_wherever_they_stand(faces):
    shuffled = faces.take(np.random.default_rng(3).permutation(len(faces)))
    exemplars, positions = view_order(shuffled)
    assert exemplars.index.tolist() == shuffled.identities
    for identity, row in zip(exemplars.index, positions, strict=True):
        found = shuffled.table.iloc[row]
        assert (found["identity"] == identity).all()
        assert found["azimuth_deg"].tolist() == [-90, -45, 0, 45, 90]


def test_rdms_without_stimulus_id_are_refused_with_the_descriptors_that_there_are():
    named = build_rdms(
        (1 - np.eye(3))[None],
        patterns=pd.DataFrame({"stimulus_id": ["a", "b", "c"]}),
        rdms={"layer": ["fc1"]},
        dissimilarity="correlation",
    )
    named.pattern_descriptors["conds"] = named.pattern_descriptors.pop("stimulus_id")
    with pytest.raises(InputError, match=r"with match_by= \(there are: 'conds'\)"):
        match_stimuli(named, named)
