"""Position tolerance of mirror-symmetric view tuning: its index with the objects in place and shifted.

Takes a network and views of objects on a uniform background; gives the index of every layer for every shift. A
representation that is mirror-symmetric only about the middle of the image has a lower index for horizontally shifted
stimuli.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from neural_data.errors import InputError
from neural_data.stimuli import StimulusSet
from neurocompare.models.registry import Network
from neurocompare.representations.activations import BATCH_SIZE
from neurocompare.representations.model_rdms import compute_model_rdms
from neurocompare.representations.rdms import LAYER
from neurocompare.representations.viewpoint import index_table
from neurocompare.stimuli.transforms import Shifted

__all__ = ["POSITION_COLUMNS", "measure_position_tolerance"]

POSITION_COLUMNS = (
    *LAYER,
    *("shift_right_px", "shift_down_px", "image_size_px", "category", "identity", "index"),
)


def measure_position_tolerance(
    network: Network,
    stimuli: StimulusSet,
    layers: str | Sequence[str] = "main",
    *,
    shifts_px: Sequence[Sequence[float]] = ((0, 0), (15, 15)),
    image_size_px: float = 227,
    normalize: str | None = "zscore",
    batch_size: int = BATCH_SIZE,
) -> pd.DataFrame:
    """Mirror-symmetry index of layers for shifted stimuli.

    Parameters
    ----------
    network : Network
        From ``load_model``.
    stimuli : StimulusSet
        Yaw views of objects on a uniform background, with a margin for the shifts: edge pixels are repeated
        into the space that becomes free. Azimuths symmetric about 0.
    layers : "main", "all", str or sequence of str
        Names or patterns of layers.
    shifts_px : sequence of pairs of float
        Shifts to the right and down, pixels; negative to the left and up.
    image_size_px : float
        Image size to which the shifts in pixels refer. Shifts are applied to the stimuli at their own size, to the
        nearest whole pixel, before a network's preprocessing resizes them.
    normalize : {"zscore", None}
        As in ``compute_model_rdms``, over the stimuli of each shift.
    batch_size : int
        Images per forward pass.

    Returns
    -------
    pandas.DataFrame
        Columns ``POSITION_COLUMNS``: one row per shift, layer and exemplar, in the order of ``shifts_px``.

    Raises
    ------
    InputError
        If there is no shift, it is not a pair or larger than the image, or the views are not symmetric about 0.

    References
    ----------
    Farzmahdi et al. (2024), eLife 13:e90256, compares images of 227 x 227 pixels with the same, shifted by 15 pixels in
    each direction.
    """
    if not len(shifts_px):
        raise InputError("position tolerance needs at least one shift; give some, such as [0, 0]")
    frames = []
    for pair in shifts_px:
        if len(pair) != 2 or max(map(abs, pair)) > image_size_px:
            raise InputError(
                f"a shift is [right, down] in pixels, within an image of {image_size_px:g} pixels; got {list(pair)}"
            )
        right, down = pair
        shifted = stimuli.with_transform(Shifted(right=right / image_size_px, down=down / image_size_px))
        rdms = compute_model_rdms(
            network, shifted, layers, normalize=normalize, within="identity", batch_size=batch_size
        )
        frames.append(index_table(rdms).assign(shift_right_px=float(right), shift_down_px=float(down)))
    table = pd.concat(frames, ignore_index=True).assign(image_size_px=float(image_size_px))
    return table[list(POSITION_COLUMNS)]
