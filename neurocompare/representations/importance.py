"""Importance of image parts for units, and images with the important parts kept, removed or moved.

Importance follows RISE (Petsiuk, Das & Saenko 2018, BMVC): random smooth masks dim the image to background gray, and
the importance of a pixel is the mean response over masks that show it. Takes a network and images; gives maps and
manipulated images. ``local_features`` measures the view tuning to these images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage, signal
from torch.nn import functional

from neural_data.errors import InputError
from neurocompare.models.layers import Layer
from neurocompare.models.registry import Network
from neurocompare.representations.activations import images_at_once
from neurocompare.representations.maps import ShownBatch, present

__all__ = [
    "DILATION_PX",
    "Masks",
    "draw_masks",
    "foreground_mask",
    "importance_maps",
    "keep_pixels",
    "most_important",
    "shuffle_pieces",
]

BACKGROUND = 0.5
DILATION_PX = 5.0
"""Dilation of the foreground in eLife 90256, pixels of an image of 224 x 224."""
TRIES = 20
"""Random positions tried for a piece before all free ones are listed, and restarts if there is none."""


@dataclass(frozen=True)
class Masks:
    """Random smooth masks, stored as the coarse grids from which they are interpolated.

    Parameters
    ----------
    grids : array of shape (n_masks, cells, cells), float32
        1 where the image is visible, 0 where it is gray.
    offsets : integer array of shape (n_masks, 2)
        Shift of each mask in rows and columns, less than the size of a cell.
    size : int
        Height and width, pixels.
    """

    grids: np.ndarray
    offsets: np.ndarray
    size: int

    def __len__(self) -> int:
        return len(self.grids)

    def pixels(self, start: int, stop: int) -> np.ndarray:
        """Masks ``start`` to ``stop``, array of shape (n, size, size), float32 in 0..1."""
        cells = self.grids.shape[1]
        cell = -(-self.size // cells)
        grids = torch.from_numpy(self.grids[start:stop])[:, None]
        smooth = functional.interpolate(grids, size=(cells + 1) * cell, mode="bilinear")[:, 0].numpy()
        windows = np.lib.stride_tricks.sliding_window_view(smooth, (self.size, self.size), axis=(1, 2))
        rows, columns = self.offsets[start:stop].T
        return windows[np.arange(len(windows)), rows, columns]


def draw_masks(n_masks: int, size: int, *, cells: int = 7, seen: float = 0.5, rng: np.random.Generator) -> Masks:
    """Random smooth binary masks of RISE.

    Parameters
    ----------
    n_masks : int
        5,000 in eLife 90256.
    size : int
        Height and width of the images, pixels.
    cells : int
        Rows and columns of the binary grid from which a mask is interpolated.
    seen : float
        Probability that a cell shows the image.
    rng : numpy.random.Generator
        Source of grids and shifts.

    Returns
    -------
    Masks
    """
    if not 0 < seen < 1 or cells < 2 or size < cells:
        raise ValueError(f"masks need 0 < seen < 1 and 2 <= cells <= size; got {seen}, {cells} and {size}")
    cell = -(-size // cells)
    grids = (rng.random((n_masks, cells, cells)) < seen).astype(np.float32)
    return Masks(grids, rng.integers(0, cell, (n_masks, 2)), size)


def importance_maps(
    network: Network,
    images: np.ndarray,
    layer: str,
    units: Sequence[int],
    masks: Masks,
    *,
    background: float = BACKGROUND,
    batch_size: int = 128,
) -> np.ndarray:
    """Importance of every pixel for units of a layer: their mean response over masks that show the pixel.

    Parameters
    ----------
    network : Network
        From ``load_model``.
    images : array of shape (n_images, 3, size, size), float32
        Values in 0..1, at the network's input size.
    layer : str
        Name of a layer.
    units : sequence of int
        Positions in the layer's flattened output.
    masks : Masks
        From :func:`draw_masks`, of the images' size; the same for every image.
    background : float
        Gray level to which images are dimmed.
    batch_size : int
        Masked images per forward pass.

    Returns
    -------
    array of shape (n_images, n_units, size, size)
        Response-weighted mean of the masks divided by their unweighted mean: an estimate of the mean response given
        that a pixel is visible, in the layer's unit. Dividing by the drawn masks, not by their expectation, removes
        chance differences in how often a pixel was visible.

    References
    ----------
    Petsiuk, Das & Saenko (2018), RISE, BMVC, equation 6.
    """
    if images.shape[2:] != (masks.size, masks.size):
        raise ValueError(f"masks are of {masks.size} x {masks.size} pixels and images of {images.shape[2:]}")
    (chosen,) = network.select([layer])
    positions = np.asarray(units, dtype=int)
    names = [f"masked image {number}" for number in range(len(masks))]
    weighted = np.zeros((len(images), len(positions), masks.size**2))
    plain = np.zeros(masks.size**2)
    batch_size = images_at_once(network, batch_size)
    for start in range(0, len(masks), batch_size):
        pixels = masks.pixels(start, min(start + batch_size, len(masks)))
        flat = pixels.reshape(len(pixels), -1).astype(float)
        plain += flat.sum(axis=0)
        for position, image in enumerate(images):
            dimmed = background + (image[None] - np.float32(background)) * pixels[:, None]
            shown = ShownBatch(dimmed.astype(np.float32), names[start : start + len(pixels)])
            weighted[position] += _unit_responses(network, shown, chosen, positions).T @ flat
    with np.errstate(divide="ignore", invalid="ignore"):
        maps = weighted / plain
    return maps.reshape(len(images), len(positions), masks.size, masks.size)


def _unit_responses(network: Network, shown: ShownBatch, layer: Layer, units: np.ndarray) -> np.ndarray:
    """Responses (n_images, n_units) of single units of a layer."""
    responses: list[np.ndarray] = []
    wanted = torch.from_numpy(units)
    present(network, shown, [layer], lambda _, r: responses.append(r[:, wanted.to(r.device)].double().cpu().numpy()))
    return responses[0]


def foreground_mask(
    images: np.ndarray, *, background: float = BACKGROUND, tolerance: float = 0.02, dilation_px: float = 0.0
) -> np.ndarray:
    """Pixels that are not background gray, boolean (n, height, width) of images (n, channels, height, width).

    A pixel of an object with exactly that gray counts as background: masking does not change it. The foreground is
    dilated by ``dilation_px`` pixels of an image of 224 x 224 (rounded; at least one, unless 0), so that it includes
    both sides of edges; an image without foreground stays without.

    Parameters
    ----------
    images : array of shape (n, channels, height, width)
        Values in 0..1.
    background : float
        Its gray level.
    tolerance : float
        Pixels within this of the background in all channels belong to it.
    dilation_px : float
        Pixels of an image of 224 x 224 by which the foreground grows.
    """
    shown = np.abs(images - background).max(axis=1) > tolerance
    if not dilation_px > 0:
        return shown
    reach = max(1, round(dilation_px * images.shape[-1] / 224))
    rows, columns = np.indices((2 * reach + 1, 2 * reach + 1)) - reach
    disc = rows**2 + columns**2 <= reach**2
    return np.stack([ndimage.binary_dilation(one, disc) for one in shown])


def most_important(importance: np.ndarray, foreground: np.ndarray, percent: float) -> np.ndarray:
    """The most important pixels of each image.

    Parameters
    ----------
    importance : array of shape (n_images, height, width)
        Ranked by absolute value.
    foreground : boolean array of that shape
        Pixels to choose from.
    percent : float
        Percentage of the foreground's pixels, 0 to 100.

    Returns
    -------
    boolean array of that shape
        ``percent`` of the foreground's pixels of each image, rounded.
    """
    if not 0 <= percent <= 100:
        raise ValueError(f"percent must lie between 0 and 100, not {percent}")
    flat = np.where(foreground, np.abs(importance), -np.inf).reshape(len(importance), -1)
    order = np.argsort(-flat, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(flat.shape[1]), flat.shape), axis=1)
    n_kept = np.rint(foreground.reshape(len(flat), -1).sum(axis=1) * percent / 100)
    return (rank < n_kept[:, None]).reshape(importance.shape)


def keep_pixels(images: np.ndarray, kept: np.ndarray, *, background: float = BACKGROUND) -> np.ndarray:
    """Images with all other pixels set to background gray.

    Parameters
    ----------
    images : array of shape (n_images, channels, height, width)
        Values in 0..1.
    kept : boolean array of shape (n_images, height, width)
        The most important pixels for *insertion* images, the rest of the foreground for *deletion* images.
    background : float
        Gray level of these pixels.

    Returns
    -------
    array of the images' shape and dtype
    """
    return np.where(kept[:, None], images, np.asarray(background, dtype=images.dtype))


def shuffle_pieces(
    image: np.ndarray, kept: np.ndarray, *, background: float = BACKGROUND, rng: np.random.Generator
) -> np.ndarray:
    """Insertion image with its connected pieces moved to random positions, without overlap.

    Parameters
    ----------
    image : array of shape (channels, height, width)
        Values in 0..1.
    kept : boolean array of shape (height, width)
        Pixels of the insertion image; pieces are connected through edges, not corners.
    background : float
        Gray level between the pieces.
    rng : numpy.random.Generator
        Source of the positions: uniform over all free positions of a piece; large pieces are placed first.

    Returns
    -------
    array of the image's shape and dtype
        With the same pixel values as the insertion image.

    Raises
    ------
    InputError
        If the pieces fill so much of the image that no arrangement was found.
    """
    labels, n_pieces = ndimage.label(kept)
    boxes = ndimage.find_objects(labels)
    pieces = sorted(
        ((box, labels[box] == number) for number, box in enumerate(boxes, start=1)), key=lambda piece: -piece[1].sum()
    )
    for _ in range(TRIES):
        shuffled = np.full_like(image, background)
        occupied = np.zeros(kept.shape, dtype=bool)
        for box, shape in pieces:
            place = _free_place(occupied, shape, rng)
            if place is None:
                break
            occupied[place] |= shape
            shuffled[:, *place][:, shape] = image[:, *box][:, shape]
        else:
            return shuffled
    raise InputError(
        f"{n_pieces} pieces that cover {kept.mean():.0%} of the image cannot be moved without overlap; keep a smaller "
        "part of the image"
    )


def _free_place(occupied: np.ndarray, shape: np.ndarray, rng: np.random.Generator) -> tuple[slice, slice] | None:
    """A random position without overlap, uniform over all such positions; None if there is none."""
    n_rows, n_columns = (full - part + 1 for full, part in zip(occupied.shape, shape.shape, strict=True))

    def place(row: int, column: int) -> tuple[slice, slice]:
        return slice(row, row + shape.shape[0]), slice(column, column + shape.shape[1])

    for _ in range(TRIES):
        tried = place(int(rng.integers(n_rows)), int(rng.integers(n_columns)))
        if not (occupied[tried] & shape).any():
            return tried
    overlap = signal.fftconvolve(occupied.astype(float), shape[::-1, ::-1].astype(float), mode="valid")
    free = np.flatnonzero(overlap < 0.5)
    return place(*divmod(int(rng.choice(free)), n_columns)) if len(free) else None
