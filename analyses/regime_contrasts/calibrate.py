"""Error rates, coverage and power of contrasts of training regimes with few seeds, for every test.

Run as ``python analyses/regime_contrasts/calibrate.py --out FOLDER [--repeats N] [--seed S]``. Every repeat draws
new networks, exemplars and profiles from normal distributions; the standard deviation over networks of a regime is 1.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM

from neurocompare.comparison.crossed_anova import crossed_outcome
from neurocompare.comparison.hypothesis_tests import Outcome, mean_outcome, t_outcome
from neurocompare.comparison.seed_tests import permutation_p, permutations_of, profile_outcome, welch_outcome

ALPHA = 0.05
EFFECT = 2.0
"""Difference that power is given for, in standard deviations of networks."""
INTERACTION_TESTS = ("F", "F, Greenhouse-Geisser", "permuted profiles")


def one_value_a_network(
    n_seeds: int, correlation: float, spread: float, n_repeats: int, rng: np.random.Generator
) -> list[dict]:
    """Two regimes; networks of a seed are correlated; the second regime has ``spread`` times the standard deviation."""
    found = defaultdict(list)
    paired = permutations_of(n_seeds, n_seeds, paired=True, rng=rng)
    unpaired = permutations_of(n_seeds, n_seeds, paired=False, rng=rng)
    for _ in range(n_repeats):
        first, second = correlated_networks(n_seeds, correlation, rng)
        second = second * spread
        found["paired t"].append(both(mean_outcome(first - second)))
        found["Welch t"].append(both(welch_outcome(first, second)))
        for name, permutations in (("sign flips", paired), ("relabelling", unpaired)):
            values = [
                shifted - second if permutations.paired else np.concatenate([shifted, second])
                for shifted in (first, first + EFFECT)
            ]
            found[name].append([p <= ALPHA for p in permutation_p(np.stack(values, axis=1), permutations)])
        if n_seeds == 5:
            found["random intercept, z"].append(both(random_intercept(first, second)))
    setting = {"design": "one value a network", "n_seeds": n_seeds, "correlation": correlation, "spread": spread}
    return [setting | row for row in summarised(found)]


def many_exemplars(
    n_seeds: int, n_exemplars: int, correlation: float, variation: float, n_repeats: int, rng: np.random.Generator
) -> list[dict]:
    """All networks are measured on the same exemplars, over which the effect of the regime varies.

    ``variation`` is the standard deviation over exemplars of their effect in each regime; that of a single value is 1.
    """
    found = defaultdict(list)
    for _ in range(n_repeats):
        networks = correlated_networks(n_seeds, correlation, rng)
        shared = rng.standard_normal(n_exemplars)
        first, second = (
            network[:, None]
            + shared
            + variation * rng.standard_normal(n_exemplars)
            + rng.standard_normal((n_seeds, n_exemplars))
            for network in networks
        )
        found["paired t"].append(both(mean_outcome((first - second).mean(axis=1))))
        found["Welch t"].append(both(welch_outcome(first.mean(axis=1), second.mean(axis=1))))
        found["t over all rows"].append(both(mean_outcome((first - second).ravel())))
        for name, paired in (("paired", True), ("unpaired", False)):
            found[f"{name}, exemplars crossed"].append(both(crossed_outcome(first, second, paired=paired)[0]))
    setting = {"design": "exemplars", "n_seeds": n_seeds, "correlation": correlation, "n_exemplars": n_exemplars}
    return [setting | {"variation": variation} | row for row in summarised(found)]


def profiles(n_seeds: int, n_layers: int, n_repeats: int, rng: np.random.Generator) -> list[dict]:
    """Profiles over layers whose noise grows from 1 to 3 with depth and is correlated (0.7) between neighbours."""
    found = defaultdict(list)
    correlations = 0.7 ** np.abs(np.subtract.outer(np.arange(n_layers), np.arange(n_layers)))
    root = np.linalg.cholesky(correlations) * np.linspace(1, 3, n_layers)[:, None]
    effect = np.linspace(0, 3 * EFFECT, n_layers)
    for paired in (True, False):
        permutations = permutations_of(n_seeds, n_seeds, paired=paired, rng=rng)
        name = "within seeds" if paired else "between networks"
        for _ in range(n_repeats):
            first, second = (rng.standard_normal((n_seeds, n_layers)) @ root.T for _ in range(2))
            tests = []
            for shifted in (first, first + effect):
                values = shifted - second if paired else np.concatenate([shifted, second])
                outcome = profile_outcome(values, n_seeds, permutations)
                plain = stats.f.sf(outcome.statistic, outcome.df, outcome.df_error)
                tests.append([p <= ALPHA for p in (plain, outcome.p, outcome.p_permutation)])
            for test, rejected in zip(INTERACTION_TESTS, np.transpose(tests), strict=True):
                found[f"{test} {name}"].append(rejected)
    setting = {"design": "interaction", "n_seeds": n_seeds, "correlation": 0.0, "n_layers": n_layers}
    return [setting | row for row in summarised(found)]


def correlated_networks(n_seeds: int, correlation: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Values of the networks of two regimes, standard deviation 1, correlated within seeds."""
    seed = rng.standard_normal(n_seeds)
    own = rng.standard_normal((2, n_seeds))
    return list(np.sqrt(correlation) * seed + np.sqrt(1 - correlation) * own)


