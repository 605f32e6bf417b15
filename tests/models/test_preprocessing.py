"""What is done to an image before a network sees it: by hand, from recipes, and what is refused."""

from __future__ import annotations

from collections import UserDict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from neural_data import InputError
from neural_data.resizing import Resizing
from neurocompare import Preprocessing, load_model
from neurocompare.models.image_recipes import Found, as_preprocessing, found_with
from neurocompare.models.zoo import IMAGENET
from neurocompare.representations.model_rdms import compute_model_rdms

PIXEL = np.array([0.2, 0.4, 0.6], np.float32).reshape(1, 3, 1, 1)
OWN = Found(Preprocessing(size=16), "of the network")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"mean": (0.5, 0.25, 0.0), "sd": (1.0, 0.5, 0.25)}, [-0.3, 0.3, 2.4]),
        ({"value_range": (0, 255), "mean": (1, 2, 3), "sd": (1, 1, 2)}, [50.0, 100.0, 75.0]),
        ({"value_range": (-1, 1), "mean": (0, 0, 0), "sd": (1, 1, 1)}, [-0.6, -0.2, 0.2]),
        ({"channels": "bgr", "mean": (0.1, 0.2, 0.3), "sd": (1, 1, 1)}, [0.5, 0.2, -0.1]),
        ({"channels": "gray", "mean": (0.0,), "sd": (2.0,)}, [(0.2 * 0.299 + 0.4 * 0.587 + 0.6 * 0.114) / 2]),
    ],
)
def test_channels_range_mean_and_sd(options, expected):
    shown = Preprocessing(size=1, **options)(PIXEL)
    np.testing.assert_allclose(shown.flatten(), expected, rtol=1e-5)


def test_images_that_are_given_stay_as_they_are():
    before = PIXEL.copy()
    Preprocessing(size=1)(PIXEL)
    np.testing.assert_array_equal(PIXEL, before)


def test_crops_are_taken_where_stimuli_are_resized(faces):
    own = Preprocessing(size=8, crop_from=12, mean=(0.0,) * 3, sd=(1.0,) * 3)
    assert own.shown_at == Resizing((8, 8), cut_from=(12, 12))
    np.testing.assert_allclose(own(faces.images(own.shown_at)), faces.images(12)[..., 2:10, 2:10])
    assert Preprocessing(size=(8, 16), crop_from=10).shown_at.cut_from == (10, 20)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 0}, "sizes must be positive"),
        ({"size": 32, "crop_from": 16}, "at least as large"),
        ({"mean": (0.5,)}, "3 channel means"),
        ({"sd": (1.0, 0.0, 1.0)}, "positive sds"),
        ({"aspect": "stretch"}, "aspect 'stretch'"),
        ({"interpolation": "cubic"}, "did you mean 'bicubic'"),
        ({"channels": "rbg"}, "channels 'rbg'.*did you mean"),
        ({"channels": "gray", "mean": (0.1, 0.2, 0.3)}, "one mean and one sd"),
        ({"value_range": (1, 0)}, "black and white"),
        ({"size": None}, "needs a size"),
        ({"transform": 3}, "callable"),
    ],
)
def test_preprocessing_that_cannot_be_is_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        Preprocessing(**wrong)


def test_images_of_another_size_are_refused():
    with pytest.raises(InputError, match=r"shown 4 x 4 pixels.*shape \(3, 1, 1\).*shown_at"):
        Preprocessing(size=4)(PIXEL)


TORCHVISION = SimpleNamespace(
    crop_size=[224],
    resize_size=[256],
    mean=[0.1, 0.2, 0.3],
    std=[1, 2, 3],
    interpolation=SimpleNamespace(value="bicubic"),
)
TIMM = {"input_size": (3, 240, 240), "interpolation": "bicubic", "mean": (0.5,) * 3, "std": (0.4,) * 3, "crop_pct": 0.9}
OPEN_CLIP = {"size": (224, 224), "mode": "RGB", "mean": (0.5,) * 3, "std": (0.4,) * 3, "interpolation": "bicubic"}
CLIP_PROCESSOR = SimpleNamespace(
    do_resize=True,
    size={"shortest_edge": 224},
    resample=Image.Resampling.BICUBIC,
    do_center_crop=True,
    crop_size={"height": 224, "width": 224},
    do_rescale=True,
    rescale_factor=1 / 255,
    do_normalize=True,
    image_mean=(0.1, 0.2, 0.3),
    image_std=(1, 2, 3),
)
VIT_PROCESSOR = SimpleNamespace(
    **{**vars(CLIP_PROCESSOR), "size": {"height": 224, "width": 224}, "do_center_crop": None, "resample": 2}
)


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (
            TORCHVISION,
            Preprocessing(224, (0.1, 0.2, 0.3), (1, 2, 3), crop_from=256, interpolation="bicubic"),
        ),
        # timm shows an image of 240 pixels cut from floor(240 / 0.9), and pads with the mean.
        (
            {**TIMM, "crop_mode": "center"},
            Preprocessing(240, (0.5,) * 3, (0.4,) * 3, 266, "crop", "bicubic", fill=(0.5,) * 3),
        ),
        (
            {**TIMM, "crop_mode": "squash", "crop_pct": 1.0},
            Preprocessing(240, (0.5,) * 3, (0.4,) * 3, None, "squash", "bicubic", fill=(0.5,) * 3),
        ),
        (
            {**OPEN_CLIP, "resize_mode": "longest", "fill_color": 0},
            Preprocessing(224, (0.5,) * 3, (0.4,) * 3, None, "pad", "bicubic", fill=0.0),
        ),
        (CLIP_PROCESSOR, Preprocessing(224, (0.1, 0.2, 0.3), (1, 2, 3), interpolation="bicubic")),
        (VIT_PROCESSOR, Preprocessing(224, (0.1, 0.2, 0.3), (1, 2, 3), aspect="squash")),
    ],
)
def test_recipes_of_zoos_are_read_whole(recipe, expected):
    assert as_preprocessing(recipe, OWN).preprocessing == expected


