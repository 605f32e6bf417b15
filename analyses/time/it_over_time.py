"""When inferior temporal cortex tells objects apart, and when positions: recordings of Zhang et al. (2011) over time.

Run as ``python analyses/time/it_over_time.py FOLDER --out DIR [--quick]``; FOLDER holds the raster files (132 neurons,
7 objects x 3 positions, 20 trials of each) as distributed with the Neural Decoding Toolbox. Writes ``codes.csv`` (every
bin), ``onsets.csv``, ``onset_differences.csv``, ``generalisation.csv`` and ``it_over_time.png``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from neural_data import read_recording
from neurocompare.comparison.time_codes import Code, generalise_over_time, infer_codes
from neurocompare.reporting.drawing import style

SEED = 20240607
WINDOW_MS, BIN_MS, STEP_MS = (-200.0, 500.0), 20.0, 10.0
OBJECT = Code("object", levels="stimulus_ID", across="stimulus_position")
POSITION = Code("position", levels="stimulus_position", across="stimulus_ID")
COLOURS = {"object": "#b3402a", "position": "#2a6db3"}


def draw(codes: pd.DataFrame, onsets: pd.DataFrame, over_time: pd.DataFrame) -> plt.Figure:
    """Strengths over time, each over its peak, with onsets; and the similarity of objects' patterns between bins."""
    with style():
        figure, (curves, square) = plt.subplots(1, 2, figsize=(8.2, 3.2), width_ratios=(1.5, 1), layout="constrained")
        for place, (name, rows) in enumerate(codes.groupby("code", sort=False)):
            times = rows[["time_start_ms", "time_end_ms"]].mean(axis=1)
            peak = rows["value"].max()
            curves.plot(times, rows["value"] / peak, color=COLOURS[name], label=name)
            curves.fill_between(
                times, rows["ci_low"] / peak, rows["ci_high"] / peak, color=COLOURS[name], alpha=0.2, lw=0
            )
            found = rows["p_max"] < 0.05
            curves.plot(times[found], np.full(found.sum(), -0.35 - 0.08 * place), "s", color=COLOURS[name], ms=2)
            onset = onsets[onsets["code"] == name].iloc[0]
            if np.isfinite(onset["onset_ms"]):
                height = 0.5 + 0.06 * place
                curves.plot([onset["ci_low"], onset["ci_high"]], [height, height], color=COLOURS[name], lw=2)
                curves.plot(onset["onset_ms"], height, "o", color=COLOURS[name], ms=4)
        curves.axhline(0, color="black", lw=0.6)
        curves.set_xlabel("ms after stimulus onset (centre of a 20 ms bin)")
        curves.set_ylabel("strength of the code, of its peak")
        curves.set_ylim(-0.55, 1.6)
        curves.legend(frameon=False)
        grid = over_time.pivot(index="time_1_ms", columns="time_2_ms", values="similarity")
        edges = (grid.index.min(), grid.index.max()) * 2
        image = square.imshow(grid, origin="lower", extent=edges, vmin=-1, vmax=1, cmap="RdBu_r")
        square.set_xlabel("ms")
        square.set_ylabel("ms")
        square.set_title("objects: same patterns?", fontsize=9)
        figure.colorbar(image, ax=square, label="similarity", shrink=0.8)
    return figure


def main() -> None:
    """Write the tables and the figure, and print the onsets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="fewer permutations and draws, for a first look")
    chosen = parser.parse_args()
    n_permutations, n_draws = (200, 50) if chosen.quick else (2000, 1000)
    recording = read_recording(
        chosen.folder, stimulus="combined_ID_position", window_ms=WINDOW_MS, bin_ms=BIN_MS, step_ms=STEP_MS
    )
    rng = np.random.default_rng(SEED)
    results = {
        resample: infer_codes(
            recording,
            [OBJECT, POSITION],
            identity="stimulus_ID",
            resample=resample,
            n_permutations=n_permutations,
            n_draws=n_draws,
            rng=rng,
        )
        for resample in ("identity+neuron", "neuron")
    }
    found = results["identity+neuron"]
    codes = found.to_frame()
    onsets = pd.concat([one.onsets().assign(resample=name) for name, one in results.items()])
    differences = pd.concat([one.onset_differences().assign(resample=name) for name, one in results.items()])
    over_time = generalise_over_time(
        recording, OBJECT, identity="stimulus_ID", n_permutations=n_permutations // 10, rng=rng
    )
    over_time = over_time[(over_time["time_1_ms"] > 0) & (over_time["time_2_ms"] > 0)]
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name, table in (
        ("codes", codes),
        ("onsets", onsets),
        ("onset_differences", differences),
        ("generalisation", over_time),
    ):
        table.to_csv(chosen.out / f"{name}.csv", index=False, float_format="%.4g")
    draw(codes, onsets, over_time).savefig(chosen.out / "it_over_time.png", dpi=150)
    print(onsets.to_string(index=False))
    print(differences.to_string(index=False))
    for name, rows in codes.groupby("code", sort=False):
        bins = rows[rows["p_max"] < 0.05]
        print(name, "p_max < 0.05 in bins starting at", bins["time_start_ms"].astype(int).tolist())


if __name__ == "__main__":
    main()
