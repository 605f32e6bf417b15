"""Every kind of input that the project reads: a small one that is right, and how it is read."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import scipy.io
import torch
import trimesh
import xarray as xr
from PIL import Image
from rsatoolbox.rdm import RDMs

from neural_data import StimulusSet, read_recording, read_stimuli, simulate_patches, write_recording, write_stimuli
from neurocompare.models.archives import RECORD_BYTES, read_archive
from neurocompare.models.checkpoints import read_checkpoint, read_state, write_state
from neurocompare.models.datasets import LabelledImages, read_dataset
from neurocompare.representations.rdm_files import write_rdms
from neurocompare.representations.rdm_reading import read_rdms
from neurocompare.representations.rdms import build_rdms
from neurocompare.stimuli.folders import read_folder
from neurocompare.stimuli.geometry import Shape
from neurocompare.stimuli.image_sets import read_images
from neurocompare.stimuli.meshes import read_mesh
from neurocompare.study.cache import Cache, open_cache
from neurocompare.study.grammar import load_study

__all__ = ["READERS", "Reader", "digest"]

AZIMUTHS = (-45.0, 0.0, 45.0)
REFUSED = "refused by the cache"


@dataclass(frozen=True)
class Reader:
    """A kind of input.

    Parameters
    ----------
    name : str
    make : callable
        Takes a folder; writes an input that is right and gives the file that is to be damaged.
    read : callable
        Takes that file; gives what it holds, or raises ``InputError``.
    checked : bool
        Whether the format has a checksum over what it holds, so that damage never gives another value.
    """

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    checked: bool = False


def digest(value: Any) -> str:
    """A text that is equal for equal values."""
    total = hashlib.sha256()
    _add(total, value)
    return total.hexdigest()


def _add(total: Any, value: Any) -> None:
    if isinstance(value, xr.DataArray):
        _add(total, [value.values, {str(name): coord.values for name, coord in value.coords.items()}])
    elif isinstance(value, RDMs):
        _add(total, [value.get_vectors(), value.pattern_descriptors, value.rdm_descriptors])
    elif isinstance(value, StimulusSet):
        _add(total, [value.table.reset_index().to_dict("list"), value.images(12)])
    elif isinstance(value, LabelledImages):
        _add(total, [value.images, value.labels, list(value.classes)])
    elif isinstance(value, Shape):
        _add(total, [value.vertices, value.faces])
    elif isinstance(value, torch.Tensor):
        _add(
            total, value.detach().to(torch.float64).numpy() if value.dtype == torch.bfloat16 else value.detach().numpy()
        )
    elif isinstance(value, np.ndarray) and value.dtype != object:
        total.update(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    elif isinstance(value, dict):
        for name in sorted(value, key=str):
            total.update(str(name).encode("utf-8", "backslashreplace"))
            _add(total, value[name])
    elif isinstance(value, (list, tuple, np.ndarray)):
        total.update(b"[")
        for item in value:
            _add(total, item)
    else:
        total.update(repr(value).encode("utf-8", "backslashreplace"))


def _stimuli() -> StimulusSet:
    rows = [(f"s{i}_{a:g}", f"id{i}", a) for i in range(3) for a in AZIMUTHS]
    table = pd.DataFrame(rows, columns=["stimulus_id", "identity", "azimuth_deg"]).set_index("stimulus_id")
    table = table.assign(filename=table.index + ".png", category="face", elevation_deg=0.0)
    pixels = np.random.default_rng(7).integers(0, 256, (len(table), 12, 12), dtype=np.uint8)
    return StimulusSet(table, pixels=pixels, name="fuzzed")


def _recording() -> xr.DataArray:
    return simulate_patches(_stimuli(), ("ML", "AM"), 4, 2, rng=np.random.default_rng(2))


def _written(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        return write_recording(_recording(), folder / name)

    return make


def _table(name: str, **options: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        recording = _recording()
        rows = [
            (stimulus, neuron, region, int(repetition), float(value))
            for stimulus, repetition, row in zip(
                recording["stimulus_id"].values, recording["repetition"].values, recording.values, strict=True
            )
            for neuron, region, value in zip(
                recording["neuroid_id"].values, recording["region"].values, row, strict=True
            )
        ]
        table = pd.DataFrame(rows, columns=["stimulus_id", "neuroid_id", "region", "repetition", "response"])
        path = folder / name
        table.to_parquet(path) if name.endswith(".parquet") else table.to_csv(path, index=False, **options)
        return path

    return make


def _wide(folder: Path) -> Path:
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"stimulus_id": [f"s{n % 6}" for n in range(12)]})
    for neuron in range(5):
        table[f"u{neuron}"] = rng.gamma(2, 4, 12).round(3)
    table.to_csv(folder / "wide.csv", index=False)
    return folder / "wide.csv"


def _matlab_arrays(folder: Path) -> Path:
    rng = np.random.default_rng(4)
    stimuli = np.array([f"s{n % 6}" for n in range(12)], dtype=object)
    scipy.io.savemat(folder / "r.mat", {"responses": rng.gamma(2, 4, (12, 5)), "stimulus_id": stimuli})
    return folder / "r.mat"


def _raster(folder: Path) -> Path:
    place = folder / "raster"
    place.mkdir()
    rng = np.random.default_rng(5)
    labels = np.array([f"s{n % 6}" for n in range(12)], dtype=object)[None, :]
    for unit in range(2):
        content = {
            "raster_data": (rng.random((12, 500)) < 0.1).astype(np.uint8),
            "raster_labels": {"stimulus_ID": labels},
            "raster_site_info": {"alignment_event_time": 51},
        }
        scipy.io.savemat(place / f"unit{unit}_raster_data.mat", content)
    return place / "unit1_raster_data.mat"


def _matlab_73(folder: Path) -> Path:
    with h5py.File(folder / "m.mat", "w", userblock_size=512) as file:
        file["responses"] = np.random.default_rng(6).gamma(2, 4, (5, 12))
        file["stimulus_id"] = np.arange(12.0)[None] // 2
    with (folder / "m.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return folder / "m.mat"


def _read_arrays(path: Path) -> xr.DataArray:
    return read_recording(path, variables={name: name for name in ("responses", "stimulus_id")}, region="AL")


def _set(folder: Path) -> Path:
    return write_stimuli(_stimuli(), folder / "set")


def _image_of_set(folder: Path) -> Path:
    _set(folder)
    return folder / "set" / "images" / "s1_0.png"


def _zipped_set(folder: Path) -> Path:
    path = _set(folder)
    with zipfile.ZipFile(folder / "set" / "images.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for image in sorted((folder / "set" / "images").iterdir()):
            archive.write(image, image.name)
            image.unlink()
    (folder / "set" / "images").rmdir()
    assert path.is_file()
    return folder / "set" / "images.zip"


def _read_set(path: Path) -> StimulusSet:
    folder = next(parent for parent in path.parents if parent.name == "set")
    return read_stimuli(folder / "stimulus_set.csv")


def _picture(name: str, mode: str, **options: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        place = folder / "images"
        place.mkdir()
        shape = (16, 16) if mode in ("L", "I;16", "1") else (16, 16, len(mode) if mode != "P" else 3)
        pixels = np.random.default_rng(8).integers(0, 256, shape, dtype=np.uint8)
        if mode == "I;16":
            image = Image.fromarray(pixels.astype(np.uint16) * 200)
        else:
            image = Image.fromarray(pixels)
            image = image.convert(mode) if image.mode != mode else image
        image.save(place / name, **options)
        return place / name

    return make


def _read_images(path: Path) -> StimulusSet:
    return read_images(path.parent)


def _parquet_images(folder: Path) -> Path:
    rows = []
    for number in range(12):
        held = io.BytesIO()
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(held, "PNG")
        rows.append({"image": {"bytes": held.getvalue(), "path": ""}, "label": number % 2})
    pd.DataFrame(rows).to_parquet(folder / "images.parquet")
    return folder / "images.parquet"


def _named_folder(folder: Path) -> Path:
    place = folder / "views"
    place.mkdir()
    for identity in ("ann", "bob"):
        for azimuth in (-45, 0, 45):
            pixels = np.random.default_rng(azimuth + 90).integers(0, 256, (12, 12), dtype=np.uint8)
            Image.fromarray(pixels).save(place / f"{identity}_{azimuth}.png")
    return place / "ann_0.png"


def _read_views(path: Path) -> StimulusSet:
    return read_folder(path.parent, "{identity}_{azimuth_deg}.png")


def _mesh(name: str, **options: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).parent.mkdir(exist_ok=True)
        trimesh.creation.icosphere(1).export(folder / name, **options)
        return folder / name

    return make


def _textured(damaged: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        lines = ["mtllib m.mtl", "usemtl skin", "v 0 0 0", "v 1 0 0", "v 0 1 0", "v 0 0 1"]
        lines += ["vt 0 0", "vt 1 0", "vt 0 1", "f 1/1 2/2 3/3", "f 1/1 3/3 4/2", "f 1/1 4/2 2/3", "f 2/1 4/2 3/3"]
        (folder / "m.obj").write_text("\n".join(lines) + "\n")
        (folder / "m.mtl").write_text("newmtl skin\nKd 0.5 0.5 0.5\nmap_Kd t.png\n")
        pixels = np.random.default_rng(9).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "t.png")
        return folder / damaged

    return make


def _tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {"a.weight": torch.randn(4, 3, generator=generator), "a.bias": torch.zeros(4)}


def _torch_file(name: str, **options: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        torch.save(_tensors(), folder / name, **options)
        return folder / name

    return make


def _state(folder: Path) -> Path:
    return write_state(folder / "s.safetensors", _tensors(), {"rows": "[]"})


def _batch(n: int) -> bytes:
    records = np.random.default_rng(10).integers(0, 256, (n, RECORD_BYTES), dtype=np.uint8)
    records[:, 0] %= 10
    return records.tobytes()


def _cifar(folder: Path) -> Path:
    with tarfile.open(folder / "cifar.tar.gz", "w:gz", compresslevel=1) as archive:
        for name in ("data_batch_1.bin", "test_batch.bin"):
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            content = _batch(2)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return folder / "cifar.tar.gz"


def _cifar_batch(folder: Path) -> Path:
    (folder / "data_batch_1.bin").write_bytes(_batch(2))
    return folder / "data_batch_1.bin"


def _cifar_folder(folder: Path) -> Path:
    (folder / "cifar").mkdir()
    return _cifar_batch(folder / "cifar")


def _svhn(folder: Path) -> Path:
    images = np.random.default_rng(11).integers(0, 256, (32, 32, 3, 3), dtype=np.uint8)
    scipy.io.savemat(
        folder / "train_32x32.mat", {"X": images, "y": np.array([[1], [10], [3]], np.uint8)}, do_compression=True
    )
    return folder / "train_32x32.mat"


def _rdms() -> RDMs:
    matrices = np.random.default_rng(12).random((2, 5, 5))
    matrices = (matrices + matrices.transpose(0, 2, 1)) * (1 - np.eye(5))
    patterns = pd.DataFrame({"stimulus_id": [f"s{i}" for i in range(5)]})
    return build_rdms(matrices, patterns=patterns, rdms={"layer": ["é", "b"]}, dissimilarity="correlation")


def _rdm_file(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path, square = folder / name, _rdms().get_matrices()
        match path.suffix:
            case ".hdf5":
                write_rdms(_rdms(), path)
            case ".npy":
                np.save(path, square)
            case ".npz":
                np.savez(path, rdms=square)
            case ".mat":
                scipy.io.savemat(path, {"rdms": square[0]})
            case ".csv":
                pd.DataFrame(square[0]).to_csv(path, header=False, index=False)
            case _:
                raise AssertionError(path.suffix)
        return path

    return make


def _read_rdms(path: Path) -> RDMs:
    return read_rdms(path, stimuli=[f"s{i}" for i in range(5)])


STUDY = """\
title = "fuzzed"
seed = 3
[stimuli]
source = "faces"
n_identities = 6
azimuths_deg = [-45, 0, 45]
[[models]]
name = "cnn-small"
layers = ["conv4", "fc1"]
seeds = [0, 1]
[recording]
n_neurons = 20
[comparison]
n_draws = 60
resample = ["identity", "neuron"]
[[hypotheses]]
name = "h"
statement = "AL is mirror-symmetric"
table = "viewpoint_patches"
value = "index"
test = "mean"
selections = [{region = "AL"}]
unit = ["identity"]
"""


def _study(folder: Path) -> Path:
    (folder / "s.toml").write_text(STUDY)
    return folder / "s.toml"


def _read_study(path: Path) -> dict:
    return load_study(path).model_dump(mode="json")


KEY = "ab" * 32


def _cache_entry(folder: Path) -> Path:
    cache = open_cache(folder / "cache")
    value = {"rdms": _rdms(), "table": pd.DataFrame({"a": [1.5, 2.0]}), "stimuli": _stimuli(), "n": (1, "é")}
    cache.store(KEY, value, kind="fits", label="fits", seconds=1.0, work=1.0)
    return cache.folder / KEY[:2] / f"{KEY}.zip"


def _read_entry(path: Path) -> Any:
    cache = Cache(path.parents[1])
    cache.entries()
    try:
        return cache.load(KEY)
    except KeyError:
        return REFUSED


def _run_folder(folder: Path) -> Path:
    from neurocompare.study.run_folders import whole_folder

    with whole_folder(folder / "run") as inside:
        (inside / "x").write_text("1")
        (inside / "provenance.json").write_text(json.dumps({"seed": 1, "study": {"title": "é"}}))
    return folder / "run" / "provenance.json"


def _replace_run(path: Path) -> str:
    """A run into the folder: it is replaced only where its provenance is what was written."""
    from neurocompare.study.run_folders import whole_folder

    with whole_folder(path.parent) as inside:
        (inside / "y").write_text("1")
    return "replaced"


def _dataset_of(path: Path) -> LabelledImages:
    return read_dataset(path, size=8)[0]


READERS = (
    Reader("recording: netCDF", _written("r.nc"), read_recording),
    Reader("recording: NWB", _written("r.nwb"), read_recording),
    Reader("recording: long table CSV", _table("r.csv"), read_recording),
    Reader("recording: long table TSV", _table("r.tsv", sep="\t"), read_recording),
    Reader("recording: long table with semicolons", _table("r.csv", sep=";", decimal=","), read_recording),
    Reader("recording: long table Parquet", _table("r.parquet"), read_recording),
    Reader("recording: wide table", _wide, lambda path: read_recording(path, region="AL")),
    Reader("recording: named arrays MATLAB", _matlab_arrays, _read_arrays),
    Reader("recording: raster folder", _raster, lambda path: read_recording(path.parent, stimulus="stimulus_ID")),
    Reader("recording: MATLAB 7.3", _matlab_73, _read_arrays),
    Reader("stimulus set: table", _set, _read_set),
    Reader("stimulus set: image", _image_of_set, _read_set, checked=True),
    Reader("stimulus set: zip", _zipped_set, _read_set, checked=True),
    Reader("image: PNG gray", _picture("a.png", "L"), _read_images, checked=True),
    Reader("image: PNG colour", _picture("a.png", "RGB"), _read_images, checked=True),
    Reader("image: PNG with transparency", _picture("a.png", "RGBA"), _read_images, checked=True),
    Reader("image: PNG of a palette", _picture("a.png", "P"), _read_images, checked=True),
    Reader("image: PNG of 16 bits", _picture("a.png", "I;16"), _read_images, checked=True),
    Reader("image: PNG of 1 bit", _picture("a.png", "1"), _read_images, checked=True),
    Reader("image: JPEG", _picture("a.jpg", "RGB"), _read_images),
    Reader("image: JPEG CMYK", _picture("a.jpg", "CMYK"), _read_images),
    Reader("image: GIF", _picture("a.gif", "P"), _read_images),
    Reader("image: BMP", _picture("a.bmp", "RGB"), _read_images),
    Reader("image: TIFF", _picture("a.tif", "RGB"), _read_images),
    Reader("image: TIFF packed", _picture("a.tif", "RGB", compression="tiff_lzw"), _read_images),
    Reader("image: WebP", _picture("a.webp", "RGB", lossless=True), _read_images),
    Reader("images: Parquet", _parquet_images, lambda path: read_images(path)),
    Reader("images: names of a folder", _named_folder, _read_views, checked=True),
    Reader("mesh: OBJ", _mesh("m.obj"), read_mesh),
    Reader("mesh: OBJ with material", _textured("m.obj"), lambda path: read_mesh(path.parent / "m.obj")),
    Reader("mesh: material", _textured("m.mtl"), lambda path: read_mesh(path.parent / "m.obj")),
    Reader("mesh: texture", _textured("t.png"), lambda path: read_mesh(path.parent / "m.obj")),
    Reader("mesh: PLY binary", _mesh("m.ply"), read_mesh),
    Reader("mesh: PLY text", _mesh("m.ply", encoding="ascii"), read_mesh),
    Reader("mesh: STL binary", _mesh("m.stl"), read_mesh),
    Reader("mesh: STL text", _mesh("m.stl", file_type="stl_ascii"), read_mesh),
    Reader("mesh: GLB", _mesh("m.glb"), read_mesh),
    Reader("checkpoint: safetensors", _state, read_checkpoint),
    Reader("checkpoint: torch zip", _torch_file("c.pt"), read_checkpoint, checked=True),
    Reader("checkpoint: torch legacy", _torch_file("c.pth", _use_new_zipfile_serialization=False), read_checkpoint),
    Reader("checkpoint: state of a training", _state, read_state),
    Reader("training images: Parquet", _parquet_images, _dataset_of),
    Reader("training images: CIFAR archive", _cifar, read_archive, checked=True),
    Reader("training images: CIFAR batch", _cifar_batch, read_archive),
    Reader("training images: CIFAR folder", _cifar_folder, lambda path: read_archive(path.parent)),
    Reader("training images: SVHN", _svhn, read_archive, checked=True),
    Reader("RDMs: rsatoolbox HDF5", _rdm_file("r.hdf5"), _read_rdms),
    Reader("RDMs: npy", _rdm_file("r.npy"), _read_rdms),
    Reader("RDMs: npz", _rdm_file("r.npz"), _read_rdms, checked=True),
    Reader("RDMs: MATLAB", _rdm_file("r.mat"), _read_rdms),
    Reader("RDMs: CSV", _rdm_file("r.csv"), _read_rdms),
    Reader("study: TOML", _study, _read_study),
    Reader("cache entry", _cache_entry, _read_entry, checked=True),
    Reader("run folder: provenance", _run_folder, _replace_run, checked=True),
)
