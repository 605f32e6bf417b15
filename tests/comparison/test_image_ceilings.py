"""Best fits to simulated patches of anything that sees the images."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import xarray as xr

from neural_data import simulate_from_layer, simulate_patches
from neural_data.simulation import KINDS, simulate_rates
from neural_data.stages import STAGES
from neurocompare.comparison.ceilings import neuron_ceilings
from neurocompare.comparison.fits import compare_rdms
from neurocompare.comparison.image_ceilings import best_image_fits
from neurocompare.representations.neural_rdms import PopulationRequest, compute_neural_rdms


@pytest.fixture(scope="module")
def shown(many_faces):
    """Faces that differ in three measures: far from equally different from each other."""
    scores = np.random.default_rng(8).standard_normal((25, 3))
    columns = {f"measure_{k}": np.repeat(scores[:, k], 5) for k in range(3)}
    return dataclasses.replace(many_faces, table=many_faces.table.assign(**columns))


@pytest.fixture(scope="module")
def recordings(shown):
    return {kind: simulate_patches(shown, ("AM",), 60, rng=np.random.default_rng(4), kind=kind) for kind in KINDS}


def test_images_reach_the_noise_ceiling_of_a_patch_that_they_can_explain(shown, rng):
    """Of an animal that weighs all measures as they are; one with weights of its own has what no image shows."""
    tuning = {"AM": dataclasses.replace(STAGES["AM"], subject_gain_sd=0.0)}
    recording = simulate_patches(shown, ("AM",), 60, rng=rng, tuning=tuning)
    best = best_image_fits(recording, shown, rng=rng)["AM"]
    ceiling = neuron_ceilings(recording, PopulationRequest(shown), rng=rng, n_splits=20)["ceiling_upper"][0]
    assert best == pytest.approx(ceiling, abs=0.05)


def test_a_model_that_weighs_all_measures_alike_does_not_fit_better_than_the_best(many_faces):
    """Each recorded patch weighs its measures in a way of its own (the default), which no image shows.

    So the truth without such weights is the most that a model of the images can know.
    """
    rng = np.random.default_rng(12)
    measures = rng.standard_normal((25, 10))
    columns = {f"measure_{k}": np.repeat(measures[:, k], 5) for k in range(10)}
    shown = dataclasses.replace(many_faces, table=many_faces.table.assign(**columns))
    patches = [f"AM{k}" for k in range(3)]
    evenly = {"AM": dataclasses.replace(STAGES["AM"], subject_gain_sd=0.0)}
    model = compute_neural_rdms(simulate_rates(shown, ("AM",), 3000, tuning=evenly, rng=rng), stimuli=shown)
    recording = simulate_patches(shown, patches, 100, rng=rng, tuning=dict.fromkeys(patches, STAGES["AM"]))
    fits = compare_rdms(model, compute_neural_rdms(recording, stimuli=shown))[0]
    best = best_image_fits(recording, shown, rng=rng)[patches]
    assert fits.min() > 0.6
    assert fits.mean() < best.mean() + 0.01


def test_no_image_shows_the_identities_of_a_parametric_patch(recordings, shown, rng):
    """Views and single identities partialled out, where they stand is all that is left to agree about."""
    fits = {
        kind: best_image_fits(recording, shown, rng=rng, control=("view", "identity"))["AM"]
        for kind, recording in recordings.items()
    }
    assert abs(fits["parametric"]) < 0.15
    assert fits["image"] > 0.5


def test_trials_are_drawn_for_dissimilarities_that_need_them(recordings, shown, rng):
    assert best_image_fits(recordings["image"], shown, rng=rng, dissimilarity="crossnobis")["AM"] > 0.5


def test_nothing_is_known_of_other_recordings(recordings, shown, faces, rng):
    layer = simulate_from_layer(rng.random((len(faces), 20)), faces, rng=rng)
    assert np.isnan(best_image_fits(layer, faces, rng=rng)).all()
    # As recordings of earlier versions were written.
    old = recordings["parametric"].copy()
    about = json.loads(old.attrs["simulation"])
    del about["kind"]
    old.attrs["simulation"] = json.dumps(about)
    assert np.isnan(best_image_fits(old, shown, rng=rng)).all()


def test_a_region_that_was_not_simulated_keeps_no_other_from_its_fit(recordings, shown):
    """The first region was recorded elsewhere; the fit of the second is what it is by itself, images looked at once."""
    recording = recordings["image"]
    other = recording.assign_coords(
        region=("neuroid", ["IT"] * 60), neuroid_id=("neuroid", [f"other {k}" for k in range(60)])
    )
    both = xr.concat([other, recording], dim="neuroid", combine_attrs="override")
    alone = best_image_fits(recording, shown, rng=np.random.default_rng(6))["AM"]
    found = best_image_fits(both, shown, rng=np.random.default_rng(6))
    assert list(found.index) == ["IT", "AM"]
    assert np.isnan(found["IT"])
    assert found["AM"] == pytest.approx(alone)
