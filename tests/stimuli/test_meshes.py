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
        ("flat.obj", "v 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "line 1, 'v 0 0': a vertex needs x, y and z"),
        ("inf.ply", PLY.format(n=3, faces=FACE) + "0 0 0\n1 0 0\n0 inf 0\n3 0 1 2\n", "1 of 3 vertices are not finite"),
        ("point.obj", "v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n", "all vertices lie in one point"),
        ("line.obj", "v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", "zero area"),
        ("broken.glb", b"glTF\x02\x00", "not readable as a mesh"),
        ("garbage.glb", b"\x00" * 64, "not readable as a mesh"),
        ("garbage.ply", b"\x00\xff" * 64, "not readable as a mesh"),
        ("bare.glb", glb_with_texture({"uri": "skin.png"}), "its texture 'skin.png' is missing"),
        (
            "hollow.glb",
            glb_with_texture({"bufferView": 3, "mimeType": "image/png"}),
            "is missing from the file",
        ),
        ("mesh.fbx", b"x", "not in a mesh format that can be read"),
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


TETRA = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nvt 0 0\nvt 1 0\nvt 0 1\n"
FACES = "f 1/1 3/3 2/2\nf 1/1 2/2 4/3\nf 1/1 4/2 3/3\nf 2/1 3/2 4/3\n"
LINEAR = ((np.array([220, 30, 30]) / 255 + 0.055) / 1.055) ** 2.4


def obj(folder, material, *, library="m.mtl", name="m.obj", faces=FACES, texture="t.png"):
    if texture is not None:
        (folder / texture).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (220, 30, 30)).save(folder / texture)
    write(folder / "m.mtl", f"newmtl a\n{material}\n")
    write(folder / name, f"mtllib {library}\nusemtl a\n{TETRA}{faces}")
    return folder / name


@pytest.mark.parametrize(
    ("line", "texture"),
    [
        ("map_Kd t.png", "t.png"),
        ("map_Kd my  face.png", "my  face.png"),
        ("map_Kd -s 1 1 1 t.png", "t.png"),
        ("map_Kd -o 0.1 -clamp on -bm 1 t.png", "t.png"),
        ("map_Kd -blendu off -mm 0 1 t.png", "t.png"),
        ("map_Kd sub\\t.png", "sub/t.png"),
        ("MAP_KD T.PNG", "t.png"),
        ('map_Kd "t.png" ', "t.png"),
    ],
)
def test_textures_are_found_whatever_their_line_looks_like(tmp_path, line, texture):
    shape = read_mesh(obj(tmp_path, line, texture=texture))
    np.testing.assert_allclose(shape.albedo, np.broadcast_to(LINEAR, shape.albedo.shape), atol=1e-9)


def test_an_image_is_scaled_and_moved_as_its_options_say(tmp_path):
    path = obj(tmp_path, "map_Kd -s 0.3 1 -o 0.65 0 t.png")
    Image.fromarray(np.array([[[0] * 3] * 4 + [[255] * 3] * 4] * 2, np.uint8)).save(tmp_path / "t.png")
    moved = read_mesh(path)
    Image.fromarray(np.array([[[255] * 3] * 4 + [[0] * 3] * 4] * 2, np.uint8)).save(tmp_path / "t.png")
    assert moved.albedo.mean() > 0.7, "the right half of the image is white"
    assert read_mesh(path).albedo.mean() < 0.3


def test_colours_are_linear_or_displayed_as_each_format_defines(tmp_path):
    half = (0.5 + 0.055) / 1.055
    by_kd = read_mesh(obj(tmp_path, "Kd 0.25 0.5 1"))
    np.testing.assert_allclose(np.unique(by_kd.albedo, axis=0), [[0.25, 0.5, 1]])
    times = read_mesh(obj(tmp_path, "Kd 0.5 0.5 0.5\nmap_Kd t.png"))
    np.testing.assert_allclose(times.albedo[0], LINEAR / 2, atol=1e-9)
    ball = trimesh.creation.icosphere(subdivisions=1)
    ball.visual = trimesh.visual.TextureVisuals(
        material=trimesh.visual.material.PBRMaterial(baseColorFactor=[51, 102, 204, 255])
    )
    ball.export(tmp_path / "factor.glb")
    np.testing.assert_allclose(read_mesh(tmp_path / "factor.glb").albedo[0], [0.2, 0.4, 0.8], atol=1e-6)
    ball = trimesh.creation.icosphere(subdivisions=1)
    ball.visual.vertex_colors = np.full((len(ball.vertices), 4), [128, 128, 128, 255], np.uint8)
    for suffix, expected in (("ply", half**2.4), ("glb", 128 / 255)):
        ball.export(tmp_path / f"grey.{suffix}")
        assert read_mesh(tmp_path / f"grey.{suffix}").albedo[0, 0] == pytest.approx(expected, abs=3e-3)


