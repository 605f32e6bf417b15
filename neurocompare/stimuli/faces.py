"""Human heads: a face is generated from one vector of named measures, in centimetres.

The head is a stack of rings through three curves (profile, side and back of the head); nose, lips, eyelids, brow
ridge, cheeks and chin are fields that move the skin forward; ears, eyeballs and neck are separate parts. The eyes'
height is y = 0 and the ears' z = 0. Left and right halves are mirror images.

Identity is 51 independent measures of shape and albedo (:data:`FACE_MEASURES`), each normally distributed over people.
Means follow adult anthropometry (Farkas 1994, Anthropometry of the Head and Face); spreads are between those of the
two sexes taken together.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from neurocompare.stimuli.geometry import Shape, bilateral, capped, grid, lathe, moved, rotation, spline

__all__ = ["FACE_MEASURES", "MOST_SCORE", "face", "shown_measures"]

FACE_MEASURES: dict[str, tuple[float, float]] = {
    # head and neck
    "head_width": (15.2, 0.55),
    "head_length": (19.4, 0.6),
    "vault_height": (11.4, 0.45),
    "forehead_slope": (0.0, 0.45),
    "forehead_bulge": (0.0, 0.35),
    "temple_hollow": (0.35, 0.2),
    "neck_width": (11.0, 1.0),
    # face
    "face_width": (13.9, 0.55),
    "face_height": (11.3, 0.55),
    "cheekbone": (0.45, 0.22),
    "cheek_fullness": (0.0, 0.35),
    "jaw_width": (10.9, 0.7),
    "jaw_height": (0.0, 0.45),
    "chin_projection": (0.35, 0.4),
    "chin_width": (1.7, 0.3),
    "brow_ridge": (0.35, 0.25),
    "face_flatness": (0.0, 0.25),
    # nose
    "nose_length": (5.0, 0.4),
    "nose_projection": (2.25, 0.28),
    "nose_bridge": (0.95, 0.25),
    "nose_hump": (0.0, 0.16),
    "nose_tip_turn": (0.0, 0.22),
    "nose_width": (1.72, 0.2),
    "nose_bridge_width": (0.78, 0.11),
    # mouth
    "mouth_drop": (2.15, 0.22),
    "mouth_width": (5.1, 0.4),
    "upper_lip": (0.72, 0.2),
    "lower_lip": (0.92, 0.2),
    "lip_projection": (0.45, 0.16),
    "mouth_curve": (0.08, 0.13),
    # eyes and brows
    "eye_distance": (6.3, 0.3),
    "eye_width": (2.75, 0.16),
    "eye_opening": (1.08, 0.14),
    "eye_tilt": (0.07, 0.09),
    "eye_depth": (0.0, 0.16),
    "brow_height": (2.05, 0.24),
    "brow_thickness": (0.62, 0.17),
    "brow_arch": (0.32, 0.17),
    # ears and hair
    "ear_height": (6.3, 0.45),
    "ear_flare": (24.0, 7.0),
    "hairline": (7.0, 0.75),
    "hair_temples": (0.2, 0.7),
    "hair_peak": (0.0, 0.3),
    "hair_volume": (1.0, 0.5),
    "hair_sides": (0.8, 0.4),
    # albedo
    "skin": (0.0, 1.0),
    "lip_colour": (0.0, 1.0),
    "hair_colour": (0.0, 1.0),
    "brow_darkness": (0.7, 0.14),
    "beard_shadow": (0.08, 0.09),
    "iris": (0.0, 1.0),
}
"""Mean and standard deviation of every measure: cm, but degrees for ``ear_flare`` and standard scores for albedos."""

HAIR_MEASURES = ("hairline", "hair_temples", "hair_peak", "hair_volume", "hair_sides")
"""Measures visible in the hair alone. Hair colour is not among them: brows show it too."""
NECK_MEASURES = ("neck_width",)
MOST_SCORE = 2.2
"""Standard scores are clipped to plus and minus this value."""
SKIN = np.array([[0.93, 0.78, 0.68], [0.80, 0.60, 0.47], [0.52, 0.35, 0.25]])
"""Albedo of light, middle and dark skin, linear red, green and blue."""
HAIR = np.array([[0.62, 0.47, 0.28], [0.20, 0.13, 0.09], [0.07, 0.06, 0.055]])
IRIS = np.array([[0.42, 0.52, 0.58], [0.30, 0.24, 0.14], [0.12, 0.08, 0.05]])


def face(scores: np.ndarray, *, detail: float = 1.0, hair: bool = True, neck: bool = True) -> Shape:
    """Head of one identity.

    Parameters
    ----------
    scores : array of shape (len(FACE_MEASURES),)
        Standard score of every measure, in the order of :data:`FACE_MEASURES`; 0 is the mean face. Clipped to
        -2.2..2.2.
    detail : float
        Density of points along each direction; 1 is fine enough for 300 pixels.
    hair : bool
        False leaves the scalp bare, in the colour of the skin; brows and lashes stay.
    neck : bool
        False leaves the neck out.

    Returns
    -------
    Shape
        Bilateral.
    """
    m = {
        name: mean + sd * float(score)
        for (name, (mean, sd)), score in zip(
            FACE_MEASURES.items(), np.clip(scores, -MOST_SCORE, MOST_SCORE), strict=True
        )
    }
    skin, eye = _head(m, detail, hair)
    return bilateral([skin, _neck(m)] if neck else [skin], [_ear(m, detail), _eyeball(m, eye)])


def shown_measures(*, hair: bool = True, neck: bool = True) -> tuple[str, ...]:
    """Names of the measures that are visible in heads with or without hair and neck."""
    hidden = (HAIR_MEASURES if not hair else ()) + (NECK_MEASURES if not neck else ())
    return tuple(name for name in FACE_MEASURES if name not in hidden)


def _head(m: dict[str, float], detail: float, hair: bool) -> tuple[Shape, np.ndarray]:
    """Skin of the right half of the head, and the centre of its eye."""
    base = _skull(m, detail)
    x, y, z = base[..., 0], base[..., 1], base[..., 2].copy()
    front = _step(z, 2.0, 5.0)
    z += front * _relief(m, x, y)
    out_x = (
        -m["temple_hollow"] * _bump(y, 3.4, 2.9) * _bump(z, 4.5, 3.0)
        + m["cheekbone"] * _bump(y, -1.9, 1.5) * _bump(z, 5.5, 2.6) * _step(x, 3.0, 5.5)
        + m["cheek_fullness"] * _bump(y, -5.0, 2.2) * _bump(z, 5.5, 3.0) * _step(x, 2.5, 4.5)
    )
    x = np.where(base[..., 0] > 1e-9, x + out_x, 0.0)
    z, eye, opening, lid = _eyelids(m, x, y, z)
    albedo = _skin_colour(m, x, y, z, base[..., 2], opening, lid)
    points = np.stack([x, y, z], axis=-1)
    if hair:
        points, albedo = _hair(m, points, albedo)
    return grid(points, albedo, wrap=False), eye


def _skull(m: dict[str, float], detail: float) -> np.ndarray:
    """Rings of the right half of the head without features, (n_rows, n_columns, 3)."""
    top, half, cheek, jaw = m["vault_height"], m["head_width"] / 2, m["face_width"] / 2, m["jaw_width"] / 2
    occiput = 10.1 - m["head_length"]
    slope, bulge, flat = m["forehead_slope"], m["forehead_bulge"], m["face_flatness"]
    chin, nose = 0.6 - m["face_height"], 0.5 - m["nose_length"]
    mouth = nose - m["mouth_drop"]
    gonion = -7.4 - m["jaw_height"]
    under = chin + 0.6
    rows = [  # profile (y, z); side (x, y, z); back (y, z)
        (top, 0.3, 0.0, top, 0.2, top, 0.1),
        (top - 0.3, 3.4 - slope * 0.5, 0.40 * half, top - 0.3, 0.1, top - 0.3, 0.33 * occiput),
        (top - 1.4, 6.3 - slope * 0.8, 0.71 * half, top - 1.5, -0.1, top - 1.5, 0.67 * occiput),
        (0.71 * top, 8.5 - slope * 0.8 + bulge * 0.6, 0.91 * half, 0.70 * top, -0.3, 0.67 * top, 0.90 * occiput),
        (0.49 * top, 9.5 - slope * 0.45 + bulge, 0.99 * half, 0.47 * top, -0.5, 0.40 * top, occiput),
        (0.29 * top, 9.85 - slope * 0.15 + bulge * 0.5, half, 0.25 * top, -0.5, 0.16 * top, 0.99 * occiput),
        (1.7, 9.9, 0.985 * half, 1.0, -0.4, -0.3, 0.93 * occiput),
        (0.2, 9.35, 0.5 * (0.95 * half + cheek), -0.4, -0.2, -1.8, 0.85 * occiput),
        (-2.2, 9.45 - flat, cheek, -2.2, 0.0, -3.7, 0.76 * occiput),
        (nose, 9.75 - flat, 0.965 * cheek, -4.0, 0.2, -5.2, 0.68 * occiput),
        (mouth, 9.7 - flat, 0.48 * cheek + 0.53 * jaw, 0.74 * gonion, 0.5, -6.6, 0.62 * occiput),
        (
            mouth + 0.46 * (chin - mouth),
            9.35 + 0.3 * m["chin_projection"],
            0.24 * cheek + 0.75 * jaw,
            0.90 * gonion,
            0.9,
            -7.6,
            0.55 * occiput,
        ),
        (
            mouth + 0.74 * (chin - mouth),
            9.3 + m["chin_projection"],
            0.95 * jaw,
            gonion - 0.4,
            1.4,
            -8.4,
            0.47 * occiput,
        ),
        (chin + 0.1, 8.9 + m["chin_projection"], 0.84 * jaw, gonion - 1.1, 2.0, -9.0, 0.36 * occiput),
        (chin - 0.25, 7.7 + 0.8 * m["chin_projection"], 0.66 * jaw, gonion - 1.6, 2.4, -9.3, 0.2 * occiput),
        (under - 0.5, 5.5, 0.36 * jaw, gonion - 1.8, 2.6, -9.4, 0.0),
        (under, 3.2, 0.0, under, 3.2, under, 3.2),
    ]
    counts = np.array([6, 7, 9, 13, 14, 14, 24, 34, 34, 28, 26, 16, 14, 12, 12, 8])
    knots = np.arange(len(rows))
    at = _steps(knots, counts, detail)
    profile_y, profile_z, side_x, side_y, side_z, back_y, back_z = CubicSpline(knots, np.array(rows))(at).T[:, :, None]
    angle = _steps(np.deg2rad([0, 22, 45, 75, 110, 180]), np.array([44, 34, 32, 30, 34]), detail)
    sin, cos = np.sin(angle), np.cos(angle)
    sin[-1] = 0.0
    depth = np.where(cos >= 0, profile_z - side_z, side_z - back_z)
    # Superellipses: rounder at the chin than at the brow, where a face is broad and flat.
    power = np.where(cos >= 0, spline([0, 4, 7, 10, 13, 16], [2.0, 2.25, 2.3, 2.15, 1.9, 2.0], at)[:, None], 2.15)
    side = np.maximum(side_x, 1e-12)
    depth = np.maximum(depth, 1e-12)
    radius = ((np.abs(cos) / depth) ** power + (sin / side) ** power) ** (-1 / power)
    pole = side_x < 1e-9
    x = np.where(pole, 0.0, radius * sin)
    z = np.where(pole, profile_z, side_z + radius * cos)
    ends = np.where(cos >= 0, profile_y, back_y)
    y = side_y + (ends - side_y) * np.abs(cos) ** 1.6
    return np.stack([x, y, z], axis=-1)


def _relief(m: dict[str, float], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far nose, lips, brow, sockets and chin stand out, cm forward, at positions in the frontal plane."""
    nose, mouth, chin = 0.5 - m["nose_length"], _mouth_height(m), 0.6 - m["face_height"]
    tip = nose + 1.15 + m["nose_tip_turn"]
    ridge_y = [nose - 0.5, nose - 0.05, nose + 0.3, tip - 0.35, tip, tip + 0.5, 0.45 * tip, 0.1, 1.3, 2.4]
    projection, bridge = m["nose_projection"], m["nose_bridge"]
    middle = 0.5 * (bridge * 0.55 + projection) + m["nose_hump"]
    ridge = [
        0,
        0.12,
        0.52 * projection,
        0.93 * projection,
        projection,
        0.92 * projection,
        middle,
        bridge * 0.6,
        0.28,
        0,
    ]
    broad = m["nose_bridge_width"]
    width = spline(
        [nose - 0.5, nose, tip, 0.5 * tip, 0.2, 2.0],
        [0.70, 0.72, 0.98, 1.05 * broad + 0.05, broad, 1.1],
        np.clip(y, nose - 0.5, 2.0),
    )
    relief = spline(ridge_y, ridge, np.clip(y, nose - 0.5, 2.4)) * np.exp(-(np.abs(x / width) ** 2.0))
    wing = m["nose_width"]
    relief += 0.36 * projection * _round(x, y, wing - 0.47, nose + 0.62, 0.46, 0.50)
    relief -= 0.10 * _round(x, y, wing + 0.30, nose + 0.75, 0.28, 0.55)  # groove behind the wing
    relief -= 0.45 * _round(x, y, 0.62, nose + 0.24, 0.30, 0.18)  # nostril
    # mouth
    half = m["mouth_width"] / 2
    along = np.sqrt(np.clip(1 - (x / half) ** 2, 0, 1))
    line = mouth + _mouth_line(m, x)
    upper, lower, forward = m["upper_lip"], m["lower_lip"], m["lip_projection"]
    relief += 0.55 * _round(x, y, 0, mouth, 3.0, 2.1)  # dental arch
    relief += along * forward * 0.85 * _bump(y, line + 0.48 * upper, 0.46 * upper + 0.08)
    relief += along * forward * _bump(y, line - 0.52 * lower, 0.48 * lower + 0.06)
    relief -= 0.34 * along**0.5 * _bump(y, line, 0.11)
    relief -= 0.22 * _round(x, y, half + 0.1, mouth + m["mouth_curve"], 0.35, 0.45)  # corner
    relief -= 0.15 * _bump(x, 0, 0.26) * _bump(y, 0.5 * (nose + mouth + upper), 0.55)  # philtrum
    relief += 0.10 * _bump(x, 0.48, 0.2) * _bump(y, 0.5 * (nose + mouth + upper), 0.6)
    relief -= 0.28 * _round(x, y, 0, mouth + 0.43 * (chin - mouth), 2.0, 0.6)  # fold above the chin
    relief += 0.40 * _round(x, y, 0, mouth + 0.71 * (chin - mouth), m["chin_width"], 1.0)
    # fold from the wing of the nose to the corner of the mouth
    fold = (wing + 0.35) + (half + 0.45 - wing - 0.35) * np.clip((nose + 0.6 - y) / (nose + 0.6 - mouth), 0, 1.2)
    relief -= 0.14 * _bump(x, fold, 0.35) * _bump(y, 0.5 * (nose + mouth), 1.2)
    # brow and sockets
    relief += (
        m["brow_ridge"]
        * _bump(y, m["brow_height"] - 0.1, 0.75)
        * (1 - 0.35 * _bump(x, 0, 0.9))
        * _step(5.6 - x, 0, 1.6)
    )
    relief -= (0.95 + m["eye_depth"]) * _round(x, y, m["eye_distance"] / 2 - 0.15, 0.2, 1.75, 1.0)
    relief -= 0.30 * _round(x, y, 1.35, 0.25, 0.6, 0.8)  # inner corner beside the bridge
    relief -= 0.12 * _round(x, y, m["eye_distance"] / 2 - 0.3, -1.25, 1.4, 0.28)  # below the lower lid
    return relief


