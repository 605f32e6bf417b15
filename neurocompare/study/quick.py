"""Reduces a study for ``--quick``: fewer seeds, identities, neurons and draws."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from neurocompare.measures.settings import Quick
from neurocompare.study.grammar import Model, Study, marks_of

__all__ = ["quick_study"]

QUICK_SEEDS = 1
"""Number of networks of each entry under ``--quick``."""
QUICK_TRAINING = {"n_images": 1000, "epochs": 1}
"""Training settings under ``--quick``."""


def quick_study(study: Study) -> Study:
    """The study with all settings marked ``Quick`` reduced: for a first look, not for numbers to report."""
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
    less: dict[str, Any] = {"seeds": model.seeds[:QUICK_SEEDS]}
    if model.training is not None:
        kept = [epoch for epoch in model.training.keep_epochs if epoch <= QUICK_TRAINING["epochs"]]
        less["training"] = model.training.model_copy(update={**QUICK_TRAINING, "keep_epochs": kept})
    return model.model_copy(update=less)


def _quick_section(section: BaseModel) -> BaseModel:
    """A section, with nested ones, whose settings are reduced to the limits of their ``Quick`` marks."""
    less: dict[str, Any] = {}
    for name, about in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            less[name] = _quick_section(value)
        else:
            for mark in marks_of(about, Quick):
                less[name] = mark.reduced(value)
    return section.model_copy(update=less)