def test_every_material_keeps_its_colour(tmp_path):
    path = obj(tmp_path, "Kd 1 0 0\nnewmtl b c\nKd 0 0 1", faces="f 1 3 2\nf 1 2 4\nusemtl b c\nf 1 4 3\nf 2 3 4\n")
    assert np.unique(read_mesh(path).albedo, axis=0).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_faces_of_a_ply_keep_their_colours(tmp_path):
    box = trimesh.creation.box()
    box.visual.face_colors = np.where(np.arange(12)[:, None] < 6, [[255, 0, 0, 255]], [[0, 255, 0, 255]])
    box.export(tmp_path / "box.ply")
    assert np.unique(read_mesh(tmp_path / "box.ply").albedo.round(6), axis=0).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_a_texture_that_is_finer_than_the_surface_is_seen(tmp_path):
    path = obj(tmp_path, "map_Kd t.png")
    checks = (np.indices((32, 32)).sum(0) // 4 % 2 * 255).astype(np.uint8)
    Image.fromarray(checks).save(tmp_path / "t.png")
    shape = read_mesh(path)
    assert shape.albedo[:, 0].std() > 0.35
    assert abs(shape.albedo.mean() - 0.5) < 0.05
    edges = np.linalg.norm(shape.vertices[shape.faces[:, 0]] - shape.vertices[shape.faces[:, 1]], axis=1)
    assert edges.max() < 0.3
    first, second, third = shape.vertices[shape.faces].transpose(1, 0, 2)
    volume = np.einsum("ij,ij->i", first, np.cross(second, third)).sum() / 6
    assert volume == pytest.approx(8 / 6, rel=1e-6), "the surface stays closed and where it was"


def damaged(how):
    def damage(folder):
        path = obj(folder, "map_Kd t.png")
        how(folder)
        return path

    return damage


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (damaged(lambda f: write(f / "t.png", "")), "its texture 't.png': is empty"),
        (damaged(lambda f: write(f / "t.png", "no image")), "its texture 't.png' is not a readable image"),
        (damaged(lambda f: (f / "m.mtl").unlink()), "its material file 'm.mtl' is missing"),
        (damaged(lambda f: write(f / "m.mtl", "newmtl b\nKd 1 1 1\n")), "its material 'a' is in none"),
        (lambda f: obj(f, "Kd 1 x 0"), "Kd of 'a' is '1 x 0'; three numbers"),
        (lambda f: obj(f, "Kd 2 0 0"), "three numbers from 0 to 1"),
        (lambda f: obj(f, "map_Kd -s 2"), "names no image"),
        (lambda f: obj(f, "map_Kd -mm 0.1 2 t.png"), "the option -mm is not supported"),
        (lambda f: obj(f, "map_Kd ../t.png"), "lies outside that folder"),
        (lambda f: obj(f, "map_Kd /etc/hostname"), "lies outside that folder"),
        (lambda f: obj(f, "Kd 1 1 1", library="/etc/hostname"), "lies outside that folder"),
        (lambda f: obj(f, "Kd 1 1 1", library="../m.mtl"), "lies outside that folder"),
        (lambda f: obj(f, "map_Kd t.png", faces="f 1 3 2\nf 1 2 4\n"), "no texture coordinates"),
        (lambda f: obj(f, "map_Kd t.png", faces=f"vt inf 0\n{FACES}f 1/4 3/3 2/2\n"), "coordinates are not finite"),
    ],
)
def test_colours_that_cannot_be_right_are_refused(tmp_path, make, message):
    (tmp_path / "in").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "t.png")
    with pytest.raises(InputError, match=message):
        read_mesh(make(tmp_path / "in"))


