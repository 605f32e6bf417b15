"""Reads and writes recordings; which format a file is in is told by its content, never by its name.

Pickles are never opened: reading one executes whatever it holds.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import xarray as xr

from neural_data.errors import InputError, closest
from neural_data.formats import brainscore, freiwald_tsao, matlab, nwb, raster, tabular
from neural_data.formats.options import ReadOptions
from neural_data.recordings import (
    MISSING_POLICIES,
    checked_recording,
    condition_means,
    match_stimulus_set,
    missing_message,
)
from neural_data.stimuli import StimulusSet

__all__ = ["FORMATS", "detect_format", "read_recording", "write_recording"]

FORMATS: dict[str, ModuleType] = {
    "brainscore": brainscore,
    "nwb": nwb,
    "raster": raster,
    "freiwald_tsao": freiwald_tsao,
    "table": tabular,
}
"""Formats that are read, by name."""
WRITTEN = {".nc": "brainscore", ".nwb": "nwb", ".csv": "long", ".parquet": "long"}
WRITABLE = ("brainscore", "nwb", "long", "wide")
_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_recording(
    path: str | Path,
    format: str | None = None,
    stimulus: str | None = None,
    window_ms: tuple[float, float] | None = None,
    *,
    bin_ms: float | None = None,
    onset_bin: int | None = None,
    region: str | None = None,
    subject: str | None = None,
    units: str | None = None,
    stimuli: StimulusSet | None = None,
    missing: str = "refuse",
) -> xr.DataArray:
    """Read a recording, whatever its format.

    Parameters
    ----------
    path : str or Path
        A Brain-Score assembly (netCDF), an NWB file, a raster file or folder of the Neural Decoding Toolbox, a matrix
        or folder of matrices of the Freiwald & Tsao (2010) recordings, or a table (long or wide CSV, Parquet).
    format : {"brainscore", "nwb", "raster", "freiwald_tsao", "table"} or None
        None tells it by content.
    stimulus : str or None
        Name of the label, column or coord that tells stimuli apart, where it is not ``stimulus_id``.
    window_ms : (start, end) or None
        Window after stimulus onset. Spikes are counted in it (50 to 350 ms by default); of responses in time bins,
        those within it are averaged.
    bin_ms : float or None
        Width of time bins to count spikes in; None counts in the whole window.
    onset_bin : int or None
        Bin of stimulus onset of raster files that do not say it, counted from 1.
    region, subject : str or None
        Labels for neurons whose file has none.
    units : {"spikes/s", "counts", "normalized"} or None
        What the numbers are, where the file does not say; ``counts`` keeps spikes as counts.
    stimuli : StimulusSet or None
        What was shown: every stimulus of it must have been recorded.
    missing : {"refuse", "drop_neurons", "drop_stimuli", "keep"}
        What to do with responses that were not measured (NaN, or not there). Refuse by default: where a neuron has no
        response at all to a stimulus, and where a file of neurons recorded together holds NaN. The other choices drop
        every neuron, or stimulus, with a cell that has no response, or keep all; nothing is ever filled in, and means
        are over what was measured.

    Returns
    -------
    xarray.DataArray
        See ``neural_data.recordings``.

    Raises
    ------
    InputError
        If the file cannot be read or what it holds is not a usable recording.
    """
    path = Path(path)
    if missing not in MISSING_POLICIES:
        raise InputError(f"missing={missing!r} is no way to treat missing cells: {closest(missing, MISSING_POLICIES)}")
    if format is not None and format not in FORMATS:
        raise InputError(f"no format is called {format!r}: {closest(format, FORMATS)}")
    found = detect_format(path) if format is None else format
    if format is not None and not path.exists():
        raise InputError(f"{path}: no such file or folder")
    options = ReadOptions(stimulus, window_ms, bin_ms, onset_bin, region, subject, units, stimuli)
    recording = FORMATS[found].read(path, options)
    if stimuli is not None:
        match_stimulus_set(recording, stimuli, where=str(path))
    return _without_missing(recording, missing, str(path))


def write_recording(recording: xr.DataArray, path: str | Path, format: str | None = None) -> Path:
    """Write a recording, whole or not at all.

    Parameters
    ----------
    recording : xarray.DataArray
        A recording.
    path : str or Path
        Its ending chooses the format where none is given: ``.nc``, ``.nwb``, ``.csv`` or ``.parquet``.
    format : {"brainscore", "nwb", "long", "wide"} or None
        Brain-Score assembly, NWB, long table (CSV, or Parquet where the path ends so), or wide CSV.

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
    chosen = format or WRITTEN.get(path.suffix.lower())
    if chosen not in WRITABLE:
        wanted = f"{path}: the ending names no format" if format is None else f"no format is called {format!r}"
        raise InputError(f"{wanted}; write {', '.join(WRITTEN)}, or give format, one of {', '.join(WRITABLE)}")
    recording = checked_recording(recording, where="the recording")
    with _whole_file(path) as temporary:
        if chosen == "brainscore":
            brainscore.write(recording, temporary)
        elif chosen == "nwb":
            nwb.write(recording, temporary)
        elif chosen == "wide":
            tabular.write_wide(recording, temporary)
        else:
            tabular.write_long(recording, temporary, parquet=path.suffix.lower() == ".parquet")
    return path


