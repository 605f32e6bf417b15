"""Simulated patches of the kind ``"parametric"``: rates depend on the view and the identity label, not on the image.

A neuron's rate is the product of its view tuning and its identity tuning, rectified, above a spontaneous rate. Identity
tuning is an axis in a face space that all patches share; identities have random places in it, unrelated to images:

    rate = baseline + peak * [ (1 - depth + depth * view(azimuth, elevation)) * (offset + strength * axis . face) ]+

``view`` is a bump on the sphere of viewing directions (von Mises along the azimuth) plus its mirror image times the
neuron's ``mirror_weight``. No parameter is fitted to data: each has a published source, or is marked as chosen, with
the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from neural_data.errors import InputError, whole_number
from neural_data.stages import directions, draw_neurons, is_face, view_bumps, view_concentration
from neural_data.stimuli import StimulusSet

__all__ = ["PARAMETER_SOURCES", "PATCHES", "PatchTuning", "parametric_rates"]

FRONTAL_SD_DEG = 8.0


@dataclass(frozen=True)
class PatchTuning:
    """How the neurons of one patch are tuned; units and sources in ``PARAMETER_SOURCES``."""

    view_depth: float = 0.9
    view_depth_sd: float = 0.08
    view_halfwidth_deg: float = 35.0
    view_halfwidth_log_sd: float = 0.25
    mirror_weight: float = 0.1
    mirror_weight_sd: float = 0.1
    frontal_fraction: float = 0.0
    smallest_azimuth_deg: float = 0.0
    elevation_sd_deg: float = 15.0
    identity_offset: float = 1.0
    identity_strength: float = 0.3
    baseline_hz: float = 4.0
    peak_hz: float = 25.0
    rate_log_sd: float = 0.4
    other_category_gain: float = 0.1
    face_space_dims: int = 50
    subject_variability: float = 0.2


_VIEW_SPECIFIC = PatchTuning()
PATCHES: dict[str, PatchTuning] = {
    "ML": _VIEW_SPECIFIC,
    "MF": _VIEW_SPECIFIC,
    "MLMF": _VIEW_SPECIFIC,
    "AL": PatchTuning(
        mirror_weight=0.9,
        frontal_fraction=0.2,
        smallest_azimuth_deg=30.0,
        identity_strength=0.4,
    ),
    "AM": PatchTuning(
        view_depth=0.4,
        view_depth_sd=0.15,
        view_halfwidth_deg=50.0,
        mirror_weight=0.5,
        mirror_weight_sd=0.35,
        identity_offset=-0.3,
        identity_strength=1.0,
        peak_hz=30.0,
    ),
}
"""Tuning of each patch by its label."""

PARAMETER_SOURCES: dict[str, str] = {
    "view_depth": "share of a neuron's response that depends on view, 0 flat to 1; high in ML and AL, low in AM "
    "(view-specific, mirror-symmetric, almost fully invariant: Freiwald & Tsao 2010), values chosen",
    "view_depth_sd": "its standard deviation over neurons, clipped to 0..1; chosen",
    "view_halfwidth_deg": "median half-width at half-maximum of the view bump, degrees; chosen so that views 45 "
    "degrees apart share part of their response, as in Freiwald & Tsao 2010",
    "view_halfwidth_log_sd": "standard deviation of its logarithm over neurons; chosen",
    "mirror_weight": "mean height of the mirror-image bump relative to the preferred one, 0 one view to 1 mirror "
    "symmetric; AL is mirror-symmetric, ML is not (Freiwald & Tsao 2010), values chosen",
    "mirror_weight_sd": "its standard deviation over neurons, clipped to 0..1; chosen",
    "frontal_fraction": "share of neurons that prefer the frontal view (standard deviation 8 degrees); chosen",
    "smallest_azimuth_deg": "other neurons' preferred azimuths are uniform between this and 90 degrees to either side; "
    "chosen",
    "elevation_sd_deg": "standard deviation of preferred elevations around 0, degrees; chosen",
    "identity_offset": "drive by an average face, in units of the peak rate; negative means that few faces drive a "
    "neuron (sparse identity tuning in AM, Freiwald & Tsao 2010), values chosen",
    "identity_strength": "standard deviation over faces of the drive along a neuron's axis in face space (axis code: "
    "Chang & Tsao 2017), values chosen",
    "baseline_hz": "median spontaneous rate, spikes/s; chosen, typical of inferior temporal cortex",
    "peak_hz": "median rate above it for an average face in the preferred view, spikes/s; chosen, typical of inferior "
    "temporal cortex",
    "rate_log_sd": "standard deviation over neurons of the logarithm of both rates; chosen (rates are about "
    "log-normal, Buzsaki & Mizuseki 2014)",
    "other_category_gain": "response to stimuli that are no faces relative to faces; chosen after the strong face "
    "selectivity of the middle patches (Tsao et al. 2006)",
    "face_space_dims": "dimensions of the face space: 25 of shape and 25 of appearance (Chang & Tsao 2017)",
    "subject_variability": "share of the variance of an identity's place in face space that is a subject's own; chosen",
    "gain_sd": "standard deviation of a neuron's gain from trial to trial around 1; count variance is "
    "m + (gain_sd m)^2 (Goris, Movshon & Simoncelli 2014), 0 is Poisson; chosen",
    "window_ms": "window after stimulus onset in which spikes are counted, ms",
}
"""What each parameter means, its unit, and where its default comes from."""


def parametric_rates(
    stimuli: StimulusSet,
    tunings: Mapping[str, PatchTuning],
    counts: Mapping[str, int],
    subjects: Sequence[str],
    rng: np.random.Generator,
) -> tuple[list[np.ndarray], list[pd.DataFrame], dict]:
    """Expected rates and neurons of patches, with identities at random places in a face space.

    Parameters
    ----------
    stimuli : StimulusSet
        What is shown: identities and views.
    tunings : mapping of region to PatchTuning
        All with the same ``face_space_dims``.
    counts : mapping of region to int
        Neurons, spread evenly over subjects.
    subjects : sequence of str
        Animals.
    rng : numpy.random.Generator
        Source of the face space and the neurons.

    Returns
    -------
    rates : list of arrays of shape (n_stimuli, n_neurons)
        Spikes/s, one array per patch.
    neurons : list of pandas.DataFrame
        One row per neuron: its parameters.
    about : dict
        Further facts to store with the recording.

    Raises
    ------
    InputError
        If the patches' face spaces differ.
    """
    dims = {t.face_space_dims for t in tunings.values()}
    if len(dims) > 1:
        raise InputError(
            f"patches share one face space, but their face_space_dims differ: {sorted(dims)}; give the same number"
        )
    n_dims = whole_number(dims.pop(), "face_space_dims")
    shared = rng.standard_normal((len(stimuli.identities), n_dims))
    own = {subject: rng.standard_normal(shared.shape) for subject in subjects}
    rates, neuroids = [], []
    for region, tuning in tunings.items():
        table = _draw_neurons(region, tuning, counts[region], subjects, rng)
        axes = rng.standard_normal((len(table), n_dims))
        axes /= np.linalg.norm(axes, axis=1, keepdims=True)
        variability = tuning.subject_variability
        faces = {s: np.sqrt(1 - variability) * shared + np.sqrt(variability) * own[s] for s in subjects}
        rates.append(_rates(stimuli, table, axes, faces, tuning))
        neuroids.append(table)
    return rates, neuroids, {"identities": "at random, shown by no image"}


def _draw_neurons(
    region: str, tuning: PatchTuning, n_neurons: int, subjects: Sequence[str], rng: np.random.Generator
) -> pd.DataFrame:
    """Parameters of every neuron of one patch, one row per neuron."""
    frontal = rng.random(n_neurons) < tuning.frontal_fraction
    to_the_side = rng.uniform(tuning.smallest_azimuth_deg, 90.0, n_neurons) * rng.choice([-1.0, 1.0], n_neurons)
    azimuths = np.where(frontal, rng.normal(0, FRONTAL_SD_DEG, n_neurons), to_the_side)
    shares = {
        "view_depth": (tuning.view_depth, tuning.view_depth_sd),
        "mirror_weight": (tuning.mirror_weight, tuning.mirror_weight_sd),
    }
    return draw_neurons(region, tuning, subjects, azimuths, shares, rng=rng)


def _rates(
    stimuli: StimulusSet,
    neurons: pd.DataFrame,
    axes: np.ndarray,
    faces: Mapping[str, np.ndarray],
    tuning: PatchTuning,
) -> np.ndarray:
    """Expected rate of each neuron to each stimulus, spikes/s, shape (n_stimuli, n_neurons)."""
    shown = stimuli.table
    bump, mirrored = view_bumps(shown, neurons)
    weight = neurons["mirror_weight"].to_numpy()
    azimuth, elevation = neurons["preferred_azimuth_deg"].to_numpy(), neurons["preferred_elevation_deg"].to_numpy()
    cosine = (directions(azimuth, elevation) * directions(-azimuth, elevation)).sum(axis=1)
    overlap = np.exp(view_concentration(neurons) * (cosine - 1))
    depth = neurons["view_depth"].to_numpy()
    view_factor = 1 - depth + depth * (bump + weight * mirrored) / (1 + weight * overlap)
    codes = pd.Categorical(shown["identity"], categories=stimuli.identities).codes
    projected = np.stack([faces[s] @ axis for s, axis in zip(neurons["subject"], axes, strict=True)], axis=1)
    drive = tuning.identity_offset + tuning.identity_strength * projected[codes]
    gain = np.where([is_face(category) for category in shown["category"]], 1.0, tuning.other_category_gain)
    driven = np.maximum(view_factor * drive, 0) * gain[:, None]
    return neurons["baseline_hz"].to_numpy() + neurons["peak_hz"].to_numpy() * driven