def gltf(folder, **changes):
    positions = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], "<f4").tobytes()
    indices = np.array([0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3], "<u2").tobytes()
    (folder / "b.bin").write_bytes(positions + indices)
    tree = {
        "asset": {"version": "2.0"},
        "buffers": [{"uri": "b.bin", "byteLength": len(positions + indices)}],
        "bufferViews": [
            {"buffer": 0, "byteLength": len(positions)},
            {"buffer": 0, "byteOffset": len(positions), "byteLength": len(indices)},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 12, "type": "SCALAR"},
        ],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "nodes": [{"mesh": 0}],
        "scenes": [{"nodes": [0]}],
        "scene": 0,
    } | changes
    write(folder / "m.gltf", json.dumps(tree))
    return folder / "m.gltf"


def test_a_gltf_reads_its_own_folder_and_nothing_else(tmp_path):
    assert len(read_mesh(gltf(tmp_path)).faces) == 4
    for uri in ("../b.bin", "/etc/hostname"):
        with pytest.raises(InputError, match="lies outside that folder"):
            read_mesh(gltf(tmp_path, buffers=[{"uri": uri, "byteLength": 72}]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accessors": [{"componentType": 5126, "count": 2**30, "type": "VEC3"}] * 2}, "an accessor of 1,073,741,824"),
        ({"nodes": [{"children": [1]}, {"children": [0], "mesh": 0}, {"children": [1]}]}, "two parents"),
        ({"images": [{"uri": "data:image/png;base64,AAAA"}]}, "is not a readable image"),
        ({"images": [{"uri": "none.png"}]}, "its texture 'none.png' is missing"),
        (
            {"materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0, "texCoord": 1}}}]},
            "second set of coordinates",
        ),
    ],
)
def test_a_gltf_that_claims_too_much_or_lacks_something_is_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        read_mesh(gltf(tmp_path, **changes))


def head():
    mesh = trimesh.creation.icosphere(subdivisions=3)
    mesh.vertices *= [1, 1.2, 0.8]
    return mesh


@pytest.mark.parametrize("turned", ["all", "half", "one part of two"])
@pytest.mark.parametrize("suffix", ["stl", "ply"])
def test_triangles_that_wind_the_wrong_way_are_turned(tmp_path, caplog, turned, suffix):
    mesh = head()
    if turned == "one part of two":
        second = trimesh.creation.icosphere(subdivisions=1, radius=0.2)
        second.apply_translation([0, 0, 1])
        mesh = trimesh.util.concatenate([mesh, second])
    mesh.export(tmp_path / f"right.{suffix}")
    faces = mesh.faces.copy()
    wrong = {
        "all": np.ones(len(faces), bool),
        "half": np.random.default_rng(0).random(len(faces)) < 0.5,
        "one part of two": np.arange(len(faces)) >= 1280,
    }[turned]
    faces[wrong] = faces[wrong][:, ::-1]
    trimesh.Trimesh(mesh.vertices, faces, process=False).export(tmp_path / f"wrong.{suffix}")
    expected, found = (
        render_views(read_mesh(tmp_path / f"{name}.{suffix}"), [0], size=32).brightness for name in ("right", "wrong")
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert f"{wrong.sum()} of {len(faces)} triangles had the wrong winding" in caplog.text


def test_a_surface_with_one_side_is_read_where_hardly_any_edge_conflicts(tmp_path):
    around = np.linspace(0, 2 * np.pi, 25)[:-1]
    half = np.stack([np.cos(around / 2) * np.cos(around), np.cos(around / 2) * np.sin(around), np.sin(around / 2)], 1)
    middle = np.stack([np.cos(around), np.sin(around), 0 * around], 1)
    vertices = np.concatenate([middle + 0.3 * half, middle - 0.3 * half])
    following = [(i + 1) % 24 for i in range(24)]
    faces = []
    for i, j in enumerate(following):
        a, b, c, d = (i, i + 24, j, j + 24) if j else (i, i + 24, 24, 0)
        faces += [[a, b, c], [b, d, c]]
    trimesh.Trimesh(vertices, np.array(faces * 1), process=False).export(tmp_path / "moebius.ply")
    shape = read_mesh(tmp_path / "moebius.ply")  # one edge of 48 conflicts: it is read
    assert len(shape.faces) == 48


def test_a_large_texture_is_averaged_in_linear_light(tmp_path, monkeypatch):
    monkeypatch.setattr("neurocompare.stimuli.mesh_files.MOST_TEXELS", 8)
    checks = np.zeros((64, 60), np.uint8)
    checks[::2] = 255
    path = obj(tmp_path, "map_Kd t.png")
    Image.fromarray(checks).save(tmp_path / "t.png")
    np.testing.assert_allclose(read_mesh(path).albedo, 0.5, atol=1e-6)
