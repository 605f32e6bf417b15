"""Figure of the calibration study from its two tables: ``python analyses/calibration/draw.py FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

SCHEMES = {
    ("stimulus", "bootstrap", "", "percentile"): ("stimulus bootstrap (the paper's)", "#b0413e", "o"),
    ("identity", "bootstrap", "copy", "t"): ("identity bootstrap", "#d99a2b", "v"),
    ("neuron", "bootstrap", "", "t"): ("neuron bootstrap", "#7b7b7b", "^"),
    ("identity+neuron", "bootstrap", "copy", "t"): ("identity x neuron bootstrap, corrected", "#5b9bd5", "D"),
    ("identity+neuron", "jackknife", "", "t"): ("identity x neuron jackknife (default)", "#1f3b73", "s"),
}
LAYERS = "ML-like", "", "AL-like", "", "AM-like"


def draw(folder: Path) -> plt.Figure:
    """Coverage, type-I error and recovery; one column per population size or noise level."""
    table = pd.read_csv(folder / "calibration.csv", keep_default_na=False, na_values=["nan"])
    table = table[(table["varies"] == "both") & (table["n_subjects"] == 1)]
    recovery = pd.read_csv(folder / "recovery.csv")
    figure, axes = plt.subplots(3, 3, figsize=(10, 9.6), layout="constrained", sharey="row")
    rows = (
        ("fit", "coverage", "coverage of 95 % intervals of a fit", (0.93, 0.97)),
        ("equal", "rejects", "two equal models told apart at 5 %", (0.04, 0.06)),
    )
    for line, (target, column, label, band) in enumerate(rows):
        for axis, n_neurons in zip(axes[line], sorted(table["n_neurons"].unique()), strict=True):
            axis.axhspan(*band, color="#e4eedd", zorder=0)
            part = table[(table["target"] == target) & (table["n_neurons"] == n_neurons)]
            for key, (name, color, marker) in SCHEMES.items():
                chosen = part[(part[["resample", "variance", "within_identity", "interval"]] == list(key)).all(axis=1)]
                values, errors = (pd.to_numeric(chosen[c]) for c in (column, f"{column}_se"))
                axis.errorbar(
                    chosen["n_identities"], values, 1.96 * errors, color=color, marker=marker, ms=4, lw=1.2, label=name
                )
            axis.set(xscale="log", title=f"{n_neurons} neurons" if line == 0 else "")
            axis.set_xticks([5, 10, 25, 50], ["5", "10", "25", "50"])
            axis.minorticks_off()
            if line:
                axis.set_xlabel("identities")
        axes[line, 0].set_ylabel(label)
    for axis, (noise, part) in zip(axes[2], recovery.groupby("noise"), strict=True):
        shares = part[[f"best_{k}" for k in range(len(LAYERS))]].to_numpy()
        axis.imshow(shares, vmin=0, vmax=1, cmap="Blues")
        for (i, k), share in np.ndenumerate(shares):
            if share >= 0.005:
                axis.text(k, i, f"{share:.2f}", ha="center", va="center", fontsize=7, color="w" if share > 0.6 else "k")
        axis.set(xlabel="best-fitting layer", title=f"noise {noise:g} times the signal")
        axis.set_xticks(range(5), LAYERS, fontsize=8)
    axes[2, 0].set_yticks(range(5), LAYERS, fontsize=8)
    axes[2, 0].set_ylabel("layer that neurons read")
    for axis in axes[:2].ravel():
        axis.spines[["top", "right"]].set_visible(False)
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    out = Path(sys.argv[1])
    figure = draw(out)
    for kind in ("png", "svg"):
        figure.savefig(out / f"calibration.{kind}", dpi=130)
