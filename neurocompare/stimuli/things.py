"""Chairs (metres) and hand tools (decimetres): bilateral shape families, declared as in ``vehicles``."""

from __future__ import annotations

import numpy as np

from neurocompare.stimuli.geometry import (
    Shape,
    bilateral,
    capped,
    ellipsoid,
    in_mirror_plane,
    lathe,
    moved,
    plate,
    prism,
    rotation,
    superquadric,
    tube,
)

__all__ = ["CHAIR", "TOOL", "chair", "tool"]

CHAIR = {
    "width": (0.38, 0.66),
    "depth": (0.36, 0.60),
    "seat_height": (0.34, 0.56),
    "seat_thickness": (0.025, 0.11),
    "seat_roundness": (0.12, 0.75),
    "back_height": (0.30, 0.85),
    "back_tilt": (2.0, 20.0),
    "back_kind": (0.0, 3.99),
    "slats": (3.0, 6.99),
    "back_roundness": (0.12, 0.6),
    "leg_width": (0.014, 0.036),
    "leg_splay": (0.0, 0.10),
    "leg_taper": (0.55, 1.0),
    "stretcher": (0.0, 1.0),
    "arms": (0.0, 1.0),
    "arm_height": (0.16, 0.30),
    "wood": (0.12, 0.75),
    "seat_tone": (0.15, 0.95),
    "back_tone": (0.15, 0.95),
}


def chair(m: dict[str, float]) -> Shape:
    """Chair with four legs; its back is solid, of upright slats, of rungs, or a frame."""
    width, depth, seat = m["width"] / 2, m["depth"] / 2, m["seat_height"]
    thick, leg, wood = m["seat_thickness"] / 2, m["leg_width"], m["wood"]
    flat = m["seat_roundness"]
    parts = [superquadric((0, seat, 0), (width, thick, depth), m["seat_tone"], roundness=(0.3, flat), resolution=48)]
    sides = []
    feet = {}
    for end in (1, -1):
        top = np.array([width * 0.88, seat - 0.5 * thick, end * depth * 0.86])
        foot = np.array([width * 0.88 + m["leg_splay"], 0.0, end * (depth * 0.86 + m["leg_splay"])])
        feet[end] = (top, foot)
        sides.append(tube(np.linspace(top, foot, 6), np.linspace(leg, leg * m["leg_taper"], 6), wood, resolution=16))
    if m["stretcher"] > 0.5:
        ends = [0.45 * feet[end][0] + 0.55 * feet[end][1] for end in (1, -1)]
        sides.append(tube(np.linspace(ends[0], ends[1], 5), 0.6 * leg, wood, resolution=12))
        level = [0.35 * feet[end][0] + 0.65 * feet[end][1] for end in (1, -1)]
        sides += [_half_bar(point, 0.6 * leg, wood) for point in level]
    # the back stands on the rear edge and leans backwards
    tilt = rotation("x", -m["back_tilt"])
    foot = np.array([0.0, seat + 0.3 * thick, -depth * 0.88])
    tall = m["back_height"]

    def on_back(part: Shape) -> Shape:
        return moved(part, turn=tilt, to=foot)

    kind = int(m["back_kind"])
    bow = m["back_roundness"]
    if kind == 0:
        panel = superquadric(
            (0, 0.58 * tall, 0),
            (0.95 * width, 0.42 * tall, 0.03),
            m["back_tone"],
            roundness=(bow, bow * 0.5),
            resolution=48,
        )
        parts.append(on_back(panel))
    else:
        rail = superquadric(
            (0, tall - 0.06, 0), (0.97 * width, 0.055, 0.02), m["back_tone"], roundness=(bow, 0.3), resolution=32
        )
        parts.append(on_back(rail))
        n = int(m["slats"])
        if kind == 1:
            places = (np.arange(n) - (n - 1) / 2) / (n - 1) * 2
            for place in places[places >= 0]:
                slat = superquadric(
                    (place * 0.70 * width, 0.5 * tall, 0), (0.028, 0.48 * tall, 0.012), wood, roundness=(0.2, 0.4)
                )
                (parts if place == 0 else sides).append(on_back(slat))
        elif kind == 2:
            for level in np.linspace(0.28, 0.78, max(n - 2, 2)):
                rung = superquadric(
                    (0, level * tall, 0), (0.93 * width, 0.035, 0.013), m["back_tone"], roundness=(0.4, 0.3)
                )
                parts.append(on_back(rung))
        else:
            parts.append(
                on_back(superquadric((0, 0.30 * tall, 0), (0.93 * width, 0.03, 0.015), wood, roundness=(0.4, 0.3)))
            )
            cushion = superquadric(
                (0, 0.62 * tall, 0.01), (0.70 * width, 0.26 * tall, 0.035), m["seat_tone"], roundness=(0.4, 0.4)
            )
            parts.append(on_back(cushion))
    post = np.linspace((0.90 * width, -0.05, 0), (0.90 * width, tall - 0.03, 0), 6)
    sides.append(on_back(tube(post, 0.95 * leg, wood, resolution=16)))
    if m["arms"] > 0.6:
        height = seat + m["arm_height"]
        back = foot + tilt @ np.array([0.92 * width, m["arm_height"], 0.0])
        front = np.array([0.98 * width, height, 0.62 * depth])
        sides.append(tube(np.linspace(back, front, 6), 1.25 * leg, wood, resolution=16, flat=0.6))
        sides.append(tube(np.linspace(front, (0.92 * width, seat, 0.66 * depth), 5), 0.9 * leg, wood, resolution=16))
    return bilateral(parts, sides)


