"""Reflection components of fits, against the fits that they are made of."""

from __future__ import annotations

import numpy as np
import pytest

from neural_data import InputError
from neurocompare.comparison.hypotheses import decide
from neurocompare.comparison.hypothesis import Hypothesis
from neurocompare.comparison.inference import infer_fits
from neurocompare.comparison.shapley import REFLECTION_COLUMNS, shapley_of_fits
from neurocompare.representations.dissimilarities import correlation_dissimilarity
from tests.comparison.conftest import rdms_of

PARTS = ["whole", "invariant", "sensitive"]


@pytest.fixture
def part_rdms(layers, patterns):
    """Two layers with their parts: of the first, the sensitive part is constant."""
    matrices = [correlation_dissimilarity(layer) for layer in layers]
    constant = 1 - np.eye(len(patterns))
    return rdms_of(
        [matrices[1], matrices[1], constant, matrices[2], matrices[0], matrices[2]],
        patterns,
        model=["net"] * 6,
        layer=["conv1"] * 3 + ["fc1"] * 3,
        layer_index=[0] * 3 + [1] * 3,
        part=PARTS * 2,
    )


@pytest.fixture
def result(part_rdms, neural_rdms, rng):
    return infer_fits(part_rdms, neural_rdms, resample="identity", n_draws=100, rng=rng)


@pytest.fixture
def table(result):
    return shapley_of_fits(result)


KEYS = ["layer", "region", "subject"]


def test_components_add_up_to_the_fit_of_the_whole(table, result):
    assert table.columns.tolist() == list(REFLECTION_COLUMNS)
    parts = table.pivot_table(index=KEYS, columns="component", values="shapley")
    fits = result.to_frame()
    fits["part"] = np.repeat(PARTS * 2, 4)
    whole = fits[fits["part"] == "whole"].set_index(KEYS)["fit"]
    np.testing.assert_allclose(parts["invariant"] + parts["sensitive"], whole.loc[parts.index])
    np.testing.assert_allclose(parts["invariant"] - parts["sensitive"], parts["difference"])


def test_a_constant_part_leaves_the_fit_and_its_interval_to_the_other(table, result):
    fits = result.to_frame().iloc[:4].set_index(KEYS[1:])
    conv1 = table[table["layer"] == "conv1"]
    invariant, sensitive = (
        conv1[conv1["component"] == part].set_index(KEYS[1:]) for part in ("invariant", "sensitive")
    )
    for column, of_fit in [("shapley", "fit"), ("se", "se"), ("ci_low", "ci_low"), ("ci_high", "ci_high")]:
        np.testing.assert_allclose(invariant[column], fits[of_fit])
    np.testing.assert_allclose(sensitive["shapley"], 0, atol=1e-12)
    np.testing.assert_allclose(sensitive["se"], 0, atol=1e-12)
    assert sensitive["p"].isna().all()


def test_the_difference_is_the_paired_difference_between_the_parts(table, result):
    pairs = result.pairwise("none")
    pairs = pairs[(pairs["layer_1"] == "fc1") & (pairs["layer_2"] == "fc1")]
    # Of each recording's three pairs of parts (whole, invariant, sensitive), the last is invariant - sensitive.
    oracle = pairs.groupby(KEYS[1:], sort=False).last()
    rows = table[(table["layer"] == "fc1") & (table["component"] == "difference")].set_index(KEYS[1:])
    np.testing.assert_allclose(rows["shapley"], oracle["difference"])
    np.testing.assert_allclose(rows["se"], oracle["se"])
    np.testing.assert_allclose(rows["p"], oracle["p"])


def test_a_hypothesis_can_be_decided_on_the_table(table):
    claim = Hypothesis(
        name="invariant carries AL",
        statement="The reflection-invariant part carries the fit of conv1 to AL",
        table="reflection",
        value="shapley",
        test="tabulated",
        selections=({"layer": "conv1", "region": "AL", "subject": "m1", "component": "difference"},),
    )
    row = table[(table["layer"] == "conv1") & (table["region"] == "AL") & (table["component"] == "difference")].iloc[0]
    decision = decide([claim], {"reflection": table}).iloc[0]
    assert (decision["p"], decision["ci_low"]) == pytest.approx((row["p"], row["ci_low"]))


def test_a_layer_without_one_of_its_parts_is_refused(part_rdms, model_rdms, neural_rdms, rng):
    short = infer_fits(part_rdms[[0, 1, 2, 3, 4]], neural_rdms, resample="identity", n_draws=50, rng=rng)
    with pytest.raises(InputError, match="needs its 'sensitive' part once"):
        shapley_of_fits(short)
    with pytest.raises(InputError, match="descriptor 'part'"):
        shapley_of_fits(infer_fits(model_rdms, neural_rdms, resample="identity", n_draws=50, rng=rng))
