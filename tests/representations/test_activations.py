"""Streaming: what is handed over, in which order, within which memory, and what happens when memory runs out."""

from __future__ import annotations

import json
import logging
import re

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file
from torch import nn

from neural_data import InputError, StimulusSet
from neurocompare.models.registry import Network, Preprocessing, load_model
from neurocompare.representations.activations import (
    Presentation,
    held_blocks,
    images_at_once,
    plan_passes,
    resolve_layers,
    save_activations,
    stream_responses,
    unit_blocks,
)
from neurocompare.representations.model_rdms import compute_model_rdms
from neurocompare.stimuli.transforms import mirror
from tests.models import architectures


@pytest.fixture
def network():
    return load_model("cnn-small", seed=1)


def collected(network, stimuli, layers, **options):
    kept = {}

    def receive(layer, rows, responses):
        kept.setdefault(layer.name, []).append((rows, responses.clone()))

    stream_responses(network, stimuli, network.select(layers), receive, **options)
    return kept


def test_blocks_stay_within_the_budget_and_cover_every_unit_once(network, faces):
    units = dict.fromkeys(["conv1", "fc1"], 0)
    for layer, block in unit_blocks(network, faces, ["conv1", "fc1"], memory_mb=0.5):
        assert block.nbytes <= 0.5e6
        units[layer] += block.shape[1]
    assert units == {"conv1": 32 * 32 * 32, "fc1": 256}


def test_the_pass_that_ends_earliest_takes_what_is_left_over_and_all_others_are_full(network):
    layers = network.select(["conv4", "fc1", "fc2"])
    passes = plan_passes(layers, bytes_a_unit=1000, memory_mb=20)
    assert [[(b.layer.name, b.start, b.stop) for b in blocks] for blocks in passes] == [
        [("conv4", 0, 13_280)],
        [("conv4", 13_280, 32_768), ("fc1", 0, 256), ("fc2", 0, 256)],
    ]


