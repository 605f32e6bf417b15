"""Whether a layer is as close to a patch as can be expected: as another animal is, or as a true model would be.

Takes RDMs of layers and a recording of several animals, or fits with noise ceilings; gives tables. The tests are in
``equivalence_tests``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from rsatoolbox.rdm import RDMs
from scipy import stats

from neural_data.errors import InputError
from neurocompare.comparison.equivalence_tests import check_margin, one_sided, with_equality
from neurocompare.comparison.fit_result import FitResult
from neurocompare.comparison.inference import Comparison, default_factors, jackknife_result, make_experiment
from neurocompare.comparison.multiplicity import adjust, rejects
from neurocompare.comparison.patch_responses import PatchResponses, patch_responses
from neurocompare.comparison.resampling import check_factors, factors_along
from neurocompare.representations.dissimilarities import DISSIMILARITIES, find_dissimilarity
from neurocompare.representations.kernels import DISTANCES
from neurocompare.representations.rdms import LAYER, build_rdms, concat_rdms, pattern_table, rdm_table

__all__ = ["ANIMAL_COLUMNS", "CEILING_EQUALITY_COLUMNS", "compare_with_animals", "compare_with_ceilings"]

ANIMAL_COLUMNS = (
    *(*LAYER, "region", "subject", "other_subjects", "fit", "fit_of_animals", "difference", "se", "df"),
    *("ci_low", "ci_high", "p", "p_adjusted", "margin", "p_not_further", "p_not_further_adjusted", "conclusion"),
    *("n_neurons", "n_neurons_of_others"),
)
ANOTHER_ANIMAL = "another animal"
CEILING_EQUALITY_COLUMNS = ("margin", "p_equal_ceiling", "ceiling_conclusion")


def compare_with_ceilings(result: FitResult, margin: float | None) -> pd.DataFrame:
    """Whether fits equal their noise ceilings, the roots of the reliabilities, within a margin.

    Parameters
    ----------
    result : FitResult
        Fits with ceilings over neurons (without, nothing is decided).
    margin : float or None
        Smallest difference that matters; None leaves the columns empty.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`CEILING_EQUALITY_COLUMNS`, rows as in ``FitResult.to_frame``: ``p_equal_ceiling``, of two
        one-sided tests of the fit minus its ceiling, with the errors of both, and the conclusion that follows from it
        and from ``p_ceiling``: ``different``, ``equal within 0.05``, ``different by less than 0.05`` or ``undecided``;
        none is corrected over layers.
    """
    below = result.below_ceiling
    df = np.tile(np.asarray(below.df, dtype=float), len(below.models))
    numbers = {"difference": below.estimates, "se": below.se, "p": below.p_two_sided, "df": df}
    table = pd.DataFrame({name: values.ravel() for name, values in numbers.items()})
    tested = with_equality(table, margin, confidence=result.confidence)[["margin", "p_equal", "conclusion"]]
    return tested.set_axis(CEILING_EQUALITY_COLUMNS, axis=1)


def compare_with_animals(
    model_rdms: RDMs,
    recording: xr.DataArray,
    *,
    margin: float,
    dissimilarity: str = "correlation",
    normalize: str | None = None,
    method: str = "corr",
    resample: str | Sequence[str] | None = None,
    correction: str = "holm",
    confidence: float = 0.95,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Whether a layer is no further from a patch of one animal than the same patch of the other animals is.

    Parameters
    ----------
    model_rdms : rsatoolbox.rdm.RDMs
        RDMs of the layers, of the same dissimilarity.
    recording : xarray.DataArray
        Neurons of at least two subjects in some region; regions of one subject are left out.
    margin : float
        Smallest difference of fit that matters.
    dissimilarity, normalize : str
        Of the RDMs of patches, as in ``compute_neural_rdms``.
    method, confidence
        As in ``infer_fits``.
    resample : str, sequence of str or None
        As in ``infer_fits``, without subjects. With neurons, those of both animals count.
    correction : {"bh", "holm", "none"}
        Over the layers, within an animal's patch.
    rng : numpy.random.Generator
        Source of the random assignment of identities and neurons to the parts that are left out.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`ANIMAL_COLUMNS`, one row per layer, region and subject: the fit of the layer to this subject's
        patch, the mean fit of the other subjects' patches to it, and their ``difference`` (layer minus animals) with
        ``se, df, ci_low, ci_high`` and the two-sided ``p``. ``p_not_further`` is that of the one-sided test against
        minus the margin. ``conclusion``: ``no further than another animal (within 0.05)``, ``further than another
        animal``, ``further by less than 0.05`` or ``undecided``.

    Raises
    ------
    InputError
        If no region has neurons of two subjects, RDMs and recording do not match, or RDMs of layers and patches would
        hold different dissimilarities.

    Notes
    -----
    Fits of layers and animals share stimuli and the neurons of the patch they are fitted to; the neurons of the other
    animals add a variance of their own. A few animals are no sample of all: the claim is about these.
    """
    margin = check_margin(margin)
    _check_dissimilarity(str(model_rdms.dissimilarity_measure), dissimilarity)
    ids = [str(one) for one in model_rdms.pattern_descriptors["stimulus_id"]]
    patches = patch_responses(recording, ids, by_subject=True)
    factors = resample if resample is not None else default_factors(model_rdms, model_rdms, recording=recording)
    comparison = Comparison(resample=factors, method=method)
    seed = int(rng.integers(2**63))
    frames = []
    for patch in patches:
        others = [one for one in patches if one.region == patch.region and one.subject != patch.subject]
        if not others:
            continue
        result = _result(model_rdms, patch, others, comparison, (dissimilarity, normalize), confidence, seed)
        frames.append(_animal_rows(result, patch, others, margin, correction))
    if not frames:
        raise InputError(
            "comparing layers with other animals needs a region with neurons of at least two subjects; this recording "
            f"has {', '.join(sorted({patch.name for patch in patches}))}"
        )
    return pd.concat(frames, ignore_index=True)


