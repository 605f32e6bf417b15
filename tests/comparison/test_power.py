"""Power grows with every size of the experiment, and equals alpha where two layers are equally good."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from neural_data.errors import InputError
from neural_data.recordings import make_recording
from neurocompare.comparison.power import POWER_COLUMNS, PowerPlan, power_analysis, simulate_readers, trial_noise
from neurocompare.representations.dissimilarities import correlation_dissimilarity

IDENTITY = np.repeat([f"id{k}" for k in range(12)], 3)


@pytest.fixture
def two_layers(rng):
    common = rng.standard_normal((36, 60))
    return common + 0.8 * rng.standard_normal((36, 60)), common + 0.8 * rng.standard_normal((36, 60))


def zscored(units: np.ndarray) -> np.ndarray:
    varying = units[:, np.ptp(units, axis=0) > 0]
    return (varying - varying.mean(axis=0)) / varying.std(axis=0)


def rdm(responses: np.ndarray) -> np.ndarray:
    return correlation_dissimilarity(responses)[np.triu_indices(len(responses), 1)]


def rectifying_layers(rng: np.random.Generator) -> list[np.ndarray]:
    """Five layers (36, 200) of random rectified sums; units differ in scale, as those of networks do."""
    layers, inputs = [], rng.standard_normal((36, 30))
    for _ in range(5):
        gain = np.exp(0.8 * rng.standard_normal(200))
        inputs = np.maximum(gain * (inputs @ rng.standard_normal((inputs.shape[1], 200))), 0)
        layers.append(inputs)
    return layers


def plan_of(**sizes) -> PowerPlan:
    sizes = {"n_identities": (6,), "n_neurons": (20,), "n_repetitions": (4,), "n_experiments": 25, **sizes}
    return PowerPlan(**sizes)


@pytest.mark.parametrize("name", ["n_identities", "n_neurons", "n_repetitions"])
def test_power_grows_with_the_size_of_the_experiment(name, two_layers, rng):
    small, large = {"n_identities": (4, 12), "n_neurons": (6, 60), "n_repetitions": (1, 40)}[name]
    table = power_analysis(*two_layers, IDENTITY, plan=plan_of(**{name: (small, large)}), rng=rng)
    assert table.columns.tolist() == list(POWER_COLUMNS)
    assert table[name].tolist() == [small, large]
    assert table["power"][1] >= table["power"][0] + 0.2
    assert (table["power_low"] <= table["power"]).all()
    assert (table["fit_first"] > table["fit_second"]).all()


def test_the_layer_that_neurons_read_wins_whatever_the_scale_of_its_units(rng):
    # A few strong units with large means rule the RDM of raw responses; z-scored, all units count alike.
    scale = np.where(np.arange(60) < 10, 8.0, 0.5)
    first = scale * (2 + rng.standard_normal((36, 60)))
    second = zscored(first)
    plan = plan_of(n_identities=(12,), n_neurons=(300,), n_experiments=5, noise=0.0, read_share=1.0)
    table = power_analysis(first, second, IDENTITY, plan=plan, rng=rng)
    assert table["fit_first"][0] > 0.95
    assert table["fit_first"][0] > table["fit_second"][0] + 0.1


@pytest.mark.parametrize("normalise", [np.asarray, zscored], ids=["raw", "zscored"])
@pytest.mark.parametrize("source", range(5))
def test_with_many_neurons_the_layer_that_is_read_fits_best_of_all(source, normalise, rng):
    layers = [normalise(layer) for layer in rectifying_layers(rng)]
    rdms = np.stack([rdm(layer) for layer in layers])
    responses = simulate_readers(layers[source], 4000, noise=0.1, rng=rng)
    fits = np.corrcoef(rdm(responses), rdms)[0, 1:]
    assert fits.argmax() == source
    assert fits[source] > 0.99


def test_noise_of_neurons_is_relative_to_their_tuning(two_layers, rng):
    quiet, noisy = (
        simulate_readers(two_layers[0], 3000, noise=noise, rng=np.random.default_rng(3)) for noise in (0.0, 0.5)
    )
    assert quiet.var(axis=0).mean() == pytest.approx(1.0)
    assert (noisy - quiet).std() == pytest.approx(0.5, rel=0.02)


def test_a_layer_is_not_told_from_itself(two_layers, rng):
    table = power_analysis(two_layers[0], two_layers[0], IDENTITY, plan=plan_of(), rng=rng)
    assert table["power"][0] == 0
    assert table["difference"][0] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_a_layer_is_not_told_from_its_rotation_by_rounding(two_layers, seed):
    rng = np.random.default_rng(seed)
    # A rotation of patterns that are centred over units, and stay so, keeps their correlations.
    centred = two_layers[0] - two_layers[0].mean(axis=1, keepdims=True)
    basis = np.linalg.qr(np.column_stack([np.ones(60), rng.standard_normal((60, 59))]))[0][:, 1:]
    turned = centred @ basis @ np.linalg.qr(rng.standard_normal((59, 59)))[0] @ basis.T
    np.testing.assert_allclose(rdm(turned), rdm(two_layers[0]), atol=1e-12)
    for layers in ((two_layers[0], turned), (turned, two_layers[0])):
        assert power_analysis(*layers, IDENTITY, plan=plan_of(), rng=rng)["power"][0] == 0


@pytest.mark.slow
def test_two_layers_that_neurons_read_alike_are_told_apart_as_often_as_alpha_says(rng):
    """A new pair of layers in every experiment, as identities are new: over these neither is better."""
    n_experiments, found = 600, 0
    plan = plan_of(n_identities=(12,), n_neurons=(16,), n_experiments=2)
    for _ in range(n_experiments // 2):
        common = rng.standard_normal((36, 40))
        first, second = (common + rng.standard_normal((36, 40)) for _ in range(2))
        both = np.concatenate([first, second], axis=1)
        # One seed for both directions: the same two experiments, asked which way they differ.
        seed = int(rng.integers(2**32))
        for layers in ((first, second), (second, first)):
            same = np.random.default_rng(seed)
            found += 2 * power_analysis(*layers, IDENTITY, read=both, plan=plan, rng=same)["power"][0]
    low, high = stats.binom.ppf([0.001, 0.999], n_experiments, [0.03, 0.07])
    assert low <= found <= high


def test_default_sizes_end_at_the_identities_there_are(two_layers, rng):
    plan = plan_of(n_experiments=2)
    found = power_analysis(*two_layers, IDENTITY, plan=plan, rng=rng)
    assert found["n_experiments"].tolist() == [2]
    with pytest.raises(InputError, match="power for 25 identities needs as many in the stimuli, which have 12"):
        power_analysis(*two_layers, IDENTITY, plan=plan_of(n_identities=(25,)), rng=rng)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_neurons": (3,)}, "n_neurons of a power analysis must be at least 4"),
        ({"n_identities": ()}, "n_identities of a power analysis must be at least 3"),
        ({"alpha": 2}, "alpha between 0 and 1"),
        ({"resample": "subject"}, "neurons of one subject"),
        ({"method": "corrr"}, "did you mean 'corr'"),
    ],
)
def test_impossible_plans_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        PowerPlan(**change)


def test_layers_of_other_stimuli_are_refused(two_layers, rng):
    with pytest.raises(InputError, match="must cover the same stimuli; got 36, 35 and 36"):
        power_analysis(two_layers[0], two_layers[1][:35], IDENTITY, plan=plan_of(), rng=rng)
    with pytest.raises(InputError, match="got 36, 36 and 36, and 35 in the layer that neurons read"):
        power_analysis(*two_layers, IDENTITY, read=two_layers[0][:35], plan=plan_of(), rng=rng)


def recording_of(signal: np.ndarray, noise: float, n_repetitions: int, rng: np.random.Generator):
    n_stimuli, n_neurons = signal.shape
    trials = np.tile(signal, (n_repetitions, 1)) + noise * rng.standard_normal((n_repetitions * n_stimuli, n_neurons))
    return make_recording(
        trials,
        presentations=pd.DataFrame({"stimulus_id": np.tile([f"s{k}" for k in range(n_stimuli)], n_repetitions)}),
        neuroids=pd.DataFrame({"neuroid_id": [f"n{k}" for k in range(n_neurons)], "region": "AL"}),
        units="normalized",
    )


def test_trial_noise_is_that_of_the_recording(rng):
    recording = recording_of(rng.standard_normal((200, 30)), 2.5, 6, rng)
    assert trial_noise(recording) == pytest.approx(2.5, rel=0.06)


def test_trial_noise_needs_repetitions(rng):
    with pytest.raises(InputError, match="at least two responses"):
        trial_noise(recording_of(rng.standard_normal((20, 5)), 1.0, 1, rng))
