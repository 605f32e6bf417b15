"""Templates by hand, and RDMs that were mixed from them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from neural_data import InputError
from neurocompare.representations.rdms import build_rdms
from neurocompare.representations.templates import idealised_mirror_index, template_contributions, template_rdms
from neurocompare.representations.viewpoint import mirror_symmetry_index

VIEWS = (-90.0, -45.0, 0.0, 45.0, 90.0)


def patterns_of(n_identities: int = 6) -> pd.DataFrame:
    rows = [(f"s{i}_{v:g}", f"id{i}", v) for i in range(n_identities) for v in VIEWS]
    return pd.DataFrame(rows, columns=["stimulus_id", "identity", "azimuth_deg"])


def rdms_of(*matrices, patterns=None, **descriptors):
    patterns = patterns_of() if patterns is None else patterns
    return build_rdms(np.stack(matrices), patterns=patterns, rdms=descriptors, dissimilarity="correlation")


def templates() -> dict[str, np.ndarray]:
    patterns = patterns_of()
    return template_rdms(patterns["azimuth_deg"], patterns["identity"])


@pytest.fixture
def pixels(rng):
    noise = rng.normal(size=(30, 30))
    matrix = np.abs(noise + noise.T)
    np.fill_diagonal(matrix, 0)
    return matrix


def test_templates_of_four_stimuli_by_hand():
    found = template_rdms([-90, 90, 0, 90], ["a", "a", "a", "b"], [0, 0, 0, 0])
    assert found["view"].tolist() == [[0, 1, 1, 1], [1, 0, 1, 0], [1, 1, 0, 1], [1, 0, 1, 0]]
    assert found["mirror"].tolist() == [[0, 0, 1, 0], [0, 0, 1, 0], [1, 1, 0, 1], [0, 0, 1, 0]]
    assert found["identity"].tolist() == [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1], [1, 1, 1, 0]]


def test_views_at_another_elevation_are_other_views():
    found = template_rdms([0, 0], ["a", "b"], [0, 30])
    assert found["view"][0, 1] == found["mirror"][0, 1] == 1


def test_a_mixture_gives_back_its_weights(pixels):
    parts = {**templates(), "pixels": pixels}
    amounts = {"view": 0.5, "mirror": 0.5, "identity": 0.2, "pixels": 0.1}
    mixture = 0.3 * (1 - np.eye(30)) + sum(amount * parts[name] for name, amount in amounts.items())
    table = template_contributions(rdms_of(mixture, layer=["fc1"]), rdms_of(pixels)).set_index("template")
    upper = np.triu_indices(30, 1)
    expected = [amounts[name] * parts[name][upper].std() / mixture[upper].std() for name in amounts]
    np.testing.assert_allclose(table.loc[list(amounts), "weight"], expected)
    np.testing.assert_allclose(table["r2"], 1)
    assert (table["unique"] > 0).all()
    assert set(table["layer"]) == {"fc1"}


@pytest.mark.parametrize("name", ["view", "mirror", "identity"])
def test_a_pure_template_is_all_of_its_rdm(pixels, name):
    table = template_contributions(rdms_of(templates()[name]), rdms_of(pixels)).set_index("template")
    assert table.loc[name, "weight"] == pytest.approx(1)
    np.testing.assert_allclose(table["weight"].drop(name), 0, atol=1e-9)


def test_weights_are_never_negative_and_unmeasured_pairs_are_left_out(pixels):
    anti = 2 - templates()["identity"] + 0.5 * templates()["view"]
    np.fill_diagonal(anti, 0)
    table = template_contributions(rdms_of(anti)).set_index("template")
    assert table.loc["identity", "weight"] == 0
    assert table.loc["view", "weight"] > 0
    holed = templates()["mirror"].copy()
    holed[0, 1] = holed[1, 0] = np.nan
    assert template_contributions(rdms_of(holed)).set_index("template").loc["mirror", "weight"] == pytest.approx(1)


def test_pixels_take_what_a_template_shares_with_them():
    image = templates()["view"] + 0.01 * templates()["identity"]
    without = template_contributions(rdms_of(image)).set_index("template")
    beside = template_contributions(rdms_of(image), rdms_of(image)).set_index("template")
    assert without.loc["view", "unique"] > 0.5
    assert beside.loc["view", "unique"] == pytest.approx(0, abs=1e-9)


def test_a_constant_rdm_has_no_weights_and_one_identity_no_template():
    assert template_contributions(rdms_of(1 - np.eye(30)))["weight"].isna().all()
    with pytest.raises(InputError, match="template does not vary"):
        template_contributions(rdms_of(1 - np.eye(5), patterns=patterns_of(1)))
    with pytest.raises(InputError, match="must be one RDM of the images; got 2"):
        template_contributions(rdms_of(1 - np.eye(30)), rdms_of(1 - np.eye(30), 1 - np.eye(30)))


@pytest.mark.parametrize("n_views", [4, 5, 9])
def test_the_idealised_rdm_itself_scores_one_on_both_measures(n_views):
    ideal = 1.0 - (np.eye(n_views) + np.eye(n_views)[::-1] > 0)
    assert idealised_mirror_index(ideal) == pytest.approx(1)
    assert mirror_symmetry_index(ideal) == pytest.approx(1)


def test_the_two_measures_differ_where_symmetric_views_also_differ_by_degrees():
    # Perfect mirror symmetry with graded distances: the index is 1, the idealised RDM fits only in part.
    distance = np.abs(VIEWS)
    graded = np.abs(distance[:, None] - distance[None, :])
    template = [1, 1, 1, 0, 1, 0, 1, 1, 1, 1]
    oracle = stats.pearsonr(graded[np.triu_indices(5, 1)], template).statistic
    assert mirror_symmetry_index(graded) == pytest.approx(1)
    assert idealised_mirror_index(graded) == pytest.approx(oracle)
    assert oracle < 0.9


def test_the_idealised_measure_refuses_what_the_index_refuses():
    assert np.isnan(idealised_mirror_index(1 - np.eye(5)))
    with pytest.raises(InputError, match="at least three views"):
        idealised_mirror_index(1 - np.eye(2))
    table = pd.DataFrame({"azimuth_deg": [0.0, 45.0, 90.0]})
    with pytest.raises(InputError, match="symmetric about 0"):
        idealised_mirror_index(rdms_of(1 - np.eye(3), patterns=table))
