"""Moves a module to a device and precision and into evaluation mode, without losing information of its weights."""

from __future__ import annotations

import logging

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from neural_data.errors import InputError

__all__ = ["PRECISIONS", "evaluated", "find_device", "placed"]

PRECISIONS: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "float64": torch.float64,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
_COMPLEX = {torch.float32: torch.complex64, torch.float64: torch.complex128}
log = logging.getLogger(__name__)


def find_device(name: str) -> torch.device:
    """The device with this name; ``auto`` takes a CUDA device if there is one.

    Raises
    ------
    InputError
        If this machine does not have it.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        found = ", ".join(["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))])
        raise InputError(
            f"device {name!r} cannot be used ({str(error).splitlines()[0]}); this machine has {found}; 'auto' "
            "chooses one of them"
        ) from error
    return device


def placed(module: nn.Module, device: torch.device, precision: str | None, *, where: str) -> nn.Module:
    """The module moved to a device, with floating-point weights in the given precision.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place, as ``module.to`` does.
    device : torch.device
        Where it is to run.
    precision : str or None
        One of :data:`PRECISIONS`; None keeps the precision of every weight.
    where : str
        Name of the network, for the message.

    Returns
    -------
    torch.nn.Module
        Complex weights take the complex type of that precision; integers and booleans are unchanged.

    Raises
    ------
    InputError
        For complex weights in half precision, which torch does not support; or if a weight cannot be moved or is not
        initialised (lazy module).
    """
    lazy = [name for name, weight in (*module.named_parameters(), *module.named_buffers()) if is_lazy(weight)]
    if lazy:
        raise InputError(
            f"{where}: {lazy[0]} has no value until the first forward pass (a lazy module); show the module an image "
            "first, or give weights"
        )
    dtype = None if precision is None else PRECISIONS[precision]
    weights = [*module.parameters(), *module.buffers()]
    if dtype is not None and dtype not in _COMPLEX and any(weight.is_complex() for weight in weights):
        raise InputError(
            f"{where} has complex weights, of which {precision} would keep only the real part; use float32"
        )

    def move(weight: torch.Tensor) -> torch.Tensor:
        if dtype is None:
            return weight.to(device)
        if weight.is_complex():
            return weight.to(device, _COMPLEX[dtype])
        return weight.to(device, dtype) if weight.is_floating_point() else weight.to(device)

    try:
        return module._apply(move)
    except (RuntimeError, NotImplementedError) as error:
        raise InputError(
            f"{where} cannot be moved to {device} ({str(error).splitlines()[0]}); choose another device"
        ) from error


def evaluated(module: nn.Module, *, where: str) -> nn.Module:
    """The module with every part in evaluation mode.

    If the module's own ``train`` method keeps parts in training mode (active dropout, batch statistics), those parts
    are set to evaluation mode one by one, and the log reports it.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place.
    where : str
        Name of the network, for the message.

    Returns
    -------
    torch.nn.Module
        The same module.
    """
    module.eval()
    kept = [name or type(module).__name__ for name, part in module.named_modules() if part.training]
    for part in module.modules():
        if part.training:
            part.training = False
    if kept:
        log.warning(
            "%s: its own train() keeps %d modules in training mode (%s); they are shown images in evaluation mode",
            where,
            len(kept),
            ", ".join(kept[:3]),
        )
    return module
