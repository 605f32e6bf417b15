"""Codes and fits over time, asked for in a study file."""

from __future__ import annotations

import numpy as np
import pytest

from neural_data import InputError
from neurocompare import run_study
from neurocompare.comparison.time_codes import infer_codes
from neurocompare.measures.randomness import step_rng
from neurocompare.study.grammar import load_study
from neurocompare.study.steps import read_own_stimuli, simulate_recording

OUTPUTS = """
[outputs.time]
n_permutations = 20
n_draws = 10
n_splits = 2
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
    assert {"time_codes.png", "time_fits.png"} <= {path.name for path in (run.out / "figures").iterdir()}
    assert "Over time" in (run.out / "report.html").read_text()


def test_a_study_over_time_needs_time_bins(small_study):
    small_study.write_text(small_study.read_text() + OUTPUTS)
    with pytest.raises(InputError, match=r"outputs\.time needs time bins: give bin_ms"):
        load_study(small_study)
    steps = small_study.read_text().replace("[recording]\n", "[recording]\nstep_ms = 10\n")
    small_study.write_text(steps)
    with pytest.raises(InputError, match="give bin_ms too"):
        load_study(small_study)
