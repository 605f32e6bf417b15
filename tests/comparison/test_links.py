"""Links between layers and patches: their definitions, what they cannot see, and one table of all of them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rsatoolbox.rdm import compare
from scipy.linalg import orthogonal_procrustes

from neural_data.errors import InputError
from neurocompare.comparison import sampling
from neurocompare.comparison.kernel_links import debiased_cka, linear_cka, procrustes_similarity, whitened_cosine
from neurocompare.comparison.links import (
    LINK_BEST_COLUMNS,
    LINK_COLUMNS,
    LINKS,
    LinkInputs,
    compare_links,
    link_similarities,
    links_best,
)
from neurocompare.comparison.matching import infer_matching, match_units
from neurocompare.comparison.resampling import leave_out
from neurocompare.representations.kernels import feature_rdms, kernels_of_rdms
from neurocompare.representations.rdms import concat_rdms
from tests.comparison.conftest import patterns_of, rdms_of
from tests.comparison.test_encoding import trials_of
from tests.comparison.test_layer_tests import views_of


@pytest.fixture
def pair(rng):
    """Two representations of ten stimuli, centred."""
    first = rng.standard_normal((10, 6))
    second = first @ rng.standard_normal((6, 9)) + rng.standard_normal((10, 9))
    return first - first.mean(axis=0), second - second.mean(axis=0)


def kernels(pair):
    return [(values @ values.T)[None] for values in pair]


def test_cka_is_the_normalised_product_of_cross_covariances(pair):
    x, y = pair
    expected = np.linalg.norm(x.T @ y) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    assert linear_cka(*kernels(pair))[0, 0] == pytest.approx(expected)


def test_debiased_cka_equals_the_formula_of_song(pair):
    def hsic(a, b):
        a, b = (matrix - np.diag(np.diag(matrix)) for matrix in (a, b))
        n, one = len(a), np.ones(len(a))
        middle = (one @ a @ one) * (one @ b @ one) / ((n - 1) * (n - 2))
        return (np.trace(a @ b) + middle - 2 / (n - 2) * (one @ a @ b @ one)) / (n * (n - 3))

    first, second = (kernel[0] for kernel in kernels(pair))
    assert debiased_cka(first[None], second[None])[0, 0] == pytest.approx(
        hsic(first, second) / np.sqrt(hsic(first, first) * hsic(second, second))
    )


def test_debiased_cka_of_unrelated_representations_is_zero_and_cka_is_not(rng):
    values = rng.standard_normal((40, 2, 12, 100))
    values = values - values.mean(axis=2, keepdims=True)
    grams = values @ values.swapaxes(-1, -2)
    biased = np.array([linear_cka(a[None], b[None])[0, 0] for a, b in grams])
    free = np.array([debiased_cka(a[None], b[None])[0, 0] for a, b in grams])
    assert biased.mean() > 0.8
    assert abs(free.mean()) < 4 * free.std() / np.sqrt(40)


def test_procrustes_similarity_is_the_scale_of_scipy(pair):
    x, y = pair
    padded = np.pad(x, ((0, 0), (0, y.shape[1] - x.shape[1])))
    expected = orthogonal_procrustes(padded, y)[1] / (np.linalg.norm(x) * np.linalg.norm(y))
    assert procrustes_similarity(*kernels(pair))[0, 0] == pytest.approx(expected)


@pytest.mark.parametrize("compared", [linear_cka, debiased_cka, procrustes_similarity])
def test_rotated_and_scaled_representations_are_equal(compared, pair, rng):
    x = pair[0]
    rotation = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    assert compared(*kernels((x, 3 * x @ rotation)))[0, 0] == pytest.approx(1)
    assert np.isnan(compared((x @ x.T)[None], np.zeros((1, 10, 10)))).all()


def test_whitened_cosine_equals_rsatoolbox(rng):
    first, second = (rdms_of(rng.random((2, 45)), patterns_of(10, 1), name=["a", "b"]) for _ in range(2))
    noise = rng.uniform(0.5, 2, 10)
    expected = compare(first, second, "cosine_cov", sigma_k=np.diag(noise))
    found = whitened_cosine(first.get_matrices(), second.get_matrices(), noise)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_units_are_matched_one_to_one(rng):
    units = rng.standard_normal((50, 8))
    order = rng.permutation(8)[:5]
    neurons = 2 * units[:, order] + 0.1 * rng.standard_normal((50, 5))
    assert match_units(units, neurons).tolist() == order.tolist()
    assert sorted(match_units(units[:, :3], neurons)) == [-1, -1, *sorted(match_units(units[:, :3], neurons))[2:]]


@pytest.fixture(scope="module")
def compared():
    """Two layers and a patch whose neurons are single units of the first; and the same layers, rotated."""
    rng = np.random.default_rng(4)
    patterns = views_of(10).set_index("stimulus_id")
    identity = np.repeat(rng.standard_normal((10, 24)), 3, axis=0)
    layers = {"own": identity + rng.standard_normal((30, 24)), "other": rng.standard_normal((30, 24))}
    layers["turned"] = layers["own"] @ np.linalg.qr(rng.standard_normal((24, 24)))[0]
    recording = trials_of(layers["own"][:, :12], 0.6, 4, patterns, rng)
    distances = feature_rdms(layers, patterns, normalize=None)
    inputs = LinkInputs(distances=distances, rdms=distances, features=layers)
    table, notes = compare_links(inputs, recording, rng=np.random.default_rng(1))
    return inputs, recording, table, notes


def test_every_link_finds_the_layer_and_only_matching_sees_its_axes(compared):
    _, _, table, notes = compared
    assert not notes
    assert tuple(table.columns) == LINK_COLUMNS
    assert list(table["link"].drop_duplicates()) == list(LINKS)
    wide = table.pivot(index="link", columns="layer", values="similarity")
    assert (wide["own"] > wide["other"]).all()
    geometry = wide.drop(index="matching")
    np.testing.assert_allclose(geometry["own"], geometry["turned"], atol=1e-6)
    assert wide.loc["matching", "own"] > wide.loc["matching", "turned"] + 0.2
    assert (table["ci_low"] < table["similarity"]).all()
    assert (table["similarity"] < table["ci_high"]).all()


def test_best_layers_of_links_are_compared(compared):
    best = links_best(compared[2])
    assert tuple(best.columns) == LINK_BEST_COLUMNS
    assert set(best["layer"]) <= {"own", "turned"}
    assert (best["network_place"] == 1).all()
    row = best.set_index("link").loc["matching"]
    assert (row["layer"], row["layer_set"], row["agreement"]) == ("own", "own", 1.0)


def test_a_link_alone_is_what_it_is_in_the_panel(compared):
    inputs, recording, table, _ = compared
    alone, _ = compare_links(inputs, recording, ["cka"], rng=np.random.default_rng(1))
    shown = table[table["link"] == "cka"].reset_index(drop=True)
    np.testing.assert_allclose(alone["se"], shown["se"])
    kernel = kernels_of_rdms(inputs.distances)
    responses = recording.values.reshape(4, 30, 12).mean(axis=0)
    responses = responses - responses.mean(axis=0)
    np.testing.assert_allclose(alone["similarity"], linear_cka(kernel, (responses @ responses.T)[None])[:, 0])


def test_links_that_lack_something_are_left_out_and_named(compared):
    inputs, recording, _, _ = compared
    responses = {"AL": recording.values.reshape(4, 30, 12).mean(axis=0)}
    without = LinkInputs(inputs.distances, inputs.rdms)
    table, notes = compare_links(without, responses, ["corr", "whitened", "matching"], rng=np.random.default_rng(1))
    assert set(table["link"]) == {"corr"}
    assert [note.rpartition(": ")[2] for note in notes] == [
        "it needs repeated trials of all neurons",
        "it needs the units of the layers",
    ]
    silent = trials_of(responses["AL"], 0.0, 3, views_of(10).set_index("stimulus_id"), np.random.default_rng(1))
    table, notes = compare_links(without, silent, ["cka", "whitened"], rng=np.random.default_rng(1))
    assert set(table["link"]) == {"cka"}
    assert notes[0].endswith("it needs 4 neurons whose trials differ; there are 0")
    with pytest.raises(InputError, match="none of the links"):
        compare_links(without, responses, ["matching"], rng=np.random.default_rng(1))
    with pytest.raises(InputError, match="did you mean 'cka'"):
        compare_links(inputs, recording, ["ckaa"], rng=np.random.default_rng(1))
    with pytest.raises(InputError, match="normalize must be one of 'zscore', None; got 'z'"):
        compare_links(inputs, recording, ["cka"], normalize="z", rng=np.random.default_rng(1))


def test_neurons_count_alike_where_they_are_z_scored(compared):
    inputs, recording, _, _ = compared
    responses = recording.values.reshape(4, 30, 12).mean(axis=0)
    scaled = responses * np.geomspace(0.1, 10, 12)
    found = [
        compare_links(inputs, {"AL": values}, ["corr", "cka"], normalize="zscore", rng=np.random.default_rng(1))[0]
        for values in (responses, scaled)
    ]
    np.testing.assert_allclose(found[0]["similarity"], found[1]["similarity"])
    z = (responses - responses.mean(axis=0)) / responses.std(axis=0)
    of_cka = found[1].loc[found[1]["link"] == "cka", "similarity"]
    np.testing.assert_allclose(of_cka, linear_cka(kernels_of_rdms(inputs.distances), (z @ z.T)[None])[:, 0])


def test_units_of_two_networks_are_not_mistaken_for_each_other(compared):
    inputs, recording, _, _ = compared
    two = concat_rdms([inputs.distances, inputs.distances])
    with pytest.raises(InputError, match="two RDMs are of a layer 'own'"):
        infer_matching(inputs.features, recording, two, rng=np.random.default_rng(1))


def test_no_link_has_a_best_layer_where_none_is_defined(compared):
    best = links_best(compared[2].assign(similarity=np.nan))
    assert (len(best), tuple(best.columns)) == (0, LINK_BEST_COLUMNS)


@pytest.fixture(scope="module")
def many():
    """More identities and neurons than parts, so that they are dealt out to parts at random."""
    rng = np.random.default_rng(5)
    patterns = views_of(52).set_index("stimulus_id")
    patterns = patterns[patterns["azimuth_deg"] >= 0]
    layers = {name: rng.standard_normal((len(patterns), 12)) for name in ("first", "second")}
    recording = trials_of(layers["first"] @ rng.standard_normal((12, 32)), 1.0, 2, patterns, rng)
    distances = feature_rdms(layers, patterns, normalize=None)
    return LinkInputs(distances=distances, rdms=distances, features=layers), recording


def test_all_links_leave_out_the_same_identities_and_neurons(many, monkeypatch):
    inputs, recording = many
    found: dict[str, list[tuple[int, bytes]]] = {}

    def spied(n_units, n_parts, *, rng):
        kept, shares = leave_out(n_units, n_parts, rng=rng)
        found[link].append((n_units, kept.tobytes()))
        return kept, shares

    monkeypatch.setattr(sampling, "leave_out", spied)
    for link in LINKS:
        found[link] = []
        table, _ = compare_links(inputs, recording, [link], rng=np.random.default_rng(1))
        assert set(table["link"]) == {link}
    wanted = found["corr"]
    assert [n for n, _ in wanted] == [52, 32]
    assert all(parts == wanted for parts in found.values())
    # Another seed deals them out otherwise.
    link = "other"
    found[link] = []
    compare_links(inputs, recording, ["corr"], rng=np.random.default_rng(2))
    assert found["other"] != wanted


def test_similarities_without_uncertainty_are_those_with_it(compared, monkeypatch):
    inputs, recording, table, _ = compared

    def refused(*_arguments, **_options):
        raise AssertionError("nothing is left out where only similarities are wanted")

    monkeypatch.setattr(sampling, "leave_out", refused)
    alone = link_similarities(inputs, recording, rng=np.random.default_rng(1))
    columns = list(alone.columns)
    assert columns[-1] == "similarity"
    pd.testing.assert_frame_equal(alone, table[columns], check_dtype=False)


def test_parts_that_are_left_out_are_made_in_one_place():
    room = Path(sampling.__file__).parent
    makers = {path.name for path in room.glob("*.py") if re.search(r"\bleave_out\(", path.read_text(encoding="utf-8"))}
    assert makers == {"resampling.py", "sampling.py"}
