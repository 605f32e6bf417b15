"""Simulated face patches whose ground truth is known.

There are two kinds. In ``"image"``, the default, identity tuning follows from the faces shown (the renderer's shape and
appearance parameters, else the images), and ML, AL and AM are stages of one model (module ``stages``), so that a
network that encodes the faces can fit it. In ``"parametric"``, rates depend on the view and the identity label only
(module ``parametric``). Spike counts are Poisson, or over-dispersed by a gain that varies from trial to trial. No
parameter is fitted to data.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from neural_data.errors import InputError, closest, whole_number
from neural_data.parametric import PARAMETER_SOURCES, PATCHES, PatchTuning, parametric_rates
from neural_data.recordings import checked_window, make_recording
from neural_data.stages import STAGE_SOURCES, STAGES, StageTuning, identity_coordinates, stage_rates
from neural_data.stimuli import StimulusSet

__all__ = [
    "KINDS",
    "PARAMETER_SOURCES",
    "PATCHES",
    "PatchTuning",
    "SimulationKind",
    "SpikeNoise",
    "draw_trials",
    "simulate_again",
    "simulate_from_layer",
    "simulate_patches",
    "simulate_rates",
    "simulation_parameters",
]


@dataclass(frozen=True)
class SpikeNoise:
    """Trial-to-trial variability; units and sources in ``PARAMETER_SOURCES``."""

    gain_sd: float = 0.3
    window_ms: tuple[float, float] = (50.0, 350.0)


def simulate_patches(
    stimuli: StimulusSet,
    regions: Sequence[str] = ("ML", "AL", "AM"),
    n_neurons: int | Mapping[str, int] = 100,
    n_repetitions: int = 10,
    *,
    rng: np.random.Generator,
    subjects: Sequence[str] = ("simulated",),
    tuning: Mapping[str, PatchTuning | StageTuning] | None = None,
    noise: SpikeNoise | None = None,
    kind: str = "image",
) -> xr.DataArray:
    """Recording of simulated face patches: ML view-tuned, AL mirror-symmetric, AM view-invariant.

    Parameters
    ----------
    stimuli : StimulusSet
        What is shown. Neurons respond to the view and to the identity: with ``kind="image"`` through the parameters
        that the package rendered the face from, else through its images; with ``"parametric"`` through its label alone.
    regions : sequence of str
        Patches; their tuning is looked up in ``tuning``, then in ``stages.STAGES`` (parametric: ``PATCHES``).
    n_neurons : int or mapping of region to int
        Neurons in each patch, spread evenly over subjects.
    n_repetitions : int
        Presentations of each stimulus.
    rng : numpy.random.Generator
        Source of the population and of its spikes.
    subjects : sequence of str
        Animals; each has a face space that differs a little from the others'.
    tuning : mapping of region to StageTuning (PatchTuning), or None
        Tuning of new patches, or changes to known ones (``dataclasses.replace(STAGES["AL"], view_share=0.4)``).
    noise : SpikeNoise or None
        Trial-to-trial variability; None takes the defaults.
    kind : {"image", "parametric"}
        Whether identity tuning follows from the images or from labels; see the module's docstring.

    Returns
    -------
    xarray.DataArray
        Recording in spikes/s (spike counts over the window's length). The parameters of each neuron are coords of
        ``neuroid``; ``attrs["simulated"]`` is 1; :func:`simulation_parameters` gives all other parameters.

    Raises
    ------
    InputError
        If a region's tuning or the kind is not known, or a number of neurons or repetitions is not at least 1.
    """
    rates = simulate_rates(stimuli, regions, n_neurons, rng=rng, subjects=subjects, tuning=tuning, kind=kind)
    return draw_trials(rates, n_repetitions, rng=rng, noise=noise)


def simulate_rates(
    stimuli: StimulusSet,
    regions: Sequence[str] = ("ML", "AL", "AM"),
    n_neurons: int | Mapping[str, int] = 100,
    *,
    rng: np.random.Generator,
    subjects: Sequence[str] = ("simulated",),
    tuning: Mapping[str, PatchTuning | StageTuning] | None = None,
    kind: str = "image",
) -> xr.DataArray:
    """Expected rates of simulated patches, without noise: the truth behind :func:`simulate_patches`.

    Each parameter as in :func:`simulate_patches`.

    Returns
    -------
    xarray.DataArray
        Recording with one presentation per stimulus, spikes/s.

    Raises
    ------
    InputError
        If a region's tuning or the kind is not known, or a number of neurons is not at least 1.
    """
    if kind not in KINDS:
        raise InputError(f"there is no kind {kind!r} of simulated patches: {closest(kind, KINDS)}")
    regions, subjects = _names(regions, "regions"), _names(subjects, "subjects")
    tunings = _tunings(KINDS[kind], regions, tuning)
    counts = {region: whole_number(_count(n_neurons, region), f"n_neurons of {region}") for region in regions}
    rates, neuroids, about = KINDS[kind].rates(stimuli, tunings, counts, subjects, rng)
    described = {
        "model": "simulate_patches",
        "kind": kind,
        "patches": {region: dataclasses.asdict(tunings[region]) for region in regions},
        "sources": KINDS[kind].sources,
        **about,
    }
    return make_recording(
        np.concatenate(rates, axis=1),
        presentations=_presentations(stimuli),
        neuroids=pd.concat(neuroids, ignore_index=True),
        attrs={
            "simulated": 1,
            "simultaneous": 1,
            "stimulus_set_identifier": stimuli.name,
            "simulation": json.dumps(described),
        },
        where="simulated rates",
    )


def simulate_again(
    recording: xr.DataArray,
    stimuli: StimulusSet,
    regions: str | Sequence[str],
    n_neurons: int,
    *,
    rng: np.random.Generator,
    average_animal: bool = False,
) -> xr.DataArray:
    """Expected rates of new neurons of the same simulated patches, in another animal.

    Parameters
    ----------
    recording : xarray.DataArray
        From :func:`simulate_patches`.
    stimuli : StimulusSet
        What was shown.
    regions : str or sequence of str
        Patches of the recording to simulate anew.
    n_neurons : int
        Neurons in each region.
    rng : numpy.random.Generator
        Source of the neurons and of what is the new animal's own.
    average_animal : bool
        Whether the animal has nothing of its own: it weighs all coordinates alike (``parametric``: sees faces where
        all animals see them).

    Returns
    -------
    xarray.DataArray
        One presentation per stimulus, as from :func:`simulate_rates`. For a ``parametric`` recording, identities get
        new random places in face space: the images do not show those of the recording.

    Raises
    ------
    InputError
        If the recording is not a simulation of these patches, or was simulated by another version.
    """
    about = simulation_parameters(recording)
    kind = str(about.get("kind"))
    regions = _names(regions, "regions")
    known = about.get("patches", {}) if about.get("model") == "simulate_patches" and kind in KINDS else {}
    for region in regions:
        if region not in known:
            raise InputError(f"this recording has no simulated patch {region!r}; simulate the recording first")
        fields = {one.name for one in dataclasses.fields(KINDS[kind].tuning)}
        if set(known[region]) != fields:
            raise InputError(
                f"patch {region!r} of this recording was simulated by another version (parameters that differ: "
                f"{sorted(fields ^ set(known[region]))}) and cannot give more neurons; simulate the recording again"
            )
    changes = KINDS[kind].average_animal if average_animal else {}
    tuning = {region: KINDS[kind].tuning(**{**known[region], **changes}) for region in regions}
    return simulate_rates(stimuli, regions, n_neurons, rng=rng, tuning=tuning, kind=kind)


def draw_trials(
    rates: xr.DataArray,
    n_repetitions: int,
    *,
    rng: np.random.Generator,
    noise: SpikeNoise | None = None,
) -> xr.DataArray:
    """Noisy trials of a population whose expected rates are known.

    Parameters
    ----------
    rates : xarray.DataArray
        Recording with one presentation per stimulus, spikes/s, as :func:`simulate_rates` gives it.
    n_repetitions : int
        Presentations of each stimulus.
    rng : numpy.random.Generator
        Source of the spikes.
    noise : SpikeNoise or None
        Trial-to-trial variability; None takes the defaults. Neurons vary independently of each other.

    Returns
    -------
    xarray.DataArray
        Recording with ``n_repetitions`` blocks of all stimuli, spikes/s.

    Raises
    ------
    InputError
        If ``n_repetitions`` is not at least 1, or ``gain_sd`` is below 0.
    """
    noise = noise or SpikeNoise()
    n_repetitions = whole_number(n_repetitions, "n_repetitions")
    start, end = checked_window(noise.window_ms)
    if not noise.gain_sd >= 0:
        raise InputError(f"gain_sd must be 0 (Poisson) or more; got {noise.gain_sd}")
    seconds = (end - start) / 1000
    expected = np.broadcast_to(rates.values * seconds, (n_repetitions, *rates.shape))
    if noise.gain_sd > 0:
        shape = noise.gain_sd**-2
        expected = expected * rng.gamma(shape, 1 / shape, size=expected.shape)
    values = rng.poisson(expected).reshape(-1, rates.shape[1]) / seconds
    presentations = {n: c.values for n, c in rates.coords.items() if c.dims == ("presentation",)}
    table = pd.DataFrame({name: np.tile(column, n_repetitions) for name, column in presentations.items()})
    described = simulation_parameters(rates) | {"noise": dataclasses.asdict(noise)}
    return make_recording(
        values,
        presentations=table.assign(repetition=np.repeat(np.arange(n_repetitions), len(rates))),
        neuroids=pd.DataFrame({n: c.values for n, c in rates.coords.items() if c.dims == ("neuroid",)}),
        attrs={**rates.attrs, "window_ms": [start, end], "simulation": json.dumps(described)},
        where="simulated trials",
    )


def simulate_from_layer(
    activations: np.ndarray,
    stimuli: StimulusSet,
    *,
    rng: np.random.Generator,
    region: str = "layer",
    n_neurons: int = 100,
    n_repetitions: int = 10,
    mixing: float = 0.0,
    normalize: str | None = "zscore",
    peak_hz: float = 25.0,
    baseline_hz: float = 4.0,
    noise: SpikeNoise | None = None,
) -> xr.DataArray:
    """Simulated neurons that sample a network layer, to test whether an analysis recovers that layer.

    Parameters
    ----------
    activations : array of shape (n_stimuli, n_units) or (n_stimuli, channels, height, width)
        Layer activations in the order of ``stimuli``; maps are flattened.
    stimuli : StimulusSet
        What was shown to the network.
    rng : numpy.random.Generator
        Source of the sample and of its spikes.
    region : str
        Label of the population.
    n_neurons, n_repetitions : int
        Neurons, and presentations of each stimulus.
    mixing : float
        0 takes single units; above 0 a neuron is a random unit plus ``mixing`` times a random weighted sum of all
        units (both of the same standard deviation over stimuli, on average over neurons).
    normalize : {"zscore", None}
        Which RDM of the layer the population approaches with many neurons: that of z-scored units, or (None) that of
        raw responses, in which units with larger or more variable responses count for more and constant units are
        sampled too. Compare with model RDMs of the same ``normalize``; otherwise another layer may fit better.
    peak_hz, baseline_hz : float
        With z-scored units, each neuron's mean rate is ``baseline_hz + peak_hz / 2``, and two standard deviations below
        its mean its rate is ``baseline_hz`` or less. With ``normalize=None`` the mean over all neurons is
        ``baseline_hz + peak_hz / 2``, and the smallest response is ``baseline_hz``.
    noise : SpikeNoise or None
        Trial-to-trial variability; None takes the defaults.

    Returns
    -------
    xarray.DataArray
        Recording in spikes/s, ``attrs["simulated"]`` 1.

    Raises
    ------
    InputError
        If activations do not fit the stimuli, are not finite, or hold no unit that varies, or ``normalize`` is unknown.
    """
    units = np.asarray(activations, dtype=float).reshape(len(activations), -1)
    if len(units) != len(stimuli):
        raise InputError(
            f"activations have {len(units)} stimuli, but {stimuli.name!r} has {len(stimuli)}; give the same stimuli"
        )
    if not np.isfinite(units).all():
        raise InputError("activations have NaN or infinite values; a population cannot be simulated from them")
    varying = np.flatnonzero(np.ptp(units, axis=0) > 0)
    if not len(varying):
        raise InputError("no unit of the layer varies over the stimuli; choose another layer or other stimuli")
    if normalize not in ("zscore", None):
        raise InputError(f"normalize must be 'zscore' or None; got {normalize!r}")
    n_neurons = whole_number(n_neurons, "n_neurons")
    # Z-scoring drops constant units; the RDM of raw responses includes them.
    sampled = np.arange(units.shape[1]) if normalize is None else varying
    scored = units if normalize is None else _standardised(units[:, varying])
    column = rng.choice(len(sampled), size=n_neurons, replace=n_neurons > len(sampled))
    chosen, drive = sampled[column], scored[:, column]
    if mixing > 0:
        # Patterns centred over units, one scale for all neurons: on average, they have the layer's geometry.
        weights = rng.standard_normal((len(sampled), n_neurons))
        mixed = (scored - scored.mean(axis=1, keepdims=True)) @ weights
        drive = drive + mixing * mixed * (_spread(drive) / _spread(mixed))
    if normalize is None:
        above = drive - drive.min()
        rates = baseline_hz + peak_hz / 2 * above / above.mean()
    else:
        rates = np.maximum(baseline_hz + peak_hz / 2 * (1 + drive / _spread(drive) / 2), 0.0)
    described = {
        "model": "simulate_from_layer",
        "mixing": mixing,
        "normalize": normalize or "none",
        "peak_hz": peak_hz,
        "baseline_hz": baseline_hz,
        "n_units": int(units.shape[1]),
        "sources": {name: PARAMETER_SOURCES[name] for name in ("peak_hz", "baseline_hz", "gain_sd", "window_ms")},
    }
    expected = make_recording(
        rates,
        presentations=_presentations(stimuli),
        neuroids=pd.DataFrame(
            {
                "neuroid_id": [f"{region}-{i:03d}" for i in range(n_neurons)],
                "region": region,
                "subject": "simulated",
                "unit": chosen,
            }
        ),
        attrs={
            "simulated": 1,
            "simultaneous": 1,
            "stimulus_set_identifier": stimuli.name,
            "simulation": json.dumps(described),
        },
        where="simulated population",
    )
    return draw_trials(expected, n_repetitions, rng=rng, noise=noise)


def simulation_parameters(recording: xr.DataArray) -> dict:
    """Parameters of a simulated recording, as nested dictionaries; empty for recorded data."""
    return json.loads(recording.attrs.get("simulation", "{}"))


def _image_rates(
    stimuli: StimulusSet,
    tunings: Mapping[str, StageTuning],
    counts: Mapping[str, int],
    subjects: Sequence[str],
    rng: np.random.Generator,
) -> tuple[list[np.ndarray], list[pd.DataFrame], dict]:
    """Rates (n_stimuli, n_neurons) and neurons of each patch, for the kind ``image``."""
    coordinates, source = identity_coordinates(stimuli)
    found = [
        stage_rates(stimuli, region, tuning, counts[region], coordinates, subjects=subjects, rng=rng)
        for region, tuning in tunings.items()
    ]
    about = {"identities": f"by their {source}", "n_coordinates": coordinates.shape[1]}
    return [rates for rates, _ in found], [neurons for _, neurons in found], about


@dataclass(frozen=True)
class SimulationKind:
    """A way to simulate patches.

    Parameters
    ----------
    name : str
        Name in study files and in a recording's attributes.
    tuning : type
        Dataclass of a patch's parameters.
    patches : mapping of str to tuning
        Built-in patches by label.
    sources : mapping of str to str
        Where each parameter's default comes from.
    average_animal : mapping of str to float
        Parameters that make an animal of what all animals share, with nothing of its own.
    rates : callable
        ``(stimuli, tunings, counts, subjects, rng)`` to rates and neurons of each patch, and facts to store with them.
    """

    name: str
    tuning: type
    patches: Mapping[str, PatchTuning | StageTuning]
    sources: Mapping[str, str]
    average_animal: Mapping[str, float]
    rates: Callable[..., tuple[list[np.ndarray], list[pd.DataFrame], dict]]


KINDS: dict[str, SimulationKind] = {
    kind.name: kind
    for kind in (
        SimulationKind("image", StageTuning, STAGES, STAGE_SOURCES, {"subject_gain_sd": 0.0}, _image_rates),
        SimulationKind(
            "parametric", PatchTuning, PATCHES, PARAMETER_SOURCES, {"subject_variability": 0.0}, parametric_rates
        ),
    )
}
"""Every kind of simulated patches by its name. To add one, add its record here."""


def _presentations(stimuli: StimulusSet) -> pd.DataFrame:
    columns = ["identity", "category", "azimuth_deg", "elevation_deg"]
    return stimuli.table[columns].reset_index(names="stimulus_id")


def _standardised(values: np.ndarray) -> np.ndarray:
    return (values - values.mean(axis=0)) / values.std(axis=0)


def _spread(responses: np.ndarray) -> float:
    """Standard deviation over stimuli, root mean square over neurons."""
    return float(np.sqrt(responses.var(axis=0).mean()))


def _tunings(
    kind: SimulationKind, regions: Sequence[str], own: Mapping[str, PatchTuning | StageTuning] | None
) -> dict[str, PatchTuning | StageTuning]:
    known = {**kind.patches, **(own or {})}
    for region in regions:
        if region not in known:
            raise InputError(
                f"no tuning is known for region {region!r}: {closest(region, known)}; give it with "
                f"tuning={{{region!r}: {kind.tuning.__name__}(...)}}"
            )
        if not isinstance(known[region], kind.tuning):
            raise InputError(
                f"patches of kind {kind.name!r} take a {kind.tuning.__name__}; {region!r} has a "
                f"{type(known[region]).__name__}: give one, or choose the other kind"
            )
    return {region: known[region] for region in regions}


def _count(n_neurons: int | Mapping[str, int], region: str) -> int:
    if not isinstance(n_neurons, Mapping):
        return n_neurons
    if region not in n_neurons:
        raise InputError(f"n_neurons has no number for region {region!r}; {closest(region, n_neurons)}")
    return n_neurons[region]


def _names(names: Sequence[str], what: str) -> list[str]:
    listed = [names] if isinstance(names, str) else list(names)
    if not listed or len(set(listed)) != len(listed):
        raise InputError(f"{what} must name at least one, each once; got {listed}")
    return listed
