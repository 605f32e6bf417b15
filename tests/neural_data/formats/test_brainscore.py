"""Assemblies as other languages write them: padded texts, fill values, doubles for whole numbers, other names."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.io import netcdf_file

from neural_data import InputError, read_recording

RATES = np.random.default_rng(0).poisson(8, (6, 4)).astype("f8")
FILL = 9.969209968386869e36


def dataset(values=RATES, ids=None, **coords):
    named = {
        "stimulus_id": ("presentation", [f"s{i}" for i in range(6)] if ids is None else ids),
        "neuroid_id": ("neuroid", list("wxyz")),
        "region": ("neuroid", ["AL"] * 4),
    }
    return xr.Dataset({"data": (("presentation", "neuroid"), values)}, coords=named | coords)


def written(found, path, engine="h5netcdf", **encoding):
    found.to_netcdf(path, engine=engine, encoding=encoding or None)
    return path


def test_padded_characters_of_netcdf_3_are_texts(tmp_path):
    path = tmp_path / "r.nc"
    texts = {
        "stimulus_id": ("presentation", [f"s{i}" for i in range(6)]),
        "neuroid_id": ("neuroid", list("wxyz")),
        "region": ("neuroid", ["AL", "AL", "AMP", "AMP"]),
    }
    with netcdf_file(path, "w") as file:
        for name, size in (("presentation", 6), ("neuroid", 4), ("length", 8)):
            file.createDimension(name, size)
        data = file.createVariable("data", "d", ("neuroid", "presentation"))
        data[:] = RATES.T
        data.coordinates = " ".join(texts)
        for name, (dim, values) in texts.items():
            variable = file.createVariable(name, "c", (dim, "length"))
            variable[:] = np.array([list(text.ljust(8)) for text in values], dtype="S1")
    recording = read_recording(path)
    np.testing.assert_array_equal(recording.values, RATES)
    assert recording["stimulus_id"].values.tolist() == texts["stimulus_id"][1]
    assert recording["region"].values.tolist() == texts["region"][1]


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "i4"])
@pytest.mark.parametrize("engine", ["scipy", "h5netcdf"])
def test_default_fill_values_are_missing(tmp_path, dtype, engine):
    fill = {"f4": FILL, "f8": FILL, "i2": -32767, "i4": -2147483647}[dtype]
    values = RATES.astype(dtype)
    values[4, 2] = fill
    path = written(dataset(values), tmp_path / "r.nc", engine, data={"_FillValue": None})
    with pytest.raises(InputError, match=r"1 of 24 cells .*have no response"):
        read_recording(path)
    kept = read_recording(path, missing="keep")
    assert np.argwhere(np.isnan(kept.values)).tolist() == [[4, 2]]


def test_a_fill_value_of_the_files_own_leaves_the_others_alone(tmp_path):
    values = RATES.copy()
    values[0, 0] = -1
    path = written(dataset(values), tmp_path / "r.nc", data={"_FillValue": -1.0})
    assert np.argwhere(np.isnan(read_recording(path, missing="keep").values)).tolist() == [[0, 0]]


def test_whole_doubles_are_whole_ids(tmp_path):
    ids = 20190315123045.0 + np.arange(6)
    recording = read_recording(written(dataset(ids=ids), tmp_path / "r.nc"))
    assert recording["stimulus_id"].values.tolist() == [str(int(i)) for i in ids]
    fractions = read_recording(written(dataset(ids=np.arange(6) / 10), tmp_path / "f.nc"))
    assert fractions["stimulus_id"].values.tolist() == ["0", "0.1", "0.2", "0.3", "0.4", "0.5"]
    narrow = read_recording(written(dataset(ids=(np.arange(6) / 10).astype("f4")), tmp_path / "n.nc"))
    assert narrow["stimulus_id"].values.tolist() == fractions["stimulus_id"].values.tolist()


def test_coords_are_named_by_role(tmp_path):
    found = dataset().rename(stimulus_id="picture", neuroid_id="unit", region="area")
    path = written(found, tmp_path / "r.nc")
    recording = read_recording(path, columns={"stimulus_id": "picture", "neuroid_id": "unit", "region": "area"})
    assert recording["neuroid_id"].values.tolist() == list("wxyz")
    with pytest.raises(InputError, match="no coord 'pictures' on presentation: did you mean 'picture'"):
        read_recording(path, columns={"stimulus_id": "pictures"})


def test_units_that_are_assumed_are_said(tmp_path):
    assert "spikes/s" in read_recording(written(dataset(), tmp_path / "r.nc")).attrs["assumed"]
    with pytest.raises(InputError, match="attribute 'simultaneous' is 'maybe'; it must be 0 or 1"):
        read_recording(written(dataset().assign_attrs(simultaneous="maybe"), tmp_path / "m.nc"))