def _result(
    model_rdms: RDMs,
    patch: PatchResponses,
    others: list[PatchResponses],
    comparison: Comparison,
    made: tuple[str, str | None],
    confidence: float,
    seed: int,
) -> FitResult:
    """Fits of the layers and, in the last row, the mean fit of the other animals, to the patch of one animal."""
    patterns = pattern_table(model_rdms)
    of_others = [_patch_rdm(other, patterns, made) for other in others]
    joined = concat_rdms([model_rdms, *(_as_model(rdm, model_rdms) for rdm in of_others)])
    labels = rdm_table(joined)
    own = _patch_rdm(patch, patterns, made)
    found = _fits(joined, own, patch, made, comparison, confidence, seed)
    # The animals' mean takes the place of their single fits.
    n_layers = model_rdms.n_rdm
    mean = np.zeros((n_layers + 1, len(labels)))
    mean[np.arange(n_layers), np.arange(n_layers)] = 1.0
    mean[n_layers, n_layers:] = 1 / len(others)
    estimates = mean @ found.estimates
    deviations = {key: np.einsum("mk,dkr->dmr", mean, of) for key, of in found.deviations.items()}
    if factors_along("neurons", found.factors):
        target = concat_rdms([_as_model(own, model_rdms)])
        for other, rdm in zip(others, of_others, strict=True):
            turned = _fits(target, rdm, other, made, comparison, confidence, seed)
            for key, of in turned.deviations.items():
                if factors_along("neurons", key):
                    rows = np.zeros((len(of), n_layers + 1, 1))
                    rows[:, n_layers] = of[:, 0] / len(others)
                    deviations[key] = np.concatenate([deviations[key], rows])
    models = labels.iloc[: n_layers + 1].reset_index(drop=True)
    return found.of_statistic(estimates, found.draws[:, : n_layers + 1], deviations, models=models)


