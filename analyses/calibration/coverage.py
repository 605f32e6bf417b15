"""Coverage of intervals and type-I error of tests of fits, on populations of ``generator``: one table.

Run as ``python analyses/calibration/coverage.py --cell IDENTITIES NEURONS REPEATS [--cell ...] [--out TABLE.csv]``.
The simulation shares no code with ``neural_data.simulation``: tuning has heavy tails, gains and noise are log-normal,
and neurons respond similarly to neighbouring and to mirrored views. Every repeat has new faces, neurons and models. The
models have 1,500 units without noise:

- a network of four layers, from tuning to views to tuning to identity; the neurons of three patches are built from the
  second layer;
- a network of two equally good layers: each has a random half of the dimensions in which faces vary;
- other units with the tuning of the neurons;
- such units with responses to other faces in the same views.

Patch ``P1`` has the wanted reliability, ``P2`` the same one or, in every other repeat, a third of it; ``P3`` is noise.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from generator import AZIMUTHS_DEG, N_LATENTS, Tuning, draw_faces, draw_neurons, noise_for_reliability, rdm_vectors

from neurocompare.comparison.inference import infer_fits
from neurocompare.comparison.layer_tests import compare_layer_profiles
from neurocompare.comparison.reliability import neuron_reliability
from neurocompare.representations.dissimilarities import Population
from neurocompare.representations.rdms import build_rdms

SEED = 20250314
READ = Tuning(view=1.0, identity=0.5, both=0.7, mirrored=0.5)
LAYERS = (
    Tuning(view=1.0, identity=0.2, both=0.3),
    READ,
    Tuning(view=0.6, identity=0.8, both=0.6, mirrored=0.8),
    Tuning(view=0.2, identity=1.0, both=0.3, mirrored=0.8),
)
RELIABILITY = 0.8
N_UNITS = 1500
N_DRAWS = 200
MEASURED = ("fit of", "controlled fit of", "held-out fit of", "Shapley", "difference of two layers")
"""Quantities whose true value is their mean over repeats."""
Repeats = Callable[[int, int, int, np.random.Generator], list[dict]]


def patterns_of(n_identities: int) -> pd.DataFrame:
    """Identity and azimuth of each stimulus, in the generator's order."""
    rows = [(f"{i}/{a:g}", f"face{i}", a) for i in range(n_identities) for a in AZIMUTHS_DEG]
    return pd.DataFrame(rows, columns=["stimulus_id", "identity", "azimuth_deg"])


