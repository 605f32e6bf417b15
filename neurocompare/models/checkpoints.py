"""Checkpoints: reads weights without unpickling, loads them into a network, and writes them."""

from __future__ import annotations

import json
import logging
import pickle
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from neural_data.errors import InputError
from neural_data.formats.bounds import checked_file, read_bytes, whole_file
from neurocompare.models.fitting_weights import fit_entries

__all__ = [
    "in_fewer_bits",
    "load_checkpoint",
    "read_checkpoint",
    "read_entries",
    "read_state",
    "shipped_checkpoint",
    "with_classes",
    "write_checkpoint",
    "write_state",
]

log = logging.getLogger(__name__)
SHIPPED = Path(__file__).with_name("pretrained")
_ENTRIES = ("state_dict", "model_state_dict", "model", "net")
"""Keys under which training scripts save the state dictionary."""
_DEEPEST = 4
"""Largest depth of nested dictionaries that is searched."""
_WHOLE = ("model.safetensors", "pytorch_model.bin")
"""File names of a checkpoint in a folder."""
_UNREADABLE = (
    SafetensorError,
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)


def read_checkpoint(path: str | Path) -> dict[str, torch.Tensor]:
    """State dictionary of a checkpoint file; never executes code in the file.

    Parameters
    ----------
    path : str or Path
        ``.safetensors``; or a file that ``torch.load(weights_only=True)`` reads: a state dictionary, or a dictionary
        that holds one under ``state_dict``, ``model_state_dict``, ``model`` or ``net``; or a sharded checkpoint: its
        ``*.index.json``, or the folder that holds it.

    Returns
    -------
    dict of str to torch.Tensor
        On the CPU.

    Raises
    ------
    InputError
        If there is no such file, it is damaged, pickles other objects than tensors, or holds no state dictionary.
    """
    entries = read_entries(path)
    key = ""
    while inner := next((f"{key}.{name}".lstrip(".") for name in _ENTRIES if _within(entries, key, name)), None):
        key = inner
    if key not in entries:
        raise InputError(f"{path}: holds no state dictionary of tensors; save model.state_dict()")
    return dict(entries[key])


def read_entries(path: str | Path) -> dict[str, dict[str, torch.Tensor]]:
    """Every dictionary of tensors in a checkpoint, by the keys that lead to it (``""``, ``state_dict``, ``ema.model``).

    Parameters
    ----------
    path : str or Path
        See :func:`read_checkpoint`.

    Returns
    -------
    dict of str to dict
        Tensors on the CPU; other entries (numbers of epochs, settings) are left out.

    Raises
    ------
    InputError
        See :func:`read_checkpoint`.
    """
    path = Path(path)
    if path.is_dir():
        path = _in_folder(path)
    if path.name.endswith(".index.json"):
        return {"": _read_shards(path)}
    held = _read_file(path)
    if path.suffix == ".safetensors":
        return {"": held}
    found = _tensors_within(held)
    if not found:
        raise InputError(f"{path}: holds no state dictionary of tensors; save model.state_dict()")
    return found


def _read_file(path: Path) -> Any:
    """Content of one file; only tensors and plain containers are unpickled."""
    checked_file(path, "checkpoint")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            # torch warns of files that it did not write; they are refused below.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            _check_zip_sums(path)
            return torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: not a checkpoint that is safe to read ({reason}); if you trust its source, load it in "
            "your own script and save the weights with safetensors.torch.save_model(model, 'weights.safetensors')"
        ) from error


