"""Responses behind neural RDMs: found in a recording by region and subject, and checked to give these RDMs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError, closest
from neural_data.recordings import condition_means, select_region
from neurocompare.comparison.neuron_rdms import NeuronRdms
from neurocompare.comparison.resampling import FACTORS
from neurocompare.representations.rdms import zscore_units

__all__ = ["RecordingOrResponses", "populations_behind"]

RecordingOrResponses = (
    xr.DataArray
    | Mapping[str, pd.DataFrame | np.ndarray]
    | Mapping[tuple[str, str], pd.DataFrame | np.ndarray]
    | Mapping[str | tuple[str, str], pd.DataFrame | np.ndarray]
)


def populations_behind(
    recording: RecordingOrResponses | None,
    rows: pd.DataFrame,
    neural_rdms: RDMs,
    model_rdms: RDMs,
    recordings: np.ndarray,
    *,
    resampled: bool,
) -> list[np.ndarray]:
    """Responses behind each neural RDM, checked against it.

    Parameters
    ----------
    recording, neural_rdms, model_rdms
        As in :func:`~neurocompare.comparison.inference.infer_fits`.
    rows : pandas.DataFrame
        Descriptors of the neural RDMs.
    recordings : array of shape (n_rdms, n_pairs)
        The neural RDMs, stimuli in the models' order.
    resampled : bool
        Whether neurons are to be resampled, which needs four of them.

    Returns
    -------
    list of arrays of shape (n_stimuli, n_neurons)
        Stimuli in the models' order.

    Raises
    ------
    InputError
        If there are no responses, too few neurons, or responses that do not give the RDM.
    """
    if recording is None:
        raise InputError(
            "resampling neurons needs the responses from which the RDMs were computed; give recording=, or resample "
            "stimuli or identities"
        )
    ids = [str(stimulus_id) for stimulus_id in model_rdms.pattern_descriptors["stimulus_id"]]
    neural_ids = [str(stimulus_id) for stimulus_id in neural_rdms.pattern_descriptors["stimulus_id"]]
    populations = []
    for row in range(len(rows)):
        region = str(rows["region"].iloc[row]) if "region" in rows else ""
        subject = str(rows["subject"].iloc[row]) if "subject" in rows else ""
        where = f"region {region!r}" + (f", subject {subject!r}" if subject else "")
        if isinstance(recording, xr.DataArray):
            neurons = select_region(recording, region, subject=subject or None)
            # The RDMs define the stimuli; neurons without responses to all of them were not part of the RDMs.
            found = condition_means(neurons, ids, missing="drop_neurons")
        else:
            found = _entry_of(recording, region, subject, where)
        if not isinstance(found, pd.DataFrame):
            found = np.asarray(found, dtype=float)
            if found.ndim != 2 or len(found) != len(neural_ids):
                raise InputError(
                    f"responses of {where} must have the shape (n_stimuli, n_neurons) with {len(neural_ids)} stimuli; "
                    f"got {found.shape}"
                )
            found = pd.DataFrame(found, index=neural_ids)
        found = found.set_axis(found.index.astype(str))
        lacking = sorted(set(ids) - set(found.index))
        if lacking:
            raise InputError(f"the responses of {where} lack {len(lacking)} stimuli of the RDMs: {lacking[:5]}")
        responses = found.loc[ids].to_numpy(dtype=float)
        if "normalize" in rows and rows["normalize"].iloc[row] == "zscore":
            responses, _ = zscore_units(responses)
        if resampled and responses.shape[1] < FACTORS["neuron"].fewest:
            raise InputError(
                f"resampling neurons needs at least {FACTORS['neuron'].fewest} of them; {where} has "
                f"{responses.shape[1]}: resample stimuli or identities alone"
            )
        _check_population(responses, recordings[row], str(neural_rdms.dissimilarity_measure), where)
        populations.append(responses)
    return populations


def _entry_of(recording: Mapping, region: str, subject: str, where: str) -> pd.DataFrame | np.ndarray:
    for key in ((region, subject), region):
        if key in recording:
            return recording[key]
    raise InputError(f"recording holds no responses of {where}; {closest(region, map(str, recording))}")


def _check_population(responses: np.ndarray, rdm: np.ndarray, dissimilarity: str, where: str) -> None:
    """Refuse responses with NaN, or that do not give the RDM."""
    if not np.isfinite(responses).all():
        raise InputError(
            f"the responses of {where} have {int((~np.isfinite(responses)).sum())} values that are not finite; "
            "leave out neurons that lack responses to some stimuli"
        )
    made = NeuronRdms(responses, dissimilarity).rdms(np.ones((1, responses.shape[1]), dtype=int))[0]
    known = np.isfinite(rdm) & np.isfinite(made)
    apart = np.abs(made[known] - rdm[known]).max(initial=0.0)
    if apart > 1e-6 * max(1.0, np.abs(rdm[known]).max(initial=0.0)):
        raise InputError(
            f"the neural RDM of {where} is not the {dissimilarity} dissimilarity of the given responses (they differ "
            f"by up to {apart:.3g}); give the responses from which it was computed, averaged and normalised in the "
            "same way"
        )
