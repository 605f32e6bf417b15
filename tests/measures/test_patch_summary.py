"""What a run without models says of its patches."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from neurocompare.measures.patch_summary import patch_sentences

CEILINGS = pd.DataFrame(
    {"region": ["AL"], "subject": [""], "n_neurons": [40], "ceiling_lower": [0.64], "ceiling_upper": [0.8]}
)


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        ((0.5, 1.2), "AL: mirror-symmetric view tuning: .*corrected index 0.90, 0.50 to 1.00"),
        ((-0.3, -0.1), "AL: view tuning without mirror symmetry: .*corrected index 0.90, -0.30 to -0.10"),
        ((-0.1, 0.2), "AL: undecided: "),
        ((np.nan, np.nan), "AL: not defined: "),
    ],
)
def test_the_verdict_follows_the_interval_of_the_corrected_index(interval, said):
    low, high = interval
    indices = pd.DataFrame(
        {
            "region": "AL",
            "category": "face",
            "corrected_index": 0.9,
            "corrected_ci_low": low,
            "corrected_ci_high": high,
        },
        index=[0],
    )
    (sentence,) = patch_sentences({"ceilings": CEILINGS, "viewpoint_patches_summary": indices})
    assert re.match(said, sentence)
    assert sentence.endswith("; reliability over 40 neurons 0.64, noise ceiling 0.80.")


def test_patches_without_views_or_neurons_have_what_there_is():
    assert patch_sentences({"ceilings": CEILINGS}) == ["AL: reliability over 40 neurons 0.64, noise ceiling 0.80."]
    of_subjects = CEILINGS.assign(n_subjects=6.0)
    assert patch_sentences({"ceilings": of_subjects}) == ["AL: noise ceiling over 6 subjects 0.64 to 0.80."]
    few = CEILINGS.assign(ceiling_lower=np.nan, ceiling_upper=np.nan)
    assert patch_sentences({"ceilings": few}) == ["AL: its noise ceiling is not defined (too few neurons)."]


def test_a_run_with_fits_says_those():
    assert patch_sentences({"ceilings": CEILINGS, "fits": pd.DataFrame()}) == []
