"""The summary of a report: one text a patch, whose numbers and verdicts are those of the table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neurocompare.measures.fit_summary import fit_sentences
from neurocompare.measures.hypotheses import HYPOTHESES
from neurocompare.measures.page import CALIBRATION, _opening, notes_in_words
from neurocompare.measures.profiles import explored_rows
from neurocompare.reporting.report import PLOT_COLUMNS, PagePlot


def fits_of(*rows: tuple) -> pd.DataFrame:
    """Rows of model, regime, seed, layer, patch, fit and adjusted p of identities."""
    table = pd.DataFrame(rows, columns=["model", "regime", "seed", "layer", "region", "fit", "p_identity_adjusted"])
    return table.assign(
        subject="all",
        layer_index=table.groupby(["model", "regime", "seed", "region"]).cumcount(),
        ci_low=table["fit"] - 0.1,
        ci_high=table["fit"] + 0.1,
        ceiling_lower=0.81,
        ceiling_upper=0.9,
        in_best_set=table["layer"] == "fc",
        p_zero_adjusted=0.001,
        simulated=False,
        n_stimuli=50,
        n_identities=10,
    )


TRAINED = [("net", "faces", 0, "conv", "AL", 0.20, 0.5), ("net", "faces", 0, "fc", "AL", 0.70, 0.01)]
UNTRAINED = [("net", "untrained", 0, "conv", "AL", 0.40, 0.6), ("net", "untrained", 0, "fc", "AL", 0.3, 0.7)]
OTHERS = [("pixels", "untrained", 0, "pixels", "AL", 0.25, 0.9), ("other", "faces", 0, "a", "AL", 0.35, 0.9)]


def test_the_best_network_is_beside_its_untrained_self_the_others_and_the_test():
    assert fit_sentences({"fits": fits_of(*TRAINED, *UNTRAINED, *OTHERS)}) == [
        "AL: the best layer of net (faces) is fc, fit 0.70 (95 % interval 0.60 to 0.80); reliability 0.81, "
        "noise ceiling 0.90. The same network untrained reaches "
        "0.40 (conv). The others reach 0.25 to 0.35. Identities agree beyond what views "
        "explain in layers of net (faces) (adjusted p < 0.05)."
    ]


def test_an_untrained_network_that_fits_best_is_said_to_be_untrained():
    worse = [(*row[:5], row[5] / 10, 0.8) for row in TRAINED]
    (said,) = fit_sentences({"fits": fits_of(*worse, *UNTRAINED)})
    assert "no layer of net (untrained) fits beyond permuted identities; its largest fit is 0.40 (conv, 95 %" in said
    assert "That network is untrained; trained it reaches at most 0.07 (faces)." in said
    assert said.endswith("The smallest adjusted p over all layers of all networks is 0.600.")


def test_a_network_alone_says_nothing_of_others_and_zero_has_no_sign():
    (said,) = fit_sentences({"fits": fits_of(("net", "faces", 0, "conv", "AL", 0.0999, float("nan")))})
    assert "95 % interval 0.00 to 0.20" in said
    assert said.endswith("Fits exceed 0 in layers of net (faces) (adjusted p < 0.05).")
    assert "others" not in said
    assert "same network" not in said


def test_seeds_of_a_network_are_one_and_patches_are_told_apart():
    seeds = [(*row[:2], seed, *row[3:5], row[5] - seed / 10, row[6]) for seed in (0, 1) for row in TRAINED]
    other = [(*row[:4], "AM", row[5] / 2, row[6]) for row in TRAINED]
    first, second = fit_sentences({"fits": fits_of(*seeds, *other)})
    assert first.startswith(
        "AL: the best layer of net (faces) over 2 seeds is fc, fits 0.60 to 0.70; reliability 0.81, noise ceiling 0.90."
    )
    assert second.startswith("AM: the best layer of net (faces) is fc, fit 0.35 ")


def test_many_tests_of_claims_are_counted():
    rows = [("a", "A is so", "supported")]
    rows += [(f"b[{n}]", f"B is so ({n})", "undecided" if n % 2 else "supported") for n in range(7)]
    table = pd.DataFrame(rows, columns=["hypothesis", "statement", "verdict"])
    assert HYPOTHESES.summary({"hypotheses": table}, {}) == [
        "Of 8 tests of claims 5 supported, 3 undecided; the table of hypotheses has each.",
        "A is so: supported.",
        "B is so: 4 supported, 3 undecided.",
    ]
    assert HYPOTHESES.summary({"hypotheses": table.iloc[:2]}, {}) == ["Supported: A is so", "Supported: B is so (0)"]


def test_notes_are_sentences_and_the_calibration_is_explained_once():
    notes = [
        "covered 90 % in the calibration",
        "2 fits are undefined.",
        "p_identity is empty",
        "low in the calibration",
    ]
    assert notes_in_words(notes) == [
        f"Covered 90 % in the calibration. {CALIBRATION}",
        "2 fits are undefined.",
        "p_identity is empty.",
        "Low in the calibration.",
    ]
    assert notes_in_words([]) == []


def test_the_opening_names_networks_patches_and_stimuli():
    said = _opening({"fits": fits_of(*TRAINED, *UNTRAINED, *OTHERS)})
    assert said.startswith(
        "How similarly do layers of net (faces, untrained), pixels (untrained) and other (faces) and the recorded "
        "patch AL represent 50 stimuli of 10 identities?"
    )


def test_points_of_a_plot_are_those_of_the_table_and_cannot_end_its_element():
    fits = fits_of(*TRAINED, *UNTRAINED)
    fits.loc[0, "layer"] = "</script><b>"
    fits.loc[1, "ci_low"] = float("nan")
    rows = explored_rows(fits, "fit", panel=fits["region"])
    assert list(rows.columns) == list(PLOT_COLUMNS)
    assert rows["x"].tolist() == [0, 1, 0, 1]
    assert rows["series"].tolist() == ["net, faces"] * 2 + ["net, untrained"] * 2
    content = PagePlot("plot", "caption", "Patch", "fit", rows).content
    assert "<" not in content
    assert "NaN" not in content
    assert content.count("net, faces") == 2


@pytest.mark.parametrize("seeds", [1, 3])
def test_lines_of_a_plot_are_networks(seeds):
    rows = [(*row[:2], seed, *row[3:]) for seed in range(seeds) for row in TRAINED]
    fits = fits_of(*rows)
    assert explored_rows(fits, "fit", panel=fits["region"])["series"].nunique() == seeds


def test_a_p_of_the_level_itself_does_not_pass_whatever_its_last_bits():
    for p in (0.05, 1 - 0.95, np.nextafter(0.05, 0)):
        (said,) = fit_sentences({"fits": fits_of(*((*row[:6], p) for row in TRAINED))})
        assert "fits beyond permuted identities" in said
        assert said.endswith("The smallest adjusted p over all layers of all networks is 0.050.")
