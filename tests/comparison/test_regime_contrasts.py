"""Contrasts of regimes in tables like those of a study, against SciPy and against answers counted by hand."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from neural_data.errors import InputError
from neurocompare.comparison.hypotheses import decide
from neurocompare.comparison.hypothesis import Hypothesis
from neurocompare.comparison.regime_contrasts import (
    CROSSED_NOTE,
    EXEMPLARS_NOTE,
    INTERACTION_NOTE,
    SKEWED_NOTE,
    ContrastPlan,
    contrast_regimes,
)
from neurocompare.measures.regime_contrasts import REGIME_CONTRASTS
from neurocompare.reporting.tables import ordered

ANALYSES = Path(__file__).parents[2] / "analyses"
LAYERS = ("conv1", "conv2", "fc1", "fc2")

TABLES = {table.name: table for table in REGIME_CONTRASTS.tables}


def viewpoint(rng, n_seeds=5, regimes=("natural", "mirror-same"), rise=0.5, n_identities=4) -> pd.DataFrame:
    """A table like ``viewpoint``: networks of one seed are alike; the second regime rises at the last layers."""
    seeds = 0.3 * rng.standard_normal((n_seeds, len(LAYERS)))
    rows = []
    for r, regime in enumerate(regimes):
        network = seeds + 0.1 * rng.standard_normal((n_seeds, len(LAYERS))) + r * rise * (np.arange(4) >= 2)
        for seed, k, i in np.ndindex(n_seeds, len(LAYERS), n_identities):
            category = "face" if i % 2 else "car"
            index = network[seed, k] + 0.05 * rng.standard_normal()
            rows.append(("cnn-small", regime, seed, LAYERS[k], k, category, f"id{i}", index))
    names = ["model", "regime", "seed", "layer", "layer_index", "category", "identity", "index"]
    return pd.DataFrame(rows, columns=names)


def network_means(table: pd.DataFrame, regime: str, layer: str) -> np.ndarray:
    rows = table[(table["regime"] == regime) & (table["layer"] == layer)]
    return rows.groupby("seed")["index"].mean().to_numpy()


def contrast(table, rng, value="index", **options):
    plan = ContrastPlan(**{key: options.pop(key) for key in ("paired", "method", "correction") if key in options})
    return contrast_regimes(table, value=value, plan=plan, rng=rng, **options)


def test_paired_contrasts_equal_scipy(rng):
    table = viewpoint(rng)
    found = contrast(table, rng, measure="mirror-symmetry index").contrasts
    assert list(found["layer"]) == list(LAYERS)
    assert (found["measure"] == "mirror-symmetry index").all()
    for row in found.itertuples():
        first, second = (network_means(table, regime, row.layer) for regime in ("natural", "mirror-same"))
        expected = stats.ttest_rel(first, second)
        interval = expected.confidence_interval(0.95)
        assert row.estimate == pytest.approx((first - second).mean())
        assert (row.statistic, row.p) == pytest.approx((expected.statistic, expected.pvalue))
        assert (row.ci_low, row.ci_high, row.df) == pytest.approx((interval.low, interval.high, 4))
        assert (row.n_first, row.n_second, row.n_exemplars) == (5, 5, 4)
        assert row.method == "paired t over seeds"
    assert list(found["p_permutation"].iloc[2:]) == [1 / 16, 1 / 16]
    assert (found["effect_size"].iloc[2:] < -1).all()


def test_unpaired_contrasts_equal_welch(rng):
    table = viewpoint(rng)
    result = contrast(table, rng, paired=False)
    for row in result.contrasts.itertuples():
        samples = [network_means(table, regime, row.layer) for regime in ("natural", "mirror-same")]
        expected = stats.ttest_ind(*samples, equal_var=False)
        assert (row.statistic, row.df, row.p) == pytest.approx((expected.statistic, expected.df, expected.pvalue))
        assert row.method == "Welch t over networks"
    assert any("5 against 5 networks: the smallest permutation p that is possible is 0.0079" in n for n in result.notes)


def test_pairing_follows_the_seeds(rng):
    table = viewpoint(rng)
    table.loc[(table["regime"] == "mirror-same") & (table["seed"] == 4), "seed"] = 9
    assert set(contrast(table, rng).contrasts["method"]) == {"Welch t over networks"}
    paired = contrast(table, rng, paired=True)
    assert (paired.contrasts[["n_first", "n_second"]] == 4).all(axis=None)
    assert any(note.startswith("2 networks have no partner of the same seed") for note in paired.notes)
    table["seed"] += 100 * (table["regime"] == "natural")
    with pytest.raises(InputError, match="paired=False"):
        contrast(table, rng, paired=True)


def test_the_order_of_rows_is_of_no_account(rng):
    table = viewpoint(rng)
    found = contrast(table, rng).contrasts
    shuffled = table.sample(frac=1, random_state=3)
    again = contrast(shuffled, rng, pairs=[("natural", "mirror-same")]).contrasts
    pd.testing.assert_frame_equal(found, again)


def test_turning_a_pair_round_turns_the_sign(rng):
    table = viewpoint(rng)
    found, turned = (
        contrast(table, rng, pairs=[pair]).contrasts
        for pair in (("natural", "mirror-same"), ("mirror-same", "natural"))
    )
    for name in ("estimate", "effect_size", "statistic"):
        np.testing.assert_allclose(found[name], -turned[name])
    np.testing.assert_allclose(found["ci_low"], -turned["ci_high"])
    np.testing.assert_allclose(found["p_permutation"], turned["p_permutation"])


def test_three_regimes_give_three_pairs_corrected_together(rng):
    table = viewpoint(rng, regimes=("untrained", "natural", "mirror-same"))
    result = contrast(table, rng)
    pairs = list(dict.fromkeys(zip(result.contrasts["first"], result.contrasts["second"], strict=True)))
    assert pairs == [("untrained", "natural"), ("untrained", "mirror-same"), ("natural", "mirror-same")]
    p = result.contrasts["p"]
    assert result.contrasts.loc[p.idxmin(), "p_adjusted"] == pytest.approx(min(1, 12 * p.min()))
    assert len(result.interactions) == 3


def test_keys_are_contrasted_by_themselves_and_categories_where_asked(rng):
    table = viewpoint(rng)
    two = pd.concat([table.assign(region="AL", epoch=1), table.assign(region="AM", epoch=1, index=-table["index"])])
    found = contrast(two, rng).contrasts
    assert list(found["region"]) == ["AL"] * 4 + ["AM"] * 4
    np.testing.assert_allclose(found["estimate"][:4], -found["estimate"][4:])
    assert (found["epoch"] == 1).all()
    found = contrast(table, rng, by=["category"]).contrasts
    faces = contrast(table[table["category"] == "face"], rng).contrasts
    np.testing.assert_allclose(found.loc[found["category"] == "face", "p"], faces["p"])
    assert (found["n_exemplars"] == 2).all()


def test_tables_have_their_documented_columns(rng):
    result = contrast(viewpoint(rng), rng)
    for name, table in (("regime_contrasts", result.contrasts), ("regime_interactions", result.interactions)):
        assert tuple(table.columns) == TABLES[name].names
        assert len(ordered(table, TABLES[name])) == len(table)


def test_a_contrast_can_be_named_in_a_hypothesis(rng):
    result = contrast(viewpoint(rng), rng)
    claim = Hypothesis(
        name="mirror",
        statement="mirror-same lies above natural at fc1",
        table="regime_contrasts",
        value="estimate",
        test="mean",
        unit=("layer",),
        direction="less",
        selections=({"layer": ["fc1", "fc2"]},),
    )
    rows = decide([claim], {"regime_contrasts": result.contrasts})
    expected = result.contrasts["estimate"].iloc[2:].mean()
    assert rows["estimate"].iloc[0] == pytest.approx(expected)


@pytest.mark.slow
def test_the_maximum_statistic_is_familywise_over_layers(rng):
    table = viewpoint(rng, n_seeds=8)
    found = contrast(table, rng, correction="max").contrasts
    assert (found["p_adjusted"] >= found["p_permutation"]).all()
    assert found["p_adjusted"].min() == 2 / 2**8
    assert (found["p_adjusted"].iloc[:2] > found["p_permutation"].iloc[:2]).any()
    # Without a difference anywhere, the smallest of the adjusted p is below 10 % in a tenth of tables.
    smallest = [
        contrast(viewpoint(rng, n_seeds=6, rise=0, n_identities=1), rng, correction="max").contrasts["p_adjusted"].min()
        for _ in range(150)
    ]
    assert stats.binomtest(int(np.sum(np.array(smallest) <= 0.1)), 150, 0.1).pvalue > 0.001


def test_a_rise_at_the_last_layers_is_an_interaction_and_a_rise_everywhere_is_not(rng):
    late = contrast(viewpoint(rng, n_seeds=8), rng).interactions.iloc[0]
    assert late["p_permutation"] == 2 / 2**8
    assert late["p"] < 0.001
    assert (late["df"], late["df_error"], late["n_layers"], late["n_first"]) == (3, 21, 4, 8)
    even = viewpoint(rng, n_seeds=8, rise=0)
    plain = contrast(even, rng).interactions
    even.loc[even["regime"] == "natural", "index"] += 5
    pd.testing.assert_frame_equal(contrast(even, rng).interactions, plain)


def test_mixed_contrasts_rest_on_exemplars_too_and_fall_back_in_the_open(rng, recwarn):
    table = viewpoint(rng, n_identities=8)
    number = table["identity"].str[2:].astype(int)
    # The effect of the regime depends on the exemplar, at the first layer only.
    varies = (table["regime"] == "natural") & (table["layer"] == "conv1")
    table.loc[varies, "index"] += np.sin(number[varies] * 2.4)
    plain, mixed = (contrast(table, rng, method=method) for method in ("t", "mixed"))
    first = mixed.contrasts.iloc[0]
    assert first["method"] == "crossed analysis of variance, seeds and exemplars random"
    assert first["estimate"] == pytest.approx(plain.contrasts["estimate"].iloc[0])
    assert first["ci_high"] - first["ci_low"] > 2 * (plain.contrasts["ci_high"] - plain.contrasts["ci_low"]).iloc[0]
    one = contrast(table[table["identity"] == "id0"], rng, method="mixed")
    assert (one.contrasts["method"] == "paired t over seeds (exemplars not random: one value a network)").all()
    assert any(f"{len(one.contrasts)} contrasts are t tests over seeds" in note for note in one.notes)
    assert not recwarn.list


def test_where_seeds_and_exemplars_cannot_be_crossed_there_is_no_p(rng):
    """Two seeds saw two exemplars, the others two others: no test of new exemplars follows, and none is made up."""
    table = viewpoint(rng, n_seeds=4)
    late, other = table["seed"] >= 2, table["identity"].isin(["id2", "id3"])
    table = table[late == other]
    mixed = contrast(table, rng, method="mixed")
    plain = contrast(table, rng).contrasts
    assert mixed.contrasts[["p", "ci_low", "ci_high", "statistic"]].isna().all(axis=None)
    assert mixed.contrasts["method"].str.contains("too few values in common").all()
    np.testing.assert_allclose(mixed.contrasts["estimate"], plain["estimate"])
    assert plain["p"].notna().all()
    assert any(note.startswith("4 contrasts have an estimate without interval and p") for note in mixed.notes)


def test_notes_say_what_is_known_of_the_tests_at_hand(rng):
    """Which note goes with which analysis."""
    table = viewpoint(rng, n_identities=2)
    notes = {
        (method, paired): " ".join(contrast(table, rng, method=method, paired=paired).notes)
        for method in ("t", "mixed")
        for paired in (True, False)
    }
    about = {
        "t tests over seeds are about these": {("t", True), ("t", False)},
        "taken as independent": {("mixed", False)},
    }
    for text, wanted in about.items():
        assert {key for key, said in notes.items() if text in said} == wanted
    assert all("the interaction with the layer is too cautious" in said for said in notes.values())
    one = contrast(table[table["identity"] == "id0"], rng).notes
    assert not any(note.startswith("t tests over seeds are about") for note in one)
    ten = contrast(viewpoint(rng, n_seeds=10, n_identities=2), rng).notes
    assert not any("too cautious" in note for note in ten)


def _percent(shares: pd.Series) -> list[int]:
    """Smallest and largest share, in whole percent."""
    return [int(np.floor(100 * value + 0.5)) for value in (shares.min(), shares.max())]


def test_the_numbers_of_the_notes_are_those_of_the_calibration():
    seeds = pd.read_csv(ANALYSES / "calibration" / "seeds.csv").query("type_one > 0")
    few = seeds[seeds["n_seeds"] < 20]
    for scatter, plain, crossed in (("skewed", [8, 10], [4, 7]), ("bimodal", [12, 25], [5, 7])):
        rows = few[few["scatter"] == scatter]
        assert _percent(rows.query("sd_of_exemplars == 0")["type_one"]) == plain
        varying = rows[(rows["sd_of_exemplars"] == 1) & rows["test"].str.startswith("crossed")]
        assert _percent(varying["type_one"]) == crossed
    assert "8 to 10 % and in 12 to 25 %" in SKEWED_NOTE
    assert "4 to 7 % and in 5 to 7 %" in SKEWED_NOTE
    paired = seeds[(seeds["test"] == "paired t over seeds") & (seeds["sd_of_exemplars"] == 1) & (seeds["n_seeds"] > 3)]
    for scatter, said in (("normal", "8, 15 and 24 %"), ("skewed", "13, 24 and 35 %")):
        found = paired.loc[paired["scatter"] == scatter, "type_one"]
        assert said in EXEMPLARS_NOTE
        np.testing.assert_allclose([float(n) for n in re.findall(r"\d+", said)], 100 * found, atol=0.51)
    few_seeds = pd.read_csv(ANALYSES / "regime_contrasts" / "calibration.csv").query("n_seeds == 5")
    apart = few_seeds.loc[few_seeds["test"] == "unpaired, exemplars crossed", "type_one"]
    assert f"{100 * apart.min():.1f} to {100 * apart.max():.1f} %" in CROSSED_NOTE
    profiles = few_seeds.set_index("test")["type_one"]
    for test, share in (("within seeds", "2 %"), ("between networks", "3 %")):
        assert f"{100 * profiles[f'F, Greenhouse-Geisser {test}']:.0f} %" == share
        assert f"in {share}" in INTERACTION_NOTE
    assert profiles["permuted profiles within seeds"] == 0


def scattered(first, second) -> pd.DataFrame:
    """Two regimes of one layer, one value a network; seeds from 0 on."""
    regimes = {"a": first, "b": second}
    rows = [(regime, seed, "fc1", v) for regime, values in regimes.items() for seed, v in enumerate(values)]
    return pd.DataFrame(rows, columns=["regime", "seed", "layer", "index"])


@pytest.mark.parametrize(
    ("first", "second", "paired", "said"),
    [
        ([0, 1, 2, 3], [1.1, 1.4, 1.7, 2.0], False, True),
        ([0, 1, 2, 3], [1.1, 1.4, 1.7, 2.0], True, False),  # a permutation within pairs of differences
        ([0, 1, 2, 3], [1.0, 1.5, 2.0, 2.5], False, False),  # exactly twice
        ([0.3, 0.3, 0.3, 0.3], [0.3, 0.3, 0.3, 0.1 + 0.2], False, False),
        ([0.3, 0.3, 0.3, 0.3], [0.3, 0.3, 0.3, 0.4], False, True),
    ],
)
def test_a_note_on_uneven_scatter_where_permutations_of_networks_suffer_from_it(rng, first, second, paired, said):
    notes = contrast(scattered(first, second), rng, paired=paired).notes
    assert any("scatter more than twice as much" in note for note in notes) == said


def test_one_seed_has_an_estimate_and_no_p(rng):
    table = viewpoint(rng)
    table = table[(table["regime"] == "natural") | (table["seed"] == 0)]
    for paired in (None, True):
        result = contrast(table, rng, paired=paired)
        found = result.contrasts
        assert found["estimate"].notna().all()
        empty = ["ci_low", "ci_high", "p", "p_adjusted", "p_permutation", "statistic"]
        assert found[empty].isna().all(axis=None)
        assert "4 contrasts have fewer than two seeds" in result.notes[0]
        assert result.interactions.empty
        assert tuple(result.interactions.columns) == TABLES["regime_interactions"].names


def test_a_network_without_a_seed_is_one_network(rng):
    table = viewpoint(rng)
    table = table[(table["regime"] == "natural") | (table["seed"] == 0)].astype({"seed": object})
    table.loc[table["regime"] == "mirror-same", "seed"] = None
    found = contrast(table, rng).contrasts
    assert set(found["n_second"]) == {1}
    assert found["estimate"].notna().all()


def test_undefined_values_are_left_out_in_pairs_and_counted(rng):
    table = viewpoint(rng)
    gap = (table["regime"] == "natural") & (table["layer"] == "fc1") & (table["seed"] == 2)
    table.loc[gap, "index"] = np.nan
    one = (table["regime"] == "natural") & (table["layer"] == "conv1") & (table["seed"] == 0)
    table.loc[one & (table["identity"] == "id1"), "index"] = 1e3
    expected = contrast(table[~((table["seed"] == 0) & (table["identity"] == "id1"))], rng).contrasts.iloc[0]
    table.loc[one & (table["identity"] == "id1"), "index"] = np.nan
    result = contrast(table, rng)
    found = result.contrasts.set_index("layer")
    assert list(found["n_first"]) == list(found["n_second"]) == [5, 5, 4, 5]
    assert found.loc["conv1", "estimate"] == pytest.approx(expected["estimate"])
    assert found.loc["fc1", "p_permutation"] == 1 / 8
    # Four values of a network and their partners; one exemplar and its partner.
    assert any(note.startswith("10 of 160 values are NaN") for note in result.notes)
    assert result.interactions["n_first"].iloc[0] == 4
    unpaired = contrast(table, rng, paired=False).contrasts.set_index("layer")
    assert list(unpaired["n_first"]) == [5, 5, 4, 5]
    assert list(unpaired["n_second"]) == [5, 5, 5, 5]
    assert list(unpaired["n_exemplars"]) == [3, 4, 4, 4]


def test_a_layer_without_any_value_is_an_empty_row_and_spoils_no_other(rng):
    table = viewpoint(rng)
    whole = contrast(table[table["layer"] != "fc2"], rng, correction="max")
    table.loc[table["layer"] == "fc2", "index"] = np.nan
    result = contrast(table, rng, correction="max")
    last = result.contrasts.iloc[3]
    assert (last["n_first"], last["n_second"]) == (0, 0)
    assert last[["estimate", "p", "p_adjusted", "p_permutation"]].isna().all()
    pd.testing.assert_frame_equal(result.contrasts.iloc[:3], whole.contrasts, check_dtype=False)
    pd.testing.assert_frame_equal(result.interactions, whole.interactions)


def test_layers_of_one_regime_only_are_left_out(rng):
    table = viewpoint(rng)
    table = table[(table["regime"] == "natural") | (table["layer"] != "conv2")]
    result = contrast(table, rng)
    assert list(result.contrasts["layer"]) == ["conv1", "fc1", "fc2"]
    assert "1 layers are in only one of two regimes and are left out" in result.notes


def test_many_networks_are_permuted_at_random(rng):
    table = viewpoint(rng, n_seeds=18, n_identities=1)
    result = contrast(table, rng)
    assert result.contrasts["p_permutation"].min() == 1 / 50_000
    assert "permutations of the largest contrasts are a random part of all" in result.notes


def test_a_table_is_not_changed(rng):
    table = viewpoint(rng)
    before = table.copy(deep=True)
    contrast(table, rng, method="mixed", correction="max")
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda t: t[t["regime"] == "natural"], {}, "holds 'natural' only"),
        (lambda t: t.iloc[:0], {}, "has no rows"),
        (lambda t: pd.concat([t, t.iloc[[3]]]), {}, "more than one row for model cnn-small, regime natural, seed 0"),
        (lambda t: t.drop(columns="identity"), {}, "name identities in the column 'identity'"),
        (lambda t: t.drop(columns="seed"), {}, "'seed' is missing"),
        (lambda t: t, {"value": "indx"}, "did you mean 'index'"),
        (lambda t: t.assign(index="high"), {}, "must hold numbers"),
        (lambda t: t.assign(index=np.inf), {}, "infinite"),
        (lambda t: t.assign(regime=[None, *t["regime"][1:]]), {}, "without a regime"),
        (lambda t: t, {"by": ["identity"]}, "cannot be contrasted by 'identity'"),
        (lambda t: t, {"pairs": [("natural", "mirror-sane")]}, "did you mean 'mirror-same'"),
        (lambda t: t, {"pairs": [("natural", "natural")]}, "with itself"),
        (lambda t: t.assign(layer=t["regime"] + t["layer"]), {}, "share a layer of one model"),
        (lambda t: t.assign(model=t["regime"]), {}, "share a layer of one model"),
        (lambda t: t, {"method": "anova"}, "no method 'anova'"),
        (lambda t: t, {"correction": "bonferroni"}, "no correction 'bonferroni'"),
    ],
)
def test_what_cannot_be_contrasted_is_refused(change, options, message, rng):
    with pytest.raises(InputError, match=message):
        contrast(change(viewpoint(rng, n_seeds=2)), rng, **options)


@pytest.mark.parametrize("options", [{"confidence": 1.0}, {"n_permutations": 1}])
def test_a_plan_out_of_range_is_refused(options):
    with pytest.raises(InputError, match="confidence between 0 and 1"):
        ContrastPlan(**options)
