"""What each step of a study computes: functions of what they are given, without files or cache.

What is measured stands in ``measures``; here is what measures are given. Every step draws its random numbers from a
stream of its own, see ``measures.randomness``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from rsatoolbox.rdm import RDMs

import neural_data
from neural_data.errors import InputError, closest
from neural_data.recordings import regions_of
from neural_data.simulation import simulate_patches
from neural_data.stimuli import StimulusSet, read_stimuli
from neurocompare.comparison.fit_result import FitResult
from neurocompare.comparison.inference import infer_fits
from neurocompare.measures import MEASURES
from neurocompare.measures.comparison import Comparison
from neurocompare.measures.declaration import LAYER_RDMS, Measured, Patches
from neurocompare.measures.randomness import step_rng
from neurocompare.reporting.drawing import save_figure
from neurocompare.representations.model_rdms import compute_rdm_requests
from neurocompare.representations.neural_rdms import compute_neural_rdms
from neurocompare.representations.rdms import concat_rdms
from neurocompare.stimuli.sets import face_views, object_views, plan_set
from neurocompare.stimuli.transforms import GrayBackground
from neurocompare.study.grammar import BUILT_IN_STIMULI, Study
from neurocompare.study.networks import NetworkRecord, loaded, with_weights

__all__ = [
    "draw_to_files",
    "fit_layers",
    "measure_network",
    "measure_patches",
    "obtain_recording",
    "planned_stimuli",
    "present",
    "read_own_stimuli",
    "render_stimuli",
    "with_background",
]

SIMULATED_REGIONS = ("ML", "AL", "AM")


def planned_stimuli(settings: Study) -> int:
    """How many built-in stimuli a study asks for; refuses what cannot be rendered."""
    chosen = settings.stimuli
    if chosen.source == "faces" and chosen.categories not in (None, ["face"]):
        raise InputError(
            f"stimuli.categories = {chosen.categories}: the built-in faces are of the category 'face' alone; leave "
            "categories out, or choose stimuli.source = 'objects'"
        )
    plan = plan_set(
        chosen.source,
        size=chosen.size,
        seed=settings.seed,
        n_exemplars=chosen.n_identities,
        azimuths_deg=chosen.azimuths_deg,
        categories=chosen.categories,
    )
    return sum(len(exemplar.azimuths_deg) for exemplar in plan.exemplars)


def render_stimuli(settings: Study, *, n_jobs: int = 1) -> StimulusSet:
    """The study's built-in stimuli, on the background that they are rendered on; the same for any number of workers."""
    chosen = settings.stimuli
    views = {} if chosen.azimuths_deg is None else {"azimuths_deg": chosen.azimuths_deg}
    how = {"size": chosen.size, "seed": settings.seed, "n_jobs": n_jobs, **views}
    if chosen.source == "faces":
        stimuli = face_views(chosen.n_identities, **how)
    else:
        stimuli = object_views(chosen.n_identities, categories=chosen.categories, **how)
    return stimuli.yaw_views(chosen.azimuths_deg)


def read_own_stimuli(settings: Study) -> StimulusSet:
    """The yaw views of a stimulus set on disk."""
    chosen = settings.stimuli
    if not Path(chosen.source).suffix and not Path(chosen.source).exists():
        raise InputError(
            f"stimuli.source = {chosen.source!r} is neither a file nor a built-in set: "
            f"{closest(chosen.source, BUILT_IN_STIMULI)}"
        )
    stimuli = read_stimuli(chosen.source, images=chosen.images)
    if chosen.categories is not None:
        known = stimuli.table["category"].unique()
        for category in chosen.categories:
            if category not in known:
                raise InputError(f"stimuli.categories: {chosen.source} has no {category!r}: {closest(category, known)}")
        stimuli = stimuli.select(category=chosen.categories)
    stimuli = stimuli.yaw_views(chosen.azimuths_deg)
    if len(stimuli.identities) < 2:
        raise InputError(f"{stimuli.name} shows one identity; RDMs across faces need at least two")
    return stimuli


def with_background(stimuli: StimulusSet, settings: Study) -> StimulusSet:
    """The stimuli on the background that the study asks for."""
    level = settings.stimuli.background
    return stimuli if level is None else stimuli.with_transform(GrayBackground(level=level))


