"""One table of many links between layers and patches, to see whether a conclusion hangs on how they are compared.

A link is a way to compare a layer and a patch: representational similarity, CKA, Procrustes, encoding, one-to-one
matching. All are computed on the same stimuli and neurons and have intervals from leaving out the same units, so that
their best layers, and the layers that may be as good, can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import xarray as xr
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError, closest
from neural_data.rounding import first_largest, is_constant
from neurocompare.comparison.encoding import Encoding, encode_patches
from neurocompare.comparison.encoding_design import factors_or_usual
from neurocompare.comparison.fit_result import FitResult, networks_of
from neurocompare.comparison.inference import Comparison, jackknife_result, make_experiment
from neurocompare.comparison.kernel_links import debiased_cka, linear_cka, procrustes_similarity, whitened_cosine
from neurocompare.comparison.matching import match_patches
from neurocompare.comparison.patch_responses import PatchResponses, patch_responses
from neurocompare.comparison.resampling import FACTORS
from neurocompare.representations.dissimilarities import find_dissimilarity
from neurocompare.representations.kernels import DISTANCES, centred_kernels, kernels_of_rdms
from neurocompare.representations.rdms import (
    LAYER,
    NETWORK,
    build_rdms,
    check_normalization,
    match_stimuli,
    pattern_table,
    rdm_table,
)

__all__ = [
    "LINKS",
    "LINK_BEST_COLUMNS",
    "LINK_COLUMNS",
    "Link",
    "LinkInputs",
    "compare_links",
    "link_results",
    "link_rows",
    "link_similarities",
    "links_best",
]

SIMILARITY_COLUMNS = ("link", *LAYER, "region", "subject", "similarity")
LINK_COLUMNS = (
    *(*SIMILARITY_COLUMNS, "se", "ci_low", "ci_high", "in_best_set"),
    *("resample", "n_stimuli", "n_neurons"),
)
LINK_BEST_COLUMNS = (
    *("link", *NETWORK, "region", "subject", "layer", "layer_index", "relative_depth", "similarity"),
    *("layer_set", "n_in_set", "agreement", "network_place"),
)


@dataclass(frozen=True)
class LinkInputs:
    """What links compare.

    Parameters
    ----------
    distances : rsatoolbox.rdm.RDMs
        Squared Euclidean distances of the layers.
    rdms : rsatoolbox.rdm.RDMs
        RDMs of the layers for representational similarity, any dissimilarity that follows from sums over units.
    features : mapping of str to array of shape (n_stimuli, n_units), or None
        Units of each layer, for one-to-one matching; by the name of the layer.
    """

    distances: RDMs
    rdms: RDMs
    features: Mapping[str, np.ndarray] | None = None


@dataclass(frozen=True)
class _Setting:
    """One patch and how it is resampled.

    Links of one seed leave out the same identities and neurons, see ``sampling``; without factors there are estimates
    alone.
    """

    patch: PatchResponses
    inputs: LinkInputs
    factors: tuple[str, ...]
    normalize: str | None
    confidence: float
    seed: int


Compare = Callable[[_Setting, np.random.Generator], FitResult]


@dataclass(frozen=True)
class Link:
    """A way to compare a layer and a patch.

    Parameters
    ----------
    name : str
        Name in study files and tables.
    label : str
        Description in words.
    source : str
        Where it comes from.
    compare : callable
        Result for all layers and one patch, uncertainty by leaving out.
    missing : callable
        Why it cannot be computed for a patch and these inputs; empty if it can.
    """

    name: str
    label: str
    source: str
    compare: Compare
    missing: Callable[[PatchResponses, LinkInputs], str] = lambda _patch, _inputs: ""


def _similarity(setting: _Setting, rng: np.random.Generator, *, method: str) -> FitResult:
    return _jackknife(
        setting, setting.inputs.rdms, setting.patch.normalised(setting.normalize), None, rng, method=method
    )


def _on_kernels(
    setting: _Setting, rng: np.random.Generator, *, compare: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> FitResult:
    models = setting.inputs.distances.get_matrices()

    def statistic(recordings: np.ndarray, counts: np.ndarray) -> np.ndarray:
        right = _squares(recordings, models.shape[1])
        found = []
        for kept in map(np.flatnonzero, counts):
            rows = kept[:, None], kept
            found.append(compare(centred_kernels(models[:, *rows]), centred_kernels(right[:, *rows])))
        return np.stack(found)

    return _jackknife(setting, setting.inputs.distances, setting.patch.normalised(setting.normalize), statistic, rng)


def _whitened(setting: _Setting, rng: np.random.Generator) -> FitResult:
    """Neurons over the standard deviation of their trials; distances whitened by the noise of each stimulus."""
    trials = setting.patch.trials
    if trials is None:
        raise ValueError(f"{setting.patch.name} has no repeated trials")
    variances = trials.var(axis=0, ddof=1)
    of_neurons = variances.mean(axis=0)
    noisy = _noisy(trials)
    # Neurons without noise weigh nothing. They stay, so that all links leave out the same ones.
    scaled = np.where(noisy, setting.patch.responses / np.sqrt(np.where(noisy, of_neurons, 1.0)), 0.0)
    noise = (variances[:, noisy] / of_neurons[noisy]).mean(axis=1) / setting.patch.n_repetitions
    # A stimulus with no noise at all in these trials has some in others.
    noise = np.maximum(noise, 1e-3 * noise.mean())
    models = setting.inputs.distances.get_matrices()

    def statistic(recordings: np.ndarray, counts: np.ndarray) -> np.ndarray:
        right = _squares(recordings, models.shape[1])
        found = []
        for kept in map(np.flatnonzero, counts):
            rows = kept[:, None], kept
            found.append(whitened_cosine(models[:, *rows], right[:, *rows], noise[kept]))
        return np.stack(found)

    found = _jackknife(setting, setting.inputs.distances, scaled, statistic, rng)
    return replace(found, n_neurons=np.array([float(noisy.sum())]))


def _jackknife(
    setting: _Setting,
    models: RDMs,
    responses: np.ndarray,
    statistic: Callable[[np.ndarray, np.ndarray], np.ndarray] | None,
    rng: np.random.Generator,
    *,
    method: str = "corr",
) -> FitResult:
    dissimilarity = "euclidean" if models.dissimilarity_measure in DISTANCES else str(models.dissimilarity_measure)
    rdm = find_dissimilarity(dissimilarity).of_responses(responses)
    labels = {"region": [setting.patch.region], "subject": [setting.patch.subject]}
    neural = build_rdms(rdm[None], patterns=pattern_table(models), rdms=labels, dissimilarity=dissimilarity)
    experiment = make_experiment(
        models,
        neural,
        Comparison(resample=setting.factors or "neuron", method=method),
        recording={(setting.patch.region, setting.patch.subject): responses},
    )
    return jackknife_result(
        experiment if setting.factors else replace(experiment, factors=(), populations=[]),
        _labelled(rdm_table(models)),
        rdm_table(neural),
        statistic=statistic,
        confidence=setting.confidence,
        seed=setting.seed,
        rng=rng,
    )


def _labelled(models: pd.DataFrame) -> pd.DataFrame:
    if "model" in models or "layer" in models:
        return models
    return models.assign(model=[f"model {place + 1}" for place in range(len(models))])


def _squares(vectors: np.ndarray, n: int) -> np.ndarray:
    found = np.zeros((len(vectors), n, n))
    first, second = np.triu_indices(n, 1)
    found[:, first, second] = found[:, second, first] = vectors
    return found


def _encoded(setting: _Setting, rng: np.random.Generator) -> FitResult:
    found = encode_patches(
        setting.inputs.distances,
        [replace(setting.patch, trials=None)],
        Encoding(),
        setting.factors,
        (2, 0),
        samples=[0],
        seed=setting.seed,
        confidence=setting.confidence,
        rng=rng,
    )
    return replace(found.pooled, draws=found.pooled.draws[:0])


def _matched(setting: _Setting, rng: np.random.Generator) -> FitResult:
    inputs = setting.inputs
    if inputs.features is None:
        raise ValueError("one-to-one matching needs the units of the layers")
    found = match_patches(
        inputs.features,
        [replace(setting.patch, trials=None)],
        inputs.distances,
        setting.factors,
        seed=setting.seed,
        confidence=setting.confidence,
        rng=rng,
    )
    return found.pooled


def _noisy(trials: np.ndarray) -> np.ndarray:
    """Neurons (n_neurons,) whose trials differ, for some stimulus."""
    return np.asarray((~is_constant(trials, axis=0)).any(axis=0))


def _no_noise(patch: PatchResponses, _inputs: LinkInputs) -> str:
    if patch.trials is None:
        return "it needs repeated trials of all neurons"
    n, fewest = int(_noisy(patch.trials).sum()), FACTORS["neuron"].fewest
    return "" if n >= fewest else f"it needs {fewest} neurons whose trials differ; there are {n}"


def _no_features(_patch: PatchResponses, inputs: LinkInputs) -> str:
    return "" if inputs.features is not None else "it needs the units of the layers"


def _rsa(name: str, label: str) -> Link:
    source = "Kriegeskorte, Mur & Bandettini (2008), Front Syst Neurosci 2:4"
    return Link(name, label, source, lambda setting, rng: _similarity(setting, rng, method=name))


def _kernel(name: str, label: str, source: str, compare: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Link:
    return Link(name, label, source, lambda setting, rng: _on_kernels(setting, rng, compare=compare))


LINKS: dict[str, Link] = {
    link.name: link
    for link in (
        _rsa("corr", "RDMs, Pearson r"),
        _rsa("spearman", "RDMs, Spearman ρ"),
        Link(
            "whitened",
            "RDMs, cosine whitened by the noise of trials",
            "Diedrichsen et al. (2021), Neurons, Behavior, Data Analysis and Theory 5:3",
            _whitened,
            _no_noise,
        ),
        _kernel("cka", "linear CKA", "Kornblith et al. (2019), ICML", linear_cka),
        _kernel("cka-debiased", "linear CKA, debiased", "Kornblith et al. (2019), ICML", debiased_cka),
        _kernel(
            "procrustes",
            "cosine of the Procrustes angle",
            "Williams et al. (2021), NeurIPS 34",
            procrustes_similarity,
        ),
        Link(
            "encoding",
            "ridge regression to neurons, held-out r",
            "Hoerl & Kennard (1970), Technometrics 12:55",
            _encoded,
        ),
        Link(
            "matching",
            "one unit for each neuron, held-out r",
            "Li et al. (2015), arXiv:1511.07543; Khosla & Williams (2024), arXiv:2311.09466",
            _matched,
            _no_features,
        ),
    )
}
"""Every link by its name. To add one, add its record here."""


def compare_links(
    inputs: LinkInputs,
    recording: xr.DataArray | Mapping,
    links: Sequence[str] = tuple(LINKS),
    *,
    resample: str | Sequence[str] | None = None,
    by_subject: bool = False,
    normalize: str | None = None,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Similarity of every layer to every patch by several links, with intervals and sets of best layers.

    Parameters
    ----------
    inputs : LinkInputs
        Distances and RDMs of the layers, and for matching their units.
    recording : xarray.DataArray or mapping
        As in ``infer_encoding``; noise covariances need repeated trials.
    links : sequence of str
        Names in :data:`LINKS`.
    resample : str, sequence of str or None
        As in ``infer_fits``, without subjects.
    by_subject : bool
        Whether each subject's neurons are a patch of their own.
    normalize : {None, "zscore"}
        Of neurons, as in ``compute_neural_rdms``, for RDMs, CKA and Procrustes. Whitening divides neurons by their
        noise instead; encoding and matching count all neurons alike.
    confidence : float
        Nominal coverage of intervals, and of sets of best layers.
    rng : numpy.random.Generator
        Source of the parts that are left out, and of folds.

    Returns
    -------
    table : pandas.DataFrame
        One row per link, patch and layer, columns :data:`LINK_COLUMNS`; ``in_best_set`` says whether no other layer of
        the network is significantly more similar (Holm over layers).
    notes : tuple of str
        Links that could not be computed, and why.

    Raises
    ------
    InputError
        If a link is unknown, or RDMs and recording do not match.

    Notes
    -----
    Numbers of different links have different scales and noise ceilings: compare which layers and networks they favour,
    not their sizes.
    """
    results, notes = link_results(
        inputs,
        recording,
        links,
        resample=resample,
        by_subject=by_subject,
        normalize=normalize,
        confidence=confidence,
        rng=rng,
    )
    return link_rows(results), notes


