"""Every figure at every size: no text leaves the page, and none covers another, whatever the study."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from neurocompare.comparison.account_recovery import SCORED_ON
from neurocompare.comparison.account_verdicts import NONE, UNDECIDED
from neurocompare.measures import MEASURES
from neurocompare.measures.declaration import Patches, needs_of
from neurocompare.measures.profiles import profiles_of
from neurocompare.measures.rival_mechanisms import EXPERIMENTS
from neurocompare.models.accounts import BUILT_IN_ACCOUNTS
from neurocompare.reporting.drawing import SMALL, lay_out, quantity_name, style
from neurocompare.reporting.looks import (
    OTHER_COLOURS,
    REGIME_COLOURS,
    course_looks,
    layer_axis_of,
    looks_of,
    regime_colour,
)
from neurocompare.representations.rdms import build_rdms

DRAWINGS = {figure.name: figure for measure in MEASURES.values() for figure in measure.figures}
TABLES = {table.name: table for measure in MEASURES.values() for table in measure.all_tables}
SIZES = {  # layers, patches, networks (model, regime), seeds of each network
    "one for each": (1, 1, [("net", "untrained")], (1,)),
    "a usual study": (9, 3, [("cnn-small", "untrained"), ("cnn-small", "symmetric"), ("pixels", "untrained")], (1,)),
    "many layers, one patch": (40, 1, [("net", "trained"), ("net", "untrained")], (1,)),
    "hundreds of layers": (300, 2, [("net", "trained"), ("net", "untrained")], (2,)),
    "six patches, long names": (
        9, 6, [("my_package.networks:make_a_network_with_a_long_name", "trained on photographs of everything"),
               ("other.networks:make", "untrained")], (3,),
    ),
    "several of everything": (
        3, 1, [("net", "trained"), ("net", "untrained"), ("other", "trained"), ("pixels", "untrained")], (2, 1, 1, 1),
    ),
}  # fmt: skip
SLOW = ("a usual study", "many layers, one patch", "hundreds of layers", "several of everything")
REGIONS = ("ML", "AL", "AM", "IT", "MF", "PL")


def layers_of(model: str, n_layers: int) -> list[tuple[str, int]]:
    if model == "pixels":
        return [("pixels", 0)]
    if model == "other":
        return [(f"a_stage_with_a_long_name.{k}", k) for k in range(n_layers)]
    deep = n_layers > 100
    return [(f"features.{k}.conv.block" if deep else f"layer{k}.conv", k) for k in range(n_layers)]


def table_of(name: str, size: tuple, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of a table with every value that a figure may look for, at random."""
    n_layers, n_patches, kinds, n_seeds = size
    several = len(set(n_seeds)) > 1
    columns, regions = TABLES[name].names, REGIONS[:n_patches]
    levels = {
        "region": regions,
        "subject": ("m1", "m2") if several else ("m1",),
        "category": ("face", "car") if several and name != "importance" else ("face",),
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
        "across": ("identity", "view") if several else ("identity",),
        "population": ("all", "face-selective"),
        "condition": ("insertion", "deletion", "shuffle"),
        "percent": (10, 50),
        "azimuth_deg": (-90.0, 0.0, 90.0),
        "row": range(4),
        "column": range(4),
        "epoch": (0, 1),
        "shift_right_px": (0, 15),
        "shift_down_px": (0, 15),
        "code": ("identity", "view"),
        "readout": ("code", "index"),
        "scored_on": tuple(SCORED_ON),
        "truth": (*BUILT_IN_ACCOUNTS, "half of one account, half of another"),
        "found": (*BUILT_IN_ACCOUNTS, UNDECIDED, NONE),
        "experiment": tuple(EXPERIMENTS),
        "time_start_ms": (0.0, 20.0, 40.0),
    }
    if name in ("local_features_summary", "importance", "rival_confusion", "rival_pairs"):
        n_layers = 1
    if name == "time_onsets":  # of codes and of the index, which are of no layer
        n_layers, kinds, n_seeds = 1, kinds[:1], (1,)
    rows = []
    pairs = list(itertools.combinations([regime for _, regime in kinds], 2)) or [("a", "b")]
    levels["pair"] = pairs if "first" in columns else pairs[:1]
    for (model, regime), n in zip(kinds, itertools.cycle(n_seeds)):
        for seed, (layer, place) in itertools.product(range(n), layers_of(model, n_layers)):
            base = {"model": model, "regime": regime, "seed": seed, "layer": layer, "layer_index": place}
            used = [key for key in levels if key in columns or key == "pair"]
            for values in itertools.product(*(levels[key] for key in used)):
                rows.append({**base, **dict(zip(used, values, strict=True))})
    table = pd.DataFrame(rows)
    table["first"], table["second"] = zip(*table.pop("pair"), strict=True)
    table = table.drop_duplicates([key for key in table if key in columns])
    for column in columns:
        if column not in table:
            value = rng.uniform(-0.2, 0.9, len(table))
            texts = {"method": "corr", "resample": "identity+neuron", "dissimilarity": "correlation", "score": "corr"}
            if column in texts:
                value = texts[column]
            elif column == "simulated":
                value = True
            elif column == "known":
                value = table["truth"].isin(BUILT_IN_ACCOUNTS)
            elif name.startswith("rival") and column in ("n_identities", "n_neurons"):
                value = 25
            elif column == "image_size_px":
                value = 227.0
            elif column == "time_end_ms":
                value = table["time_start_ms"] + 20
            elif column.startswith("n"):
                value = rng.integers(20, 26, len(table)) if several else 25
            table[column] = value
    for value in {"index", "fit", "mean", "share", "shapley", "estimate", "prediction"} & set(columns):
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
        regions = list(REGIONS[:n_patches])
        about = {"region": regions, "subject": ["m1"] * len(regions)}
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


