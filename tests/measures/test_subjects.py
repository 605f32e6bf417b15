"""Patches of several subjects are told apart in every figure, table of the report and sentence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neurocompare.measures import MEASURES
from neurocompare.measures.declaration import Patches
from neurocompare.measures.fits import best_layers, draw_fits, draw_rdms, lead_rows, shown_fits
from neurocompare.measures.patch_names import patch_names
from neurocompare.measures.regimes import draw_regimes
from neurocompare.measures.templates import draw_templates_of_patches
from neurocompare.measures.trajectories import draw_trajectories
from neurocompare.measures.viewpoint import draw_indices
from neurocompare.reporting.drawing import lay_out
from tests.comparison.conftest import patterns_of, rdms_of

LAYERS = ("conv1", "conv4", "fc1")
PATCHES = (("AL", "m1"), ("AL", "m2"), ("ML", "m1"))
NAMES = ["AL, m1", "AL, m2", "ML"]


def network(**columns) -> pd.DataFrame:
    """One network: a row a layer."""
    rows = pd.DataFrame({"layer": LAYERS, "layer_index": range(3)})
    return rows.assign(model="net", regime="untrained", seed=0, **columns)


@pytest.fixture
def fits():
    """The first layer is the best for AL of m1, the last for AL of m2; ceilings 0.6, 0.7 and 0.8."""
    values = ([0.5, 0.4, 0.3], [0.1, 0.2, 0.3], [0.2, 0.3, 0.1])
    tables = [
        network(region=region, subject=subject, fit=fit, ceiling_lower=0.5, ceiling_upper=0.6 + 0.1 * place)
        for place, ((region, subject), fit) in enumerate(zip(PATCHES, values, strict=True))
    ]
    table = pd.concat(tables, ignore_index=True)
    table = table.assign(ci_low=table["fit"] - 0.1, ci_high=table["fit"] + 0.1, method="corr", resample="identity")
    table = table.assign(in_best_set=table["layer"] != "conv4")
    return table.assign(p_identity_adjusted=0.01, p_zero_adjusted=0.01, n_stimuli=20, simulated=False)


def profile_of(axes):
    """Values over layers that a panel shows."""
    return next(line for line in axes.lines if line.get_marker() == "o" and len(line.get_xdata()) == 3).get_ydata()


def test_a_patch_is_named_with_its_subject_where_there_are_several():
    table = pd.DataFrame(PATCHES, columns=["region", "subject"])
    assert patch_names(table).tolist() == NAMES
    assert patch_names(table.iloc[[0, 2]]).tolist() == ["AL", "ML"]
    assert patch_names(table[["region"]]).tolist() == ["AL", "AL", "ML"]
    assert patch_names(table.replace("m2", "")).tolist() == ["AL, m1", "AL, unnamed", "ML"]
    without = pd.concat([table, pd.DataFrame({"region": [np.nan], "subject": [np.nan]})], ignore_index=True)
    assert patch_names(without).isna().tolist() == [False, False, False, True]


def test_fits_have_a_panel_a_subject_with_its_own_ceiling(fits):
    panels = draw_fits(fits).axes[:3]
    assert [axes.get_title() for axes in panels] == NAMES
    for number, axes in enumerate(panels):
        np.testing.assert_allclose(profile_of(axes), fits["fit"][3 * number : 3 * number + 3])
        assert max(patch.get_extents().y1 for patch in axes.patches) == pytest.approx(
            axes.transData.transform((0, 0.6 + 0.1 * number))[1]
        )


def test_the_best_layer_is_that_of_each_subject(fits):
    assert best_layers(fits)["layer"].tolist() == ["conv1", "fc1", "conv4"]
    said = MEASURES["fits"].summary({"fits": fits}, {})
    assert said[0].startswith("AL, m1: the best layer of net (untrained) is conv1, fit 0.50")
    assert said[1].startswith("AL, m2: the best layer of net (untrained) is fc1, fit 0.30")
    assert said[2].startswith("ML: the best layer of net (untrained) is conv4")
    assert shown_fits(fits)["patch"].unique().tolist() == NAMES
    for shown in MEASURES["fits"].shown:
        assert shown.rows({"fits": fits})["region"].unique().tolist() == NAMES


def test_where_no_layer_fits_beyond_permuted_identities_none_is_named_the_best(fits):
    fits["p_identity_adjusted"] = [0.3, 0.2, 0.4, 0.05, 0.06, 0.04, 0.5, 0.5, np.nan]
    said = MEASURES["fits"].summary({"fits": fits}, {})
    assert said[0] == (
        "AL, m1: no layer of net (untrained) fits beyond permuted identities; its largest fit is 0.50 (conv1, 95 % "
        "interval 0.40 to 0.60); reliability 0.50, noise ceiling 0.60. The smallest adjusted p over all layers of all "
        "networks is 0.200."
    )
    assert said[1].startswith(
        "AL, m2: the best layer of net (untrained) is fc1, fit 0.30 (95 % interval 0.20 to 0.40); conv1 may be as "
        "good; reliability 0.50, noise ceiling 0.70."
    )
    lead = lead_rows(fits)
    none = "none fits beyond permuted identities"
    assert lead["layer"].tolist() == [none, "fc1", none]
    assert lead["layer_set"].tolist() == ["", "conv1, fc1", ""]
    np.testing.assert_array_equal(lead["p_identity_adjusted"].astype(float), [0.2, 0.04, 0.5])
    np.testing.assert_array_equal(lead["fit"].astype(float), [0.5, 0.3, 0.3])


def test_seeds_without_a_fit_beyond_permuted_identities_are_counted(fits):
    both = pd.concat([fits, fits.assign(seed=1, p_identity_adjusted=0.4)], ignore_index=True)
    said = MEASURES["fits"].summary({"fits": both}, {})
    assert "over 2 seeds is conv1, fits 0.50 to 0.50; in 1 of the seeds no layer fits beyond permuted" in said[0]
    neither = MEASURES["fits"].summary({"fits": both.assign(p_identity_adjusted=0.4)}, {})
    assert "no layer of net (untrained) fits beyond permuted identities in any of 2 seeds; their largest" in neither[0]


def test_regimes_have_a_panel_a_subject(fits):
    indices = network(category="face", index=0.1, ci_low=0.0, ci_high=0.2)
    panels = draw_regimes(indices, fits).axes[:4]
    assert [axes.get_title() for axes in panels[1:]] == [f"fit to {name}" for name in NAMES]
    np.testing.assert_allclose(profile_of(panels[2]), [0.1, 0.2, 0.3])


def test_trajectories_have_a_row_a_subject():
    tables = [
        network(region=region, subject=subject, measure="fit", value=0.1 * place, epoch=epoch)
        for epoch in (0, 1)
        for place, (region, subject) in enumerate(PATCHES)
    ]
    axes = draw_trajectories(pd.concat(tables, ignore_index=True)).axes
    assert [axes[row].get_ylabel() for row in (0, 3, 6)] == [f"fit to {name}" for name in NAMES]
    assert [axes[row].lines[0].get_ydata().tolist() for row in (0, 3, 6)] == [[0, 0], [0.1, 0.1], [0.2, 0.2]]


def test_templates_have_bars_for_each_subject():
    table = pd.DataFrame(PATCHES, columns=["region", "subject"])
    tables = [table.assign(template=name, weight=[0.1, 0.2, 0.3], simulated=False) for name in ("view", "pixels")]
    found = pd.concat(tables, ignore_index=True)
    (axes,) = draw_templates_of_patches(found).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == NAMES
    assert [bar.get_height() for bar in axes.containers[0]] == [0.1, 0.2, 0.3]
    with pytest.raises(ValueError, match="several RDMs of one of the patches"):
        draw_templates_of_patches(pd.concat([found, found], ignore_index=True))


def test_long_names_of_patches_leave_templates_their_room():
    regions = ["AL", "ML" * 100]
    table = pd.DataFrame({"region": regions, "subject": "", "template": "view", "weight": 0.1, "simulated": False})
    figure = draw_templates_of_patches(table)
    lay_out(figure)
    (axes,) = figure.axes
    assert axes.get_position().height * figure.get_figheight() > 0.8, "inches"


def test_view_tuning_names_subjects():
    layers = network(category="face", index=0.1, ci_low=0.0, ci_high=0.2, n=5)
    patches = pd.DataFrame(PATCHES, columns=["region", "subject"])
    patches = patches.assign(category="face", index=[0.1, 0.2, 0.3], ci_low=0.0, ci_high=0.4, simulated=False)
    labels = [label.get_text() for label in draw_indices(layers, patches).axes[0].get_xticklabels()]
    assert labels == [*LAYERS, *NAMES]
    tables = {"viewpoint_summary": layers, "viewpoint_patches_summary": patches}
    assert "AL, m1 0.10, AL, m2 0.20, ML 0.30" in MEASURES["viewpoint"].summary(tables, {})[0]
    assert MEASURES["viewpoint"].shown[0].rows(tables)["layer"].tolist() == [*LAYERS, *NAMES]


def test_rdms_name_subjects(rng):
    patterns = patterns_of(2, 3).assign(azimuth_deg=[-45, 0, 45] * 2)
    about = {"region": [one for one, _ in PATCHES], "subject": [one for _, one in PATCHES]}
    recorded = Patches(rdms_of(rng.random((3, 15)), patterns, **about), None)
    layers = rdms_of(rng.random((3, 15)), patterns, **network().to_dict("list"))
    titles = [axes.get_title() for axes in draw_rdms(layers, recorded).axes]
    assert titles[:6] == [*NAMES, *LAYERS]


def test_regions_of_a_category_are_named_as_those_that_are_text():
    table = pd.DataFrame({"region": pd.Categorical(["AL", "AL", "ML"]), "subject": ["a", "b", "a"]})
    assert patch_names(table).tolist() == ["AL, a", "AL, b", "ML"]
