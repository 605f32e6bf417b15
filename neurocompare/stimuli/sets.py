"""The built-in stimulus sets (objects, faces, training images), rendered in memory or into a folder.

The seed determines everything: the same call gives the same pixels with any number of workers, and exemplar k of a
category does not depend on the other contents of the set.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import joblib
import numpy as np
import pandas as pd

from neural_data import StimulusSet
from neural_data.errors import InputError, closest
from neural_data.stages import COORDINATE_PREFIX
from neurocompare.processes import delayed
from neurocompare.stimuli.faces import FACE_MEASURES, MOST_SCORE, shown_measures
from neurocompare.stimuli.luminance import match_histogram, match_luminance
from neurocompare.stimuli.scene import Placement, Rendering, check_renderer, render_views
from neurocompare.stimuli.shapes import CATEGORIES, CHIRAL, SYMMETRIC_TWINS, Family, draw_exemplars, family as family_of

__all__ = [
    "LUMINANCE_BY_IMAGE",
    "SETS",
    "TRAINING_SETS",
    "Appearance",
    "ExemplarViews",
    "RenderedSet",
    "SetPlan",
    "TrainingImages",
    "face_views",
    "find_set",
    "object_views",
    "plan_set",
    "render_in_memory",
    "render_plan",
    "render_unmatched",
    "training_set",
]

VIEWS_DEG = (-90.0, -67.5, -45.0, -22.5, 0.0, 22.5, 45.0, 67.5, 90.0)
FACE_VIEWS_DEG = (-90.0, -45.0, 0.0, 45.0, 90.0)
FOREGROUND_MEAN, FOREGROUND_SD = 0.5, 0.2
"""Mean gray level of every matched foreground: that of the background, so that outlines are not luminance steps."""
TRAINING_IMAGES = 20_000
ImageProgress = Callable[[int, int], None]
Finished = TypeVar("Finished")


def _as_rendered(rendering: Rendering) -> Rendering:
    return rendering


def _matched(rendering: Rendering) -> np.ndarray:
    return match_luminance(rendering, mean=FOREGROUND_MEAN, sd=FOREGROUND_SD)


LUMINANCE_BY_IMAGE: dict[str, Callable[[Rendering], np.ndarray]] = {"match": _matched, "none": Rendering.on_background}
"""Luminance matching that works image by image: to one mean and standard deviation, or none."""


@dataclass(frozen=True)
class ExemplarViews:
    """Parameters for rendering one exemplar: its measures; every other array has one entry per view.

    Parameters
    ----------
    category, identity : str
        Labels of the exemplar.
    measures : array of shape (n_measures,)
        Place of the exemplar in its category's family, see :class:`~neurocompare.stimuli.shapes.Family`.
    azimuths_deg, elevations_deg : arrays of shape (n_views,)
        Views, degrees.
    offsets : array of shape (n_views, 2)
        Shift of each view to the right and upwards, as a share of the image's width.
    scales : array of shape (n_views,)
        Scale factor of each view.
    """

    category: str
    identity: str
    measures: np.ndarray
    azimuths_deg: np.ndarray
    elevations_deg: np.ndarray
    offsets: np.ndarray
    scales: np.ndarray


@dataclass(frozen=True)
class RenderedSet:
    """A kind of stimulus set that the package renders.

    Parameters
    ----------
    name : str
        Name in studies and on the command line.
    about : str
        What it shows.
    size : int
        Height and width of the images by default, pixels.
    n_exemplars : int
        Exemplars per category by default.
    categories : tuple of str
        Categories shown by default; training sets have their own (:data:`TRAINING_SETS`).
    views_deg : tuple of float, or None
        Default azimuths. None: every image has a random view, position and size, as in training sets; such a set cannot
        be the stimuli of a study.
    """

    name: str
    about: str
    size: int
    n_exemplars: int
    categories: tuple[str, ...] = ()
    views_deg: tuple[float, ...] | None = None


SETS = {
    one.name: one
    for one in (
        RenderedSet(
            "objects",
            "objects of nine categories",
            size=224,
            n_exemplars=25,
            categories=tuple(family.category for family in CATEGORIES),
            views_deg=VIEWS_DEG,
        ),
        RenderedSet(
            "faces",
            "faces",
            size=224,
            n_exemplars=25,
            categories=("face",),
            views_deg=FACE_VIEWS_DEG,
        ),
        RenderedSet("training", "images to train on", size=32, n_exemplars=40),
    )
}
"""Every kind of rendered set, by name."""
TRAINING_SETS: dict[str, tuple[Family, ...]] = {"symmetric": SYMMETRIC_TWINS, "chiral": CHIRAL, "objects": CATEGORIES}
"""Classes of every training set, by name."""


def find_set(name: str) -> RenderedSet:
    """The kind of rendered set with this name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in SETS:
        raise InputError(f"no stimulus set {name!r}: {closest(name, SETS)}")
    return SETS[name]


