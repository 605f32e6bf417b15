"""Coverage of intervals and rejection rates of tests for every resampling scheme, on recordings with known true values.

Run as ``python analyses/calibration/calibrate.py --out FOLDER [--quick] [--jobs N]``. Every repeat simulates a new
experiment with the same network: new identities, neurons, subjects and noise. The true value of a fit is its mean over
repeats, that is, the average result of experiments of this size.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy import stats
from simulate import AZIMUTHS_DEG, N_LAYERS, draw_faces, draw_weights, make_network, record

from neurocompare.comparison.fit_result import FitResult
from neurocompare.comparison.inference import jackknife_result
from neurocompare.comparison.refitting import (
    Experiment,
    bootstrap_deviations,
    estimate_fits,
    resample_fits,
)
from neurocompare.representations.dissimilarities import correlation_dissimilarity

SEED = 20240607
N_DRAWS = 200
NOISE = 2.0
SOURCE = 2
"""The layer that neurons read; its neighbour is the layer before it."""
TARGETS = ("fit", "unrelated", "equal", "different")
"""A fit; the fit of a model without relation (truth 0); the difference between two equally good models (truth 0); the
difference between the source and its neighbour."""


@dataclass(frozen=True)
class Scheme:
    """One way to estimate a standard error: what is resampled, how, and how intervals are computed from it."""

    factors: tuple[str, ...]
    variance: str = "jackknife"
    within_identity: str = "copy"
    interval: str = "t"

    def columns(self) -> dict[str, str]:
        """The scheme as columns of the table."""
        copies = self.within_identity if self.variance == "bootstrap" and "identity" in self.factors else ""
        return {
            "resample": "+".join(self.factors),
            "variance": self.variance,
            "within_identity": copies,
            "interval": self.interval,
        }


@dataclass(frozen=True)
class Cell:
    """One size of experiment."""

    n_identities: int
    n_neurons: int
    n_subjects: int = 1
    varies: str = "both"
    """What is new in every repeat: ``both`` identities and neurons, or one of them."""


PAPER = Scheme(("stimulus",), "bootstrap", interval="percentile")
DEFAULT = Scheme(("identity", "neuron"))
SCHEMES = {
    "both": (
        PAPER,
        Scheme(("stimulus",), "bootstrap"),
        Scheme(("identity",), "bootstrap"),
        Scheme(("identity",), "bootstrap", "all"),
        Scheme(("neuron",), "bootstrap"),
        Scheme(("stimulus", "neuron"), "bootstrap"),
        Scheme(("identity", "neuron"), "bootstrap"),
        Scheme(("identity", "neuron"), "bootstrap", "all"),
        Scheme(("identity",)),
        Scheme(("neuron",)),
        Scheme(("stimulus", "neuron")),
        DEFAULT,
    ),
    "identities": (
        PAPER,
        Scheme(("identity",), "bootstrap"),
        Scheme(("identity",), "bootstrap", "all"),
        Scheme(("identity",)),
    ),
    "neurons": (Scheme(("neuron",), "bootstrap"), Scheme(("neuron",))),
    "subjects": (
        DEFAULT,
        Scheme(("identity", "subject"), "bootstrap"),
        Scheme(("identity", "subject")),
        Scheme(("identity", "neuron", "subject")),
    ),
}


def cells(quick: bool) -> Iterator[tuple[Cell, int]]:
    """Sizes of experiment and the number of repeats of each."""
    repeats = {5: 2000, 10: 2000, 25: 400, 50: 120} if not quick else {5: 40, 10: 40}
    for n_identities, n_repeats in repeats.items():
        for n_neurons in (30, 100, 190) if not quick else (30,):
            yield Cell(n_identities, n_neurons), n_repeats
    for n_identities, n_repeats in ((10, 1000), (25, 300)) if not quick else ((10, 40),):
        for varies in ("identities", "neurons"):
            yield Cell(n_identities, 100, varies=varies), n_repeats
        for n_subjects in (2, 3):
            yield Cell(n_identities, 100, n_subjects), n_repeats


def rdm(responses: np.ndarray) -> np.ndarray:
    """Upper triangle of the correlation dissimilarity between rows."""
    matrix = correlation_dissimilarity(responses)
    return matrix[np.triu_indices(len(matrix), 1)]


def run_repeats(
    cell: Cell, seeds: list[np.random.SeedSequence], schemes: tuple[Scheme, ...] | None = None
) -> list[dict]:
    """One row per repeat, scheme and target, with estimate, standard error, interval and p."""
    network = make_network(np.random.default_rng(SEED))
    schemes = schemes or SCHEMES["subjects" if cell.n_subjects > 1 else cell.varies]
    rows = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        fixed = np.random.default_rng(SEED + 1)
        from_faces = fixed if cell.varies == "neurons" else rng
        from_neurons = fixed if cell.varies == "identities" else rng
        faces, twins = (draw_faces(cell.n_identities, from_faces) for _ in range(2))
        unrelated = from_faces.standard_normal((cell.n_identities * len(AZIMUTHS_DEG), 100))
        weights = draw_weights(400, cell.n_neurons // cell.n_subjects, cell.n_subjects, from_neurons)
        source, twin = network[SOURCE].responses(faces), network[SOURCE].responses(twins)
        models = np.stack([rdm(r) for r in (source, twin, network[SOURCE - 1].responses(faces), unrelated)])
        subjects = [record(np.concatenate([source, twin], axis=1), w, NOISE, rng) for w in weights]
        for scheme in schemes:
            result = infer(scheme, models, subjects, cell.n_identities, rng)
            rows += [{**scheme.columns(), **row} for row in decisions(scheme, result)]
    return rows


def infer(
    scheme: Scheme, models: np.ndarray, subjects: list[np.ndarray], n_identities: int, rng: np.random.Generator
) -> FitResult:
    """Result of ``infer_fits`` for four models and one region, from arrays of responses."""
    populations = subjects if "subject" in scheme.factors else [np.concatenate(subjects, axis=1)]
    experiment = Experiment(
        factors=scheme.factors,
        models=models,
        recordings=np.stack([rdm(responses) for responses in populations]),
        groups=[np.arange(len(populations))],
        populations=populations,
        codes=np.repeat(np.arange(n_identities), len(AZIMUTHS_DEG)),
        n_stimuli=n_identities * len(AZIMUTHS_DEG),
        dissimilarity="correlation",
        method="corr",
        within_identity=scheme.within_identity,
        device=None,
    )
    models = pd.DataFrame({"layer": ["source", "twin", "neighbour", "unrelated"]})
    region = pd.DataFrame({"region": ["simulated"]})
    if scheme.variance == "jackknife":
        return jackknife_result(experiment, models, region, rng=rng)
    draws, n_redrawn = resample_fits(experiment, N_DRAWS, only_joint=False, rng=rng)
    return FitResult(
        models=models,
        recordings=region,
        estimates=estimate_fits(experiment),
        draws=draws[max(draws, key=len)],
        deviations=bootstrap_deviations(draws),
        variance="bootstrap",
        sizes=experiment.sizes(),
        factors=scheme.factors,
        method=experiment.method,
        dissimilarity=experiment.dissimilarity,
        n_stimuli=experiment.n_stimuli,
        n_identities=n_identities,
        n_neurons=np.array([sum(p.shape[1] for p in populations)]),
        n_redrawn=n_redrawn,
    )


def decisions(scheme: Scheme, result: FitResult) -> list[dict]:
    """Estimate, standard error, interval and p for every target."""
    contrasts = np.array([[1, 0, 0, 0], [0, 0, 0, 1], [1, -1, 0, 0], [1, 0, -1, 0]])
    estimates, errors, p_values = (values[:, 0] for values in result.contrasts(contrasts))
    p_values[:2] = result.p_zero[[0, 3], 0]
    draws = result.draws[:, :, 0] @ contrasts.T
    quantile = stats.t.ppf(0.975, result.df[0])
    rows = []
    for k, target in enumerate(TARGETS):
        estimate, se, p = estimates[k], errors[k], p_values[k]
        low, high = estimate - quantile * se, estimate + quantile * se
        if scheme.interval == "percentile":
            low, high = np.quantile(draws[:, k], [0.025, 0.975])
            below = np.mean(draws[:, k] <= 0)
            p = below if target in ("fit", "unrelated") else 2 * min(below, 1 - below)
        rows.append({"target": target, "estimate": estimate, "se": se, "low": low, "high": high, "rejects": p < 0.05})
    return rows


def summarise(cell: Cell, rows: pd.DataFrame) -> pd.DataFrame:
    """One row per scheme and target: standard error over true spread, coverage, and rejection rate of the test."""
    tables = []
    keys = [*PAPER.columns(), "target"]
    for values, part in rows.groupby(keys, sort=False):
        scheme = dict(zip(keys, values, strict=True))
        mean, n = part["estimate"].mean(), len(part)
        # What is held fixed in all repeats gives the two null cases a truth of their own.
        null = scheme["target"] in ("unrelated", "equal") and cell.varies == "both"
        truth = 0.0 if null else mean
        covered = ((part["low"] <= truth) & (truth <= part["high"])).mean()
        rejects = part["rejects"].mean() if null or scheme["target"] in ("fit", "different") else np.nan
        tables.append(
            {
                "n_identities": cell.n_identities,
                "n_neurons": cell.n_neurons,
                "n_subjects": cell.n_subjects,
                "varies": cell.varies,
                **scheme,
                "n_repeats": n,
                "mean": mean,
                "truth": truth,
                "sd": part["estimate"].std(ddof=1),
                "se_over_sd": np.sqrt((part["se"] ** 2).mean()) / part["estimate"].std(ddof=1),
                "coverage": covered,
                "coverage_se": np.sqrt(covered * (1 - covered) / n),
                "rejects": rejects,
                "rejects_se": np.sqrt(rejects * (1 - rejects) / n),
            }
        )
    return pd.DataFrame(tables)


def recover(source: int, noise: float, seeds: list[np.random.SeedSequence]) -> list[dict]:
    """How often the layer behind the neurons fits best, and how often the interval for its position contains it."""
    network = make_network(np.random.default_rng(SEED))
    rows = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        faces = draw_faces(25, rng)
        layers = [layer.responses(faces) for layer in network]
        responses = record(layers[source], draw_weights(200, 100, 1, rng)[0], noise, rng)
        experiment = Experiment(
            factors=("identity", "neuron"),
            models=np.stack([rdm(layer) for layer in layers]),
            recordings=rdm(responses)[None],
            groups=[np.array([0])],
            populations=[responses],
            codes=np.repeat(np.arange(25), len(AZIMUTHS_DEG)),
            n_stimuli=len(responses),
            dissimilarity="correlation",
            method="corr",
            within_identity="copy",
            device=None,
        )
        draws, _ = resample_fits(experiment, N_DRAWS, only_joint=True, rng=rng)
        winners = draws["identity", "neuron"][:, :, 0].argmax(axis=1)
        low, high = np.quantile(winners, [0.025, 0.975], method="inverted_cdf")
        best = int(estimate_fits(experiment)[:, 0].argmax())
        rows.append({"noise": noise, "source": source, "best": best, "held": low <= source <= high})
    return rows


def in_chunks(n_repeats: int, seed: int, size: int) -> Iterator[list[np.random.SeedSequence]]:
    """Seeds of all repeats in chunks; a repeat's seed does not depend on the division into chunks."""
    seeds = np.random.SeedSequence(seed).spawn(n_repeats)
    return (seeds[start : start + size] for start in range(0, n_repeats, size))


