"""Power analysis: the size of experiment needed to distinguish two layers (or regimes), by simulation.

For every size of experiment, populations that read the first layer are simulated and analysed exactly like a recording.
Power is the share of experiments in which the first layer fits significantly better than the second.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from joblib import Parallel
from scipy import stats

from neural_data.errors import InputError
from neural_data.recordings import select_window
from neural_data.rounding import RESOLUTION
from neurocompare.comparison.inference import jackknife_result
from neurocompare.comparison.methods import find_method
from neurocompare.comparison.refitting import Experiment
from neurocompare.comparison.resampling import FACTORS, check_factors, cluster_codes, factors_along
from neurocompare.processes import delayed
from neurocompare.representations.dissimilarities import correlation_dissimilarity

__all__ = ["POWER_COLUMNS", "PowerPlan", "power_analysis", "simulate_readers", "trial_noise"]

POWER_COLUMNS = (
    *("n_identities", "n_neurons", "n_repetitions", "fit_first", "fit_second", "difference", "se", "power"),
    *("power_low", "power_high", "n_experiments", "simulated"),
)
FEWEST_IDENTITIES = 3


@dataclass(frozen=True)
class PowerPlan:
    """Sizes of experiment to simulate, and their analysis.

    Parameters
    ----------
    n_identities, n_neurons, n_repetitions : sequences of int
        Sizes; every combination is simulated.
    noise : float
        Ratio of the standard deviation over trials to that of a neuron's mean responses over stimuli; see
        :func:`trial_noise`.
    n_experiments : int
        Simulated experiments of each size.
    alpha : float
        Level of the two-sided test of the difference.
    read_share : float
        Share of a layer's units that a neuron reads, with random weights.
    resample, method
        As in ``infer_fits``.
    """

    n_identities: Sequence[int] = (5, 10, 25, 50)
    n_neurons: Sequence[int] = (30, 100, 190)
    n_repetitions: Sequence[int] = (10,)
    noise: float = 3.0
    n_experiments: int = 100
    alpha: float = 0.05
    read_share: float = 0.1
    resample: str | Sequence[str] = ("identity", "neuron")
    method: str = "corr"

    def __post_init__(self):
        find_method(self.method)
        factors = check_factors(self.resample)
        if factors_along("subjects", factors):
            raise InputError("power is simulated for neurons of one subject; resample identities, stimuli or neurons")
        for name, least in (("n_identities", FEWEST_IDENTITIES), ("n_neurons", 4), ("n_repetitions", 1)):
            sizes = getattr(self, name)
            if not len(sizes) or min(sizes) < least:
                raise InputError(f"{name} of a power analysis must be at least {least}; got {list(sizes)}")
        if self.n_experiments < 2 or not 0 < self.alpha < 1 or self.noise < 0 or not 0 < self.read_share <= 1:
            raise InputError(
                "a power analysis needs n_experiments of at least 2, alpha between 0 and 1, noise of at least 0 and "
                f"read_share in (0, 1]; got {self.n_experiments}, {self.alpha}, {self.noise} and {self.read_share}"
            )


def power_analysis(
    first: np.ndarray,
    second: np.ndarray,
    identity: Sequence[str],
    *,
    read: np.ndarray | None = None,
    plan: PowerPlan | None = None,
    n_jobs: int = 1,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Power to show that one layer fits a population that reads it better than another layer does.

    Parameters
    ----------
    first, second : arrays of shape (n_stimuli, n_units)
        Activations of the two layers (of one network, or of the same layer under two regimes) to the same stimuli;
        ``n_units`` may differ.
    identity : sequence of str of length n_stimuli
        Identity of each stimulus.
    read : array of shape (n_stimuli, n_units) or None
        Activations that neurons read; None takes the first layer. With the units of both layers concatenated,
        neither layer fits better by construction, and the power is the type I error of the test.
    plan : PowerPlan or None
        Sizes to simulate; None takes the defaults, with numbers of identities up to that of the stimuli.
    n_jobs : int
        Processes to share the sizes among.
    rng : numpy.random.Generator
        Source of identities, neurons and trials.

    Returns
    -------
    pandas.DataFrame
        One row per size: ``n_identities, n_neurons, n_repetitions``; mean ``fit_first, fit_second, difference`` and
        standard error ``se`` of a difference over experiments; ``power``, the share of experiments in which the first
        fits significantly better, with its 95 % interval (Wilson) ``power_low, power_high``; ``n_experiments``,
        ``simulated`` (always True).

    Raises
    ------
    InputError
        If the activations do not match, or the plan has more identities than the stimuli.

    Notes
    -----
    Identities of an experiment are drawn from the given ones without replacement: their number is the largest possible
    size, and near it experiments share most of their identities. Repetitions average trials, so
    noise falls with their square root. ``analyses/calibration`` compares predicted power with what independent
    experiments found.

    With many neurons and little noise the layer that is read fits best. Noise lengthens every pattern by the same
    amount, though, and so lowers the correlations of weak patterns more than those of strong ones. More neurons do not
    average that out: where a trial is several times as noisy as tuning is strong and few are averaged, another layer
    may fit better, as it would in a recording. ``difference`` is then below 0 in large experiments too.
    """
    first, second = (np.asarray(layer, dtype=float).reshape(len(layer), -1) for layer in (first, second))
    read = first if read is None else np.asarray(read, dtype=float).reshape(len(read), -1)
    codes = cluster_codes(identity)
    if not len(first) == len(second) == len(read) == len(codes):
        raise InputError(
            f"two layers and their identities must cover the same stimuli; got {len(first)}, {len(second)} and "
            f"{len(codes)}" + (f", and {len(read)} in the layer that neurons read" if len(read) != len(first) else "")
        )
    if not all(np.isfinite(layer).all() for layer in (first, second, read)):
        raise InputError("activations have NaN or infinite values; power cannot be simulated from them")
    available = int(codes.max()) + 1
    if plan is None:
        sizes = [n for n in PowerPlan.n_identities if n < available]
        plan = PowerPlan(n_identities=[*sizes, available])
    if max(plan.n_identities) > available:
        raise InputError(
            f"power for {max(plan.n_identities)} identities needs as many in the stimuli, which have {available}; "
            "render or add identities, or ask for fewer"
        )
    rdms = [correlation_dissimilarity(layer) for layer in (first, second)]
    grid = list(itertools.product(plan.n_identities, plan.n_neurons, plan.n_repetitions))
    # A separate random stream for each size: results do not depend on the number of processes.
    rows = Parallel(n_jobs=n_jobs)(
        delayed(_power_of)(size, read, rdms, codes, plan, stream)
        for size, stream in zip(grid, rng.spawn(len(grid)), strict=True)
    )
    return pd.DataFrame(rows, columns=list(POWER_COLUMNS))


