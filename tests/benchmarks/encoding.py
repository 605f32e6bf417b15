"""Ridge regression here and in himalaya: equal predictions, and processor time of one thread side by side.

``python -m tests.benchmarks.encoding [--quick]`` needs himalaya, which is no dependency of this package
(``pip install --no-deps himalaya``). Both get kernels of 20 layers, 125 stimuli (25 identities in five views) and 300
neurons, five outer folds of identities, the other folds as inner ones, 15 penalties, and a penalty for each neuron.
"""

from __future__ import annotations

import argparse
import os
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from sklearn.model_selection import PredefinedSplit  # noqa: E402

from neurocompare.comparison.encoding import Encoding, infer_encoding  # noqa: E402
from neurocompare.comparison.ridge import PENALTIES, inner_losses, outer_folds, predict  # noqa: E402
from neurocompare.representations.kernels import feature_rdms, kernels_of_rdms, scaled_kernels  # noqa: E402

N_IDENTITIES, N_VIEWS, N_UNITS = 25, 5, 500


def himalaya_predictions(
    kernel: np.ndarray, responses: np.ndarray, folds: np.ndarray, alphas: np.ndarray
) -> np.ndarray:
    """Held-out predictions; kernel and responses are centred on each training set, as an intercept would do."""
    from himalaya.kernel_ridge import KernelRidgeCV

    found = np.empty_like(responses)
    for fold in range(int(folds.max()) + 1):
        test, train = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        own = kernel[np.ix_(train, train)]
        means = own.mean(axis=0)
        centred = own - means - means[:, None] + means.mean()
        across = kernel[np.ix_(test, train)] - means
        across = across - across.mean(axis=1, keepdims=True)
        mean = responses[train].mean(axis=0)
        model = KernelRidgeCV(alphas=alphas, kernel="precomputed", cv=PredefinedSplit(folds[train]))
        model.fit(centred, responses[train] - mean)
        found[test] = model.predict(across) + mean
    return found


def our_predictions(kernel: np.ndarray, responses: np.ndarray, folds: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    """Held-out predictions of this package."""
    outer = outer_folds(kernel[None], np.ones((1, 1)), alphas, folds)
    return predict(outer, np.stack([inner_losses(fold, responses).argmin(axis=0) for fold in outer]), responses)


def main() -> None:
    """Print the largest difference of predictions, processor times, and the time of read-outs with intervals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 layers and 30 neurons")
    n_layers, n_neurons = (3, 30) if parser.parse_args().quick else (20, 300)
    rng = np.random.default_rng(0)
    patterns = pd.DataFrame(
        [(f"{i}_{v}", f"id{i}", 45.0 * (v - 2)) for i in range(N_IDENTITIES) for v in range(N_VIEWS)],
        columns=["stimulus_id", "identity", "azimuth_deg"],
    ).set_index("stimulus_id")
    latent = np.repeat(rng.standard_normal((N_IDENTITIES, 40)), N_VIEWS, axis=0)
    layers = {
        f"layer{k}": latent @ rng.standard_normal((40, N_UNITS)) + (1 + k) * rng.standard_normal((len(latent), N_UNITS))
        for k in range(n_layers)
    }
    responses = latent @ rng.standard_normal((40, n_neurons)) / 6 + rng.standard_normal((len(latent), n_neurons))
    responses = (responses - responses.mean(axis=0)) / responses.std(axis=0)
    rdms = feature_rdms(layers, patterns)
    kernels = scaled_kernels(kernels_of_rdms(rdms))
    folds = rng.permutation(np.arange(N_IDENTITIES) % 5).repeat(N_VIEWS)
    alphas = np.array(PENALTIES)
    one = np.array([1.0])
    apart = max(
        float(np.abs(our_predictions(k, responses, folds, one) - himalaya_predictions(k, responses, folds, one)).max())
        for k in kernels[:3]
    )
    print(f"largest difference of predictions at one penalty: {apart:.2g}")
    seconds = {}
    for name, run in (("himalaya", himalaya_predictions), ("ours", our_predictions)):
        run(kernels[0], responses, folds, alphas)
        start = time.process_time()
        for kernel in kernels:
            run(kernel, responses, folds, alphas)
        seconds[name] = time.process_time() - start
    print(
        f"{n_layers} layers, {n_neurons} neurons, predictions with a penalty for each neuron: himalaya "
        f"{seconds['himalaya']:.2f} s, ours {seconds['ours']:.2f} s, ratio {seconds['himalaya'] / seconds['ours']:.1f}"
    )
    start = time.process_time()
    infer_encoding(rdms, {"AL": responses}, Encoding(), rng=rng)
    print(f"with intervals, 1,000 draws and 200 permutations, one penalty: {time.process_time() - start:.2f} s")


if __name__ == "__main__":
    main()
