"""Trends of image statistics over views, and how much of a mirror-symmetry index they alone would give.

A statistic of the image that changes with the view only through the angle from the front, such as the visible area of
skin, is an even function of azimuth. A population that follows it looks mirror-symmetric without any mechanism for
mirror symmetry. Takes stimulus sets and view RDMs; gives tables.

References
----------
Revsine, Gonzalez-Castillo, Merriam, Bandettini & Ramirez (2024), Journal of Neuroscience 44(17).
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError
from neural_data.rounding import difference, is_constant
from neural_data.stimuli import StimulusSet
from neurocompare.representations.dissimilarities import find_dissimilarity
from neurocompare.representations.rdms import as_matrices, pattern_table, rdm_table, view_order, view_rdms, zscore_units
from neurocompare.representations.viewpoint import (
    NAMING,
    check_azimuths,
    mirror_symmetry_index,
    summarise_indices,
    summarise_values,
)
from neurocompare.stimuli.luminance import describe_images

__all__ = [
    "TREND_COLUMNS",
    "image_statistics",
    "index_beyond_trends",
    "split_image_trends",
    "statistics_rdm",
    "trend_rdms",
]

ALL = "all"
"""Name of all statistics together in the table."""
TREND_COLUMNS = (
    *("category", "statistic", "even_sd", "odd_sd", "even_share", "ci_low", "ci_high", "n", "n_undefined"),
    *("index", "index_ci_low", "index_ci_high"),
)
LEAST_SD = {"mean": 1 / 255, "foreground_mean": 1 / 255, "foreground_sd": 1 / 255}
"""Standard deviation over images below which a statistic counts as constant: one gray level, where luminance has been
matched and only rounding is left."""
IMAGES_AT_ONCE = 64


def image_statistics(stimuli: StimulusSet, *, image_size_px: int = 128) -> pd.DataFrame:
    """Low-level statistics of every image, see :func:`~neurocompare.stimuli.luminance.describe_images`.

    Parameters
    ----------
    stimuli : StimulusSet
        With images.
    image_size_px : int
        Height and width at which images are described.

    Returns
    -------
    pandas.DataFrame
        One row per image, indexed by ``stimulus_id`` in the order of ``stimuli``.
    """
    images = itertools.chain.from_iterable(stimuli.batches(IMAGES_AT_ONCE, image_size_px))
    return describe_images(images, stimuli.ids)


def split_image_trends(statistics: pd.DataFrame, stimuli: StimulusSet) -> pd.DataFrame:
    """Split of every statistic over azimuth into an even and an odd part, and the index that it alone would give.

    For one identity with value v at azimuth a, the even part is (v(a) + v(-a)) / 2 less the mean over views, and the
    odd part (v(a) - v(-a)) / 2. Their variances over views add up to that of v.

    Parameters
    ----------
    statistics : pandas.DataFrame
        One column per statistic, indexed by ``stimulus_id``, such as from :func:`image_statistics`.
    stimuli : StimulusSet
        With images.
        Every identity in the same views, symmetric about 0.

    Returns
    -------
    pandas.DataFrame
        Columns ``TREND_COLUMNS``: one row per category and statistic, and one for ``all`` together. ``even_sd`` and
        ``odd_sd``: standard deviations over views, mean over identities, in the statistic's unit. ``even_share``:
        variance of the even part over the whole, mean over identities with its 95 % t interval within 0 to 1; 0.5 for
        values without a trend. ``n`` and ``n_undefined``: identities whose value varies over views, and the others.
        ``index``: mirror-symmetry index of an RDM of squared differences in this statistic alone (for ``all``: in all
        statistics that are known and vary, z-scored over the stimuli), with its 95 % t interval over identities.

    Raises
    ------
    InputError
        If statistics are missing for a stimulus, an identity lacks a view, or the views are not symmetric about 0.
    """
    values = _aligned(statistics, stimuli)
    exemplars, positions = view_order(stimuli)
    check_azimuths(stimuli.table["azimuth_deg"].to_numpy(float)[positions[0]])
    frames = []
    for name in values:
        over_views = values[name].to_numpy(float)[positions]
        even = (over_views + over_views[:, ::-1]) / 2
        even_variance = even.var(axis=1)
        odd_variance = ((over_views - over_views[:, ::-1]) / 2).var(axis=1)
        total = np.where(is_constant(over_views, axis=1), np.nan, even_variance + odd_variance)
        frames.append(
            pd.DataFrame(
                {
                    "category": exemplars["category"].to_numpy(),
                    "statistic": name,
                    "even_sd": np.sqrt(even_variance),
                    "odd_sd": np.sqrt(odd_variance),
                    "even_share": even_variance / total,
                    "index": mirror_symmetry_index((over_views[:, :, None] - over_views[:, None, :]) ** 2),
                }
            )
        )
    together = {"category": exemplars["category"].to_numpy(), "statistic": ALL}
    frames.append(pd.DataFrame({**together, "index": mirror_symmetry_index(trend_rdms(values, stimuli))}))
    rows = pd.concat(frames, ignore_index=True)
    by = ["category", "statistic"]
    table = rows.groupby(by, sort=False)[["even_sd", "odd_sd"]].mean().reset_index()
    shares = summarise_values(rows, by, ["even_share"]).rename(columns={"mean": "even_share"})
    shares[["ci_low", "ci_high"]] = shares[["ci_low", "ci_high"]].clip(0, 1)
    indices = summarise_indices(rows, by).rename(columns={"ci_low": "index_ci_low", "ci_high": "index_ci_high"})
    table = table.merge(shares.drop(columns=["measure", "sd"]), on=by)
    table = table.merge(indices[[*by, "index", "index_ci_low", "index_ci_high"]], on=by)
    joined = table["statistic"] == ALL
    defined = rows[rows["statistic"] == ALL].groupby("category", sort=False)["index"].agg(["count", "size"])
    table.loc[joined, "n"] = defined["count"].to_numpy()
    table.loc[joined, "n_undefined"] = (defined["size"] - defined["count"]).to_numpy()
    return table[list(TREND_COLUMNS)]


def trend_rdms(statistics: pd.DataFrame, stimuli: StimulusSet) -> RDMs:
    """View RDMs of image statistics alone, one per exemplar.

    Parameters
    ----------
    statistics : pandas.DataFrame
        As for :func:`split_image_trends`. A statistic that is unknown for an image, or constant (:data:`LEAST_SD`), is
        left out.
    stimuli : StimulusSet
        With images.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        Squared Euclidean distances over the number of statistics, z-scored over the stimuli; the RDM descriptor
        ``model`` is ``image statistics`` and ``layer`` names those that were used.

    Raises
    ------
    InputError
        If statistics are missing for a stimulus, none is known and varies, or an identity lacks a view.
    """
    matrix, used = statistics_rdm(statistics, stimuli)
    exemplars, positions = view_order(stimuli)
    labels = {"model": ["image statistics"], "layer": [", ".join(used)]}
    return view_rdms(matrix[None], stimuli, exemplars, positions, labels, "euclidean")


def statistics_rdm(statistics: pd.DataFrame, stimuli: StimulusSet) -> tuple[np.ndarray, tuple[str, ...]]:
    """Dissimilarities of all stimuli in image statistics alone.

    Parameters
    ----------
    statistics, stimuli
        As for :func:`trend_rdms`.

    Returns
    -------
    matrix : array of shape (n_stimuli, n_stimuli)
        Squared Euclidean distances over the number of statistics, z-scored over the stimuli.
    used : tuple of str
        Statistics that are known for all images and vary.

    Raises
    ------
    InputError
        If statistics are missing for a stimulus, or none is known and varies.
    """
    values = _aligned(statistics, stimuli).dropna(axis=1)
    values = values.loc[:, [_varies(name, values[name].to_numpy(float)) for name in values]]
    if values.empty:
        raise InputError(f"{stimuli.name}: no image statistic is known for all images and varies; give other stimuli")
    scores, _ = zscore_units(values.to_numpy(float))
    return find_dissimilarity("euclidean").of_responses(scores), tuple(values)


def index_beyond_trends(rdms: RDMs, trends: RDMs) -> pd.DataFrame:
    """Mirror-symmetry index of layers or patches before and after trends of image statistics are partialled out.

    The dissimilarities of each layer are regressed on those of the image statistics, with one slope (at least 0) and
    one intercept for the pairs of views of all exemplars. The slope times the RDM of the statistics is subtracted.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        One view RDM per exemplar of each layer or patch (``within="identity"``).
    trends : rsatoolbox.rdm.RDMs
        From :func:`trend_rdms`, of the same stimuli.

    Returns
    -------
    pandas.DataFrame
        Three rows per layer or patch, and category. ``measure``: ``index``; ``index_of_trends``, of the statistics
        alone; ``index_left``, after partialling. ``mean``, ``sd``, ``ci_low, ci_high`` (95 % t interval over
        exemplars), ``n``, ``n_undefined`` (such as where nothing is left); and ``explained``, the share of the variance
        over pairs of views that the statistics explain.

    Raises
    ------
    InputError
        If the RDMs are not of the same exemplars and views, or do not say of which exemplar they are.

    Notes
    -----
    Every mirror-symmetric code changes with the angle from the front, and so do even trends. An index that falls after
    partialling can thus come from trends, but need not; one that stays cannot come from these statistics.
    """
    tables = [rdm_table(one) for one in (rdms, trends)]
    for table in tables:
        if "identity" not in table:
            raise InputError('view RDMs must say of which exemplar they are: compute them with within="identity"')
    views = [pattern_table(one)["azimuth_deg"].to_numpy(float) for one in (rdms, trends)]
    if views[0].shape != views[1].shape or not np.allclose(*views):
        raise InputError("the RDMs and those of the image statistics have other views; give the same stimuli to both")
    of_identity = dict(zip(tables[1]["identity"], as_matrices(trends), strict=True))
    missing = [name for name in tables[0]["identity"].unique() if name not in of_identity]
    if missing:
        raise InputError(f"there are no image statistics of {missing[0]!r}; give the same stimuli to both")
    matrices = as_matrices(rdms)
    alone = np.stack([of_identity[name] for name in tables[0]["identity"]])
    by = [name for name in tables[0] if name in NAMING]
    place = tables[0].groupby([name for name in by if name != "category"] or by, sort=False, dropna=False).ngroup()
    left, explained = np.empty_like(matrices), np.empty(len(matrices))
    for group in np.unique(place):
        rows = np.flatnonzero(place == group)
        slope, explained[rows] = _fitted(matrices[rows], alone[rows])
        left[rows] = difference(matrices[rows], slope * alone[rows])
    measures = {"index": matrices, "index_of_trends": alone, "index_left": left}
    found = tables[0].assign(
        **{name: mirror_symmetry_index(values) for name, values in measures.items()}, explained=explained
    )
    shares = found.groupby(by, sort=False, dropna=False)["explained"].first().reset_index()
    summary = summarise_values(found, by, list(measures))
    order = {name: k for k, name in enumerate(map(tuple, shares[by].to_numpy()))}
    summary = summary.merge(shares, on=by)
    rank = [order[tuple(row)] for row in summary[by].to_numpy()]
    return summary.iloc[np.argsort(rank, kind="stable")].reset_index(drop=True)


def _aligned(statistics: pd.DataFrame, stimuli: StimulusSet) -> pd.DataFrame:
    missing = [name for name in stimuli.ids if name not in statistics.index]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(stimuli)} stimuli have no image statistics (the first is {missing[0]!r}); compute "
            "them with image_statistics(stimuli)"
        )
    return statistics.loc[list(stimuli.ids)]


def _varies(name: str, values: np.ndarray) -> bool:
    return not is_constant(values) and float(values.std()) >= LEAST_SD.get(name, 0.0)


def _fitted(matrices: np.ndarray, alone: np.ndarray) -> tuple[float, float]:
    """Slope, at least 0, and share of variance of the regression of dissimilarities on those of the statistics."""
    rows, columns = np.triu_indices(matrices.shape[1], 1)
    wanted, given = matrices[:, rows, columns].ravel(), alone[:, rows, columns].ravel()
    known = np.isfinite(wanted) & np.isfinite(given)
    wanted, given = wanted[known], given[known]
    if len(wanted) < 3 or is_constant(given) or is_constant(wanted):
        return 0.0, 0.0
    wanted, given = wanted - wanted.mean(), given - given.mean()
    slope = max(float(wanted @ given / (given @ given)), 0.0)
    return slope, slope**2 * float(given @ given / (wanted @ wanted))
