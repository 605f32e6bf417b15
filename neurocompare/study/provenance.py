"""Provenance of a run: versions, seeds, checksums and the resolved study."""

from __future__ import annotations

import dataclasses
import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import xarray as xr

from neural_data.stimuli import StimulusSet
from neurocompare import __version__
from neurocompare.study.cache import installed_version
from neurocompare.study.grammar import Study
from neurocompare.study.networks import NetworkRecord
from neurocompare.study.planning import recording_checksum
from neurocompare.study.recipes import recipe_of

__all__ = ["write_provenance"]

PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "rsatoolbox",
    "pandas",
    "statsmodels",
    "matplotlib",
    "xarray",
    "pillow",
    "trimesh",
    "embreex",
)


def write_provenance(
    folder: Path,
    settings: Study,
    *,
    stimuli: StimulusSet,
    stimuli_checksum: str | None = None,
    recording: xr.DataArray | None,
    networks: Sequence[NetworkRecord],
    notes: Sequence[str],
    quick: bool = False,
) -> None:
    """Write ``provenance.json``, which shows whether two runs had the same inputs.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.
    settings : Study
        The resolved study.
    stimuli : StimulusSet
        Its table, pixels and transforms are checksummed (SHA-256).
    stimuli_checksum : str or None
        That checksum, if known; or that of the table alone, if no step used images.
    recording : xarray.DataArray or None
        Its values and coordinates are checksummed. None without a recording.
    networks : sequence of NetworkRecord
        With the checksums of their weights.
    notes : sequence of str
        Caveats from inference.
    quick : bool
        Whether the run was made with ``--quick``.
    """
    record = {
        "neurocompare": __version__,
        "python": platform.python_version(),
        "platform": sys.platform,
        "packages": {name: installed_version(name) for name in PACKAGES},
        "study": settings.model_dump(mode="json"),
        "stimuli": {
            "name": stimuli.name,
            "n_stimuli": len(stimuli),
            "n_identities": len(stimuli.identities),
            "transforms": [repr(transform) for transform in stimuli.transforms],
            "sha256": stimuli_checksum or stimuli.checksum(),
        },
        "recording": None
        if recording is None
        else {
            "simulated": bool(recording.attrs.get("simulated", False)),
            "shape": dict(zip(map(str, recording.dims), recording.shape, strict=True)),
            "sha256": recording_checksum(recording),
        },
        "quick": quick,
        "notes": list(notes),
        "networks": [
            {
                "model": network.model.shown_as,
                "source": network.model.name,
                "regime": network.regime,
                "seed": network.seed,
                "layers": list(network.layers),
                "n_weights": network.n_weights,
                "preprocessing": network.preprocessing,
                "preprocessing_source": network.preprocessing_source,
                "sha256": network.sha256,
                "recipe": None
                if network.training is None
                else dataclasses.asdict(recipe_of(network.training.settings)),
                "device": network.device,
            }
            for network in networks
        ],
    }
    (folder / "provenance.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
