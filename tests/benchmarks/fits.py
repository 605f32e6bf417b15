"""Fits and inference beside rsatoolbox, and how their time and memory grow.

Every row is measured in one run on one machine, in seconds of processor time on one thread, so that what else runs
there does not count. rsatoolbox is timed on few draws, since its time is proportional to their number, and scaled to
ours; its ``eval_dual_bootstrap`` also computes noise ceilings on every draw.
"""

from __future__ import annotations

import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from rsatoolbox.inference import eval_dual_bootstrap
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs

from neurocompare.comparison.fits import fits_on_draws
from neurocompare.comparison.inference import infer_fits
from neurocompare.comparison.shapley import shapley_of_fits
from neurocompare.representations.dissimilarities import correlation_dissimilarity
from neurocompare.representations.rdms import build_rdms

SEED = 1
TARGETS = {
    ("corr", 175): 300,
    ("spearman", 175): 100,
    ("rho-a", 175): 100,
    ("tau-a", 175): 20,
    ("corr_cov", 99): 20,
    ("cosine_cov", 99): 20,
}
"""How many times faster than rsatoolbox the two-factor bootstrap is to be, by method and number of stimuli."""


def random_rdms(n_rdms: int, n_stimuli: int, rng: np.random.Generator, **descriptors) -> RDMs:
    patterns = pd.DataFrame(
        {
            "stimulus_id": [f"s{k:04d}" for k in range(n_stimuli)],
            "identity": [f"id{k // 7:03d}" for k in range(n_stimuli)],
        }
    )
    values = rng.random((n_rdms, n_stimuli * (n_stimuli - 1) // 2))
    return build_rdms(values, patterns=patterns, rdms=descriptors, dissimilarity="correlation")


def models_and_recordings(n_stimuli: int, n_layers: int, rng: np.random.Generator) -> tuple[RDMs, RDMs]:
    models = random_rdms(n_layers, n_stimuli, rng, layer=[f"layer{k}" for k in range(n_layers)])
    return models, random_rdms(3, n_stimuli, rng, region=["AL"] * 3, subject=["m1", "m2", "m3"])


def seconds(call: Callable[[], object]) -> float:
    """Processor time of a call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def seconds_and_peak_mb(call: Callable[[], object]) -> dict[str, float]:
    """Time, and most memory held at once beyond what was held before (numpy's arrays count)."""
    tracemalloc.start()
    taken = seconds(call)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"seconds": taken, "peak_mb": peak / 2**20}


def row(what: str, **columns: object) -> dict:
    return {"what": what, **columns}


def against_rsatoolbox(n_draws: int) -> Iterator[dict]:
    """Two-factor bootstrap of 20 layers and 3 recordings."""
    rng = np.random.default_rng(SEED)
    theirs_draws = {"corr": 5, "spearman": 3, "rho-a": 3}
    for method, n_stimuli in [*TARGETS, ("corr_cov", 175), ("cosine_cov", 175)]:
        models, neural = models_and_recordings(n_stimuli, 20, rng)

        def ours(n: int, models: RDMs = models, neural: RDMs = neural, method: str = method) -> object:
            return infer_fits(
                models,
                neural,
                resample=("stimulus", "subject"),
                variance="bootstrap",
                n_draws=n,
                method=method,
                ceilings=None,
                rng=np.random.default_rng(SEED),
            ).variances

        ours(2)
        our_time = seconds(lambda: ours(n_draws))
        fixed = [ModelFixed(name, models.subset("layer", name)) for name in models.rdm_descriptors["layer"]]
        n_theirs = theirs_draws.get(method, 1)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                their_time = seconds(lambda: eval_dual_bootstrap(fixed, neural, method=method, N=n_theirs))  # noqa: B023
            their_time *= n_draws / n_theirs
        except TypeError:
            their_time = np.nan  # rsatoolbox cannot whiten draws of a hundred stimuli or more
        yield row(
            "two-factor bootstrap",
            method=method,
            n_stimuli=n_stimuli,
            n_layers=20,
            n_draws=n_draws,
            seconds=our_time,
            rsatoolbox_seconds=their_time,
            ratio=their_time / our_time,
            target_ratio=TARGETS.get((method, n_stimuli), np.nan),
        )


def growth(quick: bool) -> Iterator[dict]:
    """Time and peak memory of ``fits_on_draws`` with stimuli, layers and draws."""
    sizes = [(n, 20, 1000) for n in (50, 100, 200, 500, 1000)]
    sizes += [(5000, 4, 100)]
    sizes += [(175, n, 1000) for n in (1, 20, 200)]
    sizes += [(175, 20, n) for n in (100, 10_000, 100_000)]
    for n_stimuli, n_layers, n_draws in sizes if not quick else sizes[:2]:
        rng = np.random.default_rng(SEED)
        models, neural = models_and_recordings(n_stimuli, n_layers, rng)
        draws = rng.integers(0, n_stimuli, (n_draws, n_stimuli))

        def call(models: RDMs = models, neural: RDMs = neural, draws: np.ndarray = draws) -> object:
            return fits_on_draws(models, neural, draws)

        yield row(
            "fits_on_draws",
            method="corr",
            n_stimuli=n_stimuli,
            n_layers=n_layers,
            n_draws=n_draws,
            **seconds_and_peak_mb(call),
        )


def other_methods_at_500_stimuli() -> Iterator[dict]:
    """Peak memory of the other measures of fit."""
    rng = np.random.default_rng(SEED)
    models, neural = models_and_recordings(500, 20, rng)
    draws = rng.integers(0, 500, (50, 500))
    for method in ("cosine", "spearman", "rho-a", "tau-a", "corr_cov", "cosine_cov"):

        def call(method: str = method) -> object:
            return fits_on_draws(models, neural, draws, method)

        call()
        yield row(
            "fits_on_draws",
            method=method,
            n_stimuli=500,
            n_layers=20,
            n_draws=50,
            **seconds_and_peak_mb(call),
        )


def whole_study(quick: bool) -> Iterator[dict]:
    """Inference of a Figure 6 study: 6 networks, 75 layers in three parts each, 3 patches, 25 identities in 7 views."""
    rng = np.random.default_rng(SEED)
    n_layers, n_draws = (75, 10_000) if not quick else (6, 200)
    parts = ("whole", "invariant", "sensitive")
    names = [(f"net{k % 6}", f"layer{k // 6:02d}", k // 6, part) for k in range(n_layers) for part in parts]
    models = random_rdms(
        len(names),
        175,
        rng,
        **{key: [name[place] for name in names] for place, key in enumerate(("model", "layer", "layer_index", "part"))},
    )
    responses = {region: rng.standard_normal((175, 100)) for region in ("ML", "AL", "AM")}
    patterns = pd.DataFrame({"stimulus_id": models.pattern_descriptors["stimulus_id"]})
    neural = build_rdms(
        np.stack([correlation_dissimilarity(values) for values in responses.values()]),
        patterns=patterns,
        rdms={"region": list(responses)},
        dissimilarity="correlation",
    )
    for variance in ("jackknife", "bootstrap"):

        def call(variance: str = variance) -> object:
            result = infer_fits(
                models,
                neural,
                recording=responses,
                variance=variance,
                n_draws=n_draws,
                ceilings=None,
                rng=np.random.default_rng(SEED),
            )
            return result.to_frame(), shapley_of_fits(result)

        yield row(
            f"inference of a whole study, identity+neuron, {variance}",
            method="corr",
            n_stimuli=175,
            n_layers=n_layers,
            n_draws=n_draws,
            seconds=seconds(call),
            target_seconds=60,
        )


def measure(quick: bool) -> Iterator[dict]:
    """All rows of the table."""
    yield from against_rsatoolbox(1000 if not quick else 50)
    yield from growth(quick)
    if not quick:
        yield from other_methods_at_500_stimuli()
    yield from whole_study(quick)