@dataclass(frozen=True)
class Appearance:
    """How the exemplars of a rendered set look.

    Parameters
    ----------
    colour : bool
        Red, green and blue instead of gray.
    luminance : str
        ``"match"``, ``"histogram"`` or ``"none"``.
    hair, neck : bool
        Whether faces have them.
    light_deg : float
        Angle of the light to the side of the camera, degrees; above 0 to its right.
    """

    colour: bool = False
    luminance: str = "match"
    hair: bool = True
    neck: bool = True
    light_deg: float = 0.0


AS_RENDERED = Appearance()


@dataclass(frozen=True)
class TrainingImages:
    """Which images to train on, and how many.

    Parameters
    ----------
    kind : str
        One of :data:`TRAINING_SETS`.
    n : int
        Number of images.
    """

    kind: str = "symmetric"
    n: int = TRAINING_IMAGES


TO_TRAIN_ON = TrainingImages()


@dataclass(frozen=True)
class SetPlan:
    """All parameters of a set, before it is rendered.

    Parameters
    ----------
    name : str
        Name of the set in tables.
    exemplars : tuple of ExemplarViews
        Every exemplar with its measures and views.
    size : int
        Height and width of the images, pixels.
    appearance : Appearance
        Colour, luminance, hair, neck and light, the same for all images.
    """

    name: str
    exemplars: tuple[ExemplarViews, ...]
    size: int
    appearance: Appearance = AS_RENDERED

    @property
    def n_images(self) -> int:
        """Number of images."""
        return sum(len(exemplar.azimuths_deg) for exemplar in self.exemplars)

    def table(self) -> pd.DataFrame:
        """One row per image, in the order of rendering; training sets also have the position and size of each view."""
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
        table = table.join(self._measures(), on="identity")
        still = not table[["shift_x", "shift_y"]].to_numpy().any() and (table["scale"] == 1).all()
        return table.drop(columns=["shift_x", "shift_y", "scale"]) if still else table

    def _measures(self) -> pd.DataFrame:
        """Standard scores that faces were rendered from, one column per measure and one row per identity."""
        if {e.category for e in self.exemplars} != {"face"}:
            return pd.DataFrame(index=pd.Index([], name="identity"))
        scores = {e.identity: np.clip(e.measures, -MOST_SCORE, MOST_SCORE).round(4) for e in self.exemplars}
        table = pd.DataFrame.from_dict(scores, orient="index", columns=list(FACE_MEASURES))
        return table[list(shown_measures(hair=self.appearance.hair, neck=self.appearance.neck))].add_prefix(
            COORDINATE_PREFIX
        )


