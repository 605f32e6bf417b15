"""Simulated experiments in which the neurons of each patch read one stage of an account.

Takes responses of units by patch; gives mean responses in two halves of the trials.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neural_data.errors import InputError
from neural_data.rounding import is_constant
from neural_data.simulation import SpikeNoise
from neural_data.stages import StageTuning

__all__ = ["Neurons", "half_means", "neuron_rates"]

USUAL_RATES = StageTuning()
USUAL_NOISE = SpikeNoise()


@dataclass(frozen=True, kw_only=True)
class Neurons:
    """What is not known about the neurons of a patch; drawn anew for every experiment.

    Parameters
    ----------
    mixing : (float, float)
        Range of the weight of a random sum of all units beside one unit; both vary alike over stimuli.
    modulation : (float, float)
        Range (log-uniform) of the standard deviation of the drive, in units of the mean rate above the baseline.
    """

    mixing: tuple[float, float] = (0.0, 1.0)
    modulation: tuple[float, float] = (0.3, 0.8)

    def __post_init__(self):
        if not 0 <= self.mixing[0] <= self.mixing[1] or not 0 < self.modulation[0] <= self.modulation[1]:
            raise InputError(f"ranges of neurons must rise from 0 or more; got {self.mixing} and {self.modulation}")


AS_USUAL = Neurons()


def neuron_rates(
    units: Mapping[str, np.ndarray], n_neurons: int, neurons: Neurons = AS_USUAL, *, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Expected rates of neurons that read units: a unit plus a random sum of all, rectified.

    Parameters
    ----------
    units : mapping of str to array of shape (n_stimuli, n_units)
        By patch.
    n_neurons : int
        In each patch.
    neurons : Neurons
        Ranges of what is not known about them.
    rng : numpy.random.Generator
        Source of all random numbers.

    Returns
    -------
    dict of str to array of shape (n_stimuli, n_neurons)
        Spikes/s; baselines and peaks vary over neurons as those of simulated patches do (``neural_data.stages``).

    Raises
    ------
    InputError
        If no unit of a patch varies.
    """
    rates = {}
    for patch, responses in units.items():
        varying = np.asarray(responses[:, ~is_constant(responses, axis=0)], dtype=float)
        if not varying.shape[1]:
            raise InputError(f"no unit of {patch} varies over the stimuli; neurons cannot read it")
        scores = (varying - varying.mean(axis=0)) / varying.std(axis=0)
        n_units = scores.shape[1]
        drive = scores[:, rng.choice(n_units, n_neurons, replace=n_neurons > n_units)]
        mixing = rng.uniform(*neurons.mixing)
        mixed = (scores - scores.mean(axis=1, keepdims=True)) @ rng.standard_normal((n_units, n_neurons))
        spread = np.sqrt(mixed.var(axis=0).mean())
        if spread > 0:
            drive = drive + mixing * mixed / spread
        drive = drive / np.sqrt(drive.var(axis=0).mean())
        modulation = np.exp(rng.uniform(*np.log(neurons.modulation)))
        baseline, peak = (
            median * np.exp(USUAL_RATES.rate_log_sd * rng.standard_normal(n_neurons))
            for median in (USUAL_RATES.baseline_hz, USUAL_RATES.peak_hz)
        )
        rates[patch] = baseline + peak * np.maximum(1 + modulation * drive, 0)
    return rates


def half_means(
    rates: np.ndarray, trials_in_half: float, *, rng: np.random.Generator, noise: SpikeNoise = USUAL_NOISE
) -> np.ndarray:
    """Mean responses in two halves of the trials.

    Parameters
    ----------
    rates : array of shape (n_stimuli, n_neurons)
        Expected, spikes/s.
    trials_in_half : float
        Presentations of each stimulus in one half; a fraction stands for trials that are noisier, or less noisy, than
        these.
    rng : numpy.random.Generator
        Source of all random numbers.
    noise : SpikeNoise
        Spikes are Poisson with a gain that varies from trial to trial, as in ``neural_data.draw_trials``. A sum of
        trials is drawn at once: a sum of gamma variables is a gamma variable, a sum of Poisson variables a Poisson one.

    Returns
    -------
    array of shape (2, n_stimuli, n_neurons)
        Spikes/s.

    Raises
    ------
    InputError
        If the number of trials is not above 0.
    """
    if not trials_in_half > 0:
        raise InputError(f"a half of the trials must hold more than 0 of them; got {trials_in_half}")
    seconds = (noise.window_ms[1] - noise.window_ms[0]) / 1000 * trials_in_half
    expected = np.broadcast_to(rates * seconds, (2, *rates.shape))
    if noise.gain_sd > 0:
        shape = trials_in_half * noise.gain_sd**-2
        expected = expected * rng.gamma(shape, 1 / shape, size=expected.shape)
    return rng.poisson(expected) / seconds
