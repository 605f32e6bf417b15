"""Standard errors of fits, here and in rsatoolbox, against the true spread over experiments.

``python -m tests.benchmarks.standard_errors`` prints the table of ``docs/rdms.md`` (about five minutes of one core).
In every experiment 40 new stimuli lie at random in six dimensions; eight new subjects have 50 channels each, random
weighted sums of these dimensions plus noise of four times their standard deviation. Models are the six dimensions
themselves (``true``), with noise (``near``), and six others (``other``).
"""

from __future__ import annotations

import contextlib
import io
import time

import numpy as np
import pandas as pd
import rsatoolbox

from neurocompare import infer_fits

N_STIMULI, N_SUBJECTS, N_CHANNELS, N_DIMENSIONS = 40, 8, 50, 6
N_EXPERIMENTS, N_OF_RSATOOLBOX, N_DRAWS = 300, 12, 200
NAMES = [f"image{i:02d}" for i in range(N_STIMULI)]


def rdms_of(responses: list[np.ndarray], **descriptors: list[str]) -> rsatoolbox.rdm.RDMs:
    """RDMs of arrays of shape (n_stimuli, n_channels), by correlation."""
    data = [rsatoolbox.data.Dataset(array, obs_descriptors={"stimulus_id": NAMES}) for array in responses]
    rdms = rsatoolbox.rdm.calc_rdm(data, method="correlation", descriptor="stimulus_id")
    rdms.rdm_descriptors.update(descriptors)
    return rdms


def experiment(rng: np.random.Generator) -> tuple[rsatoolbox.rdm.RDMs, rsatoolbox.rdm.RDMs]:
    """RDMs of the three models and of the subjects in one experiment."""
    true = rng.normal(size=(N_STIMULI, N_DIMENSIONS))
    spaces = [true, true + rng.normal(size=true.shape), rng.normal(size=true.shape)]
    subjects = [
        true @ rng.normal(size=(N_DIMENSIONS, N_CHANNELS)) + 4 * rng.normal(size=(N_STIMULI, N_CHANNELS))
        for _ in range(N_SUBJECTS)
    ]
    of_subjects = {"region": ["IT"] * N_SUBJECTS, "subject": [f"s{i}" for i in range(N_SUBJECTS)]}
    return rdms_of(spaces, model=["true", "near", "other"]), rdms_of(subjects, **of_subjects)


def main() -> None:
    rows, seconds = [], []
    for number, stream in enumerate(np.random.default_rng(7).spawn(N_EXPERIMENTS)):
        models, brains = experiment(stream)
        for variance in ("jackknife", "bootstrap"):
            start = time.process_time()
            found = infer_fits(
                models,
                brains,
                resample=("stimulus", "subject"),
                variance=variance,
                n_draws=N_DRAWS,
                ceilings=None,
                rng=stream,
            )
            seconds.append((f"{variance}, here", time.process_time() - start))
            rows += [
                (f"{variance}, here", *row)
                for row in zip(found.estimates.ravel(), found.se.ravel(), range(3), strict=True)
            ]
        if number < N_OF_RSATOOLBOX:
            np.random.seed(number)  # noqa: NPY002  (rsatoolbox draws from NumPy's global state)
            fixed = [
                rsatoolbox.model.ModelFixed(name, models.subset("model", name)) for name in ("true", "near", "other")
            ]
            start = time.process_time()
            with contextlib.redirect_stderr(io.StringIO()):
                result = rsatoolbox.inference.eval_dual_bootstrap(fixed, brains, method="corr", N=N_DRAWS)
            seconds.append(("bootstrap, rsatoolbox", time.process_time() - start))
            rows += [("bootstrap, rsatoolbox", np.nan, se, model) for model, se in enumerate(result.get_sem())]
    table = pd.DataFrame(rows, columns=["standard error", "fit", "se", "model"])
    names = {0: "true", 1: "near", 2: "other"}
    spread = table[table["standard error"] == "jackknife, here"].groupby("model")["fit"].std().rename(names)
    mean = table.groupby(["standard error", "model"])["se"].mean().unstack().rename(columns=names)
    mean.loc["true spread over experiments"] = spread
    mean["seconds"] = pd.DataFrame(seconds, columns=["what", "s"]).groupby("what")["s"].median()
    print(mean.round(4).to_string())


if __name__ == "__main__":
    main()
