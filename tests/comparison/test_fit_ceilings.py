"""Noise ceilings of fits by default: those of the functions for ceilings, and a reason where there are none."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from rsatoolbox.inference import eval_fixed
from rsatoolbox.model import ModelFixed

from neural_data.errors import InputError
from neural_data.recordings import select_region
from neural_data.simulation import simulate_patches
from neurocompare import compute_neural_rdms, infer_fits
from neurocompare.comparison.ceilings import neuron_ceilings, subject_ceilings
from neurocompare.comparison.fit_ceilings import matched_ceilings
from neurocompare.comparison.fit_text import sentences
from neurocompare.comparison.layer_tests import compare_layer_profiles
from neurocompare.representations.rdms import build_rdms, pattern_table


def rng():
    return np.random.default_rng(7)


@pytest.fixture
def recorded(faces):
    """Eight neurons of each of two animals in AL and AM."""
    recording = simulate_patches(faces, regions=("AL", "AM"), n_neurons=16, n_repetitions=2, rng=rng())
    animal = np.tile(["m1", "m2"], 16)
    return recording.assign_coords(subject=("neuroid", animal))


def layers_like(neural, **labels):
    patterns = pattern_table(neural).reset_index()
    return build_rdms(neural.get_vectors()[:2] ** 2, patterns=patterns, rdms=labels, dissimilarity="correlation")


def fits(recorded, *, by_subject=False, dissimilarity="correlation", **options):
    neural = compute_neural_rdms(recorded, by_subject=by_subject, dissimilarity=dissimilarity)
    models = layers_like(neural, model=["net"] * 2, layer=["first", "last"], layer_index=[0, 1])
    return infer_fits(models, neural, **{"n_draws": 30, "n_permutations": 10, "rng": rng(), **options})


def test_fits_to_neurons_have_the_ceilings_of_neuron_ceilings(recorded):
    expected = neuron_ceilings(recorded, rng=rng().spawn(1)[0])
    for resample in (("identity", "neuron"), "identity"):
        result = fits(recorded, recording=recorded, resample=resample)
        for name in ("ceiling_lower", "ceiling_upper"):
            np.testing.assert_allclose(result.ceilings[name], expected[name], rtol=1e-9)
        without = fits(recorded, recording=recorded, resample=resample, ceilings=False)
        np.testing.assert_array_equal(result.draws, without.draws)
        assert without.ceilings is None
        assert not any("ceiling" in note for note in without.notes)
        if resample == "identity":  # errors of ceilings are not in the refits, and stand beside them
            np.testing.assert_allclose(result.ceilings["ceiling_lower_se"], expected["ceiling_lower_se"], rtol=1e-9)
    reliability, ceiling = expected[["ceiling_lower", "ceiling_upper"]].iloc[0]
    assert sentences(result)[0].endswith(f"; reliability {reliability:.2f}, noise ceiling {ceiling:.2f}.")
    assert compare_layer_profiles(result)["per_ceiling"].all()


def test_fits_over_subjects_have_the_bounds_of_rsatoolbox(recorded):
    result = fits(recorded, by_subject=True, resample=("identity", "subject"))
    neural = compute_neural_rdms(recorded, by_subject=True)
    expected = eval_fixed(ModelFixed("any", neural[0]), neural.subset("region", "AM"), method="corr").noise_ceiling
    np.testing.assert_allclose(result.to_rsatoolbox("AM").noise_ceiling, expected, atol=1e-9)
    assert f"; noise ceiling over subjects {expected[0]:.2f} to {expected[1]:.2f}." in sentences(result)[1]


def test_bounds_over_subjects_are_no_reliabilities(recorded, caplog):
    """Their root is nobody's fit: nothing is tested against it or divided by it, also where the table was given."""
    table = subject_ceilings(recorded)
    given = fits(recorded, by_subject=True, resample=("identity", "subject"), ceilings=table)
    for result in (fits(recorded, by_subject=True, resample=("identity", "subject")), given):
        np.testing.assert_allclose(result.ceilings["ceiling_lower"], table["ceiling_lower"])
        frame = result.to_frame()
        assert frame[["p_ceiling", "corrected_fit"]].isna().all(axis=None)
        assert not compare_layer_profiles(result)["per_ceiling"].any()
    with pytest.raises(InputError, match="need the reliability of every recording"):
        compare_layer_profiles(given, per_ceiling=True)


def test_a_table_of_a_study_has_an_empty_column_of_subjects_and_is_over_neurons(recorded):
    table = neuron_ceilings(recorded, rng=rng(), n_splits=5).assign(n_subjects=np.nan)
    result = fits(recorded, recording=recorded, resample=("identity", "neuron"), ceilings=table)
    np.testing.assert_allclose(result.roots, table["ceiling_upper"])
    assert np.isfinite(result.p_ceiling).all()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, r"they need responses \(recording=\), or resampled subjects"),
        ({"dissimilarity": "crossnobis"}, "crossnobis RDMs need single trials"),
        ({"few": True}, "AM has 3 neurons; halves need 4"),
    ],
)
def test_a_missing_ceiling_has_a_reason(recorded, options, why):
    options = dict(options)
    if options.pop("few", False):
        keep = np.r_[:16, 16:19]
        recorded = recorded.isel(neuroid=keep)
        options["recording"] = recorded
        assert select_region(recorded, "AM").sizes["neuroid"] == 3
    result = fits(recorded, resample="identity", **options)
    assert re.search(f"Note: no noise ceilings: {why}", result.summary())


def test_a_blank_subject_of_a_table_from_a_file_is_no_subject(tmp_path):
    pd.DataFrame({"region": ["ML"], "subject": [""], "ceiling_lower": [0.5]}).to_csv(tmp_path / "c.csv", index=False)
    recordings = pd.DataFrame({"region": ["ML"], "subject": [""]})
    found = matched_ceilings(pd.read_csv(tmp_path / "c.csv"), recordings)
    assert found.table["ceiling_lower"].tolist() == [0.5]
