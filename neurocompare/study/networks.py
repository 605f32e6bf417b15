"""The networks of a study, identified by everything that determines their responses: weights, code, preprocessing.

A network is loaded to identify it and again to present stimuli, and not kept in between: only one network is in memory
at a time, however many models and seeds a study has.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import logging
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import safetensors.torch
import torch

from neural_data.errors import InputError
from neural_data.resizing import Resizing
from neurocompare.models.brought import NamedTransform
from neurocompare.models.own_networks import OWN_NETWORKS
from neurocompare.models.registry import Inspected, Network, is_import_path, load_model
from neurocompare.representations.activations import resolve_layers
from neurocompare.study.cache import Cache, step_key
from neurocompare.study.grammar import Model, Study, Training
from neurocompare.study.recipes import preprocessing_of, training_key

__all__ = ["NetworkRecord", "NetworkTraining", "identify_networks", "loaded", "with_weights"]

log = logging.getLogger(__name__)

KNOWN_CODE = ("torch", "torchvision", "timm")
"""Packages whose code is identified by their version."""


@dataclass(frozen=True)
class NetworkTraining:
    """How a study trains one of its networks.

    Parameters
    ----------
    settings : Training
        Images and recipe.
    key : str
        Cache key of the weights.
    """

    settings: Training
    key: str


@dataclass(frozen=True)
class NetworkRecord:
    """A network of a study, without weights that loading provides.

    Parameters
    ----------
    model : Model
        Its entry in the study file.
    seed : int
        One of the entry's seeds.
    regime : str
        Regime label of the loaded network.
    layers : tuple of str
        The selected layers, in execution order.
    n_weights : int
        Number of parameters.
    sha256 : str
        Checksum of the weights.
    fingerprint : str
        SHA-256 of everything that the responses depend on: weights, structure, code, preprocessing, layers, device.
    device : str
        Device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
    shown_at : Resizing or None
        Resizing of stimuli to its input size; None if a transform takes them at their own size.
    preprocessing, preprocessing_source : str
        Its preprocessing in words, and where it comes from.
    notes : tuple of str
        Caveats: assumed preprocessing, responses that depend on more than the image, outputs that were left out of its
        layers.
    training : NetworkTraining or None
        None if the study does not train it.
    weights : bytes or None
        Safetensors of a trained network (None until it is trained), and of networks that are fitted to stimuli or
        built from a seed, as fitting them again takes longer than sending them.
    inspected : Inspected or None
        Results of the test passes with these weights; None: the passes are repeated after loading.
    """

    model: Model
    seed: int
    regime: str
    layers: tuple[str, ...]
    n_weights: int
    sha256: str
    fingerprint: str
    device: str
    shown_at: Resizing | None
    preprocessing: str
    preprocessing_source: str
    notes: tuple[str, ...]
    training: NetworkTraining | None = None
    weights: bytes | None = field(default=None, repr=False)
    inspected: Inspected | None = field(default=None, repr=False)

    @property
    def label(self) -> str:
        """Name for users."""
        return f"{self.model.shown_as}, {self.regime}, seed {self.seed}"


def identify_networks(settings: Study, device: str = "auto", *, cache: Cache | None = None) -> list[NetworkRecord]:
    """Load every network of a study once, in order, and make its record.

    Parameters
    ----------
    settings : Study
        The study.
    device : str
        Device of the networks.
    cache : Cache or None
        Cache for the results of test passes through networks of the package and of zoos, by weights and code. Networks
        that the user's own code makes are always tested again; with None, all are.

    Returns
    -------
    list of NetworkRecord

    Raises
    ------
    InputError
        If a network, its weights, a layer or the device does not exist, or two seeds give the same weights.
    """
    records = []
    for model in settings.networks:
        of_model = [_identified(model, seed, device, cache) for seed in model.seeds]
        _refuse_repeats(of_model)
        records += of_model
    return records


def _refuse_repeats(records: list[NetworkRecord]) -> None:
    """Refuse seeds that give the same weights: seeds must be independent networks."""
    first: dict[str, NetworkRecord] = {}
    for record in records:
        same = first.setdefault(record.sha256, record)
        if same is not record and record.n_weights:
            raise InputError(
                f"seeds {same.seed} and {record.seed} of {record.model.name} give the same weights; list one seed, "
                "write '{seed}' into the path of the weights, or ask for a random start (start = 'gaussian')"
            )


def loaded(record: NetworkRecord) -> Network:
    """The network of a record, on its device."""
    if record.weights is None:
        network = _load(record.model, record.seed, record.device)
    else:
        network = _own_network(record, record.weights)
    return dataclasses.replace(network, seen=record.inspected)


def _own_network(record: NetworkRecord, weights: bytes) -> Network:
    return load_model(
        record.model.name,
        weights=safetensors.torch.load(weights),
        regime=record.regime,
        seed=record.seed,
        name=record.model.called,
        preprocessing=preprocessing_of(record.model),
        device=record.device,
    )


def with_weights(record: NetworkRecord, weights: bytes) -> NetworkRecord:
    """The record of a network with its trained weights."""
    trained = dataclasses.replace(record, weights=weights, inspected=None)
    network = loaded(trained)
    n_weights = sum(weight.numel() for weight in network.module.parameters())
    return dataclasses.replace(trained, sha256=_weights_checksum(network), n_weights=n_weights)


def _load(model: Model, seed: int, device: str) -> Network:
    weights = None if model.weights is None else model.weights.replace("{seed}", str(seed))
    start = "own" if model.training is not None else model.start
    return load_model(
        model.name,
        weights=weights,
        regime=model.label,
        seed=seed,
        start=start,
        name=model.called,
        preprocessing=preprocessing_of(model),
        device=device,
    )


def _identified(model: Model, seed: int, device: str, cache: Cache | None) -> NetworkRecord:
    network = _load(model, seed, device)
    checksum, homes = _weights_checksum(network), _homes_of(network)
    inspected = _inspected(network, checksum, None if _is_own_code(model, homes) else cache)
    network = dataclasses.replace(network, seen=inspected)
    if is_import_path(model.name):
        homes = homes | {model.name.partition(":")[0]}
    code = _code_of(homes)
    layers = resolve_layers(network, model.layers)
    training = None
    if model.training is not None:
        training = NetworkTraining(model.training, training_key(model, model.training, seed, device))
    weights = checksum if training is None else training.key
    parts = [weights, repr(network.module), repr(network.preprocessing), network.name, network.regime, repr(layers)]
    parts += [str(seed), network.device.type]
    own = OWN_NETWORKS.get(model.name)
    fitted = own is not None and own.fit is not None and model.weights is None
    return NetworkRecord(
        model=model,
        seed=seed,
        regime=network.regime,
        layers=tuple(layers),
        n_weights=sum(weight.numel() for weight in network.module.parameters()),
        sha256=weights,
        fingerprint=hashlib.sha256("\n".join([*parts, *code]).encode()).hexdigest(),
        device=str(network.device),
        shown_at=network.preprocessing.shown_at,
        preprocessing=network.preprocessing.in_words(),
        preprocessing_source=network.preprocessing_source,
        notes=_notes_on(network),
        training=training,
        weights=_packed(network.module.state_dict()) if fitted else None,
        inspected=inspected,
    )


def _is_own_code(model: Model, homes: set[str]) -> bool:
    """Whether the user's own code makes a network or its modules; it may read files that no key knows of."""
    known = {"neurocompare", *KNOWN_CODE}
    return is_import_path(model.name) or not {home.partition(".")[0] for home in homes} <= known


