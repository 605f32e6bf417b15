"""Fits and standard errors compared with those of rsatoolbox, on the RDMs of 92 objects.

Run as ``python analyses/objects92/compare.py FOLDER``; the folder holds the authors' files and ``stimulus_set.csv``.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from rsatoolbox.inference import eval_bootstrap_pattern, eval_fixed
from rsatoolbox.model import ModelFixed

from neural_data import read_stimuli
from neurocompare import infer_fits, read_rdms

N_DRAWS = 1000
METHODS = ("corr", "cosine", "spearman", "rho-a")


def main() -> None:
    """Print both results side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    stimuli = read_stimuli(folder / "stimulus_set.csv", with_images=False)
    models = read_rdms(folder / "92_modelRDMs.mat", stimuli=stimuli, kind="model")
    brains = read_rdms(
        folder / "Kriegeskorte_Neuron2008_supplementalData.mat",
        variable="RDMs_mIT_hIT_fig1",
        stimuli=stimuli,
        kind="recording",
    )
    names = models.rdm_descriptors["name"]
    theirs = [ModelFixed(name, models.subset("name", name)) for name in names]
    regions = brains.rdm_descriptors["region"]
    for method in METHODS:
        ours = infer_fits(models, brains, method=method, n_draws=2, rng=np.random.default_rng(0)).estimates
        fixed = [eval_fixed(theirs, brains.subset("region", region), method=method) for region in regions]
        expected = np.stack([result.evaluations[0, :, 0] for result in fixed], axis=1)
        print(f"{method}: largest difference of a fit {np.abs(ours - expected).max():.1e}")
    rng = np.random.default_rng(0)
    jackknife = infer_fits(models, brains, n_draws=2, rng=rng)
    bootstrap = infer_fits(models, brains, variance="bootstrap", n_draws=N_DRAWS, rng=rng)
    np.random.seed(0)  # noqa: NPY002  rsatoolbox draws from NumPy's global state
    rows = []
    for place, region in enumerate(regions):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = eval_bootstrap_pattern(
                theirs, brains.subset("region", region), method="corr", N=N_DRAWS, boot_noise_ceil=False
            )
        for i, (name, se) in enumerate(zip(names, found.get_sem(), strict=True)):
            rows.append(
                (region, name, jackknife.estimates[i, place], jackknife.se[i, place], bootstrap.se[i, place], se)
            )
    columns = ["region", "model", "fit", "se (jackknife)", "se (bootstrap)", "se (rsatoolbox)"]
    print(pd.DataFrame(rows, columns=columns).to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
