"""The steps that a study asks for, from stimuli to a run folder.

Each step takes what the steps before it gave and returns it whole; only :func:`run_study` writes, and only at the end.
Every step draws its random numbers from a stream of its own, named after the step, so that results depend on the
study's seed alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from rsatoolbox.rdm import RDMs

import neural_data
from neural_data.errors import InputError, closest
from neural_data.recordings import regions_of
from neural_data.simulation import simulate_patches
from neural_data.stimuli import StimulusSet, read_stimuli
from neurocompare.comparison.ceilings import neuron_ceilings
from neurocompare.comparison.fit_result import FitResult
from neurocompare.comparison.inference import infer_fits
from neurocompare.models.registry import Network, load_model
from neurocompare.reporting.figures import draw_fits, draw_indices, draw_rdms, save_figure
from neurocompare.reporting.report import write_report
from neurocompare.reporting.tables import ordered, write_table
from neurocompare.representations.activations import resolve_layers
from neurocompare.representations.model_rdms import RdmRequest, compute_rdm_requests
from neurocompare.representations.neural_rdms import compute_neural_rdms
from neurocompare.representations.rdms import concat_rdms, rdm_table
from neurocompare.representations.viewpoint import index_table, summarise_indices
from neurocompare.stimuli.sets import face_views
from neurocompare.stimuli.transforms import GrayBackground
from neurocompare.study.folders import whole_folder
from neurocompare.study.grammar import Study, load_study
from neurocompare.study.provenance import write_provenance

__all__ = ["Run", "run_study"]

BUILT_IN_STIMULI = ("faces",)
FACE_VIEWS_DEG = (-90.0, -45.0, 0.0, 45.0, 90.0)
SIMULATED_REGIONS = ("ML", "AL", "AM")
Progress = Callable[[str, float], None]
"""Told the name of the step that starts, and the share (0..1) of the study that is done."""


@dataclass(frozen=True)
class Run:
    """A finished run.

    Parameters
    ----------
    out : pathlib.Path
        The run folder.
    tables : dict of str to pandas.DataFrame
        Its tables, as in ``tables/*.csv``.
    study : Study
        As it was resolved.
    """

    out: Path
    tables: dict[str, pd.DataFrame]
    study: Study


def run_study(
    study: str | Path | Mapping[str, Any],
    *,
    out: str | Path,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Run:
    """Run a study and write its run folder.

    Parameters
    ----------
    study : str, Path or mapping
        A study file (TOML) or its content.
    out : str or Path
        Run folder: absent, empty, or an earlier run, which is replaced. Written whole or not at all.
    overrides : mapping of str to value, or None
        Dotted keys and values that replace those of the study.
    progress : callable or None
        Called with the name of each step as it starts and the share of the study that is done.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If anything given is wrong; nothing is written then.
    """
    settings = load_study(study, overrides)
    tell = progress or (lambda _name, _share: None)
    with whole_folder(Path(out)) as folder:
        tell("stimuli", 0.0)
        stimuli = present_stimuli(settings)
        networks = load_networks(settings)
        tell("recording", 0.1)
        recording = obtain_recording(settings, stimuli)
        layer_rdms = []
        for number, (network, layers) in enumerate(networks):
            tell(f"{network.name}, {network.regime}, seed {network.seed}", 0.15 + 0.35 * number / len(networks))
            layer_rdms.append(present(network, layers, stimuli, settings))
        fit_rdms, view_rdms = (concat_rdms([rdms[kind] for rdms in layer_rdms]) for kind in ("fits", "views"))
        tell("patches", 0.5)
        patch_rdms, patch_views, ceilings = measure_patches(recording, stimuli, settings)
        tell("fits", 0.55)
        result = fit_layers(fit_rdms, patch_rdms, recording, ceilings, settings)
        fits = result.to_frame().assign(simulated=bool(recording.attrs.get("simulated", False)))
        tables = {"fits": fits, "ceilings": ceilings, **view_tables(view_rdms, patch_views)}
        tables = {name: ordered(table, name) for name, table in tables.items()}
        tell("figures", 0.7)
        write_run(folder, tables, fit_rdms, patch_rdms)
        write_provenance(
            folder,
            settings,
            stimuli=stimuli,
            recording=recording,
            networks=[network for network, _ in networks],
            notes=result.notes,
        )
        tell("report", 0.95)
        write_report(folder)
    tell("done", 1.0)
    return Run(Path(out), tables, settings)


def step_rng(seed: int, step: str) -> np.random.Generator:
    """Random numbers of one step: they depend on the study's seed and the step's name, not on other steps."""
    words = np.frombuffer(hashlib.sha256(step.encode()).digest(), dtype=np.uint32)
    return np.random.default_rng(np.random.SeedSequence([seed, *words.tolist()]))


def present_stimuli(settings: Study) -> StimulusSet:
    """The study's yaw views, with every image decoded once so that a broken one is found before any work."""
    chosen = settings.stimuli
    if chosen.source in BUILT_IN_STIMULI:
        azimuths = chosen.azimuths_deg or FACE_VIEWS_DEG
        stimuli = face_views(n_identities=chosen.n_identities, azimuths_deg=azimuths, seed=settings.seed)
    else:
        if not Path(chosen.source).suffix and not Path(chosen.source).exists():
            raise InputError(
                f"stimuli.source = {chosen.source!r} is neither a file nor a built-in set: "
                f"{closest(chosen.source, BUILT_IN_STIMULI)}"
            )
        stimuli = read_stimuli(chosen.source, images=chosen.images)
    stimuli = stimuli.yaw_views(chosen.azimuths_deg)
    if len(stimuli.identities) < 2:
        raise InputError(f"{stimuli.name} shows one identity; RDMs across faces need at least two")
    if chosen.background is not None:
        stimuli = stimuli.with_transform(GrayBackground(level=chosen.background))
    stimuli.checksum()
    return stimuli


def load_networks(settings: Study) -> list[tuple[Network, list[str]]]:
    """Every network of the study with the layers that are looked at, in the order of the study file."""
    networks = []
    for model in settings.models:
        for seed in model.seeds:
            network = load_model(model.name, weights=model.weights, regime=model.regime, seed=seed, start=model.start)
            networks.append((network, resolve_layers(network, model.layers)))
    return networks


def obtain_recording(settings: Study, stimuli: StimulusSet) -> xr.DataArray:
    """The study's recording, restricted to its regions and to the stimuli that were presented."""
    chosen = settings.recording
    if chosen.source == "simulated":
        return simulate_patches(
            stimuli,
            regions=tuple(chosen.regions or SIMULATED_REGIONS),
            n_neurons=chosen.n_neurons,
            n_repetitions=chosen.n_repetitions,
            rng=step_rng(settings.seed, "recording"),
        )
    recording = neural_data.read_recording(chosen.source)
    known = regions_of(recording)
    for region in chosen.regions or ():
        if region not in known:
            raise InputError(f"recording.regions: {chosen.source} has no region {region!r}: {closest(region, known)}")
    return recording.isel(neuroid=np.isin(recording["region"], chosen.regions or known))


def present(network: Network, layers: list[str], stimuli: StimulusSet, settings: Study) -> dict[str, RDMs]:
    """RDMs of all stimuli for the fits, and view RDMs of every exemplar for the index, from one presentation."""
    requests = {
        "fits": RdmRequest(settings.comparison.dissimilarity, _normalize(settings)),
        "views": RdmRequest(within="identity"),
    }
    return compute_rdm_requests(network, stimuli, layers, requests)


def measure_patches(recording: xr.DataArray, stimuli: StimulusSet, settings: Study) -> tuple[RDMs, RDMs, pd.DataFrame]:
    """RDMs of all stimuli and view RDMs of every exemplar for each patch, and the patches' noise ceilings."""
    comparison = settings.comparison
    normalize = _normalize(settings)
    neural_rdms = compute_neural_rdms(
        recording, dissimilarity=comparison.dissimilarity, normalize=normalize, stimuli=stimuli
    )
    view_rdms = compute_neural_rdms(recording, normalize="zscore", within="identity", stimuli=stimuli)
    ceilings = neuron_ceilings(
        recording,
        method=comparison.method,
        dissimilarity=comparison.dissimilarity,
        normalize=normalize,
        n_splits=comparison.n_splits,
        rng=step_rng(settings.seed, "ceilings"),
    )
    return neural_rdms, view_rdms, ceilings


def fit_layers(
    layer_rdms: RDMs, neural_rdms: RDMs, recording: xr.DataArray, ceilings: pd.DataFrame, settings: Study
) -> FitResult:
    """Fit of every layer of every network to every patch, with what resampling says about it."""
    comparison = settings.comparison
    return infer_fits(
        layer_rdms,
        neural_rdms,
        recording=recording,
        resample=comparison.resample,
        variance=comparison.variance,
        n_draws=comparison.n_draws,
        method=comparison.method,
        ceilings=ceilings,
        rng=step_rng(settings.seed, "fits"),
    )


def view_tables(layer_views: RDMs, patch_views: RDMs) -> dict[str, pd.DataFrame]:
    """Mirror-symmetry index of every exemplar in every layer and patch, and its mean over exemplars."""
    network = ["model", "regime", "seed", "layer", "layer_index", "category"]
    patch = [name for name in ("region", "subject", "category", "simulated") if name in rdm_table(patch_views)]
    layers, patches = index_table(layer_views), index_table(patch_views)
    return {
        "viewpoint": layers[[*network, "identity", "index"]],
        "viewpoint_summary": summarise_indices(layers, network),
        "viewpoint_patches": patches[[*patch, "identity", "index"]],
        "viewpoint_patches_summary": summarise_indices(patches, patch),
    }


def write_run(folder: Path, tables: Mapping[str, pd.DataFrame], layer_rdms: RDMs, patch_rdms: RDMs) -> None:
    """Write tables, RDMs and figures into the run folder."""
    for name in ("tables", "rdms", "figures"):
        (folder / name).mkdir()
    for name, table in tables.items():
        write_table(table, name, folder / "tables")
    layer_rdms.save(str(folder / "rdms" / "layers.hdf5"))
    patch_rdms.save(str(folder / "rdms" / "patches.hdf5"))
    figures = {
        "fits_by_layer": draw_fits(tables["fits"]),
        "index_by_layer": draw_indices(tables["viewpoint_summary"], tables["viewpoint_patches_summary"]),
        "rdms": draw_rdms(layer_rdms, patch_rdms),
    }
    for name, figure in figures.items():
        save_figure(figure, name, folder / "figures")


def _normalize(settings: Study) -> str | None:
    return None if settings.comparison.normalize == "none" else settings.comparison.normalize
