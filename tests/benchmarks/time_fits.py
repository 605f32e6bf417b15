"""Fits of layers in every time bin, with draws of identities and neurons: seconds of one core and of the clock.

Then ratios of one core's seconds, side by side in this run: draws of neurons, and permutations, one RDM after another
(as ``fits_on_counts`` and ``identity_null`` do it) against all of them together.

Run as ``python -m tests.benchmarks.time_fits [--bins 40] [--layers 20] [--patches 3] [--draws 1000]``.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
from rsatoolbox.rdm import RDMs
from threadpoolctl import threadpool_limits

from neural_data.recordings import make_recording
from neurocompare.comparison.drawn_fits import DrawnFits
from neurocompare.comparison.fits import ResampledNeurons, fits_on_counts
from neurocompare.comparison.identity_tests import identity_null, permuted_fits
from neurocompare.comparison.neuron_rdms import NeuronRdms
from neurocompare.comparison.resampling import draw_counts
from neurocompare.comparison.time_fits import infer_fits_by_time

N_IDENTITIES, N_VIEWS, N_NEURONS, N_PERMUTATIONS = 25, 5, 100, 1000


def experiment(n_bins: int, n_layers: int, n_patches: int) -> tuple:
    """RDMs of layers, and a recording of 100 neurons of each patch, 25 identities in five views."""
    rng = np.random.default_rng(0)
    n_stimuli = N_IDENTITIES * N_VIEWS
    identity, view = np.divmod(np.arange(n_stimuli), N_VIEWS)
    table = pd.DataFrame(
        {
            "stimulus_id": [f"{i}_{v}" for i, v in zip(identity, view, strict=True)],
            "identity": [f"id{i}" for i in identity],
            "azimuth_deg": (view - 2) * 45.0,
        }
    )
    neurons = pd.DataFrame(
        {
            "neuroid_id": [f"n{k}" for k in range(n_patches * N_NEURONS)],
            "region": np.repeat([f"P{k}" for k in range(n_patches)], N_NEURONS),
        }
    )
    recording = make_recording(
        rng.gamma(2.0, 5.0, (n_stimuli, len(neurons), n_bins)),
        presentations=table,
        neuroids=neurons,
        time_bins_ms=np.stack([10 * np.arange(n_bins), 10 * np.arange(1, n_bins + 1)], axis=1),
    )
    layers = RDMs(
        rng.random((n_layers, n_stimuli * (n_stimuli - 1) // 2)),
        dissimilarity_measure="correlation",
        rdm_descriptors={
            "model": ["net"] * n_layers,
            "layer": [f"layer{k}" for k in range(n_layers)],
            "layer_index": list(range(n_layers)),
        },
        pattern_descriptors={name: table[name].tolist() for name in table},
    )
    return layers, recording


def ratios(layers: RDMs, recording, n_draws: int, n_bins: int = 2) -> dict[str, float]:
    """Seconds one by one over seconds together, for a patch in some bins; results must be the same."""
    rng = np.random.default_rng(0)
    models = layers.get_vectors()
    codes = np.repeat(np.arange(N_IDENTITIES), N_VIEWS)
    counts = draw_counts(N_IDENTITIES, n_draws, rng=rng)[0][:, codes]
    neurons = draw_counts(N_NEURONS, n_draws, rng=rng)[0]
    bins = [recording.values[:, :N_NEURONS, place] for place in range(n_bins)]
    populations = [ResampledNeurons(one, neurons) for one in bins]
    recorded = np.concatenate([NeuronRdms(one, "correlation").rdms(np.ones((1, N_NEURONS))) for one in bins])
    places = np.arange(len(codes)).reshape(N_IDENTITIES, N_VIEWS)
    together = DrawnFits(models, counts, method="corr", clusters=codes)
    stays = np.ones((1, len(codes)), dtype=int)
    sides = {
        "draws of neurons": (
            lambda: [
                [fits_on_counts(models, one, drawn, clusters=codes)[:, :, 0] for drawn in (None, counts)]
                for one in populations
            ],
            lambda: [together.of(one) for one in populations],
        ),
        "permutations": (
            lambda: identity_null(
                lambda permuted: fits_on_counts(models, permuted, stays)[0],
                recorded,
                places,
                N_PERMUTATIONS,
                rng=np.random.default_rng(1),
            ),
            lambda: permuted_fits(
                models, recorded, places, N_PERMUTATIONS, method="corr", rng=np.random.default_rng(1)
            ),
        ),
    }
    found = {}
    for name, ways in sides.items():
        seconds, results = [], []
        for way in ways:
            start = time.process_time()
            results.append(np.asarray(way()))
            seconds.append(time.process_time() - start)
        np.testing.assert_allclose(*results, atol=1e-12)
        found[name] = seconds[0] / seconds[1]
    return found


def main() -> None:
    """Print the time of the whole inference, with and without draws, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("bins", 40), ("layers", 20), ("patches", 3), ("draws", 1000)):
        parser.add_argument(f"--{name}", type=int, default=value)
    chosen = parser.parse_args()
    layers, recording = experiment(chosen.bins, chosen.layers, chosen.patches)
    for n_draws in (0, chosen.draws):
        clock, processor = time.perf_counter(), time.process_time()
        infer_fits_by_time(
            layers,
            recording,
            n_draws=n_draws,
            n_permutations=N_PERMUTATIONS,
            n_splits=0,
            rng=np.random.default_rng(0),
        )
        print(
            f"{chosen.bins} bins x {chosen.layers} layers x {chosen.patches} patches, {n_draws} draws, "
            f"{N_PERMUTATIONS} permutations: {time.perf_counter() - clock:.1f} s, "
            f"{time.process_time() - processor:.1f} s of processor time"
        )
    with threadpool_limits(1):
        for name, ratio in ratios(layers, recording, chosen.draws).items():
            print(f"{name}: together {ratio:.1f} x as fast as one by one")


if __name__ == "__main__":
    main()
