"""Hypotheses declared as data: the rows they select, the verdicts that follow, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from neural_data import InputError
from neurocompare.comparison.hypotheses import HYPOTHESIS_COLUMNS, decide, verdict
from neurocompare.comparison.hypothesis import Hypothesis
from neurocompare.comparison.hypothesis_tests import Outcome

LAYERS = ["conv1", "pool2", "fc1"]


@pytest.fixture
def viewpoint() -> pd.DataFrame:
    """Index of faces and flowers, trained and untrained, two seeds: trained faces alone rise from pool2 to fc1."""
    rng = np.random.default_rng(11)
    rows = []
    for regime in ("natural", "untrained"):
        for seed in (0, 1):
            for category in ("face", "flower"):
                for exemplar in range(12):
                    for layer in LAYERS:
                        risen = 0.5 * (layer == "fc1" and category == "face" and regime == "natural")
                        index = 0.1 + risen + rng.normal(0, 0.1)
                        rows.append((regime, seed, category, f"{category}{exemplar}", layer, index))
    return pd.DataFrame(rows, columns=["regime", "seed", "category", "identity", "layer", "index"])


JUMP = Hypothesis(
    name="jump",
    statement="The index of faces rises from the last pooling layer to the first fully connected one",
    table="viewpoint",
    value="index",
    test="paired",
    where={"category": "face", "regime": "natural"},
    selections=({"layer": "fc1"}, {"layer": "pool2"}),
    unit=("identity",),
)


def changed(hypothesis: Hypothesis, **changes) -> Hypothesis:
    return Hypothesis(**{**hypothesis.model_dump(), **changes})


def decided(hypothesis: Hypothesis, table: pd.DataFrame) -> pd.Series:
    return decide([hypothesis], {"viewpoint": table}).iloc[0]


def test_a_paired_hypothesis_is_scipys_test_on_the_means_of_units(viewpoint):
    row = decided(JUMP, viewpoint)
    rows = viewpoint[(viewpoint["category"] == "face") & (viewpoint["regime"] == "natural")]
    means = rows.pivot_table(index="identity", columns="layer", values="index")
    oracle = stats.ttest_rel(means["fc1"], means["pool2"])
    interval = oracle.confidence_interval()
    assert (row["statistic"], row["p"], row["df"]) == pytest.approx((oracle.statistic, oracle.pvalue, 11))
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((interval.low, interval.high))
    assert (row["n"], row["verdict"]) == (12, "supported")


def test_rows_in_another_order_and_seeds_as_units_are_told_apart(viewpoint):
    shuffled = viewpoint.sample(frac=1, random_state=1)
    assert decided(JUMP, shuffled)["p"] == pytest.approx(decided(JUMP, viewpoint)["p"])
    assert decided(changed(JUMP, unit=("identity", "seed")), viewpoint)["n"] == 24


def test_the_opposite_claim_is_contradicted_and_not_merely_unsupported(viewpoint):
    row = decided(changed(JUMP, direction="less"), viewpoint)
    assert row["verdict"] == "opposite"
    assert row["estimate"] == pytest.approx(decided(JUMP, viewpoint)["estimate"])


def test_a_baseline_turns_values_into_rises_above_it(viewpoint):
    rise = changed(
        JUMP,
        where={"regime": "natural"},
        test="rank-sum",
        selections=({"layer": "fc1", "category": "face"}, {"layer": "fc1", "category": "flower"}),
        baseline={"layer": "pool2"},
    )
    natural = viewpoint[viewpoint["regime"] == "natural"]
    means = natural.pivot_table(index=["category", "identity"], columns="layer", values="index")
    rises = means["fc1"] - means["pool2"]
    oracle = stats.mannwhitneyu(rises["face"], rises["flower"])
    row = decided(rise, viewpoint)
    assert (row["statistic"], row["p"], row["n"]) == pytest.approx((oracle.statistic, oracle.pvalue, 24))
    assert row["verdict"] == "supported"


def test_a_contrast_of_differences_equals_the_paired_test_of_rises(viewpoint):
    cells = [("fc1", "natural"), ("pool2", "natural"), ("fc1", "untrained"), ("pool2", "untrained")]
    contrast = changed(
        JUMP,
        test="contrast",
        where={"category": "face"},
        selections=tuple({"layer": layer, "regime": regime} for layer, regime in cells),
        weights=(1, -1, -1, 1),
    )
    paired = changed(
        JUMP,
        where={"category": "face", "layer": "fc1"},
        selections=({"regime": "natural"}, {"regime": "untrained"}),
        baseline={"layer": "pool2"},
    )
    first, second = decided(contrast, viewpoint), decided(paired, viewpoint)
    assert first[["estimate", "statistic", "p"]].tolist() == pytest.approx(
        second[["estimate", "statistic", "p"]].tolist()
    )


def test_a_peak_is_sought_among_all_other_layers(viewpoint):
    peak = changed(JUMP, test="peak", over="layer", selections=({"layer": "fc1"},))
    assert decided(peak, viewpoint)["verdict"] == "supported"
    wrong = changed(peak, selections=({"layer": "conv1"},))
    assert decided(wrong, viewpoint)["verdict"] == "opposite"


@pytest.mark.parametrize(("direction", "expected"), [("greater", "supported"), ("less", "opposite")])
def test_an_ordering_and_a_trend_follow_the_selections_as_listed(direction, expected):
    rng = np.random.default_rng(0)
    values = {"left-right": 0.9, "up-down": 0.6, "rotation": 0.3}
    rows = [(seed, name, mean + rng.normal(0, 0.05)) for seed in range(10) for name, mean in values.items()]
    table = pd.DataFrame(rows, columns=["seed", "transform", "mean"])
    for test in ("ordering", "trend"):
        hypothesis = Hypothesis(
            name="order",
            statement="left-right above up-down above rotation",
            table="equivariance",
            value="mean",
            test=test,
            selections=tuple({"transform": name} for name in values),
            unit=("seed",),
            direction=direction,
        )
        assert decide([hypothesis], {"equivariance": table})["verdict"].item() == expected


def test_a_tabulated_estimate_is_tested_with_its_own_standard_error():
    table = pd.DataFrame({"region": ["AL", "ML"], "difference": [0.3, 0.02], "se": [0.1, 0.1], "df": [9.0, np.nan]})
    hypotheses = [
        Hypothesis(
            name=region,
            statement="The invariant part carries the fit",
            table="shapley",
            value="difference",
            test="tabulated",
            selections=({"region": region},),
        )
        for region in ("AL", "ML")
    ]
    decision = decide(hypotheses, {"shapley": table}, correction="none").set_index("hypothesis")
    assert decision.loc["AL", "p"] == pytest.approx(2 * stats.t.sf(3, 9))
    assert decision.loc["ML", "p"] == pytest.approx(2 * stats.norm.sf(0.2))
    assert decision["verdict"].tolist() == ["supported", "undecided"]
    assert np.isnan(decision.loc["ML", "df"])


def test_equivalence_is_the_larger_of_two_one_sided_tests(viewpoint):
    claim = changed(JUMP, where={"category": "flower", "regime": "natural"}, direction="equivalent", margin=0.15)
    rows = viewpoint[(viewpoint["category"] == "flower") & (viewpoint["regime"] == "natural")]
    means = rows.pivot_table(index="identity", columns="layer", values="index")
    difference = means["fc1"] - means["pool2"]
    oracle = max(
        stats.ttest_1samp(difference, -0.15, alternative="greater").pvalue,
        stats.ttest_1samp(difference, 0.15, alternative="less").pvalue,
    )
    row = decided(claim, viewpoint)
    assert row["p"] == pytest.approx(oracle)
    assert row["verdict"] == "supported"
    assert decided(changed(claim, where=JUMP.where), viewpoint)["verdict"] == "opposite"
    assert decided(changed(claim, margin=0.001), viewpoint)["verdict"] == "undecided"


def test_equal_regimes_of_different_seeds_are_two_one_sided_rank_sum_tests(viewpoint):
    claim = changed(
        JUMP,
        where={"category": "flower", "layer": "fc1"},
        selections=({"regime": "natural"}, {"regime": "untrained"}),
        test="rank-sum",
        direction="equivalent",
        margin=0.15,
    )
    rows = viewpoint[(viewpoint["category"] == "flower") & (viewpoint["layer"] == "fc1")]
    first, second = (
        rows[rows["regime"] == regime].groupby("identity")["index"].mean().to_numpy()
        for regime in ("natural", "untrained")
    )
    oracle = max(
        stats.mannwhitneyu(first + 0.15, second, alternative="greater").pvalue,
        stats.mannwhitneyu(first - 0.15, second, alternative="less").pvalue,
    )
    row = decided(claim, viewpoint)
    assert row["p"] == pytest.approx(oracle)
    assert row["verdict"] == "supported"
    assert decided(changed(claim, margin=0.001), viewpoint)["verdict"] == "undecided"
    faces = changed(claim, where={"category": "face", "layer": "fc1"})
    assert decided(faces, viewpoint)["verdict"] == "opposite"


def test_each_category_and_layer_is_corrected_by_the_false_discovery_rate(viewpoint):
    trained = changed(
        JUMP,
        name="trained",
        where={},
        selections=({"regime": "natural"}, {"regime": "untrained"}),
        test="rank-sum",
        each=("category", "layer"),
    )
    decision = decide([JUMP, trained], {"viewpoint": viewpoint})
    cells = decision[decision["hypothesis"] != "jump"]
    assert cells["hypothesis"].tolist() == [f"trained[{c}, {layer}]" for c in ("face", "flower") for layer in LAYERS]
    assert cells["statement"].iloc[0] == f"{JUMP.statement} (face, conv1)"
    np.testing.assert_allclose(cells["p_adjusted"], multipletests(cells["p"], method="fdr_bh")[1])
    assert set(cells["correction"]) == {"bh"}
    assert cells.set_index("hypothesis").loc["trained[face, fc1]", "verdict"] == "supported"
    # The other hypothesis is a family of its own, and one test needs no correction.
    assert decision["p_adjusted"].iloc[0] == decision["p"].iloc[0]
    assert decision["correction"].iloc[0] == "holm"


def test_hypotheses_of_a_study_are_corrected_together(viewpoint):
    others = [changed(JUMP, name=layer, selections=({"layer": "fc1"}, {"layer": layer})) for layer in LAYERS[:2]]
    flower = changed(JUMP, name="flower", where={"category": "flower"})
    decision = decide([*others, flower], {"viewpoint": viewpoint})
    np.testing.assert_allclose(decision["p_adjusted"], multipletests(decision["p"], method="holm")[1])
    assert decision.columns.tolist() == list(HYPOTHESIS_COLUMNS)


@pytest.mark.parametrize(
    ("direction", "margin", "estimate", "interval", "p", "expected"),
    [
        ("greater", None, 0.3, (0.1, 0.5), 0.01, "supported"),
        ("greater", None, 0.3, (-0.1, 0.7), 0.2, "undecided"),
        ("greater", None, -0.3, (-0.7, 0.1), 0.2, "undecided"),
        ("greater", None, -0.3, (-0.5, -0.1), 0.01, "opposite"),
        ("greater", 0.2, 0.05, (-0.05, 0.15), 0.3, "not supported"),
        ("greater", 0.2, 0.05, (0.01, 0.09), 0.01, "not supported"),
        ("greater", 0.2, 0.1, (-0.1, 0.3), 0.3, "undecided"),
        ("less", None, -0.3, (-0.5, -0.1), 0.01, "supported"),
        ("less", None, 0.3, (0.1, 0.5), 0.01, "opposite"),
        ("less", 0.2, 0.0, (-0.1, 0.1), 0.9, "not supported"),
        ("different", None, -0.3, (-0.5, -0.1), 0.01, "supported"),
        ("different", 0.2, 0.05, (-0.05, 0.15), 0.3, "not supported"),
        ("different", 0.2, 0.05, (-0.25, 0.35), 0.7, "undecided"),
        ("equivalent", 0.2, 0.05, (-0.05, 0.15), 0.01, "supported"),
        ("equivalent", 0.2, 0.5, (0.3, 0.7), 0.99, "opposite"),
        ("equivalent", 0.2, 0.1, (-0.1, 0.3), 0.3, "undecided"),
        ("greater", 0.2, 0.0, (np.nan, np.nan), np.nan, "undecided"),
    ],
)
def test_verdicts_follow_from_p_and_interval(direction, margin, estimate, interval, p, expected):
    hypothesis = changed(JUMP, direction=direction, margin=margin)
    assert verdict(hypothesis, Outcome(estimate, *interval, p=p), p) == expected


def test_a_correction_can_leave_a_small_p_undecided(viewpoint):
    hypothesis = JUMP
    outcome = Outcome(0.3, 0.05, 0.55, p=0.02)
    assert verdict(hypothesis, outcome, 0.02) == "supported"
    assert verdict(hypothesis, outcome, 0.08) == "undecided"


def test_one_exemplar_leaves_a_hypothesis_undecided(viewpoint):
    one = viewpoint[viewpoint["identity"] == "face0"]
    row = decided(JUMP, one)
    assert row["verdict"] == "undecided"
    assert np.isnan(row["p"])
    assert row["n"] == 1


def test_units_without_a_partner_are_left_out_and_said_so(viewpoint, caplog):
    broken = viewpoint.copy()
    broken.loc[(broken["identity"] == "face3") & (broken["layer"] == "fc1"), "index"] = np.nan
    assert decided(JUMP, broken)["n"] == 11
    assert "1 of 12 units lack a value" in caplog.text


def test_hypotheses_are_read_from_the_tables_of_a_study_file():
    entry = {
        "name": "jump",
        "statement": "...",
        "table": "viewpoint",
        "value": "index",
        "test": "paired",
        "selections": [{"layer": "fc1"}, {"layer": "pool2"}],
        "unit": ["identity"],
        "margin": 0.1,
    }
    assert Hypothesis(**entry) == changed(JUMP, statement="...", where={}, margin=0.1)
    for change, message in [
        ({"tset": "paired"}, "tset"),
        ({"unit": "identity"}, "unit\n.*valid list"),
        ({"margin": "small"}, "margin\n.*valid number"),
        ({"margin": np.inf}, "margin\n.*finite number"),
        ({"selections": [{"layer": "fc1"}]}, r"takes 2 selection\(s\), and 1 are given"),
        ({"test": "pared"}, "did you mean 'paired'"),
        (
            {"test": "tabulated", "selections": [{}], "value": "depth_difference", "se": "depth_se"},
            'comes from draws.*use test = "interval", low = "depth_low"',
        ),
        ({"test": "tabulated", "selections": [{}], "se": "depth_se"}, "'depth_se' comes from draws"),
        ({"direction": "equivalent", "margin": 0.1, "test": "correlation"}, "'equivalent' needs a margin and one of"),
        ({"unit": []}, "needs unit"),
        ({"margin": -1}, "margin\n.*greater than 0"),
        ({"alpha": 0.7}, "alpha\n.*less than 0.5"),
        ({"weights": [1, -1]}, "no other test takes weights"),
        ({"over": "layer"}, "no other test takes it"),
        ({"correction": "max"}, "no correction 'max'"),
    ]:
        with pytest.raises(ValueError, match=message):
            Hypothesis(**entry | change)
    with pytest.raises(ValueError, match=r"value\n.*required"):
        Hypothesis(**{key: value for key, value in entry.items() if key != "value"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"table": "viewpoints"}, "no table 'viewpoints': did you mean 'viewpoint'"),
        ({"value": "idx"}, "has no column 'idx'"),
        ({"unit": ("identiy",)}, "did you mean 'identity'"),
        ({"selections": ({"layer": "fc11"}, {"layer": "pool2"})}, "never holds 'fc11': did you mean 'fc1'"),
        ({"selections": ({"layer": ["fc1", "fc9"]}, {"layer": "pool2"})}, "never holds 'fc9'"),
        ({"selections": ({"identity": "face1"}, {"identity": "face2"})}, "share no unit"),
        ({"where": {"category": "face", "identity": "flower1"}}, "each value occurs, but not together"),
        ({"test": "peak", "over": "seed", "selections": ({"layer": "fc1"},)}, "names its position"),
        ({"test": "tabulated", "selections": ({"layer": "fc1"},), "se": "index"}, "takes one row"),
    ],
)
def test_what_a_table_does_not_hold_is_refused(viewpoint, change, message):
    with pytest.raises(InputError, match=message):
        decided(changed(JUMP, **change), viewpoint)