def _eyelids(m: dict[str, float], x: np.ndarray, y: np.ndarray, z: np.ndarray):
    """Skin with lids over the eyeball and an opening between them.

    Returns the new z, the eyeball's centre, the depth inside the opening (cm, negative outside) and the height above
    the upper lid's edge.
    """
    centre_x = m["eye_distance"] / 2
    dx, dy = x - centre_x, y
    near = (np.abs(dx) < 0.15) & (np.abs(dy) < 0.15) & (z > 0)
    radius, lid = 1.62, 0.13
    centre_z = z[near].mean() + 0.42 - 0.5 * m["eye_depth"] - radius
    distance = dx**2 + dy**2
    ball = centre_z + np.sqrt(np.maximum(radius**2 - distance, 0))
    lids = centre_z + np.sqrt(np.maximum((radius + lid) ** 2 - distance, 0))
    inside = (distance < (radius + lid) ** 2) & (z > centre_z - 1.0)
    softness = 0.12
    raised = np.where(inside, softness * np.logaddexp(z / softness, lids / softness), z)
    half = m["eye_width"] / 2
    along = dx / half
    tilt = m["eye_tilt"] * dx
    arc = np.clip(1 - np.abs(along) ** 2.2, 0, None)
    # The upper lid peaks towards the nose, the lower lid away from it.
    upper = 0.60 * m["eye_opening"] * arc * (1 - 0.12 * along) + tilt
    lower = -0.40 * m["eye_opening"] * arc * (1 + 0.12 * along) + tilt
    opening = np.where(np.abs(along) < 1, np.minimum(upper - dy, dy - lower), -1.0)
    opening = np.where(z > centre_z - 1.0, opening, -1.0)
    above = np.where((np.abs(along) < 1.08) & (z > centre_z - 1.0), dy - upper, 9.0)
    raised = raised - 0.10 * _bump(above, 0.42, 0.12) * np.clip(1 - along**2, 0, 1)
    sunk = np.minimum(raised, ball - 0.06)
    return np.where(opening > 0, sunk, raised), np.array([centre_x, 0.0, centre_z]), opening, above