def face_views(
    n_identities: int = 25,
    azimuths_deg: Sequence[float] | None = None,
    *,
    size: int = 224,
    seed: int = 0,
    colour: bool = False,
    luminance: str = "match",
    hair: bool = True,
    neck: bool = True,
    light_deg: float = 0.0,
    n_jobs: int = 1,
    progress: ImageProgress | None = None,
) -> StimulusSet:
    """Faces in several views on uniform gray.

    Parameters
    ----------
    n_identities : int
        Faces, each drawn from the space of face measures.
    azimuths_deg : sequence of float or None
        0 is frontal; below 0 the nose points to the viewer's left. None: -90 to 90 by 45.
    size : int
        Height and width, pixels.
    seed : int
        Equal seeds give equal faces.
    colour : bool
        Red, green and blue instead of gray.
    luminance : {"match", "histogram", "none"}
        Whether all foregrounds get the same mean and standard deviation, the same histogram, or are unchanged.
    hair, neck : bool
        Whether faces have them; without, only the face itself shows identity and view.
    light_deg : float
        Angle of the light to the side of the camera, degrees: 0 in the camera's mirror plane, above 0 to its right.
        With light from the side, opposite views are not mirror images. Illumination modulates AM's responses to faces
        (Chang et al. 2021).
    n_jobs : int
        Worker processes.
    progress : callable or None
        Called with the number of images done and their total.

    Returns
    -------
    StimulusSet
        One image per identity and azimuth, in memory, sorted by identity and azimuth. The columns ``measure_...`` of
        its table hold the parameters of each face, as standard scores.

    Raises
    ------
    InputError
        If an argument is not valid.

    References
    ----------
    Chang, Egger, Vetter & Tsao (2021), Current Biology 31:2785, for light as a factor that AM responds to.
    """
    plan = plan_set(
        "faces",
        n_exemplars=n_identities,
        azimuths_deg=azimuths_deg,
        size=size,
        seed=seed,
        appearance=Appearance(colour, luminance, hair, neck, light_deg),
    )
    return render_in_memory(plan, n_jobs=n_jobs, progress=progress)


def object_views(
    n_exemplars: int = 25,
    azimuths_deg: Sequence[float] | None = None,
    *,
    categories: Sequence[str] | None = None,
    size: int = 224,
    seed: int = 0,
    colour: bool = False,
    luminance: str = "match",
    n_jobs: int = 1,
    progress: ImageProgress | None = None,
) -> StimulusSet:
    """Objects of nine categories in nine views: 2,025 images as in eLife 90256.

    Parameters
    ----------
    n_exemplars : int
        Exemplars per category.
    categories : sequence of str or None
        None takes car, boat, face, chair, airplane, tool, animal, fruit and flower.
    azimuths_deg : sequence of float or None
        None: -90 to 90 by 22.5.
    size, seed, colour, luminance, n_jobs, progress
        As in :func:`face_views`.

    Returns
    -------
    StimulusSet
        In memory; sorted by category, exemplar and azimuth.
    """
    plan = plan_set(
        "objects",
        n_exemplars=n_exemplars,
        azimuths_deg=azimuths_deg,
        categories=categories,
        size=size,
        seed=seed,
        appearance=Appearance(colour, luminance),
    )
    return render_in_memory(plan, n_jobs=n_jobs, progress=progress)


def training_set(
    kind: str = "symmetric",
    n: int = TRAINING_IMAGES,
    *,
    size: int = 32,
    seed: int = 0,
    n_exemplars: int = 40,
    luminance: str = "match",
    n_jobs: int = 1,
    progress: ImageProgress | None = None,
) -> StimulusSet:
    """Labelled images for training: classes of objects in random views, positions and sizes.

    Parameters
    ----------
    kind : {"symmetric", "chiral", "objects"}
        ``"symmetric"`` and ``"chiral"`` show the same parts in the same views, see ``stimuli.chiral``: image k of
        one is the twin of image k of the other. ``"objects"`` shows the nine categories.
    n : int
        Number of images; numbers per class differ by at most one.
    n_exemplars : int
        Exemplars per class.
    size, seed, luminance, n_jobs, progress
        As in :func:`face_views`.

    Returns
    -------
    StimulusSet
        In memory; ``category`` is the label. Azimuths are uniform over -90..90 degrees, elevations normal with a
        standard deviation of 8 degrees. Sorted by class and exemplar, so shuffle before training.
    """
    plan = plan_set(
        "training",
        training=TrainingImages(kind, n),
        n_exemplars=n_exemplars,
        size=size,
        seed=seed,
        appearance=Appearance(luminance=luminance),
    )
    return render_in_memory(plan, n_jobs=n_jobs, progress=progress)


