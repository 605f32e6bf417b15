"""Coverage of the interval of a layer's mirror-symmetry index, and levels of the F tests of single neurons: one table.

Run as ``python analyses/calibration/index_and_neurons.py [--out TABLE.csv]``. Populations are those of ``generator``.
The interval of an index generalises over exemplars. Its true value is asked for in two ways: the mean over twenty other
samples of as many faces shown to the same units, and the mean over all faces together. They differ, because units are
z-scored over the shown stimuli.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from coverage import LAYERS, READ, SEED, units
from further import N_VIEWS, view_indices
from generator import AZIMUTHS_DEG, draw_faces, draw_neurons

from neurocompare.comparison.tuning import neuron_tuning
from neurocompare.representations.dissimilarities import Population
from neurocompare.representations.viewpoint import summarise_indices

N_REPEATS = {5: 400, 10: 400, 25: 200, 50: 100}
"""Experiments by number of faces."""
N_SAMPLES = 20
N_NEURONS = 20_000
INDEXED = {"weakly mirror-symmetric layer": LAYERS[1], "mirror-symmetric layer": LAYERS[2]}
UNTUNED = {"p_identity": replace(READ, identity=0.0, both=0.0), "p_view": replace(READ, view=0.0, both=0.0)}
"""Neurons without the tuning that an F test asks for, by the column of its p value."""


def index_rows(n_faces: int, rng: np.random.Generator) -> list[dict]:
    """Coverage of the interval of the index, and its bias, for each layer."""
    rows = []
    for name, tuning in INDEXED.items():
        found = []
        for _ in range(N_REPEATS[n_faces]):
            layer = units(tuning, draw_faces(n_faces * (1 + N_SAMPLES), rng), rng)
            samples = [view_indices(part) for part in np.split(layer, 1 + N_SAMPLES)]
            own = summarise_indices(pd.DataFrame({"index": samples[0], "layer": name}), ["layer"]).iloc[0]
            truths = np.nanmean(samples[1:]), np.nanmean(view_indices(layer))
            found.append([(own["ci_low"] <= truth <= own["ci_high"], own["index"] - truth) for truth in truths])
        for position, of in enumerate(("samples of as many faces", "all faces together")):
            covered, error = np.array(found, dtype=float)[:, position].T
            share = covered.mean()
            rows.append(
                {
                    "n_identities": n_faces,
                    "asked": f"index of a {name}, {of}",
                    "kind": "covers",
                    "share": share,
                    "se": np.sqrt(share * (1 - share) / len(covered)),
                    "n": len(covered),
                    "bias": error.mean(),
                    "bias_se": error.std(ddof=1) / np.sqrt(len(error)),
                }
            )
    return rows


def neuron_rows(n_faces: int, rng: np.random.Generator) -> list[dict]:
    """Share of untuned neurons that an F test calls tuned."""
    faces, places = draw_faces(n_faces, rng), np.arange(n_faces * N_VIEWS).reshape(n_faces, N_VIEWS)
    rows = []
    for name, tuning in UNTUNED.items():
        neurons = draw_neurons(faces, replace(tuning, noise=1.0), N_NEURONS, rng)[0]
        p = neuron_tuning(Population("P1", "", neurons), places, AZIMUTHS_DEG)[name]
        share = float((p < 0.05).mean())
        row = {"n_identities": n_faces, "asked": f"{name} of a neuron without that tuning", "kind": "rejects"}
        rows.append(row | {"share": share, "se": np.sqrt(share * (1 - share) / N_NEURONS), "n": N_NEURONS})
    return rows


def main() -> None:
    """Run all sizes; print their table and write it to the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="CSV to write")
    arguments = parser.parse_args()
    rows = []
    for n_faces in N_REPEATS:
        rng = np.random.default_rng([SEED, n_faces])
        rows += [*index_rows(n_faces, rng), *neuron_rows(n_faces, rng)]
    table = pd.DataFrame(rows).round(4)
    print(table.to_string(index=False))
    if arguments.out is not None:
        table.to_csv(arguments.out, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
