"""Variance partitioning and partial correlations: parts that are known, sums, and what nuisances explain."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neural_data.errors import InputError
from neurocompare.comparison.encoding import Encoding
from neurocompare.comparison.partition import (
    PARTIAL_COLUMNS,
    PARTITION_COLUMNS,
    partial_fits,
    partition_rdms,
    partition_responses,
)
from neurocompare.representations.kernels import feature_rdms
from tests.comparison.conftest import rdms_of
from tests.comparison.test_layer_tests import made, network, views_of

FEW = Encoding(score="r2", penalties=(0.1, 1.0, 10.0, 1000.0))


@pytest.fixture(scope="module")
def sources():
    """Fifty identities in three views; two layers with units of their own and units that they share."""
    rng = np.random.default_rng(8)
    patterns = views_of(50).set_index("stimulus_id")
    own, other, shared = (np.repeat(rng.standard_normal((50, 4)), 3, axis=0) for _ in range(3))
    layers = {"first": np.hstack([own, shared]), "second": np.hstack([other, shared])}
    return patterns, feature_rdms(layers, patterns), {"own": own, "shared": shared}


@pytest.mark.parametrize("source", ["own", "shared"])
def test_neurons_that_read_one_part_are_explained_by_it(sources, source):
    _, rdms, parts = sources
    rng = np.random.default_rng(3)
    responses = parts[source] @ rng.standard_normal((4, 15)) + rng.standard_normal((150, 15))
    table = partition_responses(rdms, {"AL": responses}, {"A": [0], "B": [1]}, FEW, rng=np.random.default_rng(1))
    assert tuple(table.columns) == PARTITION_COLUMNS
    found = table.set_index(["kind", "part"])
    total = found.loc[("total", "A + B"), "explained"]
    part = ("unique", "A") if source == "own" else ("shared", "A & B")
    others = [name for name in (("unique", "A"), ("unique", "B"), ("shared", "A & B")) if name != part]
    assert total > 0.5
    assert found.loc[part, "explained"] > 0.8 * total
    assert found.loc[part, "p"] < 0.001
    assert all(abs(found.loc[name, "explained"]) < 0.15 for name in others)


def test_parts_add_up_and_those_that_are_not_negative_reproduce_the_sums(sources):
    _, rdms, parts = sources
    rng = np.random.default_rng(3)
    responses = parts["own"] @ rng.standard_normal((4, 12)) + 2 * rng.standard_normal((150, 12))
    table = partition_responses(rdms, {"AL": responses}, {"A": [0], "B": [1]}, FEW, rng=np.random.default_rng(1))
    kinds = table.groupby("kind")
    total = kinds.get_group("total").iloc[0]
    apart = pd.concat([kinds.get_group("unique"), kinds.get_group("shared")])
    assert apart["explained"].sum() == pytest.approx(total["explained"])
    assert (apart["non_negative"] >= 0).all()
    assert apart["non_negative"].sum() == pytest.approx(total["non_negative"])
    alone = kinds.get_group("alone").set_index("part")["explained"]
    unique = kinds.get_group("unique").set_index("part")["explained"]
    assert alone["A"] + unique["B"] == pytest.approx(total["explained"])


def test_an_rdm_that_mixes_two_layers_has_both_unique_parts(rng):
    patterns = views_of(14)
    layers = [rng.standard_normal((42, 40)) + 2 * np.repeat(rng.standard_normal((14, 40)), 3, axis=0) for _ in range(3)]
    models = network(layers, patterns)
    matrices = models.get_matrices()
    mixed = rdms_of((0.5 * matrices[0] + 0.5 * matrices[1])[None], patterns, region=["AL"])
    table = partition_rdms(models, mixed, {"a": [0], "b": [1], "c": [2]}, resample="identity", n_splits=1, rng=rng)
    found = table.set_index(["kind", "part"])
    assert len(table) == 1 + 3 + 7
    assert found.loc[("total", "a + b + c"), "explained"] == pytest.approx(1, abs=1e-3)
    assert (found.loc[[("unique", "a"), ("unique", "b")], "explained"] > 0.01).all()
    assert found.loc[("unique", "c"), "explained"] == pytest.approx(0, abs=1e-3)
    apart = found.loc[["unique", "shared"], "explained"].sum()
    assert apart == pytest.approx(found.loc[("total", "a + b + c"), "explained"])


def test_partial_fit_is_the_correlation_of_residuals(rng):
    patterns = views_of(5)
    layers = [rng.standard_normal((15, 20)) for _ in range(4)]
    models = network(layers[:2], patterns)
    neural = made([layers[0] + 0.5 * layers[3]], patterns, region=["AL"])
    nuisances = {"pixels": made([layers[2]], patterns), "noise": made([layers[3]], patterns)}
    table = partial_fits(models, neural, nuisances, resample="identity", rng=rng)
    assert tuple(table.columns) == PARTIAL_COLUMNS
    assert table["nuisance"].unique().tolist() == ["pixels+noise"]
    basis = np.column_stack([np.ones(105), *(rdm.dissimilarities[0] for rdm in nuisances.values())])
    rest = [
        values - basis @ np.linalg.lstsq(basis, values, rcond=None)[0]
        for values in (*models.dissimilarities, *neural.dissimilarities)
    ]
    for row, model in enumerate(rest[:2]):
        assert table["partial_fit"][row] == pytest.approx(np.corrcoef(model, rest[2])[0, 1])
        expected = np.corrcoef(models.dissimilarities[row], neural.dissimilarities[0])[0, 1]
        assert table["fit"][row] == pytest.approx(expected)


def test_what_a_nuisance_explains_is_gone(rng):
    patterns = views_of(6)
    view = np.tile(rng.standard_normal((3, 30)), (6, 1))
    first, second = (view + rng.standard_normal((18, 30)) for _ in range(2))
    models, neural = network([first], patterns), made([second], patterns, region=["AL"])
    table = partial_fits(models, neural, {"view": made([view + 1e-3 * first], patterns)}, resample="identity", rng=rng)
    assert table["fit"][0] > 0.4
    assert abs(table["partial_fit"][0]) < 0.25
    again = {"view": made([view + 1e-3 * first], patterns)}
    again |= {"once more": again["view"], "flat": rdms_of(np.full((1, 153), 0.3), patterns)}
    twice = partial_fits(models, neural, again, resample="identity", rng=rng)
    assert twice["partial_fit"][0] == pytest.approx(table["partial_fit"][0], abs=1e-9)
    same = partial_fits(models, neural, {"itself": models}, resample="identity", rng=rng)
    assert np.isnan(same["partial_fit"][0])


def test_sets_and_nuisances_that_make_no_sense_are_refused(sources, rng):
    _, rdms, parts = sources
    responses = {"AL": parts["own"] + rng.standard_normal((150, 4))}
    for sets in ({"A": [0]}, {"A": [0], "B": [0]}, {"A": [0], "B": []}, {"A": [0], "B": [5]}):
        with pytest.raises(InputError, match="sets"):
            partition_responses(rdms, responses, sets, FEW, rng=rng)
    with pytest.raises(InputError, match="score='r2'"):
        partition_responses(rdms, responses, {"A": [0], "B": [1]}, Encoding(), rng=rng)
    two = made([rng.standard_normal((24, 9)) for _ in range(2)], views_of(8))
    with pytest.raises(InputError, match="must be one complete RDM; got 2, with 0 pairs missing"):
        partial_fits(two, two, {"two": two}, rng=rng)
    other = made([rng.standard_normal((18, 9))], views_of(6))
    with pytest.raises(InputError, match=r"nuisance 'hue': .*stimul"):
        partial_fits(two, two, {"pixels": two.subset("index", 0), "hue": other}, rng=rng)
    with pytest.raises(InputError, match="at least one nuisance"):
        partial_fits(rdms, rdms, {}, rng=rng)
