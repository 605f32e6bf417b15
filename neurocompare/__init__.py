"""Whether, where and why network models represent objects and faces as the macaque face patches do.

The names below are loaded when they are first used, so that ``import neurocompare`` costs nothing.
"""

from __future__ import annotations

import importlib

__version__ = "0.1.0"

_HOMES = {
    "load_model": "neurocompare.models.registry",
    "compute_model_rdms": "neurocompare.representations.model_rdms",
    "compute_neural_rdms": "neurocompare.representations.neural_rdms",
    "mirror_symmetry_index": "neurocompare.representations.viewpoint",
    "compare_rdms": "neurocompare.comparison.fits",
    "fits_on_draws": "neurocompare.comparison.fits",
    "infer_fits": "neurocompare.comparison.inference",
    "run_study": "neurocompare.study.runner",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'neurocompare' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
