"""Leaves out models whose files (``only_with``) are missing, and the hypotheses about them."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from neural_data.errors import InputError
from neurocompare.comparison.hypothesis import Hypothesis
from neurocompare.study.grammar import Model, Study

__all__ = ["without_absent"]

log = logging.getLogger(__name__)

Names = Mapping[str, str | int]
"""``model``, ``regime`` and ``seed`` of a network, as far as they are known."""


def without_absent(settings: Study) -> tuple[Study, tuple[str, ...]]:
    """The study without the models whose ``only_with`` does not exist, and notes on what was left out.

    Parameters
    ----------
    settings : Study
        The study, as it was read.

    Returns
    -------
    study : Study
        Without these models, and without hypotheses with a selection that names only networks that were left out.
    notes : tuple of str
        One per model or hypothesis that was left out.

    Raises
    ------
    InputError
        If none of the models is left.
    """
    absent = [
        (model, Path(model.only_with))
        for model in settings.models
        if model.only_with and not Path(model.only_with).exists()
    ]
    if not absent:
        return settings, ()
    gone = [model for model, _ in absent]
    left = [model for model in settings.models if model not in gone]
    if not left:
        raise InputError(
            f"no model is left: {absent[0][0].only_with} does not exist, and the other models need files that do not "
            "exist; put the files where the study names them, or name others with --set models.0.only_with=PATH"
        )
    there = [names for model in left for names in _names_of(model)]
    # A file that is there may hold any name; beside one, only the names of absent entries are known to be lost.
    none_unread = not any(model.rdms for model in left)
    lost = [names for model in gone for names in _names_of(model, of_any_name=none_unread)]
    dropped = [claim for claim in settings.hypotheses if _is_about(claim, lost, there)]
    notes = [f"{_described(model)} is left out, as {path.name} is not there." for model, path in absent]
    notes += [f"Hypothesis {claim.name!r} is left out, as it is about a model that is not there." for claim in dropped]
    for note in notes:
        log.warning("%s", note)
    kept = [claim for claim in settings.hypotheses if claim not in dropped]
    return settings.model_copy(update={"models": left, "hypotheses": kept}), tuple(notes)


def _described(model: Model) -> str:
    return f"{model.shown_as} ({model.label})" if model.label else model.shown_as


def _names_of(model: Model, *, of_any_name: bool = False) -> list[Names]:
    """Names of an entry's networks in tables. Names in a file of RDMs are known only after it is read."""
    if model.rdms is not None:
        return [{}] if of_any_name else [{"model": model.shown_as}]
    return [{"model": model.shown_as, "regime": model.shown_regime, "seed": seed} for seed in model.seeds]


def _is_about(claim: Hypothesis, lost: Sequence[Names], there: Sequence[Names]) -> bool:
    """Whether a selection of a claim matches networks that were left out, and none that remain."""
    parts: list[Mapping[str, Any]] = [{**claim.where, **selection} for selection in claim.selections]
    if claim.baseline is not None:
        parts += [{**part, **claim.baseline} for part in parts]
    named = [names for part in parts for names in _named_in(part)]
    return any(_is_among(names, lost) and not _is_among(names, there) for names in named)


def _named_in(part: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Every combination of the models, regimes and seeds in a selection."""
    asked = {column: part[column] for column in ("model", "regime", "seed") if column in part}
    values = [wanted if isinstance(wanted, list) else [wanted] for wanted in asked.values()]
    for combination in itertools.product(*values):
        yield dict(zip(asked, map(str, combination), strict=True))


def _is_among(names: Mapping[str, str], networks: Sequence[Names]) -> bool:
    """Whether any of the networks matches the names."""
    return any(all(str(network.get(column, name)) == name for column, name in names.items()) for network in networks)
