"""Even and odd trends of image statistics over views, and the index that they alone would give."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neural_data import InputError, StimulusSet
from neurocompare.representations.image_trends import (
    image_statistics,
    index_beyond_trends,
    split_image_trends,
    trend_rdms,
)
from neurocompare.representations.rdms import build_rdms
from neurocompare.representations.viewpoint import mirror_symmetry_index

AZIMUTHS = np.array([-90.0, -45.0, 0.0, 45.0, 90.0])
N = 4


@pytest.fixture(scope="module")
def stimuli() -> StimulusSet:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        [(f"s{k}_{a:g}", f"s{k}_{a:g}.png", "face", f"face{k}", a, 0.0) for k in range(N) for a in AZIMUTHS],
        columns=["stimulus_id", "filename", "category", "identity", "azimuth_deg", "elevation_deg"],
    ).set_index("stimulus_id")
    right = rng.integers(0, 255, (N, 3, 16, 16), dtype=np.uint8)
    right[:, 0, :, 8:] = right[:, 0, :, 7::-1]  # the frontal view is its own mirror image
    pixels = np.concatenate([right[:, :0:-1, :, ::-1], right], axis=1).reshape(-1, 16, 16)
    return StimulusSet(table, pixels=pixels, name="noise")


def over(stimuli: StimulusSet, **functions) -> pd.DataFrame:
    """Statistics that are known functions of azimuth and of the number of the identity."""
    azimuth = stimuli.table["azimuth_deg"].to_numpy()
    number = stimuli.table["identity"].str[4:].astype(int).to_numpy()
    return pd.DataFrame({name: f(azimuth / 90, number) for name, f in functions.items()}, index=stimuli.table.index)


def test_even_and_odd_functions_of_azimuth_are_split_exactly(stimuli):
    statistics = over(
        stimuli,
        even=lambda a, k: (1 + k) * a**2,
        odd=lambda a, _k: a,
        both=lambda a, k: a**2 + a + k,
        flat=lambda _a, k: 3.0 + k,
    )
    table = split_image_trends(statistics, stimuli).set_index("statistic")
    even, odd = np.var([1, 0.25, 0, 0.25, 1]), np.var([-1, -0.5, 0, 0.5, 1])
    assert table.loc["even", "even_share"] == pytest.approx(1)
    assert table.loc["odd", "even_share"] == pytest.approx(0)
    assert table.loc["both", "even_share"] == pytest.approx(even / (even + odd))
    assert table.loc["both", ["ci_low", "ci_high"]].to_list() == pytest.approx([even / (even + odd)] * 2)
    assert table.loc["even", "even_sd"] == pytest.approx(2.5 * even**0.5)
    assert table.loc["odd", "odd_sd"] == pytest.approx(odd**0.5)
    assert table.loc["flat", ["n", "n_undefined"]].to_list() == [0, N]
    assert np.isnan(table.loc["flat", "even_share"])


def test_an_even_statistic_alone_gives_the_index_1_and_an_odd_one_a_negative_index(stimuli):
    statistics = over(stimuli, even=lambda a, k: a**2 + k, odd=lambda a, k: a + k)
    table = split_image_trends(statistics, stimuli).set_index("statistic")
    assert table.loc["even", "index"] == pytest.approx(1)
    difference = (AZIMUTHS[:, None] - AZIMUTHS) ** 2
    assert table.loc["odd", "index"] == pytest.approx(mirror_symmetry_index(difference))
    assert table.loc["odd", "index"] < 0
    scored = statistics / statistics.std(ddof=0)
    first = scored.to_numpy()[:5]
    together = ((first[:, None] - first) ** 2).mean(axis=2)
    np.testing.assert_allclose(trend_rdms(statistics, stimuli).get_matrices()[0], together, atol=1e-12)
    assert -1 < table.loc["odd", "index"] < table.loc["all", "index"] < 1


def test_the_interval_is_that_of_t_over_identities(stimuli):
    """Shares 1, 1, 0 and 0: mean 0.5, standard error 1 / sqrt(12), t(3) = 3.1824."""
    table = split_image_trends(over(stimuli, some=lambda a, k: np.where(k < 2, a**2, a)), stimuli)
    row = table.set_index("statistic").loc["some"]
    assert row["even_share"] == pytest.approx(0.5)
    assert row["ci_low"] == pytest.approx(max(0.5 - 3.182446 / 12**0.5, 0), abs=1e-6)


def test_statistics_of_exact_mirror_images_are_even_except_the_place_of_the_symmetry_plane(stimuli):
    table = split_image_trends(image_statistics(stimuli, image_size_px=16), stimuli).set_index("statistic")
    for name in ("mean", "contrast", "spectral_slope", "image_symmetry"):
        assert table.loc[name, "even_share"] == pytest.approx(1, abs=1e-6)
    assert table.loc["symmetry_position", "even_share"] < 0.2
    assert table.loc["foreground_share", "n_undefined"] == N


def layers(stimuli: StimulusSet, matrices: dict[str, np.ndarray]):
    """View RDMs of layers, given one stack of matrices each."""
    names = [f"face{k}" for k in range(N)]
    table = {"layer": np.repeat(list(matrices), N), "identity": names * len(matrices), "category": ["face"] * N}
    table["category"] = ["face"] * (N * len(matrices))
    return build_rdms(
        np.concatenate(list(matrices.values())),
        patterns=pd.DataFrame({"azimuth_deg": AZIMUTHS}),
        rdms={name: list(values) for name, values in table.items()},
        dissimilarity="correlation",
    )


def test_partialling_leaves_the_index_of_what_the_statistics_do_not_explain(stimuli):
    """A layer that is the statistics' RDM twice is explained whole; one of odd code besides keeps the odd code."""
    trends = trend_rdms(over(stimuli, even=lambda a, k: a**2 + k), stimuli)
    alone = trends.get_matrices()
    rows, columns = np.triu_indices(5, 1)
    code = np.abs(AZIMUTHS[:, None] - AZIMUTHS) / 90
    # Made orthogonal to the trend over pairs, so that the regression leaves it as it is.
    pairs, trend = code[rows, columns], alone[0][rows, columns]
    centred = trend - trend.mean()
    pairs = pairs - centred * ((pairs - pairs.mean()) @ centred) / (centred @ centred)
    code = np.zeros((5, 5))
    code[rows, columns] = code[columns, rows] = pairs
    table = index_beyond_trends(layers(stimuli, {"follows": 2 * alone, "both": 3 * alone + code}), trends)
    found = table.set_index(["layer", "measure"])
    assert found.loc[("follows", "index"), "mean"] == pytest.approx(1)
    assert found.loc[("follows", "index"), "explained"] == pytest.approx(1)
    assert found.loc[("follows", "index_left"), "n_undefined"] == N
    assert found.loc[("both", "index_of_trends"), "mean"] == pytest.approx(1)
    assert found.loc[("both", "index_left"), "mean"] == pytest.approx(mirror_symmetry_index(code))
    assert found.loc[("both", "index_left"), "mean"] < found.loc[("both", "index"), "mean"]
    assert table["layer"].tolist() == ["follows"] * 3 + ["both"] * 3


