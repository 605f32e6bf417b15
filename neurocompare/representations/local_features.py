"""Mirror-symmetric view tuning to images with the most important parts kept, deleted or shuffled.

Takes a network and views of objects; gives the mirror-symmetry index of a layer for manipulated images, and the
correlation of single units' tuning with that to intact images, one row per exemplar, condition and threshold.
Importance maps and manipulations are from ``importance``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from neural_data.errors import InputError
from neural_data.rounding import merge_ties
from neural_data.stimuli import StimulusSet
from neurocompare.models.registry import Network
from neurocompare.representations.activations import unit_blocks
from neurocompare.representations.correlation import correlate_rows
from neurocompare.representations.importance import (
    BACKGROUND,
    DILATION_PX,
    draw_masks,
    foreground_mask,
    importance_maps,
    keep_pixels,
    most_important,
    shuffle_pieces,
)
from neurocompare.representations.model_rdms import compute_model_rdms
from neurocompare.representations.rdms import LAYER, view_order
from neurocompare.representations.units import mirror_tuning_scores
from neurocompare.representations.viewpoint import index_table

__all__ = [
    "CONDITIONS",
    "IMPORTANCE_COLUMNS",
    "LOCAL_FEATURE_COLUMNS",
    "PERCENTS",
    "LocalFeatureTables",
    "measure_local_features",
]

LOCAL_FEATURE_COLUMNS = (
    *LAYER,
    *("condition", "percent", "category", "identity", "index", "profile"),
)
IMPORTANCE_COLUMNS = (
    *LAYER,
    *("category", "identity", "azimuth_deg", "row", "column", "gray", "importance"),
)
MAP_CELLS = 56
"""Most rows and columns of a map, 4 x 4 pixels of 224 each: masks are smooth, and the object is still recognised."""
CONDITIONS = ("insertion", "deletion", "shuffle")
PERCENTS = (10, 20, 30, 40, 50, 60, 70, 80, 90)


class LocalFeatureTables(NamedTuple):
    """Result of :func:`measure_local_features`.

    Parameters
    ----------
    tuning : pandas.DataFrame
        Columns ``LOCAL_FEATURE_COLUMNS``: one row per exemplar, condition and threshold, whole images first (condition
        ``intact``, percent 100). ``index`` is the layer's mirror-symmetry index; ``profile`` the correlation over views
        of a chosen unit's responses with its responses to the whole images, mean over the chosen units (eLife 90256,
        Figure 5C). NaN if undefined.
    maps : pandas.DataFrame
        Columns ``IMPORTANCE_COLUMNS``: the importance of the places of each view of some exemplars, in standard
        deviations of the responses to whole images, and the image's gray level there (0 to 1). ``row`` and ``column``
        count from the top left, at most ``MAP_CELLS`` of each; importance is NaN outside the foreground.
    """

    tuning: pd.DataFrame
    maps: pd.DataFrame


def measure_local_features(
    network: Network,
    stimuli: StimulusSet,
    layer: str,
    *,
    n_units: int = 1,
    percents: Sequence[float] = PERCENTS,
    conditions: Sequence[str] = CONDITIONS,
    n_masks: int = 5000,
    n_maps: int = 0,
    background: float = BACKGROUND,
    batch_size: int = 128,
    rng: np.random.Generator,
) -> LocalFeatureTables:
    """View tuning of a layer with the most important parts of the images kept, deleted or shuffled.

    Parameters
    ----------
    network : Network
        From ``load_model``.
    stimuli : StimulusSet
        Yaw views on uniform gray, every identity in all views, azimuths symmetric about 0.
    layer : str
        The layer, such as the first fully connected one.
    n_units : int
        Number of units whose importance maps are averaged: those whose tuning to the exemplar has the largest
        ``units.mirror_tuning_scores``; one unit per object in eLife 90256.
    percents : sequence of float
        Thresholds: percent of the foreground's pixels that are kept (*insertion*, *shuffle*) or grayed (*deletion*).
    conditions : sequence of {"insertion", "deletion", "shuffle"}
        What is done to the most important pixels; see the module's docstring.
    n_masks : int
        RISE masks per image; each is one forward pass.
    n_maps : int
        Number of categories, from the first, whose first exemplar's importance map is returned.
    background : float
        Gray level around the objects, and of masked pixels.
    batch_size : int
        Images per forward pass.
    rng : numpy.random.Generator
        Source of masks and shuffles.

    Returns
    -------
    LocalFeatureTables

    Raises
    ------
    InputError
        If the layer does not exist, a view is missing, an image has no foreground, or no unit varies.

    Notes
    -----
    A unit's map of an image is centred over pixels, and its absolute value taken: importance is how much seeing a place
    raises or lowers the response, independent of the unit's mean response. It is divided by the standard deviation of
    the unit's responses to the intact images, so that units with large responses do not dominate. Pixels are ranked
    within each image, inside its foreground dilated by ``importance.DILATION_PX``.
    """
    views = stimuli.yaw_views()
    exemplars, positions = view_order(views)
    images = views.images(network.preprocessing.shown_at)
    foreground = foreground_mask(images, background=background, dilation_px=DILATION_PX)
    empty = np.flatnonzero(~foreground.any(axis=(1, 2)))
    if len(empty):
        raise InputError(
            f"{views.name}: {views.ids[empty[0]]} shows only the background gray {background:g}; local features "
            "need objects on uniform gray (stimuli.background in a study)"
        )
    responses = np.concatenate([block for _, block in unit_blocks(network, views, [layer])], axis=1)
    azimuths = views.table["azimuth_deg"].to_numpy()[positions[0]]
    masks = draw_masks(n_masks, network.preprocessing.side, rng=rng)
    importance = np.zeros(foreground.shape)
    chosen: dict[str, np.ndarray] = {}
    identities = exemplars.reset_index()["identity"].tolist()
    for identity, members in zip(identities, positions, strict=True):
        units = _best_units(responses[members], azimuths, n_units, where=f"{layer!r} of {network.name}, {identity!r}")
        chosen[identity] = units
        unit_maps = importance_maps(
            network, images[members], layer, units.tolist(), masks, background=background, batch_size=batch_size
        )
        importance[members] = ranked_importance(unit_maps, responses[:, units].std(axis=0))
    frames = []
    for condition, percent, shown in _manipulated(
        images, importance, foreground, percents, conditions, background, rng
    ):
        manipulated = _as_stimuli(views, shown)
        rdms = compute_model_rdms(network, manipulated, [layer], within="identity", batch_size=batch_size)
        now = np.concatenate([block for _, block in unit_blocks(network, manipulated, [layer])], axis=1)
        if condition == "intact":
            # Intact images are rounded to the same 256 gray levels as manipulated ones.
            whole = now
        profiles = [
            _mean_or_nan(correlate_rows(whole[rows][:, chosen[identity]].T, now[rows][:, chosen[identity]].T))
            for rows, identity in zip(positions, identities, strict=True)
        ]
        frames.append(index_table(rdms).assign(condition=condition, percent=percent, profile=profiles))
    tuning = pd.concat(frames, ignore_index=True)[list(LOCAL_FEATURE_COLUMNS)]
    shown = exemplars.reset_index(drop=True).drop_duplicates("category").index[:n_maps]
    tables = [_map_table(views, row, images[row], importance[row], foreground[row]) for row in positions[shown].ravel()]
    maps = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(IMPORTANCE_COLUMNS[5:]))
    return LocalFeatureTables(tuning, pd.concat([_named(tuning, len(maps)), maps], axis=1)[list(IMPORTANCE_COLUMNS)])


def _named(tuning: pd.DataFrame, n: int) -> pd.DataFrame:
    """The network and layer of a table, in ``n`` rows."""
    columns = list(IMPORTANCE_COLUMNS[:5])
    return pd.DataFrame({name: np.repeat(tuning[name].to_numpy()[:1], n) for name in columns})


def _map_table(
    views: StimulusSet, position: int, image: np.ndarray, importance: np.ndarray, foreground: np.ndarray
) -> pd.DataFrame:
    """Importance and gray level of one image (3, height, width), one row per place; large images: means over places."""
    cells = tuple(min(MAP_CELLS, size) for size in foreground.shape)
    sums = torch.from_numpy(np.stack([image.mean(axis=0), importance * foreground, foreground]).astype(float))
    gray, weighted, share = functional.adaptive_avg_pool2d(sums, cells).numpy()
    mean = np.divide(weighted, share, out=np.full(cells, np.nan), where=share >= 0.5)
    rows, columns = np.indices(cells)
    about = views.table.iloc[position]
    return pd.DataFrame(
        {
            "category": about["category"],
            "identity": about["identity"],
            "azimuth_deg": about["azimuth_deg"],
            "row": rows.ravel(),
            "column": columns.ravel(),
            "gray": gray.ravel(),
            "importance": mean.ravel(),
        }
    )


def ranked_importance(maps: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Importance for ranking pixels, (n_images, height, width), from maps (n_images, n_units, height, width).

    Absolute value of each map centred over pixels and divided by the unit's standard deviation ``scale`` (n_units,);
    mean over units.
    """
    centred = maps - maps.mean(axis=(2, 3), keepdims=True)
    return (np.abs(centred) / scale[:, None, None]).mean(axis=1)


