"""A small simulated recording and the faces that were shown in it, for examples and first steps.

``stimuli, recording = neural_data.samples.load()``. Both are made by ``analyses/sample/make.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

    from neural_data.stimuli import StimulusSet

__all__ = ["FOLDER", "load"]

FOLDER = Path(__file__).parent
"""Folder with ``stimulus_set.csv``, ``images/`` and ``recording.nc``."""


def load() -> tuple[StimulusSet, xr.DataArray]:
    """The packaged sample: twelve rendered faces in five views, and a simulated recording of them.

    Returns
    -------
    stimuli : StimulusSet
        60 images of 96 x 96 pixels.
    recording : xarray.DataArray
        ML, AL and AM, 40 neurons each in two simulated subjects, 6 repetitions, spikes/s.
    """
    from neural_data.formats.files import read_recording
    from neural_data.stimuli import read_stimuli

    stimuli = read_stimuli(FOLDER / "stimulus_set.csv")
    return stimuli, read_recording(FOLDER / "recording.nc")
