"""Differences between two layers of a network, and between two networks at one layer.

Of their fits, read-outs and other links to patches: whatever a ``FitResult`` holds.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from neurocompare.comparison.equivalence_tests import with_equality
from neurocompare.comparison.fit_result import FitResult
from neurocompare.representations.rdms import NETWORK

__all__ = ["LAYER_PAIR_COLUMNS", "NETWORK_PAIR_COLUMNS", "layer_pairs", "network_pairs"]

NUMBERS = ("difference", "se", "df", "ci_low", "ci_high", "p", "margin", "p_equal", "conclusion")
LAYER_PAIR_COLUMNS = (*NETWORK, "region", "subject", "layer_1", "layer_2", *NUMBERS)
SIDES = tuple(f"{name}_{side}" for side in (1, 2) for name in NETWORK)
NETWORK_PAIR_COLUMNS = (*SIDES, "layer", "region", "subject", *NUMBERS)


def layer_pairs(result: FitResult, margin: float | None) -> pd.DataFrame:
    """Differences between every two layers of a network, in both orders; with a margin, tests of equality.

    Parameters
    ----------
    result : FitResult
        Fits, scores of read-outs or similarities of all layers.
    margin : float or None
        Smallest difference that matters; None leaves the tests of equality out.

    Returns
    -------
    pandas.DataFrame
        Those of :data:`LAYER_PAIR_COLUMNS` that the result has labels for; p values are not corrected.
    """
    pairs, same = _pairs(result, margin)
    names = [name for name in NETWORK if f"{name}_1" in pairs]
    pairs = pairs[same].rename(columns={f"{name}_1": name for name in names})
    swapped = pairs.rename(columns={"layer_1": "layer_2", "layer_2": "layer_1"}).assign(
        difference=-pairs["difference"], ci_low=-pairs["ci_high"], ci_high=-pairs["ci_low"]
    )
    both = pd.concat([pairs, swapped], ignore_index=True)
    return both[[name for name in LAYER_PAIR_COLUMNS if name in both]]


def network_pairs(result: FitResult, margin: float | None) -> pd.DataFrame:
    """Differences between every two networks at every layer that both have, over the same identities and neurons.

    Parameters
    ----------
    result, margin
        As in :func:`layer_pairs`.

    Returns
    -------
    pandas.DataFrame
        Those of :data:`NETWORK_PAIR_COLUMNS` that the result has labels for, first network minus second; no rows where
        no two networks share a layer.
    """
    pairs, same = _pairs(result, margin)
    if "layer_1" not in pairs:
        return pd.DataFrame(columns=list(NETWORK_PAIR_COLUMNS))
    apart = pairs[~same & (pairs["layer_1"] == pairs["layer_2"]).to_numpy()].rename(columns={"layer_1": "layer"})
    return apart[[name for name in NETWORK_PAIR_COLUMNS if name in apart]].reset_index(drop=True)


def _pairs(result: FitResult, margin: float | None) -> tuple[pd.DataFrame, np.ndarray]:
    """Differences of all pairs of layers, and which of them are of one network."""
    pairs = with_equality(result.pairwise("none"), margin, confidence=result.confidence)
    names = [name for name in NETWORK if f"{name}_1" in pairs]
    # Codes are the same where a seed or regime is NaN on both sides, too.
    codes = [pd.factorize(pd.concat([pairs[f"{name}_1"], pairs[f"{name}_2"]]))[0].reshape(2, -1) for name in names]
    same = np.logical_and.reduce([first == second for first, second in codes])
    return pairs, np.broadcast_to(same, len(pairs))
