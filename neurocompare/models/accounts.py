"""Rival accounts of the face patches, each as a network that makes ML, AL and AM from images.

An account names the network that embodies it and which of its layers stand for which patch. The layers are fixed by
what the account claims, before any result. Loading with another seed gives another animal of the same account.
:meth:`Account.trained_on_one_side` gives the same account after training without mirror images.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from neural_data.errors import InputError
from neurocompare.models.hebbian import train_on_rendered_faces
from neurocompare.models.registry import Network, load_model

__all__ = ["ACCOUNTS", "BUILT_IN_ACCOUNTS", "STAGES", "Account"]

STAGES = ("ML", "AL", "AM")
N_INVERSE_GRAPHICS = 2
"""Networks of inverse graphics that come with the package."""


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
    n_animals : int or None
        Number of different networks where several sets of weights ship: seeds beyond it start again from the first,
        and the network's own ``seed`` says which it is. None: any number.
    extra : str or None
        Extra of the package with which its weights are installed; loading without it is refused. None: none.
    learns : bool
        Whether training makes its responses. If not, they follow from filters and connections alone.
    one_sided : mapping of str to object, or None
        ``load`` and ``n_animals`` of the account after training that never showed both an image and its mirror image
        (frontal views of symmetric faces, which are their own, apart). None: there is no such network, or the account
        does not learn.
    """

    name: str
    label: str
    source: str
    load: Callable[[int], Network]
    stages: Mapping[str, str]
    n_animals: int | None = None
    extra: str | None = None
    learns: bool = True
    one_sided: Mapping[str, Any] | None = None

    @property
    def has_one_sided(self) -> bool:
        """Whether :meth:`trained_on_one_side` gives an account."""
        return self.one_sided is not None or not self.learns

    def trained_on_one_side(self) -> Account:
        """The same account after training that never showed both an image and its mirror image.

        Returns
        -------
        Account
            Of the same name and stages, with ``load`` and ``n_animals`` of its own. An account that does not learn
            gives itself.

        Raises
        ------
        InputError
            If there is no such network (``has_one_sided``).
        """
        if not self.learns:
            return self
        if self.one_sided is None:
            having = ", ".join(name for name, account in ACCOUNTS.items() if account.has_one_sided)
            raise InputError(f"account {self.name!r} has no network trained on one side; those that have: {having}")
        return dataclasses.replace(self, **self.one_sided, one_sided=None)


def _load(model: str, seed: int) -> Network:
    return load_model(model, seed=seed, device="cpu")


def _templates_of_one_side(seed: int) -> Network:
    module = train_on_rendered_faces(seed, both_sides=False)
    return load_model(module, name="hebbian", regime="one-sided", seed=seed, device="cpu")


def _pretrained(model: str, regimes: tuple[str, ...], seed: int) -> Network:
    number = seed % len(regimes)
    network = load_model(model, weights="pretrained", regime=regimes[number], device="cpu")
    return dataclasses.replace(network, seed=number)


def _shipped(model: str, *regimes: str) -> dict[str, Any]:
    """Fields of an account whose weights come with the package or an extra, one set for each name of a regime."""
    n = len(regimes)
    return {"load": functools.partial(_pretrained, model, regimes), "n_animals": n}


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
            learns=False,
        ),
        Account(
            "eccentricity",
            "cortical magnification, and receptive fields that grow until they cross the midline",
            "Schwartz (1977); Freeman & Simoncelli (2011)",
            functools.partial(_load, "eccentricity"),
            _stages("small", "middle", "crossing"),
            learns=False,
        ),
        Account(
            "hemispheres",
            "connections between mirror-symmetric places of the two hemifields",
            "Corballis & Beale (1976)",
            functools.partial(_load, "hemispheres"),
            _stages("hemifields", "commissural", "pooled"),
            learns=False,
        ),
        Account(
            "hebbian",
            "Oja's rule over faces that turn: even and odd components, squared and summed",
            "Leibo et al. (2017)",
            functools.partial(_load, "hebbian"),
            _stages("views", "squares", "energies"),
            one_sided={"load": _templates_of_one_side, "n_animals": None},
        ),
        Account(
            "discrimination",
            "learning to tell bilaterally symmetric categories apart, and then pooling over space",
            "Farzmahdi et al. (2024)",
            stages=_stages("conv4", "fc1", "fc2"),
            one_sided=_shipped("cnn-small", "chiral"),
            **_shipped("cnn-small", "symmetric"),
        ),
        Account(
            "equivariant",
            "filters in mirrored pairs, pooled over space and pairs; no learning",
            "Cohen & Welling (2016); Farzmahdi et al. (2024)",
            functools.partial(_load, "equivariant"),
            _stages("conv3", "pooled", "full2"),
            learns=False,
        ),
        Account(
            "equivariant-trained",
            "filters in mirrored pairs, pooled, after learning to tell symmetric categories apart",
            "Cohen & Welling (2016); Farzmahdi et al. (2024)",
            stages=_stages("conv3", "pooled", "full2"),
            **_shipped("equivariant", "symmetric"),
        ),
        Account(
            "equivariant-without-pooling",
            "the same filters in mirrored pairs without pooling, an ablation",
            "Farzmahdi et al. (2024)",
            functools.partial(_load, "equivariant-without-pooling"),
            _stages("conv3", "full1", "full2"),
            learns=False,
        ),
        Account(
            "inverse-graphics",
            "learning to report the view, the light, and the shape and albedo of faces",
            "Yildirim et al. (2020)",
            stages=_stages("conv4", "hidden", "latents"),
            one_sided=_shipped("inverse-graphics", "one-sided-0"),
            **_shipped("inverse-graphics", *(f"scenes-{k}" for k in range(N_INVERSE_GRAPHICS))),
        ),
        Account(
            "discrimination-photographs",
            "learning to tell photographs of a thousand categories apart, and then pooling over space",
            "Farzmahdi et al. (2024); Tan & Le (2019)",
            stages=_stages("head", "avgpool", "fc"),
            extra="imagenet",
            **_shipped("efficientnet-lite0", "imagenet"),
        ),
    )
}
"""Every account by its name. To add one, add its record here, and its network to ``OWN_NETWORKS``."""
BUILT_IN_ACCOUNTS = tuple(name for name, account in ACCOUNTS.items() if account.extra is None)
"""Accounts that need no extra."""
