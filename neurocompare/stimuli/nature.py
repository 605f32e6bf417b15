"""Animals (bilateral), fruits and flowers (radial): shape families, declared as in ``vehicles``.

Fruits and flowers repeat every 45 degrees about the upright axis and have a mirror plane every 22.5 degrees, so that
all views at multiples of 22.5 degrees are mirror-symmetric images.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    rotation,
    spline,
    tube,
)

__all__ = ["ANIMAL", "FLOWER", "FRUIT", "animal", "flower", "fruit"]

ANIMAL = {
    "body_length": (1.3, 2.3),
    "body_depth": (0.34, 0.56),
    "body_width": (0.26, 0.46),
    "belly": (-0.12, 0.16),
    "leg_length": (0.45, 1.35),
    "leg_width": (0.08, 0.15),
    "neck_length": (0.25, 1.25),
    "neck_angle": (25.0, 70.0),
    "neck_width": (0.17, 0.30),
    "head_size": (0.22, 0.34),
    "snout_length": (0.22, 0.62),
    "snout_width": (0.50, 0.80),
    "ear_length": (0.10, 0.42),
    "ear_angle": (10.0, 75.0),
    "horns": (0.0, 1.0),
    "horn_length": (0.25, 0.70),
    "horn_bend": (-0.5, 0.5),
    "tail_length": (0.2, 1.1),
    "tail_lift": (-70.0, 40.0),
    "tail_tuft": (0.0, 0.14),
    "coat": (0.15, 0.85),
    "belly_coat": (0.3, 0.95),
    "muzzle": (0.05, 0.8),
    "feet": (0.03, 0.4),
    "stripes": (0.0, 1.0),
}


def animal(m: dict[str, float]) -> Shape:
    """Four-legged animal, standing: from boar to giraffe."""
    half, depth, width = m["body_length"] / 2, m["body_depth"], m["body_width"]
    s = np.sin(np.linspace(np.pi / 2, -np.pi / 2, 41))
    size = np.clip(1 - np.abs(s) ** 3.5, 0, 1) ** 0.5
    low = m["belly"] * np.cos(np.pi * s / 2) + 0.06 * s
    body = hull(
        np.stack([half * s, width * size, -depth * size - low * size, depth * size * (1 + 0.10 * s)], axis=1),
        m["coat"],
        resolution=40,
    )
    pale = body.vertices[:, 1] < -0.45 * depth
    body.albedo[pale] = m["belly_coat"]
    if m["stripes"] > 0.65:
        bands = np.sin(9 * body.vertices[:, 2] / half + 3 * body.vertices[:, 1]) > 0.25
        body.albedo[bands & ~pale] = 0.25 * m["coat"] + 0.02
    parts, sides = [body], []
    # legs: thick at the shoulder and the hip, with hooves or paws
    for z, bend in ((0.70 * half, 0.04), (-0.72 * half, -0.10)):
        knots = np.array(
            [
                (0.55 * width, 0.1 * depth, z),
                (0.66 * width, -0.65 * depth, z + 0.2 * bend),
                (0.66 * width, -depth - 0.45 * m["leg_length"], z + bend),
                (0.66 * width, -depth - m["leg_length"], z - 0.2 * bend),
            ]
        )
        path = spline([0, 1, 2, 3], knots, np.linspace(0, 3, 20))
        thick = spline([0, 1, 2, 3], [2.6, 1.75, 1.0, 0.85], np.linspace(0, 3, 20)) * m["leg_width"]
        sides.append(tube(path, np.minimum(thick, 0.62 * depth), m["coat"], resolution=16))
        foot = (knots[-1][0], knots[-1][1] - 0.05, knots[-1][2] + 0.05)
        leg = m["leg_width"]
        sides.append(ellipsoid(foot, (1.15 * leg, 0.09, 1.5 * leg), m["feet"], resolution=16))
    # neck and head
    angle = np.deg2rad(m["neck_angle"])
    start = np.array([0.0, 0.30 * depth, 0.78 * half])
    head = start + (m["neck_length"] + 0.25) * np.array([0.0, np.sin(angle), np.cos(angle)])
    share = np.linspace(0, 1, 16)
    path = start + share[:, None] * (head - start)
    path[:, 2] += 0.10 * np.sin(np.pi * share) * m["neck_length"]
    thick = m["neck_width"] * (1.45 - 0.65 * share)
    parts.append(in_mirror_plane(tube(path, np.minimum(thick, 1.1 * depth), m["coat"], resolution=24)))
    skull = m["head_size"]
    snout = m["snout_length"]
    along = np.linspace(0, 1, 14)
    stations = np.stack(
        [
            0.6 * skull + (snout + 0.25 * skull) * np.sin(along * np.pi / 2) - 0.25 * skull,
            skull * m["snout_width"] * np.sqrt(np.clip(1 - along**5, 0, 1)) * (1.05 - 0.25 * along),
            -skull * (0.60 - 0.05 * along) * np.sqrt(np.clip(1 - along**6, 0, 1)) - 0.12 * skull,
            skull * (0.62 - 0.42 * along) * np.sqrt(np.clip(1 - along**6, 0, 1)) - 0.12 * skull,
        ],
        axis=1,
    )[::-1]
    muzzle = hull(stations, m["coat"], resolution=24)
    front = muzzle.vertices[:, 2] > 0.35 * skull + 0.55 * snout
    muzzle.albedo[front] = m["muzzle"]
    tilt = rotation("x", 14.0)
    parts.append(moved(ellipsoid((0, 0, 0), (0.80 * skull, 0.86 * skull, 1.05 * skull), m["coat"]), turn=tilt, to=head))
    parts.append(moved(muzzle, turn=tilt, to=head))
    tip = np.array([0.0, -0.10 * skull, 0.62 * skull + snout * 0.98])
    nose = ellipsoid((0, 0, 0), (0.26 * skull, 0.17 * skull, 0.14 * skull), 0.03, resolution=16)
    parts.append(moved(nose, to=head + tilt @ tip))
    eye = head + tilt @ np.array([0.66 * skull, 0.26 * skull, 0.50 * skull])
    sides.append(ellipsoid(eye, (0.13 * skull, 0.16 * skull, 0.17 * skull), 0.02, resolution=16))
    # ears, horns, tail
    out = np.deg2rad(m["ear_angle"])
    root = head + np.array([0.55 * skull, 0.55 * skull, -0.30 * skull])
    steps = np.linspace(0, 1, 10)[:, None]
    ear = root + steps * (m["ear_length"] + 0.1) * np.array([np.sin(out), np.cos(out), -0.15])
    thick = 0.34 * skull * np.sin(np.pi * np.clip(0.25 + 0.72 * steps[:, 0], 0, 1)) + 0.01
    sides.append(tube(ear, thick, 0.85 * m["coat"], resolution=16, flat=0.45))
    if m["horns"] > 0.6:
        root = head + np.array([0.30 * skull, 0.72 * skull, 0.05 * skull])
        curve = root + steps * m["horn_length"] * np.array([0.45, 0.9, -0.15])
        curve[:, 0] += m["horn_bend"] * m["horn_length"] * np.sin(np.pi * steps[:, 0]) * 0.5
        sides.append(tube(curve, 0.17 * skull * (1.05 - 0.9 * steps[:, 0]), 0.75, resolution=12))
    lift = np.deg2rad(m["tail_lift"])
    tail = np.array([0.0, 0.35 * depth, -0.93 * half]) + steps * m["tail_length"] * np.array(
        [0.0, np.sin(lift), -np.cos(lift)]
    )
    tail[:, 1] -= 0.25 * m["tail_length"] * np.sin(np.pi * steps[:, 0] / 2) ** 2
    parts.append(in_mirror_plane(tube(tail, 0.075 - 0.035 * steps[:, 0], m["coat"], resolution=12)))
    if m["tail_tuft"] > 0.05:
        tuft = m["tail_tuft"]
        parts.append(ellipsoid(tail[-1], (tuft, 1.5 * tuft, 1.5 * tuft), 0.4 * m["coat"], resolution=16))
    return bilateral(parts, sides)


FRUIT = {
    "height": (0.75, 1.75),
    "belly": (-0.30, 0.35),
    "neck": (0.0, 0.62),
    "neck_place": (0.45, 0.75),
    "top_dimple": (0.0, 0.30),
    "bottom_dimple": (0.0, 0.20),
    "squareness": (0.75, 1.15),
    "lobes": (-0.16, 0.12),
    "ridges": (0.0, 1.0),
    "stem_length": (0.05, 0.55),
    "stem_width": (0.035, 0.085),
    "leaves": (0.0, 1.0),
    "leaf_length": (0.20, 0.60),
    "leaf_lift": (-20.0, 65.0),
    "leaf_width": (0.22, 0.48),
    "skin": (0.25, 0.9),
    "top_shade": (0.35, 1.0),
    "band": (0.0, 1.0),
    "crown": (0.0, 1.0),
}


def fruit(m: dict[str, float]) -> Shape:
    """Fruit on its stalk: apple, pear, melon, pumpkin, tomato, berry with a rosette of leaves, and intermediates."""
    angle = np.linspace(0, np.pi, 61)
    height = m["height"]
    radius = np.sin(angle) ** m["squareness"]
    level = np.cos(angle)
    radius = radius * (1 - m["belly"] * level) * (1 - m["neck"] * np.exp(-(((level - m["neck_place"]) / 0.42) ** 2)))
    radius /= radius.max()
    high = height * level
    high = high - m["top_dimple"] * np.exp(-((radius / 0.28) ** 2)) * (level > 0)
    high = high + m["bottom_dimple"] * np.exp(-((radius / 0.25) ** 2)) * (level < 0)
    around = np.arange(96) * (2 * np.pi / 96)
    number = 16 if m["ridges"] > 0.5 else 8
    section = 1 + max(m["lobes"], 0.0) * (np.abs(np.cos(number / 2 * around)) - 0.6) * np.sin(angle)[:, None]
    shade = m["skin"] * (1 + (m["top_shade"] - 1) * np.clip((level + 0.2) / 1.2, 0, 1)) ** 1.3
    if m["band"] > 0.6:
        shade = shade * (1 - 0.35 * (np.abs(level - 0.1) < 0.22))
    tones = np.repeat(shade[:, None, None] * np.ones((1, 96, 1)), 3, axis=2)
    grooves = 1 - 2.2 * max(m["lobes"], 0.0) * np.exp(-((np.cos(number / 2 * around) / 0.3) ** 2))
    body = lathe(np.stack([radius, high], axis=1), tones * grooves[None, :, None], resolution=96, section=section)
    top, bottom = high[0], high[-1]
    stem = m["stem_width"]
    profile = np.array(
        [
            (0, m["stem_length"]),
            (1.3 * stem, m["stem_length"]),
            (stem, 0.4 * m["stem_length"]),
            (1.5 * stem, -0.05),
            (0, -0.1),
        ]
    )
    parts: list[Shape] = [body, moved(lathe(profile, 0.12, resolution=16), to=(0, top, 0))]
    sides: list[Shape] = []
    if m["leaves"] > 0.4:
        leaf = _Leaf(
            m["leaf_length"], m["leaf_width"] * m["leaf_length"], m["leaf_lift"], droop=0.35, albedo=0.30
        ).shape()
        more, others = _around(leaf, (0.10, high.max() - 0.02), 8)
        parts, sides = parts + more, sides + others
    if m["crown"] > 0.7:
        leaf = _Leaf(0.16, 0.07, -35.0, droop=0.1, albedo=0.2).shape()
        more, others = _around(leaf, (0.05, bottom - 0.02), 8)
        parts, sides = parts + more, sides + others
    return bilateral(parts, sides)


FLOWER = {
    "stem_length": (0.9, 2.1),
    "stem_width": (0.035, 0.07),
    "petal_length": (0.55, 1.10),
    "petal_width": (0.20, 0.42),
    "petal_lift": (15.0, 75.0),
    "petal_droop": (-0.45, 0.55),
    "petal_point": (0.25, 1.1),
    "cup": (0.0, 0.5),
    "inner_whorl": (0.0, 1.0),
    "inner_size": (0.45, 0.85),
    "disc": (0.10, 0.34),
    "disc_dome": (0.2, 1.3),
    "leaf_length": (0.35, 0.95),
    "leaf_width": (0.12, 0.30),
    "leaf_lift": (15.0, 70.0),
    "leaf_place": (0.05, 0.6),
    "pot": (0.0, 1.0),
    "petal_tone": (0.35, 0.95),
    "petal_base": (0.3, 1.0),
    "disc_tone": (0.04, 0.7),
    "leaf_tone": (0.10, 0.40),
}


def flower(m: dict[str, float]) -> Shape:
    """Flower that looks up: eight or sixteen petals on a stem with a rosette of leaves, some in a pot."""
    stem, width = m["stem_length"], m["stem_width"]
    profile = np.array(
        [(0, 0.0), (1.6 * width, 0), (width, -0.12), (width, -0.9 * stem), (1.2 * width, -stem), (0, -stem)]
    )
    parts: list[Shape] = [lathe(profile, 0.28, resolution=16)]
    sides: list[Shape] = []
    disc = m["disc"]
    around = np.linspace(0, np.pi / 2, 8)
    dome = np.stack([disc * np.sin(around), disc * m["disc_dome"] * np.cos(around)], axis=1)
    dome = np.concatenate([dome, [(0.5 * disc, -0.08), (0, -0.12)]])
    parts.append(lathe(dome, m["disc_tone"], resolution=32))
    for scale, extra, turn in ((1.0, 0.0, False), (m["inner_size"], 14.0, True)):
        if turn and m["inner_whorl"] < 0.5:
            continue
        petal = _Leaf(
            scale * m["petal_length"],
            scale * m["petal_width"],
            min(m["petal_lift"] + extra, 85.0),
            droop=m["petal_droop"],
            albedo=m["petal_tone"] * (0.9 if turn else 1.0),
            point=m["petal_point"],
            cup=m["cup"],
            base=m["petal_base"],
        ).shape()
        more, others = _around(petal, (0.55 * disc, 0.0), 8, half_step=turn)
        parts, sides = parts + more, sides + others
    leaf = _Leaf(m["leaf_length"], m["leaf_width"], m["leaf_lift"], droop=0.4, albedo=m["leaf_tone"]).shape()
    more, others = _around(leaf, (width, -stem * (1 - m["leaf_place"])), 8)
    parts, sides = parts + more, sides + others
    if m["pot"] > 0.5:
        outline = np.array([(0, 0.0), (0.34, 0), (0.40, 0.04), (0.40, -0.12), (0.35, -0.13), (0.26, -0.62), (0, -0.62)])
        parts.append(moved(lathe(outline, 0.5, resolution=48), to=(0, -stem, 0)))
    return bilateral(parts, sides)


@dataclass(frozen=True)
class _Leaf:
    """Thin leaf or petal from the origin along z, lifted by an angle and bending down (or up) along its length.

    Parameters
    ----------
    length, half_width : float
        In the units of the shape.
    lift_deg : float
        Angle above the horizontal at the origin.
    droop : float
        How far it bends down; below 0 it bends up.
    albedo, base : float
        0..1: the albedo of the tip, and the share of it that the origin has.
    point : float
        Larger ends are more pointed.
    cup : float
        How far the edges rise, in half widths.
    """

    length: float
    half_width: float
    lift_deg: float
    droop: float
    albedo: float
    point: float = 0.8
    cup: float = 0.15
    base: float = 1.0

    def shape(self) -> Shape:
        """Its two sheets, closed."""
        share = np.linspace(0, 1, 17)
        lift = np.deg2rad(self.lift_deg) - self.droop * 1.6 * share
        steps = np.stack([np.sin(lift), np.cos(lift)], axis=1) * self.length / 16
        line = np.concatenate([[[0.0, 0.0]], np.cumsum(steps[:-1], axis=0)])
        half = self.half_width * np.sin(np.pi * (0.06 + 0.94 * share**0.8)) ** self.point
        half[-1] = 0.0
        across = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 13))
        across[6] = 0.0
        normal = np.stack([np.cos(lift), -np.sin(lift)], axis=1)
        rise = self.cup * half[:, None] * across**2
        thickness = 0.012 + 0.022 * (1 - across**2) * (1 - 0.6 * share[:, None])
        sheets = []
        for side in (1, -1):
            offset = rise + side * thickness
            points = np.stack(
                [
                    half[:, None] * across,
                    line[:, :1] + offset * normal[:, :1],
                    line[:, 1:] + offset * normal[:, 1:],
                ],
                axis=-1,
            )
            sheets.append(points if side > 0 else points[:, ::-1])
        ring = np.concatenate([sheets[0], sheets[1]], axis=1)
        fade = self.base + (1 - self.base) * share
        tone = np.broadcast_to((self.albedo * np.clip(fade, 0, 1))[:, None, None], (*ring.shape[:2], 3)).copy()
        return grid(ring, tone)


def _around(
    leaf: Shape, at: tuple[float, float], n: int, *, half_step: bool = False
) -> tuple[list[Shape], list[Shape]]:
    """Copies of a leaf around the y axis: those in the mirror plane, and those to the right of it."""
    angles = (np.arange(n) + 0.5 * half_step) * 360 / n
    placed = {a: moved(leaf, turn=rotation("y", a), to=_outwards(at, a)) for a in angles if a <= 180}
    middle = [in_mirror_plane(part) for a, part in placed.items() if a in (0, 180)]
    return middle, [part for a, part in placed.items() if 0 < a < 180]


def _outwards(at: tuple[float, float], degrees: float) -> np.ndarray:
    return rotation("y", degrees) @ np.array([0.0, at[1], at[0]])
