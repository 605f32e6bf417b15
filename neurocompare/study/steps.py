"""The computations of a study's steps, as functions without cache.

Measures are in ``measures``; the steps here compute their inputs. Every step has its own stream of random numbers, see
``measures.randomness``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure
from rsatoolbox.rdm import RDMs

import neural_data
from neural_data.errors import InputError, closest
from neural_data.recordings import regions_of
from neural_data.simulation import simulate_patches, simulate_rates
from neural_data.stimuli import StimulusSet, read_stimuli
from neural_data.time_simulation import simulate_over_time
from neurocompare.comparison.fit_result import FitResult
from neurocompare.comparison.inference import infer_fits
from neurocompare.measures import MEASURES
from neurocompare.measures.comparison import Comparison
from neurocompare.measures.declaration import LAYER_RDMS, LayerRdms, Measured, Patches, Values
from neurocompare.measures.randomness import step_rng
from neurocompare.reporting.drawing import save_figure
from neurocompare.representations.model_rdms import RdmRequest, compute_rdm_requests, divide_layers
from neurocompare.representations.neural_rdms import compute_neural_rdms
from neurocompare.representations.rdm_reading import read_rdms
from neurocompare.representations.rdms import build_rdms, concat_rdms, rdm_table
from neurocompare.stimuli.sets import Appearance, SetPlan, plan_set, render_in_memory
from neurocompare.stimuli.transforms import GrayBackground
from neurocompare.study.grammar import BUILT_IN_STIMULI, BroughtReading, Study
from neurocompare.study.networks import NetworkRecord, loaded, with_weights

__all__ = [
    "brought_layers",
    "brought_patches",
    "draw_to_files",
    "fit_layers",
    "has_views",
    "measure_network",
    "measure_patches",
    "network_rdms",
    "planned_set",
    "read_own_stimuli",
    "read_study_recording",
    "render_stimuli",
    "simulate_recording",
    "simulated_regions",
    "with_background",
]

SIMULATED_REGIONS = ("ML", "AL", "AM")
SIMULATED_WINDOW_MS = (0.0, 300.0)
"""Window of simulated recordings with time bins."""


def planned_set(settings: Study) -> SetPlan:
    """Plan of the study's built-in stimuli; InputError if they cannot be rendered."""
    chosen = settings.stimuli
    _check_faces(settings)
    if chosen.columns:
        raise InputError(f"stimuli.columns is for the CSV of a set; {chosen.source!r} is rendered, so leave it out")
    return plan_set(
        chosen.source,
        size=chosen.size,
        seed=settings.seed,
        n_exemplars=chosen.n_identities,
        azimuths_deg=chosen.azimuths_deg,
        categories=chosen.categories,
        appearance=Appearance(hair=chosen.hair, neck=chosen.neck, light_deg=chosen.light_deg),
    )


def _check_faces(settings: Study) -> None:
    chosen = settings.stimuli
    if chosen.source != "faces" and not (chosen.hair and chosen.neck and chosen.light_deg == 0):
        raise InputError("stimuli.hair, neck and light_deg are only for the built-in faces; leave them out")


def render_stimuli(settings: Study, *, n_jobs: int = 1) -> StimulusSet:
    """The study's built-in stimuli, on the background that they are rendered on; the same for any number of workers."""
    return render_in_memory(planned_set(settings), n_jobs=n_jobs).yaw_views(settings.stimuli.azimuths_deg)


def read_own_stimuli(settings: Study, *, with_images: bool = True) -> StimulusSet:
    """The stimuli of a set on disk: its yaw views if identities are shown in several views, else all stimuli."""
    chosen = settings.stimuli
    _check_faces(settings)
    if not Path(chosen.source).suffix and not Path(chosen.source).exists():
        raise InputError(
            f"stimuli.source = {chosen.source!r} is neither a file nor a built-in set: "
            f"{closest(chosen.source, BUILT_IN_STIMULI)}"
        )
    stimuli = read_stimuli(chosen.source, images=chosen.images, columns=chosen.columns, with_images=with_images)
    if chosen.categories is not None:
        known = stimuli.table["category"].unique()
        for category in chosen.categories:
            if category not in known:
                raise InputError(f"stimuli.categories: {chosen.source} has no {category!r}: {closest(category, known)}")
        stimuli = stimuli.select(category=chosen.categories)
    if has_views(stimuli) or chosen.azimuths_deg is not None:
        stimuli = stimuli.yaw_views(chosen.azimuths_deg)
    if len(stimuli.identities) < 2:
        raise InputError(f"{stimuli.name} has one identity, but RDMs across faces need at least two; add identities")
    return stimuli


