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


def test_shifts_of_each_direction_are_a_line_of_their_own():
    rows = [(0, 0, 1.0), (15, 0, 0.2), (0, 15, 0.9), (15, 15, 0.3), (5, 0, 0.8)]
    table = pd.DataFrame(
        [
            NETWORK | INTERVAL | {"category": "face", "shift_right_px": right, "shift_down_px": down, "mean": value}
            for right, down, value in rows
        ]
    ).assign(image_size_px=227.0)
    figure = draw_position(table)
    (axes,) = figure.axes
    drawn = lines(axes)
    for wanted in ([[0, 1], [5, 0.8], [15, 0.2]], [[0, 1], [15, 0.9]], [[0, 1], [15, 0.3]]):
        assert wanted in drawn
    assert axes.get_xlabel() == "shift (px of 227)"
    only_right = draw_position(table[table["shift_down_px"] == 0])
    assert [text.get_text() for text in only_right.legends[0].get_texts()] == ["right"]
    elsewhere = draw_position(table.assign(shift_right_px=-table["shift_right_px"]))
    assert {text.get_text() for text in elsewhere.legends[0].get_texts()} == {"left", "down", "left and down"}
    assert draw_position(table[:1]).axes[0].lines


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
    points = [line.get_xydata()[0].tolist() for line in figure.axes[0].lines if len(line.get_xydata()) == 1]
    assert points == [[0.0, 25.0]]
    assert [tick.get_text() for tick in figure.axes[-1].get_xticklabels()] == ["fc1 (256)"]
    if several:
        assert [text.get_text() for text in figure.axes[2].texts] == ["0"]
