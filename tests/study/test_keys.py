"""Keys of steps hold all that results depend on: what tables call networks, attributes of recordings and RDMs."""

from __future__ import annotations

import numpy as np
import pytest

from neural_data import simulate_patches
from neurocompare.measures import MEASURES
from neurocompare.measures.declaration import needs_of
from neurocompare.representations.rdms import build_rdms
from neurocompare.study.grammar import load_study
from neurocompare.study.planning import make_plan, rdms_checksum, recording_checksum
from tests.study.test_training_runs import write_images


@pytest.fixture
def studies(small_study):
    """A study of trained networks that measures all there is, and two that call them otherwise."""
    write_images(small_study.parent / "sides.parquet", 40)
    training = {"dataset": str(small_study.parent / "sides.parquet"), "epochs": 1, "keep_epochs": [0, 1]}
    first = {"name": "cnn-small", "layers": ["conv4", "fc1"], "regime": "one", "training": training}
    second = {"name": "cnn-small", "layers": ["conv4", "fc1"], "regime": "other"}
    outputs = {key: True for key, measure in MEASURES.items() if measure.optional}
    changes = ({}, {"called": "mine"}, {"regime": "a label"})
    return [
        load_study(small_study, {"models": [{**first, **change}, second], "outputs": outputs, "recording.bin_ms": 50})
        for change in changes
    ]


def names_networks(measure) -> bool:
    return any("model" in table.names for table in measure.all_tables)


def test_what_tables_call_a_network_is_part_of_every_key_of_a_table_that_names_it(studies):
    plain, *others = (make_plan(study) for study in studies)
    assert {planned.measure.key for planned in plain.measures} == {
        key for key, measure in MEASURES.items() if measure.compute is not None and key != "hypotheses"
    }
    tables = {table.name for measure in MEASURES.values() if names_networks(measure) for table in measure.all_tables}
    for other in others:
        for before, after in zip(plain.measures, other.measures, strict=True):
            if names_networks(before.measure):
                assert before.steps[0].key != after.steps[0].key, before.measure.key
        drawn = {figure.drawing.name: figure.step.key for figure in other.figures}
        for figure in plain.figures:
            if tables & needs_of(figure.drawing.draw).keys():
                assert figure.step.key != drawn.get(figure.drawing.name), figure.drawing.name
        assert plain.trainings[0].training.key == other.trainings[0].training.key, "a name trains nothing again"


@pytest.mark.parametrize("changed", [{"units": "counts"}, {"window_ms": [50, 150]}, {"simulated": 0}])
def test_what_a_recording_says_of_itself_is_part_of_its_key(faces, changed):
    recording = simulate_patches(faces, ("AL",), 8, 2, rng=np.random.default_rng(0))
    again = recording.copy(deep=True)
    assert recording_checksum(again) == recording_checksum(recording)
    assert recording_checksum(again.assign_attrs(changed)) != recording_checksum(recording)


def test_the_dissimilarity_of_rdms_is_part_of_their_key(faces, rng):
    pairs = rng.random((1, len(faces) * (len(faces) - 1) // 2))
    first, again, other = (
        build_rdms(pairs, patterns=faces.table, rdms={"region": ["IT"]}, dissimilarity=name)
        for name in ("correlation", "correlation", "euclidean")
    )
    assert rdms_checksum(first) == rdms_checksum(again) != rdms_checksum(other)
