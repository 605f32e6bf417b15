"""Traps in rsatoolbox 0.3.2, each stated by running it, and the wall that stands before it.

When one of these tests fails on a newer rsatoolbox, the trap is gone and its wall may go too.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rsatoolbox.data import Dataset
from rsatoolbox.inference import eval_bootstrap_pattern, eval_dual_bootstrap
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs, calc_rdm, compare, concat

from neural_data.errors import InputError
from neural_data.recordings import make_recording
from neurocompare.comparison.fits import compare_rdms, fits_on_draws
from neurocompare.comparison.inference import infer_fits
from neurocompare.representations.neural_rdms import compute_neural_rdms
from neurocompare.representations.rdms import build_rdms, concat_rdms
from tests.comparison.conftest import patterns_of, rdms_of


@pytest.fixture
def models(rng):
    return rdms_of(rng.random((2, 28)), patterns_of(8, 1), layer=["a", "b"])


@pytest.fixture
def neural(rng):
    return rdms_of(rng.random((3, 28)), patterns_of(8, 1), region=["AL"] * 3, subject=["m1", "m2", "m3"])


def reversed_order(rdms: RDMs) -> RDMs:
    return rdms_of(rdms.get_matrices()[:, ::-1, ::-1], patterns_of(8, 1).iloc[::-1], region=["AL"] * rdms.n_rdm)


@pytest.fixture(autouse=True)
def _their_draws():
    """Draws of rsatoolbox, which takes them from NumPy's global state, are the same in every run."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    yield
    np.random.set_state(before)  # noqa: NPY002


@pytest.fixture
def fixed(models) -> list[ModelFixed]:
    return [ModelFixed(name, models.subset("layer", name)) for name in ("a", "b")]


def test_compare_pairs_rows_by_position_and_ours_by_stimulus(models, neural):
    shuffled = reversed_order(neural)
    assert not np.allclose(compare(models, shuffled, "corr"), compare(models, neural, "corr"))
    np.testing.assert_allclose(compare_rdms(models, shuffled), compare_rdms(models, neural))


def test_calc_rdm_sorts_conditions_as_text_and_ours_keep_their_order(rng):
    ids = [f"s{k}" for k in range(1, 13)]
    responses = rng.random((12, 6))
    theirs = calc_rdm(Dataset(responses, obs_descriptors={"stimulus_id": ids}), descriptor="stimulus_id")
    assert theirs.pattern_descriptors["stimulus_id"][:3] == ["s1", "s10", "s11"]
    recording = make_recording(
        responses,
        presentations=pd.DataFrame({"stimulus_id": ids}),
        neuroids=pd.DataFrame({"neuroid_id": list("abcdef"), "region": "AL"}),
    )
    ours = compute_neural_rdms(recording)
    assert ours.pattern_descriptors["stimulus_id"] == ids
    np.testing.assert_allclose(ours.dissimilarities, calc_rdm(Dataset(responses), method="correlation").dissimilarities)


def test_rdms_write_into_the_dictionary_they_are_given_and_ours_do_not(rng):
    descriptors = {"stimulus_id": list("abcd")}
    RDMs(rng.random((1, 6)), pattern_descriptors=descriptors)
    assert "index" in descriptors
    layers = {"layer": ["conv1"]}
    patterns = patterns_of(4, 1)
    build_rdms(rng.random((1, 6)), patterns=patterns, rdms=layers, dissimilarity="correlation")
    assert list(layers) == ["layer"]
    assert list(patterns.columns) == ["stimulus_id", "identity"]


@pytest.mark.filterwarnings("ignore:.*Multiple pattern descriptors found:UserWarning")
def test_concat_drops_descriptors_that_a_later_input_lacks_and_ours_keep_them(rng):
    patterns = patterns_of(4, 1)
    first = rdms_of(rng.random((1, 6)), patterns, layer=["a"], seed=[1])
    second = rdms_of(rng.random((1, 6)), patterns, layer=["b"])
    assert "seed" not in concat(first, second).rdm_descriptors
    seeds = concat_rdms([first, second]).rdm_descriptors["seed"]
    assert seeds[0] == 1
    assert np.isnan(seeds[1])


def global_state():
    _, keys, place, *_ = np.random.get_state()  # noqa: NPY002
    return keys.tobytes(), place