def units(tuning: Tuning, faces: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Responses (n_stimuli, N_UNITS) of a layer without noise."""
    return draw_neurons(faces, replace(tuning, noise=0.0), N_UNITS, rng)[0]


def halves_of(faces: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Responses of two equally good layers: each has a random half of the dimensions in which faces vary."""
    first = np.isin(np.arange(N_LATENTS), rng.permutation(N_LATENTS)[: N_LATENTS // 2])
    return [units(READ, np.where(half, faces, 0.0) * np.sqrt(2), rng) for half in (first, ~first)]


def models_of(faces: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, dict[str, list]]:
    """RDM vectors of all models, and their names."""
    parts = [units(tuning, faces, rng) for tuning in LAYERS]
    parts += halves_of(faces, rng)
    parts += [units(READ, faces, rng), units(READ, draw_faces(len(faces), rng), rng)]
    names = ["net"] * 4 + ["twins"] * 2 + ["true", "unrelated"]
    layers = [f"l{k}" for k in range(4)] + ["a", "b"] + ["all", "all"]
    return rdm_vectors(np.stack(parts)), {"model": names, "layer": layers, "layer_index": [0, 1, 2, 3, 0, 1, 0, 0]}


def experiment(n_identities: int, n_neurons: int, noises: tuple[float, float], rng: np.random.Generator) -> dict:
    """Intervals (low, high, truth) and p values of one experiment; truth is None if it is a mean over repeats."""
    faces = draw_faces(n_identities, rng)
    patterns = patterns_of(n_identities)
    tunings = [replace(READ, noise=noise) for noise in noises]
    responses = [draw_neurons(faces, tuning, n_neurons, rng)[0] for tuning in tunings]
    responses.append(rng.standard_normal(responses[0].shape) * np.exp(0.5 * rng.standard_normal(n_neurons)))
    vectors, names = models_of(faces, rng)
    made = {"patterns": patterns, "dissimilarity": "correlation"}
    regions = ["P1", "P2", "P3"]
    neural = build_rdms(rdm_vectors(np.stack(responses)), rdms={"region": regions}, **made)
    models = build_rdms(vectors, rdms=names, **made)
    found, ceilings = {}, []
    for region, own, tuning in zip(regions, responses, [*tunings, None], strict=True):
        reliability = neuron_reliability(
            Population(region, "", own), n_splits=50, rng=rng, method="corr", dissimilarity="correlation",
            normalize=None, with_se=True, cells=None,
        )  # fmt: skip
        low, high = reliability.interval()
        if tuning is not None:
            others = rdm_vectors(draw_neurons(faces, tuning, n_neurons, rng, 16))
            truth = float(np.corrcoef(others)[np.triu_indices(16, 1)].mean())
            found[f"reliability of {region}"] = (low, high, truth)
        value = max(reliability.value, 1e-3)
        ceilings.append(
            {
                "region": region,
                "ceiling_lower": value,
                "ceiling_upper": np.sqrt(value),
                "ceiling_lower_se": reliability.se * (1 - value**2),
            }
        )
    result = infer_fits(
        models,
        neural,
        recording=dict(zip(regions, responses, strict=True)),
        n_draws=N_DRAWS,
        n_permutations=200,
        ceilings=pd.DataFrame(ceilings),
        rng=rng,
    )
    low, high = result.ci
    corrected = result.corrected.ci
    names_of = [f"{model} {layer}" for model, layer in zip(names["model"], names["layer"], strict=True)]
    at = {name: row for row, name in enumerate(names_of)}
    found["fit of another layer"] = (low[at["net l2"], 0], high[at["net l2"], 0], result.estimates[at["net l2"], 0])
    true = at["true all"]
    found["noise-corrected fit of the true model"] = (corrected[0][true, 0], corrected[1][true, 0], 1.0)
    pairs = result.pairwise().query("region == 'P1' and model_1 == 'twins' and model_2 == 'twins'").iloc[0]
    found["difference of two equal layers"] = (pairs["ci_low"], pairs["ci_high"], 0.0)
    found["p of two equal layers"] = pairs["p"]
    found["p_ceiling of the true model"] = result.p_ceiling[true, 0]
    found["p_zero of unrelated faces"] = result.p_zero[at["unrelated all"], 0]
    found["p_identity of unrelated faces"] = result.p_identity[at["unrelated all"], 0]
    profiles = compare_layer_profiles(result).query("model == 'net'").set_index(["region_1", "region_2"])
    found["p of a dissociation"] = profiles["p"]["P1", "P2"]
    found["depth difference of one stage"] = (
        profiles["depth_low"]["P1", "P2"],
        profiles["depth_high"]["P1", "P2"],
        0.0,
    )
    found["order decided against noise"] = 0.0 if profiles["depth_reason"]["P1", "P3"] else 1.0
    return found


def summarised(repeats: list[dict], setting: dict) -> list[dict]:
    """Share of intervals that contain the true value, and share of p below 0.05."""
    columns = defaultdict(list)
    for repeat in repeats:
        for name, value in repeat.items():
            columns[name].append(value)
    rows = []
    for name, values in columns.items():
        if isinstance(values[0], tuple):
            low, high, truth = np.array(values, dtype=float).T
            truth = np.full(len(truth), np.nanmean(truth)) if name.startswith(MEASURED) else truth
            known = np.isfinite(low)
            kind, hits = "covers", (low <= truth)[known] & (truth <= high)[known]
        else:
            values = np.array(values, dtype=float)
            kind = "share" if set(np.unique(values)) <= {0.0, 1.0} else "rejects"
            hits = values[np.isfinite(values)] < 0.05 if kind == "rejects" else values > 0.5
        if not len(hits):
            continue
        share = float(np.mean(hits))
        row = {"asked": name, "kind": kind, "share": share, "se": np.sqrt(share * (1 - share) / len(hits))}
        rows.append({**setting, **row, "n": len(hits)})
    return rows


def repeats_of(n_identities: int, n_neurons: int, n_repeats: int, rng: np.random.Generator) -> list[dict]:
    """Experiments of one size; in every other one, the second patch is a third as reliable."""
    sizes = {"n_identities": n_identities, "n_neurons": n_neurons}
    noises = [noise_for_reliability(READ, r, rng=rng, **sizes).noise for r in (RELIABILITY, RELIABILITY / 3)]
    repeats = []
    for number in range(n_repeats):
        ratio = number % 2
        found = experiment(**sizes, noises=(noises[0], noises[ratio]), rng=rng)
        name = f"p of a dissociation, reliabilities 1:{3 if ratio else 1}"
        found[name] = found.pop("p of a dissociation")
        repeats.append(found)
    return repeats


def calibrate(repeats: Repeats, n_identities: int, n_neurons: int, n_repeats: int) -> list[dict]:
    """All rows of the table for one size of experiment."""
    rng = np.random.default_rng([SEED, n_identities, n_neurons])
    found = repeats(n_identities, n_neurons, n_repeats, rng)
    return summarised(found, {"n_identities": n_identities, "n_neurons": n_neurons})


def tabulate(about: str, calibrated: Callable[[int, int, int], list[dict]]) -> None:
    """Run the sizes of experiment that the command line names; print their table and append it to the file."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--cell", type=int, nargs=3, action="append", required=True)
    parser.add_argument("--out", type=Path, help="CSV that rows are added to; those of the same cells are replaced")
    arguments = parser.parse_args()
    table = pd.DataFrame([row for cell in arguments.cell for row in calibrated(*cell)]).round(4)
    print(table.to_string(index=False))
    if arguments.out is not None:
        if arguments.out.exists():
            old = pd.read_csv(arguments.out)
            same = old[["n_identities", "n_neurons"]].apply(tuple, axis=1).isin([tuple(c[:2]) for c in arguments.cell])
            table = pd.concat([old[~same], table])
        table = table.sort_values(["n_identities", "n_neurons"], kind="stable")
        table.to_csv(arguments.out, index=False, lineterminator="\n")


if __name__ == "__main__":
    tabulate(__doc__, partial(calibrate, repeats_of))