def has_views(stimuli: StimulusSet) -> bool:
    """Whether stimuli differ in view."""
    return stimuli.table[["azimuth_deg", "elevation_deg"]].drop_duplicates().shape[0] > 1


def brought_layers(settings: Study, shown: StimulusSet | None) -> list[RDMs]:
    """RDMs of ``[[models]]`` from files, with descriptors and order of layers, one object per entry."""
    found = []
    for entry in settings.brought:
        stimuli = _named_stimuli(entry.file, shown)
        rdms = _brought(entry.file, entry.reading(), settings, stimuli)
        table = rdm_table(rdms)
        names = table["name"].astype(str) if "name" in table else [f"RDM {i + 1}" for i in range(len(table))]
        own = table["model"] if "model" in table else [entry.shown_as] * len(table)
        layers = table.get("layer", names)
        found.append(
            build_rdms(
                rdms.dissimilarities,
                patterns=stimuli.table,
                rdms={
                    "model": list(own),
                    "regime": list(table["regime"]) if "regime" in table else [entry.shown_regime] * len(table),
                    "seed": list(table["seed"]) if "seed" in table else [0] * len(table),
                    "layer": list(layers),
                    "layer_index": list(table["layer_index"]) if "layer_index" in table else list(range(len(table))),
                },
                dissimilarity=settings.comparison.dissimilarity,
            )
        )
    return found


def brought_patches(settings: Study, shown: StimulusSet | None) -> RDMs:
    """RDMs of ``[recording]`` from a file, in the order of the stimuli, for the regions of the study."""
    chosen = settings.recording
    stimuli = _named_stimuli(chosen.file, shown)
    rdms = _brought(chosen.file, chosen.reading(), settings, stimuli, kind="recording")
    known = list(dict.fromkeys(map(str, rdms.rdm_descriptors["region"])))
    for region in chosen.regions or ():
        if region not in known:
            raise InputError(f"recording.regions: {chosen.file} has no region {region!r}: {closest(region, known)}")
    keep = [
        i for i, region in enumerate(map(str, rdms.rdm_descriptors["region"])) if region in (chosen.regions or known)
    ]
    table = rdm_table(rdms).iloc[keep].reset_index(drop=True)
    table = table if "subject" in table else table.assign(subject="")
    if table.duplicated(["region", "subject"]).any():
        twice = table[table.duplicated(["region", "subject"])].iloc[0]
        of = f" of subject {twice['subject']!r}" if twice["subject"] else ""
        raise InputError(
            f"{chosen.file}: holds several RDMs of region {twice['region']!r}{of}, which would be the same in tables; "
            "average them (recording.average), take one (recording.names), or name regions and subjects "
            "(recording.name_pattern)"
        )
    return build_rdms(
        rdms.dissimilarities[keep],
        patterns=stimuli.table,
        rdms=table.assign(simulated=False).to_dict("list"),
        dissimilarity=rdms.dissimilarity_measure,
    )


def _named_stimuli(path: str, shown: StimulusSet | None) -> StimulusSet:
    """The stimuli of RDMs from a file: a set on disk, not one to be rendered."""
    if shown is None:
        raise InputError(f"{path}: RDMs need the set of their stimuli; name it (stimuli.source)")
    return shown


def _brought(
    path: str, reading: BroughtReading, settings: Study, stimuli: StimulusSet, *, kind: str | None = None
) -> RDMs:
    """RDMs of a file over the stimuli of the study, in their order; the file may hold more of the set."""
    shown = read_stimuli(settings.stimuli.source, columns=settings.stimuli.columns, with_images=False)
    rdms = read_rdms(path, stimuli=shown, kind=kind, **reading)
    place = {stimulus_id: number for number, stimulus_id in enumerate(rdms.pattern_descriptors["stimulus_id"])}
    absent = [stimulus_id for stimulus_id in stimuli.ids if stimulus_id not in place]
    if absent:
        raise InputError(
            f"{path}: lacks {len(absent)} stimuli of the study (first: {absent[0]!r}); choose stimuli that its RDMs "
            "have"
        )
    order = np.array([place[stimulus_id] for stimulus_id in stimuli.ids])
    return build_rdms(
        rdms.get_matrices()[:, order[:, None], order[None, :]],
        patterns=stimuli.table,
        rdms=rdm_table(rdms).to_dict("list"),
        dissimilarity=rdms.dissimilarity_measure,
    )


