"""Bias of the reliability of neural RDMs and coverage of its interval, on populations of ``generator``: one table.

Run as ``python analyses/calibration/reliability.py [--repeats N] [--out TABLE.csv]``. Each cell has 40 sets of 10
faces. The true reliability of a set is the mean correlation between the RDMs of 60 populations; the estimate from each
of other populations and its 95 % interval, as ``neuron_ceilings`` gives them for a recording, are compared with it. A
few neurons with heavy tails and rich tuning cannot have a high reliability even without noise: such cells take
``SMOOTH`` tuning, and those that it cannot reach either are left out.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from generator import Tuning, agreement, draw_faces, draw_neurons, noise_for_reliability, rdm_vectors

from neurocompare.comparison.reliability import neuron_reliability
from neurocompare.representations.dissimilarities import Population

SEED = 20251127
READ = Tuning(view=1.0, identity=0.5, both=0.7, mirrored=0.5)
SMOOTH = Tuning(view=1.0, identity=0.15, both=0.15, width_deg=80.0, tails=20.0, gain_sd=0.2)
TUNINGS = {"rich": READ, "smooth": SMOOTH}
N_IDENTITIES = 10
N_SETS = 40
N_OTHERS = 60
NEURONS = (30, 100, 200)
RELIABILITIES = (0.3, 0.6, 0.84, 0.94, 0.97)


def reached(tuning: Tuning, n_neurons: int, rng: np.random.Generator) -> float:
    """Reliability of populations without noise."""
    faces = draw_faces(N_IDENTITIES, rng)
    return agreement(rdm_vectors(draw_neurons(faces, replace(tuning, noise=0.0), n_neurons, rng, N_OTHERS)))


def cell(n_neurons: int, reliability: float, n_repeats: int) -> dict[str, float | str] | None:
    """One row: bias and coverage over all sets of faces; None if no tuning has this reliability."""
    rng = np.random.default_rng([SEED, n_neurons, round(1000 * reliability)])
    name = next(
        (name for name, tuning in TUNINGS.items() if reached(tuning, n_neurons, rng) > reliability + 0.01), None
    )
    if name is None:
        return None
    sizes = {"n_identities": N_IDENTITIES, "n_neurons": n_neurons}
    tuning = noise_for_reliability(TUNINGS[name], reliability, **sizes, rng=rng)
    errors, hits, truths = [], [], []
    for _ in range(N_SETS):
        faces = draw_faces(N_IDENTITIES, rng)
        truth = agreement(rdm_vectors(draw_neurons(faces, tuning, n_neurons, rng, N_OTHERS)))
        for _ in range(n_repeats // N_SETS):
            found = neuron_reliability(
                Population("P", "", draw_neurons(faces, tuning, n_neurons, rng)[0]), n_splits=50, rng=rng,
                method="corr", dissimilarity="correlation", normalize=None, with_se=True, cells=None,
            )  # fmt: skip
            low, high = found.interval()
            errors.append(found.value - truth)
            hits.append(low <= truth <= high)
            truths.append(truth)
    share = float(np.mean(hits))
    return {
        **sizes,
        "tuning": name,
        "reliability": float(np.mean(truths)),
        "bias": float(np.mean(errors)),
        "bias_se": float(np.std(errors) / np.sqrt(len(errors))),
        "coverage": share,
        "coverage_se": float(np.sqrt(share * (1 - share) / len(hits))),
        "n": len(hits),
    }


def main() -> None:
    """Run all cells and print their table; write it to a file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=1000, help=f"of each cell, a multiple of {N_SETS}")
    parser.add_argument("--out", type=Path, help="CSV to write the table to")
    arguments = parser.parse_args()
    cells = (cell(n, wanted, arguments.repeats) for n in NEURONS for wanted in RELIABILITIES)
    table = pd.DataFrame([row for row in cells if row is not None]).round(4)
    print(table.to_string(index=False))
    if arguments.out is not None:
        table.to_csv(arguments.out, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
