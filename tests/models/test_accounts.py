"""Networks of the rival accounts of the face patches: what each claims holds exactly, and seeds are animals."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util

import numpy as np
import pytest
import torch

from neural_data import InputError, StimulusSet
from neurocompare.models import efficientnet, hebbian, inverse_graphics
from neurocompare.models.accounts import ACCOUNTS, BUILT_IN_ACCOUNTS, STAGES
from neurocompare.models.eccentricity import Eccentricity, log_polar_places
from neurocompare.models.efficientnet import PACKAGE
from neurocompare.models.equivariant import PairedConvolution
from neurocompare.models.hebbian import learn_by_ojas_rule, learned_components, train_on_rendered_faces
from neurocompare.models.hemispheres import Hemispheres
from neurocompare.models.low_level import LowLevel
from neurocompare.models.receptive_fields import SIDE, GaborCells, GaborGrid, Windows, tiles
from neurocompare.models.registry import load_model
from neurocompare.stimuli.faces import face
from neurocompare.stimuli.luminance import match_luminance
from neurocompare.stimuli.scene import render_views


@pytest.fixture(autouse=True)
def few_training_faces(monkeypatch):
    monkeypatch.setattr(hebbian, "TRAINING_IDENTITIES", 1)


@functools.cache
def templates(seed: int, *, both_sides: bool = True):
    return train_on_rendered_faces(seed, both_sides=both_sides)


def training_face(azimuths_deg: list[float]) -> StimulusSet:
    """Views of the face that the templates of seed 0 were learned from."""
    (number,) = np.random.default_rng([0, 4]).choice(hebbian.TRAINING_FACES, 1, replace=False)
    return hebbian.face_views(1, azimuths_deg, size=SIDE, seed=hebbian.TRAINING_SEED + int(number))


def noise(n: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) - 0.5


def responses(module: torch.nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Response of every named layer."""
    found: dict[str, torch.Tensor] = {}
    handles = [
        module.get_submodule(name).register_forward_hook(lambda _m, _i, out, name=name: found.update({name: out}))
        for name in module.layer_names
    ]
    with torch.inference_mode():
        module(images)
    for handle in handles:
        handle.remove()
    return found


def test_a_gabor_cell_has_the_amplitude_of_a_complex_gabor_function():
    centre, wavelength, degrees = np.array([5.3, -7.1]), 9.0, 30.0
    steps = np.arange(SIDE) - (SIDE - 1) / 2
    x, y = steps[None, :] - centre[0], steps[:, None] - centre[1]
    sd, angle = 0.56 * wavelength, np.deg2rad(degrees)
    wave = np.exp(2j * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / wavelength)
    gabor = np.exp(-0.5 * (x**2 + y**2) / sd**2) * wave * 2 / (2 * np.pi * sd**2)
    images = noise()
    expected = np.abs((images[:, 0].double().numpy() * gabor).sum(axis=(1, 2)))
    cells = GaborCells(centre[None], np.array([wavelength]), np.array([degrees]))
    np.testing.assert_allclose(cells(images)[:, 0].numpy(), expected, rtol=1e-4)


def test_cells_on_a_grid_answer_like_cells_anywhere():
    x, y, wavelengths, degrees = tiles(3, left=0.0), tiles(4), np.array([5.0, 11.0, 8.0]), np.array([10.0, 90.0, 140.0])
    places = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    cells = GaborCells(np.tile(places, (3, 1)), np.repeat(wavelengths, 12), np.repeat(degrees, 12))
    images = noise()
    expected = cells(images).reshape(3, 3, 4, 3)
    torch.testing.assert_close(GaborGrid(x, y, wavelengths, degrees)(images), expected, atol=1e-6, rtol=1e-4)


def test_a_gabor_cell_answers_its_own_grating_with_its_contrast():
    steps = torch.arange(SIDE) - (SIDE - 1) / 2
    grating = 0.3 * torch.cos(2 * np.pi * steps / 8 + 0.4).expand(1, 1, SIDE, SIDE)
    cells = GaborCells(np.zeros((2, 2)), np.array([8.0, 8.0]), np.array([0.0, 90.0]))
    own, across = cells(grating)[0].tolist()
    assert own == pytest.approx(0.3, rel=1e-3)
    assert across < 0.003


