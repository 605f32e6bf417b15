"""Plots of results in hand: the numbers that the results hold, drawn where the caller wants them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from neural_data import InputError
from neurocompare import infer_fits, mirror_symmetry_index, plot_fits, plot_index, plot_rdms, plot_regimes
from tests.comparison.conftest import patterns_of, rdms_of

LAYERS = ["conv1", "conv2", "fc1"]


@pytest.fixture(autouse=True)
def no_windows():
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.fixture
def result(rng):
    patterns = patterns_of(8, 3)
    n_pairs = 24 * 23 // 2
    truth = rng.random(n_pairs)
    models = rdms_of(
        np.stack([truth + noise * rng.random(n_pairs) for noise in (3, 1, 0.1)]),
        patterns, model=["net"] * 3, regime=["trained"] * 3, seed=[0] * 3, layer=LAYERS, layer_index=[0, 1, 2],
    )  # fmt: skip
    patches = rdms_of(np.stack([truth, rng.random(n_pairs)]), patterns, region=["AL", "AM"], subject=["m1", "m1"])
    return infer_fits(models, patches, resample="identity", n_draws=50, rng=rng)


def lines_with(axes, marker):
    return [line for line in axes.lines if line.get_marker() == marker]


def test_fits_to_a_patch_are_those_of_the_result_and_the_best_set_is_marked(result):
    axes = result.plot("AL")
    fits = result.estimates[:, 0]
    points = next(line for line in lines_with(axes, "o") if len(line.get_xdata()) == 3)
    np.testing.assert_allclose(points.get_ydata(), fits)
    assert [label.get_text() for label in axes.get_xticklabels()] == LAYERS
    (marked,) = lines_with(axes, "s")
    assert marked.get_xdata().tolist() == np.flatnonzero(result.not_told_from_best(np.arange(3), 0)).tolist()
    assert axes.get_ylim()[0] < min(marked.get_ydata()) < min(axes.lines[0].get_ydata())


def test_models_without_layers_stand_side_by_side_by_their_names(rng):
    patterns, n_pairs = patterns_of(8, 3), 24 * 23 // 2
    truth = rng.random(n_pairs)
    models = rdms_of(np.stack([truth, rng.random(n_pairs)]), patterns, name=["true", "other"])
    patches = rdms_of(np.stack([truth + rng.random(n_pairs)]), patterns, region=["IT"])
    found = infer_fits(models, patches, resample="identity", n_draws=50, rng=rng)
    axes = found.plot()
    assert [label.get_text() for label in axes.get_xticklabels()] == ["true", "other"]
    assert (axes.get_xlabel(), axes.get_legend()) == ("model", None)
    open_points = [line for line in lines_with(axes, "o") if line.get_markerfacecolor() == "white"]
    assert [line.get_xdata()[0] for line in open_points] == [0, 1]
    np.testing.assert_allclose([line.get_ydata()[0] for line in open_points], found.estimates[:, 0])


def test_several_patches_have_a_panel_each_on_one_scale(result):
    panels = result.plot()
    assert [axes.get_title() for axes in panels] == ["AL", "AM"]
    assert panels[0].get_ylim() == panels[1].get_ylim()
    for place, axes in enumerate(panels):
        points = next(line for line in lines_with(axes, "o") if len(line.get_xdata()) == 3)
        np.testing.assert_allclose(points.get_ydata(), result.estimates[:, place])
        (marked,) = lines_with(axes, "s")
        assert marked.get_xdata().tolist() == np.flatnonzero(result.not_told_from_best(np.arange(3), place)).tolist()
        assert axes.get_ylim()[0] < min(marked.get_ydata())


def test_fits_without_patches_and_stacked_tables_are_drawn(result):
    fits = result.to_frame().query("region == 'AL'")
    assert plot_fits(fits.assign(region=np.nan, subject=np.nan)).get_title() == ""
    panels = plot_fits(pd.concat([fits.assign(region="one"), fits.assign(region="two")]))
    assert [axes.get_title() for axes in panels] == ["one", "two"]


def test_a_patch_has_to_be_named_for_given_axes(result):
    with pytest.raises(InputError, match="2 to choose from, AL, AM: name one with region="):
        plot_fits(result, ax=Figure().subplots())
    with pytest.raises(InputError, match="no patch 'ML'"):
        plot_fits(result, region="ML")
    with pytest.raises(InputError, match="no subject 'm2'"):
        result.plot("AL", subject="m2")


def test_a_plot_goes_where_the_caller_wants_it(result):
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plot_fits(result, region="AL", ax=left) is left
    assert plot_fits(result.to_frame(), region="AM", ax=right) is right
    assert not lines_with(right, "s"), "a table does not know the confidence set"


def test_a_result_says_what_it_is(result):
    assert repr(result) == "<FitResult: 3 models x 2 recordings, corr, 24 stimuli, resampled by identity>"
    assert "<table" in result._repr_html_()
    assert "fc1" in result._repr_html_()


def test_index_of_exemplars_is_their_mean_with_its_interval():
    table = pd.DataFrame(
        {
            "layer": np.repeat(LAYERS, 4),
            "layer_index": np.repeat(range(3), 4),
            "index": np.tile([0.1, 0.2, 0.3, 0.4], 3),
        }
    )
    axes = plot_index(table)
    points = lines_with(axes, "o")[0]
    np.testing.assert_allclose(points.get_ydata(), 0.25)
    ((_, low), (_, high)) = axes.collections[0].get_segments()[0]
    half = 3.182446 * np.std([0.1, 0.2, 0.3, 0.4], ddof=1) / 2
    np.testing.assert_allclose([low, high], [0.25 - half, 0.25 + half], rtol=1e-5)
    with pytest.raises(InputError, match="no column 'index'"):
        plot_index(table.rename(columns={"index": "value"}))


def test_index_of_patches_is_a_diamond_each():
    table = pd.DataFrame(
        {
            "region": np.repeat(["ML", "AL", "AM"], 3),
            "subject": "m1",
            "category": "face",
            "identity": [0, 1, 2] * 3,
            "index": [0.1, 0.2, 0.3, 0.3, 0.4, 0.5, 0.8, 0.8, 0.8],
        }
    )
    axes = plot_index(table)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["ML", "AL", "AM"]
    (points,) = lines_with(axes, "D")
    np.testing.assert_allclose(points.get_ydata(), [0.2, 0.4, 0.8])
    assert axes.get_xlabel() == "patch"
    names = table["region"].eq("AM").map({True: "ML", False: "AL"})
    axes = plot_index(table.assign(region="AL", subject=table["region"]))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["AL, ML", "AL, AL", "AL, AM"]
    with pytest.raises(InputError, match="for identity 0; choose one patch, category or exemplar"):
        plot_index(table.assign(region=names))
    with pytest.raises(InputError, match="for identity 0"):
        plot_index(table.drop(columns=["region", "subject"]))


def test_index_of_patches_of_a_recording_is_that_of_each(rng):
    patterns = patterns_of(1, 3).assign(azimuth_deg=[-45, 0, 45]).drop(columns="identity")
    about = {"region": ["ML", "ML", "AL", "AL"], "identity": ["id0", "id1"] * 2}
    views = rdms_of(rng.random((4, 3)), patterns, **about)
    (points,) = lines_with(plot_index(views), "D")
    index = mirror_symmetry_index(views)
    np.testing.assert_allclose(points.get_ydata(), [index[:2].mean(), index[2:].mean()])


def test_regimes_are_means_over_seeds():
    rows = [("net", regime, seed, layer, place, place + seed) for regime in ("symmetric", "untrained")
            for seed in (0, 2) for place, layer in enumerate(LAYERS)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["model", "regime", "seed", "layer", "layer_index", "index"])
    axes = plot_regimes(table)
    np.testing.assert_allclose(lines_with(axes, "o")[0].get_ydata(), [1, 2, 3])
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {"net, symmetric", "net, untrained"}
    with pytest.raises(InputError, match="layer conv1 of net, symmetric, seed 0 occurs twice"):
        plot_regimes(pd.concat([table, table]))


def test_rdms_are_ranks_in_the_order_of_views(rng):
    patterns = patterns_of(2, 3).assign(azimuth_deg=[45, 0, -45, -45, 45, 0])
    rdms = rdms_of(rng.random((2, 15)), patterns, layer=["conv1", "fc1"])
    panels = plot_rdms(rdms)
    assert [axes.get_title() for axes in panels] == ["conv1", "fc1"]
    shown = panels[0].images[0].get_array()
    assert shown.max() == 100
    table = pd.DataFrame(rdms.pattern_descriptors)
    order = table.sort_values(["azimuth_deg", "identity"]).index
    wanted = rdms.get_matrices()[0][np.ix_(order, order)]
    assert np.argmax(shown) == np.argmax(wanted)
    with pytest.raises(InputError, match="one axes takes one RDM"):
        plot_rdms(rdms, ax=Figure().subplots())
    assert plot_rdms(rdms[0]).get_title() == "conv1"
    views = rdms_of(rng.random((2, 15)), patterns_of(2, 3), region=["AL"] * 2, identity=["a", "b"])
    assert [axes.get_title() for axes in plot_rdms(views)] == ["a", "b"]
    assert plot_rdms(rdms_of(rng.random((1, 15)), patterns_of(2, 3), layer=["fc1"])).get_xticks().size == 0