def main() -> None:
    """Run all repeats and write the two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")
    parser.add_argument("--quick", action="store_true", help="small sizes and few repeats, to try the program")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument(
        "--default-only",
        nargs=3,
        type=int,
        metavar=("IDENTITIES", "NEURONS", "REPEATS"),
        help="more repeats of the default scheme at one size, into a table of their own",
    )
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    parallel = Parallel(n_jobs=arguments.jobs)
    if arguments.default_only:
        n_identities, n_neurons, n_repeats = arguments.default_only
        cell = Cell(n_identities, n_neurons)
        chunks = in_chunks(n_repeats, SEED + 2000, 25)
        parts = parallel(delayed(run_repeats)(cell, chunk, (DEFAULT,)) for chunk in chunks)
        table = summarise(cell, pd.DataFrame([row for part in parts for row in part]))
        path = arguments.out / f"default_{n_identities}_{n_neurons}.csv"
        table.to_csv(path, index=False, float_format="%.4g")
        return
    tables = []
    for position, (cell, n_repeats) in enumerate(cells(arguments.quick)):
        chunks = in_chunks(n_repeats, SEED + position, 25)
        rows = [row for part in parallel(delayed(run_repeats)(cell, chunk) for chunk in chunks) for row in part]
        tables.append(summarise(cell, pd.DataFrame(rows)))
        pd.concat(tables).to_csv(arguments.out / "calibration.csv", index=False, float_format="%.4g")
        print(f"{time.perf_counter() - start:6.0f} s  {cell}, {n_repeats} repeats", flush=True)
    n_repeats = 20 if arguments.quick else 200
    tasks = [
        delayed(recover)(source, noise, chunk)
        for noise in (2.0, 5.0, 10.0)
        for source in range(N_LAYERS)
        for chunk in in_chunks(n_repeats, SEED + 1000 + source, 25)
    ]
    rows = pd.DataFrame([row for part in parallel(tasks) for row in part])
    shares = pd.crosstab([rows["noise"], rows["source"]], rows["best"], normalize="index")
    shares = shares.reindex(columns=range(N_LAYERS), fill_value=0.0).add_prefix("best_")
    shares["interval_holds_source"] = rows.groupby(["noise", "source"])["held"].mean()
    shares.assign(n_repeats=n_repeats).reset_index().to_csv(
        arguments.out / "recovery.csv", index=False, float_format="%.4g"
    )
    print(f"{time.perf_counter() - start:6.0f} s  done")


if __name__ == "__main__":
    main()