def test_a_window_gives_the_weighted_mean_and_without_an_end_the_mean():
    images = noise()
    windows = Windows(np.array([[4.0, -9.0], [0.0, 0.0]]), np.array([6.0, np.inf]))
    steps = np.arange(SIDE) - (SIDE - 1) / 2
    weights = np.exp(-0.5 * ((steps[None, :] - 4) ** 2 + (steps[:, None] + 9) ** 2) / 36)
    expected = (images[:, 0].numpy() * weights).sum(axis=(1, 2)) / weights.sum()
    found = windows(images)[:, 0].numpy()
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-6)
    np.testing.assert_allclose(found[:, 1], images.mean(dim=(1, 2, 3)).numpy(), atol=1e-6)


def test_low_level_statistics_of_a_grating_are_known():
    """Whole image: mean 0.1, standard deviation 0.2 / sqrt(2) of a grating of whole periods."""
    grating = 0.1 + 0.2 * torch.sin(2 * torch.pi * (torch.arange(SIDE) + 0.5) / 8).expand(1, 1, SIDE, SIDE)
    mean, contrast = responses(LowLevel(), grating)["whole"][0, :2].tolist()
    assert mean == pytest.approx(0.1, abs=1e-6)
    assert contrast == pytest.approx(0.2 / 2**0.5, abs=1e-6)


def test_the_spectral_slope_grows_with_the_share_of_high_frequencies():
    rng = np.random.default_rng(0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE), indexing="ij"))
    frequency[0, 0] = np.inf
    white = np.fft.rfft2(rng.standard_normal((4, SIDE, SIDE)))
    slopes = []
    for exponent in (1.5, 0.5):
        images = np.fft.irfft2(white / frequency**exponent, s=(SIDE, SIDE))
        images *= 0.2 / images.std(axis=(1, 2), keepdims=True)
        slopes.append(responses(LowLevel(), torch.tensor(images[:, None]).float())["whole"][:, -1].mean())
    assert slopes[1] - slopes[0] == pytest.approx(1.0, abs=0.2)


def test_log_polar_rings_are_equally_far_apart_on_the_cortex():
    """The integral of 1 / (e + e2) between neighbouring rings is log(1 + 3 / 1) / 4 for four rings up to 3 degrees."""
    places = log_polar_places(4, 6, e2_deg=1.0, most_deg=3.0)
    rings = np.unique(np.hypot(*places.T).round(9))
    np.testing.assert_allclose(np.diff(np.log(rings + 1)), np.log(4) / 4, atol=1e-8)
    assert rings[0] == pytest.approx(np.expm1(np.log(4) / 8))
    np.testing.assert_allclose(places[24:], places[:24] * [-1, 1])


