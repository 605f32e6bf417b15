"""Random numbers of a study: one stream per step, named after it.

Results depend only on the study's seed, not on the order of steps or the machine they run on.
"""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["step_rng"]


def step_rng(seed: int, step: str) -> np.random.Generator:
    """Random generator of one step; depends on the study's seed and the step's name, not on other steps."""
    words = np.frombuffer(hashlib.sha256(step.encode()).digest(), dtype=np.uint32)
    return np.random.default_rng(np.random.SeedSequence([seed, *words.tolist()]))
