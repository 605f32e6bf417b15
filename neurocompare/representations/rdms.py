"""RDMs objects: building, matching, concatenating, and view RDMs; and the normalisation of units.

Takes arrays of dissimilarities (``dissimilarities`` makes them) and of responses; gives ``rsatoolbox.rdm.RDMs``.
Networks are turned into responses in ``model_rdms``, recordings in ``neural_rdms``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError, closest
from neural_data.naming import matched_ids
from neural_data.recording_form import as_text
from neural_data.rounding import is_constant
from neural_data.stimuli import StimulusSet
from neurocompare.representations.rdm_files import NamedRDMs

__all__ = [
    "LAYER",
    "NETWORK",
    "NORMALIZATIONS",
    "as_matrices",
    "build_rdms",
    "check_normalization",
    "concat_rdms",
    "labelled_by",
    "match_stimuli",
    "named_alike",
    "pattern_table",
    "rdm_table",
    "view_order",
    "view_rdms",
    "zscore_units",
]

NETWORK = ("model", "regime", "seed")
"""Descriptors (and columns of tables) that tell networks apart."""
LAYER = (*NETWORK, "layer", "layer_index")
"""Those that name a layer of a network."""
NORMALIZATIONS = ("zscore", None)
"""What can be done to the responses of a unit before they are compared."""


def check_normalization(normalize: str | None) -> str | None:
    """The normalization, one of :data:`NORMALIZATIONS`.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if normalize not in NORMALIZATIONS:
        raise InputError(f"normalize must be one of {', '.join(map(repr, NORMALIZATIONS))}; got {normalize!r}")
    return normalize


def build_rdms(
    dissimilarities: np.ndarray,
    *,
    patterns: pd.DataFrame,
    rdms: Mapping[str, Sequence],
    dissimilarity: str | None,
    copy: bool = True,
) -> RDMs:
    """RDMs object that shares no dictionary or list with its caller.

    Parameters
    ----------
    dissimilarities : array of shape (n_rdms, n_patterns, n_patterns) or (n_rdms, n_pairs)
        Symmetric matrices with zero diagonal, or their upper triangles row by row.
    patterns : pandas.DataFrame
        One row per pattern, its columns (and a named index) become pattern descriptors.
    rdms : mapping of str to sequence of length n_rdms
        RDM descriptors such as ``model``, ``layer`` or ``region``.
    dissimilarity : str
        Name of the measure, kept in ``dissimilarity_measure``.
    copy : bool
        False lets the object keep the given array of pairs, which the caller must then not change.

    Returns
    -------
    rsatoolbox.rdm.RDMs
    """
    if dissimilarities.ndim == 3:
        upper = np.triu_indices(dissimilarities.shape[1], 1)
        dissimilarities = dissimilarities[:, upper[0], upper[1]]
    table = patterns.reset_index() if patterns.index.name else patterns
    # rsatoolbox writes an 'index' into the dictionaries it is given, so they must be copies.
    return NamedRDMs(
        np.array(dissimilarities, dtype=float) if copy else np.asarray(dissimilarities, dtype=float),
        dissimilarity_measure=dissimilarity,
        pattern_descriptors={name: table[name].tolist() for name in table.columns},
        rdm_descriptors={name: list(values) for name, values in rdms.items()},
    )


def pattern_table(rdms: RDMs) -> pd.DataFrame:
    """Pattern descriptors of RDMs as a table, one row per pattern; ``stimulus_id`` is the index, if it exists."""
    table = pd.DataFrame({name: np.asarray(values) for name, values in rdms.pattern_descriptors.items()})
    table = table.drop(columns="index", errors="ignore")
    return table.set_index("stimulus_id") if "stimulus_id" in table.columns else table


def rdm_table(rdms: RDMs) -> pd.DataFrame:
    """RDM descriptors as a table, one row per RDM, in order."""
    table = pd.DataFrame({name: np.asarray(values) for name, values in rdms.rdm_descriptors.items()})
    return table.drop(columns="index", errors="ignore")


def concat_rdms(parts: Sequence[RDMs]) -> RDMs:
    """Concatenation of RDMs over the same patterns.

    Parameters
    ----------
    parts : sequence of rsatoolbox.rdm.RDMs
        With equal pattern descriptors, in equal order.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        An RDM descriptor that a part lacks is NaN for that part (``rsatoolbox.rdm.concat`` drops it from all).

    Raises
    ------
    ValueError
        If the patterns differ.
    """
    patterns = pattern_table(parts[0])
    if not all(pattern_table(part).equals(patterns) for part in parts):
        raise ValueError("RDMs to be joined must have the same patterns in the same order")
    table = pd.concat([rdm_table(part) for part in parts], ignore_index=True)
    return build_rdms(
        np.concatenate([part.dissimilarities for part in parts]),
        patterns=patterns,
        rdms={name: table[name].tolist() for name in table.columns},
        dissimilarity=parts[0].dissimilarity_measure,
    )


