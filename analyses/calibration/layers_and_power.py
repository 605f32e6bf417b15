"""Predicted power compared with that of independent experiments, and error rates of tests over layers.

Run as ``python analyses/calibration/layers_and_power.py --out FOLDER [--quick] [--jobs N]``; writes ``power.csv`` and
``layer_tests.csv``. Faces and network are those of ``simulate``; recordings are simulated here, trial by trial, and
analysed by the public functions. The power analysis and the experiments that it predicts share only the statistics.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from rsatoolbox.rdm import RDMs
from scipy import stats
from simulate import AZIMUTHS_DEG, READ_SHARE, draw_faces, make_network

from neurocompare.comparison.inference import infer_fits
from neurocompare.comparison.layer_tests import compare_layer_profiles, cross_validated_best_layer
from neurocompare.comparison.power import PowerPlan, power_analysis
from neurocompare.representations.dissimilarities import correlation_dissimilarity
from neurocompare.representations.rdms import build_rdms

SEED = 20240608
SOURCE, OTHER = 2, 1
"""Layers of the network: the one that neurons read and the one that it is to be told from."""
TRIAL_NOISE = 3.0
N_POOL = 50
"""Identities from which a power analysis draws its experiments."""


def patterns_of(n_identities: int) -> pd.DataFrame:
    """Identity and azimuth of each stimulus: ``n_identities`` in all views."""
    rows = [(f"{i}/{a:g}", f"face{i}", a) for i in range(n_identities) for a in AZIMUTHS_DEG]
    return pd.DataFrame(rows, columns=["stimulus_id", "identity", "azimuth_deg"])


def rdms_of(responses: list[np.ndarray], **descriptors: list) -> RDMs:
    """Correlation RDMs of arrays (n_stimuli, n_units)."""
    return build_rdms(
        np.stack([correlation_dissimilarity(layer) for layer in responses]),
        patterns=patterns_of(len(responses[0]) // len(AZIMUTHS_DEG)),
        rdms=descriptors,
        dissimilarity="correlation",
    )


def layers_of(responses: list[np.ndarray]) -> RDMs:
    """Model RDMs of the layers of one network."""
    n = len(responses)
    return rdms_of(responses, model=["net"] * n, layer=[f"layer{k}" for k in range(n)], layer_index=list(range(n)))


def recorded(layer: np.ndarray, n_neurons: int, n_repetitions: int, rng: np.random.Generator) -> np.ndarray:
    """Mean responses over noisy trials of neurons that are weighted sums of a few random units."""
    weights = rng.standard_normal((layer.shape[1], n_neurons))
    weights *= rng.random(weights.shape) < READ_SHARE
    signal = (layer - layer.mean(axis=1, keepdims=True)) @ weights
    signal /= np.sqrt(np.mean(np.var(signal, axis=0)))
    trials = [signal + TRIAL_NOISE * rng.standard_normal(signal.shape) for _ in range(n_repetitions)]
    return np.mean(trials, axis=0)


def predicted(size: tuple[int, int, int], n_experiments: int, seed: np.random.SeedSequence) -> dict:
    """Power predicted by a power analysis on one pool of identities."""
    rng = np.random.default_rng(seed)
    faces = draw_faces(N_POOL, rng)
    network = make_network(np.random.default_rng(SEED))
    plan = PowerPlan(
        **{f"n_{name}": (n,) for name, n in zip(("identities", "neurons", "repetitions"), size, strict=True)},
        noise=TRIAL_NOISE,
        n_experiments=n_experiments,
        read_share=READ_SHARE,
    )
    layers = (network[SOURCE].responses(faces), network[OTHER].responses(faces))
    row = power_analysis(*layers, patterns_of(N_POOL)["identity"], plan=plan, rng=rng).iloc[0]
    return {"found": round(row["power"] * n_experiments), "n": n_experiments, "difference": row["difference"]}


def experiments(size: tuple[int, int, int], n_experiments: int, seed: np.random.SeedSequence) -> dict:
    """Experiments with new identities each, analysed like a recording."""
    n_identities, n_neurons, n_repetitions = size
    network = make_network(np.random.default_rng(SEED))
    found, differences = 0, []
    for stream in seed.spawn(n_experiments):
        rng = np.random.default_rng(stream)
        faces = draw_faces(n_identities, rng)
        layers = [network[k].responses(faces) for k in (SOURCE, OTHER)]
        responses = recorded(layers[0], n_neurons, n_repetitions, rng)
        result = infer_fits(
            layers_of(layers),
            rdms_of([responses], region=["simulated"]),
            recording={"simulated": responses},
            ceilings=None,
            n_draws=2,
            rng=rng,
        )
        pair = result.pairwise("none").iloc[0]
        found += bool(pair["difference"] > 0 and pair["p"] < 0.05)
        differences.append(pair["difference"])
    return {"found": found, "n": n_experiments, "difference": np.mean(differences)}


def power_table(parallel: Parallel, quick: bool) -> pd.DataFrame:
    """Predicted power and the share of independent experiments that found the difference, one row per size."""
    sizes = [(5, 30, 10), (5, 100, 10), (10, 30, 2), (10, 30, 10), (10, 100, 2), (25, 30, 2)]
    n_pools, n_each, n_chunks = (4, 75, 6) if not quick else (2, 5, 2)
    rows = []
    for position, size in enumerate(sizes if not quick else sizes[:2]):
        seeds = np.random.SeedSequence([SEED, position]).spawn(n_pools + n_chunks)
        told = parallel(delayed(predicted)(size, n_each, seed) for seed in seeds[:n_pools])
        made = parallel(delayed(experiments)(size, n_each, seed) for seed in seeds[n_pools:])
        pools = [part["found"] / part["n"] for part in told]
        row = dict(zip(("n_identities", "n_neurons", "n_repetitions"), size, strict=True))
        counts = {}
        for name, parts in (("predicted", told), ("found", made)):
            k, n = (sum(part[key] for part in parts) for key in ("found", "n"))
            low, high = stats.binomtest(k, n).proportion_ci(method="wilson")
            row |= {name: k / n, f"{name}_low": low, f"{name}_high": high, f"{name}_n": n}
            row[f"{name}_difference"] = np.mean([part["difference"] for part in parts])
            counts[name] = [k, n - k]
        p_equal = stats.fisher_exact(list(counts.values()))[1]
        rows.append(row | {"lowest_pool": min(pools), "highest_pool": max(pools), "p_equal": p_equal})
    return pd.DataFrame(rows)


def dissociation(n_identities: int, n_neurons: int, seeds: list[np.random.SeedSequence]) -> list[dict]:
    """Two patches built from the same layer: p of the difference of their profiles, and depth of the best layer."""
    network = make_network(np.random.default_rng(SEED))
    rows = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        faces = draw_faces(n_identities, rng)
        layers = [layer.responses(faces) for layer in network]
        patches = {region: recorded(layers[SOURCE], n_neurons, 10, rng) for region in ("first", "second")}
        result = infer_fits(
            layers_of(layers),
            rdms_of(list(patches.values()), region=list(patches)),
            recording=patches,
            ceilings=None,
            n_draws=200,
            rng=rng,
        )
        test, best = compare_layer_profiles(result, per_ceiling=False).iloc[0], result.best_layer().iloc[0]
        place = SOURCE / (len(network) - 1)
        rows.append(
            {
                "slope differs (rejects)": test["p"] < 0.05,
                "interaction (rejects)": test["p_interaction"] < 0.05,
                "depths of best layers are compared": not test["depth_reason"],
                "difference in depth (interval holds 0, of those compared)": np.nan
                if test["depth_reason"]
                else test["depth_low"] <= 0 <= test["depth_high"],
                "confidence set of the best layer holds the source": f"layer{SOURCE}" in best["layer_set"].split(", "),
                "confidence set is the source alone": best["layer_set"] == f"layer{SOURCE}",
                "best layer is the source": best["relative_depth"] == place,
            }
        )
    return rows


def held_out(n_identities: int, n_neurons: int, seeds: list[np.random.SeedSequence]) -> list[dict]:
    """Five layers unrelated to the patch: whether the fit of the best one is significant."""
    network = make_network(np.random.default_rng(SEED))
    rows = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        source = network[SOURCE].responses(draw_faces(n_identities, rng))
        common = rng.standard_normal((len(source), 100))
        layers = [common + rng.standard_normal(common.shape) for _ in range(5)]
        responses = recorded(source, n_neurons, 10, rng)
        arguments = (layers_of(layers), rdms_of([responses], region=["patch"]))
        recording = {"patch": responses}
        row = cross_validated_best_layer(*arguments, recording=recording, n_splits=2, rng=rng).iloc[0]
        naive = infer_fits(*arguments, recording=recording, ceilings=None, n_draws=2, rng=rng)
        best = int(naive.estimates[:, 0].argmax())
        rows.append(
            {
                "unrelated best layer, held out (rejects)": row["p_zero"] < 0.05,
                "unrelated best layer, held out (interval holds 0)": row["ci_low"] <= 0 <= row["ci_high"],
                "unrelated best layer, same identities (rejects)": naive.p_zero[best, 0] < 0.05,
            }
        )
    return rows


def layer_table(parallel: Parallel, quick: bool) -> pd.DataFrame:
    """Rejection rate of each test and coverage of each interval, one row per size and statement."""
    rows = []
    n_repeats = {10: 400, 25: 160} if not quick else {10: 8}
    for check in (dissociation, held_out):
        for n_identities, n in n_repeats.items():
            seeds = np.random.SeedSequence([SEED, 100, n_identities, check is held_out]).spawn(n)
            chunks = [seeds[start : start + 20] for start in range(0, n, 20)]
            parts = parallel(delayed(check)(n_identities, 50, chunk) for chunk in chunks)
            found = pd.DataFrame([row for part in parts for row in part]).astype(float)
            for statement, values in found.items():
                # Depths that are not compared say nothing about the intervals of those that are.
                known = values.dropna()
                share, n_known = known.mean(), len(known)
                low, high = np.nan, np.nan
                if n_known:
                    low, high = stats.binomtest(int(known.sum()), n_known).proportion_ci(method="wilson")
                rows.append(
                    {
                        "n_identities": n_identities,
                        "n_neurons": 50,
                        "statement": statement,
                        "share": share,
                        "share_low": low,
                        "share_high": high,
                        "n_repeats": n_known,
                    }
                )
    return pd.DataFrame(rows)


def main() -> None:
    """Run both parts and write their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")
    parser.add_argument("--quick", action="store_true", help="few repeats, to try the program")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    parallel = Parallel(n_jobs=arguments.jobs)
    for name, study in (("power", power_table), ("layer_tests", layer_table)):
        start = time.perf_counter()
        table = study(parallel, arguments.quick)
        table.to_csv(arguments.out / f"{name}.csv", index=False, float_format="%.4g")
        print(f"{table.to_string(index=False)}\n{time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