def random_intercept(first: np.ndarray, second: np.ndarray) -> Outcome:
    """``value ~ regime + (1 | seed)`` with the z test of statsmodels, even if the optimiser did not converge."""
    values = np.concatenate([first, second])
    regime = np.repeat([1.0, 0.0], len(first))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = MixedLM(
            values, np.column_stack([regime, np.ones(len(values))]), groups=np.tile(np.arange(len(first)), 2)
        ).fit(reml=True)
    return t_outcome(float(fit.fe_params[0]), float(fit.bse_fe[0]), np.inf)


def both(outcome: Outcome) -> list[bool]:
    """Whether the test rejects without a difference and with one; an effect changes only the estimate."""
    critical = stats.t.ppf(1 - ALPHA / 2, outcome.df) * outcome.se
    return [abs(outcome.estimate) > critical, outcome.estimate + EFFECT > critical]


def summarised(found: dict[str, list]) -> list[dict]:
    """Shares of repeats; an interval contains the true value if its test does not reject this value."""
    rows = []
    for test, repeats in found.items():
        type_one, power = np.mean(repeats, axis=0)
        n = len(repeats)
        row = {"test": test, "type_one": type_one, "type_one_se": np.sqrt(type_one * (1 - type_one) / n)}
        rows.append(row | {"coverage": 1 - type_one, "power": power, "n_repeats": n})
    return rows


def simulate(n_repeats: int, seed: int) -> pd.DataFrame:
    """Results of all settings, each with its own random numbers."""
    streams = iter(np.random.default_rng(seed).spawn(30))
    rows = []
    for n_seeds in (3, 5, 10):
        for correlation, spread in ((0.0, 1.0), (0.5, 1.0), (0.0, 3.0)):
            rows += one_value_a_network(n_seeds, correlation, spread, n_repeats, next(streams))
    for n_exemplars in (10, 25):
        for variation in (0.0, 0.5, 1.5):
            rows += many_exemplars(5, n_exemplars, 0.5, variation, n_repeats // 2, next(streams))
    for n_seeds in (5, 10):
        rows += profiles(n_seeds, 8, n_repeats, next(streams))
    first = ["design", "n_seeds", "correlation", "spread", "n_exemplars", "variation", "n_layers", "test"]
    table = pd.DataFrame(rows)
    return table[[*first, *(name for name in table.columns if name not in first)]]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    table = simulate(arguments.repeats, arguments.seed)
    table.to_csv(arguments.out / "calibration.csv", index=False, float_format="%.4g", lineterminator="\n")
    print(table.drop(columns=["type_one_se"]).to_string(index=False, na_rep="", float_format="%.3f"))
