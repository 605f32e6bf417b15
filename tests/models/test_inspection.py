"""Networks whose responses depend on more than the image: shown so that they do not, with a word, or refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from neural_data import InputError
from neurocompare.models.registry import Network, Preprocessing
from neurocompare.representations.model_rdms import compute_model_rdms

SIZE = 12


def network(module, **options):
    return Network("net", module.eval(), Preprocessing(size=SIZE), **options)


def rdm(module, stimuli, layer="out", **options):
    return compute_model_rdms(network(module), stimuli, layer, normalize=None, **options).get_matrices()[0]


def expected(module, stimuli):
    """By hand, image by image."""
    images = Preprocessing(size=SIZE)(stimuli.images(SIZE))
    with torch.no_grad():
        rows = torch.cat([module(images[i : i + 1]).flatten(1) for i in range(len(images))])
    return 1 - np.corrcoef(rows.numpy())


class Net(nn.Module):
    """A convolution, and something done to its answer."""

    def __init__(self, then=None):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.out, self.then = nn.Conv2d(3, 6, 3), nn.Identity(), then

    def forward(self, x):
        return self.out(self.change(self.conv(x)))

    def change(self, x):
        return self.then(x) if self.then else x


def test_a_network_that_depends_on_the_image_alone_is_shown_as_it_is(faces, caplog):
    module = Net()
    assert network(module).inspected.notes == ()
    np.testing.assert_allclose(rdm(module, faces), expected(module, faces), atol=1e-5)
    assert caplog.text == ""


def test_a_network_can_be_looked_at_in_inference_mode(faces):
    with torch.inference_mode():
        assert network(Net()).layer_names() == ["conv"]
        found = rdm(Net(), faces)
    np.testing.assert_allclose(found, expected(Net().eval(), faces), atol=1e-5)


def test_statistics_of_the_batch_are_those_of_one_image(faces, caplog):
    module = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6, track_running_stats=False), nn.ReLU())
    found = [rdm(module, faces, "2", batch_size=size) for size in (3, 64)]
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    np.testing.assert_allclose(found[0], expected(module, faces), atol=1e-5)
    assert (
        "depends on the images beside it, first in layer '1': '1' normalises over the images of a batch" in caplog.text
    )


def test_reflection_parts_are_also_shown_one_by_one(faces):
    module = nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6, track_running_stats=False), nn.ReLU())
    options = {"layers": "2", "normalize": None, "part": "invariant"}
    first, second = (compute_model_rdms(network(module), faces, batch_size=n, **options) for n in (4, 64))
    np.testing.assert_allclose(first.dissimilarities, second.dissimilarities, atol=1e-6)


@pytest.mark.parametrize(
    "drop",
    [
        lambda x: functional.dropout(x, 0.5),
        lambda x: torch.dropout(x, 0.5, True),
        lambda x: functional.dropout2d(x, 0.5),
        lambda x: functional.alpha_dropout(x, 0.5, training=True),
        lambda x: functional.scaled_dot_product_attention(x, x, x, dropout_p=0.5),
    ],
)
def test_dropout_that_is_called_as_a_function_is_switched_off(faces, caplog, drop):
    first, second = (rdm(Net(drop), faces) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert "drops units at random in evaluation mode, first in layer 'out'" in caplog.text
    if "attention" not in drop.__code__.co_names[1]:
        np.testing.assert_allclose(first, expected(Net(), faces), atol=1e-5)


def test_random_numbers_are_drawn_alike_each_time_and_it_is_said(faces, caplog):
    noisy = Net(lambda x: x + torch.randn_like(x))
    before = torch.random.get_rng_state()
    first, second = (rdm(noisy, faces) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(first, second)
    assert "it draws random numbers, first seen in layer 'out'" in caplog.text
    assert not np.allclose(first, expected(Net(), faces), atol=1e-3)


class Remembers(Net):
    held = None

    def change(self, x):
        self.held = x if self.held is None or len(self.held) != len(x) else 0.5 * self.held + x
        return self.held


class Counts(Net):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def change(self, x):
        self.calls += 1
        return torch.where(x > 0.1 * self.calls, x, 0.0)


@pytest.mark.parametrize("module", [Remembers(), Counts(), Net(lambda x: x * float(np.random.default_rng().random()))])
def test_what_is_kept_between_calls_is_refused(faces, module):
    with pytest.raises(
        InputError, match="responds differently when it is shown the same images again, first in layer 'out'"
    ):
        rdm(module, faces)


def test_a_fixed_batch_size_is_refused_with_the_cause(faces):
    with pytest.raises(InputError, match=r"takes 3 images at a time, but not 2.*use x.shape\[0\]"):
        rdm(Net(lambda x: x.reshape(3, 600)), faces)
    with pytest.raises(InputError, match="takes 4 images at a time, but not 3"):
        rdm(Net(lambda x: x.view(4, 600)), faces)
    with pytest.raises(InputError, match=r"cannot process images of shape \(3, 12, 12\)"):
        rdm(nn.Sequential(nn.Conv2d(1, 2, 3)), faces, "0")


def test_a_network_for_one_image_at_a_time_is_shown_one(faces, caplog):
    def only_one(x):
        if len(x) != 1:
            raise ValueError("one image, please")
        return x

    np.testing.assert_allclose(rdm(Net(only_one), faces), expected(Net(), faces), atol=1e-5)
    assert "it takes one image at a time" in caplog.text


def test_a_network_that_loses_the_dimension_of_a_single_image_is_shown_two(faces, caplog):
    module = Net(lambda x: x.squeeze(0) if len(x) == 1 else x)
    np.testing.assert_allclose(rdm(module, faces, batch_size=29), expected(Net(), faces), atol=1e-5)
    assert "cannot be shown a single image" in caplog.text


@pytest.mark.parametrize("length", [3, 5])
def test_the_dimension_that_counts_images_need_not_be_the_first(faces, length):
    """With three tokens and three images the shape of one pass does not tell which is which."""
    module = Net(lambda x: x.flatten(1)[:, : 7 * length].unflatten(1, (length, 7)).transpose(0, 1))
    images = Preprocessing(size=SIZE)(faces.images(SIZE))
    with torch.no_grad():
        by_hand = module.eval()(images).transpose(0, 1).flatten(1).numpy()
    np.testing.assert_allclose(rdm(module, faces), 1 - np.corrcoef(by_hand), atol=1e-5)


class Windows(nn.Module):
    """Cuts images into windows, as Swin does, works on them, and puts them together."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.relu = nn.Conv2d(3, 6, 3), nn.LayerNorm(25), nn.ReLU()

    def forward(self, x):
        maps = self.conv(x)
        windows = maps.unfold(2, 5, 5).unfold(3, 5, 5).permute(0, 2, 3, 1, 4, 5).reshape(-1, 6, 25)
        return self.relu(self.norm(windows).reshape(len(x), -1))