def plan_set(
    kind: str,
    *,
    seed: int,
    size: int | None = None,
    n_exemplars: int | None = None,
    azimuths_deg: Sequence[float] | None = None,
    categories: Sequence[str] | None = None,
    training: TrainingImages = TO_TRAIN_ON,
    appearance: Appearance = AS_RENDERED,
) -> SetPlan:
    """Plan of a set; None takes the default of ``kind``.

    Parameters
    ----------
    kind : str
        One of :data:`SETS`.
    seed : int
        Equal seeds give equal exemplars.
    size : int or None
        Height and width of the images, pixels.
    n_exemplars : int or None
        Exemplars of each category.
    azimuths_deg : sequence of float or None
        Views of each exemplar, degrees; 0 is frontal.
    categories : sequence of str or None
        Categories of the set that are wanted.
    training : TrainingImages
        For ``kind="training"``.
    appearance : Appearance
        Colour, luminance, hair, neck and light, the same for all images.

    Returns
    -------
    SetPlan

    Raises
    ------
    InputError
        If an argument is not valid, or the extra ``render`` is not installed.
    """
    check_renderer()
    chosen = find_set(kind)
    size = chosen.size if size is None else size
    n_exemplars = chosen.n_exemplars if n_exemplars is None else n_exemplars
    counts = {"size": (size, 8), "number of exemplars": (n_exemplars, 1), "n": (training.n, 1)}
    for what, (value, least) in counts.items():
        if value < least:
            raise InputError(f"stimuli: {what} is {value}; at least {least} is needed")
    if kind != "faces" and not (appearance.hair and appearance.neck):
        raise InputError(f"stimuli: hair and neck are settings of faces, and these are {kind}; leave both out")
    if not -90 <= appearance.light_deg <= 90:
        raise InputError(f"stimuli: light_deg is {appearance.light_deg:g}; it must lie between -90 and 90 degrees")
    if chosen.views_deg is None:
        if appearance.light_deg != 0 or azimuths_deg is not None or categories is not None:
            raise InputError(
                f"stimuli: the built-in {kind} images have fixed views, categories and light; leave azimuths_deg, "
                "categories and light_deg out"
            )
        plan = _plan_training(training, n_exemplars, size, seed)
        return dataclasses.replace(plan, appearance=appearance)
    if len(chosen.categories) == 1 and categories is not None and [*categories] != [*chosen.categories]:
        raise InputError(
            f"stimuli: categories are {[*categories]}, but the built-in {kind} have only the category "
            f"{chosen.categories[0]!r}; leave categories out, or choose 'objects'"
        )
    azimuths = np.array(sorted(set(map(float, chosen.views_deg if azimuths_deg is None else azimuths_deg))))
    if not len(azimuths) or not np.isfinite(azimuths).all():
        raise InputError(f"stimuli: views {list(azimuths)} are not azimuths in degrees; give at least one number")
    still = (azimuths, 0 * azimuths, np.zeros((len(azimuths), 2)), np.ones(len(azimuths)))
    exemplars = []
    for name in categories or chosen.categories:
        measures = draw_exemplars(family_of(name), n_exemplars, rng=_stream(seed, name))
        exemplars += [ExemplarViews(name, f"{name}{k + 1:02d}", row, *still) for k, row in enumerate(measures)]
    return SetPlan(f"rendered {chosen.name}", tuple(exemplars), size, appearance)


def _plan_training(training: TrainingImages, n_exemplars: int, size: int, seed: int) -> SetPlan:
    kind = training.kind
    if kind not in TRAINING_SETS:
        raise InputError(f"no training set {kind!r}: {closest(kind, TRAINING_SETS)}")
    classes = TRAINING_SETS[kind]
    slots = np.array_split(np.arange(training.n), len(classes))
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
    return SetPlan(f"{kind} training set", tuple(e for e in exemplars if len(e.azimuths_deg)), size)


