"""Which stage of an image-computable representation fits which simulated patch best: a confusion matrix.

Run as ``python analyses/calibration/stages.py [--out TABLE.csv] [--repeats N]``. Three representations are computed
from the images, without random numbers of the simulation; the third also knows which images show the same view and
the same identity:

- ``view-specific``: Gabor features of every image;
- ``reflection-pooled``: the sum of these features over an image and its mirror image;
- ``view-pooled``: Gabor features minus the mean of each view, averaged over the views of an identity.

Each is fitted to simulated ML, AL and AM as studies fit layers: z-scored units, 1 - Pearson's r, Pearson's r of RDMs;
once as they are and once with view and identity partialled out (``view+identity``), which leaves what images alone can
explain. The identity coordinates of the patches come from rendering parameters, from the images, or at random
(``parametric``). ``best possible`` is the fit of the part of other neurons that images can predict, in an animal
without weights of its own, averaged over draws as in ``image_ceilings``.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from neural_data import StimulusSet
from neural_data.recordings import condition_means
from neural_data.simulation import simulate_again, simulate_patches
from neural_data.stages import COORDINATE_PREFIX
from neurocompare.comparison.controls import cells_of_pairs
from neurocompare.models.gabor import GaborC1
from neurocompare.representations.dissimilarities import correlation_dissimilarity
from neurocompare.representations.rdms import zscore_units
from neurocompare.stimuli import face_views

SEED = 20250402
PATCHES = ("ML", "AL", "AM")
N_OTHER_NEURONS = 400
N_OTHER_DRAWS = 5
NOISE = {"200 neurons, 20 trials": (200, 20), "100 neurons, 10 trials": (100, 10), "50 neurons, 3 trials": (50, 3)}
CONTROLLED = ("none", "view+identity")
EXPECTED = {"ML": "view-specific", "AL": "reflection-pooled", "AM": "view-pooled"}


def without_measures(stimuli: StimulusSet) -> StimulusSet:
    """The same stimulus set without its rendering parameters."""
    measures = [name for name in stimuli.table.columns if name.startswith(COORDINATE_PREFIX)]
    return dataclasses.replace(stimuli, table=stimuli.table.drop(columns=measures))


IMAGES: dict[str, dict] = {
    "25 faces": {"n_identities": 25},
    "10 faces": {"n_identities": 10},
    "25 faces without hair and neck": {"n_identities": 25, "hair": False, "neck": False},
    "25 faces lit from the side": {"n_identities": 25, "light_deg": 60},
}
"""Arguments of ``face_views`` for every stimulus set."""
KNOWN: dict[str, tuple[str, Callable[[StimulusSet], StimulusSet]]] = {
    "by measures": ("image", lambda stimuli: stimuli),
    "by images": ("image", without_measures),
    "parametric": ("parametric", lambda stimuli: stimuli),
}
"""Kind of simulation, and what it is given, by how identities are placed."""


def rdm(responses: np.ndarray) -> np.ndarray:
    """Upper triangle of the RDM of units (n_stimuli, n_units), computed as in studies."""
    matrix = correlation_dissimilarity(zscore_units(responses)[0])
    return matrix[np.triu_indices(len(matrix), 1)]


def representations(stimuli: StimulusSet) -> dict[str, np.ndarray]:
    """RDMs of the three stages, from the images alone."""
    images = stimuli.images(GaborC1.input_size)
    with torch.no_grad():
        plain, mirrored = (
            GaborC1()(torch.from_numpy(np.ascontiguousarray(shown))).double().numpy()
            for shown in (images, images[..., ::-1])
        )
    views, identities = (pd.factorize(stimuli.table[name])[0] for name in ("azimuth_deg", "identity"))
    aligned = plain - pd.DataFrame(plain).groupby(views).transform("mean").to_numpy()
    pooled = pd.DataFrame(aligned).groupby(identities).transform("mean").to_numpy()
    return {"view-specific": rdm(plain), "reflection-pooled": rdm(plain + mirrored), "view-pooled": rdm(pooled)}


def experiment(
    stimuli: StimulusSet, kind: str, models: dict[str, np.ndarray], noise: str, rng: np.random.Generator
) -> list[dict]:
    """Fits of every representation, and of other neurons, to every patch of one simulated recording."""
    n_neurons, n_repetitions = NOISE[noise]
    recording = simulate_patches(stimuli, PATCHES, n_neurons, n_repetitions, rng=rng, kind=kind)
    means = condition_means(recording, stimuli.ids).to_numpy()
    rows = []
    for patch in PATCHES:
        recorded = rdm(means[:, recording["region"].values == patch])
        drawn = [
            rdm(simulate_again(recording, stimuli, patch, N_OTHER_NEURONS, rng=rng, average_animal=True))
            for _ in range(N_OTHER_DRAWS)
        ]
        again = np.mean(drawn, axis=0)
        compared = {"recorded": recorded, **models, "best possible": again}
        for control in CONTROLLED:
            cells = cells_of_pairs(control, stimuli.table)
            vectors = np.stack(list(compared.values()))
            vectors = vectors if cells is None else cells.partialled(vectors)
            fits = dict(zip(compared, np.corrcoef(vectors)[0], strict=True))
            del fits["recorded"]
            rows.append({"control": control, "patch": patch, **fits})
    return rows


def summarised(found: pd.DataFrame, models: list[str]) -> list[dict]:
    """Mean fits of each representation to every patch, and how often it fits best."""
    rows = []
    for (control, patch), fits in found.groupby(["control", "patch"], sort=False):
        fits = fits.drop(columns=["control", "patch"])
        best = fits[models].idxmax(axis=1)
        shares = {f"{stage} best": (best == stage).mean() for stage in models}
        rows.append({"control": control, "patch": patch, "expected": EXPECTED[patch], **fits.mean(), **shares})
    return rows


def main() -> None:
    """Run all conditions, print their table and write it to a file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="CSV to write the table to")
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    rows = []
    for number, (name, shown) in enumerate(IMAGES.items()):
        stimuli = face_views(**shown, size=96)
        models = representations(stimuli)
        for level, (noise, placed) in enumerate(itertools.product(NOISE, KNOWN)):
            kind, given = KNOWN[placed]
            rng = np.random.default_rng([SEED, number, level])
            repeats = [experiment(given(stimuli), kind, models, noise, rng) for _ in range(arguments.repeats)]
            found = pd.DataFrame([row for repeat in repeats for row in repeat])
            setting = {"stimuli": name, "identities": placed, "noise": noise, "n_repeats": arguments.repeats}
            rows += [{**setting, **row} for row in summarised(found, list(models))]
    table = pd.DataFrame(rows).round(3)
    print(table.to_string(index=False))
    if arguments.out is not None:
        table.to_csv(arguments.out, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
