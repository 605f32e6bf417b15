"""The built-in study, with the networks whose weights are installed."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

from neural_data.errors import InputError
from neurocompare.models.own_networks import OWN_NETWORKS

__all__ = ["demo_study"]


def demo_study() -> tuple[dict[str, Any], list[str]]:
    """The content of ``demo.toml`` without networks that are not installed, and notes on these.

    Returns
    -------
    study : dict
        For :func:`~neurocompare.study.runner.run_study`. A network whose weights are not installed is left out, both
        trained and untrained.
    left_out : list of str
        What to install for each network that is left out.
    """
    study = tomllib.loads((files("neurocompare") / "demo.toml").read_text(encoding="utf-8"))
    missing: dict[str, str] = {}
    for model in study["models"]:
        pretrained = OWN_NETWORKS[model["name"]].pretrained
        if model.get("weights") == "pretrained" and pretrained is not None:
            try:
                pretrained(model.get("regime"))
            except InputError as error:
                missing[model["name"]] = str(error)
    study["models"] = [model for model in study["models"] if model["name"] not in missing]
    return study, list(missing.values())
