"""Every figure at every size: no text leaves the page, and none covers another, whatever the study."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from neurocompare.measures import MEASURES
from neurocompare.measures.declaration import Patches, needs_of
from neurocompare.reporting.drawing import SMALL, lay_out, style
from neurocompare.reporting.looks import REGIME_COLOURS, layer_axis_of, looks_of, regime_colours
from neurocompare.representations.rdms import build_rdms

DRAWINGS = {figure.name: figure for measure in MEASURES.values() for figure in measure.figures}
TABLES = {table.name: table for measure in MEASURES.values() for table in measure.all_tables}
SIZES = {  # layers, patches, networks (model, regime), seeds
    "one of each": (1, 1, [("net", "untrained")], 1),
    "a usual study": (9, 3, [("cnn-small", "untrained"), ("cnn-small", "symmetric"), ("pixels", "untrained")], 1),
    "many layers, one patch": (40, 1, [("net", "trained"), ("net", "untrained")], 1),
    "hundreds of layers": (300, 2, [("net", "trained"), ("net", "untrained")], 2),
    "six patches, long names": (
        9, 6, [("my_package.networks:make_a_network_with_a_long_name", "trained on photographs of everything"),
               ("other.networks:make", "untrained")], 3,
    ),
}  # fmt: skip
SLOW = ("a usual study", "many layers, one patch", "hundreds of layers")
REGIONS = ("ML", "AL", "AM", "IT", "MF", "PL")


def layers_of(model: str, n_layers: int) -> list[tuple[str, int]]:
    if model == "pixels":
        return [("pixels", 0)]
    deep = n_layers > 100
    return [(f"features.{k}.conv.block" if deep else f"layer{k}.conv", k) for k in range(n_layers)]


def table_of(name: str, size: tuple, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of a table with every value that a figure may look for, at random."""
    n_layers, n_patches, kinds, n_seeds = size
    columns, regions = TABLES[name].names, REGIONS[:n_patches]
    levels = {
        "region": regions,
        "category": ("face",),
        "identity": ("face01",) if name == "importance" else ("id0", "id1"),
        "transform": ("left-right", "up-down") if name == "kernels_summary" else ("left-right", "up-down", "rotation"),
        "measure": {
            "equivariance": ("invariance", "equivariance"),
            "local_features_summary": ("profile", "index"),
            "position_summary": ("index",),
        }.get(name, ("index", "fit")),
        "image_set": ("set", "photographs"),
        "template": ("view", "mirror", "identity", "pixels"),
        "component": ("invariant", "sensitive"),
        "variant": ("zscore", "raw", "idealised"),
        "criterion": ("baek2021", "revised"),
        "kind": ("any",),
        "population": ("all", "face-selective"),
        "condition": ("insertion", "deletion", "shuffle"),
        "percent": (10, 50),
        "azimuth_deg": (-90.0, 0.0, 90.0),
        "row": range(4),
        "column": range(4),
        "epoch": (0, 1),
        "shift_right_px": (0, 15),
        "shift_down_px": (0, 15),
    }
    if name == "local_features_summary" or name == "importance":
        n_layers = 1
    rows = []
    pairs = list(itertools.combinations([regime for _, regime in kinds], 2)) or [("a", "b")]
    for model, regime in kinds:
        for seed, (layer, place) in itertools.product(range(n_seeds), layers_of(model, n_layers)):
            base = {"model": model, "regime": regime, "seed": seed, "layer": layer, "layer_index": place}
            used = [key for key in levels if key in columns]
            for values in itertools.product(*(levels[key] for key in used)):
                first, second = pairs[0]
                rows.append({**base, **dict(zip(used, values, strict=True)), "first": first, "second": second})
    table = pd.DataFrame(rows)
    if "layer" not in columns:
        keys = [key for key in levels if key in columns]
        keys += [key for key in ("model", "regime", "seed") if key in columns]
        table = table.drop_duplicates(keys)
    for column in columns:
        if column not in table:
            value = rng.uniform(-0.2, 0.9, len(table))
            texts = {"method": "corr", "resample": "identity+neuron", "dissimilarity": "correlation", "subject": "m1"}
            if column in texts:
                value = texts[column]
            elif column == "simulated":
                value = True
            elif column == "image_size_px":
                value = 227.0
            elif column.startswith("n"):
                value = 25
            table[column] = value
    for value in {"index", "fit", "mean", "share", "shapley", "estimate"} & set(columns):
        if {"ci_low", "ci_high"} <= set(columns):
            table["ci_low"], table["ci_high"] = table[value] - 0.1, table[value] + 0.1
    return table.reindex(columns=list(columns))


def rdms_of(size: tuple, rng: np.random.Generator, *, recorded: bool):
    n_layers, n_patches, kinds, _ = size
    identities, views = [f"id{k}" for k in range(4)], (-90.0, -45.0, 0.0, 45.0, 90.0)
    patterns = pd.DataFrame(
        [(f"{one}_{view:g}", one, view) for one in identities for view in views],
        columns=["stimulus_id", "identity", "azimuth_deg"],
    ).set_index("stimulus_id")
    if recorded:
        about = {"region": list(REGIONS[:n_patches])}
    else:
        rows = [(m, r, 0, layer, place) for m, r in kinds for layer, place in layers_of(m, n_layers)]
        about = pd.DataFrame(rows, columns=["model", "regime", "seed", "layer", "layer_index"]).to_dict("list")
    n = len(next(iter(about.values())))
    pairs = len(patterns) * (len(patterns) - 1) // 2
    return build_rdms(rng.random((n, pairs)), patterns=patterns, rdms=about, dissimilarity="correlation")


