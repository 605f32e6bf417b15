"""One margin of a study drives the tests of equality of all its contrasts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import stats

from neurocompare import run_study
from neurocompare.comparison.equivalence_tests import p_equal
from neurocompare.measures import MEASURES
from neurocompare.measures.animals import USUAL_MARGIN, Animals
from neurocompare.measures.comparison import Comparison, equality_methods
from neurocompare.measures.over_time import Time
from neurocompare.measures.regime_contrasts import RegimeContrasts
from tests.conftest import noise_faces, write_small_study

MARGIN = 0.2
ASKED = """
[outputs]
reflection = true
layer_tests = true
encoding = { across = ["identity"], n_permutations = 10 }
links = { links = ["corr", "cka", "encoding"] }
partition = true
"""
CONTRASTS = {
    "layer_pairs": "difference",
    "encoding_pairs": "difference",
    "link_pairs": "difference",
    "network_pairs": "difference",
    "encoding_network_pairs": "difference",
    "link_network_pairs": "difference",
    "components": "shapley",
    "patch_pairs": "slope_difference",
}
"""Tables of differences, and the column of the difference."""


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("equal")
    study = write_small_study(noise_faces(6), folder)
    study.write_text(study.read_text().replace("layers = ", "seeds = [0, 1]\nlayers = ") + ASKED)
    return run_study(study, out=folder / "run", overrides={"comparison.equal_within": MARGIN}).tables


@pytest.mark.parametrize("name", CONTRASTS)
def test_every_table_of_differences_has_tests_of_equality_by_the_margin_of_the_study(tables, name):
    table = tables[name]
    known = table["se"] > 0
    assert known.any()
    expected = p_equal(table[CONTRASTS[name]].to_numpy(), table["se"].to_numpy(), table["df"].to_numpy(), MARGIN)
    np.testing.assert_allclose(table["p_equal"], expected)
    assert (table["margin"] == MARGIN).all()
    assert set(table["conclusion"]) <= {
        "different",
        "equal within 0.2",
        "different by less than 0.2",
        "undecided",
    }


OF_TABLES = [
    ("layer_pairs", "fits", "fit"),
    ("encoding_pairs", "encoding", "prediction"),
    ("link_pairs", "links", "similarity"),
]


def test_pairs_of_layers_are_differences_of_the_tables_that_they_belong_to(tables):
    for pairs, table, value in OF_TABLES:
        by = [name for name in ("link", "across", "region", "seed") if name in tables[pairs]]
        wide = tables[table].pivot(index=by, columns="layer", values=value)
        first = tables[pairs][tables[pairs]["layer_1"] == "fc1"].set_index(by)["difference"]
        np.testing.assert_allclose(first, (wide["fc1"] - wide["conv4"]).reindex(first.index), atol=1e-12)
        assert len(tables[pairs]) == 2 * len(wide)


def test_pairs_of_networks_are_differences_at_one_layer(tables):
    for pairs, table, value in OF_TABLES:
        found = tables[pairs.replace("layer_", "").replace("pairs", "network_pairs")]
        by = [name for name in ("link", "across", "region", "layer") if name in found]
        wide = tables[table].pivot(index=by, columns="seed", values=value)
        assert len(found) == len(wide)
        assert (found["seed_1"] != found["seed_2"]).all()
        first = found.set_index(by)["difference"] * np.where(found["seed_1"] == 0, 1, -1)
        np.testing.assert_allclose(first, (wide[0] - wide[1]).reindex(first.index), atol=1e-12)


def test_fits_and_predictions_are_held_against_their_ceilings_and_parts_against_nothing(tables):
    for name in ("fits", "encoding", "partition"):
        assert (tables[name]["margin"] == MARGIN).all()
    for name, column in (
        ("fits", "ceiling_conclusion"),
        ("encoding", "ceiling_conclusion"),
        ("partition", "conclusion"),
    ):
        assert tables[name][column].str.len().gt(0).all()
    parts = tables["partition"]
    p = parts["p_equal"].dropna()
    assert len(p)
    # The larger of two one-sided p values is at least a half beyond the margin, and at most a half within.
    assert ((p >= 0.5) == (parts.loc[p.index, "explained"].abs() >= MARGIN)).all()


def test_regimes_are_equal_within_the_margin_of_the_study(rng):
    rows = [
        {"model": "net", "regime": regime, "seed": seed, "layer": layer, "layer_index": place, "identity": "a"}
        | {"index": 0.3 + 0.01 * rng.standard_normal() + 0.5 * (place == 1 and regime == "natural")}
        for place, layer in enumerate(("conv1", "fc1"))
        for regime in ("natural", "mirror-same")
        for seed in range(5)
    ]
    arguments = {"settings": RegimeContrasts(), "viewpoint": pd.DataFrame(rows), "seed": 1}
    measure = MEASURES["regime_contrasts"]
    found = measure.compute(comparison=Comparison(equal_within=0.05), **arguments).tables["regime_contrasts"]
    assert found["conclusion"].tolist() == ["equal within 0.05", "different"]
    row = found.iloc[0]
    t = (0.05 - abs(row["estimate"])) / row["se"]
    assert row["p_equal"] == pytest.approx(stats.t.sf(t, 4))
    assert row["p_equal_adjusted"] == pytest.approx(2 * row["p_equal"])
    without = measure.compute(comparison=Comparison(), **arguments).tables["regime_contrasts"]
    assert (without["conclusion"] == "").all()
    pd.testing.assert_series_equal(found["p_adjusted"], without["p_adjusted"])


@pytest.mark.parametrize(
    ("section", "name"), [(Comparison, "equal_within"), (Time, "equal_within_ms"), (Animals, "margin")]
)
def test_a_margin_without_end_is_refused_when_the_study_is_read(section, name):
    assert getattr(section(**{name: 0.5}), name) == 0.5
    with pytest.raises(ValidationError, match="finite number"):
        section(**{name: np.inf})


def test_methods_name_the_margin_where_there_is_one():
    (sentence,) = equality_methods({"comparison": {"equal_within": 0.05}})
    assert "equal to 0 within 0.05 by two one-sided t tests (Schuirmann 1987" in sentence
    assert equality_methods({"comparison": {"equal_within": None}}) == []


@pytest.mark.parametrize(
    ("own", "study", "expected"), [(0.1, 0.2, 0.1), (None, 0.2, 0.2), (None, None, USUAL_MARGIN), (0.1, None, 0.1)]
)
def test_animals_take_their_own_margin_then_that_of_the_study(monkeypatch, own, study, expected):
    given = {}

    def compared(*_arguments, **options):
        given.update(options)
        return pd.DataFrame()

    monkeypatch.setattr("neurocompare.measures.animals.compare_with_animals", compared)
    MEASURES["animals"].compute(
        settings=Animals(margin=own),
        layer_rdms=None,
        recording=None,
        comparison=Comparison(equal_within=study),
        dissimilarity="correlation",
        normalize=None,
        method="corr",
        simulated=False,
        seed=1,
    )
    assert given["margin"] == expected
