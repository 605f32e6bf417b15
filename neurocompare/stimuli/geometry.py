"""Solid shapes: triangles with a normal and an albedo at every vertex, and the parts that shapes are built from.

Takes numbers, gives arrays; cameras and images are elsewhere (``scene``). Axes are those of a viewer facing the
object's front: x to the viewer's right, y up, z out of the front towards the viewer. A shape is the union of closed
parts that may overlap. Bilateral shapes are built as the half with x >= 0 and its mirror image, vertex for vertex.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import PchipInterpolator

__all__ = [
    "Albedo",
    "Numbers",
    "Shape",
    "bilateral",
    "capped",
    "ellipsoid",
    "grid",
    "hull",
    "in_mirror_plane",
    "joined",
    "lathe",
    "moved",
    "plate",
    "prism",
    "reflected",
    "rotation",
    "shape",
    "spline",
    "superquadric",
    "tube",
]

Numbers = Sequence[float] | np.ndarray
"""A sequence of numbers."""
Albedo = Numbers | float
"""Share of light that a surface reflects: an array with a row per vertex, one colour, or a gray level."""


@dataclass(frozen=True)
class Shape:
    """Triangles that bound a solid, or several overlapping ones.

    Parameters
    ----------
    vertices : array of shape (n_vertices, 3)
        Positions, any unit of length.
    faces : integer array of shape (n_faces, 3)
        Corners of each triangle, counter-clockwise as seen from outside.
    normals : array of shape (n_vertices, 3)
        Outward unit vectors that light is computed with.
    albedo : array of shape (n_vertices, 3)
        Share of light that is reflected in red, green and blue, 0..1.
    bilateral : bool
        Whether the second half of ``vertices`` is the mirror image (x to -x) of the first half, and the second half
        of ``faces`` that of the first half.
    """

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    albedo: np.ndarray
    bilateral: bool = False


def shape(vertices: np.ndarray, faces: np.ndarray, albedo: Albedo) -> Shape:
    """Shape with smooth normals: at every vertex the mean of its triangles' normals, weighted by area.

    Parameters
    ----------
    vertices : array of shape (n_vertices, 3)
        Positions (x, y, z): x to the right, y up, z to the front.
    faces : integer array of shape (n_faces, 3)
        Triangles, as rows of ``vertices``; counter-clockwise seen from outside.
    albedo : array of shape (n_vertices, 3), colour of shape (3,), or gray level
        Share of light that the surface reflects, 0..1; of each vertex, or of all.
    """
    corners = vertices[faces]
    areas = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices, dtype=float)
    for axis in range(3):
        normals[:, axis] = np.bincount(faces.ravel(), weights=np.repeat(areas[:, axis], 3), minlength=len(vertices))
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
    return Shape(vertices, faces, normals, np.broadcast_to(np.asarray(albedo, dtype=float), vertices.shape).copy())


def joined(shapes: Iterable[Shape]) -> Shape:
    """Union of shapes as one; not marked as bilateral."""
    shapes = list(shapes)
    offsets = np.cumsum([0, *(len(s.vertices) for s in shapes[:-1])])
    return Shape(
        np.concatenate([s.vertices for s in shapes]),
        np.concatenate([s.faces + offset for s, offset in zip(shapes, offsets, strict=True)]),
        np.concatenate([s.normals for s in shapes]),
        np.concatenate([s.albedo for s in shapes]),
    )


def bilateral(middle: Iterable[Shape] = (), sides: Iterable[Shape] = ()) -> Shape:
    """Shape whose left half is the mirror image of its right half, vertex for vertex.

    Parameters
    ----------
    middle : iterable of Shape
        Parts that cross the mirror plane x = 0 along a line of edges; their half with x >= 0 is used.
    sides : iterable of Shape
        Parts of the right side (x > 0), each of which gets a mirror image on the left.

    Raises
    ------
    ValueError
        If a triangle of a middle part crosses the mirror plane.
    """
    half = joined([*(_right_half(part) for part in middle), *sides])
    return replace(joined([half, reflected(half)]), bilateral=True)


def _right_half(part: Shape) -> Shape:
    x = part.vertices[:, 0]
    tolerance = 1e-9 * np.ptp(part.vertices, axis=0).max()
    on_plane = np.abs(x) <= tolerance
    faces = part.faces[x[part.faces].mean(axis=1) > tolerance]
    if (x[faces] < -tolerance).any():
        raise ValueError("a part lies across the mirror plane without a line of edges in it: turn or refine its grid")
    used, faces = np.unique(faces, return_inverse=True)
    vertices, normals = part.vertices[used].copy(), part.normals[used].copy()
    vertices[on_plane[used], 0] = 0.0
    normals[on_plane[used], 0] = 0.0
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
    return Shape(vertices, faces.reshape(-1, 3), normals, part.albedo[used])


def in_mirror_plane(part: Shape) -> Shape:
    """The part with vertices within rounding error of the mirror plane x = 0 moved onto it."""
    near = np.abs(part.vertices[:, 0]) < 1e-6 * np.ptp(part.vertices, axis=0).max()
    vertices = part.vertices.copy()
    vertices[near, 0] = 0.0
    return replace(part, vertices=vertices)


def reflected(part: Shape) -> Shape:
    """Mirror image of the part, left and right exchanged."""
    across = np.array([-1.0, 1.0, 1.0])
    return replace(
        part, vertices=part.vertices * across, faces=part.faces[:, ::-1], normals=part.normals * across, bilateral=False
    )


def rotation(axis: str, degrees: float) -> np.ndarray:
    """Rotation matrix of shape (3, 3), right-handed, about the axis ``"x"``, ``"y"`` or ``"z"``."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = c
    matrix[first, second], matrix[second, first] = -s, s
    return matrix


