"""What single neurons and their population are tuned to: stimuli, views, identities.

Takes a population (and where its views stand); gives a table of neurons, and shares of variance with intervals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from neurocompare.representations.correlation import correlate_rows
from neurocompare.representations.dissimilarities import Population

__all__ = ["neuron_tuning", "tuning_shares"]

SHARES = ("view_share", "identity_share", "interaction_share")
NEURON_GROUPS = 20
"""Groups of neurons that are left out in turn for the variance of a share."""


@dataclass(frozen=True)
class _Components:
    """Two-way analysis of variance of every neuron over identities and views, from one mean response a cell.

    Variance ``components`` (3, n_neurons) of view, identity and their interaction; ``p_view`` and ``p_identity``
    (n_neurons,) of F tests against the interaction.
    """

    components: np.ndarray
    p_view: np.ndarray
    p_identity: np.ndarray


def neuron_tuning(
    population: Population, positions: np.ndarray | None = None, azimuths_deg: np.ndarray | None = None
) -> pd.DataFrame:
    """Tuning of every neuron.

    Parameters
    ----------
    population : Population
        Responses of the neurons of one region.
    positions : integer array of shape (n_identities, n_views), or None
        Where each view of each identity stands in the responses; None where views are not known.
    azimuths_deg : array of shape (n_views,) or None
        Rising.

    Returns
    -------
    pandas.DataFrame
        One row per neuron, in order: ``region, subject, mean_rate, sd_rate`` (over stimuli), ``trial_reliability``
        (share of the variance of mean responses that is no trial noise), ``p_stimulus`` (one-way analysis of variance
        of single responses), ``view_share, identity_share, interaction_share`` (of the signal, at least 0), ``p_view,
        p_identity`` (F tests against the interaction of the two), ``preferred_azimuth_deg`` and ``mirror_correlation``
        (of the mean tuning curve over views with its mirror image). NaN where something is not known or not defined.
    """
    responses = population.responses
    n_neurons = responses.shape[1]
    unknown = np.full(n_neurons, np.nan)
    table = {
        "region": [population.region] * n_neurons,
        "subject": [population.subject] * n_neurons,
        "mean_rate": responses.mean(axis=0),
        "sd_rate": responses.std(axis=0, ddof=1),
        "trial_reliability": unknown,
        "p_stimulus": unknown,
    }
    noise = _noise(population)
    if noise is not None:
        n_repetitions = len(population.single_responses)
        between = responses.var(axis=0, ddof=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            table["trial_reliability"] = np.where(between > 0, np.clip(1 - noise / between, 0, 1), np.nan)
            ratio = np.where(noise > 0, between / noise, np.nan)
        df = len(responses) - 1, len(responses) * (n_repetitions - 1)
        table["p_stimulus"] = stats.f.sf(ratio, *df)
    if positions is None:
        table |= dict.fromkeys(
            (*SHARES, "p_view", "p_identity", "preferred_azimuth_deg", "mirror_correlation"), unknown
        )
        return pd.DataFrame(table)
    found = _components(responses[positions], noise)
    positive = np.maximum(found.components, 0)
    total = positive.sum(axis=0)
    shares = np.divide(positive, total, out=np.full_like(positive, np.nan), where=total > 0)
    curves = responses[positions].mean(axis=0)
    table |= dict(zip(SHARES, shares, strict=True))
    table |= {
        "p_view": found.p_view,
        "p_identity": found.p_identity,
        "preferred_azimuth_deg": np.asarray(azimuths_deg)[curves.argmax(axis=0)],
        "mirror_correlation": correlate_rows(curves.T, curves[::-1].T),
    }
    return pd.DataFrame(table)


def tuning_shares(
    population: Population,
    positions: np.ndarray | None = None,
    azimuths_deg: np.ndarray | None = None,
    *,
    confidence: float = 0.95,
) -> dict[str, float]:
    """Shares of view, identity and their interaction in the variance of a population's signal, with intervals.

    Parameters
    ----------
    population, positions, azimuths_deg
        See :func:`neuron_tuning`.
    confidence : float
        Coverage aimed at by the intervals.

    Returns
    -------
    dict of str to float
        ``view_share, identity_share, interaction_share``, each with ``_ci_low`` and ``_ci_high``, all in 0..1; NaN
        where views are not known. Without repetitions the interaction holds the trial noise too.

    Notes
    -----
    Variance components of every neuron, over its variance of mean responses, are summed over neurons before their
    share is taken, so that noise that is positive in one neuron and negative in another cancels. Variances add a
    jackknife over identities and one over groups of neurons; intervals are cut to 0..1.
    """
    del azimuths_deg
    names = [f"{share}{end}" for share in SHARES for end in ("", "_ci_low", "_ci_high")]
    if positions is None:
        return dict.fromkeys(names, np.nan)
    cells, noise = population.responses[positions], _noise(population)
    estimate = _pooled(cells, noise)
    n_identities, n_neurons = len(cells), cells.shape[2]
    parts = (
        [np.stack([_pooled(np.delete(cells, i, axis=0), noise) for i in range(n_identities)])]
        if n_identities > 2
        else []
    )
    groups = np.arange(n_neurons) % min(NEURON_GROUPS, n_neurons)
    if n_neurons > 2:
        left = (groups != group for group in range(groups.max() + 1))
        parts.append(np.stack([_pooled(cells[:, :, k], None if noise is None else noise[k]) for k in left]))
    variance = sum((len(p) - 1) * p.var(axis=0) for p in parts)
    df = min((len(p) for p in parts), default=1) - 1
    half = stats.t.ppf((1 + confidence) / 2, max(df, 1)) * np.sqrt(variance)
    low, high = np.clip(estimate - half, 0, 1), np.clip(estimate + half, 0, 1)
    values = zip(np.clip(estimate, 0, 1), low, high, strict=True)
    return dict(zip(names, (float(value) for triple in values for value in triple), strict=True))


def _noise(population: Population) -> np.ndarray | None:
    """Variance of the mean responses that trials alone make, (n_neurons,); None without repetitions."""
    if population.trials is None or len(population.trials) < 2:
        return None
    return population.trials.var(axis=0, ddof=1).mean(axis=0) / len(population.trials)


def _components(cells: np.ndarray, noise: np.ndarray | None) -> _Components:
    """Analysis of variance of responses (n_identities, n_views, n_neurons)."""
    n_identities, n_views = cells.shape[:2]
    grand = cells.mean(axis=(0, 1))
    view, identity = cells.mean(axis=0), cells.mean(axis=1)
    of_view = n_identities * ((view - grand) ** 2).sum(axis=0) / (n_views - 1)
    of_identity = n_views * ((identity - grand) ** 2).sum(axis=0) / (n_identities - 1)
    rest = cells - view[None] - identity[:, None] + grand
    df = (n_identities - 1) * (n_views - 1)
    of_both = (rest**2).sum(axis=(0, 1)) / df
    components = np.stack(
        [
            (of_view - of_both) / n_identities,
            (of_identity - of_both) / n_views,
            of_both - (0.0 if noise is None else noise),
        ]
    )
    size = np.abs(cells).max(axis=(0, 1)) ** 2
    tested = of_both > 1e-20 * size
    with np.errstate(divide="ignore", invalid="ignore"):
        p_view = stats.f.sf(np.where(tested, of_view / of_both, np.nan), n_views - 1, df)
        p_identity = stats.f.sf(np.where(tested, of_identity / of_both, np.nan), n_identities - 1, df)
    return _Components(components, p_view, p_identity)


def _pooled(cells: np.ndarray, noise: np.ndarray | None) -> np.ndarray:
    """Shares (3,) of the variance components, summed over neurons that weigh alike."""
    variance = cells.reshape(-1, cells.shape[2]).var(axis=0, ddof=1)
    weights = np.divide(1.0, variance, out=np.zeros_like(variance), where=variance > 0)
    sums = _components(cells, noise).components @ weights
    total = sums.sum()
    return sums / total if total > 0 else np.full(3, np.nan)
