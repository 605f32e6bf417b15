"""Renders views of a shape by ray casting, with one camera and one light.

Takes a :class:`~neurocompare.stimuli.geometry.Shape`, gives arrays of foreground brightness and coverage. Background
and luminance matching come later (``luminance``). The camera looks at the object's middle in perspective; the light
stands in the camera's mirror plane and moves with the camera; faint ambient light comes from all sides, more from
above, unless the object blocks it. Opposite views of a bilateral shape are therefore mirror images; one of them is
computed and mirrored, so that they agree in every pixel.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from neural_data.errors import InputError
from neurocompare.stimuli.geometry import Numbers, Shape, rotation

__all__ = ["Placement", "Rendering", "Scene", "check_renderer", "needs_rendering", "render_views"]

CAMERA_DISTANCE = 7.0
"""Distance of the camera from the object's middle, in half object extents; for a face about 80 cm."""
LIGHT = np.array([0.0, 0.57, 0.82])
"""Direction towards the light in camera axes: 35 degrees above the line of sight."""
DIFFUSE, AMBIENT = 0.62, 0.50
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
"""Weights of red, green and blue in gray (ITU-R BT.709)."""
EDGE_CONTRAST = 0.04
"""Pixels that differ from a neighbour by more than this are sampled with several rays."""
SAMPLES = 4
"""Rays along each side of a pixel at edges; one ray a pixel elsewhere."""
SKY_DIRECTIONS = 48
VERTICES_AT_ONCE = 50_000


def needs_rendering(package: str, error: ImportError) -> str:
    """Message for a package of the extra ``render`` that cannot be imported."""
    return (
        f"rendered stimuli and meshes need {package}, which cannot be imported ({error}); install the extra: "
        "pip install 'neurocompare[render]'. Images and recordings that you have need no rendering"
    )


def _embree() -> tuple[Any, Any]:
    """The classes of a scene and of a mesh in it: of embreex, which only rendering needs, and not every system has."""
    try:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene
    except ImportError as error:
        raise InputError(needs_rendering("embreex", error)) from error
    return EmbreeScene, TriangleMesh


def check_renderer() -> None:
    """Raise InputError if nothing can be rendered because the extra ``render`` is not installed."""
    _embree()


@dataclass(frozen=True)
class Rendering:
    """Views of one object without background.

    Parameters
    ----------
    brightness : array of shape (n_views, height, width) or (n_views, height, width, 3), float32
        Gray level of the foreground, 0..1; 0 outside it.
    coverage : array of shape (n_views, height, width), float32
        Share of each pixel that the object covers.
    """

    brightness: np.ndarray
    coverage: np.ndarray

    @property
    def foreground(self) -> np.ndarray:
        """Boolean array of shape (n_views, height, width): pixels at least half covered."""
        return self.coverage >= 0.5

    def shown(self, level: float = 0.5) -> np.ndarray:
        """Images on uniform gray, float in 0..1, of the shape of ``brightness``."""
        coverage = self.coverage if self.brightness.ndim == 3 else self.coverage[..., None]
        return coverage * self.brightness + (1 - coverage) * level

    def on_background(self, level: float = 0.5) -> np.ndarray:
        """Images on uniform gray, uint8, of the shape of ``brightness``."""
        return np.rint(255 * self.shown(level)).astype(np.uint8)


@dataclass(frozen=True)
class Placement:
    """Where views stand in their images, and how large they are.

    Parameters
    ----------
    fill : float
        Share of the image's height or width that the largest view takes.
    offsets : sequence of n_views pairs, or None
        Shift of each view to the right and upwards, as a share of the image's width.
    scales : sequence of n_views floats, or None
        Scale factor of each view.
    """

    fill: float = 0.9
    offsets: Sequence[tuple[float, float]] | np.ndarray | None = None
    scales: Numbers | None = None


IN_THE_MIDDLE = Placement()


