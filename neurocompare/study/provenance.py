"""What a run was made from: versions, seeds, checksums and the resolved study."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import xarray as xr

from neural_data.stimuli import StimulusSet
from neurocompare import __version__
from neurocompare.models.registry import Network
from neurocompare.study.grammar import Study

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
)


def write_provenance(
    folder: Path,
    settings: Study,
    *,
    stimuli: StimulusSet,
    recording: xr.DataArray,
    networks: Sequence[Network],
    notes: Sequence[str],
) -> None:
    """Write ``provenance.json``: enough to say whether two runs saw the same.

    Parameters
    ----------
    folder : pathlib.Path
        The run folder.
    settings : Study
        The resolved study.
    stimuli : StimulusSet
        Its table, pixels and transforms are summed (SHA-256).
    recording : xarray.DataArray
        Its values and coordinates are summed.
    networks : sequence of Network
        Their weights are summed.
    notes : sequence of str
        What the inference warns of.
    """
    record = {
        "neurocompare": __version__,
        "python": platform.python_version(),
        "platform": sys.platform,
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "study": settings.model_dump(mode="json"),
        "stimuli": {
            "name": stimuli.name,
            "n_stimuli": len(stimuli),
            "n_identities": len(stimuli.identities),
            "transforms": [repr(transform) for transform in stimuli.transforms],
            "sha256": stimuli.checksum(),
        },
        "recording": {
            "simulated": bool(recording.attrs.get("simulated", False)),
            "shape": dict(zip(map(str, recording.dims), recording.shape, strict=True)),
            "sha256": recording_checksum(recording),
        },
        "notes": list(notes),
        "networks": [
            {
                "model": network.name,
                "regime": network.regime,
                "seed": network.seed,
                "n_weights": sum(weight.numel() for weight in network.module.parameters()),
                "sha256": weights_checksum(network),
            }
            for network in networks
        ],
    }
    (folder / "provenance.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def recording_checksum(recording: xr.DataArray) -> str:
    """SHA-256 (hex) of a recording's values and of its coordinates."""
    digest = hashlib.sha256(np.ascontiguousarray(recording.to_numpy()).tobytes())
    for name in sorted(map(str, recording.coords)):
        digest.update(name.encode() + json.dumps(recording[name].to_numpy().tolist(), default=str).encode())
    return digest.hexdigest()


def weights_checksum(network: Network) -> str:
    """SHA-256 (hex) of a network's state: names, shapes and values."""
    digest = hashlib.sha256()
    for name, value in network.module.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
