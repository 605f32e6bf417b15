"""What a result says in words: numbers as a paper prints them, and nothing that is not there."""

from __future__ import annotations

import numpy as np
import pytest

from neurocompare import infer_fits
from neurocompare.comparison.fit_text import number_text, p_text, sentences
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
    assert sentence.startswith("AL: no layer of net, trained above 0 (smallest adjusted p ")


@pytest.mark.parametrize(
    ("value", "text"), [(-0.001, "0.00"), (0.126, "0.13"), (-0.126, "-0.13"), (np.nan, "nan"), (-0.0, "0.00")]
)
def test_no_number_is_minus_zero(value, text):
    assert number_text(value) == text


@pytest.mark.parametrize(("p", "text"), [(1e-9, "< 0.001"), (0.0123, "0.012"), (1.0, "1.000"), (np.nan, "")])
def test_no_p_is_zero(p, text):
    assert p_text(p) == text
