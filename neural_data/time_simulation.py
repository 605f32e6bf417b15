"""Simulated patches over time: a population that first tells what is shown, and which identity it is some ms later.

Takes expected rates of a population (``simulation.simulate_rates``); gives a recording with time bins. Before
``identity_ms``, neurons respond as to the mean identity of the same category and view; later they have their whole
tuning. Shi et al. (2023, bioRxiv 2023.12.06.570341) report such a switch, from detection to identification, in face
patches.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import expit

from neural_data.errors import InputError, whole_number
from neural_data.formats.read_options import ReadOptions
from neural_data.formats.spikes import time_bins
from neural_data.recordings import make_recording
from neural_data.simulation import simulation_parameters

__all__ = ["TimeCourse", "expected_courses", "simulate_over_time"]

RESOLUTION = 20
"""Points of a bin over which its expected rate is averaged."""


@dataclass(frozen=True)
class TimeCourse:
    """Time course of simulated neurons; all times in ms after stimulus onset.

    Parameters
    ----------
    detection_ms : float
        Half-rise of the response to what all identities of a category and view share.
    identity_ms : float
        Half-rise of the response to what is an identity's own.
    rise_ms : float
        Time constant of both rises (logistic).
    decay_ms : float
        Time constant of the decay of the whole response, from ``detection_ms`` on.
    baseline : float
        Rate before the response, as a share of the neuron's mean rate.
    gain_sd : float
        Standard deviation of a gain that varies from trial to trial, the same in all bins of a trial.
    """

    detection_ms: float = 90.0
    identity_ms: float = 110.0
    rise_ms: float = 6.0
    decay_ms: float = 200.0
    baseline: float = 0.2
    gain_sd: float = 0.3

    def __post_init__(self):
        for name in ("rise_ms", "decay_ms"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be above 0 ms; got {getattr(self, name)}")
        if not 0 <= self.baseline <= 1 or not self.gain_sd >= 0:
            raise InputError(
                f"baseline must lie in 0 to 1 and gain_sd be 0 or more; got {self.baseline} and {self.gain_sd}"
            )


def simulate_over_time(
    rates: xr.DataArray,
    n_repetitions: int = 10,
    *,
    course: TimeCourse | None = None,
    window_ms: tuple[float, float] = (0.0, 300.0),
    bin_ms: float = 20.0,
    step_ms: float | None = None,
    rng: np.random.Generator,
) -> xr.DataArray:
    """Trials of a population in time bins, with a switch from detection to identity.

    Parameters
    ----------
    rates : xarray.DataArray
        Expected rates, one presentation per stimulus, spikes/s, as ``simulate_rates`` gives them.
    n_repetitions : int
        Presentations of each stimulus.
    course : TimeCourse or None
        None takes the defaults.
    window_ms, bin_ms, step_ms
        As in ``read_recording``; ``bin_ms`` is a whole number of steps. Bins that overlap share spikes.
    rng : numpy.random.Generator
        Source of the spikes.

    Returns
    -------
    xarray.DataArray
        Recording with time bins, spikes/s; ``attrs["simulation"]`` holds the time course.

    Raises
    ------
    InputError
        If bins do not fill the window, are no whole number of steps, or the recording has no identities.
    """
    course = course or TimeCourse()
    n_repetitions = whole_number(n_repetitions, "n_repetitions")
    bins = time_bins(ReadOptions(window_ms=window_ms, bin_ms=bin_ms, step_ms=step_ms))
    step = bin_ms if step_ms is None else step_ms
    n_steps = round(bin_ms / step)
    if abs(n_steps - bin_ms / step) > 1e-9 or n_steps < 1:
        raise InputError(f"simulated time bins of {bin_ms:g} ms are no whole number of steps of {step:g} ms")
    starts = bins[0, 0] + step * np.arange(len(bins) + n_steps - 1)
    expected = expected_courses(rates, course, np.stack([starts, starts + step], axis=1)) * step / 1000
    shape = (n_repetitions, *expected.shape)
    gains: np.ndarray = np.ones((*shape[:3], 1))
    if course.gain_sd > 0:
        gains = rng.gamma(course.gain_sd**-2, course.gain_sd**2, size=gains.shape)
    spikes = rng.poisson(expected * gains).reshape(-1, *expected.shape[1:])
    summed = np.concatenate([np.zeros((*spikes.shape[:2], 1)), np.cumsum(spikes, axis=2)], axis=2)
    counts = summed[:, :, n_steps:] - summed[:, :, :-n_steps]
    presentations = {name: coord.values for name, coord in rates.coords.items() if coord.dims == ("presentation",)}
    table = pd.DataFrame({name: np.tile(column, n_repetitions) for name, column in presentations.items()})
    described = simulation_parameters(rates) | {"time_course": dataclasses.asdict(course)}
    return make_recording(
        counts / (bin_ms / 1000),
        presentations=table.assign(repetition=np.repeat(np.arange(n_repetitions), len(rates))),
        neuroids=pd.DataFrame({n: c.values for n, c in rates.coords.items() if c.dims == ("neuroid",)}),
        time_bins_ms=bins,
        attrs={
            **rates.attrs,
            "window_ms": [float(bins[0, 0]), float(bins[-1, 1])],
            "simulation": json.dumps(described),
        },
        where="simulated trials over time",
    )


def expected_courses(rates: xr.DataArray, course: TimeCourse, bins_ms: np.ndarray) -> np.ndarray:
    """Expected rates in every bin, (n_stimuli, n_neurons, n_bins), spikes/s: the truth behind the simulation.

    Parameters
    ----------
    rates : xarray.DataArray
        See :func:`simulate_over_time`.
    course : TimeCourse
        Latency, rise and fall of the responses.
    bins_ms : array of shape (n_bins, 2)
        Start and end of every bin, ms after stimulus onset.

    Raises
    ------
    InputError
        If the recording has no identities.
    """
    if "identity" not in rates.coords:
        raise InputError("a switch from detection to identity needs the identity of every stimulus")
    named = [name for name in ("category", "azimuth_deg", "elevation_deg") if name in rates.coords]
    labels = pd.DataFrame({name: rates[name].values for name in named}, index=range(len(rates)))
    # Stimuli without a view are of one kind, too.
    kinds = labels.groupby(named, dropna=False).ngroup().to_numpy() if named else np.zeros(len(rates), dtype=int)
    values = rates.values
    shared = np.stack([values[kinds == kind].mean(axis=0) for kind in range(kinds.max() + 1)])[kinds]
    resting = course.baseline * values.mean(axis=0)
    detection, identity = (_rise(at, course, bins_ms) for at in (course.detection_ms, course.identity_ms))
    found = resting[:, None] + (shared - resting)[:, :, None] * detection + (values - shared)[:, :, None] * identity
    return np.maximum(found, 0.0)


def _rise(at_ms: float, course: TimeCourse, bins_ms: np.ndarray) -> np.ndarray:
    """Mean over every bin of a rise at some time and the decay of the response, (n_bins,)."""
    place = (np.arange(RESOLUTION) + 0.5) / RESOLUTION
    times = bins_ms[:, :1] + (bins_ms[:, 1:] - bins_ms[:, :1]) * place
    decay = np.exp(-np.maximum(times - course.detection_ms, 0) / course.decay_ms)
    return (expit((times - at_ms) / course.rise_ms) * decay).mean(axis=1)