def _check_zip_sums(path: Path) -> None:
    """Verify the checksums of a zip, which torch does not."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"the checksum of {damaged} is wrong; copy the file again")


def _in_folder(folder: Path) -> Path:
    """The checkpoint in a folder: its index if it is sharded, else the file."""
    indices = sorted(folder.glob("*.index.json"))
    files = [folder / name for name in _WHOLE if (folder / name).is_file()]
    if len(indices) > 1 or not (indices or files):
        raise InputError(
            f"{folder}: is a folder with {len(indices)} index files (*.index.json) and without {' or '.join(_WHOLE)}; "
            "name the checkpoint itself"
        )
    return (indices or files)[0]


def _read_shards(index: Path) -> dict[str, torch.Tensor]:
    """Tensors of all files of a sharded checkpoint, checked to be in the files that the index gives."""
    checked_file(index, "index")
    try:
        where = json.loads(read_bytes(index, what="index"))["weight_map"]
        places = {str(name): str(file) for name, file in where.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{index}: is not the index of a sharded checkpoint (it has no weight_map); name the checkpoint"
        ) from error
    state: dict[str, torch.Tensor] = {}
    for file in sorted(set(places.values())):
        path = index.parent / file
        if Path(file).name != file or not path.resolve().is_relative_to(index.parent.resolve()):
            raise InputError(f"{index}: names {file!r}, which lies outside its folder; put the file beside the index")
        held = _read_file(path)
        if not isinstance(held, dict):
            raise InputError(f"{path}: has no named tensors; save model.state_dict()")
        for name, value in held.items():
            if places.get(name) != file or name in state:
                raise InputError(
                    f"{path}: has {name}, which belongs in {places.get(name)} according to {index.name}; download the "
                    "files again"
                )
            state[name] = value
    missing = sorted(set(places) - set(state))
    if missing:
        raise InputError(
            f"{index}: {len(missing)} weights are in none of its files ({missing[:3]}); download the missing files"
        )
    return state


def _tensors_within(held: object, key: str = "", depth: int = 0) -> dict[str, dict[str, torch.Tensor]]:
    """Dictionaries of tensors in the content of a file, outermost first."""
    if not isinstance(held, dict) or depth > _DEEPEST:
        return {}
    named = {name: value for name, value in held.items() if isinstance(name, str)}
    tensors = {name: value for name, value in named.items() if isinstance(value, torch.Tensor)}
    found = {key: tensors} if tensors else {}
    for name, inner in named.items():
        found |= _tensors_within(inner, f"{key}.{name}".lstrip("."), depth + 1)
    return found


def _within(entries: Mapping[str, object], key: str, name: str) -> bool:
    inner = f"{key}.{name}".lstrip(".")
    return any(entry == inner or entry.startswith(inner + ".") for entry in entries)


def shipped_checkpoint(name: str, regime: str | None) -> Path:
    """Path of the pretrained weights that ship with the package, in half precision.

    Parameters
    ----------
    name : str
        Name of one of the package's own networks.
    regime : str or None
        Training regime; ``README.md`` in the weights folder gives the training command.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If the package has none for this network and regime.
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
    """Load the weights of a checkpoint into a network, all of them or none.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place.
    source : str, Path or mapping
        A file, see :func:`read_checkpoint`, or a state dictionary. Names are matched, and one of several sets of
        weights is chosen, as in :func:`~neurocompare.models.fitting_weights.fit_entries`; the log reports what was
        chosen and left out. The last linear layer takes the number of classes of the checkpoint.
    name : str
        Of the network, for the message.

    Raises
    ------
    InputError
        If weights are missing, unexpected, of another shape or of another type (complex, sparse, integer), with their
        numbers and names; or if a weight is not finite.
    """
    if isinstance(source, Mapping):
        path = "the state dictionary"
        entries = {"": _only_tensors(source, path)}
    else:
        path = str(source)
        entries = read_entries(source)
    fitting = fit_entries(module, entries, source=path, name=name)
    _match_classes(module, fitting.state, name)
    own = module.state_dict()
    shapes = [
        f"{key} {tuple(value.shape)} instead of {tuple(own[key].shape)}"
        for key, value in fitting.state.items()
        if own[key].shape != value.shape
    ]
    if shapes:
        raise InputError(
            f"{path} does not fit {name}: 0 weights missing [], 0 unexpected [], {len(shapes)} of another shape "
            f"{shapes[:3]}; is it a checkpoint of this architecture?"
        )
    for text in fitting.said:
        log.warning("%s: %s: %s", name, path, text)
    # Extra state that is not a tensor is not loaded.
    module.load_state_dict({**own, **fitting.state})


