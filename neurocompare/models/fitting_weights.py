"""Matches the weights of a checkpoint to a network, whatever prefixes their names have in the file.

Takes the entries of a file (dictionaries of tensors, by their keys) and a module; gives a complete state dictionary for
the module, and notes for the log. Weights are not converted between types: complex, sparse and integer weights must
have the type of the network's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from neural_data.errors import InputError

__all__ = ["Entries", "Fitting", "fit_entries"]

Entries = Mapping[str, Mapping[str, torch.Tensor]]
"""Dictionaries of tensors of a checkpoint; the key is empty for the file itself, else ``state_dict``, ``ema.model``."""
WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Parts that DataParallel, torch.compile and others add to names, at the front or in the middle."""
COUNTERS = ("num_batches_tracked", "total_ops", "total_params", "n_averaged")
"""Entries that no response depends on; they may be missing or superfluous."""
_AVERAGED = re.compile(
    r"(^|[._])(ema|avg|averaged?|average|swa|shadow|teacher|momentum|target|encoder_k|key_encoder)([._]|$)",
    re.IGNORECASE,
)
"""Keys under which checkpoints save weights averaged over training."""


@dataclass(frozen=True)
class Fitting:
    """Weights of a checkpoint that fit a network.

    Parameters
    ----------
    state : dict of str to torch.Tensor
        All weights, by the network's own names.
    said : tuple of str
        Notes for the log: what was chosen and left out.
    """

    state: dict[str, torch.Tensor]
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Candidate:
    """One set of weights in a file that is complete for the network."""

    entry: str
    prefix: str
    keys: dict[str, str]
    """The network's own names, and the names in the entry."""

    @property
    def label(self) -> str:
        return ".".join(filter(None, [self.entry, self.prefix.rstrip(".")])) or "the weights"

    @property
    def averaged(self) -> bool:
        return _AVERAGED.search(self.label) is not None


def fit_entries(module: nn.Module, entries: Entries, *, source: str, name: str) -> Fitting:
    """Match the weights of a checkpoint to a network.

    Parameters
    ----------
    module : torch.nn.Module
        Not changed. The number of outputs of its last linear layer may differ.
    entries : mapping
        See :data:`Entries`.
    source, name : str
        Of the checkpoint and of the network, for messages.

    Returns
    -------
    Fitting
        Prefixes (``module.``, ``_orig_mod.``, ``model.``, and any that all weights of the network share) are removed in
        any order, also in the middle of names. A weight that the network has under two names is needed only once. If a
        file holds both plain and averaged weights (EMA), the plain ones are taken.

    Raises
    ------
    InputError
        If weights are missing, unexpected or of another shape or type; if several sets of weights fit; or if a value is
        not finite.
    """
    wanted = {own: value for own, value in module.state_dict().items() if isinstance(value, torch.Tensor)}
    candidates = [found for entry, state in entries.items() for found in _candidates(entry, state, wanted, module)]
    if not candidates:
        raise InputError(_mismatch(entries, wanted, source, name))
    plain = [found for found in candidates if not found.averaged] or candidates
    chosen = plain[0]
    different = [found for found in plain[1:] if not _same(entries, chosen, found)]
    if different:
        raise InputError(
            f"{source} holds weights that fit {name} in several places: {', '.join(found.label for found in plain)}; "
            "save the right ones in a file of their own"
        )
    said = []
    if len(plain) < len(candidates):
        others = ", ".join(found.label for found in candidates if found.averaged)
        said.append(f"plain weights ({chosen.label}) and averaged ones ({others}) are there; the plain ones are taken")
    elif chosen.averaged:
        said.append(f"averaged weights ({chosen.label}) are taken, as there are no plain ones")
    state = entries[chosen.entry]
    said += _refuse_unexpected(state, chosen, candidates, source, name)
    taken = {own: state[key] for own, key in chosen.keys.items()}
    for mates in _tied(module):
        there = [mate for mate in mates if mate in taken]
        for mate in there[1:]:
            if not _equal(taken[there[0]], taken[mate]):
                raise InputError(
                    f"{source}: {there[0]} and {mate} are the same weight in {name}, but differ in the checkpoint; is "
                    "it a checkpoint of this architecture?"
                )
        taken |= {mate: taken[there[0]] for mate in mates if there and mate not in taken}
    taken |= {own: value for own, value in wanted.items() if own not in taken and _is_counter(own)}
    for own, value in taken.items():
        _refuse_other_kind(own, value, wanted[own], source)
    return Fitting(taken, tuple(said))


