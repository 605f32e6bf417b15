"""Read-outs from layers to neurons: scikit-learn's scores, known reliabilities, layers that are found, and refusals."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, PredefinedSplit

from neural_data.errors import InputError
from neural_data.recordings import make_recording
from neurocompare.comparison.encoding import ENCODING_COLUMNS, Encoding, infer_encoding
from neurocompare.comparison.patch_responses import PatchResponses, neuron_reliabilities, patch_responses
from neurocompare.representations.kernels import feature_rdms, kernels_of_rdms
from neurocompare.representations.rdms import build_rdms, rdm_table
from tests.comparison.test_layer_tests import network, views_of

PENALTIES = (0.1, 1.0, 10.0)
FEW = {"n_draws": 50, "n_permutations": 50}


@pytest.fixture(scope="module")
def faces():
    """Twelve identities in three views; layers tuned to views, to identities, and to other identities."""
    rng = np.random.default_rng(5)
    patterns = views_of(12).set_index("stimulus_id")
    view = np.tile(rng.standard_normal((3, 60)), (12, 1))
    own, other = (np.repeat(rng.standard_normal((12, 8)) @ rng.standard_normal((8, 60)) / 2, 3, axis=0) for _ in "ab")
    layers = {
        name: values + 0.3 * rng.standard_normal((36, 60))
        for name, values in {"view": view, "identity": view + own, "others": view + other}.items()
    }
    responses = layers["identity"] @ rng.standard_normal((60, 20)) / 8
    return patterns, layers, responses + 0.5 * rng.standard_normal(responses.shape)


@pytest.fixture(scope="module")
def rdms(faces):
    return feature_rdms(faces[1], faces[0])


@pytest.fixture(scope="module")
def result(faces, rdms):
    return infer_encoding(rdms, {"AL": faces[2]}, Encoding(penalties=PENALTIES), rng=np.random.default_rng(1), **FEW)


@pytest.mark.parametrize("per_neuron", [False, True])
def test_scores_equal_nested_cross_validation_with_scikit_learn(faces, rdms, per_neuron):
    _, layers, responses = faces
    settings = Encoding(penalties=PENALTIES, per_neuron=per_neuron, n_folds=4)
    found = infer_encoding(
        rdms, {"AL": responses}, settings, resample="neuron", n_draws=2, n_permutations=2, rng=np.random.default_rng(7)
    )
    identity = np.repeat(np.arange(12), 3)
    folds = np.random.default_rng(7).permutation(np.arange(12) % 4)[identity]
    responses = (responses - responses.mean(axis=0)) / responses.std(axis=0)
    units = layers["identity"]
    units = (units - units.mean(axis=0)) / units.std(axis=0)
    alphas = np.array(PENALTIES) * np.trace(units @ units.T) / len(units)
    shared = [np.array([0]), np.array([5])] if per_neuron else [np.arange(20)]
    for columns in shared:
        own, predicted = responses[:, columns], np.empty((36, len(columns)))
        for fold in range(4):
            test, train = folds == fold, folds != fold
            search = GridSearchCV(
                Ridge(), {"alpha": alphas}, scoring="neg_mean_squared_error", cv=PredefinedSplit(folds[train])
            ).fit(units[train], own[train])
            predicted[test] = search.predict(units[test]).reshape(-1, len(columns))
        for fold in range(4):
            for values in (own, predicted):
                values[folds == fold] -= values[folds == fold].mean(axis=0)
        expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(own.T, predicted.T, strict=True)]
        neurons = found.neurons[found.neurons["layer"] == "identity"]
        np.testing.assert_allclose(neurons["prediction"].to_numpy()[columns], expected, atol=1e-6)
    pooled = found.neurons.groupby("layer", sort=False)["prediction"].mean()
    np.testing.assert_allclose(found.pooled.estimates[:, 0], pooled)


def test_the_layer_that_made_the_neurons_predicts_best_and_other_faces_are_no_evidence(result):
    table = result.to_frame().set_index("layer")
    assert tuple(result.to_frame().columns) == ENCODING_COLUMNS
    assert table["prediction"].idxmax() == "identity"
    assert table.loc["identity", "p_identity"] == pytest.approx(1 / 51)
    assert (table.loc[["view", "others"], "p_identity"] > 0.05).all()
    assert (table["p_zero"] < 0.001).all()
    assert result.pooled.best_layer()["layer"][0] == "identity"


def test_leaving_out_uses_regressions_without_the_identity(faces, rdms, result):
    """Tukey's jackknife of the whole experiment, folds and penalty kept."""
    _, layers, responses = faces
    rng = np.random.default_rng(1)
    identity = np.repeat(np.arange(12), 3)
    folds = rng.permutation(np.arange(12) % 5)[identity]
    one = Encoding(penalties=(1.0,))
    whole = infer_encoding(rdms, {"AL": responses}, one, rng=np.random.default_rng(1), **FEW)
    z = layers["identity"]
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    alpha = np.trace(z @ z.T) / len(z)
    y = (responses - responses.mean(axis=0)) / responses.std(axis=0)
    scores = []
    for left_out in [*range(12), -1]:
        own, predicted = y.copy(), np.zeros_like(y)
        stays = identity != left_out
        for fold in range(5):
            test, train = (folds == fold) & stays, (folds != fold) & stays
            predicted[test] = Ridge(alpha).fit(z[train], y[train]).predict(z[test])
            for values in (own, predicted):
                values[test] -= values[test].mean(axis=0)
        a, b = own[stays], predicted[stays]
        scores.append(((a * b).sum(axis=0) / np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))).mean())
    variance = 11 / 12 * ((np.array(scores[:-1]) - np.mean(scores[:-1])) ** 2).sum()
    assert (whole.pooled.deviations["identity",][:, 1, 0] ** 2).sum() == pytest.approx(variance)
    assert whole.pooled.estimates[1, 0] == pytest.approx(scores[-1])


