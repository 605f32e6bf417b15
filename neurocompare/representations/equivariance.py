"""Invariance of a layer's responses to image transformations, and equivariance: response maps that transform too.

Takes a network and any set of images; gives rows of ``tables/equivariance.csv``. Images are presented twice: once for
the mean and standard deviation of every unit, once for the correlations, so that memory holds one batch of responses
and a few numbers per unit, whatever the number of images.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from neural_data.errors import InputError, closest
from neural_data.stimuli import StimulusSet
from neurocompare.models.layers import Layer
from neurocompare.models.registry import Network
from neurocompare.representations.activations import (
    BATCH_SIZE,
    MEMORY_MB,
    images_at_once,
    working_device,
    working_dtype,
)
from neurocompare.representations.correlation import correlate_rows
from neurocompare.representations.maps import ShownBatch, has_map, layer_outputs, present
from neurocompare.representations.products import UnitStatistics
from neurocompare.representations.rdms import LAYER, check_normalization
from neurocompare.stimuli.transforms import flip_vertical, mirror, rotate90

__all__ = [
    "EQUIVARIANCE_COLUMNS",
    "TRANSFORMS",
    "TRANSFORM_MEASURES",
    "correlate_transformed",
    "measure_equivariance",
    "summarise_equivariance",
]

log = logging.getLogger(__name__)

EQUIVARIANCE_COLUMNS = (
    *LAYER,
    *("transform", "measure", "image_set", "mean", "sd", "n"),
)
TRANSFORM_MEASURES = ("invariance", "equivariance")


@dataclass(frozen=True)
class Transform:
    """One transformation, of images and of the maps of a layer.

    Parameters
    ----------
    of_images : callable
        Transforms arrays (n, channels, height, width).
    of_maps : callable
        The same for tensors of that shape.
    fixed : callable
        Positions (height, width) that the transformation does not move, as a boolean tensor.
    """

    of_images: Callable[[np.ndarray], np.ndarray]
    of_maps: Callable[[torch.Tensor], torch.Tensor]
    fixed: Callable[[int, int], torch.Tensor]

    def applies_to(self, layer: Layer) -> bool:
        """Whether the layer has a map, and the transformed map has the same shape."""
        return has_map(layer) and self.of_maps(torch.empty(1, *layer.shape)).shape[1:] == layer.shape


def _central(length: int) -> torch.Tensor:
    """True at the middle of an odd length, else nowhere."""
    return torch.arange(length) == (length // 2 if length % 2 else -1)


TRANSFORMS = {
    "left-right": Transform(mirror, lambda maps: maps.flip(-1), lambda h, w: _central(w).expand(h, w)),
    "up-down": Transform(flip_vertical, lambda maps: maps.flip(-2), lambda h, w: _central(h)[:, None].expand(h, w)),
    "rotation": Transform(
        rotate90, lambda maps: maps.rot90(1, (-2, -1)), lambda h, w: _central(h)[:, None] & _central(w)
    ),
}
"""Left-right flip, up-down flip, and rotation by 90 degrees counter-clockwise."""


def measure_equivariance(
    network: Network, stimuli: StimulusSet, layers: str | Sequence[str] = "main", **options: Any
) -> pd.DataFrame:
    """Invariance and equivariance of layers to transformations of the image, mean over images.

    Parameters
    ----------
    network, stimuli, layers, options
        See :func:`correlate_transformed`.

    Returns
    -------
    pandas.DataFrame
        Columns ``EQUIVARIANCE_COLUMNS``, one row per layer, transform and measure: ``mean`` and ``sd`` of r over
        the ``n`` images for which it is defined; NaN and 0 if no unit varies.

    Raises
    ------
    InputError
        See :func:`correlate_transformed`.
    """
    return summarise_equivariance(correlate_transformed(network, stimuli, layers, **options))


def correlate_transformed(
    network: Network,
    stimuli: StimulusSet,
    layers: str | Sequence[str] = "main",
    *,
    transforms: Sequence[str] = tuple(TRANSFORMS),
    measures: Sequence[str] = TRANSFORM_MEASURES,
    normalize: str | None = "zscore",
    image_set: str | None = None,
    batch_size: int = BATCH_SIZE,
    memory_mb: float = MEMORY_MB,
) -> pd.DataFrame:
    """Invariance and equivariance of layers to transformations, image by image.

    For a layer f and a transformation g, the invariance is the mean over images x of r(f(x), f(gx)), the equivariance
    that of r(f(gx), g f(x)). In both, positions of odd-sized maps that g does not move (central column, row or pixel)
    are left out.

    Parameters
    ----------
    network : Network
        From ``load_model``.
    stimuli : StimulusSet
        Any images: object views, photographs, noise. At least three.
    layers : "main", "all", str or sequence of str
        Names or patterns of layers.
    transforms : sequence of {"left-right", "up-down", "rotation"}
        Flips and the rotation by 90 degrees.
    measures : sequence of {"invariance", "equivariance"}
        Equivariance is defined only for layers with a map. If invariance is measured too, layers without a map get no
        rows of equivariance; otherwise they are refused.
    normalize : {"zscore", None}
        ``"zscore"``: each unit minus its mean over the images, over its standard deviation there, separately
        for original and transformed images; constant units are left out. None correlates raw responses.
    image_set : str or None
        Name of the images in the table; None takes that of the stimuli.
    batch_size : int
        Most images per forward pass.
    memory_mb : float
        Budget for the responses of one forward pass, megabytes; a smaller one makes smaller batches.

    Returns
    -------
    pandas.DataFrame
        Columns ``model, regime, seed, layer, layer_index, transform, measure, image_set, stimulus_id, r``, one row per
        layer, transform, measure and image; r is NaN if no unit varies.

    Raises
    ------
    InputError
        If a name is unknown, there are fewer than three images, a response is not finite, or only equivariance is
        requested for a layer without a map.

    References
    ----------
    Farzmahdi et al. (2024), eLife 13:e90256, equations 2 and 3.
    """
    for what, names, known in (("transform", transforms, TRANSFORMS), ("measure", measures, TRANSFORM_MEASURES)):
        for name in names:
            if name not in known:
                raise InputError(f"equivariance has no {what} {name!r}: {closest(name, known)}")
    check_normalization(normalize)
    if len(stimuli) < 3:
        raise InputError(
            f"equivariance z-scores units over images and needs at least three of them; {stimuli.name} has "
            f"{len(stimuli)}"
        )
    chosen = network.select(layers)
    if "invariance" not in measures:
        flat = [layer.name for layer in chosen if not has_map(layer)]
        if flat:
            raise InputError(
                f"{network.name}: equivariance needs layers with a map (channels, height, width), and {flat[:5]} have "
                "none; leave them out, or ask for invariance"
            )
    # A pass for correlations holds the responses to the original batch and to one transformed batch.
    bytes_per_image = 2 * working_dtype(network.dtype).itemsize * sum(layer.n_units for layer in chosen)
    batch_size = max(1, min(images_at_once(network, batch_size), int(memory_mb * 1e6 / bytes_per_image)))
    if normalize is None:
        scores = {(layer, kind): _as_they_are(network, layer) for layer in chosen for kind in ("", *transforms)}
    else:
        scores = _unit_scores(network, stimuli, chosen, transforms, batch_size)
    wanted = [
        (layer, transform, measure)
        for layer in chosen
        for transform in transforms
        for measure in measures
        if measure == "invariance" or TRANSFORMS[transform].applies_to(layer)
    ]
    found = _correlated_images(network, stimuli, wanted, scores, batch_size)
    frames = [
        pd.DataFrame(
            {
                "model": network.name,
                "regime": network.regime,
                "seed": network.seed,
                "layer": layer.name,
                "layer_index": network.layer_index(layer),
                "transform": transform,
                "measure": measure,
                "image_set": stimuli.name if image_set is None else image_set,
                "stimulus_id": stimuli.ids,
                "r": values,
            }
        )
        for (layer, transform, measure), values in found.items()
    ]
    columns = [*EQUIVARIANCE_COLUMNS[:8], "stimulus_id", "r"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def summarise_equivariance(correlations: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Mean of correlations over images.

    Parameters
    ----------
    correlations : pandas.DataFrame
        From :func:`correlate_transformed`.
    by : sequence of str
        Further columns to group by, such as ``identity`` if it was joined.

    Returns
    -------
    pandas.DataFrame
        Columns ``EQUIVARIANCE_COLUMNS`` and ``by``: ``mean`` and ``sd`` of r over the ``n`` images for which it is
        defined; NaN and 0 if there is none.
    """
    keys = [*EQUIVARIANCE_COLUMNS[:8], *by]
    table = correlations.groupby(keys, sort=False, dropna=False)["r"].agg(mean="mean", sd="std", n="count")
    return table.reset_index()[[*EQUIVARIANCE_COLUMNS, *by]]


