"""Cars, boats and airplanes, in metres: bilateral; cars and boats also nearly the same at both ends.

A family is a table of measures, each with the range from which exemplars are drawn, and a function that makes a shape
from one value of each measure.
"""

from __future__ import annotations

import numpy as np

from neurocompare.stimuli.geometry import (
    Shape,
    bilateral,
    ellipsoid,
    grid,
    hull,
    in_mirror_plane,
    lathe,
    moved,
    plate,
    rotation,
    superquadric,
    tube,
)

__all__ = ["AIRPLANE", "BOAT", "CAR", "airplane", "boat", "car"]

CAR = {
    "length": (3.3, 4.8),
    "width": (1.55, 1.95),
    "clearance": (0.18, 0.36),
    "waist": (0.88, 1.18),
    "cabin_height": (0.36, 0.85),
    "cabin_length": (0.46, 0.74),
    "roof_length": (0.50, 0.88),
    "roof_width": (0.72, 0.92),
    "bonnet_drop": (0.00, 0.20),
    "body_roundness": (0.25, 0.60),
    "corner_roundness": (0.15, 0.45),
    "wheel_radius": (0.28, 0.42),
    "wheelbase": (0.54, 0.68),
    "paint": (0.15, 0.85),
    "glass": (0.04, 0.22),
    "roof_paint": (0.15, 0.85),
    "bumper": (0.08, 0.60),
    "roof_rack": (0.0, 1.0),
}


def car(m: dict[str, float]) -> Shape:
    """Car whose bonnet and boot are nearly the same; front and rear differ in lamps and grille."""
    half, width, waist = m["length"] / 2, m["width"] / 2, m["waist"]
    s = np.linspace(1, -1, 25)
    cabin = m["cabin_length"]
    top = waist - m["bonnet_drop"] * np.clip((np.abs(s) - cabin) / (1 - cabin), 0, 1) ** 2.5
    ends = np.clip(1 - np.abs(s) ** 7, 0, 1)
    body = hull(
        np.stack(
            [half * s, width * (0.86 + 0.14 * ends), m["clearance"] + 0.12 * (1 - ends), top - 0.10 * (1 - ends)],
            axis=1,
        ),
        m["paint"],
        roundness=(m["corner_roundness"], m["body_roundness"]),
        resolution=40,
    )
    parts, sides = [body], []
    # cabin: glass with a roof and pillars around it
    lower, upper = cabin * half, cabin * half * m["roof_length"]
    roof = waist + m["cabin_height"]
    narrow = m["roof_width"]
    base = waist - 0.12
    glass = _frustum((lower, 0.93 * width), (upper, narrow * width), base, roof, m["glass"])
    parts.append(glass)
    parts.append(
        superquadric((0, roof, 0), (narrow * width * 1.02, 0.05, upper * 1.03), m["roof_paint"], roundness=(0.4, 0.3))
    )
    for z_low, z_high in ((lower, upper), (-lower, -upper), (0.02, 0.02)):
        path = np.linspace((0.93 * width, base, z_low), (narrow * width, roof, z_high), 5)
        sides.append(tube(path, 0.045, m["roof_paint"], resolution=8))
    if m["roof_rack"] > 0.7:
        for z in (-0.6 * upper, 0.6 * upper):
            path = np.array([(x * narrow * width * 0.8, roof + 0.13, z) for x in np.linspace(0, 1, 5)])
            sides.append(tube(path, 0.03, 0.1, resolution=8))
    # wheels in dark arches
    radius = m["wheel_radius"]
    for z in (m["wheelbase"] * half, -m["wheelbase"] * half):
        sides += [moved(part, to=(0.93 * width, radius, z)) for part in _wheel(radius)]
        arch = superquadric((0, 0, 0), (0.14 * radius, 1.10 * radius, 1.10 * radius), 0.03, resolution=32)
        sides.append(moved(arch, to=(0.965 * width, radius * 1.05, z)))
    # bumpers, lamps, grille, side trim
    for z in (half, -half):
        bumper = superquadric(
            (0, m["clearance"] + 0.20, z), (0.90 * width, 0.09, 0.10), m["bumper"], roundness=(0.4, 0.4)
        )
        parts.append(bumper)
    lamp = waist - m["bonnet_drop"] - 0.22
    sides.append(ellipsoid((0.66 * width, lamp, half * 0.985), (0.15, 0.09, 0.08), 0.95, resolution=16))
    sides.append(superquadric((0.70 * width, lamp, -half * 0.985), (0.12, 0.09, 0.07), 0.35, roundness=(0.4, 0.4)))
    parts.append(superquadric((0, lamp - 0.02, half * 0.985), (0.36 * width, 0.08, 0.06), 0.05, roundness=(0.3, 0.3)))
    trim = np.linspace((1.0 * width, 0.62 * waist, 0.36 * half), (1.0 * width, 0.62 * waist, -0.36 * half), 9)
    sides.append(tube(trim, 0.02, 0.1, resolution=6))
    mirror_at = (0.97 * width + 0.09, waist + 0.06, 0.80 * lower)
    sides.append(ellipsoid(mirror_at, (0.09, 0.07, 0.05), m["paint"], resolution=16))
    return bilateral(parts, sides)


