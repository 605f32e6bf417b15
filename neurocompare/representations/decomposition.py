"""Contributions of a layer's reflection-invariant and reflection-sensitive parts to its fit (Shapley values).

A layer's responses are the sum of a reflection-invariant part (half the sum of the responses to an image and to its
mirror image) and a reflection-sensitive part (half their difference); ``compute_model_rdms`` makes the RDM of either.
Takes the fits of those RDMs; gives the contribution of each part to the whole fit. Works on numbers and on arrays of
any shape, such as fits on draws.
"""

from __future__ import annotations

import numpy as np

__all__ = ["shapley_components"]


def shapley_components(
    invariant: float | np.ndarray, sensitive: float | np.ndarray, whole: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Shapley values of the two reflection components of a fit.

    Parameters
    ----------
    invariant, sensitive, whole : float or arrays of one shape
        Fit of the RDM made from the invariant part alone, from the sensitive part alone, and from both. NaN, the fit
        of a constant RDM, counts as 0: a part that does not distinguish stimuli explains nothing.

    Returns
    -------
    shapley_invariant, shapley_sensitive : arrays of that shape
        ``(v(inv) + v(both) - v(sens)) / 2`` and likewise; they add up to ``v(both)``. Negative if a part reduces the
        fit.

    References
    ----------
    Shapley (1953); Farzmahdi et al. (2024), eLife 13:e90256, Figure 6.
    """
    even, odd, both = (np.nan_to_num(np.asarray(fit, dtype=float)) for fit in (invariant, sensitive, whole))
    return (even + both - odd) / 2, (odd + both - even) / 2