def test_no_room_for_what_is_held_is_said_with_the_way_out(network, faces, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8000000000 bytes")

    monkeypatch.setattr(torch, "empty", refuse)
    with pytest.raises(
        InputError, match=r"cannot allocate .* MB for responses; lower the budget \(memory_mb, now 64\)"
    ):
        next(held_blocks(network, faces, network.select("fc1"), presentation=Presentation(memory_mb=64)))


def test_blocks_that_a_caller_keeps_are_not_written_over(network, faces):
    kept = list(unit_blocks(network, faces, "conv1", memory_mb=0.5))
    (_, whole), *_ = unit_blocks(network, faces, "conv1")
    assert len(kept) > 2
    np.testing.assert_array_equal(np.concatenate([block for _, block in kept], axis=1), whole)


def test_a_pass_ends_at_its_last_layer(network, faces):
    ran = []
    network.outputs  # noqa: B018 - found by a whole pass, once
    network.module.fc1.register_forward_hook(lambda *_: ran.append("fc1"))
    list(unit_blocks(network, faces, ["conv1", "conv2"]))
    assert ran == []
    list(unit_blocks(network, faces, "fc1"))
    assert ran == ["fc1"]


def test_an_in_place_activation_does_not_change_the_layer_before_it(faces):
    blocks = dict(unit_blocks(architectures.network("in place"), faces, ["1", "2"]))
    assert (blocks["1"] < 0).any()
    np.testing.assert_array_equal(np.maximum(blocks["1"], 0), blocks["2"])


def test_every_call_of_a_module_is_a_layer_of_its_own(faces):
    blocks = dict(unit_blocks(architectures.network("recurrent"), faces, ["relu", "relu:2", "relu:3"]))
    assert not np.allclose(blocks["relu"], blocks["relu:2"])
    assert not np.allclose(blocks["relu:2"], blocks["relu:3"])


def test_mirrored_images_ride_along(network, faces):
    seen = collected(network, faces, ["pool1"], batch_size=16, mirrored=True)["pool1"]
    assert [(rows.start, rows.stop) for rows, _ in seen] == [(0, 16), (16, 30)]
    responses = torch.cat([part for _, part in seen], dim=1)
    alone = faces.with_transform(mirror)
    for position, stimuli in enumerate([faces, alone]):
        (_, expected), *_ = unit_blocks(network, stimuli, "pool1")
        np.testing.assert_allclose(responses[position], expected, atol=1e-5)


def test_layers_are_resolved_by_name_and_pattern_in_execution_order(network):
    assert resolve_layers(network, ["fc1", "conv*"]) == ["conv1", "conv2", "conv3", "conv4", "fc1"]
    assert resolve_layers(network, "all")[-1] == "fc3"
    with pytest.raises(InputError, match="did you mean 'fc3'"):
        resolve_layers(network, ["fc33"])


def test_no_hook_is_left_behind_even_after_an_error(network, faces):
    def fail(*_):
        raise KeyError("told to")

    with pytest.raises(KeyError):
        stream_responses(network, faces, network.select("conv*"), fail)
    assert not any(part._forward_hooks for part in network.module.modules())


def test_layers_that_depend_on_the_images_are_refused(faces):
    class Moody(nn.Module):
        def __init__(self):
            super().__init__()
            self.bright, self.dark = nn.ReLU(), nn.Tanh()

        def forward(self, x):
            return self.bright(x) if x.mean() > 1 else self.dark(x)

    network = Network("moody", Moody().eval(), Preprocessing(size=12, mean=(0.0,) * 3))
    assert network.layer_names() == ["bright"]  # the noise that networks are looked at with is bright
    black = faces.with_pixels(np.zeros((len(faces), 12, 12), np.uint8))
    with pytest.raises(InputError, match="layer 'bright' is not computed for every image"):
        compute_model_rdms(network, black, "bright")


class Hungry(nn.Module):
    """Fails like a full device from some number of images on."""

    def __init__(self, most: int, message: str = "CUDA out of memory. Tried to allocate 2 GiB"):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3), nn.ReLU()
        self.most, self.message = most, message

    def forward(self, x):
        x = self.first(x)
        if len(x) > self.most:
            raise RuntimeError(self.message)
        return self.last(x)


@pytest.mark.parametrize("memory_mb", [1024, 0.02])
def test_out_of_memory_goes_on_with_a_smaller_batch_and_the_same_result(faces, caplog, memory_mb):
    torch.manual_seed(0)
    hungry = Network("hungry", Hungry(10**6).eval(), Preprocessing(size=12))
    options = {"layers": ["first", "last"], "within": "identity", "memory_mb": memory_mb, "batch_size": 30}
    expected = compute_model_rdms(hungry, faces, **options)
    hungry.outputs  # noqa: B018 - found while there is memory
    hungry.module.most = 7
    with caplog.at_level(logging.WARNING):
        found = compute_model_rdms(hungry, faces, **options)
    warnings = [record.getMessage() for record in caplog.records if "out of memory" in record.getMessage()]
    assert [re.search(r"with (\d+) images per batch \(memory_mb", warning)[1] for warning in warnings] == ["15", "7"]
    np.testing.assert_allclose(found.dissimilarities, expected.dissimilarities, atol=1e-6)


@pytest.mark.parametrize("message", ["CUDA out of memory", "DefaultCPUAllocator: can't allocate memory: 9 bytes"])
def test_out_of_memory_with_one_image_names_the_budget(faces, message):
    module = Hungry(10**6, message).eval()
    hungry = Network("hungry", module, Preprocessing(size=12))
    hungry.outputs  # noqa: B018
    module.most = 0
    with pytest.raises(InputError, match=r"even with one image at a time; lower the budget.*memory_mb, now 64"):
        compute_model_rdms(hungry, faces, memory_mb=64)


