"""Inference for people who bring RDMs alone: what is resampled follows what is there, results go back to rsatoolbox."""

from __future__ import annotations

import warnings

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from rsatoolbox.inference import eval_bootstrap_pattern, eval_fixed
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs
from rsatoolbox.vis import plot_model_comparison
from scipy.spatial.distance import pdist

from neural_data import InputError, read_stimuli
from neural_data.recordings import make_recording
from neurocompare import compare_rdms, compute_neural_rdms, infer_fits, read_rdms
from neurocompare.comparison.ceilings import neuron_ceilings
from neurocompare.comparison.inference import default_factors
from neurocompare.representations.rdms import build_rdms

N = 12
RNG = np.random.default_rng(0)
MODELS = RNG.random((3, N * (N - 1) // 2))
BRAINS = MODELS[:1] + RNG.random((4, MODELS.shape[1]))


def rdms(vectors, *, identities=None, **descriptors):
    patterns = pd.DataFrame(index=pd.Index([f"s{i}" for i in range(N)], name="stimulus_id"))
    if identities is not None:
        patterns["identity"] = np.arange(N) % identities
    return build_rdms(vectors, patterns=patterns, rdms=descriptors, dissimilarity="correlation")


@pytest.mark.parametrize(
    ("identities", "subjects", "expected"),
    [
        (None, ["", "", "", ""], ("stimulus",)),
        (N, ["", "", "", ""], ("stimulus",)),
        (1, ["", "", "", ""], ("stimulus",)),
        (4, ["", "", "", ""], ("identity",)),
        (None, list("abcd"), ("stimulus", "subject")),
        (4, list("abcd"), ("identity", "subject")),
        (4, list("aabb"), ("identity",)),
    ],
)
def test_what_is_resampled_follows_what_is_there(identities, subjects, expected):
    neural = rdms(BRAINS, region=["IT"] * 4, subject=subjects)
    models = rdms(MODELS, identities=identities, model=["a", "b", "c"])
    assert default_factors(models, neural) == expected
    if len(set(subjects)) == 4:
        assert infer_fits(models, neural, n_draws=50, rng=np.random.default_rng(0)).factors == expected


def fitted(**options):
    return infer_fits(
        rdms(MODELS, model=["a", "b", "c"]),
        rdms(BRAINS[:2], region=["IT", "AL"]),
        rng=np.random.default_rng(0),
        **options,
    )


def test_a_result_goes_back_to_rsatoolbox_with_its_numbers():
    result = fitted(n_draws=50)
    back = result.to_rsatoolbox("AL")
    np.testing.assert_allclose(back.get_means(), result.estimates[:, 1], atol=1e-12)
    np.testing.assert_allclose(back.get_sem(), result.se[:, 1], atol=1e-12)
    pairs = result.pairwise().query("region == 'AL'")
    np.testing.assert_allclose(np.sqrt(back.diff_var), pairs["se"], atol=1e-12)
    assert [model.name for model in back.models] == ["a", "b", "c"]
    np.testing.assert_allclose(back.test_zero(), result.p_zero[:, 1], atol=1e-12)
    with pytest.raises(InputError, match="2 were selected"):
        result.to_rsatoolbox()
    with pytest.raises(InputError, match="did you mean 'AL'"):
        result.to_rsatoolbox("ALL")


def test_rsatoolbox_tests_fits_against_the_root_of_the_reliability(rng):
    """Errors of fit and ceiling both count, as in the package's own test; the true model reaches the root."""
    signal = rng.standard_normal((N, 60))
    recording = make_recording(
        signal + rng.standard_normal((N, 60)),
        presentations=pd.DataFrame({"stimulus_id": [f"s{i}" for i in range(N)]}),
        neuroids=pd.DataFrame({"neuroid_id": [f"u{i}" for i in range(60)], "region": "IT"}),
        attrs={"units": "normalized"},
    )
    neural = compute_neural_rdms(recording)
    models = rdms(np.stack([pdist(signal, "correlation"), MODELS[0]]), model=["true", "other"])
    ceilings = neuron_ceilings(recording, rng=rng, n_splits=20)
    options = {"recording": recording, "ceilings": ceilings, "n_draws": 50}
    for resample in (("stimulus", "neuron"), ("stimulus",)):  # errors of fit and ceiling are shared, or independent
        result = infer_fits(models, neural, resample=resample, rng=np.random.default_rng(0), **options)
        back = result.to_rsatoolbox()
        np.testing.assert_allclose(back.noise_ceiling, np.sqrt(ceilings["ceiling_lower"].iloc[[0, 0]]))
        np.testing.assert_allclose(back.test_noise(), result.p_ceiling[:, 0], atol=1e-9)
        np.testing.assert_allclose(back.get_sem(), result.se[:, 0])
        np.testing.assert_allclose(np.sqrt(back.diff_var), result.pairwise()["se"])
        assert result.p_ceiling[0, 0] > 0.05


def test_rsatoolbox_plots_it():
    mpl.use("Agg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        figure, axes, _ = plot_model_comparison(fitted(n_draws=50).to_rsatoolbox("IT"))
    heights = [patch.get_height() for patch in axes.patches]
    assert any(abs(height - fitted(n_draws=50).estimates[0, 0]) < 1e-9 for height in heights)
    plt.close(figure)


@pytest.mark.filterwarnings("ignore:Noise ceiling for tau")
def test_fits_to_brought_rdms_are_rsatoolboxs():
    brains = RDMs(BRAINS[:1], pattern_descriptors={"stimulus_id": [f"s{i}" for i in range(N)]})
    models = [ModelFixed(name, RDMs(vector[None])) for name, vector in zip("abc", MODELS, strict=True)]
    for method in ("corr", "cosine", "spearman", "tau-a"):
        expected = eval_fixed(models, brains, method=method).evaluations[0, :, 0]
        np.testing.assert_allclose(fitted(n_draws=2, method=method).estimates[:, 0], expected, atol=1e-10)


@pytest.mark.real_data
def test_the_92_objects_from_the_authors_files(real_data):
    folder = real_data / "kriegeskorte92"
    stimuli = read_stimuli(folder / "stimulus_set.csv", with_images=False)
    models = read_rdms(folder / "92_modelRDMs.mat", stimuli=stimuli, kind="model")
    monkey = read_rdms(
        folder / "Kriegeskorte_Neuron2008_supplementalData.mat",
        variable="RDMs_mIT_hIT_fig1",
        names="mIT_674neurons",
        stimuli=stimuli,
        kind="recording",
    )
    human = read_rdms(
        folder / "92_brainRDMs.mat",
        stimuli=stimuli,
        name_pattern="{region} | {subject} | Session: {session}",
        average="session",
    )
    assert human.rdm_descriptors["subject"] == ["BE", "KO", "SN", "TI"]
    result = infer_fits(models, monkey, n_draws=50, rng=np.random.default_rng(0))
    assert result.factors == ("stimulus",), "92 objects have neither views nor repeated identities"
    fixed = [ModelFixed(name, models.subset("name", name)) for name in models.rdm_descriptors["name"]]
    expected = eval_fixed(fixed, monkey, method="corr").evaluations[0, :, 0]
    np.testing.assert_allclose(result.estimates[:, 0], expected, atol=1e-10)
    np.random.seed(0)  # noqa: NPY002  rsatoolbox draws from NumPy's global state
    theirs = eval_bootstrap_pattern(fixed, monkey, method="corr", N=200, boot_noise_ceil=False).get_sem()
    unlike = np.array(models.rdm_descriptors["name"]) != "monkeyIT"
    assert np.all(np.abs(np.log(result.se[unlike, 0] / theirs[unlike])) < np.log(1.6))
    assert infer_fits(models, human, n_draws=50, rng=np.random.default_rng(0)).factors == ("stimulus", "subject")


def test_rdms_without_labels_are_a_recording_each_and_said_to_be(rng, caplog):
    found = infer_fits(rdms(MODELS, model=list("abc")), rdms(BRAINS), n_draws=20, rng=rng)
    frame = found.to_frame()
    assert frame.groupby("region", sort=False).size().to_dict() == {f"RDM {place}": 3 for place in range(1, 5)}
    np.testing.assert_allclose(frame.loc[frame["region"] == "RDM 2", "fit"], found.estimates[:, 1])
    said = [text.split(":")[0] for text in found.summary().splitlines() if " best" in text or "no layer" in text]
    assert said == [f"RDM {place}" for place in range(1, 5)]
    (said,) = caplog.messages
    assert "4 neural RDMs name neither region nor subject" in said


def test_models_of_rsatoolbox_in_a_list_are_refused_with_what_to_do(rng):
    models = [ModelFixed(name, rdms(MODELS[[place]])) for place, name in enumerate("abc")]
    with pytest.raises(InputError, match=r"this is list; .*rdm_obj for model in models"):
        infer_fits(models, rdms(BRAINS[:1]), rng=rng)
    with pytest.raises(InputError, match="this is ndarray"):
        compare_rdms(rdms(MODELS), BRAINS)
