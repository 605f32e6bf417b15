"""Best layers on other identities, profiles over layers, and permuted identities, on data with a known answer."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rsatoolbox.rdm import compare

from neural_data.errors import InputError
from neurocompare.comparison.ceilings import split_half_reliability
from neurocompare.comparison.identity_tests import permute_identities
from neurocompare.comparison.inference import infer_fits
from neurocompare.comparison.layer_tests import (
    compare_layer_profiles,
    cross_validated_best_layer,
    profile_notes,
)
from neurocompare.representations.dissimilarities import correlation_dissimilarity
from tests.comparison.conftest import rdms_of

ANALYSES = Path(__file__).parents[2] / "analyses"
AZIMUTHS = (-90.0, 0.0, 90.0)


def views_of(n_identities: int) -> pd.DataFrame:
    rows = [(f"s{i}_{a:g}", f"id{i}", a) for i in range(n_identities) for a in AZIMUTHS]
    return pd.DataFrame(rows, columns=["stimulus_id", "identity", "azimuth_deg"])


def made(layers: list[np.ndarray], patterns: pd.DataFrame, **descriptors):
    return rdms_of([correlation_dissimilarity(layer) for layer in layers], patterns, **descriptors)


def network(layers: list[np.ndarray], patterns: pd.DataFrame):
    n = len(layers)
    names = [f"layer{k}" for k in range(n)]
    return made(layers, patterns, model=["net"] * n, regime=["natural"] * n, layer=names, layer_index=range(n))


@pytest.fixture
def graded(rng):
    """Ten identities in three views; layers go from tuning to views to tuning to identities."""
    patterns = views_of(10)
    view = np.tile(rng.standard_normal((3, 60)), (10, 1))
    identity = np.repeat(rng.standard_normal((10, 60)), 3, axis=0)
    layers = [(1 - t) * view + t * identity + 0.5 * rng.standard_normal((30, 60)) for t in (0.1, 0.37, 0.63, 0.9)]
    return patterns, layers


def recorded(layers, patterns, sources: dict[str, int], rng, noise=0.5, n_neurons=30):
    responses = {
        region: layers[source] @ rng.standard_normal((60, n_neurons)) / 8 + noise * rng.standard_normal((30, n_neurons))
        for region, source in sources.items()
    }
    return responses, made(list(responses.values()), patterns, region=list(sources))


def test_permuting_three_identities_gives_all_six_orders(rng):
    patterns = views_of(3)
    models = made([rng.standard_normal((9, 20))], patterns, layer=["a"])
    neural = made([rng.standard_normal((9, 20))], patterns, region=["AL"])
    table = permute_identities(models, neural, n_permutations=4000, rng=rng)
    places = np.arange(9).reshape(3, 3)
    fits = []
    for order in itertools.permutations(range(3)):
        rows = places[list(order)].ravel()
        permuted = rdms_of(neural.get_matrices()[:, rows][:, :, rows], patterns, region=["AL"])
        fits.append(compare(models, permuted, "corr")[0, 0])
    assert table["null_mean"][0] == pytest.approx(np.mean(fits), abs=4 * np.std(fits) / np.sqrt(4000))
    assert table["p"][0] == pytest.approx(np.mean(np.array(fits) >= fits[0] - 1e-12), abs=0.03)


def test_shared_views_are_no_evidence_for_shared_identities(rng):
    """Model and recording share their tuning to views only: fits are high, and p is uniform."""
    patterns = views_of(6)
    p_values, fits = [], []
    for _ in range(100):
        view = 2 * np.tile(rng.standard_normal((3, 30)), (6, 1))
        model, neural = (view + np.repeat(rng.standard_normal((6, 30)), 3, axis=0) for _ in range(2))
        table = permute_identities(
            made([model], patterns, layer=["a"]), made([neural], patterns, region=["AL"]), n_permutations=59, rng=rng
        )
        p_values.append(table["p"][0])
        fits.append(table["fit"][0])
    assert np.mean(fits) > 0.5
    assert np.mean(np.array(p_values) <= 0.05) < 0.12
    assert 0.41 < np.mean(p_values) < 0.59


def test_shared_identities_are_found(graded, rng):
    patterns, layers = graded
    _, neural = recorded(layers, patterns, {"AM": 3}, rng)
    table = permute_identities(network(layers, patterns), neural, n_permutations=199, correction="max", rng=rng)
    assert table["p"].iloc[3] == pytest.approx(1 / 200)
    assert table["p_adjusted"].iloc[3] <= 0.01


def test_permuting_needs_every_identity_in_every_view(rng):
    patterns = views_of(4).drop(index=[4]).reset_index(drop=True)
    rdms = made([rng.standard_normal((11, 20))], patterns, layer=["a"])
    with pytest.raises(InputError, match="identity 'id1' has 0 stimuli at azimuth_deg 0"):
        permute_identities(rdms, rdms, rng=rng)


@pytest.fixture
def two_patches(graded, rng):
    patterns, layers = graded
    responses, neural = recorded(layers, patterns, {"ML": 0, "AM": 3}, rng)
    return infer_fits(network(layers, patterns), neural, recording=responses, ceilings=None, n_draws=300, rng=rng)


def test_profiles_of_an_early_and_a_late_patch_differ(two_patches):
    row = compare_layer_profiles(two_patches).iloc[0]
    slopes = np.polyfit(np.linspace(0, 1, 4), two_patches.estimates, 1)[0]
    assert row["slope_difference"] == pytest.approx(slopes[0] - slopes[1])
    assert row["slope_difference"] < 0
    assert row["p_adjusted"] < 0.01
    assert row["p_interaction"] < 0.02
    assert row["depth_difference"] == pytest.approx(-1)
    assert row["depth_high"] < 0


def test_profiles_of_two_samples_of_one_patch_do_not_differ(graded, rng):
    patterns, layers = graded
    rejected = []
    for _ in range(30):
        responses, neural = recorded(layers, patterns, {"left": 2, "right": 2}, rng)
        result = infer_fits(
            network(layers, patterns),
            neural,
            recording=responses,
            ceilings=None,
            n_draws=100,
            n_permutations=5,
            rng=rng,
        )
        row = compare_layer_profiles(result).iloc[0]
        rejected.append((row["p"] < 0.05, row["p_interaction"] < 0.05))
    assert np.mean(rejected, axis=0).max() < 0.2


def test_profiles_without_ceilings_say_so(two_patches, caplog):
    """Uncorrected profiles differ with reliability alone; who asks for them is not warned."""
    with caplog.at_level("WARNING"):
        compare_layer_profiles(two_patches, per_ceiling=False)
        assert not caplog.records
        assert not compare_layer_profiles(two_patches)["per_ceiling"].any()
    assert "without noise ceilings" in caplog.text
    said, note = profile_notes(two_patches)
    assert "without noise ceilings" in said
    calibrated = pd.read_csv(ANALYSES / "calibration" / "layer_tests.csv").set_index("statement")["share"]
    found = 100 * calibrated["interaction (rejects)"]
    assert f"{found.min():.1f} to {found.max():.0f} %" in note
    known = dataclasses.replace(
        two_patches, ceilings=pd.DataFrame({"ceiling_lower": [0.9, 0.8], "ceiling_lower_se": [0.01, 0.01]})
    )
    caplog.clear()
    assert compare_layer_profiles(known)["per_ceiling"].all()
    assert not caplog.records
    assert profile_notes(known) == ()


def test_profiles_need_two_recordings_and_two_layers(graded, rng):
    patterns, layers = graded
    responses, neural = recorded(layers, patterns, {"ML": 0}, rng)
    one = infer_fits(network(layers, patterns), neural, recording=responses, ceilings=None, n_draws=5, rng=rng)
    with pytest.raises(InputError, match="at least two recordings"):
        compare_layer_profiles(one)


def test_what_a_contrast_does_not_weigh_may_be_undefined(graded, rng):
    """A layer without a fit, and a third patch without any, change nothing between other layers and patches."""
    patterns, layers = graded
    responses, neural = recorded(layers, patterns, {"ML": 0, "AM": 3}, rng)
    responses["lost"], layers[1] = np.zeros((30, 30)), np.zeros((30, 60))
    constant = np.zeros((1, 30, 30))
    neural = rdms_of([*neural.get_matrices(), *constant], patterns, region=list(responses))
    found = [correlation_dissimilarity(layer) if layer.any() else constant[0] for layer in layers]
    models = rdms_of(found, patterns, model=["net"] * 4, layer=["a", "b", "c", "d"], layer_index=range(4))
    result = infer_fits(models, neural, recording=responses, ceilings=None, n_draws=20, n_permutations=5, rng=rng)
    assert np.isnan(result.estimates).sum() == 2 + 4
    within = np.array([[1, 0, -1, 0], [0, 1, 0, -1]])
    estimates, se, p = result.contrasts(within)
    np.testing.assert_allclose(estimates[0, :2], result.estimates[0, :2] - result.estimates[2, :2])
    assert np.isfinite([se[0, :2], p[0, :2]]).all()
    assert np.isnan([estimates[1], se[1], p[1]]).all()
    assert np.isnan(estimates[:, 2]).all()
    across = np.zeros((1, 4, 3))
    across[0, [0, 3], 0], across[0, [0, 3], 1] = [1, -1], [-1, 1]
    alone = infer_fits(
        models.subset("layer", ["a", "c", "d"]),
        neural.subset("region", ["ML", "AM"]),
        recording={region: responses[region] for region in ("ML", "AM")},
        ceilings=None,
        n_draws=20,
        n_permutations=5,
        rng=rng,
    )
    np.testing.assert_allclose(result.contrasts(across), alone.contrasts(across[:, [0, 2, 3], :2]), rtol=1e-6)


def test_profiles_of_two_patches_are_compared_beside_one_without_fits(graded, rng):
    patterns, layers = graded
    responses, neural = recorded(layers, patterns, {"ML": 0, "AM": 3}, rng)
    responses["lost"] = np.zeros((30, 30))
    neural = rdms_of([*neural.get_matrices(), np.zeros((30, 30))], patterns, region=list(responses))
    result = infer_fits(
        network(layers, patterns), neural, recording=responses, ceilings=None, n_draws=20, n_permutations=5, rng=rng
    )
    table = compare_layer_profiles(result).set_index(["region_1", "region_2"])
    assert table.loc[("ML", "AM"), ["slope_difference", "ci_low", "p", "p_adjusted"]].notna().all()
    assert table.loc[[("ML", "lost"), ("AM", "lost")], ["slope_difference", "p"]].isna().all().all()


def test_contrasts_across_recordings_share_stimuli_and_not_neurons(two_patches):
    weights = np.zeros((1, 4, 2))
    weights[0, 2] = [1, -1]
    estimate, se, _ = two_patches.contrasts(weights)
    assert estimate[0] == pytest.approx(two_patches.estimates[2, 0] - two_patches.estimates[2, 1])
    parts = two_patches.deviations
    identity = ((parts["identity",][:, 2, 0] - parts["identity",][:, 2, 1]) ** 2).sum()
    neuron, both = ((parts[key][:, 2] ** 2).sum() for key in (("neuron",), ("identity", "neuron")))
    assert se[0] ** 2 == pytest.approx(max(identity + neuron - both, identity / 2, neuron / 2))


def test_the_generating_layer_is_chosen_and_its_held_out_fit_is_no_higher_than_in_sample(graded, rng):
    patterns, layers = graded
    responses, neural = recorded(layers, patterns, {"ML": 0, "AM": 3}, rng)
    table = cross_validated_best_layer(
        network(layers, patterns), neural, recording=responses, n_splits=3, rng=rng
    ).set_index("region")
    assert table["layer"].to_dict() == {"ML": "layer0", "AM": "layer3"}
    assert (table["share"] > 0.8).all()
    assert (table["n_folds"] == 5).all()
    assert (table["p_zero"] < 0.05).all()


def test_held_out_fits_above_zero_by_shared_views_alone_are_no_evidence_for_identities(graded, rng):
    """Layers of other faces in the same views fit, but no better than with permuted identities; the own ones do."""
    patterns, layers = graded
    responses, neural = recorded(layers, patterns, {"AL": 1}, rng, noise=0.1)
    other = [layer.reshape(10, 3, -1)[rng.permutation(10)].reshape(30, -1) for layer in layers]

    def tested(shown):
        return cross_validated_best_layer(
            network(shown, patterns), neural, recording=responses, n_splits=1, n_permutations=199, rng=rng
        ).loc[0]

    own, unrelated = tested(layers), tested(other)
    assert min(own["fit"], unrelated["fit"]) > 0.3
    assert own["p_identity"] == pytest.approx(1 / 200)
    assert unrelated["p_identity"] > 0.05


def test_choosing_among_noise_layers_gains_nothing_on_held_out_identities(rng):
    """Twenty unrelated layers: the best in-sample fit is above 0 by selection, the held-out one is not."""
    patterns = views_of(10)
    held_out, in_sample = [], []
    for _ in range(25):
        layers = [rng.standard_normal((30, 20)) for _ in range(20)]
        neural = made([rng.standard_normal((30, 20))], patterns, region=["AL"])
        table = cross_validated_best_layer(
            network(layers, patterns), neural, resample="identity", n_splits=2, n_permutations=0, rng=rng
        )
        held_out.append(table["fit"][0])
        in_sample.append(table["fit_in_sample"][0])
    assert np.mean(in_sample) > 0.04
    assert abs(np.mean(held_out)) < 3 * np.std(held_out) / 5


def test_held_out_fits_are_fits_on_the_pairs_of_the_fold(rng):
    """One layer, four identities, two folds: nothing is chosen, and each fold holds two identities."""
    patterns = views_of(4)
    models = network([rng.standard_normal((12, 20))], patterns)
    neural = made([rng.standard_normal((12, 20))], patterns, region=["AL"])
    found = cross_validated_best_layer(models, neural, resample="identity", n_folds=9, n_splits=1, rng=rng)
    means = set()
    for pair in ([0, 1], [0, 2], [0, 3]):
        halves = [np.isin(np.repeat(np.arange(4), 3), pair), ~np.isin(np.repeat(np.arange(4), 3), pair)]
        fits = [
            compare(*(r.subset_pattern("index", np.flatnonzero(half)) for r in (models, neural)), "corr")[0, 0]
            for half in halves
        ]
        means.add(round(float(np.mean(fits)), 10))
    assert round(found["fit"][0], 10) in means
    assert found["n_folds"][0] == 2


def test_too_few_identities_cannot_be_cross_validated(rng):
    patterns = views_of(3)
    rdms = made([rng.standard_normal((9, 20))], patterns, layer=["a"], region=["AL"])
    with pytest.raises(InputError, match="needs at least 4 of them"):
        cross_validated_best_layer(rdms, rdms, resample="identity", rng=rng)


def test_profiles_per_ceiling_do_not_differ_with_the_noise_of_a_patch(graded):
    """One layer is read with little and with much noise: plain profiles differ, noise-corrected ones do not."""
    patterns, layers = graded
    rng = np.random.default_rng(4)
    units = layers[0] / layers[0].std()
    responses, plain, corrected = {}, [], []
    for _ in range(5):
        for region, noise in (("clear", 0.3), ("noisy", 2.0)):
            signal = units @ rng.standard_normal((units.shape[1], 60))
            responses[region] = signal / signal.std() + noise * rng.standard_normal(signal.shape)
        neural = made(list(responses.values()), patterns, region=list(responses))
        ceilings = pd.DataFrame(
            {"region": region, "ceiling_lower": split_half_reliability(r, n_splits=20, rng=rng)}
            for region, r in responses.items()
        )
        result = infer_fits(
            network(layers, patterns),
            neural,
            recording=responses,
            ceilings=ceilings,
            n_draws=5,
            n_permutations=5,
            rng=rng,
        )
        plain.append(compare_layer_profiles(result, per_ceiling=False)["p"][0] < 0.05)
        row = compare_layer_profiles(result).iloc[0]
        assert row["per_ceiling"]
        corrected.append(row["p"] < 0.05)
    assert np.mean(plain) >= 0.8
    assert np.mean(corrected) <= 0.4


def test_best_layers_are_not_compared_where_a_patch_agrees_with_no_layer(graded):
    patterns, layers = graded
    rng = np.random.default_rng(1)
    responses, neural = recorded(layers, patterns, {"ML": 0, "AM": 3}, rng)
    responses["AM"] = rng.standard_normal(responses["AM"].shape)
    neural = made(list(responses.values()), patterns, region=list(responses))
    result = infer_fits(network(layers, patterns), neural, recording=responses, ceilings=None, n_draws=50, rng=rng)
    row = compare_layer_profiles(result).iloc[0]
    assert row[["depth_difference", "depth_se", "depth_low", "depth_high", "p_depth"]].isna().all()
    assert row["depth_reason"] == "no layer fits AM beyond permuted identities"
    assert np.isfinite(row["slope_difference"])


def test_equally_good_layers_stay_in_the_confidence_set_and_others_do_not(graded):
    """Two layers side by side in one: neither explains the population better, a third one does worse."""
    patterns, layers = graded
    rng = np.random.default_rng(2)
    kept = []
    for _ in range(10):
        both = np.concatenate([layers[0], layers[1]], axis=1)
        responses = both @ rng.standard_normal((both.shape[1], 80))
        neural = made([responses], patterns, region=["AL"])
        stranger = rng.standard_normal(layers[0].shape)
        models = network([layers[0], layers[1], stranger], patterns)
        result = infer_fits(
            models, neural, recording={"AL": responses}, ceilings=None, n_draws=100, n_permutations=5, rng=rng
        )
        best = result.best_layer().iloc[0]
        assert best["layer"] in best["layer_set"].split(", ")
        assert best["n_in_set"] == len(best["layer_set"].split(", "))
        kept.append(["layer" + str(i) in best["layer_set"] for i in range(3)])
    shares = np.mean(kept, axis=0)
    assert (shares[:2] >= 0.7).all()
    assert shares[2] <= 0.2