@dataclass(frozen=True)
class _Scores:
    """Mean and inverse standard deviation (0 for constant units) of a layer's units, each of the layer's shape."""

    mean: torch.Tensor
    scale: torch.Tensor

    def of(self, responses: torch.Tensor) -> torch.Tensor:
        return (responses.to(self.mean) - self.mean) * self.scale

    @property
    def varying(self) -> torch.Tensor:
        return self.scale > 0


def _as_they_are(network: Network, layer: Layer) -> _Scores:
    """Scores that leave responses of a layer unchanged: mean 0 and scale 1, broadcast to its shape."""
    one = torch.ones((), dtype=working_dtype(network.dtype), device=working_device(network)).expand(layer.shape)
    return _Scores(0 * one, one)


def _shown(
    network: Network, stimuli: StimulusSet, batch_size: int, kinds: Sequence[str]
) -> Iterator[dict[str, ShownBatch]]:
    """Batches of images, original (key ``""``) and transformed after they were resized."""
    for start in range(0, len(stimuli), batch_size):
        batch = stimuli.take(slice(start, start + batch_size))
        images = batch.images(network.preprocessing.shown_at)
        shown = {"": ShownBatch(images, batch.ids)}
        for kind in kinds:
            shown[kind] = ShownBatch(TRANSFORMS[kind].of_images(images), [f"{name}, {kind}" for name in batch.ids])
        yield shown