def _frustum(low: tuple[float, float], high: tuple[float, float], bottom: float, top: float, albedo: float) -> Shape:
    """Block that narrows upwards, with half length and half width at its bottom and top."""
    block = superquadric((0, 0, 0), (1, 1, 1), albedo, roundness=(0.08, 0.16), resolution=40)
    share = (block.vertices[:, 1] + 1) / 2
    block.vertices[:, 2] *= low[0] + (high[0] - low[0]) * share
    block.vertices[:, 0] *= low[1] + (high[1] - low[1]) * share
    block.vertices[:, 1] = bottom + (top - bottom) * share
    return block


def _wheel(radius: float) -> list[Shape]:
    """Tyre and hub about the x axis."""
    side = np.array([(0, 0.09), (0.55, 0.09), (0.62, 0.11), (0.97, 0.10), (1.0, 0.06), (1.0, -0.10), (0, -0.10)])
    tyre = lathe(side * [radius, 1.0], 0.04, resolution=32)
    hub = lathe(np.array([(0, 0.105), (0.5, 0.10), (0.56, 0.08), (0, 0.0)]) * [radius, 1.0], 0.62, resolution=32)
    turn = rotation("z", -90.0)
    return [moved(tyre, turn=turn), moved(hub, turn=turn)]


BOAT = {
    "length": (7.0, 12.0),
    "beam": (2.2, 3.8),
    "freeboard": (0.9, 1.8),
    "draught": (0.3, 0.9),
    "sheer": (0.2, 1.2),
    "fineness": (1.6, 4.0),
    "rake": (0.0, 0.18),
    "cabin_length": (0.22, 0.55),
    "cabin_height": (0.7, 1.6),
    "cabin_width": (0.50, 0.78),
    "bridge_height": (0.0, 1.3),
    "bridge_length": (0.4, 0.75),
    "funnel_height": (0.0, 2.0),
    "funnel_radius": (0.22, 0.5),
    "mast_height": (1.5, 5.5),
    "windows": (3.0, 6.99),
    "hull_paint": (0.08, 0.85),
    "bottom_paint": (0.08, 0.5),
    "cabin_paint": (0.45, 0.95),
    "stripe": (0.05, 0.9),
}