def detect_format(path: str | Path) -> str:
    """Format of a file or folder, told by its content.

    Parameters
    ----------
    path : str or Path
        What might be a recording.

    Returns
    -------
    str
        One of ``FORMATS``.

    Raises
    ------
    InputError
        If there is nothing there, or it is in no format that is read.
    """
    path = Path(path)
    if path.is_dir():
        return _format_of_folder(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder")
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        raise InputError(f"{path}: is empty (0 bytes)")
    if head.startswith(b"MATLAB "):
        return _format_of_matlab(path)
    if head.startswith(b"CDF"):
        return "brainscore"
    if head.startswith(_HDF5):
        return _format_of_hdf5(path)
    if head.startswith(b"PAR1"):
        return "table"
    if _is_pickle(head):
        raise InputError(
            f"{path}: is a Python pickle, which is never opened because it can execute code; have it exported as "
            "netCDF, NWB or a table"
        )
    if _is_text(head):
        return "table"
    raise InputError(f"{path}: is in no format that is read here; known are {', '.join(FORMATS)}")


def _format_of_folder(path: Path) -> str:
    files = sorted(file.name for file in path.iterdir() if not file.name.startswith("."))
    matrices = [name for name in files if name.endswith(".mat")]
    if any(name.startswith(freiwald_tsao.FILE_PREFIX) for name in matrices):
        return "freiwald_tsao"
    if matrices:
        return "raster"
    if not files:
        raise InputError(f"{path}: the folder is empty; a recording folder holds one .mat file a neuron or region")
    raise InputError(f"{path}: the folder holds no .mat file ({', '.join(files[:4])}, ...); name the file to read")


def _format_of_matlab(path: Path) -> str:
    names = matlab.variable_names(path)
    for variable, found in (("raster_data", "raster"), ("neural_vecs", "freiwald_tsao")):
        if variable in names:
            return found
    raise InputError(
        f"{path}: a MATLAB file without raster_data (Neural Decoding Toolbox) or neural_vecs (Freiwald & Tsao); it "
        f"holds {', '.join(names) or 'nothing'}"
    )


def _format_of_hdf5(path: Path) -> str:
    try:
        with h5py.File(path) as file:
            names = set(file)
            is_nwb = "nwb_version" in file.attrs or {"acquisition", "processing", "session_description"} <= names
    except (OSError, RuntimeError, KeyError) as error:
        raise InputError(f"{path}: not readable as HDF5 ({error}); it may be truncated, copy it again") from error
    return "nwb" if is_nwb else "brainscore"


def _is_pickle(head: bytes) -> bool:
    return (head[0] == 0x80 and len(head) > 1 and head[1] <= 5) or head[:4] in (b"(lp0", b"(dp0", b"ccop", b"cnum")


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # a character cut by the end of the sample
    return True


def _without_missing(recording: xr.DataArray, missing: str, where: str) -> xr.DataArray:
    absent = np.isnan(recording.values)
    if missing == "keep" or not absent.any():
        return recording
    means = condition_means(recording, missing="keep")
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
                f"{str(recording['stimulus_id'].values[place[0]])!r}), though every cell keeps some; missing='keep' "
                "takes means over those"
            )
        return recording
    kept = condition_means(recording, missing=missing)  # raises where nothing would be left
    neurons = np.flatnonzero(np.isin(recording["neuroid_id"].values, kept.columns))
    presentations = np.flatnonzero(np.isin(recording["stimulus_id"].values, kept.index))
    return recording.isel(neuroid=neurons, presentation=presentations)


@contextlib.contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    """A temporary file beside the path that takes its place once all is written."""
    if not path.parent.is_dir():
        raise InputError(f"{path.parent}: no such folder to write {path.name} into")
    temporary = path.with_name(f".{path.stem}.{os.getpid()}-{secrets.token_hex(4)}.partial{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
