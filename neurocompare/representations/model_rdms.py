"""From a network and stimuli to RDMs of its layers, in bounded memory.

There are two ways, chosen by the requested RDMs and the memory budget. RDMs of all stimuli need every pair of stimuli:
blocks of units are kept in memory over all stimuli, with one pass for as many units as fit. View RDMs need only the
stimuli of one exemplar at a time: one pass for the mean and standard deviation of every unit, and one for the products
between each exemplar's views, without keeping responses.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import torch
from rsatoolbox.rdm import RDMs
from threadpoolctl import threadpool_limits
from torch import nn

from neural_data.errors import InputError
from neural_data.stimuli import StimulusSet
from neurocompare.models.layers import Layer
from neurocompare.models.registry import Network, as_network
from neurocompare.notebook_progress import BRIEF_SECONDS, progress_or_bar
from neurocompare.progress_lines import Progress
from neurocompare.representations.activations import (
    AS_USUAL,
    BATCH_SIZE,
    MEMORY_MB,
    Presentation,
    held_blocks,
    plan_passes,
    refuse_not_finite,
    stream_responses,
    with_smaller_batches,
    working_device,
    working_dtype,
)
from neurocompare.representations.dissimilarities import MODEL_DISSIMILARITIES, find_dissimilarity
from neurocompare.representations.products import (
    PatternSums,
    UnitStatistics,
    few_rows,
    rows_nearby,
    threads_left_to_blas,
)
from neurocompare.representations.rdms import NORMALIZATIONS, build_rdms, view_order
from neurocompare.representations.undefined import explain_undefined
from neurocompare.stimuli.transforms import mirror

__all__ = ["RDM_PARTS", "RdmRequest", "compute_model_rdms", "compute_rdm_requests", "divide_layers"]

log = logging.getLogger(__name__)
RDM_PARTS = ("whole", "invariant", "sensitive")
_BLOCK_BYTES = 4_000_000
"""Bytes of responses that are processed at once: about the size of a processor's cache."""
_FEWEST_BYTES, _MOST_BYTES = 16_384, 32_768
"""Of one stimulus's responses among them: fewer make products slow, more make the rounding of float32 sums large."""
_STATISTICS_BYTES = 24
"""Memory of one unit's statistics while views are streamed."""
_SMALL_LAYER = 25_000
_CHEAP_PRODUCTS = 2e10
"""A layer of up to so many units and products between stimuli is worked on in float64 whatever the network's precision.
In larger ones the rounding of single units averages out, and they would take twice the time."""
_OWN_MIRROR_IMAGE = 1e-5
"""An image is its own mirror image if they differ by at most so much in 0..1: far less than a level of gray (1/255)."""
_REFLECTION_ROUNDING = 32.0
"""A unit is invariant if its responses to an image and the mirror image differ by at most so many rounding errors."""


@dataclass(frozen=True)
class RdmRequest:
    """Options of RDMs to compute from one presentation of the stimuli; each field as in :func:`compute_model_rdms`."""

    dissimilarity: str = "correlation"
    normalize: str | None = "zscore"
    within: str | None = None
    part: str = "whole"

    def __post_init__(self):
        for name, value, known in (
            ("dissimilarity", self.dissimilarity, tuple(MODEL_DISSIMILARITIES)),
            ("normalize", self.normalize, NORMALIZATIONS),
            ("within", self.within, ("identity", None)),
            ("part", self.part, RDM_PARTS),
        ):
            if value not in known:
                raise InputError(f"{name} of a model RDM must be one of {', '.join(map(repr, known))}; got {value!r}")


