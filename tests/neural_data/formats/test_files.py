"""Every format round-trips, is told by its content, and hostile or broken files meet one clear error."""

from __future__ import annotations

import pickle

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import xarray as xr

from neural_data import InputError, read_recording, write_recording
from neural_data.formats.files import detect_format
from neural_data.recordings import make_recording

pytest.importorskip("pynwb")

WRITTEN = {"a.nc": None, "a.nwb": None, "a.csv": None, "a.parquet": None, "wide.csv": "wide"}
FOUND = {"a.nc": "brainscore", "a.nwb": "nwb", "a.csv": "table", "a.parquet": "table", "wide.csv": "table"}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_reads_back_exactly(simulated, tmp_path, name):
    path = write_recording(simulated, tmp_path / name, WRITTEN[name])
    assert detect_format(path) == FOUND[name]
    xr.testing.assert_identical(read_recording(path), simulated)
    assert [p.name for p in tmp_path.iterdir()] == [name], "no temporary file is left"


@pytest.mark.parametrize("name", [n for n in WRITTEN if n != "wide.csv"])
def test_time_bins_and_missing_responses_read_back_exactly(tmp_path, rng, name):
    values = rng.random((6, 4, 3)) / 3
    values[2, 1] = np.nan
    recording = make_recording(
        values,
        presentations=pd.DataFrame({"stimulus_id": list("babaab"), "contrast": [0.1, 0.2, 0.1, 0.2, 0.2, 0.1]}),
        neuroids=pd.DataFrame({"neuroid_id": list("wxyz"), "region": ["AL", "AL", "AM", "AL"], "depth_um": range(4)}),
        time_bins_ms=[[0, 10], [10, 20], [20, 30]],
        units="counts",
        attrs={"note": "ü"},
    )
    path = write_recording(recording, tmp_path / name)
    xr.testing.assert_identical(read_recording(path, missing="keep"), recording)
    within = read_recording(path, window_ms=(10, 30), missing="keep")
    np.testing.assert_allclose(within.values, values[:, :, 1:].sum(axis=2))


def test_a_brain_score_file_opens_with_xarray_alone(simulated, tmp_path):
    path = write_recording(simulated, tmp_path / "assembly.nc")
    with xr.open_dataarray(path, engine="h5netcdf") as opened:
        assert opened.name == "data"
        assert opened.dims == ("presentation", "neuroid")
        np.testing.assert_array_equal(opened.values, simulated.values)
        assert all(coord.ndim == 1 for coord in opened.coords.values())
        assert opened.attrs["simulated"] == 1


def test_a_legacy_assembly_in_netcdf_3_is_read(simulated, tmp_path):
    legacy = simulated.rename(stimulus_id="image_id", subject="animal").transpose("neuroid", "presentation")
    legacy.to_netcdf(tmp_path / "old.nc", engine="scipy")
    xr.testing.assert_equal(read_recording(tmp_path / "old.nc"), simulated)


