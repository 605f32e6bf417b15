"""Random starts: the weights of an untrained network, by type of parameter.

``gaussian`` (eLife 90256) draws every type of parameter from a distribution, so that no block is silent and nothing of
earlier training remains; ``own`` keeps the weights with which the network was constructed.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
from torch import nn

from neural_data.errors import InputError, closest

__all__ = ["STARTS", "apply_start", "gaussian_start"]

EMBEDDING_SD = 0.02
"""Standard deviation of class tokens and position embeddings, as in vision transformers (Dosovitskiy et al. 2021)."""
SLOPE = 0.25
"""Slope of learnt rectifiers (PReLU) below zero (He et al. 2015)."""
_EMBEDDED = re.compile(r"(^|_)(token|embed|pos|cls|latent)")
"""Names of parameters that are added or concatenated to activations."""
_ADDED = ("beta", "b", "shift", "offset")
"""Names of additive parameters other than those with ``bias``."""
_KERNELS = (nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)


def gaussian_start(module: nn.Module, seed: int) -> None:
    """Draw every parameter of a network anew, in the module's own order.

    - Kernels and weight matrices: N(0, 1 / fan-in); complex ones have half of that variance in each part.
    - Biases: 0.
    - Gains of normalisations, of weight normalisation and of scaled branches: 1, even if the network starts them at 0
      so that a residual block begins as the identity: such blocks would be silent.
    - Slopes of learnt rectifiers: 0.25.
    - Embeddings, class tokens and position embeddings: N(0, 0.02^2).
    - Running means 0 and variances 1.

    Buffers that a network computes once (Gabor filters, attention masks) are not parameters and are not changed.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place.
    seed : int
        The same seed gives the same values on every device.

    Raises
    ------
    InputError
        If a parameter is sparse, for which no start is defined.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for where, part in module.named_modules():
            for name, weight in part.named_parameters(recurse=False):
                if weight.layout != torch.strided:
                    raise InputError(
                        f"start='gaussian': parameter {f'{where}.{name}'.lstrip('.')!r} is sparse; its start is not "
                        "defined, so start it in your own code and leave start out"
                    )
                if weight.is_floating_point() or weight.is_complex():
                    _start_of(part, name, weight)(weight, part, generator)
            if isinstance(part, nn.modules.batchnorm._NormBase):
                part.reset_running_stats()


def apply_start(module: nn.Module, start: str, seed: int) -> None:
    """Apply a random start by name.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place.
    start : str
        One of :data:`STARTS`.
    seed : int
        Seed of the weights.

    Raises
    ------
    InputError
        If there is no such start.
    """
    if start not in STARTS:
        raise InputError(f"start must be one of {', '.join(STARTS)}; got {start!r}: {closest(start, STARTS)}")
    STARTS[start](module, seed)


def _leave(_module: nn.Module, _seed: int) -> None:
    """Keep the weights with which the network was constructed."""


STARTS: dict[str, Callable[[nn.Module, int], None]] = {"gaussian": gaussian_start, "own": _leave}

_Fill = Callable[[torch.Tensor, nn.Module, torch.Generator], None]


def _start_of(part: nn.Module, name: str, weight: torch.Tensor) -> _Fill:
    """The start of a parameter, by type and name."""
    lower = name.lower()
    if "bias" in lower or lower in _ADDED:
        return _zero
    if isinstance(part, nn.PReLU):
        return _slope
    if isinstance(part, nn.Embedding) or _EMBEDDED.search(lower):
        return _embedding
    if isinstance(part, _KERNELS) and weight.dim() >= 2 and not lower.endswith("_g"):
        return _kernel
    # A vector that multiplies is a gain, whatever its name and number of singleton dimensions.
    return _one if sum(length > 1 for length in weight.shape) <= 1 else _kernel


def _zero(weight: torch.Tensor, _part: nn.Module, _generator: torch.Generator) -> None:
    weight.zero_()


def _one(weight: torch.Tensor, _part: nn.Module, _generator: torch.Generator) -> None:
    weight.fill_(1.0)


def _slope(weight: torch.Tensor, _part: nn.Module, _generator: torch.Generator) -> None:
    weight.fill_(SLOPE)


def _embedding(weight: torch.Tensor, _part: nn.Module, generator: torch.Generator) -> None:
    weight.copy_(_normal(weight, generator) * EMBEDDING_SD)


def _kernel(weight: torch.Tensor, part: nn.Module, generator: torch.Generator) -> None:
    fan_in = weight[0].numel()
    if isinstance(part, nn.modules.conv._ConvTransposeNd):
        fan_in = weight[:, 0].numel() // part.groups
    weight.copy_(_normal(weight, generator) / fan_in**0.5)


def _normal(weight: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Standard normal values of the weight's shape; complex values have unit variance in total."""
    if not weight.is_complex():
        return torch.randn(weight.shape, generator=generator)
    real, imaginary = (torch.randn(weight.shape, generator=generator) for _ in range(2))
    return torch.complex(real, imaginary) / 2**0.5
