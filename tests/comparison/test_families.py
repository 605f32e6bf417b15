"""Comparators and resampling factors are records of a family each: every member works everywhere, no other does."""

from __future__ import annotations

import numpy as np
import pytest
from rsatoolbox.rdm import RDMs, compare

from neural_data import InputError
from neurocompare.comparison import methods, resampling
from neurocompare.comparison.fits import compare_rdms, fits_of_rows, fits_on_counts
from neurocompare.comparison.flexible import FLEXIBLE_METHODS
from neurocompare.comparison.inference import infer_fits
from neurocompare.comparison.methods import METHODS, find_method
from neurocompare.comparison.resampling import AXES, FACTORS, Factor, check_factors, factors_along
from tests.comparison.conftest import patterns_of, rdms_of


@pytest.fixture
def vectors(rng):
    # Ties within rows.
    return np.round(rng.random((2, 4, 15)), 1)


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_blind_to_what_its_record_says(name, vectors):
    method, (first, second) = METHODS[name], vectors
    assert method.name == name
    assert method.label
    (fits,) = fits_of_rows(first, second, name)
    np.testing.assert_allclose(np.diag(compare(RDMs(first), RDMs(second), method=name)), fits, atol=1e-10)
    assert np.allclose(fits_of_rows(first + 3, second, name), fits) == method.centred
    assert np.allclose(fits_of_rows(np.exp(first * 3), second, name), fits) == method.ranked
    np.testing.assert_allclose(fits_of_rows(2 * first, second, name)[0], fits, atol=1e-10)


@pytest.mark.parametrize("name", METHODS)
def test_rows_that_lack_pairs_or_do_not_vary(name, vectors):
    first, second = vectors[0].copy(), vectors[1]
    first[0, :3] = np.nan
    first[1] = 0.0
    (fits,) = fits_of_rows(first, second, name)
    ones = np.ones((1, 6), dtype=int)
    assert fits[0] == pytest.approx(fits_on_counts(first[:1], second[:1], ones, method=name)[0, 0, 0])
    assert np.isnan(fits[1])
    assert np.isfinite(fits[2:]).all()


def test_least_squares_reweights_the_linear_methods():
    assert FLEXIBLE_METHODS == ("corr", "cosine")


def test_an_unknown_method_is_refused_and_never_the_cosine(model_rdms, neural_rdms):
    for ask in (find_method, lambda name: compare_rdms(model_rdms, neural_rdms, method=name)):
        with pytest.raises(InputError, match="no method 'kendall' to compare RDMs"):
            ask("kendall")


def test_a_record_is_all_that_a_new_method_takes(model_rdms, neural_rdms, monkeypatch):
    record = methods._ranks("rho", "Spearman again", METHODS["spearman"].kernel)
    monkeypatch.setitem(methods.METHODS, "rho", record)
    found = compare_rdms(model_rdms, neural_rdms, method="rho")
    np.testing.assert_array_equal(found, compare_rdms(model_rdms, neural_rdms, method="spearman"))


@pytest.mark.parametrize("name", FACTORS)
@pytest.mark.parametrize("variance", ["jackknife", "bootstrap"])
def test_every_factor_is_drawn_and_left_out(name, variance, model_rdms, neural_rdms, responses):
    factor = FACTORS[name]
    assert factor.name == name
    assert factor.axis in AXES
    assert factor.plural
    rng = np.random.default_rng(0)
    result = infer_fits(
        model_rdms,
        neural_rdms,
        recording=responses,
        ceilings=None,
        resample=name,
        n_draws=20,
        variance=variance,
        rng=rng,
    )
    assert result.factors == (name,)
    assert (result.sizes[name] >= factor.fewest).all()
    assert (result.se > 0).all()
    if variance == "jackknife":
        assert len(result.deviations[name,]) == factor.parts(int(result.sizes[name].max()))


def test_factors_of_one_axis_exclude_each_other_and_unknown_ones_are_refused():
    assert factors_along("stimuli", ("identity", "neuron")) == ("identity",)
    for axis in AXES:
        same = factors_along(axis, tuple(FACTORS))
        if len(same) > 1:
            with pytest.raises(InputError, match=f"either {' or '.join(map(repr, same))}"):
                check_factors(same)
    with pytest.raises(InputError, match="'session' cannot be resampled"):
        check_factors("session")
    with pytest.raises(ValueError, match="has the axis 'sessions'"):
        Factor("session", "sessions", "sessions")


def test_a_record_is_all_that_a_new_factor_takes(monkeypatch, rng):
    """Views drawn together: their standard error is that of a jackknife over views done by hand."""
    views = Factor("view", "views", "stimuli", together="azimuth_deg", fewest=3)
    monkeypatch.setitem(resampling.FACTORS, "view", views)
    patterns = patterns_of(4, 5).assign(azimuth_deg=np.tile([-90, -45, 0, 45, 90], 4))
    models, neural = (rdms_of(rng.random((1, 190)), patterns, region=["AL"]) for _ in range(2))
    result = infer_fits(models, neural, resample="view", n_draws=10, rng=rng)
    azimuths = np.array(models.pattern_descriptors["azimuth_deg"])
    left_out = []
    for azimuth in np.unique(azimuths):
        kept = np.flatnonzero(azimuths != azimuth)
        parts = (rdms.subset_pattern("index", kept) for rdms in (models, neural))
        left_out.append(compare(*parts, method="corr")[0, 0])
    assert result.se[0, 0] == pytest.approx(np.sqrt(4 * np.var(left_out)))
    assert result.sizes["view"][0] == 5


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("drawn", [False, True])
def test_rows_that_lack_other_pairs_are_those_of_each_row_alone(name, drawn, rng):
    first, second = rng.random((2, 6, 45)) + 0.1
    for row, lacking in enumerate([[], [0, 7], [7, 0], [3], [], [44]]):
        (first if row % 2 else second)[row, lacking] = np.nan
    counts = rng.multinomial(10, np.full(10, 0.1), size=3) if drawn else None
    found = fits_of_rows(first, second, name, counts=counts)
    alone = [fits_on_counts(a[None], b[None], counts, method=name)[:, 0, 0] for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(found, np.transpose(alone), rtol=1e-9, atol=1e-12)
    assert np.isfinite(found).all()
