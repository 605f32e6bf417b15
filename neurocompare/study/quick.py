"""A study with less of everything, for a first look."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from neurocompare.study.grammar import Model, Study

__all__ = ["QUICK", "quick_study"]

QUICK = {
    "n_identities": 10,
    "n_neurons": 40,
    "n_draws": 100,
    "n_splits": 10,
    "n_images": 20,
    "n_seeds": 1,
    "n_masks": 30,
    "n_exemplars": 2,
}
"""The most of each that a quick look takes, in whichever section it stands."""
QUICK_TRAINING = {"n_images": 1000, "epochs": 1}
"""What a quick look trains with."""


def quick_study(study: Study) -> Study:
    """The study with less of everything: for a first look, not for numbers to report; see :data:`QUICK`."""
    return study.model_copy(
        update={
            "models": [_quick_model(model) for model in study.models],
            **{
                name: _quick_section(getattr(study, name)) for name in ("stimuli", "recording", "comparison", "outputs")
            },
        }
    )


def _quick_model(model: Model) -> Model:
    """A model with fewer seeds, and with less training."""
    less: dict[str, Any] = {"seeds": model.seeds[: QUICK["n_seeds"]]}
    if model.training is not None:
        kept = [epoch for epoch in model.training.keep_epochs if epoch <= QUICK_TRAINING["epochs"]]
        less["training"] = model.training.model_copy(update={**QUICK_TRAINING, "keep_epochs": kept})
    return model.model_copy(update=less)


def _quick_section(section: BaseModel) -> BaseModel:
    """A section, and those in it, with no more of anything than :data:`QUICK` says."""
    less: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            less[name] = _quick_section(value)
        elif name in QUICK:
            less[name] = min(value, QUICK[name])
    return section.model_copy(update=less)
