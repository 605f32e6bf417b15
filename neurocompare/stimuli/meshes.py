"""Users' own meshes: read, checked, turned upright, rendered like the shapes of this package.

OBJ, PLY, STL, GLB and GLTF, through ``trimesh``. Nothing is fetched from elsewhere and no code in a file is run.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import trimesh

from neural_data import StimulusSet
from neural_data.errors import InputError, closest
from neurocompare.stimuli.geometry import Shape
from neurocompare.stimuli.luminance import match_luminance
from neurocompare.stimuli.scene import render_views
from neurocompare.stimuli.sets import FOREGROUND_MEAN, FOREGROUND_SD, VIEWS_DEG, Progress

__all__ = ["mesh_views", "read_mesh"]

MESH_SUFFIXES = (".obj", ".ply", ".stl", ".glb", ".gltf")
AXES = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1), "-x": (-1, 0, 0), "-y": (0, -1, 0), "-z": (0, 0, -1)}
PLAIN_ALBEDO = 0.6
"""Of meshes without colours."""
MAX_FACES = 20_000_000
CREASE_DEG = 25.0
"""A triangle that leans farther from the mean normal of its corner than this keeps its own: edges stay sharp."""


def read_mesh(path: str | Path, *, up: str = "y", front: str = "z") -> Shape:
    """Shape of a mesh file.

    Parameters
    ----------
    path : str or Path
        OBJ, PLY, STL, GLB or GLTF. Colours of vertices and faces, materials and textures become albedo.
    up : {"x", "y", "z", "-x", "-y", "-z"}
        Axis of the file that points up.
    front : {"x", "y", "z", "-x", "-y", "-z"}
        Axis of the file along which the object looks: at azimuth 0 it points to the viewer.

    Returns
    -------
    Shape
        Its largest extent is 2, and the middle of its extent the origin. Not marked as bilateral.

    Raises
    ------
    InputError
        If the file is missing, no mesh, empty, has no triangles, vertices that are no numbers or no extent, lacks a
        texture that it names, or the axes do not fit.
    """
    path = Path(path)
    if path.suffix.lower() not in MESH_SUFFIXES:
        raise InputError(f"{path}: no mesh format that is read ({', '.join(MESH_SUFFIXES)})")
    for what, axis in (("up", up), ("front", front)):
        if axis not in AXES:
            raise InputError(f"{path}: {what} is {axis!r}; {closest(axis, AXES)}")
    if up[-1] == front[-1]:
        raise InputError(f"{path}: up {up!r} and front {front!r} lie along the same axis; name two different ones")
    if not path.is_file():
        raise InputError(f"{path}: no such mesh")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes); replace the file")
    _check_textures(path)
    vertices, faces, albedo = _load(path)
    if not np.isfinite(vertices).all():
        wrong = np.flatnonzero(~np.isfinite(vertices).all(axis=1))
        raise InputError(
            f"{path}: {len(wrong)} of {len(vertices)} vertices are not finite (the first is vertex {wrong[0]}); export "
            "the mesh anew"
        )
    if len(faces) == 0:
        raise InputError(f"{path}: {len(vertices)} vertices and no triangles; export faces, not a point cloud")
    if len(faces) > MAX_FACES:
        raise InputError(f"{path}: {len(faces):,} triangles; at most {MAX_FACES:,} are read, so simplify it first")
    upward, forward = np.array(AXES[up], dtype=float), np.array(AXES[front], dtype=float)
    axes = np.stack([np.cross(upward, forward), upward, forward])
    used = np.unique(faces)
    low, high = vertices[used].min(axis=0), vertices[used].max(axis=0)
    extent = (high - low).max() / 2
    if not extent > 0:
        raise InputError(f"{path}: all vertices lie in one point; export the mesh anew")
    vertices = (vertices - (low + high) / 2) / extent @ axes.T
    shape = _with_normals(vertices, faces, albedo)
    if len(shape.faces) == 0:
        raise InputError(f"{path}: all of its {len(faces)} triangles are without area; export it anew")
    return shape


def mesh_views(
    meshes: Mapping[str, str | Path] | str | Path,
    azimuths_deg: Sequence[float] = VIEWS_DEG,
    *,
    up: str = "y",
    front: str = "z",
    category: str = "",
    size: int = 224,
    luminance: str = "match",
    progress: Progress | None = None,
) -> StimulusSet:
    """Views of users' own meshes, rendered and matched like the built-in objects.

    Parameters
    ----------
    meshes : mapping from identity to path, or folder
        In a folder every mesh file is an identity, named by its file.
    azimuths_deg : sequence of float
        0 shows the front; below 0 the front points to the viewer's left.
    up, front : str
        As in :func:`read_mesh`, for all meshes.
    category : str
    size : int
        Height and width of the images, pixels.
    luminance : {"match", "none"}
    progress : callable or None
        Called with the number of images done and their total.

    Returns
    -------
    StimulusSet
        In memory, sorted by identity and azimuth.

    Raises
    ------
    InputError
        If there is no mesh or one cannot be used.
    """
    if luminance not in ("match", "none"):
        raise InputError(f"no luminance matching {luminance!r} for meshes: {closest(luminance, ('match', 'none'))}")
    if isinstance(meshes, (str, Path)):
        folder = Path(meshes)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder of meshes")
        meshes = {p.stem: p for p in sorted(folder.iterdir()) if p.suffix.lower() in MESH_SUFFIXES}
        if not meshes:
            raise InputError(f"{folder}: holds no mesh ({', '.join(MESH_SUFFIXES)})")
    azimuths = sorted(set(map(float, azimuths_deg)))
    rows, pixels = [], []
    for identity, path in meshes.items():
        rendering = render_views(read_mesh(path, up=up, front=front), azimuths, size=size)
        matched = luminance == "match"
        pixels.append(
            match_luminance(rendering, mean=FOREGROUND_MEAN, sd=FOREGROUND_SD) if matched else rendering.on_background()
        )
        rows += [(f"{identity}_az{a:g}", f"{identity}_az{a:g}.png", category, identity, a) for a in azimuths]
        if progress is not None:
            progress(len(rows), len(meshes) * len(azimuths))
    table = pd.DataFrame(rows, columns=["stimulus_id", "filename", "category", "identity", "azimuth_deg"])
    return StimulusSet(table.set_index("stimulus_id"), pixels=np.concatenate(pixels), name="rendered meshes")


def _load(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, faces and albedo of all meshes in a file, placed as its scene places them."""
    try:
        loaded = trimesh.load_scene(path, process=False)
        parts = [g for g in loaded.dump(concatenate=False) if isinstance(g, trimesh.Trimesh)]
        clouds = [g for g in loaded.geometry.values() if not isinstance(g, trimesh.Trimesh)]
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: not readable as a mesh ({type(error).__name__}: {error}); export it anew") from error
    if not parts:
        n = sum(len(getattr(cloud, "vertices", ())) for cloud in clouds)
        if n:
            raise InputError(f"{path}: {n} vertices and no triangles; export faces, not a point cloud")
        raise InputError(f"{path}: holds no mesh")
    offsets = np.cumsum([0, *(len(part.vertices) for part in parts[:-1])])
    vertices = np.concatenate([np.asarray(part.vertices, dtype=float) for part in parts])
    faces = np.concatenate([np.asarray(part.faces) + offset for part, offset in zip(parts, offsets, strict=True)])
    return vertices, faces.astype(np.int64), np.concatenate([_albedo(part) for part in parts])


