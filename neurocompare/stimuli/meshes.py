"""Users' own meshes: read, checked, oriented, and rendered like the shapes of this package.

OBJ, PLY, STL, GLB and GLTF, through ``trimesh``. Nothing is downloaded and no code in a file is run.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from neural_data import StimulusSet
from neural_data.errors import InputError, closest
from neural_data.formats.bounds import checked_folder, visible_files
from neurocompare.stimuli.geometry import Shape
from neurocompare.stimuli.mesh_files import MESH_SUFFIXES, Surface, read_surface
from neurocompare.stimuli.mesh_repair import refined, sampled, vertex_normals, wound_outwards
from neurocompare.stimuli.scene import render_views
from neurocompare.stimuli.sets import LUMINANCE_BY_IMAGE, VIEWS_DEG, ImageProgress

__all__ = ["mesh_views", "read_mesh"]

log = logging.getLogger(__name__)

MESH_AXES = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1), "-x": (-1, 0, 0), "-y": (0, -1, 0), "-z": (0, 0, -1)}
MAX_FACES = 20_000_000
MOST_CONFLICTS = 0.05
"""Largest share of edges whose triangles disagree in winding; beyond it the surface has no defined outside."""


def read_mesh(path: str | Path, *, up: str = "y", front: str = "z") -> Shape:
    """Shape of a mesh file.

    Parameters
    ----------
    path : str or Path
        OBJ, PLY, STL, GLB or GLTF. Colours of vertices and faces, materials and textures become albedo, by the
        definition of each format (see ``mesh_files``); triangles are split where a texture is finer than they are.
    up : {"x", "y", "z", "-x", "-y", "-z"}
        Axis of the file that points up.
    front : {"x", "y", "z", "-x", "-y", "-z"}
        Axis of the file that points to the front of the object: at azimuth 0 it points to the viewer.

    Returns
    -------
    Shape
        Largest extent 2, centred on the origin; not marked as bilateral. Triangles wound against their neighbours, and
        closed surfaces that are inside out, are turned; the log reports it.

    Raises
    ------
    InputError
        If the file is missing, empty or not a mesh; has no triangles, vertices that are not finite, no extent or no
        outside; refers to a material or texture that is missing, damaged or outside its folder; or the axes coincide.
    """
    path = Path(path)
    if path.suffix.lower() not in MESH_SUFFIXES:
        raise InputError(f"{path}: is not in a mesh format that can be read ({', '.join(MESH_SUFFIXES)})")
    for what, axis in (("up", up), ("front", front)):
        if axis not in MESH_AXES:
            raise InputError(f"{path}: {what} is {axis!r}; {closest(axis, MESH_AXES)}")
    if up[-1] == front[-1]:
        raise InputError(f"{path}: up {up!r} and front {front!r} are on the same axis; name two different ones")
    surface = read_surface(path)
    vertices, faces = surface.vertices, surface.faces
    if not np.isfinite(vertices).all():
        wrong = np.flatnonzero(~np.isfinite(vertices).all(axis=1))
        raise InputError(
            f"{path}: {len(wrong)} of {len(vertices)} vertices are not finite (the first is vertex {wrong[0]}); export "
            "the mesh anew"
        )
    if not np.isfinite(surface.uv).all():
        raise InputError(f"{path}: some of its texture coordinates are not finite; export the mesh again")
    if len(faces) == 0:
        raise InputError(f"{path}: {len(vertices)} vertices and no triangles; export faces, not a point cloud")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise InputError(f"{path}: a triangle names vertex {faces.max()} of {len(vertices)}; export the mesh again")
    if len(faces) > MAX_FACES:
        raise InputError(f"{path}: {len(faces):,} triangles; at most {MAX_FACES:,} are read, so simplify it first")
    upward, forward = np.array(MESH_AXES[up], dtype=float), np.array(MESH_AXES[front], dtype=float)
    axes = np.stack([np.cross(upward, forward), upward, forward])
    used = np.unique(faces)
    low, high = vertices[used].min(axis=0), vertices[used].max(axis=0)
    extent = (high - low).max() / 2
    if not extent > 0:
        raise InputError(f"{path}: all vertices lie in one point; export the mesh again")
    vertices = (vertices - (low + high) / 2) / extent @ axes.T
    faces, n_turned, n_conflicts = wound_outwards(vertices, faces)
    if n_conflicts > MOST_CONFLICTS * 1.5 * len(faces):
        raise InputError(
            f"{path}: {n_conflicts:,} edges join triangles with contradictory winding, so the surface has no outside; "
            "export it again, with consistent normals"
        )
    if n_turned:
        log.warning("%s: %d of %d triangles had the wrong winding and were reversed", path, n_turned, len(faces))
    shape = _with_light(vertices, faces, surface)
    if len(shape.faces) == 0:
        raise InputError(f"{path}: all of its {len(faces)} triangles have zero area; export it again")
    return shape


def _with_light(vertices: np.ndarray, faces: np.ndarray, surface: Surface) -> Shape:
    """Shape with normals, and albedo at the resolution of the textures."""
    attributes = np.column_stack([surface.uv, surface.texture, surface.base])
    vertices, faces, normals, attributes = vertex_normals(vertices, faces, attributes)
    if surface.textures and len(faces):
        sizes = np.array([(0, 0), *((image.shape[1], image.shape[0]) for image in surface.textures)])
        texels = sizes[attributes[:, 2].astype(int) + 1]
        vertices, faces, normals, attributes = refined(vertices, faces, normals, attributes, texels)
    albedo = sampled(surface, attributes[:, :2], attributes[:, 2].astype(int), attributes[:, 3:])
    return Shape(vertices, faces, normals, albedo)


def mesh_views(
    meshes: Mapping[str, str | Path] | str | Path,
    azimuths_deg: Sequence[float] = VIEWS_DEG,
    *,
    up: str = "y",
    front: str = "z",
    category: str = "",
    size: int = 224,
    luminance: str = "match",
    progress: ImageProgress | None = None,
) -> StimulusSet:
    """Views of users' own meshes, rendered and matched like the built-in objects.

    Parameters
    ----------
    meshes : mapping from identity to path, or folder
        In a folder every mesh file is an identity, named by its file, without the extension if that is unique.
    azimuths_deg : sequence of float
        0 shows the front; below 0 the front points to the viewer's left.
    up, front : str
        As in :func:`read_mesh`, for all meshes.
    category : str
        Category of all meshes.
    size : int
        Height and width of the images, pixels.
    luminance : {"match", "none"}
        Whether all foregrounds get the same mean and standard deviation, or are unchanged.
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
    if luminance not in LUMINANCE_BY_IMAGE:
        raise InputError(f"no luminance matching {luminance!r} for meshes: {closest(luminance, LUMINANCE_BY_IMAGE)}")
    if isinstance(meshes, (str, Path)):
        folder = checked_folder(meshes, "folder of meshes")
        meshes = _identities(folder)
        if not meshes:
            raise InputError(f"{folder}: holds no mesh ({', '.join(MESH_SUFFIXES)})")
    azimuths = sorted(set(map(float, azimuths_deg)))
    rows, pixels = [], []
    for identity, path in meshes.items():
        rendering = render_views(read_mesh(path, up=up, front=front), azimuths, size=size)
        pixels.append(LUMINANCE_BY_IMAGE[luminance](rendering))
        rows += [(f"{identity}_az{a:g}", f"{identity}_az{a:g}.png", category, identity, a) for a in azimuths]
        if progress is not None:
            progress(len(rows), len(meshes) * len(azimuths))
    table = pd.DataFrame(rows, columns=["stimulus_id", "filename", "category", "identity", "azimuth_deg"])
    return StimulusSet(table.set_index("stimulus_id"), pixels=np.concatenate(pixels), name="rendered meshes")


def _identities(folder: Path) -> dict[str, Path]:
    """Mesh files of a folder by identity; files that differ only in extension are two identities."""
    names = visible_files(folder, suffixes=MESH_SUFFIXES)
    stems = [Path(name).stem for name in names]
    clashing = {stem for stem in stems if stems.count(stem) > 1}
    return {name if stem in clashing else stem: folder / name for name, stem in zip(names, stems, strict=True)}
