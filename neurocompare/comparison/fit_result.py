"""Results of resampled fits: variances, intervals, tests and tables.

Takes the fits on the data and on every draw of every resampled factor (see ``inference``); computes no fits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from neural_data.errors import InputError, closest
from neural_data.rounding import RESOLUTION, first_largest
from neurocompare.comparison.calibration_notes import regime_notes
from neurocompare.comparison.equivalence_tests import with_equality
from neurocompare.comparison.fit_text import RECORDING_COLUMNS, html_text, summary_text
from neurocompare.comparison.multiplicity import adjust, rejects, share_at_least
from neurocompare.comparison.resampling import FACTORS, factors_along
from neurocompare.representations.rdms import LAYER, NETWORK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rsatoolbox.inference import Result

__all__ = ["FIT_COLUMNS", "FitResult", "networks_of"]

FIT_COLUMNS = (
    *(*LAYER, "region", "subject", "dissimilarity", "method", "resample"),
    *("n_draws", "n_stimuli", "n_identities", "n_neurons", "fit", "se", "ci_low", "ci_high", "p_zero"),
    *("p_zero_adjusted", "p_ceiling", "ceiling_lower", "ceiling_upper", "corrected_fit", "corrected_low"),
    *("corrected_high", "p_identity", "p_identity_adjusted", "control"),
)
"""Columns of ``FitResult.to_frame``: those of ``tables/fits.csv`` that come from fits alone."""


@dataclass(frozen=True)
class FitResult:
    """Fits of models to recordings and their resampling draws.

    Parameters
    ----------
    models, recordings : pandas.DataFrame
        RDM descriptors of the models and of the neural RDMs, one row each.
    estimates : array of shape (n_models, n_recordings)
        Fits on the data, without resampling.
    draws : array of shape (n_draws, n_models, n_recordings)
        Fits on draws with replacement of all crossed factors together.
    deviations : dict of tuple of str to array of shape (n_refits, n_models, n_recordings)
        Deviations whose squares, summed over refits, are the variance of each factor and of each pair of factors.
    variance : {"jackknife", "bootstrap"}
        Resampling method of the deviations.
    sizes : dict of str to integer array of shape (n_recordings,)
        Number of units of each factor: stimuli, identities, neurons, subjects.
    factors : tuple of str
        Resampled factors.
    method, dissimilarity : str
        How RDMs were compared, and the dissimilarity of the neural RDMs.
    n_stimuli, n_identities : int, int or None
        Stimuli of the RDMs, and identities among them; None if they are not known.
    n_neurons : array of shape (n_recordings,)
        Neurons of each recording; NaN if they are not known.
    n_redrawn : dict of str to int
        Draws of each factor that held too few different units, and were drawn again.
    ceilings : pandas.DataFrame or None
        Columns ``ceiling_lower, ceiling_upper, ceiling_lower_se``, one row per recording.
    ceilings_over : {"neurons", "subjects"}
        What the ceilings are taken over: the reliability over neurons and its root, or the lower and upper bound of
        Nili et al. (2014) for the mean fit over subjects. Fits are tested against, and corrected by, the first alone.
    ceilings_missing : str
        Why there are no ceilings, or not of all recordings.
    ceiling_deviations : dict of tuple of str to array of shape (n_refits, n_recordings), or None
        Deviations of Fisher's z of the reliabilities in the same refits; None if not computed in them.
    identity_null : array of shape (n_permutations, n_models, n_recordings), or str
        Fits to recordings with identities permuted and views kept; or a text, why there are none.
    control : tuple of str
        Controls partialled out of models and recordings, see ``controls``.
    confidence : float
        Nominal coverage of the intervals.
    """

    models: pd.DataFrame
    recordings: pd.DataFrame
    estimates: np.ndarray
    draws: np.ndarray
    deviations: dict[tuple[str, ...], np.ndarray]
    variance: str
    sizes: dict[str, np.ndarray]
    factors: tuple[str, ...]
    method: str
    dissimilarity: str
    n_stimuli: int
    n_identities: int | None
    n_neurons: np.ndarray
    n_redrawn: dict[str, int]
    ceilings: pd.DataFrame | None = None
    ceilings_over: str = "neurons"
    ceilings_missing: str = ""
    ceiling_deviations: dict[tuple[str, ...], np.ndarray] | None = None
    identity_null: np.ndarray | str = "identities were not permuted"
    control: tuple[str, ...] = ()
    confidence: float = 0.95

    @property
    def n_draws(self) -> int:
        """Number of draws with replacement."""
        return len(self.draws)

    @cached_property
    def variances(self) -> np.ndarray:
        """Variance of each fit, (n_models, n_recordings); NaN if a fit is undefined."""
        parts = {key: (deviations**2).sum(axis=0) for key, deviations in self.deviations.items()}
        return np.where(np.isnan(self.estimates), np.nan, self._combined(parts, self.sizes))

    @property
    def se(self) -> np.ndarray:
        """Standard error of each fit, (n_models, n_recordings)."""
        return np.sqrt(self.variances)

    @cached_property
    def df(self) -> np.ndarray:
        """Degrees of freedom of the t intervals and tests, (n_recordings,): the smallest factor's units minus one.

        In the jackknife, the units of a factor are the parts that were left out.
        """
        sizes = self.sizes
        if self.variance == "jackknife":
            sizes = {factor: np.array([FACTORS[factor].parts(n) for n in found]) for factor, found in sizes.items()}
        return np.min(list(sizes.values()), axis=0) - 1

    @property
    def ci(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends of the confidence intervals, each (n_models, n_recordings)."""
        half = stats.t.ppf((1 + self.confidence) / 2, self.df) * self.se
        return self.estimates - half, self.estimates + half

    @cached_property
    def p_zero(self) -> np.ndarray:
        """One-sided p of each fit against 0, (n_models, n_recordings)."""
        return stats.t.sf(_ratio(*_settled(self.estimates, self.se)), self.df)

    @cached_property
    def p_identity(self) -> np.ndarray:
        """One-sided p of each fit under permuted identities, views kept, (n_models, n_recordings).

        Small if model and recording agree about identities beyond their agreement about views. NaN unless all
        identities are shown in the same views.
        """
        if isinstance(self.identity_null, str):
            return np.full(self.estimates.shape, np.nan)
        return share_at_least(self.identity_null, self.estimates)

    def p_identity_adjusted(self, correction: str = "bh") -> np.ndarray:
        """``p_identity``, adjusted over the models and layers within each recording, (n_models, n_recordings)."""
        if isinstance(self.identity_null, str):
            return self.p_identity
        null = self.identity_null
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = (self.estimates - null.mean(axis=0)) / null.std(axis=0, ddof=1)
        columns = [
            adjust(self.p_identity[:, r], correction, statistics=scores[:, r], draws=null[:, :, r])
            for r in range(len(self.recordings))
        ]
        return np.stack(columns, axis=1)

    def p_zero_adjusted(self, correction: str = "bh") -> np.ndarray:
        """P against 0, adjusted over the models and layers within each recording, (n_models, n_recordings)."""
        z = stats.norm.isf(self.p_zero)
        columns = [
            adjust(self.p_zero[:, r], correction, statistics=z[:, r], draws=self.draws[:, :, r])
            for r in range(len(self.recordings))
        ]
        return np.stack(columns, axis=1)

    @property
    def has_reliabilities(self) -> bool:
        """Whether the ceilings are reliabilities, against which fits can be tested."""
        return self.ceilings is not None and self.ceilings_over == "neurons"

    @cached_property
    def roots(self) -> np.ndarray:
        """Root of each recording's reliability, (n_recordings,): the expected fit of a true model.

        NaN without ceilings over neurons, and if the reliability is not above 0.
        """
        if self.ceilings is None or not self.has_reliabilities:
            return np.full(len(self.recordings), np.nan)
        reliability = self.ceilings["ceiling_lower"].to_numpy(dtype=float)
        return np.sqrt(np.where(reliability > 0, reliability, np.nan))

    @cached_property
    def p_ceiling(self) -> np.ndarray:
        """Two-sided p of each fit against the root of the reliability, (n_models, n_recordings); NaN without ceilings.

        The root is the expected fit of a true model. Its error is included, with its covariance with the fit's error if
        the reliability was computed in the same refits; else as independent.
        """
        return self.below_ceiling.p_two_sided

    @cached_property
    def below_ceiling(self) -> FitResult:
        """The same result with each fit minus the root of the reliability in place of the fit."""
        return self._with_roots(self.estimates - self.roots, fit=1.0, root=-1.0)

    @cached_property
    def corrected(self) -> FitResult:
        """The same result with noise-corrected fits: fits divided by the root of the reliability.

        A true model has an expected value of 1. Standard errors and intervals include the errors of the roots; NaN
        without ceilings.
        """
        corrected = self.estimates / self.roots
        return self._with_roots(corrected, fit=1 / self.roots, root=-corrected / self.roots)

    @cached_property
    def p_two_sided(self) -> np.ndarray:
        """Two-sided p of each estimate against 0, (n_models, n_recordings)."""
        return 2 * stats.t.sf(np.abs(_ratio(*_settled(self.estimates, self.se))), self.df)

    def _with_roots(self, estimates: np.ndarray, *, fit: np.ndarray | float, root: np.ndarray | float) -> FitResult:
        """Result for estimates with derivative ``fit`` with respect to each fit and ``root`` to each root."""
        if self.ceilings is None or not self.has_reliabilities:
            moved = {key: np.full_like(found, np.nan) for key, found in self.deviations.items()}
        else:
            of_roots = self._root_deviations(self.ceilings)
            moved = {
                key: np.asarray(fit) * _rows_added(found, of_roots[key])
                + np.asarray(root) * _rows_added(of_roots[key][:, None], found)
                for key, found in self.deviations.items()
            }
        draws = self.draws * fit + (estimates - self.estimates * fit)
        return self.of_statistic(estimates, draws, moved)

    def of_statistic(
        self,
        estimates: np.ndarray,
        draws: np.ndarray,
        deviations: dict[tuple[str, ...], np.ndarray],
        *,
        models: pd.DataFrame | None = None,
    ) -> FitResult:
        """The same result for another statistic instead of fits, without ceilings and permutations of identities.

        Parameters
        ----------
        estimates, draws, deviations
            As in the class.
        models : pandas.DataFrame or None
            Labels of the rows of the statistic, if they are not the models.
        """
        return replace(
            self,
            models=self.models if models is None else models,
            estimates=estimates,
            draws=draws,
            deviations=deviations,
            ceilings=None,
            ceiling_deviations=None,
            ceilings_missing="",
            identity_null="identities are permuted for fits alone",
        )

    def _root_deviations(self, ceilings: pd.DataFrame) -> dict[tuple[str, ...], np.ndarray]:
        """Deviations of the roots, (n_refits, n_recordings), by factor."""
        reliability = np.where(self.roots > 0, self.roots**2, np.nan)
        if self.ceiling_deviations is not None:
            slope = (1 - reliability**2) / (2 * self.roots)
            return {key: found * slope for key, found in self.ceiling_deviations.items()}
        n_recordings = len(self.recordings)
        found = {key: np.zeros((len(of), n_recordings)) for key, of in self.deviations.items()}
        se = ceilings["ceiling_lower_se"].fillna(0).to_numpy(dtype=float) / (2 * self.roots)
        # One more row per recording, in which no fit deviates: independent errors. Bootstrap variances are scaled
        # later.
        first = next(key for key in found if len(key) == 1)
        scale = 1.0 if self.variance == "jackknife" else np.sqrt(1 - 1 / self.sizes[first[0]])
        found[first] = np.concatenate([found[first], np.diag(se * scale)])
        return found

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Caveats for readers: undefined fits, redrawn draws, and known errors of intervals from the calibration."""
        notes = []
        undefined = int(np.isnan(self.estimates).sum())
        if undefined:
            notes.append(f"{undefined} of {self.estimates.size} fits are undefined: an RDM is constant or all NaN")
        lost = int(np.isnan(self.draws[:, ~np.isnan(self.estimates)]).sum())
        if lost:
            notes.append(f"{lost} fits on draws are undefined and left out")
        spreadless = int((np.isnan(self.variances) & ~np.isnan(self.estimates)).sum())
        if spreadless:
            notes.append(f"{spreadless} fits have no standard error: without a part of the data they are undefined")
        notes += [
            f"{n} draws of the {factor} factor left too few distinct units and were redrawn"
            for factor, n in self.n_redrawn.items()
            if n
        ]
        notes += regime_notes(self.factors, self.variance, self.sizes)
        if isinstance(self.identity_null, str):
            notes.append(f"p_identity is empty: {self.identity_null}")
        if self.ceilings_missing:
            notes.append(f"no noise ceilings: {self.ceilings_missing}")
        if self.has_reliabilities and self.ceiling_deviations is None:
            notes.append(
                "errors of fits and of noise ceilings are taken as independent in p_ceiling and in corrected fits: "
                "neurons were not left out, or the method compares RDMs one by one"
            )
        return tuple(notes)

    def to_frame(self, correction: str = "bh") -> pd.DataFrame:
        """One row per model (layer) and recording, columns ``FIT_COLUMNS``.

        Parameters
        ----------
        correction : {"bh", "holm", "max", "none"}
            How ``p_zero_adjusted`` is adjusted over the models and layers within a recording.

        Returns
        -------
        pandas.DataFrame
            Empty (NaN or "") if a column does not apply.
        """
        n_models, n_recordings = self.estimates.shape
        model, recording = np.divmod(np.arange(n_models * n_recordings), n_recordings)
        frame = pd.DataFrame(index=range(n_models * n_recordings), columns=list(FIT_COLUMNS))
        for source, names, rows in (
            (self.models, LAYER, model),
            (self.recordings, RECORDING_COLUMNS, recording),
        ):
            for name in names:
                frame[name] = source[name].to_numpy()[rows] if name in source.columns else _empty(name)
        low, high = self.ci
        ceilings, corrected = self.ceilings, self.corrected
        frame = frame.assign(
            dissimilarity=self.dissimilarity,
            method=self.method,
            resample="+".join(self.factors),
            n_draws=self.n_draws,
            n_stimuli=self.n_stimuli,
            n_identities=np.nan if self.n_identities is None else self.n_identities,
            n_neurons=self.n_neurons[recording],
            fit=self.estimates.ravel(),
            se=self.se.ravel(),
            ci_low=low.ravel(),
            ci_high=high.ravel(),
            p_zero=self.p_zero.ravel(),
            p_zero_adjusted=self.p_zero_adjusted(correction).ravel(),
            p_identity=self.p_identity.ravel(),
            p_identity_adjusted=self.p_identity_adjusted(correction).ravel(),
            control="+".join(self.control) or "none",
            p_ceiling=self.p_ceiling.ravel(),
            ceiling_lower=np.nan if ceilings is None else ceilings["ceiling_lower"].to_numpy()[recording],
            ceiling_upper=np.nan if ceilings is None else ceilings["ceiling_upper"].to_numpy()[recording],
            corrected_fit=corrected.estimates.ravel(),
            corrected_low=corrected.ci[0].ravel(),
            corrected_high=corrected.ci[1].ravel(),
        )
        return frame

    def to_rsatoolbox(self, region: str | None = None, subject: str | None = None) -> Result:
        """The fits to one recording as rsatoolbox's result, for its plots, summaries and tests.

        Parameters
        ----------
        region, subject : str or None
            Which recording; required if there are several.

        Returns
        -------
        rsatoolbox.inference.Result
            Evaluation type ``"fixed"``: the evaluations, and so the means, are the fits on the data. Model
            variances are the squares of ``se``; variances of differences are those of :meth:`pairwise`. Both bounds of
            the noise ceiling are the root of the reliability, which bounds a true model's fit, so that plots show a
            line; they are passed with their error, so that ``test_noise()`` gives ``p_ceiling``. Ceilings over
            subjects are passed as lower and upper bound, as rsatoolbox computes them. NaN where there is no ceiling:
            plots of rsatoolbox then draw none, and warn of an empty mean.

        Raises
        ------
        InputError
            If the labels match no recording, or more than one.
        """
        from rsatoolbox.inference import Result
        from rsatoolbox.model import Model

        r = self._recording_of(region, subject)
        first, second = np.triu_indices(len(self.models), 1)
        parts = {key: _squares_of_pairs(of[:, :, r], first, second) for key, of in self.deviations.items()}
        apart = self._combined(parts, {factor: size[r] for factor, size in self.sizes.items()})
        covariance = np.diag(self.variances[:, r])
        shared = (self.variances[first, r] + self.variances[second, r] - apart) / 2
        covariance[first, second] = covariance[second, first] = shared
        if np.isfinite(self.roots[r]):
            covariance = self._with_ceiling(covariance, r)
        bounds = np.repeat(self.roots[r], 2)
        if self.ceilings is not None and not self.has_reliabilities:
            bounds = self.ceilings[["ceiling_lower", "ceiling_upper"]].to_numpy(dtype=float)[r]
        return Result(
            [Model(name) for name in self._model_names()],
            self.estimates[None, :, r, None],
            method=self.method,
            cv_method="fixed",
            noise_ceiling=bounds,
            variances=covariance,
            dof=int(self.df[r]),
        )

    def _with_ceiling(self, covariance: np.ndarray, r: int) -> np.ndarray:
        """Covariance of fits (n_models, n_models) with two more rows and columns for the root of the reliability."""
        roots = np.broadcast_to(self.roots, self.estimates.shape)
        of_root = self._with_roots(roots, fit=0.0, root=1.0).variances[0, r]
        shared = (self.variances[:, r] + of_root - self.below_ceiling.variances[:, r]) / 2
        both = np.pad(covariance, ((0, 2), (0, 2)), constant_values=of_root)
        both[:-2, -2:] = shared[:, None]
        both[-2:, :-2] = shared
        return both

    def _recording_of(self, region: str | None, subject: str | None) -> int:
        keep = np.ones(len(self.recordings), dtype=bool)
        for name, wanted in (("region", region), ("subject", subject)):
            if wanted is not None:
                known = self.recordings[name].astype(str) if name in self.recordings else pd.Series([], dtype=str)
                if wanted not in set(known):
                    raise InputError(f"no recording of {name} {wanted!r}: {closest(wanted, dict.fromkeys(known))}")
                keep &= (known == wanted).to_numpy()
        if keep.sum() != 1:
            raise InputError(
                f"a result of rsatoolbox is of one recording, but {keep.sum()} were selected; name region and subject"
            )
        return int(np.flatnonzero(keep)[0])

    def _model_names(self) -> list[str]:
        """One name per model: its layer if layers are unique, else all descriptors."""
        columns = [name for name in LAYER if name in self.models.columns and name != "layer_index"]
        telling = [name for name in columns if self.models[name].nunique(dropna=False) > 1] or columns[:1]
        if not telling:
            return [f"model {row + 1}" for row in range(len(self.models))]
        return [" ".join(str(value) for value in row if str(value)) for row in self.models[telling].to_numpy().tolist()]

    def contrasts(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weighted sums of fits and their two-sided tests against 0.

        Parameters
        ----------
        weights : array of shape (n_contrasts, n_models) or (n_contrasts, n_models, n_recordings)
            For instance 1 for one layer and -1 for another, or the difference between two regimes' means; with weights
            for each recording, a comparison across recordings.

        Returns
        -------
        estimates, se, p : arrays of shape (n_contrasts, n_recordings), or (n_contrasts,) across recordings
            Of each contrast.

        Notes
        -----
        Recordings share their stimuli and thus the deviations over stimuli; their neurons and subjects are taken as
        independent. A contrast is NaN if a fit with non-zero weight is undefined.
        """
        weights = np.asarray(weights, dtype=float)
        across = weights.ndim == 3
        weights = weights if across else weights[:, :, None]
        terms = np.stack([_weighted(self.estimates, row) for row in weights])
        parts = {}
        for key, deviations in self.deviations.items():
            moved = np.stack([_weighted(deviations, row) for row in weights], axis=1)
            shared = key == factors_along("stimuli", self.factors)
            parts[key] = (moved.sum(axis=2) ** 2).sum(axis=0) if across and shared else (moved**2).sum(axis=0)
            if across and not shared:
                parts[key] = parts[key].sum(axis=1)
        estimates = terms.sum(axis=1) if across else terms
        smallest = {factor: size.min() for factor, size in self.sizes.items()}
        se = np.sqrt(self._combined(parts, smallest if across else self.sizes))
        estimates, se = _settled(estimates, se, np.abs(weights).sum(axis=(1, 2) if across else 1))
        df = self.df.min() if across else self.df
        return estimates, se, 2 * stats.t.sf(np.abs(_ratio(estimates, se)), df)

    def pairwise(self, correction: str = "bh", *, margin: float | None = None) -> pd.DataFrame:
        """Differences between all pairs of models (layers) within each recording, tested two-sided.

        Parameters
        ----------
        correction : {"bh", "holm", "max", "none"}
            How ``p_adjusted`` is adjusted over the pairs within a recording.
        margin : float or None
            Smallest difference that matters, above 0: tests whether fits are equal within it, too.

        Returns
        -------
        pandas.DataFrame
            Columns ``region, subject``, the models' descriptors with ``_1`` and ``_2``, ``difference`` (first minus
            second), ``se, df, ci_low, ci_high, p, p_adjusted, correction``; with a margin also ``margin, p_equal`` (two
            one-sided tests), ``p_equal_adjusted`` (over the pairs; Holm where p is adjusted by ``max``) and
            ``conclusion``, see ``equivalence_tests.with_equality``.
        """
        first, second = np.triu_indices(len(self.models), 1)
        frames = []
        for r in range(len(self.recordings)):
            difference, se = self._differences(first, second, r)
            t = _ratio(difference, se)
            p = 2 * stats.t.sf(np.abs(t), self.df[r])
            half = stats.t.ppf((1 + self.confidence) / 2, self.df[r]) * se
            draws = self.draws[:, first, r] - self.draws[:, second, r] if correction == "max" else None
            frame = pd.DataFrame(
                {name: self.recordings[name].iloc[r] for name in RECORDING_COLUMNS if name in self.recordings},
                index=range(len(first)),
            )
            for name in LAYER:
                if name in self.models.columns:
                    values = self.models[name].to_numpy()
                    frame[f"{name}_1"], frame[f"{name}_2"] = values[first], values[second]
            frames.append(
                frame.assign(
                    difference=difference,
                    se=se,
                    df=self.df[r],
                    ci_low=difference - half,
                    ci_high=difference + half,
                    p=p,
                    p_adjusted=adjust(p, correction, statistics=stats.norm.isf(p / 2), draws=draws, two_sided=True),
                    correction=correction,
                )
            )
            if margin is not None:
                frames[-1] = with_equality(
                    frames[-1], margin, p="p_adjusted", correction=correction, confidence=self.confidence
                )
        return pd.concat(frames, ignore_index=True)

    def _differences(self, first: np.ndarray, second: np.ndarray, r: int) -> tuple[np.ndarray, np.ndarray]:
        """Fits of some models minus those of others to one recording, and their standard errors."""
        difference = self.estimates[first, r] - self.estimates[second, r]
        parts = {key: _squares_of_pairs(of[:, :, r], first, second) for key, of in self.deviations.items()}
        se = np.sqrt(self._combined(parts, {factor: n[r] for factor, n in self.sizes.items()}))
        return _settled(difference, np.where(np.isnan(difference), np.nan, se))

    def not_told_from_best(self, members: np.ndarray, r: int) -> np.ndarray:
        """Confidence set of the model that fits a recording best.

        Parameters
        ----------
        members : integer array of shape (n_members,)
            Models to choose from, such as the layers of a network.
        r : int
            The recording.

        Returns
        -------
        boolean array of shape (n_members,)
            False for a model that another model fits significantly better than: two-sided at ``1 - confidence``, as in
            :meth:`pairwise`, corrected for the number of other models (maximum statistic over draws; Holm without
            draws). The truly best model, and any as good, is in the set with probability of at least ``confidence``.
            False if a fit is undefined.
        """
        kept = ~np.isnan(self.estimates[members, r])
        for place in np.flatnonzero(kept):
            others = np.delete(members, place)
            own = np.full(len(others), members[place])
            if not len(others):
                continue
            p = stats.t.sf(_ratio(*self._differences(others, own, r)), self.df[r])
            draws = self.draws[:, others, r] - self.draws[:, own, r]
            correction = "max" if len(draws) else "holm"
            adjusted = adjust(p, correction, statistics=stats.norm.isf(p), draws=draws)
            kept[place] = not rejects(2 * adjusted, self.confidence).any()
        return kept

    def no_identity_found(self, members: np.ndarray, r: int) -> str:
        """Why the best layer for a recording is not compared with that of others; empty if it can be compared.

        Best layers are compared between recordings only if, for each, some layer fits significantly better than with
        permuted identities, corrected for the number of layers (maximum statistic over permutations).
        """
        where = " ".join(str(self.recordings[n].iloc[r]) for n in RECORDING_COLUMNS if n in self.recordings).strip()
        if isinstance(self.identity_null, str):
            return f"{where}: identities were not permuted ({self.identity_null})"
        null, fits = self.identity_null[:, members, r], self.estimates[members, r]
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = (fits - null.mean(axis=0)) / null.std(axis=0, ddof=1)
        adjusted = adjust(self.p_identity[members, r], "max", statistics=scores, draws=null)
        if rejects(adjusted, self.confidence).any():
            return ""
        return f"no layer fits {where} beyond permuted identities"

    def best_layer(self) -> pd.DataFrame:
        """Best-fitting layer of each network and recording, and the layers that may be as good.

        Returns
        -------
        pandas.DataFrame
            One row per network (``model, regime, seed``) and recording: ``layer, layer_index, fit``, ``relative_depth``
            (0 the first, 1 the last of the layers given), ``layer_set`` (confidence set of the best layer, see
            :meth:`not_told_from_best`) and their number ``n_in_set``, ``depth_low, depth_high`` and ``layer_low,
            layer_high`` (the first and the last layer of the set), ``share`` (of draws in which this layer is the
            best) and ``n_layers``.

        Notes
        -----
        The fit of the best layer is biased upwards, as the maximum of several noisy numbers: test it on other
        identities, see ``layer_tests.cross_validated_best_layer``.
        """
        models = self.models.reset_index(drop=True)
        rows = []
        for labels, members in networks_of(models):
            depths = np.linspace(0, 1, len(members)) if len(members) > 1 else np.zeros(1)
            names = models["layer"].to_numpy()[members] if "layer" in models.columns else members
            for r in range(len(self.recordings)):
                fits = self.estimates[members, r]
                row = dict(labels)
                row |= {name: self.recordings[name].iloc[r] for name in RECORDING_COLUMNS if name in self.recordings}
                row |= {"n_layers": len(members)}
                if np.isnan(fits).all():
                    rows.append(row)
                    continue
                best = int(first_largest(fits))
                draws = self.draws[:, members, r]
                winners = first_largest(draws, axis=1)
                kept = np.flatnonzero(self.not_told_from_best(members, r))
                low, high = kept[0], kept[-1]
                row |= {
                    "layer": names[best],
                    "layer_index": models["layer_index"].iloc[members[best]] if "layer_index" in models else best,
                    "fit": fits[best],
                    "relative_depth": depths[best],
                    "depth_low": depths[low],
                    "depth_high": depths[high],
                    "layer_low": names[low],
                    "layer_high": names[high],
                    "layer_set": ", ".join(str(names[place]) for place in kept),
                    "n_in_set": len(kept),
                    "share": float(np.mean(winners == best)),
                }
                rows.append(row)
        columns = [
            *(name for name in NETWORK if name in models.columns),
            *(name for name in RECORDING_COLUMNS if name in self.recordings),
            "layer",
            "layer_index",
            "fit",
        ]
        columns += ["relative_depth", "depth_low", "depth_high", "layer_low", "layer_high", "layer_set", "n_in_set"]
        columns += ["share", "n_layers"]
        return pd.DataFrame(rows, columns=columns)

    def summary(self, n_rows: int = 40) -> str:
        """Fits, ceilings and tests in plain text, with a sentence per network and recording; also ``str(result)``."""
        return summary_text(self, n_rows)

    def plot(
        self, region: str | None = None, *, subject: str | None = None, ax: Axes | None = None
    ) -> Axes | np.ndarray:
        """Fits of all layers to each patch, see :func:`neurocompare.plot_fits`."""
        from neurocompare import plot_fits

        return plot_fits(self, region=region, subject=subject, ax=ax)

    def __repr__(self) -> str:
        return (
            f"<FitResult: {len(self.models)} models x {len(self.recordings)} recordings, {self.method}, "
            f"{self.n_stimuli} stimuli, resampled by {'+'.join(self.factors)}>"
        )

    def _repr_html_(self) -> str:
        return html_text(self)

    def __str__(self) -> str:
        return self.summary()

    def _combined(self, parts: dict[tuple[str, ...], np.ndarray], sizes: dict[str, np.ndarray]) -> np.ndarray:
        """Variance from those of single and crossed factors; see the notes of ``inference.infer_fits``."""
        pattern = next(iter(factors_along("stimuli", self.factors)), None)
        neurons, subjects = (factors_along(axis, self.factors) for axis in ("neurons", "subjects"))
        sampled = next(iter(neurons + subjects), None)
        if self.variance == "jackknife":
            single = {f: parts[f,] for f in self.factors}
        else:
            single = {f: parts[f,] * sizes[f] / (sizes[f] - 1) for f in self.factors}
        if pattern is None or sampled is None:
            (only,) = (factor for factor in (pattern, sampled) if factor is not None)
            combined = single[only]
        elif self.variance == "jackknife":
            combined = single[pattern] + single[sampled] - parts[pattern, sampled]
            least = [single[factor] / FACTORS[factor].degree for factor in (pattern, sampled)]
            combined = np.maximum(combined, np.maximum(*least))
        else:
            both = parts[pattern, sampled]
            n, m = sizes[pattern], sizes[sampled]
            excess = both - parts[pattern,] - parts[sampled,]
            combined = single[pattern] + single[sampled] - n * m / ((n - 1) * (m - 1)) * excess
            combined = np.minimum(np.maximum(combined, np.maximum(single[pattern], single[sampled])), both)
        if neurons and subjects:
            combined = combined + np.maximum(single[subjects[0]] - single[neurons[0]], 0)
        return combined