def boat(m: dict[str, float]) -> Shape:
    """Boat with both ends pointed, a cabin, a bridge, a funnel and a mast amidships."""
    half, beam, free = m["length"] / 2, m["beam"] / 2, m["freeboard"]
    s = np.sin(np.linspace(np.pi / 2, -np.pi / 2, 41))
    breadth = np.clip(1 - np.abs(s) ** m["fineness"], 0, 1) ** 0.8
    sheer = free + m["sheer"] * np.abs(s) ** 2.2
    keel = -m["draught"] * np.clip(1 - np.abs(s) ** 4, 0, 1)
    parts, sides = [], []
    levels = np.array([1.0, 0.93, 0.86, 0.80, 0.60, 0.40, 0.22, 0.10, 0.0])
    flare = levels**0.45
    tone = np.array([*[m["stripe"]] * 2, *[m["hull_paint"]] * 4, *[m["bottom_paint"]] * 3])
    height = keel + levels[:, None] * (sheer - keel)
    across, along = flare[:, None] * (beam * breadth), (half * (1 + m["rake"] * (levels - 1)))[:, None] * s
    parts.append(_boat_hull(np.stack([across, height, along], axis=-1), tone))
    deck = hull(
        np.stack([half * s * 0.985, beam * breadth * 0.95, sheer - 0.5, sheer - 0.10], axis=1),
        0.55,
        roundness=(0.05, 0.05),
    )
    parts.append(deck)
    length, height, width = m["cabin_length"] * half, m["cabin_height"], m["cabin_width"] * beam
    floor = free - 0.2
    parts.append(_frustum((length, width), (0.94 * length, 0.92 * width), floor, free + height, m["cabin_paint"]))
    parts.append(
        superquadric((0, free + height, 0), (0.99 * width, 0.06, 1.02 * length), m["stripe"], roundness=(0.3, 0.2))
    )
    n = int(m["windows"])
    for z in (np.arange(n) - (n - 1) / 2) * (1.7 * length / n):
        size = (0.06, 0.16 * height, 0.55 * length / n)
        sides.append(
            superquadric((0.955 * width, free + 0.62 * height, z), size, 0.05, roundness=(0.3, 0.3), resolution=16)
        )
    roof = free + height
    if m["bridge_height"] > 0.35:
        high, long = m["bridge_height"], m["bridge_length"] * length
        parts.append(_frustum((long, 0.75 * width), (0.9 * long, 0.68 * width), roof, roof + high, m["cabin_paint"]))
        band = (0.725 * width, 0.20 * high, 0.965 * long)
        parts.append(superquadric((0, roof + 0.62 * high, 0), band, 0.06, roundness=(0.1, 0.16)))
        roof += high
    if m["funnel_height"] > 0.5:
        profile = np.array([(0, 1.0), (0.9, 1.0), (1.0, 0.98), (1.0, 0.8), (1.0, 0.79), (1.0, 0.0), (0, 0.0)])
        tones = np.repeat(np.array([0.05, 0.05, 0.05, 0.05, 0.8, 0.8, 0.8])[:, None, None] * np.ones(3), 32, axis=1)
        funnel = lathe(profile * [m["funnel_radius"], m["funnel_height"]], tones, resolution=32)
        parts.append(moved(funnel, to=(0, roof - 0.05, 0)))
    mast = roof + m["mast_height"]
    parts.append(_upright(0.07, roof - 0.3, mast, 0.35))
    yard = np.array([(x, roof + 0.7 * m["mast_height"], 0.0) for x in np.linspace(0, 0.45 * beam, 5)])
    sides.append(tube(yard, 0.05, 0.35, resolution=8))
    for end in (1, -1):
        stay = np.linspace((0, mast - 0.1, 0), (0, sheer[0] - 0.1, 0.95 * half * end), 12)
        parts.append(in_mirror_plane(tube(stay, 0.028, 0.25, resolution=8)))
    for z in np.linspace(-0.85, 0.85, 8) * half:
        at = np.interp(z / half, s[::-1], (0.93 * beam * breadth)[::-1])
        rail = np.interp(z / half, s[::-1], sheer[::-1])
        post = np.array([(at, rail + y, z) for y in (-0.2, 0.1, 0.4)])
        sides.append(tube(post, 0.035, 0.8, resolution=8))
    ring = np.stack([0.93 * beam * breadth, sheer + 0.42, half * s], axis=1)[4:-4]
    sides.append(tube(ring, 0.035, 0.8, resolution=8))
    return bilateral(parts, sides)


def _boat_hull(right: np.ndarray, tone: np.ndarray) -> Shape:
    """Shell from rail to keel, from points of its right side (n_levels, n_along, 3) and an albedo a level."""
    left = (right * [-1, 1, 1])[:, ::-1][:, 1:-1]
    ring = np.concatenate([right, left], axis=1)
    return grid(ring, np.broadcast_to(tone[:, None, None], ring.shape).copy())


def _upright(radius: float, bottom: float, top: float, albedo: float) -> Shape:
    """Round post about the y axis."""
    return lathe(np.array([(0, top), (radius, top), (radius, bottom), (0, bottom)]), albedo, resolution=12)


AIRPLANE = {
    "length": (8.0, 11.5),
    "radius": (0.75, 1.25),
    "nose": (0.12, 0.28),
    "tail": (0.35, 0.55),
    "span": (7.5, 11.5),
    "chord": (1.4, 2.6),
    "wing_taper": (0.25, 0.85),
    "sweep": (-0.2, 3.2),
    "dihedral": (1.0, 10.0),
    "wing_height": (-0.6, 0.75),
    "wing_place": (-0.6, 1.0),
    "tailplane_span": (0.28, 0.42),
    "tailplane_height": (0.0, 1.0),
    "fin_height": (1.5, 3.0),
    "fin_sweep": (0.4, 1.8),
    "engines": (0.0, 2.99),
    "engine_size": (0.28, 0.5),
    "engine_place": (0.28, 0.45),
    "body_paint": (0.45, 0.95),
    "wing_paint": (0.3, 0.85),
    "tail_paint": (0.08, 0.9),
    "stripe": (0.05, 0.6),
}


