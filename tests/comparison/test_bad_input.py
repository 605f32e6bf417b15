"""RDMs that cannot be compared: one clear error, or undefined numbers that are counted, in everything that infers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neural_data.errors import InputError
from neurocompare.comparison.fits import compare_rdms, fits_on_draws
from neurocompare.comparison.flexible import fit_weights, flexible_fits
from neurocompare.comparison.identity_tests import permute_identities
from neurocompare.comparison.inference import infer_fits
from neurocompare.comparison.layer_tests import compare_layer_profiles, cross_validated_best_layer
from tests.comparison.conftest import rdms_of

AZIMUTHS = (-90.0, 0.0, 90.0)
RNG = np.random.default_rng(5)


def faces(n_identities: int, n_views: int = 3, prefix: str = "s") -> pd.DataFrame:
    rows = [(f"{prefix}{i}_{v}", f"id{i}", AZIMUTHS[v]) for i in range(n_identities) for v in range(n_views)]
    return pd.DataFrame(rows, columns=["stimulus_id", "identity", "azimuth_deg"])


def layers(patterns: pd.DataFrame):
    n = len(patterns)
    values = np.random.default_rng(1).random((2, n * (n - 1) // 2))
    return rdms_of(values, patterns, model=["net"] * 2, layer=["conv1", "fc1"], layer_index=[0, 1])


def patches(patterns: pd.DataFrame):
    n = len(patterns)
    return rdms_of(
        np.random.default_rng(2).random((2, n * (n - 1) // 2)), patterns, region=["AL", "AM"], subject=["m1", "m1"]
    )


def infer(models, neural, resample="identity", **options):
    return infer_fits(models, neural, resample=resample, **{"n_draws": 20, "rng": np.random.default_rng(0), **options})


EVERYTHING = {
    "compare_rdms": compare_rdms,
    "fits_on_draws": lambda m, n: fits_on_draws(m, n, np.zeros((1, m.n_cond), dtype=int)),
    "infer_fits": lambda m, n: infer(m, n, "stimulus"),
    "fit_weights": fit_weights,
    "flexible_fits": lambda m, n: flexible_fits(m, n, resample="identity", rng=RNG),
    "permute_identities": lambda m, n: permute_identities(m, n, n_permutations=5, rng=RNG),
    "cross_validated_best_layer": lambda m, n: cross_validated_best_layer(m, n, resample="identity", rng=RNG),
}


@pytest.mark.parametrize("function", EVERYTHING.values(), ids=EVERYTHING)
def test_rdms_that_share_no_stimuli_are_refused_everywhere(function):
    with pytest.raises(InputError, match="12 only in the first"):
        function(layers(faces(4)), patches(faces(4, prefix="t")))


@pytest.mark.parametrize("n_stimuli", [1, 2])
@pytest.mark.parametrize("function", EVERYTHING.values(), ids=EVERYTHING)
def test_one_or_two_stimuli_are_refused_everywhere(function, n_stimuli):
    patterns = faces(1, n_stimuli)
    with pytest.raises(InputError, match=rf"at least three (stimuli|of them).*{n_stimuli}"):
        function(layers(patterns), patches(patterns))


@pytest.mark.parametrize("resample", ["stimulus", "identity"])
@pytest.mark.parametrize("variance", ["jackknife", "bootstrap"])
@pytest.mark.parametrize("value", [0.7, np.nan], ids=["constant", "NaN"])
def test_an_undefined_layer_stays_undefined_and_is_counted(value, variance, resample):
    models = layers(faces(6))
    models.dissimilarities[0] = value
    result = infer(models, patches(faces(6)), resample, variance=variance)
    frame = result.to_frame().set_index("layer")
    numbers = ["fit", "se", "ci_low", "ci_high", "p_zero", "p_zero_adjusted"]
    assert frame.loc["conv1", numbers].isna().all(axis=None)
    assert frame.loc["fc1", numbers].notna().all(axis=None)
    assert result.notes[0] == "2 of 4 fits are undefined: an RDM is constant or all NaN"
    assert result.pairwise()[["difference", "se", "p", "p_adjusted"]].isna().all(axis=None)
    assert (result.best_layer()["layer"] == "fc1").all()


@pytest.mark.parametrize("value", [0.7, np.nan], ids=["constant", "NaN"])
def test_an_undefined_recording_leaves_nothing_to_say_of_it(value):
    models, neural = layers(faces(6)), patches(faces(6))
    neural.dissimilarities[1] = value
    result = infer(models, neural)
    assert any("2 of 4 fits are undefined" in note for note in result.notes)
    best = result.best_layer().set_index("region")
    assert pd.isna(best.loc["AM", "layer"])
    assert isinstance(best.loc["AL", "layer"], str)
    profile = compare_layer_profiles(result).iloc[0]
    assert profile[["slope_difference", "p", "interaction", "p_interaction", "depth_difference"]].isna().all()
    permuted = permute_identities(models, neural, n_permutations=9, rng=RNG).set_index("region")
    assert permuted.loc["AM", ["fit", "p", "p_adjusted"]].isna().all(axis=None)
    assert permuted.loc["AL", ["fit", "p"]].notna().all(axis=None)
    held_out = cross_validated_best_layer(models, neural, resample="identity", rng=RNG).set_index("region")
    assert held_out.loc["AM", ["fit", "se", "p_zero", "fit_in_sample"]].isna().all()
    assert np.isfinite(held_out.loc["AL", "fit"])


def test_one_subject_or_three_neurons_cannot_be_resampled():
    with pytest.raises(InputError, match="at least two subjects in every region; 'AL' has 1 of 1 subject"):
        infer(layers(faces(6)), patches(faces(6)), ("identity", "subject"))
    few = np.random.default_rng(3).random((18, 3))
    with pytest.raises(InputError, match="at least 4 of them; region 'AL'"):
        infer(layers(faces(6)), patches(faces(6)), "neuron", recording={"AL": few, "AM": few})
