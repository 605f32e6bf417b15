"""From a network and stimuli to RDMs, one a layer.

Sums of products between stimuli are accumulated over blocks of units, so a layer of any size needs no more memory
than one block and one (n_stimuli, n_stimuli) matrix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rsatoolbox.rdm import RDMs

from neural_data.errors import InputError
from neural_data.stimuli import StimulusSet
from neurocompare.models.registry import Network
from neurocompare.representations.activations import resolve_layers, unit_blocks
from neurocompare.representations.rdms import (
    DISSIMILARITIES,
    build_rdms,
    dissimilarity_from_products,
    view_order,
    view_rdms,
    zscore_units,
)

__all__ = ["RdmRequest", "compute_model_rdms", "compute_rdm_requests"]

NORMALIZATIONS = ("zscore", None)
_UNITS_AT_ONCE = 8192


@dataclass(frozen=True)
class RdmRequest:
    """Which RDMs are wanted from one presentation of the stimuli; see :func:`compute_model_rdms`."""

    dissimilarity: str = "correlation"
    normalize: str | None = "zscore"
    within: str | None = None

    def __post_init__(self):
        for name, value, known in (
            ("dissimilarity", self.dissimilarity, DISSIMILARITIES),
            ("normalize", self.normalize, NORMALIZATIONS),
            ("within", self.within, ("identity", None)),
        ):
            if value not in known:
                raise InputError(f"{name} of a model RDM must be one of {', '.join(map(repr, known))}; got {value!r}")


def compute_model_rdms(
    network: Network,
    stimuli: StimulusSet,
    layers: str | Sequence[str] = "all",
    *,
    dissimilarity: str = "correlation",
    normalize: str | None = "zscore",
    within: str | None = None,
    batch_size: int = 64,
    memory_mb: float = 1024.0,
) -> RDMs:
    """RDMs of a network's layers.

    Parameters
    ----------
    network : Network
        From :func:`~neurocompare.models.registry.load_model`.
    stimuli : StimulusSet
        Presented at the network's input size.
    layers : "all", str or sequence of str
        Names or patterns of layers.
    dissimilarity : {"correlation", "euclidean"}
        1 - Pearson's r across units; or, as in rsatoolbox, the squared Euclidean distance over the number of units.
    normalize : {"zscore", None}
        ``"zscore"``: each unit minus its mean over all stimuli, over its standard deviation there; constant units are
        dropped and counted in the descriptor ``n_constant``. None takes responses as they are.
    within : {None, "identity"}
        None: one RDM of all stimuli a layer. ``"identity"``: one RDM of the views of each exemplar a layer, views
        sorted by azimuth; normalisation still runs over all stimuli.
    batch_size : int
        Images a forward pass.
    memory_mb : float
        Budget for responses held at once, megabytes.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        RDM descriptors ``model, regime, seed, layer, layer_index, n_units, n_constant, normalize``, with
        ``within="identity"`` also ``identity, category``. Pattern descriptors ``stimulus_id`` and the columns of the
        stimulus table, or ``azimuth_deg``.

    Raises
    ------
    InputError
        If a layer does not exist, a response is not finite, or an exemplar lacks a view.
    """
    request = RdmRequest(dissimilarity, normalize, within)
    return compute_rdm_requests(
        network, stimuli, layers, {"rdms": request}, batch_size=batch_size, memory_mb=memory_mb
    )["rdms"]


def compute_rdm_requests(
    network: Network,
    stimuli: StimulusSet,
    layers: str | Sequence[str],
    requests: Mapping[str, RdmRequest],
    *,
    batch_size: int = 64,
    memory_mb: float = 1024.0,
) -> dict[str, RDMs]:
    """Several kinds of RDMs from one presentation of the stimuli.

    Parameters
    ----------
    network, stimuli, layers, batch_size, memory_mb
        See :func:`compute_model_rdms`.
    requests : mapping of str to RdmRequest
        What is wanted, by a name of the caller's.

    Returns
    -------
    dict of str to rsatoolbox.rdm.RDMs
        Under the names of the requests.
    """
    names = resolve_layers(network, layers)
    exemplars = {name: view_order(stimuli) for name, request in requests.items() if request.within}
    products = {
        (name, layer): _Products(len(stimuli), request.normalize)
        for name, request in requests.items()
        for layer in names
    }
    for layer, block in unit_blocks(network, stimuli, names, batch_size=batch_size, memory_mb=memory_mb):
        for name in requests:
            products[name, layer].add(block)
    known_order = network.layer_names()
    result = {}
    for name, request in requests.items():
        matrices = np.stack([products[name, layer].dissimilarities(request.dissimilarity) for layer in names])
        descriptors = {
            "model": [network.name] * len(names),
            "regime": [network.regime] * len(names),
            "seed": [network.seed] * len(names),
            "layer": names,
            "layer_index": [known_order.index(layer) for layer in names],
            "n_units": [products[name, layer].n_units for layer in names],
            "n_constant": [products[name, layer].n_constant for layer in names],
            "normalize": [request.normalize or "none"] * len(names),
        }
        if request.within:
            result[name] = view_rdms(matrices, stimuli, *exemplars[name], descriptors, request.dissimilarity)
        else:
            result[name] = build_rdms(
                matrices, patterns=stimuli.table, rdms=descriptors, dissimilarity=request.dissimilarity
            )
    return result


class _Products:
    """Sums over units, block by block, from which dissimilarities between stimuli follow."""

    def __init__(self, n_stimuli: int, normalize: str | None):
        self.normalize = normalize
        self.products = np.zeros((n_stimuli, n_stimuli))
        self.totals = np.zeros(n_stimuli)
        self.n_units = self.n_constant = 0

    def add(self, block: np.ndarray) -> None:
        """Add units: array of shape (n_stimuli, n_units_of_block)."""
        for start in range(0, block.shape[1], _UNITS_AT_ONCE):
            responses = block[:, start : start + _UNITS_AT_ONCE].astype(float)
            if self.normalize == "zscore":
                responses, n_constant = zscore_units(responses)
                self.n_constant += n_constant
            self.products += responses @ responses.T
            self.totals += responses.sum(axis=1)
            self.n_units += responses.shape[1]

    def dissimilarities(self, measure: str) -> np.ndarray:
        """Array of shape (n_stimuli, n_stimuli); NaN where a stimulus' pattern is constant or no unit varies."""
        return dissimilarity_from_products(self.products, self.totals, self.n_units, dissimilarity=measure)
