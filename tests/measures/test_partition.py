"""Sets of layers whose variance is partitioned: which are refused, and what is said where there are no numbers."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from neural_data import InputError
from neurocompare.comparison.partition import partition_rdms
from neurocompare.measures.partition import Partition, _places, _undefined
from neurocompare.representations.rdms import NETWORK, build_rdms
from tests.comparison.test_layer_tests import views_of


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ({"early": ["conv1", "fc1"], "late": ["fc*"]}, "'early' and 'late' overlap: 'fc1' and 'fc\\*'"),
        ({"early": ["conv*"], "late": ["fc1", "c*"]}, "overlap"),
        ({"all": ["*"]}, "two to 4 sets"),
    ],
)
def test_sets_that_overlap_are_refused_before_anything_is_computed(sets, message):
    with pytest.raises(ValidationError, match=message):
        Partition(sets=sets)


def test_sets_that_turn_out_to_share_a_layer_are_refused():
    settings = Partition(sets={"first": ["*1"], "convolutions": ["conv*"]})
    with pytest.raises(InputError, match="conv1 in 'first' and in 'convolutions'"):
        _places(settings, ["conv1", "conv2", "fc1"])
    found = _places(Partition(sets={"early": ["conv*"], "late": ["fc*"]}), ["conv1", "conv2", "fc1"])
    assert {name: places.tolist() for name, places in found.items()} == {"early": [0, 1], "late": [2]}


def test_a_template_that_is_constant_has_no_part_and_the_reason_is_said(rng):
    patterns = views_of(6).set_index("stimulus_id")
    upper = np.triu_indices(len(patterns), 1)
    rdms = rng.random((2, len(upper[0])))
    rdms[1] = 1.0

    def made(vectors, **labels):
        return build_rdms(vectors, patterns=patterns, rdms=labels, dissimilarity="correlation")

    table = partition_rdms(
        made(rdms, model=["net"] * 2, layer=["a", "b"]),
        made(rng.random((1, len(upper[0]))), region=["AL"], subject=["m1"]),
        {"A": [0], "B": [1]},
        resample="identity",
        rng=rng,
    ).assign(**dict.fromkeys(NETWORK, "") | {"model": "net"})
    explained = table.set_index(["kind", "part"])["explained"]
    assert np.isnan(explained["alone", "B"])
    assert np.isfinite(explained["total", "A + B"])
    assert _undefined(table) == [
        "net AL m1: variance of the RDM explained by B is not known: its layers are constant over some identities"
    ]
