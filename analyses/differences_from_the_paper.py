"""One number for every difference between our measures and those of Farzmahdi et al. (2024, eLife 90256).

Run as ``python analyses/differences_from_the_paper.py``; ``differences_from_the_paper.md`` explains the numbers. The
paper's measures are written here anew from its text and its published code (github.com/amirfarzmahdi/AL-Symmetry).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from rsatoolbox.data import Dataset
from rsatoolbox.rdm import calc_rdm
from torch import nn

from neural_data import StimulusSet
from neurocompare.models.registry import Network, Preprocessing
from neurocompare.representations.decomposition import shapley_components
from neurocompare.representations.dissimilarities import DISSIMILARITIES, Population, correlation_dissimilarity
from neurocompare.representations.equivariance import measure_equivariance
from neurocompare.representations.importance import foreground_mask, most_important
from neurocompare.representations.local_features import ranked_importance
from neurocompare.representations.viewpoint import mirror_symmetry_index
from neurocompare.stimuli import face_views
from neurocompare.stimuli.luminance import image_symmetry

SIZE = 24


def rotation(rng: np.random.Generator) -> dict[str, float]:
    """Equivariance to rotation of a layer that copies the image, which is perfectly equivariant."""
    pixels = rng.integers(0, 256, (100, SIZE, SIZE), dtype=np.uint8)
    rows = {"identity": [f"i{k}" for k in range(100)], "azimuth_deg": 0.0, "category": "noise", "elevation_deg": 0.0}
    table = pd.DataFrame(rows, index=pd.Index([f"n{k}" for k in range(100)], name="stimulus_id"))
    stimuli = StimulusSet(table.assign(filename="none.png"), pixels=pixels, name="noise")
    network = Network("hands on", nn.Sequential(nn.Identity()).eval(), Preprocessing(size=SIZE))
    found = measure_equivariance(network, stimuli, "all", transforms=["rotation"]).query("measure == 'equivariance'")
    maps = (pixels - pixels.mean(axis=0)) / pixels.std(axis=0)
    turned = np.rot90(np.rot90(maps, axes=(1, 2)), axes=(1, 2))  # the image, and then its map once more
    theirs = np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(maps, turned, strict=True)])
    return {"ours": float(found["mean"].iloc[0]), "theirs": float(theirs)}


def even_views(_rng: np.random.Generator) -> dict[str, float]:
    """Index of four views; opposite half-profiles are alike, opposite profiles are not."""
    matrix = np.abs(np.subtract.outer([2.0, 1.0, 1.0, 2.0], [2.0, 1.0, 1.0, 2.0]))
    matrix[0, 3] = matrix[3, 0] = 1.0
    kept = np.delete(np.arange(4), int(np.ceil(4 / 2)) - 1)
    theirs = np.corrcoef(matrix[:, kept].ravel(), matrix[:, ::-1][:, kept].ravel())[0, 1]
    return {"ours": float(mirror_symmetry_index(matrix)), "theirs": float(theirs)}


def windows(_rng: np.random.Generator) -> dict[str, float]:
    """Image symmetry of a face at 45 degrees, with windows as wide as the image and cut at its nearer edge."""
    image = face_views(1, azimuths_deg=[45], size=96).pixels[0] / 255.0
    cut = []
    for plane in range(8, image.shape[1] - 7):
        width = min(plane, image.shape[1] - plane)
        left, right = image[:, plane - width : plane], image[:, plane : plane + width][:, ::-1]
        if left.std() > 0 and right.std() > 0:
            cut.append(np.corrcoef(left.ravel(), right.ravel())[0, 1])
    return {"ours": image_symmetry(image)[0], "windows cut at the edge": float(max(cut))}


def parts_of_rdms(rng: np.random.Generator) -> dict[str, float]:
    """Share of the invariant part of a layer in a fit: from RDMs of the parts, and from additive parts of an RDM."""
    invariant, sensitive = rng.standard_normal((20, 60)), 1.5 * rng.standard_normal((20, 60))
    upper = np.triu_indices(20, 1)

    def rdm(responses: np.ndarray) -> np.ndarray:
        return correlation_dissimilarity(responses)[upper]

    target = rdm(np.concatenate([invariant, 0.5 * sensitive, rng.standard_normal((20, 40))], axis=1))
    fits = [np.corrcoef(rdm(part), target)[0, 1] for part in (invariant, sensitive, invariant + sensitive)]
    whole = invariant + sensitive
    centred = [part - part.mean(axis=1, keepdims=True) for part in (invariant, sensitive, whole)]
    norms = np.linalg.norm(centred[2], axis=1)
    scaled = [-(part @ part.T / np.outer(norms, norms))[upper] for part in centred[:2]]
    cross = rdm(whole) - 1 - sum(scaled)
    added = [scaled[0] + cross / 2, scaled[1] + cross / 2]
    theirs = [np.corrcoef(part, target)[0, 1] for part in (*added, sum(added))]
    return {"ours": float(shapley_components(*fits)[0]), "adding up": float(shapley_components(*theirs)[0])}


def poisson_prior(_rng: np.random.Generator) -> dict[str, float]:
    """Poisson dissimilarity of 0.001 and 10 spikes/s in one of two neurons, with and without rsatoolbox's prior."""
    rates = np.array([[0.001, 5.0], [10.0, 5.0], [1.0, 1.0]])
    ours = DISSIMILARITIES["poisson"].from_population(Population("", "", rates))[0][0, 1]
    without = calc_rdm(Dataset(rates), method="poisson", prior_weight=1e-9).get_matrices()[0, 0, 1]
    return {"ours": float(ours), "without a prior": float(without)}


