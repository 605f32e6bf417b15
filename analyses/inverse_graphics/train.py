"""Trains the networks of inverse graphics that come with the package, and says how well they report new faces.

Run as ``python analyses/inverse_graphics/train.py --out FOLDER [--seeds 0 1]``. Writes one checkpoint per seed, in half
precision, and ``reported.csv``: the correlation of reported with true latents on faces that no network has seen. Faces,
views and lights follow from fixed seeds; each network is trained on 400 of 600 faces, drawn by its own seed.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from neurocompare.models.checkpoints import write_state
from neurocompare.models.inverse_graphics import LATENTS, learn_to_invert, rendered_scenes, reported

N_FACES, N_OWN_FACES, N_VIEWS = 600, 400, 16
N_NEW_FACES, N_NEW_VIEWS = 60, 10
N_EPOCHS = 8


def half_precision(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights in half precision; counters stay as they are."""
    return {name: value.half() if value.is_floating_point() else value for name, value in state.items()}


def main() -> None:
    """Render the faces, train a network per seed, and write weights and table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    faces = rendered_scenes(N_FACES, N_VIEWS, seed=0, n_jobs=options.jobs)
    new = rendered_scenes(N_NEW_FACES, N_NEW_VIEWS, seed=1, n_jobs=options.jobs)
    tables = []
    for seed in options.seeds:
        own = np.random.default_rng([seed, 6]).permutation(N_FACES)[:N_OWN_FACES]
        network = learn_to_invert(faces.take(np.isin(faces.identities, own)), seed=seed, n_epochs=N_EPOCHS)
        trained = f"{N_OWN_FACES} of rendered_scenes({N_FACES}, {N_VIEWS}, seed=0), seed {seed}, {N_EPOCHS} epochs"
        path = options.out / f"inverse-graphics_scenes-{seed}.safetensors"
        write_state(path, half_precision(network.state_dict()), {"trained": trained})
        tables.append(reported(network, new).assign(seed=seed))
        print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    table = pd.concat(tables, ignore_index=True)
    table.round(4).to_csv(options.out / "reported.csv", index=False)
    print(table.pivot(index="latent", columns="seed", values="r").loc[list(LATENTS)].round(2).to_string())


if __name__ == "__main__":
    main()