def test_a_failed_write_leaves_the_old_file(simulated, tmp_path):
    path = write_recording(simulated, tmp_path / "a.nc")
    before = path.read_bytes()
    with pytest.raises(InputError, match="attribute 'truth' is dict"):
        write_recording(simulated.assign_attrs(truth={}), path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_formats_to_write_are_chosen_by_ending_or_name(simulated, tmp_path):
    with pytest.raises(
        InputError, match=r"the file's ending does not say the format; write \.nc, \.nwb, \.csv, \.parquet"
    ):
        write_recording(simulated, tmp_path / "a.mat")
    with pytest.raises(InputError, match="no format is called 'csv'"):
        write_recording(simulated, tmp_path / "a.csv", "csv")
    with pytest.raises(InputError, match="no such folder"):
        write_recording(simulated, tmp_path / "nowhere" / "a.nc")


def damaged_assembly(simulated, path, change):
    change(simulated).to_netcdf(path, engine="h5netcdf")
    return path


def with_value(recording, value):
    values = recording.values.copy()
    values[4, 2] = value
    return recording.copy(data=values)


def assembly(change):
    def make(simulated, folder, raster_file):
        return damaged_assembly(simulated, folder / "r.nc", change)

    return make


def truncated_mat(simulated, folder, raster_file):
    path = raster_file(folder / "n1.mat", np.ones((4, 500)), {"stimulus_id": list("abab")})
    path.write_bytes(path.read_bytes()[:700])
    return folder


def truncated_netcdf(simulated, folder, raster_file):
    path = write_recording(simulated, folder / "a.nc")
    path.write_bytes(path.read_bytes()[:5000])
    return path


def lacking_a_condition(simulated, folder, raster_file):
    raster_file(folder / "n1.mat", np.ones((4, 500)), {"stimulus_id": list("abab")})
    raster_file(folder / "n2.mat", np.ones((2, 500)), {"stimulus_id": list("aa")})
    return folder


def mixed_raster_bins(simulated, folder, raster_file):
    raster_file(folder / "n1.mat", np.ones((2, 500)), {"stimulus_id": list("ab")})
    raster_file(folder / "n2.mat", np.ones((2, 300)), {"stimulus_id": list("ab")})
    return folder


def mixed_time_bins(simulated, folder, raster_file):
    binned = simulated.expand_dims(time_bin=2, axis=2).assign_coords(
        time_bin_start=("time_bin", [0, 10]), time_bin_end=("time_bin", [10, 40])
    )
    binned.to_netcdf(folder / "b.nc", engine="h5netcdf")
    return folder / "b.nc"


def pickle_named_nc(simulated, folder, raster_file):
    class Bomb:
        def __reduce__(self):
            return (open, (str(folder / "executed"), "w"))

    path = folder / "r.nc"
    path.write_bytes(pickle.dumps(Bomb()))
    return path


def empty_folder(simulated, folder, raster_file):
    return folder


def folder_of_folders(simulated, folder, raster_file):
    (folder / "raster").mkdir()
    return folder


def empty_file(simulated, folder, raster_file):
    (folder / "r.nc").touch()
    return folder / "r.nc"


def wrong_hdf5(simulated, folder, raster_file):
    with h5py.File(folder / "r.h5", "w") as file:
        file["rates"] = np.ones((3, 4))
        file["more"] = np.ones(3)
    return folder / "r.h5"


def other_mat(simulated, folder, raster_file):
    scipy.io.savemat(folder / "r.mat", {"spikes": np.ones(3)})
    return folder / "r.mat"


def nothing_there(simulated, folder, raster_file):
    return folder / "none.nc"


def an_image(simulated, folder, raster_file):
    (folder / "r.nc").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    return folder / "r.nc"


HOSTILE = {
    "truncated mat": (truncated_mat, "n1.mat: .*truncated"),
    "truncated netCDF": (truncated_netcdf, "a.nc: not readable as an HDF5 file .*truncated"),
    "wrong dims": (assembly(lambda r: r.rename(neuroid="unit")), r"dims are \(presentation, unit\); a recording has"),
    "HDF5 of something else": (
        wrong_hdf5,
        "it holds .*rates .3 x 4 float64.*--variable responses=rates --variable stimulus_id=more",
    ),
    "neuron lacking a condition": (lacking_a_condition, "1 of 4 cells .*neuron 'n2', stimulus 'b'.*drop_neurons"),
    "NaN rates": (assembly(lambda r: with_value(r, np.nan)), "1 of 900 responses are NaN .*'ML-002'"),
    "negative rates": (assembly(lambda r: with_value(r, -2)), "1 of 900 responses are negative"),
    "duplicated neuroids": (
        assembly(lambda r: r.assign_coords(neuroid_id=("neuroid", ["n"] * 10))),
        "neuroid_id 'n' occurs 10 times",
    ),
    "mixed time bins": (mixed_time_bins, r"time bins differ in width \(10 to 30 ms\)"),
    "mixed raster bins": (mixed_raster_bins, "n2.mat: holds -100 to 200 ms .*50 to 350 ms"),
    "empty folder": (empty_folder, "holds no .mat file, .* but nothing; name"),
    "folder of folders": (folder_of_folders, "holds no .mat file, .* but the folders raster; name"),
    "empty file": (empty_file, r"is empty \(0 bytes\)"),
    "pickle named nc": (pickle_named_nc, "is a Python pickle, which is never opened"),
    "another MATLAB file": (other_mat, "no matrix in it; it holds spikes"),
    "an image": (an_image, "not in a format that can be read"),
    "no such file": (nothing_there, "no such file or folder"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_and_broken_input_meets_one_clear_error(simulated, tmp_path, raster_file, name):
    make, message = HOSTILE[name]
    path = make(simulated, tmp_path, raster_file)
    with pytest.raises(InputError, match=message) as caught:
        read_recording(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists()


def test_stimuli_that_match_no_set_are_refused(simulated, faces, tmp_path):
    path = write_recording(simulated, tmp_path / "a.nc")
    assert len(read_recording(path, stimuli=faces)) == 90
    renamed = simulated.assign_coords(stimulus_id=("presentation", np.char.add("x", simulated["stimulus_id"].values)))
    write_recording(renamed, path)
    with pytest.raises(InputError, match=r"no stimulus_id of .*a\.nc is in stimulus set 'noise faces'"):
        read_recording(path, stimuli=faces)


def test_missing_cells_of_a_file_go_the_way_that_is_chosen(tmp_path, raster_file):
    path = lacking_a_condition(None, tmp_path, raster_file)
    assert read_recording(path, missing="drop_neurons")["neuroid_id"].values.tolist() == ["n1"]
    assert set(read_recording(path, missing="drop_stimuli")["stimulus_id"].values) == {"a"}
    assert np.isnan(read_recording(path, missing="keep").values).sum() == 2


def test_an_option_that_means_nothing_is_refused(simulated, tmp_path):
    path = write_recording(simulated, tmp_path / "a.nc")
    with pytest.raises(InputError, match="bin_ms has no meaning here"):
        read_recording(path, bin_ms=10)
    with pytest.raises(InputError, match="has no time bins"):
        read_recording(path, window_ms=(0, 100))
    with pytest.raises(InputError, match="did you mean 'brainscore'"):
        read_recording(path, "brain-score")
    with pytest.raises(InputError, match="did you mean 'keep'"):
        read_recording(path, missing="keeep")


def test_another_coord_can_name_the_stimulus(simulated, tmp_path):
    path = write_recording(simulated, tmp_path / "a.nc")
    by_identity = read_recording(path, stimulus="identity", region="all")
    assert set(by_identity["stimulus_id"].values) == {f"id{i}" for i in range(6)}
    assert by_identity["repetition"].values.max() == 14
    assert set(by_identity["region"].values) == {"all"}
    with pytest.raises(InputError, match="no coord 'identiti' on presentation: did you mean 'identity'"):
        read_recording(path, stimulus="identiti")