def _albedo(part: trimesh.Trimesh) -> np.ndarray:
    """Albedo of every vertex, linear 0..1; displayed colours are undone with gamma 2.2."""
    visual = part.visual
    plain = np.full((len(part.vertices), 3), PLAIN_ALBEDO)
    if not visual.defined:
        return plain
    if visual.kind == "texture":
        visual = visual.to_color()
    colours = np.asarray(visual.vertex_colors, dtype=float)
    if colours.shape[0] != len(part.vertices):
        return plain
    return (colours[:, :3] / 255) ** 2.2


def _check_textures(path: Path) -> None:
    """Refuse a file that names an image which is not there; readers would silently paint it gray."""
    for name in _images_named_by(path):
        if not name.startswith("data:") and not (path.parent / name).is_file():
            raise InputError(f"{path}: its texture {name!r} is missing; put it beside the mesh, or export without")


def _images_named_by(path: Path) -> list[str]:
    suffix = path.suffix.lower()
    if suffix == ".obj":
        materials = [line.split(maxsplit=1)[1].strip() for line in _lines(path) if line.startswith("mtllib ")]
        files = [path.parent / m for m in materials if (path.parent / m).is_file()]
        lines = [line.strip() for file in files for line in _lines(file)]
        return [line.split()[-1] for line in lines if line.lower().startswith("map_kd ")]
    if suffix == ".gltf":
        header = path.read_bytes()
    elif suffix == ".glb":
        with path.open("rb") as file:
            start = file.read(20)
            if len(start) < 20 or start[:4] != b"glTF":
                raise InputError(f"{path}: not readable as a mesh (it does not start as a GLB); export it anew")
            header = file.read(struct.unpack("<I", start[12:16])[0])
    else:
        return []
    try:
        tree = json.loads(header)
        images = tree.get("images", [])
        n_views = len(tree.get("bufferViews", []))
        for image in images:
            if "uri" not in image and not 0 <= image.get("bufferView", -1) < n_views:
                raise InputError(f"{path}: one of its textures is missing from the file; export it anew")
        return [image["uri"] for image in images if "uri" in image]
    except (ValueError, AttributeError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not readable as a mesh (its header is broken: {error}); export it anew") from error


def _lines(path: Path):
    with path.open(encoding="utf-8", errors="replace") as file:
        yield from file


def _with_normals(vertices: np.ndarray, faces: np.ndarray, albedo: np.ndarray) -> Shape:
    """Shape with smooth normals where the surface is smooth and a normal of its own for each corner at creases.

    Vertices lie within -1..1. Triangles without area are left out.
    """
    place, first = _places(vertices)
    if np.array_equal(albedo, albedo[first][place]):
        # Files that repeat a vertex for every triangle (STL) share it from here on.
        vertices, albedo, faces, place = vertices[first], albedo[first], place[faces], np.arange(len(first))
    corners = vertices[faces]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(flat, axis=1)
    kept = area > 0
    faces, flat, area = faces[kept], flat[kept], area[kept]
    at_place = place[faces]
    sums = np.zeros((len(first), 3))
    for axis in range(3):
        sums[:, axis] = np.bincount(at_place.ravel(), weights=np.repeat(flat[:, axis], 3), minlength=len(sums))
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    smooth = np.divide(sums, length, out=np.zeros_like(sums), where=length > 0)
    own = flat / area[:, None]
    soft = np.einsum("fcx,fx->fc", smooth[at_place], own) >= np.cos(np.deg2rad(CREASE_DEG))
    creased = ~soft.all(axis=1)
    # A creased triangle gets corners of its own; all others share theirs.
    split = faces[creased].ravel()
    normals = np.where(soft[creased].ravel()[:, None], smooth[place[split]], np.repeat(own[creased], 3, axis=0))
    new = np.arange(len(split)).reshape(-1, 3) + len(vertices)
    faces = np.concatenate([faces[~creased], new])
    used = np.zeros(len(vertices) + len(split), dtype=bool)
    used[faces] = True
    return Shape(
        np.concatenate([vertices, vertices[split]])[used],
        (np.cumsum(used) - 1)[faces],
        np.concatenate([smooth[place], normals])[used],
        np.concatenate([albedo, albedo[split]])[used],
    )


def _places(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct positions, to one millionth: the number of each vertex's, and a vertex of each."""
    steps = np.rint((vertices + 1.0) * 1e6).astype(np.int64)
    keys = (steps[:, 0] << 42) | (steps[:, 1] << 21) | steps[:, 2]
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    return place.ravel(), first