def match_stimuli(first: RDMs, second: RDMs) -> tuple[RDMs, RDMs]:
    """Reorder the patterns of the second RDMs to those of the first, by ``stimulus_id``.

    Parameters
    ----------
    first, second : rsatoolbox.rdm.RDMs
        Both with unique ``stimulus_id`` pattern descriptors and the same set of them, in any order; ids match with or
        without folder and image extension.

    Returns
    -------
    first, second : rsatoolbox.rdm.RDMs
        The first unchanged, the second in the order of the first.

    Raises
    ------
    InputError
        If an id is missing, repeated, or found in one of the two only.

    Notes
    -----
    ``rsatoolbox.rdm.compare`` pairs rows by position and ignores labels; in this package all RDMs go through this
    function before they are compared.
    """
    second = named_alike(first, second)
    wanted, found = _stimulus_ids(first, "the first RDMs"), _stimulus_ids(second, "the second RDMs")
    if set(wanted) != set(found):
        only_first, only_second = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
        raise InputError(
            f"the first RDMs hold {len(wanted)} stimuli and the second {len(found)}, and they differ: "
            f"{len(only_first)} only in the first {only_first[:5]}, {len(only_second)} only in the second "
            f"{only_second[:5]}; select the shared stimuli before computing RDMs"
        )
    if wanted == found:
        return first, second
    place = {stimulus_id: position for position, stimulus_id in enumerate(found)}
    order = np.array([place[stimulus_id] for stimulus_id in wanted])
    matrices = second.get_matrices()[:, order[:, None], order[None, :]]
    return first, build_rdms(
        matrices,
        patterns=pattern_table(second).iloc[order],
        rdms=rdm_table(second),
        dissimilarity=second.dissimilarity_measure,
    )


def named_alike(first: RDMs, second: RDMs) -> RDMs:
    """The second RDMs with the ids of the first, where they differ only in folder or image extension."""
    wanted, found = _stimulus_ids(first, "the first RDMs"), _stimulus_ids(second, "the second RDMs")
    renamed = matched_ids(wanted, found)
    if all(old == new for old, new in renamed.items()):
        return second
    ids = [renamed.get(stimulus_id, stimulus_id) for stimulus_id in found]
    return build_rdms(
        second.dissimilarities,
        patterns=pattern_table(second).set_axis(pd.Index(ids, name="stimulus_id")),
        rdms=rdm_table(second).to_dict("list"),
        dissimilarity=second.dissimilarity_measure,
    )


def labelled_by(rdms: RDMs, descriptor: str) -> RDMs:
    """RDMs whose stimuli are named by another pattern descriptor.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        RDMs with that descriptor; not changed.
    descriptor : str
        Its values become ``stimulus_id``.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        Unchanged if the descriptor is ``stimulus_id``.

    Raises
    ------
    InputError
        If there is no such descriptor, its values are not unique, or these are no RDMs.
    """
    if not isinstance(rdms, RDMs):
        hint = ""
        if isinstance(rdms, (list, tuple)):
            hint = "; of models of rsatoolbox, take rsatoolbox.rdm.concat([model.rdm_obj for model in models])"
        raise InputError(f"RDMs of rsatoolbox are needed, and this is {type(rdms).__name__}{hint}")
    if descriptor == "stimulus_id":
        return rdms
    known = [name for name in rdms.pattern_descriptors if name != "index"]
    if descriptor not in known:
        raise InputError(f"no pattern descriptor {descriptor!r} to match by: {closest(descriptor, known)}")
    table = pattern_table(rdms).reset_index(drop=True)
    names = as_text(np.asarray(rdms.pattern_descriptors[descriptor]))
    table = table.drop(columns=descriptor, errors="ignore").set_index(pd.Index(names, name="stimulus_id"))
    if table.index.has_duplicates:
        twice = table.index[table.index.duplicated()][0]
        raise InputError(f"the pattern descriptor {descriptor!r} has {twice!r} more than once; match by another")
    return build_rdms(
        rdms.dissimilarities,
        patterns=table,
        rdms=rdm_table(rdms).to_dict("list"),
        dissimilarity=rdms.dissimilarity_measure,
    )


