"""Training: the weights follow from recipe, images and seed, also where training was stopped."""

from __future__ import annotations

import dataclasses
import errno
import os

import numpy as np
import pytest
import torch
from torch import nn

from neural_data import InputError
from neurocompare.models.datasets import LabelledImages, Splits, apply_regime
from neurocompare.models.registry import load_model
from neurocompare.models.training import (
    STATE_NAME,
    TRAINING_COLUMNS,
    Recipe,
    _shifted,
    make_recipe,
    train_network,
    warn_of_emulation,
)

RECIPE = Recipe(3, batch_size=16, learning_rate=0.01, schedule="one-cycle", shift=1, weight_decay=1e-4)


def sides(n: int, seed: int) -> LabelledImages:
    """Noise that is brighter on the left (class 0) or on the right (class 1)."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 100, (n, 3, 32, 32), dtype=np.uint8)
    labels = np.arange(n) % 2
    images[labels == 0, :, :, :16] += 120
    images[labels == 1, :, :, 16:] += 120
    return LabelledImages(images, labels, ("left", "right"), "sides")


@pytest.fixture(scope="module")
def splits() -> Splits:
    return Splits(sides(96, 0), sides(20, 1), sides(40, 2))


@pytest.fixture(scope="module")
def trained(splits):
    return train_network("cnn-small", splits, RECIPE, seed=4, keep_epochs=[0, 2])


def equal(first, second) -> bool:
    return set(first) == set(second) and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_a_network_learns_what_can_be_learnt(splits):
    curve = train_network("cnn-small", splits, dataclasses.replace(RECIPE, epochs=5), seed=0).curve
    assert tuple(curve.columns) == TRAINING_COLUMNS
    assert curve["epoch"].tolist() == [1, 2, 3, 4, 5]
    assert curve["test_accuracy"].iloc[-1] >= 0.95
    assert curve["test_accuracy"].iloc[:-1].isna().all()
    assert curve["train_loss"].iloc[-1] < curve["train_loss"].iloc[0]


def test_what_flips_leave_no_trace_of_cannot_be_learnt(splits):
    """Left and right with half of the images flipped and the labels kept are the same."""
    parts = [apply_regime(part, "mirror-same") for part in vars(splits).values()]
    curve = train_network("cnn-small", Splits(*parts), RECIPE, seed=0).curve
    assert curve["test_accuracy"].iloc[-1] < 0.75


@pytest.mark.slow
def test_equal_seeds_give_equal_weights_and_others_do_not(splits, trained):
    assert equal(train_network("cnn-small", splits, RECIPE, seed=4).state, trained.state)
    assert not equal(train_network("cnn-small", splits, RECIPE, seed=5).state, trained.state)


def test_kept_epochs_are_the_states_of_the_way(splits, trained):
    assert sorted(trained.kept) == [0, 2]
    start = load_model("cnn-small", start="own", seed=4).module.state_dict()
    assert all(torch.equal(trained.kept[0][name], start[name]) for name in start if not name.startswith("fc3"))
    assert not equal(trained.kept[2], trained.state)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.slow
def test_a_stopped_training_goes_on_to_the_same_weights(splits, tmp_path, optimizer):
    recipe = dataclasses.replace(RECIPE, optimizer=optimizer, learning_rate=1e-3)
    whole = train_network("cnn-small", splits, recipe, seed=4, keep_epochs=[1])

    def stop(_name, share):
        if share > 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_network("cnn-small", splits, recipe, seed=4, keep_epochs=[1], folder=tmp_path, progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == [STATE_NAME]
    told = []
    again = train_network(
        "cnn-small",
        splits,
        recipe,
        seed=4,
        keep_epochs=[1],
        folder=tmp_path,
        progress=lambda _name, share: told.append(share),
    )
    assert min(told) >= 2 / 3
    assert equal(again.state, whole.state)
    assert equal(again.kept[1], whole.kept[1])
    assert again.curve.equals(whole.curve)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def stopped(splits, tmp_path):
    """Folder with the state of a training that was stopped after two epochs."""

    def stop(_name, share):
        if share > 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_network("cnn-small", splits, RECIPE, seed=4, folder=tmp_path, progress=stop)
    return tmp_path


def test_the_state_of_another_training_is_refused(splits, stopped):
    with pytest.raises(InputError, match="is the state of another training"):
        train_network("cnn-small", splits, RECIPE, seed=5, folder=stopped)
    other = dataclasses.replace(splits, train=apply_regime(splits.train, "mirror-same"))
    with pytest.raises(InputError, match="is the state of another training"):
        train_network("cnn-small", other, RECIPE, seed=4, folder=stopped)


def test_a_damaged_state_is_refused(splits, stopped):
    path = stopped / STATE_NAME
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="not a checkpoint that is safe to read"):
        train_network("cnn-small", splits, RECIPE, seed=4, folder=stopped)


@pytest.mark.slow
def test_a_full_disk_leaves_the_last_good_state(splits, tmp_path, monkeypatch):
    written = []

    def full(handle):
        written.append(handle)
        if len(written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"the disk is full; free space and try again. Earlier files are still there"):
        train_network("cnn-small", splits, RECIPE, seed=4, folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [STATE_NAME]
    monkeypatch.undo()
    told = []
    again = train_network(
        "cnn-small", splits, RECIPE, seed=4, folder=tmp_path, progress=lambda _name, share: told.append(share)
    )
    assert 1 / 3 <= min(told) < 2 / 3
    assert equal(again.state, train_network("cnn-small", splits, RECIPE, seed=4).state)


def test_mirrored_regimes_start_from_the_same_weights(splits):
    parts = {
        regime: Splits(*(apply_regime(part, regime) for part in vars(splits).values()))
        for regime in ("mirror-same", "mirror-distinct")
    }
    starts = {
        regime: train_network("cnn-small", part, dataclasses.replace(RECIPE, epochs=1), keep_epochs=[0])
        for regime, part in parts.items()
    }
    same, distinct = (starts[regime].kept[0] for regime in ("mirror-same", "mirror-distinct"))
    assert distinct["fc3.weight"].shape == (4, 256)
    assert all(torch.equal(same[name], distinct[name]) for name in same if not name.startswith("fc3"))
    network = load_model("cnn-small", weights=starts["mirror-distinct"].state)
    assert network.module.fc3.out_features == 4


def test_a_loss_that_is_no_number_is_said(splits):
    with pytest.raises(InputError, match="not finite in epoch 1; lower the learning rate"):
        train_network("cnn-small", splits, dataclasses.replace(RECIPE, learning_rate=1e8))


def test_images_of_another_size_are_refused(splits):
    small = LabelledImages(splits.train.images[..., ::2, ::2].copy(), splits.train.labels, ("l", "r"), "small")
    with pytest.raises(InputError, match="takes images of 32 pixels, but got 16"):
        train_network("cnn-small", Splits(small, small, small), RECIPE)


def no_linear() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())


def test_a_network_without_a_linear_layer_is_refused(splits):
    large = LabelledImages(np.zeros((4, 3, 224, 224), np.uint8), np.array([0, 1, 0, 1]), ("l", "r"), "large")
    with pytest.raises(InputError, match="no linear layer to give class scores"):
        train_network(f"{__name__}:no_linear", Splits(large, large, large), RECIPE)


def test_shifts_move_images_and_show_gray_behind_them(rng):
    images = rng.integers(0, 100, (50, 3, 6, 6), dtype=np.uint8)
    shifted = _shifted(images, 2, rng)
    padded = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2)), constant_values=128)
    for image, source in zip(shifted, padded, strict=True):
        places = [(y, x) for y in range(5) for x in range(5) if (source[:, y : y + 6, x : x + 6] == image).all()]
        assert len(places) == 1
    assert (shifted == 128).any()


def test_the_paper_recipes_are_those_of_the_paper():
    natural, digits = make_recipe("paper"), make_recipe("paper", "digits")
    assert (natural.optimizer, natural.epochs, natural.batch_size, natural.momentum) == ("sgd", 250, 256, 0.9)
    assert [natural.rate(epoch, 0.5) for epoch in (0, 19, 20, 40)] == [1e-3, 1e-3, 5e-4, 2.5e-4]
    assert (digits.optimizer, digits.rate(49, 0), digits.rate(50, 0)) == ("adam", 1e-5, 5e-6)
    assert make_recipe("paper", "mirror-distinct") == digits


def test_one_cycle_rises_for_a_quarter_and_falls_to_nothing():
    recipe = make_recipe("fast")
    peak = recipe.learning_rate
    rates = [recipe.rate(epoch, share) for epoch in range(recipe.epochs) for share in (0, 0.5)]
    assert rates[0] == pytest.approx(peak / 25)
    assert max(rates) == rates[6] == pytest.approx(peak)
    assert recipe.rate(recipe.epochs - 1, 1) == pytest.approx(0, abs=1e-12)
    assert recipe.epochs * 20 <= make_recipe("paper").epochs


def test_impossible_recipes_are_refused():
    with pytest.raises(InputError, match="did you mean 'paper'"):
        make_recipe("papr")
    with pytest.raises(InputError, match="epochs is 0; it must be positive"):
        make_recipe("fast", epochs=0)
    with pytest.raises(InputError, match="did you mean 'bfloat16'"):
        make_recipe("fast", precision="bfloat1")
    with pytest.raises(InputError, match=r"dropout is 1.0; it must be at least 0 and under 1"):
        make_recipe("fast", dropout=1.0)
    with pytest.raises(InputError, match="shift is -1; it must be 0 pixels or more"):
        make_recipe("fast", shift=-1)
    for wrong in (-1.0, float("nan")):
        with pytest.raises(InputError, match=r"weight_decay is .*; it must be 0 or more"):
            make_recipe("fast", weight_decay=wrong)


def test_a_shift_out_of_the_image_is_refused(splits):
    with pytest.raises(InputError, match="shift is 32 pixels of 32, which can move objects out of the image"):
        train_network("cnn-small", splits, dataclasses.replace(RECIPE, shift=32))


@pytest.mark.slow
def test_dropout_of_the_recipe_is_that_of_training_and_none_is_that_of_the_network(splits):
    own, same, without = (
        train_network("cnn-small", splits, dataclasses.replace(RECIPE, epochs=1, dropout=dropout)).state
        for dropout in (None, 0.5, 0.0)
    )
    assert all(torch.equal(own[name], same[name]) for name in own)
    assert not torch.equal(own["fc3.weight"], without["fc3.weight"])


def test_changes_of_a_recipe_leave_the_rest_of_it():
    recipe = make_recipe("fast", epochs=3, learning_rate=0.02, dropout=0.5, shift=None)
    assert recipe == dataclasses.replace(make_recipe("fast"), epochs=3, learning_rate=0.02, dropout=0.5)


@pytest.mark.slow
def test_bfloat16_gives_float32_weights_close_to_those_of_float32():
    """A few images: where the processor emulates bfloat16, one takes a second."""
    few = Splits(sides(8, 0), sides(2, 1), sides(2, 2))
    recipes = [
        Recipe(1, batch_size=4, learning_rate=0.01, precision=precision) for precision in ("float32", "bfloat16")
    ]
    exact, rounded = (train_network("cnn-small", few, recipe).state for recipe in recipes)
    assert {value.dtype for value in rounded.values()} == {torch.float32, torch.int64}
    assert not equal(exact, rounded)
    for name, value in exact.items():
        if value.is_floating_point():
            assert (rounded[name] - value).norm() < 0.1 * value.norm() + 0.01, name


@pytest.mark.parametrize(
    ("capability", "precision", "said"),
    [
        ("AVX2", "bfloat16", True),
        ("AVX512", "bfloat16", False),
        ("AVX2", "float32", False),
    ],
)
def test_bfloat16_is_warned_of_where_it_is_emulated(capability, precision, said, caplog, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    warn_of_emulation(Recipe(1, precision=precision), torch.device("cpu"))
    assert ("does not multiply" in caplog.text) == said


def test_a_recipe_gives_what_it_gave(trained):
    """Where this fails, weights changed that studies have kept: raise ``TRAINING_VERSION``, then this number.

    Processors differ by 0.2 % in the first epoch (and by 7 % in the second); another seed, shift, dropout or batch size
    changes it by 15 % and more.
    """
    assert trained.curve["train_loss"].iloc[0] == pytest.approx(RECORDED_LOSS, rel=1e-2)


RECORDED_LOSS = 4.7622
