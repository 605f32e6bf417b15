"""RDMs of what is not of interest, to be partialled out of fits: pixels, image statistics, views, identity.

Takes stimulus sets; gives RDMs by name. Partial correlations are in ``comparison.partition``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError, closest
from neural_data.rounding import is_constant
from neural_data.stimuli import StimulusSet
from neurocompare.models.registry import load_model
from neurocompare.representations.image_trends import image_statistics, statistics_rdm
from neurocompare.representations.model_rdms import compute_model_rdms
from neurocompare.representations.rdms import build_rdms

__all__ = ["NUISANCES", "Nuisance", "nuisance_rdms", "view_distances_deg"]


@dataclass(frozen=True)
class Nuisance:
    """Something that makes stimuli dissimilar and is not of interest.

    Parameters
    ----------
    name : str
        Name in study files and tables.
    label : str
        Description in words.
    of_stimuli : callable
        From a stimulus set to dissimilarities (n_pairs,), in the order of an upper triangle.
    """

    name: str
    label: str
    of_stimuli: Callable[[StimulusSet], np.ndarray]


def view_distances_deg(azimuths_deg: np.ndarray, elevations_deg: np.ndarray) -> np.ndarray:
    """Angles between views of every two stimuli.

    Parameters
    ----------
    azimuths_deg, elevations_deg : arrays of shape (n_stimuli,)
        Degrees; 0 is frontal and on the horizon.

    Returns
    -------
    array of shape (n_pairs,)
        Degrees, 0 to 180, in the order of an upper triangle; exactly 0 for equal views.
    """
    azimuths, elevations = np.radians(azimuths_deg), np.radians(elevations_deg)
    first, second = np.triu_indices(len(azimuths), 1)
    along, up = azimuths[first] - azimuths[second], elevations[first] - elevations[second]
    haversine = np.sin(up / 2) ** 2 + np.cos(elevations[first]) * np.cos(elevations[second]) * np.sin(along / 2) ** 2
    return np.degrees(2 * np.arcsin(np.sqrt(np.minimum(haversine, 1.0))))


def _pixels(stimuli: StimulusSet) -> np.ndarray:
    found = compute_model_rdms(load_model("pixels"), stimuli, normalize=None)
    return np.asarray(found.dissimilarities[0])


def _statistics(stimuli: StimulusSet) -> np.ndarray:
    matrix, _ = statistics_rdm(image_statistics(stimuli), stimuli)
    return matrix[np.triu_indices(len(matrix), 1)]


def _views(stimuli: StimulusSet) -> np.ndarray:
    return view_distances_deg(*_angles(stimuli))


def _mirrored_views(stimuli: StimulusSet) -> np.ndarray:
    azimuths, elevations = _angles(stimuli)
    return view_distances_deg(np.abs(azimuths), elevations)


def _angles(stimuli: StimulusSet) -> tuple[np.ndarray, np.ndarray]:
    azimuths = stimuli.table["azimuth_deg"].to_numpy(dtype=float)
    elevations = stimuli.table["elevation_deg"].to_numpy(dtype=float)
    if np.isnan(azimuths).any():
        raise InputError(f"{stimuli.name}: the views of {int(np.isnan(azimuths).sum())} stimuli are not known")
    return azimuths, np.where(np.isnan(elevations), 0.0, elevations)


def _identities(stimuli: StimulusSet) -> np.ndarray:
    names = stimuli.table["identity"].to_numpy().astype(str)
    first, second = np.triu_indices(len(names), 1)
    return (names[first] != names[second]).astype(float)


NUISANCES: dict[str, Nuisance] = {
    nuisance.name: nuisance
    for nuisance in (
        Nuisance("pixels", "1 - r of the pixels", _pixels),
        Nuisance(
            "image-statistics",
            "squared distance in luminance, contrast, spectrum and symmetry of the images, each z-scored",
            _statistics,
        ),
        Nuisance("view-distance", "angle between the views", _views),
        Nuisance("mirror-view-distance", "angle between the views, left and right taken as one", _mirrored_views),
        Nuisance("identity", "0 for two images of one identity, 1 for those of two", _identities),
    )
}
"""Every nuisance by its name. To add one, add its record here."""


def nuisance_rdms(names: Sequence[str], stimuli: StimulusSet) -> dict[str, RDMs]:
    """Nuisance RDMs of a stimulus set.

    Parameters
    ----------
    names : sequence of str
        Names in :data:`NUISANCES`.
    stimuli : StimulusSet
        With images, where pixels or image statistics are asked for.

    Returns
    -------
    dict of str to rsatoolbox.rdm.RDMs
        One RDM each, as ``comparison.partition.partial_fits`` takes them.

    Raises
    ------
    InputError
        If a name is unknown, views are asked for and not known, or an RDM does not vary over these stimuli.
    """
    found = {}
    for name in names:
        if name not in NUISANCES:
            raise InputError(f"there is no nuisance RDM {name!r}: {closest(name, NUISANCES)}")
        vector = NUISANCES[name].of_stimuli(stimuli)
        if is_constant(vector):
            raise InputError(
                f"the nuisance RDM {name!r} does not vary over these {len(stimuli)} stimuli, so there is nothing to "
                "partial out; leave it out"
            )
        found[name] = build_rdms(vector[None], patterns=stimuli.table, rdms={"model": [name]}, dissimilarity=name)
    return found