def moved(part: Shape, *, turn: np.ndarray | None = None, to: Numbers = (0.0, 0.0, 0.0)) -> Shape:
    """The part turned about the origin by a rotation matrix, then moved by ``to``; no longer marked as bilateral."""
    turn = np.eye(3) if turn is None else turn
    return replace(
        part, vertices=part.vertices @ turn.T + np.asarray(to), normals=part.normals @ turn.T, bilateral=False
    )


def grid(points: np.ndarray, albedo: Albedo, *, wrap: bool = True) -> Shape:
    """Surface through a grid of points.

    Parameters
    ----------
    points : array of shape (n_rows, n_columns, 3)
        Rows from top to bottom and columns counter-clockwise seen from above make the normals point outwards.
    albedo : array of shape (n_rows, n_columns, 3), colour or gray level
        Share of light that the surface reflects, 0..1; of each point, or of all.
    wrap : bool
        Whether the last column is joined with the first.
    """
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns).reshape(rows, columns)
    if wrap:
        index = np.concatenate([index, index[:, :1]], axis=1)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    albedo = np.asarray(albedo, dtype=float)
    return shape(points.reshape(-1, 3), faces, albedo.reshape(-1, 3) if albedo.ndim == 3 else albedo)


def capped(points: np.ndarray, albedo: Albedo) -> Shape:
    """Solid through rings of points, closed at both ends by flat caps with sharp rims.

    Parameters
    ----------
    points : array of shape (n_rings, n_points, 3)
        Rings as rows of :func:`grid`.
    albedo : colour or gray level
        Share of light that the surface reflects, 0..1.
    """
    top, bottom = points[0], points[-1]
    return joined(
        [
            grid(points, albedo),
            grid(np.stack([np.broadcast_to(top.mean(0), top.shape), top]), albedo),
            grid(np.stack([bottom, np.broadcast_to(bottom.mean(0), bottom.shape)]), albedo),
        ]
    )


