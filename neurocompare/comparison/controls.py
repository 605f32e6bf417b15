"""Controls: effects of view and identity that are partialled out of RDMs, and restrictions to some pairs of stimuli.

The RDMs of any two populations that are tuned to view are similar: they share the mean dissimilarity of each pair of
views, and small dissimilarities within an identity. Without controls, a fit can reflect these alone. A control assigns
every pair of stimuli to a cell; the mean of each cell is subtracted from model and neural RDMs, so that the fit depends
on differences within cells.

Cell means are those of the whole RDM, also in resampled data: to first order a fit does not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from neural_data.errors import InputError, closest
from neural_data.stimulus_tables import ANGLES
from neurocompare.comparison.resampling import cluster_codes

__all__ = ["CONTROLS", "Control", "PairCells", "cells_of_pairs", "check_controls", "view_codes"]


@dataclass(frozen=True)
class Control:
    """An assignment of pairs of stimuli to cells.

    Parameters
    ----------
    name : str
        Name in study files and tables.
    label : str
        What is compared under this control, in words.
    cells : callable
        From identities and views, each (n_pairs, 2), numbered from 0, of the two stimuli of each pair, to the cell of
        each pair, integers; negative for pairs that are left out.
    """

    name: str
    label: str
    cells: Callable[[np.ndarray, np.ndarray], np.ndarray]


def _view_pairs(_identities: np.ndarray, views: np.ndarray) -> np.ndarray:
    ordered = np.sort(views, axis=1)
    return ordered[:, 0] * (int(views.max()) + 1) + ordered[:, 1]


def _same_identity(identities: np.ndarray, _views: np.ndarray) -> np.ndarray:
    return (identities[:, 0] == identities[:, 1]).astype(int)


def _within_views(_identities: np.ndarray, views: np.ndarray) -> np.ndarray:
    return np.where(views[:, 0] == views[:, 1], views[:, 0], -1)


def _within_identities(identities: np.ndarray, _views: np.ndarray) -> np.ndarray:
    return np.where(identities[:, 0] == identities[:, 1], 0, -1)


CONTROLS: dict[str, Control] = {
    control.name: control
    for control in (
        Control("view", "less the mean of each pair of views", _view_pairs),
        Control("identity", "less the mean of pairs of one identity, and of two", _same_identity),
        Control("within-view", "pairs of one view alone, less the mean of each view", _within_views),
        Control("within-identity", "pairs of one identity alone", _within_identities),
    )
}
"""Every control by its name; several controls are crossed. To add one, add its record here."""


@dataclass(frozen=True)
class PairCells:
    """Cells of all pairs of stimuli, in the order of an upper triangle.

    Parameters
    ----------
    cell : integer array of shape (n_pairs,)
        Numbered from 0; -1 for pairs that are left out.
    """

    cell: np.ndarray

    def partialled(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors (n_rdms, n_pairs) minus the mean of each cell; NaN for pairs left out or NaN before."""
        kept = self.cell >= 0
        cell = self.cell[kept]
        values = vectors[:, kept]
        known = ~np.isnan(values)
        membership = np.zeros((len(cell), int(cell.max()) + 1))
        membership[np.arange(len(cell)), cell] = 1.0
        n_known = known @ membership
        means = np.where(known, values, 0.0) @ membership / np.maximum(n_known, 1)
        found = np.full(vectors.shape, np.nan)
        found[:, kept] = values - means[:, cell]
        return found


def check_controls(control: str | Sequence[str]) -> tuple[str, ...]:
    """Names of controls, checked.

    Parameters
    ----------
    control : str or sequence of str
        One or several of :data:`CONTROLS`; ``"view+identity"`` and ``("view", "identity")`` are the same; an empty
        sequence and ``"none"`` mean no control.

    Returns
    -------
    tuple of str

    Raises
    ------
    InputError
        If there is no control of this name, or one is named twice.
    """
    if isinstance(control, str):
        control = () if control == "none" else control.split("+")
    names = tuple(name.strip() for name in control)
    for name in names:
        if name not in CONTROLS:
            raise InputError(f"there is no control {name!r}: {closest(name, CONTROLS)}")
    if len(set(names)) != len(names):
        raise InputError(f"control must name each control once; got {names}")
    return names


def cells_of_pairs(control: str | Sequence[str], patterns: pd.DataFrame) -> PairCells | None:
    """Cells of all pairs of stimuli under one or several controls, crossed.

    Parameters
    ----------
    control : str or sequence of str
        See :func:`check_controls`.
    patterns : pandas.DataFrame
        Columns ``identity`` and ``azimuth_deg`` (and ``elevation_deg``), one row per stimulus.

    Returns
    -------
    PairCells or None
        None without controls.

    Raises
    ------
    InputError
        If identities or views are unknown, or no cell has two pairs.
    """
    names = check_controls(control)
    if not names:
        return None
    ends = np.stack(np.triu_indices(len(patterns), 1), axis=1)
    identities, views = identity_codes(patterns)[ends], view_codes(patterns)[ends]
    crossed = np.stack([CONTROLS[name].cells(identities, views) for name in names], axis=1)
    kept = (crossed >= 0).all(axis=1)
    cell = np.full(len(ends), -1)
    if kept.any():
        cell[kept] = np.unique(crossed[kept], axis=0, return_inverse=True)[1].ravel()
    if not kept.any() or np.bincount(cell[kept]).max() < 2:
        raise InputError(
            f"under control {'+'.join(names)} fewer than two pairs of these {len(patterns)} stimuli are left; show "
            "more identities in the same views"
        )
    return PairCells(cell)


def identity_codes(patterns: pd.DataFrame) -> np.ndarray:
    """Identity of each stimulus, numbered from 0."""
    if "identity" not in patterns.columns:
        raise InputError("identities are unknown: RDMs need the pattern descriptor 'identity'")
    return cluster_codes(patterns["identity"])


def view_codes(patterns: pd.DataFrame) -> np.ndarray:
    """View of each stimulus (azimuth and, where there is one, elevation), numbered from 0."""
    columns = [name for name in ANGLES if name in patterns.columns]
    if "azimuth_deg" not in columns:
        raise InputError("views are unknown: RDMs need the pattern descriptor 'azimuth_deg'")
    return cluster_codes(list(zip(*(patterns[name] for name in columns), strict=True)))