def _skin_colour(m, x, y, z, skull_z, opening, above) -> np.ndarray:
    """Albedo of the skin, (n_rows, n_columns, 3)."""
    mouth, nose, chin = _mouth_height(m), 0.5 - m["nose_length"], 0.6 - m["face_height"]
    front = _step(skull_z, 2.0, 4.5)
    skin = _palette(SKIN, m["skin"])
    colour = np.broadcast_to(skin, (*x.shape, 3)).copy()
    # cheeks and the tip of the nose are redder, the hollow of the eye is darker
    blush = front * (0.5 * _round(x, y, 4.2, -3.0, 1.8, 1.6) + 0.4 * _round(x, y, 0, nose + 1.2, 1.2, 0.9))
    colour *= 1 - blush[..., None] * np.array([0.0, 0.16, 0.18])
    socket = front * (
        0.22 * _round(x, y, m["eye_distance"] / 2 - 0.2, 0.55, 1.5, 0.6)
        + 0.16 * _round(x, y, m["eye_distance"] / 2 - 0.3, -0.95, 1.3, 0.45)
    )
    colour *= 1 - socket[..., None]
    # beard shadow
    lower_face = (
        _step(-y, -nose - 0.3, -nose + 0.9) * _step(z, 2.5, 5.5) * (1 - 0.8 * _round(x, y, 0, mouth - 1.5, 0.9, 0.3))
    )
    lower_face *= _step(y, chin - 1.5, chin) * (1 - _round(x, y, 3.6, nose - 0.2, 1.6, 1.2))
    colour *= 1 - (np.clip(m["beard_shadow"], 0, 0.4) * lower_face)[..., None]
    # lips
    half = m["mouth_width"] / 2
    along = np.clip(1 - (x / half) ** 2, 0, 1)
    line = mouth + _mouth_line(m, x)
    bow = 1 - 0.22 * _bump(x, 0, 0.3)
    upper_edge = line + m["upper_lip"] * along**0.75 * bow * (1.05 - 0.05 * np.abs(x))
    lower_edge = line - m["lower_lip"] * along**0.6
    lips = front * _step(np.minimum(upper_edge - y, y - lower_edge), -0.05, 0.09) * _step(along, 0.0, 0.12)
    lip_skin = skin * np.array([0.86, 0.62, 0.63]) * (1 - 0.10 * np.clip(m["lip_colour"], -2, 2))
    colour += lips[..., None] * (lip_skin - colour)
    dark = front * along**0.25 * _bump(y, line, 0.10) * (np.abs(x) < half)
    dark = np.maximum(dark, front * 0.9 * _round(x, y, 0.62, nose + 0.24, 0.28, 0.17))
    colour *= 1 - 0.72 * dark[..., None]
    # brows
    inner, outer = 1.15, m["eye_distance"] / 2 + 1.95
    share = np.clip((x - inner) / (outer - inner), 0, 1)
    arch = m["brow_height"] + m["brow_arch"] * np.sin(np.pi * np.clip(share * 0.85, 0, 1)) - 0.28 * share**2
    thick = m["brow_thickness"] * (0.62 + 0.5 * np.sin(np.pi * np.clip(share + 0.15, 0, 1)) - 0.45 * share**3) / 2
    brow = (
        front
        * _step(thick - np.abs(y - arch), -0.14, 0.10)
        * _step(x, inner - 0.35, inner + 0.3)
        * _step(outer - x, -0.1, 0.35)
    )
    hair = _palette(HAIR, _hair_score(m)) * 0.9
    brow = np.clip(m["brow_darkness"] + 0.1, 0.2, 1) * brow
    colour += brow[..., None] * (hair - colour)
    # lashes and the crease of the lid
    lashes = 0.75 * _step(0.13 - np.abs(above - 0.02), 0, 0.08) + 0.22 * _bump(above, 0.42, 0.09)
    lashes = np.maximum(lashes, 0.35 * _step(opening, -0.12, -0.02))
    return colour * (1 - np.clip(lashes, 0, 1) * front)[..., None]