def test_other_errors_of_a_network_come_through_as_they_are(faces):
    module = Hungry(10**6, "shapes do not match").eval()
    hungry = Network("hungry", module, Preprocessing(size=12))
    hungry.outputs  # noqa: B018
    module.most = 3
    with pytest.raises(RuntimeError, match="shapes do not match"):
        compute_model_rdms(hungry, faces)


def test_activations_on_disk_are_those_of_the_network(network, faces, tmp_path):
    path = save_activations(network, faces, tmp_path / "new" / "responses.safetensors", ["conv4", "fc2"], batch_size=7)
    on_disk = load_file(path)
    assert on_disk["conv4"].shape == (30, 128, 16, 16)
    for layer, block in unit_blocks(network, faces, ["conv4", "fc2"], batch_size=7):
        np.testing.assert_array_equal(on_disk[layer].reshape(30, -1), block)
    with safe_open(path, "np") as file:
        assert json.loads(file.metadata()["stimulus_id"]) == faces.ids
        assert file.metadata()["model"] == "cnn-small"
    assert [p.name for p in path.parent.iterdir()] == ["responses.safetensors"]


def test_activations_in_half_precision_are_written_as_such(faces, tmp_path):
    network = load_model("cnn-small", precision="bfloat16")
    path = save_activations(network, faces, tmp_path / "responses.safetensors", "fc1")
    with safe_open(path, "pt") as file:
        assert file.get_tensor("fc1").dtype == torch.bfloat16


def test_a_failed_write_leaves_no_file(faces, tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())
    nn.init.constant_(module[0].weight, torch.inf)
    network = Network("broken", module.eval(), Preprocessing(size=12))
    with pytest.raises(InputError, match="not a finite number"):
        save_activations(network, faces, tmp_path / "responses.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_images_of_mixed_sizes_are_resized_to_what_the_network_takes(tmp_path, network):
    sides = {"a": 12, "b": 20, "c": 33}
    for name, side in sides.items():
        pixels = np.random.default_rng(side).integers(0, 256, (side, side + 1), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    rows = {"filename": [f"{name}.png" for name in sides], "identity": "x", "azimuth_deg": [-30.0, 0.0, 30.0]}
    table = pd.DataFrame(rows, index=pd.Index(sides, name="stimulus_id"))
    rdms = compute_model_rdms(network, StimulusSet(table, files=tmp_path), "fc1")
    assert np.isfinite(rdms.dissimilarities).all()


def test_batches_on_a_processor_keep_the_largest_map_small(faces):
    class Wide(nn.Module):
        def __init__(self):
            super().__init__()
            self.widen, self.narrow = nn.Conv2d(3, 500, 3), nn.Conv2d(500, 1, 3)

        def forward(self, images):
            return self.narrow(self.widen(images)).flatten(1)

    wide = Network("wide", Wide().eval(), preprocessing=Preprocessing(size=102))
    # 500 maps of 100 x 100 in float32: 20 MB an image.
    assert images_at_once(wide, 64) == images_at_once(wide, 64, copies=2) == 1
    small = Network(
        "small", nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten()).eval(), preprocessing=Preprocessing(size=102)
    )
    assert [images_at_once(small, n) for n in (64, 1000)] == [64, 100]
    assert images_at_once(small, 1000, copies=2) == 50
    sizes = []
    wide.module.widen.register_forward_hook(lambda _part, inputs, _output: sizes.append(len(inputs[0])))
    next(unit_blocks(wide, faces, ["narrow"]))
    assert set(sizes) == {1}


def test_a_network_of_one_image_and_few_numbers_has_a_batch_size():
    class One(nn.Module):
        def forward(self, images):
            if len(images) != 1:
                raise ValueError("one image at a time")
            return images.mean(dim=(2, 3))[:, :2]

    network = Network("one", One().eval(), preprocessing=Preprocessing(size=32))
    assert network.manner.one_at_a_time
    assert network.inspected.most_units == 2
    assert images_at_once(network, 64) == 64