@pytest.mark.parametrize("layers", ["main", "all"])
def test_outputs_that_cannot_be_read_are_left_out_with_a_note(faces, caplog, layers):
    found = compute_model_rdms(network(Windows()), faces, layers)
    assert found.rdm_descriptors["layer"] == ["conv", "relu"]
    assert "1 outputs cannot be read and are left out of its layers: norm (its shape (12, 6, 25)" in caplog.text
    with pytest.raises(InputError, match=r"layer 'norm' cannot be read: its shape"):
        compute_model_rdms(network(Windows()), faces, ["norm"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda x: torch.fft.fft2(x), "its values are complex"),
        (lambda x: x.argmax(1), r"its values are no real numbers \(int64\)"),
        (lambda x: x > 0, r"no real numbers \(bool\)"),
        (lambda x: x.flatten(1).to_sparse(), "it is sparse"),
        (lambda x: x.sum(0), "does not count the 3 images"),
    ],
)
def test_outputs_of_other_kinds_are_refused_by_name_and_never_cast(faces, change, reason):
    with pytest.raises(InputError, match=f"layer 'out' cannot be read: .*{reason}"):
        rdm(Net(change), faces)


def test_scripts_are_refused_in_one_message(faces):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(Net().eval(), torch.zeros(3, 3, SIZE, SIZE))
    with pytest.raises(InputError, match=r"scripted module.*whose layers cannot be observed; give the Python module"):
        rdm(traced, faces)


def test_a_scripted_part_runs_and_what_it_returns_is_not_read(faces, caplog):
    whole = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        part = nn.Sequential(whole[0], whole[1], torch.jit.trace(whole[2], torch.zeros(3, 6, 10, 10)))
    np.testing.assert_allclose(rdm(part, faces, "output"), expected(whole.eval(), faces), atol=1e-5)
    assert network(part).layer_names() == ["1", "output"]
    assert "1 parts are scripted (2), and what they return cannot be read" in caplog.text


def test_what_an_earlier_pass_in_inference_mode_left_is_no_obstacle(faces):
    class Keeps(Net):
        weighting = None

        def change(self, x):
            if self.weighting is None:
                self.weighting = torch.linspace(0, 1, x.shape[-1])
            return x + self.then(self.weighting)

    module = Keeps(nn.Identity()).eval()
    with torch.inference_mode():
        module(torch.zeros(1, 3, SIZE, SIZE))
    np.testing.assert_allclose(rdm(module, faces), expected(module, faces), atol=1e-5)
