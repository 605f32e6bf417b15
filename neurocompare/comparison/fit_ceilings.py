"""Noise ceilings that belong to fits: computed from the same responses or subjects, or matched from a table.

Takes an experiment; gives one ceiling a recording, and says why where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError
from neurocompare.comparison.ceilings import FEWEST_NEURONS, root, subject_bounds
from neurocompare.comparison.fits import matched_vectors
from neurocompare.comparison.methods import find_method
from neurocompare.comparison.refitting import Experiment
from neurocompare.comparison.reliability import neuron_reliability
from neurocompare.comparison.resampling import factors_along
from neurocompare.comparison.responses import RecordingOrResponses, populations_behind
from neurocompare.representations.dissimilarities import MODEL_DISSIMILARITIES, Population
from neurocompare.representations.rdms import rdm_table

__all__ = ["NO_CEILINGS", "Ceilings", "ceilings_of_fits", "in_refits", "matched_ceilings"]

CEILING_COLUMNS = ("ceiling_lower", "ceiling_upper", "ceiling_lower_se")
N_SPLITS = 100
"""Random halves of the neurons for the estimate, as in ``neuron_ceilings``."""


@dataclass(frozen=True)
class Ceilings:
    """Noise ceilings of the recordings of a result.

    Parameters
    ----------
    table : pandas.DataFrame or None
        Columns ``ceiling_lower, ceiling_upper, ceiling_lower_se``, one row a recording; None without any.
    over : {"neurons", "subjects"}
        What they are taken over: a reliability over neurons and its root, or the lower and upper bound over subjects.
    missing : str
        Why some or all are missing; empty if there are all, or none was wanted.
    """

    table: pd.DataFrame | None
    over: str = "neurons"
    missing: str = ""


NO_CEILINGS = Ceilings(None)


def ceilings_of_fits(
    experiment: Experiment,
    model_rdms: RDMs,
    neural_rdms: RDMs,
    recordings: pd.DataFrame,
    *,
    recording: RecordingOrResponses | None,
    variance: str,
    rng: np.random.Generator,
) -> Ceilings:
    """Ceilings from what the fits are computed from: subjects if they are resampled, else the responses of neurons.

    Parameters
    ----------
    experiment : Experiment
        The data, and what is resampled.
    model_rdms, neural_rdms, recording
        As in :func:`~neurocompare.comparison.inference.infer_fits`.
    recordings : pandas.DataFrame
        Labels of the recordings of the result.
    variance : {"jackknife", "bootstrap"}
        Source of standard errors of fits. Those of ceilings take most of the time, and are left out where reliabilities
        are recomputed with the fits.
    rng : numpy.random.Generator
        The random halves of the neurons have a stream of their own, so that draws are the same without ceilings.

    Returns
    -------
    Ceilings
    """
    if factors_along("subjects", experiment.factors):
        bounds = [subject_bounds(experiment.recordings[group], experiment.method) for group in experiment.groups]
        table = pd.DataFrame(bounds, columns=["ceiling_lower", "ceiling_upper"])
        return Ceilings(table.assign(ceiling_lower_se=np.nan), "subjects")
    if experiment.dissimilarity not in MODEL_DISSIMILARITIES:
        return Ceilings(
            None, missing=f"{experiment.dissimilarity} RDMs need single trials; see ceilings= (neuron_ceilings)"
        )
    if recording is None:
        return Ceilings(None, missing="they need responses (recording=), or resampled subjects")
    populations = experiment.populations
    if not populations:
        _, vectors = matched_vectors(model_rdms, neural_rdms)
        rows = rdm_table(neural_rdms)
        try:
            populations = populations_behind(recording, rows, neural_rdms, model_rdms, vectors, resampled=False)
        except InputError as problem:
            return Ceilings(None, missing=str(problem))
    own = rng.spawn(1)[0]
    with_se = find_method(experiment.method).rowwise is not None and not in_refits(experiment, variance)
    found, few = [], []
    for responses, (_, labels) in zip(populations, recordings.iterrows(), strict=True):
        reliability = se = np.nan
        if responses.shape[1] < FEWEST_NEURONS:
            few.append(f"{labels.get('region', 'the recording')} has {responses.shape[1]} neurons")
        else:
            estimate = neuron_reliability(
                Population("", "", responses),
                dissimilarity=experiment.dissimilarity,
                method=experiment.method,
                cells=experiment.cells,
                n_splits=N_SPLITS,
                with_se=with_se,
                rng=own,
            )
            reliability, se = estimate.value, estimate.value_se
        found.append((reliability, root(reliability), se))
    missing = f"{', '.join(few)}; halves need {FEWEST_NEURONS}" if few else ""
    return Ceilings(pd.DataFrame(found, columns=list(CEILING_COLUMNS)), missing=missing)


def in_refits(experiment: Experiment, variance: str) -> bool:
    """Whether reliabilities are recomputed with the fits, without each part: then their errors are known together."""
    by_neurons = bool(factors_along("neurons", experiment.factors))
    return variance == "jackknife" and by_neurons and find_method(experiment.method).rowwise is not None


def matched_ceilings(ceilings: pd.DataFrame, recordings: pd.DataFrame) -> Ceilings:
    """Ceilings of a table in the order of the recordings; NaN where a recording has none.

    Parameters
    ----------
    ceilings : pandas.DataFrame
        From ``neuron_ceilings``, or from ``subject_ceilings`` (with numbers in ``n_subjects``).
    recordings : pandas.DataFrame
        Labels of the recordings of the result.

    Raises
    ------
    InputError
        If columns are missing, or two rows are of one recording.
    """
    keys = [name for name in ("region", "subject") if name in ceilings.columns and name in recordings.columns]
    if not keys or "ceiling_lower" not in ceilings.columns:
        raise InputError(
            f"ceilings need the columns region and ceiling_lower; found {list(map(str, ceilings.columns))}"
        )
    if ceilings.duplicated(keys).any():
        raise InputError(f"ceilings hold more than one row for the same {' and '.join(keys)}")
    columns = [name for name in CEILING_COLUMNS if name in ceilings.columns]
    # A blank subject of a table read from a file is a missing value.
    of_recordings, of_table = (
        table[keys].astype(str).where(table[keys].notna(), "") for table in (recordings, ceilings)
    )
    matched = of_recordings.merge(of_table.join(ceilings[columns]), on=keys, how="left")
    table = matched.reindex(columns=list(CEILING_COLUMNS)).astype(float)
    over_subjects = "n_subjects" in ceilings.columns and ceilings["n_subjects"].notna().any()
    return Ceilings(table, "subjects" if over_subjects else "neurons")
