"""Makes the packaged sample: ``python analyses/sample/make.py [--out neural_data/samples]``."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from neural_data import read_stimuli, simulate_patches, write_recording, write_stimuli
from neural_data.samples import FOLDER
from neurocompare.stimuli.sets import face_views

SEED = 20240607


def main() -> None:
    """Render, simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER)
    folder = parser.parse_args().out
    write_stimuli(face_views(12, size=96, seed=SEED), folder)
    stimuli = read_stimuli(folder)
    recording = simulate_patches(
        stimuli,
        n_neurons=40,
        n_repetitions=6,
        rng=np.random.default_rng(SEED),
        subjects=("S1", "S2"),
        kind="parametric",
    )
    write_recording(recording, folder / "recording.nc")


if __name__ == "__main__":
    main()