def _check_dissimilarity(of_layers: str, wanted: str) -> None:
    own = "euclidean" if of_layers in DISTANCES else of_layers
    if own in DISSIMILARITIES and own != wanted:
        raise InputError(
            f"RDMs of layers hold {own!r} dissimilarities and those of the animals would hold {wanted!r}, so that "
            f"layers and animals could not be compared; give dissimilarity={own!r}"
        )


def _patch_rdm(patch: PatchResponses, patterns: pd.DataFrame, made: tuple[str, str | None]) -> RDMs:
    rdm = find_dissimilarity(made[0]).of_responses(patch.normalised(made[1]))
    labels = {"region": [patch.region], "subject": [patch.subject]}
    return build_rdms(rdm[None], patterns=patterns, rdms=labels, dissimilarity=made[0])


def _as_model(rdm: RDMs, like: RDMs) -> RDMs:
    return build_rdms(
        rdm.dissimilarities,
        patterns=pattern_table(like),
        rdms={"model": [ANOTHER_ANIMAL], "layer": list(rdm.rdm_descriptors["subject"])},
        dissimilarity=like.dissimilarity_measure,
    )


def _fits(
    models: RDMs,
    neural: RDMs,
    patch: PatchResponses,
    made: tuple[str, str | None],
    comparison: Comparison,
    confidence: float,
    seed: int,
) -> FitResult:
    responses = {(patch.region, patch.subject): patch.normalised(made[1])}
    given = responses if factors_along("neurons", check_factors(comparison.resample or ())) else None
    experiment = make_experiment(models, neural, comparison, recording=given)
    table = rdm_table(neural)
    return jackknife_result(
        experiment, rdm_table(models), table, confidence=confidence, rng=np.random.default_rng(seed)
    )


def _animal_rows(
    result: FitResult, patch: PatchResponses, others: list[PatchResponses], margin: float, correction: str
) -> pd.DataFrame:
    n_layers = len(result.models) - 1
    weights = np.zeros((n_layers, n_layers + 1))
    weights[:, :n_layers] = np.eye(n_layers)
    weights[:, n_layers] = -1.0
    difference, se, p = (values[:, 0] for values in result.contrasts(weights))
    df = float(result.df[0])
    half = stats.t.ppf((1 + result.confidence) / 2, df) * se
    within = one_sided(difference + margin, se, df)
    p_adjusted, within_adjusted = adjust(p, correction), adjust(within, correction)
    labels = result.models.iloc[:n_layers]
    frame = pd.DataFrame({name: labels.get(name, "") for name in LAYER}, index=range(n_layers))
    frame = frame.assign(
        region=patch.region,
        subject=patch.subject,
        other_subjects=", ".join(other.subject for other in others),
        fit=result.estimates[:n_layers, 0],
        fit_of_animals=result.estimates[n_layers, 0],
        difference=difference,
        se=se,
        df=df,
        ci_low=difference - half,
        ci_high=difference + half,
        p=p,
        p_adjusted=p_adjusted,
        margin=margin,
        p_not_further=within,
        p_not_further_adjusted=within_adjusted,
        conclusion=_distances(difference, p_adjusted, within_adjusted, margin, result.confidence),
        n_neurons=patch.responses.shape[1],
        n_neurons_of_others=sum(other.responses.shape[1] for other in others),
    )
    return frame[list(ANIMAL_COLUMNS)]


def _distances(
    difference: np.ndarray, p: np.ndarray, p_within: np.ndarray, margin: float, confidence: float
) -> list[str]:
    further = rejects(p, confidence) & (difference < 0)
    within = rejects(p_within, confidence)
    found = []
    for is_further, is_within in zip(further, within, strict=True):
        if is_further and is_within:
            found.append(f"further by less than {margin:g}")
        elif is_further:
            found.append("further than another animal")
        elif is_within:
            found.append(f"no further than another animal (within {margin:g})")
        else:
            found.append("undecided")
    return found
