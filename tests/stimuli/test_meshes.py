import json
import struct

import numpy as np
import pytest
import trimesh
from PIL import Image

from neural_data.errors import InputError
from neurocompare.stimuli.meshes import mesh_views, read_mesh
from neurocompare.stimuli.scene import render_views

FORMATS = ["obj", "ply", "stl", "glb"]


@pytest.fixture
def arrow():
    """Body whose nose points to +z, with a hump on its left (-x) side."""
    nose = trimesh.creation.cone(radius=0.3, height=1.0)
    hump = trimesh.creation.icosphere(subdivisions=2, radius=0.3)
    hump.apply_translation([-0.5, 0, 0])
    return trimesh.util.concatenate([trimesh.creation.icosphere(subdivisions=3, radius=0.6), nose, hump])


@pytest.mark.parametrize("suffix", FORMATS)
def test_all_formats_give_the_same_picture(arrow, tmp_path, suffix):
    arrow.export(tmp_path / f"arrow.{suffix}")
    shape = read_mesh(tmp_path / f"arrow.{suffix}")
    assert np.ptp(shape.vertices, axis=0).max() == pytest.approx(2)
    assert np.abs(shape.vertices.max(axis=0) + shape.vertices.min(axis=0)).max() < 1e-6
    arrow.export(tmp_path / "other.ply")
    views = [render_views(s, [-90, 0, 90], size=48).coverage for s in (shape, read_mesh(tmp_path / "other.ply"))]
    assert np.abs(views[0] - views[1]).mean() < 1e-3
    left = views[0][0] > 0.5  # the nose points to the viewer's left at -90 degrees: thinner there
    assert left[:, :24].sum() < left[:, 24:].sum()


@pytest.mark.parametrize(
    ("up", "front", "turn"),
    [("z", "-y", [[1, 0, 0], [0, 0, -1], [0, 1, 0]]), ("-y", "z", [[-1, 0, 0], [0, -1, 0], [0, 0, 1]])],
)
def test_named_axes_turn_the_mesh_upright(arrow, tmp_path, up, front, turn):
    arrow.export(tmp_path / "upright.ply")
    turned = arrow.copy()
    turned.vertices = turned.vertices @ np.array(turn).T
    turned.export(tmp_path / "turned.ply")
    expected, found = read_mesh(tmp_path / "upright.ply"), read_mesh(tmp_path / "turned.ply", up=up, front=front)
    assert np.allclose(np.sort(expected.vertices, axis=0), np.sort(found.vertices, axis=0), atol=1e-5)
    views = [render_views(s, [-60, 20], size=48).coverage for s in (expected, found)]
    assert np.abs(views[0] - views[1]).mean() < 1e-3


def test_edges_of_a_box_stay_sharp_and_a_sphere_smooth(tmp_path):
    trimesh.creation.box().export(tmp_path / "box.stl")
    trimesh.creation.icosphere(subdivisions=3).export(tmp_path / "ball.stl")
    box, ball = read_mesh(tmp_path / "box.stl"), read_mesh(tmp_path / "ball.stl")
    assert np.allclose(np.abs(box.normals[box.faces]).max(axis=-1), 1)
    used = np.unique(ball.faces)
    assert (np.einsum("ij,ij->i", ball.normals[used], ball.vertices[used]) > 0.999).all()


def test_colours_become_albedo(tmp_path):
    ball = trimesh.creation.icosphere(subdivisions=3)
    ball.visual.vertex_colors = np.where(ball.vertices[:, :1] > 0, [[255, 255, 255, 255]], [[60, 60, 60, 255]])
    ball.export(tmp_path / "ball.ply")
    view = render_views(read_mesh(tmp_path / "ball.ply"), [0], size=48).brightness[0]
    assert view[20, 36] > 4 * view[20, 12]


def test_textures_become_albedo(tmp_path):
    image = Image.fromarray(np.repeat(np.array([[[255] * 3, [40] * 3]], np.uint8), 2, axis=0))
    ball = trimesh.creation.icosphere(subdivisions=3)
    uv = np.column_stack([np.where(ball.vertices[:, 0] > 0, 0.9, 0.1), np.full(len(ball.vertices), 0.5)])
    ball.visual = trimesh.visual.TextureVisuals(uv=uv, image=image)
    ball.export(tmp_path / "ball.glb")
    view = render_views(read_mesh(tmp_path / "ball.glb"), [0], size=48).brightness[0]
    assert view[20, 12] > 4 * view[20, 36]