def obtain_recording(settings: Study, stimuli: StimulusSet | None) -> xr.DataArray:
    """The study's recording, simulated or read, restricted to its regions.

    A recording that is read must hold the stimuli, where they are given.
    """
    chosen = settings.recording
    if chosen.source == "simulated":
        return simulate_patches(
            stimuli,
            regions=tuple(chosen.regions or SIMULATED_REGIONS),
            n_neurons=chosen.n_neurons,
            n_repetitions=chosen.n_repetitions,
            rng=step_rng(settings.seed, "recording"),
        )
    if not Path(chosen.source).exists():
        hint = "" if Path(chosen.source).suffix else f": {closest(chosen.source, ['simulated'])}"
        raise InputError(f"recording.source = {chosen.source!r}: no such file or folder{hint}")
    window = None if chosen.window_ms is None else tuple(chosen.window_ms)
    recording = neural_data.read_recording(
        chosen.source, format=chosen.format, stimulus=chosen.stimulus, window_ms=window, stimuli=stimuli
    )
    known = regions_of(recording)
    for region in chosen.regions or ():
        if region not in known:
            raise InputError(f"recording.regions: {chosen.source} has no region {region!r}: {closest(region, known)}")
    return recording.isel(neuroid=np.isin(recording["region"], chosen.regions or known))


def present(
    record: NetworkRecord, stimuli: StimulusSet, kinds: Sequence[str], dissimilarity: str, normalize: str | None
) -> dict[str, RDMs]:
    """RDMs of the layers of one network, of every kind that is wanted, from one presentation of the stimuli.

    Parameters
    ----------
    record : NetworkRecord
    stimuli : StimulusSet
    kinds : sequence of str
        Of ``measures.declaration.LAYER_RDMS``.
    dissimilarity, normalize : str, str or None
        Those of the study.

    Returns
    -------
    dict of str to rsatoolbox.rdm.RDMs
        By kind.
    """
    requests = {
        (kind, number): request
        for kind in kinds
        for number, request in enumerate(LAYER_RDMS[kind](dissimilarity, normalize))
    }
    found = compute_rdm_requests(loaded(record), stimuli.prepare(record.shown_at), list(record.layers), requests)
    return {kind: concat_rdms([rdms for (name, _), rdms in found.items() if name == kind]) for kind in kinds}


def measure_network(
    key: str, record: NetworkRecord, given: Mapping[str, Any], kept: Mapping[str, bytes] | None = None
) -> Measured:
    """One measure of one network.

    Parameters
    ----------
    key : str
        Of ``measures.MEASURES``.
    record : NetworkRecord
        Gives ``network`` and ``layers`` to a measure that needs them.
    given : mapping
        What else the measure needs.
    kept : mapping of str to bytes, or None
        Weights after some epochs, which give ``snapshots`` to a measure that needs them.

    Returns
    -------
    Measured
    """
    needs, arguments = MEASURES[key].needs, dict(given)
    if "stimuli" in arguments:
        arguments["stimuli"] = arguments["stimuli"].prepare(record.shown_at)
    if "network" in needs:
        arguments["network"] = loaded(record)
    if "layers" in needs:
        arguments["layers"] = record.layers
    if "snapshots" in needs:
        states = (kept or {}).items()
        arguments["snapshots"] = ((int(epoch), loaded(with_weights(record, weights))) for epoch, weights in states)
    return MEASURES[key].compute(**arguments)


def measure_patches(
    recording: xr.DataArray, stimuli: StimulusSet, dissimilarity: str, normalize: str | None
) -> Patches:
    """RDMs of the recorded patches."""
    return Patches(
        rdms=compute_neural_rdms(recording, dissimilarity=dissimilarity, normalize=normalize, stimuli=stimuli),
        views=compute_neural_rdms(recording, normalize="zscore", within="identity", stimuli=stimuli),
    )


def fit_layers(
    layer_rdms: RDMs,
    patches: Patches,
    recording: xr.DataArray,
    ceilings: pd.DataFrame,
    comparison: Comparison,
    seed: int,
) -> FitResult:
    """Fits of all layers of all networks to all patches, with their uncertainty."""
    return infer_fits(
        layer_rdms,
        patches.rdms,
        recording=recording,
        ceilings=ceilings,
        rng=step_rng(seed, "fits"),
        **comparison.inference(),
    )


def draw_to_files(name: str, draw: Callable[..., Figure], drawn: Mapping[str, Any]) -> dict[str, bytes]:
    """Files of one figure, by name."""
    with tempfile.TemporaryDirectory() as folder:
        save_figure(draw(**drawn), name, Path(folder))
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
