"""Resampled fits: what is drawn, how factors are combined, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rsatoolbox.rdm import RDMs, compare
from rsatoolbox.util.inference_util import _dual_bootstrap

from neural_data.errors import InputError
from neural_data.recordings import make_recording
from neurocompare.comparison.fits import compare_rdms
from neurocompare.comparison.inference import infer_fits
from neurocompare.comparison.resampling import FACTORS, draw_stimuli, jackknife_operator, leave_out
from neurocompare.representations.dissimilarities import correlation_dissimilarity
from neurocompare.representations.neural_rdms import compute_neural_rdms
from neurocompare.representations.rdms import build_rdms, rdm_table
from tests.comparison.conftest import patterns_of, rdms_of

SCHEMES = [
    "stimulus",
    "identity",
    "neuron",
    "subject",
    ("stimulus", "neuron"),
    ("identity", "neuron"),
    ("identity", "subject"),
    ("neuron", "subject"),
    ("identity", "neuron", "subject"),
]


def infer(model_rdms, neural_rdms, responses, resample, seed=0, **options):
    own = {"n_draws": 60, "recording": responses, "ceilings": None, "rng": np.random.default_rng(seed)}
    return infer_fits(model_rdms, neural_rdms, resample=resample, **own | options)


@pytest.mark.parametrize("resample", SCHEMES, ids=str)
def test_estimates_are_the_fits_on_the_data(resample, model_rdms, neural_rdms, responses):
    result = infer(model_rdms, neural_rdms, responses, resample)
    expected = compare_rdms(model_rdms, neural_rdms)
    if "subject" in resample:
        expected = expected.reshape(3, 2, 2).mean(axis=2)
    np.testing.assert_allclose(result.estimates, expected, atol=1e-12)
    assert result.draws.shape == (60, *expected.shape)
    assert (result.variances > 0).all()


@pytest.mark.parametrize("resample", SCHEMES, ids=str)
def test_the_same_seed_gives_the_same_draws_and_another_does_not(resample, model_rdms, neural_rdms, responses):
    first, again, other = (infer(model_rdms, neural_rdms, responses, resample, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.draws, again.draws)
    assert not np.array_equal(first.draws, other.draws)


@pytest.mark.parametrize(("resample", "sampled"), [(("identity", "neuron"), 24), (("identity", "subject"), 2)])
def test_two_bootstrapped_factors_are_combined_as_rsatoolbox_does(
    resample, sampled, model_rdms, neural_rdms, responses
):
    result = infer(model_rdms, neural_rdms, responses, resample, variance="bootstrap")
    pattern, population = resample
    keys = [(pattern, population), (population,), (pattern,)]
    parts = np.stack([(result.deviations[key] ** 2).sum(axis=0) for key in keys])
    np.testing.assert_allclose(parts[0], result.draws.var(axis=0, ddof=1))
    np.testing.assert_allclose(result.variances, _dual_bootstrap(parts, n_rdm=sampled, n_pattern=6), rtol=1e-12)


def test_one_bootstrapped_factor_is_widened_by_n_over_n_minus_one(model_rdms, neural_rdms, responses):
    result = infer(model_rdms, neural_rdms, responses, "identity", variance="bootstrap")
    np.testing.assert_allclose(result.variances, result.draws.var(axis=0, ddof=1) * 6 / 5)
    assert result.df.tolist() == [5, 5, 5, 5]


def test_identities_are_jackknifed_by_leaving_each_out(model_rdms, neural_rdms, responses):
    result = infer(model_rdms, neural_rdms, responses, "identity")
    without = []
    for identity in range(6):
        rest = np.delete(np.arange(18), np.arange(3) + 3 * identity)
        without.append(
            compare(model_rdms.subset_pattern("index", rest), neural_rdms.subset_pattern("index", rest), "corr")
        )
    without = np.array(without)
    np.testing.assert_allclose(result.variances, 5 / 6 * ((without - without.mean(axis=0)) ** 2).sum(axis=0), rtol=1e-9)


def test_subjects_are_jackknifed_as_the_variance_of_their_mean(model_rdms, neural_rdms, responses):
    result = infer(model_rdms, neural_rdms, responses, "subject")
    fits = compare_rdms(model_rdms, neural_rdms).reshape(3, 2, 2)
    np.testing.assert_allclose(result.variances, fits.var(axis=2, ddof=1) / 2)


def test_two_factors_of_a_mean_are_jackknifed_as_in_a_two_way_layout(rng):
    """For a mean over rows and columns: row variance plus column variance minus interaction, all from mean squares."""
    values = rng.standard_normal((7, 5)) + rng.standard_normal((7, 1)) + rng.standard_normal((1, 5))
    rows, columns = jackknife_operator(np.full(7, 1 / 7)), jackknife_operator(np.full(5, 1 / 5))
    keep = [np.concatenate([1 - np.eye(n), np.ones((1, n))]) for n in (7, 5)]
    keep = [rows_ / rows_.sum(axis=1, keepdims=True) for rows_ in keep]
    table = keep[0] @ values @ keep[1].T
    residual = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    np.testing.assert_allclose(((rows @ table[:, -1]) ** 2).sum(), values.mean(axis=1).var(ddof=1) / 7)
    np.testing.assert_allclose(((columns @ table[-1]) ** 2).sum(), values.mean(axis=0).var(ddof=1) / 5)
    np.testing.assert_allclose(((rows @ table @ columns.T) ** 2).sum(), (residual**2).sum() / (6 * 4) / (7 * 5))


def test_parts_of_unequal_size_weigh_by_their_size(rng):
    """The mean of normal values: the variance comes out right on average when 10 values go in 4 parts."""
    kept, shares = leave_out(10, 4, rng=rng)
    assert sorted((1 - kept).sum(axis=1)) == [2, 2, 3, 3]
    values = rng.standard_normal((4000, 10))
    table = np.concatenate([kept, np.ones((1, 10))])
    table = table / table.sum(axis=1, keepdims=True) @ values.T
    variances = ((jackknife_operator(shares) @ table) ** 2).sum(axis=0)
    assert variances.mean() == pytest.approx(0.1, rel=0.05)


def test_leaving_out_neurons_is_making_the_rdm_without_them(model_rdms, neural_rdms, responses):
    result = infer(model_rdms, neural_rdms, responses, ("identity", "neuron"))
    values = responses["AL", "m1"]
    fits = np.array(
        [
            compare(model_rdms, RDMs(correlation_dissimilarity(np.delete(values, neuron, axis=1))[None]), "corr")[:, 0]
            for neuron in range(24)
        ]
    )
    expected = 23 / 24 * ((fits - fits.mean(axis=0)) ** 2).sum(axis=0)
    np.testing.assert_allclose((result.deviations["neuron",][:, :, 0] ** 2).sum(axis=0), expected, rtol=1e-8)


def test_views_of_an_identity_are_drawn_together(model_rdms, neural_rdms, responses):
    """Two identities are left when the others are never drawn; no draw holds a part of an identity."""
    codes = np.repeat(np.arange(6), 3)
    counts, _ = draw_stimuli(FACTORS["identity"], codes, 200, rng=np.random.default_rng(0))
    assert (counts.reshape(200, 6, 3) == counts.reshape(200, 6, 3)[:, :, :1]).all()
    assert (counts.sum(axis=1) == 18).all()
    assert ((counts > 0).sum(axis=1) >= 6).all()


def test_draws_with_too_few_stimuli_are_redrawn_and_counted():
    patterns = patterns_of(3, 1)
    rng = np.random.default_rng(0)
    models, neural = (rdms_of(rng.random((1, 3)), patterns, region=["AL"]) for _ in range(2))
    result = infer_fits(models, neural, resample="stimulus", n_draws=50, rng=rng, variance="bootstrap")
    # Of all draws of three from three, 6 / 27 are without a repeat.
    assert 100 < result.n_redrawn["stimulus"] < 300
    assert any("redrawn" in note for note in result.notes)


def test_frame_has_the_columns_of_the_fit_table(model_rdms, neural_rdms, responses):
    frame = infer(model_rdms, neural_rdms, responses, ("identity", "neuron")).to_frame()
    assert frame.columns.tolist()[:10] == [
        *("model", "regime", "seed", "layer", "layer_index", "region", "subject", "dissimilarity", "method", "resample")
    ]
    assert len(frame) == 12
    row = frame.iloc[5]
    assert (row["layer"], row["region"], row["subject"], row["resample"]) == ("conv2", "AL", "m2", "identity+neuron")
    assert (row["n_stimuli"], row["n_identities"], row["n_neurons"], row["n_draws"]) == (18, 6, 24, 60)
    assert np.isnan(row["seed"])
    assert np.isnan(row["corrected_fit"])
    assert (frame["ci_low"] < frame["fit"]).all()
    assert (frame["fit"] < frame["ci_high"]).all()
    assert (frame["p_zero_adjusted"] >= frame["p_zero"]).all()


def test_responses_come_as_frames_arrays_or_a_recording(model_rdms, neural_rdms, responses):
    expected = infer(model_rdms, neural_rdms, responses, "neuron").draws
    ids = patterns_of(6, 3)["stimulus_id"]
    order = np.random.default_rng(0).permutation(18)
    frames = {key: pd.DataFrame(values, index=ids).iloc[order] for key, values in responses.items()}
    np.testing.assert_array_equal(infer(model_rdms, neural_rdms, frames, "neuron").draws, expected)

    joined = np.concatenate(list(responses.values()), axis=1)
    noise = np.random.default_rng(0).standard_normal(joined.shape)
    recording = make_recording(
        np.concatenate([joined + noise, joined - noise]),
        presentations=pd.DataFrame({"stimulus_id": [*ids, *ids]}),
        neuroids=pd.DataFrame(
            {
                "neuroid_id": [f"n{k}" for k in range(96)],
                "region": np.repeat([region for region, _ in responses], 24),
                "subject": np.repeat([subject for _, subject in responses], 24),
            }
        ),
        units="normalized",
    )
    np.testing.assert_allclose(infer(model_rdms, neural_rdms, recording, "neuron").draws, expected, atol=1e-10)


def test_neural_rdms_and_the_recording_they_were_made_from_go_together(model_rdms, responses):
    recording = make_recording(
        np.concatenate(list(responses.values()), axis=1),
        presentations=patterns_of(6, 3),
        neuroids=pd.DataFrame(
            {"neuroid_id": [f"n{k}" for k in range(96)], "region": ["AL"] * 48 + ["AM"] * 48, "subject": ["m1"] * 96}
        ),
        units="normalized",
    )
    for normalize in (None, "zscore"):
        rdms = compute_neural_rdms(recording, normalize=normalize)
        result = infer(model_rdms, rdms, recording, ("identity", "neuron"))
        assert result.n_neurons.tolist() == [48, 48]
        assert (result.se > 0).all()


def test_responses_that_did_not_make_the_rdm_are_refused(model_rdms, neural_rdms, responses):
    other = {key: values + np.arange(18)[:, None] * np.arange(24) for key, values in responses.items()}
    with pytest.raises(InputError, match="is not the correlation dissimilarity of the given responses"):
        infer(model_rdms, neural_rdms, other, "neuron")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recording": None}, "needs the responses"),
        ({"recording": {}}, "holds no responses of region 'AL', subject 'm1'"),
        ({"recording": {"AL": np.ones((4, 24)), "AM": np.ones((4, 24))}}, "must have the shape"),
        ({"recording": {"AL": np.ones((18, 3)), "AM": np.ones((18, 3))}}, "at least 4 of them; region 'AL'"),
        ({"resample": "neurons"}, "did you mean 'neuron'"),
        ({"resample": ("identity", "stimulus")}, "either 'stimulus' or 'identity'"),
        ({"resample": ()}, "name each factor once"),
        ({"method": "pearson"}, "no method 'pearson'"),
        ({"n_draws": 1}, "at least two draws"),
        ({"variance": "bootstraps"}, "did you mean 'bootstrap'"),
        ({"within_identity": "copies"}, "did you mean 'copy'"),
    ],
)
def test_what_does_not_go_together_is_refused(change, message, model_rdms, neural_rdms, responses):
    options = {"recording": responses, "resample": "neuron", "rng": np.random.default_rng(0), "n_draws": 5, **change}
    with pytest.raises(InputError, match=message):
        infer_fits(model_rdms, neural_rdms, **options)


def test_one_subject_cannot_be_resampled(model_rdms, neural_rdms):
    one = neural_rdms.subset("subject", "m1")
    with pytest.raises(InputError, match="at least two subjects in every region; 'AL' has 1 of 1 subject"):
        infer_fits(model_rdms, one, resample="subject", rng=np.random.default_rng(0))


def test_identities_cannot_be_resampled_without_knowing_them(model_rdms, neural_rdms):
    patterns = patterns_of(6, 3)[["stimulus_id"]]
    bare = [
        build_rdms(r.get_matrices(), patterns=patterns, rdms=dict(rdm_table(r)), dissimilarity="correlation")
        for r in (model_rdms, neural_rdms)
    ]
    with pytest.raises(InputError, match="needs the pattern descriptor 'identity'"):
        infer_fits(*bare, resample="identity", rng=np.random.default_rng(0))
    with_identity = infer_fits(bare[0], neural_rdms, resample="identity", n_draws=5, rng=np.random.default_rng(0))
    assert with_identity.n_identities == 6


def test_a_fit_that_hangs_on_one_part_has_no_standard_error(model_rdms, neural_rdms, responses):
    """Only pairs of the first identity's stimuli are measured: without it nothing is left."""
    lone = neural_rdms.copy()
    matrices = np.full((4, 18, 18), np.nan)
    matrices[:, :3, :3] = neural_rdms.get_matrices()[:, :3, :3]
    lone.dissimilarities = rdms_of(matrices, patterns_of(6, 3), region=list("abcd")).dissimilarities
    result = infer(model_rdms, lone, responses, "identity")
    assert np.isfinite(result.estimates).all()
    assert np.isnan(result.se).all()
    assert any("12 fits have no standard error" in note for note in result.notes)
    assert result.to_frame()["p_zero"].isna().all()


@pytest.mark.parametrize(("described", "names"), [(["a", "b"], ["a", "b"]), (None, ["model 1", "model 2"])])
def test_models_that_rsatoolbox_made_keep_their_names(rng, described, names):
    patterns = pd.DataFrame({"stimulus_id": [f"s{i}" for i in range(12)]})
    descriptors = {} if described is None else {"name": described}
    models = build_rdms(rng.random((2, 66)), patterns=patterns, rdms=descriptors, dissimilarity="correlation")
    brain = build_rdms(rng.random((1, 66)), patterns=patterns, rdms={"region": ["IT"]}, dissimilarity="correlation")
    found = infer_fits(models, brain, n_draws=20, rng=rng)
    assert found.to_frame()["model"].tolist() == names
    assert found.pairwise()[["model_1", "model_2"]].to_numpy().tolist() == [names]