def test_bootstraps_follow_the_global_state_and_ours_their_generator(fixed, models, neural):
    before = global_state()
    first = infer_fits(models, neural, resample="stimulus", n_draws=20, rng=np.random.default_rng(0))
    assert global_state() == before
    again = infer_fits(models, neural, resample="stimulus", n_draws=20, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(first.draws, again.draws)
    eval_bootstrap_pattern(fixed, neural, method="corr", N=2)
    assert global_state() != before


def test_one_rdm_divides_the_dual_bootstrap_by_zero_and_ours_says_what_is_missing(fixed, models, neural):
    one = neural.subset("subject", "m1")
    with pytest.raises(ZeroDivisionError):
        eval_dual_bootstrap(fixed, one, method="corr", N=4)
    with pytest.raises(InputError, match="at least two subjects"):
        infer_fits(models, one, resample=("stimulus", "subject"), rng=np.random.default_rng(0))
    assert (infer_fits(models, one, resample="stimulus", n_draws=5, rng=np.random.default_rng(0)).se > 0).all()


@pytest.mark.parametrize("method", ["corr_cov", "cosine_cov"])
def test_whitened_measures_raise_on_draws_of_a_hundred_stimuli_and_ours_work(method, rng):
    rdms = [rdms_of(rng.random((1, n * (n - 1) // 2)), patterns_of(n, 1), layer=["a"]) for n in (99, 100)]
    draws = [np.sort(rng.integers(0, n, n)) for n in (99, 100)]
    drawn = [r.subsample_pattern("index", d) for r, d in zip(rdms, draws, strict=True)]
    compare(drawn[0], drawn[0], method)
    with pytest.raises(TypeError, match="int8"):
        compare(drawn[1], drawn[1], method)
    np.testing.assert_allclose(fits_on_draws(rdms[1], rdms[1], draws[1][None], method), 1)


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
def test_poisson_cv_keeps_its_last_fold_only_and_is_not_offered(rng):
    counts = rng.poisson(5, (12, 6)).astype(float)

    def theirs(folds: list[int], method: str) -> np.ndarray:
        described = {"s": np.tile(list("abcd"), 3), "fold": np.repeat(folds, 4)}
        return calc_rdm(Dataset(counts, obs_descriptors=described), method, "s", cv_descriptor="fold").dissimilarities

    # The names of folds cannot matter to a mean over folds.
    np.testing.assert_allclose(theirs([0, 1, 2], "crossnobis"), theirs([2, 0, 1], "crossnobis"))
    assert not np.allclose(theirs([0, 1, 2], "poisson_cv"), theirs([2, 0, 1], "poisson_cv"))
    recording = make_recording(
        counts,
        presentations=pd.DataFrame({"stimulus_id": np.tile(list("abcd"), 3)}),
        neuroids=pd.DataFrame({"neuroid_id": list("abcdef"), "region": "AL"}),
        units="counts",
    )
    with pytest.raises(InputError, match="poisson_cv"):
        compute_neural_rdms(recording, dissimilarity="poisson_cv")


def test_bootstrap_tests_raise_or_print_nan_and_ours_give_numbers(fixed, models, neural):
    theirs = eval_dual_bootstrap(fixed, neural, method="corr", N=20)
    with pytest.raises(ValueError, match="cannot reshape"):
        theirs.test_all("bootstrap")
    assert "nan" in theirs.summary("bootstrap")
    ours = infer_fits(
        models, neural, resample=("stimulus", "subject"), variance="bootstrap", n_draws=20, rng=np.random.default_rng(0)
    )
    assert np.isfinite(ours.p_zero).all()
    assert "nan" not in str(ours)


def test_their_means_are_of_the_bootstrap_and_our_estimates_of_the_data(fixed, models, neural):
    on_data = compare(models, neural, "corr").mean(axis=1)
    assert np.abs(eval_dual_bootstrap(fixed, neural, method="corr", N=20).get_means() - on_data).max() > 1e-3
    for variance in ("bootstrap", "jackknife"):
        ours = infer_fits(
            models, neural, resample=("stimulus", "subject"), variance=variance, n_draws=9, rng=np.random.default_rng(0)
        )
        np.testing.assert_allclose(ours.estimates[:, 0], on_data, atol=1e-12)
