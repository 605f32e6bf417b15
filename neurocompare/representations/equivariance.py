"""Whether a layer's answer to a transformed image is its answer to the image, or that answer transformed alike.

Takes a network and any set of images; gives rows of ``tables/equivariance.csv``. Images are presented twice: once for
the mean and standard deviation of every unit, once for the correlations, so that memory holds one batch of responses
and a few numbers a unit, whatever the number of images.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from neural_data.errors import InputError, closest
from neural_data.stimuli import StimulusSet
from neurocompare.models.registry import Network
from neurocompare.representations.activations import resolve_layers
from neurocompare.representations.maps import has_map, layer_maps, most_images
from neurocompare.stimuli.transforms import flip_vertical, mirror, rotate90

__all__ = ["EQUIVARIANCE_COLUMNS", "MEASURES", "TRANSFORMS", "measure_equivariance"]

log = logging.getLogger(__name__)

EQUIVARIANCE_COLUMNS = (
    *("model", "regime", "seed", "layer", "layer_index"),
    *("transform", "measure", "image_set", "mean", "sd", "n"),
)
MEASURES = ("invariance", "equivariance")
ROUNDING = 1e-6
"""A unit that varies by less than this part of its largest response is constant but for float32 rounding."""


@dataclass(frozen=True)
class Transform:
    """One transformation, of images and of the maps of a layer.

    Parameters
    ----------
    of_images : callable
        Of arrays (n, channels, height, width).
    of_maps : callable
        The same of tensors of that form.
    fixed : callable
        Places (height, width) that the transformation leaves where they are, as a boolean tensor.
    """

    of_images: Callable[[np.ndarray], np.ndarray]
    of_maps: Callable[[torch.Tensor], torch.Tensor]
    fixed: Callable[[int, int], torch.Tensor]

    def applies_to(self, output: torch.Tensor) -> bool:
        """Whether the transformed map has the shape of the map."""
        return has_map(output) and self.of_maps(output[:1]).shape == output[:1].shape


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
    network: Network,
    stimuli: StimulusSet,
    layers: str | Sequence[str] = "all",
    *,
    transforms: Sequence[str] = tuple(TRANSFORMS),
    measures: Sequence[str] = MEASURES,
    image_set: str | None = None,
    batch_size: int = 64,
    memory_mb: float = 1024.0,
) -> pd.DataFrame:
    """Invariance and equivariance of layers to transformations of the image.

    For a layer f and a transformation g, the invariance is the mean over images x of r(f(x), f(gx)), the equivariance
    that of r(f(gx), g f(x)). Units are z-scored first over the images, original and transformed ones each by
    themselves. The places of odd-sized maps that g does not move (central column, row or pixel) are left out, in both.

    Parameters
    ----------
    network : Network
        From ``load_model``.
    stimuli : StimulusSet
        Any images: object views, photographs, noise. At least three.
    layers : "all", str or sequence of str
        Names or patterns of layers.
    transforms : sequence of {"left-right", "up-down", "rotation"}
        Flips and the rotation by 90 degrees.
    measures : sequence of {"invariance", "equivariance"}
        Equivariance is defined for layers with a map alone. Where invariance is asked for as well, layers without one
        get no row of equivariance; where it is not, they are refused.
    image_set : str or None
        Name of the images in the table; None takes that of the stimuli.
    batch_size : int
        Images a forward pass, at most.
    memory_mb : float
        Budget for the responses of one forward pass, megabytes; a smaller one makes smaller batches.

    Returns
    -------
    pandas.DataFrame
        Columns ``EQUIVARIANCE_COLUMNS``, one row a layer, transform and measure: ``mean`` and ``sd`` of r over
        the ``n`` images for which it is defined; NaN and 0 where no unit varies.

    Raises
    ------
    InputError
        If a name is unknown, images are fewer than three, a response is not finite, or equivariance alone is asked of
        a layer without a map.

    References
    ----------
    Farzmahdi et al. (2024), eLife 13:e90256, equations 2 and 3.
    """
    for what, names, known in (("transform", transforms, TRANSFORMS), ("measure", measures, MEASURES)):
        for name in names:
            if name not in known:
                raise InputError(f"there is no {what} {name!r} of equivariance: {closest(name, known)}")
    if len(stimuli) < 3:
        raise InputError(
            f"equivariance z-scores units over images and needs at least three of them; {stimuli.name} has "
            f"{len(stimuli)}"
        )
    names = resolve_layers(network, layers)
    probe = layer_maps(network, stimuli.take([0]).images(network.preprocessing.image_size), names)
    if "invariance" not in measures:
        flat = [name for name in names if not has_map(probe[name])]
        if flat:
            raise InputError(
                f"{network.name}: equivariance needs layers with a map (channels, height, width), and {flat[:5]} have "
                "none; leave them out, or ask for invariance"
            )
    batch_size = min(batch_size, most_images(probe, memory_mb / (1 + len(transforms))))
    moments = _presented_moments(network, stimuli, names, transforms, batch_size)
    wanted = [
        (name, transform, measure)
        for name in names
        for transform in transforms
        for measure in measures
        if measure == "invariance" or TRANSFORMS[transform].applies_to(probe[name])
    ]
    correlations = _presented_correlations(network, stimuli, wanted, moments, batch_size)
    known_order = network.layer_names()
    rows = []
    for (name, transform, measure), values in correlations.items():
        defined = values[~np.isnan(values)]
        rows.append(
            {
                "model": network.name,
                "regime": network.regime,
                "seed": network.seed,
                "layer": name,
                "layer_index": known_order.index(name),
                "transform": transform,
                "measure": measure,
                "image_set": stimuli.name if image_set is None else image_set,
                "mean": defined.mean() if len(defined) else np.nan,
                "sd": defined.std(ddof=1) if len(defined) > 1 else np.nan,
                "n": len(defined),
            }
        )
    return pd.DataFrame(rows, columns=list(EQUIVARIANCE_COLUMNS))


@dataclass
class _Moments:
    """Mean and spread of every unit over images, batch by batch (Chan, Golub & LeVeque 1983)."""

    n: int = 0
    mean: torch.Tensor = field(default_factory=lambda: torch.zeros(()))
    squares: torch.Tensor = field(default_factory=lambda: torch.zeros(()))
    largest: torch.Tensor = field(default_factory=lambda: torch.zeros(()))

    def add(self, responses: torch.Tensor) -> None:
        """Add images: responses of shape (n_images, ...)."""
        batch = responses.double()
        n, mean = len(batch), batch.mean(0)
        total = self.n + n
        difference = mean - self.mean
        self.squares = self.squares + (batch - mean).square_().sum(0) + difference**2 * (self.n * n / total)
        self.mean = self.mean + difference * (n / total)
        self.largest = torch.maximum(self.largest, responses.abs().amax(0))
        self.n = total

    def finish(self) -> _Scores:
        """What is needed to z-score responses."""
        sd = (self.squares / self.n).sqrt()
        varying = sd > ROUNDING * self.largest
        scale = torch.where(varying, 1 / sd.clamp_min(torch.finfo(sd.dtype).tiny), 0.0)
        return _Scores(self.mean.float(), scale.float(), varying)


@dataclass(frozen=True)
class _Scores:
    """Mean, inverse standard deviation (0 for constant units) and which units vary, each of the shape of one map."""

    mean: torch.Tensor
    scale: torch.Tensor
    varying: torch.Tensor

    def of(self, responses: torch.Tensor) -> torch.Tensor:
        return (responses.float() - self.mean) * self.scale


def _presented_moments(
    network: Network, stimuli: StimulusSet, layers: Sequence[str], transforms: Sequence[str], batch_size: int
) -> dict[tuple[str, str], _Scores]:
    """Z-scoring of every layer for the original images (key ``""``) and for each transformed set."""
    moments = {(layer, kind): _Moments() for layer in layers for kind in ("", *transforms)}
    for images in stimuli.batches(batch_size, network.preprocessing.image_size):
        for kind in ("", *transforms):
            for layer, output in layer_maps(network, _transformed(images, kind), layers).items():
                moments[layer, kind].add(output)
    for (layer, _), found in moments.items():
        if not torch.isfinite(found.mean).all():
            raise InputError(
                f"{network.name}: layer {layer!r} gives a response that is not a finite number; check the weights and "
                "the preprocessing"
            )
    scores = {}
    for key in list(moments):
        scores[key] = moments.pop(key).finish()
        n_constant = int((~scores[key].varying).sum())
        if n_constant:
            log.info("%s, %s, %s: %d constant units dropped", network.name, key[0], key[1] or "original", n_constant)
    return scores


def _presented_correlations(
    network: Network,
    stimuli: StimulusSet,
    wanted: Sequence[tuple[str, str, str]],
    scores: dict[tuple[str, str], _Scores],
    batch_size: int,
) -> dict[tuple[str, str, str], np.ndarray]:
    """Correlation of every image with its transformed self, by (layer, transform, measure)."""
    layers = list(dict.fromkeys(layer for layer, _, _ in wanted))
    found: dict[tuple[str, str, str], list[np.ndarray]] = {key: [] for key in wanted}
    for images in stimuli.batches(batch_size, network.preprocessing.image_size):
        original = layer_maps(network, images, layers)
        original = {layer: scores[layer, ""].of(output) for layer, output in original.items()}
        for kind in dict.fromkeys(kind for _, kind, _ in wanted):
            transform = TRANSFORMS[kind]
            presented = layer_maps(network, _transformed(images, kind), layers)
            for layer, kind_of, measure in wanted:
                if kind_of != kind:
                    continue
                answers = scores[layer, kind].of(presented[layer])
                expected, varying = original[layer], scores[layer, ""].varying
                if measure == "equivariance":
                    expected, varying = transform.of_maps(expected), transform.of_maps(varying[None])[0]
                kept = varying & scores[layer, kind].varying
                if transform.applies_to(answers):
                    kept = kept & ~transform.fixed(*answers.shape[2:]).to(kept.device)
                found[layer, kind, measure].append(_correlations(answers[:, kept], expected[:, kept]))
    return {key: np.concatenate(values) for key, values in found.items()}


def _transformed(images: np.ndarray, kind: str) -> np.ndarray:
    return TRANSFORMS[kind].of_images(images) if kind else images


def _correlations(first: torch.Tensor, second: torch.Tensor) -> np.ndarray:
    """Pearson's r of every row of (n_images, n_units) with the same row; NaN where a row is constant."""
    if first.shape[1] < 2:
        return np.full(len(first), np.nan)
    first = first - first.mean(1, keepdim=True)
    second = second - second.mean(1, keepdim=True)
    power = (first.square().sum(1) * second.square().sum(1)).double()
    products = (first * second).sum(1).double()
    return torch.where(power > 0, products / power.sqrt(), torch.nan).clamp(-1, 1).cpu().numpy()
