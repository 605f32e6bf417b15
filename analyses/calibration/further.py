"""Coverage and error rates of what ``coverage.py`` does not ask, on the same populations of ``generator``: one table.

Run as ``python analyses/calibration/further.py --cell IDENTITIES NEURONS REPEATS [--cell ...] [--out TABLE.csv]``.
Every repeat has new faces, neurons and models. Two patches have the same tuning and the reliability of ``coverage.py``.
Asked are fits under controls, adjusted p values of a network that saw other faces, the interaction of layer and patch,
held-out choices and sets of best layers, Shapley values, and the index of patches.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from coverage import LAYERS, READ, RELIABILITY, calibrate, halves_of, patterns_of, tabulate, units
from generator import AZIMUTHS_DEG, draw_faces, draw_neurons, noise_for_reliability, rdm_vectors

from neural_data.recordings import make_recording
from neurocompare.comparison.ceilings import neuron_ceilings
from neurocompare.comparison.inference import infer_fits
from neurocompare.comparison.layer_tests import compare_layer_profiles, cross_validated_best_layer
from neurocompare.comparison.recorded_index import corrected_indices
from neurocompare.comparison.shapley import shapley_of_fits
from neurocompare.representations.dissimilarities import correlation_dissimilarity
from neurocompare.representations.rdms import build_rdms
from neurocompare.representations.viewpoint import mirror_symmetry_index

N_DRAWS, N_PERMUTATIONS, N_SPLITS = 200, 200, 2
N_MANY_FACES, N_MANY_NEURONS = 200, 4000
N_VIEWS = len(AZIMUTHS_DEG)
CONTROL = ["view", "identity"]


def view_indices(responses: np.ndarray) -> np.ndarray:
    """Mirror-symmetry index of each face, (n_identities,), of units z-scored over stimuli."""
    scores = (responses - responses.mean(axis=0)) / responses.std(axis=0)
    vectors = rdm_vectors(scores.reshape(-1, N_VIEWS, scores.shape[1]))
    matrices = np.zeros((len(vectors), N_VIEWS, N_VIEWS))
    first, second = np.triu_indices(N_VIEWS, 1)
    matrices[:, first, second] = matrices[:, second, first] = vectors
    return mirror_symmetry_index(matrices)


def parts_of(layer: np.ndarray) -> np.ndarray:
    """RDM vectors (3, n_pairs) of a layer, of the part that mirrored views share, and of the rest."""
    views = layer.reshape(-1, N_VIEWS, layer.shape[1])
    mirrored = views[:, ::-1]
    parts = [layer, *(((views + sign * mirrored) / 2).reshape(layer.shape) for sign in (1, -1))]
    first, second = np.triu_indices(len(layer), 1)
    return np.stack([correlation_dissimilarity(part)[first, second] for part in parts])


def experiment(n_identities: int, n_neurons: int, noise: float, true_index: float, rng: np.random.Generator) -> dict:
    """Intervals (low, high, truth) and p values of one experiment; truth is None if it is a mean over repeats."""
    tuning = replace(READ, noise=noise)
    faces = draw_faces(n_identities, rng)
    network = [units(layer, faces, rng) for layer in LAYERS]
    strangers = draw_faces(n_identities, rng)
    unrelated = [units(layer, strangers, rng) for layer in LAYERS]
    responses = [draw_neurons(faces, tuning, n_neurons, rng)[0] for _ in range(2)]
    patterns, regions = patterns_of(n_identities), ["P1", "P2"]
    made = {"patterns": patterns, "dissimilarity": "correlation"}
    layers = {"layer": [f"l{k}" for k in range(len(LAYERS))], "layer_index": list(range(len(LAYERS)))}
    named = {name: {"model": [name] * len(LAYERS), **layers} for name in ("net", "unrelated")}
    models, others = (
        build_rdms(rdm_vectors(np.stack(shown)), rdms=named[name], **made)
        for name, shown in (("net", network), ("unrelated", unrelated))
    )
    neural = build_rdms(rdm_vectors(np.stack(responses)), rdms={"region": regions}, **made)
    recorded = dict(zip(regions, responses, strict=True))
    alone, first = {"P1": responses[0]}, neural.subset("region", "P1")
    neurons = pd.DataFrame({"region": np.repeat(regions, n_neurons)}).assign(
        neuroid_id=lambda table: [f"n{k}" for k in table.index]
    )
    recording = make_recording(
        np.hstack(responses), presentations=patterns.assign(category="face"), neuroids=neurons, units="normalized"
    )
    ceilings = neuron_ceilings(recording, rng=rng, n_splits=50)
    chance = {"n_draws": N_DRAWS, "n_permutations": N_PERMUTATIONS, "rng": rng}
    found: dict[str, object] = {}

    result = infer_fits(models, neural, recording=recorded, ceilings=ceilings, **chance)
    profiles = compare_layer_profiles(result).iloc[0]
    found["p_interaction of patches from one stage"] = profiles["p_interaction"]

    of_others = infer_fits(others, first, recording=alone, ceilings=None, **chance)
    for correction in ("max", "holm", "bh"):
        smallest = of_others.p_identity_adjusted(correction).min()
        found[f"smallest p_identity of unrelated layers, {correction}"] = float(smallest)

    low, high = result.pairwise("none").query("region == 'P1'").iloc[0][["ci_low", "ci_high"]]
    found["difference of two layers"] = (low, high, result.estimates[0, 0] - result.estimates[1, 0])

    for name, shown in (("net", models), ("unrelated", others)):
        controlled = infer_fits(shown, first, recording=alone, control=CONTROL, ceilings=None, **chance)
        low, high = controlled.ci
        at = 2
        if name == "net":
            found["controlled fit of another layer"] = (low[at, 0], high[at, 0], controlled.estimates[at, 0])
        else:
            found["p_zero of unrelated faces, controlled"] = controlled.p_zero[1, 0]
            found["p_identity of unrelated faces, controlled"] = controlled.p_identity[1, 0]

    chosen = cross_validated_best_layer(
        others, first, recording=alone, n_splits=N_SPLITS, n_permutations=N_PERMUTATIONS, rng=rng
    ).iloc[0]
    found["p_identity of the chosen unrelated layer, held out"] = chosen["p_identity"]
    chosen = cross_validated_best_layer(
        models, first, recording=alone, n_splits=N_SPLITS, n_permutations=0, rng=rng
    ).iloc[0]
    found["held-out fit of the best layer"] = (chosen["ci_low"], chosen["ci_high"], chosen["fit"])

    twins = {"model": ["twins"] * 2, "layer": ["a", "b"], "layer_index": [0, 1]}
    equal = build_rdms(rdm_vectors(np.stack(halves_of(faces, rng))), rdms=twins, **made)
    chosen = infer_fits(equal, first, recording=alone, ceilings=None, n_draws=N_DRAWS, n_permutations=1, rng=rng)
    best = chosen.best_layer().iloc[0]
    found["set of best layers holds both of two equally good ones"] = float(best["n_in_set"] == 2)

    shared = {"model": ["net"] * 3, "layer": ["l2"] * 3, "part": ["whole", "invariant", "sensitive"]}
    parts = build_rdms(parts_of(network[2]), rdms=shared, **made)
    values = shapley_of_fits(infer_fits(parts, first, recording=alone, ceilings=None, **chance)).set_index("component")
    for name in ("invariant", "sensitive", "difference"):
        row = values.loc[name]
        found[f"Shapley value, {name}"] = (row["ci_low"], row["ci_high"], row["shapley"])

    corrected = corrected_indices(recording, rng=rng, n_splits=50).iloc[0]
    found["corrected index of a patch"] = (corrected["ci_low"], corrected["ci_high"], true_index)
    return found


def repeats_of(n_identities: int, n_neurons: int, n_repeats: int, rng: np.random.Generator) -> list[dict]:
    """Experiments of one size."""
    tuning = noise_for_reliability(READ, RELIABILITY, n_identities=n_identities, n_neurons=n_neurons, rng=rng)
    shown = draw_neurons(draw_faces(N_MANY_FACES, rng), replace(READ, noise=0.0), N_MANY_NEURONS, rng)[0]
    true_index = float(np.nanmean(view_indices(shown)))
    one = partial(experiment, n_identities, n_neurons, tuning.noise, true_index, rng)
    return [one() for _ in range(n_repeats)]


if __name__ == "__main__":
    tabulate(__doc__, partial(calibrate, repeats_of))
