"""Figures of kernels, units, local features and position show the numbers of their tables where they belong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neurocompare.measures.kernels import draw_kernels
from neurocompare.measures.local_features import draw_local_features
from neurocompare.measures.position import draw_position
from neurocompare.measures.units import draw_units

NETWORK = {"model": "net", "regime": "trained", "seed": 0, "layer": "fc1", "layer_index": 0}
INTERVAL = {"sd": 0.1, "ci_low": -0.1, "ci_high": 0.9, "n": 7, "n_undefined": 0}


def lines(axes):
    """Points of every line of an axes that has several, rounded."""
    found = [np.round(line.get_xydata(), 6) for line in axes.lines if len(line.get_xydata()) > 1]
    return [points.tolist() for points in found]


def test_deletion_is_drawn_over_what_is_left_of_the_image():
    rows = [
        {"condition": condition, "percent": percent, "measure": measure, "mean": value}
        for condition, percent, value in [("insertion", 10, 0.3), ("insertion", 80, 0.6), ("deletion", 10, 0.5),
                                          ("deletion", 80, 0.2), ("intact", 100, 0.7)]
        for measure in ("profile", "index")
    ]  # fmt: skip
    figure = draw_local_features(pd.DataFrame([NETWORK | INTERVAL | row for row in rows]))
    profile, index = figure.axes
    assert [[20.8, 0.2], [90.8, 0.5]] in lines(profile)
    assert [[9.2, 0.3], [79.2, 0.6]] in lines(index)
    assert any(line.get_ydata()[0] == 0.7 for line in index.lines)
    assert "n = 7 exemplars" in figure._supxlabel.get_text()


def test_every_shift_is_a_profile_over_layers():
    values = {(0, 0): (1.0, 0.9), (15, 0): (0.2, 0.8), (0, -15): (0.5, 0.4), (15, 15): (0.3, 0.1)}
    rows = [
        NETWORK | INTERVAL | {"layer": layer, "layer_index": place, "shift_right_px": right, "shift_down_px": down}
        | {"category": "face", "image_size_px": 227.0, "mean": both[place]}
        for (right, down), both in values.items()
        for place, layer in enumerate(("conv1", "fc1"))
    ]  # fmt: skip
    figure = draw_position(pd.DataFrame(rows))
    (axes,) = figure.axes
    drawn = [[y for _, y in line] for line in lines(axes)]
    assert all(list(both) in drawn for both in values.values())
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["in place", "15 right", "15 up", "15 right, 15 down"]
    assert "pixels of an image of 227" in figure._supxlabel.get_text()


def test_layers_with_one_kernel_size_carry_their_channels():
    rows = [
        {"layer": layer, "layer_index": place, "transform": flip, "mean": value, "n": n}
        for layer, place, n in [("conv1", 0, 32), ("fc1", 1, 256)]
        for flip, value in [("left-right", 0.4), ("up-down", 0.1)]
    ]
    table = pd.DataFrame([NETWORK | INTERVAL | row for row in rows])
    figure = draw_kernels(pd.concat([table, table.assign(seed=1, mean=0.9)]))
    assert len(figure.axes) == 1, "the first seed is shown"
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["conv1 (32)", "fc1 (256)"]
    assert [[-0.12, 0.4], [0.88, 0.4]] in lines(figure.axes[0])


def test_flips_of_a_layer_share_a_place_and_layers_without_halves_are_left_out():
    rows = [
        {"layer": layer, "layer_index": place, "transform": flip, "mean": value, "n": n}
        for layer, place, counts in [("conv1", 0, (31, 32)), ("expand", 1, (0, 0)), ("fc1", 2, (256, 256))]
        for (flip, value), n in zip([("left-right", 0.4), ("up-down", 0.1)], counts, strict=True)
    ]
    (axes,) = draw_kernels(pd.DataFrame([NETWORK | INTERVAL | row for row in rows])).axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["conv1 (31)", "fc1 (256)"]
    assert [[0.12, 0.1], [1.12, 0.1]] in lines(axes)


@pytest.mark.parametrize("several", [True, False])
def test_shares_are_percent_and_empty_populations_have_no_point(several):
    populations = {"all": (256, 0.25), "face-selective": (0, np.nan)} if several else {"all": (256, 0.25)}
    rows = [
        {
            "criterion": criterion, "kind": kind, "population": population, "share": share, "ci_low": share - 0.1,
            "ci_high": share + 0.1, "n_found": 0, "n_units": n, "n_seeds": 1,
        }
        for criterion in ("baek2021", "revised") for kind in ("full-profile", "any")
        for population, (n, share) in populations.items()
    ]  # fmt: skip
    table = pd.DataFrame([{k: v for k, v in NETWORK.items() if k != "seed"} | row for row in rows])
    figure = draw_units(table)
    assert len(figure.axes) == 2 * len(populations)
    points = [line.get_xydata()[0].tolist() for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert points == [[0.0, 25.0]]
    titles = [axes.get_title().split("\n")[-1] for axes in figure.axes]
    assert titles == ["n = 256 units a layer"] * 2 + ["n = 0 units a layer"] * 2 * several
