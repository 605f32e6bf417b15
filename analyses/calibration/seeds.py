"""Type-I error and coverage of contrasts of two training regimes with few seeds and distributions that are not normal.

Run as ``python analyses/calibration/seeds.py [--out TABLE.csv] [--repeats N]``. Every repeat draws networks of two
regimes without a difference between them and analyses them with every test of ``comparison.regime_contrasts``. A value
is the sum of an effect of the network, of the exemplar, of the regime on the exemplar, and noise.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from neurocompare.comparison.crossed_anova import crossed_outcome
from neurocompare.comparison.hypothesis_tests import Outcome, mean_outcome
from neurocompare.comparison.seed_tests import permutation_p, permutations_of, welch_outcome

SEED = 20250311
Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
SCATTER: dict[str, tuple[Draw, Draw]] = {
    "normal": (lambda rng, size: rng.standard_normal(size), lambda rng, size: rng.standard_normal(size)),
    "skewed": (lambda rng, size: rng.exponential(1, size) - 1, lambda rng, size: 0.3 * rng.standard_normal(size)),
    "bimodal": (
        lambda rng, size: np.where(rng.random(size) < 0.2, 2.0, -0.5),
        lambda rng, size: 0.3 * rng.standard_normal(size),
    ),
    "unequal 1:4": (lambda rng, size: 4 * rng.standard_normal(size), lambda rng, size: rng.standard_normal(size)),
}
"""Distribution over networks of the first and of the second regime; both have mean 0."""
N_EXEMPLARS = 10
NOISE = 0.5


def draw(scatter: str, n_seeds: int, of_exemplars: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Values (n_seeds, n_exemplars) of two regimes without a difference between them."""
    shared = rng.standard_normal(N_EXEMPLARS)
    return tuple(
        law(rng, (n_seeds, 1))
        + shared
        + of_exemplars * rng.standard_normal(N_EXEMPLARS)
        + NOISE * rng.standard_normal((n_seeds, N_EXEMPLARS))
        for law in SCATTER[scatter]
    )


def analyse(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> dict[str, Outcome]:
    """Results of every test for one experiment."""
    means = first.mean(axis=1), second.mean(axis=1)
    found = {
        "paired t over seeds": mean_outcome(means[0] - means[1]),
        "Welch t over networks": welch_outcome(*means),
        "crossed, paired": crossed_outcome(first, second, paired=True)[0],
        "crossed, independent networks": crossed_outcome(first, second, paired=False)[0],
    }
    for paired, values in ((True, (means[0] - means[1])[:, None]), (False, np.concatenate(means)[:, None])):
        ways = permutations_of(len(first), len(second), paired=paired, most=1000, rng=rng)
        p = float(permutation_p(values, ways)[0])
        found[f"permutation, {'paired' if paired else 'networks'}"] = Outcome(float(values.mean()), p=p)
    return found


def calibrate(scatter: str, n_seeds: int, of_exemplars: float, repeats: int) -> list[dict]:
    """Share of rejections at 5 % and of intervals that contain 0, for every test."""
    rng = np.random.default_rng([SEED, list(SCATTER).index(scatter), n_seeds, int(10 * of_exemplars)])
    tests: dict[str, list[tuple[bool, bool]]] = {}
    for _ in range(repeats):
        for name, outcome in analyse(*draw(scatter, n_seeds, of_exemplars, rng), rng).items():
            held = bool(outcome.ci_low <= 0 <= outcome.ci_high)
            tests.setdefault(name, []).append((bool(outcome.p < 0.05), held))
    rows = []
    for name, results in tests.items():
        rejects, covers = np.mean(results, axis=0)
        rows.append(
            {
                "scatter": scatter,
                "n_seeds": n_seeds,
                "sd_of_exemplars": of_exemplars,
                "test": name,
                "type_one": rejects,
                "type_one_se": np.sqrt(rejects * (1 - rejects) / repeats),
                "coverage": np.nan if name.startswith("permutation") else covers,
                "n_repeats": repeats,
            }
        )
    return rows


def main() -> None:
    """Run all settings, print their table and write it to a file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="CSV to write the table to")
    parser.add_argument("--repeats", type=int, default=2000)
    arguments = parser.parse_args()
    rows = []
    for scatter in SCATTER:
        for n_seeds in (3, 5, 10, 20):
            for of_exemplars in (0.0, 1.0):
                rows += calibrate(scatter, n_seeds, of_exemplars, arguments.repeats)
    table = pd.DataFrame(rows).round(4)
    print(table.to_string(index=False))
    if arguments.out is not None:
        table.to_csv(arguments.out, index=False)


if __name__ == "__main__":
    main()
