"""Best fit to a simulated patch that a model of the images can reach.

Takes a simulated recording; gives one number per region. Reliability bounds the fit of other *neurons*. If a simulation
draws identity tuning at random, independent of the images, no model of the images can come near that bound.
"""

from __future__ import annotations

import logging
from functools import partial

import numpy as np
import pandas as pd
import xarray as xr

from neural_data.errors import InputError
from neural_data.recordings import regions_of, select_region
from neural_data.simulation import draw_trials, simulate_again, simulation_parameters
from neural_data.stimuli import StimulusSet
from neurocompare.comparison.controls import cells_of_pairs
from neurocompare.comparison.fits import fits_on_counts, matched_vectors
from neurocompare.representations.dissimilarities import find_dissimilarity
from neurocompare.representations.neural_rdms import compute_neural_rdms
from neurocompare.representations.rdms import pattern_table

__all__ = ["best_image_fits"]

log = logging.getLogger(__name__)

N_NEURONS = 400
N_REPETITIONS = 10
N_ANIMALS = 10
"""Simulated again so often, with as many neurons and repetitions each, and their RDMs averaged."""


def best_image_fits(
    recording: xr.DataArray,
    stimuli: StimulusSet,
    *,
    rng: np.random.Generator,
    dissimilarity: str = "correlation",
    normalize: str | None = None,
    method: str = "corr",
    control: tuple[str, ...] = (),
) -> pd.Series:
    """Fit of 4,000 new neurons of each simulated patch, with identity tuning computed from the images.

    The images show nothing of what is an animal's own, such as how it weighs the coordinates of identities. The neurons
    are those of the average animal, and their RDM is the mean over ten samples of 400.

    Parameters
    ----------
    recording : xarray.DataArray
        From ``simulate_patches``. NaN for other regions, and if the stimuli have neither rendering parameters nor
        images.
    stimuli : StimulusSet
        What was shown.
    rng : numpy.random.Generator
        Source of the new neurons.
    dissimilarity, normalize, method, control
        Those of the fits to be compared with this ceiling.

    Returns
    -------
    pandas.Series
        By region: expected fit of a model of the images that implements the simulated stage correctly; unitless, at
        most 1.

    Raises
    ------
    InputError
        If the recording holds other stimuli, or RDMs cannot be computed.
    """
    fits = dict.fromkeys(regions_of(recording), np.nan)
    patches = simulation_parameters(recording).get("patches", {})
    simulated = [region for region in fits if region in patches]
    if not simulated:
        return pd.Series(fits)
    try:
        others = [
            simulate_again(recording, stimuli, simulated, N_NEURONS, rng=rng, average_animal=True)
            for _ in range(N_ANIMALS)
        ]
    except InputError as error:
        log.info("the best fit of models of images is not known: %s", error)
        return pd.Series(fits)
    if find_dissimilarity(dissimilarity).needs_trials:
        others = [draw_trials(other, N_REPETITIONS, rng=rng) for other in others]
    rdms_of = partial(compute_neural_rdms, dissimilarity=dissimilarity, normalize=normalize, stimuli=stimuli)
    for region in simulated:
        found = rdms_of(select_region(recording, region))
        pairs = [matched_vectors(rdms_of(select_region(other, region)), found) for other in others]
        more, recorded = np.mean([own for own, _ in pairs], axis=0), pairs[0][1]
        cells = cells_of_pairs(control, pattern_table(found))
        if cells is not None:
            more, recorded = cells.partialled(more), cells.partialled(recorded)
        once = np.ones((1, len(stimuli)), dtype=int)
        fits[region] = float(fits_on_counts(more, recorded, once, method=method)[0, 0, 0])
    return pd.Series(fits)
