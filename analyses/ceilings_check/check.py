"""Bias and coverage of reliabilities, noise ceilings and the corrected index, on patches with known true values.

Run as ``python analyses/ceilings_check/check.py [--out TABLE.csv] [--repeats N] [--jobs N]``. Every repeat is a new
experiment: new identities, neurons, subjects and spikes. The true values are computed from twenty more samples of
neurons (or other trials, or forty more subjects) with the same stimuli. The true index, which generalises over
identities, is computed from one population of thousands of neurons and hundreds of identities.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from joblib import Parallel, delayed

from neural_data import StimulusSet
from neural_data.recordings import condition_means
from neural_data.simulation import draw_trials, simulate_rates
from neurocompare.comparison.ceilings import neuron_ceilings, subject_ceilings, trial_reliability
from neurocompare.comparison.recorded_index import corrected_indices
from neurocompare.representations.dissimilarities import correlation_dissimilarity
from neurocompare.representations.neural_rdms import compute_neural_rdms
from neurocompare.representations.viewpoint import mirror_symmetry_index

SEED = 20240607
AZIMUTHS_DEG = (-90.0, -45.0, 0.0, 45.0, 90.0)
REGIONS = ("ML", "AL", "AM")
N_NEURONS = (30, 100)
N_IDENTITIES = 25
N_REPETITIONS = 10
N_SPLITS = 50
N_OTHER_SAMPLES = 20
N_OTHER_SUBJECTS = 40
N_TRUE_NEURONS, N_TRUE_IDENTITIES = 16_000, 100


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


def check_neuron_ceilings(region: str, n_neurons: int, rng: np.random.Generator) -> Iterator[dict]:
    """Reliability compared with samples of as many other neurons, its root with all of them together."""
    rates = simulate_rates(
        show_faces(N_IDENTITIES), [region], n_neurons * (1 + N_OTHER_SAMPLES), rng=rng, kind="parametric"
    )
    trials = draw_trials(rates, N_REPETITIONS, rng=rng)
    samples = [trials.isel(neuroid=slice(i, i + n_neurons)) for i in range(0, trials.sizes["neuroid"], n_neurons)]
    others = np.stack([rdm_vector(sample) for sample in samples[1:]])
    agreement = np.corrcoef(others)[np.triu_indices(N_OTHER_SAMPLES, 1)].mean()
    whole = rdm_vector(trials.isel(neuroid=slice(n_neurons, None)))
    found = neuron_ceilings(samples[0], rng=rng, n_splits=N_SPLITS).iloc[0]
    yield {
        "quantity": "reliability over neurons (ceiling_lower)",
        "truth": agreement,
        "estimate": found["ceiling_lower"],
        "se": found["ceiling_lower_se"],
        "covered": found["ceiling_lower_low"] <= agreement <= found["ceiling_lower_high"],
    }
    yield {
        "quantity": "fit of the whole population (ceiling_upper)",
        "truth": np.mean([np.corrcoef(sample, whole)[0, 1] for sample in others]),
        "estimate": found["ceiling_upper"],
    }


def check_trial_reliability(region: str, n_neurons: int, rng: np.random.Generator) -> Iterator[dict]:
    """Reliability over trials, compared with as many other trials of the same neurons."""
    rates = simulate_rates(show_faces(N_IDENTITIES), [region], n_neurons, rng=rng, kind="parametric")
    first, second = (draw_trials(rates, N_REPETITIONS, rng=rng) for _ in range(2))
    yield {
        "quantity": "reliability over trials",
        "truth": np.corrcoef(rdm_vector(first), rdm_vector(second))[0, 1],
        "estimate": trial_reliability(first, rng=rng, n_splits=N_SPLITS)["reliability"][0],
    }


def check_subject_ceilings(region: str, n_neurons: int, rng: np.random.Generator) -> Iterator[dict]:
    """Ceilings over three subjects, compared with the fit of the mean RDM of forty others."""
    subjects = [f"subject{i:02d}" for i in range(3 + N_OTHER_SUBJECTS)]
    rates = simulate_rates(
        show_faces(N_IDENTITIES), [region], n_neurons * len(subjects), rng=rng, subjects=subjects, kind="parametric"
    )
    trials = draw_trials(rates, N_REPETITIONS, rng=rng)
    recorded = np.isin(trials["subject"].values, subjects[:3])
    three = trials.isel(neuroid=np.flatnonzero(recorded))
    shared = compute_neural_rdms(trials.isel(neuroid=np.flatnonzero(~recorded)), by_subject=True).get_vectors()
    shared = ((shared - shared.mean(axis=1, keepdims=True)) / shared.std(axis=1, keepdims=True)).mean(axis=0)
    own = compute_neural_rdms(three, by_subject=True).get_vectors()
    truth = np.mean([np.corrcoef(vector, shared)[0, 1] for vector in own])
    found = subject_ceilings(three).iloc[0]
    inside = found["ceiling_lower"] <= truth <= found["ceiling_upper"]
    for bound in ("ceiling_lower", "ceiling_upper"):
        yield {
            "quantity": f"fit of what subjects share ({bound} over subjects)",
            "truth": truth,
            "estimate": found[bound],
            "covered": inside,
        }


def check_index(region: str, n_neurons: int, rng: np.random.Generator, truth: float) -> Iterator[dict]:
    """The index uncorrected, divided by the reliability, and corrected, compared with that of a large population."""
    rates = simulate_rates(show_faces(N_IDENTITIES), [region], n_neurons, rng=rng, kind="parametric")
    trials = draw_trials(rates, N_REPETITIONS, rng=rng)
    found = corrected_indices(trials, rng=rng, n_splits=N_SPLITS).iloc[0]
    for name in ("index", "index_over_reliability", "corrected_index"):
        row = {"quantity": f"mirror-symmetry index ({name})", "truth": truth, "estimate": found[name]}
        if name == "corrected_index":
            row |= {"se": found["se"], "covered": found["ci_low"] <= truth <= found["ci_high"]}
        yield row


def true_index(region: str, rng: np.random.Generator) -> float:
    """Index of thousands of neurons with the trial noise of the experiments, over a hundred identities."""
    stimuli = show_faces(N_TRUE_IDENTITIES)
    rates = simulate_rates(stimuli, [region], N_TRUE_NEURONS, rng=rng, kind="parametric")
    # Trials are drawn for one block of neurons at a time: all at once would fill gigabytes.
    blocks = [rates.isel(neuroid=slice(i, i + 500)) for i in range(0, N_TRUE_NEURONS, 500)]
    means = [condition_means(draw_trials(block, N_REPETITIONS, rng=rng), stimuli.ids) for block in blocks]
    responses = np.concatenate([block.to_numpy() for block in means], axis=1)
    scores = (responses - responses.mean(axis=0)) / responses.std(axis=0)
    views = scores.reshape(N_TRUE_IDENTITIES, len(AZIMUTHS_DEG), -1)
    matrices = np.stack([correlation_dissimilarity(exemplar) for exemplar in views])
    return float(np.mean(mirror_symmetry_index(matrices)))


def one_repeat(region: str, n_neurons: int, repeat: int, truth: float) -> list[dict]:
    """All checks on one experiment."""
    rng = np.random.default_rng([SEED, REGIONS.index(region), n_neurons, repeat])
    rows = [
        *check_neuron_ceilings(region, n_neurons, rng),
        *check_trial_reliability(region, n_neurons, rng),
        *check_subject_ceilings(region, n_neurons, rng),
        *check_index(region, n_neurons, rng, truth),
    ]
    return [row | {"region": region, "n_neurons": n_neurons} for row in rows]


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean true value and estimate, bias, spread around the true value, mean standard error and coverage."""
    rows = rows.assign(error=rows["estimate"] - rows["truth"])
    grouped = rows.groupby(["quantity", "region", "n_neurons"], sort=False)
    table = grouped.agg(
        truth=("truth", "mean"),
        estimate=("estimate", "mean"),
        bias=("error", "mean"),
        sd=("error", "std"),
        se=("se", "mean"),
        coverage=("covered", lambda covered: covered.astype(float).mean()),
        n=("error", "size"),
    )
    return table.round(3).reset_index()


def main() -> None:
    """Run the checks, print their table and write it to a file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="CSV to write the table to")
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    truths = {region: true_index(region, np.random.default_rng([SEED, i])) for i, region in enumerate(REGIONS)}
    experiments = [(r, n, k) for r in REGIONS for n in N_NEURONS for k in range(arguments.repeats)]
    found = Parallel(n_jobs=arguments.jobs)(delayed(one_repeat)(r, n, k, truths[r]) for r, n, k in experiments)
    table = summarise(pd.DataFrame([row for rows in found for row in rows]))
    print(table.sort_values(["quantity", "region", "n_neurons"], kind="stable").to_string(index=False))
    if arguments.out is not None:
        table.to_csv(arguments.out, index=False)


if __name__ == "__main__":
    main()