def render_views(
    shape: Shape,
    azimuths_deg: Numbers,
    elevations_deg: Numbers | float = 0.0,
    *,
    size: int = 224,
    colour: bool = False,
    placement: Placement = IN_THE_MIDDLE,
    use_symmetry: bool = True,
    light_deg: float = 0.0,
) -> Rendering:
    """Views of one shape, all at the same scale.

    Parameters
    ----------
    shape : Shape
        The object.
    azimuths_deg : sequence of n_views floats
        0 shows the front; below 0 the front points to the viewer's left.
    elevations_deg : float or sequence of n_views floats
        Height of the camera: above 0 it looks down on the object.
    size : int
        Height and width of the images, pixels.
    colour : bool
        Red, green and blue instead of gray.
    placement : Placement
        Where the object stands in the image, and how large it is.
    use_symmetry : bool
        Compute one of two opposite views of a bilateral shape and mirror it. With False every view is computed, and
        opposite views are mirror images up to rounding.
    light_deg : float
        Angle of the light to the side of the camera: 0 in the camera's mirror plane, above 0 to its right. The light
        moves with the camera. With light from the side, opposite views are not mirror images.

    Returns
    -------
    Rendering
        ``n_views`` views in the order of ``azimuths_deg``.
    """
    azimuths = np.asarray(azimuths_deg, dtype=float)
    elevations = np.broadcast_to(np.asarray(elevations_deg, dtype=float), azimuths.shape)
    shifts = np.zeros((len(azimuths), 2)) if placement.offsets is None else np.asarray(placement.offsets, dtype=float)
    factors = np.ones(len(azimuths)) if placement.scales is None else np.asarray(placement.scales, dtype=float)
    if not (len(shifts) == len(factors) == len(azimuths)):
        raise ValueError(f"{len(azimuths)} views need as many offsets and scales, not {len(shifts)} and {len(factors)}")
    scene = Scene(
        shape, elevations_deg={0.0, elevations.min(), elevations.max()}, fill=placement.fill, light_deg=light_deg
    )
    layers = 4 if colour else 2
    views = np.zeros((len(azimuths), size, size, layers), dtype=np.float32)
    done: dict[tuple, int] = {}
    for i, azimuth in enumerate((azimuths + 180) % 360 - 180):
        rest = (elevations[i], shifts[i, 1], factors[i])
        symmetric = shape.bilateral and use_symmetry and light_deg == 0
        if symmetric and (-azimuth, -shifts[i, 0], *rest) in done:
            views[i] = views[done[-azimuth, -shifts[i, 0], *rest], :, ::-1]
        else:
            views[i] = scene.view(azimuth, elevations[i], size, colour, shifts[i], factors[i])
            if symmetric and azimuth in (0, -180) and shifts[i, 0] == 0:
                views[i, :, (size + 1) // 2 :] = views[i, :, : size // 2][:, ::-1]
        done[azimuth, shifts[i, 0], *rest] = i
    brightness = views[..., 0] if layers == 2 else views[..., :3]
    return Rendering(brightness, views[..., -1])


class Scene:
    """One object, its light, and a camera that moves around it.

    Parameters
    ----------
    shape : Shape
        Centred on the middle of its extent, and scaled so that the largest of all views around it, at the given
        elevations, fills ``fill`` of the image.
    elevations_deg : collection of float
        Heights of the camera in all views, for the scale.
    fill : float
        Share of the image's width or height that the largest view takes.
    light_deg : float
        See :func:`render_views`.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        elevations_deg: Collection[float] = (0.0,),
        fill: float = 0.9,
        light_deg: float = 0.0,
    ):
        self.light = rotation("y", light_deg) @ LIGHT
        low, high = shape.vertices.min(axis=0), shape.vertices.max(axis=0)
        middle, extent = (low + high) / 2, (high - low).max() / 2
        if not extent > 0:
            raise ValueError("the shape has no extent")
        self.vertices = (shape.vertices - middle) / extent
        self.faces = shape.faces
        self.normals = shape.normals
        corners = self.vertices[shape.faces]
        self.face_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        new_scene, add_mesh = _embree()
        self.embree = new_scene()
        add_mesh(self.embree, self.vertices.astype(np.float32), shape.faces.astype(np.int32))
        exposure = self._exposure(shape.bilateral)
        self.ambient = shape.albedo * (AMBIENT * exposure)[:, None]
        self.diffuse = shape.albedo * (DIFFUSE * (0.35 + 0.65 * exposure))[:, None]
        self.zoom = fill / max(
            np.abs(self._project(azimuth, elevation)).max()
            for elevation in elevations_deg
            for azimuth in np.arange(0.0, 360.0, 15.0)
        )

    def view(
        self,
        azimuth_deg: float,
        elevation_deg: float,
        size: int,
        colour: bool,
        offset: Sequence[float],
        factor: float,
    ) -> np.ndarray:
        """One view, float32 of shape (size, size, channels + 1): brightness, and coverage last.

        Parameters
        ----------
        azimuth_deg, elevation_deg : float
            The view.
        size : int
            Height and width, pixels.
        colour : bool
            Three channels instead of one.
        offset : pair of float
            Shift to the right and upwards, as a share of the image's width.
        factor : float
            Scale factor.
        """
        camera = _camera(azimuth_deg, elevation_deg)
        lit = np.maximum(self.normals @ (camera.T @ self.light), 0.0)[:, None]
        light = np.minimum(self.ambient + self.diffuse * lit, 1.0)
        light = (light if colour else (light @ LUMINANCE)[:, None]).astype(np.float32)
        zoom = self.zoom * factor
        steps = (np.arange(size) * 2 + 1 - size) / size
        flat = self._project(azimuth_deg, elevation_deg) * zoom + 2 * np.asarray(offset)
        columns = _within(steps, flat[:, 0])
        rows = _within(-steps, flat[:, 1])
        image = np.zeros((size, size, light.shape[1] + 1), dtype=np.float32)
        if columns.size == 0 or rows.size == 0:
            return image
        x, y = np.meshgrid(steps[columns] - 2 * offset[0], -steps[rows] - 2 * offset[1])
        part = self._trace(x, y, camera, zoom, light)
        fine = np.argwhere(_near_edges(part))
        inner = (np.arange(SAMPLES) * 2 + 1 - SAMPLES) / (SAMPLES * size)
        dx, dy = (step.ravel() for step in np.meshgrid(inner, -inner))
        values = self._trace(
            x[fine[:, 0], fine[:, 1], None] + dx, y[fine[:, 0], fine[:, 1], None] + dy, camera, zoom, light
        )
        covered = values[..., -1].sum(axis=1)
        part[fine[:, 0], fine[:, 1], -1] = covered / SAMPLES**2
        part[fine[:, 0], fine[:, 1], :-1] = values[..., :-1].sum(axis=1) / np.maximum(covered, 1)[:, None]
        image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = part
        return image

    def _trace(self, x: np.ndarray, y: np.ndarray, camera: np.ndarray, zoom: float, light: np.ndarray) -> np.ndarray:
        """Brightness and coverage (0 or 1) of rays through points of the image plane (coordinates -1..1)."""
        n = x.size
        directions = np.stack([x.ravel() / zoom, y.ravel() / zoom, np.full(n, -1.0)], axis=1) @ camera
        origins = np.broadcast_to((camera.T @ [0.0, 0.0, CAMERA_DISTANCE]).astype(np.float32), (n, 3))
        hits = self.embree.run(np.ascontiguousarray(origins), directions.astype(np.float32), output=True)
        hit = hits["primID"] >= 0
        corners = self.faces[hits["primID"][hit]]
        u, v = hits["u"][hit, None], hits["v"][hit, None]
        values = np.zeros((n, light.shape[1] + 1), dtype=np.float32)
        values[hit, :-1] = (1 - u - v) * light[corners[:, 0]] + u * light[corners[:, 1]] + v * light[corners[:, 2]]
        values[hit, -1] = 1.0
        return values.reshape(*x.shape, -1)

    def _project(self, azimuth_deg: float, elevation_deg: float) -> np.ndarray:
        """Positions of the vertices in the image plane at unit zoom, (n_vertices, 2)."""
        seen = self.vertices @ _camera(azimuth_deg, elevation_deg).T
        return seen[:, :2] / (CAMERA_DISTANCE - seen[:, 2:])

    def _exposure(self, mirrored: bool) -> np.ndarray:
        """Share of ambient light that reaches each vertex, 0..1; the object blocks the rest."""
        n = len(self.vertices) // (2 if mirrored else 1)
        directions = _sphere(SKY_DIRECTIONS)
        parts = (slice(start, start + VERTICES_AT_ONCE) for start in range(0, n, VERTICES_AT_ONCE))
        exposure, inside = np.concatenate(
            [self._exposure_of(self.vertices[:n][part], self.normals[:n][part], directions) for part in parts], axis=1
        )
        exposure = _filled_in(exposure, inside < 0.5, self.faces[: len(self.faces) // (2 if mirrored else 1)])
        return np.tile(exposure, 2) if mirrored else exposure

    def _exposure_of(self, vertices: np.ndarray, normals: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Exposure of vertices, and the share of their rays that hit a surface from behind, (2, n_vertices)."""
        weights = np.maximum(normals @ directions.T, 0.0) * (1 + 0.5 * directions[:, 1])
        total = weights.sum(axis=1)
        vertex, direction = np.nonzero(weights > 0.05)
        origins = (vertices + 2e-3 * normals).astype(np.float32)[vertex]
        hits = self.embree.run(origins, directions.astype(np.float32)[direction], output=True)
        hit = hits["primID"] >= 0
        weight = weights[vertex, direction][hit]
        # Surfaces farther away than the object's size do not darken; near surfaces darken most.
        lost = np.bincount(vertex[hit], weights=np.exp(-hits["tfar"][hit] / 0.35) * weight, minlength=len(vertices))
        behind = np.einsum("ij,ij->i", self.face_normals[hits["primID"][hit]], directions[direction[hit]]) > 0
        inside = np.bincount(vertex[hit], weights=behind * weight, minlength=len(vertices))
        share = np.where(total > 0, [lost, inside] / np.maximum(total, 1e-9), 0.0)
        return np.stack([1 - share[0], share[1]])


def _filled_in(exposure: np.ndarray, known: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Exposure, with vertices inside another part (not ``known``) taking the exposure of their neighbours.

    Otherwise triangles that cross a surface would be dark outside of it, like their vertices inside.
    """
    start, end = faces[:, [0, 1, 2]].ravel(), faces[:, [1, 2, 0]].ravel()
    start, end = np.concatenate([start, end]), np.concatenate([end, start])
    for _ in range(2):
        use = known[end] & ~known[start]
        count = np.bincount(start[use], minlength=len(exposure))
        total = np.bincount(start[use], weights=exposure[end[use]], minlength=len(exposure))
        exposure = np.where(count > 0, total / np.maximum(count, 1), exposure)
        known = known | (count > 0)
    return exposure


def _camera(azimuth_deg: float, elevation_deg: float) -> np.ndarray:
    """Matrix of shape (3, 3) from object axes to camera axes (right, up, towards the camera)."""
    return rotation("x", elevation_deg) @ rotation("y", azimuth_deg)


def _within(steps: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Indices of the pixels that the positions span, and one more on each side."""
    margin = 2 / len(steps)
    return np.flatnonzero((steps > positions.min() - margin) & (steps < positions.max() + margin))


def _near_edges(part: np.ndarray) -> np.ndarray:
    """Pixels that differ from a neighbour, boolean (height, width)."""
    contrast = np.zeros(part.shape[:2], dtype=np.float32)
    for layer in range(part.shape[2]):
        values = part[..., layer]
        contrast = np.maximum(
            contrast,
            ndimage.maximum_filter(values, 3, mode="nearest") - ndimage.minimum_filter(values, 3, mode="nearest"),
        )
    return contrast > EDGE_CONTRAST


def _sphere(n: int) -> np.ndarray:
    """Evenly spread directions, (n, 3), in mirror pairs about x = 0 (Fibonacci spiral)."""
    k = np.arange(n // 2) + 0.5
    height = 1 - 2 * k / (n // 2)
    angle = np.pi * (1 + 5**0.5) * k
    flat = np.sqrt(1 - height**2)
    half = np.stack([np.abs(flat * np.cos(angle)), height, flat * np.sin(angle)], axis=1)
    return np.concatenate([half, half * [-1.0, 1.0, 1.0]])