def zscore_units(responses: np.ndarray) -> tuple[np.ndarray, int]:
    """Each unit minus its mean over stimuli, over its standard deviation there; constant units are dropped.

    Parameters
    ----------
    responses : array of shape (n_stimuli, n_units)
        Responses in any unit.

    Returns
    -------
    scores : array of shape (n_stimuli, n_varying_units)
        Mean 0 and (population) standard deviation 1 in each column.
    n_constant : int
        Units dropped because their response is the same to every stimulus.
    """
    responses = np.asarray(responses, dtype=float)
    centred = responses - responses.mean(axis=0, keepdims=True)
    # Rounding of the mean can leave about 1e-16 of its size in a constant column.
    spread = np.where(is_constant(responses, axis=0), 0.0, centred.std(axis=0))
    varying = spread > 0
    return centred[:, varying] / spread[varying], int((~varying).sum())


def view_order(stimuli: StimulusSet) -> tuple[pd.DataFrame, np.ndarray]:
    """Positions of each exemplar's views in a stimulus set.

    Parameters
    ----------
    stimuli : StimulusSet
        Every identity in every view of elevation 0; views off the horizon are left out.

    Returns
    -------
    exemplars : pandas.DataFrame
        One row per exemplar, indexed by ``identity``, column ``category``.
    positions : integer array of shape (n_exemplars, n_views)
        Positions in ``stimuli``, views sorted by azimuth; the same azimuths for every exemplar.

    Raises
    ------
    InputError
        If an identity lacks a view or has it twice.
    """
    views = stimuli.yaw_views()
    place = {stimulus_id: position for position, stimulus_id in enumerate(stimuli.ids)}
    positions = np.array([place[stimulus_id] for stimulus_id in views.ids])
    positions = positions.reshape(len(views.table["identity"].unique()), -1)
    exemplars = stimuli.table.iloc[positions[:, 0]].set_index("identity")[["category"]]
    return exemplars, positions


def view_rdms(
    matrices: np.ndarray,
    stimuli: StimulusSet,
    exemplars: pd.DataFrame,
    positions: np.ndarray,
    descriptors: Mapping[str, Sequence],
    dissimilarity: str,
) -> RDMs:
    """One RDM of the views of each exemplar, cut out of RDMs of all stimuli.

    Parameters
    ----------
    matrices : array of shape (n_rdms, n_stimuli, n_stimuli)
        Dissimilarities of all stimuli, one matrix per layer or population.
    stimuli : StimulusSet
        Stimuli of the rows, in order.
    exemplars, positions
        From :func:`view_order`.
    descriptors : mapping of str to sequence of length n_rdms
        Descriptors of the matrices.
    dissimilarity : str
        Name of the measure.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        ``n_rdms * n_exemplars`` RDMs, exemplars inner, with the further descriptors ``identity`` and ``category``;
        pattern descriptor ``azimuth_deg``.
    """
    n_rdms, n_exemplars = len(matrices), len(positions)
    views = matrices[:, positions[:, :, None], positions[:, None, :]]
    rdms = {name: [value for value in values for _ in range(n_exemplars)] for name, values in descriptors.items()}
    rdms["identity"] = exemplars.index.tolist() * n_rdms
    rdms["category"] = exemplars["category"].tolist() * n_rdms
    return build_rdms(
        views.reshape(-1, *views.shape[2:]),
        patterns=stimuli.table.iloc[positions[0]][["azimuth_deg"]].reset_index(drop=True),
        rdms=rdms,
        dissimilarity=dissimilarity,
    )


def as_matrices(rdms: RDMs | np.ndarray) -> np.ndarray:
    """Square matrices of shape (n_rdms, n, n) from RDMs, one square matrix, or a stack of them."""
    if isinstance(rdms, RDMs):
        return rdms.get_matrices()
    array = np.asarray(rdms, dtype=float)
    if array.ndim == 2 and array.shape[0] == array.shape[1]:
        return array[None]
    if array.ndim == 3 and array.shape[1] == array.shape[2]:
        return array
    raise ValueError(f"RDMs must have shape (n, n) or (n_rdms, n, n); got {array.shape}")


def _stimulus_ids(rdms: RDMs, which: str) -> list[str]:
    if "stimulus_id" not in rdms.pattern_descriptors:
        there = ", ".join(repr(name) for name in rdms.pattern_descriptors if name != "index") or "none"
        raise InputError(
            f"{which} have no pattern descriptor 'stimulus_id'; without it rows cannot be matched: name the one that "
            f"identifies the stimuli with match_by= (there are: {there})"
        )
    ids = [str(stimulus_id) for stimulus_id in rdms.pattern_descriptors["stimulus_id"]]
    if len(set(ids)) != len(ids):
        repeated = next(stimulus_id for stimulus_id in ids if ids.count(stimulus_id) > 1)
        raise InputError(f"{which} have stimulus_id {repeated!r} more than once; average repetitions first")
    return ids
