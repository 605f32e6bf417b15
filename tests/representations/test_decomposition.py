"""Shapley values of reflection components, by hand and on responses that are one, the other, or half of each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neurocompare.comparison.fits import compare_rdms
from neurocompare.representations.decomposition import shapley_components
from neurocompare.representations.dissimilarities import correlation_dissimilarity
from neurocompare.representations.rdms import build_rdms
from neurocompare.stimuli.transforms import mirror


def test_components_by_hand():
    assert shapley_components(0.4, 0.1, 0.6) == pytest.approx((0.45, 0.15))


def test_a_constant_part_contributes_nothing_and_the_other_everything():
    assert shapley_components(0.6, np.nan, 0.6) == pytest.approx((0.6, 0.0))
    assert shapley_components(np.nan, np.nan, np.nan) == (0, 0)


def test_components_add_up_on_every_draw(rng):
    invariant, sensitive, whole = rng.uniform(-1, 1, (3, 50, 4, 2))
    invariant[3] = np.nan
    parts = shapley_components(invariant, sensitive, whole)
    assert parts[0].shape == (50, 4, 2)
    np.testing.assert_allclose(parts[0] + parts[1], whole)


def fits_of_parts(responses, mirrored, target):
    """Fit to a target population of the invariant part, the sensitive part and the whole."""
    ids = {"stimulus_id": [f"s{i}" for i in range(len(responses))]}
    parts = [(responses + mirrored) / 2, (responses - mirrored) / 2, responses]
    models = build_rdms(
        np.stack([correlation_dissimilarity(part) for part in parts]),
        patterns=pd.DataFrame(ids),
        rdms={"part": ["invariant", "sensitive", "whole"]},
        dissimilarity="correlation",
    )
    neural = build_rdms(
        correlation_dissimilarity(target)[None], patterns=pd.DataFrame(ids), rdms={}, dissimilarity="correlation"
    )
    return compare_rdms(models, neural)[:, 0]


@pytest.fixture
def images(rng):
    return rng.normal(size=(20, 8, 8))


def even(images):
    return ((images + mirror(images)) / 2).reshape(len(images), -1)


def odd(images):
    return ((images - mirror(images)) / 2).reshape(len(images), -1)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [(even, (1, 0)), (odd, (0, 1))],
)
def test_a_representation_of_one_parity_owes_its_fit_to_that_part(images, layer, expected):
    fits = fits_of_parts(layer(images), layer(mirror(images)), layer(images))
    assert shapley_components(*fits) == pytest.approx(expected, abs=1e-9)


def test_a_fifty_fifty_mixture_owes_half_to_each_part(rng):
    # Half of the units carry the even, half the odd part of images, and the target weighs the two alike.
    images = rng.normal(size=(40, 16, 16))
    responses = np.concatenate([even(images), odd(images)], axis=1)
    mirrored = np.concatenate([even(mirror(images)), odd(mirror(images))], axis=1)
    invariant, sensitive = shapley_components(*fits_of_parts(responses, mirrored, responses))
    assert invariant + sensitive == pytest.approx(1)
    assert invariant == pytest.approx(0.5, abs=0.05)
