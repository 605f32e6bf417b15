"""Simulated patches: the statistics they promise, and the truth that travels with them."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from neural_data import InputError, simulate_from_layer, simulate_patches
from neural_data.recordings import condition_means, regions_of, select_region
from neural_data.simulation import (
    KINDS,
    PARAMETER_SOURCES,
    PATCHES,
    PatchTuning,
    SpikeNoise,
    draw_trials,
    simulate_again,
    simulate_rates,
    simulation_parameters,
)
from neural_data.stages import STAGES, StageTuning, identity_coordinates

POISSON = SpikeNoise(gain_sd=0.0)
QUIET = SpikeNoise(gain_sd=0.0, window_ms=(0.0, 1e6))
"""Spikes counted for so long that hardly any noise is left."""


@pytest.mark.parametrize("kind", KINDS)
def test_shape_labels_and_truth_travel_with_the_data(faces, rng, kind):
    recording = simulate_patches(
        faces, ("ML", "AM"), {"ML": 7, "AM": 5}, 4, rng=rng, subjects=("A", "B"), noise=POISSON, kind=kind
    )
    assert recording.sizes == {"presentation": 4 * len(faces), "neuroid": 12}
    assert regions_of(recording) == ["ML", "AM"]
    assert recording["subject"].values.tolist() == ["A", "B", "A", "B", "A", "B", "A", *"ABABA"]
    assert recording.attrs["simulated"] == 1
    assert recording.attrs["units"] == "spikes/s"
    truth = simulation_parameters(recording)
    assert KINDS[kind].name == kind == truth["kind"]
    assert truth["patches"]["AM"] == dataclasses.asdict(KINDS[kind].patches["AM"])
    assert truth["noise"] == {"gain_sd": 0.0, "window_ms": [50.0, 350.0]}
    assert json.loads(json.dumps(recording.attrs)) == recording.attrs
    assert "preferred_azimuth_deg" in recording.coords


def test_every_parameter_says_where_its_default_comes_from():
    fields = {f.name for cls in (PatchTuning, SpikeNoise) for f in dataclasses.fields(cls)}
    assert fields == set(PARAMETER_SOURCES)
    for kind in KINDS.values():
        assert {f.name for f in dataclasses.fields(kind.tuning)} <= set(kind.sources)


def test_the_same_seed_gives_the_same_recording(faces):
    first, second = (simulate_patches(faces, n_neurons=4, rng=np.random.default_rng(3)) for _ in range(2))
    assert first.identical(second)


def test_rates_follow_the_formula(faces, rng):
    tuning = PatchTuning(
        view_depth=1.0, view_depth_sd=0, view_halfwidth_deg=45, view_halfwidth_log_sd=0, mirror_weight=1.0,
        mirror_weight_sd=0, elevation_sd_deg=0, identity_strength=0, rate_log_sd=0, baseline_hz=2, peak_hz=10,
        smallest_azimuth_deg=90,
    )  # fmt: skip
    rates = simulate_rates(faces, ["X"], 3, rng=rng, tuning={"X": tuning}, kind="parametric")
    profile = condition_means(rates).to_numpy()[:5, 0]
    # Bumps at +90 and -90 with half-width 45: half at 45 degrees; each is seen from the other side at 180 degrees.
    kappa = np.log(2) / (1 - np.cos(np.pi / 4))
    far = [np.exp(kappa * (np.cos(np.deg2rad(d)) - 1)) for d in (180, 135, 90)]
    expected = np.array([1 + far[0], 0.5 + far[1], 2 * far[2]]) / (1 + far[0])
    np.testing.assert_allclose(profile, 2 + 10 * expected[[0, 1, 2, 1, 0]], rtol=1e-10)


@pytest.mark.parametrize(
    ("kind", "alike"), [("image", {"modulation": 0.0}), ("parametric", {"identity_strength": 0.0})]
)
def test_stimuli_that_are_no_faces_drive_a_patch_less(faces, rng, kind, alike):
    mixed = dataclasses.replace(faces, table=faces.table.assign(category=["face"] * 15 + ["car"] * 15))
    quiet = {"ML": dataclasses.replace(KINDS[kind].patches["ML"], baseline_hz=0.0, **alike)}
    rates = condition_means(simulate_rates(mixed, ["ML"], 50, rng=rng, tuning=quiet, kind=kind)).to_numpy()
    assert rates[15:].sum() / rates[:15].sum() == pytest.approx(0.1)


@pytest.mark.parametrize("gain_sd", [0.0, 0.5])
def test_variance_of_counts_is_that_of_the_noise_model(faces, rng, gain_sd):
    rates = simulate_rates(faces, ["ML"], 20, rng=rng)
    trials = draw_trials(rates, 4000, rng=rng, noise=SpikeNoise(gain_sd=gain_sd, window_ms=(0, 500)))
    counts = (trials.values * 0.5).reshape(4000, *rates.shape)
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-9)
    mean = rates.values * 0.5
    np.testing.assert_allclose(counts.mean(axis=0), mean, rtol=0.12, atol=0.05)
    expected = mean + (gain_sd * mean) ** 2
    assert (counts.var(axis=0) / expected).mean() == pytest.approx(1.0, abs=0.02)


def test_subjects_share_the_face_space_as_far_as_they_are_told(many_faces, rng):
    def agreement(variability):
        tuning = dataclasses.replace(PATCHES["AM"], subject_variability=variability, view_depth=0.0, view_depth_sd=0.0)
        rates = simulate_rates(
            many_faces, ["AM"], 2000, rng=rng, subjects=("A", "B"), tuning={"AM": tuning}, kind="parametric"
        )
        rdms = [np.corrcoef(condition_means(select_region(rates, "AM", subject=s)).to_numpy()[::5]) for s in "AB"]
        upper = np.triu_indices(25, 1)
        return np.corrcoef(rdms[0][upper], rdms[1][upper])[0, 1]

    assert agreement(0.0) > 0.75
    assert agreement(0.0) > agreement(1.0) + 0.3


def test_a_population_samples_its_layer(faces, rng):
    units = rng.random((len(faces), 40))
    units[:, 7] = 1.0  # constant: never chosen
    recording = simulate_from_layer(units, faces, rng=rng, n_neurons=30, n_repetitions=2000, noise=POISSON)
    means = condition_means(recording, faces.ids).to_numpy()
    chosen = recording["unit"].values
    assert 7 not in chosen
    assert len(set(chosen)) == 30
    for neuron, unit in enumerate(chosen):
        assert np.corrcoef(means[:, neuron], units[:, unit])[0, 1] > 0.98
    assert recording.attrs["simulated"] == 1


def test_mixed_neurons_blend_units(faces, rng):
    units = rng.random((len(faces), 40))
    mixed = simulate_from_layer(units, faces, rng=rng, mixing=1.0, n_repetitions=1000, noise=POISSON)
    means = condition_means(mixed, faces.ids).to_numpy()
    r = [np.corrcoef(means[:, n], units[:, u])[0, 1] for n, u in enumerate(mixed["unit"].values)]
    assert 0.5 < np.mean(r) < 0.9


@pytest.mark.parametrize("mixing", [0.0, 2.0])
@pytest.mark.parametrize("normalize", ["zscore", None])
def test_many_neurons_have_the_rdm_of_the_layer_so_normalised(faces, rng, normalize, mixing):
    # A few strong units with large means rule the RDM of raw responses; z-scored, all units count alike.
    scale = np.where(np.arange(60) < 20, 6.0, 0.5)
    units = np.maximum(scale * (1 + rng.standard_normal((len(faces), 60))), 0)
    scores = (units - units.mean(axis=0)) / units.std(axis=0)
    upper = np.triu_indices(len(faces), 1)
    raw, scored = (np.corrcoef(layer)[upper] for layer in (units, scores))
    recording = simulate_from_layer(
        units, faces, rng=rng, n_neurons=3000, n_repetitions=1, mixing=mixing, normalize=normalize, noise=QUIET
    )
    found = np.corrcoef(condition_means(recording, faces.ids).to_numpy())[upper]
    same, other = (raw, scored) if normalize is None else (scored, raw)
    assert np.corrcoef(found, same)[0, 1] > 0.97
    assert np.corrcoef(found, same)[0, 1] > np.corrcoef(found, other)[0, 1] + 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"regions": ["Am"]}, "no tuning is known for region 'Am'"),
        ({"n_neurons": 0}, "n_neurons of ML must be a whole number of at least 1"),
        ({"n_neurons": {"ML": 3}}, "has no number for region 'AL'"),
        ({"n_repetitions": 2.5}, "n_repetitions must be a whole number"),
        ({"regions": ["ML", "ML"]}, "each once"),
        ({"noise": SpikeNoise(window_ms=(100, 50))}, "start before it ends"),
        ({"noise": SpikeNoise(gain_sd=-1)}, "gain_sd must be 0"),
        ({"tuning": {"AL": PatchTuning(face_space_dims=3)}, "kind": "parametric"}, "share one face space"),
        ({"tuning": {"AL": PatchTuning()}}, "take a StageTuning; 'AL' has a PatchTuning"),
        ({"tuning": {"AL": StageTuning(view_share=0.8, identity_share=0.3)}}, "add up to at most 1"),
        ({"kind": "images"}, "did you mean 'image'"),
    ],
)
def test_a_population_that_cannot_be_is_refused(faces, rng, arguments, message):
    with pytest.raises(InputError, match=message):
        simulate_patches(faces, **({"n_neurons": 3, "n_repetitions": 2, "rng": rng} | arguments))


@pytest.mark.parametrize(
    ("activations", "message"),
    [
        (np.zeros((3, 4)), "activations have 3 stimuli"),
        (np.full((30, 4), np.nan), "NaN or infinite"),
        (np.ones((30, 4)), "no unit of the layer varies"),
    ],
)
def test_a_layer_that_cannot_be_sampled_is_refused(faces, rng, activations, message):
    with pytest.raises(InputError, match=message):
        simulate_from_layer(activations, faces, rng=rng)


def test_an_unknown_normalisation_is_refused(faces, rng):
    with pytest.raises(InputError, match="normalize must be 'zscore' or None; got 'none'"):
        simulate_from_layer(rng.random((30, 4)), faces, rng=rng, normalize="none")


def variance_of(rates, stimuli):
    """Shares of variance over stimuli that views and identities explain alone, summed over neurons."""
    cube = rates.reshape(len(stimuli.identities), -1, rates.shape[1])
    total = cube.var(axis=(0, 1)).sum()
    return cube.mean(axis=0).var(axis=0).sum() / total, cube.mean(axis=1).var(axis=0).sum() / total


@pytest.mark.parametrize("region", ["ML", "AL", "AM"])
def test_shares_of_variance_are_those_that_were_asked_for(many_faces, rng, region):
    """A modulation that never reaches 0 spikes/s keeps the drive's variance as it is."""
    tuning = dataclasses.replace(STAGES[region], modulation=0.05, rate_log_sd=0.0)
    rates = simulate_rates(many_faces, [region], 600, rng=rng, tuning={region: tuning})
    view, identity = variance_of(condition_means(rates, many_faces.ids).to_numpy(), many_faces)
    assert (view, identity) == pytest.approx((tuning.view_share, tuning.identity_share), abs=0.02)