def _unit_scores(
    network: Network, stimuli: StimulusSet, layers: Sequence[Layer], kinds: Sequence[str], batch_size: int
) -> dict[tuple[Layer, str], _Scores]:
    """Z-scoring of every layer for the original images (key ``""``) and for each transformed set."""
    place = working_device(network)
    statistics = {(layer, kind): UnitStatistics(layer.n_units, place) for layer in layers for kind in ("", *kinds)}
    for shown in _shown(network, stimuli, batch_size, kinds):
        for kind, images in shown.items():

            def add(layer: Layer, responses: torch.Tensor, kind: str = kind) -> None:
                responses = responses.to(place, working_dtype(responses.dtype))
                scratch = torch.empty_like(responses)
                statistics[layer, kind].add(responses, slice(None), scratch=scratch)
                statistics[layer, kind].n += len(responses)

            present(network, images, layers, add)
    scores = {}
    for layer, kind in list(statistics):
        mean, scale = statistics.pop((layer, kind)).finish(len(stimuli), network.dtype)
        scores[layer, kind] = _Scores(mean.reshape(layer.shape), scale.reshape(layer.shape))
        n_constant = int((scale == 0).sum())
        if n_constant:
            log.info("%s, %s, %s: %d constant units dropped", network.name, layer.name, kind or "original", n_constant)
    return scores


def _correlated_images(
    network: Network,
    stimuli: StimulusSet,
    wanted: Sequence[tuple[Layer, str, str]],
    scores: dict[tuple[Layer, str], _Scores],
    batch_size: int,
) -> dict[tuple[Layer, str, str], np.ndarray]:
    """Correlation of every image with its transformed self, by (layer, transform, measure)."""
    layers = list(dict.fromkeys(layer for layer, _, _ in wanted))
    kinds = list(dict.fromkeys(kind for _, kind, _ in wanted))
    found: dict[tuple[Layer, str, str], list[np.ndarray]] = {key: [] for key in wanted}
    for shown in _shown(network, stimuli, batch_size, kinds):
        plain = layer_outputs(network, shown[""], layers)
        original = {layer: scores[layer, ""].of(plain.pop(layer.name)) for layer in layers}
        for kind in kinds:

            def compare(
                layer: Layer, responses: torch.Tensor, kind: str = kind, original: dict[Layer, torch.Tensor] = original
            ) -> None:
                answers = scores[layer, kind].of(responses.unflatten(1, layer.shape))
                for measure in TRANSFORM_MEASURES:
                    if (layer, kind, measure) in found:
                        pairs = _paired_units(layer, kind, measure, answers, original[layer], scores)
                        found[layer, kind, measure].append(correlate_rows(*pairs).cpu().numpy())

            present(network, shown[kind], layers, compare)
    return {key: np.concatenate(values) for key, values in found.items()}


def _paired_units(
    layer: Layer,
    kind: str,
    measure: str,
    answers: torch.Tensor,
    expected: torch.Tensor,
    scores: dict[tuple[Layer, str], _Scores],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Responses to transformed images and their comparison, each (n_images, n_units), and a mask of the units used."""
    transform, varying = TRANSFORMS[kind], scores[layer, ""].varying
    if measure == "equivariance":
        expected, varying = transform.of_maps(expected), transform.of_maps(varying[None])[0]
    kept = varying & scores[layer, kind].varying
    if transform.applies_to(layer):
        kept = kept & ~transform.fixed(*layer.shape[1:]).to(kept.device)
    return answers.flatten(1), expected.flatten(1), kept.flatten()
