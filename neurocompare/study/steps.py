"""What each step of a study computes: functions of the settings and of what earlier steps gave, without files or cache.

Every step draws its random numbers from a stream of its own, see ``randomness``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
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
from neurocompare.comparison.hypotheses import decide, read_hypotheses
from neurocompare.comparison.inference import infer_fits
from neurocompare.comparison.layer_tests import compare_layer_profiles
from neurocompare.comparison.recorded_index import corrected_indices
from neurocompare.comparison.shapley import shapley_of_fits
from neurocompare.reporting.drawing import save_figure
from neurocompare.reporting.figures import draw_fits, draw_indices, draw_rdms
from neurocompare.reporting.measure_figures import FIGURES
from neurocompare.reporting.regime_figures import draw_regime_figures
from neurocompare.representations.model_rdms import RdmRequest, compute_rdm_requests
from neurocompare.representations.neural_rdms import compute_neural_rdms
from neurocompare.representations.rdms import concat_rdms, rdm_table
from neurocompare.representations.viewpoint import index_table, summarise_indices
from neurocompare.stimuli.sets import face_views, object_views, plan_set
from neurocompare.stimuli.transforms import GrayBackground
from neurocompare.study.grammar import BUILT_IN_STIMULI, Study
from neurocompare.study.measures import measure_network
from neurocompare.study.networks import NetworkRecord, loaded
from neurocompare.study.randomness import step_rng

__all__ = [
    "decide_hypotheses",
    "draw_figures",
    "fit_layers",
    "measure_patches",
    "obtain_recording",
    "planned_stimuli",
    "present",
    "read_own_stimuli",
    "render_stimuli",
    "view_tables",
    "with_background",
]

SIMULATED_REGIONS = ("ML", "AL", "AM")
PARTS = ("whole", "invariant", "sensitive")


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


def present(record: NetworkRecord, stimuli: StimulusSet, settings: Study) -> dict[str, Any]:
    """What one network gives: RDMs of all stimuli for the fits, view RDMs of every exemplar, and the asked measures.

    Returns
    -------
    dict
        ``fits`` and ``views``: RDMs. ``parts``: RDMs of the whole responses and of their reflection components, or
        None. ``tables``: those of ``measure_network``, by name.
    """
    network, layers = loaded(record), list(record.layers)
    stimuli = stimuli.prepare(record.image_size)
    comparison, outputs = settings.comparison, settings.outputs
    requests = {
        "fits": RdmRequest(comparison.dissimilarity, _normalize(settings)),
        "views": RdmRequest(within="identity"),
    }
    if outputs.reflection:
        requests |= {part: RdmRequest(comparison.dissimilarity, _normalize(settings), part=part) for part in PARTS}
    rdms = compute_rdm_requests(network, stimuli, layers, requests)
    return {
        "fits": rdms["fits"],
        "views": rdms["views"],
        "parts": concat_rdms([rdms[part] for part in PARTS]) if outputs.reflection else None,
        "tables": measure_network(network, stimuli, layers, settings),
    }


def measure_patches(recording: xr.DataArray, stimuli: StimulusSet, settings: Study) -> dict[str, Any]:
    """What the patches give.

    Returns
    -------
    dict
        ``fits`` and ``views``: RDMs of all stimuli and of the views of every exemplar. ``ceilings``: noise ceilings.
        ``indices``: corrected mirror-symmetry indices of every category.
    """
    comparison, normalize = settings.comparison, _normalize(settings)
    return {
        "fits": compute_neural_rdms(
            recording, dissimilarity=comparison.dissimilarity, normalize=normalize, stimuli=stimuli
        ),
        "views": compute_neural_rdms(recording, normalize="zscore", within="identity", stimuli=stimuli),
        "ceilings": neuron_ceilings(
            recording,
            stimuli=stimuli,
            method=comparison.method,
            dissimilarity=comparison.dissimilarity,
            normalize=normalize,
            n_splits=comparison.n_splits,
            rng=step_rng(settings.seed, "ceilings"),
        ),
        "indices": corrected_indices(
            recording,
            stimuli=stimuli,
            by_category=True,
            n_splits=comparison.n_splits,
            rng=step_rng(settings.seed, "corrected indices"),
        ),
    }


def fit_layers(
    presented: Sequence[Mapping[str, Any]], patches: Mapping[str, Any], recording: xr.DataArray, settings: Study
) -> dict[str, Any]:
    """Fit of every layer of every network to every patch.

    Returns
    -------
    dict
        ``tables``: ``fits``; where reflection is asked for, ``components``; where tests of layers are, those of
        :func:`_layer_tables`. ``notes`` on them.
    """
    comparison = settings.comparison

    def fitted(name: str, step: str):
        return infer_fits(
            concat_rdms([rdms[name] for rdms in presented]),
            patches["fits"],
            recording=recording,
            resample=comparison.resample,
            variance=comparison.variance,
            n_draws=comparison.n_draws,
            method=comparison.method,
            ceilings=patches["ceilings"],
            rng=step_rng(settings.seed, step),
        )

    result = fitted("fits", "fits")
    simulated = bool(recording.attrs.get("simulated", False))
    table = result.to_frame().assign(simulated=simulated)
    tables = {"fits": table}
    if settings.outputs.layer_tests:
        tables |= {name: found.assign(simulated=simulated) for name, found in _layer_tables(result).items()}
    if settings.outputs.reflection:
        parts = shapley_of_fits(fitted("parts", "reflection parts"))
        keys = ["model", "regime", "seed", "layer", "region", "subject"]
        values = parts.pivot(index=keys, columns="component", values="shapley").add_prefix("shapley_").reset_index()
        columns = ["shapley_invariant", "shapley_sensitive"]
        tables["fits"] = table.merge(values[[*keys, *columns]], on=keys, how="left", validate="one_to_one")
        tables["components"] = parts.assign(simulated=simulated)
    return {"tables": tables, "notes": list(result.notes)}


def _layer_tables(result: FitResult) -> dict[str, pd.DataFrame]:
    """Best layers, all ordered pairs of layers of a network, and pairs of patches."""
    pairs = result.pairwise("none")
    names = [name for name in ("model", "regime", "seed") if f"{name}_1" in pairs]
    same = np.logical_and.reduce([pairs[f"{name}_1"] == pairs[f"{name}_2"] for name in names])
    pairs = pairs[same].rename(columns={f"{name}_1": name for name in names})
    pairs = pairs.assign(df=pairs["region"].map(dict(zip(result.recordings["region"], result.df, strict=True))))
    swapped = pairs.rename(columns={"layer_1": "layer_2", "layer_2": "layer_1"}).assign(
        difference=-pairs["difference"], ci_low=-pairs["ci_high"], ci_high=-pairs["ci_low"]
    )
    columns = [*names, "region", "subject", "layer_1", "layer_2", "difference", "se", "df", "ci_low", "ci_high", "p"]
    both = pd.concat([pairs, swapped], ignore_index=True)
    tables = {
        "best_layers": result.best_layer(),
        "layer_pairs": both[[name for name in columns if name in both]],
    }
    if len(result.recordings) > 1:
        tables["patch_pairs"] = compare_layer_profiles(result)
    return tables


def view_tables(layer_views: RDMs, patches: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Mirror-symmetry index of every exemplar in every layer and patch, and its mean over exemplars."""
    patch_views = patches["views"]
    network = ["model", "regime", "seed", "layer", "layer_index", "category"]
    patch = [name for name in ("region", "subject", "category", "simulated") if name in rdm_table(patch_views)]
    layers, recorded = index_table(layer_views), index_table(patch_views)
    corrected = patches["indices"].rename(
        columns={"ci_low": "corrected_ci_low", "ci_high": "corrected_ci_high", "se": "corrected_se"}
    )
    added = ["n_neurons", "reliability", *(name for name in corrected if name.startswith("corrected"))]
    return {
        "viewpoint": layers[[*network, "identity", "index"]],
        "viewpoint_summary": summarise_indices(layers, network),
        "viewpoint_patches": recorded[[*patch, "identity", "index"]],
        "viewpoint_patches_summary": summarise_indices(recorded, patch).merge(
            corrected[["region", "category", *added]], on=["region", "category"], how="left", validate="one_to_one"
        ),
    }


def decide_hypotheses(tables: Mapping[str, pd.DataFrame], settings: Study) -> pd.DataFrame:
    """The study's hypotheses, decided on its tables."""
    return decide(read_hypotheses(settings.hypotheses), tables, correction=settings.comparison.correction)


def draw_figures(tables: Mapping[str, pd.DataFrame], layer_rdms: RDMs, patch_rdms: RDMs) -> dict[str, bytes]:
    """Files of the figures, by name: those of every run, and one a table of a measure that is there."""
    figures = {
        "fits_by_layer": draw_fits(tables["fits"]),
        "index_by_layer": draw_indices(tables["viewpoint_summary"], tables["viewpoint_patches_summary"]),
        "rdms": draw_rdms(layer_rdms, patch_rdms),
        **{name: draw(tables[name]) for name, (draw, _caption) in FIGURES.items() if name in tables},
        **draw_regime_figures(tables),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, figure in figures.items():
            save_figure(figure, name, Path(folder))
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def _normalize(settings: Study) -> str | None:
    return None if settings.comparison.normalize == "none" else settings.comparison.normalize