def test_a_trend_that_runs_the_other_way_is_not_added(stimuli):
    trends = trend_rdms(over(stimuli, even=lambda a, k: a**2 + k), stimuli)
    opposite = trends.get_matrices().max() - trends.get_matrices()
    opposite[:, range(5), range(5)] = 0
    found = index_beyond_trends(layers(stimuli, {"opposite": opposite}), trends).set_index("measure")
    assert found.loc["index_left", "mean"] == pytest.approx(found.loc["index", "mean"])
    assert found["explained"].eq(0).all()


def test_matched_luminance_does_not_count_though_its_rounding_varies(stimuli):
    statistics = over(stimuli, mean=lambda a, _k: 0.5 + 0.001 * a, slope=lambda a, _k: 0.001 * a)
    assert trend_rdms(statistics, stimuli).rdm_descriptors["layer"][0] == "slope"


def test_other_stimuli_and_missing_statistics_are_refused(stimuli):
    statistics = over(stimuli, even=lambda a, k: a**2 + k)
    with pytest.raises(InputError, match="1 of 20 stimuli have no image statistics"):
        split_image_trends(statistics.iloc[1:], stimuli)
    with pytest.raises(InputError, match="no image statistic is known for all images and varies"):
        trend_rdms(over(stimuli, flat=lambda a, _k: 0 * a), stimuli)
    trends = trend_rdms(statistics, stimuli)
    rdms = layers(stimuli, {"one": trends.get_matrices()})
    with pytest.raises(InputError, match="no image statistics of 'face3'"):
        index_beyond_trends(rdms, trends.subset("identity", ["face0", "face1", "face2"]))
