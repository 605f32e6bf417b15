"""Levels of intervals and tests of read-outs, of equality and of other animals, on populations of ``generator``.

Run as ``python analyses/calibration/links.py --out links.csv [--cell IDENTITIES NEURONS REPEATS]``. Each repeat draws
new faces (in five views), neurons of two animals, and 1,500 units without noise for each of four layers: ``own`` and
``twin`` are tuned as the neurons, ``worse`` is tuned less to identity, and ``others`` responds to other faces in the
same views. True values are means over repeats.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from generator import AZIMUTHS_DEG, Tuning, draw_faces, draw_neurons
from scipy import stats

from neural_data.recordings import make_recording
from neurocompare.comparison.encoding import Encoding, infer_encoding
from neurocompare.comparison.equivalence import compare_with_animals
from neurocompare.comparison.equivalence_tests import one_sided, p_equal
from neurocompare.representations.kernels import feature_rdms

N_UNITS = 1500
PATCH = Tuning(noise=2.0)
OWN = replace(PATCH, noise=0.0)
LAYERS = {"own": OWN, "twin": OWN, "worse": replace(OWN, identity=0.2, both=0.3)}


def experiment(n_identities: int, n_neurons: int, rng: np.random.Generator) -> dict[str, float]:
    """Estimates, standard errors and p values of one simulated experiment."""
    faces, other_faces = draw_faces(n_identities, rng), draw_faces(n_identities, rng)
    patterns = pd.DataFrame(
        [(f"{i}_{view:g}", f"id{i}", view) for i in range(n_identities) for view in AZIMUTHS_DEG],
        columns=["stimulus_id", "identity", "azimuth_deg"],
    ).set_index("stimulus_id")
    layers = {name: draw_neurons(faces, tuning, N_UNITS, rng)[0] for name, tuning in LAYERS.items()}
    layers["others"] = draw_neurons(other_faces, OWN, N_UNITS, rng)[0]
    animals = draw_neurons(faces, PATCH, n_neurons, rng, 2)
    distances = feature_rdms(layers, patterns)
    found = infer_encoding(distances, {"AL": animals[0]}, Encoding(), n_draws=2, n_permutations=100, rng=rng).pooled
    row = {f"score_{name}": found.estimates[place, 0] for place, name in enumerate(layers)}
    row |= {f"se_{name}": found.se[place, 0] for place, name in enumerate(layers)}
    row |= {"df": float(found.df[0]), "p_identity_others": found.p_identity[3, 0]}
    weights = np.zeros((2, 4))
    weights[0, [0, 1]], weights[1, [0, 2]] = (1, -1), (1, -1)
    for name, *values in zip(("twin", "worse"), *(part[:, 0] for part in found.contrasts(weights)), strict=True):
        row |= dict(zip((f"difference_{name}", f"difference_se_{name}", f"difference_p_{name}"), values, strict=True))
    recording = make_recording(
        np.hstack(animals),
        presentations=pd.DataFrame({"stimulus_id": patterns.index}),
        neuroids=pd.DataFrame(
            {
                "neuroid_id": [f"n{k}" for k in range(2 * n_neurons)],
                "region": "AL",
                "subject": np.repeat(["m1", "m2"], n_neurons),
            }
        ),
        units="normalized",
    )
    table = compare_with_animals(distances, recording, margin=0.05, dissimilarity="euclidean", rng=rng)
    table = table[table["subject"] == "m1"].set_index("layer")
    for name in ("own", "worse"):
        row |= {f"animal_{part}_{name}": table.loc[name, part] for part in ("difference", "se", "df")}
    return row


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Coverage and shares of experiments in which tests reject, with their standard errors."""
    t = stats.t.ppf(0.975, rows["df"])
    found: list[tuple[str, str, np.ndarray]] = []
    for name in ("own", "worse"):
        off = np.abs(rows[f"score_{name}"] - rows[f"score_{name}"].mean())
        found.append((f"interval of the score of layer '{name}'", "95", off <= t * rows[f"se_{name}"]))
    off = np.abs(rows["difference_worse"] - rows["difference_worse"].mean())
    found.append(("interval of the difference between two layers", "95", off <= t * rows["difference_se_worse"]))
    found.append(("two equally good layers are told apart", "5", rows["difference_p_twin"] < 0.05))
    found.append(("p_identity of a layer of other faces rejects", "5", rows["p_identity_others"] < 0.05))
    margin = abs(rows["difference_worse"].mean())
    p = p_equal(
        rows["difference_worse"].to_numpy(), rows["difference_se_worse"].to_numpy(), rows["df"].to_numpy(), margin
    )
    found.append(("layers called equal that differ by the margin", "at most 5", p < 0.05))
    # A layer whose true difference lies at minus the margin, so that the test should reject in 5 %.
    beyond = rows["animal_difference_own"] - rows["animal_difference_own"].mean()
    p = one_sided(beyond.to_numpy(), rows["animal_se_own"].to_numpy(), rows["animal_df_own"].to_numpy())
    found.append(("a layer at the margin is called no further than another animal", "5", p < 0.05))
    t = stats.t.ppf(0.975, rows["animal_df_own"])
    off = np.abs(rows["animal_difference_own"] - rows["animal_difference_own"].mean())
    found.append(("interval of the difference from another animal", "95", off <= t * rows["animal_se_own"]))
    shares = [np.asarray(values, dtype=float).mean() for _, _, values in found]
    n = len(rows)
    return pd.DataFrame(
        {
            "quantity": [name for name, _, _ in found],
            "aim_percent": [aim for _, aim, _ in found],
            "percent": [100 * share for share in shares],
            "se": [100 * np.sqrt(share * (1 - share) / n) for share in shares],
            "n": n,
        }
    )


def main() -> None:
    """Simulate and write the table; rows of the same size are replaced."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--cell", type=int, nargs=3, default=[10, 50, 300], metavar=("IDENTITIES", "NEURONS", "REPEATS")
    )
    parser.add_argument("--seed", type=int, default=2026)
    args = parser.parse_args()
    n_identities, n_neurons, repeats = args.cell
    seeds = np.random.SeedSequence([args.seed, n_identities, n_neurons]).spawn(repeats)
    rows = pd.DataFrame([experiment(n_identities, n_neurons, np.random.default_rng(seed)) for seed in seeds])
    table = summarise(rows).assign(n_identities=n_identities, n_neurons=n_neurons)
    if args.out.is_file():
        before = pd.read_csv(args.out)
        same = (before["n_identities"] == n_identities) & (before["n_neurons"] == n_neurons)
        table = pd.concat([before[~same], table], ignore_index=True)
    table.to_csv(args.out, index=False, float_format="%.4g")
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