def _candidates(
    entry: str, state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor], module: nn.Module
) -> list[_Candidate]:
    """Complete sets of weights in one entry, one per prefix."""
    plain_names = _without_wrappers(state)
    own_names = _without_wrappers(wanted)
    own_prefix = _common_prefix(list(own_names))
    head = _head(module)
    needed = _needed(wanted, module)
    if not needed:
        return []
    shorter = {own: short for short, own in own_names.items()}
    anchors = max((names for names in needed), key=lambda names: min(map(len, names)))
    found: dict[str, _Candidate] = {}
    for cut in _own_prefixes(own_prefix):
        ends = [shorter[own][len(cut) :] for own in anchors]
        prefixes = {name[: -len(end)] for name in plain_names for end in ends if f".{name}".endswith(f".{end}")}
        for prefix in sorted(prefixes, key=len):
            keys = {
                own: plain_names[prefix + short[len(cut) :]]
                for short, own in own_names.items()
                if prefix + short[len(cut) :] in plain_names
            }
            if not all(any(own in keys for own in names) for names in needed):
                continue
            fits = all(state[key].shape == wanted[own].shape for own, key in keys.items() if own not in head)
            if fits:
                found.setdefault(prefix, _Candidate(entry, prefix, keys))
    return list(found.values())


def _needed(wanted: Mapping[str, torch.Tensor], module: nn.Module) -> list[list[str]]:
    """Required weights, each as the list of its names, of which one must be present."""
    tied = {mate: mates for mates in _tied(module) for mate in mates}
    groups = [tied.get(own, [own]) for own in wanted if not _is_counter(own)]
    return list({id(names) if len(names) > 1 else names[0]: names for names in groups}.values())


def _refuse_unexpected(
    state: Mapping[str, torch.Tensor], chosen: _Candidate, candidates: Sequence[_Candidate], source: str, name: str
) -> list[str]:
    """Refuse surplus weights that seem to belong to the network; return a note on other entries left out."""
    used = set(chosen.keys.values())
    used |= {key for other in candidates if other.entry == chosen.entry for key in other.keys.values()}
    rest = [key for key in state if key not in used and not _is_counter(key)]
    inside = [key for key in rest if _without_wrappers({key: None}).popitem()[0].startswith(chosen.prefix)]
    if inside:
        raise InputError(
            f"{source} does not fit {name}: 0 weights missing [], {len(inside)} unexpected {inside[:3]}, 0 of another "
            "shape []; is it a checkpoint of this architecture?"
        )
    return [f"{len(rest)} entries beside {chosen.label} are left out ({', '.join(rest[:3])})"] if rest else []


def _mismatch(entries: Entries, wanted: Mapping[str, torch.Tensor], source: str, name: str) -> str:
    """Message: weights missing, unexpected and of another shape, for the entry and prefix that fit best."""
    best: tuple[int, dict[str, torch.Tensor]] = (-1, {})
    own_names = _without_wrappers(wanted)
    for state in entries.values():
        plain = _without_wrappers(state)
        prefixes = {""} | {
            known[: -len(short)] for short in own_names for known in plain if known.endswith("." + short)
        }
        for prefix in prefixes:
            held = {known[len(prefix) :]: state[key] for known, key in plain.items() if known.startswith(prefix)}
            matched = len(held.keys() & own_names.keys())
            if matched > best[0]:
                best = matched, held
    state = best[1]
    missing = sorted(own_names[short] for short in own_names.keys() - state.keys() if not _is_counter(short))
    unexpected = sorted(state.keys() - own_names.keys())
    shapes = [
        f"{own} {tuple(state[short].shape)} instead of {tuple(wanted[own].shape)}"
        for short, own in own_names.items()
        if short in state and state[short].shape != wanted[own].shape
    ]
    return (
        f"{source} does not fit {name}: {len(missing)} weights missing {missing[:3]}, {len(unexpected)} unexpected "
        f"{unexpected[:3]}, {len(shapes)} of another shape {shapes[:3]}; is it a checkpoint of this architecture?"
    )