def simulate_readers(
    units: np.ndarray, n_neurons: int, *, noise: float = 0.0, read_share: float = 0.1, rng: np.random.Generator
) -> np.ndarray:
    """Mean responses of neurons that each read a random part of a layer's units, with random weights.

    Parameters
    ----------
    units : array of shape (n_stimuli, n_units)
        Activations of the layer.
    n_neurons : int
        Neurons to simulate.
    noise : float
        Standard deviation of a mean response over that of the neurons' true responses to the stimuli (root mean square
        over neurons).
    read_share : float
        Share of the units that a neuron reads; at least one.
    rng : numpy.random.Generator
        Source of weights and noise.

    Returns
    -------
    array of shape (n_stimuli, n_neurons)

    Raises
    ------
    InputError
        If no unit varies over the stimuli.

    Notes
    -----
    Units keep their scale and mean, patterns are centred over units, and all neurons share one scale, so that inner
    products and correlations of patterns are preserved on average. With many neurons and no noise the
    population has the correlation RDM of the layer (of z-scored units where z-scored units are given).
    """
    if not (np.ptp(units, axis=0) > 0).any():
        raise InputError("no unit of the layer that neurons read varies over the stimuli; choose another layer")
    patterns = units - units.mean(axis=1, keepdims=True)
    read = rng.random((units.shape[1], n_neurons)) < read_share
    # A neuron reads at least one unit.
    read[rng.integers(0, units.shape[1], n_neurons), np.arange(n_neurons)] = True
    signal = patterns @ (read * rng.standard_normal(read.shape))
    # One scale for all neurons: separate scales would change the geometry.
    spread = np.sqrt(signal.var(axis=0).mean())
    return signal / spread + noise * rng.standard_normal(signal.shape)


