"""Weights of a network, from a file that is safe to read into the network it belongs to."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from neural_data.errors import InputError
from neural_data.formats.bounds import whole_file

__all__ = [
    "load_checkpoint",
    "read_checkpoint",
    "read_state",
    "shipped_checkpoint",
    "with_classes",
    "write_checkpoint",
    "write_state",
]

SHIPPED = Path(__file__).with_name("pretrained")
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


def shipped_checkpoint(name: str, regime: str | None) -> Path:
    """Weights of a network that come with the package, in half precision.

    Parameters
    ----------
    name : str
        Of one of the package's own networks.
    regime : str or None
        How it was trained; ``README.md`` beside the files says with which command.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If there are none for this network and regime.
    """
    regimes = sorted(path.stem.partition("_")[2] for path in SHIPPED.glob(f"{name}_*.safetensors"))
    if not regimes:
        raise InputError(f"{name} has no pretrained weights; train it, or name a checkpoint")
    if regime not in regimes:
        raise InputError(
            f"{name} has pretrained weights of the regimes {', '.join(regimes)}; name one of them as regime"
            f"{'' if regime is None else f', not {regime!r}'}, or train the network"
        )
    return SHIPPED / f"{name}_{regime}.safetensors"


def load_checkpoint(module: nn.Module, source: str | Path | Mapping[str, torch.Tensor], *, name: str) -> None:
    """Put the weights of a checkpoint into a network, all of them or none.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place.
    source : str, Path or mapping
        A file, see :func:`read_checkpoint`, or a state dictionary. A prefix that every weight has in common
        (``module.``, ``_orig_mod.``, ``model.``) and that the network does not know is taken off. The last linear layer
        takes the number of classes of the checkpoint.
    name : str
        Of the network, for the message.

    Raises
    ------
    InputError
        If weights are missing, unexpected or of another shape: how many of each, and which; or if one is not finite.
    """
    given = isinstance(source, Mapping)
    path = "the state dictionary" if given else source
    state = _without_prefix(source if given else read_checkpoint(source), module.state_dict())
    _match_classes(module, state, name)
    wanted = dict(module.state_dict())
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
    # Shared weights are written under each of their names: safetensors refuses tensors that overlap.
    state = {key: value.detach().cpu().clone().contiguous() for key, value in module.state_dict().items()}
    return write_state(path, state)


def write_state(path: str | Path, tensors: Mapping[str, torch.Tensor], about: Mapping[str, str] | None = None) -> Path:
    """Write tensors, and text about them, as safetensors, whole or not at all.

    Parameters
    ----------
    path : str or Path
        Its folder is made where it does not exist. A file that is there stays until the new one is whole.
    tensors : mapping of str to torch.Tensor
        On the CPU, contiguous, each with memory of its own.
    about : mapping of str to str, or None
        Kept in the file's header.

    Returns
    -------
    pathlib.Path
        Where it lies.

    Raises
    ------
    InputError
        If the disk is full or the folder cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
    with whole_file(path, durable=True) as partial:
        partial.write_bytes(save(dict(tensors), dict(about or {})))
    return path


def read_state(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and text that :func:`write_state` wrote.

    Raises
    ------
    InputError
        If there is no such file, or it is damaged.
    """
    tensors = read_checkpoint(path)
    with safe_open(path, framework="pt") as file:
        return tensors, dict(file.metadata() or {})


def with_classes(module: nn.Module, n_classes: int, *, seed: int = 0, where: str = "network") -> None:
    """Give a network as many outputs as there are classes.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place: its last linear layer is replaced, where it has another number of outputs.
    n_classes : int
    seed : int
        Of the new layer's weights (He-uniform); its biases are zero.
    where : str
        Name of the network, for the message.

    Raises
    ------
    InputError
        If the network has no linear layer inside.
    """
    linear = [name for name, part in module.named_modules() if isinstance(part, nn.Linear) and name]
    if not linear:
        raise InputError(f"{where} has no linear layer that could give class scores; it cannot be trained on classes")
    parent, _, attribute = linear[-1].rpartition(".")
    old = module.get_submodule(linear[-1])
    if old.out_features == n_classes:
        return
    new = nn.Linear(old.in_features, n_classes, bias=old.bias is not None, device=old.weight.device)
    nn.init.kaiming_uniform_(new.weight, nonlinearity="relu", generator=torch.Generator().manual_seed(seed))
    if new.bias is not None:
        nn.init.zeros_(new.bias)
    setattr(module.get_submodule(parent), attribute, new.to(old.weight.dtype))


def _match_classes(module: nn.Module, state: Mapping[str, torch.Tensor], name: str) -> None:
    """Give the last linear layer the number of classes of a checkpoint that differs in nothing else."""
    own = module.state_dict()
    others = [key for key, value in own.items() if key not in state or state[key].shape != value.shape]
    linear = [key for key, part in module.named_modules() if isinstance(part, nn.Linear) and key]
    if others and linear and set(others) <= {f"{linear[-1]}.weight", f"{linear[-1]}.bias"}:
        weight = state.get(f"{linear[-1]}.weight")
        if weight is not None and weight.dim() == 2 and weight.shape[1] == module.get_submodule(linear[-1]).in_features:
            with_classes(module, weight.shape[0], where=name)


def _without_prefix(state: Mapping[str, torch.Tensor], wanted: Mapping[str, object]) -> dict[str, torch.Tensor]:
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state) and not all(key in wanted for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return dict(state)