def with_background(stimuli: StimulusSet, settings: Study) -> StimulusSet:
    """The stimuli on the background of the study."""
    level = settings.stimuli.background
    return stimuli if level is None else stimuli.with_transform(GrayBackground(level=level))


def simulated_regions(settings: Study) -> tuple[str, ...]:
    """Regions of the simulated recording."""
    return tuple(settings.recording.regions or SIMULATED_REGIONS)


def simulate_recording(settings: Study, stimuli: StimulusSet) -> xr.DataArray:
    """The simulated recording of a study, with time bins if it names their width."""
    chosen = settings.recording
    if chosen.bin_ms is not None:
        rng = step_rng(settings.seed, "recording")
        rates = simulate_rates(
            stimuli,
            regions=simulated_regions(settings),
            n_neurons=chosen.n_neurons,
            kind=chosen.simulation,
            rng=rng,
        )
        window_ms = SIMULATED_WINDOW_MS if chosen.window_ms is None else (chosen.window_ms[0], chosen.window_ms[1])
        return simulate_over_time(
            rates, chosen.n_repetitions, window_ms=window_ms, bin_ms=chosen.bin_ms, step_ms=chosen.step_ms, rng=rng
        )
    return simulate_patches(
        stimuli,
        regions=simulated_regions(settings),
        n_neurons=settings.recording.n_neurons,
        n_repetitions=settings.recording.n_repetitions,
        kind=settings.recording.simulation,
        rng=step_rng(settings.seed, "recording"),
    )


def read_study_recording(settings: Study, stimuli: StimulusSet | None) -> xr.DataArray:
    """The recording that a study names, restricted to its regions; it must hold the given stimuli."""
    chosen = settings.recording
    if not Path(chosen.source).exists():
        hint = "" if Path(chosen.source).suffix else f": {closest(chosen.source, ['simulated'])}"
        raise InputError(f"recording.source = {chosen.source!r}: no such file or folder{hint}")
    window_ms = None if chosen.window_ms is None else (chosen.window_ms[0], chosen.window_ms[1])
    recording = neural_data.read_recording(
        chosen.source,
        format=chosen.format,
        stimulus=chosen.stimulus,
        window_ms=window_ms,
        bin_ms=chosen.bin_ms,
        step_ms=chosen.step_ms,
        columns=chosen.columns,
        variables=chosen.variables,
        region=chosen.region,
        units=chosen.units,
        decimal=chosen.decimal,
        onset_bin=chosen.onset_bin,
        missing=chosen.missing,
        stimuli=stimuli,
    )
    known = regions_of(recording)
    for region in chosen.regions or ():
        if region not in known:
            raise InputError(f"recording.regions: {chosen.source} has no region {region!r}: {closest(region, known)}")
    return recording.isel(neuroid=np.isin(recording["region"], chosen.regions or known))


def network_rdms(record: NetworkRecord, stimuli: StimulusSet, kinds: Sequence[str], values: Values) -> LayerRdms:
    """RDMs of the layers of one network, of all requested kinds, from one presentation of the stimuli.

    Parameters
    ----------
    record : NetworkRecord
        The network: how it is loaded, and its layers.
    stimuli : StimulusSet
        What it is shown.
    kinds : sequence of str
        Names from ``measures.declaration.LAYER_RDMS``.
    values : Values
        Values of the study: dissimilarity and normalisation.

    Returns
    -------
    LayerRdms
    """
    return joined_shares([network_share(record, stimuli, kinds, values)])