def render_plan(
    plan: SetPlan, *, n_jobs: int = 1, skip: frozenset[int] = frozenset()
) -> Iterator[tuple[int, np.ndarray]]:
    """Images of a plan, exemplar by exemplar in order.

    Parameters
    ----------
    plan : SetPlan
        With luminance matched image by image, or not at all.
    n_jobs : int
        Worker processes.
    skip : frozenset of int
        Positions of exemplars that are not rendered.

    Yields
    ------
    position : int
        Of the exemplar.
    images : array of shape (n_views, size, size) or (n_views, size, size, 3), uint8
        In the order of the plan.

    Raises
    ------
    InputError
        If the way of matching luminance is not known, or needs the whole set.
    """
    if plan.appearance.luminance not in LUMINANCE_BY_IMAGE:
        known = closest(plan.appearance.luminance, LUMINANCE_BY_IMAGE)
        raise InputError(f"no luminance matching image by image {plan.appearance.luminance!r}: {known}")
    yield from _in_order(plan, LUMINANCE_BY_IMAGE[plan.appearance.luminance], n_jobs, skip)


def render_unmatched(plan: SetPlan, *, n_jobs: int = 1) -> Iterator[tuple[int, Rendering]]:
    """Position and rendering of every exemplar of a plan, before luminance is matched."""
    yield from _in_order(plan, _as_rendered, n_jobs)


def render_in_memory(plan: SetPlan, *, n_jobs: int = 1, progress: ImageProgress | None = None) -> StimulusSet:
    """The images of a plan in memory.

    Parameters
    ----------
    plan : SetPlan
        From :func:`plan_set`.
    n_jobs : int
        Worker processes.
    progress : callable or None
        Called with the number of images done and their total.

    Returns
    -------
    StimulusSet

    Raises
    ------
    InputError
        If the way of matching luminance is not known.
    """
    luminance = plan.appearance.luminance
    if luminance not in (known := (*LUMINANCE_BY_IMAGE, "histogram")):
        raise InputError(f"no luminance matching {luminance!r}: {closest(luminance, known)}")
    if plan.appearance.colour and luminance == "histogram":
        raise InputError("histograms can be matched only in gray; choose luminance='match' or colour=False")
    if luminance == "histogram":
        # Histograms are matched to each other, so the whole set is rendered first.
        parts = [rendering for _, rendering in _told(plan, render_unmatched(plan, n_jobs=n_jobs), progress)]
        whole = Rendering(
            np.concatenate([part.brightness for part in parts]), np.concatenate([part.coverage for part in parts])
        )
        pixels = match_histogram(whole)
    else:
        pixels = np.concatenate([images for _, images in _told(plan, render_plan(plan, n_jobs=n_jobs), progress)])
    return StimulusSet(plan.table(), pixels=pixels, name=plan.name)


def _in_order(
    plan: SetPlan, finish: Callable[[Rendering], Finished], n_jobs: int, skip: frozenset[int] = frozenset()
) -> Iterator[tuple[int, Finished]]:
    """Position of every exemplar, and the result of ``finish`` for its rendering."""
    todo = [k for k in range(len(plan.exemplars)) if k not in skip]
    jobs = (delayed(_render)(plan.exemplars[k], plan, finish) for k in todo)
    yield from zip(todo, joblib.Parallel(n_jobs=n_jobs, return_as="generator")(jobs), strict=True)


def _render(exemplar: ExemplarViews, plan: SetPlan, finish: Callable[[Rendering], Finished]) -> Finished:
    # A pixel of a 224-pixel face spans about one cell of its mesh at detail 1.
    detail = float(np.clip(plan.size / 224, 0.35, 2.0))
    family = family_of(exemplar.category)
    shape = family.build(
        exemplar.measures, detail, **{part: getattr(plan.appearance, part) for part in family.removable}
    )
    rendering = render_views(
        shape,
        exemplar.azimuths_deg,
        exemplar.elevations_deg,
        size=plan.size,
        colour=plan.appearance.colour,
        placement=Placement(offsets=exemplar.offsets, scales=exemplar.scales),
        light_deg=plan.appearance.light_deg,
    )
    return finish(rendering)


def _told(
    plan: SetPlan, rendered: Iterator[tuple[int, Finished]], progress: ImageProgress | None
) -> Iterator[tuple[int, Finished]]:
    """The renderings as they come, with progress reported."""
    done = 0
    for position, finished in rendered:
        done += len(plan.exemplars[position].azimuths_deg)
        if progress is not None:
            progress(done, plan.n_images)
        yield position, finished


def _stream(seed: int, name: str) -> np.random.Generator:
    """Random generator for a seed and a name."""
    return np.random.default_rng([seed, *name.encode()])
