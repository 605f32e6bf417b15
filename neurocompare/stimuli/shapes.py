"""The shape families: their categories, their symmetry, and how exemplars are drawn.

A family is a function from a vector of measures to a shape. Exemplars are drawn one after the other; an exemplar that
is too similar to an earlier one is drawn again (:func:`draw_exemplars`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from neural_data.errors import InputError, closest
from neurocompare.stimuli import chiral, faces, nature, things, vehicles
from neurocompare.stimuli.geometry import Shape

__all__ = ["CATEGORIES", "CHIRAL", "SYMMETRIC_TWINS", "Family", "draw_exemplars", "family"]

LEAST_DISTANCE = 0.8
"""Exemplars closer than this to an earlier one are drawn again: root mean square difference of their measures, each in
units of its standard deviation over the family (two independent exemplars: 1.41 on average)."""


@dataclass(frozen=True)
class Family:
    """One category of shapes.

    Parameters
    ----------
    category : str
        Name of the category.
    symmetry : str
        ``"left-right"``, ``"left-right, nearly front-back"``, ``"radial"`` or ``"none"``.
    n_measures : int
        Length of the vector of measures of an exemplar.
    normal : bool
        Whether measures are standard normal scores; otherwise they are uniform in 0..1.
    build : callable
        ``build(measures, detail, **parts)`` gives the shape; ``detail`` is 1 for 224 pixels, less for small images, and
        ``parts`` say by name whether each of ``removable`` is shown.
    removable : tuple of str
        Parts that exemplars can be shown without.
    """

    category: str
    symmetry: str
    n_measures: int
    normal: bool
    build: Callable[..., Shape]
    removable: tuple[str, ...] = ()


def draw_exemplars(family: Family, n: int, *, rng: np.random.Generator) -> np.ndarray:
    """Measures of n exemplars without near-duplicates.

    Parameters
    ----------
    family : Family
        The category.
    n : int
        Number of exemplars.
    rng : numpy.random.Generator
        Source of the measures.

    Returns
    -------
    array of shape (n, n_measures)
        Any two rows differ by at least ``LEAST_DISTANCE``. The first rows do not depend on n.
    """
    sd = 1.0 if family.normal else 12**-0.5
    drawn = np.empty((n, family.n_measures))
    for i in range(n):
        while True:
            drawn[i] = rng.standard_normal(family.n_measures) if family.normal else rng.random(family.n_measures)
            distances = np.sqrt(np.mean(((drawn[:i] - drawn[i]) / sd) ** 2, axis=1))
            if not (distances < LEAST_DISTANCE).any():
                break
    return drawn


def family(category: str) -> Family:
    """The family of a category, by name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    known = {f.category: f for f in (*CATEGORIES, *SYMMETRIC_TWINS, *CHIRAL)}
    if category not in known:
        raise InputError(f"no shapes of category {category!r}: {closest(category, known)}")
    return known[category]


def _of_ranges(category: str, symmetry: str, ranges: Mapping[str, tuple[float, float]], make) -> Family:
    low, high = np.array(list(ranges.values())).T

    def build(measures: np.ndarray, detail: float) -> Shape:
        del detail  # these shapes have few triangles at any size
        return make(dict(zip(ranges, low + (high - low) * measures, strict=True)))

    return Family(category, symmetry, len(ranges), False, build)


def _of_twins(class_index: int, which: int) -> Family:
    def build(measures: np.ndarray, detail: float) -> Shape:
        del detail
        return chiral.twins(class_index, measures)[which]

    name = ("symmetric", "chiral")[which]
    symmetry = ("left-right", "none")[which]
    return Family(f"{name}{class_index}", symmetry, chiral.N_MEASURES, False, build)


def _face(scores: np.ndarray, detail: float, *, hair: bool = True, neck: bool = True) -> Shape:
    return faces.face(scores, detail=detail, hair=hair, neck=neck)


FRONT_BACK = "left-right, nearly front-back"
CATEGORIES: tuple[Family, ...] = (
    _of_ranges("car", FRONT_BACK, vehicles.CAR, vehicles.car),
    _of_ranges("boat", FRONT_BACK, vehicles.BOAT, vehicles.boat),
    Family("face", "left-right", len(faces.FACE_MEASURES), True, _face, removable=("hair", "neck")),
    _of_ranges("chair", "left-right", things.CHAIR, things.chair),
    _of_ranges("airplane", "left-right", vehicles.AIRPLANE, vehicles.airplane),
    _of_ranges("tool", "left-right", things.TOOL, things.tool),
    _of_ranges("animal", "left-right", nature.ANIMAL, nature.animal),
    _of_ranges("fruit", "radial", nature.FRUIT, nature.fruit),
    _of_ranges("flower", "radial", nature.FLOWER, nature.flower),
)
"""The nine categories of the object set, in the order of the paper."""
SYMMETRIC_TWINS: tuple[Family, ...] = tuple(_of_twins(i, 0) for i in range(chiral.N_CLASSES))
CHIRAL: tuple[Family, ...] = tuple(_of_twins(i, 1) for i in range(chiral.N_CLASSES))