def networks_of(models: pd.DataFrame) -> Iterator[tuple[dict, np.ndarray]]:
    """Labels (``model, regime, seed``) of each network and the rows of its layers, first layer first."""
    models = models.reset_index(drop=True)
    keys = [name for name in NETWORK if name in models.columns]
    groups = models.groupby(keys, sort=False, dropna=False).indices.values() if keys else [np.arange(len(models))]
    for members in groups:
        members = np.asarray(members)
        if "layer_index" in models.columns:
            members = members[np.argsort(models["layer_index"].to_numpy()[members], kind="stable")]
        yield {name: models[name].iloc[members[0]] for name in keys}, members


def _rows_added(deviations: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Deviations with rows of zeros appended, up to the number of rows of ``other``."""
    missing = max(len(other) - len(deviations), 0)
    return np.pad(deviations, ((0, missing), *((0, 0),) * (deviations.ndim - 1)))


def _weighted(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sums over models of values (..., n_models, n_recordings); values with weight 0 may be undefined."""
    used = (weights != 0).any(axis=1)
    return np.where(weights[used] != 0, values[..., used, :] * weights[used], 0.0).sum(axis=-2)


def _squares_of_pairs(deviations: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Sum of squared differences between two columns of deviations (n_refits, n_models), for each pair of columns."""
    products = deviations.T @ deviations
    squares = np.diag(products)
    return np.maximum(squares[first] + squares[second] - 2 * products[first, second], 0)


def _settled(estimates: np.ndarray, se: np.ndarray, size: np.ndarray | float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Estimates and standard errors, set to 0 within rounding error, so that two equal layers give no test.

    ``size`` is the magnitude of the fits in an estimate; fits are correlations and lie within -1 and 1.
    """
    limit = RESOLUTION * np.reshape(size, np.shape(size) + (1,) * (np.ndim(estimates) - np.ndim(size)))
    nothing = (np.abs(estimates) <= limit) & (se <= limit)
    return np.where(nothing, 0.0, estimates), np.where(nothing, 0.0, se)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient without warnings: infinite if the denominator is 0, NaN for 0 / 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return numerator / denominator


def _empty(name: str) -> object:
    return "" if name in ("model", "regime", "layer", "region", "subject") else np.nan
