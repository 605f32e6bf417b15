"""Stages of one model: sets of images that are not one image an identity and view."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from neural_data.stages import STAGES, identity_coordinates, stage_rates


def test_several_images_of_an_identity_in_one_view_count_as_their_mean(faces):
    """Frontal images a and b of each identity place it where (a + b) / 2, shown once, does."""
    frontal = np.flatnonzero(faces.table["azimuth_deg"] == 0)
    more = faces.table.iloc[frontal].rename(index="{}_again".format)
    pixels = faces.pixels & 0xFE
    seconds = np.random.default_rng(1).integers(0, 128, (len(frontal), *pixels.shape[1:]), dtype=np.uint8) * 2
    twice = dataclasses.replace(
        faces,
        table=pd.concat([faces.table, more]),
        pixels=np.concatenate([pixels, seconds]),
    )
    once = pixels.copy()
    once[frontal] = pixels[frontal] // 2 + seconds // 2
    found = identity_coordinates(twice)[0]
    expected = identity_coordinates(dataclasses.replace(faces, pixels=once))[0]
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-5)


def test_the_interaction_holds_nothing_of_view_and_identity_where_identities_lack_views(faces, rng):
    """Responses to identities in single views alone: every identity's and every view's mean rate is the same."""
    lacking = faces.take(np.setdiff1d(np.arange(30), [0, 1, 7, 12, 13, 29]))
    tuning = dataclasses.replace(
        STAGES["ML"], view_share=0.0, identity_share=0.0, modulation=0.05, rate_log_sd=0.0, subject_gain_sd=0.0
    )
    coordinates = identity_coordinates(lacking)[0]
    rates, _ = stage_rates(lacking, "ML", tuning, 20, coordinates, subjects=["A"], rng=rng)
    assert rates.std(axis=0).min() > 0.01
    for column in ("identity", "azimuth_deg"):
        means = pd.DataFrame(rates).groupby(lacking.table[column].to_numpy()).mean()
        np.testing.assert_allclose(means, tuning.baseline_hz + tuning.peak_hz, rtol=1e-9)