def test_a_folder_of_meshes_becomes_a_stimulus_set(arrow, tmp_path):
    arrow.export(tmp_path / "b.ply")
    trimesh.creation.box().export(tmp_path / "a.obj")
    seen = []
    stimuli = mesh_views(tmp_path, (45, 0), category="thing", size=32, progress=lambda *done: seen.append(done))
    assert stimuli.ids == ["a_az0", "a_az45", "b_az0", "b_az45"]
    assert stimuli.pixels.shape == (4, 32, 32)
    assert seen == [(2, 4), (4, 4)]
    bare = mesh_views({"only": tmp_path / "b.ply"}, [0], size=32, luminance="none")
    assert bare.ids == ["only_az0"]


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def glb_with_texture(image: dict) -> bytes:
    header = json.dumps({"asset": {"version": "2.0"}, "images": [image], "bufferViews": [], "meshes": []}).encode()
    header += b" " * (-len(header) % 4)
    return b"glTF" + struct.pack("<III", 2, 20 + len(header), len(header)) + b"JSON" + header


PLY = (
    "ply\nformat ascii 1.0\nelement vertex {n}\nproperty float x\nproperty float y\nproperty float z\n"
    "{faces}end_header\n"
)
FACE = "element face 1\nproperty list uchar int vertex_indices\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.obj", "", r"is empty \(0 bytes\)"),
        ("comment.obj", "# nothing\n", "holds no mesh|no triangles|not readable"),
        ("points.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\n", "no triangles"),
        ("points.ply", PLY.format(n=2, faces="") + "0 0 0\n1 1 1\n", "no triangles"),
        ("nan.obj", "v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "1 of 3 vertices are not finite"),
        ("inf.ply", PLY.format(n=3, faces=FACE) + "0 0 0\n1 0 0\n0 inf 0\n3 0 1 2\n", "1 of 3 vertices are not finite"),
        ("point.obj", "v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n", "all vertices lie in one point"),
        ("line.obj", "v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", "without area"),
        ("broken.glb", b"glTF\x02\x00", "not readable as a mesh"),
        ("garbage.glb", b"\x00" * 64, "not readable as a mesh"),
        ("garbage.ply", b"\x00\xff" * 64, "not readable as a mesh"),
        ("bare.glb", glb_with_texture({"uri": "skin.png"}), "its texture 'skin.png' is missing"),
        (
            "hollow.glb",
            glb_with_texture({"bufferView": 3, "mimeType": "image/png"}),
            "is missing from the file",
        ),
        ("mesh.fbx", b"x", "no mesh format that is read"),
    ],
)
def test_bad_meshes_are_refused(tmp_path, name, content, message):
    write(tmp_path / name, content)
    with pytest.raises(InputError, match=message) as error:
        read_mesh(tmp_path / name)
    assert name in str(error.value)


def test_a_missing_obj_texture_is_refused(tmp_path):
    write(tmp_path / "m.mtl", "newmtl skin\nmap_Kd skin.png\n")
    write(tmp_path / "m.obj", "mtllib m.mtl\nusemtl skin\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with pytest.raises(InputError, match=r"m\.obj: its texture 'skin\.png' is missing"):
        read_mesh(tmp_path / "m.obj")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"up": "Y"}, "up is 'Y'; did you mean|up is 'Y'; known are"),
        ({"front": "forward"}, "front is 'forward'"),
        ({"up": "z", "front": "-z"}, "same axis"),
    ],
)
def test_axes_that_do_not_fit_are_refused(arrow, tmp_path, options, message):
    arrow.export(tmp_path / "arrow.ply")
    with pytest.raises(InputError, match=message):
        read_mesh(tmp_path / "arrow.ply", **options)


def test_folders_without_meshes_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no mesh"):
        mesh_views(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        mesh_views(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no such mesh"):
        read_mesh(tmp_path / "gone.obj")
