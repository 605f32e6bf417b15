"""A recording described by itself: shares and verdicts that are known by hand, and what cannot be said is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from neural_data import InputError, simulate_patches, write_recording
from neural_data.recordings import make_recording
from neurocompare import describe_recording
from neurocompare.cli import main
from neurocompare.comparison.ceilings import neuron_ceilings
from neurocompare.comparison.description import needed
from neurocompare.comparison.tuning import neuron_tuning, tuning_shares
from neurocompare.representations.dissimilarities import Population
from neurocompare.representations.neural_rdms import PopulationRequest

AZIMUTHS = np.array([-90.0, -45, 0, 45, 90])
N_IDENTITIES, N_VIEWS = 8, 5
POSITIONS = np.arange(N_IDENTITIES * N_VIEWS).reshape(N_IDENTITIES, N_VIEWS)


def population(cells, noise=0.0, n_repetitions=3, seed=0):
    """Population whose mean responses (n_identities, n_views, n_neurons) are given, with trials about them."""
    means = cells.reshape(-1, cells.shape[2])
    scatter = np.random.default_rng(seed).normal(0, noise, (n_repetitions, *means.shape))
    trials = means + scatter - (scatter.mean(axis=0) if noise == 0 else 0)
    return Population("AL", "M1", trials.mean(axis=0), trials=trials)


def made_of(view, identity, n_neurons=30, seed=1):
    rng = np.random.default_rng(seed)
    views = rng.normal(0, 1, (1, N_VIEWS, n_neurons))
    faces = rng.normal(0, 1, (N_IDENTITIES, 1, n_neurons))
    return 10 + view * views + identity * faces


@pytest.mark.parametrize(("view", "identity"), [(1.0, 0.0), (0.0, 1.0)])
def test_a_population_of_one_kind_has_all_of_its_signal_there(view, identity):
    shares = tuning_shares(population(made_of(view, identity)), POSITIONS, AZIMUTHS)
    assert shares["view_share"] == pytest.approx(view, abs=1e-9)
    assert shares["identity_share"] == pytest.approx(identity, abs=1e-9)


def test_shares_do_not_grow_with_noise():
    cells = made_of(1.0, 1.0, n_neurons=200)
    clean, noisy = (tuning_shares(population(cells, noise), POSITIONS, AZIMUTHS) for noise in (0.0, 2.0))
    assert noisy["view_share"] == pytest.approx(clean["view_share"], abs=0.05)
    assert noisy["interaction_share"] < 0.05
    assert noisy["view_share_ci_low"] < clean["view_share"] < noisy["view_share_ci_high"]


def test_tests_of_single_neurons_are_those_of_statsmodels():
    group = population(made_of(0.5, 0.5, n_neurons=3), noise=1.0)
    found = neuron_tuning(group, POSITIONS, AZIMUTHS)
    face, view = np.divmod(np.arange(N_IDENTITIES * N_VIEWS), N_VIEWS)
    for neuron in range(3):
        frame = pd.DataFrame({"y": group.responses[:, neuron], "face": face, "view": view})
        expected = anova_lm(ols("y ~ C(face) + C(view)", frame).fit())["PR(>F)"]
        assert found["p_view"][neuron] == pytest.approx(expected["C(view)"])
        assert found["p_identity"][neuron] == pytest.approx(expected["C(face)"])
        by_stimulus = stats.f_oneway(*group.trials[:, :, neuron].T)
        assert found["p_stimulus"][neuron] == pytest.approx(by_stimulus.pvalue)


def test_mirror_tuning_and_preferred_view_of_a_neuron():
    cells = np.zeros((N_IDENTITIES, N_VIEWS, 2))
    cells[:, :, 0] = [9, 4, 1, 4, 8]
    cells[:, :, 1] = [1, 2, 3, 4, 5]
    found = neuron_tuning(population(cells + np.arange(N_IDENTITIES)[:, None, None]), POSITIONS, AZIMUTHS)
    assert found["preferred_azimuth_deg"].tolist() == [-90, 90]
    assert found["mirror_correlation"][1] == pytest.approx(-1)
    assert found["mirror_correlation"][0] > 0.9


@pytest.mark.parametrize(
    ("reliability", "n", "target", "more"),
    [(0.5, 30, 0.8, 90), (2 / 3, 60, 0.8, 60), (0.9, 10, 0.8, 0), (0.8, 10, 0.8, 0), (0.0, 10, 0.8, np.nan)],
)
def test_what_is_needed_more_follows_from_spearman_and_brown(reliability, n, target, more):
    np.testing.assert_equal(needed(reliability, n, target), more)
    if more and np.isfinite(more):
        factor = (n + more) / n
        assert factor * reliability / (1 + (factor - 1) * reliability) >= target - 1e-12


@pytest.fixture(scope="module")
def described(many_faces):
    recording = simulate_patches(many_faces, ("ML", "AL", "AM"), 40, 4, rng=np.random.default_rng(1))
    return recording, describe_recording(recording, many_faces, n_splits=6)


def test_simulated_patches_are_what_they_were_made_to_be(described):
    _, found = described
    assert found.verdicts["ML"] == "view-tuned"
    assert found.verdicts["AL"] == "mirror-symmetric"
    patches = found.patches.set_index("region")
    assert patches["view_share"]["ML"] > patches["view_share"]["AL"] > patches["view_share"]["AM"]
    assert patches["identity_share"]["AM"] > 0.7
    for end in ("corrected_index", "index_ci_low", "index_ci_high"):
        assert patches[end].between(-1, 1).all()
    assert (patches["index_ci_low"] <= patches["corrected_index"]).all()


def test_reliability_grows_as_it_is_measured(described):
    _, found = described
    growth = found.growth.query("region == 'AL' and over == 'neurons'").dropna()
    assert (growth["measured"] - growth["predicted"]).abs().max() < 0.15
    assert growth["predicted"].is_monotonic_increasing
    assert set(found.growth["over"]) == {"neurons", "repetitions"}


def test_the_interval_of_reliability_is_that_of_the_noise_ceilings(described, many_faces):
    """Same population, same splits: one number has one interval, whichever function is asked."""
    recording, found = described
    ceilings = neuron_ceilings(
        recording, PopulationRequest(many_faces), rng=np.random.default_rng(0), n_splits=6, confidence=0.95
    )
    columns = ["reliability", "reliability_ci_low", "reliability_ci_high"]
    expected = ceilings[["ceiling_lower", "ceiling_lower_low", "ceiling_lower_high"]]
    np.testing.assert_array_equal(found.patches[columns].to_numpy(), expected.to_numpy())
    assert (found.patches["reliability_ci_low"] < found.patches["reliability"]).all()


def test_less_confidence_gives_a_narrower_interval_of_reliability_on_fishers_z(described, many_faces):
    """Half-widths on the z scale are to each other as the quantiles of t with 29 degrees of freedom."""
    recording, found = described
    less = neuron_ceilings(
        recording, PopulationRequest(many_faces), rng=np.random.default_rng(0), n_splits=6, confidence=0.68
    )
    z = np.arctanh(less[["ceiling_lower_low", "ceiling_lower_high"]].to_numpy())
    wide = np.arctanh(found.patches[["reliability_ci_low", "reliability_ci_high"]].to_numpy())
    expected = stats.t.ppf(0.84, 29) / stats.t.ppf(0.975, 29)
    np.testing.assert_allclose(np.diff(z) / np.diff(wide), expected)


def test_every_neuron_is_in_the_table_under_its_name(described):
    recording, found = described
    assert found.neurons["neuroid_id"].tolist() == recording["neuroid_id"].values.tolist()
    rates = recording.mean("presentation").values
    np.testing.assert_allclose(found.neurons["mean_rate"], rates)


def test_sentences_say_verdict_and_need(described):
    text = described[1].to_text()
    assert "AL (40 neurons): mirror-symmetric view tuning" in text
    assert "more neurons for 0.8" in text


def test_without_views_and_repetitions_reliability_alone_is_described():
    rng = np.random.default_rng(0)
    recording = make_recording(
        rng.gamma(2, 3, (20, 1)) + rng.gamma(2, 3, (20, 30)),
        presentations=pd.DataFrame({"stimulus_id": [f"s{i}" for i in range(20)]}),
        neuroids=pd.DataFrame({"neuroid_id": [f"u{i}" for i in range(30)], "region": "IT"}),
    )
    found = describe_recording(recording, n_splits=4)
    row = found.patches.iloc[0]
    assert row["verdict"] == "not defined"
    assert np.isnan(row[["view_share", "trial_reliability", "index_ci_low"]].astype(float)).all()
    assert np.isfinite(row["reliability"])
    assert len(found.notes) == 2
    with pytest.raises(InputError, match=r"target is 1\.5"):
        describe_recording(recording, target=1.5)
    with pytest.raises(InputError, match="at least three stimuli"):
        describe_recording(recording.isel(presentation=[0, 1]))


def test_the_command_writes_tables_figures_and_a_report(faces, tmp_path, capsys):
    recording = simulate_patches(faces, ("AL",), 12, 2, rng=np.random.default_rng(1))
    path = write_recording(recording, tmp_path / "r.nc")
    with pytest.raises(SystemExit) as ended:
        main(["describe", str(path), "--out", str(tmp_path / "out"), "--n-splits", "3"])
    assert not ended.value.code
    shown = capsys.readouterr().out
    assert "AL (12 neurons)" in shown
    written = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*"))
    assert {"report.html", "figures/description.svg", "tables/patches.csv", "tables/neurons.parquet"} <= set(written)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "The recording is simulated." in page
    assert "Mirror-symmetry index of each patch" in page
    with pytest.raises(SystemExit):
        main(["describe", str(path), "--out", str(tmp_path), "--n-splits", "3", "-q"])
    assert "holds files and is no earlier description" in capsys.readouterr().err
