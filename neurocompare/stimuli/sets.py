"""The stimulus sets as one-liners, in memory or rendered into a folder.

Everything follows from the seed: the same call gives the same pixels on any number of workers, and exemplar k of a
category is the same whatever else the set holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import joblib
import numpy as np
import pandas as pd

from neural_data import StimulusSet
from neural_data.errors import InputError, closest
from neurocompare.processes import delayed
from neurocompare.stimuli.luminance import match_histogram, match_luminance
from neurocompare.stimuli.scene import Rendering, render_views
from neurocompare.stimuli.shapes import CATEGORIES, CHIRAL, SYMMETRIC_TWINS, Family, draw_exemplars, family

__all__ = ["ExemplarViews", "Plan", "face_views", "object_views", "plan_set", "render_plan", "training_set"]

VIEWS_DEG = (-90.0, -67.5, -45.0, -22.5, 0.0, 22.5, 45.0, 67.5, 90.0)
FACE_VIEWS_DEG = (-90.0, -45.0, 0.0, 45.0, 90.0)
FOREGROUND_MEAN, FOREGROUND_SD = 0.5, 0.2
"""Gray level that every foreground is matched to: the background's own, so that outlines are no steps in luminance."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ExemplarViews:
    """What is rendered of one exemplar: its measures, and one entry of every other array a view."""

    category: str
    identity: str
    measures: np.ndarray
    azimuths_deg: np.ndarray
    elevations_deg: np.ndarray
    offsets: np.ndarray
    scales: np.ndarray


@dataclass(frozen=True)
class Plan:
    """A set before it is rendered.

    Parameters
    ----------
    name : str
    exemplars : tuple of ExemplarViews
    size : int
        Height and width of the images, pixels.
    colour : bool
    luminance : str
        ``"match"``, ``"histogram"`` or ``"none"``.
    """

    name: str
    exemplars: tuple[ExemplarViews, ...]
    size: int
    colour: bool = False
    luminance: str = "match"

    def table(self) -> pd.DataFrame:
        """One row an image, in the order of rendering; jittered sets also say where each view stands."""
        rows = []
        for e in self.exemplars:
            views = zip(e.azimuths_deg, e.elevations_deg, e.offsets, e.scales, strict=True)
            for k, (azimuth, elevation, offset, scale) in enumerate(views):
                jittered = bool(len(np.unique(e.azimuths_deg)) < len(e.azimuths_deg) or e.offsets.any())
                view = f"v{k:03d}" if jittered else f"az{azimuth:g}" + (f"_el{elevation:g}" if elevation else "")
                row = (f"{e.identity}_{view}", e.category, e.identity, azimuth, elevation, *offset, scale)
                rows.append(row)
        columns = ["stimulus_id", "category", "identity", "azimuth_deg", "elevation_deg", "shift_x", "shift_y", "scale"]
        table = pd.DataFrame(rows, columns=columns).set_index("stimulus_id")
        table.insert(0, "filename", table.index + ".png")
        still = not table[["shift_x", "shift_y"]].to_numpy().any() and (table["scale"] == 1).all()
        return table.drop(columns=["shift_x", "shift_y", "scale"]) if still else table


