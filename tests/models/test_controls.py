"""Controls without learning: pixels, Gabor C1, and principal components of rotating faces."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from neural_data import InputError
from neurocompare.models.gabor import FILTER_SIZES, POOLING_SIZES, SIGMAS, WAVELENGTHS, GaborC1, gabor_filters
from neurocompare.models.pca import fit_components
from neurocompare.models.registry import Network, load_model
from neurocompare.representations.model_rdms import compute_model_rdms
from neurocompare.representations.rdms import rdm_table
from neurocompare.representations.viewpoint import mirror_symmetry_index
from neurocompare.stimuli.sets import face_views
from neurocompare.stimuli.transforms import mirror, shift


@pytest.fixture(scope="module")
def c1():
    return GaborC1().eval()


def grating(orientation_deg: float, period: float, size: int = 128, phase: float = 0.3) -> torch.Tensor:
    """Luminance changes along the direction ``orientation_deg`` (0: vertical stripes), counted as in the filters."""
    steps = torch.arange(size) - (size - 1) / 2
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    angle = np.deg2rad(orientation_deg)
    wave = torch.cos(2 * torch.pi * (columns * np.cos(angle) + rows * np.sin(angle)) / period + phase)
    return (0.5 + 0.4 * wave).expand(1, 3, -1, -1).float()


def test_scales_and_fields_are_those_of_hmax():
    assert list(FILTER_SIZES) == list(range(7, 38, 2))
    assert POOLING_SIZES == (8, 10, 12, 14, 16, 18, 20, 22)
    assert len(SIGMAS) == len(WAVELENGTHS) == 16
    assert (SIGMAS[0], WAVELENGTHS[0], SIGMAS[-1], WAVELENGTHS[-1]) == (2.8, 3.5, 18.2, 22.8)


@pytest.mark.parametrize("scale", [0, 7, 15])
def test_filters_have_mean_0_norm_1_and_even_and_odd_phase(scale):
    filters = gabor_filters(FILTER_SIZES[scale], SIGMAS[scale], WAVELENGTHS[scale])[:, 0]
    torch.testing.assert_close(filters.sum((1, 2)), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(filters.square().sum((1, 2)), torch.ones(8))
    torch.testing.assert_close(filters[:4].flip(1, 2), filters[:4])
    torch.testing.assert_close(filters[4:].flip(1, 2), -filters[4:], atol=1e-6, rtol=0)


@pytest.mark.parametrize("orientation", range(4))
@pytest.mark.parametrize("band", [1, 4])
def test_a_grating_drives_its_own_orientation_most(c1, orientation, band):
    maps = c1.bands(grating(45.0 * orientation, WAVELENGTHS[2 * band]))[band]
    assert int(maps.mean((0, 2, 3)).argmax()) == orientation


def test_energy_does_not_depend_on_the_phase_of_a_grating(c1):
    maps = [c1.bands(grating(0.0, WAVELENGTHS[6], phase=phase))[3][0, 0, 4:-4, 4:-4] for phase in (0.0, 1.0, 2.5)]
    torch.testing.assert_close(maps[0], maps[1], rtol=0.02, atol=0)
    torch.testing.assert_close(maps[0], maps[2], rtol=0.02, atol=0)


@pytest.mark.parametrize("size", [128, 100, 64])
def test_the_mirror_image_gives_mirrored_maps_with_the_oblique_orientations_exchanged(c1, size):
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    for direct, mirrored in zip(c1.bands(images), c1.bands(images.flip(-1)), strict=True):
        torch.testing.assert_close(mirrored, direct.flip(-1)[:, [0, 3, 2, 1]], atol=1e-5, rtol=1e-4)


def test_uniform_gray_drives_nothing(c1):
    assert c1(torch.full((1, 3, 128, 128), 0.5)).abs().max() < 1e-4
    assert c1(torch.zeros(1, 3, 128, 128)).abs().max() == 0


def test_pixels_are_the_image(faces):
    network = load_model("pixels")
    rdms = compute_model_rdms(network, faces, normalize=None)
    expected = 1 - np.corrcoef(faces.images(64).reshape(len(faces), -1).astype(float))
    np.testing.assert_allclose(rdms.get_matrices()[0], expected, rtol=1e-6, atol=1e-12)


@functools.cache
def rotating_faces():
    return face_views(7, np.arange(-90, 91, 22.5), seed=11), face_views(3, np.arange(-90, 91, 22.5), seed=12)


@functools.cache
def fitted(features):
    return fit_components(rotating_faces()[0], features=features, n_components=30)


def index_by_layer(module, stimuli):
    rdms = compute_model_rdms(Network("pca", module, module.preprocessing), stimuli, within="identity")
    return rdm_table(rdms).assign(index=mirror_symmetry_index(rdms)).groupby("layer")["index"].mean()


@pytest.mark.slow
def test_components_are_orthonormal_uncorrelated_and_sorted_by_variance():
    module = fitted("pixels")
    responses = rotating_faces()[0].images(64).astype(float).mean(axis=1).reshape(63, -1)
    scores = (responses - responses.mean(axis=0)) @ module.components.double().numpy().T
    covariance = np.cov(scores.T)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-3 * covariance.max())
    assert (np.diff(np.diag(covariance)) <= 1e-6).all()
    np.testing.assert_allclose(module.components @ module.components.T, np.eye(30), atol=1e-5)


def test_components_of_rotating_faces_are_even_or_odd_under_reflection():
    maps = fitted("pixels").components[:12].reshape(12, 64, 64)
    parity = ((maps * maps.flip(-1)).sum((1, 2)) / maps.square().sum((1, 2))).numpy()
    np.testing.assert_allclose(np.abs(parity), 1.0, atol=0.01)
    assert (parity > 0).any()
    assert (parity < 0).any()


@pytest.mark.parametrize("features", ["pixels", "c1"])
@pytest.mark.slow
def test_mirror_symmetry_of_components_breaks_when_faces_shift_by_15_pixels(features):
    module, test_faces = fitted(features), rotating_faces()[1]
    centred = index_by_layer(module, test_faces)
    shifted = index_by_layer(module, test_faces.with_transform(functools.partial(shift, dx=15)))
    assert centred["energy"] > 0.95
    assert shifted["energy"] < 0.3
    assert centred["scores"] < centred["energy"]


@pytest.mark.slow
def test_energy_is_the_squared_score_and_the_same_for_mirror_images():
    module, test_faces = fitted("c1"), rotating_faces()[1]
    network = Network("pca-c1", module, module.preprocessing)
    images = test_faces.images(128)
    direct, mirrored = network.forward(images), network.forward(mirror(images))
    torch.testing.assert_close(direct, mirrored, rtol=0.05, atol=float(direct.max()) * 1e-3)


def test_too_few_images_for_the_components_are_refused():
    with pytest.raises(InputError, match=r"10 principal components, but n_components is 30: give more images"):
        fit_components(rotating_faces()[0].take(slice(0, 11)), n_components=30)


@pytest.mark.slow
def test_rendered_faces_are_chosen_by_the_seed(monkeypatch):
    monkeypatch.setattr("neurocompare.models.pca.TRAINING_IDENTITIES", 6)
    network = load_model("pca", seed=1)
    assert network.regime == "fitted"
    assert network.layer_names() == ["scores", "energy"]
    same = load_model("pca", seed=1)
    assert torch.equal(network.module.components, same.module.components)
