"""Simulated face patches as stages of one model that can be computed from the images shown.

A neuron's rate depends on the view and on the coordinates of the identity. The coordinates can be computed from the
images, so a network that encodes the faces can fit the patches. Each feature is tuned to a view and to an axis in the
space of coordinates. ML has these features; AL has them pooled over reflection (a view and its mirror image give the
same response); AM has them pooled over views, so that only the axis remains. The rate of a neuron of any stage is

    drive = sqrt(view_share) view + sqrt(identity_share) axis + sqrt(1 - view_share - identity_share) both
    rate  = baseline + peak [1 + modulation drive]+

``view``, ``axis`` and ``both`` (the interaction of view and axis) have variance 1 over stimuli, on average over
neurons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from neural_data.errors import InputError
from neural_data.rounding import ROUNDING, difference
from neural_data.stimuli import StimulusSet

if TYPE_CHECKING:
    from neural_data.parametric import PatchTuning

__all__ = [
    "COORDINATE_PREFIX",
    "STAGES",
    "STAGE_SOURCES",
    "StageTuning",
    "directions",
    "draw_neurons",
    "identity_coordinates",
    "is_face",
    "stage_rates",
    "view_bumps",
    "view_concentration",
]

COORDINATE_PREFIX = "measure_"
"""Prefix of the columns of a stimulus table that hold the parameters a face was rendered from (its coordinates)."""
MOST_COORDINATES = 50
IMAGE_SIZE = 48
_OTHER_SHARE = 1e-9


@dataclass(frozen=True)
class StageTuning:
    """How the neurons of one stage are tuned; units and sources in ``STAGE_SOURCES``."""

    view_share: float = 0.6
    identity_share: float = 0.1
    reflection_pooling: float = 0.1
    reflection_pooling_sd: float = 0.1
    view_halfwidth_deg: float = 35.0
    view_halfwidth_log_sd: float = 0.25
    elevation_sd_deg: float = 15.0
    modulation: float = 0.5
    baseline_hz: float = 4.0
    peak_hz: float = 15.0
    rate_log_sd: float = 0.4
    other_category_gain: float = 0.1
    subject_gain_sd: float = 0.2


_VIEW_TUNED = StageTuning()
STAGES: dict[str, StageTuning] = {
    "ML": _VIEW_TUNED,
    "MF": _VIEW_TUNED,
    "MLMF": _VIEW_TUNED,
    "AL": StageTuning(view_share=0.5, identity_share=0.2, reflection_pooling=0.9),
    "AM": StageTuning(view_share=0.1, identity_share=0.8, reflection_pooling=0.5, reflection_pooling_sd=0.3),
}
"""Tuning of each patch by its label."""

STAGE_SOURCES: dict[str, str] = {
    "view_share": "share of a neuron's variance over stimuli that the view alone explains; falls from ML over AL to AM "
    "(view-specific, mirror-symmetric, almost view-invariant: Freiwald & Tsao 2010), values chosen",
    "identity_share": "share that the identity alone explains, in all views alike; rises from ML to AM (Freiwald & "
    "Tsao 2010; identity is decoded across views best in AM, Meyers et al. 2015), values chosen; the rest is identity "
    "in the preferred views",
    "reflection_pooling": "how much the mirror image of the preferred view counts, 0 not at all to 1 as much; ML is "
    "not mirror-symmetric, AL is (Freiwald & Tsao 2010), values chosen",
    "reflection_pooling_sd": "its standard deviation over neurons, clipped to 0..1; chosen",
    "view_halfwidth_deg": "median half-width at half-maximum of the tuning to views, degrees; chosen so that views 45 "
    "degrees apart share part of their response, as in Freiwald & Tsao 2010",
    "view_halfwidth_log_sd": "standard deviation of its logarithm over neurons; chosen",
    "elevation_sd_deg": "standard deviation of preferred elevations around 0, degrees; chosen",
    "modulation": "standard deviation of the drive in units of the mean rate above the baseline; chosen",
    "baseline_hz": "median spontaneous rate, spikes/s; chosen, typical of inferior temporal cortex",
    "peak_hz": "median rate above it for an average face, spikes/s; chosen, typical of inferior temporal cortex",
    "rate_log_sd": "standard deviation over neurons of the logarithm of both rates; chosen (rates are about "
    "log-normal, Buzsaki & Mizuseki 2014)",
    "other_category_gain": "response to stimuli that are no faces relative to faces; chosen after the strong face "
    "selectivity of the middle patches (Tsao et al. 2006)",
    "subject_gain_sd": "standard deviation of the logarithm of the weight that an animal gives each coordinate; chosen",
}
"""What each parameter means, its unit, and where its default comes from."""


def identity_coordinates(stimuli: StimulusSet) -> tuple[np.ndarray, str]:
    """Coordinates of the identities, from rendering parameters or from images.

    Parameters
    ----------
    stimuli : StimulusSet
        If its table holds the parameters that faces were rendered from (columns ``measure_...``), these are the
        coordinates; else they are computed from its images.

    Returns
    -------
    coordinates : array of shape (n_identities, n_coordinates)
        In the order of ``stimuli.identities``, mean 0 over identities, root mean square length 1.
    source : str
        ``"measures"`` of the renderer, or ``"images"``: principal components of the identities' images, views aligned
        (the mean over identities is subtracted from each view, and the views of an identity are concatenated; several
        images of an identity in one view are averaged, and a missing view is replaced by the mean over identities).

    Raises
    ------
    InputError
        If a measure differs between images of one identity, an image cannot be read, or all identities look the same.

    References
    ----------
    Chang & Tsao (2017), Cell 169:1013: face cells are tuned to axes of a space of shape and appearance.
    """
    names = [name for name in stimuli.table.columns if name.startswith(COORDINATE_PREFIX)]
    measures = stimuli.table[names].apply(pd.to_numeric, errors="coerce")
    if names and measures.notna().all().all():
        grouped = measures.groupby(stimuli.table["identity"].to_numpy(), sort=False)
        varying = (grouped.max() - grouped.min()).max() > 1e-9 * measures.abs().max()
        if varying.any():
            raise InputError(
                f"{stimuli.name}: column {varying.idxmax()!r} differs between images of one identity; a measure must "
                "have the same value in all images of an identity"
            )
        return _scaled(grouped.first().loc[stimuli.identities].to_numpy(), stimuli), "measures"
    gray = stimuli.images(IMAGE_SIZE).mean(axis=1).reshape(len(stimuli), -1)
    codes = pd.Categorical(stimuli.table["identity"], categories=stimuli.identities).codes
    views = list(zip(stimuli.table["azimuth_deg"], stimuli.table["elevation_deg"], strict=True))
    aligned = []
    for view in dict.fromkeys(views):
        rows = np.flatnonzero([other == view for other in views])
        images = np.zeros((len(stimuli.identities), gray.shape[1]), dtype=gray.dtype)
        np.add.at(images, codes[rows], gray[rows])
        counts = np.bincount(codes[rows], minlength=len(images))
        shown = counts > 0
        images[shown] /= counts[shown, None]
        images[shown] -= images[shown].mean(axis=0)
        aligned.append(images.astype(float))
    left, sizes, _ = np.linalg.svd(np.concatenate(aligned, axis=1), full_matrices=False)
    kept = sizes[:MOST_COORDINATES] > 1e-6 * max(sizes[0], 1e-12)
    return _scaled((left * sizes)[:, :MOST_COORDINATES][:, kept], stimuli), "images"


def stage_rates(
    stimuli: StimulusSet,
    region: str,
    tuning: StageTuning,
    n_neurons: int,
    coordinates: np.ndarray,
    *,
    subjects: Sequence[str],
    rng: np.random.Generator,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Expected rates of one stage, and its neurons.

    Parameters
    ----------
    stimuli : StimulusSet
        What is shown: identities and views.
    region : str
        Label of the patch.
    tuning : StageTuning
        Shares of view and identity, and tuning widths of the stage.
    n_neurons : int
        Spread evenly over subjects.
    coordinates : array of shape (n_identities, n_coordinates)
        From :func:`identity_coordinates`.
    subjects : sequence of str
        Animals.
    rng : numpy.random.Generator
        Source of the neurons.

    Returns
    -------
    rates : array of shape (n_stimuli, n_neurons)
        Spikes/s.
    neurons : pandas.DataFrame
        One row per neuron: its parameters.

    Raises
    ------
    InputError
        If a share of variance is below 0, or the shares add up to more than 1.
    """
    rest = 1 - tuning.view_share - tuning.identity_share
    if min(tuning.view_share, tuning.identity_share) < 0 or rest < -1e-9:
        raise InputError(
            f"shares of view and identity in {region} must be 0 or more and add up to at most 1; got "
            f"{tuning.view_share} and {tuning.identity_share}"
        )
    pooling = {"reflection_pooling": (tuning.reflection_pooling, tuning.reflection_pooling_sd)}
    neurons = draw_neurons(region, tuning, subjects, rng.uniform(-90, 90, n_neurons), pooling, rng=rng)
    codes = pd.Categorical(stimuli.table["identity"], categories=stimuli.identities).codes
    gains = {s: np.exp(tuning.subject_gain_sd * rng.standard_normal(coordinates.shape[1])) for s in subjects}
    axes = rng.standard_normal((2, coordinates.shape[1], n_neurons))
    axes = axes * np.stack([gains[subject] for subject in neurons["subject"]], axis=1)
    view = _view_tuning(stimuli.table, neurons)
    along = coordinates[codes] @ axes[0]
    both = view * (coordinates[codes] @ axes[1])
    parts = [_unit(view), _unit(along), _unit(_interaction(both, codes, stimuli))]
    shares = np.maximum([tuning.view_share, tuning.identity_share, rest], 0)
    drive = sum(np.sqrt(share) * part for share, part in zip(shares, parts, strict=True))
    gain = np.where([is_face(category) for category in stimuli.table["category"]], 1.0, tuning.other_category_gain)
    driven = np.maximum(1 + tuning.modulation * drive, 0) * gain[:, None]
    return neurons["baseline_hz"].to_numpy() + neurons["peak_hz"].to_numpy() * driven, neurons


