"""Whether, where and why network models represent objects and faces as the macaque face patches do.

Public names are loaded on first use, so that ``import neurocompare`` is fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from neural_data.lazy import lazy_names

if TYPE_CHECKING:
    from neurocompare.comparison.description import describe_recording as describe_recording
    from neurocompare.comparison.fits import (
        compare_rdms as compare_rdms,
        fits_on_draws as fits_on_draws,
    )
    from neurocompare.comparison.inference import infer_fits as infer_fits
    from neurocompare.measures.plots import (
        plot_fits as plot_fits,
        plot_index as plot_index,
        plot_rdms as plot_rdms,
        plot_regimes as plot_regimes,
    )
    from neurocompare.models.preprocessing import Preprocessing as Preprocessing
    from neurocompare.models.registry import load_model as load_model
    from neurocompare.representations.model_rdms import compute_model_rdms as compute_model_rdms
    from neurocompare.representations.neural_rdms import compute_neural_rdms as compute_neural_rdms
    from neurocompare.representations.rdm_reading import read_rdms as read_rdms
    from neurocompare.representations.viewpoint import (
        mirror_symmetry_index as mirror_symmetry_index,
        mirror_symmetry_table as mirror_symmetry_table,
    )
    from neurocompare.study.runner import run_study as run_study

__version__ = "0.2.0"

_HOMES = {
    "load_model": "neurocompare.models.registry",
    "Preprocessing": "neurocompare.models.preprocessing",
    "compute_model_rdms": "neurocompare.representations.model_rdms",
    "compute_neural_rdms": "neurocompare.representations.neural_rdms",
    "read_rdms": "neurocompare.representations.rdm_reading",
    "mirror_symmetry_index": "neurocompare.representations.viewpoint",
    "mirror_symmetry_table": "neurocompare.representations.viewpoint",
    "compare_rdms": "neurocompare.comparison.fits",
    "fits_on_draws": "neurocompare.comparison.fits",
    "infer_fits": "neurocompare.comparison.inference",
    "describe_recording": "neurocompare.comparison.description",
    "plot_fits": "neurocompare.measures.plots",
    "plot_index": "neurocompare.measures.plots",
    "plot_rdms": "neurocompare.measures.plots",
    "plot_regimes": "neurocompare.measures.plots",
    "run_study": "neurocompare.study.runner",
}
__all__ = ["__version__", *_HOMES]
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
