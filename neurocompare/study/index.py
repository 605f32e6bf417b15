"""Mirror-symmetry index of a network by layer, without a study file or recording.

Takes the same sections as a study file for stimuli and networks; gives one table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from neural_data.errors import InputError
from neurocompare.progress_lines import Progress, no_progress
from neurocompare.representations.model_rdms import compute_model_rdms
from neurocompare.representations.viewpoint import check_azimuths, index_table, summarise_indices
from neurocompare.study.grammar import load_study
from neurocompare.study.networks import identify_networks, loaded
from neurocompare.study.planning import obtain_stimuli
from neurocompare.study.workers import n_cores

__all__ = ["index_by_layer", "mean_over_seeds"]

LAYER_AND_CATEGORY = ["model", "regime", "seed", "layer", "layer_index", "category"]


def index_by_layer(
    sections: Mapping[str, Any],
    *,
    overrides: Mapping[str, Any] | None = None,
    device: str = "auto",
    n_jobs: int | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Mirror-symmetric viewpoint tuning index of every layer, averaged over exemplars.

    Parameters
    ----------
    sections : mapping
        ``stimuli`` and ``models`` of a study file, see :class:`~neurocompare.study.grammar.Study`.
    overrides : mapping of str to value, or None
        Dotted keys and values that replace those of the sections.
    device : str
        Device of the networks.
    n_jobs : int or None
        Worker processes for rendering; None: one per core.
    progress : callable or None
        Called with a description of the current step and the share done.

    Returns
    -------
    pandas.DataFrame
        One row per network, layer and category: ``model, regime, seed, layer, layer_index, category, index, sd, ci_low,
        ci_high, n, n_undefined``, over exemplars.

    Raises
    ------
    InputError
        If a network, layer or stimulus set does not exist, or the views are not symmetric about 0 degrees.
    """
    settings = load_study(sections, overrides)
    if any(model.training for model in settings.models):
        raise InputError("the index of a network that is to be trained needs a study: neurocompare run STUDY.toml")
    records = identify_networks(settings, device)
    stimuli = obtain_stimuli(settings, n_jobs=n_jobs or n_cores(), progress=progress)
    check_azimuths(sorted(stimuli.table["azimuth_deg"].unique()))
    frames = []
    for place, record in enumerate(records):
        (progress or no_progress)(f"show {len(stimuli)} images to {record.label}", place / len(records))
        rdms = compute_model_rdms(loaded(record), stimuli, list(record.layers), within="identity")
        frames.append(summarise_indices(index_table(rdms), LAYER_AND_CATEGORY))
    return pd.concat(frames, ignore_index=True)


def mean_over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """The index by layer averaged over the seeds of each network and regime.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`index_by_layer`.

    Returns
    -------
    pandas.DataFrame
        ``model, regime, layer, category, index, sd, n, n_undefined``: mean and standard deviation over seeds if
        there are several, else over exemplars; ``n`` is the number of seeds, or of exemplars.
    """
    by = ["model", "regime", "layer", "category"]
    rows = []
    for _, group in table.groupby(by, sort=False):
        row = group.iloc[0][[*by, "index", "sd", "n", "n_undefined"]].to_dict()
        if len(group) > 1:
            row |= {"index": group["index"].mean(), "sd": group["index"].std(), "n": len(group)}
            row["n_undefined"] = int(group["n_undefined"].sum())
        rows.append(row)
    return pd.DataFrame(rows)