def network_share(
    record: NetworkRecord,
    stimuli: StimulusSet,
    kinds: Sequence[str],
    values: Values,
    layers: Sequence[str] | None = None,
) -> dict[str, RDMs]:
    """RDMs of some layers of a network (None: all), by request."""
    requests = _requests(kinds, values)
    shown = stimuli.prepare(record.shown_at)
    return compute_rdm_requests(loaded(record), shown, list(record.layers), requests, only=layers)


def joined_shares(shares: Sequence[Mapping[str, RDMs]]) -> LayerRdms:
    """The RDMs of a network from the shares of its layers, in order."""
    by_kind: dict[str, list[RDMs]] = {}
    for name in shares[0]:
        by_kind.setdefault(name.rpartition(" ")[0], []).append(concat_rdms([share[name] for share in shares]))
    return LayerRdms({kind: concat_rdms(parts) for kind, parts in by_kind.items()})


def shares_of_layers(
    record: NetworkRecord, stimuli: StimulusSet, kinds: Sequence[str], values: Values, n_shares: int
) -> list[list[str]]:
    """At most so many shares of a network's layers, see ``divide_layers``."""
    return divide_layers(loaded(record), stimuli, list(record.layers), _requests(kinds, values), n_shares)


def _requests(kinds: Sequence[str], values: Values) -> dict[str, RdmRequest]:
    return {
        f"{kind} {number}": request
        for kind in kinds
        for number, request in enumerate(LAYER_RDMS[kind](values.dissimilarity, values.normalize))
    }


def measure_network(
    key: str, record: NetworkRecord, given: Mapping[str, object], kept: Mapping[str, bytes] | None = None
) -> Measured:
    """One measure of one network.

    Parameters
    ----------
    key : str
        Key in ``measures.MEASURES``.
    record : NetworkRecord
        Source of the inputs ``network`` and ``layers``.
    given : mapping
        All other inputs of the measure.
    kept : mapping of str to bytes, or None
        Weights after some epochs, source of the input ``snapshots``.

    Returns
    -------
    Measured
    """
    needs, arguments = MEASURES[key].needs, dict(given)
    if isinstance(stimuli := arguments.get("stimuli"), StimulusSet):
        arguments["stimuli"] = stimuli.prepare(record.shown_at)
    if "network" in needs:
        arguments["network"] = loaded(record)
    if "layers" in needs:
        arguments["layers"] = record.layers
    if "snapshots" in needs:
        states = (kept or {}).items()
        arguments["snapshots"] = ((int(epoch), loaded(with_weights(record, weights))) for epoch, weights in states)
    return MEASURES[key].compute_from(arguments)


def measure_patches(recording: xr.DataArray, stimuli: StimulusSet, values: Values) -> Patches:
    """RDMs of the recorded patches."""
    return Patches(
        rdms=compute_neural_rdms(
            recording, dissimilarity=values.dissimilarity, normalize=values.normalize, stimuli=stimuli
        ),
        views=compute_neural_rdms(recording, normalize="zscore", within="identity", stimuli=stimuli)
        if has_views(stimuli)
        else None,
    )


def fit_layers(
    layer_rdms: RDMs,
    patches: Patches,
    ceilings: pd.DataFrame,
    comparison: Comparison,
    seed: int,
    recording: xr.DataArray | None = None,
) -> FitResult:
    """Fits of all layers of all networks to all patches, with their uncertainty.

    Parameters
    ----------
    layer_rdms : rsatoolbox.rdm.RDMs
        RDMs of all layers.
    patches : Patches
        RDMs of the recording.
    ceilings : pandas.DataFrame
        ``tables/ceilings.csv``. Ceilings of given RDMs without neurons are means over subjects, not reliabilities: fits
        are not tested against them.
    comparison : Comparison
        Section ``[comparison]`` of the study.
    seed : int
        Seed of the study.
    recording : xarray.DataArray or None
        The responses, for resampling neurons; None for given RDMs.
    """
    return infer_fits(
        layer_rdms,
        patches.rdms,
        recording=recording,
        ceilings=None if recording is None else ceilings,
        rng=step_rng(seed, "fits"),
        **comparison.inference(),
    )


def draw_to_files(name: str, draw: Callable[..., Figure], drawn: Mapping[str, object]) -> dict[str, bytes]:
    """Files of one figure, by name."""
    with tempfile.TemporaryDirectory() as folder:
        save_figure(draw(**drawn), name, Path(folder))
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