def is_face(category: str) -> bool:
    """Whether stimuli of a category are faces; stimuli without a category are taken for faces."""
    return not category or "face" in category.lower()


def draw_neurons(
    region: str,
    tuning: StageTuning | PatchTuning,
    subjects: Sequence[str],
    azimuths_deg: np.ndarray,
    shares: Mapping[str, tuple[float, float]],
    *,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Parameters of every neuron of one patch, one row per neuron.

    Parameters
    ----------
    region : str
        Label of the patch.
    tuning : StageTuning or PatchTuning
        Distributions that the parameters are drawn from.
    subjects : sequence of str
        Neurons are spread evenly over them.
    azimuths_deg : array of shape (n_neurons,)
        Preferred azimuths.
    shares : mapping of str to (mean, standard deviation)
        Parameters that vary over neurons, clipped to 0..1.
    rng : numpy.random.Generator
        Source of the parameters.

    Returns
    -------
    pandas.DataFrame
    """
    n_neurons = len(azimuths_deg)
    return pd.DataFrame(
        {
            "neuroid_id": [f"{region}-{i:03d}" for i in range(n_neurons)],
            "region": region,
            "subject": [subjects[i % len(subjects)] for i in range(n_neurons)],
            "preferred_azimuth_deg": azimuths_deg,
            "preferred_elevation_deg": rng.normal(0, tuning.elevation_sd_deg, n_neurons),
            "view_halfwidth_deg": np.minimum(
                tuning.view_halfwidth_deg * np.exp(rng.normal(0, tuning.view_halfwidth_log_sd, n_neurons)), 120.0
            ),
            **{name: np.clip(rng.normal(mean, sd, n_neurons), 0, 1) for name, (mean, sd) in shares.items()},
            "baseline_hz": tuning.baseline_hz * np.exp(rng.normal(0, tuning.rate_log_sd, n_neurons)),
            "peak_hz": tuning.peak_hz * np.exp(rng.normal(0, tuning.rate_log_sd, n_neurons)),
        }
    )


def directions(azimuth_deg: np.ndarray, elevation_deg: np.ndarray) -> np.ndarray:
    """Unit vectors of viewing directions, shape (n, 3)."""
    azimuth, elevation = np.deg2rad(azimuth_deg), np.deg2rad(elevation_deg)
    return np.stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], axis=1
    )


def view_concentration(neurons: pd.DataFrame) -> np.ndarray:
    """Concentration kappa of each neuron's view tuning exp(kappa (cos angle - 1)), 1/2 at the half-width."""
    return np.log(2) / (1 - np.cos(np.deg2rad(neurons["view_halfwidth_deg"].to_numpy())))


def view_bumps(shown: pd.DataFrame, neurons: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """View tuning: bumps on the sphere of viewing directions, 1 at the preferred view.

    Parameters
    ----------
    shown : pandas.DataFrame
        Columns ``azimuth_deg, elevation_deg``, one row per stimulus.
    neurons : pandas.DataFrame
        Columns ``preferred_azimuth_deg, preferred_elevation_deg, view_halfwidth_deg``, one row per neuron.

    Returns
    -------
    bump, mirrored : arrays of shape (n_stimuli, n_neurons)
        Around each neuron's preferred view, and around its mirror image.
    """
    azimuth, elevation = (neurons[f"preferred_{name}_deg"].to_numpy() for name in ("azimuth", "elevation"))
    view = directions(shown["azimuth_deg"].to_numpy(float), shown["elevation_deg"].to_numpy(float))
    kappa = view_concentration(neurons)
    bump, mirrored = (np.exp(kappa * (view @ directions(sign * azimuth, elevation).T - 1)) for sign in (1, -1))
    return bump, mirrored


def _view_tuning(shown: pd.DataFrame, neurons: pd.DataFrame) -> np.ndarray:
    """Response to each view, (n_stimuli, n_neurons): a bump, pooled with its mirror image."""
    pooled = neurons["reflection_pooling"].to_numpy()
    bump, mirrored = view_bumps(shown, neurons)
    return (bump + pooled * mirrored) / (1 + pooled)


def _interaction(both: np.ndarray, codes: np.ndarray, stimuli: StimulusSet) -> np.ndarray:
    """Interaction of view and identity: residual after least-squares main effects of view and of identity."""
    views = pd.factorize(pd.MultiIndex.from_frame(stimuli.table[["azimuth_deg", "elevation_deg"]]))[0]
    design = np.concatenate([groups[:, None] == np.unique(groups) for groups in (codes, views)], axis=1).astype(float)
    effects = np.linalg.lstsq(design, both)[0]
    return difference(both, design @ effects, resolution=ROUNDING)


def _unit(part: np.ndarray) -> np.ndarray:
    """Centred over stimuli and scaled to variance 1 on average over neurons; 0 if nothing varies."""
    centred = part - part.mean(axis=0)
    size = np.sqrt((centred**2).mean())
    return centred / size if size > _OTHER_SHARE * max(np.abs(part).max(initial=0.0), 1e-300) else np.zeros(part.shape)


def _scaled(coordinates: np.ndarray, stimuli: StimulusSet) -> np.ndarray:
    centred = coordinates - coordinates.mean(axis=0)
    size = np.sqrt((centred**2).sum(axis=1).mean()) if centred.size else 0.0
    if not size > 0:
        raise InputError(
            f"{stimuli.name}: its identities have the same images or measures; give a set in which they differ"
        )
    return centred / size
