import numpy as np
import pytest
import trimesh

from neural_data.errors import InputError
from neurocompare.stimuli.chiral import N_CLASSES, chirality, twins
from neurocompare.stimuli.faces import FACE_MEASURES
from neurocompare.stimuli.scene import render_views
from neurocompare.stimuli.shapes import (
    CATEGORIES,
    CHIRAL,
    LEAST_DISTANCE,
    SYMMETRIC_TWINS,
    Family,
    draw_exemplars,
    family,
)

BILATERAL = [*CATEGORIES, *SYMMETRIC_TWINS]
VIEWS = (-90, -67.5, -45, -22.5, 0, 22.5, 45, 67.5, 90)


def name(one: Family) -> str:
    return one.category


def first(one: Family, seed: int = 0, detail: float = 0.35):
    return one.build(draw_exemplars(one, 1, rng=np.random.default_rng(seed))[0], detail)


@pytest.mark.parametrize("one", BILATERAL, ids=name)
def test_opposite_views_are_mirror_images_in_every_pixel(one):
    images = render_views(first(one), VIEWS, size=64).on_background()
    assert (images != images[::-1, :, ::-1]).sum() == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("one", BILATERAL, ids=name)
def test_random_exemplars_are_mirror_images_of_themselves_vertex_for_vertex(one, seed):
    shape = first(one, seed + 1)
    n, m = len(shape.vertices) // 2, len(shape.faces) // 2
    assert shape.bilateral
    assert np.array_equal(shape.vertices[:n] * [-1, 1, 1], shape.vertices[n:])
    assert np.array_equal(shape.normals[:n] * [-1, 1, 1], shape.normals[n:])
    assert np.array_equal(shape.albedo[:n], shape.albedo[n:])
    assert np.array_equal(shape.faces[:m][:, ::-1] + n, shape.faces[m:])


@pytest.mark.parametrize("one", BILATERAL, ids=name)
def test_rays_alone_find_opposite_views_mirrored(one):
    """Nothing is copied here: every view is traced by itself; grazing rays may round differently."""
    images = render_views(first(one), VIEWS, size=64, use_symmetry=False).on_background().astype(int)
    assert (np.abs(images - images[::-1, :, ::-1]) > 3).mean() < 2e-3


@pytest.mark.parametrize("one", [*CATEGORIES, *CHIRAL], ids=name)
def test_surfaces_are_finite_and_face_outwards(one):
    for seed in range(3):
        shape = first(one, seed)
        assert np.isfinite(shape.vertices).all()
        assert np.isfinite(shape.normals).all()
        assert (shape.albedo >= 0).all()
        assert shape.faces.min() >= 0
        assert shape.faces.max() < len(shape.vertices)
        # Divergence theorem: a closed surface whose normals point outwards encloses a positive volume.
        mesh = trimesh.Trimesh(shape.vertices, shape.faces, process=False)
        mesh.merge_vertices(digits_vertex=9)
        parts = mesh.split(only_watertight=True)
        assert len(parts) > 0
        assert all(part.volume > 0 for part in parts), [round(part.volume, 4) for part in parts]


def test_faces_have_an_identity_space_of_more_than_twenty_dimensions():
    assert len(FACE_MEASURES) > 40
    base = first(family("face"))
    changes = []
    for k in range(len(FACE_MEASURES)):
        scores = np.zeros(len(FACE_MEASURES))
        scores[k] = 1.5
        other = family("face").build(scores, 0.35)
        plain = family("face").build(0 * scores, 0.35)
        changes.append(
            np.concatenate([(other.vertices - plain.vertices).ravel(), (other.albedo - plain.albedo).ravel()])
        )
    assert base.vertices.shape == plain.vertices.shape  # vertices correspond between identities
    directions = np.array(changes)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    assert np.linalg.matrix_rank(directions, tol=0.05) == len(FACE_MEASURES)


def test_exemplars_are_no_near_duplicates_and_do_not_depend_on_their_number():
    one = family("chair")
    many = draw_exemplars(one, 40, rng=np.random.default_rng(3))
    few = draw_exemplars(one, 7, rng=np.random.default_rng(3))
    assert np.array_equal(many[:7], few)
    differences = np.sqrt(12 * ((many[:, None] - many) ** 2).mean(axis=-1))[np.triu_indices(40, 1)]
    assert differences.min() >= LEAST_DISTANCE
    assert differences.mean() == pytest.approx(2**0.5, rel=0.05)


def test_a_near_duplicate_is_drawn_anew():
    class Repeating:
        """Generator whose second vector is its first one again."""

        vectors = iter([np.full(18, 0.2), np.full(18, 0.2), np.full(18, 0.8)])

        def random(self, n):
            return next(self.vectors)

    assert draw_exemplars(family("car"), 2, rng=Repeating())[:, 0].tolist() == [0.2, 0.8]


def test_an_unknown_category_is_named_with_the_nearest_one():
    with pytest.raises(InputError, match="no shapes of category 'faces': did you mean 'face'"):
        family("faces")


@pytest.mark.parametrize("class_index", range(N_CLASSES))
def test_chiral_objects_differ_from_all_their_mirror_images_and_their_twins_do_not(class_index):
    measures = draw_exemplars(CHIRAL[class_index], 2, rng=np.random.default_rng(5))
    for row in measures:
        symmetric, chiral = twins(class_index, row)
        assert chirality(symmetric) < 1e-6
        assert chirality(chiral) > 0.15


def test_twins_are_made_of_the_same_parts():
    symmetric, chiral = twins(2, np.full(CHIRAL[2].n_measures, 0.5))

    def volumes(shape):
        mesh = trimesh.Trimesh(shape.vertices, shape.faces, process=False)
        mesh.merge_vertices(digits_vertex=9)
        return sorted(round(part.volume, 6) for part in mesh.split(only_watertight=True))

    assert volumes(symmetric) == pytest.approx(volumes(chiral), abs=1e-5)
    assert np.allclose(np.ptp(symmetric.vertices[:, 1]), np.ptp(chiral.vertices[:, 1]))
    # turning about the upright axis keeps every vertex's height and distance from the axis
    reach = [np.sort(np.hypot(s.vertices[:, 0], s.vertices[:, 2]).round(6))[-200:] for s in (symmetric, chiral)]
    assert np.allclose(*reach, atol=1e-5)
