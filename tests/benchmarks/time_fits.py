"""Fits of layers in every time bin, with draws of identities and neurons: seconds of one core and of the clock.

Run as ``python -m tests.benchmarks.time_fits [--bins 40] [--layers 20] [--patches 3] [--draws 1000]``.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
from rsatoolbox.rdm import RDMs

from neural_data.recordings import make_recording
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


def main() -> None:
    """Print the time of the whole inference, with and without draws."""
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


if __name__ == "__main__":
    main()
