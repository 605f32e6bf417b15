"""Training regimes and decomposition in the report: drawn and said where a run has the tables, else silent."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from neurocompare import run_study
from neurocompare.measures import MEASURES
from neurocompare.measures.declaration import Facts
from neurocompare.measures.page import write_report
from neurocompare.measures.regime_contrasts import draw_contrasts
from neurocompare.measures.regimes import draw_regimes, has_regimes
from neurocompare.measures.training import draw_training
from neurocompare.measures.trajectories import draw_trajectories
from neurocompare.reporting.drawing import save_figure
from neurocompare.reporting.tables import ordered, write_table

TABLES = {table.name: table for measure in MEASURES.values() for table in measure.all_tables}
REGIMES = ("mirror-same", "natural")


def training_table(n_epochs=3):
    rows = [
        {
            "model": "cnn-small",
            "regime": regime,
            "seed": seed,
            "epoch": epoch,
            "train_loss": 2 / epoch,
            "train_accuracy": 0.2 * epoch,
            "validation_loss": 2.2 / epoch,
            "validation_accuracy": 0.15 * epoch,
            "test_accuracy": 0.5 + 0.1 * seed if epoch == n_epochs else np.nan,
        }
        for regime in REGIMES
        for seed in (0, 1)
        for epoch in range(1, n_epochs + 1)
    ]
    return ordered(pd.DataFrame(rows), TABLES["training"])


def contrast_table(method="paired t over seeds"):
    rows = [
        {
            "measure": measure,
            "model": "cnn-small",
            "region": region,
            "layer": layer,
            "layer_index": place,
            "first": "mirror-same",
            "second": "natural",
            "estimate": 0.1 * place,
            "ci_low": 0.1 * place - 0.1,
            "ci_high": 0.1 * place + 0.1,
            "effect_size": 0.5,
            "statistic": 2.0,
            "df": 4.0,
            "p": 0.01,
            "p_adjusted": 0.04 if place == 2 else 0.2,
            "p_permutation": 0.0625,
            "n_first": 5,
            "n_second": 4,
            "method": method,
        }
        for measure, region in (("index", None), ("fit", "AL"))
        for place, layer in enumerate(("conv1", "conv4", "fc1"))
    ]
    return ordered(pd.DataFrame(rows), TABLES["regime_contrasts"])


def profile_table(columns):
    rows = [
        {"model": "cnn-small", "regime": regime, "seed": seed, "layer": layer, "layer_index": place, **columns(place)}
        for regime in REGIMES
        for seed in (0, 1)
        for place, layer in enumerate(("conv1", "conv4", "fc1"))
    ]
    return pd.DataFrame(rows)


def lines_of(axes, colour=None):
    return [line for line in axes.lines if len(line.get_xdata()) > 1 and colour in (None, line.get_color())]


def test_learning_curves_hold_every_network_their_mean_and_the_test_accuracy():
    loss, accuracy = draw_training(training_table()).axes
    for axes in (loss, accuracy):
        curves = lines_of(axes)
        faint = [line for line in curves if line.get_alpha() == 0.3]
        means = [line for line in curves if line.get_alpha() is None and len(line.get_xdata()) == 3]
        assert (len(faint), len(means)) == (8, 4)
    np.testing.assert_allclose(lines_of(loss)[0].get_ydata(), [2, 1, 2 / 3])
    diamonds = [line for line in accuracy.lines if line.get_marker() == "D"]
    assert [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in diamonds] == [([3, 3], [0.5, 0.6])] * 2


def test_profiles_of_regimes_are_means_over_seeds_with_a_faint_line_each_and_a_colour_a_regime():
    layers = profile_table(lambda place: {"category": "face", "index": 0.1 * place, "ci_low": -1.0, "ci_high": 1.0})
    layers.loc[layers["seed"] == 1, "index"] += 0.2
    fits = profile_table(lambda place: {"fit": 0.2 * place, "resample": "identity"})
    fits = pd.concat([fits.assign(region=r) for r in ("ML", "AL")], ignore_index=True)
    panels = draw_regimes(layers, fits).axes[:3]
    assert [axes.get_title() for axes in panels] == ["mirror-symmetry index", "fit to ML", "fit to AL"]
    for axes in panels:
        faint = [line for line in axes.lines if line.get_alpha() == 0.3]
        strong = [line for line in axes.lines if line.get_alpha() == 0.8]
        assert (len(faint), len(strong)) == (4, 2)
        assert len({line.get_color() for line in strong}) == 2
    mean = next(line for line in panels[0].lines if line.get_alpha() == 0.8)
    np.testing.assert_allclose(mean.get_ydata(), [0.1, 0.2, 0.3])
    np.testing.assert_allclose(panels[1].lines[0].get_ydata(), [0, 0.2, 0.4])
    assert panels[1].get_ylim() == panels[2].get_ylim()


def test_trajectories_have_a_line_a_network_their_mean_and_the_last_layers():
    rows = [
        {"model": "cnn-small", "regime": regime, "seed": seed, "epoch": epoch, "layer": layer, "layer_index": place}
        | {"measure": measure, "region": region, "value": epoch + 10 * place + seed}
        for regime in REGIMES
        for seed in (0, 1)
        for epoch in (2, 0)
        for place, layer in enumerate(("conv1", "conv4", "fc1", "fc2"))
        for measure, region in (("index", None), ("fit", "AL"))
    ]
    panels = draw_trajectories(ordered(pd.DataFrame(rows), TABLES["trajectories"])).axes
    assert [axes.get_title() for axes in panels[:3]] == ["conv4", "fc1", "fc2"]
    assert [panels[0].get_ylabel(), panels[3].get_ylabel()] == ["mirror-symmetry index", "fit to AL"]
    for axes, place in zip(panels, (1, 2, 3, 1, 2, 3), strict=True):
        courses = [line for line in axes.lines if line.get_marker() == "."]
        assert len(courses) == 4
        assert len({line.get_color() for line in courses}) == 2
        assert all(line.get_xdata().tolist() == [0, 2] for line in courses)
        means = [line for line in axes.lines if line.get_linewidth() == 1.4]
        assert [line.get_ydata().tolist() for line in means] == [[10 * place + 0.5, 2 + 10 * place + 0.5]] * 2


def test_a_regime_has_the_same_colour_in_every_figure():
    fits = profile_table(lambda place: {"fit": 0.1 * place, "region": "ML", "resample": "identity"}).iloc[::-1]
    layers = profile_table(lambda place: {"category": "face", "index": 0.1 * place})
    drawn = draw_regimes(layers, fits), draw_training(training_table())
    labels = [{line.get_label(): line.get_color() for line in figure.legends[0].get_lines()} for figure in drawn]
    assert labels[0] == labels[1]


def test_contrasts_fill_the_points_that_are_significant():
    index, fit = draw_contrasts(contrast_table()).axes
    assert (index.get_title(), fit.get_title()) == ("mirror-symmetry index", "fit to AL")
    filled = [line for line in index.lines if line.get_marker() == "o" and line.get_markerfacecolor() != "white"]
    assert [line.get_ydata().tolist() for line in filled] == [pytest.approx([0.2])]


def test_a_quantity_that_no_layer_has_gets_no_panel():
    """Equivariance of a network of full layers is undefined: an empty panel says nothing."""
    table = contrast_table()
    table.loc[table["measure"] == "fit", ["estimate", "ci_low", "ci_high", "p", "p_adjusted"]] = np.nan
    figure = draw_contrasts(table)
    assert [axes.get_title() for axes in figure.axes if axes.axison] == ["mirror-symmetry index"]
    assert any("no panel where no layer has a difference" in text.get_text() for text in figure.findobj(Text))


def test_contrasts_of_networks_that_name_layers_differently_stand_within_their_panels():
    table = contrast_table()
    other = table.assign(model="other", layer="block " + table["layer"], estimate=table["estimate"] + 0.5)
    third = table.assign(second="untrained")
    both = pd.concat([table, third, other, other.assign(second="untrained")], ignore_index=True)
    panels = draw_contrasts(both).axes[:4]
    assert [axes.get_title().replace("\n", " ") for axes in panels] == [
        *("mirror-symmetry index, cnn-small", "fit to AL, cnn-small"),
        *("mirror-symmetry index, other", "fit to AL, other"),
    ]
    for axes, start in zip(panels, (0, 0, 0.5, 0.5), strict=True):
        points = [line for line in axes.lines if line.get_marker() == "o" and line.get_markerfacecolor() == "white"]
        assert [line.get_ydata().tolist() for line in points] == [pytest.approx([start, start + 0.1, start + 0.2])] * 2
        for line in points:
            np.testing.assert_allclose(line.get_xdata(), [0, 0.5, 1], atol=0.06)


def test_contrasts_of_two_categories_and_subjects_are_not_mixed():
    table = contrast_table()
    index = table[table["measure"] == "index"].assign(category="face")
    fit = table[table["measure"] == "fit"].assign(subject="m1")
    parts = [index, index.assign(category="car"), fit, fit.assign(subject="m2")]
    titles = [
        axes.get_title().replace("\n", " ") for axes in draw_contrasts(pd.concat(parts, ignore_index=True)).axes[:4]
    ]
    assert titles == [
        *("mirror-symmetry index, face", "mirror-symmetry index, car", "fit to AL, m1", "fit to AL, m2"),
    ]


def test_regimes_are_drawn_where_one_model_has_several():
    assert not has_regimes(Facts((("cnn-small", "natural"), ("pixels", "untrained"))))
    assert has_regimes(Facts((("cnn-small", "natural"), ("cnn-small", "untrained"))))


def test_methods_say_what_was_run():
    def methods(key, table):
        return MEASURES[key].methods({key: table}, {"comparison": {"equal_within": None}})

    (trained,) = methods("training", training_table())
    assert "4 networks were trained for 3 epochs, on 2 random starts a regime" in trained
    assert "50% to 60% on test images" in trained
    (paired,) = methods("regime_contrasts", contrast_table())
    assert "(paired t over seeds)" in paired
    assert "exchange the regimes of seeds" in paired
    assert "Satterthwaite" not in paired
    table = contrast_table("crossed analysis of variance, seeds and exemplars random").assign(p_permutation=np.nan)
    (mixed,) = methods("regime_contrasts", table)
    assert "Satterthwaite" in mixed
    assert "permutation" not in mixed


@pytest.mark.slow
def test_the_report_shows_regimes_and_decomposition_where_they_are(small_study, tmp_path):
    plain = run_study(small_study, out=tmp_path / "plain").out
    page = (plain / "report.html").read_text()
    assert 'id="training-regimes-section"' not in page
    assert 'id="decomposition-section"' not in page
    out = run_study(small_study, out=tmp_path / "run", overrides={"outputs.reflection": True}).out
    tables = {"training": training_table(), "regime_contrasts": contrast_table()}
    for name, table in tables.items():
        write_table(table, name, out / "tables")
    save_figure(draw_training(tables["training"]), "training", out / "figures")
    save_figure(draw_contrasts(tables["regime_contrasts"]), "regime_contrasts", out / "figures")
    page = write_report(out).read_text()
    regimes = page[page.index('<h2 id="training-regimes-section">') : page.index('id="methods"')]
    assert regimes.count("<figure") == 2
    assert re.search(r'data-value="0\.6">0\.600', regimes), "test accuracy of the second seed"
    assert "paired t over seeds" in regimes
    decomposition = page[page.index('<h2 id="decomposition-section">') : page.index('<h2 id="fits-section">')]
    assert decomposition.count("<figure") == 1
    assert "Shapley 1953" in page
    assert page.count('<figure id="components"') == 1