def bias_of_importance(_rng: np.random.Generator) -> dict[str, float]:
    """Overlap of the most important ninth of the pixels of a unit with that of the same unit plus a constant."""
    signal = np.zeros((SIZE, SIZE))
    signal[6:12, 6:12] = -1.0
    shown = np.full((1, 3, SIZE, SIZE), 0.5)
    shown[:, :, 3:21, 3:21] = 0.8
    foreground = foreground_mask(shown, dilation_px=5)
    maps = np.stack([signal + constant for constant in (0.0, 3.0)])[:, None, None]
    found = {}
    for name, rank in {"ours": lambda m: ranked_importance(m, np.ones(1)), "not centred": lambda m: m[:, 0]}.items():
        plain, biased = (most_important(rank(one), foreground, 11) for one in maps)
        found[name] = float((plain & biased).sum() / plain.sum())
    return found


def inference(_rng: np.random.Generator) -> dict[str, float]:
    """Of two equal models, how often a difference is found (aim 0.05), and how often intervals hold a fit (0.95).

    From ``calibration/calibration.csv``, 190 neurons: the paper's bootstrap of stimuli, and the package's default.
    """
    table = pd.read_csv(Path(__file__).parent / "calibration" / "calibration.csv")
    table = table[(table["n_neurons"] == 190) & (table["varies"] == "both") & (table["n_subjects"] == 1)]
    paper = (table["resample"] == "stimulus") & (table["interval"] == "percentile")
    ours = (table["resample"] == "identity+neuron") & (table["variance"] == "jackknife")
    found = {}
    for n_identities in (25, 50):
        for name, rows in (("paper", table[paper]), ("ours", table[ours])):
            at = rows[rows["n_identities"] == n_identities].set_index("target")
            found[f"{name}, {n_identities} identities: equal models told apart"] = float(at["rejects"]["equal"])
            found[f"{name}, {n_identities} identities: fit covered"] = float(at["coverage"]["fit"])
    return found


MEASURES = (rotation, even_views, windows, parts_of_rdms, poisson_prior, bias_of_importance, inference)


def main() -> None:
    """Print one line per difference."""
    for number, measure in enumerate(MEASURES):
        found = measure(np.random.default_rng([20250320, number]))
        print(f"{measure.__name__}: " + ", ".join(f"{name} {value:.2f}" for name, value in found.items()))


if __name__ == "__main__":
    main()