def superquadric(
    centre: Numbers,
    radii: Numbers,
    albedo: Albedo,
    *,
    roundness: tuple[float, float] = (1.0, 1.0),
    taper: float = 0.0,
    resolution: int = 32,
) -> Shape:
    """Rounded box, cylinder or ellipsoid (Barr 1981) with its poles on the y axis.

    Parameters
    ----------
    centre, radii : sequence of 3 floats
        Centre, and half the extent along each axis.
    albedo : colour or gray level
        Share of light that the surface reflects, 0..1.
    roundness : (vertical, horizontal)
        1 is round, towards 0 square: (1, 1) an ellipsoid, (0.1, 1) a cylinder, (0.1, 0.1) a box.
    taper : float
        How much narrower the top is than the middle (and the bottom wider), -1..1.
    resolution : int
        Points around the equator, a multiple of 4.
    """
    vertical, horizontal = roundness
    # Equal steps of the angle space the points of a square section unevenly; equal steps of its tangent do not.
    latitude = _even_angles(resolution // 2 + 1, -np.pi / 2, np.pi / 2)[::-1]
    longitude = _even_angles(resolution + 1, -np.pi, np.pi)[:-1]
    flat, up = _power(np.cos(latitude), vertical), _power(np.sin(latitude), vertical)
    narrow = flat * (1 - taper * up)
    points = np.stack(
        [
            radii[0] * narrow[:, None] * _power(np.sin(longitude), horizontal),
            np.broadcast_to(radii[1] * up[:, None], (len(latitude), len(longitude))),
            radii[2] * narrow[:, None] * _power(np.cos(longitude), horizontal),
        ],
        axis=-1,
    )
    return grid(points + np.asarray(centre), albedo)


def ellipsoid(centre: Numbers, radii: Numbers, albedo: Albedo, *, resolution: int = 32) -> Shape:
    """Ellipsoid with its axes along x, y and z, see :func:`superquadric`.

    Parameters
    ----------
    centre, radii : sequence of 3 floats
        Centre, and half the extent along each axis.
    albedo : colour or gray level
        Share of light that the surface reflects, 0..1.
    resolution : int
        Points around the equator, a multiple of 4.
    """
    return superquadric(centre, radii, albedo, resolution=resolution)


def _even_angles(n: int, low: float, high: float) -> np.ndarray:
    angles = np.linspace(low, high, n)
    exact = np.round(angles / (np.pi / 4)) * (np.pi / 4)
    return np.where(np.abs(angles - exact) < 1e-12, exact, angles)


def _power(values: np.ndarray, exponent: np.ndarray | float) -> np.ndarray:
    values = np.where(np.abs(values) < 1e-12, 0.0, values)
    return np.sign(values) * np.abs(values) ** exponent


def lathe(
    profile: np.ndarray,
    albedo: Albedo,
    *,
    resolution: int = 48,
    section: np.ndarray | float = 1.0,
) -> Shape:
    """Surface of revolution about the y axis.

    Parameters
    ----------
    profile : array of shape (n_rings, 2)
        Radius and height of each ring, from top to bottom; radius 0 at both ends closes the surface.
    albedo : colour, gray level or array of shape (n_rings, resolution, 3)
        Share of light that the surface reflects, 0..1; of each point, or of all.
    resolution : int
        Points per ring, an even number; the first lies at the front (z > 0).
    section : array broadcastable to (n_rings, resolution)
        Factor of the radius around the ring.
    """
    angles = np.arange(resolution) * (2 * np.pi / resolution)
    radius = profile[:, :1] * section * np.ones(resolution)
    points = np.stack([radius * np.sin(angles), profile[:, 1:] + 0 * radius, radius * np.cos(angles)], axis=-1)
    points[:, [0, resolution // 2], 0] = 0.0
    return grid(points, albedo)


def tube(
    path: np.ndarray,
    radii: np.ndarray | float,
    albedo: Albedo,
    *,
    resolution: int = 16,
    flat: float = 1.0,
) -> Shape:
    """Round bar along a path, with rounded ends.

    Parameters
    ----------
    path : array of shape (n_points, 3)
        Middle line, as positions (x, y, z).
    radii : float or array of shape (n_points,)
        Half the width of the bar, of each point of the path, or of all.
    albedo : colour or gray level
        Share of light that the surface reflects, 0..1.
    resolution : int
        Points around the bar.
    flat : float
        Thickness along the section's second axis (up, for a level path) over its width.
    """
    path = np.asarray(path, dtype=float)
    radii = np.broadcast_to(np.asarray(radii, dtype=float), len(path))
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    reference = np.eye(3)[np.argmin(np.abs(along).max(axis=0))]
    side = np.cross(along, reference)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    up = np.cross(side, along)
    ends = np.sin(np.linspace(0, np.pi / 2, 5))[:-1]  # radius of the rounded ends; their cosine is how far they extend
    reach = np.cos(np.linspace(0, np.pi / 2, 5))[:-1]
    centres = np.concatenate(
        [
            path[0] - along[0] * radii[0] * flat * reach[:, None],
            path,
            path[-1] + along[-1] * radii[-1] * flat * reach[::-1, None],
        ]
    )
    widths = np.concatenate([radii[0] * ends, radii, radii[-1] * ends[::-1]])
    side = np.concatenate([np.repeat(side[:1], 4, 0), side, np.repeat(side[-1:], 4, 0)])
    up = np.concatenate([np.repeat(up[:1], 4, 0), up, np.repeat(up[-1:], 4, 0)])
    angles = np.arange(resolution) * (2 * np.pi / resolution)
    ring = np.cos(angles)[None, :, None] * side[:, None] + flat * np.sin(angles)[None, :, None] * up[:, None]
    return grid(centres[:, None] + widths[:, None, None] * ring, albedo)


def hull(
    stations: np.ndarray,
    albedo: Albedo,
    *,
    roundness: tuple[float, float] = (1.0, 1.0),
    resolution: int = 32,
) -> Shape:
    """Solid through upright sections along z, from front to back, closed by flat ends.

    Parameters
    ----------
    stations : array of shape (n_stations, 4)
        Rows ``z, half width, bottom, top`` with falling z; a width of 0 makes a pointed end.
    albedo : colour or gray level
        Share of light that the surface reflects, 0..1.
    roundness : (upper, lower)
        Shape of the upper and of the lower half of each section: 1 is an ellipse, towards 0 a rectangle.
    resolution : int
        Points around a section, a multiple of 4.
    """
    z, width, bottom, top = np.asarray(stations, dtype=float).T[:, :, None]
    angle = np.arange(resolution) * (2 * np.pi / resolution)
    up, across = np.cos(angle), -np.sin(angle)
    exponent = np.where(up >= 0, roundness[0], roundness[1])
    points = np.stack(
        [
            width * _power(across, exponent),
            (top + bottom) / 2 + (top - bottom) / 2 * _power(up, exponent),
            z + 0 * angle,
        ],
        axis=-1,
    )
    return capped(points, albedo)


def plate(outline: np.ndarray, thickness: np.ndarray | float, albedo: Albedo, *, resolution: int = 12) -> Shape:
    """Blade, wing or petal: lens-shaped sections along a middle line.

    Parameters
    ----------
    outline : array of shape (n_sections, 4)
        Rows ``x, y, z, half width``: the middle line, and half the section's extent along the plate.
    thickness : float or array of shape (n_sections,)
        Full thickness at the middle line.
    albedo : colour or gray level
        Share of light that the surface reflects, 0..1.
    resolution : int
        Points around a section.

    Returns
    -------
    Shape
        The line runs as given; the sections lie along z for a line along x or y, and along x for a line along z.
    """
    outline = np.asarray(outline, dtype=float)
    line, half = outline[:, :3], outline[:, 3]
    along = np.gradient(line, axis=0)
    wide = np.array([1.0, 0, 0]) if np.abs(along[:, 2]).sum() > np.abs(along[:, :2]).sum() else np.array([0, 0, 1.0])
    thin = np.cross(along, wide)
    thin /= np.linalg.norm(thin, axis=1, keepdims=True)
    angle = np.arange(2 * resolution) * (np.pi / resolution)
    across = half[:, None] * np.cos(angle)
    height = np.broadcast_to(np.asarray(thickness, dtype=float) / 2, len(line))[:, None] * np.sin(angle)
    points = line[:, None] + across[..., None] * wide + height[..., None] * thin[:, None]
    return capped(points[::-1], albedo)


def prism(outline: np.ndarray, thickness: float, albedo: Albedo) -> Shape:
    """Flat plate: a star-shaped outline in the y-z plane, extruded along x about x = 0, with sharp rims.

    Parameters
    ----------
    outline : array of shape (n_points, 2)
        Positions (z, y), in the order z to y (clockwise as seen from +x).
    thickness : float
        Extent along x.
    albedo : colour or gray level
        Share of light that the surface reflects, 0..1.
    """
    ring = np.stack([np.zeros(len(outline)), outline[:, 1], outline[:, 0]], axis=-1)
    across = np.array([thickness / 2, 0.0, 0.0])
    return capped(np.stack([ring - across, ring, ring + across]), albedo)


def spline(knots: Numbers, values: np.ndarray | Sequence, at: np.ndarray) -> np.ndarray:
    """Monotone cubic curve through values at knots (Fritsch & Carlson 1980): no overshoot between them.

    Parameters
    ----------
    knots : sequence of shape (n_knots,), rising
        Where the values are given.
    values : array of shape (n_knots,) or (n_knots, k)
        Values at the knots, of one curve or of k.
    at : array of shape (n,)
        Where the curve is wanted.

    Returns
    -------
    array of shape (n,) or (n, k)
    """
    return PchipInterpolator(knots, np.asarray(values, dtype=float), axis=0)(at)
