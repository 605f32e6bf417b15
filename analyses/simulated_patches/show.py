"""Figure of the simulated patches: tuning curves, view RDMs, index and identity tuning, one row per patch.

Run as ``python analyses/simulated_patches/show.py --out FIGURE.png``. Expected after Freiwald & Tsao (2010): neurons of
ML prefer one view, neurons of AL mirror-symmetric views, and neurons of AM respond to few identities in almost all
views. The expected index of Farzmahdi et al. (2024) is negative, near 1 and about 0; the result is -0.48, 0.98 and
0.52. AM is above 0 because half of its small view tuning is pooled over reflection.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from neural_data import StimulusSet, simulate_patches
from neural_data.recordings import condition_means, select_region
from neurocompare.comparison.recorded_index import corrected_indices
from neurocompare.representations.neural_rdms import PopulationRequest, compute_neural_rdms
from neurocompare.representations.rdms import rdm_table
from neurocompare.representations.viewpoint import index_table

SEED = 20240607
AZIMUTHS_DEG = np.arange(-90, 91, 22.5)
N_IDENTITIES = 25
N_MEASURES = 20
N_NEURONS = 200
N_REPETITIONS = 20
N_CURVES = 6
EXPECTED = {"ML": "expected below 0", "AL": "expected near 1", "AM": "expected about 0"}
INK, ACCENT, FAINT = "#222222", "#b5542b", "#b8b8b8"


def show_faces() -> StimulusSet:
    """Twenty-five faces in nine views with twenty random rendering parameters; their images are not used."""
    rows = [(f"face{i:02d}_{a:+.1f}", f"face{i:02d}", a) for i in range(N_IDENTITIES) for a in AZIMUTHS_DEG]
    table = pd.DataFrame(rows, columns=["stimulus_id", "identity", "azimuth_deg"]).set_index("stimulus_id")
    scores = np.random.default_rng(SEED).standard_normal((N_IDENTITIES, N_MEASURES))
    measures = {f"measure_{k}": np.repeat(scores[:, k], len(AZIMUTHS_DEG)) for k in range(N_MEASURES)}
    table = table.assign(filename="none.png", category="face", elevation_deg=0.0, **measures)
    return StimulusSet(table, files=Path("none"), name="faces")


def draw(recording: xr.DataArray, stimuli: StimulusSet, rng: np.random.Generator) -> plt.Figure:
    """One row per patch, one column per kind of panel."""
    figure, axes = plt.subplots(3, 4, figsize=(13, 8.6), constrained_layout=True)
    views = compute_neural_rdms(recording, within="identity", normalize="zscore", stimuli=stimuli)
    indices = index_table(views)
    corrected = corrected_indices(recording, PopulationRequest(stimuli), rng=rng).set_index("region")
    for row, region in zip(axes, EXPECTED, strict=True):
        patch = select_region(recording, region)
        means = condition_means(patch, stimuli.ids).to_numpy()
        cube = means.reshape(N_IDENTITIES, len(AZIMUTHS_DEG), -1)
        row[0].text(
            -0.32, 0.5, region, transform=row[0].transAxes, fontsize=15, fontweight="bold", va="center", ha="right"
        )
        _tuning_curves(row[0], cube.mean(axis=0), np.abs(patch["preferred_azimuth_deg"].values), rng)
        chosen = (rdm_table(views)["region"] == region).to_numpy()
        _view_rdm(row[1], views.get_matrices()[chosen].mean(axis=0))
        _indices(row[2], indices["index"][indices["region"] == region], corrected.loc[region], EXPECTED[region])
        _identities(row[3], cube)
    for axis, title in zip(
        axes[0],
        ("view tuning of single neurons", "mean view RDM of an identity", "index of identities", "identity tuning"),
        strict=True,
    ):
        axis.set_title(title, fontsize=11, color=INK)
    figure.suptitle(
        f"Simulated patches: {N_NEURONS} neurons each, {N_IDENTITIES} identities x {len(AZIMUTHS_DEG)} views x "
        f"{N_REPETITIONS} repetitions",
        fontsize=12,
        color=INK,
    )
    return figure


def _tuning_curves(axis: Axes, curves: np.ndarray, preferred_deg: np.ndarray, rng: np.random.Generator) -> None:
    """Tuning of a few random neurons, and in colour that of the neuron whose preferred view is the patch's median."""
    typical = int(np.argmin(np.abs(preferred_deg - np.median(preferred_deg))))
    for neuron in rng.choice(curves.shape[1], N_CURVES, replace=False):
        axis.plot(AZIMUTHS_DEG, curves[:, neuron] / curves[:, neuron].max(), color=FAINT, linewidth=1)
    axis.plot(AZIMUTHS_DEG, curves[:, typical] / curves[:, typical].max(), color=ACCENT, linewidth=2)
    axis.set(ylim=(0, 1.05), xticks=[-90, -45, 0, 45, 90], xlabel="azimuth (degrees)", ylabel="rate / largest rate")