def airplane(m: dict[str, float]) -> Shape:
    """Airplane with swept or straight wings, none to four engines (none: a propeller at the nose)."""
    half, radius = m["length"] / 2, m["radius"]
    z = np.concatenate([np.cos(np.linspace(0, np.pi / 2, 12)) * m["nose"] + 1 - 2 * m["nose"], [0.3, 0.0, -0.2]])
    z = np.concatenate([z[z > -0.1], np.linspace(min(z[-3], 1 - 2 * m["tail"]) - 0.05, -1.0, 12)])
    z = np.unique(z)[::-1]
    front = np.sqrt(np.clip(1 - np.clip((z - (1 - 2 * m["nose"])) / m["nose"], 0, 1) ** 2, 0, 1))
    rear = np.clip((1 - 2 * m["tail"] - z) / (2 - 2 * m["tail"]), 0, 1)
    size = np.where(z > 0, front, 1 - 0.88 * rear**1.5)
    z = np.where(z > 1 - 2 * m["nose"], 1 - 2 * m["nose"] + (z - 1 + 2 * m["nose"]) * 2, z)
    lift = 0.75 * radius * rear**1.6
    body = hull(
        np.stack([half * z, radius * size, lift - radius * size, lift + radius * size], axis=1),
        m["body_paint"],
        resolution=48,
    )
    stripe = np.abs(body.vertices[:, 1] - 0.12 * radius) < 0.16 * radius
    body.albedo[stripe] = m["stripe"]
    parts, sides = [body], []
    glass = (0.62 * radius, 0.30 * radius, 0.16 * half)
    parts.append(ellipsoid((0, 0.62 * radius, half * (1 - 1.75 * m["nose"])), glass, 0.04))
    span, chord, height = m["span"] / 2, m["chord"] / 2, m["wing_height"] * radius
    share = np.linspace(0, 1, 9)
    wing = np.stack(
        [
            0.2 * radius + (span - 0.2 * radius) * share,
            height + np.tan(np.deg2rad(m["dihedral"])) * span * share,
            m["wing_place"] - m["sweep"] * share,
            chord * (1 - (1 - m["wing_taper"]) * share) * np.append(np.ones(8), 0.7),
        ],
        axis=1,
    )
    sides.append(plate(wing, 0.26 * chord * (1 - 0.7 * share) + 0.03, m["wing_paint"]))
    # tail: the tailplane sits on the body or on top of the fin
    end = -0.93 * half
    fin_share = np.linspace(0, 1, 6)
    base = lift[-1]
    fin = np.stack(
        [
            0 * fin_share,
            base + m["fin_height"] * fin_share,
            end + 0.55 - m["fin_sweep"] * fin_share,
            0.75 * chord * (1 - 0.45 * fin_share),
        ],
        axis=1,
    )
    parts.append(in_mirror_plane(plate(fin, 0.16, m["tail_paint"])))
    on_fin = 1.0 if m["tailplane_height"] > 0.7 else 0.05
    reach = m["tailplane_span"] * span
    plane = np.stack(
        [
            reach * fin_share,
            base + on_fin * m["fin_height"] + 0 * fin_share,
            end + 0.45 - on_fin * m["fin_sweep"] - 0.35 * m["sweep"] * fin_share,
            0.55 * chord * (1 - 0.4 * fin_share),
        ],
        axis=1,
    )
    sides.append(plate(plane, 0.10, m["tail_paint"]))
    n_engines = int(m["engines"])
    for k in range(n_engines):
        at = m["engine_place"] * (1 + 0.75 * k)
        place = [np.interp(at, share, wing[:, i]) for i in range(3)]
        sides += _jet(m["engine_size"], (place[0], place[1] - 0.9 * m["engine_size"], place[2] + 0.55 * chord))
    if n_engines == 0:
        spinner = half
        parts.append(ellipsoid((0, 0, spinner), (0.2, 0.2, 0.4), 0.1))
        blade = np.array(
            [(x, 0.0, spinner + 0.1, 0.05 + 0.07 * np.sin(np.pi * x / 1.6)) for x in np.linspace(0, 1.5, 7)]
        )
        sides.append(plate(blade, 0.06, 0.12))
    return bilateral(parts, sides)


def _jet(size: float, at: tuple[float, float, float]) -> list[Shape]:
    profile = np.array(
        [(0, 1.2), (0.75, 1.2), (0.95, 1.5), (1.0, 1.3), (1.0, 0.3), (0.7, -1.6), (0.55, -1.8), (0, -1.6)]
    )
    tones = np.repeat(np.array([0.03, 0.03, 0.8, 0.8, 0.6, 0.6, 0.2, 0.05])[:, None, None] * np.ones(3), 24, axis=1)
    return [moved(lathe(profile * size, tones, resolution=24), turn=rotation("x", 90.0), to=at)]
