"""Stages of one model: sets of images that are not one image an identity and view."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from neural_data.stages import identity_coordinates


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
