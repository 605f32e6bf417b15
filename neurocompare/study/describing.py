"""Writes the description of a recording to a folder: tables, a page of figures, a report, provenance."""

from __future__ import annotations

import json
import platform
import sys
from importlib import metadata
from pathlib import Path

import xarray as xr

from neural_data.recordings import stimulus_table
from neural_data.stimuli import StimulusSet
from neurocompare import __version__
from neurocompare.comparison.description import RecordingDescription
from neurocompare.measures.description import write_description
from neurocompare.study.planning import recording_checksum
from neurocompare.study.run_folders import MARK, whole_folder

__all__ = ["describe_to_folder"]

DESCRIBING_PACKAGES = ("numpy", "scipy", "pandas", "rsatoolbox", "xarray", "matplotlib")


def describe_to_folder(
    found: RecordingDescription,
    recording: xr.DataArray,
    out: str | Path,
    *,
    title: str,
    stimuli: StimulusSet | None = None,
) -> Path:
    """Write a description, whole or not at all.

    Parameters
    ----------
    found : RecordingDescription
        Description of the recording.
    recording : xarray.DataArray
        The recording that was described; its checksum goes into ``provenance.json``.
    out : str or pathlib.Path
        New, empty, or an earlier description, which is replaced.
    title : str
        Title of the report.
    stimuli : StimulusSet or None
        What was shown, if the recording does not state it.

    Returns
    -------
    pathlib.Path
        The report.

    Raises
    ------
    InputError
        If the folder cannot be written, or holds other files.
    """
    shown = stimulus_table(recording) if stimuli is None else stimuli.table
    identities = shown["identity"].nunique() if "identity" in shown else len(shown)
    record = {
        "neurocompare": __version__,
        "python": platform.python_version(),
        "platform": sys.platform,
        "packages": {name: metadata.version(name) for name in DESCRIBING_PACKAGES},
        "study": {"title": title, "seed": 0},
        "stimuli": {
            "name": "the recording" if stimuli is None else stimuli.name,
            "n_stimuli": len(shown),
            "n_identities": int(identities),
        },
        "recording": {
            "simulated": bool(recording.attrs.get("simulated", False)),
            "shape": dict(zip(map(str, recording.dims), recording.shape, strict=True)),
            "sha256": recording_checksum(recording),
            "assumed": str(recording.attrs.get("assumed", "")),
        },
        "notes": list(found.notes),
    }
    with whole_folder(out, command="describe") as folder:
        (folder / MARK).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        name = write_description(found, folder, provenance=record).name
    return Path(out) / name
