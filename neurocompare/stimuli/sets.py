"""The stimulus sets as one-liners: faces in many views, rendered in memory.

Everything follows from the seed: the same call gives the same pixels, on any number of workers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from neural_data import StimulusSet
from neurocompare.stimuli.faces import MEASURES, face
from neurocompare.stimuli.scene import render_views

__all__ = ["face_views"]


def face_views(
    n_identities: int = 25,
    azimuths_deg: Sequence[float] = (-90, -45, 0, 45, 90),
    *,
    size: int = 224,
    seed: int = 0,
) -> StimulusSet:
    """Faces in several views, gray on uniform gray.

    Parameters
    ----------
    n_identities : int
    azimuths_deg : sequence of float
        0 is frontal; below 0 the nose points to the viewer's left.
    size : int
        Height and width, pixels.
    seed : int

    Returns
    -------
    StimulusSet
        ``n_identities * len(azimuths_deg)`` images in memory, sorted by identity and azimuth.
    """
    rng = np.random.default_rng(seed)
    azimuths = sorted(map(float, azimuths_deg))
    rows, pixels = [], []
    for i in range(n_identities):
        identity = f"face{i + 1:02d}"
        pixels.append(render_views(face(rng.standard_normal(len(MEASURES))), azimuths, size=size).on_background())
        rows += [(f"{identity}_az{azimuth:g}", identity, azimuth) for azimuth in azimuths]
    table = pd.DataFrame(rows, columns=["stimulus_id", "identity", "azimuth_deg"]).set_index("stimulus_id")
    table = table.assign(filename=table.index + ".png", category="face", elevation_deg=0.0)
    return StimulusSet(table, pixels=np.concatenate(pixels), name="rendered faces")
