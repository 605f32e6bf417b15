"""What views and identities share is taken out: by hand, and on populations that share views and no faces."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neural_data import InputError
from neurocompare.comparison.controls import CONTROLS, cells_of_pairs, check_controls
from neurocompare.comparison.identity_tests import permute_identities
from neurocompare.comparison.inference import infer_fits
from neurocompare.representations.dissimilarities import correlation_dissimilarity
from tests.comparison.conftest import patterns_of, rdms_of

VIEWS = np.array([-90.0, 0.0, 90.0])


def faces_in_views(n_identities):
    return patterns_of(n_identities, 3).assign(azimuth_deg=np.tile(VIEWS, n_identities))


def responses_to(faces, views, n_units, rng, *, identity=1.0):
    """Units tuned to views (n_views, n_latents) and, less so, to faces (n_identities, n_latents)."""
    of_view = views @ rng.standard_normal((views.shape[1], n_units))
    of_face = faces @ rng.standard_normal((faces.shape[1], n_units))
    return (2 * of_view[None] + identity * of_face[:, None]).reshape(-1, n_units)


@pytest.fixture
def strangers(rng):
    """A model and a recording that share the geometry of views, and saw different faces."""
    patterns, views = faces_in_views(8), rng.standard_normal((3, 4))
    made = [responses_to(rng.standard_normal((8, 6)), views, 200, rng) for _ in range(2)]
    return [rdms_of([correlation_dissimilarity(r)], patterns, region=["AL"]) for r in made], made


def test_cells_are_taken_out_by_hand(rng):
    patterns = faces_in_views(4)
    first, second = np.triu_indices(12, 1)
    vectors = rng.random((2, 66))
    identity, view = np.repeat(np.arange(4), 3), np.tile(np.arange(3), 4)
    cells = cells_of_pairs(("view", "identity"), patterns)
    found = cells.partialled(vectors)
    for row, vector in zip(found, vectors, strict=True):
        for pair in range(66):
            i, j = first[pair], second[pair]
            same = [
                vector[p]
                for p in range(66)
                if {view[first[p]], view[second[p]]} == {view[i], view[j]}
                and (identity[first[p]] == identity[second[p]]) == (identity[i] == identity[j])
            ]
            assert row[pair] == pytest.approx(vector[pair] - np.mean(same))
    within = cells_of_pairs("within-view", patterns).partialled(vectors)
    np.testing.assert_array_equal(np.isnan(within[0]), view[first] != view[second])
    within = cells_of_pairs("within-identity", patterns).partialled(vectors)
    np.testing.assert_array_equal(np.isnan(within[0]), identity[first] != identity[second])


def test_shared_views_make_a_fit_that_permuted_identities_explain_and_controls_take_away(strangers):
    (model, neural), (_, responses) = strangers
    options = {"recording": {"AL": responses}, "n_draws": 10, "n_permutations": 200}
    plain = infer_fits(model, neural, rng=np.random.default_rng(0), **options)
    assert plain.estimates[0, 0] > 0.5
    assert plain.p_zero[0, 0] < 0.01
    assert plain.p_identity[0, 0] > 0.05
    for control in (("view", "identity"), "within-view"):
        controlled = infer_fits(model, neural, control=control, rng=np.random.default_rng(0), **options)
        assert abs(controlled.estimates[0, 0]) < 3 * controlled.se[0, 0]
        assert abs(controlled.estimates[0, 0]) < 0.4
        assert controlled.p_identity[0, 0] > 0.05
    frame = controlled.to_frame()
    assert frame["control"].tolist() == ["within-view"]


def test_shared_faces_are_found_under_every_control(rng):
    patterns, faces = faces_in_views(8), rng.standard_normal((8, 6))
    made = [responses_to(faces, rng.standard_normal((3, 4)), 200, rng) for _ in range(2)]
    model, neural = (rdms_of([correlation_dissimilarity(r)], patterns, region=["AL"]) for r in made)
    for control in ((), ("view", "identity"), "view", "within-view"):
        found = permute_identities(model, neural, control=control, n_permutations=200, rng=rng)
        assert found["p"][0] == pytest.approx(1 / 201)


def test_few_identities_are_permuted_in_every_way(rng):
    patterns = faces_in_views(4)
    model, neural = (rdms_of(rng.random((1, 66)), patterns, region=["AL"]) for _ in range(2))
    found = [permute_identities(model, neural, rng=np.random.default_rng(seed)) for seed in range(2)]
    assert found[0]["n_permutations"][0] == 23
    assert found[0].equals(found[1])


def test_identities_that_lack_a_view_leave_p_identity_empty_and_say_why(rng):
    patterns = faces_in_views(5).iloc[:-1]
    model, neural = (rdms_of(rng.random((1, 91)), patterns, region=["AL"]) for _ in range(2))
    result = infer_fits(model, neural, resample="identity", n_draws=5, rng=rng)
    assert np.isnan(result.p_identity).all()
    assert np.isnan(result.p_identity_adjusted()).all()
    assert any("p_identity is empty" in note and "in every view once" in note for note in result.notes)


@pytest.mark.parametrize("name", CONTROLS)
def test_every_control_is_a_record_that_jackknife_and_reliability_go_with(name, rng):
    assert CONTROLS[name].name == name
    assert CONTROLS[name].label
    patterns, faces = faces_in_views(6), rng.standard_normal((6, 5))
    made = [responses_to(faces, rng.standard_normal((3, 4)), 40, rng) for _ in range(2)]
    made[1] += rng.standard_normal(made[1].shape)
    model, neural = (rdms_of([correlation_dissimilarity(r)], patterns, region=["AL"]) for r in made)
    result = infer_fits(
        model,
        neural,
        recording={"AL": made[1]},
        control=name,
        ceilings=pd.DataFrame({"region": ["AL"], "ceiling_lower": [0.5], "ceiling_upper": [0.5**0.5]}),
        n_draws=10,
        n_permutations=20,
        rng=rng,
    )
    assert np.isfinite(result.estimates).all()
    assert (result.se > 0).all()
    assert all(np.isfinite(found).all() for found in result.ceiling_deviations.values())


def test_unknown_controls_and_stimuli_without_comparable_pairs_are_refused():
    assert check_controls("view+identity") == ("view", "identity")
    assert check_controls("none") == check_controls(()) == ()
    with pytest.raises(InputError, match="no control 'views'"):
        check_controls("views")
    with pytest.raises(InputError, match="name each control once"):
        check_controls(("view", "view"))
    with pytest.raises(InputError, match="fewer than two pairs"):
        cells_of_pairs(("within-view", "within-identity"), faces_in_views(4))
    with pytest.raises(InputError, match="views are unknown"):
        cells_of_pairs("view", patterns_of(3, 2))