def _only_tensors(state: Mapping[str, object], path: str) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = {}
    for key, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise InputError(f"{path}: {key} is a {type(value).__name__} and not a tensor; save model.state_dict()")
        tensors[key] = value
    return tensors


def write_checkpoint(module: nn.Module, path: str | Path) -> Path:
    """Write a network's weights as safetensors, whole or not at all.

    Parameters
    ----------
    module : torch.nn.Module
        Any network.
    path : str or Path
        Should end in ``.safetensors``; its folder is created if needed.

    Returns
    -------
    pathlib.Path
        The file.
    """
    # Shared weights are written under each of their names: safetensors refuses tensors that overlap.
    state = {key: value.detach().cpu().clone().contiguous() for key, value in module.state_dict().items()}
    return write_state(path, state)


def write_state(path: str | Path, tensors: Mapping[str, torch.Tensor], about: Mapping[str, str] | None = None) -> Path:
    """Write tensors, and text about them, as safetensors, whole or not at all.

    Parameters
    ----------
    path : str or Path
        Its folder is created if needed. An existing file is replaced only when the new one is complete.
    tensors : mapping of str to torch.Tensor
        On the CPU, contiguous, without shared memory.
    about : mapping of str to str, or None
        Text for the file's header.

    Returns
    -------
    pathlib.Path
        The file.

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


def in_fewer_bits(
    state: Mapping[str, torch.Tensor], *, matrices: torch.dtype = torch.float16
) -> dict[str, torch.Tensor]:
    """Weights as they ship: floating-point numbers in half precision, counters as they are.

    Parameters
    ----------
    state : mapping of str to torch.Tensor
        State dictionary of a network.
    matrices : torch.dtype
        Type of filters and matrices, such as ``torch.float8_e4m3fn``; biases and normalisation stay in half precision.

    Returns
    -------
    dict of str to torch.Tensor
    """
    return {
        name: value.to(matrices if value.dim() > 1 else torch.float16) if value.is_floating_point() else value
        for name, value in state.items()
    }


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
    """Replace the last linear layer so that a network has one output per class.

    Parameters
    ----------
    module : torch.nn.Module
        Changed in place, unless it has ``n_classes`` outputs already.
    n_classes : int
        Outputs that are wanted.
    seed : int
        Seed of the new layer's weights (He-uniform); its biases are zero.
    where : str
        Name of the network, for the message.

    Raises
    ------
    InputError
        If the network contains no linear layer.
    """
    linear = [(name, part) for name, part in module.named_modules() if isinstance(part, nn.Linear) and name]
    if not linear:
        raise InputError(
            f"{where} has no linear layer to give class scores, so it cannot be trained; choose a network that has one"
        )
    name, old = linear[-1]
    parent, _, attribute = name.rpartition(".")
    if old.out_features == n_classes:
        return
    new = nn.Linear(old.in_features, n_classes, bias=old.bias is not None, device=old.weight.device)
    nn.init.kaiming_uniform_(new.weight, nonlinearity="relu", generator=torch.Generator().manual_seed(seed))
    if new.bias is not None:
        nn.init.zeros_(new.bias)
    setattr(module.get_submodule(parent), attribute, new.to(old.weight.dtype))


def _match_classes(module: nn.Module, state: Mapping[str, torch.Tensor], name: str) -> None:
    """Adapt the last linear layer to the number of classes of a checkpoint, if nothing else differs."""
    own = module.state_dict()
    others = [key for key, value in own.items() if key not in state or state[key].shape != value.shape]
    linear = [key for key, part in module.named_modules() if isinstance(part, nn.Linear) and key]
    if others and linear and set(others) <= {f"{linear[-1]}.weight", f"{linear[-1]}.bias"}:
        weight = state.get(f"{linear[-1]}.weight")
        if weight is not None and weight.dim() == 2 and weight.shape[1] == module.get_submodule(linear[-1]).in_features:
            with_classes(module, weight.shape[0], where=name)