def trial_noise(recording: xr.DataArray) -> float:
    """Ratio of the standard deviation over trials to that of true mean responses over stimuli, median over neurons.

    Parameters
    ----------
    recording : xarray.DataArray
        A recording with at least two presentations of every stimulus to some neurons.

    Returns
    -------
    float
        Value for ``PowerPlan.noise``. The variance of mean responses is corrected for trial noise; neurons without
        remaining variance (no tuning) are not counted.

    Raises
    ------
    InputError
        If no neuron saw every stimulus twice, or none is tuned.
    """
    flat = select_window(recording)
    values = pd.DataFrame(flat.transpose("presentation", "neuroid").values)
    groups = values.groupby(flat["stimulus_id"].values)
    counts = groups.count()
    usable = (counts >= 2).all(axis=0).to_numpy() & (len(counts) > 1)
    if not usable.any():
        raise InputError(
            "trial noise needs at least two responses of a neuron to every stimulus; this recording has none"
        )
    within = groups.var(ddof=1).mean(axis=0)
    signal = groups.mean().var(axis=0, ddof=1) - (groups.var(ddof=1) / counts).mean(axis=0)
    nothing = RESOLUTION**2 * (values**2).mean(axis=0)
    tuned = usable & (signal > nothing).to_numpy() & (within > nothing).to_numpy()
    if not tuned.any():
        raise InputError("no neuron of the recording is tuned to the stimuli beyond its trial-to-trial noise")
    return float(np.median(np.sqrt(within[tuned] / signal[tuned])))


def _power_of(
    size: tuple[int, int, int],
    read: np.ndarray,
    rdms: list[np.ndarray],
    codes: np.ndarray,
    plan: PowerPlan,
    rng: np.random.Generator,
) -> dict:
    """One row of the table: many experiments of one size."""
    n_identities, n_neurons, n_repetitions = size
    factors = check_factors(plan.resample)
    fits, differences, found = [], [], 0
    for _ in range(plan.n_experiments):
        chosen = np.sort(rng.permutation(int(codes.max()) + 1)[:n_identities])
        rows = np.flatnonzero(np.isin(codes, chosen))
        upper = np.triu_indices(len(rows), 1)
        noise = plan.noise / np.sqrt(n_repetitions)
        responses = simulate_readers(read[rows], n_neurons, noise=noise, read_share=plan.read_share, rng=rng)
        experiment = Experiment(
            factors=factors,
            models=np.stack([rdm[np.ix_(rows, rows)][upper] for rdm in rdms]),
            recordings=correlation_dissimilarity(responses)[upper][None],
            groups=[np.array([0])],
            populations=[responses],
            codes=_units_of_stimuli(factors, codes[rows]),
            n_stimuli=len(rows),
            dissimilarity="correlation",
            method=plan.method,
            within_identity="copy",
            device=None,
        )
        result = jackknife_result(
            experiment, pd.DataFrame({"layer": ["first", "second"]}), pd.DataFrame({"region": ["simulated"]}), rng=rng
        )
        estimate, _, p = (float(value[0, 0]) for value in result.contrasts(np.array([[1, -1]])))
        fits.append(result.estimates[:, 0])
        differences.append(estimate)
        found += estimate > 0 and p < plan.alpha
    low, high = stats.binomtest(int(found), plan.n_experiments).proportion_ci(method="wilson")
    fit_first, fit_second = np.nanmean(fits, axis=0)
    return {
        "n_identities": n_identities,
        "n_neurons": n_neurons,
        "n_repetitions": n_repetitions,
        "fit_first": fit_first,
        "fit_second": fit_second,
        "difference": np.nanmean(differences),
        "se": np.nanstd(differences, ddof=1),
        "power": found / plan.n_experiments,
        "power_low": low,
        "power_high": high,
        "n_experiments": plan.n_experiments,
        "simulated": True,
    }


def _units_of_stimuli(factors: tuple[str, ...], identity: np.ndarray) -> np.ndarray:
    """Units by which stimuli are left out: identities or single stimuli; empty if stimuli are not resampled."""
    for factor in factors_along("stimuli", factors):
        return cluster_codes(identity) if FACTORS[factor].together == "identity" else np.arange(len(identity))
    return np.empty(0, dtype=int)