def face_views(
    n_identities: int = 25,
    azimuths_deg: Sequence[float] = FACE_VIEWS_DEG,
    *,
    size: int = 224,
    seed: int = 0,
    colour: bool = False,
    luminance: str = "match",
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> StimulusSet:
    """Faces in several views on uniform gray.

    Parameters
    ----------
    n_identities : int
    azimuths_deg : sequence of float
        0 is frontal; below 0 the nose points to the viewer's left.
    size : int
        Height and width, pixels.
    seed : int
    colour : bool
        Red, green and blue instead of gray.
    luminance : {"match", "histogram", "none"}
        Whether every foreground gets the same mean and standard deviation, the same histogram, or stays as it is.
    n_jobs : int
        Worker processes.
    progress : callable or None
        Called with the number of images done and their total.

    Returns
    -------
    StimulusSet
        ``n_identities * len(azimuths_deg)`` images in memory, sorted by identity and azimuth.

    Raises
    ------
    InputError
        If a number or a name is not possible.
    """
    plan = plan_set("faces", n_exemplars=n_identities, azimuths_deg=azimuths_deg, size=size, seed=seed)
    return _in_memory(plan, colour, luminance, n_jobs, progress)


def object_views(
    n_exemplars: int = 25,
    azimuths_deg: Sequence[float] = VIEWS_DEG,
    *,
    categories: Sequence[str] | None = None,
    size: int = 224,
    seed: int = 0,
    colour: bool = False,
    luminance: str = "match",
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> StimulusSet:
    """Objects of nine categories in nine views: 2,025 images as in eLife 90256.

    Parameters
    ----------
    n_exemplars : int
        Exemplars a category.
    categories : sequence of str or None
        None takes car, boat, face, chair, airplane, tool, animal, fruit and flower.
    azimuths_deg, size, seed, colour, luminance, n_jobs, progress
        As in :func:`face_views`.

    Returns
    -------
    StimulusSet
        In memory; sorted by category, exemplar and azimuth.
    """
    plan = plan_set(
        "objects", n_exemplars=n_exemplars, azimuths_deg=azimuths_deg, categories=categories, size=size, seed=seed
    )
    return _in_memory(plan, colour, luminance, n_jobs, progress)


def training_set(
    kind: str = "symmetric",
    n: int = 20_000,
    *,
    size: int = 32,
    seed: int = 0,
    n_exemplars: int = 40,
    luminance: str = "match",
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> StimulusSet:
    """Labelled images for training: random views, places and sizes of ten classes of objects.

    Parameters
    ----------
    kind : {"symmetric", "chiral", "objects"}
        ``"symmetric"`` and ``"chiral"`` show the same parts in the same views, see ``stimuli.chiral``: image k of
        one is the twin of image k of the other. ``"objects"`` shows the nine categories.
    n : int
        Images; classes are equally frequent (to one image).
    n_exemplars : int
        Exemplars a class.
    size, seed, luminance, n_jobs, progress
        As in :func:`face_views`.

    Returns
    -------
    StimulusSet
        In memory; ``category`` is the label. Azimuths are even over -90..90 degrees, elevations normal with 8 degrees;
        sorted by class and exemplar, so shuffle before training.
    """
    plan = plan_set("training", training=kind, n=n, n_exemplars=n_exemplars, size=size, seed=seed)
    return _in_memory(plan, False, luminance, n_jobs, progress)


def plan_set(
    kind: str,
    *,
    size: int,
    seed: int,
    n_exemplars: int | None = None,
    azimuths_deg: Sequence[float] | None = None,
    categories: Sequence[str] | None = None,
    training: str = "symmetric",
    n: int = 20_000,
) -> Plan:
    """What a set will hold; arguments as in the one-liners.

    Parameters
    ----------
    kind : {"objects", "faces", "training"}
    training : {"symmetric", "chiral", "objects"}
        Which training set.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        If a number or a name is not possible.
    """
    if kind not in ("objects", "faces", "training"):
        raise InputError(f"no stimulus set {kind!r}: {closest(kind, ('objects', 'faces', 'training'))}")
    counts = {"size": (size, 8), "number of exemplars": (25 if n_exemplars is None else n_exemplars, 1), "n": (n, 1)}
    for what, (value, least) in counts.items():
        if value < least:
            raise InputError(f"stimuli: {what} is {value}; at least {least} is needed")
    if kind == "training":
        return _plan_training(training, n, 40 if n_exemplars is None else n_exemplars, size, seed)
    if kind == "faces":
        names, default = ["face"], FACE_VIEWS_DEG
    else:
        names, default = list(categories) if categories else [f.category for f in CATEGORIES], VIEWS_DEG
    azimuths = np.array(sorted(set(map(float, default if azimuths_deg is None else azimuths_deg))))
    if not len(azimuths) or not np.isfinite(azimuths).all():
        raise InputError(f"stimuli: views {list(azimuths)} are no azimuths in degrees; give at least one number")
    still = (azimuths, 0 * azimuths, np.zeros((len(azimuths), 2)), np.ones(len(azimuths)))
    exemplars = []
    for name in names:
        measures = draw_exemplars(family(name), 25 if n_exemplars is None else n_exemplars, rng=_stream(seed, name))
        exemplars += [ExemplarViews(name, f"{name}{k + 1:02d}", row, *still) for k, row in enumerate(measures)]
    return Plan("rendered faces" if kind == "faces" else "rendered objects", tuple(exemplars), size)


def _plan_training(kind: str, n: int, n_exemplars: int, size: int, seed: int) -> Plan:
    known: dict[str, tuple[Family, ...]] = {"symmetric": SYMMETRIC_TWINS, "chiral": CHIRAL, "objects": CATEGORIES}
    if kind not in known:
        raise InputError(f"no training set {kind!r}: {closest(kind, known)}")
    classes = known[kind]
    slots = np.array_split(np.arange(n), len(classes))
    exemplars = []
    for position, (one, images) in enumerate(zip(classes, slots, strict=True)):
        # Twins of the same class draw from the same stream: same measures, same views.
        stream = one.category if kind == "objects" else f"twins{position}"
        used = min(n_exemplars, max(len(images), 1))
        measures = draw_exemplars(one, used, rng=_stream(seed, stream))
        for k, own in enumerate(np.array_split(images, used)):
            rng = _stream(seed, f"{stream} views {k}")
            exemplars.append(
                ExemplarViews(
                    one.category,
                    f"{one.category}_{k + 1:02d}",
                    measures[k],
                    rng.uniform(-90, 90, len(own)).round(2),
                    np.clip(8 * rng.standard_normal(len(own)), -25, 25).round(2),
                    rng.uniform(-0.04, 0.04, (len(own), 2)).round(4),
                    rng.uniform(0.75, 0.95, len(own)).round(4),
                )
            )
    return Plan(f"{kind} training set", tuple(e for e in exemplars if len(e.azimuths_deg)), size)


def render_plan(
    plan: Plan, *, n_jobs: int = 1, skip: frozenset[int] = frozenset()
) -> Iterator[tuple[int, Rendering | np.ndarray]]:
    """Images of a plan, exemplar by exemplar in order.

    Parameters
    ----------
    plan : Plan
    n_jobs : int
        Worker processes.
    skip : frozenset of int
        Exemplars, by position, that are not rendered.

    Yields
    ------
    position : int
        Of the exemplar.
    images : array of shape (n_views, size, size) or (n_views, size, size, 3), uint8
        With ``luminance="histogram"`` the Rendering, since matching needs the whole set.
    """
    todo = [k for k in range(len(plan.exemplars)) if k not in skip]
    jobs = (delayed(_render)(plan.exemplars[k], plan.size, plan.colour, plan.luminance) for k in todo)
    yield from zip(todo, joblib.Parallel(n_jobs=n_jobs, return_as="generator")(jobs), strict=True)


def _render(exemplar: ExemplarViews, size: int, colour: bool, luminance: str) -> Rendering | np.ndarray:
    # A pixel of a 224-pixel face spans about one cell of its mesh at detail 1.
    shape = family(exemplar.category).build(exemplar.measures, float(np.clip(size / 224, 0.35, 2.0)))
    rendering = render_views(
        shape,
        exemplar.azimuths_deg,
        exemplar.elevations_deg,
        size=size,
        colour=colour,
        offsets=exemplar.offsets,
        scales=exemplar.scales,
    )
    if luminance == "match":
        return match_luminance(rendering, mean=FOREGROUND_MEAN, sd=FOREGROUND_SD)
    return rendering if luminance == "histogram" else rendering.on_background()


def _in_memory(plan: Plan, colour: bool, luminance: str, n_jobs: int, progress: Progress | None) -> StimulusSet:
    if luminance not in ("match", "histogram", "none"):
        raise InputError(f"no luminance matching {luminance!r}: {closest(luminance, ('match', 'histogram', 'none'))}")
    if colour and luminance == "histogram":
        raise InputError("histograms are matched in gray only; take luminance='match' or colour=False")
    plan = Plan(plan.name, plan.exemplars, plan.size, colour, luminance)
    total = sum(len(e.azimuths_deg) for e in plan.exemplars)
    results, done = [], 0
    for position, images in render_plan(plan, n_jobs=n_jobs):
        results.append(images)
        done += len(plan.exemplars[position].azimuths_deg)
        if progress is not None:
            progress(done, total)
    if luminance == "histogram":
        whole = Rendering(
            np.concatenate([r.brightness for r in results]), np.concatenate([r.coverage for r in results])
        )
        pixels = match_histogram(whole)
    else:
        pixels = np.concatenate(results)
    return StimulusSet(plan.table(), pixels=pixels, name=plan.name)


def _stream(seed: int, name: str) -> np.random.Generator:
    """Generator of its own for every seed and name."""
    return np.random.default_rng([seed, *name.encode()])
