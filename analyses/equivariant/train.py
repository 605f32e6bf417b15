"""Trains networks with filters in mirrored pairs, and says how mirror-symmetric their stages are.

Run as ``python analyses/equivariant/train.py --out FOLDER``. One network pools over space and pairs, one does not. Both
learn to tell apart the ten classes of bilaterally symmetric objects of the built-in set ``symmetric``, at 64 pixels.
Writes their weights, filters and matrices in 8 bits (those of the pooled network come with the package),
``training.csv`` (accuracy on exemplars held out from training, by epoch) and ``stages.csv``: on faces in five views,
the mirror-symmetry index and the even share of view tuning of each stage, before and after training.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from neural_data.stimuli import StimulusSet
from neurocompare.comparison.account_profiles import Views, population_profile
from neurocompare.models.accounts import ACCOUNTS, Account
from neurocompare.models.checkpoints import in_fewer_bits, write_state
from neurocompare.models.datasets import read_dataset, split_dataset
from neurocompare.models.registry import load_model
from neurocompare.models.training import Recipe, train_network
from neurocompare.representations.account_units import units_of_animal
from neurocompare.representations.dissimilarities import correlation_dissimilarity
from neurocompare.representations.rdms import zscore_units
from neurocompare.representations.viewpoint import mirror_symmetry_index
from neurocompare.stimuli.sets import face_views

POOLED, NOT_POOLED = "equivariant", "equivariant-without-pooling"
SIDE = 64
N_IMAGES = 10_000
RECIPE = Recipe(4, batch_size=64, optimizer="adam", learning_rate=2e-3, schedule="one-cycle")
"""That of the networks of inverse graphics: Adam, whose steps do not depend on the scale of gradients. They are small
behind the pooling, where features differ little between images."""
SEED = 0
N_UNTRAINED = 5
AZIMUTHS_DEG = (-90.0, -45.0, 0.0, 45.0, 90.0)
N_IDENTITIES = 25
N_UNITS = 2_000


def stages_of(account: Account, faces: StimulusSet, *, n_animals: int) -> pd.DataFrame:
    """Index and even share of every stage: one row per animal and stage."""
    views = Views(np.arange(len(faces)).reshape(-1, len(AZIMUTHS_DEG)), np.array(AZIMUTHS_DEG))
    rng = np.random.default_rng(SEED)
    rows = []
    for seed in range(n_animals):
        for stage, responses in units_of_animal(account, seed, [faces], n_units=N_UNITS, rng=rng).items():
            scored, _ = zscore_units(responses)
            index = [float(mirror_symmetry_index(correlation_dissimilarity(scored[own]))) for own in views.positions]
            profile = population_profile(np.stack([responses, responses])[None].astype(float), views)
            share = float(profile["even neurons"][0])
            rows.append((seed, stage, account.stages[stage], float(np.mean(index)), share))
    return pd.DataFrame(rows, columns=["seed", "stage", "layer", "index", "even_share"])


def main() -> None:
    """Train both networks; write weights and tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)  # The order of sums, and so the last digits of the weights, depend on it.
    options.out.mkdir(parents=True, exist_ok=True)
    data, _ = read_dataset("symmetric", size=SIDE, n_images=N_IMAGES, seed=SEED, n_jobs=options.jobs)
    splits = split_dataset(data, seed=SEED)
    faces = face_views(N_IDENTITIES, AZIMUTHS_DEG, size=SIDE, seed=SEED, n_jobs=options.jobs)
    curves, tables = [], []
    for name in (POOLED, NOT_POOLED):
        trained = train_network(name, splits, RECIPE, seed=SEED, device="cpu")
        about = f"{len(splits.train)} of read_dataset('symmetric', size={SIDE}, n_images={N_IMAGES}), {RECIPE}"
        path = options.out / f"{name}_symmetric.safetensors"
        write_state(path, in_fewer_bits(trained.state, matrices=torch.float8_e4m3fn), {"trained": about})
        print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
        print(trained.curve.round(4).to_string(index=False))
        curves.append(trained.curve.assign(network=name))
        account = ACCOUNTS[name]
        network = load_model(name, weights=path, regime="symmetric", device="cpu")
        learned = dataclasses.replace(account, load=lambda _seed, network=network: network, n_animals=1)
        tables += [
            stages_of(learned, faces, n_animals=1).assign(network=name, state="trained"),
            stages_of(account, faces, n_animals=N_UNTRAINED).assign(network=name, state="untrained"),
        ]
    pd.concat(curves, ignore_index=True).round(4).to_csv(options.out / "training.csv", index=False)
    table = pd.concat(tables, ignore_index=True)
    grouped = table.groupby(["network", "state", "stage", "layer"], sort=False)[["index", "even_share"]]
    summary = grouped.agg(["mean", "min", "max"])
    summary.columns = [f"{value}_{what}" for value, what in summary.columns]
    # Added to 0, no value is -0.
    summary = (summary.round(3) + 0.0).reset_index()
    summary.to_csv(options.out / "stages.csv", index=False)
    print(summary.to_string(index=False))


if __name__ == "__main__":
    main()
