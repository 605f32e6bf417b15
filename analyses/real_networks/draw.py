"""Index by relative depth of networks trained by others and of the same networks untrained, from finished runs.

``python analyses/real_networks/draw.py FACES [FACES ...] [--objects OBJECTS] [--out FOLDER]``: FACES are runs of
``analyses/real_networks_faces.toml``, OBJECTS is one of ``analyses/real_networks.toml``. Writes ``index_by_layer.csv``
(mean index over exemplars; for random starts mean, smallest and largest), ``index_by_depth`` (one panel per network)
and ``first_figure`` (one network, faces only), and prints the table.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurocompare.reporting.drawing import new_figure, note, save_figure, style

HERE = Path(__file__).parent
POOLED = {"efficientnet-lite0": "avgpool", "squeezenet": "pool10", "dlib_face": "avgpool"}
"""The layer of each network that pools the last map over space."""
TRAINED_ON = {
    "efficientnet-lite0": "photographs of objects",
    "squeezenet": "photographs of objects",
    "dlib_face": "faces",
}
COLOURS = {"trained": "#D55E00", "untrained": "#777777"}
DASHES = ("-", "--", ":")
SINGLY = ("face", "chair", "airplane", "tool", "animal")
"""Categories with one plane of mirror symmetry."""


def indices(run: Path, label: str) -> pd.DataFrame:
    """Mean index over exemplars for every network, layer and category."""
    table = pd.read_csv(run / "tables" / "viewpoint_summary.csv")
    return table.assign(stimuli=label if table["category"].nunique() == 1 else "objects: " + table["category"])


def over_starts(table: pd.DataFrame) -> pd.DataFrame:
    """Mean, smallest and largest index over random starts, in the order of layers, with relative depth (0 to 1)."""
    keys = ["stimuli", "model", "regime", "layer", "layer_index"]
    found = table.groupby(keys)["index"].agg(["mean", "min", "max", "count"]).reset_index()
    found["pooled"] = found["layer"].str.fullmatch(r"avgpool\(.*\)")
    found = found.sort_values(["stimuli", "model", "regime", "layer_index", "pooled"], kind="stable")
    whole = found[~found["pooled"]].drop_duplicates(["model", "layer"])
    place = whole.groupby("model").cumcount() / (whole.groupby("model")["layer"].transform("size") - 1)
    depths = {(m, layer): d for m, layer, d in zip(whole["model"], whole["layer"], place, strict=True)}
    bare = found["layer"].map(lambda name: re.sub(r"^avgpool\((.*)\)$", r"\1", name))
    found["depth"] = [depths.get(key) for key in zip(found["model"], bare, strict=True)]
    return found.reset_index(drop=True)


def lines(axes: Axes, shown: pd.DataFrame, *, dashes: str = "-", label: str = "") -> None:
    """Index of maps by depth for one stimulus set: the trained network, and random starts with their range."""
    for regime, rows in shown[~shown["pooled"]].groupby("regime", sort=False):
        name = {"trained": "trained", "untrained": "untrained, five starts"}[regime]
        axes.plot(
            rows["depth"], rows["mean"], dashes, color=COLOURS[regime], marker=".", markersize=4, label=name + label
        )
        if (rows["count"] > 1).any():
            axes.fill_between(rows["depth"], rows["min"], rows["max"], color=COLOURS[regime], alpha=0.2, linewidth=0)


def mark(axes: Axes, shown: pd.DataFrame, model: str) -> None:
    """Mark the depth of the global pooling."""
    depth = shown[(shown["layer"] == POOLED[model])]["depth"].iloc[0]
    axes.axvspan(depth - 0.02, depth + 0.02, color="#56B4E9", alpha=0.35, linewidth=0)
    axes.text(depth - 0.03, 0.97, "pooling", rotation=90, ha="right", va="top", fontsize=6, color="#0072B2")
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set(xlabel="relative depth", ylim=(-1, 1))


def draw_panels(table: pd.DataFrame) -> Figure:
    """One column per network, one row per stimulus set; objects with one plane of symmetry share a row."""
    table = table.assign(
        stimuli=table["stimuli"].replace({f"objects: {name}": "objects, one plane" for name in SINGLY})
    )
    kept = table[~table["stimuli"].str.startswith("objects: ")]
    keys = ["stimuli", "model", "regime", "layer", "layer_index", "pooled", "depth", "count"]
    kept = kept.groupby(keys, sort=False)[["mean", "min", "max"]].mean().reset_index()
    sets, models = kept["stimuli"].unique(), [name for name in POOLED if name in set(kept["model"])]
    with style():
        figure = new_figure(2.2 * len(models), 0.7 + 1.7 * len(sets))
        grid = figure.subplots(len(sets), len(models), sharex=True, sharey=True, squeeze=False)
        for row, name in zip(grid, sets, strict=True):
            for axes, model in zip(row, models, strict=True):
                shown = kept[(kept["stimuli"] == name) & (kept["model"] == model)]
                if shown.empty:
                    axes.axis("off")
                    continue
                lines(axes, shown)
                for regime, pooled in shown[shown["pooled"]].groupby("regime", sort=False):
                    axes.plot(pooled["depth"], pooled["mean"], "x", color=COLOURS[regime], markersize=3, alpha=0.7)
                mark(axes, shown, model)
                axes.set_title(f"{model}\ntrained on {TRAINED_ON[model]}" if name == sets[0] else "", fontsize=7)
            row[0].set_ylabel(f"index, {name}")
        grid[0, 0].legend(loc="lower left", fontsize=6)
        note(figure, "mean over exemplars; shaded: range of random starts; crosses: each map pooled over space")
    return figure


def draw_first(table: pd.DataFrame, model: str = "efficientnet-lite0") -> Figure:
    """One network, trained and untrained, for both sets of faces."""
    faces = table[(table["model"] == model) & ~table["stimuli"].str.startswith("objects: ")]
    with style():
        figure = new_figure(5.2, 3.0)
        axes = figure.subplots()
        for dashes, (name, shown) in zip(DASHES, faces.groupby("stimuli", sort=False), strict=False):
            lines(axes, shown, dashes=dashes, label=f" ({name})")
        mark(axes, faces, model)
        axes.set_ylabel("mirror-symmetry index of faces")
        axes.legend(loc="upper left")
    return figure


def main() -> None:
    """Draw, write and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("faces", type=Path, nargs="+")
    parser.add_argument("--objects", type=Path)
    parser.add_argument("--names", nargs="+", default=["faces of the package", "faces of Yildirim et al."])
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    parts = [indices(run, name) for run, name in zip(options.faces, options.names, strict=False)]
    parts += [] if options.objects is None else [indices(options.objects, "")]
    table = over_starts(pd.concat(parts, ignore_index=True))
    table.round(4).to_csv(options.out / "index_by_layer.csv", index=False, lineterminator="\n")
    save_figure(draw_panels(table), "index_by_depth", options.out)
    save_figure(draw_first(table), "first_figure", options.out)
    print(table.to_string(index=False, float_format="{:.2f}".format))


if __name__ == "__main__":
    main()
