"""Profiles of populations, verdicts on simulated experiments, and what is recovered, where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from neural_data import InputError, simulate_patches
from neural_data.recordings import make_recording
from neural_data.simulation import draw_trials
from neurocompare.comparison.account_experiments import half_means, neuron_rates
from neurocompare.comparison.account_judgement import judge_halves, recorded_halves
from neurocompare.comparison.account_profiles import (
    LARGEST_R,
    STATISTICS,
    Views,
    population_profile,
    profile_of,
    reference_rdms,
    tolerance,
)
from neurocompare.comparison.account_recovery import (
    Plan,
    Presentation,
    Size,
    animals_by_use,
    of_account,
    recover_accounts,
    tell_pairs_apart,
    unrelated_responses,
)
from neurocompare.comparison.account_verdicts import NONE, UNDECIDED, make_court, synthetic_likelihood
from neurocompare.representations.rdms import view_order
from neurocompare.representations.viewpoint import mirror_symmetry_index

AZIMUTHS = np.array([-90.0, -45, 0, 45, 90])
N_IDENTITIES = 6
VIEWS = Views(np.arange(N_IDENTITIES * 5).reshape(N_IDENTITIES, 5), AZIMUTHS)


def population(cells):
    """One noiseless experiment (1, 2, n_stimuli, n_neurons) of cells (n_identities, n_views, n_neurons)."""
    responses = np.broadcast_to(cells, (N_IDENTITIES, 5, cells.shape[2])).reshape(N_IDENTITIES * 5, -1)
    return np.stack([responses, responses])[None]


def profile(cells):
    return {name: float(value[0]) for name, value in population_profile(population(cells), VIEWS).items()}


def test_tuning_to_views_alone_is_found_in_its_even_and_odd_shares(rng):
    half = rng.normal(size=(1, 2, 30))
    even = np.concatenate([half, rng.normal(size=(1, 1, 30)), half[:, ::-1]], axis=1)
    found = profile(even)
    assert set(found) == set(STATISTICS)
    assert found["view even share"] == pytest.approx(1)
    assert found["even neurons"] == pytest.approx(1)
    assert found["index"] == pytest.approx(np.arctanh(LARGEST_R))
    assert found["generalisation to the mirror view"] == found["generalisation over views"] == 0
    odd = np.concatenate([half, np.zeros((1, 1, 30)), -half[:, ::-1]], axis=1)
    found = profile(odd)
    assert found["view odd share"] == pytest.approx(1)
    assert found["even neurons"] == pytest.approx(0, abs=1e-9)
    assert found["identity share"] == pytest.approx(0, abs=1e-9)


def test_tuning_to_identities_alone_generalises_over_all_views(rng):
    found = profile(rng.normal(size=(N_IDENTITIES, 1, 30)))
    assert found["identity share"] == pytest.approx(1)
    assert found["generalisation over views"] == pytest.approx(1)
    assert found["generalisation to the mirror view"] == pytest.approx(1)
    assert found["index"] == 0  # views do not differ
    assert found["even neurons"] == found["side preference"] == found["left-right sd"] == 0


def test_the_index_is_that_of_the_package_and_neurons_without_variance_do_not_count(rng):
    cells = rng.normal(size=(N_IDENTITIES, 5, 20))
    found = profile(cells)
    scores = cells.reshape(-1, 20)
    scores = ((scores - scores.mean(axis=0)) / scores.std(axis=0)).reshape(cells.shape)
    indices = mirror_symmetry_index(np.stack([1 - np.corrcoef(own) for own in scores]))
    assert found["index"] == pytest.approx(np.arctanh(indices).mean())
    constant = np.concatenate([cells, np.full((N_IDENTITIES, 5, 3), 7.0)], axis=2)
    again = profile(constant)
    for name, value in found.items():
        assert again[name] == pytest.approx(value), name
    assert set(profile(np.ones((1, 1, 4))).values()) == {0.0}


def test_a_patch_fits_its_own_rdm_and_other_patches_not(rng):
    responses = {name: rng.normal(size=(30, 40)) for name in ("ML", "AL")}
    references = reference_rdms({"account ML": responses["ML"]})
    found = profile_of({name: np.stack([own, own])[None] for name, own in responses.items()}, VIEWS, references)
    assert found["ML: fit of account ML"][0] == pytest.approx(np.arctanh(LARGEST_R))
    assert found["ML: fit of account ML within views"][0] == pytest.approx(np.arctanh(LARGEST_R))
    assert abs(found["AL: fit of account ML"][0]) < 0.3
    assert abs(found["ML with AL"][0]) < 0.3


def test_tolerance_is_one_for_the_same_signal_and_zero_for_another(rng):
    signal, other = rng.normal(size=(2, 200, 50))
    noisy = signal + 2 * rng.normal(size=(2, 2, 200, 50))
    assert tolerance(noisy[None, 0], noisy[None, 1])[0] == pytest.approx(1, abs=0.1)
    assert tolerance(noisy[None, 0], np.stack([other, other])[None])[0] == pytest.approx(0, abs=0.1)


def test_halves_of_trials_have_the_mean_and_variance_of_drawn_trials(faces, rng):
    rates = np.full((len(faces), 400), 20.0)
    made = half_means(rates, 3, rng=rng)
    expected = make_recording(
        rates,
        presentations=faces.table.reset_index()[["stimulus_id"]],
        neuroids=_neuroids(400),
        attrs={"simulated": 1},
    )
    trials = draw_trials(expected, 3, rng=rng).values.reshape(3, len(faces), 400).mean(axis=0)
    assert made.shape == (2, len(faces), 400)
    assert made.mean() == pytest.approx(20, rel=0.02)
    assert made.var() == pytest.approx(trials.var(), rel=0.1)


def _neuroids(n):
    import pandas as pd

    return pd.DataFrame({"neuroid_id": [f"n{k}" for k in range(n)], "region": "AL", "subject": "one"})


def test_neurons_read_units_and_are_rectified(rng):
    rates = neuron_rates({"AL": rng.normal(size=(30, 8))}, 50, rng=rng)["AL"]
    assert rates.shape == (30, 50)
    assert rates.min() > 0
    with pytest.raises(InputError, match="no unit of AL varies"):
        neuron_rates({"AL": np.ones((30, 8))}, 50, rng=rng)


def gaussian_accounts(rng, n, apart=6.0):
    return {name: rng.normal(size=(n, 5)) + apart * np.eye(5)[place] for place, name in enumerate(("a", "b", "c"))}


def test_likelihoods_are_those_of_linear_discriminant_analysis(rng):
    learned = gaussian_accounts(rng, 400, apart=1.5)
    tested = np.concatenate(list(gaussian_accounts(rng, 50, apart=1.5).values()))
    oracle = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(
        np.concatenate(list(learned.values())), np.repeat(list("abc"), 400)
    )
    odds = special.softmax(synthetic_likelihood(learned).logarithms(tested), axis=1)
    np.testing.assert_allclose(odds, oracle.predict_proba(tested), atol=0.01)


def test_verdicts_name_accounts_decline_between_them_and_refuse_what_none_made(rng):
    court = make_court(gaussian_accounts(rng, 100), gaussian_accounts(rng, 100))
    for name, tested in gaussian_accounts(rng, 200).items():
        found = [verdict.found for verdict in court.judge(tested)]
        # The conformal p excludes the true account in 5 %, and the accounts are far apart.
        assert found.count(name) >= 170
        assert found.count(NONE) + found.count(name) + found.count(UNDECIDED) == 200
    (verdict,) = court.judge(np.full((1, 5), 20.0))
    assert verdict.found == NONE
    near = make_court(gaussian_accounts(rng, 100, apart=0.5), gaussian_accounts(rng, 100, apart=0.5))
    found = [verdict.found for verdict in near.judge(gaussian_accounts(rng, 100, apart=0.5)["a"])]
    assert found.count(UNDECIDED) > 80


def test_a_level_at_which_nothing_could_be_excluded_is_refused(rng):
    with pytest.raises(InputError, match=r"with 60 experiments held out no account can be excluded at 0\.01"):
        Plan(alpha=0.01)
    court = make_court(gaussian_accounts(rng, 30), gaussian_accounts(rng, 19))
    assert court.judge(np.full((1, 5), 20.0), alpha=0.05)[0].found == NONE  # the smallest p is 1 / 20
    with pytest.raises(InputError, match="hold out more"):
        court.judge(np.full((1, 5), 20.0), alpha=0.04)


def test_odds_are_as_often_right_as_they_say(rng):
    # Heavy tails make the Gaussian likelihood too sure; the temperature takes that back.
    def heavy(n):
        return {name: own + rng.standard_t(5, size=own.shape) for name, own in gaussian_accounts(rng, n, 2.0).items()}

    court = make_court(heavy(400), heavy(400))
    tested = heavy(1000)
    odds = np.concatenate([court.posterior(own) for own in tested.values()])
    truth = np.repeat(np.arange(3), 1000)
    assert court.temperature > 1
    assert odds.max(axis=1).mean() == pytest.approx((odds.argmax(axis=1) == truth).mean(), abs=0.05)


@pytest.mark.parametrize(
    ("learned", "held_out", "message"),
    [
        ({"a": np.zeros((30, 2))}, {"a": np.zeros((30, 2))}, "at least two accounts"),
        (
            {"a": np.zeros((5, 2)), "b": np.zeros((30, 2))},
            {n: np.zeros((30, 2)) for n in "ab"},
            "at least 20 simulated",
        ),
        ({n: np.full((30, 2), np.nan) for n in "ab"}, {n: np.zeros((30, 2)) for n in "ab"}, "0 of them finite"),
        ({n: np.zeros((30, 2)) for n in "ab"}, {n: np.zeros((30, 2)) for n in "ab"}, "no statistic varies"),
    ],
)
def test_too_little_to_judge_is_refused(learned, held_out, message):
    with pytest.raises(InputError, match=message):
        make_court(learned, held_out)


SMALL = Plan(n_learned=24, n_held_out=20, n_tested=20)


def two_accounts(rng, n_animals=4, n_units=40):
    """Units of two accounts, by use: one responds to views and their mirror images alike in AL, the other does not."""
    mirrored = {}
    for name, pooled in {"pooled": 1.0, "not pooled": 0.0}.items():
        animals = []
        for _ in range(n_animals):
            cells = rng.normal(size=(N_IDENTITIES, 5, n_units)) + 2 * rng.normal(size=(1, 5, n_units))
            animals.append(
                {"ML": cells.reshape(-1, n_units), "AL": (cells + pooled * cells[:, ::-1]).reshape(-1, n_units)}
            )
        mirrored[name] = animals_by_use(animals, SMALL)
    return mirrored


def test_accounts_that_differ_are_recovered_and_what_no_account_made_is_refused(rng):
    accounts = two_accounts(rng, n_animals=1)
    references = reference_rdms({"pooled AL": accounts["pooled"]["learned"][0]["AL"]})
    found = recover_accounts(
        accounts,
        VIEWS,
        references,
        [Size(4, 20), Size(6, 30)],
        SMALL,
        others={"noise": unrelated_responses(("ML", "AL"), 30)},
        rng=rng,
    )
    table = found.recovery.set_index(["n_identities", "scored_on", "truth"])
    assert len(table) == 2 * 3 * 3
    assert table.loc[(6, "everything", "pooled"), "most_likely_right"] == 1
    assert table.loc[(6, "tuning", "not pooled"), "right"] >= 0.7
    assert table.loc[(6, "everything", "noise"), "wrong"] == 0
    assert np.isnan(table.loc[(6, "everything", "noise"), "certainty"])
    shares = found.confusion.groupby(["n_identities", "scored_on", "truth"])["share"].sum()
    np.testing.assert_allclose(shares, 1)
    with pytest.raises(InputError, match="experiments of 9 identities need as many"):
        recover_accounts(accounts, VIEWS, references, [Size(9, 20)], SMALL, others={}, rng=rng)


def test_pairs_are_told_apart_by_what_differs(rng):
    accounts = two_accounts(rng)
    references = {"pooled AL": accounts["pooled"]["learned"][0]["AL"]}
    few = VIEWS.rows(4)
    shown = {
        "as shown": Presentation(few, VIEWS.first(4)),
        "again": Presentation(few, VIEWS.first(4), few),
    }
    table = tell_pairs_apart(accounts, shown, references, Size(4, 20), SMALL, rng=rng)
    assert len(table) == 2 * 3
    assert (table["told_apart"][table["scored_on"] == "index"] > 0.9).all()
    same = dict.fromkeys(("one", "other"), accounts["pooled"])
    table = tell_pairs_apart(same, {"as shown": shown["as shown"]}, references, Size(4, 20), SMALL, rng=rng)
    assert table["told_apart"].between(0.15, 0.85).all()


def test_accounts_that_predict_the_same_are_told_apart_by_animals_raised_otherwise(rng):
    accounts = two_accounts(rng)
    same = dict.fromkeys(("learned", "wired", "unknown"), accounts["pooled"])
    raised = {"learned": accounts["not pooled"], "wired": accounts["pooled"]}
    few = VIEWS.rows(4)
    shown = {
        "as shown": Presentation(few, VIEWS.first(4)),
        "raised": Presentation(few, VIEWS.first(4), raised=_rows_of(raised, few)),
    }
    references = {"pooled AL": accounts["pooled"]["learned"][0]["AL"]}
    table = tell_pairs_apart(same, shown, references, Size(4, 20), SMALL, rng=rng)
    assert len(table) == 3 * 3 + 3
    assert (table["told_apart"][table["experiment"] == "raised"] > 0.9).all()
    assert table["told_apart"][table["experiment"] == "as shown"].between(0.15, 0.85).all()


def _rows_of(accounts, rows):
    return {
        name: {use: [{stage: u[rows] for stage, u in one.items()} for one in own] for use, own in animals.items()}
        for name, animals in accounts.items()
    }


def test_animals_are_used_once_and_divided_like_the_experiments():
    animals = [{"AL": np.full((1, 1), k)} for k in range(64)]
    divided = animals_by_use(animals, SMALL)
    assert [len(own) for own in divided.values()] == [24, 20, 20]
    used = [own["AL"][0, 0] for of_use in divided.values() for own in of_use]
    assert used == list(range(64))
    assert [len(own) for own in animals_by_use(range(4), Plan(n_learned=1000, n_held_out=19)).values()] == [2, 1, 1]
    assert all(own == animals[:3] for own in animals_by_use(animals[:3], SMALL).values())


def test_every_experiment_has_an_animal_of_its_own_as_long_as_there_are_some(rng):
    """Animals whose units all have one direction over the stimuli, each another, so that neurons follow it."""
    directions = rng.normal(size=(3, 40))
    animals = [{"AL": np.repeat(direction[:, None], 5, axis=1)} for direction in directions]
    generator = of_account(animals)
    for number in range(5):
        rates = generator(number, 8, rng)["AL"].mean(axis=1)
        r = [np.corrcoef(rates, direction)[0, 1] for direction in directions]
        assert int(np.argmax(r)) == number % 3


def test_accounts_whose_animals_differ_are_excluded_no_more_often_than_alpha(rng):
    """Animals differ more than experiments in one: the p of another animal is uniform if each has its own."""
    n, n_units = 200, 12
    views = rng.normal(size=(1, 5, n_units))
    cells = rng.normal(size=(3 * n, N_IDENTITIES, 1, n_units)) * rng.lognormal(0, 1, size=(3 * n, 1, 1, 1)) + views
    animals = [{"AL": np.broadcast_to(own, (N_IDENTITIES, 5, n_units)).reshape(-1, n_units)} for own in cells]
    other = [{"AL": rng.normal(size=(N_IDENTITIES * 5, n_units))} for _ in range(3 * n)]
    plan = Plan(n_learned=n, n_held_out=n, n_tested=n, trials_in_half=50)
    accounts = {"varied": animals_by_use(animals, plan), "noise": animals_by_use(other, plan)}
    found = recover_accounts(accounts, VIEWS, {}, [Size(N_IDENTITIES, 8)], plan, others={}, rng=rng).recovery
    row = found[(found["truth"] == "varied") & (found["scored_on"] == "tuning")].iloc[0]
    # Binomial: 0.05 of 200 gives up to 20 in 99.5 % of cases.
    assert row["none"] <= 0.1


def test_a_recording_is_judged_by_experiments_of_its_size(rng):
    accounts = two_accounts(rng, n_animals=1)
    references = reference_rdms({"pooled AL": accounts["pooled"]["learned"][0]["AL"]})
    rates = of_account(accounts["pooled"]["tested"])(0, 30, rng)
    halves = {"ML": half_means(rates["ML"][:, :17], 4, rng=rng), "AL": half_means(rates["AL"], 4, rng=rng)}
    table = judge_halves(halves, accounts, VIEWS, references, SMALL, rng=rng)
    assert len(table) == 3 * 2
    everything = table[table["scored_on"] == "everything"]
    assert everything["account"].iloc[0] == "pooled"
    assert everything["posterior"].sum() == pytest.approx(1)
    # Matched to the reliability of the recording, which is noisy.
    assert 1 < table["trials_in_half"].iloc[0] < 16


def test_patches_of_a_recording_get_the_stages_of_the_accounts(faces, rng):
    stimuli = faces.yaw_views()
    recording = simulate_patches(stimuli, ("MLMF", "AL"), 6, 4, rng=rng)
    halves = recorded_halves(recording, stimuli)
    assert {stage: own.shape for stage, own in halves.items()} == dict.fromkeys(("ML", "AL"), (2, len(stimuli), 6))
    first = recording.sel(presentation=recording["repetition"].isin([0, 2]))
    of_first = first.isel(presentation=first["stimulus_id"].values == stimuli.ids[0]).values[:, :6]
    np.testing.assert_allclose(halves["ML"][0, 0], of_first.mean(axis=0))
    with pytest.raises(InputError, match="two patches of the recording stand for ML"):
        recorded_halves(simulate_patches(stimuli, ("ML", "MF"), 6, 2, rng=rng), stimuli)


def test_views_without_mirror_images_are_refused(faces):
    with pytest.raises(InputError, match="at least three identities"):
        Views(np.arange(6).reshape(2, 3), AZIMUTHS[1:4])
    with pytest.raises(InputError, match="symmetric about 0"):
        Views(np.arange(9).reshape(3, 3), np.array([0.0, 45, 90]))
    _, positions = view_order(faces)
    assert positions.shape[1] >= 3