def test_known_faces_in_new_views_are_another_question(faces, rdms):
    responses = faces[2]
    settings = Encoding(penalties=PENALTIES, across="view")
    table = infer_encoding(rdms, {"AL": responses}, settings, rng=np.random.default_rng(1), **FEW).to_frame()
    assert (table["across"] == "view").all()
    assert table["n_folds"].unique() == [3]
    # The mean of a view is removed with its fold, so that view tuning alone predicts nothing.
    by_layer = table.set_index("layer")["prediction"]
    assert by_layer["identity"] > by_layer["view"] + 0.2


def trials_of(signal: np.ndarray, noise: float, n_trials: int, patterns: pd.DataFrame, rng) -> object:
    n_stimuli, n_neurons = signal.shape
    values = np.concatenate([signal + noise * rng.standard_normal(signal.shape) for _ in range(n_trials)])
    return make_recording(
        values,
        presentations=pd.DataFrame(
            {
                "stimulus_id": np.tile(patterns.index, n_trials),
                "repetition": np.repeat(np.arange(n_trials), n_stimuli),
            }
        ),
        neuroids=pd.DataFrame({"neuroid_id": [f"n{k}" for k in range(n_neurons)], "region": "AL", "subject": "m1"}),
        units="normalized",
    )


def test_reliability_is_the_share_of_signal_and_corrects_predictions(rng):
    patterns = views_of(40).set_index("stimulus_id")
    signal = rng.standard_normal((120, 40))
    recording = trials_of(signal, 2.0, 6, patterns, rng)
    (patch,) = patch_responses(recording, list(patterns.index))
    assert patch.n_repetitions == 6
    found = neuron_reliabilities(patch, np.ones((1, 120)), np.arange(120) % 5, rng=rng)[0]
    assert found.mean() == pytest.approx(1 / (1 + 4 / 6), abs=0.03)
    layer = {"same": signal}
    settings = Encoding(across="stimulus", penalties=PENALTIES)
    result = infer_encoding(feature_rdms(layer, patterns), recording, settings, n_draws=2, n_permutations=2, rng=rng)
    assert result.to_frame()["ceiling"][0] == pytest.approx(np.sqrt(found.clip(0)).mean(), abs=0.02)
    assert not result.notes


def test_neurons_of_noise_have_no_reliability_above_one(rng):
    """Many presentations of all stimuli but one: halves of one trial each, extrapolated to eight."""
    patch = PatchResponses(
        region="AL",
        subject="",
        neuroid_ids=tuple("abcdef"),
        responses=rng.standard_normal((4, 6)),
        trials=np.stack([np.outer([1, 2, -1, -2], np.ones(6)), np.outer([-1, -2, 1, 2], np.ones(6)) + 0.1]),
        n_repetitions=8.0,
        n_constant=0,
    )
    found = neuron_reliabilities(patch, np.ones((1, 4)), np.zeros(4, dtype=int), rng=rng)
    assert (found == 0).all()


