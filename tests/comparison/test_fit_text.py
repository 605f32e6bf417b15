"""What a result says in words: numbers as a paper prints them, and nothing that is not there."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from neurocompare import infer_fits
from neurocompare.comparison.fit_text import number_text, p_text, sentences
from neurocompare.representations.dissimilarities import correlation_dissimilarity
from tests.comparison.conftest import patterns_of, rdms_of


def result_of(rng, truth_share, **options):
    patterns = patterns_of(8, 3)
    n_pairs = 24 * 23 // 2
    patch = rng.random(n_pairs)
    layers = np.stack([truth_share * patch + rng.random(n_pairs), rng.random(n_pairs)])
    models = rdms_of(
        layers, patterns, model=["net"] * 2, regime=["trained"] * 2, layer=["conv1", "fc1"], layer_index=[0, 1]
    )
    return infer_fits(
        models, rdms_of(patch[None], patterns, region=["AL"]), resample="identity", n_draws=50, rng=rng, **options
    )


def test_a_patch_that_is_fitted_has_a_sentence_with_its_numbers(rng):
    result = result_of(rng, 3.0)
    (low,), (high,) = (bound[:1, 0] for bound in result.ci)
    (sentence,) = sentences(result)
    fit = result.estimates[0, 0]
    assert sentence.startswith(f"AL: conv1 of net, trained fits best, {fit:.2f} (95 % interval over identities ")
    assert f"{low:.2f} to {high:.2f}; p against 0 < 0.001)" in sentence
    assert sentence in result.summary()
    assert "0.000 " not in result.summary()


def test_no_layer_above_0_is_said(rng):
    (sentence,) = sentences(result_of(rng, -3.0))
    assert sentence.startswith("AL: no layer of net, trained fits above 0 (smallest adjusted p ")


def shared_views(rng, *, identities):
    """A model and a patch that share their views, and with them what they make of identities or not."""
    views = 2 * np.tile(rng.standard_normal((3, 30)), (8, 1))
    own = [np.repeat(rng.standard_normal((8, 30)), 3, axis=0) for _ in range(2)]
    responses = [views + own[0], views + own[0 if identities else 1]]
    patterns = patterns_of(8, 3).assign(azimuth_deg=[-90.0, 0.0, 90.0] * 8)
    model, patch = (correlation_dissimilarity(one + 0.1 * rng.standard_normal(one.shape)) for one in responses)
    models = rdms_of([model], patterns, model=["net"], layer=["conv1"])
    return infer_fits(models, rdms_of([patch], patterns, region=["AL"]), resample="identity", n_draws=50, rng=rng)


def test_shared_views_alone_are_no_fit_in_words(rng):
    """The test that summaries call significant is the one that the sentence names."""
    result = shared_views(rng, identities=False)
    assert result.estimates[0, 0] > 0.5
    assert result.p_zero_adjusted()[0, 0] < 0.05
    (p,) = result.p_identity_adjusted()[:, 0]
    (sentence,) = sentences(result)
    assert sentence == f"AL: no layer of net fits beyond permuted identities (smallest adjusted p {p:.3f})."


def test_shared_identities_are_named_with_their_test(rng):
    result = shared_views(rng, identities=True)
    (sentence,) = sentences(result)
    assert sentence.startswith(f"AL: the fit of conv1 of net is {result.estimates[0, 0]:.2f} (95 % interval")
    assert "; p against permuted identities < 0.001)" in sentence


def test_what_passes_is_what_lies_outside_the_confidence_of_the_result(rng):
    result = result_of(rng, -3.0)
    p = np.nanmin(result.p_zero_adjusted())
    assert "fits above 0" in sentences(dataclasses.replace(result, confidence=1 - p))[0]  # equal is not below
    assert "fits best" in sentences(dataclasses.replace(result, confidence=1 - 1.01 * p))[0]


@pytest.mark.parametrize(
    ("value", "text"), [(-0.001, "0.00"), (0.126, "0.13"), (-0.126, "-0.13"), (np.nan, "nan"), (-0.0, "0.00")]
)
def test_no_number_is_minus_zero(value, text):
    assert number_text(value) == text


@pytest.mark.parametrize(("p", "text"), [(1e-9, "< 0.001"), (0.0123, "0.012"), (1.0, "1.000"), (np.nan, "")])
def test_no_p_is_zero(p, text):
    assert p_text(p) == text


def test_models_without_layers_are_compared_in_one_sentence(rng):
    patterns, patch = patterns_of(8, 3), rng.random(24 * 23 // 2)
    vectors = np.stack([rng.random(patch.size), patch + 0.5 * rng.random(patch.size)])
    models = rdms_of(vectors, patterns, model=["shape", "colour"])
    neural = rdms_of([patch, patch + 0.1 * rng.random(patch.size)], patterns, region=["IT"] * 2, subject=["a", "b"])
    options = {"n_draws": 20, "n_permutations": 10, "rng": rng}
    result = infer_fits(models, neural, **options)
    (sentence,) = sentences(result)
    assert sentence.startswith(f"IT: colour fits best of 2 models, {result.estimates[1, 0]:.2f} (95 % interval")
    assert "; noise ceiling over subjects " in sentence
    alone = infer_fits(models.subset("model", "colour"), neural, **options)
    assert sentences(alone)[0].startswith(f"IT: the fit of colour is {result.estimates[1, 0]:.2f} (95 % interval")
    (none,) = sentences(dataclasses.replace(result, estimates=-result.estimates))
    assert none.startswith("IT: no model fits above 0 (smallest adjusted p ")
