"""Objects and positions in recordings of inferior temporal cortex: RDM, reliability, and distances by kind of pair.

Run as ``python analyses/it_objects/show.py FOLDER --out FIGURE.png``; FOLDER holds the raster files of Zhang et al.
(2011, PNAS 108:8850) as distributed with the Neural Decoding Toolbox (132 neurons, 7 objects x 3 positions).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from rsatoolbox.rdm import RDMs

from neural_data import read_recording
from neural_data.checking import check_recording
from neurocompare.comparison.ceilings import neuron_ceilings, trial_reliability
from neurocompare.comparison.fit_result import FitResult
from neurocompare.comparison.inference import infer_fits
from neurocompare.comparison.partition import partial_fits
from neurocompare.representations.neural_rdms import compute_neural_rdms
from neurocompare.representations.rdms import build_rdms, pattern_table

SEED = 20240607
KINDS = ("same object", "same position", "neither")


def describe(matrix: np.ndarray, patterns: pd.DataFrame) -> pd.DataFrame:
    """Mean dissimilarity of pairs that share the object, the position, or neither; overall and by object."""
    objects, places = patterns["stimulus_ID"].to_numpy(), patterns["stimulus_position"].to_numpy()
    same_object, same_place = objects[:, None] == objects, places[:, None] == places
    pairs = ~np.eye(len(matrix), dtype=bool)
    masks = (same_object & pairs, same_place & pairs, ~same_object & ~same_place)
    rows = {"all": [matrix[mask].mean() for mask in masks]}
    for name in dict.fromkeys(objects):
        rows[name] = [matrix[mask & (objects == name)[:, None]].mean() for mask in masks]
    return pd.DataFrame.from_dict(rows, orient="index", columns=KINDS)


def templates(patterns: pd.DataFrame) -> RDMs:
    """RDMs of three ideal populations: of objects at any position, of positions of any object, of both alike."""
    first, second = np.triu_indices(len(patterns), 1)
    objects, places = (patterns[name].to_numpy() for name in ("stimulus_ID", "stimulus_position"))
    other_object, other_place = objects[first] != objects[second], places[first] != places[second]
    values = np.array([other_object, other_place, other_object.astype(float) + other_place], dtype=float)
    return build_rdms(
        values, patterns=patterns, rdms={"name": ["object", "position", "both"]}, dissimilarity="template"
    )


def fit_templates(recording: xr.DataArray) -> tuple[FitResult, pd.DataFrame]:
    """Fits of the templates over objects and neurons, and of object and position with the other partialled out."""
    recording = recording.assign_coords(identity=("presentation", recording["stimulus_ID"].to_numpy()))
    rdms = compute_neural_rdms(recording, normalize="zscore")
    rdms.pattern_descriptors["identity"] = rdms.pattern_descriptors["stimulus_ID"]
    models = templates(pattern_table(rdms))
    drawn = {"recording": recording, "resample": ["identity", "neuron"]}
    fits = infer_fits(models, rdms, **drawn, rng=np.random.default_rng(SEED))
    alone = [
        partial_fits(models[i], rdms, {name: models[j]}, **drawn, rng=np.random.default_rng(SEED))
        for i, j, name in ((0, 1, "position"), (1, 0, "object"))
    ]
    return fits, pd.concat(alone, ignore_index=True)


def draw_rdm(axis: Axes, matrix: np.ndarray, patterns: pd.DataFrame, title: str) -> None:
    """RDM with one label per object and thin lines between objects."""
    image = axis.imshow(matrix, cmap="viridis", vmin=0)
    objects = list(dict.fromkeys(patterns["stimulus_ID"]))
    axis.set_xticks(np.arange(len(objects)) * 3 + 1, objects, rotation=60)
    axis.set_yticks(np.arange(len(objects)) * 3 + 1, objects)
    axis.tick_params(length=0)
    for edge in np.arange(1, len(objects)) * 3 - 0.5:
        axis.axhline(edge, color="white", linewidth=0.6)
        axis.axvline(edge, color="white", linewidth=0.6)
    axis.set_title(title, fontsize=10)
    axis.figure.colorbar(image, ax=axis, shrink=0.75, label="1 - r across neurons")


def draw_kinds(axis: Axes, table: pd.DataFrame) -> None:
    """Mean dissimilarity of each kind of pair, one line per object."""
    for name, row in table.iterrows():
        style = {"color": "#b5542b", "linewidth": 2.5} if name == "all" else {"color": "#b8b8b8", "linewidth": 1}
        axis.plot(KINDS, row, marker="o", **style)
    axis.set(ylabel="mean 1 - r across z-scored neurons", ylim=(0, None), title="pairs that share ...")
    axis.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Read, check, compute, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("it_objects.png"))
    arguments = parser.parse_args()
    label = "combined_ID_position"
    print(check_recording(arguments.folder, stimulus=label, region="IT").to_text(), end="\n\n")
    recording = read_recording(arguments.folder, stimulus=label, region="IT")
    figure, axes = plt.subplots(1, 3, figsize=(15, 4.6), constrained_layout=True)
    for axis, normalize in zip(axes, (None, "zscore"), strict=False):
        rdms = compute_neural_rdms(recording, normalize=normalize)
        matrix, patterns = rdms.get_matrices()[0], pattern_table(rdms)
        rng = np.random.default_rng(SEED)
        ceiling = neuron_ceilings(recording, rng=rng, normalize=normalize).iloc[0]
        trials = trial_reliability(recording, rng=rng, normalize=normalize).iloc[0]
        title = f"{'raw' if normalize is None else 'z-scored'} rates, reliability {ceiling['ceiling_lower']:.2f}"
        draw_rdm(axis, matrix, patterns, title)
        table = describe(matrix, patterns)
        print(f"{title} (se {ceiling['ceiling_lower_se']:.2f}) over neurons, {trials['reliability']:.2f} over trials")
        print(table.round(3).to_string(), end="\n\n")
    fits, alone = fit_templates(recording)
    print("z-scored rates", fits, fits.pairwise().T, alone.T, sep="\n\n")
    draw_kinds(axes[2], table)
    figure.suptitle("132 neurons of macaque inferior temporal cortex, 7 objects x 3 positions (Zhang et al. 2011)")
    figure.savefig(arguments.out, dpi=100)


if __name__ == "__main__":
    main()