def test_missing_responses_and_repeated_rows_are_refused(rng):
    patterns = views_of(4).set_index("stimulus_id")
    recording = trials_of(rng.standard_normal((12, 5)), 1.0, 2, patterns, rng)
    ids = list(patterns.index)
    lacking = recording.where(~((recording["stimulus_id"] == ids[3]) & (recording["neuroid_id"] == "n1")))
    with pytest.raises(InputError, match=r"AL: 1 of 60 cells .* 'n1', stimulus 's1_-90'.*drop_neurons"):
        patch_responses(lacking, ids)
    twice = pd.DataFrame(rng.standard_normal((13, 5)), index=[*ids, ids[0]])
    with pytest.raises(InputError, match="stimulus 's0_-90' more than once"):
        patch_responses({"AL": twice}, ids)


def test_a_read_out_of_joined_layers_finds_both_parts(faces):
    patterns, layers, _ = faces
    rng = np.random.default_rng(2)
    responses = sum(layers[name] @ rng.standard_normal((60, 12)) for name in ("identity", "others")) / 8
    rdms = feature_rdms(layers, patterns)
    both = infer_encoding(rdms, {"AL": responses}, joint={"both": [1, 2]}, rng=np.random.default_rng(1), **FEW)
    table = both.to_frame().set_index("layer")["prediction"]
    assert table["both"] > max(table["identity"], table["others"]) + 0.02


def test_a_layer_without_units_is_undefined_and_the_others_stay(faces, rdms):
    patterns, layers, responses = faces
    with_dead = feature_rdms({**layers, "dead": np.ones((36, 5))}, patterns)
    assert np.isnan(kernels_of_rdms(with_dead)[3]).all()
    settings = Encoding(penalties=PENALTIES)
    result = infer_encoding(with_dead, {"AL": responses}, settings, rng=np.random.default_rng(1), **FEW)
    found = result.pooled
    assert [note for note in result.notes if "no read-outs" in note] == [
        "features, dead: no read-outs, as it (or a layer that it joins) responds alike to all stimuli or is undefined"
    ]
    alone = infer_encoding(rdms, {"AL": responses}, settings, rng=np.random.default_rng(1), **FEW).pooled
    assert np.isnan(found.estimates[3]).all()
    np.testing.assert_allclose(found.se[:3], alone.se)


def test_what_cannot_be_read_out_is_refused(faces, rdms, rng):
    patterns, layers, responses = faces
    correlations = network(list(layers.values()), views_of(12))
    with pytest.raises(InputError, match="squared Euclidean"):
        infer_encoding(correlations, {"AL": responses}, rng=rng, **FEW)
    with pytest.raises(InputError, match="leave 'subject' out"):
        infer_encoding(rdms, {"AL": responses}, resample="subject", rng=rng, **FEW)
    two = build_rdms(
        rdms.dissimilarities,
        patterns=patterns.assign(azimuth_deg=np.tile([0.0, 0, 90], 12)),
        rdms=rdm_table(rdms),
        dissimilarity="euclidean",
    )
    with pytest.raises(InputError, match="at least 3 are needed"):
        infer_encoding(two, {"AL": responses}, Encoding(across="view"), rng=rng, **FEW)
    with pytest.raises(InputError, match="above 0"):
        Encoding(penalties=(0.0, 1.0))
    with pytest.raises(InputError, match="above 0"):
        Encoding(penalties=(1.0, np.nan))
    with pytest.raises(InputError, match="no features"):
        feature_rdms({}, patterns)
    with pytest.raises(InputError, match="got 'zscored'"):
        feature_rdms(layers, patterns, normalize="zscored")
    with pytest.raises(InputError, match="did you mean 'identity'"):
        Encoding(across="identities")
    with pytest.raises(InputError, match="at least two different RDMs"):
        infer_encoding(rdms, {"AL": responses}, joint={"both": [1, 1]}, rng=rng, **FEW)
    with pytest.raises(InputError, match="not finite"):
        infer_encoding(rdms, {"AL": np.where(responses == responses[0, 0], np.nan, responses)}, rng=rng, **FEW)


def test_results_do_not_change_their_input_and_repeat(faces, rdms, result):
    again = infer_encoding(rdms, {"AL": faces[2]}, Encoding(penalties=PENALTIES), rng=np.random.default_rng(1), **FEW)
    pd.testing.assert_frame_equal(again.to_frame(), result.to_frame())
    assert dataclasses.asdict(again.settings)["penalties"] == PENALTIES