def compute_model_rdms(
    network: Network | nn.Module,
    stimuli: StimulusSet,
    layers: str | Sequence[str] = "main",
    *,
    dissimilarity: str = "correlation",
    normalize: str | None = "zscore",
    within: str | None = None,
    part: str = "whole",
    batch_size: int = BATCH_SIZE,
    memory_mb: float = MEMORY_MB,
    progress: Progress | None = None,
) -> RDMs:
    """RDMs of a network's layers.

    Parameters
    ----------
    network : Network or torch.nn.Module
        From :func:`~neurocompare.models.registry.load_model`; a module is wrapped by it and keeps its weights.
    stimuli : StimulusSet
        Presented at the network's input size.
    layers : "main", "all", str or sequence of str
        Names or patterns of layers, see :func:`~neurocompare.representations.activations.resolve_layers`.
    dissimilarity : {"correlation", "euclidean"}
        1 - Pearson's r across units; or, as in rsatoolbox, the squared Euclidean distance over the number of units.
    normalize : {"zscore", None}
        ``"zscore"``: each unit minus its mean over all stimuli, over its standard deviation there; constant units are
        dropped and counted in the descriptor ``n_constant``. None uses raw responses.
    within : {None, "identity"}
        None: one RDM of all stimuli per layer. ``"identity"``: one RDM of the views of each exemplar per layer, views
        sorted by azimuth; normalisation is over all stimuli.
    part : {"whole", "invariant", "sensitive"}
        The responses; or their reflection-invariant part (half the sum of the responses to an image and to its mirror
        image), or their reflection-sensitive part (half the difference). The two parts add up to the responses.
        Normalisation is applied to the part. An image that is its own mirror image, such as the frontal view of a
        symmetric face, has no reflection-sensitive response: its correlation dissimilarities in that part are NaN.
    batch_size : int
        Most images per forward pass, see :func:`~neurocompare.representations.activations.images_at_once`; halved if
        memory runs out.
    memory_mb : float
        Budget for responses in memory, megabytes. A smaller budget takes more passes over the stimuli.
    progress : callable or None
        Called with what is presented, and the share done. None draws a bar in notebooks if it takes long, and nothing
        elsewhere.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        RDM descriptors ``model, regime, seed, layer, layer_index, n_units, n_constant, normalize, part``, with
        ``within="identity"`` also ``identity, category``. Pattern descriptors ``stimulus_id`` and the columns of the
        stimulus table, or ``azimuth_deg``.

    Raises
    ------
    InputError
        If a layer does not exist, a response is not finite, an exemplar lacks a view, or memory does not suffice for
        a single image.
    """
    request = RdmRequest(dissimilarity, normalize, within, part)
    with progress_or_bar(progress, brief=BRIEF_SECONDS) as tell:
        presentation = Presentation(batch_size, memory_mb, tell)
        found = compute_rdm_requests(as_network(network), stimuli, layers, {"rdms": request}, presentation=presentation)
    return found["rdms"]