ALIKE = ("objects", "cars")
"""Two names that choose the same colour."""


def lightness_and_hue(colour: str) -> np.ndarray:
    """CIELAB (D65) of a colour."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ linear / np.array([0.9505, 1.0, 1.089])
    root = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


@pytest.mark.parametrize("regime", [*ALIKE, "mine", "faces", "untrained", "symmetric"])
def test_a_regime_has_one_colour_whatever_is_drawn_beside_it(regime):
    found = set()
    for beside in ([], ["untrained"], [*ALIKE], ["mine", "faces"], ["zoo", "natural", "another"]):
        for order in ([regime, *beside], [*beside, regime]):
            looks = looks_of(pd.DataFrame({"model": "net", "regime": order}))
            found.add(looks["net", regime].colour)
    assert found == {regime_colour(regime)}


def test_colours_of_regimes_are_told_apart():
    colours = [*REGIME_COLOURS.values(), *OTHER_COLOURS]
    for one, other in itertools.combinations(colours, 2):
        assert np.linalg.norm(lightness_and_hue(one) - lightness_and_hue(other)) > 25, (one, other)


def test_regimes_of_one_colour_have_markers_and_lines_of_their_own():
    assert regime_colour(ALIKE[0]) == regime_colour(ALIKE[1])
    table = pd.DataFrame(itertools.product(("net", "other"), ("untrained", *ALIKE)), columns=["model", "regime"])
    looks = looks_of(table)
    shown = [(look.colour, look.marker, look.line) for look in looks.values()]
    assert len(set(shown)) == len(shown)
    in_training = [(look.colour, look.marker) for look in course_looks(table).values()]
    assert len(set(in_training)) == len(in_training)
    plain = course_looks(table[(table["model"] == "net") & (table["regime"] != ALIKE[1])])
    assert {look.marker for look in plain.values()} == {"."}


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


def layers_in(*orders: str) -> pd.DataFrame:
    """Networks whose layers stand in these orders."""
    return pd.DataFrame(
        [("net", "untrained", seed, layer, k) for seed, order in enumerate(orders) for k, layer in enumerate(order)],
        columns=["model", "regime", "seed", "layer", "layer_index"],
    )


def test_networks_share_an_axis_of_layers_where_these_come_in_the_same_order():
    assert layer_axis_of(layers_in("acd", "abcd")).names == tuple("abcd")
    assert layer_axis_of(layers_in("abc", "bca")).names == (), "the same layers in another order"
    assert layer_axis_of(layers_in("abc", "abd")).names == ()


def test_a_network_of_one_layer_is_drawn_across_in_all_panels_or_in_none():
    rows = layers_in("abc")
    views = [("mine", "face", "a"), *(("mine", "car", layer) for layer in "ab")]
    views += [("flat", category, "b") for category in ("face", "car")]
    several = pd.DataFrame(
        [(model, "untrained", 0, layer, "abc".index(layer), category) for model, category, layer in views],
        columns=[*rows, "category"],
    )
    table = pd.concat([*(rows.assign(category=name) for name in ("face", "car")), several], ignore_index=True)
    table = table.assign(index=0.5, ci_low=0.4, ci_high=0.6, n=4)
    figure = DRAWINGS["index_by_layer"].draw(table)
    legend = {line.get_label(): line for line in figure.legends[0].get_lines()}
    assert legend["mine, untrained"].get_marker() not in ("None", None), "points, as of two layers in one panel"
    assert legend["flat, untrained"].get_marker() in ("None", None), "a line across"
    for axes in figure.axes[:2]:
        across = [line for line in axes.lines if line.get_transform() == axes.get_yaxis_transform("grid")]
        assert [line.get_ydata()[0] for line in across] == [0.5, 0], "the network, and zero"


def test_networks_of_one_layer_and_regime_differ_in_their_lines_across():
    table = pd.concat([layers_in("abc"), layers_in("a").assign(model="pixels"), layers_in("b").assign(model="gabor")])
    looks = looks_of(table, axis=layer_axis_of(table))
    assert [look.across for look in looks.values()] == [False, True, True]
    assert looks["pixels", "untrained"].line != looks["gabor", "untrained"].line


def test_rows_of_two_patches_are_never_one_line():
    table = pd.concat([layers_in("abc").assign(region=name, fit=0.5, ci_low=0.4, ci_high=0.6) for name in ("AL", "AM")])
    with pytest.raises(ValueError, match="layer a of net, untrained, seed 0 occurs twice in one panel"):
        profiles_of(table.reset_index(drop=True), "fit")


def test_a_quantity_is_named_with_its_patch():
    assert quantity_name("fit", "AL") == "fit to AL"
    assert quantity_name("shapley_invariant", "AL, m1") == "shapley invariant, AL, m1"
    assert quantity_name("index", np.nan) == "mirror-symmetry index"


def test_a_layer_and_its_pooled_map_have_a_place_each_on_an_axis_of_depth():
    """They have one layer_index, and stand beside each other in the means over seeds, too."""
    layers = [("mine", "pool2", 0), ("mine", "avgpool(pool2)", 0), ("mine", "fc1", 1)]
    layers += [("yours", "a", 0), ("yours", "b", 3)]
    for seeds in ([0], [0, 1]):
        rows = [(model, "own", seed, *layer, 0.1 * seed + len(layer[0])) for seed in seeds for model, *layer in layers]
        table = pd.DataFrame(rows, columns=["model", "regime", "seed", "layer", "layer_index", "fit"])
        found = profiles_of(table.assign(ci_low=table["fit"], ci_high=table["fit"]), "fit")
        assert not found.axis.names
        mine, yours = (found.profiles[model, "own"].rows for model in ("mine", "yours"))
        assert mine["place"].tolist() == [0.0, 0.5, 1.0]
        assert yours["place"].tolist() == [0.0, 1.0]
        np.testing.assert_allclose(mine["value"] - np.mean(seeds) / 10, [5, 14, 3])


def test_networks_of_one_layer_are_points_where_no_other_has_several():
    table = pd.concat([layers_in("a"), layers_in("b")], ignore_index=True).assign(model=["x", "y"])
    assert not any(look.across for look in looks_of(table).values())
