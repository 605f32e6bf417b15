"""What was shown and what was recorded: stimulus sets, recordings and simulated populations.

Knows nothing of networks: this package imports neither neurocompare nor torch.
"""

from neural_data.errors import InputError
from neural_data.stimuli import StimulusSet, read_stimuli, write_stimuli

__all__ = [
    "InputError",
    "StimulusSet",
    "read_stimuli",
    "write_stimuli",
]