def visible_texts(figure) -> list[tuple[str, object, float]]:
    renderer = figure.canvas.get_renderer()
    found, hidden = [], labels_out_of_view(figure)
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip() and text.get_window_extent(renderer).width > 0:
            box = text.get_window_extent(renderer)
            off = text.axes is not None and not text.axes.axison and text.axes.get_title() != text.get_text()
            if not off and id(text) not in hidden:
                found.append((text, box, text.get_fontsize()))
    return found


def labels_out_of_view(figure) -> set[int]:
    """Labels of ticks beyond the limits of their axes, which are not drawn."""
    hidden = set()
    renderer = figure.canvas.get_renderer()
    for axes in figure.axes:
        view = axes.get_window_extent()
        if not axes.axison:
            hidden |= {id(label) for axis in (axes.xaxis, axes.yaxis) for label in axis.get_ticklabels(which="both")}
        for label in axes.yaxis.get_ticklabels(which="both"):
            box = label.get_window_extent(renderer)
            hidden |= set() if view.y0 - 1 <= (box.y0 + box.y1) / 2 <= view.y1 + 1 else {id(label)}
        for label in axes.xaxis.get_ticklabels(which="both"):
            place = label.get_transform().transform(label.get_position())[0]
            hidden |= set() if view.x0 - 1 <= place <= view.x1 + 1 else {id(label)}
    return hidden


def overlap(first, second) -> float:
    """Share of the smaller box that the other one covers."""
    width = min(first.x1, second.x1) - max(first.x0, second.x0)
    height = min(first.y1, second.y1) - max(first.y0, second.y0)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / min(first.width * first.height, second.width * second.height)


@pytest.mark.parametrize("size", [pytest.param(size, marks=pytest.mark.slow if size in SLOW else ()) for size in SIZES])
@pytest.mark.parametrize("name", DRAWINGS)
def test_no_text_leaves_the_page_or_covers_another(name, size, rng):
    drawing, wanted = DRAWINGS[name], needs_of(DRAWINGS[name].draw)
    given = {key: table_of(key, SIZES[size], rng) for key in wanted if key in TABLES}
    if "layer_rdms" in wanted:
        given["layer_rdms"] = rdms_of(SIZES[size], rng, recorded=False)
        given["patches"] = Patches(rdms_of(SIZES[size], rng, recorded=True), None)
    figure = drawing.draw(**given)
    with style():
        lay_out(figure)
        figure.draw_without_rendering()
        texts = visible_texts(figure)
    page = figure.bbox
    for text, box, points in texts:
        shown = text.get_text()
        assert points >= SMALL - 1, f"{shown!r} has {points} points"
        assert box.x0 >= page.x0 - 1, f"{shown!r} leaves the page on the left"
        assert box.x1 <= page.x1 + 1, f"{shown!r} leaves the page on the right"
        assert box.y0 >= page.y0 - 1, f"{shown!r} leaves the page below"
        assert box.y1 <= page.y1 + 1, f"{shown!r} leaves the page above"
    upright = [(text, box) for text, box, _ in texts if text.get_rotation() in (0.0, 90.0)]
    for (one, first), (other, second) in itertools.combinations(upright, 2):
        assert overlap(first, second) < 0.1, f"{one.get_text()!r} covers {other.get_text()!r}"
    for axes in figure.axes:
        turned = [label for label in axes.get_xticklabels() if label.get_rotation() == 60.0 and label.get_text()]
        places = [label.get_transform().transform(label.get_position())[0] for label in turned]
        assert all(np.diff(places) >= SMALL * figure.dpi / 72), "names of layers touch"


def test_a_regime_has_one_colour_whatever_is_drawn_beside_it():
    regimes = ["untrained", "symmetric", "my own regime", "another"]
    colours = regime_colours(regimes)
    assert len(set(colours.values())) == 4
    assert regime_colours(reversed(regimes)) == colours
    assert regime_colours(["my own regime", "natural"])["my own regime"] == colours["my own regime"]
    assert len(set(REGIME_COLOURS.values())) == len(REGIME_COLOURS)


def test_networks_that_name_layers_differently_go_by_relative_depth():
    rows = [("a", f"conv{k}", k) for k in range(3)] + [("b", f"block{k}", k) for k in range(5)] + [("c", "pixels", 0)]
    table = pd.DataFrame(rows, columns=["model", "layer", "layer_index"]).assign(regime="untrained", seed=0)
    axis = layer_axis_of(table)
    assert axis.names == ()
    places = axis.place(table).groupby("model")["place"].apply(list)
    assert places["a"] == [0, 0.5, 1]
    assert places["b"] == [0, 0.25, 0.5, 0.75, 1]
    assert places["c"] == [0]
    shared = layer_axis_of(table[table["model"] != "b"])
    assert shared.names == ("conv0", "conv1", "conv2")


def test_markers_tell_networks_apart_and_colours_regimes():
    table = pd.DataFrame({"model": ["b", "a", "b"], "regime": ["trained", "trained", "untrained"]})
    looks = looks_of(table)
    assert looks["b", "trained"].marker == looks["b", "untrained"].marker != looks["a", "trained"].marker
    assert looks["b", "trained"].colour == looks["a", "trained"].colour != looks["b", "untrained"].colour
