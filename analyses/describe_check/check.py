"""Bias and coverage of the results of ``neurocompare describe``, on simulated patches with known true values.

Run as ``python analyses/describe_check/check.py [--out TABLE.csv] [--repeats N] [--jobs N]``. Every repeat is a new
experiment: new identities, neurons and spikes. Shares and index are compared with those of one population of thousands
of neurons and many identities, the shares without trial noise, the index with as many trials as the experiments. The
reliability is compared with the mean correlation of the RDM with those of other samples of as many neurons and the same
stimuli, the verdict with the sign of the true index.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from joblib import Parallel, delayed

from neural_data import StimulusSet
from neural_data.recordings import condition_means
from neural_data.simulation import draw_trials, simulate_rates
from neurocompare import describe_recording
from neurocompare.representations.dissimilarities import correlation_dissimilarity
from neurocompare.representations.viewpoint import mirror_symmetry_index

SEED = 20240607
AZIMUTHS_DEG = (-90.0, -45.0, 0.0, 45.0, 90.0)
REGIONS = ("ML", "AL", "AM")
N_NEURONS = (30, 100)
N_IDENTITIES = 25
N_REPETITIONS = 5
N_SPLITS = 20
N_OTHER_SAMPLES = 10
N_TRUE_NEURONS, N_TRUE_IDENTITIES = 3_000, 60


def show_faces(n_identities: int) -> StimulusSet:
    """Faces in five views; their images are not used."""
    rows = [(f"face{i:03d}_{a:+.0f}", f"face{i:03d}", a) for i in range(n_identities) for a in AZIMUTHS_DEG]
    table = pd.DataFrame(rows, columns=["stimulus_id", "identity", "azimuth_deg"]).set_index("stimulus_id")
    table = table.assign(filename="none.png", category="face", elevation_deg=0.0)
    return StimulusSet(table, files=Path("none"), name="faces")


def rdm_vector(recording: xr.DataArray) -> np.ndarray:
    """Upper triangle of the correlation RDM of all neurons."""
    matrix = correlation_dissimilarity(condition_means(recording).to_numpy())
    return matrix[np.triu_indices(len(matrix), 1)]


def true_values(region: str) -> dict[str, float]:
    """Shares and index of a very large population, without trial noise."""
    shown = show_faces(N_TRUE_IDENTITIES)
    rates = simulate_rates(
        shown, [region], N_TRUE_NEURONS, rng=np.random.default_rng([SEED, REGIONS.index(region)]), kind="parametric"
    )
    rng = np.random.default_rng(SEED)
    shares = describe_recording(rates, shown, n_splits=2, rng=rng).patches.iloc[0]
    noisy = [
        draw_trials(rates.isel(neuroid=slice(i, i + 500)), N_REPETITIONS, rng=rng)
        for i in range(0, N_TRUE_NEURONS, 500)
    ]
    responses = np.concatenate([condition_means(block, shown.ids).to_numpy() for block in noisy], axis=1)
    scores = (responses - responses.mean(axis=0)) / responses.std(axis=0)
    views = scores.reshape(N_TRUE_IDENTITIES, len(AZIMUTHS_DEG), -1)
    index = np.mean(mirror_symmetry_index(correlation_dissimilarity(views)))
    names = ("view_share", "identity_share", "interaction_share")
    return {name: float(shares[name]) for name in names} | {"index": float(index)}


def experiment(region: str, n_neurons: int, truth: dict[str, float], repeat: int) -> list[dict]:
    """Estimates of one experiment and the true values."""
    rng = np.random.default_rng([SEED, REGIONS.index(region), n_neurons, repeat])
    shown = show_faces(N_IDENTITIES)
    rates = simulate_rates(shown, [region], n_neurons * (1 + N_OTHER_SAMPLES), rng=rng, kind="parametric")
    trials = draw_trials(rates, N_REPETITIONS, rng=rng)
    samples = [trials.isel(neuroid=slice(i, i + n_neurons)) for i in range(0, trials.sizes["neuroid"], n_neurons)]
    found = describe_recording(samples[0], shown, n_splits=N_SPLITS, rng=rng).patches.iloc[0]
    own, *others = (rdm_vector(sample) for sample in samples)
    about = {"region": region, "n_neurons": n_neurons, "repeat": repeat}
    rows = []
    for name, prefix in (
        ("view_share", "view_share"),
        ("identity_share", "identity_share"),
        ("interaction_share", "interaction_share"),
        ("corrected_index", "index"),
        ("reliability", "reliability"),
    ):
        true = np.mean([np.corrcoef(own, other)[0, 1] for other in others]) if name == "reliability" else truth[prefix]
        low, high = found[f"{prefix}_ci_low"], found[f"{prefix}_ci_high"]
        rows.append({**about, "quantity": name, "truth": true, "estimate": found[name], "covered": low <= true <= high})
    rows.append({**about, "quantity": "verdict", "truth": np.sign(truth["index"]), "said": found["verdict"]})
    return rows


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """True value, mean estimate, bias and coverage by patch and number of neurons."""
    numbers = rows[rows["quantity"] != "verdict"]
    table = numbers.groupby(["region", "n_neurons", "quantity"], sort=False).agg(
        truth=("truth", "mean"), estimate=("estimate", "mean"), coverage=("covered", "mean"), n=("covered", "size")
    )
    table.insert(2, "bias", table["estimate"] - table["truth"])
    return table.reset_index()


def main() -> None:
    """Simulate, describe, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    truths = {region: true_values(region) for region in REGIONS}
    work = [(r, n, truths[r], k) for r in REGIONS for n in N_NEURONS for k in range(arguments.repeats)]
    found = Parallel(n_jobs=arguments.jobs)(delayed(experiment)(*one) for one in work)
    rows = pd.DataFrame([row for rows in found for row in rows])
    table = summary(rows)
    print(table.to_string(index=False, float_format="{:.3f}".format))
    said = rows[rows["quantity"] == "verdict"].groupby(["region", "n_neurons"], sort=False)["said"].value_counts()
    print(said.to_string())
    if arguments.out is not None:
        table.to_csv(arguments.out, index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
