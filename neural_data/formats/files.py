"""Reads and writes recordings; the format of a file is detected from its content, never from its name.

Pickles are never opened: reading one executes whatever it holds.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from neural_data.errors import InputError, closest
from neural_data.formats import brainscore, freiwald_tsao, matlab, named_arrays, nwb, raster, tabular
from neural_data.formats.bounds import checked_file, checked_folder, exists, visible_files, whole_file
from neural_data.formats.cells import looks_like_text
from neural_data.formats.family import Candidate, Format, format_called
from neural_data.formats.hdf5 import SIGNATURE, closed_hdf5
from neural_data.formats.read_options import ReadOptions
from neural_data.recordings import (
    MISSING_POLICIES,
    checked_recording,
    condition_means,
    match_stimulus_set,
    mean_over_bins,
    missing_message,
    repeated_trials,
    with_ids_of,
)
from neural_data.stimuli import StimulusSet

__all__ = ["FORMATS", "detect_format", "read_recording", "write_recording"]

log = logging.getLogger(__name__)

FORMATS: tuple[Format, ...] = (
    brainscore.FORMAT,
    nwb.FORMAT,
    freiwald_tsao.FORMAT,
    raster.FORMAT,
    tabular.LONG,
    tabular.WIDE,
    named_arrays.FORMAT,
)
"""All formats, in the order in which detection tries them."""


def read_recording(
    path: str | Path,
    format: str | None = None,
    stimulus: str | None = None,
    window_ms: tuple[float, float] | None = None,
    *,
    columns: Mapping[str, str | Sequence[str]] | None = None,
    variables: Mapping[str, str] | None = None,
    bin_ms: float | None = None,
    step_ms: float | None = None,
    onset_bin: int | None = None,
    region: str | None = None,
    subject: str | None = None,
    units: str | None = None,
    decimal: str | None = None,
    stimuli: StimulusSet | None = None,
    missing: str = "refuse",
) -> xr.DataArray:
    """Read a recording, whatever its format.

    Parameters
    ----------
    path : str or Path
        A Brain-Score assembly (netCDF), an NWB file, a raster file or folder of the Neural Decoding Toolbox, a matrix
        or folder of matrices of the Freiwald & Tsao (2010) recordings, a table (long or wide; CSV, tabs, semicolons,
        Parquet), or any MATLAB or HDF5 file with a matrix in it (``variables``).
    format : str or None
        Name of one of :data:`FORMATS`; None detects it from the content.
    stimulus : str or None
        Name of the label, column or coord that identifies the stimuli, if it is not ``stimulus_id``.
    window_ms : (start, end) or None
        Window after stimulus onset. Spikes are counted in it (50 to 350 ms by default); responses in time bins are
        averaged over the bins that lie within it.
    columns : mapping of str to str, or None
        Role and name of columns (tables), coords (netCDF) or columns of the trials and units tables (NWB):
        ``{"response": "rate", "stimulus_id": "image"}``. Neurons of a wide table are named by a pattern or a list:
        ``{"response": "unit*"}``. Roles are listed in ``neural_data.formats.read_options.ROLES``.
    variables : mapping of str to str, or None
        Role and name of the variables of a MATLAB or HDF5 file: ``{"responses": "rates", "stimulus_id": "stim"}``, see
        ``neural_data.formats.named_arrays``.
    bin_ms : float or None
        Width of the time bins in which spikes are counted; None counts in the whole window.
    step_ms : float or None
        From the start of one time bin to that of the next; None: ``bin_ms``. Smaller ones give bins that overlap.
    onset_bin : int or None
        Bin of stimulus onset, counted from 1, for raster files that do not state it.
    region, subject : str or None
        Labels of the neurons, for files without such labels.
    units : {"spikes/s", "counts", "normalized"} or None
        Unit of the responses, if the file does not state it; with ``counts``, spikes are kept as counts.
    decimal : {".", ","} or None
        Decimal mark of a text table, if it cannot be inferred from the numbers.
    stimuli : StimulusSet or None
        The stimulus set that was shown; all of its stimuli must have been recorded. Ids match with or without the
        extension or folder of an image (``faces/a1.png`` and ``a1``); the recording takes the ids of the set.
    missing : {"refuse", "drop_neurons", "drop_stimuli", "keep"}
        What to do with missing responses (NaN or absent). ``refuse`` raises if a neuron has no response at all to a
        stimulus, or if a file of simultaneously recorded neurons holds NaN. ``drop_neurons`` and ``drop_stimuli``
        remove every neuron, or stimulus, with an empty cell; ``keep`` removes nothing. Values are never filled in;
        means are over the measured responses.

    Returns
    -------
    xarray.DataArray
        See ``neural_data.recordings``. ``attrs["assumed"]`` lists what was assumed because the file does not state it.

    Raises
    ------
    InputError
        If the file cannot be read or does not hold a usable recording.
    """
    path = Path(path)
    if missing not in MISSING_POLICIES:
        raise InputError(
            f"missing={missing!r} is not a way to treat missing cells: {closest(missing, MISSING_POLICIES)}"
        )
    if format is None and variables:
        format = named_arrays.FORMAT.name
    if format is None:
        chosen = format_called(detect_format(path), FORMATS)
    else:
        chosen = format_called(format, FORMATS)
        checked = checked_folder if exists(path) and path.is_dir() else checked_file
        checked(path, "file or folder")
    options = ReadOptions(
        stimulus=stimulus,
        window_ms=window_ms,
        bin_ms=bin_ms,
        step_ms=step_ms,
        onset_bin=onset_bin,
        region=region,
        subject=subject,
        units=units,
        decimal=decimal,
        columns=dict(columns or {}),
        variables=dict(variables or {}),
        stimuli=stimuli,
    )
    recording = chosen.read(path, options)
    if stimuli is not None:
        recording = with_ids_of(recording, stimuli)
        match_stimulus_set(recording, stimuli, where=str(path))
    repeated = repeated_trials(recording)
    if repeated:
        log.warning(
            "%s: %d presentations have exactly the responses of another presentation of the same stimulus",
            path,
            repeated,
        )
    return _without_missing(recording, missing, str(path))


def write_recording(recording: xr.DataArray, path: str | Path, format: str | None = None) -> Path:
    """Write a recording, whole or not at all.

    Parameters
    ----------
    recording : xarray.DataArray
        The recording to write.
    path : str or Path
        Its extension selects the format if ``format`` is None: ``.nc``, ``.nwb``, ``.csv`` or ``.parquet``.
    format : {"brainscore", "nwb", "long", "wide"} or None
        Brain-Score assembly, NWB, long table, or wide table (Parquet if the path ends in ``.parquet``, else CSV).

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    InputError
        If the format is not known or cannot hold the recording.
    """
    path = Path(path)
    written = {entry.name: entry.write for entry in FORMATS if entry.write is not None}
    known = [entry for entry in FORMATS if entry.name in written]
    if format is None:
        fitting = [entry for entry in known if path.suffix.lower() in entry.endings]
        if not fitting:
            names = ", ".join(entry.aliases[0] if entry.aliases else entry.name for entry in known)
            endings = ", ".join(ending for entry in known for ending in entry.endings)
            raise InputError(
                f"{path}: the file's ending does not say the format; write {endings}, or give format, one of {names}"
            )
        chosen = fitting[0]
    else:
        chosen = format_called(format, known)
    recording = checked_recording(recording, where="the recording")
    with whole_file(path) as temporary:
        written[chosen.name](recording, temporary)
    return path


def detect_format(path: str | Path) -> str:
    """Format of a file or folder, detected from its content.

    Parameters
    ----------
    path : str or Path
        File or folder of a recording.

    Returns
    -------
    str
        Name of one of :data:`FORMATS`.

    Raises
    ------
    InputError
        If there is no such file or folder, or no reader for its format.
    """
    candidate = _candidate(Path(path))
    for entry in FORMATS:
        if entry.detect(candidate):
            return entry.name
    names = ", ".join(candidate.names[:4])
    if candidate.kind == "folder":
        folders = sorted(inner.name for inner in Path(path).iterdir() if inner.is_dir())
        holds = f"{names}, ..." if names else f"the folders {', '.join(folders[:4])}" if folders else "nothing"
        raise InputError(
            f"{path}: the folder holds no .mat file, of which a recording folder has one a neuron or region, but "
            f"{holds}; name the file or folder to read"
        )
    raise InputError(f"{path}: is not in a format that can be read; formats are {_titles()}")


def _titles() -> str:
    return "; ".join(entry.title for entry in FORMATS if entry.read is not None)


def _candidate(path: Path) -> Candidate:
    """Container type of a file or folder, and the names in it."""
    if exists(path) and path.is_dir():
        return Candidate(path, "folder", tuple(visible_files(path)))
    with checked_file(path, "file or folder").open("rb") as file:
        head = file.read(4096)
    if head.startswith(b"MATLAB "):
        return Candidate(path, "matlab", tuple(matlab.variable_names(path)))
    if head.startswith(SIGNATURE):
        with closed_hdf5(path) as file:
            return Candidate(path, "hdf5", tuple(file), tuple(file.attrs))
    for start, kind in ((b"CDF", "netcdf3"), (b"PAR1", "parquet")):
        if head.startswith(start):
            return Candidate(path, kind)
    if _is_pickle(head):
        raise InputError(
            f"{path}: is a Python pickle, which is never opened because it can execute code; export it as "
            "netCDF, NWB or a table"
        )
    if looks_like_text(head):
        return Candidate(path, "text")
    raise InputError(f"{path}: is not in a format that can be read; formats are {_titles()}")


def _is_pickle(head: bytes) -> bool:
    return (head[0] == 0x80 and len(head) > 1 and head[1] <= 5) or head[:4] in (b"(lp0", b"(dp0", b"ccop", b"cnum")


def _without_missing(recording: xr.DataArray, missing: str, where: str) -> xr.DataArray:
    absent = np.isnan(recording.values)
    if missing == "keep" or not absent.any():
        return recording
    means = condition_means(mean_over_bins(recording), missing="keep")
    empty = means.isna().to_numpy()
    if missing == "refuse":
        if empty.any():
            raise InputError(
                f"{where}: {missing_message(means)}; nothing is filled in, so choose missing='drop_neurons', "
                "missing='drop_stimuli' or missing='keep'"
            )
        if recording.attrs["simultaneous"]:
            place = np.argwhere(absent)[0]
            raise InputError(
                f"{where}: {absent.sum():,} of {absent.size:,} responses are NaN (first: neuron "
                f"{str(recording['neuroid_id'].values[place[1]])!r}, stimulus "
                f"{str(recording['stimulus_id'].values[place[0]])!r}), although every cell has others; missing='keep' "
                "averages those"
            )
        return recording
    kept = condition_means(mean_over_bins(recording), missing=missing)  # raises where nothing would be left
    neurons = np.flatnonzero(np.isin(recording["neuroid_id"].values, kept.columns))
    presentations = np.flatnonzero(np.isin(recording["stimulus_id"].values, kept.index))
    return recording.isel(neuroid=neurons, presentation=presentations)
