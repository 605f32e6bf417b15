"""Rival accounts of the face patches, each as a network that makes ML, AL and AM from images.

An account names the network that embodies it and which of its layers stand for which patch. The layers are fixed by
what the account claims, before any result. Loading with another seed gives another animal of the same account.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from neural_data.errors import InputError, closest
from neurocompare.models.registry import Network, load_model

__all__ = ["ACCOUNTS", "STAGES", "Account", "find_account"]

STAGES = ("ML", "AL", "AM")


@dataclass(frozen=True)
class Account:
    """One account of how the face patches recode views.

    Parameters
    ----------
    name : str
        Name in study files and tables.
    label : str
        What it claims, in words, for tables and pages.
    source : str
        Who proposed it.
    load : callable
        ``load(seed)`` gives the network; another seed draws another animal (parameters, filters or training faces).
    stages : mapping of str to str
        Layer of the network that stands for each of :data:`STAGES`.
    varies : bool
        Whether another seed gives another network; False where one set of weights ships.
    """

    name: str
    label: str
    source: str
    load: Callable[[int], Network]
    stages: Mapping[str, str]
    varies: bool = True


def find_account(name: str) -> Account:
    """The account with this name.

    Raises
    ------
    InputError
        If there is none; the closest known name is suggested.
    """
    if name not in ACCOUNTS:
        raise InputError(f"no account of the face patches is called {name!r}: {closest(name, ACCOUNTS)}")
    return ACCOUNTS[name]


def _load(model: str, seed: int) -> Network:
    return load_model(model, seed=seed, device="cpu")


def _pretrained(model: str, regime: str, seed: int) -> Network:
    network = load_model(model, weights="pretrained", regime=regime, device="cpu")
    return dataclasses.replace(network, seed=seed)


def _stages(ml: str, al: str, am: str) -> dict[str, str]:
    return dict(zip(STAGES, (ml, al, am), strict=True))


ACCOUNTS: dict[str, Account] = {
    account.name: account
    for account in (
        Account(
            "low-level",
            "luminance, contrast, orientations and spectra in windows that grow; no objects",
            "Revsine et al. (2024)",
            functools.partial(_load, "low-level"),
            _stages("eighths", "halves", "whole"),
        ),
        Account(
            "eccentricity",
            "cortical magnification, and receptive fields that grow until they cross the midline",
            "Schwartz (1977); Freeman & Simoncelli (2011)",
            functools.partial(_load, "eccentricity"),
            _stages("small", "middle", "crossing"),
        ),
        Account(
            "hemispheres",
            "connections between mirror-symmetric places of the two hemifields",
            "Corballis & Beale (1976)",
            functools.partial(_load, "hemispheres"),
            _stages("hemifields", "commissural", "pooled"),
        ),
        Account(
            "hebbian",
            "Oja's rule over faces that turn: even and odd components, squared and summed",
            "Leibo et al. (2017)",
            functools.partial(_load, "hebbian"),
            _stages("views", "squares", "energies"),
        ),
        Account(
            "discrimination",
            "learning to tell bilaterally symmetric categories apart, and then pooling over space",
            "Farzmahdi et al. (2024)",
            functools.partial(_pretrained, "cnn-small", "symmetric"),
            _stages("conv4", "fc1", "fc2"),
            varies=False,
        ),
        Account(
            "equivariant",
            "filters in mirrored pairs, pooled over space and pairs; no learning",
            "Cohen & Welling (2016); Farzmahdi et al. (2024)",
            functools.partial(_load, "equivariant"),
            _stages("conv3", "pooled", "full2"),
        ),
        Account(
            "equivariant-without-pooling",
            "the same filters in mirrored pairs without pooling, an ablation",
            "Farzmahdi et al. (2024)",
            functools.partial(_load, "equivariant-without-pooling"),
            _stages("conv3", "full1", "full2"),
        ),
    )
}
"""Every account by its name. To add one, add its record here, and its network to ``OWN_NETWORKS``."""
