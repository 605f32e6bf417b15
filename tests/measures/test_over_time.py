"""Codes and fits over time, asked for in a study file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neural_data import InputError
from neural_data.recordings import stimuli_of
from neural_data.simulation import simulate_rates
from neural_data.time_simulation import simulate_over_time
from neurocompare import run_study
from neurocompare.comparison.time_codes import infer_codes
from neurocompare.comparison.time_index import infer_index_by_time
from neurocompare.measures.comparison import Comparison
from neurocompare.measures.declaration import Facts
from neurocompare.measures.over_time import TIME, Time, _differences, _with_whole_numbers, measure
from neurocompare.measures.over_time_summary import leading, leading_pairs, onset_sentences
from neurocompare.measures.randomness import step_rng
from neurocompare.study.grammar import load_study
from neurocompare.study.steps import read_own_stimuli, simulate_recording

OUTPUTS = """
[outputs.time]
n_permutations = 20
n_draws = 10
n_splits = 2
equal_within_ms = 500
"""


def test_a_study_over_time_gives_what_the_functions_give(small_study, tmp_path):
    binned = "[recording]\nwindow_ms = [60, 180]\nbin_ms = 40\nstep_ms = 20\n"
    small_study.write_text(small_study.read_text().replace("[recording]\n", binned) + OUTPUTS)
    run = run_study(small_study, out=tmp_path / "run")
    codes, fits = run.tables["time_codes"], run.tables["time_fits"]
    regions = ["ML", "AL", "AM"]
    assert codes["time_start_ms"].unique().tolist() == [60, 80, 100, 120, 140]
    assert len(codes) == 2 * 5 * len(regions)
    assert len(fits) == 2 * 5 * len(regions)
    assert codes["simulated"].all()
    settings = load_study(small_study)
    stimuli = read_own_stimuli(settings)
    recording = simulate_recording(settings, stimuli)
    assert recording.sizes["time_bin"] == 5
    expected = infer_codes(
        recording, stimuli=stimuli, n_permutations=20, n_draws=10, rng=step_rng(settings.seed, "codes over time")
    )
    np.testing.assert_allclose(codes["value"], expected.to_frame()["value"])
    np.testing.assert_allclose(codes["p_max"], expected.to_frame()["p_max"])
    drawn = {path.stem for path in (run.out / "figures").glob("time_*.png")}
    assert drawn == {"time_codes", "time_fits", "time_index", "time_ceilings"}
    assert "Over time" in (run.out / "report.html").read_text()
    index = infer_index_by_time(
        recording, stimuli=stimuli, n_splits=2, rng=step_rng(settings.seed, "codes over time")
    ).to_frame()
    np.testing.assert_allclose(run.tables["time_index"]["corrected_index"], index["value"])
    assert (run.tables["time_index"]["level"] == -1 / 4).all()
    ceilings = run.tables["time_ceilings"]
    np.testing.assert_array_equal(
        ceilings["ceiling_lower"], fits.loc[fits["layer"] == fits["layer"].iloc[0], "reliability"]
    )
    onsets = run.tables["time_onsets"]
    assert onsets["readout"].value_counts().to_dict() == {"code": 6, "fit": 6, "index": 3}
    assert onsets.loc[onsets["readout"] == "code", "layer"].isna().all()
    assert "time_encoding" not in run.tables
    apart = run.tables["time_onset_differences"]
    assert len(apart)
    assert (apart["margin_ms"] == 500).all()
    # No two onsets in windows of 120 ms differ by as much, so that p lies below a half, and beyond it nowhere.
    assert (apart["p_equal"] <= 0.5).all()
    assert set(apart["conclusion"]) <= {
        "undecided",
        "different",
        "equal within 500 ms",
        "different by less than 500 ms",
    }


def test_read_outs_over_time_are_made_where_they_are_asked_for(small_study, tmp_path):
    binned = "[recording]\nwindow_ms = [60, 180]\nbin_ms = 40\nstep_ms = 20\n"
    small_study.write_text(
        small_study.read_text().replace("[recording]\n", binned)
        + OUTPUTS
        + "n_encoding_permutations = 20\nencoding = true\ncodes = []\nfits = false\nindex = false\n"
    )
    run = run_study(small_study, out=tmp_path / "run")
    encoding = run.tables["time_encoding"]
    assert len(encoding) == 2 * 5 * 3
    assert encoding["prediction"].between(-1, 1).all()
    assert {"time_codes", "time_fits", "time_index"}.isdisjoint(run.tables)
    assert set(run.tables["time_onsets"]["readout"]) == {"encoding"}
    # Without fits, ceilings are those of the bins by themselves.
    assert run.tables["time_ceilings"]["ceiling_lower"].notna().all()
    assert {path.stem for path in (run.out / "figures").glob("time_*.png")} == {"time_encoding", "time_ceilings"}


def test_read_outs_over_time_need_a_network():
    check = TIME.check
    assert check is not None
    check(Time(), Facts(()))
    with pytest.raises(ValueError, match=r"outputs\.time\.encoding needs a network"):
        check(Time(encoding=True), Facts(()))
    check(Time(encoding=True), Facts((("net", "objects"),)))


ONSETS = pd.DataFrame(
    [
        {"readout": "code", "code": "view", "onset_ms": 92.4, "ci_low": 90.1, "ci_high": 95.2, "peak": 0.3},
        {"readout": "code", "code": "identity", "onset_ms": 112.0, "ci_low": np.nan, "ci_high": 119.6, "peak": 0.2},
        {"readout": "fit", "layer": "conv1", "onset_ms": np.nan, "peak": 0.9},
        {"readout": "fit", "layer": "fc1", "onset_ms": 130.0, "ci_low": 120.0, "ci_high": 140.0, "peak": 0.4},
        {"readout": "fit", "layer": "fc2", "onset_ms": 131.0, "ci_low": 120.0, "ci_high": 140.0, "peak": 0.5},
        {"readout": "index", "onset_ms": np.nan, "peak": -0.1},
    ]
).assign(region="AL", subject="", model="net", regime="", seed=0)
ONSETS.loc[~ONSETS["readout"].isin(["fit"]), ["model", "regime", "seed"]] = np.nan


def differences_of(pairs):
    """Rows of time_onset_differences for pairs of rows of ONSETS."""
    names = ("readout", "code", "model", "regime", "seed", "layer", "region", "subject")
    rows = []
    for one, other in pairs:
        sides = {f"{name}_{side}": ONSETS[name].iloc[row] for side, row in ((1, one), (2, other)) for name in names}
        gap = ONSETS["onset_ms"].iloc[one] - ONSETS["onset_ms"].iloc[other]
        rows.append(sides | {"difference_ms": gap, "ci_low": gap - 4, "ci_high": gap + 5, "p": 0.0004})
    return pd.DataFrame(rows).assign(conclusion="")


def test_of_layers_the_one_with_the_largest_peak_among_those_with_an_onset_is_shown():
    shown = leading(ONSETS)
    assert shown["layer"].dropna().tolist() == ["fc2"]
    assert len(shown) == 4
    pairs = differences_of([(0, 1), (0, 3), (0, 4), (3, 4)])
    assert leading_pairs(pairs, ONSETS).index.tolist() == [0, 2]


def test_sentences_say_when_each_curve_begins_and_which_code_is_later():
    (said,) = onset_sentences({"time_onsets": ONSETS, "time_onset_differences": differences_of([(0, 1), (0, 4)])})
    assert said == (
        "Onsets in AL: view code at 92 ms (95 % interval 90 to 95), identity code at 112 ms (95 % interval up to 120), "
        "fit of fc2 (net) at 131 ms (95 % interval 120 to 140); none of the mirror-symmetry index; identity after "
        "view by 19.6 ms (95 % interval 14.6 to 23.6; p < 0.001)."
    )
    within = differences_of([(0, 1)]).assign(conclusion="different by less than 50 ms")
    (said,) = onset_sentences({"time_onsets": ONSETS, "time_onset_differences": within})
    assert said.endswith("(95 % interval 14.6 to 23.6; p < 0.001; different by less than 50 ms).")
    far = within.assign(conclusion="different")
    assert onset_sentences({"time_onsets": ONSETS, "time_onset_differences": far})[0].endswith("p < 0.001).")


def test_a_study_over_time_needs_time_bins(small_study):
    small_study.write_text(small_study.read_text() + OUTPUTS)
    with pytest.raises(InputError, match=r"outputs\.time needs time bins: give bin_ms"):
        load_study(small_study)
    steps = small_study.read_text().replace("[recording]\n", "[recording]\nstep_ms = 10\n")
    small_study.write_text(steps)
    with pytest.raises(InputError, match="give bin_ms too"):
        load_study(small_study)


def test_an_identity_that_lacks_a_view_leaves_out_the_index_alone(faces, rng):
    recording = simulate_over_time(simulate_rates(faces, ("AM",), 20, rng=rng), 20, window_ms=(60, 180), rng=rng)
    lacking = recording.isel(presentation=recording["stimulus_id"].values != faces.ids[3])
    shown = stimuli_of(lacking)
    parts = {"stimuli": shown, "recording": lacking, "comparison": Comparison(), "simulated": True, "seed": 1}
    compared = {"dissimilarity": "correlation", "normalize": None, "method": "corr"}
    settings = Time(n_permutations=20, n_draws=10, n_splits=2, ceilings=False)
    measured = measure(settings=settings, **parts, **compared)
    assert set(measured.tables) == {"time_codes", "time_onsets", "time_onset_differences"}
    assert measured.tables["time_codes"]["value"].notna().all()
    (said,) = [note for note in measured.notes if "index" in note]
    assert said.startswith("The mirror-symmetry index over time is left out: ")
    with pytest.raises(InputError, match="view"):
        measure(settings=settings.model_copy(update={"codes": []}), **parts, **compared)


def test_curves_that_cannot_be_compared_are_compared_within_their_kind_and_a_note_says_why(faces, rng):
    rates = simulate_rates(faces, ("AM",), 20, rng=rng)
    recording = simulate_over_time(rates, 20, window_ms=(60, 180), rng=rng)
    one, other = (
        infer_codes(recording, ["view", "identity"], n_permutations=20, n_draws=0, rng=np.random.default_rng(seed))
        for seed in (0, 1)
    )
    together, none = _differences({"code": one, "fit": one}, 0.5, None)
    apart, (note,) = _differences({"code": one, "fit": other}, 0.5, None)
    assert none == ()
    assert note.startswith("Onsets are compared within each kind of curve: onsets of code and fit cannot be compared")
    same = together[together["readout_1"] == together["readout_2"]]
    assert len(apart) == len(same) < len(together)
    assert (apart["readout_1"] == apart["readout_2"]).all()


def test_seeds_that_are_no_whole_numbers_are_refused():
    table = pd.DataFrame({"seed": [0, np.nan], "layer_index_1": [1.0, 2.0], "value": [0.5, 0.25]})
    whole = _with_whole_numbers(table)
    assert whole.dtypes.astype(str).tolist() == ["Int64", "Int64", "float64"]
    assert whole["seed"].isna().tolist() == [False, True]
    for wrong in ("first", 0.5, np.inf):
        with pytest.raises(InputError, match=f"whole number as seed of every layer; got '{wrong}'"):
            _with_whole_numbers(pd.DataFrame({"seed_2": [0, wrong]}))