def _best_units(tuning: np.ndarray, azimuths: np.ndarray, n_units: int, *, where: str) -> np.ndarray:
    scores = mirror_tuning_scores(tuning, azimuths.tolist())
    defined = np.flatnonzero(np.isfinite(scores))
    if not len(defined):
        raise InputError(f"layer {where}: no unit's response varies over the views; choose another layer")
    return defined[np.argsort(-merge_ties(scores[defined]), kind="stable")[:n_units]]


def _mean_or_nan(values: np.ndarray) -> float:
    """Mean of the defined values; NaN if there are none."""
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else np.nan


def _manipulated(
    images: np.ndarray,
    importance: np.ndarray,
    foreground: np.ndarray,
    percents: Sequence[float],
    conditions: Sequence[str],
    background: float,
    rng: np.random.Generator,
) -> Iterator[tuple[str, float, np.ndarray]]:
    """Condition, percent and images: intact images first, then every condition at every threshold."""
    yield "intact", 100.0, images
    for condition in conditions:
        for percent in percents:
            top = most_important(importance, foreground, percent)
            if condition == "shuffle":
                shown = [shuffle_pieces(i, k, background=background, rng=rng) for i, k in zip(images, top, strict=True)]
                yield condition, float(percent), np.stack(shown)
            else:
                kept = top if condition == "insertion" else foreground & ~top
                yield condition, float(percent), keep_pixels(images, kept, background=background)


def _as_stimuli(views: StimulusSet, images: np.ndarray) -> StimulusSet:
    """The same stimuli with other images, (n, 3, height, width) in 0..1."""
    pixels = np.rint(images * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    return views.with_pixels(pixels)
