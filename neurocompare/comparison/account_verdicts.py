"""Which of several accounts made an experiment: calibrated odds, and "none of these".

Takes profiles of experiments that each account made in simulation; judges the profile of another experiment. Nothing is
known of the likelihood but these simulations. A Gaussian (synthetic) likelihood with one covariance for all accounts,
tempered until the odds are right on experiments that were held out, tells accounts apart. The distance from an
account, ranked among held-out experiments of that account (a conformal p), says whether it could have made the
experiment at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize, special

from neural_data.axes import Float
from neural_data.errors import InputError
from neural_data.rounding import is_constant

__all__ = [
    "NONE",
    "UNDECIDED",
    "Court",
    "Likelihood",
    "Verdict",
    "check_level",
    "make_court",
    "synthetic_likelihood",
]

NONE = "none of these"
UNDECIDED = "undecided"
FEWEST_EXPERIMENTS = 20
FEWEST_HELD_OUT = 19
TEMPERATURES = (1.0, 1e4)
SMALLEST_VARIANCE = 1e-4
"""Of a statistic within an account, as a share of its variance within accounts."""


@dataclass(frozen=True)
class Verdict:
    """Judgement of one experiment.

    Parameters
    ----------
    found : str
        Name of an account, :data:`UNDECIDED`, or :data:`NONE`.
    posterior : dict of str to float
        Probability of each account, given that one of them made the experiment, all equally likely before.
    p_typical : dict of str to float
        Share of the experiments of each account that are at least as far from the account as this one.
    """

    found: str
    posterior: dict[str, float]
    p_typical: dict[str, float]

    @property
    def candidates(self) -> tuple[str, ...]:
        """Accounts, most likely first."""
        return tuple(sorted(self.posterior, key=lambda name: -self.posterior[name]))


@dataclass(frozen=True)
class Likelihood:
    """Gaussian (synthetic) likelihood of every account, with one covariance, made by :func:`synthetic_likelihood`.

    Parameters
    ----------
    kept : boolean array of shape (n_statistics,)
        Statistics that vary.
    means : array of shape (n_accounts, n_kept)
        Of the experiments of each account.
    root : array of shape (n_kept, n_kept)
        Inverse Cholesky factor of the covariance.
    """

    kept: np.ndarray
    means: np.ndarray
    root: np.ndarray

    def logarithms(self, profiles: Float[np.ndarray, "experiments statistics"]) -> np.ndarray:
        """Log likelihoods, up to a constant, (n_experiments, n_accounts)."""
        return np.stack([-0.5 * _squared(profiles[:, self.kept] - mean, self.root) for mean in self.means], axis=1)


@dataclass(frozen=True)
class Court:
    """What is known of every account from simulated experiments, made by :func:`make_court`.

    Parameters
    ----------
    names : tuple of str
        Of the accounts.
    likelihood : Likelihood
        What tells them apart.
    temperature : float
        Divides log likelihoods.
    roots : array of shape (n_accounts, n_kept, n_kept)
        Inverse Cholesky factor of each account's own covariance, for distances.
    distances : tuple of arrays
        Of each account's held-out experiments from it, rising.
    """

    names: tuple[str, ...]
    likelihood: Likelihood
    temperature: float
    roots: np.ndarray
    distances: tuple[np.ndarray, ...]

    def posterior(self, profiles: Float[np.ndarray, "experiments statistics"]) -> np.ndarray:
        """Probabilities of the accounts, equally likely before, (n_experiments, n_accounts)."""
        return special.softmax(self.likelihood.logarithms(profiles) / self.temperature, axis=1)

    def p_typical(self, profiles: Float[np.ndarray, "experiments statistics"]) -> np.ndarray:
        """Conformal p of each account, (n_experiments, n_accounts): share of its held-out experiments as far away."""
        found = []
        for mean, root, distances in zip(self.likelihood.means, self.roots, self.distances, strict=True):
            own = _squared(profiles[:, self.likelihood.kept] - mean, root)
            as_far = len(distances) - np.searchsorted(distances, own, side="left")
            found.append((1 + as_far) / (1 + len(distances)))
        return np.stack(found, axis=1)

    def judge(
        self, profiles: Float[np.ndarray, "experiments statistics"], *, alpha: float = 0.05, certainty: float = 0.95
    ) -> list[Verdict]:
        """Verdict on each experiment.

        Parameters
        ----------
        profiles : array of shape (n_experiments, n_statistics)
            Statistics in the order of the simulated ones.
        alpha : float
            An account is excluded where at most this share of its own experiments are as far from it as this one.
        certainty : float
            Probability that names an account; below it the experiment is undecided.

        Returns
        -------
        list of Verdict
            :data:`NONE` where every account is excluded; :data:`UNDECIDED` where the most likely account is excluded
            but others are not, or is less than ``certainty`` likely; else its name.

        Raises
        ------
        InputError
            If so few experiments were held out that no p can be as small as ``alpha``.
        """
        check_level(alpha, min(map(len, self.distances)))
        odds, typical = self.posterior(profiles), self.p_typical(profiles)
        verdicts = []
        for probabilities, p in zip(odds, typical, strict=True):
            best = int(probabilities.argmax())
            if (p <= alpha).all():
                found = NONE
            elif probabilities[best] >= certainty and p[best] > alpha:
                found = self.names[best]
            else:
                found = UNDECIDED
            verdicts.append(
                Verdict(
                    found,
                    dict(zip(self.names, map(float, probabilities), strict=True)),
                    dict(zip(self.names, map(float, p), strict=True)),
                )
            )
        return verdicts


def check_level(alpha: float, n_held_out: int) -> None:
    """Refuse a level that no account could be excluded at.

    Parameters
    ----------
    alpha : float
        Level of the conformal p.
    n_held_out : int
        Experiments that it is ranked among: it is at least 1 / (n_held_out + 1).

    Raises
    ------
    InputError
        If it cannot be as small as ``alpha``.
    """
    if not 1 / (n_held_out + 1) <= alpha < 1:
        raise InputError(
            f"with {n_held_out} experiments held out no account can be excluded at {alpha:g}: hold out more, or give a "
            "larger level below 1"
        )


def make_court(
    learned: Mapping[str, np.ndarray],
    held_out: Mapping[str, np.ndarray],
) -> Court:
    """Learn from simulated experiments what each account predicts.

    Parameters
    ----------
    learned : mapping of str to array of shape (n_experiments, n_statistics)
        Profiles of independent experiments that each account made.
    held_out : mapping of str to array of shape (n_held_out, n_statistics)
        Others, in other animals where an account has several, to calibrate odds and distances.

    Returns
    -------
    Court

    Raises
    ------
    InputError
        With fewer than two accounts, fewer than 20 experiments of one or 19 held out (the least whose p can be 0.05),
        or values that are not finite.

    References
    ----------
    Wood (2010), Nature 466:1102 (synthetic likelihood); Ledoit & Wolf (2004), J Multivar Anal 88:365 (covariance);
    Guo, Pleiss, Sun & Weinberger (2017), ICML (temperature); Vovk, Gammerman & Shafer (2005), Algorithmic Learning in a
    Random World (conformal p).
    """
    if len(learned) < 2 or list(learned) != list(held_out):
        raise InputError(
            f"a verdict needs experiments of at least two accounts, and others of the same accounts that are held out; "
            f"there are {list(learned)} and {list(held_out)}"
        )
    for name in learned:
        for found, fewest in ((learned[name], FEWEST_EXPERIMENTS), (held_out[name], FEWEST_HELD_OUT)):
            if len(found) < fewest or not np.isfinite(found).all():
                raise InputError(
                    f"account {name!r}: a verdict needs at least {FEWEST_EXPERIMENTS} simulated experiments and "
                    f"{FEWEST_HELD_OUT} that are held out, with finite statistics; there are {len(found)}, "
                    f"{int(np.isfinite(found).all(axis=1).sum())} of them finite"
                )
    likelihood = synthetic_likelihood(learned)
    kept, means = likelihood.kept, likelihood.means
    rest = [found[:, kept] - mean for found, mean in zip(learned.values(), means, strict=True)]
    spread = np.concatenate(rest).std(axis=0)
    roots = np.stack([_inverse_root(own, spread) for own in rest])
    distances = tuple(
        np.sort(_squared(found[:, kept] - mean, root))
        for found, mean, root in zip(held_out.values(), means, roots, strict=True)
    )
    logarithms = [likelihood.logarithms(found) for found in held_out.values()]
    return Court(tuple(learned), likelihood, _temperature(logarithms), roots, distances)


def synthetic_likelihood(learned: Mapping[str, np.ndarray]) -> Likelihood:
    """Mean of every account's experiments, and their covariance within accounts, shrunk.

    Parameters
    ----------
    learned : mapping of str to array of shape (n_experiments, n_statistics)
        Profiles of the experiments of each account.

    Returns
    -------
    Likelihood

    Raises
    ------
    InputError
        If no statistic varies.
    """
    kept = ~is_constant(np.concatenate(list(learned.values())), axis=0)
    if not kept.any():
        raise InputError("no statistic varies over the simulated experiments; accounts cannot be told apart")
    means = np.stack([found[:, kept].mean(axis=0) for found in learned.values()])
    rest = np.concatenate([found[:, kept] - mean for found, mean in zip(learned.values(), means, strict=True)])
    return Likelihood(kept, means, _inverse_root(rest, rest.std(axis=0)))


def _squared(apart: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Squared Mahalanobis distances."""
    return ((apart @ root.T) ** 2).sum(axis=1)


def _inverse_root(centred: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Inverse Cholesky factor of the shrunk covariance of centred rows, statistics in units of their spread."""
    from sklearn.covariance import ledoit_wolf

    scale = np.where(spread > 0, spread, 1.0)
    covariance, _ = ledoit_wolf(centred / scale, assume_centered=True)
    # Keeps the matrix positive definite where the experiments of an account do not vary.
    covariance = covariance + SMALLEST_VARIANCE * np.eye(len(covariance))
    factor = linalg.cholesky(covariance, lower=True)
    return linalg.solve_triangular(factor, np.diag(1 / scale), lower=True)


def _temperature(logarithms: Sequence[np.ndarray]) -> float:
    """Temperature with the largest likelihood of the accounts of held-out experiments; accounts weigh alike."""

    def loss(log_temperature: float) -> float:
        tempered = [special.log_softmax(logs / np.exp(log_temperature), axis=1) for logs in logarithms]
        return -float(np.mean([own[:, place].mean() for place, own in enumerate(tempered)]))

    return float(np.exp(optimize.minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))
