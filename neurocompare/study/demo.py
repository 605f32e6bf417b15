"""The built-in study, with the networks whose weights are installed."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

from neural_data.errors import InputError
from neurocompare.models.own_networks import OWN_NETWORKS

__all__ = ["demo_study"]


def demo_study() -> tuple[dict[str, Any], list[str]]:
    """The content of ``demo.toml``, and why networks were left out of it.

    Returns
    -------
    study : dict
        As :func:`~neurocompare.study.runner.run_study` takes it. A network whose weights are not installed is left out,
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