def test_al_answers_mirror_images_alike_and_ml_does_not(many_faces, rng):
    def likeness(region):
        tuning = dataclasses.replace(STAGES[region], reflection_pooling_sd=0.0, view_share=1.0, identity_share=0.0)
        if region == "AL":
            tuning = dataclasses.replace(tuning, reflection_pooling=1.0, elevation_sd_deg=0.0)
        rates = simulate_rates(many_faces, [region], 50, rng=rng, tuning={region: tuning})
        cube = condition_means(rates, many_faces.ids).to_numpy().reshape(25, 5, 50)
        return np.abs(cube - cube[:, ::-1]).max()

    assert likeness("AL") < 1e-9
    assert likeness("ML") > 1


def test_identities_lie_where_their_measures_put_them(many_faces, rng):
    scores = rng.standard_normal((25, 4))
    columns = {f"measure_{name}": np.repeat(scores[:, k], 5) for k, name in enumerate("abcd")}
    rendered = dataclasses.replace(many_faces, table=many_faces.table.assign(**columns))
    found, source = identity_coordinates(rendered)
    centred = scores - scores.mean(axis=0)
    assert source == "measures"
    np.testing.assert_allclose(found, centred / np.sqrt((centred**2).sum(axis=1).mean()))
    lacking = rendered.table.copy()
    lacking.iloc[0, lacking.columns.get_loc("measure_a")] = np.nan
    assert identity_coordinates(dataclasses.replace(rendered, table=lacking))[1] == "images"
    lacking.iloc[0, lacking.columns.get_loc("measure_a")] = 9.0
    with pytest.raises(InputError, match="'measure_a' differs between images of one identity"):
        identity_coordinates(dataclasses.replace(rendered, table=lacking))


