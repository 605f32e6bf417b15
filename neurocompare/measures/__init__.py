"""Measures of a study: one per file, declared as a ``declaration.Measure``, which documents what a new measure needs.

Their order is the order of computation, of tables and of the report.
"""

from __future__ import annotations

from neurocompare.measures.animals import ANIMALS
from neurocompare.measures.ceilings import CEILINGS
from neurocompare.measures.controlled_fits import CONTROLLED_FITS
from neurocompare.measures.declaration import Measure
from neurocompare.measures.encoding import ENCODING
from neurocompare.measures.equivariance import EQUIVARIANCE
from neurocompare.measures.fits import FITS
from neurocompare.measures.hypotheses import HYPOTHESES
from neurocompare.measures.image_symmetry import IMAGE_SYMMETRY
from neurocompare.measures.kernels import KERNELS
from neurocompare.measures.layer_tests import LAYER_TESTS
from neurocompare.measures.link_recovery import LINK_RECOVERY
from neurocompare.measures.links import LINKS_MEASURE
from neurocompare.measures.local_features import LOCAL_FEATURES
from neurocompare.measures.over_time import TIME
from neurocompare.measures.partition import PARTITION
from neurocompare.measures.position import POSITION
from neurocompare.measures.reflection import REFLECTION
from neurocompare.measures.regime_contrasts import REGIME_CONTRASTS
from neurocompare.measures.regimes import REGIMES_COMPARED
from neurocompare.measures.rival_mechanisms import RIVAL_MECHANISMS
from neurocompare.measures.templates import TEMPLATES
from neurocompare.measures.training import TRAINING
from neurocompare.measures.trajectories import TRAJECTORIES
from neurocompare.measures.units import UNITS
from neurocompare.measures.viewpoint import VIEWPOINT
from neurocompare.measures.viewpoint_patches import VIEWPOINT_PATCHES
from neurocompare.measures.viewpoint_variants import VIEWPOINT_VARIANTS

__all__ = ["MEASURES"]

MEASURES: dict[str, Measure] = {
    measure.key: measure
    for measure in (
        *(CEILINGS, REFLECTION, FITS, CONTROLLED_FITS, LAYER_TESTS, VIEWPOINT, VIEWPOINT_PATCHES, VIEWPOINT_VARIANTS),
        *(ENCODING, LINKS_MEASURE, PARTITION, ANIMALS, LINK_RECOVERY, RIVAL_MECHANISMS, TIME),
        TEMPLATES,
        *(IMAGE_SYMMETRY, EQUIVARIANCE, KERNELS, UNITS, LOCAL_FEATURES, POSITION),
        *(TRAINING, TRAJECTORIES, REGIMES_COMPARED, REGIME_CONTRASTS, HYPOTHESES),
    )
}
"""Every measure by its key."""