def _hair(m: dict[str, float], points: np.ndarray, albedo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scalp hair: above the hairline the skin is moved outwards and takes the colour of hair."""
    x, y, z = np.moveaxis(points, -1, 0)
    angle = np.rad2deg(np.arctan2(x, z + 0.4))
    line, temples, peak = m["hairline"], m["hair_temples"], m["hair_peak"]
    # the hairline goes from the forehead over the temple and the sideburn, around the ear, to the nape
    path = np.array(
        [
            (0, line - peak),
            (14, line),
            (28, line - 0.6 + temples),
            (38, line - 1.5 + temples),
            (47, line - 3.0 + 0.6 * temples),
            (57, 0.38 * line - 1.2),
            (66, -0.2),  # sideburn
            (80, -1.9),
            (100, 0.2),  # above the ear
            (118, -2.5),
            (135, -6.2),  # nape
            (180, -7.2),
        ]
    )
    edge = spline(path[:, 0], path[:, 1], np.clip(angle, 0, 180))
    softness = spline([0, 50, 80, 180], [0.40, 0.45, 0.6, 0.5], np.clip(angle, 0, 180))
    edge = edge + 0.20 * _waves(1.7 * angle, 0 * y) * _step(-angle, -80, -50)
    amount = _step((y - edge) / softness, -0.5, 0.8)
    rise = _step(y - edge, 0.0, 3.2)
    strand = _waves(angle, y)
    middle = np.array([0.0, 1.5, 0.0])
    outward = points - middle
    outward /= np.linalg.norm(outward, axis=-1, keepdims=True)
    crown = _step(y, 3.0, 10.0)
    volume = crown * np.clip(m["hair_volume"], 0.2, 2.2) + (1 - crown) * np.clip(m["hair_sides"], 0.15, 1.7)
    lift = amount * (0.12 + volume * (0.25 + 0.75 * rise) * _step(y, -7.5, 2.0)) + 0.07 * strand * amount
    hair = _palette(HAIR, _hair_score(m)) * (1 + 0.28 * strand)[..., None]
    moved_points = points + lift[..., None] * outward
    moved_points[x <= 1e-9, 0] = 0.0
    return moved_points, albedo + amount[..., None] * (hair - albedo)


def _waves(angle: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Pattern of strands, -1..1: fine across the head, slow along it."""
    bend = 0.35 * np.sin(0.9 * height) + 0.2 * np.sin(0.37 * height + 1.0)
    phase = np.deg2rad(angle)
    return 0.5 * np.sin(31 * phase + 3 * bend) + 0.3 * np.sin(53 * phase + 2 + 2 * bend) + 0.2 * np.sin(17 * phase + 5)


def _ear(m: dict[str, float], detail: float) -> Shape:
    """Right ear: a shell with a rim, an inner fold and a bowl, closed at the back."""
    up = np.arange(0, 1, 1 / round(56 * max(detail, 0.4))) * 2 * np.pi
    outer = _steps(np.array([0.0, 0.7, 1.0]), np.array([16, 14]), max(detail, 0.5))
    a = outer[:, None]
    cos, sin = np.cos(up), np.sin(up)
    half_height, half_width = m["ear_height"] / 2, 0.29 * m["ear_height"]
    v = half_height * a * cos
    u = half_width * a * sin * (1 + 0.22 * cos * a) - 0.12 * half_width * a * cos
    back = _step(-sin, -0.75, 0.1) * np.maximum(_step(cos, -0.95, -0.6), 0.25)
    out = 0.42 * back * _bump(a, 0.90, 0.10) + 0.30 * _step(-sin, -0.3, 0.4) * _step(cos, -0.7, -0.2) * _bump(
        a, 0.60, 0.13
    )
    out = out + 0.22 * _round(u, v, 0.95 * half_width, -0.35, 0.35, 0.5)  # tragus
    out = out - 0.60 * _round(u, v, 0.30 * half_width, -0.55, 0.62, 0.95)
    out = out + 0.30 * _round(u, v, 0.15, -0.78 * half_height, 0.7, 0.6)  # lobe
    front = np.stack([out + 0.25 * (1 - a**6), v, u], axis=-1)
    rear_a = outer[-2::-2][:, None]
    rear = np.stack(
        [
            -0.25 * (1 - rear_a**4) + 0 * cos,
            half_height * rear_a * cos,
            half_width * rear_a * sin * (1 + 0.22 * cos * rear_a) - 0.12 * half_width * rear_a * cos,
        ],
        axis=-1,
    )
    shade = (
        1 - 0.42 * np.clip(_round(u, v, 0.30 * half_width, -0.5, 0.6, 0.9), 0, 1) - 0.14 * _bump(a, 0.76, 0.07) * back
    )
    colour = _palette(SKIN, m["skin"]) * np.array([0.98, 0.88, 0.87])
    albedo = np.concatenate([shade[..., None] * colour, np.broadcast_to(colour, (*rear.shape[:2], 3))])
    shell = grid(np.concatenate([front, rear]), albedo)
    turn = rotation("y", -m["ear_flare"]) @ rotation("x", -11.0)
    side = 0.5 * (0.95 * m["head_width"] / 2 + m["face_width"] / 2)
    return moved(shell, turn=turn, to=(side + 0.32 + 0.014 * m["ear_flare"], -1.4, -1.0))


def _eyeball(m: dict[str, float], centre: np.ndarray) -> Shape:
    radius = 1.62
    ring = np.array(
        [
            0.0,
            0.09,
            0.18,
            0.235,
            0.27,
            0.34,
            0.42,
            0.50,
            0.56,
            0.60,
            0.66,
            0.75,
            0.85,
            0.95,
            1.05,
            1.15,
            1.25,
            1.35,
            1.45,
            1.55,
        ]
    )
    angles = np.concatenate([np.arcsin(ring / radius), [np.pi / 2, 2.2, np.pi]])
    profile = np.stack([radius * np.sin(angles), radius * np.cos(angles)], axis=1)
    profile[[0, -1], 0] = 0.0
    iris = _palette(IRIS, m["iris"])
    tone = np.repeat(np.array([[0.68, 0.66, 0.64]]), len(profile), 0)
    size = profile[:, 0]
    tone[(size < 0.58) & (angles < 1)] = iris
    tone[(size > 0.52) & (size < 0.58) & (angles < 1)] = 0.45 * iris
    tone[(size < 0.25) & (angles < 1)] = 0.015
    ball = lathe(profile, np.repeat(tone[:, None], 36, axis=1), resolution=36)
    ball = moved(ball, turn=rotation("x", 90.0))
    glint = np.hypot(ball.vertices[:, 0], ball.vertices[:, 1] - 0.27) < 0.15
    ball.albedo[glint & (ball.vertices[:, 2] > 0)] = 1.0
    return moved(ball, to=centre)


def _neck(m: dict[str, float]) -> Shape:
    half = m["neck_width"] / 2
    height = np.linspace(-4.0, -13.2, 18)
    share = (height[0] - height) / (height[0] - height[-1])
    angle = np.arange(64) * (2 * np.pi / 64)
    width = half * (0.96 + 0.10 * share**3)
    centre = -1.7 - 1.5 * share
    sin, cos = np.sin(angle), np.cos(angle)
    sin[[0, 32]] = 0.0
    points = np.stack(
        [
            width[:, None] * sin,
            np.repeat(height[:, None], 64, axis=1),
            centre[:, None] + (0.93 * width)[:, None] * cos,
        ],
        axis=-1,
    )
    points[..., 2] += 0.45 * np.exp(-((angle - np.where(angle > np.pi, 2 * np.pi, 0)) ** 2) / 0.05)  # windpipe
    return capped(points, _palette(SKIN, m["skin"]) * 0.97)


def _mouth_height(m: dict[str, float]) -> float:
    return 0.5 - m["nose_length"] - m["mouth_drop"]


def _mouth_line(m: dict[str, float], x: np.ndarray) -> np.ndarray:
    """Height of the line between the lips above the mouth's middle."""
    share = x / (m["mouth_width"] / 2)
    return m["mouth_curve"] * share**2 + 0.05 * np.exp(-((np.abs(share) - 0.28) ** 2) / 0.03) - 0.04


def _hair_score(m: dict[str, float]) -> float:
    """Darkness of the hair: darker skin goes with darker hair."""
    return m["hair_colour"] + 0.8 * m["skin"]


def _palette(colours: np.ndarray, score: float) -> np.ndarray:
    """Colour at a standard score between light (-2), middle (0) and dark (+2)."""
    return spline([-2, 0, 2], colours, np.clip([score], -2, 2))[0]


def _steps(knots: np.ndarray, counts: np.ndarray, detail: float) -> np.ndarray:
    """Positions between knots, ``counts`` per interval."""
    counts = np.maximum(np.rint(counts * detail).astype(int), 2)
    inner = [np.linspace(a, b, n, endpoint=False) for a, b, n in zip(knots[:-1], knots[1:], counts, strict=True)]
    return np.concatenate([*inner, [knots[-1]]])


def _bump(values: np.ndarray, centre: np.ndarray | float, width: float) -> np.ndarray:
    return np.exp(-(((values - centre) / width) ** 2))


def _round(x: np.ndarray, y: np.ndarray, centre_x: float, centre_y: float, width: float, height: float) -> np.ndarray:
    return np.exp(-(((x - centre_x) / width) ** 2) - ((y - centre_y) / height) ** 2)


def _step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Smooth step from 0 at ``low`` to 1 at ``high``."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