def test_recipes_that_say_what_is_not_known_are_refused():
    for recipe in ({**TIMM, "interpolation": "random"}, {**TIMM, "crop_mode": "other"}):
        with pytest.raises(InputError, match="not known"):
            as_preprocessing(recipe, OWN)
    with pytest.raises(InputError, match="got a int"):
        as_preprocessing(3, OWN)


def test_a_mapping_changes_the_networks_own_and_what_stays_assumed_is_said():
    changed = as_preprocessing({"size": 20}, OWN)
    assert changed == Found(Preprocessing(size=20), "size given, else of the network")
    assumed = as_preprocessing({"size": 20}, Found(Preprocessing(), "assumed"))
    assert (assumed.source, assumed.assumed) == ("assumed but for size", True)
    with pytest.raises(InputError, match="preprocessing has no 'std': did you mean 'sd'"):
        as_preprocessing({"std": (1, 1, 1)}, OWN)


def test_what_a_module_carries_is_taken_and_the_rest_is_assumed(caplog):
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())
    assert load_model(module).preprocessing_source == "assumed"
    assert "nothing says how images are shown to it; assumed: 224 x 224 pixels" in caplog.text
    module.config = SimpleNamespace(image_size=48)
    assert found_with(module) == Found(Preprocessing(size=48), "assumed but for size")
    module.pretrained_cfg = TIMM
    assert found_with(module) == Found(as_preprocessing(TIMM, OWN).preprocessing, "of the network (timm)")
    module.preprocessing = IMAGENET
    network = load_model(module)
    assert (network.preprocessing, network.preprocessing_source) == (IMAGENET, "of the network")


def halved(image):
    """As a transform of torchvision: a PIL image to (3, height, width)."""
    pixels = np.asarray(image.resize((6, 6), Image.Resampling.BOX), np.float32) / 255
    return torch.from_numpy(pixels.transpose(2, 0, 1) * 2 - 1)


@pytest.mark.parametrize("transform", [halved, lambda image: UserDict(pixel_values=[halved(image).numpy()])])
def test_a_callable_shows_images_in_its_own_way(faces, transform):
    module = nn.Sequential(nn.Flatten(), nn.Linear(108, 5)).eval()
    network = load_model(module, preprocessing=transform)
    rdms = compute_model_rdms(network, faces, "1", normalize=None)
    with torch.inference_mode():
        by_hand = module(torch.stack([halved(Image.fromarray(image).convert("RGB")) for image in faces.pixels]))
    np.testing.assert_allclose(rdms.get_matrices()[0], 1 - np.corrcoef(by_hand), atol=1e-5)


def test_a_callable_that_fails_or_gives_no_image_is_refused(faces):
    module = nn.Sequential(nn.Flatten(), nn.Linear(108, 5))
    for wrong, message in [
        (lambda _image: 1 / 0, "failed.*ZeroDivisionError"),
        (lambda _image: np.zeros((6, 6)), "it must give"),
        (lambda _image: np.zeros((3, 6, 6), np.uint8), "values of torch.uint8"),
    ]:
        with pytest.raises(InputError, match=message):
            compute_model_rdms(load_model(module, preprocessing=wrong), faces)


def test_nothing_is_assumed_where_everything_is_said(caplog):
    said = {"size": 32, "aspect": "pad", "interpolation": "bicubic", "mean": [0.5] * 3, "sd": [1.0] * 3}
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3))
    assert "assumed" in load_model(module, preprocessing=said).preprocessing_source
    assert "nothing says how images are shown" in caplog.text
    caplog.clear()
    network = load_model(module, preprocessing={**said, "value_range": [0, 1], "channels": "rgb"})
    assert (network.preprocessing_source, caplog.text) == ("given", "")
