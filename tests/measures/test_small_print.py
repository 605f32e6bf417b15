"""What is said below and above panels is true of what they show, whatever the seeds, numbers and regimes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neurocompare.measures.equivariance import draw_equivariance
from neurocompare.measures.fits import draw_fits
from neurocompare.measures.local_features import draw_local_features
from neurocompare.measures.position import draw_position
from neurocompare.measures.reflection import draw_components
from neurocompare.measures.regimes import draw_regimes
from neurocompare.measures.templates import draw_templates
from neurocompare.measures.viewpoint import draw_indices


def networks(*kinds, n_layers=3, **columns):
    """A row a layer of networks: (regime, seed)."""
    rows = [("net", regime, seed, f"layer{k}", k) for regime, seed in kinds for k in range(n_layers)]
    table = pd.DataFrame(rows, columns=["model", "regime", "seed", "layer", "layer_index"])
    return table.assign(**columns)


ONE = [("trained", 0)]
SEVERAL = [("trained", 0), ("trained", 1), ("trained", 2)]
BOTH = [*SEVERAL, ("untrained", 0)]
MEANS = "mean over 3 seeds and its 95 % t interval, faint: single seeds"


def small_print(figure) -> str:
    return " ".join(figure._supxlabel.get_text().split())


def fits_of(kinds, **more):
    fits = {"fit": 0.3, "ci_low": 0.2, "ci_high": 0.4, "ceiling_lower": 0.5, "ceiling_upper": 0.7, "region": "AL"}
    tests = {"p_identity_adjusted": 0.01, "p_zero_adjusted": 0.01, "resample": "identity+neuron"}
    return networks(*kinds, **more, **fits, **tests, n_stimuli=20, simulated=False, method="corr")


def n_filled(figure) -> int:
    """Points of a figure that are filled."""
    lines = [line for line in figure.axes[0].lines if line.get_linestyle() == "None" and line.get_marker() in "os"]
    return sum(len(line.get_xdata()) for line in lines if line.get_markerfacecolor() != "white")


FILLED = "filled: identities agree beyond views, adjusted p < 0.05"
NOT_FILLED = "no point is filled, as tests are shown of single networks of 2 to 60 layers"


@pytest.mark.parametrize(
    ("fits", "said", "n"),
    [
        (fits_of(ONE), f"95 % interval over identities and neurons; {FILLED}; gray", 3),
        (fits_of(SEVERAL), f"{MEANS}; {NOT_FILLED}; gray", 0),
        (
            fits_of(BOTH),
            f"of one network: 95 % interval over identities and neurons; of several seeds: {MEANS}; {FILLED} (single "
            "networks of 2 to 60 layers); gray",
            3,
        ),
        (fits_of(ONE, n_layers=61), f"95 % interval over identities and neurons; {NOT_FILLED}; gray", 0),
        (fits_of(ONE, n_layers=1), f"95 % interval over identities and neurons; {NOT_FILLED}; gray", 0),
    ],
    ids=["one network", "several seeds", "both", "many layers", "one layer"],
)
def test_fits_say_what_bars_and_filled_points_are(fits, said, n):
    figure = draw_fits(fits)
    assert small_print(figure).startswith(said)
    assert n_filled(figure) == n


def test_intervals_of_an_index_are_said_for_one_network_and_for_several_seeds():
    def said(kinds):
        return small_print(draw_indices(networks(*kinds, category="face", index=0.1, ci_low=0.0, ci_high=0.2, n=5)))

    exemplars = "mean over exemplars and its 95 % t interval"
    assert said(ONE) == f"{exemplars}; n = 5 exemplars"
    assert said(SEVERAL) == f"{MEANS}; n = 5 exemplars"
    assert said(BOTH) == f"of one network: {exemplars}; of several seeds: {MEANS}; n = 5 exemplars"


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        (ONE, "95 % t interval over exemplars; n = 1 seed a regime"),
        (SEVERAL, f"{MEANS}; n = 3 seeds a regime"),
        (
            BOTH,
            f"of one network: 95 % t interval over exemplars; of several seeds: {MEANS}; n = 1 to 3 seeds a regime",
        ),
    ],
)
def test_regimes_say_what_the_intervals_are(kinds, said):
    indices = networks(*kinds, category="face", index=0.1, ci_low=0.0, ci_high=0.2)
    assert small_print(draw_regimes(indices)) == said
    fits = fits_of([*kinds, ("brought", 0)])
    with_fits = small_print(draw_regimes(indices, fits))
    assert "95 % t interval over exemplars (fits: 95 % interval over identities and neurons)" in with_fits


def test_regimes_hold_models_that_bring_fits_alone():
    indices = networks(*ONE, category="face", index=0.1, ci_low=0.0, ci_high=0.2)
    fits = pd.concat([fits_of(ONE), fits_of([("brought", 0)]).assign(model="mine", fit=0.1)], ignore_index=True)
    figure = draw_regimes(indices, fits)
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == ["net, trained", "mine, brought"]
    assert sum(list(line.get_ydata()) == [0.1] * 3 for line in figure.axes[1].lines) > 0


def equivariances(kinds, n, measures=("invariance",), sets=("set", "photographs")):
    tables = [
        networks(*kinds, transform=transform, measure=measure, image_set=images, mean=0.5, sd=0.1, n=size)
        for measure in measures
        for images, size in zip(sets, n, strict=False)
        for transform in ("left-right", "rotation")
    ]
    return pd.concat(tables, ignore_index=True)


def test_every_row_of_another_image_set_is_titled():
    titles = [axes.get_title() for axes in draw_equivariance(equivariances(ONE, (5, 50))).axes]
    assert titles == ["left-right, set", "rotation, set", "left-right, photographs", "rotation, photographs"]
    of_one_set = equivariances(ONE, (5,), measures=("invariance", "equivariance"), sets=("set",))
    titles = [axes.get_title() for axes in draw_equivariance(of_one_set).axes]
    assert titles == ["left-right, set", "rotation, set", "", ""]


def test_numbers_that_differ_are_a_range():
    table = equivariances(BOTH, (5, 50))
    assert small_print(draw_equivariance(table)) == (
        "correlation over units, mean over n = 5 to 50 images; of one network: 95 % t interval over images; of several "
        f"seeds: {MEANS}"
    )
    indices = networks(*ONE, index=0.1, ci_low=0.0, ci_high=0.2, category="face", n=[3, 4, 5])
    assert small_print(draw_indices(indices)).endswith("n = 3 to 5 exemplars")
    shifted = {"shift_right_px": 0, "shift_down_px": 0, "category": "face", "ci_low": 0.0, "ci_high": 0.2}
    position = networks(*BOTH, mean=0.1, **shifted, image_size_px=64, n=[3, 4, 5] * 4)
    assert small_print(draw_position(position)) == (
        "shifts in pixels of an image of 64; of one network: mean over exemplars and its 95 % t interval; of several "
        f"seeds: {MEANS}; n = 3 to 5 exemplars"
    )
    features = [
        networks(*ONE, n_layers=1, condition="insertion", percent=p, measure=m, mean=0.1, ci_low=0, ci_high=0.2, n=n)
        for m in ("profile", "index")
        for p, n in ((10, 3), (50, 5))
    ]
    assert small_print(draw_local_features(pd.concat(features))).endswith("95 % t interval over n = 3 to 5 exemplars")


def test_components_and_templates_say_what_their_intervals_are():
    def components(kinds):
        parts = {"region": "AL", "shapley": 0.1, "ci_low": 0.0, "ci_high": 0.2, "resample": "identity+neuron"}
        rows = pd.concat([networks(*kinds, component=name, **parts) for name in ("invariant", "sensitive")])
        return small_print(draw_components(rows.reset_index(drop=True)))

    assert components(ONE) == "Shapley values; 95 % interval over identities and neurons"
    assert components(SEVERAL) == f"Shapley values; {MEANS}"
    fitted = "non-negative least squares on idealised RDMs and the RDM of the images"
    none = "no interval, as weights are of one RDM"
    assert small_print(draw_templates(networks(*ONE, template="view", weight=0.1))) == f"{fitted}; {none}"
    assert small_print(draw_templates(networks(*BOTH, template="view", weight=0.1))) == (
        f"{fitted}; of one network: {none}; of several seeds: {MEANS}"
    )


def test_a_network_of_one_layer_has_lines_across_in_components():
    parts = {"region": "AL", "ci_low": 0.0, "ci_high": 0.2, "resample": "identity"}
    tables = [
        pd.concat([networks(*ONE), networks(*ONE, n_layers=1).assign(model="pixels", layer="pixels")]).assign(
            component=name, shapley=value, **parts
        )
        for name, value in (("invariant", 0.1), ("sensitive", 0.3))
    ]
    axes = draw_components(pd.concat(tables, ignore_index=True)).axes[1]
    assert [line.get_ydata()[0] for line in axes.lines if len(line.get_xdata()) == 2] == [0.1, 0.3, 0]


def test_room_for_names_of_layers_is_that_of_the_longest():
    short = networks(*ONE, template="view", weight=0.1)
    long = short.assign(model="other", layer=[f"a stage with a long name {k}" for k in range(3)])
    alone = draw_templates(long).get_figheight()
    assert draw_templates(pd.concat([short, long], ignore_index=True)).get_figheight() == pytest.approx(alone)
    assert draw_templates(short).get_figheight() < alone - 0.5
    assert np.isfinite(alone)
