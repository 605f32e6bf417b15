"""Levels of tests, coverage of intervals and onsets over time, on populations whose time course is known.

Run as ``python analyses/calibration/over_time.py --out analyses/calibration/time.csv [--repeats N]``. Each repeat
draws new identities of two categories (20, in three views) and 40 neurons, whose mean responses are sums of a category
pattern, an identity pattern and a view pattern, each times its own rise over time, and noise. The category (and view)
rises at 90 ms, the identity 20 ms later. Null experiments have no identity pattern; layers then have identities of
their own. A third kind of experiment has views that are mirror-symmetric and identities with three coordinates, which a
layer shares: the onsets of its fit, of its predictions and of the index, whose true values are those of the mean curves
of ``N_TRUTH`` other experiments.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from rsatoolbox.rdm import RDMs

from neural_data.recordings import make_recording
from neurocompare.comparison.encoding import Encoding
from neurocompare.comparison.onsets import rise_times
from neurocompare.comparison.time_codes import infer_codes
from neurocompare.comparison.time_courses import TimeCourses, compare_onsets
from neurocompare.comparison.time_encoding import infer_encoding_by_time
from neurocompare.comparison.time_fits import infer_fits_by_time
from neurocompare.comparison.time_index import infer_index_by_time
from neurocompare.representations.kernels import feature_rdms

N_IDENTITIES, N_VIEWS, N_NEURONS, N_LAYERS = 20, 3, 40, 4
BINS_MS = np.stack([np.arange(20, 231, 10), np.arange(40, 251, 10)], axis=1)
CATEGORY_MS, IDENTITY_MS, RISE_MS, DECAY_MS = 90.0, 110.0, 8.0, 250.0
SIZE, VIEW_SIZE, NOISE = 0.6, 0.5, 1.5
N_COORDINATES, STRONG_VIEWS, N_TRUTH, TRUTH = 3, 1.2, 200, 2**20


def course(onset_ms: float) -> np.ndarray:
    """Mean of a rise and decay in every bin, (n_bins,)."""
    fine = np.arange(0, BINS_MS.max()) + 0.5
    rise = 1 / (1 + np.exp(-(fine - onset_ms) / RISE_MS)) * np.exp(-np.maximum(fine - onset_ms - 30, 0) / DECAY_MS)
    return np.array([rise[int(start) : int(end)].mean() for start, end in BINS_MS])


def patterns(rng: np.random.Generator, identity: float, n_units: int) -> dict[str, np.ndarray]:
    """Patterns of a population, (n_identities, n_views, n_units) each."""
    category = SIZE * rng.standard_normal((2, 1, n_units))[np.arange(N_IDENTITIES) % 2]
    view = VIEW_SIZE * rng.standard_normal((1, N_VIEWS, n_units))
    shape = (N_IDENTITIES, N_VIEWS, n_units)
    return {
        "early": np.broadcast_to(category + view, shape),
        "late": np.broadcast_to(identity * rng.standard_normal((N_IDENTITIES, 1, n_units)), shape),
    }


def stimuli() -> pd.DataFrame:
    """Labels of the stimuli, identities first."""
    identity, view = np.divmod(np.arange(N_IDENTITIES * N_VIEWS), N_VIEWS)
    return pd.DataFrame(
        {
            "stimulus_id": [f"{i}_{v}" for i, v in zip(identity, view, strict=True)],
            "identity": [f"id{i}" for i in identity],
            "azimuth_deg": (view - 1) * 45.0,
            "category": [f"kind{i % 2}" for i in identity],
        }
    )


def record(rng: np.random.Generator, identity: float) -> xr.DataArray:
    """One simulated recording of mean responses."""
    return recorded(patterns(rng, identity, N_NEURONS), rng)


def recorded(made: dict[str, np.ndarray], rng: np.random.Generator) -> xr.DataArray:
    """A recording of neurons with these patterns."""
    means = np.multiply.outer(course(CATEGORY_MS), made["early"]) + np.multiply.outer(course(IDENTITY_MS), made["late"])
    noisy = means + NOISE * rng.standard_normal(means.shape)
    return make_recording(
        noisy.reshape(len(BINS_MS), -1, N_NEURONS).transpose(1, 2, 0),
        presentations=stimuli(),
        neuroids=pd.DataFrame({"neuroid_id": [f"n{k}" for k in range(N_NEURONS)], "region": "P"}),
        units="normalized",
        time_bins_ms=BINS_MS,
    )


def layers(rng: np.random.Generator) -> RDMs:
    """RDMs of layers with the views of the stimuli, and identities of their own."""
    upper = np.triu_indices(N_IDENTITIES * N_VIEWS, 1)
    vectors = []
    for _ in range(N_LAYERS):
        made = patterns(rng, SIZE, 200)
        view = made["early"] - made["early"].mean(axis=1, keepdims=True)
        vectors.append(1 - np.corrcoef((view + made["late"]).reshape(-1, 200))[upper])
    table = stimuli()
    return RDMs(
        np.stack(vectors),
        dissimilarity_measure="correlation",
        rdm_descriptors={
            "model": ["net"] * N_LAYERS,
            "layer": [f"layer{k}" for k in range(N_LAYERS)],
            "layer_index": list(range(N_LAYERS)),
        },
        pattern_descriptors={name: table[name].tolist() for name in ("stimulus_id", "identity", "azimuth_deg")},
    )


def null_experiment(rng: np.random.Generator, n_permutations: int) -> dict[str, float]:
    """Whether tests find what is not there, 0 or 1."""
    recording = record(rng, 0.0)
    codes = infer_codes(recording, ["identity-in-category"], n_permutations=n_permutations, n_draws=0, rng=rng)
    fits = infer_fits_by_time(
        layers(rng), recording, n_permutations=n_permutations, n_draws=0, n_splits=0, resample="identity", rng=rng
    )
    return {
        f"{what}: {name}": float(np.nanmin(p) <= 0.05)
        for what, found in (("codes", codes), ("layers x time", fits))
        for name, p in found.tests().items()
    }


def true_experiment(rng: np.random.Generator, n_draws: int) -> dict[str, tuple[float, float, float, float]]:
    """Error, standard error, whether the interval covers, and whether there is one."""
    found = infer_codes(
        record(rng, SIZE),
        ["category", "identity-in-category"],
        normalize=None,
        n_permutations=100,
        n_draws=n_draws,
        rng=rng,
    )
    onsets, differences = found.onsets().set_index("code"), found.onset_differences()
    times = BINS_MS.mean(axis=1)
    truth = {
        "category": float(rise_times(course(CATEGORY_MS) ** 2, times)),
        "identity-in-category": float(rise_times(course(IDENTITY_MS) ** 2, times)),
    }
    rows = {}
    for name, true in truth.items():
        one = onsets.loc[name]
        rows[f"onset of {name}"] = checked(one["onset_ms"], one["onset_se"], one["ci_low"], one["ci_high"], true)
    gap = truth["category"] - truth["identity-in-category"]
    one = differences.iloc[0] if len(differences) else pd.Series(np.nan, index=differences.columns)
    rows["difference of onsets"] = checked(one["difference_ms"], one["se"], one["ci_low"], one["ci_high"], gap)
    low, high = (end.reshape(2, -1)[1, 14] for end in found.result.ci)
    strength = SIZE**2 * course(IDENTITY_MS)[14] ** 2
    rows["strength of identity at 180 ms"] = checked(
        found.values[1, 0, 14], found.result.se[1, 14], low, high, strength
    )
    return rows


def read_outs(rng: np.random.Generator, n_permutations: int) -> dict[str, TimeCourses]:
    """Curves of one experiment with a layer that shares its identities: code, fit, predictions and index."""
    coordinates = rng.standard_normal((N_IDENTITIES, 1, N_COORDINATES)) / np.sqrt(N_COORDINATES)
    profile, front = STRONG_VIEWS * rng.standard_normal((2, 1, 1, N_NEURONS))
    shape = (N_IDENTITIES, N_VIEWS, N_NEURONS)
    late = coordinates @ rng.standard_normal((N_COORDINATES, N_NEURONS))
    made = {
        "early": np.broadcast_to(np.concatenate([profile, front, profile], axis=1), shape),
        "late": np.broadcast_to(late, shape),
    }
    recording = recorded(made, rng)
    units = np.broadcast_to(coordinates @ rng.standard_normal((N_COORDINATES, 200)), (N_IDENTITIES, N_VIEWS, 200))
    layer = feature_rdms(
        {"layer": units.reshape(-1, 200)}, stimuli().set_index("stimulus_id")[["identity", "azimuth_deg"]]
    )
    shared = int(rng.integers(2**31))
    resample = ("identity", "neuron")

    def own() -> np.random.Generator:
        return np.random.default_rng(shared)

    return {
        "code": infer_codes(recording, "identity", n_permutations=n_permutations, n_draws=0, rng=own()),
        "fit": infer_fits_by_time(
            layer,
            recording,
            dissimilarity="euclidean",
            resample=resample,
            n_permutations=n_permutations,
            n_draws=0,
            n_splits=0,
            rng=own(),
        ),
        "prediction": infer_encoding_by_time(
            layer, recording, Encoding(n_folds=5), resample=resample, n_permutations=n_permutations, rng=own()
        ),
        "index": infer_index_by_time(recording, n_splits=10, rng=own()),
    }


def true_onsets(seed: int) -> dict[str, float]:
    """Onsets of the mean curves of many experiments."""
    curves: dict[str, list[np.ndarray]] = {}
    levels = {}
    for repeat in range(N_TRUTH):
        for name, one in read_outs(np.random.default_rng([seed, TRUTH + repeat]), 0).items():
            curves.setdefault(name, []).append(one.values[0, 0])
            levels[name] = one.level
    times = BINS_MS.mean(axis=1)
    return {name: float(rise_times(np.mean(found, axis=0) - levels[name], times)) for name, found in curves.items()}


def read_out_experiment(rng: np.random.Generator, truth: dict[str, float]) -> dict[str, tuple]:
    """As :func:`true_experiment`, of read-outs."""
    found = read_outs(rng, 99)
    rows = {}
    for name, one in found.items():
        if name != "code":
            onset = one.onsets().iloc[0]
            rows[f"onset of {name}"] = checked(
                onset["onset_ms"], np.nan, onset["ci_low"], onset["ci_high"], truth[name]
            )
    pairs = compare_onsets(found).set_index(["readout_1", "readout_2"])
    for one, other in (("code", "fit"), ("code", "prediction"), ("fit", "index")):
        there = (one, other) in pairs.index
        row = pairs.loc[(one, other)] if there else pd.Series(np.nan, index=pairs.columns)
        gap = truth[one] - truth[other]
        rows[f"{one} minus {other}"] = checked(row["difference_ms"], np.nan, row["ci_low"], row["ci_high"], gap)
    return rows


def checked(estimate: float, se: float, low: float, high: float, true: float) -> tuple[float, float, float, float]:
    """Error of an estimate, its standard error, whether its interval covers, and whether there is an estimate.

    A side of an interval on which the bins set no limit has none.
    """
    covers = not (true < low or true > high)
    return estimate - true, se, float(covers), float(np.isfinite(estimate))


def summarise(nulls: list[dict], trues: list[dict]) -> pd.DataFrame:
    """Shares with their standard errors, in %, one row per quantity."""
    rows = []
    for name in nulls[0]:
        share = np.mean([one[name] for one in nulls])
        rows.append({"quantity": name, "statistic": "found in the null", "percent": 100 * share, "n": len(nulls)})
    for name in trues[0]:
        values = np.array([one[name] for one in trues])
        values = values[values[:, 3] == 1]
        rows.append(
            {
                "quantity": name,
                "statistic": "covered by the 95 % interval",
                "percent": 100 * values[:, 2].mean(),
                "n": len(values),
                "bias": values[:, 0].mean(),
                "sd": values[:, 0].std(ddof=1),
                "median_se": np.median(values[:, 1]),
            }
        )
    table = pd.DataFrame(rows)
    share = table["percent"] / 100
    return table.assign(percent_se=100 * np.sqrt(share * (1 - share) / table["n"]))


def main() -> None:
    """Repeat both experiments and write the table, also in between."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--seed", type=int, default=20231206)
    chosen = parser.parse_args()
    nulls, trues, truth = [], [], true_onsets(chosen.seed)
    print({name: round(onset, 2) for name, onset in truth.items()}, flush=True)
    for repeat in range(chosen.repeats):
        rng = np.random.default_rng([chosen.seed, repeat])
        nulls.append(null_experiment(rng, 199))
        trues.append(true_experiment(rng, 100) | read_out_experiment(rng, truth))
        if repeat % 20 == 19 or repeat == chosen.repeats - 1:
            summarise(nulls, trues).to_csv(chosen.out, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
