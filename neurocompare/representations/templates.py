"""Template RDMs of idealised populations, and their weights in an RDM.

An idealised population distinguishes only views, only views up to reflection, or only identities. Takes RDMs; gives
weights of these templates, and a template-based measure of mirror symmetry to compare with the index of ``viewpoint``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from rsatoolbox.rdm import RDMs
from scipy.optimize import nnls

from neural_data.errors import InputError
from neural_data.rounding import is_constant
from neurocompare.representations.correlation import correlate_rows
from neurocompare.representations.rdms import as_matrices, match_stimuli, pattern_table, rdm_table
from neurocompare.representations.viewpoint import check_views

__all__ = ["idealised_mirror_index", "template_contributions", "template_rdms"]

NUISANCE = "pixels"


def template_rdms(
    azimuths_deg: Sequence[float], identities: Sequence[str], elevations_deg: Sequence[float] | None = None
) -> dict[str, np.ndarray]:
    """RDMs of idealised populations over given stimuli.

    Parameters
    ----------
    azimuths_deg : sequence of float, of length n_stimuli
        Degrees, 0 frontal.
    identities : sequence of str, of length n_stimuli
        Identity of each stimulus.
    elevations_deg : sequence of float, of length n_stimuli, or None
        Degrees; None puts all views on the horizon.

    Returns
    -------
    dict of str to array of shape (n_stimuli, n_stimuli)
        ``view``: 0 between stimuli of the same view, else 1. ``mirror``: 0 between stimuli of the same view or of
        mirror-symmetric ones, else 1. ``identity``: 0 between stimuli of the same identity, else 1.
    """
    azimuths = np.asarray(azimuths_deg, dtype=float)
    elevations = np.zeros(len(azimuths)) if elevations_deg is None else np.asarray(elevations_deg, dtype=float)
    names = np.asarray(identities).astype(str)
    level = np.isclose(elevations[:, None], elevations[None, :], atol=1e-6)
    same = np.isclose(azimuths[:, None], azimuths[None, :], atol=1e-6) & level
    opposite = np.isclose(azimuths[:, None], -azimuths[None, :], atol=1e-6) & level
    return {
        "view": 1.0 - same,
        "mirror": 1.0 - (same | opposite),
        "identity": 1.0 * (names[:, None] != names[None, :]),
    }


def template_contributions(rdms: RDMs, pixel_rdm: RDMs | None = None) -> pd.DataFrame:
    """Contributions of idealised view, mirror-symmetric and identity templates to RDMs.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        Of layers or recordings; pattern descriptors ``stimulus_id, identity, azimuth_deg`` (and ``elevation_deg``).
        Unmeasured pairs (NaN) are left out.
    pixel_rdm : rsatoolbox.rdm.RDMs or None
        One RDM of the images themselves over the same stimuli (network ``"pixels"``), as nuisance term:
        variance shared with it is not attributed to a template alone.

    Returns
    -------
    pandas.DataFrame
        The RDM descriptors and ``template`` (``view, mirror, identity`` and, where given, ``pixels``), one row per RDM
        and template. ``weight``: non-negative least squares with an intercept, all terms scaled to unit variance, so
        that weights of templates are comparable. ``unique``: explained variance lost without the template. ``r2``:
        explained variance of all terms. NaN for a constant RDM.

    Raises
    ------
    InputError
        If descriptors are missing, the stimuli differ, there is more than one pixel RDM, or the stimuli show one view
        or one identity, so that a template is constant.

    References
    ----------
    After Yildirim et al. (2020), Science Advances 6:eaax5979.
    """
    patterns = pattern_table(rdms)
    missing = [name for name in ("identity", "azimuth_deg") if name not in patterns.columns]
    if missing:
        raise InputError(f"idealised templates need the pattern descriptors {missing}, which these RDMs lack")
    elevations = patterns.get("elevation_deg")
    matrices = template_rdms(patterns["azimuth_deg"], patterns["identity"], elevations)
    upper = np.triu_indices(len(patterns), 1)
    terms = {name: matrix[upper] for name, matrix in matrices.items()}
    if pixel_rdm is not None:
        if pixel_rdm.n_rdm != 1:
            raise InputError(f"the nuisance term must be one RDM of the images; got {pixel_rdm.n_rdm}")
        terms[NUISANCE] = match_stimuli(rdms, pixel_rdm)[1].get_vectors()[0]
    for name, values in terms.items():
        if is_constant(values):
            raise InputError(
                f"the {name} template does not vary over these {len(patterns)} stimuli; show several identities, each "
                "in several views"
            )
    design = np.stack(list(terms.values()), axis=1)
    descriptors = rdm_table(rdms)
    rows = []
    for row, values in enumerate(rdms.get_vectors()):
        weights, r2, unique = _decomposed(values, design)
        for position, name in enumerate(terms):
            rows.append(
                descriptors.iloc[row].to_dict()
                | {"template": name, "weight": weights[position], "unique": unique[position], "r2": r2}
            )
    return pd.DataFrame(rows)


def idealised_mirror_index(view_rdms: RDMs | np.ndarray) -> float | np.ndarray:
    """Correlation of view RDMs with the RDM of an idealised mirror-symmetric population.

    Parameters
    ----------
    view_rdms : rsatoolbox.rdm.RDMs, or array of shape (n_views, n_views) or (n_rdms, n_views, n_views)
        Views sorted by azimuth and symmetric about 0, as ``mirror_symmetry_index`` takes them.

    Returns
    -------
    float, or array of shape (n_rdms,)
        Pearson's r over pairs of different views with a template that is 0 for mirror-symmetric pairs and 1 for all
        others; 1 if mirror-symmetric views have dissimilarity 0 and all other views are equally dissimilar. NaN for a
        constant RDM.

    Raises
    ------
    InputError
        If there are fewer than three views, or the azimuths are not sorted and symmetric about 0.

    References
    ----------
    Yildirim et al. (2020), Science Advances 6:eaax5979; compared with the mirror-symmetry index in eLife 13:e90256.
    """
    matrices = as_matrices(view_rdms)
    n_views = matrices.shape[1]
    check_views(view_rdms)
    if n_views < 3:
        raise InputError(f"a mirror-symmetric template needs at least three views; the RDM has {n_views}")
    upper = np.triu_indices(n_views, 1)
    template = 1.0 - (upper[0] + upper[1] == n_views - 1)
    index = correlate_rows(matrices[:, upper[0], upper[1]], template)
    return float(index[0]) if not isinstance(view_rdms, RDMs) and np.ndim(view_rdms) == 2 else index


def _decomposed(values: np.ndarray, design: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Standardised non-negative weights, explained variance, and the unique contribution of each term."""
    n_terms = design.shape[1]
    measured = np.isfinite(values)
    undefined = np.full(n_terms, np.nan), np.nan, np.full(n_terms, np.nan)
    if measured.sum() <= n_terms or is_constant(values[measured]):
        return undefined
    terms = design[measured] - design[measured].mean(axis=0)
    spread = terms.std(axis=0)
    if np.any(is_constant(design[measured], axis=0)):
        return undefined
    terms = terms / spread
    target = (values[measured] - values[measured].mean()) / values[measured].std()
    weights, residual = nnls(terms, target)
    r2 = 1 - residual**2 / len(target)
    without = [nnls(np.delete(terms, term, axis=1), target)[1] ** 2 / len(target) for term in range(n_terms)]
    return weights, r2, r2 - (1 - np.array(without))