def compute_rdm_requests(
    network: Network,
    stimuli: StimulusSet,
    layers: str | Sequence[str],
    requests: Mapping[str, RdmRequest],
    *,
    presentation: Presentation = AS_USUAL,
    only: Sequence[str] | None = None,
) -> dict[str, RDMs]:
    """RDMs with several sets of options, from one presentation of the stimuli.

    Parameters
    ----------
    network, stimuli, layers
        See :func:`compute_model_rdms`.
    requests : mapping of str to RdmRequest
        Options, by any name. Mirrored images are presented only if a request needs a part.
    presentation : Presentation
        Images per forward pass and memory.
    only : sequence of str or None
        Names of the layers whose RDMs are wanted here, a share of :func:`divide_layers`; None for all. Their RDMs equal
        those from a call for all layers to the last bit.

    Returns
    -------
    dict of str to rsatoolbox.rdm.RDMs
        Under the names of the requests.
    """
    everything = network.select(layers)
    chosen = everything if only is None else [layer for layer in everything if layer.name in only]
    everyone = np.arange(len(stimuli))[None]
    within = any(request.within for request in requests.values())
    exemplars, views = view_order(stimuli) if within else (pd.DataFrame(), everyone)
    collectors = {name: _Collector(request, len(chosen)) for name, request in requests.items()}
    jobs = {
        (request.part, request.normalize, request.within): _Job(
            request.part, request.normalize, views if request.within else everyone
        )
        for request in requests.values()
    }
    if _n_held_passes(network, stimuli, everything, requests, presentation) is None:
        found = _stream_views(network, stimuli, chosen, jobs, presentation)
    else:
        found = _hold_blocks(network, stimuli, everything, jobs, presentation, chosen)
    for layer, sums in found:
        for collector in collectors.values():
            request = collector.request
            collector.add(sums[request.part, request.normalize, request.within], chosen.index(layer))
    descriptors: dict[str, list] = {
        "model": [network.name] * len(chosen),
        "regime": [network.regime] * len(chosen),
        "seed": [network.seed] * len(chosen),
        "layer": [layer.name for layer in chosen],
        "layer_index": [network.layer_index(layer) for layer in chosen],
    }
    if any(request.part == "sensitive" for request in requests.values()):
        own = _own_mirror_images(network, stimuli)
        for collector in collectors.values():
            collector.take_out(own[views if collector.request.within else everyone])
        if own.any():
            log.info("%s: %d stimuli are their own mirror images, without a sensitive part", network.name, own.sum())
    _explain(network, stimuli, chosen, collectors)
    return {name: collector.rdms(stimuli, exemplars, views, descriptors) for name, collector in collectors.items()}


def divide_layers(
    network: Network,
    stimuli: StimulusSet,
    layers: str | Sequence[str],
    requests: Mapping[str, RdmRequest],
    n_shares: int,
    *,
    presentation: Presentation = AS_USUAL,
) -> list[list[str]]:
    """Shares of a network's layers that several workers can compute at the same time.

    Parameters
    ----------
    network, stimuli, layers, requests, presentation
        See :func:`compute_rdm_requests`.
    n_shares : int
        At most so many.

    Returns
    -------
    list of lists of str
        Names of layers, in order: consecutive layers with about equally many units, since passes over the stimuli are
        shared out by units. One share where more would repeat passes: if all responses fit into memory, or if views
        are streamed.
    """
    chosen = network.select(layers)
    n_passes = _n_held_passes(network, stimuli, chosen, requests, presentation) or 1
    ends = np.cumsum([layer.n_units for layer in chosen])
    n = min(n_shares, n_passes, len(chosen))
    share_of = np.ceil(ends / ends[-1] * n - 1e-9).astype(int)
    shares = [[layer.name for layer, its in zip(chosen, share_of, strict=True) if its == k] for k in range(1, n + 1)]
    return [share for share in shares if share]


def _n_held_passes(
    network: Network,
    stimuli: StimulusSet,
    layers: list[Layer],
    requests: Mapping[str, RdmRequest],
    presentation: Presentation,
) -> int | None:
    """Passes over the stimuli if responses are held; None if views are streamed, in two passes."""
    bytes_a_unit = len(stimuli) * network.dtype.itemsize
    n_passes = len(plan_passes(layers, bytes_a_unit=bytes_a_unit, memory_mb=presentation.memory_mb))
    streamed = all(request.within and request.part == "whole" for request in requests.values())
    return None if streamed and n_passes > 2 else n_passes


def _explain(network: Network, stimuli: StimulusSet, layers: list[Layer], collectors: Mapping[str, _Collector]) -> None:
    """Log why RDMs are undefined."""
    undefined = np.zeros(len(layers), dtype=bool)
    for collector in collectors.values():
        undefined |= collector.undefined()
    for text in explain_undefined(network, stimuli, [layers[place] for place in np.flatnonzero(undefined)]):
        log.warning("%s: an RDM is not defined: %s", network.name, text)


