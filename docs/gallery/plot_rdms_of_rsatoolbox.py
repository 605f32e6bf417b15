"""
RDMs of rsatoolbox, side by side
================================

Everything here is a ``rsatoolbox.rdm.RDMs``: whoever computes RDMs with rsatoolbox brings them as they are. The same
inference twice, with its errors and its time.
"""

# %%
# RDMs as rsatoolbox makes them
# -----------------------------
# Eight subjects see forty stimuli; the first of three models is how their responses were made.

import contextlib
import io
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import rsatoolbox

from neurocompare import compare_rdms, infer_fits

rng = np.random.default_rng(2)
names = [f"image{i:02d}" for i in range(40)]
spaces = {"true": rng.normal(size=(40, 6)), "near": None, "other": rng.normal(size=(40, 6))}
spaces["near"] = spaces["true"] + rng.normal(size=(40, 6))


def rdms_of(responses, **descriptors):
    """RDMs of rsatoolbox, one per array of shape (40 stimuli, n channels)."""
    data = [
        rsatoolbox.data.Dataset(array, obs_descriptors={"stimulus_id": names}, descriptors={"index": i})
        for i, array in enumerate(responses)
    ]
    rdms = rsatoolbox.rdm.calc_rdm(data, method="correlation", descriptor="stimulus_id")
    rdms.rdm_descriptors.update(descriptors)
    return rdms


subjects = [spaces["true"] @ rng.normal(size=(6, 50)) + 4 * rng.normal(size=(40, 50)) for _ in range(8)]
brains = rdms_of(subjects, region=["IT"] * 8, subject=[f"s{i}" for i in range(8)])
models = rdms_of(spaces.values(), model=list(spaces))

# %%
# The same fits
# -------------
# ``compare_rdms`` is ``rsatoolbox.rdm.compare``, but it pairs stimuli by name and not by position.

theirs = rsatoolbox.rdm.compare(models, brains, method="corr")
print("largest difference:", np.abs(compare_rdms(models, brains) - theirs).max())

# %%
# The same question: does it hold for new stimuli and new subjects?
# -----------------------------------------------------------------
# Two-factor bootstrap here and there (Schütt et al. 2023), and the jackknife that is the default here. 200 draws.

start = time.perf_counter()
boot = infer_fits(models, brains, resample=("stimulus", "subject"), variance="bootstrap", n_draws=200, rng=rng)
seconds = {"bootstrap here": time.perf_counter() - start}
start = time.perf_counter()
jack = infer_fits(models, brains, resample=("stimulus", "subject"), n_draws=200, rng=rng)
seconds["jackknife here"] = time.perf_counter() - start

np.random.seed(3)
fixed = [rsatoolbox.model.ModelFixed(name, models.subset("model", name)) for name in spaces]
start = time.perf_counter()
with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
    result = rsatoolbox.inference.eval_dual_bootstrap(fixed, brains, method="corr", N=200)
seconds["bootstrap of rsatoolbox"] = time.perf_counter() - start

errors = pd.DataFrame(
    {
        "fit": boot.estimates.ravel(),
        "SE, bootstrap here": boot.se.ravel(),
        "SE, bootstrap of rsatoolbox": result.get_sem(),
        "SE, jackknife here": jack.se.ravel(),
    },
    index=list(spaces),
).round(4)
errors

# %%

figure, axes = plt.subplots(figsize=(6, 2.5), layout="constrained")
errors.filter(like="SE").plot.barh(ax=axes)
axes.set(xlabel="standard error of the fit", ylabel="model")

# %%
# Seconds on the machine that made this page:

for what, value in seconds.items():
    print(f"{what}: {value:.2f} s")

# %%
# The best model, between the bounds of the noise ceiling over subjects; pairwise tests; and back to rsatoolbox for its
# plots.

print("\n".join(line for line in jack.summary().splitlines() if " fits best" in line))
print(jack.pairwise().dropna(axis="columns", how="all").round(4).to_string(index=False))
print(type(jack.to_rsatoolbox()))