def link_results(
    inputs: LinkInputs,
    recording: xr.DataArray | Mapping,
    links: Sequence[str] = tuple(LINKS),
    *,
    resample: str | Sequence[str] | None = None,
    by_subject: bool = False,
    normalize: str | None = None,
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> tuple[list[tuple[str, FitResult]], tuple[str, ...]]:
    """Similarity of every layer to every patch by several links, with all that can be asked of fits.

    Parameters
    ----------
    inputs, recording, links, resample, by_subject, normalize, confidence, rng
        As in :func:`compare_links`.

    Returns
    -------
    results : list of (str, FitResult)
        Name of the link and its similarities, one for each patch and link: differences between layers, for instance,
        by ``FitResult.pairwise``. There are no draws.
    notes : tuple of str
        Links that could not be computed, and why.

    Raises
    ------
    InputError
        If a link is unknown, or RDMs and recording do not match.
    """
    factors = factors_or_usual(resample, inputs.distances, recording)
    return _compared(inputs, recording, links, factors, by_subject, normalize, confidence, rng)


def link_similarities(
    inputs: LinkInputs,
    recording: xr.DataArray | Mapping,
    links: Sequence[str] = tuple(LINKS),
    *,
    by_subject: bool = False,
    normalize: str | None = None,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Similarity of every layer to every patch by several links, without uncertainty.

    Parameters
    ----------
    inputs, recording, links, by_subject, normalize, rng
        As in :func:`compare_links`.

    Returns
    -------
    pandas.DataFrame
        One row per link, patch and layer: what is known of the columns of :func:`compare_links` up to ``similarity``.

    Raises
    ------
    InputError
        If a link is unknown, or RDMs and recording do not match.
    """
    results, _ = _compared(inputs, recording, links, (), by_subject, normalize, 0.95, rng)
    frames = []
    for name, result in results:
        labels = [name for name in LAYER if name in result.models]
        about = {name: result.recordings[name].iloc[0] for name in ("region", "subject") if name in result.recordings}
        frame = result.models[labels].assign(link=name, **about, similarity=result.estimates[:, 0])
        frames.append(frame[[name for name in SIMILARITY_COLUMNS if name in frame]])
    return pd.concat(frames, ignore_index=True)


def _compared(
    inputs: LinkInputs,
    recording: xr.DataArray | Mapping,
    links: Sequence[str],
    factors: tuple[str, ...],
    by_subject: bool,
    normalize: str | None,
    confidence: float,
    rng: np.random.Generator,
) -> tuple[list[tuple[str, FitResult]], tuple[str, ...]]:
    """Results of :func:`link_results`, by factors that are checked; without any, estimates alone."""
    for name in links:
        if name not in LINKS:
            raise InputError(f"there is no link {name!r}: {closest(name, LINKS)}")
    kernels_of_rdms(inputs.distances, what="distances of layers")
    inputs = replace(inputs, rdms=match_stimuli(inputs.distances, inputs.rdms)[1])
    if not rdm_table(inputs.rdms)[_shared(inputs)].equals(rdm_table(inputs.distances)[_shared(inputs)]):
        raise InputError("distances and RDMs must be those of the same layers, in the same order")
    check_normalization(normalize)
    ids = [str(one) for one in inputs.distances.pattern_descriptors["stimulus_id"]]
    seed = int(rng.integers(2**63))
    results, notes = [], []
    for patch in patch_responses(recording, ids, by_subject=by_subject):
        for name in links:
            link = LINKS[name]
            missing = link.missing(patch, inputs)
            if missing:
                notes.append(f"{patch.name}: no {link.label}: {missing}")
                continue
            setting = _Setting(patch, inputs, factors, normalize, confidence, seed)
            results.append((name, link.compare(setting, np.random.default_rng(seed))))
    if not results:
        raise InputError(f"none of the links can be computed: {'; '.join(notes)}")
    return results, tuple(notes)


def link_rows(results: Sequence[tuple[str, FitResult]]) -> pd.DataFrame:
    """Table of results.

    Parameters
    ----------
    results : sequence of (str, FitResult)
        From :func:`link_results`.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`LINK_COLUMNS`, see :func:`compare_links`.
    """
    return pd.concat([_rows(name, result) for name, result in results], ignore_index=True)


def _shared(inputs: LinkInputs) -> list[str]:
    return [name for name in LAYER if all(name in rdm_table(one) for one in (inputs.rdms, inputs.distances))]


def _rows(name: str, result: FitResult) -> pd.DataFrame:
    frame = result.to_frame("none").rename(columns={"fit": "similarity"})
    best = np.zeros(len(frame), dtype=bool)
    for _, members in networks_of(result.models):
        best[members] = result.not_told_from_best(members, 0)
    return frame.assign(link=name, in_best_set=best)[list(LINK_COLUMNS)]


def links_best(table: pd.DataFrame) -> pd.DataFrame:
    """Best layer of each network and patch by every link, and whether links agree.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`compare_links`.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`LINK_BEST_COLUMNS`: ``agreement`` is the share of the other links by which this layer may be the
        best, too; ``network_place`` the place of the network by its best layer among all networks, 1 the most similar.
    """
    keys = [*NETWORK, "region", "subject"]
    known = table.dropna(subset="similarity")
    cells = pd.Series(list(map(tuple, known[keys].map(str).to_numpy())), index=known.index)
    rows = []
    for (link, cell), group in known.groupby([known["link"], cells], sort=False):
        ordered = group.sort_values("layer_index", kind="stable") if group["layer_index"].notna().all() else group
        place = int(first_largest(ordered["similarity"].to_numpy()))
        best, kept = ordered.iloc[place], ordered[ordered["in_best_set"]]
        others = known[(cells == cell) & (known["link"] != link) & (known["layer"] == best["layer"])]
        rows.append(
            {name: best[name] for name in ("link", *keys, "layer", "layer_index", "similarity")}
            | {
                "relative_depth": place / (len(ordered) - 1) if len(ordered) > 1 else 0.0,
                "layer_set": ", ".join(map(str, kept["layer"])),
                "n_in_set": len(kept),
                "agreement": float(others["in_best_set"].mean()) if len(others) else np.nan,
            }
        )
    if not rows:
        return pd.DataFrame(columns=list(LINK_BEST_COLUMNS))
    found = pd.DataFrame(rows)
    places = found.groupby(["link", "region", "subject"], dropna=False)["similarity"].rank(
        ascending=False, method="min"
    )
    return found.assign(network_place=places.astype(int))[list(LINK_BEST_COLUMNS)]
