"""What was shown and what was recorded: stimulus sets, recordings and simulated populations.

This package has no network models in it: it imports neither neurocompare nor torch. Public names are loaded on first
use, so that importing the package is fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from neural_data import samples
from neural_data.errors import InputError
from neural_data.lazy import lazy_names

if TYPE_CHECKING:
    from neural_data.formats.files import (
        read_recording as read_recording,
        write_recording as write_recording,
    )
    from neural_data.simulation import (
        simulate_from_layer as simulate_from_layer,
        simulate_patches as simulate_patches,
    )
    from neural_data.stimuli import (
        StimulusSet as StimulusSet,
        read_stimuli as read_stimuli,
        write_stimuli as write_stimuli,
    )

_HOMES = {
    "StimulusSet": "neural_data.stimuli",
    "read_stimuli": "neural_data.stimuli",
    "write_stimuli": "neural_data.stimuli",
    "read_recording": "neural_data.formats.files",
    "write_recording": "neural_data.formats.files",
    "simulate_from_layer": "neural_data.simulation",
    "simulate_patches": "neural_data.simulation",
}
__all__ = ["InputError", "samples", *_HOMES]
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
