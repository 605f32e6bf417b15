"""Prepares meshes for shading: consistent winding, normals, and triangles as fine as the texture.

Takes arrays of vertices and faces; gives arrays.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from neurocompare.stimuli.mesh_files import Surface

__all__ = ["places_of", "refined", "sampled", "vertex_normals", "wound_outwards"]

CREASE_DEG = 25.0
"""A triangle keeps its own normal at a corner if it differs from the mean there by more: edges stay sharp."""
INWARD = -0.5
"""An open surface is turned inside out if it faces its own middle by more than this share."""
FINEST_EDGE = 0.012
"""Edges shorter than this (in a mesh of extent 2) are not split for a texture: about one of 224 pixels."""
MOST_REFINED = 400_000
"""Most triangles that a mesh is split into for its texture."""


def places_of(vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct positions, to one millionth: the index of each vertex's position, and one vertex per position.

    Parameters
    ----------
    vertices : array of shape (n_vertices, 3)
        Within -1..1.
    """
    steps = np.rint((vertices + 1.0) * 1e6).astype(np.int64)
    keys = (steps[:, 0] << 42) | (steps[:, 1] << 21) | steps[:, 2]
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    return place.ravel(), first


def wound_outwards(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Faces with consistent winding: neighbours agree, and closed surfaces face outwards.

    Parameters
    ----------
    vertices : array of shape (n_vertices, 3)
        Within -1..1; vertices at the same position count as one.
    faces : integer array of shape (n_faces, 3)
        Triangles, as rows of ``vertices``.

    Returns
    -------
    faces : integer array of shape (n_faces, 3)
        Each closed surface encloses a positive volume. An open one is turned if it clearly faces its own middle.
    n_turned : int
        Faces that were turned round.
    n_conflicts : int
        Edges whose two triangles cannot agree: the surface is one-sided (like a Moebius strip) or damaged there.
    """
    place, _ = places_of(vertices)
    at = place[faces]
    sides = np.concatenate([at[:, [0, 1]], at[:, [1, 2]], at[:, [2, 0]]])
    owner = np.tile(np.arange(len(faces)), 3)
    rising = sides[:, 0] < sides[:, 1]
    keys = np.sort(sides, axis=1)
    real = keys[:, 0] != keys[:, 1]
    keys, owner, rising = keys[real], owner[real], rising[real]
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    keys, owner, rising = keys[order], owner[order], rising[order]
    starts = np.flatnonzero(np.append(True, (np.diff(keys, axis=0) != 0).any(axis=1)))
    counts = np.diff(np.append(starts, len(keys)))
    pairs = starts[counts == 2]
    first, second = owner[pairs], owner[pairs + 1]
    against = rising[pairs] == rising[pairs + 1]  # both run along the edge the same way: one must be turned
    n = len(faces)
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(n, n)).tocsr()
    n_shells, shell = connected_components(graph, directed=False)
    turn = np.zeros(n, dtype=bool)
    if against.any():
        turn = _parities(n, first, second, against, shell, np.unique(shell[first[against]]))
    conflicts = int((turn[first] ^ turn[second] ^ against).sum())
    turned = np.where(turn[:, None], faces[:, ::-1], faces)
    open_faces = np.unique(owner[np.flatnonzero(np.repeat(counts, counts) != 2)])
    inward = _inward(vertices, turned, shell, n_shells, np.isin(np.arange(n_shells), shell[open_faces]))
    turn ^= inward[shell]
    return np.where(turn[:, None], faces[:, ::-1], faces), int(turn.sum()), conflicts


def _parities(
    n: int, first: np.ndarray, second: np.ndarray, against: np.ndarray, shell: np.ndarray, mixed: np.ndarray
) -> np.ndarray:
    """Which faces of mixed shells to turn so that neighbours agree, from the first face of each shell on."""
    graph = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(n, n)).tocsr()
    turn = np.zeros(n, dtype=bool)
    roots = {int(s): int(f) for f, s in zip(*np.unique(shell, return_index=True)[::-1], strict=True)}
    flips = {}
    for a, b, flip in zip(first.tolist(), second.tolist(), against.tolist(), strict=True):
        flips[a, b] = flips[b, a] = flip
    for number in mixed.tolist():
        reached, before = breadth_first_order(graph, roots[number], directed=False)
        for face in reached[1:].tolist():
            turn[face] = turn[before[face]] ^ flips[int(before[face]), face]
    # The winding of the larger part of a shell is taken as correct.
    for number in mixed.tolist():
        members = shell == number
        if 2 * turn[members].sum() > members.sum():
            turn[members] ^= True
    return turn


def _inward(
    vertices: np.ndarray, faces: np.ndarray, shell: np.ndarray, n_shells: int, is_open: np.ndarray
) -> np.ndarray:
    """Which shells face inwards: closed ones by the sign of their volume, open ones by facing their middle."""
    corners = vertices[faces]
    middle = corners.mean(axis=1)
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
    size = np.linalg.norm(area, axis=1)
    total = np.maximum(np.bincount(shell, size, n_shells), 1e-300)
    centre = np.stack([np.bincount(shell, size * middle[:, axis], n_shells) / total for axis in range(3)], axis=1)
    away = middle - centre[shell]
    outward = np.einsum("ij,ij->i", away, area)
    volume = np.bincount(shell, outward, n_shells)
    reach = np.bincount(shell, np.linalg.norm(away, axis=1) * size, n_shells)
    return np.where(is_open, volume < INWARD * reach, volume < -1e-9 * reach)


def vertex_normals(
    vertices: np.ndarray, faces: np.ndarray, attributes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Vertex normals: shared where the surface is smooth, separate for each corner at creases.

    Parameters
    ----------
    vertices : array of shape (n_vertices, 3)
        Within -1..1.
    faces : integer array of shape (n_faces, 3)
        Triangles without area are left out.
    attributes : array of shape (n_vertices, n)
        Values that belong to each vertex, such as its colour.

    Returns
    -------
    vertices, faces, normals, attributes : arrays
        Vertices that no triangle uses are left out.
    """
    place, first = places_of(vertices)
    if np.array_equal(attributes, attributes[first][place]):
        # Repeated vertices (STL repeats them for every triangle) are merged here.
        vertices, attributes, faces, place = vertices[first], attributes[first], place[faces], np.arange(len(first))
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
    # Triangles at a crease get separate vertices; all others share theirs.
    split = faces[creased].ravel()
    normals = np.where(soft[creased].ravel()[:, None], smooth[place[split]], np.repeat(own[creased], 3, axis=0))
    new = np.arange(len(split)).reshape(-1, 3) + len(vertices)
    faces = np.concatenate([faces[~creased], new])
    used = np.zeros(len(vertices) + len(split), dtype=bool)
    used[faces] = True
    return (
        np.concatenate([vertices, vertices[split]])[used],
        (np.cumsum(used) - 1)[faces],
        np.concatenate([smooth[place], normals])[used],
        np.concatenate([attributes, attributes[split]])[used],
    )


def refined(
    vertices: np.ndarray,
    faces: np.ndarray,
    normals: np.ndarray,
    attributes: np.ndarray,
    texels: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Triangles split until their vertices are as close as the pixels of the texture, or of the rendered image.

    Parameters
    ----------
    vertices, faces, normals, attributes
        From :func:`vertex_normals`; the first two attributes are the texture coordinates.
    texels : array of shape (n_vertices, 2)
        Width and height of each vertex's texture, pixels; 0 without one.

    Returns
    -------
    vertices, faces, normals, attributes : arrays
        Positions and attributes of new vertices lie halfway along the edges that they split.
    """
    while len(faces) < MOST_REFINED:
        edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
        # Edges as single numbers sort far faster than rows of two.
        keys, number = np.unique(edges[:, 0] * np.int64(len(vertices)) + edges[:, 1], return_inverse=True)
        edges = np.column_stack(np.divmod(keys, len(vertices)))
        length = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
        across = np.abs(attributes[edges[:, 0], :2] - attributes[edges[:, 1], :2]) * texels[edges].max(axis=1)
        long = (length > FINEST_EDGE) & (across.max(axis=1) > 1.5)
        if not long.any():
            break
        ends = edges[long]
        middle = np.full(len(edges), -1)
        middle[long] = len(vertices) + np.arange(len(ends))
        faces = _split(faces, middle[number.reshape(3, -1).T.reshape(-1)].reshape(-1, 3))
        vertices = np.concatenate([vertices, vertices[ends].mean(axis=1)])
        attributes = np.concatenate([attributes, attributes[ends].mean(axis=1)])
        texels = np.concatenate([texels, texels[ends].max(axis=1)])
        sums = normals[ends].sum(axis=1)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        fallback = normals[ends[:, 0]]
        normals = np.concatenate([normals, np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), fallback)])
    return vertices, faces, normals, attributes


def _split(faces: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Triangles split at the middles of their edges (-1: none), so that neighbours share all vertices.

    Parameters
    ----------
    faces : integer array of shape (n_faces, 3)
    middle : integer array of shape (n_faces, 3)
        Vertex halfway along edges 0-1, 1-2, 2-0 of each face.
    """
    made = [faces[(middle < 0).all(axis=1)]]
    n_split = (middle >= 0).sum(axis=1)
    for turn in range(3):
        # Corners are rotated so that every pattern of one or two split edges begins at the first edge.
        corners, edges = np.roll(faces, -turn, axis=1), np.roll(middle, -turn, axis=1)
        one = (n_split == 1) & (edges[:, 0] >= 0)
        (a, b, c), m = corners[one].T, edges[one, 0]
        made += [np.stack([a, m, c], axis=1), np.stack([m, b, c], axis=1)]
        two = (n_split == 2) & (edges[:, 0] >= 0) & (edges[:, 1] >= 0)
        (a, b, c), (m, k) = corners[two].T, edges[two, :2].T
        made += [np.stack([a, m, c], axis=1), np.stack([m, k, c], axis=1), np.stack([m, b, k], axis=1)]
    three = n_split == 3
    (a, b, c), (m, k, q) = faces[three].T, middle[three].T
    made += [np.stack(t, axis=1) for t in ((a, m, q), (m, b, k), (q, k, c), (m, k, q))]
    return np.concatenate(made)


def sampled(surface: Surface, uv: np.ndarray, texture: np.ndarray, base: np.ndarray) -> np.ndarray:
    """Albedo of vertices: their colour times the texture at their coordinates, interpolated linearly.

    Parameters
    ----------
    surface : Surface
        With the textures.
    uv, texture, base : arrays of shape (n_vertices, 2), (n_vertices,), (n_vertices, 3)
        Texture coordinates, index of the texture and colour of each vertex, as in :class:`Surface`.

    Returns
    -------
    array of shape (n_vertices, 3)
        Coordinates outside 0..1 repeat the texture; at its edges, no pixel of the opposite edge is mixed in.
    """
    albedo = base.copy()
    for number, image in enumerate(surface.textures):
        own = np.flatnonzero(texture == number)
        height, width = image.shape[:2]
        at = np.where((uv[own] < 0) | (uv[own] > 1), uv[own] % 1.0, uv[own])
        x, y = at[:, 0] * width - 0.5, (1 - at[:, 1]) * height - 0.5
        left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        right_share, lower_share = (x - left)[:, None], (y - top)[:, None]
        columns = np.clip(left, 0, width - 1), np.clip(left + 1, 0, width - 1)
        rows = np.clip(top, 0, height - 1), np.clip(top + 1, 0, height - 1)
        upper = image[rows[0], columns[0]] * (1 - right_share) + image[rows[0], columns[1]] * right_share
        lower = image[rows[1], columns[0]] * (1 - right_share) + image[rows[1], columns[1]] * right_share
        albedo[own] *= upper * (1 - lower_share) + lower * lower_share
    return albedo
