"""Trains the networks of inverse graphics that come with the package, and says how well they report new faces.

Run as ``python analyses/inverse_graphics/train.py --out FOLDER [--seeds 0 1] [--one-sided]``. Writes one checkpoint per
seed, in half precision, and ``reported.csv``: the correlation of reported with true latents on faces that no network
has seen. Faces, views and lights follow from fixed seeds; each network is trained on 400 of 600 faces, drawn by its own
seed. With ``--one-sided`` no face looks to the left in training, and no image is mirrored; filters and matrices have 8
bits; and new faces that look to the right and to the left are reported apart, in ``reported_one_sided.csv``.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from neurocompare.models.checkpoints import in_fewer_bits, write_state
from neurocompare.models.inverse_graphics import LATENTS, learn_to_invert, rendered_scenes, reported

N_FACES, N_OWN_FACES, N_VIEWS = 600, 400, 16
N_NEW_FACES, N_NEW_VIEWS = 60, 10
N_EPOCHS = 8


def main() -> None:
    """Render the faces, train a network per seed, and write weights and table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--one-sided", action="store_true")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    both_sides = not options.one_sided
    kind = "scenes" if both_sides else "one-sided"
    faces = rendered_scenes(N_FACES, N_VIEWS, seed=0, both_sides=both_sides, n_jobs=options.jobs)
    new = rendered_scenes(N_NEW_FACES, N_NEW_VIEWS, seed=1, n_jobs=options.jobs)
    looks_right = new.latents[:, LATENTS.index("azimuth")] > 0
    shown = {"both": new} if both_sides else {"right": new.take(looks_right), "left": new.take(~looks_right)}
    tables = []
    for seed in options.seeds:
        own = np.random.default_rng([seed, 6]).permutation(N_FACES)[:N_OWN_FACES]
        training = faces.take(np.isin(faces.identities, own))
        network = learn_to_invert(training, seed=seed, n_epochs=N_EPOCHS, both_sides=both_sides)
        trained = f"{N_OWN_FACES} of rendered_scenes({N_FACES}, {N_VIEWS}, seed=0), seed {seed}, {N_EPOCHS} epochs"
        path = options.out / f"inverse-graphics_{kind}-{seed}.safetensors"
        weights = in_fewer_bits(network.state_dict(), matrices=torch.float16 if both_sides else torch.float8_e4m3fn)
        write_state(path, weights, {"trained": trained + ", one side" * options.one_sided})
        tables += [reported(network, scenes).assign(seed=seed, side=side) for side, scenes in shown.items()]
        print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    table = pd.concat(tables, ignore_index=True)
    if both_sides:
        table = table.drop(columns="side")
    table.round(4).to_csv(options.out / f"reported{'' if both_sides else '_one_sided'}.csv", index=False)
    columns = [name for name in ("side", "seed") if name in table]
    print(table.pivot(index="latent", columns=columns, values="r").loc[list(LATENTS)].round(2).to_string())


if __name__ == "__main__":
    main()
