"""Objects without a mirror plane, and symmetric twins made of the same parts.

An object is a round body with rings of parts around it. Every ring holds a pair of parts that mirror each other in
the ring's own upright plane. In the symmetric twin the planes of all rings coincide; in the chiral object each ring is
turned about the upright axis by a different angle, so that no mirror plane remains. Parts, heights and distances within
a pair are the same in both: the twins differ only in symmetry.
"""

from __future__ import annotations

import numpy as np

from neurocompare.stimuli.geometry import (
    Shape,
    bilateral,
    joined,
    lathe,
    moved,
    reflected,
    rotation,
    spline,
    superquadric,
    tube,
)
from neurocompare.stimuli.scene import render_views

__all__ = ["N_CLASSES", "N_MEASURES", "chirality", "twins"]

DESIGNS = (53, 16, 75, 31, 19, 51, 22, 24, 73, 50)
"""Seeds of the classes' designs: of 80 designs, the ten with the largest :func:`chirality` over three exemplars."""
N_CLASSES = len(DESIGNS)
"""Number of classes of objects; each has its own body, parts and ring angles."""
N_RINGS = 4
N_MEASURES = 4 + 5 * N_RINGS
"""Number of measures that vary within a class: four of the body, five of each ring."""
RING_PARTS = ("horn", "ball", "block", "fin", "hook", "cone")


def twins(class_index: int, measures: np.ndarray) -> tuple[Shape, Shape]:
    """The symmetric and the chiral object of one exemplar.

    Parameters
    ----------
    class_index : int
        0 to ``N_CLASSES - 1``.
    measures : array of shape (N_MEASURES,)
        Position of each measure within its range, 0..1.

    Returns
    -------
    symmetric : Shape
        Bilateral.
    chiral : Shape
        The same parts, with every ring turned about the upright axis.
    """
    design = np.random.default_rng([7_041, DESIGNS[class_index]])
    vary = iter(2 * np.asarray(measures, dtype=float) - 1)
    body = _body(design, vary)
    heights = np.linspace(0.78, -0.78, N_RINGS)
    kinds = design.permutation(len(RING_PARTS))[:N_RINGS]
    # A mirror image reverses the turns, so a ring's plane is off by twice its turn. Turns spread evenly over half a
    # circle are the farthest from a common plane.
    turns = design.permutation(N_RINGS) * (180 / N_RINGS) + 180 * design.integers(0, 2, N_RINGS)
    pairs = []
    for height, kind in zip(heights, kinds, strict=True):
        spread = design.uniform(30, 65) + 7 * next(vary)
        size = design.uniform(0.75, 1.0) * (1 + 0.2 * next(vary))
        lift = design.uniform(-30, 30) + 10 * next(vary)
        tone = np.clip(design.uniform(0.15, 0.9) + 0.1 * next(vary), 0.05, 0.95)
        at = np.array([0.0, height + 0.05 * next(vary), 0.22])
        part = moved(_part(RING_PARTS[kind], size, tone), turn=rotation("x", -lift), to=at)
        pairs.append(moved(part, turn=rotation("y", spread)))
    symmetric = bilateral([body], pairs)
    turned = [
        moved(part, turn=rotation("y", turn))
        for pair, turn in zip(pairs, turns, strict=True)
        for part in (pair, reflected(pair))
    ]
    return symmetric, joined([body, *turned])


def chirality(shape: Shape, *, step_deg: float = 22.5, size: int = 32) -> float:
    """Least distance between any view of a shape around the upright axis and the mirror image of any view.

    Parameters
    ----------
    shape : Shape
        Solid that may have a mirror plane.
    step_deg : float
        Step between views, which cover 360 degrees.
    size : int
        Height and width of the views, pixels.

    Returns
    -------
    float
        1 - Pearson r over pixels, the smallest over all pairs of views, after the foreground's mean is set to the
        background's level: 0 for a shape with an upright mirror plane.
    """
    azimuths = np.arange(-180.0, 180.0, step_deg)
    rendering = render_views(shape, azimuths, size=size)
    total = rendering.coverage.sum(axis=(1, 2), keepdims=True)
    mean = (rendering.brightness * rendering.coverage).sum(axis=(1, 2), keepdims=True) / total
    views = (rendering.brightness - mean) * rendering.coverage
    flat = views.reshape(len(views), -1)
    mirrored = views[:, :, ::-1].reshape(len(views), -1)
    return float(1 - np.corrcoef(flat, mirrored)[: len(views), len(views) :].max())


def _body(design: np.random.Generator, vary) -> Shape:
    """Body of revolution of one class, varied in height and width by exemplar."""
    knots = design.uniform(0.15, 0.34, 6) * (1 + 0.08 * next(vary))
    height = design.uniform(1.0, 1.15) * (1 + 0.08 * next(vary))
    level = np.linspace(1, -1, 41)
    radius = spline(np.linspace(-1, 1, 6), knots * (1 + 0.08 * next(vary)), level) * (1 - level**10) ** 0.5
    tone = np.clip(design.uniform(0.5, 0.75) + 0.12 * next(vary), 0.1, 0.9)
    bands = np.where(np.sin(level * design.uniform(4, 9) + design.uniform(0, 6)) > 0.3, 0.7, 1.0)
    tones = np.repeat((tone * bands)[:, None, None] * np.ones((1, 48, 1)), 3, axis=2)
    return lathe(np.stack([radius, height * level], axis=1), tones)


def _part(kind: str, size: float, tone: float) -> Shape:
    """Part that extends from the origin along z; hooks and fins lean to its left."""
    steps = np.linspace(0, 1, 14)
    if kind == "horn":
        line = np.stack([-0.35 * steps**2, 0.45 * steps**2, steps - 0.2], axis=1) * size
        return tube(line, 0.20 * size * (1 - 0.85 * steps), tone)
    if kind == "hook":
        line = np.stack([-0.55 * np.clip(steps - 0.6, 0, 1) / 0.4, 0 * steps, np.minimum(steps, 0.75) - 0.2], axis=1)
        return tube(line * size * 1.2, 0.11 * size, tone)
    if kind == "ball":
        line = np.stack([0 * steps, 0 * steps, 0.7 * steps - 0.1], axis=1) * size
        ball = superquadric((0, 0, 0.75 * size), (0.27 * size,) * 3, tone, resolution=24)
        return joined([tube(line, 0.08 * size, 0.8 * tone), ball])
    if kind == "block":
        return superquadric((0, 0, 0.3 * size), (0.20 * size, 0.32 * size, 0.5 * size), tone, roundness=(0.2, 0.2))
    if kind == "fin":
        return superquadric(
            (-0.1 * size, 0, 0.3 * size), (0.42 * size, 0.07 * size, 0.5 * size), tone, roundness=(0.5, 0.7)
        )
    cone = lathe(np.array([(0, 0.8), (0.02, 0.8), (0.26, 0.0), (0.26, -0.2), (0, -0.2)]) * size, tone, resolution=24)
    return moved(cone, turn=rotation("x", 90.0))
