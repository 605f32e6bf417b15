"""Extraction of RDMs and fits on draws on an accelerator beside this machine's cores: the same numbers, and how fast.

``python -m tests.benchmarks.gpu [--device cuda] [--images N] [--stimuli N]`` prints a table and ends with 1 if numbers
differ by more than the stated tolerance. Seconds are those of the clock, after one call that warms up. With
``--device cpu`` (taken where there is no accelerator) it compares torch on the processor with NumPy.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch

from neural_data import StimulusSet
from neurocompare import compute_model_rdms, fits_on_draws, load_model
from tests.benchmarks.bench_extraction import NETWORKS
from tests.benchmarks.fits import models_and_recordings

SIZE = 224
TOLERANCES = {"rdms": 1e-3, "fits": 1e-9}
"""Largest absolute difference: of dissimilarities from float32 passes (TensorFloat-32 is not used), and of fits."""
METHODS = ("corr", "spearman", "corr_cov")


def images(n: int) -> StimulusSet:
    """Smooth random images."""
    table = pd.DataFrame({"stimulus_id": [f"s{k:04d}" for k in range(n)]}).set_index("stimulus_id")
    table = table.assign(filename=table.index + ".png", category="none", identity=table.index, azimuth_deg=0.0)
    coarse = np.random.default_rng(0).integers(0, 256, (n, SIZE // 8, SIZE // 8, 3), dtype=np.uint8)
    return StimulusSet(table.assign(elevation_deg=0.0), pixels=coarse.repeat(8, 1).repeat(8, 2), name="noise")


def timed(call: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    """Result and seconds of the second of two calls."""
    call()
    start = time.perf_counter()
    found = call()
    return found, time.perf_counter() - start


def compared(what: str, kind: str, here: Callable[[], np.ndarray], there: Callable[[], np.ndarray]) -> dict:
    """One row of the table."""
    expected, seconds = timed(here)
    found, device_seconds = timed(there)
    difference = float(np.nanmax(np.abs(found - expected)))
    alike = np.array_equal(np.isnan(found), np.isnan(expected)) and difference <= TOLERANCES[kind]
    return {
        "what": what,
        "cores_s": seconds,
        "device_s": device_seconds,
        "ratio": seconds / device_seconds,
        "difference": difference,
        "tolerance": TOLERANCES[kind],
        "alike": alike,
    }


def rows(device: str, n_images: int, n_stimuli: int) -> Iterator[dict]:
    """All rows of the table."""
    stimuli = images(n_images)
    for name, make in NETWORKS.items():
        torch.manual_seed(0)
        module = make().eval()

        def rdms(where: str, module: torch.nn.Module = module) -> np.ndarray:
            return compute_model_rdms(load_model(module, device=where), stimuli, "main").get_vectors()

        yield compared(f"RDMs of {name}, {n_images} images", "rdms", lambda: rdms("cpu"), lambda: rdms(device))
    rng = np.random.default_rng(0)
    models, neural = models_and_recordings(n_stimuli, 20, rng)
    draws = rng.integers(0, n_stimuli, (200, n_stimuli))
    for method in METHODS:

        def fits(where: str | None, method: str = method) -> np.ndarray:
            return fits_on_draws(models, neural, draws, method, device=where)

        yield compared(
            f"fits_on_draws, {method}, {n_stimuli} stimuli", "fits", lambda: fits(None), lambda: fits(device)
        )


def main() -> None:
    """Print the table; exit code 1 if numbers differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--stimuli", type=int, default=500)
    options = parser.parse_args()
    name = torch.cuda.get_device_name(options.device) if options.device.startswith("cuda") else options.device
    print(f"{name}; {torch.get_num_threads()} cores; torch {torch.__version__}")
    table = pd.DataFrame(rows(options.device, options.images, options.stimuli))
    print(table.to_string(index=False, float_format="{:.3g}".format))
    sys.exit(0 if table["alike"].all() else 1)


if __name__ == "__main__":
    main()
