"""What a run without models says of its patches: mirror symmetry of their view tuning, and reliability."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from neurocompare.comparison.description import VERDICTS, index_verdict
from neurocompare.comparison.fit_text import number_text
from neurocompare.measures.patch_names import patch_names

__all__ = ["patch_sentences"]


def patch_sentences(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """One text per patch; none where fits say more.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        With ``ceilings``; and ``viewpoint_patches_summary``, where identities were shown in several views.
    """
    if "fits" in tables:
        return []
    ceilings = tables["ceilings"]
    said = []
    for name, row in zip(patch_names(ceilings), ceilings.to_dict("records"), strict=True):
        parts = _views(tables.get("viewpoint_patches_summary"), str(row["region"]))
        parts.append(_reliability(row))
        said.append(f"{name}: {'; '.join(parts)}.")
    return said


def _views(indices: pd.DataFrame | None, region: str) -> list[str]:
    """Verdict on the view tuning of a patch, for each category."""
    if indices is None:
        return []
    own = indices[indices["region"].astype(str) == region]
    found = []
    for row in own.to_dict("records"):
        index, low, high = np.clip([row[f"corrected_{name}"] for name in ("index", "ci_low", "ci_high")], -1, 1)
        of = f"{row['category']}, " if len(own) > 1 else ""
        interval = f", {number_text(low)} to {number_text(high)}" if np.isfinite([low, high]).all() else ""
        verdict = VERDICTS[index_verdict(low, high)]
        found.append(f"{of}{verdict} (corrected index {number_text(index)}{interval})")
    return found


def _reliability(row: Mapping[str, float]) -> str:
    lower, upper = row["ceiling_lower"], row["ceiling_upper"]
    over_subjects = np.isfinite(row.get("n_subjects", np.nan))
    if not np.isfinite(lower):
        return f"its noise ceiling is not defined ({'one subject' if over_subjects else 'too few neurons'})"
    if over_subjects:
        return f"noise ceiling over {row['n_subjects']:.0f} subjects {number_text(lower)} to {number_text(upper)}"
    ceiling = f", noise ceiling {number_text(upper)}" if np.isfinite(upper) else ""
    return f"reliability over {row['n_neurons']:.0f} neurons {number_text(lower)}{ceiling}"
