import numpy as np
import pytest

from neurocompare.stimuli.faces import FACE_MEASURES, face
from neurocompare.stimuli.geometry import bilateral, ellipsoid, joined, superquadric
from neurocompare.stimuli.scene import Placement, Rendering, render_views

AZIMUTHS = (-180, -135, -90, -67.5, -45, -22.5, 0, 22.5, 45, 67.5, 90, 135, 180)


@pytest.fixture(scope="module")
def head():
    return face(np.zeros(len(FACE_MEASURES)), detail=0.4)


@pytest.mark.parametrize("size", [64, 65])
def test_opposite_views_of_a_face_are_mirror_images_in_every_pixel(head, size):
    images = render_views(head, AZIMUTHS, size=size).on_background()
    assert np.array_equal(images, images[::-1, :, ::-1])


@pytest.mark.parametrize("elevation", [-30, 20])
def test_mirror_images_hold_at_every_elevation(head, elevation):
    images = render_views(head, [-50, 50], elevation, size=48).on_background()
    assert np.array_equal(images[0], images[1, :, ::-1])


def test_the_shared_computation_says_what_the_rays_say(head):
    shared = render_views(head, AZIMUTHS, size=64).on_background().astype(int)
    traced = render_views(head, AZIMUTHS, size=64, use_symmetry=False).on_background().astype(int)
    assert (np.abs(shared - traced) > 2).mean() < 1e-4
    # The rays alone give mirror images too, up to rays that graze an edge.
    assert (np.abs(traced - traced[::-1, :, ::-1]) > 2).mean() < 1e-4


def test_the_front_points_to_the_viewers_left_below_azimuth_zero():
    pointer = joined([ellipsoid((0, 0, 0), (1, 1, 1), 0.8), ellipsoid((0, 0, 1.4), (0.2, 0.2, 0.6), 0.1)])
    left, front, right = render_views(pointer, [-90, 0, 90], size=64).brightness
    dark = [np.argwhere((view > 0) & (view < 0.15))[:, 1].mean() for view in (left, front, right)]
    assert dark[0] < 20
    assert dark[1] == pytest.approx(31.5, abs=0.5)
    assert dark[2] > 43


def test_a_camera_above_sees_the_top():
    capped = joined([ellipsoid((0, 0, 0), (1, 1, 1), 0.2), ellipsoid((0, 0.9, 0), (0.4, 0.2, 0.4), 0.9)])
    below, above = render_views(capped, [0, 0], [-60, 60], size=64).brightness
    assert (above > 0.5).sum() > 4 * (below > 0.5).sum()


def test_a_sphere_covers_the_area_of_its_outline():
    sphere = ellipsoid((3, 4, 5), (2, 2, 2), 0.5, resolution=128)
    coverage = render_views(sphere, [0, 30], size=100, placement=Placement(fill=0.8)).coverage
    assert coverage[0].sum() == pytest.approx(np.pi * 40**2, rel=2e-3)
    assert np.allclose(coverage[0], coverage[1], atol=0.13)


def test_every_view_has_the_same_scale():
    plank = superquadric((0, 0, 0), (0.2, 1, 2), 0.5, roundness=(0.1, 0.1))
    side, front = render_views(plank, [90, 0], size=200, placement=Placement(fill=0.9)).foreground
    heights = [np.flatnonzero(view.any(axis=1)).size for view in (side, front)]
    # The front face is nearer to the camera than the axis, by 2 of 14 radii; the side by 0.2.
    assert heights[1] / heights[0] == pytest.approx((7 - 0.1) / (7 - 1), rel=0.04)
    assert np.flatnonzero(side.any(axis=0)).size == pytest.approx(180, abs=3)


def test_a_view_does_not_depend_on_the_other_views(head):
    alone = render_views(head, [37.0], size=48)
    among = render_views(head, [-80.0, 37.0, 12.0], size=48)
    assert np.array_equal(alone.brightness[0], among.brightness[1])


def test_offsets_and_scales_move_and_shrink_the_view():
    ball = ellipsoid((0, 0, 0), (1, 1, 1), 0.5)
    views = render_views(
        ball, [0, 0], size=100, placement=Placement(fill=0.5, offsets=[(0, 0), (0.2, 0.1)], scales=[1, 0.5])
    ).coverage
    middles = [np.argwhere(view > 0.5).mean(axis=0) for view in views]
    assert middles[1] - middles[0] == pytest.approx([-10, 20], abs=0.6)
    assert views[1].sum() / views[0].sum() == pytest.approx(0.25, rel=0.03)


def test_colour_shows_the_albedo():
    ball = ellipsoid((0, 0, 0), (1, 1, 1), (0.9, 0.3, 0.1))
    brightness = render_views(ball, [0], size=32, colour=True).brightness
    assert brightness.shape == (1, 32, 32, 3)
    middle = brightness[0, 16, 16]
    assert middle / middle[0] == pytest.approx([1, 1 / 3, 1 / 9], rel=1e-5)


def test_a_part_that_crosses_the_mirror_plane_between_edges_is_refused():
    with pytest.raises(ValueError, match="across the mirror plane"):
        bilateral([ellipsoid((0.1, 0, 0), (1, 1, 1), 0.5)])


def test_background_is_seen_where_there_is_no_object():
    rendering = Rendering(np.full((1, 2, 2), 0.8, np.float32), np.array([[[0, 1], [0.5, 0]]], np.float32))
    assert rendering.on_background(0.5)[0].tolist() == [[128, 204], [166, 128]]
    assert rendering.foreground.tolist() == [[[False, True], [True, False]]]
