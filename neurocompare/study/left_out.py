"""Models that a study shows only where their files are there, and the hypotheses about them."""

from __future__ import annotations

import logging
from pathlib import Path

from neural_data.errors import InputError
from neurocompare.comparison.hypothesis import Hypothesis
from neurocompare.study.grammar import Model, Study

__all__ = ["without_absent"]

log = logging.getLogger(__name__)


def without_absent(settings: Study) -> tuple[Study, tuple[str, ...]]:
    """The study without the models whose ``only_with`` is not there, and what was left out, in words.

    Parameters
    ----------
    settings : Study

    Returns
    -------
    study : Study
        Without these models, and without hypotheses that name a model, or a model and regime, of which none is left.
    notes : tuple of str
        One a model or hypothesis that was left out.

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
    left = [model for model in settings.models if model not in [one for one, _ in absent]]
    if not left:
        raise InputError(
            f"none of the models is shown: {absent[0][0].only_with} is not there, and the others are left out with it; "
            "put the files where the study names them, or name others with --set models.0.only_with=PATH"
        )
    names = {model.shown_as for model in left}
    dropped = [claim for claim in settings.hypotheses if not _models_of(claim) <= names]
    notes = [f"{_described(model)} is left out, as {path.name} is not there." for model, path in absent]
    notes += [f"Hypothesis {claim.name!r} is left out, as it is about a model that is not there." for claim in dropped]
    for note in notes:
        log.warning("%s", note)
    kept = [claim for claim in settings.hypotheses if claim not in dropped]
    return settings.model_copy(update={"models": left, "hypotheses": kept}), tuple(notes)


def _described(model: Model) -> str:
    return f"{model.shown_as} ({model.label})" if model.label else model.shown_as


def _models_of(claim: Hypothesis) -> set[str]:
    """Models that a hypothesis names."""
    named = [part["model"] for part in (claim.where, claim.baseline or {}, *claim.selections) if "model" in part]
    return {name for value in named for name in (value if isinstance(value, list) else [value])}