def test_identities_lie_where_their_images_put_them(faces):
    """Distances between coordinates are those between images, views aligned and less each view's mean."""
    found, source = identity_coordinates(faces)
    gray = faces.images(48).mean(axis=1).reshape(6, 5, -1)
    aligned = (gray - gray.mean(axis=0)).reshape(6, -1)
    distances = [np.linalg.norm(x[:, None] - x[None], axis=2) for x in (found, aligned)]
    assert source == "images"
    upper = np.triu_indices(6, 1)
    ratio = distances[0][upper] / distances[1][upper]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)


def test_other_neurons_share_the_identities_that_images_show_and_no_others(many_faces, rng):
    """Of a parametric patch nothing is known about its identities, so other neurons agree about views alone."""
    upper = np.triu_indices(25, 1)
    columns = {f"measure_{k}": np.repeat(rng.standard_normal(25), 5) for k in range(3)}
    shown = dataclasses.replace(many_faces, table=many_faces.table.assign(**columns))
    agreement = {}
    for kind in KINDS:
        rates = simulate_rates(shown, ["AM"], 800, rng=rng, kind=kind)
        again = simulate_again(rates, shown, "AM", 800, rng=rng)
        means = [condition_means(x, shown.ids) for x in (rates, again)]
        frontal = [np.corrcoef(r[2::5])[upper] for r in (x.to_numpy() for x in means)]
        agreement[kind] = np.corrcoef(frontal)[0, 1]
    assert agreement["image"] > 0.7
    assert abs(agreement["parametric"]) < 0.3
    with pytest.raises(InputError, match="no simulated patch 'AL'"):
        simulate_again(rates, shown, "AL", 10, rng=rng)


@pytest.mark.parametrize("change", [{"view_tilt": 1.0}, {"view_share": None}])
def test_a_patch_of_another_version_is_not_simulated_again(faces, rng, change):
    """A parameter that there is no more, and one that there was not yet."""
    rates = simulate_rates(faces, ["ML", "AL"], 3, rng=rng)
    about = simulation_parameters(rates)
    about["patches"]["AL"] |= change
    about["patches"]["AL"] = {name: value for name, value in about["patches"]["AL"].items() if value is not None}
    rates.attrs["simulation"] = json.dumps(about)
    with pytest.raises(InputError, match=f"'AL' .* another version .*{next(iter(change))}"):
        simulate_again(rates, faces, ["ML", "AL"], 3, rng=rng)
    assert simulate_again(rates, faces, "ML", 3, rng=rng).shape == (30, 3)
