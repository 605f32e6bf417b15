"""Tests, corrections and tables of resampled fits, against answers known by hand and statsmodels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from neural_data.errors import InputError
from neurocompare.comparison.calibration_notes import regime_notes
from neurocompare.comparison.fit_result import FIT_COLUMNS, FitResult
from neurocompare.comparison.multiplicity import adjust
from neurocompare.comparison.refitting import bootstrap_deviations


def result_of(estimates, draws, *, factors=("stimulus",), sizes=None, **more) -> FitResult:
    """One recording; draws (n_draws, n_models)."""
    estimates = np.asarray(estimates, dtype=float)[:, None]
    n = len(estimates)
    options = {
        "models": pd.DataFrame({"model": ["net"] * n, "layer": [f"l{k}" for k in range(n)], "layer_index": range(n)}),
        "recordings": pd.DataFrame({"region": ["AL"]}),
        "draws": np.asarray(draws, dtype=float)[:, :, None],
        "deviations": bootstrap_deviations({tuple(factors): np.asarray(draws, dtype=float)[:, :, None]}),
        "variance": "bootstrap",
        "sizes": sizes or {"stimulus": np.array([11])},
        "method": "corr",
        "dissimilarity": "correlation",
        "n_stimuli": 11,
        "n_identities": None,
        "n_neurons": np.array([np.nan]),
        "n_redrawn": {},
    }
    return FitResult(estimates=estimates, factors=tuple(factors), **{**options, **more})


@pytest.fixture
def draws(rng) -> np.ndarray:
    common = rng.standard_normal((4000, 1))
    return np.array([0.1, 0.3, 0.25]) + 0.05 * (common + rng.standard_normal((4000, 3)))


def test_intervals_and_p_follow_student_t(draws):
    result = result_of([0.1, 0.3, 0.25], draws)
    se = np.sqrt(draws.var(axis=0, ddof=1) * 11 / 10)
    np.testing.assert_allclose(result.se[:, 0], se)
    np.testing.assert_allclose(result.p_zero[:, 0], stats.t.sf([0.1, 0.3, 0.25] / se, 10))
    np.testing.assert_allclose(result.ci[1][:, 0], [0.1, 0.3, 0.25] + stats.t.ppf(0.975, 10) * se)


def test_pairs_are_tested_by_the_variance_of_their_difference(draws):
    table = result_of([0.1, 0.3, 0.25], draws).pairwise("holm")
    assert table[["layer_1", "layer_2"]].to_numpy().tolist() == [["l0", "l1"], ["l0", "l2"], ["l1", "l2"]]
    se = np.sqrt((draws[:, 0] - draws[:, 1]).var(ddof=1) * 11 / 10)
    assert table["difference"][0] == pytest.approx(-0.2)
    assert table["se"][0] == pytest.approx(se)
    assert table["p"][0] == pytest.approx(2 * stats.t.sf(0.2 / se, 10))


def test_holm_and_benjamini_hochberg_by_hand():
    p = np.array([0.01, np.nan, 0.04, 0.03])
    np.testing.assert_allclose(adjust(p, "holm"), [0.03, np.nan, 0.06, 0.06])
    np.testing.assert_allclose(adjust(p, "bh"), [0.03, np.nan, 0.04, 0.04])
    np.testing.assert_allclose(adjust(p, "none"), p)


@pytest.mark.parametrize(("correction", "name"), [("holm", "holm"), ("bh", "fdr_bh")])
def test_stepwise_corrections_equal_statsmodels(correction, name, rng):
    p = rng.random(50).round(2) ** 2
    np.testing.assert_allclose(adjust(p, correction), multipletests(p, method=name)[1])


def test_max_statistic_of_independent_tests_is_sidak(rng):
    p = np.array([0.01, 0.2, 0.5])
    adjusted = adjust(p, "max", statistics=stats.norm.isf(p), draws=rng.standard_normal((200_000, 3)))
    np.testing.assert_allclose(adjusted, 1 - (1 - p) ** 3, atol=0.004)


def test_max_statistic_of_identical_tests_adjusts_nothing(rng):
    p = np.array([0.01, 0.01, 0.01])
    adjusted = adjust(
        p,
        "max",
        statistics=stats.norm.isf(p / 2),
        draws=np.repeat(rng.standard_normal((200_000, 1)), 3, 1),
        two_sided=True,
    )
    np.testing.assert_allclose(adjusted, p, atol=0.001)


def test_an_unknown_correction_is_refused():
    with pytest.raises(InputError, match="did you mean 'holm'"):
        adjust(np.array([0.1]), "hol")


def test_best_layer_and_its_place(draws):
    best = result_of([0.1, 0.3, 0.25], draws).best_layer().iloc[0]
    assert (best["layer"], best["layer_index"], best["n_layers"]) == ("l1", 1, 3)
    assert best["relative_depth"] == pytest.approx(0.5)
    assert best["share"] == pytest.approx((draws.argmax(axis=1) == 1).mean())
    assert best["layer_low"] == "l1"
    assert best["layer_high"] == "l2"


def ceilings_of(reliability, se):
    root = np.sqrt(max(reliability, 0))
    return pd.DataFrame({"ceiling_lower": [reliability], "ceiling_upper": [root], "ceiling_lower_se": [se]})


def test_fits_are_tested_against_the_root_of_the_reliability(draws):
    """A reliability of 0.09 bounds the fit of a true model by 0.3; an error of 0.06 there is one of 0.1 here."""
    for se, of_root in ((np.nan, 0.0), (0.06, 0.1)):
        result = result_of([0.1, 0.3, 0.25], draws, ceilings=ceilings_of(0.09, se))
        expected = np.sqrt(result.variances[:, 0] + of_root**2)
        np.testing.assert_allclose(result.p_ceiling[:, 0], 2 * stats.t.sf(np.array([0.2, 0, 0.05]) / expected, 10))
    assert any("taken as independent" in note for note in result.notes)


def test_corrected_fits_are_fits_over_the_root_with_the_errors_of_both(draws):
    result = result_of([0.1, 0.3, 0.25], draws, ceilings=ceilings_of(0.09, 0.06))
    corrected = result.corrected
    np.testing.assert_allclose(corrected.estimates[:, 0], [1 / 3, 1, 0.25 / 0.3])
    relative = result.variances[:, 0] / result.estimates[:, 0] ** 2 + (0.1 / 0.3) ** 2
    np.testing.assert_allclose(corrected.se[:, 0], corrected.estimates[:, 0] * np.sqrt(relative))
    frame = result.to_frame()
    np.testing.assert_allclose(frame["corrected_fit"], corrected.estimates[:, 0])
    assert (
        (frame["corrected_low"] < frame["corrected_fit"]) & (frame["corrected_fit"] < frame["corrected_high"])
    ).all()


@pytest.mark.parametrize("ceilings", [None, ceilings_of(-0.1, 0.05)])
def test_without_a_reliability_above_zero_nothing_is_corrected(draws, ceilings):
    result = result_of([0.1, 0.3, 0.25], draws, ceilings=ceilings)
    assert np.isnan(result.p_ceiling).all()
    assert np.isnan(result.corrected.estimates).all()
    assert result.to_frame()[["corrected_fit", "corrected_low", "corrected_high", "p_ceiling"]].isna().all().all()


def test_undefined_fits_stay_undefined_and_are_counted(draws):
    draws[:, 0] = np.nan
    draws[:7, 1] = np.nan
    with np.errstate(all="raise"):
        result = result_of([np.nan, 0.3, 0.25], draws)
        frame = result.to_frame()
    assert frame["fit"].isna().tolist() == [True, False, False]
    assert frame.loc[0, ["se", "ci_low", "p_zero", "p_zero_adjusted"]].isna().all()
    assert "1 of 3 fits are undefined" in result.notes[0]
    assert "7 fits on draws are undefined" in result.notes[1]
    assert result.pairwise()["p"].isna().tolist() == [True, True, False]


def test_summary_prints_a_table(draws):
    text = str(result_of([0.1, 0.3, 0.25], draws))
    assert "Sampled: stimulus" in text
    assert "[11] stimulus" in text
    assert "0.300" in text
    assert result_of([0.1, 0.3, 0.25], draws).to_frame().columns.tolist() == list(FIT_COLUMNS)


@pytest.mark.parametrize(
    ("factors", "variance", "sizes", "says"),
    [
        (("identity", "neuron"), "jackknife", (25, 60), None),
        (("identity", "neuron"), "jackknife", (25, 120), "100 neurons or more"),
        (("identity", "neuron"), "jackknife", (5, 60), "5 identities: intervals were too wide"),
        (("stimulus",), "bootstrap", (175,), "for the same neurons"),
        (("neuron",), "jackknife", (60,), "for the same stimuli"),
        (("identity", "subject"), "jackknife", (25, 2), "2 subjects leave 1 degree"),
        (("identity", "neuron"), "bootstrap", (25, 60), "too cautious"),
    ],
)
def test_regimes_off_calibration_are_named(factors, variance, sizes, says):
    found = regime_notes(factors, variance, {f: np.array([n]) for f, n in zip(factors, sizes, strict=True)})
    assert (not found) if says is None else any(says in note for note in found)
