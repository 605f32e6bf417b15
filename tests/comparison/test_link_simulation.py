"""Simulated links: neurons follow from units as they say, and measures find the layer that made them."""

from __future__ import annotations

import numpy as np
import pytest

from neural_data.errors import InputError
from neurocompare.comparison.link_simulation import RECOVERY_COLUMNS, SIMULATED_LINKS, Simulation, recover_layers
from tests.comparison.test_layer_tests import views_of

FEW = Simulation(n_neurons=12, n_repetitions=2, noise=0.3, n_experiments=1)


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(6)
    identity = np.repeat(rng.standard_normal((8, 30)), 3, axis=0)
    return {name: identity + rng.standard_normal((24, 30)) for name in ("early", "late")}


def test_signals_are_what_their_names_say(features, rng):
    scores = features["early"] - features["early"].mean(axis=0)
    linear = SIMULATED_LINKS["linear"].signal(scores, 40, rng)
    basis = np.linalg.qr(scores)[0]
    np.testing.assert_allclose(basis @ (basis.T @ linear), linear, atol=1e-9)
    permuted = SIMULATED_LINKS["permuted"].signal(scores, 10, rng)
    places = [int(np.flatnonzero((scores == neuron[:, None]).all(axis=0))[0]) for neuron in permuted.T]
    assert len(set(places)) == 10
    monotone = SIMULATED_LINKS["monotone"].signal(scores, 40, np.random.default_rng(1))
    drive = SIMULATED_LINKS["linear"].signal(scores, 40, np.random.default_rng(1))
    assert (np.argsort(monotone, axis=0) == np.argsort(drive, axis=0)).all()


def test_the_generating_layer_is_found_where_the_noise_is_small(features):
    patterns = views_of(8).set_index("stimulus_id")
    table = recover_layers(
        features, patterns, FEW, links=["corr", "cka", "encoding", "matching"], rng=np.random.default_rng(2)
    )
    assert tuple(table.columns) == RECOVERY_COLUMNS
    assert len(table) == 3 * 2 * 4
    assert (table["n"] == 1).all()
    assert ((table["found"] == 1) == (table["depth_error"] == 0)).all()
    of_links = table.groupby(["simulated_link", "link"])["found"].mean()
    assert of_links["permuted", "matching"] == 1
    assert (of_links["linear"] == 1).all()


def test_without_signal_from_a_layer_there_is_no_experiment(features, rng):
    patterns = views_of(8).set_index("stimulus_id")
    with pytest.raises(InputError, match="did you mean 'monotone'"):
        recover_layers(features, patterns, FEW, kinds=["monoton"], rng=rng)
    with pytest.raises(InputError, match="at least two"):
        recover_layers({"early": features["early"]}, patterns, FEW, rng=rng)
    with pytest.raises(InputError, match="no unit of layer 'flat' varies"):
        recover_layers({**features, "flat": np.ones((24, 3))}, patterns, FEW, kinds=["linear"], links=["cka"], rng=rng)
    with pytest.raises(InputError, match="at least 4 neurons"):
        Simulation(n_neurons=2)
