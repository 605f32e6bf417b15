"""Differences between every two layers of a network: in their fits, read-outs and other links to patches."""

from __future__ import annotations

import numpy as np
import pandas as pd

from neurocompare.comparison.equivalence_tests import with_equality
from neurocompare.comparison.fit_result import FitResult
from neurocompare.representations.rdms import NETWORK

__all__ = ["LAYER_PAIR_COLUMNS", "layer_pairs"]

NUMBERS = ("difference", "se", "df", "ci_low", "ci_high", "p", "margin", "p_equal", "conclusion")
LAYER_PAIR_COLUMNS = (*NETWORK, "region", "subject", "layer_1", "layer_2", *NUMBERS)


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
    pairs = result.pairwise("none")
    names = [name for name in NETWORK if f"{name}_1" in pairs]
    same = np.logical_and.reduce([pairs[f"{name}_1"] == pairs[f"{name}_2"] for name in names])
    pairs = pairs[same].rename(columns={f"{name}_1": name for name in names})
    pairs = with_equality(pairs, margin, confidence=result.confidence)
    swapped = pairs.rename(columns={"layer_1": "layer_2", "layer_2": "layer_1"}).assign(
        difference=-pairs["difference"], ci_low=-pairs["ci_high"], ci_high=-pairs["ci_low"]
    )
    both = pd.concat([pairs, swapped], ignore_index=True)
    return both[[name for name in LAYER_PAIR_COLUMNS if name in both]]
