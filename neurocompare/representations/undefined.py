"""Explains undefined RDMs of layers: which units are constant, and what in the network makes them so.

Takes a network, the stimuli and the layers whose RDMs hold NaN; gives one sentence per layer. A few stimuli are
presented again, so it costs time only if there is something to explain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from neural_data.stimuli import StimulusSet
from neurocompare.models.layers import Layer
from neurocompare.models.registry import Network
from neurocompare.representations.activations import stream_responses

__all__ = ["explain_undefined"]

_ROUNDING = 32.0
LOOKED_AT = 16
"""Number of stimuli that are presented again, evenly spaced over the set."""


@dataclass
class _Seen:
    """Statistics of one output over the stimuli presented again."""

    n_units: int
    n_constant: int
    n_zero: int
    n_uniform: int
    """Number of stimuli to which all units respond equally."""


def explain_undefined(network: Network, stimuli: StimulusSet, layers: Sequence[Layer]) -> list[str]:
    """Why RDMs of layers are undefined.

    Parameters
    ----------
    network : Network
        The network of the layers.
    stimuli : StimulusSet
        Stimuli of the RDMs.
    layers : sequence of Layer
        Layers whose RDMs hold NaN.

    Returns
    -------
    list of str
        One sentence per layer: how many of its units are constant, the first output of the network that does not vary,
        and which parameters are zero there.
    """
    if not layers:
        return []
    shown = stimuli.take(np.unique(np.linspace(0, len(stimuli) - 1, min(LOOKED_AT, len(stimuli))).round().astype(int)))
    names = [output.name for output in network.outputs]
    last = max(names.index(layer.name if layer.name in names else layer.made_from) for layer in layers)
    # Derived outputs directly follow the outputs they are derived from.
    watched = [*network.outputs[: last + 1], *(layer for layer in layers if layer.name not in names)]
    seen: dict[str, _Seen] = {}

    def look(layer: Layer, _rows: slice, responses: torch.Tensor) -> None:
        values = responses[0]
        constant = _alike(values, 0)
        seen[layer.name] = _Seen(
            n_units=layer.n_units,
            n_constant=int(constant.sum()),
            n_zero=int((values == 0).all(dim=0).sum()),
            n_uniform=int(_alike(values, 1).sum()),
        )

    stream_responses(network, shown, watched, look, batch_size=len(shown), check_all=False)
    return [f"{layer.name}: {_reason(network, layer, seen, len(shown))}" for layer in layers]


def _alike(values: torch.Tensor, dim: int) -> torch.Tensor:
    """Whether values along a dimension are equal but for rounding."""
    spread = values.amax(dim) - values.amin(dim)
    return spread <= _ROUNDING * torch.finfo(values.dtype).eps * values.abs().amax(dim)


def _reason(network: Network, layer: Layer, seen: dict[str, _Seen], n_shown: int) -> str:
    found = seen[layer.name]
    if found.n_units == 1:
        return "it has one unit, and a correlation across units needs two"
    if found.n_constant < found.n_units and not found.n_uniform:
        return f"{found.n_constant} of {found.n_units} units give the same response to {n_shown} stimuli looked at"
    if found.n_constant < found.n_units:
        return (
            f"all {found.n_units} units answer alike to {found.n_uniform} of {n_shown} stimuli looked at, so that no "
            "correlation across units is defined for them"
        )
    answer = "0" if found.n_zero == found.n_units else "the same whatever is shown"
    first = next(
        output for output in network.outputs if (s := seen.get(output.name)) is not None and s.n_constant == s.n_units
    )
    zero = _zero_parameters(network, first)
    why = f"{', '.join(zero[:3])} of it {'is' if len(zero) == 1 else 'are'} 0" if zero else "nothing reaches it"
    return (
        f"all {found.n_units} units are constant ({answer}) over {n_shown} stimuli looked at; the first output that "
        f"does not vary is {first.name!r} ({first.kind}): {why}"
    )


def _zero_parameters(network: Network, layer: Layer) -> list[str]:
    """Weights and gains of a layer's module that are all 0; zero biases are usual."""
    module = network.module.get_submodule(layer.module)
    return [
        name
        for name, weight in module.named_parameters()
        if "bias" not in name and weight.numel() and not weight.detach().any()
    ]