def _half_bar(end: np.ndarray, radius: float, albedo: float) -> Shape:
    """Bar from a point on the right to the mirror plane."""
    return tube(np.linspace(end, end * [0.0, 1.0, 1.0], 5), radius, albedo, resolution=12)


TOOL = {
    "kind": (0.0, 5.99),
    "handle_length": (1.6, 3.0),
    "handle_width": (0.11, 0.19),
    "handle_waist": (-0.25, 0.30),
    "handle_end": (0.9, 1.5),
    "grip": (0.0, 1.0),
    "head_length": (0.75, 1.35),
    "head_height": (0.30, 0.55),
    "head_width": (0.24, 0.40),
    "head_shape": (0.15, 0.9),
    "edge": (0.35, 0.85),
    "shaft": (0.5, 1.3),
    "handle_tone": (0.12, 0.85),
    "head_tone": (0.20, 0.9),
    "grip_tone": (0.04, 0.6),
}


def tool(m: dict[str, float]) -> Shape:
    """Hand tool, upright, with its working side to the front: hammer, axe, pick, spade, screwdriver or brush."""
    long, wide = m["handle_length"], m["handle_width"]
    share = np.linspace(0, 1, 24)
    swell = 1 - m["handle_waist"] * np.sin(np.pi * share) + (m["handle_end"] - 1) * share**3
    rings = np.stack([wide * swell, -long * share], axis=1)
    rings = np.concatenate([[(0, 0.0)], rings, [(0.7 * rings[-1, 0], -long - 0.05), (0, -long - 0.07)]])
    tone = np.full((len(rings), 32, 3), m["handle_tone"])
    if m["grip"] > 0.4:
        held = (rings[:, 1] < -0.5 * long) & (rings[:, 1] > -0.96 * long)
        rings[held, 0] *= 1.16
        tone[held] = m["grip_tone"]
    parts: list[Shape] = [lathe(rings, tone, resolution=32)]
    sides: list[Shape] = []
    length, height, width, steel = m["head_length"], m["head_height"] / 2, m["head_width"] / 2, m["head_tone"]
    kind = int(m["kind"])
    if kind == 0:  # hammer with a claw that splits left and right
        parts.append(superquadric((0, 0, 0), (width, height, 0.30 * length), steel, roundness=(0.3, 0.3)))
        profile = np.array([(0, 0.0), (1.15, 0), (1.25, -0.06), (1.2, -0.2), (0.9, -0.3), (0.9, -0.6), (0, -0.6)])
        face = lathe(profile * [height * 0.85, 0.6 * length], steel, resolution=32)
        parts.append(moved(face, turn=rotation("x", 90.0), to=(0, 0, 0.62 * length)))
        curve = np.linspace(0, 1, 12)
        claw = np.stack(
            [0.06 + 0.07 * curve, 0.05 - 0.55 * height * curve**2 * 2, -0.2 * length - 0.62 * length * curve], axis=1
        )
        sides.append(tube(claw, 0.55 * height * (1 - 0.65 * curve), steel, resolution=16, flat=0.6))
    elif kind == 1:  # axe
        blade = np.linspace(0, 1, 12)
        rise = height * (1.05 + m["edge"] * 1.8 * blade**2)
        outline = np.concatenate(
            [
                np.stack([-0.18 + length * blade, -0.6 * rise - 0.15 * rise * blade], axis=1),
                np.stack([-0.18 + length * blade[::-1], rise[::-1] * 0.75], axis=1),
            ]
        )
        head = prism(outline, 1.0, steel)
        thin = np.clip(1 - (head.vertices[:, 2] + 0.18) / (length + 0.02), 0.06, 1)
        head.vertices[:, 0] *= 2 * width * thin * 0.85
        head.albedo[head.vertices[:, 2] > 0.72 * length - 0.18] = 0.95
        parts.append(head)
        parts.append(superquadric((0, 0.02, 0), (1.15 * width, 1.1 * height, 0.26), steel, roundness=(0.3, 0.4)))
    elif kind == 2:  # pick: two tips that bend down
        curve = np.linspace(-1, 1, 31)
        line = np.stack([0 * curve, 0.15 - (0.25 + 0.35 * m["edge"]) * curve**2, 1.15 * length * curve], axis=1)
        pick = tube(line, width * (1.05 - 0.85 * np.abs(curve) ** 1.5), steel, resolution=16)
        parts.append(in_mirror_plane(pick))
        parts.append(superquadric((0, 0.1, 0), (1.2 * width, 0.9 * height, 0.25), steel, roundness=(0.3, 0.4)))
    elif kind == 3:  # spade: a curved blade above the handle
        tall, half = 1.1 * length, 0.42 * length
        up, across = np.linspace(0, 1, 16), np.linspace(-1, 1, 17)
        broad = half * np.clip(1 - m["edge"] * np.clip((up - 0.45) / 0.55, 0, 1) ** 2.2, 0.02, 1)
        sheet = np.stack(
            [
                broad[:, None] * across,
                0.15 + tall * up[:, None] + 0 * across,
                0.45 * m["head_shape"] * half * across**2 - 0.12 * tall * (up[:, None] - 0.2) ** 2 + 0.08,
            ],
            axis=-1,
        )
        behind = sheet - [0, 0, 0.05]
        parts.append(capped(np.concatenate([sheet[::-1], behind[::-1, ::-1]], axis=1), steel))
        parts.append(superquadric((0, 0.12, 0), (0.8 * wide, 0.32, 0.8 * wide), steel, roundness=(0.4, 1.0), taper=0.3))
    elif kind == 4:  # screwdriver: shaft and flat tip
        reach = m["shaft"] * 1.1
        parts.append(superquadric((0, 0.06, 0), (1.25 * wide, 0.12, 1.25 * wide), m["grip_tone"], roundness=(0.4, 1.0)))
        rod = np.array([(0, reach), (0.32 * wide, reach), (0.32 * wide, 0.0), (0, 0.0)])
        parts.append(lathe(rod, steel, resolution=24))
        stations = np.array(
            [
                (0.0, reach - 0.05 + 0.32 * t, 0.0, 0.3 * wide + 0.35 * wide * np.sin(np.pi * min(t, 0.8)))
                for t in np.linspace(0, 1, 6)
            ]
        )
        parts.append(in_mirror_plane(moved(plate(stations, 0.3 * wide, steel), turn=rotation("y", 90.0))))
    else:  # brush: ferrule and bristles
        flat = 0.55 + 0.4 * m["head_shape"]
        parts.append(
            superquadric((0, 0.18, 0), (0.32 * length * flat, 0.24, 0.40 * length), steel, roundness=(0.15, 0.4))
        )
        tall = 0.8 * length * m["shaft"]
        bristles = superquadric(
            (0, 0.3 + tall / 2, 0),
            (0.30 * length * flat, tall / 2, 0.38 * length),
            m["grip_tone"],
            roundness=(0.2, 0.4),
            taper=-0.12 * m["edge"],
        )
        grooves = np.sin(60 * bristles.vertices[:, 2]) * np.sin(40 * np.abs(bristles.vertices[:, 0]))
        bristles.albedo[:] = np.clip(bristles.albedo * (1 + 0.5 * grooves[:, None]), 0, 1)
        parts.append(bristles)
    parts.append(ellipsoid((0, 0, 0), (1.05 * wide, 0.6 * wide, 1.05 * wide), m["handle_tone"], resolution=16))
    return bilateral(parts, sides)