def _view_rdm(axis: Axes, matrix: np.ndarray) -> None:
    image = axis.imshow(matrix, cmap="viridis", vmin=0, vmax=matrix.max())
    places = [0, 4, 8]
    axis.set(xticks=places, yticks=places, xlabel="azimuth (degrees)", ylabel="azimuth (degrees)")
    axis.set_xticklabels([f"{AZIMUTHS_DEG[p]:g}" for p in places])
    axis.set_yticklabels([f"{AZIMUTHS_DEG[p]:g}" for p in places])
    axis.figure.colorbar(image, ax=axis, label="1 - r", shrink=0.85)


def _indices(axis: Axes, values: pd.Series, corrected: pd.Series, expected: str) -> None:
    axis.hist(values, bins=np.linspace(-1, 1, 41), color=FAINT)
    height = axis.get_ylim()[1]
    axis.errorbar(
        corrected["corrected_index"],
        height * 1.1,
        xerr=[
            [corrected["corrected_index"] - corrected["ci_low"]],
            [corrected["ci_high"] - corrected["corrected_index"]],
        ],
        fmt="o",
        color=ACCENT,
        capsize=3,
    )
    axis.axvline(0, color=INK, linewidth=0.6)
    axis.set(xlim=(-1.05, 1.05), ylim=(0, height * 1.6), xlabel="mirror-symmetry index", ylabel="identities")
    axis.text(
        0.03,
        0.97,
        f"corrected {corrected['corrected_index']:.2f}\n{expected}",
        transform=axis.transAxes,
        va="top",
        fontsize=9,
        color=ACCENT,
    )


def _identities(axis: Axes, cube: np.ndarray) -> None:
    """Rates of each neuron to identities from best to worst, and the share of variance explained by identity."""
    by_identity = cube.mean(axis=1)
    ranked = np.sort(by_identity, axis=0)[::-1] / by_identity.max(axis=0)
    ranks = np.arange(1, N_IDENTITIES + 1)
    low, middle, high = np.percentile(ranked, [25, 50, 75], axis=1)
    axis.fill_between(ranks, low, high, color=FAINT, linewidth=0)
    axis.plot(ranks, middle, color=ACCENT, linewidth=2)
    total = cube.reshape(-1, cube.shape[2]).var(axis=0)
    shares = {"identity": by_identity.var(axis=0) / total, "view": cube.mean(axis=0).var(axis=0) / total}
    said = "\n".join(f"{name}: {np.median(share):.0%} of variance" for name, share in shares.items())
    axis.text(0.97, 0.97, said, transform=axis.transAxes, ha="right", va="top", fontsize=9, color=INK)
    axis.set(ylim=(0, 1.25), xlabel="identity, best to worst", ylabel="rate / largest rate", yticks=[0, 0.5, 1])


def main() -> None:
    """Simulate, draw and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("simulated_patches.png"))
    arguments = parser.parse_args()
    rng = np.random.default_rng(SEED)
    stimuli = show_faces()
    recording = simulate_patches(stimuli, tuple(EXPECTED), N_NEURONS, N_REPETITIONS, rng=rng)
    figure = draw(recording, stimuli, rng)
    for axis in figure.axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(arguments.out, dpi=110)
    print(corrected_indices(recording, PopulationRequest(stimuli), rng=rng).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