def _own_mirror_images(network: Network, stimuli: StimulusSet) -> np.ndarray:
    """Whether each stimulus, as the network sees it, is its own mirror image, (n_stimuli,)."""
    batches = stimuli.batches(BATCH_SIZE, network.preprocessing.shown_at)
    return np.concatenate(
        [np.abs(images - mirror(images)).max(axis=(1, 2, 3)) <= _OWN_MIRROR_IMAGE for images in batches]
    )


@dataclass(frozen=True)
class _Job:
    """Products that several requests can share: of one part, normalised in one way, among the stimuli of each group."""

    part: str
    normalize: str | None
    groups: np.ndarray
    """Positions of stimuli, shape (n_groups, size)."""

    def sums(self, precision: torch.dtype) -> PatternSums:
        n_groups, size = self.groups.shape
        return PatternSums(n_groups, size, precision)


_Jobs = Mapping[tuple[str, str | None, str | None], _Job]
Normalisation = tuple[torch.Tensor, torch.Tensor]
"""Mean of every unit, and 1 over its standard deviation (0 for a constant unit)."""
_Sums = dict[tuple[str, str | None, str | None], PatternSums]


def _hold_blocks(
    network: Network,
    stimuli: StimulusSet,
    layers: list[Layer],
    jobs: _Jobs,
    presentation: Presentation,
    only: list[Layer],
) -> Iterator[tuple[Layer, _Sums]]:
    """Sums of some of the layers from blocks of units with responses to all stimuli in memory."""
    mirrored = any(job.part != "whole" for job in jobs.values())
    workspace = _Workspace()
    precision = working_dtype(network.dtype)
    sums = _new_sums(jobs, precision)
    held = held_blocks(
        network, stimuli, layers, presentation=presentation, mirrored=mirrored, check_all=False, only=only
    )
    for block, responses in held:
        working = _worked_in(block.layer, len(stimuli) ** 2, precision)
        with threads_left_to_blas(responses.device):
            for units in _unit_slices(responses.shape[1:], working, most_bytes=_MOST_BYTES):
                chunk = responses[:, :, units].to(working)
                for part in RDM_PARTS:
                    of_part = {key: job for key, job in jobs.items() if job.part == part}
                    if of_part:
                        _add_units(_part(chunk, part, precision), of_part, sums, workspace)
        if not all(of_job.finite for of_job in sums.values()):
            refuse_not_finite(network, block.layer, responses, stimuli.ids)
        if block.stop == block.layer.n_units:
            yield block.layer, sums
            sums = _new_sums(jobs, precision)


def _add_units(responses: torch.Tensor, jobs: _Jobs, sums: _Sums, workspace: _Workspace) -> None:
    """Add units from their responses (n_stimuli, n_units) to all stimuli."""
    n_stimuli, n_units = responses.shape
    normalisation = None
    if any(job.normalize for job in jobs.values()):
        statistics = UnitStatistics(n_units, responses.device)
        statistics.add(responses, slice(0, n_units), scratch=_scratch(responses, workspace))
        normalisation = statistics.finish(n_stimuli, next(iter(sums.values())).precision)
    for key, job in jobs.items():
        n_groups, size = job.groups.shape
        in_order = np.array_equal(job.groups.ravel(), np.arange(n_stimuli))
        of_groups = responses if in_order else responses[job.groups.ravel()]
        of_job = normalisation if job.normalize else None
        sums[key].count(_n_varying(of_job, n_units), n_units)
        if of_job and size == n_stimuli:
            _add_scores(of_groups, of_job, sums[key], workspace)
        else:
            _add_patterns(of_groups.unflatten(0, (-1, size)), slice(0, n_groups), of_job, sums[key], workspace)


def _scratch(responses: torch.Tensor, workspace: _Workspace) -> torch.Tensor:
    n_stimuli, n_units = responses.shape
    return workspace("scratch", (min(n_stimuli, rows_nearby(n_units)), n_units), responses)


