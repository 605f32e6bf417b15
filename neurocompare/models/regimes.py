"""Training regimes: what each does to labelled images; and default labels of networks without a named regime.

Takes and gives the arrays of :class:`~neurocompare.models.datasets.LabelledImages`; imports no package, so that the
help of the command line and the grammar of study files can list the regimes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from neural_data.errors import InputError, closest

if TYPE_CHECKING:
    import numpy as np

__all__ = ["AS_GIVEN", "FITTED", "REGIMES", "TRAINED", "UNTRAINED", "Regime", "find_regime", "regime_help"]

UNTRAINED = "untrained"
TRAINED = "trained"
FITTED = "fitted"
AS_GIVEN = "as given"
"""Label of a user's own module that keeps its weights, which may be trained or not."""

TaskImages: TypeAlias = "tuple[np.ndarray, np.ndarray, tuple[str, ...]]"
"""Images (n, 3, size, size), labels (n,) and names of the classes."""


@dataclass(frozen=True)
class Regime:
    """What a training regime does to labelled images.

    Parameters
    ----------
    name : str
        Name in studies and on the command line.
    about : str
        What training shows, for help texts.
    show : callable
        ``show(images, labels, classes, flipped)`` gives images, labels and classes as training sees them; ``flipped``
        (n,) marks a random half of every class. Its arguments are not changed.
    mirrors : bool
        Whether ``show`` uses ``flipped``.
    recipe : str
        Which of the paper's two recipes applies: ``photographs`` or ``digits``.
    """

    name: str
    about: str
    show: Callable[[np.ndarray, np.ndarray, tuple[str, ...], np.ndarray], TaskImages]
    mirrors: bool = False
    recipe: str = "photographs"


def find_regime(name: str) -> Regime:
    """The regime with this name.

    Raises
    ------
    InputError
        If there is none; the closest known name is suggested.
    """
    if name == UNTRAINED:
        raise InputError(f"regime {UNTRAINED!r} is not trained; leave training out")
    if name not in REGIMES:
        raise InputError(f"no training regime {name!r}: {closest(name, REGIMES)}")
    return REGIMES[name]


def regime_help() -> str:
    """One sentence on every regime, for help texts."""
    return "; ".join(f"{regime.name!r}: {regime.about}" for regime in REGIMES.values())


def _as_they_are(images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], _flipped: np.ndarray) -> TaskImages:
    return images, labels, classes


def _mirror_same(images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], flipped: np.ndarray) -> TaskImages:
    return _with_mirrored(images, flipped), labels, classes


def _mirror_distinct(
    images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], flipped: np.ndarray
) -> TaskImages:
    both = (*classes, *(f"mirrored {name}" for name in classes))
    return _with_mirrored(images, flipped), labels + len(classes) * flipped, both


def _with_mirrored(images: np.ndarray, flipped: np.ndarray) -> np.ndarray:
    shown = images.copy()
    shown[flipped] = shown[flipped][..., ::-1]
    return shown


REGIMES: dict[str, Regime] = {
    regime.name: regime
    for regime in (
        Regime("natural", "photographs as they are", _as_they_are),
        Regime("digits", "digits as they are", _as_they_are, recipe="digits"),
        Regime("symmetric", "bilaterally symmetric objects as they are", _as_they_are),
        Regime("chiral", "objects without a mirror plane as they are", _as_they_are),
        Regime("pose", "views of faces as classes, as they are", _as_they_are),
        Regime(
            "mirror-same",
            "half of the images flipped left to right, labels kept",
            _mirror_same,
            mirrors=True,
            recipe="digits",
        ),
        Regime(
            "mirror-distinct",
            "half of the images flipped left to right, flipped ones as classes of their own",
            _mirror_distinct,
            mirrors=True,
            recipe="digits",
        ),
    )
}
