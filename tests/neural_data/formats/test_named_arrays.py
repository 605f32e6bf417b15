"""Any MATLAB or HDF5 file with a matrix in it is read once its variables are named, and says how to name them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import scipy.io

from neural_data import InputError, read_recording
from neural_data.formats.matlab import read_variables
from neurocompare.cli import main

RATES = np.random.default_rng(0).gamma(2, 4, (6, 4))
STIM = [f"face {i}" for i in range(6)]


def as_matlab(path, **variables):
    cells = {k: np.array(v, dtype=object) if isinstance(v, list) else v for k, v in variables.items()}
    scipy.io.savemat(path, cells, do_compression=True)
    return path


def as_hdf5(path, **variables):
    with h5py.File(path, "w") as file:
        for name, value in variables.items():
            file[name] = value
    return path


@pytest.mark.parametrize("write", [as_matlab, as_hdf5])
@pytest.mark.parametrize("turned", [False, True])
def test_named_variables_are_a_recording(tmp_path, write, turned):
    path = write(tmp_path / "r.mat", rates=RATES.T if turned else RATES, stim=STIM, depth=np.arange(4.0), t=np.ones(3))
    recording = read_recording(path, variables={"responses": "rates", "stimulus_id": "stim", "depth": "depth"})
    np.testing.assert_allclose(recording.values, RATES)
    assert recording["stimulus_id"].values.tolist() == STIM
    assert recording["depth"].dims == ("neuroid",)
    assert "responses are rates" in recording.attrs["assumed"]


@pytest.mark.parametrize("write", [as_matlab, as_hdf5])
def test_the_refusal_prints_the_command_that_reads_the_file(tmp_path, write, capsys):
    path = write(tmp_path / "r.mat", rates=RATES, stim=STIM, t=np.ones(3))
    with pytest.raises(InputError, match=r"rates \(6 x 4 \w+\)") as caught:
        read_recording(path)
    options = str(caught.value).split("Name its variables: ")[1].split(" (variables=")[0].split()
    assert options == ["--variable", "responses=rates", "--variable", "stimulus_id=stim"]
    main_exits(["check-recording", str(path), *options, "--region", "IT"], 0)
    assert "4, recorded together" in capsys.readouterr().out


def main_exits(arguments, code):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert (caught.value.code or 0) == code


def test_structs_chars_and_numbers_are_labels(tmp_path):
    data = {"rates": RATES, "stim": np.array([f"{s:<10}" for s in STIM]), "number": np.arange(6.0), "area": "AM"}
    path = as_matlab(tmp_path / "r.mat", data=data)
    by_text = read_recording(
        path, variables={"responses": "data.rates", "stimulus_id": "data.stim", "region": "data.area"}
    )
    assert by_text["stimulus_id"].values.tolist() == STIM
    assert set(by_text["region"].values) == {"AM"}
    by_number = read_recording(path, variables={"responses": "data.rates", "stimulus_id": "data.number"})
    assert by_number["stimulus_id"].values.tolist() == list("012345")


def test_repetitions_and_time_bins_are_sides_that_are_named(tmp_path):
    trials = np.random.default_rng(1).poisson(5, (6, 3, 4)).astype(float)
    path = as_matlab(tmp_path / "r.mat", x=trials, stim=STIM, low=np.array([0.0, 50, 100, 150]))
    with pytest.raises(InputError, match=r"say what its sides are, such as 'x\[stimulus, repetition, neuroid\]'"):
        read_recording(path, variables={"responses": "x", "stimulus_id": "stim"})
    repeated = read_recording(path, variables={"responses": "x[stimulus, repetition, neuroid]", "stimulus_id": "stim"})
    np.testing.assert_array_equal(repeated.values.reshape(6, 3, 4), trials)
    assert repeated["repetition"].values[:4].tolist() == [0, 1, 2, 0]
    binned = as_matlab(tmp_path / "b.mat", x=trials, stim=STIM, low=np.arange(4) * 50.0, high=np.arange(1, 5) * 50.0)
    names = {"responses": "x[presentation, neuroid, time_bin]", "stimulus_id": "stim"}
    recording = read_recording(binned, variables={**names, "time_bin_start": "low", "time_bin_end": "high"})
    np.testing.assert_array_equal(recording.values, trials)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"responses": "rate", "stimulus_id": "stim"},
            "no (variable|dataset) 'rate' for responses: did you mean 'rates'",
        ),
        ({"responses": "rates"}, "which variable identifies the stimuli"),
        ({"responses": "stim", "stimulus_id": "stim"}, "stim is not a matrix of numbers"),
        ({"responses": "rates", "stimulus_id": "t"}, "no side fits"),
        ({"responses": "rates", "stimulus_id": "rates"}, "rates is 6 x 4; one value"),
        ({"responses": "square", "stimulus_id": "stim"}, "stimulus_id fits both sides"),
        ({"responses": "rates[rows, neuroid]", "stimulus_id": "stim"}, "has a side 'rows'"),
        ({"responses": "rates", "stimulus_id": "stim", "region": "t"}, "region has 3 values"),
    ],
)
def test_names_that_do_not_fit_are_refused(tmp_path, variables, message):
    path = as_hdf5(tmp_path / "r.h5", rates=RATES, stim=STIM, t=np.ones(3), square=np.ones((6, 6)))
    with pytest.raises(InputError, match=message):
        read_recording(path, variables=variables)


def test_struct_arrays_of_both_versions_are_lists(tmp_path):
    structs = np.array([("a", 1.0), ("b", 2.0)], dtype=[("name", object), ("x", float)])
    scipy.io.savemat(tmp_path / "five.mat", {"s": structs})
    with h5py.File(tmp_path / "seven.mat", "w", userblock_size=512) as file:
        group = file.create_group("s")
        group.attrs["MATLAB_class"] = np.bytes_("struct")
        for field, values in (("name", ["a", "b"]), ("x", [1.0, 2.0])):
            references = []
            for i, value in enumerate(values):
                text = isinstance(value, str)
                item = file.create_dataset(
                    f"#refs#/{field}{i}", data=np.array([[ord(value)]], np.uint16) if text else np.array([[value]])
                )
                item.attrs["MATLAB_class"] = np.bytes_("char" if text else "double")
                references.append(item.ref)
            group.create_dataset(field, data=np.array(references, dtype=h5py.ref_dtype)[None], dtype=h5py.ref_dtype)
    with (tmp_path / "seven.mat").open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(512))
    for name in ("five.mat", "seven.mat"):
        assert read_variables(tmp_path / name, ["s"])["s"] == [{"name": "a", "x": 1.0}, {"name": "b", "x": 2.0}]