def _add_scores(
    responses: torch.Tensor, normalisation: Normalisation, sums: PatternSums, workspace: _Workspace
) -> None:
    """Add units from responses (n_stimuli, n_units) to the stimuli over which they are normalised."""
    n_stimuli, n_units = responses.shape
    patterns = workspace("patterns", (1, n_stimuli + 2, n_units), responses)
    means, scales = normalisation
    at_once = rows_nearby(n_units)
    for rows, scores in zip(responses.split(at_once), patterns[0, :n_stimuli].split(at_once), strict=True):
        torch.sub(rows, means, out=scores)
        scores *= scales
    # Scores have mean 0 except for rounding of the unit's mean, which is kept.
    patterns[:, n_stimuli] = 0.0
    sums.add(patterns, slice(0, 1), varying=scales > 0, removed=_removed(normalisation), centred=True)


def _add_patterns(
    responses: torch.Tensor,
    groups: slice,
    normalisation: Normalisation | None,
    sums: PatternSums,
    workspace: _Workspace,
) -> None:
    """Add units of some groups from responses (n_groups, size, n_units)."""
    n_groups, size, n_units = responses.shape
    patterns = workspace("patterns", (n_groups, size + 2, n_units), responses)
    if normalisation is None:
        patterns[:, :size] = responses
        sums.add(patterns, groups)
        return
    means, scales = normalisation
    # The group's mean is subtracted first, which saves a pass over the responses and keeps digits.
    mean = torch.mean(responses, dim=1, out=patterns[:, size])
    at_once = max(1, rows_nearby(n_units) // size)
    parts = (of_all.split(at_once) for of_all in (responses, mean[:, None], patterns[:, :size]))
    for of_groups, centres, scores in zip(*parts, strict=True):
        torch.sub(of_groups, centres, out=scores)
        scores *= scales
    mean -= means
    mean *= scales
    sums.add(patterns, groups, varying=scales > 0, removed=_removed(normalisation), centred=True)


def _removed(normalisation: Normalisation) -> float:
    """Sum over units of the squared mean that normalisation subtracts, in standard deviations."""
    means, scales = normalisation
    return float((means.double() * scales).square().sum())


def _n_varying(normalisation: Normalisation | None, n_units: int) -> int:
    return n_units if normalisation is None else int((normalisation[1] > 0).sum())


def _stream_views(
    network: Network, stimuli: StimulusSet, layers: list[Layer], jobs: _Jobs, presentation: Presentation
) -> Iterator[tuple[Layer, _Sums]]:
    """Sums of every layer among the views of each exemplar, with only unit statistics in memory."""
    groups = _fitting(layers, presentation.memory_mb)
    for number, group in enumerate(groups):
        presentation.progress(f"{network.name}: {group[0].name} to {group[-1].name}", number / len(groups))
        # Products of few views are too small for several threads, which would delay those of the network.
        with threadpool_limits(1, user_api="blas"):
            sums, presentation = with_smaller_batches(
                partial(_stream_group, network, stimuli, group, jobs), presentation, network=network
            )
        for layer in group:
            yield layer, sums[layer.name]


def _stream_group(
    network: Network, stimuli: StimulusSet, layers: list[Layer], jobs: _Jobs, batch_size: int
) -> dict[str, _Sums]:
    """One pass for the statistics of every unit, if needed, and one for the products of views."""
    device, precision = working_device(network), working_dtype(network.dtype)
    workspace = _Workspace()
    positions = next(iter(jobs.values())).groups
    n_views = positions.shape[1]

    # Products of few patterns are taken in parts of a fixed size anyway.
    most_bytes = _BLOCK_BYTES if few_rows(n_views) else _MOST_BYTES

    def blocks(layer: Layer, responses: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
        working = _worked_in(layer, positions.size * n_views, precision)
        for units in _unit_slices(responses.shape[1:], working, most_bytes=most_bytes):
            yield units, responses[0, :, units].to(device, working)

    normalisations: dict[str, Normalisation] = {}
    if any(job.normalize for job in jobs.values()):
        statistics = {layer.name: UnitStatistics(layer.n_units, device) for layer in layers}

        def measure(layer: Layer, _rows: slice, responses: torch.Tensor) -> None:
            for units, block in blocks(layer, responses):
                statistics[layer.name].add(block, units, scratch=_scratch(block, workspace))
            statistics[layer.name].n += responses.shape[1]

        stream_responses(network, stimuli, layers, measure, batch_size=batch_size, check_all=False)
        doubted = [layer for layer in layers if not statistics[layer.name].finite]
        if doubted:
            stream_responses(network, stimuli, doubted, lambda *_: None, batch_size=batch_size)
        for layer in layers:
            normalisations[layer.name] = statistics.pop(layer.name).finish(len(stimuli), precision)
    sums = {layer.name: _new_sums(jobs, precision) for layer in layers}
    for layer in layers:
        for key, job in jobs.items():
            of_job = normalisations[layer.name] if job.normalize else None
            sums[layer.name][key].count(_n_varying(of_job, layer.n_units), layer.n_units)

    def multiply(layer: Layer, rows: slice, responses: torch.Tensor) -> None:
        groups = slice(rows.start // n_views, rows.stop // n_views)
        for units, block in blocks(layer, responses):
            for key, job in jobs.items():
                of_units = None
                if job.normalize:
                    means, scales = normalisations[layer.name]
                    of_units = means[units], scales[units]
                views = block.unflatten(0, (-1, n_views))
                _add_patterns(views, groups, of_units, sums[layer.name][key], workspace)

    whole_exemplars = max(1, batch_size // n_views) * n_views
    stream_responses(
        network,
        stimuli.take(positions.ravel()),
        layers,
        multiply,
        batch_size=whole_exemplars,
        check_all=not normalisations,
    )
    return sums


def _fitting(layers: list[Layer], memory_mb: float) -> list[list[Layer]]:
    """Consecutive layers whose unit statistics fit the budget together; at least one each time."""
    groups: list[list[Layer]] = []
    room = 0.0
    for layer in layers:
        size = layer.n_units * _STATISTICS_BYTES / 1e6
        if not groups or size > room:
            groups.append([])
            room = memory_mb
        groups[-1].append(layer)
        room -= size
    return groups


def _worked_in(layer: Layer, n_products: int, precision: torch.dtype) -> torch.dtype:
    """Type for computing with a layer's responses, see :data:`_CHEAP_PRODUCTS`."""
    small = layer.n_units <= _SMALL_LAYER and layer.n_units * n_products <= _CHEAP_PRODUCTS
    return torch.float64 if small else precision


def _unit_slices(shape: Sequence[int], working: torch.dtype, *, most_bytes: int) -> list[slice]:
    """Slices of units of responses (n_stimuli, n_units) that are processed at once, in bytes of one stimulus's."""
    n_stimuli, n_units = shape
    n_bytes = np.clip(_BLOCK_BYTES // n_stimuli, _FEWEST_BYTES, most_bytes)
    at_once = int(n_bytes) // working.itemsize
    return [slice(start, min(start + at_once, n_units)) for start in range(0, n_units, at_once)]


def _part(responses: torch.Tensor, part: str, precision: torch.dtype) -> torch.Tensor:
    """One part (n_stimuli, n_units) of responses (1 or 2, n_stimuli, n_units) to images and their mirror images."""
    if part == "whole":
        return responses[0]
    if part == "invariant":
        return (responses[0] + responses[1]) / 2
    sensitive = (responses[0] - responses[1]) / 2
    size = responses.square().mean(dim=(0, 1)).sqrt()
    sensitive[sensitive.abs() <= _REFLECTION_ROUNDING * torch.finfo(precision).eps * size] = 0.0
    return sensitive


def _new_sums(jobs: _Jobs, precision: torch.dtype) -> _Sums:
    return {key: job.sums(precision) for key, job in jobs.items()}


class _Workspace:
    """Reused memory for intermediate results: allocation would take as long as the arithmetic."""

    def __init__(self):
        self.kept: dict[tuple[str, torch.dtype], torch.Tensor] = {}

    def __call__(self, name: str, shape: Sequence[int], like: torch.Tensor) -> torch.Tensor:
        """Contiguous tensor of this shape, with type and device of ``like``; its content is arbitrary."""
        size = int(np.prod(shape))
        kept = self.kept.get((name, like.dtype))
        if kept is None or len(kept) < size:
            kept = self.kept[name, like.dtype] = torch.empty(size, dtype=like.dtype, device=like.device)
        return kept[:size].view(*shape)


class _Collector:
    """Collects the dissimilarities of layers one by one and makes the RDMs of a request."""

    def __init__(self, request: RdmRequest, n_layers: int):
        self.request = request
        self.counts = pd.DataFrame(0, index=range(n_layers), columns=["n_units", "n_constant"])
        self.n_layers = n_layers
        self.vectors = np.empty((0, 0, 0))
        """Dissimilarities (n_layers, n_groups, n_pairs), allocated once: RDMs of many images are large."""
        self.taken_out: np.ndarray | None = None
        """Which of them were taken out, (n_groups, n_pairs)."""

    def add(self, sums: PatternSums, position: int) -> None:
        if not len(self.vectors):
            n_pairs = sums.size * (sums.size - 1) // 2
            self.vectors = np.empty((self.n_layers, len(sums.sums), n_pairs))
        for group, of_group in enumerate(sums.dissimilarities(self.request.dissimilarity)):
            self.vectors[position, group] = of_group
        self.counts.loc[position] = sums.n_units, sums.n_constant

    def take_out(self, own: np.ndarray) -> None:
        """Leave dissimilarities to stimuli without a response undefined; ``own`` (n_groups, size) says which these are.

        Otherwise rounding would decide: the pattern of such a stimulus is what rounding leaves of the units' means.
        """
        measure = find_dissimilarity(self.request.dissimilarity, MODEL_DISSIMILARITIES)
        nothing = np.zeros((2, 2))
        if self.request.part != "sensitive" or not np.isnan(measure.of_rows(nothing, nothing[0], nothing[0], 1)).any():
            return
        first, second = np.triu_indices(own.shape[1], 1)
        self.taken_out = own[:, first] | own[:, second]
        self.vectors[:, self.taken_out] = np.nan

    def undefined(self) -> np.ndarray:
        """Whether the RDMs of each layer hold NaN, other than those that were taken out, (n_layers,)."""
        if self.taken_out is not None:
            return np.isnan(self.vectors[:, ~self.taken_out].sum(axis=1))
        # A cheap test: the sum is NaN if any dissimilarity is.
        return np.isnan(self.vectors.sum(axis=(1, 2)))

    def rdms(
        self, stimuli: StimulusSet, exemplars: pd.DataFrame, views: np.ndarray, descriptors: Mapping[str, list]
    ) -> RDMs:
        """The RDMs, sorted by layer and then by exemplar."""
        described = pd.DataFrame(descriptors).assign(
            n_units=self.counts["n_units"],
            n_constant=self.counts["n_constant"],
            normalize=self.request.normalize or "none",
            part=self.request.part,
        )
        patterns = stimuli.table
        if self.request.within:
            patterns = patterns.iloc[views[0]][["azimuth_deg"]].reset_index(drop=True)
            described = described.merge(exemplars.reset_index(), how="cross")
        return build_rdms(
            self.vectors.reshape(-1, self.vectors.shape[2]),
            patterns=patterns,
            rdms={name: described[name].tolist() for name in described.columns},
            dissimilarity=self.request.dissimilarity,
            copy=False,
        )