def _refuse_other_kind(own: str, value: torch.Tensor, wanted: torch.Tensor, source: str) -> None:
    """Refuse weights whose conversion would lose information, and values that are not finite."""
    kinds = _kind(value), _kind(wanted)
    lossless = kinds == ("real", "whole") and value.numel() and _equal(value.to(wanted.dtype).to(value.dtype), value)
    if kinds[0] != kinds[1] and not lossless:
        raise InputError(
            f"{source}: {own} is {kinds[0]} ({_dtype(value)}) but the network's is {kinds[1]} ({_dtype(wanted)}); "
            "casting would lose values: convert it in your own script"
        )
    if kinds == ("whole", "whole") and not _equal(value.to(wanted.dtype).to(value.dtype), value):
        raise InputError(
            f"{source}: {own} holds {_dtype(value)} numbers that do not fit into the network's {_dtype(wanted)}; "
            "choose another precision"
        )
    numbers = value.coalesce().values() if value.layout == torch.sparse_coo else value
    numbers = numbers.float() if _small(numbers) else numbers
    if kinds[0] in ("real", "complex", "sparse") and not torch.isfinite(numbers).all():
        raise InputError(f"{source}: {own} has a value that is not finite; was the training unstable?")


def _kind(value: torch.Tensor) -> str:
    if value.layout != torch.strided:
        return "sparse"
    if value.is_quantized:
        return "quantised"
    return "complex" if value.is_complex() else "real" if value.is_floating_point() else "whole"


def _small(value: torch.Tensor) -> bool:
    """Whether a tensor has an 8-bit floating type, which torch can do little with but convert."""
    return value.is_floating_point() and value.itemsize == 1


def _dtype(value: torch.Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _without_wrappers(names: Mapping[str, object]) -> dict[str, str]:
    """Names without wrappers' parts, and the original names; unchanged if two would become equal."""
    short = {name: ".".join(part for part in name.split(".") if part not in WRAPPERS) for name in names}
    unique = len(set(short.values())) == len(short) and all(short.values())
    return {short[name] if unique else name: name for name in names}


def _common_prefix(names: Sequence[str]) -> str:
    """Prefix up to a dot that all names share, such as ``model.``."""
    split = [name.split(".")[:-1] for name in names]
    common = []
    for parts in zip(*split, strict=False):
        if len(set(parts)) > 1:
            break
        common.append(parts[0])
    return ".".join(common) + "." if common and len(names) > 1 else ""


def _own_prefixes(prefix: str) -> list[str]:
    """Prefixes of the network's own names that a checkpoint may omit: none, ``model.``, ``model.net.``, ..."""
    parts = prefix.split(".")[:-1]
    return ["".join(part + "." for part in parts[:n]) for n in range(len(parts) + 1)]


def _tied(module: nn.Module) -> list[list[str]]:
    """Groups of names that share one tensor (tied weights)."""
    groups: dict[tuple, list[str]] = {}
    for name, value in module.state_dict(keep_vars=True).items():
        if isinstance(value, torch.Tensor):
            groups.setdefault((id(value),), []).append(name)
    return [names for names in groups.values() if len(names) > 1]


def _head(module: nn.Module) -> set[str]:
    """Names of the weights of the last linear layer."""
    linear = [name for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    return {f"{linear[-1]}.weight", f"{linear[-1]}.bias"} if linear and linear[-1] else set()


def _is_counter(name: str) -> bool:
    return name.rpartition(".")[2] in COUNTERS


def _same(entries: Entries, first: _Candidate, second: _Candidate) -> bool:
    return all(
        own in second.keys and _equal(entries[first.entry][key], entries[second.entry][second.keys[own]])
        for own, key in first.keys.items()
    )


def _equal(first: torch.Tensor, second: torch.Tensor) -> bool:
    if first.layout != torch.strided or second.layout != torch.strided:
        return first is second
    return first.shape == second.shape and torch.equal(first, second)
