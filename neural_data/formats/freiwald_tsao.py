"""Response matrices of the Freiwald & Tsao (2010) recordings, in the layout in which they are shared.

``neural_vecs_MLMF.mat``, ``neural_vecs_AL.mat`` and ``neural_vecs_AM.mat`` each hold ``neural_vecs`` (at least 175
images x neurons). The first 175 rows are 25 identities by 7 head orientations, in blocks of one orientation each.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from neural_data.errors import InputError
from neural_data.formats.bounds import checked_file, inside, visible_files
from neural_data.formats.family import Candidate, Format
from neural_data.formats.matlab import read_variables, variable_names
from neural_data.formats.read_options import ReadOptions, refuse_unused
from neural_data.recordings import make_recording
from neural_data.stimuli import StimulusSet

__all__ = ["FILE_PREFIX", "FORMAT", "VIEWS", "read"]

FILE_PREFIX = "neural_vecs_"
VARIABLE = "neural_vecs"
N_IDENTITIES = 25
VIEWS: Mapping[str, tuple[float, float]] = {
    "frontal": (0.0, 0.0),
    "left_half_profile": (-45.0, 0.0),
    "left_profile": (-90.0, 0.0),
    "right_half_profile": (45.0, 0.0),
    "right_profile": (90.0, 0.0),
    "up": (0.0, -30.0),
    "down": (0.0, 30.0),
}
"""Nominal azimuth and elevation (degrees) of each block of rows. A head that looks up is seen from below."""


def read(path: Path, options: ReadOptions) -> xr.DataArray:
    """Recording from one matrix, or from a folder of matrices (one per region).

    Parameters
    ----------
    path : Path
        ``neural_vecs_<REGION>.mat`` or a folder of such files.
    options : ReadOptions
        ``region`` names the region of a single file whose name does not state it. With ``stimuli``, each row takes the
        id of the stimulus that shows the same identity (matched by order) in the same view.

    Returns
    -------
    xarray.DataArray
        One presentation, the mean response, for each of 175 stimuli.

    Raises
    ------
    InputError
        If a matrix is missing, has fewer than 175 rows, or is transposed.
    """
    refuse_unused(options, ("region", "subject", "units"), str(path), "each row is one stimulus and already a mean")
    if path.is_dir():
        names = [name for name in visible_files(path, suffixes=(".mat",)) if name.startswith(FILE_PREFIX)]
        files = [inside(path, name, f"{path}: {name}") for name in names]
    else:
        files = [checked_file(path, "recording")]
    if options.region is not None and len(files) > 1:
        raise InputError(f"{path}: region names one region, but there are {len(files)} files; leave it out")
    presentations = _presentations(options.stimuli)
    blocks, neuroids, left_out = [], [], 0
    for file in files:
        matrix = _matrix(file)
        region = options.region or file.stem.removeprefix(FILE_PREFIX)
        left_out = max(left_out, len(matrix) - len(presentations))
        blocks.append(matrix[: len(presentations)])
        neuroids.append(
            pd.DataFrame(
                {
                    "neuroid_id": [f"{region}-{i + 1:03d}" for i in range(matrix.shape[1])],
                    "region": region,
                    "subject": options.subject or "",
                }
            )
        )
    return make_recording(
        np.concatenate(blocks, axis=1),
        presentations=presentations,
        neuroids=pd.concat(neuroids, ignore_index=True),
        units=options.units or "spikes/s",
        attrs={"simultaneous": 0, "n_rows_left_out": left_out, "source_format": "Freiwald & Tsao (2010) matrices"},
        where=str(path),
    )


def _matrix(file: Path) -> np.ndarray:
    if VARIABLE not in (names := variable_names(file)):
        raise InputError(f"{file}: no variable {VARIABLE!r}; it holds {', '.join(names) or 'nothing'}")
    matrix = read_variables(file, [VARIABLE])[VARIABLE]
    wanted = N_IDENTITIES * len(VIEWS)
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.dtype.kind not in "buif":
        raise InputError(f"{file}: {VARIABLE} must be a matrix of numbers (images x neurons)")
    if len(matrix) < wanted:
        hint = "; it looks transposed" if matrix.shape[1] >= wanted else ""
        raise InputError(
            f"{file}: {VARIABLE} has {matrix.shape[0]} rows; at least {wanted} are needed ({N_IDENTITIES} identities x "
            f"{len(VIEWS)} views){hint}"
        )
    return matrix


def _presentations(stimuli: StimulusSet | None) -> pd.DataFrame:
    """Table of what each row shows: identity and view, in order."""
    rows = [
        (f"id{identity + 1:02d}_{view}", f"id{identity + 1:02d}", "face", azimuth, elevation)
        for view, (azimuth, elevation) in VIEWS.items()
        for identity in range(N_IDENTITIES)
    ]
    table = pd.DataFrame(rows, columns=["stimulus_id", "identity", "category", "azimuth_deg", "elevation_deg"])
    return table if stimuli is None else _named_after(table, stimuli)


def _named_after(rows: pd.DataFrame, stimuli: StimulusSet) -> pd.DataFrame:
    """The rows with the ids of a stimulus set that shows the same 25 identities, in the same order and views."""
    if len(stimuli.identities) != N_IDENTITIES:
        raise InputError(
            f"rows of these matrices are {N_IDENTITIES} identities, but {stimuli.name!r} has "
            f"{len(stimuli.identities)}; give a set of the same identities in the same order, or none"
        )
    known = dict(zip(sorted(set(rows["identity"])), stimuli.identities, strict=True))
    shown = stimuli.table.reset_index()
    keys = ["identity", "azimuth_deg", "elevation_deg"]
    ids = rows.assign(identity=rows["identity"].map(known)).drop(columns="stimulus_id")
    merged = ids.merge(shown[["stimulus_id", *keys]], on=keys, how="left")
    if len(merged) != len(rows):
        raise InputError(
            f"{stimuli.name!r} shows an identity twice in one view, so rows cannot be assigned to stimuli; remove one "
            "of them"
        )
    # Rows whose view is not in the set keep their default id: they were recorded too.
    return merged.assign(stimulus_id=merged["stimulus_id"].fillna(rows["stimulus_id"]))


def _detect(candidate: Candidate) -> bool:
    if candidate.kind == "folder":
        return any(name.startswith(FILE_PREFIX) and name.lower().endswith(".mat") for name in candidate.names)
    return candidate.kind == "matlab" and VARIABLE in candidate.names


FORMAT = Format(
    name="freiwald_tsao", title="matrix or folder of matrices (Freiwald & Tsao 2010)", detect=_detect, read=read
)