def _inspected(network: Network, checksum: str, cache: Cache | None) -> Inspected:
    """Results of the test passes through a network, from the cache or made now."""
    if cache is None:
        return network.inspected
    depends = [checksum, repr(network.module), repr(network.preprocessing), network.name, network.device.type]
    key = step_key("inspection", {"network": [*depends, *_code_of(_homes_of(network))]})
    known = cache.has(key)
    found = cache.obtain(key, lambda: network.inspected, kind="inspection", label=f"layers of {network.name}")
    for note in found.notes if known else ():
        log.warning("%s: %s", network.name, note)
    return found


def _notes_on(network: Network) -> tuple[str, ...]:
    notes = [f"{network.name}: {note}" for note in network.inspected.notes]
    if "assumed" in network.preprocessing_source:
        shown = network.preprocessing.in_words()
        notes.insert(0, f"{network.name}: how images are shown to it is {network.preprocessing_source}: {shown}.")
    return tuple(notes)


def _weights_checksum(network: Network) -> str:
    """SHA-256 of a network's state: names, shapes and values."""
    digest = hashlib.sha256()
    for name, value in network.module.state_dict().items():
        if not isinstance(value, torch.Tensor):
            digest.update(f"{name} {value!r}".encode())  # what a module keeps beside tensors
            continue
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        for part in _dense_parts(value.detach().cpu()):
            digest.update(part.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _dense_parts(value: torch.Tensor) -> list[torch.Tensor]:
    """Dense real tensors with the complete content of a tensor."""
    if value.layout == torch.sparse_coo:
        value = value.coalesce()
        return [value.indices(), *_dense_parts(value.values())]
    if value.layout != torch.strided:
        return _dense_parts(value.to_sparse_coo())
    return [torch.view_as_real(value.resolve_conj())] if value.is_complex() else [value]


def _homes_of(network: Network) -> set[str]:
    """Names of the Python modules in which a network's modules and the transform of its images are defined."""
    transform = network.preprocessing.transform
    homes = {type(module).__module__ for module in network.module.modules()}
    return homes | ({transform.module} if isinstance(transform, NamedTransform) else set())


def _code_of(homes: Iterable[str]) -> list[str]:
    """Identification of the code of Python modules: checksums of source files, or versions of known packages."""
    found = set()
    for home in homes:
        package = home.partition(".")[0]
        file = getattr(sys.modules.get(home), "__file__", None)
        if package == "neurocompare":
            continue  # part of every key
        if package in KNOWN_CODE:
            found.add(f"{package} {importlib.metadata.version(package)}")
        elif file is not None:
            found.add(f"{home} {hashlib.sha256(Path(file).read_bytes()).hexdigest()}")
    return sorted(found)


def _packed(weights: Mapping[str, torch.Tensor]) -> bytes:
    """Weights as bytes; those that are views of others (transposed, say) are copied."""
    return safetensors.torch.save({name: value.contiguous() for name, value in weights.items()})
