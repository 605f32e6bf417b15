"""Weights of a network, from a file that is safe to read into the network it belongs to."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from neural_data.errors import InputError

__all__ = ["load_checkpoint", "read_checkpoint", "write_checkpoint"]

_WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""Keys under which training scripts keep the state dictionary."""
_PREFIXES = ("module.", "_orig_mod.", "model.")
"""What DataParallel, torch.compile and common wrappers put before every name."""


def read_checkpoint(path: str | Path) -> dict[str, torch.Tensor]:
    """State dictionary of a checkpoint file; never runs code that the file brings.

    Parameters
    ----------
    path : str or Path
        ``.safetensors``, or a file that ``torch.load(weights_only=True)`` reads: a state dictionary, or a dictionary
        that holds one under ``state_dict``, ``model_state_dict``, ``model`` or ``net``.

    Returns
    -------
    dict of str to torch.Tensor
        On the CPU.

    Raises
    ------
    InputError
        If there is no such file, it is damaged, a pickle of anything but tensors, or no state dictionary.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint; give the path of a .safetensors or .pt file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            # Said of files that torch did not write; they are refused below anyway.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: not a checkpoint that is safe to read ({reason}); where you trust its source, load it in a "
            "script of your own and save the state dictionary with safetensors.torch.save_file(model.state_dict(), "
            "...)"
        ) from error
    for key in _WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise InputError(f"{path}: holds no state dictionary of tensors; save model.state_dict()")
    return dict(state)


def load_checkpoint(module: nn.Module, path: str | Path, *, name: str) -> None:
    """Put the weights of a checkpoint into a network, all of them or none.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place.
    path : str or Path
        See :func:`read_checkpoint`. A prefix that every weight has in common (``module.``, ``_orig_mod.``, ``model.``)
        and that the network does not know is taken off.
    name : str
        Of the network, for the message.

    Raises
    ------
    InputError
        If weights are missing, unexpected or of another shape: how many of each, and which; or if one is not finite.
    """
    wanted = dict(module.state_dict())
    state = _without_prefix(read_checkpoint(path), wanted)
    missing, unexpected = sorted(set(wanted) - set(state)), sorted(set(state) - set(wanted))
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(weight.shape)}"
        for key, weight in wanted.items()
        if key in state and state[key].shape != weight.shape
    ]
    if missing or unexpected or shapes:
        raise InputError(
            f"{path} does not fit {name}: {len(missing)} weights missing {missing[:3]}, {len(unexpected)} unexpected "
            f"{unexpected[:3]}, {len(shapes)} of another shape {shapes[:3]}; is it a checkpoint of this architecture?"
        )
    for key, weight in state.items():
        if not torch.isfinite(weight).all():
            raise InputError(f"{path}: {key} holds a value that is not a finite number; was the training unstable?")
    module.load_state_dict(state)


def write_checkpoint(module: nn.Module, path: str | Path) -> Path:
    """Write a network's weights as safetensors, whole or not at all.

    Parameters
    ----------
    module : torch.nn.Module
        Any.
    path : str or Path
        Should end in ``.safetensors``; its folder is made where it does not exist.

    Returns
    -------
    pathlib.Path
        Where it lies.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    # Shared weights are written under each of their names: safetensors refuses tensors that overlap.
    save_file({key: value.detach().cpu().clone().contiguous() for key, value in module.state_dict().items()}, partial)
    os.replace(partial, path)
    return path


def _without_prefix(state: Mapping[str, torch.Tensor], wanted: Mapping[str, object]) -> dict[str, torch.Tensor]:
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state) and not all(key in wanted for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return dict(state)
