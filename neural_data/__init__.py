"""What was shown and what was recorded: stimulus sets, recordings and simulated populations.

Knows nothing of networks: this package imports neither neurocompare nor torch. Names are loaded when they are first
used, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib

from neural_data import samples
from neural_data.errors import InputError

_HOMES = {
    "StimulusSet": "neural_data.stimuli",
    "read_stimuli": "neural_data.stimuli",
    "write_stimuli": "neural_data.stimuli",
    "read_recording": "neural_data.formats.files",
    "write_recording": "neural_data.formats.files",
    "simulate_from_layer": "neural_data.simulation",
    "simulate_patches": "neural_data.simulation",
}
__all__ = [
    "InputError",
    "samples",
    *_HOMES,
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'neural_data' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