def test_only_the_last_stage_of_eccentricity_pools_across_the_vertical_meridian():
    """Right places come first among the places and among the pooled fields."""
    module = Eccentricity()
    for stage, crosses in (("small", False), ("middle", False), ("crossing", True)):
        weights = getattr(module, f"{stage}_weights")
        torch.testing.assert_close(weights.sum(dim=0), torch.ones(weights.shape[1]))
        n_places, n_fields = (length // 2 for length in weights.shape)
        assert (weights[n_places:, :n_fields].sum() > 0) == crosses


def test_fully_connected_hemispheres_answer_mirror_images_alike():
    module, images = Hemispheres(), noise()
    direct, mirrored = responses(module, images), responses(module, images.flip(-1))
    for layer in ("commissural", "pooled"):
        torch.testing.assert_close(direct[layer], mirrored[layer], atol=1e-7, rtol=1e-6)
    one, two = direct["hemifields"].chunk(2, dim=1)
    torch.testing.assert_close(torch.cat([two, one], dim=1), mirrored["hemifields"], atol=1e-7, rtol=1e-6)
    assert (one - two).abs().mean() > 0.1 * one.mean()


def test_paired_convolutions_are_equivariant_and_pooling_makes_them_invariant():
    module, images = load_model("equivariant", seed=3).module, noise()
    rng = torch.Generator().manual_seed(1)
    for part in (module.conv1, module.conv2, module.conv3):
        part.norm.weight.data.uniform_(0.5, 2, generator=rng)
        part.norm.running_mean.normal_(0, 0.1, generator=rng)
    direct, mirrored = responses(module, images), responses(module, images.flip(-1))
    for layer in ("conv1", "conv2", "conv3"):
        swapped = torch.cat(direct[layer].flip(-1).chunk(2, dim=1)[::-1], dim=1)
        torch.testing.assert_close(mirrored[layer], swapped, atol=1e-5 * float(swapped.max()), rtol=1e-5)
        assert (direct[layer] - mirrored[layer]).abs().max() > 0.1 * direct[layer].max()
    for layer in ("pooled", "full2", "scores"):
        largest = float(direct[layer].abs().max())
        torch.testing.assert_close(direct[layer], mirrored[layer], atol=1e-5 * largest, rtol=1e-5)


def test_without_pooling_equivariant_filters_do_not_make_invariant_responses():
    module, images = load_model("equivariant-without-pooling", seed=3).module, noise()
    direct, mirrored = (responses(module, shown)["full1"] for shown in (images, images.flip(-1)))
    assert (direct - mirrored).abs().mean() > 0.1 * direct.mean()


def test_a_filter_and_its_mirror_image_make_a_pair():
    layer = PairedConvolution(0, 1, 5).eval()
    image = torch.zeros(1, 1, 16, 16)
    image[0, 0, 8, 8] = 1.0
    with torch.inference_mode():
        first, second = layer(image)[0]
        alone = torch.nn.functional.conv2d(image, layer.weight.flip(-1), padding=2).relu()
    torch.testing.assert_close(second, torch.nn.functional.max_pool2d(alone, 2)[0, 0])
    assert not torch.equal(first, second)


def test_ojas_rule_converges_to_the_closed_form():
    rng = np.random.default_rng(2)
    axes = np.linalg.qr(rng.standard_normal((12, 3)))[0].T
    frames = rng.standard_normal((40, 3)) @ np.diag([3.0, 1.8, 1.0]) @ axes
    learned = learn_by_ojas_rule(frames, 2, n_rounds=200, rate=0.2, rng=rng)
    expected = learned_components(frames, 2)
    np.testing.assert_allclose((learned * expected).sum(axis=1), 1.0, atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(learned, axis=1), 1.0, atol=1e-2)


def parity_of_components(module: hebbian.Hebbian) -> np.ndarray:
    """Product of each component with its mirror image, over its own squared length: 1 if even, -1 if odd."""
    maps = module.components.reshape(len(module.components), -1, 32, 32)
    return ((maps * maps.flip(-1)).sum((2, 3)) / maps.square().sum((2, 3))).numpy()


def test_components_of_turning_faces_are_even_or_odd_so_their_squares_are_mirror_symmetric():
    module = templates(0)
    parity = parity_of_components(module)
    np.testing.assert_allclose(np.abs(parity), 1.0, atol=1e-3)
    assert (parity.min(axis=1) < 0).all()
    assert (parity.max(axis=1) > 0).all()
    images = noise()
    direct, mirrored = responses(module, images), responses(module, images.flip(-1))
    for layer in ("squares", "energies"):
        torch.testing.assert_close(direct[layer], mirrored[layer], atol=1e-5, rtol=1e-3)
    assert (direct["views"] - mirrored["views"]).abs().max() > 1e-3


def test_components_of_faces_that_turn_to_one_side_are_neither_even_nor_odd():
    """No face that looks to the right is the mirror image of another, so their subspace is not that of the left."""
    module = templates(0, both_sides=False)
    assert module.stored.shape[1:] == (5, hebbian.N_PIXELS)
    assert module.components.shape[1:] == (4, hebbian.N_PIXELS)
    assert (np.abs(parity_of_components(module)) < 0.95).any(axis=1).all()
    torch.testing.assert_close(module.fields, templates(0).fields)
    torch.testing.assert_close(module.stored, templates(0).stored[:, 4:])
    right, left = (
        responses(module, hebbian.GRAY_64(faces.images(SIDE)))["energies"]
        for faces in (training_face([sign * 45.0, sign * 90.0]) for sign in (1, -1))
    )
    assert (right > left + 0.2).all()


def test_a_stored_view_is_recognised_and_its_energy_is_that_of_its_subspace():
    """In its own receptive field a training image has the product 1 with itself, and energy at most 1."""
    module = templates(0)
    faces = training_face([0.0, 45.0])
    found = responses(module, hebbian.GRAY_64(faces.images(SIDE)))
    seen = found["views"].reshape(2, len(module.fields), hebbian.N_VIEWS)
    np.testing.assert_allclose(seen[0, :, 4], 1.0, atol=1e-4)
    np.testing.assert_allclose(seen[1, :, 6], 1.0, atol=1e-4)
    assert seen.max() <= 1 + 1e-4
    assert 0.8 < found["energies"].min() <= found["energies"].max() <= 1 + 1e-4


@pytest.mark.parametrize("name", [name for name, account in ACCOUNTS.items() if account.n_animals != 1])
def test_a_seed_is_an_animal(name):
    def weights(seed: int) -> torch.Tensor:
        return torch.cat([value.flatten() for value in ACCOUNTS[name].load(seed).module.state_dict().values()])

    first = weights(0)
    assert torch.equal(first, weights(0))
    assert not torch.allclose(first, weights(1))


@pytest.mark.parametrize("name", ACCOUNTS)
def test_stages_are_layers_in_their_order(name):
    account = ACCOUNTS[name]
    if account.extra == "imagenet" and importlib.util.find_spec(PACKAGE) is None:
        pytest.skip("the extra 'imagenet' is not installed")
    assert tuple(account.stages) == STAGES
    layers = account.load(0).module.layer_names
    places = [layers.index(layer) for layer in account.stages.values()]
    assert places == sorted(set(places))


def test_an_account_that_does_not_learn_is_its_own_after_training_on_one_side():
    wired = {name for name, account in ACCOUNTS.items() if not account.learns}
    assert wired == {"low-level", "eccentricity", "hemispheres", "equivariant", "equivariant-without-pooling"}
    for name in wired:
        assert ACCOUNTS[name].has_one_sided
        assert ACCOUNTS[name].trained_on_one_side() is ACCOUNTS[name]


@pytest.mark.parametrize("name", [name for name, one in ACCOUNTS.items() if one.learns and one.has_one_sided])
def test_an_account_that_learns_is_another_after_training_on_one_side(name):
    both, one = ACCOUNTS[name], ACCOUNTS[name].trained_on_one_side()
    assert (one.name, one.label, one.stages) == (both.name, both.label, both.stages)
    network = one.load(0)
    assert set(one.stages.values()) <= set(network.module.layer_names)
    assert network.regime != both.load(0).regime
    seen = [responses(loaded.module, loaded.example(2))[one.stages["AM"]] for loaded in (network, both.load(0))]
    assert not torch.allclose(*seen)
    again = one.load(1)
    assert again.seed == (0 if one.n_animals == 1 else 1)


def test_an_account_without_a_network_trained_on_one_side_is_refused():
    account = ACCOUNTS["discrimination-photographs"]
    assert [name for name, one in ACCOUNTS.items() if not one.has_one_sided] == ["equivariant-trained", account.name]
    with pytest.raises(InputError, match="'discrimination-photographs' has no network trained on one side; those that"):
        account.trained_on_one_side()


def test_shipped_networks_say_which_they_are_when_seeds_start_again():
    account = ACCOUNTS["inverse-graphics"]
    assert [account.load(seed).seed for seed in range(3)] == [0, 1, 0]
    assert account.n_animals == 2
    assert ACCOUNTS["discrimination"].n_animals == 1


def test_an_account_whose_extra_is_not_installed_is_refused_by_its_name(monkeypatch):
    assert set(ACCOUNTS) - set(BUILT_IN_ACCOUNTS) == {"discrimination-photographs"}
    monkeypatch.setattr(efficientnet, "PACKAGE", "a_package_that_is_not_there")
    with pytest.raises(InputError, match="come with the extra 'imagenet'"):
        ACCOUNTS["discrimination-photographs"].load(0)


@functools.cache
def scenes(*, both_sides: bool = True):
    return inverse_graphics.rendered_scenes(3, 5, seed=77, both_sides=both_sides)


def test_scenes_are_what_their_latents_say():
    """A face rendered again from its latents is the same; opposite azimuth and light give the mirror image."""
    shown = scenes()
    assert shown.images.shape == (15, SIDE, SIDE)
    assert shown.latents.shape == (15, len(inverse_graphics.LATENTS))
    azimuth, elevation, light = shown.latents[0, :3].astype(float) * [45, 8, 30]
    for sign in (1, -1):
        shape = face(shown.latents[0, 3:], detail=0.35)
        rendering = render_views(shape, [sign * azimuth], [elevation], size=SIDE, light_deg=sign * light)
        again = match_luminance(rendering, mean=0.5, sd=0.2)[0]
        expected = shown.images[0] if sign == 1 else shown.images[0][:, ::-1]
        assert np.abs(again.astype(int) - expected).mean() < 1.0
        assert (np.abs(again.astype(int) - expected) > 3).mean() < 0.02


def test_a_shipped_network_reports_the_scene_of_faces_that_it_has_not_seen():
    network = load_model("inverse-graphics", weights="pretrained", regime="scenes-0")
    table = inverse_graphics.reported(network.module, scenes()).set_index("latent")
    assert table.loc["azimuth", "r"] > 0.95
    mirrored = dataclasses.replace(scenes(), images=scenes().images[:, :, ::-1].copy())
    turned = mirrored.latents * np.where(np.isin(inverse_graphics.LATENTS, ("azimuth", "light")), -1, 1)
    table = inverse_graphics.reported(network.module, dataclasses.replace(mirrored, latents=turned))
    assert table.set_index("latent").loc["azimuth", "r"] > 0.95


def test_scenes_of_one_side_are_the_same_faces_and_lights_that_never_look_to_the_left():
    both, one = scenes().latents, scenes(both_sides=False).latents
    np.testing.assert_array_equal(both[:, 1:], one[:, 1:])
    assert both[:, 0].min() < 0
    np.testing.assert_allclose(one[:, 0], (both[:, 0] + 90 / inverse_graphics.VIEW_SD_DEG) / 2, atol=1e-5)


def test_a_network_trained_on_one_side_takes_the_left_for_the_right():
    one = ACCOUNTS["inverse-graphics"].trained_on_one_side().load(0).module
    shown = scenes(both_sides=False)
    mirrored = dataclasses.replace(shown, images=shown.images[:, :, ::-1].copy())
    tables = [inverse_graphics.reported(one, seen).set_index("latent") for seen in (shown, mirrored)]
    assert tables[0].loc["azimuth", "r"] > 0.9
    assert tables[1].loc["azimuth", "r"] > 0.5


def bars(azimuth_of):
    """64 images of a vertical bar, whose azimuth is a function of its place."""
    places = np.linspace(8, 55, 64).round().astype(int)
    images = np.full((64, SIDE, SIDE), 128, dtype=np.uint8)
    for image, place in zip(images, places, strict=True):
        image[:, place - 4 : place + 5] = 255
    latents = np.zeros((64, len(inverse_graphics.LATENTS)), dtype=np.float32)
    latents[:, 0] = azimuth_of((places - 31.5) / 20)
    return inverse_graphics.Scenes(images, latents, np.arange(64))


def learned_azimuth(shown: inverse_graphics.Scenes, monkeypatch, *, both_sides: bool) -> np.ndarray:
    """Azimuths that a small network reports of the images that it was trained on."""
    monkeypatch.setattr(inverse_graphics, "CHANNELS", (2, 2, 4, 4))
    monkeypatch.setattr(inverse_graphics, "LEARNING_RATE", 2e-2)
    module = inverse_graphics.learn_to_invert(shown, seed=0, n_epochs=30, both_sides=both_sides)
    with torch.inference_mode():
        return module(torch.from_numpy(shown.images)[:, None] / 255 - 0.5)[:, 0].numpy()


def test_without_mirrored_copies_a_network_can_report_the_same_azimuth_to_both_sides(monkeypatch):
    """Azimuths of 0 to 1.2, mean 0.6; a mirrored copy has the other sign, so that both together have the mean 0."""
    shown = bars(np.abs)
    assert learned_azimuth(shown, monkeypatch, both_sides=False).mean() == pytest.approx(0.6, abs=0.15)
    assert abs(learned_azimuth(shown, monkeypatch, both_sides=True).mean()) < 0.3


def test_learning_to_invert_follows_the_latents(monkeypatch):
    """A vertical bar whose place is the azimuth, which mirror images have with the other sign."""
    shown = bars(lambda place: place)
    found = learned_azimuth(shown, monkeypatch, both_sides=True)
    assert np.corrcoef(found, shown.latents[:, 0])[0, 1] > 0.9
    few = shown.take(np.arange(9))
    with pytest.raises(InputError, match="there are 9 images to train on; give at least 64"):
        inverse_graphics.learn_to_invert(few, seed=0, n_epochs=1)
